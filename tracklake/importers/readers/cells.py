"""Cells of text tables as they are in the wild: what is nothing, what is a number, and which type a column has."""

from __future__ import annotations

import polars as pl

NOTHING = ("", "N/A", "n/a", "#N/A", "NA", "<NA>", "null", "NULL", "Null", "None", "none", "-", "--")
"""Cells that say nothing."""

_SAMPLE = 1000
"""Cells that are looked at first: most columns of texts show that soon."""
_NAN = r"^[+-]?(?i:nan)(?:\(.*\))?$"
_INFINITY = r"^([+-]?)(?i:inf|infinity)$"
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def is_number(cell: str) -> bool:
    """Tell whether a cell is a number, or says nothing.

    >>> is_number("-inf"), is_number("N/A"), is_number("loss")
    (True, True, False)
    """
    if cell in NOTHING:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True


def stripped(column: pl.Series) -> pl.Series:
    """Return texts without the blanks around them, and null for what says nothing.

    >>> stripped(pl.Series([" 0.5 ", "N/A", "--"])).to_list()
    ['0.5', None, None]
    """
    text = column.str.strip_chars()
    is_nothing = text.is_in(NOTHING)
    return text.set(is_nothing, None) if is_nothing.any() else text


def typed(column: pl.Series, *, decimal_comma: bool = False) -> tuple[pl.Series, str | None]:
    """Return a column of texts as the one type that all of its cells have, and a remark where that is not obvious.

    Int64, Float64 or Boolean where every cell that says something is one; else the texts, without blanks around them.
    Percentages become fractions, and thousands that are set apart, as 1.234,5, are read where a cell shows it.

    >>> typed(pl.Series("acc", ["50%", "", " 75 %"]))[0].to_list()
    [0.5, None, 0.75]
    >>> typed(pl.Series("x", ["1", "NAN", "-inf"]))[0].to_list()
    [1.0, nan, -inf]
    >>> typed(pl.Series("x", ["1", "two"]))[0].to_list()
    ['1', 'two']
    """
    text = stripped(column)
    if text.null_count() == len(text):
        return text, None
    if len(text) > _SAMPLE and not _is_number_so_far(text, decimal_comma=decimal_comma):
        return text, None
    return _typed(text, decimal_comma=decimal_comma)


def _is_number_so_far(text: pl.Series, *, decimal_comma: bool) -> bool:
    """Tell whether the first cells leave it open what the column is: once there is a text among them, it is one."""
    sample = text.head(_SAMPLE)
    return sample.null_count() == len(sample) or _typed(sample, decimal_comma=decimal_comma)[0].dtype != pl.String


def _typed(text: pl.Series, *, decimal_comma: bool) -> tuple[pl.Series, str | None]:
    grouping = "." if decimal_comma else ","
    if has_thousands(text, grouping):
        number, _ = _typed(text.str.replace_all(grouping, "", literal=True), decimal_comma=decimal_comma)
        return number, f"the column {text.name!r} sets thousands apart by {grouping!r}; they are read as numbers"
    spelled = text.str.replace(",", ".", literal=True) if decimal_comma else text
    for dtype in (pl.Int64, pl.Float64):
        number = spelled.cast(dtype, strict=False)
        if number.null_count() == text.null_count():
            return number, None
    number = _special(spelled)
    if number.null_count() == text.null_count():
        return number, None
    if text.drop_nulls().is_in(list(_TRUTHS)).all():
        return text.replace_strict(_TRUTHS, return_dtype=pl.Boolean), None
    if text.drop_nulls().str.ends_with("%").all():
        number = _special(spelled.str.strip_suffix("%").str.strip_chars())
        if number.null_count() == text.null_count():
            return number / 100, f"the column {text.name!r} holds percentages; they are read as fractions, 50% as 0.5"
    return text, None


def has_thousands(text: pl.Series, grouping: str) -> bool:
    """Tell whether all cells are numbers, some of them with thousands set apart by a sign that can mean nothing else.

    That is where it comes twice in a cell, or before the decimal sign.

    >>> has_thousands(pl.Series(["1.234,5", "7"]), "."), has_thousands(pl.Series(["1.234", "7"]), ".")
    (True, False)
    """
    decimal = "," if grouping == "." else "."
    grouped = rf"^[+-]?\d{{1,3}}(\{grouping}\d{{3}})+\{decimal}\d*$|^[+-]?\d{{1,3}}(\{grouping}\d{{3}}){{2,}}$"
    if not text.str.contains(grouped).any():
        return False
    fitting = rf"^[+-]?(\d{{1,3}}(\{grouping}\d{{3}})+|\d*)(\{decimal}\d*)?([eE][+-]?\d+)?$"
    texts = text.drop_nulls()
    return bool((texts.str.contains(fitting) | texts.str.contains(_NAN) | texts.str.contains(_INFINITY)).all())


def _special(text: pl.Series) -> pl.Series:
    """Read numbers among which NaN and the infinities are spelled in any way."""
    spelled = text.str.replace(_NAN, "NaN").str.replace(_INFINITY, "${1}inf")
    return spelled.cast(pl.Float64, strict=False)


def first_text(column: pl.Series) -> tuple[int, str] | None:
    """Return where, counted from 0, a column of texts has the first cell that is no number, and the cell.

    >>> first_text(pl.Series(["1", None, "two"]))
    (2, 'two')
    """
    wrong = _special(column).is_null() & column.is_not_null()
    at = wrong.arg_max()
    return (at, column[at]) if at is not None and wrong[at] else None


def text_among_numbers(column: pl.Series) -> tuple[int, str] | None:
    """Return the first cell that is no number, as `first_text`, of a column of texts most of whose cells are numbers.

    >>> text_among_numbers(pl.Series(["1", "2", "oops"])), text_among_numbers(pl.Series(["1", "a", "b"]))
    ((2, 'oops'), None)
    """
    for cells in (column.head(_SAMPLE).drop_nulls(), column.drop_nulls()):
        if 2 * _special(cells).count() <= len(cells):
            return None
    return first_text(column)
