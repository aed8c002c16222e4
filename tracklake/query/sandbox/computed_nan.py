"""NaN that a text computes itself, such as sqrt(-1) or infinity less infinity, is null as that of the data is.

The views hold null where NaN was logged. What a text makes of them may be NaN again, which duckdb takes for greater
than every number: so each expression that may make one is put into a macro that gives null in its place, but for what
is asked whether it is NaN.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tracklake.query.sandbox.pushdown import Node

MACRO = "null_for_nan"
DEFINITION = (
    f"{MACRO}(x) AS CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') AND isnan(try_cast(x AS DOUBLE)) THEN NULL ELSE x END"
)
"""Of any type: only a number that is not exact can be NaN."""
ASKING = {"isnan", "is_nan", "isfinite", "isinf"}
"""Functions that ask whether a number is one."""
_OPERATORS = {"+", "-", "*", "/", "%", "**", "^"}
_SCALARS = {
    *("sqrt", "ln", "log", "log2", "log10", "pow", "power", "mod", "fmod", "gamma", "lgamma"),
    *("sin", "cos", "tan", "cot", "asin", "acos", "acosh", "atanh"),
}
_AGGREGATES = {
    *("sum", "fsum", "kahan_sum", "sumkahan", "avg", "mean", "favg", "product", "geomean", "geometric_mean"),
    *("stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop", "sem", "skewness", "kurtosis"),
    *("kurtosis_pop", "corr", "covar_samp", "covar_pop", "regr_slope", "regr_intercept", "regr_r2", "regr_avgx"),
    *("regr_avgy", "regr_sxx", "regr_sxy", "regr_syy", "list_sum", "list_avg", "list_product", "list_stddev_samp"),
}
_ARITHMETIC = _OPERATORS | _SCALARS
"""What is NaN of NaN, and needs no macro inside."""
_INEXACT = {"double", "float", "float4", "float8", "real"}


def without(text: str, cursor: DuckDBPyConnection) -> str:
    """Return the text with null for each NaN that it would compute; one that computes none as it is.

    >>> from tracklake.query.sandbox.connection import Sandbox
    >>> without("SELECT sqrt(-x) FROM t", Sandbox().cursor())
    'SELECT null_for_nan(sqrt((-(x)))) FROM t'
    """
    tree = json.loads(cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()[0][0])
    if tree["error"]:  # such as EXPLAIN
        return text
    wrapped = [_wrapped(statement, is_within=False) for statement in tree["statements"]]
    if wrapped == tree["statements"]:
        return text
    tree["statements"] = wrapped
    return str(cursor.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()[0][0])


def _wrapped(node: Any, *, is_within: bool) -> Any:
    """Return a part of the tree with what may be NaN in the macro; within arithmetic only the outermost of it is."""
    if isinstance(node, list):
        return [_wrapped(item, is_within=is_within) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") == "FUNCTION" and node["function_name"] in ASKING:
        return node
    is_arithmetic = _is_arithmetic(node)
    is_inside = is_arithmetic if node.get("class") else is_within and "expression" in node
    inner = {key: _wrapped(value, is_within=is_inside) for key, value in node.items()}
    return _in_macro(inner) if (is_arithmetic or _is_aggregate(node)) and not is_within else inner


def _is_arithmetic(node: Node) -> bool:
    if node.get("class") == "CAST":
        return node["type_expr"].get("type_name", "").casefold() in _INEXACT
    return node.get("class") == "FUNCTION" and str(node["function_name"]).casefold() in _ARITHMETIC


def _is_aggregate(node: Node) -> bool:
    return node.get("class") in ("FUNCTION", "WINDOW") and str(node["function_name"]).casefold() in _AGGREGATES


def _in_macro(node: Node) -> Node:
    """Return a call of the macro with this expression, under its alias."""
    argument = {"name": "", "expression": {**node, "alias": ""}}
    return {
        "class": "FUNCTION", "type": "FUNCTION", "alias": node["alias"], "query_location": node["query_location"],
        "query_location_length": node["query_location_length"], "function_name": MACRO, "schema": "", "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []}, "distinct": False, "is_operator": False,
        "export_state": False, "catalog": "", "arguments": [argument], "qualified_name": {"path": [MACRO]},
        "is_legacy_function_call": False,
    }  # fmt: skip
