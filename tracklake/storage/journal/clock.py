"""The hybrid logical clock that stamps every statement."""

from __future__ import annotations

import time


class Clock:
    """Gives stamps in microseconds since the epoch: the wall clock, and always above the last stamp.

    A session starts its clock above every stamp it can see of its run, so that a wall clock that was set
    back cannot reorder what one process said after another.

    >>> clock = Clock(after=4_000_000_000_000_000)      # the run has stamps from the year 2096
    >>> clock.tick()
    4000000000000001
    >>> clock.tick()
    4000000000000002
    """

    __slots__ = ("last",)

    def __init__(self, *, after: int = 0) -> None:
        self.last = after

    def tick(self) -> int:
        """Return the next stamp (int, microseconds).

        >>> Clock(after=4_000_000_000_000_000).tick()
        4000000000000001
        """
        now = time.time_ns() // 1000
        self.last = now if now > self.last else self.last + 1
        return self.last
