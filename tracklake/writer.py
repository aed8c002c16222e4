"""The writing side of a run: what training code says becomes statements in a journal."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from operator import index
from struct import error as struct_error
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import polars as pl

from tracklake import host, keys, sealing, values, wire
from tracklake.catalog import Catalog
from tracklake.definitions import Definitions, Statement, statement
from tracklake.errors import RunFinishedError, TracklakeError, UnstorableValueError
from tracklake.mappings import Config, Summary
from tracklake.process import KILLED, TERMINATED, open_runs
from tracklake.snapshot import SnapshotReader
from tracklake.summaries import Summaries
from tracklake.values import Kind, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from tracklake.definitions import MetricDefinition
    from tracklake.journal import Journal
    from tracklake.mappings import Change
    from tracklake.storage import Storage

_PACKED = {float: "d", int: "q", bool: "?", np.float64: "d", np.float32: "d", np.int64: "q", np.int32: "q"}
"""Types whose values go into a packed row as they are."""
_LETTERS = {Kind.FLOAT: "d", Kind.INT: "q", Kind.BOOL: "?"}
_DISCARDED = ("_step", "_runtime")
_INT64 = range(-(1 << 63), 1 << 63)


class Start(NamedTuple):
    """How a session begins: where the run stands, and what its earlier sessions said."""

    step: int = 0
    config: dict[str, Any] | None = None
    definitions: tuple[Statement, ...] = ()


class _Plan(NamedTuple):
    """What to do with rows of the same keys and types: pack them as this key set."""

    key_set: wire.KeySet
    tracked: tuple[str, ...]
    """Step metrics among the keys, whose latest number later rows may need."""


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
        self._step = start.step
        self._said = list(start.definitions)
        self._definitions = Definitions(self._said)
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self._latest: dict[str, Stored] = {}
        self._warned: set[str] = set()
        self._journal: Journal | None = None
        self.config = Config(start.config or {}, say=self._say)
        self.summary = Summary(read=self._tree, say=self._say, folder=storage.root)
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
        self._field_items({"tags": list(tags)})

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
        return self._step

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
            try:
                plan = self._plans.get((*data, *map(type, data.values())))
            except (AttributeError, TypeError):
                plan = None
            if plan is None or (step is not None and type(step) is not int) or self._journal is None:
                self._log_slowly(data, _checked_step(step), commit=commit)
                return
            at = self._step if step is None else step
            try:
                frame = plan.key_set.row(self._journal.clock.tick(), at, data.values())  # type: ignore[arg-type]
            except struct_error:  # an int beyond int64
                self._log_slowly(data, _checked_step(step), commit=commit)
                return
            self._journal.append(frame)
            for name in plan.tracked:
                self._latest[name] = values.store(data[name], name=name)
            self._advance(at, step, commit=commit)

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
            text = name if isinstance(name, str) else name.name
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
            self._plans.clear()
            if said.step_metric and said.step_metric not in self._latest:
                self._find_latest(said.step_metric)
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
            self._plans.clear()
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
        return f"Run(id={self._id!r}, project={self._project!r}, step={self._step})"

    def leave_to_parent(self) -> None:
        """Let go of the journal in the child of a fork; a later `log` here opens a session of its own."""
        self._lock = threading.RLock()
        if self._journal is not None:
            self._journal.abandon()
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
        journal.step = lambda: self._step
        journal.on_forget = self._plans.clear
        journal.on_rotate = self._seal_aside
        self._plans.clear()
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

    def _field_items(self, fields: Mapping[str, Any]) -> None:
        items = [(key, values.store_exact(value, name=key)) for key, value in fields.items() if value not in (None, ())]
        if items:
            self._say([("field", key, stored) for key, stored in items])
            self._fields |= fields

    def _advance(self, at: int, step: int | None, *, commit: bool | None) -> None:
        """Move the current step as rule 2 has it."""
        if at < self._step:
            return
        committed = commit if commit is not None else step is None
        self._step = at + 1 if committed else at

    def _log_slowly(self, data: Mapping[str, Any], step: int | None, *, commit: bool | None) -> None:
        """Log a row of which the keys or types are new, or that has values that do not go into a packed row."""
        journal = self._open()
        if not isinstance(data, Mapping):
            msg = f"log takes a mapping of names to values, not {type(data).__name__}: run.log({{'loss': 0.5}})"
            raise TypeError(msg)
        flat = {_clean(name): value for name, value in keys.flatten(data).items() if name not in _DISCARDED}
        at = self._step if step is None else step
        row = self._stored(flat)
        synced = self._synced(row, at)
        packed = {name: stored for name, stored in synced.items() if stored.kind in _LETTERS}
        odd = [(name, stored) for name, stored in synced.items() if stored.kind not in _LETTERS]
        if not synced:
            odd = [("_step", Stored(Kind.INT, float(at), at, None))]
        stamp = journal.clock.tick()
        frames = []
        if packed:
            letters = "".join(_LETTERS[Kind(s.kind)] for s in packed.values())
            key_set, declaration = journal.declare(tuple(packed), letters)
            frames.append(declaration + key_set.row(stamp, at, [wire.plain(stored) for stored in packed.values()]))
            if len(packed) == len(flat) == len(data):
                self._remember(data, key_set)
        if odd:
            frames.append(wire.statement(stamp, "row", odd, step=at))
        journal.append(b"".join(frames))
        self._latest |= {n: s for n, s in packed.items() if n in self._definitions.step_metrics and s.kind != Kind.BOOL}
        self._advance(at, step, commit=commit)

    def _stored(self, flat: Mapping[str, Any]) -> dict[str, Stored]:
        row = {}
        for name, value in flat.items():
            try:
                row[name] = values.store(value, name=name)
            except UnstorableValueError as error:
                self._warn_once(name, f"tracklake: {error}; this value is left out, the rest of the row is kept")
        return row

    def _synced(self, row: dict[str, Stored], at: int) -> dict[str, Stored]:
        """Add the latest numbers of the step metrics that the row's metrics need and it lacks, chains resolved."""
        if not self._definitions.step_metrics:
            return row
        found = dict(row)
        waiting = list(row)
        while waiting:
            definition = self._definitions.resolve(waiting.pop())
            axis = definition.step_metric if definition is not None and definition.step_sync else None
            if axis is None or axis in found or (at < self._step and self._has(axis, at)):
                continue
            found[axis] = self._latest.get(axis, Stored(Kind.INT, 0.0, 0, None))
            waiting.append(axis)
        return found

    def _remember(self, data: Mapping[str, Any], key_set: wire.KeySet) -> None:
        """Let rows of these keys and types take the fast path, if they are packed just as they come."""
        letters = "".join(_PACKED.get(type(value), " ") for value in data.values())
        plain = letters == key_set.kinds and tuple(data) == key_set.names and type(data) is dict
        if plain:
            tracked = tuple(n for n in data if n in self._definitions.step_metrics)
            self._plans[*data, *map(type, data.values())] = _Plan(key_set, tracked)

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

    def _tree(self) -> dict[str, Any]:
        return self._snapshot().tree(self._id)

    def _find_latest(self, metric: str) -> None:
        """Look up the number of a step metric that was logged last, before it was known to be one."""
        found = self._snapshot().snapshot.resolved([metric], runs=[self._id]).filter(pl.col("value").is_not_null())
        if not found.is_empty():
            row = found.sort("ts").row(-1, named=True)
            self._latest[metric] = Stored(row["kind"], row["value"], row["ival"], None)

    def _has(self, metric: str, step: int) -> bool:
        found = self._snapshot().snapshot.resolved([metric], runs=[self._id])
        return bool((found["step"] == step).any())

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


def _checked_step(step: object) -> int | None:
    """Return a step as an int; numpy ints pass, bool, float and str do not."""
    if step is None:
        return None
    if isinstance(step, bool | np.bool_):
        msg = f"step must be an int, not {step!r}"
        raise TypeError(msg)
    try:
        number = index(step)  # type: ignore[arg-type] # that is what is checked here
    except TypeError:
        msg = f"step must be an int, not {type(step).__name__} {step!r}"
        raise TypeError(msg) from None
    if number not in _INT64:
        msg = f"step {number} is beyond the range of a 64-bit integer"
        raise ValueError(msg)
    return number


def _clean(name: str) -> str:
    """Replace what is no text (lone surrogates) in a name."""
    return name.encode("utf-8", "replace").decode()


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
