"""The rules of rows and their steps, 1 to 7 of the 30 rules of what a row, a definition and a summary mean."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from processes import output
from rules import PSEUDO, rows, summary

import tracklake as tl


@pytest.mark.parametrize("step", [True, np.bool_(0), 1.0, "1", np.float64(1)])
def test_rule_01_a_step_is_an_int(run, step):
    """A bool, a float or a text as step is a TypeError, and nothing is logged."""
    with pytest.raises(TypeError, match="step must be an int"):
        run.log({"a": 1}, step=step)
    assert rows(run) == {}


@pytest.mark.parametrize("data", [[("a", 1)], None, "a", {1: 2}, {"a": 1, None: 2}])
def test_rule_01_a_row_is_a_mapping_with_string_keys(run, data):
    """Anything else is a TypeError, and nothing of the row is logged."""
    with pytest.raises(TypeError):
        run.log(data)
    assert (rows(run), run.step) == ({}, 0)


def test_rule_01_numpy_ints_are_steps_and_int64_is_the_limit(run):
    """A numpy int is an int; what does not fit into 64 bits is a ValueError, also as the step after."""
    run.log({"a": 1}, step=np.int64(3))
    run.log({"a": 2}, step=np.uint8(4))
    with pytest.raises(ValueError, match="64-bit"):
        run.log({"a": 3}, step=1 << 63)
    run.log({"a": 3}, step=(1 << 63) - 1, commit=True)
    with pytest.raises(ValueError, match="64-bit"):
        run.log({"a": 4})
    assert list(rows(run)) == [3, 4, (1 << 63) - 1]


def test_rule_02_a_plain_log_is_a_row_of_its_own(run):
    """Without a step each call is a row, at the steps 0, 1, 2, ..."""
    for x in (5, 6):
        run.log({"a": x})
    assert (rows(run), run.step) == ({0: {"a": 5}, 1: {"a": 6}}, 2)


def test_rule_02_the_same_step_is_the_same_row(run):
    """Calls with one step make one row, of each key the later value; a higher step begins the next."""
    run.log({"a": 1, "b": 1}, step=5)
    run.log({"a": 2}, step=5)
    run.log({"a": 3}, step=7)
    assert (rows(run), run.step) == ({5: {"a": 2, "b": 1}, 7: {"a": 3}}, 7)


def test_rule_02_a_plain_log_joins_the_open_row_and_commits_it(run):
    """After log(step=n) a log without step belongs to row n, and the next to n + 1."""
    run.log({"a": 1}, step=5)
    run.log({"b": 2})
    run.log({"b": 3})
    assert rows(run) == {5: {"a": 1, "b": 2}, 6: {"b": 3}}


def test_rule_02_commit_overrides(run):
    """commit=False keeps a row open, commit=True ends it, with and without a step."""
    run.log({"a": 1}, commit=False)
    run.log({"b": 2}, commit=True)
    run.log({"a": 3}, step=4, commit=True)
    run.log({"a": 4}, commit=False)
    run.log({"b": 5}, step=5)
    assert (rows(run), run.step) == ({0: {"a": 1, "b": 2}, 4: {"a": 3}, 5: {"a": 4, "b": 5}}, 5)


def test_rule_02_an_empty_dict_is_an_empty_row(run):
    """It has a step and no value; a pending one too."""
    run.log({})
    run.log({"a": 1})
    run.log({}, step=9)
    run.finish()
    assert rows(run) == {0: {}, 1: {"a": 1}, 9: {}}


def test_rule_03_a_lower_step_is_a_late_row(run):
    """Its values are stored at that step, in place of those of the same keys; the current step stays."""
    for x in (1, 2, 3):
        run.log({"a": x, "b": x})
    run.log({"a": 10, "c": 10}, step=1)
    run.log({"a": -1}, step=-4)
    run.log({"a": 4})
    expected = {-4: {"a": -1}, 0: {"a": 1, "b": 1}, 1: {"a": 10, "b": 2, "c": 10}, 2: {"a": 3, "b": 3}, 3: {"a": 4}}
    assert rows(run) == expected
    assert summary(run) == {"a": 4, "b": 3, "c": 10}


def test_rule_04_of_one_step_only_the_value_said_last_exists(run):
    """In history, and for every aggregate."""
    run.define_metric("a", summary="min,max,mean,count,first,last,std,sum")
    for x in (100.0, -100.0, 2.0):
        run.log({"a": x}, step=0)
    run.log({"a": 4.0}, step=1)
    expected = {"min": 2, "max": 4, "mean": 3, "count": 2, "first": 2, "last": 4, "std": math.sqrt(2), "sum": 6}
    assert summary(run) == {"a": expected}
    assert rows(run) == {0: {"a": 2}, 1: {"a": 4}}


def test_rule_05_every_row_has_step_runtime_and_timestamp(run):
    """_step is an int, _runtime seconds since the start, _timestamp epoch seconds; the summary holds the last ones."""
    before = time.time()
    run.log({"a": 1})
    run.log({"a": 2}, step=7)
    history = tl.open(run.lake_dir).run("r").history()
    assert history["_step"].to_list() == [0, 7]
    assert before - 1 < history["_timestamp"][0] <= history["_timestamp"][1] < time.time() + 1
    assert 0 <= history["_runtime"][0] <= history["_runtime"][1] < 60
    assert {name: run.summary[name] for name in PSEUDO} == {name: history[name][1] for name in PSEUDO}


def test_rule_05_a_users_step_and_runtime_are_discarded_and_a_timestamp_kept(run):
    """Top-level _step and _runtime are ours; a _timestamp is an ordinary value, shown in place of ours."""
    run.log({"_step": 99, "_runtime": 99, "_timestamp": 12.5, "a": 1})
    run.log({"a": 2})
    history = tl.open(run.lake_dir).run("r").history()
    assert (history["_step"].to_list(), history["_timestamp"][0]) == ([0, 1], 12.5)
    assert history["_runtime"].max() < 60
    assert run.summary["_timestamp"] == history["_timestamp"][1] > 1e9


def test_rule_05_the_three_can_be_defined_by_exact_name(run):
    """A definition of _step shapes its entry; tables show it on request only."""
    run.define_metric("_step", summary="max")
    run.log({"a": 1}, step=3)
    assert run.summary["_step"] == {"max": 3}
    lake = tl.open(run.lake_dir)
    assert lake.runs(columns=["summary._step.max"])["summary._step.max"].to_list() == [3]
    assert [name for name in lake.runs(columns=["summary.*"]).columns if "_timestamp" in name] == []


def test_rule_06_pending_values_are_there_at_once(run):
    """Before the row is committed, reads see its values, here and in another process."""
    run.log({"a": 1}, commit=False)
    run.log({"b": 2}, step=0)
    assert summary(run) == {"a": 1, "b": 2}
    assert output("print(tl.open(sys.argv[1]).run('r').summary['b'])", run.lake_dir) == "2"


def test_rule_06_a_crash_keeps_pending_values(tmp_path: Path):
    """A process that is killed with an open row has logged it."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    run.log({"a": 1}, step=5)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    output(script, tmp_path, code=-9)
    assert tl.open(tmp_path).history("a").select("step", "value").rows() == [(5, 1.0)]


def test_rule_07_a_value_that_cannot_be_stored_is_skipped(run):
    """One warning names its key; the rest of the row is kept."""
    with pytest.warns(UserWarning, match="'model' cannot be stored") as warned:
        run.log({"a": 1, "model": object()})
        run.log({"a": 2, "model": object()})
    assert [one.filename for one in warned if one.category is UserWarning] == [__file__]
    assert rows(run) == {0: {"a": 1}, 1: {"a": 2}}


def test_rule_07_in_a_summary_it_is_a_type_error(run):
    """Nothing is written then, not even the values beside it."""
    with pytest.raises(TypeError, match="'model' cannot be stored"):
        run.summary.update({"a": 1, "model": object()})
    assert summary(run) == {}


def test_rule_07_a_dict_that_holds_itself_is_skipped(run):
    """In a row it is left out, where it is set by hand the error names the key."""
    box = {"y": 1}
    box["x"] = box
    with pytest.warns(UserWarning, match="'box' cannot be stored"):
        run.log({"a": 1, "box": box})
    for mapping in (run.summary, run.config):
        with pytest.raises(TypeError, match="box: a dict nested more than 100 deep, or that holds itself"):
            mapping.update({"box": box})
    assert (rows(run), summary(run), run.config.as_dict()) == ({0: {"a": 1}}, {"a": 1}, {})


def test_rule_07_an_empty_key_is_a_value_error(run):
    """In a row and in a summary."""
    with pytest.raises(ValueError, match="empty"):
        run.log({"": 1, "a": 2})
    with pytest.raises(ValueError, match="empty"):
        run.summary[""] = 1
    assert (rows(run), summary(run)) == ({}, {})


def test_rule_03_a_late_row_of_a_resumed_run_replaces_relatives(tmp_path):
    """What the first session logged above or under a name at that step is gone, also from the table."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.log({"n": 1.0, "m.a": 1.0}, step=3)
    with tl.init("p", id="r", dir=tmp_path, resume="must") as run:
        run.log({"n.p": 2.0, "m": 5.0}, step=3)
        run.log({"x": 1.0})
    wide = tl.open(tmp_path).run("r").history().drop("_timestamp", "_runtime")
    assert wide.to_dicts() == [
        {"_step": 3, "m": 5.0, "n.p": 2.0, "x": None},
        {"_step": 4, "m": None, "n.p": None, "x": 1.0},
    ]
