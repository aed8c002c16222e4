"""Whatever interrupts a call that writes: rows whose `log` returned are whole, and the run can go on.

An interrupter stops the program before the k-th line that runs in tracklake, or amid one at the k-th call, for each k;
it raises, as Ctrl-C and an alarm do, or calls what a signal handler may call.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from interrupter import CallInterrupter, Interrupter, interrupt
from processes import output

import tracklake as tl
from tracklake.storage.journal import writer
from tracklake.storage.journal.reader import JournalReader
from tracklake.tracking.open_runs import open_runs

Row = dict[str, float]
Kind = type[Interrupter]
LONG = [pytest.param(1, kind, marks=pytest.mark.long) for kind in (Interrupter, CallInterrupter)]
"""At every place: before each line, and at each call."""
A_LAKE = 10
"""Places after which another lake begins: what a question costs follows the runs of a lake."""


def steady(i: int) -> Row:
    return {"i": i, "a": 1.0}


def new_names(i: int) -> Row:
    return {"i": i, f"n{i}": 1.0}


def raise_in(_: tl.Run) -> list[Row]:
    raise KeyboardInterrupt


def log_in(run: tl.Run) -> list[Row]:
    """What a signal handler logs."""
    run.log({"i": 1000.0, "h": 1.0})
    return [{"i": 1000.0, "h": 1.0}]


def edit_in(run: tl.Run) -> list[Row]:
    """What a signal handler sets and reads."""
    run.summary["x"] = run.summary["i"]
    run.tags += ("seen",)
    return []


def train(
    folder: Path, rows: Callable[[int], Row], act: Callable[[tl.Run], list[Row]], kind: Kind, at: int
) -> tuple[bool, list[Row]]:
    """Log, interrupted at a place, and log on; return whether all of it ran before, and the rows that were logged."""
    run = tl.init("p", id=f"r{at}", dir=folder, settings={"metadata": False}, reinit="create_new")
    logged: list[Row] = []

    def log(numbers: Iterator[int]) -> None:
        for i in numbers:
            run.log(rows(i))
            logged.append(rows(i))

    log(iter(range(3)))
    interrupter = kind(at, lambda: logged.extend(act(run)))
    try:
        with interrupter:
            log(iter(range(3, 9)))
    except KeyboardInterrupt:
        pass
    log(iter(range(20, 29)))
    run.finish()
    return interrupter.left > 0, logged


def read(folder: Path) -> dict[str, list[Row]]:
    """The rows of each run in the order of their steps; each has one value a metric."""
    points = tl.open(folder).history(raw=True).group_by("run_id", "step", maintain_order=True)
    rows: dict[str, list[Row]] = {}
    for run_id, _, names, values in points.agg("metric", "value").sort("run_id", "step").iter_rows():
        assert len(set(names)) == len(names)
        rows.setdefault(run_id, []).append(dict(zip(names, values, strict=True)))
    return rows


def damage(folder: Path) -> list[str]:
    return [str(fault) for path in (folder / "journal").iterdir() for fault in JournalReader(path).read().faults]


def assert_whole(folder: Path, logged: dict[str, list[Row]], rows: Callable[[int], Row]) -> None:
    """Each run has the rows that were logged, once, and at most the one that was interrupted beside them."""
    there = read(folder)
    assert there.keys() == logged.keys()
    for run_id, own in there.items():
        assert [row for row in logged[run_id] if row not in own] == [], run_id
        assert len(own) <= len(logged[run_id]) + 1
        assert all(row in logged[run_id] or row in [rows(i) for i in range(3, 9)] for row in own)
    assert damage(folder) == []
    assert tl.open(folder).check(full=True).ok


@pytest.mark.parametrize("rows", [steady, new_names])
@pytest.mark.parametrize("act", [raise_in, log_in, edit_in])
@pytest.mark.parametrize(("apart", "kind"), [(149, Interrupter), (149, CallInterrupter), *LONG])
def test_no_place_in_log_and_rotate_costs_a_row(tmp_path: Path, monkeypatch, rows, act, apart: int, kind: Kind):
    """At whichever place: each row whose `log` returned is there, whole and once; the interrupted one whole, or not."""
    monkeypatch.setattr(writer, "ROTATE_AT", 900)
    at, is_over = 1, False
    logged: dict[str, list[Row]] = {}
    while not is_over:
        folder = tmp_path / str(at // A_LAKE)
        is_over, logged[f"r{at}"] = train(folder, rows, act, kind, at)
        at += apart
        if is_over or at // A_LAKE != (at - apart) // A_LAKE:
            assert_whole(folder, logged, rows)
            logged.clear()
    assert at > 300


@pytest.mark.parametrize(("apart", "kind"), [(71, Interrupter), (71, CallInterrupter), *LONG])
def test_no_place_in_finish_and_seal_costs_a_row_or_the_state(tmp_path: Path, apart: int, kind: Kind):
    """An interrupted finish is completed by the next; an interrupted seal by the next seal."""
    at, is_over = 1, False
    while not is_over:
        folder = tmp_path / str(at // A_LAKE)
        run = tl.init("p", id=f"r{at}", dir=folder, settings={"metadata": False}, reinit="create_new")
        run.log({"a": 1.0})
        interrupter = kind(at, interrupt)
        try:
            with interrupter:
                run.finish()
                tl.open(folder).refresh()
        except KeyboardInterrupt:
            run.finish()
        is_over = interrupter.left > 0
        at += apart
    for lake in map(tl.open, tmp_path.iterdir()):
        lake.refresh()
        assert set(lake.runs(columns=["state"])["state"]) == {"finished"}
        assert set(lake.summaries(["a.count"])["a.count"]) == {1}
        assert lake.check(full=True).ok


@pytest.mark.parametrize("apart", [61, pytest.param(3, marks=pytest.mark.long)])
def test_a_process_that_is_told_to_end_leaves_its_rows_and_the_right_state(tmp_path: Path, apart: int):
    """SIGTERM at a line of log, rotate or finish: killed (finished, if it was), with every row whose log returned."""
    script = f"""
    sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
    from test_interrupts import Interrupter, new_names
    from tracklake.storage.journal import writer
    writer.ROTATE_AT = 900
    for at in range(1, 1500, {apart}):
        if os.fork() == 0:
            run = tl.init("p", id=f"r{{at}}", dir=sys.argv[1], settings={{"metadata": False}})
            with Interrupter(at, lambda: os.kill(os.getpid(), signal.SIGTERM)):
                for i in range(8):
                    run.log(new_names(i))
                    open(f"{{sys.argv[1]}}/{{at}}.logged", "a").write(f"{{i}} ")
                run.finish()
            os._exit(0)
        os.wait()
    """
    (tmp_path / "x").mkdir()
    output(script, tmp_path)
    lake = tl.open(tmp_path)
    assert set(lake.runs(columns=["state"])["state"]) <= {"killed", "finished"}
    values = dict(lake.history("i").group_by("run_id").agg("value").iter_rows())
    for path in tmp_path.glob("*.logged"):
        assert set(map(float, path.read_text().split())) <= set(values[f"r{path.stem}"])
    assert lake.check(full=True).ok


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an alarm may hit a gc callback
def test_real_alarms_cost_no_row(tmp_path: Path):
    """A timer that raises TimeoutError around training steps: acknowledged rows are all there."""
    script = """
    import gc

    def time_out(*_):
        if stepping:
            raise TimeoutError

    gc.disable()  # what is raised in a callback of the collector is lost
    run, stepping, logged = tl.init("p", id="r", dir=sys.argv[1]), False, 0
    signal.signal(signal.SIGALRM, time_out)
    for i in range(4_000):
        try:
            stepping = True
            signal.setitimer(signal.ITIMER_REAL, 1e-6 * (20 + i % 150))
            run.log({"i": float(i), **({f"n{i % 97}": 1.0} if i % 3 else {})})
            stepping = False
            print(i)
        except TimeoutError:
            stepping = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    run.finish()
    """
    logged = {float(line) for line in output(script, tmp_path).split()}
    lake = tl.open(tmp_path)
    assert logged - set(lake.history("i")["value"]) == set()
    assert 100 < len(logged) <= 4_000
    assert lake.check(full=True).ok


def test_signal_handlers_log_while_threads_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A handler's row follows the one it interrupts; none is lost, in files that rotate."""
    monkeypatch.setattr(writer, "ROTATE_AT", 20_000)
    run = tl.init("p", id="r", dir=tmp_path)
    counts = {"handler": 0, "thread": 0}

    def count(who: str) -> None:
        run.log({who: float(counts[who])})
        counts[who] += 1

    before = signal.signal(signal.SIGALRM, lambda *_: count("handler"))
    thread = threading.Thread(target=lambda: [count("thread") for _ in range(2_000)])
    try:
        signal.setitimer(signal.ITIMER_REAL, 5e-3, 5e-3)
        thread.start()
        for i in range(5_000):
            run.log({"main": float(i)})
        thread.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    run.finish()
    history = tl.open(tmp_path).history(raw=True)
    found = dict(history.group_by("metric").len().iter_rows())
    assert found == {"main": 5_000, "thread": 2_000, "handler": counts["handler"]}
    assert history["step"].n_unique() == history.height
    assert counts["handler"] > 0


def test_no_descriptor_is_used_after_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Files that a training opens after an interrupt get numbers that were the journal's, and none of its bytes."""
    monkeypatch.setattr(writer, "ROTATE_AT", 900)
    for at in range(1, 700, 29):
        run = tl.init("p", id=f"r{at}", dir=tmp_path / "lake", settings={"metadata": False}, reinit="create_new")
        try:
            with Interrupter(at, interrupt):
                for i in range(9):
                    run.log(new_names(i))
                run.finish()
        except KeyboardInterrupt:
            pass
        checkpoints = [os.open(tmp_path / f"{n}.pt", os.O_CREAT | os.O_RDWR) for n in range(4)]
        for i in range(10, 18):
            if not run._session.is_over:
                run.log(new_names(i))
        run.finish()
        assert [os.fstat(checkpoint).st_size for checkpoint in checkpoints] == [0] * 4
        [os.close(checkpoint) for checkpoint in checkpoints]


def test_tags_added_by_several_processes_are_all_there(tmp_path: Path):
    """Each tag that is added or removed is a statement of its own."""
    with tl.init("p", id="r", dir=tmp_path, tags=["a", "draft"]):
        pass
    script = """
    for n in range(6):
        if os.fork() == 0:
            for i in range(5):
                run = tl.open(sys.argv[1]).run("r")
                run.tags = [*run.tags, f"t{n}.{i}"]
            os._exit(0)
    [os.wait() for _ in range(6)]
    """
    output(script, tmp_path)
    run = tl.open(tmp_path).run("r")
    run.tags = [tag for tag in run.tags if tag != "draft"]
    assert set(run.tags) == {"a", *(f"t{n}.{i}" for n in range(6) for i in range(5))}
    assert tl.open(tmp_path).runs(where=pl.col("tags").list.contains("t3.4"))["run_id"].to_list() == ["r"]


def test_values_set_in_one_part_of_the_config_by_several_processes_are_all_there(tmp_path: Path):
    """Of a nested value only what was set is stored: by other processes, and by the run that is still written."""
    with tl.init("p", id="r", dir=tmp_path, config={"opt": {"lr": 0.1, "n0": 0}}) as run:
        script = """
        for n in range(4):
            if os.fork() == 0:
                run = tl.open(sys.argv[1]).run("r")
                for i in range(8):
                    run.config["opt"][f"n{n}"] = i
                    assert run.config["opt"][f"n{n}"] == i
                os._exit(0)
        print([os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)])
        """
        assert output(script, tmp_path) == "[0, 0, 0, 0]"
        run.config["opt"]["last"] = True
    assert tl.open(tmp_path).run("r").config == {
        "opt": {"lr": 0.1, "n0": 7, "n1": 7, "n2": 7, "n3": 7, "last": True},
    }


def test_a_value_set_again_leaves_what_stands_beside_it(tmp_path: Path):
    """To set one part of the config to what it is already stores that part alone, not an old copy of the others."""
    with tl.init("p", id="r", dir=tmp_path, config={"opt": {"a": 0, "b": 0}}) as run:
        tl.open(tmp_path).run("r").config["opt"]["b"] = 7
        run.config["opt"]["a"] = 0
    assert tl.open(tmp_path).run("r").config == {"opt": {"a": 0, "b": 7}}


def test_an_alarm_does_not_take_sigterm_away(tmp_path: Path):
    """A process that is told to end, and whose alarm raises while it finishes, ends as killed with its rows."""
    script = f"""
    sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
    from interrupter import Interrupter

    def time_out(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, time_out)
    for at in range(5, 400, 40):
        if os.fork() == 0:
            run = tl.init("p", id=f"r{{at}}", dir=sys.argv[1], settings={{"metadata": False}})
            run.log({{"a": 1.0}})
            try:
                with Interrupter(at, lambda: os.kill(os.getpid(), signal.SIGALRM)):
                    os.kill(os.getpid(), signal.SIGTERM)
                    time.sleep(1)
            except TimeoutError:
                pass
            time.sleep(5)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert set(output(script, tmp_path).split()) == {"-15"}
    lake = tl.open(tmp_path)
    assert set(lake.runs(columns=["state"])["state"]) == {"killed"}
    assert lake.history("a").height == 10


@pytest.mark.parametrize(("apart", "kind"), [(131, Interrupter), (131, CallInterrupter), *LONG])
def test_an_interrupted_init_leaves_no_half_run_behind(tmp_path: Path, apart: int, kind: Kind):
    """At whichever place: the heartbeat goes on, and the end of the process finishes the runs that there are."""
    at, is_over = 1, False
    other = tl.init("p", id="other", dir=tmp_path / "other", settings={"metadata": False})
    while not is_over:
        interrupter = kind(at, interrupt)
        try:
            with interrupter:
                tl.init("p", id=f"r{at}", dir=tmp_path / str(at // A_LAKE), config={"a": 1}, reinit="create_new")
        except KeyboardInterrupt:
            pass
        is_over = interrupter.left > 0
        open_runs.keep_alive()
        at += apart
    open_runs.finish_all(exit_code=0)
    assert tl.open(other.lake_dir).run("other").state == "finished"
