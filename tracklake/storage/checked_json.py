"""JSON with a checksum: what a lake stores as JSON, so that a flipped bit or a cut is noticed when it is read.

The checksum is that of the content, not of its bytes: other spellings of the same content are accepted, and so is
content that never had one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tracklake.errors import LakeError

if TYPE_CHECKING:
    from tracklake.storage.backend import Storage

KEY = "crc32"


def checksum(content: object) -> str:
    """Return the CRC-32 of a JSON value, eight hex digits.

    >>> checksum({"a": 1})
    '561bacaf'
    """
    return f"{crc32(json.dumps(content, separators=(',', ':')).encode()):08x}"


def dumps(content: dict[str, Any]) -> bytes:
    """Return an object as JSON that holds its own checksum.

    >>> dumps({"format": 2})
    b'{"format": 2, "crc32": "843390fa"}'
    """
    return json.dumps({**content, KEY: checksum(content)}).encode()


def loads(data: bytes | str) -> dict[str, Any]:
    """Return the object that `dumps` wrote, or one without a checksum.

    Raises ValueError for what is no JSON object, LakeError where the checksum is that of other content.

    >>> loads(dumps({"format": 2})), loads(b'{"format": 2}')
    ({'format': 2}, {'format': 2})
    >>> loads(dumps({"format": 2}).replace(b"2", b"3", 1))
    Traceback (most recent call last):
    tracklake.errors.LakeError: its checksum is that of other content
    """
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - as for other bytes that are none
    if KEY in content:
        stored = content.pop(KEY)
        if stored != checksum(content):
            raise LakeError("its checksum is that of other content")
    elif content:
        *names, last = content
        if content[last] == checksum({name: content[name] for name in names}):
            raise LakeError(f"its checksum is called {last!r}")
    return content


def read(storage: Storage, name: str) -> dict[str, Any]:
    """Return the object that a file of the lake holds; FileNotFoundError if it is gone, LakeError if it is damaged.

    >>> read(example()._storage, "tracklake.json")["format"]
    2
    """
    try:
        return loads(storage.read(name))
    except (ValueError, RecursionError, LakeError) as error:
        raise LakeError(f"{storage.describe(name)} is damaged ({error}). Restore it from a copy") from error
