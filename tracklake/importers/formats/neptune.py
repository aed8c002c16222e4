"""Parquet files of the Neptune exporter: one row an attribute, or a point of a series."""

from __future__ import annotations

import itertools
import operator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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
_Key: TypeAlias = tuple[str, str]
"""Project and id of a run."""
_HELD = 2_000_000
"""Rows that are held at once of a file in which runs alternate."""
_NEEDED = {"project_id", "run_id", "attribute_path", "attribute_type"}
_RUN = ["project_id", "run_id"]
_IS_SERIES = pl.col("attribute_type").str.ends_with("_series")
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
    survey = _survey(source.path)
    records = {key: _record(key, attributes, source, options) for key, attributes in survey.attributes.items()}
    frames = map(_by_run, _frames(source.path))
    if survey.is_in_order:
        for keys, batches in itertools.groupby(itertools.chain.from_iterable(frames), key=operator.itemgetter(0)):
            yield records[keys]
            for _, rows in batches:
                yield from _points(records[keys], rows)
        return
    for keys in _together(survey.n_rows):
        yield from _of_runs(source.path, {key: records[key] for key in keys})


class _Survey(NamedTuple):
    attributes: dict[_Key, dict[str, Any]]
    n_rows: dict[_Key, int]
    is_in_order: bool
    """Whether all rows of a run follow each other."""


def _survey(path: Path) -> _Survey:
    """Return what a first pass over a file tells: attributes stand anywhere among the points."""
    survey, latest, n_stretches = _Survey({}, {}, True), None, 0
    for key, rows in itertools.chain.from_iterable(map(_by_run, _frames(path))):
        survey.attributes.setdefault(key, {}).update(_attributes(rows.filter(~_IS_SERIES)))
        survey.n_rows[key] = survey.n_rows.get(key, 0) + rows.height
        n_stretches += key != latest
        latest = key
    return survey._replace(is_in_order=n_stretches == len(survey.n_rows))


def _together(n_rows: dict[_Key, int]) -> Iterator[list[_Key]]:
    """Yield runs whose rows are few enough to be held at once, or one that alone has more."""
    together: list[_Key] = []
    for key, n in n_rows.items():
        if together and sum(n_rows[one] for one in together) + n > _HELD:
            yield together
            together = []
        together.append(key)
    yield together


def _of_runs(path: Path, records: dict[_Key, RunRecord]) -> Iterator[Yielded]:
    """Yield some runs of a file in which runs alternate; one alone passes through, and of several each in turn."""
    held: dict[_Key, list[pl.DataFrame]] = {key: [] for key in records}
    if len(records) == 1:
        yield from records.values()
    for key, rows in itertools.chain.from_iterable(map(_by_run, _frames(path))):
        if key in records and len(records) == 1:
            yield from _points(records[key], rows)
        elif key in records:
            held[key].append(rows)
    for key, record in records.items() if len(records) > 1 else ():
        yield record
        for rows in held[key]:
            yield from _points(record, rows)


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file piece by piece; its attributes stand anywhere among its points."""
    for frame in table_files.parquet_frames(path):
        if not set(frame.columns) >= _NEEDED:
            raise SourceError(f"{path} lacks columns of the exporter: {', '.join(sorted(_NEEDED))}")
        yield frame


def _by_run(frame: pl.DataFrame) -> Iterator[tuple[_Key, pl.DataFrame]]:
    for rows in frame.partition_by(_RUN, maintain_order=True):
        yield (str(rows["project_id"][0]), str(rows["run_id"][0])), rows


def _record(key: _Key, attributes: dict[str, Any], source: Source, options: ImportOptions) -> RunRecord:
    project, run_id = key
    record = RunRecord(
        f"neptune:{project}:{run_id}",
        run_id=run_id,
        project=options.project or project.rsplit("/", 1)[-1],
        session=source.path.name,
    )
    _describe(record, attributes)
    return record


def _attributes(rows: pl.DataFrame) -> Iterator[tuple[str, Any]]:
    values = [name for name in _VALUES if name in rows.columns]
    for path, *cells in rows.select("attribute_path", *values).iter_rows():
        value = next((cell for cell in cells if cell is not None), None)
        if value is not None:
            yield path, value


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


def _points(record: RunRecord, rows: pl.DataFrame) -> Iterator[Points]:
    """Yield the points of each series of some rows of a run."""
    for series in rows.filter(_IS_SERIES).partition_by("attribute_path", maintain_order=True):
        yield Points(record, _points_of_series(series))


def _points_of_series(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the points of one series; several at one step, as a fraction cut off gives, stay in order."""
    metric = str(rows["attribute_path"][0])
    column = "float_value" if rows["attribute_type"][0] == "float_series" else "string_value"
    stamps = rows["timestamp"].cast(pl.Datetime("us")).dt.epoch("us") if "timestamp" in rows.columns else None
    return records.columns({metric: rows[column]}, step=rows["step"].cast(pl.Float64).floor().cast(pl.Int64), ts=stamps)
