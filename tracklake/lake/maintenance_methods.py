"""What keeps a lake fast and small, and its past: compaction, vacuum, versions; a part of `Lake`.

What each of them needs is imported when it is called: a reader of the lake does without.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self, cast

from tracklake import storage
from tracklake.common.arguments import refused
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.errors import LakeError
from tracklake.lake.base import LakeBase
from tracklake.storage import table

if TYPE_CHECKING:
    import polars as pl

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.compaction import Compacted
    from tracklake.storage.table.repair import Repaired
    from tracklake.storage.table.snapshot_reader import SnapshotReader
    from tracklake.storage.table.vacuum import Vacuumed


@raised_again_by_methods
class MaintenanceMethods(LakeBase):
    """Compaction, vacuum and versions; a part of `Lake`."""

    def compact(self) -> Compacted:
        """Merge small partitions into few large ones; answers stay the same, and points that no longer count go.

        Finishing runs do so in small steps by themselves. Safe at any time beside writers and readers; interrupted, it
        leaves the lake as it was. The files that were replaced stay until `vacuum`. Returns the steps, the partitions
        merged and written, the points written, and those left out because they were overwritten or rewound.

        >>> lake = example()
        >>> _ = lake.refresh()
        >>> with tl.init("example", id="new", dir=lake.dir) as run:
        ...     run.log({"loss": 0.5})
        >>> _ = lake.refresh()
        >>> lake.compact()
        Compacted(steps=1, merged=2, written=1, points=13, resolved=0)
        """
        return table.compaction.compact(self._reader.catalog.copy())

    def vacuum(self, *, older_than: timedelta = timedelta(days=7), dry_run: bool = False) -> Vacuumed:
        """Delete the files that no version of the last `older_than` needs, and those that belong to no commit.

        Files of the last 24 hours always stay. Runs that were deleted longer ago lose their rows for good. `dry_run`
        counts and deletes nothing. Returns files, bytes, and the deleted runs whose rows were taken out.

        >>> example().vacuum(dry_run=True)
        Vacuumed(files=0, bytes=0, runs=0)
        """
        if not isinstance(older_than, timedelta):
            raise refused("older_than", "a timedelta such as timedelta(days=7)", older_than)
        return table.vacuum.vacuum(self._reader.catalog.copy(), older_than=older_than, dry_run=dry_run)

    def repair(self, *, dry_run: bool = False) -> Repaired:
        """Mend what `check` finds wrong, as far as the bytes that are left allow; tell which runs lost what.

        States are computed anew from points, lost commits are made again from the partitions that they named, journals
        are sealed as far as they can be read, and a partition that is damaged beyond that is set aside. Nothing that is
        sound is touched; damaged files go to the folder `damaged`, or stay until `vacuum`. `dry_run` only tells.
        Raises LakeError where a newer version has written the lake, OSError where it cannot be written.

        >>> print(example().repair())
        there is nothing to repair
        """
        return table.repair.repair(self._storage, dry_run=dry_run, engine=self._task_engine)

    def versions(self) -> pl.DataFrame:
        """Which versions of the sealed data are there, and what made each? One row a version, the oldest first.

        Columns: version, time (UTC), operation (SEAL, IMPORT, OPTIMIZE, PURGE, ...), added and removed (partitions),
        partitions and points (of the version).

        >>> lake = example()
        >>> _ = lake.refresh()
        >>> lake.versions().select("version", "operation", "added", "points").rows()
        [(0, 'CREATE TABLE', 0, 0), (1, 'SEAL', 1, 12)]
        """
        return table.versions.table(self._reader.catalog.log)

    def at(self, version: int | datetime | str) -> Self:
        """Return the lake as it was: a version's number, or a time (ISO text or datetime; UTC if it names no zone).

        It answers from what was sealed then, and takes nothing: for the numbers of a paper's table. Raises LakeError
        for a version that is not there, or whose files were vacuumed.

        >>> lake = example()
        >>> _ = lake.refresh()
        >>> with tl.init("example", id="new", dir=lake.dir) as run:
        ...     run.log({"loss": 0.5})
        >>> lake.at(1).runs().height, lake.runs().height
        (2, 3)
        """
        number = table.versions.number_at(self._reader.catalog.log, _moment(version))
        reason = f"this is version {number} of {self._storage.describe()} as it was; open the lake itself"
        past = copy.copy(self)
        read_only = storage.read_only.ReadOnly(self._storage, reason=reason)
        reader = table.past_reader.PastReader(cast("Storage", read_only), number, engine=self._task_engine)
        past._storage = cast("Storage", read_only)  # noqa: SLF001 - of its own class
        past._reader = cast("SnapshotReader", reader)  # noqa: SLF001
        past._remembered = None, {}  # noqa: SLF001
        return past


def _moment(version: int | datetime | str) -> int | datetime:
    """Return a version's number, or the moment that is meant."""
    if isinstance(version, int) and not isinstance(version, bool):
        return version
    moment = version
    if isinstance(version, str):
        try:
            moment = datetime.fromisoformat(version)
        except ValueError:
            raise LakeError(f"at={version!r} is no version and no time such as '2026-11-29T12:00'") from None
    if not isinstance(moment, datetime):
        raise refused("version", "a version's number, a datetime or an ISO text", version)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
