"""Sources: the lakes that a page shows, each read by one thread at a time, and a counter of their changes."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.errors import LakeError
from tracklake.query.sandbox.limits import Limits
from tracklake.storage import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from tracklake.lake.lake import Lake

STATE_SECONDS = 5.0
"""How often the states of running runs are looked at again: a process may die without a word."""
CACHED = 24
"""Results kept, the least recently used given up first."""
SQL_SECONDS = 20.0
"""How long a text in SQL, a filter among them, may take."""


class _Reader(NamedTuple):
    """A lake and the lock of who reads it: a Lake follows journals and is not made for two threads at once."""

    lake: Lake
    lock: threading.RLock


class Source:
    """One lake of the page. Tables and curves read by one Lake, questions that may take long by another.

    >>> source = Source(example(), name="lake")
    >>> with source.reading() as lake:
    ...     lake.runs().height
    2
    """

    def __init__(self, lake: Lake, *, name: str) -> None:
        self.name = name
        self.dir = lake.dir
        limits = Limits.of(seconds=SQL_SECONDS)
        self._tables = _Reader(lake._reopened(limits), threading.RLock())  # noqa: SLF001 - of the page's own
        self._questions = _Reader(lake._reopened(limits), threading.RLock())  # noqa: SLF001 - of the page's own
        self._cache: OrderedDict[Hashable, Any] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._snapshot: object = None
        self._running: frozenset[str] = frozenset()
        self._looked = 0.0
        self._epoch = f"{time.time_ns():x}"
        self._count = 0
        self.is_cold = True
        """Whether the columns of all runs were never read yet."""

    @contextmanager
    def reading(self) -> Iterator[Lake]:
        """Give the lake for tables and curves, to this thread alone.

        >>> with Source(example(), name="lake").reading() as lake:
        ...     lake.metrics
        ['acc', 'loss']
        """
        with self._tables.lock:
            yield self._tables.lake

    @contextmanager
    def asking(self) -> Iterator[Lake]:
        """Give the lake for SQL, statistics and pictures, which may take seconds and must not hold up the tables.

        >>> with Source(example(), name="lake").asking() as lake:
        ...     lake.sql("SELECT count(*) AS n FROM runs").item()
        2
        """
        with self._questions.lock:
            yield self._questions.lake

    def version(self) -> str:
        """Return a text that is another one whenever something has changed.

        >>> source = Source(example(), name="lake")
        >>> before = source.version()
        >>> source.version() == before
        True
        >>> with tl.init("example", id="third", dir=source.dir) as run:
        ...     run.log({"loss": 1.0})
        >>> source.version() == before
        False
        """
        with self.reading() as lake:
            for place in (storage.root for storage in lake._storages):  # noqa: SLF001 - likewise
                if isinstance(place, Path) and not (place / layout.MARKER).exists():
                    raise LakeError(f"the lake at {place} is gone: is its disk there, was it moved?")
            snapshot = lake._view.logged  # noqa: SLF001 - the page is another face of the lake
            if snapshot is not self._snapshot or self._states_differ(lake):
                self._snapshot = snapshot
                self._count += 1
            return f"{self._epoch}.{self._count}"

    def _states_differ(self, lake: Lake) -> bool:
        if time.monotonic() - self._looked < STATE_SECONDS:
            return False
        self._looked = time.monotonic()
        states = lake.runs(columns=["state"])
        running = frozenset(states.filter(pl.col("state") == "running")["run_id"])
        differ, self._running = running != self._running, running
        return differ

    def cached(self, key: Hashable, make: Callable[[], Any], *, anew: bool = True) -> Any:
        """Return what was made for this key and the lake as it is now, or make it; not `anew`: and any state of it.

        >>> Source(example(), name="lake").cached("n", lambda: 2)
        2
        """
        full = (self.version() if anew else "", key)
        with self._cache_lock:
            if full in self._cache:
                self._cache.move_to_end(full)
                return self._cache[full]
        value = make()
        with self._cache_lock:
            self._cache[full] = value
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return value

    @property
    def is_read_only(self) -> bool:
        """Whether the page may edit nothing: this process cannot write the folder of any of the lakes.

        Who may write an object store it alone knows: it is asked when something is edited.

        >>> Source(example(), name="lake").is_read_only
        False
        """
        places = [storage.root for storage in self._tables.lake._storages]  # noqa: SLF001 - likewise
        return not any(isinstance(place, str) or os.access(place, os.W_OK) for place in places)

    def folder(self, name: str) -> Path | None:
        """Return a folder of the page's own files beside the lake; None for several lakes and on an object store.

        >>> Source(example(), name="lake").folder("views").name
        'views'
        """
        places = [storage.root for storage in self._tables.lake._storages]  # noqa: SLF001 - likewise
        return Path(places[0], name) if len(places) == 1 and isinstance(places[0], Path) else None

    def writable_folder(self, name: str) -> Path:
        """Return that folder, or raise LakeError where nothing can be kept in it.

        >>> Source(example(), name="lake").writable_folder("reports").name
        'reports'
        """
        folder = self.folder(name)
        if folder is None:
            raise LakeError(
                f"{name} lie in the folder of one lake on a disk, and {self.dir} is none: open that lake alone"
            )
        if self.is_read_only:
            raise LakeError(f"the lake at {self.dir} is read-only for this process: no {name} can be kept")
        return folder
