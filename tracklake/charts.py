"""Charts: aggregated frames drawn with altair, in one style."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tracklake import plot_data, scales
from tracklake.labels import short_name
from tracklake.scales import Axis, Legend

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 560, 320
_TITLE_WIDTH, _NOTE_WIDTH = 76, 100
_DOTTED = 24
"""Places of a line up to which each is marked with a dot."""
_SMALL = 500
"""Dots from which on they are drawn smaller."""

# Translucent marks say so by fillOpacity and strokeOpacity: by opacity each becomes a layer of its own, and the PNG of
# 300 lines takes 18 seconds in place of one.
Chart = Any
"""An altair chart of one of its many classes; `Any`, because altair is imported only when something is drawn."""


def lines(data: pl.DataFrame, *, x: Axis, y: Axis, legend: Legend, banded: bool) -> Chart:
    """Draw a line a group, and the band around it: group, x, n, middle, low, high.

    >>> data = pl.DataFrame({"group": ["a"], "x": [0.0], "n": [2], "middle": [0.5], "low": [0.4], "high": [0.6]})
    >>> chart = lines(data, x=Axis("step"), y=Axis("loss"), legend=Legend("lr", ["a"]), banded=True)
    >>> [layer.mark.type for layer in chart.layer]
    ['area', 'line', 'circle']
    """
    import altair as alt

    up = y.around(data["low"], data["high"])
    base = alt.Chart(data).encode(x=scales.position("x", x.around(data["x"])), color=scales.groups(legend))
    names = [
        ("group", legend.title),
        ("x", x.title),
        ("middle", y.title),
        ("low", "low"),
        ("high", "high"),
        ("n", "runs"),
    ]
    tips = [scales.tip(data, column, title) for column, title in names]
    band = base.mark_area(fillOpacity=0.16).encode(y=scales.position("low", up, "y"), y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(y=scales.position("middle", up, "y"), strokeDash=scales.dashes(legend))
    points = base.mark_circle(size=36, opacity=_dotted(data)).encode(y=scales.position("middle", up, "y"), tooltip=tips)
    return alt.layer(*([band] if banded else []), line, points)


def stairs(data: pl.DataFrame, *, x: Axis, y: Axis, legend: Legend) -> Chart:
    """Draw a staircase a group: group, x, share, n.

    >>> data = pl.DataFrame({"group": ["a"], "x": [0.9], "share": [1.0], "n": [2]})
    >>> chart = stairs(data, x=Axis("acc"), y=Axis("share of runs"), legend=Legend("lr", ["a"]))
    >>> [layer.mark.type for layer in chart.layer]
    ['line', 'circle']
    """
    import altair as alt

    share = scales.position("share", y._replace(percent=True, domain=(0, 1)), "y")
    base = alt.Chart(data).encode(x=scales.position("x", x.around(data["x"])), y=share, color=scales.groups(legend))
    tips = [
        scales.tip(data, column, title) for column, title in (("group", legend.title), ("x", x.title), ("n", "runs"))
    ]
    tips.append(alt.Tooltip("share:Q", format=".1%"))
    line = base.mark_line(strokeWidth=2, interpolate="step-after").encode(
        strokeDash=scales.dashes(legend), order=alt.Order("share:Q")
    )
    return alt.layer(line, base.mark_circle(size=36, opacity=_dotted(data)).encode(tooltip=tips))


def dots(data: pl.DataFrame, *, x: Axis, y: Axis, color: Axis | Legend | None) -> Chart:
    """Draw a dot a run: run, x, y, and color where there is one.

    >>> dots(pl.DataFrame({"run": ["a"], "x": [0.1], "y": [0.5]}), x=Axis("lr"), y=Axis("loss"), color=None).mark.type
    'circle'
    """
    import altair as alt

    named = [("run", "run"), ("x", x.title), ("y", y.title), *([("color", color.title)] if color else [])]
    beside = pl.Series("beside", np.arange(data.height) * plot_data.GOLDEN % 1)
    chart = alt.Chart(data.with_columns(beside)).mark_circle(
        size=48 if data.height <= _SMALL else 22, opacity=1, fillOpacity=0.75
    )
    return chart.encode(
        x=scales.place("x", x.around(data["x"]), data),
        y=scales.place("y", y.around(data["y"]), data),
        color=scales.color(color),
        tooltip=[scales.tip(data, column, title) for column, title in named],
        **({"xOffset": scales.beside()} if scales.kind(data, "x") == "N" else {}),
        **({"yOffset": scales.beside()} if scales.kind(data, "y") == "N" else {}),
    )


def tiles(data: pl.DataFrame, *, x: Axis, y: Axis, color: Axis | Legend, written: bool = False) -> Chart:
    """Draw a tile a cell of two axes: x, (x_end), y, (y_end), n, value; written=True writes the values into them.

    >>> data = pl.DataFrame({"x": [0.1], "y": [3], "n": [2], "value": [0.5]})
    >>> chart = tiles(data, x=Axis("lr"), y=Axis("depth"), color=Axis("loss"), written=True)
    >>> [layer.mark.type for layer in chart.layer]
    ['rect', 'text']
    """
    import altair as alt

    base = alt.Chart(data).encode(**scales.sides("x", x, data), **scales.sides("y", y, data))
    tips = [scales.tip(data, column, title) for column, title in (("value", color.title), ("n", "runs"))]
    drawn = base.mark_rect(stroke="white", strokeWidth=0.5).encode(color=scales.color(color, "value"), tooltip=tips)
    if not written or isinstance(color, Legend):
        return alt.layer(drawn)
    ink = alt.condition(_is_bright(data["value"], color), alt.value("black"), alt.value("white"))
    middles = _with_middles(data, {"x": x, "y": y})
    numbers = alt.Chart(middles).encode(
        **scales.sides("x", x, middles, among=data), **scales.sides("y", y, middles, among=data)
    )
    return alt.layer(drawn, numbers.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=".3~g"), color=ink))


def threads(data: pl.DataFrame, *, ticks: pl.DataFrame, titles: Sequence[str], color: Axis) -> Chart:
    """Draw a line a run across upright axes: run, axis (its number), at (0 to 1), color, strong.

    ticks: axis, at, label.

    >>> data = pl.DataFrame({"run": "a", "axis": [0, 1], "at": [0.0, 1.0], "color": 0.9, "strong": True})
    >>> ticks = pl.DataFrame({"axis": [0, 1], "at": [0.0, 1.0], "label": ["0.1", "0.9"]})
    >>> chart = threads(data, ticks=ticks, titles=["lr", "acc"], color=Axis("acc"))
    >>> [layer.mark.type for layer in chart.layer]  # the faint, the strong, and their numbers on white
    ['line', 'line', 'text', 'text']
    """
    import altair as alt

    names = json.dumps([short_name(title, width=22) for title in titles])
    upright = alt.Axis(
        values=list(range(len(titles))), labelExpr=f"{names}[datum.value]", grid=True, gridColor="#888", domain=False,
        ticks=False, labelPadding=10, orient="top", title=None, labelFontSize=12, labelOverlap=False, labelFlush=False,
        labelAngle=0 if len(titles) <= scales.UPRIGHT else -20, labelColor="#222",
    )  # fmt: skip
    x = alt.X("axis:Q", scale=alt.Scale(domain=[0, max(len(titles) - 1, 1)], nice=False, padding=0), axis=upright)
    y = alt.Y("at:Q", scale=alt.Scale(domain=[-0.12, 1.02], nice=False), axis=None)
    base = alt.Chart(data).encode(x=x, y=y, detail="run:N", tooltip=["run:N", scales.tip(data, "color", color.title)])
    faint = base.transform_filter("!datum.strong").mark_line(strokeWidth=0.7, strokeOpacity=0.25, color="#888")
    strong = (
        base.transform_filter("datum.strong")
        .mark_line(strokeWidth=1.4, strokeOpacity=0.8)
        .encode(color=scales.color(color))
    )
    scale = alt.Chart(ticks).encode(x=x, y=y, text="label:N")
    halo = scale.mark_text(align="right", dx=-5, fontSize=10, stroke="white", strokeWidth=3, strokeOpacity=0.85)
    return alt.layer(faint, strong, halo, scale.mark_text(align="right", dx=-5, fontSize=10, color="#222"))


def message(says: str) -> Chart:
    """Draw an empty picture that says why it is empty.

    >>> message("Nothing to draw: no run matches.").mark.text
    ['Nothing to draw: no run matches.']
    """
    import altair as alt

    words = alt.Chart(alt.Data(values=[{}])).mark_text(fontSize=13, color="#555", text=textwrap.wrap(says, 70))
    return words.properties(width=WIDTH, height=HEIGHT // 2)


def side_by_side(charts: Sequence[Chart]) -> Chart:
    """Put charts in two columns; one stays alone.

    >>> one = message("Nothing to draw.")
    >>> side_by_side([one]) is one, len(side_by_side([one, one]).concat)
    (True, 2)
    """
    import altair as alt

    if len(charts) == 1:
        return charts[0]
    small = [chart.properties(width=WIDTH * 3 // 5, height=HEIGHT * 3 // 5) for chart in charts]
    return alt.concat(*small, columns=2)


def finished(chart: Chart, *, title: str, notes: Sequence[str]) -> Chart:
    """Give a chart its title and the style that all share.

    >>> chart = finished(message("Nothing to draw."), title="loss", notes=["2 runs of 2 without loss."])
    >>> chart.title.text, chart.title.subtitle
    (['loss'], ['2 runs of 2 without loss.'])
    """
    import altair as alt

    under = [line for note in notes for line in textwrap.wrap(note, _NOTE_WIDTH)]
    above = textwrap.wrap(title, _TITLE_WIDTH, max_lines=2, placeholder=" …")
    heading = alt.TitleParams(above, **({"subtitle": under} if under else {}))
    return (
        chart.properties(title=heading)
        .configure(background="white", padding=12, font="sans-serif")
        .configure_view(stroke=None, continuousWidth=WIDTH, continuousHeight=HEIGHT, discreteWidth=WIDTH,
                        discreteHeight=HEIGHT)
        .configure_title(anchor="start", frame="group", fontSize=15, offset=14, subtitleColor="#666",
                         subtitleFontSize=11, subtitlePadding=6, subtitleLineHeight=14)
        .configure_axis(gridColor="#e8e8e8", domainColor="#999", tickColor="#999", labelColor="#444", labelFontSize=11,
                        labelLimit=240, titleColor="#222", titleFontSize=12, titleFontWeight="normal", titlePadding=8)
        .configure_legend(labelLimit=320, labelFontSize=11, titleLimit=320, titleFontSize=12, titleFontWeight="normal")
    )  # fmt: skip


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


def _dotted(data: pl.DataFrame) -> int:
    """Return 1 where lines have so few places that each is marked with a dot, else 0."""
    return int(data["group"].value_counts()["count"].max() <= _DOTTED)  # type: ignore[operator] # there are rows
