"""The parameters of a sweep by dotted name, and the nested config of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracklake.errors import SweepError
from tracklake.schema import naming
from tracklake.sweeping.distributions import DISTRIBUTIONS, Distribution, describe

Point = dict[str, Any]
"""A value for each parameter, by its dotted name."""
_KEYS = {"distribution", "parameters", *(key for keys in DISTRIBUTIONS.values() for key in keys)}


def read(parameters: object) -> list[Distribution]:
    """Return the parameters of a config, nested ones by their dotted names. Raises SweepError.

    >>> [d.name for d in read({"lr": {"min": 0.0, "max": 1.0}, "opt": {"parameters": {"beta": {"value": 0.9}}}})]
    ['lr', 'opt.beta']
    """
    if not isinstance(parameters, Mapping) or not parameters:
        raise SweepError("parameters is missing: a sweep needs one at least, {'lr': {'min': 0.001, 'max': 0.1}}")
    return list(_below(parameters, ()))


def nest(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of parameters as a nested config.

    >>> nest({"lr": 0.1, "opt.beta": 0.9})
    {'lr': 0.1, 'opt': {'beta': 0.9}}
    """
    return naming.nest((naming.split(name), value) for name, value in point.items())


def _below(parameters: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Distribution]:
    for key, about in parameters.items():
        name = naming.join((*path, str(key)))
        if not isinstance(about, Mapping):
            raise SweepError(f"parameter {name!r} is {about!r}; a mapping such as {{'value': {about!r}}} is meant")
        if "parameters" in about:
            yield from _below(about["parameters"], (*path, str(key)))
        else:
            yield _parameter(name, dict(about))


def _parameter(name: str, about: dict[str, Any]) -> Distribution:
    for key in about:
        if key not in _KEYS:
            raise SweepError.nearest(f"key of parameter {name!r}:", str(key), sorted(_KEYS))
    kind = about.pop("distribution", None)
    if kind == "categorical" and "probabilities" in about:
        kind = "categorical_w_probabilities"
    return describe(name, str(kind) if kind is not None else _default_kind(name, about), about)


def _default_kind(name: str, about: Mapping[str, Any]) -> str:
    """Return the distribution that the keys mean."""
    if "value" in about:
        return "constant"
    if "values" in about:
        return "categorical_w_probabilities" if "probabilities" in about else "categorical"
    if "min" in about and "max" in about:
        whole_numbers = all(isinstance(about[key], int) for key in ("min", "max"))
        return "int_uniform" if whole_numbers else "uniform"
    raise SweepError(
        f"parameter {name!r} needs value, values, min and max, or a distribution: {', '.join(DISTRIBUTIONS)}"
    )
