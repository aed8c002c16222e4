"""Threads, started so that an exception which arrives meanwhile comes through as itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


def start(thread: threading.Thread) -> None:
    """Start a thread.

    Where an interrupt comes just as the thread begins, the interpreter's own clean-up fails with a KeyError in its
    place: then the interrupt is raised, and the thread runs.

    >>> import threading
    >>> thread = threading.Thread(target=print, args=["started"])
    >>> start(thread), thread.join()
    started
    (None, None)
    """
    try:
        thread.start()
    except KeyError as error:
        if error.__context__ is None:
            raise
        raise error.__context__ from None
