"""An import from beginning to end: recognise, read, publish, and tell what came of it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import interrupts
from tracklake.common.progress import progress
from tracklake.common.text import number_of
from tracklake.errors import TracklakeError
from tracklake.importers import recognition, verification
from tracklake.importers.formats import text_log
from tracklake.importers.publish import Publication
from tracklake.importers.readers.counted_reads import counting
from tracklake.importers.readers.records import ImportOptions, Points, Remark, RunRecord, RunRows
from tracklake.importers.recorded import session_of
from tracklake.importers.source_reading import ReadingJob, read_all
from tracklake.query.summaries import Summaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tracklake.importers.readers.records import Source, Yielded
    from tracklake.importers.verification import Difference
    from tracklake.storage.table.snapshot_reader import SnapshotReader

_SHOWN = 20
"""Lines of each kind that a report prints."""
_AS_LOG = (
    r"it was left alone, and looks like a log of losses: pattern='step (?P<step>\d+).*loss (?P<loss>[\d.]+)' reads it"
)
_ALONE = 2
"""Sources of one format that have a line each where there are many of all."""
_AHEAD = 10_000
"""Items of a source that are read before the first of them is taken in, unless they have many points."""
_POINTS_AHEAD = 500_000
_NAMED = 5
"""Files left alone, and runs replaced, that a report names."""


class ImportedSource(NamedTuple):
    """What came of one source."""

    format: str
    path: Path
    runs: int
    """Of which it speaks."""
    points: int
    """New ones."""


class Unread(NamedTuple):
    """Something that could not be read, and why."""

    path: Path
    reason: str


@dataclass(slots=True, repr=False)
class ImportReport:
    """What an import found and brought in.

    >>> print(ImportReport())
    nothing new: 0 runs, 0 points
    """

    runs: int = 0
    """Runs of which something new came."""
    points: int = 0
    """New points."""
    overwritten: int = 0
    """Those of them that a later value of the same step replaces."""
    projects: dict[str, int] = field(default_factory=dict)
    """Those runs, by project."""
    sources: list[ImportedSource] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    left_alone: list[Path] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    """Entries of summaries that are not as their sources have them; looked for with verify=True."""
    replaced: list[str] = field(default_factory=list)
    """Runs whose points of before count no longer, with replace=True."""
    is_dry: bool = False

    def __repr__(self) -> str:
        """Return it as lines for people."""
        fresh = [one for one in self.sources if one.runs]
        lines = _some(_of_sources(fresh), "sources")
        if n_old := len(self.sources) - len(fresh):
            lines.append(f"nothing new in {number_of(n_old, 'source')}")
        lines += _some([f"note: {remark.path}: {_without_path(*remark[:2])}" for remark in self.remarks], "notes")
        lines += _some([f"differs: {one}" for one in self.differences], "differences")
        lines += [f"could not be read: {one.path}: {_without_path(*one)}" for one in self.unread]
        if self.replaced:
            lines.append(f"replaced: {number_of(len(self.replaced), 'run')} ({_first(self.replaced)})")
        if self.left_alone:
            lines.append(f"left alone: {number_of(len(self.left_alone), 'file')} ({_first(self.left_alone)})")
        return "\n".join([*lines, self._total()])

    def _total(self) -> str:
        if not self.runs:
            return "nothing new: 0 runs, 0 points"
        projects = ", ".join(f"{name!r} ({n:,})" for name, n in self.projects.items())
        verb = "would come" if self.is_dry else "came"
        again = f", {self.overwritten:,} of them overwritten" if self.overwritten else ""
        runs, points = number_of(self.runs, "run"), number_of(self.points, "point")
        return f"{runs} with {points}{again} {verb} in; projects: {projects}"


def _of_sources(sources: Sequence[ImportedSource]) -> list[str]:
    """Return a line a source; of many, one for all those of a format of which there are more than two."""
    if len(sources) <= _SHOWN:
        return [_line(one) for one in sources]
    by_format: dict[str, list[ImportedSource]] = {}
    for one in sources:
        by_format.setdefault(one.format, []).append(one)
    lines = []
    for name, several in by_format.items():
        if len(several) <= _ALONE:
            lines += [_line(one) for one in several]
            continue
        total = ImportedSource(name, several[0].path, sum(s.runs for s in several), sum(s.points for s in several))
        first, last = several[0].path, several[-1].path
        lines.append(f"{name:<16} {first} ... {last}, {number_of(len(several), 'source')}: {_count(total)}")
    return lines


def _line(source: ImportedSource) -> str:
    return f"{source.format:<16} {source.path}: {_count(source)}"


def _count(source: ImportedSource) -> str:
    return f"{number_of(source.runs, 'run')}, {number_of(source.points, 'new point')}"


def _first(names: Sequence[object]) -> str:
    """Return the first few of some names, and whether there are more."""
    return ", ".join(map(str, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")


def _without_path(path: Path, text: str) -> str:
    """Return a text about a file without the file's name before it."""
    return text.removeprefix(str(path)).lstrip(": ")


def _some(lines: list[str], what: str) -> list[str]:
    n_hidden = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"... and {n_hidden:,} more {what}"] if n_hidden > 0 else lines


def import_paths(
    reader: SnapshotReader,
    paths: Sequence[str | os.PathLike[str]],
    *,
    format: str | None,  # noqa: A002 - what the caller calls it
    options: ImportOptions,
    dry_run: bool = False,
    verify: bool = False,
    replace: bool = False,
) -> ImportReport:
    r"""Bring in what lies at some paths; `Lake.import_from` tells what it means.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("training.log").write_text("epoch,loss\n0,1.5\n1,0.5\n")
    >>> report = import_paths(example()._reader, ["training.log"], format=None, options=ImportOptions())
    >>> report.runs, report.points
    (1, 2)
    """
    report = ImportReport(is_dry=dry_run)
    publication = Publication(reader, dry_run=dry_run, replace=replace)
    jobs: dict[tuple[str, Path], ReadingJob] = {}
    for path in recognition.expand(paths):
        recognised = recognition.recognise(path, only=format, pattern=options.pattern)
        report.left_alone += recognised.left_alone
        report.remarks += [Remark(left, _AS_LOG) for left in recognised.left_alone if text_log.looks_like_one(left)]
        report.unread += [Unread(*damaged) for damaged in recognised.damaged]
        jobs |= {
            (source.format, source.path.resolve()): ReadingJob(source, dataclasses.replace(options, root=path))
            for source in recognised.sources
        }
    read: list[tuple[ImportedSource, set[str]]] = []
    new = [job for job in jobs.values() if verify or replace or not _is_recorded(publication, job, report)]
    try:
        with progress("importing", total=sum(job.size for job in new)) as advance:
            for job, items in read_all(new, reader.catalog.engine):
                advance(0, name=str(job.source.path))
                remaining = _Remaining(job.size, advance)
                with counting(remaining.take):
                    read.append(_import_source(publication, job, items, report))
                remaining.take(job.size)
        imported = publication.commit()
    finally:
        publication.discard()  # of what is committed nothing is left to discard
    report.sources += [one if ids & publication.runs.keys() else one._replace(runs=0) for one, ids in read if one.runs]
    report.runs, report.points = imported.runs, imported.points
    report.replaced = publication.replaced
    report.overwritten = publication.n_overwritten
    if verify and not dry_run:
        report.differences = _verified(reader, publication)
    report.projects = {project: len(runs) for project, runs in publication.projects.items()}
    return report


class _Remaining:
    """What of a source is still to be read; a table is read several times, but counts once."""

    def __init__(self, size: int, advance: Callable[[float], object]) -> None:
        self._size = size
        self._advance = advance

    def take(self, size: int) -> None:
        """Move the bar on by so many bytes, at most by what remains."""
        self._advance(min(size, self._size))
        self._size -= min(size, self._size)


def _verified(reader: SnapshotReader, publication: Publication) -> list[Difference]:
    """Compare the summaries of the runs that were imported with those that their sources hold."""
    compared = [(session.run_id, session.record.expected) for session in publication.sessions]
    expected = [(run_id, entries) for run_id, entries in compared if entries is not None]
    if not expected:
        return []
    summaries = Summaries(reader.snapshot()).of_runs({run_id for run_id, _ in expected})
    return [
        difference
        for run_id, entries in expected
        for difference in verification.differences(run_id, summaries[run_id], entries)
    ]


def _is_recorded(publication: Publication, job: ReadingJob, report: ImportReport) -> bool:
    """Tell whether a source was imported before as it is now."""
    if not publication.recorded.has_state(state_of(*job)):
        return False
    report.sources.append(ImportedSource(job.source.format, job.source.path, 0, 0))
    return True


def _import_source(
    publication: Publication, job: ReadingJob, items: Iterable[Yielded], report: ImportReport
) -> tuple[ImportedSource, set[str]]:
    """Take in what one source holds, and return what came of it and the ids of its runs.

    What cannot be read goes into the report, and no other source suffers.
    """
    source = job.source
    facts = {"imported_from": source.path.name, "format": source.format, "source_state": state_of(*job)}
    n_runs = n_points = 0
    identities: set[str] = set()
    run_ids: set[str] = set()
    record: RunRecord | None = None
    try:
        for item in _read_ahead(publication, items):
            if isinstance(item, RunRecord):
                if record is not None:
                    run_ids.add(publication.end(record).run_id)
                record = None
                identities.add(item.identity)
                deleted = publication.recorded.deleted_run(item)
                if deleted is not None:
                    publication.deleted[deleted] = None
                    continue
                record = item
                publication.begin(record, {**facts, "source": record.identity})
            elif isinstance(item, Points):
                if record is None:  # of a deleted run
                    continue
                n_points += publication.add(item)
            elif isinstance(item, RunRows):
                n_runs = max(n_runs, len(item.runs.ids))
                n_points += publication.add_rows(item, facts)
                run_ids.update(item.runs.ids)
            elif item.is_loss:
                report.unread.append(Unread(item.path, item.text))
            else:
                report.remarks.append(item)
    except (TracklakeError, OSError) as error:
        interrupts.let_through(error)
        report.unread.append(Unread(source.path, str(error)))
    if record is not None:
        run_ids.add(publication.end(record).run_id)
    report.remarks += [Remark(source.path, _told_deleted(run_id)) for run_id in publication.deleted]
    publication.deleted.clear()
    return ImportedSource(source.format, source.path, max(n_runs, len(identities)), n_points), run_ids


def _read_ahead(publication: Publication, items: Iterable[Yielded]) -> Iterator[Yielded]:
    """Yield what a source holds, some records ahead: what the lake has of several is read by one scan."""
    together: list[Yielded] = []
    n_points = 0
    try:
        for item in items:
            together.append(item)
            n_points += item.frame.height if isinstance(item, Points) else 0
            if isinstance(item, RunRows) or len(together) >= _AHEAD or n_points >= _POINTS_AHEAD:
                yield from _expected(publication, together)
                together, n_points = [], 0
    except (TracklakeError, OSError):  # what was read before still counts
        yield from _expected(publication, together)
        raise
    yield from _expected(publication, together)


def _expected(publication: Publication, items: list[Yielded]) -> list[Yielded]:
    records = (item for item in items if isinstance(item, RunRecord))
    publication.expect(session_of(record.identity, record.session) for record in records)
    return items


def _told_deleted(run_id: str) -> str:
    return f"run {run_id!r} is deleted in the lake and stays so; lake.restore({run_id!r}) brings it back"


def state_of(source: Source, options: ImportOptions) -> str:
    """Return a text that tells whether a source was imported in this state and way before.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions, Source
    >>> _ = Path("a.csv").write_text("step,loss")
    >>> source = Source("table", Path("a.csv"))
    >>> state_of(source, ImportOptions()) == state_of(source, ImportOptions())
    True
    """
    digest = hashlib.sha256(repr((source.format, str(source.path.resolve()), options)).encode())
    for file in source.files:
        stat = file.stat()
        digest.update(os.fsencode(f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns}"))
    return digest.hexdigest()[:32]
