"""Conditions over the columns of the runs: what `where=` and `order_by=` say, in SQL or as a polars expression.

A text is duckdb's SQL, as in `lake.sql`, and means the same there. NaN satisfies no comparison and wins no order: a
condition sees null where it is, and `isnan(...)` asks for it. A naive time is UTC.
"""

from __future__ import annotations

import io
import json
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import whole_modules
from tracklake.errors import QueryError
from tracklake.query import computed_nan
from tracklake.query.sandbox import messages, parser, results, rewriting
from tracklake.query.sandbox.connection import Sandbox, beside, fetched
from tracklake.query.sandbox.limits import Limits
from tracklake.query.sandbox.sql_text import Column
from tracklake.query.text_columns import TextColumns, refuse_mixed, without_nan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracklake.query.column_names import ColumnNames
    from tracklake.query.sandbox.sql_text import SqlText
    from tracklake.query.text_columns import Names

    Build = Callable[[Sequence[str]], pl.DataFrame]
    """Gives the columns of these names for the runs in question."""

QUOTES = (
    """names stand in double quotes and texts in single ones: "summary.val/loss.min" < 0.1 AND state = 'finished'"""
)
_ROW = "row of the run"
_MANY = "it looks at many rows at once; ask lake.sql"
_AS_LOGGED = " (as logged)"
_ASKS_FOR_NAN = ("IsNan", "IsNotNan", "IsFinite", "IsInfinite")
_ASKS_FOR_NULL = ("IsNull", "IsNotNull")
_ORDERINGS = {"Lt", "LtEq", "Gt", "GtEq", "Eq"}
_RANGES = {"IsBetween", "IsIn"}
"""Comparisons of polars that what is null does not meet."""


@lru_cache(maxsize=8)
def sandbox(limits: Limits) -> Sandbox:
    """Return the engine of this process that conditions are asked in within some limits.

    >>> sandbox(Limits.of()) is sandbox(Limits.of()), sandbox(Limits.of(seconds=1)) is sandbox(Limits.of(seconds=2))
    (True, False)
    """
    return Sandbox(limits)


def holds(where: pl.Expr | str, *, names: ColumnNames, build: Build, limits: Limits | None = None) -> pl.Series:
    """Return of each run whether the condition holds. Raises QueryError, and UnknownNameError with the nearest column.

    `limits` are those of a text, by default those of the environment.

    >>> table = example()._view.runs
    >>> build = lambda names: table.select(wanted=names)
    >>> holds("lr > 0.05", names=table.names, build=build).to_list()
    [False, True]
    """
    if isinstance(where, str):
        text, label = where, f"where={where!r}"
        series = _of_text(text, label=label, names=names, build=build, limits=limits, is_condition=True)
    else:
        series = _of_expression(where, names=names, build=build)
    return series.fill_null(value=False)


def order(text: str, *, names: ColumnNames, build: Build, limits: Limits | None = None) -> pl.Series:
    """Return of each run the value of an expression in SQL by which runs are ordered.

    >>> table = example()._view.runs
    >>> order("-lr", names=table.names, build=lambda names: table.select(wanted=names)).to_list()
    [-0.01, -0.1]
    """
    return _of_text(text, label=f"order_by={text!r}", names=names, build=build, limits=limits, is_condition=False)


def computed(text: str, *, label: str, names: Names, build: Build) -> pl.Series:
    """Return the value of an expression in SQL for each row that `build` gives; `label` is what errors call it.

    Of a column of mixed kinds it reads the numbers.

    >>> table = example()._view.runs
    >>> computed("lr * 2", label="x", names=table.names, build=lambda names: table.select(wanted=names)).to_list()
    [0.02, 0.2]
    """
    return _of_text(text, label=label, names=names, build=build, is_condition=False, numbers_of_mixed=True)


# Texts


def _of_text(
    text: str,
    *,
    label: str,
    names: Names,
    build: Build,
    is_condition: bool,
    limits: Limits | None = None,
    numbers_of_mixed: bool = False,
) -> pl.Series:
    engine = sandbox(limits or Limits.of())
    sql = parsed(text, label)
    if is_condition and "'" in text and not sql.columns:  # plain constants, such as true, are what programs write
        raise QueryError(f"{label} names no column; {QUOTES}")
    columns = TextColumns(sql, names, label=f"In {label}, {QUOTES}", numbers_of_mixed=numbers_of_mixed)
    frame = columns.frame(build(["run_id", *columns.wanted]))
    value = without_frame(rewriting.applied(sql.text, columns.edits(frame)))
    cursor = engine.cursor()
    try:
        beside(cursor, partial(cursor.register, "runs_in_question", _Registered(frame.with_row_index(_ROW))))
        select = f'SELECT ({value}\n) AS value FROM runs_in_question ORDER BY "{_ROW}"'  # noqa: S608 - one expression
        values = _run(engine, cursor, select, label, columns, frame)
    finally:
        engine.release(cursor)
    if len(values) != frame.height:
        raise QueryError(f"{label} cannot be answered: {_MANY}")
    if is_condition and values.dtype not in (pl.Boolean, pl.Null):
        raise QueryError(f"{label} cannot be answered: it is {values.dtype}, not true or false")
    return values


def parsed(text: str, label: str) -> SqlText:
    """Return what a condition or an expression names; QueryError, which calls it `label`, if it is none.

    >>> parsed("lr < 1", "where='lr < 1'").columns[0].parts
    ('lr',)
    """
    engine = sandbox(Limits.of())
    cursor = engine.cursor()
    try:
        return parser.parse_condition(text, execute=partial(fetched, cursor))
    except QueryError as error:
        reason = str(error).partition("\nLINE")[0]
        what = "condition" if label.startswith("where") else "expression"
        raise QueryError(f"{label} is no {what} in SQL: {reason}; {QUOTES}") from None
    finally:
        engine.release(cursor)


def without_frame(text: str) -> str:
    """Return an expression without what stands around it where it is parsed.

    >>> without_frame(parsed("lr < 1", "").text)
    'lr < 1'
    """
    return text.removeprefix(parser.CONDITION).removesuffix("\n)")


def _run(engine: Sandbox, cursor: Any, select: str, label: str, columns: TextColumns, frame: pl.DataFrame) -> pl.Series:
    whole_modules.load("duckdb")
    import duckdb

    try:
        return results.rows_of(engine, cursor, select, {})["value"]
    except duckdb.OutOfMemoryException:
        raise QueryError(results.over_memory(engine.limits)) from None
    except duckdb.Error as error:
        if _ROW in str(error) or "must appear in the GROUP BY" in str(error):
            raise QueryError(f"{label} cannot be answered: {_MANY}") from None
        message = columns.spelled(messages.in_our_words(str(error)).partition("\nLINE")[0])
        types = ", ".join(f"{name} is {dtype}" for name, dtype in columns.types(frame).items())
        raise QueryError(f"{label} cannot be answered: {message}{types and f' ({types})'}") from None


class _Registered:
    """A frame as duckdb reads it, without pyarrow: to import that takes longer than most questions."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_schema__(self) -> object:
        return self._frame.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


# Expressions of polars


def _of_expression(expression: pl.Expr, *, names: ColumnNames, build: Build) -> pl.Series:
    spelled = list(dict.fromkeys(expression.meta.root_names()))
    full = {name: names.resolve(name).name for name in spelled}
    built = build(["run_id", *dict.fromkeys(full.values())])
    logged = [built[full[name]].alias(name) for name in spelled]
    mixed = {name: names.text_part(full[name], built) for name in spelled}
    frame = pl.DataFrame(
        [
            built["run_id"].alias(" run_id"),
            *(without_nan(series) for series in logged),
            *(_any_kind(series, built, mixed[series.name]).alias(series.name + _AS_LOGGED) for series in logged),
        ]
    )
    texts = {name: text for name in spelled if (text := mixed[name]) and text not in spelled}
    _refuse_mixed(json.loads(expression.meta.serialize(format="json")), texts)
    condition = _asking_what_was_logged(expression, spelled, {name for name in spelled if mixed[name]})
    try:
        mask = frame.select(computed_nan.without(condition, frame.schema).alias(" holds")).to_series()
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        types = ", ".join(f"{series.name} is {series.dtype}" for series in logged)
        raise QueryError(f"where={expression} cannot be answered: {reason}{types and f' ({types})'}") from error
    if mask.dtype not in (pl.Boolean, pl.Null):
        raise QueryError(f"where={expression} cannot be answered: it is {mask.dtype}, not true or false")
    return mask.new_from_index(0, frame.height) if len(mask) == 1 < frame.height else mask


def _refuse_mixed(tree: Any, texts: dict[str, str]) -> None:
    """Refuse what would take the texts of a mixed column for absent: all but a comparison, and what asks for null."""
    if isinstance(tree, list):
        for item in tree:
            _refuse_mixed(item, texts)
    if not isinstance(tree, dict):
        return
    name = tree.get("Column")
    if isinstance(name, str) and name in texts:
        raise refuse_mixed(Column((name,), -1), name, texts[name], sql="")
    operands = _compared(tree)
    if operands is None:
        _refuse_mixed([value for key, value in tree.items() if key != "Literal"], texts)
    else:
        _refuse_mixed([item for item in operands if not (isinstance(item, dict) and "Column" in item)], texts)


def _compared(tree: dict[str, Any]) -> list[Any] | None:
    """Return what a part of an expression compares, or asks for null or NaN; None for what does neither."""
    binary, function = tree.get("BinaryExpr"), tree.get("Function")
    if isinstance(binary, dict) and binary.get("op") in _ORDERINGS:
        return [binary["left"], binary["right"]]
    kind = function.get("function") if isinstance(function, dict) else None
    test = kind.get("Boolean") if isinstance(kind, dict) else None
    is_range = isinstance(test, dict) and not _RANGES.isdisjoint(test)
    if isinstance(function, dict) and (is_range or test in (*_ASKS_FOR_NAN, *_ASKS_FOR_NULL)):
        return list(function["input"])
    return None


def _any_kind(series: pl.Series, built: pl.DataFrame, text: str | None) -> pl.Series:
    """Return the values as they were logged; of mixed kinds as texts, so that only what is absent is null."""
    if text is None:
        return series
    return pl.select(pl.coalesce(pl.lit(series).cast(pl.String), pl.lit(built[text]))).to_series()


def _asking_what_was_logged(expression: pl.Expr, spelled: Sequence[str], mixed: set[str]) -> pl.Expr:
    """Let what asks for NaN, or of a mixed column for null, look at the values as logged; and make naive times UTC."""
    text = expression.meta.serialize(format="json")
    tree = json.loads(text)
    changed = _rewritten(tree, set(spelled), mixed)
    if changed == tree:
        return expression
    return pl.Expr.deserialize(io.StringIO(json.dumps(changed)), format="json")


def _rewritten(tree: Any, spelled: set[str], mixed: set[str]) -> Any:
    if isinstance(tree, list):
        return [_rewritten(item, spelled, mixed) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if (moment := tree.get("Datetime")) and isinstance(moment, list) and len(moment) == 3 and moment[2] is None:  # noqa: PLR2004 - value, unit, zone
        return {"Datetime": [*moment[:2], {"inner": "UTC"}]}
    function = tree.get("Function")
    if isinstance(function, dict) and isinstance(kind := function.get("function"), dict):
        test = kind.get("Boolean")
        at_logged = spelled if test in _ASKS_FOR_NAN else mixed if test in _ASKS_FOR_NULL else set()
        inputs = [_logged(item, at_logged) for item in function["input"]]
        return {"Function": {**function, "input": [_rewritten(item, spelled, mixed) for item in inputs]}}
    return {key: _rewritten(value, spelled, mixed) for key, value in tree.items()}


def _logged(node: Any, names: set[str]) -> Any:
    """Return what a test looks at, a column or arithmetic with some, with the values as logged of these columns."""
    if not isinstance(node, dict):
        return node
    name, binary = node.get("Column"), node.get("BinaryExpr")
    if isinstance(binary, dict):
        return {"BinaryExpr": binary | {side: _logged(binary[side], names) for side in ("left", "right")}}
    return {"Column": name + _AS_LOGGED} if isinstance(name, str) and name in names else node
