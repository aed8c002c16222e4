"""Partitions under a Delta log: sealing writes them, a snapshot reads them together with live journals.

- `catalog`: the catalog: partitions, the records of their sessions, and the watermark of each journal file.
- `checkpoint`: what a version of the log holds as one Parquet file, so that replay is short.
- `compaction`: many small partitions become few large ones, one commit a step.
- `damaged_log`: a log that may be damaged: read as far as it can be, its gaps told and filled.
- `damaged_partitions`: what of one whose files are not what was committed can still be had, and what is lost.
- `deleted_runs`: tombstones, which hide a run at once and may be taken back.
- `delta_actions`: the actions of one file of the log, as Delta Lake writes them, and the way back.
- `delta_log`: the commit point of the whole lake: a Delta Lake log in history/_delta_log, one numbered JSON file a
  commit.
- `file_parts`: the parts of a Parquet file, each with the checksum that its footer holds.
- `housekeeping`: what a process that has finished a run does for the lake.
- `live_journals`: journals that are not sealed to their end, read forward as they grow.
- `live_points`: points of live journals, which are put together when somebody asks for them.
- `lost_commits`: partitions that no commit names and whose records are nowhere else.
- `moved_runs`: moved runs: statements by which runs belong to another project at once.
- `name_index`: which names a file has, in the metadata of its footer.
- `parquet_file`: Parquet files as a lake writes them; what is damaged of one can be left out.
- `partial_snapshot`: what tasks read of a snapshot: points and states of runs, in partitions and in live frames.
- `partitions`: three sibling Parquet files that hold the records of many journals, published by one commit.
- `past_reader`: a reader of the sealed data of one version, as it was.
- `recomputation`: the states of a partition from its points alone.
- `repair`: what can be had of a damaged lake, committed on top of what there is.
- `rewriting`: one set of partitions from another, without the points that no longer count.
- `run_ranges`: the runs of partitions in order, cut so that the points of each part fit into memory.
- `run_tasks`: heavy reading of runs as tasks: cut by the partitions that hold them.
- `sealing`: the records of journals become a partition, written by whoever comes first.
- `snapshot`: a snapshot: what one reader sees of the lake at one moment, committed and live data alike.
- `snapshot_reader`: taking snapshots: the log, and the journals beside it, each read on from where the last snapshot
  ended.
- `snapshot_view`: what is asked of a snapshot: the points that count and merged states, over stored points and pieces
  of states.
- `spent_journals`: which sealed journal files nobody appends to any more, and their deletion.
- `statement_log`: the statements of a snapshot, read by kind and key as they are asked for.
- `transfer`: the sealed content of a lake, copied to another place as the same lake.
- `unreadable_files`: files of partitions that cannot be read: what a reader leaves out, and tells at every question.
- `vacuum`: delete the files that no version within an age needs, and those that belong to no commit.
- `verified_files`: the files of partitions as local paths; what is read of one is held against its commit before.
- `versions`: what each commit of the log made of the lake, and which was the newest at a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.storage.table import (
        compaction,
        live_journals,
        past_reader,
        recomputation,
        repair,
        sealing,
        snapshot_reader,
        transfer,
        vacuum,
        versions,
    )
    from tracklake.storage.table import live_points as live_points

__all__ = [
    "catalog",
    "compaction",
    "damaged_log",
    "delta_actions",
    "delta_log",
    "housekeeping",
    "live_journals",
    "lost_commits",
    "partitions",
    "past_reader",
    "recomputation",
    "repair",
    "run_tasks",
    "sealing",
    "snapshot",
    "snapshot_reader",
    "snapshot_view",
    "statement_log",
    "transfer",
    "vacuum",
    "verified_files",
    "versions",
]
__getattr__ = late_modules.of(__name__)
