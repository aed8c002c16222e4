"""The commit protocol as a state machine: whatever is done in whatever order, each row counts exactly once."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import tracklake as tl
from tracklake.storage.table import checkpoint, compaction, run_ranges, sealing, vacuum
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.snapshot_reader import SnapshotReader

RUNS = st.sampled_from("abc")
STEPS = st.integers(0, 5)


class Point(NamedTuple):
    """One logged value, and in which order."""

    order: int
    session: int
    metric: str
    step: int
    value: float


class ModelRun:
    """What was logged of a run: its sessions in the order in which they began, with what each rewound."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.begun: list[tuple[int, int, int | None]] = []
        """When each session began, its id, and the step it rewound to."""

    def counting(self) -> dict[tuple[str, int], float]:
        """The value of each (metric, step) that was logged last, of what no later session has masked."""
        cut: dict[int, int] = {}
        begun = sorted(self.begun)
        for place, (_, _, from_step) in enumerate(begun):
            if from_step is not None:
                for _, earlier, _ in begun[:place]:
                    cut[earlier] = min(from_step, cut.get(earlier, from_step))
        live = [p for p in self.points if p.step < cut.get(p.session, p.step + 1)]
        return {(p.metric, p.step): p.value for p in sorted(live)}


class Underway(NamedTuple):
    """A session that was written where nobody sees it: its file arrives later."""

    run_id: str
    journal: Path
    begun: tuple[int, int, int | None]
    points: list[Point]


class Protocol(RuleBasedStateMachine):
    """Writers, sealers, compactors, vacuum and readers over one lake, one action at a time, beside a model."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.lake = tl.open(self.place / "lake", create=True)
        self.model: dict[str, ModelRun] = {}
        self.open: list[tuple[str, int, tl.Run]] = []
        self.deleted: set[str] = set()
        self.purged: set[str] = set()
        self.underway: list[Underway] = []
        self.purged: set[str] = set()
        self.count = itertools.count()
        self.old: list[tuple[object, pl.DataFrame]] = []
        self.versions: dict[int, pl.DataFrame] = {}

    def teardown(self) -> None:
        for _, _, run in self.open:
            run.finish()
        assert self.lake.check(full=True).findings == []
        shutil.rmtree(self.place)

    def expected(self) -> pl.DataFrame:
        rows = [
            (run_id, metric, step, value)
            for run_id, run in self.model.items()
            if run_id not in self.deleted
            for (metric, step), value in run.counting().items()
        ]
        schema = {"run_id": pl.String, "metric": pl.String, "step": pl.Int64, "value": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row").sort("run_id", "metric", "step")

    def begin(self, run_id: str, from_step: int | None, *, place: Path | None = None) -> tl.Run:
        return tl.init(
            "p",
            id=run_id,
            resume="allow",
            from_step=from_step,
            dir=place or self.lake.dir,
            reinit="create_new",
            settings={"metadata": False},
        )

    def log(self, run_id: str, run: tl.Run, step: int, metric: str) -> None:
        self.model[run_id].points.append(self.logged(run, step, metric))

    def logged(self, run: tl.Run, step: int, metric: str) -> Point:
        order = next(self.count)
        run.log({metric: float(order)}, step=step)
        return Point(order, run._session.journal.session, metric, step, float(order))

    def cut_step(self, run_id: str, step: int, *, rewind: bool) -> int | None:
        """The step a new session may rewind to."""
        points = self.model[run_id].counting() if run_id in self.model else {}
        is_live = any(run_id == other for other, _, _ in self.open)
        return min(step, max(s for _, s in points) + 1) if rewind and points and not is_live else None

    @precondition(lambda self: len(self.open) < 3)
    @rule(run_id=RUNS, rewind=st.booleans(), step=STEPS)
    def a_session_begins(self, run_id: str, step: int, *, rewind: bool) -> None:
        if run_id in self.deleted:
            return
        from_step = self.cut_step(run_id, step, rewind=rewind)
        order, run = next(self.count), self.begin(run_id, from_step)
        session = run._session.journal.session
        self.model.setdefault(run_id, ModelRun()).begun.append((order, session, from_step))
        self.open.append((run_id, session, run))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), step=STEPS, metric=st.sampled_from("xy"))
    def a_row_is_logged(self, which: int, step: int, metric: str) -> None:
        run_id, _, run = self.open[which % len(self.open)]
        self.log(run_id, run, step, metric)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), killed=st.booleans())
    def a_session_ends(self, which: int, *, killed: bool) -> None:
        _, _, run = self.open.pop(which % len(self.open))
        if killed:  # as kill -9 leaves it: without a word, its lock free
            run._session.after_fork()
        run.finish()

    @rule(run_id=RUNS, steps=st.lists(STEPS, min_size=1, max_size=3), rewind=st.booleans(), step=STEPS)
    def a_session_is_written_elsewhere(self, run_id: str, steps: list[int], step: int, *, rewind: bool) -> None:
        """On a copy of the lake as it is now: what it rewinds and writes over is seen only when its file arrives."""
        if run_id in self.deleted:
            return
        from_step = self.cut_step(run_id, step, rewind=rewind)
        elsewhere = Path(tempfile.mkdtemp(dir=self.place)) / "lake"
        shutil.copytree(self.lake.dir, elsewhere)
        before = set((elsewhere / "journal").iterdir())
        order, run = next(self.count), self.begin(run_id, from_step, place=elsewhere)
        begun = (order, run._session.journal.session, from_step)
        points = [self.logged(run, step, "x") for step in steps]
        run.finish()
        (journal,) = set((elsewhere / "journal").iterdir()) - before
        self.underway.append(Underway(run_id, journal, begun, points))

    @precondition(lambda self: self.underway)
    @rule(which=st.integers(0, 9))
    def a_journal_comes_late(self, which: int) -> None:
        """The file of such a session arrives, however long after."""
        late = self.underway.pop(which % len(self.underway))
        shutil.move(late.journal, self.place / "lake" / "journal" / late.journal.name)
        run = self.model.setdefault(late.run_id, ModelRun())
        run.begun.append(late.begun)
        run.points += late.points

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), steps=st.lists(STEPS, min_size=2, max_size=3))
    def a_live_session_is_sealed_and_merged(self, which: int, steps: list[int]) -> None:
        """Its one file lies in several partitions, which become one: the watermark is all that tells how far."""
        run_id, _, run = self.open[which % len(self.open)]
        for step in steps:
            self.log(run_id, run, step, "x")
            self.journals_are_sealed(live=True)
        self.partitions_are_merged(everything=True)

    @rule(live=st.booleans())
    def journals_are_sealed(self, *, live: bool) -> None:
        sealing.seal(Catalog(self.lake._storage), live=live)
        if live:
            version = Catalog(self.lake._storage).refresh().number
            self.versions.setdefault(version, self.expected())

    @rule(everything=st.booleans())
    def partitions_are_merged(self, *, everything: bool) -> None:
        catalog = Catalog(self.lake._storage)
        compaction.compact(catalog) if everything else compaction.compact_a_step(catalog)

    @rule()
    def a_week_passes_and_vacuum_runs(self) -> None:
        now = time.time()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vacuum.time, "time", lambda: now + 8 * 86_400)
            vacuum.vacuum(Catalog(self.lake._storage), older_than=timedelta(days=7))
        self.old, self.versions = [], {}
        self.purged |= self.deleted  # what they had is gone for good

    @rule()
    def vacuum_runs(self) -> None:
        """At once: all that old readers and versions need is too young to go."""
        vacuum.vacuum(Catalog(self.lake._storage), older_than=timedelta(0))
        self.purged |= self.deleted  # what was sealed of them is gone for good

    @rule(run_id=RUNS)
    def a_run_is_deleted_or_restored(self, run_id: str) -> None:
        if run_id in self.purged:
            return
        if run_id in self.deleted:
            self.lake.restore(run_id)
            self.deleted.remove(run_id)
        elif run_id in self.model and not any(run_id == other for other, _, _ in self.open):
            self.lake.delete(run_id)
            self.deleted.add(run_id)
        self.versions = {}

    @rule()
    def a_reader_keeps_its_snapshot(self) -> None:
        self.old.append((SnapshotReader(self.lake._storage).snapshot(), self.expected()))

    @invariant()
    def every_reader_sees_each_row_once(self) -> None:
        expected = self.expected()
        for lake in (self.lake, tl.open(self.lake.dir)):
            found = lake.history().select("run_id", "metric", "step", "value")
            assert found.rows() == expected.rows()
            stored = lake.history(raw=True)["value"]  # no value is logged twice
            assert stored.is_unique().all()
            numbers = expected.group_by("run_id", "metric").agg(pl.len().alias("n"), pl.col("value").max().alias("max"))
            states = lake._view.snapshot.states(["x", "y"], columns=["n", "max"]).select("run_id", "metric", "n", "max")
            assert sorted(states.rows()) == sorted(numbers.rows())

    @invariant()
    def what_was_seen_is_seen_again(self) -> None:
        for snapshot, expected in self.old[-3:]:
            found = snapshot.resolved(["x", "y"]).select("run_id", "metric", "step", "value")
            assert found.sort("run_id", "metric", "step").rows() == expected.rows()
        for version, expected in list(self.versions.items())[-2:]:
            found = self.lake.at(version).history().select("run_id", "metric", "step", "value")
            assert found.rows() == expected.rows()


def run_machine(examples: int, steps: int) -> None:
    machine = Protocol.TestCase
    machine.settings = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(checkpoint, "EVERY", 3)
        patch.setattr(compaction, "FAN_IN", 2)
        patch.setattr(run_ranges, "CHUNK_POINTS", 4)
        machine().runTest()


def test_any_order_of_actions():
    """Seals, merges, checkpoints, vacuum, late journals, rewinds, deletions and old readers in any order."""
    run_machine(examples=6, steps=25)


@pytest.mark.long
def test_many_orders_of_actions():
    """The same, much longer."""
    run_machine(examples=300, steps=40)
