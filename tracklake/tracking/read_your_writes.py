"""What the process that writes a run reads of it: its summary, and the values that were logged before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake import query, tracking
from tracklake.common import interrupts
from tracklake.schema.values import STORED, Kind, Stored
from tracklake.storage import table
from tracklake.storage.journal import host
from tracklake.storage.layout import JOURNAL_FOLDER
from tracklake.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklake.query.summaries import Summaries
    from tracklake.storage.journal.writer import Journal
    from tracklake.storage.table.snapshot import Snapshot
    from tracklake.storage.table.snapshot_reader import SnapshotReader
    from tracklake.tracking.distant_writers import Marks
    from tracklake.tracking.live_summary import LiveSummary
    from tracklake.tracking.session import Session

_AWAY = "run.summary is what this machine has yet to upload of the run, until it does"


class ReadYourWrites:
    """Reads one run for the session that writes it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._live: LiveSummary | None = None
        self._reader: SnapshotReader | None = None
        self.elsewhere: Marks | None = None
        """What has been heard of the run's writers on other machines."""

    def entries(self, name: str | None) -> dict[str, Any]:
        """Return the entries of the summary: read on in the journal, or where that is not exact, from the lake.

        All by full name, or those at, above and under one `name`.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._logged.entries("loss")
        {'loss': 0.5}
        """
        turn = self._session.turn
        with turn.lock:
            if turn.recovery is not None and not turn.begin():  # inside a call that writes: ask the lake alone
                session = self._session
                return query.summaries.Summaries(self._snapshot(None)).of_run(session.run_id)
            turn.recovery = (self.forget,)  # what was read halfway is read anew
            entries = self._entries(name)
            turn.recovery = None
            turn.run_deferred()
            return entries

    def _entries(self, name: str | None) -> dict[str, Any]:
        session = self._session
        if session.journal is not None and not session.is_over:
            session.journal.flush()
            entries = self._live_entries(name, session.journal)
            if entries is not None:
                return entries
            if session.store_is_away:
                session.warn_once("away", f"tracklake: {session.storage.describe()} does not answer: {_AWAY}")
        return self.summaries().of_run(session.run_id)

    def _live_entries(self, name: str | None, journal: Journal) -> dict[str, Any] | None:
        """Return the entries as read on in the journal; None if that is not exact, or would wait for a store."""
        session = self._session
        if self._live is None:
            self._live = tracking.live_summary.LiveSummary(session.storage, session.run_id, session.project, journal)
        if session.store_is_away and not self._live.is_following:
            return None
        try:
            return self._live.entries(name, elsewhere=self.elsewhere)
        except OSError as error:
            interrupts.let_through(error)
            if not session.is_uploaded:
                raise
            return None

    def summaries(self) -> Summaries:
        """Return the view over this run alone, as any reader would see it now.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._logged.summaries().of_run(run.id)["loss"]
        0.5
        """
        session = self._session
        with session.turn.lock:
            if session.journal is not None and not session.is_over:
                session.journal.flush()
            if self._reader is None:
                self._reader = table.snapshot_reader.SnapshotReader(session.storage, only=session.run_id)
            return query.summaries.Summaries(self._snapshot(self._reader))

    def _snapshot(self, reader: SnapshotReader | None) -> Snapshot:
        """Return the run as it stands in the lake; while a store is away, as its spool on this machine has it."""
        session = self._session
        if not session.store_is_away:
            try:
                return (reader or table.snapshot_reader.SnapshotReader(session.storage, only=session.run_id)).snapshot()
            except OSError as error:
                interrupts.let_through(error)
                if not session.is_uploaded:
                    raise
        spool = LocalStorage(session.storage.journal_folder(JOURNAL_FOLDER).parent)
        return table.snapshot_reader.SnapshotReader(spool, only=session.run_id).snapshot()

    def value(self, metric: str, step: int | None) -> Stored | None:
        """Return the value of a metric at a step, also a null; with None its latest number. None: it has none.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._logged.value("loss", 0).value, run._logged.value("loss", 7)
        (0.5, None)
        """
        if host.engine.is_lost:  # in this child of a fork nobody can read; `log` goes on without
            return None
        points = self.summaries().snapshot.resolved([metric], runs=[self._session.run_id])
        if step is not None:
            points = points.filter(pl.col("step") == step)
        else:
            points = points.filter(pl.col("kind").is_in([Kind.FLOAT, Kind.INT])).sort("ts", maintain_order=True)
        rows = points.select(*STORED).rows()
        return Stored(*rows[-1]) if rows else None

    def logged_at(self, metrics: Collection[str], step: int) -> list[str]:
        """Return those of the metrics that have a value at a step.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._logged.logged_at(["acc", "loss"], 0)
        ['loss']
        """
        if host.engine.is_lost:
            return []
        points = self.summaries().snapshot.resolved(list(metrics), runs=[self._session.run_id])
        return points.filter((pl.col("step") == step) & (pl.col("kind") != Kind.NULL))["metric"].unique().to_list()

    def forget(self) -> None:
        """Let go of files, at the end and in the child of a fork.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._logged.forget()
        ...     run.summary["loss"]  # read anew
        0.5
        """
        if self._live is not None:
            self._live.close()
        self._live = self._reader = None
