"""The distributions of parameters, each by its quantile function.

A value is the quantile of a latent number in [0, 1): random search draws that uniformly, and a sampler searches it.
Rounding to multiples of q may leave [min, max] a little, as W&B's does.
"""

from __future__ import annotations

import bisect
import itertools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONTINUOUS: dict[str, tuple[str, ...]] = {
    "uniform": ("min", "max"),
    "log_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "inv_log_uniform": ("min", "max"),
    "inv_log_uniform_values": ("min", "max"),
    "normal": ("mu", "sigma"),
    "log_normal": ("mu", "sigma"),
    "beta": ("a", "b"),
}
"""Continuous distributions, and the keys of each; all but the inverse ones have a quantised form, q_<name>."""
_DEFAULTS = {"mu": 0.0, "sigma": 1.0, "a": 1.0, "b": 1.0, "q": 1}
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "categorical": ("values",),
    "categorical_w_probabilities": ("values", "probabilities"),
    "int_uniform": ("min", "max"),
    **_CONTINUOUS,
    **{f"q_{name}": (*keys, "q") for name, keys in _CONTINUOUS.items() if not name.startswith("inv_")},
}
"""Every distribution, and the keys that describe it."""


class Distribution(NamedTuple):
    """One parameter: its dotted name, its distribution, and what describes that.

    >>> lr = Distribution("lr", "log_uniform_values", {"min": 0.001, "max": 0.1})
    >>> round(lr.quantile(0.5), 6), round(lr.latent(0.01), 6)
    (0.01, 0.5)
    """

    name: str
    kind: str
    about: Mapping[str, Any]

    @property
    def choices(self) -> list[Any] | None:
        """The values of a discrete distribution, in order; None for a continuous one.

        >>> Distribution("n", "int_uniform", {"min": 1, "max": 3}).choices
        [1, 2, 3]
        """
        if self.kind == "constant":
            return [self.about["value"]]
        if "values" in self.about:
            return list(self.about["values"])
        if self.kind == "int_uniform":
            return list(range(self.about["min"], self.about["max"] + 1))
        return self._multiples() if self.kind == "q_uniform" else None

    @property
    def is_continuous(self) -> bool:
        """Whether it has a density.

        >>> Distribution("n", "int_uniform", {"min": 1, "max": 3}).is_continuous
        False
        """
        return self.kind in _CONTINUOUS

    def quantile(self, u: float) -> Any:
        """Return the value below which lies this share of the distribution, u in [0, 1].

        >>> [Distribution("x", "q_uniform", {"min": 0, "max": 10, "q": 5}).quantile(u) for u in (0.1, 0.5, 0.9)]
        [0, 5, 10]
        """
        if self.kind == "constant":
            return self.about["value"]
        if "values" in self.about:
            return self.about["values"][self._index(u)]
        if self.kind == "int_uniform":
            return self.about["min"] + min(int(u * self._size), self._size - 1)
        value = _quantile(self.kind.removeprefix("q_"), self.about, u)
        if not self.kind.startswith("q_"):
            return value
        q = self.about["q"]
        return round(value / q) * q

    def latent(self, value: Any) -> float | None:
        """Return a latent number whose quantile this value is; None for a value that the distribution cannot have.

        >>> Distribution("b", "categorical", {"values": [16, 32]}).latent(32)
        0.75
        >>> Distribution("x", "uniform", {"min": 0, "max": 1}).latent(7)
        """
        if "values" in self.about:
            at = [i for i, choice in enumerate(self.about["values"]) if _same(choice, value)]
            return self._middle(at[0]) if at else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return 0.5 if self.kind == "constant" and _same(value, self.about["value"]) else None
        if self.kind == "int_uniform":
            u = (value - self.about["min"] + 0.5) / self._size
        elif self.kind == "constant":
            return 0.5
        else:
            u = _latent(self.kind.removeprefix("q_"), self.about, float(value))
        return min(max(u, 0.0), 1.0) if -1e-9 <= u <= 1 + 1e-9 else None  # noqa: PLR2004 - rounding

    @property
    def _size(self) -> int:
        return int(self.about["max"] - self.about["min"] + 1)

    def _index(self, u: float) -> int:
        n = len(self.about["values"])
        ends = self._ends()
        return min(int(u * n) if ends is None else bisect.bisect_right(ends, u), n - 1)

    def _middle(self, index: int) -> float:
        ends = self._ends() or [(i + 1) / len(self.about["values"]) for i in range(len(self.about["values"]))]
        return (ends[index] + (ends[index - 1] if index else 0.0)) / 2

    def _ends(self) -> list[float] | None:
        probabilities = self.about.get("probabilities")
        if probabilities is None:
            return None
        total = sum(probabilities)
        return [part / total for part in itertools.accumulate(probabilities)]

    def _multiples(self) -> list[Any]:
        q, low, high = self.about["q"], self.about["min"], self.about["max"]
        return [i * q for i in range(round(low / q), round(high / q) + 1)]


def describe(name: str, kind: str, keys: Mapping[str, Any]) -> Distribution:
    """Return the distribution of a parameter, defaults filled in. Raises SweepError for keys that are wrong or missing.

    >>> describe("x", "normal", {})
    Distribution(name='x', kind='normal', about={'mu': 0.0, 'sigma': 1.0})
    >>> describe("x", "uniform", {"min": 2, "max": 1})
    Traceback (most recent call last):
    tracklake.errors.SweepError: parameter 'x': min 2 is above max 1
    """
    if kind not in DISTRIBUTIONS:
        raise SweepError.nearest(f"distribution of parameter {name!r}:", kind, DISTRIBUTIONS)
    for key in keys:
        if key not in DISTRIBUTIONS[kind]:
            raise SweepError(f"parameter {name!r}: {kind} has no {key!r}; it takes {', '.join(DISTRIBUTIONS[kind])}")
    about = {key: keys.get(key, _DEFAULTS.get(key)) for key in DISTRIBUTIONS[kind]}
    if lacking := [key for key in about if key not in keys and key not in _DEFAULTS]:
        raise SweepError(f"parameter {name!r}: {kind} needs {' and '.join(lacking)}")
    _check(name, kind, about)
    return Distribution(name, kind, about)


def _check(name: str, kind: str, about: Mapping[str, Any]) -> None:
    """Refuse what describes no distribution."""
    for key in ("min", "max", "mu", "sigma", "a", "b", "q"):
        value = about.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SweepError(f"parameter {name!r}: {key} is {value!r}, not a finite number")
    for key in ("sigma", "a", "b", "q"):
        if about.get(key, 1) <= 0:
            raise SweepError(f"parameter {name!r}: {key} is {about[key]!r}; it must be above 0")
    if "min" in about and about["min"] > about["max"]:
        raise SweepError(f"parameter {name!r}: min {about['min']!r} is above max {about['max']!r}")
    if kind.endswith("_values") and about["min"] <= 0:
        raise SweepError(f"parameter {name!r}: min is {about['min']!r}; {kind} needs a min above 0")
    if kind == "int_uniform" and not all(isinstance(about[key], int) for key in ("min", "max")):
        raise SweepError(f"parameter {name!r}: int_uniform takes whole min and max")
    if "values" in about:
        _check_values(name, about)


def _check_values(name: str, about: Mapping[str, Any]) -> None:
    values, probabilities = about["values"], about.get("probabilities")
    if not isinstance(values, list | tuple) or not values:
        raise SweepError(f"parameter {name!r}: values is {values!r}; a list of one value at least is meant")
    if probabilities is None:
        return
    if len(probabilities) != len(values):
        raise SweepError(f"parameter {name!r}: {len(probabilities)} probabilities for {len(values)} values")
    if any(p < 0 for p in probabilities) or sum(probabilities) <= 0:
        raise SweepError(f"parameter {name!r}: probabilities are {probabilities!r}; none is below 0, and one above")


def _quantile(kind: str, about: Mapping[str, Any], u: float) -> float:
    """Return the quantile of a continuous distribution."""
    if kind in ("normal", "log_normal"):
        value = NormalDist(about["mu"], about["sigma"]).inv_cdf(min(max(u, 1e-12), 1 - 1e-12))
        return math.exp(value) if kind == "log_normal" else value
    if kind == "beta":
        from scipy.special import betaincinv

        return float(betaincinv(about["a"], about["b"], u))
    to, back = _SCALES[kind]
    low, high = to(about["min"]), to(about["max"])
    value = back(low + u * (high - low))
    in_values = kind == "uniform" or kind.endswith("_values")
    return min(max(value, about["min"]), about["max"]) if in_values else value  # rounding may leave the range


def _latent(kind: str, about: Mapping[str, Any], value: float) -> float:
    """Return the share of a continuous distribution that lies below a value; NaN where it cannot have the value."""
    if kind in ("normal", "log_normal"):
        if kind == "log_normal" and value <= 0:
            return math.nan
        return NormalDist(about["mu"], about["sigma"]).cdf(math.log(value) if kind == "log_normal" else value)
    if kind == "beta":
        from scipy.special import betainc

        return float(betainc(about["a"], about["b"], value)) if 0 <= value <= 1 else math.nan
    to, _ = _SCALES[kind]
    low, high = to(about["min"]), to(about["max"])
    if "log" in kind and value <= 0:
        return math.nan
    on_scale = value if kind == "uniform" else -math.log(value) if kind == "inv_log_uniform" else math.log(value)
    return (on_scale - low) / (high - low) if high > low else 0.5


def _identity(value: float) -> float:
    return value


def _inverse(value: float) -> float:
    return math.exp(-value)


_SCALES: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "uniform": (_identity, _identity),
    "log_uniform": (_identity, math.exp),
    "log_uniform_values": (math.log, math.exp),
    "inv_log_uniform": (_identity, _inverse),
    "inv_log_uniform_values": (math.log, math.exp),
}
"""From an end of the range to the scale on which the distribution is uniform, and from there to a value."""


def _same(a: Any, b: Any) -> bool:
    """Compare values: True is not 1, but 1.0 is."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
