"""One journal file, open for appending: the only owner of its descriptor."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from typing import TYPE_CHECKING

from tracklake.common import interrupts
from tracklake.errors import LakeError, RunFinishedError
from tracklake.storage.atomic_files import NO_ROOM, sync_folder
from tracklake.storage.journal.file_names import hold_lock

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from pathlib import Path

    from tracklake.storage.journal.file_names import FileName
    from tracklake.storage.journal.frame_format import KeySet

NO_SPACE = "no room on the disk"
_NO_LIMIT = 1 << 62
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class OpenFile:
    """A journal file that this process appends whole frames to.

    An exception may arrive between any two steps here (Ctrl-C, an alarm, a signal handler that raises). So each method
    can be called again after it was interrupted, and goes on from what the file itself holds; the descriptor is known
    to one file object alone, which refuses all once it is closed; and a write that was interrupted is noted in
    `_in_flight`, so that the next call finds out whether its frames are there, whole, or not at all. Whole frames are
    never cut off, unless the same ones come back in their place: a reader may have gone on behind them, and a seal too.
    """

    __slots__ = ("_file", "_in_flight", "_sync", "key_sets", "name", "path", "refusal", "rotate_at", "size")

    def __init__(self, folder: Path, name: FileName, *, sync: bool, rotate_at: int) -> None:
        """Describe a file; `open` creates it. `sync`: each write has reached the disk when `append` returns."""
        self.name = name
        self.path = folder / str(name)
        self.size = 0
        """Bytes that hold whole frames."""
        self.rotate_at = rotate_at
        self.key_sets: dict[tuple[tuple[str, ...], str], KeySet] = {}
        """The key sets that the file declares."""
        self.refusal = ""
        """Why there was no room for a write."""
        self._sync = sync
        self._file: io.FileIO | None = None
        self._in_flight: bytes | None = None

    def open(self, opening: bytes) -> None:
        """Create the file with the frames that open it, or take up what an interrupted call has made of it.

        LakeError, and no file, where it cannot be created.

        >>> import os, pathlib
        >>> from tracklake.storage.journal.file_names import FileName
        >>> file = OpenFile(pathlib.Path(), FileName("a", 1, 0), sync=False, rotate_at=1 << 20)
        >>> file.open(b"header"), file.open(b"header"), file.path.read_bytes()
        (None, None, b'header')
        """
        try:
            if self._file is None:
                self._file = io.FileIO(os.fspath(self.path), "ab")
            hold_lock(self._file)
            size = self._file.seek(0, os.SEEK_END)
            if size != len(opening):
                if size:  # a new file is not cut: ext4 then begins to write out what it holds when it is closed
                    self._file.truncate(0)
                if self._file.write(opening) != len(opening):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - one way out
            if self._sync:
                os.fsync(self._file)
                sync_folder(self.path.parent)
        except OSError as error:
            if self._was_interrupted(error, len(opening)):
                raise
            self.discard()
            raise _cannot_begin(self.path, error) from error
        self.size = len(opening)

    def append(self, frames: bytes) -> bool:
        """Append whole frames in one write; False, and nothing is written, where there is no room for them.

        >>> import pathlib
        >>> from tracklake.storage.journal.file_names import FileName
        >>> file = OpenFile(pathlib.Path(), FileName("a", 1, 0), sync=False, rotate_at=1 << 20)
        >>> file.open(b"header"), file.append(b"frame"), file.size
        (None, True, 11)
        """
        if self._in_flight is not None:
            self.settle()
        self._in_flight = frames
        try:
            written = self._file.write(frames)  # type: ignore[union-attr] # None is an AttributeError
            if self._sync:
                os.fsync(self._file)  # type: ignore[arg-type]
        except OSError as error:
            return self._refused(error, len(frames))
        except (ValueError, AttributeError):
            self._in_flight = None
            raise RunFinishedError(f"{self.path.name} is closed: the run takes no more") from None
        if written != len(frames):
            self._cut_back()
            return self._has_no_room(len(frames))
        self.size += written
        self._in_flight = None
        return True

    def settle(self) -> None:
        """Find out what became of a write that was interrupted: whole frames count, a torn one is cut off.

        >>> import pathlib
        >>> from tracklake.storage.journal.file_names import FileName
        >>> file = OpenFile(pathlib.Path(), FileName("a", 1, 0), sync=False, rotate_at=1 << 20)
        >>> file.open(b"header"), file.settle(), file.size
        (None, None, 6)
        """
        if self._in_flight is None or self._file is None or self._file.closed:
            return
        size = self._file.seek(0, os.SEEK_END)
        if size == self.size + len(self._in_flight):
            self.size = size
            self._in_flight = None
        else:
            self._cut_back()
        if self._in_flight is not None:
            raise LakeError(f"cannot write {self.path}: the end of an interrupted write cannot be cut off")

    def touch(self) -> None:
        """Set the time of the last change to now: a sign of life.

        >>> import pathlib
        >>> from tracklake.storage.journal.file_names import FileName
        >>> file = OpenFile(pathlib.Path(), FileName("a", 1, 0), sync=False, rotate_at=1 << 20)
        >>> file.open(b"header"), os.utime(file.path, (0, 0)), file.touch(), file.path.stat().st_mtime > 0
        (None, None, None, True)
        """
        if self._file is not None and not self._file.closed:
            os.utime(self.path)

    def seal_off(self) -> None:
        """Close the file for good; its missing write bits let a listing tell so without opening it.

        >>> import pathlib
        >>> from tracklake.storage.journal.file_names import FileName
        >>> file = OpenFile(pathlib.Path(), FileName("a", 1, 0), sync=False, rotate_at=1 << 20)
        >>> file.open(b"header"), file.seal_off(), file.path.stat().st_mode & 0o222
        (None, None, 0)
        """
        if self._file is None or self._file.closed:
            return
        with interrupts.suppressed(OSError):  # a file system without modes: sealing reads the file's end instead
            file = self._file.fileno() if os.chmod in os.supports_fd else self.path
            os.chmod(file, stat.S_IMODE(os.stat(file).st_mode) & ~_WRITE_BITS)  # noqa: PTH101, PTH116 - of a descriptor
        self._file.close()

    def close(self) -> None:
        """Close the file, which somebody else may go on writing, or nobody.

        >>> import pathlib
        >>> from tracklake.storage.journal.file_names import FileName
        >>> file = OpenFile(pathlib.Path(), FileName("a", 1, 0), sync=False, rotate_at=1 << 20)
        >>> file.open(b"header"), file.close()
        (None, None)
        >>> file.append(b"frame")
        Traceback (most recent call last):
        tracklake.errors.RunFinishedError: a.0000000000000001.0.tlj is closed: the run takes no more
        """
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Close and delete a file that could not be begun.

        >>> import pathlib
        >>> from tracklake.storage.journal.file_names import FileName
        >>> file = OpenFile(pathlib.Path(), FileName("a", 1, 0), sync=False, rotate_at=1 << 20)
        >>> file.open(b"header"), file.discard(), file.path.exists()
        (None, None, False)
        """
        self.close()
        self._file = None
        with interrupts.suppressed(OSError):  # a disk that cannot be written
            self.path.unlink(missing_ok=True)

    def _refused(self, error: OSError, size: int) -> bool:
        """Take back a write that failed: False where there is no room, else raise.

        One that was interrupted behind the write stays in flight: its frames count, as somebody may have read them.
        """
        if self._was_interrupted(error, size):
            if error.errno is None or not self._sync:
                raise error
            raise LakeError(
                f"cannot write {self.path}: {error.strerror}. The row is written, but it is not sure that it is on "
                "the disk."
            ) from error
        self._cut_back()
        if error.errno in NO_ROOM:
            return self._has_no_room(size)
        raise LakeError(f"cannot write {self.path}: {error.strerror}. The row is not saved.") from error

    def _was_interrupted(self, error: OSError, size: int) -> bool:
        """Tell whether an error came from elsewhere than the write of so many bytes: a signal handler, or the sync."""
        if error.errno is None:  # no word of the operating system
            return True
        if error.errno in NO_ROOM or self._file is None:
            return False
        with interrupts.suppressed(OSError):
            return self._file.seek(0, os.SEEK_END) == self.size + size
        return False

    def _has_no_room(self, size: int) -> bool:
        """Note why there is no room for this many bytes, and return False."""
        too_large = self.size + size > allowed_size()
        self.refusal = "the size allowed for a file (ulimit -f) is reached" if too_large else NO_SPACE
        return False

    def _cut_back(self) -> None:
        """Cut off what stands behind the last whole frame; where that fails, the next append tries again."""
        with interrupts.suppressed(OSError):
            if self._file.seek(0, os.SEEK_END) > self.size:  # type: ignore[union-attr]
                self._file.truncate(self.size)  # type: ignore[union-attr]
            self._in_flight = None


def allowed_size() -> int:
    """Return the size in bytes that the operating system allows for a file that this process writes (ulimit -f).

    >>> allowed_size() > 1 << 20
    True
    """
    if sys.platform == "win32":
        return _NO_LIMIT
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return _NO_LIMIT if limit == resource.RLIM_INFINITY else limit


def _cannot_begin(path: Path, error: OSError) -> LakeError:
    way_out = "make room there" if error.errno in NO_ROOM else "give a lake that can be written"
    return LakeError(f"cannot begin a journal in {path.parent}: {error.strerror}; {way_out}, or another dir=")
