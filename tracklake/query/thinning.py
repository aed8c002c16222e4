"""Which points of a history are kept: those at some steps, or a few that show a curve's ends and extremes."""

from __future__ import annotations

import operator
from typing import Any

import polars as pl

from tracklake.common import arguments
from tracklake.errors import QueryError

Steps = tuple[int | None, int | None] | range | None
"""The first and the last step wanted (None: open), both included; or a range."""
_SERIES = ["run_id", "metric"]
ENDS = 4
"""The least points of a series that is thinned: its first, its last and the two extremes."""


def thinned(history: pl.DataFrame, size: int) -> pl.DataFrame:
    """Keep at most about `size` points a series: its first and last, and the extremes of equal stretches between.

    >>> curve = pl.DataFrame({"run_id": "a", "metric": "x", "value": [0.0, 5.0, 1.0, 1.0, 1.0, -3.0, 1.0, 2.0]})
    >>> thinned(curve, 4)["value"].to_list()
    [0.0, 5.0, -3.0, 2.0]
    """
    size_of_series = pl.len().over(_SERIES)
    place = pl.int_range(pl.len()).over(_SERIES)
    buckets = (size - 2) // 2
    marked = history.with_columns(place.alias("place"), size_of_series.alias("whole")).with_columns(
        (pl.col("place") * buckets // pl.col("whole")).alias("bucket")
    )
    number = pl.col("value").fill_nan(None)
    within = [*_SERIES, "bucket"]
    first_extreme = ((pl.col("place") == pl.col("place").get(number.arg_max()).over(within)).fill_null(value=False)) | (
        (pl.col("place") == pl.col("place").get(number.arg_min()).over(within)).fill_null(value=False)
    )
    keeps = (
        first_extreme | (pl.col("place") == 0) | (pl.col("place") == pl.col("whole") - 1) | (pl.col("whole") <= size)
    )
    return marked.filter(keeps).drop("place", "whole", "bucket")


def between(frame: pl.LazyFrame, steps: Steps) -> pl.LazyFrame:
    """Keep the points at the steps wanted; QueryError for what is neither a pair nor a range.

    >>> frame = pl.LazyFrame({"step": range(6)})
    >>> [between(frame, steps).collect()["step"].to_list() for steps in ((2, None), range(1, 6, 2))]
    [[2, 3, 4, 5], [1, 3, 5]]
    """
    if steps is None:
        return frame
    if isinstance(steps, range):
        ascending = steps if steps.step > 0 else steps[::-1]
        inside = pl.col("step").is_between(ascending.start, ascending.stop, closed="left")
        return frame.filter(inside & ((pl.col("step") - ascending.start) % ascending.step == 0))
    pair = isinstance(steps, tuple | list) and len(steps) == 2  # noqa: PLR2004
    if not pair or not all(step is None or arguments.is_number(step) for step in steps):
        raise QueryError(f"steps={steps!r}; accepted are (first, last), numbers or None, or a range")
    first, last = steps
    if first is not None:
        frame = frame.filter(pl.col("step") >= _step(first))
    return frame if last is None else frame.filter(pl.col("step") <= _step(last))


def _step(number: Any) -> int | float:
    """Return a number as a plain one, exact if it is an integer."""
    return operator.index(number) if hasattr(type(number), "__index__") else arguments.number("steps", number)
