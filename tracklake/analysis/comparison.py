"""Comparisons: one row a group of runs, with what the seeds allow to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.analysis import comparison_notes, contrasts, group_keys
from tracklake.analysis.grouped_runs import NUMBERS
from tracklake.analysis.stats import bootstrap, resampling, significance
from tracklake.common.lazy_numpy import np
from tracklake.common.text import number_of
from tracklake.display import numbers
from tracklake.display.tables import Column, Sheet, Tabulated

if TYPE_CHECKING:
    from tracklake.analysis.contrasts import Settings
    from tracklake.analysis.grouped_runs import GroupedRuns
    from tracklake.analysis.objectives import Objective
    from tracklake.analysis.stats.resampling import Floats, Sample

SHORT = 0.05
"""An interval that holds the truth so much less often than it says is called too narrow."""
_HIDDEN = ("group_no", "coverage", "leaning", "limit", "p_least", "is_testable", "verdict", "why", "warning")
_UNTOLD = "too few to tell: {} runs show only differences above {}"
_SHORT = "{} runs{}: such an interval holds the truth in at most {}% of cases"

VERDICTS = ("baseline", "better", "mixed", "no difference shown", "worse", "too few runs", "no values")
"""What the column `verdict` may say of a group."""


@dataclass(frozen=True, repr=False)
class Comparison(Tabulated):
    """Groups of runs beside each other: `.table` has it all, the best group first; printing it shows the essence.

    `.table` has a row a group: the columns that group, then n (seeds, or other repeats: one that was run again with the
    same config counts once, as the mean of its runs), n_runs (the runs behind them), n_failed, n_diverged (runs whose
    metric ended in NaN or infinity, whatever becomes of them), n_tasks, mean, std, median, iqm, low, high (the
    bootstrap interval of the center), best and best_run; against the baseline compared and compared_baseline (both
    centers over what is compared: the pairs, or the tasks in common), difference (of these two), difference_low,
    difference_high, p_improvement, effect, detectable, n_pairs, test, p, p_holm, p_bh (corrected over the groups, over
    all their pairs where the baseline was chosen for being the best); and in words verdict ("mixed" where the test and
    the difference point to opposite sides, "too few runs" where no test was possible or none could have found
    anything), why (this test) and warning. `.baseline` has the keys of the group compared with. `.runs` is the value of
    every run; `.notes` says in sentences what a reader has to know.

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
        """One row a run: run_id, state, its keys, its value, ended_in, diverged, failed, and whether it was used.

        >>> example().compare("acc", by="lr", goal="max").runs.select("run_id", "config.lr", "value", "used").rows()
        [('slow', 0.01, 0.6, True), ('fast', 0.1, 0.9, True)]
        """
        return self.grouped.runs.drop(NUMBERS)

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
    observations = grouped.observations
    described = _described(grouped, observations, settings)
    able = _able(described, settings, grouped.objective)
    base = group_keys.find(grouped.groups, baseline) if baseline is not None else able[0] if able else None
    against = contrasts.against(grouped, observations, settings, base)
    corrected = _corrected(against, settings, named=baseline is not None)
    statistics = described.with_columns(against).with_columns(corrected)
    statistics = statistics.with_columns(_verdict(base, settings, grouped.objective.sign), _warning(grouped, settings))
    descending = grouped.objective.goal == "max"
    table = statistics.sort(settings.center, descending=descending, nulls_last=True, maintain_order=True)
    table = table.select(pl.exclude(_HIDDEN), "verdict", "why", "warning")
    n_able = None if baseline is not None else len(able)
    context = comparison_notes.Context(grouped, table, base, n_able, few=statistics.filter(_is_few(settings)))
    keys = None if base is None else grouped.groups.row(base, named=True) if grouped.by else {}
    return Comparison(grouped, settings, table, keys, tuple(comparison_notes.notes(context)))


def _corrected(against: pl.DataFrame, settings: Settings, *, named: bool) -> list[pl.Series]:
    """Return the p values corrected for the comparisons made, and whether each test could have found anything."""
    p, least = against["p"].to_numpy(), against["p_least"].to_numpy()
    among = None if named else significance.pairs_of(p)
    holm = significance.holm(p, comparisons=among)
    level = 1 - settings.confidence
    testable = ~np.isnan(p)
    for i in np.flatnonzero(testable & (holm >= level) & (least > 0)):
        at_best = p.copy()
        at_best[i] = least[i]
        testable[i] = significance.holm(at_best, comparisons=among)[i] < level
    return [
        pl.Series("p_holm", holm, nan_to_null=True),
        pl.Series("p_bh", significance.benjamini_hochberg(p, comparisons=among), nan_to_null=True),
        pl.Series("is_testable", testable),
    ]


def _described(grouped: GroupedRuns, observations: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Return what is said of each group by itself."""
    size, sample = grouped.n_groups, grouped.sample(observations)
    of_observations = observations.group_by("group_no").agg(
        pl.len().cast(pl.Int64).alias("n"), pl.col("task_no").n_unique().cast(pl.Int64).alias("n_tasks")
    )
    joined = _counted(grouped).join(of_observations, on="group_no", how="left")
    joined = joined.with_columns(pl.col("n", "n_tasks").fill_null(0))
    joined = joined.join(_within(observations), on="group_no", how="left").sort("group_no")
    low, high = _interval(sample, settings, size)
    estimates: dict[str, Floats] = {c: resampling.centers(sample, center=c, size=size) for c in resampling.CENTERS}
    estimates |= {"low": low, "high": high, "coverage": _coverage(sample, settings, size)}
    estimated = joined.with_columns(pl.Series(name, v, nan_to_null=True) for name, v in estimates.items())
    order = ["n", "n_runs", "n_failed", "n_diverged", "n_tasks", "mean", "std", "median", "iqm", "low", "high", "best",
             "best_run", "coverage"]  # fmt: skip
    return estimated.select("group_no").hstack(grouped.groups).hstack(estimated.select(order))


def _counted(grouped: GroupedRuns) -> pl.DataFrame:
    """Return how many runs of each group count, failed and diverged, and the best of those that count."""
    value, run_id = pl.col("value").filter("used"), pl.col("run_id").filter("used")
    at = value.arg_max() if grouped.objective.goal == "max" else value.arg_min()
    sums = {"n_runs": "used", "n_failed": "failed", "n_diverged": "diverged"}
    counts = (pl.col(flag).sum().cast(pl.Int64).alias(name) for name, flag in sums.items())
    return grouped.runs.group_by("group_no").agg(*counts, value.get(at).alias("best"), run_id.get(at).alias("best_run"))


def _within(observations: pl.DataFrame) -> pl.DataFrame:
    """Return the standard deviation of each group between the observations of one task, pooled over the tasks."""
    freedom = pl.len() - 1
    squares = (pl.col("value").var() * freedom).fill_null(0)
    by_task = observations.group_by(["group_no", "task_no"]).agg(squares.alias("squares"), freedom.alias("freedom"))
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


def _is_few(settings: Settings) -> pl.Expr:
    """Tell where there are too few values for a sound interval."""
    return (pl.col("n") == 1) | (pl.col("coverage") < settings.confidence - SHORT)


def _able(described: pl.DataFrame, settings: Settings, objective: Objective) -> list[int]:
    """Return the groups that may be chosen as baseline, the best first: tested best, and on nearly all tasks."""
    able = described.filter(pl.col("n") > 0)
    able = able.filter(pl.col("n_tasks") >= 0.9 * pl.col("n_tasks").max())  # else one that ran only easy tasks wins
    repeated = able.filter(pl.col("n") > 1)
    able = repeated if repeated.height else able
    ordered = able.sort(settings.center, descending=objective.goal == "max", maintain_order=True)
    return ordered["group_no"].to_list()


def _verdict(base: int | None, settings: Settings, sign: float) -> pl.Expr:
    significant = pl.col("p_holm") < 1 - settings.confidence
    better, worse = pl.col("difference") * sign > 0, pl.col("difference") * sign < 0
    return (
        pl.when(pl.col("group_no").eq_missing(base)).then(pl.lit("baseline"))
        .when(pl.col("n") == 0).then(pl.lit("no values"))
        .when(~pl.col("is_testable")).then(pl.lit("too few runs"))
        .when(significant & _is_mixed()).then(pl.lit("mixed"))
        .when(significant & better).then(pl.lit("better"))
        .when(significant & worse).then(pl.lit("worse"))
        .otherwise(pl.lit("no difference shown")).alias("verdict")
    )  # fmt: skip


def _is_mixed() -> pl.Expr:
    """Tell where the test sees the difference the other way round, as ranks may where a few runs make the mean."""
    return pl.col("leaning") * pl.col("difference") < 0


def _warning(grouped: GroupedRuns, settings: Settings) -> pl.Expr:
    """Say plainly where the runs are too few to tell."""
    level = 1 - settings.confidence
    untold = pl.col("p_holm").ge(level) & (pl.col("detectable") > pl.col("difference").abs())
    mixed = f"the {{}} says the opposite of the {settings.center}: a few runs make the one or the other"
    on_tasks = pl.format(" on {} tasks", "n_tasks") if grouped.tasks else pl.lit("")
    percent = (100 * pl.col("coverage")).round().cast(pl.Int64)
    limit = pl.col("limit") + pl.when(pl.col("p_least") < level).then(pl.lit(" before the correction")).otherwise(
        pl.lit("")
    )
    return (
        pl.when(pl.col("n_runs") == 0).then(pl.format("none of {} runs has a value", "n_failed"))
        .when(pl.col("n") == 1).then(pl.lit("one run: no spread, no test"))
        .when(~pl.col("is_testable") & pl.col("limit").is_not_null()).then(limit)
        .when((pl.col("p_holm") < level) & _is_mixed()).then(pl.format(mixed, "test"))
        .when(untold).then(pl.format(_UNTOLD, "n", pl.col("detectable").round_sig_figs(2)))
        .when(_is_few(settings)).then(pl.format(_SHORT, "n", on_tasks, percent))
        .alias("warning")
    )  # fmt: skip


def _sheet(of: Comparison) -> Sheet:
    """Return what is worth printing; what decides (difference, p, verdict) stays where room is short."""
    table, center, share = of.table, of.settings.center, f"{100 * of.settings.confidence:g}%"
    places = numbers.decimals((table["high"] - table["low"]).to_list())

    def number(name: str) -> list[str]:
        return [numbers.number(v, places) for v in table[name]]

    def span(low: str, high: str) -> list[str]:
        return [f"{a} .. {b}" if a else "" for a, b in zip(number(low), number(high), strict=True)]

    columns = [
        *group_keys.key_columns(table, of.grouped.by),
        Column("n", [str(n) for n in table["n"]], rank=2),
        Column("failed", _counts(table["n_failed"]), rank=4),
        Column("diverged", _counts(table["n_diverged"]), rank=3),
        Column(center, number(center), rank=1),
        Column("std", number("std"), rank=6),
        Column(share, span("low", "high"), rank=5),
        Column("best", number("best"), rank=9),
        Column("pairs", _counts(table["n_pairs"]) if _is_partial(table) else [""] * len(table), rank=3),
        Column("compared", number("compared") if _is_other(table, center) else [""] * len(table), rank=3),
        Column("with", number("compared_baseline") if _is_other(table, center) else [""] * len(table), rank=3),
        Column("difference", number("difference")),
        Column(f"{share} of it", span("difference_low", "difference_high"), rank=7),
        Column("P(better)", [numbers.number(v, 2) for v in table["p_improvement"]], rank=8),
        Column("p (Holm)", [numbers.chance(p) for p in table["p_holm"]]),
        Column("verdict", table["verdict"].to_list(), right=False),
    ]
    filled = [c for c in columns if any(c.cells)]
    spread = [f"{a} ± {b}" if b else a for a, b in zip(number(center), number("std"), strict=True)]
    bold: frozenset[int] = frozenset({0}) if len(table) > 1 else frozenset()
    return Sheet(_title(of), filled, bold, of.notes, more=[Column(f"{center} ± std", spread)])


def _counts(numbers: pl.Series) -> list[str]:
    """Return counts as text, nothing where there is none at all."""
    return ["" if n is None or not numbers.sum() else str(n) for n in numbers]


def _is_partial(table: pl.DataFrame) -> bool:
    """Tell whether matching left out runs of some group."""
    base = table.filter(pl.col("verdict") == "baseline")["n"].max()
    return bool(
        table.select(
            ((pl.col("n_pairs") > 0) & (pl.col("n_pairs") < pl.max_horizontal("n", pl.lit(base)))).any()
        ).item()
    )


def _is_other(table: pl.DataFrame, center: str) -> bool:
    """Tell whether some difference is over other runs than the centers in the table."""
    base = table.filter(pl.col("verdict") == "baseline")[center]
    away = (pl.col("compared") - pl.col(center)).abs() + (pl.col("compared_baseline") - pl.lit(base.max())).abs()
    scale = pl.max_horizontal(pl.col(center).abs(), pl.lit(base.abs().max()))
    return bool(table.select((away > 1e-9 * scale).any()).item())


def _title(of: Comparison) -> str:
    grouped = of.grouped
    better = "higher" if grouped.objective.goal == "max" else "lower"
    tasks = f" on {number_of(grouped.runs['task_no'].n_unique(), 'task')}" if grouped.tasks else ""
    base = f"; baseline {group_keys.label(of.baseline)}" if of.baseline is not None else ""
    counts = f"{number_of(grouped.runs.height, 'run')} in {number_of(len(of), 'group')}"
    return f"{grouped.objective.name} ({better} is better){tasks}: {counts}{base}"
