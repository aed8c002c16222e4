"""Which names a file has: the distinct values of the columns by which it is sorted, in the metadata of its footer.

So a reader knows the metrics of a lake, and the paths of its configs, without a scan of the columns.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_KEY = "tracklake.names"
_MOST = 1 << 18
"""Characters of an index; names of more have none, and are found by a scan."""


def metadata(frame: pl.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Return what the footer of a file is to say of the names in some columns, key and value.

    >>> metadata(pl.DataFrame({"metric": ["acc", "acc", "loss"]}), ["metric"])
    {'tracklake.names': '[["acc"], ["loss"]]'}
    """
    text = json.dumps(frame.select(columns).unique(maintain_order=True).rows())
    return {_KEY: text} if len(text) <= _MOST else {}


def read(path: Path) -> list[tuple[str, ...]] | None:
    """Return the names that a verified file says it has; None if it says nothing of them.

    >>> from pathlib import Path
    >>> pl.DataFrame({"metric": ["acc"]}).write_parquet("a.parquet", metadata={"tracklake.names": '[["acc"]]'})
    >>> read(Path("a.parquet"))
    [('acc',)]
    """
    text = pl.read_parquet_metadata(path).get(_KEY)
    return None if text is None else [tuple(row) for row in json.loads(text)]
