from __future__ import annotations

import re
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklake.errors import RunError, UnknownNameError
from tracklake.schema import naming, run_fields, statistics

NAMES = st.text(alphabet="ab.\\*_/é\n", max_size=8)


@pytest.mark.parametrize(
    ("row", "flat"),
    [
        ({}, {}),
        ({"train": {"loss": 1}}, {"train.loss": 1}),
        ({"a": {"b": {"c": 1, "d": 2}}, "e": 3}, {"a.b.c": 1, "a.b.d": 2, "e": 3}),
        ({r"a\.b": 1}, {"a.b": 1}),
        ({"a\\b": 1, "A b": 2, "é": 3, "a\nb": 4}, {"a\\b": 1, "A b": 2, "é": 3, "a\nb": 4}),
        ({"h": {"_type": "histogram", "bins": [0, 1]}}, {"h": {"_type": "histogram", "bins": [0, 1]}}),
        ({"a": {}}, {}),
        ({"a": {"b": {}, "c": OrderedDict(d=1)}}, {"a.c.d": 1}),
        ({"a": {1: 2, None: 3, False: 4, "": 5}}, {"a.1": 2, "a.None": 3, "a.False": 4, "a.": 5}),
        ({"a": [1, {"b": 2}], "n": None}, {"a": [1, {"b": 2}], "n": None}),
        ({"a": 1, "a.b": 2}, {"a": 1, "a.b": 2}),
        ({"a.b": 1, "a": {"b": 2}}, {"a.b": 2}),
        ({"_step": 4, "_x": {"y": 1}}, {"_step": 4, "_x.y": 1}),
    ],
)
def test_flatten_gives_dotted_names(row, flat):
    """Nested mappings become dotted names; everything else of a name and of a value stays (rule 8)."""
    assert naming.flatten(row) == flat


def test_flatten_orders_names_by_what_was_said_last():
    """A name that is said again moves to the end, so that a reader sees whether a parent or a child came later."""
    assert list(naming.flatten({"a.b": 1, "a": 2, r"a\.b": 3}).items()) == [("a", 2), ("a.b", 3)]


def test_flatten_keeps_the_row_as_it_was():
    """The caller's row is not changed."""
    row = {"a": {"b": 1}}
    naming.flatten(row)
    assert row == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ({3: 1}, TypeError, r"a metric name is a string; got 3 \(int\); use '3'"),
        ({"ok": 1, None: 1}, TypeError, "got None"),
        ([("a", 1)], TypeError, "a row is a mapping .* got list"),
        ({"": 1, "x": 2}, ValueError, "must not be empty"),
        ({"": {"b": 1}}, ValueError, "must not be empty"),
    ],
)
def test_flatten_refuses_what_is_no_row(row, error, message):
    """A row that is no mapping, a key that is no string and an empty key are refused, and the error names them."""
    with pytest.raises(error, match=message):
        naming.flatten(row)


@given(NAMES)
def test_a_metric_name_means_itself_when_given_again(name):
    """The normalised name is never changed by a second look."""
    assert naming.metric_name(naming.metric_name(name)) == naming.metric_name(name)


@given(st.lists(NAMES | st.text(), min_size=1))
def test_split_is_the_inverse_of_join(parts):
    """Any parts, with dots, backslashes or nothing in them, come back from their joined path."""
    assert naming.split(naming.join(parts)) == parts


@pytest.mark.parametrize(
    ("parts", "path", "column"),
    [
        (["lr"], "lr", "lr"),
        (["model", "depth"], "model.depth", "model.depth"),
        (["betas.0", "x"], r"betas\.0.x", "betas.0.x"),
        (["a\\", "b"], r"a\\.b", "a\\.b"),
        (["", ""], ".", "."),
        ([""], "", ""),
    ],
)
def test_paths_escape_the_dots_of_their_parts(parts, path, column):
    """A path is readable, exact, and has a plain column name."""
    assert (naming.join(parts), naming.split(path), naming.column(path)) == (path, parts, column)


def test_a_backslash_before_another_character_means_itself():
    """Split takes what a person types by hand."""
    assert naming.split("a\\b.c\\") == ["a\\b", "c\\"]


def test_a_path_without_parts_is_refused():
    """There is no path of nothing, because [""] has that text."""
    with pytest.raises(ValueError, match="at least one part"):
        naming.join([])


@pytest.mark.parametrize(
    ("items", "tree"),
    [
        ([], {}),
        ([(["a", "b"], 1), (["c"], 2), (["a", "d"], 3)], {"a": {"b": 1, "d": 3}, "c": 2}),
        ([(["a"], 1), (["a", "b"], 2)], {"a": {"b": 2}}),
        ([(["a", "b"], 2), (["a"], 1)], {"a": 1}),
        ([(["a"], {"x": 1}), (["a", "b"], 2)], {"a": {"x": 1, "b": 2}}),
        ([(["a.b"], 1)], {"a.b": 1}),
    ],
)
def test_nest_builds_the_tree(items, tree):
    """Paths become nested dicts; of a parent and a child that clash the later one holds."""
    assert naming.nest(items) == tree


def test_nest_never_changes_a_given_value():
    """A dict that was given as a value is copied before a child joins it."""
    value = {"x": {"y": 1}}
    assert naming.nest([(["a"], value), (["a", "x", "z"], 2)]) == {"a": {"x": {"y": 1, "z": 2}}}
    assert value == {"x": {"y": 1}}


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("train/*", ["train/", "train/loss", "train/a/b"], ["train", "val/train/loss", "_train/x"]),
        ("*", ["a", "", "a\nb"], ["_step", "_"]),
        ("*loss", ["loss", "val/loss"], ["losses", "_loss"]),
        ("*/loss/*", ["val/loss/ce", "/loss/"], ["loss/ce", "val/loss"]),
        ("a*b*b", ["abb", "axbxb"], ["ab", "axb"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("a**b", ["ab", "axb"], ["a"]),
        ("_*", [], ["_x", "_"]),
        ("los?*", ["los?", "los?x"], ["loss"]),
        ("a.[b]*", ["a.[b]c"], ["axb", "a.bc"]),
        (r"a\.b*", ["a.bc"], [r"a\.bc", "axb"]),
        ("los?", ["los?"], ["loss"]),
        ("_step", ["_step"], ["step", "_step2"]),
    ],
)
def test_globs(pattern, matching, others):
    """A star is any text, anywhere and as often as wanted; all else is literal; `_` names match no glob (rule 18)."""
    assert [name for name in [*matching, *others] if naming.glob_matches(pattern, name)] == matching


@given(NAMES, NAMES)
def test_globs_agree_with_a_plain_regular_expression(pattern, name):
    """The expression that never backtracks accepts just what the textbook one does."""
    pattern = naming.metric_name(pattern)
    textbook = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    hidden = naming.is_glob(pattern) and name.startswith("_")
    assert naming.glob_matches(pattern, name) == (textbook.fullmatch(name) is not None and not hidden)


def test_a_hostile_glob_ends():
    """Fifty stars over a long name would take a backtracking match longer than anybody lives."""
    assert not naming.glob_matches("a*" * 50 + "b", "a" * 5000 + "c")


@pytest.mark.parametrize("text", [*statistics.STATISTICS, "p0", "p5", "p95", "p99.9", "p100", "p100.0"])
def test_statistics(text):
    """Each fixed name and each quantile from 0 to 100 is a statistic."""
    assert statistics.is_statistic(text)


@pytest.mark.parametrize("text", ["", "Min", "mode", "p", "p101", "p100.1", "p-1", "p9.", "p.5", "p1e1", "p٣", "none"])
def test_what_is_no_statistic(text):
    """Nothing else is a statistic."""
    assert not statistics.is_statistic(text)


METRICS = {"loss", "loss.min", "val/acc", "train.loss", "x.p99"}


@pytest.mark.parametrize(
    ("path", "statistic"),
    [
        ("loss", ("loss", None)),
        ("loss.max", ("loss", "max")),
        ("loss.min", ("loss.min", None)),
        ("loss.min.min", ("loss.min", "min")),
        (("loss", "min"), ("loss", "min")),
        (("loss", None), ("loss", None)),
        ("val/acc.p99.9", ("val/acc", "p99.9")),
        ("x.p99", ("x.p99", None)),
        ("x.p99.p5", ("x.p99", "p5")),
        ("train.loss", ("train.loss", None)),
        ("train.loss.best_step", ("train.loss", "best_step")),
        (r"train\.loss.mean", ("train.loss", "mean")),
        ((r"train\.loss", "mean"), ("train.loss", "mean")),
    ],
)
def test_parse_statistic(path, statistic):
    """A whole name wins, else the last part is the statistic; a tuple is exact."""
    assert statistics.parse_statistic(path, metrics=METRICS) == statistic


def test_a_parsed_statistic_parses_to_itself():
    """What parse_statistic returned can be given again."""
    parsed = statistics.parse_statistic("loss.max", metrics=METRICS)
    assert statistics.parse_statistic(parsed, metrics=METRICS) == parsed


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("los", r"^unknown metric 'los'; did you mean 'loss'"),
        (
            "val/ac.max",
            r"^unknown metric 'val/ac'; did you mean 'val/acc'\? \('max' was understood as a statistic of it\)",
        ),
        (
            "val/acc.maxx",
            r"^unknown metric 'val/acc.maxx'; did you mean 'val/acc'.*'maxx' is no statistic: there are min",
        ),
        ("x.p99.9", r"^unknown metric 'x'.*'p99.9' was understood"),
        (r"loss\.max", r"^unknown metric 'loss.max'"),
        (("los", "min"), r"^unknown metric 'los'; did you mean 'loss'"),
        (("loss", "mim"), r"^unknown statistic 'mim'; did you mean 'min'.*quantiles such as p95"),
    ],
)
def test_an_unknown_path_says_what_was_understood(path, message):
    """The error names the nearest metric or statistic and whether the statistic part was understood."""
    with pytest.raises(UnknownNameError, match=message):
        statistics.parse_statistic(path, metrics=METRICS)


@pytest.mark.parametrize("path", [3, ("loss",), ("loss", "min", "max"), ["loss", "min"], (1, "min"), ("loss", 1)])
def test_a_path_of_another_type_is_refused(path):
    """Only a text or a pair is a path."""
    with pytest.raises(TypeError, match="got "):
        statistics.parse_statistic(path, metrics=METRICS)


@pytest.mark.parametrize("run_id", ["a", "Run 7", "é-ü", "a.b", "x" * 128, "_lakes", "a*b?", "CON"])
def test_run_ids_that_are_accepted(run_id):
    """Any ordinary text is a run id and comes back as it is."""
    assert run_fields.check_run_id(run_id) == run_id


@pytest.mark.parametrize(
    ("run_id", "message"),
    [
        ("", "is empty"),
        ("x" * 129, "has 129 characters"),
        ("a/b", "contains '/'"),
        ("a\\b", r"contains '\\\\'"),
        ("a\0b", r"contains '\\x00'"),
        ("a\nb", r"contains '\\n'"),
        ("a\x85b", r"contains '\\x85'"),
        ("a\ud800b", r"contains '\\ud800'"),
        ("..", "starts with a dot"),
        (".hidden", "starts with a dot"),
        (" a", "blanks around"),
        ("a\n", "blanks around"),
        ("_lake", "reserved"),
        ("_LAKE", "reserved"),
    ],
)
def test_run_ids_that_are_refused(run_id, message):
    """The error says what is wrong, what is accepted, and the way out."""
    with pytest.raises(RunError, match=f"(?s){message}.*1 to 128 characters.*leave id out"):
        run_fields.check_run_id(run_id)


@pytest.mark.parametrize("check", [run_fields.check_run_id, run_fields.check_project])
def test_names_that_are_no_text_are_refused(check):
    """A number is not silently made a name."""
    with pytest.raises(TypeError, match=r"got 7 \(int\)"):
        check(7)


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("a", "a-ca978112ca"),
        ("Run/7 é", "run_7__-096c3adef6"),
        ("x" * 128, "x" * 40 + "-24da1b81d0"),
    ],
)
def test_safe_names(run_id, name):
    """The file name keeps what is readable and ends in a hash of the whole id."""
    assert naming.safe_name(run_id) == name


@given(st.text(min_size=1))
def test_safe_names_ignore_case_and_fit_any_file_system(run_id):
    """Ids that differ only in case share a name of at most 51 plain characters."""
    name = naming.safe_name(run_id)
    assert naming.safe_name(run_id.casefold()) == name
    assert re.fullmatch(r"[a-z0-9_-]{1,40}-[0-9a-f]{10}", name)


def test_safe_names_of_different_ids_differ():
    """Ids that look alike once made safe still get different names."""
    assert len({naming.safe_name(run_id) for run_id in ["a b", "a_b", "a.b", "a?b", "A B"]}) == 4


@pytest.mark.parametrize("name", ["uncategorized", "a/b", "..", " ", "日本"])
def test_projects_may_be_any_text(name):
    """A project never becomes a file name, so any text will do."""
    assert run_fields.check_project(name) == name


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_projects_that_cannot_be_stored_are_refused(name):
    """An empty name, NUL, and half a surrogate pair are refused."""
    with pytest.raises(RunError, match="any other text"):
        run_fields.check_project(name)
