"""Columns: stored values of one key of many runs, as typed Series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tracklake.values import Kind

if TYPE_CHECKING:
    from collections.abc import Collection

Positions = np.ndarray[Any, np.dtype[np.int64]]


def place(values: pl.Series, at: Positions, size: int) -> pl.Series:
    """Return a Series of this size with the values at their positions and null elsewhere.

    >>> place(pl.Series("x", [1.5, 2.5]), np.array([2, 0]), 3).to_list()
    [2.5, None, 1.5]
    """
    if len(at) == size and size and bool((at == np.arange(size)).all()):
        return values
    source = np.full(size, -1, dtype=np.int64)
    source[at] = np.arange(len(at))
    index = pl.Series(source).replace(-1, None) if (source < 0).any() else pl.Series(source)
    return values.gather(index)


def typed(
    name: str,
    stored: pl.DataFrame,
    at: Positions,
    size: int,
    *,
    whole: pl.DataFrame | None = None,
    taken: Collection[str] = (),
) -> list[pl.Series]:
    """Return the column `name` of stored values (columns value, ival, text, kind), and `name.text` where kinds mix.

    All integers give Int64, numbers Float64, bools Boolean, strings and JSON String. A mix keeps the numbers (else the
    bools) in `name`, and the rest as text in `name.text`: nothing becomes a string silently. Where there is no value
    the type is that of the `whole` column, else Float64. A second column never bears a name that is `taken`.
    """
    kinds = _kinds(stored) or (_kinds(whole) if whole is not None else set())
    found = [place(stored.select(_main(kinds)).to_series(), at, size).alias(name)]
    if rest := _kinds(stored) - _covered(kinds):
        text = pl.when(pl.col("kind").is_in(list(rest))).then(_as_text())
        found.append(place(stored.select(text).to_series(), at, size).alias(text_name(name, taken)))
    return found


def text_name(name: str, taken: Collection[str]) -> str:
    """Return the name of the column that holds the texts of a mixed column.

    >>> text_name("lr", ()), text_name("lr", {"lr.text"})
    ('lr.text', 'lr.text.text')
    """
    name += ".text"
    return name if name not in taken else text_name(name, taken)


def text_of(column: pl.Series) -> pl.Series:
    """Return what of a column that is not mixed is text: all of it or nothing.

    >>> text_of(pl.Series([1, 2])).to_list()
    [None, None]
    """
    is_text = column.dtype == pl.String
    return column if is_text else pl.Series(column.name, [None], dtype=pl.String).new_from_index(0, len(column))


def is_mixed(kinds: set[int]) -> bool:
    """Tell whether values of these kinds need a second column.

    >>> is_mixed({Kind.INT, Kind.FLOAT}), is_mixed({Kind.INT, Kind.TEXT})
    (False, True)
    """
    return bool(kinds - {Kind.NULL} - _covered(kinds))


def _kinds(stored: pl.DataFrame) -> set[int]:
    return set(stored["kind"].unique().to_list()) - {Kind.NULL}


def _covered(kinds: set[int]) -> set[int]:
    """Return the kinds that the main column of such a mix holds."""
    for family in ({Kind.FLOAT, Kind.INT}, {Kind.BOOL}, {Kind.TEXT, Kind.JSON}):
        if kinds & family:
            return {int(kind) for kind in family}
    return set()


def _main(kinds: set[int]) -> pl.Expr:
    if Kind.FLOAT in kinds or not kinds:
        return pl.col("value")
    if Kind.INT in kinds:
        return pl.when(pl.col("kind") == Kind.INT).then(pl.col("ival"))
    if Kind.BOOL in kinds:
        return pl.when(pl.col("kind") == Kind.BOOL).then(pl.col("ival") == 1)
    return pl.col("text")


def _as_text() -> pl.Expr:
    truth = pl.when(pl.col("ival") == 1).then(pl.lit("true")).otherwise(pl.lit("false"))
    return pl.when(pl.col("kind") == Kind.BOOL).then(truth).otherwise(pl.col("text"))
