"""Where a table comes from: a CSV, Parquet or JSONL file, or a frame of polars, pandas or arrow."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from tracklake.errors import SourceError, UnknownNameError
from tracklake.importers.readers import table_files
from tracklake.importers.readers.kept_frames import KeptFrames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Table: TypeAlias = "str | os.PathLike[str] | pl.DataFrame | pl.LazyFrame | Any"
"""A path, or a frame; beside polars anything that pandas made or that hands out an arrow stream."""


def frames(table: Table, wanted: Sequence[str]) -> Iterable[pl.DataFrame]:
    """Return these columns of a table, in frames of bounded size that may be gone through again.

    Raises SourceError for a file that is not there or cannot be read, and for what is no table; UnknownNameError for a
    column that it has not.

    >>> [frame.columns for frame in frames(pl.DataFrame({"a": [1], "b": [2]}), ["b"])]
    [['b']]
    """
    if isinstance(table, str | os.PathLike):
        file = table_files.open_table(Path(table), columns=wanted)
        return KeptFrames(lambda: (_selected(frame, wanted) for frame in file.frames()))
    return [_selected(_frame(table), wanted)]


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


def _selected(frame: pl.DataFrame | pl.LazyFrame, wanted: Sequence[str]) -> pl.DataFrame:
    lazy = frame.lazy()
    names = lazy.collect_schema().names()
    for name in wanted:
        if name not in names:
            raise UnknownNameError.nearest("column", name, names)
    return lazy.select(wanted).collect()
