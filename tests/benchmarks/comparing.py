"""Statistics over many runs: groups compared with intervals and tests, and what mattered in a sweep.

`python comparing.py SUBJECT compare FOLDER` asks a lake (or the floor's files) that lcdb.py has written: 20 learners on
248 data sets, up to 125 seeds each, 10,000 draws. `python comparing.py SUBJECT importance` makes a sweep of 10,000 runs
with 30 parameters. Both print figures as JSON. The subjects are tracklake and floor: the floor of a comparison draws
indices with numpy, data set by data set, as rliable does, for the intervals alone and neither pairs nor tests anything;
that of importance is optuna's own evaluator, which gives no intervals.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import polars as pl

TASK, SEEDS = "openmlid", ["outer_seed", "inner_seed"]
DRAWS = 10_000
ROWS = 1_000
"""Draws of the floor at a time."""
RUNS, PARAMETERS = 10_000, 30
FLOATS, INTS = range(0, PARAMETERS, 3), range(1, PARAMETERS, 3)
CHOICES = ["adam", "lion", "muon", "sgd"]


def sweep(runs: int = RUNS) -> pl.DataFrame:
    """Random settings: floats on a log scale, ints from 1 to 8, four choices; p0 and p1 matter."""
    generator = np.random.default_rng(0)
    columns: dict[str, object] = {"run": [f"run-{i}" for i in range(runs)]}
    for i in range(PARAMETERS):
        if i in FLOATS:
            columns[f"p{i}"] = 10 ** generator.uniform(-4, 0, runs)
        elif i in INTS:
            columns[f"p{i}"] = generator.integers(1, 9, runs)
        else:
            columns[f"p{i}"] = np.array(CHOICES)[generator.integers(0, len(CHOICES), runs)]
    loss = (np.log10(np.asarray(columns["p0"])) + 2) ** 2 + 0.3 * np.asarray(columns["p1"])
    return pl.DataFrame(columns | {"step": 0, "loss": loss + generator.normal(0, 0.5, runs)})


class Tracklake:
    """One call each."""

    @staticmethod
    def compare(folder, *, draws=DRAWS):
        import tracklake as tl

        lake = tl.open(folder)
        lake.runs(limit=1)  # the lake is open; what is measured is the comparison
        began = time.perf_counter()
        found = lake.compare("valid/acc.max", by="learner", over=[TASK, *SEEDS], goal="max", draws=draws)
        took = time.perf_counter() - began
        return {"compare s": took}, found.table.select("config.learner", "mean", "low", "high")

    @staticmethod
    def importance(frame, *, draws=100):
        import tracklake as tl

        with tempfile.TemporaryDirectory() as folder:
            lake = tl.open(folder, create=True)
            names = [f"p{i}" for i in range(PARAMETERS)]
            lake.import_table(frame, run_columns=["run"], config_columns=names, step="step", metrics={"loss": "loss"})
            found = lake.sweep(metric="loss", goal="min")
            began = time.perf_counter()
            alone = found.importance(draws=0)
            then = time.perf_counter()
            found.importance(draws=draws)
            ended = time.perf_counter()
        values = {name.removeprefix("config."): value for name, value in alone.select("name", "importance").rows()}
        return {"importance s": then - began, "with intervals s": ended - then}, values


class Floor:
    """numpy and optuna."""

    @staticmethod
    def compare(folder, *, draws=DRAWS):
        runs = pl.read_parquet(Path(folder) / "runs.parquet")
        states = pl.read_parquet(Path(folder) / "states.parquet").filter(pl.col("metric") == "valid/acc")
        began = time.perf_counter()
        table = runs.join(states, on="run_id").select("learner", TASK, "max").drop_nulls()
        generator, rows = np.random.default_rng(0), []
        for (learner,), group in table.partition_by("learner", as_dict=True).items():
            tasks = [task["max"].to_numpy() for task in group.partition_by(TASK)]
            drawn = np.zeros(draws)
            for values in tasks:
                for at in range(0, draws, ROWS):
                    part = drawn[at : at + ROWS]
                    part += values[generator.integers(0, len(values), (len(part), len(values)))].mean(axis=1)
            low, high = np.quantile(drawn / len(tasks), [0.025, 0.975])
            rows.append((learner, float(np.mean([v.mean() for v in tasks])), float(low), float(high)))
        took = time.perf_counter() - began
        return {"compare s": took}, pl.DataFrame(rows, schema=["config.learner", "mean", "low", "high"], orient="row")

    @staticmethod
    def importance(frame, *, draws=100):
        del draws
        import optuna
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = {}
        for i in range(PARAMETERS):
            column = frame[f"p{i}"]
            if i in FLOATS:
                space[f"p{i}"] = FloatDistribution(column.min(), column.max(), log=True)
            else:
                space[f"p{i}"] = IntDistribution(1, 8) if i in INTS else CategoricalDistribution(CHOICES)
        trials = [
            optuna.trial.create_trial(params={n: row[n] for n in space}, distributions=space, value=row["loss"])
            for row in frame.iter_rows(named=True)
        ]
        study = optuna.create_study()
        study.add_trials(trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # optuna calls it experimental
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.1)
            began = time.perf_counter()
            values = evaluator.evaluate(study)
        return {"importance s": time.perf_counter() - began}, values


SUBJECTS = {"tracklake": Tracklake, "floor": Floor}


def main(name: str, what: str, *rest: str) -> None:
    subject = SUBJECTS[name]
    figures, _ = subject.compare(Path(rest[0])) if what == "compare" else subject.importance(sweep())
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
