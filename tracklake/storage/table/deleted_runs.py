"""Deleted runs: tombstones among the statements of the lake, which hide a run at once and may be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklake.storage.table.statement_log import StatementLog


def deleted_runs(statements: StatementLog) -> frozenset[str]:
    """Return the runs that are deleted: the last statement about them says so.

    >>> lake = example()
    >>> _ = lake.delete("slow")
    >>> deleted_runs(lake._view.logged.statements)
    frozenset({'slow'})
    """
    return frozenset(_last(statements)["key"])


def deleted_before(statements: StatementLog, moment: int) -> frozenset[str]:
    """Return the runs that have been deleted since before a moment (ms since the epoch).

    >>> lake = example()
    >>> _ = lake.delete("slow")
    >>> deleted_before(lake._view.logged.statements, 0)
    frozenset()
    """
    return frozenset(_last(statements).filter(pl.col("ts").dt.epoch("ms") < moment)["key"])


def without(frame: pl.LazyFrame, runs: Collection[str]) -> pl.LazyFrame:
    """Leave out the rows of some runs.

    >>> without(pl.LazyFrame({"run_id": ["a", "b"]}), ["a"]).collect()["run_id"].to_list()
    ['b']
    """
    return frame.filter(~pl.col("run_id").is_in(list(runs))) if runs else frame


def _last(statements: StatementLog) -> pl.DataFrame:
    about = statements.in_order(StatementKind.DELETE, StatementKind.RESTORE)
    if about.is_empty():
        return about
    last = about.filter(pl.col("run_id") == LAKE_RUN).unique("key", keep="last", maintain_order=True)
    return last.filter(pl.col("op") == StatementKind.DELETE)
