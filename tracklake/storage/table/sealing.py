"""Sealing: the records of journals become a partition, written by whoever comes first."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common import interrupts
from tracklake.common.warnings import warn_once
from tracklake.errors import CommitError, LakeError
from tracklake.schema import naming, run_fields
from tracklake.storage import layout
from tracklake.storage.journal import row_decoding, statements
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.journal.statements import JournalSlice
from tracklake.storage.table import partitions
from tracklake.storage.table.catalog import Watermark
from tracklake.storage.table.partitions import Contents
from tracklake.storage.table.spent_journals import delete_spent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklake.storage.journal.reader import Fault
    from tracklake.storage.table.catalog import Catalog, JournalFile
    from tracklake.storage.table.delta_log import Version

AT_ONCE = 12 << 20
"""Bytes of journals that are sealed at once, since that takes some 40 times as much memory."""
ABANDON_SECONDS = 3600
"""Files of a seal that took longer may have been taken for orphans: they are not committed."""
_HEAD = 64 << 10
"""Bytes that are sure to hold a header."""


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
    done, sound = Sealed(0, 0, 0, []), set[tuple[int, int]]()
    begun = {file.key for file in catalog.list_journals()} if live else set()
    while True:
        files = catalog.list_journals()
        catalog.refresh()
        batch = list(_batch(catalog, [file for file in files if file.key in begun or not file.entry.writable]))
        if not batch:
            delete_spent(catalog, files, sound=sound)
            return done
        if _commit(catalog, batch):
            begun -= {unsealed.file.key for unsealed in batch}
            sound |= {u.file.key for u in batch if not u.faults and not u.watermark.through}
            n_points = sum(u.slice.records.n_points for u in batch)
            faults = [fault for u in batch for fault in u.faults]
            done = Sealed(done.partitions + 1, done.journals + len(batch), done.points + n_points, done.faults + faults)


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
    >>> (file, *_) = catalog.list_journals()
    >>> _ = lake.refresh(), catalog.refresh()
    >>> fallback_header(catalog, file)["run"]
    'fast'
    """
    safe_name = pl.col("run_id").map_elements(naming.safe_name, return_dtype=pl.String)
    sealed = catalog.files.filter(safe_name == file.name.run)
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
            with interrupts.suppressed(OSError):
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


def uptime() -> float:
    """Return seconds of a clock that never steps and also runs while the machine sleeps, as the ages of files do.

    >>> uptime() <= uptime()
    True
    """
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if clock is None else time.clock_gettime(clock)


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
        try:
            unsealed = read_slice(catalog, file, watermark)
        except FileNotFoundError:  # sealed and deleted by another process
            continue
        except OSError as error:  # another user's most likely, who can seal it
            interrupts.let_through(error)
            place = catalog.storage.describe(f"{layout.JOURNAL_FOLDER}/{file.entry.name}")
            warn_once(place, f"tracklake: {place} cannot be read and is not sealed: {error.strerror or error}")
            continue
        if unsealed.slice.through > watermark.through:
            room -= size
            yield unsealed


def _commit(catalog: Catalog, batch: Sequence[Unsealed]) -> bool:
    """Write and commit one partition; False if somebody else sealed any of it first."""
    began = uptime()
    slices = [unsealed.slice for unsealed in batch]
    contents = Contents(points_of(slices), statements.of_slices(slices))
    base = catalog.version
    try:
        if base.number < 0:
            catalog.log.create()  # before the first partition: a lake that has one and no log has lost it
        partition = partitions.write(catalog.storage, contents)
    except OSError as error:
        interrupts.let_through(error)
        raise LakeError(
            f"cannot seal in {catalog.storage.describe()}: {os.strerror(error.errno) if error.errno else error}. "
            "Reading works without; what is logged stays in journals."
        ) from error
    files = [u.file for u in batch]
    before = catalog.watermarks(files)

    def is_in_time() -> bool:
        return uptime() - began < ABANDON_SECONDS

    def still_valid(newer: Version) -> bool:
        catalog.refresh(to=newer)
        return catalog.watermarks(files) == before and is_in_time()

    commit = partial(catalog.log.commit, base=base, add=[partition], operation="SEAL", still_valid=still_valid)
    try:
        committed = commit() if is_in_time() else None
    except CommitError:
        partitions.discard(catalog.storage, partition)
        raise
    if committed is None:
        partitions.discard(catalog.storage, partition)
        return False
    catalog.refresh(to=committed)
    return True
