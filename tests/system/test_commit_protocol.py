"""The commit protocol as a state machine: whatever is done in whatever order, each row counts exactly once."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
import warnings
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
        self.begun: list[tuple[int, int | None]] = []

    def counting(self) -> dict[tuple[str, int], float]:
        """The value of each (metric, step) that was logged last, of what no later session has masked."""
        cut: dict[int, int] = {}
        for place, (_, from_step) in enumerate(self.begun):
            if from_step is not None:
                for earlier, _ in self.begun[:place]:
                    cut[earlier] = min(from_step, cut.get(earlier, from_step))
        live = [p for p in self.points if p.step < cut.get(p.session, p.step + 1)]
        return {(p.metric, p.step): p.value for p in sorted(live)}


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
        run = tl.init(
            "p",
            id=run_id,
            resume="allow",
            from_step=from_step,
            dir=place or self.lake.dir,
            reinit="create_new",
            settings={"metadata": False},
        )
        self.model.setdefault(run_id, ModelRun()).begun.append((run._session.journal.session, from_step))
        return run

    def log(self, run_id: str, run: tl.Run, step: int, metric: str) -> None:
        order = next(self.count)
        run.log({metric: float(order)}, step=step)
        point = Point(order, run._session.journal.session, metric, step, float(order))
        self.model[run_id].points.append(point)

    @precondition(lambda self: len(self.open) < 3)
    @rule(run_id=RUNS, rewind=st.booleans(), step=STEPS)
    def a_session_begins(self, run_id: str, step: int, *, rewind: bool) -> None:
        if run_id in self.deleted:
            return
        points = self.model[run_id].counting() if run_id in self.model else {}
        is_live = any(run_id == other for other, _, _ in self.open)
        from_step = min(step, max(s for _, s in points) + 1) if rewind and points and not is_live else None
        run = self.begin(run_id, from_step)
        self.open.append((run_id, run._session.journal.session, run))

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

    @rule(run_id=RUNS, steps=st.lists(STEPS, min_size=1, max_size=3))
    def a_journal_comes_late(self, run_id: str, steps: list[int]) -> None:
        """A session was written where nobody saw it, and its file arrives long after."""
        if run_id in self.deleted:
            return
        elsewhere = Path(tempfile.mkdtemp(dir=self.place))
        run = self.begin(run_id, None, place=elsewhere)
        for step in steps:
            self.log(run_id, run, step, "x")
        run.finish()
        (journal,) = (elsewhere / "journal").iterdir()
        shutil.move(journal, self.place / "lake" / "journal" / journal.name)

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
            vacuum.vacuum(Catalog(self.lake._storage))
        self.old, self.versions = [], {}
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
