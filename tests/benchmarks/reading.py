"""What is read of a large lake, and how fast: `python reading.py LAKE [--live RUNS] [--only WORDS]` prints a table.

`python large_lake.py LAKE` makes the lake; it is not changed: where a run is added, that is to a copy of hard links.
Each figure is taken in processes of its own, ours and the floor by turns; every module is loaded before, by the same
question to a lake of one run. The floor is the least polars or duckdb code over the same files, which knows the
answer's form and checks nothing. CPU is of all threads: on a machine that others use, read the ratio of CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

import tracklake as tl

if TYPE_CHECKING:
    from collections.abc import Callable

METRICS = [f"m/{j:02d}" for j in range(20)]
TABLE = ["config.k0", "summary.m/07.min"]
CONFIG = {f"k{i}": 1.0 for i in range(5)}
WIDE = [*(f"config.k{i}" for i in range(5)), *(f"summary.{name}" for name in METRICS)]
STEPS = (0, 199)


class Question(NamedTuple):
    """What is asked, and how."""

    name: str
    to_reach: str
    ours: Callable[[tl.Lake], object]
    floor: Callable[[Path], object]
    warm: bool = False
    """Asked once before it counts, of a lake that is open."""
    new_run: bool = False
    """A run is logged into a copy of the lake before."""


def _states(place: Path, metrics: list[str], *columns: str) -> pl.LazyFrame:
    states = pl.scan_parquet(f"{place}/states/*.parquet")
    wanted = states.filter(pl.col("metric").is_in(metrics) if len(metrics) > 1 else pl.col("metric") == metrics[0])
    return wanted.select("run_id", "metric", *columns)


def _config(place: Path, key: str) -> pl.LazyFrame:
    rows = pl.scan_parquet(f"{place}/runs/*.parquet").filter(op="config", key=key)
    return rows.select("run_id", pl.col("value").alias(key))


def _table_by_hand(place: Path) -> pl.DataFrame:
    runs = pl.scan_parquet(f"{place}/runs/*.parquet").filter(op="header").select("run_id", "start")
    frames = [runs, _config(place, "k0"), _states(place, ["m/07"], "min")]
    runs_read, config, states = pl.collect_all(frames)
    joined = runs_read.join(config, on="run_id", how="left").join(states, on="run_id", how="left")
    return joined.sort("start").select("run_id", "k0", "min")


def _wide_by_hand(place: Path) -> pl.DataFrame:
    keys = [_config(place, f"k{i}") for i in range(5)]
    states, *configs = pl.collect_all([_states(place, METRICS, "last_value"), *keys])
    table = states.pivot("metric", index="run_id", values="last_value")
    for config in configs:
        table = table.join(config, on="run_id", how="left")
    return table


def _top_by_hand(place: Path) -> pl.DataFrame:
    return _states(place, ["m/07"], "min").sort("min").head(100).collect()


@cache
def _chosen(place: Path) -> list[str]:
    """A hundred runs from all over the lake: to choose them is no part of the question."""
    run_ids = _states(place, ["m/07"]).collect()["run_id"].unique().sort().to_list()
    return random.Random(0).sample(run_ids, min(100, len(run_ids)))


def _hundred(lake: tl.Lake) -> pl.DataFrame:
    return lake.history("m/07", runs=_chosen(Path(lake.dir)))


def _hundred_by_hand(place: Path) -> pl.DataFrame:
    ids = _chosen(place)
    points = pl.scan_parquet(f"{place}/history/*.parquet").filter(pl.col("metric") == "m/07")
    return points.filter(pl.col("run_id").is_in(ids)).select("run_id", "step", "ts", "value").collect()


def _streamed(lake: tl.Lake) -> pl.DataFrame:
    points = lake.scan_history("m/07", steps=STEPS)
    return points.select(pl.len(), pl.col("value").sum(), pl.col("run_id").max()).collect(engine="streaming")


def _streamed_by_hand(place: Path) -> list[tuple[object, ...]]:
    import duckdb

    return duckdb.sql(
        f"SELECT count(*), sum(value), max(run_id) FROM '{place}/history/*.parquet' "
        f"WHERE metric = 'm/07' AND step BETWEEN {STEPS[0]} AND {STEPS[1]}"
    ).fetchall()


def _table(lake: tl.Lake) -> pl.DataFrame:
    return lake.runs(columns=TABLE)


QUESTIONS = [
    Question("first table, fresh process", "250 ms", _table, _table_by_hand),
    Question("table after 1 new run, fresh process", "500 ms", _table, _table_by_hand, new_run=True),
    Question("table after 1 new run, open process", "60 ms", _table, _table_by_hand, warm=True, new_run=True),
    Question("runs(): 5 config + 20 summary columns", "500 ms", lambda lake: lake.runs(columns=WIDE), _wide_by_hand),
    Question(
        "top 100 by one metric",
        "60 ms",
        lambda lake: lake.runs(columns=["summary.m/07.min"], order_by="summary.m/07.min", limit=100),
        _top_by_hand,
        warm=True,
    ),
    Question("one metric of 100 random runs", "120 ms", _hundred, _hundred_by_hand, warm=True),
    Question("one metric of all runs, 200 points each", "1.3 x, 2 GB", _streamed, _streamed_by_hand, warm=True),
]


def log_a_run(place: Path) -> None:
    """Log and finish a short run."""
    with tl.init("p", dir=place, settings={"metadata": False, "quiet": True}, config=CONFIG) as run:
        for _ in range(50):
            run.log(dict.fromkeys(METRICS, 0.5))


def linked(place: Path, folder: Path) -> Path:
    """Return a copy of a lake whose files are hard links: what is added to it is in the copy alone."""
    copy = folder / "lake"
    shutil.copytree(place, copy, copy_function=os.link)
    for name in ("tracklake.json",):
        (copy / name).unlink()
        shutil.copy2(place / name, copy / name)
    return copy


def ask(question: Question, place: Path, *, ours: bool, times: int) -> dict[str, float]:
    """Ask in this process; return ms of time and of CPU, and MB of memory at most."""
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        tiny = Path(folder) / "tiny"
        log_a_run(tiny)
        tl.open(tiny).refresh()
        place = linked(place, Path(folder)) if question.new_run else place
        act = question.ours if ours else question.floor
        act(tl.open(tiny) if ours else tiny)  # type: ignore[arg-type] # each its own
        took = []
        lake = tl.open(place)
        if question.warm and ours:
            act(lake)  # type: ignore[arg-type]
        for _ in range(times if question.warm else 1):
            if question.new_run and ours:
                log_a_run(place)
            took.append(measured(lambda: act(lake if ours else place)))  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = (statistics.median(column) for column in zip(*took, strict=True))
    return {"ms": wall, "cpu": cpu, "MB": peak}


def measured(act: Callable[[], object]) -> tuple[float, float]:
    """Return ms of time and of CPU that a call takes."""
    began, cpu = time.perf_counter(), time.process_time()
    act()
    return (time.perf_counter() - began) * 1e3, (time.process_time() - cpu) * 1e3


def in_a_process(*arguments: object) -> dict[str, float]:
    """Run this file with arguments and return the figures that it prints."""
    command = [sys.executable, __file__, *map(str, arguments)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(printed.splitlines()[-1])
    return figures


def compare(question: Question, place: Path, *, repeat: int) -> str:
    """Return a row of the table."""
    sides: dict[str, list[dict[str, float]]] = {"ours": [], "floor": []}
    for _ in range(repeat):
        for side, figures in sides.items():
            figures.append(in_a_process(place, "--ask", QUESTIONS.index(question), "--side", side))
    best = {side: {key: min(f[key] for f in figures) for key in figures[0]} for side, figures in sides.items()}
    ours, floor = best["ours"], best["floor"]
    ratios = f"{ours['ms'] / floor['ms']:6.2f} {ours['cpu'] / floor['cpu']:6.2f}"
    return (
        f"{question.name:52s} {question.to_reach:>12s} {ours['ms']:9.0f} {floor['ms']:9.0f} "
        f"{ours['cpu']:9.0f} {floor['cpu']:9.0f} {ratios} {ours['MB']:7.0f}"
    )


def main() -> None:
    """Print the table, or the figures of one question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of questions")
    parser.add_argument("--repeat", type=int, default=3, help="processes of each side; the best of them counts")
    parser.add_argument("--ask", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=("ours", "floor"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask is not None:
        question = QUESTIONS[options.ask]
        print(json.dumps(ask(question, options.lake, ours=options.side == "ours", times=5)))
        return
    print(f"{'':52s} {'to reach':>12s} {'ms':>9s} {'floor':>9s} {'CPU ms':>9s} {'floor':>9s}  ratio  (CPU)      MB")
    for question in QUESTIONS:
        if any(word in question.name for word in options.only):
            print(compare(question, options.lake, repeat=options.repeat), flush=True)


if __name__ == "__main__":
    main()
