"""One resolution of names everywhere: a metric or an entry set by hand, else a value of config, else a field."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import AmbiguousNameError, SweepError, UnknownNameError


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Three runs with config lr and seed, a metric loss, and a best accuracy that was set by hand."""
    folder = tmp_path_factory.mktemp("names") / "lake"
    for i, (run_id, lr) in enumerate({"a": 0.1, "b": 0.2, "c": 0.3}.items()):
        config = {"lr": lr, "seed": i, "loss_name": "ce", "width": 8}
        with tl.init("p", id=run_id, name=f"run {run_id}", config=config, dir=folder) as run:
            run.log({"loss": 1.0 - lr, "width": i})
            run.summary["best_val_accuracy"] = 0.5 + lr
    return tl.open(folder)


def test_a_name_of_config_needs_no_prefix(lake: tl.Lake):
    """`lr` is config.lr in columns, conditions, orders, SQL and a shell, and stands under the name that was used."""
    assert lake.runs(columns=["run_id", "lr"], order_by="-lr").rows() == [("c", 0.3), ("b", 0.2), ("a", 0.1)]
    assert lake.runs(where="lr > 0.15 AND seed = 1", columns=["run_id"]).rows() == [("b",)]
    assert lake.runs(where=pl.col("lr") > 0.25, columns=["config.lr"]).rows() == [("c", 0.3)]
    assert lake.sql("SELECT run_id, lr FROM runs WHERE lr < 0.25 ORDER BY lr DESC").rows() == [("b", 0.2), ("a", 0.1)]
    assert lake.compare("loss", by="lr", goal="min").table["config.lr"].to_list() == [0.3, 0.2, 0.1]
    assert lake.plot.scatter("lr", "best_val_accuracy").data["y"].to_list() == [0.6, 0.7, 0.8]
    answer = ["runs", "--where", "lr > 0.25", "--columns", "lr", "--json", "--dir", lake.dir]
    (line,) = CliRunner().invoke(cli.main, answer).stdout.splitlines()
    assert json.loads(line)["lr"] == 0.3


def test_an_entry_set_by_hand_is_a_metric_of_one_value(lake: tl.Lake):
    """What was set by hand is known to summaries, at_best, compare, sweep, conditions and the leaderboard."""
    name = "best_val_accuracy"
    assert lake.summaries([name, "loss.min"]).rows()[0] == ("a", 0.6, 0.9)
    assert lake.at_best("loss", goal="min", take=[name, "lr"]).rows()[2] == ("c", 0, 0.7, 0.8, 0.3)
    assert lake.compare(name, by="lr", goal="max").table["mean"].to_list() == pytest.approx([0.8, 0.7, 0.6])
    assert lake.sweep(metric=name, goal="max").best(1)["run_id"].to_list() == ["c"]
    assert lake.query("leaderboard", metric=name, goal="max")["run_id"].to_list() == ["c", "b", "a"]
    assert lake.runs(where=f"{name} > 0.75", columns=["run_id"]).rows() == [("c",)]
    assert lake.sql(f"SELECT max({name}) FROM runs").item() == pytest.approx(0.8)


def test_another_statistic_of_such_an_entry_is_refused(lake: tl.Lake):
    """It has no history, and who asks for one is told what it is."""
    with pytest.raises(UnknownNameError, match="was set by hand as one value a run, so it has no history"):
        lake.summaries("best_val_accuracy.max")
    with pytest.raises(UnknownNameError, match="was set by hand as one value a run"):
        lake.history("best_val_accuracy")


@pytest.mark.parametrize(
    "ask",
    [
        lambda lake: lake.runs(columns=["width"]),
        lambda lake: lake.runs(where="width > 1"),
        lambda lake: lake.runs(where=pl.col("width") > 1),
        lambda lake: lake.runs(order_by="width"),
        lambda lake: lake.sql("SELECT width FROM runs"),
        lambda lake: lake.compare("loss", by="width", goal="min"),
        lambda lake: lake.plot.scatter("width", "loss"),
    ],
)
def test_an_ambiguous_name_lists_what_it_may_be(lake: tl.Lake, ask):
    """A name that is a metric and a value of config is refused where a column is named; with its prefix it is clear."""
    with pytest.raises(AmbiguousNameError, match=r"'width' is ambiguous; say 'summary.width' or 'config.width'"):
        ask(lake)
    assert lake.runs(where="config.width = 8 AND summary.width = 2", columns=["run_id"]).rows() == [("c",)]


def test_a_metric_is_meant_where_a_metric_is_asked_for(lake: tl.Lake):
    """The exact metric goes before all else where the name is that of a metric."""
    assert lake.summaries("width").rows() == [("a", 0), ("b", 1), ("c", 2)]
    assert lake.compare("width", by="lr", goal="max").table["mean"].to_list() == [2.0, 1.0, 0.0]


def test_a_short_name_hides_nothing_in_sql(tmp_path: Path):
    """A text that means something without short names means the same with them."""
    with tl.init("p", id="a", config={"value": 7, "top": 5}, dir=tmp_path) as run:
        run.log({"acc": 0.5})
    lake = tl.open(tmp_path)
    best = "WITH best AS (SELECT run_id, max(value) AS top FROM history WHERE metric = 'acc' GROUP BY 1)"
    assert lake.sql(f"{best} SELECT top FROM best JOIN runs USING (run_id)").rows() == [(0.5,)]
    assert lake.sql("SELECT value FROM history JOIN runs USING (run_id)").rows() == [(0.5,)]
    assert lake.sql("SELECT runs.top, r.run_id FROM runs JOIN runs AS r USING (run_id)").rows() == [(5, "a")]


def test_a_glob_that_is_a_name_is_that_name(tmp_path: Path):
    """A star in the name of a column means itself where there is such a column."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"layer*": 1, "layer1": 2})
    assert tl.open(tmp_path).runs(columns=["summary.layer*"]).columns == ["run_id", "summary.layer*"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("lrr > 1", r"unknown column 'lrr'; did you mean 'lr'"),
        ("config.lrr > 1", r"unknown column 'config.lrr'; did you mean 'config.lr'"),
        ("loss_nam = 'ce'", r"unknown column 'loss_nam'; did you mean 'loss_name'"),
    ],
)
def test_every_surface_names_the_nearest(lake: tl.Lake, where: str, message: str):
    """An unknown name is told with the nearest, in Python, in SQL and in a shell, by the same error."""
    for ask in (lambda: lake.runs(where=where), lambda: lake.sql(f"SELECT run_id FROM runs WHERE {where}")):
        with pytest.raises(UnknownNameError, match=message):
            ask()
    result = CliRunner().invoke(cli.main, ["runs", "--where", where, "--dir", lake.dir])
    assert result.exit_code == 2
    assert "did you mean" in result.stderr


def test_runs_are_groups_of_their_own(lake: tl.Lake):
    """by="run_id" makes a group of each run in every call that groups."""
    assert lake.compare("loss", by="run_id", goal="min").table.height == 3
    assert lake.learning_curves("loss", by="run_id")["run"].to_list() == ["a", "b", "c"]
    assert sorted(lake.time_to("loss", 0.8, by="run_id", goal="min").table["run"]) == ["a", "b", "c"]
    assert lake.plot.curves("loss", by="run_id").data.height == 3


def test_a_goal_is_asked_for_once(tmp_path: Path):
    """A sweep's own goal holds in its pareto front, and who defines the least alone says which way is better."""
    for i in range(3):
        with tl.init("p", id=f"r{i}", config={"lr": i}, dir=tmp_path) as run:
            run.log({"acc": i, "loss": 3 - i})
    lake = tl.open(tmp_path)
    lake.define_metric("loss", summary="min")
    assert lake.compare("loss", by="lr").table["config.lr"][0] == 2
    assert lake.sweep(metric="acc", goal="max").pareto(["acc", "loss"])["run_id"].to_list() == ["r2"]
    lake.alias("both", ["acc", "loss"])
    assert "both" in lake.metrics


def test_a_baseline_is_taken_as_it_is_printed(lake: tl.Lake):
    """--baseline lr=0.1 names the group that the table calls so."""
    answer = ["compare", "loss", "--by", "lr", "--goal", "min", "--baseline", "lr=0.2", "--dir", lake.dir]
    assert "baseline lr=0.2" in CliRunner().invoke(cli.main, answer).stdout


@pytest.mark.parametrize("baseline", ["lr=0.2", {"lr": 0.2}, 0.2, "0.2"])
def test_a_baseline_in_python_may_be_the_printed_text(lake: tl.Lake, baseline: object):
    """`baseline=` and `against` take what the table calls a group, its keys, or its only value."""
    if baseline == "0.2":
        with pytest.raises(UnknownNameError, match=r"no group has lr='0\.2'; name one of: lr="):
            lake.compare("loss", by="lr", goal="min", baseline=baseline)
        return
    found = lake.compare("loss", by="lr", goal="min", baseline=baseline)
    assert found.baseline == found.against("lr=0.2").baseline == {"config.lr": 0.2}
    assert lake.time_to("loss", 1, goal="min", by="lr", baseline=baseline).baseline == {"config.lr": 0.2}


def test_a_metric_may_be_named_where_a_sweep_is(lake: tl.Lake):
    """`lake.sweep("loss")` is about the metric where no sweep is called so; what is neither is refused as a sweep."""
    assert str(lake.sweep("loss", goal="min")) == str(lake.sweep(metric="loss", goal="min"))
    with pytest.raises(SweepError, match="there is no sweep 'los'"):
        lake.sweep("los", goal="min")


def test_a_short_name_in_every_clause_of_sql(lake: tl.Lake):
    """A name without its prefix is found in QUALIFY, HAVING and windows as well."""
    first = "SELECT run_id FROM runs QUALIFY row_number() OVER (ORDER BY lr DESC, run_id) = 1"
    assert lake.sql(first).item() == lake.sql("SELECT run_id FROM runs ORDER BY lr DESC, run_id LIMIT 1").item()
    assert lake.sql("SELECT lr FROM runs GROUP BY lr HAVING max(seed) >= 0 ORDER BY lr")["lr"].to_list() == sorted(
        set(lake.runs(columns=["lr"])["lr"])
    )
