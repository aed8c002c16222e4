"""The long frame of points: its order, which points count, and the series that every run has without logging them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import rewinds, sorted_groups
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.int64]

ORDER = ("project", "run_id", "metric", "step", "ts", "session")
PSEUDO = ("_step", "_timestamp", "_runtime")
"""Series that every run has without logging them: their states are stored, their points are not. A stored `_step` is
the marker of an empty row, and a stored `_timestamp` the user's own."""

_ROW = ["project", "run_id", "session", "step"]
_MILLION = pl.Series([1e6])
_LONG = 1 << 11
"""Points of adjacent series of one length from which on a look at them alone pays."""
_FEW = 65_536
"""Points of a run up to which polars alone groups them by row."""


def sort(points: pl.DataFrame, *, by: Sequence[str] = ORDER) -> pl.DataFrame:
    """Return points sorted by (project, run_id, metric, step, ts, session), or other columns; stable.

    >>> rows = [("p", "a", "x", 1, 2, 10, 0.5, None, None, 0), ("p", "a", "x", 1, 1, 11, 1.5, None, None, 0)]
    >>> sort(pl.DataFrame(rows, schema=POINTS, orient="row"))["step"].to_list()
    [1, 2]
    """
    return sorted_groups.sort(points, by=by, series=by[: by.index("step")])


def resolve(points: pl.DataFrame, *, cutoffs: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the points that count, sorted: of each (run_id, metric, step) the latest.

    The last is the one with the largest (ts, session), and of equal ones the last row; where it says that a relative of
    the name has replaced the value (Kind.REPLACED), there is none. What `cutoffs` (see `rewinds`)
    mask is dropped first.

    >>> rows = [("p", "a", "x", 1, 7, 10, 0.5, None, None, 0), ("p", "a", "x", 1, 7, 11, 1.5, None, None, 0)]
    >>> resolve(pl.DataFrame(rows, schema=POINTS, orient="row"))["value"].to_list()
    [1.5]
    """
    stored = sort(points)
    if cutoffs is not None and cutoffs.height:
        stored = rewinds.unmasked_points(stored, cutoffs)
    starts = sorted_groups.group_starts(stored, by=("run_id", "metric", "step"))
    counts = starts.shift(-1, fill_value=True)  # the next row begins another step
    if stored["kind"].max() == Kind.REPLACED:
        counts &= stored["kind"] != Kind.REPLACED
    return stored if counts.all() else stored.filter(counts)


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


class SeriesStarts(NamedTuple):
    """Whether each of sorted points is the first of its run, and of its series (run_id, metric)."""

    run: Bools
    series: Bools


def series_starts(points: pl.DataFrame) -> SeriesStarts:
    """Tell where the runs and the series of sorted points begin: once, for all who need it.

    >>> rows = [("p", "a", name, 1, 7, 2_500_000, 0.5, None, None, 0) for name in ("x", "y")]
    >>> [begins.tolist() for begins in series_starts(pl.DataFrame(rows, schema=POINTS, orient="row"))]
    [[True, False], [True, True]]
    """
    run, metric = (sorted_groups.group_starts(points, by=(name,)).to_numpy() for name in ("run_id", "metric"))
    return SeriesStarts(run, run | metric)


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
    firsts = None if starts is None else np.flatnonzero(starts.series)
    metrics = points["metric"] if firsts is None else points["metric"][pl.Series(firsts)]
    marked = reduce(or_, (metrics == name for name in names))
    if not marked.any():
        return None
    if firsts is None:
        return marked
    return pl.Series(np.repeat(marked.to_numpy(), np.diff(np.append(firsts, points.height))))


class LoggedRows(NamedTuple):
    """Of sorted points: what the series that every run has are made of."""

    rows: pl.DataFrame
    """Each (project, run_id, session, step) once, with its largest ts."""
    user: pl.DataFrame
    """The points of the user's own `_timestamp`."""


def logged_rows(points: pl.DataFrame, *, starts: SeriesStarts | None = None) -> LoggedRows:
    """Return the rows of sorted points; `starts` of the points spares looking at each of them.

    >>> rows = [("p", "a", name, 1, 7, 2_500_000, 0.5, None, None, 0) for name in ("x", "y")]
    >>> logged_rows(pl.DataFrame(rows, schema=POINTS, orient="row")).rows["step"].to_list()
    [7]
    """
    is_user = _has_name(points, ["_timestamp"], starts)
    user = points.head(0) if is_user is None else points.filter(is_user)
    return LoggedRows(_rows(points, starts or series_starts(points)), user)


def pseudo(points: pl.DataFrame, *, sessions: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return only the series that `with_pseudo` adds, of sorted points; the user's own `_timestamp` is among them.

    The points of each series stand together and in order, the series in no order.

    >>> row = ("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)
    >>> pseudo(pl.DataFrame([row], schema=POINTS, orient="row")).select("metric", "step", "value").rows()
    [('_step', 7, 7.0), ('_timestamp', 7, 2.5)]
    """
    return pseudo_of_rows([logged_rows(points)], sessions=sessions)


def pseudo_of_rows(logged: Sequence[LoggedRows], *, sessions: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the same of the rows of several parts, each of whole runs.

    >>> row = ("p", "a", "x", 1, 7, 2_500_000, 0.5, None, None, 0)
    >>> logged = logged_rows(pl.DataFrame([row], schema=POINTS, orient="row"))
    >>> pseudo_of_rows([logged]).select("metric", "step", "value").rows()
    [('_step', 7, 7.0), ('_timestamp', 7, 2.5)]
    """
    rows, user = (pl.concat(parts, rechunk=True) for parts in zip(*logged, strict=True))
    timed = rows.join(user, on=_ROW, how="anti") if user.height else rows
    series = []  # in the order of their names: those of a single session are sorted then
    if sessions is not None:
        begun = _with_start(rows, sessions)
        if begun["runtime_base"].null_count():  # sessions without time
            begun = begun.filter(pl.col("runtime_base").is_not_null())
            timed = timed.join(begun, on=_ROW, how="semi", maintain_order="left")
        ran = seconds(begun["ts"].cast(pl.Int64) - begun["start"].cast(pl.Int64)) + begun["runtime_base"]
        series.append(_series(begun, "_runtime", ran))
    series.append(_series(rows, "_step", rows["step"].cast(pl.Float64), exact=rows["step"]))
    series.append(_series(timed, "_timestamp", seconds(timed["ts"].cast(pl.Int64))))
    return sort(pl.concat([*series, user])) if user.height else pl.concat(series, rechunk=True)


def _with_start(rows: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Add start and runtime_base of the session of each row; rows of other sessions are left out."""
    new = sorted_groups.group_starts(rows, by=["run_id", "session"])
    heads = sorted_groups.filter_rows(rows[["run_id", "session"]], new)
    begun = heads.join(sessions, on=["run_id", "session"], how="left", maintain_order="left")
    of_rows = rows.hstack(begun[["start", "runtime_base"]][sorted_groups.group_ids(new)])
    return of_rows.filter(pl.col("start").is_not_null()) if begun["start"].null_count() else of_rows


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
        return _rows(points, series_starts(points)).select("session", "step", "ts")
    return points.group_by("session", "step").agg(pl.col("ts").max()).sort("session", "step")


def seconds(microseconds: pl.Series) -> pl.Series:
    """Return microseconds divided by a million, exactly rounded.

    Polars multiplies by the reciprocal, but not if there is only one number.

    >>> seconds(pl.Series([1_700_000_000_005_000, 0]))[0]
    1700000000.005
    """
    return microseconds / _MILLION.new_from_index(0, len(microseconds))


def _rows(points: pl.DataFrame, starts: SeriesStarts) -> pl.DataFrame:
    """Return each (project, run_id, session, step) once, with its largest ts."""
    firsts = np.flatnonzero(starts.run)
    runs = points[["project", "run_id"]][pl.Series(firsts)]
    one = _covering_series(points, starts)
    if one is not None:
        of_run = runs[pl.Series(np.searchsorted(firsts, one, side="right") - 1)]
        times = [pl.Series(name, points[name].cast(pl.Int64).to_numpy()[one]) for name in ("session", "step", "ts")]
        return pl.DataFrame([*of_run, *times[:2], times[2].cast(POINTS["ts"])])
    numbers = sorted_groups.group_ids(pl.Series(starts.run)).alias("run")  # strings take several times as long
    numbered = points.select(pl.lit(numbers), "session", "step", "ts")
    rows = numbered.group_by("run", "session", "step").agg(pl.col("ts").max()).sort("run", "session", "step")
    return pl.concat([runs[rows["run"]], rows.drop("run")], how="horizontal")


def _covering_series(points: pl.DataFrame, starts: SeriesStarts) -> Ints | None:
    """Return the rows of the first longest series of each run, if it has those of all others.

    That is usual, and spares a group by.
    """
    firsts = np.flatnonzero(starts.series)
    lengths = np.diff(np.append(firsts, points.height))
    is_new_run = starts.run[firsts]
    run = np.cumsum(is_new_run) - 1
    longest = np.lexsort((-lengths, run))[np.flatnonzero(is_new_run)]  # stable: the first of equal ones
    step, session = points["step"].to_numpy(), points["session"].to_numpy()
    if ((step[1:] <= step[:-1]) > starts.series[1:]).any():  # a step logged twice
        return None
    columns = [step, points["ts"].cast(pl.Int64).to_numpy()]
    if ((session[1:] != session[:-1]) > starts.run[1:]).any():  # else each run has a single one
        columns.append(session)
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
        for column in columns:
            if (column[start:stop].reshape(-1, length) != column[model : model + length]).any():
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


def _series(rows: pl.DataFrame, metric: str, value: pl.Series, *, exact: pl.Series | None = None) -> pl.DataFrame:
    """Return the points of a series of numbers, one a row: built column by column, as a query takes twice as long."""
    kind = int(Kind.FLOAT if exact is None else Kind.INT)
    same = {"metric": metric, "ival": None, "text": None, "kind": kind}
    columns = {name: pl.Series([x], dtype=POINTS[name]).new_from_index(0, rows.height) for name, x in same.items()}
    columns |= {name: rows[name] for name in (*_ROW, "ts")} | {"value": value}
    columns |= {"ival": exact} if exact is not None else {}
    return pl.DataFrame({name: columns[name] for name in POINTS})
