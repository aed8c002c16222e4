"""The two mappings of a run: its summary and its config, written through as they are changed."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tracklake import arrays, keys, values
from tracklake.errors import ConfigError, UnstorableValueError
from tracklake.values import Kind, Stored

if TYPE_CHECKING:
    import numpy as np

Change = tuple[str, str, Stored]
"""(said, key, value): said is edit or erase in a summary, config or unset in a config."""
Say = Callable[[list[Change]], None]

NOTHING = Stored(Kind.NULL, None, None, None)
NESTED_AT_MOST = 32
"""Elements up to which an array is kept as a nested list."""


class Summary(MutableMapping[str, Any]):
    """What one run's summary holds: views over its history, and what was set by hand.

    A mapping that answers to full names (`summary["train.loss"]`) and to their parts (`summary["train"]["loss"]`), with
    attribute style as well. Assignment replaces an entry, a nested one keeps its siblings; None erases; arrays of more
    than 32 elements are saved whole and held as their statistics (see `array`).
    """

    _INTERNAL = frozenset({"_read", "_say", "_folder", "_path"})

    def __init__(
        self, *, read: Callable[[], dict[str, Any]], say: Say, folder: Path, path: tuple[str, ...] = ()
    ) -> None:
        self._read = read
        self._say = say
        self._folder = folder
        self._path = path

    def __getitem__(self, key: str) -> Any:
        found = _find(self._here(), key)
        if isinstance(found, dict):
            return Summary(read=self._read, say=self._say, folder=self._folder, path=(*self._path, *key.split(".")))
        return found

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        _find(self._here(), key)
        self._say([("erase", self._full(key), NOTHING)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._here())

    def __len__(self) -> int:
        return len(self._here())

    def __contains__(self, key: object) -> bool:
        try:
            _find(self._here(), cast("str", key))
        except KeyError:
            return False
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in Summary._INTERNAL:
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(str(error)) from None

    def __setattr__(self, name: str, value: object) -> None:
        if name in Summary._INTERNAL:
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._json_dict == _plain(other)

    __hash__ = None  # type: ignore[assignment] # a mutable mapping

    def __repr__(self) -> str:
        return repr(self._here())

    @property
    def _json_dict(self) -> dict[str, Any]:
        """The entries as a plain nested dict."""
        return self._here()

    def update(self, other: Any = (), /, **more: object) -> None:
        """Set several entries; a dict replaces what stands under its key whole."""
        given = {**dict(other), **more}
        changes = [change for key, value in given.items() for change in self._changes(key, value)]
        if changes:
            self._say(changes)

    def array(self, key: str) -> np.ndarray[Any, Any]:
        """Return an array that was set in this summary, whole, memory-mapped and read-only.

        Raises KeyError if there is no such entry, TypeError if it is no saved array.
        """
        entry = self[key]
        if not isinstance(entry, Mapping) or "path" not in entry:
            msg = (
                f"summary[{key!r}] is {entry!r}, not a saved array (arrays of more than {NESTED_AT_MOST} elements are)"
            )
            raise TypeError(msg)
        return arrays.load(self._folder / entry["path"])

    def _here(self) -> dict[str, Any]:
        found: Any = self._read()
        for part in self._path:
            found = found.get(part, {}) if isinstance(found, dict) else {}
        return found if isinstance(found, dict) else {}

    def _full(self, key: str) -> str:
        return ".".join((*self._path, keys.metric_name(key)))

    def _changes(self, key: str, value: object) -> Iterator[Change]:
        """Yield the edits that put a value under a key."""
        if not isinstance(key, str):
            msg = f"a summary key must be a str, not {key!r}"
            raise TypeError(msg)
        if not key:
            msg = "a summary key must not be empty"
            raise ValueError(msg)
        name = self._full(key)
        shown = self._saved(value)
        if shown is None or isinstance(shown, Mapping):  # what stands under the key goes, too
            yield "erase", name, NOTHING
        for path, leaf in _leaves(shown, name=name):
            stored = values.store_exact(leaf, name=name)
            if stored.kind != Kind.NULL:
                yield "edit", ".".join((name, *path)), stored

    def _saved(self, value: object) -> object:
        """Save a large array and return what the summary holds in its place."""
        found = arrays.as_array(value)
        if found is None or found[0].size <= NESTED_AT_MOST:
            return value
        array, type_name = found
        described = arrays.describe(array, type_name=type_name)
        file, sha256 = arrays.save(array, folder=self._folder / "files")
        return {**described, "path": f"files/{Path(file).name}", "sha256": sha256}


class Config(Mapping[str, Any]):
    """The config of one run: nested values, item and attribute access; existing values change only when allowed."""

    _INTERNAL = frozenset({"_values", "_say"})

    def __init__(self, current: dict[str, Any], *, say: Say) -> None:
        self._values = current
        self._say = say

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in Config._INTERNAL:
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            msg = f"the config has no {name!r}; it has {sorted(self._values)}"
            raise AttributeError(msg) from None

    def __setattr__(self, name: str, value: object) -> None:
        if name in Config._INTERNAL:
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __repr__(self) -> str:
        return repr(self._values)

    def update(self, given: object, *, allow_val_change: bool = False) -> None:
        """Set values. A key that has another value raises ConfigError unless `allow_val_change`; adding is free.

        Takes a mapping, argparse Namespace, dataclass or pydantic model. Nothing is written if any value is refused.
        """
        changes: list[Change] = []
        fresh = {}
        for key, value in as_mapping(given).items():
            leaves = [(path, values.store_exact(leaf, name=key)) for path, leaf in _leaves(value, name=key)]
            fresh[key] = keys.nest(((key, *path), values.restore(*_columns(stored))) for path, stored in leaves)[key]
            if key in self._values and self._values[key] != fresh[key]:
                self._refuse_change(key, fresh[key], allowed=allow_val_change)
                old = _leaves(self._values[key], name=key)
                changes += [("unset", keys.join((key, *path)), NOTHING) for path, _ in old]
            changes += [("config", keys.join((key, *path)), stored) for path, stored in leaves]
        if changes:
            self._say(changes)
            self._values |= fresh

    def setdefaults(self, given: object) -> None:
        """Set the values whose keys are not there yet."""
        self.update({k: v for k, v in as_mapping(given).items() if k not in self._values})

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as a plain nested dict."""
        return cast("dict[str, Any]", _plain(self._values))

    def _refuse_change(self, key: str, value: object, *, allowed: bool) -> None:
        if not allowed:
            msg = (
                f"config[{key!r}] is {self._values[key]!r} and would become {value!r}; "
                "say run.config.update({...}, allow_val_change=True) if that is meant"
            )
            raise ConfigError(msg)


def as_mapping(given: object) -> dict[str, Any]:
    """Return a config as a dict: of a mapping, argparse Namespace, dataclass or pydantic model.

    >>> as_mapping(argparse.Namespace(lr=0.1))
    {'lr': 0.1}
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        found = dict(given)
    elif isinstance(given, argparse.Namespace):
        found = vars(given).copy()
    elif dataclasses.is_dataclass(given) and not isinstance(given, type):
        found = dataclasses.asdict(given)
    elif hasattr(given, "model_dump"):
        found = given.model_dump()
    else:
        msg = f"config must be a mapping, argparse Namespace, dataclass or pydantic model, not {type(given).__name__}"
        raise ConfigError(msg)
    for key in found:
        if not isinstance(key, str) or not key:
            msg = f"a config key must be a non-empty str, not {key!r}"
            raise ConfigError(msg)
    return found


def _leaves(value: object, *, name: str, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield (path, value) of everything in a nested dict; an empty dict and a dict with `_type` in lists are values."""
    if not isinstance(value, Mapping) or not value:
        yield path, value
        return
    for key, inner in value.items():
        if not isinstance(key, str):
            msg = f"{name}: the keys of a nested dict must be str, not {key!r}"
            raise UnstorableValueError(msg)
        yield from _leaves(inner, name=name, path=(*path, key))


def _columns(stored: Stored) -> tuple[int, float | None, int | None, str | None]:
    return stored.kind, stored.value, stored.ival, stored.text


def _find(tree: dict[str, Any], key: str) -> Any:
    """Return the entry under a name or a dotted path; KeyError if there is none."""
    if not isinstance(key, str):
        raise KeyError(key)
    if key in tree:
        return tree[key]
    found: Any = tree
    for part in keys.metric_name(key).split("."):
        if not isinstance(found, dict) or part not in found:
            raise KeyError(key)
        found = found[part]
    return found


def _plain(value: object) -> object:
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value
