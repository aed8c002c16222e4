"""Recomputation: the states of a partition from its points alone, as sealing computed them."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from functools import partial
from operator import eq, ne
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import threads, whole_modules
from tracklake.compute import scans, sorted_groups, states
from tracklake.schema.tables import POINTS
from tracklake.storage.table import parquet_file, partitions
from tracklake.storage.table.verified_files import verified

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow.parquet as pq

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition

READ_ROW_GROUPS = 16
"""Row groups that are decoded and counted at once, two million points: of fewer, calls take as long as numbers."""
AHEAD = 2
"""Stretches that are decoded while one is counted, or wait for that."""
EDGE_POINTS = 200_000
"""Points of runs that lie in several stretches, which are copied and counted together."""
_VARIES = object()
_OFTEN_SAME = ("project", "ival", "text", "kind")


def states_of(storage: Storage, partition: Partition) -> Iterator[pl.DataFrame]:
    """Yield the states (schema STATES) of a partition, of some runs at a time: memory follows these, not the partition.

    They are in no order. Raises LakeError if a file is gone or damaged.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> sum(frame.height for frame in states_of(lake._storage, part))
    10
    """
    path = verified(storage, partition, "history")
    sessions = partitions.session_starts(partitions.read_sessions(storage, partition))
    yield from map(partial(states.of_rows, sessions=sessions, in_order=False), _whole_runs(_stretches(path)))


def most_states_first(parts: Iterable[Partition]) -> list[Partition]:
    """Return partitions by the size of their states: so workers who take one after the other end at the same time.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> len(most_states_first(lake._view.snapshot.version.partitions.values()))
    1
    """
    return sorted(parts, key=lambda part: part.sizes[1], reverse=True)


def _stretches(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file in their order, those of some row groups at a time."""
    with _damage_told():
        footer = parquet_file.footer(path)
        row_groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
        same = _same_everywhere(row_groups)
    varying = [name for name in POINTS if name not in same]
    numbers = range(len(row_groups))
    batches = [numbers[first : first + READ_ROW_GROUPS] for first in numbers[::READ_ROW_GROUPS]]
    longest = max((sum(row_groups[i].num_rows for i in batch) for batch in batches), default=0)
    constants = {name: _constant(name, value, longest) for name, value in same.items()}
    rows = threads.in_threads(partial(_rows, path, footer, varying), batches, workers=AHEAD)
    yield from map(partial(_completed, constants), rows)


def _completed(constants: Mapping[str, pl.Series], rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with the columns that are the same in all of them."""
    columns = {name: column.head(rows.height) for name, column in constants.items()}
    return pl.DataFrame([columns[name] if name in columns else rows[name] for name in POINTS])


def _rows(path: Path, footer: pq.FileMetaData, names: Sequence[str], row_groups: range) -> pl.DataFrame:
    """Read some columns of adjacent row groups: strings by polars, whose views of them cost less.

    Numbers by pyarrow, which decodes floats in half the time, and those of several row groups into one array: each is
    looked at a dozen times.
    """
    sizes = [footer.row_group(i).num_rows for i in range(row_groups.stop)]
    first, length = sum(sizes[: row_groups.start]), sum(sizes[row_groups.start :])
    strings = [name for name in names if POINTS[name] == pl.String]
    stored = scans.scan(path, schema=POINTS).select(strings).slice(first, length)
    schema = {name: POINTS[name] for name in names if name not in strings}
    with _damage_told():
        numbers = parquet_file.read_row_groups(path, row_groups, schema, about=footer)
    return pl.DataFrame([*scans.collect(stored), *numbers])


def _damage_told() -> AbstractContextManager[None]:
    """Raise LakeError for what pyarrow raises where a file is gone or damaged; names in a footer may be no UTF-8."""
    whole_modules.load("pyarrow.parquet")
    import pyarrow as pa

    return scans.damage_told(also=(pa.ArrowException, UnicodeDecodeError))


def _constant(name: str, value: Any, length: int) -> pl.Series:
    """Return a column in memory: made once, since who reads a literal of polars makes all of it anew."""
    return pl.Series(name, [value], dtype=POINTS[name]).new_from_index(0, length)


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
    """Cut the rows of runs that lie one after the other so that each run is in one part; the parts in any order.

    What was yielded is not held on to: so the next stretch finds warm memory.
    """
    parts: deque[pl.DataFrame] = deque()
    edges: list[pl.DataFrame] = []  # whole runs that lie in several stretches, piece by piece
    tail: list[pl.DataFrame] = []  # the last run so far, which may go on
    for stretch in stretches:
        run_id = stretch["run_id"]
        last = bisect_left(run_id, True, key=partial(eq, run_id[-1]))  # its first row: the rows of a run lie together
        first = 0
        if tail:
            first = bisect_left(run_id, True, key=partial(ne, tail[-1]["run_id"][-1]))
            if first == stretch.height:
                tail.append(stretch)
                continue
            edges += [*tail, _copied(stretch, range(first))]
        tail = [_copied(stretch, range(last, stretch.height))]
        if last > first:
            parts.append(stretch[first:last])
        if sum(edge.height for edge in edges) >= EDGE_POINTS:
            parts.append(pl.concat(edges, rechunk=True))
            edges = []
        del stretch, run_id
        while parts:
            yield parts.popleft()
    if tail:
        yield pl.concat([*edges, *tail], rechunk=True)


def _copied(stretch: pl.DataFrame, rows: range) -> pl.DataFrame:
    """Return some rows, few of many, without the memory of all others that a slice holds on to."""
    return sorted_groups.take_rows(stretch, rows)
