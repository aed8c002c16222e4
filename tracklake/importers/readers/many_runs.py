"""Tables of many runs: with a column that tells them apart, long ones of (run, step, metric, value), one row a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.errors import SourceError, UnknownNameError
from tracklake.importers.readers import curves, places, table_files
from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.records import Points, Remark, RunRecord, columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


class _Rows:
    """The rows of one run."""

    def __init__(self, path: Path, rows: pl.DataFrame) -> None:
        self.path, self._rows = path, rows
        self.remarks: dict[str, None] = {}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield them at once."""
        yield self._rows


def read(path: Path, options: ImportOptions, shape: Shape) -> Iterator[Yielded]:
    """Yield the runs of a table, in the order of their first rows.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> pl.DataFrame({"run": ["a", "b"], "lr": [0.1, 0.2], "acc": [0.5, 0.7]}).write_csv("sweep.csv")
    >>> shape, options = shape_of(["run", "lr", "acc"], ImportOptions()), ImportOptions()
    >>> (first := next(read(Path("sweep.csv"), options, shape))).run_id, first.config, first.summary
    ('a', {'lr': 0.1}, {'acc': 0.5})
    """
    table = table_files.open_table(path)
    rows = pl.concat(list(table.frames()) or [pl.DataFrame()], how="vertical_relaxed")
    if shape.run_columns:
        missing = rows.select(pl.any_horizontal(pl.col(shape.run_columns).is_null())).to_series()
        if missing.any():
            at = int(missing.arg_max() or 0)
            raise SourceError(f"{path}: row {at + 1} has nothing in {shape.run_columns}, which tell runs apart")
    parts = rows.partition_by(shape.run_columns, maintain_order=True) if shape.run_columns else [rows]
    if shape.metric is not None:
        for part in parts:
            yield from _long(part, path, options, shape)
    elif all(part.height == 1 for part in parts) and not options.step:
        yield from _one_row_each(rows, path, options, shape)
    else:
        yield from _wide(parts, path, options, shape)
    for remark in table.remarks:
        yield Remark(path, remark, is_loss="torn" in remark)


def _record(path: Path, rows: pl.DataFrame, options: ImportOptions, shape: Shape) -> RunRecord:
    """Return the record of the run to which these rows belong."""
    place = places.place_of(path, options, kind="table")
    values = {name: rows[name][0] for name in shape.run_columns}
    texts = [str(value) for value in values.values()]
    run_id = texts[0] if len(values) == 1 else ",".join(f"{k}={v}" for k, v in values.items()) or place.run_id
    identity = f"table:{place.project}:{run_id}" if values else place.identity
    config = {**(values if len(values) > 1 else {}), **place.config}
    return RunRecord(identity, run_id=run_id, project=place.project, session=str(path.absolute()), config=config)


def _one_row_each(rows: pl.DataFrame, path: Path, options: ImportOptions, shape: Shape) -> Iterator[Yielded]:
    """Yield runs whose results are entries of their summaries: there is no history of one made-up step."""
    others = [name for name in rows.columns if name not in shape.run_columns]
    measured = [name for name in others if _is_measured(rows[name], options)]
    if not measured:
        measured = [name for name in others if rows[name].dtype.is_float()]
    start = path.stat().st_mtime_ns // 1000
    for i, row in enumerate(rows.iter_rows(named=True)):
        record = _record(path, rows.slice(i, 1), options, shape)
        chosen = {name: row[name] for name in others if name not in measured and row[name] is not None}
        record.config = {**chosen, **record.config}
        record.summary = {name: row[name] for name in measured if row[name] is not None}
        record.start, record.is_timed = start + i, False
        yield record
    yield Remark(
        path,
        f"one row a run: {', '.join(measured) or 'nothing'} went to the summary, "
        f"{', '.join(name for name in others if name not in measured) or 'nothing'} to the config",
    )


def _is_measured(column: pl.Series, options: ImportOptions) -> bool:
    if options.metrics:
        return column.name in options.metrics
    return column.dtype.is_numeric() and _MEASURED.search(column.name) is not None


def _wide(parts: Sequence[pl.DataFrame], path: Path, options: ImportOptions, shape: Shape) -> Iterator[Yielded]:
    """Yield runs of one row a step; what never changes within any run, and is not measured by its name, is config."""
    several = [part for part in parts if part.height > 1]
    others = [name for name in parts[0].columns if name not in shape.run_columns and name != options.step]
    same = [n for n in others if n.lower() not in curves.STEPS and all(part[n].n_unique() == 1 for part in several)]
    chosen = [n for n in same if not _MEASURED.search(n) and n not in options.metrics]
    for part in parts:
        record = _record(path, part, options, shape)
        fixed = {name: part[name][0] for name in chosen if part[name][0] is not None}
        record.config = {**fixed, **record.config}
        form = Form(leave_out=(*shape.run_columns, *chosen))
        yield from curves.points(_Rows(path, part), record, options, form)


def _long(rows: pl.DataFrame, path: Path, options: ImportOptions, shape: Shape) -> Iterator[Yielded]:
    """Yield a run of one row a point."""
    names = [n for n in rows.columns if n not in (*shape.run_columns, shape.metric, shape.value)]
    step = options.step or next((n for n in names if n.lower() in curves.STEPS), None)
    clock = next((n for n in curves.CLOCKS if n in names and curves.moments(rows[n]) is not None), None)
    record = _record(path, rows, options, shape)
    record.is_timed = clock is not None
    record.start = None if clock is not None else path.stat().st_mtime_ns // 1000
    yield record
    for metric in rows.partition_by(str(shape.metric), maintain_order=True):
        name = str(metric[str(shape.metric)][0])
        steps = metric[step].cast(pl.Int64) if step is not None else pl.int_range(metric.height, eager=True)
        falls = (steps.diff() < 0).fill_null(value=False)
        if options.restart is None and falls.any():
            at = int(falls.arg_max() or 0)
            raise SourceError(
                f"{path}: the metric {name!r} of run {record.run_id!r} has step {steps[at]} after "
                f"step {steps[at - 1]}; say restart='last-wins' if later values replace earlier ones"
            )
        ts = curves.moments(metric[clock]) if clock is not None else None
        yield Points(record, columns({name: metric[str(shape.value)]}, step=steps, ts=ts))
