"""`lake.define_metric`: definitions for a project or the whole lake, for runs of yesterday and tomorrow."""

from __future__ import annotations

import pytest

import tracklake as tl
from tracklake.errors import DefinitionError


def log(root, run_id, *, project="p", define=()):
    with tl.init(project, id=run_id, dir=root) as run:
        for name, said in define:
            run.define_metric(name, **said)
        for loss in (3.0, 1.0, 2.0):
            run.log({"val/loss": loss, "epoch": run.step, "(a|b)+": loss})
    return tl.open(root)


def shown(lake, *, project=None):
    return [c.removeprefix("summary.") for c in lake.runs(project).columns if c.startswith("summary.")]


def test_a_definition_counts_for_past_and_future_runs(tmp_path):
    """It changes what is shown of runs that are over, and of those that come."""
    lake = log(tmp_path, "old")
    lake.refresh()
    lake.define_metric("val/*", summary="min", goal="min")
    log(tmp_path, "new")
    assert shown(lake) == ["(a|b)+", "epoch", "val/loss.min"]
    assert lake.run("old").summary["val/loss"] == {"min": 1.0}
    assert lake.run("new").summary["val/loss"] == {"min": 1.0}
    assert lake.summaries(["val/loss.best", "val/loss.best_step"]).rows() == [("old", 1.0, 1), ("new", 1.0, 1)]


def test_a_definition_for_a_project_leaves_the_others_alone(tmp_path):
    """Only the runs of that project follow it."""
    log(tmp_path, "a")
    lake = log(tmp_path, "b", project="q")
    lake.define_metric("val/loss", summary="max", project="q")
    assert shown(lake, project="p") == ["(a|b)+", "epoch", "val/loss"]
    assert shown(lake, project="q") == ["(a|b)+", "epoch", "val/loss.max"]
    assert lake.run("a").summary["val/loss"] == 2.0


def test_it_merges_with_what_the_run_said_of_the_name(tmp_path):
    """Kinds are united in the order of SUMMARY_KINDS; with overwrite it replaces what was said before."""
    lake = log(tmp_path, "a", define=[("val/loss", {"summary": "last"})])
    lake.define_metric("val/loss", summary="min")
    assert lake.run("a").summary["val/loss"] == {"min": 1.0, "last": 2.0}
    lake.define_metric("val/loss", summary="max", overwrite=True)
    assert lake.run("a").summary["val/loss"] == {"max": 3.0}
    log(tmp_path, "b", define=[("val/loss", {"summary": "mean"})])  # said after the lake's
    assert lake.run("b").summary["val/loss"] == {"max": 3.0, "mean": 2.0}


def test_an_exact_name_of_the_run_wins_over_a_glob_of_the_lake(tmp_path):
    """Precedence is by name, whoever said it: exact, then the longest glob."""
    lake = log(tmp_path, "a", define=[("val/loss", {"summary": "last"})])
    lake.define_metric("val/*", summary="min")
    assert lake.run("a").summary["val/loss"] == {"last": 2.0}
    log(tmp_path, "b")
    assert lake.run("b").summary["val/loss"] == {"min": 1.0}


def test_none_and_hidden_take_a_metric_out_of_the_default_columns(tmp_path):
    """They can be lifted, and the columns can be asked for either way."""
    lake = log(tmp_path, "a")
    lake.define_metric("val/loss", hidden=True)
    lake.define_metric("epoch", summary="none")
    assert shown(lake) == ["(a|b)+"]
    assert lake.runs(columns=["summary.val/loss", "summary.epoch.max"]).row(0) == ("a", 2.0, 2.0)
    lake.define_metric("val/loss", hidden=False)
    lake.define_metric("epoch", summary="max")
    assert shown(lake) == ["(a|b)+", "epoch.max", "val/loss"]


def test_names_that_look_like_regular_expressions_are_plain_names(tmp_path):
    """Only the star means something in a name."""
    lake = log(tmp_path, "a")
    lake.define_metric("(a|b)+", summary="max")
    lake.define_metric("val.loss", summary="max")
    lake.define_metric("[ev]*", summary="max")
    assert shown(lake) == ["(a|b)+.max", "epoch", "val/loss"]


def test_a_step_metric_of_the_lake_is_the_default_x(tmp_path):
    """It is an axis for reading; rows that were logged without it are left as they are."""
    lake = log(tmp_path, "a")
    lake.define_metric("val/loss", step_metric="epoch")
    assert lake.history("val/loss")["x"].to_list() == [0.0, 1.0, 2.0]


def test_definitions_are_kept_when_they_are_sealed(tmp_path):
    """A refresh seals the lake's own statements too."""
    lake = log(tmp_path, "a")
    lake.define_metric("val/loss", summary="min")
    before = lake.runs()
    lake.refresh()
    assert lake.runs().equals(before)
    assert tl.open(tmp_path).run("a").summary["val/loss"] == {"min": 1.0}
    assert lake.refresh().journals == 0


def test_the_lake_of_definitions_is_no_run(tmp_path):
    """Lake-level statements make no run, no metric and no project."""
    lake = tl.open(tmp_path, create=True)
    lake.define_metric("loss", summary="min")
    assert lake.runs().is_empty()
    assert lake.history().is_empty()
    lake.refresh()
    assert lake.runs().is_empty()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"name": "", "summary": "min"}, "name='' cannot be"),
        ({"name": "loss", "summary": "best"}, "'best' together with goal="),
        ({"name": "loss", "goal": "up"}, "goal='up' cannot be; accepted: minimize, maximize, min or max"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_before_anything_is_written(tmp_path, how, message):
    """The error lists what is accepted, and no journal is made."""
    lake = tl.open(tmp_path, create=True)
    with pytest.raises(DefinitionError, match=message):
        lake.define_metric(**how)
    assert list((tmp_path / "journal").iterdir()) == []
