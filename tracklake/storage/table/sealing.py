"""Sealing: the records of journals become a partition, written by whoever comes first."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.errors import LakeError
from tracklake.schema import naming, run_fields
from tracklake.storage import layout
from tracklake.storage.journal import file_names, host, row_decoding, statements
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.journal.statements import JournalSlice
from tracklake.storage.table import partitions
from tracklake.storage.table.catalog import Watermark
from tracklake.storage.table.partitions import Contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tracklake.storage.journal.reader import Fault
    from tracklake.storage.local import Entry, Storage
    from tracklake.storage.table.catalog import Catalog, JournalFile
    from tracklake.storage.table.delta_log import Version

AT_ONCE = 12 << 20
"""Bytes of journals that are sealed at once, since that takes some 40 times as much memory."""
GATHERED_FILES, GATHERED_BYTES = 64, 64 << 20
"""Complete journals newer than the last commit that make it worth while to seal."""
KEEP_SECONDS = 600
"""How long a journal stays after it was sealed to its end, for readers that have listed it."""
ABANDON_SECONDS = 3600
"""Files of a seal that took longer may have been taken for orphans: they are not committed."""
ORPHAN_SECONDS = 24 * 3600
"""Younger files may belong to something that is under way."""
_HEAD = 64 << 10
"""Bytes that are sure to hold a header."""


_ended: dict[Path, dict[str, Entry]] = {}
"""Journals that this process saw to be complete, by lake: a process that finishes many runs need not look again."""


class Sealed(NamedTuple):
    """What a call of `seal` did."""

    partitions: int
    journals: int
    points: int
    faults: list[Fault]


class Unsealed(NamedTuple):
    """One journal file and its records beyond its watermark."""

    file: JournalFile
    watermark: Watermark
    slice: JournalSlice
    faults: list[Fault]


def seal(catalog: Catalog, *, live: bool) -> Sealed:
    """Seal every journal that is complete, and with `live` what the others hold so far too.

    Any number of processes may do so at once: a commit counts only if nobody else has advanced the same watermarks,
    else what was written is dropped and the journals are looked at anew. What live journals get meanwhile is for the
    next call.
    Raises LakeError where a partition cannot be written or read, CommitError where it cannot be published.

    >>> from tracklake.storage.table.catalog import Catalog
    >>> seal(Catalog(example()._storage), live=False)
    Sealed(partitions=1, journals=2, points=12, faults=[])
    """
    done = Sealed(0, 0, 0, [])
    begun = {file.key for file in catalog.list_journals()} if live else set()
    while True:
        files = catalog.list_journals()
        catalog.refresh()
        batch = list(_batch(catalog, [file for file in files if file.key in begun or not file.entry.writable]))
        if not batch:
            _delete_sealed(catalog, files)
            return done
        if _commit(catalog, batch):
            begun -= {unsealed.file.key for unsealed in batch}
            n_points = sum(u.slice.records.n_points for u in batch)
            faults = [fault for u in batch for fault in u.faults]
            done = Sealed(done.partitions + 1, done.journals + len(batch), done.points + n_points, done.faults + faults)


def is_gathered(storage: Storage) -> bool:
    """Tell whether enough complete journals lie there that a finishing process should seal them.

    >>> is_gathered(example()._storage)  # two small ones are too few
    False
    """
    log = storage.path("history/_delta_log")
    since = log.stat().st_mtime if log.exists() else 0.0
    cached = _ended.get(storage.root, {})
    ended = [
        e for e in storage.list(layout.JOURNAL_FOLDER, suffix=layout.JOURNAL_SUFFIX, cached=cached) if not e.writable
    ]
    _ended[storage.root] = {entry.name: entry for entry in ended}
    complete = [entry for entry in ended if entry.mtime > since]
    return len(complete) >= GATHERED_FILES or sum(e.size for e in complete) >= GATHERED_BYTES


def read_slice(catalog: Catalog, file: JournalFile, watermark: Watermark) -> Unsealed:
    """Read the records of a journal file beyond its watermark. FileNotFoundError: it was sealed and deleted meanwhile.

    >>> from tracklake.storage.table.catalog import Catalog
    >>> catalog = Catalog(example()._storage)
    >>> read_slice(catalog, catalog.list_journals()[0], Watermark()).slice.records.n_points
    6
    """
    reader = JournalReader(catalog.storage.follow(f"{layout.JOURNAL_FOLDER}/{file.entry.name}"))
    if watermark.through:
        reader.read(through=watermark.through)
    appended = reader.read()
    header = reader.header or fallback_header(catalog, file)
    journal_slice = JournalSlice(header, file.name.n, appended, reader.offset, reader.closed is not None)
    return Unsealed(file, watermark, journal_slice, appended.faults)


def fallback_header(catalog: Catalog, file: JournalFile) -> dict[str, Any]:
    """Stand in for a damaged header: by what else is known of the run, sealed or beside, else by the file's name.

    >>> from tracklake.storage.table.catalog import Catalog
    >>> lake = example()
    >>> catalog = Catalog(lake._storage)
    >>> _ = lake.refresh(), catalog.refresh()
    >>> fallback_header(catalog, catalog.list_journals()[0])["run"]
    'fast'
    """
    safe_name = pl.col("run_id").map_elements(naming.safe_name, return_dtype=pl.String)
    sealed = catalog.records.files.filter(safe_name == file.name.run)
    if not sealed.is_empty():
        run_id, project = sealed.select("run_id", "project").row(0)
    else:
        run_id, project = _named_beside(catalog, file) or (file.name.run, run_fields.UNCATEGORIZED)
    start = int(file.entry.mtime * 1e6)
    return {"run": run_id, "project": project, "session": file.name.session, "n": file.name.n, "start": start}


def _named_beside(catalog: Catalog, file: JournalFile) -> tuple[str, str] | None:
    """Return run and project from the header of another journal file of the run."""
    for other in catalog.list_journals():
        if other.name.run == file.name.run:
            reader = JournalReader(catalog.storage.follow(f"{layout.JOURNAL_FOLDER}/{other.entry.name}"))
            with contextlib.suppress(FileNotFoundError):
                reader.read(through=_HEAD)
            if reader.header:
                return reader.header["run"], reader.header["project"]
    return None


def points_of(slices: Sequence[JournalSlice]) -> pl.DataFrame:
    """Return the points of journal slices (schema POINTS), sorted.

    >>> points_of([]).height
    0
    """
    headers = ((s, s.header) for s in slices)
    return row_decoding.points_of(
        [row_decoding.Source(s.records, h["project"], h["run"], h["session"]) for s, h in headers]
    )


def _batch(catalog: Catalog, files: Sequence[JournalFile]) -> Iterator[Unsealed]:
    """Yield journals that have records beyond their watermark, until they fill a partition."""
    watermarks = catalog.watermarks(files)
    room = AT_ONCE
    for file in files:
        watermark = watermarks.get(file.key, Watermark())
        size = file.entry.size - watermark.through
        if watermark.complete or size <= 0:
            continue
        if size > room < AT_ONCE:
            return
        with contextlib.suppress(FileNotFoundError):  # sealed and deleted by another process
            unsealed = read_slice(catalog, file, watermark)
            if unsealed.slice.through > watermark.through:
                room -= size
                yield unsealed


def _commit(catalog: Catalog, batch: Sequence[Unsealed]) -> bool:
    """Write and commit one partition; False if somebody else sealed any of it first."""
    began = time.monotonic()
    slices = [unsealed.slice for unsealed in batch]
    contents = Contents(points_of(slices), statements.of_slices(slices))
    base = catalog.version
    try:
        partition = partitions.write(catalog.storage, contents)
    except OSError as error:
        raise LakeError(
            f"cannot seal in {catalog.storage.describe()}: {os.strerror(error.errno) if error.errno else error}. "
            "Reading works without; what is logged stays in journals."
        ) from error
    files = [u.file for u in batch]
    before = catalog.watermarks(files)

    def still_valid(newer: Version) -> bool:
        catalog.refresh(to=newer)
        return catalog.watermarks(files) == before and time.monotonic() - began < ABANDON_SECONDS

    committed = catalog.log.commit(base=base, add=[partition], operation="SEAL", still_valid=still_valid)
    if committed is None:
        partitions.discard(catalog.storage, partition)
        return False
    catalog.refresh(to=committed)
    return True


def _delete_sealed(catalog: Catalog, files: Sequence[JournalFile]) -> None:
    """Delete journals that are sealed to their end, sound, and old enough that no reader waits for them."""
    watermarks = catalog.watermarks(files)
    newest: dict[int, int] = {}
    for session, n in [*(file.key for file in files), *watermarks]:
        newest[session] = max(n, newest.get(session, 0))
    now = time.time()
    for file in files:
        age = now - file.entry.mtime
        if age < KEEP_SECONDS:
            continue
        path = catalog.storage.follow(f"{layout.JOURNAL_FOLDER}/{file.entry.name}")
        watermark = watermarks.get(file.key, Watermark())
        over = watermark.complete or newest[file.name.session] > file.name.n
        with contextlib.suppress(FileNotFoundError):
            if _is_spent(path, watermark, over=over, age=age):
                path.unlink()


def _is_spent(path: Path, watermark: Watermark, *, over: bool, age: float) -> bool:
    """Tell whether all of the file is sealed and nobody can append to it; a damaged file is kept as evidence."""
    reader = JournalReader(path)
    if reader.read().faults or reader.offset > watermark.through:
        return False
    if reader.is_empty:  # its writer died before it had said anything
        return age > ORPHAN_SECONDS
    return over or _is_abandoned(path, str(reader.header.get("node")), silence=age)


def _is_abandoned(path: Path, node: str, *, silence: float) -> bool:
    """Tell whether the writer of a journal is surely dead: its lock is free, or its machine was started anew since."""
    if node == host.NODE:
        return file_names.lock_of(path) == "free"
    return silence > ORPHAN_SECONDS and host.has_restarted(node, silence=silence)
