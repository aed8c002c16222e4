"""Parquet files as a lake writes them, in the encodings that were measured best; damage of one can be left out.

The footer holds the checksum of each row group, and of each column in it. With them, and that of the whole file in the
commit, a reader of a damaged file knows which row groups are what was written, before any decoder sees them.
"""

from __future__ import annotations

import io
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zlib import crc32

import polars as pl

from tracklake.common import whole_modules
from tracklake.errors import LakeError
from tracklake.storage.table import file_parts
from tracklake.storage.table.file_parts import Chunk, Part

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
_OFTEN_FEW = ("step", "session")
_FEW = 1024
"""Distinct steps, or sessions, up to which they are kept as a dictionary: one metric of all runs is read a fifth
sooner, in as many bytes. Of tens of thousands the places in a dictionary take two bytes a point, their differences
none."""
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
_MAGIC = b"PAR1"


class _Sink:
    """A file that is written from its beginning to its end, with the checksum of the whole and of each part."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._is_abandoned = False
        self._held: list[bytes] | None = None
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
        if self._held is not None:
            self._held.append(bytes(data))
            return len(data)
        self.size += len(data)
        self.crc, self._part = crc32(data, self.crc), crc32(data, self._part)
        return self._file.write(data)

    def end_part(self, *, start: int) -> Part:
        """Return the part that ends here, and began where it is said."""
        crc, self._part = self._part, 0
        return Part(start, self.size, crc)

    def hold(self) -> None:
        """Keep in memory what is written from now on."""
        self._held = []

    def released(self) -> bytes:
        """Return what was kept; what is written from now on goes into the file again."""
        held, self._held = self._held or [], None
        return b"".join(held)

    def read_part(self, part: Part) -> bytes:
        """Read what was written."""
        self._file.flush()
        self._file.seek(part.start)
        data = self._file.read(part.stop - part.start)
        self._file.seek(0, io.SEEK_END)
        return data

    def tell(self) -> int:
        return self.size + sum(map(len, self._held or ()))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._is_abandoned = True  # a writer that was interrupted adds its end when it is forgotten
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
        self._row_groups: list[Part] = []

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
                about_parts = file_parts.metadata(self._row_groups, list(self._schema))
                self._writer.add_key_value_metadata({**self._metadata, **about_parts})
                self._sink.hold()
                self._writer.close()
                tail = self._sink.released()
                self._sink.write(file_parts.with_chunks(tail, self._column_chunks(tail)))
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
            self._sink.end_part(start=0)
        for offset in range(0, arrow.num_rows, ROW_GROUP):
            start = self._sink.size
            self._writer.write_table(arrow.slice(offset, ROW_GROUP), row_group_size=ROW_GROUP)
            self._row_groups.append(self._sink.end_part(start=start))

    def _column_chunks(self, tail: bytes) -> list[Chunk]:
        """Return length and checksum of all column chunks, of which a footer tells where they are."""
        import pyarrow.parquet as pq

        footer = pq.read_metadata(io.BytesIO(_MAGIC + tail))
        chunks: list[Chunk] = []
        for i, part in enumerate(self._row_groups):
            data, row_group = memoryview(self._sink.read_part(part)), footer.row_group(i)
            lengths = [row_group.column(j).total_compressed_size for j in range(footer.num_columns)]
            if crc32(data) != part.crc or sum(lengths) != len(data):
                raise LakeError("a file does not hold what was just written to it: its disk, or its memory, is faulty")
            ends = zip(lengths, accumulate(lengths), strict=True)
            chunks += [Chunk(length, crc32(data[stop - length : stop])) for length, stop in ends]
        return chunks

    def _open(self, table: pl.DataFrame, schema: pa.Schema) -> pq.ParquetWriter:
        import pyarrow.parquet as pq

        names = list(self._schema)
        dictionaries = [c for c in names if c in _STRINGS or (c in _OFTEN_FEW and table[c].n_unique() <= _FEW)]
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
        parts = file_parts.read(file, size=size, crc=crc)
        if parts is None:
            return RowGroups(0, [])
        sound = [i for i, part in enumerate(parts.row_groups) if part.is_sound(file)]
        return RowGroups(len(parts.row_groups), sound)


def footer(path: Path) -> pq.FileMetaData:
    """Return what a file says of its row groups.

    >>> from pathlib import Path
    >>> with ParquetFile(Path("a.parquet"), {"value": pl.Float64}) as file:
    ...     file.append(pl.DataFrame({"value": [0.5]}))
    >>> footer(Path("a.parquet")).num_row_groups
    1
    """
    whole_modules.load("pyarrow.parquet")
    import pyarrow.parquet as pq

    return pq.read_metadata(path)


def read_row_groups(
    path: Path, row_groups: Sequence[int], schema: Mapping[str, Any], *, about: pq.FileMetaData | None = None
) -> pl.DataFrame:
    """Return the rows of some row groups, each column of numbers as one array; what is known of the `footer` spares it.

    Raises SchemaError of polars where the columns are not those of the schema.

    >>> from pathlib import Path
    >>> with ParquetFile(Path("a.parquet"), {"value": pl.Float64}) as file:
    ...     file.append(pl.DataFrame({"value": [0.5]})), file.append(pl.DataFrame({"value": [0.25]}))
    (None, None)
    >>> read_row_groups(Path("a.parquet"), [1], {"value": pl.Float64}).rows()
    [(0.25,)]
    """
    whole_modules.load("pyarrow.parquet")
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, metadata=about, pre_buffer=False) as file:  # of its own: threads must not share one
        rows = file.read_row_groups(list(row_groups), columns=list(schema), use_threads=False)
    frame = pl.DataFrame(rows.select([name for name in schema if name in rows.column_names]))
    if frame.schema != schema:
        raise pl.exceptions.SchemaError(f"columns {frame.schema}; expected {dict(schema)}")
    return frame
