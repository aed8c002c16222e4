"""Storage: what a lake needs of the place that holds its bytes.

Names are relative to the lake and written with "/": "history/part-x.parquet". Files are of two kinds: immutable ones,
which appear whole and never change, and journals, which one process appends to. There are no lock files; the one
operation that decides between processes is `put_if_absent`. Errors are the OSError that a local file would raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tracklake.storage.store_connection import Tag


class Entry(NamedTuple):
    """One file of a listing."""

    name: str
    """Within the folder that was listed."""
    size: int
    """Bytes."""
    mtime: float
    """Seconds since the epoch, by the clock of this machine."""
    writable: bool
    """Whether a process may still write it: locally the owner's write bit, on a store that it changed of late."""


NO_ENTRIES: Mapping[str, Entry] = {}


class Storage(Protocol):
    """The files of one lake, by name: a local folder, or an object store."""

    @property
    def location(self) -> Path | str:
        """The folder as it was given, or the URL."""

    @property
    def root(self) -> Path | str:
        """The folder, also for a process that has gone to another one since, or the URL."""

    def describe(self, name: str = "") -> str:
        """Return where a file lies (without a name: the lake), for messages."""

    def uri(self) -> str:
        """Return the lake's place as a URI."""

    def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes (None: all) from `offset`, fewer if the file ends; FileNotFoundError if it is gone."""

    def list(
        self,
        folder: str,
        *,
        prefix: str | tuple[str, ...] = "",
        suffix: str = "",
        cached: Mapping[str, Entry] = NO_ENTRIES,
    ) -> list[Entry]:
        """Return the files of a folder by the beginning and end of their names, sorted; a missing folder has none."""

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """Write a new file, atomically and durably; False if the name is taken."""

    def delete(self, name: str) -> bool:
        """Delete a file; False if it is known to have been gone."""

    def fetch(self, name: str, *, anew: bool = False) -> Path:
        """Return a local path of an immutable file, which an engine may read; `anew` where a copy is damaged."""

    def follow(self, name: str) -> Path:
        """Return a local path of a journal, which holds all that was there at the last listing."""

    def stage(self, name: str) -> Path:
        """Return the local path at which to write a new immutable file."""

    def publish(self, names: Iterable[str]) -> None:
        """Return once these staged files are durable and part of the lake."""

    def content_folder(self) -> Path:
        """Return a local folder in which to write files that are named by their content."""

    def publish_content(self, name: str) -> None:
        """Return once a file of that folder is part of the lake, below `files/`."""

    def journal_folder(self, folder: str) -> Path:
        """Return the local folder in which this process writes its journals, made if it is not there."""

    def lock_path(self, name: str) -> Path | None:
        """Return the path of a journal whose lock tells whether its writer lives; None where only a heartbeat does."""

    def upload_target(self) -> UploadTarget | None:
        """Return what journals are uploaded to from a local spool; None where they grow in the lake itself."""


class UploadTarget(Storage, Protocol):
    """A storage whose journals are written in a spool of this machine, and mirrored to it while they grow."""

    @property
    def spool(self) -> Path:
        """The local folder of journals that are to be uploaded."""

    def replace(self, name: str, data: bytes, *, tag: Tag | None) -> Tag:
        """Put an object in place of the one with this tag (None: of none); return its own, FileExistsError if not."""

    def tag(self, name: str) -> Tag:
        """Return the tag of an object as it is; FileNotFoundError if it is gone."""
