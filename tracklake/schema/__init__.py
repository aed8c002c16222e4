"""What is stored and how it is named: tables, values, names, metric definitions, statistics.

- `arrays`: arrays set in a summary: their description, and the files by content that hold them whole.
- `definition_statement`: one define_metric call, checked, and how it is stored.
- `definitions`: metric definitions: the merge of several calls, and which definition serves a metric.
- `histogram`: histograms, a kind of value: counts of numbers in bins.
- `naming`: names: of metrics, of paths into config and summary, of statistics, of runs and projects; and globs over
  them.
- `nesting`: nested mappings: what counts as one, its leaves by path, and what stands under a dotted name.
- `run_fields`: what a run is called: its id and project, and the fields that are for people: name, group, job type,
  notes, tags.
- `statement_kind`: the kinds of statements that a session makes: the stored column `op`.
- `statistics`: the registry of what can be asked of a metric, and how a name says it.
- `tables`: columns and types of the stored tables: points, states, statements, sessions.
- `values`: what a value is when it is stored: its kind, a float64, an int64 and a text; and the way back.
"""

from __future__ import annotations

__all__ = [
    "arrays",
    "definition_statement",
    "definitions",
    "histogram",
    "naming",
    "nesting",
    "run_fields",
    "statement_kind",
    "statistics",
    "tables",
    "values",
]
