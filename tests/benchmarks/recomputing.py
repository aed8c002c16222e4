"""All states of a lake, recomputed from its points: `python recomputing.py LAKE [--partitions 10]` prints a ratio.

The floor is duckdb's scan of the same files in the same run: nine aggregates of each (run, metric), nothing else. Ours
computes what sealing does: 33 columns, sums that are exact, and the series that every run has without logging them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import duckdb

import tracklake as tl
from tracklake.common.task_engine import LOCAL, run_tasks
from tracklake.storage.layout import connect
from tracklake.storage.table import recomputation
from tracklake.storage.table.delta_actions import Partition

SCAN = """
SELECT run_id, metric, count(*), sum(value), min(value), max(value), arg_min(step, value), arg_max(step, value),
    stddev(value), arg_min(value, step), arg_max(value, step)
FROM read_parquet({files}) GROUP BY run_id, metric
"""


def recompute(task: tuple[Path, Partition]) -> int:
    """Recompute the states of a partition; return how many they are."""
    place, partition = task
    return sum(frame.height for frame in recomputation.states_of(connect(place), partition))


def ours(place: Path, number: int | None) -> int:
    """States of so many partitions."""
    chosen = list(tl.open(place)._view.snapshot.version.partitions.values())[:number]
    tasks = [(place, partition) for partition in recomputation.most_states_first(chosen)]
    return sum(run_tasks(LOCAL, recompute, tasks))


def floor(place: Path, number: int | None) -> int:
    """Groups that duckdb makes of the same files."""
    chosen = list(tl.open(place)._view.snapshot.version.partitions.values())[:number]
    files = [str(place / partition.history) for partition in chosen]
    return duckdb.sql(SCAN.format(files=files)).to_arrow_table().num_rows  # all columns: else it leaves them out


def measured(subject: str, place: Path, number: int | None) -> tuple[float, float, float]:
    """Seconds, CPU seconds and GB of a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    code += "import recomputing; from pathlib import Path; "
    code += f"print(recomputing.timed(recomputing.{subject}, Path({str(place)!r}), {number}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wall, cpu, memory = map(float, done.stdout.strip().splitlines()[-1].strip("()").split(","))
    return wall, cpu, memory


def timed(call: object, place: Path, number: int | None) -> tuple[float, float, float]:
    """Call it; seconds, CPU seconds and GB at most."""
    wall, cpu = time.perf_counter(), time.process_time()
    call(place, number)
    took = time.perf_counter() - wall, time.process_time() - cpu
    return *took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--partitions", type=int, help="only so many")
    given = parser.parse_args()
    results = {subject: measured(subject, given.lake, given.partitions) for subject in ("floor", "ours")}
    for subject, (wall, cpu, memory) in results.items():
        print(f"{subject:6s} {wall:8.1f} s {cpu:8.1f} CPU s {memory:6.2f} GB")
    ratios = [a / b for a, b in zip(results["ours"], results["floor"], strict=True)]
    print(f"ratio {ratios[0]:.2f}, of CPU {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
