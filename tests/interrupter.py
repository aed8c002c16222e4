"""An interrupter: stops a program before the k-th line that runs in tracklake, as a signal may."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

import tracklake as tl

PACKAGE = str(Path(tl.__file__).parent)


class Interrupter:
    """A trace function that calls `act` before the k-th line of tracklake's code, once."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.left = at
        self.act = act

    def __enter__(self) -> Self:
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def trace(self, frame: FrameType, *_: object) -> Any:
        return self.line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def line(self, _: FrameType, event: str, *__: object) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.act()
        return self.line


def interrupt() -> None:
    """Raise as Ctrl-C does."""
    raise KeyboardInterrupt
