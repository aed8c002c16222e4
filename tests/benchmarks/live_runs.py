"""Many runs that are being logged: `python live_runs.py FOLDER --runs 2000 --rows 300` prints what a table costs.

A process logs rows of 20 metrics into as many runs and keeps them open; another asks for the table of all runs, and
asks again when 20 of them grew by ten rows. The floor reads all bytes of the journals and takes their checksums, which
no reader can do without. CPU is of all threads.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import polars as pl
from reading import METRICS, measured

import tracklake as tl

GROWN, ROWS = 20, 10
_VALUES = {name: 0.1 + j for j, name in enumerate(METRICS)}


class Live(NamedTuple):
    """Time and CPU (ms) of each look."""

    first: tuple[float, float]
    again: tuple[float, float]
    grown: tuple[float, float]
    floor: tuple[float, float]
    table: pl.DataFrame
    """What the last look showed."""


def write(place: Path, runs: int, rows: int) -> None:
    """Log into so many runs, and on into some of them at each line of the standard input, until it ends."""
    options = {"dir": place, "reinit": "create_new", "settings": {"metadata": False, "quiet": True}}
    opened = [tl.init("p", id=f"r{i:05d}", config={"lr": i}, **options) for i in range(runs)]  # type: ignore[arg-type]
    for run in opened:
        for step in range(rows):
            run.log({name: value + step for name, value in _VALUES.items()})
    print("ready", flush=True)
    for i, _ in enumerate(sys.stdin):
        for run in opened[i * GROWN : (i + 1) * GROWN]:
            for _ in range(ROWS):
                run.log(_VALUES)
        print("grown", flush=True)
    os._exit(0)  # as a killed process does: nothing is sealed


def look(place: Path, runs: int, rows: int) -> Live:
    """Start a process that logs, and look at its runs."""
    shutil.rmtree(place, ignore_errors=True)
    with tempfile.TemporaryDirectory() as tiny, tl.init("p", dir=tiny, settings={"quiet": True}) as run:
        run.log(_VALUES)  # so that all modules are loaded
        tl.open(tiny).runs()
    command = [sys.executable, __file__, str(place), "--runs", str(runs), "--rows", str(rows), "--write"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        _wait(writer.stdout.readline, "ready")
        floor = measured(lambda: [zlib.crc32(path.read_bytes()) for path in place.glob("journal/*.tlj")])
        lake = tl.open(place)
        first, again = measured(lake.runs), measured(lake.runs)
        looks = []
        for _ in range(3):
            print("grow", file=writer.stdin, flush=True)
            _wait(writer.stdout.readline, "grown")
            looks.append(measured(lake.runs))
        writer.stdin.close()
        return Live(first, again, min(looks), floor, lake.runs())


def _wait(line: object, word: str) -> None:
    while not (text := line()).startswith(word):  # type: ignore[operator] # readline
        assert text


def main() -> None:
    """Print a row a look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write(options.folder, options.runs, options.rows)
    live = look(options.folder / "live", options.runs, options.rows)
    for name, (wall, cpu) in zip(live._fields, live[:4], strict=False):
        print(f"{name:8s} {wall:9.0f} ms {cpu:9.0f} ms of CPU")


if __name__ == "__main__":
    main()
