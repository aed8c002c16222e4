"""Partitions under a Delta log: sealing writes them, a snapshot reads them together with live journals.

- `catalog`: the catalog: which partitions there are, what their sessions said, and how far each journal file is
  sealed.
- `delta_actions`: what one file of the log says: the actions of a commit, as Delta Lake writes them, and the way
  back.
- `delta_log`: the commit point of the whole lake: a Delta Lake log in history/_delta_log, one numbered JSON file a
  commit.
- `live_journals`: journals that are not sealed to their end, read forward as they grow.
- `partitions`: three sibling Parquet files that hold what many journals said, published by one commit.
- `sealing`: what journals say becomes a partition, by whoever comes first.
- `snapshot`: a snapshot: what one reader sees of the lake at one moment, committed and live data alike.
- `snapshot_reader`: taking snapshots: the log, and the journals beside it, each read on from where the last snapshot
  ended.
"""

from __future__ import annotations
