"""The Delta log: the one commit point of the lake."""

from __future__ import annotations

import errno
import json
import textwrap
from typing import TYPE_CHECKING

import polars as pl
import pytest
from processes import at_once, output

from tracklake.errors import LakeError
from tracklake.schema import tables
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import delta_actions
from tracklake.storage.table import delta_log as delta_log_module
from tracklake.storage.table.delta_actions import Partition
from tracklake.storage.table.delta_log import DeltaLog, Version

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "history/_delta_log/00000000000000000000.json"
SECOND = "history/_delta_log/00000000000000000001.json"


@pytest.fixture
def log(tmp_path: Path) -> DeltaLog:
    return DeltaLog(LocalStorage(tmp_path / "lake"))


def part(key: str, *, n_points: int = 10, size: int = 100) -> Partition:
    return Partition(
        key, n_points=n_points, created=1_700_000_000_000, sizes=(size, 50, 20), crcs=(1, 2, 4_294_967_295)
    )


def always(_: Version) -> bool:
    return True


def never(_: Version) -> bool:
    return False


def seal(log: DeltaLog, *keys: str) -> Version:
    """Add one commit a key."""
    for key in keys:
        version = log.commit(base=log.read(), add=[part(key)], operation="SEAL", still_valid=always)
    assert version is not None
    return version


def actions(log: DeltaLog, name: str) -> list[dict]:
    return [json.loads(line) for line in log.storage.read(name).splitlines()]


COMMITTER = """
from pathlib import Path
from tracklake.storage.table.delta_actions import Partition
from tracklake.storage.table.delta_log import DeltaLog
from tracklake.storage.local import LocalStorage

log = DeltaLog(LocalStorage(Path(sys.argv[1])))

def commit(key, base, **more):
    part = Partition(key, n_points=10, created=0, sizes=(100, 50, 20), crcs=(1, 2, 3))
    return log.commit(base=base, add=[part], operation="SEAL", still_valid=lambda newer: True, **more)
"""


def test_no_log(log: DeltaLog) -> None:
    """Where there is no log, the version is -1 and empty, and reading writes nothing."""
    assert log.read() == Version(number=-1, timestamp=0, partitions={})
    assert not log.storage.root.exists()


def test_create(log: DeltaLog) -> None:
    """Version 0 holds the protocol that keeps foreign writers out, and the columns; creating again does nothing."""
    log.create()
    data = log.storage.read(FIRST)
    log.create()
    assert log.storage.read(FIRST) == data
    info, protocol, metadata = actions(log, FIRST)
    assert protocol == {"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["tracklake"]}}
    columns = json.loads(metadata["metaData"]["schemaString"])["fields"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("project", "string"),
        ("run_id", "string"),
        ("metric", "string"),
        ("session", "long"),
        ("step", "long"),
        ("ts", "timestamp"),
        ("value", "double"),
        ("ival", "long"),
        ("text", "string"),
        ("kind", "byte"),
    ]
    assert metadata["metaData"]["partitionColumns"] == []
    assert log.read() == Version(0, info["commitInfo"]["timestamp"], {})


def test_first_commit_creates(log: DeltaLog) -> None:
    """A commit on top of nothing creates the log first, and is version 1 even where nothing newer is acceptable."""
    version = log.commit(base=Version(-1, 0, {}), add=[part("a")], operation="SEAL", still_valid=never)
    assert version is not None
    assert (version.number, version.partitions) == (1, {"a": part("a")})
    assert log.read() == version


def test_what_a_commit_says(log: DeltaLog) -> None:
    """A commit is commitInfo, then removes and adds in Delta's form, with our own facts as tags of strings."""
    seal(log, "a")
    base = log.read()
    log.commit(base=base, add=[part("b")], remove=["a"], operation="COMPACT", still_valid=always, data_change=False)
    info, remove, add = actions(log, "history/_delta_log/00000000000000000002.json")
    assert info["commitInfo"]["operation"] == "COMPACT"
    assert len(info["commitInfo"]["tracklake"]["commit"]) == 32
    assert remove == {
        "remove": {
            "path": "part-a.parquet",
            "deletionTimestamp": info["commitInfo"]["timestamp"],
            "dataChange": False,
            "extendedFileMetadata": False,
        }
    }
    assert add == {
        "add": {
            "path": "part-b.parquet",
            "partitionValues": {},
            "size": 100,
            "modificationTime": 1_700_000_000_000,
            "dataChange": False,
            "stats": '{"numRecords": 10}',
            "tags": {
                "tracklake.id": "b",
                "tracklake.sizes": "[100, 50, 20]",
                "tracklake.crcs": "[1, 2, 4294967295]",
                "tracklake.level": "0",
            },
        }
    }


def test_partitions_are_in_commit_order(log: DeltaLog) -> None:
    """A version has the partitions added and not removed, as they were added, in the order of their commits."""
    seal(log, "c", "a", "b")
    version = log.commit(base=log.read(), add=[part("0")], remove=["a"], operation="COMPACT", still_valid=always)
    assert version is not None
    assert list(version.partitions) == ["c", "b", "0"]
    assert log.read() == version
    assert version.partitions["b"] == part("b")


def test_incremental_read(log: DeltaLog) -> None:
    """Reading on from any version equals a full read, and leaves that version as it was; nothing new gives itself."""
    old = [seal(log, "a"), seal(log, "b")]
    log.commit(base=old[1], add=[part("c")], remove=["a"], operation="COMPACT", still_valid=always)
    newest = log.read()
    assert [log.read(since=version) for version in old] == [newest, newest]
    assert list(old[0].partitions) == ["a"]
    assert log.read(since=newest) is newest


def test_incremental_read_opens_only_newer_commits(log: DeltaLog) -> None:
    """With `since`, the older commits are not even opened."""
    base = seal(log, "a")
    seal(log, "b")
    log.storage.delete(FIRST)
    log.storage.delete(SECOND)
    assert list(log.read(since=base).partitions) == ["a", "b"]


def test_time_travel(log: DeltaLog) -> None:
    """`at` gives that version, whatever is known already, and refuses one that is not there."""
    seal(log, "a", "b", "c")
    assert [list(log.read(at=n).partitions) for n in range(4)] == [[], ["a"], ["a", "b"], ["a", "b", "c"]]
    assert log.read(since=log.read(), at=1) == log.read(at=1)
    assert log.read(since=log.read(at=1), at=2) == log.read(at=2)
    with pytest.raises(LakeError, match="no version 4; the newest of those before is 3"):
        log.read(at=4)


def test_loser_goes_on_top(log: DeltaLog) -> None:
    """Who lost the number takes the next one if the newer version suits, and is shown it once."""
    log.create()
    base, shown = log.read(), []
    seal(log, "theirs")
    mine = log.commit(base=base, add=[part("mine")], operation="SEAL", still_valid=lambda v: shown.append(v) or True)
    assert mine is not None
    assert (mine.number, list(mine.partitions)) == (2, ["theirs", "mine"])
    assert [version.number for version in shown] == [1]


def test_loser_gives_up(log: DeltaLog) -> None:
    """Who lost and finds the newer version unsuitable gets None and has committed nothing."""
    log.create()
    base = log.read()
    newest = seal(log, "theirs")
    assert log.commit(base=base, add=[part("mine")], operation="SEAL", still_valid=never) is None
    assert log.read() == newest


def test_a_partition_is_removed_once(log: DeltaLog) -> None:
    """Who lost and would remove what is gone gets None, whatever `still_valid` says."""
    base = seal(log, "old")
    newest = log.commit(base=base, add=[part("new")], remove=["old"], operation="COMPACT", still_valid=always)
    assert log.commit(base=base, add=[part("x")], remove=["old"], operation="COMPACT", still_valid=always) is None
    assert log.commit(base=newest, remove=["never"], operation="COMPACT", still_valid=always) is None
    assert log.read() == newest


def test_concurrent_commits_lose_nothing(log: DeltaLog) -> None:
    """Six processes that seal at once, into a lake not yet created, get dense numbers and all their partitions."""
    script = """
    base = log.read()
    for n in range(20):
        base = commit(f"{sys.argv[2]}-{n}", base)
    """
    at_once(COMMITTER + textwrap.dedent(script), log.storage.root, number=6)
    version = log.read()
    assert version.number == 120
    assert set(version.partitions) == {f"{worker}-{n}" for worker in range(6) for n in range(20)}
    assert len(log.storage.list("history/_delta_log", suffix=".json")) == 121
    times = [log.read(at=n).timestamp for n in range(121)]
    assert times == sorted(times)


def test_concurrent_compactions_of_one_partition(log: DeltaLog) -> None:
    """Of six processes that replace the same partition, one does."""
    seal(log, "old")
    script = 'print(commit(f"new{sys.argv[2]}", log.read(at=1), remove=["old"]) is not None)'
    won = at_once(COMMITTER + script, log.storage.root, number=6)
    assert sorted(won) == ["False"] * 5 + ["True"]
    assert list(log.read().partitions) == [f"new{won.index('True')}"]


def test_killed_committer(log: DeltaLog) -> None:
    """A committer killed before its file is published leaves no trace in the log, and the next one goes on."""
    log.create()
    dying = 'os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL); commit("lost", log.read())'
    output(COMMITTER + dying, log.storage.root, code=-9)
    assert log.read().number == 0
    assert list(seal(log, "mine").partitions) == ["mine"]


def test_commit_times_never_go_back(log: DeltaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set back does not make a commit older than the one before it."""
    times = []
    for now in (5000, 3000, 7000):
        monkeypatch.setattr(delta_log_module.time, "time_ns", lambda now=now: now * 1_000_000)
        version = seal(log, f"at{now}")
        assert log.read() == version
        times.append(version.timestamp)
    assert times == [5000, 5000, 7000]


@pytest.mark.parametrize("published", [True, False])
def test_error_of_unknown_outcome(log: DeltaLog, monkeypatch: pytest.MonkeyPatch, *, published: bool) -> None:
    """After an error the number is read back: our own commit there has won, and without it the error goes on."""
    log.create()
    put = LocalStorage.put_if_absent

    def fail(storage: LocalStorage, name: str, data: bytes) -> bool:
        if published:
            put(storage, name, data)
        raise OSError(errno.EIO, "answer lost")

    monkeypatch.setattr(LocalStorage, "put_if_absent", fail)
    if published:
        assert seal(log, "a").number == 1
    else:
        with pytest.raises(OSError, match="answer lost"):
            seal(log, "a")
    assert list(log.read().partitions) == (["a"] if published else [])


def test_own_commit_called_taken(log: DeltaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put that calls the number taken when our own commit is there has won: it is not committed twice."""
    log.create()
    put = LocalStorage.put_if_absent
    monkeypatch.setattr(LocalStorage, "put_if_absent", lambda *args: put(*args) and False)
    assert seal(log, "a").number == 1
    assert log.read().number == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{not json",
        b"\xff",
        b"[1]",
        b"1",
        b'{"add": {}}',
        b'{"add": null}',
        b'{"add": {"path": "part-a.parquet"}}',
    ],
)
def test_unreadable_commit(log: DeltaLog, data: bytes) -> None:
    """A commit that cannot be understood raises an error that names the file."""
    log.create()
    log.storage.put_if_absent(SECOND, data)
    with pytest.raises(LakeError, match=r"00000000000000000001\.json"):
        log.read()


def test_a_commit_that_the_disk_refuses(log: DeltaLog) -> None:
    """A commit that cannot be read raises an error that names the file and what the system says."""
    log.create()
    log.storage.path(SECOND).mkdir()
    with pytest.raises(LakeError, match=r"00000000000000000001\.json cannot be read: Is a directory"):
        log.read()


def test_other_files_in_the_log(log: DeltaLog) -> None:
    """What is no commit by its name, such as a checkpoint of another writer, is passed over."""
    seal(log, "a")
    for name in ("00000000000000000009.checkpoint.json", "00000000000000000001.crc", "notes.json"):
        log.storage.put_if_absent(f"history/_delta_log/{name}", b"none of ours")
    assert log.read().number == 1
    assert seal(log, "b").number == 2


@pytest.mark.parametrize(
    "path", ["part-a.parquet", "../../part-a.parquet", "part-../x.parquet", "part-00-c000.parquet"]
)
def test_foreign_add(log: DeltaLog, path: str) -> None:
    """A file that something else added is refused by name, and so is a path that leads elsewhere."""
    log.create()
    add = {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": True}
    log.storage.put_if_absent(SECOND, json.dumps({"add": add}).encode())
    with pytest.raises(LakeError) as caught:
        log.read()
    assert repr(path) in str(caught.value)


def test_unknown_actions_are_passed_over(log: DeltaLog) -> None:
    """Actions that are none of ours (txn, domainMetadata, a commitInfo without a time) change nothing."""
    timestamp = seal(log, "a").timestamp
    lines = [{"txn": {"appId": "x", "version": 1}}, {"domainMetadata": {"domain": "d"}}, {"commitInfo": {}}]
    log.storage.put_if_absent(
        "history/_delta_log/00000000000000000002.json", "\n".join(json.dumps(line) for line in lines).encode()
    )
    assert log.read() == Version(2, timestamp, {"a": part("a")})


def test_newer_protocol_is_refused(log: DeltaLog) -> None:
    """A table of another protocol, which is one of a newer tracklake or none of ours, says to upgrade."""
    log.storage.put_if_absent(FIRST, b'{"protocol": {"minReaderVersion": 3, "minWriterVersion": 7}}')
    with pytest.raises(LakeError, match="upgrade tracklake"):
        log.read()


def test_read_only_lake(log: DeltaLog) -> None:
    """A lake in folders that nobody may write to is read."""
    version = seal(log, "a")
    folders = [log.storage.path("history/_delta_log"), log.storage.path("history")]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert log.read() == version
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.fixture
def points() -> pl.DataFrame:
    rows = {
        "project": ["p"] * 3,
        "run_id": ["r"] * 3,
        "metric": ["loss"] * 3,
        "session": [1] * 3,
        "step": [0, 1, 2],
        "ts": [1_700_000_000_000_000] * 3,
        "value": [0.5, float("nan"), None],
        "ival": [None, None, 7],
        "text": [None] * 3,
        "kind": [0, 0, 1],
    }
    return pl.DataFrame(rows, schema=tables.POINTS)


@pytest.fixture
def table(log: DeltaLog, points: pl.DataFrame) -> str:
    """Return the path of a lake's history with two partitions, one of them without rows, and one removed."""
    log.create()
    parquet = pytest.importorskip("pyarrow.parquet")
    for key, frame in (("gone", points), ("full", points), ("empty", points.clear())):
        name = log.storage.path(f"history/part-{key}.parquet")
        parquet.write_table(frame.to_arrow(), name)
        added = part(key, n_points=frame.height, size=name.stat().st_size)
        log.commit(base=log.read(), add=[added], operation="SEAL", still_valid=always)
    log.commit(base=log.read(), remove=["gone"], operation="COMPACT", still_valid=always)
    return str(log.storage.path("history"))


def test_polars_reads_the_table(table: str, points: pl.DataFrame) -> None:
    """Polars reads exactly the points of the newest version, NaN included."""
    pytest.importorskip("deltalake")
    frame = pl.read_delta(table)
    assert frame.schema == pl.Schema(tables.POINTS)
    assert frame.equals(points)
    assert pl.scan_delta(table).filter(pl.col("value").is_nan()).collect().height == 1


def test_deltalake_reads_the_table(table: str) -> None:
    """The table opens in deltalake, with its history and its old versions."""
    deltalake = pytest.importorskip("deltalake")
    newest = deltalake.DeltaTable(table)
    assert newest.version() == 4
    assert newest.to_pyarrow_table().num_rows == 3
    assert [commit["operation"] for commit in newest.history()] == ["COMPACT", "SEAL", "SEAL", "SEAL", "CREATE TABLE"]
    assert deltalake.DeltaTable(table, version=2).to_pyarrow_table().num_rows == 6


def test_foreign_writers_are_refused(table: str, points: pl.DataFrame, log: DeltaLog) -> None:
    """Neither append nor compact nor vacuum of deltalake works, and the log stays as it is."""
    deltalake = pytest.importorskip("deltalake")
    before, opened = log.read(), deltalake.DeltaTable(table)
    for write in (
        lambda: deltalake.write_deltalake(table, points.to_arrow(), mode="append"),
        opened.optimize.compact,
        lambda: opened.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False),
    ):
        with pytest.raises(deltalake.exceptions.DeltaError, match=r"(?i)unsupported"):
            write()
    assert log.read() == before
    assert log.storage.path("history/part-gone.parquet").exists()


@pytest.mark.parametrize(("name", "other"), [(b'"commitInfo"', b'"bommitInfo"'), (b'"tracklake":', b'"trackmake":')])
def test_a_commit_whose_checksum_cannot_be_found_is_damaged(name: bytes, other: bytes):
    """A bit that flips in the names around the checksum does not make it a commit without one."""
    data = delta_actions.commit_lines(delta_actions.creation(7))
    assert delta_actions.parse(data).operation == "CREATE TABLE"
    with pytest.raises(LakeError, match=r"no commitInfo|checksum is missing"):
        delta_actions.parse(data.replace(name, other, 1))
