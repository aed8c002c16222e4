"""What a sweep's agent tells the `init` that its training code calls: which run it is, and the values to try."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracklake.tracking.run import Run

VARIABLE = "TRACKLAKE_TRIAL"
"""The environment variable by which an agent tells a process that it starts."""


class Trial(NamedTuple):
    """One trial of a sweep, and the run that is to be of it."""

    lake: str
    sweep_id: str
    run_id: str
    project: str
    config: dict[str, Any]
    """The values to try, nested; they are locked in the run's config."""
    resume: bool = False
    """Whether what an earlier attempt logged stays (it was preempted), or is masked (it died)."""
    number: int = 0
    attempt: int = 0

    def to_json(self) -> str:
        """Return it as text for the environment.

        >>> trial = Trial("lake", "s1", "s1-0", "p", {"lr": 0.1})
        >>> Trial.from_json(trial.to_json()) == trial
        True
        """
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Trial:
        """Read one from the environment. See `to_json` for an example.

        >>> Trial.from_json('{"lake": "l", "sweep_id": "s", "run_id": "r", "project": "p", "config": {}}').resume
        False
        """
        return cls(**json.loads(text))


class _Current:
    """The trial of this process, and whether a run of it has begun: a second `init` goes on with it."""

    trial: Trial | None = None
    begun = False
    on_begin: Callable[[Run, Trial], None] | None = None
    """Called with each run that begins as a trial: early stopping is attached there, a mark taken back."""


current = _Current()


def assigned() -> Trial | None:
    """Return the trial that an agent assigned to this process; None if there is none.

    >>> assigned()
    """
    if current.trial is None and (text := os.environ.get(VARIABLE)):
        current.trial = Trial.from_json(text)
    return current.trial


def is_new_attempt(trial: Trial) -> bool:
    """Tell whether the run of a trial begins anew: once an attempt, unless what was logged before stays.

    >>> trial = Trial("lake", "s1", "s1-0", "p", {})
    >>> with assign(trial):
    ...     is_new_attempt(trial), is_new_attempt(trial)
    (True, False)
    """
    is_first, current.begun = not current.begun, True
    return is_first and not trial.resume


def is_of_environment() -> bool:
    """Tell whether the trial is that of a process of its own, started by an agent.

    >>> is_of_environment()
    False
    """
    return current.trial is not None and os.environ.get(VARIABLE) == current.trial.to_json()


@contextlib.contextmanager
def assign(trial: Trial) -> Iterator[None]:
    """Let `init` begin this trial inside the block.

    >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 0.1}}})
    >>> with assign(Trial("lake", sweep_id, "trial-0", "p", {"lr": 0.1})), tl.init() as run:
    ...     run.id, run.config.lr
    ('trial-0', 0.1)
    """
    before = current.trial, current.begun
    current.trial, current.begun = trial, False
    try:
        yield
    finally:
        current.trial, current.begun = before
