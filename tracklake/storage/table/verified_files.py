"""Verified files: the files of partitions as local paths, each held against its commit before a process first uses it.

An answer is given only from bytes that were verified: a decoder that meets a flipped bit may give another answer, or
end the process. A file is read once at memory speed, several at a time, and remembered by size and time of change.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal
from zlib import crc32

from tracklake.common import interrupts
from tracklake.compute.scans import LOOK
from tracklake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition

Sibling = Literal["history", "states", "runs"]
"""Which of the three files of a partition."""
SIBLINGS: tuple[Sibling, ...] = ("history", "states", "runs")
_DOWNLOADS = 16
_CHUNK = 1 << 20
_seen: set[str] = set()
"""Files that were verified together with others."""
_verified: dict[tuple[str, int, int], int] = {}
"""The checksum of each (path, size, time of change in ns) that this process has read."""


class FileGoneError(LakeError):
    """A file of a partition is gone: it was lost, or vacuumed since the version was read that names it."""


def verified(storage: Storage, partition: Partition, sibling: Sibling) -> Path:
    """Return the local path of a file of a partition whose bytes are those that were committed.

    A copy of a store's file that is not is fetched anew. Raises LakeError if the file is gone, cannot be read, or is
    damaged.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> verified(lake._storage, part, "states").name == f"part-{part.id}.parquet"
    True
    """
    name = getattr(partition, sibling)
    try:
        path = storage.fetch(name)
        if damage := _damage(path, partition, sibling):
            path = storage.fetch(name, anew=True)
            damage = _damage(path, partition, sibling)
        if damage:
            raise _damaged(storage, name, damage)
    except FileNotFoundError as error:
        raise FileGoneError(f"{storage.describe(name)} is gone. {LOOK}") from error
    except OSError as error:
        interrupts.let_through(error)
        raise LakeError(f"{storage.describe(name)} cannot be read: {error.strerror}. {LOOK}") from error
    return path


def _damage(path: Path, partition: Partition, sibling: Sibling) -> str:
    """Return how a file differs from what was committed; nothing if it does not."""
    place, status = SIBLINGS.index(sibling), path.stat()
    if status.st_size != partition.sizes[place]:
        return f"it has {status.st_size:,} bytes, not {partition.sizes[place]:,}"
    return "" if _checksum(path, status) == partition.crcs[place] else "its checksum is not the one of its commit"


def verified_all(storage: Storage, partitions: Iterable[Partition], sibling: Sibling) -> list[Path]:
    """Return the same for many partitions, in their order; what is new is read by as many threads as there are cores.

    From a store more come at once, since each waits for its answer.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> len(verified_all(lake._storage, lake._view.snapshot.version.partitions.values(), "history"))
    1
    """
    chosen = list(partitions)
    names = {storage.describe(getattr(partition, sibling)) for partition in chosen}
    if len(chosen) == 1 or names <= _seen:  # to look at their status again needs no threads
        return [verified(storage, partition, sibling) for partition in chosen]
    workers = _DOWNLOADS if isinstance(storage.root, str) else os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        paths = list(pool.map(lambda partition: verified(storage, partition, sibling), chosen))
    _seen.update(names)
    return paths


def checksum(path: Path) -> tuple[int, int]:
    """Return bytes and CRC-32 of a file.

    >>> from pathlib import Path
    >>> _ = Path("a").write_bytes(b"hello")
    >>> checksum(Path("a"))
    (5, 907060870)
    """
    size = crc = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            crc = crc32(chunk, crc)
    return size, crc


def _checksum(path: Path, status: os.stat_result) -> int:
    key = (str(path), status.st_size, status.st_mtime_ns)
    crc = _verified.get(key)
    if crc is None:
        _, crc = checksum(path)
        _verified[key] = crc
    return crc


def _damaged(storage: Storage, name: str, reason: str) -> LakeError:
    return LakeError(
        f"{storage.describe(name)} is damaged: {reason}. Restore it from a copy; "
        "`tracklake check` names all that is wrong"
    )
