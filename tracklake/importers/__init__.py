"""What other tools left behind, as finished runs.

- `contents`: from rows in order of run and step to what partitions hold: points, and what sessions say of themselves.
- `publish`: the bulk path: finished runs go straight into partitions, all of them in one commit or none.
- `sources`: where a table comes from: a CSV, Parquet or JSONL file, or a frame of polars, pandas or arrow.
- `table`: tables as runs: one row a (run, step), with columns that tell runs apart, their config, the step and the
  metrics.
"""

from __future__ import annotations
