"""What a search is told of its trials: the number of each, a bad one for those that failed, and earlier runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.analysis import objectives
from tracklake.common.warnings import warn_once
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.schema import naming
from tracklake.sweeping import search
from tracklake.sweeping.bayes import Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracklake.lake.lake import Lake
    from tracklake.sweeping.config import Metric, SweepConfig
    from tracklake.sweeping.records import SweepRecords
    from tracklake.sweeping.space import Point

FIRST_RUNS = 3
"""After so many finished trials without the metric, that is told."""


class Observations:
    """The numbers of a sweep's runs as `lake.sweep` judges them, less being better; each call asks the lake.

    >>> from tracklake.sweeping.launching.create import open_sweep, sweep
    >>> lake = example()
    >>> config = {"method": "grid", "metric": {"name": "loss"}, "parameters": {"lr": {"values": [0.1, 0.2]}}}
    >>> records = open_sweep(sweep(config, warm_start=["slow"], dir=lake.dir), lake.dir)
    >>> Observations(lake, records).of(records.config, ended=[], failed=[], running=["r1"], points={"r1": {"lr": 1}})
    {'slow': Observation(point={'lr': 0.01}, value=0.5), 'r1': Observation(point={'lr': 1}, value=None)}
    """

    def __init__(self, lake: Lake, records: SweepRecords) -> None:
        self._lake = lake
        self._records = records
        self._warm_points: dict[str, Point] | None = None
        self._has_metric = False
        """Whether some trial had a number of the metric."""

    def of(
        self,
        config: SweepConfig,
        *,
        ended: Sequence[str],
        failed: Sequence[str],
        running: Sequence[str],
        points: Mapping[str, Point],
    ) -> dict[str, Observation]:
        """Return what is known of the runs from which the sweep begins, and of trials, in the order of `points`.

        A trial that failed, and one that ended without a finite number, has the number that `metric.impute` says: the
        worst one of all, or its own latest or best one; one that runs has that of `metric.impute_while_running`.

        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> config = {"method": "random", "metric": {"name": "loss"}, "parameters": {"lr": {"min": 0.0, "max": 1.0}}}
        >>> records = open_sweep(sweep(config, dir=lake.dir), lake.dir)
        >>> points = {"slow": {"lr": 0.01}, "r1": {"lr": 1}}
        >>> Observations(lake, records).of(records.config, ended=["slow"], failed=["r1"], running=[], points=points)
        {'slow': Observation(point={'lr': 0.01}, value=0.5), 'r1': Observation(point={'lr': 1}, value=0.5)}
        """
        metric = config.metric
        if metric is None:
            return {}
        warm = self._warm(config)
        numbers = self.numbers([*warm, *ended], metric)
        observations = {r: Observation(point, numbers[r]) for r, point in warm.items() if r in numbers}
        without = [*failed, *(r for r in ended if r not in numbers)]
        values: dict[str, float | None] = dict.fromkeys(running)
        if metric.impute_while_running is not None:
            values.update(self._imputed(running, numbers, metric._replace(impute=metric.impute_while_running)))
        values.update(self._imputed(without, numbers, metric))
        values.update(numbers)
        return observations | {r: Observation(point, values[r]) for r, point in points.items() if r in values}

    def numbers(self, run_ids: Sequence[str], metric: Metric) -> dict[str, float]:
        """Return the finite numbers of runs, less being better; a run that has none is left out.

        >>> from tracklake.sweeping.config import Metric
        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> records = open_sweep(sweep({"parameters": {"lr": {"value": 1}}}, dir=lake.dir), lake.dir)
        >>> Observations(lake, records).numbers(["slow", "nowhere"], Metric("loss", "maximize"))
        {'slow': -2.0}
        """
        if not run_ids:
            return {}
        table = self._lake._view.runs  # noqa: SLF001 - one face of the lake to another
        runs = table.summaries.runs["run_id"]
        stored = runs.filter(runs.is_in(list(run_ids))).to_list()
        goal = "max" if metric.goal == "maximize" else "min"
        try:
            objective = objectives.resolve(table, metric.name, goal=goal)
            rows = table.select(runs=stored, wanted=["run_id", *objective.needs])
            numbers = objective.of(table, rows)
        except (UnknownNameError, DefinitionError):
            return {}
        return {r: -objective.sign * v for r, v in zip(rows["run_id"], numbers, strict=True) if v is not None}

    def warm_points(self, config: SweepConfig) -> set[str]:
        """Return the keys of the points whose results the sweep begins with: a grid leaves them out.

        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> sweep_id = sweep({"parameters": {"lr": {"value": 0.01}}}, warm_start="slow", dir=lake.dir)
        >>> records = open_sweep(sweep_id, lake.dir)
        >>> Observations(lake, records).warm_points(records.config)
        {'{"lr": 0.01}'}
        """
        warm = self._warm(config)
        if not warm:
            return set()
        usable = set(warm) if config.metric is None else set(self.numbers(list(warm), config.metric))
        return {search.key_of(point) for run_id, point in warm.items() if run_id in usable}

    def tell_missing(self, ended: Sequence[str], metric: Metric) -> None:
        """Warn after the first trials if none of them has the metric; a metric that was there is not looked for again.

        >>> from tracklake.sweeping.config import Metric
        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> records = open_sweep(sweep({"parameters": {"lr": {"value": 1}}}, dir=lake.dir), lake.dir)
        >>> Observations(lake, records).tell_missing(["a", "b"], Metric("los"))
        """
        if self._has_metric or len(ended) < FIRST_RUNS:
            return
        self._has_metric = bool(self.numbers(ended, metric))
        if self._has_metric:
            return
        nearest = UnknownNameError.nearest("metric", metric.name, self._lake.metrics)
        warn_once(
            f"sweep {self._records.id}",
            f"tracklake: none of the first {len(ended)} trials of sweep {self._records.id} has a number of "
            f"{metric.name!r}, so they tell nothing apart: {nearest}",
        )

    def _imputed(self, run_ids: Sequence[str], numbers: Mapping[str, float], metric: Metric) -> dict[str, float]:
        """Return the numbers of runs that run, failed or have none, as `metric.impute` says."""
        own = {} if metric.impute == "worst" else self.numbers(run_ids, _judged_by(metric, self._lake.metrics))
        worst = dict.fromkeys(run_ids, max(numbers.values())) if numbers else {}
        return worst | own

    def _warm(self, config: SweepConfig) -> dict[str, Point]:
        """Return the points of the runs from which the sweep begins, by run id."""
        if self._warm_points is None:
            ids = self._records.warm_start
            configs = self._lake._view.runs.config.nested(ids) if ids else {}  # noqa: SLF001 - as above
            names = [parameter.name for parameter in config.parameters]
            self._warm_points = {run_id: _point(configs[run_id], names) for run_id in ids}
        return self._warm_points


def _judged_by(metric: Metric, metrics: Iterable[str]) -> Metric:
    """Return what a run that failed, or runs, is judged by: its latest value, or its best one."""
    statistic = "last" if metric.impute == "latest" else "max" if metric.goal == "maximize" else "min"
    return metric._replace(name=f"{metric.name}.{statistic}") if metric.name in set(metrics) else metric


def _point(config: Mapping[str, object], names: Iterable[str]) -> Point:
    """Return the values of parameters that a config has."""
    point: Point = {}
    for name in names:
        value: object = config
        for part in naming.split(name):
            value = value.get(part) if isinstance(value, dict) else None
        point[name] = value
    return point
