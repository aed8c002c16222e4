"""Pareto fronts: the runs that no other run beats in every respect."""

from __future__ import annotations

from typing import Any

from tracklake.common.lazy_numpy import np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def front(costs: Floats) -> Booleans:
    """Which rows (runs x metrics, lower is better) does no other row beat? Equal rows are all kept.

    A row beats another if it is no worse in all metrics and better in one. Rows with NaN are never on the front.
    Not to be used to pick one run: the front only says which trade-offs are left.

    >>> front(np.array([[1.0, 4.0], [2.0, 2.0], [2.0, 2.0], [3.0, 3.0]])).tolist()
    [True, True, True, False]
    """
    complete = np.flatnonzero(~np.isnan(costs).any(axis=1))
    distinct, which = np.unique(costs[complete], axis=0, return_inverse=True)
    remaining = np.arange(len(distinct))
    undominated: list[int] = []
    while len(remaining):  # in lexical order the first of those remaining is beaten by none of them
        first, others = remaining[0], remaining[1:]
        undominated.append(int(first))
        remaining = others[(distinct[others] < distinct[first]).any(axis=1)]
    on_front = np.zeros(len(costs), dtype=np.bool_)
    on_front[complete] = np.isin(which.ravel(), undominated)
    return on_front


def ranks(costs: Floats, *, fronts: int | None = None) -> Ints:
    """On which front is each row, the best being 1? Taken off one after the other.

    Rows with NaN have 0, and those beyond the first `fronts`.

    >>> ranks(np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0]])).tolist()
    [1, 1, 2]
    """
    fronts_of_rows = np.zeros(len(costs), dtype=np.int64)
    remaining: Booleans = np.logical_not(np.logical_or.reduce(np.isnan(costs), axis=1))
    number = 0
    while remaining.any() and (fronts is None or number < fronts):
        number += 1
        at = np.flatnonzero(remaining)[front(costs[remaining])]
        fronts_of_rows[at] = number
        remaining[at] = False
    return fronts_of_rows
