"""Cells: the values of one column of many runs, by the place of each run among all, and where they go in a table."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.compute import typed_columns

if TYPE_CHECKING:
    from collections.abc import Collection


class Cells:
    """What some runs have in one column: the place of each run among all runs, and a value for each.

    `values` are stored columns (kind, value, ival, text) of values of any kind, or the one column of a number.
    """

    def __init__(self, runs: pl.Series, values: pl.DataFrame) -> None:
        self.runs = runs
        self.values = values
        self.whole: dict[str, list[pl.Series]] = {}
        """The column over all runs in their order, by its name, once it was asked for: most tables show all runs."""


class TableRows:
    """The rows of a table: which runs they are, as places among all runs."""

    def __init__(self, places: pl.Series, *, of: int) -> None:
        self.places = places
        self._of = of

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def _row(self) -> pl.Series:
        """The row of each run, null of those that have none."""
        return typed_columns.inverse(self.places, self._of)

    def take(self, cells: Cells) -> tuple[pl.DataFrame, pl.Series]:
        """Return the values that belong into the table, and their rows.

        >>> rows = TableRows(pl.Series([2, 0]), of=3)
        >>> values, at = rows.take(Cells(pl.Series([0, 1, 2]), pl.DataFrame({"value": [0.0, 0.1, 0.2]})))
        >>> values["value"].to_list(), at.to_list()
        ([0.0, 0.2], [1, 0])
        """
        if self._are_all:
            return cells.values, cells.runs
        at = self._row.gather(cells.runs)
        is_row = at.is_not_null()
        return (cells.values, at) if is_row.all() else (cells.values.filter(is_row), at.filter(is_row))

    @cached_property
    def _are_all(self) -> bool:
        return len(self) == self._of and self.places.is_sorted()

    def column(self, name: str, cells: Cells) -> list[pl.Series]:
        """Return the column of these cells (and `name.text` where kinds mix), null where a run has none.

        >>> rows = TableRows(pl.Series([2, 0]), of=3)
        >>> rows.column("loss", Cells(pl.Series([0, 1]), pl.DataFrame({"value": [0.0, 0.1]})))[0].to_list()
        [None, 0.0]
        """
        if not self._are_all:
            return self._built(name, cells)
        if name not in cells.whole:
            cells.whole[name] = self._built(name, cells)
        return cells.whole[name]

    def _built(self, name: str, cells: Cells) -> list[pl.Series]:
        values, at = self.take(cells)
        if values.width == 1:
            return [typed_columns.place(values.to_series(), at, len(self)).alias(name)]
        return typed_columns.typed(name, values, at, len(self), of_all=cells.values)


class Unfinished(NamedTuple):
    """Cells of an earlier snapshot, of the runs that say now what they said then; those of `touched` are to be read."""

    cells: Cells
    touched: frozenset[str]

    def finished(self, fresh: Cells) -> Cells:
        """Return the cells of all runs, those of the touched ones read anew.

        >>> earlier = Cells(pl.Series([0, 2]), pl.DataFrame({"value": [0.5, 1.5]}))
        >>> fresh = Cells(pl.Series([1]), pl.DataFrame({"value": [1.0]}))
        >>> Unfinished(earlier, frozenset(["b"])).finished(fresh).values["value"].to_list()
        [0.5, 1.5, 1.0]
        """
        if not len(fresh.runs):
            return self.cells
        return Cells(pl.concat([self.cells.runs, fresh.runs]), pl.concat([self.cells.values, fresh.values]))


class Move:
    """From the places of runs in an earlier snapshot to those of now, for the runs that were not touched since."""

    def __init__(self, earlier: pl.Series, now: pl.Series, *, touched: Collection[str]) -> None:
        """Take the ids of all runs, then and now, in their order."""
        self.touched = frozenset(touched)
        is_touched = earlier.is_in(list(touched))
        self._is_same = now.head(len(earlier)).equals(earlier) and not is_touched.any()
        if not self._is_same:
            places = pl.DataFrame({"run_id": now, "place": typed_columns.counted(len(now))})
            joined = pl.DataFrame({"run_id": earlier}).join(places, on="run_id", how="left", maintain_order="left")
            self._places = joined["place"].set(is_touched, None)

    def __call__(self, cells: Cells | Unfinished) -> Unfinished:
        """Return the cells of the runs that were not touched.

        >>> move = Move(pl.Series(["a", "b", "c"]), pl.Series(["b", "c", "d"]), touched=["c", "d"])
        >>> moved = move(Cells(pl.Series([0, 1, 2], dtype=pl.UInt32), pl.DataFrame({"value": [0.5, 1.0, 1.5]})))
        >>> moved.cells.runs.to_list(), moved.cells.values["value"].to_list()
        ([0], [1.0])
        """
        if isinstance(cells, Unfinished):
            return Unfinished(self._moved(cells.cells), self.touched | cells.touched)
        return Unfinished(self._moved(cells), self.touched)

    def _moved(self, cells: Cells) -> Cells:
        if self._is_same:
            return Cells(cells.runs, cells.values)
        runs = self._places.gather(cells.runs)
        remains = runs.is_not_null()
        return Cells(runs.filter(remains), cells.values.filter(remains))
