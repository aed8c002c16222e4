"""Charts of comparisons and sweeps: groups with intervals, bars, one parameter against the value, a front."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from tracklake import scales
from tracklake.charts import HEIGHT, WIDTH
from tracklake.labels import short_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from tracklake.charts import Chart
    from tracklake.scales import Axis, Legend

_ROW = 24
"""Height of a row of a leaderboard."""
_TITLE_WIDTH = 56
BLUE, ORANGE, FAINT = scales.OKABE_ITO[0], scales.OKABE_ITO[1], "#888888"
MEAN, ADJUSTED, FAILED = "mean of the runs", "mean, the other parameters evened out", "failed runs"


class Rows(NamedTuple):
    """Named rows below each other: their labels from the top down, and what they are."""

    labels: Sequence[str]
    title: str


def leaderboard(data: pl.DataFrame, *, runs: pl.DataFrame, rows: Rows, x: Axis, legend: Legend) -> Chart:
    """Draw a row a group: its center, its interval, and its runs as faint dots.

    data: group, row, n, value, low, high, verdict. runs: row, value.

    >>> lake = example()
    >>> plot = lake.plot.leaderboard(lake.compare("acc", by="lr", goal="max", draws=10))
    >>> [layer.mark.type for layer in plot.chart.layer]
    ['circle', 'rule', 'circle']
    """
    import altair as alt

    y = _row(rows)
    across = {"y": y, "color": _verdicts(legend)}
    base = alt.Chart(data).encode(**across)
    faint = alt.Chart(runs).mark_circle(size=26, fillOpacity=0.35, color=FAINT, clip=True)
    span = base.mark_rule(strokeWidth=5, strokeOpacity=0.4, clip=True).encode(
        x=scales.position("low", x, "x"), x2="high:Q"
    )
    names = [("group", rows.title), ("value", x.title), ("low", "low"), ("high", "high"), ("n", "runs")]
    tips = [scales.tip(data, column, title) for column, title in [*names, ("verdict", "verdict")]]
    center = base.mark_circle(size=90, opacity=1).encode(x=scales.position("value", x, "x"), tooltip=tips)
    dots = faint.encode(y=y, x=scales.position("value", x, "x"))
    return alt.layer(dots, span, center).properties(height=_ROW * max(len(rows.labels), 2))


def bars(data: pl.DataFrame, *, rows: Rows, x: Axis) -> Chart:
    """Draw a bar a row with its interval, and its share behind it: name, row, importance, low, high, share.

    >>> lake = example()
    >>> plot = lake.plot.importance(lake.sweep(metric="acc", goal="max"))
    >>> [layer.mark.type for layer in plot.chart.layer]
    ['bar', 'rule', 'text']
    """
    import altair as alt

    base = alt.Chart(data).encode(y=_row(rows))
    tips = [scales.tip(data, column, column) for column in ("name", "importance", "low", "high", "share")]
    scale = alt.Scale(zero=True, nice=True)
    bar = base.mark_bar(color=BLUE, height=14, fillOpacity=0.75).encode(
        x=alt.X("importance:Q", title=x.title, scale=scale, axis=alt.Axis(tickCount=6)), tooltip=tips
    )
    span = base.mark_rule(strokeWidth=1.5, color="#222").encode(x="low:Q", x2="high:Q")
    behind = base.transform_calculate(end="max(datum.importance, isValid(datum.high) ? datum.high : 0)")
    share = behind.mark_text(align="left", dx=6, fontSize=11, color="#444").encode(
        x="end:Q", text=alt.Text("share:Q", format=".0%")
    )
    return alt.layer(bar, span, share).properties(height=_ROW * max(len(rows.labels), 2))


def marginal(data: pl.DataFrame, *, runs: pl.DataFrame, failed: pl.DataFrame, x: Axis, y: Axis, alone: bool) -> Chart:
    """Draw the runs along one parameter, their mean with its interval, the adjusted mean, and where runs failed.

    data: x, n, mean, low, high, adjusted. runs: x, value. failed: x. alone: no other parameter is there to adjust for.

    >>> lake = example()
    >>> plot = lake.plot.marginal(lake.sweep(metric="acc", goal="max"), "lr")
    >>> [layer.mark.type for layer in plot.chart.layer][:3]  # the runs, the interval, the mean
    ['circle', 'area', 'line']
    """
    import altair as alt

    named = {MEAN: BLUE} | ({} if alone else {ADJUSTED: ORANGE}) | ({FAILED: "#333333"} if failed.height else {})
    is_number = scales.kind(data, "x") == "Q"
    along = _along(data, x)
    base = alt.Chart(data).encode(x=along)
    tips = [scales.tip(data, column, column) for column in ("n", "mean", "low", "high", "adjusted")]
    tips.insert(0, scales.tip(data, "x", x.title))
    beside = {} if is_number else {"xOffset": scales.beside()}
    dots = alt.Chart(runs).mark_circle(size=20, fillOpacity=0.35, color=FAINT, clip=True)
    rug = alt.Chart(failed).mark_tick(thickness=1.5, strokeOpacity=0.6, height=9, orient="vertical", clip=False)
    up = {name: scales.position(name, y, "y") for name in ("mean", "adjusted", "low")}
    shown = [dots.encode(x=along, y=scales.position("value", y, "y"), **beside)]
    if is_number:
        band, line = base.mark_area(fillOpacity=0.2, color=BLUE, clip=True), base.mark_line(strokeWidth=2, clip=True)
        shown += [band.encode(y=up["low"], y2="high:Q"), _named(line.encode(y=up["mean"]), MEAN, named)]
        evened = base.mark_line(strokeWidth=2, strokeDash=[5, 3], clip=True)
    else:
        wide = base.mark_rule(strokeWidth=5, strokeOpacity=0.4, color=BLUE, clip=True)
        shown.append(wide.encode(y=up["low"], y2="high:Q"))
        evened = base.mark_point(shape="diamond", size=70, strokeWidth=2)
    shown += [] if alone else [_named(evened.encode(y=up["adjusted"]), ADJUSTED, named)]
    shown.append(
        _named(base.mark_circle(size=50, opacity=1, clip=True).encode(y=up["mean"], tooltip=tips), MEAN, named)
    )
    if failed.height:
        shown.append(_named(rug.encode(x=along, y=alt.value(HEIGHT - 5), **beside), FAILED, named))
    return alt.layer(*shown)


def front(data: pl.DataFrame, *, x: Axis, y: Axis, rising: bool) -> Chart:
    """Draw the runs of a front joined by a staircase, the others grey: run, x, y, front (null for the others).

    rising: whether more is better along x, so that a step reaches back to the left.

    >>> lake = example()
    >>> plot = lake.plot.pareto(lake.sweep(metric="acc", goal="max"), {"acc": "max", "loss": "min"})
    >>> [layer.mark.type for layer in plot.chart.layer]
    ['circle', 'line', 'circle']
    """
    import altair as alt

    base = alt.Chart(data).encode(x=scales.position("x", x), y=scales.position("y", y))
    tips = [scales.tip(data, column, title) for column, title in (("run", "run"), ("x", x.title), ("y", y.title))]
    best = base.transform_filter("datum.front === 1")
    others = base.transform_filter("datum.front !== 1").mark_circle(size=22, fillOpacity=0.35, color=FAINT)
    stairs = best.mark_line(color=BLUE, strokeWidth=1.5, interpolate="step-before" if rising else "step-after")
    dots = best.mark_circle(size=64, opacity=1, color=BLUE)
    return alt.layer(others.encode(tooltip=tips), stairs.encode(order="x:Q"), dots.encode(tooltip=tips)).properties(
        width=WIDTH
    )


def _along(data: pl.DataFrame, x: Axis) -> Chart:
    """Return the channel of a parameter, text in the order of the data."""
    import altair as alt

    if scales.kind(data, "x") == "Q":
        return scales.position("x", x)
    names = data["x"].to_list()
    turned = alt.Axis(labelAngle=0 if len(names) <= scales.UPRIGHT else -30, grid=False)
    return alt.X("x:N", title=short_name(x.title), sort=names, axis=turned)


def _row(rows: Rows) -> Chart:
    """Return the channel of rows below each other, each with its label."""
    import altair as alt

    names = json.dumps([short_name(label, width=_TITLE_WIDTH) for label in rows.labels])
    axis = alt.Axis(labelExpr=f"{names}[datum.value]", labelLimit=420, grid=False, ticks=False, domain=False,
                    titleAlign="right", titleAngle=0, titleAnchor="start", titleBaseline="bottom", titleY=-4,
                    titleX=-8, labelPadding=8)  # fmt: skip
    return alt.Y("row:O", title=short_name(rows.title), sort="ascending", axis=axis)


def _verdicts(legend: Legend) -> Chart:
    import altair as alt

    shown = alt.Legend(symbolOpacity=1) if len(legend.names) > 1 else None
    scale = alt.Scale(domain=list(legend.names), range=[VERDICTS[name] for name in legend.names])
    return alt.Color("verdict:N", title=legend.title, scale=scale, legend=shown)


VERDICTS = {
    "baseline": "#333333",
    "better": scales.OKABE_ITO[2],
    "mixed": scales.OKABE_ITO[3],
    "no difference shown": scales.OKABE_ITO[5],
    "worse": scales.OKABE_ITO[1],
    "too few runs": "#999999",
    "no values": "#999999",
}
"""What a comparison says of a group, and its colour."""


def _named(chart: Chart, name: str, named: Mapping[str, str]) -> Chart:
    """Give a layer its colour and its entry in the legend that the layers share."""
    import altair as alt

    scale = alt.Scale(domain=list(named), range=list(named.values()))
    legend = alt.Legend(title=None, orient="bottom", symbolOpacity=1, symbolType="stroke", symbolStrokeWidth=2)
    colour = alt.Color("means:N", scale=scale, legend=legend)
    return chart.transform_calculate(means=json.dumps(name)).encode(color=colour)
