"""Replay of early stopping: early stopping tried on stored curves, as tables."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import polars as pl

from tracklake.analysis import learning_curves
from tracklake.analysis.stats import early_stopping
from tracklake.analysis.stats.early_stopping import Hyperband, Median, Rule, SuccessiveHalving
from tracklake.common import arguments
from tracklake.common.lazy_numpy import np
from tracklake.display import numbers
from tracklake.display.tables import Column, Sheet, Tabulated
from tracklake.errors import DefinitionError
from tracklake.schema.statistics import Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.analysis.objectives import Objective
    from tracklake.query.history import SeriesTable

RuleName = Literal["asha", "hyperband", "median"]


@dataclass(frozen=True, repr=False)
class Replay(Tabulated):
    """What each rule would have saved and cost.

    `.table` has a row a rule: rule, n_runs, n_stopped, used and whole (how much of x would have been run, and was),
    saved (the share), best (the value of the best run), best_left (of the best run not stopped), regret (how much worse
    that is, never negative; null if none was left), best_stopped_at (where the best run was stopped, null if it was
    not). `.runs` has a row a (rule, run): stopped_at, used, whole, value.

    >>> example().sweep(metric="acc", goal="max").replay("median").runs["whole"].to_list()
    [2.0, 2.0]
    """

    x: str
    table: pl.DataFrame
    runs: pl.DataFrame = field(repr=False)

    def _sheet(self) -> Sheet:
        return _sheet(self)


def replay(
    series: SeriesTable,
    objective: Objective,
    runs: pl.DataFrame,
    rules: Sequence[str | Rule],
    *,
    metric: str | None,
    x: str | None,
) -> Replay:
    """Replay the rules on the curves of these runs (run_id, value); see `Sweep.replay`.

    Raises DefinitionError for what is no rule, and where nothing says which metric was reported on the way.

    >>> found = example().sweep(metric="acc", goal="max")
    >>> replay(found.series, found.objective, found.runs, ["median"], metric=None, x=None).table["n_runs"].to_list()
    [2]
    """
    reported = metric or (objective.source.metric if isinstance(objective.source, Statistic) else None)
    if not rules:
        raise DefinitionError("no rule to replay: say 'asha', 'hyperband', 'median', or a rule")
    if reported is None:
        raise DefinitionError(
            f"{objective.name} is not logged along the run: say metric=, what was reported on the way"
        )
    ids = runs.select("run_id")
    points = learning_curves.trajectories(series, reported, x=x, runs=ids, where=None)
    curves = points.group_by("run_id", maintain_order=True).agg("step", "x", "value")
    started = series.table.select(runs=ids, wanted=["run_id"], order_by="created_at")
    ordered = started.join(curves, on="run_id", maintain_order="left").join(
        runs.select("run_id", pl.col("value").alias("final")), on="run_id", maintain_order="left"
    )
    runs_of_rules = [_of_rule(rule, ordered, objective) for rule in rules]
    table = pl.concat(_summary(per_run, objective) for per_run in runs_of_rules)
    columns = ("rule", "run_id", "stopped_at", "used", "whole", "value")
    return Replay(x or "step", table, pl.concat(per_run.select(columns) for per_run in runs_of_rules))


def _of_rule(rule: str | Rule, ordered: pl.DataFrame, objective: Objective) -> pl.DataFrame:
    """Return where a rule would have stopped each run; `ordered` has step, x and value as lists, and final."""
    if not isinstance(rule, str) and not callable(getattr(rule, "run", None)):
        raise arguments.refused("early_stopping", "'asha', 'hyperband', 'median', or a rule", rule)
    decider = _named(rule) if isinstance(rule, str) else copy.deepcopy(rule)  # it learns
    losses = [-objective.sign * np.asarray(values, dtype=np.float64) for values in ordered["value"]]
    steps = [np.asarray(of_run, dtype=np.int64) for of_run in ordered["step"]]
    n_reports = pl.Series("n_reports", early_stopping.replayed(decider, list(zip(steps, losses, strict=True))))
    stopped = pl.col("n_reports") < pl.col("step").list.len()
    used = pl.col("x").list.get(pl.col("n_reports") - 1)
    return ordered.with_columns(n_reports).select(
        pl.lit(rule if isinstance(rule, str) else repr(rule)).alias("rule"),
        "run_id",
        stopped.alias("stopped"),
        pl.when(stopped).then(used).alias("stopped_at"),
        used.alias("used"),
        pl.col("x").list.last().alias("whole"),
        pl.col("final").alias("value"),
    )


def _summary(per_run: pl.DataFrame, objective: Objective) -> pl.DataFrame:
    """Return the row of a rule: what it would have saved, and how good the best run that it left is."""
    loss = -objective.sign * pl.col("value")
    best, best_left = loss.min(), loss.filter(~pl.col("stopped")).min()
    return per_run.select(
        pl.col("rule").first(),
        pl.len().cast(pl.Int64).alias("n_runs"),
        pl.col("stopped").sum().cast(pl.Int64).alias("n_stopped"),
        pl.col("used").sum(),
        pl.col("whole").sum(),
        (1 - pl.col("used").sum() / pl.col("whole").sum()).fill_nan(None).alias("saved"),
        (-objective.sign * best).alias("best"),
        (-objective.sign * best_left).alias("best_left"),
        (best_left - best).alias("regret"),
        pl.col("stopped_at").get(loss.arg_min(), null_on_oob=True).alias("best_stopped_at"),
    )


def _named(name: str) -> Rule:
    arguments.check_word("early_stopping", name, RuleName, error=DefinitionError)
    if name == "asha":
        return SuccessiveHalving()
    if name == "hyperband":
        return Hyperband()
    return Median()


def _sheet(of: Replay) -> Sheet:
    rows = of.table.to_dicts()
    places = numbers.decimals([r["regret"] for r in rows])
    columns = [
        Column("rule", [r["rule"] for r in rows], right=False),
        Column("runs", [str(r["n_runs"]) for r in rows], rank=1),
        Column("stopped", [str(r["n_stopped"]) for r in rows]),
        Column("saved", ["" if r["saved"] is None else f"{100 * r['saved']:.1f}%" for r in rows]),
        Column("best", [numbers.number(r["best"], places) for r in rows], rank=2),
        Column("best left", [numbers.number(r["best_left"], places) for r in rows], rank=2),
        Column("regret", [numbers.number(r["regret"], places) for r in rows]),
    ]
    return Sheet(f"early stopping, replayed along {of.x}", columns)
