"""Compensated sums: of groups, of groups of parts, and of a stream, held against math.fsum."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklake.compute import exact_sums
from tracklake.compute.exact_sums import GroupSums, RunningSum
from tracklake.compute.sorted_groups import SortedGroups

NUMBERS = st.one_of(
    st.floats(-1e3, 1e3), st.floats(-1e300, 1e300), st.sampled_from([1e16, -1e16, 0.1, 0.2, 1e-300, 5e-324, -0.0])
)
LISTS = st.lists(st.lists(NUMBERS, min_size=1, max_size=40), min_size=1, max_size=5)


def flat(lists: list[list[float]]) -> list[float]:
    """Return the numbers of all lists."""
    return list(chain.from_iterable(lists))


def groups(lists: list[list[float]]) -> SortedGroups:
    """Return the groups of the numbers of these lists put one after the other."""
    lengths = np.array([len(numbers) for numbers in lists])
    return SortedGroups(np.cumsum(lengths) - lengths, int(lengths.sum()))


def sums(lists: list[list[float]]) -> GroupSums:
    """Return the sums of each list."""
    return exact_sums.of_groups(np.array(flat(lists)), groups(lists).lengths, groups(lists))


def about(numbers: list[float]) -> object:
    """Return what is a correct sum of numbers, to a bit in the last place and to 1e-30 of the largest."""
    return pytest.approx(math.fsum(numbers), rel=3e-16, abs=max(map(abs, numbers)) * 1e-30)


@given(LISTS)
def test_groups(lists):
    """The sum of each group is that of math.fsum, whatever cancels."""
    assert sums(lists).high.tolist() == [about(numbers) for numbers in lists]


@given(LISTS)
def test_parts(lists):
    """The sums of parts make the sum of all."""
    each = sums(lists)
    n = groups(lists).lengths
    total = exact_sums.of_parts(each, n, SortedGroups(np.array([0]), len(lists)))
    assert total.high.tolist() == [about(flat(lists))]


@given(LISTS)
def test_stream(lists):
    """A running sum gives the same, number by number and by parts."""
    each, by_number, by_part = sums(lists), RunningSum(), RunningSum()
    for i, numbers in enumerate(lists):
        by_part.add_part(each.high[i], each.low[i], each.mean[i], len(numbers))
        for x in numbers:
            by_number.add(x)
    assert (by_number.value, by_part.value) == (about(flat(lists)),) * 2


@pytest.mark.parametrize(
    ("numbers", "total", "mean"),
    [
        ([0.1, 0.2, 0.3, 1e16, -1e16], 0.6, 0.12),
        ([1e308] * 3, math.inf, 1e308),
        ([-1e308] * 3, -math.inf, -1e308),
        ([1e308, -1e308, 1.5], 1.5, 0.5),
        ([5e-324] * 3, 1.5e-323, 5e-324),
        ([0.1] * 10, 1.0, 0.1),
        ([0.0], 0.0, 0.0),
        ([-0.0] * 3, 0.0, 0.0),
    ],
)
def test_hard_cases(numbers, total, mean):
    """Cancellation, numbers beyond 1e308 and the least ones, as a group, as parts of one number, and as a stream."""
    n, one = len(numbers), SortedGroups(np.array([0]), len(numbers))
    group = exact_sums.of_groups(np.array(numbers), np.array([n]), one)
    parts = exact_sums.of_parts(sums([[x] for x in numbers]), np.ones(n, dtype=np.int64), one)
    stream = RunningSum()
    for x in numbers:
        stream.add(x)
    assert [(group.high[0], group.mean[0]), (parts.high[0], parts.mean[0]), (stream.value, stream.mean(n))] == [
        (total, mean)
    ] * 3


def test_a_long_group():
    """Two million numbers of mixed sizes have the sum of math.fsum, to the last bit."""
    x = np.random.default_rng(0).lognormal(sigma=8, size=2_000_000) * np.random.default_rng(1).choice(
        [-1, 1], 2_000_000
    )
    group = exact_sums.of_groups(x, np.array([x.size]), SortedGroups(np.array([0]), x.size))
    assert group.high.tolist() == [math.fsum(x.tolist())]
