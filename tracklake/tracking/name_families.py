"""Which of the names that a session has logged stand above or under each other."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class NameFamilies:
    """The names of a session that stand above or under each other, such as `a` and `a.b`."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._under: dict[str, dict[str, None]] = defaultdict(dict)

    def add(self, names: Iterable[str]) -> bool:
        """Add the names of a row; tell whether a new one of them has relatives.

        >>> families = NameFamilies()
        >>> families.add(["a", "b"]), families.add(["a.x"]), families.add(["a.x"])
        (False, True, False)
        """
        new = [name for name in names if name not in self._names]
        for name in new:
            for parent in naming.parents(name):
                self._under[parent][name] = None
        self._names.update(new)  # last: a name that is there has all of its relatives, whatever interrupts
        return any(self.relatives(new))

    def relatives(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the names above and under these.

        >>> families = NameFamilies()
        >>> _ = families.add(["a", "a.x", "a.x.y", "b"])
        >>> list(families.relatives(["a.x"]))
        ['a', 'a.x.y']
        """
        for name in names:
            yield from (parent for parent in naming.parents(name) if parent in self._names)
            yield from self._under.get(name, ())
