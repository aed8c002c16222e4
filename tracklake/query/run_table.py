"""The table of runs: one row a run, with the columns that are asked for and no others built."""

from __future__ import annotations

import operator
import re
from functools import cached_property, partial
from typing import TYPE_CHECKING

import polars as pl

from tracklake import query
from tracklake.common import arguments, threads
from tracklake.compute import pseudo_series, typed_columns
from tracklake.errors import AmbiguousNameError, QueryError, UnknownNameError
from tracklake.query import run_filter, sandbox
from tracklake.query.cells import Cells, Move, TableRows, Unfinished
from tracklake.query.column_names import ColumnNames
from tracklake.query.config_values import ConfigValues
from tracklake.query.quality import PREFIX, Quality
from tracklake.query.summary_columns import SummaryColumns
from tracklake.schema import run_fields
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import STORED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tracklake.query.column_names import ColumnRef
    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.sandbox.limits import Limits
    from tracklake.query.summaries import Summaries
    from tracklake.schema.statistics import Statistic


_MANY_CELLS = 100_000
"""Values of config from which on they are read beside those of the summary."""
_ORDER = re.compile(r"(.*\S)\s+(asc|desc)", re.IGNORECASE | re.DOTALL)


class RunTable:
    """Builds tables of runs over one snapshot; what several calls need is computed once."""

    def __init__(self, summaries: Summaries, *, limits: Limits | None = None) -> None:
        """`limits` are those of conditions and expressions that are texts, by default those of the environment."""
        self.summaries = summaries
        self._limits = limits
        self.snapshot = summaries.snapshot
        self._columns = SummaryColumns(summaries)
        self.config = ConfigValues(self.snapshot)
        self._config_cells: dict[str, Cells] = {}
        self._config_places = pl.Series(dtype=pl.String), pl.Series(dtype=pl.get_index_type())
        """The runs of the column of config that was read last, and their places."""
        self._earlier_config: dict[str, Unfinished] = {}
        self.touched: frozenset[str] | None = None
        """The runs that were read anew since an earlier table; None if all were."""
        self.quality = Quality(summaries)

    def carry_over(self, earlier: RunTable, *, touched: frozenset[str] | None) -> None:
        """Take over what an earlier table knows of the runs that were not touched since (None: all of them were).

        >>> lake = example()
        >>> earlier, table = lake._view.runs, RunTable(lake._view.runs.summaries)
        >>> _ = earlier.select(wanted=["config.lr"])
        >>> table.carry_over(earlier, touched=frozenset({"fast"}))
        >>> table.select(wanted=["config.lr"]).rows()
        [('slow', 0.01), ('fast', 0.1)]
        """
        if touched is None or 2 * len(touched) > earlier.summaries.runs.height:
            return
        self.touched = touched
        self.summaries.carry_over(earlier.summaries, touched=touched)
        move = Move(earlier.summaries.runs["run_id"], self.summaries.runs["run_id"], touched=touched)
        self._columns.carry_over(earlier._columns, move)
        earlier_config = earlier._earlier_config | earlier._config_cells
        self._earlier_config = {name: move(cells) for name, cells in earlier_config.items()}

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
        """Return the table: first the rows, by the columns that `where` and `order_by` name; then the other columns.

        >>> example()._view.runs.select(where="state = 'finished'", wanted=["config.lr"], order_by="-config.lr").rows()
        [('fast', 0.1), ('slow', 0.01)]
        """
        named = None if wanted is None else arguments.texts("columns", wanted)
        keys = [] if order_by is None else self._terms(arguments.texts("order_by", order_by))
        most = None if limit is None else arguments.whole("limit", limit, least=0, error=QueryError)
        run_filter.check(where)
        every = self._rows(project, runs)
        rows = every if where is None else every.filter(self._holds(where, every))
        for key in reversed(keys):
            rows = _sort(rows, *self._key(key, rows))
        rows = rows if most is None else rows.head(most)
        some = rows if rows.height else every  # so that a filter that leaves nothing leaves the columns
        columns = self.names.defaults(some["run_id"]) if named is None else self.names.expand(named)
        return self._spelled(rows, ["run_id", *columns])

    def _holds(self, where: pl.Expr | str, rows: pl.DataFrame) -> pl.Series:
        """Return of each of these runs whether a condition holds."""
        build = partial(self._named_columns, rows)
        return query.conditions.holds(where, names=self.names, build=build, limits=self._limits)

    def _terms(self, keys: Sequence[str]) -> list[str]:
        """Return what runs are ordered by: a text may list several columns or expressions, as ORDER BY does."""
        return [
            term
            for key in keys
            for term in ([key] if self.names.find(key.lstrip("+-")) else sandbox.rewriting.split_at_commas(key))
        ]

    def _key(self, text: str, rows: pl.DataFrame) -> tuple[pl.Series, bool]:
        """Return by what runs are ordered, a column or an expression in SQL, and whether the largest comes first."""
        name, sign = text.lstrip("+-"), text[:1]
        name, word = _direction(name)
        try:
            column = self.names.resolve(name)
        except AmbiguousNameError:
            raise
        except UnknownNameError:
            if name.isidentifier() or self.names.is_dotted(name):
                raise
            name = text if word is None else _direction(text)[0]
            build = partial(self._named_columns, rows)
            key = query.conditions.order(name, names=self.names, build=build, limits=self._limits)
            return key, word == "DESC"
        key = self._build(rows, [column])[column.name]
        if word is None and sign not in ("+", "-"):
            return key, self.names.is_better_high(column.name)
        return key, (sign == "-") != (word == "DESC")

    def _spelled(self, rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """Return the named columns, each under the name by which it was asked for."""
        columns = {name: self.names.resolve(name) for name in dict.fromkeys(names)}
        built = self._build(rows, columns.values())
        full = {name: column.name for name, column in columns.items()}
        other = {column: name for name, column in full.items() if column != name}
        beside = {
            f"{column}.text": f"{name}.text" for column, name in other.items() if f"{column}.text" in built.columns
        }
        copies = [built[column].alias(name) for column, name in (other | beside).items() if column in full]
        renamed = {column: name for column, name in (other | beside).items() if column not in full}
        return built.rename(renamed).with_columns(copies)

    def ids(self, *, runs: Runs = None, where: Where = None) -> list[str] | None:
        """Return the ids of the runs meant, or None if all are.

        >>> table = example()._view.runs
        >>> table.ids(where='"config.lr" > 0.05'), table.ids()
        (['fast'], None)
        """
        if where is None:
            return None if runs is None else self._rows(None, runs)["run_id"].to_list()
        return self.select(runs=runs, where=where, wanted=["run_id"])["run_id"].to_list()

    def _rows(self, project: str | None, runs: Runs) -> pl.DataFrame:
        rows = self.summaries.runs
        if project is not None:
            projects = set(rows["project"].unique())
            if arguments.text("project", project) not in projects:
                raise UnknownNameError.nearest("project", project, projects)
            rows = rows.filter(pl.col("project") == project)
        if runs is not None:
            ids = run_filter.ids(runs)
            named = pl.DataFrame({"run_id": ids}, schema={"run_id": pl.String}).unique(maintain_order=True)
            selected = named.join(rows, on="run_id", maintain_order="left")
            if selected.height < named.height:
                unknown = named.join(selected, on="run_id", how="anti")["run_id"]
                raise UnknownNameError.nearest("run", unknown.sort()[0], rows["run_id"])
            return selected
        return rows

    def _named_columns(self, rows: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
        return self._build(rows, [self.names.resolve(name) for name in names])

    def _build(self, rows: pl.DataFrame, refs: Iterable[ColumnRef]) -> pl.DataFrame:
        """Return these columns for these runs, each list of columns of one kind at once."""
        columns = list(dict.fromkeys(refs))
        at = self._rows_of(rows["run_id"])
        built = {c: [self._base(rows, at, c.name)] for c in columns if c.config is None and c.path is None}
        if len(built) < len(columns):
            config = {c: c.config for c in columns if c.config is not None}
            paths = {c: c.path for c in columns if c.path is not None}
            acts = [
                partial(self._config_columns, at, config),
                partial(self._summary, at, paths, self._limited(rows["run_id"])),
            ]
            unread = {n for n in config.values() if n not in self._config_cells}
            is_much = paths and self.summaries.runs.height * len(unread) > _MANY_CELLS
            _ = self.names.taken  # both ask for it
            call = operator.call
            for columns_of_kind in threads.in_threads(call, acts, workers=2) if is_much else map(call, acts):
                built |= columns_of_kind
        series: dict[str, pl.Series] = {}
        for column in columns:
            first, *texts = built[column]
            if column.part == "is_nan":
                parts = [first.is_nan() if first.dtype.is_float() else pl.repeat(False, len(first), eager=True)]
            elif column.part == "text":
                parts = [texts[0] if texts else typed_columns.text_of(first)]
            else:
                parts = [first, *texts]
            names_of = [column.name, *(part.name for part in parts[1:])]
            series |= {name: part.alias(name) for name, part in zip(names_of, parts, strict=True)}
        return pl.DataFrame(list(series.values()))

    def unknown(self, metric: str) -> UnknownNameError:
        """Return the error for a metric that has no history here.

        >>> print(example()._view.runs.unknown("los"))
        unknown metric 'los'; did you mean 'loss'?
        """
        if metric in self.summaries.value_keys:
            return UnknownNameError.of_one_value(metric, is_derived=metric in self.snapshot.derived.entries)
        return UnknownNameError.nearest("metric", metric, self.snapshot.metrics)

    @cached_property
    def names(self) -> ColumnNames:
        """The columns that there are."""
        return ColumnNames(self.summaries, self.config)

    def _base(self, rows: pl.DataFrame, at: TableRows, name: str) -> pl.Series:
        if name in rows.columns:
            return rows[name]
        if name == "state":
            return self._states(rows["run_id"])
        if name.startswith(PREFIX):
            return _column(rows["run_id"], self.quality.column(name))
        column = self._whole[name]
        return column if rows is self.summaries.runs else column.gather(at.places)

    @cached_property
    def _whole(self) -> pl.DataFrame:
        """The fields, as they were said last, and the runtime of all runs in their order."""
        names = run_fields.TEXTS
        fields = self.snapshot.statements_of(StatementKind.FIELD)
        texts = fields.pivot("key", on_columns=names, index="run_id", values="text", aggregate_function="last")
        table = self.summaries.runs.select("run_id").join(texts, on="run_id", how="left", maintain_order="left")
        table = table.join(self._runtimes, on="run_id", how="left", maintain_order="left")
        table = table.join(self._tags, on="run_id", how="left", maintain_order="left")
        return table.with_columns(pl.col("name").fill_null(pl.col("run_id")))

    @property
    def _tags(self) -> pl.DataFrame:
        """run_id, tags: those whose last statement adds them, in the order in which they were added."""
        statements = self.snapshot.statements_of(StatementKind.TAG, StatementKind.UNTAG)
        newest = statements.unique(["run_id", "key"], keep="last", maintain_order=True)
        added = newest.filter(pl.col("op") == StatementKind.TAG)
        return added.group_by("run_id", maintain_order=True).agg(pl.col("key").alias("tags"))

    @cached_property
    def _runtimes(self) -> pl.DataFrame:
        """run_id, runtime: seconds from the start to the last sign, over the sessions that followed each other."""
        sessions = self.snapshot.sessions.join(self.snapshot.starts, on=["run_id", "session"])
        untimed = sessions["session"].is_in(self.snapshot.facts("untimed")["session"].implode())
        base = sessions["runtime_base"].fill_null(0.0).set(untimed, None)
        ran = pseudo_series.seconds((sessions["last"] - sessions["start"]).dt.total_microseconds()) + base
        return sessions.select("run_id", ran.alias("runtime")).group_by("run_id").agg(pl.col("runtime").max())

    def _states(self, run_ids: pl.Series) -> pl.Series:
        """Return the state of each of these runs. Not remembered: a process may die without a word."""
        alive = self.snapshot.alive.with_columns(pl.lit(value=True).alias("alive"))
        ends = self._session_ends
        if len(run_ids) < self.summaries.runs.height:
            ends = ends.filter(pl.col("run_id").is_in(run_ids.implode()))
        ends = ends.join(alive, on=["run_id", "session"], how="left", maintain_order="left")
        running = pl.col("state").is_null() & pl.col("alive").fill_null(value=False)
        per_run = ends.group_by("run_id").agg(running.any().alias("running"), pl.col("state").last())
        state = pl.when("running").then(pl.lit("running")).otherwise(pl.col("state").fill_null("crashed"))
        return _column(run_ids, per_run.select("run_id", state.alias("state")))

    @cached_property
    def _session_ends(self) -> pl.DataFrame:
        """run_id, session, state: how each session said that it ended (null: not at all), in order of starts."""
        main = self.snapshot.sessions.join(self.snapshot.facts("forked").select("session"), on="session", how="anti")
        main = main.join(self.snapshot.facts("edits_only").select("session"), on="session", how="anti")
        finished = self.snapshot.statements_of(StatementKind.FINISH).filter(pl.col("key") == "state")
        ends = main.join(finished.select("session", pl.col("text").alias("state")), on="session", how="left")
        return ends.sort("start", "session").select("run_id", "session", "state")

    def _config_columns(self, rows: TableRows, config: dict[ColumnRef, str]) -> dict[ColumnRef, list[pl.Series]]:
        self.config.load([n for n in config.values() if n not in {**self._config_cells, **self._earlier_config}])
        return {c: self._config(rows, name) for c, name in config.items()}

    def _config(self, rows: TableRows, name: str) -> list[pl.Series]:
        if name not in self._config_cells:
            unfinished = self._earlier_config.pop(name, None)
            if unfinished is None:
                cells = self._cells_of(self.config.of([name]))
            else:
                cells = unfinished.finished(self._cells_of(self.config.of_runs(unfinished.touched, [name])))
            self._config_cells[name] = cells
        return _named(name, rows.column(name, self._config_cells[name]), self.names.taken)

    def _cells_of(self, config: pl.DataFrame) -> Cells:
        run_ids, places = self._config_places
        if not run_ids.equals(config["run_id"]):  # mostly all runs have the same keys
            run_ids = config["run_id"]
            places = self._columns.places(run_ids)
            self._config_places = run_ids, places
        return Cells(places, config.select(STORED))

    def _summary(
        self, rows: TableRows, requested: dict[ColumnRef, Statistic], runs: Collection[str] | None
    ) -> dict[ColumnRef, list[pl.Series]]:
        """Return summary columns: bare entries, and statistics that always read history."""
        entries = self._entries(rows, [path.metric for path in requested.values() if path.stat is None], runs)
        numbers = {column.name: path for column, path in requested.items() if path.stat is not None}
        statistics = self._statistics(rows, numbers, runs)
        return {c: entries[path.metric] if path.stat is None else statistics[c.name] for c, path in requested.items()}

    def _entries(self, rows: TableRows, wanted: list[str], runs: Collection[str] | None) -> dict[str, list[pl.Series]]:
        entries = self._columns.entries(wanted, runs=runs)
        names = {key: f"summary.{key}" for key in wanted}
        return {key: _named(name, rows.column(name, entries[key]), self.names.taken) for key, name in names.items()}

    def statistics(self, run_ids: pl.Series, requested: dict[str, Statistic]) -> dict[str, list[pl.Series]]:
        """Return named statistics over history alone, for these runs in their order; of mixed kinds two columns.

        A value set by hand, or derived of the runs, is its own last value; for another statistic of it
        UnknownNameError.

        >>> table = example()._view.runs
        >>> from tracklake.schema.statistics import Statistic
        >>> ids = pl.Series("run_id", ["fast"])
        >>> table.statistics(ids, {"best": Statistic("acc", "max")})["best"][0].to_list()
        [0.9]
        """
        single = self.summaries.value_keys.union(self.snapshot.derived.entries)
        derived = {name: path for name, path in requested.items() if path.metric in single}
        derived = {n: p for n, p in derived.items() if p.stat == "last" or p.metric not in self.snapshot.metrics}
        for path in derived.values():
            if path.stat != "last":
                raise self.unknown(path.metric)
        logged = {name: path for name, path in requested.items() if name not in derived}
        rows, runs = self._rows_of(run_ids), self._limited(run_ids)
        entries = self._entries(rows, [path.metric for path in derived.values()], runs)
        columns = {name: _named(name, entries[path.metric], requested) for name, path in derived.items()}
        return columns | self._statistics(rows, logged, runs)

    def _statistics(
        self, rows: TableRows, requested: dict[str, Statistic], runs: Collection[str] | None
    ) -> dict[str, list[pl.Series]]:
        cells = self._columns.statistics(requested.values(), runs=runs)
        return {name: _named(name, rows.column(name, cells[path]), requested) for name, path in requested.items()}

    def _rows_of(self, run_ids: pl.Series) -> TableRows:
        return TableRows(self._columns.places(run_ids), of=self.summaries.runs.height)

    def _limited(self, run_ids: pl.Series) -> Collection[str] | None:
        """Return the ids to read, or None where all runs are meant and a filter would only cost."""
        return None if len(run_ids) == self.summaries.runs.height else run_ids.to_list()


def _column(run_ids: pl.Series, table: pl.DataFrame) -> pl.Series:
    """Return the second column of a table (run_id, ...) for these runs, null where a run has none."""
    return run_ids.to_frame("run_id").join(table, on="run_id", how="left", maintain_order="left").to_series(1)


def _named(name: str, series: list[pl.Series], used_names: Collection[str]) -> list[pl.Series]:
    """Name the columns; that of texts, if there is one, so that it takes no other column's name."""
    return [series[0].alias(name), *(part.alias(typed_columns.text_name(name, used_names)) for part in series[1:])]


def _direction(text: str) -> tuple[str, str | None]:
    """Return what an order is by, and the word ASC or DESC after it."""
    match = _ORDER.fullmatch(text)
    return (match[1], match[2].upper()) if match else (text, None)


def _sort(rows: pl.DataFrame, key: pl.Series, descending: bool) -> pl.DataFrame:  # noqa: FBT001 - of `_key`
    """Sort by one column, nulls and NaN last either way."""
    plain = key.fill_nan(None) if key.dtype.is_float() else key
    at = (
        plain.to_frame("key")
        .with_row_index("row")
        .sort("key", descending=descending, nulls_last=True, maintain_order=True)
    )
    return rows[at["row"]]
