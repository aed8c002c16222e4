"""Frames of data that the caller of a query holds in variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

_FRAMES = {("polars", "DataFrame"), ("polars", "LazyFrame"), ("pandas", "DataFrame"), ("pyarrow", "Table")}


def is_frame(value: object) -> bool:
    """Say whether a value is a frame of polars, pandas or arrow.

    >>> import polars as pl
    >>> is_frame(pl.DataFrame()), is_frame([1])
    (True, False)
    """
    kind = type(value)
    return (kind.__module__.partition(".")[0], kind.__name__) in _FRAMES


class Caller:
    """Finds the frames of data that a caller's variables hold.

    >>> import sys
    >>> import polars as pl
    >>> mine = pl.DataFrame({"lr": [0.1]})
    >>> Caller(sys._getframe())("mine").height
    1
    """

    def __init__(self, frame: FrameType | None) -> None:
        self._frame = frame

    def __call__(self, name: str) -> Any:
        """Return the frame of data that the caller has under this name, whatever its case; None if there is none."""
        for variables in (self._frame.f_locals, self._frame.f_globals) if self._frame else ():
            for variable, value in variables.items():
                if variable.casefold() == name and is_frame(value):
                    return value
        return None
