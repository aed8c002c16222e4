"""Threads, started so that an exception which arrives meanwhile comes through as itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


def start(thread: threading.Thread) -> None:
    """Start a thread.

    Where an interrupt comes just as the thread begins, or two of them, the interpreter's own clean-up fails with a
    KeyError or a RuntimeError in its place: then the interrupt is raised, and the thread runs.

    >>> import threading
    >>> thread = threading.Thread(target=print, args=["started"])
    >>> start(thread), thread.join()
    started
    (None, None)
    """
    around = sys.exception()
    try:
        thread.start()
    except (KeyError, RuntimeError) as error:
        if error.__context__ in (None, around):
            raise
        raise error.__context__ from None
