"""Importance: which parameters mattered, with how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import polars as pl

from tracklake.analysis import grids
from tracklake.analysis.stats import fanova, ped_anova
from tracklake.common import arguments
from tracklake.common.lazy_numpy import np
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracklake.analysis.parameters import Parameter
    from tracklake.analysis.stats.fanova import Boxes

Floats = np.ndarray[Any, np.dtype[np.float64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Method = Literal["ped-anova", "fanova", "permutation"]
METHODS: tuple[Method, ...] = ("ped-anova", "fanova", "permutation")

MOST_CHOICES = 8
"""Categories that a forest sees apart; the rarer ones are one."""
TOP = 10
"""Runs that are called the best, at least, unless that were more than half of them."""
FEW = 5
"""Below so many runs (or failed runs) nothing is said of them."""


_MOST = 2_000
"""Runs that a tree of a fit is made of, at most: a picture of more would have to wait."""


class Fit(NamedTuple):
    """A forest fitted to runs: the parameters that vary over them, their encoding, and the trees."""

    shown: list[Parameter]
    features: Encoded
    trees: list[Boxes]


class Encoded(NamedTuple):
    """Parameters as the features of a forest: numbers on their scale, a column a category."""

    features: Floats
    bounds: Floats
    groups: list[list[int]]
    """The columns of each parameter."""


def importance(
    parameters: Sequence[Parameter],
    losses: Floats,
    *,
    failed: Booleans,
    method: Method,
    quantile: float | None,
    draws: int,
    confidence: float,
    seed: int,
) -> pl.DataFrame:
    """Return a row a parameter, the most important first; see `Sweep.importance`.

    `losses` (lower is better) are NaN for runs that do not count; `failed` tells which runs failed.
    Raises DefinitionError for what is none of the methods, and for shares and draws that cannot be.

    >>> from tracklake.analysis.parameters import varied
    >>> found = varied(pl.DataFrame({"opt": ["a", "a", "b", "b"]}), ["opt"])
    >>> asked = {"method": "ped-anova", "quantile": 0.5, "draws": 0, "confidence": 0.95, "seed": 0}
    >>> losses, failed = np.array([1.0, 1.0, 9.0, 9.0]), np.zeros(4, dtype=bool)
    >>> importance(found, losses, failed=failed, **asked).select("name", "share").rows()
    [('opt', 1.0)]
    """
    arguments.check_word("method", method, Method, error=DefinitionError)
    quantile = top_share(int((~np.isnan(losses)).sum())) if quantile is None else quantile
    quantile = arguments.share("quantile", quantile, such_as=0.1)
    confidence = arguments.share("confidence", confidence, such_as=0.95)
    draws = arguments.whole("draws", draws, least=0 if method != "permutation" else 1)
    seed = arguments.whole("seed", seed, least=0)
    counted = ~np.isnan(losses)
    compute = {"ped-anova": _of_the_best, "fanova": _of_the_variance, "permutation": _of_the_prediction}[method]
    of_runs = [p.of(counted) for p in parameters]
    values, drawn = compute(of_runs, losses[counted], quantile=quantile, draws=draws, seed=seed)
    low, high = _bounds(values, drawn, confidence)
    total = values.sum()
    columns = {
        "name": [p.name for p in parameters],
        "importance": values,
        "low": low,
        "high": high,
        "share": values / total if total > 0 else np.zeros(len(parameters)),
        "failure": _of_failing(parameters, failed),
    }
    frame = pl.DataFrame(columns, schema_overrides={"name": pl.String}).with_columns(pl.col(pl.Float64).fill_nan(None))
    return frame.sort("importance", "name", descending=[True, False])


def top_share(n_runs: int) -> float:
    """Return the share of the runs that are called the best: a tenth, but ten runs where that would be fewer.

    >>> top_share(1000), top_share(30), round(top_share(12), 2)
    (0.1, 0.3333333333333333, 0.5)
    """
    return min(max(0.1, TOP / max(n_runs, 1)), 0.5)


def _bounds(values: Floats, drawn: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the percentile bounds of the draws, moved so that their mean is the importance; none below 0.

    Runs that are drawn twice make every parameter look as if it mattered more, and that is no news of the parameter:
    unmoved, the bounds of one that does not matter never come near 0.
    """
    if not len(drawn):
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    beyond = (1 - confidence) / 2
    low, high = np.quantile(drawn, [beyond, 1 - beyond], axis=0) + (values - drawn.mean(axis=0))
    return np.maximum(low, 0.0), np.maximum(high, 0.0)


def _of_the_best(
    parameters: Sequence[Parameter], losses: Floats, *, quantile: float, draws: int, seed: int
) -> tuple[Floats, Floats]:
    """PED-ANOVA: of all runs, and of draws of the runs."""
    varied = [i for i, p in enumerate(parameters) if p.is_varied]
    values, drawn = np.zeros(len(parameters)), np.zeros((draws, len(parameters)))
    if not varied or len(losses) < 2:  # noqa: PLR2004 - nothing to tell apart
        return values, drawn
    on_grid = [grids.gridded(parameters[i]) for i in varied]
    values[varied] = ped_anova.importance(on_grid, ped_anova.best(losses, quantile))
    generator = np.random.default_rng(seed)
    for draw in range(draws):
        counts = np.bincount(generator.integers(0, len(losses), len(losses)), minlength=len(losses)).astype(np.float64)
        top = ped_anova.best(losses, quantile, weights=counts)
        drawn[draw, varied] = ped_anova.importance(on_grid, top, weights=counts)
    return values, drawn


def _of_failing(parameters: Sequence[Parameter], failed: Booleans) -> Floats:
    """Return each parameter's share in telling failed runs from all: PED-ANOVA with the failed runs as the top."""
    if failed.sum() < FEW or (~failed).sum() < FEW:
        return np.full(len(parameters), np.nan)
    varied = [i for i, p in enumerate(parameters) if p.is_varied]
    values = np.zeros(len(parameters))
    values[varied] = ped_anova.importance([grids.gridded(parameters[i]) for i in varied], failed)
    return values / values.sum() if values.sum() > 0 else values


def _of_the_variance(
    parameters: Sequence[Parameter], losses: Floats, *, quantile: float, draws: int, seed: int
) -> tuple[Floats, Floats]:
    """Share of the variance (fANOVA) in forests fitted to all runs, and to draws of the runs."""
    del quantile  # all runs count

    def fitted(features: Encoded, values: Floats, at: int) -> Floats:
        return fanova.importance(fanova.forest(features.features, values, features.bounds, seed=at), features.groups)

    return _fitted(parameters, losses, fitted, draws=draws, seed=seed)


def _fitted(
    parameters: Sequence[Parameter],
    losses: Floats,
    fitted: Callable[[Encoded, Floats, int], Floats],
    *,
    draws: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Fit to all runs and to draws of them; what does not vary has 0."""
    varied = [i for i, p in enumerate(parameters) if p.is_varied]
    values, drawn = np.zeros(len(parameters)), np.zeros((draws, len(parameters)))
    if not varied or len(losses) < FEW or np.ptp(losses) == 0:
        return values, drawn
    features = encoded([parameters[i] for i in varied])
    values[varied] = fitted(features, losses, seed)
    generator = np.random.default_rng(seed)
    for draw in range(draws):
        chosen = generator.integers(0, len(losses), len(losses))
        drawn[draw, varied] = fitted(
            features._replace(features=features.features[chosen]), losses[chosen], seed + 1 + draw
        )
    return values, drawn


def _of_the_prediction(
    parameters: Sequence[Parameter], losses: Floats, *, quantile: float, draws: int, seed: int
) -> tuple[Floats, Floats]:
    """By how much a forest predicts worse (R²) when a parameter is shuffled, on runs it has not seen."""
    del quantile  # all runs count
    varied = [i for i, p in enumerate(parameters) if p.is_varied]
    drawn = np.zeros((draws, len(parameters)))
    if not varied or len(losses) < 2 * FEW or np.ptp(losses) == 0 or not draws:
        return np.zeros(len(parameters)), drawn
    features = encoded([parameters[i] for i in varied])
    drawn[:, varied] = list(permuted(features, losses, draws=draws, seed=seed))
    return np.maximum(drawn.mean(axis=0), 0.0), drawn


def permuted(encoded: Encoded, losses: Floats, *, draws: int, seed: int) -> Iterator[Floats]:
    """Yield for each draw the drop of R² of each parameter, on the runs that were not drawn.

    A forest is fitted to a draw of the runs; in the others the columns of a parameter are shuffled together. R² is
    that of scikit-learn: 1 is a perfect prediction, 0 no better than the mean.
    """
    from sklearn.ensemble import RandomForestRegressor

    generator = np.random.default_rng(seed)
    for draw in range(draws):
        chosen = generator.integers(0, len(losses), len(losses))
        unseen = np.setdiff1d(np.arange(len(losses)), chosen)
        fitted = RandomForestRegressor(n_estimators=50, random_state=seed + draw, n_jobs=-1)
        fitted.fit(encoded.features[chosen], losses[chosen]).set_params(n_jobs=1)  # a sum in one order
        features, actual = encoded.features[unseen], losses[unseen]
        base = fitted.score(features, actual)
        drops = []
        for columns in encoded.groups:
            shuffled = features.copy()
            shuffled[:, columns] = features[generator.permutation(len(unseen))][:, columns]
            drops.append(base - fitted.score(shuffled, actual))
        yield np.array(drops)


def fit(parameters: Sequence[Parameter], losses: Floats, *, seed: int) -> Fit | None:
    """Fit the forest of fANOVA to the runs that have a loss; None where there is nothing to learn.

    >>> fit([], np.array([1.0, 2.0]), seed=0) is None  # nothing varies
    True
    """
    counted = ~np.isnan(losses)
    varied = [q for q in (p.of(counted) for p in parameters) if q.is_varied]
    if not varied or counted.sum() < FEW or np.ptp(losses[counted]) == 0:
        return None
    features = encoded(varied)
    return Fit(
        varied, features, fanova.forest(features.features, losses[counted], features.bounds, seed=seed, most=_MOST)
    )


def encoded(parameters: Sequence[Parameter]) -> Encoded:
    """Return parameters as features. Where a run lacks a number, it has the median: it then says nothing.

    What a column of numbers holds beside them (None, a word) has a column of 0 and 1.

    Of more than 8 categories the rarest share a column.

    >>> from tracklake.analysis.parameters import varied
    >>> rows = pl.DataFrame({"lr": [0.01, 0.1, 1.0], "opt": ["a", "b", "a"]})
    >>> found = encoded(varied(rows, ["lr", "opt"]))
    >>> found.features.tolist(), found.groups
    ([[-2.0, 1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [[0], [1, 2]])
    """
    columns: list[Floats] = []
    groups: list[list[int]] = []
    for p in parameters:
        parts = _categories(p.codes, p.active) if p.choices else _number(p)
        groups.append(list(range(len(columns), len(columns) + len(parts))))
        columns += parts
    features = np.stack(columns, axis=1)
    return Encoded(features, np.stack([features.min(axis=0), features.max(axis=0)], axis=1), groups)


def _number(p: Parameter) -> list[Floats]:
    """Return the column of a number, the median where a run has none, and the columns of what it has instead."""
    number = np.where(np.isnan(p.codes), np.nanmedian(p.scaled), p.scaled)
    return [number, *(_categories(p.level.astype(np.float64), p.is_level) if p.level is not None else [])]


def _categories(codes: Floats, active: Booleans) -> list[Floats]:
    """Return a column of 0 and 1 for each category, and for being without one."""
    codes = np.where(active, codes, -1.0)
    names, counts = np.unique(codes, return_counts=True)
    common = names[np.argsort(-counts, kind="stable")]
    alone = np.sort(common[: MOST_CHOICES - 1]) if len(common) > MOST_CHOICES else names
    columns = [(codes == name).astype(np.float64) for name in alone]
    rare = np.setdiff1d(names, alone)
    return [*columns, np.isin(codes, rare).astype(np.float64)] if len(rare) else columns
