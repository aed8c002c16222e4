"""The journal: the append-only log of what one session of one run says, written by that process and nobody else."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import warnings
from typing import TYPE_CHECKING, Literal, NamedTuple

from tracklake import keys, wire
from tracklake.errors import LakeError, UnsavedRowsError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracklake.clock import Clock
    from tracklake.values import Stored

Durability = Literal["write", "fsync", "buffered"]

FOLDER = "journal"
SUFFIX = ".tlj"
ROTATE_AT = 32 << 20
"""Bytes after which a file ends and the next one begins, so that it can be sealed while the session goes on."""
HOLD_AT_MOST = 64 << 20
"""Bytes of rows kept in memory while the disk takes none."""
BUFFER_AT = 64 << 10
"""Bytes that durability="buffered" gathers before it writes."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FileName(NamedTuple):
    """What the name of a journal file says: `<run>.<session>.<n>.tlj`."""

    run: str
    session: int
    n: int

    def __str__(self) -> str:
        """Return the file's name."""
        return f"{self.run}.{self.session:016x}.{self.n}{SUFFIX}"

    @classmethod
    def parse(cls, name: str) -> FileName | None:
        """Read a file's name; None if it is no journal's.

        >>> FileName.parse("kelo-mupa-0b5a2a4c1e.00000000000000ff.3.tlj")
        FileName(run='kelo-mupa-0b5a2a4c1e', session=255, n=3)
        """
        try:
            run, session, n = name.removesuffix(SUFFIX).rsplit(".", 2)
            return cls(run, int(session, 16), int(n)) if name.endswith(SUFFIX) else None
        except ValueError:
            return None


class Journal:
    """One session's journal, open for appending.

    `append` has handed its bytes to the operating system when it returns (durability "write"), to the disk ("fsync"),
    or to a buffer that is written once a second ("buffered"). Where the disk is full, what could not be written is
    kept in order, up to a bound, and written as soon as there is room.
    """

    def __init__(
        self,
        folder: Path,
        *,
        run_id: str,
        project: str,
        clock: Clock,
        durability: Durability,
        header: dict[str, object],
    ) -> None:
        self.session = secrets.randbits(63)
        self.clock = clock
        self.name = FileName(keys.safe_name(run_id), self.session, 0)
        self.step: Callable[[], int] = int
        """Asked for the current step when a file begins."""
        self.on_rotate: Callable[[], None] | None = None
        self._folder = folder
        self._durability = durability
        self._header = {"run": run_id, "project": project, "session": self.session, "start": clock.tick(), **header}
        self._key_sets: list[wire.KeySet] = []
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._held_rows = 0
        self._buffer = bytearray()
        self._offset = 0
        self._fd = self._begin(self.name)

    @property
    def unsaved(self) -> int:
        """Rows held in memory because the disk took none."""
        return self._held_rows

    @property
    def start(self) -> int:
        """Stamp of the session's beginning."""
        return int(str(self._header["start"]))

    @property
    def path(self) -> Path:
        """The file being written."""
        return self._folder / str(self.name)

    def key_set(self, names: tuple[str, ...], kinds: str) -> wire.KeySet:
        """Declare a set of names and kinds ("d" float, "q" int, "?" bool) for rows to come."""
        declared = wire.KeySet(len(self._key_sets), names, kinds)
        self._key_sets.append(declared)
        self.append(declared.declaration(), rows=0)
        return declared

    def say(self, said: str, items: list[tuple[str, Stored]], **extra: object) -> int:
        """Append a statement and return its stamp."""
        stamp = self.clock.tick()
        self.clock.last += max(0, len(items) - 1)
        self.append(wire.statement(stamp, said, items, **extra), rows=0)
        return stamp

    def append(self, frame: bytes, *, rows: int = 1) -> None:
        """Append one whole frame, or several that belong together."""
        if self._durability == "buffered":
            self._buffer += frame
            if len(self._buffer) >= BUFFER_AT:
                self.flush()
            return
        if self._held:
            self._hold(frame, rows)
            self._write_held()
            return
        try:
            written = os.write(self._fd, frame)
        except OSError as error:
            self._no_room(frame, rows, error)
            return
        if written != len(frame):
            self._no_room(frame, rows, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return
        self._offset += written
        if self._durability == "fsync":
            os.fsync(self._fd)
        if self._offset >= ROTATE_AT:
            self._rotate()

    def flush(self) -> None:
        """Write what is buffered or held."""
        if self._buffer:
            frames, self._buffer = bytes(self._buffer), bytearray()
            self._hold(frames, 0)
        if self._held:
            self._write_held()

    def touch(self) -> None:
        """Give a sign of life, for readers on other hosts."""
        os.utime(self._fd)

    def finish(self, items: list[tuple[str, Stored]]) -> None:
        """Say that the session is over and close the file.

        Raises UnsavedRowsError, and stays open, if there are rows for which the disk has no room yet.
        """
        self.flush()
        if self._held:
            msg = (
                f"{self._held_rows} rows of {self.path.name} could not be written: the disk is full. "
                "They are still in memory: make room and call finish() again."
            )
            raise UnsavedRowsError(msg)
        self.say("finish", items)
        self.flush()
        self._end()

    def abandon(self) -> None:
        """Close the file without a word, as in the child of a fork, whose parent goes on writing it."""
        os.close(self._fd)

    def _begin(self, name: FileName) -> int:
        """Create a file that can be read alone: header, key sets; return its descriptor."""
        path = self._folder / str(name)
        head = wire.statement(self.clock.tick(), "header", (), format=1, n=name.n, step=self.step(), **self._header)
        opening = head + b"".join(k.declaration() for k in self._key_sets)
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            if sys.platform != "win32":
                with contextlib.suppress(OSError):  # a file system without locks: the heartbeat tells life
                    fcntl.flock(fd, fcntl.LOCK_EX)
            if os.write(fd, opening) != len(opening):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))  # noqa: TRY301 - one way out
            if self._durability == "fsync":
                os.fsync(fd)
                _sync_folder(self._folder)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._offset = len(opening)
        return fd

    def _rotate(self) -> None:
        """End this file and begin the next; where there is no room for that, go on in this one."""
        following = self.name._replace(n=self.name.n + 1)
        old_fd, old_offset = self._fd, self._offset
        try:
            new_fd = self._begin(following)
        except OSError:
            self._offset = old_offset
            return
        os.write(old_fd, wire.statement(self.clock.tick(), "rotate"))
        _close_read_only(old_fd)
        self._fd, self.name = new_fd, following
        if self.on_rotate:
            self.on_rotate()

    def _no_room(self, frame: bytes, rows: int, error: OSError) -> None:
        """Cut off what was written of the frame and keep it in memory."""
        if error.errno not in _NO_ROOM:
            raise LakeError(f"cannot write {self.path}: {error}. The row was not saved.") from error
        os.ftruncate(self._fd, self._offset)
        if not self._held:
            warnings.warn(
                f"tracklake: no room to write {self.path} ({error.strerror}); rows are kept in memory, up to "
                f"{HOLD_AT_MOST >> 20} MB, and written as soon as there is room",
                stacklevel=4,
            )
        self._hold(frame, rows)

    def _hold(self, frame: bytes, rows: int) -> None:
        if self._held_bytes + len(frame) > HOLD_AT_MOST:
            msg = (
                f"{self._held_rows} rows ({self._held_bytes >> 20} MB) wait for room on the disk of {self.path}; "
                "no more are taken into memory. Make room there and log again."
            )
            raise UnsavedRowsError(msg)
        self._held.append(frame)
        self._held_bytes += len(frame)
        self._held_rows += rows

    def _write_held(self) -> None:
        """Write all that is held, or none of it."""
        frames = b"".join(self._held)
        try:
            written = os.write(self._fd, frames)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise LakeError(f"cannot write {self.path}: {error}") from error
            return
        if written != len(frames):
            os.ftruncate(self._fd, self._offset)
            return
        self._offset += written
        self._held, self._held_bytes, self._held_rows = [], 0, 0
        if self._offset >= ROTATE_AT:
            self._rotate()

    def _end(self) -> None:
        if self._durability == "fsync":
            os.fsync(self._fd)
        _close_read_only(self._fd)


def _close_read_only(fd: int) -> None:
    """Close a file that is complete; its missing write bit lets a listing tell so without opening it."""
    with contextlib.suppress(OSError):  # a file system without modes: sealing reads the file's end instead
        os.fchmod(fd, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    os.close(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_locked(path: Path) -> bool:
    """Tell whether a process on this host holds the lock of this journal file: whether its writer lives."""
    if sys.platform == "win32":
        return False
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
