"""The log of records that W&B writes: LevelDB's framing in blocks of 32 KiB, after a header of seven bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zlib import crc32

from tracklake.errors import SourceError
from tracklake.importers.readers import counted_reads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

HEADER = b":W&B\xe1\xbe\x00"
"""Identification, magic number and version."""
BLOCK = 32 << 10
LARGEST_RECORD = 256 << 20
"""Bytes of a record, beyond which the file is damaged."""
_CHUNK = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class RecordLog:
    r"""Reads the records of a file one after the other; counts what is lost to damage.

    After a damaged chunk it goes on at the next block.

    >>> from pathlib import Path
    >>> body = b"\x01hello"
    >>> _ = Path("a.wandb").write_bytes(HEADER + _CHUNK.pack(crc32(body), 5, 1) + b"hello" + b"\x00\x01")
    >>> log = RecordLog(Path("a.wandb"))
    >>> list(log.records()), log.torn, log.skipped
    ([b'hello'], 2, 0)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped = 0
        """Bytes of blocks that are damaged."""
        self.torn = 0
        """Bytes at the end that belong to a record that was never completed."""
        self.damages: list[int] = []
        """Where damaged chunks begin."""

    def records(self) -> Iterator[bytes]:
        """Yield the records. SourceError for a file that is none of this kind.

        >>> from pathlib import Path
        >>> _ = Path("a.wandb").write_bytes(HEADER)
        >>> list(RecordLog(Path("a.wandb")).records())
        []
        """
        with counted_reads.opened(self.path) as file:
            header = file.read(len(HEADER))
            if header[:4] != HEADER[:4]:
                raise SourceError(f"{self.path} is no W&B file: it does not begin with ':W&B'")
            if header != HEADER:
                raise SourceError(f"{self.path} is a W&B file of a version that is not known here: {header.hex()}")
            yield from self._records(file)

    def _records(self, file: BinaryIO) -> Iterator[bytes]:
        parts: list[bytes] = []
        size = 0
        for kind, data in self._chunks(file):
            if kind == _FULL and not parts:
                yield data
                continue
            if kind == 0:  # something was lost
                parts, size = [], 0
                continue
            if kind in (_FULL, _FIRST):
                parts, size = [], 0
            elif not parts:
                self.skipped += len(data)
                continue
            parts.append(data)
            size += len(data)
            if size > LARGEST_RECORD:
                self.skipped += size
                parts, size = [], 0
            elif kind in (_FULL, _LAST):
                yield b"".join(parts) if len(parts) > 1 else data
                parts, size = [], 0
        self.torn += size

    def _chunks(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Yield (type, payload) of each chunk; type 0 stands where a block could not be read on."""
        offset, at = 0, len(HEADER)
        unpack, head = _CHUNK.unpack_from, _CHUNK.size
        block = bytes(at) + file.read(BLOCK - at)
        while at < len(block):
            length = len(block)
            while at + head <= length:
                crc, size, kind = unpack(block, at)
                if kind == 0 and crc == 0 and size == 0:  # the rest of a block is filled with zeros
                    break
                begin = at + head
                stop = begin + size
                if stop > length and length < BLOCK:
                    self.torn += length - at
                    return
                is_sound = stop <= length and _FULL <= kind <= _LAST
                if not is_sound or crc32(memoryview(block)[begin - 1 : stop]) != crc:
                    self.damages.append(offset + at)
                    self.skipped += length - at
                    yield 0, b""
                    break
                yield kind, block[begin:stop]
                at = stop
            else:
                if length < BLOCK:
                    self.torn += length - at
            offset += BLOCK
            block, at = file.read(BLOCK), 0
