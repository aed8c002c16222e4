from __future__ import annotations

import warnings
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklake.errors import DefinitionError
from tracklake.schema.definition_statement import Statement, statement
from tracklake.schema.definitions import Definitions, MetricDefinition
from tracklake.schema.statistics import SUMMARY_KINDS

NAMES = st.text(alphabet="ab*/.", min_size=1, max_size=6)
STATEMENTS = st.builds(
    Statement,
    name=NAMES,
    summary=st.none() | st.frozensets(st.sampled_from([*SUMMARY_KINDS, "none"])),
    step_metric=st.none() | st.text(min_size=1),
    step_sync=st.none() | st.booleans(),
    hidden=st.none() | st.booleans(),
    goal=st.sampled_from([None, "min", "max"]),
    overwrite=st.booleans(),
)


def kinds_after(*summaries):
    """Return (kinds, none) of `loss` after one call for each summary."""
    definition = Definitions(statement("loss", summary=summary) for summary in summaries)["loss"]
    return definition.kinds, definition.none


@pytest.mark.parametrize(
    ("summary", "kinds"),
    [
        ("min", {"min"}),
        ("min,max,mean,last,first", {"min", "max", "mean", "last", "first"}),
        (" MIN , Std", {"min", "std"}),
        (["sum", "count"], {"sum", "count"}),
        (("min, max", "min"), {"min", "max"}),
        ("min,none", {"min", "none"}),
        ("", None),
        ([], None),
        (None, None),
    ],
)
def test_summary_kinds(summary, kinds):
    """Kinds come as a text with commas or as a list, in any case and with blanks (rule 14)."""
    assert statement("loss", summary=summary).summary == kinds


@pytest.mark.parametrize("summary", ["mode", "min,", "min;max", ",", 5, ["min", 5], "p95"])
def test_an_unknown_kind_is_refused_with_the_accepted_ones(summary):
    """The error lists every kind that there is."""
    with pytest.raises(DefinitionError, match="min, max, mean, best, last, first, std, sum, count, median, none, copy"):
        statement("loss", summary=summary)


def test_copy_warns_and_means_nothing():
    """The kind `copy` leaves nothing behind but a warning."""
    with pytest.warns(UserWarning, match="copy"):
        said = [statement("a", summary="copy"), statement("a", summary="copy,min")]
    assert [one.summary for one in said] == [None, {"min"}]


def test_other_kinds_do_not_warn():
    """Nothing else is worth a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        statement("a", summary="min,none")


@pytest.mark.parametrize(
    ("summaries", "expected"),
    [
        ([None], ((), False)),
        (["last"], (("last",), False)),
        (["last,min,count"], (("min", "last", "count"), False)),
        (["min", "max"], (("min", "max"), False)),
        (["min", None], (("min",), False)),
        (["min", "none"], ((), True)),
        (["none", "min"], (("min",), False)),
        (["none", None], ((), True)),
        (["min,none"], ((), True)),
        (["min,none", "max"], (("min", "max"), False)),
        (["min", "none", "max"], (("min", "max"), False)),
        (["none", "min,none"], ((), True)),
    ],
)
def test_calls_for_one_name_merge(summaries, expected):
    """Kinds are united; `none` wins over those beside it and before it, and a later kind lifts it (rules 16, 17)."""
    assert kinds_after(*summaries) == expected


@pytest.mark.parametrize(
    ("said", "goal"),
    [
        ({"goal": "minimize"}, "min"),
        ({"goal": "max"}, "max"),
        ({"objective": "MAXIMIZE"}, "max"),
        ({"objective": "Min", "goal": "minimize"}, "min"),
        ({"summary": "best", "goal": "max"}, "max"),
        ({"summary": "best", "objective": "min"}, "min"),
        ({"summary": "best", "known_goal": "max"}, "max"),
        ({"summary": "best", "known_goal": "max", "goal": "min"}, "min"),
        ({"summary": "min", "known_goal": "max"}, None),
        ({}, None),
    ],
)
def test_goals(said, goal):
    """Goal and objective are one thing; a statement with `best` always carries its goal (rule 15)."""
    assert statement("acc", **said).goal == goal


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"summary": "best"}, "goal='minimize' or goal='maximize'"),
        ({"summary": "best", "known_goal": "max", "overwrite": True}, "goal='minimize' or goal='maximize'"),
        ({"goal": "up"}, "goal='up' .* minimize, maximize, min or max"),
        ({"objective": 1}, "objective=1 .* minimize, maximize, min or max"),
        ({"goal": "min", "objective": "max"}, "goal='min' .* same direction as objective='max'"),
        ({"hidden": "yes"}, "hidden='yes' .* True, False or None"),
        ({"step_sync": 1}, "step_sync=1 .* True, False or None"),
        ({"overwrite": "no"}, "overwrite='no' .* True, False or None"),
        ({"step_metric": ""}, "step_metric='' .* not empty"),
        ({"step_metric": 3}, "step_metric=3 .* not empty"),
    ],
)
def test_wrong_arguments_are_refused(said, message):
    """The error names the argument, what was given and what is accepted (rule 13)."""
    with pytest.raises(DefinitionError, match=message):
        statement("acc", **said)


@pytest.mark.parametrize("name", ["", None, 3, ["a"]])
def test_a_name_must_be_a_text_that_is_not_empty(name):
    """There is no metric without a name."""
    with pytest.raises(DefinitionError, match=r"name=.* not empty"):
        statement(name)


def test_names_may_be_what_an_earlier_call_returned():
    """Anything with a name stands for it, as name and as step metric; escaped dots become plain (rules 8, 13)."""
    epoch = MetricDefinition("train.epoch")
    said = statement(statement(r"train\.loss"), step_metric=epoch)
    assert (said.name, said.step_metric) == ("train.loss", "train.epoch")
    assert statement("loss", step_metric=r"train\.epoch").step_metric == "train.epoch"


@pytest.mark.parametrize(
    ("said", "step_sync"),
    [
        ([{"step_metric": "epoch"}], True),
        ([{"step_metric": "epoch", "step_sync": False}], False),
        ([{"step_metric": "epoch"}, {"step_sync": False}], False),
        ([{"step_metric": "epoch", "step_sync": False}, {"hidden": True}], False),
        ([{}], False),
    ],
)
def test_step_sync_is_on_where_a_step_metric_is_given(said, step_sync):
    """step_sync follows step_metric unless it was said otherwise (rule 21)."""
    assert Definitions(statement("loss", **one) for one in said)["loss"].step_sync is step_sync


def test_what_is_said_later_replaces_and_what_is_not_said_stays():
    """step_metric, hidden and goal are replaced by a later call that names them, and by no other (rule 17)."""
    said = [
        statement("loss", step_metric="epoch", hidden=True, goal="min", summary="min"),
        statement("loss", goal="max"),
        statement("loss", step_metric="batch", hidden=False),
    ]
    assert Definitions(said)["loss"] == MetricDefinition(
        "loss", summary=frozenset({"min"}), step_metric="batch", step_sync=True, goal="max"
    )


def test_overwrite_starts_afresh():
    """A call with overwrite forgets all calls before it, also where it says nothing itself (rule 17)."""
    before = statement("loss", step_metric="epoch", hidden=True, goal="min", summary="min")
    assert Definitions([before, statement("loss", overwrite=True)])["loss"] == MetricDefinition("loss")
    assert Definitions([before, statement("loss", summary="max", overwrite=True)])["loss"].kinds == ("max",)


@pytest.mark.parametrize(
    ("names", "metric", "serving"),
    [
        (["loss", "*", "los*"], "loss", "loss"),
        (["train/*", "*"], "train/loss", "train/*"),
        (["*", "train/*"], "train/loss", "train/*"),
        (["*", "train/*"], "val/loss", "*"),
        (["train/*", "*/loss"], "train/loss", "train/*"),
        (["train*", "*/loss"], "train/loss", "*/loss"),
        (["*/loss", "train*"], "train/loss", "train*"),
        (["train*", "*/loss", "train*"], "train/loss", "train*"),
        (["**a", "a**b", "*"], "a", "**a"),
        (["*"], "_step", None),
        (["_*"], "_x", None),
        (["_step"], "_step", "_step"),
        (["los?"], "loss", None),
        (["los?"], "los?", "los?"),
        ([], "loss", None),
        (["a*"], "a*", "a*"),
        (["abc*bcd"], "abcd", None),
    ],
)
def test_exactly_one_definition_serves_a_metric(names, metric, serving):
    """The exact name, then the glob with the most literal characters, then the one defined last (rule 18)."""
    definition = Definitions(statement(name) for name in names).resolve(metric)
    assert (definition and definition.name) == serving


def test_nothing_is_inherited_from_a_less_specific_definition():
    """The definition that serves a metric is all that holds for it (rule 18)."""
    definitions = Definitions([statement("t*", summary="min", step_metric="epoch"), statement("t1", summary="max")])
    assert definitions.resolve("t1") == MetricDefinition("t1", summary=frozenset({"max"}))


@given(st.lists(STATEMENTS, max_size=8), NAMES)
def test_resolve_agrees_with_the_rule_written_out(said, metric):
    """The look-up by both ends of a glob gives what trying every glob gives."""

    def matches(glob, name):
        first, star, rest = glob.partition("*")
        if not star:
            return glob == name
        return name.startswith(first) and any(matches(rest, name[i:]) for i in range(len(first), len(name) + 1))

    latest = [one.name for one in said]
    globs = [name for name in latest if "*" in name and matches(name, metric)]
    best = max(globs, key=lambda g: (len(g) - g.count("*"), len(latest) - latest[::-1].index(g)), default=None)
    expected = metric if metric in latest and "*" not in metric else best
    definition = Definitions(said).resolve(metric)
    assert (definition and definition.name) == expected


def test_the_order_of_calls_for_different_names_does_not_matter():
    """Whether a glob or a more specific name is defined first changes nothing."""
    said = [statement("*", summary="max"), statement("v/*", summary="min"), statement("v/a", hidden=True)]
    answers = {tuple(map(Definitions(order).resolve, ["v/a", "v/b", "c"])) for order in permutations(said)}
    assert len(answers) == 1


@given(st.permutations(["min", "max,last", "std", "count", "mean"]))
def test_the_order_of_kinds_does_not_matter(summaries):
    """The union of kinds is the same in any order of the calls, and shown in one order."""
    assert kinds_after(*summaries) == (("min", "max", "mean", "last", "std", "count"), False)


@given(STATEMENTS)
def test_json_gives_the_statement_back(said):
    """from_json is the exact inverse of to_json, and equal statements have one text."""
    assert Statement.from_json(said.to_json()) == said
    assert Statement.from_json(said.to_json()).to_json() == said.to_json()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (Statement("loss"), '{"name":"loss"}'),
        (statement("é", hidden=False), r'{"name":"\u00e9","hidden":false}'),
        (
            statement("a", summary="none,min,best", goal="max", step_metric="e", overwrite=True),
            '{"name":"a","summary":["best","min","none"],"step_metric":"e","step_sync":true,"goal":"max","overwrite":true}',
        ),
    ],
)
def test_json_says_only_what_was_said(said, text):
    """The stored text is compact and leaves out what the call left out."""
    assert said.to_json() == text


def test_definitions_are_a_mapping_by_name_in_order_of_the_latest_statement():
    """Iteration, look-up and length are over the names as given; a metric that only a glob serves is not among them."""
    definitions = Definitions([statement("b"), statement("a*", summary="min"), statement("b", hidden=True)])
    assert list(definitions) == ["a*", "b"]
    assert definitions["b"] == MetricDefinition("b", hidden=True)
    assert "a1" not in definitions
    assert len(definitions) == 2


def test_step_metrics_are_those_in_force():
    """A step metric that was replaced or overwritten is none any more."""
    said = [
        statement("a", step_metric="epoch"),
        statement("b*", step_metric="x"),
        statement("a", step_metric="batch"),
        statement("b*", overwrite=True),
    ]
    assert Definitions(said).step_metrics == {"batch"}
