"""The running aggregate of one series, point by point: the scalar twin of `states`, for the run being written."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from tracklake.compute.exact_sums import RunningSum, remainder_of
from tracklake.schema import statistics, values
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLOAT, _INT, _NULL = int(Kind.FLOAT), int(Kind.INT), int(Kind.NULL)
_WHOLE = (_INT, int(Kind.BOOL))
_BEFORE_ANY = -(1 << 63) - 1
Row = tuple[int, int, "Mapping[str, tuple[int, int]]", tuple[Any, ...]]
"""(step, stamp, kind and place of each name, values) of a row."""
_COUNTS = ("n_nan", "n_pos_inf", "n_neg_inf")


class RunningState:
    """The aggregates of one series, updated by its points in the order of their steps.

    The newest point is not counted yet, so that one at the same step can replace it. A point before it is late: then
    only the stored points have the answer. Rows are shared by the states of a run, and each reads those that came when
    it is asked: of most series nobody asks after every row. Attributes are named like the columns of
    tables.STATES; `count`, `n_inf` and `beyond` follow from them.

    >>> state = RunningState("loss", [])
    >>> for step, x in [(0, 3.0), (1, 9.0), (1, 1.0)]:
    ...     state.add(step, 0, Kind.FLOAT, x)
    >>> state.counted().statistic("mean"), state.last
    (2.0, 1.0)
    """

    def __init__(self, name: str, rows: list[Row]) -> None:
        """Begin empty; the values of the rows under the name are added."""
        self._name = name
        self._rows = rows
        self._looked_at = 0
        """How many of them."""
        self.n = self.n_nan = self.n_pos_inf = self.n_neg_inf = 0
        self.min = self.max = math.nan
        self.min_step = self.max_step = 0
        self._hi = _BEFORE_ANY
        """The highest step."""
        self._late = False
        self._sum = RunningSum()
        self._mean = self._mean_low = self._m2 = 0.0
        """Of Welford's recurrence; the mean has two parts, since a rounded one may be off by more than they differ."""
        self._first: tuple[int, Any] | None = None
        self._last: tuple[int, Any] | None = None
        self._ts: int | None = None
        """The stamp of the newest value counted; None is no value."""
        self._kind: int | None = None
        """The kind of the newest point; None once it is counted."""
        self._stamp = 0
        self._x: Any = None

    @property
    def late(self) -> bool:
        """Whether a point came after one of a higher step: then this state has no answer.

        >>> state = RunningState("loss", [])
        >>> state.add(5, 10, Kind.FLOAT, 1.0)
        >>> state.add(4, 11, Kind.FLOAT, 1.0)
        >>> state.late
        True
        """
        self._read_rows()
        return self._late

    def spoil(self) -> None:
        """Make this state late, without an answer.

        >>> state = RunningState("loss", [])
        >>> state.spoil()
        >>> state.late
        True
        """
        self._late = True

    @property
    def ts(self) -> int | None:
        """Stamp of the newest value of any kind but None; None if there is none.

        >>> state = RunningState("loss", [])
        >>> state.add(0, 10, Kind.FLOAT, 1.0)
        >>> state.add(1, 11, Kind.NULL, None)
        >>> state.ts
        10
        """
        self._read_rows()
        if self._kind is None or self._kind >= _NULL:
            return self._ts
        return self._stamp if self._ts is None else max(self._stamp, self._ts)

    @property
    def first(self) -> Any:
        """The value of any kind but None at the lowest step that has one, of the points that are counted.

        >>> state = RunningState("loss", [])
        >>> state.add(0, 10, Kind.TEXT, "adam")
        >>> state.first, state.counted().first
        (None, 'adam')
        """
        return _restored(self._first)

    @property
    def last(self) -> Any:
        """The value of any kind but None at the highest step that has one.

        >>> state = RunningState("loss", [])
        >>> state.add(0, 10, Kind.TEXT, "adam")
        >>> state.last
        'adam'
        """
        self._read_rows()
        newest = self._last if self._kind is None or self._kind >= _NULL else (self._kind, self._x)
        return _restored(newest)

    def add(self, step: int, stamp: int, kind: int, x: Any) -> None:
        """Add a point; x is a float, an int, 0 or 1 for a bool, a text or JSON text, or None, as the kind says.

        >>> state = RunningState("epoch", [])
        >>> state.add(0, 10, Kind.INT, 3)
        >>> state.last
        3
        """
        self._read_rows()
        self._add(step, stamp, kind, x)

    def settle(self) -> None:
        """Read the rows there are, which may be forgotten then.

        >>> rows = [(0, 10, {"loss": (Kind.FLOAT, 0)}, (0.5,))]
        >>> state = RunningState("loss", rows)
        >>> state.settle(), rows.clear(), state.last
        (None, None, 0.5)
        """
        self._read_rows()
        self._looked_at = 0

    def _read_rows(self) -> None:
        """Add the values of the rows that came."""
        if self._looked_at == len(self._rows):
            return
        for step, stamp, columns, values_ in islice(self._rows, self._looked_at, None):
            column = columns.get(self._name)
            if column is not None:
                kind, place = column
                self._add(step, stamp, kind, values_[place])
        self._looked_at = len(self._rows)

    def _add(self, step: int, stamp: int, kind: int, x: Any) -> None:
        if step > self._hi:
            if self._kind is not None:
                self._count()
            self._hi = step
        elif step < self._hi or self._kind is None:
            self._late = True
            return
        self._stamp = stamp
        self._kind = kind
        self._x = x

    def absorb(self, state: Mapping[str, Any]) -> None:
        """Add many points at once, as their state (schema STATES, `ts` in microseconds).

        Where they begin before the newest point they are late, and this state has no answer from then on.

        >>> import polars as pl
        >>> from tracklake.schema.tables import STATES
        >>> frame = example()._view.snapshot.states(["loss"], columns=STATES, runs=["fast"])
        >>> state = RunningState("loss", [])
        >>> state.absorb(frame.with_columns(pl.col("ts").dt.epoch("us")).row(0, named=True))
        >>> state.counted().statistic("min"), state.last
        (0.25, 0.75)
        """
        self._read_rows()
        if state["lo"] < self._hi or (state["lo"] == self._hi and self._kind is None):
            self._late = True
            return
        if state["lo"] == self._hi:  # its point of that step is newer
            self._kind = None
        self._count()
        self._absorb_numbers(state)
        if state["first_step"] is not None:
            self._first = self._first or _end(state, "first")
            self._last = _end(state, "last")
            self._ts = state["ts"] if self._ts is None else max(self._ts, state["ts"])
        self._hi = state["hi"]

    def counted(self) -> RunningState:
        """Return a copy in which the newest point is counted, to ask for statistics.

        >>> state = RunningState("loss", [])
        >>> state.add(0, 10, Kind.FLOAT, 2.0)
        >>> state.counted().n, state.n  # another point at step 0 would replace this one
        (1, 0)
        """
        self._read_rows()
        counted = RunningState.__new__(RunningState)  # copy() takes ten times as long
        counted.__dict__.update(self.__dict__)
        counted._sum = self._sum.copy()  # noqa: SLF001
        counted._count()  # noqa: SLF001 - of its own class
        return counted

    def statistic(self, name: str) -> Any:
        """Return a statistic, None where there is none; any that states hold but best, as `statistics.expression` does.

        >>> state = RunningState("loss", [])
        >>> state.add(0, 10, Kind.FLOAT, 3.0)
        >>> state.add(1, 11, Kind.FLOAT, 1.0)
        >>> [state.counted().statistic(name) for name in ("min", "argmin", "mean")]
        [1.0, 1, 2.0]
        """
        scalar = statistics.spec(name).scalar
        if scalar is None:
            raise LookupError(f"a running state does not hold {name}")
        return scalar(self)

    @property
    def n_inf(self) -> int:
        """How many infinities there are.

        >>> state = RunningState("loss", [])
        >>> for step, x in enumerate((math.inf, -math.inf, 1.0)):
        ...     state.add(step, 0, Kind.FLOAT, x)
        >>> state.counted().n_inf, state.counted().count
        (2, 3)
        """
        return self.n_pos_inf + self.n_neg_inf

    @property
    def count(self) -> int:
        """How many numbers there are, infinities among them.

        >>> state = RunningState("loss", [])
        >>> state.add(0, 10, Kind.FLOAT, math.inf)
        >>> state.counted().count
        1
        """
        return self.n + self.n_pos_inf + self.n_neg_inf

    @property
    def sum(self) -> float:
        """The sum of the finite numbers, 0.0 if there are none.

        >>> RunningState("loss", []).sum
        0.0
        """
        return self._sum.value

    @property
    def mean(self) -> float:
        """The mean of the finite numbers, 0.0 if there are none.

        >>> RunningState("loss", []).mean
        0.0
        """
        return self._sum.mean(self.n)

    @property
    def m2(self) -> float:
        """The sum of squared differences from the mean, infinite where it is beyond 1e308.

        >>> RunningState("loss", []).m2
        0.0
        """
        return self._m2 if math.isfinite(self._m2) else math.inf

    @property
    def beyond(self) -> float:
        """What the infinities add to a sum; inf - inf is NaN, as IEEE has it.

        >>> RunningState("loss", []).beyond
        0.0
        """
        return (math.inf if self.n_pos_inf else 0.0) + (-math.inf if self.n_neg_inf else 0.0)

    def _count(self) -> None:
        """Count the newest point."""
        kind, x = self._kind, self._x
        self._kind = None
        if kind is None or kind >= _NULL:
            return
        if self._ts is None or self._stamp > self._ts:
            self._ts = self._stamp
        self._last = (kind, x)
        if self._first is None:
            self._first = self._last
        if kind == _FLOAT:
            self._count_number(x)
        elif kind in _WHOLE:
            self._count_number(float(x))

    def _count_number(self, x: float) -> None:
        if x - x == 0.0:  # finite, without the price of a call
            self.n = n = self.n + 1
            self._sum.add(x)
            off = x - self._mean - self._mean_low
            self._move_mean(off / n)
            self._m2 += off * (x - self._mean - self._mean_low)  # Welford (1962)
        elif x != x:  # noqa: PLR0124 - NaN
            self.n_nan += 1
            return
        else:
            self.n_pos_inf += x > 0
            self.n_neg_inf += x < 0
        if not x >= self.min:  # also where there is none yet: NaN
            self.min, self.min_step = x, self._hi
        if not x <= self.max:
            self.max, self.max_step = x, self._hi

    def _move_mean(self, by: float) -> None:
        """Add to the mean, and keep what rounding takes from it."""
        before = self._mean
        self._mean = mean = before + by
        part = mean - before
        self._mean_low += (before - (mean - part)) + (by - part)

    def _absorb_numbers(self, state: Mapping[str, Any]) -> None:
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + state[name])
        if state["min"] is not None and not state["min"] >= self.min:
            self.min, self.min_step = state["min"], state["min_step"]
        if state["max"] is not None and not state["max"] <= self.max:
            self.max, self.max_step = state["max"], state["max_step"]
        added = state["n"]
        if added:
            low = remainder_of(state["sum"], state["sum_low"], state["mean"], float(added))
            low = low if math.isfinite(low) else 0.0
            total = self.n + added
            if self.n:
                off = state["mean"] - self._mean + (low - self._mean_low)
                self._m2 += state["m2"] + off * off * self.n * added / total  # Chan, Golub and LeVeque (1979)
                self._move_mean(off * added / total)
            else:
                self._mean, self._mean_low, self._m2 = state["mean"], low, self._m2 + state["m2"]
            self.n = total
            self._sum.add_part(state["sum"], state["sum_low"], state["mean"], added)


def _end(state: Mapping[str, Any], end: str) -> tuple[int, Any]:
    kind = state[f"{end}_kind"]
    column = "value" if kind == _FLOAT else "text" if kind in (Kind.TEXT, Kind.JSON) else "ival"
    return kind, state[f"{end}_{column}"]


def _restored(end: tuple[int, Any] | None) -> Any:
    if end is None:
        return None
    kind, x = end
    return x if kind in (_FLOAT, _INT) else values.restore(kind, None, x, x)
