"""Vacuum: delete the files that no version within an age needs, and those that belong to no commit."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tracklake.schema.tables import LAKE_RUN
from tracklake.storage.table import compaction, deleted_runs, lost_commits, partitions
from tracklake.storage.table.rewriting import Rewrite
from tracklake.storage.table.snapshot_reader import SnapshotReader
from tracklake.storage.table.spent_journals import ORPHAN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.storage.backend import Entry, Storage
    from tracklake.storage.table.catalog import Catalog
    from tracklake.storage.table.delta_actions import Partition

MIN_AGE = timedelta(hours=24)
"""Readers and `at` may count on what was part of the lake so recently, whatever is asked for."""
FOLDERS = ("history", "states", "runs")


class Vacuumed(NamedTuple):
    """What a call of `vacuum` deleted, or would delete."""

    files: int
    bytes: int
    runs: int
    """Deleted runs whose rows were taken out of the partitions that stay."""


def vacuum(catalog: Catalog, *, older_than: timedelta, dry_run: bool = False) -> Vacuumed:
    """Delete files of partitions that were replaced more than `older_than` ago, and orphans older than a day.

    An age below 24 hours counts as 24 hours. Rows of runs that were deleted longer ago are first taken out of the
    partitions that hold them; the files with them go in a later call. Safe beside readers, writers and compactors.

    >>> from tracklake.storage.table.catalog import Catalog
    >>> vacuum(Catalog(example()._storage), older_than=timedelta(days=7))
    Vacuumed(files=0, bytes=0, runs=0)
    """
    oldest = int((time.time() - max(older_than, MIN_AGE).total_seconds()) * 1000)
    n_runs = _purge(catalog, before=oldest, dry_run=dry_run)
    storage = catalog.storage
    listed = {f"{folder}/{entry.name}": entry for folder in FOLDERS for entry in storage.list(folder)}
    needed, named, is_whole = _needed(catalog, since=oldest)  # read after the listing: no file of it is newer
    unneeded = {
        name: entry
        for name, entry in listed.items()
        if name.endswith(".parquet") and name not in needed and (name in named or _is_orphan(entry, is_whole=is_whole))
    }
    for name in _lost(catalog) if unneeded.keys() - named else ():
        unneeded.pop(name, None)  # what a lost commit named is nowhere else
    if not dry_run:
        for name in unneeded:
            storage.delete(name)
    return Vacuumed(len(unneeded), sum(entry.size for entry in unneeded.values()), n_runs)


def orphans(storage: Storage, catalog: Catalog) -> Iterator[str]:
    """Yield the names of old files that belong to no commit.

    >>> from tracklake.storage.table.catalog import Catalog
    >>> lake = example()
    >>> list(orphans(lake._storage, Catalog(lake._storage)))
    []
    """
    listed = {f"{folder}/{entry.name}": entry for folder in FOLDERS for entry in storage.list(folder)}
    needed, named, _ = _needed(catalog, since=0)
    for name, entry in listed.items():
        if name.endswith(".parquet") and name not in needed | named and _is_orphan(entry, is_whole=True):
            yield name


def _lost(catalog: Catalog) -> list[str]:
    """Return the names of the files that a lost commit must have named: `repair` takes them back."""
    files = catalog.list_journals()
    lost = lost_commits.lost_partitions(catalog, catalog.log.read(), files)
    return [f"{folder}/part-{part.id}.parquet" for part in lost if not part.is_imported for folder in FOLDERS]


def _is_orphan(entry: Entry, *, is_whole: bool) -> bool:
    """Tell whether a file that no commit names is that of a seal or merge that died: young ones may yet be committed.

    Where commits have been cleaned away, a file may be one that they named, and is left for the version it belongs to.
    """
    return is_whole and time.time() - entry.mtime > ORPHAN_SECONDS


def _needed(catalog: Catalog, *, since: int) -> tuple[set[str], set[str], bool]:
    """Return the files of every version since a time (ms), all others that the log names, and whether it is whole."""
    removed: dict[str, int] = {}
    every: dict[str, Partition] = {}
    first = None
    for number, commit in catalog.log.commits():
        first = number if first is None else first
        every |= {part.id: part for part in commit.add}
        removed |= dict.fromkeys(commit.remove, commit.timestamp)
    current = catalog.log.read().partitions
    recent = [part for key, part in every.items() if removed.get(key, since) >= since]
    needed = {name for part in [*current.values(), *recent] for name in partitions.names_of(part)}
    named = {name for part in every.values() for name in partitions.names_of(part)} - needed
    return needed, named, not first


def _purge(catalog: Catalog, *, before: int, dry_run: bool) -> int:
    """Take the rows of runs that were deleted before a time out of the partitions; return how many runs that were."""
    catalog.refresh()
    of_lake = SnapshotReader(catalog.storage, only=LAKE_RUN).snapshot().statements  # a tombstone may not be sealed yet
    gone = deleted_runs.deleted_before(of_lake, before)
    holding: dict[str, list[Partition]] = {}
    for part in catalog.version.partitions.values() if gone else ():
        for run_id in partitions.runs_with_points(catalog.storage, part) & gone:
            holding.setdefault(run_id, []).append(part)
    if not dry_run:
        for part in {part.id: part for parts in holding.values() for part in parts}.values():
            compaction.run(catalog, Rewrite([part], part.level, purged=frozenset(gone)), operation="PURGE")
    return len(holding)
