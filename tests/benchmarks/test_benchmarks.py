"""The benchmarks at a thousandth of their size: what is measured answers as numpy does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import asking
import comparing
import data
import engines
import internet_scale
import measure
import numpy as np
import on_floor
import on_tracklake
import polars as pl
import pytest

import tracklake as tl

SHAPE = data.MANY_RUNS.scaled(0.001)


@pytest.fixture(scope="module", params=[on_tracklake, on_floor], ids=["tracklake", "floor"])
def asked(request, tmp_path_factory):
    """A subject and its lake, with the runs of W2 in it."""
    folder = tmp_path_factory.mktemp("lake") / "lake"
    measure.write(request.param, folder, SHAPE, many=True)
    return request.param, request.param.opened(folder)


@pytest.mark.parametrize("name", data.ONE_RUN)
@pytest.mark.parametrize("subject", [on_tracklake, on_floor])
def test_one_run_is_logged_whole(tmp_path, subject, name):
    """W1 leaves every point of the run, and measures every call."""
    shape = data.ONE_RUN[name].scaled(0.001)
    figures = measure.write(subject, tmp_path / "lake", shape)
    expected = data.curves(0, shape)
    found = next((tmp_path / "lake").rglob("p*.parquet"))
    points = pl.read_parquet(found).sort("metric", "step") if subject is on_floor else _history(tmp_path)
    assert np.array_equal(points["value"].to_numpy().reshape(shape.metrics, shape.steps), expected.T)
    assert min(figures.values()) > 0


def _history(folder):
    return on_tracklake.opened(folder / "lake").history()


def test_table_of_runs(asked):
    """W3 gives config, last, min and max of every metric of every run."""
    subject, lake = asked
    found, expected = subject.table(lake).sort("run_id"), data.expected_table(SHAPE)
    assert found["run_id"].to_list() == [data.run_id(r) for r in range(SHAPE.runs)]
    if subject is on_floor:
        expected = {_of_floor(name): column for name, column in expected.items()}
    assert set(found.columns) == {"run_id", *expected}
    assert [name for name, column in expected.items() if found[name].to_list() != column.tolist()] == []


def _of_floor(name):
    kind, _, rest = name.partition(".")
    metric, _, stat = rest.rpartition(".")
    return rest if kind == "config" else f"{stat}_{metric}"


def test_one_metric(asked):
    """W4 gives every point of one metric of all runs."""
    subject, lake = asked
    found = subject.one_metric(lake).sort("run_id", "step")
    expected = data.everything(SHAPE)[:, :, data.names(SHAPE).index(data.ASKED)]
    assert np.array_equal(found["value"].to_numpy().reshape(SHAPE.runs, SHAPE.steps), expected)


def test_top_runs(asked):
    """W5 gives the best runs by the maximum of one metric, and the step of that."""
    subject, lake = asked
    assert subject.best(lake).rows() == data.expected_best(SHAPE)


def test_history_of_one_run(asked):
    """W6 gives every metric of one run, a row a step."""
    subject, lake = asked
    found = subject.one_run(lake)
    assert np.array_equal(found.select(data.names(SHAPE)).to_numpy(), data.curves(1, SHAPE))


def test_importance_is_that_of_the_floor():
    """The benchmark of importance weighs the same runs as optuna, and finds the same."""
    pytest.importorskip("optuna")
    frame = comparing.sweep(runs=100)
    figures, found = comparing.Tracklake.importance(frame, draws=2)
    _, expected = comparing.Floor.importance(frame)
    assert found == pytest.approx(expected, abs=1e-9)
    assert min(figures.values()) > 0


@pytest.mark.parametrize("question", ["leaderboard", "hundred"])
def test_questions_in_sql(tmp_path, question):
    """The questions over LCDB are answered alike by tracklake and by hand."""
    rows = pl.DataFrame({"m": range(12), "step": [1] * 12, "score": [i % 5 / 10 for i in range(12)]})
    named = {"run_columns": ["m"], "step": "step", "metrics": {asking.METRIC: "score"}, "project": "p"}
    tl.open(tmp_path, create=True).import_table(rows, **named)
    of_lake, by_hand = (getattr(subject(tmp_path), question)() for subject in (asking.Tracklake, asking.Floor))
    assert of_lake.sort("run_id").rows() == by_hand.select(of_lake.columns).sort("run_id").rows()
    assert of_lake.height == 12


@pytest.mark.parametrize("only", [["W1"], pytest.param(["W2", "import", "importance", "SQL"], marks=pytest.mark.long)])
def test_command_prints_table_and_json(tmp_path, only):
    """One command measures all workloads and prints a table and JSON."""
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--size", "0.001", "--repeat", "1"]
    command += ["--peers", "--only", *only, "--json", str(tmp_path / "figures.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert done.stdout.count("\n") == len(figures) + 2
    assert all(row["tracklake"] > 0 for row in figures)


def test_a_day_of_a_large_lake_is_replayed():
    """Of the simulated day every point is in a partition, and the uploads of 1,000 live runs cost what they do."""
    day = internet_scale.Day(runs=6400, points=10_000, live=64)
    day.replay()
    assert sum(part.n_points for part in day.partitions.values()) == pytest.approx(64_000_000, rel=1e-5)
    assert len(day.partitions) < 20
    thousand = internet_scale.Day(runs=24_000, points=1000, live=1000)
    thousand.replay()
    assert 1.7 < thousand.dollars_an_hour < 1.9


def test_engines_are_compared(tmp_path):
    """The table of engines says that threads answer as this process does."""
    with tl.init("p", dir=tmp_path / "lake") as run:
        for step in range(20):
            run.log({"loss": 1 / (1 + step)})
    tl.open(tmp_path / "lake").refresh()
    ((_, row),) = engines.measure(tmp_path / "lake", ["threads"])
    assert list(row) == ["start", "p95", "downsample", "quality", "check --full", "repair", "compact"]
    assert "differs" not in str(row)
