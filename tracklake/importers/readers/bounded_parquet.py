"""Tables of a Parquet file, each of bounded size, however few bytes its encodings need for a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.importers.readers import bytestream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AT_ONCE = 256 << 20
"""Bytes of decoded values of one table."""


class Bomb(Exception):  # noqa: N818 - who reads files says it in words of their own
    """A file of few bytes that stand for very many."""


def tables(stream: Any, *, size: int, columns: Sequence[str] | None = None, cells: int) -> Iterator[Any]:
    """Yield the rows of a Parquet file as arrow tables of at most so many cells, an empty one where it has no rows.

    Where all `columns` are names of the file's own, only they are read. `size` is that of the file. Raises Bomb where
    its values are far more bytes than any measured ones, before they are made; what arrow raises comes through.

    >>> import io
    >>> import polars as pl
    >>> file = io.BytesIO()
    >>> pl.DataFrame({"step": [1, 2], "note": ["a", "b"]}).write_parquet(file)
    >>> [table.num_rows for table in tables(file, size=file.tell(), cells=2)]
    [1, 1]
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(stream) as whole:
        schema, leaves = whole.schema_arrow, [whole.schema.column(i) for i in range(len(whole.schema))]
    names = [name for name in columns or () if name in schema.names]
    chosen = names if columns and len(names) == len(columns) else schema.names
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    limit = total = 0
    with pq.ParquetFile(stream, read_dictionary=texts) as file:
        limit = bytestream.largest(size)
        _refuse_large_groups(file.metadata, leaves, limit=limit)
        wanted = pa.schema([schema.field(name) for name in chosen])
        is_empty = True
        for batch in file.iter_batches(max(1, cells // max(1, len(chosen))), columns=chosen):
            n_bytes = batch.num_rows + sum(_decoded(column) for column in batch.columns)
            total += n_bytes
            if total > limit:
                raise Bomb
            is_empty = False
            rows = max(1, batch.num_rows * _AT_ONCE // max(n_bytes, _AT_ONCE))
            for start in range(0, batch.num_rows, rows):
                table = pa.Table.from_batches([batch.slice(start, rows)]).cast(wanted)
                table.validate(full=True)  # polars panics at texts that are no UTF-8
                yield table
        if is_empty:
            yield wanted.empty_table()


def _refuse_large_groups(metadata: Any, leaves: Sequence[Any], *, limit: int) -> None:
    """Raise Bomb where pages alone, or the values of lists, which no number of rows bounds, are beyond the limit."""
    total = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for leaf, column in zip(leaves, map(group.column, range(group.num_columns)), strict=True):
            total += column.total_uncompressed_size + (8 * column.num_values if leaf.max_repetition_level else 0)
    if total > limit:
        raise Bomb


def _decoded(array: Any) -> int:
    """Return about how many bytes the values of an array take once they are no dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return int(pc.sum(lengths).as_py() or 0) + 8 * len(array)
    if pa.types.is_struct(array.type):
        return sum(_decoded(array.field(i)) for i in range(array.type.num_fields))
    if hasattr(array, "values"):  # a list
        return _decoded(array.values) + 8 * len(array)
    return 8 * int(len(array) - array.null_count)
