"""DuckDB in a connection that can only read what it is handed: texts told by its own parser, limits, results as frames.

- `bounded_functions`: functions of two texts whose cost grows with the product of their lengths, bounded: duckdb cannot
  end them early.
- `computed_nan`: NaN that a text computes itself, such as sqrt(-1) or infinity less infinity, is null as that of the
  data is.
- `connection`: a connection in memory without any right to write or to open a path, with bounds of memory and time.
- `limits`: how much memory and time a query may take, as given or as the environment says.
- `messages`: what duckdb says is wrong with a text, in our words: what it met, and the nearest that there is.
- `parser`: what a SQL text names: its tables, columns and parameters, and the constants that restrict them.
- `pushdown`: predicate pushdown: to which values a WHERE restricts the columns of one table, read from duckdb's own
  tree of it.
- `results`: the rows of a query as a polars frame: typed, its columns told apart, within bounds of memory and time.
- `rewriting`: parts of a text replaced by others, by the places that the parser gives.
- `sql_text`: what a SQL text names, as a value: its tables and columns with their places, and the errors that point at
  one.
- `tree_reader`: reading duckdb's own tree of a statement: which tables and columns it names, and what it does that no
  reader may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.query.sandbox import rewriting

__all__ = ["connection", "limits", "messages", "parser", "pushdown", "results", "rewriting", "sql_text"]
__getattr__ = late_modules.of(__name__)
