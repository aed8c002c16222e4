"""The config of a sweep, checked, with its defaults filled in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from tracklake.errors import SweepError
from tracklake.sweeping import hyperband, space

if TYPE_CHECKING:
    from tracklake.sweeping.distributions import Distribution

Impute = Literal["worst", "latest", "best"]
Method = Literal["grid", "random", "bayes"]
METHODS = ("grid", "random", "bayes")
MEANT = (
    "name",
    "description",
    "program",
    "project",
    "entity",
    "command",
    "method",
    "metric",
    "parameters",
    "run_cap",
    "early_terminate",
)
"""The keys of a config that mean something."""
ACCEPTED = ("apiVersion", "controller", "kind")
"""Keys of W&B's that mean nothing here; `tracklake.sweep` says so."""
REFUSED = {
    "image_uri": "start the agent inside the image: tracklake agent SWEEP",
    "job": "name the program: program: train.py",
    "metrics": "name the one to be searched by under metric; lake.sweep(...).pareto(metrics) looks at several",
    "scheduler": "methods are grid, random and bayes",
}
MOST_GRID_POINTS = 64
"""Up to so many points, a config of values without a method is a grid."""


class Metric(NamedTuple):
    """What trials are judged by: any summary name, statistic or entry."""

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"
    target: float | None = None
    """The sweep is over when a trial reaches it."""
    impute: Impute = "worst"
    """Which number bayes takes for a trial that failed: the worst of all, or its own latest or best one."""
    impute_while_running: Impute | None = None
    """Which number bayes takes for a trial that runs; None for none: it is only kept away from."""


class SweepConfig:
    """A sweep's config: as W&B has it, checked.

    >>> config = SweepConfig({"method": "grid", "parameters": {"lr": {"values": [0.1, 0.01]}}})
    >>> config.method, config.size
    ('grid', 2)
    >>> SweepConfig({"method": "gird", "parameters": {"lr": {"value": 1}}})
    Traceback (most recent call last):
    tracklake.errors.SweepError: unknown method 'gird'; did you mean 'grid'?
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        _check_keys(content)
        self.content = dict(content)
        self.parameters: list[Distribution] = space.read(content.get("parameters"))
        self.metric = _metric(content.get("metric"))
        method = content.get("method") or self._sensible_method()
        if method not in METHODS:
            raise SweepError.nearest("method", str(method), METHODS)
        self.method: Method = method
        self.run_cap = _run_cap(content.get("run_cap"))
        self.bands = hyperband.read(content.get("early_terminate"))
        self._check_together()

    @property
    def chose_method(self) -> bool:
        """Whether the config names no method, so that one was chosen.

        >>> SweepConfig({"parameters": {"lr": {"values": [0.1, 0.01]}}}).chose_method
        True
        """
        return not self.content.get("method")

    @cached_property
    def size(self) -> int | None:
        """How many different points there are; None if there is no end of them.

        >>> SweepConfig({"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}}).size
        """
        choices = [distribution.choices for distribution in self.parameters]
        return None if any(c is None for c in choices) else math.prod(len(c) for c in choices if c is not None)

    @property
    def project(self) -> str:
        """The project of its runs.

        >>> SweepConfig({"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}}).project
        'uncategorized'
        """
        return str(self.content.get("project") or "uncategorized")

    def to_json(self) -> dict[str, Any]:
        """Return it as stored: the content as given, with the method.

        >>> SweepConfig({"parameters": {"lr": {"values": [0.1, 0.01]}}}).to_json()["method"]
        'grid'
        """
        return {**self.content, "method": self.method}

    def _sensible_method(self) -> Method:
        if self.size is not None and self.size <= MOST_GRID_POINTS:
            return "grid"
        return "random" if self.metric is None else "bayes"

    def _check_together(self) -> None:
        if self.method == "bayes" and self.metric is None:
            raise SweepError("method 'bayes' needs a metric: metric: {name: val/loss, goal: minimize}")
        if self.bands is not None and self.metric is None:
            raise SweepError("early_terminate needs a metric: metric: {name: val/loss, goal: minimize}")
        if self.method == "grid" and self.size is None:
            endless = [d.name for d in self.parameters if d.choices is None]
            raise SweepError(
                f"a grid takes values, whole numbers from min to max, or q_uniform; {', '.join(endless)} has no end: "
                "give values, or method random or bayes"
            )


def _check_keys(content: Mapping[str, Any]) -> None:
    if not isinstance(content, Mapping):
        raise SweepError(f"a sweep's config is a mapping, not a {type(content).__name__}")
    for key in content:
        if key in REFUSED:
            raise SweepError(f"{key} of a sweep's config means nothing here; {REFUSED[key]}")
        if key not in (*MEANT, *ACCEPTED):
            raise SweepError.nearest("key of a sweep's config:", str(key), MEANT)


def _metric(about: object) -> Metric | None:
    if about is None:
        return None
    if not isinstance(about, Mapping) or not isinstance(about.get("name"), str):
        raise SweepError(f"metric is {about!r}; {{'name': 'val/loss', 'goal': 'minimize'}} is meant")
    keys = ("name", "goal", "target", "impute", "impute_while_running")
    for key in about:
        if key not in keys:
            raise SweepError.nearest("key of metric:", str(key), keys)
    goals = {"minimize": "minimize", "min": "minimize", "maximize": "maximize", "max": "maximize"}
    goal = str(about.get("goal") or "minimize").lower()
    if goal not in goals:
        raise SweepError.nearest("goal", goal, ("minimize", "maximize"))
    running = about.get("impute_while_running")
    return Metric(
        about["name"],
        goals[goal],  # type: ignore[arg-type] # of those
        _target(about.get("target")),
        _impute("impute", about.get("impute")) or "worst",
        None if running in (False, "false") else _impute("impute_while_running", running),
    )


def _impute(key: str, value: object) -> Impute | None:
    if value is None or value in get_args(Impute):
        return value  # type: ignore[return-value] # one of those
    raise SweepError.nearest(key, str(value), get_args(Impute))


def _target(value: object) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise SweepError(f"target of metric is {value!r}; a number is meant")


def _run_cap(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise SweepError(f"run_cap is {value!r}; a whole number from 1 on is meant")
    return value
