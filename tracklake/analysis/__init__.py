"""Questions with statistics: compare, sweep, budgets, time to threshold, importance, the winner's curse, replay.

The statistics themselves, which know no lake, lie in the subpackage `stats`.

- `comparison`: one row a group of runs, with what the seeds allow to say of it.
- `contrasts`: differences: what matched (or other) runs say of one group against another.
- `early_stopping_replay`: early stopping tried on stored curves, as tables.
- `grouped_runs`: outcomes: one number a run, in groups, and which runs of two groups match.
- `importance`: which parameters mattered, with how sure that is.
- `learning_curves`: trajectories: how a metric went along steps, time, tokens or any other metric, for many runs at
  once.
- `marginals`: the value as a function of one parameter, of two, and of all side by side.
- `objective`: targets: the one number of each run that comparisons and sweeps are about, and the columns that group
  runs.
- `parameters`: which columns of config vary over runs, on which scale, and under which condition.
- `sweep`: what a set of runs with different settings says of the settings, launched as a sweep or not.
- `time_to_threshold`: arrivals: how long runs take to reach a threshold, with those that never do.
- `winners_curse`: luck: how sure the order of settings is, and how much of the best of many is chance.
"""

from __future__ import annotations
