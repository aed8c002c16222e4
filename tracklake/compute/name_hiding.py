"""Hiding of names above and under each other, such as `a` and `a.b`: what is written later replaces its relatives.

An entry is hidden if a name above it was written or erased later, or a name under it was written later. Names of one
call have one stamp, so they never hide each other. Two forms of the rule, tested against each other: of frames of
many runs, and of one name of the run being written.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.schema import naming
from tracklake.schema.statement_kind import StatementKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping


class NameFamilies:
    """Names that stand above or under each other."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: dict[str, None] = {}
        self._under: dict[str, dict[str, None]] = defaultdict(dict)
        self.add(names)

    def __contains__(self, name: object) -> bool:
        """Return whether the name was added."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order in which they came."""
        return iter(self._names)

    def add(self, names: Iterable[str]) -> bool:
        """Add names; return whether a new one of them has relatives.

        >>> families = NameFamilies()
        >>> families.add(["a", "b"]), families.add(["a.x"]), families.add(["a.x"])
        (False, True, False)
        """
        new = [name for name in names if name not in self._names]
        for name in new:
            for parent in naming.parents(name):
                self._under[parent][name] = None
        self._names.update(
            dict.fromkeys(new)
        )  # last: a name that is there has all of its relatives, interrupted or not
        return any(self.relatives(new))

    def above(self, name: str) -> Iterator[str]:
        """Yield the names above one, the shortest first.

        >>> list(NameFamilies(["a", "a.x", "b"]).above("a.x.y"))
        ['a', 'a.x']
        """
        yield from (parent for parent in naming.parents(name) if parent in self._names)

    def under(self, name: str) -> Iterator[str]:
        """Yield the names under one.

        >>> list(NameFamilies(["a", "a.x", "b"]).under("a"))
        ['a.x']
        """
        yield from self._under.get(name, ())

    def relatives(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the names above and under these.

        >>> list(NameFamilies(["a", "a.x", "a.x.y", "b"]).relatives(["a.x"]))
        ['a', 'a.x.y']
        """
        for name in names:
            if "." in name:
                yield from self.above(name)
            if name in self._under:
                yield from self._under[name]


class Stamps(NamedTuple):
    """When a name was written last, and when erased last; -1 if never."""

    written: int
    erased: int


def is_hidden(name: str, at: int, stamps: Mapping[str, Stamps], families: NameFamilies) -> bool:
    """Return whether an entry that was written at a stamp is hidden by a relative of its name.

    >>> families, stamps = NameFamilies(["a", "a.b"]), {"a": Stamps(5, -1), "a.b": Stamps(3, 7)}
    >>> is_hidden("a.b", 3, stamps, families), is_hidden("a", 5, stamps, families)
    (True, False)
    """
    by_above = any(max(stamps[above]) > at for above in families.above(name) if above in stamps)
    return by_above or any(stamps[under].written > at for under in families.under(name) if under in stamps)


def with_relatives(wanted: Iterable[str], names: Collection[str]) -> list[str]:
    """Return the names wanted, and those above and under them, sorted.

    >>> with_relatives(["a.b"], ["a", "a.b", "a.b.c", "x"])
    ['a', 'a.b', 'a.b.c']
    """
    wanted = set(wanted)
    above = {parent for name in wanted for parent in naming.parents(name)} & set(names)
    under = {name for name in names if not wanted.isdisjoint(naming.parents(name))}
    return sorted(wanted | above | under)


def related_pairs(names: Collection[str]) -> list[tuple[str, str]]:
    """Return each (name above, name under) of the names.

    >>> related_pairs(["a", "a.b", "x"])
    [('a', 'a.b')]
    """
    existing = set(names)
    return [(parent, name) for name in existing for parent in naming.parents(name) if parent in existing]


def unhidden(entries: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the entries that no relative hides. Both have run_id, key, ts; events also op (tables.STATEMENT).

    An event of any op but ERASE writes its key. There may be several of one key.

    >>> events = pl.DataFrame({"run_id": "r", "key": ["a", "a.b"], "ts": [5, 3], "op": "edit"})
    >>> unhidden(events, events)["key"].to_list()
    ['a']
    """
    pairs = related_pairs(events["key"].unique().to_list())
    if not pairs:
        return entries
    kin = pl.DataFrame(pairs, schema={"above": pl.String, "under": pl.String}, orient="row")
    by_above = kin.select(pl.col("above").alias("by"), pl.col("under").alias("key"), may_erase=pl.lit(value=True))
    by_under = kin.select(pl.col("under").alias("by"), pl.col("above").alias("key"), may_erase=pl.lit(value=False))
    acts = events.select("run_id", pl.col("key").alias("by"), pl.col("ts").alias("hidden_at"), "op")
    hiding = pl.concat([by_above, by_under]).join(acts, on="by")
    hiding = hiding.filter((pl.col("op") != StatementKind.ERASE) | pl.col("may_erase"))
    latest = hiding.group_by("run_id", "key").agg(pl.col("hidden_at").max())
    dated = entries.join(latest, on=["run_id", "key"], how="left", maintain_order="left")
    return dated.filter(pl.col("hidden_at").is_null() | (pl.col("ts") >= pl.col("hidden_at"))).drop("hidden_at")
