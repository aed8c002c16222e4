"""What an importer yields: run records, batches of their points, rows of many runs, and remarks on what was read."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import polars as pl

from tracklake.compute import typed_columns
from tracklake.schema import naming
from tracklake.schema.tables import STAMP
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from tracklake.schema.definition_statement import Statement

    Ints = np.ndarray[Any, np.dtype[np.int64]]

RunState = Literal["finished", "failed", "killed", "crashed", "running"]
Restart = Literal["new-run", "continue", "last-wins"]

SAMPLES: dict[str, pl.DataType | type[pl.DataType]] = {
    "metric": pl.String,
    "step": pl.Int64,
    "ts": STAMP,  # null where the source has no time
    "value": pl.Float64,
    "ival": pl.Int64,
    "text": pl.String,
    "kind": pl.Int8,
}
"""One row a point of one run, in the order of the source."""

UNCATEGORIZED = "uncategorized"


@dataclass(slots=True, eq=False)
class RunRecord:
    """One session of one run, as its source describes it. A reader may fill it in until it yields the next one.

    >>> RunRecord("mlflow:3f2a", run_id="3f2a", project="digits").state
    'finished'
    """

    identity: str
    """What tells the run from every other wherever it is imported: format and key, `mlflow:<run_uuid>`."""
    run_id: str
    """The id that it asks for; a suffix makes it unique in the lake."""
    longer_id: str = ""
    """The id that it asks for where another run has that one."""
    project: str = UNCATEGORIZED
    session: str = ""
    """What tells its sessions apart where several sources speak of one run."""
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    notes: str | None = None
    tags: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    """Nested as in the source."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Entries set by hand, by metric name."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    """What the session says of itself, such as the parent run."""
    definitions: Sequence[Statement] = ()
    start: int | None = None
    """Microseconds since the epoch; None where the source does not know it."""
    end: int | None = None
    state: RunState = "finished"
    exit_code: int | None = None
    is_timed: bool = True
    """False where the source has no time: runtime is null then."""
    rows_are_timed: bool = True
    """False where only start and end are known: `_runtime` of rows is null then."""
    expected: Mapping[str, Any] | None = None
    """The summary as the source has it, to compare ours with; None: it has none."""
    system: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    """Samples of system metrics: microseconds since the epoch, and numbers by name."""


class Points(NamedTuple):
    """A batch of points of one run (schema SAMPLES)."""

    record: RunRecord
    frame: pl.DataFrame


class Runs(NamedTuple):
    """Runs of a table in order of their ids, each one session of one project; their numbers are their places here."""

    project: str
    ids: pl.Series
    identities: pl.Series
    """What tells each of them from runs of other sources."""
    origin: str
    """What tells their sessions from those of other sources that speak of the same runs."""
    start: Ints
    """Microseconds since the epoch."""
    end: Ints
    config: pl.DataFrame
    """One row a run, one column a key; null where there is nothing."""
    is_timed: bool = False

    def record(self, number: int) -> RunRecord:
        """Return one of them as a record.

        >>> import numpy as np
        >>> config, ids, at = pl.DataFrame({"opt.lr": [0.1]}), pl.Series(["a"]), np.array([7])
        >>> Runs("p", ids, ids, "x.csv", at, at, config).record(0).config
        {'opt': {'lr': 0.1}}
        """
        values = self.config.row(number, named=True).items() if self.config.width else ()
        return RunRecord(
            self.identities[number],
            run_id=self.ids[number],
            project=self.project,
            session=self.origin,
            config=naming.nest((key.split("."), value) for key, value in values if value is not None),
            start=int(self.start[number]),
            end=int(self.end[number]),
            is_timed=self.is_timed,
        )


class SampleRows(NamedTuple):
    """Rows in order of run, and within a run of step: row i belongs to run run[i] and stands at step[i]."""

    run: Ints
    step: Ints
    metrics: pl.DataFrame
    """One column a metric, in order of their names; null where it was not logged."""
    ts: Ints | None = None
    """Microseconds since the epoch; None: without time."""
    metric: pl.Series | None = None
    """Where each row is one point: its metric. `metrics` has one column then."""

    def cut(self, rows: slice) -> SampleRows:
        """Return some of the rows.

        >>> import numpy as np
        >>> SampleRows(np.array([0, 0]), np.array([1, 2]), pl.DataFrame({"x": [0.5, 0.25]})).cut(slice(1, 2)).step
        array([2])
        """
        return SampleRows(*(None if column is None else column[rows] for column in self))  # type: ignore[arg-type]


class RunRows(NamedTuple):
    """A batch of rows of many runs of a table; all batches of a table have the same `runs`."""

    runs: Runs
    rows: SampleRows


class Remark(NamedTuple):
    """Something that a reader tells of a source it has read, such as how much of it was lost."""

    path: Path
    text: str
    is_loss: bool = False
    """True where something could not be read."""


def remarks_of(path: Path, remarks: Mapping[str, bool]) -> Iterator[Remark]:
    """Yield what a table tells of itself, each with whether something of it was lost.

    >>> from pathlib import Path
    >>> [remark.is_loss for remark in remarks_of(Path("a.csv"), {"line 7 is torn": True, "50% is 0.5": False})]
    [True, False]
    """
    for text, is_loss in remarks.items():
        yield Remark(path, text, is_loss)


Yielded: TypeAlias = RunRecord | Points | RunRows | Remark


class Source(NamedTuple):
    """Files that one importer recognised as one thing.

    >>> Source("keras", Path("logs/training.log")).files
    (PosixPath('logs/training.log'),)
    """

    format: str
    path: Path
    """What it is called by: its main file, or its folder."""
    claimed: tuple[Path, ...] = ()
    """Its files; none: the path alone."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it consists of.

        >>> Source("catboost", Path("c"), (Path("c/learn_error.tsv"),)).files
        (PosixPath('c/learn_error.tsv'),)
        """
        return self.claimed or (self.path,)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a caller asks of an import beyond what the source says."""

    project: str | None = None
    """The project of all runs; None: as the source has it."""
    step: str | None = None
    """The column of the step."""
    run_columns: tuple[str, ...] = ()
    """Columns that tell the runs of a table apart."""
    metrics: tuple[str, ...] = ()
    """Metrics that must be numbers; none: whatever the table holds."""
    restart: Restart | None = None
    """What a falling step means in a table; None: an error."""
    pattern: str | None = None
    """A regular expression with named groups, for text logs."""
    path: str | None = None
    """A pattern of paths whose parts are config: `{model}/seed{seed}/metrics.csv`."""
    root: Path = Path()
    """The folder that the import began at."""


def columns(
    metrics: Mapping[str, pl.Series] | pl.DataFrame, *, step: pl.Series, ts: pl.Series | None = None
) -> pl.DataFrame:
    """Return the points of a wide table with one row a step: every value that is not null (schema SAMPLES).

    `ts` is microseconds since the epoch. Names are made the one name of a metric.

    >>> columns({"loss": pl.Series([0.5, None])}, step=pl.Series([1, 2])).select("metric", "step", "value").rows()
    [('loss', 1, 0.5)]
    """
    pairs = metrics.items() if not isinstance(metrics, pl.DataFrame) else metrics.to_dict().items()
    stamps = (pl.Series([None]).new_from_index(0, len(step)) if ts is None else ts).cast(STAMP)
    rows = pl.DataFrame([step.cast(pl.Int64).alias("step"), stamps.alias("ts")])
    alike = itertools.groupby(((naming.metric_name(n), c) for n, c in pairs), key=lambda pair: pair[1].dtype)
    frames = [_end_to_end(list(several), rows) for _, several in alike]
    return pl.concat([frame for frame in frames if frame.height] or [pl.DataFrame(schema=SAMPLES)])


def _end_to_end(several: Sequence[tuple[str, pl.Series]], rows: pl.DataFrame) -> pl.DataFrame:
    """Return the points of columns of one type, one column after the other: together, as each call has its price."""
    names = [name for name, _ in several]
    dtype = several[0][1].dtype
    if dtype.is_numeric() or dtype in (pl.String, pl.Boolean):
        stored = typed_columns.stored(pl.concat([column.alias(names[0]) for _, column in several]))
    else:
        stored = pl.concat([typed_columns.stored(column.alias(name)) for name, column in several])
    labels = pl.concat([pl.Series("metric", [name]).new_from_index(0, rows.height) for name in names])
    placed = pl.concat([rows] * len(several)) if len(several) > 1 else rows
    frame = pl.DataFrame([labels, *placed, *stored]).select(list(SAMPLES))
    has_nulls = any(column.null_count() for _, column in several)
    return frame.filter(pl.col("kind") != int(Kind.NULL)) if has_nulls else frame


def samples_of(rows: SampleRows) -> pl.DataFrame:
    """Return the points of rows of one run (schema SAMPLES).

    >>> import numpy as np
    >>> rows = SampleRows(np.array([0]), np.array([3]), pl.DataFrame({"value": [0.5]}), metric=pl.Series(["loss"]))
    >>> samples_of(rows).select("metric", "step", "value").rows()
    [('loss', 3, 0.5)]
    """
    step, ts = pl.Series(rows.step), None if rows.ts is None else pl.Series(rows.ts)
    points = columns(rows.metrics, step=step, ts=ts)
    if rows.metric is None:
        return points
    is_there = rows.metrics.to_series().is_not_null()
    return points.with_columns(rows.metric.filter(is_there).alias("metric"))


def series(name: str, values: Sequence[Any]) -> pl.Series:
    """Return values as a Series: of one type where they have one, else of objects, which keep their kinds.

    >>> series("x", [1, None]).dtype, series("x", [0.5, 1]).to_list(), series("x", [1, "a"]).dtype
    (Int64, [0.5, 1.0], Object)
    """
    kinds = {type(value) for value in values} - {type(None)}
    try:
        if kinds <= {int, float}:
            return pl.Series(name, values, dtype=pl.Float64 if float in kinds else pl.Int64)
        if len(kinds) == 1 and kinds <= {str, bool}:
            return pl.Series(name, values)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):  # an integer beyond int64
        pass
    return pl.Series(name, values, dtype=pl.Object)


def numbers(metric: pl.Series, *, step: pl.Series, value: pl.Series, ts: pl.Series | None = None) -> pl.DataFrame:
    """Return points that are all floats, one row each (schema SAMPLES); `ts` is microseconds since the epoch.

    >>> numbers(pl.Series(["loss"]), step=pl.Series([3]), value=pl.Series([0.5])).select("metric", "value").rows()
    [('loss', 0.5)]
    """
    size = len(step)
    stamps = (pl.Series([None]).new_from_index(0, size) if ts is None else ts).cast(STAMP)
    fixed = {"ival": None, "text": None, "kind": int(Kind.FLOAT)}
    blank = {name: pl.Series(name, [x], dtype=SAMPLES[name]).new_from_index(0, size) for name, x in fixed.items()}
    named = {"metric": metric.cast(pl.String), "step": step.cast(pl.Int64), "ts": stamps, "value": value}
    return pl.DataFrame({name: {**named, **blank}[name] for name in SAMPLES}, schema=SAMPLES)
