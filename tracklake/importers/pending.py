"""Points that no partition has yet, as a partition takes them: whole runs at a time, sorted."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.compute import points
from tracklake.schema.tables import POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = 500_000
"""Points that are sorted together, unless one run has more: each takes some 200 bytes meanwhile."""


class Pending(NamedTuple):
    """Points of one session (schema SAMPLES, with stamps), in the order of their source."""

    project: str
    run_id: str
    session: int
    frames: list[pl.DataFrame]

    @property
    def n_points(self) -> int:
        """How many points these are.

        >>> Pending("p", "a", 7, []).n_points
        0
        """
        return sum(frame.height for frame in self.frames)

    def placed(self) -> pl.DataFrame:
        """Return them as points (schema POINTS), and let go of the frames.

        >>> Pending("p", "a", 7, []).placed().height
        0
        """
        owner = {"project": self.project, "run_id": self.run_id, "session": self.session}
        columns = [pl.lit(value, POINTS[name]).alias(name) for name, value in owner.items()]
        placed = [frame.with_columns(columns).select(list(POINTS)) for frame in self.frames]
        self.frames.clear()
        return pl.concat([pl.DataFrame(schema=POINTS), *placed])


def chunks(pending: list[Pending]) -> Iterator[pl.DataFrame]:
    """Yield the points (schema POINTS) in order of project, run, metric and step; each run lies in one chunk.

    >>> rows = {"metric": ["x"], "step": [1], "ts": [None], "value": [0.5], "ival": [None], "text": [None], "kind": [0]}
    >>> from tracklake.importers.readers.records import SAMPLES
    >>> frame = pl.DataFrame(rows, schema=SAMPLES)
    >>> [chunk["run_id"].to_list() for chunk in chunks([Pending("p", "b", 7, [frame]), Pending("p", "a", 8, [frame])])]
    [['a', 'b']]
    """
    batch: list[Pending] = []
    n_points = 0
    ordered = sorted(pending, key=lambda one: (one.project, one.run_id))
    for _, sessions in itertools.groupby(ordered, key=lambda one: (one.project, one.run_id)):
        of_run = list(sessions)
        n_new = sum(one.n_points for one in of_run)
        if batch and n_points + n_new > AT_ONCE:
            yield _sorted(batch)
            batch, n_points = [], 0
        batch += of_run
        n_points += n_new
    if batch:
        yield _sorted(batch)


def _sorted(batch: list[Pending]) -> pl.DataFrame:
    placed = [pl.DataFrame(schema=POINTS), *(one.placed() for one in batch if one.frames)]
    return points.sort(pl.concat(placed, rechunk=True))  # many chunks take twice as long
