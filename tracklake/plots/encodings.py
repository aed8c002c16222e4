"""Encodings: how columns become positions and colours: the channels of Vega-Lite.

Colours are those of Okabe and Ito (2008), which the colour-blind tell apart, without the yellow that is lost on white;
numbers as colours, and groups that are numbers, are drawn in viridis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.display.labels import OTHER, short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Channel = dict[str, Any]
"""How a column is seen, or a part of that, as Vega-Lite has it."""

OKABE_ITO = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333"]
VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30"]
GREY = "#b8b8b8"
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
_TYPES = {"Q": "quantitative", "N": "nominal", "O": "ordinal", "T": "temporal"}
MOST_TICKS = 9
"""Numbers along a logarithmic axis, at most."""
_LEVEL = 80
"""Letters of all names along an axis up to which they fit side by side."""
_NUMBER = (
    "(datum.value < 1e-3 || datum.value >= 1e6"
    " ? replace(format(datum.value, '.2~e'), '+', '') : format(datum.value, ',.6~g'))"
)
"""Numbers of a logarithmic axis as people write them: 1e-5, 0.01, 300."""
_NAME = "length(datum.label) > 52 ? slice(datum.label, 0, 17) + '…' + slice(datum.label, -34) : datum.label"
"""Names beside colours and axes as `labels.middle_out` shortens them; the data have the whole ones, which differ."""


class Axis(NamedTuple):
    """How numbers read along an axis or as colours."""

    title: str
    log: bool = False
    percent: bool = False
    reverse: bool = False
    domain: tuple[float, float] | None = None
    ticks: tuple[float, ...] = ()
    """Where the numbers stand; none: where they are round."""
    ends_at_one: bool = False
    """Whether there is nothing beyond 1, as of an accuracy."""

    def around(self, *values: pl.Series) -> Axis:
        """Give the axis some width where it would show a single value, which would have no number beside it.

        >>> Axis("lr").around(pl.Series([0.5, 0.5])).domain
        (0.25, 0.75)
        """
        numbers = [column.cast(pl.Float64) for column in values if column.dtype.is_numeric()]
        distinct = pl.concat(numbers).drop_nulls().unique().to_list() if numbers else []
        if not distinct:
            return self
        if self.log and len(distinct) > 1:
            return self._replace(domain=self.domain or (min(distinct), max(distinct)))
        if len(distinct) > 1:
            return self._replace(ends_at_one=is_share(min(distinct), max(distinct)))
        (value,) = distinct
        wide = abs(value) / 2 or 1.0
        return self._replace(domain=(value - wide, value + wide))


class Legend(NamedTuple):
    """The groups that colours stand for: a title and the names in order; ordered where they are numbers."""

    title: str
    names: Sequence[str]
    ordered: bool = False
    places: Sequence[int] = ()
    """The place of each name among all that there are, which gives it its colour, dash and marker everywhere."""
    n_places: int = 0

    @property
    def colours(self) -> list[str]:
        """One colour a name: along viridis for numbers, else those of Okabe and Ito by their places, the others grey.

        >>> Legend("optimizer", ["adam", "sgd"]).colours, Legend("optimizer", ["sgd"], places=[1]).colours
        (['#0072B2', '#D55E00'], ['#D55E00'])
        """
        if self.ordered:
            shades = along_viridis(self.n_places or len(self.names))
            return [shades[place] for place in self._places]
        return [
            GREY if name == OTHER else OKABE_ITO[place % len(OKABE_ITO)]
            for name, place in zip(self.names, self._places, strict=True)
        ]

    @property
    def dashes(self) -> list[list[int]]:
        """One dash a name, so that lines differ without colours too.

        >>> Legend("group", ["a", "b"]).dashes
        [[1, 0], [6, 3]]
        """
        return [DASHES[place % len(DASHES)] for place in self._places]

    @property
    def shapes(self) -> list[str]:
        """One marker a name.

        >>> Legend("group", ["a", "b"]).shapes
        ['circle', 'square']
        """
        return [SHAPES[place % len(SHAPES)] for place in self._places]

    @property
    def _places(self) -> Sequence[int]:
        return self.places or range(len(self.names))


def along_viridis(count: int) -> list[str]:
    """Return `count` colours for lines, from dark to light: the lightest is lost on white and in bands.

    >>> along_viridis(2)
    ['#440154', '#5ec962']
    """
    parts = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in VIRIDIS[:-1]])
    at = np.linspace(0, len(parts) - 1, count) if count > 1 else np.array([3.0])
    channels = [np.interp(at, range(len(parts)), parts[:, i]).round().astype(int) for i in range(3)]
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in zip(*channels, strict=True)]


def channel(field: str, kind: str, **properties: Any) -> Channel:
    """Return the channel of a column whose type is Q (numbers), N (names), O (names in an order) or T (times).

    >>> channel("lr", "Q", title="learning rate")
    {'field': 'lr', 'type': 'quantitative', 'title': 'learning rate'}
    """
    return {"field": field, "type": _TYPES[kind], **properties}


def either(test: str, yes: Channel, no: object) -> Channel:
    """Return the channel of marks that pass a test, and the value of the others.

    >>> either("datum.value > 1", {"value": "black"}, "white")
    {'condition': {'test': 'datum.value > 1', 'value': 'black'}, 'value': 'white'}
    """
    return {"condition": {"test": test, **yes}, "value": no}


def position(field: str, axis: Axis, side: str | None = None) -> Channel:
    """Return the position of a column of numbers; the side, x or y, is the field's name where none is given.

    >>> position("x", Axis("lr", log=True))["scale"]["type"]
    'log'
    """
    if axis.log and axis.domain and not axis.ticks:
        axis = axis._replace(ticks=log_ticks(*axis.domain))
        axis = axis._replace(domain=(axis.ticks[0], axis.ticks[-1]))
    domain: Channel = {"domain": list(axis.domain)} if axis.domain else {"domainMax": 1} if axis.ends_at_one else {}
    room = {"padding": 8} if axis.log else {}
    scale = {"type": "log" if axis.log else "linear", "zero": False, "nice": not axis.log, **domain, **room}
    at: Channel = {"values": list(axis.ticks)} if axis.ticks else {"tickCount": 6}
    labels = {"format": ".0%"} if axis.percent else _log_ticks(named=bool(axis.ticks)) if axis.log else {}
    title = short_name(axis.title, width=70 if (side or field) == "x" else 40) + (" (log scale)" if axis.log else "")
    return channel(field, "Q", title=title, scale=scale, axis=at | labels)


def is_share(low: float, high: float) -> bool:
    """Tell whether numbers look like shares that come near to all, such as accuracies.

    >>> is_share(0.5, 0.97), is_share(0.1, 0.4), is_share(0.5, 1.2)
    (True, False, False)
    """
    return low >= 0 and 0.9 <= high <= 1  # noqa: PLR2004 - near to all


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return round numbers from below the lowest to above the highest, at most nine, for a logarithmic axis.

    >>> log_ticks(0.0012, 0.9)
    (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    >>> log_ticks(3, 170)
    (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
    """
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = _round_numbers(low, high, steps)
        if len(ticks) <= MOST_TICKS:
            return ticks
    every = -(-len(ticks) // (MOST_TICKS - 1))
    return (*ticks[:-1:every], ticks[-1])


def _round_numbers(low: float, high: float, steps: Sequence[int]) -> tuple[float, ...]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    numbers = [float(f"{step}e{power}") for power in range(first, last) for step in steps]
    below = max((n for n in numbers if n <= low * (1 + 1e-9)), default=numbers[0])
    above = min((n for n in numbers if n >= high * (1 - 1e-9)), default=numbers[-1])
    return tuple(n for n in numbers if below <= n <= above)


def _log_ticks(*, named: bool) -> Channel:
    """Return what makes a logarithmic axis quiet: no lines where there is no number; named ticks all have one."""
    if named:
        return {"labelExpr": _NUMBER}
    quiet = either("datum.label == ''", {"value": 0}, 1)
    return {"labelExpr": f"datum.label == '' ? '' : {_NUMBER}", "gridOpacity": quiet}


def place(column: str, axis: Axis, data: pl.DataFrame) -> Channel:
    """Return the position of a column of any type.

    >>> place("x", Axis("optimizer"), pl.DataFrame({"x": ["adam", "sgd"]}))["type"]
    'nominal'
    """
    if kind(data, column) == "Q":
        return position(column, axis)
    if kind(data, column) == "T":
        return channel(column, "T", title=short_name(axis.title))
    return channel(column, "N", title=short_name(axis.title), axis=named_ticks(data[column].unique(), column))


def named_ticks(names: Iterable[object], side: str) -> Channel:
    """Return how names stand at an axis: level where they fit side by side, else aslant.

    >>> [named_ticks(names, "x")["labelAngle"] for names in (["adam", "sgd"], ["a_long_name_of_a_data_set"] * 4)]
    [0, -30]
    """
    level = side == "y" or are_level(map(str, names))
    return {"labelAngle": 0 if level else -30, "labelExpr": _NAME, "labelLimit": 320}


def are_level(names: Iterable[str]) -> bool:
    """Tell whether these names fit side by side.

    >>> are_level(["adam", "sgd"])
    True
    """
    return sum(len(name) + 2 for name in names) <= _LEVEL


def beside() -> Channel:
    """Return the channel that spreads the dots of one name side by side, with a gap to the next name.

    >>> beside()["field"]
    'beside'
    """
    return channel("beside", "Q", scale={"domain": [-0.5, 1.5]})


def sides(column: str, axis: Axis, data: pl.DataFrame, *, among: pl.DataFrame | None = None) -> dict[str, Channel]:
    """Return the channels of tiles along one axis: from edge to edge, or at its place among the values.

    `among` are the tiles, where `data` are the places of what is written into them.

    >>> list(sides("x", Axis("lr"), pl.DataFrame({"x": [0.1], "x_end": [0.2]})))
    ['x', 'x2']
    """
    if f"{column}_end" in (data if among is None else among).columns:
        side = {column: place(column, axis, data)}
        return side if among is not None else side | {f"{column}2": {"field": f"{column}_end"}}
    upright = column == "y"
    order = data[column].unique().sort(descending=upright).to_list()
    is_number = kind(data, column) == "Q"
    ticks: Channel = {"labelAngle": 0, "format": "~g"} if is_number else named_ticks(order, column)
    return {column: channel(column, "O", title=short_name(axis.title), sort=order, axis=ticks | {"grid": False})}


def groups(legend: Legend) -> Channel:
    """Return the channel that colours lines by their group.

    >>> groups(Legend("optimizer", ["adam", "sgd"]))["scale"]["range"]
    ['#0072B2', '#D55E00']
    """
    return _strokes(legend, legend.colours)


def dashes(legend: Legend) -> Channel:
    """Return the channel that dashes lines by their group.

    >>> dashes(Legend("optimizer", ["adam", "sgd"]))["scale"]["range"]
    [[1, 0], [6, 3]]
    """
    return _strokes(legend, legend.dashes) | {"legend": None}


def shapes(legend: Legend, field: str = "group") -> Channel:
    """Return the channel that gives points the marker of their group.

    >>> shapes(Legend("optimizer", ["adam", "sgd"]))["scale"]["range"]
    ['circle', 'square']
    """
    return _strokes(legend, legend.shapes, field)


def _strokes(legend: Legend, values: Sequence[object], field: str = "group") -> Channel:
    """Return the one legend that colours and markers share; a single group needs none."""
    style = {"symbolStrokeWidth": 2, "symbolOpacity": 1, "symbolSize": 80, "labelExpr": _NAME}
    scale = {"domain": list(legend.names), "range": values}
    several = len(legend.names) > 1
    return channel(field, "N", title=short_name(legend.title, width=34), scale=scale, legend=style if several else None)


def color(means: Axis | Legend | None, field: str = "color") -> Channel:
    """Return the channel that colours marks by a number or a name; all alike where there is none, grey where null.

    >>> color(None)["value"], color(Legend("optimizer", ["adam"]))["field"]
    ('#0072B2', 'color')
    """
    if means is None:
        return {"value": OKABE_ITO[0]}
    title = short_name(means.title, width=34)
    if isinstance(means, Legend):
        return _strokes(means, means.colours, field)
    stops = VIRIDIS[::-1] if means.reverse else VIRIDIS.copy()
    scale = {"type": "log" if means.log else "linear", "range": stops, "zero": False}
    numeric = channel(field, "Q", title=title, scale=scale, legend={"format": ".3~g"})
    return either(f"isValid(datum.{field})", numeric, GREY)


def kind(data: pl.DataFrame, column: str) -> str:
    """Return the type of a column: Q numbers, T times, N names.

    >>> data = pl.DataFrame({"lr": [0.1], "name": ["slow"]})
    >>> kind(data, "lr"), kind(data, "name")
    ('Q', 'N')
    """
    dtype = data[column].dtype
    return "Q" if dtype.is_numeric() else "T" if dtype.is_temporal() else "N"


def tips(data: pl.DataFrame, named: Mapping[str, str]) -> list[Channel]:
    """Return what a pointer over a mark shows: columns and what they are called.

    >>> tips(pl.DataFrame({"x": [0.1]}), {"x": "lr"})
    [{'field': 'x', 'type': 'quantitative', 'title': 'lr', 'format': '.5~g'}]
    """
    kinds = {column: kind(data, column) for column in named}
    forms = {column: {"format": ".5~g"} if is_a == "Q" else {} for column, is_a in kinds.items()}
    return [channel(column, kinds[column], title=title, **forms[column]) for column, title in named.items()]
