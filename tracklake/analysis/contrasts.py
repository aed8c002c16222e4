"""Contrasts: differences of one group against another: tests, intervals, sizes of effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.analysis import matching
from tracklake.analysis.stats import bootstrap, resampling, significance
from tracklake.analysis.stats.options import Center, Test
from tracklake.common import arguments
from tracklake.common.lazy_numpy import np
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.analysis.grouped_runs import GroupedRuns
    from tracklake.analysis.matching import Pair
    from tracklake.analysis.stats.resampling import Sample

Booleans = np.ndarray[Any, np.dtype[np.bool_]]

_STATISTICS: dict[str, pl.DataType | type[pl.DataType]] = {
    "compared": pl.Float64,
    "compared_baseline": pl.Float64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "p_improvement": pl.Float64,
    "effect": pl.Float64,
    "detectable": pl.Float64,
    "n_pairs": pl.Int64,
    "test": pl.String,
    "p": pl.Float64,
    "p_least": pl.Float64,
    "leaning": pl.Float64,
    "limit": pl.String,
    "why": pl.String,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a comparison is made."""

    center: Center = "mean"
    test: Test = "auto"
    confidence: float = 0.95
    draws: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be, naming what can; keep numbers as plain ones."""
        arguments.check_word("center", self.center, Center, error=DefinitionError)
        arguments.check_word("test", self.test, Test, error=DefinitionError)
        object.__setattr__(self, "confidence", arguments.share("confidence", self.confidence, such_as=0.95))
        object.__setattr__(self, "draws", arguments.whole("draws", self.draws, least=1))
        object.__setattr__(self, "seed", arguments.whole("seed", self.seed, least=0))


def against(grouped: GroupedRuns, observations: pl.DataFrame, settings: Settings, base: int | None) -> pl.DataFrame:
    """Return what is said of each group against the baseline, a row a group; null for the baseline itself.

    `base` is the number of its group, None for no baseline. Differences are in the unit of the objective.

    >>> grouped = example().compare("acc", by="lr", goal="max", draws=10).grouped
    >>> against(grouped, grouped.observations, Settings(draws=10), 0)["difference"].round(3).to_list()
    [None, 0.3]
    """
    rows: list[dict[str, Any]] = [{} for _ in range(grouped.n_groups)]
    if base is not None:
        matcher = matching.Matcher(grouped.sample(observations), what=grouped.matched, unit=grouped.unit)
        by_run = matching.Matcher(grouped.sample(observations, unit="run"), what="")
        pairs = {g: matcher.pair(g, base) for g in range(len(rows)) if g != base}
        pairs = {g: pair for g, pair in pairs.items() if pair.tasks}
        for g, pair in pairs.items():
            rows[g] = _tested(pair, settings) | _improvement(by_run.pair(g, base), grouped.objective.sign)
        for g, estimates in _intervals(pairs, settings):
            rows[g] |= estimates
    return pl.DataFrame(rows, schema=_STATISTICS).with_columns(pl.col(pl.Float64).fill_nan(None))


def _improvement(pair: Pair, sign: float) -> dict[str, float]:
    """Return how likely a run of the group beats one of the baseline, in the mean over the tasks that both have."""
    first, second = ([sign * v for v in values] for values in (pair.first, pair.second))
    return {"p_improvement": significance.probability_of_improvement(first, second)}


def _tested(pair: Pair, settings: Settings) -> dict[str, Any]:
    """Return the test and the effect size of one pair of groups."""
    if pair.matched:
        differences = significance.paired_differences(pair.first, pair.second)
        spread = significance.paired_spread(differences)
        test = significance.paired_test(differences, kind=settings.test, why=pair.why)
    else:
        spread = significance.unpaired_spread(pair.first, pair.second)
        test = significance.unpaired_test(pair.first, pair.second, kind=settings.test, why=pair.why)
    return {
        "effect": significance.hedges_g(pair.first, pair.second),
        "detectable": significance.detectable(spread, level=1 - settings.confidence),
        "n_pairs": sum(map(len, pair.first)) if pair.matched else 0,
        "test": test.name,
        "p": test.p,
        "p_least": test.least,
        "leaning": test.leaning,
        "limit": test.limit,
        "why": test.why,
    }


def _intervals(pairs: dict[int, Pair], settings: Settings) -> Iterator[tuple[int, dict[str, float | None]]]:
    """Yield each group with its center and the baseline's over what is compared, their difference and its bounds."""
    if not pairs:
        return
    groups = list(pairs)
    sides = _sides(pairs)
    center = resampling.centers(sides, center=settings.center, size=2 * len(groups)).reshape(-1, 2)
    single: Booleans = np.logical_or.reduce(alone(sides, 2 * len(groups)).reshape(-1, 2), axis=1)
    seed = settings.seed + 1
    drawn = resampling.resampled(sides, center=settings.center, draws=settings.draws, seed=seed, together=2)
    for columns, values in drawn:
        low, high = bootstrap.bounds(values[::2] - values[1::2], settings.confidence)
        for row, pair in enumerate((columns[::2] // 2).tolist()):
            first, second = center[pair].tolist()
            estimates = {"compared": first, "compared_baseline": second, "difference": first - second}
            bounds = {} if single[pair] else {"difference_low": float(low[row]), "difference_high": float(high[row])}
            yield groups[pair], estimates | bounds


def _sides(pairs: dict[int, Pair]) -> Sample:
    """Return one sample in which pair i has the columns 2 i (the group) and 2 i + 1 (the baseline).

    Where they are matched both have the same cells, so that the same seeds are drawn for both.
    """
    rows: list[tuple[int, int, int, float]] = []
    for i, pair in enumerate(pairs.values()):
        for column, values_of_tasks in ((2 * i, pair.first), (2 * i + 1, pair.second)):
            for task, values in zip(pair.tasks, values_of_tasks, strict=True):
                rows += [(column, task, cell if pair.matched else -1, v) for cell, v in enumerate(values.tolist())]
    columns, tasks, cells, numbers = zip(*rows, strict=True)
    return resampling.sample(columns, stratum=tasks, cell=cells, value=numbers)


def alone(sample: Sample, size: int) -> Booleans:
    """Tell which columns have a single value in each of their strata.

    >>> whole = resampling.sample([0, 1, 1], stratum=[0, 0, 0], cell=[-1] * 3, value=[1.0, 2.0, 3.0])
    >>> alone(whole, 2).tolist()
    [True, False]
    """
    pairs = np.unique(np.stack([sample.column, sample.stratum]), axis=1)
    single: Booleans = np.bincount(sample.column, minlength=size) <= np.bincount(pairs[0], minlength=size)
    return single
