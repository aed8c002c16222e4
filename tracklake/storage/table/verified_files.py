"""Verified files: the files of partitions as local paths, each held against its commit before a process first uses it.

An answer is given only from bytes that were verified: a decoder that meets a flipped bit may give another answer, or
end the process. A file is read once at memory speed, several at a time, and remembered by size and time of change. Of a
large file of which few columns are needed, its footer and these alone are read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal
from zlib import crc32

from tracklake.common import interrupts, threads
from tracklake.compute.scans import LOOK
from tracklake.errors import LakeError
from tracklake.storage.table import file_parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.file_parts import Parts

Sibling = Literal["history", "states", "runs"]
"""Which of the three files of a partition."""
SIBLINGS: tuple[Sibling, ...] = ("history", "states", "runs")
_DOWNLOADS = 16
_CHUNK = 1 << 20
_WHOLE = 1 << 18
"""Bytes of a file up to which it is read as a whole: to choose takes longer."""
_File = tuple[str, int, int]
"""Path, size, and time of change in ns."""
_seen: set[tuple[str, frozenset[str] | None]] = set()
"""Files, or columns of them, that were verified together with others."""
_verified: dict[_File, int] = {}
"""The checksum of each file that this process has read."""
_parts: dict[tuple[_File, int], Parts | None] = {}
"""The parts of each file that was written with this checksum, as its footer tells them."""
_verified_columns: set[tuple[_File, int, str]] = set()
"""The columns of these that are what was written."""


class FileGoneError(LakeError):
    """A file of a partition is gone: it was lost, or vacuumed since the version was read that names it."""


def verified(
    storage: Storage, partition: Partition, sibling: Sibling, *, columns: Collection[str] | None = None
) -> Path:
    """Return the local path of a file of a partition whose bytes are those that were committed.

    With `columns` no others may be read of it than these, and the footer: of the others it is not known. A copy of a
    store's file that is not what was committed is fetched anew. Raises LakeError if the file is gone, cannot be read,
    or is damaged.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> verified(lake._storage, part, "states").name == f"part-{part.id}.parquet"
    True
    """
    name = getattr(partition, sibling)
    try:
        path = storage.fetch(name)
        if damage := _damage(path, partition, sibling, columns):
            path = storage.fetch(name, anew=True)
            damage = _damage(path, partition, sibling, columns)
        if damage:
            raise _damaged(storage, name, damage)
    except FileNotFoundError as error:
        raise FileGoneError(f"{storage.describe(name)} is gone. {LOOK}") from error
    except OSError as error:
        interrupts.let_through(error)
        raise LakeError(f"{storage.describe(name)} cannot be read: {error.strerror}. {LOOK}") from error
    return path


def _damage(path: Path, partition: Partition, sibling: Sibling, columns: Collection[str] | None) -> str:
    """Return how a file, or these columns of it, differ from what was committed; nothing if they do not."""
    place, status = SIBLINGS.index(sibling), path.stat()
    size, crc = partition.sizes[place], partition.crcs[place]
    if status.st_size != size:
        return f"it has {status.st_size:,} bytes, not {size:,}"
    file = (str(path), size, status.st_mtime_ns)
    is_part = columns is not None and size > _WHOLE and file not in _verified
    if is_part and _are_sound(path, file, crc, columns or ()):
        return ""
    return "" if _checksum(path, file) == crc else "its checksum is not the one of its commit"


def _are_sound(path: Path, file: _File, crc: int, columns: Collection[str]) -> bool:
    """Tell whether the footer and some columns of a file are known to be what was written."""
    key = (file, crc)
    missing = [column for column in columns if (file, crc, column) not in _verified_columns]
    if key in _parts and not missing:
        return _parts[key] is not None
    with path.open("rb", buffering=0) as opened:
        if key not in _parts:
            _parts[key] = file_parts.read(opened, size=file[1], crc=crc)
        parts = _parts[key]
        if parts is None or not parts.columns.keys() >= set(missing):
            return False
        is_sound = all(chunk.is_sound(opened) for column in missing for chunk in parts.columns[column])
    if is_sound:
        _verified_columns.update((file, crc, column) for column in missing)
    return is_sound


def verified_all(
    storage: Storage,
    partitions: Iterable[Partition],
    sibling: Sibling,
    *,
    columns: Collection[str] | None = None,
) -> list[Path]:
    """Return the same for many partitions, in their order; what is new is read by as many threads as there are cores.

    From a store more come at once, since each waits for its answer.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> len(verified_all(lake._storage, lake._view.snapshot.version.partitions.values(), "history"))
    1
    """
    chosen = list(partitions)
    only = None if columns is None else frozenset(columns)
    names = {(storage.describe(getattr(partition, sibling)), only) for partition in chosen}
    if len(chosen) == 1 or names <= _seen or _is_little(storage, chosen, sibling, only):  # not worth a thread each
        paths = [verified(storage, partition, sibling, columns=only) for partition in chosen]
        _seen.update(names)
        return paths
    workers = _DOWNLOADS if isinstance(storage.root, str) else os.cpu_count() or 1
    paths = list(
        threads.in_threads(lambda part: verified(storage, part, sibling, columns=only), chosen, workers=workers)
    )
    _seen.update(names)
    return paths


def _is_little(
    storage: Storage, partitions: Iterable[Partition], sibling: Sibling, columns: frozenset[str] | None
) -> bool:
    """Tell whether files of this machine are read sooner one after the other than threads are begun for them."""
    if isinstance(storage.root, str):
        return False
    place = SIBLINGS.index(sibling)
    return columns == frozenset() or all(partition.sizes[place] <= _WHOLE for partition in partitions)


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


def _checksum(path: Path, file: _File) -> int:
    crc = _verified.get(file)
    if crc is None:
        _, crc = checksum(path)
        _verified[file] = crc
    return crc


def _damaged(storage: Storage, name: str, reason: str) -> LakeError:
    return LakeError(
        f"{storage.describe(name)} is damaged: {reason}. Restore it from a copy; "
        "`tracklake check` names all that is wrong"
    )
