"""The series that every run has without logging them, of its rows: step, time of day, and runtime."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import sorted_groups
from tracklake.compute.points import PSEUDO, SeriesStarts, series_starts, sort
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_ROW = ["project", "run_id", "session", "step"]
_MILLION = pl.Series([1e6])
_LONG = 1 << 11
"""Points of adjacent series of one length from which on a look at them alone pays."""
_FEW = 65_536
"""Points of a run up to which polars alone groups them by row."""


def with_pseudo(points: pl.DataFrame, *, sessions: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the points, sorted, with `_step`, `_timestamp` and `_runtime` of every (run, session) in place of markers.

    Each gets one point at every step of the session that has any point, stamped with the largest ts there: `_step` the
    step (int), `_timestamp` that ts in epoch seconds (not where the user logged one), `_runtime` the seconds from the
    session's start to that ts, plus `runtime_base`. `sessions` has the columns run_id, session, start, runtime_base;
    where runtime_base is null, as for an imported run without time, there is neither `_runtime` nor `_timestamp`.

    >>> row = ("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)
    >>> with_pseudo(pl.DataFrame([row], schema=POINTS, orient="row")).select("metric", "value").rows()
    [('_step', 7.0), ('_timestamp', 2.5), ('x', 0.5)]
    """
    return sort(pl.concat([without_pseudo(points), pseudo(sort(points), sessions=sessions)]))


def without_pseudo(points: pl.DataFrame, *, starts: SeriesStarts | None = None) -> pl.DataFrame:
    """Return the points without those of series that every run has: markers, and the user's own `_timestamp`.

    `starts` of the points spares looking at each of them.

    >>> rows = [("p", "a", name, 1, 7, 2_500_000, 0.5, None, None, 0) for name in ("_step", "x")]
    >>> without_pseudo(pl.DataFrame(rows, schema=POINTS, orient="row"))["metric"].to_list()
    ['x']
    """
    is_pseudo = _has_name(points, PSEUDO, starts)
    return points if is_pseudo is None else points.filter(~is_pseudo)


def _has_name(points: pl.DataFrame, names: Collection[str], starts: SeriesStarts | None) -> pl.Series | None:
    """Mark the points of metrics of these names; None if there are none."""
    metrics = points["metric"] if starts is None else points["metric"][pl.Series(starts.series)]
    marked = reduce(or_, (metrics == name for name in names))
    if not marked.any():
        return None
    if starts is None:
        return marked
    return pl.Series(np.repeat(marked.to_numpy(), np.diff(np.append(starts.series, points.height))))


def pseudo(points: pl.DataFrame, *, sessions: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return only the series that `with_pseudo` adds, of sorted points; the user's own `_timestamp` is among them.

    The points of each name stand together, run by run and session by session; the names in order.

    >>> row = ("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)
    >>> pseudo(pl.DataFrame([row], schema=POINTS, orient="row")).select("metric", "step", "value").rows()
    [('_step', 7, 7.0), ('_timestamp', 7, 2.5)]
    """
    return pl.concat(pseudo_by_name(points, sessions=sessions), rechunk=True)


def pseudo_by_name(
    points: pl.DataFrame, *, sessions: pl.DataFrame | None = None, starts: SeriesStarts | None = None
) -> list[pl.DataFrame]:
    """Return the same, the series of each name by themselves, of some maybe no points, in the order of the names.

    `starts` of the points spares looking at each of them.

    >>> row = ("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)
    >>> [x["metric"].item() for x in pseudo_by_name(pl.DataFrame([row], schema=POINTS, orient="row"))]
    ['_step', '_timestamp']
    """
    begins = starts or series_starts(points)
    is_user = _has_name(points, ["_timestamp"], begins)
    rows = _rows(points, begins)
    runs = sorted_groups.take_rows(points[["project", "run_id"]], begins.run)
    owners = sorted_groups.take_rows(runs, rows.run)
    timed = np.ones(len(rows.run), dtype=np.bool_)
    series = []  # in the order of their names: those of a single session are sorted then
    if sessions is not None:
        start, base, is_untimed = _started(rows, owners["run_id"], sessions)
        ran = ~np.isnan(base)
        timed = ~is_untimed
        series.append(_series("_runtime", rows, owners, (rows.ts - start) / 1e6 + base, of=ran))
    series.append(_series("_step", rows, owners, rows.step.astype(np.float64)))
    user = points.head(0) if is_user is None else points.filter(is_user)
    if user.height:
        timed = timed & ~_are_of(rows, owners, user)
    stamps = _series("_timestamp", rows, owners, rows.ts / 1e6, of=timed)
    return [*series, sort(pl.concat([stamps, user])) if user.height else stamps]


class _LoggedRows(NamedTuple):
    """The logged rows of sorted points, run by run: each (run_id, session, step) once."""

    run: Ints
    """Which of the runs it is of."""
    session: Ints
    step: Ints
    ts: Ints
    """The largest of the row (microseconds)."""


def _started(rows: _LoggedRows, run_id: pl.Series, sessions: pl.DataFrame) -> tuple[Ints, Floats, Bools]:
    """Return start and runtime_base (NaN: none) of the session of each row, and whether it is known to have no time."""
    switches = (rows.run[1:] != rows.run[:-1]) | (rows.session[1:] != rows.session[:-1])
    first = np.append(0, np.flatnonzero(switches) + 1)[: len(rows.run)]
    heads = pl.DataFrame([run_id[pl.Series(first)], pl.Series("session", rows.session[first])])
    begun = heads.join(sessions, on=["run_id", "session"], how="left", maintain_order="left")
    is_known, has_base = (_is_there(begun[name]) for name in ("start", "runtime_base"))
    stamps = begun["start"].cast(pl.Int64)
    start = (stamps if is_known.all() else stamps.fill_null(0)).to_numpy()
    base = np.where(is_known & has_base, begun["runtime_base"].cast(pl.Float64).to_numpy(), np.nan)
    lengths = np.diff(np.append(first, len(rows.run)))
    return np.repeat(start, lengths), np.repeat(base, lengths), np.repeat(is_known & ~has_base, lengths)


def _is_there(column: pl.Series) -> Bools:
    """Tell which values are not null; where all are there, as is usual, no query of polars is asked."""
    return column.is_not_null().to_numpy() if column.null_count() else np.ones(len(column), dtype=np.bool_)


def _are_of(rows: _LoggedRows, owners: pl.DataFrame, points: pl.DataFrame) -> Bools:
    """Tell which rows are those of some points."""
    keys = owners.with_columns(pl.Series("session", rows.session), pl.Series("step", rows.step))
    marked = points.select(*_ROW, pl.lit(value=True).alias("is_among")).unique(_ROW)
    return keys.join(marked, on=_ROW, how="left", maintain_order="left")["is_among"].is_not_null().to_numpy()


def _series(
    metric: str, rows: _LoggedRows, owners: pl.DataFrame, value: Floats, *, of: Bools | None = None
) -> pl.DataFrame:
    """Return the points of a series of numbers, one a row: built column by column, as a query takes twice as long."""
    is_step = metric == "_step"
    same = {"metric": metric, "ival": None, "text": None, "kind": int(Kind.INT if is_step else Kind.FLOAT)}
    columns = {name: pl.Series([x], dtype=POINTS[name]).new_from_index(0, len(value)) for name, x in same.items()}
    columns |= {"project": owners["project"], "run_id": owners["run_id"], "value": pl.Series(value)}
    columns |= {"session": pl.Series(rows.session), "step": pl.Series(rows.step)}
    columns |= {"ts": pl.Series(rows.ts).cast(POINTS["ts"])} | ({"ival": columns["step"]} if is_step else {})
    points = pl.DataFrame([columns[name].alias(name) for name in POINTS])
    return points if of is None or of.all() else points.filter(pl.Series(of))


def times(points: pl.DataFrame, *, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return when the rows of one run were logged: step, _timestamp, _runtime, one row a step, sorted.

    The same times as `with_pseudo` gives, of the latest session at each step, but not the user's own.
    `sessions` has every session of the run.

    >>> row = ("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)
    >>> sessions = {"run_id": ["a"], "session": [1], "start": [2_000_000], "runtime_base": [60.0]}
    >>> begun = pl.DataFrame(sessions).with_columns(pl.col("start").cast(POINTS["ts"]))
    >>> times(pl.DataFrame([row], schema=POINTS, orient="row"), sessions=begun).row(0)
    (7, 2.5, 60.5)
    """
    rows = _rows_of_run(points)
    if not (rows["step"].slice(1) > rows["step"].head(-1)).all():  # several sessions, which may share steps
        rows = rows.sort("step", "ts", "session").unique("step", keep="last", maintain_order=True)
    begun = rows[["session"]].join(sessions, on="session", how="left", maintain_order="left")
    ts, start = (column.cast(pl.Int64) for column in (rows["ts"], begun["start"]))
    ran = seconds(ts - start) + begun["runtime_base"]
    times = pl.DataFrame([rows["step"], seconds(ts).alias("_timestamp"), ran.alias("_runtime")])
    has_time = pl.col("_runtime").is_not_null()  # a session without time has a runtime_base of null
    return times.with_columns(pl.when(has_time).then(pl.col("_timestamp", "_runtime")))


def _rows_of_run(points: pl.DataFrame) -> pl.DataFrame:
    """Return each (session, step) of one run once, with its largest ts.

    Few points are grouped by polars alone: to load numpy takes longer than that.
    """
    if points.height > _FEW:
        rows = _rows(points, series_starts(points))
        session, step, ts = (pl.Series(name, getattr(rows, name)) for name in ("session", "step", "ts"))
        return pl.DataFrame([session, step, ts.cast(POINTS["ts"])])
    return points.group_by("session", "step").agg(pl.col("ts").max()).sort("session", "step")


def seconds(microseconds: pl.Series) -> pl.Series:
    """Return microseconds divided by a million, exactly rounded.

    Polars multiplies by the reciprocal, but not if there is only one number.

    >>> seconds(pl.Series([1_700_000_000_005_000, 0]))[0]
    1700000000.005
    """
    return microseconds / _MILLION.new_from_index(0, len(microseconds))


def _rows(points: pl.DataFrame, starts: SeriesStarts) -> _LoggedRows:
    covering = _covering_series(points, starts)
    if covering is not None:
        run = np.searchsorted(starts.run, covering, side="right") - 1
        return _LoggedRows(
            run, *(points[name].cast(pl.Int64).to_numpy()[covering] for name in ("session", "step", "ts"))
        )
    lengths = np.diff(np.append(starts.run, points.height))
    numbers = pl.Series("run", np.repeat(np.arange(len(lengths)), lengths))  # strings take several times as long
    numbered = points.select(pl.lit(numbers), "session", "step", pl.col("ts").cast(pl.Int64))
    rows = numbered.group_by("run", "session", "step").agg(pl.col("ts").max()).sort("run", "session", "step")
    return _LoggedRows(*(column.to_numpy() for column in rows))


def _covering_series(points: pl.DataFrame, starts: SeriesStarts) -> Ints | None:
    """Return the rows of the first longest series of each run, if it has those of all others.

    That is usual, and spares a group by.
    """
    if not starts.ascend:  # a step logged twice
        return None
    firsts = starts.series
    lengths = np.diff(np.append(firsts, points.height))
    run = np.searchsorted(starts.run, firsts, side="right") - 1
    longest = np.lexsort((-lengths, run))[np.searchsorted(firsts, starts.run)]  # stable: the first of equal ones
    names = ("step", "ts") if starts.one_session else ("step", "ts", "session")
    columns = [points[name].cast(pl.Int64).to_numpy() for name in names]
    series = _Series(firsts, lengths, longest[run])
    if not (_long_ones_agree(columns, series) and _short_ones_agree(columns, series)):
        return None
    return _rows_of(longest, firsts, lengths)


class _Series(NamedTuple):
    """Where series lie among points, an element each."""

    firsts: Ints
    lengths: Ints
    longest: Ints
    """Which series is the longest of the same run."""


def _long_ones_agree(columns: Sequence[Ints], series: _Series) -> bool:
    """Tell whether the series that are as long as the longest of their run have the same rows as that."""
    firsts, lengths, longest = series
    long = np.flatnonzero(lengths == lengths[longest])
    if not len(long):
        return True
    breaks = np.flatnonzero((np.diff(longest[long]) != 0) | (np.diff(long) != 1)) + 1
    begins, ends = long[np.append(0, breaks)], long[np.append(breaks, len(long)) - 1]
    if len(begins) * _LONG > len(columns[0]):  # of short stretches a look at each takes longer than one at all
        rows = _rows_of(long, firsts, lengths)
        place = rows - np.repeat(firsts[long] - firsts[longest[long]], lengths[long])
        return all((column[rows] == column[place]).all() for column in columns)
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        length, start, model = int(lengths[begin]), int(firsts[begin]), int(firsts[longest[begin]])
        stop = start + length * (end - begin + 1)
        for column in columns:  # the first as the model, and each as the one before it
            rows = column[start:stop]
            if not (rows[:length] == column[model : model + length]).all():
                return False
            if not (rows[length:] == rows[:-length]).all():
                return False
    return True


def _short_ones_agree(columns: Sequence[Ints], series: _Series) -> bool:
    """Tell whether each row of the series that are shorter than the longest of their run is there as well."""
    firsts, lengths, longest = series
    shorter = np.flatnonzero(lengths < lengths[longest])
    if not len(shorter):
        return True
    step = columns[0]
    low, span = int(step.min()), int(step.max()) - int(step.min()) + 1
    if span > (1 << 62) // len(firsts):
        return False
    number = np.cumsum(np.append(True, np.diff(longest) > 0)) - 1  # of the run, whose longest series ascend
    among = np.flatnonzero(longest == np.arange(len(firsts)))
    rows, searched_rows = (_rows_of(chosen, firsts, lengths) for chosen in (among, shorter))
    keys, searched_keys = (
        np.repeat(number[chosen], lengths[chosen]) * span + (step[at] - low)
        for chosen, at in ((among, rows), (shorter, searched_rows))
    )
    place = rows[np.minimum(np.searchsorted(keys, searched_keys), len(rows) - 1)]
    return all((column[searched_rows] == column[place]).all() for column in columns)


def _rows_of(series: Ints, firsts: Ints, lengths: Ints) -> Ints:
    """Return the rows of some series, in their order."""
    chosen = lengths[series]
    before = np.cumsum(chosen) - chosen
    return np.repeat(firsts[series] - before, chosen) + np.arange(chosen.sum())
