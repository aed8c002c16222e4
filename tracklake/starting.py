"""How a run starts: where its lake is, which id it has, and whether it goes on with sessions that were there."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import polars as pl

from tracklake import fields, host, keys, lake_files, values
from tracklake.catalog import Catalog
from tracklake.clock import Clock
from tracklake.definitions import Statement
from tracklake.errors import RunError, RunExistsError, RunNotFoundError
from tracklake.journal import FOLDER, Durability, Journal
from tracklake.mappings import Config, as_mapping
from tracklake.process import open_runs
from tracklake.row_log import checked_step
from tracklake.run_table import RunTable
from tracklake.schema import LAKE_RUN
from tracklake.snapshot import SnapshotReader
from tracklake.summaries import Summaries
from tracklake.writer import Run, Start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklake.storage import Storage

Resume = Literal["allow", "must", "never", "auto"] | bool | None
Mode = Literal["online", "offline", "disabled", "shared"] | None
UNCATEGORIZED = "uncategorized"
_SYLLABLES = [a + b for a in "bdfghjklmnprstvz" for b in "aeiou"]


class Before(NamedTuple):
    """What is there of a run before this session: its project, whether a session is live, and where it stands."""

    run_id: str
    project: str
    live: bool
    start: Start
    last: int
    runtime: float


def init(
    project: str = UNCATEGORIZED,
    *,
    config: object = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Iterable[str] | None = (),
    notes: str | None = None,
    id: str | None = None,  # noqa: A002 - the name that W&B users know
    entity: str | None = None,  # noqa: ARG001 - accepted and ignored: there are no accounts
    resume: Resume = None,
    from_step: int | None = None,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as W&B
    mode: Mode = None,
    reinit: bool | str | None = None,
    settings: object = None,  # noqa: ARG001 - accepted and ignored
    durability: Durability = "write",
) -> Run:
    """Start a run and make it the current one; its values are logged with `run.log` or `tracklake.log`.

    The lake is `dir`, else $TRACKLAKE_DIR, else ./lake; it is made if it is not there. `id` is unique in the lake and
    random if not given. An id that has a live session is joined; one that has ended needs `resume="allow"` (or "must",
    which wants it to be there; "never" wants it not to be) and goes on after its last step, or with `from_step=k` from
    there, masking what it had logged from that step on. `durability`: "write" survives the death of the process,
    "fsync" that of the machine, "buffered" neither, for up to a second. `mode="disabled"` logs into a folder that is
    thrown away. `reinit=True` finishes the run that was current. Raises RunExistsError, RunNotFoundError, LakeError,
    ConfigError, TypeError, all before the run is there.

    >>> import tempfile
    >>> with init("quickstart", config={"lr": 0.1}, dir=tempfile.mkdtemp()) as run:
    ...     run.log({"loss": 0.5})
    >>> run.summary["loss"]
    0.5
    """
    keys.check_project(project)
    _check("durability", durability, get_args(Durability))
    _check("resume", resume, (None, True, False, "allow", "must", "never", "auto"))
    _check("mode", mode, (None, "online", "offline", "disabled", "shared"))
    previous: Run | None = open_runs.current
    if reinit in (True, "finish_previous") and previous is not None:
        previous.finish()
    if reinit in (False, "return_previous") and previous is not None:
        return previous
    given_fields = {"name": name, "group": group, "job_type": job_type, "tags": tags, "notes": notes}
    said = {key: fields.check(key, value) for key, value in given_fields.items() if value}
    from_step = checked_step(from_step, "from_step")
    root = Path(tempfile.mkdtemp(prefix="tracklake-")) if mode == "disabled" else lake_files.root_of(dir)
    run_id = keys.check_run_id(id) if id is not None else _random_id()
    given = _checked_config(config)
    storage = lake_files.create(root)
    before = _before(storage, run_id) if id is not None else None
    _check_resume(run_id, before, resume, from_step, project)
    run = _start(storage, before, run_id, project, durability, from_step, said)
    if given:
        run.config.update(given, allow_val_change=before is not None)
    return run


def _start(
    storage: Storage,
    before: Before | None,
    run_id: str,
    project: str,
    durability: Durability,
    from_step: int | None,
    said: dict[str, Any],
) -> Run:
    start = before.start if before else Start()
    if before is not None and before.live:
        start = start._replace(step=0)
    if from_step is not None:
        start = start._replace(step=from_step)
    clock = Clock(after=before.last if before else 0)
    header: dict[str, object] = {"lake": lake_files.read_id(storage), "node": host.NODE, "pid": os.getpid()}
    if before is not None:
        header["runtime_base"] = before.runtime
    if from_step is not None:
        header["from_step"] = from_step
    real_id, real_project = (before.run_id, before.project) if before else (run_id, project)

    def open_journal(forked: bool) -> Journal:  # noqa: FBT001 - a callback of one argument
        facts = header | {"pid": os.getpid()}
        if forked:  # a session beside that of the parent: it takes nothing back of what the parent logged
            facts = {key: fact for key, fact in facts.items() if key != "from_step"} | {"forked": True}
        return Journal(
            storage.path(FOLDER), run_id=real_id, project=real_project, clock=clock, durability=durability, header=facts
        )

    return Run(
        run_id=real_id, project=real_project, storage=storage, open_journal=open_journal, start=start, fields=said
    )


def _before(storage: Storage, run_id: str) -> Before | None:
    """Look up what is there of a run; ids are compared without case."""
    if not Catalog(storage).has_run(run_id):
        return None
    snapshot = SnapshotReader(storage, only=run_id).snapshot()
    name = keys.safe_name(run_id)
    known = [r for r in snapshot.sessions["run_id"].unique().to_list() if r != LAKE_RUN and keys.safe_name(r) == name]
    if not known:
        return None
    (real_id,) = known
    summaries = Summaries(snapshot)
    table = RunTable(summaries)
    found = table.select(runs=[real_id], wanted=["project", "state", "runtime"]).row(0, named=True)
    steps = snapshot.states(["_step"], runs=[real_id])
    said = snapshot.statements.filter((pl.col("run_id") == real_id) & (pl.col("said") == "define")).sort(
        "ts", "session"
    )
    config = table.config.filter(pl.col("run_id") == real_id).select("key", "kind", "value", "ival", "text")
    start = Start(
        step=int(steps["hi"].max()) + 1 if not steps.is_empty() else 0,  # type: ignore[arg-type] # an Int64 column
        config=keys.nest((keys.split(key), values.restore(*stored)) for key, *stored in config.iter_rows()),
        definitions=tuple(Statement.from_json(text) for text in said["text"]),
    )
    last = int(snapshot.files.filter(pl.col("run_id") == real_id)["last"].dt.epoch("us").max())  # type: ignore[arg-type]
    return Before(real_id, found["project"], found["state"] == "running", start, last, found["runtime"])


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
    if project not in (UNCATEGORIZED, before.project):
        raise RunError(f"run {before.run_id!r} belongs to project {before.project!r}, not to {project!r}")


def _checked_config(config: object) -> dict[str, Any]:
    """Return the config as a dict, refusing what cannot be stored before the run is there."""
    given = as_mapping(config)
    Config({}, say=lambda _: None).update(given)
    return given


def _random_id() -> str:
    """Return a short id that can be read aloud, one of 4e11."""
    word = "".join(secrets.choice(_SYLLABLES) for _ in range(2))
    other = "".join(secrets.choice(_SYLLABLES) for _ in range(2))
    return f"{word}-{other}-{secrets.randbelow(10_000):04d}"


def _check(name: str, given: object, accepted: tuple[object, ...]) -> None:
    if given not in accepted:
        msg = f"{name}={given!r}; accepted are {', '.join(map(repr, accepted))}"
        raise RunError(msg)
