"""Grouped runs: one number a run, in groups, tasks and repeats."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.analysis import grouping, objectives, pooling
from tracklake.analysis.objectives import Counting
from tracklake.analysis.stats import resampling
from tracklake.analysis.stats.options import Unit
from tracklake.common import arguments
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.analysis.objectives import Objective
    from tracklake.analysis.stats.resampling import Sample
    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable


_REPEATS = re.compile(r"seed|fold|split|repeat|replica|trial|rng|(^|[_.])(rep|run|iter)($|[_.0-9])", re.IGNORECASE)
"""Names of columns that count repeats of one experiment; any other column of `over` is a task."""
NUMBERS = ("group_no", "task_no", "cell_no", "unit_no")
"""The columns that number groups, tasks, repeats (-1 where a run has none) and observations."""
_CELL = NUMBERS[:3]
_LABELLED = 10
"""Runs up to which a text that differs in all of them may be a setting."""


class GroupedRuns(NamedTuple):
    """The runs of a comparison."""

    runs: pl.DataFrame
    """A row a run: run_id, state, the columns of groups, tasks and repeats, value, ended_in, diverged, failed, used,
    and their `NUMBERS`; runs of one unit_no are one repeat that was run again."""
    groups: pl.DataFrame
    """A row a group, sorted by the columns that group; its position is the group's number."""
    objective: Objective
    by: list[str]
    tasks: list[str]
    repeats: list[str]
    unit: Unit
    counting: Counting = Counting()
    pooled: tuple[str, ...] = ()
    """The sentence that says of which projects the runs are, if of several."""

    @property
    def n_groups(self) -> int:
        """How many groups there are: one, where no column groups.

        >>> rows = pl.DataFrame({"group_no": [0, 1, 1]})
        >>> GroupedRuns(rows, pl.DataFrame(), objectives.Objective("acc", "acc", "max"), [], [], [], "run").n_groups
        2
        """
        return self.runs["group_no"].n_unique()

    @property
    def matched(self) -> str:
        """By what runs of two groups match, as text; empty for nothing.

        >>> rows, acc = pl.DataFrame({"group_no": [0, 1]}), objectives.Objective("acc", "acc", "max")
        >>> GroupedRuns(rows, rows, acc, [], ["config.data"], ["config.seed"], "run").matched
        'data and seed'
        """
        columns = self.tasks if self.unit == "task" else [*self.tasks, *self.repeats] if self.repeats else []
        return " and ".join(column.removeprefix("config.") for column in columns)

    @property
    def observations(self) -> pl.DataFrame:
        """One row an observation: group_no, task_no, cell_no, value, n_runs; a seed that was run again is averaged.

        >>> numbers = {"group_no": [0, 0], "task_no": [0, 0], "cell_no": [3, 3], "unit_no": [0, 0]}
        >>> rows = pl.DataFrame(numbers | {"value": [0.6, 0.8], "used": [True, True]})
        >>> acc = objectives.Objective("acc", "acc", "max")
        >>> GroupedRuns(rows, pl.DataFrame(), acc, [], [], [], "run").observations.rows()
        [(0, 0, 3, 0.7, 2)]
        """
        of_units = self.runs.filter("used").group_by(NUMBERS, maintain_order=True)
        measured = of_units.agg(pl.col("value").mean(), pl.len().cast(pl.Int64).alias("n_runs"))
        return measured.drop("unit_no")

    def sample(self, observations: pl.DataFrame, *, unit: Unit | None = None) -> Sample:
        """Return the values that count: a column a group, a stratum a task, a cell a repeat.

        With tasks as units: one stratum, in which each task is a cell with the mean of its observations.

        >>> rows = pl.DataFrame({"group_no": [0, 1], "task_no": [0, 0], "cell_no": [-1, -1], "value": [0.6, 0.9]})
        >>> grouped = GroupedRuns(rows, rows, objectives.Objective("acc", "acc", "max"), [], [], [], "run")
        >>> grouped.sample(rows).value.tolist()
        [0.6, 0.9]
        """
        rows = observations.select("group_no", "task_no", "cell_no", "value")
        if (unit or self.unit) == "task":
            rows = rows.group_by("group_no", "task_no").agg(pl.col("value").mean())
            rows = rows.with_columns(pl.col("task_no").alias("cell_no"), pl.lit(0).alias("task_no"))
        return resampling.sample(rows["group_no"], stratum=rows["task_no"], cell=rows["cell_no"], value=rows["value"])


class Design(NamedTuple):
    """Which columns make groups, and which are tasks and repeats."""

    by: str | Sequence[str]
    over: str | Sequence[str] | None = None
    task: str | Sequence[str] | None = None
    unit: Unit = "run"


class _Columns(NamedTuple):
    grouping: grouping.Grouping
    tasks: list[str]
    repeats: list[str]


def read(
    table: RunTable, objective: Objective, design: Design, *, runs: Runs, where: Where, counting: Counting
) -> GroupedRuns:
    """Read the number of each run, and put the runs into groups, tasks and cells; see `Lake.compare`.

    Raises UnknownNameError for columns, DefinitionError for tasks as units where none are known.

    >>> table = example()._view.runs
    >>> acc = objectives.resolve(table, "acc.max")
    >>> grouped = read(table, acc, Design("lr"), runs=None, where=None, counting=Counting())
    >>> grouped.groups.rows(), grouped.runs["value"].to_list()
    ([(0.01,), (0.1,)], [0.6, 0.9])
    """
    arguments.check_word("unit", design.unit, Unit, error=DefinitionError)
    ids = table.select(runs=runs, where=where, wanted=["run_id"])["run_id"]
    chosen, tasks, repeats = _columns(table, design, ids)
    columns = [*chosen.columns, *tasks, *repeats]
    rows = objectives.judged(table, objective, columns=columns, run_ids=ids, counting=counting)
    rows = grouping.with_exact(table, rows, chosen.columns)
    by = chosen.shown(rows, without=[*tasks, *repeats])
    numbered = rows.with_columns(
        numbers(rows, by).alias("group_no"),
        numbers(rows, _with_text(rows, tasks)).alias("task_no"),
        numbers(rows, _with_text(rows, repeats), missing=-1).alias("cell_no"),
    )
    numbered = numbered.with_columns(_units(table, numbered))
    first = numbered.unique("group_no", keep="first").sort("group_no")
    return GroupedRuns(
        numbered, first.select(by), objective, by, tasks, repeats, design.unit, counting, pooling.pooled(table, ids)
    )


def _columns(table: RunTable, design: Design, run_ids: pl.Series) -> _Columns:
    """Return the columns that are meant: what `by` takes out is what runs match by, else it is the seed."""
    chosen = grouping.resolve(table, design.by, run_ids)
    over = chosen.removed if design.over is None else grouping.columns_of(table, design.over, argument="over")
    if design.over is None and not over and "config.seed" in table.names.available:
        over = [] if "config.seed" in chosen.columns else ["config.seed"]
    tasks = _tasks(over) if design.task is None else grouping.columns_of(table, design.task, argument="task")
    if design.unit == "task" and not tasks:
        raise DefinitionError(f"unit='task' needs to know the tasks: say task='dataset', or so (over={over})")
    return _Columns(chosen, tasks, [column for column in over if column not in tasks])


def _units(table: RunTable, rows: pl.DataFrame) -> pl.Series:
    """Number the observations: runs of one repeat with the very same config are one that was run again.

    Texts that differ in all of them (an output folder, a host) do not count as config.
    """
    own = rows.select("run_id", *_CELL, pl.int_range(pl.len()).cast(pl.Int64).alias("unit_no"))
    again = own.filter(pl.struct(*_CELL).is_duplicated() & (pl.col("cell_no") >= 0) & rows["used"])
    if again.is_empty():
        return own["unit_no"]
    settings = _settings(table, rows["run_id"])
    first = again.join(settings, on="run_id", how="left").select(
        "run_id", pl.col("unit_no").min().over(*_CELL, "setting").alias("first")
    )
    units = own.join(first, on="run_id", how="left", maintain_order="left")
    return units.select(pl.coalesce("first", "unit_no").alias("unit_no")).to_series()


def units_of(rows: pl.DataFrame, table: RunTable, *, by: str, repeats: Sequence[str]) -> pl.Series:
    """Number the repeats of the rows (run_id, the number of the group, the columns of repeats).

    One that was run again, with the very same config, is one repeat.

    >>> rows = pl.DataFrame({"run_id": ["slow", "fast"], "group_no": [0, 0], "seed": [1, 1]})
    >>> units_of(rows, example()._view.runs, by="group_no", repeats=["seed"]).to_list()  # their lr differs
    [0, 1]
    """
    columns = [name for name in repeats if name in rows.columns]
    cells = rows.select(
        "run_id",
        pl.col(by).alias("group_no"),
        pl.lit(0, pl.Int64).alias("task_no"),
        numbers(rows, columns, missing=-1).alias("cell_no"),
        pl.lit(value=True).alias("used"),
    )
    return _units(table, cells)


def _settings(table: RunTable, run_ids: pl.Series) -> pl.DataFrame:
    """Return run_id and setting: equal lists of hashes where the config is equal, types included, but for labels.

    A label is a text that differs in every one of more than ten runs, such as an output folder.
    """
    config = table.config.of_runs(run_ids.to_list()).drop("key")
    is_label = pl.col("text").is_not_null().all() & (pl.col("text").n_unique() == len(run_ids))
    labels = config.group_by("column").agg(is_label.alias("is_label")).filter("is_label")["column"]
    counted = config if len(run_ids) <= _LABELLED else config.filter(~pl.col("column").is_in(labels.implode()))
    hashed = counted.select("run_id", pl.struct(pl.exclude("run_id")).hash().alias("setting"))
    return hashed.group_by("run_id").agg(pl.col("setting").sort())


def _tasks(matched: Sequence[str]) -> list[str]:
    """Return the columns that are tasks: those that do not count repeats, if some others do."""
    repeats = [c for c in matched if _REPEATS.search(c.rpartition(".")[2])]
    return [c for c in matched if c not in repeats] if repeats else []


def _with_text(rows: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """Return the columns and, where a column holds mixed types, the one with its text."""
    return [column for name in dict.fromkeys(names) for column in (name, f"{name}.text") if column in rows.columns]


def numbers(rows: pl.DataFrame, columns: Sequence[str], *, missing: int | None = None) -> pl.Series:
    """Number the rows by the exact values in these columns, in their order, nulls last; a null counts as a value.

    With `missing`, rows that have a null, and all rows if there are no columns, get that number.

    >>> rows = pl.DataFrame({"seed": [2, 1, None, 2]})
    >>> numbers(rows, ["seed"]).to_list(), numbers(rows, ["seed"], missing=-1).to_list()
    ([1, 0, 2, 1], [1, 0, -1, 1])
    """
    if not columns:
        return pl.Series([0 if missing is None else missing], dtype=pl.Int64).new_from_index(0, rows.height)
    distinct = rows.select(columns).unique().sort(columns, nulls_last=True).with_row_index("number")
    numbered = rows.select(columns).join(distinct, on=columns, how="left", nulls_equal=True, maintain_order="left")
    number = numbered["number"].cast(pl.Int64)
    if missing is None:
        return number
    unknown = numbered.select(pl.all_horizontal(pl.col(columns).is_null())).to_series()
    return pl.select(pl.when(unknown).then(missing).otherwise(number)).to_series()
