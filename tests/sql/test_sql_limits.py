"""Texts that would never end or fill the memory, and texts that hide what they are: their fate."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from interrupter import interrupt_a_query
from processes import start

import tracklake as tl
from tracklake.errors import QueryError, TracklakeError
from tracklake.query import conditions
from tracklake.query.sandbox.connection import Sandbox

BLANKS = [
    "\t", "\n", "\v", "\f", "\r", "\x1c", "\x1d", "\x1e", "\x1f", " ", "\x85", "\xa0", "\u1680", "\u180e", "\u2000",
    "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a", "\u200b",
    "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff",
]  # fmt: skip
HIDING = [
    "-- x{blank}EXPLAIN ANALYZE COPY runs TO '{part}'",
    "EXPLAIN -- x{blank}ANALYZE COPY (SELECT 1) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)",
    "EXPLAIN{blank}ANALYZE{blank}COPY{blank}runs{blank}TO{blank}'{part}'",
    "{blank}COPY runs TO '{part}'",
    "SELECT 1{blank};{blank}COPY runs TO '{part}'",
    "/* /* */{blank}*/ COPY runs TO '{part}'",
    "EXPLAIN (ANALYZE,{blank}FORMAT json) COPY runs TO '{part}'",
]
STATEMENTS = [
    "ALTER TABLE runs RENAME TO x", "ANALYZE", "ATTACH ':memory:' AS x", "BEGIN TRANSACTION", "CALL pragma_version()",
    "CHECKPOINT", "COMMENT ON TABLE runs IS 'x'", "COMMIT", "COPY runs FROM '{part}'", "CREATE SCHEMA s",
    "CREATE SEQUENCE s",
    "CREATE TYPE t AS ENUM ('a')", "CREATE INDEX i ON runs (run_id)", "DEALLOCATE q", "DELETE FROM runs", "DETACH x",
    "DROP TABLE runs", "EXECUTE q", "EXPORT DATABASE '{out}'", "IMPORT DATABASE '{out}'", "INSERT INTO runs VALUES (1)",
    "INSTALL json", "LOAD json", "PRAGMA version", "PREPARE q AS SELECT 1", "RESET threads", "ROLLBACK",
    "SET threads = 1",
    "TRUNCATE runs", "UPDATE runs SET run_id = 'x'", "USE memory", "VACUUM", "UPDATE EXTENSIONS",
    "EXPLAIN SET threads = 1",
    "EXPLAIN ANALYZE INSERT INTO runs VALUES (1)", "EXPLAIN EXPLAIN SELECT 1", "SELECT 1 INTO OUTFILE '{out}'",
]  # fmt: skip
FUNCTIONS = [
    "summary(runs)", "query('SELECT 1')", "query_table(['runs'])", "glob('*')", "read_text('{part}')", "read_blob('*')",
    "read_parquet('{part}')", "parquet_scan('{part}')", "duckdb_settings()", "duckdb_tables()", "pragma_version()",
    "which_secret('x', 's3')", "seq_scan('x')", "arrow_scan(1, 2, 3)", "pandas_scan(1)", "python_map_function(1)",
    "checkpoint()", "force_checkpoint()", "sniff_csv('{part}')", "read_ndjson('{part}')", "test_all_types()",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a sealed lake."""
    folder = tmp_path_factory.mktemp("limits")
    with tl.init("p", id="a", config={"lr": 0.1}, dir=folder / "lake") as run:
        run.log({"loss": 1.0})
    tl.open(folder / "lake").refresh()
    return folder


@pytest.fixture(scope="module")
def lake(folder: Path) -> tl.Lake:
    """That lake, for queries of at most 512 MB."""
    return tl.open(folder / "lake", sql_memory="512 MB")


def allow_more_time(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the bound of time away from what was just ended: the next question may have to wait for its processor."""
    monkeypatch.setattr(sandbox, "limits", sandbox.limits._replace(seconds=600))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refuse(lake: tl.Lake, folder: Path, text: str, blank: str = " ") -> None:
    part = str(next((folder / "lake/history").glob("*.parquet")))
    before = contents(folder)
    with pytest.raises(TracklakeError):
        lake.sql(text.replace("{part}", part).replace("{out}", f"{folder}/out").replace("{blank}", blank))
    assert contents(folder) == before


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_no_blank_hides_a_statement_that_writes(lake: tl.Lake, folder: Path, blank: str):
    """Whatever stands for a blank or ends a comment, a text that writes is refused and no byte of the lake changes."""
    for text in HIDING:
        refuse(lake, folder, text, blank)


@pytest.mark.parametrize("text", STATEMENTS)
def test_no_statement_but_those_that_read(lake: tl.Lake, folder: Path, text: str):
    """Every kind of statement that duckdb knows is refused but SELECT, SHOW, DESCRIBE, SUMMARIZE and their EXPLAIN."""
    refuse(lake, folder, text)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_table_functions_that_are_not_ours_are_refused(lake: tl.Lake, folder: Path, function: str):
    """A function in FROM reads no file, no setting and no object of Python."""
    refuse(lake, folder, f"SELECT * FROM {function}")


READING = [
    "EXPLAIN SELECT 1", "explain analyze select 1", "EXPLAIN (FORMAT json) SELECT 1", "SHOW TABLES", "DESCRIBE runs",
    "SUMMARIZE runs", "/* a /* b */ */ SELECT 1", "-- x\r\nSELECT 1", "FROM runs", "VALUES (1)", "TABLE runs",
]  # fmt: skip


@pytest.mark.parametrize("text", READING)
def test_texts_that_read_are_answered(lake: tl.Lake, text: str):
    """What only reads is not taken for what it resembles."""
    assert isinstance(lake.sql(text), pl.DataFrame)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
        "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range + b.range) % 7 = 3",
    ],
)
def test_a_query_that_never_ends_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    """It ends at the bound of time, which the error names with the way to raise it, and the next one is answered."""
    lake = tl.open(folder / "lake", sql_seconds=1)
    with pytest.raises(QueryError, match=r"longer than sql_seconds=1.*tl\.open.*TRACKLAKE_SQL_SECONDS"):
        lake.sql(text)
    allow_more_time(lake._engine._sandbox, monkeypatch)
    assert lake.sql("SELECT count(*) FROM runs").item() == 1


@pytest.mark.parametrize(
    "text",
    [
        "SELECT repeat('x', 1000) || range AS t FROM range(3000000)",
        "SELECT list(range) FROM range(100000000)",
        "SELECT string_agg(repeat('x', 1000) || range, ',') FROM range(2000000)",
        "SELECT a.range, b.range FROM range(100000) a, range(100000) b ORDER BY hash(a.range + b.range)",
        "SELECT * FROM repeat('x', 100000000000)",
    ],
)
def test_a_query_that_fills_the_memory_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    """It ends at the bound of memory (or of time, if that comes first), and the next one is answered."""
    lake = tl.open(folder / "lake", sql_seconds=2, sql_memory="512 MB")
    with pytest.raises(QueryError, match=r"sql_memory='512 MB'|sql_seconds=2|memory"):
        lake.sql(text)
    allow_more_time(lake._engine._sandbox, monkeypatch)
    assert lake.sql("SELECT count(*) FROM runs").item() == 1


@pytest.mark.parametrize("function", ["levenshtein", "damerau_levenshtein", "jaro_similarity"])
def test_functions_that_duckdb_cannot_end_are_bounded(lake: tl.Lake, function: str):
    """What costs the product of two lengths is refused where that is large, and by no other name to be had."""
    text = f"SELECT {function}(repeat('a', 60000), repeat('b', 60000))"
    with pytest.raises(QueryError, match=rf"{function}\(\) of texts as long as these does not end: it compares up to"):
        lake.sql(text)
    with pytest.raises(QueryError, match=rf"the function {function}\(\) is refused"):
        lake.sql(text.replace(function, f'system.main."{function}"'))
    assert lake.sql(f"SELECT {function}('loss', 'loss') AS same").item() in (0, 1.0)


@pytest.mark.parametrize("text", ["where", "order_by"])
def test_conditions_have_the_same_bounds(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    """What `where` and `order_by` say in SQL is bounded as a query of the same lake, and the next one is answered."""
    lake = tl.open(folder / "lake", sql_seconds=0.3)
    for opened in (lake, tl.open([folder / "lake"], sql_seconds=0.3)):
        with pytest.raises(QueryError, match=r"longer than sql_seconds=0\.3"):
            opened.runs(**{text: "list_sum(range(60000000 + length(run_id))) > 0"})
    allow_more_time(conditions.sandbox(lake._limits), monkeypatch)
    assert lake.runs(where="length(run_id) > 0").height == lake.runs().height


def test_a_query_that_was_left_behind_aborts_no_process(folder: Path):
    """A process that ends while duckdb still works on what it was told to end ends as it would without."""
    script = """
    lake = tl.open(sys.argv[1], sql_seconds=0.2)
    try:
        lake.runs(where="list_sum(range(60000000 + length(run_id))) > 0")
    except tl.TracklakeError as error:
        print("longer" in str(error))
    sys.exit(3)
    """
    with start(script, folder / "lake") as child:
        printed, errors = child.communicate()
    assert (child.returncode, printed, errors) == (3, "True\n", "")


def test_bounds_are_checked_where_the_lake_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A bound that cannot be is refused where the lake is opened, and the environment may set them."""
    with pytest.raises(QueryError, match="sql_memory='1 byte'; accepted is a size of at least 256 MB"):
        tl.open(folder / "lake", sql_memory="1 byte")
    with pytest.raises(QueryError, match="sql_seconds=0"):
        tl.open(folder / "lake", sql_seconds=0)
    monkeypatch.setenv("TRACKLAKE_SQL_SECONDS", "1")
    with pytest.raises(QueryError, match="sql_seconds=1:"):
        tl.open(folder / "lake").sql("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE hash(a.range + b.range) % 7 = 3",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
    ],
)
def test_ctrl_c_ends_any_query(folder: Path, text: str):
    """Ctrl-C ends a query, not its bound of time, and the lake answers the next one."""
    lake = tl.open(folder / "lake", sql_seconds=120)
    interrupt_a_query()
    with pytest.raises(KeyboardInterrupt):
        lake.sql(text)
    assert lake.sql("SELECT count(*) FROM history").item() == 1


def test_a_text_nested_too_deeply_is_refused(lake: tl.Lake):
    """300 queries inside each other are an error of ours."""
    text = "SELECT 1"
    for _ in range(300):
        text = f"SELECT * FROM ({text})"
    with pytest.raises(QueryError):
        lake.sql(text + " WHERE nobody = 1")


def test_results_that_lie_beyond_the_bounds_of_history_are_read_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A lake of many points hands them over in batches, and the answers are the same."""
    curves = pl.DataFrame({"run": ["a"] * 5000 + ["b"] * 5000, "step": [*range(5000)] * 2, "x": [0.5] * 10_000})
    lake = tl.open(tmp_path, create=True)
    lake.import_table(curves, run_columns=["run"], step="step", metrics={"m": "x"})
    text = "SELECT run_id, count(*), sum(value) FROM history GROUP BY 1 ORDER BY 1"
    at_once = lake.sql(text).rows()
    monkeypatch.setattr("tracklake.sql.views.STREAMED", 100)
    assert lake.sql(text).rows() == at_once == [("a", 5000, 2500.0), ("b", 5000, 2500.0)]
    assert lake.sql("SELECT a.step FROM history a JOIN history b USING (run_id, step) WHERE step = 7").height == 2
