"""What public calls are given, checked at the door: words, texts, lists of names, numbers.

An error names the parameter, what was given and what is accepted. What is none of the words accepted, of whatever type,
is an error of tracklake's own, and so is what is of the right type but cannot be; a wrong type else is a TypeError.
Refused is only what cannot be meant: a number may be one of numpy, a Decimal, a Fraction, an array without dimensions,
so callers go on with what is returned here.
"""

from __future__ import annotations

import numbers
import operator
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from tracklake.errors import DefinitionError, QueryError, TracklakeError

_LONGEST = 80
"""Characters of a value that an error shows; of a longer one it tells the type."""
_REAL = "iuf"
"""numpy's kinds of real numbers."""


def refused(name: str, takes: str, value: object) -> TypeError:
    """Return the error for a value of a wrong type.

    >>> print(refused("where", "a SQL text", 5))
    where= takes a SQL text; got 5 (int)
    """
    text, kind = repr(value), type(value).__name__
    got = f"{text} ({kind})" if len(text) <= _LONGEST and "\n" not in text else f"a {kind}"
    return TypeError(f"{name}= takes {takes}; got {got}")


@cache
def words(accepted: Any) -> tuple[object, ...]:
    """Return the words of a Literal; of a union also True and False for bool, and None.

    >>> words(Literal["a", "b"] | bool | None)
    ('a', 'b', True, False, None)
    """
    if accepted is NoneType:
        return (None,)
    if accepted is bool:
        return (True, False)
    parts = get_args(accepted)
    return parts if get_origin(accepted) is Literal else tuple(word for part in parts for word in words(part))


def word(name: str, value: object, accepted: Any, *, error: type[TracklakeError] = QueryError) -> Any:
    """Return the word that is meant, of those of a Literal (for True and False also 1, 0 and numpy's own), or raise.

    >>> word("resume", 0, Literal["allow"] | bool)
    False
    >>> word("shape", "tall", Literal["long", "wide"])
    Traceback (most recent call last):
    tracklake.errors.QueryError: shape='tall'; accepted are 'long', 'wide'
    """
    truth = isinstance(value, numbers.Integral) or type(value).__name__ in ("bool", "bool_")  # the last are numpy's
    for candidate in words(accepted):
        if (isinstance(value, type(candidate)) or (truth and isinstance(candidate, bool))) and value == candidate:
            return candidate
    raise error(f"{name}={value!r}; accepted are {', '.join(map(repr, words(accepted)))}")


def check_word(name: str, value: object, accepted: Any, *, error: type[TracklakeError] = QueryError) -> None:
    """Raise as `word` does; for words that are all texts, where the value is itself what is meant.

    >>> check_word("shape", "wide", Literal["long", "wide"])
    """
    word(name, value, accepted, error=error)


def text(name: str, value: object, *, takes: str = "a text") -> str:
    """Return the value if it is a text; raise TypeError if not.

    >>> text("x", ["step"], takes="the name of a metric")
    Traceback (most recent call last):
    TypeError: x= takes the name of a metric; got ['step'] (list)
    """
    if not isinstance(value, str):
        raise refused(name, takes, value)
    return value


def texts(name: str, value: object, *, takes: str = "a name or a list of names") -> list[str]:
    """Return a text, or several, as a list; raise TypeError for anything else.

    >>> texts("by", "lr"), texts("by", ("lr", "seed"))
    (['lr'], ['lr', 'seed'])
    >>> texts("by", ["lr", None])
    Traceback (most recent call last):
    TypeError: by= takes a name or a list of names; got ['lr', None] (list)
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        items = list(value)
        if all(isinstance(item, str) for item in items):
            return items
    raise refused(name, takes, value)


def paths(name: str, value: object, *, takes: str = "a path, or several") -> list[str | os.PathLike[str]]:
    """Return a path, or several, as a list; raise TypeError for anything else.

    >>> paths("queries", "queries"), paths("queries", ())
    (['queries'], [])
    """
    items: list[Any] = [value] if not isinstance(value, Iterable) or isinstance(value, str) else list(value)
    if not all(isinstance(item, str | os.PathLike) for item in items):
        raise refused(name, takes, value)
    return items


def whole(name: str, value: object, *, least: int, error: type[TracklakeError] = DefinitionError) -> int:
    """Return the value if it is a whole number from `least` on; raise TypeError, or the error for a smaller one.

    >>> whole("n", 3, least=1), whole("n", 1e3, least=1)
    (3, 1000)
    >>> whole("n", 2.5, least=1)
    Traceback (most recent call last):
    TypeError: n= takes a whole number; got 2.5 (float)
    """
    if not is_number(value):
        raise refused(name, "a whole number", value)
    try:
        integer = operator.index(value)  # type: ignore[arg-type] # exact, where it is an integer
    except TypeError:
        if not (real := number(name, value)).is_integer():
            raise refused(name, "a whole number", value) from None
        integer = int(real)
    if integer < least:
        raise error(f"{name}={value}; it is a whole number, at least {least}")
    return integer


def path(name: str, value: object) -> Path:
    """Return the value as a path if it is one; raise TypeError if not.

    >>> path("folder", 1)
    Traceback (most recent call last):
    TypeError: folder= takes a path; got 1 (int)
    """
    if not isinstance(value, str | os.PathLike):
        raise refused(name, "a path", value)
    return Path(value)


def instance(name: str, value: object, kind: type, *, of: str) -> None:
    """Raise TypeError, which says where such a value comes from, unless the value is of this kind.

    >>> instance("sweep", "loss", dict, of="lake.sweep(...)")
    Traceback (most recent call last):
    TypeError: sweep= takes what lake.sweep(...) returns; got 'loss' (str)
    """
    if not isinstance(value, kind):
        raise refused(name, f"what {of} returns", value)


def metric(name: str, value: object) -> str:
    """Return the value if it is a text, as the name of a metric is; raise TypeError if not.

    >>> metric("x", "tokens")
    'tokens'
    """
    return text(name, value, takes="the name of a metric")


def is_number(value: object) -> bool:
    """Say whether a value is one real number, of whatever library; a truth is none, nor is a text.

    >>> from decimal import Decimal
    >>> is_number(1), is_number(Decimal("0.1")), is_number(True), is_number("1"), is_number([1])
    (True, True, False, False, False)
    """
    if isinstance(value, bool | str) or getattr(value, "shape", ()) != ():
        return False
    kind = getattr(getattr(value, "dtype", None), "kind", "f")  # numpy: a truth, a date and a complex have a float too
    return kind in _REAL and (hasattr(type(value), "__float__") or hasattr(type(value), "__index__"))


def number(name: str, value: object, *, takes: str = "a number") -> float:
    """Return the value as a float if it is a number; raise TypeError if not.

    >>> from decimal import Decimal
    >>> number("threshold", 1), number("threshold", Decimal("0.5"))
    (1.0, 0.5)
    >>> number("threshold", "0.3")
    Traceback (most recent call last):
    TypeError: threshold= takes a number; got '0.3' (str)
    """
    if not is_number(value):
        raise refused(name, takes, value)
    return float(value)  # type: ignore[arg-type] # it is a number


def share(name: str, value: object, *, such_as: float) -> float:
    """Return a share between 0 and 1 as a float; raise TypeError for no number, DefinitionError for another one.

    >>> share("confidence", 95, such_as=0.95)
    Traceback (most recent call last):
    tracklake.errors.DefinitionError: confidence=95; it is a share between 0 and 1, such as 0.95
    """
    fraction = number(name, value, takes=f"a share between 0 and 1, such as {such_as}")
    if not 0 < fraction < 1:
        raise DefinitionError(f"{name}={value}; it is a share between 0 and 1, such as {such_as}")
    return fraction
