"""A lake's views as tables of a Spark session: runs, summaries and more, and history over the lake's Parquet."""

from __future__ import annotations

import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.compute.points import PSEUDO
from tracklake.query import derived_snapshot
from tracklake.query.project_snapshot import of_project
from tracklake.query.run_table import RunTable
from tracklake.query.summaries import Summaries
from tracklake.schema.tables import POINTS
from tracklake.sql import engine, views
from tracklake.storage import layout
from tracklake.storage.table.snapshot_reader import SnapshotReader
from tracklake.storage.table.verified_files import verified

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition

SMALL = ("runs", "summaries", "config", "definitions", "sessions")
"""The views that this process computes, and sends to Spark."""
_TYPES = {"project": "string", "run_id": "string", "metric": "string", "session": "bigint", "step": "bigint",
          "ts": "timestamp", "value": "double", "ival": "bigint", "text": "string", "kind": "tinyint"}  # fmt: skip
_BATCH = 65_536
_HISTORY = """
    SELECT points.run_id, own.project, metric, step,
        CASE WHEN untimed.session IS NULL THEN ts END AS time,
        CASE WHEN NOT isnan(value) THEN value END AS value,
        CASE WHEN kind = 2 THEN if(ival = 1, 'true', 'false') ELSE text END AS text,
        isnan(value) AS is_nan
    FROM {points} AS points
        JOIN {runs} AS own ON own.run_id = points.run_id
        LEFT JOIN {untimed} AS untimed ON untimed.session = points.session
"""


def register(
    session: Any,
    place: os.PathLike[str] | str,
    *,
    storage_options: Mapping[str, str] | None = None,
    project: str | None = None,
) -> None:
    """Make the views of a lake as it is now temporary views of a Spark session, under the names that `lake.sql` has.

    `history` and `points` are read by Spark from the lake's Parquet files: of a folder by Spark's own reader, of an
    object store by tasks that open the lake at its URL. Definitions, edits, rewinds and deleted runs are respected:
    series of which not every stored point counts, derived ones and what is not sealed are computed here and sent.
    Pseudo series (`_step`, ...) are in summaries alone. Call it again to see what is new. Raises LakeError as `open`.
    """
    storage = layout.open_existing(layout.root_of(place), options=storage_options)
    reader = SnapshotReader(storage)
    logged = reader.snapshot()
    chosen = logged if project is None else of_project(logged, project)
    table = RunTable(Summaries(derived_snapshot.over(chosen)))
    with engine.connect(table, unsafe=False) as connection:
        for name in SMALL:
            rows = connection.sql(f"SELECT * FROM {name}").pl()  # noqa: S608 - a name of the module
            _frame(session, rows).createOrReplaceTempView(name)
    stored = _stored(session, storage, list(logged.version.partitions.values()))
    apart = views.apart_from_stored(table)
    live = _frame(session, table.snapshot.logged.live_points)
    runs = _frame(session, table.summaries.runs.select("run_id", "project"))
    logged_points = stored.unionByName(live)
    columns = [name for name in POINTS if name != "project"]
    own = logged_points.drop("project").join(runs, "run_id").select("project", *columns)
    own.createOrReplaceTempView("points")
    clean = logged_points.join(_frame(session, apart.series), ["run_id", "metric"], "left_anti")
    counting = clean.where(~clean.metric.isin(*PSEUDO)).unionByName(_frame(session, apart.points))
    untimed = _frame(session, pl.DataFrame({"session": table.snapshot.untimed}, schema={"session": pl.Int64}))
    history = session.sql(_HISTORY, points=counting, runs=runs, untimed=untimed)
    history.createOrReplaceTempView("history")


def _stored(session: Any, storage: Storage, partitions: list[Partition]) -> Any:
    """Return the stored points as a frame of Spark."""
    schema = ", ".join(f"{name} {_TYPES[name]}" for name in POINTS)
    if not partitions:
        return session.createDataFrame([], schema)
    if not isinstance(storage.root, str):
        paths = [str(verified(storage, part, "history")) for part in partitions]
        return session.read.schema(schema).parquet(*paths)
    rows = [(bytearray(pickle.dumps((storage, part))),) for part in partitions]
    tasks = session.createDataFrame(rows, "task binary").repartition(len(rows))
    return tasks.mapInArrow(partial(_read_points, list(POINTS)), schema)


def _read_points(columns: list[str], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the points of the partitions whose tasks come in."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for batch in batches:
        for task in batch.column("task").to_pylist():
            storage, partition = pickle.loads(task)  # noqa: S301 - of register
            with pq.ParquetFile(verified(storage, partition, "history")) as file:
                for points in file.iter_batches(batch_size=_BATCH, columns=columns):
                    (plain,) = _plain(pa.Table.from_batches([points])).combine_chunks().to_batches()
                    yield plain


def _frame(session: Any, rows: pl.DataFrame) -> Any:
    return session.createDataFrame(_plain(rows.to_arrow()))


def _plain(table: pa.Table) -> pa.Table:
    """Return a table in types that Spark has: no views, dictionaries or unsigned integers."""
    import pyarrow as pa

    return table.cast(pa.schema([field.with_type(_spark_type(field.type)) for field in table.schema]))


def _spark_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    is_text = pa.types.is_string_view(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    if is_text or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(_spark_type(kind.value_type))
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    return kind
