"""From rows in order of run and step to what partitions hold: points, and what sessions say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import points, typed_columns
from tracklake.importers.recorded import session_of
from tracklake.schema import naming
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import POINTS, STAMP
from tracklake.schema.values import STORED, Kind
from tracklake.storage.journal.statements import FILES, STATEMENTS, SessionRecords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklake.importers.readers.records import Runs, SampleRows

    Ints = np.ndarray[Any, np.dtype[np.int64]]


MAX_POINTS = 2_000_000
"""Points of one partition."""
AT_ONCE = 500_000
"""Points that are built at once, unless one run has more: each takes some 300 bytes meanwhile."""


class PartitionRows(NamedTuple):
    """What goes into one partition: points (schema POINTS) in chunks of whole runs, and records of their sessions."""

    chunks: Iterator[pl.DataFrame]
    records: SessionRecords


def slices(run: Ints, step: Ints, *, most: int, is_whole: bool = False) -> list[slice]:
    """Cut rows into slices of at most `most` rows, between runs where that fits, else between steps.

    With `is_whole` a run is never cut.

    >>> slices(np.array([0, 0, 1]), np.array([0, 1, 0]), most=2)
    [slice(0, 2, None), slice(2, 3, None)]
    """
    new_run = np.diff(run) != 0
    runs = np.append(np.flatnonzero(new_run) + 1, len(run))
    steps = runs if is_whole else np.append(np.flatnonzero(new_run | (np.diff(step) != 0)) + 1, len(run))
    cuts, first = [], 0
    while first < len(run):
        ends = runs if runs[np.searchsorted(runs, first, side="right")] <= first + most else steps
        least, fitting = np.searchsorted(ends, (first, first + most), side="right")
        last = int(ends[max(least, fitting - 1)])
        cuts.append(slice(first, last))
        first = last
    return cuts


class TableContents:
    """Makes the contents of partitions from batches of rows of the runs of one table.

    >>> from tracklake.importers.readers.records import SampleRows, Runs
    >>> at, ids, lrs = np.array([1, 1]), pl.Series(["a", "b"]), pl.DataFrame({"lr": [0.1, 0.2]})
    >>> table = TableContents(Runs("p", ids, ids, "x.csv", at, at, lrs), {"imported_from": "x.csv"})
    >>> loss = pl.DataFrame({"loss": [1.0, 0.5, 2.0]})
    >>> (partition,) = table.partitions(SampleRows(np.array([0, 0, 1]), np.array([0, 1, 0]), loss))
    >>> next(partition.chunks).select("run_id", "step", "value").rows()
    [('a', 0, 1.0), ('a', 1, 0.5), ('b', 0, 2.0)]
    """

    def __init__(self, runs: Runs, facts: Mapping[str, Any]) -> None:
        """Begin; `facts` are what each session says of itself beside its source."""
        self.runs = runs
        self.sessions: Ints = np.array([session_of(identity, runs.origin) for identity in runs.identities])
        self._facts = facts
        self._n_files: Ints = np.zeros(len(runs.ids), dtype=np.int64)
        """Of each session, how many files it has so far."""

    def partitions(self, rows: SampleRows) -> Iterator[PartitionRows]:
        """Yield what partitions hold, one after the other; the chunks of one are used before the next is asked for.

        >>> from tracklake.importers.readers.records import SampleRows, Runs
        >>> at, ids = np.array([1]), pl.Series(["a"])
        >>> table = TableContents(Runs("p", ids, ids, "x.csv", at, at, pl.DataFrame()), {})
        >>> list(table.partitions(SampleRows(np.arange(0), np.arange(0), pl.DataFrame({"x": []}))))
        []
        """
        if not rows.metrics.width:  # runs of which only config is known
            rows = rows._replace(metrics=pl.DataFrame({"": pl.Series([None]).new_from_index(0, len(rows.run))}))
        for cut in slices(rows.run, rows.step, most=max(1, MAX_POINTS // rows.metrics.width)):
            several = rows.cut(cut)
            numbers = several.run[np.flatnonzero(np.append(True, np.diff(several.run) != 0))]
            fresh = numbers[self._n_files[numbers] == 0]
            begun = numbers[self._n_files[numbers] > 0]
            statements = [self._statements(begun, only_time=True), self._statements(fresh)]
            yield PartitionRows(self._chunks(several), SessionRecords(self._files(numbers), pl.concat(statements)))
            self._n_files[numbers] += 1

    def _chunks(self, rows: SampleRows) -> Iterator[pl.DataFrame]:
        most = max(1, AT_ONCE // rows.metrics.width)
        for cut in slices(rows.run, rows.step, most=most, is_whole=True):
            yield self._points(rows.cut(cut))

    def _points(self, rows: SampleRows) -> pl.DataFrame:
        """Lay the metrics of each run one below the other: in the order of points, without sorting them."""
        size, width = len(rows.run), rows.metrics.width
        order = interleaved(rows.run, width)
        stored = pl.concat([typed_columns.stored(column) for column in rows.metrics])[pl.Series(order)]
        ts = rows.ts if rows.ts is not None else (self.runs.start + self._n_files)[rows.run]
        metric, row = (pl.Series(quotient) for quotient in np.divmod(order, size))
        run = pl.Series(rows.run)[row]
        names = pl.Series(rows.metrics.columns, dtype=pl.String)[metric] if rows.metric is None else rows.metric
        placed = stored.select(
            pl.lit(self.runs.project).alias("project"),
            self.runs.ids[run].alias("run_id"),
            names.alias("metric"),
            pl.Series("session", self.sessions)[run],
            pl.Series("step", rows.step)[row],
            pl.Series("ts", ts)[row].cast(STAMP),
            *STORED,
        ).filter(pl.col("kind") != Kind.NULL)[list(POINTS)]
        repeated = (np.diff(rows.run) == 0) & (np.diff(rows.step) == 0)
        return points.sort(placed) if rows.metric is not None or repeated.any() else placed

    def _files(self, numbers: Ints) -> pl.DataFrame:
        """Return the row of the next file of each session (schema FILES): of no journal, and complete."""
        runs, n = self.runs, self._n_files[numbers]
        last = runs.end[numbers] if runs.is_timed else runs.start[numbers] + n
        return pl.select(
            pl.lit(runs.project).alias("project"),
            runs.ids[pl.Series(numbers)].alias("run_id"),
            pl.Series("session", self.sessions[numbers]),
            pl.Series("n", n, dtype=pl.Int32),
            pl.lit(0, pl.Int64).alias("sealed_through"),
            pl.lit(value=True).alias("complete"),
            pl.Series("start", runs.start[numbers]).cast(STAMP),
            pl.Series("last", last).cast(STAMP),
        ).select(list(FILES))

    def _statements(self, numbers: Ints, *, only_time: bool = False) -> pl.DataFrame:
        """Return what sessions say (schema STATEMENTS): source, config, the end, and if they have no time."""
        runs, size = self.runs, len(numbers)
        at = pl.Series(numbers)
        columns: list[tuple[str, str, pl.Series]] = []
        if not runs.is_timed:  # the states of each file need it
            columns.append((StatementKind.SESSION, "untimed", _repeated(value=True, size=size)))
        if not only_time:
            columns += [(StatementKind.SESSION, key, _repeated(value, size)) for key, value in self._facts.items()]
            columns.append((StatementKind.SESSION, "source", runs.identities[at]))
            config = runs.config[at].to_dict() if runs.config.width else {}
            columns += [(StatementKind.CONFIG, naming.join(key.split(".")), column) for key, column in config.items()]
            end = {"state": "finished", "exit_code": 0}
            columns += [(StatementKind.FINISH, key, _repeated(value, size)) for key, value in end.items()]
        if not columns or not size:
            return pl.DataFrame(schema=STATEMENTS)
        order = interleaved(np.arange(size), len(columns))
        which, row = (pl.Series(quotient) for quotient in np.divmod(order, size))
        stored = pl.concat([typed_columns.stored(column) for _, _, column in columns])[pl.Series(order)]
        is_end = pl.Series([op == StatementKind.FINISH for op, _, _ in columns])[which]
        ts = pl.Series(runs.start[numbers])[row].zip_with(~is_end, pl.Series(runs.end[numbers])[row])
        placed = stored.select(
            runs.ids[at][row].alias("run_id"),
            pl.Series("session", self.sessions[numbers])[row],
            pl.Series("n", self._n_files[numbers], dtype=pl.Int32)[row],
            ts.alias("ts").cast(STAMP),
            pl.Series("op", [op for op, _, _ in columns], dtype=pl.String)[which],
            pl.Series("key", [key for _, key, _ in columns])[which],
            *STORED,
        )
        return placed.filter(pl.col("kind") != Kind.NULL).select(list(STATEMENTS))


def _repeated(value: Any, size: int) -> pl.Series:
    return pl.Series([value]).new_from_index(0, size)


def interleaved(run: Ints, width: int) -> Ints:
    """Return the order in which columns laid end to end stand run after run, and within a run column after column.

    >>> interleaved(np.array([0, 0, 1]), 2).tolist()
    [0, 1, 3, 4, 2, 5]
    """
    size = len(run)
    starts = np.flatnonzero(np.append(True, np.diff(run) != 0))
    lengths = np.diff(np.append(starts, size))
    start, length = np.repeat(starts, lengths), np.repeat(lengths, lengths)
    place = start * width + np.arange(size) - start
    order = np.empty(size * width, dtype=np.int64)
    for j in range(width):
        order[place + j * length] = np.arange(j * size, (j + 1) * size)
    return order
