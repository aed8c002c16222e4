"""`lake.sweep`: what a set of runs says of its settings."""

from __future__ import annotations

import math
import tracemalloc
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import polars as pl
import pytest
from statsmodels.stats.meta_analysis import combine_effects

import tracklake as tl
from tracklake.analysis import marginals, winners_curse
from tracklake.analysis.objectives import Objective
from tracklake.analysis.stats import pareto
from tracklake.errors import DefinitionError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

    from tracklake.analysis.sweep import Sweep

optuna.logging.set_verbosity(optuna.logging.ERROR)

NAN = math.nan


def lake_of(folder: Path, rows: list[dict[str, Any]], *, metrics: tuple[str, ...] = ("acc",)) -> tl.Lake:
    """Return a lake with a run of one step for each row; what is no metric is config."""
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.format("r{}", pl.int_range(pl.len())).alias("run"), pl.lit(0).alias("step")
    )
    config = [c for c in frame.columns if c not in (*metrics, "run", "step")]
    lake = tl.open(folder, create=True)
    lake.import_table(frame, run_columns=["run"], config_columns=config, step="step", metrics={m: m for m in metrics})
    return lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Twelve settings of two seeds: the learning rate matters, the width hardly; one run is lost."""
    rows = [
        {"lr": lr, "width": width, "seed": seed, "same": 1, "size": 2.0 * width,
         "acc": 0.5 + 0.1 * i + 0.001 * j + 0.004 * seed}
        for i, lr in enumerate((0.001, 0.01, 0.1, 1.0)) for j, width in enumerate((16, 32, 64)) for seed in range(2)
    ]  # fmt: skip
    rows[0]["acc"] = NAN
    return lake_of(tmp_path_factory.mktemp("sweep"), rows, metrics=("acc", "size"))


@pytest.fixture
def sweep(lake: tl.Lake) -> Sweep:
    return lake.sweep(metric="acc.max", goal="max")


def test_what_varies_is_found(sweep: Sweep):
    """Varied columns are parameters, with their scale; seeds and constants are none."""
    assert sweep.parameters.select("name", "kind", "scale", "n_distinct").rows() == [
        ("config.lr", "float", "log", 4),
        ("config.width", "int", "log", 3),
    ]
    assert sweep.seeds == ["config.seed"]


def test_runs_without_a_value_are_failed(sweep: Sweep):
    """The run that has no finite number is there, without a value."""
    assert sweep.runs.filter("failed").select("run_id", "value").rows() == [("r0", None)]
    assert len(sweep) == 24


def test_parameters_can_be_named(lake: tl.Lake):
    """params= says what counts as a parameter, a seed too."""
    named = lake.sweep(metric="acc", goal="max", params=["seed", "lr"])
    assert named.parameters["name"].to_list() == ["config.seed", "config.lr"]


def test_best_has_n_runs(tmp_path: Path):
    """best(n) has n runs, in the direction of the goal; of equal ones those that began first."""
    found = lake_of(tmp_path, [{"k": i, "acc": v} for i, v in enumerate([0.5, 0.9, 0.7, 0.7, 0.7])])
    assert found.sweep(metric="acc", goal="max").best(2)["value"].to_list() == [0.9, 0.7]
    assert found.sweep(metric="acc", goal="min").best()["value"].to_list() == [0.5]
    assert found.sweep(metric="acc", goal="min").best(9).height == 5


@pytest.mark.parametrize("method", ["ped-anova", "fanova", "permutation"])
def test_importance_of_a_lake(sweep: Sweep, method: str):
    """The parameter that matters leads, by every method."""
    assert sweep.importance(method=method, draws=2, quantile=0.25)["name"][0] == "config.lr"


def test_marginal_over_values(sweep: Sweep):
    """Each value of a parameter has its runs, their mean with an interval, and the mean with the others evened out."""
    found = sweep.marginal("lr")
    assert found.select("value", "n", "n_failed").rows() == [(0.001, 5, 1), (0.01, 6, 0), (0.1, 6, 0), (1.0, 6, 0)]
    assert found["mean"][1] == pytest.approx(0.603)
    assert (found["low"] <= found["mean"]).all()
    assert found["adjusted"].to_list() == pytest.approx([0.503, 0.603, 0.703, 0.803], abs=0.001)


def test_marginal_of_a_grid_needs_no_adjustment(tmp_path: Path):
    """Where each value saw the others equally often, the adjusted mean is the mean."""
    rows = [{"k": k, "opt": opt, "acc": k * k + (opt == "b") * 10.0 * k} for k in range(4) for opt in "aab"]
    found = lake_of(tmp_path, rows).sweep(metric="acc", goal="max").marginal("k")
    assert found["adjusted"].to_list() == pytest.approx(found["mean"].to_list())


def test_marginal_takes_out_what_the_other_parameters_add(tmp_path: Path):
    """k is drawn high with b, which adds 10: the means mix the two, the adjusted ones do not."""
    rows = [{"k": k, "opt": opt, "acc": k + (opt == "b") * 10.0}
            for k, opts in enumerate(("aaab", "aabb", "abbb")) for opt in opts * 50]  # fmt: skip
    found = lake_of(tmp_path, rows).sweep(metric="acc", goal="max").marginal("k")
    assert found["mean"].to_list() == [2.5, 6.0, 9.5]
    assert found["adjusted"].to_list() == pytest.approx([5.0, 6.0, 7.0], abs=0.05)


def test_adjusted_means_solve_the_penalized_equations():
    """They are the ridge regression on the places of all factors, each effect held at none by one more value."""
    generator = np.random.default_rng(5)
    at, first, second = (generator.integers(0, size, 60) for size in (4, 3, 5))
    values = generator.normal(0, 1, 60) + at + 3 * first
    design = np.hstack([np.eye(size)[level] for size, level in ((4, at), (3, first), (5, second))])
    held = np.diag([0.0] * 4 + [1.0] * 8)
    solved = np.linalg.solve(design.T @ design + held, design.T @ values)
    expected = solved[:4] + (design[:, 4:] @ solved[4:]).mean()
    assert marginals.evened_out(values, at, [first, second], size=4) == pytest.approx(expected)


def test_marginal_beside_a_text_of_very_many_values(tmp_path: Path):
    """The rarest values of another parameter count as one: it takes no table of all values by all."""
    rows = [{"k": i % 2, "note": f"n{i // 3}", "acc": float(i % 2)} for i in range(1200)]
    found = lake_of(tmp_path, rows).sweep(metric="acc", goal="max").marginal("k")
    assert found["adjusted"].to_list() == pytest.approx([0.0, 1.0], abs=0.05)


def test_marginal_along_a_text_of_very_many_values():
    """A parameter with a value a run has its own value as each mean, in the room of its values by those of others."""
    at, values = np.arange(20_000), np.linspace(0, 1, 20_000)
    tracemalloc.start()
    found = marginals.evened_out(values, at, [at % 3], size=len(at))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == pytest.approx(values)
    assert most < 20_000 * 500


def test_marginal_over_stretches(tmp_path: Path):
    """A number with many values is cut into stretches of as many runs; a category has a row a choice."""
    rows = [{"k": i / 10, "opt": "ab"[i % 2], "acc": float(i)} for i in range(100)]
    found = lake_of(tmp_path, rows).sweep(metric="acc", goal="max")
    stretches = [(0.0, 2.4, 25), (2.5, 4.9, 25), (5.0, 7.4, 25), (7.5, 9.9, 25)]
    assert found.marginal("k", points=4).select("low_edge", "high_edge", "n").rows() == stretches
    assert found.marginal("config.opt").select("choice", "n", "best").rows() == [("a", 50, 98.0), ("b", 50, 99.0)]


def test_interactions(tmp_path: Path):
    """Two parameters that matter only together are the strongest pair."""
    drawn = np.random.default_rng(0).uniform(0, 1, (150, 3)).tolist()
    rows = [{"a": a, "b": b, "c": c, "acc": (a - 0.5) * (b - 0.5)} for a, b, c in drawn]
    found = lake_of(tmp_path, rows).sweep(metric="acc", goal="max").interactions()
    assert found.height == 3
    assert found.row(0)[:2] == ("config.a", "config.b")
    assert found["share"][0] > 2 * found["share"][1]


def test_pareto_of_mixed_goals(sweep: Sweep):
    """Metrics with goals of their own: the runs no other beats in all of them, failed ones left out."""
    found = sweep.pareto({"acc": "max", "config.width": "min"}, fronts=2)
    assert found["front"].to_list() == [1, 1, 1, 2, 2, 2]
    assert found.head(3)["acc"].to_list() == pytest.approx([0.804, 0.805, 0.806])
    assert found.head(3)["config.width"].to_list() == [16, 32, 64]


def test_pareto_of_any_mapping_and_of_one_metric(sweep: Sweep):
    """Goals come from any mapping, and one metric may be named alone."""
    goals = MappingProxyType({"config.width": "min"})
    assert sweep.pareto(goals)["config.width"].unique().to_list() == [16]
    assert sweep.pareto("acc.max")["acc.max"].round(3).to_list() == [0.806]


def test_pareto_keeps_ties():
    """Equal rows are all on the front, and a row that is only as good in one and worse in another is not."""
    costs = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [NAN, 0.0]])
    assert pareto.front(costs).tolist() == [True, True, True, False, False]
    assert pareto.ranks(costs).tolist() == [1, 1, 1, 2, 0]


@pytest.mark.parametrize("metrics", [2, 3])
def test_the_front_is_that_of_optuna(metrics: int):
    """On random runs with ties, the front is optuna's best trials."""
    costs = np.random.default_rng(metrics).integers(0, 8, (60, metrics)).astype(float)
    study = optuna.create_study(directions=["minimize"] * metrics)
    for row in costs.tolist():
        study.add_trial(optuna.trial.create_trial(values=row))
    assert np.flatnonzero(pareto.front(costs)).tolist() == sorted(t.number for t in study.best_trials)


def test_parallel_coordinates(sweep: Sweep):
    """Each axis runs from 0 to 1 on its scale, and has ticks; a run without a value has none on that axis."""
    found = sweep.parallel()
    assert found.lines.filter(pl.col("run_id") == "r0").rows() == [("r0", 0.0, 0.0, None)]
    assert found.lines["config.lr"].unique().sort().to_list() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert found.axes["labels"][0].to_list() == ["0.001", "0.005623", "0.03162", "0.1778", "1"]
    assert found.axes["name"].to_list() == ["config.lr", "config.width", "acc.max"]


def test_rank_stability(sweep: Sweep):
    """Settings that differ by more than their seeds keep their rank; those that do not, share it out."""
    found = sweep.rank_stability(draws=500, top=3)
    assert found["rank"].to_list() == [*range(1, 11), 10, 12]  # two settings tie
    assert found.head(3)["config.lr"].to_list() == [1.0] * 3
    assert found.head(3)["p_top"].to_list() == [1.0] * 3
    assert found["p_best"][0] < 1
    assert (found["rank_low"] <= found["rank_high"]).all()
    assert found.equals(sweep.rank_stability(draws=500, top=3))


def test_the_variance_between_settings_is_that_of_statsmodels():
    """Shrinking uses the variance between settings of DerSimonian and Laird, as statsmodels computes it."""
    generator = np.random.default_rng(0)
    levels = generator.normal(0, 0.2, 8)
    groups = [generator.normal(level, 0.1, n) for level, n in zip(levels, (2, 3, 2, 5, 2, 4, 3, 2), strict=True)]
    found = winners_curse.shrunken(groups)
    means, errors = [g.mean() for g in groups], [found.within**2 / len(g) for g in groups]
    theirs = combine_effects(np.array(means), np.array(errors), method_re="dl")
    assert found.between**2 == pytest.approx(theirs.tau2, abs=1e-12)
    assert found.center == pytest.approx(theirs.mean_effect_re, abs=1e-12)


def test_the_corrected_best_is_nearer_to_the_truth():
    """Over 500 sweeps of equal settings the best looks better than it is; corrected, a sixth of that is left."""
    seen, corrected = biases(0.0, seeds=3)
    assert seen == pytest.approx(-winners_curse.expected_maximum(20) / 3**0.5, abs=0.05)
    assert abs(corrected) < 0.2


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_corrected_best_is_unbiased_where_settings_differ(seeds: int):
    """Where settings differ half as much as seeds do, what is left of the luck is within the error of 500 sweeps."""
    seen, corrected = biases(0.5, seeds=seeds)
    assert seen < -0.7
    assert abs(corrected) < 0.08


def biases(between: float, *, seeds: int) -> tuple[float, float]:
    """Return by how much the best of 20 settings is overrated as it is seen, and corrected (noise 1, lower wins)."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(500):
        truth = generator.normal(0, between, 20)
        groups = [generator.normal(level, 1, seeds) for level in truth]
        means = np.array([g.mean() for g in groups])
        best = means.argmin()
        shrunken = winners_curse.shrunken(groups, noise=None if seeds > 1 else 1.0)
        found.append((means[best] - truth[best], shrunken.means[best] - truth[best]))
    seen, corrected = np.mean(found, axis=0)
    return float(seen), float(corrected)


@pytest.mark.parametrize(("n", "expected"), [(1, 0.0), (2, 1 / math.pi**0.5), (3, 1.5 / math.pi**0.5), (100, 2.50759)])
def test_the_expected_best_of_equals(n: int, expected: float):
    """The expected maximum of n normal numbers is what tables of order statistics say."""
    assert winners_curse.expected_maximum(n) == pytest.approx(expected, abs=1e-5)


def test_luck_of_the_best(sweep: Sweep):
    """The best setting is corrected towards the mean, and the sentences say by how much."""
    found = sweep.luck()
    assert found.best == "lr=1.0, width=64"
    assert found.corrected < found.observed == pytest.approx(0.804)
    assert found.luck == pytest.approx(found.observed - found.corrected)
    assert "is luck" in str(found)
    assert found.table.height == 12


def test_luck_has_a_row_a_setting_in_the_unit_of_the_metric():
    """The best comes first, and what chance gives is told beside the noise between seeds."""
    keys = pl.DataFrame({"config.lr": [0.01, 0.1]})
    losses = [np.array([-0.5, -0.7]), np.array([-0.9, -0.7])]
    found = winners_curse.of_the_best(keys, losses, Objective("acc", "acc", "max"), None)
    assert found.table.columns == ["config.lr", "n", "mean", "corrected"]
    rows = [(0.1, 2, pytest.approx(0.8), pytest.approx(0.75)), (0.01, 2, pytest.approx(0.6), pytest.approx(0.65))]
    assert found.table.rows() == rows
    assert (found.noise, found.by_chance) == pytest.approx((0.02**0.5, 0.1 / math.pi**0.5))


def test_ranks_are_drawn_from_the_runs_as_they_lie():
    """Five runs of which one is bad lead as often as a draw misses the bad one, that is in 0.8 ** 5 of the draws."""
    groups = [np.array([0.0, 0.0, 0.0, 0.0, 10.0]), np.array([1.0, 1.0])]
    found = winners_curse.rank_stability(groups, top=1, noise=None, draws=4000, confidence=0.95, seed=0)
    assert found.p_best.tolist() == pytest.approx([0.8**5, 1 - 0.8**5], abs=0.03)


def test_luck_takes_repeats_or_a_noise(tmp_path: Path):
    """Where no setting was run twice the noise has to be said; where none has a value it says so."""
    found = lake_of(tmp_path / "single", [{"k": i, "acc": 0.1 * i} for i in range(4)]).sweep(metric="acc", goal="max")
    for ask in (found.luck, found.rank_stability):
        with pytest.raises(DefinitionError, match="no setting was run twice"):
            ask()
    assert found.luck(noise=0.01).noise == 0.01
    lost = lake_of(tmp_path / "lost", [{"k": i, "acc": NAN} for i in range(3)]).sweep(metric="acc", goal="max")
    with pytest.raises(DefinitionError, match="no run of the sweep has a value"):
        lost.rank_stability()


def test_nothing_varies(tmp_path: Path):
    """A sweep of one setting, or of all failed runs, answers without parameters or importance."""
    found = lake_of(tmp_path / "one", [{"k": 1, "acc": 0.5}, {"k": 1, "acc": 0.6}]).sweep(metric="acc", goal="max")
    assert found.parameters.is_empty()
    assert found.importance().is_empty()
    assert found.rank_stability()["n"].to_list() == [2]
    assert found.luck().table.height == 1
    assert "0 parameters vary" in repr(found)
    lost = lake_of(tmp_path / "lost", [{"k": i, "acc": NAN} for i in range(3)]).sweep(metric="acc", goal="max")
    assert lost.best().is_empty()
    assert lost.importance()["importance"].to_list() == [0.0]
    assert lost.marginal("k")["n_failed"].to_list() == [1, 1, 1]


def test_conditional_parameters_are_described(tmp_path: Path):
    """A parameter that only some runs have says under which condition, and can be weighed."""
    rows = [
        {"opt": o, "momentum": 0.1 * i if o == "sgd" else None, "acc": 0.1 * i}
        for o in ("adam", "sgd")
        for i in range(4)
    ]
    found = lake_of(tmp_path, rows).sweep(metric="acc", goal="max")
    assert "opt is 'sgd'" in repr(found)
    assert max(map(len, repr(found).splitlines())) <= 80
    assert found.importance(draws=2)["importance"].min() >= 0
    assert found.marginal("momentum")["n"].to_list() == [1, 1, 1, 1]


@pytest.mark.parametrize("n", [0, -1])
def test_the_best_are_one_at_least(sweep: Sweep, n: int):
    """best(0) is refused rather than answered with all runs."""
    with pytest.raises(DefinitionError, match="at least 1"):
        sweep.best(n)


@pytest.mark.parametrize("wrong", [{"draws": -1}, {"confidence": 2.0}, {"quantile": 1.5}])
def test_importance_of_what_cannot_be(sweep: Sweep, wrong: dict[str, float]):
    """A share that is none, or fewer draws than none, is refused."""
    with pytest.raises(DefinitionError, match=next(iter(wrong))):
        sweep.importance(**wrong)


def test_an_unknown_parameter(sweep: Sweep):
    """A parameter that does not vary names the nearest that does."""
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        sweep.marginal("widht")
