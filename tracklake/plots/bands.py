"""Bands: many curves as the middle and the spread of each group, over places that all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

Band = Literal["range", "deciles", "std", "none"]
"""What a band around the middle line spans: all runs, the middle 80 % of them, one standard deviation, or nothing."""

PLACES = 240
"""Places of the x axis at which a curve is drawn, at most."""


def places(x: pl.Series, *, log: bool, size: int) -> Floats:
    """Return the places of the x axis at which runs are aggregated: all that were logged, or `size` of them, spread.

    >>> places(pl.Series([3.0, 1.0, 3.0]), log=False, size=9).tolist()
    [1.0, 3.0]
    >>> places(pl.Series(range(1000)), log=False, size=3).tolist()
    [0.0, 500.0, 999.0]
    """
    distinct = x.unique().sort().to_numpy().astype(np.float64)
    if len(distinct) <= size:
        return distinct
    low, high = distinct[0], distinct[-1]
    even = np.geomspace(low, high, size) if log else np.linspace(low, high, size)
    nearest: Floats = distinct[np.unique(np.minimum(np.searchsorted(distinct, even), len(distinct) - 1))]
    return nearest


def follow(points: pl.DataFrame, groups: pl.DataFrame, *, at: Floats, band: Band) -> pl.DataFrame:
    """Follow each group of runs over the places `at`: group, x, n (runs), middle, low, high.

    points: run_id, x, value (finite), in order of x within a run; groups: run_id, group. A run's value at a place is
    its last one up to there, from its first place to its last: nothing is carried on beyond its end, and a run that is
    a group alone has its own places only. The middle is the median, for "std" the mean. A band is over the runs at one
    place: runs that are the same have none.

    >>> points = pl.DataFrame({"run_id": ["a", "a", "b"], "x": [0, 1, 0], "value": [1.0, 2.0, 5.0]})
    >>> groups = pl.DataFrame({"run_id": ["a", "b"], "group": ["g", "g"]})
    >>> follow(points, groups, at=np.array([0.0, 1.0]), band="range").rows()
    [('g', 0.0, 2, 3.0, 1.0, 5.0), ('g', 1.0, 1, 2.0, 2.0, 2.0)]
    """
    cells = _per_place(points, at)
    names = cells.runs.join(groups, on="run_id", how="left", maintain_order="left")["group"]
    parts = []
    for name in groups["group"].unique(maintain_order=True):
        value = _carried(cells, np.flatnonzero((names == name).fill_null(value=False).to_numpy()), len(at))
        n = np.isfinite(value).sum(axis=1)
        lowest, middle, highest = _band(band, value, n)
        parts.append(
            pl.DataFrame({"x": at, "n": n, "middle": middle, "low": lowest, "high": highest})
            .filter(pl.col("n") > 0)
            .select(pl.lit(name).alias("group"), pl.all())
        )
    return pl.concat(parts)


def thinned(curve: pl.DataFrame, *, size: int, log: bool) -> pl.DataFrame:
    """Keep at most about `size` places of one group's curve: of each stretch where it is lowest and where highest.

    So no outlier of a band is lost. The first and the last place stay.

    >>> curve = pl.DataFrame({"x": np.arange(100.0), "low": np.arange(100.0), "high": np.arange(100.0)})
    >>> thinned(curve, size=6, log=False)["x"].to_list()
    [0.0, 49.0, 50.0, 99.0]
    """
    if curve.height <= size:
        return curve
    x = pl.col("x").log() if log else pl.col("x")
    bins = max(size // 2 - 1, 1)
    share = (x - x.min()) / (x.max() - x.min())
    stretch = (share * bins).floor().cast(pl.Int64).clip(0, bins - 1)
    rows = curve.with_row_index("row").with_columns(stretch.alias("stretch"))
    ends = rows.group_by("stretch").agg(
        pl.col("row").get(pl.col("low").arg_min()).alias("lowest"),
        pl.col("row").get(pl.col("high").arg_max()).alias("highest"),
    )
    keep = pl.concat([ends["lowest"], ends["highest"], rows["row"].gather([0, -1])]).unique().sort()
    return curve[keep]


class _PerPlace(NamedTuple):
    """The points between two places as one: per (run, place) the last value."""

    runs: pl.DataFrame
    run: Ints
    place: Ints
    last: Floats


def _per_place(points: pl.DataFrame, at: Floats) -> _PerPlace:
    run = points["run_id"].rle_id().to_numpy().astype(np.int64)
    place = np.searchsorted(at, points["x"].to_numpy())
    value = points["value"].to_numpy()
    starts = np.flatnonzero(np.diff(run * len(at) + place, prepend=-1))
    last = np.append(starts[1:], len(run))[: len(starts)] - 1
    runs = points.select(pl.col("run_id").rle().struct.field("value").alias("run_id"))
    return _PerPlace(runs, run[starts], place[starts], value[last])


def _carried(cells: _PerPlace, runs: Ints, size: int) -> Floats:
    """Return the value of these runs, [place, run]; a place between two points has the value before."""
    row = np.full(int(cells.run.max(initial=-1)) + 1, -1)
    row[runs] = np.arange(len(runs))
    selected = np.flatnonzero(row[cells.run] >= 0)
    source = np.full((len(runs), size), -1)
    source[row[cells.run[selected]], cells.place[selected]] = selected
    measured = source >= 0
    last = size - 1 - np.argmax(measured[:, ::-1], axis=1)
    source = np.maximum.accumulate(source, axis=1)  # the positions rise along a run, so the largest is the last seen
    present = measured if len(runs) == 1 else (source >= 0) & (np.arange(size) <= last[:, None])
    return np.where(present, cells.last[source], np.nan).T


def _band(band: Band, value: Floats, n: Ints) -> tuple[Floats, Floats, Floats]:
    """Return (low, middle, high) of each place, over the runs that are there."""
    empty = n == 0
    if band == "std":
        count = np.maximum(n, 1)
        mean = np.nansum(value, axis=1) / count
        squares = np.nansum((value - mean[:, None]) ** 2, axis=1)
        spread = np.sqrt(squares / np.maximum(n - 1, 1))  # 0 for a single run
        return mean - spread, mean, mean + spread
    ranked = np.sort(value, axis=1)  # NaN last
    middle = _quantile(ranked, n, 0.5)
    if band == "deciles":
        return _quantile(ranked, n, 0.1), middle, _quantile(ranked, n, 0.9)
    lowest, highest = _quantile(ranked, n, 0.0), _quantile(ranked, n, 1.0)
    return np.where(empty, np.nan, lowest), middle, np.where(empty, np.nan, highest)


def _quantile(ranked: Floats, n: Ints, share: float) -> Floats:
    """Return a quantile of the first n of each row, interpolated linearly; NaN where n is 0."""
    at = share * np.maximum(n - 1, 0)
    row, below = np.arange(len(n)), at.astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    return ranked[row, below] + (at - below) * (ranked[row, above] - ranked[row, below])
