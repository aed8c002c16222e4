"""What every storage keeps: a local folder and memory; S3, Google's and Azure's as emulators speak them, by HTTP."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import azure_server
import pytest
from azure_server import AzureServer
from gcs_server import GCSServer
from s3_server import S3Server

from tracklake.errors import LakeError
from tracklake.storage.local import LocalStorage
from tracklake.storage.object_store import ObjectStorage
from tracklake.storage.store_connection import os_errors


class StorageContract:
    """The promises of a storage; a backend is a subclass with a fixture `storage`."""

    def test_put_if_absent_has_one_winner(self, storage):
        """Of sixteen puts of one name one wins, and its bytes are there."""
        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(lambda i: storage.put_if_absent("history/0.json", b"%d" % i), range(16)))
        assert won.count(True) == 1
        assert storage.read("history/0.json") == b"%d" % won.index(True)

    def test_a_range_ends_with_the_file(self, storage):
        """A range beyond the end is short or empty, and a missing file a FileNotFoundError."""
        storage.put_if_absent("files/a", b"hello")
        assert storage.read("files/a", offset=1, length=3) == b"ell"
        assert storage.read("files/a", offset=3, length=30) == b"lo"
        assert storage.read("files/a", offset=9) == b""
        with pytest.raises(FileNotFoundError):
            storage.read("files/b")

    def test_a_listing_is_of_one_folder_and_sorted(self, storage):
        """Names are sorted, chosen by beginning and end, and not of folders below."""
        for name in ("b.json", "a.json", "a.txt", "below/c.json"):
            storage.put_if_absent(f"history/{name}", b"1234")
        assert [(e.name, e.size) for e in storage.list("history", suffix=".json")] == [("a.json", 4), ("b.json", 4)]
        assert [e.name for e in storage.list("history", prefix=("b", "a.t"))] == ["a.txt", "b.json"]
        assert storage.list("nowhere") == []

    def test_a_deleted_file_is_gone(self, storage):
        """After a delete nothing is read, listed or fetched under the name."""
        storage.put_if_absent("states/a", b"x")
        storage.fetch("states/a")
        storage.delete("states/a")
        assert storage.list("states") == []
        with pytest.raises(FileNotFoundError):
            storage.fetch("states/a").read_bytes()

    def test_staged_files_are_published_whole(self, storage):
        """A staged file is no part of the lake before `publish`, and all of it afterwards."""
        data = bytes(range(256)) * 4096
        storage.stage("history/part-1.parquet").write_bytes(data)
        storage.publish(["history/part-1.parquet"])
        assert storage.read("history/part-1.parquet") == data
        assert storage.fetch("history/part-1.parquet").read_bytes() == data

    def test_a_followed_file_shows_what_was_appended(self, storage):
        """After each listing a followed file holds the bytes that were there."""
        self.append(storage, "journal/a.tlj", b"one")
        storage.list("journal")
        assert storage.follow("journal/a.tlj").read_bytes() == b"one"
        self.append(storage, "journal/a.tlj", b"two")
        storage.list("journal")
        assert storage.follow("journal/a.tlj").read_bytes() == b"onetwo"

    def append(self, storage, name: str, data: bytes) -> None:
        before = b"".join(storage.read(name) for entry in storage.list("journal") if name.endswith(entry.name))
        storage.replace(name, before + data, tag=storage.tag(name) if before else None)

    @pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "history/../../secret"])
    def test_a_name_does_not_lead_out_of_the_lake(self, storage, name: str):
        """Names are relative and without '..', whatever is done with them."""
        for act in (storage.read, storage.fetch, storage.delete, storage.stage, storage.follow):
            with pytest.raises(LakeError, match="leads out of the lake"):
                act(name)


class TestLocal(StorageContract):
    """A local folder."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "lake")

    def append(self, storage, name: str, data: bytes) -> None:
        path = storage.journal_folder("journal") / Path(name).name
        with path.open("ab") as file:
            file.write(data)


class StoreContract(StorageContract):
    """What object stores keep beyond: objects are replaced by who knows their tag."""

    def test_replace_asks_for_the_tag(self, storage):
        """An object is overwritten by who knows its tag; another's write in between is told."""
        first = storage.replace("journal/a.tlj", b"one", tag=None)
        storage.replace("journal/a.tlj", b"onetwo", tag=first)
        for tag in (None, first):
            with pytest.raises(FileExistsError, match="another process has written it"):
                storage.replace("journal/a.tlj", b"lost", tag=tag)
        assert storage.read("journal/a.tlj") == b"onetwo"

    def test_a_put_that_landed_unheard_is_won(self, storage):
        """Putting the same bytes again, as after an answer that was lost, is the same put."""
        assert (storage.put_if_absent("a", b"mine"), storage.put_if_absent("a", b"mine")) == (True, True)
        assert storage.put_if_absent("a", b"yours") is False


class TestMemory(StoreContract):
    """obstore's store in memory."""

    @pytest.fixture
    def storage(self) -> ObjectStorage:
        pytest.importorskip("obstore")
        return ObjectStorage("memory:///lake")


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The options of a bucket `bucket` on moto's server."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto.server", reason="moto[server], the emulator of S3, is not installed")
    with S3Server() as server:
        yield server.options


class TestS3(StoreContract):
    """S3 as moto emulates it, over HTTP."""

    @pytest.fixture
    def storage(self, s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
        monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cache"))
        return ObjectStorage(f"s3://bucket/{tmp_path.name}", options=s3)

    def test_readers_share_a_cache_that_may_vanish(self, storage, s3):
        """A second reader takes the copy of the first, and a deleted copy is fetched again."""
        storage.put_if_absent("runs/a.parquet", b"rows")
        path = storage.fetch("runs/a.parquet")
        other = ObjectStorage(storage.location, options=s3)
        assert other.fetch("runs/a.parquet") == path
        path.unlink()
        assert other.fetch("runs/a.parquet").read_bytes() == b"rows"

    def test_a_missing_bucket_is_told(self, s3):
        """A bucket that is not there is a missing file, or an error of the store that names the place."""
        gone = ObjectStorage("s3://nowhere/lake", options=s3)
        with pytest.raises(OSError, match="s3://nowhere/lake"):
            gone.put_if_absent("a", b"x")


@pytest.fixture(scope="module")
def azure() -> Iterator[dict[str, str]]:
    """The options of a container `container` on azurite."""
    pytest.importorskip("obstore")
    if not azure_server.is_installed():
        pytest.skip("azurite-blob, the emulator of Azure, is not on the path (npm install azurite)")
    with AzureServer() as server:
        yield server.options


class TestAzure(StoreContract):
    """Azure as azurite emulates it, over HTTP."""

    @pytest.fixture
    def storage(self, azure: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
        monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cache"))
        return ObjectStorage(f"az://container/{tmp_path.name}", options=azure)


@pytest.fixture(scope="module")
def gcs() -> Iterator[dict[str, str]]:
    """The options of a bucket `bucket` on the emulator of the tests."""
    pytest.importorskip("obstore")
    with GCSServer(page=100) as server:
        yield server.options


class TestGoogle(StoreContract):
    """Google Cloud Storage as the emulator of the tests speaks it, over HTTP."""

    @pytest.fixture
    def storage(self, gcs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
        monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cache"))
        return ObjectStorage(f"gs://bucket/{tmp_path.name}", options=gcs)

    def test_a_long_listing_comes_in_pages(self, storage):
        """A folder of more objects than one answer has is listed whole."""
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda i: storage.put_if_absent(f"runs/{i:04}", b"x"), range(110)))
        assert [entry.name for entry in storage.list("runs")] == [f"{i:04}" for i in range(110)]

    @pytest.mark.parametrize("ahead", [3600.0, -3600.0])
    def test_ages_are_those_of_the_store(self, storage, ahead: float, monkeypatch: pytest.MonkeyPatch):
        """A machine whose clock is an hour off takes an object that was just written for new."""
        storage.put_if_absent("journal/a.tlj", b"x")
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + ahead)
        (entry,) = storage.list("journal")
        assert entry.writable
        assert abs(time.time() - entry.mtime) < 120


def test_without_the_extra_a_url_is_refused(monkeypatch: pytest.MonkeyPatch):
    """A URL never makes a folder of that name: the way out is the extra."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(LakeError, match=r"pip install 'tracklake\[cloud\]'"):
        ObjectStorage("s3://bucket/lake")


def test_other_schemes_are_refused():
    """What is no URL of a store that is known names those that are."""
    with pytest.raises(LakeError, match="s3://, gs:// or az://"):
        ObjectStorage("ftp://host/lake")


@pytest.mark.parametrize("url", ["s3://key:hunter2@bucket/lake", "az://container/lake?sig=hunter2"])
def test_credentials_in_a_url_are_refused(url: str):
    """A URL is written into spools and messages: one that holds a secret is refused without naming it."""
    with pytest.raises(LakeError, match="storage_options") as raised:
        ObjectStorage(url)
    assert "hunter2" not in str(raised.value)


def test_a_password_in_an_endpoint_is_not_told():
    """What the store's library says of an error names the server alone."""
    pytest.importorskip("obstore")
    from obstore.exceptions import GenericError

    with pytest.raises(OSError, match=r"127\.0\.0\.1") as raised, os_errors("s3://bucket/lake"):
        raise GenericError("Error performing GET http://user:hunter2@127.0.0.1:9/bucket/a\n\nDebug source:\nhunter2")
    assert "hunter2" not in str(raised.value)
