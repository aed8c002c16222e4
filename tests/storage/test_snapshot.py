"""A snapshot: committed and live data as one, at the cost of what is new."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from processes import output

import tracklake as tl
from tracklake.storage.journal import host
from tracklake.storage.journal.clock import Clock
from tracklake.storage.journal.writer import Journal
from tracklake.storage.layout import JOURNAL_FOLDER, root_of
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import sealing
from tracklake.storage.table.catalog import Catalog, PartitionRuns, partitions_with_runs
from tracklake.storage.table.snapshot_reader import SnapshotReader


def log(root, run_id, *rows, **how):
    with tl.init("p", id=run_id, dir=root, **how) as run:
        for row in rows:
            run.log(row)


def seen(lake, metric="m"):
    """Give (number of points as stored, points that count) of a metric."""
    snapshot = lake._view.snapshot
    return snapshot.points([metric]).collect().height, snapshot.resolved([metric])["value"].to_list()


def test_nothing_new_gives_the_same_snapshot(tmp_path):
    """The object is the same until a row, a statement or a commit comes; then it is another."""
    run = tl.init(id="a", dir=tmp_path, settings={"metadata": False})  # noted later, it is news
    run.log({"m": 1.0})
    lake = tl.open(tmp_path)
    first = lake._view.snapshot
    assert lake._view.snapshot is first
    for change in (lambda: run.log({"m": 2.0}), lambda: run.summary.update(x=1), lake.refresh, run.finish):
        before = lake._view.snapshot
        change()
        assert lake._view.snapshot is not before
        assert lake._view.snapshot is lake._view.snapshot
    assert lake.refresh().partitions == 1  # the finish
    assert (lake.refresh().partitions, lake.refresh().partitions) == (0, 0)


def test_a_refresh_reads_only_what_is_new(tmp_path, monkeypatch):
    """After one new run, sealing reads the journals of that run alone and writes a partition of it alone."""
    for i in range(3):
        log(tmp_path, f"r{i}", {"m": 1.0})
    lake = tl.open(tmp_path)
    lake.refresh()
    log(tmp_path, "new", {"m": 1.0}, {"m": 2.0})
    opened = []
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *a, **k: opened.append(path.name) or real(path, *a, **k))
    done = lake.refresh()
    monkeypatch.undo()
    assert (done.partitions, done.journals, done.points) == (1, 1, 2)
    assert {name.rpartition("-")[0] for name in opened if name.endswith(".tlj")} == {"new"}
    assert len(list((tmp_path / "history").glob("*.parquet"))) == 2


def test_sealed_in_parts_a_session_counts_once(tmp_path):
    """What lies in several partitions and in the journal of one session is one series."""
    run = tl.init(id="a", dir=tmp_path)
    kept = tl.open(tmp_path)
    for x in (1.0, 2.0, 3.0):
        run.log({"m": x})
        kept.refresh()
    run.log({"m": 4.0})
    for lake in (kept, tl.open(tmp_path)):
        assert seen(lake) == (4, [1.0, 2.0, 3.0, 4.0])
        assert lake.summaries(["m.count", "m.sum", "m.std"]).row(0) == ("a", 4, 10.0, pytest.approx(1.2909944487358056))
        assert len(lake._view.snapshot.version.partitions) == 3
    run.finish()


def test_a_row_that_a_refresh_splits_is_one_row(tmp_path):
    """Half of a row sealed and half of it live: one step, stamped with the later half."""
    run = tl.init(id="a", dir=tmp_path)
    run.log({"m": 1.0}, commit=False)
    lake = tl.open(tmp_path)
    lake.refresh()
    run.log({"n": 2.0, "m": 3.0})
    run.log({"m": 4.0})
    for _ in range(2):
        assert lake.summaries(["_step.count", "m.count", "m.sum", "_timestamp.count"]).rows() == [("a", 2, 2, 7.0, 2)]
        found = lake.history(["n", "_timestamp"], steps=(0, 0))
        assert found["time"].n_unique() == 1
        lake.refresh()
    run.finish()


def test_sessions_that_disagree_on_the_project_are_one_run(tmp_path):
    """The first session names the project, and no point counts twice."""
    log(tmp_path, "a", {"m": 1.0}, {"m": 2.0})
    second = Journal(
        tmp_path / JOURNAL_FOLDER,
        run_id="a",
        project="q",
        clock=Clock(),
        durability="write",
        header={"node": host.NODE},
    )
    second.append_row(second.clock.tick(), 1, ("m",), "d", [5.0])
    second.finish([])
    lake = tl.open(tmp_path)
    for _ in range(2):
        assert lake.runs(columns=["project", "summary.m"]).rows() == [("a", "p", 5.0)]
        assert lake.summaries(["m.count", "m.sum"]).rows() == [("a", 2, 6.0)]
        assert lake.history("m")["value"].to_list() == [1.0, 5.0]
        lake.refresh()


def test_steps_reach_from_end_to_end_of_int64(tmp_path):
    """The least and the greatest step are steps like others, rewinds included."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"m": 1.0}, step=2**63 - 2)
        run.log({"m": 2.0}, step=-(2**63))
    lake = tl.open(tmp_path)
    assert lake.summaries(["m.argmin", "m.argmax"]).rows() == [("a", 2**63 - 2, -(2**63))]
    with tl.init(id="b", dir=tmp_path) as run:
        run.log({"m": 3.0}, step=2**63 - 2)
    tl.init(id="a", dir=tmp_path, from_step=2**63 - 2).finish()
    for _ in range(2):
        assert lake.summaries(["m.argmin", "m.count"]).rows() == [("a", -(2**63), 1), ("b", 2**63 - 2, 1)]
        lake.refresh()


def test_rewinds_stack(tmp_path):
    """A later rewind masks what an earlier one had logged, and never brings back what that one masked."""
    log(tmp_path, "a", *({"m": float(x)} for x in range(5)))
    log(tmp_path, "a", {"m": 20.0}, {"m": 30.0}, from_step=2)
    lake = tl.open(tmp_path)
    lake.refresh()
    log(tmp_path, "a", {"m": 300.0}, from_step=3)
    assert lake.history("m")["value"].to_list() == [0.0, 1.0, 20.0, 300.0]
    log(tmp_path, "a", from_step=1)
    assert lake.history("m")["value"].to_list() == [0.0]
    assert lake.summaries("m.count").rows() == [("a", 1)]


def test_a_rewind_to_the_last_step_takes_it_back(tmp_path):
    """Also if nothing is logged after it, live and sealed."""
    log(tmp_path, "a", {"m": 0.0}, {"m": 1.0}, {"m": 2.0})
    log(tmp_path, "a", from_step=2)
    lake = tl.open(tmp_path)
    for _ in range(2):
        assert lake.history("m")["value"].to_list() == [0.0, 1.0]
        assert lake.summaries(["m.last", "m.count"]).rows() == [("a", 1.0, 2)]
        lake.refresh()


def test_a_config_may_be_called_like_what_a_session_says_of_itself(tmp_path):
    """A config key from_step rewinds nothing."""
    log(tmp_path, "a", {"m": 0.0}, {"m": 1.0})
    log(tmp_path, "a", {"m": 2.0}, resume="must", config={"from_step": 1})
    assert tl.open(tmp_path).history("m")["value"].to_list() == [0.0, 1.0, 2.0]


def test_a_session_elsewhere_is_alive_until_its_journal_ends(tmp_path):
    """A journal written a moment ago is a sign of life, but not if nobody writes it any more."""
    how = {"clock": Clock(), "durability": "write", "header": {"node": "elsewhere"}}
    lake = tl.open(tmp_path, create=True)
    journal = Journal(tmp_path / JOURNAL_FOLDER, run_id="a", project="p", **how)
    assert lake._view.snapshot.alive["run_id"].to_list() == ["a"]
    journal.finish([])
    assert lake._view.snapshot.alive["run_id"].to_list() == []


def test_the_ends_of_sessions_in_turns_are_those_of_the_steps(tmp_path):
    """Where steps of one session lie between those of another, the highest has the last value, not the newest."""
    log(tmp_path, "a", {"m": 0.0}, {"m": 1.0}, {"m": 2.0})
    with tl.init("p", id="a", dir=tmp_path, resume="must") as run:
        run.log({"m": 9.0}, step=1)
    lake = tl.open(tmp_path)
    for _ in range(2):
        assert lake.summaries(["m.first", "m.last", "m.sum"]).rows() == [("a", 0.0, 2.0, 11.0)]
        lake.refresh()


def test_where_states_are_too_many_to_be_looked_at_history_is_the_same(tmp_path, monkeypatch):
    """Of the runs asked for alone it is known then what was overwritten, and nothing of what is no number."""
    log(tmp_path, "a", {"m": 0.0}, {"m": 1.0, "n": True})
    with tl.init("p", id="a", dir=tmp_path, resume="must") as run:
        run.log({"m": 9.0}, step=1)
    log(tmp_path, "b", {"m": 5.0}, {"n": "x"})
    monkeypatch.setattr("tracklake.storage.table.snapshot_view.READ_ALL", 1)
    found = tl.open(tmp_path).history(["m", "n"], runs=["a"]).select("step", "value", "text")
    assert found.rows() == [(0, 0.0, None), (1, 9.0, None), (1, 1.0, "true")]


def test_excerpts_of_moved_runs_claim_no_order(tmp_path):
    """Points stand in files by the projects in which they were logged, whatever project the runs belong to now."""
    for project, run_id in (("z", "a"), ("y", "b")):
        with tl.init(project, id=run_id, dir=tmp_path) as run:
            run.log({"m": 1.0})
    lake = tl.open(tmp_path)
    lake.move(["a", "b"], "archive")
    lake.refresh()
    snapshot = tl.open(tmp_path)._view.logged
    snapshot.engine = object()
    part = next(part for part, runs in snapshot.excerpts(["a", "b"]) if runs == ["a", "b"])
    assert part.points(["m"]).collect()["run_id"].to_list() == ["b", "a"]
    assert not part.comes_in_order(None)


FORKING = """
run = tl.init(id="a", dir=sys.argv[1], from_step=1)
run.log({"m": 5.0})
run.log({"m": 6.0})
child = os.fork()
if child == 0:
    run.log({"worker": 1.0}, step=2)
    os._exit(0)
os.waitpid(child, 0)
run.finish()
"""


def test_a_fork_of_a_rewinding_run_rewinds_nothing(tmp_path):
    """The child's session stands beside its parent's, and what the parent took back stays taken back."""
    log(tmp_path, "a", *({"m": float(x)} for x in range(4)))
    output(FORKING, tmp_path)
    found = tl.open(tmp_path).history().select("metric", "step", "value")
    assert found.rows() == [("m", 0, 0.0), ("m", 1, 5.0), ("m", 2, 6.0), ("worker", 2, 1.0)]


def test_only_the_series_whose_steps_clash_are_computed_again(tmp_path, monkeypatch):
    """Late rows send the points of their own metric to be read, and of no other."""
    with tl.init(id="a", dir=tmp_path) as run:
        for x in range(4):
            run.log({"m": float(x), "n": float(x)})
        tl.open(tmp_path).refresh()
        run.log({"m": 9.0}, step=1)
    snapshot = SnapshotReader(tl.open(tmp_path)._storage).snapshot()
    asked = []
    real = type(snapshot).points
    monkeypatch.setattr(type(snapshot), "points", lambda self, m=None, **k: asked.append(m) or real(self, m, **k))
    assert snapshot.states(["n"], columns=["sum"])["sum"].to_list() == [6.0]
    assert asked == []
    assert snapshot.states(["m", "n"], columns=["sum"])["sum"].to_list() == [14.0, 6.0]
    assert asked == [["m"]]


def test_a_reader_that_looks_after_every_row_keeps_few_pieces(tmp_path):
    """A journal read in forty steps is held in a handful of frames, and its header's facts once."""
    run = tl.init(id="a", dir=tmp_path)
    lake = tl.open(tmp_path)
    for i in range(40):
        run.log({"m": float(i)}, commit=i % 3 == 0)
        assert lake.summaries("m.last").rows() == [("a", float(i))]
    snapshot = lake._view.snapshot
    assert len(snapshot._live_points) == len(snapshot._live_states) <= 6
    assert (snapshot.files.height, snapshot.facts("node").height) == (1, 1)
    assert lake.summaries(["m.sum", "m.count"]).equals(tl.open(tmp_path).summaries(["m.sum", "m.count"]))
    run.finish()


def test_a_table_of_live_runs_puts_no_points_together(tmp_path, monkeypatch):
    """Its states are made of the rows as they were logged; a history makes the points, once."""
    quiet = {"metadata": False}  # what is gathered meanwhile would be a new look at the journals
    runs = [tl.init("p", id=f"r{i}", dir=tmp_path, reinit="create_new", settings=quiet) for i in range(3)]
    for run in runs:
        for step in range(50):
            run.log({"loss": step / 7, "n": step})
    asked: list[int] = []
    real = sealing.points_of
    monkeypatch.setattr(sealing, "points_of", lambda slices: asked.append(len(slices)) or real(slices))
    lake = tl.open(tmp_path)
    columns = ["loss.last", "loss.mean", "n.max", "_step.last"]
    live = lake.summaries(columns).sort("run_id")
    assert lake.runs().height == 3
    assert asked == []
    assert (lake.history("loss").height, lake.history("n").height, asked) == (150, 150, [3])
    for run in runs:
        run.finish()
    assert lake.summaries(columns).sort("run_id").equals(live)


def test_metrics_are_those_that_were_logged(tmp_path):
    """Of all runs or of some, live or sealed."""
    log(tmp_path, "a", {"m": 1.0})
    lake = tl.open(tmp_path)
    lake.refresh()
    log(tmp_path, "b", {"n": "x", "o": None})
    snapshot = lake._view.snapshot
    assert snapshot.metrics == ["_runtime", "_step", "_timestamp", "m", "n", "o"]
    assert snapshot.metrics_of(["b"]) == ["_runtime", "_step", "_timestamp", "n", "o"]


def test_a_reader_of_one_run_sees_no_other(tmp_path):
    """`only` leaves the journals of other runs unread, but not those of the lake itself."""
    log(tmp_path, "a", {"m": 1.0})
    log(tmp_path, "b", {"n": 1.0})
    tl.open(tmp_path).define_metric("m", summary="max")
    snapshot = SnapshotReader(tl.open(tmp_path)._storage, only="a").snapshot()
    assert snapshot.sessions["run_id"].unique().sort().to_list() == ["_lake", "a"]


def test_no_journal_and_no_partition_is_an_empty_snapshot(tmp_path):
    """Every frame of it is empty and has its columns."""
    snapshot = SnapshotReader(tl.open(tmp_path, create=True)._storage).snapshot()
    assert snapshot.sessions.is_empty()
    assert snapshot.cutoffs.is_empty()
    assert snapshot.metrics == []
    assert snapshot.states().columns == ["run_id", "metric", "session", "lo", "hi"]
    assert snapshot.points().collect().is_empty()
    assert snapshot.resolved(["_step"]).is_empty()
    assert snapshot.series_to_resolve(["m"], runs=None).is_empty()


def test_a_logged_none_stamps_nothing(tmp_path):
    """A state is stamped by the last value that is one, and belongs to the session that said it."""
    with tl.init(id="a", dir=tmp_path) as run:
        run.log({"m": 1.0, "none": None})
        run.log({"m": None})
    states = tl.open(tmp_path)._view.snapshot.states(["m", "none"], columns=["ts", "n_points"])
    stamp = tl.open(tmp_path).history("m", steps=(0, 0))["time"][0]
    assert states.select("ts", "n_points").rows() == [(stamp, 2), (None, 1)]


def test_many_live_runs_are_read_in_one_go(tmp_path: Path):
    """Forty runs that go on, some of several sessions, are known to a reader as to one that opens after sealing."""
    runs = [tl.init("p", id=f"r{i}", config={"i": i}, dir=tmp_path, reinit="create_new") for i in range(40)]
    for run in runs:
        run.log({"x": float(run.config["i"])})
    lake = tl.open(tmp_path)
    assert lake.history("x")["value"].to_list() == lake.runs(order_by="run_id")["config.i"].to_list()
    for run in runs:
        run.log({"x": -float(run.config["i"])})
    runs[0].finish()
    with tl.init("p", id="r0", resume="must", dir=tmp_path) as again:
        again.log({"x": 7.0})
    asked = {"columns": ["run_id", "config.i", "summary.x.min", "summary.x.last", "summary.x.count"]}
    live = lake.runs(order_by="run_id", **asked)
    assert live.filter(run_id="r0").row(0) == ("r0", 0, 0.0, 7.0, 3)
    assert live["summary.x.min"].to_list() == [-x for x in live["config.i"]]
    for run in runs[1:]:
        run.finish()
    lake.refresh()
    assert tl.open(tmp_path).runs(order_by="run_id", **asked).equals(live)


def test_partitions_that_hold_none_of_the_runs_are_left_out():
    """Of runs far apart the partitions at both ends count, and one between them that holds neither does not."""
    parts = [
        PartitionRuns(name, ids[0], ids[-1], pl.Series(ids))
        for name, ids in (("p", ["a", "c"]), ("q", ["b", "d"]), ("r", ["e"]))
    ]
    assert [part.partition for part in partitions_with_runs(parts, ["e", "a"])] == ["p", "r"]
    assert [part.partition for part in partitions_with_runs(parts, ["d"])] == ["q"]
    assert partitions_with_runs(parts, []) == []
    assert partitions_with_runs(parts, None) == parts


def test_a_partition_is_read_once(tmp_path):
    """What a catalog has read of one is kept when others come."""
    lake = tl.open(tmp_path, create=True)
    catalog = Catalog(LocalStorage(root_of(lake.dir)))
    held = []
    for run_id in "ab":
        with tl.init(id=run_id, dir=tmp_path) as run:
            run.log({"x": 1.0})
        lake.refresh()
        catalog.refresh()
        held.append(list(catalog.records_by_partition.values()))
    assert [len(parts) for parts in held] == [1, 2]
    assert held[1][0] is held[0][0]


def test_each_run_of_a_partition_is_found(tmp_path):
    """Asked for one run, a lake reads the partitions that hold it: the first, the last and one between."""
    for names in ("bdf", "ace"):
        for name in names:
            log(tmp_path, name, {"m": float(ord(name))})
        tl.open(tmp_path).refresh()
    lake = tl.open(tmp_path)
    found = {name: lake.history("m", runs=[name])["value"].to_list() for name in "abcdef"}
    assert found == {name: [float(ord(name))] for name in "abcdef"}
    assert lake.summaries("m.max", runs=["f", "a"])["m.max"].to_list() == [102.0, 97.0]


def test_a_sealed_run_is_known_by_its_id_in_any_case(tmp_path):
    """Of many runs in one partition each is found by its id, and goes on; what is none of them is certain."""
    for i in range(12):
        log(tmp_path, f"Run{i}", {"m": float(i)})
    tl.open(tmp_path).refresh()
    for file in (tmp_path / JOURNAL_FOLDER).iterdir():
        file.unlink()
    catalog = Catalog(LocalStorage(tmp_path))
    assert catalog.possible_runs([f"rUN{i}" for i in range(13)]) == {f"rUN{i}" for i in range(12)}
    with tl.init("p", id="Run7", resume="must", dir=tmp_path) as run:
        assert run.step == 1
        assert run.summary["m"] == 7.0


def test_strange_files_among_the_journals(tmp_path):
    """What is no journal by its name is passed over by readers and sealers, and stays."""
    log(tmp_path, "a", {"m": 1.0})
    strange = [tmp_path / "journal" / name for name in ("notes.tlj", "a.tlj.swp", ".nfs0001")]
    for file in strange:
        file.write_text("none of ours")
    lake = tl.open(tmp_path)
    assert lake.history("m")["value"].to_list() == [1.0]
    assert lake.refresh() == (1, 1, 1, [])
    assert [file.exists() for file in strange] == [True] * 3
