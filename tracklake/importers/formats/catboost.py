"""CatBoost: `catboost_info/`, whose files hold one run together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import SourceError
from tracklake.importers.readers import config_files, curves, places
from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.delimited import DelimitedTable
from tracklake.importers.readers.records import Remark, RunRecord, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Yielded

PRIORITY = 30
_ERRORS = {"learn_error.tsv": "learn", "test_error.tsv": "test"}
_REST = ("time_left.tsv", "catboost_training.json")


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield a folder that has the errors of learning.

    >>> from pathlib import Path
    >>> [source.path.name for source in recognise(Path("catboost_info"), ["learn_error.tsv", "time_left.tsv"])]
    ['catboost_info']
    """
    if "learn_error.tsv" in names:
        own = [folder / name for name in (*_ERRORS, *_REST) if name in names]
        events = [file for part in _ERRORS.values() for file in sorted((folder / part).glob("*tfevents*"))]
        yield Source("catboost", folder, (*own, *events))  # the event files say the same again, as float32


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run: `learn/<metric>` and `test/<metric>` by iteration, as long after its start as time_left says.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("learn_error.tsv").write_text("iter\tLogloss\n0\t0.5\n")
    >>> source = Source("catboost", Path(), (Path("learn_error.tsv"),))
    >>> list(read(source, ImportOptions()))[1].frame["metric"][0]
    'learn/Logloss'
    """
    files = {path.name: path for path in source.files}
    record = places.record_at(source.path, options, kind="catboost", file=files["learn_error.tsv"])
    passed = _passed(files)
    end = max(path.stat().st_mtime_ns for path in files.values()) // 1000
    record.is_timed = passed is not None and passed.height > 0
    longest = passed["passed"].max() if passed is not None else None
    record.start = end - int(longest * 1000) if isinstance(longest, int | float) else end
    if "catboost_training.json" in files:
        try:
            record.config = {**_meta(files["catboost_training.json"]), **record.config}
        except SourceError as error:
            yield Remark(files["catboost_training.json"], str(error), is_loss=True)
    tables = [
        (_Errors(files[name], passed), _form(prefix, record)) for name, prefix in _ERRORS.items() if name in files
    ]
    yield from curves.points_of_tables(tables, record, options)


def _form(prefix: str, record: RunRecord) -> Form:
    """Return how a table of errors is written: its first column is the iteration, the others are metrics."""
    timed = {"elapsed": "passed", "origin": (record.start or 0) / 1e6} if record.is_timed else {"elapsed": ""}
    leave_out = ("iter", "passed")
    return Form(step="iter", clock="", elapsed_unit=1e3, leave_out=leave_out, rename=f"{prefix}/{{}}".format, **timed)


class _Errors:
    """A table of errors, beside each iteration the milliseconds that had passed."""

    def __init__(self, path: Path, passed: pl.DataFrame | None) -> None:
        self.path = path
        self._table = DelimitedTable(path)
        self._passed = passed
        self.remarks = self._table.remarks

    def frames(self) -> Iterator[pl.DataFrame]:
        for frame in self._table.frames():
            if frame.width < 2 or not frame.to_series(0).dtype.is_integer():  # noqa: PLR2004 - iteration and metric
                raise SourceError(f"{self.path}: its first column is no iteration")
            errors = frame.rename({frame.columns[0]: "iter"})
            yield (
                errors
                if self._passed is None
                else errors.join(self._passed, on="iter", how="left", maintain_order="left")
            )


def _passed(files: dict[str, Path]) -> pl.DataFrame | None:
    """Return the milliseconds that had passed at each iteration."""
    if "time_left.tsv" not in files:
        return None
    frames = [f for f in DelimitedTable(files["time_left.tsv"]).frames() if f.height and f.width > 1]
    if not frames or not all(f.to_series(0).dtype.is_integer() and f.to_series(1).dtype.is_numeric() for f in frames):
        return None
    times = pl.concat([f.select(pl.nth(0).alias("iter"), pl.nth(1).cast(pl.Float64).alias("passed")) for f in frames])
    return times.unique("iter", keep="last", maintain_order=True)


def _meta(path: Path) -> dict[str, Any]:
    meta = config_files.read_config(path).get("meta")
    return {k: v for k, v in meta.items() if isinstance(v, str | int | float)} if isinstance(meta, dict) else {}
