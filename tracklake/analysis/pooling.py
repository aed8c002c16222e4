"""Which projects are in an answer: runs of several are never pooled without a word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from tracklake.common.warnings import warn

if TYPE_CHECKING:
    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable

_NAMED = 5
"""Projects that the sentence names."""


def pooled(table: RunTable, run_ids: pl.Series) -> tuple[str, ...]:
    """Return the sentence that says that runs of several projects are in an answer; none where all are of one.

    >>> table = example()._view.runs
    >>> pooled(table, pl.Series(["slow", "fast"]))
    ()
    """
    runs = table.summaries.runs
    if runs["project"].n_unique() <= 1:
        return ()
    projects = runs.filter(pl.col("run_id").is_in(run_ids.unique().implode()))["project"].unique().sort().to_list()
    if len(projects) <= 1:
        return ()
    names = ", ".join(map(repr, projects[:_NAMED])) + (", ..." if len(projects) > _NAMED else "")
    return (f"runs of {len(projects)} projects together: {names}; project= takes one of them",)


def warned(frame: pl.DataFrame, table: RunTable, *, runs: Runs, where: Where) -> pl.DataFrame:
    """Return the frame, one that has run_id; warn where it has values of several projects that nobody chose.

    Runs that are named were chosen, and so were those of a condition that names the project.

    >>> warned(pl.DataFrame({"run_id": ["slow", "fast"]}), example()._view.runs, runs=None, where=None).height
    2
    """
    if runs is None and not _names_project(where):
        others = pl.col(name for name in frame.columns if name != "run_id")
        rows = frame.filter(pl.any_horizontal(others.is_not_null())) if frame.width > 1 else frame
        for sentence in pooled(table, rows["run_id"]):
            warn(f"tracklake: {sentence}")
    return frame


def _names_project(where: Where) -> bool:
    if where is None:
        return False
    names = re.findall(r"\w+", where) if isinstance(where, str) else where.meta.root_names()
    return "project" in names
