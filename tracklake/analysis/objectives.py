"""Objectives: the one number of each run that comparisons and sweeps are about, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.analysis.stats.options import Diverged, Failed
from tracklake.common import arguments
from tracklake.common.text import number_of
from tracklake.compute.points import PSEUDO
from tracklake.errors import AmbiguousNameError, DefinitionError, UnknownNameError
from tracklake.schema import statistics
from tracklake.schema.definition_statement import goal_of
from tracklake.schema.statistics import Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable
    from tracklake.schema.definition_statement import Goal

_UNSOUND = ("failed", "crashed", "killed")
"""The states of runs that ended before they were done."""


class Objective(NamedTuple):
    """One number a run: what it is called, where it comes from, and which way is better."""

    name: str
    source: Statistic | str | pl.Expr | pl.DataFrame
    """A statistic of a metric, a column of the runs, an expression over columns, or a frame of run_id and numbers."""
    goal: Goal

    @property
    def sign(self) -> float:
        """1 where higher is better, -1 where lower is.

        >>> Objective("acc", "acc", "max").sign, Objective("loss", "loss", "min").sign
        (1.0, -1.0)
        """
        return 1.0 if self.goal == "max" else -1.0

    @property
    def needs(self) -> list[str]:
        """The columns of the runs that it is computed from.

        >>> Objective("cost", pl.col("runtime") * pl.col("config.gpus"), "min").needs
        ['runtime', 'config.gpus']
        """
        if isinstance(self.source, Statistic | pl.DataFrame):
            return []
        return [self.source] if isinstance(self.source, str) else self.source.meta.root_names()

    def of(self, table: RunTable, rows: pl.DataFrame) -> pl.Series:
        """Return the number of each row (Float64), null where there is no finite one. Raises TypeError for text.

        >>> table = example()._view.runs
        >>> rows = table.select(wanted=["run_id"])
        >>> resolve(table, "loss.min").of(table, rows).to_list()
        [0.5, 0.25]
        """
        if isinstance(self.source, Statistic):
            numbers = table.statistics(rows["run_id"], {self.name: self.source})[self.name][0]
        elif isinstance(self.source, pl.DataFrame):
            numbers = rows.select("run_id").join(self.source, on="run_id", how="left", maintain_order="left")[self.name]
        else:
            numbers = rows[self.source] if isinstance(self.source, str) else rows.select(self.source).to_series()
        if numbers.null_count() == len(numbers):
            return pl.Series(self.name, [None] * len(numbers), dtype=pl.Float64)
        if not (numbers.dtype.is_numeric() or numbers.dtype == pl.Boolean):
            raise TypeError(f"{self.name} is {numbers.dtype}, not a number; name a metric, or a column of numbers")
        number = numbers.cast(pl.Float64)
        return number.zip_with(number.is_finite().fill_null(value=False), number.clear(1)).alias(self.name)

    def ended_in(self, table: RunTable, run_ids: pl.Series) -> pl.Series:
        """Return what the metric of each run that diverged ended in, "NaN" or "infinity"; null for those that did not.

        Only a statistic of a metric tells: of a column, an expression or a frame nothing is known.

        >>> table = example()._view.runs
        >>> resolve(table, "loss.min").ended_in(table, pl.Series("run_id", ["fast"])).to_list()
        [None]
        """
        unknown = pl.Series("ended_in", [None] * len(run_ids), dtype=pl.String)
        if not isinstance(self.source, Statistic) or self.source.metric in table.snapshot.derived.entries:
            return unknown
        last = table.statistics(run_ids, {"last": Statistic(self.source.metric, "last")})["last"][0]
        if not last.dtype.is_float():
            return unknown
        words = pl.when(last.is_nan()).then(pl.lit("NaN")).when(last.is_infinite()).then(pl.lit("infinity"))
        return pl.select(words.alias("ended_in")).to_series()

    @property
    def before(self) -> str:
        """How a run that diverged counts, in words.

        >>> Objective("loss", Statistic("loss", "min"), "min").before
        'counted at their best before'
        """
        is_best = isinstance(self.source, Statistic) and self.source.stat == self.goal
        return "counted at their best before" if is_best else "counted by what they logged before"


def resolve(
    table: RunTable,
    metric: str | tuple[str, str] | pl.Expr | pl.DataFrame,
    *,
    stat: str | None = None,
    goal: str | None = None,
) -> Objective:
    """Find what is meant: a metric (by default its best), "metric.statistic", a column of the runs, or an expression.

    The goal is the one given, else that of the metric's definition, else the direction that the statistic min or max
    says. Raises UnknownNameError with the nearest metrics, and DefinitionError where nothing says which way is better.

    >>> resolve(example()._view.runs, "loss", goal="min")
    Objective(name='loss', source=Statistic(metric='loss', stat='min'), goal='min')
    """
    if isinstance(metric, pl.DataFrame):
        return _of_frame(metric, goal)
    if isinstance(metric, pl.Expr):
        name = metric.meta.output_name()
        return Objective(name, metric, _direction(goal, name))
    if not isinstance(metric, str | tuple):
        raise arguments.refused("metric", "a metric, a column, an expression, or a frame of run_id and numbers", metric)
    column = _column(table, metric, stat) if isinstance(metric, str) else None
    if column is None:
        return _of_statistic(table, metric, stat, goal)
    key = column.removeprefix("summary.")
    return Objective(column, column, _direction(goal or defined_goal(table, key), key))


def _column(table: RunTable, name: str, stat: str | None) -> str | None:
    """Return the column of the runs that a name means, None where it means a metric or a statistic of one."""
    metrics = {*table.snapshot.metrics, *PSEUDO}
    key = name.removeprefix("summary.")
    if name in metrics or key in metrics:
        return None
    if key in table.summaries.value_keys:
        if stat not in (None, "last"):
            raise table.unknown(key)
        return f"summary.{key}"
    parsed = statistics.split_statistic(key)
    if parsed is not None and parsed.metric in metrics:
        return None
    try:
        return table.names.resolve(name).name
    except AmbiguousNameError:
        raise
    except UnknownNameError:
        return None


def _of_statistic(table: RunTable, path: str | tuple[str, str], stat: str | None, goal: str | None) -> Objective:
    """Return the objective that is a statistic of a metric, by default its best value."""
    metrics = {*table.snapshot.metrics, *PSEUDO}
    bare = path.removeprefix("summary.") if isinstance(path, str) and path not in metrics else path
    parsed = statistics.parse_statistic(bare, metrics=metrics)
    wanted = parsed.stat or "best" if stat is None else arguments.text("stat", stat, takes="the name of a statistic")
    inferred = goal or defined_goal(table, parsed.metric) or (wanted if wanted in ("min", "max") else None)
    direction = _direction(inferred, parsed.metric)
    statistic = {"best": direction, "best_step": f"arg{direction}"}.get(wanted, wanted)
    if not statistics.is_statistic(statistic):
        raise UnknownNameError.nearest("statistic", statistic, statistics.STATISTICS)
    name = parsed.metric if parsed.stat is None and stat is None else f"{parsed.metric}.{wanted}"
    return Objective(name, Statistic(parsed.metric, statistic), direction)


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


def _of_frame(frame: pl.DataFrame, goal: str | None) -> Objective:
    """Return the numbers that a frame gives: one column beside run_id, a row a run."""
    names = [name for name in frame.columns if name != "run_id"]
    if len(names) != 1 or len(names) == frame.width:
        raise TypeError(f"a frame of numbers has the columns run_id and one other; this one has {frame.columns}")
    if frame["run_id"].dtype != pl.String:
        raise TypeError(f"a frame of numbers has texts in run_id; this one has {frame['run_id'].dtype}")
    if frame["run_id"].n_unique() < frame.height:
        raise ValueError("a frame of numbers has one row a run; this one has several of a run")
    return Objective(names[0], frame, _direction(goal, names[0]))


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
    goals = table.summaries.goals(metric)
    if len(goals) > 1:
        raise DefinitionError(f'the runs define {metric!r} with both goals: say goal="min" or goal="max"')
    if goals:
        return goals.pop()
    kinds = {kind for d in table.summaries.definition(metric).values() if d is not None for kind in d.kinds}
    ends = kinds.intersection(("min", "max"))  # who asks for the least alone says which way is better
    return ends.pop() if len(ends) == 1 else None


def _direction(goal: str | None, name: str) -> Goal:
    if goal is None:
        raise DefinitionError(
            f'which way is {name!r} better? Say goal="min" or goal="max"'
            f" (or once for all: lake.define_metric({name!r}, goal=...))"
        )
    return goal_of(goal)


class Counting(NamedTuple):
    """Which runs count, beside those that finished with a number."""

    failed: Failed = "exclude"
    diverged: Diverged = "count"

    def checked(self) -> Counting:
        """Return it, or raise DefinitionError for words that are not accepted.

        >>> Counting("exclude", "count").checked()
        Counting(failed='exclude', diverged='count')
        """
        arguments.check_word("failed", self.failed, Failed, error=DefinitionError)
        arguments.check_word("diverged", self.diverged, Diverged, error=DefinitionError)
        return self

    @property
    def is_failed(self) -> pl.Expr:
        """Whether a row (state, value, diverged) is a failed run.

        >>> row = {"state": ["finished", "killed"], "value": [0.5, 0.5], "diverged": [False, False]}
        >>> pl.DataFrame(row).select(Counting().is_failed).to_series().to_list()
        [False, True]
        """
        ended_early = pl.col("state").is_in(_UNSOUND) if self.failed == "exclude" else pl.lit(value=False)
        diverged = pl.col("diverged") if self.diverged == "fail" else pl.lit(value=False)
        return ended_early | diverged | pl.col("value").is_null()

    @property
    def is_used(self) -> pl.Expr:
        """Whether the value of a row (state, value, diverged) counts.

        >>> row = {"state": ["finished"], "value": [0.5], "diverged": [True]}
        >>> pl.DataFrame(row).select(Counting(diverged="exclude").is_used).to_series().to_list()
        [False]
        """
        return ~self.is_failed if self.diverged != "exclude" else ~self.is_failed & ~pl.col("diverged")

    def says(self, objective: Objective) -> str:
        """What becomes of runs that diverged, in words.

        >>> Counting(diverged="exclude").says(Objective("loss", "loss", "min"))
        'left out'
        """
        return {"count": objective.before, "exclude": "left out", "fail": "counted as failed"}[self.diverged]


def read(
    table: RunTable, objectives: Sequence[Objective], *, columns: Sequence[str], runs: Runs, where: Where
) -> pl.DataFrame:
    """Return one row a run: run_id, state, the columns (and their .text), and each as objective_0, objective_1...

    An objective is null where the run has no finite number of it.

    >>> table = example()._view.runs
    >>> wanted = [resolve(table, "loss", goal="min"), resolve(table, "acc.max")]
    >>> read(table, wanted, columns=["config.lr"], runs=None, where=None).rows()
    [('slow', 'finished', 0.01, 0.5, 0.6), ('fast', 'finished', 0.1, 0.25, 0.9)]
    """
    needed = [name for t in objectives for name in t.needs]
    rows = table.select(runs=runs, where=where, wanted=["run_id", "state", *columns, *needed])
    wanted = [name for name in rows.columns if name in {*columns, *(f"{c}.text" for c in columns)}]
    base = ["run_id", "state"]
    lists = [pl.col(name).list.join(", ") for name in wanted if rows[name].dtype == pl.List(pl.String)]  # tags
    selected = rows.select(*base, *(name for name in wanted if name not in base)).with_columns(lists)
    return selected.with_columns(t.of(table, rows).alias(f"objective_{i}") for i, t in enumerate(objectives))


def judged(
    table: RunTable, objective: Objective, *, columns: Sequence[str], run_ids: pl.Series, counting: Counting
) -> pl.DataFrame:
    """Return the rows of `read` with the number as value, and what became of each run.

    Columns beside: ended_in and diverged (see `Objective.ended_in`), failed, used.

    >>> table = example()._view.runs
    >>> acc, ids = resolve(table, "acc.max"), pl.Series("run_id", ["fast"])
    >>> rows = judged(table, acc, columns=[], run_ids=ids, counting=Counting())
    >>> rows.select("value", "diverged", "failed", "used").rows()
    [(0.9, False, False, True)]
    """
    counting = counting.checked()
    rows = read(table, [objective], columns=columns, runs=run_ids, where=None).rename({"objective_0": "value"})
    rows = rows.with_columns(objective.ended_in(table, rows["run_id"]))
    rows = rows.with_columns(pl.col("ended_in").is_not_null().alias("diverged"))
    return rows.with_columns(counting.is_failed.alias("failed"), counting.is_used.alias("used"))


def divergence(rows: pl.DataFrame, objective: Objective, counting: Counting, *, of: str = "") -> list[str]:
    """Return the sentence that says how many of these runs diverged and what becomes of them; none for none.

    >>> rows = pl.DataFrame({"diverged": [True, False], "ended_in": ["NaN", None], "used": [True, True]})
    >>> divergence(rows, Objective("loss", Statistic("loss", "min"), "min"), Counting(), of=" of lr=1.0")
    ['1 of 2 runs of lr=1.0 ended in NaN; counted at their best before']
    """
    diverged = rows.filter("diverged")
    if counting.diverged == "count":
        diverged = diverged.filter("used")
    if diverged.is_empty():
        return []
    ends = " or ".join(sorted(diverged["ended_in"].unique()))
    count = f"{diverged.height:,} of {number_of(rows.height, 'run')}"
    return [f"{count}{of} ended in {ends}; {counting.says(objective)}"]
