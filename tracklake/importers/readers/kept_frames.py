"""The frames of a table, which may be gone through again: kept unless they are large, else parsed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LARGEST = 320 << 20
"""Bytes of frames that are kept."""


class KeptFrames:
    """Goes through frames as often as wanted.

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


class UniformFrames:
    """Goes through frames all of which have the same columns, each of the one type that its values have in all of them.

    A column that is not there in a frame is null in it; numbers become floats where some are, and what mixes
    `mixed`: texts, or objects, which keep their kinds. `names` are columns that there are in any case.

    >>> frames = UniformFrames(lambda: iter([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [0.5], "b": ["x"]})]))
    >>> [frame.rows() for frame in frames]
    [[(1.0, None)], [(0.5, 'x')]]
    """

    def __init__(
        self,
        parse: Callable[[], Iterator[pl.DataFrame]],
        *,
        names: Sequence[str] = (),
        mixed: type[pl.DataType] = pl.String,
    ) -> None:
        self._frames = KeptFrames(parse)
        self._names = names
        self._mixed = mixed
        self._dtypes: dict[str, pl.DataType] | None = None

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield the frames in order."""
        if self._dtypes is None:
            self._dtypes = self._common()
        for frame in self._frames:
            yield pl.DataFrame([_column(frame, name, dtype) for name, dtype in self._dtypes.items()])

    def _common(self) -> dict[str, pl.DataType]:
        dtypes: dict[str, set[pl.DataType]] = {name: set() for name in self._names}
        for frame in self._frames:
            for column in frame:
                is_empty = column.null_count() == len(column)
                dtypes.setdefault(column.name, set()).update(() if is_empty else (column.dtype,))
        return {name: _common(several, self._mixed()) for name, several in dtypes.items()}


def _common(dtypes: set[pl.DataType], mixed: pl.DataType) -> pl.DataType:
    """Return the type that holds columns of all these types; that of a column without values is text."""
    if len(dtypes) <= 1:
        return next(iter(dtypes), pl.String())
    return pl.Float64() if dtypes <= {pl.Int64(), pl.Float64()} else mixed


def _column(frame: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Series:
    if name not in frame.columns:
        return pl.Series(name, [None], dtype=dtype).new_from_index(0, frame.height)
    column = frame[name]
    if column.dtype == dtype:
        return column
    return pl.Series(name, column.to_list(), dtype=pl.Object) if dtype == pl.Object else column.cast(dtype)
