"""Parts of views as tables that duckdb reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from tracklake.query.sandbox.connection import beside, fetched

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tracklake.sql.views import Part, View


def create(connection: DuckDBPyConnection, view: View, *, lazily: bool) -> None:
    """Register the tables of a view, and the view.

    >>> import duckdb
    >>> from tracklake.sql.views import Part, View
    >>> view = View("seven", [Part("seven", {"n": pl.Int64()}, lambda: pl.DataFrame({"n": [7]}))])
    >>> connection = duckdb.connect()
    >>> create(connection, view, lazily=False)
    >>> connection.sql("FROM seven").fetchall()
    [(7,)]
    """
    tables = [RegisteredTable(part, None if lazily else part.make()) for part in view.parts]
    for table in tables:
        beside(connection, partial(connection.register, table.name, table))
    if view.sql:
        fetched(connection, f"CREATE OR REPLACE TEMP VIEW {view.name} AS {view.sql}")


class RegisteredTable:
    """A part as duckdb reads it, without pyarrow: to import that takes longer than most questions.

    Unless it is `made`, it is made when a query reads it, not before; the schema is known ahead. A lazy frame is handed
    over in batches, so that a query needs no more memory than what it finds.
    """

    def __init__(self, part: Part, frame: pl.DataFrame | pl.LazyFrame | None) -> None:
        self.name = part.name
        self._part = part
        self._made = frame

    def __arrow_c_schema__(self) -> object:
        return pl.Schema(self._part.schema).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        frame = self._part.make() if self._made is None else self._made
        if isinstance(frame, pl.LazyFrame):
            return frame.collect_batches(lazy=True).__arrow_c_stream__(requested_schema)
        return frame.__arrow_c_stream__(requested_schema)
