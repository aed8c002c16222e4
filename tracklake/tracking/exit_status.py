"""With which exit code this process will end.

A run that its process leaves open is finished when the process ends, with the state that the exit code gives. Python
tells nobody that code: `SystemExit` is caught before any hook sees it. So two things are done here that a library
should not do lightly, both only once a run is open, and neither with TRACKLAKE_EXIT_STATUS=0 in the environment:

- `sys.exit`, `exit` and `quit` are replaced by functions that note the code and call the original;
- in a worker of multiprocessing, which ends without them, the code is read from the frames of multiprocessing.

Without them a run that is left open by `sys.exit(3)` counts as finished; uncaught exceptions and signals are seen
either way.
"""

from __future__ import annotations

import builtins
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

KILLED, TERMINATED = 130, 143
"""Exit codes of a process that was ended by SIGINT and by SIGTERM (128 + the signal's number)."""
SWITCH = "TRACKLAKE_EXIT_STATUS"
_CODES = ("exitcode", "code")
"""What multiprocessing calls the exit code where it runs a process, and where it starts one."""
_WAYS_OUT = [(sys, "exit", sys.exit)]
_WAYS_OUT += [(builtins, name, getattr(builtins, name)) for name in ("exit", "quit") if hasattr(builtins, name)]


class ExitStatus:
    """The exit code that this process will have, as far as it can be known."""

    def __init__(self) -> None:
        self.noted: object = None
        """What sys.exit was called with since the newest run began."""

    def watch(self) -> None:
        """Have sys.exit, exit and quit note their argument, unless a person types or it is switched off.

        >>> exit_status.watch()
        >>> sys.exit is _WAYS_OUT[0][2], "TRACKLAKE_EXIT_STATUS" in os.environ
        (False, False)
        """
        for module, name, leave in _WAYS_OUT:
            if getattr(module, name, None) is leave and not is_interactive() and _is_on():
                setattr(module, name, self._noting(leave))

    def forget(self) -> None:
        """Forget what was noted.

        >>> exit_status.noted = 3
        >>> exit_status.forget()
        >>> exit_status.noted
        """
        self.noted = None

    def code(self) -> int:
        """Return the exit code of this process if it ends now: as an uncaught exception, or sys.exit, has it.

        `raise SystemExit(3)` is seen in a worker of multiprocessing only; elsewhere nothing is left of it by now.

        >>> exit_status.noted = 3
        >>> exit_status.code(), exit_status.forget(), exit_status.code()
        (3, None, 0)
        """
        if is_interactive():  # every exception is caught, and the process ends well
            return 0
        error = sys.exc_info()[1] or getattr(sys, "last_value", None)
        if error is None:
            error = SystemExit(_code_of_worker() if self.noted is None else self.noted)
        return code_of(error)

    def _noting(self, leave: Callable[[Any], NoReturn]) -> Callable[..., NoReturn]:
        """Return a way out of the interpreter that is noted."""

        def noted(code: Any = None) -> NoReturn:
            """Exit the interpreter by raising SystemExit(code), which tracklake takes note of."""
            if threading.current_thread() is threading.main_thread():
                self.noted = code
            leave(code)

        return noted


def is_interactive() -> bool:
    """Tell whether a person types: in a notebook, at a prompt, or after a script (`python -i`).

    >>> is_interactive()  # this example is run by a test
    False
    """
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def code_of(error: BaseException | None) -> int:
    """Return the exit code of a process that ends with this exception.

    >>> code_of(None), code_of(SystemExit(3)), code_of(KeyboardInterrupt()), code_of(ValueError())
    (0, 3, 130, 1)
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    return 0 if error is None else KILLED if isinstance(error, KeyboardInterrupt) else 1


def _is_on() -> bool:
    return os.environ.get(SWITCH) != "0"


def _code_of_worker() -> int | None:
    """Return the code that a worker of multiprocessing ends with.

    From Python 3.13 on its exceptions are handled before its runs are finished: what started it has the code. Before
    that it is what runs it which knows that it ended well.
    """
    if not _is_on():
        return None
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - it is documented, and there is no other way to a caller
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("multiprocessing."):
            for name in _CODES:
                if name in frame.f_locals:
                    return int(frame.f_locals[name])
        frame = frame.f_back
    return None


exit_status = ExitStatus()
