"""Conditions: to which values a WHERE restricts the columns of one table, read from duckdb's own tree of it.

What cannot be understood restricts nothing, so that leaving out what is not allowed never changes an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Node = dict[str, Any]
"""A part of the tree that json_serialize_sql gives."""
Allowed = dict[str, frozenset[str]]
"""The texts that columns may have; a column that is not there may have any."""
Params: TypeAlias = "Mapping[str, Any]"


def allowed(node: Node, table: str, params: Params) -> Allowed | None:
    """Return what a condition allows in the columns of one table; None if it is never true.

    `table` is the name under which FROM has it, case-folded.

    >>> column = {"type": "COLUMN_REF", "column_names": ["metric"]}
    >>> text = {"type": "VALUE_CONSTANT", "literal": {"kind": "STRING", "text": "loss"}}
    >>> allowed({"type": "COMPARE_EQUAL", "left": column, "right": text}, "history", {})
    {'metric': frozenset({'loss'})}
    """
    kind = node["type"]
    if kind == "CONJUNCTION_AND":
        return both([allowed(child, table, params) for child in node["children"]])
    if kind == "CONJUNCTION_OR":
        parts = [part for child in node["children"] if (part := allowed(child, table, params)) is not None]
        return either(parts) if parts else None
    truth = _truth(node, params)
    if truth is not None:
        return {} if truth else None
    column, values = _comparison(node, table, params)
    return {column: frozenset(v for v in values if isinstance(v, str))} if column else {}


def _truth(node: Node, params: Params) -> bool | None:
    """Return whether a condition is true, where it looks at no column."""
    if node["type"] in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
        is_constant, value = _value(node["children"][0], params)
        return (value is None) == (node["type"] == "OPERATOR_IS_NULL") if is_constant else None
    if node["type"] == "COMPARE_EQUAL":
        (left_known, left_value), (right_known, right) = _value(node["left"], params), _value(node["right"], params)
        return left_value is not None and left_value == right if left_known and right_known else None
    return None


def _comparison(node: Node, table: str, params: Params) -> tuple[str, list[Any]]:
    """Read `column = value`, `column IN (values)` or `column IN $list`; ("", []) for anything else."""
    if node["type"] == "COMPARE_EQUAL":
        pairs = [(node["left"], [node["right"]]), (node["right"], [node["left"]])]
    elif node["type"] == "COMPARE_IN":
        pairs = [(node["children"][0], node["children"][1:])]
    elif node.get("function_name") == "contains":
        pairs = [(node["arguments"][1]["expression"], [node["arguments"][0]["expression"]])]
    else:
        return "", []
    for side, others in pairs:
        column, constants = _column_of(side, table), [_value(other, params) for other in others]
        if column and all(is_constant for is_constant, _ in constants):
            values = [value for _, value in constants]
            return column, values if node["type"] != "FUNCTION" else list(values[0] or [])
    return "", []


def _value(node: Node, params: Params) -> tuple[bool, Any]:
    """Return whether the value of an expression is known ahead, and the value: a text, null, or a list of these."""
    kind = node["type"]
    if kind == "VALUE_PARAMETER":
        value = params.get(node["identifier"])
        items = value if isinstance(value, list | tuple) else [value]
        return node["identifier"] in params and all(isinstance(item, str | None) for item in items), value
    if kind == "VALUE_CONSTANT" and node["literal"]["kind"] == "STRING":
        return True, node["literal"]["text"]
    if kind == "OPERATOR_CAST" and node["type_expr"].get("type_name", "").upper() in ("VARCHAR", "TEXT"):
        is_constant, value = _value(node["child"], params)
        return is_constant and isinstance(value, str | None), value
    if kind == "OPERATOR_COALESCE":
        for child in node["children"]:
            is_constant, value = _value(child, params)
            if not is_constant or value is not None:
                return is_constant, value
        return True, None
    return False, None


def _column_of(node: Node, table: str) -> str:
    """Return the column that an expression is, if it may be one of this table; else "".

    An unqualified name that two tables have is an error, or a column that USING makes equal in both.
    """
    if node["type"] != "COLUMN_REF":
        return ""
    *owner, column = (part.casefold() for part in node["column_names"])
    return column if not owner or owner[-1] == table else ""


def both(parts: Sequence[Allowed | None]) -> Allowed | None:
    """Return what is allowed where every part holds; None if that is nothing.

    >>> both([{"metric": frozenset({"a", "b"})}, {"metric": frozenset({"b"}), "run_id": frozenset({"r"})}])
    {'metric': frozenset({'b'}), 'run_id': frozenset({'r'})}
    """
    result: Allowed = {}
    for part in parts:
        if part is None:
            return None
        for column, values in part.items():
            result[column] = result[column] & values if column in result else values
    return result


def either(parts: Sequence[Allowed]) -> Allowed:
    """Return the columns that every part restricts, with the values of all.

    >>> found = either([{"metric": frozenset({"a"})}, {"metric": frozenset({"b"}), "run_id": frozenset({"r"})}])
    >>> list(found), sorted(found["metric"])
    (['metric'], ['a', 'b'])
    """
    columns = set(parts[0]).intersection(*parts)
    return {column: frozenset().union(*(part[column] for part in parts)) for column in columns}
