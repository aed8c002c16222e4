"""Questions with statistics: compare, sweep, budgets, time to threshold, importance, the winner's curse, replay.

The statistics themselves, which know no lake, lie in the subpackage `stats`.

- `comparison`: one row a group of runs, with what the seeds allow to say of it.
- `comparison_notes`: in sentences, what a reader of a comparison's table has to know.
- `contrasts`: differences of one group against another: tests, intervals, sizes of effects.
- `early_stopping_replay`: early stopping tried on stored curves, as tables.
- `grids`: a parameter as cells, for the divergence of PED-ANOVA.
- `group_keys`: a group found by its exact typed values, and these values as text.
- `grouped_runs`: one number a run, in groups, tasks and repeats.
- `grouping`: the columns that put runs into groups, told apart by their exact typed values.
- `importance`: which parameters mattered, with how sure that is.
- `learning_curves`: how a metric went along steps, time, tokens or any other metric, for many runs at once.
- `marginals`: the value as a function of one parameter, of two, and of all side by side.
- `matching`: which runs of two groups are pairs, by task and repeat.
- `objectives`: the one number of each run that comparisons and sweeps are about, and which way is better.
- `parameters`: which columns of config vary over runs, on which scale, and under which condition.
- `pooling`: which projects are in an answer: runs of several are never pooled without a word.
- `sweep`: what a set of runs with different settings says of the settings, launched as a sweep or not.
- `time_to_threshold`: survival analysis of how long runs take to reach a threshold, with those that never do.
- `winners_curse`: how sure the order of settings is, and how much of the best of many is chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.analysis import (
        comparison,
        contrasts,
        grouped_runs,
        grouping,
        learning_curves,
        objectives,
        sweep,
        time_to_threshold,
    )

__all__ = [
    "comparison",
    "contrasts",
    "group_keys",
    "grouped_runs",
    "grouping",
    "importance",
    "learning_curves",
    "marginals",
    "objectives",
    "parameters",
    "pooling",
    "sweep",
    "time_to_threshold",
]
__getattr__ = late_modules.of(__name__)
