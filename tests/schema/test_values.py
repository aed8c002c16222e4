"""Values: what is stored for each kind, what comes back, and what is refused."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklake.errors import UnstorableValueError
from tracklake.schema.histogram import Histogram
from tracklake.schema.values import FLOAT, INT, JSON, NULL, Kind, Stored, restore, store, store_exact

TEXTS = st.text()  # without surrogates, which are replaced
INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False) | TEXTS
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12)
LARGEST = float(np.finfo(np.float64).max)


class Color(Enum):
    """Members that stand for a text and for an object."""

    RED = "red"
    THING = object()


class Level(IntEnum):
    """A member that is an int."""

    HIGH = 3


class Thing:
    """Nothing that could be stored."""


class Failing:
    """An array-like whose conversion fails as it likes."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __array__(self, dtype=None, copy=None):
        """Raise."""
        raise self.error


class _Tensor:
    """Offers what a torch tensor offers, so that the path is tested where torch is not installed."""

    def __init__(self, array: np.ndarray, *, bfloat16: bool = False) -> None:
        self.array, self.bfloat16 = array, bfloat16

    def detach(self):
        return self

    def cpu(self):
        return self

    def float(self):
        return _Tensor(self.array.astype(np.float32))

    def numpy(self):
        if self.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


def back(value, *, put=store):
    return restore(*put(value, name="k"))


# --- kinds


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (2.0, (0, 2.0, None, None)),
        (3, (1, 3.0, 3, None)),
        (2**63 - 1, (1, 9223372036854775807.0, 9223372036854775807, None)),
        (2**63, (0, 9.223372036854775808e18, None, None)),
        (-(2**63), (1, -9223372036854775808.0, -9223372036854775808, None)),
        (10**400, (0, math.inf, None, None)),
        (-(10**400), (0, -math.inf, None, None)),
        (True, (2, 1.0, 1, None)),
        ("a", (3, None, None, "a")),
        ([1, "é"], (4, None, None, '[1, "é"]')),
        ({}, (4, None, None, "{}")),
        (None, (5, None, None, None)),
    ],
)
def test_stored_form(value, stored):
    """Each kind fills its own columns; integers beyond int64 become the nearest float."""
    assert store(value, name="k") == Stored(*stored)
    assert store_exact(value, name="k") == Stored(*stored)


def test_kind_numbers_are_the_format():
    """The numbers of the kinds are written to disk and never change."""
    assert [(kind.name, kind.value) for kind in Kind] == [
        ("FLOAT", 0),
        ("INT", 1),
        ("BOOL", 2),
        ("TEXT", 3),
        ("JSON", 4),
        ("NULL", 5),
        ("REPLACED", 6),
    ]


def test_kind_is_stored_as_a_plain_int():
    """The kind in a stored form is an int, not a member of Kind."""
    assert type(store([1], name="k").kind) is int


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_stay(value):
    """NaN and the infinities are stored as they are, alone and within lists."""
    assert repr(back(value)) == repr(value)
    assert repr(back([value])) == repr([value])


@given(NESTED)
def test_restore_inverts_store(value):
    """Floats, ints, str, bool, None, and lists and dicts of them come back equal, and of the same type."""
    assert back(value) == value
    assert back(value, put=store_exact) == value
    assert type(back(value)) is type(value)


@given(st.text(st.characters(categories=None) | st.characters(categories=["Cs"])))
def test_any_text_can_be_written_as_utf8(text):
    """No string, whatever surrogates it holds, makes a stored form that UTF-8 cannot write."""
    for stored in (store(text, name="k"), store([text], name="k"), store({text: 1}, name="k")):
        assert stored.text is not None
        stored.text.encode()


def test_lone_surrogates_are_replaced_and_pairs_joined():
    """A lone surrogate becomes U+FFFD; the two halves of a character become the character."""
    assert back("a\ud800b\ud83d\ude00") == "a\ufffdb\N{GRINNING FACE}"


def test_restore_refuses_an_unknown_kind():
    """A kind from a newer format is an error, not a None."""
    with pytest.raises(ValueError, match="9 is no kind of value"):
        restore(9, None, None, None)


# --- other types


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (b"abc", "abc"),
        (bytearray(b"abc"), "abc"),
        (memoryview(b"abc"), "abc"),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),  # noqa: DTZ001 - without a zone on purpose
        (datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=1))), "2024-01-02T00:00:00+01:00"),
        (Decimal("1.5"), "1.5"),
        (1 + 2j, "1+2j"),
        (Color.RED, "red"),
        (Color.THING, "THING"),
        (Level.HIGH, 3),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", 1, None}), ["b", 1, None]),
        (OrderedDict(a=1), {"a": 1}),
        ({"_type": "image", "path": "x.png"}, {"_type": "image", "path": "x.png"}),
        ([{"a": (b"x", Decimal(1), np.float32(0.5), 2**70)}], [{"a": ["x", "1", 0.5, 2.0**70]}]),
    ],
)
def test_other_types(value, plain):
    """Other types become text, numbers, lists and dicts, at any depth."""
    assert back(value) == plain
    assert back(value, put=store_exact) == plain


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.1), 0.10000000149011612),
        (np.float16(0.5), 0.5),
        (np.longdouble("0.25"), 0.25),
        (np.int8(-5), -5),
        (np.uint64(2**64 - 1), 2.0**64),
        (np.bool_(True), True),
        (np.complex64(1 - 2j), "1-2j"),
        (np.str_("a"), "a"),
        (np.datetime64("2024-01-02T03:04:05"), "2024-01-02T03:04:05"),
    ],
)
def test_numpy_scalars(value, plain):
    """A numpy scalar is stored as the Python value that it stands for."""
    assert back(value) == plain
    assert type(back(value)) is type(plain)


def test_subclasses_are_stored_as_their_base():
    """A str, int or float of a subclass comes back as the plain str, int or float."""
    values = [type("S", (str,), {})("é"), type("I", (int,), {})(7), type("F", (float,), {})(1.5)]
    assert [(type(v), v) for v in map(back, values)] == [(str, "é"), (int, 7), (float, 1.5)]


# --- arrays


def test_one_element_is_a_scalar():
    """An array of one element is its element, whatever its shape."""
    assert [back(np.array(1.5)), back(np.array([[3]])), back([np.array([True])])] == [1.5, 3, [True]]


def test_small_array_is_a_nested_list():
    """Up to 32 elements are stored as they lie."""
    assert back(np.arange(4).reshape(2, 2)) == [[0, 1], [2, 3]]
    assert back(np.zeros((2, 0))) == [[], []]
    assert back(np.arange(32.0)) == [float(i) for i in range(32)]


def test_larger_array_is_a_histogram():
    """From 33 elements on a logged array is 32 counts and 33 edges."""
    assert back(np.arange(33)) == {
        "_type": "histogram",
        "values": [1] * 31 + [2],
        "bins": [float(edge) for edge in range(33)],
    }


def test_histogram_leaves_out_and_counts_nonfinite_elements():
    """NaN and infinities are in no bin; their number is said."""
    stored = back(np.r_[np.arange(33.0), math.nan, math.inf])
    assert (stored["values"], stored["nonfinite"]) == ([1] * 31 + [2], 2)


def test_bool_array_counts_as_zeros_and_ones():
    """The histogram of bools has the falses in its first bin and the trues in its last."""
    assert back(np.array([True, False, True] * 20))["values"] == [20] + [0] * 30 + [40]


@pytest.mark.parametrize(
    "array",
    [
        np.full(40, math.nan),
        np.full(40, 2**60),
        np.full(40, 1e300),
        np.full(40, LARGEST),
        np.array([-LARGEST, LARGEST] * 20),
        np.full(40, 5e-324),
        np.array([1.0, 1.0 + 2**-52] * 20),
        np.array([-65504, 65504] * 20, dtype=np.float16),
        np.array([-3.4e38, 3.4e38] * 20, dtype=np.float32),
        np.array([-(2**63), 2**63 - 1] * 20),
        np.full(40, 2.0, dtype=np.longdouble),
    ],
)
def test_histogram_of_any_range(array):
    """Where numpy.histogram refuses a range, there is still a histogram that counts every finite element."""
    stored = back(array)
    assert (len(stored["values"]), len(stored["bins"])) == (32, 33)
    assert sum(stored["values"]) + stored.get("nonfinite", 0) == 40
    assert np.isfinite(stored["bins"]).all()


def test_text_and_dates_are_lists_of_any_length():
    """Arrays of text, bytes and dates have no histogram: they are lists."""
    assert back(np.array(["a"] * 40)) == ["a"] * 40
    assert back(np.array([b"a", b"b"])) == ["a", "b"]
    assert back(np.array(["2024-01-02"] * 40, dtype="M8[D]")) == ["2024-01-02"] * 40


def test_masked_elements_are_not_numbers():
    """A masked element is stored as NaN, not as the number under the mask."""
    assert store(np.ma.array([1, 2], mask=[False, True]), name="k").text == "[1.0, NaN]"


def test_tensor_is_known_by_what_it_offers():
    """A tensor is stored like its array; bfloat16, which numpy does not have, as float32."""
    assert back(_Tensor(np.array(1.5))) == 1.5
    assert back([_Tensor(np.arange(3))]) == [[0, 1, 2]]
    assert back(_Tensor(np.array(0.5), bfloat16=True)) == 0.5


def test_torch_values():
    """Tensors of torch: scalars, with gradient, of bfloat16, lists, histograms."""
    torch = pytest.importorskip("torch")
    assert back(torch.tensor(1.5, requires_grad=True)) == 1.5
    assert back(torch.tensor(0.5, dtype=torch.bfloat16)) == 0.5
    assert back(torch.tensor(data=True)) is True
    assert back(torch.arange(3)) == [0, 1, 2]
    assert back(torch.arange(33))["values"] == [1] * 31 + [2]


def test_pandas_values():
    """A series is stored like its array; a data frame is refused; a timestamp is a datetime."""
    pandas = pytest.importorskip("pandas")
    assert back(pandas.Series([1, 2])) == [1, 2]
    assert back(pandas.Timestamp("2024-01-02")) == "2024-01-02T00:00:00"
    with pytest.raises(UnstorableValueError, match="DataFrame"):
        store(pandas.DataFrame({"a": [1]}), name="k")


# --- refused


def test_refusal_names_key_type_and_what_is_accepted():
    """The error of an unstorable value says which key, which type, and what could be stored."""
    with pytest.raises(TypeError, match=r"'train\.x' cannot be stored: .*Thing has no stored form; accepted are num"):
        store([1, Thing()], name="train.x")


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [
        Thing(),
        Thing,
        timedelta(1),
        np.timedelta64(1, "s"),
        np.void(b"abc"),
        np.array([1, None]),
        np.zeros(2, dtype="i4,f4"),
        np.array([1 + 2j] * 33),
        LOOP,
        *map(Failing, (KeyError, ZeroDivisionError, OSError, NotImplementedError, AssertionError)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_else_is_raised(value):
    """What cannot be stored raises UnstorableValueError, whatever its own methods raise."""
    for put in (store, store_exact):
        with pytest.raises(UnstorableValueError, match="'k' cannot be stored"):
            put(value, name="k")


def test_logged_keys_are_stringified():
    """Keys of a nested dict that are no strings are made strings in a logged row."""
    assert back({1: {None: 2}}) == {"1": {"None": 2}}


def test_exact_keys_are_strings():
    """In a summary or a config a nested key that is no string is refused."""
    with pytest.raises(TypeError, match="the key 1 of a dict is not a str"):
        store_exact({"a": [{1: 2}]}, name="k")


def test_exact_refuses_larger_arrays():
    """Config and nested summaries take no array over 32 elements, and say where one can go."""
    assert store_exact(np.arange(32), name="k").kind == JSON
    with pytest.raises(UnstorableValueError, match=r"33 elements.*run\.summary"):
        store_exact({"a": np.arange(33)}, name="k")


# --- Histogram


def test_histogram_of_a_sequence():
    """A sequence is counted in equal bins, 64 unless said."""
    assert Histogram([1, 2, 3, 4], num_bins=4).to_json() == {
        "_type": "histogram",
        "values": [1, 1, 1, 1],
        "bins": [1.0, 1.75, 2.5, 3.25, 4.0],
    }
    assert len(Histogram(_Tensor(np.arange(9))).histogram) == 64


def test_histogram_of_numpy():
    """A pair of counts and edges is taken as it is."""
    assert Histogram(np_histogram=np.histogram([1, 2, 3, 4], 2)).histogram == [2, 2]
    assert back({"h": Histogram(np_histogram=([1, 2], [0.0, 1.0, 2.0]))}) == {
        "h": {"_type": "histogram", "values": [1, 2], "bins": [0.0, 1.0, 2.0]}
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"sequence": [1], "num_bins": 513},
        {"sequence": [1], "num_bins": 0},
        {"np_histogram": ([1] * 513, range(514))},
        {"np_histogram": ([1, 2], [0, 1])},
        {"sequence": [1], "np_histogram": ([1], [0, 1])},
    ],
)
def test_histogram_that_cannot_be(arguments):
    """More than 512 bins, none, edges that do not fit, and nothing to count are ValueErrors."""
    with pytest.raises(ValueError, match=r"[Hh]istogram"):
        Histogram(**arguments)


def test_histogram_of_words():
    """A histogram counts numbers only."""
    with pytest.raises(UnstorableValueError, match="takes real numbers, not dtype <U1"):
        Histogram(["a"])


def test_json_text_is_what_json_reads():
    """The JSON text is that of Python's json, NaN as a literal."""
    stored = store([1, None, math.nan], name="k")
    assert (stored.kind, stored.text) == (JSON, "[1, null, NaN]")
    assert json.loads(stored.text)[:2] == [1, None]


def test_null_is_a_kind_of_its_own():
    """None is stored, so that a null in history differs from no value."""
    assert [store(v, name="k").kind for v in (None, 0, 0.0)] == [NULL, INT, FLOAT]
