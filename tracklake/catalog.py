"""The catalog: which partitions there are, what their sessions said, and how far each journal file is sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake import host, journal, partitions, statements
from tracklake.delta_log import DeltaLog, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracklake.statements import Said
    from tracklake.storage import Entry, Storage

NOTHING = Version(-1, 0, {})


class Mark(NamedTuple):
    """How far one journal file is sealed."""

    through: int = 0
    complete: bool = False


class JournalFile(NamedTuple):
    """One journal file of a listing."""

    name: journal.FileName
    entry: Entry

    @property
    def key(self) -> tuple[int, int]:
        """(session, n), unique in the lake."""
        return self.name.session, self.name.n


class Catalog:
    """The committed part of a lake, kept up to date at the cost of what is new.

    Partitions are immutable, so what was read of one is remembered as long as it belongs to the lake.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.log = DeltaLog(storage)
        self.version = NOTHING
        self._said: dict[str, Said] = {}
        self._all: Said | None = None

    def list_journals(self) -> list[JournalFile]:
        """List the journal files. To be called before `refresh`: what leaves the listing is then in the log."""
        entries = self.storage.list(journal.FOLDER, suffix=journal.SUFFIX)
        parsed = ((journal.FileName.parse(entry.name), entry) for entry in entries)
        return [JournalFile(name, entry) for name, entry in parsed if name is not None]

    def refresh(self, *, to: Version | None = None) -> Version:
        """Take over the newest version (or `to`) and return it."""
        host.refuse_lost_engine()
        version = to or self.log.read(since=self.version if self.version is not NOTHING else None)
        if version.number != self.version.number:
            kept = {name: said for name, said in self._said.items() if name in version.partitions}
            fresh = {n: partitions.read_said(self.storage, p) for n, p in version.partitions.items() if n not in kept}
            self._said = {name: kept.get(name) or fresh[name] for name in version.partitions}
            self._all = None
            self.version = version
        return self.version

    @property
    def said(self) -> Said:
        """What the sessions of all partitions said."""
        if self._all is None:
            self._all = statements.concat(list(self._said.values()))
        return self._all

    @property
    def parts(self) -> dict[str, Said]:
        """What the sessions of each partition said, by its id; never changed, but replaced as a whole."""
        return self._said

    def copy(self) -> Catalog:
        """Return a catalog that knows what this one knows, and goes its own way from here."""
        other = Catalog(self.storage)
        other.version, other._said, other._all = self.version, self._said, self._all
        return other

    def marks(self, files: Iterable[JournalFile]) -> dict[tuple[int, int], Mark]:
        """Return the largest mark of each of these journal files that has one."""
        sessions = pl.Series([file.name.session for file in files], dtype=pl.Int64)
        known = self.said.files.filter(pl.col("session").is_in(sessions.unique().implode()))
        largest = known.group_by(["session", "n"]).agg(pl.col("sealed_through").max(), pl.col("complete").any())
        return {(session, n): Mark(through, complete) for session, n, through, complete in largest.iter_rows()}


def holders(parts: Mapping[str, Said]) -> pl.DataFrame:
    """Return which partitions hold something of which runs: partition, run_id."""
    runs = [said.files.select(pl.lit(name).alias("partition"), "run_id").unique() for name, said in parts.items()]
    return pl.concat([pl.DataFrame(schema={"partition": pl.String, "run_id": pl.String}), *runs])
