"""The commands that launch: agents side by side, and the life of a sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest
from click.testing import CliRunner, Result

import tracklake as tl
from tracklake.cli import main
from tracklake.cli.launch import agent

TRAIN = """
import sys, tracklake as tl
with tl.init() as run:
    run.log({"loss": float(sys.argv[1].partition("=")[2])})
"""
GRID = {"method": "grid", "program": "train.py", "name": "walk", "parameters": {"x": {"values": [1, 2, 3, 4]}}}


@pytest.fixture(autouse=True)
def _in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TRAIN)


def call(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def tried() -> list[int]:
    return sorted(tl.open().runs(columns=["config.x"])["config.x"].to_list())


def test_a_sweep_from_file_to_end():
    """`sweep create` prints an id, `agent --count` takes so many trials, `--parallel` the others; `list` shows it."""
    Path("sweep.json").write_text(json.dumps(GRID))
    sweep_id = call("sweep", "create", "sweep.json", "--project", "digits").stdout.strip()
    assert call("agent", sweep_id, "--count", "1").exit_code == 0
    assert call("agent", sweep_id, "--parallel", "2").exit_code == 0
    assert tried() == [1, 2, 3, 4]
    assert call("sweep", "list").stdout == f"{sweep_id}  FINISHED  grid        4 trials  walk\n"
    assert set(tl.open().runs(columns=["project"])["project"]) == {"digits"}


def test_a_cancelled_sweep_begins_no_trial():
    """After `sweep cancel` an agent ends at once; after `sweep resume` it goes on."""
    sweep_id = tl.sweep(GRID)
    assert call("sweep", "cancel", sweep_id).exit_code == 0
    assert call("agent", sweep_id).exit_code == 0
    assert (tl.Api().sweep(sweep_id).state, tl.open().runs().height) == ("CANCELED", 0)
    assert call("sweep", "resume", sweep_id).exit_code == 0
    call("agent", sweep_id, "--count", "1")
    assert tried() == [1]


def test_a_paused_sweep_is_waited_for():
    """An agent of a paused sweep waits, and goes on when it is resumed."""
    sweep_id = tl.sweep(GRID)
    call("sweep", "pause", sweep_id)
    agent = processes.start("import tracklake.cli; tracklake.cli.main()", "agent", sweep_id, "--count", "1")
    time.sleep(2)
    assert (agent.poll(), tl.open().runs().height) == (None, 0)
    call("sweep", "resume", sweep_id)
    assert (agent.wait(), tried()) == (0, [1])


def test_a_finished_sweep_is_extended():
    """`sweep resume --run-cap` lets a sweep that was finished take more trials."""
    sweep_id = tl.sweep({**GRID, "run_cap": 1})
    call("agent", sweep_id)
    assert (tl.Api().sweep(sweep_id).state, tried()) == ("FINISHED", [1])
    call("sweep", "resume", sweep_id, "--run-cap", "3")
    call("agent", sweep_id)
    assert tried() == [1, 2, 3]


def test_an_agent_that_fails_is_told():
    """Trials that fail at once stop agents, and the command says so: of five trials one of two agents has three."""
    Path("train.py").write_text("raise ValueError('no memory')")
    result = call("agent", tl.sweep(GRID | {"parameters": {"x": {"values": [1, 2, 3, 4, 5]}}}), "--parallel", "2")
    assert result.exit_code == 2
    assert "ended with exit code 2" in result.stderr


SLOW = """
import sys, time, tracklake as tl
with tl.init() as run:
    for i in range(run.starting_step, 3):
        run.log({"loss": float(i)})
        while i == 1 and not run.resumed and run.config.x < 2:  # until it is ended
            time.sleep(0.05)
"""


@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.long)])
def test_sigterm_as_slurm_sends_it(number: int):
    """Agents that have SIGTERM mark their runs and end with 143; others take these up at the step where they were."""
    Path("train.py").write_text(SLOW)
    sweep_id = tl.sweep({**GRID, "parameters": {"x": {"values": list(range(number))}}})
    command = "from tracklake.cli import main; main(sys.argv[1:])"
    words = ["agent", sweep_id, "--parallel", number]
    with processes.start(command, *words) as agents:
        while "loss" not in tl.open().metrics or len(tl.open().history("loss")) < 2 * number:
            time.sleep(0.05)
        agents.send_signal(signal.SIGTERM)
        assert agents.wait() == 128 + signal.SIGTERM
    runs = [tl.open().run(f"{sweep_id}-{x}") for x in range(number)]
    assert [(run.state, run.metadata["preempting"]) for run in runs] == [("killed", True)] * number
    processes.output(command, *words)
    assert [(run.state, run.config["x"]) for run in runs] == [("finished", x) for x in range(number)]
    assert tl.open().history("loss").select("step", "value").rows() == [(i, float(i)) for i in range(3)] * number


@pytest.mark.long
def test_the_job_array_of_the_help():
    """The script that `tracklake agent --help` shows, as two tasks that are ended and requeued: no row is lost."""
    Path("train.py").write_text(SLOW)
    sweep_id = tl.sweep({**GRID, "parameters": {"x": {"values": [0, 1, 2]}}})
    script = "\n".join(line.strip() for line in agent.help.partition("#!/bin/bash")[2].splitlines())
    script = script.replace("abcd1234", sweep_id).replace("/shared/lake", str(Path("lake").resolve()))
    Path("job.sh").write_text(f"#!/bin/bash{script}\n")
    for name, text in {"srun": 'exec "$@"', "tracklake": f'exec {sys.executable} -m tracklake.cli "$@"'}.items():
        Path(name).write_text(f"#!/bin/sh\n{text}\n")
        Path(name).chmod(0o755)
    variables = {**os.environ, "PATH": f"{Path.cwd()}{os.pathsep}{os.environ['PATH']}"}
    tasks = [subprocess.Popen(["bash", "job.sh"], env=variables, start_new_session=True) for _ in range(2)]
    while "loss" not in tl.open().metrics or len(tl.open().history("loss")) < 4:
        time.sleep(0.1)
    for task in tasks:
        os.killpg(task.pid, signal.SIGTERM)  # as Slurm does, to every process of the step at once
    assert all(task.wait(60) != 0 for task in tasks)
    assert subprocess.run(["bash", "job.sh"], env=variables, check=False).returncode == 0
    assert tried() == [0, 1, 2]
    assert set(tl.open().runs(columns=["state"])["state"]) == {"finished"}
    assert tl.open().history("loss").select("step", "value").rows() == [(i, float(i)) for i in range(3)] * 3


def test_a_sweep_of_another_lake():
    """A sweep that the lake does not have is refused by every command, with those that it has."""
    sweep_id = tl.sweep(GRID)
    for words in (
        ["agent"],
        ["agent", "--parallel", "2"],
        ["sweep", "pause"],
        ["sweep", "resume"],
        ["sweep", "cancel"],
    ):
        result = call(*words, "nowhere1")
        assert result.exit_code == 2
        assert f"there is no sweep 'nowhere1' in {Path('lake').resolve()}; it has {sweep_id}" in result.stderr
