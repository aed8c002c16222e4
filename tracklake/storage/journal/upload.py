"""Uploads: the journal files of a local spool, mirrored to an object store while they grow.

A journal on a store is one object that is overwritten by ever longer prefixes of the same bytes, so that frames,
watermarks and readers are those of a local lake. A file leaves the spool once the store has all of it: a process that
is killed loses nothing as soon as its machine uploads again (`recover`); a disk that is lost, what the last upload
lacked.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import interrupts, threads
from tracklake.errors import LakeError, TracklakeError
from tracklake.storage.journal.file_names import FileName
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.layout import JOURNAL_FOLDER, JOURNAL_SUFFIX, SYSTEM_FOLDER

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracklake.storage.backend import Storage, UploadTarget
    from tracklake.storage.store_connection import Tag

INTERVAL = 10.0
"""Seconds between two uploads of a session, in its first hour: what a lost disk may cost."""
LATER_INTERVAL = 60.0
FIRST_HOUR = 3600.0
ROTATE_AT = 256 << 10
"""Bytes after which a file of a spool ends: an upload sends all of it again."""
PATIENCE = 5.0
"""Seconds after which a store that has not answered an upload counts as away."""
BEAT = 120.0
"""Seconds of silence after which the same bytes are put again, as a sign of life."""


class Upload:
    """One file of the spool and the object that mirrors it.

    >>> from tracklake.storage.object_store import ObjectStorage
    >>> from pathlib import Path
    >>> store = ObjectStorage("memory:///lake")
    >>> _ = Path("a.tlj").write_bytes(b"one")
    >>> upload = Upload(store, Path("a.tlj"), "journal/a.tlj")
    >>> upload.push(), store.read("journal/a.tlj")
    (3, b'one')
    """

    def __init__(self, store: UploadTarget, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.uploaded = 0
        """Bytes that the store has."""
        self._store = store
        self._tag: Tag | None = None
        self._put_at = float("-inf")

    def push(self, *, until: int | None = None) -> int:
        """Upload what the file holds (up to `until`) if that is more than before; return how many bytes the store has.

        The same bytes are put again after two minutes of silence. OSError if the store does not answer, LakeError if
        its object holds other bytes than this file.

        >>> from tracklake.storage.object_store import ObjectStorage
        >>> from pathlib import Path
        >>> _ = Path("b.tlj").write_bytes(b"one")
        >>> Upload(ObjectStorage("memory:///lake"), Path("b.tlj"), "journal/b.tlj").push(until=2)
        2
        """
        data = self.path.read_bytes()[:until]
        if len(data) > self.uploaded or time.monotonic() - self._put_at > BEAT:
            try:
                self._put(data, self._tag)
            except FileExistsError:
                self._reconcile(data)
        return self.uploaded

    def _put(self, data: bytes, tag: Tag | None) -> None:
        self._tag = self._store.replace(self.name, data, tag=tag)
        self.uploaded, self._put_at = len(data), time.monotonic()

    def _reconcile(self, data: bytes) -> None:
        """Go on from an object that is there under another tag: an upload of mine whose answer was lost, as a rule."""
        try:
            tag, present = self._store.tag(self.name), self._store.read(self.name)
        except FileNotFoundError:  # sealed as far as it was uploaded, and deleted: what is new is uploaded again
            self._put(data, None)
            return
        if present.startswith(data):  # another process of this machine has uploaded the same file further
            self._tag, self.uploaded, self._put_at = tag, len(data), time.monotonic()
        elif data.startswith(present):
            self._put(data, tag)
        else:
            raise LakeError(
                f"{self._store.describe(self.name)} holds other bytes than {self.path}, which stays where it is; "
                "`tracklake check` tells more of the lake"
            )


class Uploader:
    """The uploads of one journal: its files in order of their number, each seconds apart while it is written.

    They run in a thread of their own: a store that does not answer delays neither the training nor its other tasks.
    """

    def __init__(self, store: UploadTarget, folder: Path, session: int) -> None:
        """`folder` is one of the spool, whose name is that of the lake's: journal, or system."""
        self._store = store
        self._folder = folder
        self._session = session
        self._uploads: dict[str, Upload] = {}
        self._began = time.monotonic()
        self._due = self._began + INTERVAL
        self._lock = threading.Lock()
        self._thread: threads.Call[None] | None = None
        self._error: OSError | TracklakeError | None = None
        self._failed = False
        self._pushing_since: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether the last upload failed, or the one that is under way waits for the store for long.

        >>> from tracklake.storage.object_store import ObjectStorage
        >>> from pathlib import Path
        >>> Uploader(ObjectStorage("memory:///lake"), Path("journal"), session=7).is_stuck
        False
        """
        since = self._pushing_since
        return self._failed or (since is not None and time.monotonic() - since > PATIENCE)

    def tick(self) -> None:
        """Upload in the background if it is time, and raise what the last upload met: the next one tries again.

        >>> from tracklake.storage.object_store import ObjectStorage
        >>> from pathlib import Path
        >>> Uploader(ObjectStorage("memory:///lake"), Path("journal"), session=7).tick()  # too early
        """
        now = time.monotonic()
        if now >= self._due:
            self._due = now + (INTERVAL if now - self._began < FIRST_HOUR else LATER_INTERVAL)
            if self._thread is None or not self._thread.is_alive:
                self._thread = threads.start(self._push_and_note, name="tracklake-upload", daemon=True, attended=False)
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def finish(self) -> None:
        """Upload all that is left; LakeError if that fails, which says where the rows are and what brings them over.

        >>> from tracklake.storage.object_store import ObjectStorage
        >>> from pathlib import Path
        >>> Uploader(ObjectStorage("memory:///lake"), Path("journal"), session=7).finish()  # nothing was written
        """
        try:
            self.push(over=True)
        except OSError as error:
            raise LakeError(
                f"{error.strerror or error}: what was logged is safe in {self._folder} on this machine, and goes to "
                f"{self._store.describe()} with the next run that starts here, or by `tracklake upload`"
            ) from error

    def _push_and_note(self) -> None:
        self._pushing_since = time.monotonic()
        try:
            self.push(over=False)
        except (OSError, TracklakeError) as error:
            self._failed, self._error = True, self._upload_error(error)
        else:
            self._failed = False
        finally:
            self._pushing_since = None

    def _upload_error(self, error: OSError | TracklakeError) -> OSError | TracklakeError:
        """Return what to tell of an upload that failed: the rows are safe, and it is tried again."""
        if not isinstance(error, OSError) or isinstance(error, TracklakeError):
            return error
        return LakeError(
            f"{error.strerror or error}: what is logged meanwhile is safe in {self._folder} on this machine, and goes "
            f"to {self._store.describe()} once it answers again"
        )

    def push(self, *, over: bool) -> None:
        """Upload every file of the session; delete those that are complete, with `over` the last one too.

        >>> from tracklake.storage.object_store import ObjectStorage
        >>> from pathlib import Path
        >>> store, name = ObjectStorage("memory:///lake"), "a.0000000000000007.0.tlj"
        >>> path = Path("journal", name)
        >>> path.parent.mkdir(), path.write_bytes(b"frames")
        (None, 6)
        >>> Uploader(store, path.parent, session=7).push(over=True), path.exists(), store.read(f"journal/{name}")
        (None, False, b'frames')
        """
        with self._lock:
            self._push(over=over)

    def _push(self, *, over: bool) -> None:
        paths = [self._folder / str(name) for name in _files(self._folder) if name.session == self._session]
        for path in paths:
            upload = self._uploads.setdefault(path.name, Upload(self._store, path, f"{self._folder.name}/{path.name}"))
            with contextlib.suppress(FileNotFoundError):  # sealed to its end by this machine, and deleted
                uploaded = upload.push()
                if (over or path != paths[-1]) and uploaded == path.stat().st_size:
                    path.unlink()
                    del self._uploads[path.name]


def uploader_of(storage: Storage, folder: str, session: int) -> Uploader | None:
    """Return what uploads a journal that is written in a spool; None for one that is written in the lake itself.

    >>> uploader_of(example()._storage, "journal", 7) is None
    True
    """
    store = storage.upload_target()
    return None if store is None else Uploader(store, store.journal_folder(folder), session)


def rotation_size(storage: Storage) -> int | None:
    """Return the bytes after which a journal's file should end; None where its own measure does.

    >>> from tracklake.storage.object_store import ObjectStorage
    >>> rotation_size(example()._storage), rotation_size(ObjectStorage("memory:///lake"))
    (None, 262144)
    """
    return None if storage.upload_target() is None else ROTATE_AT


class Recovered(NamedTuple):
    """What `recover` did."""

    files: int
    """Uploaded to their end, and deleted from the spool."""
    bytes: int
    live: int
    """Left alone: a process writes them."""


def recover(store: UploadTarget, folder: Path) -> Recovered:
    """Upload what processes that are gone left in a spool: all sound frames; a torn tail was never acknowledged.

    Two recoverers, or a recoverer and the writer, do not meet: each takes the lock of a file. OSError if the store
    does not answer, and nothing is deleted then.

    >>> from tracklake.storage.object_store import ObjectStorage
    >>> from pathlib import Path
    >>> recover(ObjectStorage("memory:///lake"), Path("empty"))
    Recovered(files=0, bytes=0, live=0)
    """
    files = total = live = 0
    for name in _files(folder):
        path = folder / str(name)
        with _taken(path) as is_mine:
            if not is_mine:
                live += 1
                continue
            with contextlib.suppress(FileNotFoundError):  # its run has just ended, and uploads it itself
                total += _upload_sound(store, path)
                files += 1
    return Recovered(files, total, live)


def _upload_sound(store: UploadTarget, path: Path) -> int:
    """Upload the sound frames of a file and delete it; return their bytes."""
    reader = JournalReader(path)
    reader.read()
    uploaded = Upload(store, path, f"{path.parent.name}/{path.name}").push(until=reader.offset)
    path.unlink()
    return uploaded


def recover_spool(storage: Storage) -> Recovered:
    """Upload what processes of this machine that are gone left of a lake, journals and system metrics.

    >>> recover_spool(example()._storage)  # a local lake has no spool
    Recovered(files=0, bytes=0, live=0)
    """
    store = storage.upload_target()
    if store is None:
        return Recovered(0, 0, 0)
    parts = [recover(store, store.spool / folder) for folder in (JOURNAL_FOLDER, SYSTEM_FOLDER)]
    return Recovered(*(sum(column) for column in zip(*parts, strict=True)))


def _files(folder: Path) -> list[FileName]:
    """Return the journal files of a spool, by session and number."""
    names = (FileName.parse(path.name) for path in folder.glob(f"*{JOURNAL_SUFFIX}"))
    return sorted((name for name in names if name is not None), key=lambda name: (name.session, name.n))


@contextlib.contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Take the lock of a file for a while; False if another process has it, or the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    lock: Callable[[int, int], None] = fcntl.flock
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        interrupts.let_through(error)
        return False
    return True
