"""Protocol Buffers without a schema: the fields of a message as numbers and bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")


def fields(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of each field of a message: an int of a varint, the bytes of all else.

    ValueError where the message is cut or is none.

    >>> list(fields(bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69])))
    [(1, 150), (2, b'hi')]
    """
    at, end = start, len(data) if stop is None else stop
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 128:  # noqa: PLR2004 - the continuation bit
            tag, at = varint(data, at - 1, end)
        wire = tag & 7
        if wire == BYTES:
            size = data[at] if at < end else 128
            at += 1
            if size >= 128:  # noqa: PLR2004 - likewise
                size, at = varint(data, at - 1, end)
            if at + size > end:
                raise ValueError("a field leads beyond the end of its message")
            yield tag >> 3, data[at : at + size]
            at += size
        elif wire == VARINT:
            value, at = varint(data, at, end)
            yield tag >> 3, value
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire, 0)
            if not size or at + size > end:
                raise ValueError(f"there is no field of wire type {wire} here")
            yield tag >> 3, data[at : at + size]
            at += size


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the varint at a place, and the place behind it; ValueError where it is cut.

    >>> varint(bytes([0x96, 0x01]), 0, 2)
    (150, 2)
    """
    value = 0
    for i in range(_LONGEST_VARINT):
        if at + i >= end:
            break
        byte = data[at + i]
        value |= (byte & 127) << (7 * i)
        if byte < 128:  # noqa: PLR2004 - the continuation bit
            return value, at + i + 1
    raise ValueError("a number is cut, or too long")


def signed(value: int) -> int:
    """Return a varint as the int64 that it stands for.

    >>> signed(2**64 - 1), signed(5)
    (-1, 5)
    """
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def zigzag(value: int) -> int:
    """Return a varint as the sint64 that it stands for.

    >>> zigzag(1), zigzag(2)
    (-1, 1)
    """
    return (value >> 1) ^ -(value & 1)


def text(value: int | bytes) -> str:
    """Return a field as text; what is no UTF-8 becomes U+FFFD. ValueError for a number.

    >>> text(b"loss")
    'loss'
    """
    if isinstance(value, int):
        raise ValueError("a number stands where a text belongs")  # noqa: TRY004 - all that cannot be read is one
    return value.decode("utf-8", "replace")


def message(value: int | bytes) -> bytes:
    """Return a field as the bytes of a message. ValueError for a number.

    >>> message(b"")
    b''
    """
    if isinstance(value, int):
        raise ValueError("a number stands where a message belongs")  # noqa: TRY004 - likewise
    return value


def whole(value: int | bytes) -> int:
    """Return a field as an int64. ValueError for bytes.

    >>> whole(7)
    7
    """
    if isinstance(value, bytes):
        raise ValueError("bytes stand where a number belongs")  # noqa: TRY004 - likewise
    return signed(value)


def double(value: int | bytes) -> float:
    """Return a field of 4 or 8 bytes as a number. ValueError for another.

    >>> double(struct.pack("<f", 0.5)), double(struct.pack("<d", 0.25))
    (0.5, 0.25)
    """
    if isinstance(value, bytes) and len(value) == _DOUBLE.size:
        return float(_DOUBLE.unpack(value)[0])
    if isinstance(value, bytes) and len(value) == _FLOAT.size:
        return float(_FLOAT.unpack(value)[0])
    raise ValueError("there is no number of 4 or 8 bytes here")


def microseconds(value: int | bytes) -> int:
    """Return a google.protobuf.Timestamp as microseconds since the epoch.

    >>> microseconds(bytes([0x08, 0x02, 0x10, 0xE8, 0x07]))
    2000001
    """
    parts = {number: whole(part) for number, part in fields(message(value))}
    return parts.get(1, 0) * 1_000_000 + parts.get(2, 0) // 1000


def as_varint(value: int) -> bytes:
    """Return an int64 as a varint.

    >>> as_varint(150).hex(), len(as_varint(-1))
    ('9601', 10)
    """
    remainder, digits = value % 2**64, []
    while remainder >= 128:  # noqa: PLR2004 - the continuation bit
        digits.append(remainder & 127 | 128)
        remainder >>= 7
    return bytes([*digits, remainder])


def field(number: int, data: bytes) -> bytes:
    """Return bytes as a field of a message.

    >>> field(1, b"a").hex()
    '0a0161'
    """
    return as_varint(number << 3 | BYTES) + as_varint(len(data)) + data
