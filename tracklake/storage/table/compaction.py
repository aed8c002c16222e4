"""Compaction: many small partitions become few large ones, step by step; each step is one commit and changes no answer.

Size-tiered: eight partitions of a level become one of the next, twice over, in small steps that processes take as they
finish runs; `compact` merges all that is not full yet into partitions cut by ranges of run ids.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import interrupts
from tracklake.errors import CommitError, LakeError
from tracklake.storage.table import partitions, rewriting, sealing
from tracklake.storage.table.rewriting import Rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracklake.storage.table.catalog import Catalog
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.delta_log import Version

FAN_IN = 8
TOP_LEVEL = 2
"""Partitions of this level come of 64 seals, and are merged by `compact` alone."""
SMALL_STEP = 5_000_000
"""Points that a process which finishes a run merges at most: a second or two, once in thousands of runs."""
CHEAP = 100_000
"""Points that are merged with whatever there is: it takes a moment."""
MAX_STEP = 200_000_000
"""Points of one step of `compact`, whose work is lost if somebody else merges the same first."""


class Compacted(NamedTuple):
    """What a call of `compact` did."""

    steps: int
    merged: int
    """Partitions that were replaced, ..."""
    written: int
    """... and those that took their place."""
    points: int
    """Points that were written."""
    resolved: int
    """Points left out, because they were overwritten or masked."""


def compact(catalog: Catalog) -> Compacted:
    """Merge partitions until nothing is left that is worth it.

    Any number of processes may do so beside writers and readers: a commit counts only if all that it replaces is still
    there, else what was written is dropped. Interrupted anywhere, the lake reads as before. Raises LakeError where a
    partition cannot be read or written.

    >>> from tracklake.storage.table.catalog import Catalog
    >>> lake = example()
    >>> _ = lake.refresh()
    >>> compact(Catalog(lake._storage))  # one partition is as few as can be
    Compacted(steps=0, merged=0, written=0, points=0, resolved=0)
    """
    total = Compacted(0, 0, 0, 0, 0)
    while plan := plan_all(catalog.refresh().partitions.values()):
        inputs = rewriting.fitting(catalog.storage, plan.inputs)
        if len(inputs) < 2:  # noqa: PLR2004 - one alone is as small as it can be
            break
        step = run(catalog, Rewrite(inputs, plan.level))
        total = Compacted(*(a + b for a, b in zip(total, step or (0, 0, 0, 0, 0), strict=True)))
        if step is not None and step.written >= step.merged:
            break
    return total


def compact_a_step(catalog: Catalog) -> Compacted | None:
    """Do one small step, if there is one to do; None if there is none, or another process did it first.

    >>> from tracklake.storage.table.catalog import Catalog
    >>> compact_a_step(Catalog(example()._storage)) is None
    True
    """
    plan = plan_step(catalog.refresh().partitions.values())
    return run(catalog, plan) if plan else None


def plan_step(existing: Iterable[Partition]) -> Rewrite | None:
    """Choose the oldest partitions of the lowest level that has eight: as many as make a small step, four at least.

    >>> from tracklake.storage.table.delta_actions import Partition
    >>> parts = [Partition(str(i), n_points=9, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)) for i in range(9)]
    >>> step = plan_step(parts)
    >>> [part.id for part in step.inputs], step.level
    (['0', '1', '2', '3', '4', '5', '6', '7'], 1)
    >>> plan_step(parts[:7]) is None
    True
    """
    levels: dict[int, list[Partition]] = defaultdict(list)
    for part in existing:
        levels[part.level].append(part)
    for level in range(TOP_LEVEL):
        oldest = [part for part in levels[level] if 4 * part.n_points <= SMALL_STEP][:FAN_IN]
        if len(oldest) == FAN_IN:
            totals = itertools.accumulate(part.n_points for part in oldest)
            return Rewrite(oldest[: sum(total <= SMALL_STEP for total in totals)], level=level + 1)
    return None


def plan_all(existing: Iterable[Partition]) -> Rewrite | None:
    """Choose the partitions that are not full, without those that outweigh all smaller ones eight times.

    So the work follows what is new: a point is written anew only when there are an eighth as many others to merge.

    >>> from tracklake.storage.table.delta_actions import Partition
    >>> sizes = {"large": 9_000_000, "b": 90, "a": 50}
    >>> parts = [Partition(name, n_points=n, created=0, sizes=(n, 5, 3), crcs=(1, 2, 3)) for name, n in sizes.items()]
    >>> [part.id for part in plan_all(parts).inputs]
    ['a', 'b']
    """
    chosen: list[Partition] = []
    total = 0
    for part in sorted((p for p in existing if not _is_full(p)), key=lambda p: p.n_points):
        outweighs = part.n_points > FAN_IN * max(total, CHEAP)
        if len(chosen) == 1 and outweighs:  # one that is far smaller than all others waits until there are more
            chosen, total = [], 0
        elif (chosen and outweighs) or total + part.n_points > MAX_STEP:
            break
        chosen.append(part)
        total += part.n_points
    return Rewrite(chosen, level=TOP_LEVEL + 1) if len(chosen) > 1 else None


def _is_full(part: Partition) -> bool:
    return 2 * part.n_points >= rewriting.MAX_POINTS or 2 * part.sizes[0] >= rewriting.MAX_BYTES


def run(catalog: Catalog, plan: Rewrite, *, operation: str = "OPTIMIZE") -> Compacted | None:
    """Carry out a plan and commit it; None, and nothing has changed, if any of its inputs is gone by then.

    So it is too where it took so long, or slept so long, that vacuum may have taken its files for orphans.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> catalog = lake._reader.catalog.copy()
    >>> run(catalog, Rewrite(list(catalog.refresh().partitions.values()), level=1)).points
    12
    """
    began, base = sealing.uptime(), catalog.version
    written = _write(catalog, plan)

    def is_in_time(_: Version) -> bool:
        return sealing.uptime() - began < sealing.ABANDON_SECONDS

    commit = partial(  # an interrupt from here on leaves files that vacuum removes, if it did not land
        catalog.log.commit,
        base=base,
        add=written,
        remove=[part.id for part in plan.inputs],
        operation=operation,
        still_valid=is_in_time,
        data_change=bool(plan.purged),
    )
    try:
        committed = commit() if is_in_time(base) else None
    except CommitError:
        _discard(catalog, written)
        raise
    if committed is None:
        _discard(catalog, written)
        return None
    catalog.refresh(to=committed)
    return _done(plan.inputs, written)


def _write(catalog: Catalog, plan: Rewrite) -> list[Partition]:
    """Write what takes the place of the inputs; whatever interrupts it, nothing of that is left."""
    written: list[Partition] = []
    try:
        for part in rewriting.rewrite(catalog, plan):
            written.append(part)  # noqa: PERF402 - what was written counts although the next may fail
    except OSError as error:
        _discard(catalog, written)
        interrupts.let_through(error)
        raise LakeError(f"cannot compact {catalog.storage.describe()}: {error}. What was there is as it was") from error
    except BaseException:
        _discard(catalog, written)
        raise
    return written


def _discard(catalog: Catalog, written: Sequence[Partition]) -> None:
    for part in written:
        partitions.discard(catalog.storage, part)


def _done(inputs: Sequence[Partition], written: Sequence[Partition]) -> Compacted:
    before, after = (sum(part.n_points for part in parts) for parts in (inputs, written))
    return Compacted(1, len(inputs), len(written), after, before - after)
