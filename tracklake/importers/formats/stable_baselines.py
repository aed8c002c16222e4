"""stable-baselines3: the episodes of `monitor.csv`, and `progress.csv` of its logger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.importers.readers.bytestream import head
from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.delimited import DelimitedTable
from tracklake.importers.readers.records import ImportOptions, RunRecord, Source, Yielded
from tracklake.importers.readers.run_files import read_run
from tracklake.importers.readers.table_files import header_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

PRIORITY = 40
_TIMESTEPS = "time/total_timesteps"


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    r"""Yield files that begin as Monitor's do, and a progress.csv that counts timesteps.

    >>> from pathlib import Path
    >>> _ = Path("0.monitor.csv").write_text('#{"t_start": 1.5, "env_id": "CartPole-v1"}\nr,l,t\n')
    >>> [source.path.name for source in recognise(Path(), ["0.monitor.csv"])]
    ['0.monitor.csv']
    """
    for name in names:
        path = folder / name
        if name.endswith("monitor.csv") and head(path, 2) == b"#{":
            yield Source("stable_baselines", path)
        if name == "progress.csv" and _TIMESTEPS in header_of(path):
            yield Source("stable_baselines", path)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run: of a monitor a row an episode, `t` seconds after its `t_start`.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("a.monitor.csv").write_text('#{"t_start": 1e9, "env_id": "CartPole-v1"}\nr,l,t\n17,17,0.5\n')
    >>> next(read(Source("stable_baselines", Path("a.monitor.csv")), ImportOptions())).config
    {'env_id': 'CartPole-v1'}
    """
    if source.path.name == "progress.csv":
        return read_run(source.path, options, kind="sb3", form=Form(step=_TIMESTEPS, elapsed="time/time_elapsed"))
    return _monitor(source.path, options)


def _monitor(path: Path, options: ImportOptions) -> Iterator[Yielded]:
    table = DelimitedTable(path)
    properties: dict[str, Any] = table.dialect.properties
    start = properties.pop("t_start", None)
    form = Form(step="", elapsed="t", origin=start if isinstance(start, float | int) else None)
    for item in read_run(path, options, kind="sb3", form=form, table=table):
        if isinstance(item, RunRecord):
            item.config = {**properties, **item.config}
        yield item
