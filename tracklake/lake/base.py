"""What every part of a lake shares: where it lies, the newest view over it, and a run of it."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

from tracklake import lake, query, sql
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.common.task_engine import LOCAL
from tracklake.common.warnings import warn
from tracklake.errors import QueryError, RunNotFoundError
from tracklake.query import run_filter
from tracklake.query.history import SeriesTable
from tracklake.query.run_table import RunTable
from tracklake.query.sandbox.limits import Limits
from tracklake.query.summaries import Summaries
from tracklake.storage import layout
from tracklake.storage.table.snapshot_reader import SnapshotReader

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence

    import polars as pl

    from tracklake.common.task_engine import TaskEngine
    from tracklake.lake.recorded_run import RecordedRun
    from tracklake.sql.engine import Engine
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.snapshot_view import SnapshotView


class View(NamedTuple):
    """What is computed over one snapshot, kept as long as nothing changes."""

    logged: SnapshotView
    snapshot: SnapshotView
    """With what the lake derives."""
    runs: RunTable
    series: SeriesTable


def _view(logged: SnapshotView, limits: Limits) -> View:
    snapshot = query.derived_snapshot.over(logged) if logged.derives else logged
    table = RunTable(Summaries(snapshot), limits=limits)
    return View(logged, snapshot, table, SeriesTable(table))


@raised_again_by_methods
class LakeBase:
    """Storage, reader, SQL engine and view of one lake; the parts of `Lake` are its subclasses."""

    def __init__(
        self,
        root: os.PathLike[str] | str | None = None,
        *,
        create: bool = False,
        queries: Sequence[os.PathLike[str] | str] = (),
        storage_options: Mapping[str, str] | None = None,
        project: str | None = None,
        sql_memory: str | None = None,
        sql_seconds: float | None = None,
    ) -> None:
        self._limits = Limits.of(sql_memory, sql_seconds)
        self._storage = self._connect(root, create=create, options=storage_options)
        self._project = None if project is None else arguments.text("project", project)
        self._remembered: tuple[SnapshotView | None, dict[str | None, View]] = None, {}
        """The newest snapshot, and its view by project: replaced as one, for threads and interrupts."""
        self._task_engine: TaskEngine = LOCAL
        self._queries = arguments.paths("queries", queries, takes="a folder of .sql files, or several")

    def _connect(
        self, root: os.PathLike[str] | str | None, *, create: bool, options: Mapping[str, str] | None
    ) -> Storage:
        """Return the place of the lake: one that is there, or a new one."""
        connect = layout.create if create else layout.open_existing
        return connect(layout.root_of(root), options=options)

    @property
    def _storages(self) -> list[Storage]:
        """The place of the lake; those of all, where several are read as one."""
        return [self._storage]

    def _place_of(self, run_id: str) -> tuple[Storage, str]:
        """Return where a run lies, and its id there."""
        return self._storage, run_id

    def _system_samples(self, run_ids: Collection[str] | None) -> pl.DataFrame:
        """Return the system metrics of these runs; see `system_history.samples`."""
        return query.system_history.samples(self._storage, run_ids)

    def _reopened(self, limits: Limits | None = None) -> Self:
        """Return the same lake with a reader and an engine of its own: a Lake is for one thread at a time.

        `limits` are those of its texts in SQL, by default this lake's.
        """
        other = copy.copy(self)
        limits = limits or self._limits
        for own in ("_reader", "_engine"):
            vars(other).pop(own, None)
        vars(other).update(_remembered=(None, {}), _limits=limits)
        return other

    @cached_property
    def _reader(self) -> SnapshotReader:
        """What takes snapshots."""
        return SnapshotReader(self._storage, engine=self._task_engine, tolerant=True)

    @cached_property
    def _engine(self) -> Engine:
        """What asks in SQL."""
        return sql.engine.Engine(self._limits)

    @property
    def dir(self) -> str:
        """The folder of the lake, as it was given.

        >>> tl.open("new", create=True).dir
        'new'
        """
        return str(self._storage.location)

    @property
    def _view(self) -> View:
        """The view over the newest snapshot, of the project for which the lake was opened."""
        return self._view_of(None)

    def _view_of(self, project: str | None) -> View:
        """Return the view over one project (None: as opened), the last one again if nothing has changed.

        Raises UnknownNameError for a project that is not there, QueryError for another than the lake was opened for.
        """
        project = self._chosen(project)
        logged = self._reader.snapshot()
        for sentence in logged.left_out:
            warn(sentence)
        remembered, views = self._remembered
        earlier = views.get(project)
        if remembered is not logged:
            views = {}
            self._remembered = logged, views
        if project not in views:
            newest = _view(
                logged if project is None else query.project_snapshot.of_project(logged, project), self._limits
            )
            if earlier is not None:
                newest.runs.carry_over(earlier.runs, touched=newest.logged.touched_since(earlier.logged))
            views[project] = newest
        return views[project]

    def _chosen(self, project: str | None) -> str | None:
        if project is None:
            return self._project
        if self._project not in (None, arguments.text("project", project)):
            raise QueryError(f"project={project!r}; this lake was opened for project={self._project!r} alone")
        return project

    def run(self, run_id: str) -> RecordedRun:
        """Return one run: .config .summary (writable, at once) .history() .state .tags .metrics.

        Raises RunNotFoundError, which names the nearest id.

        >>> example().run("fast").summary["loss"]
        0.75
        """
        view, wanted = self._view, run_filter.id_of(run_id)
        run_ids = view.runs.summaries.runs["run_id"]
        if not (run_ids == wanted).any():
            view.logged.whole(f"run {wanted!r} is not in what can be read")
            raise RunNotFoundError.nearest("run", wanted, run_ids)

        storage, stored_id = self._place_of(wanted)
        return lake.recorded_run.RecordedRun(
            wanted, storage=storage, table=lambda: self._view.runs, stored_id=stored_id
        )
