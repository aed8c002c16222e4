"""Work in threads, started and waited for so that an exception which arrives meanwhile comes through as itself.

`threading` waits with locks that are written in Python: an exception of a signal handler between two of their lines
leaves one taken for ever, or released twice, and RuntimeError comes in its place. Here one native call starts a thread,
and who waits needs native locks alone, which nobody waits for without end.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

S = TypeVar("S")
T = TypeVar("T")
_LOOK_SECONDS = 0.5
"""How late a waiting thread hears of what was set by one that was interrupted in doing so."""


class Flag:
    """What one thread tells others, once; they may wait for it.

    >>> flag = Flag()
    >>> flag.wait(0.01), flag.set(), flag.wait(), flag.is_set
    (False, None, True, True)
    """

    def __init__(self) -> None:
        self.is_set = False
        self._unset = _thread.allocate_lock()
        self._unset.acquire()

    def set(self) -> None:
        """Tell it; again tells nothing new.

        >>> flag = Flag()
        >>> flag.set(), flag.set()
        (None, None)
        """
        self.is_set = True
        with contextlib.suppress(RuntimeError):  # it was set before
            self._unset.release()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is told, or so long; return whether it is.

        >>> Flag().wait(0.0)
        False
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.is_set:
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            if left <= 0:
                break
            if self._unset.acquire(timeout=left):
                with contextlib.suppress(RuntimeError):
                    self._unset.release()  # for whoever else waits
        return self.is_set


class Call(Generic[T]):
    """A call in a thread of its own, which `start` begins."""

    def __init__(self, work: Callable[[], T], *, name: str, daemon: bool, attended: bool) -> None:
        self.name = name
        """Of the thread, for whoever looks at what runs."""
        self.is_daemon = daemon
        """Whether the process ends without waiting for it."""
        self._is_attended = attended
        self._work = work
        self._process = os.getpid()
        self._over = Flag()
        self._value: T | None = None
        self._error: BaseException | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended; in a forked child no thread of the parent lives on.

        >>> call = start(lambda: 1, name="one")
        >>> call.wait(), call.is_alive
        (True, False)
        """
        return not self._over.is_set and self._process == os.getpid()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, or so long; return whether it has ended.

        >>> start(lambda: time.sleep(0.05), name="nap").wait(0.001)
        False
        """
        return not self.is_alive or self._over.wait(seconds)

    def result(self) -> T:
        """Wait for its end, return what it returned, and raise what it raised.

        >>> start(lambda: 1 / 0, name="division").result()
        Traceback (most recent call last):
        ZeroDivisionError: division by zero
        """
        self.wait()
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def do(self) -> None:
        """Do the work, in this thread.

        >>> call = Call(lambda: 7, name="seven", daemon=False, attended=True)
        >>> call.do(), call.result()
        (None, 7)
        """
        running.add(self)
        try:
            self._value = self._work()
        except BaseException as error:
            self._error = error
            if not self._is_attended:
                raise
        finally:
            running.discard(self)
            self._over.set()


running: set[Call[Any]] = set()
"""The calls whose work has begun and not ended."""


def start(work: Callable[[], T], *, name: str, daemon: bool = False, attended: bool = True) -> Call[T]:
    """Do work in a thread of its own, which is waited for when the process ends unless it is a `daemon`.

    What it raises is raised by `result`; what one raises that nobody attends to is reported by the interpreter.
    RuntimeError where the interpreter starts no more threads.

    >>> start(lambda: 7, name="seven").result()
    7
    """
    call = Call(work, name=name, daemon=daemon, attended=attended)
    _thread.start_new_thread(call.do, ())
    return call


def in_threads(function: Callable[[S], T], items: Iterable[S], *, workers: int) -> Iterator[T]:
    """Yield what a function makes of each item, in their order, with at most so many of them at work or not yet taken.

    Whatever ends it early, it waits for those that have begun. Where the interpreter starts no more threads, as when it
    ends, this thread does the work.

    >>> list(in_threads(len, ["a", "bb", "ccc"], workers=2))
    [1, 2, 3]
    """
    begun: deque[Call[T]] = deque()
    try:
        for item in items:
            while len(begun) >= workers:
                yield _taken(begun)
            begun.append(_begin(partial(function, item)))
        while begun:
            yield _taken(begun)
    finally:
        for call in begun:
            call.wait()


def _taken(begun: deque[Call[T]]) -> T:
    """Wait for the first call, and return what it returned, which is held on to no longer."""
    value = begun[0].result()
    begun.popleft()
    return value


def _begin(work: Callable[[], T]) -> Call[T]:
    try:
        return start(work, name="tracklake-worker")
    except RuntimeError:
        call = Call(work, name="", daemon=False, attended=True)
        call.do()
        return call


def _wait_for_all() -> None:
    """Let native code of no thread run on while the interpreter is taken down."""
    for call in running.copy():
        if not call.is_daemon:
            call.wait()


atexit.register(_wait_for_all)
