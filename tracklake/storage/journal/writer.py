"""The journal: the write-ahead log of one session of one run, written by that process and nobody else."""

from __future__ import annotations

import contextlib
import secrets
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tracklake.errors import LakeError, TracklakeError, UnsavedRowsError
from tracklake.schema import naming
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import FORMAT_VERSION
from tracklake.storage.journal import frame_format
from tracklake.storage.journal.file_names import FileName
from tracklake.storage.journal.open_file import NO_SPACE, OpenFile, allowed_size
from tracklake.storage.journal.pending_frames import PendingFrames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tracklake.schema.values import Stored
    from tracklake.storage.journal.clock import Clock
    from tracklake.storage.journal.frame_format import KeySet

Durability = Literal["write", "fsync", "buffered"]

ROTATE_AT = 12 << 20
"""Bytes after which a file ends and the next one begins, so that it can be sealed while the session goes on: up to 1.5
million points, which take 0.4 GB while they are sorted and written."""
PENDING_LIMIT = 64 << 20
"""Bytes of rows kept in memory while the disk takes none."""
BUFFER_AT = 64 << 10
"""Bytes that durability="buffered" gathers before it writes."""
_AT_ONCE = 512


class _Rotation(NamedTuple):
    """A rotation that has begun: the file that ends, its size, the one that follows, and the frames that open it."""

    ended: OpenFile
    size: int
    following: OpenFile
    opening: bytes


class _Batch(NamedTuple):
    """Pending frames that are being written to a file of this size, and those that are pending after them."""

    size: int
    after: PendingFrames


class _Finish(NamedTuple):
    """The last frame, which is being written to a file of this size."""

    size: int


class Journal:
    """One session's journal, open for appending.

    `append` has handed its bytes to the operating system when it returns (durability "write"), to the disk ("fsync"),
    or to a buffer that is written once a second ("buffered"). Where the disk is full, what could not be written stays
    pending in order, up to a bound, and is written as soon as there is room.

    Each step of a write, a rotation and the end may be interrupted by an exception. What a call had begun is noted in
    one field before it is done, and the next call completes it (`settle`). Calls must not overlap: see `Turn`.
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
        on_rotate: Callable[[], None] | None = None,
        rotate_at: int | None = None,
    ) -> None:
        """Create the first file.

        `rotate_at` are the bytes after which a file ends. `on_rotate` is called when one has ended because it grew, and
        may be sealed.
        """
        self.session = secrets.randbits(63)
        self.clock = clock
        self._folder = folder
        self._durability = durability
        self._buffers = durability == "buffered"
        self._on_rotate = on_rotate
        self._rotate_at = rotate_at or ROTATE_AT
        self._header = {"run": run_id, "project": project, "session": self.session, "start": clock.tick(), **header}
        self._next_key_set = 0
        self.pending = PendingFrames()
        self._under_way: _Rotation | _Batch | _Finish | None = None
        """What takes several steps and has begun."""
        self.is_finished = False
        """Whether the last frame is written, that of the finish."""
        self.file = self._new_file(FileName(naming.safe_name(run_id), self.session, 0))
        """The file being written; replaced in one step when it ends."""
        try:
            self.file.open(self._opening(self.file.name))
        except BaseException:  # interrupted: a session that nobody has begun
            self.file.discard()
            raise

    @property
    def unsaved(self) -> int:
        """Rows held in memory because the disk took none.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._session.journal.unsaved
        0
        """
        return self.pending.n_rows if self.pending.is_full else 0

    @property
    def start(self) -> int:
        """Stamp of the session's beginning, microseconds since the epoch.

        >>> with tl.init() as run:
        ...     run._session.journal.start < run._session.journal.clock.tick()
        True
        """
        return int(str(self._header["start"]))

    @property
    def name(self) -> FileName:
        """The name of the file being written.

        >>> with tl.init() as run:
        ...     run._session.journal.name.n
        0
        """
        return self.file.name

    @property
    def size(self) -> int:
        """Bytes of the file being written that hold whole frames; what comes next begins there.

        >>> with tl.init() as run:
        ...     run._session.journal.size == run._session.journal.path.stat().st_size
        True
        """
        return self.file.size

    @property
    def path(self) -> Path:
        """The file being written.

        >>> with tl.init(id="r1") as run:
        ...     str(run._session.journal.path)
        '/.../lake/journal/r1-....0.tlj'
        """
        return self.file.path

    def append_row(
        self, stamp: int, step: int, names: tuple[str, ...], kinds: str, values: Sequence[Any], *, more: bytes = b""
    ) -> tuple[OpenFile, KeySet]:
        """Append a row of numbers ("d" float, "q" int, "?" bool), and `more` frames of the same row, in one write.

        Where the file does not declare such rows yet, the declaration goes before it, in the same write. Returns the
        file and the key set that later rows of these names and kinds may be packed with, as long as it is written.

        >>> with tl.init(settings={"metadata": False}) as run:
        ...     journal, before = run._session.journal, run._session.journal.size
        ...     _, key_set = journal.append_row(journal.clock.tick(), 0, ("loss",), "d", [0.5])
        ...     first = journal.size - before
        ...     journal.append_row(journal.clock.tick(), 1, ("loss",), "d", [0.4])[1] is key_set
        ...     first, journal.size - before - first
        True
        (108, 44)
        """
        self.settle()
        file = self.file
        key_set = file.key_sets.get((names, kinds))
        if key_set is not None:
            self.append(key_set.row(stamp, step, values) + more)
            return file, key_set
        number = self._next_key_set
        self._next_key_set = number + 1  # before it is written: a number never has two meanings, whatever interrupts
        key_set = frame_format.KeySet(number, names, kinds)
        self.append(key_set.declaration() + key_set.row(stamp, step, values) + more)
        file.key_sets[names, kinds] = key_set
        return file, key_set

    def append_statement(self, op: StatementKind, items: Sequence[tuple[str, Stored]], **extra: object) -> int:
        """Append a statement and return its stamp. Raises as `append` does.

        >>> from tracklake.schema.values import store
        >>> items = [("a", store(1, name="a")), ("b", store(2, name="b"))]
        >>> with tl.init(settings={"metadata": False}) as run:
        ...     first, second = (run._session.journal.append_statement("edit", items) for _ in range(2))
        >>> second > first
        True
        """
        stamp, frame = self._statement(op, items, **extra)
        self.append(frame, rows=0)
        return stamp

    def append_changes(self, changes: Sequence[tuple[StatementKind, str, Stored]]) -> None:
        """Append the statements of one call, with one stamp, in one write: all of them are there, or none.

        >>> from tracklake.schema.values import store
        >>> with tl.init() as run:
        ...     changes = [("edit", "a", store(1, name="a")), ("edit", "b", store(2, name="b"))]
        ...     run._session.journal.append_changes(changes)
        >>> run.summary["a"]
        1
        """
        stamp = self.clock.tick()
        groups = (list(group) for _, group in groupby(changes, key=itemgetter(0)))
        frames = [
            frame_format.statement(stamp, group[0][0], [(key, stored) for _, key, stored in group]) for group in groups
        ]
        self.append(b"".join(frames), rows=0)

    def append(self, frames: bytes, *, rows: int = 1) -> None:
        """Append frames that belong together. `rows`: how many rows they are, for `unsaved`.

        LakeError, and they are not written, where the file cannot be; UnsavedRowsError where the disk is full and too
        much is pending already; RunFinishedError once the journal is closed.

        >>> from tracklake.storage.journal import frame_format
        >>> with tl.init(settings={"metadata": False}) as run:
        ...     journal = run._session.journal
        ...     journal.append(frame_format.statement(journal.clock.tick(), "row", step=0))
        ...     journal.path.stat().st_size == journal.size
        True
        """
        if self._under_way is not None:
            self.settle()
        if self.pending.n_bytes or self._buffers:
            self._defer(frames, rows)
            if self.pending.is_full or self.pending.n_bytes >= BUFFER_AT:
                self.flush()
        elif not self.file.append(frames):
            self._defer(frames, rows)
            self._warn_full()
        elif self.file.size >= self.file.rotate_at:
            self._rotate()

    def settle(self) -> None:
        """Complete what was interrupted: a write, a batch of pending frames, a rotation, the finish.

        >>> with tl.init() as run:
        ...     run._session.journal.settle()  # nothing was
        """
        self.file.settle()
        if isinstance(self._under_way, _Batch):
            self._take_batch(self._under_way)
        elif isinstance(self._under_way, _Finish):
            self._take_finish(self._under_way)
        elif self._under_way is not None:
            self._rotate()

    def flush(self) -> None:
        """Write what is pending, as far as there is room.

        >>> from pathlib import Path
        >>> from tracklake.storage.journal.clock import Clock
        >>> opened = {"run_id": "a", "project": "p", "clock": Clock(), "durability": "buffered", "header": {}}
        >>> journal = Journal(Path(), **opened)
        >>> before, _, _ = journal.size, journal.append_statement("edit", []), journal.flush()
        >>> journal.size > before
        True
        """
        self.settle()
        if not self.pending:
            return
        while self.pending:
            if not (self._write_pending(_AT_ONCE) or self._write_pending(1)):
                self._warn_full()
                return
        self.pending.is_full = False
        if self.file.size >= self.file.rotate_at:
            self._rotate()

    def touch(self) -> None:
        """Give a sign of life, for readers on other hosts.

        >>> import os
        >>> with tl.init() as run:
        ...     os.utime(run._session.journal.path, (0, 0))
        ...     run._session.journal.touch()
        ...     run._session.journal.path.stat().st_mtime > 0
        True
        """
        self.file.touch()

    def finish(self, items: list[tuple[str, Stored]]) -> None:
        """Append the last frame, that of the finish, once, and close the file.

        Raises UnsavedRowsError, and stays open, while the disk has no room for all that is pending.

        >>> with tl.init() as run:  # leaving it finishes the journal
        ...     path = run._session.journal.path
        >>> path.stat().st_mode & 0o222  # nobody may write it any more
        0
        """
        self.settle()
        if self.is_finished:
            return
        self.flush()
        finish = self._under_way = _Finish(self.file.size)
        if self.pending or not self.file.append(self._statement(StatementKind.FINISH, items)[1]):
            self._under_way = None
            reason = "the disk is full" if self.file.refusal == NO_SPACE else self.file.refusal
            raise UnsavedRowsError(
                f"{reason}: {self.unsaved} rows and the end of the run could not be written to {self.path}. "
                "They are still in memory: make room and call finish() again."
            )
        self._take_finish(finish)

    def abandon(self) -> None:
        """Close the file without a word, as in the child of a fork, whose parent goes on writing it.

        >>> from pathlib import Path
        >>> from tracklake.storage.journal import clock, file_names
        >>> journal = Journal(Path(), run_id="a", project="p", clock=clock.Clock(), durability="write", header={})
        >>> before, _ = file_names.lock_of(journal.path), journal.abandon()
        >>> before, file_names.lock_of(journal.path)
        ('held', 'free')
        """
        self.file.close()

    def _statement(
        self, op: StatementKind, items: Sequence[tuple[str, Stored]] = (), **extra: object
    ) -> tuple[int, bytes]:
        """Return a statement's stamp and its frame."""
        stamp = self.clock.tick()
        return stamp, frame_format.statement(stamp, op, items, **extra)

    def _new_file(self, name: FileName) -> OpenFile:
        return OpenFile(self._folder, name, sync=self._durability == "fsync", rotate_at=_below_limit(self._rotate_at))

    def _opening(self, name: FileName) -> bytes:
        """Return the frames with which a file begins, so that it can be read alone."""
        _, header = self._statement(StatementKind.HEADER, (), format=FORMAT_VERSION, n=name.n, **self._header)
        return frame_format.duplicated(header)

    def _rotate(self) -> None:
        """End this file and begin the next; where there is no room for that, go on in this one.

        From the moment that the next file is there for others, this one takes no more: a reader may count it as over.
        """
        rotation = self._under_way
        if not isinstance(rotation, _Rotation):
            following = self._new_file(self.name._replace(n=self.name.n + 1))
            rotation = self._under_way = _Rotation(self.file, self.file.size, following, self._opening(following.name))
        if self.file is rotation.ended:
            try:
                rotation.following.open(rotation.opening)
            except LakeError:
                rotation.ended.rotate_at += self._rotate_at >> 4
                self._under_way = None
                return
            self.file = rotation.following
        with contextlib.suppress(TracklakeError):  # the file that follows says as much, should there be no room
            rotation.ended.settle()
            if rotation.ended.size == rotation.size:  # else it is there, and what is sealed as complete grows no more
                rotation.ended.append(self._statement(StatementKind.ROTATE)[1])
        rotation.ended.seal_off()
        self._under_way = None
        if self._on_rotate is not None:
            self._on_rotate()

    def _write_pending(self, count: int) -> bool:
        """Write the first pending frames in one write; False if there is no room for them."""
        frames, after = self.pending.split(count)
        batch = self._under_way = _Batch(self.file.size, after)
        written = self.file.append(frames)
        self._take_batch(batch)
        return written

    def _take_batch(self, batch: _Batch) -> None:
        """Forget the pending frames of a batch if they are written."""
        if self.file.size > batch.size:
            self.pending = batch.after
        self._under_way = None

    def _take_finish(self, finish: _Finish) -> None:
        """Close the file if its last frame is written."""
        if self.file.size > finish.size:
            self.is_finished = True
            self.file.seal_off()
        self._under_way = None

    def _defer(self, frames: bytes, rows: int) -> None:
        """Keep frames in memory; UnsavedRowsError if they are too much, and there is still no room for those before."""
        if self.pending.is_beyond(PENDING_LIMIT, len(frames)):
            self.flush()
        if self.pending.is_beyond(PENDING_LIMIT, len(frames)):
            raise UnsavedRowsError(
                f"{self.unsaved} rows ({self.pending.n_bytes >> 20} MB) wait for room for {self.path} "
                f"({self.file.refusal}); no more are taken into memory. Make room there and log again."
            )
        self.pending.add(frames, rows)

    def _warn_full(self) -> None:
        self.pending.warn_full(f"{self.file.refusal} for {self.path}", limit=PENDING_LIMIT)


def _below_limit(size: int) -> int:
    """Return the bytes after which a file ends: well below the size that is allowed for one (ulimit -f)."""
    return min(size, allowed_size() * 3 // 4)
