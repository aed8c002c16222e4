"""From rows in order of run and step to what partitions hold: points, and what sessions say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.compute import points, typed_columns
from tracklake.schema import naming
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import POINTS, STAMP
from tracklake.schema.values import STORED, Kind
from tracklake.storage.journal.statements import FILES, STATEMENTS, SessionRecords
from tracklake.storage.table.partitions import Contents

if TYPE_CHECKING:
    from collections.abc import Iterator

    Ints = np.ndarray[Any, np.dtype[np.int64]]


MAX_POINTS = 2_000_000
"""Points of one partition; each is built in memory, at some 300 bytes a point."""


class Runs(NamedTuple):
    """Runs in order of their ids, each one session of one project."""

    project: str
    ids: pl.Series
    session: Ints
    start: Ints
    """The stamp of the session and of all that it says, microseconds."""
    config: pl.DataFrame
    """One row a run, one column a key; null where there is nothing."""
    origin: str
    """Where they come from."""
    identities: pl.Series
    """What tells each of them from runs of other sources."""


class Rows(NamedTuple):
    """Rows in order of run and step: row i belongs to run run[i] and stands at step[i]."""

    run: Ints
    step: Ints
    metrics: pl.DataFrame
    """One column a metric, in order of their names; null where it was not logged."""


def slices(rows: Rows) -> list[slice]:
    """Cut rows into slices of at most about MAX_POINTS points, between runs where that fits, else between steps.

    >>> slices(Rows(np.array([0, 0, 1]), np.array([0, 1, 0]), pl.DataFrame({"loss": [1.0, 0.5, 2.0]})))
    [slice(0, 3, None)]
    """
    most = max(1, MAX_POINTS // rows.metrics.width)
    new_run = np.diff(rows.run) != 0
    runs = np.append(np.flatnonzero(new_run) + 1, len(rows.run))
    steps = np.append(np.flatnonzero(new_run | (np.diff(rows.step) != 0)) + 1, len(rows.run))
    cuts, first = [], 0
    while first < len(rows.run):
        ends = runs if runs[np.searchsorted(runs, first, side="right")] <= first + most else steps
        least, fitting = np.searchsorted(ends, (first, first + most), side="right")
        last = int(ends[max(least, fitting - 1)])
        cuts.append(slice(first, last))
        first = last
    return cuts


def contents(rows: Rows, runs: Runs) -> Iterator[Contents]:
    """Yield what the partitions of an import hold, one for each slice.

    >>> rows = Rows(np.array([0, 0, 1]), np.array([0, 1, 0]), pl.DataFrame({"loss": [1.0, 0.5, 2.0]}))
    >>> lrs, names = pl.DataFrame({"lr": [0.1, 0.2]}), pl.Series(["a", "b"])
    >>> (part,) = contents(rows, Runs("p", names, np.array([7, 8]), np.array([1, 1]), lrs, "x.csv", names))
    >>> part.points.select("run_id", "step", "value").rows()
    [('a', 0, 1.0), ('a', 1, 0.5), ('b', 0, 2.0)]
    """
    for n, cut in enumerate(slices(rows)):
        run, step = rows.run[cut], rows.step[cut]
        is_begun = cut.start > 0 and rows.run[cut.start - 1] == run[0]
        numbers = np.arange(run[0], run[-1] + 1)
        statements = [_statements(runs, numbers[1:] if is_begun else numbers, n)]
        if is_begun:  # states of this slice, too, are of a run without time
            statements.insert(0, _statements(runs, numbers[:1], n, only_time=True))
        sessions = SessionRecords(_files(runs, numbers, n), pl.concat(statements))
        yield Contents(_points(Rows(run, step, rows.metrics[cut]), runs), sessions)


def _points(rows: Rows, runs: Runs) -> pl.DataFrame:
    """Lay the metrics of each run one below the other: in the order of points, without sorting them."""
    size, width = len(rows.run), rows.metrics.width
    order = interleaved(rows.run, width)
    metric, row = (pl.Series(quotient) for quotient in np.divmod(order, size))
    stored = pl.concat([typed_columns.stored(column) for column in rows.metrics])[pl.Series(order)]
    run = pl.Series(rows.run)[row]
    placed = stored.select(
        pl.lit(runs.project).alias("project"),
        runs.ids[run].alias("run_id"),
        pl.Series("metric", rows.metrics.columns, dtype=pl.String)[metric],
        pl.Series("session", runs.session)[run],
        pl.Series("step", rows.step)[row],
        pl.Series("ts", runs.start)[run].cast(STAMP),
        *STORED,
    ).filter(pl.col("kind") != Kind.NULL)[list(POINTS)]
    repeated = (np.diff(rows.run) == 0) & (np.diff(rows.step) == 0)
    return points.sort(placed) if repeated.any() else placed


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


def _files(runs: Runs, numbers: Ints, n: int) -> pl.DataFrame:
    """Return the row of each session (schema FILES): number `n` of it, of no journal, and complete."""
    stamps = pl.Series("start", runs.start[numbers]).cast(STAMP)
    return pl.select(
        pl.lit(runs.project).alias("project"),
        runs.ids[numbers].alias("run_id"),
        pl.Series("session", runs.session[numbers]),
        pl.lit(n, pl.Int32).alias("n"),
        pl.lit(0, pl.Int64).alias("sealed_through"),
        pl.lit(value=True).alias("complete"),
        stamps,
        stamps.alias("last"),
    ).select(list(FILES))


def _statements(runs: Runs, numbers: Ints, n: int, *, only_time: bool = False) -> pl.DataFrame:
    """Return what the sessions say (schema STATEMENTS): their source, config, and that they finished, without time."""
    constant = {"untimed": True, "imported_from": runs.origin, "state": "finished", "exit_code": 0}
    same = {key: pl.Series([value]).new_from_index(0, len(numbers)) for key, value in constant.items()}
    config = {naming.join(name.split(".")): column for name, column in runs.config[numbers].to_dict().items()}
    columns = [(StatementKind.SESSION, "untimed", same["untimed"])]
    if not only_time:
        columns += [(StatementKind.SESSION, "imported_from", same["imported_from"])]
        columns += [(StatementKind.SESSION, "source", runs.identities[numbers])]
        columns += [(StatementKind.CONFIG, key, column) for key, column in config.items()]
        columns += [(StatementKind.FINISH, key, same[key]) for key in ("state", "exit_code")]
    order = interleaved(np.arange(len(numbers)), len(columns))
    which, run = (pl.Series(quotient) for quotient in np.divmod(order, len(numbers)))
    stored = pl.concat([typed_columns.stored(column) for _, _, column in columns])[pl.Series(order)]
    placed = stored.select(
        runs.ids[numbers][run].alias("run_id"),
        pl.Series("session", runs.session[numbers])[run],
        pl.lit(n, pl.Int32).alias("n"),
        pl.Series("ts", runs.start[numbers])[run].cast(STAMP),
        pl.Series("op", [op for op, _, _ in columns], dtype=pl.String)[which],
        pl.Series("key", [key for _, key, _ in columns])[which],
        *STORED,
    )
    return placed.filter(pl.col("kind") != Kind.NULL).select(list(STATEMENTS))
