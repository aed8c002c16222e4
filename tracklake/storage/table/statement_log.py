"""The statements of a snapshot, read by kind and key as they are asked for, and remembered for each partition.

The rows of a large partition are sorted by kind and key, so that one value of config of all runs is read without the
others. Small partitions and live journals are in memory as a whole: to read them takes less than to choose.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING

import polars as pl

from tracklake.compute import scans, sorted_groups
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import SESSIONS
from tracklake.storage.journal.statements import STATEMENTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

_Name = tuple[str, str]
"""Kind and key of a statement."""
_NAME = ["op", "key"]
_FEW_RUNS = 1000
_EQUALITIES = 64
_EMPTY = pl.DataFrame(schema=STATEMENTS)
_IS_STATEMENT = pl.col("op") != StatementKind.HEADER
_READ = [*STATEMENTS, "place"]


class SealedStatements:
    """The statements of one large partition: what of them was read is kept, since the file never changes."""

    def __init__(self, path: Path, names: Iterable[tuple[str, ...]] | None = None) -> None:
        """Take a runs file (schema SESSIONS), unread, and which kinds and keys it has, if that is known."""
        self.path = path
        wanted = None if names is None else ((op, key) for op, key in names if op != StatementKind.HEADER)
        self._names: frozenset[_Name] | None = None if wanted is None else frozenset(wanted)
        self._read: dict[_Name, pl.DataFrame] = {}

    @property
    def names(self) -> frozenset[_Name]:
        """Kind and key of all statements.

        >>> from pathlib import Path
        >>> lake = example()
        >>> _ = lake.refresh()
        >>> (path,) = Path("lake/runs").iterdir()
        >>> ("config", "lr") in SealedStatements(path).names
        True
        """
        load_names([self])
        return self._names or frozenset()

    def missing(self, names: Collection[_Name]) -> list[_Name]:
        """Return those of the names that are there and were not read yet, sorted.

        >>> from pathlib import Path
        >>> lake = example()
        >>> _ = lake.refresh()
        >>> (path,) = Path("lake/runs").iterdir()
        >>> SealedStatements(path).missing([("config", "lr"), ("edit", "x")])
        [('config', 'lr')]
        """
        return sorted(self.names.intersection(names).difference(self._read))

    def of(self, names: Collection[_Name]) -> list[pl.DataFrame]:
        """Return what was read under these names, a frame each, in the order of names (schema STATEMENTS and place).

        >>> from pathlib import Path
        >>> lake = example()
        >>> _ = lake.refresh()
        >>> part = SealedStatements(*Path("lake/runs").iterdir())
        >>> load([part], [("config", "lr")])
        >>> [frame["value"].to_list() for frame in part.of([("config", "lr")])]
        [[0.1, 0.01]]
        """
        return [self._read[name] for name in sorted(self.names.intersection(names))]


def load_names(parts: Iterable[SealedStatements]) -> None:
    """Read which kinds and keys partitions have, of several at once.

    >>> load_names([])
    """
    new = [part for part in parts if part._names is None]  # noqa: SLF001 - one noun, two forms
    frames = scans.collect_each([part.path for part in new], _IS_STATEMENT, _NAME, schema=SESSIONS)
    for part, frame in zip(new, frames, strict=True):
        part._names = frozenset(frame.unique().iter_rows())  # noqa: SLF001


def load(parts: Sequence[SealedStatements], names: Collection[_Name]) -> None:
    """Read the statements of some kinds and keys, of several partitions at once.

    >>> load([], [("config", "lr")])
    """
    load_names(parts)
    by_names: dict[tuple[_Name, ...], list[SealedStatements]] = {}
    for part in parts:
        if missing := part.missing(names):
            by_names.setdefault(tuple(missing), []).append(part)
    for wanted, lacking in by_names.items():
        frames = scans.collect_each([part.path for part in lacking], _named(wanted), _READ, schema=SESSIONS)
        for part, frame in zip(lacking, frames, strict=True):
            parts_of_names = [frame] if len(wanted) == 1 else _cut(frame)
            part._read |= dict(zip(wanted, parts_of_names, strict=True))  # noqa: SLF001


def _named(names: Sequence[_Name]) -> pl.Expr:
    """Return the condition that a statement has one of some names; equality is looked up in dictionaries of a file."""
    kinds, keys = sorted({kind for kind, _ in names}), {key for _, key in names}
    chosen = _IS_STATEMENT & _one_of("op", kinds) & _one_of("key", keys)
    if len(kinds) > 1 and len(keys) > 1:  # else the names are all of their combinations that there are
        keys_of = {kind: [key for other, key in names if other == kind] for kind in kinds}
        chosen &= reduce(or_, ((pl.col("op") == kind) & pl.col("key").is_in(keys) for kind, keys in keys_of.items()))
    return chosen


def _one_of(column: str, values: Collection[str]) -> pl.Expr:
    if len(values) > _EQUALITIES:
        return pl.col(column).is_in(list(values))
    return reduce(or_, (pl.col(column) == value for value in sorted(values)))


def _cut(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut rows into those of each name; a file has them sorted."""
    frame = sorted_groups.sort(frame, by=_NAME, series=_NAME)
    starts = sorted_groups.group_starts(frame, by=_NAME).arg_true().to_list()
    return [frame[start:stop] for start, stop in zip(starts, [*starts[1:], frame.height], strict=True)]


class StatementLog(ABC):
    """The statements of a snapshot."""

    is_exact = False
    """Whether every key of `keys` is that of a statement which `of` returns."""

    @abstractmethod
    def of(
        self, *kinds: StatementKind, keys: Collection[str] | None = None, runs: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Return the statements of these kinds (all where none is named), keys and runs, each file's in their order.

        Columns as in statements.STATEMENTS.

        >>> example()._view.logged.statements.of(StatementKind.CONFIG, keys=["lr"])["value"].sort().to_list()
        [0.01, 0.1]
        """

    @abstractmethod
    def read_ahead(self, *kinds: StatementKind, keys: Collection[str]) -> None:
        """Read the statements of several keys by one scan, so that `of` finds them read.

        >>> example()._view.logged.statements.read_ahead(StatementKind.CONFIG, keys=["lr"])
        """

    @abstractmethod
    def keys(self, *kinds: StatementKind) -> list[str]:
        """Return the keys that statements of these kinds have, sorted.

        >>> example()._view.logged.statements.keys(StatementKind.CONFIG)
        ['lr']
        """

    def in_order(
        self, *kinds: StatementKind, keys: Collection[str] | None = None, runs: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Return the statements of some kinds in the order of their stamps (ts, session).

        >>> example()._view.logged.statements.in_order(StatementKind.CONFIG)["run_id"].to_list()
        ['slow', 'fast']
        """
        lines = self.of(*kinds, keys=keys, runs=runs)
        return lines if lines.is_empty() else lines.sort("ts", "session", maintain_order=True)

    def restricted(self, only: pl.Expr) -> StatementLog:
        """Return those of some runs alone.

        >>> log = example()._view.logged.statements.restricted(pl.col("run_id") == "slow")
        >>> log.of(StatementKind.CONFIG)["run_id"].to_list()
        ['slow']
        """
        return _RestrictedLog(self, only)


class _RestrictedLog(StatementLog):
    """The statements of some runs."""

    def __init__(self, inner: StatementLog, only: pl.Expr) -> None:
        self._inner = inner
        self._only = only

    def of(
        self, *kinds: StatementKind, keys: Collection[str] | None = None, runs: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Return the statements of these kinds and keys that some runs have."""
        return self._inner.of(*kinds, keys=keys, runs=runs).filter(self._only)

    def read_ahead(self, *kinds: StatementKind, keys: Collection[str]) -> None:
        """Read the statements of several keys of all runs."""
        self._inner.read_ahead(*kinds, keys=keys)

    def keys(self, *kinds: StatementKind) -> list[str]:
        """Return the keys that statements of these kinds have in any run."""
        return self._inner.keys(*kinds)


class _Loaded:
    """Statements in memory, those of a kind picked out when they are first asked for."""

    def __init__(self, frames: Sequence[pl.DataFrame]) -> None:
        self.frames = frames
        self._kinds: dict[StatementKind, pl.DataFrame] = {}

    @cached_property
    def _lines(self) -> pl.DataFrame:
        """All, with their places."""
        return pl.concat([_EMPTY, *self.frames], rechunk=True).with_row_index("place")

    def _of_kind(self, kind: StatementKind) -> pl.DataFrame:
        if kind not in self._kinds:
            self._kinds[kind] = sorted_groups.filter_rows(self._lines, self._lines["op"] == kind)
        return self._kinds[kind]

    def of(self, kinds: Sequence[StatementKind], keys: Collection[str] | None) -> pl.DataFrame:
        parts = [part for kind in kinds if (part := self._of_kind(kind)).height]
        if keys is not None:
            parts = [sorted_groups.filter_rows(part, part["key"].is_in(list(keys))) for part in parts]
        if not parts:
            return _EMPTY
        lines = parts[0] if len(parts) == 1 else pl.concat(parts).sort("place")
        return pl.DataFrame(lines.get_columns()[1:])

    def keys(self, kind: StatementKind) -> Collection[str]:
        return self._of_kind(kind)["key"].unique() if self.frames else ()


def _are_same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


class PartitionLog(StatementLog):
    """The statements of large partitions, and those of small ones and of live journals, which are in memory."""

    is_exact = True

    def __init__(
        self,
        parts: Sequence[SealedStatements],
        frames: Sequence[pl.DataFrame] = (),
        live: Sequence[pl.DataFrame] = (),
        *,
        earlier: PartitionLog | None = None,
    ) -> None:
        """Take over what an `earlier` log has made of the same frames: those of partitions seldom change."""
        self._parts = parts
        self._loaded = [_Loaded(frames), _Loaded(live)]
        if earlier is not None:
            pairs = zip(self._loaded, earlier._loaded, strict=True)  # noqa: SLF001 - of its own class
            self._loaded = [before if _are_same(loaded.frames, before.frames) else loaded for loaded, before in pairs]

    def consists_of(
        self, parts: Sequence[SealedStatements], frames: Sequence[pl.DataFrame], live: Sequence[pl.DataFrame] = ()
    ) -> bool:
        """Tell whether it is made of just these.

        >>> PartitionLog([]).consists_of([], []), PartitionLog([]).consists_of([], [pl.DataFrame()])
        (True, False)
        """
        of_partitions, of_journals = (loaded.frames for loaded in self._loaded)
        pairs = ((self._parts, parts), (of_partitions, frames), (of_journals, live))
        return all(_are_same(a, b) for a, b in pairs)

    def of(
        self, *kinds: StatementKind, keys: Collection[str] | None = None, runs: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Return the statements of these kinds, keys and runs.

        >>> PartitionLog([]).of(StatementKind.CONFIG).height
        0
        """
        kinds = kinds or tuple(StatementKind)
        frames = self._sealed(kinds, keys, runs)
        frames += [loaded.of(kinds, keys) for loaded in self._loaded if loaded.frames]
        chosen = pl.concat([_EMPTY, *frames]) if len(frames) != 1 else frames[0]
        return chosen if runs is None or chosen.is_empty() else chosen.filter(pl.col("run_id").is_in(list(runs)))

    def read_ahead(self, *kinds: StatementKind, keys: Collection[str]) -> None:
        """Read the statements of several keys, of all large partitions at once.

        >>> PartitionLog([]).read_ahead(StatementKind.CONFIG, keys=["lr"])
        """
        load(self._parts, {(kind, key) for kind in kinds for key in keys})

    def keys(self, *kinds: StatementKind) -> list[str]:
        """Return the keys that statements of these kinds have, sorted.

        >>> PartitionLog([]).keys(StatementKind.CONFIG)
        []
        """
        load_names(self._parts)
        keys = {key for part in self._parts for kind, key in part.names if kind in kinds}
        return sorted(keys.union(*(loaded.keys(kind) for loaded in self._loaded for kind in kinds)))

    def _sealed(
        self, kinds: Sequence[StatementKind], keys: Collection[str] | None, runs: Collection[str] | None
    ) -> list[pl.DataFrame]:
        """Return what large partitions have; of a few runs alone nothing is remembered."""
        if not self._parts:
            return []
        load_names(self._parts)
        names_of = [[n for n in part.names if n[0] in kinds and (keys is None or n[1] in keys)] for part in self._parts]
        pairs = [(part, names) for part, names in zip(self._parts, names_of, strict=True) if names]
        if runs is not None and len(runs) <= _FEW_RUNS and any(part.missing(names) for part, names in pairs):
            scanned = [scans.scan(part.path, schema=SESSIONS).filter(_named(names)) for part, names in pairs]
            chosen = [scans.only(lines, metrics=None, runs=runs).select(_READ) for lines in scanned]
            return [pl.DataFrame(frame.sort("place").get_columns()[:-1]) for frame in scans.collect_all(chosen)]
        load([part for part, _ in pairs], {name for _, names in pairs for name in names})
        return [_of_part(part, names) for part, names in pairs]


def _of_part(part: SealedStatements, names: list[_Name]) -> pl.DataFrame:
    frames = part.of(names)
    lines = frames[0] if len(frames) == 1 else pl.concat(frames).sort("place")
    return pl.DataFrame(lines.get_columns()[:-1])  # without its place
