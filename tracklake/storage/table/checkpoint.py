"""Checkpoints of the log: what a version holds as one Parquet file in Delta's form, so that replay is short."""

from __future__ import annotations

import contextlib
import io
import json
import re
from typing import TYPE_CHECKING, Any
from zlib import crc32

import polars as pl

from tracklake.common import interrupts, whole_modules
from tracklake.errors import LakeError
from tracklake.storage import checked_json
from tracklake.storage.table import delta_actions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pyarrow as pa

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition

EVERY = 16
"""Commits from one checkpoint to the next: on an object store each commit after the last one is a request."""
DIGEST = ".crc32"
"""Ends the name of the file that holds the size and checksum of a checkpoint."""
_NAME = re.compile(r"([0-9]{20})\.checkpoint\.parquet", re.ASCII)


def numbers(names: Iterable[str]) -> list[int]:
    """Return the versions of which there is a checkpoint among the names of the log's files, the newest first.

    >>> numbers(["00000000000000000100.checkpoint.parquet", "00000000000000000100.json", "_last_checkpoint"])
    [100]
    """
    return sorted((int(match[1]) for name in names if (match := _NAME.fullmatch(name))), reverse=True)


def path_of(number: int) -> str:
    """Return the name of the checkpoint of a version.

    >>> path_of(100)
    'history/_delta_log/00000000000000000100.checkpoint.parquet'
    """
    return f"history/_delta_log/{number:020d}.checkpoint.parquet"


def write(storage: Storage, number: int, partitions: Iterable[Partition], *, metadata: dict[str, Any]) -> bool:
    """Write the checkpoint of a version; False if there is one. `metadata` is the table's, as a commit holds it.

    The tags of the files are in it, which tell sizes and checksums of their siblings.

    >>> from pathlib import Path
    >>> from tracklake.storage.local import LocalStorage
    >>> metadata = delta_actions.creation(0)[2]["metaData"]
    >>> part = delta_actions.Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3))
    >>> write(LocalStorage(Path("lake")), 100, [part], metadata=metadata)
    True
    >>> read(LocalStorage(Path("lake")), 100) == {"7f3a": part}
    True
    """
    whole_modules.load("pyarrow.parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = [{"protocol": delta_actions.PROTOCOL}, {"metaData": metadata}]
    rows += [delta_actions.add(part, data_change=False) for part in partitions]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), buffer, compression="zstd")
    data = buffer.getvalue()
    digest = checked_json.dumps({"size": len(data), "crc": crc32(data)})
    with contextlib.suppress(FileNotFoundError):
        storage.read(path_of(number), length=1)
        return False
    storage.put_if_absent(f"{path_of(number)}{DIGEST}", digest)
    return storage.put_if_absent(path_of(number), data)


def is_own(names: Collection[str], number: int) -> bool:
    """Tell whether the checksum of a checkpoint is among the names of the log's files: one that tracklake wrote.

    >>> is_own(["00000000000000000100.checkpoint.parquet"], 100)  # another Delta writer's
    False
    """
    return f"{number:020d}.checkpoint.parquet{DIGEST}" in names


def read(storage: Storage, number: int) -> dict[str, Partition]:
    """Return the partitions of a version by their ids, from its checkpoint, whoever wrote it.

    Raises LakeError for a checkpoint that is gone, damaged or not of this lake.

    >>> from pathlib import Path
    >>> from tracklake.storage.local import LocalStorage
    >>> read(LocalStorage(Path("lake")), 100)
    Traceback (most recent call last):
    tracklake.errors.LakeError: /.../00000000000000000100.checkpoint.parquet cannot be read: ...
    """
    rows = _rows(storage, number, ["protocol", "add"])
    for protocol in (row["protocol"] for row in rows):
        if protocol:
            stored = {key: protocol[key] for key in delta_actions.PROTOCOL}
            delta_actions.check_protocol(stored)
    adds = [row["add"] | {"tags": _mapping(row["add"]["tags"])} for row in rows if row["add"]]
    return {part.id: part for part in map(delta_actions.partition, adds)}


def read_metadata(storage: Storage, number: int) -> dict[str, Any]:
    """Return the table's metadata from a checkpoint; LakeError as in `read`.

    >>> from pathlib import Path
    >>> from tracklake.storage.local import LocalStorage
    >>> metadata = delta_actions.creation(7)[2]["metaData"]
    >>> _ = write(LocalStorage(Path("lake")), 200, [], metadata=metadata)
    >>> read_metadata(LocalStorage(Path("lake")), 200)["createdTime"]
    7
    """
    (metadata,) = [row["metaData"] for row in _rows(storage, number, ["metaData"]) if row["metaData"]]
    format_ = metadata["format"] | {"options": _mapping(metadata["format"]["options"])}
    return {**metadata, "format": format_, "configuration": _mapping(metadata["configuration"])}


def _rows(storage: Storage, number: int, columns: list[str]) -> list[dict[str, Any]]:
    name = path_of(number)
    try:
        data = storage.read(name)
        _verify(storage, name, data)
        return pl.read_parquet(io.BytesIO(data), columns=columns).to_dicts()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        interrupts.let_through(error)
        first = str(error).partition("\n")[0]
        raise LakeError(f"{storage.describe(name)} cannot be read: {first}") from error


def _verify(storage: Storage, name: str, data: bytes) -> None:
    """Raise LakeError where a checkpoint is not what was written; that of another writer has no checksum."""
    try:
        digest = checked_json.read(storage, f"{name}{DIGEST}")
    except FileNotFoundError:
        return
    if (digest.get("size"), digest.get("crc")) != (len(data), crc32(data)):
        raise LakeError(f"{storage.describe(name)} is damaged: its checksum is not the one it was written with")


def _mapping(items: Any) -> dict[str, Any]:
    """Return a map of Parquet as a dict: by version, polars gives one, or a list of keys and values."""
    if items is None or isinstance(items, dict):
        return items or {}
    return {item["key"]: item["value"] for item in items}


def first_metadata(commit: bytes) -> dict[str, Any]:
    """Return the table's metadata from the bytes of the commit that created it; LakeError if it has none.

    >>> first_metadata(delta_actions.lines(delta_actions.creation(7)))["createdTime"]
    7
    """
    with contextlib.suppress(ValueError, AttributeError):
        for line in commit.splitlines():
            action = json.loads(line).get("metaData")
            if isinstance(action, dict):
                return action
    raise LakeError("the first commit of the log has no metadata of the table")


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, number, flag, texts = pa.string(), pa.int64(), pa.bool_(), pa.map_(pa.string(), pa.string())
    names = pa.list_(pa.string())
    protocol = {"minReaderVersion": pa.int32(), "minWriterVersion": pa.int32(), "writerFeatures": names}
    add = {"path": text, "partitionValues": texts, "size": number, "modificationTime": number, "dataChange": flag}
    add |= {"stats": text, "tags": texts}
    form = pa.struct({"provider": text, "options": texts})
    metadata = {"id": text, "format": form, "schemaString": text, "partitionColumns": names}
    metadata |= {"configuration": texts, "createdTime": number}
    columns = {"protocol": protocol, "metaData": metadata, "add": add}
    return pa.schema({name: pa.struct(fields) for name, fields in columns.items()})
