"""The CSV of W&B's export button: a column `run - metric` for each run, beside those of its least and largest value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.errors import SourceError
from tracklake.importers.readers import places, records
from tracklake.importers.readers.delimited import DelimitedTable
from tracklake.importers.readers.records import ImportOptions, Points, RunRecord, Source, Yielded
from tracklake.importers.readers.table_files import header_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
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
    r"""Yield a run for each name; the least and largest value of a bucket are left out, as they are no points.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("e.csv").write_text('"Step","run-1 - loss"\n"1","0.5"\n')
    >>> next(read(Source("wandb_export", Path("e.csv")), ImportOptions())).run_id
    'run-1'
    """
    table = DelimitedTable(source.path)
    place = places.place_of(source.path, options, kind="wandb_export")
    runs: dict[str, RunRecord] = {}
    start = source.path.stat().st_mtime_ns // 1000
    frames = list(table.frames())
    for column in (name for name in table.names[1:] if not name.endswith(_BOUNDS)):
        run = column.rpartition(_BETWEEN)[0]
        if run not in runs:
            runs[run] = RunRecord(
                f"wandb_export:{place.project}:{run}",
                run_id=run,
                project=place.project,
                session=str(source.path.absolute()),
                start=start,
                is_timed=False,
            )
    for run, record in runs.items():
        yield record
        for frame in frames:
            step = frame.to_series(0)
            if not step.dtype.is_integer():
                raise SourceError(f"{source.path}: the column {step.name!r} holds no whole numbers")
            own = {c.rpartition(_BETWEEN)[2]: frame[c] for c in table.names[1:] if c.rpartition(_BETWEEN)[0] == run}
            metrics = {name: values for name, values in own.items() if not name.endswith(_BOUNDS)}
            yield Points(record, records.columns(metrics, step=step))
