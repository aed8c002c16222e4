"""Sweeps that are launched: what is to be tried, what was claimed, and what to try next; knows no runs.

A sweep is a config in the lake. Its trials are a log of claims, numbered from 0: who puts trial n there first has it,
so no two agents try the same. Whoever claims has read all earlier claims, so a draw never repeats one of them.

- `bayes`: the next values by Optuna's samplers, asked anew from the trials so far.
- `command`: the command of a trial, with W&B's macros.
- `config`: the config of a sweep, checked, with its defaults filled in.
- `distributions`: the distributions of parameters, each by its quantile function.
- `hyperband`: which trials are stopped early, as W&B's hyperband has it.
- `records`: what the lake holds of a sweep: its config, claims, ends and changes of state.
- `search`: the next values of a grid or of random search.
- `space`: the parameters of a sweep by dotted name, and the nested config of their values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.sweeping import records

__all__ = ["bayes", "command", "config", "hyperband", "records", "search", "space"]
__getattr__ = late_modules.of(__name__)
