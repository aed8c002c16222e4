"""How a run starts: where its lake is, which id it has, and whether it goes on with sessions that were there."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from itertools import groupby
from numbers import Integral
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import polars as pl

from tracklake.common import arguments
from tracklake.compute.points import PSEUDO
from tracklake.errors import RunError, RunExistsError, RunNotFoundError
from tracklake.query.run_table import RunTable
from tracklake.query.summaries import Summaries
from tracklake.schema import naming, nesting, run_fields, values
from tracklake.schema.definitions import Statement
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import Stored
from tracklake.storage import layout
from tracklake.storage.journal import host
from tracklake.storage.journal.clock import Clock
from tracklake.storage.journal.writer import Durability
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.snapshot_reader import SnapshotReader
from tracklake.tracking.open_runs import is_interactive, open_runs
from tracklake.tracking.row_writer import checked_step
from tracklake.tracking.run import Run, Start
from tracklake.tracking.run_mappings import Config

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from tracklake.storage.backend import Storage

Resume = Literal["allow", "must", "never", "auto"] | bool | None
Mode = Literal["online", "offline", "disabled", "shared"] | None
Reinit = Literal["default", "create_new", "finish_previous", "return_previous"] | bool | None
_SYLLABLES = [a + b for a in "bdfghjklmnprstvz" for b in "aeiou"]


class Before(NamedTuple):
    """What is there of a run before this session: its project, whether a session is live, and where it stands."""

    run_id: str
    project: str
    live: bool
    start: Start
    last: int
    runtime: float


class Parent(NamedTuple):
    """The run from which another is forked: its rows below the step."""

    run_id: str
    step: int
    rows: list[tuple[int, dict[str, Stored]]]
    runtime: float


def init(
    project: str | None = run_fields.UNCATEGORIZED,
    *,
    config: object = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Iterable[str] | None = (),
    notes: str | None = None,
    id: str | None = None,  # noqa: A002 - the name that W&B users know
    entity: str | None = None,
    resume: Resume = None,
    from_step: int | None = None,
    fork_from: tuple[str, int] | str | None = None,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as W&B
    mode: Mode = None,
    reinit: Reinit = None,
    settings: Mapping[str, object] | None = None,
    system_metrics: bool | None = False,
    durability: Durability = "write",
) -> Run:
    """Start a run and make it the current one; its values are logged with `run.log` or `tracklake.log`.

    The lake is `dir`, else $TRACKLAKE_DIR, else ./lake; it is made if it is not there. `id` is unique in the lake and
    random if not given. An id that has a live session is joined; one that has ended needs `resume="allow"` (or "must",
    which wants it to be there; "never" wants it not to be) and goes on after its last step, or with `from_step=k` from
    there, masking what it had logged from that step on. `fork_from=(run_id, step)` begins with a copy of another run's
    rows below that step. `system_metrics` samples processor, memory and graphics cards every 15 seconds into a stream
    of their own. `settings={"metadata": False}` leaves out what is noted of host, command line and git; other settings
    of W&B are accepted and mean nothing. `durability`: "write" survives the death of the process,
    "fsync" that of the machine, "buffered" neither, for up to a second. `mode="disabled"` logs into a folder that is
    thrown away. `reinit` says what becomes of a run that is current: "finish_previous" (or True; the default in a
    notebook, where a cell is run again), "return_previous" (or False), or "create_new" (the default in a script).
    Raises RunError, RunExistsError, RunNotFoundError, LakeError, ConfigError, TypeError, all before the run is there.

    >>> import tempfile
    >>> with init("quickstart", config={"lr": 0.1}, dir=tempfile.mkdtemp()) as run:
    ...     run.log({"loss": 0.5})
    >>> run.summary["loss"]
    0.5
    """
    project = run_fields.UNCATEGORIZED if project is None else run_fields.check_project(project)
    if not isinstance(settings, Mapping | None):
        raise arguments.refused("settings", "a mapping such as {'metadata': False}", settings)
    for word, given_word, accepted in (("durability", durability, Durability), ("mode", mode, Mode)):
        arguments.check_word(word, given_word, accepted, error=RunError)
    going_on: Resume = arguments.word("resume", resume, Resume, error=RunError)
    again: Reinit = arguments.word("reinit", reinit, Reinit, error=RunError)
    sampled = bool(arguments.word("system_metrics", system_metrics, bool | None, error=RunError))
    given_fields = {"name": name, "group": group, "job_type": job_type, "tags": tags, "notes": notes}
    said = {key: run_fields.check(key, value) for key, value in given_fields.items() if value}
    from_step = checked_step(from_step, "from_step")
    root = Path(tempfile.mkdtemp(prefix="tracklake-")) if mode == "disabled" else layout.root_of(dir)
    run_id = run_fields.check_run_id(id) if id is not None else _random_id()
    given = _checked_config(config)
    if (previous := _gone_on_with(again)) is not None:
        return previous
    storage = layout.create(root)
    before = _before(storage, run_id) if id is not None else None
    _check_resume(run_id, before, going_on, from_step, project)
    parent = None if fork_from is None else _parent(storage, fork_from, before, from_step)
    run = Run(
        run_id=before.run_id if before else run_id,
        project=before.project if before else project,
        storage=storage,
        clock=Clock(after=before.last if before else 0),
        durability=durability,
        header=_header(storage, before, parent, from_step),
        start=_start(before, parent, from_step),
        fields=said,
        entity=entity,
    )
    if given:
        run.config.update(given, allow_val_change=before is not None)
    run.start_asides(sample_system=sampled, metadata=(settings or {}).get("metadata", True) is not False)
    return run


def _start(before: Before | None, parent: Parent | None, from_step: int | None) -> Start:
    """Return where the run goes on."""
    start = before.start if before else Start()
    if before is not None and before.live:
        start = start._replace(step=0)
    if from_step is not None:
        start = start._replace(step=from_step)
    if parent is not None:
        start = start._replace(step=parent.step, rows=parent.rows)
    return start


def _header(storage: Storage, before: Before | None, parent: Parent | None, from_step: int | None) -> dict[str, object]:
    """Return what the session tells of itself at its beginning."""
    header: dict[str, object] = {"lake": layout.read_id(storage), "node": host.NODE}
    if before is not None:
        header["runtime_base"] = before.runtime
    if parent is not None:
        header |= {"parent": parent.run_id, "fork_step": parent.step, "runtime_base": parent.runtime}
    if from_step is not None:
        header["from_step"] = from_step
    return header


def _before(storage: Storage, run_id: str) -> Before | None:
    """Look up what is there of a run; ids are compared without case."""
    if not Catalog(storage).has_run(run_id):
        return None
    snapshot = SnapshotReader(storage, only=run_id).snapshot()
    name = naming.safe_name(run_id)
    known = [r for r in snapshot.sessions["run_id"].unique().to_list() if r != LAKE_RUN and naming.safe_name(r) == name]
    if not known:
        return None
    (real_id,) = known
    table = RunTable(Summaries(snapshot))
    wanted = ["project", "state", "runtime", *run_fields.TEXTS, "tags"]
    found = table.select(runs=[real_id], wanted=wanted).row(0, named=True)
    steps = snapshot.states(["_step"], runs=[real_id])
    said = snapshot.statements_of(StatementKind.DEFINE, run_id=real_id)
    config = table.config.filter(pl.col("run_id") == real_id).select("key", "kind", "value", "ival", "text")
    start = Start(
        step=int(steps["hi"].max()) + 1 if not steps.is_empty() else 0,  # type: ignore[arg-type] # an Int64 column
        config=naming.nest((naming.split(key), values.restore(*stored)) for key, *stored in config.iter_rows()),
        definitions=tuple(Statement.from_json(text) for text in said["text"]),
        fields={name: found[name] for name in (*run_fields.TEXTS, "tags") if found[name]},
    )
    last = int(snapshot.files.filter(pl.col("run_id") == real_id)["last"].dt.epoch("us").max())  # type: ignore[arg-type]
    return Before(real_id, found["project"], found["state"] == "running", start, last, found["runtime"])


def _parent(storage: Storage, fork_from: tuple[str, int] | str, before: Before | None, from_step: int | None) -> Parent:
    """Look up the run to fork from, and its rows below the step."""
    given_id, step = _fork_point(fork_from)
    if before is not None:
        raise RunExistsError(f"fork_from begins a new run, but there is a run {before.run_id!r}; choose another id")
    if from_step is not None:
        raise RunError("from_step rewinds a run that is there, fork_from begins a new one: give one of the two")
    snapshot = SnapshotReader(storage, only=given_id).snapshot()
    known = [r for r in snapshot.sessions["run_id"].unique() if r != LAKE_RUN]
    found = [r for r in known if naming.safe_name(r) == naming.safe_name(given_id)]
    if not found:
        everywhere = SnapshotReader(storage).snapshot().sessions["run_id"].unique()
        raise RunNotFoundError.nearest("run", given_id, [r for r in everywhere if r != LAKE_RUN])
    states = snapshot.states(runs=found)["metric"].to_list()
    copied = [name for name in states if name not in PSEUDO]
    rows = snapshot.resolved([*copied, "_timestamp"], runs=found).filter(pl.col("step") < step)
    ran = snapshot.resolved(["_runtime"], runs=found).filter(pl.col("step") < step)["value"].max()
    return Parent(found[0], step, _by_step(rows), float(ran or 0.0))  # type: ignore[arg-type] # a Float64 column


def _fork_point(fork_from: object) -> tuple[str, int]:
    """Read (run_id, step), or as W&B writes it "run_id?_step=5"."""
    given = fork_from
    if isinstance(given, str) and "?_step=" in given:
        run_id, _, text = given.rpartition("?_step=")
        given = (run_id, int(text)) if text.removeprefix("-").isdecimal() else given
    pair: Any = given if isinstance(given, tuple | list) and len(given) == 2 else (None, None)  # noqa: PLR2004
    run_id, step = pair
    if not isinstance(run_id, str) or isinstance(step, bool) or not isinstance(step, Integral):
        raise RunError(f"fork_from={fork_from!r}; accepted are (run_id, step) and 'run_id?_step=5'")
    return run_id, int(step)


def _by_step(points: pl.DataFrame) -> list[tuple[int, dict[str, Stored]]]:
    """Return the rows of resolved points, by step."""
    ordered = points.sort("step", "metric").select("step", "metric", "kind", "value", "ival", "text")
    return [
        (step, {metric: Stored(*stored) for _, metric, *stored in row})
        for step, row in groupby(ordered.iter_rows(), key=itemgetter(0))
    ]


def _check_resume(run_id: str, before: Before | None, resume: Resume, from_step: int | None, project: str) -> None:
    """Refuse a start that `resume` does not allow, before anything is written."""
    if before is None:
        if resume == "must":
            raise RunNotFoundError(
                f"resume='must', but there is no run {run_id!r}; resume='allow' starts it if need be"
            )
        if from_step is not None:
            raise RunNotFoundError(f"from_step={from_step} rewinds a run that is there; there is no run {run_id!r}")
        return
    if resume == "never":
        raise RunExistsError(f"resume='never', but there is a run {before.run_id!r}; choose another id")
    if resume in (None, False) and from_step is None and not before.live:
        raise RunExistsError(
            f"there is a run {before.run_id!r} already, and it has ended; go on with it by resume='allow', "
            "rewind it by from_step=k, or choose another id"
        )
    if project not in (run_fields.UNCATEGORIZED, before.project):
        raise RunError(f"run {before.run_id!r} belongs to project {before.project!r}, not to {project!r}")


def _checked_config(config: object) -> dict[str, Any]:
    """Return the config as a dict, refusing what cannot be stored before the run is there."""
    given = nesting.as_mapping(config)
    Config({}, say=lambda _: None).update(given)
    return given


def _random_id() -> str:
    """Return a short id that can be read aloud, one of 4e11."""
    word = "".join(secrets.choice(_SYLLABLES) for _ in range(2))
    other = "".join(secrets.choice(_SYLLABLES) for _ in range(2))
    return f"{word}-{other}-{secrets.randbelow(10_000):04d}"


def _gone_on_with(reinit: Reinit) -> Run | None:
    """Return the current run if no other is to begin; finish it if it is to be over then."""
    current: Run | None = open_runs.current
    if reinit in (False, "return_previous"):
        return current
    again = is_interactive() and reinit in (None, "default")  # most likely a cell is run again
    if current is not None and (again or reinit in (True, "finish_previous")):
        current.finish()
    return None
