"""SQL over a lake: duckdb over the views of one snapshot, in a connection that cannot do more than read them.

The connection has no right to write or to open a path, whatever a text says: data reach it as frames. That a text is
one statement that reads, with functions that are known, is told before, so that the error says what is wrong.
"""

from __future__ import annotations

import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import whole_modules
from tracklake.errors import AmbiguousNameError, QueryError, TracklakeError, UnknownNameError
from tracklake.query.column_names import IS_NAN
from tracklake.query.sandbox import messages, parser, results, rewriting
from tracklake.query.sandbox.connection import Sandbox, beside, fetched, locked
from tracklake.query.sandbox.limits import Limits
from tracklake.query.sandbox.rewriting import Edit, quoted
from tracklake.query.sandbox.sql_text import pointing, refused
from tracklake.query.text_columns import elements, reading, refuse_mixed, without_nan
from tracklake.sql import registered_tables, summaries_view, views
from tracklake.sql.caller_frames import is_frame
from tracklake.sql.views import COLUMNS, NULL_FOR_NAN, PREFIX, Part, View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from tracklake.query.run_table import RunTable
    from tracklake.query.sandbox.sql_text import Column, SqlText

_UNKNOWN_COLUMN = re.compile(r'(?:Referenced column|column named) "?([^"\s]+|[^"]+(?="))"?')
_UNKNOWN_TABLE = re.compile(r'Referenced table "([^"]+)" not found')


class Engine:
    """duckdb for one lake: an instance takes 20 ms to make, so one serves all questions."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._sandbox = Sandbox(limits)

    def ask(self, table: RunTable, text: str, params: Mapping[str, Any], *, find: Callable[[str], Any]) -> pl.DataFrame:
        r"""Run a text over the views of one snapshot and return its rows.

        Params that are frames, and what `find` gives for a table's name, join as tables; other params are bound.
        Raises QueryError and UnknownNameError, which point at the text.

        >>> text = "SELECT run_id FROM runs WHERE \"config.lr\" > $lr"
        >>> Engine().ask(example()._view.runs, text, {"lr": 0.05}, find=lambda name: None).rows()
        [('fast',)]
        """
        cursor = self._sandbox.cursor()
        try:
            return _Question(self._sandbox, cursor, table, text, params).answer(find)
        finally:
            self._sandbox.release(cursor)


def connect(table: RunTable, *, unsafe: bool) -> DuckDBPyConnection:
    """Return a connection of its own with all views of one snapshot.

    Unless `unsafe` it has no right to write or to open a path, whatever it is told.

    >>> with connect(example()._view.runs, unsafe=False) as connection:
    ...     connection.sql("SELECT max(value) FROM history WHERE metric = 'acc'").fetchall()
    [(0.9,)]
    """
    whole_modules.load("duckdb")
    import duckdb

    connection = duckdb.connect() if unsafe else locked(Limits.of())
    for name in COLUMNS:
        registered_tables.create(connection, view(name, table, limits=views.Limits(table, {})), lazily=True)
    return connection


class _Question:
    """One text over the views of one snapshot."""

    def __init__(
        self, sandbox: Sandbox, cursor: DuckDBPyConnection, table: RunTable, text: str, params: Mapping[str, Any]
    ) -> None:
        self.sandbox = sandbox
        self.cursor = cursor
        self.table = table
        self.text = text
        self.frames = {name.casefold(): value for name, value in params.items() if is_frame(value)}
        self.values = {name: value for name, value in params.items() if not is_frame(value)}
        self.parsed = parser.parse(text, params=self.values, execute=partial(fetched, cursor))
        self.parsed.columns = [self._plain(column) for column in self.parsed.columns]
        self.aliases: dict[str, str] = {}
        """Names in the text that are short for a column of runs."""

    def _plain(self, column: Column) -> Column:
        """Return a column of runs whose name has dots and no quotes, such as loss.min, as one name."""
        if len(column.parts) == 1 or column.is_qualified or "runs" not in self.parsed.tables:
            return column
        try:
            self.table.names.resolve(".".join(column.parts), any_case=True)
        except UnknownNameError:
            return column
        return column.dotted()._replace(tables=("runs",))

    def answer(self, find: Callable[[str], Any]) -> pl.DataFrame:
        whole_modules.load("duckdb")
        import duckdb

        _register_frames(self.cursor, self.parsed, self.frames, find)
        for name in COLUMNS if self.parsed.shows_all else [n for n in COLUMNS if n in self.parsed.tables]:
            registered_tables.create(self.cursor, self._view(name), lazily=False)
        params = _checked(self.cursor, self.text, self.values)
        while True:
            try:
                rows = results.rows_of(self.sandbox, self.cursor, self._edited(), params)
            except duckdb.OutOfMemoryException:
                raise QueryError(results.over_memory(self.sandbox.limits)) from None
            except duckdb.Error as error:
                message = str(error)
            else:
                return _without_parts(rows) if self.parsed.shows_all else rows
            if not self._knows_alias(message):
                raise _explained(message, self.table, self.parsed)
            registered_tables.create(self.cursor, self._view("runs"), lazily=False)

    def _knows_alias(self, message: str) -> bool:
        """Say whether duckdb missed a name that is short for a column of runs, which it has from now on.

        A name is only looked for in runs where the text means nothing without it, so that it hides no other.
        """
        if "runs" not in self.parsed.tables:
            return False
        for column in self.parsed.columns:
            if column.name not in self.aliases and _misses(message, column.name):
                try:
                    self.aliases[column.name] = self.table.names.resolve(column.name, any_case=True).name
                except AmbiguousNameError as error:
                    raise AmbiguousNameError(f"{error}{pointing(self.text, column.at)}") from None
                except UnknownNameError:
                    continue
                self.__dict__.pop("_runs_built", None)
                return True
        return False

    def _view(self, name: str) -> View:
        """Return a view with what the text asks of it."""
        if name == "runs":
            return _as_it_is(name, self._runs)
        columns = {column.name.casefold() for column in self.parsed.columns}
        is_whole = name in self.parsed.whole or name in self.parsed.patterns or self.parsed.shows_all
        needed = None if is_whole else columns | ({"is_nan"} if "value" in columns else set())
        return view(name, self.table, limits=views.Limits(self.table, self.parsed.allowed(name), columns=needed))

    @property
    def _runs(self) -> pl.DataFrame:
        """The runs with the columns that the text names, null where NaN is."""
        if "runs" in self.parsed.patterns:
            at = pointing(self.text, self.parsed.patterns["runs"])
            raise QueryError(
                f"the columns of runs are built by name, and a pattern names none: list them, or use *{at}"
            )
        names = _columns(self.table, self.parsed)
        flags_asked = [name + IS_NAN for name in self._named("asked for NaN") if self.table.names.find(name + IS_NAN)]
        short = [column for column in self.aliases.values() if column not in names]
        built = self.table.select(wanted=[*names, *(name for name in [*flags_asked, *short] if name not in names)])
        flags = {name + IS_NAN: column for name, column in self.aliases.items() if built[column].dtype.is_float()}
        built = built.with_columns(
            *(built[column].alias(name) for name, column in self.aliases.items()),
            *(built[column].is_nan().alias(name) for name, column in flags.items()),
        )
        return pl.DataFrame([without_nan(series) for series in built])

    def _named(self, use: str) -> list[str]:
        return [column.name for column in self.parsed.columns if column.use == use]

    def _edited(self) -> str:
        """Return the text as duckdb reads it: dotted names in quotes, what asks for NaN or null of mixed values."""
        edits = [self._edit(column) for column in self.parsed.columns if column.at >= 0 and column.length]
        return rewriting.applied(self.text, [edit for edit in edits if edit is not None])

    def _edit(self, column: Column) -> Edit | None:
        text = None
        name = self.aliases.get(column.name) or _full_name(self.table, column.name)
        if "runs" in column.tables and name:
            text = self.table.names.text_part(name, self._runs_built)
            own = f"{column.name}.text" if text else column.name
            if column.use == "asked for elements" and (
                lists := elements((*column.parts[:-1], own), self._runs[text or name])
            ):
                return Edit(column.at, column.length, lists)
            is_lone = text and not any(c.name == text for c in self.parsed.columns)
            if is_lone and column.use in ("other", "asked for elements"):
                raise refuse_mixed(column, name, text or "", sql=self.text)
        has_flag = column.name.casefold() == "value" and NULL_FOR_NAN.intersection(column.tables)
        if column.use == "asked for NaN" and has_flag:
            owner = [*column.parts[:-1]]
            return Edit(
                column.at, column.length, f"if({quoted(*owner, 'is_nan')}, 'nan'::DOUBLE, {quoted(*column.parts)})"
            )
        is_flagged = column.use != "asked for NaN" or f"{column.name}{IS_NAN}" in self._runs_built.columns
        read = reading(column, column.parts, text) if "runs" in column.tables and is_flagged else None
        return Edit(column.at, column.length, read or quoted(*column.parts)) if read or column.is_dotted else None

    @cached_property
    def _runs_built(self) -> pl.DataFrame:
        return self._runs.clear() if "runs" in self.parsed.tables else pl.DataFrame()


def _misses(message: str, name: str) -> bool:
    """Say whether duckdb tells that it finds no column of this name, which it writes in quotes or without."""
    return f'"{name}"' in message or f"column {name} not found" in message


def _without_parts(tables: pl.DataFrame) -> pl.DataFrame:
    """Leave the tables of which views are made out of a list of tables."""
    return tables.filter(~pl.col("name").str.starts_with(PREFIX)) if "name" in tables.columns else tables


def view(name: str, table: RunTable, *, limits: views.Limits) -> View:
    """Return a view of a snapshot within limits, runs with its default columns.

    >>> table = example()._view.runs
    >>> view("runs", table, limits=views.Limits(table, {})).parts[0].make().height
    2
    """
    if name in ("history", "points"):
        return {"history": views.history, "points": views.points}[name](table, limits)
    if name == "summaries":
        return summaries_view.summaries(table, limits)
    if name == "runs":
        return _as_it_is(name, pl.DataFrame([without_nan(series) for series in table.select()]))
    frames = {"config": views.config, "definitions": views.definitions, "sessions": views.sessions}
    return _as_it_is(name, frames[name](table))


def _as_it_is(name: str, frame: pl.DataFrame) -> View:
    return View(name, [Part(name, dict(frame.schema), lambda: frame)])


def _columns(table: RunTable, query: SqlText) -> list[str]:
    """Return the columns of runs that a text names; those that nobody has are left to duckdb to complain of."""
    wanted: dict[str, Sequence[int]] = dict.fromkeys(["run_id"], ())
    if "runs" in query.whole or query.shows_all:
        wanted |= dict.fromkeys(table.names.defaults(table.summaries.runs["run_id"]), ())
    alike = {name.casefold(): name for name in table.names.available}
    for column in query.columns:
        for part in column.parts:
            name = _full_name(table, part) or alike.get(part.casefold())
            if name is not None:
                wanted.setdefault(name, (column.at,))
    _refuse_alike(query, wanted)
    return list(wanted)


def _full_name(table: RunTable, name: str) -> str | None:
    """Return the column of runs that has this full name, if there is one."""
    column = table.names.find(name)
    return None if column is None else column.name


def _refuse_alike(query: SqlText, wanted: Mapping[str, Sequence[int]]) -> None:
    """Raise where a text names two columns that SQL cannot tell apart, which two metrics may well be."""
    named = [name for name, at in wanted.items() if at]
    for name in named:
        other = next((n for n in wanted if n != name and n.casefold() == name.casefold()), None)
        if other is not None:
            at = pointing(query.text, wanted[name][0])
            raise QueryError(f"SQL takes {other!r} and {name!r} for one name: use lake.runs or the view summaries{at}")


def _register_frames(
    cursor: DuckDBPyConnection, query: SqlText, frames: Mapping[str, Any], find: Callable[[str], Any]
) -> None:
    for name, at in query.tables.items():
        if name in COLUMNS:
            continue
        frame = frames.get(name)
        if frame is None:
            frame = find(name)
        if frame is None:
            unknown = UnknownNameError.nearest("table", name, COLUMNS)
            hint = "a file is not read" if "." in name or "/" in name else "a frame of yours joins by its name"
            raise UnknownNameError(f"{unknown} ({hint}){pointing(query.text, at)}")
        collected = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
        beside(cursor, partial(cursor.register, name, collected))


# Errors


def _checked(cursor: DuckDBPyConnection, text: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the params; QueryError if they are not just those that the text has, or it is no statement that reads."""
    statement, *more = beside(cursor, partial(cursor.extract_statements, text))
    if more or statement.type.name not in ("SELECT", "EXPLAIN"):  # what sql_text should have refused
        raise refused(statement.type.name)
    wanted = {str(name) for name in statement.named_parameters}
    if missing := sorted(wanted - set(params)):
        raise QueryError(f"the text has the parameter ${missing[0]}, and no value was given for it: {missing[0]}=...")
    for name in params:
        if name not in wanted:
            accepted = ", ".join(f"${w}" for w in sorted(wanted)) or "none"
            raise QueryError(f"the text has no parameter ${name}, for which a value was given; it has {accepted}")
    return params


def _explained(message: str, table: RunTable, query: SqlText) -> TracklakeError:
    """Say what duckdb said, with the nearest column where it missed one."""
    match = _UNKNOWN_COLUMN.search(message) or _UNKNOWN_TABLE.search(message)
    if match is None:
        return QueryError(f"SQL: {messages.in_our_words(message)}")
    for column in query.columns:
        dotted = _full_name(table, ".".join(column.parts))
        if len(column.parts) > 1 and match[1] in column.parts and dotted is not None:
            hint = f'a name with a dot stands in double quotes: "{dotted}"'
            return UnknownNameError(f"unknown table {column.parts[0]!r}; {hint}{pointing(query.text, column.at)}")
    if match.re is _UNKNOWN_TABLE:
        return QueryError(f"SQL: {messages.in_our_words(message)}")
    at = next((column.at for column in query.columns if match[1] in column.parts), -1)
    columns = {name for view, names in COLUMNS.items() if view in query.tables for name in names}
    columns.update(table.names.spellings(like=match[1]) if "runs" in query.tables else ())
    return UnknownNameError(f"{UnknownNameError.nearest('column', match[1], columns)}{pointing(query.text, at)}")
