"""W&B's public API over a lake: runs by filter and order, and what a run shows."""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import LakeError, QueryError, RunNotFoundError, UnknownNameError
from tracklake.integrations.wandb_api import mongo_filters

RUNS = {
    "one": {
        "config": {"lr": 0.1, "opt": "adam", "deep": {"x": 1}},
        "group": "a",
        "tags": ["base", "x"],
        "name": "First",
    },
    "two": {"config": {"lr": 0.2, "opt": "sgd", "flag": True}, "group": "b", "tags": ["y"], "job_type": "eval"},
    "three": {"config": {"lr": 0.3, "opt": "adamw", "mixed": 1}, "group": "a"},
    "four": {"config": {"lr": None, "opt": "sgd", "mixed": "text"}, "notes": "a note"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of four runs in one project, of which `four` failed and logged NaN, and one in another."""
    root = tmp_path_factory.mktemp("api")
    for number, (run_id, about) in enumerate(RUNS.items()):
        with tl.init("my project", id=run_id, dir=root, **about) as run:
            run.define_metric("best", summary="max")
            for step in range(3):
                run.log({"loss": math.nan if run_id == "four" else float(number + step), "best": step * number})
            run.log({"table": [1, {"a": 2}], "word": "end"})
            if run_id == "four":
                run.finish(exit_code=1)
    with tl.init("other", id="alien", dir=root):
        pass
    return root


@pytest.fixture
def api(root: Path) -> tl.Api:
    return tl.Api(root)


def ids(api: tl.Api, filters=None, order="+created_at", path="me/my project") -> list[str]:
    return [run.id for run in api.runs(path, filters, order)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "one two three four"),
        ({"config.lr": 0.2}, "two"),
        ({"config.lr": {"$gt": 0.1}}, "two three"),
        ({"config.lr": {"$gte": 0.1, "$lt": 0.3}}, "one two"),
        ({"config.lr": {"$lte": 0.1}}, "one"),
        ({"config.lr": {"$ne": 0.1}}, "two three four"),
        ({"config.lr": None}, "four"),
        ({"config.lr": {"$exists": True}}, "one two three"),
        ({"config.lr": {"$exists": False}}, "four"),
        ({"config.lr": "0.1"}, ""),
        ({"config.lr.value": 0.1}, "one"),
        ({"config.deep.x": 1}, "one"),
        ({"config.opt": {"$in": ["adam", "sgd"]}}, "one two four"),
        ({"config.opt": {"$nin": ["adam", "sgd"]}}, "three"),
        ({"config.opt": {"$regex": "^adam"}}, "one three"),
        ({"config.opt": {"$regex": "ADAM$", "$options": "i"}}, "one"),
        ({"config.opt": re.compile("dam")}, "one three"),
        ({"config.opt": {"$not": {"$regex": "^adam"}}}, "two four"),
        ({"config.opt": {"$gt": "adamw"}}, "two four"),
        ({"config.flag": True}, "two"),
        ({"config.flag": 1}, ""),
        ({"config.flag": {"$ne": True}}, "one three four"),
        ({"config.mixed": 1}, "three"),
        ({"config.mixed": "text"}, "four"),
        ({"config.mixed": {"$in": ["text", 1]}}, "three four"),
        ({"config.nothing": 1}, ""),
        ({"config.nothing": {"$exists": False}}, "one two three four"),
        ({"config.nothing": {"$ne": 1}}, "one two three four"),
        ({"summary_metrics.loss": 3}, "two"),
        ({"summary_metrics.loss": {"$gt": 2}}, "two three"),
        ({"summary_metrics.loss": math.nan}, "four"),
        ({"summary_metrics.best.max": {"$gte": 4}}, "three four"),
        ({"summary_metrics.word": "end"}, "one two three four"),
        ({"state": "finished"}, "one two three"),
        ({"state": {"$in": ["failed", "crashed"]}}, "four"),
        ({"group": "a"}, "one three"),
        ({"group": None}, "four"),
        ({"tags": "base"}, "one"),
        ({"tags": {"$in": ["x", "y"]}}, "one two"),
        ({"tags": {"$nin": ["x"]}}, "two three four"),
        ({"tags": {"$ne": "x"}}, "two three four"),
        ({"tags": {"$regex": "^b"}}, "one"),
        ({"jobType": "eval"}, "two"),
        ({"displayName": "First"}, "one"),
        ({"name": {"$in": ["one", "four"]}}, "one four"),
        ({"createdAt": {"$gt": "2020-01-01T00:00:00Z"}}, "one two three four"),
        ({"createdAt": {"$lt": datetime(2020, 1, 1, tzinfo=UTC)}}, ""),
        ({"$or": [{"config.lr": 0.1}, {"group": "b"}]}, "one two"),
        ({"$and": [{"config.lr": {"$gt": 0.1}}, {"group": "a"}]}, "three"),
        ({"$nor": [{"group": "a"}, {"state": "failed"}]}, "two"),
        ({"$not": {"group": "a"}}, "two four"),
        ({"group": "a", "$or": [{"config.opt": "adam"}, {"config.opt": "sgd"}]}, "one"),
    ],
)
def test_filters(api: tl.Api, filters, expected):
    """Each operator as MongoDB has it: values of other kinds never match, and what is absent is null."""
    assert ids(api, filters) == expected.split()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (True, ["a"]), (False, ["b"]), ({"$ne": True}, ["b", "c", "d"]), ({"$in": [False, 2]}, ["b", "c"]),
        ("true", ["d"]), ({"$regex": "true"}, ["d"]), (1, []), ({"$exists": True}, ["a", "b", "c", "d"]),
    ],
)  # fmt: skip
def test_truths_beside_numbers_and_texts(tmp_path: Path, condition, expected):
    """A truth equals no number and no text, also where other runs have those under the key."""
    for run_id, value in zip("abcd", (True, False, 2, "true"), strict=True):
        with tl.init(id=run_id, config={"aug": value}, dir=tmp_path) as run:
            run.log({"flag": value})
    for key in ("config.aug", "summary_metrics.flag"):
        assert [run.id for run in tl.Api(tmp_path).runs(filters={key: condition}, order="+name")] == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("+created_at", "one two three four"),
        ("-created_at", "four three two one"),
        ("created_at", "one two three four"),
        ("-config.lr", "three two one four"),
        ("+summary_metrics.loss", "one two three four"),
        ("-summary_metrics.best.max", "four three two one"),
        ("+displayName", "one four three two"),
    ],
)
def test_order(api: tl.Api, order, expected):
    """Ascending or descending by any field, null and NaN last either way."""
    assert ids(api, order=order) == expected.split()


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ({"stat": "finished"}, UnknownNameError, "did you mean 'state'"),
        ({"state": {"$qe": 1}}, UnknownNameError, r"did you mean .*'\$eq'"),
        ({"$or": {"state": "x"}}, QueryError, "takes a list of filters"),
        ({1: 2}, TypeError, r"filters= takes names of fields such as 'config.lr'; got 1 \(int\)"),
        ({"state": {"$in": "x"}}, QueryError, "takes a list of values"),
        ({"createdAt": {"$gt": "soon"}}, QueryError, "'soon' is no time"),
        (["state"], QueryError, "a filter is a dict"),
    ],
)
def test_wrong_filters_say_what_is_accepted(api: tl.Api, filters, error, message):
    """A misspelt field or operator names the nearest."""
    with pytest.raises(error, match=message):
        len(api.runs("my project", filters))


def test_paths(api: tl.Api):
    """The entity is optional and ignored; without a path all projects are meant."""
    assert {len(api.runs(path)) for path in ("my project", "me/my project")} == {4}
    assert len(api.runs()) == 5
    with pytest.raises(UnknownNameError, match="did you mean 'my project'"):
        len(api.runs("me/my projct"))
    for path in ("one", "my project/one", "me/my project/one", "me/my project/runs/one", "/me/my project/ONE/"):
        assert api.run(path).id == "one"
    with pytest.raises(RunNotFoundError, match="is in project 'my project'"):
        api.run("me/other/one")
    with pytest.raises(RunNotFoundError, match="did you mean 'three'"):
        api.run("me/my project/thre")


def test_runs_are_a_lazy_sequence(api: tl.Api):
    """len, iteration in pages, an index, a slice; nothing is read before that."""
    api.runs("nowhere", {"nonsense": 1})
    runs = api.runs("my project", per_page=3)
    assert (len(runs), runs[0].id, runs[-1].id) == (4, "one", "four")
    assert [run.id for run in runs[1:3]] == ["two", "three"]
    assert [run.id for run in runs] == [run.id for run in runs] == list(RUNS)
    with pytest.raises(IndexError):
        runs[4]
    with pytest.raises(ValueError, match="per_page=0"):
        api.runs(per_page=0)


def test_neighbours_are_read_together_and_page_by_page(api: tl.Api, monkeypatch: pytest.MonkeyPatch):
    """Runs of several pages come each with what is its own, in any order of asking."""
    monkeypatch.setattr("tracklake.integrations.wandb_api.api.AT_ONCE", 1)
    runs = api.runs("my project", per_page=3)
    assert [(run.id, run.config, run.name) for run in runs] == [
        (name, api.run(name).config, api.run(name).name) for name in RUNS
    ]
    assert [runs[i].id for i in (3, 0, -1, -4)] == ["four", "one", "four", "one"]


def test_what_a_run_shows(api: tl.Api, root: Path):
    """Every attribute that scripts for W&B use."""
    run = api.run("me/my project/one")
    shown = (run.id, run.name, run.state, run.tags, run.group, run.project, run.entity, run.notes, run.read_only)
    assert shown == ("one", "First", "finished", ["base", "x"], "a", "my project", "local", None, False)
    assert (run.path, run.user.name, run.job_type) == (["local", "my project", "one"], "local", None)
    assert run.url == f"{root.resolve().as_uri()}#one"
    created = datetime.strptime(run.created_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=10)
    assert run.config == {"lr": 0.1, "opt": "adam", "deep": {"x": 1}}
    assert (run.summary["loss"], run.summary["best"]["max"], run.summary.get("none", 1)) == (2, 0, 1)
    assert run.summary_metrics["table"] == [1, {"a": 2}]
    assert run.history_keys["keys"].keys() == {"loss", "best", "table", "word"}
    assert (run.history_keys["lastStep"], run.system_metrics) == (3, {})
    assert (run.metadata["tracklake"], "environ" in run.metadata) == (tl.__version__, False)


def test_the_classic_table(api: tl.Api):
    """The loop of W&B's documentation: a list of dicts becomes a frame."""
    pd = pytest.importorskip("pandas")
    rows = [
        {
            "name": run.name,
            "summary": run.summary._json_dict,
            "config": {k: v for k, v in run.config.items() if not k.startswith("_")},
        }
        for run in api.runs("me/my project")
    ]
    df = pd.DataFrame(rows)
    found = df[df["name"] == "two"].summary.reset_index(drop=True).to_dict()
    assert (found[0]["loss"], found[0]["best"]) == (3, {"max": 2})


def test_history_is_complete(api: tl.Api):
    """Every row, as a pandas frame or as dicts, with what each row has."""
    pd = pytest.importorskip("pandas")
    run = api.run("two")
    frame = run.history()
    assert isinstance(frame, pd.DataFrame)
    assert frame["loss"].tolist()[:3] == [1, 2, 3]
    rows = run.history(pandas=False)
    names = [row.keys() - {"_runtime", "_timestamp"} for row in rows]
    assert names == [{"_step", "best", "loss"}] * 3 + [{"_step", "table", "word"}]
    assert rows[3]["table"] == [1, {"a": 2}]
    assert run.history(keys=["best"], pandas=False)[1] == {"_step": 1, "best": 1}


def test_history_samples_and_axes(tmp_path: Path):
    """`samples` keeps so many, first and last among them; `x_axis` orders, and drops rows without it."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        for step in range(100):
            run.log({"a": step, "epoch": 50 - step} if step < 50 else {"a": step})
    run = tl.Api(tmp_path).run("r")
    sampled = run.history(samples=5, keys=["a"], pandas=False)
    assert [row["a"] for row in sampled] == [0, 25, 50, 74, 99]
    by_epoch = run.history(keys=["a"], x_axis="epoch", pandas=False)
    assert ([row["epoch"] for row in by_epoch][:2], len(by_epoch)) == ([1, 2], 50)


def test_scan_history(api: tl.Api):
    """Rows as dicts from min_step up to max_step; with keys those that have all of them."""
    run = api.run("three")
    assert [row["_step"] for row in run.scan_history()] == [0, 1, 2, 3]
    assert [row["loss"] for row in run.scan_history(keys=["loss"], page_size=1, min_step=1, max_step=3)] == [3, 4]
    assert list(run.scan_history(keys=["loss", "word"])) == []
    with pytest.raises(UnknownNameError, match="did you mean 'loss'"):
        list(run.scan_history(keys=["lossy"]))


def test_a_summary_is_written_by_update(tmp_path: Path):
    """Before it nothing is; after it all is, arrays, deletions and nested values too."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.define_metric("loss", summary="min,last")
        run.log({"loss": 1.0, "a": {"b": 1, "c": 2}})
    api = tl.Api(tmp_path)
    run = api.run("r")
    run.summary["acc"] = 0.9
    run.summary["a"]["b"] = 5
    run.summary["loss"]["min"] = 0
    run.summary["weights"] = np.ones(100)
    del run.summary["a"]["c"]
    assert api.run("r").summary_metrics["a"] == {"b": 1, "c": 2}
    run.summary.update()
    stored = api.run("r").summary_metrics
    assert (stored["acc"], stored["a"], stored["loss"]) == (0.9, {"b": 5}, {"min": 0, "last": 1.0})
    assert stored == run.summary_metrics
    assert api.run("r").summary.array("weights").sum() == 100
    run.summary.update({"acc": 1.0})
    assert tl.open(tmp_path).run("r").summary["acc"] == 1.0


def test_config_tags_and_name_are_written_by_update(tmp_path: Path):
    """Changed values, added ones, and nothing that is as it was."""
    with tl.init("p", id="r", dir=tmp_path, config={"lr": 0.1, "model": {"depth": 3}}, tags=["a"]):
        pass
    run = tl.Api(tmp_path).run("r")
    run.config["lr"] = 0.2
    run.config["model"]["depth"] = 4
    run.tags.append("b")
    run.name, run.notes = "better", "a note"
    run.update()
    kept = tl.open(tmp_path).run("r")
    assert (kept.config, kept.name, kept.tags) == ({"lr": 0.2, "model": {"depth": 4}}, "better", ["a", "b"])
    assert (run.config["lr"], run.tags, run.notes) == (0.2, ["a", "b"], "a note")
    sessions = len(list((tmp_path / "journal").iterdir()))
    run.update()
    assert len(list((tmp_path / "journal").iterdir())) == sessions


def test_fields_are_written_by_update_and_nothing_else_can_be_set(tmp_path: Path):
    """What is set is stored by update, under either name of a field; what would be lost is refused, as is no text."""
    with tl.init("p", id="r", dir=tmp_path, notes="old", group="g"):
        pass
    run = tl.Api(tmp_path).run("r")
    run.group, run.job_type, run.display_name, run.notes = "late", "eval", "better", None
    run.update()
    shown = tl.open(tmp_path).runs(columns=["name", "group", "job_type", "notes"])
    assert shown.rows() == [("r", "better", "late", "eval", None)]
    assert (run.group, run.job_type, run.name, run.display_name) == ("late", "eval", "better", "better")
    with pytest.raises(AttributeError, match="'state' of run 'r' cannot be set; name, group, job_type, notes, tags"):
        run.state = "finished"
    with pytest.raises(TypeError, match="group is a text; got 5"):
        run.group = 5  # type: ignore[assignment]


def test_a_run_read_from_a_lake_takes_just_what_it_stores(api: tl.Api):
    """Tags and the summary of a recorded run are stored at once; all else refuses to be set."""
    run = tl.open(api._lake.dir).run("one")
    for name in ("notes", "group", "name", "state", "summary", "config", "colour"):
        with pytest.raises(AttributeError, match=rf"'{name}' of run 'one' cannot be set; .tags and .summary"):
            setattr(run, name, "x")


def test_the_config_of_a_recorded_run_is_stored_as_it_is_changed(tmp_path: Path):
    """What is set in it is stored at once, at all levels, and a copy of it is a plain dict."""
    tl.init("p", id="r", dir=tmp_path, config={"lr": 0.1, "model": {"depth": 3}}).finish()
    run = tl.open(tmp_path).run("r")
    run.config["lr"] = 9
    run.config["model"]["depth"] = 4
    assert tl.open(tmp_path).run("r").config == {"lr": 9, "model": {"depth": 4}}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tags", None, r"tags are texts that are not empty, such as tags=\['baseline', 'v2'\]; got None"),
        ("config", None, r"config= takes a mapping such as {'lr': 0.1}; got None"),
        ("config", ["lr"], r"config= takes a mapping such as {'lr': 0.1}; got \['lr'\] \(list\)"),
    ],
)
def test_what_update_could_not_store_is_refused_when_it_is_set(api: tl.Api, name: str, value: object, words: str):
    """The run is left as it was, so that update() goes on."""
    run = api.run("one")
    before = (run.tags, run.config)
    with pytest.raises(TypeError, match=words):
        setattr(run, name, value)
    run.update()
    assert (run.tags, run.config) == before


def test_all_at_once(api: tl.Api):
    """summaries() and histories() are one frame, in the order of the runs."""
    runs = api.runs("my project", {"state": "finished"}, order="-config.lr")
    found = runs.summaries().select("run_id", "summary.loss", "summary.best.max")
    assert found.rows() == [("three", 4.0, 4.0), ("two", 3.0, 2.0), ("one", 2.0, 0.0)]
    histories = runs.histories(["loss", "best"])
    assert histories.columns == ["run_id", "_step", "time", "best", "loss"]
    assert (histories.height, histories.filter(pl.col("run_id") == "two")["loss"].to_list()) == (9, [1.0, 2.0, 3.0])


def test_there_must_be_a_lake(tmp_path: Path):
    """The Api reads; W&B's arguments are accepted."""
    with pytest.raises(LakeError, match="there is no lake"):
        tl.Api(tmp_path / "none", timeout=30, overrides={"entity": "me"})


def by_hand(row: dict, filters: dict) -> bool:
    """Say whether a run matches, one by one: the meaning that the expression must have."""
    numbers = {"$gt": lambda a, b: a > b, "$lte": lambda a, b: a <= b, "$ne": lambda a, b: a != b}
    for name, condition in filters.items():
        if name == "$or":
            matches = any(by_hand(row, part) for part in condition)
        else:
            ((operator, operand),) = condition.items()
            value = row[mongo_filters.column(name)]
            matches = operator == "$ne" if value is None or math.isnan(value) else numbers[operator](value, operand)
        if not matches:
            return False
    return True


@pytest.mark.parametrize("seed", range(5))
def test_random_filters_agree_with_a_loop(seed: int):
    """Nested conditions over numbers, nulls and NaN, against a loop over the runs."""
    rng = random.Random(seed)
    pick = [None, math.nan, -1.0, 0.0, 1.0, 2.0]
    rows = [{"config.a": rng.choice(pick), "summary.b": rng.choice(pick)} for _ in range(100)]
    frame = pl.DataFrame(rows, schema={"config.a": pl.Float64, "summary.b": pl.Float64})

    def leaf() -> dict:
        name = rng.choice(["config.a", "summary_metrics.b"])
        return {name: {rng.choice(["$gt", "$lte", "$ne"]): rng.choice([-1.0, 0.0, 1.0])}}

    for _ in range(20):
        filters = {**leaf(), "$or": [leaf(), {**leaf(), **leaf()}, leaf()]}
        expected = [i for i, row in enumerate(rows) if by_hand(row, filters)]
        found = frame.with_row_index("i").filter(mongo_filters.expression(filters, frame.schema))["i"].to_list()
        assert found == expected, filters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x_axis": "lss"}, "unknown metric 'lss'; did you mean 'loss'"),
        ({"keys": ["lss"]}, "unknown metric 'lss'; did you mean 'loss'"),
        ({"stream": "sys"}, "stream='sys'; accepted are 'default', 'system', 'events'"),
        ({"samples": -1}, "samples=-1; it is a whole number, at least 0"),
    ],
)
def test_a_history_that_cannot_be_is_refused(api: tl.Api, arguments, message):
    """The argument is named, and what is accepted; nothing comes back empty instead."""
    with pytest.raises(tl.TracklakeError, match=message):
        api.run("one").history(**arguments)


def test_one_key_may_be_given_as_a_text(api: tl.Api):
    """It means the same as a list of one."""
    run = api.run("one")
    assert run.history(keys="loss", pandas=False) == run.history(keys=["loss"], pandas=False) != []


def test_no_order_is_that_of_creation(api: tl.Api):
    """None, as in older scripts, is the default."""
    assert [run.id for run in api.runs("my project", order=None)] == list(RUNS)


@pytest.mark.parametrize("pattern", ["([", 5, re.compile("(?=a)")])
def test_a_regex_that_is_none_is_refused(api: tl.Api, pattern):
    """The pattern is named, also one that only Python understands."""
    condition = pattern if isinstance(pattern, re.Pattern) else {"$regex": pattern}
    with pytest.raises(tl.TracklakeError, match=r"\$regex"):
        len(api.runs("my project", {"displayName": condition}))


def test_histories_come_in_the_order_of_the_runs(tmp_path):
    """What `order` says of the runs holds for their histories."""
    for i in range(3):
        with tl.init("p", id=f"r{i}", config={"lr": i}, dir=tmp_path) as run:
            run.log({"acc": i})
    found = tl.Api(tmp_path).runs(order="-config.lr").histories(["acc"])
    assert found["run_id"].to_list() == ["r2", "r1", "r0"]


@pytest.mark.parametrize(
    ("filters", "run_ids"),
    [
        ({"config.sizes": 64}, ["a", "b"]),
        ({"config.sizes": {"$in": [128, 7]}}, ["b"]),
        ({"config.sizes": {"$all": [64, 32]}}, ["a"]),
        ({"config.sizes": [64, 32]}, ["a"]),
        ({"config.names": "x"}, ["a"]),
        ({"tags": {"$all": ["late", "big"]}}, ["b"]),
    ],
)
def test_filters_look_into_lists(tmp_path, filters, run_ids):
    """A filter on a list in config matches its elements, as MongoDB's does, and $all wants them all."""
    for run_id, sizes, tags in (("a", [64, 32], ["late"]), ("b", [64, 128], ["late", "big"])):
        config = {"sizes": sizes, "names": ["x"] if run_id == "a" else "y"}
        tl.init("p", id=run_id, config=config, tags=tags, dir=tmp_path).finish()
    assert [run.id for run in tl.Api(tmp_path).runs("p", filters)] == run_ids
