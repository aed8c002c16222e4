"""What a lake that stays open carries over from one snapshot to the next is what a fresh one computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tracklake as tl

if TYPE_CHECKING:
    from pathlib import Path


def same(lake: tl.Lake) -> None:
    fresh = tl.open(lake.dir)
    mine, theirs = (a.runs(order_by="run_id").drop("runtime") for a in (lake, fresh))  # a running run's goes on
    assert mine.equals(theirs)
    assert lake._view.runs.config.nested(["r1", "r7"]) == fresh._view.runs.config.nested(["r1", "r7"])


def test_an_open_lake_follows(tmp_path: Path):
    """Configs that change by a resume, live or sealed, merged, deleted, restored: as a fresh lake has them."""
    lake = tl.open(tmp_path, create=True)
    for i in range(20):
        with tl.init("p", id=f"r{i}", config={"lr": i, "deep": {"k": i}}, dir=tmp_path) as run:
            run.log({"a": float(i)})
    lake.refresh()
    same(lake)
    with tl.init("p", id="r7", resume="allow", config={"lr": 0.5, "new": "x"}, dir=tmp_path) as run:
        run.log({"a": 1.0})
        same(lake)
        lake.refresh()
        same(lake)
    same(lake)
    assert lake._view.runs.touched == {"r7"}
    lake.compact()
    same(lake)
    lake.delete("r3")
    same(lake)
    lake.restore("r3")
    same(lake)
    assert lake.run("r7").config["lr"] == 0.5
