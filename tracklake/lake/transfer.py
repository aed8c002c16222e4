"""Runs of one lake in another: merged without duplicates, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.common.progress import progress
from tracklake.compute import points
from tracklake.errors import LakeError
from tracklake.importers.publish import MAX_POINTS, Publication
from tracklake.schema import statistics
from tracklake.schema.tables import LAKE_RUN, POINTS
from tracklake.storage.journal.statements import FILES, STATEMENTS, SessionRecords
from tracklake.storage.layout import JOURNAL_SUFFIX, SYSTEM_FOLDER
from tracklake.storage.table.partitions import Contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklake.importers.publish import Imported
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.snapshot_reader import SnapshotReader
    from tracklake.storage.table.snapshot_view import SnapshotView

_SAME_POINT = ["session", "metric", "step", "ts", "value", "ival", "text", "kind"]
_COMPARED = ("n_raw", "n", "n_nan", "sum", "min", "max", "last_step", "last_value", "last_ival", "last_text")
_SAME_STATEMENT = ["session", "op", "key", "ts", "value", "ival", "text", "kind"]


def merge(reader: SnapshotReader, storage: Storage, *, other: SnapshotView, other_storage: Storage) -> Imported:
    """Copy the runs of another lake, with all that their sessions say, into this one by one commit.

    What is here already is not copied again: points and statements of the same session. A run whose id another run
    has here gets a suffix. Raises LakeError where a run is still running there.

    >>> here, there = tl.open("here", create=True), example()
    >>> merge(here._reader, here._storage, other=there._reader.snapshot(), other_storage=there._storage)
    Imported(runs=2, points=12, partitions=1)
    """
    publication = Publication(reader)
    other.whole("all of the other lake is merged")
    here = reader.snapshot().whole("what is there already has to be known before something is merged")
    names = _names(publication, here, other)
    with progress("merging points", total=None) as advance:
        publication.add_contents(_contents(here, other, names), advance=advance)
    imported = publication.commit()
    _copy_files(storage, other_storage)
    return imported


def _names(publication: Publication, here: SnapshotView, other: SnapshotView) -> dict[str, str]:
    """Return the id here of each run there: that of the run with which it shares a session, else a free one."""
    shared = here.files.select("session", pl.col("run_id").alias("own")).unique("session")
    pairs = other.files.join(shared, on="session", how="inner").unique("run_id")
    same_run = dict(pairs.select("run_id", "own").iter_rows())
    names = {}
    for run_id in other.files.filter(pl.col("run_id") != LAKE_RUN)["run_id"].unique().sort():
        first = str(_first_session(other, run_id))
        names[run_id] = same_run.get(run_id) or publication.recorded.free_id(run_id, of=first)
    return names


def _first_session(view: SnapshotView, run_id: str) -> int:
    return int(view.sessions.filter(pl.col("run_id") == run_id)["session"][0])


def _contents(here: SnapshotView, other: SnapshotView, names: Mapping[str, str]) -> Iterator[Contents]:
    """Yield what is new, a partition's worth of runs at a time."""
    alive = set(other.alive["run_id"]) & names.keys()
    if alive:
        raise LakeError(f"{', '.join(sorted(alive)[:3])} is still running there: merge when it has finished")
    counts = other.states(columns=["n_raw"]).group_by("run_id").agg(pl.col("n_raw").sum())
    sizes = dict(counts.iter_rows())
    batch: list[str] = []
    size = 0
    for run_id in sorted(names):
        if batch and size + sizes.get(run_id, 0) > MAX_POINTS:
            yield from _of_runs(here, other, batch, names)
            batch, size = [], 0
        batch.append(run_id)
        size += sizes.get(run_id, 0)
    if batch:
        yield from _of_runs(here, other, batch, names)


def _of_runs(
    here: SnapshotView, other: SnapshotView, run_ids: list[str], names: Mapping[str, str]
) -> Iterator[Contents]:
    rename = pl.col("run_id").replace(dict(names))
    own = [names[run_id] for run_id in run_ids]
    new_points = other.points(runs=run_ids).collect().with_columns(rename)
    new_points = _without(new_points, here.points(runs=own).collect(), _SAME_POINT)
    is_theirs, is_ours = pl.col("run_id").is_in(run_ids), pl.col("run_id").is_in(own)
    statements = other.statements.restricted(is_theirs).of().with_columns(rename)
    statements = _without(statements, here.statements.restricted(is_ours).of(), _SAME_STATEMENT)
    sessions = pl.concat([new_points["session"], statements["session"]]).unique()
    if sessions.is_empty():
        return
    files = other.files.filter(pl.col("session").is_in(sessions.implode()) & is_theirs).with_columns(rename)
    yield Contents(points.sort(new_points.select(list(POINTS))), _records(here, files, statements))


def _records(here: SnapshotView, files: pl.DataFrame, statements: pl.DataFrame) -> SessionRecords:
    """Return sessions as files of no journal: one a session, numbered after those that are here."""
    next_n = here.files.group_by("session").agg((pl.col("n").max() + 1).alias("next"))
    folded = files.group_by("project", "run_id", "session").agg(pl.col("start").min(), pl.col("last").max())
    numbered = folded.join(next_n, on="session", how="left").with_columns(
        pl.col("next").fill_null(0).cast(pl.Int32).alias("n"), sealed_through=pl.lit(0, pl.Int64), complete=True
    )
    numbers = numbered.select("session", "n")
    of_file = statements.drop("n").join(numbers, on="session", how="left", maintain_order="left")
    order = ["run_id", "session", "n"]
    return SessionRecords(
        numbered.select(list(FILES)).sort(order),
        of_file.select(list(STATEMENTS)).sort([*order, "ts"], maintain_order=True),
    )


def _without(frame: pl.DataFrame, present: pl.DataFrame, same: list[str]) -> pl.DataFrame:
    return frame.join(present, on=same, how="anti", nulls_equal=True, maintain_order="left")


def _copy_files(storage: Storage, other: Storage) -> None:
    """Copy arrays, by content, and streams of system metrics."""
    for folder, suffix in (("files", ""), (SYSTEM_FOLDER, JOURNAL_SUFFIX)):
        present = {entry.name for entry in storage.list(folder, suffix=suffix)}
        for entry in other.list(folder, suffix=suffix):
            if entry.name not in present:
                storage.put_if_absent(f"{folder}/{entry.name}", other.read(f"{folder}/{entry.name}"))


def difference(here: SnapshotView, other: SnapshotView) -> pl.DataFrame:
    """Return the runs in which two lakes differ: run_id, change, and of "differs" the metrics that do.

    `change` is "only here", "only there" or "differs"; points are compared by their states. A run of which both hold a
    session is one run, whatever its id in each, as where one of them is several lakes; its id is the one here.

    >>> snapshot = example()._reader.snapshot()
    >>> difference(snapshot, snapshot).height
    0
    """
    columns = list(_COMPARED)
    merged = list(
        dict.fromkeys([*columns, *statistics.columns("sum")])
    )  # sums are not merged without what adds to them
    ours, theirs = (view.states(columns=merged) for view in (here, other))
    sessions, sessions_there = (
        view.files.filter(pl.col("run_id") != LAKE_RUN).select("run_id", "session").unique() for view in (here, other)
    )
    shared = sessions_there.join(sessions, on="session", suffix="_here")
    names = dict(shared.select("run_id", "run_id_here").rows())
    theirs = theirs.with_columns(pl.col("run_id").replace(names))
    runs_here, runs_there = (
        sessions.select("run_id").unique(),
        sessions_there.select(pl.col("run_id").replace(names)).unique(),
    )
    same = ["run_id", "metric", *columns]
    changed = pl.concat(
        [
            ours.join(theirs, on=same, how="anti", nulls_equal=True).select("run_id", "metric"),
            theirs.join(ours, on=same, how="anti", nulls_equal=True).select("run_id", "metric"),
        ]
    ).unique()
    both = changed.join(runs_here, on="run_id", how="semi").join(runs_there, on="run_id", how="semi")
    only_here, only_there = (
        a.join(b, on="run_id", how="anti") for a, b in ((runs_here, runs_there), (runs_there, runs_here))
    )
    differs = both.group_by("run_id").agg(pl.col("metric").sort().alias("metrics"))
    none = pl.lit(None, pl.List(pl.String)).alias("metrics")
    parts = [
        only_here.select("run_id", pl.lit("only here").alias("change"), none),
        only_there.select("run_id", pl.lit("only there").alias("change"), none),
        differs.select("run_id", pl.lit("differs").alias("change"), "metrics"),
    ]
    return pl.concat(parts).sort("run_id")
