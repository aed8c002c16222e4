"""What a SQL text names: its tables, columns and parameters, and the constants that restrict them.

duckdb's own parser reads the text, so that it means here just what it will mean when it is run. All that does more than
read is refused here with a good error; that it cannot be done at all is the part of the connection, which has no right
to write or to open a path.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tracklake.common import whole_modules
from tracklake.errors import QueryError
from tracklake.query.sandbox.sql_text import SqlText, pointing, refused
from tracklake.query.sandbox.tree_reader import TreeReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracklake.query.sandbox.pushdown import Node


def parse(text: str, *, params: Mapping[str, Any], execute: Callable[[str, Sequence[Any]], Any]) -> SqlText:
    """Return what a text names; QueryError if it is not one statement that reads.

    `execute` runs a statement with parameters in duckdb and returns its rows.

    >>> import duckdb
    >>> engine = duckdb.connect()
    >>> asked = {"params": {}, "execute": lambda text, values: engine.execute(text, values).fetchall()}
    >>> found = parse("SELECT lr FROM runs", **asked)
    >>> found.tables, found.columns[0].parts, found.columns[0].at
    ({'runs': 15}, ('lr',), 7)
    """
    _check_encodable(text)
    start = _after_explain(text)
    try:
        tree = json.loads(execute("SELECT json_serialize_sql(?::VARCHAR)", [text[start:]])[0][0])
        if tree["error"]:
            raise _unreadable(text, tree, start)
        if len(tree["statements"]) != 1:
            raise QueryError(f"the text has {len(tree['statements'])} statements; lake.sql takes one")
        reader = TreeReader(SqlText(text), params, len(text[:start].encode()))
        reader.visit(tree["statements"][0])
    except RecursionError:
        raise QueryError("the text is nested too deeply: write it as several queries, or WITH parts by name") from None
    return reader.sql_text


def _check_encodable(text: str) -> None:
    """Raise QueryError for a text that holds half a surrogate pair, which is no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError(f"{text!r} cannot be SQL: character {error.start} is half a surrogate pair") from None


def parse_condition(text: str, *, execute: Callable[[str, Sequence[Any]], Any]) -> SqlText:
    """Return what a condition names, places counted in `SELECT 1 WHERE (<text>`; QueryError if it is not just one.

    >>> import duckdb
    >>> parse_condition("lr < 1", execute=lambda q, p: duckdb.execute(q, p).fetchall()).columns[0].parts
    ('lr',)
    """
    _check_encodable(text)
    select = f"{CONDITION}{text}\n)"
    tree = json.loads(execute("SELECT json_serialize_sql(?::VARCHAR)", [select])[0][0])
    if tree["error"]:
        raise QueryError(f"{tree['error_message']}")
    node = tree["statements"][0]["node"] if len(tree["statements"]) == 1 else {}
    if not node or not text.strip():
        raise QueryError("it is not one condition")
    is_one = node["type"] == "SELECT_NODE" and not node["modifiers"] and not node["group_expressions"]
    if not is_one or any(node[part] is not None for part in ("having", "qualify", "sample")):
        raise QueryError("it is not one condition")
    reader = TreeReader(SqlText(select), {}, 0)
    reader.scopes.append([])
    reader.visit(node["where_clause"])
    if reader.sql_text.tables or node["where_clause"].get("class") == "SUBQUERY":
        raise QueryError("it asks for tables; ask lake.sql")
    if reader.sql_text.has_windows:
        raise QueryError("it looks at many rows at once; ask lake.sql")
    return reader.sql_text


CONDITION = "SELECT 1 WHERE ("
"""What stands before a condition where it is parsed."""


def _after_explain(text: str) -> int:
    """Return where the statement begins that an EXPLAIN explains, 0 without one: by the tokens that duckdb sees."""
    whole_modules.load("duckdb")
    import duckdb

    tokens = duckdb.tokenize(text)
    stored = text.encode()
    ends = [*(at for at, _ in tokens[1:]), len(stored)][: len(tokens)]
    words, starts = [], []
    for (start, kind), end in zip(tokens, ends, strict=True):
        if kind != duckdb.token_type.comment:
            starts.append(len(stored[:start].decode(errors="ignore")))
            words.append(stored[start:end].decode(errors="ignore").strip().upper())
    at = 0
    if words[:1] != ["EXPLAIN"]:
        return 0
    at = 1 + (words[1:2] == ["ANALYZE"])
    if words[at : at + 1] == ["("]:
        at = words.index(")", at) + 1 if ")" in words[at:] else at
    return starts[at] if at < len(starts) else len(text)


def _unreadable(text: str, error: Node, start: int) -> QueryError:
    if error.get("error_type") == "parser" and "CTE body" not in error["error_message"]:
        at = len(text[: start + int(error.get("position", -1))].encode()) if "position" in error else -1
        return QueryError(f"SQL: {error['error_message']}{pointing(text, at)}")
    words = re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL).split()
    first = words[0].upper().rstrip(";") if words else "an empty text"
    if first == "PIVOT":
        return QueryError("PIVOT must name its values, so that its columns are known: ON column IN ('a', 'b')")
    return refused("a statement beside the SELECT" if first in ("SELECT", "WITH", "FROM", "VALUES") else first)
