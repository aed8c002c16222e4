"""Grouping: the columns that put runs into groups, told apart by their exact typed values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common import arguments
from tracklake.errors import UnknownNameError
from tracklake.schema import naming, values
from tracklake.schema.values import STORED, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable

EXACT = " (exact)"
"""What follows the name of the column that tells apart what looks alike in a column of mixed types."""


class Grouping(NamedTuple):
    """The columns that group runs, and those that a text like "config - seed" took out."""

    columns: list[str]
    removed: list[str]
    expanded: list[str]
    """The columns that came from "config": of these, what does not vary says nothing."""

    def shown(self, rows: pl.DataFrame, *, without: Sequence[str] = ()) -> list[str]:
        """Return the columns of these rows that group, with those of their texts (`x.text`, where types are mixed).

        And with `x (exact)`, where there is one. Of the expanded ones those that vary, and none of `without`; but one
        at least, if there are any.

        >>> rows = pl.DataFrame({"config.lr": [0.1, 0.2], "config.depth": [3, 3]})
        >>> Grouping(["config.lr", "config.depth"], [], expanded=["config.lr", "config.depth"]).shown(rows)
        ['config.lr']
        """
        present = [(c, part) for c in self.columns for part in (c, f"{c}.text", c + EXACT) if part in rows.columns]
        candidates = [(c, part) for c, part in present if c not in self.expanded or c not in without]
        varying = [part for c, part in candidates if c not in self.expanded or rows[part].n_unique() > 1]
        return varying or [part for _, part in candidates[:1]]


def resolve(table: RunTable, by: str | Sequence[str], run_ids: pl.Series) -> Grouping:
    """Read `by`: names of columns ("config.lr", "lr", "group"), globs, or "config - seed - ..." for all but these.

    Raises UnknownNameError with the nearest names.

    >>> table = example()._view.runs
    >>> resolve(table, "config - seed*", table.summaries.runs["run_id"]).columns
    ['config.lr']
    """
    names = arguments.texts("by", by)
    available = [name for name in table.names.defaults(run_ids) if name.startswith("config.")]
    columns: list[str] = []
    removed: list[str] = []
    expanded: list[str] = []
    for name in names:
        first, *minus = [part.strip() for part in name.split(" - ")]
        if first != "config" or name in table.names.available:
            columns += columns_of(table, [name])
            continue
        excluded = [column for part in minus for column in available if _means(part, column)]
        unknown = [part for part in minus if not naming.is_glob(part) and not any(_means(part, c) for c in available)]
        if unknown:
            raise UnknownNameError.nearest("config key", unknown[0], [c.removeprefix("config.") for c in available])
        expanded += [column for column in available if column not in excluded]
        columns += expanded
        removed += excluded
    return Grouping(list(dict.fromkeys(columns)), removed, expanded)


def grouped(table: RunTable, by: str | Sequence[str], *, runs: Runs, where: Where) -> pl.DataFrame:
    """Return run_id and the columns that group, one row a run; run_id as a column that groups is called run.

    >>> grouped(example()._view.runs, "lr", runs=None, where=None).rows()
    [('slow', 0.01), ('fast', 0.1)]
    """
    ids = table.select(runs=runs, where=where, wanted=["run_id"])
    named = resolve(table, by, ids["run_id"])
    rows = with_exact(table, table.select(runs=ids, wanted=["run_id", *named.columns]), named.columns)
    keys = named.shown(rows)
    return rows.select("run_id", *(pl.col(name).alias("run") if name == "run_id" else name for name in keys))


def with_exact(table: RunTable, rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the rows with a column `x (exact)` for each column of config in which different values look alike.

    1 and 1.0, True and "true", an integer beyond 2**53 and its neighbour beside a float, None (whose exact text is
    null) and a key that is absent (which has none): columns of one type cannot hold both, but a group must not mix
    them.

    >>> for lr in (1, 1.0):
    ...     tl.init(config={"lr": lr}).finish()
    >>> table = tl.open()._view.runs
    >>> with_exact(table, table.select(wanted=["run_id", "config.lr"]), ["config.lr"])["config.lr (exact)"].to_list()
    ['1', '1.0']
    """
    config = _mixed(table, names)
    for name in config["column"].unique().sort():
        column = _exact_texts(config.filter(pl.col("column") == name), rows["run_id"])
        if column.n_unique() > rows.select(c for c in (name, f"{name}.text") if c in rows.columns).n_unique():
            rows = rows.with_columns(column.alias(name + EXACT))
    return rows


def words(table: RunTable, run_ids: pl.Series, names: Sequence[str]) -> dict[str, pl.Series]:
    """Return the exact text of what is no number, None being null, for columns of config that hold several kinds.

    Null where a run has a number, or lacks the key.

    >>> for drop in (0.5, None, "auto", True):
    ...     tl.init(config={"drop": drop}).finish()
    >>> table = tl.open()._view.runs
    >>> words(table, table.select(wanted=["run_id"])["run_id"], ["config.drop"])["config.drop"].to_list()
    [None, 'null', "'auto'", 'true']
    """
    config = _mixed(table, names).filter(~pl.col("kind").is_in([Kind.INT, Kind.FLOAT]))
    return {
        str(name): _exact_texts(config.filter(pl.col("column") == name), run_ids)
        for name in config["column"].unique().sort()
    }


def _mixed(table: RunTable, names: Sequence[str]) -> pl.DataFrame:
    """Return the config of the columns whose values are of several kinds, None being one, or lacking in some runs."""
    config = table.config.of([name for name in names if name in table.config.columns])
    is_mixed = (pl.col("kind").n_unique() > 1) | (pl.col("kind") == Kind.NULL).any()
    mixed = config.group_by("column").agg(is_mixed.alias("is_mixed")).filter("is_mixed")["column"]
    return config.filter(pl.col("column").is_in(mixed.implode()))


def _exact_texts(config: pl.DataFrame, run_ids: pl.Series) -> pl.Series:
    """Return the exact text of each run's value in one column of config, null where the run has none."""
    stored = list(STORED)
    distinct = config.select(stored).unique()
    texts = pl.Series("exact", [exact_text(values.restore(*row)) for row in distinct.iter_rows()], dtype=pl.String)
    of_runs = config.join(distinct.with_columns(texts), on=stored, nulls_equal=True).select("run_id", "exact")
    return run_ids.to_frame().join(of_runs, on="run_id", how="left", maintain_order="left")["exact"]


def exact_text(value: Any) -> str:
    """Return a value of config as a text that no other value has.

    >>> exact_text(1), exact_text(1.0), exact_text(True), exact_text("true")
    ('1', '1.0', 'true', "'true'")
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(value) + 0.0)  # -0.0 is 0.0
    return repr(value) if isinstance(value, int | str) else json.dumps(value, sort_keys=True)


def columns_of(table: RunTable, names: str | Sequence[str], *, argument: str = "by") -> list[str]:
    """Return the full column names: "seed" means config.seed where the runs have no column of that very name.

    >>> columns_of(example()._view.runs, ["lr", "group"])
    ['config.lr', 'group']
    """
    columns: list[str] = []
    for name in arguments.texts(argument, names):
        if naming.is_glob(name):
            columns += [c for c in table.names.available if _means(name, c)]
        else:
            columns.append(table.names.resolve(name).name)
    return list(dict.fromkeys(columns))


def _means(name: str, column: str) -> bool:
    return any(naming.glob_matches(pattern, column) for pattern in (name, f"config.{name}"))
