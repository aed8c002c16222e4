"""Lake: everything a reader asks, and a recorded run.

- `analysis_methods`: what a lake answers beyond tables: comparisons, budgets, sweeps. The statistics themselves stand
  in modules below.
- `base`: what every part of a lake shares: where it lies, the newest view over it, and a run of it.
- `definition_methods`: what is said of a lake as a whole: definitions of metrics, derived metrics, aliases; a part of
  `Lake`.
- `describe`: what is in a lake, in one screen: its runs, projects, metrics with their coverage, definitions, files.
- `export`: what a lake holds as plain files, for tools that know nothing of a lake.
- `federated_lake`: several lakes, read as one; what changes runs goes to the lake in which they lie.
- `foreign_export`: runs in the forms of other tools: an MLflow file store, TensorBoard's event files, W&B's JSON.
- `import_methods`: what a lake brings in of other tools; a part of `Lake`.
- `integrity`: health: what of the promises can be verified on disk is, and told in words.
- `lake`: the lake: everything a reader asks of it.
- `maintenance_methods`: what keeps a lake fast and small, and its past: compaction, vacuum, versions; a part of
  `Lake`.
- `opening`: opening: which places are meant, and whether they are one lake or several.
- `page_methods`: what a lake shows in a browser, and reports; a part of `Lake`.
- `recorded_run`: a run as a reader sees it: its config, its summary (writable), its history.
- `run_methods`: what becomes of recorded runs: deleted and restored, renamed, moved to another project; a part of
  `Lake`.
- `sql_methods`: what a lake answers in SQL, by named queries and as files; a part of `Lake`.
- `transfer`: runs of one lake in another: merged without duplicates, and compared.
- `unreadable_statements`: statements that this version does not understand: they are set aside when they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.lake import describe as describe
    from tracklake.lake import export, recorded_run
    from tracklake.lake import federated_lake as federated_lake
    from tracklake.lake import foreign_export as foreign_export
    from tracklake.lake import integrity as integrity
    from tracklake.lake import transfer as transfer

__all__ = ["export", "lake", "opening", "recorded_run"]
__getattr__ = late_modules.of(__name__)
