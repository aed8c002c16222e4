"""A snapshot: what one reader sees of the lake at one moment, committed and live data alike."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake.common.task_engine import LocalThreads
from tracklake.errors import LakeError
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.storage import layout, table
from tracklake.storage.journal import file_names
from tracklake.storage.table import deleted_runs, moved_runs, partitions, run_tasks, unreadable_files
from tracklake.storage.table.partial_snapshot import PartialSnapshot, few
from tracklake.storage.table.statement_log import PartitionLog
from tracklake.storage.table.unreadable_files import LeftOut

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tracklake.storage.table.catalog import Catalog, JournalFile
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.live_journals import LiveJournal
    from tracklake.storage.table.run_tasks import RunTask
    from tracklake.storage.table.snapshot_view import SnapshotView
    from tracklake.storage.table.statement_log import StatementLog
    from tracklake.storage.table.verified_files import Sibling

_FACTS = ["from_step", "runtime_base", *partitions.UNTIMED]
"""What sessions say of themselves that decides which points count, and when they were logged."""


class Snapshot(PartialSnapshot):
    """What a reader sees of the stored files and the live journals."""

    def __init__(
        self, catalog: Catalog, version: Version, live: Sequence[LiveJournal], *, left_out: Sequence[str] = ()
    ) -> None:
        """Look at a version and the journals beside it; `left_out` tells of those that could not be read."""
        records = [s for item in live for s in item.records]
        files = pl.concat([catalog.files, *few([s.files for s in records])])
        log: StatementLog = catalog.statements([s.statements for s in records])
        deleted = deleted_runs.deleted_runs(log)
        hidden = deleted.union(*(lost.run_ids for lost in catalog.unreadable.values()))
        if hidden:
            is_there = ~pl.col("run_id").is_in(list(hidden))
            files, log = files.filter(is_there), log.restricted(is_there)
        moved = moved_runs.projects_of_moved(log)
        stored = {key: part for key, part in version.partitions.items() if key not in catalog.unreadable}
        super().__init__(
            version._replace(partitions=stored),
            moved_runs.in_their_projects(files, log, moved),
            log,
            storage=catalog.storage,
            partition_runs=catalog.partition_runs,
            known_metrics=catalog.known_metrics,
            points_of_live=[part for item in live for part in item.points],
            live_states=few([frame for item in live for frame in item.states]),
            stored_projects=files.filter(pl.col("run_id") != LAKE_RUN)["project"],
            hidden=hidden,
            moved=moved,
            unreadable=LeftOut(catalog.storage, catalog.unreadable.values()),
        )
        self.engine = catalog.engine
        self.deleted = deleted
        self._catalog = catalog
        self._unread = list(left_out)
        self._live = list(live)
        self._run_ids = {key: part.files["run_id"] for key, part in catalog.records_by_partition.items()}
        self._live_revisions = {(item.file.key, item.revision): item.run_ids for item in live}

    @property
    def left_out(self) -> list[str]:
        """What is left out because files or journals cannot be read, a sentence each.

        >>> example()._view.logged.left_out
        []
        """
        return [*self._unread, *super().left_out]

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

    def _excerpt(self, task: RunTask) -> PartialSnapshot:
        """Return what is needed of this snapshot to read points and states of the runs of a task."""
        is_one = pl.col("run_id").is_in(task.run_ids)
        facts = self.statements.of(StatementKind.SESSION, keys=_FACTS).filter(is_one)
        files = self.files.filter(is_one)
        stored = {key: part for key, part in self.version.partitions.items() if key in task.partitions}
        return PartialSnapshot(
            self.version._replace(partitions=stored),
            files,
            PartitionLog([], [facts]),
            storage=self._storage,
            partition_runs=[p for p in self._partition_runs if p.partition in task.partitions],
            known_metrics=self._known_metrics,
            points_of_live=[
                table.live_points.LivePoints(None, frame=frame.filter(is_one)) for frame in self._live_points
            ],
            live_states=[frame.filter(is_one) for frame in self._live_states],
            stored_projects=self._stored_projects if self._moved else files["project"],
        )

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
                if not self._catalog.tolerant:
                    raise
        return super().metrics_of(runs)

    def _leave_out(self, sibling: Sibling, errors: dict[str, LakeError]) -> None:
        """Note what cannot be read; LakeError where nothing is to be left out, or the version was vacuumed."""
        if not self._catalog.tolerant:
            super()._leave_out(sibling, errors)
        self._refuse_vacuumed(errors)
        for key, error in errors.items():
            part, run_ids = self.version.partitions[key], self._run_ids[key]
            if sibling == "states" and key not in self._computed_states:
                self._computed_states[key] = unreadable_files.computed_states(self._storage, part)
            if sibling == "states" and self._computed_states[key].height:
                self.unreadable.tell(unreadable_files.without_states(part, error))
            else:
                self.unreadable.tell(unreadable_files.without_values(part, sibling, error, run_ids))
