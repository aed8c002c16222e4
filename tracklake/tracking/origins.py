"""What a run begins from: its own earlier sessions, or the run that it is forked from.

What answers questions about a lake is imported where there is such a run: one that is new does without.
"""

from __future__ import annotations

from itertools import groupby
from numbers import Integral
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake import query
from tracklake.common.warnings import warn
from tracklake.compute.points import PSEUDO
from tracklake.errors import LakeError, RunError, RunExistsError, RunNotFoundError
from tracklake.schema import naming, run_fields, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import STORED, Stored
from tracklake.storage import table
from tracklake.storage.table.catalog import Catalog
from tracklake.tracking.run import Start
from tracklake.tracking.run_files import saved_files

if TYPE_CHECKING:
    from tracklake.schema.definition_statement import Statement
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.snapshot import Snapshot


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
    definitions: tuple[Statement, ...]


def possible_runs(storage: Storage, run_id: str | None) -> frozenset[str]:
    """Return which may be there of a run and the lake's own, by one look; LakeError only where it concerns the run.

    >>> sorted(possible_runs(example()._storage, "SLOW"))
    ['SLOW']
    """
    try:
        return Catalog(storage).possible_runs([LAKE_RUN] if run_id is None else [run_id, LAKE_RUN])
    except LakeError as error:
        if run_id is not None:
            raise
        _tell_undefined(error)
        return frozenset()


def find_run(storage: Storage, run_id: str) -> Before | None:
    """Look up what is there of a run; ids are compared without case. None if there is nothing.

    >>> storage = example()._storage
    >>> find_run(storage, "SLOW").run_id, find_run(storage, "nowhere")
    ('slow', None)
    """
    snapshot = _snapshot(storage, only=run_id)
    name = naming.safe_name(run_id)
    real_ids = [
        r for r in snapshot.sessions["run_id"].unique().to_list() if r != LAKE_RUN and naming.safe_name(r) == name
    ]
    if not real_ids:
        if run_id.casefold() in {deleted.casefold() for deleted in snapshot.deleted}:
            raise RunExistsError(
                f"run {run_id!r} was deleted: its id stays taken; lake.restore({run_id!r}) brings it back"
            )
        return None

    (real_id,) = real_ids
    runs = query.run_table.RunTable(query.summaries.Summaries(snapshot))
    wanted = ["project", "state", "runtime", *run_fields.TEXTS, "tags"]
    row = runs.select(runs=[real_id], wanted=wanted).row(0, named=True)
    steps = snapshot.states(["_step"], runs=[real_id])
    config = runs.config.of_runs([real_id]).select("key", *STORED)
    start = Start(
        step=int(steps["hi"].max()) + 1 if not steps.is_empty() else 0,  # type: ignore[arg-type] # an Int64 column
        config=naming.nest((naming.split(key), values.restore(*stored)) for key, *stored in config.iter_rows()),
        definitions=runs.summaries.defined.of_run(real_id).statements,
        names=tuple(snapshot.metrics_of([real_id])),
        fields={name: row[name] for name in (*run_fields.TEXTS, "tags") if row[name]},
        files=saved_files(snapshot.statements_of(StatementKind.FILE, run_id=real_id).select("key", "text").iter_rows()),
    )
    last = int(snapshot.files.filter(pl.col("run_id") == real_id)["last"].dt.epoch("us").max())  # type: ignore[arg-type]
    return Before(real_id, row["project"], row["state"] == "running", start, last, row["runtime"])


def find_parent(
    storage: Storage, fork_from: tuple[str, int] | str, before: Before | None, from_step: int | None
) -> Parent:
    """Look up the run to fork from, and its rows below the step. Raises RunError, RunNotFoundError, RunExistsError.

    >>> parent = find_parent(example()._storage, ("slow", 2), None, None)
    >>> [(step, row["loss"].value) for step, row in parent.rows]
    [(0, 2.0), (1, 1.0)]
    """
    given_id, step = _fork_point(fork_from)
    if before is not None:
        raise RunExistsError(f"fork_from begins a new run, but there is a run {before.run_id!r}; choose another id")
    if from_step is not None:
        raise RunError("from_step rewinds a run that is there, fork_from begins a new one: give one of the two")
    snapshot = _snapshot(storage, only=given_id)
    run_ids = [r for r in snapshot.sessions["run_id"].unique() if r != LAKE_RUN]
    real_ids = [r for r in run_ids if naming.safe_name(r) == naming.safe_name(given_id)]
    if not real_ids:
        everywhere = _snapshot(storage).sessions["run_id"].unique()
        raise RunNotFoundError.nearest("run", given_id, [r for r in everywhere if r != LAKE_RUN])

    states = snapshot.states(runs=real_ids)["metric"].to_list()
    copied = [name for name in states if name not in PSEUDO]
    rows = snapshot.resolved([*copied, "_timestamp"], runs=real_ids).filter(pl.col("step") < step)
    ran = snapshot.resolved(["_runtime"], runs=real_ids).filter(pl.col("step") < step)["value"].max()
    own = set(snapshot.statements_of(StatementKind.DEFINE, run_id=real_ids[0])["key"])
    in_force = query.summaries.Summaries(snapshot).defined.of_run(real_ids[0])
    definitions = tuple(in_force[name].as_statement() for name in in_force if name in own)
    return Parent(real_ids[0], step, _by_step(rows), float(ran or 0.0), definitions)  # type: ignore[arg-type] # a Float64


def lake_definitions(storage: Storage, project: str) -> tuple[Statement, ...]:
    """Return the definitions of the lake that a new run of a project begins with, in order.

    >>> lake = example()
    >>> lake.define_metric("loss", step_metric="epoch")
    >>> [defined.step_metric for defined in lake_definitions(lake._storage, "example")]
    ['epoch']
    """
    try:
        return query.definitions_in_force.of_lake(_snapshot(storage, only=LAKE_RUN), project).statements
    except LakeError as error:
        _tell_undefined(error)
        return ()


def _snapshot(storage: Storage, *, only: str | None = None) -> Snapshot:
    return table.snapshot_reader.SnapshotReader(storage, only=only).snapshot()


def _tell_undefined(error: LakeError) -> None:
    """Warn, and go on: a training is worth more than a step metric that is not filled in."""
    warn(f"tracklake: step metrics that the lake defines are not filled in: {error}")


def _fork_point(fork_from: object) -> tuple[str, int]:
    """Read (run_id, step), or as W&B writes it "run_id?_step=5"."""
    spec = fork_from
    if isinstance(spec, str) and "?_step=" in spec:
        run_id, _, text = spec.rpartition("?_step=")
        spec = (run_id, int(text)) if text.removeprefix("-").isdecimal() else spec
    pair: Any = spec if isinstance(spec, tuple | list) and len(spec) == 2 else (None, None)  # noqa: PLR2004
    run_id, step = pair
    if not isinstance(run_id, str) or isinstance(step, bool) or not isinstance(step, Integral):
        raise RunError(f"fork_from={fork_from!r}; accepted are (run_id, step) and 'run_id?_step=5'")
    return run_id, int(step)


def _by_step(points: pl.DataFrame) -> list[tuple[int, dict[str, Stored]]]:
    """Return the rows of resolved points, by step."""
    ordered = points.sort("step", "metric").select("step", "metric", *STORED)
    return [
        (step, {metric: Stored(*stored) for _, metric, *stored in row})
        for step, row in groupby(ordered.iter_rows(), key=itemgetter(0))
    ]
