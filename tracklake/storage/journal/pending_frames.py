"""Frames in memory: those that a full disk did not take, or that a buffer gathers."""

from __future__ import annotations

import warnings


class PendingFrames:
    """Frames in order, each with its number of rows, until there is room or the buffer is written.

    >>> pending = PendingFrames()
    >>> pending.add(b"one", 1), pending.add(b"two", 1), len(pending), pending.n_bytes
    (None, None, 2, 6)
    """

    __slots__ = ("_frames", "is_full", "n_bytes")

    def __init__(self, frames: list[tuple[bytes, int]] | None = None, *, is_full: bool = False) -> None:
        self._frames = frames or []
        self.n_bytes = sum(len(data) for data, _ in self._frames)
        self.is_full = is_full
        """Whether there was no room for them on the disk."""

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def n_rows(self) -> int:
        """How many rows they are.

        >>> PendingFrames([(b"frame", 3)]).n_rows
        3
        """
        return sum(rows for _, rows in self._frames)

    def is_beyond(self, limit: int, more: int) -> bool:
        """Tell whether they and some bytes more would be more than a limit.

        >>> PendingFrames([(b"frame", 1)]).is_beyond(6, 1), PendingFrames([(b"frame", 1)]).is_beyond(6, 2)
        (False, True)
        """
        return self.n_bytes + more > limit

    def add(self, frames: bytes, rows: int) -> None:
        """Put frames behind the others.

        >>> pending = PendingFrames()
        >>> pending.add(b"frame", 1), len(pending)
        (None, 1)
        """
        self.n_bytes += len(frames)  # first: who compares it after an interrupt may see too much, never too little
        self._frames.append((frames, rows))

    def split(self, count: int) -> tuple[bytes, PendingFrames]:
        """Return the bytes of the first ones, and the others.

        >>> frames, after = PendingFrames([(b"one", 1), (b"two", 1), (b"three", 1)]).split(2)
        >>> frames, len(after)
        (b'onetwo', 1)
        """
        first = b"".join(frames for frames, _ in self._frames[:count])
        return first, PendingFrames(self._frames[count:], is_full=self.is_full)

    def warn_full(self, reason: str, *, limit: int) -> None:
        """Warn that there is no room for them, once until there is again.

        >>> pending = PendingFrames()
        >>> with warnings.catch_warnings(record=True, action="always") as warned:
        ...     pending.warn_full("no room", limit=64 << 20), pending.warn_full("no room", limit=64 << 20)
        (None, None)
        >>> len(warned)
        1
        """
        if self.is_full:
            return
        self.is_full = True
        warnings.warn(
            f"tracklake: {reason}; rows are kept in memory, up to {limit >> 20} MB, and written as soon as there is "
            "room",
            stacklevel=5,
        )
