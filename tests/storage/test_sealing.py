"""Promise 2: sealing by anybody, at any time, loses nothing and counts nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

import polars as pl
import pytest
from processes import output, start

import tracklake as tl
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import housekeeping, partitions, sealing
from tracklake.storage.table.delta_log import DeltaLog

if TYPE_CHECKING:
    from pathlib import Path

RUNS, ROWS = 6, 50
EXPECTED = [(f"r{i}", 50, sum(i * 1000 + s for s in range(50))) for i in range(6)]


def write_runs(place: Path, runs: int = RUNS) -> None:
    for i in range(runs):  # metadata is as long as the command line of the tests
        with tl.init("p", id=f"r{i}", dir=place, settings={"metadata": False}) as run:
            for step in range(ROWS):
                run.log({"a": float(i * 1000 + step)})


def counts(place: Path) -> list[tuple[str, int, float]]:
    """Count and sum of each run, by its points as stored, and by its states; the two must agree."""
    lake = tl.open(place)
    points = lake.history("a", raw=True).group_by("run_id").agg(pl.len().cast(pl.Int64), pl.col("value").sum())
    stated = lake.summaries(["a.count", "a.sum"]).sort("run_id").rows()
    assert points.sort("run_id").rows() == stated
    return stated


def check(place: Path) -> list[str]:
    return tl.open(place).check(full=True).findings


def journals(place: Path) -> list[Path]:
    return sorted((place / "journal").iterdir())


def test_many_journals_become_one_partition(tmp_path: Path):
    """All journals that are there become three sibling files by one commit."""
    write_runs(tmp_path)
    assert tl.open(tmp_path).refresh() == (1, 6, 300, [])
    (part,) = (p.name for p in (tmp_path / "history").glob("*.parquet"))
    assert [p.name for folder in ("states", "runs") for p in (tmp_path / folder).iterdir()] == [part, part]
    assert len(list((tmp_path / "history/_delta_log").glob("*.json"))) == 2
    assert (counts(tmp_path), check(tmp_path)) == (EXPECTED, [])
    assert tl.open(tmp_path).refresh() == (0, 0, 0, [])


def test_live_journal_is_sealed_piece_by_piece(tmp_path: Path):
    """Each refresh seals what a running session has said since the last, down to the byte."""
    run = tl.init("p", id="r", dir=tmp_path)
    lake = tl.open(tmp_path)
    for i in range(4):
        run.log({"a": float(i), "note": "x"})
        assert lake.refresh()[:3] == (1, 1, 2)
        assert lake.summaries(["a.count", "a"]).rows() == [("r", i + 1, float(i))]
        assert lake.run("r").state == "running"
    run.finish()
    assert lake.refresh() == (1, 1, 0, [])
    assert lake.run("r").state == "finished"
    assert tl.open(tmp_path).history("a")["value"].to_list() == [0.0, 1.0, 2.0, 3.0]


def test_refresh_ends_while_others_write(tmp_path: Path):
    """refresh seals each journal once, however fast others write on."""
    script = """
    from tracklake.storage.journal import writer
    writer.ROTATE_AT = 1 << 40  # one journal, however much it writes before it is sealed
    run = tl.init(dir=sys.argv[1])
    print(1, flush=True)
    while True:
        run.log({"a": 1.0})
    """
    with start(script, tmp_path) as child:
        child.stdout.readline()
        sealed = tl.open(tmp_path).refresh()
    assert (sealed.partitions, sealed.journals) == (1, 1)


def test_what_does_not_fit_a_partition_goes_into_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A partition takes journals up to a number of bytes, and one that is larger alone."""
    small, large = tmp_path / "small", tmp_path / "large"
    write_runs(small, runs=4)
    write_runs(large, runs=3)
    size = max(file.stat().st_size for file in journals(small))
    monkeypatch.setattr(sealing, "AT_ONCE", 2 * size)
    assert tl.open(small).refresh() == (2, 4, 200, [])
    monkeypatch.setattr(sealing, "AT_ONCE", size // 2)
    assert tl.open(large).refresh() == (3, 3, 150, [])
    assert (counts(small), counts(large)) == (EXPECTED[:4], EXPECTED[:3])


def test_finishing_processes_seal_when_enough_has_gathered(tmp_path: Path):
    """The 64th run that finishes seals what has gathered since the last commit, and leaves what goes on."""
    place = tmp_path / "lake"
    live = tl.init("p", dir=place, reinit="create_new")
    for _ in range(63):
        tl.init("p", dir=place, reinit="create_new").finish()
    assert not (place / "history").exists()
    for _ in range(2):
        tl.init("p", dir=place, reinit="create_new").finish()
        assert len(list((place / "runs").iterdir())) == 1
    assert tl.open(place).refresh()[:2] == (1, 2)  # the live one, and the last
    live.finish()
    assert tl.open(place).runs().height == 66


def test_finishing_processes_seal_when_much_has_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Few runs that logged much are sealed like many that logged little."""
    write_runs(tmp_path, runs=1)
    size = journals(tmp_path)[0].stat().st_size
    for enough in (10 * size, size):
        assert not (tmp_path / "history").exists()
        monkeypatch.setattr(housekeeping, "GATHERED_BYTES", enough)
        tl.init("p", dir=tmp_path).finish()
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_folder_that_became_another_lake_is_sealed_like_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a process remembers of the lake that lay there before is of no use for this one, and does no harm."""
    monkeypatch.setattr(housekeeping, "GATHERED_FILES", 2)
    for _ in range(2):
        for run_id in ("a", "b", "c"):
            with tl.init("p", id=run_id, dir=tmp_path / "lake") as run:
                run.log({"loss": 0.5})
        assert len(list((tmp_path / "lake/runs").iterdir())) == 1  # of the first two
        lake = tl.open(tmp_path / "lake")
        assert lake.history("loss")["run_id"].to_list() == ["a", "b", "c"]
        assert lake.refresh()[:2] == (1, 1)
        shutil.rmtree(tmp_path / "lake")


def test_two_sealers_race(tmp_path: Path):
    """Of several sealers at once one wins each journal, and nothing is doubled or lost."""
    script = """
    # each child of a warm process opens the lake alone; they start together when the pipe is closed
    start, go = os.pipe()
    children = []
    for i in range(2):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(start, 1)
            for _ in range(8):
                lake = tl.open(sys.argv[1])
                lake.refresh()
            os._exit(0)
        children.append(child)
    runs = []
    for i in range(6):
        runs.append(tl.init("p", id=None, name=f"r{i}", dir=sys.argv[1], reinit="create_new"))
    os.close(go)
    for step in range(50):
        for i, run in enumerate(runs):
            run.log({"a": float(i * 1000 + step)})
        time.sleep(0.02)
    for run in runs:
        run.finish()
    print(sum(os.waitpid(child, 0)[1] for child in children))
    """
    assert output(script, tmp_path) == "0"
    names = dict(tl.open(tmp_path).runs(columns=["name"]).rows())
    found = sorted((names[run_id], n, total) for run_id, n, total in counts(tmp_path))
    assert (found, check(tmp_path)) == (EXPECTED, [])
    tl.open(tmp_path).refresh()
    found = sorted((names[run_id], n, total) for run_id, n, total in counts(tmp_path))
    assert (found, check(tmp_path)) == (EXPECTED, [])


def go_first(monkeypatch: pytest.MonkeyPatch, other) -> list[str]:
    """Let something happen just before a sealer commits its first partition; return the ids that it writes."""
    written = []
    write = partitions.write

    def late(*arguments):
        partition = write(*arguments)
        written.append(partition.id)
        if len(written) == 1:
            other()
        return partition

    monkeypatch.setattr(partitions, "write", late)
    return written


def test_who_seals_second_drops_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where another sealer has committed the same journal meanwhile, nothing is committed and no file is left."""
    write_runs(tmp_path)
    written = go_first(monkeypatch, lambda: tl.open(tmp_path).refresh())
    assert tl.open(tmp_path).refresh() == (0, 0, 0, [])
    assert [file.stem for file in (tmp_path / "history").glob("*.parquet")] == [f"part-{written[1]}"]
    assert (counts(tmp_path), check(tmp_path)) == (EXPECTED, [])


def test_who_seals_beside_another_commits_on_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A commit of other journals takes nothing away from it."""
    write_runs(tmp_path)
    log = DeltaLog(LocalStorage(tmp_path))
    beside = {"add": [], "operation": "SEAL", "still_valid": lambda _: True}
    written = go_first(monkeypatch, lambda: log.commit(base=log.read(), **beside))
    assert tl.open(tmp_path).refresh() == (1, 6, 300, [])
    assert (len(written), list(log.read().partitions)) == (1, written)
    assert (counts(tmp_path), check(tmp_path)) == (EXPECTED, [])


def test_who_took_so_long_that_its_files_may_be_gone_builds_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine that slept since it wrote them may find that vacuum took them for orphans: they are not committed."""
    write_runs(tmp_path)
    clock = sealing.uptime

    def sleeps() -> None:
        monkeypatch.setattr(sealing, "uptime", lambda: clock() + 3600)

    written = go_first(monkeypatch, sleeps)
    assert tl.open(tmp_path).refresh() == (1, 6, 300, [])
    assert len(written) == 2
    assert [file.stem for file in (tmp_path / "history").glob("*.parquet")] == [f"part-{written[1]}"]
    assert (counts(tmp_path), check(tmp_path)) == (EXPECTED, [])


DIE = """
from tracklake.storage.table import delta_log, partitions, sealing; from tracklake.storage import local as storage

def die_before(owner, name, call):
    real, calls = getattr(owner, name), []
    def dying(*arguments, **options):
        calls.append(name)
        if len(calls) == call:
            os._exit(9)
        return real(*arguments, **options)
    setattr(owner, name, dying)

owner, name, call = sys.argv[2].split()
die_before({"partitions": partitions, "file": partitions.ParquetFile, "log": delta_log.DeltaLog,
            "storage": storage.LocalStorage, "sealing": sealing, "os": os}[owner], name, int(call))
tl.open(sys.argv[1]).refresh()
"""
STEPS = [
    "partitions _write_parquet 1",
    "partitions _write_parquet 2",
    "file append 1",
    "storage publish 1",
    "log commit 1",
    "log _put 2",
    "os link 2",
    "sealing delete_spent 1",
    "os unlink 3",
    "os unlink 4",
]


def test_sealer_killed_between_any_two_steps(tmp_path: Path):
    """Wherever a sealer dies, readers see each row once, and the next sealer completes the work."""
    script = f"""
    steps = {STEPS!r}
    for i, step in enumerate(steps):
        child = os.fork()
        if child == 0:
            sys.argv = ["", os.path.join(sys.argv[1], str(i)), step]
            exec({DIE!r})
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    for i in range(len(STEPS)):
        write_runs(tmp_path / str(i), runs=2)
    assert output(script, tmp_path).split() == ["9"] * len(STEPS)
    for i, step in enumerate(STEPS):
        place = tmp_path / str(i)
        assert (counts(place), check(place)) == (EXPECTED[:2], []), step
        tl.open(place).refresh()
        assert (counts(place), check(place), journals(place)) == (EXPECTED[:2], [], []), step


def test_what_a_commit_names_is_on_the_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The files of a partition, their folders and the commit itself are synced before the commit gets its name."""
    write_runs(tmp_path, runs=1)
    fsync, link, done = os.fsync, os.link, []
    monkeypatch.setattr(os, "fsync", lambda file: done.append(os.fstat(file).st_ino) or fsync(file))
    monkeypatch.setattr(os, "link", lambda source, target: done.append(target) or link(source, target))
    tl.open(tmp_path).refresh()
    commit = tmp_path / f"history/_delta_log/{1:020d}.json"
    files = [commit, *tmp_path.glob("*/part-*.parquet"), *(tmp_path / name for name in ("history", "states", "runs"))]
    assert len(files) == 7
    assert {file.stat().st_ino for file in files} <= set(done[: done.index(commit)])


def test_process_taken_for_dead_wakes_up(tmp_path: Path):
    """A process that stood still while others sealed its rows goes on logging, and each row is there once."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    step = 0
    while not os.path.exists(sys.argv[2]):
        run.log({"a": float(step)})
        print(step, flush=True)
        step += 1
        time.sleep(0.001)
    run.finish()
    """
    child = start(script, tmp_path, tmp_path / "enough")
    child.stdout.readline()
    lake = tl.open(tmp_path)
    for _ in range(4):
        child.send_signal(signal.SIGSTOP)
        for file in journals(tmp_path):
            os.utime(file, (0, time.time() - 7200))  # no sign of life for two hours
        lake.refresh()
        before = lake.history("a").height
        assert lake.run("r").state == "running"  # its lock tells that it lives
        child.send_signal(signal.SIGCONT)
        child.stdout.readline()
        assert lake.history("a").height >= before
    (tmp_path / "enough").touch()
    printed, _ = child.communicate()
    assert child.returncode == 0
    lake.refresh()
    logged = [float(step) for step in range(int(printed.split()[-1]) + 1)]
    assert tl.open(tmp_path).history("a", raw=True)["value"].to_list() == logged
    assert (lake.run("r").state, check(tmp_path)) == ("finished", [])


def test_journal_without_locks(tmp_path: Path):
    """On a file system without locks the heartbeat tells life, and a journal that may be appended to is not deleted."""
    script = """
    import errno, fcntl
    from tracklake.storage.table import housekeeping
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    fcntl.flock = no_locks
    run = tl.init("p", id="r", dir=sys.argv[1], settings={"metadata": False})  # noted later, it is a sign of life
    run.log({"a": 1.0})
    lake = tl.open(sys.argv[1])
    print(lake.run("r").state)
    lake.refresh()
    os.utime(run._session.journal.path, (0, time.time() - 7200))
    lake.refresh()
    print(lake.run("r").state, run._session.journal.path.exists())
    run.log({"a": 2.0})
    print(lake.run("r").state, lake.history("a")["value"].to_list())
    """
    assert output(script, tmp_path).splitlines() == ["running", "crashed True", "running [1.0, 2.0]"]


def test_damaged_journal_is_sealed_and_kept(tmp_path: Path):
    """What is sound in a damaged journal is sealed, the damage is told, and the file stays as evidence."""
    write_runs(tmp_path, runs=1)
    (file,) = journals(tmp_path)
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, (0, time.time() - 7200))
    sealed = tl.open(tmp_path).refresh()
    assert sealed.points == 49
    assert [fault.file for fault in sealed.faults] == [file.name]
    assert tl.open(tmp_path).history("a").height == 49
    assert journals(tmp_path) == [file]
    assert len(check(tmp_path)) == 1


def test_a_mark_says_how_far_a_file_is_sealed(tmp_path: Path):
    """The commit holds, per journal file, the byte up to which it is sealed and whether that is its end."""
    run = tl.init("p", id="r", dir=tmp_path, settings={"metadata": False})  # else it is noted at any moment
    run.log({"a": 1.0})
    size = run._session.journal.path.stat().st_size
    lake = tl.open(tmp_path)
    lake.refresh()
    run.finish()
    end = journals(tmp_path)[0].stat().st_size
    lake.refresh()
    rows = pl.concat([pl.read_parquet(file).filter(op="header") for file in (tmp_path / "runs").iterdir()])
    watermarks = rows.select("n", "sealed_through", "complete").rows()
    assert sorted(watermarks) == [(0, size, False), (0, end, True)]


def test_foreign_reader_of_the_log(tmp_path: Path):
    """The commit that seals is a plain Delta commit: its adds name the history file and its points."""
    write_runs(tmp_path, runs=1)
    tl.open(tmp_path).refresh()
    lines = LocalStorage(tmp_path).read(f"history/_delta_log/{1:020d}.json").splitlines()
    actions = {kind: action for line in lines for kind, action in json.loads(line).items()}
    assert actions["commitInfo"]["operation"] == "SEAL"
    assert json.loads(actions["add"]["stats"]) == {"numRecords": 50}


def test_end_of_the_process_seals(tmp_path: Path):
    """A run that only the end of its process finishes, when no thread can be started, is sealed if enough are there."""
    script = """
    from tracklake.storage.table import housekeeping
    housekeeping.GATHERED_FILES = 1
    tl.init("p", id="r0", dir=sys.argv[1]).log({"a": 1.0})
    """
    assert output(script, tmp_path) == ""
    assert [path.parent.name for path in sorted(tmp_path.rglob("*.parquet"))] == ["history", "runs", "states"]
