"""TFRecord framing: length, checksum of the length, data, checksum of the data; read in blocks of many records."""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np
from tracklake.importers.readers import counted_reads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Bytes = np.ndarray[Any, np.dtype[np.uint8]]
    Ints = np.ndarray[Any, np.dtype[np.int64]]
    Words = np.ndarray[Any, np.dtype[np.uint32]]

BLOCK = 16 << 20
"""Bytes that are read at once."""
LARGEST_RECORD = 256 << 20
"""Bytes of a record, beyond which the file is damaged."""
CHECKED = 4096
"""Bytes of a record up to which its data is checked: curves are shorter, and what is longer are images and graphs."""
_HEADER = struct.Struct("<QI")
_FOOTER = 4
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


class Block(NamedTuple):
    """Bytes, and where sound records stand in them."""

    data: bytes
    starts: Ints
    lengths: Ints


class RecordFile:
    """Reads the records of a file, block after block; stops at the first damage and counts what is left.

    >>> from pathlib import Path
    >>> _ = Path("a").write_bytes(framed(b"hello") + b"torn")
    >>> file = RecordFile(Path("a"))
    >>> [bytes(block.data[block.starts[0]:][:block.lengths[0]]) for block in file.blocks()], file.torn, file.damaged_at
    ([b'hello'], 4, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = 0
        """Bytes at the end that are no whole record."""
        self.damaged_at: int | None = None
        """Where a record does not have its checksum; nothing behind it was read."""

    def blocks(self, size: int = BLOCK) -> Iterator[Block]:
        """Yield the records as blocks.

        >>> from pathlib import Path
        >>> _ = Path("a").write_bytes(framed(b"x") * 3)
        >>> [len(block.starts) for block in RecordFile(Path("a")).blocks()]
        [3]
        """
        remainder, offset = b"", 0
        with counted_reads.opened(self.path) as file:
            while chunk := file.read(size):
                data = remainder + chunk
                block, used, is_damaged = _split(data)
                n_sound = _sound(block)
                if n_sound < len(block.starts):
                    at = int(block.starts[n_sound]) - _HEADER.size
                    used, is_damaged = at, True
                    block = Block(data, block.starts[:n_sound], block.lengths[:n_sound])
                if len(block.starts):
                    yield block
                offset += used
                if is_damaged:
                    self.damaged_at = offset
                    return
                remainder = data[used:]
        self.torn = len(remainder)


def _split(data: bytes) -> tuple[Block, int, bool]:
    """Return the whole records of some bytes, how many bytes these are, and whether a length is damaged behind them."""
    starts: list[int] = []
    lengths: list[int] = []
    at, end = 0, len(data)
    unpack = _HEADER.unpack_from
    good = _length_checksums()
    while at + _HEADER.size <= end:
        length, crc = unpack(data, at)
        if good.get(length) != crc and (length > LARGEST_RECORD or _of_length(length) != crc):
            return Block(data, np.array(starts, np.int64), np.array(lengths, np.int64)), at, True
        begin = at + _HEADER.size
        after = begin + length + _FOOTER
        if after > end:
            break
        starts.append(begin)
        lengths.append(length)
        at = after
    return Block(data, np.array(starts, np.int64), np.array(lengths, np.int64)), at, False


@cache
def _length_checksums() -> dict[int, int]:
    """Return the checksums of usual lengths."""
    return {length: _of_length(length) for length in range(512)}


def _of_length(length: int) -> int:
    data = np.frombuffer(struct.pack("<Q", length), np.uint8).reshape(1, -1)
    return int(checksums(data)[0])


def _sound(block: Block) -> int:
    """Return how many records, from the first, have the checksum of their data."""
    if not len(block.starts):
        return 0
    data = np.frombuffer(block.data, np.uint8)
    wrong = len(block.starts)
    for length in np.unique(block.lengths):
        if length > CHECKED:
            continue
        which = np.flatnonzero(block.lengths == length)
        rows = gathered(data, block.starts[which], int(length) + _FOOTER)
        stored = rows[:, length:].copy().view("<u4")[:, 0]
        bad = np.flatnonzero(checksums(rows[:, :length]) != stored)
        if len(bad):
            wrong = min(wrong, int(which[bad[0]]))
    return wrong


def gathered(data: Bytes, starts: Ints, length: int) -> Bytes:
    """Return the bytes of records of one length as rows.

    >>> gathered(np.frombuffer(b"abcdef", np.uint8), np.array([0, 3]), 2).tobytes()
    b'abde'
    """
    rows: Bytes = data[starts[:, None] + np.arange(length)]
    return rows


def checksums(rows: Bytes) -> Words:
    """Return the masked CRC-32C of each row, as TFRecord has it.

    >>> crc = checksums(np.frombuffer(b"123456789", np.uint8).reshape(1, -1)) - np.uint32(_MASK_DELTA)
    >>> hex((crc[0] << np.uint32(15)) | (crc[0] >> np.uint32(17)))  # unmasked: the check value of CRC-32C
    '0xe3069283'
    """
    table = _table()
    crc = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in rows.T:
        crc = table[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    crc = ~crc
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    masked: Words = rotated + np.uint32(_MASK_DELTA)
    return masked


@cache
def _table() -> Words:
    """Return the table of CRC-32C (Castagnoli), one entry a byte."""
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & np.uint32(1), (crc >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), crc >> np.uint32(1))
    return crc


def framed(data: bytes) -> bytes:
    """Return data as one record.

    >>> len(framed(b"hello"))
    21
    """
    crc = int(checksums(np.frombuffer(data, np.uint8).reshape(1, len(data)))[0])
    return struct.pack("<QI", len(data), _of_length(len(data))) + data + struct.pack("<I", crc)


def framed_many(records: Sequence[bytes]) -> list[bytes]:
    """Return each of many pieces of data as one record; checksums of those of one length are computed together.

    >>> framed_many([b"hello"]) == [framed(b"hello")]
    True
    """
    frames: list[bytes] = [b""] * len(records)
    by_length: dict[int, list[int]] = {}
    for at, data in enumerate(records):
        by_length.setdefault(len(data), []).append(at)
    for length, places in by_length.items():
        joined = b"".join(records[at] for at in places)
        crcs = checksums(np.frombuffer(joined, np.uint8).reshape(len(places), length))
        head = struct.pack("<QI", length, _of_length(length))
        for at, crc in zip(places, crcs.tolist(), strict=True):
            frames[at] = head + records[at] + struct.pack("<I", crc)
    return frames
