"""Agents try each point once, whatever happens to them, and share nothing but the lake."""

from __future__ import annotations

import random
import signal
import textwrap
import time
from pathlib import Path

import processes
import pytest

import tracklake as tl

GRID = {"method": "grid", "metric": {"name": "loss"}, "parameters": {"x": {"values": list(range(12))}}}
RANDOM = {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}}


@pytest.fixture(autouse=True)
def _in_a_fresh_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def square():
    with tl.init() as run:
        run.log({"loss": (run.config.x - 5) ** 2})


def tried(column: str = "config.x") -> list:
    return tl.open().runs(columns=[column])[column].to_list()


def test_a_grid_is_tried_once_each():
    """Every point once, in order, and the sweep is finished then."""
    sweep_id = tl.sweep(GRID, project="walk")
    tl.agent(sweep_id, square, count=5)
    tl.agent(sweep_id, square)
    tl.agent(sweep_id, square)
    assert tried() == list(range(12))
    sweep = tl.Api().sweep(f"me/walk/{sweep_id}")
    assert (sweep.state, sweep.best_run().config["x"], sweep.expected_run_count) == ("FINISHED", 5, 12)
    assert tl.open().sweep(sweep_id).best(1)["run_id"].to_list() == [f"{sweep_id}-5"]


def test_random_draws_never_repeat():
    """Draws of an endless space differ, and a finite one is tried once each and no more."""
    sweep_id = tl.sweep(RANDOM)
    tl.agent(sweep_id, lambda: (random.seed(1), square()), count=8)  # training code that sets the seed
    assert len(set(tried())) == 8
    finite = tl.sweep({"method": "random", "parameters": {"x": {"values": [1, 2, 3]}}}, dir="other")
    tl.agent(finite, lambda: tl.init(dir="other").finish(), dir="other")
    assert sorted(tl.open("other").runs(columns=["config.x"])["config.x"]) == [1, 2, 3]


def test_run_cap_and_extension():
    """run_cap counts trials over all agents; a sweep goes on when it is extended."""
    sweep_id = tl.sweep(RANDOM | {"run_cap": 2})
    tl.agent(sweep_id, square)
    tl.agent(sweep_id, square)
    assert len(tried()) == 2
    assert tl.Api().sweep(sweep_id).state == "FINISHED"


def test_the_values_are_locked():
    """What a sweep tries cannot be changed by the script, and its project and id are the sweep's."""

    def train():
        with pytest.warns(UserWarning, match=r"project='other' is ignored|x.*stays 0"):
            run = tl.init("other", config={"x": 9, "depth": 3})
        run.config.x = 7
        run.finish()

    sweep_id = tl.sweep({"method": "grid", "parameters": {"x": {"values": [0]}}}, project="walk")
    tl.agent(sweep_id, train)
    run = tl.open().run(f"{sweep_id}-0")
    assert (run.config, run.project, run.sweep_id) == ({"x": 0, "depth": 3}, "walk", sweep_id)


def test_a_trial_may_init_again():
    """Training code that finishes its run and inits again inside one trial goes on with the run."""

    def train():
        tl.init().finish()
        with tl.init() as run:
            run.log({"loss": 1.0})

    tl.agent(tl.sweep(RANDOM), train, count=2)
    assert tl.open().runs(columns=["summary.loss"])["summary.loss"].to_list() == [1.0, 1.0]


def test_failures_are_failed_runs_and_three_stop_the_agent(capsys: pytest.CaptureFixture[str]):
    """An exception fails its run and the next trial goes on; three in a row stop the agent and say why."""

    def train():
        with tl.init() as run:
            if run.config.x != 1:
                raise ValueError("no memory")

    sweep_id = tl.sweep(GRID)
    with pytest.raises(tl.TracklakeError, match=r"3 trials in a row failed at once.*ValueError: no memory"):
        tl.agent(sweep_id, train)
    states = tl.open().runs(columns=["state"])["state"].to_list()
    assert states == ["failed", "finished", "failed", "failed", "failed"]
    assert "ValueError: no memory" in capsys.readouterr().err


def test_early_termination():
    """A trial behind the others at a band is stopped inside `log`; the rest run to their end."""

    def train():
        run = tl.init()
        for epoch in range(1, 10):
            run.log({"loss": run.config.x + 1 / epoch})

    stopping = {"early_terminate": {"type": "hyperband", "min_iter": 3}}
    tl.agent(tl.sweep(GRID | stopping, project="walk"), train)
    counts = _counts()
    assert (counts[0], set(counts[1:])) == (9, {3})
    assert set(tl.open().runs(columns=["state"])["state"]) == {"finished"}


def _counts() -> list[int]:
    history = tl.open().history("loss")
    return [len(part) for _, part in history.group_by("run_id", maintain_order=True)]


def test_warm_start():
    """A grid leaves out the points of runs that were never part of it."""
    with tl.init("walk", id="before", config={"x": 3}) as run:
        run.log({"loss": 4})
    tl.agent(tl.sweep(GRID, warm_start="before"), square)
    assert sorted(tried()) == list(range(12))


def test_a_target_ends_the_sweep():
    """Once a trial reaches the target, no other begins."""
    tl.agent(tl.sweep(GRID | {"metric": {"name": "loss", "target": 9.0}}), square)
    assert tried() == [0, 1, 2]


def test_a_search_by_bayes_repeats_no_trial():
    """Of thirty trials, ten of them random, no two try the same point."""
    pytest.importorskip("optuna")
    space = {"x": {"distribution": "uniform", "min": -10.0, "max": 20.0}, "b": {"values": ["p", "q"]}}
    tl.agent(tl.sweep({"method": "bayes", "metric": {"name": "loss"}, "parameters": space}), square, count=30)
    assert len(set(tried())) == 30


@pytest.mark.parametrize("method", ["bayes", "random"])
def test_a_metric_that_no_trial_has_is_told(method: str):
    """After three trials, not after a day, with the nearest name; whatever the method."""
    pytest.importorskip("optuna")
    config = {"method": method, "metric": {"name": "los"}, "parameters": RANDOM["parameters"]}
    with pytest.warns(UserWarning, match=r"none of the first 3 trials.*'los'.*did you mean 'loss'"):
        tl.agent(tl.sweep(config), square, count=5)


def test_a_sweep_of_another_lake():
    """An id that the lake does not have is refused, with those that it has."""
    sweep_id = tl.sweep(RANDOM)
    with pytest.raises(tl.TracklakeError, match=rf"there is no sweep 'nowhere1' in .*; it has {sweep_id}"):
        tl.agent("nowhere1", square)


AGENT = """
def train():
    run = tl.init()
    for i in range(5):
        run.log({"loss": run.config.x + i})
        time.sleep(float(sys.argv[2]))
    run.finish()

tl.agent(sys.argv[1], train)
"""


def start_agent(sweep_id: str, seconds: float) -> processes.Child:
    return processes.start(AGENT, sweep_id, seconds)


def test_killed_agents_lose_and_double_nothing():
    """Agents killed at random moments: at the end each grid point has just one finished run with five values."""
    sweep_id = tl.sweep(GRID)
    generator = random.Random(0)
    for _ in range(4):
        agents = [start_agent(sweep_id, 0.02) for _ in range(2)]
        time.sleep(0.3 + 0.5 * generator.random())
        for agent in agents:
            agent.kill()
            agent.wait()
    assert start_agent(sweep_id, 0).wait() == 0
    runs = tl.open().runs(columns=["config.x", "state"])
    assert sorted(runs["config.x"]) == list(range(12))
    assert set(runs["state"]) == {"finished"}
    assert sorted(_counts()) == [5] * 12


def test_sigterm_preempts_a_trial():
    """SIGTERM ends an agent cleanly: its run is marked, and the next agent goes on where it was."""
    sweep_id = tl.sweep(GRID | {"run_cap": 1})
    agent = start_agent(sweep_id, 60)  # it is at its first row when the signal comes, however late that is
    while not (Path("lake/journal").is_dir() and "loss" in tl.open().metrics):
        time.sleep(0.05)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait() == -signal.SIGTERM
    run = tl.open().run(f"{sweep_id}-0")
    assert (run.state, run.metadata["preempting"]) == ("killed", True)
    logged = len(tl.open().history("loss"))
    assert start_agent(sweep_id, 0).wait() == 0
    assert (run.state, len(tl.open().history("loss"))) == ("finished", logged + 5)


KILLED = """
import os, signal

def train():
    run = tl.init()
    for step in range(run.starting_step, 5):
        if step == 3 and sys.argv[2] != "end":
            if sys.argv[2] == "mark":
                run.mark_preempting()
            os.kill(os.getpid(), signal.SIGKILL)
        run.log({"loss": run.starting_step})
    run.finish()

tl.agent(sys.argv[1], train)
"""


@pytest.mark.parametrize(("way", "begun_at"), [("mark", [0, 0, 0, 3, 3]), ("die", [0] * 5)])
def test_a_marked_run_is_gone_on_with_when_it_is_killed(way: str, begun_at: list[int]):
    """`mark_preempting` keeps what a run logged before kill -9; without it the next attempt begins anew."""
    sweep_id = tl.sweep(GRID | {"run_cap": 1})
    assert processes.start(KILLED, sweep_id, way).wait() == -signal.SIGKILL
    assert processes.start(KILLED, sweep_id, "end").wait() == 0
    run, losses = tl.open().run(f"{sweep_id}-0"), tl.open().history("loss")
    assert (run.state, losses["step"].to_list(), losses["value"].to_list()) == ("finished", [0, 1, 2, 3, 4], begun_at)


def test_a_marked_run_that_fails_is_gone_on_with():
    """After `mark_preempting` an exception means that the machine was taken; the mark is of one attempt alone."""

    def train():
        run = tl.init()
        for step in range(run.starting_step, 5):
            if step == 3 and run.starting_step == 0:
                run.mark_preempting()
                raise OSError("the node is going down")
            if step == 4:
                raise ValueError("no memory")
            run.log({"loss": run.starting_step})

    sweep_id = tl.sweep(GRID | {"run_cap": 1})
    tl.agent(sweep_id, train)
    run = tl.open().run(f"{sweep_id}-0")
    assert (run.state, run.metadata["preempting"]) == ("failed", False)
    assert tl.open().history("loss")["value"].to_list() == [0, 0, 0, 3]
    assert tl.Api().sweep(sweep_id).state == "FINISHED"


def test_commands_are_trials():
    """Without a function the sweep's command is run, in which a plain init is the trial's run."""
    Path("train.py").write_text(
        textwrap.dedent("""
        import sys, tracklake as tl
        run = tl.init()
        run.log({"loss": float(sys.argv[1].partition("=")[2])})
        """)
    )
    sweep_id = tl.sweep({"program": "train.py", "method": "grid", "parameters": {"x": {"values": [1, 2]}}})
    assert processes.command("agent", sweep_id).returncode == 0
    assert tl.open().runs(columns=["config.x", "summary.loss"]).drop("run_id").rows() == [(1, 1.0), (2, 2.0)]
