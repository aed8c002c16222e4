"""The cache of immutable files: bounded over all lakes, shared, and never trusted where it is damaged."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.storage.backend import Storage
from tracklake.storage.file_cache import FileCache, cache_of
from tracklake.storage.object_store import ObjectStorage
from tracklake.storage.table import verified_files
from tracklake.storage.table.delta_actions import Partition


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all caches, which may take 1,000 bytes."""
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRACKLAKE_CACHE_SIZE", "1000")
    return tmp_path / "cache"


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def download(cache: FileCache, name: str, n_bytes: int) -> Path:
    return cache.get(name, lambda file: file.write(b"x" * n_bytes))


def test_all_lakes_share_the_room(root: Path):
    """What was used longest ago goes, of whatever lake, so that the rest fit; what is used again stays."""
    one, other = cache_of("s3://bucket/one"), cache_of("s3://bucket/other")
    first, second = download(one, "a", 400), download(other, "b", 400)
    download(one, "a", 400)
    third = download(other, "c", 400)
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)
    assert size(root) == 800


def test_what_was_uploaded_takes_room_too(root: Path, tmp_path: Path):
    """A machine that only writes keeps within the bound as well."""
    cache = cache_of("s3://bucket/lake")
    for i in range(20):
        (tmp_path / "staged").write_bytes(b"x" * 300)
        cache.put(f"history/{i}", tmp_path / "staged")
    assert size(root) == 900


def test_the_cache_lies_on_another_file_system_than_what_is_temporary(tmp_path: Path):
    """What was uploaded is copied into the cache, whole, and no longer where it was."""
    device = tmp_path.stat().st_dev
    places = map(Path, ("/dev/shm", tempfile.gettempdir(), Path.home()))
    elsewhere = next((place for place in places if place.exists() and place.stat().st_dev != device), None)
    if elsewhere is None:
        pytest.skip("there is one file system")
    with tempfile.TemporaryDirectory(dir=elsewhere) as temporary:
        staged = Path(temporary) / "staged"
        staged.write_bytes(b"rows")
        assert FileCache(tmp_path / "cache").put("history/a", staged).read_bytes() == b"rows"
        assert not staged.exists()
    assert [path.name for path in (tmp_path / "cache" / "history").iterdir()] == ["a"]


def test_a_size_that_is_none_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch):
    """The setting is a number of bytes."""
    assert root.name == "cache"
    monkeypatch.setenv("TRACKLAKE_CACHE_SIZE", "10 GB")
    with pytest.raises(LakeError, match="TRACKLAKE_CACHE_SIZE is '10 GB'; it takes a number of bytes"):
        cache_of("s3://bucket/lake")


def test_a_use_is_no_change(root: Path):
    """A copy that is used again keeps the time of its change: it is not read again to be verified."""
    cache = cache_of("s3://bucket/lake")
    path = download(cache, "a", 10)
    os.utime(path, ns=(1, 12345))
    assert download(cache, "a", 10) == path
    assert path.stat().st_mtime_ns == 12345
    assert path.stat().st_atime_ns > 12345
    assert root.exists()


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Storage, Partition]:
    """A local lake of one partition."""
    with tl.init("p", id="a", dir=tmp_path / "lake", settings={"metadata": False}) as run:
        run.log({"loss": 0.5})
    lake = tl.open(tmp_path / "lake")
    lake.refresh()
    (partition,) = lake._reader.catalog.refresh().partitions.values()
    return lake._storage, partition


@pytest.mark.parametrize("how", ["cut", "flipped", "empty"])
def test_a_damaged_copy_is_fetched_anew(sealed: tuple[Storage, Partition], how: str):
    """A copy that is not what was committed costs a download, and is no damage of the lake."""
    pytest.importorskip("obstore")
    local, partition = sealed
    store = ObjectStorage("memory:///lake")
    store.put_if_absent(partition.states, local.read(partition.states))
    copy = verified_files.verified(store, partition, "states")
    sound = copy.read_bytes()
    copy.write_bytes({"cut": sound[:-5], "flipped": sound[:-1] + bytes([sound[-1] ^ 1]), "empty": b""}[how])
    assert verified_files.verified(store, partition, "states").read_bytes() == sound


def test_damage_of_the_store_itself_is_told(sealed: tuple[Storage, Partition]):
    """What is damaged in the lake too is named, after one more look."""
    pytest.importorskip("obstore")
    local, partition = sealed
    store = ObjectStorage("memory:///lake")
    store.put_if_absent(partition.states, local.read(partition.states)[:-1] + b"?")
    with pytest.raises(LakeError, match=r"memory:///lake/states/.* is damaged: its checksum"):
        verified_files.verified(store, partition, "states")
