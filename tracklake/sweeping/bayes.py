"""The next values by Optuna's samplers, asked anew from the trials so far.

No study lives longer than one ask: the trials of the lake are told to a new one. A Gaussian process searches a few
continuous parameters (it needs torch), TPE anything else; a running trial counts so that agents do not crowd. The
values that a sampler sees are the latent numbers of `distributions`, since rounded values may leave their range.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.errors import SweepError
from tracklake.sweeping.search import generator_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklake.sweeping.distributions import Distribution
    from tracklake.sweeping.space import Point

MOST_CONTINUOUS, MOST_TRIALS = 6, 200
"""Up to so many parameters, all continuous, and so many trials a Gaussian process is used."""
_STARTUP = 10
"""Trials that are drawn at random first."""


class Observation(NamedTuple):
    """A trial so far: its point, and its number, None while it runs; less is better."""

    point: Point
    value: float | None


def next_point(parameters: Sequence[Distribution], observations: Sequence[Observation], *, seed: str) -> Point:
    """Return the point to try next. Raises SweepError where Optuna is not installed.

    >>> from tracklake.sweeping import space
    >>> parameters = space.read({"lr": {"distribution": "log_uniform_values", "min": 0.001, "max": 0.1}})
    >>> 0.001 <= next_point(parameters, [], seed="s1:0")["lr"] <= 0.1
    True
    """
    searched = [parameter for parameter in parameters if parameter.kind != "constant"]
    usable = [(o, latent) for o in observations if (latent := _latents(searched, o.point)) is not None]
    if sum(o.value is not None for o, _ in usable) < _STARTUP or not searched:
        generator = generator_of(seed)
        return {parameter.name: parameter.quantile(generator.random()) for parameter in parameters}
    latents = _ask(searched, usable, seed=seed)
    return {p.name: p.quantile(latents.get(p.name, 0.0)) for p in parameters}


def _ask(
    searched: Sequence[Distribution], usable: Sequence[tuple[Observation, dict[str, float]]], *, seed: str
) -> dict[str, float]:
    """Return the latent numbers that a sampler proposes."""
    optuna = _optuna()
    space = {parameter.name: _latent_space(optuna, parameter) for parameter in searched}
    with _quiet(optuna):
        study = optuna.create_study(sampler=_sampler(optuna, searched, len(usable), seed))
        study.add_trials([_trial(optuna, space, searched, o.value, latent) for o, latent in usable])
        params = study.ask(space).params
    return {p.name: _to_latent(p, params[p.name]) for p in searched}


def _sampler(optuna: Any, searched: Sequence[Distribution], trials: int, seed: str) -> Any:
    number = generator_of(seed).randrange(2**32)  # of the ask: a fixed one would repeat itself
    few = len(searched) <= MOST_CONTINUOUS and trials <= MOST_TRIALS
    if few and all(p.is_continuous for p in searched) and importlib.util.find_spec("torch") is not None:
        return optuna.samplers.GPSampler(seed=number, n_startup_trials=0, deterministic_objective=False)
    return optuna.samplers.TPESampler(seed=number, n_startup_trials=0, constant_liar=True)


def _latent_space(optuna: Any, parameter: Distribution) -> Any:
    if parameter.kind == "categorical":
        return optuna.distributions.CategoricalDistribution(range(len(parameter.about["values"])))
    if parameter.kind == "int_uniform":
        return optuna.distributions.IntDistribution(parameter.about["min"], parameter.about["max"])
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _trial(
    optuna: Any, space: dict[str, Any], searched: Sequence[Distribution], value: float | None, latent: dict[str, float]
) -> Any:
    params = {p.name: _from_latent(p, latent[p.name]) for p in searched}
    state = optuna.trial.TrialState.RUNNING if value is None else optuna.trial.TrialState.COMPLETE
    return optuna.trial.create_trial(state=state, value=value, params=params, distributions=space)


def _from_latent(parameter: Distribution, latent: float) -> Any:
    """Return what stands for a latent number in the study."""
    if parameter.kind == "categorical":
        return parameter.about["values"].index(parameter.quantile(latent))
    return parameter.quantile(latent) if parameter.kind == "int_uniform" else latent


def _to_latent(parameter: Distribution, value: Any) -> float:
    if parameter.kind == "categorical":
        return (int(value) + 0.5) / len(parameter.about["values"])
    if parameter.kind == "int_uniform":
        return parameter.latent(int(value)) or 0.0
    return min(float(value), 1 - 2**-53)


def _latents(searched: Sequence[Distribution], point: Point) -> dict[str, float] | None:
    """Return the latent numbers of a point; None where it lies outside."""
    latents = {p.name: p.latent(point.get(p.name)) for p in searched}
    inside = {name: u for name, u in latents.items() if u is not None and not math.isnan(u)}
    return inside if len(inside) == len(latents) else None


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise SweepError("method 'bayes' needs optuna: pip install 'tracklake[sweeps]', or method random") from None
    return optuna


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Let optuna say nothing of a study that lives for one ask."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
