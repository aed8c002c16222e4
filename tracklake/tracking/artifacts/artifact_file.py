"""One file of an artifact: of a version that was logged, and as an entry of its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tracklake.errors import ArtifactError
from tracklake.storage import content_files
from tracklake.storage.atomic_files import copy_file
from tracklake.tracking.artifacts.manifest import Entry
from tracklake.tracking.artifacts.media.content import save_file
from tracklake.tracking.artifacts.media.media import Media

if TYPE_CHECKING:
    import os

    from tracklake.storage.backend import Storage


class ArtifactFile:
    """One file of an artifact that was logged.

    >>> with tl.init() as run:
    ...     artifact = tl.Artifact("notes", type="text")
    ...     with artifact.new_file("a.txt") as file:
    ...         _ = file.write("hello")
    ...     run.log_artifact(artifact).files()
    [ArtifactFile('a.txt', 5 bytes)]
    """

    def __init__(self, name: str, entry: Entry, lake: Storage | None) -> None:
        self.name = self.path = name
        self.size = entry.size
        self.digest = entry.sha256
        self.ref = entry.reference or None
        self._entry, self._lake = entry, lake

    def download(self, root: str | os.PathLike[str] | None = None, **_: object) -> str:
        """Copy it under a folder and return the path; without one, return where it lies in the lake.

        >>> with tl.init() as run:
        ...     artifact = tl.Artifact("notes", type="text")
        ...     with artifact.new_file("a.txt") as file:
        ...         _ = file.write("hello")
        ...     run.log_artifact(artifact).get_entry("a.txt").download("copy")
        'copy/a.txt'
        """
        if self.ref is not None:
            raise ArtifactError(
                f"{self.name!r} is a reference to {self.ref!r}: the lake does not hold it; fetch it there"
            )
        if root is None:
            return str(self._path())
        target = Path(root, self.name)
        copy_file(self._path(), target)
        return str(target)

    def _path(self) -> Path:
        return Path(self._entry.path) if self._lake is None else content_files.verified(self._lake, self._entry.path)

    def __repr__(self) -> str:
        return f"ArtifactFile({self.name!r}, {self.size} bytes)"


def entry_of(source: Path | Media | Entry, *, lake: Storage) -> Entry:
    """Store a file or a media value by content, and return its entry; an entry is returned as it is.

    >>> _ = Path("a.txt").write_text("hello")
    >>> entry_of(Path("a.txt"), lake=example()._storage).size
    5
    """
    if isinstance(source, Entry):
        return source
    if isinstance(source, Media):
        return Entry(*source.save(lake), type_name=source.type_name)
    return Entry(*save_file(source, lake=lake))
