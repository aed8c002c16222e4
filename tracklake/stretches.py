"""Stretches: rows of a frame that stand together and are equal in some columns; frames sorted by way of them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST = pl.Series([True])


def begin(frame: pl.DataFrame, *, by: Sequence[str]) -> pl.Series:
    """Say of each row whether a stretch begins there: it differs from the row before in one of the columns.

    Bool; the first row is always a beginning. No column may hold null.

    >>> begin(pl.DataFrame({"a": ["x", "x", "y"]}), by=["a"]).to_list()
    [True, False, True]
    """
    return _FIRST.head(frame.height).append(reduce(or_, (_steps(frame[name]) for name in by)))


def _steps(column: pl.Series) -> pl.Series:
    """Say of each row but the last whether the next one differs."""
    return column.slice(1) != column.head(-1)


def numbers(beginnings: pl.Series) -> pl.Series:
    """Give each row the number of its stretch, counted from 0 (UInt32).

    >>> numbers(pl.Series([True, False, True])).to_list()
    [0, 0, 1]
    """
    return beginnings.cum_sum() - 1


def is_sorted(frame: pl.DataFrame, *, by: Sequence[str]) -> bool:
    """Say whether the rows ascend by these columns (none of them null), without sorting.

    >>> is_sorted(pl.DataFrame({"a": [1, 1, 2], "b": [5, 7, 0]}), by=["a", "b"])
    True
    """
    equal = _FIRST.new_from_index(0, max(frame.height - 1, 0))
    for name in by:
        column, steps = frame[name], _steps(frame[name])
        matters = equal & steps
        if (column.head(-1).filter(matters) > column.slice(1).filter(matters)).any():
            return False
        equal = equal & ~steps
        if not equal.any():
            break
    return True


def ranks(strings: pl.Series) -> pl.Series:
    """Give each string's rank among the distinct ones, from 0 (UInt32).

    >>> ranks(pl.Series(["b", "a", "b"])).to_list()
    [1, 0, 1]
    """
    alone = strings.to_frame()
    if is_sorted(alone, by=[strings.name]):
        return numbers(begin(alone, by=[strings.name])).alias(strings.name)
    return strings.cast(pl.Enum(strings.unique().sort())).to_physical().cast(pl.UInt32)


def gathered(frame: pl.DataFrame, *, by: Sequence[str]) -> pl.Series:
    """Give the order that sorts by these strings; rows with the same ones stay as they stand.

    It ranks the first row of each stretch, not every row: that is cheap where sorted parts were joined.

    >>> gathered(pl.DataFrame({"a": ["y", "y", "x", "y"]}), by=["a"]).to_list()
    [2, 0, 1, 3]
    """
    starts = begin(frame, by=by).arg_true()
    stops = starts.slice(1).append(pl.Series([frame.height], dtype=pl.UInt32).head(len(starts)))
    heads = pl.DataFrame([ranks(frame[name].gather(starts)) for name in by])
    order = heads.with_columns(starts.alias("from"), stops.alias("to")).sort(by, maintain_order=True)
    return order.select(pl.int_ranges("from", "to", dtype=pl.UInt32).explode()).to_series()
