"""What files of other tools hold: records, cells, tables, and the binary forms; knows no lake.

- `bounded_parquet`: tables of a Parquet file, each of bounded size, however few bytes its encodings need for a value.
- `bytestream`: bytes of a file that may be compressed, a bounded piece at a time.
- `cells`: cells of text tables as they are in the wild: what is nothing, what is a number, and which type a column
  has.
- `config_files`: configs that lie beside a run's files: YAML and JSON, read without executing anything.
- `counted_reads`: files whose reading is counted, for whoever shows how far an import is.
- `curves`: curves in tables: which column is the step, which the time, and what a falling step means.
- `delimited`: text tables with a separator: CSV and its kin, as they are in the wild.
- `event_records`: TensorBoard's Event messages: scalars decoded many at a time, all else one by one.
- `hparams`: what TensorBoard's hparams plugin says of a session: hyperparameters, group, start and end.
- `json_lines`: JSON Lines as Python writes them: with NaN and Infinity, keys missing in some lines, and a torn last
  line.
- `kept_frames`: the frames of a table, which may be gone through again: kept unless they are large, else parsed again.
- `many_runs`: tables of many runs: with a column that tells them apart, long ones of (run, step, metric, value), one
  row a run.
- `mlflow_runs`: what MLflow knows of a run, from its database and its file store alike, as a record and points.
- `optuna_trials`: what Optuna knows of studies and trials, from its database and its journal alike, as records and
  points.
- `places`: where a file lies, as what tells runs apart: ids, projects and config from the parts of paths.
- `protobuf`: protocol Buffers without a schema: the fields of a message as numbers and bytes.
- `record_log`: the log of records that W&B writes: LevelDB's framing in blocks of 32 KiB, after a header of seven
  bytes.
- `records`: what an importer yields: run records, batches of their points, and remarks on what was read.
- `restarts`: steps that fall within a run of a table: a training that was started anew, or rows in no order.
- `run_files`: A file of curves as one run: its place, the config beside it, its rows.
- `run_ids`: ids of the runs of a table: readable, such as a lake takes, and each one once.
- `run_numbers`: the runs of a table, numbered in the order of their first rows, frame after frame.
- `run_rows`: the rows of a table of many runs, in order of run and step, batch by batch; its runs were surveyed before.
- `run_survey`: one pass over a table of many runs: which runs there are, their config and their times; and a second.
- `sqlite`: SQLite files of other tools: opened read-only and immutable, never beside their own writers, never for
  ever.
- `table_files`: files that hold tables, by their endings.
- `text_lines`: lines of text tables before they are parsed: their encoding, comments between rows, and cells apart by
  blanks.
- `tfrecord`: TFRecord framing: length, checksum of the length, data, checksum of the data; read in blocks of many
  records.
- `wandb_history`: the history of a W&B file, many rows at a time: what is plain by one pattern, the rest row by row.
- `wandb_records`: the records of a W&B file, decoded by hand: what a run says, row by row, without the wandb package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.importers.readers import records

__all__ = [
    "bytestream",
    "cells",
    "config_files",
    "counted_reads",
    "curves",
    "delimited",
    "event_records",
    "hparams",
    "json_lines",
    "kept_frames",
    "many_runs",
    "mlflow_runs",
    "optuna_trials",
    "places",
    "protobuf",
    "record_log",
    "records",
    "run_files",
    "run_ids",
    "run_rows",
    "run_survey",
    "sqlite",
    "table_files",
    "tfrecord",
    "wandb_history",
    "wandb_records",
]
__getattr__ = late_modules.of(__name__)
