"""From rows to points: what a journal's tail says, as the long frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import points
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind
from tracklake.storage.journal import frame_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tracklake.storage.journal.reader import OddPoint, RowBlock, Tail

    Ints = NDArray[np.int64]


class Source(NamedTuple):
    """What one journal file says of one run."""

    tail: Tail
    project: str
    run_id: str
    session: int


class _Piece(NamedTuple):
    """The values of one metric in rows of one key set; `source` is the number of their file."""

    source: int
    metric: str
    stamps: Ints
    steps: Ints
    raw: Ints
    kind: str


def points_of(sources: Sequence[Source]) -> pl.DataFrame:
    """Return the points of tails (schema POINTS), sorted; of many at the price of few calls into polars.

    >>> from tracklake.storage.journal.reader import OddPoint, Tail
    >>> from tracklake.schema.values import store
    >>> tail = Tail(odd=[OddPoint(7, 3, "note", store("rerun", name="note"))])
    >>> points_of([Source(tail, "p", "r1", 1)]).select("run_id", "metric", "step", "text").rows()
    [('r1', 'note', 3, 'rerun')]
    """
    ordered = sorted(sources, key=lambda source: (source.project, source.run_id))
    pieces = [piece for i, source in enumerate(ordered) for piece in _pieces(i, source.tail.blocks)]
    odd = [(i, point) for i, source in enumerate(ordered) for point in source.tail.odd]
    frames = ([_of_pieces(pieces)] if pieces else []) + ([_of_odd(odd)] if odd else [])
    if not frames:
        return pl.DataFrame(schema=POINTS)
    found = pl.concat(frames)
    whose = {"project": pl.String, "run_id": pl.String, "session": pl.Int64}
    owners = pl.DataFrame([source[1:] for source in ordered], schema=whose, orient="row")[found["source"]]
    return points.sort(pl.DataFrame([*owners, *found])[list(POINTS)])


def _pieces(source: int, blocks: list[RowBlock]) -> list[_Piece]:
    """Cut blocks into metrics, sorted by name; pieces of one metric stay in order."""
    found = [
        _Piece(source, name, block.stamps, block.steps, block.values[:, j], kind)
        for block in blocks
        for j, (name, kind) in enumerate(zip(block.names, block.kinds, strict=True))
    ]
    return sorted(found, key=lambda piece: piece.metric)


def _of_pieces(pieces: list[_Piece]) -> pl.DataFrame:
    """Put the columns of all pieces one below the other."""
    stamps, steps, raw = (np.concatenate(parts) for parts in zip(*(piece[2:5] for piece in pieces), strict=True))
    lengths = np.fromiter((len(piece.steps) for piece in pieces), np.int64, len(pieces))
    kinds = np.repeat(np.fromiter((frame_format.KINDS[piece.kind] for piece in pieces), np.int8, len(pieces)), lengths)
    which = pl.Series(np.repeat(np.arange(len(pieces), dtype=np.uint32), lengths))
    owners = pl.DataFrame(
        [piece[:2] for piece in pieces], schema={"source": pl.UInt32, "metric": pl.String}, orient="row"
    )
    columns = {"step": steps, "ts": pl.Series(stamps).cast(POINTS["ts"]), "kind": kinds, **_values(raw, kinds)}
    return owners[which].hstack(pl.DataFrame(columns))


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
    found = pl.select(
        pl.when(kind == Kind.FLOAT).then(floats).when(kind == Kind.INT).then(exact.cast(pl.Float64)).alias("value"),
        pl.when(kind != Kind.FLOAT).then(exact).alias("ival"),
    )
    return {"value": found["value"], "ival": found["ival"], "text": nothing}


def _of_odd(odd: list[tuple[int, OddPoint]]) -> pl.DataFrame:
    rows = [(i, p.metric, p.step, p.stamp, p.stored.kind, p.stored.value, p.stored.ival, p.stored.text) for i, p in odd]
    columns = ("metric", "step", "ts", "kind", "value", "ival", "text")
    schema = {"source": pl.UInt32} | {c: pl.Int64 if c == "ts" else POINTS[c] for c in columns}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("ts").cast(POINTS["ts"]))
