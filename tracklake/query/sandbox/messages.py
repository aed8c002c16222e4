"""What duckdb says is wrong with a text, in our words: what it met, and the nearest that there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KIND = re.compile(r"^[A-Z]\w*(?: \w+)* Error: ")
_LINE = re.compile(r"\n+LINE \d+: .*", re.DOTALL)
_DID_YOU_MEAN = re.compile(r'Did you mean "([^"]+)"')
_LITERALS = {"INTEGER_LITERAL": "INTEGER", "STRING_LITERAL": "VARCHAR"}
_FORMS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"(?:\w+ )?Function with name \"?([^\s\"]+)\"? does not exist!", lambda m: f"there is no function {m[1]}()"),
    (r"Type with name (\S+) does not exist!", lambda m: f"there is no type {m[1]}"),
    (r"No function matches the given name and argument types '([^(]+)\((.*?)\)'", lambda m: _refusing(*m.groups())),
    (r"Could not choose a best candidate .* call \"([^(]+)\((.*?)\)\"", lambda m: _refusing(*m.groups())),
    (r"Could not convert string '(.*?)' to (\w+)", lambda m: f"the text {m[1]!r} is no {m[2]}"),
    (
        r'column "([^"]+)" must appear in the GROUP BY clause',
        lambda m: f'"{m[1]}" must stand in GROUP BY, or in an aggregate such as any_value("{m[1]}")',
    ),
    (
        r'Referenced table "([^"]+)" not found!(?:\nCandidate tables: (.*))?',
        lambda m: f'there is no table "{m[1]}" in FROM' + (f"; there is {m[2]}" if m[2] else ""),
    ),
)
"""What duckdb says, and how it is told here."""
_TOO_MANY = 200
"""Characters of a message of duckdb that is told as it is."""


def in_our_words(message: str) -> str:
    r"""Return what a message of duckdb says, with the line that it points at.

    >>> in_our_words('Catalog Error: Scalar Function with name foo does not exist!\nDid you mean "floor"?')
    "there is no function foo(); did you mean 'floor'?"
    >>> in_our_words("Binder Error: No function matches the given name and argument types 'len(DOUBLE)'. You ...")
    'len() does not take (DOUBLE)'
    """
    line = _LINE.search(message)
    stated = _KIND.sub("", message[: line.start()] if line else message).strip()
    return _sentence(stated) + (line[0].replace("\n\n", "\n") if line else "")


def _sentence(stated: str) -> str:
    nearest = _DID_YOU_MEAN.search(stated)
    for pattern, words in _FORMS:
        if match := re.search(pattern, stated):
            return words(match) + (f"; did you mean {nearest[1]!r}?" if nearest else "")
    sentence = stated.partition("\n")[0].rstrip("!.")
    sentence = sentence if len(sentence) <= _TOO_MANY else f"{sentence[:_TOO_MANY]}..."
    return sentence if sentence[:2].isupper() else sentence[:1].lower() + sentence[1:]


def _refusing(name: str, types: str) -> str:
    for literal, dtype in _LITERALS.items():
        types = types.replace(literal, dtype)
    return f"{name}{'()' if name.isidentifier() else ''} does not take ({types})"
