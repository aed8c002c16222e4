"""The files of a run: its folder, what it saves, and the artifacts that it logs and uses; a part of `Run`."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tracklake.common.warnings import warn_set_aside
from tracklake.errors import ArtifactError, FileMissingError
from tracklake.schema import naming
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import Kind, Stored
from tracklake.storage import content_files
from tracklake.storage.atomic_files import copy_file
from tracklake.tracking import artifacts
from tracklake.tracking.artifacts.media.content import StoredFile, save_file

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from tracklake.tracking.artifacts.artifact import Artifact
    from tracklake.tracking.artifacts.repository import Repository
    from tracklake.tracking.session import Session

WORK_FOLDER = "run_folders"
"""The folder of a lake in which running runs have a folder each."""
_MODEL = "model"


class RunFiles:
    """Folder, saved files and artifacts of a run."""

    _session: Session
    _saved: dict[str, StoredFile]
    _to_save: dict[str, Path]

    @property
    def lake_dir(self) -> str:
        """The folder of the lake, as it was given.

        >>> with tl.init(dir="lake") as run:
        ...     run.lake_dir
        'lake'
        """
        return str(self._session.storage.location)

    @property
    def dir(self) -> str:
        """A folder for files of this run, made when it is first asked for.

        What lies there when the run ends is stored by content and the folder is removed; `restore`, and
        `lake.run(id).file(name)`, give it back. A killed run leaves it in place.

        >>> with tl.init(id="r1") as run:
        ...     _ = Path(run.dir, "notes.txt").write_text("hello")
        >>> tl.open().run("r1").file("notes.txt").read_text()
        'hello'
        """
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def save(
        self,
        glob_str: str | os.PathLike[str] | None = None,
        base_path: str | os.PathLike[str] | None = None,
        policy: str = "live",
    ) -> list[str]:
        """Store the files that a path or glob names, under their paths below `base_path` (else their names alone).

        They are stored now and, with policy "live" or "end", once more when the run ends, as they are then. Returns the
        paths. Raises FileMissingError where nothing matches.

        >>> _ = Path("model.txt").write_text("0.5")
        >>> with tl.init(id="r1") as run:
        ...     run.save("model.txt")
        ['model.txt']
        >>> tl.open().run("r1").files
        ['model.txt']
        """
        if glob_str is None:
            return []
        pattern = Path(glob_str)
        base = Path(base_path) if base_path is not None else None
        matches = (
            [pattern]
            if pattern.is_file()
            else sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
        )
        paths = [path for path in matches if path.is_file()]
        if not paths:
            raise FileMissingError(f"run.save({str(glob_str)!r}): no file matches")
        for path in paths:
            self._save(path.relative_to(base).as_posix() if base else path.name, path, again=policy != "now")
        return [str(path) for path in paths]

    def restore(
        self,
        name: str,
        run_path: str | None = None,
        replace: bool = False,  # noqa: FBT001, FBT002 - as W&B
        root: str | os.PathLike[str] | None = None,
    ) -> IO[str]:
        """Copy a stored file of this run under `root` (else the run's folder), and open it.

        A file that is there stays, unless `replace`. Files of other runs: `lake.run(id).file(name)`. Raises
        FileMissingError.

        >>> _ = Path("model.txt").write_text("0.5")
        >>> with tl.init(id="r1") as run:
        ...     _ = run.save("model.txt")
        ...     run.restore("model.txt", root="copy").read()
        '0.5'
        """
        if run_path is not None and run_path.rpartition("/")[2] != self._session.run_id:
            raise FileMissingError(
                f"run_path={run_path!r} is another run: tracklake.open().run(id).file({name!r}) has its files"
            )
        target = Path(root or self.dir, name)
        if replace or not target.is_file():
            if name not in self._saved:
                raise FileMissingError.nearest("file", name, self._saved)
            copy_file(content_files.verified(self._session.storage, self._saved[name].path), target)
        return target.open(encoding="utf-8")

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Log the source files under a folder (by default *.py) as an artifact of type "code"; None if there are none.

        >>> _ = Path("train.py").write_text("pass")
        >>> with tl.init("digits") as run:
        ...     [file.name for file in run.log_code().files()]
        ['train.py']
        """
        folder = Path(root or ".")
        artifact = artifacts.artifact.Artifact(name or f"source-{naming.safe_name(self._session.project)}", type="code")
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".venv" not in path.parts]
        chosen = [p for p in paths if (include_fn(str(p)) if include_fn else p.suffix == ".py")]
        for path in chosen:
            if exclude_fn is None or not exclude_fn(str(path)):
                artifact.add_file(path, name=path.relative_to(folder).as_posix())
        return self.log_artifact(artifact) if chosen else None

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - as W&B
        aliases: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> Artifact:
        """Store an artifact, or a file or folder as one, as a version that this run logged. Raises ArtifactError.

        >>> _ = Path("data.csv").write_text("a,b")
        >>> with tl.init() as run:
        ...     run.log_artifact("data.csv", name="data", type="set", aliases=["raw"]).name
        'data:v0'
        """
        if isinstance(artifact_or_path, artifacts.artifact.Artifact):
            artifact = artifact_or_path
        else:
            path = Path(artifact_or_path)
            artifact = artifacts.artifact.Artifact(
                name or f"run-{naming.safe_name(self._session.run_id)}-{path.name}", type or "unspecified"
            )
            artifact.add_dir(path) if path.is_dir() else artifact.add_file(path)
        if not artifact.is_draft():
            return artifact
        artifact.tags += tags or ()
        return artifact.log_to(
            self._artifacts, project=self._session.project, run_id=self._session.run_id, aliases=aliases or ()
        )

    upsert_artifact = finish_artifact = log_artifact
    """Every process of a distributed run may log: equal content is one version."""

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,  # noqa: A002 - as W&B
        aliases: Iterable[str] | None = None,
        use_as: str | None = None,  # noqa: ARG002 - as W&B
    ) -> Artifact:
        """Find "name:alias" or "project/name:alias", note that this run uses it, and return it.

        A draft is logged first. Raises UnknownNameError with the nearest name, ArtifactError for another type.

        >>> with tl.init() as run:
        ...     run.use_artifact("model")
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: there is no artifact 'model' in project 'uncategorized'; the lake has none
        """
        if isinstance(artifact_or_name, artifacts.artifact.Artifact):
            artifact = self.log_artifact(artifact_or_name, aliases=aliases)
            manifest = self._artifacts.find(artifact.id)
        else:
            manifest = self._artifacts.find(artifact_or_name, project=self._session.project, type=type)
            artifact = artifacts.artifact.Artifact.stored(manifest, self._artifacts)
        self._artifacts.note_use(manifest, self._session.run_id)
        return artifact

    def link_artifact(self, artifact: Artifact, target_path: str, aliases: Iterable[str] | None = None) -> Artifact:
        """Log the same files under another name, "project/name"; see `Artifact.link`.

        >>> with tl.init() as run:
        ...     run.link_artifact(tl.Artifact("data", type="set"), "registry/best").id
        'registry/best:v0'
        """
        return self.log_artifact(artifact).link(target_path, aliases)

    def log_model(
        self, path: str | os.PathLike[str], name: str | None = None, aliases: Iterable[str] | None = None
    ) -> Artifact:
        """Log a file or folder as an artifact of type "model".

        >>> _ = Path("weights.txt").write_text("0.5")
        >>> with tl.init() as run:
        ...     _ = run.log_model("weights.txt", name="classifier")
        ...     Path(run.use_model("classifier")).read_text()
        '0.5'
        """
        return self.log_artifact(path, name=name, type=_MODEL, aliases=aliases)

    def use_model(self, name: str) -> str:
        """Return the path of a logged model: its file, or the folder of its files. Raises as `use_artifact`.

        >>> with tl.init() as run:
        ...     run.use_model("classifier")
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: there is no artifact 'classifier' ...
        """
        artifact = self.use_artifact(name)
        if "model" not in artifact.type:
            raise ArtifactError(f"artifact {artifact.name!r} has type {artifact.type!r}, not 'model'")
        return artifact.file() if len(artifact.files()) == 1 else artifact.download()

    def link_model(
        self,
        path: str | os.PathLike[str],
        registered_model_name: str,
        name: str | None = None,
        aliases: Iterable[str] | None = None,
    ) -> Artifact:
        """Log a model and link it under `model-registry/<registered_model_name>`.

        >>> _ = Path("weights.txt").write_text("0.5")
        >>> with tl.init() as run:
        ...     run.link_model("weights.txt", "classifier").id
        'model-registry/classifier:v0'
        """
        return self.log_model(path, name).link(f"model-registry/{registered_model_name}", aliases)

    @property
    def _folder(self) -> Path:
        root = self._session.storage.root
        place = root if isinstance(root, Path) else Path(tempfile.gettempdir(), "tracklake")
        return place / WORK_FOLDER / naming.safe_name(self._session.run_id)

    @cached_property
    def _artifacts(self) -> Repository:
        return artifacts.repository.Repository(self._session.storage)

    def _save(self, name: str, path: Path, *, again: bool) -> None:
        file = save_file(path, lake=self._session.storage)
        if self._saved.get(name) != file:
            self._session.append_statements(
                [(StatementKind.FILE, name, Stored(Kind.JSON, None, None, json.dumps(file.to_json())))]
            )
            self._saved[name] = file
        if again:
            self._to_save[name] = path.absolute()

    def _save_at_end(self) -> None:
        """Store what was saved as it is now, and what lies in the run's folder, which is removed then."""
        for name, path in self._to_save.items():
            if path.is_file():
                self._save(name, path, again=False)
        if self._folder.is_dir():
            for path in sorted(self._folder.rglob("*")):
                if path.is_file():
                    self._save(path.relative_to(self._folder).as_posix(), path, again=False)
            shutil.rmtree(self._folder)


def saved_files(statements: Iterable[tuple[str, str]]) -> Mapping[str, StoredFile]:
    """Return the files that statements name, each as it was stored last.

    >>> saved_files([("a.txt", '{"path": "files/ab.txt", "sha256": "ab", "size": 1}')])
    {'a.txt': StoredFile(path='files/ab.txt', sha256='ab', size=1)}
    """
    files = {}
    for name, text in statements:
        try:
            files[name] = StoredFile.from_json(text)
        except FileMissingError:
            warn_set_aside(f"where file {name!r} lies, {text!r},")
    return files
