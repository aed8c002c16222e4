"""Functions of the module that are methods of the current run."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tracklake.errors import TracklakeError
from tracklake.tracking.open_runs import open_runs
from tracklake.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable


def current() -> Run:
    """Return the current run. Raises TracklakeError if there is none.

    >>> current()
    Traceback (most recent call last):
    tracklake.errors.TracklakeError: there is no current run: call tracklake.init() first
    """
    run: Run | None = open_runs.current
    if run is None:
        raise TracklakeError("there is no current run: call tracklake.init() first")
    return run


@functools.cache
def function(name: str) -> Callable[..., Any]:
    """Return a function that calls this method of the current run.

    >>> with tl.init(id="r1"):
    ...     function("get_url")()
    'file:///.../lake#r1'
    """
    method = getattr(Run, name)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(current(), name)(*args, **kwargs)

    return call
