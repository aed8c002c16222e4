"""The local directory of a lake. Where `os.link` is replaced, it stands for a file system that cannot be had here."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from processes import at_once, output

from tracklake.errors import CommitError, LakeError
from tracklake.storage import atomic_files as storage_module
from tracklake.storage.backend import Entry
from tracklake.storage.local import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "lake")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


STORAGE = """
from pathlib import Path
from tracklake.storage.local import LocalStorage

storage = LocalStorage(Path(sys.argv[1]))
"""


def refuse(code: int) -> object:
    def link(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return link


def test_put_then_read(storage: LocalStorage) -> None:
    """What was put is read back, whole or in part, and a part beyond the end is short."""
    assert storage.put_if_absent("history/_delta_log/0.json", b"0123456789")
    assert storage.read("history/_delta_log/0.json") == b"0123456789"
    assert storage.read("history/_delta_log/0.json", offset=7) == b"789"
    assert storage.read("history/_delta_log/0.json", offset=2, length=3) == b"234"
    assert storage.read("history/_delta_log/0.json", offset=8, length=99) == b"89"


def test_read_missing(storage: LocalStorage) -> None:
    """A missing file is a FileNotFoundError."""
    with pytest.raises(FileNotFoundError):
        storage.read("nothing")


def test_put_is_refused_if_taken(storage: LocalStorage) -> None:
    """A name is given once, also if the same bytes are put again, and nothing else stays in the folder."""
    assert [storage.put_if_absent("files/a", data) for data in (b"1", b"2", b"1")] == [True, False, False]
    assert storage.read("files/a") == b"1"
    assert names(storage.path("files")) == ["a"]


def test_one_winner_of_eight_processes(storage: LocalStorage) -> None:
    """Of eight processes that put one name, one wins, and its bytes are whole."""
    script = 'print(storage.put_if_absent("files/one", sys.argv[2].encode() * 100_000))'
    won = at_once(STORAGE + script, storage.root, number=8)
    assert sorted(won) == ["False"] * 7 + ["True"]
    assert storage.read("files/one") == b"%d" % won.index("True") * 100_000
    assert names(storage.path("files")) == ["one"]


def test_killed_before_the_link(storage: LocalStorage) -> None:
    """A process killed before it publishes leaves a name that is free and a listing that is empty."""
    dying = 'os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL); storage.put_if_absent("files/one", b"data")'
    output(STORAGE + dying, storage.root, code=-9)
    assert len(names(storage.path("files"))) == 1
    assert storage.list("files") == []
    assert storage.put_if_absent("files/one", b"mine")


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_refused_link_falls_back_to_rename(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Where hard links are refused, a rename that never replaces takes their place."""
    monkeypatch.setattr(os, "link", refuse(code))
    assert [storage.put_if_absent("files/a", data) for data in (b"1", b"2")] == [True, False]
    assert names(storage.path("files")) == ["a"]


def test_rename_spares_what_is_there(tmp_path: Path) -> None:
    """The fallback alone, too, decides: it says False and leaves both files as they are."""
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "theirs").write_bytes(b"theirs")
    assert not storage_module._rename_if_absent(tmp_path / "mine", tmp_path / "theirs")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
    assert storage_module._rename_if_absent(tmp_path / "mine", tmp_path / "free")
    assert names(tmp_path) == ["free", "theirs"]


def test_no_atomic_way_at_all(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither way is there, CommitError says so, names the folder, and nothing is left behind."""
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    monkeypatch.setattr(storage_module, "_rename_exclusively", refuse(errno.EINVAL))
    with pytest.raises(CommitError, match=r"lake/files cannot publish a file atomically.*sealing is not possible"):
        storage.put_if_absent("files/a", b"1")
    assert names(storage.path("files")) == []


def test_link_that_fails_after_the_deed(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the link call fails but our bytes are there, they were published."""
    link = os.link

    def lose_the_answer(source: Path, target: Path) -> None:
        link(source, target)
        raise OSError(errno.EIO, "answer lost")

    monkeypatch.setattr(os, "link", lose_the_answer)
    assert storage.put_if_absent("files/a", b"1")


def test_link_repeated_by_the_network(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link whose repetition finds the name taken by itself has won."""
    link = os.link

    def link_twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)
    assert storage.put_if_absent("files/a", b"1")


def test_link_that_fails(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the link call fails and nothing of ours is there, the error goes on and no file stays."""
    monkeypatch.setattr(os, "link", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        storage.put_if_absent("files/a", b"1")
    assert names(storage.path("files")) == []


def test_list(storage: LocalStorage) -> None:
    """A listing has the files of one folder with the suffix, by name, without folders and hidden files."""
    for name in ("journal/b.tlj", "journal/a.tlj", "journal/c.txt", "journal/.a.tlj", "journal/d.tlj/x.tlj"):
        storage.put_if_absent(name, b"1234")
    storage.path("journal/b.tlj").chmod(0o444)
    os.utime(storage.path("journal/a.tlj"), (1.0, 1.5))
    os.utime(storage.path("journal/b.tlj"), (1.0, 2.5))
    assert storage.list("journal", suffix=".tlj") == [
        Entry(name="a.tlj", size=4, mtime=1.5, writable=True),
        Entry(name="b.tlj", size=4, mtime=2.5, writable=False),
    ]
    assert [entry.name for entry in storage.list("journal")] == ["a.tlj", "b.tlj", "c.txt"]


def test_list_missing_folder(storage: LocalStorage) -> None:
    """A folder that is not there has no files, and listing does not make it."""
    assert storage.list("journal") == []
    assert not storage.root.exists()


def test_list_skips_what_vanishes(storage: LocalStorage) -> None:
    """A file that is gone when it is looked at (here: a link to nowhere) is not in the listing."""
    storage.put_if_absent("journal/a", b"1")
    storage.path("journal/gone").symlink_to("nowhere")
    assert [entry.name for entry in storage.list("journal")] == ["a"]


def test_delete(storage: LocalStorage) -> None:
    """Deleting says whether the file was still there."""
    storage.put_if_absent("files/a", b"1")
    assert [storage.delete("files/a"), storage.delete("files/a"), storage.delete("no/folder")] == [True, False, False]


def test_sync(storage: LocalStorage) -> None:
    """Files written by others can be synced, and a missing one is an error."""
    storage.put_if_absent("files/a", b"1")
    storage.publish(["files/a"])
    storage.publish([])
    with pytest.raises(FileNotFoundError):
        storage.publish(["files/b"])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system whose folders cannot be synced")
def test_a_folder_that_cannot_be_synced_is_left_alone() -> None:
    """Some file systems refuse to sync a folder; names are as durable there as they get."""
    storage_module.sync_folder(Path("/proc/self"))


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "files/../../a", ".."])
def test_names_stay_inside(storage: LocalStorage, name: str) -> None:
    """A name that leads out of the lake is refused by every operation, before anything is written."""
    for operation in (storage.read, storage.delete, storage.list, lambda n: storage.put_if_absent(n, b"")):
        with pytest.raises(LakeError, match="leads out of the lake"):
            operation(name)
    assert not storage.root.exists()


def test_no_reader_sees_a_part(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the moment of publishing, the name is not there; at that moment the file is whole."""
    link, seen = os.link, []

    def look(source: Path, target: Path) -> None:
        seen.append(target.exists())
        link(source, target)
        seen.append(target.read_bytes())

    monkeypatch.setattr(os, "link", look)
    storage.put_if_absent("files/a", b"whole")
    assert seen == [False, b"whole"]
