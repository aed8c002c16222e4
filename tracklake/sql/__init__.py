"""DuckDB over the same views, in a connection that can do no more, and named queries.

- `caller_frames`: frames of data that the caller of a query holds in variables.
- `engine`: sQL over a lake: duckdb over the views of one snapshot, in a connection that cannot do more than read
  them.
- `named_queries`: one SQL file, one question, one name. The comment at the head of a file says all that is known of
  it.
- `registered_tables`: parts of views as tables that duckdb reads.
- `summaries_view`: the view summaries: one row a (run, metric, statistic) that has a value, defined or not.
- `views`: the views that SQL sees beside runs and summaries: history, points, config, definitions, sessions of a
  snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.sql import caller_frames, engine, named_queries

__all__ = ["caller_frames", "engine", "named_queries", "views"]
__getattr__ = late_modules.of(__name__)
