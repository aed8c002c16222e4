"""Any table of curves: CSV, TSV, text, JSON Lines or Parquet; wide, long, or one row a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.importers.readers import curves, many_runs
from tracklake.importers.readers.bytestream import suffix_of
from tracklake.importers.readers.records import ImportOptions, Source, Yielded
from tracklake.importers.readers.run_files import read_run
from tracklake.importers.readers.table_files import SUFFIXES, header_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

PRIORITY = 90


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield the files that have a column of steps and another one, and those of one row a run.

    >>> from pathlib import Path
    >>> _ = Path("curve.csv").write_text("step,loss"), Path("people.csv").write_text("name,age")
    >>> [source.path.name for source in recognise(Path(), ["curve.csv", "people.csv"])]
    ['curve.csv']
    """
    for name in names:
        path = folder / name
        header = header_of(path) if suffix_of(path) in SUFFIXES else []
        has_steps = not set(curves.STEPS).isdisjoint(map(str.lower, header))
        if many_runs.is_own_summary(header):
            continue
        if len(header) > 1 and (has_steps or many_runs.holds_results(header)):
            yield Source("table", path)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the runs: those that a column tells apart, else the one that the file is.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("a.csv").write_text("step,loss\n1,0.5\n")
    >>> list(read(Source("table", Path("a.csv")), ImportOptions()))[1].frame["metric"][0]
    'loss'
    """
    shape = many_runs.shape_of(header_of(source.path), options)
    if shape is None:
        return read_run(source.path, options, kind="table")
    return many_runs.read(source.path, options, shape)
