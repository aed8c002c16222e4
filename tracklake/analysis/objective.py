"""Targets: the one number of each run that comparisons and sweeps are about, and the columns that group runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.analysis.stats.options import Failed
from tracklake.common import arguments
from tracklake.compute.points import PSEUDO
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.schema import naming, statistics, values
from tracklake.schema.definitions import goal_of
from tracklake.schema.statistics import Statistic
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable
    from tracklake.schema.definitions import Goal

_UNSOUND = ("failed", "crashed", "killed")
"""The states of runs that ended before they were done."""
EXACT = " (exact)"
"""What follows the name of the column that tells apart what looks alike in a column of mixed types."""


class Target(NamedTuple):
    """One number a run: what it is called, where it comes from, and which way is better."""

    name: str
    source: Statistic | str | pl.Expr | pl.DataFrame
    """A statistic of a metric, a column of the runs, an expression over columns, or a frame of run_id and numbers."""
    goal: Goal

    @property
    def sign(self) -> float:
        """1 where higher is better, -1 where lower is.

        >>> Target("acc", "acc", "max").sign, Target("loss", "loss", "min").sign
        (1.0, -1.0)
        """
        return 1.0 if self.goal == "max" else -1.0

    @property
    def needs(self) -> list[str]:
        """The columns of the runs that it is computed from.

        >>> Target("cost", pl.col("runtime") * pl.col("config.gpus"), "min").needs
        ['runtime', 'config.gpus']
        """
        if isinstance(self.source, Statistic | pl.DataFrame):
            return []
        return [self.source] if isinstance(self.source, str) else self.source.meta.root_names()

    def of(self, table: RunTable, rows: pl.DataFrame) -> pl.Series:
        """Return the number of each row (Float64), null where there is no finite one. Raises TypeError for text.

        >>> table = example()._view.runs
        >>> rows = table.select(wanted=["run_id"])
        >>> target(table, "loss.min").of(table, rows).to_list()
        [0.5, 0.25]
        """
        if isinstance(self.source, Statistic):
            found = table.statistics(rows["run_id"], {self.name: self.source})[self.name][0]
        elif isinstance(self.source, pl.DataFrame):
            found = rows.select("run_id").join(self.source, on="run_id", how="left", maintain_order="left")[self.name]
        else:
            found = rows[self.source] if isinstance(self.source, str) else rows.select(self.source).to_series()
        if found.null_count() == len(found):
            return pl.Series(self.name, [None] * len(found), dtype=pl.Float64)
        if not (found.dtype.is_numeric() or found.dtype == pl.Boolean):
            raise TypeError(f"{self.name} is {found.dtype}, not a number; name a metric, or a column of numbers")
        number = found.cast(pl.Float64)
        return number.zip_with(number.is_finite().fill_null(value=False), number.clear(1)).alias(self.name)


def target(
    table: RunTable,
    metric: str | tuple[str, str] | pl.Expr | pl.DataFrame,
    *,
    stat: str | None = None,
    goal: str | None = None,
) -> Target:
    """Find what is meant: a metric (by default its best), "metric.statistic", a column of the runs, or an expression.

    The goal is the one given, else that of the metric's definition, else the direction that the statistic min or max
    says. Raises UnknownNameError with the nearest metrics, and DefinitionError where nothing says which way is better.

    >>> target(example()._view.runs, "loss", goal="min")
    Target(name='loss', source=Statistic(metric='loss', stat='min'), goal='min')
    """
    if isinstance(metric, pl.DataFrame):
        return _of_frame(metric, goal)
    if isinstance(metric, pl.Expr):
        name = metric.meta.output_name()
        return Target(name, metric, _direction(goal, name))
    if not isinstance(metric, str | tuple):
        raise arguments.refused("metric", "a metric, a column, an expression, or a frame of run_id and numbers", metric)
    metrics = {*table.snapshot.metrics, *PSEUDO}
    key = metric.removeprefix("summary.") if isinstance(metric, str) else ""
    if key in table.snapshot.made and key not in metrics:
        if stat not in (None, "last"):
            raise table.unknown(key)
        return Target(f"summary.{key}", f"summary.{key}", _direction(goal or defined_goal(table, key), key))
    column = metric if isinstance(metric, str) and metric not in metrics and metric in table.names.available else None
    if column is not None and not column.startswith("summary."):
        return Target(column, column, _direction(goal, column))
    path = metric.removeprefix("summary.") if isinstance(metric, str) and metric not in metrics else metric
    if column is not None and not _is_statistic_of(path, metrics):
        return Target(column, column, _direction(goal, column))
    asked = statistics.parse_statistic(path, metrics=metrics)
    wanted = asked.stat or "best" if stat is None else arguments.text("stat", stat, takes="the name of a statistic")
    known = goal or defined_goal(table, asked.metric) or (wanted if wanted in ("min", "max") else None)
    direction = _direction(known, asked.metric)
    shown = direction if wanted == "best" else f"arg{direction}" if wanted == "best_step" else wanted
    if not statistics.is_statistic(shown):
        raise UnknownNameError.nearest("statistic", shown, statistics.STATISTICS)
    name = asked.metric if asked.stat is None and stat is None else f"{asked.metric}.{wanted}"
    return Target(name, Statistic(asked.metric, shown), direction)


def goals_of(metrics: Mapping[str, str] | str | Sequence[str]) -> dict[str, str | None]:
    """Return the goals of several metrics that map to them, or are just listed. Raises TypeError, DefinitionError.

    >>> goals_of({"acc": "max", "loss": "min"}), goals_of(["acc"])
    ({'acc': 'max', 'loss': 'min'}, {'acc': None})
    """
    takes = "names of metrics, or a mapping of them to their goals"
    names = arguments.texts("metrics", list(metrics) if isinstance(metrics, Mapping) else metrics, takes=takes)
    if not names:
        raise DefinitionError(f"metrics={metrics!r}; name one at least")
    return dict(metrics) if isinstance(metrics, Mapping) else dict.fromkeys(names)


def _of_frame(frame: pl.DataFrame, goal: str | None) -> Target:
    """Return the numbers that a frame gives: one column beside run_id, a row a run."""
    names = [name for name in frame.columns if name != "run_id"]
    if len(names) != 1 or len(names) == frame.width:
        raise TypeError(f"a frame of numbers has the columns run_id and one other; this one has {frame.columns}")
    if frame["run_id"].dtype != pl.String:
        raise TypeError(f"a frame of numbers has texts in run_id; this one has {frame['run_id'].dtype}")
    if frame["run_id"].n_unique() < frame.height:
        raise ValueError("a frame of numbers has one row a run; this one has several of a run")
    return Target(names[0], frame, _direction(goal, names[0]))


def direction(table: RunTable, metric: str, goal: str | None) -> Goal:
    """Return which way a metric is better: as said, else as defined. Raises DefinitionError.

    >>> direction(example()._view.runs, "loss", "minimize")
    'min'
    """
    return _direction(goal or defined_goal(table, arguments.metric("metric", metric)), metric)


def defined_goal(table: RunTable, metric: str) -> str | None:
    """Return the goal that the definitions of a metric agree on, None if there is none. Raises DefinitionError.

    >>> lake = example()
    >>> lake.define_metric("acc", goal="max")
    >>> defined_goal(lake._view.runs, "acc"), defined_goal(lake._view.runs, "loss")
    ('max', None)
    """
    found = table.summaries.goals(metric)
    if len(found) > 1:
        raise DefinitionError(f'the runs define {metric!r} with both goals: say goal="min" or goal="max"')
    return found.pop() if found else None


def _is_statistic_of(path: str | tuple[str, str], metrics: Iterable[str]) -> bool:
    return isinstance(path, str) and (path in metrics or path.rpartition(".")[0] in metrics)


def _direction(goal: str | None, name: str) -> Goal:
    if goal is None:
        raise DefinitionError(
            f'which way is {name!r} better? Say goal="min" or goal="max"'
            f" (or once for all: lake.define_metric({name!r}, goal=...))"
        )
    return goal_of(goal)


def unsound(failed: Failed) -> pl.Expr:
    """Tell of each row, by its state, whether its run does not count because it failed. Raises DefinitionError.

    >>> pl.DataFrame({"state": ["finished", "killed"]}).select(unsound("exclude")).to_series().to_list()
    [False, True]
    """
    arguments.check_word("failed", failed, Failed, error=DefinitionError)
    return pl.col("state").is_in(_UNSOUND) if failed == "exclude" else pl.lit(value=False)


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
        there = [(c, part) for c in self.columns for part in (c, f"{c}.text", c + EXACT) if part in rows.columns]
        kept = [(c, part) for c, part in there if c not in self.expanded or c not in without]
        said = [part for c, part in kept if c not in self.expanded or rows[part].n_unique() > 1]
        return said or [part for _, part in kept[:1]]


def grouping(table: RunTable, by: str | Sequence[str], run_ids: pl.Series) -> Grouping:
    """Read `by`: names of columns ("config.lr", "lr", "group"), globs, or "config - seed - ..." for all but these.

    Raises UnknownNameError with the nearest names.

    >>> table = example()._view.runs
    >>> grouping(table, "config - seed*", table.summaries.runs["run_id"]).columns
    ['config.lr']
    """
    names = arguments.texts("by", by)
    shown = [name for name in table.names.defaults(run_ids) if name.startswith("config.")]
    columns: list[str] = []
    removed: list[str] = []
    expanded: list[str] = []
    for name in names:
        first, *rest = [part.strip() for part in name.split(" - ")]
        if first != "config" or name in table.names.available:
            columns += columns_of(table, [name])
            continue
        taken = [column for part in rest for column in shown if _means(part, column)]
        unknown = [part for part in rest if not naming.is_glob(part) and not any(_means(part, c) for c in shown)]
        if unknown:
            raise UnknownNameError.nearest("config key", unknown[0], [c.removeprefix("config.") for c in shown])
        expanded += [column for column in shown if column not in taken]
        columns += expanded
        removed += taken
    return Grouping(list(dict.fromkeys(columns)), removed, expanded)


def grouped(table: RunTable, by: str | Sequence[str], *, runs: Runs, where: Where) -> pl.DataFrame:
    """Return run_id and the columns that group, one row a run.

    >>> grouped(example()._view.runs, "lr", runs=None, where=None).rows()
    [('slow', 0.01), ('fast', 0.1)]
    """
    ids = table.select(runs=runs, where=where, wanted=["run_id"])
    named = grouping(table, by, ids["run_id"])
    rows = with_exact(table, table.select(runs=ids, wanted=["run_id", *named.columns]), named.columns)
    return rows.select("run_id", *named.shown(rows))


def with_exact(table: RunTable, rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the rows with a column `x (exact)` for each column of config in which different values look alike.

    1 and 1.0, True and "true", an integer beyond 2**53 and its neighbour beside a float: columns of one type cannot
    hold both, but a group must not mix them.

    >>> for lr in (1, 1.0):
    ...     tl.init(config={"lr": lr}).finish()
    >>> table = tl.open()._view.runs
    >>> with_exact(table, table.select(wanted=["run_id", "config.lr"]), ["config.lr"])["config.lr (exact)"].to_list()
    ['1', '1.0']
    """
    said = table.config.filter(pl.col("column").is_in(list(names)) & (pl.col("kind") != Kind.NULL))
    mixed = said.group_by("column").agg(pl.col("kind").n_unique()).filter(pl.col("kind") > 1)["column"].to_list()
    for name in (name for name in names if name in mixed):
        own = said.filter(pl.col("column") == name).join(rows.select("run_id"), on="run_id", how="semi")
        parts = ["kind", "value", "ival", "text"]
        kinds = own.select(parts).unique()
        told = [exact_text(values.restore(*row)) for row in kinds.iter_rows()]
        texts = own.join(kinds.with_columns(pl.Series("exact", told, dtype=pl.String)), on=parts, nulls_equal=True)
        column = rows.select("run_id").join(texts, on="run_id", how="left", maintain_order="left")["exact"]
        if column.n_unique() > rows.select(c for c in (name, f"{name}.text") if c in rows.columns).n_unique():
            rows = rows.with_columns(column.alias(name + EXACT))
    return rows


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


def columns_of(table: RunTable, names: str | Sequence[str], *, said: str = "by") -> list[str]:
    """Return the full column names: "seed" means config.seed where the runs have no column of that very name.

    >>> columns_of(example()._view.runs, ["lr", "group"])
    ['config.lr', 'group']
    """
    found: list[str] = []
    for name in arguments.texts(said, names):
        if naming.is_glob(name):
            found += [c for c in table.names.available if _means(name, c)]
        else:
            found.append(_column(table, name))
    return list(dict.fromkeys(found))


def _column(table: RunTable, name: str) -> str:
    """Return the column that a name means: its own, else that of config."""
    for full in (name, f"config.{name}"):
        with contextlib.suppress(UnknownNameError):
            return table.names.parse(full).name
    known = table.names.available
    raise UnknownNameError.nearest("column", name, [*known, *(c.removeprefix("config.") for c in known)])


def _means(name: str, column: str) -> bool:
    return any(naming.glob_matches(pattern, column) for pattern in (name, f"config.{name}"))


def read(
    table: RunTable, targets: Sequence[Target], *, columns: Sequence[str], runs: Runs, where: Where
) -> pl.DataFrame:
    """Return one row a run: run_id, state, the columns (and their .text), and each target as target_0, target_1...

    A target is null where the run has no finite number of it.

    >>> table = example()._view.runs
    >>> wanted = [target(table, "loss", goal="min"), target(table, "acc.max")]
    >>> read(table, wanted, columns=["config.lr"], runs=None, where=None).rows()
    [('slow', 'finished', 0.01, 0.5, 0.6), ('fast', 'finished', 0.1, 0.25, 0.9)]
    """
    needed = [name for t in targets for name in t.needs]
    rows = table.select(runs=runs, where=where, wanted=["run_id", "state", *columns, *needed])
    shown = [name for name in rows.columns if name in {*columns, *(f"{c}.text" for c in columns)}]
    base = ["run_id", "state"]
    lists = [pl.col(name).list.join(", ") for name in shown if rows[name].dtype == pl.List(pl.String)]  # tags
    kept = rows.select(*base, *(name for name in shown if name not in base)).with_columns(lists)
    return kept.with_columns(t.of(table, rows).alias(f"target_{i}") for i, t in enumerate(targets))
