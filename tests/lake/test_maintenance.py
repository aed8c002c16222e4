"""Vacuum, versions, the lake as it was, deleted runs."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import made_once
import pytest

import tracklake as tl
from tracklake.errors import LakeError, RunError, RunExistsError, RunNotFoundError
from tracklake.storage.table import compaction, delta_log, vacuum
from tracklake.storage.table.rewriting import Rewrite

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)


@made_once.lake
def lake(folder: Path) -> None:
    """A lake of three runs, each sealed by itself."""
    lake = tl.open(folder, create=True)
    for i, name in enumerate("abc"):
        with tl.init("p", id=name, config={"i": i}, dir=lake.dir) as run:
            run.log({"loss": float(i)})
        lake.refresh()


def files(lake: tl.Lake) -> int:
    return sum(1 for path in lake._storage.root.rglob("part-*.parquet"))


def days_later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """Let the clock of vacuum be so many days ahead."""
    now = time.time
    monkeypatch.setattr(vacuum.time, "time", lambda: now() + days * 86_400)


def test_what_was_replaced_goes_after_its_age(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """The files of merged partitions stay for a week, or as long as is said but never less than a day."""
    lake.compact()
    assert (files(lake), lake.vacuum(older_than=timedelta(0)).files) == (12, 0)
    days_later(monkeypatch, 6)
    assert lake.vacuum().files == 0
    assert lake.vacuum(older_than=5 * DAY, dry_run=True).files == 9
    assert (files(lake), lake.vacuum(older_than=5 * DAY).files, files(lake)) == (12, 9, 3)
    assert lake.summaries("loss").rows() == [("a", 0.0), ("b", 1.0), ("c", 2.0)]
    assert lake.check(full=True).findings == []


def test_orphans_go_after_a_day(lake: tl.Lake):
    """A file that no commit names may belong to a seal that is under way."""
    young, old = (lake._storage.root / f"states/part-{name}.parquet" for name in ("young", "old"))
    for path, hours in ((young, 23), (old, 25)):
        path.write_bytes(b"x")
        os.utime(path, (0, time.time() - hours * 3600))
    assert lake.vacuum() == (1, 1, 0)
    assert (young.exists(), old.exists()) == (True, False)


def test_the_lake_as_it_was(lake: tl.Lake):
    """A number or a time names a version; later runs, definitions and edits are not in it."""
    moments = lake.versions()["time"]
    lake.run("a").summary["note"] = "later"
    lake.define_metric("loss", summary="max")
    lake.compact()
    assert [lake.at(v).runs()["run_id"].to_list() for v in range(4)] == [[], ["a"], ["a", "b"], ["a", "b", "c"]]
    assert lake.at(2).summaries("loss.max").rows() == [("a", 0.0), ("b", 1.0)]
    assert lake.at(moments[2]).runs().height == 2
    assert lake.at(moments[3].isoformat()).sql("SELECT count(*) AS n FROM history").item() == 3
    assert "summary.note" not in lake.at(3).runs().columns
    with pytest.raises(LakeError, match="has no version 9; the newest of those before is 4"):
        lake.at(9)
    with pytest.raises(LakeError, match="nothing was sealed yet at 1999"):
        lake.at("1999-01-01")


def test_the_past_takes_nothing(lake: tl.Lake):
    """Whatever would write says that this is the past, and nothing is changed."""
    past = lake.at(2)
    for act in (
        lambda: past.define_metric("loss", summary="min"),
        lambda: past.delete("a"),
        lambda: past.run("a").summary.update({"x": 1}),
        past.compact,
    ):
        with pytest.raises(LakeError, match=r"nothing can be written: this is version 2 of .* as it was"):
            act()
    assert past.runs().height == 2


def test_a_version_that_was_vacuumed(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """It names the file that is gone."""
    lake.compact()
    days_later(monkeypatch, 8)
    lake.vacuum()
    assert lake.at(4).runs().height == 3
    with pytest.raises(LakeError, match=r"version 3 was vacuumed: .*part-.*\.parquet is gone"):
        lake.at(3)


def test_a_snapshot_whose_files_were_vacuumed_says_so_and_the_next_look_answers(
    lake: tl.Lake, monkeypatch: pytest.MonkeyPatch
):
    """What was held for days names its version; the lake itself takes the newest, also where it read the log before."""
    held = lake._view.logged
    open_before = tl.open(lake.dir)
    read_before = open_before._reader.catalog.log.read()
    lake.compact()
    days_later(monkeypatch, 8)
    lake.vacuum()
    with pytest.raises(LakeError, match=r"version 3 was vacuumed: .*part-.*\.parquet is gone"):
        held.pieces(None, ["n"], None)
    versions = iter([read_before])
    read = delta_log.DeltaLog.read
    monkeypatch.setattr(delta_log.DeltaLog, "read", lambda log, **options: next(versions, None) or read(log, **options))
    assert open_before.runs().height == 3


def test_versions_say_what_made_them(lake: tl.Lake):
    """One row a version, with what it added, removed and holds."""
    lake.compact()
    table = lake.versions()
    assert table.select("version", "operation", "added", "removed", "partitions", "points").rows() == [
        (0, "CREATE TABLE", 0, 0, 0, 0),
        (1, "SEAL", 1, 0, 1, 1),
        (2, "SEAL", 1, 0, 2, 2),
        (3, "SEAL", 1, 0, 3, 3),
        (4, "OPTIMIZE", 1, 3, 1, 3),
    ]
    assert table["time"].is_sorted()
    assert table["time"][-1] <= datetime.now(UTC)


def test_a_deleted_run_is_nowhere(lake: tl.Lake):
    """In no table, series, view, list of metrics or file of an export; restored, all of it is there again."""
    with tl.init("p", id="d", dir=lake.dir) as run:  # not sealed
        run.log({"only_d": 1.0, "loss": 7.0})
    before = lake.runs(), lake.history(), lake.sql("SELECT run_id, count(*) AS n FROM points GROUP BY ALL ORDER BY ALL")
    assert lake.delete(["b", "d"]) == 2
    assert lake.runs()["run_id"].to_list() == ["a", "c"]
    assert lake.history("loss")["run_id"].to_list() == ["a", "c"]
    assert lake.history(raw=True)["run_id"].unique().sort().to_list() == ["a", "c"]
    assert lake.summaries("loss").rows() == [("a", 0.0), ("c", 2.0)]
    for view in ("runs", "history", "points", "summaries", "sessions", "config"):
        assert lake.sql(f"SELECT DISTINCT run_id FROM {view} ORDER BY run_id")["run_id"].to_list() == ["a", "c"], view
    assert "only_d" not in lake._view.snapshot.metrics
    with pytest.raises(RunNotFoundError):
        lake.run("b")
    lake.refresh()
    lake.compact()
    assert lake.runs().height == 2
    assert lake.restore(["b", "d"]) == 2
    after = lake.runs(), lake.history(), lake.sql("SELECT run_id, count(*) AS n FROM points GROUP BY ALL ORDER BY ALL")
    assert all(old.equals(new) for old, new in zip(before, after, strict=True))


def test_the_id_of_a_deleted_run_stays_taken(lake: tl.Lake):
    """Whoever begins a run of this id, in any case and whatever resume says, is told how to get it back."""
    lake.delete("b")
    for resume in (None, "allow", "never", "must"):
        with pytest.raises(RunExistsError, match=r"run 'B' was deleted: its id stays taken; lake.restore\('B'\)"):
            tl.init("p", id="B", resume=resume, dir=lake.dir)
    assert lake.runs().height == 2


def test_what_runs_is_not_deleted(lake: tl.Lake):
    """A live run is refused, and nothing else of the call is done."""
    with tl.init("p", id="now", dir=lake.dir) as run:
        run.log({"loss": 0.5})
        with pytest.raises(RunError, match="run 'now' is running: finish it before it is deleted"):
            lake.delete(["a", "now"])
    assert lake.runs().height == 4


def test_rows_of_runs_deleted_long_ago(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """Vacuum takes them out of the partitions; the ids stay taken and the journals are not counted again."""
    lake.compact()
    lake.delete("b")
    days_later(monkeypatch, 8)
    assert lake.vacuum(dry_run=True).runs == 1
    assert (lake.vacuum().runs, lake.vacuum().runs) == (1, 0)
    assert lake._view.snapshot.n_stored == 2
    assert lake.check(full=True).findings == []
    assert lake.runs()["run_id"].to_list() == ["a", "c"]
    with pytest.raises(RunExistsError):
        tl.init("p", id="b", dir=lake.dir)


def test_an_interrupt_after_the_commit_landed(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """What was committed is never deleted, whoever interrupts the committer just then."""
    catalog = lake._reader.catalog.copy()
    plan = Rewrite(list(catalog.refresh().partitions.values()), level=1)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(delta_log.DeltaLog, "_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compaction.run(catalog, plan)
    monkeypatch.undo()
    assert (lake.versions()["operation"][-1], lake.runs().height) == ("OPTIMIZE", 3)
    assert lake.check(full=True).findings == []
