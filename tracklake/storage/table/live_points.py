"""Points of live journals, which are put together when somebody asks for them: a table of runs needs none."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from tracklake.common import threads
from tracklake.compute import sorted_groups
from tracklake.schema.tables import POINTS
from tracklake.storage.table import sealing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracklake.storage.journal.statements import JournalSlice

    _T = TypeVar("_T")

POINTS_AT_ONCE = 600_000
"""Of many journals that are read together: more points than fit into the caches of a processor are slower each."""


class LivePoints:
    """The points of a part of a journal: what they are made of, or the frame."""

    __slots__ = ("_frame", "_slice", "number")

    def __init__(self, journal_slice: JournalSlice | None, *, frame: pl.DataFrame | None = None) -> None:
        self.number = 0 if frame is None else frame.height
        """How many they are."""
        if journal_slice is not None:
            self.number = journal_slice.records.n_points
        self._slice = journal_slice
        self._frame = frame

    @property
    def pending(self) -> JournalSlice | None:
        """What is to be put together; None if that is done.

        >>> LivePoints(None, frame=pl.DataFrame(schema=POINTS)).pending
        """
        return self._slice if self._frame is None else None

    @property
    def frame(self) -> pl.DataFrame:
        """The points (schema POINTS), sorted.

        >>> LivePoints(None, frame=pl.DataFrame(schema=POINTS)).frame.height
        0
        """
        if self._frame is None:
            self.keep(sealing.points_of([] if self._slice is None else [self._slice]))
        return pl.DataFrame(schema=POINTS) if self._frame is None else self._frame

    def keep(self, frame: pl.DataFrame) -> None:
        """Keep the points, once they are put together; what they were made of is no longer held.

        >>> points = LivePoints(None, frame=pl.DataFrame(schema=POINTS))
        >>> points.keep(pl.DataFrame(schema=POINTS))
        """
        self._frame = frame  # the first: whoever asks at the same time looks for it before the other
        self._slice = None


def frames(several: Sequence[LivePoints]) -> list[pl.DataFrame]:
    """Return the points of each; those that are not put together yet are, and kept.

    >>> frames([LivePoints(None, frame=pl.DataFrame(schema=POINTS))])[0].height
    0
    """
    pending = [(part, journal_slice) for part in several if (journal_slice := part.pending) is not None]
    frames = map_groups(_frames_of, (journal_slice for _, journal_slice in pending))
    for (part, _), frame in zip(pending, frames, strict=True):
        part.keep(frame)
    return [part.frame for part in several]


def _frames_of(slices: Sequence[JournalSlice]) -> list[pl.DataFrame]:
    decoded = sealing.points_of(slices)
    parts = by_session(decoded)
    return [parts.get(one.header["session"], decoded.head(0)) for one in slices]


def map_groups(function: Callable[[Sequence[JournalSlice]], list[_T]], slices: Iterable[JournalSlice]) -> Iterator[_T]:
    """Yield what a function makes of slices, which it is given some at a time; in threads, if they are many.

    >>> list(map_groups(list, []))
    []
    """
    groups = _groups(slices)
    begun = list(itertools.islice(groups, 2))
    if len(begun) > 1:
        workers = (os.cpu_count() or 1) + 1  # one of them has ended, where another is slow
        for several in threads.in_threads(function, itertools.chain(begun, groups), workers=workers):
            yield from several
    elif begun:
        yield from function(begun[0])


def _groups(slices: Iterable[JournalSlice]) -> Iterator[list[JournalSlice]]:
    """Put slices of different sessions together until they have as many points as are fast to count at once."""
    group: dict[int, JournalSlice] = {}
    n_points = 0
    for journal_slice in slices:
        if journal_slice.header["session"] in group or n_points >= POINTS_AT_ONCE:
            yield list(group.values())
            group, n_points = {}, 0
        group[journal_slice.header["session"]] = journal_slice
        n_points += journal_slice.records.n_points
    if group:
        yield list(group.values())


def by_session(frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Cut a frame by session; without a copy where the rows of each stand together, as sorted points do.

    >>> by_session(pl.DataFrame({"session": [1, 1, 2]}))[1].height
    2
    """
    starts = sorted_groups.group_starts(frame, by=["session"])
    heads, places = frame["session"].filter(starts).to_list(), starts.arg_true().to_list()
    if len(set(heads)) < len(heads):
        return {part["session"][0]: part for part in frame.partition_by("session")}
    stops = [*places[1:], frame.height]
    return {
        session: frame.slice(start, stop - start) for session, start, stop in zip(heads, places, stops, strict=False)
    }
