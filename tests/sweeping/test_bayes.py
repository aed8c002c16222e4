"""A search knows what the lake says of the trials, however and whenever it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracklake as tl
from tracklake.sweeping import space
from tracklake.sweeping.bayes import BayesSearch, Observation
from tracklake.sweeping.launching.create import open_sweep
from tracklake.sweeping.launching.observations import Observations

pytest.importorskip("optuna")
MIXED = space.read({"x": {"min": -1.0, "max": 1.0}, "b": {"values": ["p", "q"]}})


def observation(number: int, *, value: float | None = None) -> Observation:
    x = (number * 0.37) % 2 - 1
    return Observation({"x": x, "b": "pq"[number % 2]}, x * x + number % 2 if value is None else value)


def test_told_at_once_or_one_by_one():
    """A search told of trials as they begin and end proposes what one proposes that learns of all at the end."""
    at_once, one_by_one = (BayesSearch(MIXED, seed="s") for _ in range(2))
    trials = {f"s-{n}": observation(n) for n in range(20)}
    for n in range(20):
        told = dict(list(trials.items())[:n]) | {f"s-{n}": trials[f"s-{n}"]._replace(value=None)}
        one_by_one.observe(told)
    for search in (at_once, one_by_one):
        search.observe(trials)
    assert [at_once.next_point() for _ in range(5)] == [one_by_one.next_point() for _ in range(5)]


def test_a_number_that_changes_is_told_anew():
    """An entry set by hand after the run is what a running search goes by from then on."""
    changed, fresh = (BayesSearch(MIXED, seed="s") for _ in range(2))
    earlier = {f"s-{n}": observation(n, value=1.0) for n in range(20)}
    now = {f"s-{n}": observation(n) for n in range(20)}
    changed.observe(earlier)
    for search in (changed, fresh):
        search.observe(now)
    assert changed._study.best_value == fresh._study.best_value == pytest.approx(0.0016)


@pytest.mark.parametrize(("impute", "value"), [("worst", 3.0), ("latest", 2.0), ("best", 0.5)])
def test_a_failed_trial_has_the_number_that_impute_says(impute: str, value: float, tmp_path: Path):
    """The worst of all finished ones by default, or its own latest or best one."""
    config = {
        "method": "bayes",
        "metric": {"name": "loss", "impute": impute},
        "parameters": {"x": {"min": 0, "max": 9}},
    }
    sweep_id = tl.sweep(config, dir=tmp_path)
    points = {}
    for run_id, losses in {"good": [1.0], "bad": [3.0], "failed": [0.5, 2.0]}.items():
        points[run_id] = {"x": len(points)}
        with tl.init(id=run_id, dir=tmp_path, config=points[run_id]) as run:
            for loss in losses:
                run.log({"loss": loss})
    records = open_sweep(sweep_id, tmp_path)
    observations = Observations(tl.open(tmp_path), records).of(
        records.config, ended=["good", "bad"], failed=["failed"], running=[], points=points
    )
    assert {run_id: o.value for run_id, o in observations.items()} == {"good": 1.0, "bad": 3.0, "failed": value}


@pytest.mark.parametrize(("impute", "value"), [(None, None), ("worst", 3.0), ("latest", 2.0), ("best", 0.5)])
def test_a_running_trial_has_the_number_that_impute_while_running_says(
    impute: str | None, value: float | None, tmp_path: Path
):
    """None by default: the search only keeps away from it."""
    metric = {"name": "loss"} | ({} if impute is None else {"impute_while_running": impute})
    sweep_id = tl.sweep({"method": "bayes", "metric": metric, "parameters": {"x": {"min": 0, "max": 9}}}, dir=tmp_path)
    for run_id, losses in {"bad": [3.0], "running": [0.5, 2.0]}.items():
        with tl.init(id=run_id, dir=tmp_path) as run:
            for loss in losses:
                run.log({"loss": loss})
    records = open_sweep(sweep_id, tmp_path)
    points = {"bad": {"x": 0}, "running": {"x": 1}}
    observations = Observations(tl.open(tmp_path), records).of(
        records.config, ended=["bad"], failed=[], running=["running"], points=points
    )
    assert observations["running"].value == value


def test_the_random_start_counts_trials_that_run():
    """With eight agents the search begins once ten trials have begun and one has ended, not eight trials later."""
    searching, blind, fresh = (BayesSearch(MIXED, seed="s") for _ in range(3))
    running = {f"s-{n}": observation(n)._replace(value=None) for n in range(10)}
    searching.observe(running | {"s-0": observation(0)})
    blind.observe(running)
    drawn = fresh.next_point()
    assert blind.next_point() == drawn
    assert searching.next_point() != drawn


def test_few_continuous_parameters_are_searched_by_a_gaussian_process():
    """With torch, thirty trials of a smooth function of two parameters come near its optimum."""
    pytest.importorskip("torch")
    parameters = space.read({"x": {"min": -10.0, "max": 20.0}, "y": {"min": -20.0, "max": 20.0}})
    search, trials = BayesSearch(parameters, seed="s"), {}
    for n in range(30):
        search.observe(trials)
        point = search.next_point()
        trials[str(n)] = Observation(point, (point["x"] - 5) ** 2 + (point["y"] - 1) ** 2)
    assert type(search._study.sampler).__name__ == "GPSampler"
    assert min(trial.value for trial in trials.values()) < 0.1
