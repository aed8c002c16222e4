"""Spent journals: which sealed journal files nobody appends to any more, and their deletion."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tracklake.common import interrupts
from tracklake.storage import layout
from tracklake.storage.journal import file_names, host
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.table.catalog import Watermark

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from tracklake.storage.table.catalog import Catalog, JournalFile

ORPHAN_SECONDS = 24 * 3600
"""Younger files may belong to something that is under way."""


def delete_spent(catalog: Catalog, files: Sequence[JournalFile], *, sound: Collection[tuple[int, int]]) -> None:
    """Delete journals at once when they are sealed to their end and nobody can append to them.

    A reader that has listed one meets FileNotFoundError and lists again. One that is damaged is kept as evidence;
    `sound` names those that this process has just read whole and without fault, so that they are not read again.

    >>> from tracklake.storage.table.sealing import seal
    >>> lake = example()
    >>> catalog = lake._reader.catalog.copy()
    >>> _ = seal(catalog, live=False)  # which ends by deleting
    >>> catalog.list_journals()
    []
    """
    watermarks = catalog.watermarks(files)
    newest: dict[int, int] = {}
    for session, n in [*(file.key for file in files), *watermarks]:
        newest[session] = max(n, newest.get(session, 0))
    for file in files:
        name = f"{layout.JOURNAL_FOLDER}/{file.entry.name}"
        watermark = watermarks.get(file.key, Watermark())
        is_read = file.key in sound and watermark.complete and file.entry.size == watermark.through
        is_ended = watermark.complete or newest[file.name.session] > file.name.n
        with interrupts.suppressed(OSError):  # it is gone, or another user's, whose process will delete it
            age = time.time() - file.entry.mtime
            if is_read or _is_spent(catalog.storage.follow(name), watermark, is_ended=is_ended, age=age):
                catalog.storage.delete(name)


def _is_spent(path: Path, watermark: Watermark, *, is_ended: bool, age: float) -> bool:
    """Tell whether all of the file is sealed and nobody can append to it; a damaged file is kept as evidence."""
    if not watermark.complete and file_names.lock_of(path) == "held":  # the next file may yet fail to begin
        return False
    reader = JournalReader(path)
    if reader.read().faults or reader.offset > watermark.through:
        return False
    if reader.is_empty:  # its writer died before its first statement, or has not written it yet
        return age > ORPHAN_SECONDS
    return is_ended or _is_abandoned(path, str(reader.header.get("node")), silence=age)


def _is_abandoned(path: Path, node: str, *, silence: float) -> bool:
    """Tell whether the writer of a journal is surely dead: its lock is free, or its machine was started anew since."""
    if node == host.NODE:
        return file_names.lock_of(path) == "free"
    return silence > ORPHAN_SECONDS and host.has_restarted(node, silence=silence)
