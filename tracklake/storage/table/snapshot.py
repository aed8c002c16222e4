"""A snapshot: what one reader sees of the lake at one moment, committed and live data alike."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake.common.task_engine import LocalThreads
from tracklake.compute import scans
from tracklake.compute.scans import READ_ALL
from tracklake.errors import LakeError
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN, POINTS, STATES
from tracklake.storage import layout
from tracklake.storage.journal import file_names
from tracklake.storage.table import deleted_runs, live_points, moved_runs, partitions, run_tasks, unreadable_files
from tracklake.storage.table.catalog import MANY_RUNS, partitions_with_runs
from tracklake.storage.table.delta_log import DeltaLog
from tracklake.storage.table.live_points import LivePoints
from tracklake.storage.table.snapshot_view import SnapshotView
from tracklake.storage.table.statement_log import PartitionLog
from tracklake.storage.table.unreadable_files import LeftOut
from tracklake.storage.table.verified_files import FileGoneError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from tracklake.storage.table.catalog import Catalog, JournalFile, PartitionRuns
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.live_journals import LiveJournal
    from tracklake.storage.table.run_tasks import RunTask
    from tracklake.storage.table.statement_log import StatementLog
    from tracklake.storage.table.verified_files import Sibling

_FACTS = ["from_step", "runtime_base", *partitions.UNTIMED]
"""What sessions say of themselves that decides which points count, and when they were logged."""
_SERIES = ("run_id", "metric")
FRAMES = 32
"""So many frames of live points stay apart."""


class Snapshot(SnapshotView):
    """What a reader sees of the stored files and the live journals."""

    def __init__(
        self, catalog: Catalog, version: Version, live: Sequence[LiveJournal], *, left_out: Sequence[str] = ()
    ) -> None:
        """Look at a version and the journals beside it; `left_out` tells of those that could not be read."""
        records = [s for item in live for s in item.records]
        files = pl.concat([catalog.files, *_few([s.files for s in records])])
        log: StatementLog = catalog.statements([s.statements for s in records])
        self.deleted = deleted_runs.deleted_runs(log)
        self._hidden = self.deleted.union(*(lost.run_ids for lost in catalog.unreadable.values()))
        if self._hidden:
            is_there = ~pl.col("run_id").is_in(list(self._hidden))
            files, log = files.filter(is_there), log.restricted(is_there)
        self._stored_projects = files.filter(pl.col("run_id") != LAKE_RUN)["project"]
        self._moved = moved_runs.projects_of_moved(log)
        stored = {key: part for key, part in version.partitions.items() if key not in catalog.unreadable}
        in_projects = moved_runs.in_their_projects(files, log, self._moved)
        super().__init__(replace(version, partitions=stored), in_projects, log)
        self.engine = catalog.engine
        self._storage = catalog.storage
        self._catalog = catalog
        self._known_metrics = catalog.known_metrics
        self.unreadable = LeftOut(catalog.storage, catalog.unreadable.values())
        self._unread = list(left_out)
        self._is_tolerant = catalog.tolerant
        self._computed_states: dict[str, pl.DataFrame] = {}
        self._partition_runs = catalog.partition_runs
        self._live = list(live)
        self._run_ids = {key: part.files["run_id"] for key, part in catalog.records_by_partition.items()}
        self._live_revisions = {(item.file.key, item.revision): item.run_ids for item in live}
        self._points_of_live = [part for item in live for part in item.points]
        self._live_states = _few([frame for item in live for frame in item.states])

    @property
    def left_out(self) -> list[str]:
        """What is left out because files cannot be read, a sentence each.

        >>> example()._view.logged.left_out
        []
        """
        return [*self._unread, *self.unreadable.sentences]

    def touched_since(self, earlier: SnapshotView) -> frozenset[str] | None:
        """Return the runs of which this and an earlier snapshot may say different things; None if that is not known.

        Those in partitions that came or went, in live journals that came, grew or went, and those deleted or restored.

        >>> lake = example()
        >>> earlier = lake._view.logged
        >>> lake.run("fast").summary["note"] = "rerun"
        >>> lake._view.logged.touched_since(earlier)
        frozenset({'fast'})
        """
        if not isinstance(earlier, Snapshot):
            return None
        current, before = self._run_ids, earlier._run_ids  # noqa: SLF001 - of its own class
        changed = [(current if key in current else before)[key] for key in current.keys() ^ before.keys()]
        live, before_live = self._live_revisions, earlier._live_revisions  # noqa: SLF001
        grown = [(live if key in live else before_live)[key] for key in live.keys() ^ before_live.keys()]
        hidden = (self._hidden ^ earlier._hidden) | self.unreadable.run_ids() | earlier.unreadable.run_ids()  # noqa: SLF001
        moved = dict(self._moved.items() ^ earlier._moved.items())  # noqa: SLF001
        return hidden.union(moved, *(run_ids.unique() for run_ids in changed), *grown)

    def excerpts(self, runs: Collection[str] | None) -> list[tuple[SnapshotView, list[str]]]:
        """Return these runs (None: all) in parts that can be sent to where tasks run, in order of partition ids.

        A part opens no log and names its files: it reads the same when they were compacted away meanwhile.

        >>> from tracklake.common.task_engine import LocalThreads
        >>> snapshot = example()._view.logged
        >>> snapshot.engine = type("Elsewhere", (), {})()
        >>> [(part.live_points.height, run_ids) for part, run_ids in snapshot.excerpts(["fast"])]
        [(6, ['fast'])]
        """
        if isinstance(self.engine, LocalThreads):  # polars reads with all processors of this machine as it is
            return []
        present = self.files["run_id"].unique()
        chosen = present if runs is None else present.filter(present.is_in(list(runs)))
        cuts = run_tasks.cut(chosen.sort(), self._partition_runs, self.version)
        return [(self._excerpt(task), task.run_ids) for task in cuts]

    def _excerpt(self, task: RunTask) -> Snapshot:
        """Return what is needed of this snapshot to read points and states of the runs of a task."""
        is_one = pl.col("run_id").is_in(task.run_ids)
        facts = self.statements.of(StatementKind.SESSION, keys=_FACTS).filter(is_one)
        files = self.files.filter(is_one)
        stored = {key: part for key, part in self.version.partitions.items() if key in task.partitions}
        part = Snapshot.__new__(Snapshot)
        SnapshotView.__init__(part, replace(self.version, partitions=stored), files, PartitionLog([], [facts]))
        vars(part).update(
            _moved={},
            _hidden=frozenset(),
            _is_tolerant=False,
            unreadable=LeftOut(self._storage),
            _unread=[],
            _stored_projects=files["project"],
            _storage=self._storage,
            _known_metrics=self._known_metrics,
            _partition_runs=[p for p in self._partition_runs if p.partition in task.partitions],
            _points_of_live=[LivePoints(None, frame=frame.filter(is_one)) for frame in self._live_points],
            _live_states=[frame.filter(is_one) for frame in self._live_states],
        )
        return part

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
        return _few(live_points.frames(self._points_of_live))

    @property
    def alive(self) -> pl.DataFrame:
        """run_id, session of the sessions whose process shows life: its lock is held here, or it beats elsewhere.

        >>> lake = example()
        >>> with tl.init("example", id="now", dir=lake.dir):
        ...     lake._view.snapshot.alive["run_id"].to_list()
        ['now']
        """
        files = [item.file for item in self._live]  # as listed last: a beat changes no answer but this one
        newest = {file.name.session: file for file in sorted(files, key=lambda f: f.key)}
        living = [session for session, file in newest.items() if self._shows_life(file, self._nodes.get(session))]
        return self.sessions.filter(pl.col("session").is_in(living)).select("run_id", "session")

    @cached_property
    def _nodes(self) -> dict[int, str]:
        """The machine of each session."""
        return dict(self.facts("node").select("session", "text").iter_rows())

    def _shows_life(self, file: JournalFile, node: str | None) -> bool:
        path = self._storage.lock_path(f"{layout.JOURNAL_FOLDER}/{file.entry.name}")
        return file.entry.writable and file_names.shows_life(path, node=node, beat=file.entry.mtime)

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs (None: any) have logged, sorted.

        >>> example()._view.snapshot.metrics_of(["fast"])[-2:]
        ['acc', 'loss']
        """
        if runs is None and not self._hidden and not self.unreadable:
            try:
                live = (frame["metric"].unique() for frame in self._live_states)
                return sorted(self._catalog.metrics(self.version).union(*live))
            except LakeError:  # a file of states cannot be read
                if not self._is_tolerant:
                    raise
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

    def _leave_out(self, sibling: Sibling, errors: dict[str, LakeError]) -> None:
        """Note what cannot be read; LakeError where nothing is to be left out, or the version was vacuumed."""
        try:
            unreadable_files.refuse_vacuumed(errors, DeltaLog(self._storage).read())
        except FileGoneError as gone:
            raise LakeError(f"version {self.version.number} was vacuumed: {gone}") from gone
        for key, error in errors.items():
            if not self._is_tolerant:
                raise error
            part, run_ids = self.version.partitions[key], self._run_ids[key]
            if sibling == "states" and key not in self._computed_states:
                self._computed_states[key] = unreadable_files.computed_states(self._storage, part)
            if sibling == "states" and self._computed_states[key].height:
                self.unreadable.tell(unreadable_files.without_states(part, error))
            else:
                self.unreadable.tell(unreadable_files.without_values(part, sibling, error, run_ids))

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


def _few(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Put many frames into one: each costs a call into polars whenever it is looked at."""
    return frames if len(frames) <= FRAMES else [pl.concat(frames, rechunk=sum(f.height for f in frames) <= READ_ALL)]
