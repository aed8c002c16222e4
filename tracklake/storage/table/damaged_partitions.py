"""Damaged partitions: what of one whose files are not what was committed can still be had, and what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common import interrupts
from tracklake.compute.scans import collect, scan
from tracklake.errors import LakeError
from tracklake.schema.tables import POINTS, STATES
from tracklake.storage.journal import statements
from tracklake.storage.table import parquet_file, partitions
from tracklake.storage.table.damaged_log import DamagedLog
from tracklake.storage.table.partitions import Contents
from tracklake.storage.table.verified_files import SIBLINGS, verified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.statements import SessionRecords
    from tracklake.storage.table.catalog import JournalFile
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.verified_files import Sibling

_LISTED = 8


class Rescue(NamedTuple):
    """What takes the place of a damaged partition."""

    damaged: Partition
    restored: Sequence[Partition] = ()
    """Partitions from which it was merged, which are all there still; ..."""
    contents: Contents | None = None
    """... or what is to be written anew."""
    done: str = ""
    lost: Sequence[str] = ()
    """A sentence each."""


def damage_of(storage: Storage, partition: Partition) -> dict[Sibling, str]:
    """Return which files of a partition are damaged or gone, each with the reason.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> damage_of(lake._storage, part)
    {}
    """
    damage: dict[Sibling, str] = {}
    for sibling in SIBLINGS:
        try:
            verified(storage, partition, sibling)
        except LakeError as error:
            damage[sibling] = str(error)
    return damage


def rescue(
    storage: Storage, partition: Partition, damage: dict[Sibling, str], journals: Sequence[JournalFile]
) -> Rescue:
    """Return what of a damaged partition can be had; journals that are there still are read anew.

    States come from points. Records of sessions whose file is damaged are those that the points tell of: run, project
    and session. Of points whose file is damaged the row groups are kept that are what was committed, all of them where
    the partitions that were merged into this are there.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> rescue(lake._storage, part, {"states": "gone"}, []).done.partition(": ")[2]
    'the states are computed from the points'
    """
    name = f"partition {partition.id}"
    merged_from = _merged_from(storage, partition) if damage.keys() != {"states"} else ()
    if merged_from:
        return Rescue(
            partition, merged_from, done=f"{name}: the {len(merged_from)} partitions it was merged from return"
        )
    points, remark = _sound_points(storage, partition, damage)
    if "runs" in damage:
        records = _records_of(points, journals)
    else:
        records = _unsealed(partitions.read_sessions(storage, partition), journals if "history" in damage else ())
    if "history" in damage and points.height:  # those of journals that are there are read from these
        points = points.join(records.files, on=["run_id", "session"], how="semi", maintain_order="left")
    done = {
        frozenset({"states"}): "the states are computed from the points",
        frozenset({"runs"}): "the points are kept under their runs",
        frozenset({"runs", "states"}): "the points are kept under their runs, the states computed from them",
    }.get(frozenset(damage), remark or "it is set aside")
    return Rescue(
        partition, (), Contents(points, records), f"{name}: {done}", _losses(storage, partition, damage, points)
    )


def _sound_points(storage: Storage, partition: Partition, damage: dict[Sibling, str]) -> tuple[pl.DataFrame, str]:
    """Return the points of a partition that are what was committed, and which these are of a damaged file."""
    path = storage.fetch(partition.history)
    if "history" not in damage:
        return collect(scan(path, schema=POINTS)), ""
    try:
        row_groups = parquet_file.row_groups(path, size=partition.sizes[0], crc=partition.crcs[0])
        points = parquet_file.read_row_groups(path, row_groups.sound, POINTS)
    except OSError as error:  # gone, or not to be read
        interrupts.let_through(error)
        return pl.DataFrame(schema=POINTS), ""
    remark = (
        f"the points of {len(row_groups.sound)} of its {row_groups.number} row groups are kept"
        if row_groups.sound
        else ""
    )
    return points, remark


def _merged_from(storage: Storage, partition: Partition) -> Sequence[Partition]:
    """Return the partitions that a merge replaced by this one alone, if they are all there and sound."""
    commits = [commit for _, commit in DamagedLog(storage).readable_commits()]
    every = {part.id: part for commit in commits for part in commit.add}
    for commit in commits:
        if [part.id for part in commit.add] == [partition.id] and commit.remove:
            inputs = [every.get(key) for key in commit.remove]
            sound = [part for part in inputs if part is not None and not damage_of(storage, part)]
            return sound if len(sound) == len(inputs) else ()
    return ()


def _unsealed(records: SessionRecords, journals: Sequence[JournalFile]) -> SessionRecords:
    """Take the watermarks of sessions back of which all journals are there, so that they are read again."""
    keys = pl.DataFrame([file.key for file in journals], schema={"session": pl.Int64, "n": pl.Int32}, orient="row")
    lost = records.files.join(keys, on=["session", "n"], how="anti").select("run_id", "session").unique()
    files = records.files.join(lost, on=["run_id", "session"], how="semi", maintain_order="left")
    lines = records.statements.join(files, on=["run_id", "session", "n"], how="semi", maintain_order="left")
    return statements.SessionRecords(files, lines)


def _records_of(points: pl.DataFrame, journals: Sequence[JournalFile]) -> SessionRecords:
    """Return the records that points tell of, of the sessions that no journal can tell of any more."""
    by_session = points.group_by("project", "run_id", "session").agg(start=pl.col("ts").min(), last=pl.col("ts").max())
    present = [file.name.session for file in journals]
    sessions = by_session.filter(~pl.col("session").is_in(present)).with_columns(
        n=pl.lit(0, pl.Int32), sealed_through=pl.lit(0, pl.Int64), complete=pl.lit(value=True)
    )
    files = sessions.select(pl.col(name).cast(dtype) for name, dtype in statements.FILES.items())
    return statements.SessionRecords(files.sort("run_id", "session"), pl.DataFrame(schema=statements.STATEMENTS))


def _losses(storage: Storage, partition: Partition, damage: dict[Sibling, str], points: pl.DataFrame) -> list[str]:
    """Return a sentence for each run that lost something."""
    if "history" in damage:
        return _lost_points(storage, partition, damage, points)
    if "runs" in damage:
        return [
            f"run {run_id!r}: its config, tags, definitions, edits and state, as far as this partition held them"
            for run_id in sorted(points["run_id"].unique())
        ]
    return []


def _lost_points(storage: Storage, partition: Partition, damage: dict[Sibling, str], kept: pl.DataFrame) -> list[str]:
    if "states" not in damage:
        states = collect(scan(storage.fetch(partition.states), schema=STATES).select("run_id", "metric", "n_raw"))
        real = states.filter(~pl.col("metric").str.starts_with("_"))
        stored = real.group_by("run_id", "metric").agg(pl.col("n_raw").sum())
        counts = kept.group_by("run_id", "metric").agg(pl.len().cast(pl.Int64).alias("kept"))
        both = stored.join(counts, on=["run_id", "metric"], how="left")
        counted = both.with_columns(lost=pl.col("n_raw") - pl.col("kept").fill_null(0)).filter(pl.col("lost") > 0)
        lost = counted.group_by("run_id").agg("metric", pl.col("lost").sum()).sort("run_id")
        return [f"run {run_id!r}: {n:,} points of {_listed(metrics)}" for run_id, metrics, n in lost.iter_rows()]
    if "runs" not in damage:
        runs = partitions.read_sessions(storage, partition).files["run_id"].unique().sort()
        what = "some of the points" if kept.height else "the points"
        return [f"run {run_id!r}: {what} that this partition held of it" for run_id in runs]
    n_lost = partition.n_points - kept.height
    return [f"partition {partition.id}: {n_lost:,} points; none of its files tells of which runs"]


def _listed(metrics: Sequence[str]) -> str:
    names = sorted(set(metrics))
    return ", ".join(map(repr, names[:_LISTED])) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
