"""The local directory under a lake's root: read, list, put-if-absent, sync, delete.

Names are relative to the root and written with "/": "history/part-x.parquet". There are no lock files; the one
operation that decides between processes is `put_if_absent`.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import stat
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tracklake.errors import LakeError
from tracklake.storage import atomic_files
from tracklake.storage.backend import NO_ENTRIES, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class LocalStorage:
    """The files of one lake, by name.

    >>> import pathlib, tempfile
    >>> storage = LocalStorage(pathlib.Path(tempfile.mkdtemp()))
    >>> storage.put_if_absent("files/a.txt", b"hello")
    True
    >>> storage.put_if_absent("files/a.txt", b"other")
    False
    >>> storage.read("files/a.txt", offset=1, length=3)
    b'ell'
    >>> [(entry.name, entry.size) for entry in storage.list("files", suffix=".txt")]
    [('a.txt', 5)]
    >>> storage.delete("files/a.txt"), storage.delete("files/a.txt")
    (True, False)
    """

    __slots__ = ("location", "root")

    def __init__(self, root: Path) -> None:
        self.location = root
        """The folder as it was given, perhaps seen from where the process was then."""
        self.root = _decodable(root.absolute())
        """The folder, also for a process that has gone to another one since."""

    def path(self, name: str) -> Path:
        """Return the absolute path of a name; LakeError if the name leads out of the root.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).path("history/a.parquet")
        PosixPath('/.../lake/history/a.parquet')
        >>> LocalStorage(pathlib.Path("lake")).path("../secret")
        Traceback (most recent call last):
        tracklake.errors.LakeError: the name '../secret' leads out of the lake lake; names are relative, without '..'
        """
        if name.startswith("/") or ".." in name.split("/"):
            raise LakeError(
                f"the name {name!r} leads out of the lake {self.location}; names are relative, without '..'"
            )
        return self.root / name

    def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes (None: all) from `offset`, fewer if the file ends; FileNotFoundError if it is gone.

        >>> import pathlib
        >>> storage = LocalStorage(pathlib.Path("lake"))
        >>> _ = storage.put_if_absent("a.txt", b"hello")
        >>> storage.read("a.txt"), storage.read("a.txt", offset=1, length=3)
        (b'hello', b'ell')
        """
        try:
            with self.path(name).open("rb") as file:
                if offset:
                    file.seek(offset)
                return file.read(-1 if length is None else length)
        except OSError as error:
            if error.errno == errno.ESTALE:  # a network file system's word for what another host has deleted
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path(name))) from error
            raise

    def list(
        self,
        folder: str,
        *,
        prefix: str | tuple[str, ...] = "",
        suffix: str = "",
        cached: Mapping[str, Entry] = NO_ENTRIES,
    ) -> list[Entry]:
        """Return the files of a folder by the beginning and end of their names, sorted; a missing folder has none.

        Hidden files, which are unfinished puts, and folders are left out, and so is a file that vanishes meanwhile.
        A file among those `cached` is not looked at again, nor is its name: if it is there, its entry comes back as it
        is. LakeError where it is no folder, or may not be read.

        >>> import pathlib
        >>> storage = LocalStorage(pathlib.Path("lake"))
        >>> for name in ("b.parquet", "a.parquet", "a.json"):
        ...     _ = storage.put_if_absent(f"history/{name}", b"data")
        >>> [entry.name for entry in storage.list("history", suffix=".parquet")], storage.list("nowhere")
        (['a.parquet', 'b.parquet'], [])
        """
        try:
            with os.scandir(self.path(folder)) as listing:
                files = {file.name: file for file in listing}
        except FileNotFoundError:
            return []
        except (NotADirectoryError, PermissionError) as error:
            raise LakeError(f"{self.path(folder)} cannot be listed: {error.strerror}") from error
        names = [n for n in files if n in cached or (n.startswith(prefix) and n.endswith(suffix) and n[0] != ".")]
        entries = [cached.get(name) or _entry(files[name]) for name in sorted(names)]
        return [entry for entry in entries if entry is not None]

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """Write a new file, atomically and durably; False if the name is taken.

        A reader sees nothing or all of it. Folders are made as needed. Raises CommitError where the file system has
        no atomic way to publish a file, and OSError as it comes; after an OSError the file may be there.

        >>> import pathlib
        >>> storage = LocalStorage(pathlib.Path("lake"))
        >>> storage.put_if_absent("a.txt", b"mine"), storage.put_if_absent("a.txt", b"yours"), storage.read("a.txt")
        (True, False, b'mine')
        """
        return atomic_files.write_new(self.path(name), data)

    def create_new(self, name: str, data: bytes) -> None:
        """Write a new small file where the file system cannot publish one atomically; nothing if the name is taken.

        A reader may see none of it for a moment.

        >>> import pathlib
        >>> storage = LocalStorage(pathlib.Path("lake"))
        >>> storage.create_new("a.txt", b"mine"), storage.create_new("a.txt", b"yours"), storage.read("a.txt")
        (None, None, b'mine')
        """
        target = self.path(name)
        atomic_files.make_folder(target.parent)
        with contextlib.suppress(FileExistsError):
            atomic_files.write_synced(target, data)

    def describe(self, name: str = "") -> str:
        """Return where a file lies (without a name: the lake), for messages.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).describe("history/a.parquet")
        '/.../lake/history/a.parquet'
        """
        return str(self.path(name))

    def uri(self) -> str:
        """Return the folder as a URI.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).uri()
        'file:///.../lake'
        """
        return self.root.resolve().as_uri()

    def fetch(self, name: str, *, anew: bool = False) -> Path:  # noqa: ARG002 - what is here is no copy
        """Return a local path of an immutable file, which an engine may read; it need not be there.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).fetch("states/a.parquet").name
        'a.parquet'
        """
        return self.path(name)

    def follow(self, name: str) -> Path:
        """Return a local path of a file that others append to, which holds all that was there at this call.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).follow("journal/a.tlj").name
        'a.tlj'
        """
        return self.path(name)

    def content_folder(self) -> Path:
        """Return the folder of files that are named by their content.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).content_folder().name
        'files'
        """
        return self.path("files")

    def publish_content(self, name: str) -> None:
        """Do nothing: what lies in the folder is part of the lake.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).publish_content("0a1b.npy")
        """

    def lock_path(self, name: str) -> Path:
        """Return the path of a journal, whose lock tells whether its writer lives.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).lock_path("journal/a.tlj").name
        'a.tlj'
        """
        return self.path(name)

    def journal_folder(self, folder: str) -> Path:
        """Return the local folder in which this process writes its journals, made if it is not there.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).journal_folder("system").is_dir()
        True
        """
        path = self.path(folder)
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
        return path

    def upload_target(self) -> None:
        """Return None: journals grow in the lake itself.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).upload_target()
        """

    def stage(self, name: str) -> Path:
        """Return the local path at which to write a new immutable file; `publish` makes it part of the lake.

        >>> import pathlib
        >>> LocalStorage(pathlib.Path("lake")).stage("history/a.parquet").parent.is_dir()
        True
        """
        path = self.path(name)
        atomic_files.make_folder(path.parent)
        return path

    def publish(self, names: Iterable[str]) -> None:
        """Return once these staged files, and the folders that hold them, are durable. OSError as it comes.

        >>> import pathlib
        >>> storage = LocalStorage(pathlib.Path("lake"))
        >>> _ = storage.stage("history/a.parquet").write_bytes(b"data")
        >>> storage.publish(["history/a.parquet"])
        """
        folders = {self.root}
        for name in names:
            path = self.path(name)
            atomic_files.sync_file(path)
            folders.update(folder for folder in path.parents if folder.is_relative_to(self.root))
        for folder in folders:
            atomic_files.sync_folder(folder)

    def delete(self, name: str) -> bool:
        """Delete a file; False if it was gone already.

        >>> import pathlib
        >>> storage = LocalStorage(pathlib.Path("lake"))
        >>> _ = storage.put_if_absent("a.txt", b"hello")
        >>> storage.delete("a.txt"), storage.delete("a.txt")
        (True, False)
        """
        try:
            self.path(name).unlink()
        except FileNotFoundError:
            return False
        return True


@lru_cache
def _decodable(root: Path) -> Path:
    """Return a path of the folder that engines can take: names that are not UTF-8 go by way of a link."""
    try:
        str(root).encode()
    except UnicodeEncodeError:
        folder = tempfile.mkdtemp(prefix="tracklake-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)  # the link, never what it points to
        link = Path(folder, "lake")
        link.symlink_to(root, target_is_directory=True)
        return link
    return root


def _entry(file: os.DirEntry[str]) -> Entry | None:
    """Return the entry of a regular file, None for a folder or a file that has just vanished."""
    try:
        status = file.stat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ESTALE}:
            return None
        raise
    if not stat.S_ISREG(status.st_mode):
        return None
    return Entry(file.name, status.st_size, status.st_mtime, bool(status.st_mode & stat.S_IWUSR))
