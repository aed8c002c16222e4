"""Parts of views as tables that duckdb reads, and the interrupts that come while it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.query.sandbox.connection import fetched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from tracklake.sql.views import Part, View

_INTERRUPTS = (KeyboardInterrupt, SystemExit, TimeoutError)
"""What signal handlers raise."""


def create(connection: DuckDBPyConnection, view: View, *, lazily: bool) -> list[RegisteredTable]:
    """Register the tables of a view, and return them.

    >>> import duckdb
    >>> from tracklake.sql.views import Part, View
    >>> view = View("seven", [Part("seven", {"n": pl.Int64()}, lambda: pl.DataFrame({"n": [7]}))])
    >>> connection = duckdb.connect()
    >>> [table.name for table in create(connection, view, lazily=False)], connection.sql("FROM seven").fetchall()
    (['seven'], [(7,)])
    """
    import duckdb

    tables = [RegisteredTable(part, None if lazily else part.make()) for part in view.parts]
    try:
        for table in tables:
            connection.register(table.name, table)
        if view.sql:
            fetched(connection, f"CREATE OR REPLACE TEMP VIEW {view.name} AS {view.sql}")
    except duckdb.Error as error:
        raise_interrupts(tables)
        if str(error).rstrip(": \n").endswith("failed: KeyboardInterrupt"):  # before the table could note it
            raise KeyboardInterrupt from error
        raise
    return tables


def raise_interrupts(tables: Sequence[RegisteredTable]) -> None:
    """Raise the interrupt that came while duckdb read a table, which it wraps into an error of its own.

    >>> raise_interrupts([])  # none came
    """
    for table in tables:
        if table.interrupt is not None:
            raise table.interrupt


class RegisteredTable:
    """A part as duckdb reads it, without pyarrow: to import that takes longer than most questions.

    Unless it is `made`, it is made when a query reads it, not before; the schema is known ahead. A lazy frame is handed
    over in batches, so that a query needs no more memory than what it finds.
    """

    def __init__(self, part: Part, made: pl.DataFrame | pl.LazyFrame | None) -> None:
        self.name = part.name
        self.interrupt: BaseException | None = None
        self._part = part
        self._made = made

    def __arrow_c_schema__(self) -> object:
        try:
            return pl.Schema(self._part.schema).__arrow_c_schema__()
        except _INTERRUPTS as interrupt:
            self.interrupt = interrupt
            raise

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        try:
            return self._stream(requested_schema)
        except _INTERRUPTS as interrupt:
            self.interrupt = interrupt
            raise

    def _stream(self, requested_schema: object) -> object:
        frame = self._part.make() if self._made is None else self._made
        if isinstance(frame, pl.LazyFrame):
            return frame.collect_batches(lazy=True).__arrow_c_stream__(requested_schema)
        return frame.__arrow_c_stream__(requested_schema)
