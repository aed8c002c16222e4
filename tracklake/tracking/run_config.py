"""The config of a run: values that are stored as they are set, and change only when that is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from tracklake.common.warnings import warn
from tracklake.errors import ConfigError, UnstorableValueError
from tracklake.schema import arrays, naming, nesting, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import NOTHING
from tracklake.tracking import config_values

if TYPE_CHECKING:
    from tracklake.schema.values import Stored
    from tracklake.tracking.run_mappings import Change, Store


class Config(Mapping[str, Any]):
    """The config of one run: nested values, item and attribute access; existing values change only when allowed.

    >>> config = Config({"lr": 0.1}, store=lambda changes: None)
    >>> config.seed = 3
    >>> config["lr"], config["seed"]
    (0.1, 3)
    """

    _INTERNAL = frozenset({"_items", "_store", "_locked"})

    def __init__(self, current: dict[str, Any], *, store: Store) -> None:
        self._store = store
        self._items: dict[str, Any] = {}
        self._hold(current)
        self._locked: dict[str, str] = {}

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __iter__(self) -> Iterator[str]:
        config_values.tell_yaml()  # who writes `dict(run.config)` has imported it by now
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in Config._INTERNAL:
            raise AttributeError(name)
        try:
            return self._items[name]
        except KeyError:
            msg = f"the config has no {name!r}; it has {sorted(self._items)}"
            raise AttributeError(msg) from None

    def __setattr__(self, name: str, value: object) -> None:
        if name in Config._INTERNAL:
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __repr__(self) -> str:
        return repr(self._items)

    def update(self, mapping: object, allow_val_change: bool | None = None) -> None:  # noqa: FBT001 - as W&B
        """Set values. A key that has another value raises ConfigError unless `allow_val_change`; adding is free.

        Of a nested value only what differs is stored, beside what others set in it meanwhile.

        Takes a mapping, argparse Namespace, dataclass or pydantic model. Nothing is written if any value is refused.

        >>> config = Config({"lr": 0.1}, store=lambda changes: None)
        >>> config.update({"seed": 3})
        >>> config.update({"lr": 0.2})
        Traceback (most recent call last):
        tracklake.errors.ConfigError: config['lr'] is 0.1 and would become 0.2; say ...
        """
        self._update(nesting.as_mapping(mapping), allowed=bool(allow_val_change))

    def change(self, path: tuple[str, ...], value: object, *, allow_val_change: bool = False) -> None:
        """Set the value at a path. Of what stands beside it nothing is stored: others may have set that meanwhile.

        >>> config = Config({"opt": {"lr": 0.1, "n": 1}}, store=print)
        >>> config.change(("opt", "n"), 1)
        [(<StatementKind.CONFIG: 'config'>, 'opt.n', Stored(kind=1, value=1.0, ival=1, text=None))]
        """
        top = here = config_values.plain(self._items.get(path[0], {}))
        for part in path[1:-1]:
            here = here[part]
        if len(path) > 1:
            here[path[-1]] = value
        else:
            top = value
        self._update({path[0]: top}, allowed=allow_val_change, at=path[1:])

    def _update(self, mapping: dict[str, Any], *, allowed: bool, at: tuple[str, ...] = ()) -> None:
        """Store values: of those that are there what differs, and all that is set `at` a path in them."""
        changes: list[Change] = []
        fresh = {}
        for key, value in self._unlocked(mapping).items():
            leaves = stored_leaves(key, value)
            fresh[key] = naming.nest(((key, *path), values.restore(*stored)) for path, stored in leaves)[key]
            if key in self._items:
                leaves, gone = self._differing(key, fresh[key], dict(leaves), allowed=allowed, at=at)
                changes += [(StatementKind.UNSET, naming.join((key, *path)), NOTHING) for path in gone]
            changes += [(StatementKind.CONFIG, naming.join((key, *path)), stored) for path, stored in leaves]
        if changes:
            self._store(changes)
            self._hold(fresh)

    def _differing(
        self, key: str, fresh: Any, leaves: dict[tuple[str, ...], Stored], *, allowed: bool, at: tuple[str, ...]
    ) -> tuple[list[tuple[tuple[str, ...], Stored]], list[tuple[str, ...]]]:
        """Return what of a value that is there becomes another, and the paths that go; all that is set `at` a path."""
        is_same = _same(self._items[key], fresh)
        if not is_same and not _only_adds(self._items[key], fresh):
            self._refuse_change(key, fresh, allowed=allowed)
        before = dict(stored_leaves(key, self._items[key], warns=False)) if at or not is_same else {}
        is_set = [
            (path, stored)
            for path, stored in leaves.items()
            if before.get(path) != stored or (at and path[: len(at)] == at)
        ]
        return is_set, sorted(before.keys() - leaves)

    def lock(self, config: Mapping[str, Any], *, by: str) -> None:
        """Set values that no later `update` changes: what a sweep tries. They are told who locked them.

        >>> config = Config({}, store=lambda changes: None)
        >>> config.lock({"lr": 0.1}, by="sweep s1")
        >>> config.lr = 0.2
        >>> config.lr
        0.1
        """
        self.update(config, allow_val_change=True)
        self._locked |= dict.fromkeys(config, by)

    def setdefaults(self, mapping: object) -> None:
        """Set the values whose keys are not there yet.

        >>> config = Config({"lr": 0.1}, store=lambda changes: None)
        >>> config.setdefaults({"lr": 0.2, "seed": 3})
        >>> config
        {'lr': 0.1, 'seed': 3}
        """
        self.update({k: v for k, v in nesting.as_mapping(mapping).items() if k not in self._items})

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as a plain nested dict.

        >>> Config({"model": {"depth": 3}}, store=lambda changes: None).as_dict()
        {'model': {'depth': 3}}
        """
        return cast("dict[str, Any]", config_values.plain(self._items))

    def _hold(self, fresh: dict[str, Any]) -> None:
        for key, value in fresh.items():
            self._items[key] = config_values.nested(value, path=(key,), change=self.change)

    def _unlocked(self, values: dict[str, Any]) -> dict[str, Any]:
        """Leave out the values that are locked, with a warning where they would become others."""
        for key in self._locked.keys() & values.keys():
            if not _same(self._items[key], values[key]):
                warn(f"tracklake: config[{key!r}] stays {self._items[key]!r}: {self._locked[key]} has locked it")
        return {key: value for key, value in values.items() if key not in self._locked}

    def _refuse_change(self, key: str, value: object, *, allowed: bool) -> None:
        if not allowed:
            msg = (
                f"config[{key!r}] is {self._items[key]!r} and would become {value!r}; "
                "say run.config.update({...}, allow_val_change=True) if that is meant"
            )
            raise ConfigError(msg)


def _same(a: object, b: object) -> bool:
    """Compare config values; NaN is NaN."""
    return bool(a == b) or repr(a) == repr(b)


def _only_adds(before: Any, after: Any) -> bool:
    """Return whether a nested value keeps all that it had."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return _same(before, after)
    return all(key in after and _only_adds(value, after[key]) for key, value in before.items())


def stored_leaves(key: str, value: object, *, warns: bool = True) -> list[tuple[tuple[str, ...], Stored]]:
    """Return the paths and stored forms of what a config value holds; what has none is its text, with a warning.

    Raises UnstorableValueError for an array of more than 32 elements, and for a dict that is nested too deep.

    >>> stored_leaves("model", {"depth": 3})
    [(('depth',), Stored(kind=1, value=3.0, ival=3, text=None))]
    """
    leaves = []
    for path, leaf in nesting.leaves(value, name=key, any_key=True):
        try:
            stored = values.store_exact(leaf, name=key)
        except UnstorableValueError:
            if arrays.as_array(leaf) is not None:
                raise
            stored = values.store_exact(str(leaf), name=key)
            if warns:
                name = ".".join((key, *path))
                warn(f"tracklake: config[{name!r}], a {type(leaf).__name__}, has no stored form: its text is kept")
        leaves.append((path, stored))
    return leaves
