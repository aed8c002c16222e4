"""What sessions say other than rows, as two flat frames: one row a journal file, and one row a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import SESSIONS, STATEMENT
from tracklake.schema.values import store_exact
from tracklake.storage.journal.reader import Item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.storage.journal.reader import Tail

FILES = {name: dtype for name, dtype in SESSIONS.items() if name != "statements"}
"""One row a (run, session, journal file)."""
STATEMENTS = {"run_id": pl.String, "session": pl.Int64, "n": pl.Int32, **STATEMENT}
"""One row a statement, in the order in which a file holds them."""
_OWNER = ["run_id", "session", "n"]

_NO_FACTS = {"op", "format", "n", "run", "project", "session", "start", "step"}
"""Parts of a header that have columns of their own or matter only to the journal."""


class Part(NamedTuple):
    """What one journal file adds beyond a mark: its header, and the tail read up to `through`."""

    header: dict[str, Any]
    n: int
    tail: Tail
    through: int
    complete: bool


class Said(NamedTuple):
    """The sessions of some parts: `files` (schema FILES) and `statements` (schema STATEMENTS)."""

    files: pl.DataFrame
    statements: pl.DataFrame


def of_parts(parts: Sequence[Part]) -> Said:
    """Return the two frames of journal parts, sorted by run, session and file.

    >>> from tracklake.storage.journal.reader import Tail
    >>> header = {"run": "a", "project": "p", "session": 1, "start": 7, "node": "host1"}
    >>> said = of_parts([Part(header, n=0, tail=Tail(), through=900, complete=False)])
    >>> said.files.select("run_id", "sealed_through").row(0), said.statements.select("op", "key", "text").row(0)
    (('a', 900), ('session', 'node', 'host1'))
    """
    files = [_file_row(part) for part in parts]
    rows = [
        (part.header["run"], part.header["session"], part.n, *_plain(item))
        for part in parts
        for item in (*_facts(part.header), *part.tail.items)
    ]
    statements = pl.DataFrame(rows, schema={**STATEMENTS, "ts": pl.Int64}, orient="row")
    return Said(
        _stamped(pl.DataFrame(files, schema={**FILES, "start": pl.Int64, "last": pl.Int64}, orient="row")).sort(_OWNER),
        _stamped(statements).sort(_OWNER, maintain_order=True),
    )


def concat(parts: Sequence[Said]) -> Said:
    """Return one pair of frames for many.

    >>> concat([]).statements.columns
    ['run_id', 'session', 'n', 'ts', 'op', 'key', 'value', 'ival', 'text', 'kind']
    """
    return Said(
        pl.concat([pl.DataFrame(schema=FILES), *(p.files for p in parts)]),
        pl.concat([pl.DataFrame(schema=STATEMENTS), *(p.statements for p in parts)]),
    )


def nest(said: Said) -> pl.DataFrame:
    """Return the stored form (schema SESSIONS): each file's statements as a list.

    >>> from tracklake.storage.journal.reader import Tail
    >>> header = {"run": "a", "project": "p", "session": 1, "start": 7, "node": "host1"}
    >>> nest(of_parts([Part(header, n=0, tail=Tail(), through=900, complete=False)]))["statements"].list.len().to_list()
    [1]
    """
    lists = said.statements.group_by(_OWNER).agg(pl.struct(list(STATEMENT)).alias("statements"))
    empty = pl.lit([], dtype=SESSIONS["statements"])
    nested = said.files.join(lists, on=_OWNER, how="left").with_columns(pl.col("statements").fill_null(empty))
    return nested.select(list(SESSIONS)).sort(_OWNER)


def unnest(stored: pl.DataFrame) -> Said:
    """Return the flat frames of the stored form; the inverse of `nest`.

    >>> from tracklake.storage.journal.reader import Tail
    >>> header = {"run": "a", "project": "p", "session": 1, "start": 7, "node": "host1"}
    >>> said = of_parts([Part(header, n=0, tail=Tail(), through=900, complete=False)])
    >>> unnest(nest(said)).statements.equals(said.statements)
    True
    """
    lists = stored.select([*_OWNER, "statements"]).filter(pl.col("statements").list.len() > 0)
    flat = lists.explode("statements").unnest("statements")
    return Said(stored.select(list(FILES)), flat.select(pl.col(c).cast(t) for c, t in STATEMENTS.items()))


def in_order(statements: pl.DataFrame, *kinds: StatementKind, run_id: str | None = None) -> pl.DataFrame:
    """Return the statements of these kinds, of all runs or of one, in the order of their stamps (ts, session).

    >>> rows = [("a", 1, 0, ts, "field", "notes", None, None, text, 3) for ts, text in ((9, "new"), (4, "old"))]
    >>> statements = pl.DataFrame(rows, schema=STATEMENTS, orient="row")
    >>> in_order(statements, StatementKind.FIELD, run_id="a")["text"].to_list()
    ['old', 'new']
    """
    chosen = statements.filter(pl.col("op").is_in(kinds))
    if run_id is not None:
        chosen = chosen.filter(pl.col("run_id") == run_id)
    return chosen.sort("ts", "session", maintain_order=True)


def _file_row(part: Part) -> tuple[object, ...]:
    header = part.header
    last = max(part.tail.last, header["start"])
    return (
        header["project"],
        header["run"],
        header["session"],
        part.n,
        part.through,
        part.complete,
        header["start"],
        last,
    )


def _facts(header: dict[str, Any]) -> list[Item]:
    """Return what the header tells of its session as statements, stamped with the session's beginning."""
    facts = [(key, value) for key, value in header.items() if key not in _NO_FACTS and value is not None]
    return [Item(header["start"], StatementKind.SESSION, key, store_exact(value, name=key)) for key, value in facts]


def _plain(item: Item) -> tuple[object, ...]:
    stored = item.stored
    return (item.stamp, item.op, item.key, stored.value, stored.ival, stored.text, stored.kind)


def _stamped(frame: pl.DataFrame) -> pl.DataFrame:
    stamps = [name for name in ("ts", "start", "last") if name in frame.columns]
    return frame.with_columns(pl.col(stamps).cast(STATEMENT["ts"]))
