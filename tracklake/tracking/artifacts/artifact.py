"""An artifact as a script sees it: files are added, it is logged, found, and downloaded."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tracklake.errors import ArtifactError, UnknownNameError
from tracklake.storage import content_files
from tracklake.tracking.artifacts.artifact_file import ArtifactFile, entry_of
from tracklake.tracking.artifacts.artifact_version import ArtifactVersion
from tracklake.tracking.artifacts.manifest import Entry, Manifest, check_file_name
from tracklake.tracking.artifacts.media.content import digest
from tracklake.tracking.artifacts.media.media import Media
from tracklake.tracking.artifacts.media.tables import Table
from tracklake.tracking.artifacts.repository import Repository, check_name

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping


class Artifact(ArtifactVersion):
    """A named, versioned set of files by content.

    Make one, add files, and log it: `run.log_artifact(artifact, aliases=["best"])`; its version is v0, v1, ... What is
    added is read when it is logged (or at `add_file(policy="mutable")` at once). Logging what the latest version holds
    already gives that version. `run.use_artifact("name:best")` finds it, `download()` copies its files. `incremental`
    and `use_as` are accepted and mean nothing. Raises ArtifactError, FileMissingError.

    >>> with tl.init("digits") as run:
    ...     artifact = Artifact("model", type="model", metadata={"acc": 0.9})
    ...     with artifact.new_file("weights.txt") as file:
    ...         _ = file.write("0.5")
    ...     _ = run.log_artifact(artifact, aliases=["best"])
    >>> with tl.init("digits") as run:
    ...     folder = run.use_artifact("model:best").download("copy")
    >>> open(folder + "/weights.txt").read()
    '0.5'
    """

    def __init__(
        self,
        name: str,
        type: str,  # noqa: A002 - as W&B
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        incremental: bool = False,  # noqa: ARG002 - as W&B
        use_as: str | None = None,  # noqa: ARG002 - as W&B
        **_: object,
    ) -> None:
        self._base_name = check_name(name)
        self.type = str(type)
        self.description = description
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.tags: list[str] = []
        self.ttl: object = None
        self._sources: dict[str, Path | Media | Entry] = {}
        self._scratch: list[tempfile.TemporaryDirectory[str]] = []
        self._repository = None
        self._manifest = None

    @classmethod
    def stored(cls, manifest: Manifest, repository: Repository) -> Artifact:
        """Return one of a version that was logged.

        >>> repository = Repository(example()._storage)
        >>> Artifact.stored(repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=[]), repository).name
        'data:v0'
        """
        artifact = cls(manifest.name, manifest.type, manifest.description, manifest.metadata)
        artifact._manifest, artifact._repository = manifest, repository
        return artifact

    def add_file(
        self, local_path: str | os.PathLike[str], name: str | None = None, policy: str | None = None, **_: object
    ) -> ArtifactFile:
        """Add a file under its own name, or `name`. Other arguments of W&B are accepted and mean nothing.

        >>> _ = Path("weights.txt").write_text("0.5")
        >>> Artifact("model", type="model").add_file("weights.txt", name="w.txt")
        ArtifactFile('w.txt', 3 bytes)
        """
        del policy
        path = Path(local_path)
        if not path.is_file():
            raise ArtifactError(f"there is no file {str(path)!r} to add; a folder is added by add_dir")
        self._add(name or path.name, path)
        return ArtifactFile(name or path.name, Entry(str(path.absolute()), digest(path), path.stat().st_size), None)

    def add_dir(self, local_path: str | os.PathLike[str], name: str | None = None, **_: object) -> None:
        """Add every file of a folder, under `name` if that is given.

        >>> Path("data").mkdir()
        >>> _ = Path("data/a.txt").write_text("a")
        >>> artifact = Artifact("data", type="set")
        >>> artifact.add_dir("data", name="raw")
        >>> sorted(artifact._sources)
        ['raw/a.txt']
        """
        root = Path(local_path)
        if not root.is_dir():
            raise ArtifactError(f"there is no folder {str(root)!r} to add; a file is added by add_file")
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self._add(Path(name or "", path.relative_to(root)).as_posix(), path)

    def add(self, obj: Media, name: str, overwrite: bool = False) -> None:  # noqa: ARG002 - as W&B
        """Add a media value; `get(name)` gives a table back.

        >>> Artifact("eval", type="table").add(Table(columns=["a"]), "predictions")
        """
        if not isinstance(obj, Media):
            raise ArtifactError(f"a {type(obj).__name__} cannot be added: add takes Table, Image and other media")
        self._add(name, obj)

    def add_reference(self, uri: str, name: str | None = None, **_: object) -> list[str]:
        """Note a place outside of the lake, such as "s3://bucket/key"; its bytes are not stored.

        >>> Artifact("data", type="set").add_reference("s3://bucket/data.csv")
        ['data.csv']
        """
        entry_name = name or str(uri).rstrip("/").rpartition("/")[2]
        self._add(entry_name, Entry("", "", 0, reference=str(uri)))
        return [entry_name]

    @contextlib.contextmanager
    def new_file(self, name: str, mode: str = "w", encoding: str | None = None) -> Iterator[IO[Any]]:
        """Open a new file of the artifact for writing; it is part of it when the block is left.

        >>> artifact = Artifact("notes", type="text")
        >>> with artifact.new_file("a.txt") as file:
        ...     _ = file.write("hello")
        """
        scratch = tempfile.TemporaryDirectory(prefix="tracklake-")
        self._scratch.append(scratch)
        path = Path(scratch.name, "file")
        with path.open(mode, encoding=encoding or (None if "b" in mode else "utf-8")) as file:
            yield file
        self._add(name, path)

    def remove(self, item: str) -> None:
        """Take a file out again, before it is logged. Raises UnknownNameError.

        >>> Artifact("data", type="set").remove("a.txt")
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: unknown file 'a.txt'; there are none yet
        """
        if item not in self._sources:
            raise UnknownNameError.nearest("file", item, self._sources)
        del self._sources[item]

    def log_to(self, repository: Repository, *, project: str, run_id: str | None, aliases: Iterable[str]) -> Artifact:
        """Store its files and a version of it; what `run.log_artifact` does.

        >>> draft = Artifact("data", type="set")
        >>> draft.log_to(Repository(example()._storage), project="p", run_id=None, aliases=[]).version
        'v0'
        """
        lake = repository.storage
        entries = {name: entry_of(source, lake=lake) for name, source in self._sources.items()}
        draft = Manifest(self._base_name, self.type, project, -1, entries, self.metadata, self.description, run_id)
        self._manifest, self._repository = repository.log(draft, aliases=aliases), repository
        for scratch in self._scratch:
            scratch.cleanup()
        return self

    def wait(self, timeout: int | None = None) -> Artifact:  # noqa: ARG002 - as W&B
        """Return it at once: a version that was logged is there.

        >>> Artifact("data", type="set").wait().is_draft()
        True
        """
        return self

    def download(self, root: str | os.PathLike[str] | None = None, path_prefix: str = "", **_: object) -> str:
        """Copy its files under a folder, by default ./artifacts/<name>:<version>, and return the folder.

        >>> with tl.init() as run:
        ...     run.log_artifact(Artifact("data", type="set")).download()
        'artifacts/data:v0'
        """
        folder = Path(root) if root is not None else Path("artifacts", self.name)
        folder.mkdir(parents=True, exist_ok=True)
        for file in self.files():
            if file.ref is None and file.name.startswith(path_prefix):
                file.download(folder)
        return str(folder)

    checkout = download

    def file(self, root: str | os.PathLike[str] | None = None) -> str:
        """Return the path of its only file. Raises ArtifactError if there are more, or none.

        >>> _ = Path("a.txt").write_text("a")
        >>> with tl.init() as run:
        ...     Path(run.log_artifact("a.txt", name="data", type="set").file()).read_text()
        'a'
        """
        files = self.files()
        if len(files) != 1:
            raise ArtifactError(f"artifact {self.name!r} has {len(files)} files, not one: download() gives them all")
        return files[0].download(root)

    def files(self, names: list[str] | None = None, per_page: int = 50) -> list[ArtifactFile]:  # noqa: ARG002 - as W&B
        """Return its files, sorted by name.

        >>> with tl.init() as run:
        ...     run.log_artifact(Artifact("data", type="set")).files()
        []
        """
        root = self._lake.storage
        entries = sorted(self._logged.entries.items())
        return [ArtifactFile(name, entry, root) for name, entry in entries if names is None or name in names]

    def get_entry(self, name: str) -> ArtifactFile:
        """Return one of its files. Raises UnknownNameError.

        >>> with tl.init() as run:
        ...     run.log_artifact(Artifact("data", type="set")).get_entry("a.txt")
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: unknown file 'a.txt'; there are none yet
        """
        if name not in self._logged.entries:
            raise UnknownNameError.nearest("file", name, self._logged.entries)
        return ArtifactFile(name, self._logged.entries[name], self._lake.storage)

    get_path = get_entry

    def get(self, name: str) -> Any:
        """Return an added table, the path of the file of another media value, or None where there is none.

        >>> with tl.init() as run:
        ...     artifact = Artifact("eval", type="table")
        ...     artifact.add(Table(columns=["a"], data=[[1]]), "predictions")
        ...     run.log_artifact(artifact).get("predictions").data
        [[1]]
        """
        entry = self._logged.entries.get(name)
        if entry is None:
            return None
        path = content_files.verified(self._lake.storage, entry.path)
        return Table.load(path) if entry.type_name == Table.type_name else path

    __getitem__ = get

    def verify(self, root: str | os.PathLike[str] | None = None) -> None:
        """Compare the files, in the lake or in a folder, with their digests. Raises ArtifactError that names the first.

        >>> with tl.init() as run:
        ...     run.log_artifact(Artifact("data", type="set")).verify()
        """
        for file in self.files():
            path = Path(file.download() if root is None else Path(root, file.name)) if file.ref is None else None
            if path is not None and (not path.is_file() or digest(path) != file.digest):
                raise ArtifactError(f"{file.name!r} of artifact {self.name!r} is not what was logged: {path}")

    def save(self) -> None:
        """Do nothing for a version that was logged: aliases move at once, and metadata does not change.

        >>> Artifact("data", type="set").save()
        Traceback (most recent call last):
        tracklake.errors.ArtifactError: artifact 'data' was not logged yet: run.log_artifact(artifact) does
        """
        if self._manifest is None:
            raise self._not_logged()

    def add_alias(self, alias: str) -> None:
        """Let an alias name this version from now on.

        >>> with tl.init() as run:
        ...     artifact = run.log_artifact(Artifact("data", type="set"))
        ...     artifact.add_alias("raw")
        ...     artifact.aliases
        ['latest', 'raw']
        """
        self._lake.move_alias(self._logged, alias)

    def remove_alias(self, alias: str) -> None:
        """Let an alias name nothing from now on.

        >>> with tl.init() as run:
        ...     artifact = run.log_artifact(Artifact("data", type="set"), aliases=["raw"])
        ...     artifact.remove_alias("raw")
        ...     artifact.aliases
        ['latest']
        """
        self._lake.move_alias(self._logged, alias, remove=True)

    def link(self, target_path: str, aliases: Iterable[str] | None = None) -> Artifact:
        """Log the same files under another name ("project/name"), and return that version.

        >>> with tl.init("digits") as run:
        ...     run.log_artifact(Artifact("data", type="set")).link("registry/best").id
        'registry/best:v0'
        """
        *before, name = target_path.split("/")
        draft = self._logged._replace(name=check_name(name), project=before[-1] if before else self._logged.project)
        return Artifact.stored(self._lake.log(draft, aliases=aliases or ()), self._lake)

    def _add(self, name: str, source: Path | Media | Entry) -> None:
        if self._manifest is not None:
            raise ArtifactError(f"artifact {self.name!r} is logged: make a new one to add files")
        self._sources[check_file_name(name)] = source
