"""TensorBoard's Event messages: scalars decoded many at a time, all else one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np
from tracklake.importers.readers import tfrecord
from tracklake.importers.readers.protobuf import double, fields, message, text, varint, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.importers.readers.tfrecord import Block, Bytes, Ints

    Floats = np.ndarray[Any, np.dtype[np.float64]]

_TEMPLATES = 4096
"""Ways in which scalars of one length may be laid out, up to which they are decoded together."""
_FEW = 4
_LONGEST_LIST = 32
_MOST_BINS = 512
_NUMPY = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2", 22: "<u4",
          23: "<u8"}  # fmt: skip
"""Types of tensors by their numbers."""
_PACKED = {5: "<f4", 6: "<f8"}
_VARINTS = (7, 10, 11, 16, 17)


class Scalars(NamedTuple):
    """Values of one tag, in the order of the file; `at` numbers the records of the block."""

    tag: str
    at: Ints
    step: Ints
    wall_time: Floats
    value: Floats


class Value(NamedTuple):
    """One value of a summary that is no plain scalar."""

    tag: str
    plugin: str
    content: bytes
    """What its plugin says, where it says it."""
    value: Any
    """A number, a text, a list or a histogram; None where it is a picture or too large."""


class Event(NamedTuple):
    """One event other than those that `scalars` has decoded."""

    at: int
    wall_time: float
    step: int
    is_start: bool
    """Whether a session starts here, which takes back what was logged from its step on."""
    values: list[Value]


def scalars(block: Block) -> tuple[list[Scalars], Ints]:
    """Return the scalars of a block, and the numbers of the records that hold something else.

    Records of one length and one tag differ only in their time, step and value: those alike are decoded at once.

    >>> import struct
    >>> value = bytes([0x0A, 1]) + b"a" + bytes([0x15]) + struct.pack("<f", 0.5)
    >>> summary = bytes([0x0A, len(value)]) + value
    >>> record = bytes([0x09]) + struct.pack("<d", 7.0) + bytes([0x10, 3, 0x2A, len(summary)]) + summary
    >>> decoded, others = scalars(tfrecord.Block(record * 5, np.arange(5) * len(record), np.full(5, len(record))))
    >>> decoded[0].tag, decoded[0].step.tolist(), float(decoded[0].value[0]), len(others)
    ('a', [3, 3, 3, 3, 3], 0.5, 0)
    """
    data = np.frombuffer(block.data, np.uint8)
    decoded: list[Scalars] = []
    others: list[Ints] = []
    for length in np.unique(block.lengths):
        which = np.flatnonzero(block.lengths == length)
        if len(which) <= _FEW or length > tfrecord.CHECKED:
            others.append(which)
            continue
        rows = tfrecord.gathered(data, block.starts[which], int(length))
        one_length, unmatched = _of_one_length(rows, which)
        decoded += one_length
        others.append(unmatched)
    return decoded, np.sort(np.concatenate(others)) if others else np.empty(0, np.int64)


class _Template(NamedTuple):
    """Where a scalar's record has its variable parts."""

    tag: str
    time: int
    step: tuple[int, int] | None
    value: int


def _of_one_length(rows: Bytes, which: Ints) -> tuple[list[Scalars], Ints]:
    decoded: list[Scalars] = []
    odd: list[Ints] = []
    for _ in range(_TEMPLATES):
        if not len(rows):
            break
        template = _template(rows[0].tobytes())
        if template is None:
            alike = np.arange(len(rows)) == 0
            odd.append(which[:1])
        else:
            alike = _alike(rows, template)
            decoded.append(_decoded(rows[alike], which[alike], template))
        rows, which = rows[~alike], which[~alike]
    return decoded, np.concatenate([*odd, which])


def _template(record: bytes) -> _Template | None:
    """Return the layout of a record that holds nothing but one scalar; None for another."""
    time = value = -1
    step = None
    tag = ""
    at, end = 0, len(record)
    try:
        while at < end:
            number, after = varint(record, at, end)
            if number == 0x09:  # noqa: PLR2004 - wall_time, 8 bytes
                time, at = after, after + 8
            elif number == 0x10:  # noqa: PLR2004 - step, a varint
                _, at = varint(record, after, end)
                step = (after, at)
            elif number == 0x2A:  # noqa: PLR2004 - summary, a message
                size, begin = varint(record, after, end)
                at = begin + size
                tag, value = _one_value(record, begin, at)
            else:
                return None
    except ValueError:
        return None
    return _Template(tag, time, step, value) if at == end and time >= 0 and value >= 0 else None


def _one_value(record: bytes, begin: int, end: int) -> tuple[str, int]:
    """Return tag and place of the number of a summary with one plain scalar; ValueError for another summary."""
    number, at = varint(record, begin, end)
    size, at = varint(record, at, end)
    if number != 0x0A or at + size != end:  # noqa: PLR2004 - a value
        raise ValueError("not one value")
    tag, place = "", -1
    while at < end:
        number, at = varint(record, at, end)
        if number == 0x0A:  # noqa: PLR2004 - tag
            size, at = varint(record, at, end)
            tag = record[at : at + size].decode("utf-8", "replace")
            at += size
        elif number == 0x15:  # noqa: PLR2004 - simple_value
            place, at = at, at + 4
        else:
            raise ValueError("more than a plain scalar")
    if place < 0 or at != end or tag.startswith("_hparams_"):
        raise ValueError("no plain scalar")
    return tag, place


def _alike(rows: Bytes, template: _Template) -> np.ndarray[Any, np.dtype[np.bool_]]:
    fixed = np.ones(rows.shape[1], np.bool_)
    fixed[template.time : template.time + 8] = False
    fixed[template.value : template.value + 4] = False
    if template.step is not None:
        fixed[slice(*template.step)] = False
    places = np.flatnonzero(fixed)
    alike: np.ndarray[Any, np.dtype[np.bool_]] = (rows[:, places] == rows[0, places]).all(axis=1)
    if template.step is not None:
        digits = rows[:, slice(*template.step)]
        alike &= (digits[:, :-1] >= 128).all(axis=1) & (digits[:, -1] < 128)  # noqa: PLR2004 - the continuation bit
    return alike


def _decoded(rows: Bytes, which: Ints, template: _Template) -> Scalars:
    time = np.ascontiguousarray(rows[:, template.time : template.time + 8]).view("<f8")[:, 0]
    value = np.ascontiguousarray(rows[:, template.value : template.value + 4]).view("<f4")[:, 0].astype(np.float64)
    step = np.zeros(len(rows), np.uint64)
    if template.step is not None:
        for i, digit in enumerate(rows[:, slice(*template.step)].T):
            step |= (digit & 127).astype(np.uint64) << np.uint64(7 * i)
    return Scalars(template.tag, which, step.view(np.int64), time, value)


def event(record: bytes, at: int) -> Event:
    """Return any event. ValueError for what is none.

    >>> import struct
    >>> event(bytes([0x09]) + struct.pack("<d", 7.0) + bytes([0x10, 3]), 0)
    Event(at=0, wall_time=7.0, step=3, is_start=False, values=[])
    """
    time, step, is_start = 0.0, 0, False
    values: list[Value] = []
    for number, raw in fields(record):
        if number == 1:
            time = double(raw)
        elif number == 2:  # noqa: PLR2004 - step
            step = whole(raw)
        elif number == 5:  # noqa: PLR2004 - summary
            values += [_value(message(part)) for n, part in fields(message(raw)) if n == 1]
        elif number == 7:  # noqa: PLR2004 - session_log
            is_start = any(n == 1 and part == 1 for n, part in fields(message(raw)))
    return Event(at, time, step, is_start, values)


def _value(data: bytes) -> Value:
    tag, plugin, content, value = "", "", b"", None
    for number, raw in fields(data):
        if number == 1:
            tag = text(raw)
        elif number == 2:  # noqa: PLR2004 - simple_value
            value = double(raw)
        elif number == 5:  # noqa: PLR2004 - histo
            value = _histogram(message(raw))
        elif number == 8:  # noqa: PLR2004 - tensor
            value = _tensor(message(raw))
        elif number == 9:  # noqa: PLR2004 - metadata
            for n, part in fields(message(raw)):
                if n == 1:
                    about = dict(fields(message(part)))
                    plugin, content = text(about.get(1, b"")), message(about.get(2, b""))
    return Value(tag, plugin, content, value)


def _numbers(raw: int | bytes, dtype: str) -> Any:
    data = message(raw)
    size = np.dtype(dtype).itemsize
    return np.frombuffer(data[: len(data) // size * size], dtype)


def _histogram(data: bytes) -> Any:
    """Return a HistogramProto as a histogram value: its buckets, bounded by its least and largest number."""
    parts: dict[int, Any] = {}
    for number, raw in fields(data):
        if number in (6, 7) and isinstance(raw, bytes):
            parts[number] = [*parts.get(number, []), *_numbers(raw, "<f8").tolist()]
        elif number in (1, 2):
            parts[number] = double(raw)
    limits, counts = parts.get(6, []), parts.get(7, [])
    if not limits or len(limits) != len(counts):
        return None
    first = next((i for i, count in enumerate(counts) if count), 0)
    last = len(counts) - next((i for i, count in enumerate(reversed(counts)) if count), 0)
    if last - first > _MOST_BINS:
        return None
    low = limits[first - 1] if first else parts.get(1, limits[0])
    return {"_type": "histogram", "values": counts[first:last], "bins": [low, *limits[first:last]]}


def _tensor(data: bytes) -> Any:
    """Return a tensor as a number, a text, a list, or as a histogram where it is one; None where it is too large."""
    dtype, content = 0, b""
    shape: list[int] = []
    numbers: list[Any] = []
    strings: list[str] = []
    for number, raw in fields(data):
        if number == 1:
            dtype = whole(raw)
        elif number == 2:  # noqa: PLR2004 - tensor_shape
            dims = [message(part) for n, part in fields(message(raw)) if n == 2]  # noqa: PLR2004 - dim
            shape = [next((whole(size) for n, size in fields(dim) if n == 1), 0) for dim in dims]
        elif number == 4:  # noqa: PLR2004 - tensor_content
            content = message(raw)
        elif number in _PACKED:
            numbers += _numbers(raw, _PACKED[number]).tolist()
        elif number in _VARINTS:
            numbers += list(_varints(raw))
        elif number == 8:  # noqa: PLR2004 - string_val
            strings.append(text(raw))
        if len(numbers) > _MOST_BINS * 3 or len(content) > _MOST_BINS * 24:
            return None
    if strings:
        return strings[0] if len(strings) == 1 else strings[:_LONGEST_LIST]
    return _shaped(_numbers(content, _NUMPY[dtype]).tolist() if content and dtype in _NUMPY else numbers, shape)


def _varints(raw: int | bytes) -> Iterator[int]:
    if isinstance(raw, int):
        yield whole(raw)
        return
    at = 0
    while at < len(raw):
        value, at = varint(raw, at, len(raw))
        yield whole(value)


def _shaped(values: list[Any], shape: list[int]) -> Any:
    size = 1
    for length in shape:
        size *= length
    if len(values) == 1 and 1 < size <= _MOST_BINS * 3:  # one value that stands for all
        values = values * size
    if len(shape) == 2 and shape[1] == 3 and len(values) == size > 0:  # noqa: PLR2004 - left, right, count
        bins = [values[0], *values[1::3]]
        return {"_type": "histogram", "values": values[2::3], "bins": bins}
    if len(values) == 1:
        return values[0]
    return values if 0 < len(values) <= _LONGEST_LIST else None
