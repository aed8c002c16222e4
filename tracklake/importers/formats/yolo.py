"""Ultralytics YOLO: `runs/detect/train/results.csv`, its args.yaml beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.records import ImportOptions, Source, Yielded
from tracklake.importers.readers.run_files import read_run
from tracklake.importers.readers.table_files import header_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

PRIORITY = 40


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield a results.csv that has an epoch and losses of training.

    >>> from pathlib import Path
    >>> _ = Path("results.csv").write_text("   epoch,   train/box_loss")
    >>> [source.format for source in recognise(Path(), ["results.csv"])]
    ['yolo']
    """
    if "results.csv" in names:
        header = header_of(folder / "results.csv")
        if "epoch" in header and any(name.startswith("train/") for name in header):
            yield Source("yolo", folder / "results.csv", tuple(_files(folder, names)))


def _files(folder: Path, names: Collection[str]) -> Iterator[Path]:
    yield folder / "results.csv"
    if "args.yaml" in names:
        yield folder / "args.yaml"


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run, which its folder stands for; `time` is seconds since the start.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("results.csv").write_text("  epoch,  train/box_loss\n  1,  0.5\n")
    >>> [type(item).__name__ for item in read(Source("yolo", Path("results.csv")), ImportOptions())]
    ['RunRecord', 'Points']
    """
    elapsed = "time" if "time" in header_of(source.path) else ""
    form = Form(step="epoch", elapsed=elapsed)
    return read_run(source.path, options, kind="yolo", form=form, run=source.path.parent)
