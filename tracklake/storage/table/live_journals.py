"""Journals that are not sealed to their end, read forward as they grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.compute import points, states
from tracklake.schema.statement_kind import StatementKind
from tracklake.storage import layout
from tracklake.storage.journal import statements
from tracklake.storage.journal.reader import TailReader
from tracklake.storage.table import partitions, sealing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklake.storage.journal.statements import Said
    from tracklake.storage.table.catalog import Catalog, JournalFile, Mark


class Live:
    """The unsealed part of one journal file, read forward as it grows."""

    def __init__(self, catalog: Catalog, file: JournalFile, mark: Mark, *, until: int | None = None) -> None:
        self.file = file
        self.mark = mark
        self.points: list[pl.DataFrame] = []
        self.states: list[pl.DataFrame] = []
        self.said: list[Said] = []
        self._catalog = catalog
        self._header: dict[str, Any] = {}
        self._until = until
        self._reader = TailReader(catalog.storage.path(f"{layout.JOURNAL_FOLDER}/{file.entry.name}"))
        if mark.through:
            self._reader.read(through=mark.through)

    def read(self) -> statements.Part | None:
        """Read what was appended; None if that was nothing since what was taken. FileNotFoundError: the file is gone.

        >>> from tracklake.storage.table.catalog import Catalog, Mark
        >>> catalog = Catalog(example()._storage)
        >>> live = Live(catalog, catalog.list_journals()[0], Mark())
        >>> (new,) = taken([live.read()])
        >>> live.take(new), new.points.height, live.read()
        (None, 6, None)
        """
        tail = self._reader.read(through=self._until)
        if self._reader.is_empty or (not tail and self.said):
            return None
        self._header = self._header or self._reader.header or sealing.fallback_header(self._catalog, self.file)
        closed = self._reader.closed is not None
        return statements.Part(self._header, self.file.name.n, tail, self._reader.offset, closed)

    def take(self, new: Taken) -> None:
        """Take over what was read.

        >>> from tracklake.storage.table.catalog import Catalog, Mark
        >>> catalog = Catalog(example()._storage)
        >>> live = Live(catalog, catalog.list_journals()[0], Mark())
        >>> live.take(*taken([live.read()]))
        >>> live.points[0].height, live.states[0].filter(metric="loss")["min"].item()
        (6, 0.25)
        """
        self._take_said(new.said)
        if not new.points.is_empty():
            self._take_points(new)

    def _take_said(self, said: Said) -> None:
        """Keep one row of the file, and the facts of its header once."""
        if self.said:
            more = said.statements.filter(pl.col("op") != StatementKind.SESSION)
            before = self.said[0].statements
            said = statements.Said(said.files, pl.concat([before, more]) if more.height else before)
        self.said = [said]

    def _take_points(self, new: Taken) -> None:
        """Put new points to those before that are no more than they: few frames, and each point is moved seldom."""
        found, made = new.points, new.states
        while self.points and self.points[-1].height <= found.height:
            found, made = points.sort(pl.concat([self.points.pop(), found])), None
            self.states.pop()
        if made is None:
            made = states.of_rows(found, sessions=partitions.session_starts(self.said[0]))
        self.points.append(found)
        self.states.append(made)


class Taken(NamedTuple):
    """What one journal file says anew."""

    said: Said
    points: pl.DataFrame
    states: pl.DataFrame | None
    """Made here where there are many files, which costs as little as one; else they may not be needed."""


def taken(parts: Sequence[statements.Part]) -> Iterator[Taken]:
    """Yield what each part says, each of another session; of many at the price of few calls into polars.

    >>> from tracklake.storage.table.catalog import Catalog, Mark
    >>> catalog = Catalog(example()._storage)
    >>> read = [Live(catalog, file, Mark()).read() for file in catalog.list_journals()]
    >>> [new.points["run_id"].unique().item() for new in taken(read)]
    ['fast', 'slow']
    """
    said, found = statements.of_parts(parts), sealing.points_of(parts)
    if len(parts) == 1:
        yield Taken(said, found, None)
        return
    made = states.of_rows(found, sessions=partitions.session_starts(said))
    cut = [{part["session"][0]: part for part in frame.partition_by("session")} for frame in (*said, found, made)]
    for part in parts:
        files, lines, mine, of_mine = (
            by_session.get(part.header["session"], frame.clear())
            for by_session, frame in zip(cut, (*said, found, made), strict=True)
        )
        yield Taken(statements.Said(files, lines), mine, of_mine)
