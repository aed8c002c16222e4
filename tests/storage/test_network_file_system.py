"""What a network file system does otherwise than a disk, by faults at its calls: stale handles, no locks, no links."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tracklake as tl
from tracklake.storage.local import LocalStorage

ROWS = 30


def log(place: Path, run_id: str) -> None:
    with tl.init("p", id=run_id, dir=place, settings={"metadata": False}) as run:
        for step in range(ROWS):
            run.log({"loss": float(step)})


def stale(*_: object, **__: object) -> Any:
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def goes_stale(monkeypatch: pytest.MonkeyPatch, suffix: str, meanwhile: Callable[[], object]) -> list[str]:
    """Let the next open of a file of this kind fail as stale, after something was done by others."""
    opened, seen = Path.open, list[str]()

    def open_(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name.endswith(suffix) and not seen and args[:1] == ("rb",):
            seen.append(path.name)
            meanwhile()
            stale()
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_)
    return seen


def test_a_journal_that_another_host_sealed_and_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A handle that went stale means that the journal is gone: the reader lists again, and sees each row once."""
    log(tmp_path / "lake", "a")
    lake, other = tl.open(tmp_path / "lake"), tl.open(tmp_path / "lake")
    seen = goes_stale(monkeypatch, ".tlj", other.refresh)
    assert lake.history("loss").height == ROWS
    assert len(seen) == 1


def test_a_file_that_is_stale_is_a_file_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Reads raise FileNotFoundError, as for a file that was never there."""
    storage = LocalStorage(tmp_path / "lake")
    storage.put_if_absent("history/a", b"x")
    monkeypatch.setattr(Path, "open", stale)
    with pytest.raises(FileNotFoundError):
        storage.read("history/a")


def test_a_listing_leaves_out_what_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A name that is still listed although its file is gone on the server is left out."""
    storage = LocalStorage(tmp_path / "lake")
    for name in ("a", "b"):
        storage.put_if_absent(f"journal/{name}", b"x")

    class Gone:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.stat = entry.name, entry.stat if entry.name == "b" else stale

    class Listing(list):
        __enter__ = list.copy

        def __exit__(self, *_: object) -> None:
            """Close nothing."""

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: Listing(map(Gone, scandir(path))))
    assert [entry.name for entry in storage.list("journal")] == ["b"]


def test_no_lock_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the file system has no locks, runs are logged, read while they run, resumed, sealed and compacted."""

    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    lake = tl.open(tmp_path / "lake", create=True)
    with tl.init("p", id="live", dir=tmp_path / "lake") as run:
        run.log({"loss": 0.5})
        assert lake.history("loss").height == 1
        assert lake.run("live").state == "running"
        lake.refresh()
        run.log({"loss": 0.25})
    with tl.init("p", id="live", dir=tmp_path / "lake", resume="must") as run:
        run.log({"loss": 0.125})
    lake.refresh()
    lake.compact()
    assert lake.history("loss")["value"].to_list() == [0.5, 0.25, 0.125]
    assert lake.check(full=True).findings == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
def test_no_growing_file_is_mapped(tmp_path: Path):
    """Journals are read by read(2): a page that another host takes away under a map would kill the process."""
    lake = tl.open(tmp_path / "lake", create=True)
    with tl.init("p", id="live", dir=tmp_path / "lake") as run:
        for step in range(ROWS):
            run.log({"loss": float(step)})
        assert lake.history("loss").height == ROWS
        mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if ".tlj" in line]
    assert mapped == []


def test_commits_of_two_hosts_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where link(2) is refused the rename that never replaces decides: of two commits of one number one wins."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refused)
    here, there = LocalStorage(tmp_path / "lake"), LocalStorage(tmp_path / "lake")
    assert here.put_if_absent("history/0.json", b"here") is True
    assert there.put_if_absent("history/0.json", b"there") is False
    assert there.read("history/0.json") == b"here"
