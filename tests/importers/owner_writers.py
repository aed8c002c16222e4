"""Files that the real packages write on the spot, each with the points that were handed to the package."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from owner_readers import Points

STEPS = 40
CURVES = {"loss": [1 / (step + 1) for step in range(STEPS)], "acc": [step / STEPS for step in range(STEPS)]}
POINTS: Points = [(name, step, value) for name, values in CURVES.items() for step, value in enumerate(values)]
FLOAT32: Points = [
    (name, step, float(memoryview(__import__("array").array("f", [value]))[0])) for name, step, value in POINTS
]


class Writer(NamedTuple):
    """Packages, and what writes a folder by them and returns its points."""

    format: str
    packages: tuple[str, ...]
    write: Callable[[Path], Points]


def row(step: int) -> dict[str, float]:
    """Return the values of one step."""
    return {name: values[step] for name, values in CURVES.items()}


def mlflow_database(folder: Path) -> Points:
    """Log to a database by MLflow's client."""
    return _mlflow(f"sqlite:///{folder / 'mlflow.db'}", folder)


def mlflow_files(folder: Path) -> Points:
    """Log to a file store by MLflow's client."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    return _mlflow(str(folder / "mlruns"), folder)


def _mlflow(uri: str, folder: Path) -> Points:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    run = client.create_run(client.create_experiment("exp", artifact_location=str(folder / "artifacts")))
    client.log_param(run.info.run_id, "lr", 0.1)
    for step in range(STEPS):
        for name, value in row(step).items():
            client.log_metric(run.info.run_id, name, value, step=step)
    client.log_metric(run.info.run_id, "loss", math.nan, step=STEPS)
    client.set_terminated(run.info.run_id)
    return [*POINTS, ("loss", STEPS, math.nan)]


def aim(folder: Path) -> Points:
    """Track by Aim."""
    import aim

    run = aim.Run(repo=str(folder), experiment="exp", system_tracking_interval=None, capture_terminal_logs=False)
    for step in range(STEPS):
        for name, value in row(step).items():
            run.track(value, name=name, step=step)
    run.close()
    return POINTS


def dvclive(folder: Path) -> Points:
    """Log by DVCLive."""
    import dvclive

    with dvclive.Live(dir=str(folder / "dvclive"), save_dvc_exp=False, dvcyaml=None) as live:
        for step in range(STEPS):
            for name, value in row(step).items():
                live.log_metric(name, value)
            live.next_step()
    return POINTS


def by_script(script: str, **environment: str) -> Callable[[Path], Points]:
    """Return what runs a script in the folder, by this interpreter."""

    def write(folder: Path) -> Points:
        values = f"CURVES = {CURVES!r}\nSTEPS = {STEPS}\n"
        own = {
            "HOME": str(folder),
            "HF_HUB_OFFLINE": "1",
            **{key: text.format(folder) for key, text in environment.items()},
        }
        command = [sys.executable, "-c", values + script]
        subprocess.run(command, cwd=folder, env={**os.environ, **own}, check=True, capture_output=True)
        return POINTS

    return write


LOOP = "for step in range(STEPS):\n    log({name: values[step] for name, values in CURVES.items()})\n"
WANDB = f"import wandb\nrun = wandb.init(project='p')\nlog = run.log\n{LOOP}run.finish()\n"
TRACKIO = f"import trackio\ntrackio.init(project='p')\nlog = trackio.log\n{LOOP}trackio.finish()\n"


def tensorboard(folder: Path) -> Points:
    """Write scalars by torch's SummaryWriter: float32."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "run")) as writer:
        for name, step, value in POINTS:
            writer.add_scalar(name, value, step)
    return FLOAT32


def optuna(folder: Path) -> Points:
    """Report intermediate values of trials, some of which are pruned."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{folder / 'study.db'}", study_name="s")
    points: Points = []

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(5):
            trial.report(x + step, step)
            points.append(("value", step, x + step))
        if trial.number % 2:
            raise optuna.TrialPruned
        return x

    study.optimize(objective, n_trials=6)
    return points


def keras(folder: Path) -> Points:
    """Train by Keras with its CSVLogger; the points are those that its History has."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import numpy as np

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    logger = keras.callbacks.CSVLogger(str(folder / "training.log"))
    x = np.linspace(0, 1, 32)[:, None]
    history = model.fit(x, 2 * x, epochs=5, verbose=0, callbacks=[logger]).history
    return [(name, step, float(value)) for name, values in history.items() for step, value in enumerate(values)]


def lightning(folder: Path) -> Points:
    """Log by Lightning's CSVLogger."""
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(str(folder), flush_logs_every_n_steps=7)
    logger.log_hyperparams({"lr": 0.1})
    for step in range(STEPS):
        logger.log_metrics(row(step), step=step)
    logger.save()
    return POINTS


def hugging_face(folder: Path) -> Points:
    """Save a TrainerState by transformers; its names become those of its own loggers."""
    from transformers import TrainerState

    log = [{"step": step, "epoch": step / 10, **row(step)} for step in range(STEPS)]
    TrainerState(log_history=log, max_steps=STEPS).save_to_json(str(folder / "trainer_state.json"))
    epochs: Points = [("train/epoch", step, step / 10) for step in range(STEPS)]
    return [*((f"train/{name}", step, value) for name, step, value in POINTS), *epochs]


def stable_baselines(folder: Path) -> Points:
    """Dump by stable-baselines3's logger as progress.csv."""
    from stable_baselines3.common.logger import configure

    logger = configure(str(folder / "a2c"), ["csv"])
    for step in range(STEPS):
        for name, value in row(step).items():
            logger.record(f"train/{name}", value)
        logger.record("time/total_timesteps", step)
        logger.dump(step)
    return [(f"train/{name}", step, value) for name, step, value in POINTS]


def ray_tune(folder: Path) -> Points:
    """Run a trial by Ray Tune."""
    from ray import tune

    os.environ["RAY_DISABLE_IMPORT_WARNING"] = "1"

    def trainable(_config: dict[str, object]) -> None:
        for step in range(STEPS):
            tune.report({"measured": row(step)})

    with contextlib.redirect_stdout(sys.stderr):
        tuner = tune.Tuner(trainable, run_config=tune.RunConfig(name="exp", storage_path=str(folder), verbose=0))
        table = tuner.fit()[0].metrics_dataframe
    names = [name for name in table.columns if table[name].dtype.kind in "fiub"]
    own = [name for name in names if name not in ("training_iteration", "pid") and not name.startswith("config/")]
    return [
        (name, int(step), float(v))
        for name in own
        for step, v in zip(table["training_iteration"], table[name], strict=True)
    ]


ALL = [
    Writer("mlflow", ("mlflow",), mlflow_database),
    Writer("mlflow_files", ("mlflow",), mlflow_files),
    Writer("aim", ("aim",), aim),
    Writer("dvclive", ("dvclive",), dvclive),
    Writer("wandb", ("wandb",), by_script(WANDB, WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR="{}")),
    Writer("trackio", ("trackio",), by_script(TRACKIO, TRACKIO_DIR="{}")),
    Writer("tensorboard", ("torch", "tensorboard"), tensorboard),
    Writer("optuna", ("optuna",), optuna),
    Writer("keras", ("keras", "torch"), keras),
    Writer("lightning", ("lightning",), lightning),
    Writer("hugging_face", ("transformers",), hugging_face),
    Writer("stable_baselines", ("stable_baselines3",), stable_baselines),
    Writer("ray_tune", ("ray", "torch"), ray_tune),
]
