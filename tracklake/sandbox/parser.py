"""What a SQL text names: its tables, columns and parameters, and the constants that restrict them.

duckdb's own parser reads the text, so that it means here just what it will mean when it is run. All that does more than
read is refused here with a good error; that it cannot be done at all is the part of the connection, which has no right
to write or to open a path.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tracklake.errors import QueryError
from tracklake.sandbox import pushdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tracklake.sandbox.pushdown import Allowed, Node

WAY_OUT = "lake.sql only reads; lake.connect(unsafe=True) gives a duckdb connection that may do anything"
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
_ASKING = {"isnan", "is_nan", "isfinite", "isinf"}
"""Functions that ask whether a number is one."""
_ORDERINGS = {"COMPARE_EQUAL", "COMPARE_LESSTHAN", "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO",
              "COMPARE_GREATERTHANOREQUALTO", "COMPARE_BETWEEN", "COMPARE_IN"}  # fmt: skip
_NULL_TESTS = {"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"}
_DOTTED = {"config", "summary", "quality"}
"""How the names of columns with dots begin, which need no quotes where no table is called so."""
_NOWHERE = 1 << 63


Use = Literal["compared", "compared with text", "asked for NaN", "asked for null", "other"]


class Column(NamedTuple):
    """A reference to a column as written: its parts ("r", "config.lr"), and which bytes of the text it is."""

    parts: tuple[str, ...]
    at: int
    length: int = 0
    use: Use = "other"
    """What is done with its value: a comparison that is not negated, or something that null would take part in."""
    tables: tuple[str, ...] = ()
    """The tables of the innermost FROM to which it may belong."""
    is_dotted: bool = False
    """Whether it is the name of a column with dots, written without quotes."""
    is_qualified: bool = False
    """Whether its first part is a table of the text."""

    def dotted(self) -> Column:
        """Return the column whose name its parts are, with dots between them.

        >>> Column(("loss", "min"), at=7).dotted().parts
        ('loss.min',)
        """
        return self._replace(parts=(".".join(self.parts),), is_dotted=True)

    @property
    def name(self) -> str:
        """The column's own name.

        >>> Column(("r", "config.lr"), at=7).name
        'config.lr'
        """
        return self.parts[-1]


@dataclass
class SqlText:
    """What a text names. Table names are case-folded."""

    text: str
    tables: dict[str, int] = field(default_factory=dict)
    """Tables in FROM that the text does not define itself, and where they stand (bytes)."""
    columns: list[Column] = field(default_factory=list)
    whole: set[str] = field(default_factory=set)
    """Tables of which every column is wanted: SELECT *."""
    patterns: dict[str, int] = field(default_factory=dict)
    """Tables whose columns are chosen by a pattern, and where it stands."""
    instances: list[tuple[str, Allowed]] = field(default_factory=list)
    """Each mention of a table in FROM, with the values that its WHERE allows."""
    shows_all: bool = False
    """Whether it asks which tables there are."""

    def allowed(self, table: str) -> Allowed:
        """Return the values that all mentions of a table together may have.

        >>> mentions = [("history", {"metric": frozenset("a")}), ("history", {"metric": frozenset("b")})]
        >>> sorted(SqlText("", instances=mentions).allowed("history")["metric"])
        ['a', 'b']
        """
        mentions = [allowed for name, allowed in self.instances if name == table]
        return pushdown.either(mentions) if mentions else {}


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
    start = _after_explain(text)
    try:
        tree = json.loads(execute("SELECT json_serialize_sql(?::VARCHAR)", [text[start:]])[0][0])
        if tree["error"]:
            raise _unreadable(text, tree, start)
        if len(tree["statements"]) != 1:
            raise QueryError(f"the text has {len(tree['statements'])} statements; lake.sql takes one")
        reader = _Reader(SqlText(text), params, len(text[:start].encode()))
        reader.visit(tree["statements"][0])
    except RecursionError:
        raise QueryError("the text is nested too deeply: write it as several queries, or WITH parts by name") from None
    return reader.found


def parse_condition(text: str, *, execute: Callable[[str, Sequence[Any]], Any]) -> SqlText:
    """Return what a condition names, places counted in `SELECT 1 WHERE (<text>`; QueryError if it is not just one.

    >>> import duckdb
    >>> parse_condition("lr < 1", execute=lambda q, p: duckdb.execute(q, p).fetchall()).columns[0].parts
    ('lr',)
    """
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
    reader = _Reader(SqlText(select), {}, 0)
    reader.scopes.append([])
    reader.visit(node["where_clause"])
    if reader.found.tables or node["where_clause"].get("class") == "SUBQUERY":
        raise QueryError("it asks for tables; ask lake.sql")
    return reader.found


CONDITION = "SELECT 1 WHERE ("
"""What stands before a condition where it is parsed."""


def _after_explain(text: str) -> int:
    """Return where the statement begins that an EXPLAIN explains, 0 without one: by the tokens that duckdb sees."""
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


def pointing(text: str, at: int) -> str:
    r"""Return the line of the text that holds the byte `at`, with a mark under it; "" for nowhere.

    >>> print(pointing("SELECT x\nFROM nowhere", 14))
    <BLANKLINE>
    LINE 2: FROM nowhere
                 ^
    """
    if not 0 <= at < _NOWHERE:
        return ""
    before = text.encode()[:at].decode(errors="ignore")
    start = before.rfind("\n") + 1
    label = f"LINE {before.count(chr(10)) + 1}: "
    line = text[start:].split("\n", 1)[0]
    return f"\n{label}{line}\n{' ' * (len(label) + len(before) - start)}^"


def refused(what: str, text: str = "", at: int = -1) -> QueryError:
    """Build the error for a text that does more than read.

    >>> print(refused("DELETE"))
    DELETE is refused: lake.sql only reads; lake.connect(unsafe=True) gives a duckdb connection that may do anything
    """
    return QueryError(f"{what} is refused: {WAY_OUT}{pointing(text, at)}")


def _unreadable(text: str, said: Node, start: int) -> QueryError:
    if said.get("error_type") == "parser" and "CTE body" not in said["error_message"]:
        at = len(text[: start + int(said.get("position", -1))].encode()) if "position" in said else -1
        return QueryError(f"SQL: {said['error_message']}{pointing(text, at)}")
    words = re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL).split()
    first = words[0].upper().rstrip(";") if words else "an empty text"
    if first == "PIVOT":
        return QueryError("PIVOT must name its values, so that its columns are known: ON column IN ('a', 'b')")
    return refused("a statement beside the SELECT" if first in ("SELECT", "WITH", "FROM", "VALUES") else first)


class _Reader:
    """Walks the tree of a statement; the scopes are the tables of FROM, innermost last."""

    def __init__(self, found: SqlText, params: Mapping[str, Any], offset: int) -> None:
        self.found = found
        self.params = params
        self.offset = offset
        self.scopes: list[list[Node]] = []
        self.defined: list[set[str]] = []
        self.negations = 0

    def visit(self, node: Any, use: Use = "other") -> None:
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
        if node.get("class") != "FUNCTION":
            return use if node.get("class") is None else "other"
        if node["function_name"] in _ASKING:
            return "asked for NaN"
        return use if node["is_operator"] else "other"

    def _at(self, node: Node) -> int:
        place = int(node.get("query_location", _NOWHERE))
        return place + self.offset if place < _NOWHERE else -1

    def _query(self, node: Node) -> None:
        if node["type"] not in _QUERY_NODES:
            what = node["type"].removesuffix("_NODE").removesuffix("_QUERY")
            raise refused(f"{what} inside a query", self.found.text)
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
            raise refused(f"{kind} in FROM", self.found.text, self._at(node))
        if kind == "TABLE_FUNCTION" and node["function"]["function_name"] not in _TABLE_FUNCTIONS:
            raise refused(f"the function {node['function']['function_name']}()", self.found.text, self._at(node))
        if kind == "SHOW_REF" and node["query"] is None:
            self._show(node)
        if kind == "BASE_TABLE":
            self._base_table(node)
        for name in node.get("using_columns") or ():
            self.found.columns.append(Column((name,), -1))
        if kind == "PIVOT" or node.get("ref_type") in ("NATURAL", "POSITIONAL"):
            self.found.whole.update(_name(table) for table in _direct(node))
        self.visit([value for key, value in node.items() if key != "type"])

    def _show(self, node: Node) -> None:
        if node["show_type"] == "SHOW_SPECIAL":
            self.found.shows_all = True
        else:
            self.found.tables.setdefault(node["table_name"].casefold(), self._at(node))
            self.found.whole.add(node["table_name"].casefold())

    def _base_table(self, node: Node) -> None:
        name = _name(node)
        if node["column_name_alias"]:
            self.found.whole.add(name)
        if not any(name in names for names in self.defined):
            self.found.tables.setdefault(name, self._at(node))

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
        self.found.columns.append(Column(parts, self._at(node), length, use, own, is_dotted, qualified))
        for table in scope:
            if len(parts) == 1 and parts[0].casefold() in (_alias(table), _name(table)):
                self.found.whole.add(_name(table))

    def _star(self, node: Node) -> None:
        tables = self._starred(node)
        if node["columns"] and node["expr"] is not None:
            self.found.patterns.update(dict.fromkeys(tables, self._at(node)))
        else:
            self.found.whole.update(tables)
        self.visit([node["expr"], node["replace_list"]])

    def _starred(self, node: Node) -> list[str]:
        wanted = node["relation_name"].casefold()
        scopes = self.scopes[::-1] if wanted else self.scopes[-1:]
        return [_name(t) for scope in scopes for t in scope if not wanted or wanted in (_alias(t), _name(t))]

    def _refuse_function(self, node: Node) -> None:
        name = str(node.get("function_name", "")).casefold() if node.get("class") == "FUNCTION" else ""
        if name in _NO_FUNCTIONS:
            raise refused(f"the function {name}()", self.found.text, self._at(node))

    def _note_pattern(self, node: Node) -> None:
        """Note `* LIKE '...'`, which chooses columns as COLUMNS('...') does."""
        if node.get("class") == "FUNCTION" and node["is_operator"]:
            for argument in node["arguments"]:
                star = argument["expression"]
                if star.get("class") == "STAR":
                    self.found.patterns.update(dict.fromkeys(self._starred(star), self._at(star)))

    def _restrict(self, node: Node) -> None:
        """Note which values the WHERE of a SELECT allows in each table of its FROM."""
        tables = self.scopes[-1]
        where = node["where_clause"]
        plain = where is not None and _is_plain(node["from_table"])
        for table in tables:
            allowed = pushdown.allowed(where, _alias(table), self.params) if plain else {}
            self.found.instances.append((_name(table), {} if allowed is None else allowed))


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
