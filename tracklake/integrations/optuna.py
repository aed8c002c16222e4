"""A callback for Optuna: a run a trial.

>>> import optuna
>>> from tracklake.integrations.optuna import TracklakeCallback
>>> optuna.logging.set_verbosity(optuna.logging.WARNING)
>>> def objective(trial):
...     x = trial.suggest_float("x", -1, 1)
...     trial.report(abs(x), step=0)
...     return x**2
>>> study = optuna.create_study(study_name="parabola", sampler=optuna.samplers.RandomSampler(seed=0))
>>> study.optimize(objective, n_trials=3, callbacks=[TracklakeCallback("walk")])
>>> tl.open().sweep(metric="summary.value", goal="min").best(1)["run_id"].to_list()
['parabola-0']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from tracklake.tracking import start

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from tracklake.tracking.run import Run


class TracklakeCallback:
    """Logs each trial that has ended as a run: parameters in the config, reported values as history.

    The objective's value is the entry `metric_name` of the summary (several objectives: `metric_name` as a list, else
    value_0, value_1, ...), the reported values are the metric intermediate_value. A failed trial is a failed run, a
    pruned one has the tag "pruned". The run's id is the study's name and the trial's number; group is the study. Other
    arguments are those of `tracklake.init`.
    """

    def __init__(self, project: str | None = None, *, metric_name: str | list[str] = "value", **init: Any) -> None:
        self._init = {"project": project, **init}
        self._metric_name = metric_name

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Log a trial."""
        pruned = trial.state == TrialState.PRUNED
        run = start.init(
            id=f"{study.study_name}-{trial.number}",
            config=dict(trial.params),
            tags=["pruned"] if pruned else (),
            reinit="create_new",
            resume="allow",
            **{"group": study.study_name, **self._init},
        )
        for step, value in sorted(trial.intermediate_values.items()):
            run.log({"intermediate_value": value}, step=step)
        self._summarize(run, trial)
        run.finish(exit_code=1 if trial.state == TrialState.FAIL else 0)

    def _summarize(self, run: Run, trial: FrozenTrial) -> None:
        values = trial.values or []
        names = self._metric_name
        if isinstance(names, str):
            names = [names] if len(values) == 1 else [f"{names}_{i}" for i in range(len(values))]
        run.summary.update(dict(zip(names, values, strict=True)) if values else {})
        if trial.user_attrs:
            run.summary["user_attrs"] = dict(trial.user_attrs)
