"""Engines: where the heavy work of a lake runs, beside threads of this process; each needs its library, an extra.

An engine has one method, `map(task, items)`, which returns the results in order; see `common/task_engine`.

- `choice`: the engine that a word or an object means.
- `dask`: tasks on a Dask cluster.
- `ray`: tasks on Ray.
- `spark`: tasks on Spark; and `register`, which gives a Spark session the views of a lake.
- `spark_views`: a lake's views as tables of a Spark session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.engines import choice

__all__ = ["choice"]
__getattr__ = late_modules.of(__name__)
