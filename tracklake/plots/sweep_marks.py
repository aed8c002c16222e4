"""Charts of comparisons and sweeps: groups with intervals, bars, one parameter against the value, a front."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from tracklake.display.labels import short_name
from tracklake.plots import encodings
from tracklake.plots.marks import HEIGHT, WIDTH, mark, only, values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from tracklake.plots.encodings import Axis, Channel, Legend
    from tracklake.plots.marks import Chart

_ROW = 24
"""Height of a row of a leaderboard."""
_TITLE_WIDTH = 56
BLUE, ORANGE, FAINT = encodings.OKABE_ITO[0], encodings.OKABE_ITO[1], "#888888"
MEAN, ADJUSTED, FAILED = "mean of the runs", "mean, the other parameters evened out", "failed runs"


class RowLabels(NamedTuple):
    """Named rows below each other: their labels from the top down, and what they are."""

    labels: Sequence[str]
    title: str


def leaderboard(data: pl.DataFrame, *, runs: pl.DataFrame, rows: RowLabels, x: Axis, legend: Legend) -> Chart:
    """Draw a row a group: its center, its interval, and its runs as faint dots.

    data: group, row, n, value, low, high, verdict. runs: row, value.

    >>> lake = example()
    >>> plot = lake.plot.leaderboard(lake.compare("acc", by="lr", goal="max", draws=10))
    >>> [layer["mark"]["type"] for layer in plot.spec["layer"]]
    ['circle', 'rule', 'circle']
    """
    y, at = _row(rows), encodings.position("value", x, "x")
    shared = {"y": y, "color": _verdicts(legend)}
    named = {"group": rows.title, "value": x.title, "low": "low", "high": "high", "n": "runs", "verdict": "verdict"}
    faint = mark("circle", {"y": y, "x": at}, size=26, fillOpacity=0.35, color=FAINT, clip=True)
    bounds = {"x": encodings.position("low", x, "x"), "x2": {"field": "high"}}
    span = mark("rule", shared | bounds, strokeWidth=5, strokeOpacity=0.4, clip=True)
    center = mark("circle", shared | {"x": at, "tooltip": encodings.tips(data, named)}, size=90, opacity=1)
    return {"data": values(data), "layer": [{"data": values(runs), **faint}, span, center], "height": _height(rows)}


def bars(data: pl.DataFrame, *, rows: RowLabels, x: Axis) -> Chart:
    """Draw a bar a row with its interval, and its share behind it: name, row, importance, low, high, share.

    >>> lake = example()
    >>> plot = lake.plot.importance(lake.sweep(metric="acc", goal="max"))
    >>> [layer["mark"]["type"] for layer in plot.spec["layer"]]
    ['bar', 'rule', 'text']
    """
    y = {"y": _row(rows)}
    tips = encodings.tips(data, {name: name for name in ("name", "importance", "low", "high", "share")})
    scale = {"zero": True, "nice": True}
    along = encodings.channel("importance", "Q", title=x.title, scale=scale, axis={"tickCount": 6})
    bar = mark("bar", y | {"x": along, "tooltip": tips}, color=BLUE, height=14, fillOpacity=0.75)
    bounds = {"x": encodings.channel("low", "Q"), "x2": {"field": "high"}}
    span = mark("rule", y | bounds, strokeWidth=1.5, color="#222")
    end = {"calculate": "max(datum.importance, isValid(datum.high) ? datum.high : 0)", "as": "end"}
    written = {"x": encodings.channel("end", "Q"), "text": encodings.channel("share", "Q", format=".0%")}
    share = {"transform": [end], **mark("text", y | written, align="left", dx=6, fontSize=11, color="#444")}
    return {"data": values(data), "layer": [bar, span, share], "height": _height(rows)}


def marginal(data: pl.DataFrame, *, runs: pl.DataFrame, failed: pl.DataFrame, x: Axis, y: Axis, alone: bool) -> Chart:
    """Draw the runs along one parameter, their mean with its interval, the adjusted mean, and where runs failed.

    data: x, n, mean, low, high, adjusted. runs: x, value. failed: x. alone: no other parameter is there to adjust for.

    >>> lake = example()
    >>> plot = lake.plot.marginal(lake.sweep(metric="acc", goal="max"), "lr")
    >>> [layer["mark"]["type"] for layer in plot.spec["layer"]][:3]  # the runs, the interval, the mean
    ['circle', 'area', 'line']
    """
    named = {MEAN: BLUE} | ({} if alone else {ADJUSTED: ORANGE}) | ({FAILED: "#333333"} if failed.height else {})
    is_number = encodings.kind(data, "x") == "Q"
    along = {"x": _along(data, x)}
    dotted = along if is_number else along | {"xOffset": encodings.beside()}
    up = {name: along | {"y": encodings.position(name, y, "y")} for name in ("mean", "adjusted", "low", "value")}
    tips = encodings.tips(data, {"x": x.title} | {name: name for name in ("n", "mean", "low", "high", "adjusted")})
    bounds = up["low"] | {"y2": {"field": "high"}}
    dots = mark("circle", dotted | up["value"], size=20, fillOpacity=0.35, color=FAINT, clip=True)
    layers: list[Chart] = [{"data": values(runs), **dots}]
    if is_number:
        line = mark("line", up["mean"], strokeWidth=2, clip=True)
        layers += [mark("area", bounds, fillOpacity=0.2, color=BLUE, clip=True), _named(line, MEAN, named)]
        evened = mark("line", up["adjusted"], strokeWidth=2, strokeDash=[5, 3], clip=True)
    else:
        layers.append(mark("rule", bounds, strokeWidth=5, strokeOpacity=0.4, color=BLUE, clip=True))
        evened = mark("point", up["adjusted"], shape="diamond", size=70, strokeWidth=2)
    layers += [] if alone else [_named(evened, ADJUSTED, named)]
    layers.append(_named(mark("circle", up["mean"] | {"tooltip": tips}, size=50, opacity=1, clip=True), MEAN, named))
    if failed.height:
        foot = dotted | {"y": {"value": HEIGHT - 5}}
        rug = mark("tick", foot, thickness=1.5, strokeOpacity=0.6, height=9, orient="vertical", clip=False)
        layers.append({"data": values(failed), **_named(rug, FAILED, named)})
    return {"data": values(data), "layer": layers}


def front(data: pl.DataFrame, *, x: Axis, y: Axis, rising: bool) -> Chart:
    """Draw the runs of a front joined by a staircase, the others grey: run, x, y, front (null for the others).

    rising: whether more is better along x, so that a step reaches back to the left.

    >>> lake = example()
    >>> plot = lake.plot.pareto(lake.sweep(metric="acc", goal="max"), {"acc": "max", "loss": "min"})
    >>> [layer["mark"]["type"] for layer in plot.spec["layer"]]
    ['circle', 'line', 'circle']
    """
    at = {"x": encodings.position("x", x), "y": encodings.position("y", y)}
    tips = at | {"tooltip": encodings.tips(data, {"run": "run", "x": x.title, "y": y.title})}
    others = mark("circle", tips, size=22, fillOpacity=0.35, color=FAINT)
    order = {"order": encodings.channel("x", "Q")}
    stairs = mark(
        "line", at | order, color=BLUE, strokeWidth=1.5, interpolate="step-before" if rising else "step-after"
    )
    dots = mark("circle", tips, size=64, opacity=1, color=BLUE)
    behind, best = "datum.front !== 1", "datum.front === 1"
    return {"data": values(data), "layer": [only(behind, others), only(best, stairs), only(best, dots)], "width": WIDTH}


def _along(data: pl.DataFrame, x: Axis) -> Channel:
    """Return the channel of a parameter, text in the order of the data."""
    if encodings.kind(data, "x") == "Q":
        return encodings.position("x", x)
    names = data["x"].to_list()
    ticks = encodings.named_ticks(names, "x") | {"grid": False}
    return encodings.channel("x", "N", title=short_name(x.title), sort=names, axis=ticks)


def _row(rows: RowLabels) -> Channel:
    """Return the channel of rows below each other, each with its label."""
    names = json.dumps([short_name(label, width=_TITLE_WIDTH) for label in rows.labels])
    axis = {"labelExpr": f"{names}[datum.value]", "labelLimit": 420, "grid": False, "ticks": False, "domain": False,
            "titleAlign": "right", "titleAngle": 0, "titleAnchor": "start", "titleBaseline": "bottom", "titleY": -4,
            "titleX": -8, "labelPadding": 8}  # fmt: skip
    return encodings.channel("row", "O", title=short_name(rows.title), sort="ascending", axis=axis)


def _height(rows: RowLabels) -> int:
    return _ROW * max(len(rows.labels), 2)


def _verdicts(legend: Legend) -> Channel:
    scale = {"domain": list(legend.names), "range": [VERDICTS[name] for name in legend.names]}
    style = {"symbolOpacity": 1} if len(legend.names) > 1 else None
    return encodings.channel("verdict", "N", title=legend.title, scale=scale, legend=style)


VERDICTS = {
    "baseline": "#333333",
    "better": encodings.OKABE_ITO[2],
    "mixed": encodings.OKABE_ITO[3],
    "no difference shown": encodings.OKABE_ITO[5],
    "worse": encodings.OKABE_ITO[1],
    "too few runs": "#999999",
    "no values": "#999999",
}
"""What a comparison says of a group, and its colour."""


def _named(layer: Chart, name: str, named: Mapping[str, str]) -> Chart:
    """Give a layer its colour and its entry in the legend that the layers share."""
    scale = {"domain": list(named), "range": list(named.values())}
    legend = {"title": None, "orient": "bottom", "symbolOpacity": 1, "symbolType": "stroke", "symbolStrokeWidth": 2}
    colour = {"color": encodings.channel("means", "N", scale=scale, legend=legend)}
    means = {"calculate": json.dumps(name), "as": "means"}
    return layer | {"transform": [means], "encoding": layer["encoding"] | colour}
