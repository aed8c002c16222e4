"""Arrays of bytes as PNG files, written without a library.

Source of the format: PNG specification, third edition, sections 5 (chunks) and 9 (filter type 0).
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels to PNG's colour type: grey, grey with alpha, RGB, RGB with alpha."""


def encode(pixels: npt.NDArray[Any]) -> bytes:
    r"""Return the PNG file of an array (height, width, channels) of uint8, with 1 to 4 channels.

    >>> import numpy as np
    >>> encode(np.zeros((2, 3, 3), dtype=np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
