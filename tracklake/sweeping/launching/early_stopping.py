"""Stops a trial from inside its own `log`, where hyperband says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.errors import EarlyStopped
from tracklake.lake.lake import Lake
from tracklake.schema import naming
from tracklake.sweeping import hyperband
from tracklake.sweeping.records import Claim, SweepRecords
from tracklake.tracking import trial as current_trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.sweeping.config import Metric
    from tracklake.sweeping.hyperband import Bands
    from tracklake.tracking.run import Run
    from tracklake.tracking.trial import Trial


def attach(run: Run, trial: Trial) -> None:
    """Watch the rows of a run that is a trial, if its sweep stops trials early.

    >>> from tracklake.tracking.trial import Trial
    >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
    >>> with tl.init(id="r1") as run:
    ...     attach(run, Trial("lake", sweep_id, "r1", "p", {}))
    """
    records = SweepRecords.open(run.storage, trial.sweep_id)
    config = records.config
    if config.bands is not None and config.metric is not None:
        watch = _Watch(run, trial, records, config.metric, config.bands)
        run.log = watch.log  # type: ignore[method-assign] # of this run alone: others log at full speed


class _Watch:
    """Counts the values of the metric, and compares with the other trials at each band."""

    def __init__(self, run: Run, trial: Trial, records: SweepRecords, metric: Metric, bands: Bands) -> None:
        self._run = run
        self._log = run.log
        self._trial = trial
        self._records = records
        self._sign = -1.0 if metric.goal == "maximize" else 1.0
        self._metric = metric.name
        self._bands = bands
        self._count = len(self._values([run.id]).get(run.id, ())) if run.resumed else 0

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:  # noqa: FBT001 - as W&B
        """Log a row, and raise EarlyStopped after it if the trial is behind."""
        self._log(data, step=step, commit=commit)
        names = naming.flatten(data)
        if self._metric in names or self._metric.rpartition(".")[0] in names:
            self._count += 1
            if self._count in self._bands.counts:
                self._look()

    def _look(self) -> None:
        values = self._values(self._records.run_ids())
        own_values = values.get(self._run.id, [])
        if not hyperband.should_stop(own_values, list(values.values()), self._bands):
            return
        reason = f"behind the other trials at {self._count} values of {self._metric}"
        self._run.note("stopped_early", reason)
        trial = self._trial
        claim = Claim(trial.number, trial.attempt, {}, trial.run_id, "", "", 0.0)
        self._records.end(claim, "stopped")
        if current_trial.is_of_environment():  # a process of its own: to leave it is to end the trial
            self._run.finish(exit_code=0)
            raise SystemExit(0)
        raise EarlyStopped(f"trial {trial.run_id} is {reason}")

    def _values(self, run_ids: list[str]) -> dict[str, list[float]]:
        """Return the values of the metric of each run in order, less being better."""
        lake = Lake(self._trial.lake)
        metric = self._metric if self._metric in lake.metrics else self._metric.rpartition(".")[0]
        if metric not in lake.metrics:
            return {}
        there = set(lake.runs(columns=["run_id"])["run_id"])
        history = lake.history(metric, runs=[r for r in run_ids if r in there])
        rows = history.filter(history["value"].is_finite()).select("run_id", "value").rows()
        values: dict[str, list[float]] = {}
        for run_id, value in rows:
            values.setdefault(run_id, []).append(self._sign * value)
        return values
