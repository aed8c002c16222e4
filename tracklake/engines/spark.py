"""Tasks on Spark, by `mapInArrow`: an item is a row of bytes, and so is what a task makes of it."""

from __future__ import annotations

import os
import pickle
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tracklake.engines.spark_views import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

__all__ = ["SparkTasks", "register"]

T = TypeVar("T")
R = TypeVar("R")

_COLUMNS = "place int, content binary"


class SparkTasks:
    """Spark runs tasks, each in a partition of its own; how often it tries again is a setting of the session.

    `session` is a SparkSession, classic or by Spark Connect; without one the active one, or a new one, is taken.
    """

    def __init__(self, session: Any = None) -> None:
        from pyspark.sql import SparkSession

        if session is None:
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else whatever python3 is on the workers' path
        self._session = session or SparkSession.builder.getOrCreate()

    def map(self, task: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what the task makes of each item, in order."""
        rows = [(place, bytearray(pickle.dumps(item))) for place, item in enumerate(items)]
        frame = self._session.createDataFrame(rows, _COLUMNS).repartitionByRange(max(1, len(rows)), "place")
        done = frame.mapInArrow(partial(_run, task), _COLUMNS).collect()
        for row in sorted(done, key=lambda row: row.place):
            yield pickle.loads(row.content)  # noqa: S301 - of a task of ours


def _run(task: Callable[[Any], Any], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        results = [pickle.dumps(task(pickle.loads(item))) for item in batch.column("content").to_pylist()]  # noqa: S301
        yield pa.RecordBatch.from_pydict({"place": batch.column("place"), "content": pa.array(results, pa.binary())})
