"""Nested values of a config: dicts and lists whose changes are stored like any other, or refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partialmethod
from typing import Any, NoReturn, Self

from tracklake.errors import ConfigError

Change = Callable[[tuple[str, ...], Any], None]
"""Stores a value at a path of the config, or raises ConfigError."""


class NestedDict(dict[str, Any]):
    """A dict in a config: a new key is stored, an existing one changes as the config allows it.

    >>> stored = []
    >>> nested = NestedDict({"k": 1}, path=("data",), change=lambda *what: stored.append(what))
    >>> nested["n"] = 2
    >>> nested, stored
    ({'k': 1, 'n': 2}, [(('data', 'n'), 2)])
    """

    def __init__(
        self,
        content: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        *,
        path: tuple[str, ...] = (),
        change: Change | None = None,
    ) -> None:
        """Take the items; without `change`, as `dataclasses.asdict` copies it, it is a dict of its own."""
        change = change or _detached
        super().__init__({key: nested(value, path=(*path, key), change=change) for key, value in dict(content).items()})
        self._path = path
        self._change = change

    def __setitem__(self, key: str, value: Any) -> None:
        path = (*self._path, key)
        self._change(path, value)
        super().__setitem__(key, nested(value, path=path, change=self._change))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a plain dict."""
        return dict, (dict(self),)

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc] # as dict
        self.update(other)
        return self

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set several keys.

        >>> nested = NestedDict({}, path=("data",), change=lambda *what: None)
        >>> nested.update({"a": 1}, b=2)
        >>> nested
        {'a': 1, 'b': 2}
        """
        for key, value in {**dict(other), **more}.items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a key; set it if there is none.

        >>> NestedDict({"a": 1}, path=("data",), change=lambda *what: None).setdefault("a", 2)
        1
        """
        if key not in self:
            self[key] = default
        return self[key]

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        name = f"config[{'.'.join(self._path)!r}]" if self._path else "a config"
        raise ConfigError(f"keys of {name} cannot be deleted; say run.config.update({{...}}, allow_val_change=True)")

    __delitem__ = pop = popitem = clear = _refuse


class NestedList(list[Any]):
    """A list in a config: one value, which changes as the config allows it.

    >>> stored = []
    >>> nested = NestedList([1], path=("seeds",), change=lambda *what: stored.append(what))
    >>> nested.append(2)
    >>> nested, stored
    ([1, 2], [(('seeds',), [1, 2])])
    """

    def __init__(
        self, content: Iterable[Any] = (), *, path: tuple[str, ...] = (), change: Change | None = None
    ) -> None:
        """Take the elements; without `change`, as `dataclasses.asdict` copies it, it is a list of its own."""
        self._path = path
        self._change = change or _detached
        super().__init__(map(self._element, content))

    def _element(self, item: Any) -> Any:
        """Return an element so that what changes inside of it changes the list."""
        copies: list[Any] = []
        copies.append(nested(item, path=(), change=lambda path, value: self._change_element(copies[0], path, value)))
        return copies[0]

    def _change_element(self, element: Any, path: tuple[str, ...], value: Any) -> None:
        changed = plain(self)
        place = next(i for i, item in enumerate(self) if item is element)
        if path:
            here = changed[place]
            for part in path[:-1]:
                here = here[part]
            here[path[-1]] = value
        else:
            changed[place] = value
        self._change(self._path, changed)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a plain list."""
        return list, (list(self),)

    def _do(self, method: str, *args: Any, **more: Any) -> Any:
        changed = plain(self)
        result = getattr(changed, method)(*args, **more)
        if changed != list(self):
            self._change(self._path, changed)
            super().__setitem__(slice(None), list(map(self._element, changed)))
        return self if method in ("__iadd__", "__imul__") else result

    __setitem__ = partialmethod(_do, "__setitem__")
    __delitem__ = partialmethod(_do, "__delitem__")
    __iadd__ = partialmethod(_do, "__iadd__")
    __imul__ = partialmethod(_do, "__imul__")
    append = partialmethod(_do, "append")
    extend = partialmethod(_do, "extend")
    insert = partialmethod(_do, "insert")
    remove = partialmethod(_do, "remove")
    pop = partialmethod(_do, "pop")
    clear = partialmethod(_do, "clear")
    sort = partialmethod(_do, "sort")
    reverse = partialmethod(_do, "reverse")


def nested(value: Any, *, path: tuple[str, ...], change: Change) -> Any:
    """Return a dict or list of a config as one whose changes are stored; anything else as it is.

    >>> type(nested([1], path=("seeds",), change=lambda *what: None)).__name__
    'NestedList'
    """
    if isinstance(value, dict):
        return NestedDict(value, path=path, change=change)
    return NestedList(value, path=path, change=change) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Return a nested value as plain dicts and lists.

    >>> type(plain(nested([1], path=("seeds",), change=lambda *what: None)))
    <class 'list'>
    """
    if isinstance(value, dict):
        return {key: plain(below) for key, below in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def tell_yaml() -> None:
    """Let `yaml.safe_dump`, where it was imported, write nested values as the dicts and lists that they are.

    It takes the very types alone, and not what is made of them.

    >>> tell_yaml()
    """
    yaml = sys.modules.get("yaml")
    if yaml is not None and NestedDict not in yaml.SafeDumper.yaml_representers:
        representer = yaml.representer.SafeRepresenter
        representer.add_representer(NestedDict, representer.represent_dict)
        representer.add_representer(NestedList, representer.represent_list)


def _detached(*_: object) -> None:
    """Store nothing: what changes belongs to no config."""
