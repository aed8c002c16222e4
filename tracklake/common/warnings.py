"""Warnings, at the line that called into tracklake."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def warn(message: str) -> None:
    """Warn (UserWarning) at the line that called into tracklake, whatever lies between.

    >>> with warnings.catch_warnings(record=True, action="always") as heard:
    ...     warn("tracklake: the disk is slow")
    >>> str(heard[0].message)
    'tracklake: the disk is slow'
    """
    warnings.warn(message, stacklevel=_level_outside())


def warn_once(about: str, message: str) -> None:
    """Warn of a thing the first time in this process.

    >>> with warnings.catch_warnings(record=True, action="always") as heard:
    ...     warn_once("an example", "tracklake: it means nothing"), warn_once("an example", "tracklake: again")
    (None, None)
    >>> len(heard)
    1
    """
    if about not in _warned:
        _warned.add(about)
        warn(message)


def warn_set_aside(what: str) -> None:
    """Warn once that something stored cannot be understood, and that all else is read.

    >>> with warnings.catch_warnings(record=True, action="always") as heard:
    ...     warn_set_aside("the definition {} of an example")
    >>> str(heard[0].message)[:63]
    'tracklake: the definition {} of an example cannot be understood'
    """
    reason = "a newer version wrote it, or it is damaged"
    warn_once(what, f"tracklake: {what} cannot be understood ({reason}) and is set aside; lake.check() tells more")


_warned: set[str] = set()


def _level_outside() -> int:
    """Return the stacklevel at which a warning names the line that called into tracklake."""
    level = 1
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - warnings has skip_file_prefixes from Python 3.12 on
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("tracklake."):
        frame, level = frame.f_back, level + 1
    return level
