"""Statements are read by kind and key where a partition is large, as a whole where it is small, and say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import tracklake as tl
from tracklake.schema.statement_kind import StatementKind
from tracklake.storage.table import catalog

if TYPE_CHECKING:
    from pathlib import Path

ASKED = [
    ((StatementKind.CONFIG,), None),
    ((StatementKind.CONFIG,), ["lr"]),
    ((StatementKind.CONFIG, StatementKind.UNSET), ["lr", "opt.name", "gone"]),
    ((StatementKind.SESSION, StatementKind.FINISH), None),
    ((StatementKind.SESSION, StatementKind.FINISH), ["node", "state"]),
    ((StatementKind.DERIVE,), None),
    ((), None),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two partitions and a live run; the config of one run was changed in a second session."""
    for i in range(3):
        with tl.init("p", id=f"r{i}", dir=tmp_path, config={"opt": {"name": "adam"}, "lr": 0.1 * i}) as run:
            run.log({"loss": 1.0})
        if i < 2:
            tl.open(tmp_path).refresh()
    with tl.init("p", id="r0", dir=tmp_path, resume="must") as run:
        run.config.update({"lr": 7.0}, allow_val_change=True)
    return tmp_path


def ordered(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return frame.sort("run_id", "session", "n", maintain_order=True).rows()


@pytest.mark.parametrize(("kinds", "keys"), ASKED)
def test_what_is_read_by_kind_and_key_is_what_is_there(root, monkeypatch, kinds, keys):
    """Each file's statements come in their order, whichever are asked for."""
    whole = tl.open(root)._view.logged.statements
    monkeypatch.setattr(catalog, "SMALL_BYTES", -1)
    by_name = tl.open(root)._view.logged.statements
    assert [len(log._parts) for log in (whole, by_name)] == [0, 2]
    assert ordered(by_name.of(*kinds, keys=keys)) == ordered(whole.of(*kinds, keys=keys))
    assert by_name.keys(*kinds) == whole.keys(*kinds)


def test_tables_are_the_same_however_statements_are_read(root, monkeypatch):
    """Of runs, of their config, and of what was deleted."""
    whole = tl.open(root).runs(order_by="run_id")
    monkeypatch.setattr(catalog, "SMALL_BYTES", -1)
    lake = tl.open(root)
    assert lake.runs(order_by="run_id").equals(whole)
    assert lake.run("r0").config == {"opt": {"name": "adam"}, "lr": 7.0}
    lake.delete("r1")
    assert lake.runs(order_by="run_id").equals(whole.filter(pl.col("run_id") != "r1"))
    assert lake.sql("SELECT count(*) AS n FROM config").item() == 4
