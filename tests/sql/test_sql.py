"""`lake.sql` and `lake.connect`: views over runs, summaries and history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import DefinitionError, QueryError, UnknownNameError
from tracklake.query.sandbox import parser


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Runs a (sealed) and b (live), three steps each; c of another project has a text, a NaN and a late row."""
    folder = tmp_path_factory.mktemp("sql") / "lake"
    for run_id, lr, losses in (("a", 0.1, [3.0, 1.0, 2.0]), ("b", 0.2, [5.0, 4.0, 6.0])):
        with tl.init("p", id=run_id, config={"lr": lr, "opt": {"name": "adam"}}, dir=folder) as run:
            run.define_metric("loss", summary="min", goal="min")
            for loss in losses:
                run.log({"loss": loss, "acc": loss / 10})
        if run_id == "a":
            tl.open(folder).refresh()
    with tl.init("q", id="c", config={"lr": "auto"}, dir=folder) as run:
        for row in ({"loss": 1.0, "note": "x"}, {"loss": float("nan"), "ok": True}):
            run.log(row)
        run.log({"loss": 7.0}, step=0)
    return tl.open(folder)


def test_runs_have_typed_columns_by_name(lake: tl.Lake):
    """Columns of config and any statistic are named in double quotes; a mix of numbers and text is two columns."""
    found = lake.sql('SELECT run_id, "config.lr" AS lr, "config.lr.text", "summary.acc.std" FROM runs ORDER BY 1')
    assert found.schema == {
        "run_id": pl.String,
        "lr": pl.Float64,
        "config.lr.text": pl.String,
        "summary.acc.std": pl.Float64,
    }
    assert found.rows() == [
        ("a", 0.1, None, pytest.approx(0.1)),
        ("b", 0.2, None, pytest.approx(0.1)),
        ("c", None, "auto", None),
    ]


def test_the_series_that_every_run_has_are_in_history_where_they_are_named(lake: tl.Lake):
    """_step, _timestamp and _runtime are asked for by name, as in lake.history; else history has what was logged."""
    named = "metric IN ('_step', 'note')"
    found = lake.sql(f"SELECT run_id, project, metric, step, value, text FROM history WHERE {named} ORDER BY 1, 3, 4")
    expected = [(run, "p", "_step", step, float(step), None) for run in "ab" for step in range(3)]
    c = [("c", "q", "_step", 0, 0.0, None), ("c", "q", "_step", 1, 1.0, None), ("c", "q", "note", 0, None, "x")]
    assert found.rows() == expected + c
    sql = "SELECT value FROM history WHERE metric = '_runtime' AND run_id = 'c' ORDER BY step"
    assert lake.sql(sql)["value"].to_list() == lake.history("_runtime", runs="c")["value"].to_list()
    assert lake.sql("SELECT DISTINCT metric FROM history ORDER BY 1")["metric"].to_list() == [
        "acc",
        "loss",
        "note",
        "ok",
    ]


def test_star_gives_the_default_columns(lake: tl.Lake):
    """SELECT * FROM runs gives what lake.runs gives."""
    assert lake.sql("SELECT * FROM runs").equals(lake.runs())


def test_case_does_not_matter(lake: tl.Lake):
    """Tables and columns are found as SQL finds them, without case."""
    assert lake.sql('SELECT RUN_ID, "Config.LR" FROM Runs WHERE "SUMMARY.loss.MIN" < 2 ORDER BY 1').rows()[0] == (
        "a",
        0.1,
    )


def test_a_query_builds_the_columns_that_it_names(lake: tl.Lake):
    """A text that names two columns of runs reads a table of two."""
    found = lake.sql("""WITH r AS (FROM runs) SELECT count(*) FROM r WHERE "config.lr" > 0""")
    assert found.item() == 2
    (plan,) = lake.sql("""EXPLAIN SELECT name FROM runs WHERE "config.opt.name" = 'adam'""")["explain_value"]
    assert "config.opt.name" in plan
    assert "summary" not in plan


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("metric = 'loss' AND stat IN ('min', 'argmin')", [
            ("a", "argmin", 1.0), ("a", "min", 1.0), ("b", "argmin", 1.0), ("b", "min", 4.0),
            ("c", "argmin", 0.0), ("c", "min", 7.0),
        ]),
        ("run_id = 'a' AND metric = 'loss' AND stat IN ('p50', 'best')", [("a", "best", 1.0), ("a", "p50", 2.0)]),
        ("project = 'q' AND stat = 'n_nan' AND value > 0", [("c", "n_nan", 1.0)]),
        ("metric = 'nothing'", []),
    ],
)  # fmt: skip
def test_summaries_are_one_row_a_statistic(lake: tl.Lake, where: str, rows: list[tuple[object, ...]]):
    """The view summaries has every statistic of every metric; quantiles where they are named."""
    assert lake.sql(f"SELECT run_id, stat, value FROM summaries WHERE {where} ORDER BY ALL").rows() == rows


def test_summaries_hold_what_was_set_by_hand(tmp_path: Path):
    """The statistic `entry` is what the summary holds under the bare name: a value set by hand, or the last one."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"loss": 2.0})
        run.summary["final"] = 0.75
        run.summary["verdict"] = "good"
    found = tl.open(tmp_path).sql("FROM summaries SELECT metric, value, text WHERE stat = 'entry' AND metric[1] != '_'")
    assert sorted(found.rows()) == [("final", 0.75, None), ("loss", 2.0, None), ("verdict", None, "good")]


def test_history_has_sealed_and_live_points_that_count(lake: tl.Lake):
    """The view history joins what is sealed and what is not; an overwritten point counts once, truths are texts."""
    found = lake.sql("SELECT run_id, metric, step, value, text FROM history WHERE metric != 'acc' ORDER BY ALL").rows()
    assert [row for row in found if row[0] != "c"] == [
        ("a", "loss", 0, 3.0, None), ("a", "loss", 1, 1.0, None), ("a", "loss", 2, 2.0, None),
        ("b", "loss", 0, 5.0, None), ("b", "loss", 1, 4.0, None), ("b", "loss", 2, 6.0, None),
    ]  # fmt: skip
    assert str([row[1:] for row in found if row[0] == "c"]) == (
        "[('loss', 0, 7.0, None), ('loss', 1, None, None), ('note', 0, None, 'x'), ('ok', 1, 1.0, 'true')]"
    )
    assert lake.sql("SELECT count(*) FROM points WHERE run_id = 'c'").item() == 5


@pytest.mark.parametrize("text", ["SELECT * FROM history", "SELECT * FROM summaries"])
def test_restrictions_do_not_change_answers(lake: tl.Lake, text: str):
    """Rows picked by conditions that restrict what is built are those that are picked afterwards."""
    conditions = [
        "run_id = 'a'", "metric IN ('loss', 'note')", "run_id = 'a' OR metric = 'acc'", "NOT run_id = 'a'",
        "project = 'q' AND (metric = 'loss' OR $p IS NULL)", "run_id IN $runs", "metric = coalesce($p, 'loss')",
        "metric LIKE 'l%'", "(run_id = 'a' AND metric = 'acc') OR (run_id = 'b' AND metric = 'loss')",
    ]  # fmt: skip
    values = {"p": None, "runs": ["a", "c"]}
    for condition in conditions:
        params = {name: value for name, value in values.items() if f"${name}" in condition}
        whole = lake.sql(f"SELECT * FROM ({text} WHERE random() >= 0) WHERE {condition} ORDER BY ALL", **params)
        assert str(lake.sql(f"{text} WHERE {condition} ORDER BY ALL", **params).rows()) == str(whole.rows()), condition


def test_two_mentions_restrict_together(lake: tl.Lake):
    """A self join sees the metrics of both sides, and an outer join loses no row."""
    text = """
        SELECT l.run_id, l.step, l.value, a.value FROM history l LEFT JOIN history a
        ON a.run_id = l.run_id AND a.step = l.step AND a.metric = 'acc'
        WHERE l.metric = 'loss' AND l.step = 0 ORDER BY 1"""
    assert lake.sql(text).rows() == [("a", 0, 3.0, pytest.approx(0.3)), ("b", 0, 5.0, 0.5), ("c", 0, 7.0, None)]


def test_conditions_prune_what_is_read(tmp_path: Path):
    """A query for one series reads a part of the large partition that has it, and nothing of the other."""
    lake = tl.open(tmp_path, create=True)
    names = [f"m{j:02}" for j in range(20)]
    values = np.random.default_rng(0).random((20_000, len(names)))
    for run_ids in (["x0", "x1", "x2", "x3"], ["y0", "y1", "y2", "y3"]):
        frame = pl.DataFrame({"run": np.repeat(run_ids, 5_000), "step": np.tile(np.arange(5_000), 4)})
        frame = frame.hstack(pl.DataFrame(values, schema=names))
        lake.import_table(frame, run_columns=["run"], step="step", metrics=dict(zip(names, names, strict=True)))
    query = "SELECT max(value) FROM history WHERE run_id = 'y3' AND metric = 'm17' AND step < 700"
    lake.sql(query)
    everything = bytes_read(lambda: lake.sql("SELECT max(value) FROM points"))
    assert bytes_read(lambda: lake.sql(query)) < everything / 4
    x, _ = sorted((tmp_path / "history").glob("*.parquet"), key=lambda p: pl.read_parquet(p)["run_id"][0])
    x.unlink()
    assert lake.sql(query).item() == values[15_000:15_700, 17].max()


def bytes_read(call: Callable[[], object]) -> int:
    """Return how many bytes this process reads from files while it calls."""
    io = Path("/proc/self/io")
    before = int(io.read_text().split()[1])
    call()
    return int(io.read_text().split()[1]) - before


def test_config_is_one_row_a_key(lake: tl.Lake):
    """The view config holds every value by its dotted key."""
    assert lake.sql("SELECT run_id, key, value, text FROM config ORDER BY ALL").rows() == [
        ("a", "lr", 0.1, None), ("a", "opt.name", None, "adam"), ("b", "lr", 0.2, None),
        ("b", "opt.name", None, "adam"), ("c", "lr", None, "auto"),
    ]  # fmt: skip


def test_definitions_are_those_in_force(lake: tl.Lake):
    """The view definitions has each definition once a project, with the number of its runs."""
    found = lake.sql("SELECT project, name, kind, summary, goal, runs FROM definitions")
    assert found.rows() == [("p", "loss", "definition", "min", "min", 2)]


def test_sessions_tell_how_they_ended(lake: tl.Lake):
    """The view sessions has one row a session with its process and its end."""
    found = lake.sql("SELECT run_id, state, exit_code, pid > 0, cutoff FROM sessions ORDER BY 1")
    assert found.rows() == [(run_id, "finished", 0, True, None) for run_id in "abc"]


def test_frames_of_the_caller_join_by_name(lake: tl.Lake):
    """Frames of polars (lazy too), pandas and arrow join by the caller's variable or as a param."""
    team = pl.DataFrame({"run_id": ["a", "b"], "team": ["red", "blue"]})
    lazy = team.lazy()
    text = "SELECT team FROM runs JOIN {} USING (run_id) ORDER BY 1"
    assert lake.sql(text.format("team")).to_series().to_list() == ["blue", "red"]
    assert lake.sql(text.format("lazy"))["team"].to_list() == ["blue", "red"]
    assert lake.sql(text.format("given"), given=team.to_pandas())["team"].to_list() == ["blue", "red"]
    assert lake.sql(text.format("given"), given=team.to_arrow())["team"].to_list() == ["blue", "red"]
    assert not lazy.collect().is_empty()


def test_a_view_is_not_hidden_by_a_variable(lake: tl.Lake):
    """The names of the views mean the views, whatever the caller has under them."""
    runs = pl.DataFrame({"run_id": ["not this"]})
    assert lake.sql("SELECT count(*) FROM runs").item() == 3
    assert runs.height == 1


def test_types_of_results(lake: tl.Lake):
    """Whole sums are Int64 or Int128, differences of times are durations, a name that comes again is numbered."""
    found = lake.sql("""SELECT sum(step), sum(step)::HUGEINT * 1000000000000000000000, max(time) - min(time) AS took,
        TIMESTAMPTZ '2026-01-01 12:00:00+02' AS took, [1, 2] AS l FROM history WHERE run_id = 'a'""")
    assert found.dtypes == [pl.Int64, pl.Int128, pl.Duration("us"), pl.Datetime("us", "UTC"), pl.List(pl.Int32)]
    assert found.columns[2:4] == ["took", "took_1"]
    assert found.row(0)[:2] == (6, 6 * 10**21)
    assert found["took_1"].item() == dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", ["[INTERVAL 1 DAY]", "{'a': [INTERVAL 1 DAY]}", "MAP {'k': INTERVAL 1 DAY}"])
def test_intervals_inside_of_others_are_refused(lake: tl.Lake, value: str):
    """polars has no type for them; the message names the column."""
    with pytest.raises(QueryError, match=r"the column 'found' .* holds intervals"):
        lake.sql(f"SELECT {value} AS found")


def test_parameters_are_bound(lake: tl.Lake):
    """A value is data, whatever it looks like."""
    hostile = "' OR 1=1; DROP TABLE runs --"
    assert lake.sql("SELECT $x AS x FROM runs LIMIT 1", x=hostile).item() == hostile
    assert lake.sql("SELECT run_id FROM runs WHERE run_id = $x", x=hostile).is_empty()
    assert lake.sql("SELECT list_sum($xs)::BIGINT", xs=[1, 2, 3]).item() == 6


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ('SELECT run_id,\n"config.lrr" FROM runs', "unknown column 'config.lrr'; did you mean 'config.lr'",
         'LINE 2: "config.lrr" FROM runs\n        ^'),
        ("SELECT r.stat FROM runs r", "unknown column 'stat'; did you mean 'state'",
         "LINE 1: SELECT r.stat FROM runs r\n               ^"),
        ("SELECT config.lrr FROM runs", "unknown column 'config.lrr'; did you mean 'config.lr'",
         "LINE 1: SELECT config.lrr FROM runs\n               ^"),
        ("SELECT é FROM histori", "unknown table 'histori'; did you mean 'history'",
         "LINE 1: SELECT é FROM histori\n                      ^"),
        ("FROM 'x.csv'", "unknown table 'x.csv'", "(a file is not read)\nLINE 1: FROM 'x.csv'\n             ^"),
    ],
)  # fmt: skip
def test_unknown_names_point_at_the_text(lake: tl.Lake, text: str, start: str, end: str):
    """An unknown name is told with the nearest one, and the place in the text is shown."""
    with pytest.raises(UnknownNameError) as error:
        lake.sql(text)
    assert str(error.value).startswith(start)
    assert str(error.value).endswith(end)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELEC 1", 'SQL: syntax error at or near "SELEC"\nLINE 1: SELEC 1\n        ^'),
        ("", "the text has 0 statements; lake.sql takes one"),
        ("SELECT $a", "the text has the parameter $a, and no value was given for it: a=..."),
        ("SELECT COLUMNS('summary.*') FROM runs", "the columns of runs are built by name, and a pattern names none"),
        ("SELECT * LIKE 'config%' FROM runs", "the columns of runs are built by name, and a pattern names none"),
        ("PIVOT summaries ON stat USING first(value)", "PIVOT must name its values"),
        ("SELECT step + 'x' FROM history", "SQL: "),
    ],
)  # fmt: skip
def test_wrong_texts_are_explained(lake: tl.Lake, text: str, message: str):
    """A text that cannot be run is explained in one error that begins with what is wrong."""
    with pytest.raises(QueryError) as error:
        lake.sql(text)
    assert str(error.value).startswith(message)


def test_a_value_without_parameter_is_told(lake: tl.Lake):
    """A value for a parameter that the text does not have is an error."""
    with pytest.raises(QueryError, match=r"has no parameter \$b, for which a value was given; it has \$a"):
        lake.sql("SELECT $a", a=1, b=2)


def test_best_needs_a_goal(lake: tl.Lake):
    """A statistic that cannot be computed says why, as elsewhere."""
    with pytest.raises(DefinitionError, match=r"acc\.best needs a goal"):
        lake.sql('SELECT "summary.acc.best" FROM runs')


def test_names_that_differ_in_case_only(tmp_path: Path):
    """Two metrics that SQL cannot tell apart raise when both are named; the view summaries tells them apart."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"Acc": 1.0, "acc": 2.0})
    lake = tl.open(tmp_path)
    assert lake.sql('SELECT "summary.Acc.max" FROM runs').item() == 1.0
    assert lake.sql("SELECT value FROM summaries WHERE metric = 'acc' AND stat = 'max'").item() == 2.0
    with pytest.raises(QueryError, match=r"takes 'summary\.Acc\.max' and 'summary\.acc\.max' for one name"):
        lake.sql('SELECT "summary.acc.max", "summary.Acc.max" FROM runs')


def test_a_call_sees_one_snapshot(tmp_path: Path):
    """Each call takes the newest snapshot: rows of a running run are there at once, before and after sealing."""
    run = tl.init("p", id="a", dir=tmp_path)
    lake = tl.open(tmp_path)
    for step in range(3):
        run.log({"loss": float(step)})
        if step == 1:
            lake.refresh()
        assert lake.sql("SELECT count(*), max(step) FROM history").row(0) == (step + 1, step)
    assert lake.sql("SELECT state FROM runs").item() == "running"
    run.finish()


def test_an_empty_lake_has_all_views(tmp_path: Path):
    """Every view is there, with its columns, before anything was logged."""
    lake = tl.open(tmp_path, create=True)
    assert lake.sql("SHOW TABLES")["name"].to_list() == [
        "config", "definitions", "history", "points", "runs", "sessions", "summaries",
    ]  # fmt: skip
    for view in lake.sql("SHOW TABLES")["name"]:
        assert lake.sql(f"SELECT count(*) FROM {view}").item() == 0


def test_connect_gives_a_plain_connection(lake: tl.Lake):
    """A connection has every view, sealed and live, of the moment it was made."""
    with lake.connect() as connection:
        assert connection.sql("SELECT count(*) FROM history").fetchall() == [(16,)]
        text = "SELECT value FROM summaries WHERE run_id = 'a' AND metric = 'acc' AND stat = 'max'"
        assert connection.sql(text).fetchall() == [(pytest.approx(0.3),)]
        assert connection.sql('SELECT "summary.loss.min" FROM runs ORDER BY 1').fetchall() == [(1.0,), (4.0,), (7.0,)]
        connection.execute("CREATE TABLE mine AS SELECT * FROM history WHERE step = 0")
        assert connection.execute("SELECT count(*) FROM mine").fetchall() == [(6,)]


def test_a_resumed_run_is_resolved(tmp_path: Path):
    """Points that a rewind took back are in points and not in history."""
    for start in (None, 1):
        with tl.init("p", id="a", resume="allow", from_step=start, dir=tmp_path) as run:
            for value in range(3):
                run.log({"loss": float(value)})
        tl.open(tmp_path).refresh()
    lake = tl.open(tmp_path)
    assert lake.sql("SELECT step, value FROM history ORDER BY 1").rows() == [(0, 0.0), (1, 0.0), (2, 1.0), (3, 2.0)]
    assert lake.sql("SELECT count(*) FROM points").item() == 6
    assert lake.sql("SELECT cutoff FROM sessions ORDER BY start").to_series().to_list() == [1, None]


def test_nan_rows_are_found(tmp_path: Path):
    """A condition on NaN finds the rows of sealed files."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        for value in np.linspace(0, 1, 50):
            run.log({"loss": value if value < 0.9 else float("nan")})
    tl.open(tmp_path).refresh()
    assert tl.open(tmp_path).sql("SELECT count(*) FROM history WHERE isnan(value)").item() == 5


@pytest.mark.parametrize(
    ("where", "allowed"),
    [
        ("metric = 'a'", {"metric": {"a"}}),
        ("'a' = h.metric AND h.step > 3", {"metric": {"a"}}),
        ("metric IN ('a', 'b') AND metric = 'b'", {"metric": {"b"}}),
        ("metric = 'a' OR metric = 'b'", {"metric": {"a", "b"}}),
        ("metric = 'a' OR step = 1", {}),
        ("NOT metric = 'a'", {}),
        ("metric = lower('A')", {}),
        ("other.metric = 'a'", {}),
        ("($none IS NULL OR run_id = $none) AND run_id IN $two", {"run_id": {"x", "y"}}),
        ("($one IS NULL OR run_id = $one)", {"run_id": {"x"}}),
        ("metric = 'a' AND run_id = 5", {"metric": {"a"}}),
        ("run_id IN $numbers", {}),
    ],
)
def test_restrictions_are_read_from_the_text(where: str, allowed: dict[str, set[str]]):
    """What a WHERE says of a column in constants and params is understood, and nothing else is."""
    params = {"none": None, "one": "x", "two": ["x", "y"], "numbers": [1]}
    assert allowed_by(f"SELECT * FROM history h WHERE {where}", params) == allowed


def allowed_by(text: str, params: dict[str, object]) -> dict[str, frozenset[str]]:
    connection = duckdb.connect()
    asked = parser.parse(text, params=params, execute=lambda q, p: connection.execute(q, p).fetchall())
    return asked.allowed("history")


@pytest.mark.parametrize("join", ["ANTI", "SEMI", "ASOF", "POSITIONAL"])
def test_joins_that_look_at_other_rows_are_not_restricted(join: str):
    """Where leaving rows out before a join would change it, nothing is left out."""
    on = "" if join == "POSITIONAL" else "ON a.step >= b.step" if join == "ASOF" else "USING (step)"
    assert allowed_by(f"SELECT * FROM history a {join} JOIN history b {on} WHERE metric = 'a'", {}) == {}
