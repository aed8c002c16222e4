"""Moved runs: statements by which runs belong to another project at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.storage.table.statement_log import StatementLog


def projects_of_moved(statements: StatementLog) -> dict[str, str]:
    """Return the project of each run that was moved, by its id: that of the last statement.

    >>> lake = example()
    >>> _ = lake.move("slow", "archive")
    >>> projects_of_moved(lake._view.logged.statements)
    {'slow': 'archive'}
    """
    moves = _of_lake(statements, StatementKind.MOVE)
    return dict(moves.select("key", "text").iter_rows())


def in_their_projects(files: pl.DataFrame, statements: StatementLog, moved: Mapping[str, str]) -> pl.DataFrame:
    """Return rows of sessions (schema FILES) with the projects to which runs, and what the lake says, belong now.

    What the lake said of a project before that was renamed holds for its new name.

    >>> snapshot = example()._view.logged
    >>> in_their_projects(snapshot.files, snapshot.statements, {"slow": "archive"})["project"].to_list()
    ['example', 'archive']
    """
    if moved:
        files = files.with_columns(moved_project(moved))
    renames = _of_lake(statements, StatementKind.RENAME_PROJECT)
    for ts, before, project in renames.select("ts", "key", "text").iter_rows():
        is_said = (pl.col("run_id") == LAKE_RUN) & (pl.col("project") == before) & (pl.col("start") < ts)
        files = files.with_columns(pl.when(is_said).then(pl.lit(project)).otherwise("project").alias("project"))
    return files


def _of_lake(statements: StatementLog, kind: StatementKind) -> pl.DataFrame:
    moves = statements.in_order(kind)
    return moves if moves.is_empty() else moves.filter(pl.col("run_id") == LAKE_RUN)


def moved_project(moved: Mapping[str, str]) -> pl.Expr:
    """Return the column project, with that of the runs that were moved.

    >>> runs = pl.DataFrame({"run_id": ["a", "b"], "project": ["p", "p"]})
    >>> runs.select(moved_project({"b": "q"}))["project"].to_list()
    ['p', 'q']
    """
    return pl.col("run_id").replace_strict(moved, default=pl.col("project"), return_dtype=pl.String).alias("project")
