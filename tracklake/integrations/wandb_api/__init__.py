"""The public API of W&B over a lake.

- `api`: the lake behind W&B's public API: runs by filter and order, each with config, summary and history.
- `artifacts`: the artifacts and projects of a lake by W&B's public API; a part of `Api`.
- `mongo_filters`: W&B's filters and orders of runs, in the style of MongoDB, as one polars expression over the
  columns of the runs.
- `page`: several runs that are read together, for W&B's public API.
- `run`: one run as W&B's public API shows it: read together with its neighbours, written when `update` says so.
- `run_files`: the files and artifacts of a run as W&B's public API shows them; a part of `ApiRun`.
- `summary`: a summary by the rules of W&B's public API: what is set in it is stored when `update` says so.
- `sweep`: a launched sweep by W&B's public API.
"""

from __future__ import annotations

__all__ = ["api", "run", "sweep"]
