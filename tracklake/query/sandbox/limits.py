"""Limits: how much memory and time a query may take, as given or as the environment says."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import NamedTuple

from tracklake.common import arguments
from tracklake.errors import QueryError

MEMORY = "TRACKLAKE_SQL_MEMORY"
SECONDS = "TRACKLAKE_SQL_SECONDS"
"""The environment variables with the bounds of a query."""
_UNITS = {"MB": 2**20, "GB": 2**30, "TB": 2**40}
_SIZE = re.compile(r"\s*([0-9.]+)\s*(MB|GB|TB)\s*", re.IGNORECASE)
_LEAST = 256 * 2**20


class Limits(NamedTuple):
    """How much memory (bytes) and time a query may take."""

    memory: int
    seconds: float

    @classmethod
    def of(cls, memory: str | None = None, seconds: float | None = None) -> Limits:
        """Return the bounds that are given, else those of the environment, else half of the machine and 10 minutes.

        >>> Limits.of("2 GB", 60)
        Limits(memory=2147483648, seconds=60.0)
        >>> Limits.of("much")
        Traceback (most recent call last):
        tracklake.errors.QueryError: sql_memory='much'; accepted is a size of at least 256 MB, such as '4 GB'
        """
        size = memory if memory is not None else os.environ.get(MEMORY)
        time = seconds if seconds is not None else os.environ.get(SECONDS, "600")
        try:
            bound = float(time)
        except (TypeError, ValueError):
            raise arguments.refused("sql_seconds", "a number of seconds", time) from None
        if not bound > 0:
            raise QueryError(f"sql_seconds={time!r}; it is a number of seconds above 0")
        return cls(_half_of_the_machine() if size is None else _bytes(size), bound)


def _bytes(size: str) -> int:
    match = _SIZE.fullmatch(arguments.text("sql_memory", size, takes="a size such as '4 GB'"))
    size_in_bytes = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size_in_bytes < _LEAST:
        raise QueryError(f"sql_memory={size!r}; accepted is a size of at least 256 MB, such as '4 GB'")
    return size_in_bytes


@cache
def _half_of_the_machine() -> int:
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not tell
        machine = 8 * 2**30
    return max(_LEAST, machine // 2)
