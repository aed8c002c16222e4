"""Trials as processes: their environment, their signals, and agents side by side."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake.sweeping import command
from tracklake.tracking import trial as current_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracklake.sweeping.config import SweepConfig
    from tracklake.sweeping.space import Point
    from tracklake.tracking.trial import Trial

PREEMPTED = 128 + signal.SIGTERM
"""The exit code of an agent that SIGTERM ended."""
GRACE_SECONDS = 30.0
"""How long a process may take to end after SIGTERM."""


def run_trial(config: SweepConfig, point: Point, trial: Trial) -> int:
    """Run the command of a trial and return its exit code, negative for a signal.

    >>> from tracklake.sweeping.config import SweepConfig
    >>> config = SweepConfig({"command": ["/usr/bin/env", "true"], "parameters": {"lr": {"value": 1}}})
    >>> from tracklake.tracking.trial import Trial
    >>> run_trial(config, {"lr": 1}, Trial("lake", "s1", "s1-0", "p", {"lr": 1}))
    0
    """
    with tempfile.TemporaryDirectory(prefix="tracklake-") as folder:
        words = command.of_trial(config, point, folder=Path(folder))
        variables = {**os.environ, **_variables(trial)}
        process = subprocess.Popen(words, env=variables)  # noqa: S603 - the command of the sweep
        try:
            return process.wait()
        except BaseException:
            end(process)
            raise


def run_agents(words: Sequence[str], number: int) -> int:
    """Run as many agents side by side, pass SIGTERM on to them, and return the worst of their exit codes.

    >>> import sys
    >>> run_agents([sys.executable, "-c", "pass"], 2)
    0
    """
    agents = [subprocess.Popen(list(words)) for _ in range(number)]  # noqa: S603 - agents of ours

    def pass_on(*_: object) -> None:
        for agent in agents:
            agent.terminate()

    with on_sigterm(pass_on):
        return max((abs(agent.wait()) for agent in agents), default=0)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process with SIGTERM, and with SIGKILL if it takes too long.

    >>> import subprocess, sys
    >>> process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    >>> end(process)
    >>> process.returncode
    -15
    """
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def on_sigterm(act: Callable[..., None]) -> Iterator[None]:
    """Call something when SIGTERM comes inside the block; in a thread other than the main one nothing changes.

    >>> import signal
    >>> with on_sigterm(lambda *_: print("ended")):
    ...     signal.raise_signal(signal.SIGTERM)
    ended
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, act)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _variables(trial: Trial) -> dict[str, str]:
    return {
        current_trial.VARIABLE: trial.to_json(),
        "TRACKLAKE_DIR": trial.lake,
        "WANDB_SWEEP_ID": trial.sweep_id,
    }
