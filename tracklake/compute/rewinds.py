"""Rewinds: from which step on a later session masks what those before it wrote, of points, states and edits.

A cutoff is the step of a session from which on its points are masked; a session that has one has no edits any more.
Read by `points.resolve`, `SnapshotView` (states and series to be resolved), compaction, `Summaries.edits` and the view
`sessions`, and in SQL by `queries/summaries_from_history.sql`; written by `tracking/start` (`from_step`). Compaction
leaves out what is masked: a rule that masks too much loses rows with the next one, for good once vacuum has run.
"""

from __future__ import annotations

import polars as pl

from tracklake.compute import sorted_groups
from tracklake.schema.statement_kind import StatementKind

_SESSION = ["run_id", "session"]


def is_masked(step: int, cutoff: int | None) -> bool:
    """Return whether a point is masked: the rule as a sentence, against which tests hold the frame forms below.

    >>> is_masked(3, 3), is_masked(2, 3), is_masked(3, None)
    (True, False, False)
    """
    return cutoff is not None and step >= cutoff


def cutoffs(files: pl.DataFrame, statements: pl.DataFrame) -> pl.DataFrame:
    """Return the sessions that a later one has rewound: run_id, session, cutoff (the least of several).

    A session that says `from_step` masks those of its run that began before it. What is masked stays masked, whatever
    other records there are: more of them can only mask more. `files` has run_id, session, start; `statements` has
    run_id, session, op, key, ival.

    >>> start = {"run_id": ["a", "a"], "session": [1, 2], "start": [10, 20]}
    >>> facts = {"run_id": ["a"], "session": [2], "op": ["session"], "key": ["from_step"], "ival": [5]}
    >>> cutoffs(pl.DataFrame(start), pl.DataFrame(facts)).rows()
    [('a', 1, 5)]
    """
    is_rewind = (pl.col("op") == StatementKind.SESSION) & (pl.col("key") == "from_step")
    facts = statements.filter(is_rewind).unique(_SESSION, keep="last", maintain_order=True)
    if facts.is_empty():
        return files.select(_SESSION).clear().select(*_SESSION, pl.lit(0, dtype=pl.Int64).alias("cutoff"))
    begun = files.group_by(_SESSION, maintain_order=True).agg(pl.col("start").min())
    rewinds = facts.select("run_id", cutoff="ival", by="session")
    rewinds = rewinds.join(begun.rename({"session": "by", "start": "since"}), on=["run_id", "by"])
    earlier, at_once = pl.col("start") < pl.col("since"), pl.col("start") == pl.col("since")
    masked = begun.join(rewinds, on="run_id").filter(earlier | (at_once & (pl.col("session") < pl.col("by"))))
    return masked.group_by(_SESSION).agg(pl.col("cutoff").min())


def unmasked_points(points: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """Return the points that no rewind masks, in their order. `cutoffs` may have several of a session, and nulls.

    >>> points = pl.DataFrame({"run_id": "a", "session": 1, "step": [0, 1, 2]})
    >>> unmasked_points(points, pl.DataFrame({"run_id": ["a"], "session": [1], "cutoff": [1]}))["step"].to_list()
    [0]
    """
    least = cutoffs.drop_nulls("cutoff").group_by(_SESSION).agg(pl.col("cutoff").min())
    if least.is_empty() or points.is_empty():
        return points
    starts = sorted_groups.group_starts(points, by=_SESSION)  # join groups, not points: they are few
    limits = points.filter(starts).select(_SESSION).join(least, on=_SESSION, how="left", maintain_order="left")
    limit = limits["cutoff"][sorted_groups.group_ids(starts)]
    return points.filter(limit.is_null() | (points["step"] < limit))


def unmasked_states(states: pl.DataFrame, cutoffs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the states that no rewind masks whole, and the series (run_id, metric) of which one masks a part.

    >>> states = pl.DataFrame({"run_id": "a", "metric": ["x", "y"], "session": 1, "lo": [0, 7], "hi": [9, 9]})
    >>> whole, cut = unmasked_states(states, pl.DataFrame({"run_id": ["a"], "session": [1], "cutoff": [5]}))
    >>> whole["metric"].to_list(), cut.rows()
    (['x'], [('a', 'x')])
    """
    if cutoffs.is_empty() or states.is_empty():
        return states, states.select("run_id", "metric").clear()
    with_cutoff = states.join(cutoffs, on=_SESSION, how="left", maintain_order="left")
    unmasked = with_cutoff.filter(pl.col("cutoff").is_null() | (pl.col("lo") < pl.col("cutoff")))
    cut = unmasked.filter(pl.col("hi") >= pl.col("cutoff")).select("run_id", "metric").unique()
    return unmasked.drop("cutoff"), cut


def touched_series(states: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """Return the series (run_id, metric) of which rewinds mask anything, a series once a state.

    >>> states = pl.DataFrame({"run_id": "a", "metric": ["x", "y"], "session": 1, "lo": [0, 0], "hi": [9, 2]})
    >>> touched_series(states, pl.DataFrame({"run_id": ["a"], "session": [1], "cutoff": [5]})).rows()
    [('a', 'x')]
    """
    touched = states.join(cutoffs, on=_SESSION).filter(pl.col("hi") >= pl.col("cutoff"))
    return touched.select("run_id", "metric")


def unmasked_statements(statements: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """Return the statements of sessions that no rewind masks, in their order.

    >>> statements = pl.DataFrame({"run_id": "a", "session": [1, 2], "key": ["old", "new"]})
    >>> cut = pl.DataFrame({"run_id": ["a"], "session": [1], "cutoff": [5]})
    >>> unmasked_statements(statements, cut)["key"].to_list()
    ['new']
    """
    if cutoffs.is_empty():
        return statements
    return statements.join(cutoffs, on=_SESSION, how="anti", maintain_order="left")
