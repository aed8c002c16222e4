"""Several snapshots as one: the runs of several lakes side by side, each summarized as in its own lake.

A run whose id a run of another lake has as well is called `id@lake` here. A run that several lakes hold (the same
session, as after `Lake.merge` or in a copy) is there once: that of the lake in which something was said of it last.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from tracklake.query.project_snapshot import n_stored
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN, POINTS
from tracklake.storage.table.delta_log import Version
from tracklake.storage.table.snapshot_view import SnapshotView
from tracklake.storage.table.statement_log import StatementLog

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


@dataclass(frozen=True)
class Member:
    """One lake of a federation: its snapshot, and the id here of each run that is shown, by its id there."""

    lake: str
    snapshot: SnapshotView
    names: Mapping[str, str]

    @cached_property
    def is_complete(self) -> bool:
        """Whether all of its runs are shown.

        >>> Member("lake", example()._view.logged, {"slow": "slow"}).is_complete  # and fast is not
        False
        """
        return set(self.snapshot.sessions["run_id"].unique()) - {LAKE_RUN} == self.names.keys()

    @cached_property
    def stored_ids(self) -> dict[str, str]:
        """The id there of each run, by its id here.

        >>> Member("lake", example()._view.logged, {"slow": "slow@lake"}).stored_ids
        {'slow@lake': 'slow'}
        """
        return {name: run_id for run_id, name in self.names.items()}

    def chosen(self, runs: Collection[str] | None) -> list[str] | None:
        """Return the ids there of these runs (None: all that are shown); None where all that are there are meant.

        >>> Member("lake", example()._view.logged, {"slow": "slow@lake"}).chosen(["slow@lake", "other"])
        ['slow']
        """
        if runs is None:
            return None if self.is_complete else list(self.names)
        return [self.stored_ids[run_id] for run_id in runs if run_id in self.stored_ids]

    @cached_property
    def renames(self) -> dict[str, str]:
        """The ids that are others here.

        >>> Member("lake", example()._view.logged, {"slow": "slow@lake", "fast": "fast"}).renames
        {'slow': 'slow@lake'}
        """
        return {run_id: name for run_id, name in self.names.items() if run_id != name}

    @property
    def n_stored(self) -> int:
        """How many points are stored of the runs that are shown.

        >>> Member("lake", example()._view.logged, {"slow": "slow"}).n_stored
        6
        """
        if self.is_complete:
            return self.snapshot.n_stored
        return n_stored(self.snapshot, list(self.names))

    def shown(self, frame: Frame) -> Frame:
        """Return the rows of runs that are shown, under their ids here.

        >>> member = Member("lake", example()._view.logged, {"slow": "slow@lake"})
        >>> member.shown(pl.DataFrame({"run_id": ["slow", "fast"]}))["run_id"].to_list()
        ['slow@lake']
        """
        if not self.is_complete:
            frame = frame.filter(pl.col("run_id").is_in(list(self.names)))
        return self.renamed(frame)

    def renamed(self, frame: Frame) -> Frame:
        """Return rows of runs that are shown under their ids here.

        >>> member = Member("lake", example()._view.logged, {"slow": "slow@lake"})
        >>> member.renamed(pl.DataFrame({"run_id": ["slow"]}))["run_id"].to_list()
        ['slow@lake']
        """
        return frame.with_columns(pl.col("run_id").replace(self.renames)) if self.renames else frame


def members(snapshots: Mapping[str, SnapshotView]) -> list[Member]:
    """Return which runs of each lake are shown, and what they are called.

    >>> snapshot = example()._view.logged
    >>> [member.names for member in members({"lake": snapshot, "copy": snapshot})]  # a copy is there once
    [{'slow': 'slow', 'fast': 'fast'}, {}]
    """
    sessions = pl.concat(
        snapshot.sessions.filter(pl.col("run_id") != LAKE_RUN).select("run_id", "session", "last", lake=pl.lit(lake))
        for lake, snapshot in snapshots.items()
    )
    newest = sessions.with_columns(pl.col("last").max().over("lake", "run_id").alias("said"))
    newest = newest.sort("said", descending=True, maintain_order=True)  # of equal ones the lake that is named first
    first = newest.unique("session", keep="first", maintain_order=True).select("session", owner="lake")
    copies = newest.join(first, on="session").filter(pl.col("lake") != pl.col("owner"))
    runs = sessions.unique(["lake", "run_id"], maintain_order=True)
    runs = runs.join(copies, on=["lake", "run_id"], how="anti", maintain_order="left")
    clashing = set(runs.filter(pl.col("run_id").is_duplicated())["run_id"])
    names: dict[str, dict[str, str]] = {lake: {} for lake in snapshots}
    used_names = set(runs["run_id"])
    for run_id, lake in runs.select("run_id", "lake").iter_rows():
        name = run_id
        while run_id in clashing and name in used_names:
            name = f"{name}@{lake.replace('/', '_')}"
        names[lake][run_id] = name
    return [Member(lake, snapshot, names[lake]) for lake, snapshot in snapshots.items()]


class FederatedSnapshot(SnapshotView):
    """The snapshots of several lakes as one; what lakes say of themselves holds for their own runs."""

    def __init__(self, snapshots: Mapping[str, SnapshotView]) -> None:
        """`snapshots` are in the order in which the lakes were named, by names that differ."""
        self.members = members(snapshots)
        partitions = {
            f"{member.lake}/{key}": partition
            for member in self.members
            for key, partition in member.snapshot.version.partitions.items()
        }
        version = Version(-1, timestamp=max(s.version.timestamp for s in snapshots.values()), partitions=partitions)
        super().__init__(version, self._of_runs("files"), _FederatedLog(self.members))
        self.lake_of_run = {name: member.lake for member in self.members for name in member.names.values()}

    def _of_runs(self, name: str) -> pl.DataFrame:
        """Return a frame of the snapshots, of the runs that are shown."""
        frames: list[pl.DataFrame] = [member.shown(getattr(member.snapshot, name)) for member in self.members]
        return pl.concat(frames)

    def touched_since(self, earlier: SnapshotView) -> frozenset[str] | None:
        """Return the runs of which this and an earlier snapshot may say different things; None if that is not known.

        >>> logged = example()._view.logged
        >>> FederatedSnapshot({"lake": logged}).touched_since(logged) is None
        True
        """
        if not isinstance(earlier, FederatedSnapshot) or self.lake_of_run != earlier.lake_of_run:
            return None
        touched: set[str] = set()
        for now, before in zip(self.members, earlier.members, strict=True):
            runs = frozenset() if now.snapshot is before.snapshot else now.snapshot.touched_since(before.snapshot)
            if runs is None or now.names != before.names:
                return None
            touched |= {now.names[run_id] for run_id in runs if run_id in now.names}
        return frozenset(touched)

    def statements_of_lakes(self, *kinds: StatementKind) -> pl.DataFrame:
        """Return what each lake says itself in statements of these kinds, in order; see `SnapshotView`.

        >>> lake = example()
        >>> lake.define_metric("loss", goal="min")
        >>> both = FederatedSnapshot({"here": lake._view.logged})
        >>> both.statements_of_lakes(StatementKind.DEFINE).select("key", "lake").rows()
        [('loss', 'here')]
        """
        own = [m.snapshot.statements_of_lakes(*kinds).with_columns(lake=pl.lit(m.lake)) for m in self.members]
        return pl.concat(own).sort("ts", "session", maintain_order=True)

    @property
    def left_out(self) -> list[str]:
        """What is left out because files cannot be read, a sentence each.

        >>> FederatedSnapshot({"lake": example()._view.logged}).left_out
        []
        """
        return [sentence for member in self.members for sentence in member.snapshot.left_out]

    @cached_property
    def n_stored(self) -> int:
        """How many points are stored of the runs that are shown, those that were overwritten or masked included.

        >>> FederatedSnapshot({"lake": example()._view.logged}).n_stored
        12
        """
        return sum(member.n_stored for member in self.members)

    @property
    def alive(self) -> pl.DataFrame:
        """run_id, session of the sessions whose process shows life.

        >>> FederatedSnapshot({"lake": example()._view.logged}).alive.height
        0
        """
        return self._of_runs("alive")

    @cached_property
    def live_points(self) -> pl.DataFrame:
        """The points that are not in committed files yet, as logged (schema POINTS).

        >>> FederatedSnapshot({"lake": example()._view.logged}).live_points.height
        12
        """
        return self._of_runs("live_points")

    def _asked(self, runs: Collection[str] | None) -> Sequence[tuple[Member, list[str] | None]]:
        """Return the lakes that have some of these runs, with the ids there."""
        chosen = ((member, member.chosen(runs)) for member in self.members)
        return [(member, ids) for member, ids in chosen if ids is None or ids]

    def history_files(self, *, runs: Collection[str] | None = None) -> list[Path]:
        """Return the paths of the committed files of points that hold something of these runs.

        >>> FederatedSnapshot({"lake": example()._view.logged}).history_files()
        []
        """
        return [path for m, ids in self._asked(runs) for path in m.snapshot.history_files(runs=ids)]

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs (None: any) have logged, sorted.

        >>> FederatedSnapshot({"lake": example()._view.logged}).metrics_of(["fast"])[-2:]
        ['acc', 'loss']
        """
        return sorted({name for m, ids in self._asked(runs) for name in m.snapshot.metrics_of(ids)})

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return the points as stored, overwritten and masked ones too (schema POINTS), unsorted.

        >>> both = FederatedSnapshot({"lake": example()._view.logged})
        >>> both.points(["loss"], runs=["fast"]).select(pl.col("value").sum()).collect().item()
        2.0
        """
        frames = [m.renamed(m.snapshot.points(metrics, runs=ids)) for m, ids in self._asked(runs)]
        return pl.concat(frames) if frames else pl.LazyFrame(schema=POINTS)

    def pieces(self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None) -> pl.DataFrame:
        """Return the states of each (run_id, metric) as stored, one a session and partition, not merged.

        >>> FederatedSnapshot({"lake": example()._view.logged}).pieces(["loss"], ["n"], None).rows()
        [(3,), (3,)]
        """
        frames = [(m, m.snapshot.pieces(metrics, columns, ids)) for m, ids in self._asked(runs)]
        if not frames:
            return self.members[0].snapshot.pieces(metrics, columns, [])
        return pl.concat(m.renamed(frame) if "run_id" in columns else frame for m, frame in frames)

    def comes_in_order(self, runs: Collection[str] | None) -> bool:
        """Tell whether `points` gives these runs in order: where one lake has them all, under their own ids.

        >>> FederatedSnapshot({"lake": example()._view.logged}).comes_in_order(None)  # nothing is sealed
        False
        """
        members = self._asked(runs)
        return len(members) == 1 and not members[0][0].renames and members[0][0].snapshot.comes_in_order(members[0][1])


class _FederatedLog(StatementLog):
    """The statements of several lakes, of the runs that are shown."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members

    def of(
        self, *kinds: StatementKind, keys: Collection[str] | None = None, runs: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Return the statements of these kinds, keys and runs, under the ids here."""
        frames = []
        for member in self._members:
            statements = member.snapshot.statements.of(*kinds, keys=keys, runs=member.chosen(runs))
            frames.append(_with_parents(member, member.shown(statements)))
        return pl.concat(frames)

    def read_ahead(self, *kinds: StatementKind, keys: Collection[str]) -> None:
        """Read the statements of several keys, lake by lake."""
        for member in self._members:
            member.snapshot.statements.read_ahead(*kinds, keys=keys)

    def keys(self, *kinds: StatementKind) -> list[str]:
        """Return the keys that statements of these kinds have in any lake."""
        return sorted({key for member in self._members for key in member.snapshot.statements.keys(*kinds)})


def _with_parents(member: Member, statements: pl.DataFrame) -> pl.DataFrame:
    """Give the runs from which others were forked their ids here."""
    if not member.renames:
        return statements
    names_parent = (pl.col("op") == StatementKind.SESSION) & (pl.col("key") == "parent")
    named = pl.when(names_parent).then(pl.col("text").replace(member.renames)).otherwise("text")
    return statements.with_columns(named.alias("text"))
