"""SortedGroups: rows that stand together; what is said of them without looking at each row twice."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tracklake.compute import sorted_groups
from tracklake.compute.sorted_groups import SortedGroups


def test_changes_mark_the_first_row_and_every_row_unlike_the_one_before():
    """A row is marked if any of the columns differs from the row before; no rows give no marks."""
    rows = pl.DataFrame({"a": ["x", "x", "x", "y"], "b": [1, 1, 2, 2]})
    assert sorted_groups.group_starts(rows, by=["a", "b"]).to_list() == [True, False, True, True]
    assert sorted_groups.group_starts(rows.head(0), by=["a"]).to_list() == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        ([(2, 1, 1)], True),
        ([(1, 1, 1), (1, 1, 1)], True),
        ([(1, 5, 9), (2, 5, 3)], True),  # in order by the first: the others do not matter
        ([(1, 5, 9), (1, 6, 3), (2, 0, 0)], True),
        ([(1, 5, 9), (1, 5, 3)], False),
        ([(1, 5, 9), (1, 4, 9)], False),
        ([(2, 0, 0), (1, 5, 9)], False),
    ],
)
def test_sorted_by_several_columns(rows, expected):
    """Rows ascend if each is no less than the one before, by the first column in which the two differ."""
    frame = pl.DataFrame(rows, schema=["a", "b", "c"], orient="row")
    assert sorted_groups.is_sorted(frame, by=["a", "b", "c"]) is expected


@pytest.mark.parametrize("strings", [["a", "a", "b", "d"], ["d", "a", "b", "a"], ["é", "z", "Z", ""], []])
def test_ranks_order_as_the_strings_do(strings):
    """Ranks are dense, from 0, in the order of the strings, whether these are sorted or not."""
    found = sorted_groups.ranks(pl.Series("s", strings, dtype=pl.String))
    assert found.to_list() == [sorted(set(strings)).index(s) for s in strings]
    assert found.dtype == pl.UInt32


def test_gathering_keeps_the_order_of_equal_rows():
    """Rows with the same strings stay as they stand, however many pieces of them there are."""
    names = [f"m{i % 7}" for i in range(2_000) for _ in range(2)]
    order = sorted_groups.gather_order(pl.DataFrame({"a": names, "b": ["x"] * 4_000}), by=["a", "b"]).to_list()
    assert order == sorted(range(4_000), key=lambda i: names[i])


@pytest.mark.parametrize("order", ["as they come", "run by run", "shuffled"])
def test_many_rows_sort_as_few_do(order: str):
    """By strings, then numbers, and equal rows stay as they stand: just as polars sorts the strings themselves."""
    n = 6_000
    rows = pl.DataFrame({"a": [f"m{i % 7}" for i in range(n)], "b": [f"r{i // 70}" for i in range(n)],
                         "c": [i % 3 for i in range(n)], "at": range(n)})  # fmt: skip
    rows = {"as they come": rows, "run by run": rows.sort("b", "a", "c"), "shuffled": rows.sample(n, shuffle=True)}[
        order
    ]
    found = sorted_groups.sort(rows, by=["a", "b", "c"], series=["a"])
    assert found.equals(rows.sort("a", "b", "c", maintain_order=True))


@pytest.mark.parametrize("order", ["piece by piece", "one after the other", "shuffled"])
def test_pieces_of_memory_sort_as_one(order: str):
    """Rows that lie in several large pieces, each sorted or not, are put in order as if they lay in one."""
    n, pieces = 20_000, 4
    rows = pl.DataFrame({"a": [f"m{i % 7}" for i in range(n)], "b": [f"r{i // 70:03d}" for i in range(n)]})
    rows = rows.with_columns(c=pl.Series(range(n)) % 3, at=pl.Series(range(n)))
    rows = rows.sample(n, shuffle=True, seed=0) if order == "shuffled" else rows
    rows = rows.sort("a", "b", "c") if order == "one after the other" else rows
    parts = [rows[i * n // pieces : (i + 1) * n // pieces] for i in range(pieces)]
    parts = [part.sort("a", "b", "c") for part in parts] if order == "piece by piece" else parts
    joined = pl.concat([part.clone() for part in parts], rechunk=False)
    assert joined.n_chunks() == pieces
    expected = joined.sort("a", "b", "c", maintain_order=True)
    assert sorted_groups.sort(joined, by=["a", "b", "c"], series=["a"]).equals(expected)
    assert sorted_groups.is_sorted(joined, by=["a", "b", "c"]) is (order == "one after the other")


def test_nothing_is_gathered_from_nothing():
    """An empty frame has no order."""
    assert sorted_groups.gather_order(pl.DataFrame({"a": []}, schema={"a": pl.String}), by=["a"]).to_list() == []


@pytest.fixture
def each():
    """Give groups of the rows 0 and 1, 2 alone, 3 to 5."""
    return SortedGroups(np.array([0, 2, 3]), 6)


def test_the_first_and_the_last_that_are_true(each):
    """Positions are those of the frame, and -1 where a group has none, whatever its neighbours have."""
    mask = np.array([False, True, False, True, False, True])
    assert each.first(mask).tolist() == [1, -1, 3]
    assert each.last(mask).tolist() == [1, -1, 5]
    assert each.first(~mask).tolist() == [0, 2, 4]
    assert each.last(~mask).tolist() == [0, 2, 4]
    assert each.first(mask & ~mask).tolist() == each.last(mask & ~mask).tolist() == [-1, -1, -1]


def test_the_earliest_extreme(each):
    """Of equal numbers the earliest is the extreme; NaN is none, unless there is nothing else."""
    x = np.array([2.0, 2.0, np.nan, np.nan, -np.inf, np.inf])
    assert each.extreme(x, "min").tolist() == [0, -1, 4]
    assert each.extreme(x, "max").tolist() == [0, -1, 5]


def test_what_adds_up(each):
    """Lengths, counts, sums and the largest, one a group, and spread over its rows again."""
    x = np.array([1, 2, 4, 8, 16, 32])
    assert each.lengths.tolist() == [2, 1, 3]
    assert each.count(x > 1).tolist() == [1, 1, 3]
    assert each.count(x.astype(np.int8)).tolist() == [3, 4, 56]
    assert each.sum(x / 2).tolist() == [1.5, 2.0, 28.0]
    assert each.max(-x).tolist() == [-1, -4, -8]
    assert each.spread(each.lengths).tolist() == [2, 2, 1, 3, 3, 3]
