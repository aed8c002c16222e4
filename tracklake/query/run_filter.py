"""Selection: which runs `runs=` means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import polars as pl

from tracklake.common.arguments import refused
from tracklake.errors import UnknownNameError


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

_NULLS = ("None", "nan", "<NA>")
"""How nulls show themselves: those of polars and arrow, and two of pandas."""


def check(where: Where) -> None:
    """Raise TypeError for what is no condition.

    >>> check("lr < 0.1")
    """
    if not (where is None or isinstance(where, pl.Expr | str)):
        raise refused("where", "a polars expression or a SQL text", where)


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


def _items(several: Any) -> list[Any]:
    """Return what several hold as values of Python; of a mapping its keys, of anything else a list of it alone."""
    for name in ("to_list", "to_pylist", "tolist"):  # polars and pandas, arrow, numpy
        if hasattr(several, name):
            values = getattr(several, name)()
            return values if isinstance(values, list) else [values]
    return list(several) if isinstance(several, Iterable) else [several]


def plain_frame(frame: Any) -> Any:
    """Return a frame, be it lazy, of pandas or of arrow, as one of polars with categories as texts; all else as it is.

    >>> plain_frame(pl.LazyFrame({"run_id": ["slow"]}).cast(pl.Categorical)).dtypes
    [String]
    """
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    elif type(frame).__module__.split(".")[0] == "pandas":
        frame = pl.from_pandas(frame)
    elif hasattr(frame, "column_names"):  # arrow's
        frame = pl.DataFrame(frame)
    return frame.cast({pl.Categorical: pl.String, pl.Enum: pl.String}) if isinstance(frame, pl.DataFrame) else frame


def id_of(run: Identified | str, *, argument: str = "run_id") -> str:
    """Return the id of one run; raise TypeError for what is none.

    >>> id_of("slow"), id_of(example().run("fast"))
    ('slow', 'fast')
    """
    run_id = getattr(run, "id", run)
    if not isinstance(run_id, str):
        raise refused(argument, "the id of a run", run)
    return run_id
