"""How cost grows with the lake: `python scale.py FOLDER --runs 100 1000 10000` prints a table, each with its floor.

The lake is generated through the bulk path. The floor is the least code over the same files in the same run: polars
over the states of one metric.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

import tracklake as tl
from tracklake.schema.tables import POINTS, STAMP
from tracklake.schema.values import Kind
from tracklake.storage.journal.statements import FILES, STATEMENTS, SessionRecords
from tracklake.storage.table import partitions
from tracklake.storage.table.partitions import Contents

if TYPE_CHECKING:
    from collections.abc import Callable

METRICS = [f"m/{j:02d}" for j in range(20)]
START = 1_700_000_000_000_000
PART_POINTS = 4_000_000
"""Points of one generated partition."""


def contents(first: int, last: int, *, steps: int, keys: int) -> Contents:
    """Runs `first` to `last` (exclusive): float32 values with trend and noise, jittered times, config values."""
    rng = np.random.default_rng(first)
    runs, metrics = last - first, len(METRICS)
    n = runs * metrics * steps
    ids = pl.Series("run_id", [f"run-{i:07d}" for i in range(first, last)])
    run = np.repeat(np.arange(runs), metrics * steps)
    step = np.tile(np.arange(steps), runs * metrics)
    at = START + run * 1_000_000 + step * 100_000 + np.tile(rng.integers(0, 999, steps), runs * metrics)
    value = (np.exp(-step / steps) + rng.normal(scale=0.1, size=n)).astype(np.float32).astype(np.float64)
    points = pl.DataFrame({
        "project": pl.repeat("p", n, eager=True),
        "run_id": ids.gather(run),
        "metric": pl.Series(METRICS).gather(np.tile(np.repeat(np.arange(metrics), steps), runs)),
        "session": run.astype(np.int64) + first + 1,
        "step": step,
        "ts": pl.Series(at).cast(STAMP),
        "value": value,
        "kind": pl.repeat(int(Kind.FLOAT), n, dtype=pl.Int8, eager=True),
    }).with_columns(pl.lit(None, pl.Int64).alias("ival"), pl.lit(None, pl.String).alias("text"))  # fmt: skip
    return Contents(points.select(list(POINTS)), _records(ids, first, steps=steps, keys=keys))


def _records(ids: pl.Series, first: int, *, steps: int, keys: int) -> SessionRecords:
    runs = len(ids)
    session, start = np.arange(runs) + first + 1, START + np.arange(runs) * 1_000_000
    files = pl.DataFrame({
        "project": ["p"] * runs, "run_id": ids, "session": session, "n": [0] * runs, "sealed_through": [1] * runs,
        "complete": [True] * runs, "start": start, "last": start + steps * 100_000,
    }).select(pl.col(name).cast(dtype) for name, dtype in FILES.items())  # fmt: skip
    of_run = np.repeat(np.arange(runs), keys + 1)
    key = np.tile(np.arange(keys + 1), runs)
    is_end = key == keys
    said = pl.DataFrame({
        "run_id": ids.gather(of_run), "session": session[of_run], "n": np.zeros(len(key), dtype=np.int32),
        "ts": start[of_run] + key + is_end * steps * 100_000,
        "op": np.where(is_end, "finish", "config"), "key": np.where(is_end, "state", np.char.add("k", key.astype(str))),
        "value": np.where(is_end, np.nan, (of_run + first) % (key + 2)), "ival": None,
        "text": np.where(is_end, "finished", ""), "kind": np.where(is_end, int(Kind.TEXT), int(Kind.FLOAT)),
    })  # fmt: skip
    end = pl.col("op") == "finish"
    said = said.with_columns(pl.when(~end).then("value").alias("value"), pl.when(end).then("text").alias("text"))
    return SessionRecords(files, said.select(pl.col(name).cast(dtype) for name, dtype in STATEMENTS.items()))


def generate(place: Path, runs: int, *, steps: int, keys: int) -> float:
    """Make a lake of so many finished runs; return points written a second."""
    shutil.rmtree(place, ignore_errors=True)
    lake = tl.open(place, create=True)
    log, began = lake._reader.catalog.log, time.perf_counter()
    each = max(1, PART_POINTS // (len(METRICS) * steps))
    bounds = [*range(0, runs, each), runs]
    parts = [
        partitions.write(lake._storage, contents(first, last, steps=steps, keys=keys))
        for first, last in itertools.pairwise(bounds)
    ]
    log.commit(base=log.read(), add=parts, operation="IMPORT", still_valid=lambda _: True)
    return runs * steps * len(METRICS) / (time.perf_counter() - began)


def ms(call: Callable[[], object], times: int = 3) -> float:
    """Median milliseconds of a call."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took)


COLUMNS = [*(f"config.k{i}" for i in range(5)), *(f"summary.{name}" for name in METRICS)]


def short_runs(place: Path, runs: int) -> float:
    """Log so many short runs into the lake in one process; return runs a second."""
    row = dict.fromkeys(METRICS, 0.5)
    began = time.perf_counter()
    for _ in range(runs):
        with tl.init("p", dir=place, settings={"metadata": False}, config={"k0": 1.0}) as run:
            for _ in range(50):
                run.log(row)
    return runs / (time.perf_counter() - began)


def figures(place: Path, loop: int) -> dict[str, float]:
    """Measure one lake; times in ms, floors beside them."""
    files = sorted(place.glob("states/*.parquet"))
    floor = ms(lambda: pl.scan_parquet(files).filter(metric="m/07").select("run_id", "last_value").collect())
    script = f"import tracklake as tl; tl.open({str(place)!r}).runs(columns=['config.k0', 'summary.m/07.min'])"
    empty = ms(lambda: subprocess.run([sys.executable, "-c", "import tracklake, polars"], check=True))
    cold = ms(lambda: subprocess.run([sys.executable, "-c", script], check=True))
    lake = tl.open(place)
    lake.runs(columns=COLUMNS)
    warm = ms(lambda: lake.runs(columns=COLUMNS))
    top = ms(lambda: lake.runs(columns=["summary.m/07.min"], order_by="summary.m/07.min", limit=100))

    def after_a_run() -> None:
        nonlocal lake
        short_runs(place, 1)
        began = time.perf_counter()
        lake.runs(columns=["config.k0", "summary.m/07.min"])
        after.append((time.perf_counter() - began) * 1e3)

    after: list[float] = []
    for _ in range(3):
        after_a_run()
    return {
        "floor: one metric, polars": floor,
        "open + first table, fresh process, beyond imports": cold - empty,
        "runs(): 5 config + 20 summary columns, warm": warm,
        "top 100 by one metric, warm": top,
        "table after 1 new run, open process": statistics.median(after),
        "short runs a second": short_runs(place, loop),
    }


def main() -> None:
    """Print one column a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--keys", type=int, default=40, help="config values of each run")
    parser.add_argument("--loop", type=int, default=256, help="short runs logged at each size")
    given = parser.parse_args()
    for runs in given.runs:
        speed = generate(given.folder / str(runs), runs, steps=given.steps, keys=given.keys)
        print(f"\n{runs:,} runs ({speed / 1e6:.1f} million points/s written)")
        for name, figure in figures(given.folder / str(runs), given.loop).items():
            print(f"  {name:55s} {figure:10.1f}", flush=True)


if __name__ == "__main__":
    main()
