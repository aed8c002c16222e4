"""Binning: what a plot draws, aggregated to a few thousand marks at most, whatever was asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from tracklake.analysis import group_keys
from tracklake.common.lazy_numpy import np
from tracklake.common.text import number_of
from tracklake.display.labels import OTHER, named
from tracklake.plots.encodings import Legend, is_share

if TYPE_CHECKING:
    from collections.abc import Sequence


MARKS = 2_000
"""Single runs a plot draws; more are counted in cells."""
GROUPS = 14
"""Groups that colour and dash can still tell apart."""
STEPS = 240
"""Steps of a staircase of shares."""
GOLDEN = 0.6180339887
"""Multiples of it lie evenly between 0 and 1 after the point: dots of one name are spread so, the same each time."""
_DECADE = 10.0


def wants_log(values: pl.Series) -> bool:
    """Tell whether an axis reads better in logarithms.

    It does where all values are positive, span a factor of ten or more, and the median of the distinct ones lies at
    least twice as near to the middle of a logarithmic axis as of a linear one: learning rates, doubling sizes, losses
    that fall far; not steps or accuracies.

    >>> wants_log(pl.Series([0.01, 0.03, 0.1, 0.3])), wants_log(pl.Series(range(1, 1000)))
    (True, False)
    """
    numbers = finite(values)
    if numbers.is_empty() or float(numbers.min()) <= 0:  # type: ignore[arg-type] # Float64, not empty
        return False
    distinct = numbers.unique()
    low, middle, high = (float(at) for at in (distinct.min(), distinct.median(), distinct.max()))  # type: ignore[arg-type] # Float64, not empty
    if high / low < _DECADE:
        return False
    logs = np.log([low, middle, high])
    off_linear, off_log = (middle - low) / (high - low) - 0.5, (logs[1] - logs[0]) / (logs[2] - logs[0]) - 0.5
    return bool(2 * abs(off_log) <= abs(off_linear))


def finite(values: pl.Series) -> pl.Series:
    """Return the finite numbers among the values, as Float64.

    >>> finite(pl.Series([1, None, 3])).to_list(), finite(pl.Series([0.5, float("inf"), float("nan")])).to_list()
    ([1.0, 3.0], [0.5])
    """
    numbers = values.cast(pl.Float64)
    return numbers.filter(numbers.is_finite().fill_null(value=False))


def around(values: pl.Series, *, log: bool) -> tuple[float, float]:
    """Return the bounds of an axis that shows all of these values, with a little room at its ends.

    >>> around(pl.Series([0.0, 10.0]), log=False)
    (-0.4, 10.4)
    """
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type] # numbers, at least one
    if log:
        room = (high / low) ** 0.04 if high > low else 2.0
        return low / room, high * room
    room = 0.04 * (high - low) or abs(high) / 2 or 1.0
    if low < high and is_share(low, high):
        return max(low - room, 0.0), 1.0
    return low - room, high + room


class Groups(NamedTuple):
    """Runs under readable names. frame: run_id, group. names: in the order of the legend."""

    frame: pl.DataFrame
    names: list[str]
    ordered: bool
    """Whether the groups are numbers, whose order a colour should show."""
    notes: list[str]
    """What is left out: groups beyond those that can be told apart; their runs are not in the frame."""
    places: Sequence[int] = ()
    """The place of each group among all that the lake has, which gives it its colour; none: that among the names."""
    n_places: int = 0
    """How many groups the lake has."""

    def legend(self, title: str) -> Legend:
        """Return what the colours stand for.

        >>> together(pl.DataFrame({"run_id": ["a"]})).legend("").names
        ['all (1 run)']
        """
        return Legend(title, self.names, self.ordered, self.places, self.n_places)


def grouped(
    rows: pl.DataFrame, columns: Sequence[str], *, limit: int = GROUPS, among: pl.DataFrame | None = None
) -> Groups:
    """Name the group of each run by its exact values in these columns; keep the groups with most runs.

    rows: run_id and the columns, with those that tell exact values (`group_keys.parts_of`). A single column names a
    group by its value, several as "lr=0.1, depth=3"; names that would be equal are told apart. `among` has the same
    columns of all runs of the lake: a group has the same place, and so the same colour, in every picture.

    >>> grouped(pl.DataFrame({"run_id": ["a", "b", "c"], "config.lr": [0.1, None, 0.1]}), ["config.lr"]).frame.rows()
    [('a', '0.1 (2 runs)'), ('c', '0.1 (2 runs)'), ('b', 'null (1 run)')]
    """
    by = [part for column in columns for part in group_keys.parts_of(column) if part in rows.columns]
    counted = rows.group_by(by, maintain_order=True).agg(pl.len().alias("n_of_group"))
    largest = counted.sort("n_of_group", descending=True, maintain_order=True).head(limit).sort(by, nulls_last=True)
    labels = [group_keys.labels_of(largest, column) for column in columns]
    names = [_group_name(columns, values, n) for *values, n in zip(*labels, largest["n_of_group"], strict=True)]
    titled = largest.select(*by, pl.Series("#title", names))  # a column of the runs may itself be called group
    joined = titled.join(rows, on=by, nulls_equal=True, maintain_order="left_right")
    frame = joined.select("run_id", pl.col("#title").alias("group"))
    ordered = are_ordered(rows, by)
    every = placed(rows if among is None else among, by)
    places = titled.join(every, on=by, nulls_equal=True, maintain_order="left", how="left")["place"].to_list()
    notes = (
        [f"Shown: the {largest.height} groups with most runs, of {counted.height:,}."] if counted.height > limit else []
    )
    return Groups(frame, names, ordered, notes, places, every.height)


def are_ordered(rows: pl.DataFrame, by: Sequence[str]) -> bool:
    """Tell whether groups are numbers, whose order a colour should show.

    >>> are_ordered(pl.DataFrame({"lr": [0.1], "name": ["a"]}), ["lr"])
    True
    """
    return len(by) == 1 and rows[by[0]].dtype.is_numeric()


def placed(rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return each value with its place, by which it is coloured: numbers by their order, else by the order of rows.

    >>> placed(pl.DataFrame({"lr": [0.3, 0.1, 0.3]}), ["lr"]).rows()
    [(0.1, 0), (0.3, 1)]
    """
    values = rows.select(by).unique(maintain_order=True)
    return (
        (values.sort(by, nulls_last=True) if are_ordered(rows, by) else values)
        .with_row_index("place")
        .select(*by, "place")
    )


def _group_name(columns: Sequence[str], values: Sequence[str], n: int) -> str:
    name = values[0] if len(columns) == 1 else named(columns, values)
    return f"{name} ({number_of(n, 'run')})"


def single(rows: pl.DataFrame) -> Groups:
    """Make each run (run_id, name) a group under its name, or its id where names repeat.

    >>> single(pl.DataFrame({"run_id": ["a", "b", "c"], "name": ["x", "y", "y"]})).names
    ['x', 'b', 'c']
    """
    name = pl.when(pl.col("name").is_duplicated()).then("run_id").otherwise("name").fill_null(pl.col("run_id"))
    frame = rows.select("run_id", name.alias("group"))
    return Groups(frame, frame["group"].to_list(), ordered=False, notes=[])


def together(rows: pl.DataFrame) -> Groups:
    """Make all runs one group.

    >>> together(pl.DataFrame({"run_id": ["a", "b"]})).names
    ['all (2 runs)']
    """
    return grouped(rows.select("run_id", pl.lit("all").alias("all")), ["all"])


def shares(values: pl.DataFrame, *, reaching: Literal["min", "max"] | None, size: int = STEPS) -> pl.DataFrame:
    """Return which share of each group's runs is at most (for "max": at least) x: group, x, share, n.

    values: group, value (finite). At most `size` steps a group, evenly spaced in rank, so that no share is off by more
    than 1 / size.

    >>> shares(pl.DataFrame({"group": ["g"] * 2, "value": [3.0, 1.0]}), reaching="max").rows()
    [('g', 3.0, 0.5, 2), ('g', 1.0, 1.0, 2)]
    """
    rank = pl.col("value").rank("max", descending=reaching == "max").over("group")
    n = pl.len().over("group")
    ranked = values.with_columns(n.alias("n"), rank.alias("rank")).unique(["group", "value"])
    spaced = (pl.col("rank") * min(size, 1 << 20) / pl.col("n")).ceil()
    steps = ranked.with_columns(spaced.alias("spaced")).sort("rank").unique(["group", "spaced"], keep="last")
    share = (pl.col("rank") / pl.col("n")).alias("share")
    return steps.sort("group", "rank").select("group", pl.col("value").alias("x"), share, pl.col("n").cast(pl.Int64))


class Bins(NamedTuple):
    """One axis cut into places: by value where there are few, else evenly between edges."""

    at: pl.Series
    """The place of each row: a value, or the number of a bin; null where there is none."""
    edges: pl.Series | None
    """The edges of the bins, None where the places are values."""
    log: bool

    def bounds(self, name: str) -> list[pl.Expr]:
        """Return the edges of a bin as the columns `name` and `name`_end, or the value, from a column of places.

        >>> cut = binned(pl.Series(range(100)), size=4)
        >>> pl.DataFrame({"x": [0, 3]}).select(cut.bounds("x")).rows()
        [(0.0, 24.75), (74.25, 99.0)]
        """
        if self.edges is None:
            return [pl.col(name)]
        below, above = self.edges.head(-1), self.edges.tail(-1)
        places = range(len(below))
        return [
            pl.col(name).replace_strict(places, below, return_dtype=below.dtype),
            pl.col(name).replace_strict(places, above, return_dtype=above.dtype).alias(f"{name}_end"),
        ]


def binned(values: pl.Series, *, size: int, few: int = 20, log: bool | None = None) -> Bins:
    """Cut an axis: numbers (or times) with more than `few` distinct values into `size` bins, even as the axis is.

    Text keeps its `few` most frequent values, the others are "(other)" and the missing "null".

    >>> binned(pl.Series(range(100)), size=4).edges.to_list()
    [0.0, 24.75, 49.5, 74.25, 99.0]
    >>> binned(pl.Series(["adam", None]), size=4).at.to_list()
    ['adam', 'null']
    """
    if values.dtype.is_temporal():
        cut = binned(values.cast(pl.Int64), size=size, few=few, log=False)
        return Bins(cut.at, None if cut.edges is None else cut.edges.cast(pl.Int64).cast(values.dtype), log=False)
    if not values.dtype.is_numeric():
        return Bins(most_frequent(values, limit=few), None, log=False)
    numbers = values.cast(pl.Float64)
    sound = finite(numbers)
    log = wants_log(sound) if log is None else log and bool((sound > 0).all())
    is_known = numbers.is_finite().fill_null(value=False)
    if sound.n_unique() <= few:
        return Bins(numbers.zip_with(is_known, numbers.clear(1)), None, log=log)
    low, high = float(sound.min()), float(sound.max())  # type: ignore[arg-type] # Float64, not empty
    edges = np.geomspace(low, high, size + 1) if log else np.linspace(low, high, size + 1)
    place = np.clip(np.searchsorted(edges, numbers.to_numpy(), side="right") - 1, 0, size - 1)
    return Bins(pl.Series(place).zip_with(is_known, pl.Series([None], dtype=pl.Int64)), pl.Series(edges), log)


def most_frequent(values: pl.Series, *, limit: int) -> pl.Series:
    """Return the values as text: the most frequent ones, "(other)" for those beyond `limit`, "null" for null.

    >>> most_frequent(pl.Series(["a", "a", "b", None]), limit=3).to_list()
    ['a', 'a', 'b', 'null']
    """
    named = values.cast(pl.String).fill_null("null")
    counted = named.alias("value").value_counts().sort("count", "value", descending=[True, False])
    if counted.height <= limit:
        return named
    return named.zip_with(named.is_in(counted["value"].head(limit - 1).implode()), pl.Series([OTHER]))


def cells(x: Bins, y: Bins, value: pl.Series | None) -> pl.DataFrame:
    """Count the rows of each cell of two axes: x, (x_end), y, (y_end), n, and value: the median, of text the mode.

    Rows without a place on both axes are left out. Without values, value is n.

    >>> x, y = binned(pl.Series([0.1, 0.1]), size=4), binned(pl.Series(["adam", "adam"]), size=4)
    >>> cells(x, y, pl.Series([2.0, 4.0])).rows()
    [(0.1, 'adam', 2, 3.0)]
    """
    numbers = pl.Series([None] * len(x.at), dtype=pl.Float64) if value is None else value
    rows = pl.DataFrame({"x": x.at, "y": y.at, "value": numbers}).drop_nulls(["x", "y"])
    column = pl.col("value")
    if value is None:
        middle = pl.len().cast(pl.Float64)
    elif numbers.dtype.is_numeric():
        middle = column.filter(column.is_finite()).median()
    else:
        middle = column.drop_nulls().mode().sort().first()
    counted = rows.group_by("x", "y").agg(pl.len().alias("n"), middle.alias("value")).sort("x", "y")
    return counted.select(*x.bounds("x"), *y.bounds("y"), "n", "value")


def spread(count: int, *, size: int) -> list[int]:
    """Return `size` positions evenly over `count` ranks, the first and the last among them.

    >>> spread(10, size=4), spread(3, size=5)
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return sorted(set(np.linspace(0, count - 1, min(size, count)).round().astype(int).tolist())) if count else []
