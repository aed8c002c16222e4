"""A snapshot of one project: as if the lake held no other run."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake.compute.points import PSEUDO
from tracklake.errors import UnknownNameError
from tracklake.query.wrapped_snapshot import WrappedSnapshot
from tracklake.schema.tables import LAKE_RUN

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tracklake.storage.table.snapshot_view import SnapshotView


def of_project(snapshot: SnapshotView, project: str) -> SnapshotView:
    """Return what a snapshot holds of one project; the same one if it holds no other. UnknownNameError for no project.

    A run belongs to the project that its first session named.

    >>> lake = example()
    >>> tl.init("other", id="x", dir=lake.dir).finish()
    >>> of_project(lake._view.snapshot, "example").sessions["run_id"].to_list()
    ['slow', 'fast']
    """
    sessions = snapshot.sessions.filter(pl.col("run_id") != LAKE_RUN)
    first = sessions.unique("run_id", keep="first", maintain_order=True)
    run_ids = first.filter(pl.col("project") == project)["run_id"].to_list()
    if not run_ids:
        raise UnknownNameError.nearest("project", project, first["project"].unique())
    return snapshot if len(run_ids) == first.height else _ProjectSnapshot(snapshot, run_ids)


def n_stored(snapshot: SnapshotView, runs: Collection[str]) -> int:
    """Return how many points are stored of some runs, those that were overwritten or masked included.

    >>> n_stored(example()._view.logged, ["slow"])
    6
    """
    pieces = snapshot.pieces(None, ["metric", "n_raw"], runs)
    return int(pieces.filter(~pl.col("metric").is_in(PSEUDO))["n_raw"].sum())


class _ProjectSnapshot(WrappedSnapshot):
    """A snapshot in which there are no runs but some."""

    def __init__(self, inner: SnapshotView, run_ids: Collection[str]) -> None:
        self._run_ids = frozenset(run_ids)
        is_one = pl.col("run_id").is_in([*run_ids, LAKE_RUN])
        super().__init__(inner, inner.files.filter(is_one), inner.statements.restricted(is_one))

    def _within(self, runs: Collection[str] | None) -> Collection[str]:
        return self._run_ids if runs is None else self._run_ids.intersection(runs)

    def excerpts(self, runs: Collection[str] | None) -> list[tuple[SnapshotView, list[str]]]:
        """Return these runs (None: all) of the project in parts that can be sent to where tasks run."""
        return self._inner.excerpts(self._within(runs))

    def touched_since(self, earlier: SnapshotView) -> frozenset[str] | None:
        """Return the runs of which this and an earlier snapshot may say different things; None if that is not known."""
        if not isinstance(earlier, _ProjectSnapshot):
            return None
        touched = self._inner.touched_since(earlier._inner)  # noqa: SLF001 - of its own class
        present = self._run_ids | earlier._run_ids  # noqa: SLF001
        return None if touched is None else touched & (present | {LAKE_RUN})

    @cached_property
    def n_stored(self) -> int:
        """How many points are stored of these runs, those that were overwritten or masked included."""
        return n_stored(self._inner, list(self._run_ids))

    @cached_property
    def live_points(self) -> pl.DataFrame:
        """The points of these runs that are not in committed files yet."""
        return self._inner.live_points.filter(pl.col("run_id").is_in(list(self._run_ids)))

    def history_files(self, *, runs: Collection[str] | None = None) -> list[Path]:
        """Return the paths of the committed files of points that hold something of these runs, others' beside it."""
        return self._inner.history_files(runs=self._within(runs))

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs have, sorted."""
        return self._inner.metrics_of(self._within(runs))

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return the points of these runs as stored."""
        return self._inner.points(metrics, runs=self._within(runs))

    def pieces(self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None) -> pl.DataFrame:
        """Return the states of these runs as stored."""
        return self._inner.pieces(metrics, columns, self._within(runs))

    def comes_in_order(self, runs: Collection[str] | None) -> bool:
        """Tell whether `points` gives these runs in order of run, metric and step, as far as is known ahead."""
        return self._inner.comes_in_order(self._within(runs))
