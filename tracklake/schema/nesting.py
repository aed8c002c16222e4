"""Nested mappings: what counts as one, its leaves by path, and what stands under a dotted name."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from tracklake.errors import ConfigError, UnstorableValueError
from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Iterator


_DEEPEST = 100
"""Levels of nested mappings."""
_SINGLE = frozenset((bool, int, float, str, bytes, list, tuple, type(None)))
"""Types that most values have, none of which is nested: they are not looked at any further."""


def as_mapping(config: object) -> dict[str, Any]:
    """Return a config as a dict: of a mapping, argparse Namespace, dataclass or pydantic model; of None an empty one.

    Raises ConfigError for anything else, and for a key that is no text or empty.

    >>> import argparse
    >>> as_mapping(argparse.Namespace(lr=0.1))
    {'lr': 0.1}
    """
    if config is None:
        return {}
    mapping = as_nested(config)
    if mapping is None:
        msg = f"config must be a mapping, argparse Namespace, dataclass or pydantic model, not {type(config).__name__}"
        raise ConfigError(msg)
    for key in mapping:
        if not isinstance(key, str) or not key:
            msg = f"a config key must be a non-empty str, not {key!r}"
            raise ConfigError(msg)
    return dict(mapping)


def leaves(
    value: object, *, name: str, path: tuple[str, ...] = (), whole: bool = True, any_key: bool = False
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield (path, value) of what nested mappings hold; an empty one, and if `whole` one with `_type`, is a value.

    `name` is what an error calls it: UnstorableValueError for a key that is no text; with `any_key` it is made one.

    >>> list(leaves({"a": {"b": 1, "c": {}}}, name="x"))
    [(('a', 'b'), 1), (('a', 'c'), {})]
    """
    mapping = as_nested(value)
    if not mapping or (whole and "_type" in mapping):
        yield path, value if mapping is None else mapping
        return
    if len(path) == _DEEPEST:
        msg = f"{name}: a dict nested more than {_DEEPEST} deep, or that holds itself, cannot be stored"
        raise UnstorableValueError(msg)
    for key, inner in mapping.items():
        if not isinstance(key, str) and not any_key:
            msg = f"{name}: the keys of a nested dict must be str, not {key!r}"
            raise UnstorableValueError(msg)
        yield from leaves(inner, name=name, path=(*path, str(key)), whole=whole, any_key=any_key)


def as_nested(value: object) -> Mapping[Any, Any] | None:
    """Return a mapping, argparse Namespace, dataclass or pydantic model as a mapping; None for the rest.

    >>> import argparse
    >>> as_nested(argparse.Namespace(lr=0.1)), as_nested([1])
    ({'lr': 0.1}, None)
    """
    if type(value) in _SINGLE:
        return None
    if isinstance(value, Mapping):
        return value
    argparse = sys.modules.get("argparse")  # where it was never imported, there is no Namespace
    if argparse is not None and isinstance(value, argparse.Namespace):
        return cast("Mapping[Any, Any]", vars(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(type(value), "model_dump", None)  # of the class: an object may answer to every name
    return cast("Mapping[Any, Any]", dump(value)) if callable(dump) else None


def find(entries: dict[str, Any], name: str) -> Any:
    """Return what stands under a full name among entries: one of them, what is under it nested, or a part of a dict.

    Raises KeyError if nothing does.

    >>> entries = {"loss": {"min": 0.5}, "train.acc": 0.9}
    >>> find(entries, "train"), find(entries, "loss.min")
    ({'acc': 0.9}, 0.5)
    """
    if name in entries:
        return entries[name]
    inside = f"{name}."
    under = {key.removeprefix(inside): value for key, value in entries.items() if key.startswith(inside)}
    if under:
        return naming.nest_entries(under)
    for parent in naming.parents(name):
        with contextlib.suppress(KeyError):  # which would name a part of what was asked for
            return _part(entries[parent], name.removeprefix(f"{parent}."))
    raise KeyError(name)


def _part(value: Any, name: str) -> Any:
    """Return what stands under a dotted name in a nested dict."""
    if isinstance(value, dict) and name in value:
        return value[name]
    first, dot, remainder = name.partition(".")
    if not dot or not isinstance(value, dict) or first not in value:
        raise KeyError(name)
    return _part(value[first], remainder)


def plain(value: object) -> object:
    """Return a mapping, and those in it, as dicts; anything else as it is.

    >>> from types import MappingProxyType
    >>> plain(MappingProxyType({"a": 1}))
    {'a': 1}
    """
    return {k: plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value
