"""The cache of immutable files: local copies of objects, by name, shared between processes and bounded.

A copy appears whole, by a rename, and never changes; deleting any or all of them costs a download and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tracklake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

DEFAULT_SIZE = 10 << 30
"""Bytes that a cache may take where $TRACKLAKE_CACHE_SIZE does not tell."""
_UNFINISHED = "."
"""How the name of a download that is under way begins."""


class FileCache:
    """Copies of immutable files in a local folder.

    >>> cache = FileCache(Path("cache"), size=1 << 20)
    >>> path = cache.get("states/a.parquet", lambda file: file.write(b"data"))
    >>> path.read_bytes(), cache.get("states/a.parquet", lambda file: 1 / 0) == path  # it is not fetched twice
    (b'data', True)
    """

    def __init__(self, folder: Path, *, size: int = DEFAULT_SIZE, root: Path | None = None) -> None:
        """`root` is the folder that may take so many bytes, with the caches of other lakes; None: this one."""
        self.folder = folder
        self.size = size
        self._root = root or folder

    def get(self, name: str, download: Callable[[BinaryIO], object]) -> Path:
        """Return the local copy of a file, downloaded if there is none; whatever `download` raises goes on.

        >>> FileCache(Path("cache")).get("runs/b.parquet", lambda file: file.write(b"rows")).stat().st_size
        4
        """
        path = self.folder / name
        try:
            changed = path.stat().st_mtime_ns  # by it is told whether a file that was verified is still the same
            os.utime(path, ns=(time.time_ns(), changed))  # the last use, by which the oldest are evicted
        except FileNotFoundError:
            return self._add(path, download)
        return path

    def put(self, name: str, source: Path) -> Path:
        """Take over a local file as the copy of what was just uploaded from it; the source is gone then.

        >>> _ = Path("staged").write_bytes(b"rows")
        >>> FileCache(Path("cache")).put("runs/c.parquet", Path("staged")).read_bytes(), Path("staged").exists()
        (b'rows', False)
        """
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            added = source.stat().st_size
            source.replace(path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with source.open("rb") as file:  # what is temporary lies on another file system than the cache
                self._add(path, partial(shutil.copyfileobj, file))
            source.unlink()
        else:
            self._evict(added)
        return path

    def discard(self, name: str) -> None:
        """Delete the copy of a file, if there is one.

        >>> cache = FileCache(Path("cache"))
        >>> _ = cache.get("a", lambda file: file.write(b"x"))
        >>> cache.discard("a"), (cache.folder / "a").exists()
        (None, False)
        """
        (self.folder / name).unlink(missing_ok=True)

    def _add(self, path: Path, download: Callable[[BinaryIO], object]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{_UNFINISHED}{path.name}.{secrets.token_hex(8)}")
        try:
            with unfinished.open("xb") as file:
                download(file)
            added = unfinished.stat().st_size
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        self._evict(added)
        return path

    def _evict(self, added: int) -> None:
        """Delete the copies used longest ago until the rest fit; one that is bigger than all room stays for now."""
        if added * 100 < self.size and secrets.randbelow(16):  # small files: a look at the whole folder now and then
            return
        copies = []
        for path in self._root.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # evicted by another process
                if path.is_file():
                    status = path.stat()
                    copies.append((status.st_atime_ns, status.st_size, path))
        surplus = sum(size for _, size, _ in copies) - self.size
        for _, size, path in sorted(copies)[:-1]:
            if surplus <= 0:
                return
            path.unlink(missing_ok=True)
            surplus -= size


def cache_of(url: str) -> FileCache:
    """Return the cache of a lake's URL: below $TRACKLAKE_CACHE, else the user's cache folder.

    >>> import os
    >>> os.environ["TRACKLAKE_CACHE"] = "cache"
    >>> cache_of("s3://bucket/lake").folder.parent.name
    'cache'
    >>> del os.environ["TRACKLAKE_CACHE"]
    """
    base = os.environ.get("TRACKLAKE_CACHE")
    folder = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tracklake"
    root = folder.absolute()
    return FileCache(root / hashlib.sha256(url.encode()).hexdigest()[:16], size=_size(), root=root)


def _size() -> int:
    text = os.environ.get("TRACKLAKE_CACHE_SIZE")
    if not text:
        return DEFAULT_SIZE
    try:
        return int(text)
    except ValueError:
        raise LakeError(f"$TRACKLAKE_CACHE_SIZE is {text!r}; it takes a number of bytes, such as 10000000000") from None
