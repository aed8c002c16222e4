"""How the owners of formats read the samples: points as (metric, step, value), overwritten ones too."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

Points: TypeAlias = list[tuple[str, int, float]]


class Reader(NamedTuple):
    """A package, and what reads a file by it: the file (or a copy that it may change) and its points."""

    package: str
    read: Callable[[Path, Path], tuple[Path, Points | None]]


def mlflow(path: Path, folder: Path) -> tuple[Path, Points]:
    """Read a database, or a file store, by MLflow's client; a copy, which it may migrate."""
    from mlflow.tracking import MlflowClient

    copy = folder / path.name
    (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    client = MlflowClient(str(copy) if path.is_dir() else f"sqlite:///{copy}")
    points: Points = []
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=50_000):
            for key in run.data.metrics:
                history = client.get_metric_history(run.info.run_id, key)
                points += [(key, one.step, _unbounded(one.value)) for one in history]
    return path, points


def _unbounded(value: float) -> float:
    """Return infinity for the largest double, which MLflow stores in its place and gives back."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value


def optuna(path: Path, folder: Path) -> tuple[Path, Points]:
    """Read intermediate values by Optuna's own storages; a copy, which it may upgrade."""
    import optuna

    copy = Path(shutil.copy(path, folder / path.name))
    storage: Any
    if path.suffix == ".log":
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(copy)))
    else:
        storage = optuna.storages.RDBStorage(f"sqlite:///{copy}", skip_compatibility_check=True)
        storage.upgrade()
    points: Points = []
    for study in storage.get_all_studies():
        for trial in storage.get_all_trials(study._study_id):
            points += [("value", step, value) for step, value in trial.intermediate_values.items()]
    return path, points


def tensorboard(path: Path, _folder: Path) -> tuple[Path, Points]:
    """Read scalars, of simple values and of tensors, by TensorBoard's accumulator."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    points: Points = []
    for folder in sorted({file.parent for file in path.rglob("events.out.tfevents.*")} if path.is_dir() else {path}):
        read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}, purge_orphaned_data=False)
        read.Reload()
        points += [(tag, one.step, one.value) for tag in read.Tags()["scalars"] for one in read.Scalars(tag)]
        for tag in read.Tags()["tensors"]:
            arrays = [(one.step, tensor_util.make_ndarray(one.tensor_proto)) for one in read.Tensors(tag)]
            points += [
                (tag, step, array.item()) for step, array in arrays if array.size == 1 and array.dtype.kind in "fiu"
            ]
    return path, points


def wandb(path: Path, _folder: Path) -> tuple[Path, Points]:
    """Decode the history by wandb's own schema; the package has no reader, so the records are those that we cut."""
    from wandb.proto import wandb_internal_pb2

    from tracklake.importers.readers.record_log import RecordLog

    points: Points = []
    for data in RecordLog(path).records():
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") != "history":
            continue
        row: dict[str, Any] = {}
        for item in record.history.item:
            row[".".join(item.nested_key) or item.key] = json.loads(item.value_json)
        step = row.pop("_step", record.history.step.num)
        flat = (pair for name, value in row.items() for pair in _leaves(name, value) if name not in _OWN)
        points += [(name, step, value) for name, value in flat if isinstance(value, int | float)]
    return path, points


_OWN = ("_runtime", "_timestamp")


def _leaves(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and "_type" not in value:
        return [pair for key, below in value.items() for pair in _leaves(f"{name}.{key}", below)]
    return [(name, value)]


TRACKIO = """
import json, sys
from trackio.sqlite_storage import SQLiteStorage as s
logs = [row for run in s.get_runs(sys.argv[1]) for row in s.get_logs(sys.argv[1], run)]
points = [(k, row["step"], v) for row in logs for k, v in row.items() if isinstance(v, (int, float)) and k != "step"]
print(json.dumps(points))
"""


def trackio(path: Path, folder: Path) -> tuple[Path, Points]:
    """Read a project's database by trackio's storage."""
    project = path.stem.split("-")[0]
    shutil.copy(path, folder / f"{project}.db")
    environment = {**os.environ, "TRACKIO_DIR": str(folder), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", TRACKIO, project]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return path, [(name, step, value) for name, step, value in json.loads(done.stdout.splitlines()[-1])]


def monitor(path: Path, _folder: Path) -> tuple[Path, Points]:
    """Read a monitor as stable-baselines3's load_results does: a line of JSON, then a table."""
    import pandas as pd

    table = pd.read_csv(path, skiprows=1)
    return path, [(name, step, value) for name in table.columns for step, value in enumerate(table[name])]


def one_row_a_run(path: Path, _folder: Path) -> tuple[Path, Points]:
    """Read a table of one row a run, which has no history."""
    return path, []


def wide(path: Path, _folder: Path) -> tuple[Path, Points]:
    """Read a wide table by pandas."""
    import pandas as pd

    table = pd.read_parquet(path)
    names = [name for name in table.columns if name not in ("_step", *_OWN) and table[name].dtype.kind in "fiub"]
    return path, [
        (name, int(step), value)
        for name in names
        for step, value in zip(table["_step"], table[name], strict=True)
        if not math.isnan(value)
    ]


_OPTUNA = ("dashboard_sample.sqlite3", "optuna_0.9.0.a.db", "optuna_2.6.0.a.db", "optuna_3.2.0.a.db",
           "journal_4.0.0.dev.log")  # fmt: skip
_WANDB = ("run-g9dvvkua", "rich", "big-records", "truncated-mid-record", "corrupt-byte", "killed-truncated")
_TENSORBOARD = ("strict", "lax", "duplicate_steps", "events.out.tfevents.1585769947.cvp")
SAMPLES: list[tuple[str, str, Reader]] = [
    ("mlflow", "mlflow/mlflow-3.17.db", Reader("mlflow", mlflow)),
    *(("optuna", f"optuna/{name}", Reader("optuna", optuna)) for name in _OPTUNA),
    *(("tensorboard", f"tensorboard/{name}", Reader("tensorboard", tensorboard)) for name in _TENSORBOARD),
    *(("wandb", f"wandb/{name}.wandb", Reader("wandb", wandb)) for name in _WANDB),
    ("table", "wandb/history.parquet", Reader("pandas", wide)),
    ("trackio", "trackio/digits-0.43.db", Reader("trackio", trackio)),
    ("stable_baselines", "monitor/ppo_CartPole-v1_1_0.monitor.csv", Reader("pandas", monitor)),
    ("stable_baselines", "monitor/dqn_CartPole-v1_1_0.monitor.csv", Reader("pandas", monitor)),
    ("table", "tables/hiplot-ml1.csv", Reader("csv", one_row_a_run)),
]
