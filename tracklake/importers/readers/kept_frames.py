"""The frames of a table, which may be gone through again: kept unless they are large, else parsed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

LARGEST = 192 << 20
"""Bytes of frames that are kept."""


class KeptFrames:
    """Goes through frames as often as wanted.

    >>> import polars as pl
    >>> frames = KeptFrames(lambda: iter([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})]))
    >>> next(iter(frames))["a"].item(), [frame["a"].item() for frame in frames]
    (1, [1, 2])
    """

    def __init__(self, parse: Callable[[], Iterator[pl.DataFrame]]) -> None:
        self._parse = parse
        self._kept: list[pl.DataFrame] = []
        self._following: Iterator[pl.DataFrame] | None = None
        self._n_bytes = 0
        self._is_large = False

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield the frames in order: those that are kept, then what is parsed on."""
        if self._is_large:
            yield from self._parse()
            return
        yield from self._kept
        if self._following is None:
            self._following = self._parse()
        for frame in self._following:
            self._n_bytes += int(frame.estimated_size())
            if self._n_bytes > LARGEST:
                self._is_large, self._kept = True, []
            if not self._is_large:
                self._kept.append(frame)
            yield frame
