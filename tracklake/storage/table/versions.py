"""Versions: what each commit of the log made of the lake, and which of them was the newest at a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import LakeError

if TYPE_CHECKING:
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.delta_log import DeltaLog

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "version": pl.Int64,
    "time": pl.Datetime("ms", "UTC"),
    "operation": pl.String,
    "added": pl.Int64,
    "removed": pl.Int64,
    "partitions": pl.Int64,
    "points": pl.Int64,
}


def table(log: DeltaLog) -> pl.DataFrame:
    """Return one row a version of which the log still has the commit, the oldest first.

    version, time, operation, added and removed (partitions), and the partitions and points of the version: null where
    the commits before it were cleaned away.

    >>> table(example()._reader.catalog.log).height  # nothing was sealed yet
    0
    """
    rows: list[tuple[Any, ...]] = []
    current: dict[str, Partition] | None = None
    for number, commit in log.commits():
        current = {} if number == 0 else current
        if current is not None:
            current |= {part.id: part for part in commit.add}
            current = {key: part for key, part in current.items() if key not in commit.remove}
        total = None if current is None else sum(part.n_points for part in current.values())
        count = None if current is None else len(current)
        time = datetime.fromtimestamp(commit.timestamp / 1000, UTC)
        rows.append((number, time, commit.operation, len(commit.add), len(commit.remove), count, total))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def number_at(log: DeltaLog, moment: int | datetime) -> int:
    """Return the number of the newest version at a moment; a number is returned as it is. LakeError if there is none.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> number_at(lake._reader.catalog.log, datetime(2100, 1, 1, tzinfo=UTC))
    1
    >>> number_at(lake._reader.catalog.log, datetime(1970, 1, 1, tzinfo=UTC))
    Traceback (most recent call last):
    tracklake.errors.LakeError: nothing was sealed yet at 1970-01-01T00:00:00+00:00
    """
    if isinstance(moment, int):
        return moment
    limit = moment.timestamp() * 1000
    numbers = [number for number, commit in log.commits() if commit.timestamp <= limit]
    if not numbers:
        raise LakeError(f"nothing was sealed yet at {moment.isoformat()}")
    return numbers[-1]
