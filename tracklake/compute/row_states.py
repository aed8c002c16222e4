"""States of rows as they were logged, where all series of a session have the same rows: no point is made of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import group_numbers
from tracklake.compute.points import PSEUDO
from tracklake.compute.sorted_groups import SortedGroups
from tracklake.schema.tables import STATES
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_RUNTIME, _STEP, _TIMESTAMP = sorted(PSEUDO)
_OWN = (_RUNTIME, _STEP, _TIMESTAMP)
_OWN_KINDS = (Kind.FLOAT, Kind.INT, Kind.FLOAT)


class SessionRows(NamedTuple):
    """Rows of one session: its numbers of the series `names`, whose kinds are FLOAT, INT or BOOL."""

    project: str
    run_id: str
    session: int
    start: int
    """When the session began (microseconds)."""
    runtime_base: float
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    stamps: Ints
    steps: Ints
    values: Ints
    """The eight raw bytes of each value, a line a row."""

    @property
    def is_plain(self) -> bool:
        """Whether each row has a step of its own, in order, and no series that every run has by itself is logged.

        >>> values = np.zeros((2, 1), dtype=np.int64)
        >>> SessionRows("p", "a", 1, 0, 0.0, ("x",), (Kind.FLOAT,), np.array([5, 6]), np.array([1, 1]), values).is_plain
        False
        """
        return bool((self.steps[1:] > self.steps[:-1]).all()) and not set(PSEUDO).intersection(self.names)


def of_rows(several: Sequence[SessionRows]) -> pl.DataFrame:
    """Return the states of plain rows of different sessions, those that `states.of_rows` computes.

    They come session after session, as these are given, each in order of metrics.

    >>> values = np.array([[0.5], [0.25]]).view(np.int64)
    >>> rows = SessionRows("p", "a", 1, 0, 0.0, ("x",), (Kind.FLOAT,), np.array([5, 6]), np.array([1, 2]), values)
    >>> of_rows([rows]).filter(metric="x").select("n", "min", "min_step", "last_value").row(0)
    (2, 0.25, 2, 0.25)
    """
    if not several:
        return pl.DataFrame(schema=STATES)
    n_series = np.array([len(rows.names) + len(_OWN) for rows in several])
    n_rows = np.array([len(rows.steps) for rows in several])
    lengths = np.repeat(n_rows, n_series)
    each = SortedGroups(np.cumsum(lengths) - lengths, int(lengths.sum()))
    ordered = [(rows, _order(rows.names)) for rows in several]
    kinds = np.concatenate([np.array([*rows.kinds, *_OWN_KINDS], dtype=np.int8)[order] for rows, order in ordered])
    x, ends = _numbers(ordered, each.size), _ends(ordered)
    numbers = group_numbers.of_numbers(x, each)
    places = {"first": each.starts, "last": each.stops - 1} | {which: numbers.pop(which) for which in ("min", "max")}
    counts = {"n_raw": lengths, "n_points": lengths, "n_bool": np.where(kinds == Kind.BOOL, lengths, 0)}
    columns = {name: pl.Series(column) for name, column in (numbers | counts).items()} | _owners(ordered, n_series)
    steps = np.concatenate([rows.steps for rows in several])
    first_row = np.repeat(np.cumsum(n_rows) - n_rows, n_series)
    for name, place in places.items():
        at = np.maximum(place, each.starts)
        value = name if name in ("min", "max") else f"{name}_value"
        columns[value] = _where(place >= 0, pl.Series(x[at]))
        columns[f"{name}_step"] = _where(place >= 0, pl.Series(steps[first_row + at - each.starts]))
    for name, exact in zip(("first", "last"), ends, strict=True):
        columns[f"{name}_ival"] = _where(kinds != Kind.FLOAT, pl.Series(exact))
        columns[f"{name}_kind"] = pl.Series(kinds)
        columns[f"{name}_text"] = pl.Series([None], dtype=pl.String).new_from_index(0, len(kinds))
    columns |= {"lo": columns["first_step"], "hi": columns["last_step"]}
    return pl.DataFrame([columns[name].cast(dtype).alias(name) for name, dtype in STATES.items()])


@lru_cache(maxsize=256)
def _order(names: tuple[str, ...]) -> Ints:
    """Return where each series stands, in the order of their names; those that every run has come after the others."""
    every = [*names, *_OWN]
    return np.array(sorted(range(len(every)), key=every.__getitem__))


def _where(mask: NDArray[np.bool_], column: pl.Series) -> pl.Series:
    """Return the column, null where the mask is false."""
    return column if mask.all() else pl.select(pl.when(pl.Series(mask)).then(column)).to_series()


@lru_cache(maxsize=256)
def _exact(kinds: tuple[Kind, ...]) -> list[int]:
    """Return which series are of whole numbers."""
    return [number for number, kind in enumerate(kinds) if kind != Kind.FLOAT]


def _numbers(ordered: Sequence[tuple[SessionRows, Ints]], size: int) -> Floats:
    """Return the values of sessions, of each series by series in an order."""
    raw = np.empty(size, dtype=np.int64)
    stop = 0
    for rows, order in ordered:
        start, stop = stop, stop + len(order) * len(rows.steps)
        _fill(raw[start:stop].reshape(len(order), -1), rows, order)
    return raw.view(np.float64)


def _fill(raw: Ints, rows: SessionRows, order: Ints) -> None:
    """Write the values of a session, a line a series, as floats."""
    x: Floats = raw.view(np.float64)
    place = np.argsort(order)
    runtime, step, timestamp = place[len(rows.names) :]
    raw[place[: len(rows.names)]] = rows.values.T
    for j in _exact(rows.kinds):
        x[place[j]] = rows.values[:, j]
    x[runtime] = (rows.stamps - rows.start) / 1e6 + rows.runtime_base
    x[step] = rows.steps
    x[timestamp] = rows.stamps / 1e6


def _ends(ordered: Sequence[tuple[SessionRows, Ints]]) -> Ints:
    """Return the first and the last value of each series as exact integers: two lines."""
    exact = [np.append(rows.values[end], [0, rows.steps[end], 0])[order] for end in (0, -1) for rows, order in ordered]
    return np.concatenate(exact).reshape(2, -1)


def _owners(ordered: Sequence[tuple[SessionRows, Ints]], n_series: Ints) -> dict[str, pl.Series]:
    """Return whose each state is."""
    several = [rows for rows, _ in ordered]
    of_series = pl.Series(np.repeat(np.arange(len(several)), n_series))
    columns = {name: pl.Series([getattr(rows, name) for rows in several]) for name in ("project", "run_id", "session")}
    columns["ts"] = pl.Series([int(rows.stamps.max()) for rows in several])
    every = (((*rows.names, *_OWN), order.tolist()) for rows, order in ordered)
    names = [names[place] for names, order in every for place in order]
    return {name: column[of_series] for name, column in columns.items()} | {"metric": pl.Series(names)}
