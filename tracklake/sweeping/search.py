"""The next values of a grid or of random search."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tracklake.sweeping.distributions import Distribution
    from tracklake.sweeping.space import Point

_TRIES = 200
"""Draws before the points that are left of a finite space are listed."""


def grid_point(parameters: Sequence[Distribution], number: int) -> Point:
    """Return a point of a grid by its number, the last parameter varying fastest.

    >>> from tracklake.sweeping import space
    >>> parameters = space.read({"lr": {"values": [0.1, 0.01]}, "seed": {"values": [1, 2, 3]}})
    >>> [grid_point(parameters, n) for n in (0, 1, 5)]
    [{'lr': 0.1, 'seed': 1}, {'lr': 0.1, 'seed': 2}, {'lr': 0.01, 'seed': 3}]
    """
    point: Point = {}
    for parameter in reversed(parameters):
        choices = parameter.choices or [None]
        number, at = divmod(number, len(choices))
        point[parameter.name] = choices[at]
    return {parameter.name: point[parameter.name] for parameter in parameters}


def next_grid_point(parameters: Sequence[Distribution], tried: Collection[str], *, size: int) -> Point | None:
    """Return the first point of a grid that was not tried; None if all were.

    >>> from tracklake.sweeping import space
    >>> parameters = space.read({"seed": {"values": [1, 2]}})
    >>> next_grid_point(parameters, {key_of({"seed": 1})}, size=2), next_grid_point(parameters, set(), size=0)
    ({'seed': 2}, None)
    """
    points = (grid_point(parameters, number) for number in range(min(len(tried), size), size))
    untried = next((point for point in points if key_of(point) not in tried), None)
    if untried is not None or len(tried) >= size + 1:
        return untried
    return next((p for n in range(size) if key_of(p := grid_point(parameters, n)) not in tried), None)


def next_draw(
    parameters: Sequence[Distribution], tried: Collection[str], *, seed: str, size: int | None
) -> Point | None:
    """Return a draw that was not tried; None if every point of a finite space was.

    >>> from tracklake.sweeping import space
    >>> parameters = space.read({"seed": {"values": [1, 2]}})
    >>> next_draw(parameters, {key_of({"seed": 1})}, seed="s1:1", size=2)
    {'seed': 2}
    """
    generator = generator_of(seed)
    for _ in range(_TRIES):
        point = {parameter.name: parameter.quantile(generator.random()) for parameter in parameters}
        if key_of(point) not in tried:
            return point
    untried = [] if size is None else _untried(parameters, tried, size)
    return generator.choice(untried) if untried else None


def key_of(point: Point) -> str:
    """Return what is equal for equal points.

    >>> key_of({"b": 1, "a": 2.0}) == key_of({"a": 2.0, "b": 1})
    True
    """
    return json.dumps(point, sort_keys=True, default=str)


def generator_of(seed: str) -> random.Random:
    """Return a generator of its own, so that a seed set by training code does not repeat draws.

    >>> generator_of("s1:0").random() == generator_of("s1:0").random()
    True
    """
    return random.Random(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))  # noqa: S311 - a search, no secret


def _untried(parameters: Sequence[Distribution], tried: Collection[str], size: int) -> list[dict[str, Any]]:
    points = (grid_point(parameters, number) for number in range(size))
    return [point for point in points if key_of(point) not in tried]
