"""Decoding of rows: the records of journals as the long frame of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import points
from tracklake.schema.tables import POINTS
from tracklake.schema.values import STORED, Kind
from tracklake.storage.journal import frame_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tracklake.storage.journal.reader import JournalRecords, RowBlock, UnpackedPoint

    Ints = NDArray[np.int64]


class Source(NamedTuple):
    """The records of one journal file and whose they are."""

    records: JournalRecords
    project: str
    run_id: str
    session: int


class _Column(NamedTuple):
    """The values of one metric in rows of one key set; `source` is the number of their file."""

    source: int
    metric: str
    stamps: Ints
    steps: Ints
    raw: Ints
    kind: str


def points_of(sources: Sequence[Source]) -> pl.DataFrame:
    """Return the points of journal records (schema POINTS), sorted; of many at the price of few calls into polars.

    >>> from tracklake.storage.journal.reader import JournalRecords, UnpackedPoint
    >>> from tracklake.schema.values import store
    >>> records = JournalRecords(unpacked=[UnpackedPoint(7, 3, "note", store("rerun", name="note"))])
    >>> points_of([Source(records, "p", "r1", 1)]).select("run_id", "metric", "step", "text").rows()
    [('r1', 'note', 3, 'rerun')]
    """
    ordered = sorted(sources, key=lambda source: (source.project, source.run_id))
    columns = [column for i, source in enumerate(ordered) for column in _columns(i, source.records.blocks)]
    unpacked = [(i, point) for i, source in enumerate(ordered) for point in source.records.unpacked]
    frames = ([_of_columns(columns)] if columns else []) + ([_of_unpacked(unpacked)] if unpacked else [])
    if not frames:
        return pl.DataFrame(schema=POINTS)
    decoded = pl.concat(frames)
    owner_schema = {"project": pl.String, "run_id": pl.String, "session": pl.Int64}
    owners = pl.DataFrame([source[1:] for source in ordered], schema=owner_schema, orient="row")[decoded["source"]]
    return points.sort(pl.DataFrame([*owners, *decoded])[list(POINTS)])


def _columns(source: int, blocks: list[RowBlock]) -> list[_Column]:
    """Split blocks by metric, sorted by name; those of one metric stay in order."""
    columns = [
        _Column(source, name, block.stamps, block.steps, block.values[:, j], kind)
        for block in blocks
        for j, (name, kind) in enumerate(zip(block.names, block.kinds, strict=True))
    ]
    return sorted(columns, key=lambda column: column.metric)


def _of_columns(columns: list[_Column]) -> pl.DataFrame:
    """Lay all columns one below the other."""
    stamps, steps, raw = (np.concatenate(parts) for parts in zip(*(column[2:5] for column in columns), strict=True))
    lengths = np.fromiter((len(column.steps) for column in columns), np.int64, len(columns))
    kinds = np.repeat(
        np.fromiter((frame_format.KIND_OF_LETTER[column.kind] for column in columns), np.int8, len(columns)), lengths
    )
    which = pl.Series(np.repeat(np.arange(len(columns), dtype=np.uint32), lengths))
    owners = pl.DataFrame(
        [column[:2] for column in columns], schema={"source": pl.UInt32, "metric": pl.String}, orient="row"
    )
    values = {"step": steps, "ts": pl.Series(stamps).cast(POINTS["ts"]), "kind": kinds, **_values(raw, kinds)}
    return owners[which].hstack(pl.DataFrame(values))


def _values(raw: Ints, kinds: NDArray[np.int8]) -> dict[str, pl.Series]:
    """Read eight raw bytes a value as what its kind says: value and ival, null where they do not apply."""
    nothing = pl.Series("text", [None], dtype=pl.String).new_from_index(0, len(raw))
    floats = pl.Series("value", raw.view(np.float64))
    if not kinds.any():
        return {
            "value": floats,
            "ival": pl.Series("ival", [None], dtype=pl.Int64).new_from_index(0, len(raw)),
            "text": nothing,
        }
    kind, exact = pl.Series("kind", kinds), pl.Series("ival", raw)
    split = pl.select(
        pl.when(kind == Kind.FLOAT).then(floats).otherwise(exact.cast(pl.Float64)).alias("value"),
        pl.when(kind != Kind.FLOAT).then(exact).alias("ival"),
    )
    return {"value": split["value"], "ival": split["ival"], "text": nothing}


def _of_unpacked(unpacked: list[tuple[int, UnpackedPoint]]) -> pl.DataFrame:
    rows = [(i, p.metric, p.step, p.stamp, *p.stored) for i, p in unpacked]
    columns = ("metric", "step", "ts", *STORED)
    schema = {"source": pl.UInt32} | {c: pl.Int64 if c == "ts" else POINTS[c] for c in columns}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("ts").cast(POINTS["ts"]))
