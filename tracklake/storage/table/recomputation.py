"""Recomputation: the states of a partition from its points alone, as sealing computed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.compute import scans, states
from tracklake.schema.tables import POINTS
from tracklake.storage.table import partitions, run_ranges
from tracklake.storage.table.verified_files import verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition

CHUNK_POINTS = 500_000
"""Points at once: of four times as many each column is larger than the cache, and it takes 1.6 times as long."""


def states_of(storage: Storage, partition: Partition) -> Iterator[pl.DataFrame]:
    """Yield the states (schema STATES) of a partition, of some runs at a time: memory follows these, not the partition.

    Raises LakeError if a file is gone or damaged.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> [frame.height for frame in states_of(lake._storage, part)]
    [10]
    """
    stored = scans.scan(verified(storage, partition, "history"), schema=POINTS)
    sessions = partitions.session_starts(partitions.read_sessions(storage, partition))
    sizes = stored.group_by("project", "run_id").agg(pl.len().alias("points")).sort("project", "run_id")
    for runs in run_ranges.cut(scans.collect(sizes), CHUNK_POINTS):
        yield states.of_rows(scans.collect(run_ranges.within(stored, runs)).rechunk(), sessions=sessions)
