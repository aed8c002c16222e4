"""Config and summary columns of many runs are read beside each other, and are what they are one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.query import run_table
from tracklake.query.config_values import ConfigValues

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ["config.lr", "config.opt.name", "summary.loss", "summary.acc.max"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(4):
        with tl.init("p", id=f"r{i}", dir=tmp_path, config={"opt": {"name": "adam"}, "lr": 0.5 * i}) as run:
            run.log({"loss": 1.0 + i, "acc": i / 4})
    return tmp_path


def test_columns_are_the_same(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_table, "_MANY_CELLS", 0)
    rows = tl.open(root).runs(columns=COLUMNS, order_by="run_id").rows()
    assert rows == [(f"r{i}", 0.5 * i, "adam", 1.0 + i, i / 4) for i in range(4)]


def test_error_of_one_of_them_is_raised_as_it_is(root: Path, monkeypatch: pytest.MonkeyPatch):
    """And the next question is answered."""
    monkeypatch.setattr(run_table, "_MANY_CELLS", 0)
    lake = tl.open(root)

    def refused(*_: object) -> None:
        raise LakeError("runs/part-7f3a.parquet is gone")

    with monkeypatch.context() as broken:
        broken.setattr(ConfigValues, "of", refused)
        with pytest.raises(LakeError, match="part-7f3a"):
            lake.runs(columns=COLUMNS)
    assert lake.runs(columns=COLUMNS).shape == (4, 5)
