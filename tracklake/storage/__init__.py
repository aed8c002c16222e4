"""A place that holds bytes, and what makes a folder a lake.

Journals and the table of partitions lie in the subpackages `journal` and `table`.

- `file_cache`: the cache of immutable files: local copies of objects, by name, shared and bounded.
- `layout`: the root of a lake: the file that makes a folder a lake, and its folders.
- `local`: the local directory under a lake's root: read, list, put-if-absent, sync, delete.
- `object_store`: a lake on an object store: S3, Google Cloud Storage or Azure, by the package obstore.
"""

from __future__ import annotations

from tracklake.storage.layout import create, open_existing, read_id, root_of
from tracklake.storage.local import Entry, Storage

__all__ = ["Entry", "Storage", "create", "open_existing", "read_id", "root_of"]
