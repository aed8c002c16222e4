"""What keeps a lake fast and small, and its past: compaction, vacuum, versions, deleted runs; a part of `Lake`."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self, cast

from tracklake.common.arguments import refused
from tracklake.errors import LakeError, RunError, RunNotFoundError
from tracklake.lake.base import LakeBase
from tracklake.query import run_filter
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import store
from tracklake.storage.journal.clock import Clock
from tracklake.storage.read_only import ReadOnly
from tracklake.storage.table import compaction, vacuum, versions
from tracklake.storage.table.past_reader import PastReader

if TYPE_CHECKING:
    import polars as pl

    from tracklake.query.run_filter import Runs
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.compaction import Compacted
    from tracklake.storage.table.snapshot_reader import SnapshotReader
    from tracklake.storage.table.vacuum import Vacuumed


class MaintenanceMethods(LakeBase):
    """Compaction, vacuum, versions and deleted runs; a part of `Lake`."""

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
        return compaction.compact(self._reader.catalog.copy())

    def vacuum(self, *, older_than: timedelta = vacuum.DEFAULT_AGE, dry_run: bool = False) -> Vacuumed:
        """Delete the files that no version of the last `older_than` needs, and those that belong to no commit.

        Files of the last 24 hours always stay. Runs that were deleted longer ago lose their rows for good. `dry_run`
        counts and deletes nothing. Returns files, bytes, and the deleted runs whose rows were taken out.

        >>> example().vacuum(dry_run=True)
        Vacuumed(files=0, bytes=0, runs=0)
        """
        if not isinstance(older_than, timedelta):
            raise refused("older_than", "a timedelta such as timedelta(days=7)", older_than)
        return vacuum.vacuum(self._reader.catalog.copy(), older_than=older_than, dry_run=dry_run)

    def versions(self) -> pl.DataFrame:
        """Which versions of the sealed data are there, and what made each? One row a version, the oldest first.

        Columns: version, time (UTC), operation (SEAL, IMPORT, OPTIMIZE, PURGE, ...), added and removed (partitions),
        partitions and points (of the version).

        >>> lake = example()
        >>> _ = lake.refresh()
        >>> lake.versions().select("version", "operation", "added", "points").rows()
        [(0, 'CREATE TABLE', 0, 0), (1, 'SEAL', 1, 12)]
        """
        return versions.table(self._reader.catalog.log)

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
        number = versions.number_at(self._reader.catalog.log, _moment(version))
        reason = f"this is version {number} of {self._storage.describe()} as it was; open the lake itself"
        past = copy.copy(self)
        past._storage = cast("Storage", ReadOnly(self._storage, reason=reason))  # noqa: SLF001 - of its own class
        past._reader = cast("SnapshotReader", PastReader(past._storage, number))  # noqa: SLF001
        past._logged, past._views = None, {}  # noqa: SLF001
        return past

    def delete(self, runs: Runs) -> int:
        """Hide runs from every answer at once, and return how many that were; `restore` takes it back.

        Their ids stay taken. `vacuum` takes their rows out of the files, a week after. Raises RunNotFoundError for runs
        that are not there, RunError for those that are still running.

        >>> lake = example()
        >>> lake.delete("slow"), lake.runs()["run_id"].to_list()
        (1, ['fast'])
        """
        ids = list(dict.fromkeys(run_filter.ids(runs)))
        table = self._view.runs.select(wanted=["state"])
        states = dict(table.select("run_id", "state").iter_rows())
        for run_id in ids:
            if run_id not in states:
                raise RunNotFoundError.nearest("run", run_id, states)
            if states[run_id] == "running":
                raise RunError(f"run {run_id!r} is running: finish it before it is deleted")
        return self._say_of_runs(StatementKind.DELETE, ids)

    def restore(self, runs: Runs) -> int:
        """Take the deletion of runs back, and return how many that were; what vacuum has taken out stays out.

        Raises RunNotFoundError for runs that are not deleted.

        >>> lake = example()
        >>> lake.delete(["slow", "fast"]), lake.restore("slow"), lake.runs()["run_id"].to_list()
        (2, 1, ['slow'])
        """
        ids = list(dict.fromkeys(run_filter.ids(runs)))
        deleted = self._view.logged.deleted
        for run_id in ids:
            if run_id not in deleted:
                raise RunNotFoundError.nearest("deleted run", run_id, sorted(deleted))
        return self._say_of_runs(StatementKind.RESTORE, ids)

    def _say_of_runs(self, kind: StatementKind, run_ids: list[str]) -> int:
        """Write a statement about each run, later than all that there are."""
        if not run_ids:
            return 0
        newest = self._view.logged.files["last"].dt.epoch("us").max()
        clock = Clock(after=int(newest or 0))  # type: ignore[arg-type] # an Int64 column
        changes = [(kind, run_id, store(None, name=run_id)) for run_id in run_ids]
        from tracklake.tracking import edit_session

        edit_session.write_session(self._storage, run_id=LAKE_RUN, project="", changes=changes, clock=clock)
        return len(run_ids)


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
