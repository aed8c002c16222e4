"""The rows of a query as a polars frame: typed, its columns told apart, within bounds of memory and time."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import interrupts, threads
from tracklake.errors import QueryError
from tracklake.query.sandbox import computed_nan
from tracklake.query.sandbox.limits import MEMORY, SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from tracklake.query.sandbox.connection import Sandbox
    from tracklake.query.sandbox.limits import Limits

_QUOTED = re.compile(r"""(["']).*?\1""")
"""Names of fields and values of an enum in the name of a type."""
_PATIENCE = 0.1
"""Seconds after which Ctrl-C is heard."""


def rows_of(sandbox: Sandbox, cursor: DuckDBPyConnection, text: str, params: Mapping[str, Any]) -> pl.DataFrame:
    """Run the text and return its rows; whole numbers come as Int64 (Int128 beyond it), intervals as durations.

    polars has no intervals: one inside of a list or struct raises QueryError, and so does what takes more memory or
    time than the sandbox allows. What duckdb raises passes.

    >>> from tracklake.query.sandbox.connection import Sandbox
    >>> sandbox = Sandbox()
    >>> rows_of(sandbox, sandbox.cursor(), "SELECT 1::HUGEINT AS n, INTERVAL 2 HOUR AS took", {}).row(0)
    (1, datetime.timedelta(seconds=7200))
    """
    return bounded(sandbox, cursor, lambda: _rows(cursor, text, params))


def _rows(cursor: DuckDBPyConnection, text: str, params: Mapping[str, Any]) -> pl.DataFrame:
    relation = cursor.sql(text, params=dict(params) or None)
    if relation is None:
        return pl.DataFrame()
    names = _distinct(relation.columns)
    sound = computed_nan.without(text, cursor)
    if sound != text:
        relation = cursor.sql(sound, params=dict(params) or None)
    kinds = [str(kind) for kind in relation.types]
    for name, kind in zip(names, kinds, strict=True):
        if kind != "INTERVAL" and "INTERVAL" in _QUOTED.sub("", kind):
            raise QueryError(f"the column {name!r} ({kind}) holds intervals, which have no type there: take epoch(...)")
    frame = pl.DataFrame(_Result(_plain(relation, kinds)))
    return pl.DataFrame([_typed(s, kind).alias(n) for s, kind, n in zip(frame, kinds, names, strict=True)])


class _Result:
    """The result of a query, as polars reads it.

    polars remembers the types of what it was given, and duckdb complains when the process ends while one of its own is.
    """

    def __init__(self, relation: DuckDBPyRelation) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)


def bounded(sandbox: Sandbox, cursor: DuckDBPyConnection, work: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Do work of a cursor beside this thread, which hears of Ctrl-C and looks at the bounds: duckdb itself does not.

    Whatever ends it early, it ends at once: a cursor that does not hear that it should end is left behind.

    >>> from tracklake.query.sandbox.connection import Sandbox
    >>> from tracklake.query.sandbox.limits import Limits
    >>> sandbox = Sandbox(Limits.of(seconds=0.2))
    >>> cursor = sandbox.cursor()
    >>> text = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"
    >>> bounded(sandbox, cursor, lambda: cursor.sql(text).pl())
    Traceback (most recent call last):
    tracklake.errors.QueryError: the query took longer than sql_seconds=0.2: ...
    """
    start, before = time.monotonic(), _memory()
    call = threads.start(work, name="tracklake-query", daemon=True)
    try:
        while not call.wait(_PATIENCE):
            interrupts.raise_heard()  # polars dropped it before the query began
            _check(sandbox.limits, time.monotonic() - start, _memory() - before)
    except BaseException:
        cursor.interrupt()
        if not call.wait(_PATIENCE):
            sandbox.abandon()
            call.is_daemon = False  # native code that outlives the interpreter aborts the process
        raise
    return call.result()


def _check(limits: Limits, seconds: float, memory: int) -> None:
    if seconds > limits.seconds:
        raise QueryError(
            f"the query took longer than sql_seconds={limits.seconds:g}: ask for less, or allow more with "
            f"tl.open(..., sql_seconds=) or ${SECONDS}"
        )
    if memory > limits.memory:
        raise QueryError(over_memory(limits))


def over_memory(limits: Limits) -> str:
    """Return what is told of a query that needs more memory than it may.

    >>> from tracklake.query.sandbox.limits import Limits
    >>> over_memory(Limits.of("1 GB"))
    "the query needs more memory than sql_memory='1024 MB': ask for less, or allow more with ..."
    """
    bound = f"sql_memory='{limits.memory // 2**20} MB'"
    way_out = f"ask for less, or allow more with tl.open(..., sql_memory=) or ${MEMORY}"
    return f"the query needs more memory than {bound}: {way_out}"


def _memory() -> int:
    """Return how much memory this process holds (bytes); of a system without /proc, how much it held at most."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError as error:
        interrupts.let_through(error)
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _plain(relation: DuckDBPyRelation, kinds: Sequence[str]) -> DuckDBPyRelation:
    """Turn intervals, of which polars has none, into microseconds, and let no two columns have one name."""
    if "INTERVAL" not in kinds and len(set(relation.columns)) == len(kinds):
        return relation
    columns = [f"#{i}" if k != "INTERVAL" else f"epoch_us(#{i})" for i, k in enumerate(kinds, start=1)]
    return relation.project(", ".join(f"{column} AS c{i}" for i, column in enumerate(columns)))


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
