"""The summary of a run: a mapping that is written through as it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from tracklake.schema import arrays, naming, nesting, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import NOTHING, Kind, Stored
from tracklake.storage import content_files
from tracklake.tracking.artifacts.media import recognition

if TYPE_CHECKING:
    import numpy as np

    from tracklake.storage.backend import Storage

Change = tuple[StatementKind, str, Stored]
"""(said, key, value): said is edit or erase in a summary, config or unset in a config."""
Store = Callable[[list[Change]], None]
Entries = Callable[[str | None], dict[str, Any]]
"""Gives a summary's entries by full name: of a name at least those at, above and under it; of None all."""


class Summary(MutableMapping[str, Any]):
    """What one run's summary holds: views over its history, and what was set by hand.

    A mapping that answers to full names (`summary["train.loss"]`) and to their parts (`summary["train"]["loss"]`), with
    attribute style as well. Assignment replaces an entry, a nested one keeps its siblings; None erases; arrays of more
    than 32 elements are saved whole and held as their statistics (see `array`).

    >>> summary = example().run("fast").summary
    >>> summary["test"] = {"acc": 0.7}
    >>> summary["test"]["acc"], summary["test.acc"], summary.loss
    (0.7, 0.7, 0.75)
    """

    _INTERNAL = frozenset({"_entries", "_store", "_storage", "_path"})
    _entries: Entries
    _store: Store
    _storage: Storage
    _path: str | None
    """The full name of what this is a part of; None for the summary itself, as the empty name is one like others."""

    def __init__(self, *, entries: Entries, store: Store, storage: Storage, path: str | None = None) -> None:
        # at once, past __setattr__: one is made for every part that is looked at
        self.__dict__.update(_entries=entries, _store=store, _storage=storage, _path=path)

    def __getitem__(self, key: str) -> Any:
        entry = self._find(key)
        return self._at(self._full(key)) if isinstance(entry, dict) else entry

    def __setitem__(self, key: str, value: object) -> None:
        self._set({key: value})

    def __delitem__(self, key: str) -> None:
        self._find(key)
        self._store([*self._apart([key]), (StatementKind.ERASE, self._full(key), NOTHING)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._here())

    def __len__(self) -> int:
        return len(self._here())

    def __contains__(self, key: object) -> bool:
        try:
            self._find(key)
        except KeyError:
            return False
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in self._INTERNAL:
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            msg = f"the summary has no {name!r}; it has {sorted(self)}"
            raise AttributeError(msg) from None

    def __setattr__(self, name: str, value: object) -> None:
        if name in self._INTERNAL:
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._json_dict == nesting.plain(other)

    __hash__ = None  # type: ignore[assignment] # a mutable mapping

    def __repr__(self) -> str:
        return repr(self._here())

    @property
    def _json_dict(self) -> dict[str, Any]:
        """The entries as a plain nested dict."""
        return self._here()

    def update(self, other: Any = (), /, **more: object) -> None:
        """Set several entries; a dict replaces what stands under its key whole.

        >>> summary = example().run("fast").summary
        >>> summary.update({"note": "rerun"}, loss=0.1)
        >>> summary["acc"], summary["loss"], summary.note
        (0.8, 0.1, 'rerun')
        """
        self._set({**dict(other), **more})

    def array(self, key: str) -> np.ndarray[Any, Any]:
        """Return an array that was set in this summary, whole, memory-mapped and read-only.

        Raises KeyError if there is no such entry, TypeError if it is no saved array.

        >>> import numpy as np
        >>> summary = example().run("fast").summary
        >>> summary["confusion"] = np.eye(10)
        >>> summary.array("confusion").shape, summary["confusion"]["mean"]
        ((10, 10), 0.1)
        """
        entry = self[key]
        if not isinstance(entry, Mapping) or "path" not in entry:
            saved = f"an array of more than {values.LIST_LIMIT} elements is"
            msg = f"summary[{key!r}] is {entry!r}, not a saved array ({saved})"
            raise TypeError(msg)
        return arrays.load(content_files.verified(self._storage, str(entry["path"])))

    def _at(self, path: str) -> Summary:
        """Return the part of the summary under a full name."""
        return Summary(entries=self._entries, store=self._store, storage=self._storage, path=path)

    def _set(self, entries: Mapping[str, object]) -> None:
        changes = [change for key, value in entries.items() for change in self._changes(key, value)]
        if changes:
            self._store([*self._apart(entries), *changes])

    def _here(self) -> dict[str, Any]:
        if self._path is None:
            return naming.nest_entries(self._entries(None))
        try:
            entry = nesting.find(self._entries(self._path), self._path)
        except KeyError:
            return {}
        return entry if isinstance(entry, dict) else {}

    def _find(self, key: object) -> Any:
        if not isinstance(key, str):
            raise KeyError(key)
        name = self._full(key)
        return nesting.find(self._entries(name), name)

    def _full(self, key: str) -> str:
        name = naming.metric_name(key)
        return name if self._path is None else f"{self._path}.{name}"

    def _changes(self, key: str, value: object) -> Iterator[Change]:
        """Yield the edits that put a value under a key."""
        if not isinstance(key, str):
            msg = f"a summary key must be a str, not {key!r}"
            raise TypeError(msg)
        if not key and self._path is None:
            msg = "a summary key must not be empty"
            raise ValueError(msg)
        name = self._full(key)
        leaves = [leaf for item in nesting.leaves(value, name=name) for leaf in self._saved(*item)]
        if value is None or any(path for path, _ in leaves):  # what stands under the key goes, too
            yield StatementKind.ERASE, name, NOTHING
        for path, leaf in leaves:
            stored = values.store_exact(leaf, name=name)
            if stored.kind != Kind.NULL:
                yield StatementKind.EDIT, ".".join((name, *path)), stored

    def _apart(self, keys: Iterable[str]) -> Iterator[Change]:
        """Yield the parts of entries above the keys given as entries of their own, so that siblings outlive a change.

        A view such as {"min": 1, "last": 2} and a dict that is one value are such entries.
        """
        above = dict.fromkeys(parent for key in keys for parent in naming.parents(self._full(key)))
        for parent in above:
            entry = self._entries(parent).get(parent)
            if isinstance(entry, dict):
                for path, leaf in nesting.leaves(entry, name=parent, whole=False):
                    yield StatementKind.EDIT, ".".join((parent, *path)), values.store_exact(leaf, name=parent)

    def _saved(self, path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], object]]:
        """Save a large array and yield what the summary holds in its place; yield anything else as it is."""
        value = recognition.entry_of(value, lake=self._storage)
        detected = arrays.as_array(value)
        if detected is None or detected[0].size <= values.LIST_LIMIT:
            yield path, value
            return
        array, type_name = detected
        described = arrays.describe(array, type_name=type_name)
        file, sha256 = arrays.save(array, folder=self._storage.content_folder())
        self._storage.publish_content(file)
        for name, part in {**described, "path": f"files/{file}", "sha256": sha256}.items():
            yield (*path, name), part
