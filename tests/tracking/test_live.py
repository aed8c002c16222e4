"""The summary of a run that is being written is the lake's, whatever was said and wherever it was read."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracklake as tl
from tracklake.storage.journal import writer
from tracklake.tracking import live_summary

NAMES = st.sampled_from(["a", "a.b", "a.b.c", "a.d", "x", "y", "_timestamp"])
NUMBERS = st.sampled_from([0.5, -2.5, 1e6, math.nan, math.inf, -math.inf, 3, -7, 2**53 + 1])
VALUES = NUMBERS | st.sampled_from([True, "text", None, [1, {"k": 2}]])
ROWS = st.dictionaries(NAMES, VALUES, max_size=3)
KINDS = st.sets(st.sampled_from(["min", "max", "mean", "std", "sum", "count", "first", "last", "none"]), min_size=1)
STEPS = st.none() | st.integers(0, 6)

OPERATIONS = st.one_of(
    st.tuples(st.just("log"), ROWS, STEPS, st.sampled_from([None, True, False])),
    st.tuples(st.just("log"), ROWS, STEPS, st.sampled_from([None, True, False])),
    st.tuples(st.just("read"), NAMES),
    st.tuples(st.just("set"), NAMES, VALUES | st.dictionaries(st.sampled_from("bce"), NUMBERS, max_size=2)),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("define"), NAMES | st.sampled_from(["*", "a*"]), KINDS),
    st.tuples(st.just("lake define"), NAMES, KINDS),
    st.tuples(st.just("set from elsewhere"), NAMES, NUMBERS),
    st.just(("seal",)),
    st.just(("resume",)),
)


def same(a: Any, b: Any, *, within: float = 1e-9) -> bool:
    """Compare entries: NaN is NaN, and sums may differ by rounding, which of seconds since 1970 is 2.4e-7."""
    if isinstance(a, dict) and isinstance(b, dict):
        tolerances = {"_timestamp": 1e-6}
        return a.keys() == b.keys() and all(same(a[key], b[key], within=tolerances.get(key, within)) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12, abs_tol=within)
    return type(a) is type(b) and a == b


def perform(run: tl.Run, lake: tl.Lake, operation: tuple[Any, ...]) -> tl.Run:
    """Do one thing to the run, here or from elsewhere; return the run as it goes on."""
    match operation:
        case ("log", row, step, commit):
            run.log(row, step=step, commit=commit)
        case ("read", name):
            assert same({name: plain(run.summary.get(name))}, {name: plain(lake.run("r").summary.get(name))})
        case ("set", name, value):
            run.summary[name] = value
        case ("delete", name) if name in run.summary:
            del run.summary[name]
        case ("define", name, kinds):
            run.define_metric(name, summary=kinds)
        case ("lake define", name, kinds):
            lake.define_metric(name, summary=kinds)
        case ("set from elsewhere", name, value):
            lake.run("r").summary[name] = value
        case ("seal",):
            lake.refresh()
        case ("resume",):
            run.finish()
            return tl.init("p", id="r", dir=lake.dir, resume="must")
    return run


def plain(entry: Any) -> Any:
    return entry._json_dict if hasattr(entry, "_json_dict") else entry


@settings(max_examples=settings().max_examples // 5)
@given(operations=st.lists(OPERATIONS, min_size=1, max_size=14))
def test_live_summary_is_the_lakes(operations):
    """After every statement of any session the live summary equals that of the lake, and after the end as well."""
    with TemporaryDirectory() as folder:
        run = tl.init("p", id="r", dir=folder)
        lake = tl.open(folder)
        for operation in operations:
            run = perform(run, lake, operation)
            assert same(run.summary._json_dict, lake.run("r").summary._json_dict)
        run.finish()
        assert same(run.summary._json_dict, tl.open(folder).run("r").summary._json_dict)


@settings(max_examples=settings().max_examples // 8)
@given(rows=st.lists(st.tuples(ROWS, STEPS, st.booleans()), min_size=1, max_size=30), bulk=st.sampled_from([1, 150]))
def test_many_rows_at_once_are_read_as_one_by_one(rows, bulk):
    """It does not matter how many rows came since the last read, nor that the journal went on in another file."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_summary, "_BULK", bulk)
        patch.setattr(live_summary, "_BULK_A_SERIES", 0)
        patch.setattr(writer, "ROTATE_AT", 700)
        run = tl.init("p", id="r", dir=folder)
        run.define_metric("*", summary="min,max,mean,std,first,last")
        for row, step, is_read in rows:
            run.log(row, step=step)
            if is_read:
                assert same(run.summary._json_dict, tl.open(folder).run("r").summary._json_dict)
        assert same(run.summary._json_dict, tl.open(folder).run("r").summary._json_dict)
        run.finish()


def test_a_read_takes_in_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Once the summary was read, reading it again touches no snapshot, whatever the run logged and set since."""
    run = tl.init("p", dir=tmp_path)
    run.log({"acc": 0.5})
    assert run.summary["acc"] == 0.5
    monkeypatch.setattr(live_summary, "SnapshotReader", None)
    monkeypatch.setattr(run._logged, "summaries", None)
    for acc in (0.7, 0.6):
        run.log({"acc": acc})
        if acc > run.summary.get("best", 0):
            run.summary["best"] = acc
    assert (run.summary["best"], run.summary["acc"]) == (0.7, 0.6)
    monkeypatch.undo()
    run.finish()


def test_what_the_lake_derives_is_not_in_the_summary_of_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run tells what it logged itself, at the same cost whatever the lake derives; the lake's has both."""
    run = tl.init("p", id="r", dir=tmp_path)
    run.log({"acc": 0.5})
    lake = tl.open(tmp_path)
    lake.derive("error", '1 - "acc"')
    lake.alias("accuracy", "acc")
    assert sorted(key for key in run.summary if not key.startswith("_")) == ["acc"]
    monkeypatch.setattr(run._logged, "summaries", None)
    run.log({"acc": 0.75})
    assert run.summary["acc"] == 0.75
    monkeypatch.undo()
    run.finish()
    assert sorted(key for key in run.summary if not key.startswith("_")) == ["acc"]
    found = lake.run("r").summary
    assert (found["acc"], found["error"], found["accuracy"]) == (0.75, 0.25, 0.75)


def test_a_late_row_sends_only_its_series_to_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A row below the current step is in the summary at once, and other series are read as before."""
    run = tl.init("p", dir=tmp_path)
    run.define_metric("a", summary="mean")
    for step, row in [(0, {"a": 1.0}), (2, {"a": 3.0, "b": 1.0}), (1, {"a": 8.0})]:
        run.log(row, step=step)
    assert run.summary["a"]["mean"] == 4.0
    monkeypatch.setattr(run._logged, "summaries", None)
    assert run.summary["b"] == 1.0
    monkeypatch.undo()
    run.finish()


def test_a_session_elsewhere_is_seen_at_once(tmp_path: Path):
    """What another session of the run says is in the live summary as soon as it is said."""
    run = tl.init("p", id="r", dir=tmp_path)
    run.log({"a": 1})
    assert dict(run.summary)["a"] == 1
    other = tl.init("p", id="r", dir=tmp_path)
    for value in (2, 3, 4):
        other.summary["best"] = value
        assert run.summary["best"] == value
    other.finish()
    run.finish()
