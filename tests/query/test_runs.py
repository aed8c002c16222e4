"""`lake.runs`: one row a run, typed columns, where, order, limit."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import made_once
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tracklake as tl
from tracklake.errors import DefinitionError, UnknownNameError

CONFIGS = {
    "a": {"lr": 0.1, "depth": 2, "opt": {"name": "adam", "betas": [0.9, 0.99]}, "mix": 1, "flag": True},
    "b": {"lr": 1, "depth": 3, "opt": {"name": "sgd"}, "mix": "big", "flag": False, "only.b": 7},
    "c": {"lr": 0.5, "depth": 2**53 + 1, "mix": [1], "none": None},
}
LOSSES = {"a": [3.0, 1.0, 2.0], "b": [2.0, math.nan], "c": []}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Three runs of project p, of which c logged nothing, and one of project q."""
    root = tmp_path_factory.mktemp("runs")
    for run_id, config in CONFIGS.items():
        with tl.init("p", id=run_id, dir=root, config=config, name=f"run {run_id}", tags=[run_id]) as run:
            for loss in LOSSES[run_id]:
                run.log({"loss": loss, "val/acc": 1 - loss / 10})
    run.finish()
    with tl.init("q", id="z", dir=root, group="g", job_type="eval", notes="last") as run:
        run.log({"only/z": 1, "loss.max": 9})
    return tl.open(root)


def column(lake: tl.Lake, name: str, **how: object) -> list[object]:
    return lake.runs(columns=[name], **how)[name].to_list()


def test_base_columns_and_their_types(lake):
    """Without columns of config or summary a run has ten, of fixed types."""
    found = lake.runs(
        runs="z", columns=["name", "state", "created_at", "runtime", "tags", "notes", "group", "job_type"]
    )
    types = [pl.String, pl.String, pl.String, pl.Datetime("us", "UTC"), pl.Float64, pl.List(pl.String)]
    assert found.dtypes == [*types, pl.String, pl.String, pl.String]
    row = found.row(0, named=True)
    assert (row["run_id"], row["name"], row["state"], row["group"]) == ("z", "z", "finished", "g")
    assert (row["job_type"], row["notes"], row["tags"]) == ("eval", "last", None)
    assert 0 <= row["runtime"] < 60
    assert abs(row["created_at"] - datetime.now(UTC)).total_seconds() < 600


@pytest.mark.parametrize(
    ("name", "dtype", "values"),
    [
        ("config.depth", pl.Int64, [2, 3, 2**53 + 1, None]),  # all integers stay exact
        ("config.lr", pl.Float64, [0.1, 1.0, 0.5, None]),  # int and float
        ("config.flag", pl.Boolean, [True, False, None, None]),
        ("config.opt.name", pl.String, ["adam", "sgd", None, None]),
        ("config.opt.betas", pl.String, ["[0.9, 0.99]", None, None, None]),  # a list as JSON
        ("config.only.b", pl.Int64, [None, 7, None, None]),
        ("config.none", pl.Float64, [None, None, None, None]),  # None in every run
        ("summary.loss", pl.Float64, [2.0, math.nan, None, None]),
        ("summary.loss.max", pl.Int64, [None, None, None, 9]),  # a metric of that whole name comes first
        ("summary.loss.min", pl.Float64, [1.0, 2.0, None, None]),
        ("summary.loss.argmin", pl.Int64, [1, 0, None, None]),
        ("summary.loss.p50", pl.Float64, [2.0, 2.0, None, None]),
        ("summary.loss.p99.9", pl.Float64, [2.998, 2.0, None, None]),
        ("summary.only/z", pl.Int64, [None, None, None, 1]),
        ("summary._step", pl.Int64, [2, 1, None, 0]),
    ],
)
def test_a_column_has_the_type_of_its_values(lake, name, dtype, values):
    """A column is as exact as its values allow, and null where a run has none."""
    found = lake.runs(columns=[name])[name]
    assert found.dtype == dtype
    assert found.to_list() == pytest.approx(values, nan_ok=True)


def test_mixed_kinds_keep_numbers_and_texts_apart(lake):
    """Numbers stay in config.x; what is no number stands beside them in config.x.text."""
    found = lake.runs(columns=["config.mix"])
    assert found.rows() == [("a", 1, None), ("b", None, "big"), ("c", None, "[1]"), ("z", None, None)]
    assert found.schema["config.mix"] == pl.Int64
    assert column(lake, "config.mix.text") == [None, "big", "[1]", None]


def test_the_type_of_a_column_outlives_a_filter(lake):
    """Where no run that is left has a value, the column has the type that it has in the lake."""
    for where in ["run_id = 'z'", "run_id = 'nobody'"]:
        found = lake.runs(
            where=where, columns=["config.depth", "config.opt.name", "summary.loss.argmin", "config.flag"]
        )
        assert found.dtypes == [pl.String, pl.Int64, pl.String, pl.Int64, pl.Boolean]


def test_runs_are_in_the_order_of_their_creation(lake):
    """The oldest run is first."""
    assert lake.runs(columns=["run_id"])["run_id"].to_list() == ["a", "b", "c", "z"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("config.lr", ["a", "c", "b", "z"]),
        ("-config.lr", ["b", "c", "a", "z"]),
        ("summary.loss", ["a", "b", "c", "z"]),  # b has NaN
        ("-summary.loss", ["a", "b", "c", "z"]),
        (["config.flag", "-run_id"], ["b", "a", "z", "c"]),
        (["project", "-summary.val/acc.max"], ["a", "b", "c", "z"]),
        ("-created_at", ["z", "c", "b", "a"]),
    ],
)
def test_order_by_puts_nulls_and_nan_last_either_way(lake, order, expected):
    """One column or several, each with its own direction; runs without a value come last."""
    assert lake.runs(columns=["run_id"], order_by=order)["run_id"].to_list() == expected


def test_limit_takes_the_first_of_the_order(lake):
    """The limit counts after where and order_by."""
    assert lake.runs(columns=["run_id"], where="project = 'p'", order_by="-config.lr", limit=2).rows() == [
        ("b",),
        ("c",),
    ]
    assert lake.runs(limit=0).height == 0
    with pytest.raises(ValueError, match="limit=-1; it is a whole number, at least 0"):
        lake.runs(limit=-1)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (pl.col("config.lr") < 0.6, ["a", "c"]),
        (pl.col("summary.loss.min") <= 1, ["a"]),
        (pl.col("config.mix.text").is_not_null(), ["b", "c"]),
        ('"config.lr" < 0.6', ["a", "c"]),
        ("config.lr < 0.6 AND config.opt.name = 'adam'", ["a"]),
        ("name = 'run b' OR job_type IN ('eval', 'config.lr')", ["b", "z"]),
        ("\"summary.val/acc.max\" > 0.85 and project <> 'q'", ["a"]),
        ("summary.loss.argmin is null", ["c", "z"]),
        ("state = 'finished' and config.depth > 2", ["b", "c"]),
        ("config.flag", ["a"]),
    ],
)
def test_where_is_a_polars_expression_or_sql(lake, where, expected):
    """A condition may name any column, and any statistic of any metric; in SQL also unquoted, if only dots part it."""
    assert lake.runs(where=where, columns=["run_id"])["run_id"].to_list() == expected


def test_runs_takes_ids_in_their_order_or_a_frame(lake):
    """The runs come once each, in the order in which they are named."""
    for given in (["c", "a", "c"], ("c", "a"), pl.DataFrame({"run_id": ["c", "a"]}), pl.Series(["c", "a"])):
        assert lake.runs(runs=given, columns=["run_id"])["run_id"].to_list() == ["c", "a"]
    assert lake.runs(runs="b", columns=["run_id"])["run_id"].to_list() == ["b"]
    assert lake.runs(runs=[], columns=["config.lr"]).schema == {"run_id": pl.String, "config.lr": pl.Float64}
    with pytest.raises(UnknownNameError, match=r"unknown run 'aa'; did you mean 'a'\?"):
        lake.runs(runs=["aa"])
    with pytest.raises(UnknownNameError, match="a frame with a column run_id; the frame given has"):
        lake.runs(runs=pl.DataFrame({"id": ["a"]}))


def test_project_keeps_its_runs_and_their_columns(lake):
    """The default columns are those that the runs of the project hold."""
    assert lake.runs("q").columns[10:] == ["summary.loss.max", "summary.only/z"]
    shown = lake.runs("p").columns[10:]
    assert [c for c in shown if c.startswith("summary")] == ["summary.loss", "summary.val/acc"]
    assert "config.mix.text" in shown
    with pytest.raises(UnknownNameError, match="unknown project 'pq'; did you mean 'q' or 'p'"):
        lake.runs("pq")


def test_globs_stand_for_the_columns_that_match(lake):
    """A glob names columns, and before a statistic the metrics that match."""
    assert lake.runs(columns=["config.opt.*"]).columns == ["run_id", "config.opt.betas", "config.opt.name"]
    assert lake.runs(columns=["summary.val/*"]).columns == ["run_id", "summary.val/acc"]
    assert lake.runs(columns=["summary.*acc.max"]).columns == ["run_id", "summary.val/acc.max"]
    every = ["summary.loss.max", "summary.loss.max.max", "summary.only/z.max", "summary.val/acc.max"]
    assert lake.runs(columns=["summary.*.max"]).columns == ["run_id", *every]
    assert lake.runs(columns=["summary.*acc.p99.9", "name"]).columns == ["run_id", "summary.val/acc.p99.9", "name"]
    assert len(lake.runs(columns="config.*").columns) == 10


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"columns": ["config.lrr"]}, "unknown column 'config.lrr'; did you mean 'config.lr'"),
        ({"columns": ["summary.los.max"]}, "unknown column 'summary.los.max'; did you mean 'summary.loss.max'"),
        (
            {"columns": ["summary.val/acc.maxx"]},
            "unknown column 'summary.val/acc.maxx'; did you mean 'summary.val/acc'",
        ),
        ({"columns": ["sumary.*"]}, r"unknown column 'sumary.\*'; did you mean"),
        ({"columns": ["lrr"]}, "unknown column 'lrr'; did you mean 'lr'"),
        ({"where": pl.col("config.deptj") > 1}, "unknown column 'config.deptj'; did you mean 'config.depth'"),
        ({"where": "stat = 'running'"}, "unknown column 'stat'; did you mean 'state'"),
        ({"order_by": "-config.dept"}, "unknown column 'config.dept'; did you mean 'config.depth'"),
    ],
)
def test_an_unknown_column_names_the_nearest(lake, how, message):
    """A name that is not there raises an error with those that are near, wherever it stands."""
    with pytest.raises(UnknownNameError, match=message):
        lake.runs(**how)


def test_a_column_is_given_as_it_was_asked_for(lake):
    """Columns come once each and in the order of the names, after run_id."""
    asked = ["summary.loss", "config.lr", "run_id", "summary.loss", "project"]
    assert lake.runs(columns=asked).columns == ["run_id", "summary.loss", "config.lr", "project"]


@made_once.lake_in_tmp_path
def defined(folder: Path) -> None:
    """Two runs, of which only the first defines its metrics."""
    with tl.init("p", id="a", dir=folder) as run:
        run.define_metric("loss", summary="min,best", goal="min")
        run.define_metric("acc", summary="none")
        run.define_metric("lr", hidden=True)
        run.log({"loss": 2.0, "acc": 0.5, "lr": 1.0, "_timestamp": 7, "note": "x"})
        run.summary["acc"] = 0.75
    with tl.init("p", id="b", dir=folder) as run:
        run.log({"loss": 3.0, "lr": 1.0})
        run.summary["by_hand"] = {"deep": 1}


def test_definitions_choose_the_default_columns(defined):
    """A shown column is filled for every run; none and hidden leave the column out, a value set by hand shows it."""
    assert defined.runs().drop("created_at", "runtime").columns[8:] == [
        "summary.acc",
        "summary.by_hand.deep",
        "summary.loss.min",
        "summary.loss.best",
        "summary.loss.best_step",
        "summary.note",
    ]
    found = defined.runs(columns=["summary.loss.*", "summary.acc", "summary.lr", "summary.by_hand.deep"])
    assert found.row(0) == ("a", 2.0, 2.0, 0, 0.75, 1.0, None)
    assert found.row(1) == ("b", 3.0, None, None, None, 1.0, 1)  # b gives loss no goal
    assert defined.runs(runs="b").columns[10:] == ["summary.by_hand.deep", "summary.loss", "summary.lr"]


def test_a_bare_summary_is_the_edit_if_it_is_newest(tmp_path):
    """summary.m is what was said last of m, by hand or by a row; summary.m.stat always reads history."""
    run = tl.init(id="a", dir=tmp_path)
    run.log({"m": 1.0})
    run.summary["m"] = 9.0
    lake = tl.open(tmp_path)
    asked = ["summary.m", "summary.m.last", "summary.m.max"]
    assert lake.runs(columns=asked).row(0) == ("a", 9.0, 1.0, 1.0)
    run.log({"m": None})  # says nothing of m
    assert lake.runs(columns=asked).row(0) == ("a", 9.0, 1.0, 1.0)
    run.log({"m": 2.0})
    assert lake.runs(columns=asked).row(0) == ("a", 2.0, 2.0, 2.0)
    run.finish()
    lake.run("a").summary["m"] = "best"
    assert lake.runs(columns=asked).row(0) == ("a", "best", 2.0, 2.0)
    lake.run("a").summary["m"] = None
    assert lake.runs(columns=asked).row(0) == ("a", None, 2.0, 2.0)


def test_a_key_set_by_hand_takes_no_statistic_away(tmp_path):
    """summary.m.max reads history, also where some run has set a key m.max; a key of no metric is itself."""
    for run_id in ("a", "b"):
        with tl.init(id=run_id, dir=tmp_path) as run:
            run.log({"m": 1.0})
    lake = tl.open(tmp_path)
    lake.run("b").summary.update({"m.max": 9.0, "other.max": 8.0})
    assert lake.runs(columns=["summary.m.max", "summary.other.max"]).rows() == [("a", 1.0, None), ("b", 1.0, 8.0)]
    assert lake.run("b").summary["m.max"] == 9.0


def test_order_by_follows_the_goal_unless_it_has_a_sign(lake_with_goal):
    """Without + or - a measure that has a goal puts the best first; a step or a count just ascends."""

    def order(by):
        return lake_with_goal.runs(columns=["run_id"], order_by=by)["run_id"].to_list()

    assert order("summary.acc") == order("summary.acc.max") == order("summary.acc.best") == ["high", "low"]
    assert order("+summary.acc") == order("summary.acc.argmax") == order("summary.loss") == ["low", "high"]


@pytest.fixture
def lake_with_goal(tmp_path) -> tl.Lake:
    """Two runs, and the goal of acc is max."""
    for run_id, acc in (("low", [0.5, 0.1]), ("high", [0.6, 0.9])):
        with tl.init(id=run_id, dir=tmp_path) as run:
            for x in acc:
                run.log({"acc": x, "loss": x})
    lake = tl.open(tmp_path)
    lake.define_metric("a*", goal="max")
    lake.define_metric("loss", goal="min")
    return lake


def test_best_without_any_goal_says_how_to_give_one(lake):
    """The statistic best needs a goal from some definition."""
    with pytest.raises(DefinitionError, match=r'loss.best needs a goal.*lake.define_metric\(.loss., goal="max"\)'):
        lake.runs(columns=["summary.loss.best"])


def test_a_config_key_that_changed_its_shape_leaves_nothing_behind(tmp_path):
    """What stood under a config key goes with it."""
    with tl.init(id="a", dir=tmp_path, config={"opt": {"name": "adam"}}) as run:
        run.config.update({"opt": "sgd"}, allow_val_change=True)
    lake = tl.open(tmp_path)
    assert lake.runs(columns=["config.*"]).to_dicts() == [{"run_id": "a", "config.opt": "sgd"}]
    assert lake.run("a").config == {"opt": "sgd"}


def test_the_texts_of_a_mixed_column_never_take_the_name_of_another(tmp_path):
    """Where config.x.text is a key of its own, the texts of config.x stand in config.x.text.text."""
    for run_id, config in (("a", {"x": 1, "x.text": 5}), ("b", {"x": "one"})):
        tl.init(id=run_id, dir=tmp_path, config=config).finish()
    found = tl.open(tmp_path).runs(columns=["config.*"])
    assert found.to_dicts() == [
        {"run_id": "a", "config.x": 1, "config.x.text.text": None, "config.x.text": 5},
        {"run_id": "b", "config.x": None, "config.x.text.text": "one", "config.x.text": None},
    ]


def test_an_empty_lake_has_runs_of_no_rows(tmp_path):
    """An empty lake answers with the base columns and no rows."""
    lake = tl.open(tmp_path, create=True)
    assert lake.runs().shape == (0, 10)
    assert lake.runs(where="state = 'running'", order_by="-created_at", limit=3).is_empty()
    with pytest.raises(UnknownNameError, match=r"unknown column 'summary\.loss'"):
        lake.runs(columns=["summary.loss"])


def test_runs_without_rows_and_metrics(tmp_path):
    """A run that logged nothing, or nothing but empty rows, has its base columns and no metric."""
    tl.init(id="a", dir=tmp_path).finish()
    with tl.init(id="b", dir=tmp_path) as run:
        run.log({})
        run.log({})
    lake = tl.open(tmp_path)
    assert lake.runs().shape == (2, 10)
    assert lake.runs(columns=["summary._step"]).rows() == [("a", None), ("b", 1)]
    assert lake.run("b").metrics == []


def test_a_lake_kept_open_answers_like_a_new_one(lake):
    """Asked again, the same object comes back where nothing has changed."""
    assert lake._view.snapshot is lake._view.snapshot
    assert_frame_equal(lake.runs(), tl.open(lake.dir).runs())


def test_a_metric_of_which_nothing_but_none_was_said(tmp_path):
    """A metric that was logged as None alone has no first and no last value."""
    with tl.init(id="r", dir=tmp_path) as run:
        run.log({"loss": 0.5, "gap": None})
    asked = ["summary.gap.first", "summary.gap.last", "summary.loss.last"]
    assert tl.open(tmp_path).runs(columns=asked).rows() == [("r", None, None, 0.5)]
