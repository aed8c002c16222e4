"""Promise 1, first half: what `log` returned for outlives the process."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from processes import output, start

import tracklake as tl

if TYPE_CHECKING:
    from pathlib import Path

KILL = """
# forks from a process that has imported all: a fresh interpreter for each kill would take most of the time
import random
for kill in range(int(sys.argv[3])):
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        run = tl.init("p", id=f"r{kill}", dir=sys.argv[1], durability=sys.argv[2])
        for step in range(10**9):
            run.log({"a": float(step), "note": "x"} if step % 7 == 0 else {"a": float(step), "b": step})
            os.write(send, step.to_bytes(8, "big"))   # not before log has returned
    os.close(send)
    told = os.read(receive, 8)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    while more := os.read(receive, 8):
        told = more
    print(int.from_bytes(told, "big"))
"""


def last_steps(place: Path, durability: str, kills: int) -> list[int]:
    """Kill this many logging processes, and return the last step that log had returned for in each."""
    return [int(line) for line in output(KILL, place, durability, kills).splitlines()]


def steps_of(lake: tl.Lake, run_id: str) -> list[int]:
    frame = lake.history("a", runs=run_id)
    assert frame["value"].to_list() == [float(step) for step in frame["step"]]
    return frame["step"].to_list()


@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_killed_process_loses_nothing(tmp_path: Path, durability: str):
    """However a process is killed, every row that log returned for is read back, and at most one that was under way."""
    last = last_steps(tmp_path, durability, 10)
    lake = tl.open(tmp_path)
    for kill in range(10):
        steps = steps_of(lake, f"r{kill}")
        assert steps == list(range(len(steps)))
        assert len(steps) - 1 in (last[kill], last[kill] + 1)
    assert lake.check(full=True).ok


def test_buffered_rows_are_written_within_a_second(tmp_path: Path):
    """With durability="buffered" a kill costs the rows of the last second, and none before."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1], durability="buffered")
    for step in range(500):
        run.log({"a": float(step)})
    print("logged", flush=True)
    time.sleep(60)
    """
    child = start(script, tmp_path)
    child.stdout.readline()
    lake, deadline = tl.open(tmp_path), time.monotonic() + 60
    while lake.history().height < 500 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.communicate()
    assert steps_of(lake, "r") == list(range(500))


def test_life_of_a_killed_run(tmp_path: Path):
    """A killed run is crashed; refresh seals it; its journal goes; resumed, it goes on."""
    (last,) = last_steps(tmp_path, "write", 1)
    lake = tl.open(tmp_path)
    steps = steps_of(lake, "r0")
    assert lake.run("r0").state == "crashed"
    assert lake.refresh()._replace(points=0) == (1, 1, 0, [])
    assert list((tmp_path / "journal").iterdir()) == []
    again = tl.open(tmp_path)
    assert (again.run("r0").state, steps_of(again, "r0"), again.check(full=True).ok) == ("crashed", steps, True)
    with tl.init("p", id="r0", resume="allow", dir=tmp_path) as run:
        run.log({"a": float(len(steps))})
    assert (lake.run("r0").state, steps_of(lake, "r0")) == ("finished", [*steps, len(steps)])
    assert len(steps) > last


def test_journal_from_before_a_reboot(tmp_path: Path):
    """A sealed journal without an end goes once its machine has started anew since; one of another machine stays."""
    script = """
    from tracklake.storage.journal import host
    boot, machine = host.NODE.split("@")
    for i, host.NODE in enumerate([f"the boot before@{machine}", f"the boot before@another {machine}"]):
        tl.init("p", id=f"r{i}", dir=sys.argv[1]).log({"a": 0.0})
    os.kill(os.getpid(), signal.SIGKILL)
    """
    output(script, tmp_path, code=-9)
    lake = tl.open(tmp_path)
    lake.refresh()
    left = []
    for silence in (700, 25 * 3600 + time.clock_gettime(time.CLOCK_BOOTTIME)):
        for journal in (tmp_path / "journal").iterdir():
            os.utime(journal, (0, time.time() - silence))
        lake.refresh()
        left.append(sorted(path.name[:2] for path in (tmp_path / "journal").iterdir()))
    assert left == [["r0", "r1"], ["r1"]]
    assert lake.runs()["state"].to_list() == ["crashed", "crashed"]


def test_killed_while_it_begins(tmp_path: Path):
    """A process that dies before its header is written leaves no run, and what it leaves goes in time."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.log({"a": 0.0})
    whole = next((tmp_path / "journal").iterdir()).read_bytes()
    for size in (0, 5, 100):
        (tmp_path / f"journal/x-0123456789.{size:016x}.0.tlj").write_bytes(whole[:size])
    lake = tl.open(tmp_path)
    assert lake.runs()["run_id"].to_list() == ["r"]
    for file in (tmp_path / "journal").iterdir():
        os.utime(file, (0, time.time() - 25 * 3600))
    lake.refresh()
    assert list((tmp_path / "journal").iterdir()) == []
    assert tl.open(tmp_path).runs()["run_id"].to_list() == ["r"]


SCRIPTS = {
    "it ends": "",
    "it raises": "raise ValueError",
    "Ctrl-C": "os.kill(os.getpid(), signal.SIGINT); time.sleep(5)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)",
    "sys.exit()": "sys.exit()",
    "sys.exit(3)": "sys.exit(3)",
    "sys.exit with words": "sys.exit('no data')",
    "exit(3)": "exit(3)",
    "begun after a sys.exit that was caught": """run.finish()
try: sys.exit(3)
except SystemExit: tl.init(name=name, dir=sys.argv[1])
""",
    "kill -9": "os.kill(os.getpid(), signal.SIGKILL)",
    "os._exit": "os._exit(0)",
    "with: an exception": "with run: raise ValueError",
    "with: Ctrl-C": "with run: raise KeyboardInterrupt",
    "with: sys.exit(0)": "with run: sys.exit(0)",
    "an exception that is caught": "try: raise ValueError\nexcept ValueError: pass",
    "a later handler of SIGTERM": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.raise_signal(15)",
    "log on after SIGTERM was ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.raise_signal(15)",
}
END = """
for name, script in eval(sys.argv[2]).items():
    child = os.fork()
    if child == 0:
        break
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sep="=", flush=True)
else:
    sys.exit()
run = tl.init(name=name, dir=sys.argv[1])   # no id: nothing to look up, and so no engine to load
run.log({"a": 0.0})
exec(script)
"""


def test_state_says_how_the_process_ended(tmp_path: Path):
    """A run that nobody finished gets the state of the process that ends, which ends as it would without it."""
    codes = dict(line.rsplit("=", 1) for line in output(END, tmp_path, SCRIPTS).splitlines())
    states = dict(tl.open(tmp_path).runs(columns=["name", "state"]).drop("run_id").rows())
    assert {name: (int(codes[name]), states[name]) for name in SCRIPTS} == {
        "it ends": (0, "finished"),
        "it raises": (1, "failed"),
        "Ctrl-C": (-2, "killed"),
        "SIGTERM": (-15, "killed"),
        "sys.exit()": (0, "finished"),
        "sys.exit(3)": (3, "failed"),
        "sys.exit with words": (1, "failed"),
        "exit(3)": (3, "failed"),
        "begun after a sys.exit that was caught": (0, "finished"),
        "kill -9": (-9, "crashed"),
        "os._exit": (0, "crashed"),
        "with: an exception": (1, "failed"),
        "with: Ctrl-C": (-2, "killed"),
        "with: sys.exit(0)": (0, "finished"),
        "an exception that is caught": (0, "finished"),
        "a later handler of SIGTERM": (0, "finished"),
        "log on after SIGTERM was ignored": (0, "finished"),
    }


def test_handler_that_was_there_stays(tmp_path: Path):
    """A handler of SIGTERM that the program had set before init is not replaced."""
    script = """
    signal.signal(signal.SIGTERM, lambda *_: print("mine"))
    run = tl.init(id="r", dir=sys.argv[1])
    signal.raise_signal(signal.SIGTERM)
    run.log({"a": 1.0})
    """
    assert output(script, tmp_path) == "mine"
    assert tl.open(tmp_path).run("r").state == "finished"
