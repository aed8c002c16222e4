"""Journals that are not sealed to their end, read forward as they grow."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.warnings import warn_once
from tracklake.compute import points, row_states, states
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import Kind
from tracklake.storage import layout
from tracklake.storage.journal import frame_format, statements
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.journal.statements import JournalSlice, SessionRecords
from tracklake.storage.table import live_points, partitions, sealing
from tracklake.storage.table.live_points import LivePoints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.reader import Fault
    from tracklake.storage.table.catalog import Catalog, JournalFile, Watermark


def warn_of_damage(storage: Storage, name: str, fault: Fault, *, run_id: str) -> None:
    """Tell of damage in a journal, once a process; what lies beyond it is read.

    >>> import warnings
    >>> from tracklake.storage.journal.reader import Fault
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warn_of_damage(example()._storage, "journal/a.tlj", Fault("a.tlj", 64, "crc"), run_id="a")
    >>> len(told)
    1
    """
    place = storage.describe(name)
    warn_once(
        f"{place}:{fault.offset}",
        f"tracklake: {place} is damaged at byte {fault.offset} ({fault.reason}): rows of run {run_id!r} may be "
        "missing; lake.check() tells more",
    )


class LiveJournal:
    """The unsealed part of one journal file, read forward as it grows."""

    def __init__(self, catalog: Catalog, file: JournalFile, watermark: Watermark, *, until: int | None = None) -> None:
        self.file = file
        self.watermark = watermark
        self.points: list[LivePoints] = []
        self.states: list[pl.DataFrame] = []
        self.records: list[SessionRecords] = []
        self.revision: tuple[int, int] = (watermark.through, 0)
        """Another one whenever something was read."""
        self.run_ids: frozenset[str] = frozenset()
        """The run that it speaks of; none before its first statement was read."""
        self._catalog = catalog
        self._header: dict[str, Any] = {}
        self._until = until
        self._reader = JournalReader(catalog.storage.follow(f"{layout.JOURNAL_FOLDER}/{file.entry.name}"))
        if watermark.through:
            self._reader.read(through=watermark.through)

    def read(self) -> JournalSlice | None:
        """Read what was appended; None if nothing was. FileNotFoundError: the file is gone.

        >>> from tracklake.storage.table.catalog import Catalog, Watermark
        >>> catalog = Catalog(example()._storage)
        >>> live = LiveJournal(catalog, catalog.list_journals()[0], Watermark())
        >>> (delta,) = deltas([live.read()])
        >>> live.apply(delta), delta.points.number, live.read()
        (None, 6, None)
        """
        name = f"{layout.JOURNAL_FOLDER}/{self.file.entry.name}"
        self._catalog.storage.follow(name)  # what was appended on a store comes over
        appended = self._reader.read(through=self._until)
        may_be_cut = not self.file.entry.writable and self._catalog.storage.lock_path(name) is not None
        cut = self._reader.cut() if self._until is None and may_be_cut else None
        for fault in (*appended.faults, *([cut] if cut else [])):
            warn_of_damage(
                self._catalog.storage, name, fault, run_id=self._reader.header.get("run", self.file.name.run)
            )
        if self._reader.is_empty or (not appended and self.records):
            return None
        self._header = self._header or self._reader.header or sealing.fallback_header(self._catalog, self.file)
        closed = self._reader.closed is not None
        return JournalSlice(self._header, self.file.name.n, appended, self._reader.offset, closed)

    def apply(self, delta: JournalDelta) -> None:
        """Add what was read.

        >>> from tracklake.storage.table.catalog import Catalog, Watermark
        >>> catalog = Catalog(example()._storage)
        >>> live = LiveJournal(catalog, catalog.list_journals()[0], Watermark())
        >>> live.apply(*deltas([live.read()]))
        >>> live.points[0].frame.height, live.states[0].filter(metric="loss")["min"].item()
        (6, 0.25)
        """
        self.revision = (self.revision[0], self._reader.offset)  # not a count: after an interrupt all is read anew
        self._add_records(delta.records)
        if delta.points.number:
            self._add_points(delta)

    def _add_records(self, records: SessionRecords) -> None:
        """Keep one row of the file, and the facts of its header once."""
        if self.records:
            appended = records.statements.filter(pl.col("op") != StatementKind.SESSION)
            before = self.records[0].statements
            records = SessionRecords(records.files, pl.concat([before, appended]) if appended.height else before)
        self.records = [records]
        self.run_ids = self.run_ids or frozenset(records.files["run_id"])

    def _add_points(self, delta: JournalDelta) -> None:
        """Merge new points with the frames before that are no larger: few frames, and each point is moved seldom."""
        merged, merged_states = delta.points, delta.states
        while self.points and self.points[-1].number <= merged.number:
            merged = LivePoints(None, frame=points.sort(pl.concat(live_points.frames([self.points.pop(), merged]))))
            merged_states = states.of_rows(merged.frame, sessions=partitions.session_starts(self.records[0]))
            self.states.pop()
        self.points.append(merged)
        self.states.append(merged_states)


class JournalDelta(NamedTuple):
    """What was appended to one journal file since the last read."""

    records: SessionRecords
    points: LivePoints
    states: pl.DataFrame


def deltas(slices: Sequence[JournalSlice]) -> Iterator[JournalDelta]:
    """Yield what each slice holds; of many at the price of few calls into polars, in threads.

    All are read before: both at once would take longer, since each file that is read would wait for the interpreter.

    >>> from tracklake.storage.table.catalog import Catalog, Watermark
    >>> catalog = Catalog(example()._storage)
    >>> slices = [LiveJournal(catalog, file, Watermark()).read() for file in catalog.list_journals()]
    >>> [delta.states["run_id"].unique().item() for delta in deltas(slices)]
    ['fast', 'slow']
    """
    return live_points.map_groups(_deltas_of, slices)


def _deltas_of(slices: Sequence[JournalSlice]) -> list[JournalDelta]:
    records = statements.of_slices(slices)
    frames = (*records, _states_of(slices, records))
    parts = [live_points.by_session(frame) for frame in frames]
    deltas_of = []
    for journal_slice in slices:
        session = journal_slice.header["session"]
        files, lines, own_states = (part.get(session, frame.head(0)) for part, frame in zip(parts, frames, strict=True))
        deltas_of.append(JournalDelta(SessionRecords(files, lines), LivePoints(journal_slice), own_states))
    return deltas_of


def _states_of(slices: Sequence[JournalSlice], records: SessionRecords) -> pl.DataFrame:
    """Return the states of slices: most hold rows of one form, of which no points need be made."""
    rows = [_rows(journal_slice) for journal_slice in slices]
    others = [journal_slice for journal_slice, plain in zip(slices, rows, strict=True) if plain is None]
    frames = [row_states.of_rows([plain for plain in rows if plain is not None])]
    if others:
        decoded, sessions = sealing.points_of(others), partitions.session_starts(records)
        frames.append(states.of_rows(decoded, sessions=sessions))
    return pl.concat(frames)


def _rows(journal_slice: JournalSlice) -> row_states.SessionRows | None:
    """Return the rows of a slice, if each of them has the same series, numbers alone, and a step of its own."""
    header, records = journal_slice.header, journal_slice.records
    base = header.get("runtime_base", 0.0)
    if len(records.blocks) != 1 or records.unpacked or not isinstance(base, (int, float)):
        return None
    if not set(partitions.UNTIMED).isdisjoint(header):
        return None
    block = records.blocks[0]
    owner = (header["project"], header["run"], header["session"], header["start"], float(base))
    rows = row_states.SessionRows(*owner, block.names, _kinds(block.kinds), block.stamps, block.steps, block.values)
    return rows if rows.is_plain else None


@lru_cache(maxsize=256)
def _kinds(letters: str) -> tuple[Kind, ...]:
    """Return the kinds of values by their letters in a key set, which many rows have in common."""
    return tuple(Kind(frame_format.KIND_OF_LETTER[letter]) for letter in letters)
