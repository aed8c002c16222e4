"""The first rows of a table of many runs: what these runs say is read alone, before the columns of all runs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.compute import typed_columns
from tracklake.schema.values import STORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.ui.sources import Source

ALWAYS = ("run_id", "name", "state", "tags")
"""Columns that every row needs, shown or not."""
SAMPLE = 500
"""Runs by which the columns to show are chosen."""


def sample(source: Source, ids: pl.Series) -> tuple[list[str], pl.DataFrame]:
    """Return all of these runs if they are few, else the first, the last, and some between; and their config.

    >>> from tracklake.ui.sources import Source
    >>> sample(Source(example(), name="lake"), pl.Series(["slow", "fast"]))[0]
    ['slow', 'fast']
    """
    third = SAMPLE // 3
    ends = [ids.head(third), ids.gather_every(len(ids) // third + 1), ids.tail(third)]
    chosen = (ids if len(ids) <= SAMPLE else pl.concat(ends).unique(maintain_order=True)).to_list()
    return chosen, source.cached(("config", tuple(chosen)), lambda: _config_of(source, chosen))


def _config_of(source: Source, run_ids: list[str]) -> pl.DataFrame:
    with source.reading() as lake:
        return lake._view.runs.config.of_runs(run_ids)  # noqa: SLF001 - else all runs are read


def read(source: Source, run_ids: pl.Series, *, project: str | None, columns: Sequence[str]) -> pl.DataFrame:
    """Return some columns of a few runs in their order, by a read of their config alone.

    A column in which kinds mix has the types of these runs: that of all runs may have another column beside it.

    >>> from tracklake.ui.sources import Source
    >>> source, names = Source(example(), name="lake"), ["config.lr", "summary.acc"]
    >>> read(source, pl.Series(["fast"]), project=None, columns=names).rows()
    [('fast', 0.1, 0.8, 'fast', 'finished', None)]
    """
    names = list(dict.fromkeys(["run_id", *columns, *ALWAYS]))
    key = ("first", project, tuple(names), tuple(run_ids))
    return source.cached(key, lambda: _read(source, run_ids, names, project))  # type: ignore[no-any-return]


def _read(source: Source, run_ids: pl.Series, names: list[str], project: str | None) -> pl.DataFrame:
    config = [name for name in names if name.startswith("config.")]
    with source.reading() as lake:
        others = lake.runs(runs=run_ids.to_list(), columns=[name for name in names if name not in config])
        ids = lake.runs(project=project, columns=["run_id"])["run_id"]
    sampled, values = sample(source, ids)
    if not set(sampled).issuperset(run_ids):
        values = _config_of(source, run_ids.to_list())
    rows = others.select("run_id").with_row_index("row")
    columns = {series.name: [series] for series in others.iter_columns()}
    for name in config:
        stored = rows.join(values.filter(pl.col("column") == name).unique("run_id", keep="last"), on="run_id")
        columns[name] = typed_columns.typed(name, stored.select(STORED), stored["row"], rows.height, used_names=names)
    return pl.DataFrame([series for name in names for series in columns[name]])
