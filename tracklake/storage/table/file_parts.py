"""The parts of a Parquet file, row groups and the column chunks in them, each with the checksum that its footer holds.

The commit has the checksum of the whole file, which follows from those of its row groups and of the footer. So a footer
is known to be what was written without a look at the rows, and vouches for the checksum of each part: who reads few
columns verifies these alone.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

MAGIC = 4
"""Bytes before the first row group."""
_ROW_GROUPS = "tracklake.row_groups"
_CHUNKS = "tracklake.column_chunks"
_STORED = rb".{1,8}?(\[[^\]]*\])"
_END = struct.Struct("<I4s")
"""The length of the footer and the magic bytes, with which a file ends."""
_CHUNK = struct.Struct(">II")
"""Length and checksum of a column chunk."""
_UNKNOWN = "?" * 2 * _CHUNK.size
"""A column chunk in a footer that is not complete."""
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
"""The polynomial 1, as a CRC-32 has its bits: the highest first."""


class Part(NamedTuple):
    """Bytes of a file that stand together."""

    start: int
    stop: int
    crc: int

    def is_sound(self, file: BinaryIO) -> bool:
        """Tell whether these bytes are what was written.

        >>> import io
        >>> Part(2, 5, crc32(b"llo")).is_sound(io.BytesIO(b"hello"))
        True
        """
        file.seek(self.start)
        return crc32(file.read(self.stop - self.start)) == self.crc


class Chunk(NamedTuple):
    """Values of one column in one row group."""

    length: int
    """In bytes, as they are stored."""
    crc: int


class Parts(NamedTuple):
    """What the footer of a file says of it."""

    row_groups: list[Part]
    columns: dict[str, list[Part]]
    """The chunks of each column; none in files of before there were checksums of them."""


def metadata(row_groups: Sequence[Part], names: Sequence[str]) -> dict[str, str]:
    """Return what a footer is to say of row groups, key and value; `with_chunks` completes it.

    >>> metadata([Part(4, 9, 7)], ["step"])
    {'tracklake.row_groups': '[9, 7]', 'tracklake.column_chunks': '["step", "????????????????"]'}
    """
    stored = [number for part in row_groups for number in (part.stop, part.crc)]
    chunks = [*names, _UNKNOWN * len(row_groups) * len(names)]
    return {_ROW_GROUPS: json.dumps(stored), _CHUNKS: json.dumps(chunks)}


def with_chunks(tail: bytes, chunks: Sequence[Chunk]) -> bytes:
    """Return a footer with what it is to say of each column chunk, those of a row group one after the other.

    >>> with_chunks(b"a???????????????? b", [Chunk(5, crc32(b"hello"))])
    b'a000000053610a686 b'
    """
    unknown, known = _UNKNOWN * len(chunks), b"".join(_CHUNK.pack(*chunk) for chunk in chunks)
    return tail.replace(unknown.encode(), known.hex().encode())


def read(file: BinaryIO, *, size: int, crc: int) -> Parts | None:
    """Return the parts of a file whose size and checksum are these, if its footer and all else but rows is sound.

    None where it is not, and where a footer says nothing of parts.

    >>> from pathlib import Path
    >>> lake = example()
    >>> _ = lake.refresh()
    >>> (part,) = lake._view.snapshot.version.partitions.values()
    >>> with Path("lake", part.states).open("rb") as file:
    ...     parts = read(file, size=part.sizes[1], crc=part.crcs[1])
    >>> len(parts.row_groups), [chunk.start for chunk in parts.columns["project"]]
    (1, [4])
    """
    if size <= MAGIC + _END.size or file.seek(0, 2) != size:
        return None
    file.seek(size - _END.size)
    length, _ = _END.unpack(file.read(_END.size))
    start = max(MAGIC, size - _END.size - length)
    file.seek(start)
    footer = file.read()
    ends: list[int] = _stored(footer, _ROW_GROUPS)
    row_groups = [Part(*part) for part in zip([MAGIC, *ends[::2]], ends[::2], ends[1::2], strict=False)]
    if not row_groups or any(not part.start < part.stop <= start for part in row_groups):
        return None
    file.seek(row_groups[-1].stop)
    tail = file.read(start - row_groups[-1].stop) + footer
    file.seek(0)
    checksum = crc32(file.read(MAGIC))
    for part in row_groups:
        checksum = _joined(checksum, part.crc, part.stop - part.start)
    if _joined(checksum, crc32(tail), len(tail)) != crc:
        return None
    return Parts(row_groups, _columns(row_groups, _stored(footer, _CHUNKS)))


def _stored(footer: bytes, key: str) -> list[Any]:
    """Return the list under a key of a footer, the last one: what comes before are names, which may be any text."""
    lists = re.findall(re.escape(key).encode() + _STORED, footer, re.DOTALL)
    try:
        return json.loads(lists[-1]) if lists else []
    except ValueError:
        return []


def _columns(row_groups: Sequence[Part], stored: Sequence[str]) -> dict[str, list[Part]]:
    """Return the chunks of each column."""
    if not stored:
        return {}
    *names, text = stored
    columns: dict[str, list[Part]] = {name: [] for name in names}
    chunks = _CHUNK.iter_unpack(bytes.fromhex(text))
    for row_group in row_groups:
        start = row_group.start
        for name, (length, crc) in zip(names, itertools.islice(chunks, len(names)), strict=True):
            columns[name].append(Part(start, start + length, crc))
            start += length
    return columns


def _joined(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two pieces in a row from those of the pieces, the second of which has this length.

    The checksum is a remainder of polynomials over the field of two elements: the first is shifted by the bits of the
    second, which is to multiply it by a power of x.
    """
    for power in range(length.bit_length()):
        if length >> power & 1:
            first = _product(first, _multiples(power))
    return first ^ second


def _product(one: int, multiples: Sequence[tuple[int, int]]) -> int:
    """Multiply a polynomial by another, whose multiples by the powers of x are given, modulo that of CRC-32."""
    product = 0
    for power, multiple in multiples:
        if one & power:
            product ^= multiple
    return product


@cache
def _multiples(power: int) -> list[tuple[int, int]]:
    """Return the powers of x, the lowest first, each with its product with the one that shifts by 2 ** power bytes."""
    if power == 0:
        multiple = _ONE >> 8
    else:
        before = _multiples(power - 1)
        multiple = _product(before[0][1], before)
    multiples = []
    for place in range(31, -1, -1):
        multiples.append((1 << place, multiple))
        multiple = multiple >> 1 ^ (_POLYNOMIAL if multiple & 1 else 0)
    return multiples
