"""The rules of definitions and of what they aggregate, 13 to 23 of the 30."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from processes import output
from rules import rows, summary

import tracklake as tl
from tracklake.errors import DefinitionError


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
        ({"name": "a", "summary": "mode"}, "min, max, mean, best"),
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
    shown = [name for name in tl.open(run.lake_dir).runs().columns if name.startswith("summary.")]
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
    assert tl.open(run.lake_dir).history("loss")["x"].to_list() == [5.0]


def test_rule_21_hidden_metrics_are_not_shown_by_default(run):
    """Not among the columns; asked for they are there."""
    run.define_metric("secret", hidden=True)
    run.log({"secret": 1.0, "a": 2.0})
    lake = tl.open(run.lake_dir)
    assert [name for name in lake.runs().columns if name.startswith("summary.")] == ["summary.a"]
    assert lake.runs(columns=["summary.secret"])["summary.secret"].to_list() == [1.0]


NUMBERS = ["count", "min", "max", "mean", "std", "sum"]


@pytest.mark.parametrize(
    ("logged", "numbers", "ends"),
    [
        ([1.0, 2.0], [2, 1, 2, 1.5, math.sqrt(0.5), 3], (1, 2)),
        ([True, "b", [1], False, None], [2, 0, 1, 0.5, math.sqrt(0.5), 1], (True, False)),
        (["b", [1], None], [0, None, None, None, None, None], ("b", [1])),
        ([5], [1, 5, 5, 5, None, 5], (5, 5)),
        ([1.0, math.inf, 2.0], [3, 1, math.inf, math.inf, math.nan, math.inf], (1, 2)),
        ([math.inf, -math.inf], [2, -math.inf, math.inf, math.nan, math.nan, math.nan], (math.inf, -math.inf)),
        ([2.0, math.nan, "x", 4], [2, 2, 4, 3, math.sqrt(2), 6], (2, 4)),
    ],
)
def test_rule_22_aggregates_are_over_numbers(run, logged, numbers, ends):
    """Booleans count as 0 and 1, infinities too; strings, None, lists and NaN do not; `count` is always there."""
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
    found = tl.open(run.lake_dir).summaries(["a.n_nan", "a.n_inf", "a.count", "a.min"])
    assert found.drop("run_id").rows() == [(2, 2, 3, -math.inf)]


def test_rule_23_last_and_first_are_by_step(run):
    """Of any kind, NaN included and None excluded; of equal extremes the earliest step has it."""
    run.define_metric("a", summary="first,last")
    for step, value in [(9, "end"), (10, None), (2, math.nan), (4, 3.0), (3, 3.0)]:
        run.log({"a": value}, step=step)
    assert (summary(run)["a"]["last"], repr(summary(run)["a"]["first"])) == ("end", "nan")
    found = tl.open(run.lake_dir).summaries(["a.argmax", "a.argmin"])
    assert found.drop("run_id").rows() == [(3, 3)]


def sync(tmp_path, *calls) -> list[tuple[int, float]]:
    """Log rows of (data, step) with the step metric e for m and k; return the points of e."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.define_metric("m", step_metric="e")
        run.define_metric("k", step_metric="e")
        for data, step in calls:
            run.log(data, step=step)
    return tl.open(tmp_path).history("e").select("step", "value").rows()


def test_rule_21_what_was_filled_in_is_part_of_its_row(tmp_path):
    """A later value of the step metric at another step does not change it."""
    assert sync(tmp_path, ({"m": 1.0}, 5), ({"e": 7}, 2), ({"k": 1.0}, 5)) == [(2, 7.0), (5, 0.0)]


def test_rule_21_a_null_is_present(tmp_path):
    """A step metric that was logged as None stays so, in an open row and in a late one."""
    calls = ({"e": 3}, 0), ({"e": None}, 1), ({"m": 1.0}, 1), ({"e": 4}, 2), ({"k": 1.0}, 1)
    assert sync(tmp_path, *calls) == [(0, 3.0), (1, None), (2, 4.0)]


def test_rule_21_what_was_replaced_in_its_row_is_not_the_latest(tmp_path):
    """Nor is it when a text or a relative takes its place."""
    assert sync(tmp_path, ({"e": 3}, 0), ({"e": 9}, 1), ({"e": "x"}, 1), ({"m": 1.0}, 2))[-1] == (2, 3.0)
    gone = sync(tmp_path / "other", ({"e": 3}, 0), ({"e": 9}, 1), ({"e.x": 1.0}, 1), ({"m": 1.0}, 2))
    assert gone == [(0, 3.0), (2, 3.0)]


def test_rule_21_definitions_of_the_lake_count(tmp_path):
    """A step metric that the lake defines is filled in; an exact one without it stops a glob of the run."""
    lake = tl.open(tmp_path, create=True)
    lake.define_metric("m", step_metric="e")
    lake.define_metric("k", summary="min")
    for resume in (None, "must"):
        with tl.init("p", id="r", dir=tmp_path, resume=resume) as run:
            run.define_metric("*", step_metric="f")
            run.log({"m": 1.0, "f": 2.0, "e": 4.0})
            run.log({"m": 1.0})
            run.log({"k": 1.0})
    assert lake.history("e")["value"].to_list() == [4.0] * 4
    assert lake.history("f")["value"].to_list() == [2.0] * 4  # e needs it as well, k does not


def test_rule_15_the_goal_may_come_from_another_definition(tmp_path):
    """Of the lake or of the run, in one call or several."""
    lake = tl.open(tmp_path, create=True)
    lake.define_metric("acc", goal="max")
    lake.define_metric("acc", summary="best")
    lake.define_metric("loss", goal="min")
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.define_metric("loss", summary="best")
        run.define_metric("f1", goal="max")
        run.log({"acc": 0.5, "loss": 2.0, "f1": 0.25})
    lake.define_metric("f1", summary="best")
    found = {name: lake.run("r").summary[name]["best"] for name in ("acc", "loss", "f1")}
    assert found == {"acc": 0.5, "loss": 2.0, "f1": 0.25}
    with tl.init("p", id="other", dir=tmp_path) as run:
        run.log({"f1": 0.75})
    assert (lake.run("other").summary["f1"], lake.runs(columns=["summary.f1.best"], runs="r").rows()) == (
        0.75,
        [("r", 0.25)],
    )


def test_rule_22_a_glob_leaves_what_is_no_number(run):
    """Strings and lists do not vanish where a kind is asked for by a glob; an exact name means what it says."""
    run.define_metric("*", summary="min")
    run.define_metric("exact", summary="min")
    run.log({"loss": 1.0, "note": "x", "l": [1], "ok": True, "exact": "x"})
    assert summary(run) == {"loss": {"min": 1.0}, "note": "x", "l": [1], "ok": {"min": 0.0}} | {"ok": {"min": 1.0}}
    columns = tl.open(run.lake_dir).runs(columns=None).columns
    assert [name for name in columns if name.startswith("summary.")] == [
        "summary.exact.min", "summary.l.min", "summary.l", "summary.loss.min", "summary.note.min", "summary.note",
        "summary.ok.min",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("logged", "mean", "total", "spread"),
    [
        ([0.1, 0.2, 0.3, 1e16, -1e16], 0.12, 0.6, math.sqrt(2e32 / 4)),
        ([1e308] * 3, 1e308, math.inf, 0.0),
        ([1e308, -1e308, 1.5, 3.0], 1.125, 4.5, math.inf),
        (["x", 1e200, 1e200], 1e200, 2e200, 0.0),
    ],
)
@pytest.mark.parametrize("cut", [None, 1, 4])
def test_rule_22_sums_are_exact_live_and_in_the_lake(tmp_path, logged, mean, total, spread, cut):
    """Nothing is lost by cancellation nor beyond 1e308, whatever was sealed and resumed in between."""
    run = tl.init("p", id="r", dir=tmp_path)
    run.define_metric("a", summary="mean,sum,std")
    for i, x in enumerate(logged):
        if i == cut:
            run.finish()
            tl.open(tmp_path).refresh()
            run = tl.init("p", id="r", dir=tmp_path, resume="must")
        run.log({"a": x})
    live = dict(run.summary["a"])
    run.finish()
    stored = dict(tl.open(tmp_path).run("r").summary["a"])
    assert (live["mean"], live["sum"]) == (stored["mean"], stored["sum"]) == (mean, total)
    assert [live["std"], stored["std"]] == pytest.approx([spread] * 2, rel=1e-12)


def test_rule_22_booleans_have_a_rate_everywhere(tmp_path):
    """Aggregates, columns, SQL, at_best, derived metrics and comparisons take them as 0 and 1; last stays a boolean."""
    for run_id, outcomes in (("a", [True, False, True, True]), ("b", [False, False, True, False])):
        with tl.init("p", id=run_id, dir=tmp_path, config={"method": run_id}) as run:
            for outcome in outcomes:
                run.log({"success": outcome})
    lake = tl.open(tmp_path)
    lake.derive("failure", '1 - "success"')
    for _ in range(2):
        wanted = ["success.mean", "success.last", "failure.mean", "success.argmax"]
        assert lake.summaries(wanted).rows() == [("a", 0.75, True, 0.25, 0), ("b", 0.25, False, 0.75, 2)]
        assert lake.sql('SELECT CAST("summary.success" AS DOUBLE) FROM runs ORDER BY run_id').rows() == [(1.0,), (0.0,)]
        assert lake.at_best("success", goal="max")["step"].to_list() == [0, 2]
        assert lake.history("success", runs="b").select("value", "text").row(2) == (1.0, "true")
        assert lake.compare("success.mean", by="method", goal="max").table["mean"].to_list() == [0.75, 0.25]
        lake.refresh()


def test_rule_21_a_definition_of_the_lake_counts_from_the_next_sign_of_life(tmp_path):
    """A run that is being written takes over what the lake defines meanwhile, and keeps its own definitions."""
    lake = tl.open(tmp_path, create=True)
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.define_metric("k", step_metric="f")
        run.log({"m": 1.0, "e": 5, "f": 7})
        lake.define_metric("m", step_metric="e")
        run.keep_alive(beat=True)
        run.log({"m": 2.0, "k": 1.0})
    assert lake.history(["e", "f"]).select("metric", "step", "value").rows() == [
        ("e", 0, 5.0), ("e", 1, 5.0), ("f", 0, 7.0), ("f", 1, 7.0),
    ]  # fmt: skip


def test_rule_23_what_the_lake_defines_counts_at_once_for_a_run_that_logs(tmp_path: Path):
    """A run of this process takes it over with the call, one of another process within a second or two."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"e": 3})
        tl.open(tmp_path).define_metric("m", step_metric="e")
        run.log({"m": 1})
        output("tl.open(sys.argv[1]).define_metric('k', step_metric='e')", tmp_path)
        until = time.monotonic() + 120
        while "k" not in {statement.name for statement in run._statements} and time.monotonic() < until:
            time.sleep(0.05)
        run.log({"k": 1})
    assert tl.open(tmp_path).history("e")["step"].to_list() == [0, 1, 2]
