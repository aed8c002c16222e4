"""A hundred agents on one lake: no trial is lost, and none is tried twice, however many of them die."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from pathlib import Path

import processes
import pytest

import tracklake as tl
from tracklake.sweeping.launching.create import open_sweep

AGENTS, POINTS, VALUES = 100, 300, 3
AGENT = """
import warnings
warnings.simplefilter("ignore")

def train():
    run = tl.init()
    for i in range(3):
        run.log({"loss": run.config.x + i})
    run.finish()

tl.agent(sys.argv[1], train)
"""


@pytest.mark.long
def test_a_hundred_agents_of_which_thirty_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Real processes on one lake, killed at any moment: at the end each point has one finished run of three rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "PATIENCE", 1200)
    sweep_id = tl.sweep({"method": "grid", "parameters": {"x": {"values": list(range(POINTS))}}})
    records, generator = open_sweep(sweep_id), random.Random(0)
    with contextlib.ExitStack() as alive:
        agents = [alive.enter_context(processes.start(AGENT, sweep_id)) for _ in range(AGENTS)]
        doomed = generator.sample(agents, 30)
        for number, agent in enumerate(doomed):  # one for each eight trials that began, whatever it is at then
            while len(records.refresh().claims()) <= 8 * number:
                time.sleep(0.02)
            agent.kill()
        codes = [agent.wait() for agent in agents if agent not in doomed]
    assert codes == [0] * (AGENTS - len(doomed))
    assert processes.start(AGENT, sweep_id).wait() == 0  # what the last ones that died had begun
    runs = tl.open().runs(columns=["config.x", "state"])
    assert sorted(runs["config.x"]) == list(range(POINTS))
    assert runs["state"].unique().to_list() == ["finished"]
    history = tl.open().history("loss")
    assert (history.height, history["run_id"].n_unique()) == (POINTS * VALUES, POINTS)
    assert sorted(history["value"] - history["step"]) == sorted(3 * list(range(POINTS)))
    assert [agent.wait() for agent in doomed] == [-signal.SIGKILL] * len(doomed)
    assert [claim.number for claim in records.refresh().claims()] == list(range(POINTS))
