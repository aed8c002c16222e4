"""Parquet files of the Neptune exporter: one row an attribute, or a point of a series."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import SourceError
from tracklake.importers.readers import records, table_files
from tracklake.importers.readers.records import Points, RunRecord, Source
from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, RunState, Yielded

PRIORITY = 20
_NEEDED = {"project_id", "run_id", "attribute_path", "attribute_type"}
_VALUES = ("int_value", "float_value", "string_value", "bool_value", "datetime_value", "string_set_value")
_CHOSEN = ("parameters", "params", "config", "hparams", "hyperparameters", "args")
"""Namespaces of attributes that are config."""
_FIELDS = {"sys/name": "name", "sys/description": "notes", "sys/group_tags": "group"}
_STATES: dict[object, RunState] = {"active": "crashed", "running": "crashed"}


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield the Parquet files that have the exporter's columns.

    >>> from pathlib import Path
    >>> list(recognise(Path(), ["a.csv"]))
    []
    """
    for name in names:
        if name.endswith(".parquet") and set(table_files.parquet_columns(folder / name)) >= _NEEDED:
            yield Source("neptune", folder / name)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    """Yield the runs of a file, each with its attributes and series.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> list(read(Source("neptune", Path("nowhere")), ImportOptions()))
    Traceback (most recent call last):
    tracklake.errors.SourceError: nowhere ...
    """
    rows = pl.concat(list(table_files.parquet_frames(source.path)))
    if not set(rows.columns) >= _NEEDED:
        raise SourceError(f"{source.path} lacks columns of the exporter: {', '.join(sorted(_NEEDED))}")
    for part in rows.partition_by(["project_id", "run_id"], maintain_order=True):
        yield from _run(str(part["project_id"][0]), str(part["run_id"][0]), part, source, options)


def _run(project: str, run_id: str, rows: pl.DataFrame, source: Source, options: ImportOptions) -> Iterator[Yielded]:
    is_series = pl.col("attribute_type").str.ends_with("_series")
    record = RunRecord(
        f"neptune:{project}:{run_id}",
        run_id=run_id,
        project=options.project or project.rsplit("/", 1)[-1],
        session=source.path.name,
    )
    attributes = {path: value for path, value in _attributes(rows.filter(~is_series)) if value is not None}
    _describe(record, attributes)
    yield record
    for series in rows.filter(is_series).partition_by("attribute_path", maintain_order=True):
        yield Points(record, _points(series))


def _attributes(rows: pl.DataFrame) -> Iterator[tuple[str, Any]]:
    values = [name for name in _VALUES if name in rows.columns]
    for path, *cells in rows.select("attribute_path", *values).iter_rows():
        yield path, next((cell for cell in cells if cell is not None), None)


def _describe(record: RunRecord, attributes: dict[str, Any]) -> None:
    for path, field in _FIELDS.items():
        value = attributes.get(path)
        if isinstance(value, str):
            setattr(record, field, value)
    tags = attributes.get("sys/tags")
    record.tags = [str(tag) for tag in tags] if isinstance(tags, list) else []
    record.state = "failed" if attributes.get("sys/failed") else _STATES.get(attributes.get("sys/state"), "finished")
    created = attributes.get("sys/creation_time")
    record.start = round(created.timestamp() * 1e6) if isinstance(created, datetime) else None
    own = {path: value for path, value in attributes.items() if not path.startswith("sys/")}
    chosen = {path: value for path, value in own.items() if path.split("/")[0] in _CHOSEN}
    nested = ((path.split("/")[1:] or [path], value) for path, value in chosen.items())
    record.config = naming.nest(nested)
    record.summary = {path: value for path, value in own.items() if path not in chosen}


def _points(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the points of one series; several at one step, as a fraction cut off gives, stay in order."""
    metric = str(rows["attribute_path"][0])
    column = "float_value" if rows["attribute_type"][0] == "float_series" else "string_value"
    stamps = rows["timestamp"].cast(pl.Datetime("us")).dt.epoch("us") if "timestamp" in rows.columns else None
    return records.columns({metric: rows[column]}, step=rows["step"].cast(pl.Float64).floor().cast(pl.Int64), ts=stamps)
