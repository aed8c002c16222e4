"""Arithmetic over frames, which knows no lake: which points count, mergeable states, runs of equal rows, scans.

- `exact_sums`: compensated summation: sums of doubles that do not depend on their order, of groups of an array and of a
  stream.
- `group_numbers`: what states hold of the numbers of groups: counts, moments, extremes.
- `name_hiding`: hiding of names above and under each other, such as `a` and `a.b`: what is written later replaces its
  relatives.
- `points`: the long frame of points: its order, which points count, and where runs and series begin.
- `pseudo_series`: the series that every run has without logging them, of its rows: step, time of day, and runtime.
- `rewinds`: from which step on a later session masks what those before it wrote, of points, states and edits.
- `row_states`: states of rows as they were logged, without points, where all series of a session have the same rows.
- `running_state`: the running aggregate of one series, point by point: the scalar twin of `states`, for the run being
  written.
- `scans`: scans of Parquet: collected with errors that name the file, with filters pushed down.
- `sorted_groups`: runs of equal adjacent rows (as in run-length encoding): where they start, aggregates of each,
  sorting.
- `states`: partial aggregates of a series in one pass, and how those of disjoint parts merge.
- `typed_columns`: typed columns: stored values of one key of many runs, as Series.
"""

from __future__ import annotations

__all__ = [
    "name_hiding",
    "points",
    "pseudo_series",
    "rewinds",
    "row_states",
    "running_state",
    "scans",
    "sorted_groups",
    "states",
    "typed_columns",
]
