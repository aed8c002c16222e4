"""A storage that refuses to be written to: that of a lake as it was."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tracklake.errors import LakeError

if TYPE_CHECKING:
    from tracklake.storage.backend import Storage

_READS = {"describe", "fetch", "follow", "list", "location", "lock_path", "read", "root", "uri"}
"""What a storage has that writes nothing; all else, also what a later one may have, is refused."""


class ReadOnly:
    """Hands on what reads and raises LakeError, with the reason, for what writes.

    >>> storage = ReadOnly(example()._storage, reason="it is a copy")
    >>> storage.list("journal")[0].name[:5]
    'fast-'
    >>> storage.delete("journal/x")
    Traceback (most recent call last):
    tracklake.errors.LakeError: nothing can be written: it is a copy
    """

    def __init__(self, storage: Storage, *, reason: str) -> None:
        self._storage = storage
        self._reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how a copy is made where a task runs."""
        return partial(ReadOnly, reason=self._reason), (self._storage,)

    def __getattr__(self, name: str) -> Any:
        """Return what the storage has under a name."""
        if name.startswith("_"):  # what Python itself asks every object for
            raise AttributeError(name)
        if name not in _READS:
            raise LakeError(f"nothing can be written: {self._reason}")
        return getattr(self._storage, name)
