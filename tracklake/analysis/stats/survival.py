"""How long until it happens, where for some it has not happened yet: Kaplan-Meier and the log-rank test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats = np.ndarray[Any, np.dtype[np.float64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


class Survival(NamedTuple):
    """The share that has not got there yet, after each x at which some did.

    x, share, error (standard error of the share, Greenwood), at_risk (just before x), reached (at x): arrays of one
    length, in order of x.
    """

    x: Floats
    share: Floats
    error: Floats
    at_risk: Floats
    reached: Floats

    @property
    def median(self) -> float:
        """The first x by which half have got there; NaN if that was not seen.

        >>> kaplan_meier([10.0, 20.0, 30.0], [True, True, False]).median
        20.0
        >>> kaplan_meier([10.0, 20.0, 30.0], [True, False, False]).median  # fewer than half did
        nan
        """
        reached = np.flatnonzero(self.share <= 0.5 + 1e-12)
        return float(self.x[reached[0]]) if len(reached) else math.nan

    def median_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Within which x does the median lie? NaN for a bound beyond what was seen.

        The x at which the log(-log) interval of the share holds a half. Source: Brookmeyer and Crowley 1982, in the
        form of SAS and statsmodels (SurvfuncRight.quantile_ci, method="cloglog").

        >>> kaplan_meier([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [True] * 8).median_interval()
        (1.0, 7.0)
        """
        from scipy.special import ndtri

        with np.errstate(divide="ignore", invalid="ignore"):
            slope = -1 / (self.share * np.log(self.share))
            away = (np.log(-np.log(self.share)) - math.log(math.log(2))) / (slope * self.error)
        inside = np.flatnonzero(np.abs(away) <= ndtri(0.5 + confidence / 2))
        if not len(inside):
            return math.nan, math.nan
        last = int(inside[-1]) + 1
        return float(self.x[inside[0]]), float(self.x[last]) if last < len(self.x) else math.nan

    def interval(self, confidence: float = 0.95) -> tuple[Floats, Floats]:
        """Return the bounds of the share at each x, by log(-log), which keeps them between 0 and 1.

        >>> low, high = kaplan_meier([1.0, 2.0, 3.0, 4.0], [True, True, False, False]).interval()
        >>> low.round(3).tolist(), high.round(3).tolist()
        ([0.128, 0.058], [0.961, 0.845])
        """
        from scipy.special import ndtri

        with np.errstate(divide="ignore", invalid="ignore"):
            width = ndtri(0.5 + confidence / 2) * self.error / (self.share * np.log(self.share))
            return self.share ** np.exp(-width), self.share ** np.exp(width)


def kaplan_meier(x: ArrayLike, reached: ArrayLike) -> Survival:
    """What share has not got there by x? Who never does is censored where it was watched last, rather than dropped.

    `x` is where each got there, or was last seen. Not to be used where being watched no longer has to do with the
    outcome: runs stopped because they did badly make it too hopeful. Source: Kaplan and Meier 1958; the same as
    scipy.stats.ecdf of censored data and statsmodels' SurvfuncRight.

    >>> seen = kaplan_meier([10.0, 20.0, 20.0, 30.0], [True, True, False, False])
    >>> seen.x.tolist(), seen.share.tolist(), seen.median
    ([10.0, 20.0], [0.75, 0.5], 20.0)
    """
    at, events = np.asarray(x, dtype=np.float64), np.asarray(reached, dtype=np.bool_)
    times = np.unique(at[events])
    risk, happened = _at_risk(at, times), _counted(at[events], times)
    share = np.cumprod(1 - happened / risk).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = share * np.sqrt(np.cumsum(happened / (risk * (risk - happened))))
    return Survival(times, share, error.astype(np.float64), risk, happened)


def log_rank(x: ArrayLike, reached: ArrayLike, group: ArrayLike) -> tuple[float, float]:
    """Do some groups get there sooner than others? The log-rank test: chi-square over (groups - 1), and its p value.

    Compares the whole course, and weighs all of it alike. Not to be used where the curves cross: early and late
    differences cancel out. NaN if there is one group, or none got there. Source: Mantel 1966; the same as statsmodels'
    survdiff, and for two groups as scipy.stats.logrank.

    >>> statistic, p = log_rank([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [True] * 6, [0, 0, 0, 1, 1, 1])
    >>> print(f"{statistic:.4f} {p:.4f}")
    5.0517 0.0246
    """
    from scipy.special import gammaincc

    at, events = np.asarray(x, dtype=np.float64), np.asarray(reached, dtype=np.bool_)
    names, label = np.unique(np.asarray(group), return_inverse=True)
    times = np.unique(at[events])
    if len(names) < 2 or not len(times):  # noqa: PLR2004 - nothing to compare
        return math.nan, math.nan
    risk = np.stack([_at_risk(at[label == g], times) for g in range(len(names))])
    happened = np.stack([_counted(at[(label == g) & events], times) for g in range(len(names))])
    everyone, all_events = risk.sum(axis=0), happened.sum(axis=0)
    expected = risk * all_events / everyone
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(everyone > 1, all_events * (everyone - all_events) / (everyone**2 * (everyone - 1)), 0.0)
    covariance = np.diag((risk * everyone * factor).sum(axis=1)) - (risk * factor) @ risk.T
    away = (happened - expected).sum(axis=1)[1:]
    statistic = float(away @ np.linalg.lstsq(covariance[1:, 1:], away)[0])
    return statistic, float(gammaincc((len(names) - 1) / 2, statistic / 2))


def _at_risk(at: Floats, times: Floats) -> Floats:
    return len(at) - np.searchsorted(np.sort(at), times, side="left").astype(np.float64)


def _counted(at: Floats, times: Floats) -> Floats:
    return np.bincount(np.searchsorted(times, at), minlength=len(times)).astype(np.float64)
