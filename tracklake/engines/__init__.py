"""Engines: where the heavy work of a lake runs, beside threads of this process; each needs its library, an extra.

An engine has one method, `map(task, items)`, which returns the results in order; see `common/task_engine`.

- `choice`: the engine that a word or an object means.
- `dask`: tasks on a Dask cluster.
- `ray`: tasks on Ray.
- `spark`: tasks on Spark; and `register`, which gives a Spark session the views of a lake.
- `spark_views`: a lake's views as tables of a Spark session.
"""

from __future__ import annotations

from tracklake.engines.choice import EngineName, engine_of

__all__ = ["EngineName", "engine_of"]
