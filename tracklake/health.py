"""Health: what of the promises can be verified on disk is, and told in words."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from tracklake import lake_files, partitions, points, states
from tracklake.errors import TracklakeError
from tracklake.journal import FOLDER, SUFFIX
from tracklake.schema import POINTS, STATES
from tracklake.snapshot import SnapshotReader
from tracklake.tail import TailReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.delta_log import Partition
    from tracklake.snapshot import Snapshot
    from tracklake.storage import Storage

SAMPLE = 50
"""Series compared without `full`."""
ORPHAN_SECONDS = 24 * 3600
"""Younger files without a commit may belong to a seal that is under way."""
_EXACT = [
    "n_raw",
    "n_points",
    "n",
    "n_nan",
    "n_pos_inf",
    "n_neg_inf",
    "min",
    "min_step",
    "max",
    "max_step",
    "lo",
    "hi",
    "ts",
]
_CLOSE = ["sum", "mean", "m2"]
_SERIES = ["run_id", "session", "metric"]


@dataclass(frozen=True)
class Report:
    """What a check looked at and what it found wrong."""

    checked: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.findings

    def __str__(self) -> str:
        """List what was checked, then what is wrong."""
        lines = [f"checked {line}" for line in self.checked]
        lines += [f"WRONG   {line}" for line in self.findings]
        return "\n".join([*lines, "all is sound" if self.ok else f"{len(self.findings)} found wrong"])


def check(storage: Storage, *, full: bool) -> Report:
    """Verify a lake: format, log, files and checksums, journals, states against points, orphans."""
    report = Report()
    try:
        lake_files.read_id(storage)
        snapshot = SnapshotReader(storage).snapshot()
    except TracklakeError as error:
        report.findings.append(str(error))
        return report
    version = snapshot.version
    report.checked.append(f"the log: version {version.number}, {len(version.partitions)} partitions")
    sound = [p for p in version.partitions.values() if _files_sound(storage, p, report)]
    report.checked.append(f"the checksums of {3 * len(version.partitions)} partition files")
    compared = sum(_compare_states(storage, partition, full=full, report=report) for partition in sound)
    report.checked.append(f"the states of {compared} series against their points")
    report.findings.extend(_journal_faults(storage, report))
    report.findings.extend(_orphans(storage, snapshot))
    return report


def _files_sound(storage: Storage, partition: Partition, report: Report) -> bool:
    before = len(report.findings)
    names = (partition.history, partition.states, partition.runs)
    for name, size, crc in zip(names, partition.sizes, partition.crcs, strict=True):
        try:
            found = partitions.checksum(storage.path(name))
        except FileNotFoundError:
            report.findings.append(f"{name} is missing; the log says it belongs to the lake")
            continue
        if found != (size, crc):
            report.findings.append(f"{name} is damaged: its checksum is not the one it was committed with")
    return len(report.findings) == before


def _compare_states(storage: Storage, partition: Partition, *, full: bool, report: Report) -> int:
    """Compute the states of some series of a partition again; return how many."""
    kept = pl.scan_parquet(storage.path(partition.states), schema=STATES)
    series = kept.select(_SERIES).collect()
    chosen = series if full else series.sample(min(SAMPLE, series.height), seed=0)
    said = partitions.read_said(storage, partition)
    found = pl.scan_parquet(storage.path(partition.history), schema=POINTS)
    if not full:
        found = found.filter(pl.col("run_id").is_in(chosen["run_id"].unique().implode()))
    again = states.of_rows(points.sort(found.collect()), sessions=partitions.session_starts(said))
    old = kept.collect().join(chosen, on=_SERIES, how="semi")
    new = again.join(chosen, on=_SERIES, how="semi")
    pairs = old.join(new, on=_SERIES, how="full", suffix=" again", coalesce=True)
    wrong = pl.any_horizontal(
        *(~pl.col(c).eq_missing(pl.col(f"{c} again")) for c in _EXACT), *(_far(c) for c in _CLOSE)
    )
    for run_id, _, metric in pairs.filter(wrong).select(_SERIES).iter_rows():
        report.findings.append(
            f"{partition.states}: the state of {metric!r} of run {run_id!r} is not that of its points"
        )
    return chosen.height


def _far(column: str) -> pl.Expr:
    old, new = pl.col(column), pl.col(f"{column} again")
    return (~old.eq_missing(new)) & ((old - new).abs() > 1e-9 * pl.max_horizontal(old.abs(), new.abs(), 1e-300))


def _journal_faults(storage: Storage, report: Report) -> Iterator[str]:
    """Tell the damage of every journal that is there; one that is sealed already is kept as evidence if it has any."""
    entries = storage.list(FOLDER, suffix=SUFFIX)
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):  # sealed and deleted meanwhile
            yield from (str(fault) for fault in TailReader(storage.path(f"{FOLDER}/{entry.name}")).read().faults)
    report.checked.append(f"every frame of {len(entries)} journal files")


def _orphans(storage: Storage, snapshot: Snapshot) -> Iterator[str]:
    known = {name for p in snapshot.version.partitions.values() for name in (p.history, p.states, p.runs)}
    for folder in ("history", "states", "runs"):
        for entry in storage.list(folder, suffix=".parquet"):
            name = f"{folder}/{entry.name}"
            if name not in known and time.time() - entry.mtime > ORPHAN_SECONDS:
                yield f"{name} belongs to no commit: a seal died before it; vacuum may delete it"
