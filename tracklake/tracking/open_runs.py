"""The runs that this process has open: the current one, their sign of life, and how they end with the process."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from tracklake.errors import TracklakeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

BEAT_SECONDS = 60.0
"""How often an open journal gives a sign of life."""
FLUSH_SECONDS = 1.0
"""How long durability="buffered" may keep a row from the operating system."""
KILLED, TERMINATED = 130, 143
"""Exit codes of a process that was ended by SIGINT and by SIGTERM (128 + the signal's number)."""


class Open(Protocol):
    """What this module needs to know of a run that is being written."""

    @property
    def id(self) -> str:
        """Its id, for messages."""

    def finish(self, exit_code: int | None = None) -> None:
        """End it."""

    def leave_to_parent(self) -> None:
        """Let go of its journal in the child of a fork."""

    def keep_alive(self, *, beat: bool) -> None:
        """Write what is buffered and, on a beat, give a sign of life."""


OpenT = TypeVar("OpenT", bound=Open)


class OpenRuns(Generic[OpenT]):
    """The runs of this process that were started and not finished, the newest last."""

    def __init__(self) -> None:
        self.exit_status: object = None
        """What sys.exit was called with since the newest run began; SystemExit shows in no hook."""
        self._runs: list[OpenT] = []
        self._beat: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def current(self) -> OpenT | None:
        """The run that was started last and is not finished; None if there is none.

        >>> with tl.init(id="a"), tl.init(id="b"):
        ...     open_runs.current.id
        'b'
        """
        return self._runs[-1] if self._runs else None

    def add(self, run: OpenT) -> None:
        """Take in a run that writes a journal in this process.

        >>> with tl.init(id="a") as run, tl.init(id="b"):
        ...     open_runs.drop(run)
        ...     open_runs.add(run)
        ...     open_runs.current.id
        'a'
        """
        if self._beat is None:
            beat = threading.Thread(target=self._keep_alive, name="tracklake-heartbeat", daemon=True)
            beat.start()
            self._beat = beat
            self._watch_the_end()
        if run not in self._runs:
            self._runs.append(run)
        self.exit_status = None  # if somebody meant to leave, it was not to be

    def drop(self, run: OpenT) -> None:
        """Forget a run that is finished.

        >>> with tl.init(id="a"), tl.init(id="b") as run:
        ...     open_runs.drop(run)
        ...     open_runs.current.id
        'a'
        """
        with contextlib.suppress(ValueError):
            self._runs.remove(run)

    def finish_all(self, exit_code: int | None = None) -> None:
        """Finish what is open when the process ends: by default with the exit code that the process will have.

        What cannot be finished is warned of, and the others are finished all the same.

        >>> _ = tl.init(id="a"), tl.init(id="b")
        >>> open_runs.finish_all(exit_code=1)
        >>> tl.open().runs(columns=["state"])["state"].to_list()
        ['failed', 'failed']
        """
        code = _exit_code(self.exit_status) if exit_code is None else exit_code
        for run in reversed(self._runs.copy()):
            try:
                run.finish(exit_code=code)
            except (TracklakeError, OSError) as error:
                warnings.warn(f"tracklake: run {run.id} could not be finished: {error}", stacklevel=1)

    def forget_in_child(self) -> None:
        """Leave the journals to the parent: after a fork, a child that logs opens a session of its own."""
        self._beat = None
        self._stop = threading.Event()
        self.exit_status = None
        for run in self._runs:
            run.leave_to_parent()
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
        for module, name, leave in _WAYS_OUT:
            if getattr(module, name, None) is leave and not is_interactive():
                setattr(module, name, _noting(leave))


def is_interactive() -> bool:
    """Tell whether a person types: in a notebook, at a prompt, or after a script (`python -i`).

    >>> is_interactive()  # this example is run by a test
    False
    """
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def _terminate(number: int, _: object) -> None:
    """End the open runs as killed and the process as SIGTERM does; installed only where nobody else handles it."""
    open_runs.finish_all(TERMINATED)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _noting(leave: Callable[[Any], NoReturn]) -> Callable[..., NoReturn]:
    """Return a way out of the interpreter that is noted."""

    def noted(code: Any = None) -> NoReturn:
        """Exit the interpreter by raising SystemExit(code), which tracklake takes note of."""
        if threading.current_thread() is threading.main_thread():
            open_runs.exit_status = code
        leave(code)

    return noted


def code_of(error: BaseException | None) -> int:
    """Return the exit code of a process that ends with this exception.

    >>> code_of(None), code_of(SystemExit(3)), code_of(KeyboardInterrupt()), code_of(ValueError())
    (0, 3, 130, 1)
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    return 0 if error is None else KILLED if isinstance(error, KeyboardInterrupt) else 1


def _exit_code(status: object) -> int:
    """Return the exit code of a process that ends now: as an uncaught exception, or sys.exit, has it.

    `raise SystemExit(3)` is seen in a worker of multiprocessing only; elsewhere nothing is left of it by now.
    """
    error = sys.exc_info()[1] or getattr(sys, "last_value", None)
    if is_interactive():  # every exception is caught, and the process ends well
        return 0
    if error is None:
        error = SystemExit(_code_of_worker() if status is None else status)
    return code_of(error)


def _code_of_worker() -> int | None:
    """Return the code that a worker of multiprocessing ends with.

    From Python 3.13 on its exceptions are handled before its runs are finished: what started it has the code. Before
    that it is what runs it which knows that it ended well.
    """
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - it is documented, and there is no other way to a caller
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("multiprocessing."):
            for name in _CODES:
                if name in frame.f_locals:
                    return int(frame.f_locals[name])
        frame = frame.f_back
    return None


_CODES = ("exitcode", "code")
"""What multiprocessing calls the exit code where it runs a process, and where it starts one."""
_WAYS_OUT = [(sys, "exit", sys.exit)]
_WAYS_OUT += [(builtins, name, getattr(builtins, name)) for name in ("exit", "quit") if hasattr(builtins, name)]
open_runs: OpenRuns[Any] = OpenRuns()
atexit.register(open_runs.finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=open_runs.forget_in_child)
