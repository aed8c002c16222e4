"""The runs that this process has open: the current one, their sign of life, and how they end with the process."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import warnings
from typing import Any, Generic, Protocol, TypeVar

from tracklake.common import threads
from tracklake.errors import TracklakeError
from tracklake.tracking.exit_status import TERMINATED, exit_status

BEAT_SECONDS = 60.0
"""How often an open journal gives a sign of life."""
FLUSH_SECONDS = 1.0
"""How long durability="buffered" may keep a row from the operating system."""


class Open(Protocol):
    """What this module needs to know of a run that is being written."""

    @property
    def id(self) -> str:
        """Its id, for messages."""

    def finish(self, exit_code: int | None = None) -> None:
        """End it."""

    def after_fork(self) -> None:
        """Let go of its journal in the child of a fork."""

    def keep_alive(self, *, beat: bool) -> None:
        """Write what is buffered and, on a beat, give a sign of life."""


OpenT = TypeVar("OpenT", bound=Open)


class OpenRuns(Generic[OpenT]):
    """The runs of this process that were started and not finished, the newest last."""

    def __init__(self) -> None:
        self.inherited: list[OpenT] = []
        """Those of the process that this one was forked from, as long as nothing is written to them here."""
        self._runs: list[OpenT] = []
        self._beat: threads.Call[None] | None = None
        self._stop = threads.Flag()

    @property
    def current(self) -> OpenT | None:
        """The run that was started last and is not finished; None if there is none.

        >>> with tl.init(id="a"), tl.init(id="b"):
        ...     open_runs.current.id
        'b'
        """
        return self._runs[-1] if self._runs else None

    def __contains__(self, run: object) -> bool:
        return run in self._runs

    def add(self, run: OpenT) -> None:
        """Take in a run that writes a journal in this process.

        >>> with tl.init(id="a") as run, tl.init(id="b"):
        ...     open_runs.drop(run)
        ...     open_runs.add(run)
        ...     open_runs.current.id
        'a'
        """
        if self._beat is None:
            self._beat = threads.start(self._keep_alive, name="tracklake-heartbeat", daemon=True, attended=False)
            self._watch_the_end()
        if run not in self._runs:
            self._runs.append(run)
        self.inherited = [other for other in self.inherited if other is not run]
        exit_status.forget()  # if somebody meant to leave, it was not to be

    def drop(self, run: OpenT) -> None:
        """Forget a run that is finished.

        >>> with tl.init(id="a"), tl.init(id="b") as run:
        ...     open_runs.drop(run)
        ...     open_runs.current.id
        'a'
        """
        with contextlib.suppress(ValueError):
            self._runs.remove(run)

    def keep_alive(self) -> None:
        """Do for each run what is done about once a second: it takes over what its lake has defined since.

        >>> with tl.init(id="a") as run:
        ...     tl.open().define_metric("loss", step_metric="epoch")  # which calls it
        ...     run.log({"epoch": 3})
        ...     run.log({"loss": 0.5})
        >>> tl.open().history("epoch")["value"].to_list()
        [3.0, 3.0]
        """
        for run in self._runs.copy():
            run.keep_alive(beat=False)

    def finish_all(self, exit_code: int | None = None) -> None:
        """Finish what is open when the process ends: by default with the exit code that the process will have.

        What cannot be finished is warned of, and the others are finished all the same.

        >>> _ = tl.init(id="a"), tl.init(id="b")
        >>> open_runs.finish_all(exit_code=1)
        >>> tl.open().runs(columns=["state"])["state"].to_list()
        ['failed', 'failed']
        """
        code = exit_status.code() if exit_code is None else exit_code
        for run in reversed(self._runs.copy()):
            try:
                run.finish(exit_code=code)
            except (TracklakeError, OSError) as error:
                if not isinstance(error, TracklakeError) and error.errno is None:
                    raise  # no word of the operating system: a signal handler raised it
                warnings.warn(f"tracklake: run {run.id} could not be finished: {error}", stacklevel=1)

    def forget_in_child(self) -> None:
        """Leave the journals to the parent: after a fork, a child that logs opens a session of its own."""
        self._beat = None
        self._stop = threads.Flag()
        exit_status.forget()
        self.inherited = self._runs.copy()
        for run in self._runs:
            run.after_fork()
        if signal.getsignal(signal.SIGTERM) is _terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _keep_alive(self) -> None:
        stop = self._stop
        since_beat = 0.0
        while not stop.wait(FLUSH_SECONDS):
            since_beat += FLUSH_SECONDS
            beat = since_beat >= BEAT_SECONDS
            since_beat = 0.0 if beat else since_beat
            for run in self._runs.copy():
                run.keep_alive(beat=beat)

    def _watch_the_end(self) -> None:
        """See to it that this process finishes its runs, however it ends (atexit is there since the import)."""
        multiprocessing = sys.modules.get("multiprocessing")  # a worker of it has it
        if multiprocessing is not None and multiprocessing.parent_process() is not None:
            from multiprocessing.util import Finalize

            Finalize(None, self.finish_all, exitpriority=1)  # such a process ends without atexit
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
        exit_status.watch()


def _terminate(number: int, _: object) -> None:
    """End the open runs as killed and the process as SIGTERM does; installed only where nobody else handles it.

    A trial of a sweep notes first that another agent is to take it up where it was.
    """
    try:
        try:
            _mark_trial()
            open_runs.finish_all(TERMINATED)
        except BaseException:  # noqa: BLE001 - Ctrl-C or an alarm came in between: a finish is completed by the next
            open_runs.finish_all(TERMINATED)
    finally:  # who is told to end ends, whatever else is raised meanwhile
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _mark_trial() -> None:
    current = open_runs.current
    if current is not None and current.sweep_id is not None:
        current.mark_preempting()


open_runs: OpenRuns[Any] = OpenRuns()
atexit.register(open_runs.finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=open_runs.forget_in_child)
