"""Which trials are stopped early, as W&B's hyperband has it.

At each band, a number of logged values of the metric, a trial goes on if it is among the best 1/eta of all trials that
reached the band. Source of the rule: W&B's `sweeps` 0.3.0; of the idea: Li et al. 2018, Hyperband.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tracklake.errors import SweepError

_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
_MOST_BANDS = 100


class Bands(NamedTuple):
    """At which counts of the metric trials are looked at, which share goes on, and what is looked at.

    >>> read({"type": "hyperband", "min_iter": 3}).counts[:3]
    [3, 9, 27]
    >>> read({"type": "hyperband", "max_iter": 27, "s": 2}).counts
    [3, 9]
    """

    counts: list[int]
    eta: float
    strict: bool
    """Whether the value at the band counts, rather than the best one so far."""


def read(about: object) -> Bands | None:
    """Return the bands of `early_terminate`; None if there is none. Raises SweepError.

    >>> read({"type": "median"})
    Traceback (most recent call last):
    tracklake.errors.SweepError: early_terminate: type is 'median'; hyperband is meant
    """
    if about is None:
        return None
    if not isinstance(about, Mapping):
        raise SweepError(f"early_terminate is {about!r}; {{'type': 'hyperband', 'min_iter': 3}} is meant")
    for key in about:
        if key not in _KEYS:
            raise SweepError.nearest("key of early_terminate:", str(key), _KEYS)
    if about.get("type") != "hyperband":
        raise SweepError(f"early_terminate: type is {about.get('type')!r}; hyperband is meant")
    eta = float(about.get("eta") or 3)
    if eta <= 1:
        raise SweepError(f"early_terminate: eta is {eta:g}; it must be above 1")
    return Bands(_counts(about, eta), eta, bool(about.get("strict", True)))


def should_stop(values: Sequence[float], others: Sequence[Sequence[float]], bands: Bands) -> bool:
    """Tell whether a trial with these values of the metric, less being better, is stopped, beside all trials' values.

    `others` holds the values of every trial, this one among them.

    >>> bands = read({"type": "hyperband", "max_iter": 5, "s": 2, "eta": 2})
    >>> should_stop([10, 10], [[10, 9], [10, 10], [10, 8, 8]], bands)
    True
    """
    reached = [count for count in bands.counts if count <= len(values)]
    if not reached:
        return False
    band = reached[-1]
    at_band = sorted(other[band - 1] for other in others if len(other) >= band)
    if not at_band:
        return False
    threshold = at_band[int(len(at_band) / bands.eta)]
    return (values[band - 1] if bands.strict else min(values)) > threshold


def _counts(about: Mapping[str, object], eta: float) -> list[int]:
    """Return the counts, ascending."""
    if "min_iter" in about and "max_iter" in about:
        raise SweepError("early_terminate: give min_iter, or max_iter and s, not both")
    if "min_iter" in about:
        first = _at_least_one("min_iter", about["min_iter"])
        return [int(first * eta**i) for i in range(_MOST_BANDS)]
    if "max_iter" not in about or "s" not in about:
        raise SweepError("early_terminate needs min_iter, or max_iter and s")
    last, s = _at_least_one("max_iter", about["max_iter"]), _at_least_one("s", about["s"])
    counts = sorted(int(last / eta**i) for i in range(1, s + 1) if last / eta**i >= 1)
    if not counts:
        raise SweepError(f"early_terminate: max_iter {last} has no band below it by eta {eta:g}")
    return counts


def _at_least_one(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SweepError(f"early_terminate: {key} is {value!r}; a whole number from 1 on is meant")
    return value
