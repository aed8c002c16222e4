"""A snapshot as DataFrames: summaries, the table of runs, history, quality, derived metrics.

- `cells`: the values of one column of many runs, by the place of each run among all, and where they go in a table.
- `column_names`: column names of the table of runs: which there are, which are shown, and what a name or a glob
  means.
- `computed_nan`: NaN that an expression of polars computes itself, such as a logarithm of less than 0: it meets no
  comparison either.
- `conditions`: conditions over the columns of the runs: what `where=` and `order_by=` say, in SQL or as a polars
  expression.
- `config_values`: the config of many runs, read path by path as columns are asked for.
- `definitions_in_force`: definitions in force: those of each run and of the lake, merged in the order of their stamps.
- `derivation_checks`: whether a derivation can be: its inputs are there, it needs not itself, and its name means
  nothing else.
- `derivations`: metrics that are not logged but said in the lake, as an expression over others or as another name.
- `derived_snapshot`: derived metrics at read time: a snapshot in which derivations are metrics like any others.
- `federated_snapshot`: several snapshots as one: the runs of several lakes side by side, each summarized as in its own
  lake.
- `history`: history of many runs as frames: long, wide, and each run's row at its best step.
- `project_snapshot`: a snapshot of one project: as if the lake held no other run.
- `quality`: what is wrong with a run, told from its history: divergence, plateaus, gaps, noise.
- `run_filter`: selection: which runs `runs=` means.
- `run_table`: the table of runs: one row a run, with the columns that are asked for and no others built.
- `summaries`: states projected by metric definitions, and overlaid with what was set by hand.
- `summary_columns`: columns of the summary: entries and statistics of many runs at once, read from the lake once a
  snapshot.
- `system_history`: system metrics, read: the samples of a stream beside the history of runs.
- `text_columns`: the columns of the runs that a SQL text names: which they are, and how the text is to read them.
- `thinning`: which points of a history are kept: those at some steps, or a few that show a curve's ends and extremes.
- `wrapped_snapshot`: a snapshot over another one: it adds to it or leaves out of it, and asks it for what is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.query import conditions as conditions
    from tracklake.query import (
        definitions_in_force,
        derivation_checks,
        derivations,
        derived_snapshot,
        project_snapshot,
        run_table,
        summaries,
        system_history,
    )

__all__ = [
    "column_names",
    "definitions_in_force",
    "derivation_checks",
    "derivations",
    "derived_snapshot",
    "federated_snapshot",
    "history",
    "project_snapshot",
    "run_filter",
    "run_table",
    "summaries",
    "summary_columns",
    "system_history",
    "text_columns",
    "thinning",
]
__getattr__ = late_modules.of(__name__)
