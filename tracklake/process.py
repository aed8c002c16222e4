"""The runs that this process has open: the current one, their sign of life, and how they end with the process."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING

from tracklake.errors import TracklakeError

if TYPE_CHECKING:
    from tracklake.writer import Run

BEAT_SECONDS = 60.0
"""How often an open journal gives a sign of life."""
FLUSH_SECONDS = 1.0
"""How long durability="buffered" may keep a row from the operating system."""


class OpenRuns:
    """The runs of this process that were started and not finished, the newest last."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._beat: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def current(self) -> Run | None:
        """The run that was started last and is not finished."""
        return self._runs[-1] if self._runs else None

    def add(self, run: Run) -> None:
        """Take in a run that has just started."""
        self._runs.append(run)
        if self._beat is None:
            self._beat = threading.Thread(target=self._keep_alive, name="tracklake-heartbeat", daemon=True)
            self._beat.start()

    def drop(self, run: Run) -> None:
        """Forget a run that is finished."""
        with contextlib.suppress(ValueError):
            self._runs.remove(run)

    def finish_all(self) -> None:
        """Finish what is open when the interpreter ends; after an uncaught exception as failed, or killed by Ctrl-C."""
        code = _exit_code()
        for run in reversed(self._runs.copy()):
            try:
                run.finish(exit_code=code)
            except (TracklakeError, OSError) as error:
                warnings.warn(f"tracklake: run {run.id} could not be finished: {error}", stacklevel=1)

    def forget_in_child(self) -> None:
        """Leave the journals to the parent: after a fork, a child that logs opens a session of its own."""
        self._beat = None
        self._stop = threading.Event()
        for run in self._runs:
            run.leave_to_parent()

    def _keep_alive(self) -> None:
        stop = self._stop
        since_beat = 0.0
        while not stop.wait(FLUSH_SECONDS):
            since_beat += FLUSH_SECONDS
            beat = since_beat >= BEAT_SECONDS
            since_beat = 0.0 if beat else since_beat
            for run in self._runs.copy():
                run.keep_alive(beat=beat)


def _exit_code() -> int:
    """Return 0, or what an uncaught exception makes of the process; in a notebook every exception is caught."""
    error = getattr(sys, "last_value", None)
    if error is None or hasattr(sys, "ps1"):
        return 0
    return KILLED if isinstance(error, KeyboardInterrupt) else 1


KILLED = 130
"""Exit code of a process that was interrupted (128 + SIGINT)."""

open_runs = OpenRuns()
atexit.register(open_runs.finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=open_runs.forget_in_child)
