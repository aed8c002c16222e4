"""What sessions say, as frames: the header as facts, statements in their order, there and back through a file."""

from __future__ import annotations

import polars as pl
import pytest

from tracklake.schema.tables import SESSIONS
from tracklake.schema.values import store
from tracklake.storage.journal import statements
from tracklake.storage.journal.reader import Item, JournalRecords
from tracklake.storage.journal.statements import JournalSlice

HEADER = {"run": "a", "project": "p", "session": 1, "start": 7}


def part(*names: str, last: int = 0, n: int = 0, **header: object) -> JournalSlice:
    """Return a journal part with edits of these names."""
    items = [Item(10 + i, "edit", name, store(name, name=name)) for i, name in enumerate(names)]
    return JournalSlice(
        HEADER | header, n=n, records=JournalRecords(items=items, last=last), through=900, complete=False
    )


def test_a_header_is_told_as_facts():
    """What a header tells of its session is a statement stamped with its beginning; nothing is said of nothing."""
    said = statements.of_slices([part(node="host1", format=1, step=3, from_step=None, n=5)])
    assert said.statements.select("op", "key", "text").rows() == [("session", "node", "host1")]
    assert said.statements["ts"].dt.epoch("us").to_list() == [7]


@pytest.mark.parametrize(("last", "expected"), [(0, 7), (12, 12)])
def test_a_session_was_last_heard_of_at_its_last_word(last, expected):
    """Before its first word that is its beginning."""
    files = statements.of_slices([part(last=last)]).files
    assert files.select(pl.col("start", "last").dt.epoch("us")).row(0) == (7, expected)


def test_statements_keep_the_order_of_their_file():
    """Files are in order of run, session and number, and within each what was said earlier stands earlier."""
    names = [f"k{i * 7919 % 1_000}" for i in range(1_000)]
    parts = [part(*names, run="b"), part(*names, n=1), part(*names, n=0)]
    said = statements.of_slices(parts)
    assert said.statements.select("run_id", "n").unique(maintain_order=True).rows() == [("a", 0), ("a", 1), ("b", 0)]
    assert said.statements["key"].to_list() == names * 3
    assert statements.from_rows(statements.to_rows(said)).statements.equals(said.statements)


def test_a_file_that_states_nothing():
    """A file of rows alone, its header lost, comes back with no statement: neither null nor empty."""
    said = statements.of_slices([part(), part("note", n=1)])
    stored = statements.to_rows(said)
    assert stored.schema == pl.Schema(SESSIONS)
    assert stored.select("op", "n").rows() == [("edit", 1), ("header", 0), ("header", 1)]
    back = statements.from_rows(stored)
    assert back.files.equals(said.files)
    assert back.statements["key"].to_list() == ["note"]
