"""Promises 2 and 8: many processes, threads and forks at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from processes import output, start

import tracklake as tl

if TYPE_CHECKING:
    from pathlib import Path


def journals(place: Path) -> int:
    return len(list((place / "journal").iterdir()))


WRITE = """
# eight writers; each logs three runs one after the other, the last until it is told to stop
from tracklake.storage.journal import writer as journal
journal.ROTATE_AT = 50_000
writer = next((i for i in range(8) if os.fork() == 0), None)
if writer is None:
    codes = [os.wait()[1] for _ in range(8)]
    sys.exit(max(codes) and 1)
end = time.monotonic() + float(sys.argv[3])
for part in range(3):
    run = tl.init("p", name=f"{writer}.{part}", config={"writer": writer}, dir=sys.argv[1])
    step = 0
    while step < 100 or (part == 2 and time.monotonic() < end and not os.path.exists(sys.argv[2])):
        run.log({"a": float(step), "b": step, "c": "text"} if step % 50 == 0 else {"a": float(step), "b": step})
        step += 1
        time.sleep(0.005)
    run.summary["rows"] = step
    run.finish()
"""
SEAL = """
from tracklake.storage.table import sealing
while True:
    tl.open(sys.argv[1]).refresh()
    open(sys.argv[2], "w").close()
    time.sleep(0.1)
"""


def look(lake: tl.Lake) -> dict[str, tuple[int, float]]:
    """Count and largest value of each run, as the states have them, while no stored point is there twice."""
    if "a" not in metrics(lake):
        return {}
    points = lake.history("a", raw=True)
    assert points.height == points.select("run_id", "step").unique().height, "a point is there twice"
    rows = lake.summaries(["a.count", "a.max"]).rows()
    return {run_id: (count or 0, largest or 0.0) for run_id, count, largest in rows}


def watch(place: Path, seconds: float) -> None:
    """Write with eight processes and seal with two, looking for so long, ten times, and until both have."""
    lake = tl.open(place, create=True)
    with (
        start(WRITE, place, place / "stop", seconds + 100) as writers,
        start(SEAL, place, place / "sealed by one") as one,
        start(SEAL, place, place / "sealed by two") as two,
    ):
        seen: dict[str, tuple[int, float]] = {}
        end, looks = time.monotonic() + seconds, 0
        while writers.poll() is None:
            now = look(lake if looks % 3 else tl.open(place))
            assert seen.keys() <= now.keys(), "a run is gone"
            assert all(now[run_id] >= before for run_id, before in seen.items()), "a count went back"
            assert all(largest == count - 1 for count, largest in now.values() if count), "a row is missing in between"
            seen, looks = now, looks + 1
            if looks >= 10 and time.monotonic() > end and len(list(place.glob("sealed by *"))) == 2:
                (place / "stop").touch()
        assert writers.returncode == 0
        assert one.poll() is two.poll() is None, "a sealer died"
    at_end(place)


def metrics(lake: tl.Lake) -> list[str]:
    return lake._view.snapshot.metrics


def at_end(place: Path) -> None:
    """All that was logged is there, once."""
    lake = tl.open(place)
    lake.refresh()
    table = lake.runs(columns=["state", "config.writer", "summary.rows", "summary.a.count", "summary.a.max"])
    assert table.height == 24
    assert Counter(table["config.writer"]) == dict.fromkeys(range(8), 3)
    assert set(table["state"]) == {"finished"}
    assert table["summary.a.count"].to_list() == table["summary.rows"].to_list()
    assert table["summary.a.max"].to_list() == [rows - 1 for rows in table["summary.rows"]]
    assert lake.history("a", raw=True).height == table["summary.rows"].sum()
    assert lake.check(full=True).findings == []


def test_reader_while_eight_write_and_two_seal(tmp_path: Path):
    """A reader sees no error, no count that goes back, no row twice, and in the end all."""
    watch(tmp_path, 1.0)


@pytest.mark.long
def test_reader_while_eight_write_and_two_seal_for_long(tmp_path: Path):
    """The same for two minutes."""
    watch(tmp_path, 120.0)


def test_several_processes_on_one_run(tmp_path: Path):
    """Processes that log to one run are sessions of it: all rows are there, the later word on a step wins."""
    script = """
    run = tl.init("p", id="shared", dir=sys.argv[1])   # joins the live run
    for step in range(100):
        run.log({f"loss/{sys.argv[2]}": float(step), "all": float(step)}, step=step)
    run.finish()
    """
    first = tl.init("p", id="shared", dir=tmp_path)
    children = [start(script, tmp_path, rank) for rank in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    first.log({"loss/main": 1.0})
    lake = tl.open(tmp_path)
    assert lake.run("shared").state == "running"
    first.finish()
    assert journals(tmp_path) == 3
    assert lake.runs(columns=["state"]).rows() == [("shared", "finished")]
    asked = ["loss/0.count", "loss/1.count", "all.count", "all.max"]
    assert lake.summaries(asked).rows() == [("shared", 100, 100, 100, 99.0)]
    assert lake.history("all", raw=True).height == 200


def test_threads_logging_to_one_run(tmp_path: Path):
    """Eight threads that log to one run lose no row."""
    with tl.init("p", id="r", dir=tmp_path) as run:

        def work(thread: int) -> None:
            for i in range(500):
                run.log({f"t{thread}": float(i), "note": "x"} if i % 100 == 0 else {f"t{thread}": float(i)})

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lake = tl.open(tmp_path)
    assert lake.run("r").history()["_step"].to_list() == list(range(4_000))
    assert lake.summaries([f"t{i}.sum" for i in range(8)]).row(0)[1:] == (124_750.0,) * 8
    assert lake.check(full=True).findings == []


def test_several_runs_at_once(tmp_path: Path):
    """One process may have several runs open; the current one is the one begun last that is open."""
    runs = [tl.init("p", id=f"r{i}", dir=tmp_path) for i in range(3)]
    for step in range(10):
        for i, run in enumerate(runs):
            run.log({"a": float(10 * i + step)})
    assert tl.run is runs[2]
    runs[2].finish()
    assert tl.run is runs[1]
    tl.log({"b": 1.0})
    for run in runs:
        run.finish()
    assert tl.run is None
    assert tl.open(tmp_path).summaries(["a.max", "b"]).rows() == [
        ("r0", 9.0, None),
        ("r1", 19.0, 1.0),
        ("r2", 29.0, None),
    ]


FORK = """
run = tl.init("p", id="r", dir=sys.argv[1])
run.log({"a": 0.0})
child = os.fork()
if child == 0:
    {child}
    os._exit(0)
os.waitpid(child, 0)
run.log({"a": 1.0})
"""


@pytest.mark.parametrize(
    ("child", "sessions", "steps"),
    [
        ("pass", 1, [0, 1]),
        ("run.log({'b': 5.0})", 2, [0, 1]),
        ("run.log({'b': 5.0}); run.finish()", 2, [0, 1]),
        ("run.log({'b': 5.0}); raise SystemExit(3)", 2, [0, 1]),
        ("raise SystemExit", 1, [0, 1]),
    ],
    ids=["never logs", "logs", "finishes", "logs and fails", "leaves"],
)
def test_fork(tmp_path: Path, child: str, sessions: int, steps: list[int]):
    """A child that logs has a session of its own; whatever it does, the parent's journal and state stay its own."""
    output(FORK.replace("{child}", child), tmp_path)
    lake = tl.open(tmp_path)
    assert (lake.run("r").state, journals(tmp_path)) == ("finished", sessions)
    assert lake.history("a")["step"].to_list() == steps
    assert ("b" in lake.run("r").metrics) == (sessions == 2)
    assert lake.check(full=True).findings == []


def test_fork_while_rows_are_buffered(tmp_path: Path):
    """What the parent had not written yet when it forked is written once, by the parent."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1], durability="buffered")
    for step in range(100):
        run.log({"a": float(step)})
    child = os.fork()
    for step in range(50):
        run.log({"child" if child == 0 else "a": 100.0 + step})
    if child == 0:
        run.finish()
        os._exit(0)
    os.waitpid(child, 0)
    """
    output(script, tmp_path)
    lake = tl.open(tmp_path)
    assert lake.history("a", raw=True)["value"].to_list() == [float(step) for step in range(150)]
    assert lake.history("child", raw=True)["value"].to_list() == [100.0 + step for step in range(50)]


def test_orphan_of_a_dead_parent(tmp_path: Path):
    """A child that outlives its parent does not make the parent's run look alive."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    run.log({"a": 1.0})
    if os.fork() == 0:
        os.close(1), os.close(2)
        time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    output(script, tmp_path, code=-9)
    assert tl.open(tmp_path).run("r").state == "crashed"


def test_pool_of_workers(tmp_path: Path):
    """Workers of a forked pool log to the parent's run as a DataLoader's do; runs that they begin end as they do."""
    script = """
    import multiprocessing
    context = multiprocessing.get_context("fork")
    run = tl.init("p", name="parent", dir=sys.argv[1], durability=sys.argv[2])

    def load(i):
        run.log({"loaded": float(i)}, step=i)
        return i

    def train(i):
        tl.init("p", name=f"own {i}", dir=sys.argv[1]).log({"a": float(i)})   # finished by the end of the worker
        if i:
            raise SystemExit(i)

    run.log({"a": 0.0})
    with context.Pool(3) as pool:
        pool.map(load, range(60))
        pool.close()
        pool.join()
    workers = [context.Process(target=train, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    """
    for durability in ("write", "buffered"):
        output(script, tmp_path / durability, durability)
        lake = tl.open(tmp_path / durability)
        assert sorted(lake.runs(columns=["name", "state"]).drop("run_id").rows()) == [
            ("own 0", "finished"),
            ("own 1", "failed"),
            ("own 2", "failed"),
            ("parent", "finished"),
        ]
        assert lake.history("loaded")["step"].to_list() == list(range(60))
        assert lake.check(full=True).findings == []


def test_a_fork_while_a_thread_asks_the_platform(tmp_path: Path):
    """What a worker notes of its surroundings waits for no lock that a thread of its parent had at the fork."""
    script = """
    import contextlib, platform, threading
    lock = getattr(vars(platform.uname_result)["processor"], "lock", contextlib.nullcontext())   # up to Python 3.11
    taken, over = threading.Event(), threading.Event()

    def ask():
        with lock:
            taken.set()
            over.wait()

    threading.Thread(target=ask).start()
    taken.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        tl.init("p", id="r", dir=sys.argv[1]).finish()
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
    over.set()
    """
    assert output(script, tmp_path) == "0"


def test_reading_after_a_fork_says_that_it_cannot(tmp_path: Path):
    """Where polars would wait for ever for threads that the fork has lost, reading raises; logging works."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    run.log({"a": 1.0})
    assert run.summary["a"] == 1.0   # polars has threads now
    child = os.fork()
    if child == 0:
        run.log({"b": 2.0})
        try:
            run.summary["b"]
        except tl.TracklakeError as error:
            print(str(error).split(":")[0], flush=True)
        run.finish()
        tl.init("p", dir=sys.argv[1]).finish()
        os._exit(0)
    os.waitpid(child, 0)
    """
    assert output(script, tmp_path) == "a lake cannot be read here"
    assert tl.open(tmp_path).summaries(["a", "b"], runs="r").rows() == [("r", 1.0, 2.0)]


def test_one_lake_asked_by_many_threads(tmp_path: Path):
    """Threads may share a Lake object while a run logs and others seal."""
    run = tl.init("p", id="r", dir=tmp_path)
    run.log({"a": 0.0})
    lake = tl.open(tmp_path)
    wrong: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        seen = 0
        while not stop.is_set():
            try:
                count, largest = lake.summaries(["a.count", "a.max"]).row(0)[1:]
                points = lake.history("a").height
            except Exception as error:  # noqa: BLE001 - told below
                wrong.append(error)
                return
            if not (seen <= count == largest + 1 and points >= count):
                wrong.append((seen, count, largest, points))
            seen = count

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 1.5
    step = 1
    while time.monotonic() < end:
        run.log({"a": float(step)})
        step += 1
        if step % 20 == 0:
            lake.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    run.finish()
    assert wrong == []
    assert lake.history("a", raw=True).height == step
