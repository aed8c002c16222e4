"""The files and artifacts of a run as W&B's public API shows them; a part of `ApiRun`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake.common.warnings import warn_once
from tracklake.errors import QueryError
from tracklake.storage.atomic_files import copy_file
from tracklake.tracking.artifacts.artifact import Artifact
from tracklake.tracking.artifacts.repository import Repository

if TYPE_CHECKING:
    import os

    from tracklake.lake.recorded_run import RecordedRun


class ApiFile:
    """A file that a run saved.

    >>> with tl.init("p", id="r1") as run:
    ...     _ = Path(run.dir, "notes.txt").write_text("hello")
    >>> tl.Api().run("p/r1").files()
    [<File notes.txt (5 bytes)>]
    """

    def __init__(self, name: str, source: Path) -> None:
        self.name = name
        self._source = source

    @property
    def size(self) -> int:
        """Its bytes.

        >>> ApiFile("a", Path(__file__)).size > 0
        True
        """
        return self._source.stat().st_size

    @property
    def url(self) -> str:
        """Where its content lies.

        >>> ApiFile("a", Path(__file__)).url[:7]
        'file://'
        """
        return self._source.resolve().as_uri()

    def download(
        self,
        root: str | os.PathLike[str] = ".",
        replace: bool = False,
        exist_ok: bool = False,
    ) -> Any:
        """Copy it under a folder and return it open. Raises QueryError where a file is there already.

        >>> with tl.init("p", id="r1") as run:
        ...     _ = Path(run.dir, "notes.txt").write_text("hello")
        >>> tl.Api().run("p/r1").file("notes.txt").download("copy").read()
        'hello'
        """
        target = Path(root, self.name)
        if target.exists() and not (replace or exist_ok):
            raise QueryError(f"{target} is there already: say replace=True or exist_ok=True")
        if replace or not target.exists():
            copy_file(self._source, target)
        return target.open(encoding="utf-8")

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.size} bytes)>"


class ApiRunFiles:
    """Files, artifacts and what else W&B's runs have that no table of the lake has."""

    id: str
    name: str
    state: str
    entity: str

    @property
    def _recorded(self) -> RecordedRun:
        raise NotImplementedError

    def files(self, names: list[str] | None = None, per_page: int = 50) -> list[ApiFile]:  # noqa: ARG002 - as W&B
        """Return the files that it saved, sorted by name.

        >>> tl.Api(example().dir).run("slow").files()
        []
        """
        saved = self._recorded.files
        return [ApiFile(name, self._recorded.file(name)) for name in saved if not names or name in names]

    def file(self, name: str) -> ApiFile:
        """Return one of its files. Raises FileMissingError with the nearest.

        >>> tl.Api(example().dir).run("slow").file("model.pt")
        Traceback (most recent call last):
        tracklake.errors.FileMissingError: unknown file 'model.pt'; there are none yet
        """
        return ApiFile(name, self._recorded.file(name))

    def logged_artifacts(self, per_page: int = 100) -> list[Artifact]:  # noqa: ARG002 - as W&B
        """Return the versions of artifacts that it logged.

        >>> tl.Api(example().dir).run("slow").logged_artifacts()
        []
        """
        return [artifact for artifact in self._artifacts() if artifact.logged_by() == self.id]

    def used_artifacts(self, per_page: int = 100) -> list[Artifact]:  # noqa: ARG002 - as W&B
        """Return the versions of artifacts that it used.

        >>> tl.Api(example().dir).run("slow").used_artifacts()
        []
        """
        return [artifact for artifact in self._artifacts() if self.id in artifact.used_by()]

    @property
    def rawconfig(self) -> Any:
        """The config; W&B's has its own entries beside it.

        >>> tl.Api(example().dir).run("slow").rawconfig
        {'lr': 0.01}
        """
        return self.config  # type: ignore[attr-defined] # of ApiRun

    @property
    def json_config(self) -> str:
        """The config as W&B has it in JSON: each value under "value".

        >>> tl.Api(example().dir).run("slow").json_config
        '{"lr": {"value": 0.01}}'
        """
        return json.dumps({key: {"value": value} for key, value in self.rawconfig.items()})

    @property
    def username(self) -> str:
        """Who started it: there are no accounts.

        >>> tl.Api(example().dir).run("slow").username
        'local'
        """
        return self.entity

    @property
    def storage_id(self) -> str:
        """Its id.

        >>> tl.Api(example().dir).run("slow").storage_id
        'slow'
        """
        return self.id

    @property
    def sweep_name(self) -> str | None:
        """The id of the sweep that it is a trial of; None if it is of none.

        >>> tl.Api(example().dir).run("slow").sweep_name
        """
        return self._recorded.sweep_id

    sweep = sweep_name
    """Here the id; `Api.sweep` gives more."""

    @property
    def heartbeat_at(self) -> str:
        """When it last gave a sign of life: UTC, ISO 8601.

        >>> tl.Api(example().dir).run("slow").heartbeat_at[:2]
        '20'
        """
        last = self._recorded.history([])["_timestamp"].max()
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(float(last or 0)))  # type: ignore[arg-type]

    def wait_until_finished(self, poll_seconds: float = 2.0) -> None:
        """Return once it runs no longer.

        >>> tl.Api(example().dir).run("slow").wait_until_finished()
        """
        while self._recorded.state == "running":
            time.sleep(poll_seconds)

    def beta_scan_history(self, *args: Any, **kwargs: Any) -> Any:
        """Yield the rows; as `scan_history`, which is complete and quick.

        >>> len(list(tl.Api(example().dir).run("slow").beta_scan_history()))
        3
        """
        return self.scan_history(*args, **kwargs)  # type: ignore[attr-defined] # of ApiRun

    def save(self) -> None:
        """Store what was changed; W&B's older name of `update`.

        >>> tl.Api(example().dir).run("slow").save()
        """
        self.update()  # type: ignore[attr-defined] # of ApiRun

    def load_full_data(self, *_: object, **__: object) -> None:
        """Do nothing: all of a run is there when it is looked at.

        >>> tl.Api(example().dir).run("slow").load_full_data()
        """

    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:  # noqa: ARG002 - as W&B
        """Note that it uses a version of an artifact.

        >>> with tl.init("p", id="r1") as run:
        ...     data = run.log_artifact(tl.Artifact("data", type="set"))
        >>> tl.Api().run("p/r1").use_artifact(data).used_by()
        ['r1']
        """
        repository = Repository(self._recorded.storage)
        repository.note_use(repository.find(artifact.qualified_name), self.id)
        return artifact

    def log_artifact(self, artifact: Artifact, aliases: list[str] | None = None, **_: object) -> Artifact:
        """Log an artifact as of this run.

        >>> tl.Api(example().dir).run("slow").log_artifact(tl.Artifact("data", type="set")).name
        'data:v0'
        """
        recorded = self._recorded
        of = Repository(recorded.storage)
        return artifact.log_to(of, project=recorded.project, run_id=self.id, aliases=aliases or ())

    def delete(self, delete_artifacts: bool = False) -> None:
        """Hide it from every answer, as `lake.delete`; its artifacts stay: their deletion is refused.

        Raises QueryError with `delete_artifacts`, RunError while it runs.

        >>> lake = example()
        >>> tl.Api(lake.dir).run("slow").delete()
        >>> lake.runs()["run_id"].to_list()
        ['fast']
        """
        if delete_artifacts:
            raise QueryError(f"run {self.id!r}: artifacts cannot be deleted; say delete() to hide the run alone")
        self._page.lake.delete(self.id)  # type: ignore[attr-defined] # of ApiRun

    def stop(self) -> None:
        """Refuse: nobody listens to the Api; end its process.

        >>> tl.Api(example().dir).run("slow").stop()
        Traceback (most recent call last):
        tracklake.errors.QueryError: run 'slow' cannot be stopped from here: end its process (SIGTERM ends it as killed)
        """
        raise QueryError(f"run {self.id!r} cannot be stopped from here: end its process (SIGTERM ends it as killed)")

    def update_state(self, state: str) -> None:
        """Refuse: a state is how the process of a run ended.

        >>> tl.Api(example().dir).run("slow").update_state("pending")
        Traceback (most recent call last):
        tracklake.errors.QueryError: run 'slow' cannot be made 'pending' from here: its state is how its process ...
        """
        raise QueryError(
            f"run {self.id!r} cannot be made {state!r} from here: its state is how its process ended; "
            f"tracklake.init(id={self.id!r}, resume='must') goes on with it"
        )

    def upload_file(self, path: str, root: str = ".") -> None:  # noqa: ARG002 - as W&B
        """Refuse: files are saved while a run is open.

        >>> tl.Api(example().dir).run("slow").upload_file("a.txt")
        Traceback (most recent call last):
        tracklake.errors.QueryError: 'a.txt' cannot be added to run 'slow' from here: ...
        """
        raise QueryError(
            f"{path!r} cannot be added to run {self.id!r} from here: "
            f"with tracklake.init(id={self.id!r}, resume='must') as run: run.save({path!r})"
        )

    def download_history_exports(self, *_: object, **__: object) -> None:
        """Refuse: the history is Parquet already.

        >>> tl.Api(example().dir).run("slow").download_history_exports()
        Traceback (most recent call last):
        tracklake.errors.QueryError: the history is Parquet already: tracklake.open(dir).scan_history(runs='slow') ...
        """
        raise QueryError(
            f"the history is Parquet already: tracklake.open(dir).scan_history(runs={self.id!r}) reads it, complete"
        )

    def console_logs(self, *_: object, **__: object) -> list[str]:
        """Return nothing: the console is not captured.

        >>> tl.Api(example().dir).run("slow").console_logs()
        []
        """
        return []

    def to_html(self, *_: object, **__: object) -> str:
        """Return its card as HTML.

        >>> tl.Api(example().dir).run("slow").to_html()[:1]
        '<'
        """
        return self._recorded._repr_html_()

    def display(self, *_: object, **__: object) -> bool:
        """Show nothing, say so once, and return False: `tracklake ui` shows runs.

        >>> tl.Api(example().dir).run("slow").display()
        False
        """
        warn_once("display", "tracklake: run.display() shows nothing; `tracklake ui` shows runs")
        return False

    def _artifacts(self) -> list[Artifact]:
        repository = Repository(self._recorded.storage)
        names = repository.names()
        manifests = [manifest for name in names for manifest in repository.versions(*name)]
        return [Artifact.stored(manifest, repository) for manifest in manifests]
