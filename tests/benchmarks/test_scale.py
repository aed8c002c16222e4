"""The generator of large lakes: its lakes are sound, and answer as its own numbers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
import scale

import tracklake as tl

if TYPE_CHECKING:
    from pathlib import Path


def test_a_generated_lake_answers_as_its_numbers_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of several partitions, in table, statistics and history; and so it does when they are merged."""
    monkeypatch.setattr(scale, "PART_POINTS", 2_000)
    scale.generate(tmp_path / "lake", 25, steps=10, keys=5)
    parts = [scale.contents(first, min(first + 10, 25), steps=10, keys=5) for first in (0, 10, 20)]
    points = pl.concat([part.points for part in parts])
    expected = points.filter(metric="m/07").group_by("run_id").agg(pl.col("value").min()).sort("run_id")
    lake = tl.open(tmp_path / "lake")
    for _ in range(2):
        assert lake.summaries("m/07.min").sort("run_id").rows() == expected.rows()
        assert lake.history("m/03")["value"].sum() == pytest.approx(points.filter(metric="m/03")["value"].sum())
        table = lake.runs(columns=["state", "config.k3"], order_by="run_id")
        assert (table.height, set(table["state"])) == (25, {"finished"})
        assert table["config.k3"].to_list() == [float(i % 5) for i in range(25)]
        assert lake.check(full=True).findings == []
        lake.compact()
    assert lake.describe().partitions == 1
