"""A soak of trainings, a sealer and a reader under signals, interrupts and kills: no acknowledged row is ever missing.

Ctrl-C and an alarm raise in the middle of anything, SIGUSR1 logs from its handler, SIGSTOP and SIGCONT make processes
sleep, SIGTERM ends them, SIGKILL kills them; who has ended is taken up again with `resume`. The reader keeps one Lake.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from processes import Child, start

import tracklake as tl

TRAINING = """
import gc

folder, name, take = sys.argv[1], sys.argv[2], int(sys.argv[3])
from tracklake.storage.journal import writer

writer.ROTATE_AT = 30_000
acknowledged = os.open(f"{folder}/{name}.acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
is_stepping = False


def log(values, number):
    run.log(values)
    os.write(acknowledged, b"%d\\n" % number)


def interrupt(signum, frame):
    if is_stepping:
        raise (KeyboardInterrupt if signum == signal.SIGINT else TimeoutError)


def note(signum, frame):
    global noted
    noted += 1
    log({"i": float(take * 1_000_000 + 500_000 + noted), "noted": 1.0}, take * 1_000_000 + 500_000 + noted)


gc.disable()  # what is raised in a callback of the collector is lost
noted, step = 0, 0
signal.signal(signal.SIGINT, interrupt)
signal.signal(signal.SIGALRM, interrupt)
run = tl.init("p", id=name, resume="allow", dir=f"{folder}/lake")
signal.signal(signal.SIGUSR1, note)
print("ready", flush=True)
while True:
    step += 1
    number = take * 1_000_000 + step
    try:
        is_stepping = True
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        log({"i": float(number), f"n{step % 60}": 1.0, **({"text": "x" * (step % 9)} if step % 7 == 0 else {})}, number)
        if step % 50 == 0:
            run.summary["last"] = number
        if step % 90 == 0:
            run.define_metric(f"n{step % 60}", summary="max")
        time.sleep(0.001)
        is_stepping = False
    except (KeyboardInterrupt, TimeoutError):
        is_stepping = False
    if step % 100 == 0:
        gc.collect()
"""
WATCHING = """
from pathlib import Path
import collections


def interrupt(signum, frame):
    if is_asking:
        raise KeyboardInterrupt


is_asking = False
signal.signal(signal.SIGINT, interrupt)
folder = Path(sys.argv[1])
lake = tl.open(folder / "lake")
print("ready", flush=True)
while True:
    try:
        is_asking = True
        act()
        time.sleep(0.05)
        is_asking = False
    except KeyboardInterrupt:
        is_asking = False
"""
SEALER = (
    """
def act():
    tl.open(lake.dir).refresh()
    lake.compact()

"""
    + WATCHING
)
READER = (
    """
def act():
    texts = {path.stem: path.read_text() for path in folder.glob("*.acknowledged")}
    rows = [(name, float(number)) for name, text in texts.items() for number in text.split("\\n")[:-1]]
    counts = collections.Counter(lake.history("i", raw=True).select("run_id", "value").iter_rows())
    lake.runs(), lake.summaries(["i.count"])
    missing = [row for row in rows if counts[row] != 1]
    if missing:
        again = collections.Counter(tl.open(lake.dir).history("i", raw=True).select("run_id", "value").iter_rows())
        lost = [row for row in missing if again[row] != 1]
        print(f"MISSING {missing[:5]}, {len(missing)}; in a fresh lake {lost[:5]}, {len(lost)}", flush=True)
        os._exit(3)

"""
    + WATCHING
)
SIGNALS = {
    "SIGINT": 8,
    "SIGALRM": 4,
    "SIGUSR1": 6,
    "SIGSTOP": 2,
    "SIGTERM": 2,
    "SIGKILL": 2,
}


class Soak:
    """Trainings, a sealer and a reader on one lake, and what they were sent."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.sent: Counter[str] = Counter()
        self.takes: Counter[str] = Counter()
        tl.open(folder / "lake", create=True)
        names = ["train0", "train1", "train2", "sealer", "reader"]
        self.children: dict[str, Child] = {name: self.begin(name) for name in names}

    def begin(self, name: str) -> Child:
        scripts = {"sealer": SEALER, "reader": READER}
        child = start(scripts.get(name, TRAINING), self.folder, name, self.takes[name])
        self.takes[name] += 1
        assert child.stdout.readline().strip() == "ready", child.stderr.read()
        return child

    def disturb(self) -> None:
        """Send one process one signal; who ended of it is begun again."""
        name = self.random.choice([*self.children, "train0", "train1", "train2"])
        (kind,) = self.random.choices([*SIGNALS], weights=[*SIGNALS.values()])
        if not name.startswith("train") and kind in ("SIGALRM", "SIGUSR1"):
            return
        child = self.children[name]
        if child.poll() is not None:
            assert child.returncode != 3, child.stdout.read()
            raise AssertionError(f"{name} ended by itself: {child.returncode} {child.stderr.read()}")
        self.sent[f"{name.rstrip('012')} {kind}"] += 1
        child.send_signal(getattr(signal, kind))
        if kind == "SIGSTOP":
            time.sleep(0.05)
            child.send_signal(signal.SIGCONT)
        elif kind in ("SIGTERM", "SIGKILL"):
            child.wait()
            self.children[name] = self.begin(name)

    def kill(self) -> None:
        for child in self.children.values():
            if child.poll() is None:
                child.kill()

    def end(self) -> None:
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
            child.wait()


@pytest.mark.parametrize("seconds", [3, pytest.param(600, marks=pytest.mark.long)])
def test_soak_under_signals(tmp_path: Path, seconds: int):
    """Each acknowledged row is there exactly once at every look and at the end; check finds nothing."""
    soak = Soak(tmp_path, seed=seconds)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            soak.disturb()
            time.sleep(0.02)
        soak.end()
    finally:
        soak.kill()
    lake = tl.open(tmp_path / "lake")
    counts = Counter(lake.history("i", raw=True).select("run_id", "value").iter_rows())
    acknowledged = [
        (path.stem, float(number))
        for path in tmp_path.glob("*.acknowledged")
        for number in path.read_text().splitlines()
    ]
    assert [row for row in acknowledged if counts[row] != 1] == []
    lake.refresh()
    lake.compact()
    assert lake.check(full=True).findings == []
    log = (
        f"{seconds} s: {len(acknowledged):,} rows acknowledged, all there once; sent: {dict(sorted(soak.sent.items()))}"
    )
    Path(os.environ.get("SOAK_LOG", tmp_path / "soak.log")).write_text(log + "\n")
    assert set(lake.runs(columns=["state"])["state"]) <= {"killed", "crashed"}
