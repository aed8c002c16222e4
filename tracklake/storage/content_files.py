"""Files by content: those of `files/`, each held against the SHA-256 in its name before a process first uses it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tracklake.errors import LakeError

if TYPE_CHECKING:
    from pathlib import Path

    from tracklake.storage.backend import Storage

FOLDER = "files"
_verified: set[tuple[str, int, int]] = set()
"""(path, size, time of change in ns) of the files whose content this process has found to be what it was."""


def verified(storage: Storage, name: str) -> Path:
    """Return the local path of a file of `files/`, whose content is what its name says.

    Raises LakeError for a name outside of that folder, and for a file that is damaged; FileNotFoundError if it is gone.

    >>> from tracklake.tracking.artifacts.media.content import save_bytes
    >>> storage = tl.open("lake", create=True)._storage
    >>> verified(storage, save_bytes(b"hello", lake=storage, suffix=".txt").path).read_bytes()
    b'hello'
    """
    folder, _, file_name = name.partition("/")
    if folder != FOLDER or "/" in file_name or "\\" in file_name:
        raise LakeError(f"{name!r} is no file of {FOLDER}/: a path that is stored never leads elsewhere")
    path = storage.fetch(name)
    if not _is_verified(path):
        path = storage.fetch(name, anew=True)
        if not _is_verified(path):
            raise LakeError(f"{storage.describe(name)} is damaged: its content is not what its name says. Restore it")
    return path


def _is_verified(path: Path) -> bool:
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _verified and is_whole(path):
        _verified.add(key)
    return key in _verified


def is_whole(path: Path) -> bool:
    """Tell whether the content of a file has the digest that its name begins with.

    >>> from pathlib import Path
    >>> _ = Path("ab.txt").write_bytes(b"hello")
    >>> is_whole(Path("ab.txt"))
    False
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == path.name.partition(".")[0]
