"""Scans of Parquet: collected with errors that name the file, with filters pushed down."""

from __future__ import annotations

import contextlib
import itertools
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tracklake.common import interrupts
from tracklake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


READ_ALL = 1_000_000
"""States that are read for all runs even if only some runs are asked for: those of one metric lie together."""
_EQUALITIES = 12
"""So many strings are compared one by one, which prunes row groups between them; more take longer than that."""
LOOK = "`tracklake check` tells what is wrong with this lake"

_FILE = "path of its file"
_DAMAGE = (
    pl.exceptions.ComputeError,
    pl.exceptions.SchemaError,
    pl.exceptions.SchemaFieldNotFoundError,
    pl.exceptions.PanicException,
    OSError,
)
"""What is raised for a file that is gone, or not what it should be, by polars."""


def scan(paths: Path | list[Path], *, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.LazyFrame:
    """Scan Parquet files of one schema; no files have no rows.

    A path is never a pattern, and the names of its folders are no columns: a lake may lie in `sweep[1]/seed=1/`.

    >>> scan([], schema={"value": pl.Float64}).collect().height
    0
    """
    if not paths and not isinstance(paths, Path):
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(paths, schema=dict(schema), glob=False, hive_partitioning=False)


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """Return the result of a scan of partitions; LakeError if a file is gone or damaged.

    >>> collect(pl.scan_parquet("lake/history/gone.parquet"))
    Traceback (most recent call last):
    tracklake.errors.LakeError: a partition cannot be read: ...
    """
    (collected,) = collect_all([frame])
    return collected


def collect_all(frames: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Return the results of several scans at once; LakeError as in `collect`.

    >>> [frame.height for frame in collect_all([pl.LazyFrame({"a": [1, 2]}), pl.LazyFrame({"a": [3]})])]
    [2, 1]
    """
    with damage_told():
        return pl.collect_all(frames)


@contextlib.contextmanager
def damage_told(*, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise LakeError for what polars raises where a file is gone or damaged, and for what another reader does.

    >>> with damage_told():
    ...     open("lake/history/gone.parquet")
    Traceback (most recent call last):
    tracklake.errors.LakeError: a partition cannot be read: ...
    """
    try:
        yield
    except _DAMAGE + also as error:
        interrupts.let_through(error)
        first = str(error).partition("\n")[0]
        raise LakeError(f"a partition cannot be read: {first}. {LOOK}") from error


def collect_each(
    paths: Sequence[Path],
    where: pl.Expr | None,
    columns: Sequence[str],
    *,
    schema: Mapping[str, pl.DataType | type[pl.DataType]],
) -> list[pl.DataFrame]:
    """Return rows of each file, by one scan of all: of many small files it takes half as long as one of each.

    LakeError as in `collect`.

    >>> for name, values in {"a": [1, 2], "b": [3]}.items():
    ...     pl.DataFrame({"x": values}).write_parquet(f"{name}.parquet")
    >>> paths = [Path("a.parquet"), Path("b.parquet")]
    >>> [frame.rows() for frame in collect_each(paths, pl.col("x") > 2, ["x"], schema={"x": pl.Int64})]
    [[], [(3,)]]
    """
    if not paths:
        return []
    scanned = pl.scan_parquet(
        list(paths), schema=dict(schema), glob=False, hive_partitioning=False, include_file_paths=_FILE
    )
    rows = collect((scanned if where is None else scanned.filter(where)).select(*columns, _FILE))
    lengths = dict(rows[_FILE].rle().struct.unnest().select("value", "len").iter_rows())
    numbers = [lengths.get(str(path), 0) for path in paths]
    values = rows[list(columns)]  # by no query, unlike `drop`
    starts = itertools.accumulate(numbers, initial=0)
    return [values.slice(start, number) for start, number in zip(starts, numbers, strict=False)]


def only(frame: pl.LazyFrame, *, metrics: Collection[str] | None, runs: Collection[str] | None) -> pl.LazyFrame:
    """Return the points or states of these metrics and runs (None: of all), and scan no row group that has none.

    >>> frame = pl.LazyFrame({"run_id": ["a", "b", "a"], "metric": ["loss", "loss", "acc"]})
    >>> only(frame, metrics=["loss"], runs=["a"]).collect().rows()
    [('a', 'loss')]
    """
    for column, wanted in (("metric", metrics), ("run_id", runs)):
        if wanted is None:
            continue
        if len(wanted) == 1:  # what is equal is looked up among the distinct strings of a row group
            frame = frame.filter(pl.col(column) == next(iter(wanted)))
        elif 0 < len(wanted) <= _EQUALITIES:
            frame = frame.filter(reduce(or_, (pl.col(column) == value for value in sorted(wanted))))
        elif wanted:
            within = pl.col(column).is_between(pl.lit(min(wanted)), pl.lit(max(wanted)))  # this prunes row groups ...
            is_one = pl.col(column).is_in(list(wanted))  # ... and this keeps polars from pruning, unless it is hidden
            hidden = pl.when(is_one).then(pl.lit(value=True)).otherwise(pl.lit(value=False))
            frame = frame.filter(within).filter(hidden)
        else:
            frame = frame.filter(pl.lit(value=False))
    return frame
