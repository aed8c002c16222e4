"""Lost commits: partitions that no commit names and whose records are nowhere else."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common import interrupts
from tracklake.compute.scans import collect
from tracklake.errors import LakeError
from tracklake.schema.statement_kind import StatementKind
from tracklake.storage.journal import statements
from tracklake.storage.table import partitions
from tracklake.storage.table.damaged_log import DamagedLog
from tracklake.storage.table.sealing import ABANDON_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tracklake.storage.journal.statements import SessionRecords
    from tracklake.storage.table.catalog import Catalog, JournalFile
    from tracklake.storage.table.delta_log import Version

_PART = re.compile(r"part-(\w[\w.-]*)\.parquet", re.ASCII)
_IMPORTED = ["imported_from", "source"]
"""Facts of a session that no journal ever held."""
_LISTED = 5


class LostPartition(NamedTuple):
    """A partition on the disk that a lost commit must have named."""

    id: str
    records: SessionRecords

    @property
    def is_imported(self) -> bool:
        """Whether it holds what no journal ever held, so that an import that died may have left it.

        >>> LostPartition("7f3a", statements.concat([])).is_imported
        False
        """
        facts = self.records.statements.filter(pl.col("op") == StatementKind.SESSION)
        return bool(facts["key"].is_in(_IMPORTED).any())

    @property
    def runs(self) -> list[str]:
        """The runs that it holds records of, sorted.

        >>> LostPartition("7f3a", statements.concat([])).runs
        []
        """
        return sorted(self.records.files["run_id"].unique())

    def __str__(self) -> str:
        """Name the file and the runs."""
        more = f" and {len(self.runs) - _LISTED:,} more" if len(self.runs) > _LISTED else ""
        runs = ", ".join(map(repr, self.runs[:_LISTED])) + more
        reason = (
            "an import died before its commit, which can be done again, or the commit was lost"
            if self.is_imported
            else "a commit of the log was lost"
        )
        return f"runs/part-{self.id}.parquet: no commit names it, and what it holds of {runs} is nowhere else: {reason}"


def lost_partitions(catalog: Catalog, version: Version, files: Collection[JournalFile]) -> Iterator[LostPartition]:
    """Yield the partitions that no commit names and that hold records which neither a partition nor a journal has.

    A seal that died leaves its journals, a merge its inputs; what a commit named that is gone is left by nobody else.
    An import that is under way has neither, and is passed over for as long as it may take.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> catalog = lake._reader.catalog
    >>> list(lost_partitions(catalog, catalog.refresh(), catalog.list_journals()))
    []
    """
    named = _named(catalog, version)
    entries = {match[1]: e for e in catalog.storage.list("runs") if (match := _PART.fullmatch(e.name))}
    unnamed = {key: entry for key, entry in entries.items() if key not in named}
    if not unnamed:
        return
    through = _watermarks(catalog, version) | {file.key: file.entry.size for file in files}
    for key, entry in unnamed.items():
        try:
            lost = LostPartition(key, read_records(catalog, key))
        except LakeError:  # half a seal that died
            continue
        is_new = [s not in through or size > through[s] for s, size in _marks(lost.records.files)]
        if any(is_new) and (time.time() - entry.mtime > ABANDON_SECONDS or not lost.is_imported):
            yield lost


def read_records(catalog: Catalog, partition_id: str) -> SessionRecords:
    """Return the session records of a partition that no commit vouches for; LakeError if they cannot be read.

    >>> read_records(example()._reader.catalog, "7f3a")
    Traceback (most recent call last):
    tracklake.errors.LakeError: runs/part-7f3a.parquet cannot be read: ...
    """
    name = f"runs/part-{partition_id}.parquet"
    try:
        return statements.from_rows(collect(partitions.scan_rows(catalog.storage.fetch(name))))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException, LakeError) as error:
        interrupts.let_through(error)
        raise LakeError(f"{name} cannot be read: {error}") from error


def _named(catalog: Catalog, version: Version) -> set[str]:
    """Return the ids of all partitions that a version or a commit names."""
    named = set(version.partitions)
    for _, commit in DamagedLog(catalog.storage).readable_commits():
        named |= {part.id for part in commit.add} | set(commit.remove)
    return named


def _watermarks(catalog: Catalog, version: Version) -> dict[tuple[int, int], int]:
    """Return how far each journal file is sealed, by the partitions of a version that can be read."""
    through: dict[tuple[int, int], int] = {}
    for key in version.partitions:
        try:
            records = read_records(catalog, key)
        except LakeError:
            continue
        for mark, size in _marks(records.files):
            through[mark] = max(size, through.get(mark, 0))
    return through


def _marks(files: pl.DataFrame) -> Iterable[tuple[tuple[int, int], int]]:
    rows = files.select("session", "n", pl.col("sealed_through").fill_null(0)).iter_rows()
    return (((session, n), size) for session, n, size in rows)
