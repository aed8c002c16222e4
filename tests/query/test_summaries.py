"""`lake.summaries`: any statistic of any metric; and the summary of one run."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

import tracklake as tl
from tracklake.errors import DefinitionError, UnknownNameError

INF, NAN = math.inf, math.nan


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Run a has numbers of every sort, b other kinds, c nothing."""
    root = tmp_path_factory.mktemp("summaries")
    with tl.init("p", id="a", dir=root) as run:
        for x, n, odd in zip([3.0, NAN, 1.0, INF], [2**53 + 1, 5, 5, 7], [1.0, INF, -INF, 2.0], strict=True):
            run.log({"x": x, "n": n, "odd": odd, "loss": x, "loss.min": 8})
    with tl.init("q", id="b", dir=root) as run:
        run.log({"x": 4.0, "mix": "low", "flag": True})
        run.log({"x": None, "mix": 2, "flag": False})
    tl.init("q", id="c", dir=root).finish()
    return tl.open(root)


@pytest.mark.parametrize(
    ("path", "dtype", "values"),
    [
        ("x", pl.Float64, [INF, 4.0, None]),
        ("x.last", pl.Float64, [INF, 4.0, None]),
        ("x.first", pl.Float64, [3.0, 4.0, None]),
        ("x.min", pl.Float64, [1.0, 4.0, None]),
        ("x.max", pl.Float64, [INF, 4.0, None]),
        ("x.argmin", pl.Int64, [2, 0, None]),
        ("x.argmax", pl.Int64, [3, 0, None]),
        ("x.mean", pl.Float64, [INF, 4.0, None]),
        ("x.sum", pl.Float64, [INF, 4.0, None]),
        ("x.std", pl.Float64, [NAN, None, None]),
        ("odd.mean", pl.Float64, [NAN, None, None]),
        ("x.count", pl.Int64, [3, 1, None]),
        ("x.n_nan", pl.Int64, [1, 0, None]),
        ("x.n_inf", pl.Int64, [1, 0, None]),
        ("x.p50", pl.Float64, [3.0, 4.0, None]),
        ("n.p25", pl.Float64, [5.0, None, None]),
        ("n.first", pl.Int64, [2**53 + 1, None, None]),
        ("n.std", pl.Float64, [4503599627370494.5, None, None]),
        ("flag.first", pl.Boolean, [None, True, None]),
        ("flag.count", pl.Int64, [None, 2, None]),
        ("flag.max", pl.Float64, [None, 1.0, None]),
        ("mix", pl.Int64, [None, 2, None]),
        ("mix.first", pl.String, [None, "low", None]),
        ("loss.min", pl.Int64, [8, None, None]),  # a metric of that whole name
        (("loss", "min"), pl.Float64, [1.0, None, None]),  # a tuple is exact
        ("loss.min.max", pl.Float64, [8.0, None, None]),
        ("_step.max", pl.Float64, [3.0, 1.0, None]),
    ],
)
def test_a_statistic_of_every_run(lake, path, dtype, values):
    """NaN never counts, infinities do, other kinds have ends only, and a run without the metric has null."""
    found = lake.summaries(path)
    assert found.columns == ["run_id", path if isinstance(path, str) else "loss.min"]
    assert_series_equal(found.to_series(1), pl.Series(values, dtype=dtype), check_names=False, rel_tol=1e-12)


def test_columns_are_named_as_asked(lake):
    """Several paths give a column each, in their order, and a mixed one a second for its texts."""
    lake_of_mixed = lake.summaries(["x.max", "mix.first", "n"], runs=["b", "a"])
    assert lake_of_mixed.rows() == [("b", 4.0, "low", None), ("a", INF, None, 7)]
    assert lake_of_mixed.columns == ["run_id", "x.max", "mix.first", "n"]


def test_long_has_a_row_for_each_run_and_path(lake):
    """The long shape names metric and statistic, and has a text column where there is any."""
    found = lake.summaries(["x.argmin", "mix.first", "flag"], runs=["a", "b"], shape="long")
    assert found.rows() == [
        ("a", "x", "argmin", 2.0, None),
        ("b", "x", "argmin", 0.0, None),
        ("a", "mix", "first", None, None),
        ("b", "mix", "first", None, "low"),
        ("a", "flag", "last", None, None),
        ("b", "flag", "last", None, "false"),
    ]
    assert lake.summaries("x.max", shape="long").columns == ["run_id", "metric", "stat", "value"]
    assert lake.summaries([], shape="long").is_empty()
    assert lake.summaries([]).columns == ["run_id"]


def test_runs_and_where_choose_the_runs(lake):
    """The runs are chosen as in lake.runs."""
    assert lake.summaries("x.max", where="project = 'q'").rows() == [("b", 4.0), ("c", None)]
    assert lake.summaries("x.p50", runs=lake.runs("q"), where=pl.col("summary.x.count") > 0).rows() == [("b", 4.0)]
    assert lake.summaries("x.max", runs=[]).schema == {"run_id": pl.String, "x.max": pl.Float64}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("y", "unknown metric 'y'; "),
        ("los.max", r"unknown metric 'los'; did you mean 'loss'.*\('max' was understood as a statistic of it\)"),
        ("x.maxx", r"unknown metric 'x.maxx'; .*\('maxx' is no statistic: there are min, max"),
        (("x", "maks"), r"unknown statistic 'maks'; did you mean 'max'"),
        (("loss", "p101"), "unknown statistic 'p101'"),
        ("x.best", "x.best needs a goal"),
    ],
)
def test_an_unknown_path_says_what_was_understood(lake, path, message):
    """An error names the nearest metric or statistic."""
    with pytest.raises((UnknownNameError, DefinitionError), match=message):
        lake.summaries(path)


def test_a_config_key_called_like_a_metric_says_nothing_of_it(tmp_path):
    """What is said of the config later is no edit of the summary."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"loss": 1.0})
        run.config["loss"] = "mse"
    lake = tl.open(tmp_path)
    assert lake.run("a").summary["loss"] == 1.0
    assert lake.runs(columns=["summary.loss", "config.loss"]).rows() == [("a", 1.0, "mse")]


def test_two_statistics_cannot_share_a_column(lake):
    """A name that means two things in one call is refused."""
    with pytest.raises(UnknownNameError, match=r"would both be the column 'loss\.min'; ask for them in two calls"):
        lake.summaries(["loss.min", ("loss", "min")])


def test_best_takes_the_goal_of_each_run(tmp_path):
    """What is best follows the definition that serves the metric in each run; without one it is null."""
    for run_id, goal in (("a", "max"), ("b", "min"), ("c", None)):
        with tl.init(id=run_id, dir=tmp_path) as run:
            if goal:
                run.define_metric("m", goal=goal)
            for x in (2.0, 3.0, 1.0, 3.0):
                run.log({"m": x})
    found = tl.open(tmp_path).summaries(["m.best", "m.best_step"])
    assert found.rows() == [("a", 3.0, 1), ("b", 1.0, 2), ("c", None, None)]


def test_the_texts_of_a_statistic_never_take_the_name_of_another(tmp_path):
    """A mixed first or last has its texts in a column that nobody else asked for."""
    for run_id, x in (("a", 1), ("b", "one")):
        with tl.init(id=run_id, dir=tmp_path) as run:
            run.log({"m": x, "m.text": 5})
    found = tl.open(tmp_path).summaries(["m", "m.text"])
    assert found.to_dicts() == [
        {"run_id": "a", "m": 1, "m.text.text": None, "m.text": 5},
        {"run_id": "b", "m": None, "m.text.text": "one", "m.text": 5},
    ]


def test_rows_at_one_step_count_once(tmp_path):
    """Of a metric said twice at a step, late or in another session, only the value said last counts."""
    with tl.init(id="a", dir=tmp_path) as run:
        for x in (1.0, 2.0, 9.0):
            run.log({"m": x})
        run.log({"m": 3.0}, step=2)
        other = tl.init(id="a", dir=tmp_path)
        other.log({"m": 5.0}, step=0)
        other.finish()
    lake = tl.open(tmp_path)
    expected = [("a", 3, 10.0, 5.0, 0)]
    asked = ["m.count", "m.sum", "m.max", "m.argmax"]
    assert lake.summaries(asked).rows() == expected
    lake.refresh()
    assert lake.summaries(asked).rows() == expected


def test_a_rewind_masks_later_steps_and_edits(tmp_path):
    """What the sessions before logged from the step on is gone, and so are their edits."""
    with tl.init(id="a", dir=tmp_path) as run:
        for x in (1.0, 9.0, 8.0):
            run.log({"m": x, "only": x} if x == 8 else {"m": x})
        run.summary["note"] = "old"
    lake = tl.open(tmp_path)
    lake.refresh()
    with tl.init(id="a", dir=tmp_path, from_step=1) as run:
        run.log({"m": 2.0})
    assert lake.summaries(["m.count", "m.max", "m.last", "m.argmax"]).rows() == [("a", 2, 2.0, 2.0, 1)]
    assert lake.summaries(["only.count", "only"]).rows() == [("a", None, None)]
    assert "note" not in lake.run("a").summary


def test_counts_below_each_other_are_integers(lake: tl.Lake):
    """The long shape has integers where all are counts or steps, as the view of SQL has; else floats."""
    counts = lake.summaries(["x.count", "x.argmin"], runs=["a"], shape="long")
    assert counts.rows() == [("a", "x", "count", 3), ("a", "x", "argmin", 2)]
    assert counts.schema["value"] == pl.Int64
    assert lake.summaries(["x.count", "x.min"], shape="long").schema["value"] == pl.Float64


@pytest.mark.parametrize(
    ("stats", "dtype", "values"),
    [("'count', 'argmin'", pl.Int64, [2, 3]), ("'count', 'min'", pl.Float64, [1.0, 3.0])],
)
def test_counts_of_the_view_are_integers(lake: tl.Lake, stats: str, dtype: pl.DataType, values: list[float]):
    """A SQL text about counts and steps alone has integers; beside other statistics they are doubles."""
    query = f"SELECT value FROM summaries WHERE run_id = 'a' AND metric = 'x' AND stat IN ({stats}) ORDER BY value"
    assert_series_equal(lake.sql(query)["value"], pl.Series("value", values, dtype=dtype))


def test_keys_above_and_under_each_other(tmp_path):
    """Of a key and one under it the summary shows what was said last, and history keeps both."""
    run = tl.init(id="a", dir=tmp_path)
    run.log({"t.loss": 1.0})
    run.log({"t": 2.0})
    lake = tl.open(tmp_path)
    assert lake.run("a").summary["t"] == 2.0
    assert lake.runs(columns=["summary.t", "summary.t.loss"]).rows() == [("a", 2.0, None)]
    run.summary["t.loss.ce"] = 3
    assert lake.run("a").summary["t"] == {"loss": {"ce": 3}}
    assert lake.summaries(["t", "t.loss"]).rows() == [("a", 2.0, 1.0)]
    run.finish()


def test_the_summary_of_a_run_is_what_any_reader_sees(tmp_path):
    """Read live, from the lake, before and after sealing, the summary is the same."""
    run = tl.init(id="a", dir=tmp_path)
    run.define_metric("m", summary="max,mean")
    run.log({"m": 1.0, "k": [1, {"a": None}]})
    run.log({"m": 4.0, "k": None})
    live = {k: v for k, v in run.summary._json_dict.items() if not k.startswith("_")}
    assert live == {"m": {"max": 4.0, "mean": 2.5}, "k": [1, {"a": None}]}
    lake = tl.open(tmp_path)
    for _ in range(2):
        assert {k: v for k, v in lake.run("a").summary._json_dict.items() if not k.startswith("_")} == live
        lake.refresh()
    run.finish()


def test_an_empty_lake_has_no_statistics(tmp_path):
    """There is no metric to name; the series that every run has give a table without rows."""
    lake = tl.open(tmp_path, create=True)
    with pytest.raises(UnknownNameError, match="unknown metric 'm'"):
        lake.summaries("m")
    assert_frame_equal(lake.summaries("_step"), pl.DataFrame(schema={"run_id": pl.String, "_step": pl.Float64}))


NEARBY = {
    "beyond 2^53": ([9007199254740992.0 + 2 * i for i in range(20)], 11.832159566199232),
    "small differences": ([1e15 + i / 8 for i in range(9)], 0.3423265984407288),
    "cancelling": ([1e16, 1.0, -1e16, 2.0, 3.0], 7071067811865475.0),
}


@pytest.mark.parametrize("series", NEARBY)
def test_the_deviation_of_large_numbers_is_that_of_their_differences(tmp_path: Path, series: str):
    """A mean that cannot be told exactly spoils no std: live, in a resumed run, in the lake and in SQL."""
    numbers, std = NEARBY[series]
    for some in (numbers[:3], numbers[3:]):
        with tl.init("p", id="a", dir=tmp_path, resume="allow", settings={"metadata": False}) as run:
            run.define_metric("x", summary="std")
            for x in some:
                run.log({"x": x})
            live = run.summary["x"].get("std")
        tl.open(tmp_path).refresh()
    lake = tl.open(tmp_path)
    by_hand = lake.query("summaries_from_history").filter(pl.col("metric") == "x")
    for answer in (live, lake.summaries(["x.std"])["x.std"][0], by_hand["std"][0]):
        assert answer == pytest.approx(std, rel=4e-16)
