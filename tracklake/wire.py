"""The frame: the unit of a journal file, and how one is packed and recognised.

    frame  = prefix | body | crc32 of both (u32)
    prefix = b"TLJ" | kind (u8) | length of the body (u32) | crc32 of the eight bytes before (u32)

    KEYSET body     JSON [id, names, kinds], kinds being one of "dq?" a name
    ROW body        stamp (i64) | step (i64) | key set (u32) | eight bytes a value
    STATEMENT body  stamp (i64) | JSON {"said": ..., "items": [[key, kind, plain value], ...], ...}

All numbers are little-endian. The prefix has a crc of its own, so that its length can be trusted even where the body
is damaged and reading can go on at the next frame. Item i of a statement has the stamp of its frame plus i.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING
from zlib import crc32

from tracklake.values import Kind, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MAGIC = b"TLJ"
KEYSET, ROW, STATEMENT = 1, 2, 3
PREFIX_SIZE = 12
CRC_SIZE = 4
ROW_HEAD = 20
RESIDUE = 0x2144DF1C
"""crc32 of any bytes followed by their own little-endian crc32: one call checks a whole frame."""

_PREFIX = struct.Struct("<3sBI")
_STAMP = struct.Struct("<q")


def prefix(kind: int, length: int) -> bytes:
    """Return the 12 bytes that open a frame whose body has this length."""
    head = _PREFIX.pack(MAGIC, kind, length)
    return head + crc32(head).to_bytes(4, "little")


def parse_prefix(data: bytes) -> tuple[int, int] | None:
    """Return (kind, length of the body) of 12 bytes, or None if they do not open a frame."""
    if len(data) != PREFIX_SIZE or crc32(data) != RESIDUE or data[:3] != MAGIC:
        return None
    _, kind, length = _PREFIX.unpack_from(data)
    return kind, length


def close(frame: bytes) -> bytes:
    """Append the crc that ends a frame."""
    return frame + crc32(frame).to_bytes(4, "little")


def statement(stamp: int, said: str, items: Sequence[tuple[str, Stored]] = (), /, **extra: object) -> bytes:
    """Pack a statement; item i is stamped `stamp + i`."""
    content: dict[str, object] = {"said": said, **extra}
    if items:
        content["items"] = [[key, stored.kind, plain(stored)] for key, stored in items]
    body = _STAMP.pack(stamp) + json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return close(prefix(STATEMENT, len(body)) + body)


def parse_statement(body: bytes) -> tuple[int, dict[str, Any]]:
    """Return (stamp, content) of a statement's body.

    >>> frame = statement(7, "config", [("lr", Stored(Kind.FLOAT, 0.1, None, None))])
    >>> parse_statement(frame[PREFIX_SIZE:-CRC_SIZE])
    (7, {'said': 'config', 'items': [['lr', 0, 0.1]]})
    """
    return _STAMP.unpack_from(body)[0], json.loads(body[_STAMP.size :])


def plain(stored: Stored) -> float | int | str | None:
    """Return the one column that carries the value of its kind."""
    if stored.kind == Kind.FLOAT:
        return stored.value
    if stored.kind in (Kind.INT, Kind.BOOL):
        return stored.ival
    return stored.text


def stored(kind: int, value: Any) -> Stored:
    """Return the stored columns of a plain value; the inverse of `plain`."""
    if kind == Kind.FLOAT:
        return Stored(kind, value, None, None)
    if kind == Kind.INT:
        return Stored(kind, float(value), value, None)
    if kind == Kind.BOOL:
        return Stored(kind, None, value, None)
    return Stored(kind, None, None, value)


class KeySet:
    """The names and kinds of the values of a row, declared once a file; rows then carry its id and raw values."""

    __slots__ = ("id", "kinds", "names", "pack", "prefix")

    def __init__(self, number: int, names: tuple[str, ...], kinds: str) -> None:
        self.id = number
        self.names = names
        self.kinds = kinds  # d: float64, q: int64, ?: bool (stored as int64, so that every value takes 8 bytes)
        layout = struct.Struct("<12sqqI" + kinds.replace("?", "q"))
        self.pack: Callable[..., bytes] = layout.pack
        self.prefix = prefix(ROW, layout.size - PREFIX_SIZE)

    def declaration(self) -> bytes:
        """Return the frame that declares this key set."""
        body = json.dumps([self.id, self.names, self.kinds], separators=(",", ":"), ensure_ascii=False).encode()
        return close(prefix(KEYSET, len(body)) + body)

    def row(self, stamp: int, step: int, values: Sequence[Any]) -> bytes:
        """Pack one row."""
        return close(self.pack(self.prefix, stamp, step, self.id, *values))

    @classmethod
    def parse(cls, body: bytes) -> KeySet:
        """Read a declaration's body."""
        number, names, kinds = json.loads(body)
        return cls(number, tuple(names), kinds)
