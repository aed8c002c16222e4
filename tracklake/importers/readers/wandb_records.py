"""The records of a W&B file, decoded by hand: what a run says, row by row, without the wandb package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracklake.errors import DefinitionError
from tracklake.importers.readers import protobuf
from tracklake.importers.readers.protobuf import double, fields, message, text, varint, whole, zigzag
from tracklake.schema import definition_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracklake.schema.definition_statement import Statement

HISTORY, SUMMARY, CONFIG, STATS, METRIC, RUN, EXIT, ENVIRONMENT = 2, 3, 5, 7, 12, 17, 18, 26
"""The fields of a Record that say something of a run."""
_KEY, _NESTED, _JSON = 1, 2, 16
_TYPED: dict[int, Callable[[Any], Any]] = {
    3: lambda _: None,
    4: bool,
    5: zigzag,
    6: double,
    7: text,
    8: lambda value: json.loads(text(value)),
}
"""Values of history items that are no JSON text: none, boolean, integer, number, text, json."""
_SUMMARY_KINDS = {1: "min", 2: "max", 3: "mean", 4: "best", 5: "last", 6: "none", 8: "first"}
_GOALS = {1: "minimize", 2: "maximize"}
_DIGITS = frozenset(b"-0123456789NI")


def value_of(raw: bytes) -> Any:
    """Return what JSON text says, as Python writes it: with NaN and Infinity. ValueError for no JSON.

    >>> value_of(b"3"), value_of(b"0.5"), value_of(b"NaN"), value_of(b'"a"')
    (3, 0.5, nan, 'a')
    """
    if raw.isdigit():
        return int(raw) if len(raw) < 1000 else json.loads(raw)  # noqa: PLR2004 - Python refuses longer ones
    if raw and raw[0] in _DIGITS:
        return int(raw) if raw[1:].isdigit() else float(raw)
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def only_field(data: bytes) -> tuple[int, bytes] | None:
    r"""Return the number and the bytes of the one field that a record has beside its own number; None if it has others.

    >>> only_field(bytes([0x08, 5, 0x12, 2]) + b"hi"), only_field(bytes([0x08, 5]))
    ((2, b'hi'), None)
    """
    try:
        at = 1
        while data[at] >= 128:  # noqa: PLR2004 - the continuation bit
            at += 1
        tag, size, begin = data[at + 1], data[at + 2], at + 3
        if size >= 128:  # noqa: PLR2004 - likewise
            size, begin = varint(data, at + 2, len(data))
    except (IndexError, ValueError):
        return None
    is_one = data[0] == 0x08 and tag & 0x87 == protobuf.BYTES and begin + size == len(data)  # noqa: PLR2004 - field 1
    return (tag >> 3, data[begin:]) if is_one else None


def item(data: bytes) -> tuple[str, tuple[str, ...], Any]:
    """Return the key of an item, its path if it is nested, and its value.

    >>> item(bytes([0x0A, 1]) + b"a" + bytes([0x82, 0x01, 1]) + b"7")
    ('a', (), 7)
    """
    key, value = "", None
    path: tuple[str, ...] = ()
    for number, raw in fields(data):
        if number == _JSON:
            value = value_of(message(raw))
        elif number == _NESTED:
            path = (*path, text(raw))
        elif number == _KEY:
            key = text(raw)
        elif number in _TYPED:
            value = _TYPED[number](raw)
    return key, path, value


def plain_items(data: bytes) -> tuple[list[tuple[str, bytes]], list[tuple[int, int | bytes]]]:
    r"""Return the key and JSON text of each item that has one key, and all other fields of a record.

    This is the way of nearly every value of a file, so it looks at bytes where they usually stand.

    >>> plain_items(bytes([0x0A, 7, 0x12, 1]) + b"a" + bytes([0x82, 0x01, 1]) + b"7" + bytes([0x12, 2, 0x08, 5]))
    ([('a', b'7')], [(2, b'\x08\x05')])
    """
    items: list[tuple[str, bytes]] = []
    at, end = 0, len(data)
    names = _names
    try:
        while at < end and data[at] == 0x0A:  # noqa: PLR2004 - an item
            begin, size = at + 2, data[at + 1]
            if size >= 128:  # noqa: PLR2004 - the continuation bit
                size, begin = varint(data, at + 1, end)
            stop = begin + size
            key = begin + 2
            key_stop = key + data[begin + 1]
            value, length = key_stop + 3, data[key_stop + 2]
            if length >= 128:  # noqa: PLR2004 - likewise
                length, value = varint(data, key_stop + 2, end)
            is_plain = data[begin] in (0x0A, 0x12) and data[begin + 1] < 128  # noqa: PLR2004 - likewise
            if not is_plain or data[key_stop : key_stop + 2] != b"\x82\x01" or value + length != stop or stop > end:
                break
            raw = data[key:key_stop]
            name = names.get(raw)
            if name is None:
                name = raw.decode("utf-8", "replace")
                if len(names) < _MOST_NAMES:
                    names[raw] = name
            items.append((name, data[value:stop]))
            at = stop
    except (IndexError, ValueError):
        pass  # it is looked at again, field by field
    return items, list(fields(data, at))


_names: dict[bytes, str] = {}
_MOST_NAMES = 100_000


def row(data: bytes) -> tuple[dict[str, Any], int | None]:
    """Return the values of a history record by key, nested ones in dicts, and its step where it says one.

    >>> row(bytes([0x0A, 7, 0x12, 1]) + b"a" + bytes([0x82, 0x01, 1]) + b"7" + bytes([0x12, 2, 0x08, 5]))
    ({'a': 7}, 5)
    """
    values: dict[str, Any] = {}
    step = None
    items, others = plain_items(data)
    for name, text_of_value in items:
        values[name] = value_of(text_of_value)
    for number, raw in others:
        if number == 1:
            key, path, value = item(message(raw))
            if path:
                _put(values, path, value)
            else:
                values[key] = value
        elif number == 2:  # noqa: PLR2004 - the step
            step = next((whole(part) for n, part in fields(message(raw)) if n == 1), 0)
    return values, step


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        below = values.get(part)
        if not isinstance(below, dict):
            below = values[part] = {}
        values = below
    values[path[-1]] = value


def updates(data: bytes) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    """Return what a summary or config record sets, nested and not decoded, and the paths that it removes.

    >>> updates(bytes([0x0A, 7, 0x0A, 1]) + b"a" + bytes([0x82, 0x01, 1]) + b"7")
    ({'a': b'7'}, [])
    """
    items, others = plain_items(data)
    values: dict[str, Any] = {name: Undecoded(raw) for name, raw in items}
    removed = []
    for number, raw in others:
        if number in (1, 2):
            key, path, value = item(message(raw))
            if number == 1:
                _put(values, path or (key,), value)
            else:
                removed.append(path or (key,))
    return values, removed


class Undecoded(bytes):
    """JSON text that is decoded when it is wanted: of what is said again and again only the last is."""


def decoded(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return entries with their values decoded. ValueError for no JSON.

    >>> decoded({"a": Undecoded(b"7"), "b": {"c": 1}})
    {'a': 7, 'b': {'c': 1}}
    """
    return {key: value_of(bytes(value)) if isinstance(value, Undecoded) else value for key, value in entries.items()}


def update(target: dict[str, Any], values: Mapping[str, Any], removed: list[tuple[str, ...]]) -> None:
    """Apply a record to what those before it have set; an entry is replaced as a whole.

    >>> entries = {"a": 1}
    >>> update(entries, {"b": {"c": 2}}, [("a",)])
    >>> entries
    {'b': {'c': 2}}
    """
    for key, value in values.items():
        old = target.get(key)
        target[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    for path in removed:
        below: Any = target
        for part in path[:-1]:
            below = below.get(part) if isinstance(below, dict) else None
        if isinstance(below, dict):
            below.pop(path[-1], None)


def definition(data: bytes, names: list[str]) -> Statement | None:
    """Return what a metric record defines; None where it only expands a glob. `names` are those of records before it.

    Raises ValueError for what cannot be.

    >>> definition(bytes([0x0A, 4]) + b"loss" + bytes([0x3A, 2, 0x08, 1]), []).summary
    frozenset({'min'})
    """
    name, step_metric, flags, kinds, goal, is_expanded, overwrite = "", None, {}, [], None, False, False
    for number, raw in fields(data):
        if number in (1, 2):
            name = text(raw)
        elif number == 4:  # noqa: PLR2004 - step_metric
            step_metric = text(raw)
        elif number == 5 and 0 < whole(raw) <= len(names):  # noqa: PLR2004 - step_metric_index
            step_metric = names[whole(raw) - 1]
        elif number == 6:  # noqa: PLR2004 - options
            flags = {n: bool(v) for n, v in fields(message(raw))}
        elif number == 7:  # noqa: PLR2004 - summary
            kinds = [_SUMMARY_KINDS[n] for n, v in fields(message(raw)) if n in _SUMMARY_KINDS and v]
        elif number == 8:  # noqa: PLR2004 - goal
            goal = _GOALS.get(whole(raw))
        elif number == 9:  # noqa: PLR2004 - control
            overwrite = any(n == 1 and v for n, v in fields(message(raw)))
        elif number == 10:  # noqa: PLR2004 - expanded_from_glob
            is_expanded = bool(raw)
    names.append(name)
    if is_expanded or not name:
        return None
    try:
        return definition_statement.statement(
            name,
            summary=kinds or None,
            goal=goal,
            step_metric=step_metric or None,
            step_sync=flags.get(1) if step_metric else None,
            hidden=flags.get(2),
            overwrite=overwrite,
        )
    except DefinitionError as error:
        raise ValueError(str(error)) from None


def samples(data: bytes) -> tuple[int, dict[str, float]]:
    """Return the moment of a stats record, in microseconds since the epoch, and its numbers.

    >>> samples(bytes([0x12, 2, 0x08, 3, 0x1A, 9, 0x0A, 3]) + b"cpu" + bytes([0x82, 0x01, 1]) + b"7")
    (3000000, {'cpu': 7.0})
    """
    moment, numbers = 0, {}
    for number, raw in fields(data):
        if number == 2:  # noqa: PLR2004 - the timestamp
            moment = protobuf.microseconds(raw)
        elif number == 3:  # noqa: PLR2004 - an item
            key, _, value = item(message(raw))
            several = value.items() if isinstance(value, dict) else [("", value)]
            for part, reading in several:
                if isinstance(reading, int | float):
                    numbers[f"{key}.{part}" if part else key] = float(reading)
    return moment, numbers


def strings(data: bytes) -> dict[int, list[int | bytes]]:
    """Return the fields of a message by number, as often as they come.

    >>> strings(bytes([0x0A, 1]) + b"a" + bytes([0x0A, 1]) + b"b")
    {1: [b'a', b'b']}
    """
    parts: dict[int, list[int | bytes]] = {}
    for number, raw in fields(data):
        parts.setdefault(number, []).append(raw)
    return parts
