"""What every part of a lake shares: where it lies, the newest view over it, and a run of it."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

from tracklake.errors import RunNotFoundError
from tracklake.lake.recorded_run import RecordedRun
from tracklake.query import derived_snapshot, run_filter
from tracklake.query.history import SeriesTable
from tracklake.query.run_table import RunTable
from tracklake.query.summaries import Summaries
from tracklake.sql import named_queries
from tracklake.sql.engine import Engine
from tracklake.storage import layout
from tracklake.storage.table.snapshot_reader import SnapshotReader

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from tracklake.storage.table.snapshot_view import SnapshotView


class View(NamedTuple):
    """What is computed over one snapshot, kept as long as nothing changes."""

    logged: SnapshotView
    snapshot: SnapshotView
    """With what the lake derives."""
    runs: RunTable
    series: SeriesTable


class LakeBase:
    """Storage, reader, SQL engine and view of one lake; the parts of `Lake` are its subclasses."""

    def __init__(
        self,
        root: os.PathLike[str] | str | None = None,
        *,
        create: bool = False,
        queries: Sequence[os.PathLike[str] | str] = (),
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        connect = layout.create if create else layout.open_existing
        self._storage = connect(layout.root_of(root), options=storage_options)
        self._newest: View | None = None
        self._engine = Engine()
        self._queries = named_queries.folders_of(queries)

    def _reopened(self) -> Self:
        """Return the same lake with a reader and an engine of its own: a Lake is for one thread at a time."""
        other = copy.copy(self)
        vars(other).pop("_reader", None)
        vars(other).update(_newest=None, _engine=Engine())
        return other

    @cached_property
    def _reader(self) -> SnapshotReader:
        return SnapshotReader(self._storage)

    @property
    def dir(self) -> str:
        """The folder of the lake, as it was given.

        >>> tl.open("new", create=True).dir
        'new'
        """
        return str(self._storage.location)

    @property
    def _view(self) -> View:
        """The view over the newest snapshot; the last one again if nothing has changed."""
        logged = self._reader.snapshot()
        if self._newest is None or self._newest.logged is not logged:
            snapshot = derived_snapshot.over(logged)
            table = RunTable(Summaries(snapshot))
            self._newest = View(logged, snapshot, table, SeriesTable(table))
        return self._newest

    def run(self, run_id: str) -> RecordedRun:
        """Return one run: .config .summary (writable, at once) .history() .state .tags .metrics.

        Raises RunNotFoundError, which names the nearest id.

        >>> example().run("fast").summary["loss"]
        0.75
        """
        run_ids, wanted = self._view.runs.summaries.runs["run_id"], run_filter.id_of(run_id)
        if not (run_ids == wanted).any():
            raise RunNotFoundError.nearest("run", wanted, run_ids)
        return RecordedRun(wanted, storage=self._storage, table=lambda: self._view.runs)
