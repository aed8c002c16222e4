"""A summary by the rules of W&B's public API: what is set in it is stored when `update` says so."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tracklake.schema import naming, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import NOTHING
from tracklake.tracking.run_mappings import Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.storage.backend import Storage
    from tracklake.tracking.run_mappings import Change


class ApiSummary(Summary):
    """A summary of which changes are stored by `update`, all of them at once."""

    _INTERNAL = Summary._INTERNAL | {"_held"}  # noqa: SLF001 - of its own base

    def __init__(self, pending: Held, *, storage: Storage, path: str | None = None) -> None:
        self._held = pending
        super().__init__(entries=pending.entries, store=pending.say, storage=storage, path=path)

    def update(self, other: Any = (), /, **more: object) -> None:
        """Set several entries, and store all that was set or deleted.

        >>> lake = example()
        >>> run = tl.Api(lake.dir).run("slow")
        >>> run.summary["rating"] = "poor"
        >>> run.summary.update(loss=0.1)
        >>> lake.runs(runs="slow", columns=["summary.acc", "summary.loss", "summary.rating"]).rows()
        [('slow', 0.6, 0.1, 'poor')]
        """
        super().update(other, **more)
        self._held.store()

    def _at(self, path: str) -> Summary:
        return ApiSummary(self._held, storage=self._storage, path=path)


class Held:
    """Entries of a summary with changes that are not stored yet."""

    def __init__(self, entries: dict[str, Any], store: Callable[[list[Change]], None]) -> None:
        self._entries = deepcopy(entries)
        self._store = store
        self._changes: list[Change] = []

    def entries(self, _: str | None = None) -> dict[str, Any]:
        """Return the entries by full name, with what was changed.

        >>> Held({"loss": 0.5}, store=print).entries()
        {'loss': 0.5}
        """
        return self._entries

    def say(self, changes: list[Change]) -> None:
        """Apply edits and erasures to what is held; they replace what stands above and under their key.

        >>> held = Held({"loss": 0.5, "val": 0.7}, store=print)
        >>> held.say([("edit", "val.acc", values.store(0.9, name="val.acc"))])
        >>> held.entries()
        {'loss': 0.5, 'val.acc': 0.9}
        """
        written = {
            key for op, key, _ in changes if op == StatementKind.EDIT
        }  # names of one call replace no other of it
        for op, key, stored in changes:
            under = [name for name in self._entries if name == key or name.startswith(f"{key}.")]
            above = [name for name in naming.parents(key) if name in self._entries] if op == StatementKind.EDIT else []
            replaced = [name for name in (*under, *above) if name == key or name not in written]
            for name in replaced:
                del self._entries[name]
            self._changes += [(StatementKind.ERASE, name, NOTHING) for name in replaced if name != key]
            self._changes.append((op, key, stored))
            if op == StatementKind.EDIT:
                self._entries[key] = values.restore(*stored)

    def store(self) -> None:
        """Store what was changed, once.

        >>> held = Held({"loss": 0.5}, store=lambda changes: print(len(changes), "change"))
        >>> held.say([("erase", "loss", values.store(None, name="loss"))])
        >>> held.store(), held.store()
        1 change
        (None, None)
        """
        changes, self._changes = self._changes, []
        if changes:
            self._store(changes)
