"""The rows of a table of many runs, in order of run and step, batch by batch; its runs were surveyed before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.importers.readers.records import Runs, SampleRows
from tracklake.importers.readers.run_ids import fitting_id, run_ids
from tracklake.importers.readers.run_survey import RowPlacing, rows_at, times_of
from tracklake.schema import run_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.importers.readers.records import Restart
    from tracklake.importers.readers.run_survey import PlacedRows, Survey

    Ints = np.ndarray[Any, np.dtype[np.int64]]


class RunTable:
    """The runs of a table that was surveyed, and the rows of its frames by run.

    `written` is when the table was, `config` has one row a run (None: what the survey says), `only` is the identity and
    the id of the run of a table that tells no runs apart.

    >>> from tracklake.importers.readers.run_survey import RunColumns, Survey
    >>> frame = pl.DataFrame({"seed": ["b", "a"], "epoch": [1, 1], "loss": [0.5, 0.25]})
    >>> survey = Survey(RunColumns(("seed",), "epoch"), None)
    >>> survey.add(frame)
    >>> table = RunTable(survey, None, project="p", origin="x.csv", written=7)
    >>> table.runs.ids.to_list(), table.rows(frame, {"loss": "loss"}).run.tolist()
    (['a', 'b'], [0, 1])
    """

    def __init__(
        self,
        survey: Survey,
        restart: Restart | None,
        *,
        project: str,
        origin: str,
        written: int,
        config: pl.DataFrame | None = None,
        only: tuple[str, str] | None = None,
    ) -> None:
        self._columns = survey.columns
        self._placing = RowPlacing(survey.columns, restart)
        self._placed = iter(survey.placed)
        n_runs = survey.placing.runs.count
        n_restarts = survey.placing.n_restarts
        of = np.repeat(np.arange(n_runs), n_restarts + 1)
        self._offset = np.cumsum(n_restarts + 1) - n_restarts - 1
        ids = pl.Series([only[1]] * n_runs) if only is not None else run_ids(survey.placing.runs.keys)
        names = _with_restarts(ids[pl.Series(of)], np.arange(len(of)) - self._offset[of])
        by_id = names.arg_sort().cast(pl.Int64).to_numpy()
        self._rank = np.argsort(by_id)
        start, end = (span[of][by_id] for span in survey.spans(written))
        self.runs = Runs(
            project=project,
            ids=names[by_id].rename("run_id"),
            identities=pl.Series(
                [only[0]] if only is not None else [f"table:{project}:{name}" for name in names[by_id]]
            ),
            origin=origin,
            start=start,
            end=end,
            config=rows_at(survey.config if config is None else config, of[by_id]),
            is_timed=survey.columns.clock is not None or survey.columns.elapsed is not None,
        )

    def rows(self, frame: pl.DataFrame, metrics: Mapping[str, str]) -> SampleRows:
        """Return the rows of the next surveyed frame in order of run and step; of equal ones the later stands behind.

        `metrics` are columns by the names of their metrics.

        >>> from tracklake.importers.readers.run_survey import RunColumns, Survey
        >>> survey = Survey(RunColumns((), None), None)
        >>> survey.add(frame := pl.DataFrame({"x": [0.5, 0.25]}))
        >>> table = RunTable(survey, None, project="p", origin="x.csv", written=7, only=("table:x", "x"))
        >>> table.rows(frame, {"x": "x"}).step.tolist()
        [0, 1]
        """
        placed = next(self._placed, None) or self._placing.of(frame)
        run = self._rank[self._offset[placed.run] + placed.n_restarts] if len(placed.run) else placed.run
        columns = frame.select(pl.col(column).alias(name) for name, column in metrics.items())
        metric = frame[self._columns.metric].cast(pl.String) if self._columns.metric is not None else None
        rows = SampleRows(run, placed.step, columns, self._times(frame, run), metric)
        order = _order(run, placed)
        if order is None:
            return rows
        at = pl.Series(order)
        ts = None if rows.ts is None else rows.ts[order]
        return SampleRows(run[order], rows.step[order], columns[at], ts, None if metric is None else metric[at])

    def _times(self, frame: pl.DataFrame, run: Ints) -> Ints | None:
        """Return when each row was; one without time has that of the one before it in its run."""
        if not self.runs.is_timed:
            return None
        times = times_of(frame, self._columns)
        start = pl.Series(self.runs.start[run]) if len(run) else pl.Series([], dtype=pl.Int64)
        if self._columns.elapsed is not None:
            times = times + start
        if times.null_count():
            filled = pl.DataFrame({"run": run, "ts": times}).select(pl.col("ts").forward_fill().over("run"))
            times = filled.to_series().fill_null(start)
        return times.to_numpy()


def _order(run: Ints, placed: PlacedRows) -> Ints | None:
    """Return the order of rows by run and step; None where they are in it."""
    is_same = run[1:] == run[:-1]
    if ((run[1:] > run[:-1]) | (is_same & (placed.step[1:] >= placed.step[:-1]))).all():
        return None
    return np.lexsort((placed.step, run))


def _with_restarts(ids: pl.Series, numbers: Ints) -> pl.Series:
    """Return ids of which those that began anew tell how often."""
    if not numbers.any():
        return ids
    names = [f"{run_id}-restart{n}" if n else run_id for run_id, n in zip(ids, numbers.tolist(), strict=True)]
    return pl.Series([name if len(name) <= run_fields.LONGEST_RUN_ID else fitting_id(name, name) for name in names])
