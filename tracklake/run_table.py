"""The table of runs: one row a run, with the columns that are asked for and no others built."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tracklake import columns, keys, points, states
from tracklake.column_names import ColumnNames
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.schema import LAKE_RUN
from tracklake.summaries import STORED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tracklake.column_names import Column
    from tracklake.columns import Positions
    from tracklake.keys import Statistic
    from tracklake.summaries import Summaries

Runs = pl.DataFrame | pl.Series | list[str] | tuple[str, ...] | str | None
"""Which runs: ids, or a frame with a column run_id; None for all."""
Where = pl.Expr | str | None
"""A polars expression over the columns of the runs, or a boolean expression in SQL."""

FIELDS = ("name", "group", "job_type", "notes")
_UNQUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b((?:config|summary)(?:\.\w+)+)""")
"""In SQL: texts, quoted names, and the dotted names that are columns and not tables with columns."""


class RunTable:
    """Builds tables of runs over one snapshot; what several calls need is computed once."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.snapshot = summaries.snapshot

    def select(
        self,
        *,
        project: str | None = None,
        runs: Runs = None,
        where: Where = None,
        wanted: Sequence[str] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Return the table: first the rows, by the columns that `where` and `order_by` name; then the other columns."""
        order = [order_by] if isinstance(order_by, str) else list(order_by or [])
        condition = _condition(where)
        needed = [*(condition.meta.root_names() if condition is not None else []), *(_strip(o) for o in order)]
        rows = self._rows(project, runs)
        table = self._build(rows, ["run_id", *needed])
        if condition is not None:
            table = table.filter(condition)
        for name in reversed(order):
            table = _sort(table, _strip(name), descending=self._is_descending(name))
        table = table if limit is None else table.head(limit)
        some = table if table.height else rows  # so that a filter that leaves nothing leaves the columns
        shown = self.names.defaults(some["run_id"]) if wanted is None else self.names.expand(wanted)
        kept = rows.join(table.select("run_id"), on="run_id", how="right", maintain_order="right")
        return self._build(kept, ["run_id", *shown])

    def ids(self, *, runs: Runs = None, where: Where = None) -> list[str] | None:
        """Return the ids of the runs meant, or None if all are."""
        if runs is None and where is None:
            return None
        return self.select(runs=runs, where=where, wanted=["run_id"])["run_id"].to_list()

    def _rows(self, project: str | None, runs: Runs) -> pl.DataFrame:
        rows = self.summaries.runs
        if project is not None:
            known = set(rows["project"].unique())
            if project not in known:
                raise UnknownNameError.nearest("project", project, known)
            rows = rows.filter(pl.col("project") == project)
        if runs is not None:
            ids = _ids(runs)
            unknown = sorted(set(ids) - set(rows["run_id"]))
            if unknown:
                raise UnknownNameError.nearest("run", unknown[0], rows["run_id"])
            named = pl.DataFrame({"run_id": ids}, schema={"run_id": pl.String}).unique(maintain_order=True)
            rows = named.join(rows, on="run_id", maintain_order="left")
        return rows

    def _is_descending(self, order: str) -> bool:
        """Tell the direction of an order: that of its sign, else the best first where there is a goal."""
        return order.startswith("-") or (not order.startswith("+") and self.names.is_better_high(order))

    def _build(self, rows: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
        """Return the named columns for these runs, each list of columns of one kind at once."""
        asked = [self.names.parse(name) for name in dict.fromkeys(names)]
        built = {c: [self._base(rows, c.name)] for c in asked if c.config is None and c.path is None}
        built |= {c: self._config(rows, c.config) for c in asked if c.config is not None}
        built |= self._summary(rows, {c: c.path for c in asked if c.path is not None})
        found: dict[str, pl.Series] = {}
        for column in asked:
            first, *rest = built[column]
            parts = [rest[0] if rest else columns.text_of(first)] if column.only_text else [first, *rest]
            names_of = [column.name, *(part.name for part in parts[1:])]
            found |= {name: part.alias(name) for name, part in zip(names_of, parts, strict=True)}
        return pl.DataFrame(list(found.values()))

    @cached_property
    def names(self) -> ColumnNames:
        """The columns that there are."""
        return ColumnNames(self.summaries, self.config)

    def _base(self, rows: pl.DataFrame, name: str) -> pl.Series:
        if name in rows.columns:
            return rows[name]
        table = self._states if name == "state" else self._runtimes if name == "runtime" else self._fields[name]
        return rows.select("run_id").join(table, on="run_id", how="left", maintain_order="left")[name]

    @cached_property
    def _fields(self) -> dict[str, pl.DataFrame]:
        """run_id and the value of each field that was said last."""
        said = self.snapshot.statements.filter(pl.col("said") == "field").sort("ts", "session", maintain_order=True)
        last = said.unique(["run_id", "key"], keep="last", maintain_order=True)
        found = {
            f: last.filter(pl.col("key") == f).select("run_id", pl.col("text").alias(f)) for f in (*FIELDS, "tags")
        }
        found["tags"] = found["tags"].with_columns(pl.col("tags").str.json_decode(pl.List(pl.String)))
        named = self.summaries.runs.select("run_id").join(found["name"], on="run_id", how="left")
        found["name"] = named.with_columns(pl.col("name").fill_null(pl.col("run_id")))
        return found

    @cached_property
    def _runtimes(self) -> pl.DataFrame:
        """run_id, runtime: seconds from the start to the last sign, over the sessions that followed each other."""
        sessions = self.snapshot.sessions.join(self.snapshot.starts, on=["run_id", "session"])
        ran = points.seconds((sessions["last"] - sessions["start"]).dt.total_microseconds()) + sessions["runtime_base"]
        return sessions.select("run_id", ran.alias("runtime")).group_by("run_id").agg(pl.col("runtime").max())

    @property
    def _states(self) -> pl.DataFrame:
        """run_id, state. Not remembered: a process may die without a word."""
        main = self.snapshot.sessions.join(self.snapshot.facts("forked").select("session"), on="session", how="anti")
        main = main.join(self.snapshot.facts("edits_only").select("session"), on="session", how="anti")
        finished = self.snapshot.statements.filter((pl.col("said") == "finish") & (pl.col("key") == "state"))
        told = main.join(finished.select("session", pl.col("text").alias("state")), on="session", how="left")
        alive = self.snapshot.alive.with_columns(pl.lit(value=True).alias("alive"))
        told = told.join(alive, on=["run_id", "session"], how="left").sort("start", "session")
        running = pl.col("state").is_null() & pl.col("alive").fill_null(value=False)
        per_run = told.group_by("run_id").agg(running.any().alias("running"), pl.col("state").last())
        state = pl.when("running").then(pl.lit("running")).otherwise(pl.col("state").fill_null("crashed"))
        return per_run.select("run_id", state.alias("state"))

    @cached_property
    def config(self) -> pl.DataFrame:
        """The config value of every (run, key) that was said last: run_id, key, stored columns, column (its name)."""
        said = self.snapshot.statements.filter(
            pl.col("said").is_in(["config", "unset"]) & (pl.col("run_id") != LAKE_RUN)
        )
        said = said.sort("ts", "session", maintain_order=True)
        last = said.unique(["run_id", "key"], keep="last", maintain_order=True).filter(pl.col("said") == "config")
        names = {key: f"config.{keys.column(key)}" for key in last["key"].unique()}
        return last.select(
            "run_id", "key", *STORED, pl.col("key").replace_strict(names, return_dtype=pl.String).alias("column")
        )

    @cached_property
    def _config_columns(self) -> dict[str, pl.DataFrame]:
        return {str(name): part for (name,), part in self.config.partition_by("column", as_dict=True).items()}

    def _config(self, rows: pl.DataFrame, name: str) -> list[pl.Series]:
        whole = self._config_columns[name]
        found, at = _positions(whole, rows["run_id"])
        return columns.typed(name, found, at, rows.height, whole=whole, taken=self.names.taken)

    def _summary(self, rows: pl.DataFrame, asked: dict[Column, Statistic]) -> dict[Column, list[pl.Series]]:
        """Return summary columns: bare entries, and statistics that always read history."""
        bare = {column: path.metric for column, path in asked.items() if path.stat is None}
        built = {}
        if bare:
            entries = self.summaries.entries(list(bare.values()), runs=self._limited(rows["run_id"]))
            parts = entries.partition_by("key", as_dict=True)
            for column, key in bare.items():
                found, at = _positions(parts.get((key,), entries.clear()), rows["run_id"])
                built[column] = columns.typed(f"summary.{key}", found, at, rows.height, taken=self.names.taken)
        numbers = {column.name: path for column, path in asked.items() if path.stat is not None}
        statistics = self.statistics(rows["run_id"], numbers)
        return built | {column: statistics[column.name] for column in asked if column.name in numbers}

    def statistics(self, run_ids: pl.Series, asked: dict[str, Statistic]) -> dict[str, list[pl.Series]]:
        """Return named statistics over history alone, for these runs in their order; of mixed kinds two columns."""
        metrics = sorted({path.metric for path in asked.values()})
        stats = {str(path.stat) for path in asked.values() if not keys.is_quantile(path.stat)}
        needed = sorted({column for stat in stats for column in states.columns(stat)})
        found = self.snapshot.states(metrics, columns=needed, runs=self._limited(run_ids)) if stats else pl.DataFrame()
        parts = found.partition_by("metric", as_dict=True) if stats else {}
        built = {}
        for name, path in asked.items():
            series = self._statistic(path, run_ids, parts.get((path.metric,), found.clear()))
            texts = [part.alias(columns.text_name(name, asked)) for part in series[1:]]
            built[name] = [series[0].alias(name), *texts]
        return built

    def _statistic(self, path: Statistic, run_ids: pl.Series, found: pl.DataFrame) -> list[pl.Series]:
        if keys.is_quantile(path.stat):
            return [self._quantile(run_ids, path)]
        mine, at = _positions(found, run_ids)
        if path.stat in ("first", "last"):
            stored = mine.select(pl.col(f"{path.stat}_{part}").alias(part) for part in STORED)
            return columns.typed(path.metric, stored, at, len(run_ids))
        return [columns.place(self._number(mine, path), at, len(run_ids))]

    def _number(self, mine: pl.DataFrame, path: Statistic) -> pl.Series:
        stat = str(path.stat)
        if stat not in ("best", "best_step"):
            return mine.select(states.expression(stat)).to_series()
        groups = mine.select("run_id").join(
            self.summaries.defined.groups, on="run_id", how="left", maintain_order="left"
        )
        goals = {i: d.goal for i, d in self.summaries.definition(path.metric).items() if d is not None}
        if not any(goals.values()):
            msg = (
                f"{path.metric}.{stat} needs a goal, and no definition of {path.metric!r} has one: "
                f'say lake.define_metric({path.metric!r}, goal="max") or "min"'
            )
            raise DefinitionError(msg)
        goal = groups["group"].replace_strict(goals, default=None, return_dtype=pl.String)
        chosen = pl.when(goal == "min").then(states.expression(stat, goal="min"))
        return mine.select(chosen.when(goal == "max").then(states.expression(stat, goal="max"))).to_series()

    def _quantile(self, run_ids: pl.Series, path: Statistic) -> pl.Series:
        """Return a quantile of the numbers of a metric, interpolated linearly; it reads the points."""
        share = float(str(path.stat)[1:]) / 100
        found = self.snapshot.resolved([path.metric], runs=self._limited(run_ids))
        numbers = found.filter(pl.col("value").is_not_nan())
        per_run = numbers.group_by("run_id").agg(pl.col("value").quantile(share, interpolation="linear"))
        mine, at = _positions(per_run, run_ids)
        return columns.place(mine["value"], at, len(run_ids))

    def _limited(self, run_ids: pl.Series) -> Collection[str] | None:
        """Return the ids to read, or None where all runs are meant and a filter would only cost."""
        return None if len(run_ids) == self.summaries.runs.height else run_ids.to_list()


def _condition(where: Where) -> pl.Expr | None:
    """Return a condition as an expression; in SQL a dotted name of a config or summary column needs no quotes."""
    if not isinstance(where, str):
        return where
    return pl.sql_expr(_UNQUOTED.sub(lambda found: f'"{found[1]}"' if found[1] else found[0], where))


def _ids(runs: Runs) -> list[str]:
    if isinstance(runs, str):
        return [runs]
    if not isinstance(runs, pl.DataFrame):
        return list(runs) if runs is not None else []
    if "run_id" not in runs.columns:
        msg = f"runs= takes run ids or a frame with a column run_id; the frame given has {runs.columns}"
        raise UnknownNameError(msg)
    return runs["run_id"].to_list()


def _positions(found: pl.DataFrame, run_ids: pl.Series) -> tuple[pl.DataFrame, Positions]:
    """Return the rows of these runs and the position of each run."""
    order = pl.DataFrame({"run_id": run_ids}).with_row_index("at")
    mine = found.join(order, on="run_id", how="inner", maintain_order="left")
    return mine, mine["at"].to_numpy().astype(np.int64)


def _strip(name: str) -> str:
    return name[1:] if name[:1] in "+-" else name


def _sort(table: pl.DataFrame, name: str, *, descending: bool) -> pl.DataFrame:
    """Sort by one column, nulls and NaN last either way."""
    key = pl.col(name).fill_nan(None) if table[name].dtype.is_float() else pl.col(name)
    return table.sort(key, descending=descending, nulls_last=True, maintain_order=True)
