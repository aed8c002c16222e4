"""SQL over a lake: duckdb over the views of one snapshot, in a connection that cannot do more than read them.

Two walls keep a hostile text in. `sql_text` refuses what is not one statement that reads, and every function and file
that it does not know; the connection itself opens the history files of one version and no other, loads no extension,
sees no Python object that was not given to it, and its settings are locked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import QueryError, TracklakeError, UnknownNameError
from tracklake.sql import parser, results, summaries_view, views
from tracklake.sql.parser import pointing
from tracklake.sql.views import COLUMNS, PREFIX, Limits, Part, View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from duckdb import DuckDBPyConnection

    from tracklake.query.run_table import RunTable
    from tracklake.sql.parser import SqlText

_FRAMES = {("polars", "DataFrame"), ("polars", "LazyFrame"), ("pandas", "DataFrame"), ("pyarrow", "Table")}
_UNKNOWN_COLUMN = re.compile(r'(?:Referenced column|column named) "([^"]+)"')
_UNKNOWN_TABLE = re.compile(r'Referenced table "([^"]+)" not found')


class Engine:
    """duckdb for one lake: an instance takes 20 ms to make, so one serves all questions to a version."""

    def __init__(self) -> None:
        self._version = -2
        self._locked: DuckDBPyConnection | None = None

    def ask(self, table: RunTable, text: str, params: Mapping[str, Any], *, find: Callable[[str], Any]) -> pl.DataFrame:
        r"""Run a text over the views of one snapshot and return its rows.

        Params that are frames, and what `find` gives for a table's name, join as tables; other params are bound.
        Raises QueryError and UnknownNameError, which point at the text.

        >>> text = "SELECT run_id FROM runs WHERE \"config.lr\" > $lr"
        >>> Engine().ask(example()._view.runs, text, {"lr": 0.05}, find=lambda name: None).rows()
        [('fast',)]
        """
        snapshot = table.snapshot
        if self._locked is None or self._version != snapshot.version.number:
            self._locked, self._version = locked(snapshot.history_files()), snapshot.version.number
        cursor = self._locked.cursor()
        try:
            return _answer(cursor, table, text, params, find=find)
        finally:
            cursor.close()


def connect(table: RunTable, *, unsafe: bool) -> DuckDBPyConnection:
    """Return a connection of its own with all views of one snapshot.

    A connection that may read a file may also write it, and no text is looked at here: so unless `unsafe` it reads
    history through Arrow, and opens no file at all.

    >>> with connect(example()._view.runs, unsafe=False) as connection:
    ...     connection.sql("SELECT max(value) FROM history WHERE metric = 'acc'").fetchall()
    [(0.9,)]
    """
    import duckdb
    from pyarrow import dataset

    files = table.snapshot.history_files()
    connection = duckdb.connect() if unsafe else locked([])
    if files and not unsafe:
        connection.register(f"{PREFIX}files", dataset.dataset(files))
    for name in COLUMNS:
        view_of_name = view(name, table, limits=Limits(table, {}), source=None if unsafe else f"{PREFIX}files")
        _create(connection, view_of_name, lazily=True)
    return connection


def locked(files: Sequence[str]) -> DuckDBPyConnection:
    """Open duckdb in memory so that it can read these files and for ever nothing else.

    >>> locked([]).execute("SELECT current_setting('lock_configuration')").fetchone()
    (True,)
    """
    import duckdb

    connection = duckdb.connect(config={"autoload_known_extensions": False})
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    for setting in (
        "TimeZone = 'UTC'",
        f"allowed_paths = [{listed}]",
        "temp_directory = ''",  # else what has no room in memory is written into the working directory
        "enable_external_access = false",
        "python_enable_replacements = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET GLOBAL {setting}").fetchall()
    return connection


def _answer(
    cursor: DuckDBPyConnection, table: RunTable, text: str, params: Mapping[str, Any], *, find: Callable[[str], Any]
) -> pl.DataFrame:
    import duckdb

    frames = {name.casefold(): value for name, value in params.items() if is_frame(value)}
    values = {name: value for name, value in params.items() if not is_frame(value)}
    parsed = parser.parse(text, params=values, execute=lambda q, p: cursor.execute(q, p).fetchall())
    _register_frames(cursor, parsed, frames, find)
    for name in COLUMNS if parsed.shows_all else [name for name in COLUMNS if name in parsed.tables]:
        _create(cursor, _view(name, table, parsed), lazily=False)
    try:
        frame = results.found(cursor, text, _checked(cursor, text, values))
    except duckdb.Error as error:
        message = str(error)
    else:
        return _without_parts(frame) if parsed.shows_all else frame
    raise _explained(message, table, parsed)


def _without_parts(found: pl.DataFrame) -> pl.DataFrame:
    """Leave the tables of which views are made out of a list of tables."""
    return found.filter(~pl.col("name").str.starts_with(PREFIX)) if "name" in found.columns else found


def _view(name: str, table: RunTable, asked: SqlText) -> View:
    """Return a view with what a text asks of it."""
    if name != "runs":
        return view(name, table, limits=Limits(table, asked.allowed(name)))
    if name in asked.patterns:
        at = pointing(asked.text, asked.patterns[name])
        raise QueryError(f"the columns of runs are built by name, and a pattern names none: list them, or use *{at}")
    return _as_it_is(name, table.select(wanted=_columns(table, asked)))


def view(name: str, table: RunTable, *, limits: Limits, source: str | None = None) -> View:
    """Return a view of a snapshot within limits, runs with its default columns.

    >>> table = example()._view.runs
    >>> view("runs", table, limits=Limits(table, {})).parts[0].make().height
    2
    """
    if name in ("history", "points"):
        return {"history": views.history, "points": views.points}[name](table, limits, source=source)
    if name == "summaries":
        return summaries_view.summaries(table, limits)
    if name == "runs":
        return _as_it_is(name, table.select())
    frames = {"config": views.config, "definitions": views.definitions, "sessions": views.sessions}
    return _as_it_is(name, frames[name](table))


def _as_it_is(name: str, frame: pl.DataFrame) -> View:
    return View(name, [Part(name, dict(frame.schema), lambda: frame)])


def _columns(table: RunTable, asked: SqlText) -> list[str]:
    """Return the columns of runs that a text names; those that nobody has are left to duckdb to complain of."""
    wanted: dict[str, Sequence[int]] = dict.fromkeys(["run_id"], ())
    if "runs" in asked.whole or asked.shows_all:
        wanted |= dict.fromkeys(table.names.defaults(table.summaries.runs["run_id"]), ())
    alike = {name.casefold(): name for name in table.names.available}
    for column in asked.columns:
        for part in column.parts:
            name = _found(table, part) or alike.get(part.casefold())
            if name is not None:
                wanted.setdefault(name, (column.at,))
    _refuse_alike(asked, wanted)
    return list(wanted)


def _found(table: RunTable, name: str) -> str | None:
    """Return the column of runs that has this name, if there is one."""
    column = table.names.find(name)
    return None if column is None else column.name


def _refuse_alike(asked: SqlText, wanted: Mapping[str, Sequence[int]]) -> None:
    """Raise where a text names two columns that SQL cannot tell apart, which two metrics may well be."""
    named = [name for name, at in wanted.items() if at]
    for name in named:
        other = next((n for n in wanted if n != name and n.casefold() == name.casefold()), None)
        if other is not None:
            at = pointing(asked.text, wanted[name][0])
            raise QueryError(f"SQL takes {other!r} and {name!r} for one name: use lake.runs or the view summaries{at}")


def _create(connection: DuckDBPyConnection, view: View, *, lazily: bool) -> None:
    for part in view.parts:
        connection.register(part.name, _Table(part, None if lazily else part.make()))
    if view.sql:
        connection.execute(f"CREATE TEMP VIEW {view.name} AS {view.sql}").fetchall()


class _Table:
    """A part as duckdb reads it, without pyarrow: to import that takes longer than most questions.

    Unless it is `made`, it is made when a query reads it, not before; the schema is known ahead.
    """

    def __init__(self, part: Part, made: pl.DataFrame | None) -> None:
        self._part = part
        self._made = made

    def __arrow_c_schema__(self) -> object:
        return pl.Schema(self._part.schema).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        frame = self._part.make() if self._made is None else self._made
        return frame.__arrow_c_stream__(requested_schema)


# Frames of the caller


def is_frame(value: object) -> bool:
    """Say whether a value is a frame of polars, pandas or arrow.

    >>> is_frame(pl.DataFrame()), is_frame([1])
    (True, False)
    """
    kind = type(value)
    return (kind.__module__.partition(".")[0], kind.__name__) in _FRAMES


class Caller:
    """Finds the frames of data that a caller's variables hold.

    >>> import sys
    >>> mine = pl.DataFrame({"lr": [0.1]})
    >>> Caller(sys._getframe())("mine").height
    1
    """

    def __init__(self, frame: FrameType | None) -> None:
        self._frame = frame

    def __call__(self, name: str) -> Any:
        """Return the frame of data that the caller has under this name, whatever its case; None if there is none."""
        for variables in (self._frame.f_locals, self._frame.f_globals) if self._frame else ():
            for variable, value in variables.items():
                if variable.casefold() == name and is_frame(value):
                    return value
        return None


def _register_frames(
    cursor: DuckDBPyConnection, asked: SqlText, given: Mapping[str, Any], find: Callable[[str], Any]
) -> None:
    for name, at in asked.tables.items():
        if name in COLUMNS:
            continue
        frame = given.get(name)
        if frame is None:
            frame = find(name)
        if frame is None:
            unknown = UnknownNameError.nearest("table", name, COLUMNS)
            hint = "a file is not read" if "." in name or "/" in name else "a frame of yours joins by its name"
            raise UnknownNameError(f"{unknown} ({hint}){pointing(asked.text, at)}")
        cursor.register(name, frame.collect() if isinstance(frame, pl.LazyFrame) else frame)


# Errors


def _checked(cursor: DuckDBPyConnection, text: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the params; QueryError if they are not just those that the text has, or it is no statement that reads."""
    statement, *more = cursor.extract_statements(text)
    if more or statement.type.name not in ("SELECT", "EXPLAIN"):  # what sql_text should have refused
        raise parser.refused(statement.type.name)
    wanted = {str(name) for name in statement.named_parameters}
    if missing := sorted(wanted - set(params)):
        raise QueryError(f"the text has the parameter ${missing[0]}, and no value was given for it: {missing[0]}=...")
    for name in params:
        if name not in wanted:
            accepted = ", ".join(f"${w}" for w in sorted(wanted)) or "none"
            raise QueryError(f"the text has no parameter ${name}, for which a value was given; it has {accepted}")
    return params


def _explained(message: str, table: RunTable, asked: SqlText) -> TracklakeError:
    """Say what duckdb said, with the nearest column where it missed one."""
    match = _UNKNOWN_COLUMN.search(message) or _UNKNOWN_TABLE.search(message)
    if match is None:
        return QueryError(f"SQL: {message}")
    for column in asked.columns:
        dotted = _found(table, ".".join(column.parts))
        if len(column.parts) > 1 and match[1] in column.parts and dotted is not None:
            hint = f'a name with a dot stands in double quotes: "{dotted}"'
            return UnknownNameError(f"unknown table {column.parts[0]!r}; {hint}{pointing(asked.text, column.at)}")
    if match.re is _UNKNOWN_TABLE:
        return QueryError(f"SQL: {message}")
    at = next((column.at for column in asked.columns if match[1] in column.parts), -1)
    columns = {name for view, names in COLUMNS.items() if view in asked.tables for name in names}
    columns.update(table.names.available if "runs" in asked.tables else ())
    return UnknownNameError(f"{UnknownNameError.nearest('column', match[1], columns)}{pointing(asked.text, at)}")
