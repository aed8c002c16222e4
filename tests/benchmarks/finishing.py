"""What 100,000 finished runs leave: `python finishing.py FOLDER` prints partitions and write amplification.

Each 64 runs become a partition, as sealing makes them, and after each the step of compaction is taken that a finishing
process takes. Write amplification is all bytes ever committed over those of the seals.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import large_lake

import tracklake as tl
from tracklake.storage.table import compaction, housekeeping
from tracklake.storage.table.catalog import Catalog


class Finished(NamedTuple):
    """What a lake came to."""

    partitions: int
    most: int
    """Partitions at any time."""
    amplification: float
    longest_step: float
    """Seconds."""
    compacting: float
    """Share of the time."""


def finish_runs(place: Path, shape: large_lake.Shape) -> Finished:
    """Seal so many runs, 64 at a time, with a small step of compaction after each seal."""
    shutil.rmtree(place, ignore_errors=True)
    catalog = Catalog(tl.open(place, create=True)._storage)
    catalog.log.create()
    most, steps, began = 0, [0.0], time.perf_counter()
    for first in range(0, shape.runs, housekeeping.GATHERED_FILES):
        last = min(first + housekeeping.GATHERED_FILES, shape.runs)
        part = large_lake.write_partition(place, shape, first, last)
        catalog.log.commit(base=catalog.refresh(), add=[part], operation="SEAL", still_valid=lambda _: True)
        most = max(most, len(catalog.refresh().partitions))
        step_began = time.perf_counter()
        compaction.compact_a_step(catalog)
        steps.append(time.perf_counter() - step_began)
    took = time.perf_counter() - began
    added = [part for _, commit in catalog.log.commits() for part in commit.add]
    sealed = [part for part in added if part.level == 0]
    amplification = sum(sum(part.sizes) for part in added) / sum(sum(part.sizes) for part in sealed)
    return Finished(len(catalog.refresh().partitions), most, amplification, max(steps), sum(steps) / took)


def main() -> None:
    """Print what so many finished runs come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10)
    given = parser.parse_args()
    done = finish_runs(given.folder, large_lake.Shape("p", given.runs, given.metrics, given.steps, 0, 5))
    print(f"{given.runs:,} finished runs: {done.partitions} partitions, {done.most} at most; ", end="")
    print(f"write amplification {done.amplification:.1f}; ", end="")
    print(f"longest step {done.longest_step:.1f} s, {done.compacting:.0%} of the time")


if __name__ == "__main__":
    main()
