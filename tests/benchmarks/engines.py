"""Heavy work on each engine that is installed: `python tests/benchmarks/engines.py FOLDER` prints a table.

FOLDER is a lake, which is only read; where there is none, one of 2e7 points in 40 partitions is made. Each engine is
started and asked twice, by a reader that remembers nothing; answers are compared with those of this process. Rebuilding
states and compaction are of copies by hard links.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import large_lake

import tracklake as tl
from tracklake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENGINES = ("threads", "ray", "dask", "spark")


def questions(metric: str) -> dict[str, Callable[[tl.Lake], Any]]:
    """Return the heavy work that is measured, by its name."""
    return {
        "p95": lambda lake: lake.summaries([f"{metric}.p95"]),
        "downsample": lambda lake: lake.history(metric, downsample=100),
        "quality": lambda lake: lake.runs(columns=["run_id", f"quality.{metric}.noise"]),
        "check --full": lambda lake: lake.check(full=True).checked,
    }


CHANGES: dict[str, Callable[[tl.Lake], int]] = {
    "repair": lambda lake: len(lake.repair().done),
    "compact": lambda lake: lake.compact().written,
}
"""The heavy work that writes, and how many partitions it is of."""


def copied(place: Path, *, damaged: bool) -> Path:
    """Return a copy whose files are hard links, with damaged states if those are to be rebuilt."""
    copy = Path(tempfile.mkdtemp(dir=place.parent)) / "lake"
    shutil.copytree(place, copy, copy_function=os.link)
    for file in (copy / "states").iterdir() if damaged else ():
        cut = file.read_bytes()[:-9]
        file.unlink()  # the bytes are those of the lake itself
        file.write_bytes(cut)
    return copy


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call took, and what it returned."""
    began = time.perf_counter()
    answer = call()
    return time.perf_counter() - began, answer


def is_same(answer: Any, other: Any) -> bool:
    """Tell whether two answers are equal, bit for bit."""
    return bool(answer.equals(other) if hasattr(answer, "equals") else answer == other)


def measure(place: Path, engines: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each engine with its seconds by question, and "differs" where the answer is not that of this process."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a busy machine takes long to start it
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ["PYTHONPATH"] = str(Path(tl.__file__).parents[1])
    metric = next(name for name in tl.open(place)._view.snapshot.metrics if name[0] != "_")
    asked = questions(metric)
    here = {name: question(tl.open(place)) for name, question in asked.items()}
    for engine in engines:
        try:
            start, lake = seconds(lambda engine=engine: tl.open(place).on(engine))
        except LakeError as error:
            yield engine, {"start": str(error)}
            continue
        row = {"start": f"{start:.1f}"}
        for name, question in asked.items():
            took = []
            for _ in range(2):
                again = lake.on(lake._task_engine)  # a reader of its own, which remembers nothing
                second, answer = seconds(lambda again=again, question=question: question(again))
                took.append(second)
            same = "" if is_same(answer, here[name]) else " differs"
            row[name] = " / ".join(f"{second:.2f}" for second in took) + same
        for name, change in CHANGES.items():
            copy = copied(place, damaged=name == "repair")
            changing = tl.open(copy).on(lake._task_engine)
            second, done = seconds(partial(change, changing))
            row[name] = f"{second:.1f} ({done})"
            shutil.rmtree(copy.parent)
        yield engine, row


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--engines", nargs="+", default=ENGINES)
    options = arguments.parse_args()
    if not options.folder.exists():
        shape = large_lake.Shape("p", 2_000, 10, 1_000, 0, 5)
        large_lake.generate(options.folder, [shape], processes=2, most=500_000)
    print(f"{tl.open(options.folder)._view.snapshot.n_stored:,} points, first / second call in seconds")
    for engine, row in measure(options.folder, options.engines):
        print(f"{engine:10}", "  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
