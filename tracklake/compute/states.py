"""States: what one pass over a series leaves behind, and how such remains of disjoint pieces merge.

A state answers every statistic but the quantiles, knows no definition, and is never wrong: it can be made again from
the points at any time. queries/summaries_from_history.sql says the same in SQL.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import sorted_groups
from tracklake.compute.points import pseudo, without_pseudo
from tracklake.compute.sorted_groups import Stretches
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.schema.tables import STAMP, STATES
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Columns = dict[str, pl.Series]

_SERIES = ("run_id", "metric")
_VALUE = ("step", "value", "ival", "text", "kind")
_COUNTS = ("n_raw", "n_points", "n", "n_nan", "n_pos_inf", "n_neg_inf")
_EXTREMES: tuple[Literal["min", "max"], ...] = ("min", "max")
_NUMBERS = ("n", "n_pos_inf", "n_neg_inf")


def of(points: pl.DataFrame, *, by_session: bool = True) -> pl.DataFrame:
    """Make the states of points that stand in POINTS order: one row a (run, session, metric), in STATES order.

    Of points of one session at one step only the last counts; `n_raw` counts all. Points of several sessions that were
    resolved together become one state a (run, metric) with `by_session=False`; its session is the one that spoke last.

    >>> from tracklake.schema.tables import POINTS
    >>> rows = [("p", "a", "x", 1, step, step, float(step), None, None, 0) for step in (1, 2, 3)]
    >>> of(pl.DataFrame(rows, schema=POINTS, orient="row")).select("n", "sum", "m2", "max", "max_step", "hi").row(0)
    (3, 6.0, 2.0, 3.0, 3, 3)
    """
    if points.is_empty():
        return pl.DataFrame(schema=STATES)
    raw, new = _by_session(points) if by_session else (points, _new_series(points))
    every = Stretches(np.flatnonzero(new), raw.height)
    last = np.append(new[1:] | (np.diff(raw["step"].to_numpy()) != 0), True)
    lengths = every.lengths if last.all() else every.count(last)
    kept = raw if last.all() else raw.filter(last)
    each = Stretches(np.cumsum(lengths) - lengths, kept.height)
    columns = _take(kept, each.starts, {name: name for name in ("project", "run_id", "metric")})
    columns |= {"n_raw": pl.Series(every.lengths), "n_points": pl.Series(lengths)}
    columns |= _number_columns(kept, each) | _value_columns(kept, each)
    return _sorted(_frame(columns, STATES), then="session")


def of_rows(points: pl.DataFrame, *, sessions: pl.DataFrame) -> pl.DataFrame:
    """Make the states of points as `of` does, and those of the series that every run has without logging them.

    >>> from tracklake.schema.tables import POINTS
    >>> points = pl.DataFrame([("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)], schema=POINTS, orient="row")
    >>> sessions = points.select("run_id", "session", start="ts", runtime_base=1.5)
    >>> of_rows(points, sessions=sessions).select("metric", "last_value").rows()
    [('_runtime', 1.5), ('_step', 7.0), ('_timestamp', 2.5), ('x', 0.5)]
    """
    found = pl.concat([of(without_pseudo(points)), of(pseudo(points, sessions=sessions))])
    return _sorted(found, then="session")


def _by_session(points: pl.DataFrame) -> tuple[pl.DataFrame, Bools]:
    """Bring the points of each (run, metric, session) together, else as they stand, and mark its first."""
    new = _new_series(points)
    session = points["session"].to_numpy()
    switch = np.append(False, np.diff(session) != 0)
    if (switch & ~new).any():
        order = np.lexsort((session, np.cumsum(new)))  # moves points within a series only: `new` stays true
        points, switch = points[pl.Series(order)], np.append(False, np.diff(session[order]) != 0)
    return points, new | switch


def _new_series(points: pl.DataFrame) -> Bools:
    return sorted_groups.begin(points, by=_SERIES).to_numpy()


def _number_columns(points: pl.DataFrame, each: Stretches) -> Columns:
    value = points["value"]
    number = value.is_not_null().to_numpy() if value.null_count() else np.ones(len(value), dtype=np.bool_)
    x = value.to_numpy()  # null as NaN
    finite = np.isfinite(x)
    n = each.count(finite)
    sums, means, m2 = _moments(x if finite.all() else np.where(finite, x, 0.0), finite, n, each)
    columns = {"n": n, "n_nan": each.count(np.isnan(x) & number), "sum": sums, "mean": means, "m2": m2}
    columns |= {"n_pos_inf": each.count(x == math.inf), "n_neg_inf": each.count(x == -math.inf)}
    return {name: pl.Series(column) for name, column in columns.items()}


def _moments(x: Floats, finite: Bools, n: Ints, each: Stretches) -> tuple[Floats, Floats, Floats]:
    """Sum, mean and sum of squared differences, in two passes; `x` is 0.0 where it is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):  # beyond 1e308 they are inf and NaN, as IEEE has it
        total = each.total(x)
        mean = total / np.maximum(n, 1)
        off = x - each.spread(mean)
        off *= finite
        off *= off
        return total, mean, each.total(off)


def _value_columns(points: pl.DataFrame, each: Stretches) -> Columns:
    said = points["kind"].to_numpy() != Kind.NULL
    x = points["value"].to_numpy()
    columns: Columns = {}
    for which in _EXTREMES:
        columns |= _take(points, each.extreme(x, which), {which: "value", f"{which}_step": "step"})
    for end, at in (("first", each.first(said)), ("last", each.last(said))):
        columns |= _take(points, at, {f"{end}_{name}": name for name in _VALUE})
    columns |= _take(points, each.starts, {"lo": "step"}) | _take(points, each.stops - 1, {"hi": "step"})
    return columns | _spoken_last(points, said, each)


def _take(frame: pl.DataFrame, at: Ints, names: Mapping[str, str]) -> Columns:
    """Take the rows `at` of the columns {new name: old name}, null where `at` is -1."""
    rows = pl.Series(at).cast(pl.get_index_type(), strict=False)  # -1 becomes null, and a null row is all null
    return {new: frame[old][rows] for new, old in names.items()}


def _spoken_last(rows: pl.DataFrame, said: Bools, each: Stretches) -> Columns:
    """Give the largest (ts, session) of the rows of each stretch that say something; no ts if none does."""
    never = np.iinfo(np.int64).min
    spoken = rows["ts"].cast(pl.Int64)
    spoken = spoken.fill_null(never) if spoken.null_count() else spoken
    stamps = np.where(said, spoken.to_numpy(), never)
    last = each.most(stamps)
    sessions = np.where(stamps == each.spread(last), rows["session"].to_numpy(), never)
    ts = pl.Series(last)
    ts = ts.replace(never, None) if (last == never).any() else ts
    return {"ts": ts.cast(STAMP), "session": pl.Series(each.most(sessions))}


def _frame(columns: Columns, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Put columns in the order of a schema; polars' own way of a dictionary takes half a ms longer."""
    return pl.DataFrame([columns[name].cast(dtype).alias(name) for name, dtype in schema.items()])


def merge(states: pl.DataFrame) -> pl.DataFrame:
    """Merge the states of each (run_id, metric) into one row, sorted by (metric, run_id).

    Their step intervals must be strictly disjoint (see `overlapping`). Only the columns that are there are merged:
    run_id, metric, session, lo, hi are needed, and what `columns` names for a statistic. `session` is the one that
    spoke last, or without `ts` that of the piece with the last step.

    >>> pieces = {"run_id": ["a", "a"], "metric": ["x", "x"], "session": [1, 2], "lo": [0, 5], "hi": [4, 9]}
    >>> merge(pl.DataFrame(pieces | {"n": [5, 5], "max": [2.0, 3.0], "max_step": [1, 6]})).rows()
    [('a', 'x', 2, 0, 9, 10, 3.0, 6)]
    """
    pieces = sort(states)
    new = sorted_groups.begin(pieces, by=_SERIES)
    if new.all():
        return pieces
    each = Stretches(np.flatnonzero(new.to_numpy()), pieces.height)
    merged = _merged_numbers(pieces, each) | _merged_values(pieces, each)
    if "ts" in pieces.columns:
        merged |= _spoken_last(pieces, pieces["ts"].is_not_null().to_numpy(), each)
    ends = {name: name for name in ("session", "hi") if name not in merged}
    rest = {name: name for name in pieces.columns if name not in merged and name not in ends}
    merged |= _take(pieces, each.starts, rest) | _take(pieces, each.stops - 1, ends)
    return _frame(merged, pieces.schema)


def overlapping(states: pl.DataFrame) -> pl.DataFrame:
    """Give each (run_id, metric) whose states cannot merge, because two of their step intervals share a step.

    >>> pieces = {"run_id": ["a", "a"], "metric": ["x", "x"], "lo": [0, 4], "hi": [4, 9]}
    >>> overlapping(pl.DataFrame(pieces)).rows()
    [('a', 'x')]
    """
    pieces = sort(states[[*_SERIES, "lo", "hi"]])
    same = ~sorted_groups.begin(pieces, by=_SERIES).slice(1)
    clash = same & (pieces["lo"].slice(1) <= pieces["hi"].head(-1))  # in order of lo, neighbours suffice
    if not clash.any():
        return pieces[[*_SERIES]].clear()
    return pieces.slice(1).filter(clash).select(_SERIES).unique(maintain_order=True)


def sort(states: pl.DataFrame) -> pl.DataFrame:
    """Order states by (metric, run_id, lo), as `merge` and `overlapping` need them.

    >>> sort(pl.DataFrame({"run_id": ["a", "b", "a"], "metric": ["x", "x", "w"], "lo": [0, 0, 0]}))["metric"].to_list()
    ['w', 'x', 'x']
    """
    return _sorted(states, then="lo")


def _sorted(states: pl.DataFrame, *, then: str) -> pl.DataFrame:
    """Sort by (metric, run_id, then); parts that hold runs one after the other need only be gathered by metric."""
    return sorted_groups.sort(states, by=["metric", "run_id", then], series=["metric"])


def _merged_numbers(pieces: pl.DataFrame, each: Stretches) -> Columns:
    there = set(pieces.columns)
    merged: dict[str, Ints | Floats] = {name: each.count(pieces[name].to_numpy()) for name in _COUNTS if name in there}
    with np.errstate(over="ignore", invalid="ignore"):  # as in _moments
        if "sum" in there:
            merged["sum"] = each.total(pieces["sum"].to_numpy())
        if "mean" in there:
            n, means = pieces["n"].to_numpy(), pieces["mean"].to_numpy()
            merged["mean"] = mean = each.total(n * means) / np.maximum(merged["n"], 1)
            if "m2" in there:
                off = means - each.spread(mean)
                merged["m2"] = each.total(pieces["m2"].to_numpy() + n * off * off)
    return {name: pl.Series(column) for name, column in merged.items()}


def _merged_values(pieces: pl.DataFrame, each: Stretches) -> Columns:
    merged: Columns = {}
    for which in _EXTREMES:
        names = {name: name for name in (which, f"{which}_step") if name in pieces.columns}
        if names:
            merged |= _take(pieces, each.extreme(pieces[which].to_numpy(), which), names)
    for end, choose in (("first", each.first), ("last", each.last)):
        names = {name: name for name in pieces.columns if name.startswith(f"{end}_")}
        if names:  # a piece that says nothing but None has no such value, and so no such step
            merged |= _take(pieces, choose(pieces[f"{end}_step"].is_not_null().to_numpy()), names)
    return merged


_NEEDS: Mapping[str, tuple[str, ...]] = {
    "count": _NUMBERS,
    "n_nan": ("n_nan",),
    "n_inf": ("n_pos_inf", "n_neg_inf"),
    "sum": (*_NUMBERS, "sum"),
    "mean": (*_NUMBERS, "mean"),
    "std": (*_NUMBERS, "mean", "m2"),
    "min": ("min",),
    "max": ("max",),
    "argmin": ("min", "min_step"),
    "argmax": ("max", "max_step"),
    "best": ("min", "max"),
    "best_step": ("min", "min_step", "max", "max_step"),
    "first": tuple(f"first_{name}" for name in _VALUE),
    "last": tuple(f"last_{name}" for name in _VALUE),
}


def columns(stat: str) -> tuple[str, ...]:
    """Name the state columns that a statistic needs, to merge states and to compute it.

    Raises UnknownNameError if states do not answer it (quantiles are read from points).

    >>> columns("argmin")
    ('min', 'min_step')
    """
    if stat not in _NEEDS:
        raise UnknownNameError.nearest("statistic", stat, _NEEDS)
    return _NEEDS[stat]


def expression(stat: str, *, goal: Literal["min", "max"] | None = None) -> pl.Expr:
    """Give a statistic of numbers as an expression over the columns of merged states; null where there is none.

    Every one is a Float64, but count, n_nan, n_inf, argmin, argmax and best_step are Int64. `best` and `best_step` need
    the goal, else DefinitionError. `first` and `last` are values of any kind, so they are columns, not one expression:
    they and unknown names raise UnknownNameError.

    >>> states = pl.DataFrame({"n": [3], "n_pos_inf": [1], "n_neg_inf": [0], "mean": [2.0]})
    >>> states.select(count=expression("count"), mean=expression("mean")).row(0)
    (4, inf)
    """
    columns(stat)
    if stat in {"best", "best_step"}:
        if goal not in _EXTREMES:
            raise DefinitionError(f"{stat} needs a goal, 'min' or 'max', not {goal!r}: define_metric(..., goal='min')")
        return expression(goal if stat == "best" else f"arg{goal}")
    found = _expressions()
    if stat not in found:
        raise UnknownNameError(
            f"{stat} is a value of any kind, not a number: read the columns {', '.join(columns(stat))}"
        )
    return found[stat]


def _expressions() -> dict[str, pl.Expr]:
    infinite = pl.col("n_pos_inf") + pl.col("n_neg_inf")
    count = pl.col("n") + infinite
    above = pl.when(pl.col("n_pos_inf") > 0).then(math.inf).otherwise(0.0)
    below = pl.when(pl.col("n_neg_inf") > 0).then(-math.inf).otherwise(0.0)  # inf - inf is NaN, as IEEE has it
    deviation = pl.when(infinite > 0).then(math.nan).otherwise((pl.col("m2") / (pl.col("n") - 1)).sqrt())
    return {
        "count": count,
        "n_nan": pl.col("n_nan"),
        "n_inf": infinite,
        "sum": pl.when(count != 0).then(pl.col("sum") + above + below),
        "mean": pl.when(count != 0).then(pl.col("mean") + above + below),
        "std": pl.when(count > 1).then(deviation),
        "min": pl.col("min"),
        "max": pl.col("max"),
        "argmin": pl.col("min_step"),
        "argmax": pl.col("max_step"),
    }
