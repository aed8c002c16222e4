"""Marks: aggregated frames as pictures in the language of Vega-Lite 6, in one style.

They are written down as it defines them (https://vega.github.io/vega-lite/docs/): what altair would make of the same,
and it takes longer to load than all else. The tests hold them against its schema.
"""

from __future__ import annotations

import json
import textwrap
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import selectors as cs

from tracklake.common.lazy_numpy import np
from tracklake.display.labels import short_name
from tracklake.plots import binning, encodings
from tracklake.plots.encodings import Axis, Legend

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 560, 320
_TITLE_WIDTH, _NOTE_WIDTH = 76, 100
_DOTTED = 24
"""Places of a line up to which each has a marker."""
_MARKERS = 8
"""Markers of a longer line."""
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_STYLE = {
    "background": "white", "padding": 12, "font": "sans-serif",
    "view": {"stroke": None, "continuousWidth": WIDTH, "continuousHeight": HEIGHT, "discreteWidth": WIDTH,
             "discreteHeight": HEIGHT},
    "title": {"anchor": "start", "frame": "group", "fontSize": 15, "offset": 14, "subtitleColor": "#666",
              "subtitleFontSize": 11, "subtitlePadding": 6, "subtitleLineHeight": 14},
    "axis": {"gridColor": "#e8e8e8", "domainColor": "#999", "tickColor": "#999", "labelColor": "#444",
             "labelFontSize": 11, "labelLimit": 240, "titleColor": "#222", "titleFontSize": 12,
             "titleFontWeight": "normal", "titlePadding": 8},
    "legend": {"labelLimit": 320, "labelFontSize": 11, "titleLimit": 320, "titleFontSize": 12,
               "titleFontWeight": "normal"},
}  # fmt: skip
_SMALL = 500
"""Dots from which on they are drawn smaller."""

# Translucent marks say so by fillOpacity and strokeOpacity: by opacity each becomes a layer of its own, and the PNG of
# 300 lines takes 18 seconds in place of one.
Chart = dict[str, Any]
"""A picture, or a layer of one, as Vega-Lite has it."""


def values(data: pl.DataFrame) -> Chart:
    """Return the rows of a frame as the data of a chart; a number that is not finite is none.

    >>> from datetime import datetime
    >>> values(pl.DataFrame({"x": [1.0, float("nan")], "at": [None, datetime(2026, 1, 31)]}))["values"]
    [{'x': 1.0, 'at': None}, {'x': None, 'at': '2026-01-31T00:00:00.000'}]
    """
    numbers = pl.col(pl.Float32, pl.Float64)
    sound = pl.when(numbers.is_finite()).then(numbers)
    return {"values": data.with_columns(sound, cs.temporal().dt.strftime("%Y-%m-%dT%H:%M:%S%.3f")).to_dicts()}


def mark(kind: str, encoding: Chart, **settings: Any) -> Chart:
    """Return a layer of one kind of marks.

    >>> mark("line", {"x": {"field": "step"}}, strokeWidth=2)
    {'mark': {'type': 'line', 'strokeWidth': 2}, 'encoding': {'x': {'field': 'step'}}}
    """
    return {"mark": {"type": kind, **settings}, "encoding": encoding}


def lines(data: pl.DataFrame, *, x: Axis, y: Axis, legend: Legend, banded: bool) -> Chart:
    """Draw a line a group, and the band around it: group, x, n, middle, low, high.

    >>> data = pl.DataFrame({"group": ["a"], "x": [0.0], "n": [2], "middle": [0.5], "low": [0.4], "high": [0.6]})
    >>> chart = lines(data, x=Axis("step"), y=Axis("loss"), legend=Legend("lr", ["a"]), banded=True)
    >>> [layer["mark"]["type"] for layer in chart["layer"]]
    ['area', 'line', 'point', 'circle']
    """
    up = y.around(data["low"], data["high"])
    shared = {"x": encodings.position("x", x.around(data["x"])), "color": encodings.groups(legend)}
    named = {"group": legend.title, "x": x.title, "middle": y.title, "low": "low", "high": "high", "n": "runs"}
    middle = shared | {"y": encodings.position("middle", up, "y")}
    bounds = shared | {"y": encodings.position("low", up, "y"), "y2": {"field": "high"}}
    band = [mark("area", bounds, fillOpacity=0.14)]
    if len(legend.names) > 1:  # where bands overlap one sees which is which by their outlines
        edges = ({"y": encodings.position(name, up, "y")} for name in ("low", "high"))
        band += [mark("line", shared | edge, strokeWidth=0.8, strokeOpacity=0.5) for edge in edges]
    line = mark("line", middle | {"strokeDash": encodings.dashes(legend)}, strokeWidth=2)
    return {"data": values(data), "layer": [*(band if banded else []), line, *_points(data, middle, legend, named)]}


def _points(data: pl.DataFrame, at: Chart, legend: Legend, named: dict[str, str]) -> list[Chart]:
    """Return the markers of the groups, few of each, and what a pointer shows at every place."""
    tips = at | {"tooltip": encodings.tips(data, named)}
    markers = at | {"shape": encodings.shapes(legend)}
    marked = mark("point", markers, filled=True, size=44, opacity=1)
    return [{"data": values(_sampled(data)), **marked}, mark("circle", tips, size=60, opacity=0)]


def _sampled(data: pl.DataFrame) -> pl.DataFrame:
    """Keep all places of short lines, of longer ones some, spread, and not at the same x for every group."""
    n, number = pl.len().over("group"), pl.int_range(pl.len()).over("group")
    every = (n / _MARKERS).ceil().cast(pl.Int64)
    shift = (pl.col("group").rank("dense") * 2 + 1) * every // 5
    return data.filter((n <= _DOTTED) | (number % every == shift % every))


def stairs(data: pl.DataFrame, *, x: Axis, y: Axis, legend: Legend) -> Chart:
    """Draw a staircase a group: group, x, share, n.

    >>> data = pl.DataFrame({"group": ["a"], "x": [0.9], "share": [1.0], "n": [2]})
    >>> chart = stairs(data, x=Axis("acc"), y=Axis("share of runs"), legend=Legend("lr", ["a"]))
    >>> [layer["mark"]["type"] for layer in chart["layer"]]
    ['line', 'point', 'circle']
    """
    share = encodings.position("share", y._replace(percent=True, domain=(0, 1)), "y")
    shared = {"x": encodings.position("x", x.around(data["x"])), "y": share, "color": encodings.groups(legend)}
    tips = encodings.tips(data, {"group": legend.title, "x": x.title, "n": "runs"})
    tips.append(encodings.channel("share", "Q", format=".1%"))
    order = {"strokeDash": encodings.dashes(legend), "order": encodings.channel("share", "Q")}
    line = mark("line", shared | order, strokeWidth=2, interpolate="step-after")
    marked = mark("point", shared | {"shape": encodings.shapes(legend)}, filled=True, size=40, opacity=1)
    pointed = mark("circle", shared | {"tooltip": tips}, size=60, opacity=0)
    return {"data": values(data), "layer": [line, {"data": values(_sampled(data)), **marked}, pointed]}


def dots(data: pl.DataFrame, *, x: Axis, y: Axis, color: Axis | Legend | None) -> Chart:
    """Draw a dot a run: run, x, y, and color where there is one; hollow where the column finished is false.

    >>> data = pl.DataFrame({"run": ["a"], "x": [0.1], "y": [0.5]})
    >>> dots(data, x=Axis("lr"), y=Axis("loss"), color=None)["mark"]["type"]
    'point'
    """
    named = {"run": "run", "x": x.title, "y": y.title, **({"color": color.title} if color else {})}
    spread = pl.Series("beside", np.arange(data.height) * binning.GOLDEN % 1)
    encoding = {
        "x": encodings.place("x", x.around(data["x"]), data),
        "y": encodings.place("y", y.around(data["y"]), data),
        "color": encodings.color(color),
        "tooltip": encodings.tips(data, named),
        **{f"{side}Offset": encodings.beside() for side in "xy" if encodings.kind(data, side) == "N"},
    }
    if isinstance(color, Legend):
        encoding["shape"] = encodings.shapes(color, "color")
    if "finished" in data.columns:  # a hollow dot has the stroke of its colour, and no fill
        encoding["fill"] = encodings.color(color)
        encoding["fillOpacity"] = encodings.either("datum.finished", {"value": 0.75}, 0)
    size = 48 if data.height <= _SMALL else 22
    dot = mark("point", encoding, filled=False, size=size, opacity=1, fillOpacity=0.75, strokeWidth=1.4)
    return {"data": values(data.with_columns(spread)), **dot}


def tiles(data: pl.DataFrame, *, x: Axis, y: Axis, color: Axis | Legend, written: bool = False) -> Chart:
    """Draw a tile a cell of two axes: x, (x_end), y, (y_end), n, value; written=True writes the values into them.

    >>> data = pl.DataFrame({"x": [0.1], "y": [3], "n": [2], "value": [0.5]})
    >>> chart = tiles(data, x=Axis("lr"), y=Axis("depth"), color=Axis("loss"), written=True)
    >>> [layer["mark"]["type"] for layer in chart["layer"]]
    ['rect', 'text']
    """
    edges = encodings.sides("x", x, data) | encodings.sides("y", y, data)
    tips = encodings.tips(data, {"value": color.title, "n": "runs"})
    rects = mark(
        "rect", edges | {"color": encodings.color(color, "value"), "tooltip": tips}, stroke="white", strokeWidth=0.5
    )
    if not written or isinstance(color, Legend):
        return {"data": values(data), "layer": [rects]}
    middles = _with_middles(data, {"x": x, "y": y})
    at = encodings.sides("x", x, middles, among=data) | encodings.sides("y", y, middles, among=data)
    ink = encodings.either(_is_bright(data["value"], color), {"value": "black"}, "white")
    numbers = mark("text", at | {"text": encodings.channel("value", "Q", format=".3~g"), "color": ink}, fontSize=11)
    return {"data": values(data), "layer": [rects, {"data": values(middles), **numbers}]}


def threads(data: pl.DataFrame, *, ticks: pl.DataFrame, titles: Sequence[str], color: Axis) -> Chart:
    """Draw a line a run across upright axes: run, axis (its number), at (0 to 1), color, strong.

    ticks: axis, at, label.

    >>> data = pl.DataFrame({"run": "a", "axis": [0, 1], "at": [0.0, 1.0], "color": 0.9, "strong": True})
    >>> ticks = pl.DataFrame({"axis": [0, 1], "at": [0.0, 1.0], "label": ["0.1", "0.9"]})
    >>> chart = threads(data, ticks=ticks, titles=["lr", "acc"], color=Axis("acc"))
    >>> [layer["mark"]["type"] for layer in chart["layer"]]  # the faint, the strong, and their numbers on white
    ['line', 'line', 'text', 'text']
    """
    named = [short_name(title, width=22) for title in titles]
    upright = {
        "values": list(range(len(titles))), "labelExpr": f"{json.dumps(named)}[datum.value]", "grid": True,
        "gridColor": "#888", "domain": False, "ticks": False, "labelPadding": 10, "orient": "top", "title": None,
        "labelFontSize": 12,
        "labelOverlap": False, "labelFlush": False, "labelAngle": 0 if encodings.are_level(named) else -20,
        "labelColor": "#222",
    }  # fmt: skip
    foot = min(-0.12, float(ticks["at"].min() or 0.0) - 0.03)  # type: ignore[arg-type] # places
    across = {"domain": [0, max(len(titles) - 1, 1)], "nice": False, "padding": 0}
    at = {
        "x": encodings.channel("axis", "Q", scale=across, axis=upright),
        "y": encodings.channel("at", "Q", scale={"domain": [foot, 1.02], "nice": False}, axis=None),
    }
    tips = [encodings.channel("run", "N"), *encodings.tips(data, {"color": color.title})]
    line = at | {"detail": encodings.channel("run", "N"), "tooltip": tips}
    faint = mark("line", line, strokeWidth=0.7, strokeOpacity=0.25, color="#888")
    strong = mark("line", line | {"color": encodings.color(color)}, strokeWidth=1.4, strokeOpacity=0.8)
    written = at | {"text": encodings.channel("label", "N")}
    halo = mark("text", written, align="right", dx=-5, fontSize=10, stroke="white", strokeWidth=3, strokeOpacity=0.85)
    label = mark("text", written, align="right", dx=-5, fontSize=10, color="#222")
    layers = [only("!datum.strong", faint), only("datum.strong", strong)]
    return {"data": values(data), "layer": [*layers, *({"data": values(ticks), **part} for part in (halo, label))]}


def only(test: str, layer: Chart) -> Chart:
    """Return a layer of the rows that pass a test.

    >>> only("datum.front === 1", mark("circle", {}))["transform"]
    [{'filter': 'datum.front === 1'}]
    """
    return {"transform": [{"filter": test}], **layer}


def message(says: str) -> Chart:
    """Draw an empty picture that says why it is empty.

    >>> message("Nothing to draw: no run matches.")["mark"]["text"]
    ['Nothing to draw: no run matches.']
    """
    words = mark("text", {}, fontSize=13, color="#555", text=textwrap.wrap(says, 70))
    return {"data": {"values": [{}]}, **words, "width": WIDTH, "height": HEIGHT // 2}


def side_by_side(charts: Sequence[Chart]) -> Chart:
    """Put charts in two columns; one stays alone.

    >>> one = message("Nothing to draw.")
    >>> side_by_side([one]) is one, len(side_by_side([one, one])["concat"])
    (True, 2)
    """
    if len(charts) == 1:
        return charts[0]
    size = {"width": WIDTH * 3 // 5, "height": HEIGHT * 3 // 5}
    return {"concat": [chart | size for chart in charts], "columns": 2}


def finished(chart: Chart, *, title: str, notes: Sequence[str]) -> Chart:
    """Give a chart its title and the style that all share.

    >>> chart = finished(message("Nothing to draw."), title="loss", notes=["2 runs of 2 without loss."])
    >>> chart["title"]
    {'text': ['loss'], 'subtitle': ['2 runs of 2 without loss.']}
    """
    under = [line for note in notes for line in textwrap.wrap(note, _NOTE_WIDTH)]
    above = textwrap.wrap(title, _TITLE_WIDTH, max_lines=2, placeholder=" …")
    heading = {"text": above, **({"subtitle": under} if under else {})}
    return {"$schema": _SCHEMA, "config": deepcopy(_STYLE), "title": heading, **chart}


def _with_middles(data: pl.DataFrame, axes: dict[str, Axis]) -> pl.DataFrame:
    """Put x and y into the middle of their tile."""
    middles = []
    for side, axis in axes.items():
        if f"{side}_end" in data.columns:
            low, high = pl.col(side), pl.col(f"{side}_end")
            middles.append((low * high).sqrt().alias(side) if axis.log else low + (high - low) / 2)
    return data.with_columns(middles).drop("x_end", "y_end", strict=False)


def _is_bright(values: pl.Series, axis: Axis) -> str:
    """Return the condition under which a tile is so bright that black is read better than white."""
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type] # there are tiles
    middle = (low * high) ** 0.5 if axis.log else (low + high) / 2
    return f"datum.value {'<' if axis.reverse else '>='} {middle!r}"
