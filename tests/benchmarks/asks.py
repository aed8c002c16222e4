"""What a trial's claim costs with many finished runs in the lake, by TPE.

`python tests/benchmarks/asks.py [--runs N] [--repeat N]` prints the wall time and the processor time of each claim of
an agent that has claimed before, after another run has ended: reading what is new in the lake, the sampler, the claim.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time

import tracklake as tl
from tracklake.lake.lake import Lake
from tracklake.sweeping.launching.create import open_sweep
from tracklake.sweeping.launching.liveness import living
from tracklake.sweeping.launching.trials import Trials
from tracklake.sweeping.records import Claim

SPACE = {
    "x": {"min": -10.0, "max": 10.0},
    "y": {"min": -10.0, "max": 10.0},
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
    "act": {"values": ["relu", "tanh", "gelu"]},
}


def fill(folder, runs):
    """Make a sweep of so many finished trials and return its records."""
    config = {"method": "bayes", "metric": {"name": "loss"}, "parameters": SPACE}
    records = open_sweep(tl.sweep(config, dir=folder), folder)
    generator = random.Random(0)
    for number in range(runs):
        point = {p.name: p.quantile(generator.random()) for p in records.config.parameters}
        claim = Claim(number, 0, point, records.run_id(number), "agent", "node", time.time())
        records.claim(claim)
        end(records, claim, folder)
    return records


def end(records, claim, folder):
    """Log the run of a trial and note its end."""
    with tl.init("asks", id=claim.run_id, config=claim.point, dir=folder) as run:
        run.log({"loss": claim.point["x"] ** 2 + claim.point["y"] ** 2})
    records.end(claim, "finished")


def ask(trials, name, folder):
    """Claim a trial and end it; return the seconds of the claim by the wall and by the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    claim, _ = trials.claim_next(name, trials.records.config)
    seconds = time.perf_counter() - wall, time.process_time() - processor
    end(trials.records, claim, folder)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        records = fill(folder, options.runs)
        trials = Trials(Lake(folder), records)
        with living(records) as name:
            first = ask(trials, name, folder)
            later = [ask(trials, name, folder) for _ in range(options.repeat)]
    print(f"first ask: {first[0] * 1e3:.0f} ms")
    for title, column in (("wall", 0), ("processor", 1)):
        times = sorted(seconds[column] * 1e3 for seconds in later)
        print(f"later asks, {title}: median {statistics.median(times):.0f} ms, least {times[0]:.0f} ms")


if __name__ == "__main__":
    main()
