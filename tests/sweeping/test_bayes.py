"""A search knows what the lake says of the trials, however and whenever it is told."""

from __future__ import annotations

import contextlib
import statistics
from collections import deque
from pathlib import Path
from typing import Any

import pytest

import tracklake as tl
from tracklake.sweeping import space
from tracklake.sweeping.bayes import BayesSearch, Observation
from tracklake.sweeping.launching.create import open_sweep
from tracklake.sweeping.launching.liveness import living
from tracklake.sweeping.launching.observations import Observations
from tracklake.sweeping.launching.trials import Trials
from tracklake.sweeping.search import generator_of

optuna = pytest.importorskip("optuna")
MIXED = space.read({"x": {"min": -1.0, "max": 1.0}, "b": {"values": ["p", "q"]}})


def observation(number: int, *, value: float | None = None) -> Observation:
    x = (number * 0.37) % 2 - 1
    return Observation({"x": x, "b": "pq"[number % 2]}, x * x + number % 2 if value is None else value)


def test_told_at_once_or_one_by_one():
    """A search told of trials as they begin and end proposes what one proposes that learns of all at the end."""
    at_once, one_by_one = (BayesSearch(MIXED) for _ in range(2))
    trials = {f"s-{n}": observation(n) for n in range(20)}
    for n in range(20):
        told = dict(list(trials.items())[:n]) | {f"s-{n}": trials[f"s-{n}"]._replace(value=None)}
        one_by_one.observe(told)
    for search in (at_once, one_by_one):
        search.observe(trials)
    assert [at_once.next_point(seed=s) for s in "abc"] == [one_by_one.next_point(seed=s) for s in "abc"]


def test_a_number_that_changes_is_told_anew():
    """An entry set by hand after the run is what a running search goes by from then on."""
    changed, fresh = (BayesSearch(MIXED) for _ in range(2))
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


def test_trials_come_nearer_than_the_random_ones_they_begin_with():
    """Of ten searches the later trials are nearer to the optimum by far than the random ones they begin with."""
    parameters = space.read({"x": {"min": -10.0, "max": 20.0}, "b": {"values": ["p", "q"]}})
    first, later = [], []
    for seed in range(10):
        search, trials = BayesSearch(parameters), {}
        for n in range(30):
            search.observe(trials)
            point = search.next_point(seed=f"{seed}:{n}")
            trials[str(n)] = Observation(point, (point["x"] - 5) ** 2 + (point["b"] == "p"))
        values = [trial.value for trial in trials.values()]
        first += values[:10]
        later += values[15:]
    assert statistics.median(later) < statistics.median(first) / 2


def test_few_continuous_parameters_are_searched_by_a_gaussian_process():
    """With torch, thirty trials of a smooth function of two parameters come near its optimum."""
    pytest.importorskip("torch")
    parameters = space.read({"x": {"min": -10.0, "max": 20.0}, "y": {"min": -20.0, "max": 20.0}})
    search, trials = BayesSearch(parameters), {}
    for n in range(30):
        search.observe(trials)
        point = search.next_point(seed=str(n))
        trials[str(n)] = Observation(point, (point["x"] - 5) ** 2 + (point["y"] - 1) ** 2)
    assert type(search._study.sampler).__name__ == "GPSampler"
    assert min(trial.value for trial in trials.values()) < 0.1


def test_a_search_that_begins_anew_knows_the_trials_in_the_same_order():
    """One trial that came to nothing and has a number later, and one outside the space, change no proposal."""
    trials = {f"s-{n}": observation(n) for n in range(20)} | {"s-3": Observation({"x": 7.0, "b": "p"}, 1.0)}
    early, late = BayesSearch(MIXED), BayesSearch(MIXED)
    early.observe({key: trial for key, trial in trials.items() if key != "s-7"})
    for search in (early, late):
        search.observe(trials)
    assert early.next_point(seed="s") == late.next_point(seed="s")


def points_of_agents_in_turn(parameters: dict[str, Any], folder: Path, *, trials: int) -> tuple[str, list[Any]]:
    """Return a sweep's id and the points that three agents claim, each with its own eye on the lake."""
    sweep_id = tl.sweep({"method": "bayes", "metric": {"name": "loss"}, "parameters": parameters}, dir=folder)
    eyes = [Trials(tl.open(folder), open_sweep(sweep_id, folder)) for _ in range(3)]
    running: deque[Any] = deque()
    points = []
    with contextlib.ExitStack() as alive:
        names = [alive.enter_context(living(eye.records)) for eye in eyes]
        for number in range(trials):
            eye = eyes[number % 3]
            claimed = eye.claim_next(names[number % 3], eye.records.config)
            assert claimed is not None
            running.append(claimed[0])
            points.append(claimed[0].point)
            if len(running) == 3:
                claim = running.popleft()
                with tl.init(id=claim.run_id, config=claim.point, dir=folder) as run:
                    run.log({"loss": loss(claim.point)})
                eye.records.end(claim, "finished")
    return sweep_id, points


def points_of_one_study(space: dict[str, Any], sampler: Any, *, trials: int, seed: str) -> list[Any]:
    """Return the points of one study of Optuna in memory, three of its trials always running."""
    study, running, points = optuna.create_study(), deque(), []
    for number in range(trials):
        study.sampler = sampler(seed=generator_of(f"{seed}:{number}").randrange(2**32))
        running.append(study.ask(space))
        points.append(running[-1].params)
        if len(running) == 3:
            trial = running.popleft()
            study.tell(trial, loss(trial.params))
    return points


def loss(point: Any) -> float:
    return (point["x"] - 0.3) ** 2 + {"p": 1.0, "q": 0.0}.get(point.get("b"), 0.0)


def test_agents_that_share_a_lake_propose_what_one_study_in_memory_does(tmp_path: Path):
    """Three agents in turn, by TPE: each of 24 points is that of one study that they all share, to the last bit."""
    parameters = {"x": {"min": 0.0, "max": 1.0}, "b": {"values": ["p", "q"]}}
    space = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    space["b"] = optuna.distributions.CategoricalDistribution(["p", "q"])
    sweep_id, points = points_of_agents_in_turn(parameters, tmp_path, trials=24)

    def sampler(seed: int) -> Any:
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    assert points == points_of_one_study(space, sampler, trials=24, seed=sweep_id)


def test_agents_that_share_a_lake_propose_what_one_study_does_by_a_gaussian_process(tmp_path: Path):
    """As by TPE: no kernel and no state of a generator that an agent remembers makes a difference."""
    pytest.importorskip("torch")
    parameters = {name: {"min": 0.0, "max": 1.0} for name in "xy"}
    space = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in "xy"}
    sweep_id, points = points_of_agents_in_turn(parameters, tmp_path, trials=16)

    def sampler(seed: int) -> Any:
        return optuna.samplers.GPSampler(seed=seed)

    assert points == points_of_one_study(space, sampler, trials=16, seed=sweep_id)
