"""Early stopping: rules that end runs before they are done, tried on runs that were all carried to their end."""

from __future__ import annotations

import bisect
import math
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class Rule(Protocol):
    """Decides, run by run in the order in which they started, at which report a run is stopped."""

    def run(self, steps: Ints, losses: Floats) -> int:
        """Take a run's reports (lower is better, NaN as it is); return how many it makes, all if it is not stopped."""
        ...


def _lists() -> dict[int, list[float]]:
    return defaultdict(list)


@dataclass
class Median:
    """Stop a run whose best is worse than the median of the completed runs at the same step.

    Source: Golovin et al. 2017 (Vizier); report by report what optuna's PercentilePruner does.

    >>> curves = [(np.arange(2), np.array(losses)) for losses in ([3.0, 1.0], [9.0, 9.0])]
    >>> replayed(Median(startup=1), curves).tolist()
    [2, 1]
    """

    percentile: float = 50.0
    startup: int = 5
    """Runs that are completed before any is stopped."""
    warmup: int = 0
    """The step before which none is stopped."""
    interval: int = 1
    """Steps between two decisions."""
    _completed: int = field(default=0, init=False, repr=False)
    _values: dict[int, list[float]] = field(default_factory=_lists, init=False, repr=False)

    def run(self, steps: Ints, losses: Floats) -> int:
        """Return how many reports the run makes.

        >>> rule = Median(startup=1)
        >>> rule.run(np.arange(3), np.array([3.0, 2.0, 1.0])), rule.run(np.arange(3), np.array([2.0, 3.0, 3.0]))
        (3, 3)
        >>> rule.run(np.arange(3), np.array([9.0, 9.0, 9.0]))
        1
        """
        best, last = math.nan, -1
        for i, (step, loss) in enumerate(zip(steps.tolist(), losses.tolist(), strict=True)):
            best = loss if math.isnan(best) or loss < best else best
            due = step >= self.warmup and last < self._decision(step)
            last = step
            if due and self._completed >= max(self.startup, 1) and self._is_bad(step, best):
                return i + 1
        for step, loss in zip(steps.tolist(), losses.tolist(), strict=True):
            if not math.isnan(loss):
                bisect.insort(self._values[step], loss)
        self._completed += 1
        return len(steps)

    def _decision(self, step: int) -> int:
        return (step - self.warmup) // self.interval * self.interval + self.warmup

    def _is_bad(self, step: int, best: float) -> bool:
        if math.isnan(best):
            return True  # nothing but NaN yet
        others = self._values.get(step)
        return bool(others) and best > _percentile(others or [], self.percentile)


@dataclass
class SuccessiveHalving:
    """Stop a run that is not among the best 1/eta of those that have come as far (asynchronously, as ASHA does).

    Rungs stand at min_resource * eta**(rate + rung) steps. Source: Li et al. 2020 (ASHA); report by report what
    optuna's SuccessiveHalvingPruner does.

    >>> curves = [(np.arange(4), np.full(4, loss)) for loss in (1.0, 2.0)]
    >>> replayed(SuccessiveHalving(min_resource=1, eta=2), curves).tolist()
    [4, 2]
    """

    min_resource: int | None = None
    """The step of the first rung; None: a hundredth of the longest run completed so far."""
    eta: int = 4
    rate: int = 0
    _longest: int = field(default=-1, init=False, repr=False)
    _rungs: dict[int, list[float]] = field(default_factory=_lists, init=False, repr=False)

    def run(self, steps: Ints, losses: Floats) -> int:
        """Return how many reports the run makes.

        >>> rule = SuccessiveHalving(min_resource=1, eta=2)
        >>> [rule.run(np.arange(4), np.array(losses)) for losses in ([3.0, 2.0, 1.0, 0.5], [3.0, 9.0, 9.0, 9.0])]
        [4, 2]
        """
        rung, first = 0, self._first()
        for i, (step, loss) in enumerate(zip(steps.tolist(), losses.tolist(), strict=True)):
            while first is not None and step >= first * self.eta ** (self.rate + rung):
                if math.isnan(loss) or not self._is_promoted(rung, loss):
                    return i + 1
                rung += 1
        self._longest = max(self._longest, int(steps[-1])) if len(steps) else self._longest
        return len(steps)

    def _first(self) -> int | None:
        if self.min_resource is None and self._longest >= 0:
            self.min_resource = max(self._longest // 100, 1)
        return self.min_resource

    def _is_promoted(self, rung: int, loss: float) -> bool:
        competing = self._rungs[rung]
        bisect.insort(competing, loss)
        return loss <= competing[max(len(competing) // self.eta - 1, 0)]


@dataclass
class Hyperband:
    """Successive halving with several first rungs at once, for where early values mislead.

    Each run goes to one of the brackets, in proportion to what hyperband gives them. Source: Li et al. 2018; report by
    report what optuna's HyperbandPruner does in a study of the name `name` (which decides the bracket of a run).

    >>> curves = [(np.arange(9), np.full(9, loss)) for loss in (1.0, 2.0, 3.0, 4.0)]
    >>> replayed(Hyperband(max_resource=9), curves).tolist()
    [9, 2, 9, 2]
    """

    max_resource: int | None = None
    """The last step of a whole run, and one; None: that of the longest of the runs completed first."""
    min_resource: int = 1
    eta: int = 3
    name: str = "replay"
    _seen: int = field(default=0, init=False, repr=False)
    _longest: int = field(default=-1, init=False, repr=False)
    _brackets: list[SuccessiveHalving] = field(default_factory=list, init=False, repr=False)
    _budgets: list[int] = field(default_factory=list, init=False, repr=False)

    def run(self, steps: Ints, losses: Floats) -> int:
        """Return how many reports the run makes.

        >>> rule = Hyperband(max_resource=9, eta=3)
        >>> [rule.run(np.arange(9), np.full(9, loss)) for loss in (1.0, 2.0, 3.0, 4.0)]
        [9, 2, 9, 2]
        """
        most = self.max_resource or (self._longest + 1 if self._longest >= 0 else None)
        if not self._brackets and most is not None:
            self._lay_out(most)
        number = self._seen
        self._seen += 1
        n_reports = self._bracket(number).run(steps, losses) if self._brackets else len(steps)
        if n_reports == len(steps) and n_reports:
            self._longest = max(self._longest, int(steps[-1]))
        return n_reports

    def _lay_out(self, most: int) -> None:
        n = math.floor(math.log(most / self.min_resource, self.eta)) + 1
        self._brackets = [SuccessiveHalving(self.min_resource, self.eta, rate) for rate in range(n)]
        self._budgets = [math.ceil(n * self.eta ** (n - 1 - rate) / (n - rate)) for rate in range(n)]

    def _bracket(self, number: int) -> SuccessiveHalving:
        place = zlib.crc32(f"{self.name}_{number}".encode()) % sum(self._budgets)
        return self._brackets[bisect.bisect_right(np.cumsum(self._budgets).tolist(), place)]


def replayed(rule: Rule, curves: Sequence[tuple[Ints, Floats]]) -> Ints:
    """Return how many reports each run makes under the rule; curves are (steps, losses) in the order of starting.

    >>> curves = [(np.arange(4), np.full(4, loss)) for loss in (1.0, 1.0, 5.0)]
    >>> replayed(Median(startup=2, warmup=1), curves).tolist()
    [4, 4, 2]
    """
    return np.array([rule.run(steps, losses) for steps, losses in curves], dtype=np.int64)


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of ordered numbers, interpolated linearly as numpy does."""
    place = (len(ordered) - 1) * share / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
