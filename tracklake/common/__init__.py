"""What every package may use: arguments checked at the door, warnings at the user's line, progress bars, text.

- `arguments`: what public calls are given, checked at the door: words, texts, lists of names, numbers.
- `documents`: small documents of settings: JSON, and YAML where its library is installed.
- `interrupts`: what a signal handler raises comes through, where native libraries lose it.
- `late_modules`: modules of ours that load when they are first used: a question does not wait for what others need.
- `lazy_numpy`: numpy, loaded when something of it is first used: a table of runs is answered without it.
- `progress`: progress of long work: a bar on a terminal and in a notebook, nothing elsewhere.
- `task_engine`: what heavy work runs on: pure tasks, mapped by threads of this process or by an engine elsewhere.
- `text`: counts with their nouns, sizes of files.
- `threads`: threads, started so that an exception which arrives meanwhile comes through as itself.
- `warnings`: warnings, at the line that called into tracklake.
- `whole_modules`: modules of other libraries that load when they are first used: whole, whatever interrupts that.
"""

from __future__ import annotations

__all__ = [
    "arguments",
    "documents",
    "interrupts",
    "late_modules",
    "lazy_numpy",
    "progress",
    "task_engine",
    "text",
    "threads",
    "warnings",
    "whole_modules",
]
