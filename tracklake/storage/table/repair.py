"""Repair: what can be had of a damaged lake, committed on top of what there is; nothing sound is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.task_engine import LOCAL, run_tasks
from tracklake.compute import points as counting
from tracklake.compute.scans import collect, scan
from tracklake.errors import LakeError
from tracklake.schema.tables import POINTS
from tracklake.storage import layout
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.table import checkpoint, damaged_partitions, lost_commits, partitions, sealing
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.damaged_log import DamagedLog
from tracklake.storage.table.delta_log import LOG_FOLDER, Version
from tracklake.storage.table.partitions import Contents
from tracklake.storage.table.verified_files import SIBLINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.common.task_engine import TaskEngine
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.catalog import JournalFile
    from tracklake.storage.table.damaged_partitions import Rescue
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.lost_commits import LostPartition

ASIDE = "damaged"
"""The folder of a lake to which damaged files go that would be in the way."""


@dataclass
class Repaired:
    """What a repair did, or with `dry_run` would do.

    >>> print(Repaired(done=["partition 7f3a: the states are computed from the points"]))
    repaired partition 7f3a: the states are computed from the points
    nothing is lost
    """

    done: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Runs and metrics that lost something, a sentence each."""
    dry_run: bool = False

    def __str__(self) -> str:
        """List what was done, then what is lost."""
        if not self.done and not self.lost:
            return "there is nothing to repair"
        verb = "would repair" if self.dry_run else "repaired"
        lines = [*(f"{verb} {line}" for line in self.done), *(f"LOST     {line}" for line in self.lost)]
        return "\n".join(lines if self.lost else [*lines, "nothing is lost"])


def repair(storage: Storage, *, dry_run: bool = False, engine: TaskEngine = LOCAL) -> Repaired:
    """Mend the log, the partitions and the journals of a lake, as far as the bytes that are left allow.

    Partitions are looked at, and their states computed anew from points, by tasks of the engine. Commits that are lost
    are made again from the partitions that they must have named. A partition whose points are damaged is set aside: its
    files stay for a week, until vacuum, and the runs and metrics that lost points are named. Damaged files that would
    be in the way go to the folder `damaged`.
    Raises LakeError where a newer version has written the lake, OSError where it cannot be written.

    >>> print(repair(example()._storage, dry_run=True))
    there is nothing to repair
    """
    report = Repaired(dry_run=dry_run)
    _mend_marker(storage, report)
    catalog = Catalog(storage)
    catalog.engine = engine
    _mend_log(catalog, report)
    if not dry_run or not report.done:  # what lies behind a log that cannot be read is told when it can
        _mend_partitions(catalog, report)
        _mend_journals(catalog, report)
    return report


def _mend_marker(storage: Storage, report: Repaired) -> None:
    """Give the lake a new marker where its own is damaged; LakeError where it is no lake, or one of a newer version."""
    try:
        data = storage.read(layout.MARKER)
    except FileNotFoundError:
        raise LakeError(f"there is no lake at {storage.describe()}: it has no {layout.MARKER}") from None
    if layout.is_marker(data):
        layout.read_id(storage)
        return
    report.done.append(f"{layout.MARKER}, which is damaged: the lake gets a new id")
    if not report.dry_run:
        _set_aside(storage, layout.MARKER, data)
        layout.put_marker(storage)


def _mend_log(catalog: Catalog, report: Repaired) -> None:
    """Fill the gaps of the log, and commit what the commits that were there must have added."""
    journals = catalog.list_journals()
    _forget_damaged_checkpoints(catalog, report)
    log = DamagedLog(catalog.storage)
    gaps = log.gaps()
    for number, data in gaps.items():
        how = "is damaged" if data else "is missing"
        report.done.append(f"commit {number} of the log, which {how}, by an empty one")
        if not report.dry_run:
            _set_aside(catalog.storage, f"{LOG_FOLDER}/{number:020d}.json", data)
            log.fill(number)
    version = log.readable_version()
    unnamed = lost_commits.lost_partitions(catalog, version, journals)
    is_gone = bool(gaps) or version.number < 0  # else what an import left may be what it never finished
    lost = [partition for partition in unnamed if is_gone or not partition.is_imported]
    contents = _new_contents(catalog, version, lost)
    for partition in lost:
        if _points(catalog.storage, partition) is None:
            report.lost += [
                f"run {run_id!r}: the points that partition {partition.id} held" for run_id in partition.runs
            ]
    report.done += [f"partition {key}, which no commit named" for key in contents]
    if report.dry_run or not contents:
        return
    log.create_if_gone()
    base = catalog.log.read()
    written = [partitions.write(catalog.storage, content) for content in contents.values()]
    _commit(catalog, base, written, [])
    for partition in lost:  # what they held lies in partitions that are named
        if _points(catalog.storage, partition) is not None:
            for folder in SIBLINGS:
                catalog.storage.delete(f"{folder}/part-{partition.id}.parquet")


def _forget_damaged_checkpoints(catalog: Catalog, report: Repaired) -> None:
    """Set checkpoints aside that are damaged; what the commits before them cannot tell again comes from the files."""
    storage = catalog.storage
    numbers = checkpoint.numbers(entry.name for entry in storage.list(LOG_FOLDER))
    damaged = [number for number in numbers if not _is_checkpoint(storage, number)]
    readable = {number for number, _ in DamagedLog(storage).readable_commits()} if damaged else set()
    for number in damaged:
        before = max((n for n in numbers if n < number and n not in damaged), default=-1)
        is_told = readable.issuperset(range(before + 1, number + 1))
        how = "the commits say the same" if is_told else "commits before it are gone, and it is made anew of the files"
        report.done.append(f"checkpoint {number} of the log, which is damaged: {how}")
        if not report.dry_run:
            name = checkpoint.path_of(number)
            _set_aside(storage, name, storage.read(name))


def _is_checkpoint(storage: Storage, number: int) -> bool:
    try:
        checkpoint.read(storage, number)
    except LakeError:
        return False
    return True


def _new_contents(catalog: Catalog, version: Version, lost: Sequence[LostPartition]) -> dict[str, Contents]:
    """Return what lost partitions hold that neither the version nor one of the others holds, by their ids."""
    key = ["run_id", "metric", "session", "step", "ts"]
    present = [catalog.storage.fetch(part.history) for part in version.partitions.values()]
    contents: dict[str, Contents] = {}
    nothing = pl.DataFrame(schema=POINTS)
    readable = [(part, points if (points := _points(catalog.storage, part)) is not None else nothing) for part in lost]
    for partition, points in sorted(readable, key=lambda pair: -pair[1].height):
        sessions = points["session"].unique().implode()
        sealed = _readable(present).filter(pl.col("session").is_in(sessions)).select(key)
        before = pl.concat([collect(sealed), *(content.points.select(key) for content in contents.values())])
        new = points.join(before, on=key, how="anti", maintain_order="left")
        if new.height or not points.height:
            contents[partition.id] = Contents(counting.sort(new), partition.records)
    return contents


def _readable(paths: Sequence[object]) -> pl.LazyFrame:
    return scan(list(paths), schema=POINTS)  # type: ignore[arg-type]


def _points(storage: Storage, partition: LostPartition) -> pl.DataFrame | None:
    """Return the points of a partition; None where they cannot be read."""
    path = storage.fetch(f"history/part-{partition.id}.parquet")
    try:
        return collect(scan(path, schema=POINTS))
    except LakeError:
        return None


class _Look(NamedTuple):
    """One partition to be looked at, and to be written anew if it is damaged."""

    storage: Storage
    partition: Partition
    journals: Sequence[JournalFile]
    writes: bool


def _mend_partitions(catalog: Catalog, report: Repaired) -> None:
    journals, parts = catalog.list_journals(), catalog.log.read().partitions.values()
    looks = [_Look(catalog.storage, part, journals, not report.dry_run) for part in parts]
    for rescued, written in filter(None, run_tasks(catalog.engine, _mend_partition, looks)):
        report.done.append(rescued.done)
        report.lost += rescued.lost
        if not report.dry_run:
            _commit(catalog, catalog.log.read(), [*rescued.restored, *written], [rescued.damaged.id])


def _mend_partition(look: _Look) -> tuple[Rescue, list[Partition]] | None:
    """Return what takes the place of a damaged partition, and what was written of it; None where it is sound."""
    damage = damaged_partitions.damage_of(look.storage, look.partition)
    if not damage:
        return None
    rescued = damaged_partitions.rescue(look.storage, look.partition, damage, look.journals)
    if not look.writes or rescued.contents is None:
        return rescued, []
    return rescued._replace(contents=None), [partitions.write(look.storage, rescued.contents)]


def _commit(catalog: Catalog, base: Version, add: Sequence[Partition], remove: Sequence[str]) -> None:
    committed = catalog.log.commit(base=base, add=add, remove=remove, operation="REPAIR", still_valid=lambda _: True)
    if committed is None:
        raise LakeError("another process changed the lake meanwhile; what was mended so far stays. Repair it again")


def _mend_journals(catalog: Catalog, report: Repaired) -> None:
    """Seal what can be read of damaged journals that nobody writes any more, and set their files aside."""
    damaged = {
        file.key: file
        for file in catalog.list_journals()
        if not file.entry.writable and _faults(catalog, file.entry.name)
    }
    for file in damaged.values():
        report.done.append(f"journal {file.entry.name}, which is damaged: its sound frames are sealed")
        report.lost += [f"journal {file.entry.name}: {fault}" for fault in _faults(catalog, file.entry.name)]
    if report.dry_run or not damaged:
        return
    sealing.seal(Catalog(catalog.storage), live=True)
    for file in damaged.values():
        name = f"{layout.JOURNAL_FOLDER}/{file.entry.name}"
        _set_aside(catalog.storage, name, catalog.storage.read(name))


def _faults(catalog: Catalog, name: str) -> list[str]:
    reader = JournalReader(catalog.storage.follow(f"{layout.JOURNAL_FOLDER}/{name}"))
    cut = (reader.read().faults, reader.cut())
    return [f"at byte {fault.offset}: {fault.reason}" for fault in (*cut[0], *([cut[1]] if cut[1] else []))]


def _set_aside(storage: Storage, name: str, data: bytes | None) -> None:
    """Move a file to the folder of damaged ones."""
    if data is not None:
        storage.put_if_absent(f"{ASIDE}/{name}", data)
        storage.delete(name)
