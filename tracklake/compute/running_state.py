"""The state of one series, point by point: the scalar twin of `states`, for the run that is being written."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from tracklake.schema import values
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FLOAT, _INT, _NULL = int(Kind.FLOAT), int(Kind.INT), int(Kind.NULL)
_BEFORE_ANY = -(1 << 63) - 1
Row = tuple[int, int, "Mapping[str, tuple[int, int]]", tuple[Any, ...]]
"""(step, stamp, kind and place of each name, values) of a row."""
_COUNTS = ("n_nan", "n_pos_inf", "n_neg_inf")


class Tally:
    """What the points of one series say, taken in one by one in the order of their steps.

    The newest point is kept apart, so that one at the same step can replace it. A point before it is late: what the
    series says can then be told from its stored points only. Rows are shared by the tallies of a run, and each looks
    at those that came when it is asked: of most series nobody asks after every row.

    >>> tally = Tally("loss", [])
    >>> for step, x in [(0, 3.0), (1, 9.0), (1, 1.0)]:
    ...     tally.add(step, 0, Kind.FLOAT, x)
    >>> tally.counted().statistic("mean"), tally.last
    (2.0, 1.0)
    """

    def __init__(self, name: str, rows: list[Row]) -> None:
        """Begin empty; what the rows say under the name is taken in."""
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
        self._sum = self._mean = self._m2 = 0.0
        self._first: tuple[int, Any] | None = None
        self._last: tuple[int, Any] | None = None
        self._said: int | None = None
        """The stamp of the newest value counted; None is no value."""
        self._kind: int | None = None
        """The kind of the newest point; None once it is counted."""
        self._stamp = 0
        self._x: Any = None

    @property
    def late(self) -> bool:
        """Whether a point came after one of a higher step: then this tally tells nothing.

        >>> tally = Tally("loss", [])
        >>> tally.add(5, 10, Kind.FLOAT, 1.0)
        >>> tally.add(4, 11, Kind.FLOAT, 1.0)
        >>> tally.late
        True
        """
        self._take_in()
        return self._late

    def spoil(self) -> None:
        """Let this tally tell nothing, as after a late point.

        >>> tally = Tally("loss", [])
        >>> tally.spoil()
        >>> tally.late
        True
        """
        self._late = True

    @property
    def ts(self) -> int | None:
        """Stamp of the newest value of any kind but None; None if there is none.

        >>> tally = Tally("loss", [])
        >>> tally.add(0, 10, Kind.FLOAT, 1.0)
        >>> tally.add(1, 11, Kind.NULL, None)
        >>> tally.ts
        10
        """
        self._take_in()
        if self._kind is None or self._kind == _NULL:
            return self._said
        return self._stamp if self._said is None else max(self._stamp, self._said)

    @property
    def last(self) -> Any:
        """The value of any kind but None at the highest step that has one.

        >>> tally = Tally("loss", [])
        >>> tally.add(0, 10, Kind.TEXT, "adam")
        >>> tally.last
        'adam'
        """
        self._take_in()
        newest = self._last if self._kind is None or self._kind == _NULL else (self._kind, self._x)
        return _restored(newest)

    def add(self, step: int, stamp: int, kind: int, x: Any) -> None:
        """Take in a point; x is a float, an int, 0 or 1 for a bool, a text or JSON text, or None, as the kind says.

        >>> tally = Tally("epoch", [])
        >>> tally.add(0, 10, Kind.INT, 3)
        >>> tally.last
        3
        """
        self._take_in()
        self._add(step, stamp, kind, x)

    def settle(self) -> None:
        """Look at the rows there are, which may be forgotten then.

        >>> rows = [(0, 10, {"loss": (Kind.FLOAT, 0)}, (0.5,))]
        >>> tally = Tally("loss", rows)
        >>> tally.settle(), rows.clear(), tally.last
        (None, None, 0.5)
        """
        self._take_in()
        self._looked_at = 0

    def _take_in(self) -> None:
        """Look at the rows that came."""
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
        """Take in many points at once, as their state (schema STATES, `ts` in microseconds).

        Where they begin before the newest point they are late, and it tells nothing from then on.

        >>> import polars as pl
        >>> from tracklake.schema.tables import STATES
        >>> found = example()._view.snapshot.states(["loss"], columns=STATES, runs=["fast"])
        >>> tally = Tally("loss", [])
        >>> tally.absorb(found.with_columns(pl.col("ts").dt.epoch("us")).row(0, named=True))
        >>> tally.counted().statistic("min"), tally.last
        (0.25, 0.75)
        """
        self._take_in()
        if state["lo"] < self._hi or (state["lo"] == self._hi and self._kind is None):
            self._late = True
            return
        if state["lo"] == self._hi:  # what it says of that step was said later
            self._kind = None
        self._count()
        self._absorb_numbers(state)
        if state["first_step"] is not None:
            self._first = self._first or _end(state, "first")
            self._last = _end(state, "last")
            self._said = state["ts"] if self._said is None else max(self._said, state["ts"])
        self._hi = state["hi"]

    def counted(self) -> Tally:
        """Return a copy in which the newest point is counted, to ask for statistics.

        >>> tally = Tally("loss", [])
        >>> tally.add(0, 10, Kind.FLOAT, 2.0)
        >>> tally.counted().n, tally.n  # another point at step 0 would replace this one
        (1, 0)
        """
        self._take_in()
        counted = Tally.__new__(Tally)  # copy() takes ten times as long
        counted.__dict__.update(self.__dict__)
        counted._count()  # noqa: SLF001 - of its own class
        return counted

    def statistic(self, name: str) -> Any:
        """Return a statistic, None where there is none; any of states but best, as `states.expression` does.

        >>> tally = Tally("loss", [])
        >>> tally.add(0, 10, Kind.FLOAT, 3.0)
        >>> tally.add(1, 11, Kind.FLOAT, 1.0)
        >>> [tally.counted().statistic(name) for name in ("min", "argmin", "mean")]
        [1.0, 1, 2.0]
        """
        return _STATISTICS[name](self)

    @property
    def n_inf(self) -> int:
        """How many infinities there are.

        >>> tally = Tally("loss", [])
        >>> for step, x in enumerate((math.inf, -math.inf, 1.0)):
        ...     tally.add(step, 0, Kind.FLOAT, x)
        >>> tally.counted().n_inf, tally.counted().count
        (2, 3)
        """
        return self.n_pos_inf + self.n_neg_inf

    @property
    def count(self) -> int:
        """How many numbers there are, infinities among them.

        >>> tally = Tally("loss", [])
        >>> tally.add(0, 10, Kind.FLOAT, math.inf)
        >>> tally.counted().count
        1
        """
        return self.n + self.n_pos_inf + self.n_neg_inf

    def _count(self) -> None:
        """Count the newest point in."""
        kind, x = self._kind, self._x
        self._kind = None
        if kind is None or kind == _NULL:
            return
        if self._said is None or self._stamp > self._said:
            self._said = self._stamp
        self._last = (kind, x)
        if self._first is None:
            self._first = self._last
        if kind == _FLOAT:
            self._count_number(x)
        elif kind == _INT:
            self._count_number(float(x))

    def _count_number(self, x: float) -> None:
        if x - x == 0.0:  # finite, without the price of a call
            self.n = n = self.n + 1
            self._sum += x
            off = x - self._mean
            self._mean = mean = self._mean + off / n
            self._m2 += off * (x - mean)  # Welford (1962)
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

    def _absorb_numbers(self, state: Mapping[str, Any]) -> None:
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + state[name])
        if state["min"] is not None and not state["min"] >= self.min:
            self.min, self.min_step = state["min"], state["min_step"]
        if state["max"] is not None and not state["max"] <= self.max:
            self.max, self.max_step = state["max"], state["max_step"]
        added = state["n"]
        if added:
            off = state["mean"] - self._mean
            whole = self.n + added
            self._m2 += state["m2"] + off * off * self.n * added / whole  # Chan, Golub and LeVeque (1979)
            self._mean += off * added / whole
            self.n = whole
            self._sum += state["sum"]


def _end(state: Mapping[str, Any], end: str) -> tuple[int, Any]:
    kind = state[f"{end}_kind"]
    column = "value" if kind == _FLOAT else "text" if kind in (Kind.TEXT, Kind.JSON) else "ival"
    return kind, state[f"{end}_{column}"]


def _restored(end: tuple[int, Any] | None) -> Any:
    if end is None:
        return None
    kind, x = end
    return x if kind in (_FLOAT, _INT) else values.restore(kind, None, x, x)


def _sum(tally: Tally) -> float:
    beyond = (math.inf if tally.n_pos_inf else 0.0) + (-math.inf if tally.n_neg_inf else 0.0)
    return tally._sum + beyond  # noqa: SLF001 - part of it


def _std(tally: Tally) -> float | None:
    if tally.count < 2:  # noqa: PLR2004 - one number has no spread
        return None
    return math.nan if tally.n_inf else math.sqrt(tally._m2 / (tally.n - 1))  # noqa: SLF001 - part of it


def _mean(tally: Tally) -> float:
    return _sum(tally) if tally.n_inf else tally._sum / max(tally.n, 1)  # noqa: SLF001 - part of it


_STATISTICS: dict[str, Callable[[Tally], Any]] = {
    "count": lambda t: t.count,
    "n_nan": lambda t: t.n_nan,
    "n_inf": lambda t: t.n_inf,
    "sum": lambda t: _sum(t) if t.count else None,
    "mean": lambda t: _mean(t) if t.count else None,
    "std": _std,
    "min": lambda t: t.min if t.count else None,
    "max": lambda t: t.max if t.count else None,
    "argmin": lambda t: t.min_step if t.count else None,
    "argmax": lambda t: t.max_step if t.count else None,
    "first": lambda t: _restored(t._first),  # noqa: SLF001
    "last": lambda t: _restored(t._last),  # noqa: SLF001
}
