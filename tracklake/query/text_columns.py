"""The columns of the runs that a SQL text names: which they are, and how the text is to read them.

NaN is null to a text, and so no comparison and no aggregate sees it; what asks for it (isnan) gets it back. Of a column
of mixed kinds the numbers are in `x` and the rest in `x.text`: a text that would take such a value for absent is
refused, with the way out.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import polars as pl

from tracklake.errors import AmbiguousNameError, QueryError, UnknownNameError
from tracklake.query.column_names import IS_NAN
from tracklake.query.sandbox.rewriting import Edit, quoted
from tracklake.query.sandbox.sql_text import pointing

if TYPE_CHECKING:
    from tracklake.query.column_names import ColumnRef
    from tracklake.query.sandbox.sql_text import Column, SqlText


class Names(Protocol):
    """What the names in a text mean; `ColumnNames` is one."""

    def resolve(self, name: str, *, any_case: bool = False) -> ColumnRef:
        """Return the column that a name means. Raises UnknownNameError, AmbiguousNameError."""
        ...

    def text_part(self, name: str, built: pl.DataFrame) -> str | None:
        """Return the column of a table that holds what of a mixed column is text, None for one that is not mixed."""
        ...


def without_nan(series: pl.Series) -> pl.Series:
    """Return a column with null where it is NaN.

    >>> without_nan(pl.Series([1.0, float("nan")])).to_list()
    [1.0, None]
    """
    return series.fill_nan(None) if series.dtype.is_float() else series


def reading(column: Column, name: tuple[str, ...], text: str | None) -> str | None:
    r"""Return how a text reads a column under a name, None as it is; `text` names its part of texts, if it is mixed.

    >>> from tracklake.query.sandbox.sql_text import Column
    >>> reading(Column(("lr",), 0, use="asked for NaN"), ("lr",), None)
    'if("lr.is_nan", \'nan\'::DOUBLE, "lr")'
    """
    *table, own = name
    if column.use == "asked for NaN":
        return f"if({quoted(*table, own + IS_NAN)}, 'nan'::DOUBLE, {quoted(*name)})"
    if text is not None and column.use == "asked for null":
        return f"coalesce({quoted(*name)}::VARCHAR, {quoted(*table, text)})"
    if text is not None and column.use == "compared with text":
        return quoted(*table, text)
    return None


def elements(name: tuple[str, ...], values: pl.Series) -> str | None:
    r"""Return how a text reads a column of lists, which are stored as JSON; None for a column of anything else.

    >>> elements(("config.sizes",), pl.Series(["[64, 32]", None]))
    'CAST("config.sizes"::JSON AS BIGINT[])'
    """
    texts = values.drop_nulls().unique().to_list() if values.dtype == pl.String else []
    if not texts or not all(text.startswith("[") and text.endswith("]") for text in texts):
        return None
    try:
        kinds = {type(item) for text in texts for item in json.loads(text)}
    except ValueError:
        return None
    dtype = next((dtype for element_kinds, dtype in _ELEMENTS if kinds <= element_kinds), "JSON")
    return f"CAST({quoted(*name)}::JSON AS {dtype}[])"


_ELEMENTS = (({int}, "BIGINT"), ({int, float}, "DOUBLE"), ({bool}, "BOOLEAN"), ({str}, "VARCHAR"))
"""The type of a list by those of its elements."""


def refuse_mixed(column: Column, name: str, text: str, *, sql: str) -> QueryError:
    """Return the error for what would take the texts of a mixed column for absent.

    >>> from tracklake.query.sandbox.sql_text import Column
    >>> print(refuse_mixed(Column(("config.lr",), -1), "config.lr", "config.lr.text", sql=""))
    "config.lr" has values of several kinds: numbers are in it, and the rest in "config.lr.text", which would be ...
    """
    place = pointing(sql, column.at) if sql else ""
    return QueryError(
        f'"{name}" has values of several kinds: numbers are in it, and the rest in "{text}", which would be taken for '
        f'absent here; name "{text}" as well, or compare with a number or a text{place}'
    )


class TextColumns:
    """The columns that a condition names, each under a name of its own in the frame that it is asked of.

    >>> import duckdb
    >>> from tracklake.query.sandbox.parser import parse_condition
    >>> table = example()._view.runs
    >>> parsed = parse_condition("lr > 0.05", execute=lambda q, p: duckdb.execute(q, p).fetchall())
    >>> columns = TextColumns(parsed, table.names, label="")
    >>> columns.wanted, columns.frame(table.select(wanted=columns.wanted)).columns
    (['config.lr'], ['column_0'])
    """

    def __init__(self, parsed: SqlText, names: Names, *, label: str, numbers_of_mixed: bool = False) -> None:
        """Refuse what would take texts of a mixed column for absent, or with `numbers_of_mixed` read its numbers."""
        self._numbers_of_mixed = numbers_of_mixed
        self._parsed = parsed
        self._names = names
        self._full = {}
        for column in parsed.columns:
            spelled = column.spelled
            self._full[spelled] = self._resolved(spelled, label)

    def _resolved(self, spelled: str, label: str) -> str:
        try:
            return self._names.resolve(spelled, any_case=True).name
        except AmbiguousNameError:
            raise
        except UnknownNameError as error:  # it may be a text that lacks its quotes
            raise UnknownNameError(f"{error} {label}") from None

    @cached_property
    def wanted(self) -> list[str]:
        """The full names of the columns to build."""
        flags = [self._full[c.spelled] + IS_NAN for c in self._parsed.columns if c.use == "asked for NaN"]
        return list(dict.fromkeys([*self._full.values(), *flags]))

    @cached_property
    def _places(self) -> dict[str, str]:
        """The name of each column in the frame: names may differ in their case alone, which SQL does not see."""
        return {name: f"column_{i}" for i, name in enumerate(dict.fromkeys(self._full.values()))}

    def frame(self, built: pl.DataFrame) -> pl.DataFrame:
        """Return the columns under the names by which `edits` reads them, with null where NaN is."""
        series = []
        for name, place in self._places.items():
            text = self._names.text_part(name, built)
            series.append(without_nan(built[name]).alias(place))
            series += [built[text].alias(f"{place}.text")] if text else []
            series += [built[name + IS_NAN].alias(place + IS_NAN)] if name + IS_NAN in built.columns else []
        return pl.DataFrame(series) if series else built.select("run_id")

    def edits(self, frame: pl.DataFrame) -> list[Edit]:
        """Return what of the text is replaced so that it reads this frame. Raises QueryError for a mixed column."""
        return [self._edit(column, frame) for column in self._parsed.columns]

    def _edit(self, column: Column, frame: pl.DataFrame) -> Edit:
        full = self._full[column.spelled]
        place = self._places[full]
        text = f"{place}.text" if f"{place}.text" in frame.columns else None
        named = {self._full[c.spelled] for c in self._parsed.columns}
        if column.use == "asked for elements" and (lists := elements((text or place,), frame[text or place])):
            return Edit(column.at, column.length, lists)
        is_lone = text is not None and f"{full}.text" not in named and not self._numbers_of_mixed
        if is_lone and column.use in ("other", "asked for elements"):
            raise refuse_mixed(column, full, f"{full}.text", sql="")
        return Edit(column.at, column.length, reading(column, (place,), text) or quoted(place))

    def spelled(self, message: str) -> str:
        """Return a message of duckdb with the names of the columns in the place of those in the frame."""
        for name, place in sorted(self._places.items(), key=lambda item: -len(item[1])):
            message = message.replace(place, name)
        return message

    def types(self, frame: pl.DataFrame) -> dict[str, pl.DataType]:
        """Return the types of the columns by their full names."""
        return {name: frame.schema[place] for name, place in self._places.items()}
