"""Curves for the page: every point where that is few, else the smallest and the largest of each bucket of x.

Buckets stand on one grid for all curves of a chart, so that spikes stay and one array of x serves all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.errors import QueryError
from tracklake.plots import binning, titles
from tracklake.ui import group_labels, replies, run_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tracklake.lake.lake import Lake
    from tracklake.ui.parameters import Parameters
    from tracklake.ui.replies import Reply
    from tracklake.ui.sources import Source

    Floats = NDArray[Any]

RUNS = 200
"""Curves of one chart at most; a chart of more is a chart of groups."""
POINTS = 20_000_000
"""Points read for one chart at most."""
BUCKETS = 1_000
MARKS = 100
"""Marks of values that are not finite, of one curve."""


class Series(NamedTuple):
    """The points of one run in order of x, which is finite."""

    run_id: str
    x: Floats
    y: Floats


def chart(source: Source, parameters: Parameters) -> Reply:
    """Return the curves of a metric in blocks: x, then y of each run.

    Parameters: those that choose runs, metric, x ("step", "time", "relative" or a metric), low and high (the part of x
    to show), buckets, stream. The header says: runs, names, n_runs (all that are chosen), n_read (those within the
    limit), exact (or bucketed), points, n_nan, n_inf and the first x of both (odd_at) of each run, first and last x.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> chart(Source(example(), name="lake"), Parameters([("metric", "loss")])).content_type
    'application/octet-stream'
    """
    metric, x = parameters.needed("metric"), parameters.text("x") or "step"
    stream = parameters.text("stream") or "metrics"
    question = run_rows.read_question(source, parameters, columns=("name",))
    rows = run_rows.table(source, question)
    drawn = rows.head(RUNS)
    key = ("history", metric, x, stream, tuple(drawn["run_id"]))
    series = source.cached(key, lambda: _read(source, metric, x=x, stream=stream, run_ids=drawn["run_id"].to_list()))
    low, high = parameters.number("low"), parameters.number("high")
    buckets = parameters.integer("buckets", default=BUCKETS, least=10, most=10_000)
    cut = [_between(one, low, high) for one in series]
    grid, ys, is_exact = gridded(cut, buckets=buckets, low=low, high=high)
    names = dict(zip(drawn["run_id"], drawn["name"], strict=True))
    header = {
        "metric": metric,
        "x": x,
        "runs": [one.run_id for one in series],
        "names": [names[one.run_id] for one in series],
        "n_runs": rows.height,
        "n_read": drawn.height,
        "exact": is_exact,
        "buckets": 0 if is_exact else buckets,
        "points": [len(one.x) for one in cut],
        "n_nan": [int(np.isnan(one.y).sum()) for one in cut],
        "n_inf": [int(np.isinf(one.y).sum()) for one in cut],
        "odd_at": [one.x[~np.isfinite(one.y)][:MARKS].tolist() for one in cut],
        "range": _range(series),
    }
    return replies.blocks(header, [grid, *(y.astype(np.float32 if _fits(y) else np.float64) for y in ys)])


def _fits(y: Floats) -> bool:
    """Tell whether single precision shows these values as well: nothing so large that integers would be lost."""
    finite = y[np.isfinite(y)]
    return not len(finite) or float(np.abs(finite).max()) < 2**24


def _range(series: Sequence[Series]) -> list[float] | None:
    ends = [(float(one.x[0]), float(one.x[-1])) for one in series if len(one.x)]
    return [min(low for low, _ in ends), max(high for _, high in ends)] if ends else None


def _read(source: Source, metric: str, *, x: str, stream: str, run_ids: list[str]) -> list[Series]:
    if not run_ids:
        return []
    with source.reading() as lake:
        frame = _history(lake, metric, x=x, stream=stream, run_ids=run_ids)
    frame = frame.filter(pl.col("x").is_finite())
    parts = frame.partition_by("run_id", as_dict=True, maintain_order=True, include_key=False)
    series = []
    for run_id in run_ids:
        part = parts.get((run_id,))
        if part is not None and part.height:
            series.append(_ordered(run_id, part))
    return series


def _ordered(run_id: str, part: pl.DataFrame) -> Series:
    x, y = part["x"].to_numpy(), part["value"].to_numpy()
    if len(x) > 1 and (np.diff(x) < 0).any():
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    return Series(run_id, x, y)


def _history(lake: Lake, metric: str, *, x: str, stream: str, run_ids: list[str]) -> pl.DataFrame:
    """Return run_id, x and value of a metric's points."""
    if stream == "system":
        frame = lake.history([metric], runs=run_ids, stream="system")
    else:
        as_axis = None if x in ("step", "time", "relative") else x
        frame = lake.history([metric], runs=run_ids, limit=POINTS, x=as_axis)
    if "value" not in frame.columns or (frame.height and frame["value"].null_count() == frame.height):
        raise QueryError(f"{metric} has no numbers to draw; its values are shown on the page of a run")
    seconds = pl.col("time").dt.epoch("us") / 1e6
    axes = {"step": pl.col("step"), "time": seconds, "relative": seconds - seconds.min().over("run_id")}
    axis = axes.get(x, pl.col("x"))
    return frame.select(
        "run_id", axis.cast(pl.Float64).alias("x"), pl.col("value").cast(pl.Float64).fill_null(float("nan"))
    )


def _between(one: Series, low: float | None, high: float | None) -> Series:
    """Return the points within bounds, with one neighbour on either side so that lines run to the edge."""
    if low is None and high is None:
        return one
    first = 0 if low is None else max(0, int(np.searchsorted(one.x, low)) - 1)
    end = len(one.x) if high is None else min(len(one.x), int(np.searchsorted(one.x, high, side="right")) + 1)
    return Series(one.run_id, one.x[first:end], one.y[first:end])


def gridded(
    series: Sequence[Series], *, buckets: int, low: float | None = None, high: float | None = None
) -> tuple[Floats, list[Floats], bool]:
    """Return one x for all series, the y of each on it (NaN: nothing there), and whether that is every point.

    All points are kept where there are at most twice as many different x as buckets. Else each bucket has two places,
    of which the first holds what came first of its smallest and largest value.

    >>> import numpy as np
    >>> x, (y,), exact = gridded([Series("a", np.arange(4.0), np.array([1.0, 5.0, 0.0, 2.0]))], buckets=2)
    >>> x.tolist(), y.tolist(), exact
    ([0.0, 1.0, 2.0, 3.0], [1.0, 5.0, 0.0, 2.0], True)
    """
    filled = [one for one in series if len(one.x)]
    if not filled:
        return np.empty(0), [np.empty(0) for _ in series], True
    if max(len(one.x) for one in filled) <= 2 * buckets:
        grid = np.unique(np.concatenate([one.x for one in filled]))
        if len(grid) <= 2 * buckets:
            return grid, [_placed(one, grid) for one in series], True
    first = min(float(one.x[0]) for one in filled) if low is None else low
    last = max(float(one.x[-1]) for one in filled) if high is None else high
    edges = np.linspace(first, last, buckets + 1)
    width = edges[1] - edges[0]
    grid = (edges[:-1, None] + np.array([0.25, 0.75]) * width).ravel()
    return grid, [_bucketed(one, first=first, width=width, buckets=buckets) for one in series], False


def _placed(one: Series, grid: Floats) -> Floats:
    y = np.full(len(grid), np.nan)
    y[np.searchsorted(grid, one.x)] = one.y
    return y


def _bucketed(one: Series, *, first: float, width: float, buckets: int) -> Floats:
    """Return the two extremes of each bucket in the order in which they came."""
    y = np.full(2 * buckets, np.nan)
    is_inside = np.isfinite(one.y)
    at = np.clip(((one.x[is_inside] - first) / (width or 1.0)).astype(np.int64), 0, buckets - 1)
    values = one.y[is_inside]
    if not len(values):
        return y
    starts = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    places = at[starts]
    smallest, largest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    sizes = np.diff(np.r_[starts, len(values)])
    where_small = _first_index(values, np.repeat(smallest, sizes), starts)
    where_large = _first_index(values, np.repeat(largest, sizes), starts)
    rises = where_small <= where_large
    y[2 * places] = np.where(rises, smallest, largest)
    y[2 * places + 1] = np.where(rises, largest, smallest)
    return y


def _first_index(values: Floats, wanted: Floats, starts: Floats) -> Floats:
    """Return for each group of adjacent values the first index at which it equals what is wanted."""
    indices = np.where(values == wanted, np.arange(len(values)), len(values))
    return np.minimum.reduceat(indices, starts)


def bands(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return groups of runs on one x, by `lake.learning_curves`: n, mean, median, low, high at each x.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> found = bands(Source(example(), name="lake"), Parameters([("metric", "loss"), ("by", "config.lr")]))
    >>> found["labels"], found["groups"][0]["median"]
    (['0.01', '0.1'], [2.0, 1.0, 0.5])
    """
    metric, by, x = parameters.needed("metric"), parameters.texts("by"), parameters.text("x")
    question = run_rows.read_question(source, parameters, columns=("name",))

    def read() -> dict[str, Any]:
        with source.reading() as lake:
            runs = None if question.where is None and question.project is None else run_rows.table(source, question)
            axis = None if x in (None, "step") else "time" if x in ("relative", "time") else x
            frame = lake.learning_curves(metric, by=by, x=axis, runs=runs, points=400)
        groups, labels = [], []
        for key, part in frame.partition_by(by, as_dict=True, maintain_order=True).items():
            labels.append(group_labels.label(key))
            groups.append({name: part[name].to_list() for name in ("x", "n", "mean", "median", "low", "high")})
        return {"metric": metric, "by": by, "labels": labels, "groups": groups}

    return source.cached(("bands", metric, x, tuple(by), question), read)  # type: ignore[no-any-return]


def values(source: Source, parameters: Parameters) -> Reply:
    """Return columns of all chosen runs in blocks of float64, for clouds and parallel axes.

    A column of text becomes codes, and its words stand in the header, as do which statistic of a metric it shows and
    whether an axis of it reads better in logarithms; times are epoch seconds.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> values(Source(example(), name="lake"), Parameters([("col", "config.lr"), ("col", "state")])).status
    200
    """
    question = run_rows.newest_first(run_rows.read_question(source, parameters))
    if question.columns is None or not parameters.texts("col"):
        raise QueryError("the address lacks col=...: the columns to draw")
    frame = run_rows.table(source, question)
    with source.reading() as lake:
        series = lake._view.series  # noqa: SLF001 - the page is another face of the lake
    arrays, columns = [], []
    for name in question.columns:
        array, words = _coded(frame[name])
        arrays.append(array)
        kind = replies.type_of(frame[name].dtype)
        log = kind == "number" and binning.wants_log(frame[name])
        columns.append(
            {"name": name, "type": kind, "words": words, "log": log, "statistic": titles.statistic(series, name)}
        )
    states = frame["state"].to_list()
    header = {
        "columns": columns,
        "run_ids": frame["run_id"].to_list(),
        "names": frame["name"].to_list() if frame["name"].to_list() != frame["run_id"].to_list() else None,
        "unfinished": [i for i, state in enumerate(states) if state != "finished"],
        "states": {state: states.count(state) for state in sorted(set(states))},
    }
    return replies.blocks(header, arrays)


def _coded(series: pl.Series) -> tuple[Floats, list[str] | None]:
    if series.dtype.is_numeric():
        return series.cast(pl.Float64).fill_null(float("nan")).to_numpy(), None
    if isinstance(series.dtype, pl.Datetime):
        return (series.dt.epoch("ms").cast(pl.Float64) / 1000).fill_null(float("nan")).to_numpy(), None
    texts = series.cast(pl.String) if not isinstance(series.dtype, pl.List) else series.list.join(", ")
    words = texts.drop_nulls().unique().sort()
    codes = texts.replace_strict(words, list(range(len(words))), default=None, return_dtype=pl.Float64)
    return codes.fill_null(float("nan")).to_numpy(), words.to_list()
