"""Health: what of the promises can be verified on disk is, and told in words."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common import interrupts
from tracklake.common.task_engine import LOCAL, run_tasks
from tracklake.common.text import number_of
from tracklake.compute import scans, states
from tracklake.errors import LakeError, TracklakeError
from tracklake.lake import unreadable_statements
from tracklake.schema.tables import POINTS, STATES
from tracklake.storage import checked_json, content_files, layout
from tracklake.storage.journal.file_names import FileName
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.layout import JOURNAL_FOLDER, JOURNAL_SUFFIX
from tracklake.storage.table import lost_commits, partitions, recomputation, vacuum
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.damaged_log import DamagedLog
from tracklake.storage.table.verified_files import checksum
from tracklake.sweeping import records
from tracklake.tracking.artifacts import repository

if TYPE_CHECKING:
    from tracklake.common.task_engine import TaskEngine
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.delta_log import Version

SAMPLE = 50
"""Series of each partition that are compared without `full`."""
_SERIES = ["run_id", "session", "metric"]
_CLOSE = ["sum", "mean", "m2"]
_EXACT = [name for name in STATES if name not in {"project", "sum_low", *_SERIES, *_CLOSE}]
"""Without what rounding took from a sum: of a tie it may be either half."""


@dataclass(frozen=True, repr=False)
class Report:
    """What a check looked at and what it found wrong.

    >>> print(Report(checked=["the log: version 1, 1 partition"]))
    checked the log: version 1, 1 partition
    all is sound
    """

    checked: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong.

        >>> Report(findings=["history/part-7f3a.parquet: No such file or directory"]).ok
        False
        """
        return not self.findings

    def __repr__(self) -> str:
        """List what was checked, then what is wrong."""
        lines = [f"checked {line}" for line in self.checked]
        lines += [f"WRONG   {line}" for line in self.findings]
        way_out = "`tracklake repair --dry-run` tells what of it can be mended"
        return "\n".join([*lines, "all is sound" if self.ok else f"{len(self.findings)} found wrong: {way_out}"])


def check(storage: Storage, *, full: bool, engine: TaskEngine = LOCAL) -> Report:
    """Verify a lake: format, log, files and checksums, states against points, journals, strays.

    What is found wrong in one place does not keep it from looking at the others.

    >>> from tracklake.storage.layout import open_existing
    >>> from pathlib import Path
    >>> check(open_existing(Path(example().dir)), full=False).findings
    []
    """
    report = Report()
    try:
        layout.read_id(storage)
    except TracklakeError as error:  # what a newer version has written cannot be judged
        report.findings.append(str(error))
        return report
    catalog = Catalog(storage)
    catalog.engine = engine
    report.findings.extend(DamagedLog(storage).damage())
    try:
        version = catalog.log.read()
    except TracklakeError as error:
        if str(error) not in report.findings:
            report.findings.append(str(error))
    else:
        _check_partitions(catalog, version, full=full, report=report)
        journals = catalog.list_journals()
        report.findings.extend(str(lost) for lost in lost_commits.lost_partitions(catalog, version, journals))
        report.findings.extend(
            f"{name} belongs to no commit: a seal or merge died before it; vacuum deletes it"
            for name in vacuum.orphans(storage, catalog)
        )
    _check_journals(catalog, report)
    _check_documents(storage, report)
    if full:
        _check_binaries(storage, report)
    return report


def _check_partitions(catalog: Catalog, version: Version, *, full: bool, report: Report) -> None:
    storage, version_partitions = catalog.storage, version.partitions.values()
    report.checked.append(f"the log: version {version.number}, {number_of(len(version_partitions), 'partition')}")
    ordered = recomputation.most_states_first(version_partitions)
    tasks = [(storage, partition, full) for partition in ordered]
    of_partition = dict(zip(ordered, run_tasks(catalog.engine, _check_partition, tasks), strict=True))
    looked_at = [of_partition[partition] for partition in version_partitions]
    report.checked.append(f"the checksums of {number_of(3 * len(tasks), 'partition file')}")
    report.findings.extend(finding for one in looked_at for finding in one.findings)
    compared = sum(one.n_series for one in looked_at)
    report.checked.append(f"the states of {compared:,} series against their points{'' if full else ' (a sample)'}")
    if all(one.is_whole for one in looked_at):
        catalog.refresh(to=version)


class _LookedAt(NamedTuple):
    """What a check of one partition found."""

    findings: list[str]
    is_whole: bool
    """Whether its files are those of its commit."""
    n_series: int
    """Series whose states were computed again."""


def _check_partition(task: tuple[Storage, Partition, bool]) -> _LookedAt:
    """Hold the files of a partition against its commit, and its states against its points."""
    storage, partition, full = task
    findings = _damaged_files(storage, partition)
    if findings:
        return _LookedAt(findings, is_whole=False, n_series=0)
    n_series, wrong = _compare_states(storage, partition, full=full)
    lines = unreadable_statements.of_frame(partitions.read_sessions(storage, partition).statements)
    return _LookedAt([*wrong, *unreadable_statements.findings(lines)], is_whole=True, n_series=n_series)


def _damaged_files(storage: Storage, partition: Partition) -> list[str]:
    findings = []
    names = (partition.history, partition.states, partition.runs)
    for name, size, crc in zip(names, partition.sizes, partition.crcs, strict=True):
        try:
            digest = checksum(storage.fetch(name))
        except OSError as error:
            interrupts.let_through(error)
            findings.append(f"{name}: {error.strerror}; the log says that it belongs to the lake")
            continue
        if digest != (size, crc):
            findings.append(f"{name} is damaged: its checksum is not the one it was committed with")
    return findings


def _compare_states(storage: Storage, partition: Partition, *, full: bool) -> tuple[int, list[str]]:
    """Compute the states of a partition, or a sample of them, again; return how many, and what is wrong with them."""
    stored = scans.scan(storage.fetch(partition.states), schema=STATES)
    try:
        old = scans.collect(stored)
        if full:
            again = pl.concat([pl.DataFrame(schema=STATES), *recomputation.states_of(storage, partition)])
        else:
            old, again = _sample(storage, partition, old)
    except TracklakeError as error:
        return 0, [f"partition {partition.id}: {error}"]
    wrong = [
        f"{partition.states}: the state of {metric!r} of run {run_id!r} is not that of its points"
        for run_id, metric in _different(old, again).iter_rows()
    ]
    return old.height, wrong


def _sample(storage: Storage, partition: Partition, stored: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return some of the states of a partition, and the same ones computed again."""
    series = stored.select(_SERIES).sample(min(SAMPLE, stored.height), seed=0)
    points = scans.scan(storage.fetch(partition.history), schema=POINTS)
    points = points.filter(pl.col("run_id").is_in(series["run_id"].unique().implode()))
    starts = partitions.session_starts(partitions.read_sessions(storage, partition))
    again = states.of_rows(scans.collect(points), sessions=starts)
    return stored.join(series, on=_SERIES, how="semi"), again.join(series, on=_SERIES, how="semi")


def _different(old: pl.DataFrame, again: pl.DataFrame) -> pl.DataFrame:
    """Return run_id and metric of the states that one of two frames lacks, or has otherwise."""
    pairs = old.join(again, on=_SERIES, how="full", suffix=" again", coalesce=True)
    exact = [~pl.col(name).eq_missing(pl.col(f"{name} again")) for name in _EXACT]
    wrong = pl.any_horizontal(*exact, *(_is_far(name) for name in _CLOSE))
    return pairs.filter(wrong).select("run_id", "metric").unique().sort("run_id", "metric")


def _is_far(column: str) -> pl.Expr:
    old, new = pl.col(column), pl.col(f"{column} again")
    return ~old.eq_missing(new) & ~((old - new).abs() <= 1e-9 * pl.max_horizontal(old.abs(), new.abs(), 1e-300))


def _check_journals(catalog: Catalog, report: Report) -> None:
    """Tell the damage of every journal that is there; one that is sealed already is kept as evidence if it has any."""
    files = catalog.list_journals()
    with contextlib.suppress(TracklakeError):  # what left the listing meanwhile is in the log; damage of it is told
        catalog.refresh()
    for entry in catalog.storage.list(JOURNAL_FOLDER):
        if FileName.parse(entry.name) is None:
            report.findings.append(f"{JOURNAL_FOLDER}/{entry.name} is no journal; nothing reads it")
    marks = catalog.watermarks(files)
    present = {file.key for file in files}
    for file in files:
        session, n = file.key
        if n and file.key not in marks and not {(session, n - 1)} & {*present, *marks}:
            report.findings.append(
                f"{JOURNAL_FOLDER}/{file.name._replace(n=n - 1)} is missing: it was deleted before it was sealed"
            )
        through = marks[file.key].through if file.key in marks else 0
        if file.entry.size < through:
            report.findings.append(
                f"{JOURNAL_FOLDER}/{file.entry.name} was cut: it has {file.entry.size:,} bytes, "
                f"but {through:,} are sealed"
            )
    streams = [
        (layout.SYSTEM_FOLDER, entry.name)
        for entry in catalog.storage.list(layout.SYSTEM_FOLDER, suffix=JOURNAL_SUFFIX)
    ]
    names = ["/".join(at) for at in [*((JOURNAL_FOLDER, file.entry.name) for file in files), *streams]]
    over = {f"{JOURNAL_FOLDER}/{file.entry.name}" for file in files if not file.entry.writable}
    for name in names:
        try:
            reader = JournalReader(catalog.storage.follow(name))
            records = reader.read()
        except FileNotFoundError:  # sealed and deleted meanwhile
            continue
        except OSError as error:
            interrupts.let_through(error)
            report.findings.append(f"{name} cannot be read: {error.strerror or error}")
            continue
        cut = reader.cut() if name in over else None
        faults = (*records.faults, *([cut] if cut else []))
        report.findings.extend(str(fault._replace(file=name)) for fault in faults)
        run_id = str(reader.header.get("run"))
        lines = unreadable_statements.of_journal(records)
        report.findings.extend(unreadable_statements.findings((run_id, line) for line in lines))
    report.checked.append(f"every frame of {number_of(len(names), 'journal file')}")


def _check_documents(storage: Storage, report: Report) -> None:
    """Read what lies there as JSON: artifacts and sweeps."""
    folders = [repository.INDEX, records.FOLDER]
    folders += [f"{records.FOLDER}/{sweep_id}" for sweep_id in records.sweeps_of(storage)]
    folders += [repository.folder_of(project, name) for project, name in repository.Repository(storage).names()]
    names = [f"{folder}/{entry.name}" for folder in folders for entry in storage.list(folder, suffix=".json")]
    for name in names:
        try:
            checked_json.read(storage, name)
        except (LakeError, OSError) as error:
            interrupts.let_through(error)
            report.findings.append(str(error))
    if names:
        report.checked.append(f"the content of {number_of(len(names), 'file')} of artifacts and sweeps")


def _check_binaries(storage: Storage, report: Report) -> None:
    """Compare each file of files/ with its name, which is the hash of its content."""
    entries = storage.list("files")
    for entry in entries:
        try:
            is_whole = content_files.is_whole(storage.fetch(f"files/{entry.name}"))
        except OSError as error:
            interrupts.let_through(error)
            report.findings.append(f"files/{entry.name} cannot be read: {error.strerror or error}")
            continue
        if not is_whole:
            report.findings.append(f"files/{entry.name} is damaged: its content is not what its name says")
    if entries:
        report.checked.append(f"the content of {number_of(len(entries), 'file')} in files/")
