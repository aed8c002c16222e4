"""Keras' CSVLogger: `training.log`, one row an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.importers.readers.bytestream import suffix_of
from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.records import ImportOptions, Source, Yielded
from tracklake.importers.readers.run_files import read_run
from tracklake.importers.readers.table_files import header_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

PRIORITY = 50


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    r"""Yield files that end in .log and hold a table whose first column is the epoch.

    >>> from pathlib import Path
    >>> _ = Path("training.log").write_text("epoch,accuracy,loss\n0,0.5,0.7\n")
    >>> [source.path.name for source in recognise(Path(), ["training.log"])]
    ['training.log']
    """
    for name in names:
        path = folder / name
        header = header_of(path) if suffix_of(path) == ".log" else []
        if len(header) > 1 and header[0] == "epoch":
            yield Source("keras", path)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("training.log").write_text("epoch,loss\n0,0.5\n")
    >>> [type(item).__name__ for item in read(Source("keras", Path("training.log")), ImportOptions())]
    ['RunRecord', 'Points']
    """
    return read_run(source.path, options, kind="keras", form=Form(step="epoch"))
