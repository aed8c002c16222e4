"""Files by content: each is written once, under the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tracklake.errors import FileMissingError
from tracklake.storage.atomic_files import tell_no_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.storage.backend import Storage

FOLDER = "files"
"""The folder of a lake that holds them."""
_CHUNK = 1 << 20


class StoredFile(NamedTuple):
    """A file of a lake: its path below the lake, the digest of its bytes, and how many there are."""

    path: str
    sha256: str
    size: int

    def to_json(self) -> dict[str, object]:
        """Return it as an entry of a summary or a manifest.

        >>> StoredFile("files/ab.txt", "ab", 3).to_json()
        {'path': 'files/ab.txt', 'sha256': 'ab', 'size': 3}
        """
        return self._asdict()

    @classmethod
    def from_json(cls, text: str) -> StoredFile:
        """Read the entry of a file; FileMissingError for any other text, and for a path that is not in the lake.

        >>> StoredFile.from_json('{"path": "files/ab.txt", "sha256": "ab", "size": 3}').size
        3
        """
        try:
            path, digest, size = (json.loads(text)[name] for name in cls._fields)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FileMissingError(f"{text!r} is no entry of a stored file: {error}") from error
        is_sound = isinstance(path, str) and isinstance(digest, str) and isinstance(size, int)
        if not is_sound or not path.startswith("files/") or ".." in path.split("/"):
            raise FileMissingError(f"{text!r} is no entry of a stored file: it names none of files/")
        return cls(path, digest, size)


def save_bytes(data: bytes, *, lake: Storage, suffix: str) -> StoredFile:
    """Write bytes into the lake's files and return where they are; OSError as it comes.

    >>> save_bytes(b"hello", lake=tl.open("lake", create=True)._storage, suffix=".txt").size
    5
    """
    return _save(iter([data]), lake=lake, suffix=suffix)


def save_file(source: str | os.PathLike[str], *, lake: Storage) -> StoredFile:
    """Copy a file into the lake's files and return where it is. Raises FileMissingError, OSError.

    >>> from pathlib import Path
    >>> lake = tl.open("lake", create=True)._storage
    >>> _ = Path("model.txt").write_text("weights")
    >>> save_file("model.txt", lake=lake) == save_file("model.txt", lake=lake)
    True
    """
    path = Path(source)
    if not path.is_file():
        raise FileMissingError(f"there is no file {os.fspath(source)!r}; give the path of a file that is there")
    with path.open("rb") as file:
        return _save(_chunks(file), lake=lake, suffix="".join(path.suffixes[-2:]) if len(path.suffixes) <= 2 else "")  # noqa: PLR2004


def digest(source: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    >>> from pathlib import Path
    >>> _ = Path("a.txt").write_bytes(b"")
    >>> digest(Path("a.txt"))[:8]
    'e3b0c442'
    """
    hashing = hashlib.sha256()
    with source.open("rb") as file:
        for chunk in _chunks(file):
            hashing.update(chunk)
    return hashing.hexdigest()


def _save(chunks: Iterator[bytes], *, lake: Storage, suffix: str) -> StoredFile:
    folder = lake.content_folder()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{uuid.uuid4().hex}.tmp"
    hashing, size = hashlib.sha256(), 0
    try:
        with unfinished.open("xb") as file:
            for chunk in chunks:
                size += file.write(chunk)
                hashing.update(chunk)
            file.flush()
            os.fsync(file.fileno())  # before it gets its name: a file of that name is always whole
        name = f"{hashing.hexdigest()}{suffix}"
        if not (folder / name).exists():
            unfinished.replace(folder / name)
            lake.publish_content(name)
    except OSError as error:
        tell_no_room(error, f"cannot store a file in {lake.describe()}")
        raise
    finally:
        unfinished.unlink(missing_ok=True)
    return StoredFile(f"{FOLDER}/{name}", hashing.hexdigest(), size)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(_CHUNK), b"")
