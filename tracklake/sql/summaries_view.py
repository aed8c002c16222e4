"""The view summaries: one row a (run, metric, statistic) that has a value, defined or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.compute import typed_columns
from tracklake.schema import statistics
from tracklake.schema.statistics import REGISTRY, Statistic
from tracklake.schema.values import Kind
from tracklake.sql.views import Part, View

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tracklake.query.run_table import RunTable
    from tracklake.sql.views import Limits, Schema

ENTRY = "entry"
"""The statistic that is what a run's summary holds under the bare name: set by hand, or the last value."""
_ENDS = frozenset(stat for stat, spec in REGISTRY.items() if spec.dtype == "any")
_BY_GOAL = frozenset(stat for stat, spec in REGISTRY.items() if spec.by_goal)
_OF_ALL = _ENDS | _BY_GOAL
"""Statistics that are not one number which states give by themselves."""
FEW = 16
"""So many columns of statistics are taken from those that the table of runs remembers."""


def summaries(table: RunTable, limits: Limits) -> View:
    """Return one row a (run, metric, statistic) that has a value: the columns of a wide table, one below another.

    `value` is a double, where a text is about counts and steps alone an integer.

    >>> from tracklake.sql.views import Limits
    >>> table = example()._view.runs
    >>> limits = Limits(table, {"metric": frozenset({"loss"}), "stat": frozenset({"min"})})
    >>> summaries(table, limits).parts[0].make().rows()
    [('slow', 'example', 'loss', 0.5), ('fast', 'example', 'loss', 0.25)]
    """
    metrics_logged = set(table.snapshot.metrics)
    metrics = sorted(metrics_logged if limits.metrics is None else metrics_logged & limits.metrics)
    stored = [stat for stat in REGISTRY if not statistics.needs_points(stat)]
    wanted = [*stored, ENTRY] if limits.stats is None else sorted(limits.stats)
    stats = [stat for stat in stored if stat in wanted]
    parts = [Part("tracklake_statistics", _wide_schema(stats), lambda: _wide(table, metrics, stats, limits.runs))]
    branches = [_branch("tracklake_statistics", stat) for stat in stats]
    if ENTRY in wanted:
        keys_wanted = None if limits.metrics is None else list(limits.metrics)
        parts.append(Part("tracklake_entries", _LONG, lambda: _entries(table, keys_wanted, limits.runs)))
        branches.append("SELECT * FROM tracklake_entries")
    of_points = [stat for stat in wanted if statistics.is_statistic(stat) and statistics.needs_points(stat)]
    if of_points:
        parts.append(Part("tracklake_of_points", _LONG, lambda: _from_points(table, metrics, of_points, limits.runs)))
        branches.append("SELECT * FROM tracklake_of_points")
    if not branches:
        parts, branches = (
            [Part("tracklake_nothing", _LONG, lambda: pl.DataFrame(schema=_LONG))],
            ["FROM tracklake_nothing"],
        )
    rows = " UNION ALL ".join(branches)
    if limits.stats and all(statistics.is_statistic(stat) and statistics.spec(stat).dtype == "int" for stat in wanted):
        rows = f"SELECT * REPLACE (CAST(value AS BIGINT) AS value) FROM ({rows})"
    return View("summaries", parts, rows)


_LONG: Schema = {
    "run_id": pl.String,
    "project": pl.String,
    "metric": pl.String,
    "stat": pl.String,
    "value": pl.Float64,
    "text": pl.String,
    "is_nan": pl.Boolean,
}


def _wide_schema(stats: Sequence[str]) -> Schema:
    texts = {f"{stat}_text": pl.String for stat in stats if stat in _ENDS}
    return {"run_id": pl.String, "project": pl.String, "metric": pl.String, **dict.fromkeys(stats, pl.Float64), **texts}


def _branch(source: str, stat: str) -> str:
    text = f'"{stat}_text"' if stat in _ENDS else "NULL::VARCHAR"
    exists = f'"{stat}" IS NOT NULL' + (f" OR {text} IS NOT NULL" if stat in _ENDS else "")
    number = f'nullif("{stat}", \'nan\'::DOUBLE) AS value, {text} AS text, coalesce(isnan("{stat}"), false) AS is_nan'
    columns = f"run_id, project, metric, '{stat}' AS stat, {number}"
    return f"SELECT {columns} FROM {source} WHERE {exists}"


def _wide(table: RunTable, metrics: Sequence[str], stats: Sequence[str], runs: Collection[str] | None) -> pl.DataFrame:
    """Return one row a (run, metric), and a column a statistic."""
    if metrics and len(metrics) * len(stats) <= FEW and _OF_ALL.isdisjoint(stats):
        return _wide_of_few(table, metrics, stats, runs)
    needed = {column for stat in stats for column in statistics.columns(stat)}
    merged = table.snapshot.states(metrics, columns=sorted(needed), runs=runs)
    merged = merged.join(table.summaries.runs.select("run_id", "project"), on="run_id", maintain_order="left")
    if not _BY_GOAL.isdisjoint(stats):
        merged = merged.join(_goals(table, metrics), on=["run_id", "metric"], how="left", maintain_order="left")
    expressions = [expression for stat in stats for expression in _expressions(stat)]
    return merged.select("run_id", "project", "metric", *expressions).select(list(_wide_schema(stats)))


def _wide_of_few(
    table: RunTable, metrics: Sequence[str], stats: Sequence[str], runs: Collection[str] | None
) -> pl.DataFrame:
    """Return the same from the columns that the table of runs remembers: nothing is read twice of one snapshot."""
    run_rows = table.summaries.runs.select("run_id", "project")
    if runs is not None:
        run_rows = run_rows.filter(pl.col("run_id").is_in(list(runs)))
    wanted = {(metric, stat): Statistic(metric, stat) for metric in metrics for stat in stats}
    series = table.statistics(
        run_rows["run_id"], {f"{stat} of {metric}": path for (metric, stat), path in wanted.items()}
    )
    schema = _wide_schema(stats)
    parts = []
    for metric in metrics:
        numbers = [series[f"{stat} of {metric}"][0].cast(pl.Float64).alias(stat) for stat in stats]
        parts.append(run_rows.with_columns(pl.lit(metric).alias("metric"), *numbers).select(list(schema)))
    return pl.concat(parts)


def _expressions(stat: str) -> Iterator[pl.Expr]:
    if stat in _ENDS:
        yield pl.col(f"{stat}_value").alias(stat)
        yield typed_columns.in_words(f"{stat}_")
    elif stat in _BY_GOAL:
        least, most = (statistics.expression(stat, goal=goal) for goal in ("min", "max"))
        best = pl.when(pl.col("goal") == "min").then(least).when(pl.col("goal") == "max").then(most)
        yield best.cast(pl.Float64).alias(stat)
    else:
        yield statistics.expression(stat).cast(pl.Float64).alias(stat)


def _goals(table: RunTable, metrics: Sequence[str]) -> pl.DataFrame:
    """Return run_id, metric and goal, where a definition names one."""
    goals = [
        (metric, group, definition.goal)
        for metric in metrics
        for group, definition in table.summaries.definition(metric).items()
        if definition is not None and definition.goal
    ]
    groups = table.summaries.defined.groups
    schema: Schema = {"metric": pl.String, "group": groups.schema["group"], "goal": pl.String}
    return groups.join(pl.DataFrame(goals, schema=schema, orient="row"), on="group").drop("group")


def _entries(table: RunTable, wanted: list[str] | None, runs: list[str] | None) -> pl.DataFrame:
    entries = table.summaries.entries(wanted, runs=runs).filter(pl.col("kind") != Kind.NULL)
    rows = entries.select("run_id", pl.col("key").alias("metric"), "value", typed_columns.in_words())
    return _long(table, rows.with_columns(pl.lit(ENTRY).alias("stat")))


def _from_points(table: RunTable, metrics: Sequence[str], stats: Sequence[str], runs: list[str] | None) -> pl.DataFrame:
    run_ids = table.summaries.runs["run_id"] if runs is None else pl.Series("run_id", runs, dtype=pl.String)
    wanted = {f"{metric} {stat}": Statistic(metric, stat) for metric in metrics for stat in stats}
    frames = [
        pl.DataFrame({"run_id": run_ids, "value": column}).with_columns(
            pl.lit(wanted[name].metric).alias("metric"),
            pl.lit(wanted[name].stat).alias("stat"),
            pl.lit(None, pl.String).alias("text"),
        )
        for name, (column, *_) in table.statistics(run_ids, wanted).items()
    ]
    rows = [_long(table, frame.filter(pl.col("value").is_not_null())) for frame in frames]
    return pl.concat([pl.DataFrame(schema=_LONG), *rows])


def _long(table: RunTable, frame: pl.DataFrame) -> pl.DataFrame:
    runs = table.summaries.runs.select("run_id", "project")
    flagged = frame.with_columns(
        pl.col("value").fill_nan(None), pl.col("value").is_nan().fill_null(value=False).alias("is_nan")
    )
    return flagged.join(runs, on="run_id", maintain_order="left").select(list(_LONG)).cast(_LONG)  # type: ignore[arg-type]
