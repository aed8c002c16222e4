"""The bulk path: finished runs go straight into partitions, all of them in one commit or none."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import sorted_groups
from tracklake.errors import CommitError
from tracklake.importers import pending, system_samples
from tracklake.importers.contents import TableContents
from tracklake.importers.open_session import OpenSession
from tracklake.importers.readers.records import Points, samples_of
from tracklake.importers.recorded import SAMPLE_KEY, RecordedSources, session_of
from tracklake.schema.tables import POINTS, STAMP
from tracklake.storage.journal.statements import FILES, STATEMENTS, SessionRecords
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import partitions
from tracklake.storage.table.partitions import Chunk
from tracklake.storage.table.sealing import ABANDON_SECONDS, uptime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tracklake.importers.readers.records import RunRecord, RunRows, Runs
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.partitions import Contents
    from tracklake.storage.table.snapshot_reader import SnapshotReader

MAX_POINTS = 2_000_000
"""Points of one partition; they are in memory, at some 70 bytes a point."""


class Imported(NamedTuple):
    """What an import brought into the lake."""

    runs: int
    points: int
    partitions: int


class _Table(NamedTuple):
    """The runs of a table, and what makes partitions of their rows; None where each goes the way of a record."""

    runs: Runs
    contents: TableContents | None


class Publication:
    """Takes run records and their points, writes partitions as they fill, and commits all of them at once.

    A dry run only counts. With `replace`, what a source says takes the place of what was imported of its runs before.

    >>> from tracklake.importers.readers.records import Points, RunRecord, columns
    >>> publication = Publication(example()._reader)
    >>> record = RunRecord("csv:a.csv", run_id="a", start=1_000_000)
    >>> publication.begin(record)
    >>> publication.add(Points(record, columns({"loss": pl.Series([0.5, 0.25])}, step=pl.Series([0, 1]))))
    2
    >>> publication.commit()
    Imported(runs=1, points=2, partitions=1)
    """

    def __init__(self, reader: SnapshotReader, *, dry_run: bool = False, replace: bool = False) -> None:
        snapshot = reader.snapshot().whole("what is there already has to be known before something is imported")
        self.recorded = RecordedSources(snapshot, reader.catalog.statements())
        self.runs: Counter[str] = Counter()
        """New points of each run of which anything is new."""
        self.projects: dict[str, set[str]] = {}
        """Those runs, by project."""
        self.n_overwritten = 0
        """Points whose step comes again in their series, with another value."""
        self.n_samples = 0
        """Samples of system metrics."""
        self._began = uptime()
        self._catalog = reader.catalog
        self._snapshot = snapshot
        self._open: dict[int, OpenSession] = {}
        self._over: list[OpenSession] = []
        self._n_pending = 0
        self._ended: dict[int, OpenSession] = {}
        self._tables: dict[int, _Table] = {}
        self.deleted: dict[str, None] = {}
        """Runs of which the source that is read speaks, and that are deleted in the lake."""
        self._table_sessions: set[int] = set()
        self._written: list[Partition] = []
        self._is_dry = dry_run
        self._scratch = tempfile.TemporaryDirectory(prefix="tracklake-") if dry_run else None
        self._place = reader.catalog.storage if self._scratch is None else LocalStorage(Path(self._scratch.name))
        """Where partitions are written: those of a dry run are looked at again where two sources tell of one run."""
        self._replaces = replace
        self.replaced: list[str] = []
        """Runs whose points of before count no longer."""
        self._n_points = 0

    def expect(self, sessions: Iterable[int]) -> None:
        """Read at once what the lake has of sessions that will be begun next, for each of which it would be read else.

        >>> Publication(example()._reader).expect([session_of("csv:a.csv")])
        """
        begun = self._open.keys() | self._ended.keys()
        self.recorded.read_ahead(session for session in sessions if session not in begun)

    def begin(self, record: RunRecord, facts: Mapping[str, Any] | None = None) -> None:
        """Open the session of a record; `facts` are what it says of itself beyond the record.

        >>> from tracklake.importers.readers.records import Points, RunRecord, columns
        >>> publication, record = Publication(example()._reader), RunRecord("csv:a.csv", run_id="a", start=7)
        >>> publication.begin(record, {"imported_from": "a.csv"})
        """
        session = session_of(record.identity, record.session)
        if session in self._ended:  # two sources tell of it, such as two copies of one file
            self._write()
            self._open[session] = self._ended.pop(session)
            self._open[session].reopen(record, self._written_samples(session))
        elif session not in self._open:
            replaces = self.recorded.last_session(record) if self._replaces else None
            opened = OpenSession(record, facts or {}, self.recorded, replaces=replaces)
            self._open[session] = opened
            if replaces is not None:
                self.replaced.append(opened.run_id)

    def add(self, batch: Points) -> int:
        """Take in points of a record that was begun; return how many of them are new.

        >>> from tracklake.importers.readers.records import Points, RunRecord, columns
        >>> publication, record = Publication(example()._reader), RunRecord("csv:a.csv", run_id="a", start=7)
        >>> publication.begin(record)
        >>> publication.add(Points(record, columns({"loss": pl.Series([0.5])}, step=pl.Series([0]))))
        1
        """
        n_new = self._open[session_of(batch.record.identity, batch.record.session)].add(batch.frame)
        self._n_pending += n_new
        if self._n_pending >= MAX_POINTS:
            self._write()
        return n_new

    def end(self, record: RunRecord) -> OpenSession:
        """Close the session of a record, which has no more to say.

        >>> from tracklake.importers.readers.records import Points, RunRecord, columns
        >>> publication, record = Publication(example()._reader), RunRecord("csv:a.csv", run_id="a", start=7)
        >>> publication.begin(record)
        >>> publication.end(record).run_id
        'a'
        """
        ended = self._open.pop(session_of(record.identity, record.session))
        self._over.append(ended)
        self._ended[session_of(record.identity, record.session)] = ended
        return ended

    def add_contents(self, contents: Iterable[Contents], *, advance: Callable[[float], object]) -> None:
        """Write partitions of sessions that nobody has begun.

        >>> from tracklake.importers.readers.records import Points, RunRecord, columns
        >>> publication, record = Publication(example()._reader), RunRecord("csv:a.csv", run_id="a", start=7)
        >>> publication.add_contents([], advance=print)
        """
        for one in contents:
            self._store([one.points], one.records)
            advance(one.points.height)
            self._note(one.records)

    def add_rows(self, batch: RunRows, facts: Mapping[str, Any]) -> int:
        """Take in rows of many runs of a table; return how many points are new. `facts` are what its sessions say.

        Where the lake has none of the runs their partitions are written at once; else each goes the way of a record.

        >>> from tracklake.importers.readers.records import SampleRows, RunRows, Runs
        >>> at, ids = np.array([1]), pl.Series(["a"])
        >>> runs = Runs("p", ids, ids, "x.csv", at, at, pl.DataFrame())
        >>> rows = SampleRows(np.array([0, 0]), np.array([1, 2]), pl.DataFrame({"loss": [0.5, 0.25]}))
        >>> Publication(example()._reader).add_rows(RunRows(runs, rows), {})
        2
        """
        table = self._tables.get(id(batch.runs))
        if table is None:
            is_free = not self._replaces and self.recorded.is_free(batch.runs)
            table = _Table(batch.runs, TableContents(batch.runs, facts) if is_free else None)
            self._tables[id(batch.runs)] = table
            if is_free:
                self.recorded.take(batch.runs)
        if table.contents is None:
            return self._add_run_by_run(batch, facts)
        n_before = self._n_points
        for partition in table.contents.partitions(batch.rows):
            self._store(partition.chunks, partition.records)
            self._note(partition.records)
        return self._n_points - n_before

    def _note(self, records: SessionRecords) -> None:
        self._table_sessions |= set(records.files["session"])
        for project, run_id in records.files.select("project", "run_id").iter_rows():
            self.runs[run_id] += 0
            self.projects.setdefault(project, set()).add(run_id)

    def _add_run_by_run(self, batch: RunRows, facts: Mapping[str, Any]) -> int:
        """Take in rows of runs of which the lake has some already, from this source or another."""
        rows, n_new = batch.rows, 0
        bounds = np.append(np.flatnonzero(np.append(True, np.diff(rows.run) != 0)), len(rows.run))
        runs = batch.runs
        self.expect(session_of(runs.identities[number], runs.origin) for number in rows.run[bounds[:-1]].tolist())
        for start, stop in itertools.pairwise(bounds.tolist()):
            own = rows.cut(slice(start, stop))
            record = runs.record(int(own.run[0]))
            deleted = self.recorded.deleted_run(record)
            if deleted is not None:
                self.deleted[deleted] = None
                continue
            self.begin(record, {**facts, "source": record.identity})
            n_new += self.add(Points(record, samples_of(own)))
        return n_new

    @property
    def sessions(self) -> list[OpenSession]:
        """The sessions that were begun and are over.

        >>> from tracklake.importers.readers.records import Points, RunRecord, columns
        >>> publication, record = Publication(example()._reader), RunRecord("csv:a.csv", run_id="a", start=7)
        >>> publication.sessions
        []
        """
        return list(self._ended.values())

    def commit(self) -> Imported:
        """Publish all that was taken in; nothing is in the lake before.

        Raises CommitError if another import of the same sources came first, or if this took so long beside other
        writers that its files may have been taken for orphans; what was written is deleted then.

        >>> from tracklake.importers.readers.records import Points, RunRecord, columns
        >>> publication, record = Publication(example()._reader), RunRecord("csv:a.csv", run_id="a", start=7)
        >>> publication.begin(record)
        >>> publication.commit()
        Imported(runs=1, points=0, partitions=1)
        """
        for session in list(self._open.values()):
            self.end(session.record)
        self._write()
        if not self._written or self._is_dry:
            self._write_system_samples()
            return Imported(len(self.runs), self._n_points, 0)
        committed = self._catalog.log.commit(  # an interrupt may come after it has landed: then nothing is deleted
            base=self._snapshot.version, add=self._written, operation="IMPORT", still_valid=self._is_valid
        )
        if committed is None:
            self.discard()
            raise CommitError(
                "another process brought in runs of the same ids meanwhile, or this took more than an hour beside "
                "other writers; nothing was imported. Try it again"
            )
        n_partitions = len(self._written)
        self._written = []  # they are the lake's now
        self._write_system_samples()
        return Imported(len(self.runs), self._n_points, n_partitions)

    def _write_system_samples(self) -> None:
        if not self._is_dry:
            for session in self._ended.values():
                self.n_samples += system_samples.write(self._catalog.storage, session.record, session.run_id)

    def discard(self) -> None:
        """Delete what was written and not committed.

        >>> from tracklake.importers.readers.records import Points, RunRecord, columns
        >>> publication, record = Publication(example()._reader), RunRecord("csv:a.csv", run_id="a", start=7)
        >>> publication.discard()
        """
        for partition in self._written:
            partitions.discard(self._place, partition)
        self._written = []
        if self._scratch is not None:
            self._scratch.cleanup()

    def _is_valid(self, newer: Version) -> bool:
        """Tell whether what others have committed meanwhile leaves room for this."""
        self._catalog.refresh(to=newer)
        before, now = self._snapshot.files, self._catalog.files
        came = now.join(before, on=["session", "n"], how="anti")
        ids = {run_id.casefold() for run_id in self.runs}
        earlier = {run_id.casefold() for run_id in before["run_id"].unique()}
        new_ids = {run_id.casefold() for run_id in came["run_id"].unique()} - earlier
        own = {one.session for one in self._ended.values()} | self._table_sessions
        is_in_time = uptime() - self._began < ABANDON_SECONDS
        return is_in_time and not new_ids & ids and not own & set(came["session"])

    def _write(self) -> None:
        """Write a partition of what is pending."""
        files, rows, pieces = [], [], []
        is_over = dict.fromkeys(self._over, True) | {one: False for one in self._open.values() if one.pending}
        for session, over in is_over.items():
            statements = session.statement_rows(is_over=over)
            if session.pending or statements:
                files.append(session.file_row(is_over=over))
                rows += statements
                self.runs[session.run_id] += 0
                self.projects.setdefault(session.record.project, set()).add(session.run_id)
                pieces.append(session.turn_over())
        self._over, self._n_pending = [], 0
        if files:
            self._store(pending.chunks(pieces), _records(files, rows))

    def _written_samples(self, session: int) -> pl.DataFrame:
        files = [self._place.fetch(partition.history) for partition in self._written]
        points = (
            pl.scan_parquet(files, glob=False).filter(pl.col("session") == session)
            if files
            else pl.LazyFrame(schema=POINTS)
        )
        return points.select(SAMPLE_KEY).collect()

    def _store(self, chunks: Iterable[pl.DataFrame], records: SessionRecords) -> None:
        """Write a partition of chunks of points, each of which is counted."""
        counted = map(self._counted, chunks)
        if self._snapshot.version.number < 0 and not self._is_dry:
            self._catalog.log.create()  # before the first partition: a lake that has one and no log has lost it
        self._written.append(partitions.write_chunks(self._place, map(Chunk.of, counted), records))

    def _counted(self, frame: pl.DataFrame) -> pl.DataFrame:
        self._n_points += frame.height
        if frame.height:
            starts = sorted_groups.group_starts(frame, by=("run_id",)).arg_true()
            lengths = starts.slice(1).append(pl.Series([frame.height], dtype=starts.dtype)) - starts
            self.runs.update(dict(zip(frame["run_id"].gather(starts), lengths, strict=True)))
            first = sorted_groups.group_starts(frame, by=("run_id", "metric", "step"))
            self.n_overwritten += frame.height - int(first.sum())
        return frame


def _records(files: Sequence[tuple[object, ...]], rows: Sequence[tuple[object, ...]]) -> SessionRecords:
    owner = ["run_id", "session", "n"]
    numbered = pl.DataFrame(files, schema={**FILES, "start": pl.Int64, "last": pl.Int64}, orient="row")
    stamped = pl.DataFrame(rows, schema={**STATEMENTS, "ts": pl.Int64}, orient="row")
    return SessionRecords(
        numbered.with_columns(pl.col("start", "last").cast(STAMP)).sort(owner),
        stamped.with_columns(pl.col("ts").cast(STAMP)).sort(owner, maintain_order=True),
    )
