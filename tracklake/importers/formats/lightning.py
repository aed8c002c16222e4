"""PyTorch Lightning's CSVLogger: `lightning_logs/version_0/metrics.csv`, its hparams.yaml beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.importers.readers.records import ImportOptions, Source, Yielded
from tracklake.importers.readers.run_files import read_run
from tracklake.importers.readers.table_files import header_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

PRIORITY = 40


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield the metrics.csv of a folder `version_N`, or of one with hparams.yaml.

    >>> from pathlib import Path
    >>> list(recognise(Path("version_0"), []))
    []
    """
    is_version = folder.name.startswith("version_") or "hparams.yaml" in names
    if "metrics.csv" in names and is_version and "step" in header_of(folder / "metrics.csv"):
        yield Source("lightning", folder / "metrics.csv")


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("metrics.csv").write_text("epoch,step,loss\n0,49,0.5\n")
    >>> [type(item).__name__ for item in read(Source("lightning", Path("metrics.csv")), ImportOptions())]
    ['RunRecord', 'Points']
    """
    return read_run(source.path, options, kind="lightning")
