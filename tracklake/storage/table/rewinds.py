"""Rewinds: from which step on a later session masks the points of those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.schema.statement_kind import StatementKind

if TYPE_CHECKING:
    from tracklake.storage.journal.statements import SessionRecords


def cutoffs(records: SessionRecords) -> pl.DataFrame:
    """Return the sessions that a later one has rewound: run_id, session, cutoff (steps from there on are masked).

    A session that says `from_step` masks those of its run that began before it. What is masked stays masked, whatever
    other records there are: more of them can only mask more.

    >>> from tracklake.storage.journal import statements
    >>> cutoffs(statements.concat([])).columns
    ['run_id', 'session', 'cutoff']
    """
    is_rewind = (pl.col("op") == StatementKind.SESSION) & (pl.col("key") == "from_step")
    facts = records.statements.filter(is_rewind).unique(["run_id", "session"], keep="last", maintain_order=True)
    begun = records.files.group_by("run_id", "session", maintain_order=True).agg(pl.col("start").min())
    if facts.is_empty():
        return begun.clear().select("run_id", "session", pl.lit(0, dtype=pl.Int64).alias("cutoff"))
    rewinds = facts.select("run_id", cutoff="ival", by="session")
    rewinds = rewinds.join(begun.rename({"session": "by", "start": "since"}), on=["run_id", "by"])
    earlier, at_once = pl.col("start") < pl.col("since"), pl.col("start") == pl.col("since")
    masked = begun.join(rewinds, on="run_id").filter(earlier | (at_once & (pl.col("session") < pl.col("by"))))
    return masked.group_by(["run_id", "session"]).agg(pl.col("cutoff").min())
