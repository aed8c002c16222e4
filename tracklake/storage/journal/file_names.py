"""Journal files: how they are named, and whether the process that writes one is alive."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from tracklake.common import interrupts
from tracklake.storage.journal import host
from tracklake.storage.layout import JOURNAL_SUFFIX

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    import io
    from pathlib import Path

HEARTBEAT_LIMIT = 300.0
"""Seconds without a sign of life after which a session elsewhere is taken for crashed."""

_NAME = re.compile(r"(.+)\.([0-7][0-9a-f]{15})\.([0-9]{1,9})\.tlj", re.ASCII)


class FileName(NamedTuple):
    """What the name of a journal file says: `<run>.<session>.<n>.tlj`."""

    run: str
    session: int
    n: int

    def __str__(self) -> str:
        """Return the file's name."""
        return f"{self.run}.{self.session:016x}.{self.n}{JOURNAL_SUFFIX}"

    @classmethod
    def parse(cls, name: str) -> FileName | None:
        """Read a file's name; None if it is no journal's.

        >>> FileName.parse("kelo-mupa-0b5a2a4c1e.00000000000000ff.3.tlj")
        FileName(run='kelo-mupa-0b5a2a4c1e', session=255, n=3)
        """
        match = _NAME.fullmatch(name)
        return cls(match[1], int(match[2], 16), int(match[3])) if match else None


def hold_lock(file: io.FileIO) -> None:
    """Lock an open journal file for as long as this process lives and has it open.

    Nothing where the file system has no locks: there the heartbeat tells life.

    >>> from pathlib import Path
    >>> with Path("a.tlj").open("wb", buffering=0) as file:
    ...     hold_lock(file)
    ...     lock_of(Path("a.tlj"))
    'held'
    """
    if sys.platform != "win32":
        with interrupts.suppressed(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


def lock_of(path: Path) -> Literal["held", "free", "unknown"]:
    """Tell whether a process on this host holds the lock of a journal file, that is, whether its writer lives.

    Raises FileNotFoundError if the file is gone.

    >>> from pathlib import Path
    >>> _ = Path("a.tlj").write_bytes(b"")
    >>> lock_of(Path("a.tlj"))
    'free'
    """
    if sys.platform == "win32":
        return "unknown"
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "held"
    except OSError as error:  # a file system without locks
        interrupts.let_through(error)
        return "unknown"
    finally:
        os.close(fd)
    return "free"


def shows_life(path: Path | None, *, node: str | None, beat: float) -> bool:
    """Tell whether the writer of a journal file lives, of which its session says that it runs on this node.

    On this node the lock tells; elsewhere, without locks, and without a path on a store, a beat (seconds since the
    epoch) within the last 300 seconds does.

    >>> from pathlib import Path
    >>> _ = Path("a.tlj").write_bytes(b"")
    >>> here, elsewhere = ({"node": node, "beat": time.time()} for node in (host.NODE, "another"))
    >>> shows_life(Path("a.tlj"), **here), shows_life(Path("a.tlj"), **elsewhere)  # nobody has it open
    (False, True)
    """
    if path is not None and node == host.NODE:
        try:
            lock = lock_of(path)
        except FileNotFoundError:
            return False
        if lock != "unknown":
            return lock == "held"
    return time.time() - beat < HEARTBEAT_LIMIT
