"""Curves in tables: which column is the step, which the time, and what a falling step means."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import polars as pl

from tracklake.errors import SourceError, UnknownNameError
from tracklake.importers.readers import cells
from tracklake.importers.readers.kept_frames import KeptFrames
from tracklake.importers.readers.records import SAMPLES, Points, RunRecord, columns, remarks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Yielded

STEPS = ("step", "_step", "global_step", "steps", "iteration", "iterations", "iter", "epoch", "epochs", "update",
         "training_iteration", "time/total_timesteps", "total_timesteps", "timesteps", "num_timesteps", "batch",
         "episode", "round")  # fmt: skip
"""Columns that are the step where nobody says which is, the most certain first."""
CLOCKS = ("_timestamp", "timestamp", "wall_time", "datetime", "date", "time")
"""Columns that may be a moment."""
ELAPSED = ("_runtime", "runtime", "elapsed", "time_elapsed", "time/time_elapsed", "elapsed_time", "time_total_s",
           "total_time", "time")  # fmt: skip
"""Columns that may be seconds since the start."""
_EPOCH_LEAST = 5e8
"""Seconds since 1970 of late 1985: what is less is no moment."""
_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}


class Table(Protocol):
    """Rows in frames of bounded size."""

    path: Path
    remarks: dict[str, bool]
    """What is told of its cells, in order, and whether something of it was lost."""

    def frames(self) -> Iterator[pl.DataFrame]:
        r"""Yield the rows in order; each call begins anew.

        >>> from pathlib import Path
        >>> from tracklake.importers.readers.delimited import DelimitedTable
        >>> _ = Path("a.csv").write_text("step,loss\n1,0.5\n")
        >>> next(DelimitedTable(Path("a.csv")).frames()).rows()
        [(1, 0.5)]
        """


@dataclass(frozen=True, slots=True)
class Form:
    """How a tool writes its curves; None: found out by the names of columns."""

    step: str | None = None
    """The column of steps; an empty name: rows are counted."""
    elapsed: str | None = None
    """The column of the time since the start; an empty name: there is none."""
    clock: str | None = None
    """The column of moments; an empty name: there is none."""
    elapsed_unit: float = 1e6
    """Microseconds."""
    origin: float | None = None
    """Seconds since the epoch at which the elapsed time begins."""
    leave_out: tuple[str, ...] = ()
    rename: Callable[[str], str] = field(default=lambda name: name)


def points(table: Table, record: RunRecord, options: ImportOptions, form: Form = Form()) -> Iterator[Yielded]:
    r"""Yield the record, the points of its table and remarks on it. The end of the run is when its file was written.

    Raises SourceError for steps that are none, for metrics asked for that are no numbers, and, unless the options say
    what it means, for a step that falls.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.delimited import DelimitedTable
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("a.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n")
    >>> record, batch = points(DelimitedTable(Path("a.csv")), RunRecord("csv:a", run_id="a"), ImportOptions())
    >>> batch.frame.select("metric", "step", "value").rows()
    [('loss', 1, 0.5), ('loss', 2, 0.25)]
    """
    return points_of_tables([(table, form)], record, options)


def points_of_tables(
    tables: Sequence[tuple[Table, Form]], record: RunRecord, options: ImportOptions
) -> Iterator[Yielded]:
    r"""Yield what `points` does of a run of which several tables tell: all of them are checked before one is read.

    Where several begin anew, they do so as the same runs.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.delimited import DelimitedTable
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> for name in ("a", "b"):
    ...     _ = Path(f"{name}.csv").write_text(f"epoch,{name}\n1,0.5\n1,0.25\n0,1.5\n")
    >>> tables, options = [(DelimitedTable(Path(name)), Form()) for name in ("a.csv", "b.csv")], ImportOptions()
    >>> options = ImportOptions(restart="new-run")
    >>> [getattr(item, "run_id", "points") for item in points_of_tables(tables, RunRecord("x:r", run_id="r"), options)]
    ['r', 'points', 'r-restart1', 'points', 'r', 'points', 'r-restart1', 'points']
    """
    readings = [_Reading(table, record, options, form) for table, form in tables]
    for reading in readings:
        reading.check()
    yield record
    current = record.identity
    for reading in readings:
        for frame in reading.frames:
            if reading.record.identity != current:
                yield reading.record
            yield from reading.batches(frame)
            current = reading.record.identity
        yield from remarks_of(reading.table.path, reading.table.remarks)


class _Reading:
    """One pass over a table."""

    def __init__(self, table: Table, record: RunRecord, options: ImportOptions, form: Form) -> None:
        self.table, self.record, self.options, self.form = table, record, options, form
        self.frames = KeptFrames(table.frames)
        self._first = next(iter(self.frames), pl.DataFrame())
        names = self._first.columns
        self.steps = step_column(options.step or form.step, names)
        self._clock = None if form.clock == "" else clock_column(self._first, form.clock)
        self._elapsed = None if form.elapsed == "" or self._clock else _elapsed(self._first, form.elapsed)
        self._n_rows = 0
        self._shift = 0
        self._highest_step = 0
        self._last_step: int | None = None
        self._n_restarts = 0
        end = table.path.stat().st_mtime_ns // 1000
        self._origin = self._begin(end)
        record.is_timed = bool(self._clock or self._elapsed)
        record.start = self._origin if record.is_timed else end
        if self._clock and self._first.height:
            record.start = None  # that of the first row

    def _begin(self, end: int) -> int:
        """Return when the elapsed time began: as the form says, else the end of the file before it."""
        if self.form.origin is not None:
            return int(self.form.origin * 1e6)
        if self._elapsed is None:
            return end
        longest = max((_largest(frame[self._elapsed]) for frame in self.frames), default=0.0)
        return end - int(longest * self.form.elapsed_unit)

    def check(self) -> None:
        """Raise the error that names the first row whose step, or metric asked for, is none, or whose step falls."""
        n_rows, last = 0, None
        for frame in self.frames if self.steps is not None or self.options.metrics else ():
            for name in {*self.options.metrics} & {*frame.columns}:
                refuse_text(frame[name], path=self.table.path, n_before=n_rows)
            step = self._step(frame, n_rows)
            if self.options.restart is not None:
                n_rows += frame.height
                continue
            falls = (step < step.shift(1, fill_value=last)).fill_null(value=False)
            if falls.any():
                at = int(falls.arg_max() or 0)
                before = step[at - 1] if at else last
                raise SourceError(
                    f"{self.table.path}: row {n_rows + at + 1} has step {step[at]} after step {before}. If the "
                    "training was started anew there, say restart='new-run' (a run of its own), 'continue' (steps go "
                    "on) or 'last-wins' (later values replace earlier ones)"
                )
            n_rows, last = n_rows + frame.height, step[-1] if len(step) else last

    def batches(self, frame: pl.DataFrame) -> Iterator[Yielded]:
        """Yield the points of some rows, cut where a restart begins a run of its own."""
        if frame.is_empty():
            return
        step = self._step(frame, self._n_rows)
        falls = (step < step.shift(1, fill_value=self._last_step)).fill_null(value=False)
        self._last_step = step[-1]
        restarts = set() if self.options.restart in (None, "last-wins") else set(falls.arg_true())
        for start, stop in itertools.pairwise([0, *sorted(restarts - {0}), frame.height]):
            if start in restarts:
                yield from self._restart(step[start])
            rows, steps = frame.slice(start, stop - start), step.slice(start, stop - start)
            if rows.height:
                yield Points(self.record, self._points(rows, steps + self._shift))
        self._n_rows += frame.height

    def _restart(self, step: int) -> Iterator[Yielded]:
        if self.options.restart == "continue":
            self._shift = self._highest_step + 1 - step
            return
        self._n_restarts += 1
        suffix = f"restart{self._n_restarts}"
        base = self.record
        self.record = RunRecord(
            f"{base.identity.split('#restart')[0]}#{suffix}",
            run_id=f"{base.run_id.rsplit('-restart', 1)[0]}-{suffix}",
            project=base.project,
            session=base.session,
            group=base.group,
            config=base.config,
            start=base.start,
            is_timed=base.is_timed,
        )
        yield self.record

    def _points(self, rows: pl.DataFrame, step: pl.Series) -> pl.DataFrame:
        self._highest_step = max(self._highest_step, *step.tail(1))
        dropped = {self.steps, *self.form.leave_out}
        metrics = {}
        for column in rows:
            name = self.form.rename(column.name)
            if column.name not in dropped and name:
                metrics[name] = column
        return columns(metrics, step=step, ts=self._times(rows)) if metrics else pl.DataFrame(schema=SAMPLES)

    def _step(self, frame: pl.DataFrame, n_before: int) -> pl.Series:
        if self.steps is None:
            return pl.int_range(n_before, n_before + frame.height, eager=True)
        column = frame[self.steps]
        is_number = column.dtype.is_numeric()
        step = column.cast(pl.Int64, strict=False) if is_number else pl.Series([None]).new_from_index(0, frame.height)
        wrong = step.is_null() if not is_number else step.is_null() | (step != column).fill_null(value=True)
        if wrong.any():
            at = int(wrong.arg_max() or 0)
            raise SourceError(
                f"{self.table.path}: row {n_before + at + 1} has {column[at]!r} in the step column {self.steps!r}, "
                "which is no whole number; name another column as step=, or step='' to count the rows"
            )
        return step

    def _times(self, rows: pl.DataFrame) -> pl.Series | None:
        if self._clock is not None:
            return moments(rows[self._clock])
        if self._elapsed is not None:
            return (rows[self._elapsed].cast(pl.Float64) * self.form.elapsed_unit + self._origin).cast(
                pl.Int64, strict=False
            )
        return None


def step_column(name: str | None, names: Sequence[str]) -> str | None:
    """Return the column asked for, else the first of STEPS that there is, in any case; None: rows are counted.

    UnknownNameError for a column that is not there.

    >>> step_column(None, ["loss", "Epoch"]), step_column("", ["epoch"])
    ('Epoch', None)
    """
    if name:
        if name not in names:
            raise UnknownNameError.nearest("step column", name, names)
        return name
    if name == "":
        return None
    lowered = {column.lower(): column for column in reversed(names)}
    return next((lowered[candidate] for candidate in STEPS if candidate in lowered), None)


def clock_column(frame: pl.DataFrame, name: str | None = None) -> str | None:
    """Return the column of moments: the one asked for, if it is, or the first of CLOCKS that is one.

    >>> clock_column(pl.DataFrame({"timestamp": [1_700_000_000.5]})), clock_column(pl.DataFrame({"time": [0.5]}))
    ('timestamp', None)
    """
    for candidate in (name,) if name else CLOCKS:
        if candidate in frame.columns and frame.height:
            stamps = moments(frame[candidate])
            if stamps is not None and stamps.null_count() < len(stamps):
                return candidate
    return None


def _elapsed(frame: pl.DataFrame, name: str | None) -> str | None:
    """Return the column of seconds since the start: one that never falls and is never negative."""
    for candidate in (name,) if name else ELAPSED:
        if candidate not in frame.columns or not frame[candidate].dtype.is_numeric():
            continue
        seconds = frame[candidate].drop_nulls()
        if name or (len(seconds) > 1 and seconds[0] >= 0 and (seconds.diff().drop_nulls() >= 0).all()):
            return candidate
    return None


def refuse_text(column: pl.Series, *, path: Path, n_before: int) -> None:
    """Raise the SourceError that names the cell for which a metric asked for is no number.

    >>> from pathlib import Path
    >>> refuse_text(pl.Series("loss", ["0.5", "oops"]), path=Path("a.csv"), n_before=0)
    Traceback (most recent call last):
    tracklake.errors.SourceError: a.csv: the metric 'loss' is no number in row 2: 'oops'; mend that cell, or ...
    """
    wrong = cells.first_text(column) if column.dtype == pl.String else None
    if wrong is not None:
        raise SourceError(
            f"{path}: the metric {column.name!r} is no number in row {n_before + wrong[0] + 1}: {wrong[1]!r}; mend "
            "that cell, or leave the metric out of metrics= to import it as text"
        )


def _largest(column: pl.Series) -> float:
    largest = column.cast(pl.Float64, strict=False).fill_nan(None).max()
    return float(largest) if isinstance(largest, float) else 0.0


def moments(column: pl.Series) -> pl.Series | None:
    """Return moments as microseconds since the epoch: of numbers (s, ms, us or ns), of ISO texts; None if it has none.

    >>> moments(pl.Series([1_700_000_000.5])).to_list(), moments(pl.Series(["2026-01-01T00:00:00Z"])).to_list()
    ([1700000000500000], [1767225600000000])
    >>> moments(pl.Series([0.5, 12.0]))
    """
    if column.dtype in (pl.Date, pl.Datetime):
        return column.cast(pl.Datetime("us")).dt.epoch("us")
    if column.dtype.is_numeric():
        return _epochs(column)
    if column.dtype != pl.String:
        return None
    text = column.str.replace(" ", "T", literal=True)
    with contextlib.suppress(pl.exceptions.PolarsError):
        has_zone = text.drop_nulls().str.contains(r"(?:Z|[+-]\d\d:?\d\d)$").all()
        stamps = text.str.to_datetime("%+" if has_zone else None, time_unit="us", strict=False)
        if stamps.null_count() == column.null_count():
            return stamps.dt.epoch("us")
    return None


def _epochs(column: pl.Series) -> pl.Series | None:
    smallest = column.cast(pl.Float64).fill_nan(None).min()
    if not isinstance(smallest, float) or smallest < _EPOCH_LEAST:
        return None
    unit = next((u for u, scale in _UNITS.items() if smallest < _EPOCH_LEAST * 20 * 1e6 / scale), "ns")
    if column.dtype.is_integer() and unit != "ns":
        return column.cast(pl.Int64) * int(_UNITS[unit])
    return (column.cast(pl.Float64) * _UNITS[unit]).round().cast(pl.Int64, strict=False)
