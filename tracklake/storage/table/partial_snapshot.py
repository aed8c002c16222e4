"""What tasks read of a snapshot: points and states of runs, in partitions and in live frames."""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake.compute import scans
from tracklake.compute.scans import READ_ALL
from tracklake.errors import LakeError
from tracklake.schema.tables import POINTS, STATES
from tracklake.storage import table
from tracklake.storage.table import deleted_runs, moved_runs, unreadable_files
from tracklake.storage.table.catalog import MANY_RUNS, partitions_with_runs
from tracklake.storage.table.delta_log import DeltaLog
from tracklake.storage.table.snapshot_view import SnapshotView
from tracklake.storage.table.unreadable_files import LeftOut
from tracklake.storage.table.verified_files import FileGoneError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.catalog import PartitionRuns
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.live_points import LivePoints
    from tracklake.storage.table.statement_log import StatementLog
    from tracklake.storage.table.verified_files import Sibling

_SERIES = ("run_id", "metric")
FRAMES = 32
"""So many frames of live points stay apart."""


class PartialSnapshot(SnapshotView):
    """What is needed to read points and states of runs: it names its files and opens no log, so it can be sent.

    A `Snapshot` is one of all runs, which has a catalog beside it.
    """

    def __init__(
        self,
        version: Version,
        files: pl.DataFrame,
        statements: StatementLog,
        *,
        storage: Storage,
        partition_runs: Sequence[PartitionRuns],
        known_metrics: Mapping[str, frozenset[str]],
        points_of_live: Sequence[LivePoints],
        live_states: Sequence[pl.DataFrame],
        stored_projects: pl.Series,
        hidden: frozenset[str] = frozenset(),
        moved: Mapping[str, str] | None = None,
        unreadable: LeftOut | None = None,
    ) -> None:
        """Take what was read.

        `partition_runs` and `known_metrics` say what the partitions of the version hold, `stored_projects` in which
        projects their points stand; nothing is shown of `hidden` runs, and those `moved` (run to project) belong
        elsewhere; `unreadable` tells of what is left out.
        """
        super().__init__(version, files, statements)
        self._storage = storage
        self._partition_runs = partition_runs
        self._known_metrics = known_metrics
        self._points_of_live = points_of_live
        self._live_states = live_states
        self._stored_projects = stored_projects
        self._hidden = hidden
        self._moved = moved or {}
        self.unreadable = LeftOut(storage) if unreadable is None else unreadable
        self._computed_states: dict[str, pl.DataFrame] = {}

    @property
    def left_out(self) -> list[str]:
        """What is left out because files cannot be read, a sentence each.

        >>> example()._view.logged.left_out
        []
        """
        return self.unreadable.sentences

    @cached_property
    def n_stored(self) -> int:
        """How many points are stored, those that were overwritten or masked included.

        >>> example()._view.snapshot.n_stored
        12
        """
        sealed = sum(partition.n_points for partition in self.version.partitions.values())
        return sealed + sum(part.number for part in self._points_of_live)

    @cached_property
    def _live_points(self) -> list[pl.DataFrame]:
        return few(table.live_points.frames(self._points_of_live)) if self._points_of_live else []

    @property
    def alive(self) -> pl.DataFrame:
        """run_id, session of the sessions whose process shows life; none, since no process is looked at.

        >>> snapshot = example()._view.logged
        >>> snapshot.engine = type("Elsewhere", (), {})()
        >>> [part.alive.height for part, _ in snapshot.excerpts(["fast"])]
        [0]
        """
        return self.sessions.head(0).select("run_id", "session")

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs (None: any) have logged, sorted.

        >>> example()._view.snapshot.metrics_of(["fast"])[-2:]
        ['acc', 'loss']
        """
        scanned = self._scan_states(["metric"], None, runs)
        names = scans.collect_all([frame.select("metric").unique() for frame in scanned])
        return sorted(set(pl.concat(names)["metric"]))

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return the points as stored, overwritten and masked ones too (schema POINTS), unsorted.

        >>> example()._view.snapshot.points(["loss"], runs=["fast"]).select(pl.col("value").sum()).collect().item()
        2.0
        """
        sealed = self._scan_history(metrics, runs)
        live = [scans.only(frame.lazy(), metrics=metrics, runs=runs) for frame in self._live_points]
        frames = [*sealed, *live]
        stored = pl.concat(frames) if frames else pl.LazyFrame(schema=POINTS)
        if self._moved:
            stored = stored.with_columns(moved_runs.moved_project(self._moved))
        return deleted_runs.without(stored, self._hidden | self.unreadable.run_ids("history"))

    def _scan_history(self, metrics: Collection[str] | None, runs: Collection[str] | None) -> list[pl.LazyFrame]:
        """Scan committed points; each partition for those of the runs alone that it has, which prunes row groups."""
        verified = [(part, path) for part, path in self._verified(runs, "history") if path is not None]
        if runs is None or len(runs) > MANY_RUNS:
            files = [path for _, path in verified]
            return [scans.only(scans.scan(files, schema=POINTS), metrics=metrics, runs=runs)] if files else []
        return [
            scans.only(scans.scan(path, schema=POINTS), metrics=metrics, runs=part.those_of(runs))
            for part, path in verified
        ]

    def history_files(self, *, runs: Collection[str] | None = None) -> list[Path]:
        """Return the paths of the committed files of points that hold something of these runs.

        >>> lake = example()
        >>> before, _ = lake._view.snapshot.history_files(), lake.refresh()
        >>> len(before), len(lake._view.snapshot.history_files(runs=["fast"]))
        (0, 1)
        """
        return [path for _, path in self._verified(runs, "history") if path is not None]

    @cached_property
    def live_points(self) -> pl.DataFrame:
        """The points that are not in those files yet, as logged (schema POINTS).

        >>> lake = example()
        >>> before, _ = lake._view.snapshot.live_points.height, lake.refresh()
        >>> before, lake._view.snapshot.live_points.height
        (12, 0)
        """
        live = pl.concat([pl.DataFrame(schema=POINTS), *self._live_points])
        live = live.with_columns(moved_runs.moved_project(self._moved)) if self._moved else live
        return live.filter(~pl.col("run_id").is_in(list(self._hidden))) if self._hidden else live

    def comes_in_order(self, runs: Collection[str] | None) -> bool:
        """Tell whether `points` gives these runs in order of run, metric and step, as far as is known without looking.

        So it is where nothing is live, all belongs to one project, and no two partitions share a stretch of run ids.

        >>> lake = example()
        >>> before, _ = lake._view.snapshot.comes_in_order(None), lake.refresh()
        >>> before, lake._view.snapshot.comes_in_order(None)
        (False, True)
        """
        apart = all(a.last < b.first for a, b in itertools.pairwise(partitions_with_runs(self._partition_runs, runs)))
        return apart and self._is_one_project and not self._points_of_live

    @cached_property
    def _is_one_project(self) -> bool:
        return self._stored_projects.n_unique() <= 1

    def _verified(self, runs: Collection[str] | None, sibling: Sibling) -> list[tuple[PartitionRuns, Path | None]]:
        """Return the partitions that hold something of these runs, each with its file; None if that cannot be read."""
        holders = partitions_with_runs(self._partition_runs, runs)
        return list(zip(holders, self._paths(holders, sibling), strict=True))

    def _paths(
        self, holders: Sequence[PartitionRuns], sibling: Sibling, *, columns: Collection[str] | None = None
    ) -> list[Path | None]:
        """Return the verified file of each partition, None where it cannot be read; `columns` as in `verified`."""
        parts = [self.version.partitions[holder.partition] for holder in holders]
        paths, errors = unreadable_files.readable(self._storage, parts, sibling, columns=columns)
        if errors:
            self._leave_out(sibling, errors)
        return paths

    def _leave_out(self, sibling: Sibling, errors: dict[str, LakeError]) -> None:  # noqa: ARG002 - a whole one does
        """Raise what a file that cannot be read costs: nothing is left out of what tasks read."""
        self._refuse_vacuumed(errors)
        raise next(iter(errors.values()))

    def _refuse_vacuumed(self, errors: dict[str, LakeError]) -> None:
        """Raise LakeError where a file is gone since the version was vacuumed."""
        try:
            unreadable_files.refuse_vacuumed(errors, DeltaLog(self._storage).read())
        except FileGoneError as gone:
            raise LakeError(f"version {self.version.number} was vacuumed: {gone}") from gone

    def _scan_states(
        self, columns: Collection[str], metrics: Collection[str] | None, runs: Collection[str] | None
    ) -> list[pl.LazyFrame]:
        """Scan these columns of states; they alone are verified, of the files alone that have one of the metrics."""
        holders = self._with_metrics(partitions_with_runs(self._partition_runs, runs), metrics)
        needed = list(dict.fromkeys([*_SERIES, *columns]))
        paths = self._paths(holders, "states", columns=needed)
        sealed = scans.scan([path for path in paths if path is not None], schema=STATES).select(needed)
        computed = [self._computed_states[h.partition] for h, path in zip(holders, paths, strict=True) if path is None]
        frames = [sealed, *(frame.lazy().select(needed) for frame in [*computed, *self._live_states])]
        hidden = self._hidden | self.unreadable.run_ids("states")
        present = (deleted_runs.without(frame, hidden) for frame in frames)
        return [scans.only(frame, metrics=metrics, runs=runs) for frame in present]

    def _with_metrics(
        self, holders: Sequence[PartitionRuns], metrics: Collection[str] | None
    ) -> Sequence[PartitionRuns]:
        """Return the partitions that have one of these metrics, as far as that is known."""
        known = self._known_metrics
        if metrics is None or not known:
            return holders
        return [h for h in holders if h.partition not in known or not known[h.partition].isdisjoint(metrics)]

    def pieces(self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None) -> pl.DataFrame:
        """Return the states of each (run_id, metric) as stored, one a session and partition, not merged.

        >>> example()._view.snapshot.pieces(["loss"], ["run_id", "n"], None).sort("run_id").rows()
        [('fast', 3), ('slow', 3)]
        """
        return pl.concat(scans.collect_all([f.select(columns) for f in self._scan_states(columns, metrics, runs)]))


def few(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Put many frames into one: each costs a call into polars whenever it is looked at.

    >>> len(few([pl.DataFrame({"n": [1]})] * FRAMES)), len(few([pl.DataFrame({"n": [1]})] * (FRAMES + 1)))
    (32, 1)
    """
    return frames if len(frames) <= FRAMES else [pl.concat(frames, rechunk=sum(f.height for f in frames) <= READ_ALL)]
