"""Tables of many runs: with a column that tells them apart, long ones of (run, step, metric, value), one row a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.errors import UnknownNameError
from tracklake.importers.readers import curves, places, table_files
from tracklake.importers.readers.kept_frames import KeptFrames
from tracklake.importers.readers.records import Remark, RunRecord, RunRows, remarks_of
from tracklake.importers.readers.run_ids import run_ids
from tracklake.importers.readers.run_numbers import RunNumbers
from tracklake.importers.readers.run_rows import RunTable
from tracklake.importers.readers.run_survey import RunColumns, Survey
from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Yielded

RUN_COLUMNS = ("run_id", "run", "run_name", "run_uuid", "trial_id", "trial", "uid", "experiment_id", "experiment")
"""Columns that tell runs apart where nobody says which do."""
_METRIC_COLUMNS = ("metric", "metric_name", "key", "tag")
_MEASURED = re.compile(
    r"(^|[\W_])(acc|accuracy|loss|f1|ppl|perplexity|err|error|score|auc|rmse|mse|mae|reward|return|precision|recall|"
    r"bleu|rouge|map|iou|dice|r2|metric|objective|result|value|runtime|duration|val|valid|test|eval)([\W_0-9]|$)",
    re.IGNORECASE,
)
"""Names of what is measured rather than chosen."""


class Shape(NamedTuple):
    """How a table tells runs apart, and the columns of a long one."""

    run_columns: list[str]
    metric: str | None
    value: str | None


def shape_of(names: Sequence[str], options: ImportOptions) -> Shape | None:
    """Return the shape of a table of many runs with these columns; None where it is one run.

    >>> from tracklake.importers.readers.records import ImportOptions
    >>> shape_of(["run", "step", "metric", "value"], ImportOptions())
    Shape(run_columns=['run'], metric='metric', value='value')
    >>> shape_of(["step", "loss"], ImportOptions())
    """
    for name in options.run_columns:
        if name not in names:
            raise UnknownNameError.nearest("column", name, names)
    lowered = {name.lower(): name for name in reversed(names)}
    metric = next((lowered[name] for name in _METRIC_COLUMNS if name in lowered), None)
    is_long = metric is not None and "value" in lowered
    run = next((lowered[name] for name in RUN_COLUMNS if name in lowered), None)
    run_columns = list(options.run_columns) or ([run] if run is not None else [])
    if not run_columns and not is_long:
        return None
    return Shape(run_columns, metric if is_long else None, lowered.get("value") if is_long else None)


def holds_results(names: Sequence[str]) -> bool:
    """Tell whether columns are those of one row a run: one tells runs apart, and another is measured.

    >>> holds_results(["run", "lr", "val_acc"]), holds_results(["id", "text", "label"])
    (True, False)
    """
    return any(name.lower() in RUN_COLUMNS for name in names) and any(map(_MEASURED.search, names))


def is_own_summary(names: Sequence[str]) -> bool:
    """Tell whether columns are those of `Lake.export` that repeat what its history says: its runs and its summaries.

    >>> is_own_summary(["run_id", "metric", "stat", "value"]), is_own_summary(["run_id", "config.lr", "summary.loss"])
    (True, True)
    >>> is_own_summary(["run_id", "metric", "step", "value"])
    False
    """
    has_fields = any(name.startswith(("config.", "summary.")) for name in names)
    return "run_id" in names and (has_fields or {"metric", "stat"} <= {*names})


def read(path: Path, options: ImportOptions, shape: Shape) -> Iterator[Yielded]:
    """Yield the runs of a table.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> pl.DataFrame({"run": ["a", "b"], "lr": [0.1, 0.2], "acc": [0.5, 0.7]}).write_csv("sweep.csv")
    >>> shape, options = shape_of(["run", "lr", "acc"], ImportOptions()), ImportOptions()
    >>> (first := next(read(Path("sweep.csv"), options, shape))).run_id, first.config, first.summary
    ('a', {'lr': 0.1}, {'acc': 0.5})
    """
    table = table_files.open_table(path)
    frames = KeptFrames(table.frames)
    is_one_each = shape.metric is None and not options.step and _is_one_row_each(frames, shape)
    batches = _one_row_each if is_one_each else _rows
    yield from batches(frames, path, options, shape)
    yield from remarks_of(path, table.remarks)


def _is_one_row_each(frames: Iterable[pl.DataFrame], shape: Shape) -> bool:
    runs, n_rows = RunNumbers(shape.run_columns), 0
    for frame in frames:
        runs.of(frame)
        n_rows += frame.height
        if n_rows > runs.count:
            return False
    return True


def _surveyed(frames: Iterable[pl.DataFrame], columns: RunColumns, path: Path, options: ImportOptions) -> Survey:
    survey = Survey(columns, options.restart)
    for frame in frames:
        for name in {*options.metrics} & {*frame.columns}:
            curves.refuse_text(frame[name], path=path, n_before=survey.placing.n_rows)
        survey.add(frame)
    return survey


def _columns(frame: pl.DataFrame, options: ImportOptions, shape: Shape) -> RunColumns:
    """Return what the columns of a table are, by its first rows."""
    names = [name for name in frame.columns if name not in (*shape.run_columns, shape.metric, shape.value)]
    step = curves.step_column(options.step, names)
    clock = curves.clock_column(frame.select(names))
    elapsed = None if clock is not None else _elapsed(frame.select(names), RunNumbers(shape.run_columns).of(frame).run)
    config = [name for name in names if name.lower() not in curves.STEPS and name not in (step, clock, elapsed)]
    return RunColumns(shape.run_columns, step, config=config, metric=shape.metric, clock=clock, elapsed=elapsed)


def _elapsed(frame: pl.DataFrame, run: Any) -> str | None:
    """Return the column of seconds since the start: one that never falls within a run and is never negative."""
    for name in curves.ELAPSED:
        if name in frame.columns and frame[name].dtype.is_numeric():
            seconds = pl.DataFrame({"run": run, "at": frame[name]}).drop_nulls()
            rises = seconds.select(pl.col("at").diff().over("run")).to_series().drop_nulls()
            if len(rises) and (rises >= 0).all() and (seconds["at"] >= 0).all():
                return name
    return None


def _rows(frames: Iterable[pl.DataFrame], path: Path, options: ImportOptions, shape: Shape) -> Iterator[Yielded]:
    """Yield rows of one row a step, or a point; what never changes within any run, and is not measured, is config."""
    first = next(iter(frames), pl.DataFrame())
    if first.is_empty():
        return
    survey = _surveyed(frames, _columns(first, options, shape), path, options)
    place = places.place_of(path, options, kind="table")
    chosen = [name for name in survey.config.columns if not _MEASURED.search(name) and name not in options.metrics]
    if not {*first.columns} - {*shape.run_columns, *chosen, survey.columns.step}:  # what never changes is measured
        chosen = [name for name in chosen if not first[name].dtype.is_float()]
    keys = list(survey.placing.runs.keys) if len(shape.run_columns) > 1 else []
    parts = [column for column in (*keys, *survey.config.select(chosen)) if column.name not in place.config]
    fixed = [pl.Series(name, [value] * survey.placing.runs.count) for name, value in place.config.items()]
    table = RunTable(
        survey,
        options.restart,
        project=place.project,
        origin=str(path.resolve()),
        written=path.stat().st_mtime_ns // 1000,
        config=pl.DataFrame([*parts, *fixed]),
        only=None if shape.run_columns else (place.identity, place.run_id),
    )
    dropped = {*shape.run_columns, *chosen, survey.columns.step}
    names = [name for name in first.columns if name not in dropped]
    if shape.metric is not None:
        yield from _left_out(path, names, shape)
        names = [str(shape.value)]
    metrics = dict(sorted((naming.metric_name(name), name) for name in names))
    for frame in frames:
        yield RunRows(table.runs, table.rows(frame, metrics))


def _left_out(path: Path, names: Sequence[str], shape: Shape) -> Iterator[Remark]:
    """Tell which columns of a table of one row a point say neither which point it is nor its value."""
    others = [name for name in names if name not in (shape.metric, shape.value) and name not in curves.CLOCKS]
    if others:
        yield Remark(path, f"the columns {', '.join(others)} change within runs; they were left out")


def _one_row_each(
    frames: Iterable[pl.DataFrame], path: Path, options: ImportOptions, shape: Shape
) -> Iterator[Yielded]:
    """Yield runs whose results are entries of their summaries: there is no history of one made-up step."""
    first = next(iter(frames), pl.DataFrame())
    others = [name for name in first.columns if name not in shape.run_columns]
    survey = _surveyed(frames, RunColumns(shape.run_columns, None, config=others), path, options)
    measured = [name for name in others if _is_measured(survey.config[name], options)]
    if not measured:
        measured = [name for name in others if survey.config[name].dtype.is_float()]
    place = places.place_of(path, options, kind="table")
    ids = run_ids(survey.placing.runs.keys)
    start = path.stat().st_mtime_ns // 1000
    keys = survey.placing.runs.keys if len(shape.run_columns) > 1 else pl.DataFrame([pl.Series("", [None] * len(ids))])
    rows = zip(ids, keys.rows(named=True), survey.config.rows(named=True), strict=True)
    for i, (run_id, key, row) in enumerate(rows):
        values = {name: value for name, value in {**key, **row}.items() if value is not None}
        yield RunRecord(
            f"table:{place.project}:{run_id}",
            run_id=run_id,
            project=place.project,
            session=str(path.resolve()),
            config={**{name: value for name, value in values.items() if name not in measured}, **place.config},
            summary={name: value for name, value in values.items() if name in measured},
            start=start + i,
            is_timed=False,
        )
    yield Remark(
        path,
        f"one row a run: {', '.join(measured) or 'nothing'} went to the summary, "
        f"{', '.join(name for name in others if name not in measured) or 'nothing'} to the config",
    )


def _is_measured(column: pl.Series, options: ImportOptions) -> bool:
    if options.metrics:
        return column.name in options.metrics
    return column.dtype.is_numeric() and _MEASURED.search(column.name) is not None
