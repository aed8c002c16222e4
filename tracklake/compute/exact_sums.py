"""Compensated summation: sums of doubles that do not depend on their order, of groups of an array and of a stream.

A sum is a pair of doubles, `high` + `low` (double-double arithmetic, about 106 bits), so that cancellation does not
show and sums of parts make the sum of all. An array is summed by error-free extraction (Rump, Ogita and Oishi 2008,
"Accurate floating-point summation", algorithm ExtractVector), a stream by Knuth's two-sum. Numbers from 2 ** 900 on are
scaled, so that a mean exists where the sum is beyond 1e308.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tracklake.compute.sorted_groups import SortedGroups

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NumberT = TypeVar("NumberT", float, "Floats")
HUGE = 2.0**900
_SCALE = 2.0**-100
_LEVELS = 72
"""Extractions at most: each takes some 30 to 50 bits off what is left; two or three leave nothing of usual numbers, and
so many nothing of any."""
_BITS = 53
_SPLIT = 2.0**27 + 1
_LEAST = -1022
"""Exponent of the least normal number, whose last bit is the least number there is."""
_MAGNITUDE = (1 << 63) - 1
"""All bits of a number but its sign."""


class GroupSums(NamedTuple):
    """Of each group: the sum in two parts (beyond 1e308 it is infinite, and `low` 0.0), and the mean, always finite."""

    high: Floats
    low: Floats
    mean: Floats


def of_groups(x: Floats, n: Ints, groups: SortedGroups, *, peak: Floats | None = None) -> GroupSums:
    """Return sum and mean of the finite numbers of each group; `n` counts those that belong to it, the others are 0.0.

    `peak` is the largest absolute number of each group, where that is known.

    >>> from tracklake.compute.sorted_groups import SortedGroups
    >>> x = np.array([0.1, 0.2, 0.3, 1e16, -1e16, 1e308, 1e308])
    >>> sums = of_groups(x, np.array([5, 2]), SortedGroups(np.array([0, 5]), 7))
    >>> sums.high.tolist(), sums.mean.tolist()
    ([0.6, inf], [0.12, 1e+308])
    """
    peak = np.maximum.reduceat(np.abs(x), groups.starts) if peak is None else peak
    is_huge = peak >= HUGE
    scale = np.where(is_huge, _SCALE, 1.0)
    high, low = _extracted(x * groups.spread(scale) if is_huge.any() else x, groups, peak=peak * scale)
    return _unscaled(high, low, n, scale)


def of_parts(sums: GroupSums, n: Ints, groups: SortedGroups) -> GroupSums:
    """Return sum and mean of groups of parts, from the sums of the parts and how many numbers each has.

    >>> from tracklake.compute.sorted_groups import SortedGroups
    >>> x, parts = np.array([0.1, 0.2, 0.3, 1e16, -1e16]), SortedGroups(np.array([0, 3]), 5)
    >>> n = np.array([3, 2])
    >>> of_parts(of_groups(x, n, parts), n, SortedGroups(np.array([0]), 2)).mean.tolist()
    [0.12]
    """
    is_huge = np.maximum.reduceat(np.abs(sums.high), groups.starts) >= HUGE
    scale = np.where(is_huge, _SCALE, 1.0)
    high, low = sums.high, sums.low
    if is_huge.any():
        factor = groups.spread(scale)
        with np.errstate(invalid="ignore"):
            high = np.where(np.isfinite(high), high * factor, sums.mean * factor * n)
        low = low * factor
    doubled = type(groups)(groups.starts * 2, groups.size * 2)
    pairs = np.stack([high, low], axis=1).ravel()
    peak = np.maximum.reduceat(np.abs(pairs), doubled.starts)
    return _unscaled(*_extracted(pairs, doubled, peak=peak), groups.count(n), scale)


def mean_remainder(sums: GroupSums, n: Ints) -> Floats:
    """Return what rounding took from each mean: the two together tell it as exactly as the sum does.

    >>> mean_remainder(GroupSums(np.array([2.0**53 * 3]), np.array([1.0]), np.array([2.0**53])), np.array([3])).tolist()
    [0.3333333333333333]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        remainder = remainder_of(sums.high, sums.low, sums.mean, np.maximum(n, 1).astype(np.float64))
    return np.where(np.isfinite(remainder), remainder, 0.0)


def remainder_of(high: NumberT, low: NumberT, mean: NumberT, n: NumberT) -> NumberT:
    """Return what rounding took from a mean, of numbers or of arrays; not finite near the end of the numbers.

    >>> remainder_of(1.0, 0.0, 1 / 3, 3.0) != 0.0
    True
    """
    product = mean * n
    return (high - product - _lost(mean, n, product) + low) / n


def _lost(a: NumberT, b: NumberT, product: NumberT) -> NumberT:
    """Return what rounding took from a product (Veltkamp's split and Dekker's product, 1971)."""
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _halves(x: NumberT) -> tuple[NumberT, NumberT]:
    scaled = x * _SPLIT
    high = scaled - (scaled - x)
    return high, x - high


def _unscaled(high: Floats, low: Floats, n: Ints, scale: Floats) -> GroupSums:
    with np.errstate(over="ignore"):
        full = high / scale
    return GroupSums(full, np.where(np.isfinite(full), low / scale, 0.0), high / np.maximum(n, 1) / scale)


def _extracted(x: Floats, groups: SortedGroups, *, peak: Floats) -> tuple[Floats, Floats]:
    """Return the sums of groups as pairs; no number and no sum may be beyond 2 ** 1000.

    `peak` is the largest absolute number of each group. Numbers of which nothing is left are not looked at again: of
    those that were float32 that is nearly all after the first extraction.
    """
    if groups.size == len(groups.starts):
        return x, np.zeros_like(x)
    spare = int(np.frexp(groups.lengths.max())[1]) + 1  # bits that a sum may need beyond those of the largest number
    grid = np.ldexp(1.0, np.maximum(np.frexp(peak)[1] + spare, _LEAST))
    sums, remainder = [], x
    remaining, numbers = groups, np.arange(len(grid))  # the groups of what is left, and their numbers
    for _ in range(_LEVELS):
        spread = remaining.spread(grid[numbers])
        upper = remainder + spread
        upper -= spread  # multiples of the last bit of the grid: they add up without any rounding
        total = np.zeros(len(grid))
        total[numbers] = np.add.reduceat(upper, remaining.starts)
        sums.append(total)
        remainder = np.subtract(remainder, upper, out=upper)
        if not np.bitwise_or.reduce(remainder.view(np.int64)) & _MAGNITUDE:  # all 0.0, told in a fifth of the time
            break
        nonzero = np.flatnonzero(remainder)
        if len(nonzero) < len(remainder) // 2:
            remainder, remaining, numbers = _compressed(remainder, nonzero, remaining, numbers)
        grid = np.maximum(grid * 2.0 ** (spare - _BITS), 2.0**_LEAST)
    return _added(sums)


def _compressed(x: Floats, places: Ints, groups: SortedGroups, numbers: Ints) -> tuple[Floats, SortedGroups, Ints]:
    """Return what stands at some places of an array, its groups, and the numbers of these."""
    group = np.searchsorted(groups.starts, places, side="right") - 1
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return x[places], type(groups)(starts, len(places)), numbers[group[starts]]


def _added(sums: list[Floats]) -> tuple[Floats, Floats]:
    """Add up columns of numbers, the last and smallest first."""
    high, low = sums[-1], np.zeros_like(sums[-1])
    for column in reversed(sums[:-1]):
        high, error = _two_sum(high, column)
        low = low + error
    return _two_sum(high, low)


def _two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return the sum and what rounding took from it (Knuth 1969)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


class RunningSum:
    """The sum of a stream of finite numbers: the scalar twin of `of_groups`.

    >>> total = RunningSum()
    >>> for x in (0.1, 0.2, 0.3, 1e16, -1e16):
    ...     total.add(x)
    >>> total.value, total.mean(5)
    (0.6, 0.12)
    """

    __slots__ = ("_high", "_huge_high", "_huge_low", "_low")

    def __init__(self) -> None:
        self._high = self._low = self._huge_high = self._huge_low = 0.0

    def copy(self) -> RunningSum:
        """Return another one that goes on from here.

        >>> total = RunningSum()
        >>> total.copy().add(1.0), total.value
        (None, 0.0)
        """
        copied = RunningSum()
        copied._high, copied._low = self._high, self._low
        copied._huge_high, copied._huge_low = self._huge_high, self._huge_low
        return copied

    def add(self, x: float) -> None:
        """Add a finite number.

        >>> total = RunningSum()
        >>> total.add(0.5), total.value
        (None, 0.5)
        """
        if -HUGE < x < HUGE:
            total = self._high + x
            part = total - self._high
            self._low += (self._high - (total - part)) + (x - part)
            self._high = total
        else:
            self._add_scaled(x * _SCALE)

    def _add_scaled(self, x: float) -> None:
        total = self._huge_high + x
        part = total - self._huge_high
        self._huge_low += (self._huge_high - (total - part)) + (x - part)
        self._huge_high = total

    def add_part(self, high: float, low: float, mean: float, n: int) -> None:
        """Add the sum of many numbers, as `of_groups` gives it.

        >>> total = RunningSum()
        >>> total.add_part(math.inf, 0.0, 1e308, 2)
        >>> total.value, total.mean(2)
        (inf, 1e+308)
        """
        if math.isfinite(high):
            self.add(high)
            self.add(low)
        else:
            self._add_scaled(mean * _SCALE * n)

    @property
    def value(self) -> float:
        """The sum, rounded once; infinite where it is beyond 1e308.

        >>> RunningSum().value
        0.0
        """
        if not (self._huge_high or self._huge_low):
            return self._high + self._low
        return self._scaled / _SCALE

    def mean(self, n: int) -> float:
        """Return the sum over `n`, 0.0 if there are none; finite whatever the sum.

        >>> RunningSum().mean(0)
        0.0
        """
        if not (self._huge_high or self._huge_low):
            return self.value / max(n, 1)
        return self._scaled / max(n, 1) / _SCALE

    @property
    def _scaled(self) -> float:
        return math.fsum((self._huge_high, self._huge_low, self._high * _SCALE, self._low * _SCALE))
