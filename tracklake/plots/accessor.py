"""The accessor `lake.plot`: each method aggregates what the lake knows, and returns a Plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.analysis.comparison import Comparison
from tracklake.analysis.sweep import Sweep
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.display.labels import short_name
from tracklake.errors import DefinitionError
from tracklake.plots import binning, curves, figure, parallel_axes, scatter, sweep_figures
from tracklake.plots.bands import Band
from tracklake.plots.run_columns import RunColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracklake.analysis.importance import Method
    from tracklake.plots.figure import Plot
    from tracklake.query.history import SeriesTable
    from tracklake.query.run_filter import Runs, Where
    from tracklake.schema.definition_statement import Goal

_COLUMN = "the name of a column or a metric"


@raised_again_by_methods
class Plots:
    """Pictures of runs, drawn from aggregated data: a few thousand marks at most, whatever the lake holds.

    An axis is logarithmic where all its values are positive, span a factor of ten or more, and lie more evenly on it so
    (`binning.wants_log`); `log_x` and `log_y` decide otherwise. Columns are named as in `lake.runs`, where
    "config.lr" may be said "lr" and "summary.val/acc.max" may be said "val/acc.max". What is left out (runs without the
    metric, values that are not finite, groups beyond those that can be told apart) is said under the title.
    """

    def __init__(self, series_of: Callable[[str | None], SeriesTable]) -> None:
        figure.start_engine()
        self._series_of = series_of

    def _of(self, project: str | None) -> RunColumns:
        return RunColumns(self._series_of(project), lake=self._series_of(None))

    def curves(
        self,
        metrics: str | Sequence[str],
        *,
        by: str | Sequence[str] | None = None,
        x: str | None = None,
        band: Band | None = None,
        log_x: bool | None = None,
        log_y: bool | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> Plot:
        """How did these metrics go, run by run or group by group? A picture a metric, side by side.

        `by` names columns whose values group the runs: a line is then the group's median at each place, over runs
        aligned by their last value up to there, and the band spans all of them ("range", where groups have up to 10
        runs), the middle 80 % ("deciles"), or one standard deviation around the mean ("std"); beyond 5 groups there is
        none unless asked for. Without `by`, up to 12 runs have a line each, and more are one group. `x` is a metric to
        take as x axis (by default the step metric of the definition, else the step).

        Data: metric, group, x, n (runs), middle, low, high. Raises UnknownNameError.

        >>> example().plot.curves("loss", by="lr").data.row(0)
        ('loss', '0.01 (1 run)', 0.0, 1, 2.0, 2.0, 2.0)
        """
        of_runs = self._of(project)
        arguments.check_word("band", band, Band | None, error=DefinitionError)
        names = of_runs.series.known(metrics)
        columns = of_runs.columns(by)
        every = of_runs.keys(columns)
        rows = of_runs.table.select(runs=runs, where=where, wanted=["run_id", "name"])
        rows = rows.join(every, on="run_id", how="left", maintain_order="left")
        points = of_runs.series.read(
            names, runs=None if runs is None and where is None else rows, where=None, steps=None, x=x, shape="long",
            downsample=None, raw=False, limit=100_000_000,
        )  # fmt: skip
        axes = [x] if x else sorted(set(of_runs.series.step_metrics(names).values()))
        request = curves.Request(names, columns, " or ".join(axes) or "step", band, log_x, log_y)
        plot = curves.plot(request, rows=rows, points=points, among=every)
        return of_runs.noted(plot, points["run_id"])

    def scatter(
        self,
        x: str,
        y: str,
        *,
        color: str | None = None,
        log_x: bool | None = None,
        log_y: bool | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> Plot:
        """How do two columns of the runs go together? A dot a run; more than 2,000 runs are counted in tiles.

        Columns may be numbers, text or times. Axes say which statistic of a metric they show; runs that did not finish
        are hollow. Data: run, x, y, finished, color; for tiles x, x_end, y, y_end, n and value (n, or
        the median of a number as color, or the most frequent text). Raises UnknownNameError.

        >>> example().plot.scatter("lr", "loss.min").data.rows()
        [('slow', 0.01, 0.5, True), ('fast', 0.1, 0.25, True)]
        """
        of_runs = self._of(project)
        names = {"run_id": "run_id", "run": "name", "x": x, "y": y, "state": "state"}
        frame, titles = of_runs.frame(names | ({"color": color} if color else {}), runs=runs, where=where)
        frame = frame.with_columns((pl.col("state") == "finished").alias("finished"))
        frame = frame.select("run_id", "run", "x", "y", "finished", *(["color"] if color else []))
        legend = None
        if color and not frame["color"].dtype.is_numeric():
            frame, legend = of_runs.coloured(frame, of_runs.column(color), titles["color"])
        plot = scatter.scatter(frame.drop("run_id"), titles, log={"x": log_x, "y": log_y}, legend=legend)
        return of_runs.noted(plot, frame.drop_nulls(["x", "y"])["run_id"])

    def heatmap(
        self,
        x: str,
        y: str,
        metric: str,
        *,
        goal: Goal | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> Plot:
        """Where on two parameters is the metric good? The median over the runs of each cell, bright where it is good.

        An axis of numbers with more than 20 values is cut into 12 bins. `metric` is a column of numbers; a bare metric
        means its best value where `goal`, or its definition, says which way is better, else its last. Data: x, (x_end),
        y, (y_end), n, value. Raises UnknownNameError.

        >>> example().plot.heatmap("lr", "name", "loss.min").data.rows()
        [(0.01, 'slow', 1, 0.5), (0.1, 'fast', 1, 0.25)]
        """
        of_runs = self._of(project)
        value, goal = of_runs.measure(metric, goal)
        names = {"run_id": "run_id", "run": "name", "x": x, "y": y, "value": value}
        frame, titles = of_runs.frame(names, runs=runs, where=where)
        return of_runs.noted(scatter.heatmap(frame, titles, goal=goal), frame.drop_nulls("value")["run_id"])

    def ecdf(
        self,
        metric: str,
        *,
        by: str | Sequence[str] | None = None,
        goal: Goal | None = None,
        log_x: bool | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> Plot:
        """Which share of the runs is how good? The empirical distribution, or with a goal the performance profile.

        For each group the share of runs with a value at most x; where higher is better, at least x, so that the higher
        line is always the better group (Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice"). Runs
        without a finite value do not count, and are told. `metric` as in `heatmap`. Data: group, x, share, n.
        Raises UnknownNameError.

        >>> example().plot.ecdf("acc.max").data.rows()
        [('all (2 runs)', 0.9, 0.5, 2), ('all (2 runs)', 0.6, 1.0, 2)]
        """
        of_runs = self._of(project)
        value, goal = of_runs.measure(metric, goal)
        columns = of_runs.columns(by)
        frame, titles = of_runs.frame({"run_id": "run_id", "value": value}, runs=runs, where=where)
        every = of_runs.keys(columns)
        rows = every.filter(pl.col("run_id").is_in(frame["run_id"].implode()))
        groups = binning.grouped(rows, columns, among=every) if columns else binning.together(rows)
        titles |= {"group": ", ".join(short_name(name) for name in columns)} if columns else {}
        plot = scatter.shares(frame, titles, groups=groups, goal=goal, log=log_x)
        return of_runs.noted(plot, frame.drop_nulls("value")["run_id"])

    def parallel(
        self,
        columns: str | Sequence[str] | Sweep,
        metric: str | None = None,
        *,
        goal: Goal | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> Plot:
        """Which settings do the good runs have in common? An axis a column, a line a run, coloured by the metric.

        A run without a value lies below the axis. Of more than 160 runs, the best 60 are in colour and 100 of the
        others, evenly over their ranks, in grey. `metric` as in `heatmap`, and the last axis; without a goal the
        highest count as best. A sweep knows its parameters (the ten most important) and its metric itself. Data: run,
        axis (its number), at (0 to 1), color (the metric), strong. Raises UnknownNameError, and DefinitionError for
        columns without a metric.

        >>> example().plot.parallel(["lr", "name"], "loss.min").data.height
        6
        """
        of_runs = self._of(project)
        if isinstance(columns, Sweep):
            return sweep_figures.parallel(columns)
        if metric is None:
            raise DefinitionError("columns alone do not say what makes a run good: name a metric, or give a sweep")
        value, goal = of_runs.measure(metric, goal)
        names = of_runs.columns(columns, argument="columns")
        axes = {f"axis_{i}": name for i, name in enumerate(names)}
        wanted = {"run_id": "run_id", "run": "name", **axes, "value": value}
        frame, titles = of_runs.frame(wanted, runs=runs, where=where)
        plot = parallel_axes.plot(frame, titles, axes=list(axes), goal=goal)
        return of_runs.noted(plot, frame.drop_nulls("value")["run_id"])

    def leaderboard(self, comparison: Comparison, *, limit: int = 30) -> Plot:
        """Which group is best, and how sure is that? A row a group of a `compare`, the best on top.

        A dot is the center of the group (mean, median or IQM), the bar its bootstrap interval, grey are its runs, and
        the colour says what the test against the baseline shows. Runs far beyond the intervals are counted, not drawn.
        Data: group, row, n, value, low, high, verdict.

        >>> lake = example()
        >>> lake.plot.leaderboard(lake.compare("acc", by="lr", goal="max")).data.select("group", "value").rows()
        [('0.1 (1 run)', 0.9), ('0.01 (1 run)', 0.6)]
        """
        arguments.instance("comparison", comparison, Comparison, of="lake.compare(...)")
        return sweep_figures.leaderboard(comparison, limit=arguments.whole("limit", limit, least=1))

    def importance(self, sweep: Sweep, *, method: Method = "ped-anova", quantile: float | None = None) -> Plot:
        """Which parameters of a sweep mattered? A bar a parameter, with its bootstrap interval; see `Sweep.importance`.

        Data: name, row, importance, low, high, share, failure. Needs the extra `analysis`.

        >>> lake = example()
        >>> lake.plot.importance(lake.sweep(metric="acc", goal="max")).data.select("name", "share").rows()
        [('config.lr', 1.0)]
        """
        arguments.instance("sweep", sweep, Sweep, of="lake.sweep(...)")
        return sweep_figures.importance(sweep, method=method, quantile=quantile)

    def marginal(self, sweep: Sweep, parameter: str) -> Plot:
        """How does the value change with this parameter? The runs, their mean, and the mean with the others evened out.

        See `Sweep.marginal`. At the foot are the places where runs failed. Data: x, n, n_failed, mean,
        low, high, adjusted. Raises UnknownNameError. Needs the extra `analysis`.

        >>> lake = example()
        >>> lake.plot.marginal(lake.sweep(metric="acc", goal="max"), "lr").data.select("x", "n", "mean").rows()
        [(0.01, 1, 0.6), (0.1, 1, 0.9)]
        """
        arguments.instance("sweep", sweep, Sweep, of="lake.sweep(...)")
        return sweep_figures.marginal(sweep, parameter)

    def pareto(self, sweep: Sweep, metrics: Mapping[str, str] | Sequence[str]) -> Plot:
        """Which trade-offs between two metrics are left? The runs that no other beats in both; see `Sweep.pareto`.

        Of more than 2,000 runs behind the front one is drawn of each place where there are any. Data: run, x, y, front
        (null behind it). Raises UnknownNameError, and DefinitionError unless there are two metrics.

        >>> lake = example()
        >>> lake.plot.pareto(lake.sweep(metric="acc", goal="max"), {"acc": "max", "loss": "min"}).data.rows()
        [('slow', 0.6, 0.5, None), ('fast', 0.9, 0.25, 1)]
        """
        arguments.instance("sweep", sweep, Sweep, of="lake.sweep(...)")
        return sweep_figures.pareto(sweep, metrics)
