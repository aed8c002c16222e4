"""Files of partitions that cannot be read: a reader leaves out what they hold, and tells so at every question.

Who writes by what is read (a seal, a merge, a resume, an import) leaves nothing out: it raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.warnings import warn
from tracklake.errors import LakeError
from tracklake.schema.tables import LAKE_RUN, STATES
from tracklake.storage import table
from tracklake.storage.table import partitions
from tracklake.storage.table.verified_files import FileGoneError, verified, verified_all

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.verified_files import Sibling

_NAMED = 5


class Unreadable(NamedTuple):
    """A file of a partition that cannot be read: why, and what that costs."""

    partition: Partition
    sibling: Sibling
    error: LakeError
    run_ids: frozenset[str]
    """The runs that are left out, as far as they are known."""
    cost: str

    def __str__(self) -> str:
        """Name the file, the reason, and what is left out."""
        return f"tracklake: {self.error}. {self.cost}."


def readable(
    storage: Storage, parts: Sequence[Partition], sibling: Sibling, *, columns: Collection[str] | None = None
) -> tuple[list[Path | None], dict[str, LakeError]]:
    """Return the verified files of partitions in their order, None for those that cannot be read; and why, by id.

    `columns` as in `verified`.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> readable(lake._storage, [part], "states")[1]
    {}
    """
    try:
        return [*verified_all(storage, parts, sibling, columns=columns)], {}
    except LakeError:  # at least one: those are told apart
        pass
    paths: list[Path | None] = []
    errors: dict[str, LakeError] = {}
    for part in parts:
        try:
            paths.append(verified(storage, part, sibling, columns=columns))
        except LakeError as error:
            paths.append(None)
            errors[part.id] = error
    return paths, errors


def refuse_vacuumed(errors: dict[str, LakeError], newest: Version) -> None:
    """Raise FileGoneError where a file is gone because the newest version needs it no more: read that one.

    >>> from tracklake.storage.table.delta_log import Version
    >>> refuse_vacuumed({"7f3a": FileGoneError("runs/part-7f3a.parquet is gone")}, Version(1, 0, {}))
    Traceback (most recent call last):
    tracklake.storage.table.verified_files.FileGoneError: runs/part-7f3a.parquet is gone
    """
    for key, error in errors.items():
        if isinstance(error, FileGoneError) and key not in newest.partitions:
            raise error


def without_records(storage: Storage, part: Partition, error: LakeError) -> Unreadable:
    """Return what a runs file costs that cannot be read: its runs, as far as the states beside it tell of them.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> without_records(lake._storage, part, LakeError("runs/part-7f3a.parquet is gone")).cost
    "All of runs 'fast', 'slow' is left out, and what the lake says of itself there"
    """
    try:
        run_ids = partitions.runs_with_points(storage, part)
    except LakeError:
        return Unreadable(part, "runs", error, frozenset(), "All of its runs is left out, which it alone can name")
    cost = f"All of {named(run_ids)} is left out, and what the lake says of itself there"
    return Unreadable(part, "runs", error, run_ids, cost)


def without_values(part: Partition, sibling: Sibling, error: LakeError, run_ids: Iterable[str]) -> Unreadable:
    """Return what a file of points or states costs that cannot be read: those of its runs.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> without_values(part, "history", LakeError("history/part-7f3a.parquet is gone"), ["a"]).cost
    "The points of run 'a' are left out"
    """
    lost = frozenset(run_ids) - {LAKE_RUN}
    what = "points" if sibling == "history" else "summaries"
    return Unreadable(part, sibling, error, lost, f"The {what} of {named(lost)} are left out")


def without_states(part: Partition, error: LakeError) -> Unreadable:
    """Return what a file of states costs that cannot be read, where its points can be: time.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> without_states(part, LakeError("it is gone")).cost
    'What it holds is computed from the points'
    """
    return Unreadable(part, "states", error, frozenset(), "What it holds is computed from the points")


def computed_states(storage: Storage, part: Partition) -> pl.DataFrame:
    """Return the states of a partition, computed from its points; none where these cannot be read either.

    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> computed_states(lake._storage, part).height
    10
    """
    try:
        return pl.concat([pl.DataFrame(schema=STATES), *table.recomputation.states_of(storage, part)])
    except LakeError:
        return pl.DataFrame(schema=STATES)


class LeftOut:
    """What a snapshot leaves out: what was `unreadable` from the beginning, and each file that is found to be so."""

    def __init__(self, storage: Storage, unreadable: Iterable[Unreadable] = ()) -> None:
        self._storage = storage
        self._files = {(file.partition.id, file.sibling): file for file in unreadable}

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self._files)

    @property
    def sentences(self) -> list[str]:
        """What is to be told at every question.

        >>> LeftOut(example()._storage).sentences
        []
        """
        return [str(file) for file in self._files.values()]

    def run_ids(self, *siblings: Sibling) -> frozenset[str]:
        """Return the runs that are left out because a file of these kinds cannot be read.

        >>> LeftOut(example()._storage).run_ids("history")
        frozenset()
        """
        return frozenset().union(*(file.run_ids for file in self._files.values() if file.sibling in siblings))

    def tell(self, file: Unreadable) -> None:
        """Add a file; warn of it, if it is not known yet.

        >>> import warnings
        >>> lake = example()
        >>> _ = lake.refresh()
        >>> (part,) = lake._view.snapshot.version.partitions.values()
        >>> with warnings.catch_warnings(record=True, action="always") as told:
        ...     left_out = LeftOut(lake._storage)
        ...     for _ in range(2):
        ...         left_out.tell(without_records(lake._storage, part, LakeError("it is gone")))
        >>> len(told), left_out.has_returned()  # it is there, in truth
        (1, True)
        """
        key = (file.partition.id, file.sibling)
        if key not in self._files:
            self._files[key] = file
            warn(str(file))

    def has_returned(self) -> bool:
        """Tell whether a file can be read again.

        >>> LeftOut(example()._storage).has_returned()
        False
        """
        files = self._files.values()
        return any(readable(self._storage, [file.partition], file.sibling)[0] != [None] for file in files)


def named(run_ids: Collection[str]) -> str:
    """Name some runs.

    >>> named(["b", "a"]), named([str(n) for n in range(7)])
    ("runs 'a', 'b'", "runs '0', '1', '2', '3', '4' and 2 more")
    """
    first = ", ".join(map(repr, sorted(run_ids)[:_NAMED]))
    more = f" and {len(run_ids) - _NAMED:,} more" if len(run_ids) > _NAMED else ""
    return f"run{'' if len(run_ids) == 1 else 's'} {first}{more}"
