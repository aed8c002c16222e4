"""The next values by Optuna's samplers, asked of the trials so far.

What is proposed is a function of the trials so far, in their order, and of a seed that is the trial's own: a search
lives as long as its agent, to be told only what is new, but one that begins anew proposes the same. So agents that
share a lake and nothing else propose what one study does that they all share. A Gaussian process searches a few
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
    from collections.abc import Iterator, Mapping, Sequence

    from tracklake.sweeping.distributions import Distribution
    from tracklake.sweeping.space import Point

MOST_CONTINUOUS, MOST_TRIALS = 6, 200
"""Up to so many parameters, all continuous, and so many trials a Gaussian process is used."""


class Observation(NamedTuple):
    """A trial so far: its point, and its number, None while it runs; less is better."""

    point: Point
    value: float | None


class BayesSearch:
    """A search of some parameters: Optuna's study in memory, told what the lake says of each trial.

    >>> from tracklake.sweeping import space
    >>> parameters = space.read({"lr": {"distribution": "log_uniform_values", "min": 0.001, "max": 0.1}})
    >>> search = BayesSearch(parameters)
    >>> search.observe({"s1-0": Observation({"lr": 0.01}, 0.5), "s1-1": Observation({"lr": 0.02}, None)})
    >>> 0.001 <= search.next_point(seed="s1:2")["lr"] <= 0.1
    True
    """

    def __init__(self, parameters: Sequence[Distribution]) -> None:
        """Begin a search that knows of no trial. Raises SweepError where Optuna is not installed."""
        self.parameters = parameters
        self._optuna = _optuna()
        self._searched = [parameter for parameter in parameters if parameter.kind != "constant"]
        self._space = {parameter.name: _latent_space(self._optuna, parameter) for parameter in self._searched}
        self._latents: dict[str, dict[str, float]] = {}
        """The latent numbers of each trial's point, none where it lies outside the space."""
        self._begin()

    def _begin(self) -> None:
        with _quiet(self._optuna):
            self._study = self._optuna.create_study()
        self._numbers: dict[str, int] = {}
        """The number of each trial in the study."""
        self._observed: dict[str, Observation] = {}
        """What the study knows, in the order in which the trials began."""

    def observe(self, observations: Mapping[str, Observation]) -> None:
        """Take up all that is known of the trials, each by a key of its own, in the order in which they began.

        What has changed is told to the study; where an earlier number is another now, or a trial belongs before one
        that the study knows, the study begins anew.

        >>> from tracklake.sweeping import space
        >>> search = BayesSearch(space.read({"x": {"min": 0.0, "max": 1.0}}))
        >>> for value in (None, 0.5):
        ...     search.observe({"s-0": Observation({"x": 0.3}, value)})
        """
        for key in observations.keys() - self._latents.keys():
            self._latents[key] = _latents(self._searched, observations[key].point)
        inside = {key: observation for key, observation in observations.items() if self._latents[key]}
        ended = (key for key, earlier in self._observed.items() if earlier.value is not None)
        if any(self._observed[key] != inside.get(key) for key in ended):
            self._begin()
        complete, failed = self._optuna.trial.TrialState.COMPLETE, self._optuna.trial.TrialState.FAIL
        with _quiet(self._optuna):
            for key in self._observed.keys() - inside.keys():  # it was running, and has come to nothing
                self._study.tell(self._numbers.pop(key), state=failed)
                del self._observed[key]
            if list(self._observed) != list(inside)[: len(self._observed)]:
                self._begin()
            for key, observation in inside.items():
                earlier = self._observed.get(key)
                if earlier is None:
                    self._add(key, observation)
                elif earlier.value is None and observation.value is not None:
                    self._study.tell(self._numbers[key], observation.value, state=complete)
                    self._observed[key] = observation

    def next_point(self, *, seed: str) -> Point:
        """Return the point to try next, which Optuna draws at random until ten trials have ended.

        The same trials and the same seed give the same point, so each trial needs a seed of its own.

        >>> from tracklake.sweeping import space
        >>> search = BayesSearch(space.read({"x": {"min": 0.0, "max": 1.0}}))
        >>> search.next_point(seed="s1:0") == search.next_point(seed="s1:0") != search.next_point(seed="s1:1")
        True
        """
        self._study.sampler = self._sampler(len(self._observed), seed=generator_of(seed).randrange(2**32))
        with _quiet(self._optuna):
            trial = self._study.ask(self._space)
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)  # it counts once it is claimed
        latents = {p.name: _to_latent(p, trial.params[p.name]) for p in self._searched}
        return {p.name: p.quantile(latents.get(p.name, 0.0)) for p in self.parameters}

    def _add(self, key: str, observation: Observation) -> None:
        """Tell the study of a trial that it does not know."""
        state = self._optuna.trial.TrialState
        trial = self._optuna.trial.create_trial(
            state=state.RUNNING if observation.value is None else state.COMPLETE,
            value=observation.value,
            params={p.name: _from_latent(p, self._latents[key][p.name]) for p in self._searched},
            distributions=self._space,
        )
        self._numbers[key] = len(self._study.get_trials(deepcopy=False))
        self._study.add_trial(trial)
        self._observed[key] = observation

    def _sampler(self, trials: int, *, seed: int) -> Any:
        """Return a sampler for so many trials; a new one each time, which remembers no earlier ask."""
        few = len(self._searched) <= MOST_CONTINUOUS and trials <= MOST_TRIALS
        if few and all(p.is_continuous for p in self._searched) and _has_torch():
            return self._optuna.samplers.GPSampler(seed=seed)
        return self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _latent_space(optuna: Any, parameter: Distribution) -> Any:
    if parameter.kind == "categorical":
        return optuna.distributions.CategoricalDistribution(range(len(parameter.about["values"])))
    if parameter.kind == "int_uniform":
        return optuna.distributions.IntDistribution(parameter.about["min"], parameter.about["max"])
    return optuna.distributions.FloatDistribution(0.0, 1.0)


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
    return float(value)


def _latents(searched: Sequence[Distribution], point: Point) -> dict[str, float]:
    """Return the latent numbers of a point; none where it lies outside."""
    latents = {p.name: p.latent(point.get(p.name)) for p in searched}
    inside = {name: u for name, u in latents.items() if u is not None and not math.isnan(u)}
    return inside if len(inside) == len(latents) else {}


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


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
