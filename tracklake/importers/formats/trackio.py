"""trackio: `<project>.db`, of every schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.importers.readers import curves, json_lines, records, sqlite
from tracklake.importers.readers.records import ImportOptions, Points, Remark, RunRecord, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import Yielded
    from tracklake.importers.readers.sqlite import Database

PRIORITY = 20
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield the databases that have trackio's tables.

    >>> from pathlib import Path
    >>> list(recognise(Path(), ["digits.db"]))
    []
    """
    for name in names:
        tables = sqlite.tables_of(folder / name)
        if {"run_name", "metrics", "step"} <= set(tables.get("metrics", ())):
            yield Source("trackio", folder / name)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    """Yield the runs of a project, which the file is named after; of what runs are it says no state.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> list(read(Source("trackio", Path("nowhere")), ImportOptions()))
    Traceback (most recent call last):
    tracklake.errors.SourceError: nowhere ...
    """
    project = options.project or source.path.stem
    with sqlite.opened(source.path) as database:
        configs = dict(_configs(database))
        columns = ["run_id", "run_name", "timestamp", "step", "metrics"]
        order = ["run_id", "id"] if database.has("metrics", "run_id", "id") else ["run_name", "rowid"]
        runs: dict[str, RunRecord] = {}
        n_lost = 0
        for batch in database.batches("metrics", columns, order=order):
            groups: dict[str, list[tuple[Any, ...]]] = {}
            for row in batch:
                groups.setdefault(str(row[0] or row[1]), []).append(row)
            for key, rows in groups.items():
                if key not in runs:
                    runs[key] = _record(key, str(rows[0][1]), project, configs.get(key, {}))
                    yield runs[key]
                frame, lost = _points(rows)
                n_lost += lost
                yield Points(runs[key], frame)
        for key, config in configs.items():
            if key not in runs:
                runs[key] = _record(key, str(config.get("_Name", key)), project, config)
                yield runs[key]
        _take_system(database, runs)
    if n_lost:
        yield Remark(source.path, f"{n_lost:,} rows are no JSON objects", is_loss=True)


def _configs(database: Database) -> Iterator[tuple[str, dict[str, Any]]]:
    for run, name, config in database.rows("configs", ["run_id", "run_name", "config"]):
        value = _object(config)
        yield str(run or name), {**(value or {}), "_Name": name}


def _record(key: str, name: str, project: str, config: dict[str, Any]) -> RunRecord:
    created = pl.Series([config.get("_Created")], dtype=pl.String)
    moments = curves.moments(created) if created.null_count() == 0 else None
    return RunRecord(
        f"trackio:{project}:{key}",
        run_id=key,
        project=project,
        name=name,
        group=config.get("_Group"),
        config={k: v for k, v in config.items() if not k.startswith("_")},
        metadata={"user": config["_Username"]} if config.get("_Username") else {},
        start=None if moments is None else int(moments[0]),
    )


def _object(text: Any) -> dict[str, Any] | None:
    """Return a JSON object, in which special numbers are words; None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {k: _SPECIAL.get(v, v) if isinstance(v, str) else v for k, v in value.items()}


def _points(rows: list[tuple[Any, ...]]) -> tuple[pl.DataFrame, int]:
    objects = [_object(row[4]) for row in rows]
    sound = [(row, value) for row, value in zip(rows, objects, strict=True) if value is not None]
    flat = [dict(json_lines.flattened(value, ".")) for _, value in sound]
    step = pl.Series([int(row[3] or 0) for row, _ in sound], dtype=pl.Int64)
    stamps = curves.moments(pl.Series([str(row[2]) for row, _ in sound], dtype=pl.String)) if sound else None
    names = dict.fromkeys(name for row in flat for name in row)
    metrics = {name: records.series(name, [row.get(name) for row in flat]) for name in names}
    return records.columns(metrics, step=step, ts=stamps), len(rows) - len(sound)


def _take_system(database: Database, runs: dict[str, RunRecord]) -> None:
    """Give runs their samples of system metrics."""
    columns = ["run_id", "run_name", "timestamp", "metrics"]
    for run, name, timestamp, metrics in database.rows("system_metrics", columns):
        record, value = runs.get(str(run or name)), _object(metrics)
        moments = curves.moments(pl.Series([str(timestamp)]))
        if record is not None and value is not None and moments is not None:
            numbers = {k: float(v) for k, v in json_lines.flattened(value, ".") if isinstance(v, int | float)}
            record.system.append((int(moments[0]), numbers))
