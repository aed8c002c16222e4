"""The catalog: which partitions there are, what their sessions said, and how far each journal file is sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.schema import naming
from tracklake.schema.tables import LAKE_RUN
from tracklake.storage import layout
from tracklake.storage.journal import file_names, host, statements
from tracklake.storage.table import partitions
from tracklake.storage.table.delta_log import DeltaLog, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tracklake.storage.journal.statements import Said
    from tracklake.storage.local import Entry, Storage
    from tracklake.storage.table.delta_actions import Partition

NOTHING = Version(-1, 0, {})
_MANY = 1000
"""Runs asked for, from which on no partition is left out."""


class Mark(NamedTuple):
    """How far one journal file is sealed."""

    through: int = 0
    complete: bool = False


class JournalFile(NamedTuple):
    """One journal file of a listing."""

    name: file_names.FileName
    entry: Entry

    @property
    def key(self) -> tuple[int, int]:
        """(session, n), unique in the lake.

        >>> from tracklake.storage.local import Entry
        >>> name = file_names.FileName("fast-0b5a2a4c1e", 255, 3)
        >>> JournalFile(name, Entry(str(name), 900, 1_700_000_000.0, writable=False)).key
        (255, 3)
        """
        return self.name.session, self.name.n


class Catalog:
    """The committed part of a lake, kept up to date at the cost of what is new.

    Partitions are immutable, so what was read of one is remembered as long as it belongs to the lake. With `only`, a
    run id in any case, no more is known than what concerns this run and the lake as a whole.
    """

    def __init__(self, storage: Storage, *, only: str | None = None) -> None:
        self.storage = storage
        self.log = DeltaLog(storage)
        self.version = NOTHING
        self._only = only
        self._said: dict[str, Said] = {}
        self._all: Said | None = None
        self._spent: dict[str, JournalFile] = {}
        """Journals that are sealed to their end: they change no more."""

    def list_journals(self) -> list[JournalFile]:
        """List the journal files. To be called before `refresh`: what leaves the listing is then in the log.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import Storage
        >>> catalog = Catalog(Storage(root_of(example().dir)))
        >>> sorted(file.name.run.partition("-")[0] for file in catalog.list_journals())
        ['fast', 'slow']
        """
        runs = "" if self._only is None else tuple(f"{naming.safe_name(r)}." for r in (self._only, LAKE_RUN))
        known = {name: file.entry for name, file in self._spent.items()}
        entries = self.storage.list(layout.JOURNAL_FOLDER, prefix=runs, suffix=layout.JOURNAL_SUFFIX, known=known)
        found = ((entry, self._spent.get(entry.name) or file_names.FileName.parse(entry.name)) for entry in entries)
        return [f if isinstance(f, JournalFile) else JournalFile(f, entry) for entry, f in found if f is not None]

    def refresh(self, *, to: Version | None = None) -> Version:
        """Take over the newest version (or `to`) and return it.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import Storage
        >>> lake = example()
        >>> catalog = Catalog(Storage(root_of(lake.dir)))
        >>> before, _, after = catalog.refresh().number, lake.refresh(), catalog.refresh().number
        >>> before, after
        (-1, 1)
        """
        host.refuse_lost_engine()
        version = to or self.log.read(since=self.version if self.version is not NOTHING else None)
        if version.number != self.version.number:
            self._said = {name: self._said.get(name) or self._read(p) for name, p in version.partitions.items()}
            self._all = None
            self.version = version
        return self.version

    @property
    def said(self) -> Said:
        """What the sessions of all partitions said.

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> _ = lake.refresh(), catalog.refresh()
        >>> catalog.said.files["run_id"].to_list()
        ['fast', 'slow']
        """
        if self._all is None:
            self._all = statements.concat(list(self._said.values()))
        return self._all

    @property
    def parts(self) -> dict[str, Said]:
        """What the sessions of each partition said, by its id; never changed, but replaced as a whole.

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> _ = lake.refresh(), catalog.refresh()
        >>> [said.files.height for said in catalog.parts.values()]  # of the one partition
        [2]
        """
        return self._said

    def copy(self) -> Catalog:
        """Return a catalog that knows what this one knows, and goes its own way from here.

        >>> lake = example()
        >>> catalog = Catalog(lake._storage)
        >>> other = catalog.copy()
        >>> _ = lake.refresh(), other.refresh()
        >>> catalog.version.number, other.version.number
        (-1, 1)
        """
        other = Catalog(self.storage, only=self._only)
        other.version, other._said, other._all, other._spent = self.version, self._said, self._all, self._spent.copy()
        return other

    def marks(self, files: Collection[JournalFile]) -> dict[tuple[int, int], Mark]:
        """Return the largest mark of each of these journal files that has one.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import Storage
        >>> lake = example()
        >>> catalog = Catalog(Storage(root_of(lake.dir)))
        >>> _ = lake.refresh(), catalog.refresh()
        >>> {mark.complete for mark in catalog.marks(catalog.list_journals()).values()}
        {True}
        """
        if self.said.files.is_empty():
            return {}
        sessions = pl.Series([file.name.session for file in files], dtype=pl.Int64)
        known = self.said.files.filter(pl.col("session").is_in(sessions.unique().implode()))
        largest = known.group_by(["session", "n"]).agg(pl.col("sealed_through").max(), pl.col("complete").any())
        marks = {(session, n): Mark(through, complete) for session, n, through, complete in largest.iter_rows()}
        self._spent |= {file.entry.name: file for file in files if file.key in marks and marks[file.key].complete}
        return marks

    def has_run(self, run_id: str) -> bool:
        """Tell whether the lake may hold something of a run, its id in any case; False is certain.

        >>> from tracklake.storage.layout import root_of
        >>> from tracklake.storage.local import Storage
        >>> catalog = Catalog(Storage(root_of(example().dir)))
        >>> catalog.has_run("FAST"), catalog.has_run("faster")
        (True, False)
        """
        start = f"{naming.safe_name(run_id)}."
        if self.storage.list(layout.JOURNAL_FOLDER, prefix=start, suffix=layout.JOURNAL_SUFFIX):
            return True
        newest = self.log.read(since=self.version if self.version is not NOTHING else None)
        return any(partitions.may_hold(self.storage, part, run_id) for part in newest.partitions.values())

    def _read(self, partition: Partition) -> Said:
        """Read what the sessions of a partition said."""
        runs = None if self._only is None else [self._only, LAKE_RUN]
        return partitions.read_said(self.storage, partition, runs=runs)


class Held(NamedTuple):
    """The runs of which a partition says something."""

    partition: str
    first: str
    last: str
    ids: pl.Series
    """Sorted, with repeats."""


def held(parts: Mapping[str, Said]) -> list[Held]:
    """Return what partitions hold, in order of their first run; those that hold nothing are left out.

    >>> said = statements.concat([])
    >>> held({"7f3a": said._replace(files=said.files.clear(1).with_columns(run_id=pl.lit("a")))})[0][:3]
    ('7f3a', 'a', 'a')
    """
    ids = ((name, said.files["run_id"]) for name, said in parts.items() if said.files.height)
    return sorted((Held(name, runs[0], runs[-1], runs) for name, runs in ids), key=lambda h: (h.first, h.last))


def holding(partitions: Sequence[Held], run_ids: Collection[str] | None) -> list[Held]:
    """Return the partitions that hold something of these runs (None, and very many: all partitions).

    >>> parts = [Held("p1", "a", "c", pl.Series(["a", "c"])), Held("p2", "d", "e", pl.Series(["d", "e"]))]
    >>> [part.partition for part in holding(parts, ["c"])], holding(parts, ["b"])
    (['p1'], [])
    """
    if run_ids is None or len(run_ids) > _MANY:
        return list(partitions)
    least, most = min(run_ids, default=""), max(run_ids, default="")
    near = [h for h in partitions if h.first <= most and least <= h.last]
    wanted = pl.Series(sorted(run_ids), dtype=pl.String)
    return [h for h in near if _holds_any(h.ids, wanted)]


def _holds_any(ids: pl.Series, wanted: pl.Series) -> bool:
    """Tell whether sorted ids have one of those wanted among them; by a search, as there may be very many."""
    return (ids.search_sorted(wanted, side="left") != ids.search_sorted(wanted, side="right")).any()
