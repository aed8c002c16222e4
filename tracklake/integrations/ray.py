"""A logger callback for Ray Tune: a run a trial.

The lake has to be an absolute path, or TRACKLAKE_DIR one; the callback runs in the driver, the trials anywhere.
tests/integrations/test_loggers.py runs this with the real library.

    from ray import tune
    from tracklake.integrations.ray import TracklakeLoggerCallback

    def train(config):
        for i in range(3):
            tune.report({"loss": config["lr"] / (i + 1)})

    run_config = tune.RunConfig(callbacks=[TracklakeLoggerCallback("walk")])
    tune.Tuner(train, param_space={"lr": tune.grid_search([0.1, 0.2])}, run_config=run_config).fit()
    tracklake.open().sweep(metric="loss", goal="min").best(1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune.logger import LoggerCallback

from tracklake.tracking import start

if TYPE_CHECKING:
    from tracklake.tracking.run import Run

EXCLUDED = ("config", "trial_id", "experiment_tag", "hostname", "node_ip", "date", "pid", "experiment_id", "timestamp")
"""What of a result tells of the trial rather than of its training."""


class TracklakeLoggerCallback(LoggerCallback):
    """Logs each trial of a Tuner as a run: its config, its results as rows at training_iteration.

    A trial that failed is a failed run; one that Ray restarts goes on with its run. The group is the experiment's
    name. Other arguments are those of `tracklake.init`.
    """

    def __init__(self, project: str | None = None, **init: Any) -> None:
        super().__init__()
        self._init = {"project": project, **init}
        self._runs: dict[str, Run] = {}

    def log_trial_start(self, trial: Any) -> None:
        """Start the run of a trial."""
        if trial.trial_id not in self._runs:
            self._runs[trial.trial_id] = start.init(
                id=trial.trial_id,
                name=str(trial),
                config=trial.config,
                reinit="create_new",
                resume="allow",
                **self._init,
            )

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Log a row."""
        self.log_trial_start(trial)
        row = {name: value for name, value in result.items() if name not in EXCLUDED}
        self._runs[trial.trial_id].log(row, step=result.get("training_iteration", iteration), commit=True)

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:  # noqa: FBT001, FBT002 - Ray's signature
        """End the run of a trial."""
        run = self._runs.pop(trial.trial_id, None)
        if run is not None:
            run.finish(exit_code=int(failed))
