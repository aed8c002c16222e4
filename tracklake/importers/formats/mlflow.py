"""MLflow's database, `mlflow.db`, of every schema since 1.x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.importers.readers import mlflow_runs, records, sqlite
from tracklake.importers.readers.mlflow_runs import MlflowRun
from tracklake.importers.readers.records import Remark, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, RunRecord, Yielded
    from tracklake.importers.readers.sqlite import Database

PRIORITY = 20
_METRIC = ("run_uuid", "key", "value", "timestamp", "step", "is_nan")
_MODEL_METRIC = ("metric_name", "metric_value", "metric_timestamp_ms", "metric_step", "dataset_name")
_LARGEST = 1.797e308
"""From here on a number stands for infinity: the database holds none."""


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield the databases that have MLflow's tables.

    >>> from pathlib import Path
    >>> list(recognise(Path(), ["mlflow.db"]))
    []
    """
    for name in names:
        tables = sqlite.tables_of(folder / name)
        if {"key", "value", "run_uuid"} <= set(tables.get("metrics", ())) and "runs" in tables:
            yield Source("mlflow", folder / name)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    """Yield every run that is not deleted, with its parameters, tags, metrics and data sets.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> list(read(Source("mlflow", Path("nowhere")), ImportOptions()))
    Traceback (most recent call last):
    tracklake.errors.SourceError: nowhere ...
    """
    with sqlite.opened(source.path) as database:
        runs, n_deleted = _runs(database)
        records_by_run = {uuid: mlflow_runs.record_of(run, runs, options) for uuid, run in runs.items()}
        yield from _metrics(database, records_by_run, _model_metrics(database, records_by_run))
    if n_deleted:
        yield Remark(source.path, f"{n_deleted:,} runs that are deleted there were left out")


def _runs(database: Database) -> tuple[dict[str, MlflowRun], int]:
    experiments = dict(database.rows("experiments", ["experiment_id", "name"]))
    names = ["run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage", "experiment_id", "user_id"]
    runs: dict[str, MlflowRun] = {}
    n_deleted = 0
    for uuid, name, status, start, end, stage, experiment, user in database.rows("runs", names):
        if stage == "deleted":
            n_deleted += 1
            continue
        project = str(experiments.get(experiment, experiment))
        runs[uuid] = MlflowRun(uuid, project, name=name, status=status, start=start, end=end, user=user)
    for uuid, key, value in database.rows("params", ["run_uuid", "key", "value"]):
        if uuid in runs:
            runs[uuid].params[key] = value
    for uuid, key, value in database.rows("tags", ["run_uuid", "key", "value"]):
        if uuid in runs:
            runs[uuid].tags[key] = value
    data = {row[0]: row[1:] for row in database.rows("datasets", ["dataset_uuid", "name", "digest"])}
    for dataset, kind, uuid in database.rows("inputs", ["source_id", "destination_type", "destination_id"]):
        if kind == "RUN" and uuid in runs and dataset in data:
            runs[uuid].datasets.append(data[dataset])
    return runs, n_deleted


def _metrics(
    database: Database, records_by_run: dict[str, RunRecord], of_models: dict[str, pl.DataFrame]
) -> Iterator[Yielded]:
    """Yield each run with its points, in the order of their ids; those without metrics at the end."""
    begun: set[str] = set()
    for batch in database.batches("metrics", _METRIC, order=["run_uuid"]):
        frame = _frame(batch)
        for part in frame.partition_by("run_uuid", maintain_order=True):
            record = records_by_run.get(part["run_uuid"][0])
            if record is None:
                continue
            if record.identity not in begun:
                begun.add(record.identity)
                yield from _begin(record, of_models)
            yield from mlflow_runs.points(record, part)
    for record in records_by_run.values():
        if record.identity not in begun:
            yield from _begin(record, of_models)


def _begin(record: RunRecord, of_models: dict[str, pl.DataFrame]) -> Iterator[Yielded]:
    yield record
    if record.run_id in of_models:
        yield from mlflow_runs.points(record, of_models[record.run_id])


def _frame(batch: list[tuple[Any, ...]]) -> pl.DataFrame:
    """Return metrics as a frame: NaN and the infinities are what they stand for."""
    runs, keys, values, times, steps, flags = zip(*batch, strict=True)
    value = records.series("value", values).cast(pl.Float64, strict=False)
    is_nan = pl.Series("is_nan", [bool(flag) for flag in flags])
    frame = pl.DataFrame(
        {
            "run_uuid": pl.Series(runs, dtype=pl.String, strict=False),
            "metric": pl.Series(keys, dtype=pl.String, strict=False),
            "value": value,
            "ms": pl.Series(times, dtype=pl.Int64, strict=False),
            "step": pl.Series(steps, dtype=pl.Int64, strict=False).fill_null(0),
        }
    )
    x = pl.col("value")
    exact = pl.when(x >= _LARGEST).then(float("inf")).when(x <= -_LARGEST).then(float("-inf")).otherwise(x)
    return frame.with_columns(pl.when(pl.lit(is_nan)).then(float("nan")).otherwise(exact).alias("value"))


def _model_metrics(database: Database, records_by_run: dict[str, RunRecord]) -> dict[str, pl.DataFrame]:
    """Return the metrics of logged models and of data sets by run, under the model's name and the data set's."""
    models = dict(database.rows("logged_models", ["model_id", "name"]))
    columns = ["run_id", "model_id", *_MODEL_METRIC]
    series: dict[str, list[tuple[str, float, int, int]]] = {}
    for run, model, name, value, ms, step, data in database.rows("logged_model_metrics", columns):
        if run in records_by_run and isinstance(value, int | float):
            metric = f"{models.get(model, model)}/{name}" + (f"@{data}" if data else "")
            series.setdefault(run, []).append((metric, float(value), ms, step))
    types = {"metric": pl.String, "value": pl.Float64, "ms": pl.Int64, "step": pl.Int64}
    return {run: pl.DataFrame(rows, schema=types, orient="row") for run, rows in series.items()}
