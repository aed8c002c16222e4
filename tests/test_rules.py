"""The 30 rules of what a row, a definition and a summary mean, each by its number."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import enum
import math
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import output, start

import tracklake as tl
from tracklake import host, values
from tracklake.errors import ConfigError, DefinitionError, RunExistsError, RunFinishedError, RunNotFoundError

PSEUDO = {"_step", "_runtime", "_timestamp"}


@pytest.fixture
def run(tmp_path: Path):
    with tl.init("p", id="r", dir=tmp_path) as run:
        yield run


def rows(run: tl.Run) -> dict[int, dict[str, Any]]:
    """Return the rows in the lake by step, None included."""
    lake = tl.open(run.dir)
    found: dict[int, dict[str, Any]] = {step: {} for step in lake.run(run.id).history([])["_step"]}
    points = lake.scan_history(runs=run.id).select("step", "metric", "kind", "value", "ival", "text").collect()
    for step, metric, *stored in points.sort("step", "metric").iter_rows():
        found[step][metric] = values.restore(*stored)
    return found


def summary(run: tl.Run) -> dict[str, Any]:
    """Return the summary without what every run has; the live one and the lake's are the same."""
    live = run.summary._json_dict
    stored = tl.open(run.dir).run(run.id).summary._json_dict
    assert repr(dict(sorted(live.items()))) == repr(dict(sorted(stored.items())))
    return {key: value for key, value in live.items() if key not in PSEUDO}


# --- rows and steps


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
    history = tl.open(run.dir).run("r").history()
    assert history["_step"].to_list() == [0, 7]
    assert before - 1 < history["_timestamp"][0] <= history["_timestamp"][1] < time.time() + 1
    assert 0 <= history["_runtime"][0] <= history["_runtime"][1] < 60
    assert {name: run.summary[name] for name in PSEUDO} == {name: history[name][1] for name in PSEUDO}


def test_rule_05_a_users_step_and_runtime_are_discarded_and_a_timestamp_kept(run):
    """Top-level _step and _runtime are ours; a _timestamp is an ordinary value, shown in place of ours."""
    run.log({"_step": 99, "_runtime": 99, "_timestamp": 12.5, "a": 1})
    run.log({"a": 2})
    history = tl.open(run.dir).run("r").history()
    assert (history["_step"].to_list(), history["_timestamp"][0]) == ([0, 1], 12.5)
    assert history["_runtime"].max() < 60
    assert run.summary["_timestamp"] == history["_timestamp"][1] > 1e9


def test_rule_05_the_three_can_be_defined_by_exact_name(run):
    """A definition of _step shapes its entry; tables show it on request only."""
    run.define_metric("_step", summary="max")
    run.log({"a": 1}, step=3)
    assert run.summary["_step"] == {"max": 3}
    lake = tl.open(run.dir)
    assert lake.runs(columns=["summary._step.max"])["summary._step.max"].to_list() == [3]
    assert [name for name in lake.runs(columns=["summary.*"]).columns if "_timestamp" in name] == []


def test_rule_06_pending_values_are_there_at_once(run):
    """Before the row is committed, reads see its values, here and in another process."""
    run.log({"a": 1}, commit=False)
    run.log({"b": 2}, step=0)
    assert summary(run) == {"a": 1, "b": 2}
    assert output("print(tl.open(sys.argv[1]).run('r').summary['b'])", run.dir) == "2"


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
    assert (len(warned), warned[0].filename) == (1, __file__)
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


# --- names


def test_rule_08_nested_dicts_are_dotted_names(run):
    """However a name is said, it is one metric; keys inside nested dicts become texts."""
    run.log({"train": {"loss": 1, "layer": {3: 0.5}}})
    run.log({"train.loss": 2, r"train\.acc": 3})
    run.define_metric(r"train\.loss", summary="max")
    assert rows(run) == {0: {"train.loss": 1, "train.layer.3": 0.5}, 1: {"train.loss": 2, "train.acc": 3}}
    assert summary(run) == {"train": {"loss": {"max": 2}, "layer": {"3": 0.5}, "acc": 3}}


def test_rule_08_escaped_dots_name_a_step_metric(run):
    r"""`t\.epoch` as step_metric is the metric t.epoch."""
    run.define_metric("loss", step_metric=r"t\.epoch")
    run.log({"t": {"epoch": 3}})
    run.log({"loss": 5})
    assert rows(run)[1] == {"loss": 5, "t.epoch": 3}


def test_rule_08_escaped_dots_name_a_metric_that_is_asked_for(run):
    r"""`train\.loss` is train.loss in history, among columns and in where, too."""
    run.log({"train": {"loss": 3, "acc": 1}})
    lake = tl.open(run.dir)
    assert lake.history(r"train\.loss")["metric"].to_list() == ["train.loss"]
    assert lake.at_best(r"train\.loss", goal="min", take=[r"train\.acc"])["train.acc"].to_list() == [1]
    assert lake.summaries([r"train\.loss.max"]).columns == ["run_id", r"train\.loss.max"]


def test_rule_08_keys_inside_a_config_become_texts(run):
    """A map by numbers, such as of labels, is kept; its keys are texts, as they are stored."""
    run.config.update({"labels": {0: "cat", 1: {None: "dog"}}})
    run.config.update({"labels": {"0": "cat", "1": {"None": "dog"}}})  # the same
    expected = {"labels": {"0": "cat", "1": {"None": "dog"}}}
    assert (run.config.as_dict(), tl.open(run.dir).run("r").config) == (expected, expected)


@pytest.mark.parametrize("nothing", [{}, {"b": {}}, {"b": {"c": {}}}])
def test_rule_08_an_empty_dict_says_nothing(run, nothing):
    """It has no leaves: what was said under its name stays as it was, and a row of nothing else is an empty row."""
    run.define_metric("a", step_metric="epoch")
    run.log({"a": {"b": 1}}, commit=False)
    run.log({"a": nothing})
    run.log({"a": nothing})
    assert rows(run) == {0: {"a.b": 1}, 1: {}}
    assert run.summary["a"] == {"b": 1}


def test_rule_08_in_a_summary_assignment_keys_are_texts(run):
    """A number as key is a TypeError there, also in a nested dict."""
    with pytest.raises(TypeError, match="must be str"):
        run.summary["a"] = {1: 2}
    with pytest.raises(TypeError, match="must be a str"):
        run.summary.update({1: 2})


@pytest.mark.parametrize(
    "name", ["Loss", "a b", " a ", "a/b", "a//b", "żółw", "é", "e\u0301", "😀", "100%", "$x", "a*", "a\nb"]
)
def test_rule_08_nothing_else_is_normalised(run, name):
    """Case, blanks, slashes, accents and stars stay as they are."""
    run.log({name: 1, "other": 2})
    assert summary(run) == {name: 1, "other": 2}


def test_rule_09_the_summary_answers_to_full_names_and_to_parts(run):
    """A full dotted name and the way through its parts are the same."""
    run.log({"train": {"loss": 1, "deep": {"acc": 2}}})
    found = run.summary
    assert found["train.loss"] == found["train"]["loss"] == 1
    assert found["train.deep.acc"] == found["train"]["deep"]["acc"] == found["train.deep"]["acc"] == 2
    assert ("train.deep.acc" in found, "train.none" in found, found["train"]["deep.acc"]) == (True, False, 2)


def test_rule_09_a_parent_masks_its_children_and_the_reverse(run):
    """The summary shows what was written later; history keeps both."""
    run.log({"a": 1})
    run.log({"a": {"b": 2}})
    assert summary(run) == {"a": {"b": 2}}
    run.log({"a": 3})
    assert summary(run) == {"a": 3}
    run.summary["a.b"] = 4
    assert summary(run) == {"a": {"b": 4}}
    assert rows(run) == {0: {"a": 1}, 1: {"a.b": 2}, 2: {"a": 3}}


def test_rule_09_within_one_row_the_later_call_replaces(run):
    """What an earlier call for the same row said above or under a name is gone from history as well."""
    run.log({"a": {"x": 1, "y": 2}, "b": 1}, commit=False)
    run.log({"a": 2}, commit=False)
    run.log({"a.x": 3})
    assert rows(run) == {0: {"a": None, "a.x": 3, "a.y": None, "b": 1}}
    assert summary(run) == {"a": {"x": 3}, "b": 1}


def test_rule_09_rows_of_relatives_replace_also_when_logged_often(run):
    """Rows that were seen before and late rows are no exception."""
    for step in range(3):
        run.log({"a.b": step}, step=step)
        run.log({"a": 10 + step}, step=step)
    run.log({"a.b": 7}, step=0)
    assert [(row["a"], row["a.b"]) for row in rows(run).values()] == [(None, 7), (11, None), (12, None)]


# --- values


class Colour(enum.Enum):
    """A member whose value is a text."""

    RED = "red"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (2**53 + 1, 2**53 + 1),
        (2**63 - 1, 2**63 - 1),
        (2**63, 9.223372036854775808e18),
        ((1, [2.5, None]), [1, [2.5, None]]),
        (range(3), [0, 1, 2]),
        ({3}, [3]),
        (b"abc", "abc"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),  # noqa: DTZ001 - naive on purpose
        (Decimal("1.50"), "1.50"),
        (1 + 2j, "1+2j"),
        (Colour.RED, "red"),
        (Path("data/x"), str(Path("data/x"))),
        (np.float32(0.1), 0.10000000149011612),
        (np.int8(-5), -5),
        (np.bool_(1), True),
        (np.array(2.5), 2.5),
        (np.array([7]), 7),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (math.inf, math.inf),
        ({"_type": "image", "path": "x.png"}, {"_type": "image", "path": "x.png"}),
    ],
)
def test_rule_10_values(run, given, kept):
    """What is accepted in a row, a summary and a config, and what is stored of it."""
    run.log({"v": given})
    run.summary["s"] = given
    run.config["c"] = given
    assert summary(run) == {"v": kept, "s": kept}
    assert tl.open(run.dir).run("r").config == {"c": kept} == run.config.as_dict()
    assert isinstance(kept, dict) or {type(run.summary[key]) for key in "vs"} == {type(kept)}


def test_rule_10_nan_is_stored_as_it_is(run):
    """NaN in a row, in a list, in a summary."""
    run.log({"x": math.nan, "l": [1.0, math.nan]})
    run.summary["s"] = math.nan
    assert repr([run.summary[key] for key in "xls"]) == "[nan, [1.0, nan], nan]"
    assert summary(run).keys() == {"x", "l", "s"}


def test_rule_10_none_leaves_the_last_value(run):
    """A logged None is a null in history; the summary stays as it was, also one set by hand before it."""
    run.log({"x": 1, "y": None})
    run.log({"x": None})
    assert (rows(run), summary(run)) == ({0: {"x": 1, "y": None}, 1: {"x": None}}, {"x": 1})
    run.summary["x"] = 100
    run.log({"x": None})
    assert summary(run) == {"x": 100}


def test_rule_10_histograms(run):
    """tl.Histogram takes a sequence or counts and edges, of at most 512 bins."""
    run.log({"h": tl.Histogram([1, 2, 3, 4], num_bins=2)})
    run.summary["g"] = tl.Histogram(np_histogram=([1, 2], [0.0, 1.0, 2.0]))
    assert summary(run) == {
        "h": {"_type": "histogram", "values": [2, 2], "bins": [1.0, 2.5, 4.0]},
        "g": {"_type": "histogram", "values": [1, 2], "bins": [0.0, 1.0, 2.0]},
    }
    with pytest.raises(ValueError, match="512"):
        tl.Histogram([1, 2], num_bins=513)


def test_rule_10_a_large_array_in_a_row_is_a_histogram(run):
    """More than 32 elements: 33 edges and 32 counts as numpy.histogram has them, non-finite ones counted apart."""
    run.log({"a": np.arange(33), "b": np.array([math.nan, math.inf] + [1.0] * 40), "c": np.zeros(32)})
    counts, edges = np.histogram(np.arange(33), 32)
    kept = summary(run)
    assert kept["a"] == {"_type": "histogram", "values": counts.tolist(), "bins": edges.tolist()}
    assert (kept["b"]["nonfinite"], sum(kept["b"]["values"]), kept["c"]) == (2, 40, [0.0] * 32)


def test_rule_11_an_array_in_the_summary_is_kept_whole(run):
    """The summary holds statistics in float64, the array itself comes back memory-mapped."""
    weights = np.arange(100, dtype=np.float32).reshape(4, 25)
    weights[0, 0] = np.nan
    run.summary["w"] = weights
    entry = summary(run)["w"]
    shown = [entry[key] for key in ("_type", "size", "shape", "dtype", "nonfinite", "min", "max", "mean")]
    assert shown == ["numpy.ndarray", 100, [4, 25], "float32", 1, 1, 99, 50]
    assert entry["var"] == pytest.approx(816.6666666666666)
    back = tl.open(run.dir).run("r").summary.array("w")
    assert isinstance(back, np.memmap)
    np.testing.assert_array_equal(back, weights)


def test_rule_11_statistics_of_arrays_are_columns(run):
    """Each of them is a column of the runs."""
    run.summary["final_weights"] = np.arange(101)
    found = tl.open(run.dir).runs(columns=["summary.final_weights.mean", "summary.final_weights.10%"])
    assert found.drop("run_id").rows() == [(50.0, 10.0)]


def test_rule_11_small_arrays_are_lists_and_objects_are_refused(run):
    """Up to 32 elements nothing is saved; objects never are."""
    run.summary["small"] = np.arange(32)
    with pytest.raises(TypeError, match="object"):
        run.summary["objects"] = np.array([object()] * 40)
    with pytest.raises(TypeError, match="not a saved array"):
        run.summary.array("small")
    assert (summary(run), (Path(run.dir) / "files").exists()) == ({"small": list(range(32))}, False)


def test_rule_11_arrays_inside_nested_dicts_are_kept_too(run):
    """A large array anywhere in a value is saved, under its path."""
    run.summary["layers"] = {"first": np.ones(50), "bias": np.zeros(2)}
    assert (run.summary["layers"]["first"]["mean"], run.summary["layers"]["bias"]) == (1.0, [0.0, 0.0])
    np.testing.assert_array_equal(run.summary.array("layers.first"), np.ones(50))


# --- config


@dataclasses.dataclass
class Model:
    """A part of a config."""

    depth: int
    width: int


@pytest.mark.parametrize(
    "config",
    [
        {"lr": 0.1, "model": {"depth": 3, "width": 8}},
        argparse.Namespace(lr=0.1, model=argparse.Namespace(depth=3, width=8)),
        {"lr": 0.1, "model": Model(3, 8)},
        dataclasses.make_dataclass("Config", ["lr", "model"])(0.1, Model(3, 8)),
    ],
)
def test_rule_12_what_a_config_may_be(tmp_path: Path, config):
    """Mappings, Namespaces and dataclasses, nested in each other: nested in run.config, dotted in tables."""
    with tl.init("p", id="r", dir=tmp_path, config=config) as run:
        assert run.config.as_dict() == {"lr": 0.1, "model": {"depth": 3, "width": 8}}
        assert (run.config.lr, run.config["model"]["depth"], "lr" in run.config) == (0.1, 3, True)
    wanted = ["config.lr", "config.model.depth", "config.model.width"]
    assert tl.open(tmp_path).runs(columns=wanted).drop("run_id").rows() == [(0.1, 3, 8)]


def test_rule_12_a_pydantic_model_is_a_config(tmp_path: Path):
    """Its fields are the keys."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Settings", lr=(float, 0.1))
    with tl.init("p", id="r", dir=tmp_path, config=model()) as run:
        assert run.config.as_dict() == {"lr": 0.1}


def test_rule_12_a_value_changes_only_if_that_is_said(run):
    """Adding is always allowed; another value raises and shows both, unless allow_val_change=True."""
    run.config.update({"lr": 0.1, "model": {"depth": 3, "width": 8}, "nan": math.nan})
    run.config.update({"lr": 0.1, "seed": 1, "nan": math.nan})
    run.config.batch = 32
    with pytest.raises(ConfigError, match=r"config\['lr'\] is 0.1 and would become 0.2"):
        run.config.lr = 0.2
    run.config.update({"lr": 0.2, "model": "tiny"}, allow_val_change=True)
    expected = {"lr": 0.2, "model": "tiny", "seed": 1, "batch": 32}
    assert {key: run.config[key] for key in expected} == expected
    stored = tl.open(run.dir).run("r").config
    assert {key: value for key, value in stored.items() if key != "nan"} == expected
    assert "config.model.depth" not in tl.open(run.dir).runs().columns


def test_rule_12_a_large_array_is_refused_with_a_hint(run):
    """The summary is the place for it."""
    with pytest.raises(TypeError, match=r"run\.summary"):
        run.config.weights = np.zeros(33)
    assert run.config.as_dict() == {}


# --- definitions


def test_rule_13_names_may_be_what_an_earlier_call_returned(run):
    """`define_metric` gives an object that stands for the metric."""
    epoch = run.define_metric("epoch")
    loss = run.define_metric("loss", step_metric=epoch)
    run.define_metric(loss, summary="min")
    assert (epoch.name, run._metrics["loss"]) == ("epoch", {"name": "loss", "step_metric": "epoch", "summary": "min"})


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        ({"name": ""}, "not empty"),
        ({"name": 5}, "not empty"),
        ({"name": "a", "summary": "median"}, "min, max, mean, best"),
        ({"name": "a", "goal": "up"}, "minimize, maximize, min or max"),
        ({"name": "a", "summary": "best"}, "goal='minimize'"),
        ({"name": "a", "hidden": "yes"}, "True, False or None"),
        ({"name": "a", "step_metric": ""}, "not empty"),
        ({"name": "a", "goal": "min", "objective": "max"}, "objective"),
    ],
)
def test_rule_13_errors_list_what_is_accepted(run, arguments, accepted):
    """Each names the argument, what was given and what there is."""
    with pytest.raises(DefinitionError, match=accepted):
        run.define_metric(**arguments)


@pytest.mark.parametrize("kinds", ["min,max", " MIN , Max", ["max", "min"], ("min", "max,min")])
def test_rule_14_kinds_come_as_text_or_list(run, kinds):
    """Lower-cased, separated by commas, blanks around them stripped."""
    run.define_metric("a", summary=kinds)
    for x in (1.0, 3.0):
        run.log({"a": x})
    assert summary(run) == {"a": {"min": 1, "max": 3}}


@pytest.mark.parametrize(("goal", "best"), [("minimize", (1.0, 1)), ("max", (4.0, 2))])
def test_rule_15_best_has_its_step(run, goal, best):
    """The entry is the best value and the earliest step that has it, by goal or objective."""
    run.define_metric("a", summary="best", objective=goal)
    run.define_metric("b", summary="best", goal=goal)
    for x in (3.0, 1.0, 4.0, 1.0):
        run.log({"a": x, "b": x})
    assert summary(run)["a"] == summary(run)["b"] == {"best": best[0], "best_step": best[1]}


def test_rule_16_the_entry_is_what_was_asked_for(run):
    """Any kind makes it a dict, `last` alone too; without a definition it is the plain last value."""
    run.define_metric("l", summary="last")
    run.define_metric("m", summary="min")
    for x in (2, 1):
        run.log({"l": x, "m": x, "p": x})
    assert summary(run) == {"l": {"last": 1}, "m": {"min": 1}, "p": 1}
    shown = [name for name in tl.open(run.dir).runs().columns if name.startswith("summary.")]
    assert shown == ["summary.l.last", "summary.m.min", "summary.p"]


def test_rule_16_none_removes_the_entry_until_another_kind_lifts_it(run):
    """`none` wins over kinds beside it; `copy` warns and means nothing."""
    run.log({"a": 2})
    run.define_metric("a", summary="min,none")
    assert summary(run) == {}
    with pytest.warns(UserWarning, match="copy"):
        run.define_metric("a", summary="copy")
    assert summary(run) == {}
    run.define_metric("a", summary="max")
    assert summary(run) == {"a": {"min": 2, "max": 2}}


def test_rule_17_calls_merge_and_overwrite_starts_afresh(run):
    """Kinds are united, goal and step metric replaced; overwrite=True forgets all of it."""
    run.define_metric("a", summary="min", step_metric="x", goal="min")
    run.define_metric("a", summary="max", step_metric="y", goal="max")
    run.define_metric("a", summary="best")
    run.log({"a": 1.0, "y": 0})
    assert summary(run)["a"] == {"min": 1, "max": 1, "best": 1, "best_step": 0}
    run.define_metric("a", summary="mean", overwrite=True)
    assert summary(run)["a"] == {"mean": 1}
    assert run._metrics["a"] == {"name": "a", "summary": "mean"}


@pytest.mark.parametrize(
    ("glob", "matched"),
    [
        ("*", {"val/loss", "val/acc", "train/loss", "loss"}),
        ("val/*", {"val/loss", "val/acc"}),
        ("*/loss", {"val/loss", "train/loss"}),
        ("*a*l*", {"val/loss", "val/acc", "train/loss"}),
        ("*loss*", {"val/loss", "train/loss", "loss"}),
        ("val/?oss", set()),
        ("[vt]*", set()),
    ],
)
def test_rule_18_a_star_stands_for_any_text(run, glob, matched):
    """Anywhere and as often as wanted; all else is literal, and names with a leading underscore are left alone."""
    run.define_metric(glob, summary="max")
    run.log(dict.fromkeys(["val/loss", "val/acc", "train/loss", "loss"], 1.0))
    assert {name for name, entry in summary(run).items() if entry == {"max": 1}} == matched
    assert run.summary["_step"] == 0


def test_rule_18_one_definition_serves_a_metric(run):
    """The exact name, then the glob with the most literal characters, then the latest; nothing is inherited."""
    run.define_metric("val/*", summary="min")
    run.define_metric("*", summary="max")
    run.define_metric("*loss", summary="mean")
    run.define_metric("val/x", hidden=True)
    run.log({"val/acc": 1.0, "val/loss": 1.0, "other": 1.0, "val/x": 1.0})
    assert summary(run) == {"val/acc": {"min": 1}, "val/loss": {"mean": 1}, "other": {"max": 1}, "val/x": 1}


def test_rule_19_late_definitions_count_all_points(tmp_path: Path):
    """Said before, in between or after the rows, a definition gives the same, live and in the lake."""
    for at in range(4):
        with tl.init("p", id=f"r{at}", dir=tmp_path) as run:
            for step in range(4):
                if step == at:
                    run.define_metric("a*", summary="min,mean")
                if step < 3:
                    run.log({"a": float(5 - step)})
            assert summary(run) == {"a": {"min": 3, "mean": 4}}
    found = tl.open(tmp_path).runs(columns=["summary.a.min", "summary.a.mean"])
    assert found.drop("run_id").unique().rows() == [(3.0, 4.0)]


def test_rule_19_a_resumed_run_counts_all_sessions(tmp_path: Path):
    """A definition made in the second session counts the points of the first."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.log({"a": 1.0})
    with tl.init("p", id="r", dir=tmp_path, resume="must") as run:
        run.define_metric("a", summary="min,count")
        run.log({"a": 2.0})
        assert summary(run) == {"a": {"min": 1, "count": 2}}


def test_rule_20_the_lake_defines_for_past_and_future_runs(tmp_path: Path):
    """For one project or all, merged with what the runs say themselves; the live summary follows at once."""
    lake = tl.open(tmp_path, create=True)
    with tl.init("p", id="past", dir=tmp_path) as past:
        past.log({"a": 1.0, "b": 1.0})
    lake.define_metric("a", summary="max")
    lake.define_metric("b", summary="max", project="other")
    run = tl.init("p", id="r", dir=tmp_path)
    run.define_metric("a", summary="min")
    run.log({"a": 2.0, "b": 2.0})
    assert summary(run) == {"a": {"min": 2, "max": 2}, "b": 2}
    lake.define_metric("a", summary="mean", overwrite=True)
    assert summary(run) == {"a": {"mean": 2}, "b": 2}
    run.finish()
    assert lake.run("past").summary["a"] == {"mean": 1}


def test_rule_21_a_row_without_its_step_metric_gets_the_latest(run):
    """0 if none was ever logged; integers stay integers, chains resolve, and a step metric's text is no number."""
    run.define_metric("loss", step_metric="batch")
    run.define_metric("batch", step_metric="epoch")
    run.log({"loss": 1.0})
    run.log({"epoch": 2, "batch": 20})
    run.log({"loss": 0.5})
    run.log({"batch": "many"})
    run.log({"loss": 0.25})
    assert rows(run) == {
        0: {"loss": 1.0, "batch": 0, "epoch": 0},
        1: {"batch": 20, "epoch": 2},
        2: {"loss": 0.5, "batch": 20, "epoch": 2},
        3: {"batch": "many", "epoch": 2},
        4: {"loss": 0.25, "batch": 20, "epoch": 2},
    }
    assert {type(row["epoch"]) for row in rows(run).values()} == {int}


def test_rule_21_a_value_logged_before_the_definition_counts_as_latest(tmp_path: Path):
    """Also one of an earlier session, and the newest of several."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        for epoch in (3, 4):
            run.log({"epoch": epoch})
    with tl.init("p", id="r", dir=tmp_path, resume="must") as run:
        run.define_metric("loss", step_metric="epoch")
        run.log({"loss": 1.0})
    with tl.init("p", id="r", dir=tmp_path, resume="must") as run:
        run.log({"loss": 0.5})
    assert rows(run) == {0: {"epoch": 3}, 1: {"epoch": 4}, 2: {"epoch": 4, "loss": 1.0}, 3: {"epoch": 4, "loss": 0.5}}


def test_rule_21_a_step_metric_that_was_none_for_a_while_is_looked_up_again(run):
    """The latest number is the latest, also if nobody tracked it when it was logged."""
    run.define_metric("loss", step_metric="epoch")
    run.log({"epoch": 1})
    run.define_metric("loss", overwrite=True)
    run.log({"epoch": 2})
    run.define_metric("loss", step_metric="epoch")
    run.log({"loss": 1.0})
    assert rows(run)[2] == {"loss": 1.0, "epoch": 2}


def test_rule_21_what_an_open_or_late_row_has_is_not_filled_in(run):
    """The step metric may come in another call for the row; the row's own axis `_step` needs no filling."""
    run.define_metric("loss", step_metric="epoch")
    run.define_metric("acc", step_metric="_step")
    run.log({"epoch": 5}, step=0)
    run.log({"loss": 1.0}, step=0)
    run.log({"epoch": 7}, step=1, commit=True)
    run.log({"loss": 2.0}, step=0)
    run.log({"acc": 3.0})
    assert rows(run) == {0: {"epoch": 5, "loss": 2.0}, 1: {"epoch": 7}, 2: {"acc": 3.0}}


def test_rule_21_a_row_that_found_its_step_metric_there_speaks_for_no_other(run):
    """Rows of the same keys that stand alone are filled in, whatever the open row of the first had."""
    run.define_metric("loss", step_metric="batch")
    run.define_metric("batch", step_metric="epoch")
    run.log({"epoch": 1, "batch": 7}, commit=False)
    run.log({"loss": 4.0})
    run.log({"loss": 2.0})
    run.log({"loss": 3.0}, step=0)
    assert rows(run) == {0: {"epoch": 1, "batch": 7, "loss": 3.0}, 1: {"epoch": 1, "batch": 7, "loss": 2.0}}


def test_rule_21_step_sync_can_be_left_out(run):
    """With step_sync=False nothing is filled in; the step metric is still the x axis."""
    run.define_metric("loss", step_metric="epoch", step_sync=False)
    run.log({"epoch": 5})
    run.log({"loss": 1.0})
    assert rows(run) == {0: {"epoch": 5}, 1: {"loss": 1.0}}
    assert tl.open(run.dir).history("loss")["x"].to_list() == [5.0]


def test_rule_21_hidden_metrics_are_not_shown_by_default(run):
    """Not among the columns; asked for they are there."""
    run.define_metric("secret", hidden=True)
    run.log({"secret": 1.0, "a": 2.0})
    lake = tl.open(run.dir)
    assert [name for name in lake.runs().columns if name.startswith("summary.")] == ["summary.a"]
    assert lake.runs(columns=["summary.secret"])["summary.secret"].to_list() == [1.0]


# --- aggregates

NUMBERS = ["count", "min", "max", "mean", "std", "sum"]


@pytest.mark.parametrize(
    ("logged", "numbers", "ends"),
    [
        ([1.0, 2.0], [2, 1, 2, 1.5, math.sqrt(0.5), 3], (1, 2)),
        ([True, "b", [1], None], [0, None, None, None, None, None], (True, [1])),
        ([5], [1, 5, 5, 5, None, 5], (5, 5)),
        ([1.0, math.inf, 2.0], [3, 1, math.inf, math.inf, math.nan, math.inf], (1, 2)),
        ([math.inf, -math.inf], [2, -math.inf, math.inf, math.nan, math.nan, math.nan], (math.inf, -math.inf)),
        ([2.0, math.nan, "x", 4], [2, 2, 4, 3, math.sqrt(2), 6], (2, 4)),
    ],
)
def test_rule_22_aggregates_are_over_numbers(run, logged, numbers, ends):
    """Bools, texts, None and lists never count, NaN neither; infinities do; without a number there is only a count."""
    run.define_metric("a", summary=[*NUMBERS, "first", "last"])
    for value in logged:
        run.log({"a": value})
    entry = summary(run)["a"]
    np.testing.assert_equal([entry.get(kind) for kind in NUMBERS], numbers)
    assert (entry["first"], entry["last"]) == ends


def test_rule_22_nan_and_infinities_are_counted_apart(run):
    """n_nan and n_inf are statistics of every metric."""
    for value in (1.0, math.nan, math.inf, -math.inf, math.nan):
        run.log({"a": value})
    found = tl.open(run.dir).summaries(["a.n_nan", "a.n_inf", "a.count", "a.min"])
    assert found.drop("run_id").rows() == [(2, 2, 3, -math.inf)]


def test_rule_23_last_and_first_are_by_step(run):
    """Of any kind, NaN included and None excluded; of equal extremes the earliest step has it."""
    run.define_metric("a", summary="first,last")
    for step, value in [(9, "end"), (10, None), (2, math.nan), (4, 3.0), (3, 3.0)]:
        run.log({"a": value}, step=step)
    assert (summary(run)["a"]["last"], repr(summary(run)["a"]["first"])) == ("end", "nan")
    found = tl.open(run.dir).summaries(["a.argmax", "a.argmin"])
    assert found.drop("run_id").rows() == [(3, 3)]


# --- edits


def test_rule_24_the_entry_is_what_was_said_last(run):
    """An edit replaces a view, the next row with the key shows the view again; aggregates are never switched off."""
    run.define_metric("a", summary="min")
    run.define_metric("n", summary="none")
    run.log({"a": 3.0, "n": 1})
    run.summary["a"] = "by hand"
    run.summary.n = 2
    assert summary(run) == {"a": "by hand", "n": 2}
    assert tl.open(run.dir).runs(columns=["summary.a.min"])["summary.a.min"].to_list() == [3.0]
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
    tl.open(run.dir).run("r").summary["x"] = 2
    assert summary(run) == {"x": 2}
    api_run = tl.Api(run.dir).run("p/r")
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


# --- resume, rewind, fork, states


def test_rule_29_an_id_that_has_ended_needs_resume(run):
    """The error names resume="allow"; ids are compared without case."""
    run.log({"a": 1})
    run.finish()
    for taken in ("r", "R"):
        with pytest.raises(RunExistsError, match="resume='allow'"):
            tl.init("p", id=taken, dir=run.dir)
    with pytest.raises(RunExistsError, match="never"):
        tl.init("p", id="r", dir=run.dir, resume="never")
    with pytest.raises(RunNotFoundError, match="must"):
        tl.init("p", id="new", dir=run.dir, resume="must")


@pytest.mark.parametrize("resume", ["allow", "must", "auto", True])
def test_rule_29_a_resumed_run_goes_on(tmp_path: Path, resume):
    """At the last step + 1, with its config, name and definitions; its summary covers all sessions."""
    with tl.init("p", id="r", dir=tmp_path, config={"lr": 0.1}, name="nice", tags=["t"]) as run:
        run.define_metric("a", summary="min,max,mean,first,last")
        for x in (3.0, 1.0):
            run.log({"a": x})
    with tl.init(id="r", dir=tmp_path, resume=resume) as run:
        assert (run.step, run.config.lr, run.name, run.tags, run.project) == (2, 0.1, "nice", ("t",), "p")
        run.log({"a": 5.0})
        assert summary(run) == {"a": {"min": 1, "max": 5, "mean": 3, "first": 3, "last": 5}}
    assert list(rows(run)) == [0, 1, 2]


def test_rule_29_a_live_id_is_joined(tmp_path: Path):
    """Two processes write one run; of what both said the later counts."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    run.log({"rank1": 1.0, "both": "theirs"})
    print("logged", flush=True)
    time.sleep(60)
    """
    run = tl.init("p", id="r", dir=tmp_path)
    with start(script, tmp_path) as other:
        assert other.stdout.readline() == "logged\n"
        run.log({"rank0": 2.0, "both": "mine"})
        assert summary(run) == {"both": "mine", "rank0": 2, "rank1": 1}
        run.finish()
        assert tl.open(tmp_path).run("r").state == "running"


def test_rule_29_from_step_takes_back_points_and_edits(tmp_path: Path):
    """Points from that step on, and the edits of the sessions before; raw history still shows the points."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.define_metric("a", summary="max,last")
        for x in (1.0, 9.0, 8.0):
            run.log({"a": x})
        run.summary["note"] = "old"
    with tl.init("p", id="r", dir=tmp_path, from_step=1) as run:
        assert (run.step, summary(run)) == (1, {"a": {"max": 1, "last": 1}})
        run.log({"a": 2.0})
        run.summary["note"] = "new"
        assert summary(run) == {"a": {"max": 2, "last": 2}, "note": "new"}
    assert rows(run) == {0: {"a": 1}, 1: {"a": 2}}
    assert tl.open(tmp_path).history("a", raw=True).height == 4


def test_rule_29_a_fork_begins_with_the_parents_rows(tmp_path: Path):
    """Those below the step, times included; the parent is on record, and stays as it was."""
    with tl.init("p", id="parent", dir=tmp_path, config={"lr": 1}) as parent:
        for x in (1.0, 2.0, 3.0):
            parent.log({"a": x, "n": {"t": "text"}, "l": [1]})
        parent.summary["note"] = "not copied"
    with tl.init("p", id="child", dir=tmp_path, fork_from=("parent", 2)) as child:
        assert child.step == 2
        child.log({"a": 9.0})
        assert summary(child) == {"a": 9, "n": {"t": "text"}, "l": [1]}
    kept = {"a": 1.0, "n.t": "text", "l": [1]}
    assert rows(child) == {0: kept, 1: {**kept, "a": 2.0}, 2: {"a": 9.0}}
    lake = tl.open(tmp_path)
    assert (lake.run("child").parent, lake.run("parent").parent) == (("parent", 2), None)
    times = [lake.run(name).history()["_timestamp"][:2].to_list() for name in ("parent", "child")]
    assert times[0] == times[1]


def test_rule_29_forks_are_checked_before_anything_is_written(run):
    """The parent must be there, the child must not; W&B's way of writing it is accepted."""
    for fork_from in (("nobody", 1), "nobody?_step=1"):
        with pytest.raises(RunNotFoundError, match="unknown run 'nobody'; there are 'r'"):
            tl.init("p", dir=run.dir, fork_from=fork_from)
    for wrong in ("r", ("r", "1"), ("r", True), 5):
        with pytest.raises(tl.TracklakeError, match="accepted are"):
            tl.init("p", dir=run.dir, fork_from=wrong)
    with pytest.raises(RunExistsError):
        tl.init("p", id="r", dir=run.dir, fork_from=("r", 1))
    assert tl.open(run.dir).runs().height == 1


@pytest.mark.parametrize(
    ("code", "state"), [(None, "finished"), (0, "finished"), (3, "failed"), (130, "killed"), (143, "killed")]
)
def test_rule_30_how_a_run_ended(run, code, state):
    """By its exit code: 0, any other, or that of a signal."""
    run.finish(exit_code=code)
    assert tl.open(run.dir).run("r").state == state


def test_rule_30_an_exception_marks_it_failed(tmp_path: Path):
    """Leaving the context by an exception is a failure, by Ctrl-C a kill."""
    for error, state in ((ValueError, "failed"), (KeyboardInterrupt, "killed")):
        with pytest.raises(error), tl.init("p", id=state, dir=tmp_path):
            raise error
        assert tl.open(tmp_path).run(state).state == state


def test_rule_30_without_a_word_it_is_crashed_and_can_go_on(tmp_path: Path):
    """A process that is killed leaves a free lock: the run is crashed, and goes on when it is resumed."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    run.log({"a": 1.0})
    os.kill(os.getpid(), signal.SIGKILL)
    """
    output(script, tmp_path, code=-9)
    lake = tl.open(tmp_path)
    assert lake.run("r").state == "crashed"
    with tl.init("p", id="r", dir=tmp_path, resume="allow") as run:
        run.log({"a": 2.0})
        assert (lake.run("r").state, list(rows(run))) == ("running", [0, 1])
    assert lake.run("r").state == "finished"


def test_rule_30_elsewhere_a_heartbeat_tells_life(run, monkeypatch: pytest.MonkeyPatch):
    """Of a journal of another host the last beat counts: five minutes without one is crashed, a new one running."""
    run.log({"a": 1})
    monkeypatch.setattr(host, "NODE", "another host")
    told = [tl.open(run.dir).run("r").state]
    os.utime(run._session.journal.path, (time.time() - 400,) * 2)
    told.append(tl.open(run.dir).run("r").state)
    run.keep_alive(beat=True)
    told.append(tl.open(run.dir).run("r").state)
    assert told == ["running", "crashed", "running"]
