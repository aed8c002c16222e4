"""Arrays in, numbers out: intervals, tests, survival, importance, early stopping. Knows no lake.

- `bootstrap`: the bootstrap: what an aggregate might have been, had other seeds been drawn.
- `early_stopping`: rules that end runs before they are done, tried on runs that were all carried to their end.
- `fanova`: how much of the variance over the whole space of settings each parameter explains.
- `options`: the words among which one chooses how runs are compared; apart, so that the help of a shell loads no
  statistics.
- `pareto`: pareto fronts: the runs that no other run beats in every respect.
- `ped_anova`: pED-ANOVA: which parameters tell the best runs from the others.
- `resampling`: draws of the aggregates of many columns of values, in strata.
- `significance`: is a difference more than the luck of seeds? Tests, their correction for many comparisons, and sizes
  of effects.
- `survival`: how long until it happens, where for some it has not happened yet: Kaplan-Meier and the log-rank test.
"""

from __future__ import annotations

__all__ = [
    "bootstrap",
    "early_stopping",
    "fanova",
    "options",
    "pareto",
    "ped_anova",
    "resampling",
    "significance",
    "survival",
]
