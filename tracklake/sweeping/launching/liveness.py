"""The file that tells whether an agent lives."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import partial
from typing import TYPE_CHECKING

from tracklake.common import interrupts, threads
from tracklake.storage.journal import file_names
from tracklake.tracking.open_runs import BEAT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.sweeping.records import SweepRecords


@contextlib.contextmanager
def living(records: SweepRecords) -> Iterator[str]:
    """Give the name of a new agent, which counts as alive inside the block: a lock on this host, a beat elsewhere.

    >>> from tracklake.sweeping.config import SweepConfig
    >>> from tracklake.sweeping.records import SweepRecords
    >>> config = SweepConfig({"parameters": {"lr": {"value": 1}}})
    >>> with living(records := SweepRecords.create(example()._storage, config)) as agent:
    ...     list(records.agents()) == [agent]
    True
    """
    agent = secrets.token_hex(6)
    path = records.storage.journal_folder(records.agents_folder) / f"{agent}.lock"
    over = threads.Flag()
    with path.open("wb", buffering=0) as file:
        file_names.hold_lock(file)
        threads.start(partial(_beat, path, over), name="tracklake-agent", daemon=True, attended=False)
        try:
            yield agent
        finally:
            over.set()
            path.unlink(missing_ok=True)


def _beat(path: os.PathLike[str], over: threads.Flag) -> None:
    while not over.wait(BEAT_SECONDS):
        with interrupts.suppressed(OSError):  # the next beat may pass
            os.utime(path)
