"""`lake.history` and `lake.scan_history`: every point of many runs, long or wide."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tracklake as tl
from tracklake.errors import HistoryTooLargeError, UnknownNameError

NAN = math.nan
LONG = ["run_id", "metric", "step", "time", "value"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Run a has losses with a late row and an overwritten one, b other kinds, c nothing; half of it is sealed."""
    root = tmp_path_factory.mktemp("history")
    with tl.init("p", id="a", dir=root) as run:
        for step, loss in enumerate([3.0, 2.0, NAN, 1.0]):
            run.log({"loss": loss, "epoch": step // 2})
    tl.open(root).refresh()
    with tl.init("p", id="a", dir=root, resume="allow") as run:
        run.log({"loss": 9.0}, step=1)
        run.log({"loss": 2.5}, step=1)
    with tl.init("q", id="b", dir=root) as run:
        run.log({"loss": 5, "flag": True, "note": "x", "odd": [1]})
        run.log({"flag": None, "note": "y", "odd": 7})
    tl.init("q", id="c", dir=root).finish()
    return tl.open(root)


def test_long_is_in_order_of_run_metric_and_step(lake):
    """Of a step the value said last counts; NaN stays, and there is no text column where there is no text."""
    found = lake.history(["loss", "epoch"])
    assert found.columns == LONG
    assert found.schema["time"] == pl.Datetime("us", "UTC")
    assert found.drop("time").rows()[:4] == [("a", "epoch", s, float(s // 2)) for s in range(4)]
    losses = found.filter(pl.col("metric") == "loss").drop("time", "metric").rows()
    assert str(losses) == str([("a", 0, 3.0), ("a", 1, 2.5), ("a", 2, NAN), ("a", 3, 1.0), ("b", 0, 5.0)])
    assert (datetime.now(UTC) - found["time"][0]).total_seconds() < 600


def test_a_run_that_is_sealed_in_parts_is_in_order(tmp_path):
    """The points of each metric stand together, though every part has some of both."""
    for _ in range(2):
        with tl.init(id="a", dir=tmp_path, resume="allow") as run:
            run.log({"m": 1.0, "n": 2.0})
        tl.open(tmp_path).refresh()
    found = tl.open(tmp_path).history(["m", "n"])
    assert found.select("metric", "step").rows() == [("m", 0), ("m", 1), ("n", 0), ("n", 1)]


def test_a_metric_with_overwritten_points_keeps_its_place(tmp_path):
    """Once all is sealed, the ones that are clean need no look, and still come in order."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"m": 1.0, "n": 2.0})
        run.log({"n": 3.0}, step=0)
    tl.open(tmp_path).refresh()
    assert tl.open(tmp_path).history(["m", "n"]).select("metric", "value").rows() == [("m", 1.0), ("n", 3.0)]


def test_steps_and_times_come_in_order_among_the_others(tmp_path):
    """Once all is sealed too, when what was logged is read as it stands."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"m": 1.0, "A": 2.0})
    tl.open(tmp_path).refresh()
    assert tl.open(tmp_path).history(["m", "_step", "A"])["metric"].to_list() == ["A", "_step", "m"]


def test_late_rows_of_other_runs_are_not_among_those_asked_for(tmp_path):
    """Of runs with overwritten points just the ones that are named come, on a first look and on a second."""
    for run_id in "ab":
        with tl.init(id=run_id, dir=tmp_path) as run:
            for step in (0, 1, 0):
                run.log({"loss": 1.0}, step=step)
    lake = tl.open(tmp_path)
    for run_id in "ab":
        assert lake.history("loss", runs=run_id).select("run_id", "step").rows() == [(run_id, 0), (run_id, 1)]


def test_runs_of_several_projects_are_in_order_of_their_ids(tmp_path):
    """Though a sealed file holds one project after the other."""
    for project, run_id in (("p", "b"), ("q", "a")):
        with tl.init(project, id=run_id, dir=tmp_path) as run:
            run.log({"loss": 1.0})
    tl.open(tmp_path).refresh()
    assert tl.open(tmp_path).history("loss")["run_id"].to_list() == ["a", "b"]


def test_a_name_with_an_underscore_is_a_metric_like_others(tmp_path):
    """All metrics are all that were logged; just what every row has comes on request only."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"_grad": 1.0, "loss": 2.0})
    lake = tl.open(tmp_path)
    assert lake.history()["metric"].to_list() == ["_grad", "loss"]
    assert lake.scan_history().collect()["metric"].to_list() == ["_grad", "loss"]
    assert lake.history("_step")["value"].to_list() == [0.0]


def test_long_has_a_text_column_where_there_is_any(lake):
    """Strings and JSON are text, a bool is 1 or 0 and true or false, None is null in both columns."""
    found = lake.history(["flag", "note", "odd"], runs=["b"]).drop("run_id", "time")
    assert found.rows() == [
        ("flag", 0, 1.0, "true"),
        ("flag", 1, None, None),
        ("note", 0, None, "x"),
        ("note", 1, None, "y"),
        ("odd", 0, None, "[1]"),
        ("odd", 1, 7.0, None),
    ]


def test_none_among_numbers_is_no_text(run):
    """It is null in the column of values, and there is no other."""
    run.log({"m": 1})
    run.log({"m": None})
    found = tl.open(run.lake_dir).history("m")
    assert found.columns == LONG
    assert found["value"].to_list() == [1.0, None]


def test_wide_has_a_typed_column_a_metric(lake):
    """One row a run and step; integers stay integers, mixed kinds have two columns."""
    found = lake.history(["flag", "note", "odd", "loss"], where="project = 'q'", shape="wide")
    assert found.drop("time").to_dicts() == [
        {"run_id": "b", "step": 0, "flag": True, "loss": 5, "note": "x", "odd": None, "odd.text": "[1]"},
        {"run_id": "b", "step": 1, "flag": None, "loss": None, "note": "y", "odd": 7, "odd.text": None},
    ]
    assert lake.history(["loss"], runs="a", shape="wide")["loss"].dtype == pl.Float64


def test_without_metrics_it_is_all_that_was_logged(lake):
    """The series that every run has come only when they are named."""
    assert lake.history()["metric"].unique().sort().to_list() == ["epoch", "flag", "loss", "note", "odd"]
    found = lake.history(["_step", "_runtime", "_timestamp"], runs="b")
    assert found.filter(pl.col("metric") == "_step").select("step", "value").rows() == [(0, 0.0), (1, 1.0)]
    times = found.filter(pl.col("metric") == "_timestamp")
    assert times["value"].to_list() == [t.timestamp() for t in times["time"]]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((1, 2), [1, 2]),
        ([1, 2], [1, 2]),
        ((None, 1), [0, 1]),
        ((3, None), [3]),
        (range(0, 4, 3), [0, 3]),
        (range(3, 0, -1), [1, 2, 3]),
        (range(2, 1 << 62), [2, 3]),
        (range(9, 12), []),
    ],
)
def test_steps_chooses_by_step(lake, steps, expected):
    """Both ends of a pair are included, None leaves one open, a range is a range."""
    assert lake.history("loss", runs="a", steps=steps)["step"].to_list() == expected


def test_raw_shows_overwritten_points_too(lake):
    """Every stored point is there, in the order in which a step's points were said."""
    found = lake.history("loss", runs="a", steps=(1, 1), raw=True)
    assert found["value"].to_list() == [2.0, 9.0, 2.5]
    assert lake.history("loss", runs="a", steps=(1, 1), raw=True, shape="wide")["loss"].to_list() == [2.5]


def test_raw_shows_overwritten_text(tmp_path):
    """Also of a metric that has nothing but numbers where they count."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"m": "low"}, step=0)
        run.log({"m": 1.0}, step=0)
    lake = tl.open(tmp_path)
    assert lake.history("m", raw=True).select("value", "text").rows() == [(None, "low"), (1.0, None)]
    assert lake.history("m").columns == LONG


def test_raw_and_wide_has_of_each_step_what_was_said_last(tmp_path):
    """A cell holds one value: an overwritten one moves none of the others to another step."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"a": 1.0}, step=0)
        run.log({"b": 5.0}, step=1)
        run.log({"a": 2.0}, step=0)
    found = tl.open(tmp_path).history(raw=True, shape="wide")
    assert found.select("step", "a", "b").rows() == [(0, 2.0, None), (1, None, 5.0)]


def test_scan_history_is_lazy_and_the_same(lake):
    """Collected and sorted, the scan has the rows of history, and exact integers beside them."""
    for how in ({}, {"raw": True}, {"steps": (1, 3)}, {"where": "project = 'q'"}, {"runs": ["a"]}):
        scan = lake.scan_history(["loss", "flag", "note"], **how)
        assert isinstance(scan, pl.LazyFrame)
        expected = lake.history(["loss", "flag", "note"], **how)
        got = scan.sort("run_id", "metric", "step", "time").collect()
        assert_frame_equal(got.select(expected.columns), expected)
    assert lake.scan_history("loss").filter(kind=1).select("ival").collect().item() == 5


def test_more_points_than_the_limit_are_refused(lake):
    """The error says how many there are and what to do; neither filter nor thinning is refused below it."""
    with pytest.raises(HistoryTooLargeError, match=r"has 5 points, more than limit=4.*downsample=1000.*scan_history"):
        lake.history("loss", limit=4)
    with pytest.raises(HistoryTooLargeError, match="has 7 points, more than limit=5"):
        lake.history("loss", limit=5, raw=True)
    with pytest.raises(HistoryTooLargeError, match="has 3 points"):
        lake.history("loss", limit=2, steps=(1, 3))
    assert lake.history("loss", limit=5).height == 5
    assert lake.history("loss", limit=0, runs=[]).is_empty()
    assert lake.history("loss", limit=3, steps=(2, 3)).height == 2
    assert lake.history("loss", limit=4, downsample=4).height == 5


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"metrics": ["los"]}, "unknown metric 'los'; did you mean 'loss'"),
        ({"metrics": "loss", "x": "epch"}, "unknown metric 'epch'; did you mean 'epoch'"),
        ({"metrics": "loss", "runs": "aa"}, "unknown run 'aa'; did you mean 'a'"),
    ],
)
def test_an_unknown_name_names_the_nearest(lake, how, message):
    """A metric or run that is not there raises an error with those that are near."""
    with pytest.raises(UnknownNameError, match=message):
        lake.history(**how)


def test_x_is_joined_as_of_each_step(tmp_path):
    """A point has the latest value of the x metric at or before its step, null before the first."""
    with tl.init(id="a", dir=tmp_path) as run:
        for step, row in enumerate([{"m": 0.0}, {"m": 1.0, "e": 10}, {"m": 2.0}, {"e": 20}, {"m": 4.0, "e": None}]):
            run.log(row, step=step)
    lake = tl.open(tmp_path)
    found = lake.history("m", x="e")
    assert found.columns == ["run_id", "metric", "step", "x", "time", "value"]
    assert found.select("step", "x", "value").rows() == [(0, None, 0.0), (1, 10.0, 1.0), (2, 10.0, 2.0), (4, 20.0, 4.0)]
    assert lake.history("m", x="e", shape="wide").select("step", "x", "m").rows()[2] == (2, 10.0, 2.0)


def test_x_is_by_default_the_step_metric_of_each_metric(tmp_path):
    """Each metric of each run has the axis that its definition names; without one x is null."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.define_metric("m", step_metric="e")
        run.log({"m": 5.0, "n": 6.0, "e": 3})
    with tl.init(id="b", dir=tmp_path) as run:
        run.log({"m": 7.0, "e": 4})
    found = tl.open(tmp_path).history(["m", "n"])
    assert found.select("run_id", "metric", "x").rows() == [("a", "m", 3.0), ("a", "n", None), ("b", "m", None)]
    assert tl.open(tmp_path).history(["m", "e"], shape="wide").columns == ["run_id", "step", "time", "e", "m"]


def test_a_definition_without_an_axis_gives_none(tmp_path):
    """Neither one that names no step metric nor one whose step metric was never logged."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.define_metric("m", summary="max")
        run.define_metric("n", step_metric="never", step_sync=False)
        run.log({"m": 5.0, "n": 6.0})
    lake = tl.open(tmp_path)
    assert lake.history("m").columns == LONG
    assert lake.history("n")["x"].to_list() == [None]


def test_x_of_several_metrics(tmp_path):
    """Each has it at each of its steps, long and wide."""
    with tl.init(id="a", dir=tmp_path) as run:
        for i in range(3):
            run.log({"m": i + 0.5, "e": 10 * i} | ({} if i == 1 else {"n": -i}))
    lake = tl.open(tmp_path)
    long = lake.history(["m", "n"], x="e").select("metric", "x").rows()
    assert long == [("m", 0.0), ("m", 10.0), ("m", 20.0), ("n", 0.0), ("n", 20.0)]
    wide = lake.history(["m", "n"], x="e", shape="wide").select("x", "m", "n").rows()
    assert wide == [(0.0, 0.5, 0), (10.0, 1.5, None), (20.0, 2.5, -2)]


def test_x_that_a_rewind_took_back_is_none(tmp_path):
    """Later points have the latest value that counts."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"e": 10})
        run.log({"e": 20})
    with tl.init(id="a", dir=tmp_path, from_step=1) as run:
        run.log({"m": 1.0})
    assert tl.open(tmp_path).history("m", x="e")["x"].to_list() == [10.0]


def test_a_row_takes_the_step_metric_that_was_logged_last(tmp_path):
    """Whatever its type, and whatever stood beside it."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.define_metric("m", step_metric="e")
        for row in ({"e": 1}, {"m": 0.1}, {"e": 2.5, "note": "x"}, {"m": 0.2}):
            run.log(row)
    lake = tl.open(tmp_path)
    assert lake.history("e")["value"].to_list() == [1.0, 1.0, 2.5, 2.5]
    assert lake.history("m").select("x", "value").rows() == [(1.0, 0.1), (2.5, 0.2)]


def test_downsample_keeps_first_last_and_extremes(tmp_path):
    """A long series is thinned, a short one is whole, and no extreme is lost; other kinds do not disturb."""
    with tl.init(id="a", dir=tmp_path) as run:
        for step in range(1_000):
            run.log({"m": NAN if step == 5 else math.sin(step) + (step == 333) * 9 - (step == 777) * 9})
        run.log({"short": 1.0, "note": "x"})
    lake = tl.open(tmp_path)
    found = lake.history("m", downsample=50)
    assert 40 <= found.height <= 50
    kept = set(found["step"])
    assert {0, 333, 777, 999} <= kept
    assert found["step"].is_sorted()
    assert_frame_equal(found, lake.history("m").filter(pl.col("step").is_in(kept)))
    assert lake.history(["short", "note"], downsample=50).height == 2
    with pytest.raises(ValueError, match="downsample=3; it is a whole number, at least 4"):
        lake.history("m", downsample=3)


@pytest.mark.parametrize(
    ("long", "kept"), [([0.0, NAN, 5.0, 1.0, -3.0, NAN, 2.0], [0.0, 5.0, -3.0, 2.0]), ([1.0] * 4, [1.0] * 4)]
)
def test_downsample_looks_at_each_series_by_itself(tmp_path, long, kept):
    """One as long as asked for stays whole, NaN is no extreme, and the series beside it change nothing."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"short": 7.0})
        for x in long:
            run.log({"m": x, "n": x})
    found = tl.open(tmp_path).history(["m", "n", "short"], downsample=4)
    expected = [(name, x) for name in "mn" for x in kept]
    assert found.select("metric", "value").rows() == [*expected, ("short", 7.0)]


def test_downsample_keeps_the_ends_of_what_is_no_number(run):
    """Text has no extremes."""
    for word in "abcdefg":
        run.log({"note": word})
    assert tl.open(run.lake_dir).history("note", downsample=4)["text"].to_list() == ["a", "g"]


def test_metrics_called_like_the_columns_beside_them(tmp_path):
    """In a wide history a metric named as run_id, step, time or x stands under metric.<name>."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"step": 7, "time": 8, "x": 9})
    lake = tl.open(tmp_path)
    expected = {"run_id": "a", "step": 0, "metric.step": 7, "metric.time": 8, "x": 9}
    assert lake.history(shape="wide").drop("time").to_dicts() == [expected]
    assert lake.history(["x", "step"], x="time", shape="wide").drop("time").to_dicts() == [
        {"run_id": "a", "step": 0, "x": 8.0, "metric.step": 7, "metric.x": 9}
    ]
    assert lake.run("a").history().columns == ["_step", "step", "time", "x", "_timestamp", "_runtime"]


def test_the_history_of_one_run_is_wide(lake):
    """A run's rows as W&B users expect them, with steps, epoch seconds and seconds since the start."""
    found = lake.run("b").history()
    assert found.drop("_timestamp", "_runtime").to_dicts() == [
        {"_step": 0, "flag": True, "loss": 5, "note": "x", "odd": None, "odd.text": "[1]"},
        {"_step": 1, "flag": None, "loss": None, "note": "y", "odd": 7, "odd.text": None},
    ]
    assert found["_runtime"].is_sorted()
    assert lake.run("b").history(["loss"]).columns == ["_step", "loss", "_timestamp", "_runtime"]
    assert lake.run("b").history("loss").equals(lake.run("b").history(["loss"]))
    assert lake.run("c").history().schema == {"_step": pl.Int64, "_timestamp": pl.Float64, "_runtime": pl.Float64}


def test_a_timestamp_of_the_user_stands_in_the_history_of_the_run(tmp_path):
    """Where the user logged `_timestamp` the column has it, else the time of the row; other kinds of it go beside."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"m": 1.0, "_timestamp": 5.5})
        run.log({"m": 2.0})
    with tl.init(id="b", dir=tmp_path) as run:
        run.log({"m": 1.0, "_timestamp": "noon"})
        run.log({"m": 2.0})
    lake = tl.open(tmp_path)
    ours = lake.history("m")["time"].dt.epoch("us").to_list()
    assert lake.run("a").history()["_timestamp"].to_list() == [5.5, ours[1] / 1e6]
    found = lake.run("b").history(["m"])
    assert found.select("_timestamp", "_timestamp.text").rows() == [(None, "noon"), (ours[3] / 1e6, None)]
    assert found.columns == ["_step", "m", "_timestamp", "_timestamp.text", "_runtime"]


def test_empty_rows_are_steps_without_values(tmp_path):
    """An empty row is in no history but in that of _step, and counts as a row of the run."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({})
        run.log({"m": 1.0})
        run.log({})
    lake = tl.open(tmp_path)
    assert lake.history().drop("time").rows() == [("a", "m", 1, 1.0)]
    assert lake.history("_step")["step"].to_list() == [0, 1, 2]
    assert lake.run("a").history().select("_step", "m").rows() == [(0, None), (1, 1.0), (2, None)]


def test_an_empty_lake_has_an_empty_history(tmp_path):
    """There are no points and no metrics, and no error unless one is named."""
    lake = tl.open(tmp_path, create=True)
    assert lake.history().columns == LONG
    assert lake.history(shape="wide").shape == (0, 3)
    assert lake.scan_history().collect().is_empty()
    assert lake.history("_step").columns == LONG
    with pytest.raises(UnknownNameError, match="unknown metric 'loss'; there are none yet"):
        lake.history("loss")


WRITER = """
import sys, tracklake as tl
run = tl.init(id="live", dir=sys.argv[1])
for line in sys.stdin:
    run.log({"m": float(line)})
    print(run.step, flush=True)
"""


def test_another_process_is_read_while_it_logs(tmp_path):
    """What log has returned for is there at once, in history, summaries and the state."""
    tl.open(tmp_path, create=True)
    writing = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    lake = tl.open(tmp_path)
    with writing:
        for n, x in enumerate([1.0, 4.0, 2.0], start=1):
            writing.stdin.write(f"{x}\n")
            assert writing.stdout.readline() == f"{n}\n"
            assert lake.history("m")["value"].to_list() == [1.0, 4.0, 2.0][:n]
            assert lake.runs(columns=["state", "summary.m"]).rows() == [("live", "running", x)]
            if n == 2:
                lake.refresh()
        assert lake.summaries(["m.max", "m.count"]).rows() == [("live", 4.0, 3)]
        writing.stdin.close()
    assert lake.runs(columns=["state"]).rows() == [("live", "finished")]
