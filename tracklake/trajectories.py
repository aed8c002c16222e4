"""Trajectories: how a metric went along steps, time, tokens or any other metric, for many runs at once."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING

import polars as pl

from tracklake import arguments
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.keys import Statistic
from tracklake.points import PSEUDO

if TYPE_CHECKING:
    from tracklake.definitions import Goal
    from tracklake.run_table import RunTable
    from tracklake.selection import Runs, Where
    from tracklake.series import SeriesTable

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
    found = x if arguments.metric("x", x) in metrics or x in PSEUDO else _OF_THE_ROW.get(x)
    if found is None:
        raise UnknownNameError.nearest("x metric", x, [*metrics, *_OF_THE_ROW])
    return found


def amount(value: Amount, *, said: str = "budget") -> float:
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
    if math.isnan(arguments.number(said, value, takes="amounts: numbers, or durations such as '90s', '2h'")):
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
    found = series.read(
        metrics, runs=runs, where=where, steps=None, x=None if name == "_step" else name, shape="long",
        downsample=None, raw=False, limit=LIMIT,
    )  # fmt: skip
    at = pl.col("step").cast(pl.Float64) if name == "_step" else pl.col("x")
    return found.select("run_id", "step", at.alias("x"), "value").drop_nulls()


def extent(table: RunTable, run_ids: pl.Series, x: str) -> pl.Series:
    """Return how far each run got on an x: the largest value of it that it logged (Float64, null for none).

    >>> extent(example()._view.runs, pl.Series(["slow", "fast"]), "step").to_list()
    [2.0, 2.0]
    """
    return table.statistics(run_ids, {x: Statistic(axis(table, x), "max")})[x][0].cast(pl.Float64)


def best_so_far(goal: Goal) -> pl.Expr:
    """Return the best value up to each row, within each run; NaN never counts.

    >>> frame = pl.DataFrame({"run_id": ["a"] * 3, "value": [2.0, float("nan"), 3.0]})
    >>> frame.select(best_so_far("max")).to_series().to_list()
    [2.0, 2.0, 3.0]
    """
    number = pl.col("value").fill_nan(None)
    best = number.cum_max() if goal == "max" else number.cum_min()
    return best.forward_fill().over("run_id")
