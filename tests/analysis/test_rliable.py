"""Comparisons of real runs (LCDB), held against rliable and scipy on the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import scipy.stats

import tracklake as tl
from tracklake.analysis.stats import significance

if TYPE_CHECKING:
    from pathlib import Path

    from tracklake.analysis.comparison import Comparison

TASKS = ("letter", "mfeat-factors", "mfeat-fourier", "cmc", "credit-g")
LCDB = {
    "SVC_rbf": [[0.9206, 0.9289, 0.9261, 0.9183, 0.9339], [0.9056, 0.9000, 0.8833, 0.9222, 0.8722],
                [0.8778, 0.8389, 0.8667, 0.8889, 0.8222], [0.5113, 0.4962, 0.4962, 0.5188, 0.5564],
                [0.7778, 0.8000, 0.7000, 0.7444, 0.8111]],
    "KNeighbors": [[0.9517, 0.9633, 0.9539, 0.9533, 0.9494], [0.9389, 0.9667, 0.9111, 0.9667, 0.9611],
                   [0.8556, 0.8556, 0.8278, 0.8833, 0.8111], [0.5564, 0.4511, 0.5188, 0.5263, 0.5564],
                   [0.7667, 0.7444, 0.6444, 0.7000, 0.8000]],
    "DecisionTree": [[0.8750, 0.8789, 0.8772, 0.8817, 0.8833], [0.8944, 0.9167, 0.8500, 0.9222, 0.8778],
                     [0.7333, 0.7333, 0.7333, 0.7500, 0.7111], [0.5639, 0.4962, 0.4812, 0.5113, 0.5564],
                     [0.7111, 0.7556, 0.6333, 0.7000, 0.7667]],
}  # fmt: skip
"""Best validation accuracy of three learners on five data sets, with the outer seeds 0 to 4."""
SCORES = {learner: np.array(tasks).T for learner, tasks in LCDB.items()}
"""Seeds x tasks, as rliable has it."""
TIGHT = 1e-9


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """The comparison of the learners, by mean."""
    return compared(tmp_path_factory.mktemp("lcdb"))


def compared(folder: Path, **settings: object) -> Comparison:
    rows = [(f"{m}-{t}-{s}", m, t, s, v) for m, tasks in LCDB.items()
            for t, values in zip(TASKS, tasks, strict=True) for s, v in enumerate(values)]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["run", "learner", "data", "seed", "acc"], orient="row")
    lake = tl.open(folder, create=True)
    config = ["learner", "data", "seed"]
    table = frame.with_columns(pl.lit(0).alias("step"))
    lake.import_table(table, run_columns=["run"], config_columns=config, step="step", metrics={"acc": "acc"})
    return lake.compare("acc", by="learner", over=["data", "seed"], goal="max", draws=50_000, **settings)


def aggregates(scores: np.ndarray) -> np.ndarray:
    from rliable import metrics

    return np.array([metrics.aggregate_mean(scores), metrics.aggregate_median(scores), metrics.aggregate_iqm(scores)])


def test_aggregates_are_those_of_rliable(found: Comparison):
    """Mean, median and IQM over tasks, 1e-9."""
    pytest.importorskip("rliable.metrics")
    told = {row["config.learner"]: [row[c] for c in ("mean", "median", "iqm")] for row in found.table.to_dicts()}
    assert {m: pytest.approx(v, abs=TIGHT) for m, v in told.items()} == {m: aggregates(s) for m, s in SCORES.items()}


# rliable 1.2.0, get_interval_estimates(reps=100_000) of SVC_rbf after np.random.seed(1): estimate, low, high
RLIABLE = {
    "mean": (0.792712, 0.782836, 0.8022159999999999),
    "median": (0.8589, 0.83666, 0.88002),
    "iqm": (0.8452999999999999, 0.8282076923076922, 0.8581230769230769),
}


@pytest.mark.parametrize("center", RLIABLE)
def test_intervals_are_those_of_rliable(tmp_path: Path, center: str):
    """Stratified intervals (seed 0) are rliable's (seed 1), within the error of 50,000 draws."""
    row = compared(tmp_path, center=center).table.filter(pl.col("config.learner") == "SVC_rbf").row(0, named=True)
    assert row[center] == pytest.approx(RLIABLE[center][0], abs=TIGHT)
    assert (row["low"], row["high"]) == pytest.approx(RLIABLE[center][1:], abs=0.001)


def test_probability_of_improvement_is_that_of_rliable(found: Comparison):
    """Over the tasks, 1e-9."""
    metrics = pytest.importorskip("rliable.metrics")
    told = dict(found.table.select("config.learner", "p_improvement").rows())
    for learner in ("SVC_rbf", "DecisionTree"):
        theirs = metrics.probability_of_improvement(SCORES[learner], SCORES["KNeighbors"])
        assert told[learner] == pytest.approx(theirs, abs=TIGHT)


def test_tests_are_those_of_scipy(found: Comparison):
    """25 matched runs of five tasks: Wilcoxon's signed ranks over the differences, which accuracies round to 1e-4."""
    told = dict(found.table.select("config.learner", "p").rows())
    for learner in ("SVC_rbf", "DecisionTree"):
        differences = (SCORES[learner] - SCORES["KNeighbors"]).ravel().round(4)
        assert told[learner] == pytest.approx(scipy.stats.wilcoxon(differences).pvalue, abs=TIGHT)


def test_tests_over_tasks_are_those_of_scipy(tmp_path: Path):
    """unit="task" tests the task means by a paired t test."""
    table = compared(tmp_path, unit="task").table
    told = dict(table.select("config.learner", "p").rows())
    means = {learner: scores.mean(axis=0) for learner, scores in SCORES.items()}
    theirs = scipy.stats.ttest_rel(means["DecisionTree"], means["KNeighbors"]).pvalue
    assert told["DecisionTree"] == pytest.approx(theirs, abs=TIGHT)


def test_effects_are_within_tasks(found: Comparison):
    """Hedges' g takes the spread between seeds of one task: over tasks it is larger than over all runs at once."""
    tree, neighbors = (list(SCORES[learner].T) for learner in ("DecisionTree", "KNeighbors"))
    told = dict(found.table.select("config.learner", "effect").rows())["DecisionTree"]
    assert told == pytest.approx(significance.hedges_g(tree, neighbors), abs=TIGHT)
    pooled = np.sqrt(sum(((t - t.mean()) ** 2).sum() for t in [*tree, *neighbors]) / 40)
    gain = np.mean([a.mean() - b.mean() for a, b in zip(tree, neighbors, strict=True)])
    assert told == pytest.approx(gain / pooled * (1 - 3 / 159), abs=TIGHT)
