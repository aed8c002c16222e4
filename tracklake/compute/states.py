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
from tracklake.compute.points import SeriesStarts, series_starts
from tracklake.compute.pseudo_series import pseudo_by_name, without_pseudo
from tracklake.compute.sorted_groups import SortedGroups
from tracklake.schema.tables import STAMP, STATES
from tracklake.schema.values import STORED, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Column = pl.Series | Ints | Floats
    Columns = dict[str, Column]

_SERIES = ("run_id", "metric")
_COUNTS = ("n_raw", "n_points", "n", "n_bool", "n_nan", "n_pos_inf", "n_neg_inf")
_PLACES = {
    "start": {name: name for name in ("project", "run_id", "metric")} | {"lo": "step"},
    "stop": {"hi": "step"},
    **{which: {which: "value", f"{which}_step": "step"} for which in ("min", "max")},
    **{end: {f"{end}_{name}": name for name in ("step", *STORED)} for end in ("first", "last")},
}
"""Which points of a group its state tells of, and what: {place: {column of STATES: column of POINTS}}."""
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
    return _sorted(_assembled([_aggregates(points, by_session=by_session)]), then="session")


def of_rows(points: pl.DataFrame, *, sessions: pl.DataFrame, in_order: bool = True) -> pl.DataFrame:
    """Return the states of points as `of` does, and those of the series that every run has without logging them.

    Of many short series sorting them takes a fifth of the time: `in_order=False` leaves it out.

    >>> from tracklake.schema.tables import POINTS
    >>> points = pl.DataFrame([("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)], schema=POINTS, orient="row")
    >>> sessions = points.select("run_id", "session", start="ts", runtime_base=1.5)
    >>> of_rows(points, sessions=sessions).select("metric", "last_value").rows()
    [('_runtime', 1.5), ('_step', 7.0), ('_timestamp', 2.5), ('x', 0.5)]
    """
    if points.is_empty():
        return pl.DataFrame(schema=STATES)
    starts = series_starts(points)
    added = pseudo_by_name(points, sessions=sessions, starts=starts)
    parts = [_aggregates(series) for series in added if series.height]
    own = without_pseudo(points, starts=starts)
    if own.height:
        parts.append(_aggregates(own, starts if own is points else None))
    assembled = _assembled(parts)
    return _sorted(assembled, then="session") if in_order else assembled


def _aggregates(points: pl.DataFrame, starts: SeriesStarts | None = None, *, by_session: bool = True) -> Columns:
    """Return the columns of the states of points, in the order of their groups."""
    starts = starts or series_starts(points)
    every = SortedGroups(starts.series, points.height)
    if by_session and not starts.one_session:
        points, every = _by_session(points, every)
    latest, each = (points, every) if starts.ascend else _last_of_steps(points, every)
    numbers = _numbers(latest, each, one_session=by_session or starts.one_session) | {"n_raw": every.lengths}
    chosen = {name: numbers.pop(name) for name in ("min", "max", "first", "last")}
    places = {"start": each.starts, "stop": each.stops - 1} | chosen
    for place, names in _PLACES.items():
        numbers |= {new: _rows_at(latest[old], places[place]) for new, old in names.items()}
    return numbers


def _assembled(parts: Sequence[Columns]) -> pl.DataFrame:
    """Return the states of several parts, one below the other."""
    columns = {name: _concatenated([part[name] for part in parts]) for name in STATES}
    columns["ts"] = _stamps(columns["ts"])
    return _frame(columns, STATES)


def _concatenated(parts: Sequence[Column]) -> pl.Series:
    if all(isinstance(part, np.ndarray) for part in parts):
        return pl.Series(np.concatenate(parts))
    return pl.concat([part if isinstance(part, pl.Series) else pl.Series(part) for part in parts], rechunk=True)


def _by_session(points: pl.DataFrame, every: SortedGroups) -> tuple[pl.DataFrame, SortedGroups]:
    """Sort the points of each series by session, stably, and let each (run, metric, session) be a group."""
    series = every.spread(np.arange(len(every.starts)))
    session = points["session"].to_numpy()
    order = np.lexsort((session, series))  # moves points within a series only
    switch = np.append(True, (np.diff(session[order]) != 0) | (np.diff(series) != 0))
    return points[pl.Series(order)], SortedGroups(np.flatnonzero(switch), points.height)


def _last_of_steps(points: pl.DataFrame, every: SortedGroups) -> tuple[pl.DataFrame, SortedGroups]:
    """Leave out the points of each group that another one at the same step follows."""
    step = points["step"].to_numpy()
    last = np.append(step[1:] != step[:-1], True)
    last[every.stops - 1] = True
    lengths = every.count(last)
    latest = points if last.all() else points.filter(pl.Series(last))
    return latest, SortedGroups(np.cumsum(lengths) - lengths, latest.height)


class _Rows(NamedTuple):
    """Columns of points as arrays."""

    value: Floats
    """NaN where there is none."""
    is_number: Bools | None
    """None: all are numbers."""
    kind: NDArray[np.int8]
    stamp: Ints
    session: Ints


def _numbers(points: pl.DataFrame, each: SortedGroups, *, one_session: bool) -> dict[str, Any]:
    """Return the columns of states that are numbers, and the places of min, max, first and last (-1: there is none).

    `one_session` tells that each group is of one session, which spares looking.
    """
    value, ts = points["value"], points["ts"].cast(pl.Int64)
    ts = ts.fill_null(_NEVER) if ts.null_count() else ts
    is_number = value.is_not_null().to_numpy() if value.null_count() else None
    kind, stamp, session = (column.to_numpy() for column in (points["kind"], ts, points["session"]))
    return _count(_Rows(value.to_numpy(), is_number, kind, stamp, session), each, one_session=one_session)


def _count(rows: _Rows, each: SortedGroups, *, one_session: bool) -> dict[str, Any]:
    """Return the same; what usual points do not have costs no pass over them."""
    highest = rows.kind.max()
    has_value = rows.kind < Kind.NULL if highest >= Kind.NULL else None
    counts = {"n_points": each.lengths if highest < Kind.REPLACED else each.count(rows.kind != Kind.REPLACED)}
    counts["n_bool"] = each.none if highest < Kind.BOOL else each.count(rows.kind == Kind.BOOL)
    ends = {"first": each.starts, "last": each.stops - 1}
    if has_value is not None:
        ends = {"first": each.first(has_value), "last": each.last(has_value)}
    return (
        counts
        | group_numbers.of_numbers(rows.value, each, is_number=rows.is_number)
        | ends
        | _latest(rows, has_value, each, one_session=one_session)
    )


def _latest(rows: _Rows, has_value: Bools | None, each: SortedGroups, *, one_session: bool = False) -> dict[str, Ints]:
    """Return the largest (ts, session) of the rows of each group that have a value (None: all); _NEVER if none has."""
    stamps = rows.stamp if has_value is None else np.where(has_value, rows.stamp, _NEVER)
    last = each.max(stamps)
    session = rows.session[each.starts]
    if not one_session and (rows.session != each.spread(session)).any():
        session = each.max(np.where(stamps == each.spread(last), rows.session, _NEVER))
    return {"ts": last, "session": session}


def _stamps(microseconds: pl.Series) -> pl.Series:
    missing = microseconds == _NEVER
    return (microseconds.replace(_NEVER, None) if missing.any() else microseconds).cast(STAMP)


def _take(frame: pl.DataFrame, at: Ints, names: Mapping[str, str]) -> dict[str, pl.Series]:
    """Return the rows `at` of the columns {new name: old name}, null where `at` is -1."""
    return {new: pl.Series(_rows_at(frame[old], at)) for new, old in names.items()}


def _rows_at(column: pl.Series, at: Ints) -> Column:
    """Return some rows of a column, null where `at` is -1; numbers by numpy, since a query of polars takes longer."""
    if column.null_count() == len(column) > 0:
        return column.new_from_index(0, len(at))
    if column.dtype.is_numeric() and not column.null_count() and at.min(initial=0) >= 0:
        return column.to_numpy()[at]
    return column[pl.Series(at).cast(pl.get_index_type(), strict=False)]  # -1 becomes null, and so does the row


def _frame(columns: dict[str, pl.Series], schema: Mapping[str, Any]) -> pl.DataFrame:
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


def _merged_numbers(pieces: pl.DataFrame, each: SortedGroups) -> dict[str, pl.Series]:
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


def _merged_stamps(pieces: pl.DataFrame, each: SortedGroups) -> dict[str, pl.Series]:
    ts, unused = pieces["ts"].cast(pl.Int64).fill_null(_NEVER).to_numpy(), np.empty(0)
    rows = _Rows(unused, None, unused.astype(np.int8), ts, pieces["session"].to_numpy())
    latest = _latest(rows, ts != _NEVER, each)
    return {"ts": _stamps(pl.Series(latest["ts"])), "session": pl.Series(latest["session"])}


def _merged_values(pieces: pl.DataFrame, each: SortedGroups) -> dict[str, pl.Series]:
    merged: dict[str, pl.Series] = {}
    for which in _EXTREMES:
        names = {name: name for name in (which, f"{which}_step") if name in pieces.columns}
        if names:
            merged |= _take(pieces, each.extreme(pieces[which].to_numpy(), which), names)
    for end, choose in (("first", each.first), ("last", each.last)):
        names = {name: name for name in pieces.columns if name.startswith(f"{end}_")}
        if names:  # a piece that says nothing but None has no such value, and so no such step
            merged |= _take(pieces, choose(pieces[f"{end}_step"].is_not_null().to_numpy()), names)
    return merged
