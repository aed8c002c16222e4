"""The runs of a table, numbered in the order of their first rows, frame after frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Ints = np.ndarray[Any, np.dtype[np.int64]]


class Numbered(NamedTuple):
    """The rows of one frame by their runs."""

    run: Ints
    """Of each row the number of its run."""
    firsts: Ints
    """The rows with which runs begin that no frame before had, in order of their numbers."""


class RunNumbers:
    """Numbers runs by the values of some columns; where there is none all rows are of run 0.

    >>> numbers = RunNumbers(["seed"])
    >>> [numbers.of(pl.DataFrame({"seed": seeds})).run.tolist() for seeds in ([7, 7, 3], [3, 9])]
    [[0, 0, 1], [1, 2]]
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._places = [f"column {i}" for i in range(len(names))]
        self._keys = pl.DataFrame()
        self.count = 0
        """How many runs there are so far."""

    @property
    def keys(self) -> pl.DataFrame:
        """The values of the columns, one row a run.

        >>> RunNumbers(["seed"]).keys.height
        0
        """
        return self._keys.rename(dict(zip(self._places, self._names, strict=True)) if self._keys.width else {})

    def of(self, frame: pl.DataFrame) -> Numbered:
        """Return the numbers of the runs of a frame's rows; runs that are new get the next ones.

        Raises SourceError for columns whose values nothing can be told apart by.

        >>> RunNumbers([]).of(pl.DataFrame({"x": [0.5, 0.25]}))
        Numbered(run=array([0, 0]), firsts=array([0]))
        """
        if not self._names:
            firsts = np.arange(min(frame.height, 1 - self.count))
            self.count = max(self.count, len(firsts))
            return Numbered(np.zeros(frame.height, dtype=np.int64), firsts)
        columns = self._columns(frame)
        starts = _starts(columns)
        heads = columns[pl.Series(starts)]
        n_before = self.count
        if n_before:
            new = heads.join(self._keys, on=self._places, how="anti", nulls_equal=True, maintain_order="left")
            self._keys = pl.concat([self._keys, new.unique(maintain_order=True)])
        else:
            self._keys = heads.unique(maintain_order=True)
        self.count = self._keys.height
        keys = self._keys.with_row_index("number")
        joined = heads.join(keys, on=self._places, how="left", nulls_equal=True, maintain_order="left")
        numbers = joined["number"].cast(pl.Int64).to_numpy()
        distinct, at = np.unique(numbers, return_index=True)
        lengths = np.diff(np.append(starts, frame.height))
        return Numbered(np.repeat(numbers, lengths), starts[at[distinct >= n_before]])

    def _columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        for name in self._names:
            dtype = frame[name].dtype
            if dtype.is_nested() or dtype == pl.Object:
                raise SourceError(f"the run column {name!r} holds {dtype}; accepted are numbers, text, dates")
        return pl.DataFrame([frame[name].alias(place) for name, place in zip(self._names, self._places, strict=True)])


def _starts(columns: pl.DataFrame) -> Ints:
    """Return the rows that differ from the one before them."""
    if columns.is_empty():
        return np.arange(0)
    changes = np.zeros(columns.height, dtype=bool)
    changes[0] = True
    for column in columns:
        changes[1:] |= column.slice(1).ne_missing(column.head(-1)).to_numpy()
    return np.flatnonzero(changes)
