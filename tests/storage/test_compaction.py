"""Compaction: fewer partitions with the same answers, whoever does it and whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import compaction, recomputation, rewriting, run_ranges, sealing
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.delta_actions import Partition
from tracklake.storage.table.rewriting import Rewrite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def sealed_runs(place: Path, *names: str) -> tl.Lake:
    """A lake with one partition a run: late rows, a rewind, texts, edits and two projects among them."""
    lake = tl.open(place, create=True)
    for i, name in enumerate(names):
        with tl.init(f"p{i % 2}", id=name, config={"lr": 0.1 * i}, dir=place) as run:
            for step in range(4):
                run.log({"loss": float(step + i), "note": f"s{step}", "n": step})
            run.log({"loss": -1.0}, step=1)
            run.summary["by_hand"] = i
        with tl.init(id=name, resume="must", from_step=3, dir=place) as run:
            run.log({"loss": 9.0})
        lake.refresh()
    return lake


def answers(lake: tl.Lake) -> list[pl.DataFrame]:
    return [
        lake.runs(order_by="run_id"),
        lake.history().sort("run_id", "metric", "step"),
        lake.summaries(["loss.min", "loss.mean", "loss.std", "note.last", "n.sum", "_step.max"]).sort("run_id"),
        lake.sql("SELECT * FROM history ORDER BY run_id, metric, step"),
        lake.sql("SELECT run_id, session, start FROM sessions ORDER BY ALL"),
    ]


def test_answers_stay_the_same(tmp_path: Path):
    """Of five partitions becomes one, cut by no range; what was overwritten or rewound is gone from the raw points."""
    lake = sealed_runs(tmp_path, *"bdace")
    before, raw = answers(lake), lake.history("loss", raw=True).height
    assert lake._view.snapshot.n_stored == 5 * 14
    done = compaction.compact(Catalog(lake._storage))
    assert (done.steps, done.merged, done.written) == (1, 5, 1)
    for old, new in zip(before, answers(lake), strict=True):
        assert old.equals(new)
    assert (raw, lake.history("loss", raw=True).height) == (30, 20)
    assert lake.check(full=True).findings == []
    assert compaction.compact(Catalog(lake._storage)).steps == 0


def test_partitions_are_cut_between_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is written is cut by ranges of run ids, none larger than allowed; a chunk holds whole runs."""
    lake = sealed_runs(tmp_path, *"bdace")
    before = answers(lake)
    monkeypatch.setattr(rewriting, "MAX_POINTS", 32)
    monkeypatch.setattr(run_ranges, "CHUNK_POINTS", 15)
    catalog = Catalog(lake._storage)
    plan = Rewrite(list(catalog.refresh().partitions.values()), level=3)
    assert compaction.run(catalog, plan).written == 3
    runs = sorted(sorted(set(r.files["run_id"])) for r in catalog.records_by_partition.values())
    assert runs == [["a", "b"], ["c", "e"], ["d"]]  # in order of project and run
    assert all(part.n_points <= 32 for part in catalog.version.partitions.values())
    for old, new in zip(before, answers(lake), strict=True):
        assert old.equals(new)
    assert lake.check(full=True).findings == []


def test_whoever_is_second_discards(tmp_path: Path):
    """Two compactors with the same plan: one commits, the other leaves no file."""
    lake = sealed_runs(tmp_path, "a", "b")
    first, second = Catalog(lake._storage), Catalog(lake._storage)
    plans = [Rewrite(list(catalog.refresh().partitions.values()), level=3) for catalog in (first, second)]
    assert compaction.run(first, plans[0]).written == 1
    files = sorted(tmp_path.glob("*/part-*.parquet"))
    assert compaction.run(second, plans[1]) is None
    assert sorted(tmp_path.glob("*/part-*.parquet")) == files
    assert lake.check(full=True).findings == []


def test_damage_gets_no_sound_checksum(tmp_path: Path):
    """A partition whose bytes are not those of its commit is not merged."""
    lake = sealed_runs(tmp_path, "a", "b")
    part = next((tmp_path / "history").glob("*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(LakeError, match="is damaged: its checksum is not the one of its commit"):
        compaction.compact(Catalog(lake._storage))
    assert len(list((tmp_path / "history").glob("*.parquet"))) == 2


def test_several_sessions_at_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both points stay until the run is settled: a late journal could still mask the one that counts."""
    lake = tl.open(tmp_path, create=True)
    for value in (1.0, 2.0):
        with tl.init("p", id="r", resume="allow", dir=tmp_path) as run:
            run.log({"a": value}, step=5)
        lake.refresh()
    catalog = Catalog(lake._storage)
    for seconds, resolved in ((rewriting.SETTLED_SECONDS, 0), (-1, 1)):
        monkeypatch.setattr(rewriting, "SETTLED_SECONDS", seconds)
        plan = Rewrite(list(catalog.refresh().partitions.values()), level=1)
        assert compaction.run(catalog, plan).resolved == resolved
        assert lake.history("a")["value"].to_list() == [2.0]
    assert lake.history("a", raw=True)["value"].to_list() == [2.0]


def test_a_step_merges_the_oldest_of_the_lowest_level():
    """Eight small ones of a level make one of the next; large ones are left to `compact`."""
    parts = [Partition(str(i), n_points=100, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)) for i in range(17)]
    large = Partition("large", n_points=4_000_000, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3))
    plan = compaction.plan_step([large, *parts])
    assert ([part.id for part in plan.inputs], plan.level) == ([*"01234567"], 1)
    assert compaction.plan_step([large, *parts[:7]]) is None


def test_a_step_is_small_however_large_the_runs_are():
    """Of eight partitions that are too much for one step it takes the oldest: so many as it can, but four at least."""
    for n, chosen in ((640_000, 7), (1_250_000, 4)):
        parts = [Partition(str(i), n_points=n, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)) for i in range(8)]
        assert len(compaction.plan_step(parts).inputs) == chosen


def test_one_that_is_far_smaller_waits():
    """A small partition among large ones that are alike keeps nobody from merging these."""
    sizes = {"small": 100, "a": 9_000_000, "b": 9_000_000}
    parts = [Partition(name, n_points=n, created=0, sizes=(n, 5, 3), crcs=(1, 2, 3)) for name, n in sizes.items()]
    assert [part.id for part in compaction.plan_all(parts).inputs] == ["a", "b"]


class Interrupt:
    """Lets the storage raise at one of its calls, before the deed or after it."""

    CALLS = ("list", "read", "stage", "publish", "put_if_absent", "delete")

    def __init__(self, patch: pytest.MonkeyPatch, error: type[BaseException], at: int, *, after: bool) -> None:
        self.error, self.left, self.after = error, at, after
        for name in self.CALLS:
            patch.setattr(LocalStorage, name, self.wrap(getattr(LocalStorage, name)))

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def interrupted(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise self.error
            answer = call(*args, **options)
            if self.left == 0:
                raise self.error
            return answer

        return interrupted


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """A lake of two partitions, which is only copied."""
    return sealed_runs(tmp_path_factory.mktemp("two") / "lake", "a", "b")


@pytest.fixture(scope="module")
def asked() -> set[tuple[tuple[str, int], ...]]:
    """The files of the lakes that were asked already, by folder and size: many interrupts leave the same behind."""
    return set()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupted_anywhere_the_lake_reads_the_same(
    tmp_path: Path,
    two_runs: tl.Lake,
    asked: set[tuple[tuple[str, int], ...]],
    error: type[BaseException],
    *,
    after: bool,
):
    """Whichever call to the disk fails or is interrupted, before the deed or after it; merged again, it is done."""
    before = answers(two_runs)
    for at in itertools.count(1):
        place = shutil.copytree(two_runs.dir, tmp_path / str(at))
        with pytest.MonkeyPatch.context() as patch:
            interrupt = Interrupt(patch, error, at, after=after)
            with contextlib.suppress(error, LakeError):
                compaction.compact(Catalog(LocalStorage(place)))
        files = tuple(sorted((p.parent.name, p.stat().st_size) for p in place.rglob("*") if p.is_file()))
        if files in asked and interrupt.left <= 0:
            continue
        asked.add(files)
        lake = tl.open(place)
        for old, new in zip(before, answers(lake), strict=True):
            assert old.equals(new)
        compaction.compact(Catalog(lake._storage))
        assert (lake.describe().partitions, lake.check(full=True).findings) == (1, [])
        if interrupt.left > 0:  # it was through before
            break
    assert at > 10


def test_states_are_carried_over_or_computed_anew(tmp_path: Path):
    """Of runs that lie whole in one partition they stay as they are; of a session that was cut they are computed."""
    lake = tl.open(tmp_path, create=True)
    long = tl.init("p", id="long", dir=tmp_path)
    for name in "ab":
        with tl.init("p", id=name, dir=tmp_path, reinit="create_new") as run:
            for step in range(5):
                run.log({"loss": 0.1 * step}), long.log({"loss": 0.3 * step})
        sealing.seal(Catalog(lake._storage), live=True)
    long.finish()
    lake.refresh()
    before = pl.concat([pl.read_parquet(file) for file in tmp_path.glob("states/*.parquet")])
    lake.compact()
    (part,) = lake._view.snapshot.version.partitions.values()
    after = pl.read_parquet(tmp_path / part.states)
    of_short = [frame.filter(pl.col("run_id") != "long").sort("metric", "run_id") for frame in (before, after)]
    assert of_short[0].equals(of_short[1])
    assert (before.filter(run_id="long", metric="loss").height, after.filter(run_id="long", metric="loss").height) == (
        2,
        1,
    )
    again = pl.concat(recomputation.states_of(lake._storage, part))
    assert again.sort("metric", "run_id").equals(after)
