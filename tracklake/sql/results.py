"""What a query of duckdb finds, as a polars frame: typed, its columns told apart, and to be interrupted by Ctrl-C."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_QUOTED = re.compile(r"""(["']).*?\1""")
"""Names of fields and values of an enum in the name of a type."""
_PATIENCE = 0.1
"""Seconds after which Ctrl-C is heard."""


def found(cursor: DuckDBPyConnection, text: str, params: Mapping[str, Any]) -> pl.DataFrame:
    """Run the text and return what it finds; whole numbers come as Int64 (Int128 beyond it), intervals as durations.

    polars has no intervals: one inside of a list or struct raises QueryError. What duckdb raises passes.

    >>> import duckdb
    >>> found(duckdb.connect(), "SELECT 1::HUGEINT AS n, INTERVAL 2 HOUR AS took", {}).row(0)
    (1, datetime.timedelta(seconds=7200))
    """
    relation = cursor.sql(text, params=dict(params) or None)
    if relation is None:
        return pl.DataFrame()
    names = _distinct(relation.columns)
    kinds = [str(kind) for kind in relation.types]
    for name, kind in zip(names, kinds, strict=True):
        if kind != "INTERVAL" and "INTERVAL" in _QUOTED.sub("", kind):
            raise QueryError(f"the column {name!r} ({kind}) holds intervals, which have no type there: take epoch(...)")
    plain = _plain(relation, kinds)
    frame = _interruptible(cursor, lambda: pl.DataFrame(_Found(plain)))
    return pl.DataFrame([_typed(s, kind).alias(n) for s, kind, n in zip(frame, kinds, names, strict=True)])


class _Found:
    """What a query finds, as polars reads it.

    polars remembers the types of what it was given, and duckdb complains when the process ends while one of its own is.
    """

    def __init__(self, relation: DuckDBPyRelation) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)


def _interruptible(cursor: DuckDBPyConnection, work: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Let a cursor work beside this thread, which hears of Ctrl-C between short waits: duckdb itself does not."""
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            while not wait([working], timeout=_PATIENCE).done:
                pass
        except KeyboardInterrupt:
            cursor.interrupt()
            raise
        return working.result()


def _plain(found: DuckDBPyRelation, kinds: Sequence[str]) -> DuckDBPyRelation:
    """Turn intervals, of which polars has none, into microseconds, and let no two columns have one name."""
    if "INTERVAL" not in kinds and len(set(found.columns)) == len(kinds):
        return found
    columns = [f"#{i}" if k != "INTERVAL" else f"epoch_us(#{i})" for i, k in enumerate(kinds, start=1)]
    return found.project(", ".join(f"{column} AS c{i}" for i, column in enumerate(columns)))


def _typed(series: pl.Series, kind: str) -> pl.Series:
    if kind == "INTERVAL":
        return series.cast(pl.Duration("us"))
    if kind in ("HUGEINT", "UHUGEINT"):
        integers = series.cast(pl.Int64, strict=False)
        return integers if integers.null_count() == series.null_count() else series.cast(pl.Int128)
    return series


def _distinct(names: Sequence[str]) -> list[str]:
    """Number the names that come again, as duckdb does for pandas: a, a_1.

    >>> _distinct(["a", "b", "a"])
    ['a', 'b', 'a_1']
    """
    names_used: list[str] = []
    for name in names:
        free, i = name, 0
        while free in names_used:
            i += 1
            free = f"{name}_{i}"
        names_used.append(free)
    return names_used
