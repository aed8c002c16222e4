"""DVCLive: `dvclive/` with a table a metric under plots/metrics, metrics.json and params.yaml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracklake.errors import SourceError
from tracklake.importers.readers import config_files, curves, json_lines, places
from tracklake.importers.readers.delimited import DelimitedTable
from tracklake.importers.readers.records import Remark, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Yielded

PRIORITY = 30
_TABLES = ("plots/metrics", "scalars")
"""Where the tables lie: now, and up to 1.0."""


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield a folder that has tables of metrics, or is called dvclive and has metrics.json.

    >>> from pathlib import Path
    >>> Path("dvclive/plots/metrics").mkdir(parents=True)
    >>> [source.path.name for source in recognise(Path("dvclive"), ["metrics.json"])]
    ['dvclive']
    """
    has_metrics = "metrics.json" in names
    if any((folder / part).is_dir() for part in _TABLES) or (folder.name == "dvclive" and has_metrics):
        own = (folder / name for name in ("metrics.json", "params.yaml", "dvc.yaml") if name in names)
        yield Source("dvclive", folder, (*own, *_tables(folder)))


def _tables(folder: Path) -> list[Path]:
    return sorted(path for part in _TABLES for path in (folder / part).rglob("*.tsv"))


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run: a metric's name is the path of its table.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> Path("exp/dvclive/plots/metrics").mkdir(parents=True)
    >>> _ = Path("exp/dvclive/plots/metrics/loss.tsv").write_text("step\tloss\n0\t0.5\n")
    >>> (source,) = recognise(Path("exp/dvclive"), [])
    >>> next(read(source, ImportOptions())).run_id
    'exp'
    """
    folder = source.path
    record = places.record_at(folder, options, kind="dvclive")
    record.start, record.is_timed = folder.stat().st_mtime_ns // 1000, False
    try:
        summary = json.loads((folder / "metrics.json").read_bytes()) if (folder / "metrics.json").is_file() else {}
        config = config_files.read_config(folder / "params.yaml") if (folder / "params.yaml").is_file() else {}
    except (ValueError, SourceError, RecursionError) as error:
        yield Remark(folder, str(error), is_loss=True)
        summary, config = {}, {}
    tables = [path for path in source.files if path.suffix == ".tsv"]
    metrics = {_name(folder, path): path for path in tables}
    flat = dict(json_lines.flattened(summary if isinstance(summary, dict) else {}, "/"))
    record.summary = {key: value for key, value in flat.items() if key != "step" and key not in metrics}
    record.config = {**config, **record.config}
    forms = [curves.Form(step="step", elapsed="", clock="", rename=_renaming(folder, path)) for path in tables]
    own = [(DelimitedTable(path), form) for path, form in zip(tables, forms, strict=True)]
    yield from curves.points_of_tables(own, record, options)


def _renaming(folder: Path, path: Path) -> Callable[[str], str]:
    """Return the name of a table's metric, which is the last part of its path; other columns are left out."""
    return lambda column: _name(folder, path) if column == path.stem else ""


def _name(folder: Path, path: Path) -> str:
    part = next(part for part in _TABLES if path.is_relative_to(folder / part))
    return path.relative_to(folder / part).with_suffix("").as_posix()
