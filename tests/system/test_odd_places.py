"""A lake answers alike wherever it lies: paths are never patterns, and folders above it name no columns."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracklake as tl

ODD = [
    "sweep[1]", "value=7", "metric=loss", "seed=1/step=5", "run_id=x", "a b", "100%", "#1", "it's", '"quoted"', "~",
    "-dash", "été/naïve", "*", "?", "{a,b}", "**/x", "\udcff", "null", "new\nline",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD, ids=[ascii(name) for name in ODD])
def test_core_questions_in_an_odd_folder(tmp_path: Path, name: str):
    """Runs, histories, SQL, edits, checks and exports are the same in a folder of any name."""
    folder = tmp_path / name / "lake"
    for run_id, loss in (("a", 0.5), ("b", 0.25)):
        with tl.init("p", id=run_id, dir=folder, config={"lr": loss}) as run:
            run.log({"loss": loss}), run.log({"loss": loss / 2})
    lake = tl.open(folder)
    for _ in ("in journals", "sealed"):
        assert lake.runs(order_by="summary.loss.min", columns=["config.lr"]).rows() == [("b", 0.25), ("a", 0.5)]
        assert lake.history("loss", runs=["a"])["value"].to_list() == [0.5, 0.25]
        sums = lake.sql("SELECT run_id, sum(value), min(step) FROM history WHERE metric = 'loss' GROUP BY 1 ORDER BY 1")
        assert sums.rows() == [("a", 0.75, 0), ("b", 0.375, 0)]
        lake.refresh()
    lake.run("a").summary["note"] = "odd"
    assert lake.run("a").summary["note"] == "odd"
    assert lake.check(full=True).findings == []
    assert [path.name for path in (tmp_path / name).iterdir()] == ["lake"]
