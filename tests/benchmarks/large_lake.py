"""A lake of the size that people have: `python large_lake.py FOLDER --size 0.1` writes 10,100 finished runs.

At size 1: 100,000 runs of 20 metrics with 500 steps and of two sparse ones with 10 of these, 40 config values each, and
1,000 runs of 5,000 metrics with 10 steps: 1.05e9 points. Times jitter; values have trend and noise and were float32.
Processes write partitions through the bulk path, and one commit publishes them.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

import tracklake as tl
from tracklake.schema.tables import POINTS, STAMP
from tracklake.schema.values import Kind
from tracklake.storage.journal.statements import FILES, STATEMENTS, SessionRecords
from tracklake.storage.layout import connect
from tracklake.storage.table import partitions
from tracklake.storage.table.delta_actions import Partition
from tracklake.storage.table.partitions import Chunk

START = 1_700_000_000_000_000
MAX_POINTS = 16_000_000
"""Points of one partition, which are written in chunks."""
CHUNK_POINTS = 2_000_000


class Shape(NamedTuple):
    """Runs of one project that are alike."""

    project: str
    runs: int
    metrics: int
    steps: int
    sparse: int
    """Metrics that have a value at every fiftieth step alone."""
    keys: int
    """Config values of each run."""

    @property
    def names(self) -> list[str]:
        """Names of the metrics, sorted."""
        dense = [f"m/{j:02d}" if self.metrics <= 100 else f"m/{j:04d}" for j in range(self.metrics)]
        return [*dense, *(f"sparse/{j}" for j in range(self.sparse))]

    @property
    def points_a_run(self) -> int:
        """Points of one run."""
        return self.metrics * self.steps + self.sparse * len(range(0, self.steps, 50))


def shapes(size: float, *, steps: int = 500, keys: int = 40) -> list[Shape]:
    """The two kinds of runs, their numbers cut to a size."""
    long = Shape("p", max(1, round(100_000 * size)), 20, steps, 2, keys)
    return [long, Shape("wide", round(1_000 * size), 5_000, 10, 0, keys)]


def points(shape: Shape, first: int, last: int) -> pl.DataFrame:
    """The points of the runs from `first` to `last` (exclusive), sorted."""
    rng = np.random.default_rng([first, shape.steps])
    dense, rare = np.arange(shape.steps), np.arange(0, shape.steps, 50)
    series = [dense] * shape.metrics + [rare] * shape.sparse
    runs = last - first
    step = np.tile(np.concatenate(series), runs)
    metric = np.tile(np.repeat(np.arange(len(series)), [len(steps) for steps in series]), runs)
    run = np.repeat(np.arange(runs), shape.points_a_run)
    at = START + (run + first) * 1_000_000 + step * 100_000 + rng.integers(0, 99_000, (runs, shape.steps))[run, step]
    trend = np.exp(-dense / shape.steps)[step] * rng.uniform(0.5, 2.0, runs)[run]
    value = trend + rng.normal(scale=0.1, size=len(step))
    frame = pl.DataFrame({
        "project": pl.repeat(shape.project, len(step), eager=True),
        "run_id": run_ids(shape, first, last).gather(run),
        "metric": pl.Series(shape.names).gather(metric),
        "session": run + _session(shape, first),
        "step": step,
        "ts": pl.Series(at).cast(STAMP),
        "value": value.astype(np.float32).astype(np.float64),
        "kind": pl.repeat(int(Kind.FLOAT), len(step), dtype=pl.Int8, eager=True),
    }).with_columns(pl.lit(None, pl.Int64).alias("ival"), pl.lit(None, pl.String).alias("text"))  # fmt: skip
    return frame.select(list(POINTS))


def run_ids(shape: Shape, first: int, last: int) -> pl.Series:
    """Ids of runs, in order."""
    return pl.Series("run_id", [f"{'wide' if shape.project == 'wide' else 'run'}-{i:07d}" for i in range(first, last)])


def _session(shape: Shape, first: int) -> int:
    return first + 1 + (1 << 32 if shape.project == "wide" else 0)


def records(shape: Shape, first: int, last: int) -> SessionRecords:
    """The sessions of these runs: config and the end."""
    runs, keys, ids = last - first, shape.keys, run_ids(shape, first, last)
    session = np.arange(runs) + _session(shape, first)
    start = START + (np.arange(runs) + first) * 1_000_000
    files = pl.DataFrame({
        "project": [shape.project] * runs, "run_id": ids, "session": session, "n": [0] * runs,
        "sealed_through": [1] * runs, "complete": [True] * runs, "start": start, "last": start + shape.steps * 100_000,
    }).select(pl.col(name).cast(dtype) for name, dtype in FILES.items())  # fmt: skip
    of_run, key = np.repeat(np.arange(runs), keys + 1), np.tile(np.arange(keys + 1), runs)
    is_end = key == keys
    statements = pl.DataFrame({
        "run_id": ids.gather(of_run), "session": session[of_run], "n": np.zeros(len(key), dtype=np.int32),
        "ts": start[of_run] + key + is_end * shape.steps * 100_000,
        "op": np.where(is_end, "finish", "config"), "key": np.where(is_end, "state", np.char.add("k", key.astype(str))),
        "value": np.where(is_end, np.nan, (of_run + first) % (key + 2)), "ival": None,
        "text": np.where(is_end, "finished", ""), "kind": np.where(is_end, int(Kind.TEXT), int(Kind.FLOAT)),
    })  # fmt: skip
    end = pl.col("op") == "finish"
    only = (pl.when(~end).then("value").alias("value"), pl.when(end).then("text").alias("text"))
    typed = [pl.col(name).cast(dtype) for name, dtype in STATEMENTS.items()]
    return SessionRecords(files, statements.with_columns(*only).select(typed))


def chunks(shape: Shape, first: int, last: int, *, most: int) -> Iterator[pl.DataFrame]:
    """The points of these runs, whole runs at a time."""
    each = max(1, most // shape.points_a_run)
    for start, stop in itertools.pairwise([*range(first, last, each), last]):
        yield points(shape, start, stop)


def write_partition(place: Path, shape: Shape, first: int, last: int) -> Partition:
    """Write the partition of these runs, which is not published yet."""
    parts = map(Chunk.of, chunks(shape, first, last, most=CHUNK_POINTS))
    return partitions.write_chunks(connect(place), parts, records(shape, first, last), level=0)


def generate(place: Path, kinds: list[Shape], *, processes: int = 1, most: int = MAX_POINTS) -> float:
    """Make a lake of these runs in partitions of `most` points; return points written a second."""
    shutil.rmtree(place, ignore_errors=True)
    log = tl.open(place, create=True)._reader.catalog.log
    log.create()  # a lake that has partitions and no log has lost it
    tasks = []
    for shape in kinds:
        each = max(1, most // shape.points_a_run)
        bounds = itertools.pairwise([*range(0, shape.runs, each), shape.runs] if shape.runs else [])
        tasks += [(place, shape, first, last) for first, last in bounds]
    began = time.perf_counter()
    if processes == 1:
        parts = [write_partition(*task) for task in tasks]
    else:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            parts = list(pool.map(write_partition, *zip(*tasks, strict=True)))
    log.commit(base=log.read(), add=parts, operation="IMPORT", still_valid=lambda _: True)
    return sum(shape.runs * shape.points_a_run for shape in kinds) / (time.perf_counter() - began)


def main() -> None:
    """Write a lake, and print points, seconds and bytes a point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=float, default=0.01, help="1: all of it; 0.001: what the suite writes")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    kinds = shapes(arguments.size)
    speed = generate(arguments.folder, kinds, processes=arguments.processes)
    n_points = sum(shape.runs * shape.points_a_run for shape in kinds)
    size = sum(file.stat().st_size for file in arguments.folder.glob("history/*.parquet"))
    states = sum(file.stat().st_size for file in arguments.folder.glob("states/*.parquet"))
    print(f"{n_points:,} points, {speed / 1e6:.2f} million/s, {size / n_points:.2f} bytes a point", end=" ")
    print(f"({(size + states) / n_points:.2f} with states)")


if __name__ == "__main__":
    main()
