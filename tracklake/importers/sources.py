"""Where a table comes from: a CSV, Parquet or JSONL file, or a frame of polars, pandas or arrow."""

from __future__ import annotations

import glob
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from tracklake.errors import SourceError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Table: TypeAlias = "str | os.PathLike[str] | pl.DataFrame | pl.LazyFrame | Any"
"""A path, or a frame; beside polars anything that pandas made or that hands out an arrow stream."""

_SAMPLE = 10_000
"""Rows of a text file by which its types are guessed; where that fails, all are looked at."""


def read(table: Table, wanted: Sequence[str]) -> pl.DataFrame:
    """Return these columns of a table.

    Raises SourceError for a file that is not there or cannot be read, and for what is no table; UnknownNameError for a
    column that it has not.

    >>> read(pl.DataFrame({"a": [1], "b": [2]}), ["b"]).columns
    ['b']
    """
    if isinstance(table, str | os.PathLike):
        return _read_file(Path(table), wanted)
    return _selected(_frame(table), wanted)


def name_of(table: Table) -> str:
    """Return what the table is called in a run's record: the file's name, or the kind of frame.

    >>> name_of("results/curves.csv"), name_of(pl.DataFrame())
    ('curves.csv', 'polars.DataFrame')
    """
    if isinstance(table, str | os.PathLike):
        return Path(table).name
    return f"{type(table).__module__.split('.')[0]}.{type(table).__qualname__}"


def time_of(table: Table) -> int:
    """Return when a table was made, in microseconds since the epoch: when its file was written; of a frame, now.

    >>> time_of(pl.DataFrame()) > 1_700_000_000_000_000
    True
    """
    if isinstance(table, str | os.PathLike):
        return Path(table).stat().st_mtime_ns // 1000
    return time.time_ns() // 1000


def _frame(table: object) -> pl.DataFrame | pl.LazyFrame:
    if isinstance(table, pl.DataFrame | pl.LazyFrame):
        return table
    if type(table).__module__.split(".")[0] == "pandas":
        return pl.from_pandas(table)  # NaN, its mark of nothing, becomes null
    if hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(table)
    raise SourceError(
        f"a table is the path of a CSV, Parquet or JSONL file, or a frame of polars, pandas or arrow; "
        f"got {type(table).__qualname__}"
    )


def _read_file(path: Path, wanted: Sequence[str]) -> pl.DataFrame:
    scan = _SCANS.get(path.suffix.lower())
    if scan is None:
        raise SourceError(f"{path} has the ending {path.suffix!r}; accepted are {', '.join(_SCANS)}")
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    try:
        try:
            return _untexted(_selected(scan(path, _SAMPLE), wanted), path)
        except pl.exceptions.ComputeError:  # a row further on does not fit the types guessed
            return _selected(scan(path, None), wanted)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path} cannot be read as {path.suffix}: {str(error).splitlines()[0]}") from error


def _selected(frame: pl.DataFrame | pl.LazyFrame, wanted: Sequence[str]) -> pl.DataFrame:
    lazy = frame.lazy()
    names = lazy.collect_schema().names()
    for name in wanted:
        if name not in names:
            raise UnknownNameError.nearest("column", name, names)
    return lazy.select(wanted).collect()


def _untexted(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Read text columns as numbers if all of them are: a column that begins with many blanks was taken for text."""
    if path.suffix.lower() not in _TEXTUAL:
        return frame
    late = [s for s in frame if s.dtype == pl.String and s.head(_SAMPLE).null_count() == min(_SAMPLE, len(s))]
    return frame.with_columns(_number(series) for series in late)


def _number(text: pl.Series) -> pl.Series:
    for dtype in (pl.Int64, pl.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers
    return text


def _scan_csv(separator: str) -> Callable[[Path, int | None], pl.LazyFrame]:
    return lambda path, rows: pl.scan_csv(path, separator=separator, infer_schema_length=rows, glob=False)


def _scan_jsonl(path: Path, rows: int | None) -> pl.LazyFrame:
    return pl.scan_ndjson(glob.escape(str(path)), infer_schema_length=rows)  # it has no glob=False


_SCANS: dict[str, Callable[[Path, int | None], pl.LazyFrame]] = {
    ".csv": _scan_csv(","),
    ".tsv": _scan_csv("\t"),
    ".jsonl": _scan_jsonl,
    ".ndjson": _scan_jsonl,
    ".parquet": lambda path, _: pl.scan_parquet(path, glob=False, hive_partitioning=False),
}
_TEXTUAL = (".csv", ".tsv")
