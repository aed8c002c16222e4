"""From rows to points: what a journal's tail says, as the long frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tracklake import points
from tracklake.schema import POINTS
from tracklake.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklake.tail import OddPoint, RowBlock, Tail

Ints = np.ndarray[Any, np.dtype[np.int64]]

_KINDS = {"d": Kind.FLOAT, "q": Kind.INT, "?": Kind.BOOL}


def points_of(tail: Tail, *, project: str, run_id: str, session: int) -> pl.DataFrame:
    """Return the points of a tail (schema POINTS), sorted by metric, step and stamp."""
    frames = []
    if tail.blocks:
        frames.append(_of_blocks(tail.blocks))
    if tail.odd:
        frames.append(_of_odd(tail.odd))
    if not frames:
        return pl.DataFrame(schema=POINTS)
    whose = pl.lit(project).alias("project"), pl.lit(run_id).alias("run_id"), pl.lit(session, pl.Int64).alias("session")
    found = pl.concat(frames).with_columns(*whose).select(list(POINTS))
    return points.sort(found)


def _of_blocks(blocks: list[RowBlock]) -> pl.DataFrame:
    """Put the columns of all blocks one below the other, metric by metric."""
    columns: dict[str, list[tuple[Ints, Ints, Ints, str]]] = {}
    for block in blocks:
        for j, (name, kind) in enumerate(zip(block.names, block.kinds, strict=True)):
            columns.setdefault(name, []).append((block.stamps, block.steps, block.values[:, j], kind))
    names = sorted(columns)
    pieces = [piece for name in names for piece in columns[name]]
    stamps, steps, raw = (np.concatenate([p[i] for p in pieces]) for i in range(3))
    lengths = np.fromiter((len(p[0]) for p in pieces), np.int64, len(pieces))
    kinds = np.repeat(np.fromiter((_KINDS[p[3]] for p in pieces), np.int8, len(pieces)), lengths)
    owners = [i for i, name in enumerate(names) for _ in columns[name]]
    metric = pl.Series(names, dtype=pl.String).gather(np.repeat(np.asarray(owners, dtype=np.uint32), lengths))
    return pl.DataFrame(
        {
            "metric": metric,
            "step": steps,
            "ts": pl.Series(stamps).cast(POINTS["ts"]),
            "kind": kinds,
            **_values(raw, kinds),
        }
    )


def _values(raw: Ints, kinds: np.ndarray[Any, np.dtype[np.int8]]) -> dict[str, pl.Series]:
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


def _of_odd(odd: Iterable[OddPoint]) -> pl.DataFrame:
    rows = [(p.metric, p.step, p.stamp, p.stored.kind, p.stored.value, p.stored.ival, p.stored.text) for p in odd]
    columns = ("metric", "step", "ts", "kind", "value", "ival", "text")
    schema = {c: pl.Int64 if c == "ts" else POINTS[c] for c in columns}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("ts").cast(POINTS["ts"]))
