"""Reading sources: small ones whole, several at a time as tasks of an engine; large ones as they are taken in."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import interrupts
from tracklake.common.task_engine import run_tasks
from tracklake.errors import TracklakeError
from tracklake.importers import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracklake.common.task_engine import TaskEngine
    from tracklake.importers.readers.records import ImportOptions, Source, Yielded

SMALL = 32 << 20
"""Bytes of a source up to which all of it is read at once, by a task."""


class ReadingJob(NamedTuple):
    """A source, and how it is to be read."""

    source: Source
    options: ImportOptions

    @property
    def size(self) -> int:
        """The bytes of its files.

        >>> from pathlib import Path
        >>> from tracklake.importers.readers.records import ImportOptions, Source
        >>> _ = Path("a.csv").write_text("step,loss")
        >>> ReadingJob(Source("table", Path("a.csv")), ImportOptions()).size
        9
        """
        return sum(file.stat().st_size for file in self.source.files if file.is_file())


def read_all(jobs: Sequence[ReadingJob], engine: TaskEngine) -> Iterator[tuple[ReadingJob, Iterable[Yielded]]]:
    r"""Yield each job, in order, with what its source holds; what cannot be read raises where it stands in it.

    >>> from pathlib import Path
    >>> from tracklake.common.task_engine import LOCAL
    >>> from tracklake.importers.readers.records import ImportOptions, Source
    >>> _ = Path("a.csv").write_text("step,loss\n0,0.5\n")
    >>> ((_, items),) = read_all([ReadingJob(Source("table", Path("a.csv")), ImportOptions())], LOCAL)
    >>> [type(item).__name__ for item in items]
    ['RunRecord', 'Points']
    """
    for is_small, group in itertools.groupby(jobs, key=lambda job: job.size <= SMALL):
        together = list(group)
        if is_small:
            yield from zip(together, map(_replayed, run_tasks(engine, _read_whole, together)), strict=True)
        else:
            yield from ((job, _read(job)) for job in together)


def _read(job: ReadingJob) -> Iterable[Yielded]:
    return registry.find(job.source.format).read(job.source, job.options)


def _read_whole(job: ReadingJob) -> tuple[list[Yielded], Exception | None]:
    """Return all that a source holds, and the error that ended it."""
    items: list[Yielded] = []
    try:
        for item in _read(job):
            items.append(item)  # noqa: PERF402 - what was read counts although the next may fail
    except (TracklakeError, OSError) as error:
        interrupts.let_through(error)
        return items, error
    return items, None


def _replayed(content: tuple[list[Yielded], Exception | None]) -> Iterator[Yielded]:
    items, error = content
    yield from items
    if error is not None:
        raise error
