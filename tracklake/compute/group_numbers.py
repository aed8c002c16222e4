"""What states hold of the numbers of groups: counts, moments, extremes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tracklake.common.lazy_numpy import np
from tracklake.compute import exact_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tracklake.compute.sorted_groups import SortedGroups

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

_BLOCK = 1 << 16
"""Numbers that are counted at once: arrays of more leave the cache of a core, and take three times as long."""


def of_numbers(x: Floats, each: SortedGroups, *, is_number: Bools | None = None) -> dict[str, Any]:
    """Return what states hold of numbers: counts, moments, and where the least and the greatest stand first (or -1).

    `is_number` tells which NaN are numbers, and not values of another kind; None: all.

    >>> from tracklake.compute.sorted_groups import SortedGroups
    >>> numbers = of_numbers(np.array([2.0, 4.0, math.nan]), SortedGroups(np.array([0]), 3))
    >>> {name: numbers[name].item() for name in ("n", "n_nan", "mean", "m2", "max")}
    {'n': 2, 'n_nan': 1, 'mean': 3.0, 'm2': 2.0, 'max': 1}
    """
    blocks = []
    for rows, groups in each.blocks(_BLOCK):
        counted = _of_block(x[rows], groups, None if is_number is None else is_number[rows])
        for which in ("min", "max"):
            counted[which] = np.where(counted[which] < 0, -1, counted[which] + rows.start)
        blocks.append(counted)
    return blocks[0] if len(blocks) == 1 else {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def _of_block(x: Floats, each: SortedGroups, is_number: Bools | None) -> dict[str, Any]:
    finite = np.isfinite(x)
    extremes = {"min": each.extreme(x, "min"), "max": each.extreme(x, "max")}
    if finite.all():
        counts = {"n": each.lengths} | dict.fromkeys(("n_nan", "n_pos_inf", "n_neg_inf"), each.none)
        peak = np.maximum(*(np.abs(x[place]) for place in extremes.values()))
        return counts | _moments(x, each, n=each.lengths, peak=peak) | extremes
    nan = np.isnan(x) if is_number is None else np.isnan(x) & is_number
    counts = {"n": each.count(finite), "n_nan": each.count(nan)}
    counts |= {"n_pos_inf": each.count(x == math.inf), "n_neg_inf": each.count(x == -math.inf)}
    return counts | _moments(np.where(finite, x, 0.0), each, n=counts["n"], counted=finite) | extremes


def _moments(
    x: Floats, each: SortedGroups, *, n: Ints, counted: Bools | None = None, peak: Floats | None = None
) -> dict[str, Floats]:
    """Return sums and sums of squared differences from the mean, in two passes, of the numbers `counted` (None: all).

    The mean is rounded: what the differences from it add up to, which would be nothing, corrects their squares.
    """
    sums = exact_sums.of_groups(x, n, each, peak=peak)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond 1e308 it is infinite, as IEEE has it
        off = x - each.spread(sums.mean)
        if counted is not None:
            off *= counted
        lack = each.sum(off)
        off *= off
        m2 = each.sum(off)
        corrected = m2 - lack * lack / np.maximum(n, 1)
        m2 = np.where(np.isfinite(corrected), np.maximum(corrected, 0.0), m2)
        return {"sum": sums.high, "sum_low": sums.low, "mean": sums.mean, "m2": m2}
