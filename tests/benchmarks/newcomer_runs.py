"""The sixty runs of the ten tasks (see newcomer.py), given to one tool: `python newcomer_runs.py TOOL FOLDER`.

5 learning rates x 4 widths x 3 seeds, 100 steps; the three widest of the highest rate diverge at step 51 and fail. Each
tool is imported only when it is asked for: a python that has it runs this file.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

RATES = (1e-4, 1e-3, 1e-2, 1e-1, 3e-1)
WIDTHS = (32, 64, 128, 256)
SEEDS = (0, 1, 2)
STEPS = 100
DIVERGES = 51


@dataclass(frozen=True)
class Recorded:
    """One run, as each tool records it."""

    name: str
    config: dict[str, float]
    rows: list[dict[str, float]]
    failed: bool


def runs() -> Iterator[Recorded]:
    """Yield the runs; the best rate is 0.01, and wider is better."""
    for rate in RATES:
        for width in WIDTHS:
            for seed in SEEDS:
                failed = (rate, width) == (RATES[-1], WIDTHS[-1])
                config = {"lr": rate, "width": width, "seed": seed}
                name = f"lr{rate:g}-w{width}-s{seed}"
                yield Recorded(name, config, list(_rows(name, rate, width, failed=failed)), failed)


def _rows(name: str, rate: float, width: int, *, failed: bool) -> Iterator[dict[str, float]]:
    source = random.Random(name)
    quality = math.exp(-((math.log10(rate) + 2) ** 2) / 2) * (0.7 + 0.03 * math.log2(width / 32))
    for step in range(STEPS):
        reached = quality * (1 - math.exp(-step / 20))
        loss = 2.3 * (1 - reached) + source.gauss(0, 0.03)
        accuracy = max(0.0, reached + source.gauss(0, 0.01))
        yield {"val/acc": accuracy, "train/loss": math.nan if failed and step >= DIVERGES else loss}


def to_tracklake(folder: str) -> None:
    import tracklake as tl

    for one in runs():
        run = tl.init(
            "sweep", name=one.name, id=one.name, config=one.config, dir=f"{folder}/lake", settings={"quiet": True}
        )
        for row in one.rows:
            run.log(row)
        run.finish(exit_code=int(one.failed))


def to_mlflow(folder: str) -> None:
    import mlflow
    from mlflow.entities import Metric, Param

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    experiment = mlflow.create_experiment("sweep", artifact_location=f"file://{folder}/artifacts")
    client = mlflow.MlflowClient()
    for one in runs():
        run = client.create_run(experiment, run_name=one.name)
        now = int(time.time() * 1000)
        points = [
            Metric(key, value, now + step, step) for step, row in enumerate(one.rows) for key, value in row.items()
        ]
        client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in one.config.items()])
        client.log_batch(run.info.run_id, metrics=points)
        client.set_terminated(run.info.run_id, "FAILED" if one.failed else "FINISHED")


def to_tensorboard(folder: str) -> None:
    from tensorboardX import SummaryWriter

    for one in runs():
        writer = SummaryWriter(f"{folder}/logs/{one.name}")
        writer.add_hparams(one.config, {"best_acc": max(row["val/acc"] for row in one.rows)}, name="hparams")
        for step, row in enumerate(one.rows):
            for key, value in row.items():
                writer.add_scalar(key, value, step)
        writer.close()


if __name__ == "__main__":
    {"tracklake": to_tracklake, "mlflow": to_mlflow, "tensorboard": to_tensorboard}[sys.argv[1]](sys.argv[2])
