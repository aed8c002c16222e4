"""The frame: the unit of the write-ahead log, how one is packed, and the one place that takes bytes apart.

    frame  = prefix | body | crc32 of both (u32)
    prefix = b"TLJ" | kind (u8) | length of the body (u32) | crc32 of the eight bytes before (u32)

    KEYSET body     JSON [id, names, kinds], kinds being one of "dq?" a name
    ROW body        stamp (i64) | step (i64) | key set (u32) | eight bytes a value
    STATEMENT body  stamp (i64) | JSON {"op": ..., "items": [[key, kind, plain value], ...], ...}

All numbers are little-endian. The prefix has a crc of its own, so that its length can be trusted even where the body
is damaged and reading can go on at the next frame. All items of a statement have the stamp of its frame. The frames
on which all others of a file depend, its header and its key sets, stand there twice: damage costs no more than it hits.
"""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from tracklake.common.lazy_numpy import np
from tracklake.schema.values import Kind, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAGIC = b"TLJ"
KEYSET, ROW, STATEMENT = 1, 2, 3
PREFIX_SIZE = 12
CRC_SIZE = 4
ROW_HEAD = 20
RESIDUE = 0x2144DF1C
"""crc32 of any bytes followed by their own little-endian crc32: one call checks a whole frame."""

UNREADABLE = "a sound frame of a form that this version of tracklake cannot read"

KIND_OF_LETTER = {"d": int(Kind.FLOAT), "q": int(Kind.INT), "?": int(Kind.BOOL)}
"""The kinds of values that are packed, by their letters in a key set; bools as int64: each takes 8 bytes."""

_ROWS_AT_ONCE = 1 << 12
"""Rows whose checksums are held against at once, at most."""

ROW_FIELDS = struct.Struct("<qqI")
"""Stamp, step and key set at the beginning of a row's body."""

_PREFIX = struct.Struct("<3sBI")
_STAMP = struct.Struct("<q")


def prefix(kind: int, length: int) -> bytes:
    r"""Return the 12 bytes that open a frame whose body has this length.

    >>> len(prefix(ROW, 24)), prefix(ROW, 24)[:8]
    (12, b'TLJ\x02\x18\x00\x00\x00')
    """
    head = _PREFIX.pack(MAGIC, kind, length)
    return head + crc32(head).to_bytes(4, "little")


def parse_prefix(data: bytes) -> tuple[int, int] | None:
    """Return (kind, length of the body) of 12 bytes, or None if they do not open a frame.

    >>> parse_prefix(prefix(ROW, 24)), parse_prefix(b"no frame at all")
    ((2, 24), None)
    """
    if len(data) != PREFIX_SIZE or crc32(data) != RESIDUE or data[:3] != MAGIC:
        return None
    _, kind, length = _PREFIX.unpack_from(data)
    return kind, length


def frame_size(head: bytes) -> int:
    """Return the bytes of the frame that these 12 open; ValueError if they do not.

    >>> frame_size(prefix(ROW, 24))
    40
    """
    parsed = parse_prefix(head)
    if parsed is None:
        raise ValueError("no frame begins here")
    return PREFIX_SIZE + parsed[1] + CRC_SIZE


def with_checksum(frame: bytes) -> bytes:
    """Append the crc that ends a frame.

    >>> frame = with_checksum(prefix(ROW, 3) + b"abc")
    >>> crc32(frame) == RESIDUE
    True
    """
    return frame + crc32(frame).to_bytes(4, "little")


def duplicated(frame: bytes) -> bytes:
    """Return a frame on which all others depend as it is written: two times.

    >>> duplicated(b"frame")
    b'frameframe'
    """
    return frame + frame


def statement(stamp: int, op: str, items: Sequence[tuple[str, Stored]] = (), /, **extra: object) -> bytes:
    """Pack a statement; all items have its stamp.

    >>> frame = statement(7, "config", [("lr", Stored(Kind.FLOAT, 0.1, None, None))], by="hand")
    >>> frame[PREFIX_SIZE + 8 : -CRC_SIZE]
    b'{"op":"config","by":"hand","items":[["lr",0,0.1]]}'
    """
    content: dict[str, object] = {"op": op, **extra}
    if items:
        content["items"] = [[key, stored.kind, plain(stored)] for key, stored in items]
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    body = _STAMP.pack(stamp) + text.encode("utf-8", "replace")  # half a surrogate pair is no text
    return with_checksum(prefix(STATEMENT, len(body)) + body)


class Statement(NamedTuple):
    """What a statement's frame says."""

    stamp: int
    op: str
    items: list[tuple[str, Stored]]
    content: dict[str, Any]
    """All of it, as the writer packed it."""


def parse_statement(body: bytes) -> Statement:
    """Read a statement's body; ValueError for a form that this version does not know.

    >>> frame = statement(7, "config", [("lr", Stored(Kind.FLOAT, 0.1, None, None))])
    >>> stamp, op, items, _ = parse_statement(frame[PREFIX_SIZE:-CRC_SIZE])
    >>> stamp, op, items[0][0], items[0][1].value
    (7, 'config', 'lr', 0.1)
    """
    if len(body) < _STAMP.size:
        raise ValueError("too short for a stamp")
    content = json.loads(body[_STAMP.size :])
    if not isinstance(content, dict) or not isinstance(content.get("op"), str):
        raise ValueError("it does not tell what it says")  # noqa: TRY004 - all that cannot be read is a ValueError here
    items = content.get("items", [])
    if not isinstance(items, list) or any(not isinstance(item, list) or len(item) != 3 for item in items):  # noqa: PLR2004
        raise ValueError("its items are not of the form [key, kind, value]")
    parsed = [(_text(key), stored(kind, value)) for key, kind, value in items]
    return Statement(_STAMP.unpack_from(body)[0], content["op"], parsed, content)


def plain(stored: Stored) -> float | int | str | None:
    """Return the one column that carries the value of its kind.

    >>> plain(Stored(Kind.INT, 3.0, 3, None)), plain(Stored(Kind.TEXT, None, None, "adam"))
    (3, 'adam')
    """
    if stored.kind == Kind.FLOAT:
        return stored.value
    if stored.kind in (Kind.INT, Kind.BOOL):
        return stored.ival
    return stored.text


def stored(kind: int, value: Any) -> Stored:
    """Return the stored columns of a plain value, the inverse of `plain`; ValueError if the kind does not fit it.

    >>> stored(Kind.INT, 3)
    Stored(kind=<Kind.INT: 1>, value=3.0, ival=3, text=None)
    >>> stored(Kind.INT, "3")
    Traceback (most recent call last):
    ValueError: a value of kind <Kind.INT: 1> cannot be '3'
    """
    if kind == Kind.FLOAT and type(value) in (float, int):
        return Stored(kind, float(value), None, None)
    if kind == Kind.INT and is_int64(value):
        return Stored(kind, float(value), value, None)
    if kind == Kind.BOOL and value in (0, 1):
        return Stored(kind, float(value), int(value), None)
    if kind in (Kind.TEXT, Kind.JSON):
        return Stored(kind, None, None, _text(value))
    if kind in (Kind.NULL, Kind.REPLACED) and value is None:
        return Stored(kind, None, None, None)
    raise ValueError(f"a value of kind {kind!r} cannot be {value!r}")


def is_int64(value: object) -> bool:
    """Tell whether a value is an int of 64 bits, and no bool.

    >>> is_int64(-1), is_int64(True), is_int64(1 << 63)
    (True, False, False)
    """
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _text(value: object) -> str:
    """Return a text that can be stored; ValueError for anything else (UnicodeError for half a surrogate pair)."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - as above
    value.encode()
    return value


class KeySet:
    """The names and kinds of the values of a row, declared once a file; rows then carry its id and raw values.

    >>> set_ = KeySet(0, ("loss", "epoch"), "dq")
    >>> len(set_.row(7, 2, [0.5, 1]))  # 12 opening, 20 ahead, 8 a value, 4 of checksum
    52
    """

    __slots__ = ("id", "kinds", "names", "pack", "prefix", "values")

    def __init__(self, number: int, names: tuple[str, ...], kinds: str) -> None:
        self.id = number
        self.names = names
        self.kinds = kinds
        layout = struct.Struct("<12sqqI" + kinds.replace("?", "q"))
        self.pack: Callable[..., bytes] = layout.pack
        self.values = struct.Struct("<" + kinds.replace("?", "q"))
        """The values of a row, which begin ROW_HEAD bytes into its body."""
        self.prefix = prefix(ROW, layout.size - PREFIX_SIZE)

    def declaration(self) -> bytes:
        """Return the frames that declare this key set.

        >>> frame = KeySet(0, ("loss", "epoch"), "dq").declaration()
        >>> frame[PREFIX_SIZE : len(frame) // 2 - CRC_SIZE]
        b'[0,["loss","epoch"],"dq"]'
        """
        body = json.dumps([self.id, self.names, self.kinds], separators=(",", ":"), ensure_ascii=False).encode()
        return duplicated(with_checksum(prefix(KEYSET, len(body)) + body))

    def row(self, stamp: int, step: int, values: Sequence[Any]) -> bytes:
        """Pack one row: its stamp (microseconds), its step, and a value for each name.

        >>> frame = KeySet(0, ("loss", "epoch"), "dq").row(7, 2, [0.5, 1])
        >>> struct.unpack("<qqIdq", frame[PREFIX_SIZE:-CRC_SIZE])
        (7, 2, 0, 0.5, 1)
        """
        return with_checksum(self.pack(self.prefix, stamp, step, self.id, *values))

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, body: bytes) -> KeySet:
        """Read a declaration's body; ValueError for a form that this version does not know.

        Many runs of a lake declare the same: what was read is remembered.

        >>> KeySet.parse(b'[0,["loss","epoch"],"dq"]').names
        ('loss', 'epoch')
        >>> KeySet.parse(b'[0,["loss"],"x"]')
        Traceback (most recent call last):
        ValueError: the kinds 'x' do not fit 1 names
        """
        declared = json.loads(body)
        if not isinstance(declared, list) or len(declared) != 3:  # noqa: PLR2004 - id, names, kinds
            raise ValueError("it is no [id, names, kinds]")
        number, names, kinds = declared
        if not is_int64(number) or not isinstance(names, list) or not isinstance(kinds, str):
            raise ValueError("it is no [id, names, kinds]")
        if len(names) != len(kinds) or not set(kinds) <= KIND_OF_LETTER.keys():
            raise ValueError(f"the kinds {kinds!r} do not fit {len(names)} names")
        return cls(number, tuple(map(_text, names)), kinds)


class FrameRun(NamedTuple):
    """Adjacent frames of equal kind and size, data[start:stop]: of rows perhaps many, of all other kinds one."""

    kind: int
    start: int
    stop: int
    size: int
    """Bytes of each frame."""

    @property
    def offsets(self) -> range:
        """Where each frame begins.

        >>> FrameRun(ROW, 100, 300, 100).offsets
        range(100, 300, 100)
        """
        return range(self.start, self.stop, self.size)


class Damage(NamedTuple):
    """Bytes data[start:stop] that cannot be read; empty where it is not known yet where the next frame begins."""

    start: int
    stop: int
    reason: str


def body_of(data: bytes, offset: int, size: int) -> bytes:
    """Return the body of the frame of this size that begins at `offset`.

    >>> frame = statement(7, "beat")
    >>> body_of(frame, 0, len(frame))[8:]
    b'{"op":"beat"}'
    """
    return data[offset + PREFIX_SIZE : offset + size - CRC_SIZE]


def iter_frames(data: bytes) -> Iterator[FrameRun | Damage]:
    """Yield what bytes hold, frame after frame in order, up to the last whole frame; nothing is raised.

    An incomplete frame at the end is a torn write and no damage. Rows with equal prefixes that follow each other come
    as one run, so that their values can be decoded together.

    >>> frame = KeySet(0, ("loss",), "d").row(7, 2, [0.5])
    >>> list(iter_frames(frame + frame + b"noise" + frame[:9]))
    [FrameRun(kind=2, start=0, stop=88, size=44), Damage(start=88, stop=88, reason='no frame begins here')]
    """
    view, position = memoryview(data), 0
    while len(data) - position >= PREFIX_SIZE:
        frame = _frame_at(view, position)
        if frame is None:
            return
        yield frame
        if frame.stop == position:
            return
        position = frame.stop


def _frame_at(view: memoryview, position: int) -> FrameRun | Damage | None:
    """Return the frames that begin here, the damage in their place, or None at a torn write."""
    head = view[position : position + PREFIX_SIZE].tobytes()
    parsed = parse_prefix(head)
    if parsed is None:
        return Damage(position, _next_frame(bytes(view.obj), position), "no frame begins here")
    kind, length = parsed
    size = PREFIX_SIZE + length + CRC_SIZE
    stop = position + size
    if stop > len(view):
        return None
    if crc32(view[position:stop]) != RESIDUE:
        return Damage(position, stop, "the frame's checksum does not match")
    if kind != ROW:
        return FrameRun(kind, position, stop, size)
    if length < ROW_HEAD or (length - ROW_HEAD) % 8:
        return Damage(position, stop, f"{UNREADABLE}: a row of {length} bytes")
    return FrameRun(kind, position, _end_of_rows(view, position, size), size)


def _end_of_rows(view: memoryview, start: int, size: int) -> int:
    """Return where the rows end that begin with one of this size at `start`, have its prefix, and are sound.

    Of many the checksums are held against at once: over sound frames one after the other the crc takes values that
    follow from their size alone, and a frame that is damaged changes all that come after it.
    """
    head, stop, at_once = view[start : start + PREFIX_SIZE], start + size, 1
    last = len(view) - size
    while stop <= last:
        count = _with_prefix(view[stop : stop + at_once * size], head, size)
        rows = view[stop : stop + count * size]
        if count > 1 and crc32(rows) == _crc_of_sound(size, count):
            stop += len(rows)
        else:
            for _ in range(count):
                if crc32(view[stop : stop + size]) != RESIDUE:
                    return stop
                stop += size
        if count < at_once:
            break
        at_once = min(at_once * 64, _ROWS_AT_ONCE)
    return stop


def _with_prefix(view: memoryview, head: memoryview, size: int) -> int:
    """Return how many frames of this size, one after the other, have a prefix."""
    n_whole = len(view) // size
    if n_whole <= 1:
        return int(n_whole == 1 and view[:PREFIX_SIZE] == head)
    is_other = np.zeros(n_whole, dtype=np.bool_)
    for dtype, offset in (("<u8", 0), ("<u4", 8)):  # the twelve bytes as two numbers
        column = np.ndarray((n_whole,), dtype, buffer=view, offset=offset, strides=(size,))
        is_other |= column != np.frombuffer(head, dtype, count=1, offset=offset)[0]
    return int(is_other.argmax()) if is_other.any() else n_whole


@lru_cache(maxsize=1024)
def _crc_of_sound(size: int, count: int) -> int:
    """Return the crc of so many sound frames of a size: the crc is linear, so it does not depend on what they say."""
    if count == 1:
        return RESIDUE
    half = count // 2
    zeros = bytes((count - half) * size)
    return _crc_of_sound(size, count - half) ^ crc32(zeros, _crc_of_sound(size, half)) ^ crc32(zeros)


def _next_frame(data: bytes, position: int) -> int:
    """Return the next place behind `position` where a frame's prefix checks, or `position` if there is none yet."""
    start = data.find(MAGIC, position + 1)
    while start >= 0:
        if parse_prefix(data[start : start + PREFIX_SIZE]):
            return start
        start = data.find(MAGIC, start + 1)
    return position


@lru_cache
def row_dtype(size: int) -> np.dtype[Any]:
    """Return how a row frame of this whole size lies in the file, for numpy: stamp, step, id, values.

    >>> row_dtype(52)["values"].shape
    (2,)
    """
    width = (size - PREFIX_SIZE - ROW_HEAD - CRC_SIZE) // 8
    return np.dtype(
        {
            "names": ["stamp", "step", "id", "values"],
            "formats": ["<i8", "<i8", "<u4", ("<i8", (width,))],
            "offsets": [PREFIX_SIZE + offset for offset in (0, 8, 16, ROW_HEAD)],
            "itemsize": size,
        }
    )
