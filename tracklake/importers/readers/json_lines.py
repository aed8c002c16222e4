"""JSON Lines as Python writes them: with NaN and Infinity, keys missing in some lines, and a torn last line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import SourceError
from tracklake.importers.readers import bytestream, records
from tracklake.importers.readers.kept_frames import UniformFrames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_NOT_JSON = (b"NaN", b"Infinity")
_DEEPEST = 50
_LARGEST_ARRAY = 32 << 20
"""Bytes of a file that is one array: it is parsed at once."""


class JsonLinesTable:
    r"""A file of one JSON object a line, read in frames of bounded size; nested objects are dotted columns.

    >>> from pathlib import Path
    >>> _ = Path("a.jsonl").write_text('{"step": 1, "m": {"loss": NaN}}\n{"step": 2}\n{"st')
    >>> table = JsonLinesTable(Path("a.jsonl"))
    >>> [frame.rows() for frame in table.frames()], list(table.remarks)
    ([[(1, nan), (2, None)]], ['line 3 is torn; the table was read up to it'])
    """

    def __init__(self, path: Path, *, separator: str = ".") -> None:
        self.path = path
        self.remarks: dict[str, bool] = {}
        self._separator = separator
        self._frames = UniformFrames(self._parsed, mixed=pl.Object)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, as frames. Raises SourceError for what is no JSON Lines file.

        >>> from pathlib import Path
        >>> _ = Path("a.jsonl").write_text('{"a": 1}')
        >>> next(JsonLinesTable(Path("a.jsonl")).frames()).rows()
        [(1,)]
        """
        return iter(self._frames)

    def _parsed(self) -> Iterator[pl.DataFrame]:
        if bytestream.head(self.path).lstrip()[:1] == b"[":
            yield of_rows([dict(flattened(row, self._separator)) for row in self._array()])
            return
        n_lines = 0
        for chunk in bytestream.chunks(self.path):
            frame = None if any(word in chunk for word in _NOT_JSON) else self._fast(chunk)
            yield self._slow(chunk, n_lines) if frame is None else frame
            n_lines += chunk.count(b"\n")

    def _array(self) -> list[dict[str, Any]]:
        """Return the objects of a file that is one array of them."""
        data = bytestream.head(self.path, _LARGEST_ARRAY + 1)
        if len(data) > _LARGEST_ARRAY:
            raise SourceError(f"{self.path} is one array of over {_LARGEST_ARRAY >> 20} MB; write an object a line")
        try:
            rows: list[dict[str, Any]] = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self.path} is no JSON: {error}") from None
        if not all(isinstance(row, dict) for row in rows):
            raise SourceError(f"{self.path} is an array of something else than objects")
        return rows

    def columns(self) -> list[str]:
        r"""Return the columns that the first object names; none where there is none.

        >>> from pathlib import Path
        >>> _ = Path("a.json").write_text('[{"step": 1},\n{"step": 2}]')
        >>> JsonLinesTable(Path("a.json")).columns()
        ['step']
        """
        head = bytestream.head(self.path)
        if head.lstrip()[:1] != b"[":
            return self.of_line(head.split(b"\n", 1)[0])
        try:
            rows = self._array()
        except SourceError:
            return []
        return [name for name, _ in flattened(rows[0], self._separator)] if rows else []

    def of_line(self, line: bytes) -> list[str]:
        """Return the columns that one line names; none where it is no object.

        >>> from pathlib import Path
        >>> JsonLinesTable(Path("a.jsonl")).of_line(b'{"step": 1}')
        ['step']
        """
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return []
        return [name for name, _ in flattened(value, self._separator)] if isinstance(value, dict) else []

    def _fast(self, chunk: bytes) -> pl.DataFrame | None:
        if not chunk.endswith(b"\n"):
            return None
        try:
            frame = flat(pl.read_ndjson(chunk, infer_schema_length=None), self._separator)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        return None if any(_may_be_made_text(column) for column in frame) else frame

    def _slow(self, chunk: bytes, n_before: int) -> pl.DataFrame:
        rows: list[dict[str, Any]] = []
        lines = chunk.split(b"\n")
        for i, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise ValueError("it is no object")  # noqa: TRY004, TRY301 - as what is no JSON
            except (ValueError, RecursionError) as error:
                if i < len(lines) - 1 or not (rows or n_before):
                    raise SourceError(f"{self.path}: line {n_before + i + 1} is no JSON object: {error}") from None
                self.remarks[f"line {n_before + i + 1} is torn; the table was read up to it"] = True
                break
            rows.append(dict(flattened(value, self._separator)))
        return of_rows(rows)


def _may_be_made_text(column: pl.Series) -> bool:
    """Tell whether polars may have made texts of other values, as it does where kinds mix in a column."""
    if column.dtype != pl.String:
        return False
    is_number = column.cast(pl.Float64, strict=False).is_not_null()
    return bool((is_number | column.str.contains(r"^(?:true$|false$|\[|\{)")).any())


def flattened(value: Mapping[str, Any], separator: str, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield what nested objects hold under joined names; an empty one is left out.

    >>> dict(flattened({"a": {"b": 1, "c": {}}}, "/"))
    {'a/b': 1}
    """
    for key, below in value.items():
        if isinstance(below, dict) and depth < _DEEPEST:
            yield from flattened(below, separator, f"{prefix}{key}{separator}", depth + 1)
        else:
            yield f"{prefix}{key}", below


def of_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as columns, each of the one type that its values have; where they mix, of objects.

    >>> of_rows([{"a": 1}, {"a": 0.5, "b": "x"}]).rows()
    [(1.0, None), (0.5, 'x')]
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame([records.series(name, [row.get(name) for row in rows]) for name in names])


def flat(frame: pl.DataFrame, separator: str = ".") -> pl.DataFrame:
    """Return a frame whose struct columns are columns of their own, under joined names.

    >>> flat(pl.DataFrame({"a": [{"b": 1}]})).columns
    ['a.b']
    """
    while any(column.dtype == pl.Struct for column in frame):
        frame = pl.DataFrame([part for column in frame for part in _unnested(column, separator)])
    return frame


def _unnested(column: pl.Series, separator: str) -> list[pl.Series]:
    if column.dtype != pl.Struct:
        return [column]
    return [part.alias(f"{column.name}{separator}{part.name}") for part in column.struct.unnest()]
