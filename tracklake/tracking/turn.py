"""Turns: the calls that write one run follow each other, whatever interrupts them."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Recovery = tuple[Callable[..., None], *tuple[Any, ...]]


class Deferred(Protocol):
    """A call that arrived inside another one, and waits for its end."""

    def __call__(self) -> None:
        """Do it; called again if it was interrupted."""


def _nothing() -> None:
    """There is nothing to complete."""


NOTHING_WRITTEN: Recovery = (_nothing,)
"""The recovery of a call that has not written anything yet."""


class Turn:
    """Whose turn it is to write a run.

    A lock keeps threads apart, but not a call from a call that the same thread was interrupted in: a signal handler
    that logs, say. Nor does a lock tell that a call was cut by an exception. So each call that writes looks like this:

        turn = self._turn
        with turn.lock:
            if turn.recovery is not None and not turn.begin():
                turn.deferred.append(...)  # this call is inside another one: it is done at the end of that
                return
            turn.recovery = NOTHING_WRITTEN
            ...
            turn.recovery = None
            if turn.deferred:
                turn.run_deferred()

    `recovery` says how to complete the call if it is cut: a function and its arguments. None between calls. The local
    variable has to have the name `turn`: by it `begin` finds out whether a call that has not ended is on the stack, or
    was left by an exception.
    """

    __slots__ = ("deferred", "lock", "recovery")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.recovery: Recovery | None = None
        self.deferred: list[Deferred] = []

    def begin(self) -> bool:
        """Complete the call before, if it was cut; False inside a call of this thread that goes on after this one.

        >>> turn = Turn()
        >>> turn.recovery = (print, "completed")  # a call was cut
        >>> turn.begin(), turn.recovery
        completed
        (True, None)
        """
        if self._is_nested(sys._getframe(2)):  # noqa: SLF001 - it is documented, and the only way to a caller
            return False
        self.recover()
        return True

    def recover(self) -> None:
        """Complete what was cut, and do what waits.

        >>> turn = Turn()
        >>> turn.deferred.append(lambda: print("a row"))
        >>> turn.recover()
        a row
        """
        if self.recovery is not None:
            complete, *arguments = self.recovery
            complete(*arguments)
            self.recovery = None
        self.run_deferred()

    def run_deferred(self) -> None:
        """Do what waits at this moment, in order.

        >>> turn = Turn()
        >>> turn.deferred += [lambda: print(1), lambda: print(2)]
        >>> turn.run_deferred()
        1
        2
        """
        if not self.deferred:
            return
        self.recovery = NOTHING_WRITTEN  # what arrives from here on waits for the next call, else this may never end
        for _ in range(len(self.deferred)):
            call = self.deferred[0]
            call()
            if self.deferred and self.deferred[0] is call:
                del self.deferred[0]
        self.recovery = None

    def _is_nested(self, frame: FrameType | None) -> bool:
        """Tell whether a call that has this turn is on the stack from here outwards."""
        while frame is not None:
            if "turn" in frame.f_code.co_varnames and frame.f_locals.get("turn") is self:
                return True
            frame = frame.f_back
        return False
