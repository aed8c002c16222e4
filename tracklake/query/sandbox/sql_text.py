"""What a SQL text names, as a value: its tables and columns with their places, and the errors that point at one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from tracklake.errors import QueryError
from tracklake.query.sandbox import pushdown

if TYPE_CHECKING:
    from tracklake.query.sandbox.pushdown import Allowed

WAY_OUT = "lake.sql only reads; lake.connect(unsafe=True) gives a duckdb connection that may do anything"
NOWHERE = 1 << 63
"""The place of what stands nowhere in a text."""

Use = Literal["compared", "compared with text", "asked for NaN", "asked for null", "asked for elements", "other"]


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

    @property
    def spelled(self) -> str:
        """Its parts with dots between them, as a column of runs may be written without quotes.

        >>> Column(("loss", "min"), at=7).spelled
        'loss.min'
        """
        return ".".join(self.parts)


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
    has_windows: bool = False
    """Whether a value in it depends on more rows than its own: OVER (...)."""
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


def pointing(text: str, at: int) -> str:
    r"""Return the line of the text that holds the byte `at`, with a mark under it; "" for nowhere.

    >>> print(pointing("SELECT x\nFROM nowhere", 14))
    <BLANKLINE>
    LINE 2: FROM nowhere
                 ^
    """
    if not 0 <= at < NOWHERE:
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
