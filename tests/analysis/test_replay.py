"""Early stopping on stored curves, held against optuna's pruners report by report."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
import optuna
import polars as pl
import pytest

import tracklake as tl
from tracklake.analysis import objectives
from tracklake.analysis.objectives import Counting
from tracklake.analysis.stats import early_stopping
from tracklake.analysis.stats.early_stopping import Hyperband, Median, SuccessiveHalving
from tracklake.analysis.sweep import sweep as sweep_of
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from tracklake.analysis.sweep import Sweep

optuna.logging.set_verbosity(optuna.logging.ERROR)

STEPS = np.arange(1, 28)


def crossing(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return runs of 27 reports that cross each other, with ties; one has NaN from its fourth on."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.05, (n, 27))
    losses = (generator.uniform(0, 1, n)[:, None] + np.exp(-STEPS / 9) + noise).round(2)
    losses[7, 3:] = math.nan
    return [(STEPS, row) for row in losses]


CURVES = crossing(60)


def by_optuna(pruner: optuna.pruners.BasePruner) -> list[int]:
    """Return how many reports each run makes in a study of optuna."""
    study = optuna.create_study(study_name="replay", direction="minimize", pruner=pruner)
    made = []
    for steps, losses in CURVES:
        trial = study.ask()
        for i, (step, loss) in enumerate(zip(steps.tolist(), losses.tolist(), strict=True)):
            trial.report(loss, step)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                made.append(i + 1)
                break
        else:
            study.tell(trial, 0.0)
            made.append(len(steps))
    return made


PAIRS = [
    (Median(), optuna.pruners.MedianPruner()),
    (Median(25.0, startup=8, warmup=4, interval=3), optuna.pruners.PercentilePruner(25.0, 8, 4, 3)),
    (SuccessiveHalving(), optuna.pruners.SuccessiveHalvingPruner()),
    (SuccessiveHalving(3, eta=3, rate=1), optuna.pruners.SuccessiveHalvingPruner(3, 3, 1)),
    (Hyperband(), optuna.pruners.HyperbandPruner()),
    (Hyperband(27, min_resource=1, eta=3), optuna.pruners.HyperbandPruner(1, 27, 3)),
]


@pytest.mark.parametrize(
    ("rule", "pruner"), PAIRS, ids=lambda p: repr(p) if isinstance(p, Median) else type(p).__name__
)
def test_runs_are_stopped_where_optuna_stops_them(rule: early_stopping.Rule, pruner: optuna.pruners.BasePruner):
    """Every run makes as many reports as in a study of optuna with the same pruner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # percentiles of nothing but NaN
        expected = by_optuna(pruner)
    assert early_stopping.replayed(rule, CURVES).tolist() == expected
    assert min(expected) < 27


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Runs of ten steps: the sixth is the best in the end, and bad at first."""
    rows = [
        (f"r{i}", float(i), step, 1.0 - step / 20 if i != 5 else 2.0 - step / 5)
        for i in range(8) for step in range(1, 11)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["run", "k", "step", "loss"], orient="row")
    lake = tl.open(tmp_path_factory.mktemp("replay"), create=True)
    lake.import_table(frame, run_columns=["run"], config_columns=["k"], step="step", metrics={"loss": "loss"})
    return lake.sweep(metric="loss", goal="min")


def test_saved_and_regret(sweep: Sweep):
    """The median rule stops the run that starts badly at its first step: nine tenths of it saved, its gain lost."""
    row = sweep.replay("median").table.row(0, named=True)
    assert (row["rule"], row["n_runs"], row["n_stopped"], row["used"], row["whole"]) == ("median", 8, 1, 71.0, 80.0)
    assert row["saved"] == pytest.approx(9 / 80)
    assert (row["best"], row["best_left"], row["regret"]) == (0.0, 0.5, 0.5)
    assert row["best_stopped_at"] == 1.0


def test_several_rules_are_rows(sweep: Sweep):
    """Several rules, by name or made, have a row each; each run has one in .runs."""
    found = sweep.replay(["asha", "hyperband", Median(warmup=100)])
    assert found.table["rule"].to_list()[:2] == ["asha", "hyperband"]
    assert found.table["rule"][2].startswith("Median(percentile=50.0")
    assert found.table["saved"][2] == 0
    assert found.runs.height == 24


def test_a_rule_does_not_remember_other_replays(sweep: Sweep):
    """The same rule replayed twice says the same twice: what it learned of runs stays in its replay."""
    rule = SuccessiveHalving(min_resource=2)
    first, again = (sweep.replay(rule).table for _ in range(2))
    assert first.equals(again)
    assert rule == SuccessiveHalving(min_resource=2)
    with pytest.raises(DefinitionError, match="no rule to replay"):
        sweep.replay([])


def test_a_rule_that_is_not_there(sweep: Sweep):
    """An unknown rule names those there are."""
    with pytest.raises(DefinitionError, match="'asha', 'hyperband', 'median'"):
        sweep.replay("patience")


def test_it_prints(sweep: Sweep):
    """The table shows what was saved and lost."""
    assert "11.3%" in repr(sweep.replay("median"))


def test_a_column_has_no_curve(sweep: Sweep):
    """Where the sweep is not judged by a metric, what was reported has to be said."""
    lake = sweep.series.table
    other = sweep_of(
        sweep.series,
        objectives.resolve(lake, "config.k", goal="min"),
        params=None,
        runs=None,
        where=None,
        counting=Counting(),
    )
    with pytest.raises(DefinitionError, match="say metric="):
        other.replay("median")
    assert other.replay("median", metric="loss").table["n_stopped"].to_list() == [1]
