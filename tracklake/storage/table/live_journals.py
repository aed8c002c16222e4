"""Journals that are not sealed to their end, read forward as they grow."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.warnings import warn_once
from tracklake.compute import points, sorted_groups, states
from tracklake.schema.statement_kind import StatementKind
from tracklake.storage import layout
from tracklake.storage.journal import statements
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.journal.statements import JournalSlice, SessionRecords
from tracklake.storage.table import partitions, sealing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.reader import Fault
    from tracklake.storage.table.catalog import Catalog, JournalFile, Watermark

POINTS_AT_ONCE = 200_000
"""Of many journals that are read together: more points than fit into the caches of a processor are slower each."""


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
        self.points: list[pl.DataFrame] = []
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
        >>> live.apply(delta), delta.points.height, live.read()
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
        >>> live.points[0].height, live.states[0].filter(metric="loss")["min"].item()
        (6, 0.25)
        """
        self.revision = (self.revision[0], self._reader.offset)  # not a count: after an interrupt all is read anew
        self._add_records(delta.records)
        if not delta.points.is_empty():
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
        while self.points and self.points[-1].height <= merged.height:
            merged, merged_states = points.sort(pl.concat([self.points.pop(), merged])), None
            self.states.pop()
        if merged_states is None:
            merged_states = states.of_rows(merged, sessions=partitions.session_starts(self.records[0]))
        self.points.append(merged)
        self.states.append(merged_states)


class JournalDelta(NamedTuple):
    """What was appended to one journal file since the last read."""

    records: SessionRecords
    points: pl.DataFrame
    states: pl.DataFrame | None
    """Made here where there are many files, which costs as little as one; else they may not be needed."""


def deltas(slices: Iterable[JournalSlice]) -> Iterator[JournalDelta]:
    """Yield what each slice holds; of many at the price of few calls into polars, in threads while others are read.

    >>> from tracklake.storage.table.catalog import Catalog, Watermark
    >>> catalog = Catalog(example()._storage)
    >>> slices = [LiveJournal(catalog, file, Watermark()).read() for file in catalog.list_journals()]
    >>> [delta.points["run_id"].unique().item() for delta in deltas(slices)]
    ['fast', 'slow']
    """
    groups = _groups(slices)
    begun = list(itertools.islice(groups, 2))
    if len(begun) > 1:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for several in pool.map(_deltas_of, itertools.chain(begun, groups)):
                yield from several
    elif begun and len(begun[0]) > 1:
        yield from _deltas_of(begun[0])
    elif begun:
        yield JournalDelta(statements.of_slices(begun[0]), sealing.points_of(begun[0]), None)


def _groups(slices: Iterable[JournalSlice]) -> Iterator[list[JournalSlice]]:
    """Put slices of different sessions together until they have as many points as are fast to count at once."""
    group: dict[int, JournalSlice] = {}
    n_points = 0
    for journal_slice in slices:
        if journal_slice.header["session"] in group or n_points >= POINTS_AT_ONCE:
            yield list(group.values())
            group, n_points = {}, 0
        group[journal_slice.header["session"]] = journal_slice
        n_points += sum(block.values.size for block in journal_slice.records.blocks)
    if group:
        yield list(group.values())


def _deltas_of(slices: Sequence[JournalSlice]) -> list[JournalDelta]:
    records, decoded = statements.of_slices(slices), sealing.points_of(slices)
    frames = (*records, decoded, states.of_rows(decoded, sessions=partitions.session_starts(records)))
    by_session = [_by_session(frame) for frame in frames]
    deltas_of = []
    for journal_slice in slices:
        session = journal_slice.header["session"]
        files, lines, own_points, own_states = (
            parts.get(session, frame.clear()) for parts, frame in zip(by_session, frames, strict=True)
        )
        deltas_of.append(JournalDelta(SessionRecords(files, lines), own_points, own_states))
    return deltas_of


def _by_session(frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Cut a frame by session; without a copy where the rows of each stand together, as sorted points do."""
    starts = sorted_groups.group_starts(frame, by=["session"])
    heads, places = frame["session"].filter(starts).to_list(), starts.arg_true().to_list()
    if len(set(heads)) < len(heads):
        return {part["session"][0]: part for part in frame.partition_by("session")}
    stops = [*places[1:], frame.height]
    return {session: frame[start:stop] for session, start, stop in zip(heads, places, stops, strict=False)}
