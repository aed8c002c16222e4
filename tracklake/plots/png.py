"""PNG: the same picture in a fraction of the bytes.

Charts are flat areas and text, in which whole pixels repeat. The encoder of vl-convert stores differences between
neighbours with an alpha channel, which hides that; three quarters of its bytes are saved by storing the pixels as they
are, or their place in a palette (W3C, Portable Network Graphics, third edition, chapters 9 and 11).
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _PALETTE, _RGBA = 2, 3, 6
_COLOURS = 256
"""Colours that a palette holds."""


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    kind: int
    compression: int
    filtering: int
    interlaced: int


def size(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG in pixels.

    >>> size(_SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 6, 0, 0, 0)))
    (640, 480)
    """
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def smaller(png: bytes) -> bytes:
    r"""Return the same opaque picture without alpha, unfiltered; what is encoded in another way stays as it is.

    >>> head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 6, 0, 0, 0))
    >>> data = _chunk(b"IDAT", zlib.compress(b"\0" + b"\xff\0\0\xff" * 2))  # two red pixels
    >>> found = smaller(_SIGNATURE + head + data + _chunk(b"IEND", b""))
    >>> size(found), b"PLTE" in found
    ((2, 1), True)
    """
    chunks = list(_chunks(png))
    header = _Header(*struct.unpack(">IIBBBBB", chunks[0][1]))
    pixels = _pixels(header, zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT")))
    if pixels is None:
        return png
    packed = np.ascontiguousarray(pixels).view(">u4")[..., 0] >> 8
    colours = pl.Series(packed.ravel()).unique().sort().to_numpy()
    if len(colours) > _COLOURS:
        encoded = [_data(pixels[..., :3].reshape(header.height, -1))]
        kind = _RGB
    else:
        palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
        encoded = [(b"PLTE", palette.tobytes()), _data(np.searchsorted(colours, packed).astype(np.uint8))]
        kind = _PALETTE
    ancillary = [(name, data) for name, data in chunks if name == b"pHYs"]
    head = struct.pack(">IIBBBBB", *header._replace(kind=kind))
    written = [(b"IHDR", head), *ancillary, *encoded, (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in written)


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    at, chunks = len(_SIGNATURE), []
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks.append((kind, png[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pixels(header: _Header, raw: bytes) -> Pixels | None:
    """Return height x width x 4 of an opaque picture whose rows are plain or differences to the left, else None."""
    if (header.depth, header.kind, header.interlaced) != (8, _RGBA, 0):
        return None
    rows = np.frombuffer(raw, np.uint8).reshape(header.height, -1)
    filters, values = rows[:, 0], rows[:, 1:].reshape(header.height, header.width, 4)
    differences = (filters == 1)[:, None, None]
    pixels = np.where(differences, np.cumsum(values, axis=1, dtype=np.uint8), values)
    return pixels if (filters <= 1).all() and (pixels[..., 3] == 255).all() else None  # noqa: PLR2004 - opaque


def _data(rows: Pixels) -> tuple[bytes, bytes]:
    plain = np.hstack([np.zeros((len(rows), 1), np.uint8), rows])
    return b"IDAT", zlib.compress(plain.tobytes(), 7)
