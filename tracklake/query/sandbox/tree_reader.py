"""Reading duckdb's own tree of a statement: which tables and columns it names, and what it does that no reader may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.query.sandbox import pushdown
from tracklake.query.sandbox.bounded_functions import MOST
from tracklake.query.sandbox.computed_nan import ASKING
from tracklake.query.sandbox.sql_text import NOWHERE, Column, SqlText, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklake.query.sandbox.pushdown import Node
    from tracklake.query.sandbox.sql_text import Use

_QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_TABLE_REFS = {
    "BASE_TABLE",
    "SUBQUERY",
    "JOIN",
    "TABLE_FUNCTION",
    "EMPTY",
    "EXPRESSION_LIST",
    "PIVOT",
    "SHOW_REF",
    "COLUMN_DATA",
}
_TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
"""summary() is not among them: over a table of a caller it never ends, and does not hear that it should."""
_NO_FUNCTIONS = {
    *("current_setting", "getenv", "getvariable", "which_secret"),  # what is set around the connection
    *("json_execute_serialized_sql", "json_serialize_plan"),  # they read a text of their own
    *("nextval", "write_log"),  # they leave something behind
}
_PLAIN_JOINS = {"REGULAR", "CROSS", "NATURAL"}
_WIDENING = {"INNER", "LEFT", "RIGHT", "OUTER"}
"""Joins of which a condition on one table's columns may be put before the join."""
_ORDERINGS = {"COMPARE_EQUAL", "COMPARE_LESSTHAN", "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO",
              "COMPARE_GREATERTHANOREQUALTO", "COMPARE_BETWEEN", "COMPARE_IN"}  # fmt: skip
_OF_LISTS = ("list_", "array_")
"""How the names of functions of lists begin."""
_ELEMENTS = {"len", "contains", "unnest", "ARRAY_EXTRACT", "ARRAY_SLICE"}
"""Others, and what looks at elements by their places."""
_NULL_TESTS = {"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"}
_DOTTED = {"config", "summary", "quality"}
"""How the names of columns with dots begin, which need no quotes where no table is called so."""


class TreeReader:
    """Walks the tree of a statement; the scopes are the tables of FROM, innermost last."""

    def __init__(self, sql_text: SqlText, params: Mapping[str, Any], offset: int) -> None:
        self.sql_text = sql_text
        self.params = params
        self.offset = offset
        self.scopes: list[list[Node]] = []
        self.defined: list[set[str]] = []
        self.negations = 0

    def visit(self, node: Any, use: Use = "other") -> None:
        """Note what a part of the tree names, and refuse what does more than read.

        >>> reader = TreeReader(SqlText("x"), {}, 0)
        >>> reader.visit({"class": "COLUMN_REF", "column_names": ["x"], "query_location": 0})
        >>> reader.sql_text.columns[0].parts
        ('x',)
        """
        if isinstance(node, list):
            for item in node:
                self.visit(item, use)
        elif isinstance(node, dict):
            if "modifiers" in node and "cte_map" in node:
                self._query(node)
            elif "sample" in node:
                self._table_ref(node)
            elif node.get("class") == "COLUMN_REF":
                self._column(node, use)
            elif node.get("class") == "STAR":
                self._star(node)
            else:
                self.sql_text.has_windows |= node.get("class") == "WINDOW"
                self._refuse_function(node)
                self._note_pattern(node)
                self._operands(node, use)

    def _operands(self, node: Node, use: Use) -> None:
        """Visit what an expression is made of, with what it does to it."""
        kind = node.get("type")
        self.negations += kind == "OPERATOR_NOT"
        self.visit(list(node.values()), self._use_within(node, use))
        self.negations -= kind == "OPERATOR_NOT"

    def _use_within(self, node: Node, use: Use) -> Use:
        kind = node.get("type")
        if kind in _NULL_TESTS:
            return "asked for null"
        if kind in _ORDERINGS:
            texts = [side for side in node.values() if isinstance(side, dict) and _is_text(side)]
            return "other" if self.negations else "compared with text" if texts else "compared"
        if _looks_into_lists(node):
            return "asked for elements"
        if node.get("class") != "FUNCTION":
            return use if node.get("class") is None else "other"
        if node["function_name"] in ASKING:
            return "asked for NaN"
        return use if node["is_operator"] else "other"

    def _at(self, node: Node) -> int:
        place = int(node.get("query_location", NOWHERE))
        return place + self.offset if place < NOWHERE else -1

    def _query(self, node: Node) -> None:
        if node["type"] not in _QUERY_NODES:
            what = node["type"].removesuffix("_NODE").removesuffix("_QUERY")
            raise refused(f"{what} inside a query", self.sql_text.text)
        self.defined.append(_recursive(node))
        for entry in node["cte_map"]["map"]:  # a query sees those that stand before it
            self.visit(entry["value"])
            self.defined[-1].add(entry["key"].casefold())
        select = node["type"] == "SELECT_NODE"
        if select:
            self.scopes.append(list(_direct(node["from_table"])))
            self._restrict(node)
        self.visit([value for key, value in node.items() if key not in ("type", "cte_map")])
        if select:
            self.scopes.pop()
        self.defined.pop()

    def _table_ref(self, node: Node) -> None:
        kind = node["type"]
        if kind not in _TABLE_REFS:
            raise refused(f"{kind} in FROM", self.sql_text.text, self._at(node))
        if kind == "TABLE_FUNCTION" and node["function"]["function_name"] not in _TABLE_FUNCTIONS:
            raise refused(f"the function {node['function']['function_name']}()", self.sql_text.text, self._at(node))
        if kind == "SHOW_REF" and node["query"] is None:
            self._show(node)
        if kind == "BASE_TABLE":
            self._base_table(node)
        for name in node.get("using_columns") or ():
            self.sql_text.columns.append(Column((name,), -1))
        if kind == "PIVOT" or node.get("ref_type") in ("NATURAL", "POSITIONAL"):
            self.sql_text.whole.update(_name(table) for table in _direct(node))
        self.visit([value for key, value in node.items() if key != "type"])

    def _show(self, node: Node) -> None:
        if node["show_type"] == "SHOW_SPECIAL":
            self.sql_text.shows_all = True
        else:
            self.sql_text.tables.setdefault(node["table_name"].casefold(), self._at(node))
            self.sql_text.whole.add(node["table_name"].casefold())

    def _base_table(self, node: Node) -> None:
        name = _name(node)
        if node["column_name_alias"]:
            self.sql_text.whole.add(name)
        if not any(name in names for names in self.defined):
            self.sql_text.tables.setdefault(name, self._at(node))

    def _column(self, node: Node, use: Use) -> None:
        parts, is_dotted = tuple(node["column_names"]), False
        scope = self.scopes[-1] if self.scopes else []
        tables = [t for scope in self.scopes for t in scope]
        qualified = any(parts[0].casefold() in (_alias(t), _name(t)) for t in tables)
        if len(parts) > 1 and parts[0] in _DOTTED and not qualified:
            parts, is_dotted = (".".join(parts),), True
        owners = [t for t in scope if len(parts) == 1 or parts[-2].casefold() in (_alias(t), _name(t))]
        own = tuple(_name(t) for t in owners if not any(_name(t) in names for names in self.defined))
        length = int(node.get("query_location_length", 0))
        self.sql_text.columns.append(Column(parts, self._at(node), length, use, own, is_dotted, qualified))
        for table in scope:
            if len(parts) == 1 and parts[0].casefold() in (_alias(table), _name(table)):
                self.sql_text.whole.add(_name(table))

    def _star(self, node: Node) -> None:
        tables = self._starred(node)
        if node["columns"] and node["expr"] is not None:
            self.sql_text.patterns.update(dict.fromkeys(tables, self._at(node)))
        else:
            self.sql_text.whole.update(tables)
        self.visit([node["expr"], node["replace_list"]])

    def _starred(self, node: Node) -> list[str]:
        wanted = node["relation_name"].casefold()
        scopes = self.scopes[::-1] if wanted else self.scopes[-1:]
        return [_name(t) for scope in scopes for t in scope if not wanted or wanted in (_alias(t), _name(t))]

    def _refuse_function(self, node: Node) -> None:
        name = str(node.get("function_name", "")).casefold() if node.get("class") == "FUNCTION" else ""
        is_unbounded = name in MOST and (node.get("schema") or node.get("catalog"))
        if name in _NO_FUNCTIONS or is_unbounded:
            raise refused(f"the function {name}()", self.sql_text.text, self._at(node))

    def _note_pattern(self, node: Node) -> None:
        """Note `* LIKE '...'`, which chooses columns as COLUMNS('...') does."""
        if node.get("class") == "FUNCTION" and node["is_operator"]:
            for argument in node["arguments"]:
                star = argument["expression"]
                if star.get("class") == "STAR":
                    self.sql_text.patterns.update(dict.fromkeys(self._starred(star), self._at(star)))

    def _restrict(self, node: Node) -> None:
        """Note which values the WHERE of a SELECT allows in each table of its FROM."""
        tables = self.scopes[-1]
        where = node["where_clause"]
        plain = where is not None and _is_plain(node["from_table"])
        for table in tables:
            allowed = pushdown.allowed(where, _alias(table), self.params) if plain else {}
            self.sql_text.instances.append((_name(table), {} if allowed is None else allowed))


def _looks_into_lists(node: Node) -> bool:
    name = str(node["function_name"]) if node.get("class") == "FUNCTION" else str(node.get("type"))
    return name in _ELEMENTS or name.startswith(_OF_LISTS)


def _is_text(node: Node) -> bool:
    return node.get("type") == "VALUE_CONSTANT" and node["literal"]["kind"] == "STRING"


def _direct(node: Node) -> Iterator[Node]:
    """Yield the base tables of a FROM clause, not those of queries inside it."""
    if node["type"] == "BASE_TABLE":
        yield node
    elif node["type"] == "JOIN":
        yield from _direct(node["left"])
        yield from _direct(node["right"])
    elif node["type"] == "PIVOT":
        yield from _direct(node["source"])


def _is_plain(node: Node) -> bool:
    """Tell whether the rows that a WHERE refuses may be left out before the joins of this FROM."""
    kind: str = node["type"]
    if kind != "JOIN":
        return kind != "PIVOT"
    if node["ref_type"] not in _PLAIN_JOINS or node["join_type"] not in _WIDENING:
        return False
    return _is_plain(node["left"]) and _is_plain(node["right"])


def _name(table: Node) -> str:
    return str(table["table_name"]).casefold()


def _alias(table: Node) -> str:
    return str(table["alias"] or table["table_name"]).casefold()


def _recursive(node: Node) -> set[str]:
    return {str(node[key]).casefold() for key in ("cte_name", "ctename") if node.get(key)}
