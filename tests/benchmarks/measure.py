"""One measurement in a process of its own: `python measure.py SUBJECT write|ask FOLDER ...` prints figures as JSON."""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import data
import numpy as np

QUESTIONS = ("table", "one_metric", "best", "one_run")


def write(subject: Any, folder: Path, shape: data.Shape, *, many: bool = False) -> dict[str, float]:
    """Log all runs; microseconds of a `log`, points a second from the first log to the end of finish, bytes a point."""
    took, logging, whole = [], 0.0, 0.0
    for number in range(shape.runs):
        rows = data.rows(number, shape)
        began = time.perf_counter()
        run = subject.start(folder, number=number, config=data.config(number))
        first = time.perf_counter()
        took.append(_log(subject, run, rows))
        subject.finish(run)
        ended = time.perf_counter()
        logging, whole = logging + ended - first, whole + ended - began
    calls = np.concatenate(took)
    bytes_a_point = subject.settle(folder) / shape.points
    if many:
        return {"runs/s": shape.runs / whole, "bytes/point": bytes_a_point}
    return {
        "log p50 us": float(np.quantile(calls, 0.5)) / 1e3,
        "log p99 us": float(np.quantile(calls, 0.99)) / 1e3,
        "points/s": shape.points / logging,
        "bytes/point": bytes_a_point,
    }


def _log(subject: Any, run: Any, rows: list[dict[str, float]]) -> np.ndarray:
    """Log rows; nanoseconds of each call."""
    log, clock = subject.log, time.perf_counter_ns
    took = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        began = clock()
        log(run, row)
        took[i] = clock() - began
    return took


def ask(subject: Any, folder: Path, question: str, *, times: int) -> dict[str, float]:
    """Ask one question again and again; ms of an open lake (warm), and of one opened anew (reopened)."""
    answer = getattr(subject, question)
    lake = subject.opened(folder)
    answer(lake)
    warm = [_ms(lambda: answer(lake)) for _ in range(times)]
    reopened = [_ms(lambda: answer(subject.opened(folder))) for _ in range(max(3, times // 3))]
    return {"warm ms": statistics.median(warm), "reopened ms": statistics.median(reopened)}


def _ms(call: Any) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def main(subject_name: str, what: str, folder: str, *rest: str) -> None:
    subject = importlib.import_module(subject_name)
    if what == "ask":
        figures = ask(subject, Path(folder), rest[0], times=int(rest[1]))
    else:
        shape = data.Shape(*(int(n) for n in rest))
        figures = write(subject, Path(folder), shape, many=shape.runs > 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
