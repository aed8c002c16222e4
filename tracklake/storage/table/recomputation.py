"""Recomputation: the states of a partition from its points alone, as sealing computed them."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from functools import partial
from operator import eq, ne
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import threads
from tracklake.compute import scans, states
from tracklake.schema.tables import POINTS
from tracklake.storage.table import partitions
from tracklake.storage.table.verified_files import verified

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition

READ_ROW_GROUPS = 4
"""Row groups that are decoded at once. Of each the states are computed by themselves: its columns fit into the caches
of a processor, and nothing is copied."""
AHEAD = 2
"""Batches of row groups that are decoded while one is counted, or wait for that."""
EDGE_POINTS = 200_000
"""Points of runs that lie in several row groups, which are copied and counted together."""
_VARIES = object()
_OFTEN_SAME = ("project", "ival", "text", "kind")
PARTS = 8
"""Row groups whose states become one frame: to make one costs as much as a hundred thousand points."""


def states_of(storage: Storage, partition: Partition) -> Iterator[pl.DataFrame]:
    """Yield the states (schema STATES) of a partition, of some runs at a time: memory follows these, not the partition.

    Raises LakeError if a file is gone or damaged.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> [frame.height for frame in states_of(lake._storage, part)]
    [10]
    """
    path = verified(storage, partition, "history")
    sessions = partitions.session_starts(partitions.read_sessions(storage, partition))
    parts = _whole_runs(_stretches(path))
    while several := list(itertools.islice(parts, PARTS)):
        yield states.of_parts(several, sessions=sessions)


def _stretches(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file in their order, each row group by itself, as they lie in memory."""
    row_groups = _row_groups(path)
    same = _same_everywhere(row_groups)
    stored = scans.scan(path, schema=POINTS).select(name for name in POINTS if name not in same)
    sizes = [row_group.num_rows for row_group in row_groups]
    constants = [_constant(name, value, max(sizes, default=0)) for name, value in same.items()]
    batches = [sizes[first : first + READ_ROW_GROUPS] for first in range(0, len(sizes), READ_ROW_GROUPS)]
    offsets = itertools.accumulate(map(sum, batches), initial=0)
    slices = [stored.slice(offset, sum(batch)) for offset, batch in zip(offsets, batches, strict=False)]
    for decoded, batch in zip(threads.in_threads(scans.collect, slices, workers=AHEAD), batches, strict=True):
        columns = {column.name: column for column in (*decoded, *constants)}
        for start, length in zip(itertools.accumulate(batch, initial=0), batch, strict=False):
            of_row_group = [(columns[name], 0 if name in same else start) for name in POINTS]
            yield pl.DataFrame([column.slice(first, length) for column, first in of_row_group])


def _constant(name: str, value: Any, length: int) -> pl.Series:
    """Return a column in memory: made once, since who reads a literal of polars makes all of it anew."""
    return pl.Series(name, [value], dtype=POINTS[name]).new_from_index(0, length)


def _row_groups(path: Path) -> list[pq.RowGroupMetaData]:
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    return [footer.row_group(i) for i in range(footer.num_row_groups)]


def _same_everywhere(row_groups: Sequence[pq.RowGroupMetaData]) -> dict[str, Any]:
    """Return the columns that have one value in all of a file, by its statistics: they need not be decoded."""
    same: dict[str, Any] = {}
    for i in range(row_groups[0].num_columns if row_groups else 0):
        name = row_groups[0].column(i).path_in_schema
        if name in _OFTEN_SAME:
            values = {_only_value(row_group.column(i)) for row_group in row_groups}
            same |= {name: values.pop()} if len(values) == 1 and _VARIES not in values else {}
    return same


def _only_value(column: pq.ColumnChunkMetaData) -> Any:
    """Return the value that all rows of a column have, as far as is known; else _VARIES."""
    statistics = column.statistics  # which may only be looked at while `column` is there
    if statistics is not None and statistics.null_count == column.num_values:
        return None
    if statistics is None or statistics.null_count or not statistics.has_min_max or statistics.min != statistics.max:
        return _VARIES
    return statistics.min


def _whole_runs(stretches: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Cut the rows of runs that lie one after the other so that each run is in one part; the parts in any order."""
    edges: list[pl.DataFrame] = []  # whole runs that lie in several stretches, piece by piece
    tail: list[pl.DataFrame] = []  # the last run so far, which may go on
    for stretch in stretches:
        run_id = stretch["run_id"]
        last = bisect_left(run_id, True, key=partial(eq, run_id[-1]))  # its first row: the rows of a run lie together
        first = 0
        if tail:
            first = bisect_left(run_id, True, key=partial(ne, tail[-1]["run_id"][-1]))
            tail.append(stretch.head(first))
            if first == stretch.height:
                continue
            edges += tail
        if last > first:
            yield stretch[first:last]
        tail = [stretch[last:]]
        if sum(edge.height for edge in edges) >= EDGE_POINTS:
            yield pl.concat(edges, rechunk=True)
            edges = []
    if tail:
        yield pl.concat([*edges, *tail], rechunk=True)
