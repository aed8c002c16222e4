"""What heavy work runs on: pure tasks, mapped over items by threads of this process or by an engine elsewhere.

A task is a function of a module and gets one item; both can be pickled. It may run on any machine, be killed and run
again, or run twice: what it returns depends on the item alone. Only the process that maps commits anything.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from tracklake.common import threads
from tracklake.errors import TracklakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")


class TaskEngine(Protocol):
    """Runs tasks: threads of this process, Ray, Dask, Spark, or whatever has this one method."""

    def map(self, task: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """Return what the task makes of each item, in the order of the items."""


class LocalThreads:
    """Threads of this process: as many tasks at a time as there are processors.

    >>> list(LocalThreads(workers=2).map(len, ["a", "bb", "ccc"]))
    [1, 2, 3]
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or _processors()

    def map(self, task: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what the task makes of each item, in order; a single item is done by the thread that asks.

        >>> list(LocalThreads().map(abs, [-1]))
        [1]
        """
        if min(len(items), self.workers) <= 1:
            yield from map(task, items)
        else:
            yield from threads.in_threads(task, items, workers=self.workers)


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


LOCAL = LocalThreads()
"""What work runs on where no other engine was chosen."""


def run_tasks(engine: TaskEngine, task: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yield what a task makes of each item, in order, and raise its errors as they are, wherever it ran.

    >>> list(run_tasks(LOCAL, len, ["a", "bb"]))
    [1, 2]
    """
    for result, error in engine.map(partial(_attempt, task), items):
        if error is not None:
            raise error
        yield cast("R", result)


def _attempt(task: Callable[[Any], R], item: Any) -> tuple[R | None, TracklakeError | OSError | None]:
    """Return what a task makes of an item, or the error it raised: engines wrap errors, each in its own way."""
    try:
        return task(item), None
    except (TracklakeError, OSError) as error:
        return None, error
