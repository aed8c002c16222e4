"""The CSV of W&B's export button: a column `run - metric` for each run, beside those of its least and largest value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.errors import SourceError
from tracklake.importers.readers import places
from tracklake.importers.readers.delimited import DelimitedTable
from tracklake.importers.readers.records import ImportOptions, RunRows, Runs, SampleRows, Source, Yielded, remarks_of
from tracklake.importers.readers.run_ids import run_ids
from tracklake.importers.readers.table_files import header_of
from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

PRIORITY = 40
_STEPS = ("Step", "global_step", "epoch", "trainer/global_step")
_BETWEEN = " - "
_BOUNDS = ("__MIN", "__MAX")


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    r"""Yield the tables with a step and columns of runs.

    >>> from pathlib import Path
    >>> _ = Path("e.csv").write_text('"Step","run-1 - loss","run-1 - loss__MIN","run-1 - loss__MAX"\n')
    >>> [source.format for source in recognise(Path(), ["e.csv"])]
    ['wandb_export']
    """
    for name in names:
        header = header_of(folder / name) if name.endswith(".csv") else []
        columns = [column for column in header[1:] if not column.endswith(_BOUNDS)]
        if header and header[0] in _STEPS and columns and all(_BETWEEN in column for column in columns):
            yield Source("wandb_export", folder / name)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the rows of a run for each name; bounds of a bucket, its least and largest value, are left out.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("e.csv").write_text('"Step","run-1 - loss"\n"1","0.5"\n')
    >>> (batch,) = read(Source("wandb_export", Path("e.csv")), ImportOptions())
    >>> batch.runs.ids.to_list(), batch.rows.step.tolist(), batch.rows.metrics.rows()
    (['run-1'], [1], [(0.5,)])
    """
    table = DelimitedTable(source.path)
    columns: dict[str, dict[str, str]] = {}
    for column in (name for name in table.names[1:] if not name.endswith(_BOUNDS)):
        run, _, metric = column.rpartition(_BETWEEN)
        columns.setdefault(run, {})[naming.metric_name(metric)] = column
    ids = dict(zip(columns, run_ids(pl.DataFrame({"run": list(columns)})), strict=True))
    ordered = sorted(columns, key=ids.__getitem__)
    runs = _runs(source.path, options, {run: ids[run] for run in ordered})
    n_rows, last = 0, None
    for frame in table.frames():
        step = _steps(frame, source.path, n_before=n_rows, last=last)
        n_rows, last = n_rows + frame.height, step[-1] if len(step) else last
        own = [{metric: frame[column] for metric, column in columns[run].items()} for run in ordered]
        yield from (RunRows(runs, rows) for rows in _by_type(own, step))
    yield from remarks_of(source.path, table.remarks)


def _runs(path: Path, options: ImportOptions, ids: Mapping[str, str]) -> Runs:
    place = places.place_of(path, options, kind="wandb_export")
    written = np.full(len(ids), path.stat().st_mtime_ns // 1000)
    return Runs(
        place.project,
        pl.Series("run_id", list(ids.values())),
        pl.Series([f"wandb_export:{place.project}:{run}" for run in ids]),
        str(path.resolve()),
        written,
        written,
        pl.DataFrame([pl.Series(name, [value] * len(ids)) for name, value in place.config.items()]),
    )


def _steps(frame: pl.DataFrame, path: Path, *, n_before: int, last: int | None) -> pl.Series:
    step = frame.to_series(0)
    if not step.dtype.is_integer() or step.null_count():
        raise SourceError(f"{path}: the column {step.name!r} holds no whole numbers")
    falls = (step < step.shift(1, fill_value=last)).fill_null(value=False)
    if falls.any():
        at = int(falls.arg_max() or 0)
        before = step[at - 1] if at else last
        raise SourceError(
            f"{path}: row {n_before + at + 1} has {step.name} {step[at]} after {before}; sort the rows, or export the "
            "chart over its Step"
        )
    return step


def _by_type(metrics: Sequence[Mapping[str, pl.Series]], step: pl.Series) -> Iterator[SampleRows]:
    """Yield the rows of runs, those of values of one type together: a metric may be whole numbers in one run alone."""
    for dtype in dict.fromkeys(column.dtype for of_run in metrics for column in of_run.values()):
        chosen = [{name: c for name, c in of_run.items() if c.dtype == dtype} for of_run in metrics]
        numbers = [number for number, of_run in enumerate(chosen) if of_run]
        together = pl.concat([pl.DataFrame(chosen[number]) for number in numbers], how="diagonal")
        of_rows = np.repeat(np.array(numbers), len(step))
        yield SampleRows(of_rows, np.tile(step.to_numpy(), len(numbers)), together.select(sorted(together.columns)))
