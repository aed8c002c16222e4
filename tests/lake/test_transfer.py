"""lake.merge and lake.diff: runs of one lake in another, without duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from polars.testing import assert_frame_equal

import tracklake as tl
from tracklake.errors import LakeError


def logged(folder, run_id, losses, **about):
    """Log a run, and return its lake."""
    with tl.init("p", id=run_id, dir=folder, **about) as run:
        for loss in losses:
            run.log({"loss": loss})
    return tl.open(folder)


def test_merge_copies_runs_with_all_that_they_say(tmp_path):
    """Points, config, tags, edits and arrays are those of the other lake, sealed or not; twice adds nothing."""
    there = logged(tmp_path / "there", "a", [2.0, 1.0], config={"lr": 0.1}, tags=["x"])
    there.refresh()
    with tl.init("p", id="a", dir=there.dir, resume="must") as run:
        run.log({"loss": 0.5})
        run.summary["weights"] = np.arange(100.0)
    there.run("a").summary["note"] = "good"
    here = logged(tmp_path / "here", "b", [3.0])
    assert here.merge(there)[:2] == (1, 3)
    assert_frame_equal(here.history("loss", runs="a"), there.history("loss"))
    assert_frame_equal(here.runs(runs="a"), there.runs(), check_column_order=False)
    assert here.run("a").summary.array("weights")[99] == 99.0
    assert here.merge(there.dir)[:2] == (0, 0)
    assert here.check(full=True).ok


def test_merge_brings_what_a_run_has_gained(tmp_path):
    """A run that goes on there is completed here."""
    there = logged(tmp_path / "there", "a", [2.0])
    here = tl.open(tmp_path / "here", create=True)
    here.merge(there)
    with tl.init("p", id="a", dir=there.dir, resume="must") as run:
        run.log({"loss": 1.0})
    assert here.merge(there)[:2] == (1, 1)
    assert here.diff(there).is_empty()


def test_ids_of_other_runs_get_a_suffix(tmp_path):
    """Two runs of one id that are not the same run are both there, and told apart by a suffix."""
    here, there = logged(tmp_path / "here", "a", [1.0]), logged(tmp_path / "there", "a", [2.0])
    here.merge(there)
    ids = here.runs()["run_id"].to_list()
    assert (ids[0], ids[1].startswith("a-")) == ("a", True)
    assert here.history("loss")["value"].to_list() == [1.0, 2.0]


def test_diff_of_several_lakes_with_one_of_them(tmp_path):
    """Of runs with one id in several lakes, each is the run of its own lake, though it is called id@lake there."""
    for folder, run_ids in {"a": ["r1", "both"], "b": ["both", "r2"]}.items():
        for run_id in run_ids:
            with tl.init("p", id=run_id, dir=tmp_path / folder) as run:
                run.log({"loss": 0.5 if folder == "a" else 0.25})
    one, several = tl.open(tmp_path / "a"), tl.open([tmp_path / "a", tmp_path / "b"])
    only = [("both@b", "only here"), ("r2", "only here")]
    assert several.diff(one).select("run_id", "change").rows() == only
    assert one.diff(several).select("run_id", "change").rows() == [(run, "only there") for run, _ in only]


def test_diff_names_runs_and_metrics(tmp_path):
    """Runs that are only on one side, and the metrics in which the others differ."""
    here = logged(tmp_path / "here", "both", [1.0])
    there = tl.open(tmp_path / "there", create=True)
    there.merge(here)
    logged(there.dir, "new", [1.0])
    logged(here.dir, "old", [1.0])
    with tl.init("p", id="both", dir=there.dir, resume="must") as run:
        run.log({"loss": 0.5})
    rows = here.diff(there).select("run_id", "change").rows()
    assert rows == [("both", "differs"), ("new", "only there"), ("old", "only here")]
    assert "loss" in here.diff(there)["metrics"][0]


def test_a_run_that_is_running_is_refused(tmp_path):
    """What still runs there is not merged, and nothing comes in."""
    here = tl.open(tmp_path / "here", create=True)
    with tl.init("p", id="a", dir=tmp_path / "there") as run:
        run.log({"loss": 1.0})
        with pytest.raises(LakeError, match="still running"):
            here.merge(tmp_path / "there")
    assert here.runs().is_empty()


def test_a_deleted_run_is_not_imported_again(tmp_path):
    """What was deleted stays deleted when its source is imported again, and the report says so."""
    (tmp_path / "x.csv").write_text("step,loss\n1,0.5\n")
    lake = tl.open(tmp_path / "lake", create=True)
    lake.import_from(tmp_path / "x.csv")
    lake.delete("x")
    report = lake.import_from(tmp_path / "x.csv")
    assert (report.runs, "lake.restore('x')" in report.remarks[0].text) == (0, True)
    assert lake.runs().is_empty()
