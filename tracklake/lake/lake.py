"""The lake: everything a reader asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl

from tracklake import display, engines, lake, plots, query
from tracklake.analysis import pooling
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.compute.points import PSEUDO
from tracklake.errors import QueryError
from tracklake.lake.analysis_methods import AnalysisMethods
from tracklake.lake.definition_methods import DefinitionMethods
from tracklake.lake.import_methods import ImportMethods
from tracklake.lake.maintenance_methods import MaintenanceMethods
from tracklake.lake.page_methods import PageMethods
from tracklake.lake.run_methods import RunMethods
from tracklake.lake.sql_methods import SqlMethods
from tracklake.query import summary_columns
from tracklake.query.history import Shape
from tracklake.schema import statistics
from tracklake.storage import layout, table

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from tracklake.common.task_engine import TaskEngine
    from tracklake.engines.choice import EngineName
    from tracklake.lake.integrity import Report
    from tracklake.plots.accessor import Plots
    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.thinning import Steps
    from tracklake.schema.definition_statement import Goal
    from tracklake.storage.table.sealing import Sealed
    from tracklake.storage.table.transfer import Copied

StatisticPath = str | tuple[str, str | None]
Stream = Literal["metrics", "system"]


@raised_again_by_methods
class Lake(AnalysisMethods, SqlMethods, DefinitionMethods, ImportMethods, MaintenanceMethods, RunMethods, PageMethods):
    """The read side of a lake. Every call sees the newest snapshot: finished runs, and running ones as they log.

    Made by `tracklake.open`. Reading never writes. `runs=` takes ids, runs, or a frame with a column run_id. An
    argument of a wrong type is a TypeError that names it and what it takes.

    >>> lake = example()
    >>> lake.runs(columns=["config.lr", "summary.loss.min"]).rows()
    [('slow', 0.01, 0.5), ('fast', 0.1, 0.25)]
    """

    def runs(
        self,
        project: str | None = None,
        *,
        runs: Runs = None,
        where: Where = None,
        columns: Sequence[str] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Which runs are there, and how did they do? One row a run, the oldest first.

        Columns: run_id, project, name, group, job_type, state, created_at (UTC), runtime (seconds), tags, notes,
        config.<path>, summary.<path>. `columns` takes names and globs; a summary column may name any statistic
        ("summary.val/acc.max", "summary.*.max"), defined or not; without it the definitions choose. `where` is a polars
        expression or SQL text over these columns, `order_by` a column or several, "-" for descending, nulls and NaN
        last. Raises UnknownNameError, which names the nearest column.

        >>> lake = example()
        >>> lake.runs(columns=["config.lr", "summary.loss.min"], order_by="-summary.loss.min").rows()
        [('slow', 0.01, 0.5), ('fast', 0.1, 0.25)]
        """
        return self._view_of(project).runs.select(
            runs=runs, where=where, wanted=columns, order_by=order_by, limit=limit
        )

    def summaries(
        self,
        paths: StatisticPath | Sequence[StatisticPath],
        *,
        runs: Runs = None,
        where: Where = None,
        shape: Shape = "wide",
        project: str | None = None,
    ) -> pl.DataFrame:
        """What is this statistic of that metric, for each run? Any statistic of any metric, defined or not.

        A path is a metric's name (its last value), or a name and a statistic: min max mean std sum count first last
        argmin argmax best best_step median n_nan n_inf, or a quantile such as p95; a tuple ("loss", "min") is exact.
        wide: run_id and a column a path, named as asked. long: run_id, metric, stat, value (Float64, Int64 where all
        are integers, such as counts), and text where there is any. A run without the metric has null. Raises
        UnknownNameError.

        >>> example().summaries(["loss.min", "loss.argmin", ("loss", "count")]).rows()
        [('slow', 0.5, 2, 3), ('fast', 0.25, 1, 3)]
        """
        arguments.check_word("shape", shape, Shape)
        view = self._view_of(project)
        requested = summary_columns.paths(paths)
        available = {*view.snapshot.metrics, *PSEUDO, *view.runs.summaries.value_keys}
        parsed = summary_columns.labelled(
            [(path, statistics.parse_statistic(path, metrics=available)) for path in requested]
        )
        ids = view.runs.ids(runs=runs, where=where)
        run_ids = view.runs.summaries.runs["run_id"] if ids is None else pl.Series("run_id", ids, dtype=pl.String)
        columns = view.runs.statistics(run_ids, parsed)
        if shape == "long":
            rows = summary_columns.stacked(run_ids, [(path, columns[name]) for name, path in parsed.items()])
        else:
            rows = pl.DataFrame([run_ids, *(series for name in parsed for series in columns[name])])
        return pooling.warned(rows, view.runs, runs=runs, where=where)

    def history(
        self,
        metrics: str | Sequence[str] | None = None,
        *,
        runs: Runs = None,
        where: Where = None,
        steps: Steps = None,
        x: str | None = None,
        shape: Shape = "long",
        downsample: int | None = None,
        raw: bool = False,
        limit: int = 100_000_000,
        stream: Stream = "metrics",
        project: str | None = None,
    ) -> pl.DataFrame:
        """How did these metrics go? Every point, never a sample unless asked.

        long: run_id, metric, step, time (UTC), value (Float64), and text where there is any, in order of run, metric
        and step. wide: run_id, step, time, and a typed column a metric. `steps=(first, last)`, both included. `x` adds
        a metric as x axis, its latest value at or before each step (by default the metric's step_metric).
        `downsample=n` keeps about n points a series: first, last and the extremes. `raw` shows overwritten points as
        well (wide: the last of each step). `stream="system"` gives the system metrics of runs begun with
        `init(system_metrics=True)` instead, as sampled; step is where the run stood at each sample. Raises
        UnknownNameError, QueryError for arguments that cannot be; HistoryTooLargeError rather than fill the memory.

        >>> example().history("loss", runs="fast").select("step", "value").rows()
        [(0, 1.0), (1, 0.25), (2, 0.75)]
        """
        names = None if metrics is None else arguments.texts("metrics", metrics)
        arguments.check_word("stream", stream, Stream)
        if stream == "system":
            arguments.check_word("shape", shape, Shape)
            if x is not None or downsample is not None or raw:
                raise QueryError("stream='system' is shown as it was sampled: leave out x, downsample and raw")
            ids = self._view_of(project).runs.ids(runs=runs, where=where)
            return query.system_history.shaped(self._system_samples(ids), names, steps=steps, shape=shape)
        view = self._view_of(project)
        points = view.series.read(
            names, runs=runs, where=where, steps=steps, x=x, shape=shape, downsample=downsample, raw=raw, limit=limit
        )
        return pooling.warned(points, view.runs, runs=runs, where=where)

    def scan_history(
        self,
        metrics: str | Sequence[str] | None = None,
        *,
        runs: Runs = None,
        where: Where = None,
        steps: Steps = None,
        raw: bool = False,
        project: str | None = None,
    ) -> pl.LazyFrame:
        """Return the history as a LazyFrame, without limit and unsorted.

        Columns: run_id, metric, step, time, kind (of the value), value, ival (the exact integer), text.

        >>> example().scan_history("loss").select(pl.col("value").max()).collect().item()
        2.0
        """
        return self._view_of(project).series.scan(metrics, runs=runs, where=where, steps=steps, raw=raw)

    def at_best(
        self,
        metric: str,
        *,
        goal: Goal | None = None,
        take: Sequence[str] | None = None,
        runs: Runs = None,
        where: Where = None,
        project: str | None = None,
    ) -> pl.DataFrame:
        """What else did each run have at its own best step of this metric? One row a run that has a number of it.

        Columns: run_id, step, the metric, and the metrics of `take` (None: all) as logged at just that step, null where
        a run logged none there. `goal` is "min" or "max", by default that of the metric's definition (else
        DefinitionError).

        >>> example().at_best("loss", goal="min", take=["acc"]).rows()
        [('slow', 2, 0.5, 0.6), ('fast', 1, 0.25, 0.9)]
        """
        view = self._view_of(project)
        rows = view.series.at_best(metric, goal=goal, take=take, runs=runs, where=where)
        return pooling.warned(rows, view.runs, runs=runs, where=where)

    @property
    def plot(self) -> Plots:
        """Pictures of the runs as they are now, and of what `compare` and `sweep` found.

        Each call returns a Plot: a notebook shows it, `.save("x.png")` (or .svg, .html) writes it.

        >>> example().plot.scatter("lr", "loss.min")
        Plot('loss.min over lr', 2 rows)
        """
        return plots.accessor.Plots(lambda project: self._view_of(project).series)

    def refresh(self) -> Sealed:
        """Seal what the journals hold into one partition (or more): reading gets faster, answers stay the same.

        Returns how many partitions, journals and points that were, and the faults found in journals.

        >>> example().refresh()
        Sealed(partitions=1, journals=2, points=12, faults=[])
        """
        return table.sealing.seal(self._reader.catalog.copy(), live=True)

    def copy_to(self, place: os.PathLike[str] | str, *, storage_options: Mapping[str, str] | None = None) -> Copied:
        """Copy all that is sealed to a folder or a URL, verified; again, it copies what is new.

        The copy is the same lake: a whole one at any moment, also while it is being made. Returns the files, bytes and
        commits that were written. Raises LakeError where the place holds another lake, or one that went its own way.

        >>> lake = example()
        >>> _ = lake.refresh()
        >>> lake.copy_to("backup").commits, tl.open("backup").runs()["run_id"].to_list()
        (2, ['slow', 'fast'])
        """
        return table.transfer.copy(self._storage, layout.connect(layout.root_of(place), options=storage_options))

    def on(self, engine: EngineName | TaskEngine, **options: Any) -> Self:
        """Return this lake with its heavy work done elsewhere: "threads" (of this process), "ray", "dask", "spark".

        Heavy work: quantiles and other statistics that states do not hold, downsampled histories, quality, states that
        must be computed again, compaction, imports of many files, `repair()` and `check(full=True)`. It runs as pure
        tasks over partitions; answers are the same, and only this process commits. Workers open the lake at its
        address, with this version of tracklake. `options` go to the engine: `address` (ray, dask), `session` (spark),
        `workers` (threads). An object with a method `map(task, items)`, which returns the results in order, is an
        engine too.
        What several lakes hold that are read as one, and derived metrics, are computed here all the same. Raises
        LakeError for another word, and where the engine's library is not installed.

        >>> lake = example()
        >>> lake.on("threads", workers=2).summaries(["loss.p95"]).equals(lake.summaries(["loss.p95"]))
        True
        """
        other = self._reopened()
        other._task_engine = engines.choice.engine_of(engine, **options)  # noqa: SLF001 - of its own class
        return other

    def check(self, *, full: bool = False) -> Report:
        """Is everything sound? Verifies checksums, the log, the journals, and the states against points.

        A sample of the series, or all with `full`. The report has .ok, .findings, .checked, and prints as text.

        >>> lake = example()
        >>> _ = lake.refresh()
        >>> report = lake.check(full=True)
        >>> report.ok, report.checked[0]
        (True, 'the log: version 1, 1 partition')
        """
        return lake.integrity.check(self._storage, full=full, engine=self._task_engine)

    def __repr__(self) -> str:
        """Return what it holds in three lines of at most 80 columns."""
        return display.labels.printable_lines(display.reprs.lake_text(self._view.series, self._storage.location))

    def _repr_html_(self) -> str:
        return display.reprs.lake_html(self._view.series, self._storage.location)
