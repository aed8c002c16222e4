"""A lake on an object store: S3, Google Cloud Storage or Azure, by the package obstore (the extra `cloud`).

Immutable objects are read through a local cache, so that engines only ever see local files; growing ones (journals)
are followed by ranged reads into a private mirror. Errors of obstore come as the OSError of a local file would.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tracklake.common import threads
from tracklake.errors import LakeError
from tracklake.storage import spool
from tracklake.storage.backend import NO_ENTRIES, Entry
from tracklake.storage.file_cache import FileCache, cache_of
from tracklake.storage.store_connection import Tag, checked_name, clock_of, connect, os_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ATTEMPTS = 5
"""How often a put is tried whose name is told to be taken although nothing is there (S3 may answer so, by a 409)."""
_UPLOADS = 4
_NUMBERED = "_delta_log"
SILENCE = 600.0
"""Seconds after which nobody is taken to write an object: a live session puts its journal each two minutes."""


class ObjectStorage:
    """The objects of one lake, by name.

    >>> storage = ObjectStorage("memory:///lake")
    >>> storage.put_if_absent("files/a.txt", b"hello"), storage.put_if_absent("files/a.txt", b"other")
    (True, False)
    >>> storage.read("files/a.txt", offset=1, length=3)
    b'ell'
    >>> [(entry.name, entry.size) for entry in storage.list("files", suffix=".txt")]
    [('a.txt', 5)]
    """

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None, cache: FileCache | None = None) -> None:
        self.location = url.rstrip("/")
        self._options = options
        self._store = connect(url, options)
        self._clock = clock_of(url, options)
        in_memory = url.startswith("memory:")  # it goes with this object, and so must its copies
        self._cache = cache or (FileCache(self._mirror / "cache") if in_memory else cache_of(self.location))
        self.spool = spool.spool_of(self.location)
        """The local folder of the journals that this machine writes."""
        self._sizes: dict[str, int] = {}
        """Bytes of each growing object at the last listing: a range that begins beyond the end is an error."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how the same lake is opened where a task runs: by its URL; a store in memory is nowhere else."""
        if self.location.startswith("memory:"):
            raise LakeError(f"{self.location} lies in the memory of this process; no task elsewhere can read it")
        return partial(ObjectStorage, options=self._options), (self.location,)

    @property
    def root(self) -> str:
        """The URL of the lake.

        >>> ObjectStorage("memory:///lake").root
        'memory:///lake'
        """
        return self.location

    def uri(self) -> str:
        """Return the URL of the lake.

        >>> ObjectStorage("memory:///lake").uri()
        'memory:///lake'
        """
        return self.location

    def content_folder(self) -> Path:
        """Return a local folder in which to write files that are named by their content.

        >>> storage = ObjectStorage("memory:///lake")
        >>> storage.content_folder().is_dir()
        True
        """
        return self.stage("files/content").parent

    def publish_content(self, name: str) -> None:
        """Upload a file of that folder unless the store has it: its name says what it holds.

        >>> storage = ObjectStorage("memory:///lake")
        >>> _ = (storage.content_folder() / "0a1b.npy").write_bytes(b"numbers")
        >>> storage.publish_content("0a1b.npy"), storage.read("files/0a1b.npy")
        (None, b'numbers')
        """
        staged = self.content_folder() / name
        self.put_if_absent(f"files/{name}", staged.read_bytes())
        self._cache.put(f"files/{name}", staged)

    def lock_path(self, name: str) -> None:
        """Return None: only the heartbeat of a journal on a store tells whether its writer lives.

        >>> ObjectStorage("memory:///lake").lock_path("journal/a.tlj")
        """

    def journal_folder(self, folder: str) -> Path:
        """Return the folder of the spool in which this process writes its journals, made if it is not there.

        >>> import os
        >>> os.environ["TRACKLAKE_SPOOL"] = "spool"
        >>> ObjectStorage("memory:///lake").journal_folder("journal").is_dir()
        True
        >>> del os.environ["TRACKLAKE_SPOOL"]
        """
        return spool.make(self.location, folder)

    def describe(self, name: str = "") -> str:
        """Return the URL of an object (without a name: of the lake), for messages.

        >>> ObjectStorage("memory:///lake").describe("runs/a.parquet")
        'memory:///lake/runs/a.parquet'
        """
        return f"{self.location}/{name}" if name else self.location

    def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes (None: all) from `offset`, fewer if it ends; FileNotFoundError if it is gone.

        >>> storage = ObjectStorage("memory:///lake")
        >>> storage.put_if_absent("a", b"hello"), storage.read("a", offset=3, length=9)
        (True, b'lo')
        """
        import obstore

        with os_errors(self.describe(name)):
            if not offset and length is None:
                return bytes(obstore.get(self._store, checked_name(name)).bytes())
            if length is not None and offset + length <= self._sizes.get(name, 0):  # as it was listed; it only grows
                return bytes(obstore.get_range(self._store, checked_name(name), start=offset, length=length))
            size = obstore.head(self._store, checked_name(name))["size"]
            end = size if length is None else min(size, offset + length)
            return bytes(obstore.get_range(self._store, name, start=offset, end=end)) if offset < end else b""

    def list(
        self,
        folder: str,
        *,
        prefix: str | tuple[str, ...] = "",
        suffix: str = "",
        cached: Mapping[str, Entry] = NO_ENTRIES,
    ) -> list[Entry]:
        """Return the objects directly below a folder by the beginning and end of their names, sorted.

        An object store has no write bit: an object counts as writable until nobody has written it for ten minutes.

        >>> storage = ObjectStorage("memory:///lake")
        >>> _ = storage.put_if_absent("runs/b.parquet", b"2"), storage.put_if_absent("runs/a.parquet", b"1")
        >>> [entry.name for entry in storage.list("runs", prefix=("a", "c"))]
        ['a.parquet']
        """
        import obstore

        with os_errors(self.describe(folder)):
            objects = obstore.list_with_delimiter(self._store, f"{checked_name(folder)}/" if folder else None)[
                "objects"
            ]
        entries, times = {}, [item["last_modified"].timestamp() for item in objects]
        is_numbered = folder.endswith(_NUMBERED)  # nobody asks how old these are
        for item, mtime in zip(objects, times if is_numbered else self._clock.local(times), strict=True):
            name = item["path"].rpartition("/")[2]
            entries[name] = Entry(name, item["size"], mtime, writable=time.time() - mtime < SILENCE)
        self._sizes |= {f"{folder}/{entry.name}": entry.size for entry in entries.values()}
        entries |= {entry.name: entry for entry in self._spooled(folder)}
        chosen = [e for e in entries.values() if e.name in cached or _matches(e.name, prefix, suffix)]
        return sorted(chosen, key=lambda entry: entry.name)

    def _spooled(self, folder: str) -> Iterator[Entry]:
        """Yield the journals of this machine: they hold what is uploaded and more."""
        path = self.spool / folder
        if not path.is_dir():
            return
        with os.scandir(path) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # uploaded to its end meanwhile
                    status = file.stat()
                    yield Entry(file.name, status.st_size, status.st_mtime, bool(status.st_mode & stat.S_IWUSR))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """Write a new object, atomically and durably; False if the name is taken by another's bytes.

        >>> storage = ObjectStorage("memory:///lake")
        >>> storage.put_if_absent("a", b"mine"), storage.put_if_absent("a", b"yours")
        (True, False)
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        for attempt in range(_ATTEMPTS):
            try:
                with os_errors(self.describe(name)):
                    obstore.put(self._store, checked_name(name), data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                present = self._content(name)
                if present is not None:  # our own, if an earlier try landed although its answer was lost
                    return present == data
                time.sleep(0.05 * 2**attempt)  # taken, and yet nothing is there: a conflict of two puts
            else:
                return True
        raise OSError(errno.EAGAIN, "the store refuses the name, though nothing has it", self.describe(name))

    def delete(self, name: str) -> bool:
        """Delete an object; False if it was known to be gone (S3 does not tell).

        >>> storage = ObjectStorage("memory:///lake")
        >>> storage.put_if_absent("a", b"1"), storage.delete("a"), storage.list("")
        (True, True, [])
        """
        import obstore

        self._cache.discard(name)
        (self.spool / checked_name(name)).unlink(missing_ok=True)
        try:
            with os_errors(self.describe(name)):
                obstore.delete(self._store, checked_name(name))
        except FileNotFoundError:
            return False
        return True

    def fetch(self, name: str, *, anew: bool = False) -> Path:
        """Return the local copy of an immutable object; FileNotFoundError if it is neither here nor there.

        With `anew` a copy that is here is not trusted.

        >>> storage = ObjectStorage("memory:///lake")
        >>> storage.put_if_absent("runs/a", b"rows"), storage.fetch("runs/a").read_bytes()
        (True, b'rows')
        """
        if anew:
            self._cache.discard(checked_name(name))
        return self._cache.get(checked_name(name), lambda file: self._download(name, file))

    def follow(self, name: str) -> Path:
        """Return a local file that holds all that was in a growing object at the last listing of its folder.

        Bytes that were read once never change, so only what is new is read; a journal that this machine writes is read
        from its spool. FileNotFoundError if the object is gone.

        >>> storage = ObjectStorage("memory:///lake")
        >>> tag = storage.replace("journal/a.tlj", b"one", tag=None)
        >>> storage.follow("journal/a.tlj").read_bytes()
        b'one'
        """
        spooled = self.spool / checked_name(name)
        if spooled.exists():
            return spooled
        mirror = self._mirror / "followed" / name
        size = self._sizes.get(name)
        mirrored = mirror.stat().st_size if mirror.exists() else 0
        if size is None or mirrored < size:
            mirror.parent.mkdir(parents=True, exist_ok=True)
            data = self.read(name, offset=mirrored, length=None if size is None else size - mirrored)
            with mirror.open("ab") as file:
                file.write(data)
        return mirror

    def upload_target(self) -> ObjectStorage:
        """Return this storage: its journals are written in the spool.

        >>> store = ObjectStorage("memory:///lake")
        >>> store.upload_target() is store
        True
        """
        return self

    def stage(self, name: str) -> Path:
        """Return the local path at which to write a new immutable object; `publish` makes it part of the lake.

        >>> storage = ObjectStorage("memory:///lake")
        >>> _ = storage.stage("runs/a").write_bytes(b"rows")
        >>> storage.list("runs"), storage.publish(["runs/a"]), storage.read("runs/a")
        ([], None, b'rows')
        """
        path = self._mirror / "staged" / checked_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, names: Iterable[str]) -> None:
        """Upload these staged files; return once the store has them. OSError as it comes, some may be there then.

        >>> storage = ObjectStorage("memory:///lake")
        >>> _ = storage.stage("runs/a").write_bytes(b"rows")
        >>> storage.publish(["runs/a"])
        """
        list(threads.in_threads(self._publish, names, workers=_UPLOADS))

    def replace(self, name: str, data: bytes, *, tag: Tag | None) -> Tag:
        """Overwrite an object whose tag is still the one given (None: create it) and return its new tag.

        FileExistsError if somebody else has written it meanwhile.

        >>> storage = ObjectStorage("memory:///lake")
        >>> tag = storage.replace("journal/a.tlj", b"one", tag=None)
        >>> _ = storage.replace("journal/a.tlj", b"onetwo", tag=tag)
        >>> storage.replace("journal/a.tlj", b"lost", tag=tag)
        Traceback (most recent call last):
        FileExistsError: [Errno 17] another process has written it: 'memory:///lake/journal/a.tlj'
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if tag is None else {key: value for key, value in tag._asdict().items() if value}
        try:
            with os_errors(self.describe(name)):
                return Tag.of(obstore.put(self._store, checked_name(name), data, mode=mode, use_multipart=False))
        except (AlreadyExistsError, PreconditionError) as error:
            raise FileExistsError(errno.EEXIST, "another process has written it", self.describe(name)) from error
        except FileNotFoundError as error:  # of the object whose tag was given, else of all that could hold it
            if tag is not None:
                raise FileExistsError(errno.EEXIST, "another process has deleted it", self.describe(name)) from error
            raise OSError(errno.EIO, "there is no such bucket", self.describe(name)) from error

    def tag(self, name: str) -> Tag:
        """Return the tag of an object's present content; FileNotFoundError if it is gone.

        >>> storage = ObjectStorage("memory:///lake")
        >>> storage.replace("journal/a.tlj", b"one", tag=None) == storage.tag("journal/a.tlj")
        True
        """
        import obstore

        with os_errors(self.describe(name)):
            return Tag.of(obstore.head(self._store, checked_name(name)))

    def _publish(self, name: str) -> None:
        staged = self.stage(name)
        if not self.put_if_absent(name, staged.read_bytes()):
            raise OSError(errno.EEXIST, "the name is taken", self.describe(name))
        self._cache.put(name, staged)

    def _content(self, name: str) -> bytes | None:
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def _download(self, name: str, file: BinaryIO) -> None:
        import obstore

        with os_errors(self.describe(name)):
            file.writelines(obstore.get(self._store, name).stream(min_chunk_size=8 << 20))

    @property
    def _mirror(self) -> Path:
        """A private folder that goes with this object."""
        if not hasattr(self, "_temporary"):
            self._temporary = tempfile.TemporaryDirectory(prefix="tracklake-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)


def _matches(name: str, prefix: str | tuple[str, ...], suffix: str) -> bool:
    return name.startswith(prefix) and name.endswith(suffix)
