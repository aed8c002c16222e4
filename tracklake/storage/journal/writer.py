"""The journal: the write-ahead log of one session of one run, written by that process and nobody else."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import warnings
from typing import TYPE_CHECKING, Literal

from tracklake.errors import LakeError, UnsavedRowsError
from tracklake.schema import naming
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import FORMAT_VERSION
from tracklake.storage.journal import frame_format
from tracklake.storage.journal.file_names import FileName, close_read_only, hold_lock
from tracklake.storage.local import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracklake.schema.values import Stored
    from tracklake.storage.journal.clock import Clock

Durability = Literal["write", "fsync", "buffered"]

ROTATE_AT = 12 << 20
"""Bytes after which a file ends and the next one begins, so that it can be sealed while the session goes on: up to 1.5
million points, which take 0.4 GB while they are sorted and written."""
PENDING_LIMIT = 64 << 20
"""Bytes of rows kept in memory while the disk takes none."""
BUFFER_AT = 64 << 10
"""Bytes that durability="buffered" gathers before it writes."""
_AT_ONCE = 512

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
        self.name = FileName(naming.safe_name(run_id), self.session, 0)
        self.step: Callable[[], int] = int
        """Asked for the current step when a file begins."""
        self.on_forget: Callable[[], None] | None = None
        """Told when the key sets declared so far hold no longer, because a file begins or a frame was refused."""
        self.on_rotate: Callable[[], None] | None = None
        """Told when a file has ended because it grew, and may be sealed."""
        self._folder = folder
        self._durability = durability
        self._header = {"run": run_id, "project": project, "session": self.session, "start": clock.tick(), **header}
        self._key_sets: dict[tuple[tuple[str, ...], str], frame_format.KeySet] = {}
        self._next_key_set = 0
        self._pending: list[tuple[bytes, int]] = []
        self._pending_bytes = 0
        self._is_full = False
        self._offset = 0
        self._rotate_at = ROTATE_AT
        self._fd = self._begin(self.name)

    @property
    def unsaved(self) -> int:
        """Rows held in memory because the disk took none.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._session.journal.unsaved
        0
        """
        return sum(rows for _, rows in self._pending) if self._is_full else 0

    @property
    def start(self) -> int:
        """Stamp of the session's beginning, microseconds since the epoch.

        >>> with tl.init() as run:
        ...     run._session.journal.start < run._session.journal.clock.tick()
        True
        """
        return int(str(self._header["start"]))

    @property
    def size(self) -> int:
        """Bytes of the file being written that hold whole frames; what comes next begins there.

        >>> with tl.init() as run:
        ...     run._session.journal.size == run._session.journal.path.stat().st_size
        True
        """
        return self._offset

    @property
    def path(self) -> Path:
        """The file being written.

        >>> with tl.init(id="r1") as run:
        ...     str(run._session.journal.path)
        '/.../lake/journal/r1-....0.tlj'
        """
        return self._folder / str(self.name)

    def declare(self, names: tuple[str, ...], kinds: str) -> tuple[frame_format.KeySet, bytes]:
        """Return the key set of these names and kinds ("d" float, "q" int, "?" bool) to pack rows with.

        The bytes beside it declare it where the file does not yet: they go before its first row, in the same append.

        >>> with tl.init() as run:
        ...     first, again = (run._session.journal.declare(("loss",), "d") for _ in range(2))
        >>> len(first[1]) > 0, again[1]
        (True, b'')
        """
        declared = self._key_sets.get((names, kinds))
        if declared is not None:
            return declared, b""
        declared = self._key_sets[names, kinds] = frame_format.KeySet(self._next_key_set, names, kinds)
        self._next_key_set += 1
        return declared, declared.declaration()

    def declares(self, key_set: frame_format.KeySet) -> bool:
        """Tell whether the file being written holds the declaration of a key set.

        >>> with tl.init() as run:
        ...     key_set, _ = run._session.journal.declare(("loss",), "d")
        ...     run._session.journal.declares(key_set)
        True
        """
        return self._key_sets.get((key_set.names, key_set.kinds)) is key_set

    def append_statement(self, op: StatementKind, items: list[tuple[str, Stored]], **extra: object) -> int:
        """Append a statement and return its stamp; item i has the stamp plus i. Raises as `append` does.

        >>> from tracklake.schema.values import store
        >>> items = [("a", store(1, name="a")), ("b", store(2, name="b"))]
        >>> with tl.init(settings={"metadata": False}) as run:
        ...     first, second = (run._session.journal.append_statement("edit", items) for _ in range(2))
        >>> second > first + 1
        True
        """
        stamp = self.clock.tick()
        self.clock.last += max(0, len(items) - 1)
        self.append(frame_format.statement(stamp, op, items, **extra), rows=0)
        return stamp

    def append(self, frames: bytes, *, rows: int = 1) -> None:
        """Append a frame, or several that belong together.

        >>> with tl.init(settings={"metadata": False}) as run:
        ...     journal, before = run._session.journal, run._session.journal.size
        ...     key_set, declaration = journal.declare(("loss",), "d")
        ...     journal.append(declaration + key_set.row(journal.clock.tick(), 0, [0.5]))
        ...     journal.size - before, journal.path.stat().st_size == journal.size
        (108, True)
        """
        if self._pending or self._durability == "buffered":
            self._defer(frames, rows)
            if self._is_full or self._pending_bytes >= BUFFER_AT:
                self.flush()
        elif not self._write(frames):
            self._defer(frames, rows)
            self._warn_full()
        elif self._offset >= self._rotate_at:
            self._rotate()

    def flush(self) -> None:
        """Write what is buffered or held, as far as there is room.

        >>> from pathlib import Path
        >>> from tracklake.storage.journal.clock import Clock
        >>> opened = {"run_id": "a", "project": "p", "clock": Clock(), "durability": "buffered", "header": {}}
        >>> journal = Journal(Path(), **opened)
        >>> before, _, _ = journal.size, journal.append_statement("edit", []), journal.flush()
        >>> journal.size > before
        True
        """
        if not self._pending:
            return
        at = 0
        while at < len(self._pending):
            many = self._pending[at : at + _AT_ONCE]
            if self._write(b"".join(frames for frames, _ in many)):
                at += len(many)
                continue
            for frames, _ in many:
                if not self._write(frames):
                    break
                at += 1
            break
        del self._pending[:at]
        self._pending_bytes = sum(len(frames) for frames, _ in self._pending)
        if self._pending:
            self._warn_full()
            return
        self._is_full = False
        if self._offset >= self._rotate_at:
            self._rotate()

    def touch(self) -> None:
        """Give a sign of life, for readers on other hosts.

        >>> with tl.init() as run:
        ...     os.utime(run._session.journal.path, (0, 0))
        ...     run._session.journal.touch()
        ...     run._session.journal.path.stat().st_mtime > 0
        True
        """
        os.utime(self._fd)

    def finish(self, items: list[tuple[str, Stored]]) -> None:
        """Say that the session is over and close the file.

        Raises UnsavedRowsError, and stays open, while the disk has no room for all that is to be said.

        >>> with tl.init() as run:  # leaving it finishes the journal
        ...     path = run._session.journal.path
        >>> path.stat().st_mode & 0o222  # nobody may write it any more
        0
        """
        self.flush()
        if self._pending or not self._write(frame_format.statement(self.clock.tick(), StatementKind.FINISH, items)):
            raise UnsavedRowsError(
                f"the disk is full: {self.unsaved} rows and the end of the run could not be written to {self.path}. "
                "They are still in memory: make room and call finish() again."
            )
        close_read_only(self._fd)

    def abandon(self) -> None:
        """Close the file without a word, as in the child of a fork, whose parent goes on writing it.

        >>> from pathlib import Path
        >>> from tracklake.storage.journal import clock, file_names
        >>> journal = Journal(Path(), run_id="a", project="p", clock=clock.Clock(), durability="write", header={})
        >>> before, _ = file_names.lock_of(journal.path), journal.abandon()
        >>> before, file_names.lock_of(journal.path)
        ('held', 'free')
        """
        os.close(self._fd)

    def _begin(self, name: FileName) -> int:
        """Create a file that can be read alone, and return its descriptor."""
        path = self._folder / str(name)
        head = frame_format.statement(
            self.clock.tick(),
            StatementKind.HEADER,
            (),
            format=FORMAT_VERSION,
            n=name.n,
            step=self.step(),
            **self._header,
        )
        opening = frame_format.duplicated(head)
        try:
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise _cannot_begin(path, error) from error
        try:
            hold_lock(fd)
            if os.write(fd, opening) != len(opening):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - one way out
            if self._durability == "fsync":
                os.fsync(fd)
                sync_folder(self._folder)
        except OSError as error:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise _cannot_begin(path, error) from error
        self._offset = len(opening)
        self._rotate_at = ROTATE_AT
        self._forget()
        return fd

    def _rotate(self) -> None:
        """End this file and begin the next; where there is no room for that, go on in this one."""
        old_fd, old_offset = self._fd, self._offset
        following = self.name._replace(n=self.name.n + 1)
        try:
            new_fd = self._begin(following)
        except LakeError:
            self._rotate_at += ROTATE_AT >> 4
            return
        closing = frame_format.statement(self.clock.tick(), StatementKind.ROTATE)
        with contextlib.suppress(OSError):  # the file that follows says as much, should there be no room for this
            if os.write(old_fd, closing) != len(closing):
                os.ftruncate(old_fd, old_offset)
        close_read_only(old_fd)
        self._fd, self.name = new_fd, following
        if self.on_rotate:
            self.on_rotate()

    def _write(self, frames: bytes) -> bool:
        """Append to the file; False, and nothing is written, if the disk has no room."""
        try:
            written = os.write(self._fd, frames)
            if self._durability == "fsync":
                os.fsync(self._fd)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._offset)
            if error.errno in _NO_ROOM:
                return False
            self._forget()
            raise LakeError(f"cannot write {self.path}: {error.strerror}. The row is not saved.") from error
        if written != len(frames):
            os.ftruncate(self._fd, self._offset)
            return False
        self._offset += written
        return True

    def _defer(self, frames: bytes, rows: int) -> None:
        """Keep frames in memory; UnsavedRowsError if they are too much, and there is still no room for those before."""
        if self._pending_bytes + len(frames) > PENDING_LIMIT:
            self.flush()
        if self._pending_bytes + len(frames) > PENDING_LIMIT:
            self._forget()
            raise UnsavedRowsError(
                f"{self.unsaved} rows ({self._pending_bytes >> 20} MB) wait for room on the disk of {self.path}; "
                "no more are taken into memory. Make room there and log again."
            )
        self._pending.append((frames, rows))
        self._pending_bytes += len(frames)

    def _warn_full(self) -> None:
        """Warn of a full disk, once until there is room again."""
        if self._is_full:
            return
        self._is_full = True
        warnings.warn(
            f"tracklake: no room on the disk for {self.path}; rows are kept in memory, up to {PENDING_LIMIT >> 20} MB, "
            "and written as soon as there is room",
            stacklevel=4,
        )

    def _forget(self) -> None:
        """Declare key sets anew from here on."""
        self._key_sets.clear()
        if self.on_forget:
            self.on_forget()


def _cannot_begin(path: Path, error: OSError) -> LakeError:
    way_out = "make room there" if error.errno in _NO_ROOM else "give a lake that can be written"
    return LakeError(f"cannot begin a journal in {path.parent}: {error.strerror}; {way_out}, or another dir=")
