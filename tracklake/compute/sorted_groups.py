"""Runs of equal adjacent rows (as in run-length encoding): where they start, aggregates of each, sorting."""

from __future__ import annotations

from functools import cached_property, reduce
from itertools import accumulate
from operator import or_
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import polars as pl

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    _N = TypeVar("_N", np.int64, np.float64)

_FIRST = pl.Series([True])
_LARGE = 1 << 10
"""Rows of a group on average from which on a slice of it costs less than a copy of its rows."""
_FEW = 1 << 12
"""Rows up to which polars sorts by the strings themselves sooner than ranks of them are made."""


def group_starts(frame: pl.DataFrame, *, by: Sequence[str]) -> pl.Series:
    """Return whether each row starts a group: whether it differs from the row before in one of the columns.

    Boolean; the first row always starts one. No column may hold null.

    >>> group_starts(pl.DataFrame({"a": ["x", "x", "y"]}), by=["a"]).to_list()
    [True, False, True]
    """
    return _FIRST.head(frame.height).append(reduce(or_, (_steps(frame[name]) for name in by)))


def _steps(column: pl.Series) -> pl.Series:
    """Return whether the next row differs, for each but the last."""
    return column.slice(1) != column.head(-1)


def group_ids(starts: pl.Series) -> pl.Series:
    """Return the number of the group of each row, counted from 0 (UInt32).

    >>> group_ids(pl.Series([True, False, True])).to_list()
    [0, 0, 1]
    """
    return starts.cum_sum() - 1


def filter_rows(frame: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """Return the rows where the mask is true; for few rows, as the query that `filter` runs takes a tenth of a ms.

    >>> filter_rows(pl.DataFrame({"a": [1, 2, 3]}), pl.Series([True, False, True]))["a"].to_list()
    [1, 3]
    """
    return pl.DataFrame([column.filter(mask) for column in frame])


def take_rows(frame: pl.DataFrame, rows: Ints | Sequence[int]) -> pl.DataFrame:
    """Return some rows, by their numbers; for few, as a gather of several columns at once waits for threads of polars.

    >>> take_rows(pl.DataFrame({"a": [1, 2, 3]}), np.array([2, 0]))["a"].to_list()
    [3, 1]
    """
    places = pl.Series(rows)
    return pl.DataFrame([column[places] for column in frame])


def is_sorted(frame: pl.DataFrame, *, by: Sequence[str]) -> bool:
    """Return whether the rows ascend by these columns (none of them null), without sorting.

    >>> is_sorted(pl.DataFrame({"a": [1, 1, 2], "b": [5, 7, 0]}), by=["a", "b"])
    True
    """
    if _descends_between_pieces(frame, by):
        return False
    equal = _FIRST.new_from_index(0, max(frame.height - 1, 0))
    for name in by:
        column, steps = frame[name], _steps(frame[name])
        matters = equal & steps
        before, after = column.head(-1), column.slice(1)
        if 2 * (matters.sum() or 0) > len(matters):  # to leave the others out would copy nearly all
            descends = (before > after) & matters
        else:
            descends = before.filter(matters) > after.filter(matters)
        if descends.any():
            return False
        equal = equal & ~steps
        if not equal.any():
            break
    return True


def _descends_between_pieces(frame: pl.DataFrame, by: Sequence[str]) -> bool:
    """Tell whether a piece of memory begins before the end of the one that it follows: few rows tell that."""
    firsts = [first for first, _ in _pieces(frame, by)[1:]]
    if not firsts:
        return False
    heads, tails = (take_rows(frame[[*by]], rows).rows() for rows in (firsts, [first - 1 for first in firsts]))
    return any(tail > head for tail, head in zip(tails, heads, strict=True))


def _pieces(frame: pl.DataFrame, by: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first row and the length of each large piece of memory in which rows lie, else of all rows as one."""
    lengths = frame[by[0]].chunk_lengths()
    if len(lengths) * _FEW > frame.height:
        return [(0, frame.height)]
    return list(zip(accumulate(lengths, initial=0), lengths, strict=False))


def sort(frame: pl.DataFrame, *, by: Sequence[str], series: Sequence[str]) -> pl.DataFrame:
    """Sort rows by columns (none of them null) that begin with strings; stable.

    `series` are those of the strings by which groups are gathered first: where sorted parts were joined nothing is left
    to do then, and many rows are sorted far faster than by their strings, of which only ranks are compared.

    >>> frame = pl.DataFrame({"a": ["y", "x", "y"], "b": [1, 2, 0]})
    >>> sort(frame, by=["a", "b"], series=["a"]).rows()
    [('x', 2), ('y', 0), ('y', 1)]
    """
    if is_sorted(frame, by=by):
        return frame
    if frame.height <= _FEW:
        return frame.sort(by, maintain_order=True)
    gathered = gathered_groups(frame, by=series)
    if is_sorted(gathered, by=by):
        return gathered
    ranked = gathered.select(ranks(gathered[name]) if gathered.schema[name] == pl.String else name for name in by)
    return gathered[ranked.select(pl.arg_sort_by(by, maintain_order=True)).to_series()]


def ranks(strings: pl.Series) -> pl.Series:
    """Return each string's rank among the distinct ones, from 0 (UInt32).

    >>> ranks(pl.Series(["b", "a", "b"])).to_list()
    [1, 0, 1]
    """
    alone = strings.to_frame()
    if is_sorted(alone, by=[strings.name]):
        return group_ids(group_starts(alone, by=[strings.name])).alias(strings.name)
    return strings.cast(pl.Enum(strings.unique().sort())).to_physical().cast(pl.UInt32)


def gathered_groups(frame: pl.DataFrame, *, by: Sequence[str]) -> pl.DataFrame:
    """Sort rows by these strings, stably: large groups are put one after the other as they are.

    >>> gathered_groups(pl.DataFrame({"a": ["y", "y", "x", "y"], "b": [0, 1, 2, 3]}), by=["a"])["b"].to_list()
    [2, 0, 1, 3]
    """
    keys = frame[[*by]]
    pieces = _pieces(keys, by)
    keys = keys.rechunk() if len(pieces) == 1 else keys  # of many small ones all takes several times as long
    of_pieces = [group_starts(keys.slice(*piece), by=by).arg_true() + piece[0] for piece in pieces]
    starts = pl.concat(of_pieces, rechunk=True)
    if len(starts) * _LARGE > frame.height:
        return frame[gather_order(keys.rechunk(), by=by)]
    stops = starts.slice(1).append(pl.Series([frame.height], dtype=pl.UInt32))
    heads = pl.DataFrame([keys[name].gather(starts) for name in by])
    places = heads.with_columns(starts.alias("from"), stops.alias("to")).sort(by, maintain_order=True)
    slices = [frame.slice(start, stop - start) for start, stop in places.select("from", "to").iter_rows()]
    return pl.concat(slices, rechunk=True)


def gather_order(frame: pl.DataFrame, *, by: Sequence[str]) -> pl.Series:
    """Return the row numbers that sort by these strings, stably.

    Only the first row of each group is ranked: that is cheap where sorted parts were joined.

    >>> gather_order(pl.DataFrame({"a": ["y", "y", "x", "y"]}), by=["a"]).to_list()
    [2, 0, 1, 3]
    """
    starts = group_starts(frame, by=by).arg_true()
    stops = starts.slice(1).append(pl.Series([frame.height], dtype=pl.UInt32).head(len(starts)))
    heads = pl.DataFrame([ranks(frame[name].gather(starts)) for name in by])
    order = heads.with_columns(starts.alias("from"), stops.alias("to")).sort(by, maintain_order=True)
    return order.select(pl.int_ranges("from", "to", dtype=pl.UInt32).explode()).to_series()


class SortedGroups:
    """A partition of rows into groups of adjacent rows, none empty; every method returns one element a group.

    >>> each = SortedGroups(np.array([0, 2]), 3)
    >>> each.sum(np.array([1.0, 2.0, 4.0])).tolist(), each.extreme(np.array([1.0, 2.0, 4.0]), "max").tolist()
    ([3.0, 4.0], [1, 2])
    """

    def __init__(self, starts: Ints, size: int) -> None:
        self.starts = starts
        self.size = size

    @cached_property
    def stops(self) -> Ints:
        """The row after each group (int64).

        >>> SortedGroups(np.array([0, 2]), 3).stops.tolist()
        [2, 3]
        """
        return np.append(self.starts[1:], self.size)

    @cached_property
    def lengths(self) -> Ints:
        """How many rows each group has (int64).

        >>> SortedGroups(np.array([0, 2]), 3).lengths.tolist()
        [2, 1]
        """
        return self.stops - self.starts

    def blocks(self, rows: int) -> Iterator[tuple[slice, Self]]:
        """Yield the groups in their order, some at a time of no more than so many rows (or one): their rows, and they.

        >>> each = SortedGroups(np.array([0, 2, 3]), 7)
        >>> [(block.start, block.stop, groups.starts.tolist()) for block, groups in each.blocks(3)]
        [(0, 3, [0, 2]), (3, 7, [0])]
        """
        stops, first = self.stops, 0
        while first < len(stops):
            begin = int(self.starts[first])
            last = max(first + 1, int(np.searchsorted(stops, begin + rows, side="right")))
            stop = int(stops[last - 1])
            yield slice(begin, stop), type(self)(self.starts[first:last] - begin, stop - begin)
            first = last

    @property
    def none(self) -> Ints:
        """A count of nothing (int64).

        >>> SortedGroups(np.array([0, 2]), 3).none.tolist()
        [0, 0]
        """
        return np.zeros(len(self.starts), dtype=np.int64)

    def sum(self, x: Floats) -> Floats:
        """Return the sums of floats, added pairwise: exact to 1e-15 where all have one sign.

        >>> SortedGroups(np.array([0, 2]), 3).sum(np.array([1.0, 2.0, 4.0])).tolist()
        [3.0, 4.0]
        """
        return np.add.reduceat(x, self.starts)

    def count(self, x: Bools | Ints) -> Ints:
        """Return the number of true values, or the sum of integers.

        >>> SortedGroups(np.array([0, 2]), 3).count(np.array([True, True, False])).tolist()
        [2, 0]
        """
        return np.add.reduceat(x, self.starts, dtype=np.int64)

    def spread(self, x: NDArray[_N]) -> NDArray[_N]:
        """Return each group's element repeated for each of its rows.

        >>> SortedGroups(np.array([0, 2]), 3).spread(np.array([7, 8])).tolist()
        [7, 7, 8]
        """
        return np.repeat(x, self.lengths)

    def first(self, mask: Bools) -> Ints:
        """Return the position of the first True, -1 if there is none.

        >>> SortedGroups(np.array([0, 2]), 3).first(np.array([True, True, False])).tolist()
        [0, -1]
        """
        if mask.all():
            return self.starts
        at = np.append(np.flatnonzero(mask), self.size)
        place = at[np.searchsorted(at, self.starts)]
        return np.where(place < self.stops, place, -1)

    def last(self, mask: Bools) -> Ints:
        """Return the position of the last True, -1 if there is none.

        >>> SortedGroups(np.array([0, 2]), 3).last(np.array([True, True, False])).tolist()
        [1, -1]
        """
        if mask.all():
            return self.stops - 1
        at = np.append(-1, np.flatnonzero(mask))
        place = at[np.searchsorted(at, self.stops) - 1]
        return np.where(place >= self.starts, place, -1)

    def max(self, x: Ints) -> Ints:
        """Return the largest of each group.

        >>> SortedGroups(np.array([0, 2]), 3).max(np.array([5, 9, 1])).tolist()
        [9, 1]
        """
        return np.maximum.reduceat(x, self.starts)

    def extreme(self, x: Floats, which: Literal["min", "max"]) -> Ints:
        """Return the position of the earliest least or greatest number, -1 if all are NaN.

        >>> SortedGroups(np.array([0, 2]), 3).extreme(np.array([1.0, 1.0, np.nan]), "min").tolist()
        [0, -1]
        """
        pick = np.fmin if which == "min" else np.fmax  # these two skip NaN
        return self.first(x == self.spread(pick.reduceat(x, self.starts)))
