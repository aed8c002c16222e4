"""Heavy reading of runs as tasks: the runs of a snapshot, cut by the partitions that hold them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import polars as pl

from tracklake.common.task_engine import run_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tracklake.common.task_engine import TaskEngine
    from tracklake.storage.table.catalog import PartitionRuns
    from tracklake.storage.table.delta_log import Version

TASK_POINTS = 2_500_000
"""Points of a task: of a partition that holds more, each takes some of its runs."""


class Divisible(Protocol):
    """A snapshot, as far as its reading can be divided."""

    engine: TaskEngine
    derived: Any
    """The names that are computed when they are read."""

    def excerpts(self, runs: Collection[str] | None) -> list[tuple[Any, list[str]]]:
        """Return these runs (None: all) in parts that tasks can read elsewhere, and the runs of each."""


class RunTask(NamedTuple):
    """Some runs, and the partitions that hold something of them."""

    run_ids: list[str]
    partitions: frozenset[str]


def cut(run_ids: pl.Series, partition_runs: Sequence[PartitionRuns], version: Version) -> Iterator[RunTask]:
    """Cut runs into tasks, in order of the first partition ids that hold them; each run is in one.

    >>> from tracklake.storage.table.catalog import PartitionRuns
    >>> from tracklake.storage.table.delta_log import Version
    >>> held = [PartitionRuns("p2", "a", "b", pl.Series(["a", "b"])), PartitionRuns("p1", "b", "b", pl.Series(["b"]))]
    >>> tasks = cut(pl.Series(["a", "b", "live"]), held, Version(-1, 0, {}))
    >>> [(task.run_ids, sorted(task.partitions)) for task in tasks]
    [(['live'], []), (['b'], ['p1', 'p2']), (['a'], ['p2'])]
    """
    holders = _holders(partition_runs)
    wanted = pl.DataFrame({"run_id": run_ids}, schema={"run_id": pl.String}).join(holders, on="run_id", how="left")
    homes = wanted.group_by("run_id").agg(pl.col("partition").min().fill_null(""), pl.col("partition").alias("all"))
    for (home,), part in homes.sort("partition", "run_id").group_by("partition", maintain_order=True):
        stored = version.partitions.get(str(home))
        n_tasks = max(1, -(-stored.n_points // TASK_POINTS)) if stored is not None else 1
        size = -(-part.height // n_tasks)
        for chosen in part.iter_slices(size):
            holding = chosen["all"].explode(empty_as_null=False).drop_nulls()
            yield RunTask(chosen["run_id"].to_list(), frozenset(holding))


def _holders(partition_runs: Sequence[PartitionRuns]) -> pl.DataFrame:
    """Return run_id and partition: where something of each run is stored."""
    frames = [pl.DataFrame({"run_id": one.ids.unique(), "partition": one.partition}) for one in partition_runs]
    return pl.concat([pl.DataFrame(schema={"run_id": pl.String, "partition": pl.String}), *frames])


def map_runs(
    snapshot: Divisible,
    task: Callable[..., pl.DataFrame],
    *arguments: Any,
    metrics: Collection[str],
    runs: Collection[str] | None,
) -> pl.DataFrame:
    """Return `task(snapshot, runs, *arguments)` of these runs: heavy reading, done on the engine of the snapshot.

    The task is a function of a module, and treats each run by itself: on an engine it is run for parts of the runs
    over excerpts of the snapshot, and the frames come one below the other. What needs derived metrics, whose values
    depend on the table of all runs, is done here.

    >>> def loss(snapshot, runs):
    ...     return snapshot.resolved(["loss"], runs=runs)
    >>> map_runs(example()._view.logged, loss, metrics=["loss"], runs=["fast"]).height
    3
    """
    parts = snapshot.excerpts(runs) if snapshot.derived.metrics.isdisjoint(metrics) else []
    if not parts:
        return task(snapshot, runs, *arguments)
    return pl.concat(run_tasks(snapshot.engine, partial(_on_part, task, arguments), parts))


def _on_part(
    task: Callable[..., pl.DataFrame], arguments: tuple[Any, ...], part: tuple[Divisible, list[str]]
) -> pl.DataFrame:
    excerpt, run_ids = part
    return task(excerpt, run_ids, *arguments)
