"""The bootstrap: what an aggregate might have been, had other seeds been drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.analysis.stats import resampling
from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tracklake.analysis.stats.options import Center
    from tracklake.analysis.stats.resampling import Floats


def iqm(values: ArrayLike) -> float:
    """How good is the middle half of the runs? The interquartile mean.

    The mean of what is left when a quarter (rounded down) of the values is cut off at each end: less noisy than the
    median, less moved by single runs than the mean. Not to be used where the tails are what matters, as in how often
    training fails. Source: Agarwal et al. 2021; the same as scipy.stats.trim_mean(values, 0.25).

    >>> iqm([0.0, 1.0, 2.0, 9.0])
    1.5
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    return float(np.mean(ordered[resampling.kept("iqm", ordered.size)])) if ordered.size else float("nan")


def interval(
    values: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    center: Center = "mean",
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Within which bounds would the mean (median, IQM) of such runs lie? Were they done again with other seeds.

    The percentile interval of the stratified bootstrap. `strata` names the task of each value: each task is drawn from
    by itself. With several tasks the mean is that of the task means, and the median that of the task means.
    Not to be used with fewer than about 10 values: it is then too narrow (of 5 values a 95% interval holds the truth
    in 82% of cases: `coverage`), and it tells nothing of other tasks. Source: Efron 1979; Agarwal et al. 2021
    (rliable).

    >>> low, high = interval([0.71, 0.74, 0.73, 0.70, 0.77, 0.72], seed=1)
    >>> print(f"{low:.3f} {high:.3f}")
    0.712 0.748
    """
    numbers = np.asarray(values, dtype=np.float64).ravel()
    of = (
        np.zeros(numbers.size, dtype=np.int64)
        if strata is None
        else np.unique(np.asarray(strata), return_inverse=True)[1]
    )
    sample = resampling.sample(np.zeros(numbers.size), stratum=of, cell=np.full(numbers.size, -1), value=numbers)
    ((_, drawn),) = resampling.resampled(sample, center=center, draws=draws, seed=seed)
    low, high = bounds(drawn, confidence)
    return float(low[0]), float(high[0])


def coverage(sizes: ArrayLike, *, confidence: float = 0.95) -> float:
    """How often, at most, does such an interval of the mean hold the truth? With so many values of each task.

    Drawn from n values, their variance is (n - 1) / n of what it should be, and it is itself uncertain (Student's t):
    both make the interval too narrow, more so the fewer the values of a task are. NaN where no task has two. For normal
    values; with very few (5: 0.82) and with skewed ones it is even less, so not to be taken as exact. Source:
    Hesterberg 2015 (narrowness bias).

    >>> round(coverage([5]), 3), round(coverage([3] * 100), 3), round(coverage([30]), 3)
    (0.846, 0.889, 0.936)
    """
    from scipy.special import ndtri, stdtr

    n = np.asarray(sizes, dtype=np.float64)
    freedom = float((n - 1).sum())
    if freedom < 1:
        return float("nan")
    shrunk = ((n - 1) / n**2).sum() / (1 / n).sum()
    return float(1 - 2 * stdtr(freedom, -ndtri(0.5 + confidence / 2) * np.sqrt(shrunk)))


def bounds(drawn: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the percentile bounds of each row of draws.

    >>> import numpy as np
    >>> low, high = bounds(np.arange(101.0)[None, :], 0.9)
    >>> low.round(9).tolist(), high.round(9).tolist()
    ([5.0], [95.0])
    """
    beyond = (1 - confidence) / 2
    low, high = np.quantile(drawn, [beyond, 1 - beyond], axis=1)
    return low, high
