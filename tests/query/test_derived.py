"""Derived metrics and aliases: said in the lake, usable wherever a metric is."""

from __future__ import annotations

import math
import re
from pathlib import Path

import made_once
import polars as pl
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import DefinitionError, UnknownNameError

GAP = '"val/loss" - "train/loss"'


@made_once.lake_in_tmp_path
def lake(folder: Path) -> None:
    """Run a (sealed, project p) logs both losses, b (live, project q) the validation loss every other step."""
    with tl.init("p", id="a", config={"params": 4, "name": "x"}, dir=folder) as run:
        for step in range(3):
            run.log({"train/loss": 3.0 - step, "val/loss": 4.0 - step / 2})
    tl.open(folder).refresh()
    with tl.init("q", id="b", config={"params": 2}, dir=folder) as run:
        for step in range(4):
            run.log({"train/loss": float(step)} | ({"val/loss": 10.0} if step % 2 else {}))


def test_a_derived_metric_has_a_value_where_its_inputs_have(lake: tl.Lake):
    """It has a point at each step at which every input has a number, with their latest time."""
    lake.derive("gap", GAP)
    found = lake.history("gap")
    assert found.select("run_id", "metric", "step", "value").rows() == [
        ("a", "gap", 0, 1.0), ("a", "gap", 1, 1.5), ("a", "gap", 2, 2.0), ("b", "gap", 1, 9.0), ("b", "gap", 3, 7.0),
    ]  # fmt: skip
    assert found["time"].to_list()[:3] == lake.history("train/loss", runs="a")["time"].to_list()


def test_statistics_of_a_derived_metric(lake: tl.Lake):
    """Every statistic can be asked for: in summaries, in columns of runs, in conditions and orders, as a quantile."""
    lake.derive("gap", GAP)
    assert lake.summaries(["gap.max", "gap.argmax", "gap", "gap.p50", ("gap", "count")]).rows() == [
        ("a", 2.0, 2, 2.0, 1.5, 3), ("b", 9.0, 1, 7.0, 8.0, 2),
    ]  # fmt: skip
    found = lake.runs(columns=["summary.gap.mean"], where='"summary.gap.min" > 0', order_by="-summary.gap.max")
    assert found.rows() == [("b", 8.0), ("a", 1.5)]
    assert lake.run("a").summary["gap"] == 2.0
    assert lake.run("a").metrics == ["train/loss", "val/loss"]


def test_best_rows_of_a_derived_metric(lake: tl.Lake):
    """`at_best` goes by a derived metric, and takes one."""
    lake.derive("gap", GAP)
    assert lake.at_best("gap", goal="max", take=["train/loss"]).rows() == [("a", 2, 2.0, 1.0), ("b", 1, 9.0, 1.0)]
    assert lake.at_best("train/loss", goal="min", take=["gap"]).rows() == [("a", 2, 1.0, 2.0), ("b", 0, 0.0, None)]


def test_the_history_of_one_run_has_what_is_derived_where_it_is_named(lake: tl.Lake):
    """A run's wide history has derived metrics and aliases as columns if asked for them, and else what was logged."""
    lake.derive("gap", GAP)
    lake.alias("loss", "train/loss")
    found = lake.run("b").history(["gap", "loss"])
    assert found.select("_step", "gap", "loss").rows() == [(0, None, 0.0), (1, 9.0, 1.0), (2, None, 2.0), (3, 7.0, 3.0)]
    assert found.columns == ["_step", "gap", "loss", "_timestamp", "_runtime"]
    assert lake.run("b").history().columns == ["_step", "train/loss", "val/loss", "_timestamp", "_runtime"]


def test_sql_of_a_derived_metric(lake: tl.Lake):
    """A derived metric is in runs, summaries and history, restricted or not, and in named queries."""
    lake.derive("gap", GAP)
    assert lake.sql('SELECT run_id, "summary.gap.max" FROM runs ORDER BY 1').rows() == [("a", 2.0), ("b", 9.0)]
    text = "SELECT run_id, step, value FROM history WHERE metric {} 'gap' AND run_id = 'b' ORDER BY 2"
    assert lake.sql(text.format("=")).rows() == lake.sql(text.format("LIKE")).rows() == [("b", 1, 9.0), ("b", 3, 7.0)]
    found = lake.sql("SELECT value FROM summaries WHERE metric = 'gap' AND stat = 'mean' ORDER BY 1")
    assert found["value"].to_list() == [1.5, 8.0]
    assert lake.query("leaderboard", metric="gap", goal="min")["run_id"].to_list() == ["a", "b"]
    with lake.connect() as connection:
        assert connection.sql("SELECT count(*) FROM history WHERE metric = 'gap'").fetchall() == [(5,)]


def test_diverged_runs_leave_out_what_aliases_repeat(lake: tl.Lake):
    """An alias repeats what was logged, so it is in it where named or logged; an expression has values of its own."""
    with tl.init("p", id="c", dir=lake.dir) as run:
        run.log({"val/loss": math.nan, "train/loss": 1.0})
    lake.derive("gap", GAP)
    lake.alias("loss", "val/loss")
    assert lake.query("diverged_runs").select("run_id", "metric").rows() == [("c", "gap"), ("c", "val/loss")]
    assert lake.query("diverged_runs", metric="loss").select("run_id", "n_nan").rows() == [("c", 1)]
    with tl.init("p", id="d", dir=lake.dir) as run:
        run.log({"loss": math.inf})
    found = lake.query("diverged_runs").select("run_id", "metric")
    assert found.rows() == [("c", "gap"), ("c", "val/loss"), ("d", "loss")]


def test_diverged_runs_tell_what_an_expression_makes(tmp_path: Path):
    """A ratio that is infinite where it is divided by 0 is told with its first step."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        for step in range(4):
            run.log({"a": 1.0, "b": step - 2.0})
    lake = tl.open(tmp_path)
    lake.derive("ratio", '"a" / "b"')
    found = lake.query("diverged_runs").select("metric", "n_nan", "n_inf", "first_step")
    assert found.rows() == [("ratio", 0, 1, 2)]


def test_derived_metrics_are_shown_where_named_or_defined(lake: tl.Lake):
    """Default columns leave them out, as they cost a read of history; a definition shows them."""
    lake.derive("gap", GAP)
    assert not [c for c in lake.runs().columns if "gap" in c]
    lake.define_metric("gap", summary="max", goal="min")
    assert lake.runs()["summary.gap.max"].to_list() == [2.0, 9.0]
    assert lake.summaries("gap.best")["gap.best"].to_list() == [1.0, 7.0]


def test_columns_of_the_run_in_an_expression(lake: tl.Lake):
    """A config value or a summary may stand beside metrics: it is the same at every step."""
    lake.derive("scaled", '"train/loss" * "config.params" - "summary.train/loss.min"')
    assert lake.history("scaled", runs="a")["value"].to_list() == [11.0, 7.0, 3.0]


def test_a_value_of_a_run(lake: tl.Lake):
    """An expression over columns alone is one value a run, a column of the summary."""
    lake.derive("per_param", '"summary.train/loss.max" / "config.params"', unit="nats")
    lake.derive("twice", '"summary.per_param" * 2')
    found = lake.runs(columns=["run_id", "summary.twice", "summary.per_param"], order_by="-summary.per_param")
    assert found.rows() == [("b", 3.0, 1.5), ("a", 1.5, 0.75)]
    assert lake.summaries(["per_param", "train/loss.max"]).rows() == [("a", 0.75, 3.0), ("b", 1.5, 3.0)]
    assert lake.sql('SELECT run_id FROM runs WHERE "summary.per_param" > 1').item() == "b"
    found = lake.sql("SELECT run_id, stat, value FROM summaries WHERE metric = 'per_param' ORDER BY 1")
    assert found.rows() == [("a", "entry", 0.75), ("b", "entry", 1.5)]
    found = lake.query("leaderboard", metric="per_param", goal="max", stat="entry")
    assert found["run_id"].to_list() == ["b", "a"]


def test_derived_of_derived(lake: tl.Lake):
    """A derived metric may stand in another, and the step beside it."""
    lake.derive("gap", GAP)
    lake.derive("growth", '"gap" / ("_step" + 1)')
    assert lake.history("growth", runs="a")["value"].to_list() == [1.0, 0.75, pytest.approx(2 / 3)]


def test_a_derivation_of_one_project(lake: tl.Lake):
    """What is said for a project holds there, in place of what is said for all."""
    lake.derive("gap", GAP, project="p")
    assert lake.history("gap")["run_id"].unique().to_list() == ["a"]
    lake.derive("gap", '"val/loss" * 0')
    assert lake.summaries("gap.max")["gap.max"].to_list() == [2.0, 0.0]
    lake.derive("size", '"config.params" + 1', project="q")
    assert lake.runs(columns=["summary.size"])["summary.size"].to_list() == [None, 3]


def test_taking_back(lake: tl.Lake):
    """None takes a derivation back, no other names an alias; a later word replaces an earlier."""
    lake.derive("gap", GAP)
    lake.derive("gap", '"val/loss"')
    assert lake.summaries("gap.max")["gap.max"].to_list() == [4.0, 10.0]
    lake.derive("gap", None)
    lake.alias("loss", "val/loss")
    lake.alias("loss")
    assert lake.metrics == ["train/loss", "val/loss"]
    with pytest.raises(UnknownNameError, match="unknown derived metric 'gap'"):
        lake.derive("gap", None)


def test_taking_back_what_was_said_elsewhere(lake: tl.Lake):
    """What is said for one project is taken back there, and nothing is taken back in silence where it was not said."""
    lake.derive("gap", GAP, project="p")
    for project, named in ((None, "all projects"), ("q", "q")):
        with pytest.raises(DefinitionError, match=f"'gap' is said for project='p', not for {named}: take that back"):
            lake.derive("gap", None, project=project)
    lake.derive("gap", None, project="p")
    assert lake.metrics == ["train/loss", "val/loss"]


def test_what_was_logged_holds(lake: tl.Lake, tmp_path: Path):
    """A run that logs the name itself keeps what it logged; the others have what is derived."""
    lake.derive("gap", GAP)
    with tl.init("p", id="c", dir=tmp_path) as run:
        run.log({"train/loss": 1.0, "val/loss": 2.0, "gap": 100.0})
    assert lake.summaries("gap.max")["gap.max"].to_list() == [2.0, 9.0, 100.0]
    assert lake.history("gap", runs="c")["value"].to_list() == [100.0]


def test_an_alias_has_the_points_of_all_names(tmp_path: Path):
    """Runs that logged under other names compare; of one step the value said last holds; the others stay."""
    for run_id, rows in {"old": [{"eval/rewards": 1.0}, {"eval/rewards": 2.0}], "new": [{"environment": 5.0}]}.items():
        with tl.init("p", id=run_id, dir=tmp_path) as run:
            for row in rows:
                run.log(row)
    with tl.init("p", id="both", dir=tmp_path) as run:
        run.log({"eval/rewards": 1.0}, step=3)
        run.log({"environment": 7.0}, step=3)
    lake = tl.open(tmp_path)
    lake.alias("environment", "eval/rewards")
    for _ in range(2):
        assert lake.summaries(["environment.max", "environment.count"]).rows() == [
            ("old", 2.0, 2), ("new", 5.0, 1), ("both", 7.0, 1),
        ]  # fmt: skip
        assert lake.history("environment", runs="both")["value"].to_list() == [7.0]
        assert lake.history("eval/rewards")["run_id"].to_list() == ["both", "old", "old"]
        counts = lake.sql("SELECT metric, count(*) FROM history GROUP BY 1 ORDER BY 1").rows()
        assert counts == [("environment", 4), ("eval/rewards", 3)]
        lake.refresh()


def test_a_derived_metric_follows_a_rewind(tmp_path: Path):
    """It is computed from the points that count: what a rewind took back is not among them."""
    for start, value in ((None, 1.0), (1, 5.0)):
        with tl.init("p", id="a", resume="allow", from_step=start, dir=tmp_path) as run:
            for _ in range(2):
                run.log({"loss": value})
    lake = tl.open(tmp_path)
    lake.derive("double", '"loss" * 2')
    assert lake.history("double")["value"].to_list() == [2.0, 10.0, 10.0]


def test_derivations_are_listed(lake: tl.Lake):
    """The view definitions and `describe` list them with expression, description, unit and runs."""
    lake.derive("gap", GAP, description="generalization gap", unit="nats", project="p")
    lake.alias("loss", "val/loss", "train/loss")
    text = "SELECT project, name, kind, expression, description, unit, runs FROM definitions ORDER BY name"
    assert lake.sql(text).rows() == [
        ("p", "gap", "derived", GAP, "generalization gap", "nats", 1),
        (None, "loss", "alias", "val/loss, train/loss", None, None, 2),
    ]
    assert sorted(lake.describe().derived["name"]) == ["gap", "loss"]


@pytest.mark.parametrize(
    ("name", "expression", "error", "message"),
    [
        ("gap", '"val/los" - 1', UnknownNameError, "unknown metric 'val/los'; did you mean 'val/loss'"),
        ("x", '"config.param" + 1', UnknownNameError, "unknown column 'config.param'; did you mean 'config.params'"),
        ("x", "config.param + 1", UnknownNameError, "unknown column 'config.param'; did you mean 'config.params'"),
        ("x", '"val/loss" -', DefinitionError, "is no expression in SQL"),
        ("x", "1 + 1", DefinitionError, "names no metric and no column"),
        ("x", 'MAX("val/loss")', DefinitionError, "looks at many rows at once"),
        ("x", '"val/loss" - AVG("val/loss") OVER ()', DefinitionError, "looks at many rows at once"),
        ("x", '"x" + 1', DefinitionError, "'x' would need itself"),
        ("x", "\"val/loss\" || 'y'", DefinitionError, "gives String; a metric has numbers"),
        ("x", '"val/loss" * "config.name"', DefinitionError, "cannot be answered"),
        ("val/loss", '"train/loss"', DefinitionError, "'val/loss' is a metric that runs log"),
        ("_x", '"train/loss"', DefinitionError, "'_x' cannot be the name of a derived metric"),
        ("summary.x", '"train/loss"', DefinitionError, "'summary.x' cannot be the name of a derived metric"),
    ],
)
def test_what_cannot_be_derived_is_refused(
    lake: tl.Lake, name: str, expression: str, error: type[Exception], message: str
):
    """Unknown names, circles and what is no value a step are refused, and nothing is said."""
    with pytest.raises(error, match=re.escape(message)):
        lake.derive(name, expression)
    assert lake.sql("SELECT count(*) FROM definitions").item() == 0


def test_circles_are_refused(lake: tl.Lake):
    """A change that would close a circle is refused, and the circle is shown."""
    lake.derive("a", '"val/loss" + 1')
    lake.derive("b", '"a" + 1')
    lake.derive("c", '"b" * "summary.a.max"')
    with pytest.raises(DefinitionError, match="'a' would need itself: a <- c <- b <- a"):
        lake.derive("a", '"c" + 1')
    with pytest.raises(DefinitionError, match="would need itself"):
        lake.derive("a", '"val/loss" + "summary.c.max"')
    assert lake.history("b", runs="a")["value"].to_list() == [6.0, 5.5, 5.0]


def test_aliases_that_cannot_be(lake: tl.Lake):
    """An alias names metrics that runs log, and is no derived metric at once."""
    lake.derive("gap", GAP)
    with pytest.raises(UnknownNameError, match="did you mean 'val/loss'"):
        lake.alias("loss", "val/los")
    with pytest.raises(DefinitionError, match="'gap' is derived itself"):
        lake.alias("loss", "gap")
    with pytest.raises(DefinitionError, match="'gap' is derived as"):
        lake.alias("gap", "val/loss")
    with pytest.raises(TypeError, match=r"others= takes a name or a list of names; got 5 \(int\)"):
        lake.alias("loss", 5)


def test_an_alias_of_a_metric_with_the_name_of_a_column(tmp_path: Path):
    """An alias names metrics whatever they are called; a column that nobody logged as a metric is refused."""
    with tl.init(id="a", config={"lr": 0.1}, dir=tmp_path) as run:
        run.log({"loss": 1.0, "runtime": 5.0, "config": {"size": 7.0}})
    lake = tl.open(tmp_path)
    lake.alias("seconds", "runtime")
    lake.alias("size", "config.size")
    assert lake.history(["seconds", "size"])["value"].to_list() == [5.0, 7.0]
    assert lake.run("a").summary["seconds"] == 5.0
    for other in ("config.lr", "state", "summary.loss", "_runtime"):
        with pytest.raises(UnknownNameError, match=f"unknown metric '{other}'"):
            lake.alias("x", other)
    lake.alias("seconds")
    assert lake.metrics == ["config.size", "loss", "runtime", "size"]


def test_statistics_of_runs_take_what_is_derived(lake: tl.Lake):
    """Comparisons, sweeps and budgets are about derived metrics, aliases and derived values of runs alike."""
    lake.derive("gap", GAP)
    lake.derive("per_param", '"summary.train/loss.max" / "config.params"')
    lake.alias("loss", "val/loss")
    for name, means in {"gap": [1.0, 7.0], "per_param": [0.75, 1.5], "loss": [3.0, 10.0]}.items():
        assert lake.compare(name, by="params", goal="min").table["mean"].to_list() == means
        assert lake.sweep(metric=name, goal="min").best()["run_id"].to_list() == ["a"]
    assert lake.at_budget({"step": 1}, metric="gap", goal="min")["best"].to_list() == [1.0, 9.0]
    assert lake.plot.curves("loss", by="params").data["group"].n_unique() == 2


def test_a_lake_that_derives_nothing_has_plain_snapshots(lake: tl.Lake):
    """Nothing is wrapped where nothing is derived."""
    assert type(lake._view.snapshot).__name__ == "Snapshot"
    lake.derive("gap", GAP)
    assert lake._view.snapshot.derived.metrics == {"gap"}
    assert isinstance(lake.scan_history("gap"), pl.LazyFrame)


def test_commands(lake: tl.Lake):
    """`tracklake derive` and `tracklake alias` say the same from a shell, and take it back."""

    def call(*words: str) -> str:
        result = CliRunner().invoke(cli.main, [*words, "--dir", lake.dir])
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    call("derive", "gap", GAP, "--unit", "nats")
    call("alias", "loss", "val/loss", "--description", "of any kind")
    assert "gap   derived  " in call("describe")
    assert lake.summaries(["gap.max", "loss.max"]).rows() == [("a", 2.0, 4.0), ("b", 9.0, 10.0)]
    call("derive", "gap", "--remove")
    call("alias", "loss", "--remove")
    assert lake.metrics == ["train/loss", "val/loss"]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("log(params)", [math.log10(4), math.log10(2)]),
        ("2 ** params", [16.0, 4.0]),
        ("len(config.name) * 1.5", [1.5, None]),
        ("CASE WHEN params > 3 THEN 1 ELSE 0 END", [1, 0]),
        ("best * 100", [90.0, None]),
    ],
)
def test_derivations_speak_the_sql_of_everything_else(lake: tl.Lake, expression: str, values: list[float | None]):
    """What is derived is duckdb's SQL, its names found as in conditions, so the same text means the same in both."""
    lake.run("a").summary["best"] = 0.9
    lake.derive("x", expression)
    assert lake.runs(columns=["x"])["x"].to_list() == values
    in_sql = lake.sql(f"SELECT {expression} AS x FROM runs ORDER BY run_id")
    assert in_sql["x"].to_list() == values


def test_nan_goes_through_what_is_derived_but_meets_no_comparison(tmp_path: Path):
    """Arithmetic with NaN is NaN, as it was logged; a comparison with it does not hold."""
    with tl.init(id="a", dir=tmp_path) as run:
        for loss in (1.0, math.nan):
            run.log({"loss": loss, "ok": True})
    lake = tl.open(tmp_path)
    lake.derive("twice", "loss * 2 + ok")
    lake.derive("large", "CASE WHEN loss > 0 THEN 1 ELSE 0 END")
    lake.derive("bad", "isnan(loss)")
    assert str(lake.history("twice")["value"].to_list()) == "[3.0, nan]"
    assert lake.history("large")["value"].to_list() == [1.0, 0.0]
    assert lake.history("bad")["value"].to_list() == [0.0, 1.0]
