"""Derived values of runs, and columns of the runs in expressions: one rule whichever runs are asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.schema.values import store

COST = '"summary.loss.min" * "config.k"'


def log(folder: Path, values: dict[str, object], **more: float) -> tl.Lake:
    """Log a run of one row for each value of config.k."""
    for run_id, k in values.items():
        with tl.init("p", id=run_id, config={"k": k}, dir=folder) as run:
            run.log({"loss": 1.0, **more})
    return tl.open(folder)


def say(folder: Path, run_id: str, k: object) -> None:
    """Change config.k of a run."""
    with tl.init("p", id=run_id, resume="must", dir=folder) as run:
        run.config.update({"k": k}, allow_val_change=True)


@pytest.fixture
def mixed(tmp_path: Path) -> tl.Lake:
    """Four runs of which config.k is 2, "two", 3 and true, with a metric and a value derived from it."""
    log(tmp_path, {"a": 2})
    lake = tl.open(tmp_path)
    lake.derive("perk", '"loss" * "config.k"')
    lake.derive("cost", COST)
    return log(tmp_path, {"b": "two", "c": 3, "e": True})


def test_a_column_has_the_type_that_it_has_over_all_runs(mixed: tl.Lake):
    """Of a mix the numbers count, whichever runs are asked for: texts and truths beside them give no value."""
    assert mixed.history("perk").select("run_id", "value").rows() == [("a", 2.0), ("c", 3.0)]
    assert [mixed.history("perk", runs=run_id)["value"].to_list() for run_id in "abce"] == [[2.0], [], [3.0], []]
    text = "SELECT value FROM history WHERE metric = 'perk' AND run_id IN ('c', 'e')"
    assert mixed.sql(text).rows() == [(3.0,)]
    columns = ["summary.cost", "summary.perk"]
    rows = [("a", 2.0, 2.0), ("b", None, None), ("c", 3.0, 3.0), ("e", None, None)]
    assert mixed.runs(columns=columns).rows() == rows
    assert [mixed.runs(runs=run_id, columns=columns).row(0) for run_id in "abce"] == rows


def test_summaries_of_runs_without_a_derived_value(mixed: tl.Lake):
    """What cannot be answered of a run is absent from its summary, and the rest is there."""
    assert "perk" not in mixed.run("b").summary
    assert mixed.run("b").summary["loss"] == 1.0
    assert tl.Api(mixed.dir).run("e").summary.get("cost") is None
    assert mixed.run("c").summary["cost"] == 3.0


def test_a_derivation_that_became_void(tmp_path: Path):
    """A column that has become text voids what is derived from it, and nothing else; who asks is warned."""
    lake = log(tmp_path, {"a": 2})
    lake.derive("perk", '"loss" * "config.k"')
    lake.derive("cost", COST)
    say(tmp_path, "a", "x")
    with pytest.warns(UserWarning, match=r"'cost' is derived, but has no values: .* cannot be answered") as heard:
        assert lake.runs(columns=["summary.cost"])["summary.cost"].to_list() == [None]
    assert [warning.filename for warning in heard] == [__file__]
    with pytest.warns(UserWarning, match=r"'perk' is derived, but has no values: .* cannot be answered"):
        assert lake.history("perk").is_empty()
        assert [key for key in lake.run("a").summary if not key.startswith("_")] == ["loss"]
        assert lake.sql("SELECT count(*) FROM summaries WHERE metric = 'loss' AND stat = 'max'").item() == 1
    say(tmp_path, "a", 5)
    assert lake.history("perk")["value"].to_list() == [5.0]


def test_a_derivation_of_a_key_that_is_gone(tmp_path: Path):
    """A key set by hand that was deleted leaves what is derived from it without values."""
    lake = log(tmp_path, {"a": 2})
    lake.run("a").summary["ref"] = 4.0
    lake.derive("rel", '"loss" / "summary.ref"')
    assert lake.run("a").summary["rel"] == 0.25
    del lake.run("a").summary["ref"]
    assert lake.history("rel").is_empty()
    assert lake.run("a").summary.get("rel") is None


@pytest.mark.parametrize(
    ("name", "expression", "message"),
    [
        ("x", '"config.k" * 2', "cannot be answered"),
        ("x", 'CAST("config.k" AS DOUBLE)', "cannot be answered"),
        ("x", '"tags"', "gives List(String); a value of a run is a number, truth, text or date"),
        ("loss.max", '"runtime" * 2', "'loss.max' is a statistic of 'loss'"),
        ("loss.max", '"loss" * 2', "'loss.max' is a statistic of 'loss'"),
        ("cost.more", '"runtime" * 2', "'cost.more' and 'cost' cannot both be entries of a summary"),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path: Path, name: str, expression: str, message: str):
    """A value of a run is computed when it is said: what gives no number, truth, text or date is refused."""
    lake = log(tmp_path, {"a": "adam", "b": "sgd"})
    lake.derive("cost", '"runtime" * 0')
    with pytest.raises(DefinitionError, match=re.escape(message)):
        lake.derive(name, expression)
    assert lake.runs(columns=["summary.*"])["summary.cost"].to_list() == [0.0, 0.0]


def test_texts_and_truths_of_runs(tmp_path: Path):
    """A value of a run may be a text or a truth as well."""
    lake = log(tmp_path, {"a": "adam", "b": "sgd"})
    lake.derive("label", "\"config.k\" || '-1'")
    lake.derive("is_adam", "\"config.k\" = 'adam'")
    columns = ["summary.label", "summary.is_adam"]
    assert lake.runs(columns=columns).rows() == [("a", "adam-1", True), ("b", "sgd-1", False)]
    assert lake.run("b").summary["is_adam"] is False
    found = lake.sql("SELECT text FROM summaries WHERE stat = 'entry' AND metric = 'label' ORDER BY run_id")
    assert found["text"].to_list() == ["adam-1", "sgd-1"]


def test_dates_and_times_of_runs(tmp_path: Path):
    """A date and a time of day are texts, as when they are logged, and a duration is seconds."""
    lake = log(tmp_path, {"a": 1})
    lake.derive("day", "CASE WHEN runtime >= 0 THEN DATE '2026-01-02' END")
    lake.derive("hour", "CASE WHEN runtime >= 0 THEN TIME '03:04:05' END")
    lake.derive("took", "created_at - (created_at - INTERVAL '90 seconds')")
    lake.derive("began", '"created_at"')
    found = lake.runs(columns=["summary.day", "summary.hour", "summary.took"])
    assert found.rows() == [("a", "2026-01-02", "03:04:05", 90.0)]
    created = lake.runs(columns=["created_at"])["created_at"].item()
    assert lake.run("a").summary["began"] == created.isoformat()


def test_parts_of_texts(tmp_path: Path):
    """A function of texts, such as a part of the name of a run, looks at one row."""
    lake = log(tmp_path, {"a1": 1, "b2": 2})
    lake.derive("team", "upper(substr(run_id, 1, 1))")
    assert lake.summaries("team")["team"].to_list() == ["A", "B"]


@pytest.fixture
def cost(tmp_path: Path) -> tl.Lake:
    """Three runs with a derived value, of which the last logs its name itself, and the second has set it by hand."""
    lake = log(tmp_path, {"a": 1, "b": 2})
    lake.derive("cost", COST)
    lake.run("b").summary["cost"] = 44.0
    return log(tmp_path, {"c": 3}, cost=55.0)


def test_what_a_run_says_itself_holds(cost: tl.Lake):
    """A run that logs or sets the name has what it said, the others what is computed, wherever it is asked for."""
    expected = {"a": 1.0, "b": 44.0, "c": 55.0}
    assert dict(cost.runs(columns=["run_id", "summary.cost"]).iter_rows()) == expected
    assert dict(cost.summaries("cost").iter_rows()) == expected
    assert {i: cost.run(i).summary["cost"] for i in "abc"} == expected
    assert {i: tl.Api(cost.dir).run(i).summary["cost"] for i in "abc"} == expected
    text = "SELECT run_id, value FROM summaries WHERE metric = 'cost' AND stat = 'entry'"
    assert dict(cost.sql(text).iter_rows()) == expected
    assert cost.compare("cost", by="k", stat="last", goal="max").table["mean"].to_list() == [55.0, 44.0, 1.0]
    assert cost.query("leaderboard", metric="cost", goal="max", stat="entry")["value"].to_list() == [55.0, 44.0, 1.0]


def test_history_and_statistics_are_of_what_was_logged(cost: tl.Lake):
    """Where some run has logged the name, its history and statistics are those."""
    assert cost.history("cost")["value"].to_list() == [55.0]
    assert cost.summaries("cost.max")["cost.max"].to_list() == [None, None, 55.0]


def test_comparisons_of_a_name_that_a_run_logged_are_of_its_history(tmp_path: Path):
    """Where some run has logged the name, it is compared by the best of its history, or by what statistic is asked."""
    lake = log(tmp_path, {"a": 1})
    lake.derive("cost", COST)
    with tl.init("p", id="b", config={"k": 2}, dir=tmp_path) as run:
        for value in (3.0, 9.0, 5.0):
            run.log({"cost": value})
    assert lake.compare("cost", by="k", goal="max").table["mean"].to_list() == [9.0, None]
    assert lake.compare("cost", by="k", stat="min", goal="max").table["mean"].to_list() == [3.0, None]
    assert lake.compare("cost", by="k", stat="last", goal="max").table["mean"].to_list() == [5.0, 1.0]


def test_to_delete_an_entry_takes_back_what_was_said_by_hand(cost: tl.Lake):
    """The computed value stands again, but in a run that has logged the name."""
    for run_id in "abc":
        del cost.run(run_id).summary["cost"]
    assert cost.summaries("cost")["cost"].to_list() == [1.0, 2.0, None]
    assert {i: cost.run(i).summary.get("cost") for i in "abc"} == {"a": 1.0, "b": 2.0, "c": None}


def test_deleted_entries_above_and_under_a_computed_one(tmp_path: Path):
    """What stands above or under it hides it, until it is deleted, whichever entries are asked for."""
    lake = log(tmp_path, {"a": 1})
    lake.derive("cost.gpu", COST)
    summary = lake.run("a").summary
    summary["cost"] = 5.0
    assert lake.run("a").summary["cost"] == 5.0
    summary["cost.tpu"] = 7.0
    assert lake.run("a").summary["cost"] == {"gpu": 1.0, "tpu": 7.0}
    assert lake.summaries("cost.gpu")["cost.gpu"].to_list() == [1.0]
    summary["cost"] = 6.0
    assert lake.summaries("cost.gpu")["cost.gpu"].to_list() == [None]
    del summary["cost"]
    assert lake.run("a").summary["cost"] == {"gpu": 1.0}


def test_a_metric_under_one_that_runs_log_is_refused(tmp_path: Path):
    """The entry of a derived metric or an alias would hide that of the metric above it."""
    lake = log(tmp_path, {"a": 1}, acc=0.5)
    for say in (lambda: lake.derive("loss.gap", "loss - acc"), lambda: lake.alias("loss.top", "acc")):
        with pytest.raises(DefinitionError, match=r"'loss\.(gap|top)' and 'loss' cannot both be entries of a summary"):
            say()
    assert lake.run("a").summary["loss"] == 1.0


def test_a_name_above_or_under_an_entry_is_refused(tmp_path: Path):
    """It would be hidden by what runs log or have set by hand; what was deleted does not stand in the way."""
    lake = log(tmp_path, {"a": 2}, **{"eval.acc": 1.0})
    summary = lake.run("a").summary
    summary["power.peak"] = 3.0
    for name, other in {"loss.cost": "loss", "eval": "eval.acc", "power": "power.peak"}.items():
        with pytest.raises(DefinitionError, match=f"'{name}' and '{other}' cannot both be entries of a summary"):
            lake.derive(name, COST)
    del summary["power"]
    lake.derive("power", COST)
    assert lake.run("a").summary["power"] == 2.0
    with pytest.raises(DefinitionError, match=r"'power\.more' and 'power' cannot both be entries"):
        lake.derive("power.more", '"loss" * 2')


def test_an_entry_under_which_a_run_logged(tmp_path: Path):
    """A run that has logged something under the name has no computed entry above it."""
    lake = log(tmp_path, {"a": 1, "b": 2})
    lake.derive("cost", COST)
    with tl.init("p", id="a", resume="must", dir=tmp_path) as run:
        run.log({"cost": {"gpu": 7.0}})
    assert lake.run("a").summary["cost"] == {"gpu": 7.0}
    assert lake.run("b").summary["cost"] == 2.0


def test_a_value_has_no_history_and_no_statistics(tmp_path: Path):
    """Who asks for them is told so, and where it is, instead of getting nothing."""
    lake = log(tmp_path, {"a": 1, "b": 2})
    lake.derive("cost", COST)
    lake.define_metric("cost", goal="min")
    for ask in (
        lambda: lake.summaries("cost.max"),
        lambda: lake.summaries("cost.p95"),
        lambda: lake.history("cost"),
        lambda: lake.at_best("cost", goal="min"),
        lambda: lake.compare("cost", by="k", stat="max"),
        lambda: lake.query("learning_curve", metric="cost"),
        lambda: lake.query("leaderboard", metric="cost", stat="max"),
    ):
        with pytest.raises(UnknownNameError, match=r"'cost' is derived as one value a run.*'summary\.cost'"):
            ask()
    with pytest.raises(UnknownNameError, match=r'Here: stat="entry"'):
        lake.query("leaderboard", metric="cost", stat="max")
    with pytest.raises(UnknownNameError, match=r"did you mean 'summary\.cost'"):
        lake.runs(columns=["summary.cost.max"])
    assert lake.compare("cost", by="k").table["mean"].to_list() == [1.0, 2.0]


def test_metrics_with_the_names_of_columns_of_points(tmp_path: Path):
    """A metric called step, ts or value stands in an expression like any other."""
    lake = log(tmp_path, {"a": 1}, step=100.0, ts=20.0, value=3.0)
    lake.derive("total", '"step" + "ts" + "value"')
    assert lake.history("total")["value"].to_list() == [123.0]


def test_a_metric_of_those_under_its_name(tmp_path: Path):
    """A metric may follow from metrics under its name and their statistics, not from entries, which it would hide."""
    lake = log(tmp_path, {"a": 1}, **{"all.ce": 2.0, "all.kl": 1.0})
    lake.derive("all", '"all.ce" + "all.kl" - "summary.all.kl.min"')
    assert lake.summaries("all.max")["all.max"].to_list() == [2.0]
    summary = lake.run("a").summary
    assert (summary["all"], summary["all.ce"], summary["all.kl"]) == (2.0, 2.0, 1.0)
    with pytest.raises(DefinitionError, match="'all' would need itself: all <- all"):
        lake.derive("all", '"all.ce" + "summary.all.kl"')


@pytest.mark.parametrize(
    "said",
    [{"bad": '"loss" +'}, {"bad": '"worse" + 1', "worse": '"bad" + 1'}, {"bad": '"bad" + 1'}],
    ids=["unreadable", "circle", "itself"],
)
def test_what_was_said_but_cannot_be_is_left_out(tmp_path: Path, said: dict[str, str]):
    """A derivation that got past the checks has no values, with a warning, and is taken back like any other."""
    lake = log(tmp_path, {"a": 1})
    lake.derive("double", '"loss" * 2')
    for name, expression in said.items():
        lake._say(("derive", name, store({"expression": expression}, name=name)), project=None)
    with pytest.warns(UserWarning, match="'(bad|worse)' is derived, but has no values"):
        assert lake.summaries("double.max")["double.max"].to_list() == [2.0]
    assert "bad" not in lake.metrics
    assert "bad" in lake.sql("SELECT name FROM definitions")["name"].to_list()
    for name in said:
        lake.derive(name, None)
    assert lake.metrics == ["double", "loss"]


def test_what_cannot_be_is_replaced(tmp_path: Path):
    """A sound expression takes the place of one that cannot be read."""
    lake = log(tmp_path, {"a": 1})
    lake._say(("derive", "double", store({"expression": '"loss" *'}, name="double")), project="p")
    with pytest.warns(UserWarning, match=r"lake\.derive\('double', None, project='p'\) takes it back"):
        lake.derive("double", '"loss" * 2', project="p")
    assert lake.summaries("double.max")["double.max"].to_list() == [2.0]
