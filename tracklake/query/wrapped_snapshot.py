"""A snapshot over another one: it adds to it or leaves out of it, and asks it for what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.storage.table.snapshot_view import SnapshotView

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import polars as pl

    from tracklake.schema.statement_kind import StatementKind
    from tracklake.storage.table.statement_log import StatementLog


class WrappedSnapshot(SnapshotView):
    """Asks another snapshot for what is stored; what follows from that is computed anew."""

    def __init__(self, inner: SnapshotView, files: pl.DataFrame, statements: StatementLog) -> None:
        super().__init__(inner.version, files, statements)
        self._inner = inner
        self.deleted = inner.deleted
        self.lake_of_run = inner.lake_of_run
        self.engine = inner.engine

    def statements_of_lakes(self, *kinds: StatementKind) -> pl.DataFrame:
        """Return what the lake says itself in statements of these kinds; see `SnapshotView`."""
        return self._inner.statements_of_lakes(*kinds)

    def excerpts(self, runs: Collection[str] | None) -> list[tuple[SnapshotView, list[str]]]:
        """Return these runs (None: all) in parts that can be sent to where tasks run."""
        return self._inner.excerpts(runs)

    @property
    def left_out(self) -> Sequence[str]:
        """What is left out because files cannot be read, a sentence each."""
        return self._inner.left_out

    @property
    def n_stored(self) -> int:
        """How many points are stored, those that were overwritten or masked included."""
        return self._inner.n_stored

    @property
    def alive(self) -> pl.DataFrame:
        """run_id, session of the sessions whose process shows life."""
        return self._inner.alive

    @property
    def live_points(self) -> pl.DataFrame:
        """The points that are not in committed files yet, as logged (schema POINTS)."""
        return self._inner.live_points

    def history_files(self, *, runs: Collection[str] | None = None) -> list[Path]:
        """Return the paths of the committed files of points that hold something of these runs."""
        return self._inner.history_files(runs=runs)

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs (None: any) have, sorted."""
        return self._inner.metrics_of(runs)

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return the points as stored, overwritten and masked ones too (schema POINTS), unsorted."""
        return self._inner.points(metrics, runs=runs)

    def pieces(self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None) -> pl.DataFrame:
        """Return the states of each (run_id, metric) as stored, one a session and partition, not merged."""
        return self._inner.pieces(metrics, columns, runs)

    def comes_in_order(self, runs: Collection[str] | None) -> bool:
        """Tell whether `points` gives these runs in order of run, metric and step, as far as is known ahead."""
        return self._inner.comes_in_order(runs)
