"""One process writing one run: its journal from beginning to end, and what is done beside the training."""

from __future__ import annotations

import os
import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from tracklake.common import threads
from tracklake.common.warnings import warn
from tracklake.errors import RunFinishedError, TracklakeError
from tracklake.storage.journal import host, upload
from tracklake.storage.journal.writer import Journal
from tracklake.storage.layout import JOURNAL_FOLDER
from tracklake.storage.table import housekeeping, sealing
from tracklake.storage.table.catalog import Catalog
from tracklake.tracking.turn import NOTHING_WRITTEN, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracklake.schema.values import Stored
    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.clock import Clock
    from tracklake.storage.journal.writer import Durability
    from tracklake.tracking.run_mappings import Change

ResultT = TypeVar("ResultT")


class BackgroundTask(Protocol):
    """Something done beside the training: called about once a second, and at the end."""

    def tick(self) -> None:
        """Do what is due."""

    def end(self) -> None:
        """Do what is left; called again if it was interrupted."""

    def after_fork(self) -> None:
        """Let go of files, in the child of a fork."""


class SessionListener(Protocol):
    """Who wants to know of a session."""

    def session_begun(self) -> None:
        """Take note that this process writes a journal: the first one, or the one of a forked child."""


class Session:
    """The journal that this process writes of a run; a child of a fork that writes gets one of its own."""

    def __init__(
        self,
        storage: Storage,
        *,
        run_id: str,
        project: str,
        clock: Clock,
        durability: Durability,
        header: Mapping[str, object],
        listener: SessionListener,
    ) -> None:
        """Open the journal."""
        self.storage = storage
        self.run_id = run_id
        self.project = project
        self.turn = Turn()
        self.tasks: list[BackgroundTask] = []
        self._clock = clock
        self._durability = durability
        self._header = dict(header)
        self._listener = listener
        self._is_over = False
        self._sealer: threads.Call[object] | None = None
        self._sealing = threading.Lock()
        self._catalog: Catalog | None = None
        self._warned: set[str] = set()
        self._uploaders: list[upload.Uploader] = []
        """Those of the journals of a lake on an object store."""
        self.journal: Journal | None = None
        """None in a forked child that has written nothing yet."""
        self._begin()

    @property
    def is_over(self) -> bool:
        """Whether the run takes no more.

        >>> with tl.init() as run:
        ...     run._session.is_over
        False
        >>> run._session.is_over
        True
        """
        return self._is_over or (self.journal is not None and self.journal.is_finished)

    @property
    def is_uploaded(self) -> bool:
        """Whether its journals are written in a spool, and go to an object store from there.

        >>> with tl.init() as run:
        ...     run._session.is_uploaded
        False
        """
        return bool(self._uploaders)

    @property
    def store_is_away(self) -> bool:
        """Whether the last upload failed, or has been waiting for long: to ask the store would take minutes.

        >>> with tl.init() as run:
        ...     run._session.store_is_away
        False
        """
        return any(uploader.is_stuck for uploader in self._uploaders)

    def new_journal(self, folder: str, *, on_rotate: Callable[[], None] | None = None) -> Journal:
        """Open a journal of this run in a folder of the lake. OSError or LakeError where it cannot be written.

        >>> with tl.init() as run:
        ...     journal = run._session.new_journal("system")
        ...     journal.finish([])
        ...     journal.path.parent.name
        'system'
        """
        journal = Journal(
            self.storage.journal_folder(folder),
            run_id=self.run_id,
            project=self.project,
            clock=self._clock,
            durability=self._durability,
            header=self._header | {"pid": os.getpid()},
            on_rotate=on_rotate,
            rotate_at=upload.rotation_size(self.storage),
        )
        uploader = upload.uploader_of(self.storage, folder, journal.session)
        if uploader is not None:
            self._uploaders.append(uploader)
        return journal

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
            raise RunFinishedError(
                f"run {self.run_id!r} is finished: it takes no more; "
                f"init(id={self.run_id!r}, resume='allow') goes on with it"
            )
        return self.journal or self._begin(forked=True)

    def append_statements(self, changes: list[Change]) -> None:
        """Append statements, all of them or none.

        >>> from tracklake.schema.values import store
        >>> with tl.init() as run:
        ...     run._session.append_statements([("edit", "note", store("rerun", name="note"))])
        >>> run.summary["note"]
        'rerun'
        """
        turn = self.turn
        with turn.lock:
            if turn.recovery is not None and not turn.begin():
                turn.deferred.append(partial(self._append, changes))
                return
            turn.recovery = NOTHING_WRITTEN
            self._append(changes)
            turn.recovery = None
            turn.run_deferred()

    def keep_alive(self, *, beat: bool) -> None:
        """Write what is buffered, do what is due beside the training and, on a beat, give a sign of life.

        >>> with tl.init() as run:
        ...     path = run._session.journal.path
        ...     os.utime(path, (0, 0))
        ...     run._session.keep_alive(beat=True)
        ...     path.stat().st_mtime > 0
        True
        """
        for tick in [task.tick for task in self.tasks] + [uploader.tick for uploader in self._uploaders]:
            self.carefully(tick)
        turn = self.turn
        with turn.lock:
            if self.journal is None or self.is_over or (turn.recovery is not None and not turn.begin()):
                return
            self.carefully(turn.run_deferred)
            self.carefully(self.journal.flush)
            if beat:
                self.carefully(self.journal.touch)

    def finish(self, items: list[tuple[str, Stored]], *, in_haste: bool) -> None:
        """End the session; in haste without the background tasks. UnsavedRowsError leaves it open.

        A call that a signal handler makes inside another one ends the session all the same: what that one had begun
        is completed first. So may any thread, and whoever was interrupted here may call again.

        >>> with tl.init() as run:  # to leave it is to finish
        ...     run._session.is_over
        False
        >>> run._session.is_over
        True
        """
        while self.tasks and not in_haste:
            self.carefully(self.tasks[-1].end)
            self.tasks.pop()
        turn = self.turn
        with turn.lock:
            turn.recover()
            while turn.deferred:
                turn.run_deferred()
            if self.journal is not None:
                self.journal.finish(items)
            self._is_over = True
        for uploader in self._uploaders:
            self.carefully(uploader.finish)

    def after_fork(self) -> None:
        """Let go of everything in the child of a fork.

        >>> with tl.init() as run:
        ...     run._session.after_fork()
        ...     run._session.journal is None
        True
        """
        self.turn, self._sealing = Turn(), threading.Lock()
        for task in self.tasks:
            task.after_fork()
        if self.journal is not None:
            self.journal.abandon()
        self.tasks, self._uploaders = [], []
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
        self._wait_for_sealer()
        if self._put_off_on_error(lambda: housekeeping.is_due(self.storage)):  # a thread costs more than most ends
            self._run_sealer(lambda: housekeeping.seal_gathered(self.storage))
            self._wait_for_sealer()

    def _append(self, changes: list[Change]) -> None:
        self.open().append_changes(changes)

    def _begin(self, *, forked: bool = False) -> Journal:
        if forked:  # a session beside that of the parent: it takes nothing back of what the parent logged
            self._header.pop("from_step", None)
            self._header["forked"] = True
        journal = self.journal = self.new_journal(JOURNAL_FOLDER, on_rotate=self._seal_in_background)
        self._listener.session_begun()
        return journal

    def carefully(self, act: Callable[[], None]) -> None:
        """Do something that is not worth a training: what goes wrong is warned of.

        >>> with tl.init() as run:
        ...     run._session.carefully(lambda: None)
        """
        try:
            act()
        except (OSError, TracklakeError) as error:
            if isinstance(error, OSError) and error.errno is None and not isinstance(error, TracklakeError):
                raise  # no word of the operating system: a signal handler raised it
            self.warn_once(getattr(act, "__qualname__", ""), f"tracklake: {error}")

    def _seal_in_background(self) -> None:
        """Seal complete files beside the training loop."""
        is_sealing = self._sealer is not None and self._sealer.is_alive
        if not (host.engine.is_lost or is_sealing or self.store_is_away):
            self._run_sealer(self._seal)

    def _run_sealer(self, seal: Callable[[], object]) -> None:
        """Seal in a thread of its own, where no signal interrupts it."""
        self._sealer = threads.start(partial(self._put_off_on_error, seal), name="tracklake-seal", daemon=True)

    def _wait_for_sealer(self) -> None:
        if self._sealer is not None:
            self._sealer.wait()

    def _seal(self) -> None:
        with self._sealing:  # whoever was interrupted after a thread had started may start another
            self._catalog = self._catalog or Catalog(self.storage, statements=False)
            sealing.seal(self._catalog, live=False)

    def _put_off_on_error(self, seal: Callable[[], ResultT]) -> ResultT | None:
        """Seal complete journals; whatever goes wrong is left to the next who tries, and never stops the training."""
        try:
            return seal()
        except Exception as error:  # noqa: BLE001 - the rows are safe in the journals; nothing here is worth a training
            if not (self.is_uploaded and isinstance(error, OSError | TracklakeError)):  # who uploads tells of a store
                warnings.warn(f"tracklake: sealing was put off: {type(error).__name__}: {error}", stacklevel=2)
            return None
