"""What a public call is given is checked at the door: an error names the parameter, what came, and what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import TracklakeError

LOSS = {"by": "lr", "goal": "min", "draws": 10}
"""What `compare` needs beside the metric."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """A lake with four runs of project p: lr 0.1 and 0.2 by seed 0 and 1, with loss, acc and a text."""
    folder = tmp_path_factory.mktemp("lake")
    for lr in (0.1, 0.2):
        for seed in range(2):
            with tl.init("p", id=f"r{lr}-{seed}", config={"lr": lr, "seed": seed}, dir=folder) as run:
                for step in range(5):
                    run.log({"loss": 1 / (step + 1) + lr + seed / 100, "acc": step * lr, "note": "x"})
    return tl.open(folder)


def sweep(lake: tl.Lake) -> Any:
    return lake.sweep(metric="loss", goal="min")


def run(lake: tl.Lake) -> Any:
    return tl.Api(lake.dir).run("r0.1-0")


Ask = Callable[[tl.Lake, Any], Any]

GOALS = "'min', 'max', 'minimize', 'maximize'"
METHODS = "'ped-anova', 'fanova', 'permutation'"
WORDS: dict[str, tuple[Ask, str, str]] = {
    "summaries": (lambda lake, w: lake.summaries("loss", shape=w), "shape", "'long', 'wide'"),
    "history": (lambda lake, w: lake.history("loss", shape=w), "shape", "'long', 'wide'"),
    "stream": (lambda lake, w: lake.history("loss", stream=w), "stream", "'metrics', 'system'"),
    "system shape": (lambda lake, w: lake.history(stream="system", shape=w), "shape", "'long', 'wide'"),
    "at_best": (lambda lake, w: lake.at_best("loss", goal=w), "goal", GOALS),
    "export": (
        lambda lake, w: lake.export("out", format=w),
        "format",
        "'parquet', 'csv', 'jsonl', 'mlflow', 'tensorboard', 'wandb'",
    ),
    "export run": (
        lambda lake, w: lake.export("out", run="r0.1-0", format=w),
        "format",
        "'parquet', 'csv', 'jsonl', 'mlflow', 'tensorboard', 'wandb'",
    ),
    "compare goal": (lambda lake, w: lake.compare("loss", by="lr", goal=w), "goal", GOALS),
    "center": (lambda lake, w: lake.compare("loss", **LOSS, center=w), "center", "'mean', 'median', 'iqm'"),
    "unit": (lambda lake, w: lake.compare("loss", **LOSS, unit=w), "unit", "'run', 'task'"),
    "test": (lambda lake, w: lake.compare("loss", **LOSS, test=w), "test", "'auto', 't', 'rank'"),
    "failed": (lambda lake, w: lake.compare("loss", **LOSS, failed=w), "failed", "'exclude', 'include'"),
    "sweep": (lambda lake, w: lake.sweep(metric="loss", goal="min", failed=w), "failed", "'exclude', 'include'"),
    "sweep goal": (lambda lake, w: lake.sweep(metric="loss", goal=w), "goal", GOALS),
    "at_budget": (lambda lake, w: lake.at_budget({"step": 1}, metric="loss", goal=w), "goal", GOALS),
    "time_to": (lambda lake, w: lake.time_to("loss", 0.3, goal=w), "goal", GOALS),
    "area_under": (lambda lake, w: lake.area_under("loss", best_so_far=True, goal=w), "goal", GOALS),
    "learning_curves": (lambda lake, w: lake.learning_curves("loss", best_so_far=True, goal=w), "goal", GOALS),
    "quality": (lambda lake, w: lake.quality("loss", goal=w), "goal", GOALS),
    "importance": (lambda lake, w: sweep(lake).importance(method=w), "method", METHODS),
    "pareto": (lambda lake, w: sweep(lake).pareto({"acc": w, "loss": "min"}), "goal", GOALS),
    "replay": (lambda lake, w: sweep(lake).replay([w]), "early_stopping", "'asha', 'hyperband', 'median'"),
    "curves": (lambda lake, w: lake.plot.curves("loss", band=w), "band", "'range', 'deciles', 'std', 'none', None"),
    "heatmap": (lambda lake, w: lake.plot.heatmap("lr", "seed", "loss", goal=w), "goal", GOALS),
    "ecdf": (lambda lake, w: lake.plot.ecdf("loss", goal=w), "goal", GOALS),
    "parallel": (lambda lake, w: lake.plot.parallel(["lr"], "loss", goal=w), "goal", GOALS),
    "plot importance": (lambda lake, w: lake.plot.importance(sweep(lake), method=w), "method", METHODS),
    "plot pareto": (lambda lake, w: lake.plot.pareto(sweep(lake), {"acc": w, "loss": "min"}), "goal", GOALS),
    "api history": (lambda lake, w: run(lake).history(stream=w), "stream", "'default', 'system', 'events'"),
    "resume": (
        lambda lake, w: tl.init(dir=lake.dir, resume=w),
        "resume",
        "'allow', 'must', 'never', 'auto', True, False, None",
    ),
    "mode": (
        lambda lake, w: tl.init(dir=lake.dir, mode=w),
        "mode",
        "'online', 'offline', 'disabled', 'shared', None",
    ),
    "reinit": (
        lambda lake, w: tl.init(dir=lake.dir, reinit=w),
        "reinit",
        "'default', 'create_new', 'finish_previous', 'return_previous', True, False, None",
    ),
    "system_metrics": (lambda lake, w: tl.init(dir=lake.dir, system_metrics=w), "system_metrics", "True, False, None"),
    "durability": (lambda lake, w: tl.init(dir=lake.dir, durability=w), "durability", "'write', 'fsync', 'buffered'"),
}


@pytest.mark.parametrize("call", WORDS)
def test_a_word_that_is_none_of_those_accepted(lake: tl.Lake, call: str):
    """Where one of several words is wanted, anything else is refused with the list of them."""
    ask, name, accepted = WORDS[call]
    with pytest.raises(TracklakeError) as raised:
        ask(lake, "exlude")
    assert str(raised.value) == f"{name}='exlude'; accepted are {accepted}"


def test_a_word_of_an_odd_type(lake: tl.Lake):
    """A list with the right word is not the word."""
    with pytest.raises(TracklakeError, match=r"shape=\['wide'\]; accepted are 'long', 'wide'"):
        lake.history("loss", shape=["wide"])  # type: ignore[arg-type]
    with pytest.raises(TracklakeError, match=r"resume=2; accepted are 'allow', 'must', 'never', 'auto', True, False"):
        tl.init(dir=lake.dir, resume=2)


@pytest.mark.parametrize(
    "words",
    [
        {"system_metrics": 0},
        {"system_metrics": None},
        {"system_metrics": np.False_},
        {"resume": 0},
        {"resume": 1},
        {"resume": np.True_},
        {"reinit": 0},
        {"reinit": 1},
        {"reinit": np.bool_(1)},
    ],
)
def test_a_truth_as_a_number(tmp_path: Path, words: dict[str, Any]):
    """1 and 0 are True and False for a run that begins, as are numpy's own; no system metrics are None."""
    tl.init(dir=tmp_path, **words).finish()
    assert tl.open(tmp_path).runs()["state"].to_list() == ["finished"]
    assert tl.open(tmp_path).history(stream="system").is_empty()


def test_a_step_of_numpy_as_a_number(tmp_path: Path):
    """The step to fork from and to rewind to may be what numpy has counted."""
    with tl.init(id="parent", dir=tmp_path) as run:
        for step in range(3):
            run.log({"loss": float(step)}, step=np.int64(step))
    tl.init(id="child", fork_from=("parent", np.int64(2)), dir=tmp_path).finish()
    tl.init(id="parent", resume="must", from_step=np.int32(1), dir=tmp_path).finish()
    assert tl.open(tmp_path).history("loss").select("run_id", "step").rows() == [
        ("child", 0), ("child", 1), ("parent", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(("reinit", "same"), [(0, True), (np.False_, True), (1, False)])
def test_reinit_as_a_number(tmp_path: Path, reinit: Any, *, same: bool):
    """reinit=0 is False, which goes on with the current run; 1 is True, which finishes it."""
    first = tl.init(dir=tmp_path)
    second = tl.init(dir=tmp_path, reinit=reinit)
    second.finish()
    assert (second is first, tl.run) == (same, None)
    assert tl.open(tmp_path).runs()["state"].to_list() == ["finished"] * (1 if same else 2)


def test_system_metrics_as_a_number(tmp_path: Path):
    """system_metrics=1 samples as True does."""
    tl.init(dir=tmp_path, system_metrics=np.int64(1), id="r").finish()  # type: ignore[arg-type]
    assert tl.open(tmp_path).history(stream="system")["run_id"].unique().to_list() == ["r"]


NAMES = "a name or a list of names"
METRIC = "the name of a metric"
COLUMN = "the name of a column or a metric"
NUMBER = "a number"
WHOLE = "a whole number"
RUNS = "run ids, runs, or a frame with a column run_id"
TARGET = "a metric, a column, an expression, or a frame of run_id and numbers"
BUDGET = "what is limited, such as {'step': 1000}, {'time': '2h'} or {'tokens': 1e9}"
PATH = "a text such as 'entity/project/run_id' or 'project'"
CURVES = pl.DataFrame({"model": ["a"], "epoch": [1], "err": [0.5]})


def brought_in(lake: tl.Lake, **more: Any) -> Any:
    return lake.import_table(CURVES, **{"run_columns": ["model"], "step": "epoch", "metrics": {"e": "err"}, **more})


TYPES: dict[str, tuple[Ask, str, str, list[Any]]] = {
    "project": (lambda lake, v: lake.runs(project=v), "project", "a text", [["p"], 1]),
    "columns": (lambda lake, v: lake.runs(columns=v), "columns", NAMES, [1, [1], [["a"]], {"a": 1}]),
    "order_by": (lambda lake, v: lake.runs(order_by=v), "order_by", NAMES, [1, ["config.lr", None]]),
    "where": (lambda lake, v: lake.runs(where=v), "where", "a polars expression or a SQL text", [True, ["a"]]),
    "runs": (lambda lake, v: lake.runs(runs=v), "runs", RUNS, [1, [1], [None], {1: "a"}, b"x"]),
    "runs of history": (lambda lake, v: lake.history("loss", runs=v), "runs", RUNS, [1, ["r0.1-0", 5]]),
    "run": (lambda lake, v: lake.run(v), "run_id", "the id of a run", [1, None, ["r0.1-0"]]),
    "summaries": (
        lambda lake, v: lake.summaries(v),
        "paths",
        "'metric.statistic', (metric, statistic), or a list of these",
        [None, 1, {"loss": "min"}],
    ),
    "history": (lambda lake, v: lake.history(v), "metrics", NAMES, [1, [1], [["loss"]]]),
    "history x": (lambda lake, v: lake.history("loss", x=v), "x", METRIC, [1, ["loss"]]),
    "limit": (lambda lake, v: lake.runs(limit=v), "limit", WHOLE, ["3", 2.5, True]),
    "history limit": (lambda lake, v: lake.history("loss", limit=v), "limit", NUMBER, [None, "x", True, np.True_, [5]]),
    "downsample": (lambda lake, v: lake.history("loss", downsample=v), "downsample", WHOLE, ["50", 4.5, True]),
    "samples": (lambda lake, v: run(lake).history(samples=v), "samples", WHOLE, ["3", 2.5]),
    "system": (lambda lake, v: lake.history(v, stream="system"), "metrics", NAMES, [1, [1]]),
    "scan_history": (lambda lake, v: lake.scan_history(v), "metrics", NAMES, [1, [None]]),
    "history of a run": (lambda lake, v: lake.run("r0.1-0").history(v), "metrics", NAMES, [1, [1]]),
    "at_best": (lambda lake, v: lake.at_best(v, goal="min"), "metric", METRIC, [1, ["loss"], ("loss", "min")]),
    "take": (lambda lake, v: lake.at_best("loss", goal="min", take=v), "take", NAMES, [1, [1]]),
    "sql": (lambda lake, v: lake.sql(v), "text", "a text in SQL", [1, ["SELECT 1"]]),
    "query": (lambda lake, v: lake.query(v), "name", "the name of a query", [1, None]),
    "queries": (
        lambda lake, v: tl.open(lake.dir, queries=v),
        "queries",
        "a folder of .sql files, or several",
        [1, [1], None],
    ),
    "derive": (lambda lake, v: lake.derive(v, '1 - "acc"'), "name", METRIC, [1, ["error"]]),
    "expression": (lambda lake, v: lake.derive("e", v), "expression", "an expression in SQL", [1, ["acc"]]),
    "description": (lambda lake, v: lake.derive("e", '1 - "acc"', description=v), "description", "a text", [1]),
    "unit of one": (lambda lake, v: lake.derive("e", '1 - "acc"', unit=v), "unit", "a text", [1]),
    "alias": (lambda lake, v: lake.alias(v, "acc"), "name", METRIC, [1, ["al"]]),
    "alias described": (lambda lake, v: lake.alias("al", "acc", description=v), "description", "a text", [1]),
    "import metrics": (
        lambda lake, v: brought_in(lake, metrics=v),
        "metrics",
        "a mapping of names to columns, {'val/loss': 'loss'}",
        [["v"], {"m": ["v"]}, {1: "v"}],
    ),
    "import step": (lambda lake, v: brought_in(lake, step=v), "step", "the name of a column", [["s"], None]),
    "import runs": (
        lambda lake, v: brought_in(lake, run_columns=v),
        "run_columns",
        NAMES,
        [[1], [["model"]], {"model": 1}],
    ),
    "import config": (lambda lake, v: brought_in(lake, config_columns=v), "config_columns", NAMES, [1, [1]]),
    "export": (lambda lake, v: lake.export(v), "folder", "a path", [1, None]),
    "export run": (lambda lake, v: lake.export("out", run=v), "run", "the id of a run", [1, ["r0.1-0"]]),
    "save": (lambda lake, v: lake.plot.scatter("lr", "loss").save(v), "path", "a path", [1]),
    "compare": (lambda lake, v: lake.compare(v, by="lr", goal="min"), "metric", TARGET, [None, 1, ["loss", "acc"]]),
    "by": (lambda lake, v: lake.compare("loss", by=v, goal="min"), "by", NAMES, [None, 1, ["lr", 1]]),
    "over": (lambda lake, v: lake.compare("loss", **LOSS, over=v), "over", NAMES, [1, [1]]),
    "task": (lambda lake, v: lake.compare("loss", **LOSS, task=v), "task", NAMES, [1, [1]]),
    "stat": (lambda lake, v: lake.compare("loss", **LOSS, stat=v), "stat", "the name of a statistic", [1, ["last"]]),
    "confidence": (
        lambda lake, v: lake.compare("loss", **LOSS, confidence=v),
        "confidence",
        "a share between 0 and 1, such as 0.95",
        ["95", None, True],
    ),
    "draws": (lambda lake, v: lake.compare("loss", **{**LOSS, "draws": v}), "draws", WHOLE, ["x", 2.5, None]),
    "seed": (lambda lake, v: lake.compare("loss", **LOSS, seed=v), "seed", WHOLE, ["x", None]),
    "budget": (lambda lake, v: lake.at_budget(v, metric="loss", goal="min"), "budget", BUDGET, [10, "step", {1: 2}]),
    "amount": (
        lambda lake, v: lake.at_budget({"step": v}, metric="loss", goal="min"),
        "budget",
        "amounts: numbers, or durations such as '90s', '2h'",
        [None, True],
    ),
    "budget metric": (lambda lake, v: lake.at_budget({"step": 1}, metric=v, goal="min"), "metric", METRIC, [1, ["a"]]),
    "threshold": (lambda lake, v: lake.time_to("loss", v, goal="min"), "threshold", NUMBER, ["0.3", None, [0.3]]),
    "time_to x": (lambda lake, v: lake.time_to("loss", 0.3, goal="min", x=v), "x", METRIC, [1, ["step"]]),
    "time_to by": (lambda lake, v: lake.time_to("loss", 0.3, goal="min", by=v), "by", NAMES, [1, None]),
    "area_under": (lambda lake, v: lake.area_under(v), "metric", METRIC, [1, ["loss"]]),
    "area_under x": (lambda lake, v: lake.area_under("loss", x=v), "x", METRIC, [1]),
    "learning_curves": (
        lambda lake, v: lake.learning_curves("loss", points=v),
        "points",
        "how many, or a list of numbers",
        ["x", None, [None]],
    ),
    "points of curves": (lambda lake, v: lake.learning_curves("loss", points=v), "points", WHOLE, [2.5]),
    "quality": (lambda lake, v: lake.quality(v), "metric", METRIC, [1, ["loss"]]),
    "sweep": (lambda lake, v: lake.sweep(metric=v, goal="min"), "metric", TARGET, [1, ["loss"]]),
    "params": (lambda lake, v: lake.sweep(metric="loss", goal="min", params=v), "params", NAMES, [1, [1]]),
    "best": (lambda lake, v: sweep(lake).best(v), "n", WHOLE, ["3", 2.5, True]),
    "marginal": (lambda lake, v: sweep(lake).marginal(v), "parameter", "the name of a parameter", [1, ["lr"]]),
    "points": (lambda lake, v: sweep(lake).marginal("lr", points=v), "points", WHOLE, ["x", 2.5]),
    "among": (lambda lake, v: sweep(lake).interactions(among=v), "among", WHOLE, ["x"]),
    "noise of ranks": (lambda lake, v: sweep(lake).rank_stability(noise=v), "noise", NUMBER, ["x"]),
    "noise": (lambda lake, v: sweep(lake).luck(noise=v), "noise", NUMBER, ["x"]),
    "replay": (
        lambda lake, v: sweep(lake).replay(v),
        "early_stopping",
        "'asha', 'hyperband', 'median', or a rule",
        [1, None],
    ),
    "pareto": (
        lambda lake, v: sweep(lake).pareto(v),
        "metrics",
        "names of metrics, or a mapping of them to their goals",
        [1, [1]],
    ),
    "leaderboard": (lambda lake, v: lake.plot.leaderboard(v), "comparison", "what lake.compare(...) returns", ["a", 1]),
    "plot importance": (lambda lake, v: lake.plot.importance(v), "sweep", "what lake.sweep(...) returns", ["loss"]),
    "plot marginal": (lambda lake, v: lake.plot.marginal(v, "lr"), "sweep", "what lake.sweep(...) returns", ["loss"]),
    "scatter": (lambda lake, v: lake.plot.scatter("lr", v), "y", COLUMN, [1, ["loss"]]),
    "color": (lambda lake, v: lake.plot.scatter("lr", "loss", color=v), "color", COLUMN, [1]),
    "heatmap": (lambda lake, v: lake.plot.heatmap("lr", "seed", v), "metric", COLUMN, [1, ["loss"]]),
    "ecdf": (lambda lake, v: lake.plot.ecdf(v), "metric", COLUMN, [1, ["loss"]]),
    "curves": (lambda lake, v: lake.plot.curves(v), "metrics", NAMES, [1, [1]]),
    "curves by": (lambda lake, v: lake.plot.curves("loss", by=v), "by", NAMES, [1, [1]]),
    "curves x": (lambda lake, v: lake.plot.curves("loss", x=v), "x", METRIC, [1]),
    "parallel": (lambda lake, v: lake.plot.parallel(v, "loss"), "columns", NAMES, [1, [1]]),
    "api runs": (lambda lake, v: tl.Api(lake.dir).runs(v), "path", PATH, [1, ["p"]]),
    "api order": (
        lambda lake, v: tl.Api(lake.dir).runs(order=v),
        "order",
        "the name of a field after '+' or '-'",
        [1, ["a"]],
    ),
    "per_page": (lambda lake, v: tl.Api(lake.dir).runs(per_page=v), "per_page", WHOLE, [None, "x"]),
    "api run": (lambda lake, v: tl.Api(lake.dir).run(v), "path", PATH, [None, 1]),
    "keys": (lambda lake, v: run(lake).history(keys=v), "keys", NAMES, [1, [1]]),
    "x_axis": (lambda lake, v: run(lake).history(x_axis=v), "x_axis", METRIC, [1, None]),
    "min_step": (lambda lake, v: run(lake).scan_history(min_step=v), "min_step", NUMBER, ["x", None]),
    "max_step": (lambda lake, v: run(lake).scan_history(max_step=v), "max_step", NUMBER, ["x"]),
    "histories": (lambda lake, v: tl.Api(lake.dir).runs().histories(v), "keys", NAMES, [1, [1]]),
    "settings": (
        lambda lake, v: tl.init(dir=lake.dir, settings=v),
        "settings",
        "a mapping such as {'metadata': False}",
        [1],
    ),
}


@pytest.mark.parametrize(("call", "given"), [(call, value) for call, (*_, wrong) in TYPES.items() for value in wrong])
def test_a_value_of_a_wrong_type(lake: tl.Lake, call: str, given: object):
    """A value of a type that cannot be is told by the name of the parameter, and leaves nothing behind."""
    ask, name, takes, _ = TYPES[call]
    before = sorted(Path(lake.dir).rglob("*"))
    with pytest.raises(TypeError) as raised:
        ask(lake, given)
    assert str(raised.value) == f"{name}= takes {takes}; got {given!r} ({type(given).__name__})"
    assert (sorted(Path(lake.dir).rglob("*")), tl.run) == (before, None)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda lake: lake.history(steps=("0", "1")), "steps=('0', '1'); accepted are (first, last), numbers or None"),
        (lambda lake: lake.scan_history(steps=("0", None)), "steps=('0', None); accepted are (first, last), numbers"),
        (lambda lake: lake.history(stream="system", steps=("a", None)), "steps=('a', None); accepted are"),
        (lambda lake: lake.compare("loss", **LOSS, seed=-1), "seed=-1; it is a whole number, at least 0"),
        (lambda lake: lake.at_budget({"step": []}, metric="loss", goal="min"), "a budget names what is limited"),
        (lambda lake: sweep(lake).marginal("lr", points=0), "points=0; it is a whole number, at least 1"),
        (lambda lake: sweep(lake).rank_stability(top=0), "top=0; it is a whole number, at least 1"),
        (lambda lake: sweep(lake).pareto([]), "metrics=[]; name one at least"),
        (lambda lake: sweep(lake).luck(noise=-1), "noise=-1; it is a standard deviation, at least 0"),
        (lambda lake: lake.runs(limit=-1), "limit=-1; it is a whole number, at least 0"),
        (lambda lake: lake.history("loss", downsample=3), "downsample=3; it is a whole number, at least 4"),
        (lambda lake: run(lake).history(samples=-1), "samples=-1; it is a whole number, at least 0"),
        (lambda lake: lake.learning_curves("loss", band=(0.5, 2)), "band=(0.5, 2); two shares between 0 and 1"),
        (lambda lake: tl.Api(lake.dir).runs(per_page=0), "per_page=0; it is a whole number, at least 1"),
        (lambda lake: lake.plot.leaderboard(lake.compare("loss", **LOSS), limit=0), "limit=0; it is a whole number"),
    ],
)
def test_a_value_that_cannot_be(lake: tl.Lake, ask: Callable[[tl.Lake], Any], words: str):
    """A value of the right type that no answer can be given for is told likewise."""
    with pytest.raises(TracklakeError) as raised:
        ask(lake)
    assert str(raised.value).startswith(words)


def test_frames_and_pictures_of_the_wrong_kind(lake: tl.Lake):
    """What is long to show is told by its type."""
    with pytest.raises(TypeError, match=r"comparison= takes what lake.compare\(...\) returns; got a Sweep"):
        lake.plot.leaderboard(sweep(lake))
    with pytest.raises(TypeError, match="a frame of numbers has the columns run_id and one other"):
        lake.compare(lake.runs().to_pandas(), by="lr", goal="min")
    with pytest.raises(TypeError, match=r"metric= takes a metric, .* and numbers; got a Series"):
        lake.compare(lake.runs()["run_id"].to_pandas(), by="lr", goal="min")
    with pytest.raises(TypeError, match="a frame of numbers has texts in run_id; this one has Int64"):
        lake.compare(pl.DataFrame({"run_id": [1], "x": [1.0]}), by="lr", goal="min")


def test_runs_may_be_said_in_many_ways(lake: tl.Lake):
    """runs= takes ids, runs of either API, and frames of polars and pandas."""
    table, one = lake.runs(), lake.run("r0.1-0")
    some = tl.Api(lake.dir).runs(filters={"config.lr": 0.1})
    few = table.filter(pl.col("config.lr") == 0.1)
    frames = (few, few.lazy(), few.to_pandas(), few.to_arrow(), few.with_columns(pl.col("run_id").cast(pl.Categorical)))
    columns = [few["run_id"], few["run_id"].to_pandas(), few["run_id"].to_arrow(), few["run_id"].to_numpy()]
    own = (
        [one, "r0.1-1"],
        {*columns[0]},
        dict.fromkeys(columns[0]),
        iter(columns[0]),
        dict.fromkeys(columns[0]).keys(),
    )
    for runs in (some, list(some), *frames, *columns, *own):
        assert sorted(lake.runs(runs=runs)["run_id"]) == ["r0.1-0", "r0.1-1"]
    assert lake.history("loss", runs=one).height == 5
    assert lake.run(one).id == "r0.1-0"


def test_a_bare_statistic_is_the_last_value(lake: tl.Lake):
    """The tuple (metric, None) is the metric's last value, under its name."""
    assert lake.summaries([("acc", None)], runs="r0.2-0").rows() == [("r0.2-0", 0.8)]


def test_refused_before_anything_is_written(lake: tl.Lake):
    """An export into a form that is not there makes no folder."""
    with pytest.raises(TracklakeError, match="format='xml'"):
        lake.export(Path(lake.dir) / "out", format="xml")  # type: ignore[arg-type]
    assert not (Path(lake.dir) / "out").exists()


ALIKE: dict[str, tuple[Ask, object, list[Any]]] = {
    "threshold": (
        lambda lake, v: lake.time_to("loss", v, goal="min").table,
        0.5,
        [Decimal("0.5"), np.array(0.5), np.float32(0.5), Fraction(1, 2)],
    ),
    "confidence": (
        lambda lake, v: lake.compare("loss", **LOSS, confidence=v).table,
        0.75,
        [Decimal("0.75"), np.array(0.75), np.float16(0.75), Fraction(3, 4)],
    ),
    "draws": (
        lambda lake, v: lake.compare("loss", **{**LOSS, "draws": v}).table,
        200,
        [np.uint8(200), np.array(200), Decimal(200), 200.0],
    ),
    "seed": (lambda lake, v: lake.compare("loss", **LOSS, seed=v).table, 127, [np.int8(127), np.array(127), 127.0]),
    "importance seed": (
        lambda lake, v: sweep(lake).importance(seed=v, draws=5),
        127,
        [np.int8(127), np.array(127), Decimal(127)],
    ),
    "importance draws": (lambda lake, v: sweep(lake).importance(draws=v), 3, [np.uint8(3), Decimal(3)]),
    "quantile": (lambda lake, v: sweep(lake).importance(quantile=v, draws=3), 0.5, [Fraction(1, 2), Decimal("0.5")]),
    "best": (lambda lake, v: sweep(lake).best(v), 1, [np.uint8(1), np.array(1), Decimal(1)]),
    "marginal": (lambda lake, v: sweep(lake).marginal("lr", points=v), 2, [np.uint8(2), Decimal(2)]),
    "among": (lambda lake, v: sweep(lake).interactions(among=v), 2, [np.uint8(2), Decimal(2)]),
    "top": (lambda lake, v: sweep(lake).rank_stability(top=v, draws=9), 2, [np.uint8(2), np.array(2)]),
    "noise": (
        lambda lake, v: sweep(lake).rank_stability(noise=v, draws=9),
        0.5,
        [Decimal("0.5"), np.array(0.5), Fraction(1, 2)],
    ),
    "fronts": (lambda lake, v: sweep(lake).pareto({"loss": "min"}, fronts=v), None, [4, np.uint8(4), Decimal(4)]),
    "limit": (lambda lake, v: lake.runs(limit=v), 2, [np.int64(2), np.array(2), Decimal(2), 2.0]),
    "history limit": (lambda lake, v: lake.history("loss", limit=v), 100, [1e2, np.int64(100), Decimal(100), np.inf]),
    "downsample": (lambda lake, v: lake.history("loss", downsample=v), 4, [np.int64(4), np.array(4), Decimal(4)]),
    "steps": (
        lambda lake, v: lake.history("loss", steps=(v, None)),
        2,
        [np.int64(2), np.array(2), Decimal(2), 1.5],
    ),
    "samples": (lambda lake, v: run(lake).history(samples=v, pandas=False), 2, [np.int64(2), Decimal(2)]),
    "min_step": (lambda lake, v: list(run(lake).scan_history(min_step=v)), 2, [np.int64(2), Decimal(2), np.array(2)]),
    "max_step": (lambda lake, v: list(run(lake).scan_history(max_step=v)), 2, [np.uint8(2), Decimal(2), np.array(2)]),
    "per_page": (lambda lake, v: [r.id for r in tl.Api(lake.dir).runs(per_page=v)], 1, [np.int64(1), Decimal(1)]),
    "points": (lambda lake, v: lake.learning_curves("loss", points=v), 3, [np.int64(3), np.array(3), Decimal(3)]),
    "places": (
        lambda lake, v: lake.learning_curves("loss", points=v),
        [0, 2],
        [np.array([0, 2]), {0, 2}, pl.Series([0, 2]), [Decimal(0), Decimal(2)], range(0, 3, 2)],
    ),
    "band": (
        lambda lake, v: lake.learning_curves("loss", band=v),
        (0.25, 0.75),
        [np.array([0.25, 0.75]), [Decimal("0.25"), Fraction(3, 4)], pl.Series([0.25, 0.75])],
    ),
    "until": (lambda lake, v: lake.area_under("loss", until=v), 2, [Decimal(2), np.array(2), np.int8(2), Fraction(2)]),
    "budget": (
        lambda lake, v: lake.at_budget({"step": v}, metric="loss", goal="min"),
        2,
        [Decimal(2), np.array(2), np.int8(2), [2], np.array([2.0])],
    ),
    "budgets": (
        lambda lake, v: lake.at_budget({"step": v}, metric="loss", goal="min"),
        [1, 2],
        [np.array([1, 2]), (Decimal(1), 2), pl.Series([1, 2])],
    ),
}


def same(found: Any, other: Any) -> bool:
    return bool(found.equals(other) if isinstance(found, pl.DataFrame) else found == other)


@pytest.mark.parametrize(("call", "given"), [(call, value) for call, (*_, alike) in ALIKE.items() for value in alike])
def test_a_number_of_another_kind(lake: tl.Lake, call: str, given: object):
    """A number means the same as one of Python, be it of numpy, a Decimal, a Fraction or an array of one."""
    ask, plain, _ = ALIKE[call]
    assert same(ask(lake, given), ask(lake, plain))


def test_a_budget_from_a_generator(lake: tl.Lake):
    """Several budgets may come from whatever yields them."""
    found = lake.at_budget({"step": (n for n in (1, 2))}, metric="loss", goal="min", runs="r0.1-0")  # type: ignore[dict-item]
    assert found["budget.step"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize(("where", "n"), [("true", 4), ("1=1", 4), ("1 = 1 AND config.lr > 0.15", 2), ("1=2", 0)])
def test_a_condition_of_constants(lake: tl.Lake, where: str, n: int):
    """Programs that put conditions together begin with one that always holds."""
    assert lake.runs(where=where).height == n
    assert lake.history("loss", where=where).height == 5 * n


def test_a_condition_of_constants_in_the_terminal(lake: tl.Lake):
    """It means the same there."""
    found = CliRunner().invoke(cli.main, ["runs", "--dir", lake.dir, "--where", "1=1", "--csv", "--columns", "run_id"])
    assert sorted(found.output.split()) == ["r0.1-0", "r0.1-1", "r0.2-0", "r0.2-1", "run_id"]


@pytest.mark.parametrize(
    "make",
    [
        pl.DataFrame.lazy,
        pl.DataFrame.to_pandas,
        pl.DataFrame.to_arrow,
        pl.DataFrame.rows,
        lambda frame: frame.to_pandas().astype("string"),
    ],
)
def test_nulls_among_run_ids(lake: tl.Lake, make: Callable[[pl.DataFrame], Any]):
    """What a left join leaves without an id is told as that."""
    runs = make(pl.DataFrame({"run_id": ["r0.1-0", None, "r0.1-1", None]}))
    given = [run_id for (run_id,) in runs] if isinstance(runs, list) else runs
    with pytest.raises(TypeError) as raised:
        lake.runs(runs=given)
    assert str(raised.value) == (
        "runs= takes run ids; 2 of 4 are null, the first in row 2: drop them, as by .drop_nulls('run_id')"
    )


def test_an_arrow_table_without_run_ids(lake: tl.Lake):
    """Its columns are named."""
    with pytest.raises(TracklakeError, match=r"the frame given has \['id'\]"):
        lake.runs(runs=pl.DataFrame({"id": ["r0.1-0"]}).to_arrow())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "run_id"),
    [
        ({"run_columns": "model"}, "a"),
        ({"run_columns": (name for name in ["model", "width"])}, "model=a,width=8"),
        ({"run_columns": pl.Series(["model"])}, "a"),
        ({"run_columns": np.array(["model"]), "config_columns": "width"}, "a"),
        ({"run_columns": {"model"}, "config_columns": (name for name in ["width"])}, "a"),
    ],
)
def test_the_columns_of_a_table_may_be_said_in_many_ways(tmp_path: Path, given: dict[str, Any], run_id: str):
    """A single text is one name; several come from whatever holds or yields them."""
    lake = tl.open(tmp_path, create=True)
    curves = CURVES.with_columns(width=8)
    assert lake.import_table(curves, **given, step="epoch", metrics={"e": "err"}).runs == 1
    assert lake.runs()["run_id"].to_list() == [run_id]
    config = {"model": "a"} if run_id == "a" and "config_columns" not in given else {"width": 8}
    assert lake.run(run_id).config == ({"model": "a", "width": 8} if "=" in run_id else config)


@pytest.mark.parametrize(
    "make",
    [
        pl.DataFrame.lazy,
        pl.DataFrame.to_pandas,
        pl.DataFrame.to_arrow,
        lambda cost: cost.cast({"run_id": pl.Categorical}),
        lambda cost: cost.cast({"run_id": pl.Enum(cost["run_id"])}),
        lambda cost: cost.cast({"run_id": pl.Categorical}).to_pandas(),
    ],
)
def test_numbers_of_runs_may_be_frames_of_many_kinds(lake: tl.Lake, make: Callable[[pl.DataFrame], Any]):
    """They may be lazy, of pandas or of arrow, and name their runs by categories."""
    cost = lake.runs(columns=["run_id", "config.lr"]).rename({"config.lr": "cost"})
    assert sorted(lake.sweep(metric=make(cost), goal="min").runs["value"]) == [0.1, 0.1, 0.2, 0.2]
    assert lake.compare(make(cost), by="lr", goal="min", draws=10).table["mean"].to_list() == [0.1, 0.2]
