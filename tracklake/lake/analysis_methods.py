"""What a lake answers beyond tables: comparisons, budgets, sweeps. The statistics themselves stand in modules below.

Those are imported when the first such question is asked: they would be a third of the time of `import tracklake`.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from tracklake import analysis, sweeping
from tracklake.analysis import pooling
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.errors import AmbiguousNameError, TracklakeError, UnknownNameError
from tracklake.lake.base import LakeBase
from tracklake.query import run_filter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from tracklake.analysis.comparison import Comparison
    from tracklake.analysis.learning_curves import Amount
    from tracklake.analysis.stats.options import Center, Diverged, Failed, Test, Unit
    from tracklake.analysis.sweep import Sweep
    from tracklake.analysis.time_to_threshold import TimeToThreshold
    from tracklake.query.run_filter import Runs, Where
    from tracklake.sweeping.records import SweepRecords

    Metric = str | tuple[str, str] | pl.Expr | pl.DataFrame


@raised_again_by_methods
class AnalysisMethods(LakeBase):
    """The questions that need statistics; a part of `Lake`."""

    def compare(
        self,
        metric: Metric,
        *,
        by: str | Sequence[str],
        over: str | Sequence[str] | None = None,
        task: str | Sequence[str] | None = None,
        goal: str | None = None,
        runs: Runs = None,
        where: Where = None,
        stat: str | None = None,
        baseline: Any = None,
        center: Center = "mean",
        unit: Unit = "run",
        test: Test = "auto",
        failed: Failed = "exclude",
        diverged: Diverged = "count",
        confidence: float = 0.95,
        draws: int = 10_000,
        seed: int = 0,
        project: str | None = None,
    ) -> Comparison:
        """Which settings are better, and is it more than the luck of seeds? One row a group, the best first.

        `by` names the columns that make the groups ("lr", "config.lr", "group"), or "config - seed" for all of config
        but the seed. `over` names what varies inside a group, such as the seed, and by which runs of two groups match;
        by default what `by` took out, else config.seed. Those of it that do not count repeats (seed, fold, split...)
        are tasks, such as data sets; `task` says so outright. Null is a group; keys are exact.

        The number of a run is `stat` of the metric: "best" (by default; also the metric's own "val/acc.max"), "last",
        "mean", "p95"...; the metric may also be a column of the runs, a polars expression over them, or a frame of
        run_id and numbers. A run that failed, crashed or was killed (`failed="include"` keeps it) or has no finite
        number is n_failed. Runs of one seed (or other repeat) with the same config are averaged first, so that n counts
        seeds. A run whose metric ended in NaN or infinity is n_diverged: `diverged="count"` takes it by what it logged
        before and says so, "exclude" leaves it out, "fail" counts it as failed.

        `center` ("mean", "median" or "iqm") is what groups are sorted by, and what intervals and differences are of.
        With tasks each counts the same, and runs are drawn within tasks; `unit="task"` averages a group's runs on a
        task and draws and pairs tasks instead, for a claim about tasks like these. `test` is "auto" (paired where
        nearly all runs of both groups match; ranks from 10 runs on), "t" or "rank". `baseline` has the keys of a group
        ({"lr": 0.1}, or 0.1); by default it is the best. The same seed gives the same numbers. Needs the extra
        `analysis`.

        Intervals are percentiles of the bootstrap, drawn within tasks; the verdict is by Holm's correction over the
        groups of the table, over all their pairs where the baseline is chosen rather than named. Not to be used for
        runs that were tuned on the metric itself with unequal effort, nor to pick the best of hundreds: see
        `sweep(...).luck()`. Failed runs are left out, which flatters groups that fail.
        Sources: Agarwal et al. 2021 (rliable); Demsar 2006 (tests over tasks); Holm 1979.

        >>> print(example().compare("acc", by="lr", goal="max"))
        acc (higher is better): 2 runs in 2 groups; baseline lr=0.1
          lr  n    mean    best  difference  P(better)  verdict
         0.1  1  0.9000  0.9000                         baseline
        0.01  1  0.6000  0.6000     -0.3000       0.00  too few runs
        - the baseline is the best of 2 groups, and being chosen flatters it: p is
          corrected over all pairs; name the baseline that you mean (baseline=)
        - 1 group without a test: nothing to match runs by (over=), and a group of one
          run has no spread
        - 2 groups of too few runs for a sound interval (the table's column warning)
        """
        _need("scipy")
        table = self._view_of(project).runs
        objective = analysis.objectives.resolve(table, run_filter.plain_frame(metric), stat=stat, goal=goal)
        design = analysis.grouped_runs.Design(by, over=over, task=task, unit=unit)
        counting = analysis.objectives.Counting(failed, diverged)
        grouped = analysis.grouped_runs.read(table, objective, design, runs=runs, where=where, counting=counting)
        settings = analysis.contrasts.Settings(center=center, test=test, confidence=confidence, draws=draws, seed=seed)
        return analysis.comparison.compared(grouped, settings, baseline=baseline)

    def at_budget(
        self,
        budget: Mapping[str, Amount | Sequence[Amount]],
        *,
        metric: str,
        goal: str | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> pl.DataFrame:
        """What had each run reached with equal means? One row a run (and budget), for runs without a value too.

        `budget` limits any x: {"step": 1000}, {"time": "2h"}, {"tokens": 1e9}; of several all hold; a list of amounts
        makes several budgets. An x is a metric, or "step" and "time" where no metric is called so; that of a value is
        the latest at or before its step. Columns: run_id, budget.<x>, value (the last within the budget), best (the
        best so far), step and best_step (where), and reached: whether the run got as far as the budget; if not, it had
        less to work with. Not to be used to compare runs whose learning rate decays to different ends: a run is then
        judged before it is done. Source: pandas' merge_asof is the same rule; why budgets and not last values: Dodge et
        al. 2019, "Show Your Work".

        `compare` takes the result as its metric: compare(found.select("run_id", "best"), by=..., goal=...).

        >>> example().at_budget({"step": 1}, metric="acc", goal="max").select("run_id", "best", "reached").rows()
        [('slow', 0.5, True), ('fast', 0.9, True)]
        """
        series = self._view_of(project).series
        direction = analysis.objectives.direction(series.table, metric, goal)
        rows = analysis.learning_curves.at_budget(series, budget, metric=metric, goal=direction, runs=runs, where=where)
        return pooling.warned(rows, series.table, runs=runs, where=where)

    def time_to(
        self,
        metric: str,
        threshold: float,
        *,
        goal: str | None = None,
        x: str | None = None,
        by: str | Sequence[str] = (),
        runs: Runs = None,
        where: Where = None,
        baseline: Any = None,
        confidence: float = 0.95,
        project: str | None = None,
    ) -> TimeToThreshold:
        """How much (steps, time, tokens...) does it take to reach a threshold? One row a group of runs.

        `x` is what is counted: a metric, or "step" and "time" (seconds) where no metric is called so; None: the step.
        Runs that never reach it are not dropped: they are censored where they were seen last (Kaplan-Meier). The median
        is the first x by which half of the runs have reached it. Groups are compared with the baseline (its keys, as in
        `compare`; by default the soonest of those that reached it) by the log-rank test. Not to be used where runs were
        stopped because they did badly: that is no accident, and makes the median too low. The soonest of many groups is
        flattered by being chosen: name the baseline you mean. Needs the extra `analysis`. Sources: Kaplan and Meier
        1958; Mantel 1966; Brookmeyer and Crowley 1982.

        >>> print(example().time_to("acc", 0.6, goal="max", by="lr"))
        step until acc >= 0.6; baseline lr=0.1
          lr  n  reached  median step  p (Holm)
         0.1  1        1            0
        0.01  1        1            2     0.317
        - log-rank test over all groups: p = 0.317
        """
        _need("scipy")
        series = self._view_of(project).series
        direction = analysis.objectives.direction(series.table, metric, goal)
        grouped = analysis.grouping.grouped(series.table, by, runs=runs, where=where)
        return analysis.time_to_threshold.time_to(
            series, metric, threshold, goal=direction, x=x, by=grouped, baseline=baseline, confidence=confidence
        )

    def area_under(
        self,
        metric: str,
        *,
        x: str | None = None,
        until: Amount | None = None,
        best_so_far: bool = False,
        goal: str | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> pl.DataFrame:
        """How good was a run on the way, not only at the end? The area under its curve, one row a run.

        Columns: run_id, area (straight lines between the points, the trapezoid rule of numpy and sklearn.metrics.auc),
        mean (area / width: the mean height, in the metric's unit), first and last (the x between which it is). `until`
        cuts all runs at one x (as in `time_to`), where the line is interpolated; `best_so_far` takes the best up to
        each x. Points that are not finite are left out. Not to be used to compare areas of runs of different length;
        their `mean` may do.

        >>> example().area_under("acc", until=1).select("run_id", "area").rows()
        [('slow', 0.45), ('fast', 0.8)]
        """
        series = self._view_of(project).series
        best = analysis.objectives.direction(series.table, metric, goal) if best_so_far else None
        rows = analysis.learning_curves.area_under(
            series, metric, x=x, until=until, best_so_far=best, runs=runs, where=where
        )
        return pooling.warned(rows, series.table, runs=runs, where=where)

    def learning_curves(
        self,
        metric: str,
        *,
        by: str | Sequence[str] = (),
        x: str | None = None,
        points: int | Sequence[float] = 200,
        band: tuple[float, float] = (0.25, 0.75),
        best_so_far: bool = False,
        carry: bool = False,
        goal: str | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> pl.DataFrame:
        """How do groups of runs learn? Their curves aligned on one x axis, one row a (group, x).

        Columns: those of `by`, x, n, mean, median, low, high: the quantiles of `band` over the runs. `x` is as in
        `time_to`. A run counts from its first point to its last, at each x with its latest value; `carry` lets it count
        on with its last value, which keeps the end of the curve from being that of the longest runs alone. `points` is
        how many x at most, or which. `best_so_far` takes the best up to each x. Values that are not finite are left
        out. Not to be used to call groups different: the band says where runs lie, not how sure the mean is. For that
        see `compare`.

        >>> example().learning_curves("acc", band=(0, 1)).select("x", "n", "low", "high").rows()
        [(0.0, 2, 0.4, 0.7), (1.0, 2, 0.5, 0.9), (2.0, 2, 0.6, 0.8)]
        """
        series = self._view_of(project).series
        best = analysis.objectives.direction(series.table, metric, goal) if best_so_far else None
        grouped = analysis.grouping.grouped(series.table, by, runs=runs, where=where)
        pooling.warned(grouped.select("run_id"), series.table, runs=runs, where=where)
        return analysis.learning_curves.learning_curves(
            series, metric, by=grouped, x=x, points=points, band=band, best_so_far=best, carry=carry
        )

    @property
    def sweeps(self) -> list[str]:
        """The ids of the sweeps that were launched in it, sorted.

        >>> example().sweeps
        []
        """
        return sorted(sweep for storage in self._storages for sweep in sweeping.records.sweeps_of(storage))

    def _sweep_records(self, sweep_id: str) -> SweepRecords:
        """Return what is known of a launched sweep."""
        storages = self._storages
        has_it = (
            storage for storage in storages if len(storages) > 1 and sweep_id in sweeping.records.sweeps_of(storage)
        )
        return sweeping.records.SweepRecords.open(next(has_it, storages[0]), sweep_id)

    def sweep(
        self,
        sweep_id: str | None = None,
        *,
        metric: Metric | None = None,
        goal: str | None = None,
        params: str | Sequence[str] | None = None,
        runs: Runs = None,
        where: Where = None,
        stat: str | None = None,
        failed: Failed = "exclude",
        diverged: Diverged = "count",
        project: str | None = None,
    ) -> Sweep:
        """What do these runs say of their settings? Any set of runs, launched as a sweep or not.

        `sweep_id` means the runs of a launched sweep, judged by its own metric and goal unless others are given; a name
        that is no sweep's and a metric's is `metric`.
        `metric` is what runs are judged by, as in `compare`: "val/acc" (its best), "val/acc.last", a column, an
        expression, a frame; `failed` and `diverged` say which of them count, as there. The parameters are the columns
        of config that vary over the runs, with their kinds and scales found, or those of `params`. The result answers
        .best(n), .importance(), .marginal(param), .interactions(), .pareto(metrics), .parallel(), .rank_stability(),
        .luck() and .replay(early_stopping). Not to be used to say what causes what where settings were not varied apart
        from each other: two that always went together share one effect.

        >>> print(example().sweep(metric="acc", goal="max"))
        acc (higher is better): 2 runs, 0 failed, 1 parameter varies
        parameter  kind   scale  values       runs
        lr         float  log    0.01 .. 0.1     2
        - the best is 0.9000
        """
        _need("scipy")
        if sweep_id is not None and metric is None and sweep_id not in self.sweeps and self._is_measured(sweep_id):
            sweep_id, metric = None, sweep_id
        if sweep_id is not None:
            launched = self._sweep_records(sweep_id)
            runs = launched.run_ids() if runs is None else runs
            metric, goal = _judged_by(launched, metric, goal)
        if metric is None:
            raise TypeError("sweep takes a metric to judge runs by, such as metric='val/loss', or the id of a sweep")
        series = self._view_of(project).series
        objective = analysis.objectives.resolve(series.table, run_filter.plain_frame(metric), stat=stat, goal=goal)
        counting = analysis.objectives.Counting(failed, diverged)
        return analysis.sweep.sweep(series, objective, params=params, runs=runs, where=where, counting=counting)

    def _is_measured(self, name: str) -> bool:
        """Say whether a name means a number of runs: a metric, a statistic of one, or a column."""
        try:
            self._view.runs.names.resolve(name)
        except AmbiguousNameError:
            return True
        except UnknownNameError:
            return False
        return True

    def quality(
        self,
        metric: str,
        *,
        goal: str | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> pl.DataFrame:
        """What is wrong with each run's history of this metric? One row a run, null for one without it.

        n_nan, n_inf: values that are not finite. diverged_at: the step from which on none is finite, null if the last
        one is. gap_steps: how many steps are missing by the usual stride. duplicate_steps: steps logged more than
        once. noise: the standard deviation of the jitter about the curve (Gasser, Sroka and Jennen-Steinmetz 1986,
        robust; null below 5 points). With a goal (defined or given): plateau_at: the step at which the best so far came
        within 1% of all it gained. stalled: that was in the first half. still_improving_at_end: in the last tenth.
        Not to be used on a metric that is meant to move, such as a learning rate.

        The same are columns of the runs, for where= and columns=: "quality.val/loss.diverged_at", or without a metric
        "quality.diverged_at" for any of them.

        >>> example().quality("acc", goal="max").select("run_id", "plateau_at", "stalled").rows()
        [('slow', 2, False), ('fast', 1, True)]
        """
        view = self._view_of(project)
        table = view.runs
        direction = None if goal is None else analysis.objectives.direction(table, metric, goal)
        (name,) = view.series.known(arguments.metric("metric", metric))
        ids = table.select(runs=runs, where=where, wanted=["run_id"])
        rows = ids.join(table.quality.flags(name, goal=direction), on="run_id", how="left", maintain_order="left")
        return pooling.warned(rows, table, runs=runs, where=where)


def _judged_by(launched: SweepRecords, metric: Metric | None, goal: str | None) -> tuple[Metric | None, str | None]:
    """Return the metric and goal of a launched sweep where none are given."""
    own = launched.config.metric
    if own is None or metric is not None:
        return metric, goal
    return own.name, goal or own.goal


def _need(module: str) -> None:
    """Refuse with the way out where the optional extra is not installed."""
    if importlib.util.find_spec(module) is None:
        raise TracklakeError(f"this needs {module}, which is not installed: pip install 'tracklake[analysis]'")
