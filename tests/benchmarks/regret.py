"""Regret of bayes with eight agents on one lake, beside a study in memory that they share, and the cost of an ask.

`python tests/benchmarks/regret.py [--seeds N] [--trials N] [--agents N]` prints the table of README.md. Agents take
turns in one process, each with an eye of its own on the lake: eight trials are always running, as with eight processes,
and the one begun first ends first. Less is better; the optimum of each function is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import tempfile
import time
from collections import deque

import tracklake as tl
from tracklake.lake.lake import Lake
from tracklake.sweeping.launching.create import open_sweep
from tracklake.sweeping.launching.liveness import living
from tracklake.sweeping.launching.trials import Trials

MIXED = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "width": {"min": 1, "max": 64},
    "act": {"values": ["relu", "tanh", "gelu"]},
    "drop": {"min": 0.0, "max": 0.9},
}
SMOOTH = {"x": {"min": -5.0, "max": 10.0}, "y": {"min": 0.0, "max": 15.0}}


def mixed(p):
    """Return the loss of a made-up training: a valley in each parameter, and one kind of unit that is best."""
    valley = (math.log10(p["lr"]) + 2.5) ** 2 + ((p["width"] - 40) / 16) ** 2 + 4 * (p["drop"] - 0.2) ** 2
    return valley + {"relu": 0.3, "tanh": 1.0, "gelu": 0.0}[p["act"]]


def branin(p):
    """Return Branin's function less its minimum."""
    x, y = p["x"], p["y"]
    hill = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return hill + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.39788736


PROBLEMS = {"mixed, TPE": (MIXED, mixed), "Branin": (SMOOTH, branin)}


def by_lake(space, function, *, trials, agents, seed):
    """Return the best loss after each trial, of agents that share nothing but a lake, and the seconds of each ask."""
    del seed  # each sweep has an id of its own
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as alive:
        config = {"method": "bayes", "metric": {"name": "loss"}, "parameters": space}
        sweep_id = tl.sweep(config, dir=folder)
        eyes = [Trials(Lake(folder), open_sweep(sweep_id, folder)) for _ in range(agents)]
        names = [alive.enter_context(living(eye.records)) for eye in eyes]
        running, losses, seconds = deque(), [], []
        for number in range(trials):
            eye = eyes[number % agents]
            start = time.perf_counter()
            claim, _ = eye.claim_next(names[number % agents], eye.records.config)
            seconds.append(time.perf_counter() - start)
            running.append(claim)
            while running and (len(running) == agents or number == trials - 1):
                losses.append(_end(eye, running.popleft(), function, folder))
    return best_so_far(losses), seconds


def _end(eye, claim, function, folder):
    with tl.init("regret", id=claim.run_id, config=claim.point, dir=folder) as run:
        run.log({"loss": function(claim.point)})
    eye.records.end(claim, "finished")
    return function(claim.point)


def by_study(space, function, *, trials, agents, seed):
    """Return the best loss after each trial of one study in memory, with as many trials running; and no seconds."""
    import optuna

    from tracklake.sweeping import bayes
    from tracklake.sweeping import space as spaces

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parameters = spaces.read(space)
    asked = {p.name: bayes._latent_space(optuna, p) for p in parameters}
    continuous = all(p.is_continuous for p in parameters) and bayes._has_torch()
    sampler = (
        optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
        if continuous
        else optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    )
    study, running, losses = optuna.create_study(sampler=sampler), deque(), []
    for number in range(trials):
        running.append(study.ask(asked))
        while running and (len(running) == agents or number == trials - 1):
            trial = running.popleft()
            point = {p.name: p.quantile(bayes._to_latent(p, trial.params[p.name])) for p in parameters}
            losses.append(function(point))
            study.tell(trial, losses[-1])
    return best_so_far(losses), []


def by_chance(space, function, *, trials, agents, seed):
    """Return the best loss after each random draw."""
    del agents
    from tracklake.sweeping import space as spaces
    from tracklake.sweeping.search import generator_of

    generator, parameters = generator_of(f"chance {seed}"), spaces.read(space)
    draws = ({p.name: p.quantile(generator.random()) for p in parameters} for _ in range(trials))
    return best_so_far([function(point) for point in draws]), []


def best_so_far(losses):
    """Return the least loss up to each one."""
    best = []
    for loss in losses:
        best.append(min(loss, best[-1]) if best else loss)
    return best


def table(problems=PROBLEMS, *, seeds, trials, agents):
    """Return the lines of the table: means over seeds at quarters of the trials, and the median ask."""
    stops = [trials // 4, trials // 2, trials]
    lines = ["| | " + " | ".join(f"{n} trials" for n in stops) + " | ask, ms |", "|---|" + "---|" * (len(stops) + 1)]
    for name, (space, function) in problems.items():
        for subject, way in {"random": by_chance, "one study": by_study, f"{agents} agents, a lake": by_lake}.items():
            results = [way(space, function, trials=trials, agents=agents, seed=seed) for seed in range(seeds)]
            means = [statistics.mean(curve[n - 1] for curve, _ in results) for n in stops]
            asks = [second for _, seconds in results for second in seconds]
            cells = [f"{mean:.3f}" for mean in means] + [f"{statistics.median(asks) * 1e3:.0f}" if asks else ""]
            lines.append(f"| {name}: {subject} | " + " | ".join(cells) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--agents", type=int, default=8)
    options = parser.parse_args()
    print("\n".join(table(seeds=options.seeds, trials=options.trials, agents=options.agents)))


if __name__ == "__main__":
    main()
