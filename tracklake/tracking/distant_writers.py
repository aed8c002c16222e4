"""What other machines have said of a run on an object store: looked at now and then, beside the training.

The journals of a local lake lie in a folder that tells at once when it changes. Of a store only a request tells, and
while it is away a request takes minutes: so a thread of its own asks, and nobody waits for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import polars as pl

from tracklake.common import threads
from tracklake.errors import TracklakeError
from tracklake.query.summaries import Summaries
from tracklake.storage.table.snapshot_reader import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.schema.definitions import Definitions
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.snapshot import Snapshot

Marks = tuple[tuple[int, int, int], ...]
"""Session, number of its file, and bytes that were read of it."""
INTERVAL = 300.0
"""Seconds between two looks: each lists all journals, and there may be thousands of live runs."""


class DistantWriters:
    """Looks at a run and at the lake's definitions, and hands over what it saw.

    >>> lake, seen = example(), []
    >>> writers = DistantWriters(lake._storage, "fast", 7, lambda definitions, others: seen.append(len(others)))
    >>> writers.look(), writers.wait()  # too early: nothing is seen
    (None, None)
    >>> seen
    []
    """

    def __init__(
        self, storage: Storage, run_id: str, session: int, report: Callable[[Definitions, Marks], None]
    ) -> None:
        """`report` gets the definitions in force, and what is the same as long as no other session says anything."""
        self._reader = SnapshotReader(storage, only=run_id)
        self._run_id = run_id
        self._session = session
        self._report = report
        self._due = time.monotonic() + INTERVAL  # the session began with what was there
        self._thread: threads.Call[None] | None = None

    def look(self) -> None:
        """Begin a look if it is time, and the last one is not still waiting for the store.

        >>> DistantWriters(example()._storage, "fast", 7, lambda *_: None).look()
        """
        now = time.monotonic()
        if now >= self._due and (self._thread is None or not self._thread.is_alive):
            self._due = now + INTERVAL
            self._thread = threads.start(self._look, name="tracklake-look", daemon=True, attended=False)

    def wait(self) -> None:
        """Wait for the end of a look that has begun.

        >>> DistantWriters(example()._storage, "fast", 7, lambda *_: None).wait()
        """
        if self._thread is not None:
            self._thread.wait()

    def _look(self) -> None:
        try:
            snapshot = self._reader.snapshot()
            definitions = Summaries(snapshot).defined.of_run(self._run_id)
        except (OSError, TracklakeError):  # who uploads tells of a store that is away, once
            return
        self._report(definitions, marks_of(snapshot, besides=self._session))


def marks_of(snapshot: Snapshot, *, besides: int) -> Marks:
    """Return how far each session but one has come in a snapshot: what is the same as long as no other says anything.

    >>> [n for _, n, _ in marks_of(example()._view.snapshot, besides=7)]
    [0, 0]
    """
    others = snapshot.files.filter(pl.col("session") != besides)
    return tuple(others.select("session", "n", "sealed_through").sort("session", "n").iter_rows())
