"""The rules of names, values and configs, 8 to 12 of the 30."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import datetime as dt
import enum
import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from rules import rows, summary

import tracklake as tl
from tracklake.errors import ConfigError


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
    lake = tl.open(run.lake_dir)
    assert lake.history(r"train\.loss")["metric"].to_list() == ["train.loss"]
    assert lake.at_best(r"train\.loss", goal="min", take=[r"train\.acc"])["train.acc"].to_list() == [1]
    assert lake.summaries([r"train\.loss.max"]).columns == ["run_id", r"train\.loss.max"]


def test_rule_08_keys_inside_a_config_become_texts(run):
    """A map by numbers, such as of labels, is kept; its keys are texts, as they are stored."""
    run.config.update({"labels": {0: "cat", 1: {None: "dog"}}})
    run.config.update({"labels": {"0": "cat", "1": {"None": "dog"}}})  # the same
    expected = {"labels": {"0": "cat", "1": {"None": "dog"}}}
    assert (run.config.as_dict(), tl.open(run.lake_dir).run("r").config) == (expected, expected)


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
    assert rows(run) == {0: {"a.x": 3, "b": 1}}
    assert summary(run) == {"a": {"x": 3}, "b": 1}


def test_rule_09_rows_of_relatives_replace_also_when_logged_often(run):
    """Rows that were seen before and late rows are no exception."""
    for step in range(3):
        run.log({"a.b": step}, step=step)
        run.log({"a": 10 + step}, step=step)
    run.log({"a.b": 7}, step=0)
    assert rows(run) == {0: {"a.b": 7}, 1: {"a": 11}, 2: {"a": 12}}


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
    assert tl.open(run.lake_dir).run("r").config == {"c": kept} == run.config.as_dict()
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
    back = tl.open(run.lake_dir).run("r").summary.array("w")
    assert isinstance(back, np.memmap)
    np.testing.assert_array_equal(back, weights)


def test_rule_11_statistics_of_arrays_are_columns(run):
    """Each of them is a column of the runs."""
    run.summary["final_weights"] = np.arange(101)
    found = tl.open(run.lake_dir).runs(columns=["summary.final_weights.mean", "summary.final_weights.10%"])
    assert found.drop("run_id").rows() == [(50.0, 10.0)]


def test_rule_11_small_arrays_are_lists_and_objects_are_refused(run):
    """Up to 32 elements nothing is saved; objects never are."""
    run.summary["small"] = np.arange(32)
    with pytest.raises(TypeError, match="object"):
        run.summary["objects"] = np.array([object()] * 40)
    with pytest.raises(TypeError, match="not a saved array"):
        run.summary.array("small")
    assert (summary(run), (Path(run.lake_dir) / "files").exists()) == ({"small": list(range(32))}, False)


def test_rule_11_arrays_inside_nested_dicts_are_kept_too(run):
    """A large array anywhere in a value is saved, under its path."""
    run.summary["layers"] = {"first": np.ones(50), "bias": np.zeros(2)}
    assert (run.summary["layers"]["first"]["mean"], run.summary["layers"]["bias"]) == (1.0, [0.0, 0.0])
    np.testing.assert_array_equal(run.summary.array("layers.first"), np.ones(50))


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
    stored = tl.open(run.lake_dir).run("r").config
    assert {key: value for key, value in stored.items() if key != "nan"} == expected
    assert "config.model.depth" not in tl.open(run.lake_dir).runs().columns


def test_rule_12_a_large_array_is_refused_with_a_hint(run):
    """The summary is the place for it."""
    with pytest.raises(TypeError, match=r"run\.summary"):
        run.config.weights = np.zeros(33)
    assert run.config.as_dict() == {}


def test_rule_09_names_of_one_call_never_mask_each_other(run):
    """All are kept, in a row as in an edit; where nesting would clash the mapping shows the flat key."""
    run.log({"lat": {"p50": 1, "p99": 2, "p99.9": 3}, "norm/enc": 4, "norm/enc.0": 5})
    run.summary["q"] = {"p99": 2.0, "p99.9": 3.0}
    assert summary(run) == {
        "lat": {"p50": 1, "p99": 2, "p99.9": 3},
        "norm/enc": 4,
        "norm/enc.0": 5,
        "q": {"p99": 2.0, "p99.9": 3.0},
    }
    assert (run.summary["q.p99"], run.summary["q"]["p99.9"], run.summary["lat"]["p99"]) == (2.0, 3.0, 2)
    assert tl.open(run.sync_dir).runs(columns=["summary.lat.p99", "summary.q.p99"]).rows() == [("r", 2, 2.0)]


def test_rule_09_parts_of_a_name_may_be_empty(run):
    """The empty part is a name like others, and never the root."""
    run.log({".a": 1, "b": 2, "c.": 3, ".": 4})
    assert summary(run) == {"": {"": 4, "a": 1}, "b": 2, "c": {"": 3}}
    assert dict(run.summary[""]) == {"": 4, "a": 1}
    run.summary[""]["a"] = 5
    assert (run.summary[".a"], run.summary[""]["a"], run.summary["b"]) == (5, 5, 2)


def test_rule_12_a_change_inside_a_value_is_stored_or_refused(run):
    """A new key is stored at once, another value needs allow_val_change, and nothing is lost."""
    run.config.update({"data": {"k": 1, "l": [1, 2]}})
    run.config["data"]["new"] = {"x": 5}
    run.config.data["new"]["y"] = 6
    for change in (
        lambda: run.config["data"].__setitem__("k", 2),
        lambda: run.config["data"]["l"].append(3),
        lambda: run.config["data"].pop("k"),
    ):
        with pytest.raises(ConfigError):
            change()
    run.config.update({"data": {"k": 2, "l": [1], "new": {}}}, allow_val_change=True)
    run.config["data"]["new"]["z"] = 7
    wanted = {"data": {"k": 2, "l": [1], "new": {"z": 7}}}
    assert run.config == wanted == tl.open(run.lake_dir).run("r").config
    assert json.loads(json.dumps(dict(run.config))) == wanted == copy.deepcopy(dict(run.config))


def test_rule_12_a_value_without_a_stored_form_becomes_its_text(tmp_path):
    """One warning names the key; the run is not stopped."""
    with pytest.warns(UserWarning, match="config.'activation'.*its text is kept") as warned:
        run = tl.init("p", id="r", dir=tmp_path, config={"activation": Colour, "lr": 0.1})
    run.finish()
    assert [one.category for one in warned].count(UserWarning) == 1
    assert tl.open(tmp_path).run("r").config == {"activation": "<enum 'Colour'>", "lr": 0.1}


def test_rule_10_bytes_that_are_no_text_cannot_be_stored(run):
    """In a row they are left out with a warning, in the summary refused."""
    with pytest.warns(UserWarning, match="'b' cannot be stored: bytes that are not UTF-8"):
        run.log({"b": b"\xff", "c": "é".encode()})
    with pytest.raises(TypeError):
        run.summary["b"] = b"\xff"
    assert summary(run) == {"c": "é"}


def test_rule_09_what_a_row_replaced_leaves_no_column(run):
    """Neither in the table of runs nor in the history; all points are in raw=True."""
    run.log({"n": 1.0}, commit=False)
    run.log({"n.p": 2.0})
    lake = tl.open(run.lake_dir)
    for _ in range(2):
        assert [name for name in lake.runs().columns if name.startswith("summary.")] == ["summary.n.p"]
        assert (lake.run("r").metrics, rows(run)) == (["n.p"], {0: {"n.p": 2.0}})
        assert lake.history(raw=True)["metric"].to_list() == ["n", "n", "n.p"]
        lake.refresh()
