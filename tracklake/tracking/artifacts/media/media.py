"""What all media values share, and which logged values are media."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tracklake.common import interrupts
from tracklake.tracking.artifacts.media.content import save_bytes, save_file

if TYPE_CHECKING:
    from tracklake.storage.backend import Storage
    from tracklake.tracking.artifacts.media.content import StoredFile


class Media(ABC):
    """A value of many bytes. `to_entry` stores them and returns the JSON entry that stands for it."""

    type_name: ClassVar[str]
    """What stands under `_type` in its entry, as W&B has it."""

    def to_entry(self, lake: Storage) -> dict[str, Any]:
        """Write the bytes into the lake and return the entry: `_type`, `path`, `sha256`, `size`, and what describes it.

        >>> lake = tl.open("lake", create=True)._storage
        >>> sorted(tl.Html("<b>done</b>").to_entry(lake))
        ['_type', 'path', 'sha256', 'size']
        """
        return {"_type": self.type_name, **self.save(lake).to_json(), **self.about()}

    @abstractmethod
    def save(self, lake: Storage) -> StoredFile:
        """Write its bytes into the files of the lake.

        >>> lake = tl.open("lake", create=True)._storage
        >>> tl.Table(columns=["a"]).save(lake).size
        30
        """

    def about(self) -> dict[str, Any]:
        """Return what its entry says beside the file.

        >>> tl.Html("<b>done</b>").about()
        {}
        """
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.about().items())})"


class FileMedia(Media):
    """A media value of one file: bytes made here, or a file that is there."""

    def __init__(self, source: bytes | Path, *, suffix: str = "") -> None:
        self._source = source
        self._suffix = suffix

    def save(self, lake: Storage) -> StoredFile:
        """Write its bytes into the files of the lake. Raises FileMissingError.

        >>> lake = tl.open("lake", create=True)._storage
        >>> tl.Html("<b>done</b>").save(lake).size
        11
        """
        if isinstance(self._source, bytes):
            return save_bytes(self._source, lake=lake, suffix=self._suffix)
        return save_file(self._source, lake=lake)


def existing_path(value: object) -> Path | None:
    """Return the path of a file that a value names; None for values that are no path, and texts that name no file.

    >>> _ = __import__("pathlib").Path("page.html").write_text("<b>done</b>")
    >>> existing_path("page.html"), existing_path("<b>done</b>")
    (PosixPath('page.html'), None)
    """
    if isinstance(value, os.PathLike):
        return Path(value)
    try:
        return Path(value) if isinstance(value, str) and Path(value).is_file() else None
    except (OSError, ValueError) as error:  # too long, or with a null byte: no name of a file
        interrupts.let_through(error)
        return None


def list_entry(items: list[Media], lake: Storage) -> dict[str, Any]:
    """Return the entry of several media values that were logged under one key.

    >>> lake = tl.open("lake", create=True)._storage
    >>> list_entry([tl.Html("a"), tl.Html("b")], lake)["count"]
    2
    """
    entries = [item.to_entry(lake) for item in items]
    first = entries[0]["_type"]
    kind = "images/separated" if first == "image-file" else first
    return {"_type": kind, "count": len(entries), "items": entries}
