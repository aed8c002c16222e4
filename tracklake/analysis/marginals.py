"""Marginals: the value as a function of one parameter, of two, and of all side by side."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.analysis.stats import bootstrap, fanova, resampling
from tracklake.common import arguments
from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.analysis.importance import Fit, Floats
    from tracklake.analysis.objectives import Objective
    from tracklake.analysis.parameters import Parameter
    from tracklake.analysis.stats.resampling import Ints

_TICKS = 5
LEVEL = 0.1
"""How far apart values that are no numbers stand at the foot of an axis of numbers."""
_STATISTICS = ("n", "n_failed", "n_diverged", "mean", "low", "high", "best", "adjusted")


class Parallel(NamedTuple):
    """The data of a parallel-coordinates plot.

    lines: run_id, a column a parameter and the value: the place of each run on that axis, from 0 to 1, null where it
    has none. axes: name, kind, scale, positions and labels of the ticks.
    """

    lines: pl.DataFrame
    axes: pl.DataFrame


def marginal(
    parameter: Parameter,
    runs: pl.DataFrame,
    objective: Objective,
    *,
    others: Sequence[Parameter],
    points: int,
    confidence: float,
    seed: int,
) -> pl.DataFrame:
    """Return a row a value or stretch of values; `runs` has value, failed and diverged. See `Sweep.marginal`.

    >>> from tracklake.analysis import parameters, objectives
    >>> runs = pl.DataFrame({"lr": [0.1, 0.1, 0.2], "value": [1.0, 3.0, 5.0], "failed": False, "diverged": False})
    >>> (lr,), acc = parameters.varied(runs, ["lr"]), objectives.Objective("acc", "acc", "max")
    >>> found = marginal(lr, runs, acc, others=[], points=20, confidence=0.95, seed=0)
    >>> found.select("value", "n", "mean", "best").rows()
    [(0.1, 2, 2.0, 3.0), (0.2, 1, 5.0, 5.0)]
    """
    points = arguments.whole("points", points, least=1)
    confidence = arguments.share("confidence", confidence, such_as=0.95)
    seed = arguments.whole("seed", seed, least=0)
    bins = bins_of(parameter, points)
    codes = pl.Series("at", parameter.codes, nan_to_null=True)
    placed = runs.select("value", "failed", "diverged").with_columns(pl.Series("bin", bins), codes)
    placed = placed.filter(pl.col("bin") >= 0)
    size = int(bins.max(initial=-1)) + 1
    low, high = _intervals(placed.drop_nulls("value"), size, confidence, seed)
    adjusted = _adjusted(runs["value"], bins, [bins_of(other, points) for other in others], size)
    per_bin = _per_bin(placed, objective)
    at = per_bin["bin"]
    estimates = {"low": low[at], "high": high[at], "adjusted": adjusted[at]}
    table = per_bin.with_columns(pl.Series(name, values, nan_to_null=True) for name, values in estimates.items())
    return table.select(*_places_of(parameter, table), *_STATISTICS)


def _per_bin(placed: pl.DataFrame, objective: Objective) -> pl.DataFrame:
    """Return what the runs of each bin are: where it lies, how many they are, their mean and best value."""
    at, value = pl.col("at"), pl.col("value")
    best = value.max() if objective.goal == "max" else value.min()
    return (
        placed.group_by("bin")
        .agg(
            at.median().alias("value_at"),
            at.min().alias("low_edge"),
            at.max().alias("high_edge"),
            value.count().cast(pl.Int64).alias("n"),
            pl.col("failed").sum().cast(pl.Int64).alias("n_failed"),
            pl.col("diverged").sum().cast(pl.Int64).alias("n_diverged"),
            value.mean().alias("mean"),
            best.alias("best"),
        )
        .sort("bin")
    )


def _places_of(parameter: Parameter, table: pl.DataFrame) -> list[pl.Expr | pl.Series]:
    """Return the columns that say which values of the parameter a row is about."""
    if parameter.choices:
        names = [parameter.choices[int(place)] for place in table["value_at"]]
        return [pl.Series("choice", names, dtype=pl.String)]
    edges: list[pl.Expr | pl.Series] = [pl.col("value_at").alias("value"), pl.col("low_edge"), pl.col("high_edge")]
    if not parameter.levels:
        return edges
    n_bins = table["value_at"].count()
    levels = [None if place < n_bins else parameter.levels[place - n_bins] for place in table["bin"]]
    return [*edges, pl.Series("choice", levels, dtype=pl.String)]


def _adjusted(values: pl.Series, bins: Ints, others: Sequence[Ints], size: int) -> Floats:
    """Return the mean of each bin with the other parameters evened out; to lack one is a place as well."""
    used = (bins >= 0) & values.is_not_null().to_numpy()
    beside = [common(other[used] + 1) for other in others]
    return evened_out(values.to_numpy()[used], bins[used], beside, size=size)


def bins_of(parameter: Parameter, points: int) -> Ints:
    """Return the bin of each run, -1 where it lacks the parameter: a value each, or ranges of as many runs.

    Beyond those of the numbers, one for each of the levels.

    >>> from tracklake.analysis.parameters import varied
    >>> bins_of(varied(pl.DataFrame({"drop": [0.3, 0.1, 0.2, None]}), ["drop"])[0], 20).tolist()
    [2, 0, 1, 3]
    """
    has_number = ~np.isnan(parameter.codes)
    codes = parameter.codes[has_number]
    place = _ranked(codes)
    if place.max(initial=-1) >= points and not parameter.choices:
        edges = np.quantile(codes, np.linspace(0, 1, points + 1)[1:-1])
        place = _ranked(np.searchsorted(edges, codes, side="left"))
    bins = np.full(len(parameter.codes), -1, dtype=np.int64)
    bins[has_number] = place
    if parameter.level is not None:
        bins[parameter.is_level] = place.max(initial=-1) + 1 + parameter.level[parameter.is_level]
    return bins


def _ranked(values: Floats | Ints) -> Ints:
    """Return the place of each value among the distinct ones."""
    return pl.Series(values).rank("dense").cast(pl.Int64).to_numpy() - 1


def _intervals(used: pl.DataFrame, size: int, confidence: float, seed: int) -> tuple[Floats, Floats]:
    """Return the bounds of the mean of each bin, NaN for one of fewer than two runs."""
    low, high = np.full(size, np.nan), np.full(size, np.nan)
    nothing = np.zeros(used.height)
    sample = resampling.sample(used["bin"], stratum=nothing, cell=nothing - 1, value=used["value"])
    for columns, drawn in resampling.resampled(resampling.by_itself(sample), center="mean", draws=2000, seed=seed):
        low[columns], high[columns] = bootstrap.bounds(drawn, confidence)
    alone = np.bincount(used["bin"], minlength=size) < 2  # noqa: PLR2004 - one run has no spread
    low[alone], high[alone] = np.nan, np.nan
    return low, high


def common(places: Ints, *, most: int = 200) -> Ints:
    """Return the places as they are, or where there are more than `most` of them, the rarest as one.

    >>> common(np.array([0, 0, 1, 2, 2, 3]), most=3).tolist()
    [0, 0, 2, 1, 1, 2]
    """
    counts = np.bincount(places)
    if len(counts) <= most:
        return places
    renamed = np.full(len(counts), most - 1)
    renamed[np.argsort(-counts, kind="stable")[: most - 1]] = np.arange(most - 1)
    return renamed[places]


def evened_out(values: Floats, at: Ints, others: Sequence[Ints], *, size: int) -> Floats:
    """Return the mean of the values at each of `size` places, as it would be with the other factors alike at all.

    What each place of another factor adds to the value is estimated beside the means by least squares, drawn towards
    none as if by one more value (the adjusted means of Searle, Speed and Milliken 1980, with a ridge). In a grid where
    each place saw the others equally often these are the plain means. NaN where there is no value.

    >>> evened_out(np.array([1.0, 1.0, 1.0, 3.0]), np.array([0, 0, 1, 1]), [np.array([0, 0, 0, 1])], size=2).round(2)
    array([1.25, 1.75])
    """
    if not len(values):
        return np.full(size, np.nan)
    beside = others or [np.zeros_like(at)]
    counts, total = np.bincount(at, minlength=size), np.bincount(at, values, minlength=size)
    sums = np.concatenate([np.bincount(other, values) for other in beside])
    both = np.hstack([_met(at, other, size) for other in beside])
    met = np.block([[_met(one, other, int(one.max()) + 1) for other in beside] for one in beside])
    shares = both / np.maximum(counts, 1)[:, None]  # with these the means are eliminated: there may be one a run
    effects = np.linalg.solve(met - shares.T @ both + np.eye(len(met)), sums - shares.T @ total)
    means = total / np.maximum(counts, 1) - shares @ effects
    return np.where(counts > 0, means + np.diag(met) @ effects / len(values), np.nan)


def _met(one: Ints, other: Ints, size: int) -> Ints:
    """Count how often each of `size` places of one factor met each place of another (size x places)."""
    places = int(other.max()) + 1
    return np.bincount(one * places + other, minlength=size * places).reshape(size, places)


def interactions(fit: Fit | None, *, among: int) -> pl.DataFrame:
    """Return a row a pair of parameters with what they explain only together; see `Sweep.interactions`.

    >>> interactions(None, among=8).columns  # without a forest there are no rows
    ['first', 'second', 'share']
    """
    among = arguments.whole("among", among, least=1)
    rows: list[tuple[str, str, float]] = []
    if fit is not None:
        alone = fanova.importance(fit.trees, fit.features.groups)
        chosen = sorted(np.argsort(-alone, kind="stable")[:among].tolist())
        groups, names = [fit.features.groups[i] for i in chosen], [fit.shown[i].name for i in chosen]
        pairs = list(itertools.combinations(range(len(chosen)), 2))
        shares = fanova.interactions(fit.trees, groups, pairs)
        rows = [(names[a], names[b], share) for (a, b), share in zip(pairs, shares, strict=True)]
    frame = pl.DataFrame(rows, schema={"first": pl.String, "second": pl.String, "share": pl.Float64}, orient="row")
    return frame.sort("share", descending=True, maintain_order=True)


def parallel(parameters: Sequence[Parameter], runs: pl.DataFrame, objective: Objective) -> Parallel:
    """Return where each run stands on each axis; see `Sweep.parallel`.

    >>> from tracklake.analysis import parameters, objectives
    >>> runs = pl.DataFrame({"run_id": ["a", "b", "c"], "depth": [1, 2, 3], "value": [1.0, 3.0, 2.0]})
    >>> found = parallel(parameters.varied(runs, ["depth"]), runs, objectives.Objective("acc", "acc", "max"))
    >>> found.lines.rows()
    [('a', 0.0, 0.0), ('b', 0.5, 1.0), ('c', 1.0, 0.5)]
    """
    lines, axes = [runs["run_id"]], []
    for p in parameters:
        places, axis = _axis(p)
        lines.append(pl.Series(p.name, places, nan_to_null=True))
        axes.append(axis)
    places, low, high = _places(runs["value"].fill_null(np.nan).to_numpy())
    lines.append(pl.Series("value", places, nan_to_null=True))
    ticks = np.linspace(low, high, _TICKS)
    axes.append((objective.name, "float", "linear", _places(ticks)[0].tolist(), [f"{t:.4g}" for t in ticks]))
    texts = dict.fromkeys(("name", "kind", "scale"), pl.String)
    schema = texts | {"positions": pl.List(pl.Float64), "labels": pl.List(pl.String)}
    return Parallel(pl.DataFrame(lines), pl.DataFrame(axes, schema=schema, orient="row"))


def _places(values: Floats) -> tuple[Floats, float, float]:
    """Return the values from 0 to 1 (0.5 if all are one), and what 0 and 1 mean."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    if high > low:
        return (values - low) / (high - low), low, high
    return np.where(np.isfinite(values), 0.5, np.nan), low, high


def _axis(p: Parameter) -> tuple[Floats, tuple[str, str, str | None, list[float], list[str]]]:
    """Return the place of each run on the axis of a parameter, and the axis; levels stand below the numbers."""
    if p.choices:
        positions = _places(np.arange(len(p.choices), dtype=np.float64))[0]
        return _places(p.codes)[0], (p.name, p.kind, None, positions.tolist(), p.choices)
    places, low, high = _places(p.scaled)
    foot = LEVEL * len(p.levels)
    ticks = np.linspace(low, high, _TICKS)
    numbers = 10**ticks if p.log else ticks
    positions = foot + (1 - foot) * _places(ticks)[0]
    places = foot + (1 - foot) * places
    if p.level is not None:
        places = np.where(p.is_level, LEVEL * p.level, places)
    labels = [*p.levels, *(f"{t:.4g}" for t in numbers)]
    at = [*(LEVEL * i for i in range(len(p.levels))), *positions.tolist()]
    return places, (p.name, p.kind, "log" if p.log else "linear", at, labels)
