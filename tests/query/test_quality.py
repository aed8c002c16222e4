"""Quality of runs: divergence, gaps, plateaus, noise, as a table and as columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import DefinitionError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

NAN, INF = math.nan, math.inf


def lake_of(folder: Path, **curves: list[tuple[int, float | None]]) -> tl.Lake:
    """Return a lake with a run for each curve of "loss"."""
    rows = [(name, step, value) for name, points in curves.items() for step, value in points]
    lake = tl.open(folder, create=True)
    frame = pl.DataFrame(rows, schema={"run": pl.String, "step": pl.Int64, "loss": pl.Float64}, orient="row")
    lake.import_table(frame, run_columns=["run"], step="step", metrics={"loss": "loss"})
    return lake


def flags(lake: tl.Lake, *names: str, goal: str | None = "min") -> dict[str, tuple[object, ...]]:
    return {run: tuple(rest) for run, *rest in lake.quality("loss", goal=goal).select("run_id", *names).rows()}


def test_divergence_is_from_where_nothing_is_finite(tmp_path: Path):
    """diverged_at is the first step after which no value is finite; a NaN that passes is counted, and no more."""
    lake = lake_of(
        tmp_path,
        sound=[(0, 1.0), (1, 0.5)],
        passing=[(0, 1.0), (1, NAN), (2, 0.5)],
        lost=[(0, 1.0), (1, NAN), (2, 0.5), (3, INF), (4, NAN)],
        never=[(3, NAN)],
    )
    found = flags(lake, "n_nan", "n_inf", "diverged_at")
    assert found == {"sound": (0, 0, None), "passing": (1, 0, None), "lost": (2, 1, 3), "never": (1, 0, 3)}


def test_gaps_are_counted_in_usual_strides(tmp_path: Path):
    """gap_steps is how many steps are missing by the median stride."""
    lake = lake_of(tmp_path, even=[(i, 1.0) for i in range(0, 50, 10)], gap=[(i, 1.0) for i in (0, 10, 20, 60, 70, 80)])
    assert flags(lake, "gap_steps") == {"even": (0,), "gap": (3,)}


def test_steps_logged_twice_are_counted(tmp_path: Path):
    """duplicate_steps counts steps that were logged more than once, also where the later row came late."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        for step in (0, 1, 2, 1):
            run.log({"loss": float(step)}, step=step)
    assert tl.open(tmp_path).quality("loss")["duplicate_steps"].to_list() == [1]


def test_noise_is_that_about_the_curve(tmp_path: Path):
    """noise is near the standard deviation of what was added to a smooth curve, and 0 for the curve alone."""
    steps = np.arange(2000)
    smooth = np.exp(-steps / 500)
    noisy = smooth + np.random.default_rng(0).normal(0, 0.1, 2000)
    curves = {
        name: list(zip(steps.tolist(), c.tolist(), strict=True)) for name, c in (("smooth", smooth), ("noisy", noisy))
    }
    found = flags(lake_of(tmp_path, **curves, short=[(0, 1.0), (1, 3.0), (2, 1.0)]), "noise")
    assert found["smooth"][0] == pytest.approx(0, abs=1e-5)
    assert found["noisy"][0] == pytest.approx(0.1, rel=0.06)
    assert found["short"] == (None,)


def test_a_plateau_is_where_improving_ends(tmp_path: Path):
    """plateau_at is where the best so far is within 1% of all it gained; early is stalled, at the end is improving."""
    early = [(0, 1.0), (10, 0.1), *((i, 0.1) for i in range(20, 101, 10))]
    falling = [(i, 1.0 - i / 100) for i in range(0, 101, 10)]
    middle = [(i, max(1.0 - i / 70, 0.0)) for i in range(0, 101, 10)]
    lake = lake_of(tmp_path, early=early, falling=falling, middle=middle, flat=[(0, 1.0), (10, 1.0)], one=[(5, 1.0)])
    assert flags(lake, "plateau_at", "stalled", "still_improving_at_end") == {
        "early": (10, True, False),
        "falling": (100, False, True),
        "middle": (70, False, False),
        "flat": (0, True, False),
        "one": (5, False, False),
    }


def test_without_a_goal_no_plateau(tmp_path: Path):
    """Where nothing says which way is better, what depends on it is null."""
    assert flags(lake_of(tmp_path, a=[(0, 1.0), (1, 2.0)]), "n_nan", "plateau_at", goal=None) == {"a": (0, None)}


def test_they_are_columns_of_the_runs(tmp_path: Path):
    """Flags of one metric, or of any, can be named in where= and columns=; only odd names need quotes."""
    lake = lake_of(tmp_path, sound=[(0, 1.0)], lost=[(0, 1.0), (1, NAN)])
    assert lake.runs(where="quality.diverged_at IS NULL", columns=["run_id"])["run_id"].to_list() == ["sound"]
    named = pl.col("quality.loss.diverged_at") == 1
    assert lake.runs(where=named, columns=["run_id", "quality.n_nan"]).rows() == [("lost", 1)]
    assert lake.history("loss", where="quality.n_nan = 0").height == 1


def test_globs_take_all_flags(tmp_path: Path):
    """columns="quality.n_*" takes the flags that match; "*" leaves them out, as they read history."""
    lake = lake_of(tmp_path, sound=[(0, 1.0)])
    assert lake.runs(columns=["quality.n_*"]).columns == ["run_id", "quality.n_nan", "quality.n_inf"]
    assert not [c for c in lake.runs(columns=["*"]).columns if c.startswith("quality.")]


def test_a_flag_that_needs_a_goal_says_so(tmp_path: Path):
    """A directed flag as a column takes the goal of the definition, and asks for one where there is none."""
    lake = lake_of(tmp_path, a=[(0, 2.0), (1, 1.0)])
    with pytest.raises(DefinitionError, match="which way is better"):
        lake.runs(where="quality.stalled")
    lake.define_metric("loss", goal="min")
    assert lake.runs(columns=["quality.stalled", "quality.loss.plateau_at"]).rows() == [("a", False, 1)]


@pytest.mark.parametrize(("name", "near"), [("quality.n_nans", "n_nan"), ("quality.los.n_nan", "loss")])
def test_unknown_flags_have_their_nearest(tmp_path: Path, name: str, near: str):
    """A flag or metric that is not there raises an error that names the nearest."""
    with pytest.raises(UnknownNameError, match=f"did you mean '{near}'"):
        lake_of(tmp_path, a=[(0, 1.0)]).runs(columns=[name])


def test_without_a_metric_aliases_do_not_count_again(tmp_path: Path):
    """An alias repeats what was logged; a derived metric has values of its own, but no steps logged twice."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        for step, value in ((0, 1.0), (1, 0.0), (1, NAN), (2, 0.0), (9, 0.0)):
            run.log({"loss": value}, step=step)
    lake = tl.open(tmp_path)
    lake.alias("error", "loss")
    names = ["n_nan", "n_inf", "diverged_at", "duplicate_steps", "gap_steps"]
    columns = [f"quality.{name}" for name in names]
    assert lake.runs(columns=columns).rows() == [("a", 1, 0, None, 1, 6)]
    lake.derive("inverse", '1 / "loss"')
    assert lake.runs(columns=columns).rows() == [("a", 2, 2, 1, 1, 6)]
    assert lake.runs(columns=["quality.error.n_nan", "quality.error.duplicate_steps"]).rows() == [("a", 1, 1)]


def test_what_is_logged_under_the_name_of_an_alias_counts(tmp_path: Path):
    """Without a metric, a run that logs under the name of an alias itself counts with that."""
    lake = lake_of(tmp_path, a=[(0, 1.0), (1, NAN)])
    with tl.init("p", id="b", dir=tmp_path) as run:
        run.log({"error": INF})
    lake.alias("error", "loss")
    assert lake.runs(columns=["quality.n_nan", "quality.n_inf"]).rows() == [("a", 1, 0), ("b", 0, 1)]


@pytest.mark.parametrize("kind", ["alias", "derive"])
def test_directed_flags_without_a_metric_are_of_all_with_a_goal(tmp_path: Path, kind: str):
    """An alias or a derived metric that has a goal counts like a logged metric."""
    lake = lake_of(tmp_path, a=[(i, max(5.0 - i, 1.0)) for i in range(12)])
    if kind == "alias":
        lake.alias("top", "loss")
    else:
        lake.derive("top", '"loss" * 2')
    lake.define_metric("top", goal="min")
    columns = ["quality.stalled", "quality.plateau_at", "quality.still_improving_at_end", "quality.noise"]
    assert lake.runs(columns=columns, where="quality.stalled").rows() == [("a", True, 4, False, 0.0)]


def test_a_lake_without_metrics_has_null_flags(tmp_path: Path):
    """Where no run has logged anything, the flags over all metrics are null."""
    with tl.init("p", id="a", dir=tmp_path):
        pass
    assert tl.open(tmp_path).runs(columns=["quality.n_nan", "quality.diverged_at"]).rows() == [("a", None, None)]


def test_runs_without_the_metric(tmp_path: Path):
    """A run without the metric has null flags."""
    lake = lake_of(tmp_path, a=[(0, 1.0)], b=[(0, None)])
    assert lake.quality("loss").select("run_id", "n_nan").rows() == [("a", 0), ("b", None)]
