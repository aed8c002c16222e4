"""Calls: `curves("val/acc", by="lr")` read as a name with plain values; nothing in it is run."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from tracklake.errors import ReportError


class Call(NamedTuple):
    """A name with its arguments."""

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def read(text: str) -> Call:
    """Read a call of plain values (texts, numbers, lists, dicts, True, None); ReportError for anything else.

    >>> read('curves(["loss", "acc"], by="lr", log_y=True)')
    Call(name='curves', arguments=(['loss', 'acc'],), keywords={'by': 'lr', 'log_y': True})
    >>> read('curves(open("/etc/passwd"))')
    Traceback (most recent call last):
    tracklake.errors.ReportError: 'open("/etc/passwd")' is no plain value: a text in quotes, a number, a list, ...
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ReportError(f"{text.strip()!r} is not written as name(arguments): {error}") from error
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ReportError(f"{text.strip()!r} is not written as name(arguments), such as curves('loss', by='lr')")
    keywords = {_name_of(keyword, text): _value(keyword.value, text) for keyword in node.keywords}
    return Call(node.func.id, tuple(_value(argument, text) for argument in node.args), keywords)


def _name_of(keyword: ast.keyword, text: str) -> str:
    if keyword.arg is None:
        raise ReportError(f"{text.strip()!r}: write out the arguments instead of **")
    return keyword.arg


def _value(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, RecursionError, TypeError) as error:
        source = ast.get_source_segment(text.strip(), node)
        message = f"{source!r} is no plain value: a text in quotes, a number, a list, a dict, True, False or None"
        raise ReportError(message) from error
