"""The writing side of a run: what training code says becomes statements in a journal."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import polars as pl

from tracklake import fields, host, keys, sealing, values
from tracklake.catalog import Catalog
from tracklake.definitions import Definitions, Statement, statement
from tracklake.errors import RunFinishedError, TracklakeError
from tracklake.live import LiveSummary
from tracklake.mappings import Config, Summary
from tracklake.process import KILLED, TERMINATED, open_runs
from tracklake.row_log import RowLog
from tracklake.snapshot import SnapshotReader
from tracklake.summaries import Summaries
from tracklake.values import Kind, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from tracklake.definitions import MetricDefinition
    from tracklake.journal import Journal
    from tracklake.mappings import Change
    from tracklake.storage import Storage


class Start(NamedTuple):
    """How a session begins: where the run stands, and what its earlier sessions said."""

    step: int = 0
    config: dict[str, Any] | None = None
    definitions: tuple[Statement, ...] = ()


class Run:
    """A run that is being written: log rows, define metrics, read and set the summary and the config.

    Made by `tracklake.init`. A context manager: leaving it finishes the run, an exception marks it failed.
    """

    def __init__(
        self,
        *,
        run_id: str,
        project: str,
        storage: Storage,
        open_journal: Callable[[bool], Journal],
        start: Start,
        fields: Mapping[str, Any],
    ) -> None:
        self._id = run_id
        self._project = project
        self._storage = storage
        self._open_journal = open_journal
        self._fields = dict(fields)
        self._lock = threading.RLock()
        self._reader: SnapshotReader | None = None
        self._sealer: threading.Thread | None = None
        self._catalog: Catalog | None = None
        self._finished = False
        self._said = list(start.definitions)
        self._definitions = Definitions(self._said)
        self._rows = RowLog(
            step=start.step,
            definitions=self._definitions,
            journal=self._open,
            logged=self._logged,
            warn=self._warn_once,
        )
        self._warned: set[str] = set()
        self._journal: Journal | None = None
        self._live: LiveSummary | None = None
        self.config = Config(start.config or {}, say=self._say)
        self.summary = Summary(entries=self._entries, say=self._say, folder=storage.root)
        self._begin(forked=False)
        if fields:
            self._field_items(fields)

    @property
    def id(self) -> str:
        """The run's id, unique in the lake."""
        return self._id

    @property
    def project(self) -> str:
        """The project it belongs to."""
        return self._project

    @property
    def name(self) -> str:
        """The display name; the id if none was given."""
        return str(self._fields.get("name") or self._id)

    @property
    def group(self) -> str | None:
        """The group it belongs to."""
        return self._fields.get("group")

    @property
    def job_type(self) -> str | None:
        """What kind of job it is."""
        return self._fields.get("job_type")

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags; assign to change them."""
        return tuple(self._fields.get("tags") or ())

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._field_items({"tags": tags})

    @property
    def notes(self) -> str | None:
        """Notes about it; assign to change them."""
        return self._fields.get("notes")

    @notes.setter
    def notes(self, notes: str) -> None:
        self._field_items({"notes": notes})

    @property
    def dir(self) -> str:
        """The folder of the lake."""
        return str(self._storage.root)

    @property
    def url(self) -> str:
        """Where the run lies, as W&B scripts like to print."""
        return f"{self._storage.root.resolve().as_uri()}#{self._id}"

    @property
    def step(self) -> int:
        """The current step: that of the next row."""
        return self._rows.step

    @property
    def unsaved(self) -> int:
        """Rows held in memory because the disk is full; they are written as soon as there is room."""
        return self._journal.unsaved if self._journal else 0

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:  # noqa: FBT001 - as W&B
        """Log the values of one row.

        Without `step` the row is committed and the step advances by one. With it the row stays open for more values
        until a higher step comes, unless `commit=True`; `commit=False` keeps it open either way. A step below the
        current one is a late row: its values replace those of the same keys there. Nested dicts become dotted names.
        A value that cannot be stored is left out with one warning; keys that are no strings raise TypeError, as does a
        step that is no int; nothing is logged then. When `log` returns, the row survives the death of the process.
        """
        with self._lock:
            self._rows.log(data, step, commit=commit)

    def define_metric(
        self,
        name: str | Definition,
        step_metric: str | Definition | None = None,
        step_sync: bool | None = None,  # noqa: FBT001 - as W&B
        hidden: bool | None = None,  # noqa: FBT001 - as W&B
        summary: str | Iterable[str] | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,  # noqa: FBT001 - as W&B
        objective: str | None = None,
    ) -> Definition:
        """Say how a metric, or all that a glob matches, is summarized.

        `summary`: min, max, mean, best, last, first, none, std, sum or count, several with commas; best needs `goal`
        (or `objective`), "min" or "max". It counts for points logged before as well. `step_metric` is the metric's x
        axis; with `step_sync` (the default beside it) rows that lack it get its latest number. `hidden` leaves the
        metric out of default columns. Calls for one name merge, `overwrite=True` starts afresh. Raises DefinitionError.
        """
        with self._lock:
            text = getattr(name, "name", name)
            known = self._definitions.get(keys.metric_name(text)) if isinstance(text, str) else None
            said = statement(
                name,
                step_metric=step_metric,
                step_sync=step_sync,
                hidden=hidden,
                summary=summary,
                goal=goal,
                objective=objective,
                overwrite=overwrite,
                known_goal=known.goal if known else None,
            )
            self._say([("define", said.name, Stored(Kind.JSON, None, None, said.to_json()))])
            self._said.append(said)
            self._definitions = Definitions(self._said)
            self._rows.define(self._definitions)
            return Definition(said.name)

    @property
    def _metrics(self) -> dict[str, dict[str, Any]]:
        """The definitions by name, as mappings: `run._metrics[name].get("summary")`."""
        return {name: _as_mapping(definition) for name, definition in self._definitions.items()}

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:  # noqa: ARG002, FBT001 - as W&B
        """End the run: state finished (exit code 0), else failed, or killed (130 and 143, as signals give).

        Raises UnsavedRowsError if rows still wait for room on a full disk; the run stays open then.
        """
        with self._lock:
            if self._finished:
                return
            code = 0 if exit_code is None else int(exit_code)
            state = "finished" if code == 0 else "killed" if code in (KILLED, TERMINATED) else "failed"
            if self._journal is not None:
                items = [
                    ("state", Stored(Kind.TEXT, None, None, state)),
                    ("exit_code", Stored(Kind.INT, code, code, None)),
                ]
                self._journal.finish(items)
            self._finished = True
            self._rows.end()
            self._forget_live()
            open_runs.drop(self)
        if state == "killed" or host.engine.is_lost:  # no time, or no means to seal: the next who finishes does
            return
        if self._sealer is not None:
            self._sealer.join()
        self._seal(only_gathered=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(exit_code=_code_of(error))

    def __repr__(self) -> str:
        return f"Run(id={self._id!r}, project={self._project!r}, step={self.step})"

    def leave_to_parent(self) -> None:
        """Let go of the journal in the child of a fork; a later `log` here opens a session of its own."""
        self._lock = threading.RLock()
        if self._journal is not None:
            self._journal.abandon()
        self._rows.end()
        self._forget_live()
        self._journal = self._reader = self._sealer = self._catalog = None

    def keep_alive(self, *, beat: bool) -> None:
        """Write what is buffered and, on a beat, give a sign of life."""
        with self._lock:
            if self._journal is None or self._finished:
                return
            try:
                self._journal.flush()
                if beat:
                    self._journal.touch()
            except (OSError, TracklakeError) as error:
                self._warn_once("keep_alive", f"tracklake: {error}")

    def _begin(self, *, forked: bool) -> Journal:
        """Open this process's journal."""
        journal = self._journal = self._open_journal(forked)
        open_runs.add(self)
        journal.step = lambda: self._rows.step
        journal.on_forget = self._rows.forget
        journal.on_rotate = self._seal_aside
        self._rows.begin(journal)
        return journal

    def _open(self) -> Journal:
        if self._finished:
            msg = (
                f"run {self._id!r} is finished: it takes no more; init(id={self._id!r}, resume='allow') goes on with it"
            )
            raise RunFinishedError(msg)
        return self._journal or self._begin(forked=True)

    def _say(self, changes: list[Change]) -> None:
        with self._lock:
            journal = self._open()
            start = 0
            for i in range(1, len(changes) + 1):
                if i == len(changes) or changes[i][0] != changes[start][0]:
                    journal.say(changes[start][0], [(key, stored) for _, key, stored in changes[start:i]])
                    start = i

    def _field_items(self, changes: Mapping[str, Any]) -> None:
        said = {key: fields.check(key, value) for key, value in changes.items() if value is not None}
        if said:
            self._say([("field", key, values.store_exact(value, name=key)) for key, value in said.items()])
            self._fields |= said

    def _warn_once(self, about: str, message: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            warnings.warn(message, stacklevel=6)

    def _snapshot(self) -> Summaries:
        """Return the view over this run alone, as any reader would see it now."""
        with self._lock:
            if self._journal is not None and not self._finished:
                self._journal.flush()
            if self._reader is None:
                self._reader = SnapshotReader(self._storage, only=self._id)
            return Summaries(self._reader.snapshot())

    def _entries(self, name: str | None) -> dict[str, Any]:
        """Return the entries of the summary: read on in the journal, or if that would not be exact, from the lake."""
        with self._lock:
            if self._journal is not None and not self._finished:
                self._journal.flush()
                if self._live is None:
                    self._live = LiveSummary(self._storage, self._id, self._project, self._journal)
                entries = self._live.entries(name)
                if entries is not None:
                    return entries
            return self._snapshot().of_run(self._id)

    def _forget_live(self) -> None:
        if self._live is not None:
            self._live.close()
        self._live = None

    def _logged(self, metric: str, step: int | None) -> Stored | None:
        """Look up what was logged of a metric at a step; with None the number that was logged last."""
        found = self._snapshot().snapshot.resolved([metric], runs=[self._id])
        if step is not None:
            found = found.filter((pl.col("step") == step) & (pl.col("kind") != Kind.NULL))
        else:
            found = found.filter(pl.col("value").is_not_null()).sort("ts", maintain_order=True)
        rows = found.select("kind", "value", "ival", "text").rows()
        return Stored(*rows[-1]) if rows else None

    def _seal_aside(self) -> None:
        """Seal files that were ended because they grew, beside the training loop."""
        if host.engine.is_lost or (self._sealer is not None and self._sealer.is_alive()):
            return
        self._sealer = threading.Thread(target=self._seal, name="tracklake-seal", daemon=True)
        self._sealer.start()

    def _seal(self, *, only_gathered: bool = False) -> None:
        """Seal complete journals; whatever goes wrong is left to the next who tries, and never stops the training."""
        try:
            if not only_gathered or sealing.is_gathered(self._storage):
                self._catalog = self._catalog or Catalog(self._storage)
                sealing.seal(self._catalog, live=False)
        except Exception as error:  # noqa: BLE001 - the rows are safe in the journals; nothing here is worth a training
            warnings.warn(f"tracklake: sealing was put off: {type(error).__name__}: {error}", stacklevel=2)


class Definition(NamedTuple):
    """What `define_metric` returns; it may be given as `name` or `step_metric` of later calls."""

    name: str


def _code_of(error: BaseException | None) -> int:
    if error is None:
        return 0
    if isinstance(error, KeyboardInterrupt):
        return KILLED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    return 1


def _as_mapping(definition: MetricDefinition) -> dict[str, Any]:
    """Return what was said of a metric, leaving out what was not."""
    said: dict[str, Any] = {"name": definition.name, "step_metric": definition.step_metric, "goal": definition.goal}
    said["summary"] = "none" if definition.none else ",".join(definition.kinds)
    said["hidden"] = definition.hidden
    return {key: value for key, value in said.items() if value}
