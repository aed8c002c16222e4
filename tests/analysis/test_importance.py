"""Importance of parameters, held against optuna and scikit-learn on the same runs."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import optuna
import polars as pl
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from tracklake.analysis import grids, importance, parameters
from tracklake.analysis.stats import fanova, ped_anova
from tracklake.errors import DefinitionError

optuna.logging.set_verbosity(optuna.logging.ERROR)

N = 120
GENERATOR = np.random.default_rng(0)
ROWS = pl.DataFrame(
    {
        "lr": 10 ** GENERATOR.uniform(-4, 0, N),
        "drop": GENERATOR.uniform(0, 1, N),
        "depth": GENERATOR.integers(1, 8, N),
        "width": 2 ** GENERATOR.integers(3, 12, N),
        "opt": GENERATOR.choice(["adam", "lion", "sgd"], N),
        "momentum": GENERATOR.uniform(0, 1, N),
    }
).with_columns(pl.when(pl.col("opt") == "sgd").then("momentum").alias("momentum"))
"""Runs of a float and an int on either scale, a category, and a parameter that only one category has."""
LOSSES = (
    (np.log10(ROWS["lr"].to_numpy()) + 2) ** 2
    + ROWS["drop"].to_numpy()
    + (ROWS["opt"] == "sgd").to_numpy() * (0.5 + ROWS["momentum"].fill_null(0).to_numpy())
    + GENERATOR.normal(0, 0.1, N)
)
FOUND = parameters.varied(ROWS, ROWS.columns)


def distribution(p: parameters.Parameter) -> BaseDistribution:
    low, high = p.bounds
    if p.choices:
        return CategoricalDistribution(p.choices)
    if p.name == "width":  # powers of two: a grid of exponents
        return IntDistribution(int(np.log2(low)), int(np.log2(high)))
    return (
        IntDistribution(int(low), int(high), log=p.log) if p.kind == "int" else FloatDistribution(low, high, log=p.log)
    )


def study(names: list[str]) -> optuna.Study:
    """Return the runs as a study of optuna, with these parameters."""
    made = optuna.create_study()
    spaces = {p.name: distribution(p) for p in FOUND if p.name in names}
    for row, loss in zip(ROWS.select(names).iter_rows(named=True), LOSSES, strict=True):
        held = {name: value for name, value in row.items() if value is not None}
        held |= {"width": int(np.log2(held["width"]))} if "width" in held else {}
        made.add_trial(
            optuna.trial.create_trial(params=held, distributions={n: spaces[n] for n in held}, value=float(loss))
        )
    return made


def test_scales_and_conditions_are_found():
    """Kinds and scales are told from the values, and the category on which another parameter depends."""
    told = parameters.table(FOUND)
    assert told.select("name", "kind", "scale").rows() == [
        ("lr", "float", "log"), ("drop", "float", "linear"), ("depth", "int", "linear"),
        ("width", "int", "log"), ("opt", "categorical", None), ("momentum", "float", "linear"),
    ]  # fmt: skip
    assert told["when"].to_list() == [None] * 5 + ["opt is 'sgd'"]
    assert told["choices"][4].to_list() == ["adam", "lion", "sgd"]


@pytest.mark.parametrize(
    ("values", "log"),
    [([0.001, 0.01, 0.1], True), ([16.0, 32.0, 64.0, 128.0], True), ([1.0, 2.0, 3.0, 4.0], False),
     ([0.0, 0.1, 0.2], False), ([1e-5, 1e-1], True), ([1.0, 2.0], False), ([5.0], False), ([-1.0, 1.0, 10.0], False)],
)  # fmt: skip
def test_log_scales(values: list[float], log: bool):
    """Values that lie evenly by their ratios are on a log scale, those by their differences on a linear one."""
    assert parameters._is_log(np.array(values)) is log


def test_numbers_and_texts_mixed_are_categories():
    """A parameter that is a number in some runs and a text in others is categorical; a constant is none."""
    rows = pl.DataFrame({"k": [0.1, None, 0.5, None], "k.text": [None, "auto", None, "auto"], "same": [1, 1, 1, 1]})
    (found,) = parameters.varied(rows, ["k", "k.text", "same"])
    assert (found.kind, found.choices, found.active.all()) == ("categorical", ["0.1", "0.5", "auto"], True)


def test_a_truth_and_its_text_are_two_choices():
    """True in some runs and "true" in others are different choices; the text is then in quotes."""
    rows = pl.DataFrame({"k": [True, None, False], "k.text": [None, "true", None]})
    (found,) = parameters.varied(rows, ["k", "k.text"])
    assert found.choices == ["'true'", "false", "true"]


def test_texts_of_nearly_every_run_are_labels():
    """A text that differs in nearly every run, such as an output folder, is no parameter to weigh."""
    (found,) = parameters.varied(pl.DataFrame({"out": [f"/out/{i}" for i in range(30)]}), ["out"])
    assert found.kind == "label"


@pytest.mark.parametrize("quantile", [0.1, 0.25])
def test_ped_anova_is_that_of_optuna(quantile: float):
    """Raw importances are optuna's for every kind of parameter, conditional ones included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study(ROWS.columns))
    ours = ped_anova.importance([grids.gridded(p) for p in FOUND], ped_anova.best(LOSSES, quantile))
    assert ours == pytest.approx([theirs[p.name] for p in FOUND], abs=1e-9)


def test_ped_anova_of_draws_is_that_of_the_runs_drawn():
    """Counting a run twice is the same as having it twice."""
    counts = np.random.default_rng(1).integers(0, 3, N).astype(float)
    drawn = np.repeat(np.arange(N), counts.astype(int))
    on_grid = [grids.gridded(p) for p in FOUND]
    weighted = ped_anova.importance(on_grid, ped_anova.best(LOSSES, 0.2, weights=counts), weights=counts)
    again = [g._replace(cells=g.cells[drawn]) for g in on_grid]
    assert weighted == pytest.approx(ped_anova.importance(again, ped_anova.best(LOSSES[drawn], 0.2)), abs=1e-9)


def test_ties_at_the_edge_of_the_best_are_all_in():
    """Runs as good as the last of the best quantile are in it too."""
    assert ped_anova.best(np.array([1.0, 2.0, 2.0, 2.0, 9.0]), 0.4).tolist() == [True, True, True, True, False]


def test_fanova_is_that_of_optuna():
    """On the same encoding and random state, the shares of single parameters are optuna's."""
    names = ["depth", "drop", "opt"]  # the order in which optuna has them
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = FanovaImportanceEvaluator(seed=3).evaluate(study(names))
    whole = importance.encoded(sorted((p for p in FOUND if p.name in names), key=lambda p: p.name))
    ours = fanova.importance(fanova.forest(whole.features, LOSSES, whole.bounds, seed=3), whole.groups)
    assert dict(zip(names, ours.tolist(), strict=True)) == pytest.approx({n: theirs[n] for n in names}, abs=1e-9)


def one_tree(n: int, features: int, **settings: Any) -> tuple[fanova.Boxes, RandomForestRegressor, np.ndarray]:
    """Return a tree of one forest as boxes, the forest, and what it was fitted to."""
    generator = np.random.default_rng(2)
    encoded = generator.uniform(0, 1, (n, features)).astype(np.float32).astype(np.float64)
    forest = RandomForestRegressor(n_estimators=1, random_state=0, **settings)
    forest.fit(encoded, encoded[:, 0] * encoded[:, 1] + encoded[:, -1])
    bounds = np.stack([encoded.min(axis=0), encoded.max(axis=0)], axis=1)
    return fanova.boxes(forest.estimators_[0].tree_, bounds), forest, encoded


@pytest.mark.parametrize("features", [[0], [1], [0, 1], [0, 2], [0, 1, 2]])
def test_variance_by_boxes_is_that_over_the_whole_grid(features: list[int]):
    """What features explain is the variance of the prediction averaged over the others, cell by cell."""
    tree, forest, _ = one_tree(40, 3, max_depth=4)
    edges = [fanova._edges(tree, f) for f in range(3)]
    shape = [len(e) - 1 for e in edges]
    predicted = forest.predict(np.array(list(itertools.product(*((e[1:] + e[:-1]) / 2 for e in edges))))).reshape(shape)
    sizes = np.prod(np.array(list(itertools.product(*(np.diff(e) for e in edges)))), axis=1).reshape(shape)
    others = tuple(f for f in range(3) if f not in features)
    weights = sizes.sum(axis=others) / sizes.sum()
    averaged = (predicted * sizes).sum(axis=others) / sizes.sum(axis=others)
    expected = (weights * (averaged - (averaged * weights).sum()) ** 2).sum()
    assert fanova.explained(tree, features) == pytest.approx(expected, abs=1e-9)
    assert fanova.explained(tree, [0, 1, 2]) == pytest.approx(tree.variance, abs=1e-9)


def test_permutation_is_that_of_scikit_learn():
    """The mean drop of R² (seed 0) is scikit-learn's on its own draws (seed 1), within the error of both."""
    whole = importance.encoded([p for p in FOUND if p.name in ("lr", "drop", "depth")])
    ours = np.mean(list(importance.permuted(whole, LOSSES, draws=12, seed=0)), axis=0)
    theirs = []
    generator = np.random.default_rng(1)
    for draw in range(12):
        chosen = generator.integers(0, N, N)
        unseen = np.setdiff1d(np.arange(N), chosen)
        forest = RandomForestRegressor(n_estimators=50, random_state=draw).fit(whole.features[chosen], LOSSES[chosen])
        found = permutation_importance(forest, whole.features[unseen], LOSSES[unseen], n_repeats=3, random_state=draw)
        theirs.append(found.importances_mean)
    assert ours == pytest.approx(np.mean(theirs, axis=0), abs=0.15)
    assert ours.argmax() == 0


def weigh(method: str, *, losses: np.ndarray = LOSSES, failed: np.ndarray | None = None, draws: int = 3, **more: Any):
    nobody = np.zeros(len(losses), dtype=bool)
    settings = {"quantile": 0.1, "confidence": 0.95, "seed": 0} | more
    return importance.importance(
        FOUND, losses, failed=nobody if failed is None else failed, method=method, draws=draws, **settings
    )


@pytest.mark.parametrize("method", importance.METHODS)
def test_every_method_finds_what_matters(method: str):
    """The learning rate leads by every method; shares add up to 1; the same seed gives the same numbers."""
    found = weigh(method)
    assert found["name"][0] == "lr"
    assert found["share"].sum() == pytest.approx(1)
    assert (found["low"] <= found["high"]).all()
    assert found.equals(weigh(method))


def test_failed_runs_are_told_apart():
    """What makes runs fail is weighed by itself, and failed runs do not count for the rest."""
    failed = ROWS["drop"].to_numpy() > 0.8
    found = weigh("ped-anova", losses=np.where(failed, np.nan, LOSSES), failed=failed)
    assert found.sort("failure", descending=True)["name"][0] == "drop"
    assert found["failure"].sum() == pytest.approx(1)
    assert weigh("ped-anova")["failure"].to_list() == [None] * 6


@pytest.mark.parametrize("method", importance.METHODS)
@pytest.mark.parametrize("losses", [np.full(N, np.nan), np.full(N, 1.0), np.where(np.arange(N) < 3, 1.0, np.nan)])
def test_nothing_to_tell_is_no_importance(method: str, losses: np.ndarray):
    """Without values, without differences, or with three runs that are alike, no parameter has mattered."""
    found = weigh(method, losses=losses, draws=2)
    assert found["importance"].to_list() == pytest.approx([0.0] * 6, abs=1e-9)


def test_a_method_that_is_not_there():
    """An unknown method names those there are, and a quantile is a share."""
    with pytest.raises(DefinitionError, match="'ped-anova', 'fanova', 'permutation'"):
        weigh("shap")
    with pytest.raises(DefinitionError, match="a share between 0 and 1"):
        weigh("ped-anova", quantile=10)


def test_rare_categories_share_a_column():
    """Of more than eight categories the rarest are one, so that a forest stays small."""
    names = [f"c{i}" for i in range(12) for _ in range(12 - i)]
    (found,) = parameters.varied(pl.DataFrame({"k": names}), ["k"])
    whole = importance.encoded([found])
    assert whole.features.shape == (78, 8)
    assert whole.features.sum(axis=1).tolist() == [1.0] * 78


def test_bounds_reach_zero_for_what_does_not_matter():
    """A parameter of pure noise has 0 within its bounds, and one that matters has not."""
    generator = np.random.default_rng(3)
    lr, noise = generator.uniform(size=(2, 300))
    found = parameters.varied(pl.DataFrame({"lr": lr, "no": noise}), ["lr", "no"])
    told = importance.importance(
        found, (lr - 0.3) ** 2 + 0.02 * generator.normal(size=300), failed=np.zeros(300, dtype=bool),
        method="ped-anova", quantile=0.1, draws=100, confidence=0.95, seed=0)  # fmt: skip
    assert told["name"].to_list() == ["lr", "no"]
    assert told["low"][0] > 0
    assert told["low"][1] == 0
    assert (told["low"] <= told["importance"]).all()
    assert (told["importance"] <= told["high"]).all()
