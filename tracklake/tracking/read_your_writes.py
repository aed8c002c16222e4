"""What the process that writes a run reads of it: its summary, and the values that were logged before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.query.summaries import Summaries
from tracklake.schema.values import Kind, Stored
from tracklake.storage.journal import host
from tracklake.storage.table.snapshot_reader import SnapshotReader
from tracklake.tracking.live_summary import LiveSummary

if TYPE_CHECKING:
    from tracklake.tracking.session import Session


class ReadBack:
    """Reads one run for the session that writes it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._live: LiveSummary | None = None
        self._reader: SnapshotReader | None = None

    def entries(self, name: str | None) -> dict[str, Any]:
        """Return the entries of the summary: read on in the journal, or where that is not exact, from the lake.

        All by full name, or those at, above and under one `name`.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._readback.entries("loss")
        {'loss': 0.5}
        """
        session = self._session
        with session.lock:
            if session.journal is not None and not session.is_over:
                session.journal.flush()
                if self._live is None:
                    self._live = LiveSummary(session.storage, session.run_id, session.project, session.journal)
                entries = self._live.entries(name)
                if entries is not None:
                    return entries
            return self.summaries().of_run(session.run_id)

    def summaries(self) -> Summaries:
        """Return the view over this run alone, as any reader would see it now.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._readback.summaries().of_run(run.id)["loss"]
        0.5
        """
        session = self._session
        with session.lock:
            if session.journal is not None and not session.is_over:
                session.journal.flush()
            if self._reader is None:
                self._reader = SnapshotReader(session.storage, only=session.run_id)
            return Summaries(self._reader.snapshot())

    def logged(self, metric: str, step: int | None) -> Stored | None:
        """Look up what was logged of a metric at a step; with None the number that was logged last. None: nothing.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._readback.logged("loss", 0).value, run._readback.logged("loss", 7)
        (0.5, None)
        """
        if host.engine.is_lost:  # in this child of a fork nobody can read; `log` goes on without
            return None
        found = self.summaries().snapshot.resolved([metric], runs=[self._session.run_id])
        if step is not None:
            found = found.filter((pl.col("step") == step) & (pl.col("kind") != Kind.NULL))
        else:
            found = found.filter(pl.col("value").is_not_null()).sort("ts", maintain_order=True)
        rows = found.select("kind", "value", "ival", "text").rows()
        return Stored(*rows[-1]) if rows else None

    def forget(self) -> None:
        """Let go of files, at the end and in the child of a fork.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run._readback.forget()
        ...     run.summary["loss"]  # read anew
        0.5
        """
        if self._live is not None:
            self._live.close()
        self._live = self._reader = None
