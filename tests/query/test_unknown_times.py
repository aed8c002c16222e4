"""Times that are not known are null, on every surface."""

from __future__ import annotations

from pathlib import Path

import polars as pl

import tracklake as tl


def test_an_import_without_times_has_none(tmp_path: Path):
    """runtime, the time of points and the time to a threshold are null where the source tells none."""
    lake = tl.open(tmp_path, create=True)
    curve = pl.DataFrame({"run": ["a"] * 3, "step": [0, 1, 2], "x": [0.1, 0.2, 0.3]})
    lake.import_table(curve, run_columns=["run"], step="step", metrics={"acc": "x"})
    with tl.init("p", id="timed", dir=tmp_path) as run:
        run.log({"acc": 0.5})
    assert lake.runs(columns=["run_id", "runtime"], where="runtime IS NULL").rows() == [("a", None)]
    assert lake.history("acc")["time"].is_null().to_list() == [True, True, True, False]
    assert lake.sql("SELECT run_id, count(time) FROM history GROUP BY 1 ORDER BY 1").rows() == [("a", 0), ("timed", 1)]
    reached = lake.time_to("acc", 0.2, goal="max", x="time").table
    assert (reached["n"].item(), reached["n_without"].item()) == (1, 1)
