"""Statistics: what can be asked of a metric, and how a name says it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tracklake.errors import UnknownNameError
from tracklake.schema.naming import metric_name

if TYPE_CHECKING:
    from collections.abc import Collection


STATISTICS: tuple[str, ...] = (
    "min",
    "max",
    "mean",
    "std",
    "sum",
    "count",
    "first",
    "last",
    "argmin",
    "argmax",
    "best",
    "best_step",
    "n_nan",
    "n_inf",
)
"""The statistics of a series that have a fixed name; quantiles (`p95`, `p99.9`) come beside them."""
_ACCEPTED = f"there are {', '.join(STATISTICS)} and quantiles such as p95"
_QUANTILE = re.compile(r"p([0-9]{1,2}(\.[0-9]+)?|100(\.0+)?)")
_METRIC_AND_STATISTIC = re.compile(r"(.+?)(?<!\\)\.(p[0-9]+\.[0-9]+|[^.]*)", re.DOTALL)


def is_statistic(text: str) -> bool:
    """Say whether the text names a statistic: one of STATISTICS or a quantile from p0 to p100.

    >>> is_statistic("argmax"), is_statistic("p99.9"), is_statistic("p101")
    (True, True, False)
    """
    return text in STATISTICS or _QUANTILE.fullmatch(text) is not None


def is_quantile(stat: str | None) -> bool:
    """Say whether a statistic is a quantile.

    >>> is_quantile("p95"), is_quantile("max")
    (True, False)
    """
    return stat is not None and _QUANTILE.fullmatch(stat) is not None


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
    """Return which statistic of which of the metrics is asked for.

    A text is a metric if there is one of that whole name, else its last dotted part is a statistic of the rest. A
    tuple (metric, statistic) is always exact. Raises UnknownNameError, which names the nearest and says what of the
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
    if stat is not None and not is_statistic(stat):
        raise UnknownNameError(f"{UnknownNameError.nearest('statistic', stat, STATISTICS)} ({_ACCEPTED})")
    return Statistic(metric, stat)


def _parsed(path: str, metrics: Collection[str]) -> Statistic:
    whole = metric_name(path)
    if whole in metrics:
        return Statistic(whole, None)
    parts = _METRIC_AND_STATISTIC.fullmatch(path)
    if parts is None:
        raise UnknownNameError.nearest("metric", whole, metrics)
    metric, stat = metric_name(parts[1]), parts[2]
    if not is_statistic(stat):
        unknown = UnknownNameError.nearest("metric", whole, metrics)
        raise UnknownNameError(f"{unknown} ({stat!r} is no statistic: {_ACCEPTED})")
    if metric not in metrics:
        unknown = UnknownNameError.nearest("metric", metric, metrics)
        raise UnknownNameError(f"{unknown} ({stat!r} was understood as a statistic of it)")
    return Statistic(metric, stat)
