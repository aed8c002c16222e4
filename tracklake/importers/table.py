"""Tables as runs: one row a (run, step), with columns that tell runs apart, their config, the step and the metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common import arguments
from tracklake.common.lazy_numpy import np
from tracklake.common.progress import progress
from tracklake.errors import SourceError
from tracklake.importers import restarts, sources
from tracklake.importers.contents import Rows, Runs, contents
from tracklake.importers.publish import Publication
from tracklake.importers.readers.records import Points, RunRecord, columns
from tracklake.importers.recorded import session_of
from tracklake.schema import naming, run_fields
from tracklake.schema.tables import LAKE_RUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.importers.publish import Imported
    from tracklake.importers.readers.records import Restart
    from tracklake.importers.sources import Table
    from tracklake.storage.table.snapshot_reader import SnapshotReader

    Ints = np.ndarray[Any, np.dtype[np.int64]]


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

    >>> from tracklake.storage.table.snapshot_reader import SnapshotReader
    >>> curves = pl.DataFrame({"seed": [0, 0, 1], "epoch": [1, 2, 1], "err": [0.5, 0.25, 0.75]})
    >>> layout = Layout(["seed"], ["seed"], "epoch", {"val/err": "err"}, "digits")
    >>> import_table(SnapshotReader(example()._storage), curves, layout)
    Imported(runs=2, points=3, partitions=1)
    """
    layout = _checked(layout)
    rows, runs = _arranged(sources.read(source, layout.columns), layout, source)
    publication = Publication(reader)
    total = len(rows.run) * rows.metrics.width
    with progress("importing points", total=total) as advance:
        if publication.recorded.is_free(runs.ids):
            publication.add_contents(contents(rows, runs), advance=advance)
        else:
            _add_run_by_run(publication, rows, runs)
    return publication.commit()


def _add_run_by_run(publication: Publication, rows: Rows, runs: Runs) -> None:
    """Take in runs of which the lake has some already, from this source or another."""
    bounds = np.searchsorted(rows.run, np.arange(len(runs.ids) + 1))
    for i, run_id in enumerate(runs.ids):
        record = RunRecord(
            identity=runs.identities[i],
            run_id=run_id,
            project=runs.project,
            session=runs.origin,
            config=naming.nest((name.split("."), value) for name, value in runs.config.row(i, named=True).items()),
            start=int(runs.start[i]),
            is_timed=False,
        )
        span = slice(int(bounds[i]), int(bounds[i + 1]))
        publication.begin(record, {"imported_from": runs.origin, "source": runs.identities[i]})
        publication.add(Points(record, columns(rows.metrics[span], step=pl.Series(rows.step[span]))))
        publication.end(record)


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


def _arranged(table: pl.DataFrame, layout: Layout, source: Table) -> tuple[Rows, Runs]:
    """Check the table and bring it in order of run and step; of rows that share both the later stands behind."""
    origin = sources.name_of(source)
    if table.is_empty():
        raise SourceError(f"the table {origin} has no rows")
    for name in (*layout.runs, layout.step):
        _refuse(_is_nothing(table[name]), f"has nothing in the column {name!r}, which {_USE[name == layout.step]}")
    steps = _steps(table[layout.step])
    run, steps, ids, firsts = _told_apart(table.select(layout.runs), steps, layout.restart)
    by_id = ids.arg_sort().cast(pl.Int64).to_numpy()
    rank = np.argsort(by_id)[run]
    order = np.lexsort((steps, rank))
    identities = pl.select(pl.format("table:{}:{}", pl.lit(layout.project), pl.lit(ids[by_id]))).to_series()
    runs = Runs(
        project=layout.project,
        ids=ids[by_id],
        session=np.array([session_of(identity, origin) for identity in identities]),
        start=sources.time_of(source) + by_id,  # so that runs keep the order of the table
        config=table.select(layout.config)[firsts[by_id]],
        origin=origin,
        identities=identities,
    )
    _refuse_changing(table.select(layout.config)[order], rank[order], runs.ids)
    metrics = table.select(pl.col(column).alias(name) for name, column in layout.metrics.items())
    return Rows(rank[order], steps[order], metrics[order]), runs


def _told_apart(columns: pl.DataFrame, steps: Ints, restart: Restart | None) -> tuple[Ints, Ints, pl.Series, Ints]:
    """Return the run and the step of each row, and the id and the first row of each run."""
    run, firsts = _numbered(columns)
    ids = run_ids(columns[firsts])
    run, steps, begun = restarts.resolved(run, steps, restart, describe=lambda row: repr(ids[int(run[row])]))
    if len(begun) == len(ids):
        return run, steps, ids, firsts
    _, firsts = np.unique(run, return_index=True)
    base = ids[np.cumsum(begun == 0) - 1]
    names = [f"{run_id}-restart{n}" if n else run_id for run_id, n in zip(base, begun.tolist(), strict=True)]
    named = [name if len(name) <= run_fields.LONGEST_RUN_ID else _fit(name, name) for name in names]
    return run, steps, pl.Series("run_id", named), firsts.astype(np.int64)


_USE = {False: "tells runs apart", True: "is the step"}


def _is_nothing(column: pl.Series) -> pl.Series:
    return column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()


def _refuse(wrong: pl.Series, why: str) -> None:
    """Raise the error that names the first row that is wrong."""
    if wrong.any():
        more = f" (and {wrong.sum() - 1:,} more)" if wrong.sum() > 1 else ""
        raise SourceError(f"row {wrong.arg_max() + 1:,} of the table{more} {why}; nothing was imported")  # type: ignore[operator]


def _steps(column: pl.Series) -> Ints:
    """Return whole numbers as int64, or refuse the row that has another."""
    if not column.dtype.is_numeric():
        raise SourceError(f"the step column {column.name!r} holds {column.dtype}; a step is a whole number")
    steps = column.cast(pl.Int64, strict=False)
    wrong = steps.is_null() | (steps.cast(column.dtype, strict=False) != column)
    example = column.filter(wrong).head(1).to_list()
    _refuse(wrong, f"has a step that is no 64-bit whole number, {example} in {column.name!r}")
    return steps.to_numpy()


def _numbered(columns: pl.DataFrame) -> tuple[Ints, Ints]:
    """Number the runs in order of their first row: the run of each row, and the first row of each run."""
    for column in columns:
        if column.dtype.is_nested() or column.dtype == pl.Object:
            raise SourceError(f"the run column {column.name!r} holds {column.dtype}; accepted are numbers, text, dates")
    named = pl.DataFrame([column.alias(f"column {i}") for i, column in enumerate(columns)])
    firsts = named.with_row_index("row").group_by(named.columns, maintain_order=True).first()
    numbers = firsts.drop("row").with_row_index("run")
    run = named.join(numbers, on=named.columns, how="left", maintain_order="left")["run"]
    return run.cast(pl.Int64).to_numpy(), firsts["row"].cast(pl.Int64).to_numpy()


def _refuse_changing(config: pl.DataFrame, run: Ints, run_ids: pl.Series) -> None:
    """Raise the error that names a run whose config is not the same in all of its rows."""
    same_run = pl.Series(run[1:] == run[:-1])
    for column in config:
        changed = column.slice(1).ne_missing(column.head(-1)) & same_run
        if changed.any():
            at = int(changed.arg_max() or 0)
            raise SourceError(
                f"the config column {column.name!r} changes within the run {run_ids[int(run[at])]!r}: "
                f"{column[at]!r} and {column[at + 1]!r}; name it in run_columns if it tells runs apart, in metrics if "
                "it is measured; nothing was imported"
            )


_UNFIT = r"[/\\\p{Cc}\p{Zl}\p{Zp}]"
_DIGITS = 10


def run_ids(runs: pl.DataFrame) -> pl.Series:
    """Return one readable id for each row of distinct values: the value itself, or `column=value,column=value`.

    What an id cannot hold becomes "_". Such ids, those that are too long, and those that differ from others in case
    only end in ten hex digits of a hash of the values.

    >>> run_ids(pl.DataFrame({"lr": [0.1, 0.2], "seed": [1, 1]})).to_list()
    ['lr=0.1,seed=1', 'lr=0.2,seed=1']
    """
    texts = runs.select(pl.all().cast(pl.String))
    named = [pl.lit(f"{name}=") + pl.col(name) for name in texts.columns] if texts.width > 1 else [pl.all()]
    ids = texts.select(pl.concat_str(named, separator=",").alias("run_id"))["run_id"]
    unfit = _unfit(ids).arg_true()
    if unfit.is_empty():
        return ids
    rows = zip(ids[unfit], texts[unfit].rows(), strict=True)
    return ids.scatter(unfit, [_fit(text, repr(row)) for text, row in rows])


def _unfit(ids: pl.Series) -> pl.Series:
    """Mark the ids that fields.check_run_id would refuse, and those that are the same without case."""
    folded = pl.Series([run_id.casefold() for run_id in ids])
    wrong = ids.str.contains(_UNFIT) | ids.str.contains(r"^(\.|\s|$)|\s$")
    return wrong | (folded == LAKE_RUN) | folded.is_duplicated() | (ids.str.len_chars() > run_fields.LONGEST_RUN_ID)


def _fit(text: str, values: str) -> str:
    clean = pl.Series([text]).str.replace_all(_UNFIT, "_")[0].strip().lstrip(".")
    digest = hashlib.sha256(values.encode()).hexdigest()[:_DIGITS]
    return f"{clean[: run_fields.LONGEST_RUN_ID - _DIGITS - 1].strip()}-{digest}"
