"""Several lakes, read as one; what changes runs goes to the lake in which they lie."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import polars as pl

from tracklake.common.interrupts import raised_again_by_methods
from tracklake.errors import LakeError
from tracklake.lake.lake import Lake
from tracklake.query.federated_snapshot import FederatedSnapshot
from tracklake.storage.layout import is_url

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from tracklake.lake.integrity import Report
    from tracklake.query.run_filter import Runs
    from tracklake.query.sandbox.limits import Limits
    from tracklake.storage.backend import Storage
    from tracklake.storage.table.snapshot_reader import SnapshotReader
    from tracklake.storage.table.snapshot_view import SnapshotView


@raised_again_by_methods
class FederatedLake(Lake):
    """The runs of several lakes side by side, with a column `lake`. Made by `tracklake.open` of several places.

    Each run is as in its own lake, definitions included. Of runs with the same id each is called `id@lake`; a run that
    several lakes hold is there once. A run can be edited (`run(id).summary[...]`, `.config`, `.tags`); all else that
    writes needs one lake, and says so.

    >>> one, two = example(), tl.open("other", create=True)
    >>> tl.init("example", id="third", dir=two.dir).finish()
    >>> tl.open([one.dir, two.dir]).runs(columns=["run_id", "lake"]).rows()[1:]
    [('fast', 'lake'), ('third', 'other')]
    """

    def __init__(
        self,
        roots: Sequence[os.PathLike[str] | str],
        *,
        storage_options: Mapping[str, str] | None = None,
        queries: Sequence[os.PathLike[str] | str] = (),
        project: str | None = None,
        sql_memory: str | None = None,
        sql_seconds: float | None = None,
    ) -> None:
        lakes = [Lake(root, storage_options=storage_options if is_url(str(root)) else None) for root in roots]
        self._lakes = dict(zip(_names([lake._storage.root for lake in lakes]), lakes, strict=True))  # noqa: SLF001
        super().__init__(queries=queries, project=project, sql_memory=sql_memory, sql_seconds=sql_seconds)

    def _connect(self, *_: object, **__: object) -> Storage:
        return cast("Storage", _Places([str(lake.dir) for lake in self._lakes.values()]))

    @cached_property
    def _reader(self) -> SnapshotReader:
        readers = {name: lake._reader for name, lake in self._lakes.items()}  # noqa: SLF001 - of its own class
        return cast("SnapshotReader", _FederatedReader(readers, self._storage))

    def _reopened(self, limits: Limits | None = None) -> Self:
        other = super()._reopened(limits)
        other._lakes = {name: lake._reopened(limits) for name, lake in self._lakes.items()}  # noqa: SLF001
        return other

    @property
    def _storages(self) -> list[Storage]:
        return [storage for lake in self._lakes.values() for storage in lake._storages]  # noqa: SLF001

    @property
    def _members(self) -> FederatedSnapshot:
        return cast("FederatedSnapshot", self._reader.snapshot())

    def _place_of(self, run_id: str) -> tuple[Storage, str]:
        snapshot = self._members
        member = next(m for m in snapshot.members if m.lake == snapshot.lake_of_run[run_id])
        return self._lakes[member.lake]._place_of(member.stored_ids[run_id])  # noqa: SLF001

    def _system_samples(self, run_ids: Collection[str] | None) -> pl.DataFrame:
        parts = [
            member.shown(self._lakes[member.lake]._system_samples(member.chosen(run_ids)))  # noqa: SLF001
            for member in self._members.members
        ]
        return pl.concat(parts).sort("run_id", "metric", "time")

    def check(self, *, full: bool = False) -> Report:
        """Is everything sound in each of the lakes? See `Lake.check`.

        >>> lake = example()
        >>> other = tl.open("other", create=True)
        >>> tl.open([lake.dir, "other"]).check().ok
        True
        """
        reports = {name: lake.check(full=full) for name, lake in self._lakes.items()}
        return dataclasses.replace(
            next(iter(reports.values())),
            checked=[f"{name}: {line}" for name, report in reports.items() for line in report.checked],
            findings=[f"{name}: {line}" for name, report in reports.items() for line in report.findings],
        )

    def restore(self, runs: Runs) -> int:  # noqa: ARG002 - as of one lake
        """Raise LakeError: a run is restored in the lake in which it was deleted; see `Lake.restore`.

        >>> lake = example()
        >>> _ = tl.open("other", create=True)
        >>> tl.open([lake.dir, "other"]).restore("slow")
        Traceback (most recent call last):
        tracklake.errors.LakeError: this needs one lake, and 2 are read as one: open the one that is meant, such as ...
        """
        raise _needs_one([str(lake.dir) for lake in self._lakes.values()])

    def at(self, version: int | datetime | str) -> Self:
        """Return the lakes as they were at a moment; see `Lake.at`. LakeError for a number: each has its own.

        >>> lake = example()
        >>> _ = lake.refresh(), tl.open("other", create=True)
        >>> tl.open([lake.dir, "other"]).at(1)
        Traceback (most recent call last):
        tracklake.errors.LakeError: version 1 of which lake? Each of lake, other has its own: give a time
        """
        if isinstance(version, int):
            raise LakeError(
                f"version {version} of which lake? Each of {', '.join(self._lakes)} has its own: give a time"
            )
        past = self._reopened()
        past._lakes = {name: lake.at(version) for name, lake in self._lakes.items()}  # noqa: SLF001
        return past


class _FederatedReader:
    """Takes snapshots of several lakes as one: the same object again if nothing has changed in any."""

    def __init__(self, readers: Mapping[str, SnapshotReader], places: Any) -> None:
        self._readers = readers
        self._places = places
        self._parts: dict[str, SnapshotView] = {}
        self._snapshot: FederatedSnapshot | None = None

    def snapshot(self) -> FederatedSnapshot:
        parts: dict[str, SnapshotView] = {name: reader.snapshot() for name, reader in self._readers.items()}
        if self._snapshot is None or any(parts[name] is not part for name, part in self._parts.items()):
            self._parts, self._snapshot = parts, FederatedSnapshot(parts)
        return self._snapshot

    @property
    def catalog(self) -> Any:
        """What is committed: of one lake, not of several; so this refuses."""
        return self._places.catalog


class _Places:
    """Stands where a lake has its storage: it tells where the lakes lie, and refuses all else."""

    def __init__(self, places: Sequence[str]) -> None:
        self._places = places

    @property
    def location(self) -> str:
        """The places, as `tracklake.open` takes them."""
        return ",".join(self._places)

    root = location

    def describe(self, _: str = "") -> str:
        """Return the places, for messages."""
        return " and ".join(self._places)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _needs_one(self._places)


def _needs_one(places: Sequence[str]) -> LakeError:
    return LakeError(
        f"this needs one lake, and {len(places)} are read as one: open the one that is meant, such as "
        f"tracklake.open({places[0]!r})"
    )


def _names(roots: Sequence[Path | str]) -> list[str]:
    """Return a name for each lake: so much of the end of its path as tells it from the others."""
    paths = [str(root if is_url(str(root)) else Path(root).resolve()).rstrip("/").split("/") for root in roots]
    for one, other in itertools.combinations(paths, 2):
        if one == other:
            raise LakeError(f"{'/'.join(one)} is named twice")
    if not paths:
        raise LakeError("no lake is named; give one or several: tracklake.open(['./lake', '/other/lake'])")
    return ["/".join(_distinct_end(path, [p for p in paths if p is not path])) for path in paths]


def _distinct_end(path: list[str], others: list[list[str]]) -> list[str]:
    ends = (path[-length:] for length in range(1, len(path)))
    return next((end for end in ends if all(other[-len(end) :] != end for other in others)), path)
