"""Runs in the forms of other tools: an MLflow file store, TensorBoard's event files, W&B's JSON."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tracklake.importers.readers import protobuf, tfrecord
from tracklake.schema import naming, nesting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tracklake.lake.recorded_run import RecordedRun

ForeignForm = Literal["mlflow", "tensorboard", "wandb"]

_STATUSES = {"running": 1, "finished": 3, "failed": 4, "crashed": 4, "killed": 5}
_DT_DOUBLE = 2


def write_runs(folder: Path, runs: Iterable[tuple[RecordedRun, pl.DataFrame]], form: ForeignForm) -> None:
    """Write runs, each with its points (metric, step, time, value, text), into a folder.

    >>> from pathlib import Path
    >>> lake = example()
    >>> points = lake.scan_history("loss", runs="fast").collect()
    >>> write_runs(Path("out"), [(lake.run("fast"), points)], "wandb")
    >>> sorted(path.name for path in Path("out").rglob("*.json*"))
    ['config.json', 'wandb-history.jsonl', 'wandb-metadata.json', 'wandb-summary.json']
    """
    for run, points in runs:
        _WRITERS[form](folder, run, points)


def _mlflow(folder: Path, run: RecordedRun, points: pl.DataFrame) -> None:
    """Write a run of MLflow's file store; the id of an experiment follows from the name of its project."""
    facts = run.facts
    number = str(int(hashlib.sha256(run.project.encode()).hexdigest()[:15], 16) or 1)
    experiment = folder / number
    start = int(facts["created_at"].timestamp() * 1000)
    end = start if facts["runtime"] is None else start + int(facts["runtime"] * 1000)
    if not (experiment / "meta.yaml").exists():
        about = {"artifact_location": experiment.absolute().as_uri(), "experiment_id": number, "name": run.project}
        _write_json(experiment / "meta.yaml", {**about, "lifecycle_stage": "active", "creation_time": start})
    uuid = hashlib.sha256(run.id.encode()).hexdigest()[:32]
    own = experiment / uuid
    meta: dict[str, Any] = {
        "run_id": uuid,
        "run_uuid": uuid,
        "run_name": run.name,
        "experiment_id": number,
        "user_id": "",
        "tags": [],
    }
    meta |= {"artifact_uri": (own / "artifacts").absolute().as_uri(), "lifecycle_stage": "active", "source_type": 4}
    meta |= {"source_name": "", "source_version": "", "entry_point_name": "", "start_time": start, "end_time": end}
    _write_json(own / "meta.yaml", {**meta, "status": _STATUSES.get(run.state, 4)})
    for path, value in nesting.leaves(run.config, name="config"):
        _write_text(
            own / "params" / _mlflow_key(".".join(path)), value if isinstance(value, str) else json.dumps(value)
        )
    tags = {"mlflow.runName": run.name, "tracklake.run_id": run.id, "mlflow.note.content": facts["notes"]}
    tags |= {f"tag.{tag}": "true" for tag in run.tags}
    for key, value in tags.items():
        if value is not None:
            _write_text(own / "tags" / _mlflow_key(key), str(value))
    for metric in points.drop_nulls("value").partition_by("metric", maintain_order=True):
        rows = metric.select(pl.col("time").dt.epoch("ms"), "value", "step").iter_rows()
        lines = "".join(f"{ms} {value!r} {step}\n" for ms, value, step in rows)
        _write_text(own / "metrics" / _mlflow_key(metric["metric"][0]), lines)
    for part in ("metrics", "params", "tags", "artifacts"):
        (own / part).mkdir(parents=True, exist_ok=True)


def _mlflow_key(name: str) -> str:
    """Return a name as MLflow takes it, and as a path that stays where it is."""
    allowed = re.sub(r"[^\w\-./ :]", "_", name)
    parts = [part if part.strip(".") else part.replace(".", "_") for part in allowed.split("/") if part]
    return "/".join(parts) or "_"


def _tensorboard(folder: Path, run: RecordedRun, points: pl.DataFrame) -> None:
    """Write a folder with one event file: scalars as tensors of doubles, so that no digit is lost."""
    start = run.facts["created_at"].timestamp()
    own = folder / naming.safe_name(run.project) / naming.safe_name(run.id)
    own.mkdir(parents=True, exist_ok=True)
    rows = points.drop_nulls("value").sort("time", "step", maintain_order=True)
    events = [_event(start, 0, protobuf.field(3, b"brain.Event:2"))]
    events += list(_scalars(rows.select("metric", "step", pl.col("time").dt.epoch("us"), "value")))
    with (own / f"events.out.tfevents.{int(start)}.tracklake").open("wb") as file:
        file.writelines(tfrecord.framed_many(events))


def _scalars(rows: pl.DataFrame) -> Iterator[bytes]:
    begun: set[str] = set()
    metadata = protobuf.field(9, protobuf.field(1, protobuf.field(1, b"scalars")) + bytes([0x20, 1]))
    for metric, step, moment, value in rows.iter_rows():
        tensor = bytes([0x08, _DT_DOUBLE]) + protobuf.field(2, b"") + protobuf.field(6, struct.pack("<d", value))
        content = protobuf.field(1, metric.encode()) + protobuf.field(8, tensor)
        content += b"" if metric in begun else metadata
        begun.add(metric)
        yield _event(moment / 1e6, step, protobuf.field(5, protobuf.field(1, content)))


def _event(wall_time: float, step: int, content: bytes) -> bytes:
    return bytes([0x09]) + struct.pack("<d", wall_time) + bytes([0x10]) + protobuf.as_varint(step) + content


def _wandb(folder: Path, run: RecordedRun, points: pl.DataFrame) -> None:
    """Write what W&B keeps of a run as JSON: config, summary, history row by row, and what it notes of the run."""
    del points  # a row a step, with its own clock, is what W&B has
    own = folder / naming.safe_name(run.project) / naming.safe_name(run.id)
    facts = {key: value for key, value in run.facts.items() if value is not None}
    _write_json(own / "config.json", run.config)
    _write_json(own / "wandb-summary.json", run.summary._json_dict)  # noqa: SLF001 - its plain form
    about = {"run_id": run.id, **facts, "created_at": facts["created_at"].isoformat(), **run.metadata}
    _write_json(own / "wandb-metadata.json", about)
    history = run.history()
    rows = ({key: value for key, value in row.items() if value is not None} for row in history.iter_rows(named=True))
    _write_text(own / "wandb-history.jsonl", "".join(json.dumps(row, default=str) + "\n" for row in rows))


_WRITERS: dict[str, Callable[[Path, RecordedRun, pl.DataFrame], None]] = {
    "mlflow": _mlflow,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}


def _write_json(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value, ensure_ascii=False, default=str))


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
