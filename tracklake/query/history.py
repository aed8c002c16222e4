"""History of many runs as frames: long, wide, and each run's row at its best step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from tracklake.common import arguments
from tracklake.compute import points, pseudo_series, scans, sorted_groups, typed_columns
from tracklake.compute.points import PSEUDO
from tracklake.errors import HistoryTooLargeError, QueryError
from tracklake.query import thinning
from tracklake.query.run_table import RunTable
from tracklake.query.summaries import Summaries
from tracklake.schema import definition_statement, naming
from tracklake.schema.statistics import Statistic
from tracklake.schema.tables import POINTS
from tracklake.schema.values import STORED, Kind
from tracklake.storage.table import run_tasks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.thinning import Steps
    from tracklake.storage.table.snapshot_view import SnapshotView

Shape = Literal["long", "wide"]

_SERIES = ["run_id", "metric"]
_NOTHING = pl.DataFrame(schema={name: POINTS[name] for name in STORED} | {"at": pl.UInt32})


class SeriesTable:
    """Reads points that count, for the runs and metrics asked for."""

    def __init__(self, table: RunTable) -> None:
        self.table = table
        self.snapshot = table.snapshot

    def scan(
        self,
        metrics: Sequence[str] | None,
        *,
        runs: Runs = None,
        where: Where = None,
        steps: Steps = None,
        raw: bool = False,
    ) -> pl.LazyFrame:
        """Return run_id, metric, step, time, value, text, ival and kind of the points, unsorted, lazily where clean.

        >>> example()._view.series.scan(["loss"], runs="fast").select(pl.col("value").sum()).collect().item()
        2.0
        """
        names = self.known(metrics)
        ids = self.table.ids(runs=runs, where=where)
        frame = thinning.between(self._points(names, ids, raw=raw), steps)
        return frame.select("run_id", "metric", "step", "time", "value", typed_columns.in_words(), "ival", "kind")

    def _points(
        self, names: Collection[str], ids: Collection[str] | None, *, raw: bool, stored_as: Sequence[str] = STORED
    ) -> pl.LazyFrame:
        stored = [name for name in names if name not in PSEUDO]
        frames = []
        if stored:
            clean = self.snapshot.points(stored, runs=ids)
            unclean = (
                pl.DataFrame(schema=dict.fromkeys(_SERIES, pl.String))
                if raw
                else self.snapshot.series_to_resolve(stored, runs=ids)
            )
            if not unclean.is_empty():
                clean = clean.join(unclean.lazy(), on=_SERIES, how="anti")
                frames.append(self._shaped(self.snapshot.resolved_series(unclean).lazy(), stored_as))
            frames.append(self._shaped(clean, stored_as))
        pseudo = [name for name in names if name in PSEUDO]
        if pseudo:
            frames.append(self._shaped(self.snapshot.resolved(pseudo, runs=ids).lazy(), stored_as))
        return pl.concat(frames) if frames else self._shaped(self.snapshot.points([]), stored_as)

    def _shaped(self, history: pl.LazyFrame, stored_as: Sequence[str]) -> pl.LazyFrame:
        """Return the columns of a history; the time is null where it is not known when a row was logged."""
        time = pl.col("ts")
        if self.snapshot.untimed:
            time = pl.when(~pl.col("session").is_in(self.snapshot.untimed)).then(time)
        return history.select("run_id", "metric", "step", time.alias("time"), *stored_as)

    def of_run(self, run_id: str, metrics: Sequence[str] | None) -> pl.DataFrame:
        """Return the rows of one run: _step, one typed column a metric (None: all), _timestamp, _runtime.

        >>> example()._view.series.of_run("slow", ["acc"]).select("_step", "acc").rows()
        [(0, 0.4), (1, 0.5), (2, 0.6)]
        """
        logged, starts = self.snapshot.of_run(run_id), self.snapshot.starts
        sessions = sorted_groups.filter_rows(starts, starts["run_id"] == run_id)
        rows = pseudo_series.times(logged, sessions=sessions)
        parts = _placed(logged, rows["step"])
        own = [name for name in ("_timestamp",) if name in parts]  # the user's, perhaps not at all steps
        if own:
            parts |= _placed(points.resolve(pseudo_series.pseudo(logged, sessions=sessions)), rows["step"])
        if metrics is not None and not self.snapshot.derived.metrics.isdisjoint(metrics):
            parts |= _placed(self.snapshot.resolved(metrics, runs=[run_id]), rows["step"])
        names = sorted(parts) if metrics is None else dict.fromkeys(metrics)
        typed = _typed_by_metric(parts, [*(name for name in names if name not in PSEUDO), *own], rows.height)
        times = [rows[name] for name in ("_timestamp", "_runtime") if name not in own]
        return pl.DataFrame([rows["step"].alias("_step"), *typed, *times])

    def read(
        self,
        metrics: Sequence[str] | None,
        *,
        runs: Runs,
        where: Where,
        steps: Steps,
        x: str | None,
        shape: Shape,
        downsample: int | None,
        raw: bool,
        limit: int,
    ) -> pl.DataFrame:
        """Return the points in order of run, metric and step; `Lake.history` tells what is asked, and what is refused.

        >>> series = example()._view.series
        >>> rest = dict.fromkeys(("runs", "where", "steps", "x", "downsample"))
        >>> series.read(["loss"], shape="wide", raw=False, limit=100, **rest).select("run_id", "step", "loss").row(0)
        ('fast', 0, 1.0)
        """
        arguments.check_word("shape", shape, Shape)
        most = arguments.number("limit", limit)
        size = (
            None
            if downsample is None
            else arguments.whole("downsample", downsample, least=thinning.ENDS, error=QueryError)
        )
        names = self.known(metrics)
        axis = None if x is None else self.known(arguments.metric("x", x))[0]
        ids = self.table.ids(runs=runs, where=where)
        if downsample is None and steps is None:
            self._refuse_too_many(names, ids, most, counted="n_raw" if raw else "n_points")
        plain = shape == "long" and not raw and self.snapshot.are_numbers(names, runs=ids)
        stored_as = ["value"] if plain else STORED  # of many points it matters how many columns are read
        if size is None:
            rows = self._rows(names, ids, steps, raw=raw, stored_as=stored_as)
            if rows.height > most:
                raise _too_large(rows.height, most)
        else:
            of_task = (names, steps, raw, stored_as, size)
            rows = run_tasks.map_runs(self.snapshot, _thinned_rows, *of_task, metrics=names, runs=ids)
            rows = rows.sort(_SERIES, maintain_order=True)  # each task gives its own runs in order
        if axis is not None or (shape == "long" and self.step_metrics(names)):  # wide, an axis is a column of its own
            rows = self._with_x(rows, axis, ids)
        if shape == "long":
            return _long(rows)
        return _wide(rows.unique([*_SERIES, "step"], keep="last", maintain_order=True) if raw else rows)

    def _rows(
        self, names: Sequence[str], ids: Collection[str] | None, steps: Steps, *, raw: bool, stored_as: Sequence[str]
    ) -> pl.DataFrame:
        """Return the points of a history in order of run, metric and step."""
        read = scans.collect(thinning.between(self._points(names, ids, raw=raw, stored_as=stored_as), steps))
        return self._ordered(read, names, ids)

    def _ordered(self, history: pl.DataFrame, names: Collection[str], ids: Collection[str] | None) -> pl.DataFrame:
        """Bring points in order of run, metric, step and time, without looking at them where they come so."""
        is_plain = not set(names).intersection(PSEUDO) and self.snapshot.series_to_resolve(names, runs=ids).is_empty()
        if is_plain and self.snapshot.comes_in_order(ids):
            return history
        return points.sort(history, by=(*_SERIES, "step", "time"))

    def known(self, metrics: Sequence[str] | None, *, argument: str = "metrics") -> list[str]:
        """Return the names of metrics that are there, or raise the error that names the nearest.

        >>> series = example()._view.series
        >>> series.known(None), series.known(["loss", "loss"])
        (['acc', 'loss'], ['loss'])
        >>> series.known(["los"])
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: unknown metric 'los'...
        """
        available = self.snapshot.metrics
        if metrics is None:
            return [name for name in available if name not in PSEUDO]
        names = [naming.metric_name(name) for name in arguments.texts(argument, metrics)]
        for name in names:
            if name not in available and name not in PSEUDO:
                raise self.table.unknown(name)
        return list(dict.fromkeys(names))

    def at_best(
        self, metric: str, *, goal: Literal["min", "max"] | None, take: Sequence[str] | None, runs: Runs, where: Where
    ) -> pl.DataFrame:
        """Return each run's row at its own best step of the metric: run_id, step, the metric, and those of `take`.

        Raises UnknownNameError, and DefinitionError where nothing says which way is better.

        >>> example()._view.series.at_best("loss", goal="min", take=["acc"], runs=None, where=None).rows()
        [('slow', 2, 0.5, 0.6), ('fast', 1, 0.25, 0.9)]
        """
        (metric,) = self.known(arguments.metric("metric", metric))
        others, columns = self._taken(take)
        others = [name for name in others if name != metric]
        ids = self.table.ids(runs=runs, where=where)
        run_ids = self.table.summaries.runs["run_id"] if ids is None else pl.Series("run_id", ids, dtype=pl.String)
        stat = "best_step" if goal is None else f"arg{definition_statement.goal_of(goal)}"
        (step,) = self.table.statistics(run_ids, {"step": Statistic(metric, stat)})["step"]
        best = pl.DataFrame({"run_id": run_ids, "step": step}).drop_nulls("step")
        chosen = None if ids is None else best["run_id"].to_list()
        rows = scans.collect(self._points([metric, *others], chosen, raw=False))
        new = sorted_groups.group_starts(rows, by=["run_id"])  # join stretches of a run, not points: they are few
        heads = rows.select("run_id").filter(new)
        heads = heads.join(best.with_row_index("at"), on="run_id", how="left", maintain_order="left")
        whose = heads.select("at", pl.col("step").alias("best"))[sorted_groups.group_ids(new)]
        at_step = rows.hstack(whose).filter(pl.col("step") == pl.col("best"))
        typed = _typed_by_metric(_by_metric(at_step), [metric, *others], best.height, beside=best.columns)
        values = self.table.select(runs=best, wanted=["run_id", *columns]).drop("run_id")
        return pl.DataFrame([*best, *typed, *values])

    def _taken(self, take: Sequence[str] | None) -> tuple[list[str], list[str]]:
        """Return the metrics that are taken, and the columns of the runs: values set by hand, of config, fields."""
        if take is None:
            return self.known(None), []
        names = arguments.texts("take", take)
        logged = {*self.snapshot.metrics, *PSEUDO}
        columns = [name for name in names if naming.metric_name(name) not in logged]
        for name in columns:
            if self.table.names.may_be_metric(name):
                raise self.table.unknown(name)
        return self.known([name for name in names if name not in columns]), columns

    def _refuse_too_many(
        self, names: Sequence[str], ids: Collection[str] | None, limit: float, *, counted: Literal["n_raw", "n_points"]
    ) -> None:
        if self.snapshot.n_stored <= limit:
            return
        stored = [name for name in names if name not in PSEUDO]
        most = self.snapshot.most_points(stored, runs=ids)
        if most is not None and most <= limit:
            return
        count = int(self.snapshot.states(stored, columns=[counted], runs=ids)[counted].sum())
        if count > limit:
            raise _too_large(count, limit)

    def step_metrics(self, names: Sequence[str]) -> dict[tuple[str, int], str]:
        """Return the step metric of each (metric, group of runs) that has one.

        >>> lake = example()
        >>> lake.define_metric("loss", step_metric="acc")
        >>> lake._view.series.step_metrics(["loss"])
        {('loss', 0): 'acc'}
        """
        definitions = ((name, group, d) for name in names for group, d in self.table.summaries.definition(name).items())
        return {(name, group): d.step_metric for name, group, d in definitions if d is not None and d.step_metric}

    def _with_x(self, history: pl.DataFrame, x: str | None, ids: Collection[str] | None) -> pl.DataFrame:
        """Add the column x: the latest value of the x metric at or before each step, by default of its step metric."""
        if x is not None:
            keyed = history.with_columns(pl.lit(x).alias("x_metric"))
        else:
            groups = self.table.summaries.defined.groups
            of = self.step_metrics(history["metric"].unique().to_list())
            rows = [(name, group, axis) for (name, group), axis in of.items()]
            axes = pl.DataFrame(
                rows, schema={"metric": pl.String, "group": groups.schema["group"], "x_metric": pl.String}, orient="row"
            )
            keyed = history.join(groups, on="run_id", how="left", maintain_order="left")
            keyed = keyed.join(axes, on=["metric", "group"], how="left", maintain_order="left").drop("group")
        wanted = keyed["x_metric"].drop_nulls().unique().to_list()
        axis = scans.collect(self._points(wanted, ids, raw=False).filter(pl.col("value").is_not_null()))
        right = axis.select("run_id", pl.col("metric").alias("x_metric"), "step", pl.col("value").alias("x"))
        ordered = keyed.with_row_index("at").sort("step")
        joined = ordered.join_asof(right.sort("step"), on="step", by=["run_id", "x_metric"], check_sortedness=False)
        return joined.sort("at").drop("at", "x_metric")


def _thinned_rows(
    snapshot: SnapshotView,
    runs: Collection[str] | None,
    names: Sequence[str],
    steps: Steps,
    raw: bool,  # noqa: FBT001 - a task gets its arguments by position
    stored_as: Sequence[str],
    size: int,
) -> pl.DataFrame:
    """Return a few points of each series, in order."""
    table = SeriesTable(RunTable(Summaries(snapshot)))
    return thinning.thinned(table._rows(names, runs, steps, raw=raw, stored_as=stored_as), size)  # noqa: SLF001


def _long(history: pl.DataFrame) -> pl.DataFrame:
    """Return run_id, metric, step, (x), time, value, and text where there is any."""
    columns = ["run_id", "metric", "step", *(["x"] if "x" in history.columns else []), "time", "value"]
    if "kind" not in history.columns or history["kind"].is_in([Kind.FLOAT, Kind.INT, Kind.NULL, Kind.REPLACED]).all():
        return history[columns]
    return history.select(*columns, typed_columns.in_words())


def _wide(history: pl.DataFrame) -> pl.DataFrame:
    """Return one row a (run, step): run_id, step, time (of the latest point), (x), and one typed column a metric.

    No two points may be of one metric and step.
    """
    shared = [pl.col("time").max(), *([pl.col("x").first()] if "x" in history.columns else [])]
    rows = history.group_by(["run_id", "step"]).agg(*shared).sort("run_id", "step")
    at = history.join(rows.select("run_id", "step").with_row_index("at"), on=["run_id", "step"], maintain_order="left")
    metrics = history["metric"].unique(maintain_order=True).to_list()
    return pl.DataFrame([*rows, *_typed_by_metric(_by_metric(at), metrics, rows.height, beside=rows.columns)])


def _typed_by_metric(
    parts: Mapping[str, pl.DataFrame], metrics: Sequence[str], size: int, *, beside: Collection[str] = ()
) -> Iterator[pl.Series]:
    """Yield the columns of each metric, its values in the rows `at`; one named as those `beside` is `metric.<name>`."""
    names_used = {*beside, *metrics}
    for name in metrics:
        points = parts.get(name, _NOTHING)
        column_name = f"metric.{name}" if name in beside else name
        yield from typed_columns.typed(column_name, points, points["at"], size, used_names=names_used)


def _placed(history: pl.DataFrame, steps: pl.Series) -> dict[str, pl.DataFrame]:
    """Cut the points of one run into its metrics, each with its places `at` among the steps."""
    return _by_metric(history.hstack([steps.search_sorted(history["step"]).alias("at")]))


def _by_metric(history: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Cut a frame into its metrics; without a copy where the points of each stand together."""
    new = sorted_groups.group_starts(history, by=["metric"])
    starts, names = new.arg_true().to_list(), history["metric"].filter(new).to_list()
    if len(set(names)) < len(names):
        return {name: part for (name,), part in history.partition_by("metric", as_dict=True).items()}
    cuts = zip(names, starts, [*starts[1:], history.height], strict=False)
    return {name: history.slice(start, stop - start) for name, start, stop in cuts}


def _too_large(count: int, limit: float) -> HistoryTooLargeError:
    return HistoryTooLargeError(
        f"this history has {count:,} points, more than limit={limit:,.15g}. Ask for fewer metrics or runs, "
        "thin it with downsample=1000, read it lazily with scan_history(...), or raise the limit"
    )
