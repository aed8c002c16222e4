"""The generator of large lakes: its lakes are sound, and answer as its own numbers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import compacting
import finishing
import large_lake
import polars as pl
import pytest

import tracklake as tl
from tracklake.storage.table import housekeeping

if TYPE_CHECKING:
    from pathlib import Path


def answers(lake: tl.Lake) -> list[list[tuple[object, ...]]]:
    return [
        lake.summaries(["m/07.min", "m/07.argmin", "sparse/1.last", "m/0042.max"]).sort("run_id").rows(),
        lake.runs(columns=["state", "config.k3"], order_by="run_id").rows(),
        lake.runs(columns=["summary.m/07.min"], order_by="summary.m/07.min", limit=5).rows(),
        lake.history(["m/03", "m/0042"], runs=["run-0000007", "wide-0000000"]).rows(),
    ]


def test_a_thousandth_of_a_large_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Table, statistics and history are those of the numbers it was made of, also when its partitions are merged."""
    monkeypatch.setattr(large_lake, "CHUNK_POINTS", 70_000)
    kinds = large_lake.shapes(0.001)
    large_lake.generate(tmp_path / "lake", kinds, most=300_000)
    lake = tl.open(tmp_path / "lake")
    assert (lake.describe().partitions, lake.runs(columns=[]).height) == (5, 101)
    duckdb = pytest.importorskip("duckdb")
    by_hand = duckdb.sql(
        f"SELECT run_id, min(value), arg_min(step, value) FROM '{tmp_path}/lake/history/*.parquet' "
        "WHERE metric = 'm/07' GROUP BY run_id ORDER BY run_id"
    ).fetchall()
    before = answers(lake)
    assert [row[:3] for row in before[0] if row[1] is not None] == by_hand
    assert [row[1:] for row in before[1]] == [("finished", float(int(row[0][-7:]) % 5)) for row in before[1]]
    assert [row[0] for row in before[2]] == [row[0] for row in sorted(by_hand, key=lambda row: row[1])[:5]]
    assert len(before[3]) == 500 + 10
    assert lake.compact().written == 1
    assert answers(lake) == before
    assert lake.check(full=True).findings == []


def test_points_come_in_the_order_of_the_table():
    """So the generator need not sort them; sparse metrics have every fiftieth step."""
    shape = large_lake.Shape("p", 3, 2, 100, 1, 5)
    points = large_lake.points(shape, 0, 3)
    assert points.height == 3 * shape.points_a_run == 606
    assert points.equals(points.sort("run_id", "metric", "step"))
    assert points.filter(pl.col("metric") == "sparse/0")["step"].to_list() == [0, 50] * 3


def test_finished_runs_leave_few_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a step of compaction after each seal: 64 runs a partition, eight of a level become one of the next."""
    monkeypatch.setattr(housekeeping, "GATHERED_FILES", 2)
    done = finishing.finish_runs(tmp_path, large_lake.Shape("p", 2 * 75, 2, 3, 0, 1))
    assert (done.partitions, done.most) == (1 + 1 + 3, 15)  # 64 seals, 8, and three of their own
    assert done.amplification < 4
    assert tl.open(tmp_path).runs(columns=[]).height == 150


def test_what_compaction_is_measured_on_becomes_one_partition(tmp_path: Path):
    """Ten partitions whose runs lie among each other; afterwards all is in order, and sound."""
    ours, by_hand = compacting.measured(tmp_path, large_lake.Shape("p", 30, 2, 50, 1, 2))
    assert ours.points == by_hand.points == 30 * 101
    lake = tl.open(tmp_path / "lake")
    assert (lake.describe().partitions, lake.check(full=True).findings) == (1, [])
    by_polars = pl.read_parquet(tmp_path / "floor.parquet", columns=["run_id", "metric", "step", "value"])
    (file,) = [part.history for part in lake._view.snapshot.version.partitions.values()]
    assert pl.read_parquet(tmp_path / "lake" / file, columns=by_polars.columns).equals(by_polars)
