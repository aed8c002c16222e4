"""Partitions: three sibling Parquet files that hold the records of many journals, published by one commit."""

from __future__ import annotations

import operator
import secrets
from array import array
from bisect import bisect_left
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import polars as pl

from tracklake.common import interrupts, threads
from tracklake.common.warnings import warn_once
from tracklake.compute import states
from tracklake.compute.scans import collect, scan
from tracklake.errors import LakeError
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import POINTS, SESSIONS, STATES
from tracklake.storage.journal import statements
from tracklake.storage.table import name_index
from tracklake.storage.table.delta_actions import Partition
from tracklake.storage.table.parquet_file import ParquetFile
from tracklake.storage.table.verified_files import FileGoneError, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.statements import SessionRecords

_T = TypeVar("_T")
IS_HEADER = pl.col("op") == StatementKind.HEADER
"""Whether a row of a runs file is one of a journal file, not a statement."""


class Contents(NamedTuple):
    """What goes into one partition: points in sorted order and the records of their sessions."""

    points: pl.DataFrame
    records: SessionRecords


class Chunk(NamedTuple):
    """Sorted points of whole runs, and what is known of their states."""

    points: pl.DataFrame
    states: pl.DataFrame
    """States of some of these runs, which need not be computed."""
    unknown: pl.DataFrame
    """The points of all other runs."""

    @classmethod
    def of(cls, points: pl.DataFrame) -> Self:
        """Return a chunk of which no state is known.

        >>> Chunk.of(pl.DataFrame(schema=POINTS)).states.height
        0
        """
        return cls(points, pl.DataFrame(schema=STATES), points)


def write(storage: Storage, contents: Contents) -> Partition:
    """Write the three files of a new partition, safe on the disk but not yet part of the lake; a commit makes it so.

    >>> from pathlib import Path
    >>> from tracklake.storage.local import LocalStorage
    >>> contents = Contents(pl.DataFrame(schema=POINTS), statements.concat([]))
    >>> part = write(LocalStorage(Path("lake")), contents)
    >>> part.n_points, Path("lake", part.history).stat().st_size == part.sizes[0]
    (0, True)
    """
    return write_chunks(storage, [Chunk.of(contents.points)], contents.records)


def write_chunks(storage: Storage, chunks: Iterable[Chunk], records: SessionRecords, *, level: int = 0) -> Partition:
    """Write a partition whose points come in chunks, in order of project and run; each run lies in one of them.

    The next chunk is made while one is written, so two of them are in memory at once. `level` says of how many rounds
    of merging it comes.

    >>> from pathlib import Path
    >>> from tracklake.storage.local import LocalStorage
    >>> write_chunks(LocalStorage(Path("lake")), [], statements.concat([]), level=1).level
    1
    """
    name = secrets.token_hex(8)
    files = [f"{folder}/part-{name}.parquet" for folder in ("history", "states", "runs")]
    try:
        n_points, digests = _write_files(chunks, records, [storage.stage(file) for file in files])
        storage.publish(files)
    except BaseException:  # a full disk most likely, and half a partition would take up what room there is
        for file in files:
            with interrupts.suppressed(OSError):
                storage.delete(file)
        raise
    sizes, crcs = zip(*digests, strict=True)
    return Partition(id=name, n_points=n_points, created=0, sizes=sizes, crcs=crcs, level=level)


def _write_files(
    chunks: Iterable[Chunk], records: SessionRecords, paths: Sequence[Path]
) -> tuple[int, list[tuple[int, int]]]:
    """Write the three files. Return points, and size and crc each."""
    history, states_path, runs_path = paths
    n_points, states_of_chunks, digest = _write_points(iter(chunks), history, sessions=session_starts(records))
    table = pl.concat([pl.DataFrame(schema=STATES), *states_of_chunks])
    if len(states_of_chunks) > 1:
        table = table.sort("metric", "run_id", "session", maintain_order=True)
    others = [
        partial(_write_parquet, table.select(list(STATES)), states_path, names=["metric"]),
        partial(_write_parquet, statements.to_rows(records), runs_path, names=["op", "key"]),
    ]
    return n_points, [digest, *_side_by_side(others)]


def _write_points(
    chunks: Iterator[Chunk], path: Path, *, sessions: pl.DataFrame
) -> tuple[int, list[pl.DataFrame], tuple[int, int]]:
    """Write points, compute states and make the next chunk, all at once.

    Return how many points there are, the states, and the size and checksum of the file.
    """
    n_points, states_of_chunks = 0, []
    chunk = next(chunks, None)
    with ParquetFile(path, POINTS) as file:
        while chunk is not None:
            acts: list[Callable[[], Any]] = [
                partial(file.append, chunk.points),
                partial(states.of_rows, chunk.unknown, sessions=sessions),
                partial(next, chunks, None),
            ]
            n_points += chunk.points.height
            known = chunk.states
            _, computed, chunk = _side_by_side(acts)
            states_of_chunks += [frame for frame in (known, computed) if frame.height]
    return n_points, states_of_chunks, file.digest


def _side_by_side(acts: Sequence[Callable[[], _T]]) -> list[_T]:
    return list(threads.in_threads(operator.call, acts, workers=len(acts)))


def discard(storage: Storage, partition: Partition) -> None:
    """Delete the files of a partition that was never committed.

    >>> from pathlib import Path
    >>> from tracklake.storage.local import LocalStorage
    >>> storage = LocalStorage(Path("lake"))
    >>> part = write(storage, Contents(pl.DataFrame(schema=POINTS), statements.concat([])))
    >>> discard(storage, part)
    >>> Path("lake", part.history).exists()
    False
    """
    for file in names_of(partition):
        storage.delete(file)


def read_sessions(storage: Storage, partition: Partition, *, runs: Sequence[str] | None = None) -> SessionRecords:
    """Return the session records of a partition; those of some `runs` only, their ids in any case.

    Raises LakeError if the file is gone or damaged (that it is whole is known only when all of it is read).

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> read_sessions(lake._storage, part, runs=["FAST"]).files["run_id"].to_list()
    ['fast']
    """
    rows = scan_rows(verified(storage, partition, "runs"))
    if runs is None:
        return statements.from_rows(collect(rows))
    if not any(may_contain(storage, partition, run_id) for run_id in runs):
        return statements.concat([])
    names = {run_id.casefold() for run_id in runs}
    ids_any_case = [run_id for run_id in _ids(rows) if run_id.casefold() in names]
    return statements.from_rows(collect(rows.filter(pl.col("run_id").is_in(ids_any_case))))


def scan_rows(path: Path) -> pl.LazyFrame:
    """Scan a runs file (schema SESSIONS).

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> scan_rows(verified(lake._storage, part, "runs")).filter(op="config").select("key", "value").collect().rows()
    [('lr', 0.1), ('lr', 0.01)]
    """
    return scan(path, schema=SESSIONS)


def _ids(rows: pl.LazyFrame) -> pl.Series:
    return collect(rows.filter(IS_HEADER).select("run_id"))["run_id"].unique()


def names_of(partition: Partition) -> tuple[str, str, str]:
    """Return the names of the three files of a partition.

    >>> names_of(Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)))[2]
    'runs/part-7f3a.parquet'
    """
    return partition.history, partition.states, partition.runs


def runs_with_points(storage: Storage, partition: Partition) -> frozenset[str]:
    """Return the ids of the runs of which a partition holds points.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> sorted(runs_with_points(lake._storage, part))
    ['fast', 'slow']
    """
    return frozenset(collect(scan(verified(storage, partition, "states"), schema=STATES).select("run_id"))["run_id"])


def may_contain(storage: Storage, partition: Partition, run_id: str) -> bool:
    """Tell whether a partition may hold a run, its id in any case.

    False is certain, unless the runs file cannot be read: then it means, with a warning, that it has no points of it;
    where it has some, or that cannot be known either, LakeError is raised.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> may_contain(lake._storage, part, "FAST"), may_contain(lake._storage, part, "faster")
    (True, False)
    """
    wanted = hash(run_id.casefold())
    try:
        hashes = _hashes(verified(storage, partition, "runs"))
    except FileGoneError:  # it may be vacuumed, and the run lie elsewhere
        raise
    except LakeError as error:
        if wanted in map(hash, map(str.casefold, runs_with_points(storage, partition))):
            raise
        warn_once(partition.runs, f"tracklake: {error}. What it says of runs without points, and of the lake, is lost")
        return False
    at = bisect_left(hashes, wanted)
    return at < len(hashes) and hashes[at] == wanted


@lru_cache(maxsize=4096)
def _hashes(path: Path) -> array[int]:
    """Return the hashes of the ids in a runs file, sorted. The process remembers them: the file never changes."""
    return array("q", sorted(hash(run_id.casefold()) for run_id in _ids(scan_rows(path))))


UNTIMED = ["untimed", "untimed_rows"]
"""Facts of an imported session without time, and of one that knows only when it began and ended."""


def session_starts(records: SessionRecords) -> pl.DataFrame:
    """Return run_id, session, start and runtime_base: what `_runtime` is counted from; null where there is no time.

    >>> session_starts(statements.concat([])).columns
    ['run_id', 'session', 'start', 'runtime_base']
    """
    facts = records.statements.filter(pl.col("op") == StatementKind.SESSION)
    base, untimed = (facts.filter(pl.col("key").is_in(keys)) for keys in (["runtime_base"], UNTIMED))
    starts = records.files.group_by(["run_id", "session"]).agg(pl.col("start").min())
    if base.is_empty() and untimed.is_empty():
        return starts.hstack([pl.Series("runtime_base", [0.0]).new_from_index(0, starts.height)])
    bases = base.group_by(["run_id", "session"]).agg(pl.col("value").last().alias("runtime_base"))
    joined = starts.join(bases, on=["run_id", "session"], how="left")
    has_time = ~pl.col("session").is_in(untimed["session"].unique().implode())
    return joined.with_columns(pl.when(has_time).then(pl.col("runtime_base").fill_null(0.0)))


def _write_parquet(table: pl.DataFrame, path: Path, *, names: Sequence[str]) -> tuple[int, int]:
    """Write a table, with an index of the names in some columns; return the size and checksum of its file."""
    with ParquetFile(path, table.schema, metadata=name_index.metadata(table, names)) as file:
        file.append(table)
    return file.digest
