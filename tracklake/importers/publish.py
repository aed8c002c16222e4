"""The bulk path: finished runs go straight into partitions, all of them in one commit or none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common.progress import progress
from tracklake.common.text import number_of
from tracklake.errors import CommitError, RunExistsError
from tracklake.storage.table import partitions
from tracklake.storage.table.sealing import ABANDON_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.partitions import Contents
    from tracklake.storage.table.snapshot_reader import SnapshotReader

_NAMED = 3  # run ids that an error names


class Imported(NamedTuple):
    """What an import brought into the lake."""

    runs: int
    points: int
    partitions: int


def publish(
    reader: SnapshotReader, contents: Iterable[Contents], *, run_ids: pl.Series, total: int | None = None
) -> Imported:
    """Write one partition for each of `contents` and commit them together; `run_ids` names their runs, all of them new.

    `total` is about how many points they have, for a progress bar on a terminal. Raises RunExistsError if one of the
    runs is in the lake already or comes into it meanwhile, CommitError if this took so long beside other writers that
    its files may have been taken for orphans; what was written is deleted then.

    >>> import polars as pl
    >>> from tracklake.storage.table.snapshot_reader import SnapshotReader
    >>> publish(SnapshotReader(example()._storage), [], run_ids=pl.Series(["FAST"]))
    Traceback (most recent call last):
    tracklake.errors.RunExistsError: of 1 run to import 1 is in the lake already ('FAST'); nothing was imported: ...
    """
    began = time.monotonic()
    catalog = reader.catalog
    snapshot = reader.snapshot()
    refuse_taken(run_ids, snapshot.files["run_id"].unique())
    written: list[Partition] = []

    def still_valid(newer: Version) -> bool:
        catalog.refresh(to=newer)
        refuse_taken(run_ids, catalog.records.files["run_id"].unique())
        return time.monotonic() - began < ABANDON_SECONDS

    committed = None
    try:
        with progress("importing points", total=total) as advance:
            for part in contents:
                written.append(partitions.write(catalog.storage, part))
                advance(written[-1].n_points)
        committed = catalog.log.commit(base=snapshot.version, add=written, operation="IMPORT", still_valid=still_valid)
    finally:
        if committed is None:
            for partition in written:
                partitions.discard(catalog.storage, partition)
    if committed is None:
        raise CommitError("the import took more than an hour beside other writers; nothing was imported. Try it again")
    return Imported(len(run_ids), sum(p.n_points for p in written), len(written))


def refuse_taken(run_ids: pl.Series, taken: pl.Series) -> None:
    """Raise RunExistsError if one of the ids is among those taken; ids are compared without case.

    >>> import polars as pl
    >>> refuse_taken(pl.Series(["a", "B"]), pl.Series(["b", "c"]))
    Traceback (most recent call last):
    tracklake.errors.RunExistsError: of 2 runs to import 1 is in the lake already ('B'); nothing was imported: ...
    """
    if taken.is_empty():
        return
    known = {run_id.casefold() for run_id in taken}
    there = [run_id for run_id in run_ids if run_id.casefold() in known]
    if there:
        named = ", ".join(map(repr, there[:_NAMED])) + (", ..." if len(there) > _NAMED else "")
        are = "is" if len(there) == 1 else "are"
        raise RunExistsError(
            f"of {number_of(len(run_ids), 'run')} to import {len(there):,} {are} in the lake already ({named}); "
            "nothing was imported: leave them out, or import into another lake"
        )
