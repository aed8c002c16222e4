"""Rewriting: one set of partitions from another, with the same answers and without the points that no longer count."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.task_engine import run_tasks
from tracklake.compute import points, rewinds, scans, sorted_groups
from tracklake.errors import LakeError
from tracklake.schema import naming
from tracklake.schema.tables import POINTS, STATES
from tracklake.storage.journal import statements
from tracklake.storage.journal.statements import SessionRecords
from tracklake.storage.table import partitions, run_ranges
from tracklake.storage.table.partitions import Chunk
from tracklake.storage.table.verified_files import SIBLINGS, verified, verified_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.catalog import Catalog
    from tracklake.storage.table.delta_actions import Partition

MAX_POINTS = 20_000_000
MAX_BYTES = 256 << 20
"""What one partition holds at most; a run that is larger has one of its own."""
SETTLED_SECONDS = 7 * 24 * 3600
"""Silence after which no journal is expected any more that could mask what one session wrote over another's."""

_RUN = ["project", "run_id"]
_FILE = ["project", "run_id", "session", "n"]


@dataclass(frozen=True)
class Rewrite:
    """What is to become of some partitions."""

    inputs: Sequence[Partition]
    level: int
    purged: frozenset[str] = field(default_factory=frozenset)
    """Runs of which only the watermarks stay."""


def rewrite(catalog: Catalog, plan: Rewrite) -> Iterator[Partition]:
    """Write the partitions that take the place of others, each as it is done; cut by ranges of run ids.

    Points that another of the same session replaced, and those that a rewind masks, are left out; of several sessions
    at one step all stay until the run is settled. The watermarks are those of the inputs, all of them.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> catalog = lake._reader.catalog.copy()
    >>> version = catalog.refresh()
    >>> [part.n_points for part in rewrite(catalog, Rewrite(list(version.partitions.values()), level=1))]
    [12]
    """
    storage = catalog.storage
    for part in plan.inputs:
        for sibling in SIBLINGS:
            verified(storage, part, sibling)  # else damage would get a new and sound checksum
    parts = [partitions.read_sessions(storage, p) for p in plan.inputs]
    records, split = merged_records(parts), _split_runs(parts)
    settled = _settled(catalog, records)
    sizes = _sizes(storage, plan.inputs, records)
    bytes_a_point = sum(p.sizes[0] for p in plan.inputs) / max(1, sum(p.n_points for p in plan.inputs))
    most = min(MAX_POINTS, int(MAX_BYTES / max(bytes_a_point, 1)))
    cutoffs = rewinds.cutoffs(records.files, records.statements)
    tasks = [
        _Output(storage, plan, runs, _records_of(records, runs, plan.purged), cutoffs, settled, split)
        for runs in run_ranges.cut(sizes, most)
    ]
    yield from run_tasks(catalog.engine, _write_output, tasks)
    n_files = sum(task.records.files.height for task in tasks)
    if n_files != records.files.height:  # a watermark that is lost lets readers count a journal twice
        raise LakeError(f"of {records.files.height} watermarks {n_files} would be left; nothing was changed")


class _Output(NamedTuple):
    """One partition to be written: some runs of the inputs of a rewrite."""

    storage: Storage
    plan: Rewrite
    runs: pl.DataFrame
    records: SessionRecords
    cutoffs: pl.DataFrame
    settled: pl.Series
    split: pl.Series
    """Runs of which a session lies in several inputs."""


def _write_output(task: _Output) -> Partition:
    """Write a partition under an id of its own, so that a task that is run twice leaves a file that no commit names."""
    return partitions.write_chunks(task.storage, _chunks(task), task.records, level=task.plan.level)


def fitting(storage: Storage, inputs: Sequence[Partition]) -> list[Partition]:
    """Leave out partitions with which a single run would have more points than are sorted at once.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> parts = list(lake._reader.catalog.copy().refresh().partitions.values())
    >>> fitting(lake._storage, parts) == parts
    True
    """
    totals: dict[str, int] = {}
    chosen = []
    for part in inputs:
        counts = dict(_counts(storage, [part]).select("run_id", "points").iter_rows())
        if all(totals.get(run_id, 0) + count <= MAX_POINTS for run_id, count in counts.items()):
            totals |= {run_id: totals.get(run_id, 0) + count for run_id, count in counts.items()}
            chosen.append(part)
    return chosen


def merged_records(records: Sequence[SessionRecords]) -> SessionRecords:
    """Return the session records of many partitions as one: a row a journal file, with its largest watermark.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._reader.catalog.copy().refresh().partitions.values()
    >>> sessions = partitions.read_sessions(lake._storage, part)
    >>> merged_records([sessions, sessions]).statements.equals(sessions.statements)
    True
    """
    files, lines = statements.concat(list(records))
    merged = files.group_by(_FILE, maintain_order=True).agg(
        pl.col("sealed_through").max(), pl.col("complete").any(), pl.col("start").min(), pl.col("last").max()
    )
    key = ["run_id", "session", "n"]
    once = lines.unique(maintain_order=True).sort(*key, "ts", maintain_order=True)
    return SessionRecords(merged.select(list(statements.FILES)).sort(key), once)


def _settled(catalog: Catalog, records: SessionRecords) -> pl.Series:
    """Return the runs that have been silent for long, and have no journal left that a seal could bring."""
    waiting = {file.name.run for file in catalog.list_journals()}
    before = int((time.time() - SETTLED_SECONDS) * 1e6)
    last = records.files.group_by("run_id").agg(pl.col("last").dt.epoch("us").max())
    silent = last.filter(pl.col("last") < before)["run_id"]
    return pl.Series([r for r in silent if naming.safe_name(r) not in waiting], dtype=pl.String)


def _sizes(storage: Storage, inputs: Sequence[Partition], records: SessionRecords) -> pl.DataFrame:
    """Return project, run_id and points of each run of some partitions, sorted."""
    counted = _counts(storage, inputs)
    runs = pl.concat([records.files.select(_RUN), counted.select(_RUN)]).unique()
    return runs.join(counted, on=_RUN, how="left").with_columns(pl.col("points").fill_null(0)).sort(_RUN)


def _counts(storage: Storage, inputs: Sequence[Partition]) -> pl.DataFrame:
    """Return project, run_id and points of each run that has any."""
    files = verified_all(storage, inputs, "states")
    counts = scans.scan(files, schema=STATES).filter(~pl.col("metric").is_in(points.PSEUDO))
    return scans.collect(counts.group_by(_RUN).agg(pl.col("n_raw").sum().alias("points")))


def _records_of(records: SessionRecords, runs: pl.DataFrame, purged: Collection[str]) -> SessionRecords:
    files = records.files.join(runs, on=_RUN, how="semi", maintain_order="left")
    lines = records.statements.join(files, on=["run_id", "session", "n"], how="semi", maintain_order="left")
    return SessionRecords(files, lines.filter(~pl.col("run_id").is_in(list(purged))))


def _chunks(task: _Output) -> Iterator[Chunk]:
    """Yield the points of these runs that may still count, sorted, some runs at a time.

    The states of a run stay what they were, unless points of it are left out, or one of its sessions is split.
    """
    inputs, purged = task.plan.inputs, list(task.plan.purged)
    stored = scans.scan([task.storage.fetch(part.history) for part in inputs], schema=POINTS)
    known = scans.scan([task.storage.fetch(part.states) for part in inputs], schema=STATES)
    if purged:
        stored, known = (frame.filter(~pl.col("run_id").is_in(purged)) for frame in (stored, known))
    for runs in run_ranges.cut(task.runs, run_ranges.CHUNK_POINTS):
        unsorted, states = scans.collect_all([run_ranges.within(stored, runs), run_ranges.within(known, runs)])
        every = points.sort(unsorted)
        needed = resolved(every, cutoffs=task.cutoffs, settled=task.settled)
        changed = pl.concat([task.split, _shortened(every, needed)])
        yield _with_states(needed, states.sort("metric", "run_id", "session"), changed)


def _with_states(sorted_points: pl.DataFrame, states: pl.DataFrame, changed: pl.Series) -> Chunk:
    """Return a chunk with the states of all runs but those that have `changed`."""
    is_changed = pl.col("run_id").is_in(changed.implode())
    states = states.filter(~is_changed)
    return Chunk(sorted_points, states, sorted_points.filter(is_changed) if len(changed) else sorted_points.clear())


def _shortened(before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """Return the runs that have lost points."""
    if before.height == after.height:
        return pl.Series([], dtype=pl.String)
    counts = before.group_by("run_id").len().join(after.group_by("run_id").len(), on="run_id", how="left")
    return counts.filter(pl.col("len") != pl.col("len_right").fill_null(0))["run_id"]


def _split_runs(records: Sequence[SessionRecords]) -> pl.Series:
    """Return the runs of which a session lies in several partitions: their states overlap, or have to be merged."""
    sessions = pl.concat([record.files.select("run_id", "session").unique() for record in records])
    return sessions.filter(sessions.is_duplicated())["run_id"].unique()


def resolved(stored: pl.DataFrame, *, cutoffs: pl.DataFrame, settled: pl.Series) -> pl.DataFrame:
    """Leave out sorted points that can never count again: replaced within their session, or masked by a rewind.

    Of `settled` runs the one that another session wrote over is left out as well.

    >>> rows = [("p", "a", "x", 1, 7, ts, 0.5, None, None, 0) for ts in (10, 11)]
    >>> stored = pl.DataFrame(rows, schema=POINTS, orient="row")
    >>> none = pl.DataFrame(schema={"run_id": pl.String, "session": pl.Int64, "cutoff": pl.Int64})
    >>> resolved(stored, cutoffs=none, settled=pl.Series([], dtype=pl.String)).height
    1
    """
    stored = rewinds.unmasked_points(stored, cutoffs)
    place = ["run_id", "metric", "step"]
    is_first = sorted_groups.group_starts(stored, by=("project", *place))
    if is_first.all():
        return stored
    shared = stored.with_row_index("row").filter(~is_first | ~is_first.shift(-1, fill_value=True))
    last_of_session = shared.unique(["project", *place, "session"], keep="last", maintain_order=True)
    last_of_all = shared.unique(["project", *place], keep="last", maintain_order=True)
    is_settled = pl.col("run_id").is_in(settled.implode())
    survivors = pl.concat([last_of_session.filter(~is_settled), last_of_all.filter(is_settled)])["row"]
    dropped = shared.filter(~pl.col("row").is_in(survivors.implode()))["row"]
    return stored.with_row_index("row").filter(~pl.col("row").is_in(dropped.implode())).drop("row")
