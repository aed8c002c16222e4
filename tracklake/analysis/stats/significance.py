"""Is a difference more than the luck of seeds? Tests, their correction for many comparisons, and sizes of effects."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from tracklake.analysis.stats.options import Test

Floats = np.ndarray[Any, np.dtype[np.float64]]

RANKS_FROM = 10
"""Runs (pairs) from which "auto" takes a test on ranks. With fewer, ranks alone can hardly reach a small p value:
five pairs never fall below p = 1/16."""
_ALL_SIGNS = 13
"""Pairs up to which scipy goes through all signs of tied ranks; with more it takes the normal approximation."""
_PERMUTATIONS = 9_000  # scipy's PermutationMethod takes all of up to 9,999
POWER = 0.8
"""How often a difference of the size `detectable` is found."""


class Spread(NamedTuple):
    """A difference of means, its standard error, and the degrees of freedom of that error."""

    difference: float
    error: float
    freedom: float


class Finding(NamedTuple):
    """What a test found: its name, its two-sided p value (None where none can be made), and why this one."""

    name: str
    p: float | None
    why: str
    least: float = 0.0
    """The smallest p value that the test could have found in so many runs."""
    limit: str | None = None
    """The same in words, where there is such a limit."""
    leaning: float = 0.0
    """Positive where the test sees higher values in the first group, negative where lower: it need not be what the
    means say."""


def paired_differences(first: Sequence[Floats], second: Sequence[Floats]) -> list[Floats]:
    """Return first - second, one array a task, without what is mere rounding of the values.

    0.93 - 0.92 and 0.12 - 0.11 are not the same number; taken as they are, two such pairs would have a spread of
    1e-17, and "prove" anything. What is 13 digits below the largest value of a task is cut off.

    >>> paired_differences([np.array([0.93, 0.12])], [np.array([0.92, 0.11])])[0].tolist()
    [0.01, 0.01]
    """
    differences = []
    for a, b in zip(first, second, strict=True):
        largest = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
        scale = 2.0 ** math.ceil(math.log2(largest)) if largest > 0 else 1.0  # exact to divide by
        differences.append(np.round((a - b) / scale, 13) * scale)
    return differences


def paired_spread(differences: Sequence[Floats]) -> Spread:
    """Return the mean over tasks of the mean paired difference, with its error.

    One array of differences a task. With one task this is the paired t statistic of scipy.stats.ttest_rel. With
    several the error is that of a stratified mean, with Satterthwaite's (1946) degrees of freedom; if some task has a
    single pair, all pairs are taken as one sample.

    >>> paired_spread([np.array([1.0, 2.0, 3.0])])
    Spread(difference=2.0, error=0.5773502691896257, freedom=2.0)
    """
    if len(differences) > 1 and min(len(d) for d in differences) < 2:  # noqa: PLR2004 - a variance takes two
        pooled = np.concatenate(differences)
        return paired_spread([pooled])
    means = [d.mean() for d in differences]
    return _stratified(means, [[d] for d in differences])


def unpaired_spread(first: Sequence[Floats], second: Sequence[Floats]) -> Spread:
    """Return the mean over tasks of the difference of means (first - second), with Welch's (1947) error.

    One array a task in both. With one task this is scipy.stats.ttest_ind(first, second, equal_var=False). Tasks where
    one side has a single run say nothing of the spread and are left out.

    >>> unpaired_spread([np.array([3.0, 4.0, 5.0])], [np.array([1.0, 2.0, 3.0])])
    Spread(difference=2.0, error=0.816496580927726, freedom=4.0)
    """
    repeated = [(a, b) for a, b in zip(first, second, strict=True) if min(len(a), len(b)) > 1]
    return _stratified([a.mean() - b.mean() for a, b in repeated], [[a, b] for a, b in repeated])


def _stratified(means: Sequence[float], samples: Sequence[Sequence[Floats]]) -> Spread:
    """Combine independent means of strata; the variance of each is the sum over its samples of s^2 / n."""
    if not means or any(len(s) < 2 for parts in samples for s in parts):  # noqa: PLR2004 - a variance takes two
        return Spread(float(np.mean(means)) if len(means) else math.nan, math.nan, math.nan)
    parts = [(_squares(s) / (len(s) - 1) / len(s), len(s) - 1) for group in samples for s in group]
    variance = sum(v for v, _ in parts)
    below = sum(v**2 / f for v, f in parts)
    freedom = variance**2 / below if below > 0 else float(sum(f for _, f in parts))
    return Spread(float(np.mean(means)), math.sqrt(variance) / len(means), float(freedom))


def _squares(values: Floats) -> float:
    """Return the sum of squares about the mean, exactly 0 for equal values, whose mean may be off by rounding."""
    return float(((values - values.mean()) ** 2).sum()) if np.ptp(values) > 0 else 0.0


def t_test(spread: Spread) -> float | None:
    """Is the mean difference other than 0? Student's t, two-sided p; None without a spread.

    Answers about means. Not to be used where single wild runs make the mean. Paired or Welch, by how the spread was
    made. Source: Student 1908, Welch 1947.

    >>> round(t_test(Spread(0.03, 0.01, 4.0)), 6)
    0.039942
    """
    from scipy.special import stdtr

    if not spread.error > 0:
        return None
    return float(2 * stdtr(spread.freedom, -abs(spread.difference / spread.error)))


def signed_rank(differences: ArrayLike) -> float | None:
    """Are the paired differences symmetric about 0? Wilcoxon's signed-rank test, two-sided p.

    For matched runs; asks nothing of the shape of the noise but symmetry. Not to be used with fewer than 6 pairs (it
    cannot reach 0.05). Pairs without a difference are left out; all of them: p = 1. Source: Wilcoxon 1945, Demsar
    2006; scipy.stats.wilcoxon.

    >>> signed_rank([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    0.03125
    """
    from scipy.stats import wilcoxon

    pairs = np.asarray(differences, dtype=np.float64)
    if not pairs.size:
        return None
    moved = pairs[pairs != 0]
    if pairs.size <= _ALL_SIGNS and np.unique(np.abs(moved)).size < pairs.size:
        return _over_all_signs(moved)
    return float(wilcoxon(pairs).pvalue) if pairs.any() else 1.0


def _over_all_signs(moved: Floats) -> float:
    """Return the exact p value where ranks tie, as scipy does by one sign pattern after another, in seconds."""
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(moved))
    signs = np.arange(1 << len(ranks))[:, None] >> np.arange(len(ranks)) & 1
    sums, seen = signs @ ranks, ranks[moved > 0].sum()
    return min(1.0, 2.0 * float(min((sums <= seen).mean(), (sums >= seen).mean())))


def rank_sum(first: ArrayLike, second: ArrayLike) -> float | None:
    """Does one group tend to have higher values than the other? The Mann-Whitney U test, two-sided p.

    For runs that are not matched. Not to be read as a test of means or medians unless the two spread alike. Source:
    Mann and Whitney 1947; scipy.stats.mannwhitneyu, with few runs and ties over all permutations: its normal
    approximation finds p < 0.05 in three runs against three, of which the smallest possible p is 0.1.

    >>> round(rank_sum([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]), 6)
    0.028571
    """
    from scipy.stats import PermutationMethod, mannwhitneyu

    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not (a.size and b.size):
        return None
    tied = np.unique(np.concatenate([a, b])).size < a.size + b.size
    exact = tied and math.comb(a.size + b.size, a.size) <= _PERMUTATIONS
    return float(mannwhitneyu(a, b, method=PermutationMethod() if exact else "auto").pvalue)


def probability_of_improvement(first: Sequence[ArrayLike], second: Sequence[ArrayLike]) -> float:
    """How likely is a run of the first group to beat one of the second? On a task drawn at random.

    One array a task in both; higher is better (negate for losses). A tie counts a half. It says how often, not by how
    much: 0.9 may be a gain of a thousandth. Source: Agarwal et al. 2021 (rliable); Mann and Whitney's U / (n m).

    >>> probability_of_improvement([[3.0, 4.0]], [[1.0, 3.0]])
    0.875
    """
    shares = []
    for a, b in zip(first, second, strict=True):
        ordered = np.sort(np.asarray(b, dtype=np.float64))
        wins = np.searchsorted(ordered, a, side="left") + np.searchsorted(ordered, a, side="right")
        shares.append(wins.mean() / 2 / ordered.size)
    return float(np.mean(shares)) if shares else math.nan


def hedges_g(first: Sequence[Floats], second: Sequence[Floats]) -> float:
    """How large is the difference of means (first - second), in standard deviations? Those between runs.

    One array a task in both; the standard deviation is pooled within tasks and groups, and Hedges' correction
    1 - 3 / (4 f - 1) takes out the bias of small samples. About 0.2 is called small and 0.8 large. Not to be used to
    compare metrics whose seeds vary for other reasons. NaN without a spread. Source: Hedges 1981; the same as
    statsmodels' effectsize_smd for one task.

    >>> round(hedges_g([np.array([3.0, 4.0, 5.0])], [np.array([1.0, 2.0, 3.0])]), 4)
    1.6
    """
    groups = [*first, *second]
    freedom = sum(len(g) - 1 for g in groups)
    squares = sum(_squares(g) for g in groups)
    if freedom < 1 or squares == 0:
        return math.nan
    difference = np.mean([a.mean() - b.mean() for a, b in zip(first, second, strict=True)])
    return float(difference / math.sqrt(squares / freedom) * (1 - 3 / (4 * freedom - 1)))


def detectable(spread: Spread, *, level: float = 0.05) -> float:
    """How large would a true difference have to be, for this many runs to show it? In four cases of five.

    The smallest difference of means that a two-sided t test at this level finds with a power of 0.8. Where what is
    observed is far below it, the runs are too few to tell. Not a property of the models: it shrinks with more seeds.
    Source: the noncentral t distribution; the same as statsmodels' TTestPower.solve_power.

    >>> round(detectable(Spread(0.0, 1.0, 9.0)), 4)
    3.1496
    """
    return spread.error * _noncentrality(round(spread.freedom, 2), level) if spread.error > 0 else math.nan


@lru_cache(maxsize=4096)
def _noncentrality(freedom: float, level: float) -> float:
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    beyond = float(t.isf(level / 2, freedom))

    def lacking(shift: float) -> float:
        return float(nct.sf(beyond, freedom, shift) + nct.sf(beyond, freedom, -shift)) - POWER

    upper = beyond
    while lacking(upper) < 0:
        upper *= 1.2
    return float(brentq(lacking, 0.0, upper, xtol=1e-12))


def paired_test(differences: Sequence[Floats], *, kind: Test = "auto", why: str = "") -> Finding:
    """Choose and make the test for matched runs: differences of each task, one a pair; `why` says how they match.

    >>> found = paired_test([np.array([0.02, 0.03, 0.04])], why="3 of 3 match by seed")
    >>> found.name, round(found.p, 4)
    ('paired t', 0.0351)
    >>> paired_test([np.array([0.02])])
    Finding(name='none', p=None, why='1 matched pair has no spread', least=0.0, limit=None, leaning=0.0)
    """
    pairs = np.concatenate(differences) if len(differences) else np.empty(0)
    if len(pairs) < 2:  # noqa: PLR2004 - a spread takes two
        return Finding("none", None, "1 matched pair has no spread" if len(pairs) else "no runs match")
    if not pairs.any():
        return Finding("none", 1.0, f"{why}, and all pairs are equal")
    spread = paired_spread(differences)
    p = None if kind == "rank" or (kind == "auto" and len(pairs) >= RANKS_FROM) else t_test(spread)
    if p is not None:
        return Finding("paired t", p, why, leaning=spread.difference)
    why += "" if spread.error > 0 else ", and all differences are the same"
    n = np.count_nonzero(pairs)
    least = min(1.0, 2.0 * 0.5**n)
    limit = _limit(f"{n:,} {'pair' if n == 1 else 'pairs'} that differ", least)
    return Finding("Wilcoxon signed-rank", signed_rank(pairs), why, least, limit, _rank_sum_of_signs(pairs))


def _limit(runs: str, least: float) -> str:
    """Say below what p value so many runs cannot go."""
    return f"{runs} cannot go below p = {least:.2g}"


def _rank_sum_of_signs(pairs: Floats) -> float:
    from scipy.stats import rankdata

    return float(np.sign(pairs) @ rankdata(np.abs(pairs)))


def unpaired_test(first: Sequence[Floats], second: Sequence[Floats], *, kind: Test = "auto", why: str = "") -> Finding:
    """Choose and make the test for runs that do not match; `why` says why not.

    >>> found = unpaired_test([np.array([3.0, 4.0, 5.0])], [np.array([1.0, 2.0, 3.0])], why="no seed in common")
    >>> found.name, round(found.p, 4), found.why
    ('Welch t', 0.0705, 'no seed in common')
    """
    smallest = min((min(len(a), len(b)) for a, b in zip(first, second, strict=True)), default=0)
    ranks = kind == "rank" or (kind == "auto" and smallest >= RANKS_FROM)
    if len(first) == 1 and ranks and smallest:
        return _mann_whitney(first[0], second[0], why)
    if kind == "rank" and len(first) > 1:
        why += "; ranks of several tasks do not compare, so the means do"
    spread = unpaired_spread(first, second)
    p = t_test(spread)
    if p is not None:
        return Finding("Welch t", p, why, leaning=spread.difference)
    if smallest < 2 or len(first) > 1:  # noqa: PLR2004 - a spread takes two
        return Finding("none", None, f"{why}, and a group of one run has no spread")
    return _mann_whitney(first[0], second[0], f"{why}; neither group spreads")


def _mann_whitney(first: Floats, second: Floats, why: str) -> Finding:
    leaning = probability_of_improvement([first], [second]) - 0.5
    least = min(1.0, 2 / math.comb(len(first) + len(second), len(first)))
    limit = _limit(f"{len(first):,} and {len(second):,} runs", least)
    return Finding("Mann-Whitney U", rank_sum(first, second), why, least, limit, leaning)


def holm(p: ArrayLike, *, comparisons: int | None = None) -> Floats:
    """Correct p values so that the chance of even one false finding among all of them stays at the level.

    NaN stays NaN and does not count as a comparison. `comparisons` is how many there were, where these were picked out
    of more (`pairs_of`). Strict: for screening hundreds of settings, where some false findings do no harm,
    Benjamini-Hochberg finds more. Source: Holm 1979; statsmodels multipletests(method="holm").

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    return _corrected(p, comparisons, holm_factor=True)


def benjamini_hochberg(p: ArrayLike, *, comparisons: int | None = None) -> Floats:
    """Correct p values so that among what is called different, the expected share of false findings stays at the level.

    NaN stays NaN and does not count; `comparisons` as in `holm`. Not to be used where one false finding is one too
    many. Source: Benjamini and Hochberg 1995; scipy.stats.false_discovery_control.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    return _corrected(p, comparisons, holm_factor=False)


def pairs_of(p: ArrayLike) -> int:
    """Return how many pairs the groups make of which one was compared with these others.

    Where that one was chosen for being the best, chance has had all pairs to choose from: corrected over its own
    comparisons alone, one of 20 equal groups is called worse in 12 to 20% of tables rather than in 5%.

    >>> pairs_of([0.01, 0.04, float("nan")])
    3
    """
    others = int((~np.isnan(np.asarray(p, dtype=np.float64))).sum())
    return others * (others + 1) // 2


def _corrected(p: ArrayLike, comparisons: int | None, *, holm_factor: bool) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    m = max(comparisons or 0, len(order))
    rank = np.arange(1, len(order) + 1)
    if holm_factor:
        ordered = np.maximum.accumulate(values[order] * (m - rank + 1))
    else:
        ordered = np.minimum.accumulate((values[order] * m / rank)[::-1])[::-1]
    result = np.full(values.shape, np.nan)
    result[order] = np.minimum(ordered, 1.0)
    return result
