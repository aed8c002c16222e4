"""One process writing one run: its journal from beginning to end, and what is done beside the training."""

from __future__ import annotations

import os
import threading
import warnings
from typing import TYPE_CHECKING, Protocol

from tracklake.common.warnings import warn
from tracklake.errors import RunFinishedError, TracklakeError
from tracklake.storage.journal import host
from tracklake.storage.journal.writer import Journal
from tracklake.storage.layout import JOURNAL_FOLDER
from tracklake.storage.table import housekeeping, sealing
from tracklake.storage.table.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracklake.schema.values import Stored
    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.clock import Clock
    from tracklake.storage.journal.writer import Durability
    from tracklake.tracking.run_mappings import Change


class Aside(Protocol):
    """Something done beside the training: called about once a second, and at the end."""

    def tick(self) -> None:
        """Do what is due."""

    def end(self) -> None:
        """Do what is left."""

    def leave(self) -> None:
        """Let go of files, in the child of a fork."""


class Session:
    """The journal that this process writes of a run; a child of a fork that says something gets one of its own."""

    def __init__(
        self,
        storage: Storage,
        *,
        run_id: str,
        project: str,
        clock: Clock,
        durability: Durability,
        header: Mapping[str, object],
        begun: Callable[[Journal], None],
    ) -> None:
        """Open the journal; `begun` is called with it, and with the one that a forked child opens."""
        self.storage = storage
        self.run_id = run_id
        self.project = project
        self.lock = threading.RLock()
        self.is_over = False
        self.asides: list[Aside] = []
        self._clock = clock
        self._durability = durability
        self._header = dict(header)
        self._begun = begun
        self._sealer: threading.Thread | None = None
        self._catalog: Catalog | None = None
        self._warned: set[str] = set()
        self.journal: Journal | None = None
        """None in a forked child that has said nothing yet."""
        self._begin()

    def new_journal(self, folder: str) -> Journal:
        """Open a journal of this run in a folder of the lake. OSError or LakeError where it cannot be written.

        >>> with tl.init() as run:
        ...     journal = run._session.new_journal("system")
        ...     journal.finish([])
        ...     journal.path.parent.name
        'system'
        """
        return Journal(
            self.storage.journal_folder(folder),
            run_id=self.run_id,
            project=self.project,
            clock=self._clock,
            durability=self._durability,
            header=self._header | {"pid": os.getpid()},
        )

    def open(self) -> Journal:
        """Return the journal to write to; RunFinishedError once the session is over.

        >>> with tl.init(id="r1") as run:
        ...     run._session.open() is run._session.journal
        True
        >>> run._session.open()
        Traceback (most recent call last):
        tracklake.errors.RunFinishedError: run 'r1' is finished: it takes no more; ...
        """
        if self.is_over:
            msg = (
                f"run {self.run_id!r} is finished: it takes no more; "
                f"init(id={self.run_id!r}, resume='allow') goes on with it"
            )
            raise RunFinishedError(msg)
        return self.journal or self._begin(forked=True)

    def say(self, changes: list[Change]) -> None:
        """Append statements, in one frame those of one kind that follow each other.

        >>> from tracklake.schema.values import store
        >>> with tl.init() as run:
        ...     run._session.say([("edit", "note", store("rerun", name="note"))])
        >>> run.summary["note"]
        'rerun'
        """
        with self.lock:
            journal = self.open()
            start = 0
            for i in range(1, len(changes) + 1):
                if i == len(changes) or changes[i][0] != changes[start][0]:
                    journal.append_statement(changes[start][0], [(key, stored) for _, key, stored in changes[start:i]])
                    start = i

    def keep_alive(self, *, beat: bool) -> None:
        """Write what is buffered, do what is due beside the training and, on a beat, give a sign of life.

        >>> with tl.init() as run:
        ...     path = run._session.journal.path
        ...     os.utime(path, (0, 0))
        ...     run._session.keep_alive(beat=True)
        ...     path.stat().st_mtime > 0
        True
        """
        for aside in self.asides:
            self._carefully(aside.tick)
        with self.lock:
            if self.journal is not None and not self.is_over:
                self._carefully(self.journal.flush)
                if beat:
                    self._carefully(self.journal.touch)

    def finish(self, items: list[tuple[str, Stored]], *, in_haste: bool) -> None:
        """End the session; in haste without what is only nice to have. UnsavedRowsError leaves it open.

        >>> with tl.init() as run:  # to leave it is to finish
        ...     run._session.is_over
        False
        >>> run._session.is_over
        True
        """
        while self.asides and not in_haste:
            self._carefully(self.asides.pop().end)
        with self.lock:
            if self.journal is not None:
                self.journal.finish(items)
            self.is_over = True

    def leave(self) -> None:
        """Let go of everything in the child of a fork.

        >>> with tl.init() as run:
        ...     run._session.leave()
        ...     run._session.journal is None
        True
        """
        self.lock = threading.RLock()
        for aside in self.asides:
            aside.leave()
        if self.journal is not None:
            self.journal.abandon()
        self.asides = []
        self.journal = self._sealer = self._catalog = None

    def warn_once(self, about: str, message: str) -> None:
        """Warn once about each thing, at the line that called into tracklake.

        >>> with tl.init() as run, warnings.catch_warnings(record=True, action="always") as heard:
        ...     run._session.warn_once("disk", "the disk is slow")
        ...     run._session.warn_once("disk", "the disk is slow")
        >>> len(heard)
        1
        """
        if about not in self._warned:
            self._warned.add(about)
            warn(message)

    def seal_gathered(self) -> None:
        """Seal complete journals if enough of them lie there; to be called after the end.

        >>> example().describe().partitions  # both runs have done so at their end, and two are too few
        0
        """
        if self._sealer is not None:
            self._sealer.join()
        self._seal(only_gathered=True)

    def _begin(self, *, forked: bool = False) -> Journal:
        if forked:  # a session beside that of the parent: it takes nothing back of what the parent logged
            self._header.pop("from_step", None)
            self._header["forked"] = True
        journal = self.journal = self.new_journal(JOURNAL_FOLDER)
        journal.on_rotate = self._seal_aside
        self._begun(journal)
        return journal

    def _carefully(self, act: Callable[[], None]) -> None:
        """Do something that is not worth a training."""
        try:
            act()
        except (OSError, TracklakeError) as error:
            self.warn_once(getattr(act, "__qualname__", ""), f"tracklake: {error}")

    def _seal_aside(self) -> None:
        """Seal files that were ended because they grew, beside the training loop."""
        if host.engine.is_lost or (self._sealer is not None and self._sealer.is_alive()):
            return
        self._sealer = threading.Thread(target=self._seal, name="tracklake-seal", daemon=True)
        self._sealer.start()

    def _seal(self, *, only_gathered: bool = False) -> None:
        """Seal complete journals; whatever goes wrong is left to the next who tries, and never stops the training."""
        try:
            if only_gathered:
                housekeeping.seal_gathered(self.storage)
                return
            self._catalog = self._catalog or Catalog(self.storage, statements=False)
            sealing.seal(self._catalog, live=False)
        except Exception as error:  # noqa: BLE001 - the rows are safe in the journals; nothing here is worth a training
            warnings.warn(f"tracklake: sealing was put off: {type(error).__name__}: {error}", stacklevel=2)
