"""The rules of what is set by hand, 24 to 28 of the 30."""

from __future__ import annotations

import math

import pytest
from rules import summary

import tracklake as tl
from tracklake.errors import RunFinishedError


def test_rule_24_the_entry_is_what_was_said_last(run):
    """An edit replaces a view, the next row with the key shows the view again; aggregates are never switched off."""
    run.define_metric("a", summary="min")
    run.define_metric("n", summary="none")
    run.log({"a": 3.0, "n": 1})
    run.summary["a"] = "by hand"
    run.summary.n = 2
    assert summary(run) == {"a": "by hand", "n": 2}
    assert tl.open(run.lake_dir).runs(columns=["summary.a.min"])["summary.a.min"].to_list() == [3.0]
    run.log({"a": 5.0})
    assert summary(run) == {"a": {"min": 3}, "n": 2}


def test_rule_24_a_pending_row_does_not_come_back(run):
    """An edit said after the log is later, also if the row is committed at the end."""
    run.log({"x": 1}, commit=False)
    run.summary["x"] = 100
    run.finish()
    assert summary(run) == {"x": 100}


def test_rule_24_edits_after_the_end(run):
    """The lake and the Api edit a finished run; the run object itself shows that."""
    run.log({"x": 1})
    run.finish()
    tl.open(run.lake_dir).run("r").summary["x"] = 2
    assert summary(run) == {"x": 2}
    api_run = tl.Api(run.lake_dir).run("p/r")
    api_run.summary["y"] = 3
    assert summary(run) == {"x": 2}
    api_run.summary.update()
    assert summary(run) == {"x": 2, "y": 3}


def test_rule_25_update_replaces_nested_dicts_whole(run):
    """There is no deep merge, neither over history nor over edits."""
    run.log({"a": {"b": 1, "c": 2}})
    run.summary.update({"a": {"b": 5}, "d": 1}, e=2)
    assert summary(run) == {"a": {"b": 5}, "d": 1, "e": 2}
    run.summary["a"] = {"x": {"y": 1}}
    assert summary(run)["a"] == {"x": {"y": 1}}


def test_rule_25_nested_assignment_keeps_the_siblings(run):
    """Whoever wrote them: history, an edit, a definition's view, or a dict that is one value."""
    run.define_metric("loss", summary="min,last")
    run.log({"a": {"b": 1, "c": 2}, "loss": 3.0})
    run.summary["h"] = {"_type": "box", "x": 1}
    run.summary["a"]["b"] = 9
    run.summary["loss"]["min"] = 0
    run.summary["h"]["x"] = 2
    run.summary["new.deep.er"] = 1
    assert summary(run) == {
        "a": {"b": 9, "c": 2},
        "loss": {"min": 0, "last": 3.0},
        "h": {"_type": "box", "x": 2},
        "new": {"deep": {"er": 1}},
    }
    run.log({"loss": 1.0})
    assert summary(run)["loss"] == {"min": 1, "last": 1}


def test_rule_25_a_nested_update_keeps_what_it_does_not_name(run):
    """Several siblings at once, of a dict that is one value."""
    run.summary["h"] = {"_type": "box", "x": 1, "y": 1, "z": 1}
    run.summary["h"].update({"x": 2, "y": 3})
    assert summary(run) == {"h": {"_type": "box", "x": 2, "y": 3, "z": 1}}


def test_rule_25_del_removes_an_entry_until_it_is_written_again(run):
    """And what is under it; an absent key is a KeyError."""
    run.define_metric("m", summary="min,max")
    run.log({"a": {"b": 1, "c": 2}, "x": 1, "m": 4.0})
    del run.summary["a"]["b"]
    del run.summary["x"]
    del run.summary["m"]["max"]
    assert summary(run) == {"a": {"c": 2}, "m": {"min": 4}}
    del run.summary["a"]
    assert summary(run) == {"m": {"min": 4}}
    for missing in ("a", "a.b", "x", "nothing"):
        with pytest.raises(KeyError):
            del run.summary[missing]
    run.log({"x": 2, "a": {"b": 3}})
    assert summary(run) == {"a": {"b": 3}, "m": {"min": 4}, "x": 2}


def test_rule_26_none_means_absent_and_nan_stays(run):
    """Setting None removes an entry; NaN by hand is NaN."""
    run.log({"x": 5, "y": 5, "z": {"a": 1}})
    run.summary["x"] = None
    run.summary["y"] = math.nan
    run.summary.update({"z": None, "never": None, "n": {"a": None, "b": 1}})
    assert repr(dict(sorted(summary(run).items()))) == "{'n': {'b': 1}, 'y': nan}"


def test_rule_27_the_summary_is_an_ordinary_mapping(run):
    """in, len, iteration, items, get, keys, pop, setdefault, dict()."""
    run.log({"a": 1, "n": {"x": 2}})
    run.summary["b"] = 2
    assert sorted(run.summary) == ["_runtime", "_step", "_timestamp", "a", "b", "n"]
    assert (len(run.summary), "a" in run.summary, "z" in run.summary, 5 in run.summary) == (6, True, False, False)
    assert (run.summary.get("z"), run.summary.get("z", 7), run.summary.get("a")) == (None, 7, 1)
    assert {**run.summary}["b"] == dict(run.summary.items())["b"] == 2
    assert run.summary["n"] == {"x": 2} == dict(run.summary["n"])
    assert (run.summary.pop("b"), run.summary.setdefault("c", 3)) == (2, 3)
    with pytest.raises(KeyError, match="b"):
        _ = run.summary["b"]
    with pytest.raises(AttributeError, match="the summary has no 'b'"):
        _ = run.summary.b


def test_rule_27_json_dict_and_metrics_are_plain(run):
    """`_json_dict` is a nested dict of one's own; `_metrics` maps each name to its definition."""
    run.define_metric("loss", summary="min,max", goal="min")
    run.define_metric("epoch")
    run.log({"loss": 1.0, "l": [1]})
    plain = run.summary._json_dict
    plain["l"].append(2)
    assert run.summary["l"] == [1]
    assert {m: run._metrics[m].get("summary", "last") for m in run._metrics} == {"loss": "min,max", "epoch": "last"}


def test_rule_28_after_the_end_nothing_is_written(run):
    """The error names the run; reads go on."""
    run.log({"a": 1})
    run.config["lr"] = 0.1
    run.finish()
    run.finish()
    writes = [
        lambda: run.log({"a": 2}),
        lambda: run.define_metric("a", summary="min"),
        lambda: run.summary.update({"a": 2}),
        lambda: run.summary.pop("a"),
        lambda: run.config.update({"b": 1}),
    ]
    for write in writes:
        with pytest.raises(RunFinishedError, match="run 'r' is finished"):
            write()
    assert (run.summary["a"], run.config.lr, run.step, run.id) == (1, 0.1, 1, "r")
    assert summary(run) == {"a": 1}
