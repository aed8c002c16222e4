"""Equal budgets, time to a threshold, areas and aligned curves."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
import sklearn.metrics
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

import tracklake as tl
from tracklake.analysis import learning_curves
from tracklake.analysis.stats import survival
from tracklake.errors import DefinitionError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

NAN = math.nan


def lake_of(folder: Path, curves: dict[tuple[Any, int], list[tuple[int, float]]], **more: list[Any]) -> tl.Lake:
    """Return a lake with a run a (lr, seed): steps and values of "acc", and other metrics as whole columns."""
    rows = [(f"{lr}-{seed}", lr, seed, *point) for (lr, seed), points in curves.items() for point in points]
    frame = pl.DataFrame(rows, schema=["run", "lr", "seed", "step", "acc"], orient="row", strict=False)
    frame = frame.with_columns(pl.Series(name, values) for name, values in more.items())
    lake = tl.open(folder, create=True)
    metrics = {name: name for name in ("acc", *more)}
    lake.import_table(frame, run_columns=["run"], config_columns=["lr", "seed"], step="step", metrics=metrics)
    return lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Two runs that differ in length, with tokens logged beside."""
    curves = {
        (0.1, 0): [(0, 0.2), (10, 0.6), (20, NAN), (30, 0.5)],
        (0.2, 0): [(0, 0.3), (10, 0.4)],
    }
    return lake_of(tmp_path_factory.mktemp("budgets"), curves, tokens=[None, 100.0, 250.0, 300.0, 50.0, 400.0])


def test_an_x_that_is_not_said_is_the_step_whatever_metrics_are_called(tmp_path: Path):
    """A metric called step or time is the x where it is named; nothing changes where x is left out."""
    with tl.init(id="a", dir=tmp_path) as run:
        for i in range(3):
            run.log({"loss": 3.0 - i, "step": i * 100, "time": i * 3600.0})
    lake = tl.open(tmp_path)
    assert lake.time_to("loss", 2, goal="min").runs["x"].to_list() == [1]
    assert lake.time_to("loss", 2, goal="min", x="step").runs["x"].to_list() == [100]
    assert lake.area_under("loss")["area"].to_list() == [4.0]
    assert lake.learning_curves("loss")["x"].to_list() == [0.0, 1.0, 2.0]
    assert lake.at_budget({"time": "1h"}, metric="loss", goal="min")["best"].to_list() == [2.0]
    assert lake.at_budget({"step": 99}, metric="loss", goal="min")["best"].to_list() == [3.0]


def test_what_was_reached_at_a_step(lake: tl.Lake):
    """At a budget of steps each run has its last value and its best so far; one that ended before is told."""
    found = lake.at_budget({"step": 15}, metric="acc", goal="max")
    assert found.columns == ["run_id", "budget.step", "value", "best", "step", "best_step", "reached"]
    assert found.drop("run_id").rows() == [(15.0, 0.6, 0.6, 10, 10, True), (15.0, 0.4, 0.4, 10, 10, False)]


def test_a_budget_of_whole_steps_is_an_integer(lake: tl.Lake):
    """budget.step has the type of what was asked for: integers where all amounts are, else floats."""
    dtypes = [
        lake.at_budget({"step": steps}, metric="acc", goal="max").schema["budget.step"]
        for steps in (15, [10, 20], 15.5, [10, 15.5])
    ]
    assert dtypes == [pl.Int64, pl.Int64, pl.Float64, pl.Float64]


def test_nan_is_a_value_but_never_the_best(lake: tl.Lake):
    """The last value within a budget may be NaN, the best is a number; a step of exactly the budget is within it."""
    first = lake.at_budget({"step": 20}, metric="acc", goal="max").row(0, named=True)
    assert math.isnan(first["value"])
    assert (first["best"], first["best_step"]) == (0.6, 10)


def test_any_metric_can_be_the_budget(lake: tl.Lake):
    """Tokens are joined as of each step; a step before the first tokens is in no budget."""
    found = lake.at_budget({"tokens": 250}, metric="acc", goal="min")
    assert found.select("best", "best_step", "reached").rows() == [(0.6, 10, True), (0.3, 0, True)]


def test_several_amounts_are_several_budgets(lake: tl.Lake):
    """A list of amounts gives a row for each run at each of them."""
    found = lake.at_budget({"step": [0, 30]}, metric="acc", goal="max")
    assert found.select("budget.step", "best").rows() == [(0.0, 0.2), (0.0, 0.3), (30.0, 0.6), (30.0, 0.4)]


def test_one_amount_stands_beside_each_of_several(lake: tl.Lake):
    """Several amounts of one thing and one of another are as many budgets; two and three are refused."""
    found = lake.at_budget({"step": [0, 30], "tokens": 120}, metric="acc", goal="max")
    limits = [(0.0, 120.0, None), (0.0, 120.0, 0.3), (30.0, 120.0, 0.6), (30.0, 120.0, 0.3)]
    assert found.select("budget.step", "budget.tokens", "best").rows() == limits
    with pytest.raises(DefinitionError, match="as many of each"):
        lake.at_budget({"step": [0, 30], "tokens": [1, 2, 3]}, metric="acc", goal="max")


def test_several_limits_hold_together(lake: tl.Lake):
    """Of a budget of steps and tokens both hold."""
    found = lake.at_budget({"step": 30, "tokens": 120}, metric="acc", goal="max")
    assert found.select("step", "reached").rows() == [(10, True), (0, False)]


def test_runs_without_a_value_keep_their_row(lake: tl.Lake):
    """A run that had nothing within the budget is there, with null."""
    found = lake.at_budget({"tokens": 60}, metric="acc", goal="max")
    assert found["best"].to_list() == [None, 0.3]


def test_time_is_a_budget(tmp_path: Path):
    """A budget of time counts seconds since the start of the run."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.log({"acc": 1.0})
    found = tl.open(tmp_path).at_budget({"time": "2h"}, metric="acc", goal="max")
    assert found.select("budget.time", "best", "reached").rows() == [(7200.0, 1.0, False)]


def test_budgets_are_compared(lake: tl.Lake):
    """What runs had at a budget can be compared like any metric."""
    at = lake.at_budget({"step": 10}, metric="acc", goal="max")
    found = lake.compare(at.select("run_id", "best"), by="lr", goal="max")
    assert found.table.select("config.lr", "mean").rows() == [(0.1, 0.6), (0.2, 0.4)]


@pytest.mark.parametrize(
    ("said", "meant"),
    [("90s", 90), ("1.5h", 5400), ("1d 2h 3m", 93_780), (dt.timedelta(minutes=2), 120), (7, 7), ("1h30m", 5400)],
)
def test_amounts(said: learning_curves.Amount, meant: float):
    """Durations may be said as text or as a timedelta, anything else as a number."""
    assert learning_curves.amount(said) == meant


@pytest.mark.parametrize("wrong", ["soon", "2 weeks", "h", "", "2h!"])
def test_no_amount(wrong: str):
    """A text that is no duration is refused with an example."""
    with pytest.raises(DefinitionError, match="'2h'"):
        learning_curves.amount(wrong)


def test_an_x_that_is_not_there(lake: tl.Lake):
    """An unknown x names the nearest."""
    with pytest.raises(UnknownNameError, match="did you mean 'tokens'"):
        lake.at_budget({"token": 5}, metric="acc", goal="max")
    with pytest.raises(DefinitionError, match="a budget names what is limited"):
        lake.at_budget({}, metric="acc", goal="max")


def test_what_is_no_number_is_no_limit(lake: tl.Lake):
    """NaN as budget or threshold, and a band that is none, are refused; an array of amounts is several budgets."""
    with pytest.raises(DefinitionError, match="NaN is no amount"):
        lake.at_budget({"step": math.nan}, metric="acc", goal="max")
    with pytest.raises(DefinitionError, match="threshold=nan"):
        lake.time_to("acc", math.nan, goal="max")
    with pytest.raises(DefinitionError, match=r"band=\(0.9, 0.1\)"):
        lake.learning_curves("acc", band=(0.9, 0.1))
    assert lake.at_budget({"step": np.array([0, 1])}, metric="acc", goal="max")["budget.step"].unique().len() == 2


X = np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], dtype=float)
SEEN = np.arange(21) < 9
"""The remission times of Freireich et al. 1963, treated group: 9 relapses, 12 censored."""


def test_kaplan_meier_is_that_of_the_references():
    """Shares, errors and bounds are those of statsmodels and scipy on censored times."""
    found = survival.kaplan_meier(X, SEEN)
    theirs = SurvfuncRight(X, SEEN)
    assert found.share == pytest.approx(theirs.surv_prob, abs=1e-12)
    assert found.error == pytest.approx(theirs.surv_prob_se, abs=1e-12)
    low, high = found.interval(0.95)
    of_scipy = scipy.stats.ecdf(scipy.stats.CensoredData.right_censored(X, ~SEEN)).sf
    bounds = of_scipy.confidence_interval(0.95, method="log-log")
    assert low == pytest.approx(bounds.low.evaluate(found.x), abs=1e-9)
    assert high == pytest.approx(bounds.high.evaluate(found.x), abs=1e-9)


def test_the_median_is_that_of_the_references():
    """The median and its interval are those of statsmodels: 23, and from 13 to what was not seen."""
    found, theirs = survival.kaplan_meier(X, SEEN), SurvfuncRight(X, SEEN)
    assert found.median == theirs.quantile(0.5) == 23
    low, high = found.median_interval()
    assert low == theirs.quantile_ci(0.5)[0] == 13
    assert math.isnan(high)
    assert math.isinf(theirs.quantile_ci(0.5)[1])


def test_survival_is_that_of_lifelines():
    """Shares, the median and the log-rank test of two groups are those of lifelines, where it is installed."""
    lifelines = pytest.importorskip("lifelines")
    found = survival.kaplan_meier(X, SEEN)
    theirs = lifelines.KaplanMeierFitter().fit(X, SEEN)
    assert found.share == pytest.approx(theirs.survival_function_at_times(found.x).to_numpy(), abs=1e-9)
    assert found.median == theirs.median_survival_time_
    of = np.arange(21) % 2 == 0
    tested = lifelines.statistics.logrank_test(X[of], X[~of], SEEN[of], SEEN[~of])
    assert survival.log_rank(X, SEEN, of) == pytest.approx((tested.test_statistic, tested.p_value), abs=1e-9)


@pytest.mark.parametrize("groups", [2, 3])
def test_log_rank_is_that_of_the_references(groups: int):
    """Statistic and p over several groups are those of statsmodels, and of scipy for two."""
    group = np.arange(21) % groups
    statistic, p = survival.log_rank(X, SEEN, group)
    assert (statistic, p) == pytest.approx(survdiff(X, SEEN, group), abs=1e-9)
    if groups == 2:
        sides = [scipy.stats.CensoredData.right_censored(X[group == g], ~SEEN[group == g]) for g in (0, 1)]
        assert p == pytest.approx(scipy.stats.logrank(*sides).pvalue, abs=1e-9)


def test_log_rank_of_one_group_or_none_that_got_there():
    """There is nothing to compare with one group, or where none got there."""
    assert math.isnan(survival.log_rank([1.0, 2.0], [True, True], [0, 0])[1])
    assert math.isnan(survival.log_rank([1.0, 2.0], [False, False], [0, 1])[1])


@pytest.fixture(scope="module")
def racing(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Three settings: one gets there in every seed, one in a third of them, and one without a key never does."""
    curves = {
        **{(0.1, s): [(0, 0.1), (s + 1, 0.9), (9, 0.2)] for s in range(3)},
        **{(0.2, s): [(0, 0.1), (9, 0.9 if s == 0 else NAN)] for s in range(3)},
        **{(None, s): [(0, 0.1), (5, 0.2)] for s in range(2)},
    }
    return lake_of(tmp_path_factory.mktemp("racing"), curves)


def test_runs_that_never_get_there_are_not_dropped(racing: tl.Lake):
    """The median is over all runs, null where fewer than half got there; null is a group; NaN is below."""
    found = racing.time_to("acc", 0.9, goal="max", by="lr")
    rows = found.table.select("config.lr", "n", "n_reached", "median").rows()
    assert rows == [(0.1, 3, 3, 2.0), (0.2, 3, 1, None), (None, 2, 0, None)]
    assert found.runs.filter(~pl.col("reached"))["x"].to_list() == [9.0, 9.0, 5.0, 5.0]


def test_groups_are_compared_with_the_soonest_or_the_one_named(racing: tl.Lake):
    """The p value of a row is that of the log-rank test against the baseline, which has none itself."""
    found = racing.time_to("acc", 0.9, goal="max", by="lr")
    assert found.baseline == {"config.lr": 0.1}
    expected = survdiff([1, 2, 3, 9, 9, 9], [1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1])[1]
    assert found.table["p"].to_list()[:2] == [None, pytest.approx(expected, abs=1e-9)]
    assert racing.time_to("acc", 0.9, goal="max", by="lr", baseline=0.2).table["p"][1] is None


def test_the_survival_curve(racing: tl.Lake):
    """The curve has the share that has not got there after each x at which some run did."""
    curve = racing.time_to("acc", 0.9, goal="max", by="lr").curve.filter(pl.col("config.lr") == 0.1)
    assert curve.select("x", "at_risk", "share").rows() == [
        (1.0, 3.0, pytest.approx(2 / 3)),
        (2.0, 2.0, pytest.approx(1 / 3)),
        (3.0, 1.0, pytest.approx(0.0, abs=1e-12)),
    ]


def test_reached_downwards(racing: tl.Lake):
    """With goal="min" a run is there when it is at or below the threshold."""
    assert racing.time_to("acc", 0.1, goal="min").table.select("n", "n_reached", "median").rows() == [(8, 8, 0.0)]


def test_runs_without_the_metric_are_counted_apart(tmp_path: Path):
    """A run that never logged the metric is in n_without."""
    lake = lake_of(tmp_path, {(0.1, 0): [(0, 0.5)], (0.1, 1): [(0, None)]}, other=[1.0, 2.0])
    assert lake.time_to("acc", 0.4, goal="max", by="lr").table.select("n", "n_without").rows() == [(1, 1)]


def test_time_to_prints(racing: tl.Lake):
    """The table says how many got there, and what became of the others."""
    text = repr(racing.time_to("acc", 0.9, goal="max", by="lr"))
    assert "4 of 8 runs never reached it" in text
    assert "not seen" in text
    assert max(map(len, text.splitlines())) <= 80


def test_area_is_that_of_scikit_learn(lake: tl.Lake):
    """The area is that of the trapezoid rule over the finite points, the mean the area by the width."""
    found = lake.area_under("acc").row(0, named=True)
    expected = sklearn.metrics.auc([0, 10, 30], [0.2, 0.6, 0.5])
    assert (found["area"], found["mean"]) == pytest.approx((expected, expected / 30), abs=1e-12)
    assert (found["first"], found["last"]) == (0.0, 30.0)


def test_area_until(lake: tl.Lake):
    """Up to an x between two points the line is interpolated; up to one beyond a run's end its end counts."""
    found = lake.area_under("acc", until=15)
    assert found["area"].to_list() == pytest.approx([10 * 0.4 + 5 * (0.6 + 0.575) / 2, 3.5])
    assert found["last"].to_list() == [15.0, 10.0]


def test_area_of_the_best_so_far(lake: tl.Lake):
    """best_so_far takes the best value up to each x."""
    assert lake.area_under("acc", best_so_far=True, goal="max")["area"][0] == pytest.approx(10 * 0.4 + 20 * 0.6)


def test_one_point_has_no_area(tmp_path: Path):
    """A run of one point has area 0 and its value as mean height; one without finite values has null."""
    found = lake_of(tmp_path, {(0.1, 0): [(3, 0.5)], (0.1, 1): [(3, NAN)]}).area_under("acc")
    assert found.select("area", "mean").rows() == [(0.0, 0.5), (None, None)]


def test_curves_are_aligned(lake: tl.Lake):
    """At each x every run counts with its latest value, from its first point to its last."""
    found = lake.learning_curves("acc", band=(0, 1))
    assert found.select("x", "n", "mean", "low", "high").rows() == [
        (0.0, 2, 0.25, 0.2, 0.3),
        (10.0, 2, 0.5, 0.4, 0.6),
        (30.0, 1, 0.5, 0.5, 0.5),
    ]


def test_curves_of_the_best_so_far(lake: tl.Lake):
    """With best_so_far=True a curve is never worse than it has been, and goes on where the value is NaN."""
    assert lake.learning_curves("acc")["mean"].to_list() == pytest.approx([0.25, 0.5, 0.5])
    assert lake.learning_curves("acc", best_so_far=True, goal="max")["mean"].to_list() == pytest.approx(
        [0.25, 0.5, 0.6, 0.6]
    )


def test_curves_can_carry_on(lake: tl.Lake):
    """With carry=True a run that has ended counts on with its last value."""
    assert lake.learning_curves("acc", carry=True)["n"].to_list() == [2, 2, 2]


def test_curves_of_groups(racing: tl.Lake):
    """Each group has its own curve, a null key too; the grid may be given."""
    found = racing.learning_curves("acc", by="lr", points=[0, 5], best_so_far=True, goal="max")
    assert found.select("config.lr", "x").rows() == [(lr, x) for lr in (0.1, 0.2, None) for x in (0.0, 5.0)]
    assert found["mean"].to_list() == pytest.approx([0.1, 0.9, 0.1, 0.1, 0.1, 0.2])


def test_the_grid_is_thinned(tmp_path: Path):
    """More x than points are thinned evenly, both ends kept."""
    lake = lake_of(tmp_path, {(0.1, 0): [(i, float(i)) for i in range(101)]})
    assert lake.learning_curves("acc", points=5)["x"].to_list() == [0.0, 25.0, 50.0, 75.0, 100.0]
