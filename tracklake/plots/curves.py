"""Curves: metrics over steps, run by run or group by group with bands."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.text import number_of
from tracklake.display import labels
from tracklake.display.labels import short_name
from tracklake.plots import bands, binning, marks
from tracklake.plots.bands import PLACES
from tracklake.plots.binning import wants_log
from tracklake.plots.encodings import Axis, Legend
from tracklake.plots.figure import Plot, empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.plots.bands import Band
    from tracklake.plots.binning import Groups

FEW = 10
"""Runs up to which a band shows all of them."""
SINGLE = 12
"""Runs up to which curves that are not grouped are drawn one by one."""
_ROWS = 3_000
"""Rows of data a picture may have."""
_CELLS = 4_000_000
"""Places of all runs together that are held in memory."""
_BANDS = 5
"""Groups up to which their bands can be told apart."""
_READ = {
    "none": "Lines: median of the runs.",
    "range": "Lines: median of the runs. Bands: from the lowest run to the highest.",
    "deciles": "Lines: median of the runs. Bands: the middle 80 % of the runs.",
    "std": "Lines: mean of the runs. Bands: one standard deviation to either side.",
}


class Request(NamedTuple):
    """What is asked for: metrics over x, by columns."""

    metrics: Sequence[str]
    by: Sequence[str]
    x_title: str
    band: Band | None
    log_x: bool | None
    log_y: bool | None

    @property
    def title(self) -> str:
        """What stands above the picture.

        >>> Request(["val/loss"], ["config.lr"], "step", None, None, None).title
        'val/loss by lr'
        """
        names = " and ".join(short_name(name, width=60 // len(self.metrics)) for name in self.metrics)
        return f"{names} by {self.by_title}" if self.by else names

    @property
    def by_title(self) -> str:
        """What the colours stand for.

        >>> Request(["val/loss"], ["config.lr", "group"], "step", None, None, None).by_title
        'lr, group'
        """
        return ", ".join(short_name(column) for column in self.by)


def plot(request: Request, *, rows: pl.DataFrame, points: pl.DataFrame, among: pl.DataFrame | None = None) -> Plot:
    """Draw the points (run_id, metric, step, value, maybe x) of the runs (run_id, name, and the columns of `by`).

    >>> asked, rows = Request(["loss"], [], "step", None, None, None), pl.DataFrame({"run_id": ["a"], "name": ["slow"]})
    >>> points = pl.DataFrame({"run_id": "a", "metric": "loss", "step": [0, 1], "value": [2.0, 1.0]})
    >>> plot(asked, rows=rows, points=points).data.select("group", "x", "middle").rows()
    [('slow', 0.0, 2.0), ('slow', 1.0, 1.0)]
    """
    sound = points.filter(pl.col("value").is_finite())
    left_out = [*_without(rows, points, request.metrics), *_unsound(points, sound)]
    if sound.is_empty():
        return empty(
            request.title,
            notes=left_out,
            because="no run matches" if rows.is_empty() else "no finite number was logged",
        )
    logged = rows.join(sound, on="run_id", how="semi", maintain_order="left")
    groups = _groups(logged, request.by, among)
    most = int(groups.frame["group"].value_counts()["count"].max())  # type: ignore[arg-type] # there are runs
    band = request.band or _default_band(most, len(groups.names))
    placed, unit = _on_axis(sound, request.x_title)
    log_x = wants_log(placed["x"]) if request.log_x is None else request.log_x
    data = _data(placed, groups, band=band, log=log_x, metrics=request.metrics)
    notes = [*([_READ[band]] if most > 1 else []), *_thinning(data), *groups.notes, *left_out]
    legend = groups.legend(request.by_title or "run")
    x = Axis(f"{request.x_title.lstrip('_')}{unit}", log_x)
    draw = partial(_draw, x=x, legend=legend, log_y=request.log_y, banded=band != "none")
    return Plot(request.title, data=data, draw=draw, notes=notes)


def _draw(data: pl.DataFrame, *, x: Axis, legend: Legend, log_y: bool | None, banded: bool) -> marks.Chart:
    """Draw one picture a metric."""
    charts = []
    for (name,), part in data.partition_by("metric", as_dict=True, maintain_order=True).items():
        log = wants_log(pl.concat([part["low"], part["high"]])) if log_y is None else log_y
        charts.append(marks.lines(part, x=x, y=Axis(str(name), log), legend=legend, banded=banded))
    return marks.side_by_side(charts)


def _default_band(most: int, groups: int) -> Band:
    return "none" if groups > _BANDS else "range" if most <= FEW else "deciles"


def _thinning(data: pl.DataFrame) -> list[str]:
    """Say where a line goes on over fewer runs, since it may jump there."""
    fewer = data.filter(pl.col("n") < pl.col("n").max().over("metric", "group"))
    after = data.join(fewer.select("metric", "group"), on=["metric", "group"], how="semi")
    ends = after.filter(pl.col("n") < pl.col("n").cum_max().over("metric", "group"))
    return ["Runs end at different places: a line goes on over fewer of them, and may jump."] if ends.height else []


def _data(points: pl.DataFrame, groups: Groups, *, band: Band, log: bool, metrics: Sequence[str]) -> pl.DataFrame:
    """Return metric, group, x, n, middle, low, high."""
    size = min(PLACES, max(30, _ROWS // len(groups.names)))
    common = max(size, _CELLS // groups.frame.height)
    parts = []
    for name in metrics:
        part = points.filter(pl.col("metric") == name)
        if part.height:
            at = bands.places(part["x"], log=log, size=common)
            curves = bands.follow(part, groups.frame, at=at, band=band)
            drawn = (bands.thinned(c, size=size, log=log) for c in curves.partition_by("group", maintain_order=True))
            parts += [curve.select(pl.lit(name).alias("metric"), pl.all()) for curve in drawn]
    return pl.concat(parts)


def _groups(rows: pl.DataFrame, by: Sequence[str], among: pl.DataFrame | None) -> Groups:
    """Return the runs by their groups; where none are asked for, each run is one if they are few, else all together."""
    if by:
        return binning.grouped(rows, by, among=among)
    if rows.height <= SINGLE:
        return binning.single(rows)
    return binning.together(rows)


def _on_axis(points: pl.DataFrame, title: str) -> tuple[pl.DataFrame, str]:
    """Return run_id, metric, x, value in order of x, and the unit of x: that of its name, where it says seconds."""
    x = pl.col("x").fill_nan(None).fill_null(pl.col("step")) if "x" in points.columns else pl.col("step")
    placed = points.select("run_id", "metric", x.alias("x"), "value")
    if "x" in points.columns:
        placed = placed.sort("run_id", "metric", "x", maintain_order=True)
    if title != "_runtime":
        return placed, ""
    factor, unit = labels.time_unit(placed["x"])
    return placed.with_columns(pl.col("x") / factor), f" ({unit})"


def _without(rows: pl.DataFrame, points: pl.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Say how many of the runs lack a metric."""
    having = dict(points.group_by("metric").agg(pl.col("run_id").n_unique()).iter_rows())
    lacking = {name: rows.height - having.get(name, 0) for name in metrics}
    return [f"{number_of(n, 'run')} of {rows.height:,} without {short_name(name)}." for name, n in lacking.items() if n]


def _unsound(points: pl.DataFrame, sound: pl.DataFrame) -> list[str]:
    """Say how many values are not drawn because they are NaN, infinite or no numbers."""
    lost = points.height - sound.height
    if not lost:
        return []
    unsound = pl.col("value").is_finite().not_().fill_null(value=True)
    runs = points.filter(unsound)["run_id"].n_unique()
    note = f"Not drawn: {number_of(lost, 'value')} of {number_of(runs, 'run')}, NaN, infinite or no number."
    last = points.sort("step").group_by("run_id", "metric").agg(unsound.last().alias("diverged"))
    diverged = last.filter("diverged")["run_id"].n_unique()
    total = points["run_id"].n_unique()
    return [note, *([f"Diverged: {diverged:,} of {number_of(total, 'run')} ended so."] if diverged else [])]
