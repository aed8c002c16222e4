"""One pass over a table of many runs: which runs there are, their config and their times; and a second: their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.errors import SourceError
from tracklake.importers.readers import curves
from tracklake.importers.readers.restarts import Restarts
from tracklake.importers.readers.run_ids import run_ids
from tracklake.importers.readers.run_numbers import RunNumbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.importers.readers.records import Restart

    Ints = np.ndarray[Any, np.dtype[np.int64]]

_LATEST = 2**63 - 1
_KEPT = 2_000_000
"""Rows whose places are kept from the first pass to the second."""
_SAMPLE = 1000
"""Rows of a frame that are looked at first: what is measured changes soon."""


class RunColumns(NamedTuple):
    """What the columns of a table of many runs are.

    >>> RunColumns(("seed",), "epoch").step
    'epoch'
    """

    runs: Sequence[str]
    step: str | None
    """None: the rows of each run are counted."""
    config: Sequence[str] = ()
    """Those that are config if they never change within any run."""
    is_config: bool = False
    """True where they must not change."""
    metric: str | None = None
    """The column of names where each row is one point."""
    clock: str | None = None
    """The column of moments."""
    elapsed: str | None = None
    """The column of seconds since the start of the run."""


class PlacedRows(NamedTuple):
    """The rows of a frame by run and step."""

    run: Ints
    step: Ints
    n_restarts: Ints
    """How often its run had begun before."""
    firsts: Ints
    """The rows with which runs begin that no frame before had."""


class RowPlacing:
    """Says of each row of the frames of a table, in order, of which run it is and at which step it stands.

    >>> placing = RowPlacing(RunColumns(("seed",), "epoch"), "continue")
    >>> placing.of(pl.DataFrame({"seed": [7, 7, 8], "epoch": [0, 0, 3]})).step.tolist()
    [0, 0, 3]
    >>> placing.of(pl.DataFrame({"seed": [8, 8], "epoch": [1, 2]})).step.tolist()
    [4, 5]
    """

    def __init__(self, columns: RunColumns, restart: Restart | None) -> None:
        self.runs = RunNumbers(columns.runs)
        self._columns = columns
        self._series = RunNumbers([*columns.runs, columns.metric]) if columns.metric is not None else None
        self._run_of_series: Ints = np.zeros(0, dtype=np.int64)
        """Of a long table the run of each series."""
        self._restarts = Restarts(restart, describe=self._name_of_series)
        self._n_rows_of: Ints = np.zeros(0, dtype=np.int64)
        self.n_rows = 0

    @property
    def n_restarts(self) -> Ints:
        """How often each run began anew so far.

        >>> RowPlacing(RunColumns(("seed",), "epoch"), None).n_restarts.tolist()
        []
        """
        counts = np.zeros(self.runs.count, dtype=np.int64)
        began_anew = self._restarts.counts
        np.maximum.at(counts, np.arange(len(began_anew)) if self._series is None else self._run_of_series, began_anew)
        return counts

    def of(self, frame: pl.DataFrame) -> PlacedRows:
        """Return where the rows of the next frame stand.

        Raises SourceError, which names the row, where a run or a step is missing or is none, and where a step falls
        and nobody says what that means.

        >>> placing = RowPlacing(RunColumns(("seed",), "epoch"), None)
        >>> placing.of(pl.DataFrame({"seed": [7], "epoch": [0.5]}))
        Traceback (most recent call last):
        tracklake.errors.SourceError: row 1 of the table has a step that is no 64-bit whole number, [0.5] in 'epoch'...
        """
        step_column = [self._columns.step] if self._columns.step is not None else []
        for name in (*self._columns.runs, *step_column):
            use = "is the step" if name == self._columns.step else "tells runs apart"
            self._refuse(_is_nothing(frame[name]), f"has nothing in the column {name!r}, which {use}")
        run, firsts = self.runs.of(frame)
        series = run
        if self._series is not None:
            series, first_rows = self._series.of(frame)
            self._run_of_series = np.append(self._run_of_series, run[first_rows])
        step = self._steps(frame[step_column[0]]) if step_column else self._counted(run)
        step, n_restarts = self._restarts.resolved(series, step)
        self.n_rows += frame.height
        return PlacedRows(run, step, n_restarts, firsts)

    def _steps(self, column: pl.Series) -> Ints:
        """Return whole numbers as int64, or refuse the row that has another."""
        if not column.dtype.is_numeric():
            raise SourceError(
                f"the step column {column.name!r} holds {column.dtype}; a step is a whole number: name another column "
                "as step="
            )
        steps = column.cast(pl.Int64, strict=False)
        wrong = steps.is_null() | (steps.cast(column.dtype, strict=False) != column)
        example = column.filter(wrong).head(1).to_list()
        self._refuse(wrong, f"has a step that is no 64-bit whole number, {example} in {column.name!r}")
        return steps.to_numpy()

    def _counted(self, run: Ints) -> Ints:
        """Return how many rows of the same run came before each."""
        missing = self.runs.count - len(self._n_rows_of)
        self._n_rows_of = np.append(self._n_rows_of, np.zeros(max(0, missing), dtype=np.int64))
        order = np.argsort(run, kind="stable")
        begins = np.searchsorted(run[order], np.arange(self.runs.count))
        step = np.empty(len(run), dtype=np.int64)
        step[order] = np.arange(len(run)) - begins[run[order]] + self._n_rows_of[run[order]]
        self._n_rows_of += np.bincount(run, minlength=self.runs.count)
        return step

    def _refuse(self, wrong: pl.Series, why: str) -> None:
        """Raise the error that names the first row that is wrong."""
        if wrong.any():
            at = self.n_rows + int(wrong.arg_max() or 0)
            more = f" (and {wrong.sum() - 1:,} more)" if wrong.sum() > 1 else ""
            raise SourceError(f"row {at + 1:,} of the table{more} {why}; nothing was imported")

    def name_of(self, number: int) -> str:
        """Return the id of a run as errors name it.

        >>> RowPlacing(RunColumns((), None), None).name_of(0)
        'of the table'
        """
        return repr(run_ids(self.runs.keys)[number]) if self._columns.runs else "of the table"

    def _name_of_series(self, number: int) -> str:
        if self._series is None:
            return self.name_of(number)
        key = self._series.keys[number]
        run = repr(run_ids(key.select(self._columns.runs))[0]) if self._columns.runs else "of the table"
        return f"{run}, of the metric {key[str(self._columns.metric)][0]!r}"


class Survey:
    """Goes over the frames of a table once, and knows its runs then.

    >>> survey = Survey(RunColumns(("seed",), "epoch", config=["seed", "lr", "loss"]), None)
    >>> frame = pl.DataFrame({"seed": [7, 7], "epoch": [0, 1], "lr": [0.1, 0.1], "loss": [0.5, 0.25]})
    >>> survey.add(frame)
    >>> survey.config.rows(named=True)
    [{'seed': 7, 'lr': 0.1}]
    """

    def __init__(self, columns: RunColumns, restart: Restart | None) -> None:
        self.columns = columns
        self.placing = RowPlacing(columns, restart)
        self.placed: list[PlacedRows] = []
        """The rows of all frames by run and step, unless they are many: then none."""
        self._config = list(columns.config)
        self._firsts = pl.DataFrame()
        self._earliest: Ints = np.zeros(0, dtype=np.int64)
        self._latest: Ints = np.zeros(0, dtype=np.int64)

    def add(self, frame: pl.DataFrame) -> None:
        """Take in the next frame. Raises SourceError for what `RowPlacing` refuses, and for config that changes.

        >>> survey = Survey(RunColumns(("seed",), "epoch", config=["lr"], is_config=True), None)
        >>> survey.add(pl.DataFrame({"seed": [7, 7], "epoch": [0, 1], "lr": [0.1, 0.2]}))
        Traceback (most recent call last):
        tracklake.errors.SourceError: the config column 'lr' changes within the run '7': row 2 has 0.2, after 0.1; ...
        """
        placed = self.placing.of(frame)
        self.placed = [*self.placed, placed] if self.placing.n_rows <= _KEPT else []
        firsts = rows_at(frame.select(self._config), placed.firsts)
        self._firsts = pl.concat([self._firsts.select(self._config), firsts]) if self._firsts.width else firsts
        for name in list(self._config):
            at = self._first_change(frame[name], placed.run, self._firsts[name])
            if at is None:
                continue
            if self.columns.is_config:
                self._refuse_changing(frame[name], at, int(placed.run[at]))
            self._config.remove(name)
        self._add_times(frame, placed.run)

    @staticmethod
    def _first_change(column: pl.Series, run: Ints, firsts: pl.Series) -> int | None:
        """Return the first row whose value is not that of the first row of its run."""
        for size in (_SAMPLE, len(column)):
            changes = column.head(size).ne_missing(firsts.gather(pl.Series(run[:size])))
            if changes.any():
                return int(changes.arg_max() or 0)
        return None

    def _refuse_changing(self, column: pl.Series, at: int, run: int) -> NoReturn:
        row = self.placing.n_rows - len(column) + at + 1
        raise SourceError(
            f"the config column {column.name!r} changes within the run {self.placing.name_of(run)}: row {row:,} has "
            f"{column[at]!r}, after {self._firsts[column.name][run]!r}; name it in run_columns if it tells runs "
            "apart, in metrics if it is measured; nothing was imported"
        )

    def _add_times(self, frame: pl.DataFrame, run: Ints) -> None:
        missing = self.placing.runs.count - len(self._latest)
        self._earliest = np.append(self._earliest, np.full(max(0, missing), _LATEST))
        self._latest = np.append(self._latest, np.full(max(0, missing), -_LATEST))
        name = self.columns.clock or self.columns.elapsed
        if name is None or frame.is_empty():
            return
        times = times_of(frame, self.columns)
        has_time = times.is_not_null().to_numpy()
        np.minimum.at(self._earliest, run[has_time], times.drop_nulls().to_numpy())
        np.maximum.at(self._latest, run[has_time], times.drop_nulls().to_numpy())

    @property
    def config(self) -> pl.DataFrame:
        """The config columns of each run, one row a run in order of their numbers.

        >>> Survey(RunColumns((), None), None).config.shape
        (0, 0)
        """
        return self._firsts.select(self._config) if self._firsts.width else self._firsts

    def spans(self, written: int) -> tuple[Ints, Ints]:
        """Return when each run began and ended, microseconds since the epoch; `written` is when its file was.

        >>> Survey(RunColumns((), None), None).spans(7)
        (array([], dtype=int64), array([], dtype=int64))
        """
        size = self.placing.runs.count
        if self.columns.elapsed is not None:
            return written - np.maximum(self._latest, 0), np.full(size, written)
        counted = written + np.arange(size)  # so that runs keep the order of the table
        if self.columns.clock is None:
            return counted, counted
        has_time = self._latest >= self._earliest
        return np.where(has_time, self._earliest, counted), np.where(has_time, self._latest, counted)


def times_of(frame: pl.DataFrame, columns: RunColumns) -> pl.Series:
    """Return the times of rows in microseconds: since the epoch, or since the start of their run.

    >>> times_of(pl.DataFrame({"t": [0.5]}), RunColumns((), None, elapsed="t")).to_list()
    [500000]
    """
    if columns.clock is not None:
        moments = curves.moments(frame[columns.clock])
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, frame.height) if moments is None else moments
    return (frame[str(columns.elapsed)].cast(pl.Float64).fill_nan(None) * 1e6).cast(pl.Int64, strict=False)


def rows_at(frame: pl.DataFrame, rows: Ints) -> pl.DataFrame:
    """Return some rows of a frame, which may have no columns.

    >>> rows_at(pl.DataFrame(), [3]).shape
    (0, 0)
    """
    return frame[pl.Series(rows)] if frame.width else frame


def _is_nothing(column: pl.Series) -> pl.Series:
    return column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()
