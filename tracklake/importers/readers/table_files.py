"""Files that hold tables, by their endings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.common import interrupts
from tracklake.errors import SourceError
from tracklake.importers.readers import bounded_parquet, bytestream, counted_reads
from tracklake.importers.readers.delimited import DelimitedTable, dialect
from tracklake.importers.readers.json_lines import JsonLinesTable, flat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tracklake.importers.readers.curves import Table

_OF_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
CELLS = 8_000_000
"""Cells of a Parquet file that are read at once."""
DELIMITED = (".csv", ".tsv", ".txt", ".log")
JSON_LINES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (*DELIMITED, *JSON_LINES, ".parquet")


class ParquetTable:
    """A Parquet file, read in frames of bounded size; structs are dotted columns.

    >>> from pathlib import Path
    >>> pl.DataFrame({"step": [1], "m": [{"loss": 0.5}]}).write_parquet("a.parquet")
    >>> next(ParquetTable(Path("a.parquet")).frames()).rows()
    [(1, 0.5)]
    """

    def __init__(self, path: Path, *, columns: Sequence[str] | None = None) -> None:
        """`columns` are those that are needed: where they are names of the file's own, only they are read."""
        self.path = path
        self.remarks: dict[str, bool] = {}
        self._columns = columns

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, as frames. Raises SourceError for what is no Parquet file.

        >>> from pathlib import Path
        >>> pl.DataFrame({"a": [1]}).write_parquet("a.parquet")
        >>> next(ParquetTable(Path("a.parquet")).frames()).rows()
        [(1,)]
        """
        for frame in parquet_frames(self.path, columns=self._columns):
            yield flat(frame)


def parquet_frames(path: Path, *, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of a Parquet file in frames of bounded size; arrow reads it, as it takes damage without panic.

    Raises SourceError for what is no Parquet file, where it cannot be read on, and where few bytes mean very many.

    >>> from pathlib import Path
    >>> next(parquet_frames(Path("nowhere.parquet")))
    Traceback (most recent call last):
    tracklake.errors.SourceError: nowhere.parquet cannot be read as Parquet: ...
    """
    import pyarrow as pa

    try:
        with counted_reads.opened(path) as stream:
            for table in bounded_parquet.tables(stream, size=path.stat().st_size, columns=columns, cells=CELLS):
                frame = pl.from_arrow(table)
                yield frame if isinstance(frame, pl.DataFrame) else frame.to_frame()
    except UnicodeError:
        raise SourceError(f"{path}: the name of a column is no UTF-8; write the file with other names") from None
    except bounded_parquet.Bomb:
        ratio = bytestream.MAX_RATIO
        raise SourceError(f"{path} gets over {ratio} times larger when decoded; it is not read on") from None
    except (pa.ArrowException, OSError, *_OF_POLARS) as error:
        interrupts.let_through(error)
        raise SourceError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def parquet_columns(path: Path) -> list[str]:
    """Return the columns of a Parquet file; none where it is none.

    >>> from pathlib import Path
    >>> parquet_columns(Path("nowhere.parquet"))
    []
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        interrupts.let_through(error)
        return []


_TABLES: dict[str, Callable[[Path], Table]] = {
    **dict.fromkeys(DELIMITED, DelimitedTable),
    **dict.fromkeys(JSON_LINES, JsonLinesTable),
    ".parquet": ParquetTable,
}


def open_table(path: Path, *, columns: Sequence[str] | None = None) -> Table:
    """Return the table that a file holds. SourceError for another ending, and where the file has no header.

    Of a Parquet file only those `columns` are read that are needed, where they are named.

    >>> from pathlib import Path
    >>> open_table(Path("a.xlsx"))
    Traceback (most recent call last):
    tracklake.errors.SourceError: a.xlsx has the ending '.xlsx'; accepted are .csv, .tsv, .txt, .log, .jsonl, ...
    """
    suffix = bytestream.suffix_of(path)
    if suffix not in _TABLES:
        raise SourceError(f"{path} has the ending {suffix!r}; accepted are {', '.join(_TABLES)}, also with .gz or .zst")
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    return ParquetTable(path, columns=columns) if suffix == ".parquet" else _TABLES[suffix](path)


def header_of(path: Path) -> list[str]:
    """Return the columns that a text table, or the first line of a JSON Lines file, names; none where it names none.

    >>> from pathlib import Path
    >>> _ = Path("a.csv").write_text("epoch,loss")
    >>> header_of(Path("a.csv"))
    ['epoch', 'loss']
    """
    suffix = bytestream.suffix_of(path)
    try:
        if suffix in DELIMITED:
            return dialect(bytestream.head(path)).names
        if suffix in JSON_LINES:
            return JsonLinesTable(path).columns()
        return parquet_columns(path) if suffix == ".parquet" else []
    except (SourceError, pl.exceptions.PolarsError, OSError) as error:
        interrupts.let_through(error)
        return []
