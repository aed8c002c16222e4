"""The catalog: partitions, the records of their sessions, and the watermark of each journal file."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.task_engine import LOCAL
from tracklake.compute.scans import collect_each
from tracklake.schema import naming
from tracklake.schema.tables import LAKE_RUN, SESSIONS, STATES
from tracklake.storage import layout
from tracklake.storage.journal import file_names, host, statements
from tracklake.storage.table import name_index, partitions, unreadable_files
from tracklake.storage.table.delta_log import DeltaLog, Version
from tracklake.storage.table.partitions import IS_HEADER
from tracklake.storage.table.statement_log import PartitionLog, SealedStatements
from tracklake.storage.table.verified_files import SIBLINGS, FileGoneError, verified_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tracklake.common.task_engine import TaskEngine
    from tracklake.storage.backend import Entry, Storage
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.unreadable_files import Unreadable

NOTHING = Version(-1, 0, {})
SMALL_BYTES = 1 << 15
"""Bytes of a file of session records up to which it is read as a whole."""
_RUNS = SIBLINGS.index("runs")
MANY_RUNS = 1000
"""Runs asked for, from which on no partition is left out."""


class Watermark(NamedTuple):
    """The committed offset of one journal file: how far it is sealed."""

    through: int = 0
    complete: bool = False


class JournalFile(NamedTuple):
    """One journal file of a listing."""

    name: file_names.FileName
    entry: Entry

    @property
    def key(self) -> tuple[int, int]:
        """(session, n), unique in the lake.

        >>> from tracklake.storage.backend import Entry
        >>> name = file_names.FileName("fast-0b5a2a4c1e", 255, 3)
        >>> JournalFile(name, Entry(str(name), 900, 1_700_000_000.0, writable=False)).key
        (255, 3)
        """
        return self.name.session, self.name.n


class PartitionRecords(NamedTuple):
    """What is known of the sessions of one partition."""

    files: pl.DataFrame
    """One row a journal file (schema statements.FILES)."""
    statements: SealedStatements | pl.DataFrame
    """To be read by kind and key, or, where they are few, as they are (schema STATEMENTS)."""


class Catalog:
    """The committed part of a lake, kept up to date at the cost of what is new.

    Partitions are immutable, so what was read of one is remembered as long as it belongs to the lake. With `only`, a
    run id in any case, no more is known than what concerns this run and the lake as a whole. Without `statements` only
    the session files are read, which tell the watermarks and take a hundredth of the time. Where a file cannot be read
    it raises LakeError; a `tolerant` one leaves that partition out, which is then in `unreadable`.
    """

    def __init__(
        self, storage: Storage, *, only: str | None = None, statements: bool = True, tolerant: bool = False
    ) -> None:
        self.storage = storage
        self.engine: TaskEngine = LOCAL
        """What heavy work over the partitions runs on."""
        self.log = DeltaLog(storage)
        self.version = NOTHING
        self.tolerant = tolerant
        self.unreadable: dict[str, Unreadable] = {}
        """The partitions that are left out, by id; never changed, but replaced as a whole."""
        self._only = only
        self._statements = statements
        self._records: dict[str, PartitionRecords] = {}
        self._files: pl.DataFrame | None = None
        self.known_metrics: dict[str, frozenset[str]] = {}
        """The metrics of each partition that was looked at for them; never replaced, but changed."""
        self._runs: dict[str, PartitionRuns] = {}
        self._log: PartitionLog | None = None
        self._spent: dict[str, JournalFile] = {}
        """Journals that are sealed to their end: they change no more."""

    def list_journals(self) -> list[JournalFile]:
        """List the journal files. To be called before `refresh`: what leaves the listing is then in the log.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import LocalStorage
        >>> catalog = Catalog(LocalStorage(root_of(example().dir)))
        >>> sorted(file.name.run.partition("-")[0] for file in catalog.list_journals())
        ['fast', 'slow']
        """
        runs = "" if self._only is None else tuple(f"{naming.safe_name(r)}." for r in (self._only, LAKE_RUN))
        cached = {name: file.entry for name, file in self._spent.items()}
        entries = self.storage.list(layout.JOURNAL_FOLDER, prefix=runs, suffix=layout.JOURNAL_SUFFIX, cached=cached)
        named = ((entry, self._spent.get(entry.name) or file_names.FileName.parse(entry.name)) for entry in entries)
        return [f if isinstance(f, JournalFile) else JournalFile(f, entry) for entry, f in named if f is not None]

    def refresh(self, *, to: Version | None = None) -> Version:
        """Take over the newest version (or `to`) and return it.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import LocalStorage
        >>> lake = example()
        >>> catalog = Catalog(LocalStorage(root_of(lake.dir)))
        >>> before, _, after = catalog.refresh().number, lake.refresh(), catalog.refresh().number
        >>> before, after
        (-1, 1)
        """
        host.refuse_lost_engine()
        version = to or self.log.read(since=self.version if self.version is not NOTHING else None)
        if version.number != self.version.number or self.unreadable:  # what was may be readable again
            read = self._read([part for name, part in version.partitions.items() if name not in self._records])
            records = self._records | read
            self._records = {name: records[name] for name in version.partitions if name not in self.unreadable}
            self._files = None
            self.version = version
        return self.version

    @property
    def files(self) -> pl.DataFrame:
        """One row a journal file of all partitions (schema statements.FILES).

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> _ = lake.refresh(), catalog.refresh()
        >>> catalog.files["run_id"].to_list()
        ['fast', 'slow']
        """
        if self._files is None:
            empty = pl.DataFrame(schema=statements.FILES)
            self._files = pl.concat([empty, *(records.files for records in self._records.values())])
        return self._files

    def statements(self, live: Sequence[pl.DataFrame] = ()) -> PartitionLog:
        """Return the statements of all partitions, and of live journals.

        >>> from tracklake.schema.statement_kind import StatementKind
        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> _ = lake.refresh(), catalog.refresh()
        >>> catalog.statements().keys(StatementKind.CONFIG)
        ['lr']
        """
        sealed = [records.statements for records in self._records.values()]
        large = [part for part in sealed if isinstance(part, SealedStatements)]
        frames = [part for part in sealed if isinstance(part, pl.DataFrame)]
        if self._log is None or not self._log.consists_of(large, frames, live):
            self._log = PartitionLog(large, frames, live, earlier=self._log)
        return self._log

    @property
    def records_by_partition(self) -> dict[str, PartitionRecords]:
        """The session records of each partition, by its id; never changed, but replaced as a whole.

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> _ = lake.refresh(), catalog.refresh()
        >>> [records.files.height for records in catalog.records_by_partition.values()]  # of the one partition
        [2]
        """
        return self._records

    def metrics(self, version: Version) -> set[str]:
        """Return the names of all metrics of which the partitions of a version have states; each is looked at once.

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> version = lake.refresh() and catalog.refresh()
        >>> sorted(catalog.metrics(version))[-2:]
        ['acc', 'loss']
        """
        known = self.known_metrics
        new = [part for name, part in version.partitions.items() if name not in known]
        indexed = map(name_index.read, verified_all(self.storage, new, "states", columns=[]))
        names_of = dict(zip((part.id for part in new), indexed, strict=True))
        unknown = [part for part in new if names_of[part.id] is None]
        paths = verified_all(self.storage, unknown, "states", columns=["metric"])
        scanned = collect_each(paths, None, ["metric"], schema=STATES)
        known |= {
            name: frozenset(metric for (metric,) in names) for name, names in names_of.items() if names is not None
        }
        known |= {p.id: frozenset(frame["metric"].unique()) for p, frame in zip(unknown, scanned, strict=True)}
        metrics = {metric for name in version.partitions for metric in known[name]}
        for name in known.keys() - self.version.partitions.keys() - version.partitions.keys():
            known.pop(name, None)
        return metrics

    @property
    def partition_runs(self) -> list[PartitionRuns]:
        """The runs of each partition, in order of their first run; partitions without any are left out.

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> _ = lake.refresh(), catalog.refresh()
        >>> [(runs.first, runs.last) for runs in catalog.partition_runs]
        [('fast', 'slow')]
        """
        ids = {name: r.files["run_id"] for name, r in self._records.items() if r.files.height}
        known = self._runs
        self._runs = {n: known[n] if n in known else PartitionRuns(n, i[0], i[-1], i) for n, i in ids.items()}
        return sorted(self._runs.values(), key=lambda runs: (runs.first, runs.last))

    def copy(self) -> Catalog:
        """Return a catalog that knows what this one knows, and goes its own way from here.

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> other = catalog.copy()
        >>> _ = lake.refresh(), other.refresh()
        >>> catalog.version.number, other.version.number
        (-1, 1)
        """
        other = Catalog(self.storage, only=self._only, statements=self._statements)
        other.engine, other.unreadable, other.version = self.engine, self.unreadable, self.version
        other._records, other._files, other._spent = self._records, self._files, self._spent.copy()
        return other

    def watermarks(self, files: Collection[JournalFile]) -> dict[tuple[int, int], Watermark]:
        """Return the largest watermark of each of these journal files that has one.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import LocalStorage
        >>> lake = example()
        >>> catalog = Catalog(LocalStorage(root_of(lake.dir)))
        >>> files = catalog.list_journals()
        >>> _ = lake.refresh(), catalog.refresh()
        >>> {watermark.complete for watermark in catalog.watermarks(files).values()}
        {True}
        """
        sessions = pl.Series([file.name.session for file in files], dtype=pl.Int64).unique().implode()
        listed = self.files.filter(pl.col("session").is_in(sessions)) if files else self.files.head(0)
        if listed.is_empty():
            return {}
        largest = listed.group_by(["session", "n"]).agg(pl.col("sealed_through").max(), pl.col("complete").any())
        watermarks = {
            (session, n): Watermark(through, complete) for session, n, through, complete in largest.iter_rows()
        }
        self._spent |= {f.entry.name: f for f in files if f.key in watermarks and watermarks[f.key].complete}
        return watermarks

    def possible_runs(self, run_ids: Sequence[str]) -> frozenset[str]:
        """Return those of some runs that the lake may contain, ids in any case; the others are not there, for certain.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import LocalStorage
        >>> catalog = Catalog(LocalStorage(root_of(example().dir)))
        >>> sorted(catalog.possible_runs(["FAST", "faster", "slow"]))
        ['FAST', 'slow']
        """
        starts = {run_id: f"{naming.safe_name(run_id)}." for run_id in run_ids}
        journals = self.storage.list(layout.JOURNAL_FOLDER, prefix=tuple(starts.values()), suffix=layout.JOURNAL_SUFFIX)
        possible = {run_id for run_id, start in starts.items() if any(j.name.startswith(start) for j in journals)}
        if len(possible) < len(starts):
            newest = self.log.read(since=self.version if self.version is not NOTHING else None)
            for run_id in starts.keys() - possible:
                if any(partitions.may_contain(self.storage, part, run_id) for part in newest.partitions.values()):
                    possible.add(run_id)
        return frozenset(possible)

    def _read(self, new: Sequence[Partition]) -> dict[str, PartitionRecords]:
        """Read the session records of partitions; a tolerant catalog of those that can be read."""
        if not self.tolerant:
            read = self._read_sound(new)
            self.unreadable = {}
            return read
        _, errors = unreadable_files.readable(self.storage, new, "runs")
        if any(isinstance(error, FileGoneError) for error in errors.values()):
            unreadable_files.refuse_vacuumed(errors, self.log.read())
        lost = [part for part in new if part.id in errors]
        self.unreadable = {p.id: unreadable_files.without_records(self.storage, p, errors[p.id]) for p in lost}
        return self._read_sound([part for part in new if part.id not in errors])

    def _read_sound(self, new: Sequence[Partition]) -> dict[str, PartitionRecords]:
        if self._only is None or not self._statements:
            return self._read_all(new)
        runs = [self._only, LAKE_RUN]
        read = {part.id: partitions.read_sessions(self.storage, part, runs=runs) for part in new}
        return {name: PartitionRecords(*records) for name, records in read.items()}

    def _read_all(self, new: Sequence[Partition]) -> dict[str, PartitionRecords]:
        """Read the records of all runs, in one go; of large partitions only the journal files."""
        paths = dict(zip((p.id for p in new), verified_all(self.storage, new, "runs"), strict=True))
        small = [p.id for p in new if self._statements and p.sizes[_RUNS] <= SMALL_BYTES]
        large = [name for name in paths if name not in small]
        whole = collect_each([paths[name] for name in small], None, list(SESSIONS), schema=SESSIONS)
        read = {name: PartitionRecords(*statements.from_rows(rows)) for name, rows in zip(small, whole, strict=True)}
        headers = collect_each([paths[name] for name in large], IS_HEADER, list(statements.FILES), schema=SESSIONS)
        for name, files in zip(large, headers, strict=True):
            read[name] = PartitionRecords(files, SealedStatements(paths[name], name_index.read(paths[name])))
        return read


class PartitionRuns:
    """The runs that a partition holds records of."""

    def __init__(self, partition: str, first: str, last: str, ids: pl.Series) -> None:
        """`ids` are sorted, with repeats, from `first` to `last`."""
        self.partition = partition
        self.first = first
        self.last = last
        self.ids = ids

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self.ids)

    def those_of(self, run_ids: Iterable[str]) -> list[str]:
        """Return those of some runs that it has, in their order.

        >>> PartitionRuns("p1", "a", "c", pl.Series(["a", "a", "c"])).those_of(["c", "b"])
        ['c']
        """
        near = [run_id for run_id in run_ids if self.first <= run_id <= self.last]
        return [run_id for run_id in near if run_id in self._members] if near else near


def partitions_with_runs(partitions: Sequence[PartitionRuns], run_ids: Collection[str] | None) -> list[PartitionRuns]:
    """Return the partitions that hold records of these runs (None, and very many: all partitions).

    >>> first = PartitionRuns("p1", "a", "c", pl.Series(["a", "c"]))
    >>> second = PartitionRuns("p2", "d", "e", pl.Series(["d", "e"]))
    >>> [runs.partition for runs in partitions_with_runs([first, second], ["c"])]
    ['p1']
    >>> partitions_with_runs([first, second], ["b"])
    []
    """
    if run_ids is None or len(run_ids) > MANY_RUNS:
        return list(partitions)
    return [h for h in partitions if h.those_of(run_ids)]
