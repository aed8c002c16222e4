"""A file of curves as one run: its place, the config beside it, its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import interrupts
from tracklake.errors import SourceError
from tracklake.importers.readers import config_files, curves, places, table_files
from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.records import Remark, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tracklake.importers.readers.curves import Table
    from tracklake.importers.readers.records import ImportOptions, Yielded


def read_run(
    file: Path,
    options: ImportOptions,
    *,
    kind: str,
    form: Form = Form(),  # noqa: B008 - frozen
    run: Path | None = None,
    table: Table | None = None,
) -> Iterator[Yielded]:
    r"""Yield the one run that a file of curves holds; `run` is the folder or file that stands for it.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("a.csv").write_text("epoch,loss\n1,0.5\n"), Path("args.yaml").write_text("lr: 0.1")
    >>> record, _ = read_run(Path("a.csv"), ImportOptions(), kind="yolo")
    >>> record.config
    {'lr': 0.1}
    """
    record = places.record_at(run or file, options, kind=kind, file=file)
    yield from with_config(record, [file.parent, *([run] if run is not None and run.is_dir() else [])])
    yield from curves.points(table or table_files.open_table(file), record, options, form)


def with_config(record: RunRecord, folders: Iterable[Path]) -> Iterator[Remark]:
    """Give a record the config that lies in the first of the folders that has one; yield a remark if it is unreadable.

    >>> from pathlib import Path
    >>> _ = Path("config.json").write_text("[")
    >>> [remark.is_loss for remark in with_config(RunRecord("x:1", run_id="1"), [Path()])]
    [True]
    """
    for folder in folders:
        path = config_files.find_beside(folder)
        if path is not None:
            try:
                record.config = {**config_files.read_config(path), **record.config}
            except (SourceError, OSError) as error:
                interrupts.let_through(error)
                yield Remark(path, str(error), is_loss=True)
            return
