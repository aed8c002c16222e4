"""A place that holds bytes, and what makes a folder a lake.

Journals and the table of partitions lie in the subpackages `journal` and `table`.

- `atomic_files`: files of a local folder that appear whole or not at all, durably.
- `backend`: what a lake needs of the place that holds its bytes: the protocol that every storage follows.
- `checked_json`: JSON with a checksum: what a lake stores as JSON, so that a flipped bit or a cut is noticed.
- `content_files`: files by content: those of `files/`, each held against the SHA-256 in its name.
- `file_cache`: the cache of immutable files: local copies of objects, by name, shared and bounded.
- `layout`: the root of a lake: the file that makes a folder a lake, and its folders.
- `local`: the local directory under a lake's root: read, list, put-if-absent, sync, delete.
- `object_store`: a lake on an object store: S3, Google Cloud Storage or Azure, by the package obstore.
- `read_only`: a storage that refuses to be written to: that of a lake as it was.
- `spool`: the local folder from which journals of a lake on an object store are uploaded.
- `store_clock`: the clock by which an object store stamps its objects.
- `store_connection`: connections to object stores by the package obstore, and its errors as those of a local file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.storage import read_only

__all__ = [
    "atomic_files",
    "backend",
    "checked_json",
    "content_files",
    "layout",
    "local",
    "object_store",
    "read_only",
    "spool",
    "store_connection",
]
__getattr__ = late_modules.of(__name__)
