"""The long frame of points: its order, which points count, and where runs and series begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import rewinds, sorted_groups
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.int64]

ORDER = ("project", "run_id", "metric", "step", "ts", "session")
PSEUDO = ("_step", "_timestamp", "_runtime")
"""Series that every run has without logging them: their states are stored, their points are not. A stored `_step` is
the marker of an empty row, and a stored `_timestamp` the user's own."""

_FEW_ROWS = 4
"""Rows of a series on average from which on looking at its first and last alone pays."""
_BLOCK = 1 << 16
"""Rows that are compared at once: what that makes stays in the cache of a core."""


def sort(points: pl.DataFrame, *, by: Sequence[str] = ORDER) -> pl.DataFrame:
    """Return points sorted by (project, run_id, metric, step, ts, session), or other columns; stable.

    >>> from tracklake.schema.tables import POINTS
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

    >>> from tracklake.schema.tables import POINTS
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


class SeriesStarts(NamedTuple):
    """Where the runs and the series (run_id, metric) of sorted points begin."""

    run: Ints
    """The first row of each run."""
    series: Ints
    """The first row of each series."""
    ascend: bool
    """Whether no series has a step twice."""
    one_session: bool
    """Whether each run is of one session."""


def series_starts(points: pl.DataFrame) -> SeriesStarts:
    """Tell where the runs and the series of sorted points begin: once, for all who need it.

    Where the steps of neighbours do not ascend a series may begin; if all rows between two such places are of one
    series, as its first and last tell, no other string need be looked at.

    >>> from tracklake.schema.tables import POINTS
    >>> rows = [("p", "a", name, 1, 7, 2_500_000, 0.5, None, None, 0) for name in ("x", "y")]
    >>> begins = series_starts(pl.DataFrame(rows, schema=POINTS, orient="row"))
    >>> begins.run.tolist(), begins.series.tolist(), begins.ascend
    ([0], [0, 1], True)
    """
    if points.is_empty():
        none = np.zeros(0, dtype=np.int64)
        return SeriesStarts(none, none, ascend=True, one_session=True)
    step, session = points["step"].to_numpy(), points["session"].to_numpy()
    places = _breaks(step, np.less_equal)
    run, series = _starts_among(points, places) or _starts(points)
    switches = _breaks(session, np.not_equal)
    return SeriesStarts(run, series, ascend=_are_among(places, series), one_session=_are_among(switches, run))


def _breaks(column: Ints, is_break: np.ufunc) -> Ints:
    """Return the first row, and those of which this is true beside the row before."""
    breaks = [np.zeros(1, dtype=np.int64)]
    for first in range(1, len(column), _BLOCK):
        rows = column[first - 1 : first + _BLOCK]
        breaks.append(np.flatnonzero(is_break(rows[1:], rows[:-1])) + first)
    return np.concatenate(breaks)


def _are_among(rows: Ints, others: Ints) -> bool:
    """Tell whether sorted rows are all among other sorted ones."""
    if len(rows) > len(others):
        return False
    place = np.minimum(np.searchsorted(others, rows), len(others) - 1)
    return bool((others[place] == rows).all())


def _starts_among(points: pl.DataFrame, places: Ints) -> tuple[Ints, Ints] | None:
    """Return the first rows of runs and of series, if all series begin at some of these places; else None."""
    if len(places) * _FEW_ROWS > points.height:
        return None
    heads, tails = (pl.Series(rows) for rows in (places, np.append(places[1:], points.height) - 1))
    starts = []
    for column in (points["run_id"], points["metric"]):
        names = column[heads]
        if not (names == column[tails]).all():
            return None
        starts.append(np.append(True, (names.slice(1) != names.head(-1)).to_numpy()))
    run, metric = starts
    return places[run], places[run | metric]


def _starts(points: pl.DataFrame) -> tuple[Ints, Ints]:
    run, metric = (sorted_groups.group_starts(points, by=[name]).to_numpy() for name in ("run_id", "metric"))
    return np.flatnonzero(run), np.flatnonzero(run | metric)
