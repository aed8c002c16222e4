"""The records of sessions other than rows, as two flat frames: one row a journal file, and one row a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import SESSIONS, STATEMENT
from tracklake.schema.values import store_exact
from tracklake.storage import journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.storage.journal.reader import Item, JournalRecords

FILES = {
    name: SESSIONS[name]
    for name in ("project", "run_id", "session", "n", "sealed_through", "complete", "start", "last")
}
"""One row a (run, session, journal file)."""
STATEMENTS = {"run_id": pl.String, "session": pl.Int64, "n": pl.Int32, **STATEMENT}
"""One row a statement, in the order in which a file holds them."""
_OWNER = ["run_id", "session", "n"]

_NO_FACTS = {"op", "format", "n", "run", "project", "session", "start", "step"}
"""Parts of a header that have columns of their own or matter only to the journal."""


class JournalSlice(NamedTuple):
    """The records of one journal file beyond a watermark: its header, and what was read up to byte `through`."""

    header: dict[str, Any]
    n: int
    records: JournalRecords
    through: int
    complete: bool


class SessionRecords(NamedTuple):
    """The sessions of some slices: `files` (schema FILES) and `statements` (schema STATEMENTS)."""

    files: pl.DataFrame
    statements: pl.DataFrame


def of_slices(slices: Sequence[JournalSlice]) -> SessionRecords:
    """Return the two frames of journal slices, sorted by run, session and file.

    >>> from tracklake.storage.journal.reader import JournalRecords
    >>> header = {"run": "a", "project": "p", "session": 1, "start": 7, "node": "host1"}
    >>> records = of_slices([JournalSlice(header, n=0, records=JournalRecords(), through=900, complete=False)])
    >>> records.files.select("run_id", "sealed_through").row(0), records.statements.select("op", "key", "text").row(0)
    (('a', 900), ('session', 'node', 'host1'))
    """
    files = [_file_row(journal_slice) for journal_slice in slices]
    rows = [
        (journal_slice.header["run"], journal_slice.header["session"], journal_slice.n, *_plain(item))
        for journal_slice in slices
        for item in (*_facts(journal_slice.header), *journal_slice.records.items)
    ]
    statements = pl.DataFrame(rows, schema={**STATEMENTS, "ts": pl.Int64}, orient="row")
    return SessionRecords(
        _stamped(pl.DataFrame(files, schema={**FILES, "start": pl.Int64, "last": pl.Int64}, orient="row")).sort(_OWNER),
        _stamped(statements).sort(_OWNER, maintain_order=True),
    )


def concat(records: Sequence[SessionRecords]) -> SessionRecords:
    """Return one pair of frames for many.

    >>> concat([]).statements.columns
    ['run_id', 'session', 'n', 'ts', 'op', 'key', 'value', 'ival', 'text', 'kind']
    """
    return SessionRecords(
        pl.concat([pl.DataFrame(schema=FILES), *(r.files for r in records)]),
        pl.concat([pl.DataFrame(schema=STATEMENTS), *(r.statements for r in records)]),
    )


def to_rows(records: SessionRecords) -> pl.DataFrame:
    """Return the stored form (schema SESSIONS): a row a journal file and a row a statement, by kind and key.

    >>> from tracklake.storage.journal.reader import JournalRecords
    >>> header = {"run": "a", "project": "p", "session": 1, "start": 7, "node": "host1"}
    >>> records = of_slices([JournalSlice(header, n=0, records=JournalRecords(), through=900, complete=False)])
    >>> to_rows(records).select("op", "key", "text", "sealed_through").rows()
    [('header', '', None, 900), ('session', 'node', 'host1', None)]
    """
    headers = records.files.sort(_OWNER).with_columns(
        pl.lit(str(StatementKind.HEADER)).alias("op"), pl.lit("").alias("key"), pl.lit(0, pl.Int64).alias("place")
    )
    lines = records.statements.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("place"))
    rows = pl.concat([headers, lines], how="diagonal").select(list(SESSIONS))
    return rows.sort("op", "key", maintain_order=True)


def from_rows(rows: pl.DataFrame) -> SessionRecords:
    """Return the two frames of the stored form; the inverse of `to_rows`.

    >>> from tracklake.storage.journal.reader import JournalRecords
    >>> header = {"run": "a", "project": "p", "session": 1, "start": 7, "node": "host1"}
    >>> records = of_slices([JournalSlice(header, n=0, records=JournalRecords(), through=900, complete=False)])
    >>> from_rows(to_rows(records)).statements.equals(records.statements)
    True
    """
    is_header = rows["op"] == StatementKind.HEADER
    lines = rows.filter(~is_header).sort("place", maintain_order=True)
    return SessionRecords(rows.filter(is_header).select(list(FILES)), lines.select(list(STATEMENTS)))


def _file_row(journal_slice: JournalSlice) -> tuple[object, ...]:
    header = journal_slice.header
    last = max(journal_slice.records.last, header["start"])
    return (
        header["project"],
        header["run"],
        header["session"],
        journal_slice.n,
        journal_slice.through,
        journal_slice.complete,
        header["start"],
        last,
    )


def _facts(header: dict[str, Any]) -> list[Item]:
    """Return what the header tells of its session as statements, stamped with the session's beginning."""
    facts = [(key, value) for key, value in header.items() if key not in _NO_FACTS and value is not None]
    return [
        journal.reader.Item(header["start"], StatementKind.SESSION, key, store_exact(value, name=key))
        for key, value in facts
    ]


def _plain(item: Item) -> tuple[object, ...]:
    stored = item.stored
    return (item.stamp, item.op, item.key, stored.value, stored.ival, stored.text, stored.kind)


def _stamped(frame: pl.DataFrame) -> pl.DataFrame:
    stamps = [name for name in ("ts", "start", "last") if name in frame.columns]
    return frame.with_columns(pl.col(stamps).cast(STATEMENT["ts"]))
