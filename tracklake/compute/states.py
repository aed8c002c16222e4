"""Partial aggregates of a series in one pass (states), and how those of disjoint parts merge.

A state holds every statistic but those of ranks (median, quantiles), knows no definition, and can be computed again
from the points at any time. queries/summaries_from_history.sql defines the same in SQL.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import exact_sums, sorted_groups
from tracklake.compute.exact_sums import GroupSums
from tracklake.compute.points import pseudo, without_pseudo
from tracklake.compute.sorted_groups import SortedGroups
from tracklake.schema.tables import STAMP, STATES
from tracklake.schema.values import STORED, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Columns = dict[str, pl.Series]

_SERIES = ("run_id", "metric")
_VALUE = ("step", *STORED)
_COUNTS = ("n_raw", "n_points", "n", "n_bool", "n_nan", "n_pos_inf", "n_neg_inf")
_EXTREMES: tuple[Literal["min", "max"], ...] = ("min", "max")


def of(points: pl.DataFrame, *, by_session: bool = True) -> pl.DataFrame:
    """Return the partial aggregates of points in POINTS order: one row a (run, session, metric), in STATES order.

    Of points of one session at one step only the last counts; `n_raw` counts all. Points of several sessions that were
    resolved together become one state a (run, metric) with `by_session=False`; its session is that of the latest value.

    >>> from tracklake.schema.tables import POINTS
    >>> rows = [("p", "a", "x", 1, step, step, float(step), None, None, 0) for step in (1, 2, 3)]
    >>> of(pl.DataFrame(rows, schema=POINTS, orient="row")).select("n", "sum", "m2", "max", "max_step", "hi").row(0)
    (3, 6.0, 2.0, 3.0, 3, 3)
    """
    if points.is_empty():
        return pl.DataFrame(schema=STATES)
    raw, new = _by_session(points) if by_session else (points, _new_series(points))
    every = SortedGroups(np.flatnonzero(new), raw.height)
    last = np.append(new[1:] | (np.diff(raw["step"].to_numpy()) != 0), True)
    lengths = every.lengths if last.all() else every.count(last)
    latest = raw if last.all() else raw.filter(last)
    each = SortedGroups(np.cumsum(lengths) - lengths, latest.height)
    columns = _take(latest, each.starts, {name: name for name in ("project", "run_id", "metric")})
    counts = each.count(latest["kind"].to_numpy() != Kind.REPLACED)
    columns |= {"n_raw": pl.Series(every.lengths), "n_points": pl.Series(counts)}
    columns |= _number_columns(latest, each) | _value_columns(latest, each)
    return _sorted(_frame(columns, STATES), then="session")


def of_rows(points: pl.DataFrame, *, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the states of points as `of` does, and those of the series that every run has without logging them.

    >>> from tracklake.schema.tables import POINTS
    >>> points = pl.DataFrame([("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)], schema=POINTS, orient="row")
    >>> sessions = points.select("run_id", "session", start="ts", runtime_base=1.5)
    >>> of_rows(points, sessions=sessions).select("metric", "last_value").rows()
    [('_runtime', 1.5), ('_step', 7.0), ('_timestamp', 2.5), ('x', 0.5)]
    """
    both = pl.concat([of(without_pseudo(points)), of(pseudo(points, sessions=sessions))])
    return _sorted(both, then="session")


def _by_session(points: pl.DataFrame) -> tuple[pl.DataFrame, Bools]:
    """Sort the points of each series by session, stably, and mark the first of each (run, metric, session)."""
    new = _new_series(points)
    session = points["session"].to_numpy()
    switch = np.append(False, np.diff(session) != 0)
    if (switch & ~new).any():
        order = np.lexsort((session, np.cumsum(new)))  # moves points within a series only: `new` stays true
        points, switch = points[pl.Series(order)], np.append(False, np.diff(session[order]) != 0)
    return points, new | switch


def _new_series(points: pl.DataFrame) -> Bools:
    return sorted_groups.group_starts(points, by=_SERIES).to_numpy()


def _number_columns(points: pl.DataFrame, each: SortedGroups) -> Columns:
    value = points["value"]
    number = value.is_not_null().to_numpy() if value.null_count() else np.ones(len(value), dtype=np.bool_)
    x = value.to_numpy()  # null as NaN
    finite = np.isfinite(x)
    n = each.count(finite)
    sums, m2 = _moments(x if finite.all() else np.where(finite, x, 0.0), finite, n, each)
    columns = {"n": n, "n_nan": each.count(np.isnan(x) & number), "sum": sums.high, "sum_low": sums.low}
    columns |= {"mean": sums.mean, "m2": m2, "n_bool": each.count(points["kind"].to_numpy() == Kind.BOOL)}
    columns |= {"n_pos_inf": each.count(x == math.inf), "n_neg_inf": each.count(x == -math.inf)}
    return {name: pl.Series(column) for name, column in columns.items()}


def _moments(x: Floats, finite: Bools, n: Ints, each: SortedGroups) -> tuple[GroupSums, Floats]:
    """Return sums and sums of squared differences from the mean, in two passes; `x` is 0.0 where it is not finite."""
    sums = exact_sums.of_groups(x, n, each)
    with np.errstate(over="ignore"):  # beyond 1e308 it is infinite, as IEEE has it
        off = x - each.spread(sums.mean)
        off *= finite
        off *= off
        return sums, each.sum(off)


def _value_columns(points: pl.DataFrame, each: SortedGroups) -> Columns:
    has_value = points["kind"].to_numpy() < Kind.NULL
    x = points["value"].to_numpy()
    columns: Columns = {}
    for which in _EXTREMES:
        columns |= _take(points, each.extreme(x, which), {which: "value", f"{which}_step": "step"})
    for end, at in (("first", each.first(has_value)), ("last", each.last(has_value))):
        columns |= _take(points, at, {f"{end}_{name}": name for name in _VALUE})
    columns |= _take(points, each.starts, {"lo": "step"}) | _take(points, each.stops - 1, {"hi": "step"})
    return columns | _latest_stamp(points, has_value, each)


def _take(frame: pl.DataFrame, at: Ints, names: Mapping[str, str]) -> Columns:
    """Return the rows `at` of the columns {new name: old name}, null where `at` is -1."""
    rows = pl.Series(at).cast(pl.get_index_type(), strict=False)  # -1 becomes null, and a null row is all null
    return {new: frame[old][rows] for new, old in names.items()}


def _latest_stamp(rows: pl.DataFrame, has_value: Bools, each: SortedGroups) -> Columns:
    """Return the largest (ts, session) of the rows of each group that have a value; no ts if none has."""
    never = np.iinfo(np.int64).min
    spoken = rows["ts"].cast(pl.Int64)
    spoken = spoken.fill_null(never) if spoken.null_count() else spoken
    stamps = np.where(has_value, spoken.to_numpy(), never)
    last = each.max(stamps)
    sessions = np.where(stamps == each.spread(last), rows["session"].to_numpy(), never)
    ts = pl.Series(last)
    ts = ts.replace(never, None) if (last == never).any() else ts
    return {"ts": ts.cast(STAMP), "session": pl.Series(each.max(sessions))}


def _frame(columns: Columns, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a frame with columns in the order of a schema; polars' own way of a dictionary takes half a ms longer."""
    return pl.DataFrame([columns[name].cast(dtype).alias(name) for name, dtype in schema.items()])


def merge(states: pl.DataFrame) -> pl.DataFrame:
    """Merge the states of each (run_id, metric) into one row, sorted by (metric, run_id).

    Their step intervals must be strictly disjoint (see `overlapping`). Only the columns that are there are merged:
    run_id, metric, session, lo, hi are needed, and what `columns` names for a statistic. `session` is that of
    the latest value, or without `ts` that of the piece with the last step.

    >>> pieces = {"run_id": ["a", "a"], "metric": ["x", "x"], "session": [1, 2], "lo": [0, 5], "hi": [4, 9]}
    >>> merge(pl.DataFrame(pieces | {"n": [5, 5], "max": [2.0, 3.0], "max_step": [1, 6]})).rows()
    [('a', 'x', 2, 0, 9, 10, 3.0, 6)]
    """
    pieces = sort(states)
    new = sorted_groups.group_starts(pieces, by=_SERIES)
    if new.all():
        return pieces
    each = SortedGroups(np.flatnonzero(new.to_numpy()), pieces.height)
    merged = _merged_numbers(pieces, each) | _merged_values(pieces, each)
    if "ts" in pieces.columns:
        merged |= _latest_stamp(pieces, pieces["ts"].is_not_null().to_numpy(), each)
    ends = {name: name for name in ("session", "hi") if name not in merged}
    shared = {name: name for name in pieces.columns if name not in merged and name not in ends}
    merged |= _take(pieces, each.starts, shared) | _take(pieces, each.stops - 1, ends)
    return _frame(merged, pieces.schema)


def overlapping(states: pl.DataFrame) -> pl.DataFrame:
    """Return each (run_id, metric) whose states cannot merge, because two of their step intervals share a step.

    >>> pieces = {"run_id": ["a", "a"], "metric": ["x", "x"], "lo": [0, 4], "hi": [4, 9]}
    >>> overlapping(pl.DataFrame(pieces)).rows()
    [('a', 'x')]
    """
    pieces = sort(states[[*_SERIES, "lo", "hi"]])
    same = ~sorted_groups.group_starts(pieces, by=_SERIES).slice(1)
    clash = same & (pieces["lo"].slice(1) <= pieces["hi"].head(-1))  # in order of lo, neighbours suffice
    if not clash.any():
        return pieces[[*_SERIES]].clear()
    return pieces.slice(1).filter(clash).select(_SERIES).unique(maintain_order=True)


def sort(states: pl.DataFrame) -> pl.DataFrame:
    """Return states sorted by (metric, run_id, lo), as `merge` and `overlapping` need them.

    >>> sort(pl.DataFrame({"run_id": ["a", "b", "a"], "metric": ["x", "x", "w"], "lo": [0, 0, 0]}))["metric"].to_list()
    ['w', 'x', 'x']
    """
    return _sorted(states, then="lo")


def _sorted(states: pl.DataFrame, *, then: str) -> pl.DataFrame:
    """Sort by (metric, run_id, then); parts that hold runs one after the other need only be gathered by metric."""
    return sorted_groups.sort(states, by=["metric", "run_id", then], series=["metric"])


def _merged_numbers(pieces: pl.DataFrame, each: SortedGroups) -> Columns:
    present = set(pieces.columns)
    merged: dict[str, Ints | Floats] = {
        name: each.count(pieces[name].to_numpy()) for name in _COUNTS if name in present
    }
    if "mean" in present:
        n = pieces["n"].to_numpy()
        parts = GroupSums(*(pieces[name].to_numpy() for name in ("sum", "sum_low", "mean")))
        sums = exact_sums.of_parts(parts, n, each)
        merged |= {"sum": sums.high, "sum_low": sums.low, "mean": sums.mean}
    if "m2" in present:
        with np.errstate(over="ignore"):  # as in _moments
            off = np.where(n > 0, parts.mean - each.spread(sums.mean), 0.0)
            merged["m2"] = each.sum(pieces["m2"].to_numpy() + n * off * off)
    return {name: pl.Series(column) for name, column in merged.items()}


def _merged_values(pieces: pl.DataFrame, each: SortedGroups) -> Columns:
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
