"""Imports beside polars doing the same work by hand: `python tests/benchmarks/importing.py [POINTS]`.

Each side runs in a process of its own, one after the other and three times over; shown are the medians of CPU seconds
and the largest memory, and their ratios. By hand means: read, unpivot, sort, write, aggregate.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import tracklake as tl

RUNS, METRICS, TRIES = 200, 4, 3
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
"""Modules are compiled once, as where the library is installed."""
SIDES = ("by hand", "import_table", "import_from")


def write_curves(path: Path, n_points: int) -> None:
    """Write curves of many runs, as CSV or Parquet."""
    steps = n_points // RUNS // METRICS
    random = np.random.default_rng(0)
    run = pl.Series("run", [f"run{i:04d}" for i in range(RUNS)]).gather(np.repeat(np.arange(RUNS), steps))
    values = {f"m{j}": random.standard_normal(RUNS * steps) for j in range(METRICS)}
    frame = pl.DataFrame({"run": run, "step": np.tile(np.arange(steps), RUNS), **values})
    (frame.write_csv if path.suffix == ".csv" else frame.write_parquet)(path)


def by_hand(path: Path, into: Path) -> None:
    """Do with polars what an import does: points in order, and their statistics."""
    into.mkdir()
    table = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    points = table.unpivot(index=["run", "step"], variable_name="metric").sort("run", "metric", "step")
    points.write_parquet(into / "points.parquet")
    value, step = pl.col("value"), pl.col("step")
    statistics_of = {
        "n": pl.len(), "min": value.min(), "max": value.max(), "mean": value.mean(), "std": value.std(),
        "first": value.first(), "last": value.last(), "argmin": step.get(value.arg_min()),
        "argmax": step.get(value.arg_max()),
    }  # fmt: skip
    states = points.group_by("run", "metric", maintain_order=True).agg(**statistics_of)
    states.write_parquet(into / "states.parquet")


def measure(side: str, path: Path, into: Path) -> tuple[float, float, float]:
    """Return CPU seconds, seconds, and the largest memory of this process in MB."""
    began, started = time.process_time(), time.perf_counter()
    if side == "by hand":
        by_hand(path, into)
    elif side == "import_table":
        names = {f"m{j}": f"m{j}" for j in range(METRICS)}
        tl.open(into, create=True).import_table(path, run_columns="run", step="step", metrics=names)
    else:
        tl.open(into, create=True).import_from(path)
    took = time.process_time() - began, time.perf_counter() - started
    return *took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def pair(path: Path, n_points: int) -> None:
    """Print what each side took, and how it compares with doing it by hand."""
    taken: dict[str, list[tuple[float, ...]]] = {side: [] for side in SIDES}
    for n in range(TRIES):
        for side in SIDES:
            command = [sys.executable, __file__, side, str(path), str(path.parent / f"{path.suffix}-{side}-{n}")]
            printed = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
            taken[side].append(tuple(map(float, printed.split())))
    base = [statistics.median(column) for column in zip(*taken["by hand"], strict=True)]
    for side, several in taken.items():
        seconds, wall, memory = (statistics.median(column) for column in zip(*several, strict=True))
        print(f"{path.suffix:<9}{side:<14}{n_points / seconds / 1e6:5.2f} M points/s of CPU ({seconds / base[0]:.2f})"
              f"{n_points / wall / 1e6:6.2f} M points/s ({wall / base[1]:.2f})"
              f"{memory:7.0f} MB ({memory / base[2]:.2f})")  # fmt: skip


def main(n_points: int) -> None:
    """Compare imports of CSV and Parquet with polars by hand."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".parquet"):
            path = Path(folder, f"curves{suffix}")
            write_curves(path, n_points)
            pair(path, n_points)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in SIDES:
        print(*measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 4_000_000)
