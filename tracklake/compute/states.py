"""Partial aggregates of a series in one pass (states), and how those of disjoint parts merge.

A state holds every statistic but those of ranks (median, quantiles), knows no definition, and can be computed again
from the points at any time. queries/summaries_from_history.sql defines the same in SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import exact_sums, group_numbers, sorted_groups
from tracklake.compute.exact_sums import GroupSums
from tracklake.compute.points import logged_rows, pseudo_of_rows, series_starts, without_pseudo
from tracklake.compute.sorted_groups import SortedGroups
from tracklake.schema.tables import STAMP, STATES
from tracklake.schema.values import STORED, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Columns = dict[str, pl.Series]

_SERIES = ("run_id", "metric")
_VALUE = ("step", *STORED)
_COUNTS = ("n_raw", "n_points", "n", "n_bool", "n_nan", "n_pos_inf", "n_neg_inf")
_FOUND = ("min", "max", "first", "last")
_PLACES = {
    "start": {name: name for name in ("project", "run_id", "metric")} | {"lo": "step"},
    "stop": {"hi": "step"},
    **{which: {which: "value", f"{which}_step": "step"} for which in ("min", "max")},
    **{end: {f"{end}_{name}": name for name in _VALUE} for end in ("first", "last")},
}
"""Which points of a group its state tells of, and what: {place: {column of STATES: column of POINTS}}."""
_TAKEN = list(dict.fromkeys(old for taken in _PLACES.values() for old in taken.values()))
_NEVER = -(1 << 63)
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
    starts = series_starts(points)
    return _sorted(_assembled([_aggregates(points, starts.series, by_session=by_session)]), then="session")


def of_rows(points: pl.DataFrame, *, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the states of points as `of` does, and those of the series that every run has without logging them.

    >>> from tracklake.schema.tables import POINTS
    >>> points = pl.DataFrame([("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)], schema=POINTS, orient="row")
    >>> sessions = points.select("run_id", "session", start="ts", runtime_base=1.5)
    >>> of_rows(points, sessions=sessions).select("metric", "last_value").rows()
    [('_runtime', 1.5), ('_step', 7.0), ('_timestamp', 2.5), ('x', 0.5)]
    """
    return of_parts([points], sessions=sessions)


def of_parts(parts: Iterable[pl.DataFrame], *, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the states of the rows of several frames, each in POINTS order and of whole runs: nothing is copied.

    >>> from tracklake.schema.tables import POINTS
    >>> rows = [("p", run, "x", 1, 7, 2_500_000, 0.5, None, None, 0) for run in "ab"]
    >>> parts = [pl.DataFrame([row], schema=POINTS, orient="row") for row in rows]
    >>> sessions = pl.concat(parts).select("run_id", "session", start="ts", runtime_base=1.5)
    >>> of_parts(parts, sessions=sessions).filter(metric="x").select("run_id", "n").rows()
    [('a', 1), ('b', 1)]
    """
    logged, rows = [], []
    for points in parts:
        if points.is_empty():
            continue
        starts = series_starts(points)
        rows.append(logged_rows(points, starts=starts))
        own = without_pseudo(points, starts=starts)
        if own.height:
            logged.append(_aggregates(own, starts.series if own is points else series_starts(own).series))
    if not rows:
        return pl.DataFrame(schema=STATES)
    added = pseudo_of_rows(rows, sessions=sessions)
    every = [_aggregates(added, series_starts(added).series), *logged]
    return _sorted(_assembled(every), then="session")


class _Aggregates(NamedTuple):
    """The aggregates of groups of points."""

    numbers: dict[str, Ints | Floats]
    """Columns of STATES, an element a group."""
    rows: pl.DataFrame
    """Of each place of _PLACES one row a group, one place below the other: the point that is there."""


def _aggregates(points: pl.DataFrame, new: Bools, *, by_session: bool = True) -> _Aggregates:
    """Aggregate points, whose series begin where `new` is true."""
    raw, new = _by_session(points, new) if by_session else (points, new)
    every = SortedGroups(np.flatnonzero(new), raw.height)
    step = raw["step"].to_numpy()
    again = (step[1:] == step[:-1]) > new[1:]
    latest, each = raw, every
    if again.any():
        last = np.append(~again, True)
        lengths, latest = every.count(last), raw.filter(pl.Series(last))
        each = SortedGroups(np.cumsum(lengths) - lengths, latest.height)
    numbers = _numbers(latest, each) | {"n_raw": every.lengths}
    places = {"start": each.starts, "stop": each.stops - 1} | {name: numbers.pop(name) for name in _FOUND}
    rows = _rows_at(latest[_TAKEN], np.concatenate([places[name] for name in _PLACES]))
    return _Aggregates(numbers, rows)


def _assembled(aggregates: Sequence[_Aggregates]) -> pl.DataFrame:
    """Return states, in the order of the groups."""
    names = aggregates[0].numbers
    columns = {name: pl.Series(np.concatenate([one.numbers[name] for one in aggregates])) for name in names}
    columns["ts"] = _stamps(columns["ts"])
    sizes = [len(one.numbers["n"]) for one in aggregates]
    for i, place in enumerate(_PLACES.values()):
        parts = [one.rows.slice(i * size, size) for one, size in zip(aggregates, sizes, strict=True)]
        columns |= {new: pl.concat([part[old] for part in parts], rechunk=True) for new, old in place.items()}
    return _frame(columns, STATES)


def _by_session(points: pl.DataFrame, new: Bools) -> tuple[pl.DataFrame, Bools]:
    """Sort the points of each series by session, stably, and mark the first of each (run, metric, session)."""
    session = points["session"].to_numpy()
    switch = np.append(False, session[1:] != session[:-1])
    if (switch > new).any():
        order = np.lexsort((session, np.cumsum(new)))  # moves points within a series only: `new` stays true
        points, switch = points[pl.Series(order)], np.append(False, np.diff(session[order]) != 0)
    return points, new | switch


class _Rows(NamedTuple):
    """Columns of points as arrays."""

    value: Floats
    """NaN where there is none."""
    is_number: Bools | None
    """None: all are numbers."""
    kind: NDArray[np.int8]
    stamp: Ints
    session: Ints


def _numbers(points: pl.DataFrame, each: SortedGroups) -> dict[str, Any]:
    """Return the columns of states that are numbers, and the places of the points of _FOUND (-1: there is none)."""
    value, ts = points["value"], points["ts"].cast(pl.Int64)
    ts = ts.fill_null(_NEVER) if ts.null_count() else ts
    is_number = value.is_not_null().to_numpy() if value.null_count() else None
    kind, stamp, session = (column.to_numpy() for column in (points["kind"], ts, points["session"]))
    return _count(_Rows(value.to_numpy(), is_number, kind, stamp, session), each)


def _count(rows: _Rows, each: SortedGroups) -> dict[str, Any]:
    """Return the same; what usual points do not have costs no pass over them."""
    highest = rows.kind.max()
    has_value = rows.kind < Kind.NULL
    counts = {"n_points": each.lengths if highest < Kind.REPLACED else each.count(rows.kind != Kind.REPLACED)}
    counts["n_bool"] = each.none if highest < Kind.BOOL else each.count(rows.kind == Kind.BOOL)
    ends = {"first": each.first(has_value), "last": each.last(has_value)}
    return (
        counts
        | group_numbers.of_numbers(rows.value, each, is_number=rows.is_number)
        | ends
        | _latest(rows, has_value, each)
    )


def _latest(rows: _Rows, has_value: Bools, each: SortedGroups) -> dict[str, Ints]:
    """Return the largest (ts, session) of the rows of each group that have a value; a ts of _NEVER if none has."""
    stamps = rows.stamp if has_value.all() else np.where(has_value, rows.stamp, _NEVER)
    last = each.max(stamps)
    session = rows.session[each.starts]
    if (rows.session != each.spread(session)).any():
        session = each.max(np.where(stamps == each.spread(last), rows.session, _NEVER))
    return {"ts": last, "session": session}


def _stamps(microseconds: pl.Series) -> pl.Series:
    missing = microseconds == _NEVER
    return (microseconds.replace(_NEVER, None) if missing.any() else microseconds).cast(STAMP)


def _take(frame: pl.DataFrame, at: Ints, names: Mapping[str, str]) -> Columns:
    """Return the rows `at` of the columns {new name: old name}, null where `at` is -1."""
    chosen = _rows_at(pl.DataFrame([frame[name] for name in dict.fromkeys(names.values())]), at)
    return {new: chosen[old] for new, old in names.items()}


def _rows_at(frame: pl.DataFrame, at: Ints) -> pl.DataFrame:
    """Return some rows, all null where `at` is -1."""
    rows = pl.Series(at).cast(pl.get_index_type(), strict=False)  # -1 becomes null, and a null row is all null
    return pl.DataFrame([column[rows] for column in frame])


def _frame(columns: Columns, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a frame with columns in the order of a schema; polars' own way of a dictionary takes half a ms longer."""
    typed = [(columns[name], name, dtype) for name, dtype in schema.items()]
    return pl.DataFrame([(x if x.dtype == dtype else x.cast(dtype)).alias(name) for x, name, dtype in typed])


def merge(states: pl.DataFrame, *, in_order: bool = False) -> pl.DataFrame:
    """Merge the states of each (run_id, metric) into one row, sorted by (metric, run_id).

    Their step intervals must be strictly disjoint (see `overlapping`). Only the columns that are there are merged:
    run_id, metric, session, lo, hi are needed, and what `columns` names for a statistic. `session` is that of the
    latest value, or without `ts` that of the piece with the last step. `in_order` tells that they are sorted as by
    `sort`, which spares looking. Raises ValueError for `sum` or `m2` without what they are merged from.

    >>> pieces = {"run_id": ["a", "a"], "metric": ["x", "x"], "session": [1, 2], "lo": [0, 5], "hi": [4, 9]}
    >>> merge(pl.DataFrame(pieces | {"n": [5, 5], "max": [2.0, 3.0], "max_step": [1, 6]})).rows()
    [('a', 'x', 2, 0, 9, 10, 3.0, 6)]
    """
    pieces = states if in_order else sort(states)
    new = sorted_groups.group_starts(pieces, by=_SERIES)
    if new.all():
        return pieces
    each = SortedGroups(np.flatnonzero(new.to_numpy()), pieces.height)
    merged = _merged_numbers(pieces, each) | _merged_values(pieces, each)
    if "ts" in pieces.columns:
        merged |= _merged_stamps(pieces, each)
    ends = {name: name for name in ("session", "hi") if name not in merged}
    shared = {name: name for name in pieces.columns if name not in merged and name not in ends}
    merged |= _take(pieces, each.starts, shared) | _take(pieces, each.stops - 1, ends)
    return _frame(merged, pieces.schema)


def overlapping(states: pl.DataFrame, *, in_order: bool = False) -> pl.DataFrame:
    """Return each (run_id, metric) whose states cannot merge, because two of their step intervals share a step.

    `in_order` as in `merge`.

    >>> pieces = {"run_id": ["a", "a"], "metric": ["x", "x"], "lo": [0, 4], "hi": [4, 9]}
    >>> overlapping(pl.DataFrame(pieces)).rows()
    [('a', 'x')]
    """
    pieces = states[[*_SERIES, "lo", "hi"]]
    pieces = pieces if in_order else sort(pieces)
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


_MERGED_FROM = {
    "sum": ("n", "sum_low", "mean"),
    "sum_low": ("n", "sum", "mean"),
    "mean": ("n", "sum", "sum_low"),
    "m2": ("n", "sum", "sum_low", "mean"),
    "min_step": ("min",),
    "max_step": ("max",),
} | {name: (f"{name.partition('_')[0]}_step",) for name in STATES if name.startswith(("first_", "last_"))}
"""Columns that merge right only where others are there."""


def with_what_merges(columns: Iterable[str]) -> list[str]:
    """Return the columns with those that they are merged from.

    >>> with_what_merges(["n_points", "last_value"])
    ['n_points', 'last_value', 'last_step']
    """
    asked = list(columns)
    return list(dict.fromkeys([*asked, *(other for name in asked for other in _MERGED_FROM.get(name, ()))]))


def _merged_numbers(pieces: pl.DataFrame, each: SortedGroups) -> Columns:
    present = set(pieces.columns)
    for name in present & _MERGED_FROM.keys():
        if missing := [other for other in _MERGED_FROM[name] if other not in present]:
            raise ValueError(f"{name} of states cannot be merged without {', '.join(missing)}")
    merged: dict[str, Ints | Floats] = {
        name: each.count(pieces[name].to_numpy()) for name in _COUNTS if name in present
    }
    if "mean" in present:
        n = pieces["n"].to_numpy()
        parts = GroupSums(*(pieces[name].to_numpy() for name in ("sum", "sum_low", "mean")))
        sums = exact_sums.of_parts(parts, n, each)
        merged |= {"sum": sums.high, "sum_low": sums.low, "mean": sums.mean}
    if "m2" in present:
        of_part, of_all = exact_sums.mean_remainder(parts, n), exact_sums.mean_remainder(sums, each.count(n))
        with np.errstate(over="ignore"):  # as in group_numbers
            off = parts.mean - each.spread(sums.mean) + (of_part - each.spread(of_all))
            off = np.where(n > 0, off, 0.0)
            merged["m2"] = each.sum(pieces["m2"].to_numpy() + n * off * off)
    return {name: pl.Series(column) for name, column in merged.items()}


def _merged_stamps(pieces: pl.DataFrame, each: SortedGroups) -> Columns:
    ts, unused = pieces["ts"].cast(pl.Int64).fill_null(_NEVER).to_numpy(), np.empty(0)
    rows = _Rows(unused, None, unused.astype(np.int8), ts, pieces["session"].to_numpy())
    latest = _latest(rows, ts != _NEVER, each)
    return {"ts": _stamps(pl.Series(latest["ts"])), "session": pl.Series(latest["session"])}


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
