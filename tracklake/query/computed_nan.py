"""NaN that an expression of polars computes itself, such as a logarithm of less than 0: it meets no comparison either.

polars takes NaN for greater than every number. What is compared, and may be NaN, is null there instead; texts in SQL
have the same of `sandbox.computed_nan`.
"""

from __future__ import annotations

import io
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMPARISONS = {"Lt", "LtEq", "Gt", "GtEq", "Eq", "NotEq"}
_TESTS = {"IsBetween", "IsIn"}
_PLAIN = {"Column", "Literal"}
"""What computes nothing."""


def without(expression: pl.Expr, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Return the expression with null for each NaN that it would compute and compare.

    >>> frame = pl.DataFrame({"x": [-1.0, 4.0]})
    >>> frame.select(without(pl.col("x").sqrt() > 1, frame.schema)).to_series().to_list()
    [None, True]
    """
    tree = json.loads(expression.meta.serialize(format="json"))
    changed = _wrapped(tree, pl.DataFrame(schema=dict(schema)))
    return expression if changed == tree else _expression(changed)


def _expression(tree: Any) -> pl.Expr:
    return pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")


def _wrapped(tree: Any, empty: pl.DataFrame) -> Any:
    if isinstance(tree, list):
        return [_wrapped(item, empty) for item in tree]
    if not isinstance(tree, dict):
        return tree
    inner = {key: _wrapped(value, empty) for key, value in tree.items() if key != "Literal"} | {
        key: value for key, value in tree.items() if key == "Literal"
    }
    binary, function = inner.get("BinaryExpr"), inner.get("Function")
    if isinstance(binary, dict) and binary.get("op") in _COMPARISONS:
        sides = {side: _null_for_nan(binary[side], empty) for side in ("left", "right")}
        return {"BinaryExpr": binary | sides}
    if isinstance(function, dict) and _is_test(function.get("function")):
        return {"Function": {**function, "input": [_null_for_nan(item, empty) for item in function["input"]]}}
    return inner


def _is_test(kind: Any) -> bool:
    test = kind.get("Boolean") if isinstance(kind, dict) else None
    return isinstance(test, dict) and not _TESTS.isdisjoint(test)


def _null_for_nan(tree: Any, empty: pl.DataFrame) -> Any:
    """Return the part of an expression with null for NaN, if it computes a number that can be NaN."""
    if not isinstance(tree, dict) or not _PLAIN.isdisjoint(tree):
        return tree
    try:
        dtype = empty.select(_expression(tree).alias("x")).to_series().dtype
    except pl.exceptions.PolarsError:  # the whole of it will not do either, and says why
        return tree
    return _filled(json.dumps(tree)) if dtype.is_float() else tree


@cache
def _filled(tree: str) -> Any:
    return json.loads(_expression(json.loads(tree)).fill_nan(None).meta.serialize(format="json"))
