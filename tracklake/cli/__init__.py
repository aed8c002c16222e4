"""The command line: a thin layer over the library.

- `ask`: commands that ask: runs, show, history, sql, query, describe.
- `base`: what all commands share: the group, the lake's option, and errors as one line.
- `demo`: `tracklake demo`: a real sweep on scikit-learn's digits, logged and read through the public API alone.
- `judge`: commands that judge: compare, sweep, at-budget, time-to. They need the extra `analysis`.
- `keep`: commands that keep a lake: demo, refresh, check, import, export, completion.
- `say`: commands that say something of runs and metrics, without touching what was logged: define, derive, alias,
  tag.
- `terminal`: what a command prints: a plain table that fits the terminal, or JSON, CSV or Parquet for other programs.
- `watch`: the command `watch`: the running runs, again and again, with a curve of one metric.
"""

from __future__ import annotations

from tracklake.cli import ask, judge, keep, say, watch
from tracklake.cli.base import main

__all__ = ["main"]

COMMANDS = (ask, judge, watch, say, keep)
"""The modules that hold the commands; importing one adds its commands to `main`."""
