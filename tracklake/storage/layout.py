"""The root of a lake: the file that makes a folder a lake, and its folders."""

from __future__ import annotations

import os
import uuid
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake.common import interrupts
from tracklake.errors import CommitError, LakeError
from tracklake.schema.tables import FORMAT_VERSION
from tracklake.storage import checked_json
from tracklake.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.storage.backend import Storage

Location = Path | str
"""A folder, or the URL of an object store."""

MARKER = "tracklake.json"
JOURNAL_FOLDER = "journal"
JOURNAL_SUFFIX = ".tlj"
SYSTEM_FOLDER = "system"
_SIGNS = str.maketrans(dict.fromkeys("+.-"))
"""What the scheme of a URL may hold beside letters and digits."""


def is_url(location: object) -> bool:
    """Tell whether the place of a lake is given as a URL rather than a folder.

    >>> is_url("s3://bucket/lake"), is_url("runs/lake")
    (True, False)
    """
    if not isinstance(location, str):
        return False
    scheme, separator, _ = location.partition("://")
    return bool(separator) and scheme.isascii() and scheme[:1].isalpha() and scheme.translate(_SIGNS).isalnum()


def root_of(path: str | os.PathLike[str] | None) -> Location:
    """Return the lake's folder or URL: as given, else $TRACKLAKE_DIR, else ./lake.

    TypeError or LakeError for what is no path, and for folders or URLs with commas between them: those are several.

    >>> root_of("runs/lake"), root_of(None), root_of("s3://bucket/lake")
    (PosixPath('runs/lake'), PosixPath('lake'), 's3://bucket/lake')
    """
    try:
        folder = os.fsdecode(path if path is not None else os.environ.get("TRACKLAKE_DIR") or "lake")
    except TypeError:
        raise TypeError(f"a lake is a folder, given by its path; got {path!r} ({type(path).__name__})") from None
    if not folder or "\0" in folder:
        raise LakeError(f"dir={folder!r} is no path of a folder; leave it out for $TRACKLAKE_DIR, else ./lake")
    places = [place.strip() for place in folder.split(",")]
    if len(places) > 1 and all(is_url(place) or Path(place).is_dir() for place in places):
        raise LakeError(
            f"this needs one lake, and {len(places)} are named: open the one that is meant, such as "
            f"tracklake.open({places[0]!r})"
        )
    return folder if is_url(folder) else Path(folder)


def connect(location: Location, *, options: Mapping[str, Any] | None = None) -> Storage:
    """Return the storage of a folder or a URL, whether or not it is a lake.

    `options` are those of obstore for this kind of store; without them credentials come from the environment. Raises
    LakeError for a URL that cannot be one, and where the extra `cloud` is missing.

    >>> connect(Path("lake")).location
    PosixPath('lake')
    """
    if isinstance(location, str):
        from tracklake.storage.object_store import ObjectStorage  # the extra `cloud`: a lake in a folder does without

        return ObjectStorage(location, options=options)
    if options:
        raise LakeError(f"storage_options are for a lake on an object store; {location} is a folder")
    return LocalStorage(location)


def create(location: Location, *, options: Mapping[str, Any] | None = None) -> Storage:
    """Make a folder or a URL a lake if it is none yet, and return its storage.

    Raises LakeError if the place is a file, cannot be written, or holds a lake of a newer version.

    >>> sorted(path.name for path in create(Path("new")).root.iterdir())
    ['journal', 'tracklake.json']
    """
    storage = connect(location, options=options)
    try:
        if isinstance(location, Path) and location.exists() and not location.is_dir():
            raise LakeError(f"{location} is a file; a lake is a folder. Give another dir.")
        marker = _marker(storage)
        if marker is None:
            put_marker(storage)
        storage.journal_folder(JOURNAL_FOLDER)
    except OSError as error:
        interrupts.let_through(error)
        msg = f"cannot make a lake at {location}: {error.strerror or error}. Give a folder that can be written."
        raise LakeError(msg) from error
    read_id(storage, marker=marker)
    return storage


def open_existing(location: Location, *, options: Mapping[str, Any] | None = None) -> Storage:
    """Return the storage of a lake that is there; LakeError if there is none, or it is of a newer version.

    >>> open_existing(Path("nowhere"))
    Traceback (most recent call last):
    tracklake.errors.LakeError: there is no lake at nowhere: log a run with tracklake.init(dir='nowhere'), or ...
    """
    storage = connect(location, options=options)
    try:
        if isinstance(location, Path) and location.exists() and not location.is_dir():
            raise LakeError(f"{location} is a file; a lake is a folder")
        marker = _marker(storage)
        if marker is None:
            raise LakeError(
                f"there is no lake at {location}: log a run with tracklake.init(dir={str(location)!r}), "
                "or open it with create=True"
            )
    except OSError as error:
        interrupts.let_through(error)
        raise LakeError(f"cannot look for a lake at {location}: {error.strerror}") from error
    read_id(storage, marker=marker)
    return storage


def _marker(storage: Storage) -> bytes | None:
    try:
        return storage.read(MARKER)
    except FileNotFoundError:
        return None


def put_marker(storage: Storage) -> None:
    """Make a place a lake, under a new id, unless it is one.

    >>> storage = connect(Path("lake"))
    >>> put_marker(storage), len(read_id(storage))
    (None, 32)
    """
    data = checked_json.dumps({"format": FORMAT_VERSION, "id": uuid.uuid4().hex})
    try:
        storage.put_if_absent(MARKER, data)
    except CommitError:  # neither links nor such a rename: one can log there, and seal elsewhere
        if not isinstance(storage, LocalStorage):
            raise
        storage.create_new(MARKER, data)


def is_marker(data: bytes) -> bool:
    """Tell whether bytes are those of a lake's marker, of whatever version.

    >>> is_marker(b'{"format": 9, "id": "a"}'), is_marker(b'{"format": true, "id": "a"}')
    (True, False)
    """
    try:
        _parse_marker(data)
    except (ValueError, KeyError, LakeError, RecursionError):
        return False
    return True


@lru_cache(maxsize=64)
def _parse_marker(data: bytes) -> tuple[int, str]:
    """Return format and id. The process remembers them by the bytes, which it reads at each start and end of a run."""
    content = checked_json.loads(data)
    stored_format, lake_id = content["format"], content["id"]
    if type(stored_format) is not int or stored_format < 1 or not isinstance(lake_id, str):
        raise ValueError(f"format {stored_format!r}, id {lake_id!r}")
    return stored_format, lake_id


def read_id(storage: Storage, *, marker: bytes | None = None) -> str:
    """Return the lake's id; LakeError if the format is newer than this version of tracklake knows.

    `marker` is the content of the file that holds it, where it was read already.

    >>> len(read_id(create(Path("new"))))
    32
    """
    try:
        text = storage.read(MARKER) if marker is None else marker
    except OSError as error:
        interrupts.let_through(error)
        raise LakeError(f"cannot read {storage.describe(MARKER)}: {error.strerror}") from error
    try:
        stored_format, lake_id = _parse_marker(text)
    except (ValueError, KeyError, LakeError, RecursionError) as error:
        msg = f"{storage.describe(MARKER)} is damaged ({error}); it should hold the format and the id of the lake"
        raise LakeError(msg) from error
    if stored_format < FORMAT_VERSION:
        raise LakeError(
            f"the lake at {storage.describe()} has format {stored_format}, older than the first release; this "
            f"version of tracklake reads {FORMAT_VERSION}. Export it with the version that wrote it, "
            "or log the runs again."
        )
    if stored_format > FORMAT_VERSION:
        msg = (
            f"the lake at {storage.describe()} has format {stored_format}; this version of tracklake knows "
            f"{FORMAT_VERSION}. Upgrade: pip install -U tracklake"
        )
        raise LakeError(msg)
    return lake_id
