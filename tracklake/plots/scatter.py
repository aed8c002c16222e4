"""Pictures of a few numbers a run: scatter, heat map, shares of runs.

Each takes a frame with a row a run, its columns made ready by `ready`: a null is what cannot be drawn.
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from tracklake.common.text import number_of
from tracklake.display import labels
from tracklake.display.labels import OTHER, short_name
from tracklake.plots import binning, marks
from tracklake.plots.binning import MARKS, wants_log
from tracklake.plots.encodings import OKABE_ITO, Axis, Legend
from tracklake.plots.figure import Plot, empty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.plots.binning import Groups
    from tracklake.schema.definition_statement import Goal

_CELLS = {"x": 60, "y": 40}
"""Cells along each axis in which runs are counted when they are too many to be drawn."""
_TILES = 12
"""Bins of a heat map's axis."""
_WRITTEN = 150
"""Tiles up to which their values are written into them."""


def ready(name: str, values: pl.Series) -> tuple[str, pl.Series]:
    """Return the title of a column and its values: numbers are finite or null, bools and lists text, null "null".

    Times within a minute are the seconds from the first: an axis of times would have a label or two for them.

    >>> ready("config.bias", pl.Series([True, None]))[1].to_list()
    ['true', 'null']
    """
    if values.null_count() == len(values):
        return short_name(name), pl.Series([None] * len(values), dtype=pl.Float64)
    if values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
        numbers = numbers.zip_with(numbers.is_finite().fill_null(value=False), numbers.clear(1))
        factor, unit = labels.time_unit(numbers) if name in ("runtime", "summary._runtime") else (1.0, "")
        return f"runtime ({unit})" if unit else short_name(name), numbers / factor
    if values.dtype.is_temporal():
        return _timed(short_name(name), values)
    text = values.cast(pl.List(pl.String)).list.join(", ") if values.dtype.is_nested() else values.cast(pl.String)
    return short_name(name), text.fill_null("null")


def _timed(title: str, values: pl.Series) -> tuple[str, pl.Series]:
    """Say in which zone times are, as tables do; those within a minute become seconds."""
    zone = getattr(values.dtype, "time_zone", None) or ""
    first, last = values.min(), values.max()
    if not (
        isinstance(first, dt.datetime) and isinstance(last, dt.datetime) and last - first < dt.timedelta(minutes=1)
    ):
        return f"{title} ({zone})" if zone else title, values
    start = first.replace(microsecond=0)
    seconds = (values - start).dt.total_microseconds() / 1e6
    return f"{title}, seconds from {start:%Y-%m-%d %H:%M:%S} {zone}".rstrip(), seconds


def scatter(
    frame: pl.DataFrame, titles: Mapping[str, str], *, log: Mapping[str, bool | None], legend: Legend | None = None
) -> Plot:
    """Draw a dot a run (run, x, y, maybe color and finished); where they are too many, tiles that count them.

    >>> runs = pl.DataFrame({"run": ["slow", "fast"], "x": [0.01, 0.1], "y": [0.5, 0.25]})
    >>> scatter(runs, {"x": "lr", "y": "loss"}, log={"x": None, "y": None})
    Plot('loss over lr', 2 rows)
    """
    title = f"{titles['y']} over {titles['x']}"
    complete = frame.drop_nulls(["x", "y"])
    notes = _lacking(frame, complete, f"{titles['x']} or {titles['y']}")
    if complete.is_empty():
        return empty(title, notes=notes, because="no run has both" if frame.height else "no run matches")
    if complete.height > MARKS:
        return _counted(complete, title, titles, log=log, notes=notes)
    axes = {side: _side(titles[side], complete[side], log=log[side]) for side in ("x", "y")}
    color = legend or (_colors(titles["color"], complete["color"]) if "color" in titles else None)
    if isinstance(color, Legend) and legend is None:
        complete = complete.with_columns(binning.most_frequent(complete["color"], limit=len(OKABE_ITO)).alias("color"))
    if "finished" in complete.columns and not complete["finished"].all():
        ended = complete.filter(~pl.col("finished")).height
        notes = [*notes, f"Hollow: {number_of(ended, 'run')} of {complete.height:,} that did not finish."]
    return Plot(title, data=complete, draw=partial(marks.dots, x=axes["x"], y=axes["y"], color=color), notes=notes)


def _counted(
    shown: pl.DataFrame, title: str, titles: Mapping[str, str], *, log: Mapping[str, bool | None], notes: list[str]
) -> Plot:
    """Draw tiles in place of dots: how many runs lie there, or the middle (of text the most frequent) color."""
    sides = {side: binning.binned(shown[side], size=size, log=log[side]) for side, size in _CELLS.items()}
    axes = {side: Axis(titles[side], cut.log) for side, cut in sides.items()}
    if "color" not in titles:
        data = binning.cells(sides["x"], sides["y"], None)
        color: Axis | Legend = Axis("runs", wants_log(data["value"]))
        note = f"Tiles count {number_of(shown.height, 'run')}."
    else:
        color = _colors(titles["color"], shown["color"])
        values = (
            shown["color"] if isinstance(color, Axis) else binning.most_frequent(shown["color"], limit=len(OKABE_ITO))
        )
        data = binning.cells(sides["x"], sides["y"], values)
        middle = "median" if isinstance(color, Axis) else "most frequent"
        note = f"{number_of(shown.height, 'run')} in tiles, coloured by the {middle} {titles['color']} there."
    return Plot(
        title, data=data, draw=partial(marks.tiles, x=axes["x"], y=axes["y"], color=color), notes=[note, *notes]
    )


def heatmap(frame: pl.DataFrame, titles: Mapping[str, str], *, goal: Goal | None) -> Plot:
    """Draw the median of a number (run, x, y, value) in each cell of two columns; by a goal, bright is good.

    >>> runs = pl.DataFrame({"run": ["a", "b"], "x": [0.1, 0.1], "y": [3, 3], "value": [2.0, 4.0]})
    >>> heatmap(runs, {"x": "lr", "y": "depth", "value": "loss"}, goal="min").data.rows()
    [(0.1, 3.0, 2, 3.0)]
    """
    title = f"{titles['value']} over {titles['x']} and {titles['y']}"
    complete = frame.drop_nulls(["x", "y", "value"])
    notes = _lacking(frame, complete, f"{titles['x']}, {titles['y']} or {titles['value']}")
    if complete.is_empty():
        return empty(title, notes=notes, because="no run has all three" if frame.height else "no run matches")
    x, y = (binning.binned(complete[side], size=_TILES) for side in ("x", "y"))
    data = binning.cells(x, y, complete["value"])
    color = Axis(titles["value"], wants_log(data["value"]), reverse=goal == "min")
    note = f"Tiles: median of {number_of(complete.height, 'run')}{', the brighter the better' if goal else ''}."
    draw = partial(
        marks.tiles,
        x=Axis(titles["x"], x.log),
        y=Axis(titles["y"], y.log),
        color=color,
        written=data.height <= _WRITTEN,
    )
    return Plot(title, data=data, draw=draw, notes=[note, *notes])


def shares(
    frame: pl.DataFrame, titles: Mapping[str, str], *, groups: Groups, goal: Goal | None, log: bool | None
) -> Plot:
    """Draw which share of each group's runs (run, value) reaches a value.

    >>> runs = pl.DataFrame({"run_id": ["a", "b"], "value": [0.6, 0.8]})
    >>> found = shares(runs, {"value": "acc"}, groups=binning.together(runs), goal="max", log=None)
    >>> found.data.select("x", "share").rows()
    [(0.8, 0.5), (0.6, 1.0)]
    """
    title = f"Share of runs that reach a {titles['value']}" + (f", by {titles['group']}" if "group" in titles else "")
    complete = frame.drop_nulls("value")
    notes = [*groups.notes, *_lacking(frame, complete, titles["value"])]
    grouped = complete.join(groups.frame, on="run_id", maintain_order="left")
    if grouped.is_empty():
        none = "no run has a finite number of it" if frame.height else "no run matches"
        return empty(title, notes=notes, because=none)
    data = binning.shares(grouped.select("group", "value"), reaching=goal)
    y = Axis(f"share of runs with {titles['value']} {'≥' if goal == 'max' else '≤'} x")
    legend = groups.legend(titles.get("group", ""))
    draw = partial(marks.stairs, x=Axis(titles["value"], _is_log(data["x"], log)), y=y, legend=legend)
    return Plot(title, data=data, draw=draw, notes=notes)


def _colors(title: str, values: pl.Series) -> Axis | Legend:
    """Return the scale of colours for numbers, or the legend for names."""
    if values.dtype.is_numeric():
        return Axis(title, wants_log(values))
    names = binning.most_frequent(values, limit=len(OKABE_ITO)).unique()
    return Legend(title, sorted(names, key=lambda name: (name == OTHER, name)))


def _side(title: str, values: pl.Series, *, log: bool | None) -> Axis:
    """Return an axis of dots."""
    if not _is_log(values, log):
        return Axis(title)
    return Axis(title, log=True).around(values)


def _is_log(values: pl.Series, log: bool | None) -> bool:  # noqa: FBT001 - as the caller asked, or not
    return (values.dtype.is_numeric() and wants_log(values)) if log is None else log


def _lacking(frame: pl.DataFrame, data: pl.DataFrame, what: str) -> list[str]:
    lost = frame.height - data.height
    return [f"Not drawn: {number_of(lost, 'run')} of {frame.height:,} without a finite {what}."] if lost else []
