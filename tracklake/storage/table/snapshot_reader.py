"""Taking snapshots: the log, and the journals beside it, each read on from where the last snapshot ended."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

from tracklake.common import interrupts
from tracklake.common.task_engine import LOCAL
from tracklake.common.warnings import warn
from tracklake.compute.scans import LOOK
from tracklake.errors import LakeError
from tracklake.storage import journal, layout, table
from tracklake.storage.table.catalog import Catalog, Watermark
from tracklake.storage.table.snapshot import Snapshot
from tracklake.storage.table.verified_files import FileGoneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracklake.common.task_engine import TaskEngine
    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.statements import JournalSlice
    from tracklake.storage.table.catalog import JournalFile
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.live_journals import LiveJournal

_LISTINGS = 20


class SnapshotReader:
    """Takes snapshots of one lake, or of one run alone (`only`), each at the cost of what is new since the last.

    `until` names journal files, by (session, n), of which no more than so many bytes are read. A `tolerant` one leaves
    out what cannot be read, and tells so; any other raises LakeError.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        only: str | None = None,
        until: dict[tuple[int, int], int] | None = None,
        engine: TaskEngine = LOCAL,
        tolerant: bool = False,
    ) -> None:
        self.catalog = Catalog(storage, only=only, tolerant=tolerant)
        self.catalog.engine = engine
        self._until = until or {}
        self._live: dict[tuple[int, int], LiveJournal] = {}
        self._snapshot: Snapshot | None = None
        self._seen: tuple[list[JournalFile], int] = ([], -1)
        self._changed = False
        self._unread: dict[tuple[int, int], str] = {}
        """The journals that are left out because they cannot be read, a sentence each."""
        self._gone_at = -1
        """The newest version when a file was gone."""
        self._is_under_way = False
        """Whether a call is at work, or was interrupted."""
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; the same object again if nothing has changed.

        The journals are listed first and the log is read after, so that what leaves the one is in the other. A gap in
        a session's files, or one that is gone when opened, means that the listing is too old: list again.

        >>> reader = SnapshotReader(example()._storage)
        >>> reader.snapshot() is reader.snapshot(), reader.snapshot().n_stored
        (True, 12)
        """
        with self._lock:
            if self._is_under_way:  # an exception came between reading on and keeping what was read: begin anew
                self._live, self._snapshot, self._seen = {}, None, ([], -1)
            self._is_under_way = True
            snapshot = self._newest()
            self._is_under_way = False
            return snapshot

    def _newest(self) -> Snapshot:
        for attempt in itertools.count():
            files = self.catalog.list_journals()
            self._changed |= self._snapshot is not None and self._snapshot.unreadable.has_returned()
            version = self._newest_version()
            if self._snapshot is not None and not self._changed and (files, version.number) == self._seen:
                return self._snapshot
            watermarks = self.catalog.watermarks(files)
            gone = self._read_live(files, watermarks)
            if not (gone or _has_gap(files, watermarks)):
                self._seen = (files, version.number)
                break
            if attempt >= _LISTINGS and not self._are_sealed(gone):
                self._leave_out(gone, "it is listed, and gone whenever it is opened")
                break
            time.sleep(min(attempt, _LISTINGS) * 0.001)
        if self._snapshot is None or self._changed or version.number != self._snapshot.version.number:
            left_out = list(self._unread.values())
            self._snapshot = Snapshot(self.catalog, version, list(self._live.values()), left_out=left_out)
            self._changed = False
        return self._snapshot

    def _are_sealed(self, gone: Sequence[JournalFile]) -> bool:
        """Tell whether one of the journals that were gone was sealed meanwhile: then another listing is worth while."""
        self._newest_version()
        return any(watermark.complete for watermark in self.catalog.watermarks(gone).values())

    def _leave_out(self, files: Iterable[JournalFile], reason: str) -> None:
        """Answer without some journals, and say so; LakeError where nothing is to be left out."""
        for file in files:
            place = self.catalog.storage.describe(f"{layout.JOURNAL_FOLDER}/{file.entry.name}")
            if not self.catalog.tolerant:
                raise LakeError(f"{place} cannot be read: {reason}. {LOOK}")
            text = f"tracklake: {place} cannot be read: {reason}. What it holds of a run is left out. {LOOK}"
            self._changed |= self._unread.get(file.key) != text
            self._unread[file.key] = text

    def _newest_version(self) -> Version:
        """Take over the newest version; of one whose files were compacted and vacuumed meanwhile the one after it."""
        for _ in range(_LISTINGS):
            try:
                return self.catalog.refresh()
            except FileGoneError:
                newest = self.catalog.log.read()
                if newest.number == self._gone_at:
                    raise
                self._gone_at = newest.number
        return self.catalog.refresh()

    def _read_live(
        self, files: Sequence[JournalFile], watermarks: dict[tuple[int, int], Watermark]
    ) -> list[JournalFile]:
        """Read on in every journal that is not sealed to its end; return those that were gone."""
        before, self._live = self._live, {}
        unread_before, self._unread = self._unread, {}
        unsealed = [file for file in files if not watermarks.get(file.key, Watermark()).complete]
        appended = list(self._appended(unsealed, watermarks, before))
        deltas = table.live_journals.deltas([part for _, part in appended]) if appended else ()
        for (live, _), delta in zip(appended, deltas, strict=True):
            live.apply(delta)
            self._changed = True
        self._changed |= self._live.keys() != before.keys() or self._unread.keys() != unread_before.keys()
        return [file for file in unsealed if file.key not in self._live and file.key not in self._unread]

    def _appended(
        self,
        files: Sequence[JournalFile],
        watermarks: dict[tuple[int, int], Watermark],
        before: dict[tuple[int, int], LiveJournal],
    ) -> Iterator[tuple[LiveJournal, JournalSlice]]:
        """Yield the journals that grew, each with what was appended; all that are there, grown or not, are live now."""
        for file in files:
            watermark = watermarks.get(file.key, Watermark())
            live = before.get(file.key)
            try:
                if live is None or live.watermark != watermark:
                    live, appended = self._read_on(self._opened(file, watermark), file)
                elif live.file.entry != file.entry:
                    live, appended = self._read_on(live, file)
                else:
                    appended = None
            except FileNotFoundError:
                continue
            except OSError as error:
                interrupts.let_through(error)
                self._leave_out([file], str(error.strerror or error))
                continue
            live.file = file
            self._live[file.key] = live
            if appended is not None:
                yield live, appended

    def _opened(self, file: JournalFile, watermark: Watermark) -> LiveJournal:
        return table.live_journals.LiveJournal(self.catalog, file, watermark, until=self._until.get(file.key))

    def _read_on(self, live: LiveJournal, file: JournalFile) -> tuple[LiveJournal, JournalSlice | None]:
        """Return a journal and what was appended to it; one whose file was rewritten begins anew."""
        try:
            return live, live.read()
        except journal.reader.RewrittenError as error:
            warn(f"tracklake: {error}. It is read anew; {LOOK}")
            live = self._opened(file, live.watermark)
            return live, live.read()


def _has_gap(files: Sequence[JournalFile], watermarks: dict[tuple[int, int], Watermark]) -> bool:
    """Tell whether a session lacks a file before one that is there and not even its end is sealed."""
    present = {file.key for file in files}
    before = {(file.name.session, file.name.n - 1) for file in files if file.name.n and file.key not in watermarks}
    return bool({key for key in before - present if key not in watermarks})
