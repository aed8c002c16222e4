"""What needs a server or an account: accepted with one warning, or refused with the way out."""

from __future__ import annotations

import functools
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from tracklake.common.warnings import warn_once
from tracklake.errors import TracklakeError
from tracklake.tracking import start
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from collections.abc import Callable


class AlertLevel(Enum):
    """How urgent an alert is; see `Run.alert`.

    >>> AlertLevel.WARN.value
    'WARN'
    """

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class ArtifactTTL(Enum):
    """How long an artifact is kept; here until it is deleted, whatever its `ttl` says.

    >>> ArtifactTTL.INHERIT.name
    'INHERIT'
    """

    INHERIT = "inherit"


@functools.cache
def ignored(name: str) -> Callable[..., None]:
    """Return a function that does nothing but warn once that it does nothing.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True, action="always") as shown:
    ...     ignored("termsetup")(), ignored("termsetup")()
    (None, None)
    >>> str(shown[0].message), len(shown)
    ('tracklake: wandb.termsetup() is accepted and means nothing: there is no server', 1)
    """

    def call(*_: object, **__: object) -> None:
        warn_once(name, f"tracklake: wandb.{name}() is accepted and means nothing: there is no server")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Do nothing, and say so once."
    return call


@functools.cache
def refused(name: str, way_out: str) -> Callable[..., NoReturn]:
    """Return a function that raises an error which names the way out.

    >>> refused("controller", "tracklake.agent chooses trials itself")()
    Traceback (most recent call last):
    tracklake.errors.TracklakeError: wandb.controller needs what tracklake does not have; tracklake.agent chooses ...
    """

    def call(*_: object, **__: object) -> NoReturn:
        raise TracklakeError(f"wandb.{name} needs what tracklake does not have; {way_out}")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Refused: {way_out}."
    return call


def quiet(*_: object, **__: object) -> None:
    """Do nothing: nothing is to be set up, asked for or waited for.

    >>> quiet(key="unused")
    """


def attach(run_id: str | None = None, **_: object) -> Any:
    """Return the current run; in a process that has none, go on with this run: Lightning's spawned processes do so.

    >>> with tl.init(id="r1"):
    ...     attach("r1").id
    'r1'
    >>> with attach("r1") as run:
    ...     run.resumed
    True
    """
    if open_runs.current is None and run_id is not None:
        return start.init(id=run_id, resume="must")
    return open_runs.current


def termlog(text: str = "", *_: object, **__: object) -> None:
    """Print a line to the standard error, as W&B's messages are.

    >>> termlog("done")
    """
    print(f"wandb: {text}", file=sys.stderr)  # noqa: T201 - it is what the function is for


termwarn = termerror = termlog
