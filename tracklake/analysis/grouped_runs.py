"""Outcomes: one number a run, in groups, and which runs of two groups match."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from tracklake.analysis import objective
from tracklake.analysis.objective import EXACT, exact_text
from tracklake.analysis.stats import resampling
from tracklake.analysis.stats.options import Unit
from tracklake.common import arguments
from tracklake.display.tables import Column
from tracklake.errors import DefinitionError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tracklake.analysis.objective import Target
    from tracklake.analysis.stats.options import Failed
    from tracklake.analysis.stats.resampling import Ints, Sample
    from tracklake.query.run_filter import Runs, Where
    from tracklake.query.run_table import RunTable


_REPEATS = re.compile(r"seed|fold|split|repeat|replica|trial|rng|(^|[_.])(rep|run|iter)($|[_.0-9])", re.IGNORECASE)
"""Names of columns that count repeats of one experiment; any other column of `over` is a task."""


class Outcomes(NamedTuple):
    """The runs of a comparison."""

    runs: pl.DataFrame
    """A row a run: run_id, state, the columns of groups, tasks and repeats, value, used, group_no, task_no, cell_no."""
    groups: pl.DataFrame
    """A row a group, sorted by the columns that group; its position is the group's number."""
    target: Target
    by: list[str]
    tasks: list[str]
    repeats: list[str]
    unit: Unit

    @property
    def n_groups(self) -> int:
        """How many groups there are: one, where no column groups.

        >>> rows = pl.DataFrame({"group_no": [0, 1, 1]})
        >>> Outcomes(rows, pl.DataFrame(), objective.Target("acc", "acc", "max"), [], [], [], "run").n_groups
        2
        """
        return self.runs["group_no"].n_unique()

    @property
    def matched(self) -> str:
        """By what runs of two groups match, as text; empty for nothing.

        >>> rows, acc = pl.DataFrame({"group_no": [0, 1]}), objective.Target("acc", "acc", "max")
        >>> Outcomes(rows, rows, acc, [], ["config.data"], ["config.seed"], "run").matched
        'data and seed'
        """
        columns = self.tasks if self.unit == "task" else [*self.tasks, *self.repeats] if self.repeats else []
        return " and ".join(column.removeprefix("config.") for column in columns)

    @property
    def sample(self) -> Sample:
        """The values that count: a column a group, a stratum a task, a cell a repeat.

        With tasks as units: one stratum, in which each task is a cell with the mean of its runs.

        >>> rows = {"group_no": [0, 1], "task_no": [0, 0], "cell_no": [-1, -1], "value": [0.6, 0.9], "used": [True] * 2}
        >>> acc = objective.Target("acc", "acc", "max")
        >>> Outcomes(pl.DataFrame(rows), pl.DataFrame(), acc, [], [], [], "run").sample.value.tolist()
        [0.6, 0.9]
        """
        used = self.runs.filter("used").select("group_no", "task_no", "cell_no", "value")
        if self.unit == "task":
            used = used.group_by(["group_no", "task_no"]).agg(pl.col("value").mean())
            used = used.with_columns(pl.col("task_no").alias("cell_no"), pl.lit(0).alias("task_no"))
        return resampling.sample(used["group_no"], stratum=used["task_no"], cell=used["cell_no"], value=used["value"])


def find(groups: pl.DataFrame, keys: Any) -> int:
    """Return the number of the group with these keys: a mapping of columns, or the value of the only one.

    Raises UnknownNameError, which names the groups there are, TypeError for a bare value where columns are several.

    >>> find(pl.DataFrame({"config.lr": [0.1, None], "config.opt": ["adam", "adam"]}), {"lr": None})
    1
    """
    if not isinstance(keys, dict):
        names = [name for name in groups.columns if not _is_part(name, groups.columns)]
        if len(names) != 1:
            raise TypeError(f"baseline={keys!r}; with several columns name them: {{{(names or [''])[0]!r}: ...}}")
        keys = {names[0]: keys}
    wanted = {_full(groups, name): value for name, value in keys.items()}
    rows = list(groups.iter_rows(named=True))
    found = [i for i, row in enumerate(rows) if all(_has(row, name, value) for name, value in wanted.items())]
    if len(found) != 1:
        shown = ", ".join(label(rows[i]) for i in found or range(min(8, len(rows))))
        what = f"{len(found)} groups have" if found else "no group has"
        raise UnknownNameError(f"{what} {label(wanted)}; name one of: {shown}")
    return found[0]


def _full(groups: pl.DataFrame, name: str) -> str:
    for column in (name, f"config.{name}"):
        if column in groups.columns:
            return column
    raise UnknownNameError.nearest("column of the groups", name, groups.columns)


def outcomes(
    table: RunTable,
    target: Target,
    *,
    by: str | Sequence[str],
    over: str | Sequence[str] | None,
    task: str | Sequence[str] | None,
    runs: Runs,
    where: Where,
    failed: Failed,
    unit: Unit,
) -> Outcomes:
    """Read the number of each run, and put the runs into groups, tasks and cells; see `Lake.compare`.

    Raises UnknownNameError for columns, DefinitionError for tasks as units where none are known.

    >>> from tracklake.analysis.objective import target
    >>> table = example()._view.runs
    >>> wanted = target(table, "acc.max")
    >>> rest = dict.fromkeys(("over", "task", "runs", "where"))
    >>> found = outcomes(table, wanted, by="lr", failed="exclude", unit="run", **rest)
    >>> found.groups.rows(), found.runs["value"].to_list()
    ([(0.01,), (0.1,)], [0.6, 0.9])
    """
    arguments.check_word("unit", unit, Unit, error=DefinitionError)
    unsound = objective.unsound(failed)
    ids = table.select(runs=runs, where=where, wanted=["run_id"])["run_id"]
    grouped = objective.grouping(table, by, ids)
    matched = grouped.removed if over is None else objective.columns_of(table, over, said="over")
    if over is None and not matched and "config.seed" in table.names.available and "config.seed" not in grouped.columns:
        matched = ["config.seed"]
    tasks = objective.columns_of(table, task, said="task") if task is not None else _tasks(matched)
    repeats = [column for column in matched if column not in tasks]
    rows = objective.read(table, [target], columns=[*grouped.columns, *matched, *tasks], runs=ids, where=None)
    rows = objective.with_exact(table, rows, grouped.columns)
    by_columns = grouped.shown(rows, without=[*matched, *tasks])
    rows = rows.rename({"target_0": "value"}).with_columns((pl.col("value").is_not_null() & ~unsound).alias("used"))
    numbered = rows.with_columns(
        numbers(rows, by_columns).alias("group_no"),
        numbers(rows, _with_text(rows, tasks)).alias("task_no"),
        numbers(rows, _with_text(rows, repeats), missing=-1).alias("cell_no"),
    )
    if unit == "task" and not tasks:
        raise DefinitionError(f"unit='task' needs to know the tasks: say task='dataset', or so (over={matched})")
    first = numbered.unique("group_no", keep="first").sort("group_no")
    return Outcomes(numbered, first.select(by_columns), target, by_columns, tasks, repeats, unit)


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
    found = rows.select(columns).join(distinct, on=columns, how="left", nulls_equal=True, maintain_order="left")
    number = found["number"].cast(pl.Int64)
    if missing is None:
        return number
    unknown = found.select(pl.all_horizontal(pl.col(columns).is_null())).to_series()
    return pl.select(pl.when(unknown).then(missing).otherwise(number)).to_series()


class Pair(NamedTuple):
    """The values of two groups that are compared, by task: cell by cell where `matched`."""

    first: list[np.ndarray[Any, np.dtype[np.float64]]]
    second: list[np.ndarray[Any, np.dtype[np.float64]]]
    tasks: list[int]
    matched: bool
    why: str


class Matcher:
    """Finds which values of two groups match."""

    def __init__(self, sample: Sample, *, what: str) -> None:
        self._what = what
        self._sample = sample
        self._edges = np.searchsorted(sample.column, np.arange(int(sample.column.max(initial=-1)) + 2))
        self._cells = int(sample.cell.max(initial=0)) + 1

    def pair(self, first: int, second: int) -> Pair:
        """Return the values of two groups on the tasks that both have.

        >>> sample = resampling.sample([0, 0, 1, 1], stratum=[0] * 4, cell=[1, 2, 1, 2], value=[0.9, 0.8, 0.7, 0.5])
        >>> pair = Matcher(sample, what="seed").pair(0, 1)
        >>> pair.first[0].tolist(), pair.second[0].tolist(), pair.why
        ([0.9, 0.8], [0.7, 0.5], '2 of 2 match by seed')
        """
        a, b = self._of(first), self._of(second)
        why = self._mismatch(a, b)
        if why is None:
            _, at_a, at_b = np.intersect1d(a.key, b.key, assume_unique=True, return_indices=True)
            fewer = min(len(a.key), len(b.key))
            if len(at_a) > 1 and 2 * len(at_a) >= fewer:
                why = f"{len(at_a):,} of {fewer:,} match by {self._what}"
                return _by_task(a.only(at_a), b.only(at_b), matched=True, why=why)
            why = (
                f"only {len(at_a):,} of {fewer:,} match by {self._what}" if len(at_a) else f"no {self._what} in common"
            )
        return _by_task(a, b, matched=False, why=why)

    def _mismatch(self, a: _Values, b: _Values) -> str | None:
        if not self._what:
            told = "nothing to match runs by (over=)"
            return f"{told}; unit='task' matches tasks" if self._sample.tasks > 1 else told
        for values in (a, b):
            if values.key.size and values.key.min() < 0:
                return f"runs without {self._what}"
            if np.unique(values.key).size < values.key.size:
                return f"several runs of a group with the same {self._what}"
        return None

    def _of(self, group: int) -> _Values:
        of = slice(self._edges[group], self._edges[group + 1]) if group + 1 < len(self._edges) else slice(0, 0)
        task, cell = self._sample.stratum[of], self._sample.cell[of]
        return _Values(task, np.where(cell < 0, -1, task * self._cells + cell), self._sample.value[of])


class _Values(NamedTuple):
    task: Ints
    key: Ints
    value: np.ndarray[Any, np.dtype[np.float64]]

    def only(self, at: Ints) -> _Values:
        return _Values(self.task[at], self.key[at], self.value[at])


def _by_task(a: _Values, b: _Values, *, matched: bool, why: str) -> Pair:
    common = np.intersect1d(a.task, b.task)
    return Pair(
        [a.value[a.task == t] for t in common], [b.value[b.task == t] for t in common], common.tolist(), matched, why
    )


def label(row: dict[str, Any]) -> str:
    """Return keys and values as one text; floats as exactly as they are stored.

    >>> label({"config.lr": 0.1, "config.opt": "adam", "config.drop": None})
    "lr=0.1, opt='adam', drop=null"
    """
    names = [name for name in row if not _is_part(name, row)]
    return ", ".join(f"{n.removeprefix('config.')}={_told(row, n, quote=True)}" for n in names) or "all runs"


def key_columns(table: pl.DataFrame, by: Sequence[str]) -> list[Column]:
    """Return the columns that group, ready to be shown: of one with mixed types its texts are in quotes.

    >>> table = pl.DataFrame({"config.lr": [0.1, None], "config.lr.text": [None, "auto"]})
    >>> key_columns(table, ["config.lr", "config.lr.text"])
    [Column(heading='lr', cells=['0.1', "'auto'"], right=False, rank=0)]
    """
    rows = table.select(by).to_dicts()
    found = []
    for name in (name for name in by if not _is_part(name, by)):
        mixed = f"{name}.text" in by
        cells = [_told(row, name, quote=mixed) for row in rows]
        found.append(Column(name.removeprefix("config."), cells, table[name].dtype.is_numeric() and not mixed))
    return found


def _is_part(name: str, names: Collection[str]) -> bool:
    """Tell whether a column only adds to another, which holds the rest of its values."""
    return any(name.endswith(part) and name.removesuffix(part) in names for part in (".text", EXACT))


def _told(row: dict[str, Any], name: str, *, quote: bool) -> str:
    exact, text, value = row.get(name + EXACT), row.get(f"{name}.text"), row[name]
    return exact if exact is not None else shown(text if value is None else value, quote=quote)


def shown(value: Any, *, quote: bool = False) -> str:
    """Return one key of a group as text: null for none, the shortest text that reads back as the same float.

    >>> shown(0.1), shown("adam", quote=True), shown(True), shown(None)
    ('0.1', "'adam'", 'true', 'null')
    """
    if value is None:
        return "null"
    if isinstance(value, str):
        return repr(value) if quote else value
    return repr(value) if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _has(row: dict[str, Any], name: str, value: Any) -> bool:
    if row.get(name + EXACT) is not None and isinstance(value, bool | int | float | str):
        return bool(row[name + EXACT] == exact_text(value))
    held = [row[column] for column in (name, f"{name}.text") if column in row]
    if value is None:
        return all(h is None for h in held)
    return any(h == value and isinstance(h, bool) == isinstance(value, bool) for h in held if h is not None) or (
        value != value and any(h != h for h in held)  # noqa: PLR0124 - NaN is a key as well
    )
