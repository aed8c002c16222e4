"""Arithmetic over frames, which knows no lake: which points count, mergeable states, runs of equal rows, scans.

- `points`: the long frame of points: its order, which points count, and the series that every run has without logging
  them.
- `running_state`: the state of one series, point by point: the scalar twin of `states`, for the run that is being
  written.
- `scans`: scans of Parquet: collected with errors that name the file, with filters pushed down.
- `sorted_groups`: stretches: rows of a frame that stand together and are equal in some columns; frames sorted by way
  of them.
- `states`: what one pass over a series leaves behind, and how such remains of disjoint pieces merge.
- `typed_columns`: stored values of one key of many runs, as typed Series.
"""

from __future__ import annotations
