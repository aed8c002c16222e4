"""Tasks and engines of the tests, in a module that worker processes can import."""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import tracklake as tl
from tracklake.errors import SourceError


class Processes:
    """Fresh processes of this machine: what they get and give is pickled."""

    def __enter__(self):
        self.pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
        return self

    def __exit__(self, *_):
        self.pool.shutdown()

    def map(self, task, items):
        return self.pool.map(task, items)


class Twice:
    """Runs every task twice and takes the later result, as an engine does that lost the first."""

    def map(self, task, items):
        return [(task(item), task(item))[1] for item in items]


class Counted:
    """Notes what each task is, by the name of its function, and runs it here."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def map(self, task, items):
        for item in items:
            self.ran.append(innermost(task))
            yield task(item)


def innermost(task) -> str:
    """Return the name of the function behind partial applications."""
    while isinstance(task, partial):
        task = task.args[0] if task.args else task.func
    return task.__name__


class CompactsMeanwhile:
    """Compacts the lake before it runs the tasks, which were made before."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.merged = 0

    def map(self, task, items):
        self.merged += tl.open(self.place).compact().merged
        return map(task, items)


def dies_once(folder: str) -> str:
    """Kill the worker that does this first; return the name of the folder to whoever does it again."""
    try:
        Path(folder, "died").touch(exist_ok=False)
    except FileExistsError:
        return Path(folder).name
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def fails(number: int) -> int:
    """Raise an error of tracklake's."""
    raise SourceError(f"line {number + 6}")
