"""Scales: how columns become positions and colours, in altair's channels.

Colours are those of Okabe and Ito (2008), which the colour-blind tell apart, without the yellow that is lost on white;
numbers as colours, and groups that are numbers, are drawn in viridis.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from tracklake.labels import OTHER, short_name

if TYPE_CHECKING:
    from collections.abc import Sequence

OKABE_ITO = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333"]
VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30"]
GREY = "#b8b8b8"
DASHES = [[1, 0], [5, 3]]
UPRIGHT = 8
"""Names along an axis up to which they fit side by side."""
_NUMBER = (
    "(datum.value < 1e-3 || datum.value >= 1e6"
    " ? replace(format(datum.value, '.2~e'), '+', '') : format(datum.value, ',.6~g'))"
)
"""Numbers of a logarithmic axis as people write them: 1e-5, 0.01, 300."""
_NAME = "length(datum.label) > 52 ? slice(datum.label, 0, 17) + '…' + slice(datum.label, -34) : datum.label"
"""Names of a legend as `labels.middle_out` shortens them; the data have the whole ones, which alone differ for sure."""


class Axis(NamedTuple):
    """How numbers read along an axis or as colours."""

    title: str
    log: bool = False
    percent: bool = False
    reverse: bool = False
    domain: tuple[float, float] | None = None
    ticks: tuple[float, ...] = ()
    """Where the numbers stand; none: where they are round."""

    def around(self, *values: pl.Series) -> Axis:
        """Give the axis some width where it would show a single value, which would have no number beside it.

        >>> Axis("lr").around(pl.Series([0.5, 0.5])).domain
        (0.25, 0.75)
        """
        numbers = [column.cast(pl.Float64) for column in values if column.dtype.is_numeric()]
        known = pl.concat(numbers).drop_nulls().unique().to_list() if numbers else []
        if len(known) != 1:
            return self
        (value,) = known
        wide = abs(value) / 2 or 1.0
        return self._replace(domain=(value - wide, value + wide))


class Legend(NamedTuple):
    """The groups that colours stand for: a title and the names in order; ordered where they are numbers."""

    title: str
    names: Sequence[str]
    ordered: bool = False

    @property
    def colours(self) -> list[str]:
        """One colour a name: along viridis for numbers, else those of Okabe and Ito in turn, the others grey.

        >>> Legend("optimizer", ["adam", "sgd"]).colours
        ['#0072B2', '#D55E00']
        """
        if self.ordered:
            return along_viridis(len(self.names))
        colours = itertools.cycle(OKABE_ITO)
        return [GREY if name == OTHER else next(colours) for name in self.names]

    @property
    def dashes(self) -> list[list[int]]:
        """One dash a name: solid, and broken where the colours come round again.

        >>> Legend("group", [str(i) for i in range(8)]).dashes[6:]
        [[1, 0], [5, 3]]
        """
        turn = len(self.names) if self.ordered else len(OKABE_ITO)
        return [DASHES[i // turn % len(DASHES)] for i in range(len(self.names))]


def along_viridis(count: int) -> list[str]:
    """Return `count` colours from dark to light.

    >>> along_viridis(2)
    ['#440154', '#addc30']
    """
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in VIRIDIS])
    at = np.linspace(0, len(stops) - 1, count) if count > 1 else np.array([3.0])
    channels = [np.interp(at, range(len(stops)), stops[:, i]).round().astype(int) for i in range(3)]
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in zip(*channels, strict=True)]


def position(field: str, axis: Axis, channel: str | None = None) -> Any:
    """Return the position channel of a column of numbers; channel is that of the field's name where none is given.

    >>> position("x", Axis("lr", log=True))["scale"]["type"]
    'log'
    """
    import altair as alt

    domain = {"domain": axis.domain} if axis.domain else {}
    scale = alt.Scale(type="log" if axis.log else "linear", zero=False, nice=not axis.log, **domain)
    at = {"values": list(axis.ticks)} if axis.ticks else {"tickCount": 6}
    shown = {"format": ".0%"} if axis.percent else _log_ticks(named=bool(axis.ticks)) if axis.log else {}
    ticks = alt.Axis(**at, **shown)
    make, width = (alt.X, 80) if (channel or field) == "x" else (alt.Y, 48)
    return make(f"{field}:Q", title=short_name(axis.title, width=width), scale=scale, axis=ticks)


def _log_ticks(*, named: bool) -> dict[str, Any]:
    """Return what makes a logarithmic axis quiet: no lines where there is no number; named ticks all have one."""
    import altair as alt

    if named:
        return {"labelExpr": _NUMBER}

    quiet = alt.condition("datum.label == ''", alt.value(0), alt.value(1))
    return {"labelExpr": f"datum.label == '' ? '' : {_NUMBER}", "gridOpacity": quiet}


def place(column: str, axis: Axis, data: pl.DataFrame) -> Any:
    """Return the position channel of a column of any type.

    >>> place("x", Axis("optimizer"), pl.DataFrame({"x": ["adam", "sgd"]}))["shorthand"]
    'x:N'
    """
    import altair as alt

    if kind(data, column) == "Q":
        return position(column, axis)
    channel, title = alt.X if column == "x" else alt.Y, short_name(axis.title)
    if kind(data, column) == "T":
        return channel(f"{column}:T", title=title)
    flat = column == "y" or data[column].n_unique() <= UPRIGHT
    return channel(f"{column}:N", title=title, axis=alt.Axis(labelAngle=0 if flat else -30))


def beside() -> Any:
    """Return the channel that spreads the dots of one name side by side, with a gap to the next name.

    >>> beside()["field"]
    'beside'
    """
    import altair as alt

    return {"field": "beside", "type": "quantitative", "scale": alt.Scale(domain=[-0.5, 1.5])}


def sides(column: str, axis: Axis, data: pl.DataFrame, *, among: pl.DataFrame | None = None) -> dict[str, Any]:
    """Return the channels of tiles along one axis: from edge to edge, or at its place among the values.

    `among` are the tiles, where `data` are the places of what is written into them.

    >>> list(sides("x", Axis("lr"), pl.DataFrame({"x": [0.1], "x_end": [0.2]})))
    ['x', 'x2']
    """
    import altair as alt

    if f"{column}_end" in (data if among is None else among).columns:
        side = {column: place(column, axis, data)}
        return side if among is not None else side | {f"{column}2": f"{column}_end"}
    upright = column == "y"
    order = data[column].unique().sort(descending=upright).to_list()
    is_number = kind(data, column) == "Q"
    flat = upright or is_number or len(order) <= UPRIGHT
    ticks = alt.Axis(labelAngle=0 if flat else -30, grid=False, **({"format": "~g"} if is_number else {}))
    channel = alt.Y if upright else alt.X
    return {column: channel(f"{column}:O", title=short_name(axis.title), sort=order, axis=ticks)}


def groups(legend: Legend) -> Any:
    """Return the channel that colours lines by their group.

    >>> groups(Legend("optimizer", ["adam", "sgd"]))["scale"]["range"]
    ['#0072B2', '#D55E00']
    """
    import altair as alt

    return alt.Color("group:N", **_strokes(legend, legend.colours))


def dashes(legend: Legend) -> Any:
    """Return the channel that dashes lines by their group.

    >>> dashes(Legend("optimizer", ["adam", "sgd"]))["scale"]["range"]  # both solid: their colours differ
    [[1, 0], [1, 0]]
    """
    import altair as alt

    return alt.StrokeDash("group:N", **_strokes(legend, legend.dashes))


def _strokes(legend: Legend, values: Sequence[object]) -> dict[str, Any]:
    """Return the one legend that colours and dashes share; a single group needs none."""
    import altair as alt

    shown = (
        alt.Legend(symbolType="stroke", symbolStrokeWidth=2, symbolOpacity=1, labelExpr=_NAME)
        if len(legend.names) > 1
        else None
    )
    scale = alt.Scale(domain=list(legend.names), range=values)
    return {"title": short_name(legend.title), "scale": scale, "legend": shown}


def color(means: Axis | Legend | None, field: str = "color") -> Any:
    """Return the channel that colours marks by a number or a name; all alike where there is none, grey where null.

    >>> color(None)["value"], color(Legend("optimizer", ["adam"]))["shorthand"]
    ('#0072B2', 'color:N')
    """
    import altair as alt

    if means is None:
        return alt.value(OKABE_ITO[0])
    title = short_name(means.title, width=34)
    if isinstance(means, Legend):
        scale = alt.Scale(domain=list(means.names), range=means.colours)
        return alt.Color(f"{field}:N", title=title, scale=scale, legend=alt.Legend(labelExpr=_NAME))
    stops = VIRIDIS[::-1] if means.reverse else VIRIDIS
    scale = alt.Scale(type="log" if means.log else "linear", range=stops, zero=False)
    known = alt.Color(f"{field}:Q", title=title, scale=scale, legend=alt.Legend(format=".3~g"))
    return alt.condition(f"isValid(datum.{field})", known, alt.value(GREY))


def kind(data: pl.DataFrame, column: str) -> str:
    """Return how altair calls the type of a column: Q numbers, T times, N names.

    >>> data = pl.DataFrame({"lr": [0.1], "name": ["slow"]})
    >>> kind(data, "lr"), kind(data, "name")
    ('Q', 'N')
    """
    dtype = data[column].dtype
    return "Q" if dtype.is_numeric() else "T" if dtype.is_temporal() else "N"


def tip(data: pl.DataFrame, column: str, title: str) -> Any:
    """Return what a pointer over a mark shows of a column.

    >>> tip(pl.DataFrame({"x": [0.1]}), "x", "lr")["format"]
    '.5~g'
    """
    import altair as alt

    form = {"format": ".5~g"} if kind(data, column) == "Q" else {}
    return alt.Tooltip(f"{column}:{kind(data, column)}", title=title, **form)
