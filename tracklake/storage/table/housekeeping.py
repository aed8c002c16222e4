"""Housekeeping: what a process that has finished a run does for the lake, at a cost that follows what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.storage import layout
from tracklake.storage.backend import NO_ENTRIES
from tracklake.storage.table import compaction
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.sealing import Sealed, seal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklake.storage.backend import Entry, Storage

GATHERED_FILES, GATHERED_BYTES = 64, 64 << 20
"""Complete journals that are not sealed yet and make it worth while to seal."""
_catalogs: dict[tuple[str, str], Catalog] = {}
"""The catalog of each lake in which this process has sealed: one that finishes many runs need not begin anew."""
_complete: dict[str, dict[str, Entry]] = {}
"""Journals that this process has seen to be complete, by place: they do not change, and need no second look. Another
lake in the same place has none of them, since each name holds the random id of a session."""
_sealed_names: dict[str, dict[str, Entry]] = {}
"""Journals that this process has seen to be sealed to their end and yet to stay, by place."""


def is_due(storage: Storage) -> bool:
    """Tell by one listing whether enough complete journals may lie there to seal them.

    >>> is_due(example()._storage)  # two small ones are too few
    False
    """
    place = storage.describe()
    cached = _complete.get(place, NO_ENTRIES)
    entries = storage.list(layout.JOURNAL_FOLDER, suffix=layout.JOURNAL_SUFFIX, cached=cached)
    complete = _complete[place] = {entry.name: entry for entry in entries if not entry.writable}
    sealed = _sealed_names.get(place, NO_ENTRIES)
    return _are_enough(entry for name, entry in complete.items() if name not in sealed)


def seal_gathered(storage: Storage) -> Sealed:
    """Seal complete journals if enough of them lie there, and merge small partitions if there are enough of those.

    What counts is what is listed and not sealed to its end: a journal that is kept although it is sealed, because it is
    damaged, is no work to do.

    >>> seal_gathered(example()._storage)  # two small ones are too few
    Sealed(partitions=0, journals=0, points=0, faults=[])
    """
    if not is_due(storage):
        return Sealed(0, 0, 0, [])
    place = storage.describe()
    lake = place, layout.read_id(storage)  # a folder may have become another lake
    catalog = _catalogs.pop(lake, None) or Catalog(storage, statements=False)
    try:
        files = catalog.list_journals()
        catalog.refresh()
        watermarks = catalog.watermarks(files)
        complete = {f.key: f.entry for f in files if f.key in watermarks and watermarks[f.key].complete}
        _sealed_names[place] = {entry.name: entry for entry in complete.values()}
        waiting = (file.entry for file in files if file.key not in complete and not file.entry.writable)
        if not _are_enough(waiting):
            return Sealed(0, 0, 0, [])
        sealed_now = seal(catalog, live=False)
        compaction.compact_a_step(catalog)
        return sealed_now
    finally:
        _catalogs[lake] = catalog


def _are_enough(complete: Iterable[Entry]) -> bool:
    sizes = [entry.size for entry in complete]
    return len(sizes) >= GATHERED_FILES or sum(sizes) >= GATHERED_BYTES
