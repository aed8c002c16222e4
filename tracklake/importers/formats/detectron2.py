"""detectron2: `output/metrics.json`, JSON Lines of one iteration each, its config.yaml beside it."""

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
    """Yield a metrics.json whose first line is an object with an iteration.

    >>> from pathlib import Path
    >>> _ = Path("metrics.json").write_text('{"iteration": 19, "total_loss": 1.5}')
    >>> [source.format for source in recognise(Path(), ["metrics.json"])]
    ['detectron2']
    """
    if "metrics.json" in names and "iteration" in header_of(folder / "metrics.json"):
        yield Source("detectron2", folder / "metrics.json")


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("metrics.json").write_text('{"iteration": 19, "loss": 0.5}\n')
    >>> [type(item).__name__ for item in read(Source("detectron2", Path("metrics.json")), ImportOptions())]
    ['RunRecord', 'Points']
    """
    form = Form(step="iteration", elapsed="")
    return read_run(source.path, options, kind="detectron2", form=form, run=source.path.parent)
