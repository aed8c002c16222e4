"""Modules that load when they are first used, and the collection of garbage meanwhile."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracklake.common import late_modules


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that this process has not loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("is_on", [True, False])
def test_a_load_leaves_collections_as_they_were(package: Path, is_on: bool):
    """No garbage is collected while a module loads; afterwards it is, or is not, as before."""
    (package / "slow_module.py").write_text("import gc\nis_on = gc.isenabled()\n")
    (gc.enable if is_on else gc.disable)()
    try:
        loaded = late_modules.load("slow_module")
        assert (loaded.is_on, gc.isenabled()) == (False, is_on)
    finally:
        gc.enable()


def test_a_load_that_fails_leaves_collections_on(package: Path):
    """An error in a module comes through, and garbage is collected again."""
    (package / "broken_module.py").write_text("raise ImportError('of no use')\n")
    with pytest.raises(ImportError, match="of no use"):
        late_modules.load("broken_module")
    assert gc.isenabled()


def test_loads_of_two_threads_leave_collections_on(package: Path):
    """Where two threads load, collections are off until both are done, and on then."""
    (package / "waiting_module.py").write_text("import gate\ngate.inside.set()\ngate.leave.wait(60)\n")
    (package / "gate.py").write_text("import threading\ninside, leave = threading.Event(), threading.Event()\n")
    (package / "quick_module.py").write_text("")
    import gate

    thread = threading.Thread(target=late_modules.load, args=("waiting_module",))
    thread.start()
    assert gate.inside.wait(60)
    late_modules.load("quick_module")
    was_on = gc.isenabled()
    gate.leave.set()
    thread.join()
    assert (was_on, gc.isenabled()) == (False, True)


def test_a_signal_does_not_cut_a_load_short(package: Path):
    """What the handler of a signal raises comes through; the module is whole, and garbage is collected again."""
    (package / "alarming_module.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGALRM)\ntime.sleep(0.1)\nis_whole = True\n"
    )

    def time_out(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, time_out)
    try:
        with pytest.raises(TimeoutError):
            late_modules.load("alarming_module")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert sys.modules["alarming_module"].is_whole
    assert gc.isenabled()


def test_what_was_frozen_stays_frozen():
    """A server that froze its objects before it forks finds them frozen after a load."""
    code = """
import gc
gc.freeze()
before = gc.get_freeze_count()
import tracklake
tracklake.open
print(gc.get_freeze_count() > 0.9 * before, gc.isenabled())  # some are no longer needed, and went
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_a_history_loads_what_it_needs(tmp_path: Path):
    """A table or a history of sealed runs loads nothing of SQL, conditions, journals, sealing, display, statistics."""
    import tracklake as tl

    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"loss": 0.5})
    tl.open(tmp_path).refresh()
    code = f"""
import sys, tracklake
lake = tracklake.open({str(tmp_path)!r})
lake.runs(columns=["run_id", "summary.loss.min"], order_by="-summary.loss.min")
assert lake.history("loss")["value"].to_list() == [0.5]
print(*sorted(name for name in sys.modules if name.startswith("tracklake.")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    late = ("sql.", "display.", "query.conditions", "query.deriv", "analysis.objectives", "storage.journal.reader")
    late += ("storage.table.sealing", "storage.table.live", "query.sandbox.connection", "tracking.run", "integrations")
    assert [name for name in loaded if name.removeprefix("tracklake.").startswith(late)] == []
    assert "tracklake.storage.table.snapshot" in loaded
