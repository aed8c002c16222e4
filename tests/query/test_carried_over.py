"""What a lake that stays open carries over from one snapshot to the next is what a fresh one computes."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

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


COLUMNS = ["run_id", "config.*", "summary.*", "summary.a.max", "summary.b.min", "summary.b.p95", "state"]


@pytest.mark.parametrize("row", [{"a": 1.0}, {"b": 2.0}, {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": "text"}, {}])
def test_a_run_that_comes_brings_what_it_has(tmp_path: Path, row: dict[str, object]):
    """Columns that are carried over get the new run's values, and null where it has none, whatever it lacks."""
    for i in range(5):
        with tl.init("p", id=f"r{i}", config={"lr": 0.1 * i, "seed": i}, dir=tmp_path) as run:
            run.log({"a": float(i), "b": float(-i)})
    lake = tl.open(tmp_path)
    lake.runs(), lake.runs(columns=COLUMNS)
    for name in ("new", "0 first by name"):
        with tl.init("p", id=name, config={"seed": "x"}, dir=tmp_path) as run:
            run.log(row)
        for columns in (None, COLUMNS):
            ours, theirs = (a.runs(columns=columns, order_by="run_id") for a in (lake, tl.open(tmp_path)))
            assert_frame_equal(ours, theirs)
        lake.refresh()


ACTS = ("log", "edit", "retag", "delete", "restore", "seal", "compact", "rewind", "define", "drop metric")


@pytest.mark.parametrize("project", [None, "p"])
@given(acts=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 5)), max_size=8), data=st.data())
@settings(max_examples=10)
def test_an_open_lake_says_what_a_fresh_one_says(project, acts, data):
    """After any acts, looked at after each of them or not: every column of a table is that of a fresh lake."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(6):
            with tl.init("p", id=f"r{i}", config={"lr": i}, dir=folder) as run:
                run.log({"a": float(i), "b": 1.0})
        with tl.init("q", id="apart", dir=folder) as run:
            run.log({"d": 1.0})
        lake, other = tl.open(folder, project=project), tl.open(folder)
        lake.runs()
        for act, i in acts:
            _do(act, f"r{i}", other, folder)
            if data.draw(st.booleans()):
                lake.runs()
        for columns in (None, ["run_id", "config.*", "summary.*", "summary.a.mean", "tags"]):
            fresh = tl.open(folder, project=project)
            ours, theirs = (a.runs(columns=columns, order_by="run_id") for a in (lake, fresh))
            assert_frame_equal(ours, theirs, check_exact=True)


def _do(act: str, run_id: str, lake: tl.Lake, folder: str) -> None:
    is_there = run_id in set(lake.runs(columns=["run_id"])["run_id"])
    if act in ("log", "rewind") and is_there:
        with tl.init("p", id=run_id, resume="must", from_step=1 if act == "rewind" else None, dir=folder) as run:
            run.log({"a": 7.0, "c": 2.0})
    elif act == "edit" and is_there:
        lake.run(run_id).summary["note"] = run_id
    elif act == "retag" and is_there:
        lake.run(run_id).tags = ["best"]
    elif act == "delete" and is_there:
        lake.delete([run_id])
    elif act == "restore" and not is_there:
        lake.restore([run_id])
    elif act == "define":
        lake.define_metric("a", summary="max", goal="max")
    elif act == "seal":
        lake.refresh()
    elif act == "compact":
        lake.compact()
    elif act == "drop metric":
        with tl.init("p", dir=folder) as run:
            run.log({"b": 3.0})
