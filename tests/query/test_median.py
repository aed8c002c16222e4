"""The median: a statistic of points, on every surface."""

from __future__ import annotations

import math

import pytest

import tracklake as tl

LOSS = [5.0, math.nan, 1.0, 4.0, math.inf]


@pytest.fixture
def lake(tmp_path) -> tl.Lake:
    """Return a lake of two runs, of which one is replaced a value at step 0."""
    for run_id, values in (("a", LOSS), ("b", [2.0, 3.0])):
        with tl.init("p", id=run_id, dir=tmp_path) as run:
            run.define_metric("loss", summary="median,min")
            for value in values:
                run.log({"loss": value, "note": "x"})
            if run_id == "b":
                run.log({"loss": 10.0}, step=0)
    return tl.open(tmp_path)


@pytest.mark.parametrize("sealed", [False, True])
def test_surfaces(lake, sealed):
    """Python, columns of runs, conditions, order, SQL and the summary of a run agree; NaN is left out."""
    if sealed:
        lake.refresh()
    assert lake.summaries(["loss.median"]).rows() == [("a", 4.5), ("b", 6.5)]
    assert lake.runs(columns=["run_id", "summary.loss.median"]).rows() == [("a", 4.5), ("b", 6.5)]
    assert lake.runs(where='"summary.loss.median" > 5', columns=["run_id"])["run_id"].to_list() == ["b"]
    assert lake.runs(order_by="-summary.loss.median", columns=["run_id"])["run_id"].to_list() == ["b", "a"]
    assert lake.sql('SELECT run_id, "summary.loss.median" FROM runs ORDER BY 1').rows() == [("a", 4.5), ("b", 6.5)]
    by_stat = "SELECT run_id, value FROM summaries WHERE metric = 'loss' AND stat = 'median' ORDER BY 1"
    assert lake.sql(by_stat).rows() == [("a", 4.5), ("b", 6.5)]
    assert lake.run("a").summary["loss"] == {"min": 1.0, "median": 4.5}
    assert lake.query("summaries_from_history").filter(metric="loss").sort("run_id")["median"].to_list() == [4.5, 6.5]
    assert "summary.loss.median" in lake.runs().columns


def test_live(tmp_path):
    """The run that is being written shows the median of what it has logged, and null for what is no number."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"loss": 3.0, "note": "x"})
        run.define_metric("*", summary="median")
        run.log({"loss": 1.0})
        assert dict(run.summary) == tl.open(tmp_path).run("a").summary
        run.log({"loss": 2.0}, step=0)
        assert run.summary["loss"] == {"median": 1.5} == tl.open(tmp_path).run("a").summary["loss"]


def test_as_an_objective(lake):
    """`compare` ranks by it, by way of its name."""
    table = lake.compare("loss.median", by="run_id", goal="min")
    assert "loss.median" in str(table)
