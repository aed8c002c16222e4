"""The writing half of a large lake, as a table: `python writing.py FOLDER --size 1` (0.01: in two minutes).

Each figure has its floor of the same run beside it where there is one; `reading.py` has the questions. The lake of
large_lake.py is made in FOLDER/lake unless it is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import compacting
import finishing
import large_lake
import recomputing
import scale

HEAD = "| figure | to reach | measured | floor | ratio |\n|---|---|---|---|---|"


class Row(NamedTuple):
    """One line of the table."""

    figure: str
    target: str
    measured: str
    floor: str = ""
    ratio: str = ""


def bytes_a_point(lake: Path, size: float) -> Row:
    """Of the files of points; the floor is what the values alone would take as float32."""
    n_points = sum(shape.runs * shape.points_a_run for shape in large_lake.shapes(size))
    stored = sum(file.stat().st_size for file in lake.glob("history/*.parquet"))
    return Row(
        "bytes a point (float32 values)", "<= 5.5", f"{stored / n_points:.2f}", "4", f"{stored / n_points / 4:.2f}"
    )


def compaction(folder: Path, size: float) -> Row:
    """Points a second, of ten partitions that become one."""
    shape = large_lake.Shape("p", max(20, min(990, round(10_000 * size))), 20, 500, 2, 40)
    ours, floor = compacting.measured(folder, shape)
    speeds = [took.points / took.seconds / 1e6 for took in (ours, floor)]
    cpu = ours.points / ours.cpu / 1e6
    measured = f"{speeds[0]:.2f} ({cpu:.2f} a CPU second)"
    return Row("compaction, million points/s", ">= 3", measured, f"{speeds[1]:.2f}", f"{speeds[0] / speeds[1]:.2f}")


def states(lake: Path, number: int) -> Row:
    """Seconds of recomputing the states of some partitions."""
    ours, floor = (recomputing.measured(subject, lake, number) for subject in ("ours", "floor"))
    measured = f"{ours[0]:.1f} s, {ours[2]:.2f} GB"
    return Row(
        "recompute all states", "<= 1.3 x floor, <= 2 GB", measured, f"{floor[0]:.1f} s", f"{ours[0] / floor[0]:.2f}"
    )


def finished(folder: Path, size: float) -> list[Row]:
    """What many finished runs leave."""
    runs = max(640, round(100_000 * size))
    done = finishing.finish_runs(folder / "finished", large_lake.Shape("p", runs, 20, 10, 0, 5))
    return [
        Row(f"partitions after {runs:,} finished runs", "<= 40", f"{done.partitions}, {done.most} at most"),
        Row("write amplification", "<= 4", f"{done.amplification:.1f}"),
    ]


def speed(folder: Path, size: float) -> Row:
    """Short runs a second in a large lake, against those in a small one, which take turns with them."""
    many = max(1_000, round(100_000 * size))
    for runs in (100, many):
        large_lake.generate(folder / str(runs), [large_lake.Shape("p", runs, 20, 10, 0, 40)])
    turns = [[scale.short_runs(folder / str(runs), 128) for runs in (100, many)] for _ in range(3)]
    small, large = (max(figures) for figures in zip(*turns, strict=True))
    return Row(f"runs/s at {many:,} runs : at 100", ">= .8", f"{large:.0f}", f"{small:.0f}", f"{large / small:.2f}")


def main() -> None:
    """Print the table, a line as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=float, default=0.01)
    parser.add_argument("--partitions", type=int, default=8, help="of which states are recomputed")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    lake = given.folder / "lake"
    if not lake.exists():
        large_lake.generate(lake, large_lake.shapes(given.size), processes=2)
    print(HEAD)
    for rows in (
        lambda: [bytes_a_point(lake, given.size)],
        lambda: [compaction(given.folder / "compaction", given.size)],
        lambda: [states(lake, given.partitions)],
        lambda: finished(given.folder, given.size),
        lambda: [speed(given.folder, given.size)],
    ):
        for row in rows():
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
