"""Regret of bayes with eight agents on one lake, beside a study in memory that they share, and the cost of an ask.

`python tests/benchmarks/regret.py [--seeds N] [--trials N] [--agents N] [--processes N]` prints the table of README.md.
Agents take turns in one process, each with an eye of its own on the lake: eight trials are always running, as with
eight processes, and the one begun first ends first. For `--processes` of the seeds they are eight real processes
instead. Less is better; the optimum of each function is 0. The range behind a mean is a 95 % bootstrap over seeds.
A study "asked anew" has a new sampler with a seed of its own for each ask, as agents over a lake do: it proposes what
they do (`tests/sweeping/test_bayes.py`), without their cost.
`--results FILE` keeps each curve as it ends, and makes the table of all that the file holds: more seeds can be added.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from functools import partial
from pathlib import Path

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
MANY = {f"x{i}": {"min": -2.0, "max": 3.0} for i in range(8)}
SMOOTH = {"x": {"min": -5.0, "max": 10.0}, "y": {"min": 0.0, "max": 15.0}}


def mixed(p):
    """Return the loss of a made-up training: a valley in each parameter, and one kind of unit that is best."""
    valley = (math.log10(p["lr"]) + 2.5) ** 2 + ((p["width"] - 40) / 16) ** 2 + 4 * (p["drop"] - 0.2) ** 2
    return valley + {"relu": 0.3, "tanh": 1.0, "gelu": 0.0}[p["act"]]


def bowl(p):
    """Return the mean squared distance from a point off the middle."""
    return statistics.mean((x - 0.3 * i + 1) ** 2 for i, x in enumerate(p.values()))


def branin(p):
    """Return Branin's function less its minimum."""
    x, y = p["x"], p["y"]
    hill = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return hill + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.39788736


def valley(p):
    """Return Rosenbrock's function, less steep."""
    return (1 - p["x"]) ** 2 + 5 * (p["y"] - p["x"] ** 2) ** 2


def wells(p):
    """Return Hartmann's function of six parameters less its minimum."""
    depths = (
        height * math.exp(-sum(a * (x - at / 10_000) ** 2 for a, x, at in zip(widths, p.values(), place, strict=True)))
        for height, widths, place in WELLS
    )
    return 3.32236801 - sum(depths)


BENT = {"x": {"min": -2.0, "max": 2.0}, "y": {"min": -1.0, "max": 3.0}}
SIX = {f"x{i}": {"min": 0.0, "max": 1.0} for i in range(6)}
WELLS = (
    (1.0, (10, 3, 17, 3.5, 1.7, 8), (1312, 1696, 5569, 124, 8283, 5886)),
    (1.2, (0.05, 10, 17, 0.1, 8, 14), (2329, 4135, 8307, 3736, 1004, 9991)),
    (3.0, (3, 3.5, 1.7, 10, 17, 8), (2348, 1451, 3522, 2883, 3047, 6650)),
    (3.2, (17, 8, 0.05, 10, 0.1, 14), (4047, 8828, 8732, 5743, 1091, 381)),
)
"""Of Hartmann's function: the height of each well, how narrow it is, and where."""

PROBLEMS = {
    "mixed, TPE": (MIXED, mixed),
    "8 continuous, TPE": (MANY, bowl),
    "Branin, GP": (SMOOTH, branin),
    "Rosenbrock, GP": (BENT, valley),
    "Hartmann 6, GP": (SIX, wells),
}
SECONDS = 0.3
"""How long a trial takes where agents are processes."""


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


def by_processes(space, function, *, trials, agents, seed):
    """Return the best loss after each trial of agents that are real processes; and no seconds."""
    del seed
    name = next(name for name, (_, other) in PROBLEMS.items() if other is function)
    with tempfile.TemporaryDirectory() as folder:
        config = {"method": "bayes", "metric": {"name": "loss"}, "parameters": space, "run_cap": trials}
        sweep_id = tl.sweep(config, dir=folder)
        root = Path(__file__).parents[2]
        words = [sys.executable, __file__, "--agent-of", sweep_id, name]
        variables = {**os.environ, "TRACKLAKE_DIR": folder, "PYTHONPATH": str(root), "TRACKLAKE_QUIET": "1"}
        for process in [subprocess.Popen(words, env=variables) for _ in range(agents)]:
            process.wait()
        runs = tl.open(folder).runs(columns=["run_id", "summary.loss"])
    losses = {int(run_id.rpartition("-")[2]): loss for run_id, loss in runs.rows()}
    return best_so_far([losses[number] for number in range(trials)]), []


def be_agent(sweep_id, name):
    """Run trials of a sweep in this process."""

    def train():
        with tl.init() as run:
            time.sleep(SECONDS)
            run.log({"loss": PROBLEMS[name][1](dict(run.config))})

    tl.agent(sweep_id, train)


def _end(eye, claim, function, folder):
    with tl.init("regret", id=claim.run_id, config=claim.point, dir=folder) as run:
        run.log({"loss": function(claim.point)})
    eye.records.end(claim, "finished")
    return function(claim.point)


def by_study(space, function, *, trials, agents, seed, is_anew=False):
    """Return the best loss after each trial of one study in memory, with as many trials running; and no seconds."""
    import optuna

    from tracklake.sweeping import bayes
    from tracklake.sweeping import space as spaces

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parameters = spaces.read(space)
    asked = {p.name: bayes._latent_space(optuna, p) for p in parameters}
    few = len(parameters) <= bayes.MOST_CONTINUOUS
    continuous = few and all(p.is_continuous for p in parameters) and bayes._has_torch()
    samplers = optuna.samplers
    kind = samplers.GPSampler if continuous else partial(samplers.TPESampler, constant_liar=True)
    study, running, losses = optuna.create_study(sampler=kind(seed=seed)), deque(), []
    for number in range(trials):
        if is_anew:
            study.sampler = kind(seed=1000 * seed + number)
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


def mean_and_range(numbers):
    """Return the mean and a 95 % range of it, by 2,000 draws of the seeds."""
    generator = random.Random(0)
    means = sorted(statistics.mean(generator.choices(numbers, k=len(numbers))) for _ in range(2000))
    return f"{statistics.mean(numbers):.4f} ({means[50]:.4f} to {means[1949]:.4f})"


def ratio_and_range(numbers, others, middle):
    """Return the ratio of two means or medians and a 95 % range of it, by 2,000 draws of the seeds of each."""
    generator = random.Random(0)
    ratios = sorted(
        middle(generator.choices(numbers, k=len(numbers))) / middle(generator.choices(others, k=len(others)))
        for _ in range(2000)
    )
    return f"{middle(numbers) / middle(others):.2f} ({ratios[50]:.2f} to {ratios[1949]:.2f})"


def measure(problems, *, seeds, trials, agents, processes, results):
    """Append the curve of each problem, way and seed that a file does not hold yet; seeds take turns with the rest."""
    held = {(r["problem"], r["way"], r["seed"]) for r in read(results)}
    ways = {"random": (by_chance, seeds), "one study": (by_study, seeds)}
    ways["one study, asked anew"] = partial(by_study, is_anew=True), seeds
    ways[f"{agents} agents, a lake"] = by_lake, seeds
    ways[f"{agents} processes, a lake"] = by_processes, processes
    for seed in range(max(seeds, processes)):
        for problem, (space, function) in problems.items():
            for name, (way, number) in ways.items():
                if seed >= number or (problem, name, seed) in held:
                    continue
                curve, asks = way(space, function, trials=trials, agents=agents, seed=seed)
                result = {"problem": problem, "way": name, "seed": seed, "curve": curve, "asks": asks}
                with results.open("a") as file:
                    file.write(json.dumps(result) + "\n")


def read(results):
    """Return what a file of results holds."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def table(results):
    """Return the lines of the table: means over seeds at quarters of the trials, the ratio to one study, an ask."""
    trials = len(results[0]["curve"])
    stops = [trials // 4, trials // 2, trials]
    titles = [*(f"{n} trials" for n in stops), "final, to one study", "of medians", "ask, ms"]
    lines = ["| | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
    for problem in dict.fromkeys(r["problem"] for r in results):
        of_problem = [r for r in results if r["problem"] == problem]
        study = [r["curve"][-1] for r in of_problem if r["way"] == "one study"]
        others = {r["way"] for r in of_problem} - {"random", "one study"}
        for way in dict.fromkeys(r["way"] for r in of_problem):
            chosen = [r for r in of_problem if r["way"] == way]
            finals, asks = [r["curve"][-1] for r in chosen], [ask for r in chosen for ask in r["asks"]]
            cells = [mean_and_range([r["curve"][n - 1] for r in chosen]) for n in stops]
            cells.append(ratio_and_range(finals, study, statistics.mean) if way in others else "")
            cells.append(ratio_and_range(finals, study, statistics.median) if way in others else "")
            cells.append(f"{statistics.median(asks) * 1e3:.0f}" if asks else "")
            lines.append(f"| {problem}: {way} ({len(chosen)}) | " + " | ".join(cells) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--processes", type=int, default=0, help="seeds for which agents are real processes as well")
    parser.add_argument("--results", type=Path, help="a file of curves, to which those that it lacks are added")
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--agent-of", nargs=2, metavar=("SWEEP", "PROBLEM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.agent_of:
        be_agent(*options.agent_of)
        return
    numbers = {"seeds": options.seeds, "trials": options.trials, "agents": options.agents}
    chosen = {name: PROBLEMS[name] for name in options.only}
    with tempfile.TemporaryDirectory() as folder:
        results = options.results or Path(folder) / "results.jsonl"
        measure(chosen, **numbers, processes=options.processes, results=results)
        print("\n".join(table(read(results))))


if __name__ == "__main__":
    main()
