"""Interrupters: they stop a program before the k-th line that runs in tracklake, or amid a line, as a signal may."""

from __future__ import annotations

import ctypes
import dis
import functools
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import tracklake as tl
from tracklake.common import threads

PACKAGE = str(Path(tl.__file__).parent)
Place = tuple[tuple[CodeType, int], ...]
INTERRUPTIBLE = ("CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD")
"""The instructions after which the interpreter looks for signals: not all that is in a line runs before them."""


OCCURRENCES = 3
"""How often a place counts: a loop over a thousand names is interrupted at its first turns."""


class Interrupter:
    """A trace function that calls `act` before the k-th line of tracklake's code, once.

    A place is a line with the lines that led to it, and counts when it is reached for the first few times.
    """

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.left = at
        self.act = act
        self.reached = Counter[Place]()

    def __enter__(self) -> Self:
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def trace(self, frame: FrameType, *_: object) -> Any:
        return self.line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def line(self, frame: FrameType, event: str, *_: object) -> Any:
        if event == "line" and frame.f_lasti not in exits(frame.f_code) and self.counts(frame):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.act()
        return self.line

    def counts(self, frame: FrameType) -> bool:
        place = place_of(frame)
        self.reached[place] += 1
        return self.reached[place] <= OCCURRENCES


@functools.cache
def exits(code: CodeType) -> frozenset[int]:
    """Where a `with` is left without an exception: no signal is heard before what ends it is called."""
    named = [(instruction.offset, instruction.opname, instruction.argval) for instruction in dis.get_instructions(code)]
    nothing = ("LOAD_CONST", None)
    windows = zip(named, named[1:], named[2:], named[3:], strict=False)
    return frozenset(a[0] for a, b, c, d in windows if a[1:] == b[1:] == c[1:] == nothing and "CALL" in d[1])


class CallInterrupter(Interrupter):
    """One that has a real signal arrive during the k-th call, so that its handler runs as that returns, amid a line."""

    def __enter__(self) -> Self:
        self.before = signal.signal(signal.SIGUSR2, lambda *_: self.act())
        # what is looked up, not called: after a call the interpreter would run the handler here
        self.due = defaultdict[None, int](partial(ctypes.pythonapi.PyErr_SetInterruptEx, int(signal.SIGUSR2)))
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        signal.signal(signal.SIGUSR2, self.before)

    def trace(self, frame: FrameType, *_: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self.opcode

    def opcode(self, frame: FrameType, event: str, *_: object) -> Any:
        if event == "opcode" and frame.f_lasti in interruptible(frame.f_code) and self.counts(frame):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.due[None]
        return self.opcode


@functools.cache
def interruptible(code: CodeType) -> frozenset[int]:
    """Return where in a function the interpreter looks for signals."""
    return frozenset(step.offset for step in dis.get_instructions(code) if step.opname in INTERRUPTIBLE)


def place_of(frame: FrameType | None) -> Place:
    """Return where in tracklake a program is: the instruction of each function that has not returned."""
    place = []
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        place.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(place)


def interrupt() -> None:
    """Raise as Ctrl-C does."""
    raise KeyboardInterrupt


def interrupt_a_query() -> None:
    """Send this process a Ctrl-C once a query in SQL is being answered: polars swallows some that come before."""

    def send() -> None:
        deadline = time.monotonic() + 60
        while not any(call.name == "tracklake-query" for call in threads.running.copy()):
            if time.monotonic() > deadline:  # none came: another test's is not meant
                return
            time.sleep(0.01)
        time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()
