"""Columns: of which type a column is, by what it holds."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklake.compute import typed_columns
from tracklake.schema import values

SCHEMA = {"kind": pl.Int8, "value": pl.Float64, "ival": pl.Int64, "text": pl.String}


def stored(given: list) -> pl.DataFrame:
    """Return values as they are stored, one below the other."""
    return pl.DataFrame([values.store(value, name="x") for value in given], schema=SCHEMA, orient="row")


def typed(given: list, **more: object) -> list[pl.Series]:
    return typed_columns.typed("x", stored(given), typed_columns.counted(len(given)), len(given), **more)


@pytest.mark.parametrize(
    ("given", "dtype", "shown"),
    [
        ([1, 2], pl.Int64, [1, 2]),
        ([1, 2.5], pl.Float64, [1.0, 2.5]),
        ([1, None], pl.Int64, [1, None]),
        ([0.5, math.inf], pl.Float64, [0.5, math.inf]),
        ([True, False], pl.Boolean, [True, False]),
        ([True, None], pl.Boolean, [True, None]),
        (["a", None], pl.String, ["a", None]),
        ([[1, 2], "a"], pl.String, ["[1, 2]", "a"]),
        ([2**63 - 1, -(2**63)], pl.Int64, [2**63 - 1, -(2**63)]),
        ([None, None], pl.Float64, [None, None]),
        ([], pl.Float64, []),
    ],
)
def test_values_of_one_kind_make_one_column(given, dtype, shown):
    """Whole numbers stay exact, numbers of both kinds are floats, a list is its JSON, nothing is a float."""
    (found,) = typed(given)
    assert (found.name, found.dtype, found.to_list()) == ("x", dtype, shown)


@pytest.mark.parametrize(
    ("given", "main", "text"),
    [
        ([1, "a"], [1, None], [None, "a"]),
        ([1.5, 2, "a"], [1.5, 2.0, None], [None, None, "a"]),
        ([1, True], [1, None], [None, "true"]),
        ([True, "true"], [True, None], [None, "true"]),
        ([False, 0.5, None, {"a": 1}], [None, 0.5, None, None], ["false", None, None, '{"a": 1}']),
    ],
)
def test_values_of_several_kinds_make_two(given, main, text):
    """Numbers, or else bools, keep the column; the rest is told beside it in words."""
    first, second = typed(given)
    assert (first.to_list(), second.name, second.to_list()) == (main, "x.text", text)


def test_the_second_column_takes_no_other_name():
    """A key that is called like it keeps its name."""
    assert [column.name for column in typed([1, "a"], used_names={"x.text"})] == ["x", "x.text.text"]


def test_nothing_has_the_type_of_the_whole():
    """Rows that have no value show a column of the type that it has in all rows."""
    (found,) = typed([], of_all=stored(["a", "b"]))
    assert found.dtype == pl.String


def test_values_stand_at_their_places():
    """In any order, and null where there is none."""
    (found,) = typed_columns.typed("x", stored([1, 2, 3]), pl.Series([4, 0, 2], dtype=pl.UInt32), 5)
    assert found.to_list() == [2, None, 3, None, 1]


PLAIN = {
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Float64: st.floats(),
    pl.Boolean: st.booleans(),
    pl.String: st.text(),
}


@given(st.sampled_from(list(PLAIN)).flatmap(lambda t: st.tuples(st.just(t), st.lists(PLAIN[t] | st.none()))))
def test_a_column_comes_back(typed_values):
    """What a column is stored as gives the same column again."""
    dtype, given_values = typed_values
    column = pl.Series("x", given_values, dtype=dtype)
    (found,) = typed_columns.typed("x", typed_columns.stored(column), typed_columns.counted(len(column)), len(column))
    assert found.equals(column) or column.null_count() == len(column)
