"""Parquet files as a lake writes them, in the encodings that were measured best; damage of one can be left out.

The footer holds the checksum of each row group. With it, and that of the whole file in the commit, a reader of a
damaged file knows which row groups are what was written, before any decoder sees them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zlib import crc32

import polars as pl

from tracklake.common import whole_modules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP = 131_072
"""Measured: one series reads fastest at this size."""
_PAGE = 1 << 14
"""Bytes of a column that are read or left out at once: with the usual 1 MB, one metric of all runs and few runs of many
take a fifth to a quarter longer, and a file is some 4 % smaller, more where numbers are regular."""
_STRINGS = ["project", "run_id", "metric", "op", "key", "text", "first_text", "last_text"]
_FEW_STEPS = 1024
"""Distinct steps up to which they are kept as a dictionary: one metric of all runs is read a fifth sooner, in as many
bytes. Of tens of thousands the places in a dictionary take two bytes a point, their differences none."""
_DELTAS = {
    "step",
    "ts",
    "session",
    "ival",
    "lo",
    "hi",
    "min_step",
    "max_step",
    "first_step",
    "last_step",
    "start",
    "last",
    "place",
}
_FLOATS = {"value", "sum", "sum_low", "mean", "m2", "min", "max", "first_value", "last_value"}
_NO_STATISTICS = _FLOATS
"""duckdb prunes row groups by statistics that leave NaN out, and so loses NaN rows: write none for floats."""
_MAGIC = 4
"""Bytes before the first row group."""
_KEY = "tracklake.row_groups"
_STORED = re.compile(rb"tracklake\.row_groups.{1,8}?(\[[0-9, ]*\])", re.DOTALL)
_FOOTER = 1 << 24
"""Bytes at the end of a file in which its footer begins."""
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
"""The polynomial 1, as a CRC-32 has its bits: the highest first."""


class _Sink:
    """A file that is written from its beginning to its end, with the checksum of the whole and of each part."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._is_abandoned = False
        self.size = self.crc = self._part = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def abandon(self) -> None:
        """Take what is still written for nothing, such as the end that the writer adds when it is forgotten."""
        self._is_abandoned = True

    def write(self, data: bytes) -> int:
        if self._is_abandoned:
            self._file.close()
            return len(data)
        self.size += len(data)
        self.crc, self._part = crc32(data, self.crc), crc32(data, self._part)
        return self._file.write(data)

    def end_part(self) -> tuple[int, int]:
        """Return where the part ends, and its checksum."""
        crc, self._part = self._part, 0
        return self.size, crc

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class ParquetFile:
    """A Parquet file of one schema, written chunk by chunk."""

    digest: tuple[int, int]
    """Bytes and CRC-32 of the file, once it is closed."""

    def __init__(self, path: Path, schema: Mapping[str, Any], *, metadata: Mapping[str, str] | None = None) -> None:
        self._sink = _Sink(path)
        self._metadata = metadata or {}
        self._schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._row_groups: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        """Return it; the file is whole once it is left."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Close the file, which has no rows if nothing was appended; after an exception leave it as it is."""
        if kind is not None:  # a thread may be amid a write, which pyarrow does not survive if this one closes it
            self._sink.abandon()
            return
        try:
            if self._writer is None:
                self.append(pl.DataFrame(schema=self._schema))
            if self._writer is not None:
                stored = [number for row_group in self._row_groups for number in row_group]
                self._writer.add_key_value_metadata({**self._metadata, _KEY: json.dumps(stored)})
                self._writer.close()
        finally:
            self._sink.close()
        self.digest = self._sink.size, self._sink.crc

    def append(self, table: pl.DataFrame) -> None:
        """Append rows, as row groups of their own.

        >>> from pathlib import Path
        >>> with ParquetFile(Path("a.parquet"), {"value": pl.Float64}) as file:
        ...     file.append(pl.DataFrame({"value": [0.5]}))
        >>> pl.read_parquet("a.parquet").rows()
        [(0.5,)]
        """
        whole_modules.load("pyarrow.parquet")
        arrow = table.select(list(self._schema)).to_arrow()
        if self._writer is None:
            self._writer = self._open(table, arrow.schema)
            self._sink.end_part()
        for start in range(0, arrow.num_rows, ROW_GROUP):
            self._writer.write_table(arrow.slice(start, ROW_GROUP), row_group_size=ROW_GROUP)
            self._row_groups.append(self._sink.end_part())

    def _open(self, table: pl.DataFrame, schema: pa.Schema) -> pq.ParquetWriter:
        import pyarrow.parquet as pq

        names = list(self._schema)
        dictionaries = [c for c in names if c in _STRINGS or (c == "step" and table[c].n_unique() <= _FEW_STEPS)]
        encodings = {c: "DELTA_BINARY_PACKED" for c in names if c in _DELTAS and c not in dictionaries}
        encodings |= {c: "BYTE_STREAM_SPLIT" for c in names if c in _FLOATS}
        return pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=dictionaries,
            column_encoding=encodings,
            write_statistics=[c for c in names if c not in _NO_STATISTICS],
            write_page_index=True,
            data_page_size=_PAGE,
            store_schema=False,
        )


class RowGroups(NamedTuple):
    """The row groups of a file, and those of them that are as they were written."""

    number: int
    sound: list[int]


def row_groups(path: Path, *, size: int, crc: int) -> RowGroups:
    """Return which row groups of a damaged file can be read, whose size and checksum were these.

    None where all else of the file, its footer above all, is not what it was.

    >>> from pathlib import Path
    >>> with ParquetFile(Path("a.parquet"), {"value": pl.Float64}) as file:
    ...     file.append(pl.DataFrame({"value": [0.5]})), file.append(pl.DataFrame({"value": [0.25]}))
    (None, None)
    >>> data = Path("a.parquet").read_bytes()
    >>> _ = Path("a.parquet").write_bytes(data[:20] + b"?" + data[21:])
    >>> row_groups(Path("a.parquet"), size=file.digest[0], crc=file.digest[1])
    RowGroups(number=2, sound=[1])
    """
    with path.open("rb") as file:
        if path.stat().st_size != size:
            return RowGroups(0, [])
        file.seek(max(0, size - _FOOTER))
        match = _STORED.search(file.read())
        stored: list[int] = json.loads(match[1]) if match else []
        parts = list(zip([_MAGIC, *stored[::2]], stored[::2], stored[1::2], strict=False))
        if not parts or any(not start < stop <= size for start, stop, _ in parts):
            return RowGroups(0, [])
        file.seek(0)
        checksum, sound = crc32(file.read(_MAGIC)), []
        for i, (start, stop, written) in enumerate(parts):
            if crc32(file.read(stop - start)) == written:
                sound.append(i)
            checksum = _joined(checksum, written, stop - start)
        tail = file.read()
        is_sound = _joined(checksum, crc32(tail), len(tail)) == crc
        return RowGroups(len(parts), sound if is_sound else [])


def read_row_groups(path: Path, numbers: Sequence[int], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows of some row groups.

    >>> from pathlib import Path
    >>> with ParquetFile(Path("a.parquet"), {"value": pl.Float64}) as file:
    ...     file.append(pl.DataFrame({"value": [0.5]})), file.append(pl.DataFrame({"value": [0.25]}))
    (None, None)
    >>> read_row_groups(Path("a.parquet"), [1], {"value": pl.Float64}).rows()
    [(0.25,)]
    """
    whole_modules.load("pyarrow.parquet")
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        frames = [pl.DataFrame(file.read_row_group(number)) for number in numbers]
    empty = pl.DataFrame(schema=dict(schema))
    return pl.concat([empty, *(frame.select(empty.columns).cast(empty.schema) for frame in frames)])


def _joined(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two pieces in a row from those of the pieces, the second of which has this length.

    The checksum is a remainder of polynomials over the field of two elements: the first is shifted by the bits of the
    second, which is to multiply it by a power of x.
    """
    shift, square = _ONE, _ONE >> 8
    while length:
        if length & 1:
            shift = _product(shift, square)
        square = _product(square, square)
        length >>= 1
    return _product(shift, first) ^ second


def _product(one: int, other: int) -> int:
    """Multiply two polynomials modulo that of CRC-32."""
    product = 0
    for power in range(31, -1, -1):
        if one >> power & 1:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product
