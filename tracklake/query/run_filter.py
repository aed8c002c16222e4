"""Selection: which runs `runs=` means, and the condition that `where=` says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

import polars as pl

from tracklake.common.arguments import refused
from tracklake.errors import QueryError, UnknownNameError


class Identified(Protocol):
    """A run that was read, by whichever API."""

    @property
    def id(self) -> str:
        """The id of the run.

        >>> example().run("slow").id
        'slow'
        """
        ...


Runs = pl.DataFrame | pl.LazyFrame | pl.Series | Iterable[str] | Iterable[Identified] | Identified | str | None
"""Which runs: ids, runs, or a frame (polars or pandas) with a column run_id; None for all."""
Where = pl.Expr | str | None
"""A polars expression over the columns of the runs, or a boolean expression in SQL."""

QUOTES = (
    """names stand in double quotes and texts in single ones: "summary.val/loss.min" < 0.1 AND state = 'finished'"""
)
_UNQUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b((?:config|summary|quality)(?:\.\w+)+)""")
"""In SQL: texts, quoted names, and the dotted names that are columns and not tables with columns."""


_NULLS = ("None", "nan", "<NA>")
"""How nulls show themselves: those of polars and arrow, and two of pandas."""


def ids(runs: Runs) -> list[str]:
    """Return the ids of the runs that are meant; raise TypeError for what is none, UnknownNameError for other frames.

    >>> ids("slow"), ids(pl.DataFrame({"run_id": ["slow", "fast"]})), ids([example().run("fast")])
    (['slow'], ['slow', 'fast'], ['fast'])
    """
    if isinstance(runs, str):
        return [runs]
    source: Any = runs.collect() if isinstance(runs, pl.LazyFrame) else runs
    names = getattr(source, "column_names", getattr(source, "columns", None))  # the first is arrow's
    if names is not None:
        if "run_id" not in (names := list(names)):
            raise UnknownNameError(f"runs= takes run ids or a frame with a column run_id; the frame given has {names}")
        source = source["run_id"]
    items = _items(source)
    run_ids = items if set(map(type, items)) <= {str} else [getattr(item, "id", item) for item in items]
    if run_ids is not items and not all(isinstance(item, str) for item in run_ids):
        nulls = [i for i, item in enumerate(run_ids) if not isinstance(item, str) and str(item) in _NULLS]
        if nulls and len(run_ids) > 1:
            where = f"{len(nulls):,} of {len(run_ids):,} are null, the first in row {nulls[0] + 1:,}"
            raise TypeError(f"runs= takes run ids; {where}: drop them, as by .drop_nulls('run_id')")
        raise refused("runs", "run ids, runs, or a frame with a column run_id", runs)
    return run_ids


def _items(given: Any) -> list[Any]:
    """Return what several hold as values of Python; of a mapping its keys, of anything else a list of it alone."""
    for name in ("to_list", "to_pylist", "tolist"):  # polars and pandas, arrow, numpy
        if hasattr(given, name):
            values = getattr(given, name)()
            return values if isinstance(values, list) else [values]
    return list(given) if isinstance(given, Iterable) else [given]


def plain_frame(given: Any) -> Any:
    """Return a frame, be it lazy, of pandas or of arrow, as one of polars with categories as texts; all else as it is.

    >>> plain_frame(pl.LazyFrame({"run_id": ["slow"]}).cast(pl.Categorical)).dtypes
    [String]
    """
    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    elif type(given).__module__.split(".")[0] == "pandas":
        given = pl.from_pandas(given)
    elif hasattr(given, "column_names"):  # arrow's
        given = pl.DataFrame(given)
    return given.cast({pl.Categorical: pl.String, pl.Enum: pl.String}) if isinstance(given, pl.DataFrame) else given


def id_of(run: Identified | str, *, said: str = "run_id") -> str:
    """Return the id of one run; raise TypeError for what is none.

    >>> id_of("slow"), id_of(example().run("fast"))
    ('slow', 'fast')
    """
    run_id = getattr(run, "id", run)
    if not isinstance(run_id, str):
        raise refused(said, "the id of a run", run)
    return run_id


def condition(where: Where) -> pl.Expr | None:
    """Return a condition as an expression; in SQL a dotted name of a config or summary column needs no quotes.

    Raises TypeError, and QueryError for a text that is no condition, or that has a text where a column was meant.

    >>> condition("config.lr < 0.1").meta.root_names()
    ['config.lr']
    >>> condition("'config.lr' < 0.1")
    Traceback (most recent call last):
    tracklake.errors.QueryError: where="'config.lr' < 0.1" names no column; names stand in double quotes and ...
    >>> condition("1=1").meta.root_names()
    []
    """
    if where is None or isinstance(where, pl.Expr):
        return where
    if not isinstance(where, str):
        raise refused("where", "a polars expression or a SQL text", where)
    try:
        parsed = pl.sql_expr(_UNQUOTED.sub(lambda parsed: f'"{parsed[1]}"' if parsed[1] else parsed[0], where))
    except pl.exceptions.PolarsError as error:
        raise QueryError(f"where={where!r} is no condition in SQL: {error}; {QUOTES}") from error
    if "'" in where and not parsed.meta.root_names():  # plain constants, such as true and 1=1, are what programs write
        raise QueryError(f"where={where!r} names no column; {QUOTES}")
    return parsed


def filtered(table: pl.DataFrame, condition: pl.Expr, where: Where) -> pl.DataFrame:
    """Return the rows for which the condition holds; QueryError, which tells the types, where it cannot be answered.

    >>> filtered(pl.DataFrame({"lr": [0.1, 0.2]}), pl.col("lr") > 0.1, "lr > 0.1").rows()
    [(0.2,)]
    """
    try:
        return table.filter(condition)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        text = repr(where) if isinstance(where, str) else str(where)
        named = condition.meta.root_names()
        types = ", ".join(f"{name} is {dtype}" for name, dtype in table.schema.items() if name in named)
        raise QueryError(f"where={text} cannot be answered: {reason}{types and f' ({types})'}") from error
