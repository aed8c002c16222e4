"""Launching the trials of a sweep: agents, what they choose next, and how trials are stopped early.

- `agent`: an agent: claims trials of a sweep and runs them, one after the other, until there are no more.
- `create`: makes sweeps, and pauses, resumes, cancels and extends them.
- `early_stopping`: stops a trial from inside its own `log`, where hyperband says so.
- `liveness`: the file that tells whether an agent lives.
- `observations`: what a search is told of trials: their numbers, a bad one for those that failed.
- `processes`: trials as processes: their environment, their signals, and agents side by side.
- `trials`: the trials of a sweep as the lake has them, and the claim of the next one.
"""

from __future__ import annotations

__all__ = ["agent", "create", "early_stopping", "processes"]
