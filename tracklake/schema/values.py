"""What a value is when it is stored: its kind, a float64, an int64 and a text; and the way back.

Every accepted value is first made plain (float, int, bool, str, None, or a list or dict of these); the plain
value has one stored form. A plain list or dict is JSON text, in which NaN and Infinity are literals.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from functools import cache, partial, singledispatch
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tracklake.common.lazy_numpy import np
from tracklake.common.warnings import warn_set_aside
from tracklake.errors import UnstorableValueError
from tracklake.schema.arrays import CONVERSION_ERRORS, as_numpy
from tracklake.schema.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

Plain: TypeAlias = "float | str | list[Any] | dict[str, Any] | None"  # int and bool are floats to a type checker

LIST_LIMIT = 32
"""Elements up to which an array is stored as a nested list; a larger one is a histogram, or a file."""

ACCEPTED = (
    "accepted are numbers, bool, str, None, bytes, date, datetime, Decimal, complex, Enum, path, Histogram, scalars "
    "and arrays of numpy, torch, tensorflow, jax and pandas, and list, tuple, set and dict of these"
)


class Kind(IntEnum):
    """What a stored value was.

    >>> Kind(store("adam", name="optimizer").kind).name
    'TEXT'
    """

    FLOAT = 0
    INT = 1
    BOOL = 2
    TEXT = 3
    JSON = 4
    NULL = 5
    REPLACED = 6
    """No value any more: a later call of the same row wrote a name above or under this one."""


FLOAT, INT, BOOL, TEXT, JSON, NULL, REPLACED = (int(kind) for kind in Kind)  # plain ints: what goes into the column


class Stored(NamedTuple):
    """The stored form: `value` is set for FLOAT, INT and BOOL, `ival` for INT and BOOL, `text` for TEXT and JSON.

    >>> store(3, name="epoch")
    Stored(kind=1, value=3.0, ival=3, text=None)
    """

    kind: int
    value: float | None
    ival: int | None
    text: str | None


NOTHING = Stored(NULL, None, None, None)
"""What a statement holds that has no value."""
GONE = Stored(REPLACED, None, None, None)
"""What stands in the place of a value of a row that a relative of its name has replaced."""

STORED = Stored._fields
"""The columns of a stored value, in the one order in which they are selected, which Stored and restore take."""


def store(value: object, *, name: str) -> Stored:
    """Return the stored form of a logged value.

    An int beyond int64 becomes a float. Numeric arrays and tensors: one element is a scalar, up to 32 are a nested
    list, more are a histogram of 32 bins; arrays of text and of dates are nested lists whatever their length.
    Surrogates without a partner in a string become U+FFFD.
    Raises UnstorableValueError (a TypeError), which names the key `name`, for anything else.

    >>> store(3, name="epoch")
    Stored(kind=1, value=3.0, ival=3, text=None)
    >>> store([1, {"a": None}], name="l").text
    '[1, {"a": null}]'
    """
    scalar = _SCALARS.get(type(value))
    return scalar(value) if scalar is not None else _store_other(value, name=name, exact=False)


def store_exact(value: object, *, name: str) -> Stored:
    """Return the stored form of a value set by hand (config, summary): like `store`, but nothing is abridged.

    Raises UnstorableValueError also for a dict with a key that is no string, and for arrays of more than 32 elements.

    >>> store_exact({"a": {1: 2}}, name="layers")
    Traceback (most recent call last):
    tracklake.errors.UnstorableValueError: 'layers' cannot be stored: the key 1 of a dict is not a str
    """
    scalar = _SCALARS.get(type(value))
    return scalar(value) if scalar is not None else _store_other(value, name=name, exact=True)


def restore(kind: int, value: float | None, ival: int | None, text: str | None) -> Any:
    """Return the value of a stored form: float, int, bool, str, None, or the list or dict of a JSON text.

    Raises ValueError for a kind that is none of `Kind`.

    >>> restore(*store((1, 2.5, True), name="t"))
    [1, 2.5, True]
    """
    if kind == FLOAT:
        return value
    if kind == INT:
        return ival
    if kind == BOOL:
        return bool(ival)
    if kind == TEXT:
        return text
    if kind == JSON:
        return _from_json(text or "null")
    if kind in (NULL, REPLACED):
        return None
    raise ValueError(f"{kind!r} is no kind of value; there are {', '.join(f'{k.value} ({k.name})' for k in Kind)}")


def _from_json(text: str) -> Any:
    """Return a JSON text's value; the text itself, with a warning, where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        warn_set_aside(f"the value {text[:80]!r}")
        return text


_new = partial(tuple.__new__, Stored)  # the constructor of a NamedTuple is a Python function: this is twice as fast


def _float(value: Any) -> Stored:
    return _new((FLOAT, float(value), None, None))


def _int(value: Any) -> Stored:
    number = _within_int64(int(value))
    return _new((INT, float(number), number, None)) if isinstance(number, int) else _float(number)


def _bool(value: Any) -> Stored:
    return _new((BOOL, 1.0, 1, None)) if value else _new((BOOL, 0.0, 0, None))


def _text(value: Any) -> Stored:
    return _new((TEXT, None, None, _utf8(value)))


def _null(_: object) -> Stored:
    return _new((NULL, None, None, None))


def _json(value: Any) -> Stored:
    return _new((JSON, None, None, json.dumps(value, ensure_ascii=False)))


_SCALARS: dict[type, Callable[[Any], Stored]] = {
    float: _float,
    int: _int,
    bool: _bool,
    str: _text,
    type(None): _null,
}
"""By exact type: the values of nearly every row, one look-up away."""
_PACKED: dict[Callable[[Any], Stored], str] = {_float: "d", _int: "q", _bool: "?"}


def packed_as(kind: type) -> str:
    """Return the letter of `struct` by which values of exactly this type are packed as they are; a space if none is.

    >>> packed_as(float), packed_as(str)
    ('d', ' ')
    """
    store = _SCALARS.get(kind)
    return _PACKED.get(store, " ") if store is not None else " "


def _store_other(value: object, *, name: str, exact: bool) -> Stored:
    if "numpy" in sys.modules:
        _know_numpy()
    try:
        plain = _plain(value, exact=exact)
        return _SCALARS.get(type(plain), _json)(plain)
    except UnstorableValueError as error:
        raise UnstorableValueError(f"{name!r} cannot be stored: {error}") from None
    except CONVERSION_ERRORS as error:
        raise UnstorableValueError(
            f"{name!r} cannot be stored: reading a {_type_name(value)} raised {type(error).__name__}; {ACCEPTED}"
        ) from error


def _within_int64(integer: int) -> float:
    if -(2**63) <= integer < 2**63:
        return integer
    try:
        return float(integer)
    except OverflowError:
        return math.inf if integer > 0 else -math.inf  # as rounding to the nearest float64 has it


def _utf8(text: str) -> str:
    """Return `text` fit for UTF-8: pairs of surrogates joined, lone ones replaced by U+FFFD."""
    if text.isascii():
        return str.__str__(text)
    return str.encode(text, "utf-16", "surrogatepass").decode("utf-16", "replace")


def _text_of_bytes(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UnstorableValueError(
            f"bytes that are not UTF-8 have no stored form ({error}); log their .hex()"
        ) from None


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


# --- plain values; the first registered class of the value's MRO decides


@singledispatch
def _plain(value: object, *, exact: bool) -> Plain:
    array = as_numpy(value)
    if array is None and _type_name(value) in ("torch.device", "torch.dtype"):  # they stand in many a config
        return str(value)
    if array is None:
        raise UnstorableValueError(
            f"a value of type {_type_name(value)} has no stored form; {ACCEPTED}; or log str(value)"
        )
    return _plain_array(array, exact=exact)


_LEAVES: dict[type, Callable[[Any], Plain]] = {
    type(None): lambda _: None,
    bool: bool,
    float: float,
    int: lambda number: _within_int64(int(number)),
    str: _utf8,
    **dict.fromkeys((bytes, bytearray, memoryview), lambda data: _text_of_bytes(bytes(data))),
    date: lambda day: day.isoformat(),  # datetime too
    **dict.fromkeys((Decimal, PurePath), str),
    complex: lambda number: str(complex(number)).strip("()"),
    Histogram: Histogram.to_json,
}

for _kind, _leaf in _LEAVES.items():
    _plain.register(_kind, lambda value, *, exact, leaf=_leaf: leaf(value))  # noqa: ARG005 - one signature for all


@_plain.register
def _(value: Enum, *, exact: bool) -> Plain:
    try:
        return _plain(value.value, exact=exact)
    except UnstorableValueError:
        return value.name  # a member that stands for an object


@cache
def _know_numpy() -> None:
    """Take scalars of numpy as well; done when one may have come, so that to log does not load numpy."""
    _plain.register(np.generic, _plain_scalar)
    _SCALARS.update(dict.fromkeys((np.float64, np.float32), _float))
    _SCALARS.update(dict.fromkeys((np.int64, np.int32), _int))
    _SCALARS.update({np.bool_: _bool, np.str_: _text})


def _plain_scalar(value: np.generic, *, exact: bool) -> Plain:
    kind = value.dtype.kind
    if kind == "M":
        return str(value)
    if kind == "f" or (kind == "V" and not isinstance(value, np.void)):  # V: bfloat16 and its like
        return float(value)
    if kind in "biuc":
        return _plain({"b": bool, "c": complex}.get(kind, int)(value), exact=exact)
    raise UnstorableValueError(f"a numpy scalar of dtype {value.dtype} has no stored form; {ACCEPTED}")


@_plain.register
def _(value: Mapping, *, exact: bool) -> Plain:  # type: ignore[type-arg]  # singledispatch takes a bare class
    return {_key(key, exact=exact): _plain(item, exact=exact) for key, item in value.items()}


@_plain.register
def _(value: Sequence, *, exact: bool) -> Plain:  # type: ignore[type-arg]  # as above
    return [item if type(item) is float else _plain(item, exact=exact) for item in value]


@_plain.register
def _(value: AbstractSet, *, exact: bool) -> Plain:  # type: ignore[type-arg]
    items: list[Any] = [_plain(item, exact=exact) for item in value]
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=json.dumps)  # of mixed types: any order that is always the same


def _key(key: object, *, exact: bool) -> str:
    if exact and not isinstance(key, str):
        raise UnstorableValueError(f"the key {key!r} of a dict is not a str")
    return _utf8(key if isinstance(key, str) else str(key))


def _plain_array(array: npt.NDArray[Any], *, exact: bool) -> Plain:
    kind = array.dtype.kind
    if array.dtype.hasobject or kind in "mV":
        raise UnstorableValueError(
            f"an array of dtype {array.dtype} has no stored form; its .tolist() has one if its elements have"
        )
    if array.size == 1:
        return _plain(array.reshape(-1)[0], exact=exact)
    if exact and array.size > LIST_LIMIT:
        raise UnstorableValueError(
            f"an array of {array.size} elements, and up to {LIST_LIMIT} are kept here; "
            "run.summary[key] = array keeps a larger one whole, its .tolist() is stored as it is"
        )
    if array.size > LIST_LIMIT and kind not in "USM":
        return Histogram(array, num_bins=LIST_LIMIT).to_json()
    return _plain(array.astype(str).tolist() if kind == "M" else array.tolist(), exact=exact)
