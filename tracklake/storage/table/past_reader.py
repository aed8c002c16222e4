"""A reader of the sealed data of one version, as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common.task_engine import LOCAL
from tracklake.errors import LakeError
from tracklake.storage.table import partitions
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.snapshot import Snapshot

if TYPE_CHECKING:
    from tracklake.common.task_engine import TaskEngine
    from tracklake.storage.backend import Storage


class PastReader:
    """Reads one version: its snapshot never changes. LakeError if it is not there or some of its files are gone."""

    def __init__(self, storage: Storage, number: int, *, engine: TaskEngine = LOCAL) -> None:
        self.catalog = Catalog(storage, tolerant=True)
        self.catalog.engine = engine
        version = self.catalog.log.read(at=number)
        present = {f"{f}/{entry.name}" for f in ("history", "states", "runs") for entry in storage.list(f)}
        for part in version.partitions.values():
            for name in partitions.names_of(part):
                if name not in present:
                    raise LakeError(f"version {number} was vacuumed: {storage.describe(name)} is gone")
        self._snapshot = Snapshot(self.catalog, self.catalog.refresh(to=version), [])

    def snapshot(self) -> Snapshot:
        """Return the snapshot of the version.

        >>> lake = example()
        >>> _ = lake.refresh()
        >>> PastReader(lake._storage, 1).snapshot().n_stored
        12
        """
        return self._snapshot
