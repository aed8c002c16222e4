"""`lake.at_best`: each run's row at its own best step."""

from __future__ import annotations

import math

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import DefinitionError, UnknownNameError


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Run a ties at its best, b has NaN and infinity, c lacks the metric, d has no number of it."""
    root = tmp_path_factory.mktemp("best")
    curves = {
        "a": [(2.0, 0.1), (1.0, 0.2), (1.0, 0.3)],
        "b": [(math.nan, 0.4), (math.inf, 0.5), (3.0, None)],
        "d": [("low", 0.6)],
    }
    for run_id, rows in curves.items():
        with tl.init("p", id=run_id, dir=root) as run:
            for loss, acc in rows:
                run.log({"loss": loss, "acc": acc, "epoch": run.step})
    with tl.init("q", id="c", dir=root) as run:
        run.log({"acc": 0.7, "only.c": "x"})
    return tl.open(root)


def test_each_run_has_its_row_at_its_own_best_step(lake):
    """Of ties the earliest step; NaN is never best; runs without a number of the metric are left out."""
    found = lake.at_best("loss", goal="min", take=["acc", "epoch"])
    assert found.columns == ["run_id", "step", "loss", "acc", "epoch"]
    assert found.rows() == [("a", 1, 1.0, 0.2, 1), ("b", 2, 3.0, None, 2)]
    assert lake.at_best("loss", goal="max", take=["acc"]).rows() == [("a", 0, 2.0, 0.1), ("b", 1, math.inf, 0.5)]


def test_take_is_all_metrics_if_none_are_named(lake):
    """A metric that no run logged at its best step is a column of nulls."""
    found = lake.at_best("loss", goal="min")
    assert found.columns == ["run_id", "step", "loss", "acc", "epoch", "only.c"]
    assert found["only.c"].to_list() == [None, None]
    assert lake.at_best("loss", goal="min", take=[]).columns == ["run_id", "step", "loss"]


def test_the_goal_is_by_default_that_of_the_definition(tmp_path):
    """Each run follows its own; a run without a goal is left out; without any there is an error."""
    for run_id, goal in (("a", "max"), ("b", "min"), ("c", None)):
        with tl.init(id=run_id, dir=tmp_path) as run:
            if goal:
                run.define_metric("m", goal=goal)
            for x in (2.0, 3.0, 1.0):
                run.log({"m": x, "n": x})
    lake = tl.open(tmp_path)
    assert lake.at_best("m").rows() == [("a", 1, 3.0, 3.0), ("b", 2, 1.0, 1.0)]
    with pytest.raises(DefinitionError, match=r"n\.best_step needs a goal"):
        lake.at_best("n")
    lake.define_metric("*", goal="max")
    assert lake.at_best("n")["step"].to_list() == [1, 1, 1]


def test_goals_go_with_their_runs_whatever_the_order_of_their_creation(tmp_path):
    """A run that is older and later in the alphabet keeps its own goal."""
    for run_id, goal in (("z", "max"), ("a", "min"), ("m", "max")):
        with tl.init(id=run_id, dir=tmp_path) as run:
            run.define_metric("m", goal=goal)
            for x in (2.0, 3.0, 1.0):
                run.log({"m": x})
    lake = tl.open(tmp_path)
    assert lake.at_best("m").rows() == [("z", 1, 3.0), ("a", 2, 1.0), ("m", 1, 3.0)]
    assert lake.summaries("m.best")["m.best"].to_list() == [3.0, 1.0, 3.0]


def test_runs_and_where_choose_the_runs(lake):
    """The rows come in the order of the runs named."""
    assert lake.at_best("loss", goal="min", take=[], runs=["b", "a"])["run_id"].to_list() == ["b", "a"]
    assert lake.at_best("loss", goal="min", take=[], where=pl.col("summary.acc.max") > 0.4)["run_id"].to_list() == ["b"]
    assert lake.at_best("loss", goal="min", take=[], runs=["c"]).is_empty()
    assert lake.at_best("loss", goal="min", take=[], runs=[]).schema["run_id"] == pl.String


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"metric": "los", "goal": "min"}, UnknownNameError, "unknown metric 'los'; did you mean 'loss'"),
        (
            {"metric": "loss", "goal": "min", "take": ["ac"]},
            UnknownNameError,
            "unknown metric 'ac'; did you mean 'acc'",
        ),
        ({"metric": "loss", "goal": "up"}, DefinitionError, "goal='up'; accepted are 'min', 'max', 'minimize'"),
    ],
)
def test_what_is_not_there_is_refused(lake, how, error, message):
    """An error names the nearest metric, or what is accepted."""
    with pytest.raises(error, match=message):
        lake.at_best(**how)


def test_the_best_step_is_that_of_the_points_that_count(tmp_path):
    """An overwritten or rewound best is none, before and after sealing."""
    with tl.init(id="a", dir=tmp_path) as run:
        for x in (5.0, 9.0, 7.0, 8.0):
            run.log({"m": x, "k": x})
        run.log({"m": 1.0}, step=1)
    lake = tl.open(tmp_path)
    lake.refresh()
    assert lake.at_best("m", goal="max").rows() == [("a", 3, 8.0, 8.0)]
    with tl.init(id="a", dir=tmp_path, from_step=3) as run:
        run.log({"m": 6.0})
    assert lake.at_best("m", goal="max").rows() == [("a", 2, 7.0, 7.0)]
    lake.refresh()
    assert lake.at_best("m", goal="max").rows() == [("a", 2, 7.0, 7.0)]


def test_what_a_rewind_took_back_stands_in_no_row(tmp_path):
    """Not even at the best step, where the metric itself was logged again."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"m": 1.0, "k": 1.0})
        run.log({"m": 9.0, "k": 7.0})
    with tl.init(id="a", dir=tmp_path, from_step=1) as run:
        run.log({"m": 5.0})
    lake = tl.open(tmp_path)
    for _ in range(2):
        assert lake.at_best("m", goal="max").rows() == [("a", 1, 5.0, None)]
        lake.refresh()


def test_metrics_called_like_the_columns_beside_them(tmp_path):
    """A metric named step stands under metric.step."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"step": 7, "loss": 1.0})
    lake = tl.open(tmp_path)
    assert lake.at_best("loss", goal="min").to_dicts() == [{"run_id": "a", "step": 0, "loss": 1.0, "metric.step": 7}]
    assert lake.at_best("step", goal="min", take=[]).to_dicts() == [{"run_id": "a", "step": 0, "metric.step": 7}]
