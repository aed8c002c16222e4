"""Ray Tune and RLlib: a trial's folder with `result.json` or `progress.csv`, its params.json beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import interrupts
from tracklake.errors import SourceError
from tracklake.importers.readers import config_files, curves, places, table_files
from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.json_lines import JsonLinesTable
from tracklake.importers.readers.records import ImportOptions, Remark, Source, Yielded
from tracklake.importers.readers.table_files import header_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

PRIORITY = 15
_STEP = "training_iteration"
_EVENTS = "events.out.tfevents."
"""Files for TensorBoard that Ray writes beside: the same numbers, as float32."""
_ABOUT_THE_TRIAL = {"trial_id", "experiment_id", "date", "hostname", "node_ip", "pid"}


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield a folder whose result.json, else progress.csv, counts training iterations.

    >>> from pathlib import Path
    >>> _ = Path("result.json").write_text('{"training_iteration": 1, "loss": 0.5}')
    >>> [source.path.name for source in recognise(Path(), ["result.json", "params.json"])]
    ['result.json']
    """
    for name in ("result.json", "progress.csv"):
        if name in names and _STEP in header_of(folder / name):
            own = ("result.json", "progress.csv", "params.json")
            beside = [other for other in names if other in own or other.startswith(_EVENTS)]
            yield Source("ray_tune", folder / name, tuple(folder / other for other in beside))
            return


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the trial, nested results with "/" between their parts as Ray has them, without the config they repeat.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("result.json").write_text('{"training_iteration": 1, "env": {"reward": 0.5}}\n')
    >>> list(read(Source("ray_tune", Path("result.json")), ImportOptions()))[1].frame["metric"][0]
    'env/reward'
    """
    path = source.path
    record = places.record_at(path.parent, options, kind="ray", file=path)
    params = path.parent / "params.json"
    if params in source.files:
        try:
            record.config = {**config_files.read_config(params), **record.config}
        except (SourceError, OSError) as error:
            interrupts.let_through(error)
            yield Remark(params, str(error), is_loss=True)
    table = JsonLinesTable(path, separator="/") if path.suffix == ".json" else table_files.open_table(path)
    form = Form(step=_STEP, clock="timestamp" if "timestamp" in header_of(path) else None, rename=_metric)
    yield from curves.points(table, record, options, form)


def _metric(name: str) -> str:
    return "" if name.startswith("config/") or name in _ABOUT_THE_TRIAL else name
