"""Export: what a lake holds as plain files, for tools that know nothing of a lake."""

from __future__ import annotations

import json
import math
import re
import secrets
import shutil
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tracklake.compute import typed_columns
from tracklake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from tracklake.lake.recorded_run import RecordedRun

Form = Literal["parquet", "csv", "jsonl"]


def write_tables(
    folder: Path,
    *,
    runs: pl.DataFrame,
    summaries: pl.DataFrame,
    points: pl.LazyFrame,
    form: Form,
    escape_formulas: bool = True,
) -> list[Path]:
    """Write runs, summaries and history into a new folder, and return the files; points are streamed.

    With `escape_formulas` a text of CSV that a spreadsheet would run gets an apostrophe.

    >>> from pathlib import Path
    >>> lake = example()
    >>> runs, points = lake.runs(columns=["state"]), lake._view.series.scan(["loss"])
    >>> files = write_tables(Path("out"), runs=runs, summaries=lake.summaries("loss"), points=points, form="csv")
    >>> files[1].read_text().splitlines()
    ['run_id,state', 'slow,finished', 'fast,finished']
    """

    def write(into: Path) -> None:
        _write(runs.lazy(), into / f"runs.{form}", form, escape_formulas=escape_formulas)
        _write(summaries.lazy(), into / f"summaries.{form}", form, escape_formulas=escape_formulas)
        _write(_with_text(points), into / f"history.{form}", form, escape_formulas=escape_formulas)

    return publish(folder, write)


def write_run(folder: Path, *, run: RecordedRun, form: Form, escape_formulas: bool = True) -> list[Path]:
    """Write one run into a new folder: its rows as history, all else as run.json. Returns the files.

    LakeError if the folder is there and not empty.

    >>> from pathlib import Path
    >>> [file.name for file in write_run(Path("out"), run=example().run("fast"), form="csv")]
    ['history.csv', 'run.json']
    """

    def write(into: Path) -> None:
        (into / "run.json").write_text(json.dumps(described(run), indent=2, ensure_ascii=False), encoding="utf-8")
        _write(run.history().lazy(), into / f"history.{form}", form, escape_formulas=escape_formulas)

    return publish(folder, write)


def described(run: RecordedRun) -> dict[str, Any]:
    """Return what is known of a run but its history, as JSON can say it: numbers that are not finite are texts.

    >>> described(example().run("fast"))["summary"]["loss"]
    0.75
    """
    facts = {name: fact for name, fact in run.facts.items() if fact is not None}
    facts["created_at"] = facts["created_at"].isoformat()
    facts_of_run = {
        "run_id": run.id,
        **facts,
        "config": run.config,
        "summary": run.summary._json_dict,  # noqa: SLF001 - W&B's own name
        "metrics": run.metrics,
    }
    plain: dict[str, Any] = _finite(facts_of_run)
    return plain


def spelled(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return a frame as JSON can hold it: beside numbers that are not finite, which JSON has as null, what they are.

    It stands in `<column>.text`, as a mixed column of the runs has its texts, so that numbers stay numbers.

    >>> spelled(pl.LazyFrame({"loss": [0.5, math.inf, None]})).collect().rows()
    [(0.5, None), (inf, 'Infinity'), (None, None)]
    """
    schema = frame.collect_schema()
    floats = [name for name, dtype in schema.items() if dtype.is_float()]
    special = frame.select((~pl.col(floats).is_finite()).any()).collect() if floats else pl.DataFrame()
    columns: list[pl.Expr] = []
    for name in schema:
        columns.append(pl.col(name))
        if name in special.columns and special[name].item():
            columns.append(_in_words(name, schema))
    return frame.select(columns)


def _in_words(name: str, used_names: Collection[str]) -> pl.Expr:
    number = pl.col(name)
    infinite = pl.when(number > 0).then(pl.lit("Infinity")).otherwise(pl.lit("-Infinity"))
    words = pl.when(number.is_nan()).then(pl.lit("NaN")).when(number.is_infinite()).then(infinite)
    return words.alias(typed_columns.text_name(name, used_names))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def publish(folder: Path, write: Callable[[Path], None]) -> list[Path]:
    """Let `write` fill a folder that appears whole or not at all, and return what it holds.

    LakeError if the folder is there and not empty.

    >>> from pathlib import Path
    >>> [path.name for path in publish(Path("out"), lambda folder: (folder / "a.txt").touch())]
    ['a.txt']
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LakeError(f"{folder} is there already and not empty: give a new folder to export into")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        partial.mkdir(parents=True)
        write(partial)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(folder.iterdir())


def _write(frame: pl.LazyFrame, path: Path, form: Form, *, escape_formulas: bool) -> None:
    with path.open("wb") as file:  # polars takes no path that cannot be decoded
        if form == "parquet":
            frame.sink_parquet(file)
        elif form == "jsonl":
            spelled(frame).sink_ndjson(file)
        else:
            lists = [name for name, dtype in frame.collect_schema().items() if dtype == pl.List]
            flat = frame.with_columns(pl.col(lists).cast(pl.List(pl.String)).list.join(","))
            (without_formulas(flat) if escape_formulas else flat).sink_csv(file)


_FORMULA = r"^[=+\-@\t\r]"
"""How a cell begins that a spreadsheet takes for a formula."""


def without_formulas(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Put an apostrophe before texts, and names of columns, that a spreadsheet would run as a formula.

    >>> without_formulas(pl.LazyFrame({"note": ["=1+1", "fine"], "@x": [1, 2]})).collect().rows(named=True)[0]
    {'note': "'=1+1", "'@x": 1}
    """
    schema = frame.collect_schema()
    texts = pl.col([name for name, dtype in schema.items() if dtype in (pl.String, pl.Categorical)]).cast(pl.String)
    escaped = frame.with_columns(pl.when(texts.str.contains(_FORMULA)).then("'" + texts).otherwise(texts).name.keep())
    return escaped.rename({name: f"'{name}" for name in schema if re.match(_FORMULA, name)})


def _with_text(points: pl.LazyFrame) -> pl.LazyFrame:
    """Return run_id, metric, step, time, value, text of points with their stored columns."""
    return points.select("run_id", "metric", "step", "time", "value", typed_columns.in_words())
