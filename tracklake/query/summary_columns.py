"""Columns of the summary: entries and statistics of many runs at once, read from the lake once a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from tracklake.common.arguments import refused
from tracklake.compute import sorted_groups, typed_columns
from tracklake.compute.scans import READ_ALL
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.query.cells import Cells, Unfinished
from tracklake.schema import statistics
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tracklake.query.cells import Move
    from tracklake.query.summaries import Summaries
    from tracklake.schema.statistics import Statistic


_Name = TypeVar("_Name")
"""Of a column: a key, or a statistic."""


class SummaryColumns:
    """Reads cells of entries and statistics. What was read of all runs is kept: a snapshot does not change."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.snapshot = summaries.snapshot
        self._statistics: dict[Statistic, Cells] = {}
        self._entries: dict[str, Cells] = {}
        self._earlier_statistics: dict[Statistic, Unfinished] = {}
        self._earlier_entries: dict[str, Unfinished] = {}

    def carry_over(self, earlier: SummaryColumns, move: Move) -> None:
        """Take over what was read for an earlier snapshot, of the runs that were not touched since.

        >>> from tracklake.query.cells import Move
        >>> summaries = example()._view.runs.summaries
        >>> columns, earlier = SummaryColumns(summaries), SummaryColumns(summaries)
        >>> _ = earlier.entries(["loss"], runs=None)
        >>> ids = earlier.summaries.runs["run_id"]
        >>> columns.carry_over(earlier, Move(ids, ids, touched=["slow"]))
        >>> columns.entries(["loss"], runs=None)["loss"].values["value"].to_list()
        [0.75, 0.5]
        """
        if LAKE_RUN in move.touched or self.snapshot.derived.metrics or self.snapshot.derived.entries:
            return  # what is defined or derived for all runs may have changed
        statistics_read = earlier._earlier_statistics | earlier._statistics
        self._earlier_statistics = {path: move(cells) for path, cells in statistics_read.items()}
        entries_read = earlier._earlier_entries | earlier._entries
        self._earlier_entries = {key: move(cells) for key, cells in entries_read.items()}

    def entries(self, wanted: Collection[str], *, runs: Collection[str] | None) -> Mapping[str, Cells]:
        """Return the entry that stands under each of these keys, of these runs (None: of all).

        >>> cells = SummaryColumns(example()._view.runs.summaries).entries(["loss"], runs=None)["loss"]
        >>> cells.runs.to_list(), cells.values["value"].to_list()
        ([1, 0], [0.75, 0.5])
        """
        missing = [key for key in wanted if key not in self._entries]
        if not missing:
            return self._entries
        runs = self._scope(runs, len(missing))
        return self._kept(self._entries, self._finished(missing, self._earlier_entries, self._read_entries, runs), runs)

    def _read_entries(self, keys: Sequence[str], runs: Collection[str] | None) -> dict[str, Cells]:
        entries = sorted_groups.sort(self.summaries.entries(keys, runs=runs), by=["key"], series=["key"])
        stored, parts = entries.select(STORED), dict(_stretches(entries["key"]))
        nothing = Cells(self.places(entries["run_id"][:0]), stored.clear())
        places = self._places_of(entries["run_id"], parts)
        return {key: Cells(places[key], stored[parts[key]]) if key in parts else nothing for key in keys}

    def _finished(
        self,
        wanted: Sequence[_Name],
        earlier: dict[_Name, Unfinished],
        read: Callable[[Sequence[_Name], Collection[str] | None], dict[_Name, Cells]],
        runs: Collection[str] | None,
    ) -> dict[_Name, Cells]:
        """Return the cells of some columns: what an earlier snapshot knew with what was touched since, or read anew."""
        if runs is not None or not earlier:
            return read(wanted, runs)
        popped = {name: earlier.pop(name, None) for name in wanted}  # another thread may have taken it
        remembered = {name: unfinished for name, unfinished in popped.items() if unfinished is not None}
        new = [name for name in wanted if name not in remembered]
        cells = read(new, None) if new else {}
        for touched in {unfinished.touched for unfinished in remembered.values()}:
            names = [name for name, unfinished in remembered.items() if unfinished.touched == touched]
            fresh = read(names, self._present(touched))
            cells |= {name: remembered[name].finished(fresh[name]) for name in names}
        return cells

    def _present(self, runs: frozenset[str]) -> list[str]:
        run_ids = self.summaries.runs["run_id"]
        return run_ids.filter(run_ids.is_in(list(runs))).to_list()

    def statistics(self, wanted: Iterable[Statistic], *, runs: Collection[str] | None) -> Mapping[Statistic, Cells]:
        """Return each of these statistics over history, of these runs (None: of all).

        Raises DefinitionError for best and best_step of a metric without a goal.

        >>> least = statistics.Statistic("loss", "min")
        >>> cells = SummaryColumns(example()._view.runs.summaries).statistics([least], runs=None)[least]
        >>> cells.runs.to_list(), cells.values.to_series().to_list()
        ([1, 0], [0.25, 0.5])
        """
        missing = [path for path in wanted if path not in self._statistics]
        if not missing:
            return self._statistics
        runs = self._scope(runs, len({path.metric for path in missing}))
        fresh = self._finished(missing, self._earlier_statistics, self._read_statistics, runs)
        return self._kept(self._statistics, fresh, runs)

    def _read_statistics(self, paths: Sequence[Statistic], runs: Collection[str] | None) -> dict[Statistic, Cells]:
        of_points = [path for path in paths if statistics.needs_points(str(path.stat))]
        cells = self._from_points(of_points, runs)
        if len(of_points) < len(paths):
            cells |= self._from_states([path for path in paths if path not in cells], runs)
        return cells

    def places(self, run_ids: pl.Series) -> pl.Series:
        """Return the place of each run among all runs, the oldest first.

        >>> SummaryColumns(example()._view.runs.summaries).places(pl.Series(["fast", "slow", "fast"])).to_list()
        [1, 0, 1]
        """
        if run_ids.equals(self.summaries.runs["run_id"]):  # as it mostly is, and far cheaper than a join
            return typed_columns.counted(len(run_ids))
        joined = pl.DataFrame({"run_id": run_ids}).join(self._places, on="run_id", how="left", maintain_order="left")
        return joined["place"]

    def _scope(self, runs: Collection[str] | None, n_metrics: int) -> Collection[str] | None:
        """Return the runs to read: all, and remembered, unless that would be far more than what is asked for."""
        return None if self.summaries.runs.height * n_metrics <= READ_ALL else runs

    @cached_property
    def _places(self) -> pl.DataFrame:
        runs = self.summaries.runs.select("run_id")
        return runs.with_columns(typed_columns.counted(runs.height).alias("place"))

    @staticmethod
    def _kept(remembered: dict[Any, Cells], fresh: dict[Any, Cells], runs: object) -> Mapping[Any, Cells]:
        """Remember what was read of all runs; what was read of some serves this call alone."""
        if runs is not None:
            return remembered | fresh
        remembered.update(fresh)
        return remembered

    def _from_states(self, paths: Sequence[Statistic], runs: Collection[str] | None) -> dict[Statistic, Cells]:
        stats = sorted({str(path.stat) for path in paths})
        needed = sorted({column for stat in stats for column in statistics.columns(stat)})
        merged = self.snapshot.states(sorted({p.metric for p in paths}), columns=needed, runs=runs)
        tables = {stat: _table(merged, stat) for stat in stats if statistics.spec(stat).by_goal is None}
        part_of = dict(_stretches(merged["metric"]))
        places, nowhere = self._places_of(merged["run_id"], part_of), self.places(merged["run_id"][:0])
        cells = {}
        for path in paths:
            part = part_of.get(path.metric, slice(0, 0))
            values = tables[str(path.stat)][part] if path.stat in tables else self._best(merged[part], path)
            cells[path] = Cells(places.get(path.metric, nowhere), values)
        return cells

    def _places_of(self, run_ids: pl.Series, parts: Mapping[str, slice]) -> dict[str, pl.Series]:
        """Return the places of each part of the ids; mostly one part has the same runs as the one before it."""
        places: dict[str, pl.Series] = {}
        before = run_ids.clear()
        for name, part in parts.items():
            ids = run_ids[part]
            places[name] = next(reversed(places.values())) if places and ids.equals(before) else self.places(ids)
            before = ids
        return places

    def _best(self, states: pl.DataFrame, path: Statistic) -> pl.DataFrame:
        """Return the best value or its step, by the goal that each run's definitions give the metric."""
        goals = {i: d.goal for i, d in self.summaries.definition(path.metric).items() if d is not None}
        if not any(goals.values()):
            raise DefinitionError(
                f"{path.metric}.{path.stat} needs a goal, and no definition of {path.metric!r} has one: "
                f'say lake.define_metric({path.metric!r}, goal="max") or "min"'
            )
        groups = self.summaries.defined.groups
        own_groups = states.select("run_id").join(groups, on="run_id", how="left", maintain_order="left")
        goal = own_groups["group"].replace_strict(goals, default=None, return_dtype=pl.String)
        least = statistics.expression(str(path.stat), goal="min")
        most = statistics.expression(str(path.stat), goal="max")
        return states.select(pl.when(goal == "min").then(least).when(goal == "max").then(most))

    def _from_points(self, paths: Sequence[Statistic], runs: Collection[str] | None) -> dict[Statistic, Cells]:
        """Return the statistics that only points have, of a metric from one scan."""
        stats_of: dict[str, list[str]] = {}
        for path in paths:
            stats_of.setdefault(path.metric, []).append(str(path.stat))
        cells: dict[Statistic, Cells] = {}
        for metric, stats in stats_of.items():
            table = self.summaries.from_points([metric], stats, runs=runs)
            places = self.places(table["run_id"])
            cells |= {statistics.Statistic(metric, stat): Cells(places, table.select(value=stat)) for stat in stats}
        return cells


def _table(states: pl.DataFrame, stat: str) -> pl.DataFrame:
    """Return a statistic of every state: stored columns for first and last, else one column of numbers."""
    if statistics.spec(stat).dtype == "any":
        return states.select(pl.col(f"{stat}_{part}").alias(part) for part in STORED)
    return states.select(statistics.expression(stat))


def _stretches(column: pl.Series) -> Iterator[tuple[Any, slice]]:
    """Yield each value of a sorted column and where it stands."""
    new = sorted_groups.group_starts(column.to_frame(), by=[column.name])
    starts = new.arg_true().to_list()
    stops = [*starts[1:], len(column)]
    for value, start, stop in zip(column.filter(new), starts, stops, strict=False):
        yield value, slice(start, stop)


def paths(requested: str | tuple[str, str | None] | Iterable[str | tuple[str, str | None]]) -> list[Any]:
    """Return the paths of statistics that were asked for as a list; raise TypeError for what is none and no list.

    >>> paths(("loss", "min")), paths(["loss.min", "acc"])
    ([('loss', 'min')], ['loss.min', 'acc'])
    """
    if isinstance(requested, str | tuple):
        return [requested]
    if not isinstance(requested, Iterable) or isinstance(requested, Mapping):
        raise refused("paths", "'metric.statistic', (metric, statistic), or a list of these", requested)
    return list(requested)


def labelled(requested: Iterable[tuple[str | tuple[str, str | None], Statistic]]) -> dict[str, Statistic]:
    """Return the statistics by the names of their columns; a bare metric is its last value.

    UnknownNameError where two would have one name.

    >>> from tracklake.schema.statistics import Statistic
    >>> labelled([("loss", Statistic("loss", None)), (("loss", "min"), Statistic("loss", "min"))])
    {'loss': Statistic(metric='loss', stat='last'), 'loss.min': Statistic(metric='loss', stat='min')}
    """
    by_name: dict[str, Statistic] = {}
    for path, statistic in requested:
        name = path if isinstance(path, str) else ".".join(filter(None, path))
        exact = statistic._replace(stat=statistic.stat or "last")
        if by_name.setdefault(name, exact) != exact:
            raise UnknownNameError(
                f"{by_name[name]} and {exact} would both be the column {name!r}; ask for them in two calls"
            )
    return by_name


def stacked(run_ids: pl.Series, parts: Iterable[tuple[Statistic, list[pl.Series]]]) -> pl.DataFrame:
    """Put statistics one below the other: integers where all are, with the texts only if there are any.

    >>> from tracklake.schema.statistics import Statistic
    >>> stacked(pl.Series("run_id", ["a"]), [(Statistic("loss", "min"), [pl.Series([0.5])])]).rows()
    [('a', 'loss', 'min', 0.5)]
    """
    schema = {"run_id": pl.String, "metric": pl.String, "stat": pl.String, "value": pl.Float64, "text": pl.String}
    stacks = list(parts)
    rows = pl.concat([pl.DataFrame(schema=schema), *(_long(run_ids, path, columns) for path, columns in stacks)])
    if stacks and all(columns[0].dtype.is_integer() and len(columns) == 1 for _, columns in stacks):
        rows = rows.with_columns(pl.Series("value", pl.concat([columns[0].cast(pl.Int64) for _, columns in stacks])))
    return rows.drop("text") if rows["text"].null_count() == rows.height else rows


def _long(run_ids: pl.Series, path: Statistic, columns: list[pl.Series]) -> pl.DataFrame:
    """Return one statistic as rows: run_id, metric, stat, value, text."""
    column = columns[0]
    numbers = column.cast(pl.Float64) if column.dtype.is_numeric() else None
    texts = columns[1] if len(columns) > 1 else column.cast(pl.String) if numbers is None else None
    return pl.DataFrame({"run_id": run_ids}).with_columns(
        pl.lit(path.metric).alias("metric"),
        pl.lit(path.stat).alias("stat"),
        pl.lit(numbers, pl.Float64).alias("value"),
        pl.lit(texts, pl.String).alias("text"),
    )
