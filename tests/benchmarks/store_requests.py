"""Requests and milliseconds of questions to a lake on a store: `python tests/benchmarks/store_requests.py FOLDER`.

FOLDER is a lake, such as finishing.py makes of 100,000 runs; it is copied to an emulator on this machine, before which
each request waits as long as a store takes (`--latency`). Cold is an empty cache, warm the same question asked again;
local is the folder, by a Lake that was opened for it and by the same one again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import tracklake as tl

sys.path.insert(0, str(Path(__file__).parents[1]))
from gcs_server import GCSServer
from store_proxy import StoreProxy

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "gs://bucket/lake"


def questions(metric: str, run_id: str) -> dict[str, Callable[[tl.Lake], object]]:
    """Return what is asked, by its name."""
    return {
        "open": lambda lake: lake.dir,
        "runs(limit=100)": lambda lake: lake.runs(limit=100),
        "leaderboard": lambda lake: lake.query("leaderboard", metric=metric, goal="min"),
        "summaries, 1 metric": lambda lake: lake.summaries([f"{metric}.min"]),
        "history of a run": lambda lake: lake.history(metric, runs=run_id),
        "history of all, downsampled": lambda lake: lake.history(metric, downsample=10),
        "sql count(*)": lambda lake: lake.sql("SELECT count(*) FROM runs"),
    }


class Asked(NamedTuple):
    """What a question cost."""

    requests: int
    ms: float


def ask(lake: Callable[[], tl.Lake], question: Callable[[tl.Lake], object], proxy: StoreProxy) -> Asked:
    """Open a lake and ask it."""
    before, began = len(proxy.requests), time.perf_counter()
    question(lake())
    return Asked(len(proxy.requests) - before, (time.perf_counter() - began) * 1e3)


def twice(
    place: Path | str, question: Callable[[tl.Lake], object], proxy: StoreProxy, *, verbose: bool = False
) -> tuple[Asked, Asked]:
    """Ask a Lake that is opened for it, and the same one again."""
    opened: list[tl.Lake] = []
    before = len(proxy.requests)
    cold = ask(lambda: opened.append(tl.open(place)) or opened[0], question, proxy)
    if verbose:
        print(Counter(_kind(path) for _, path in proxy.requests[before:]))
    return cold, ask(lambda: opened[0], question, proxy)


def _kind(path: str) -> str:
    """Return what a request was for: a listing, or a file of a folder."""
    return "listing" if "list-type" in path else unquote(path).partition("/lake/")[2].rpartition("/")[0]


def measure(place: Path, latency: float, *, verbose: bool = False) -> None:
    """Print a line a question."""
    lake = tl.open(place)
    row = lake.runs(limit=1)
    metric = next(name for name in lake._view.snapshot.metrics if name[0] != "_")
    n_runs, n_partitions = lake.runs(columns=["run_id"]).height, lake.describe().partitions
    print(f"{n_runs:,} runs, {n_partitions} partitions, {latency * 1e3:.0f} ms a request")
    with tempfile.TemporaryDirectory() as folder, GCSServer() as server, StoreProxy(server.port) as proxy:
        os.environ |= server.environment | {"GOOGLE_BASE_URL": proxy.url, "TRACKLAKE_SPOOL": f"{folder}/spool"}
        os.environ["TRACKLAKE_CACHE"] = f"{folder}/first"
        lake.copy_to(URL)
        print(f"copied with {len(proxy.requests):,} requests")
        proxy.fault = lambda *_: time.sleep(latency)
        print(f"{'question':28}  cold: requests, ms    warm: requests, ms    local: ms, again ms")
        for number, (name, question) in enumerate(questions(metric, row["run_id"][0]).items()):
            os.environ["TRACKLAKE_CACHE"] = f"{folder}/{number}"
            cold, warm = twice(URL, question, proxy, verbose=verbose)
            local, again = twice(place, question, proxy)
            figures = f"{cold.requests:4} {cold.ms:10.0f} {warm.requests:10} {warm.ms:10.0f}"
            print(f"{name:28}  {figures} {local.ms:14.0f} {again.ms:9.0f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds that a request waits")
    parser.add_argument("--verbose", action="store_true", help="for which folders cold requests were")
    arguments = parser.parse_args()
    measure(arguments.folder, arguments.latency, verbose=arguments.verbose)


if __name__ == "__main__":
    main()
