"""The table of runs: one row a run, with the columns that are asked for and no others built."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake import keys
from tracklake.errors import UnknownNameError
from tracklake.keys import Statistic
from tracklake.points import PSEUDO
from tracklake.schema import LAKE_RUN
from tracklake.summaries import STORED
from tracklake.summary_columns import Cells, Rows, SummaryColumns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tracklake.definitions import MetricDefinition
    from tracklake.summaries import Summaries

Runs = pl.DataFrame | pl.Series | list[str] | tuple[str, ...] | str | None
"""Which runs: ids, or a frame with a column run_id; None for all."""
Where = pl.Expr | str | None
"""A polars expression over the columns of the runs, or a boolean expression in SQL."""

FIELDS = ("name", "group", "job_type", "notes")
BASE = ("run_id", "project", "name", "group", "job_type", "state", "created_at", "runtime", "tags", "notes")
_TEXT = ".text"


class RunTable:
    """Builds tables of runs over one snapshot; what several calls need is computed once."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.snapshot = summaries.snapshot
        self._columns = SummaryColumns(summaries)

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
        condition = pl.sql_expr(where) if isinstance(where, str) else where
        needed = [*(condition.meta.root_names() if condition is not None else []), *(_strip(o) for o in order)]
        rows = self._rows(project, runs)
        table = self._build(rows, list(dict.fromkeys(["run_id", *needed])))
        if condition is not None:
            table = table.filter(condition)
        for name in reversed(order):
            table = _sort(table, _strip(name), descending=name.startswith("-"))
        table = table if limit is None else table.head(limit)
        shown = self.default_columns(table["run_id"]) if wanted is None else self._expand(wanted)
        kept = rows.join(table.select("run_id"), on="run_id", how="right", maintain_order="right")
        return self._build(kept, ["run_id", *(name for name in shown if name != "run_id")])

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
            rows = (
                pl.DataFrame({"run_id": ids}).unique(maintain_order=True).join(rows, on="run_id", maintain_order="left")
            )
        return rows

    def _build(self, rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """Return the named columns for these runs, each list of columns of one kind at once."""
        built = {name: rows[name] for name in ("run_id", "project", "created_at")}
        wanted = [name for name in dict.fromkeys(names) if name not in built]
        summary = [name for name in wanted if name.startswith("summary.")]
        config = [name for name in wanted if name.startswith("config.")]
        for name in wanted:
            if name in BASE:
                built[name] = self._base(rows, name)
            elif name not in summary and name not in config:
                raise UnknownNameError.nearest("column", name, self.available)
        if config or summary:
            at, ids = self._rows_of(rows["run_id"]), self._limited(rows["run_id"])
            built |= {series.name: series for series in (*self._config(at, config), *self._summary(at, summary, ids))}
        order = [column for name in dict.fromkeys(names) for column in (name, name + _TEXT) if column in built]
        return pl.DataFrame([built[name] for name in dict.fromkeys(order)])

    def _base(self, rows: pl.DataFrame, name: str) -> pl.Series:
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
        ran = (pl.col("last") - pl.col("start")).dt.total_microseconds() / 1e6 + pl.col("runtime_base")
        return sessions.group_by("run_id").agg(ran.max().alias("runtime"))

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
        newest = said.sort("ts", "session", maintain_order=True)
        last = newest.unique(["run_id", "key"], keep="last", maintain_order=True).filter(pl.col("said") == "config")
        names = {key: f"config.{keys.column(key)}" for key in last["key"].unique()}
        return last.select(
            "run_id", "key", *STORED, pl.col("key").replace_strict(names, return_dtype=pl.String).alias("column")
        )

    @cached_property
    def _config_cells(self) -> dict[str, Cells]:
        parts = self.config.partition_by("column", as_dict=True, maintain_order=True)
        return {
            str(name): Cells(self._columns.places(part["run_id"]), part.select(STORED))
            for (name,), part in sorted(parts.items())
        }

    def _config(self, rows: Rows, names: Sequence[str]) -> Iterator[pl.Series]:
        for name in names:
            known = name if name in self._config_cells else name.removesuffix(_TEXT)
            if known not in self._config_cells:
                raise UnknownNameError.nearest("column", name, self.available)
            yield from rows.column(known, self._config_cells[known])

    def _summary(self, rows: Rows, names: Sequence[str], runs: Collection[str] | None) -> Iterator[pl.Series]:
        """Yield summary columns: bare entries, and statistics that always read history."""
        asked = {name: self._parse(name) for name in names}
        bare = list(dict.fromkeys(path.metric for path in asked.values() if path.stat is None))
        if bare:
            entries = self._columns.entries(bare, runs=runs)
            for key in bare:
                yield from rows.column(f"summary.{key}", entries[key])
        yield from self._statistics(rows, {name: path for name, path in asked.items() if path.stat}, runs)

    def statistics(self, run_ids: pl.Series, asked: dict[str, Statistic]) -> Iterator[pl.Series]:
        """Yield one column a named statistic, over history alone, for these runs in their order."""
        yield from self._statistics(self._rows_of(run_ids), asked, self._limited(run_ids))

    def _statistics(self, rows: Rows, asked: dict[str, Statistic], runs: Collection[str] | None) -> Iterator[pl.Series]:
        found = self._columns.statistics(asked.values(), runs=runs)
        for name, path in asked.items():
            yield from rows.column(name, found[path])

    def _rows_of(self, run_ids: pl.Series) -> Rows:
        return Rows(self._columns.places(run_ids), of=self.summaries.runs.height)

    def _parse(self, name: str) -> Statistic:
        """Read a summary column's name: a key that a summary holds, else a metric and a statistic."""
        path = name.removeprefix("summary.")
        if path in self._entry_keys:
            return Statistic(path, None)
        if path.endswith(_TEXT) and path.removesuffix(_TEXT) in self._entry_keys:
            return Statistic(path.removesuffix(_TEXT), None)
        metric, _, stat = path.rpartition(".")
        if metric in self._metrics and keys.is_statistic(stat):
            return Statistic(metric, stat)
        raise UnknownNameError.nearest("column", name, self.available)

    @cached_property
    def _entry_keys(self) -> set[str]:
        return {*self.summaries.entry_keys, *PSEUDO}

    @cached_property
    def _metrics(self) -> set[str]:
        return {*self.snapshot.metrics, *PSEUDO}

    @cached_property
    def available(self) -> list[str]:
        """Every column that exists without naming a statistic."""
        shown = [f"summary.{key}" for key in self.summaries.entry_keys if not key.startswith("_")]
        return [*BASE, *self._config_cells, *shown, *self._defined_columns(None)]

    def default_columns(self, run_ids: pl.Series) -> list[str]:
        """Return the columns shown when none are named: as the definitions of these runs say."""
        held = set(self.config.filter(pl.col("run_id").is_in(run_ids.implode()))["column"].unique())
        config = [name for name in self._config_cells if name in held]
        return [*BASE, *config, *self._defined_columns(run_ids)]

    def _defined_columns(self, run_ids: pl.Series | None) -> list[str]:
        groups = self.summaries.defined.groups
        if run_ids is not None:
            groups = groups.filter(pl.col("run_id").is_in(run_ids.implode()))
        shown = set(groups["group"].unique().to_list())
        by_hand = set(self.summaries.edits.filter(pl.col("said") == "edit")["key"])
        metrics = set(self.snapshot.metrics)
        names = []
        for key in self.summaries.entry_keys:
            found = [d for i, d in self.summaries.definition(key).items() if i in shown] if key in metrics else []
            said = [d for d in found if d is not None] or found[:1]  # who says nothing of it follows those who do
            parts = list(dict.fromkeys(part for d in said for part in _parts(key, d)))
            names += [f"summary.{key}{'.' + part if part else ''}" for part in parts]
            if key in by_hand and "" not in parts:
                names.append(f"summary.{key}")
        return names

    def _expand(self, wanted: Sequence[str]) -> list[str]:
        """Put the matching columns in the place of each glob."""
        names: list[str] = []
        for name in [wanted] if isinstance(wanted, str) else wanted:
            if name in self.available or not keys.is_glob(name):
                names.append(name)
                continue
            matches = [column for column in self.available if keys.glob_matches(name, column)]
            pattern, _, stat = name.rpartition(".")
            if keys.is_statistic(stat):
                named = [f"summary.{m}" for m in self.snapshot.metrics if not m.startswith("_")]
                matches += [f"{column}.{stat}" for column in named if keys.glob_matches(pattern, column)]
            if not matches:
                raise UnknownNameError.nearest("column", name, self.available)
            names += matches
        return list(dict.fromkeys(names))

    def _limited(self, run_ids: pl.Series) -> Collection[str] | None:
        """Return the ids to read, or None where all runs are meant and a filter would only cost."""
        return None if len(run_ids) == self.summaries.runs.height else run_ids.to_list()


def _parts(key: str, definition: MetricDefinition | None) -> list[str]:
    """Return the statistics that a definition shows of a metric; "" is the bare value."""
    if key.startswith("_"):
        shown = definition is not None and definition.kinds
        return list(definition.kinds) if definition is not None and shown else []
    if definition is None:
        return [""]
    if definition.none or definition.hidden:
        return []
    return [p for k in definition.kinds for p in (("best", "best_step") if k == "best" else (k,))] or [""]


def _ids(runs: Runs) -> list[str]:
    if isinstance(runs, pl.DataFrame):
        if "run_id" not in runs.columns:
            msg = f"runs= takes run ids or a frame with a column run_id; the frame given has {runs.columns}"
            raise UnknownNameError(msg)
        return runs["run_id"].to_list()
    return [runs] if isinstance(runs, str) else list(runs) if runs is not None else []


def _strip(name: str) -> str:
    return name[1:] if name[:1] in "+-" else name


def _sort(table: pl.DataFrame, name: str, *, descending: bool) -> pl.DataFrame:
    """Sort by one column, nulls and NaN last either way."""
    key = pl.col(name).fill_nan(None) if table[name].dtype.is_float() else pl.col(name)
    return table.sort(key, descending=descending, nulls_last=True, maintain_order=True)
