"""Comparisons: one row a group of runs, with what the seeds allow to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tracklake.analysis import contrasts, group_keys
from tracklake.analysis.stats import bootstrap, resampling, significance
from tracklake.common.text import number_of
from tracklake.display import tables
from tracklake.display.tables import Column, Sheet, Tabulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.analysis.contrasts import Settings
    from tracklake.analysis.grouped_runs import GroupedRuns
    from tracklake.analysis.stats.resampling import Floats, Sample

SHORT = 0.05
"""An interval that holds the truth so much less often than it says is called too narrow."""
_HIDDEN = ("coverage", "leaning")
_UNTOLD = "too few to tell: {} runs show only differences above {}"
_SHORT = "{} runs: such an interval holds the truth in at most {}% of cases"

VERDICTS = ("baseline", "better", "mixed", "no difference shown", "worse", "too few runs", "no values")
"""What the column `verdict` may say of a group."""


@dataclass(frozen=True, repr=False)
class Comparison(Tabulated):
    """Groups of runs beside each other: `.table` has it all, the best group first; printing it shows the essence.

    `.table` has a row a group: the columns that group, then n, n_failed (their sum is the number of runs), n_tasks,
    mean, std, median, iqm, low, high (the bootstrap interval of the center), best and best_run; against the baseline
    difference, difference_low, difference_high, p_improvement, effect, detectable, n_pairs, test, p, p_holm, p_bh
    (corrected over the groups, over all their pairs where the baseline was chosen for being the best); and in words
    verdict ("mixed" where the test and the difference of the center point to opposite sides), why (this test) and
    warning. `.baseline` has the keys of the group compared with.
    `.runs` is the value of every run; `.notes` says in sentences what a reader has to know.

    >>> found = example().compare("acc", by="lr", goal="max", draws=10)
    >>> len(found), found.baseline, found.table["mean"].to_list()
    (2, {'config.lr': 0.1}, [0.9, 0.6])
    """

    grouped: GroupedRuns = field(repr=False)
    settings: Settings
    table: pl.DataFrame
    baseline: dict[str, Any] | None
    notes: tuple[str, ...]

    @property
    def runs(self) -> pl.DataFrame:
        """One row a run: run_id, state, its keys, its value, and whether it was used.

        >>> example().compare("acc", by="lr", goal="max").runs.select("run_id", "config.lr", "value", "used").rows()
        [('slow', 0.01, 0.6, True), ('fast', 0.1, 0.9, True)]
        """
        return self.grouped.runs.drop("group_no", "task_no", "cell_no")

    def against(self, baseline: Any) -> Comparison:
        """Return the comparison with another baseline: the keys of a group, or the value of the only column.

        >>> lake = example()
        >>> lake.compare("acc", by="lr", goal="max").against(0.01).table["difference"].round(3).to_list()
        [0.3, None]
        """
        return compared(self.grouped, self.settings, baseline=baseline)

    def _sheet(self) -> Sheet:
        return _sheet(self)

    def __len__(self) -> int:
        """Return how many groups there are."""
        return self.table.height


def compared(grouped: GroupedRuns, settings: Settings, *, baseline: Any = None) -> Comparison:
    """Compute the table of all groups, against the baseline or, if none is named, against the best.

    Raises UnknownNameError for a baseline that no group has.

    >>> found = example().compare("acc", by="lr", goal="max", draws=10)
    >>> compared(found.grouped, found.settings, baseline=0.01).baseline
    {'config.lr': 0.01}
    """
    sample = grouped.sample
    described = _described(grouped, sample, settings)
    base = _baseline(grouped, described, settings, baseline)
    against = contrasts.against(grouped, sample, settings, base)
    level = 1 - settings.confidence
    p = against["p"].to_numpy()
    among = significance.pairs_of(p) if baseline is None else None
    table = described.with_columns(against).with_columns(
        pl.Series("p_holm", significance.holm(p, comparisons=among), nan_to_null=True),
        pl.Series("p_bh", significance.benjamini_hochberg(p, comparisons=among), nan_to_null=True),
    )
    table = table.with_columns(_verdict(base, level, grouped.objective.sign), _warning(settings))
    table = table.sort(
        settings.center, descending=grouped.objective.goal == "max", nulls_last=True, maintain_order=True
    )
    names = [c for c in table.columns if c not in ("group_no", "why", "warning", "verdict", *_HIDDEN)]
    table = table.select(*names, "verdict", "why", "warning")
    few = described.filter((pl.col("n") == 1) | _is_short(settings)).height
    notes = tuple(_notes(grouped, table, base, chosen=baseline is None, few=few))
    return Comparison(grouped, settings, table, None if base is None else _keys(grouped, base), notes)


def _keys(grouped: GroupedRuns, group: int) -> dict[str, Any]:
    return grouped.groups.row(group, named=True) if grouped.by else {}


def _described(grouped: GroupedRuns, sample: Sample, settings: Settings) -> pl.DataFrame:
    """Return what is said of each group by itself."""
    k = grouped.n_groups
    used = pl.col("used")
    counted = grouped.runs.group_by("group_no").agg(
        used.sum().cast(pl.Int64).alias("n"),
        (~used).sum().cast(pl.Int64).alias("n_failed"),
        pl.col("task_no").filter(used).n_unique().cast(pl.Int64).alias("n_tasks"),
        _best(grouped.objective.goal),
    )
    spread = _within(grouped.runs.filter("used"))
    joined = counted.join(spread, on="group_no", how="left").sort("group_no").unnest("best")
    values: dict[str, Floats] = {c: resampling.centers(sample, center=c, size=k) for c in resampling.CENTERS}
    low, high = _interval(sample, settings, k)
    values |= {"low": low, "high": high, "coverage": _coverage(sample, settings, k)}
    computed = [pl.Series(name, v, nan_to_null=True) for name, v in values.items()]
    estimated = joined.with_columns(computed)
    keys = estimated.select("group_no").hstack(grouped.groups)
    order = ["n", "n_failed", "n_tasks", "mean", "std", "median", "iqm", "low", "high", "best", "best_run", "coverage"]
    return keys.hstack(estimated.select(order))


def _best(goal: str) -> pl.Expr:
    value = pl.col("value").filter("used")
    at = value.arg_max() if goal == "max" else value.arg_min()
    return pl.struct(value.get(at).alias("best"), pl.col("run_id").filter("used").get(at).alias("best_run")).alias(
        "best"
    )


def _within(used: pl.DataFrame) -> pl.DataFrame:
    """Return the standard deviation of each group between the runs of one task, pooled over the tasks."""
    freedom = pl.len() - 1
    squares = (pl.col("value").var() * freedom).fill_null(0)
    by_task = used.group_by(["group_no", "task_no"]).agg(squares.alias("squares"), freedom.alias("freedom"))
    pooled = by_task.group_by("group_no").agg(pl.col("squares").sum(), pl.col("freedom").cast(pl.Int64).sum())
    std = pl.when(pl.col("freedom") > 0).then((pl.col("squares") / pl.col("freedom")).sqrt())
    return pooled.select("group_no", std.alias("std"))


def _interval(sample: Sample, settings: Settings, size: int) -> tuple[Floats, Floats]:
    """Return the bounds of each group's center; NaN where no stratum has two values, which leaves nothing to draw."""
    low, high = np.full(size, np.nan), np.full(size, np.nan)
    apart = resampling.by_itself(sample)
    drawn = resampling.resampled(apart, center=settings.center, draws=settings.draws, seed=settings.seed)
    for columns, values in drawn:
        low[columns], high[columns] = bootstrap.bounds(values, settings.confidence)
    alone = contrasts.alone(sample, size)
    low[alone], high[alone] = np.nan, np.nan
    return low, high


def _coverage(sample: Sample, settings: Settings, size: int) -> Floats:
    """Return how often an interval of so many values holds the truth, group by group."""
    pieces = resampling.pieces_of(sample)
    coverage = np.full(size, np.nan)
    for group in np.unique(pieces.column):
        coverage[group] = bootstrap.coverage(pieces.size[pieces.column == group], confidence=settings.confidence)
    return coverage


def _is_short(settings: Settings) -> pl.Expr:
    return pl.col("coverage") < settings.confidence - SHORT


def _baseline(grouped: GroupedRuns, described: pl.DataFrame, settings: Settings, asked: Any) -> int | None:
    """Return the group to compare with: the one named, else the best that can be tested and has nearly all tasks."""
    if asked is not None:
        return group_keys.find(grouped.groups, asked)
    able = described.filter(pl.col("n") > 0)
    if able.is_empty():
        return None
    able = able.filter(pl.col("n_tasks") >= 0.9 * pl.col("n_tasks").max())  # else one that ran only easy tasks wins
    if able["n"].max() > 1:  # type: ignore[operator] # counts
        able = able.filter(pl.col("n") > 1)
    best = able.sort(settings.center, descending=grouped.objective.goal == "max", maintain_order=True)
    return int(best["group_no"][0])


def _verdict(base: int | None, level: float, sign: float) -> pl.Expr:
    significant = pl.col("p_holm") < level
    better, worse = pl.col("difference") * sign > 0, pl.col("difference") * sign < 0
    return (
        pl.when(pl.col("group_no").eq_missing(base)).then(pl.lit("baseline"))
        .when(pl.col("n") == 0).then(pl.lit("no values"))
        .when(pl.col("p").is_null()).then(pl.lit("too few runs"))
        .when(significant & _is_mixed()).then(pl.lit("mixed"))
        .when(significant & better).then(pl.lit("better"))
        .when(significant & worse).then(pl.lit("worse"))
        .otherwise(pl.lit("no difference shown")).alias("verdict")
    )  # fmt: skip


def _is_mixed() -> pl.Expr:
    """Tell where the test sees the difference the other way round, as ranks may where a few runs make the mean."""
    return pl.col("leaning") * pl.col("difference") < 0


def _warning(settings: Settings) -> pl.Expr:
    """Say plainly where the runs are too few to tell."""
    level = 1 - settings.confidence
    untold = pl.col("p_holm").ge(level) & (pl.col("detectable") > pl.col("difference").abs())
    mixed = f"the {{}} says the opposite of the {settings.center}: a few runs make the one or the other"
    return (
        pl.when(pl.col("n") == 0).then(pl.format("none of {} runs has a value", "n_failed"))
        .when(pl.col("n") == 1).then(pl.lit("one run: no spread, no test"))
        .when((pl.col("p_holm") < level) & _is_mixed()).then(pl.format(mixed, "test"))
        .when(untold).then(pl.format(_UNTOLD, "n", pl.col("detectable").round_sig_figs(2)))
        .when(_is_short(settings)).then(pl.format(_SHORT, "n", (100 * pl.col("coverage")).round().cast(pl.Int64)))
        .alias("warning")
    )  # fmt: skip


def _notes(grouped: GroupedRuns, table: pl.DataFrame, base: int | None, *, chosen: bool, few: int) -> Iterator[str]:
    if base is None:
        yield f"no run has a value of {grouped.objective.name}"
        return
    if chosen and len(table) > 1:
        yield (
            f"the baseline is the best of {len(table)} groups, and being chosen flatters it: p is corrected over all"
            " pairs; name the baseline that you mean (baseline=, in a shell --baseline)"
        )
    failed = int(table["n_failed"].sum())
    if failed:
        yield (
            f"left out: {failed:,} of {grouped.runs.height:,} runs, which failed or have no finite"
            f" {grouped.objective.name}; that flatters groups that fail"
        )
    running = grouped.runs.filter(pl.col("used") & (pl.col("state") == "running")).height
    if running:
        yield f"{number_of(running, 'run')} counted here still running"
    for test, n in table["test"].drop_nulls().value_counts(sort=True).iter_rows():
        reasons = table.filter(pl.col("test") == test)["why"].unique(maintain_order=True)
        what = f"{number_of(n, 'group')} without a test" if test == "none" else f"{test} for {number_of(n, 'group')}"
        yield f"{what}: {reasons[0]}" + (", ..." if len(reasons) > 1 else "")
    lacking = table.filter((pl.col("n_tasks") < pl.col("n_tasks").max()) & (pl.col("n") > 0)).height
    if lacking:
        yield f"{number_of(lacking, 'group')} without some tasks: differences are over the tasks in common"
    if grouped.tasks and grouped.unit == "run":
        yield "the tasks are taken as given: for a claim about tasks like these say unit='task'"
    if few:
        yield f"{number_of(few, 'group')} of too few runs for a sound interval (the table's column warning)"


def _sheet(of: Comparison) -> Sheet:
    """Return what is worth printing of a comparison."""
    table, center, grouped = of.table, of.settings.center, of.grouped
    share = f"{100 * of.settings.confidence:g}%"
    places = tables.decimals((table["high"] - table["low"]).to_list())

    def number(name: str) -> list[str]:
        return [tables.number(v, places) for v in table[name]]

    def span(low: str, high: str) -> list[str]:
        return [f"{a} .. {b}" if a else "" for a, b in zip(number(low), number(high), strict=True)]

    columns = [
        *group_keys.key_columns(table, grouped.by),
        Column("n", [str(n) for n in table["n"]], rank=1),
        Column("failed", [str(n) for n in table["n_failed"]], rank=4),
        Column(center, number(center)),
        Column("std", number("std"), rank=5),
        Column(share, span("low", "high"), rank=2),
        Column("best", number("best"), rank=7),
        Column("difference", number("difference"), rank=3),
        Column(f"{share} of it", span("difference_low", "difference_high"), rank=6),
        Column("P(better)", [tables.number(v, 2) for v in table["p_improvement"]], rank=8),
        Column("p (Holm)", [tables.chance(p) for p in table["p_holm"]], rank=4),
        Column("verdict", table["verdict"].to_list(), right=False, rank=2),
    ]
    if not table["n_failed"].sum():
        columns = [c for c in columns if c.heading != "failed"]
    filled = [c for c in columns if any(c.cells)]
    return Sheet(_title(of), filled, frozenset({0}) if len(table) > 1 else frozenset(), of.notes)


def _title(of: Comparison) -> str:
    grouped = of.grouped
    better = "higher" if grouped.objective.goal == "max" else "lower"
    tasks = f" on {number_of(grouped.runs['task_no'].n_unique(), 'task')}" if grouped.tasks else ""
    base = f"; baseline {group_keys.label(of.baseline)}" if of.baseline is not None else ""
    counts = f"{number_of(grouped.runs.height, 'run')} in {number_of(len(of), 'group')}"
    return f"{grouped.objective.name} ({better} is better){tasks}: {counts}{base}"
