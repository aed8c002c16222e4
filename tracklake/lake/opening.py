"""Opening: which places are meant, and whether they are one lake or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tracklake import lake
from tracklake.errors import LakeError
from tracklake.lake.lake import Lake

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


def open(  # noqa: A001 - tl.open
    root: os.PathLike[str] | str | Sequence[os.PathLike[str] | str] | None = None,
    *,
    create: bool = False,
    queries: Sequence[os.PathLike[str] | str] = (),
    storage_options: Mapping[str, str] | None = None,
    project: str | None = None,
    sql_memory: str | None = None,
    sql_seconds: float | None = None,
) -> Lake:
    """Open a lake for reading: a folder or a URL (s3://, gs://, az://), else $TRACKLAKE_DIR, else ./lake.

    Several places, in a list or in one text with commas between them, are read as one: see `FederatedLake`.

    With `project` every answer is of that project, as if the lake held no other run. `sql_memory` (such as "4 GB") and
    `sql_seconds` bound a query in SQL, by default $TRACKLAKE_SQL_MEMORY, else half of the machine's memory, and
    $TRACKLAKE_SQL_SECONDS, else 600.

    `queries` are folders of .sql files of yours, beside those of $TRACKLAKE_QUERIES. `storage_options` are those of the
    package obstore for a URL ("access_key_id", "endpoint", ...); without them credentials come from the environment,
    and they are never written anywhere. Raises LakeError if there is no lake (create=True makes an empty one), or if a
    newer version wrote it.

    >>> open("nowhere")
    Traceback (most recent call last):
    tracklake.errors.LakeError: there is no lake at nowhere: log a run with tracklake.init(dir='nowhere'), or ...
    >>> open("nowhere", create=True).runs().height
    0
    >>> open([example().dir, "nowhere"]).runs(columns=["lake"]).rows()
    [('slow', 'lake'), ('fast', 'lake')]
    """
    places = _places(root)
    if isinstance(places, list):
        if create:
            raise LakeError(
                f"create=True needs one lake, and {len(places)} are named: open the one that is meant, such as "
                f"tracklake.open({str(places[0])!r})"
            )

        return lake.federated_lake.FederatedLake(
            places,
            queries=queries,
            storage_options=storage_options,
            project=project,
            sql_memory=sql_memory,
            sql_seconds=sql_seconds,
        )
    return Lake(
        places,
        create=create,
        queries=queries,
        storage_options=storage_options,
        project=project,
        sql_memory=sql_memory,
        sql_seconds=sql_seconds,
    )


def _places(
    root: os.PathLike[str] | str | Sequence[os.PathLike[str] | str] | None,
) -> list[os.PathLike[str] | str] | os.PathLike[str] | str | None:
    """Return one place, or the list of several; a text with commas is one place where such a folder is, or may be."""
    if isinstance(root, str):
        several, folder = [part.strip() for part in root.split(",")], Path(root)
        is_one = len(several) == 1 or folder.exists() or ("," in str(folder.parent) and folder.parent.exists())
        return root if is_one else [*several]
    return list(root) if isinstance(root, Sequence) else root
