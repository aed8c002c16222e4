"""The actions of one file of the log, as Delta Lake writes them, and the way back."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.errors import LakeError
from tracklake.schema.tables import FORMAT_VERSION, POINTS, STAMP
from tracklake.storage import checked_json

if TYPE_CHECKING:
    from collections.abc import Sequence

_DELTA_TYPES = {
    pl.String: "string",
    pl.Int64: "long",
    pl.Float64: "double",
    pl.Int8: "byte",
    STAMP: "timestamp",
}
PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["tracklake"]}
_ENGINE = "tracklake"
_PART = re.compile(r"part-(\w[\w.-]*)\.parquet", re.ASCII)


class Partition(NamedTuple):
    """One committed trio of sibling files.

    >>> part = Partition("7f3a", n_points=200, created=1_700_000_000_000, sizes=(900, 500, 300), crcs=(1, 2, 3))
    >>> part.history, part.states, part.runs
    ('history/part-7f3a.parquet', 'states/part-7f3a.parquet', 'runs/part-7f3a.parquet')
    """

    id: str
    n_points: int
    created: int
    """Milliseconds since the epoch."""
    sizes: tuple[int, int, int]
    """Bytes of the history, states and runs file."""
    crcs: tuple[int, int, int]
    """zlib.crc32 of the same three."""
    level: int = 0
    """Of how many rounds of merging it comes: 0 of sealing or an import."""

    @property
    def history(self) -> str:
        """Name of the file of points.

        >>> Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)).history
        'history/part-7f3a.parquet'
        """
        return f"history/part-{self.id}.parquet"

    @property
    def states(self) -> str:
        """Name of the file of states.

        >>> Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)).states
        'states/part-7f3a.parquet'
        """
        return f"states/part-{self.id}.parquet"

    @property
    def runs(self) -> str:
        """Name of the file of sessions and their statements.

        >>> Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)).runs
        'runs/part-7f3a.parquet'
        """
        return f"runs/part-{self.id}.parquet"


class Commit(NamedTuple):
    """What one file of the log says."""

    timestamp: int
    add: Sequence[Partition]
    remove: Sequence[str]  # ids
    operation: str = ""
    """What made it: SEAL, IMPORT, OPTIMIZE, ..."""


def commit_lines(actions: Sequence[dict[str, Any]]) -> bytes:
    """Return the actions of a commit as the bytes of its file; the first, `commitInfo`, gets the checksum of all.

    >>> parse(commit_lines(creation(7))).operation
    'CREATE TABLE'
    >>> parse(commit_lines(creation(7)).replace(b"CREATE", b"create"))
    Traceback (most recent call last):
    tracklake.errors.LakeError: its checksum is that of other content
    """
    info = actions[0]["commitInfo"]
    own = {**info["tracklake"], checked_json.KEY: checked_json.checksum(actions)}
    return lines([{"commitInfo": {**info, "tracklake": own}}, *actions[1:]])


def _check_sum(actions: Sequence[dict[str, Any]], data: bytes) -> None:
    """Raise LakeError where a commit has a checksum, and it is that of other actions, or has lost it."""
    infos = [action["commitInfo"] for action in actions if "commitInfo" in action]
    if any(str(info.get("engineInfo")).startswith(_ENGINE) and "tracklake" not in info for info in infos):
        raise LakeError("its checksum is missing")
    for action in actions:
        own = action.get("commitInfo", {}).get("tracklake")
        if isinstance(own, dict) and own.keys() - {"commit"}:
            if checked_json.KEY not in own or len(own) > 2 or not data.endswith(b"\n"):  # noqa: PLR2004 - id, checksum
                raise LakeError("its checksum is damaged")
            bare = {key: value for key, value in own.items() if key != checked_json.KEY}
            restored = {"commitInfo": {**action["commitInfo"], "tracklake": bare}}
            if checked_json.checksum([restored, *actions[1:]]) != own[checked_json.KEY]:
                raise LakeError("its checksum is that of other content")


def lines(actions: Sequence[dict[str, Any]]) -> bytes:
    r"""Return actions as the bytes of a file of the log.

    >>> lines([{"remove": {"path": "part-7f3a.parquet"}}])
    b'{"remove":{"path":"part-7f3a.parquet"}}\n'
    """
    return "".join(json.dumps(action, separators=(",", ":")) + "\n" for action in actions).encode()


def _commit_info(timestamp: int, operation: str) -> dict[str, Any]:
    """Return the first action of every commit; its random id makes each commit's bytes unique."""
    info = {
        "timestamp": timestamp,
        "operation": operation,
        "operationParameters": {},
        "engineInfo": f"{_ENGINE} format {FORMAT_VERSION}",
        "tracklake": {"commit": secrets.token_hex(16)},
    }
    return {"commitInfo": info}


def creation(timestamp: int) -> list[dict[str, Any]]:
    """Return the actions of version 0.

    >>> [list(action)[0] for action in creation(1_700_000_000_000)]
    ['commitInfo', 'protocol', 'metaData']
    """
    columns = [
        {"name": name, "type": _DELTA_TYPES[dtype], "nullable": True, "metadata": {}} for name, dtype in POINTS.items()
    ]
    metadata = {
        "id": str(uuid.uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": columns}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": timestamp,
    }
    return [_commit_info(timestamp, "CREATE TABLE"), {"protocol": PROTOCOL}, {"metaData": metadata}]


def actions(commit: Commit, *, data_change: bool) -> list[dict[str, Any]]:
    """Return the actions of a later version.

    >>> commit = Commit(1_700_000_000_000, add=[], remove=["7f3a"], operation="SEAL")
    >>> actions(commit, data_change=True)[1]["remove"]["path"]
    'part-7f3a.parquet'
    """
    return [
        _commit_info(commit.timestamp, commit.operation),
        *(_remove(key, commit.timestamp, data_change=data_change) for key in commit.remove),
        *(add(part, data_change=data_change) for part in commit.add),
    ]


def add(part: Partition, *, data_change: bool) -> dict[str, Any]:
    """Return the action that adds a partition.

    >>> add(Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3)), data_change=True)["add"]["size"]
    9
    """
    action = {
        "path": f"part-{part.id}.parquet",
        "partitionValues": {},
        "size": part.sizes[0],
        "modificationTime": part.created,
        "dataChange": data_change,
        # Only the count: bounds of doubles would let engines prune the files that hold NaN.
        "stats": json.dumps({"numRecords": part.n_points}),
        "tags": {
            "tracklake.id": part.id,
            "tracklake.sizes": json.dumps(part.sizes),
            "tracklake.crcs": json.dumps(part.crcs),
            "tracklake.level": str(part.level),
        },
    }
    return {"add": action}


def _remove(key: str, timestamp: int, *, data_change: bool) -> dict[str, Any]:
    action = {
        "path": f"part-{key}.parquet",
        "deletionTimestamp": timestamp,
        "dataChange": data_change,
        "extendedFileMetadata": False,
    }
    return {"remove": action}


@lru_cache(maxsize=1024)
def parse(data: bytes) -> Commit:
    """Return what a commit says; actions that are none of ours are passed over, as Delta wants it.

    Raises ValueError for what is no commit, LakeError for a protocol or a file that is not tracklake's.

    A process that starts many runs reads the same commits again and again, so it remembers what they say.

    >>> part = Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3))
    >>> commit = Commit(1_700_000_000_000, (part,), ("0b5a",), "SEAL")
    >>> parse(lines(actions(commit, data_change=True))) == commit
    True
    """
    file_lines = [json.loads(line) for line in data.splitlines()]
    actions = [action for line in file_lines for action in line.items()]
    if not actions:
        raise ValueError("it is empty")
    _check_sum(file_lines, data)
    for kind, action in actions:
        if kind == "protocol":
            check_protocol(action)
    commit = Commit(
        timestamp=max((int(action.get("timestamp", 0)) for kind, action in actions if kind == "commitInfo"), default=0),
        add=tuple(partition(action) for kind, action in actions if kind == "add"),
        remove=tuple(_id(action["path"]) for kind, action in actions if kind == "remove"),
        operation=next((str(action.get("operation", "")) for kind, action in actions if kind == "commitInfo"), ""),
    )
    if not any(kind == "commitInfo" for kind, _ in actions):
        raise LakeError("it has no commitInfo, with which every commit begins")
    return commit


def check_protocol(protocol: dict[str, Any]) -> None:
    """Raise LakeError unless a protocol is the one of a lake that this version knows.

    >>> check_protocol(PROTOCOL)
    """
    if protocol != PROTOCOL:
        raise LakeError(
            f"this table's protocol is {json.dumps(protocol)}, and this version of tracklake knows only "
            f"{json.dumps(PROTOCOL)}: it is no lake of tracklake, or one of a newer version; upgrade tracklake"
        )


def partition(add: dict[str, Any]) -> Partition:
    """Return the partition that an add action names, or raise the LakeError of a file that tracklake did not write.

    >>> part = Partition("7f3a", n_points=2, created=0, sizes=(9, 5, 3), crcs=(1, 2, 3))
    >>> partition(add(part, data_change=True)["add"]) == part
    True
    """
    path, tags = add["path"], add.get("tags") or {}
    if _id(path) != tags.get("tracklake.id"):
        raise LakeError(
            f"{path!r} was added by something other than tracklake, so its states and sessions are not known"
        )
    history, states, runs = json.loads(tags["tracklake.sizes"])
    of_history, of_states, of_runs = json.loads(tags["tracklake.crcs"])
    return Partition(
        id=_id(path),
        n_points=json.loads(add["stats"])["numRecords"],
        created=add["modificationTime"],
        sizes=(history, states, runs),
        crcs=(of_history, of_states, of_runs),
        level=int(tags.get("tracklake.level", 0)),
    )


def _id(path: str) -> str:
    """Return the id in a file's path, which is checked since files are opened and deleted by it."""
    match = _PART.fullmatch(path)
    if match is None:
        raise LakeError(f"{path!r} is no history file of tracklake (part-<id>.parquet)")
    return match[1]
