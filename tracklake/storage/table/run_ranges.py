"""Ranges of runs: the runs of partitions in order, cut so that the points of each part fit into memory."""

from __future__ import annotations

import polars as pl

from tracklake.common.lazy_numpy import np

CHUNK_POINTS = 2_000_000
"""Points that are sorted at once; a run that is larger is sorted by itself. Two such chunks are in memory."""


def cut(sizes: pl.DataFrame, most: int) -> list[pl.DataFrame]:
    """Cut runs (project, run_id, points; sorted) into parts in their order, each as large as it may be.

    None has more than `most` points, but for a single run.

    >>> sizes = pl.DataFrame({"project": "p", "run_id": ["a", "b", "c"], "points": [4, 5, 9]})
    >>> [part["run_id"].to_list() for part in cut(sizes, 10)]
    [['a', 'b'], ['c']]
    """
    if sizes.is_empty():
        return []
    counts = sizes["points"].to_numpy()
    part, filled, parts = 0, 0, np.zeros(len(counts), dtype=np.int64)
    for i, count in enumerate(counts.tolist()):
        if filled and filled + count > most:
            part, filled = part + 1, 0
        parts[i], filled = part, filled + count
    return sizes.with_columns(pl.Series("part", parts)).partition_by("part", maintain_order=True, include_key=False)


def within(stored: pl.LazyFrame, runs: pl.DataFrame) -> pl.LazyFrame:
    """Select the rows of the runs between the first and the last of a list, which lie next to each other in order.

    >>> stored = pl.LazyFrame({"project": "p", "run_id": ["a", "b", "c"]})
    >>> within(stored, pl.DataFrame({"project": "p", "run_id": ["b", "c"]})).collect()["run_id"].to_list()
    ['b', 'c']
    """
    first, last = runs.row(0), runs.row(-1)
    project, run_id = pl.col("project"), pl.col("run_id")
    if first[0] == last[0]:
        return stored.filter((project == first[0]) & run_id.is_between(pl.lit(first[1]), pl.lit(last[1])))
    after = (project > first[0]) | ((project == first[0]) & (run_id >= first[1]))
    before = (project < last[0]) | ((project == last[0]) & (run_id <= last[1]))
    return stored.filter(project.is_between(pl.lit(first[0]), pl.lit(last[0])) & after & before)
