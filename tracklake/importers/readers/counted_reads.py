"""Files whose reading is counted, for whoever shows how far an import is."""

from __future__ import annotations

import io
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AT_ONCE = 1 << 20
"""Bytes that a buffer takes at once."""
_listener: ContextVar[Callable[[int], object] | None] = ContextVar("_listener", default=None)


@contextmanager
def counting(listener: Callable[[int], object]) -> Iterator[None]:
    """Call this with the number of bytes of each read of `opened` files while the block runs.

    >>> from pathlib import Path
    >>> _ = Path("a.csv").write_text("step,loss")
    >>> with counting(print), opened(Path("a.csv")) as file:
    ...     _ = file.read(4)
    9
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def opened(path: Path) -> io.BufferedReader:
    """Open a file for reading bytes, counted.

    >>> from pathlib import Path
    >>> _ = Path("a.csv").write_text("step,loss")
    >>> with opened(Path("a.csv")) as file:
    ...     file.read(4)
    b'step'
    """
    return io.BufferedReader(_Counted(path), AT_ONCE)


class _Counted(io.FileIO):
    def readinto(self, buffer: Any, /) -> int:
        size = super().readinto(buffer) or 0
        listener = _listener.get()
        if listener is not None and size:
            listener(size)
        return size
