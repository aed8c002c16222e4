"""What other tools left behind, as finished runs.

- `contents`: from rows in order of run and step to what partitions hold: points, and what sessions say of themselves.
- `open_session`: one session of an imported run while its points come in: what of it is new, stamped, ready for a
  partition.
- `pending`: points that no partition has yet, as a partition takes them: whole runs at a time, sorted.
- `publish`: the bulk path: finished runs go straight into partitions, all of them in one commit or none.
- `recognition`: recognition: which files of a path are of which format, and which are left alone.
- `recorded`: what a lake already holds of a source: which runs are its own, and what of them is new.
- `registry`: the formats that there are: the modules of `formats`, and those of other packages by the entry point.
- `run_import`: an import from beginning to end: recognise, read, publish, and tell what came of it.
- `source_reading`: reading sources: small ones whole, several at a time as tasks; large ones as they are taken in.
- `sources`: where a table comes from: a CSV, Parquet or JSONL file, or a frame of polars, pandas or arrow.
- `statements`: what a run record says beside its points, as stamped statements of one session.
- `system_samples`: system metrics of imported runs: a stream of their own beside the history, as the writing side
  keeps them.
- `table`: tables as runs: one row a (run, step), with columns that tell runs apart, their config, the step and the
  metrics.
- `verification`: our summaries beside those that a source holds: where they differ, by the rule that explains it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.importers import run_import, table

__all__ = ["publish", "registry", "run_import", "sources", "table"]
__getattr__ = late_modules.of(__name__)
