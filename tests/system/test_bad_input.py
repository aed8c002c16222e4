"""Bad input is refused with words that name the thing and the way out, before anything is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import made_once
import numpy as np
import polars as pl
import pytest
from processes import output

import tracklake as tl
from tracklake.errors import (
    ConfigError,
    DefinitionError,
    LakeError,
    QueryError,
    RunError,
    RunExistsError,
    RunFinishedError,
    RunNotFoundError,
    TracklakeError,
    UnknownNameError,
    UnstorableValueError,
)


@made_once.lake
def lake(folder: Path) -> None:
    """A lake with one run: lr 0.1, loss 1, 0.5; acc 0, 0.1, which is to be large."""
    with tl.init("p", id="one", config={"lr": 0.1}, group="g", dir=folder) as run:
        run.define_metric("val/acc", summary="max", goal="max")
        for step in range(2):
            run.log({"loss": 1 / (step + 1), "val/acc": step / 10})


def files(lake: tl.Lake) -> list[str]:
    return sorted(str(path) for path in Path(lake.dir).rglob("*"))


class Odd:
    """An object that has no stored form."""

    def __repr__(self) -> str:
        return "Odd()"


STARTS = [
    ({"id": "../other/run"}, RunError, "the run id '../other/run' starts with a dot; a run id has 1 to 128 characters"),
    ({"id": "a/b"}, RunError, "the run id 'a/b' contains '/'"),
    ({"id": "a\\b"}, RunError, r"the run id 'a\\b' contains '\\'"),
    ({"id": ""}, RunError, "the run id '' is empty"),
    ({"id": "a\0"}, RunError, r"the run id 'a\x00' contains '\x00'"),
    ({"id": "_lake"}, RunError, "the run id '_lake' is reserved for the lake itself"),
    ({"id": 7}, TypeError, "a run id is a text; got 7 (int); use id='7'"),
    ({"id": "one"}, RunExistsError, "there is a run 'one' already, and it has ended; go on with it by resume='allow'"),
    ({"id": "ONE"}, RunExistsError, "there is a run 'one' already"),
    ({"id": "one", "resume": "never"}, RunExistsError, "resume='never', but there is a run 'one'"),
    ({"id": "two", "resume": "must"}, RunNotFoundError, "resume='must', but there is no run 'two'"),
    ({"id": "one", "resume": "allow", "project": "q"}, RunError, "run 'one' belongs to project 'p', not to 'q'"),
    ({"id": "two", "from_step": 1}, RunNotFoundError, "from_step=1 rewinds a run that is there; there is no run 'two'"),
    ({"id": "one", "from_step": "1"}, TypeError, "from_step must be an int, not str '1'"),
    ({"id": "one", "from_step": 1.5}, TypeError, "from_step must be an int, not float 1.5"),
    ({"id": "one", "from_step": True}, TypeError, "from_step must be an int, not True"),
    ({"project": ""}, RunError, "the project name '' is empty"),
    ({"name": 5}, TypeError, "name is a text; got 5 (int); use name='5'"),
    ({"group": ["a"]}, TypeError, "group is a text; got ['a'] (list)"),
    ({"job_type": Odd()}, TypeError, "job_type is a text; got Odd() (Odd)"),
    ({"notes": b"x"}, TypeError, "notes is a text; got b'x' (bytes)"),
    ({"tags": [["a"]]}, TypeError, "tags are texts that are not empty, such as tags=['baseline', 'v2']; got [['a']]"),
    ({"tags": ["a", ""]}, TypeError, "tags are texts that are not empty"),
    ({"tags": {"a": 1}}, TypeError, "tags are texts that are not empty"),
    ({"tags": 5}, TypeError, "tags are texts that are not empty"),
    ({"config": 5}, ConfigError, "config must be a mapping, argparse Namespace, dataclass or pydantic model, not int"),
    ({"config": {"a": np.zeros(100)}}, UnstorableValueError, "'a' cannot be stored: an array of 100 elements"),
    ({"config": {"": 1}}, ConfigError, "a config key must be a non-empty str, not ''"),
    ({"config": {5: 1}}, ConfigError, "a config key must be a non-empty str, not 5"),
    ({"resume": "maybe"}, RunError, "resume='maybe'; accepted are 'allow', 'must', 'never', 'auto', True, False, None"),
    ({"mode": "x"}, RunError, "mode='x'; accepted are 'online', 'offline', 'disabled', 'shared', None"),
    ({"durability": "x"}, RunError, "durability='x'; accepted are 'write', 'fsync', 'buffered'"),
    ({"dir": ""}, LakeError, "dir='' is no path of a folder; leave it out for $TRACKLAKE_DIR, else ./lake"),
    ({"dir": "a\0b"}, LakeError, r"dir='a\x00b' is no path of a folder"),
    ({"dir": 5}, TypeError, "a lake is a folder, given by its path; got 5 (int)"),
]


@pytest.mark.parametrize(("given", "error", "words"), STARTS, ids=[str(given)[:40] for given, _, _ in STARTS])
def test_init_refuses_before_anything_is_written(lake: tl.Lake, given: dict, error: type, words: str):
    """A start that cannot be leaves no file and no run, and does not become the current run."""
    before = files(lake)
    with pytest.raises(error) as raised:
        tl.init(**{"project": "p", "dir": lake.dir, **given})
    assert words in str(raised.value)
    assert (files(lake), tl.run) == (before, None)


def test_config_is_checked_before_the_lake_is_made(tmp_path: Path):
    """A first run that is refused does not even make the folder."""
    with pytest.raises(UnstorableValueError):
        tl.init("p", config={"a": np.zeros(40)}, dir=tmp_path / "lake")
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text_do_not_harm(tmp_path: Path):
    """Halves of surrogate pairs, which no file can hold, are replaced wherever they stand."""
    bad = "x\ud800"
    with tl.init("p", id="r", name=bad, tags=[bad], config={bad: bad, "deep": {bad: [bad]}}, dir=tmp_path) as run:
        run.define_metric(bad, summary="max")
        run.log({bad: 1.0, "text": bad, "nested": {bad: 2}})
        run.summary[bad + "2"] = bad
        run.notes = bad
    lake = tl.open(tmp_path)
    assert lake.check(full=True).ok
    assert lake.runs().height == 1
    lake.refresh()
    assert tl.open(tmp_path).runs()["name"].to_list() == lake.runs()["name"].to_list()


def test_dir_that_is_a_file(tmp_path: Path):
    """A lake is a folder: a file in its place, or above it, is told."""
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(LakeError, match=r"file is a file; a lake is a folder. Give another dir."):
        tl.init("p", dir=file)
    with pytest.raises(LakeError, match=r"cannot make a lake at .*file/x: Not a directory. Give a folder that can be"):
        tl.init("p", dir=file / "x")
    with pytest.raises(LakeError, match=r"file is a file; a lake is a folder"):
        tl.open(file)
    assert file.read_text() == "x"


def test_lake_that_is_not_there(tmp_path: Path):
    """Opening makes no lake: where there is none, it says how to make one."""
    with pytest.raises(LakeError) as raised:
        tl.open(tmp_path / "nope")
    place = str(tmp_path / "nope")
    assert str(raised.value) == (
        f"there is no lake at {place}: log a run with tracklake.init(dir={place!r}), or open it with create=True"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root can give its rights away")
def test_place_that_may_not_be_looked_into(lake: tl.Lake, tmp_path: Path):
    """A folder without rights is told as such, not as a missing lake."""
    script = """
    os.setgid(65534), os.setuid(65534)
    for act in (lambda: tl.open(sys.argv[1]), lambda: tl.init(dir=sys.argv[1])):
        try:
            act()
        except tl.TracklakeError as error:
            print(str(error).replace(sys.argv[1], "LAKE"))
    """
    tmp_path.chmod(0o700)
    assert output(script, lake.dir).splitlines() == [
        "cannot look for a lake at LAKE: Permission denied",
        "cannot make a lake at LAKE: Permission denied. Give a folder that can be written.",
    ]


@pytest.fixture
def run(tmp_path: Path):
    """A run that has logged nothing yet."""
    with tl.init("p", id="r", dir=tmp_path / "lake") as run:
        yield run


@pytest.mark.parametrize(
    ("data", "step", "error", "words"),
    [
        (5, None, TypeError, "log takes a mapping of names to values, not int: run.log({'loss': 0.5})"),
        ([("a", 1)], None, TypeError, "log takes a mapping of names to values, not list"),
        ({"": 1}, None, ValueError, "a metric name must not be empty"),
        ({5: 1}, None, TypeError, "a metric name is a string; got 5 (int); use '5'"),
        ({"a": 1}, 1.5, TypeError, "step must be an int, not float 1.5"),
        ({"a": 1}, "1", TypeError, "step must be an int, not str '1'"),
        ({"a": 1}, True, TypeError, "step must be an int, not True"),
        ({"a": 1}, 1 << 63, ValueError, "step 9223372036854775808 is beyond the range of a 64-bit integer"),
    ],
)
def test_log_refuses_the_whole_row(run: tl.Run, data: object, step: object, error: type, words: str):
    """A row that cannot be is not logged at all."""
    size = run._session.journal.path.stat().st_size
    with pytest.raises(error) as raised:
        run.log(data, step=step)
    assert words in str(raised.value)
    assert (run._session.journal.path.stat().st_size, run.step) == (size, 0)


def test_changes_that_cannot_be(run: tl.Run):
    """Summary, config, tags, notes and definitions refuse what cannot be stored, and stay as they were."""
    for change, error, words in [
        (lambda: run.summary.update({"a": Odd()}), UnstorableValueError, "'a' cannot be stored"),
        (lambda: run.summary.update({"": 1}), ValueError, "a summary key must not be empty"),
        (lambda: setattr(run, "tags", [["a"]]), TypeError, "tags are texts"),
        (lambda: setattr(run, "notes", 5), TypeError, "notes is a text"),
        (lambda: run.define_metric(""), DefinitionError, "name='' cannot be; accepted: a metric name"),
        (lambda: run.define_metric(5), DefinitionError, "name=5 cannot be; accepted: a metric name"),
        (
            lambda: run.define_metric("a", summary="mode"),
            DefinitionError,
            "summary='mode' cannot be; accepted: one",
        ),
        (lambda: run.define_metric("a", goal="up"), DefinitionError, "goal='up' cannot be; accepted: minimize, maxim"),
        (lambda: run.define_metric("a", summary="best"), DefinitionError, "'best' together with goal="),
    ]:
        with pytest.raises(error) as raised:
            change()
        assert words in str(raised.value)
    assert (dict(run.summary), dict(run.config), run.tags, run.notes) == ({}, {}, (), None)


def test_finished_run_takes_no_more(run: tl.Run):
    """What is said to a finished run raises and names the way to go on."""
    run.finish()
    with pytest.raises(
        RunFinishedError, match=r"run 'r' is finished: it takes no more; init\(id='r', resume='allow'\)"
    ):
        run.log({"a": 1})


def test_one_tag_may_stand_alone(tmp_path: Path):
    """A single tag needs no list around it."""
    with tl.init("p", id="r", tags="baseline", dir=tmp_path) as run:
        assert run.tags == ("baseline",)
    assert tl.open(tmp_path).run("r").tags == ["baseline"]
    with pytest.raises(TypeError, match="tags are texts"):
        tl.open(tmp_path).run("r").tags = [5]


QUESTIONS = {
    "columns": (
        lambda lake: lake.runs(columns=["summary.los"]),
        UnknownNameError,
        "unknown column 'summary.los'; did you mean 'summary.loss'",
    ),
    "config": (lambda lake: lake.runs(columns=["config.Lr"]), UnknownNameError, "did you mean 'config.lr'"),
    "order_by": (lambda lake: lake.runs(order_by="-summary.los"), UnknownNameError, "did you mean 'summary.loss'"),
    "where": (
        lambda lake: lake.runs(where="lrr > 0"),
        UnknownNameError,
        "unknown column 'lrr'; did you mean 'lr'",
    ),
    "plot": (lambda lake: lake.plot.curves("loss", by="lrr"), UnknownNameError, "unknown column 'lrr'; "),
    "limit": (lambda lake: lake.runs(limit=-1), QueryError, "limit=-1; it is a whole number, at least 0"),
    "project": (lambda lake: lake.runs("q"), UnknownNameError, "unknown project 'q'; there are 'p'"),
    "runs": (lambda lake: lake.runs(runs="onee"), UnknownNameError, "unknown run 'onee'; did you mean 'one'?"),
    "runs frame": (
        lambda lake: lake.runs(runs=pl.DataFrame({"id": ["one"]})),
        UnknownNameError,
        "runs= takes run ids or a frame with a column run_id; the frame given has ['id']",
    ),
    "run": (lambda lake: lake.run("onee"), RunNotFoundError, "unknown run 'onee'; did you mean 'one'?"),
    "run/path": (lambda lake: lake.run("p/one"), RunNotFoundError, "unknown run 'p/one'; did you mean 'one'?"),
    "case of a run": (lambda lake: lake.run("ONE"), RunNotFoundError, "unknown run 'ONE'; did you mean 'one'?"),
    "case in runs": (lambda lake: lake.history(runs="ONE"), UnknownNameError, "unknown run 'ONE'; did you mean 'one'?"),
    "summaries": (lambda lake: lake.summaries("los"), UnknownNameError, "unknown metric 'los'; did you mean 'loss'?"),
    "statistic": (lambda lake: lake.summaries("loss.minn"), UnknownNameError, "'minn' is no statistic: there are min"),
    "exact statistic": (
        lambda lake: lake.summaries(("loss", "mni")),
        UnknownNameError,
        "unknown statistic 'mni'; did you mean 'min'",
    ),
    "summaries shape": (
        lambda lake: lake.summaries("loss", shape="tall"),
        QueryError,
        "shape='tall'; accepted are 'long', 'wide'",
    ),
    "history": (lambda lake: lake.history("val_acc"), UnknownNameError, "did you mean 'val/acc'?"),
    "history x": (lambda lake: lake.history("loss", x="epok"), UnknownNameError, "unknown metric 'epok'"),
    "history shape": (lambda lake: lake.history(shape="tall"), QueryError, "shape='tall'; accepted are"),
    "steps": (lambda lake: lake.history(steps=5), QueryError, "steps=5; accepted are (first, last)"),
    "three steps": (lambda lake: lake.history(steps=(1, 2, 3)), QueryError, "steps=(1, 2, 3); accepted are"),
    "downsample": (lambda lake: lake.history(downsample=2), QueryError, "downsample=2; it is a whole number, at"),
    "at_best": (lambda lake: lake.at_best("los", goal="min"), UnknownNameError, "did you mean 'loss'?"),
    "goal": (lambda lake: lake.at_best("loss", goal="up"), DefinitionError, "goal='up'; accepted are 'min', 'max'"),
    "no goal": (
        lambda lake: lake.at_best("loss"),
        DefinitionError,
        "needs a goal, and no definition of 'loss' has one",
    ),
    "take": (lambda lake: lake.at_best("val/acc", take=["los"]), UnknownNameError, "did you mean 'loss'?"),
    "definition": (lambda lake: lake.define_metric("", summary="min"), DefinitionError, "name='' cannot be"),
    "definition goal": (lambda lake: lake.define_metric("a", goal="up"), DefinitionError, "goal='up' cannot be"),
    "definition project": (
        lambda lake: lake.define_metric("a", summary="min", project=""),
        RunError,
        "the project name '' is empty",
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_question_that_cannot_be_answered(lake: tl.Lake, question: str):
    """A wrong question names what is wrong in it and what would be right."""
    ask, error, words = QUESTIONS[question]
    before = files(lake)
    with pytest.raises(error) as raised:
        ask(lake)
    assert isinstance(raised.value, TracklakeError)
    assert words in str(raised.value)
    assert files(lake) == before


QUOTES = (
    """names stand in double quotes and texts in single ones: "summary.val/loss.min" < 0.1 AND state = 'finished'"""
)
WHERE = {
    '"config.lr" >': """where='"config.lr" >' is no condition in SQL: """,
    "": "where='' is no condition in SQL: ",
    "select 1": "where='select 1' is no condition in SQL: ",
    '"config.lr" = 0.1; DROP TABLE runs': "is no condition in SQL: ",
    "nofunction(state)": "cannot be answered: ",
    "lr > (SELECT max(lr) FROM runs)": "is no condition in SQL: it asks for tables; ask lake.sql",
    "state = finished": "unknown column 'finished'; ",
    "val/acc > 3": "unknown column 'val'; ",
    "config.Lrr > 0": "did you mean 'config.lr'",
    "\"config.lr\" > 'x'": " (config.lr is Float64)",
    '"config.lr"': "cannot be answered: it is Float64, not true or false",
    "1": "where='1' cannot be answered: it is Int32, not true or false",
    "'config.lr' > 0.5": "names no column; ",
    "max(lr) > 0": "cannot be answered: it looks at many rows at once; ask lake.sql",
}


@pytest.mark.parametrize("where", WHERE)
def test_where_text_that_is_wrong(lake: tl.Lake, where: str):
    """A condition that cannot be read names the text, and how names and texts are quoted."""
    with pytest.raises((QueryError, UnknownNameError)) as raised:
        lake.runs(where=where)
    assert WHERE[where] in str(raised.value)
    assert QUOTES in str(raised.value) or "cannot be answered" in str(raised.value)
    assert repr(where) in str(raised.value)


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        (5, TypeError, "where= takes a polars expression or a SQL text; got 5 (int)"),
        (pl.col("config.Lr") > 1, UnknownNameError, "unknown column 'config.Lr'; did you mean 'config.lr'"),
        (pl.col("config.lr"), QueryError, "cannot be answered: it is Float64, not true or false"),
        (pl.col("config.lr").str.len_chars() > 1, QueryError, "cannot be answered: "),
    ],
)
def test_where_expression_that_is_wrong(lake: tl.Lake, where: object, error: type, words: str):
    """A wrong expression is told likewise."""
    with pytest.raises(error) as raised:
        lake.runs(where=where)
    assert words in str(raised.value)


def test_where_that_is_right(lake: tl.Lake):
    """Quoted names, dotted names without quotes, and expressions ask the same."""
    for where in ['"config.lr" < 0.2', "Config.LR < 0.2 AND state = 'finished'", pl.col("config.lr") < 0.2]:
        assert lake.runs(where=where)["run_id"].to_list() == ["one"]
