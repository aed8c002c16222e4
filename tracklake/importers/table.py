"""Tables as runs: one row a (run, step), with columns that tell runs apart, their config, the step and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import arguments
from tracklake.common.progress import progress
from tracklake.errors import SourceError
from tracklake.importers import sources
from tracklake.importers.publish import Publication
from tracklake.importers.readers.records import RunRows
from tracklake.importers.readers.run_rows import RunTable
from tracklake.importers.readers.run_survey import RunColumns, Survey
from tracklake.schema import naming, run_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.importers.publish import Imported
    from tracklake.importers.readers.records import Restart
    from tracklake.importers.sources import Table
    from tracklake.storage.table.snapshot_reader import SnapshotReader


_RESERVED = ("_step", "_runtime")


class Layout(NamedTuple):
    """What the columns of a table are: those that tell runs apart, config, the step, and the metrics by name."""

    runs: Sequence[str]
    config: Sequence[str]
    step: str
    metrics: Mapping[str, str]
    project: str
    restart: Restart | None = None

    @property
    def columns(self) -> list[str]:
        """Every column that is read, once.

        >>> Layout(["seed"], ["seed", "lr"], "epoch", {"val/loss": "loss"}, "digits").columns
        ['seed', 'lr', 'epoch', 'loss']
        """
        return list(dict.fromkeys([*self.runs, *self.config, self.step, *self.metrics.values()]))


def import_table(reader: SnapshotReader, source: Table, layout: Layout) -> Imported:
    """Bring a table into the lake; `Lake.import_table` tells what it means.

    >>> import polars as pl
    >>> from tracklake.storage.table.snapshot_reader import SnapshotReader
    >>> curves = pl.DataFrame({"seed": [0, 0, 1], "epoch": [1, 2, 1], "err": [0.5, 0.25, 0.75]})
    >>> layout = Layout(["seed"], ["seed"], "epoch", {"val/err": "err"}, "digits")
    >>> import_table(SnapshotReader(example()._storage), curves, layout)
    Imported(runs=2, points=3, partitions=1)
    """
    layout = _checked(layout)
    frames = sources.frames(source, layout.columns)
    columns = RunColumns(layout.runs, layout.step, config=layout.config, is_config=True)
    survey = Survey(columns, layout.restart)
    for frame in frames:
        survey.add(frame)
    if not survey.placing.n_rows:
        raise SourceError(f"the table {sources.name_of(source)} has no rows")
    origin, written = sources.name_of(source), sources.time_of(source)
    table = RunTable(survey, layout.restart, project=layout.project, origin=origin, written=written)
    publication = Publication(reader)
    try:
        with progress("importing points", total=survey.placing.n_rows * len(layout.metrics)) as advance:
            for frame in frames:
                publication.add_rows(RunRows(table.runs, table.rows(frame, layout.metrics)), {"imported_from": origin})
                advance(frame.height * len(layout.metrics))
        return publication.commit()
    finally:
        publication.discard()  # of what is committed nothing is left to discard


def _checked(layout: Layout) -> Layout:
    """Refuse what no table could satisfy; the metrics come back under their one name, sorted by it."""
    for what, value in (("run_columns", layout.runs), ("metrics", layout.metrics)):
        if isinstance(value, str) or not value:
            raise SourceError(f"{what}={value!r}; say run_columns=['model', 'seed'], metrics={{'val/loss': 'loss'}}")
    arguments.text("step", layout.step, takes="the name of a column")
    spelled = [*layout.metrics, *layout.metrics.values()] if isinstance(layout.metrics, Mapping) else [None]
    if not all(isinstance(name, str) for name in spelled):
        raise arguments.refused("metrics", "a mapping of names to columns, {'val/loss': 'loss'}", layout.metrics)
    names = [naming.metric_name(name) for name in layout.metrics]
    if not all(names) or len(set(names)) < len(names) or set(names) & set(_RESERVED):
        raise SourceError(f"metrics name {names}; names differ, are not empty, and not one of {', '.join(_RESERVED)}")
    run_fields.check_project(layout.project)
    return layout._replace(metrics=dict(sorted(zip(names, layout.metrics.values(), strict=True))))
