"""The command line: a thin layer over the library.

- `analyze`: commands of statistical analysis: compare, sweep, at-budget, time-to. They need the extra `analysis`.
- `ask`: commands that read: runs, show, history, sql, query, describe.
- `base`: what all commands share: the group, the lake's option, and errors as one line.
- `bring_in`: the command `import`: bring in what other tools left behind.
- `demo`: `tracklake demo`: trains a real sweep, and prints what the lake knows of it through the public API alone.
- `demo_sweep`: the sweep that the demo trains: configurations, the digits, and one run of them logged epoch by epoch.
- `edit`: commands that edit metadata of metrics and runs, never what was logged: define, derive, alias, tag.
- `launch`: commands that launch: agent, the life of a sweep, and wrap.
- `maintain`: commands that maintain a lake: demo, refresh, check, export, completion.
- `serve`: commands that serve and show: ui (the page in a browser), mcp (tools for a model), report (one HTML file).
- `stores`: commands about places: copy a lake, upload what waits on this machine.
- `terminal`: what a command prints: a plain table that fits the terminal, or JSON, CSV or Parquet for other programs.
- `upkeep`: commands that keep a lake fast and small, and its past: compact, vacuum, repair, versions, delete.
- `watch`: the command `watch`: the running runs, again and again, with a curve of one metric.
- `wording`: messages of the library in the words of the shell: options and commands in the place of arguments and
  methods.
"""

from __future__ import annotations

from tracklake.cli import analyze, ask, bring_in, edit, launch, maintain, serve, stores, upkeep, watch
from tracklake.cli.base import main

__all__ = ["main"]

COMMANDS = (ask, analyze, launch, watch, serve, edit, upkeep, maintain, stores, bring_in)
"""The modules that hold the commands; importing one adds its commands to `main`."""
