"""Texts that try to do more than read: `lake.sql` refuses them, and the connection behind it would as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from duckdb import DuckDBPyConnection
from interrupter import interrupt_a_query

import tracklake as tl
from tracklake.errors import QueryError, TracklakeError
from tracklake.query.sandbox.connection import locked
from tracklake.query.sandbox.limits import Limits

SECRET = "nobody should read this"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a sealed lake, and beside it a file that no query may read."""
    folder = tmp_path_factory.mktemp("safety")
    (folder / "secret.csv").write_text(SECRET)
    with tl.init("p", id="a", dir=folder / "lake") as run:
        run.log({"loss": 1.0})
    tl.open(folder / "lake").refresh()
    return folder


@pytest.fixture(scope="module")
def lake(folder: Path) -> tl.Lake:
    """The lake in that folder."""
    return tl.open(folder / "lake")


@pytest.fixture(scope="module")
def connection(lake: tl.Lake) -> Iterator[DuckDBPyConnection]:
    """A connection to it that was not asked for as unsafe."""
    with lake.connect() as connection:
        yield connection


WRITING = [
    "COPY runs TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "COPY (SELECT 1) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)",
    "WITH w AS (COPY runs TO '{out}') SELECT 1",
    "WITH a AS (SELECT 1), w AS (COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)) SELECT * FROM a",
    "SELECT * FROM (WITH w AS (COPY runs TO '{out}') SELECT 1)",
    "SELECT (WITH w AS (COPY runs TO '{out}') SELECT 1)",
    "EXPLAIN ANALYZE COPY runs TO '{out}'",
    "EXPLAIN ANALYZE WITH w AS (COPY runs TO '{out}') SELECT 1",
    "/* EXPLAIN */ COPY runs TO '{out}'",
    "EXPLAIN /* */ ANALYZE COPY runs TO '{out}'",
    "SELECT 1; COPY runs TO '{out}'",
    "SELECT 1;;; -- \nCOPY runs TO '{out}'",
    "EXPORT DATABASE '{out}'",
    "ATTACH '{out}' AS x",
    "WITH w AS (INSERT INTO runs VALUES ('x') RETURNING *) FROM w",
    "WITH w AS (DELETE FROM runs RETURNING *) FROM w",
    "WITH w AS (UPDATE runs SET run_id = 'x' RETURNING *) FROM w",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "DROP VIEW runs",
    "SELECT * FROM query('COPY runs TO ''{out}''')",
    "PREPARE q AS COPY runs TO '{out}'",
    "EXECUTE q",
    "CHECKPOINT",
]
READING = [
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_json_objects_auto('{secret}')",
    "SELECT * FROM read_parquet('{part}')",
    "SELECT * FROM parquet_metadata('{part}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM query('FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table(['{secret}'])",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{secret}'')'))",
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "WITH r AS (SELECT * FROM read_text('{secret}')) FROM r",
    "FROM runs WHERE run_id IN (SELECT content FROM read_text('{secret}'))",
    "FROM runs, LATERAL (FROM read_text('{secret}'))",
    "FROM runs UNION ALL FROM read_text('{secret}')",
    "PIVOT (FROM read_text('{secret}')) ON filename IN ('a') USING first(content)",
    "SUMMARIZE SELECT * FROM read_text('{secret}')",
    "DESCRIBE SELECT * FROM read_text('{secret}')",
    "SELECT getenv('HOME')",
    "SELECT GetEnv('HOME') FROM runs",
    "SELECT system.main.current_setting('allowed_paths')",
    "SELECT json_serialize_plan('FROM read_text(''{secret}'')')",
    "SELECT list_transform([1], lambda x: (SELECT content FROM read_text('{secret}')))",
    "WITH RECURSIVE r AS (SELECT 'x' UNION ALL FROM '{secret}') FROM r",
    'TABLE "{secret}"',
    "DESCRIBE '{secret}'",
    "SUMMARIZE '{secret}'",
    "UNPIVOT '{secret}' ON x INTO NAME a VALUE b",
    'FROM main."{secret}"',
    "FROM range((SELECT length(content) FROM read_text('{secret}')))",
    "VALUES ((SELECT content FROM read_text('{secret}')))",
    "SELECT * FROM sqlite_scan('{secret}', 't')",
    "IMPORT DATABASE '{folder}'",
]
CHANGING = [
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "SET VARIABLE x = 1",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "FROM enable_logging()",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL httpfs FROM 'http://localhost/'",
    "CREATE SECRET (TYPE s3)",
    "SELECT write_log('x')",
    "SELECT 1;\u200bSET threads = 1",
    "/* ; */ -- ;\n; SET threads = 1",
    "MERGE INTO runs USING runs r ON true WHEN MATCHED THEN DELETE",
    "CREATE MACRO f(x) AS TABLE FROM read_text(x)",
    "FROM duckdb_secrets()",
    "USE memory",
    "BEGIN",
]


@pytest.mark.parametrize("text", [*WRITING, *READING, *CHANGING])
def test_a_text_can_only_read_the_lake(lake: tl.Lake, folder: Path, text: str):
    """Whatever writes, reads other files, changes a setting or loads code is refused before it runs."""
    before = contents(folder)
    with pytest.raises(TracklakeError) as error:
        lake.sql(text.format(**places_in(folder)))
    assert SECRET not in str(error.value)
    assert contents(folder) == before


@pytest.mark.parametrize("text", [*WRITING, *READING, *CHANGING])
def test_a_connection_needs_no_look_at_the_text(connection: DuckDBPyConnection, folder: Path, text: str):
    """A connection that was not asked for as unsafe gives nothing away and writes nothing, whatever it is told."""
    before = contents(folder)
    try:
        found = str(connection.cursor().execute(text.format(**places_in(folder))).fetchall())
    except duckdb.Error as error:
        found = str(error)
    assert SECRET not in found
    assert contents(folder) == before
    assert connection.cursor().execute("SELECT current_setting('enable_external_access')").fetchall() == [(False,)]


def test_what_has_no_room_in_memory_is_not_written(connection: DuckDBPyConnection):
    """A question too large for the memory has no folder to spill into: nothing is written, not even for a while."""
    assert connection.cursor().execute("SELECT current_setting('temp_directory')").fetchall() == [("",)]


def test_ctrl_c_ends_a_question(lake: tl.Lake):
    """Ctrl-C reaches a question that would take for ever, and the lake answers the next one."""
    interrupt_a_query()
    with pytest.raises(KeyboardInterrupt):
        lake.sql("SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE hash(a.range + b.range) % 7 = 3")
    assert lake.sql("SELECT count(*) FROM history").item() == 1


def test_a_refusal_tells_the_way_out(lake: tl.Lake):
    """A refusal names what was refused, where it stands, and what may do it."""
    with pytest.raises(QueryError) as error:
        lake.sql("SELECT 1,\n(SELECT content FROM read_text('x'))")
    assert str(error.value) == (
        "the function read_text() is refused: lake.sql only reads; "
        "lake.connect(unsafe=True) gives a duckdb connection that may do anything\n"
        "LINE 2: (SELECT content FROM read_text('x'))\n"
        "                             ^"
    )


def test_unsafe_may_do_anything(lake: tl.Lake, folder: Path, tmp_path: Path):
    """A connection that was asked for as unsafe reads and writes files."""
    with lake.connect(unsafe=True) as connection:
        assert connection.execute(f"SELECT content FROM read_text('{folder}/secret.csv')").fetchall() == [(SECRET,)]
        connection.execute(f"COPY (SELECT value FROM history) TO '{tmp_path}/out.csv'")
    assert (tmp_path / "out.csv").read_text() == "value\n1.0\n"


def test_variables_of_the_library_are_not_tables(lake: tl.Lake):
    """A text finds the caller's frames, not what happens to be a variable inside tracklake, and no other objects."""
    mine = [1, 2]
    for name in ("table", "cursor", "found", "mine", "lake"):
        with pytest.raises(TracklakeError):
            lake.sql(f'SELECT * FROM "{name}"')
    assert mine == [1, 2]


def test_a_locked_connection_opens_no_path(folder: Path):
    """The connection of every question has no file system, so that no text could read or write a file of the lake."""
    part = places_in(folder)["part"]
    with locked(Limits.of()) as connection:
        for text in (f"FROM read_parquet('{part}')", f"COPY (SELECT 1) TO '{part}'", f"ATTACH '{folder}/x.db'"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(text)


def places_in(folder: Path) -> dict[str, str]:
    part = next(folder.glob("lake/history/*.parquet"))
    return {"out": f"{folder}/out", "secret": f"{folder}/secret.csv", "part": str(part), "folder": str(folder)}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
