"""Config of many runs: the value of each path that was said last, read path by path as columns are asked for."""

from __future__ import annotations

from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.schema import naming, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import STORED

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklake.storage.table.snapshot_view import SnapshotView

_CONFIG_STATEMENTS = (StatementKind.CONFIG, StatementKind.UNSET)


class ConfigValues:
    """The config of all runs of one snapshot. Frames have run_id, key, the stored columns, and column (its name)."""

    def __init__(self, snapshot: SnapshotView) -> None:
        self._snapshot = snapshot
        self._read: dict[str, pl.DataFrame] = {}
        self._unique = pl.Series(dtype=pl.String)
        """The runs that were found to be without repeats last: mostly all runs have the same keys."""

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """The columns that some run has, sorted, each with the paths that it shows: mostly one.

        >>> example()._view.runs.config.columns
        {'config.lr': ['lr']}
        """
        log = self._snapshot.statements
        keys = log.keys(StatementKind.CONFIG)
        certain = set(keys).difference(log.keys(StatementKind.UNSET)) if log.is_exact else set()
        doubtful = set(keys) - certain
        if doubtful:
            certain.update(self._last(doubtful, None)["key"].unique())
        columns: dict[str, list[str]] = {}
        for name, key in sorted((_column_of(key), key) for key in certain):
            columns.setdefault(name, []).append(key)
        return columns

    def load(self, columns: Collection[str]) -> None:
        """Read the values of several columns at once.

        >>> example()._view.runs.config.load(["config.lr"])
        """
        keys = [key for name in columns if name not in self._read for key in self.columns.get(name, ())]
        if len(keys) > 1:
            self._snapshot.statements.read_ahead(*_CONFIG_STATEMENTS, keys=keys)

    def of(self, columns: Collection[str]) -> pl.DataFrame:
        """Return the values that some columns show.

        >>> example()._view.runs.config.of(["config.lr"]).select("run_id", "value").sort("run_id").rows()
        [('fast', 0.1), ('slow', 0.01)]
        """
        self.load(columns)
        for name in columns:
            if name not in self._read:
                self._read[name] = self._last(self.columns.get(name, ()), None)
        return pl.concat([self._read[name] for name in columns]) if columns else self._last((), None)

    def of_runs(self, run_ids: Collection[str], columns: Collection[str] | None = None) -> pl.DataFrame:
        """Return the values of some runs (and columns), in the order in which they were said.

        >>> example()._view.runs.config.of_runs(["fast"]).select("column", "value").rows()
        [('config.lr', 0.1)]
        """
        keys = None if columns is None else [key for name in columns for key in self.columns.get(name, ())]
        return self._last(keys, run_ids)

    @cached_property
    def every(self) -> pl.DataFrame:
        """All values, in the order in which they were said.

        >>> example()._view.runs.config.every.select("run_id", "column", "value").sort("run_id").rows()
        [('fast', 'config.lr', 0.1), ('slow', 'config.lr', 0.01)]
        """
        return self._last(None, None)

    def nested(self, run_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the config of each of these runs as a nested dict.

        >>> example()._view.runs.config.nested(["fast"])
        {'fast': {'lr': 0.1}}
        """
        of_runs = self.of_runs(run_ids).sort("run_id", maintain_order=True)
        configs: dict[str, dict[str, Any]] = {run_id: {} for run_id in run_ids}
        rows = of_runs.select("run_id", "key", *STORED).iter_rows()
        for run_id, items in groupby(rows, key=itemgetter(0)):
            configs[run_id] = naming.nest((naming.split(key), values.restore(*stored)) for _, key, *stored in items)
        return configs

    def _last(self, keys: Collection[str] | None, runs: Collection[str] | None) -> pl.DataFrame:
        """Return what was said last under each of these keys (None: all), of some runs (None: of all)."""
        lines = self._snapshot.statements.of(*_CONFIG_STATEMENTS, keys=keys, runs=runs)
        is_there = lines["run_id"] != LAKE_RUN
        lines = lines if is_there.all() else lines.filter(is_there)
        is_of_one = keys is not None and len(keys) == 1
        if not (is_of_one and self._are_unique(lines["run_id"])):  # else each is the last of its run
            lines = lines.sort("ts", "session", maintain_order=True)
            lines = lines.filter(lines["run_id"].is_last_distinct() if is_of_one else _is_last(lines))
        is_set = lines["op"] == StatementKind.CONFIG
        last = lines if is_set.all() else lines.filter(is_set)
        stored = last[["run_id", "key", *STORED]]
        if is_of_one:  # as usual: all rows are of one column, and no query is needed to say so
            name = pl.Series("column", [_column_of(key) for key in keys or ()], dtype=pl.String)
            return stored.hstack([name.new_from_index(0, last.height)])
        names = {key: _column_of(key) for key in last["key"].unique()}
        return stored.with_columns(pl.col("key").replace_strict(names, return_dtype=pl.String).alias("column"))

    def _are_unique(self, run_ids: pl.Series) -> bool:
        if run_ids.equals(self._unique):
            return True
        is_unique = bool(run_ids.is_unique().all())
        self._unique = run_ids if is_unique else self._unique
        return is_unique


def _is_last(lines: pl.DataFrame) -> pl.Series:
    return lines.select(pl.struct("run_id", "key").is_last_distinct()).to_series()


def _column_of(key: str) -> str:
    return f"config.{naming.column(key)}"
