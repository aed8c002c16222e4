"""Matching: which runs of two groups are pairs, by task and repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from tracklake.analysis.stats.options import Unit
    from tracklake.analysis.stats.resampling import Ints, Sample


NEARLY_ALL = 0.8
"""The share of each group's values that matching has to keep for them to be compared pair by pair."""


class Pair(NamedTuple):
    """The values of two groups that are compared, by task: cell by cell where `matched`."""

    first: list[np.ndarray[Any, np.dtype[np.float64]]]
    second: list[np.ndarray[Any, np.dtype[np.float64]]]
    tasks: list[int]
    matched: bool
    why: str


class Matcher:
    """Finds which values of two groups match.

    They are pairs where matching keeps nearly all values of both groups: else the difference of the pairs would not be
    that of the groups. Tasks are always matched, on those in common: values of different tasks do not compare.
    """

    def __init__(self, sample: Sample, *, what: str, unit: Unit = "run") -> None:
        self._what = what
        self._sample = sample
        self._least = 0.0 if unit == "task" else NEARLY_ALL
        self._edges = np.searchsorted(sample.column, np.arange(int(sample.column.max(initial=-1)) + 2))
        self._cells = int(sample.cell.max(initial=0)) + 1

    def pair(self, first: int, second: int) -> Pair:
        """Return the values of two groups on the tasks that both have.

        >>> from tracklake.analysis.stats import resampling
        >>> sample = resampling.sample([0, 0, 1, 1], stratum=[0] * 4, cell=[1, 2, 1, 2], value=[0.9, 0.8, 0.7, 0.5])
        >>> pair = Matcher(sample, what="seed").pair(0, 1)
        >>> pair.first[0].tolist(), pair.second[0].tolist(), pair.why
        ([0.9, 0.8], [0.7, 0.5], '2 of 2 match by seed')
        """
        tasks = np.intersect1d(self._of(first).task, self._of(second).task)
        a, b = (self._of(group).on(tasks) for group in (first, second))
        why = self._mismatch(a, b)
        if why is not None:
            return _by_task(a, b, matched=False, why=why)
        _, at_a, at_b = np.intersect1d(a.key, b.key, assume_unique=True, return_indices=True)
        if not len(at_a):
            return _by_task(a, b, matched=False, why=f"no {self._what} in common")
        why = f"{_shares(len(at_a), len(a.key), len(b.key))} match by {self._what}"
        if len(at_a) > 1 and len(at_a) >= self._least * max(len(a.key), len(b.key)):
            return _by_task(a.only(at_a), b.only(at_b), matched=True, why=why)
        return _by_task(a, b, matched=False, why=f"only {why}")

    def _mismatch(self, a: _Values, b: _Values) -> str | None:
        if not self._what:
            reason = "nothing to match runs by (over=)"
            return f"{reason}; unit='task' matches tasks" if self._sample.tasks > 1 else reason
        for values in (a, b):
            if values.key.size and values.key.min() < 0:
                return f"runs without {self._what}"
            if np.unique(values.key).size < values.key.size:
                return f"several runs of a group with the same {self._what}"
        return None

    def _of(self, group: int) -> _Values:
        of = slice(self._edges[group], self._edges[group + 1]) if group + 1 < len(self._edges) else slice(0, 0)
        task, cell = self._sample.stratum[of], self._sample.cell[of]
        return _Values(task, np.where(cell < 0, -1, task * self._cells + cell), self._sample.value[of])


def _shares(n: int, first: int, second: int) -> str:
    """Say how many values of each group match; once where both have as many."""
    return f"{n:,} of {first:,}" if first == second else f"{n:,} of {first:,} and {n:,} of {second:,}"


class _Values(NamedTuple):
    task: Ints
    key: Ints
    value: np.ndarray[Any, np.dtype[np.float64]]

    def on(self, tasks: Ints) -> _Values:
        return self.only(np.flatnonzero(np.isin(self.task, tasks)))

    def only(self, at: Ints) -> _Values:
        return _Values(self.task[at], self.key[at], self.value[at])


def _by_task(a: _Values, b: _Values, *, matched: bool, why: str) -> Pair:
    common = np.intersect1d(a.task, b.task)
    return Pair(
        [a.value[a.task == t] for t in common], [b.value[b.task == t] for t in common], common.tolist(), matched, why
    )
