"""Whatever interrupts a read leaves the Lake object right for the next one; modes of files follow the umask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from interrupter import Interrupter, interrupt
from processes import output

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.lake import base
from tracklake.query import run_table, summary_columns
from tracklake.sql import registered_tables
from tracklake.storage import content_files
from tracklake.storage.table import snapshot_view


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tl.Run]:
    """A run that is live, beside one that is sealed."""
    with tl.init("p", id="sealed", config={"lr": 0.1}, dir=tmp_path) as sealed:
        sealed.log({"i": -1.0})
    tl.open(tmp_path).refresh()
    with tl.init("p", id="live", dir=tmp_path, settings={"metadata": False}) as run:
        yield run


def answers(lake: tl.Lake) -> list[object]:
    return [
        lake.history("i").select("run_id", "step", "value").rows(),
        lake.runs(columns=["run_id", "config.lr", "summary.i", "tags"], order_by="run_id").rows(),
        lake.summaries(["i.max", "i.count"]).sort("run_id").rows(),
        lake.sql("SELECT run_id, max(value) AS m FROM history GROUP BY 1 ORDER BY 1").rows(),
    ]


@pytest.mark.parametrize("apart", [211, pytest.param(5, marks=pytest.mark.long)])
def test_a_read_that_is_interrupted(tmp_path: Path, run: tl.Run, apart: int):
    """At whichever line: what was appended meanwhile is in the next answer, as a fresh Lake gives it."""
    lake, at, is_over = tl.open(tmp_path), 1, False
    while not is_over:
        run.log({"i": float(at)})
        run.tags = [f"t{at}"]
        interrupter = Interrupter(at, interrupt)
        try:
            with interrupter:
                answers(lake)
        except KeyboardInterrupt:
            pass
        assert answers(lake) == answers(tl.open(tmp_path)), at
        is_over = interrupter.left > 0
        at += apart
    assert at > 10 * apart


class ModuleInterrupter(Interrupter):
    """One that counts only the lines of some modules."""

    def __init__(self, left: int, *modules: ModuleType) -> None:
        super().__init__(left, interrupt)
        self.files = {module.__file__ for module in modules}

    def trace(self, frame: FrameType, *_: object) -> Any:
        return self.line if frame.f_code.co_filename in self.files else None


@pytest.mark.parametrize("apart", [29, pytest.param(1, marks=pytest.mark.long)])
def test_what_is_remembered_of_a_snapshot_is_whole(tmp_path: Path, run: tl.Run, apart: int):
    """At whichever line of what remembers a snapshot: the same question again, of the same snapshot, is answered."""
    run.log({"i": 1.0})
    expected, at, is_over = answers(tl.open(tmp_path)), 1, False
    while not is_over:
        lake = tl.open(tmp_path)
        interrupter = ModuleInterrupter(at, snapshot_view, summary_columns, run_table, base)
        try:
            with interrupter:
                answers(lake)
        except KeyboardInterrupt:
            pass
        assert answers(lake) == expected, at
        is_over = interrupter.left > 0
        at += apart
    assert at > 10 * apart


def test_an_interrupt_inside_duckdb_comes_out_as_it_is(tmp_path: Path, run: tl.Run):
    """Ctrl-C while duckdb reads a view is KeyboardInterrupt, not an error of the query; the next query answers."""
    run.log({"i": 1.0})
    lake = tl.open(tmp_path)
    for at in range(1, 9):
        with pytest.raises(KeyboardInterrupt), ModuleInterrupter(at, registered_tables):
            lake.sql("SELECT max(value) FROM history")
        assert lake.sql("SELECT max(value) FROM history").rows() == [(1.0,)]


def test_modes_follow_the_umask(tmp_path: Path):
    """Every file and folder of a lake has the rights that the umask leaves; a journal that is over has no write bit."""
    before = os.umask(0o027)
    try:
        with tl.init("p", id="r", dir=tmp_path / "lake") as run:
            run.log({"a": 1.0})
            Path(run.dir, "notes.txt").write_text("hello")
        tl.open(tmp_path / "lake").refresh()
        with tl.init("p", id="s", dir=tmp_path / "lake") as run:
            run.log({"a": 1.0})
    finally:
        os.umask(before)
    paths = list((tmp_path / "lake").rglob("*"))
    modes = {(path.is_dir(), path.suffix, path.stat().st_mode & 0o777) for path in paths}
    assert {mode for is_folder, _, mode in modes if is_folder} == {0o750}
    assert {mode for is_folder, suffix, mode in modes if suffix == ".tlj"} == {0o440}
    assert {mode for is_folder, suffix, mode in modes if not is_folder and suffix != ".tlj"} == {0o640}


@pytest.mark.parametrize("name", ["files/../tracklake.json", "/etc/passwd", "journal/x.tlj", "files/a/b", "../x"])
def test_a_stored_path_never_leads_elsewhere(tmp_path: Path, name: str):
    """What stands in stored data as the path of a file is one of files/, or is refused."""
    storage = tl.open(tmp_path, create=True)._storage
    with pytest.raises(LakeError, match=r"a path that is stored never leads elsewhere|leads out of the lake"):
        content_files.verified(storage, name)


def test_an_interrupt_amid_an_import_leaves_no_half_module(tmp_path: Path):
    """A library that cannot be loaded twice, as numpy: the alarm raises in the question, and the module is whole."""
    (tmp_path / "cannot_load_twice.py").write_text("""
import os, signal, sys, time
if hasattr(sys, "loaded_once"):
    raise ImportError("cannot load module more than once per process")
sys.loaded_once = True
os.kill(os.getpid(), signal.SIGALRM)
time.sleep(0.2)
whole = True
""")
    script = """
    from tracklake.common import whole_modules

    def time_out(*_):
        raise TimeoutError

    sys.path.insert(0, sys.argv[1])
    signal.signal(signal.SIGALRM, time_out)
    try:
        whole_modules.load("cannot_load_twice")
    except TimeoutError:
        print("interrupted")
    import cannot_load_twice
    print(cannot_load_twice.whole)
    """
    assert output(script, tmp_path).split() == ["interrupted", "True"]


@pytest.mark.parametrize("at", [0.05, *(pytest.param(n / 50, marks=pytest.mark.long) for n in range(1, 21))])
def test_an_alarm_in_the_first_sql_question_ends_no_process(tmp_path: Path, at: float):
    """A fresh process loads duckdb and numpy with it; the alarm raises there, and the next question is answered."""
    with tl.init("p", id="r", dir=tmp_path, settings={"metadata": False}) as run:
        run.log({"a": 1.0})
    script = f"""
import signal, sys, time
import tracklake as tl

def time_out(*_):
    raise TimeoutError

lake = tl.open(sys.argv[1])
signal.signal(signal.SIGALRM, time_out)
try:
    signal.setitimer(signal.ITIMER_REAL, {at})
    lake.sql("SELECT * FROM history")
    time.sleep({at} + 5)  # not pause(): what the interpreter swallows, as in a finalizer, never comes again
except TimeoutError:
    pass
print(lake.sql("SELECT count(*) FROM history").item(), lake.run("r").history()["a"].to_numpy().sum())
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1", "1.0"]), done.stderr
