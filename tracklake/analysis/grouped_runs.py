"""GroupedRuns: one number a run, in groups, and which runs of two groups match."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.analysis import grouping, objectives
from tracklake.analysis.stats import resampling
from tracklake.analysis.stats.options import Unit
from tracklake.common import arguments
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.analysis.objectives import Objective
    from tracklake.analysis.stats.options import Failed
    from tracklake.analysis.stats.resampling import Sample
    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable


_REPEATS = re.compile(r"seed|fold|split|repeat|replica|trial|rng|(^|[_.])(rep|run|iter)($|[_.0-9])", re.IGNORECASE)
"""Names of columns that count repeats of one experiment; any other column of `over` is a task."""


class GroupedRuns(NamedTuple):
    """The runs of a comparison."""

    runs: pl.DataFrame
    """A row a run: run_id, state, the columns of groups, tasks and repeats, value, used, group_no, task_no, cell_no."""
    groups: pl.DataFrame
    """A row a group, sorted by the columns that group; its position is the group's number."""
    objective: Objective
    by: list[str]
    tasks: list[str]
    repeats: list[str]
    unit: Unit

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
    def sample(self) -> Sample:
        """The values that count: a column a group, a stratum a task, a cell a repeat.

        With tasks as units: one stratum, in which each task is a cell with the mean of its runs.

        >>> rows = {"group_no": [0, 1], "task_no": [0, 0], "cell_no": [-1, -1], "value": [0.6, 0.9], "used": [True] * 2}
        >>> acc = objectives.Objective("acc", "acc", "max")
        >>> GroupedRuns(pl.DataFrame(rows), pl.DataFrame(), acc, [], [], [], "run").sample.value.tolist()
        [0.6, 0.9]
        """
        used = self.runs.filter("used").select("group_no", "task_no", "cell_no", "value")
        if self.unit == "task":
            used = used.group_by(["group_no", "task_no"]).agg(pl.col("value").mean())
            used = used.with_columns(pl.col("task_no").alias("cell_no"), pl.lit(0).alias("task_no"))
        return resampling.sample(used["group_no"], stratum=used["task_no"], cell=used["cell_no"], value=used["value"])


def read(
    table: RunTable,
    objective: Objective,
    *,
    by: str | Sequence[str],
    over: str | Sequence[str] | None,
    task: str | Sequence[str] | None,
    runs: Runs,
    where: Where,
    failed: Failed,
    unit: Unit,
) -> GroupedRuns:
    """Read the number of each run, and put the runs into groups, tasks and cells; see `Lake.compare`.

    Raises UnknownNameError for columns, DefinitionError for tasks as units where none are known.

    >>> table = example()._view.runs
    >>> acc = objectives.resolve(table, "acc.max")
    >>> defaults = dict.fromkeys(("over", "task", "runs", "where"))
    >>> grouped = read(table, acc, by="lr", failed="exclude", unit="run", **defaults)
    >>> grouped.groups.rows(), grouped.runs["value"].to_list()
    ([(0.01,), (0.1,)], [0.6, 0.9])
    """
    arguments.check_word("unit", unit, Unit, error=DefinitionError)
    unsound = objectives.unsound(failed)
    ids = table.select(runs=runs, where=where, wanted=["run_id"])["run_id"]
    chosen = grouping.resolve(table, by, ids)
    matched = chosen.removed if over is None else grouping.columns_of(table, over, said="over")
    if over is None and not matched and "config.seed" in table.names.available and "config.seed" not in chosen.columns:
        matched = ["config.seed"]
    tasks = grouping.columns_of(table, task, said="task") if task is not None else _tasks(matched)
    repeats = [column for column in matched if column not in tasks]
    rows = objectives.read(table, [objective], columns=[*chosen.columns, *matched, *tasks], runs=ids, where=None)
    rows = grouping.with_exact(table, rows, chosen.columns)
    by_columns = chosen.shown(rows, without=[*matched, *tasks])
    rows = rows.rename({"objective_0": "value"}).with_columns((pl.col("value").is_not_null() & ~unsound).alias("used"))
    numbered = rows.with_columns(
        numbers(rows, by_columns).alias("group_no"),
        numbers(rows, _with_text(rows, tasks)).alias("task_no"),
        numbers(rows, _with_text(rows, repeats), missing=-1).alias("cell_no"),
    )
    if unit == "task" and not tasks:
        raise DefinitionError(f"unit='task' needs to know the tasks: say task='dataset', or so (over={matched})")
    first = numbered.unique("group_no", keep="first").sort("group_no")
    return GroupedRuns(numbered, first.select(by_columns), objective, by_columns, tasks, repeats, unit)


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
