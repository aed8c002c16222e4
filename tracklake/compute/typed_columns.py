"""Typed columns: stored values of one key of many runs, as Series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.schema import values as schema_values
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Collection

_PARTS = {"value": pl.Float64, "ival": pl.Int64, "text": pl.String}
_STORED = {"kind": pl.Int8, **_PARTS}
_COLUMNS_OF = {
    Kind.FLOAT: ("value",),
    Kind.INT: ("value", "ival"),
    Kind.BOOL: ("value", "ival"),
    Kind.TEXT: ("text",),
    Kind.NULL: (),
    Kind.REPLACED: (),
}
_NOWHERE = pl.Series([None], dtype=pl.UInt32)
_BEYOND_INT64 = {pl.UInt64, pl.Int128, pl.UInt128}
_KIND_OF_DTYPE = {
    pl.Boolean: Kind.BOOL,
    pl.Null: Kind.NULL,
    **dict.fromkeys((pl.String, pl.Categorical, pl.Enum), Kind.TEXT),
}

EXACT = 2**53
"""The integers up to it are doubles, all of them."""


def place(values: pl.Series, at: pl.Series, size: int) -> pl.Series:
    """Return a Series of this size with the values at their positions, no two at one, and null elsewhere.

    >>> place(pl.Series("x", [1.5, 2.5]), pl.Series([2, 0], dtype=pl.UInt32), 3).to_list()
    [2.5, None, 1.5]
    """
    if len(at) == size and at.is_sorted():
        return values
    return values.gather(inverse(at, size))


def counted(size: int) -> pl.Series:
    """Return the positions 0, 1, 2, ... of a Series of this size (UInt32).

    >>> counted(3).to_list()
    [0, 1, 2]
    """
    return pl.int_range(size, dtype=pl.UInt32, eager=True)


def inverse(at: pl.Series, size: int) -> pl.Series:
    """Return of each position the place in `at` where it stands, null where it does not (UInt32).

    >>> inverse(pl.Series([2, 0], dtype=pl.UInt32), 3).to_list()
    [1, None, 0]
    """
    return _NOWHERE.new_from_index(0, size).scatter(at, counted(len(at)))


def typed(
    name: str,
    stored: pl.DataFrame,
    at: pl.Series,
    size: int,
    *,
    of_all: pl.DataFrame | None = None,
    used_names: Collection[str] = (),
) -> list[pl.Series]:
    """Return the column `name` of stored values (columns kind, value, ival, text), and `name.text` where kinds mix.

    All integers give Int64, numbers Float64, bools Boolean, strings and JSON String. A mix keeps the numbers (else the
    bools) in `name`, and the others as text in `name.text`: nothing becomes a string silently. Where there is no value
    the type is that of the column over all runs, `of_all`, else Float64. No second column bears a name that is `taken`.

    >>> rows = stored(pl.Series([0.1])).vstack(stored(pl.Series(["auto"])))
    >>> [(column.name, column.to_list()) for column in typed("lr", rows, counted(2), 2)]
    [('lr', [0.1, None]), ('lr.text', [None, 'auto'])]
    """
    kinds = _kinds(stored["kind"])
    others = kinds - _covered(kinds)
    if not kinds and of_all is not None:
        kinds = _kinds(of_all["kind"])
    main = stored.select(_main(kinds)).to_series() if others else _pure(stored, kinds)
    columns = [place(main, at, size).alias(name)]
    if others:
        text = pl.when(pl.col("kind").is_in(list(others))).then(in_words())
        columns.append(place(stored.select(text).to_series(), at, size).alias(text_name(name, used_names)))
    return columns


def text_name(name: str, used_names: Collection[str]) -> str:
    """Return the name of the column that holds the texts of a mixed column.

    >>> text_name("lr", ()), text_name("lr", {"lr.text"})
    ('lr.text', 'lr.text.text')
    """
    name += ".text"
    return name if name not in used_names else text_name(name, used_names)


def text_of(column: pl.Series) -> pl.Series:
    """Return what of a column that is not mixed is text: all of it or nothing.

    >>> text_of(pl.Series([1, 2])).to_list()
    [None, None]
    """
    is_text = column.dtype == pl.String
    return column if is_text else pl.Series(column.name, [None], dtype=pl.String).new_from_index(0, len(column))


def in_words(prefix: str = "") -> pl.Expr:
    """Return the column `text` of stored values (kind, ival, text, their names after `prefix`), booleans as words.

    Strings and JSON are as they are, numbers null, but for integers that no double holds exactly: these are digits.

    >>> rows = [stored(pl.Series(values)) for values in (["adam"], [True], [3], [2**53 + 1])]
    >>> pl.concat(rows).select(in_words()).to_series().to_list()
    ['adam', 'true', None, '9007199254740993']
    """
    kind, ival, text = (pl.col(f"{prefix}{name}") for name in ("kind", "ival", "text"))
    truth = pl.when(ival == 1).then(pl.lit("true")).otherwise(pl.lit("false"))
    is_inexact = (kind == Kind.INT) & ((ival > EXACT) | (ival < -EXACT))
    words = pl.when(kind == Kind.BOOL).then(truth).when(is_inexact).then(ival.cast(pl.String)).otherwise(text)
    return words.alias(f"{prefix}text")


def stored(column: pl.Series) -> pl.DataFrame:
    """Return what a column's values are stored as: kind, value, ival, text; null is NULL. The inverse of `typed`.

    Raises UnstorableValueError, which names the column, for a value that has no stored form.

    >>> stored(pl.Series([3, None])).rows()
    [(1, 3.0, 3, None), (5, None, None, None)]
    """
    kind = _kind(column.dtype)
    if kind is None:  # unusual types go value by value
        rows = [schema_values.store(x, name=column.name) for x in column]
        return pl.DataFrame(rows, schema=_STORED, orient="row")
    filled = _COLUMNS_OF[kind]
    shaped = [pl.lit(column if name in filled else None).cast(dtype).alias(name) for name, dtype in _PARTS.items()]
    kinds = pl.when(pl.lit(column).is_null()).then(int(Kind.NULL)).otherwise(int(kind)).cast(pl.Int8).alias("kind")
    return pl.select(kinds, *shaped)


def _kind(dtype: pl.DataType) -> Kind | None:
    """Return the kind of all values of such a column but the nulls; None where each must be looked at."""
    if dtype.is_float():
        return Kind.FLOAT
    if dtype.is_integer() and dtype not in _BEYOND_INT64:
        return Kind.INT
    return _KIND_OF_DTYPE.get(dtype.base_type())


def _covered(kinds: set[int]) -> set[int]:
    """Return the kinds that the main column of such a mix holds."""
    for family in ({Kind.FLOAT, Kind.INT}, {Kind.BOOL}, {Kind.TEXT, Kind.JSON}):
        if kinds & family:
            return {int(kind) for kind in family}
    return set()


def _kinds(kind: pl.Series) -> set[int]:
    least, most = kind.min(), kind.max()  # mostly there is but one, and to ask so is far cheaper
    return set(kind.unique() if least != most else [most]) - {Kind.NULL, Kind.REPLACED, None}


def _pure(stored: pl.DataFrame, kinds: set[int]) -> pl.Series:
    """Return the column that holds values of one family of kinds; null is null in each of them."""
    if Kind.FLOAT in kinds or not kinds:
        return stored["value"]
    if Kind.INT in kinds:
        return stored["ival"]
    return stored["ival"].cast(pl.Boolean) if Kind.BOOL in kinds else stored["text"]


def _main(kinds: set[int]) -> pl.Expr:
    if Kind.FLOAT in kinds or not kinds:
        return pl.when(pl.col("kind").is_in([Kind.FLOAT, Kind.INT])).then(pl.col("value"))
    if Kind.INT in kinds:
        return pl.when(pl.col("kind") == Kind.INT).then(pl.col("ival"))
    if Kind.BOOL in kinds:
        return pl.when(pl.col("kind") == Kind.BOOL).then(pl.col("ival") == 1)
    return pl.col("text")
