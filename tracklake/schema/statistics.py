"""Statistics: the registry of what can be asked of a metric, and how a name says it.

A statistic is one row of REGISTRY: whether states answer it or only points do, the columns it needs, its type, and its
two forms, an expression over a frame and a function of one running state. Kinds of summaries, columns, SQL and
objectives read this table; only `first`, `last`, `best` and `best_step`, no aggregates of numbers, are known by name.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import polars as pl

from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.schema.naming import metric_name
from tracklake.schema.values import STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_QUANTILE = re.compile(r"p([0-9]{1,2}(\.[0-9]+)?|100(\.0+)?)")
_METRIC_AND_STATISTIC = re.compile(r"(.+?)(?<!\\)\.(p[0-9]+\.[0-9]+|[^.]*)", re.DOTALL)
_NUMBERS = ("n", "n_pos_inf", "n_neg_inf")
_SUMS = (*_NUMBERS, "sum", "sum_low", "mean")


class StatisticSpec(NamedTuple):
    """One statistic. Exactly one of `columns` (of states, see tables.STATES) and `of_points` tells where it comes from.

    `expression` and `scalar` are null and None where there is none. A statistic without an expression over states is a
    value of any kind (`first`, `last`), or that of another statistic, which the goal chooses (`best`, `best_step`).
    """

    dtype: Literal["float", "int", "any"] = "float"
    columns: tuple[str, ...] = ()
    expression: Callable[[], pl.Expr] | None = None
    """Over the columns of merged states."""
    scalar: Callable[[Any], Any] | None = None
    """Of one running state, whose attributes are named like the columns of states, with a few that follow from them."""
    of_points: Callable[[], pl.Expr] | None = None
    """An aggregate of the column `value` of the numbers of a series, infinities among them, NaN not."""
    by_goal: tuple[str, str] | None = None
    """The statistics that it is for the goals min and max."""
    is_kind: bool = False
    """Whether define_metric(summary=) takes it."""
    is_measure: bool = False
    """Whether it is the better the nearer it comes to the goal; a step or a count is not."""


def _end(end: str) -> StatisticSpec:
    columns = tuple(f"{end}_{name}" for name in ("step", *STORED))
    return StatisticSpec(dtype="any", columns=columns, scalar=lambda s: getattr(s, end), is_kind=True, is_measure=True)


def _count() -> pl.Expr:
    return pl.col("n") + _infinite()


def _infinite() -> pl.Expr:
    return pl.col("n_pos_inf") + pl.col("n_neg_inf")


def _beyond() -> pl.Expr:
    """Return what the infinities add to a sum; inf - inf is NaN, as IEEE has it."""
    above = pl.when(pl.col("n_pos_inf") > 0).then(math.inf).otherwise(0.0)
    return above + pl.when(pl.col("n_neg_inf") > 0).then(-math.inf).otherwise(0.0)


def _deviation() -> pl.Expr:
    finite = (pl.col("m2") / (pl.col("n") - 1)).sqrt()
    return pl.when(_count() > 1).then(pl.when(_infinite() > 0).then(math.nan).otherwise(finite))


def _deviation_of(state: Any) -> float | None:
    if state.count < 2:  # noqa: PLR2004 - one number has no spread
        return None
    return math.nan if state.n_inf else math.sqrt(state.m2 / (state.n - 1))


def _quantile(share: float) -> Callable[[], pl.Expr]:
    return lambda: pl.col("value").quantile(share, interpolation="linear")


REGISTRY: dict[str, StatisticSpec] = {
    "min": StatisticSpec(
        columns=("min",),
        expression=lambda: pl.col("min"),
        scalar=lambda s: s.min if s.count else None,
        is_kind=True,
        is_measure=True,
    ),
    "max": StatisticSpec(
        columns=("max",),
        expression=lambda: pl.col("max"),
        scalar=lambda s: s.max if s.count else None,
        is_kind=True,
        is_measure=True,
    ),
    "mean": StatisticSpec(
        columns=_SUMS,
        expression=lambda: pl.when(_count() != 0).then(pl.col("mean") + _beyond()),
        scalar=lambda s: s.mean + s.beyond if s.count else None,
        is_kind=True,
        is_measure=True,
    ),
    "best": StatisticSpec(columns=("min", "max"), by_goal=("min", "max"), is_kind=True, is_measure=True),
    "last": _end("last"),
    "first": _end("first"),
    "std": StatisticSpec(columns=(*_SUMS, "m2"), expression=_deviation, scalar=_deviation_of, is_kind=True),
    "sum": StatisticSpec(
        columns=_SUMS,
        expression=lambda: pl.when(_count() != 0).then(pl.col("sum") + _beyond()),
        scalar=lambda s: s.sum + s.beyond if s.count else None,
        is_kind=True,
    ),
    "count": StatisticSpec(dtype="int", columns=_NUMBERS, expression=_count, scalar=lambda s: s.count, is_kind=True),
    "median": StatisticSpec(of_points=_quantile(0.5), is_kind=True, is_measure=True),
    "argmin": StatisticSpec(
        dtype="int",
        columns=("min", "min_step"),
        expression=lambda: pl.col("min_step"),
        scalar=lambda s: s.min_step if s.count else None,
    ),
    "argmax": StatisticSpec(
        dtype="int",
        columns=("max", "max_step"),
        expression=lambda: pl.col("max_step"),
        scalar=lambda s: s.max_step if s.count else None,
    ),
    "best_step": StatisticSpec(
        dtype="int", columns=("min", "min_step", "max", "max_step"), by_goal=("argmin", "argmax")
    ),
    "n_nan": StatisticSpec(
        dtype="int", columns=("n_nan",), expression=lambda: pl.col("n_nan"), scalar=lambda s: s.n_nan
    ),
    "n_inf": StatisticSpec(
        dtype="int", columns=("n_pos_inf", "n_neg_inf"), expression=_infinite, scalar=lambda s: s.n_inf
    ),
}
"""Every statistic that has a fixed name; the kinds of summaries stand in the order in which an entry shows them."""

STATISTICS: tuple[str, ...] = tuple(REGISTRY)
"""The names of these; quantiles (`p95`, `p99.9`) come beside them."""
SUMMARY_KINDS: tuple[str, ...] = tuple(name for name, spec in REGISTRY.items() if spec.is_kind)
"""The kinds of summary that show something, in the order in which an entry shows them."""
_ACCEPTED = f"there are {', '.join(STATISTICS)} and quantiles such as p95"


def spec(stat: str) -> StatisticSpec:
    """Return the row of a statistic, also of a quantile. Raises UnknownNameError, which names the nearest.

    >>> spec("argmin").columns, spec("p95").of_points is not None
    (('min', 'min_step'), True)
    """
    if stat in REGISTRY:
        return REGISTRY[stat]
    if _QUANTILE.fullmatch(stat) is None:
        raise UnknownNameError(f"{UnknownNameError.nearest('statistic', stat, STATISTICS)} ({_ACCEPTED})")
    return StatisticSpec(of_points=_quantile(float(stat[1:]) / 100), is_measure=True)


def is_statistic(name: str) -> bool:
    """Return whether the name is that of a statistic: one of STATISTICS or a quantile from p0 to p100.

    >>> is_statistic("argmax"), is_statistic("p99.9"), is_statistic("p101")
    (True, True, False)
    """
    return name in REGISTRY or _QUANTILE.fullmatch(name) is not None


def needs_points(stat: str) -> bool:
    """Return whether a statistic is read from points, because states do not hold it.

    >>> needs_points("p95"), needs_points("median"), needs_points("max")
    (True, True, False)
    """
    return spec(stat).of_points is not None


def columns(stat: str) -> tuple[str, ...]:
    """Return the columns of states that a statistic needs, to merge states and to compute it.

    Raises UnknownNameError if states do not answer it.

    >>> columns("argmin")
    ('min', 'min_step')
    """
    if needs_points(stat):
        raise UnknownNameError(f"{stat} is read from points: states do not hold it")
    return spec(stat).columns


def expression(stat: str, *, goal: Literal["min", "max"] | None = None) -> pl.Expr:
    """Return a statistic of numbers as an expression over the columns of merged states; null where there is none.

    A Float64, or an Int64 (count, n_nan, n_inf, argmin, argmax, best_step). `best` and `best_step` need the goal, else
    DefinitionError. What is no number that states hold raises UnknownNameError.

    >>> states = pl.DataFrame({"n": [3], "n_pos_inf": [1], "n_neg_inf": [0], "mean": [2.0]})
    >>> states.select(count=expression("count"), mean=expression("mean")).row(0)
    (4, inf)
    """
    needed = columns(stat)
    row = spec(of_goal(stat, goal))
    if row.expression is None:
        raise UnknownNameError(f"{stat} is a value of any kind, not a number: read the columns {', '.join(needed)}")
    return row.expression()


def from_points(stat: str) -> pl.Expr:
    """Return a statistic as an aggregate of the column `value` of the numbers of a series; NaN must be left out.

    Raises UnknownNameError for what states hold.

    >>> pl.DataFrame({"value": [3.0, 1.0]}).select(median=from_points("median"), low=from_points("p0")).row(0)
    (2.0, 1.0)
    """
    aggregate = spec(stat).of_points
    if aggregate is None:
        raise UnknownNameError(f"{stat} is read from states, not from points")
    return aggregate()


def of_goal(stat: str, goal: Literal["min", "max"] | None) -> str:
    """Return the statistic that another one is for a goal; most are the same for each. Raises DefinitionError.

    >>> of_goal("best", "max"), of_goal("best_step", "min"), of_goal("mean", None)
    ('max', 'argmin', 'mean')
    """
    choices = spec(stat).by_goal
    if choices is None:
        return stat
    if goal not in ("min", "max"):
        raise DefinitionError(f"{stat} needs a goal, 'min' or 'max', not {goal!r}: define_metric(..., goal='min')")
    return choices[goal == "max"]


class Statistic(NamedTuple):
    """A statistic of a metric; `stat` is None where the metric alone was named (its bare entry)."""

    metric: str
    stat: str | None


def split_statistic(path: str) -> Statistic | None:
    """Return the metric (or glob) and the statistic that a path ends in; None if its end names none.

    >>> split_statistic("val/acc.p99.9"), split_statistic("val/acc")
    (Statistic(metric='val/acc', stat='p99.9'), None)
    """
    parts = _METRIC_AND_STATISTIC.fullmatch(path)
    return Statistic(metric_name(parts[1]), parts[2]) if parts and is_statistic(parts[2]) else None


def parse_statistic(path: str | tuple[str, str | None], *, metrics: Collection[str]) -> Statistic:
    """Return the statistic of one of the metrics that a path names.

    A string is a metric if there is one of that full name, else its last dotted part is a statistic of what comes
    before. A tuple (metric, statistic) is always exact. Raises UnknownNameError, which names the nearest and how the
    path was understood, and TypeError for what is neither.

    >>> parse_statistic("val/acc.p99.9", metrics={"val/acc"})
    Statistic(metric='val/acc', stat='p99.9')
    >>> parse_statistic("loss.min", metrics={"loss", "loss.min"})
    Statistic(metric='loss.min', stat=None)
    >>> parse_statistic(("loss", "min"), metrics={"loss", "loss.min"})
    Statistic(metric='loss', stat='min')
    """
    if isinstance(path, str):
        return _parsed(path, metrics)
    pair = isinstance(path, tuple) and len(path) == 2 and isinstance(path[0], str)  # noqa: PLR2004
    if not pair or not isinstance(path[1], str | None):
        raise TypeError(f"a statistic is 'metric.statistic' or the tuple (metric, statistic); got {path!r}")
    metric, stat = metric_name(path[0]), path[1]
    if metric not in metrics:
        raise UnknownNameError.nearest("metric", metric, metrics)
    if stat is not None:
        spec(stat)
    return Statistic(metric, stat)


def _parsed(path: str, metrics: Collection[str]) -> Statistic:
    full_name = metric_name(path)
    if full_name in metrics:
        return Statistic(full_name, None)
    parts = _METRIC_AND_STATISTIC.fullmatch(path)
    if parts is None:
        raise UnknownNameError.nearest("metric", full_name, metrics)
    metric, stat = metric_name(parts[1]), parts[2]
    if not is_statistic(stat):
        unknown = UnknownNameError.nearest("metric", full_name, metrics)
        raise UnknownNameError(f"{unknown} ({stat!r} is no statistic: {_ACCEPTED})")
    if metric not in metrics:
        unknown = UnknownNameError.nearest("metric", metric, metrics)
        raise UnknownNameError(f"{unknown} ({stat!r} was understood as a statistic of it)")
    return Statistic(metric, stat)
