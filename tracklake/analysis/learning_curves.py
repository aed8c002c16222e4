"""Learning curves: how a metric went along steps, time, tokens or any other metric, for many runs at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common.arguments import is_number, refused, whole
from tracklake.common.lazy_numpy import np
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.query.history import SeriesTable
    from tracklake.query.run_filter import Runs, Where
    from tracklake.schema.definition_statement import Goal

import datetime as dt
import math
import re
from typing import TYPE_CHECKING

from tracklake.common import arguments
from tracklake.compute.points import PSEUDO
from tracklake.errors import UnknownNameError
from tracklake.schema.statistics import Statistic

if TYPE_CHECKING:
    from tracklake.query.history import SeriesTable
    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable
    from tracklake.schema.definition_statement import Goal

Amount = float | str | dt.timedelta
"""How much of an x metric: a number, or for times a text such as "90s", "45m", "2h", "1d 12h"."""

LIMIT = 100_000_000
"""Points that are read at once, as in `Lake.history`."""
_OF_THE_ROW = {"step": "_step", "time": "_runtime"}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smhd])\s*")


def axis(table: RunTable, x: str | None) -> str:
    """Return the metric that an x means: "step" and "time" (seconds since the start) where no metric has that name.

    None is the step, whatever metrics are called: what is asked without a word about x does not depend on names.
    Raises UnknownNameError, which names the nearest.

    >>> table = example()._view.runs
    >>> axis(table, None), axis(table, "time"), axis(table, "loss")
    ('_step', '_runtime', 'loss')
    """
    if x is None:
        return "_step"
    metrics = table.snapshot.metrics
    name = x if arguments.metric("x", x) in metrics or x in PSEUDO else _OF_THE_ROW.get(x)
    if name is None:
        raise UnknownNameError.nearest("x metric", x, [*metrics, *_OF_THE_ROW])
    return name


def amount(value: Amount, *, argument: str = "budget") -> float:
    """Return an amount as a number; texts are durations, in seconds. Raises DefinitionError, and TypeError for neither.

    >>> amount("1d 12h"), amount(1e9)
    (129600.0, 1000000000.0)
    """
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if not parts or _DURATION.sub("", value):
            raise DefinitionError(f"{value!r} is no amount; say a number, or a duration such as '90s', '2h', '1d 12h'")
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if math.isnan(arguments.number(argument, value, takes="amounts: numbers, or durations such as '90s', '2h'")):
        raise DefinitionError("NaN is no amount; say a number, or a duration such as '90s', '2h', '1d 12h'")
    return float(value)


def trajectories(series: SeriesTable, metric: str, *, x: str | None, runs: Runs, where: Where) -> pl.DataFrame:
    """Return run_id, step, x, value, in order of run and step: numbers only (NaN too), where x is known.

    x at a step is its latest value at or before that step. A step before the first x is left out.

    >>> series = example()._view.series
    >>> trajectories(series, "loss", x="acc", runs="fast", where=None).select("x", "value").rows()
    [(0.7, 1.0), (0.9, 0.25), (0.8, 0.75)]
    """
    name = axis(series.table, x)
    metrics = [arguments.metric("metric", metric)]
    history = series.read(
        metrics, runs=runs, where=where, steps=None, x=None if name == "_step" else name, shape="long",
        downsample=None, raw=False, limit=LIMIT,
    )  # fmt: skip
    at = pl.col("step").cast(pl.Float64) if name == "_step" else pl.col("x")
    return history.select("run_id", "step", at.alias("x"), "value").drop_nulls()


def extent(table: RunTable, run_ids: pl.Series, x: str) -> pl.Series:
    """Return how far each run got on an x: the largest value of it that it logged (Float64, null for none).

    >>> extent(example()._view.runs, pl.Series(["slow", "fast"]), "step").to_list()
    [2.0, 2.0]
    """
    return table.statistics(run_ids, {x: Statistic(axis(table, x), "max")})[x][0].cast(pl.Float64)


def running_best(goal: Goal) -> pl.Expr:
    """Return the best value up to each row, within each run; NaN never counts.

    >>> frame = pl.DataFrame({"run_id": ["a"] * 3, "value": [2.0, float("nan"), 3.0]})
    >>> frame.select(running_best("max")).to_series().to_list()
    [2.0, 2.0, 3.0]
    """
    number = pl.col("value").fill_nan(None)
    best = number.cum_max() if goal == "max" else number.cum_min()
    return best.forward_fill().over("run_id")


Floats = np.ndarray[Any, np.dtype[np.float64]]


def at_budget(
    series: SeriesTable,
    budget: Mapping[str, Amount | Sequence[Amount]],
    *,
    metric: str,
    goal: Goal,
    runs: Runs,
    where: Where,
) -> pl.DataFrame:
    """Return one row a (budget, run); see `Lake.at_budget`.

    >>> series = example()._view.series
    >>> at_budget(series, {"step": [0, 1]}, metric="loss", goal="min", runs="fast", where=None).rows()
    [('fast', 0, 1.0, 1.0, 0, 0, True), ('fast', 1, 0.25, 0.25, 1, 1, True)]
    """
    limits = _limits(budget)
    ids = series.table.select(runs=runs, where=where, wanted=["run_id"])
    curves = [trajectories(series, metric, x=x, runs=ids, where=None) for x in budget]
    joined = curves[0].rename({"x": _used(0)})
    for i, curve in enumerate(curves[1:], start=1):
        joined = joined.join(curve.select("run_id", "step", pl.col("x").alias(_used(i))), on=["run_id", "step"])
    extents = [extent(series.table, ids["run_id"], x).alias(_used(i)) for i, x in enumerate(budget)]
    reach = ids.with_columns(extents)
    rows = pl.concat(_at(joined, reach, list(budget), values, goal) for values in limits)
    integers = [f"budget.{name}" for name, amounts in budget.items() if all(map(_is_whole, _parts(amounts)))]
    return rows.with_columns(pl.col(integers).cast(pl.Int64))


def _is_whole(limit: object) -> bool:
    return isinstance(limit, int) and not isinstance(limit, bool)


def _limits(budget: Mapping[str, Amount | Sequence[Amount]]) -> list[list[float]]:
    """Return the limits of each x, one list a budget; a list of amounts makes several budgets."""
    if not isinstance(budget, Mapping) or not all(isinstance(x, str) for x in budget):
        raise refused("budget", "what is limited, such as {'step': 1000}, {'time': '2h'} or {'tokens': 1e9}", budget)
    lists: list[list[Any]] = [_parts(v) for v in budget.values()]
    several = max(map(len, lists), default=0)
    if not several:
        raise DefinitionError("a budget names what is limited: {'step': 1000}, {'time': '2h'} or {'tokens': 1e9}")
    if any(len(part) not in (1, several) for part in lists):
        raise DefinitionError(f"budgets of several amounts have as many of each; got {dict(budget)}")
    return [[amount(part[i % len(part)]) for part in lists] for i in range(several)]


def _parts(value: object) -> list[Any]:
    """Return what a list (or an array, a series, a generator) holds; of anything else a list of it alone."""
    several = isinstance(value, Iterable) and not isinstance(value, str | Mapping) and not is_number(value)
    return list(value) if several else [value]  # type: ignore[call-overload] # it is one


def _used(i: int) -> str:
    return f"used_{i}"


def _at(curves: pl.DataFrame, reach: pl.DataFrame, names: list[str], limits: list[float], goal: Goal) -> pl.DataFrame:
    """Return what each run had within one budget."""
    within = pl.all_horizontal(pl.col(_used(i)) <= limit for i, limit in enumerate(limits))
    number = pl.col("value").fill_nan(None)
    best = number.arg_max() if goal == "max" else number.arg_min()
    within_budget = (
        curves.filter(within)
        .group_by("run_id")
        .agg(
            pl.col("value").last(),
            pl.col("step").last(),
            pl.col("value").get(best).alias("best"),
            pl.col("step").get(best).alias("best_step"),
        )
    )
    reached = pl.all_horizontal(pl.col(_used(i)) >= limit for i, limit in enumerate(limits)).fill_null(value=False)
    per_run = reach.select("run_id", reached.alias("reached")).join(
        within_budget, on="run_id", how="left", maintain_order="left"
    )
    budgets = [pl.lit(limit).alias(f"budget.{name}") for name, limit in zip(names, limits, strict=True)]
    return per_run.select("run_id", *budgets, "value", "best", "step", "best_step", "reached")


def area_under(
    series: SeriesTable,
    metric: str,
    *,
    x: str | None,
    until: Amount | None,
    best_so_far: Goal | None,
    runs: Runs,
    where: Where,
) -> pl.DataFrame:
    """Return one row a run with the area under its curve; see `Lake.area_under`.

    >>> series = example()._view.series
    >>> area_under(series, "loss", x=None, until=None, best_so_far=None, runs="slow", where=None).rows()
    [('slow', 2.25, 1.125, 0.0, 2.0)]
    """
    ids = series.table.select(runs=runs, where=where, wanted=["run_id"])
    curves = trajectories(series, metric, x=x, runs=ids, where=None)
    if best_so_far is not None:
        curves = curves.with_columns(running_best(best_so_far).alias("value"))
    curves = curves.filter(pl.col("value").is_finite())
    limit = None if until is None else amount(until, argument="until")
    series_of_runs = curves.group_by("run_id", maintain_order=True).agg("x", "value")
    areas = [_area(np.asarray(xs), np.asarray(ys), limit) for xs, ys in series_of_runs.select("x", "value").iter_rows()]
    schema = {"area": pl.Float64, "mean": pl.Float64, "first": pl.Float64, "last": pl.Float64}
    measured = series_of_runs.select("run_id").hstack(pl.DataFrame(areas, schema=schema, orient="row"))
    return ids.join(measured, on="run_id", how="left", maintain_order="left")


def _area(x: Floats, y: Floats, limit: float | None) -> tuple[float | None, float | None, float | None, float | None]:
    """Return the area under straight lines between the points, up to the limit; the mean height; first and last x."""
    if limit is not None:
        if x[0] > limit:
            return None, None, None, None
        within = x <= limit
        if not within.all():
            x, y = np.append(x[within], limit), np.append(y[within], np.interp(limit, x, y))
    area, width = float(np.trapezoid(y, x)), float(x[-1] - x[0])
    return area, area / width if width > 0 else float(y[-1]), float(x[0]), float(x[-1])


def learning_curves(
    series: SeriesTable,
    metric: str,
    *,
    by: pl.DataFrame,
    x: str | None,
    points: int | Sequence[float],
    band: tuple[float, float],
    best_so_far: Goal | None,
    carry: bool,
) -> pl.DataFrame:
    """Return one row a (group, x) with the mean and a band over the runs; `by` has run_id and the columns that group.

    See `Lake.learning_curves`. Raises DefinitionError for a band or points that cannot be.

    >>> series = example()._view.series
    >>> by = series.table.select(wanted=["run_id"])
    >>> asked = {"points": 2, "band": (0, 1), "best_so_far": None, "carry": False}
    >>> learning_curves(series, "acc", by=by, x=None, **asked).select("x", "n", "low", "high").rows()
    [(0.0, 2, 0.4, 0.7), (2.0, 2, 0.6, 0.8)]
    """
    curves = trajectories(series, metric, x=x, runs=by, where=None)
    if best_so_far is not None:
        curves = curves.with_columns(running_best(best_so_far).alias("value"))
    curves = curves.filter(pl.col("value").is_finite())
    shares = _parts(band)
    if len(shares) != 2 or not all(map(is_number, shares)) or not 0 <= shares[0] <= shares[1] <= 1:  # noqa: PLR2004
        raise DefinitionError(f"band={band}; two shares between 0 and 1, the lower first, such as (0.25, 0.75)")
    grid = _grid(curves["x"], points)
    ends = curves.group_by("run_id").agg(pl.col("x").max().alias("end"))
    wanted = by.join(ends, on="run_id", maintain_order="left").join(grid.to_frame(), how="cross").sort("x")
    at = wanted.join_asof(curves.select("run_id", "x", "value").sort("x"), on="x", by="run_id", check_sortedness=False)
    if not carry:
        at = at.filter(pl.col("x") <= pl.col("end"))
    low, high = map(float, shares)
    value = pl.col("value")
    columns = [c for c in by.columns if c != "run_id"]
    aggregated = (
        at.drop_nulls("value")
        .group_by([*columns, "x"])
        .agg(
            value.count().cast(pl.Int64).alias("n"),
            value.mean().alias("mean"),
            value.median().alias("median"),
            value.quantile(low, interpolation="linear").alias("low"),
            value.quantile(high, interpolation="linear").alias("high"),
        )
    )
    return aggregated.sort([*columns, "x"], nulls_last=True)


def _grid(x: pl.Series, points: int | Sequence[float]) -> pl.Series:
    """Return where the curves are read: the x that there are, thinned to at most so many; or those given."""
    if not is_number(points):
        places = _parts(points)
        if not all(map(is_number, places)):
            raise refused("points", "how many, or a list of numbers", points)
        return pl.Series("x", sorted(map(float, places)), dtype=pl.Float64)
    if (size := whole("points", points, least=0)) < 2:  # noqa: PLR2004 - a curve has two ends
        raise DefinitionError(f"points={points}; a curve has at least 2, or name where: points=[0, 100, 1000]")
    distinct = x.unique().sort()
    if len(distinct) <= size:
        return distinct.alias("x")
    return distinct.gather(np.linspace(0, len(distinct) - 1, size).round().astype(np.int64)).unique().sort().alias("x")
