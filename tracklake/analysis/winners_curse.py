"""The winner's curse: how sure the order of settings is, and how much of the best of many is chance."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.analysis import group_keys
from tracklake.analysis.stats import resampling
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.common.lazy_numpy import np
from tracklake.common.text import number_of
from tracklake.display import tables
from tracklake.display.labels import printable_lines
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.analysis.objectives import Objective

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class Ranks(NamedTuple):
    """For each group: its rank by the mean (1 is the best), and what ranks it had over the draws."""

    rank: Ints
    low: Ints
    high: Ints
    p_best: Floats
    p_top: Floats


class Shrunken(NamedTuple):
    """Group means drawn towards each other: the means, what they are drawn to, and both standard deviations."""

    means: Floats
    center: float
    between: float
    within: float


def spread(groups: Sequence[Floats]) -> float:
    """Return the standard deviation between runs of one setting, pooled over the settings; NaN if none is repeated.

    >>> spread([np.array([1.0, 3.0]), np.array([7.0])])
    1.4142135623730951
    """
    freedom = sum(len(g) - 1 for g in groups)
    return math.sqrt(sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / freedom) if freedom else math.nan


def rank_stability(
    groups: Sequence[Floats], *, top: int, noise: float | None, draws: int, confidence: float, seed: int
) -> Ranks:
    """Would the same settings win with other seeds? Ranks over draws of the runs; lower values are better.

    Runs are drawn again within each setting, and what the mean moves by is widened by the root of n / (n - 1), which
    draws of n values lack; a setting of one run gets normal noise of the pooled spread (or of `noise`). Not to be used
    with two or three seeds a setting as more than a hint: two that happen to agree do not vary when drawn. Source: the
    bootstrap of rankings, Hall and Miller 2009.

    >>> groups = [np.array([0.1, 0.2]), np.array([0.8, 0.9])]
    >>> found = rank_stability(groups, top=1, noise=None, draws=100, confidence=0.95, seed=0)
    >>> found.rank.tolist(), found.low.tolist(), found.high.tolist(), found.p_best.tolist()
    ([1, 2], [1, 2], [1, 2], [1.0, 0.0])
    """
    noise = _checked_noise(noise)
    top = arguments.whole("top", top, least=1)
    draws = arguments.whole("draws", draws, least=1)
    seed = arguments.whole("seed", seed, least=0)
    confidence = arguments.share("confidence", confidence, such_as=0.95)
    drawn = _drawn_means(groups, noise, draws=draws, seed=seed)
    places = _ranked(drawn)
    beyond = (1 - confidence) / 2
    low, high = np.quantile(places, [beyond, 1 - beyond], axis=1, method="inverted_cdf").astype(np.int64)
    rank = _ranked(np.array([[g.mean()] for g in groups]))[:, 0]
    return Ranks(rank, low, high, (places == 1).mean(axis=1), (places <= top).mean(axis=1))


def _drawn_means(groups: Sequence[Floats], noise: float | None, *, draws: int, seed: int) -> Floats:
    """Return draws of the mean of each group (groups x draws)."""
    drawn = np.empty((len(groups), draws))
    several = np.array([i for i, g in enumerate(groups) if len(g) > 1], dtype=np.int64)
    if len(several):
        column = np.repeat(np.arange(len(several)), [len(groups[i]) for i in several])
        nothing = np.zeros(len(column))
        values = np.concatenate([groups[i] for i in several])
        sample = resampling.sample(column, stratum=nothing, cell=nothing - 1, value=values)
        for columns, means in resampling.resampled(sample, center="mean", draws=draws, seed=seed):
            drawn[several[columns]] = _widened(means, [groups[i] for i in several[columns]])
    single = [i for i, g in enumerate(groups) if len(g) == 1]
    size = _noise(groups, noise) if single else 0.0
    generator = np.random.default_rng((seed, 1))
    for i in single:
        drawn[i] = groups[i][0] + size * generator.standard_normal(draws)
    return drawn


def _widened(drawn: Floats, groups: Sequence[Floats]) -> Floats:
    middle = np.array([[g.mean()] for g in groups])
    widened: Floats = middle + (drawn - middle) * np.array([[math.sqrt(len(g) / (len(g) - 1))] for g in groups])
    return widened


def _ranked(values: Floats) -> Ints:
    """Return the rank of each row within each column, 1 for the lowest; equal values share the best rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, method="min", axis=0), dtype=np.int64)


def shrunken(groups: Sequence[Floats], *, noise: float | None = None) -> Shrunken:
    """How good are the settings once the luck of the draw is taken out? Empirical Bayes.

    Each mean is drawn towards the mean of all, the more the less it stands out from the noise. The best of many is
    best partly by luck, and this says by how much. Not to be used where a few settings are of another kind than the
    rest: all are taken as draws from one normal distribution. `noise` is the standard deviation between runs of one
    setting, where none is repeated. Source: Efron and Morris 1975; the variance between settings by DerSimonian and
    Laird 1986 (the same as statsmodels' combine_effects).

    >>> found = shrunken([np.array([1.0, 3.0]), np.array([4.0, 6.0]), np.array([7.0, 9.0])])
    >>> found.means.round(3).tolist()
    [2.333, 5.0, 7.667]
    """
    size = _noise(groups, _checked_noise(noise))
    means = np.array([g.mean() for g in groups])
    errors = size**2 / np.array([len(g) for g in groups], dtype=np.float64)
    if size == 0 or len(means) < 2:  # noqa: PLR2004 - one setting is drawn nowhere
        return Shrunken(means, float(means.mean()), float(means.std()), size)
    weights = 1 / errors
    fixed = np.average(means, weights=weights)
    away = float(weights @ (means - fixed) ** 2) - (len(means) - 1)
    between = max(away / float(weights.sum() - (weights**2).sum() / weights.sum()), 0.0)
    center = float(np.average(means, weights=1 / (between + errors)))
    weight = between / (between + errors)
    return Shrunken(center + weight * (means - center), center, math.sqrt(between), size)


def _checked_noise(noise: float | None) -> float | None:
    if noise is None:
        return None
    if (checked := arguments.number("noise", noise)) < 0:
        raise DefinitionError(f"noise={noise}; it is a standard deviation, at least 0")
    return checked


def _noise(groups: Sequence[Floats], noise: float | None) -> float:
    size = spread(groups) if noise is None else noise
    if math.isnan(size):
        raise DefinitionError(
            "no setting was run twice, so that luck cannot be told from skill: repeat some with other seeds, "
            "or say noise=, the standard deviation that you expect between seeds"
        )
    return size


@lru_cache(maxsize=256)
def expected_maximum(n: int) -> float:
    """How far above the mean is the best of n equals? The expected maximum of n standard normal numbers.

    Times the noise between runs it is what the best of n settings gains by luck alone if all are equally good.
    Source: Tippett 1925.

    >>> round(expected_maximum(10), 5)
    1.53875
    """
    from scipy.integrate import quad
    from scipy.special import log_ndtr

    def density(x: float) -> float:
        return x * n * math.exp((n - 1) * float(log_ndtr(x)) - x * x / 2) / math.sqrt(2 * math.pi)

    return float(quad(density, -12, 12, limit=500, points=[0, 2, 4])[0])


@raised_again_by_methods
@dataclass(frozen=True, repr=False)
class WinnersCurse:
    """What the best of many settings would do with new seeds.

    observed and corrected are its mean as seen and as expected again, luck the difference (never negative), by_chance
    what the best would gain if all settings were equally good, noise the standard deviation between seeds. `.table` has
    a row a setting: its parameters, n, mean, corrected, the best first.
    """

    metric: str
    best: str
    n: int
    observed: float
    corrected: float
    by_chance: float
    noise: float
    table: pl.DataFrame = field(repr=False)

    @property
    def luck(self) -> float:
        """How much of the best is luck, in the metric's unit.

        >>> round(WinnersCurse("acc", "lr=0.1", 1, 0.90, 0.87, 0.06, 0.1, pl.DataFrame()).luck, 2)
        0.03
        """
        return abs(self.observed - self.corrected)

    def __repr__(self) -> str:
        """Return it in sentences, at most 80 characters wide."""
        runs = number_of(self.n, "run")
        best = f"The best of {number_of(self.table.height, 'setting')} by {self.metric} is {self.best}"
        sentences = (
            f"{best}: {self.observed:.4f}, the mean of {runs}.",
            f"Of that {self.luck:.4f} is luck: with new seeds expect {self.corrected:.4f}.",
            f"If all settings were equally good, the best would still look {self.by_chance:.4f} better than the mean.",
        )
        lines = (textwrap.fill(sentence, tables.WIDTH, subsequent_indent="  ") for sentence in sentences)
        return printable_lines("\n".join(lines))


def of_the_best(
    keys: pl.DataFrame, groups: Sequence[Floats], objective: Objective, noise: float | None
) -> WinnersCurse:
    """Return how lucky the best setting was; `groups` has the losses of the runs of each row of `keys`.

    >>> from tracklake.analysis.objectives import Objective
    >>> keys = pl.DataFrame({"config.lr": [0.1, 0.01]})
    >>> losses = [np.array([-0.9, -0.7]), np.array([-0.5, -0.7])]
    >>> found = of_the_best(keys, losses, Objective("acc", "acc", "max"), None)
    >>> found.best, round(found.observed, 2), round(found.corrected, 2)
    ('lr=0.1', 0.8, 0.75)
    """
    corrected = shrunken(groups, noise=noise)
    means = np.array([g.mean() for g in groups])
    first = int(means.argmin())
    sign = -objective.sign
    measured = pl.DataFrame(
        {"n": [len(g) for g in groups], "mean": sign * means, "corrected": sign * corrected.means, "loss": means}
    )
    typical = float(np.mean([corrected.within / math.sqrt(len(g)) for g in groups]))
    return WinnersCurse(
        metric=objective.name,
        best=group_keys.label(keys.row(first, named=True) if keys.width else {}),
        n=len(groups[first]),
        observed=sign * float(means[first]),
        corrected=sign * float(corrected.means[first]),
        by_chance=typical * expected_maximum(len(groups)),
        noise=corrected.within,
        table=measured.hstack(keys).sort("loss", maintain_order=True).select(*keys.columns, "n", "mean", "corrected"),
    )
