"""Merging partitions: `python compacting.py FOLDER --runs 990` prints points a second and a ratio.

Ten partitions of runs whose ids lie anywhere among each other, as random ids do, become one by `compact`. The floor is
polars: the same files scanned, sorted and written as one Parquet file, in the same run. It makes no states, no session
records and no checksums, keeps no overwritten point apart, and holds all points in memory.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import large_lake
import numpy as np
import polars as pl

import tracklake as tl
from tracklake.storage.layout import connect
from tracklake.storage.table import compaction, partitions
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.partitions import Chunk

PARTITIONS = 10


class Took(NamedTuple):
    """What one of the two took."""

    seconds: float
    cpu: float
    points: int
    """Points written."""


def interleaved(place: Path, shape: large_lake.Shape) -> None:
    """Write a lake of ten partitions; the ids of the runs of each lie among those of all others."""
    shutil.rmtree(place, ignore_errors=True)
    log = tl.open(place, create=True)._reader.catalog.log
    log.create()
    each = shape.runs // PARTITIONS
    ids = large_lake.run_ids(shape, 0, shape.runs)
    order = np.random.default_rng(0).permutation(shape.runs)
    parts = []
    for first in range(0, each * PARTITIONS, each):
        others = ids.gather(np.sort(order[first : first + each]))
        named = pl.DataFrame({"run_id": large_lake.run_ids(shape, first, first + each), "other": others})
        parts.append(_write_as(place, shape, first, first + each, named=named))
    log.commit(base=log.read(), add=parts, operation="IMPORT", still_valid=lambda _: True)


def _write_as(
    place: Path, shape: large_lake.Shape, first: int, last: int, *, named: pl.DataFrame
) -> partitions.Partition:
    def renamed(frame: pl.DataFrame) -> pl.DataFrame:
        joined = frame.join(named, on="run_id", maintain_order="left")
        return joined.with_columns(run_id=pl.col("other")).select(frame.columns)

    records = large_lake.records(shape, first, last)
    records = records._replace(files=renamed(records.files), statements=renamed(records.statements))
    points = large_lake.chunks(shape, first, last, most=large_lake.CHUNK_POINTS)
    return partitions.write_chunks(connect(place), (Chunk.of(renamed(chunk)) for chunk in points), records)


def merge(place: Path) -> Took:
    """Compact the lake."""
    catalog = Catalog(connect(place))
    catalog.refresh()
    wall, cpu = time.perf_counter(), time.process_time()
    done = compaction.compact(catalog)
    return Took(time.perf_counter() - wall, time.process_time() - cpu, done.points)


def floor(place: Path, out: Path) -> Took:
    """Scan, sort and write the same points."""
    files = sorted(place.glob("history/*.parquet"))
    wall, cpu = time.perf_counter(), time.process_time()
    stored = pl.scan_parquet(files).sort("project", "run_id", "metric", "step", "ts", "session").collect()
    stored.write_parquet(out, compression="zstd", compression_level=1, row_group_size=131_072)
    return Took(time.perf_counter() - wall, time.process_time() - cpu, stored.height)


def measured(folder: Path, shape: large_lake.Shape) -> tuple[Took, Took]:
    """Measure both, the floor first; what loads once is loaded before."""
    folder.mkdir(parents=True, exist_ok=True)
    interleaved(folder / "warm", shape._replace(runs=PARTITIONS, steps=10))
    floor(folder / "warm", folder / "floor.parquet"), merge(folder / "warm")
    interleaved(folder / "lake", shape)
    by_hand = floor(folder / "lake", folder / "floor.parquet")
    return merge(folder / "lake"), by_hand


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=990)
    given = parser.parse_args()
    ours, by_hand = measured(given.folder, large_lake.Shape("p", given.runs, 20, 500, 2, 40))
    for name, took in (("compact", ours), ("floor", by_hand)):
        print(f"{name:8s} {took.points / took.seconds / 1e6:6.2f} million points/s", end="")
        print(f", {took.points / took.cpu / 1e6:6.2f} a CPU second")
    print(f"ratio {by_hand.seconds / ours.seconds:.2f}, of CPU {by_hand.cpu / ours.cpu:.2f}")


if __name__ == "__main__":
    main()
