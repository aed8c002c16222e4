"""Journals on an object store: uploaded as they grow, recovered from the spool."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import output

from tracklake.errors import LakeError
from tracklake.storage.journal.clock import Clock
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.journal.upload import Upload, Uploader, recover
from tracklake.storage.journal.writer import Journal

pytest.importorskip("obstore")
from tracklake.storage.object_store import ObjectStorage


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
    monkeypatch.setenv("TRACKLAKE_SPOOL", str(tmp_path / "spools"))
    return ObjectStorage("memory:///lake")


def journal(folder: Path) -> Journal:
    folder.mkdir(exist_ok=True)
    return Journal(folder, run_id="r", project="p", clock=Clock(), durability="write", header={})


def rows(store: ObjectStorage) -> list[int]:
    """Return the number of rows in each journal of the store."""
    store_files = store.list("journal")
    return [JournalReader(store.follow(f"journal/{entry.name}")).read().n_points for entry in store_files]


def log(journal: Journal, values: range) -> None:
    for step in values:
        journal.append_row(journal.clock.tick(), step, ("loss",), "d", [float(step)])


def test_the_object_follows_the_file(store, tmp_path: Path):
    """After each push the store's object is the file's bytes so far, and a reader follows it."""
    written = journal(tmp_path / "journal")
    uploader = Uploader(store, tmp_path / "journal", written.session)
    for end in (10, 20, 30):
        log(written, range(end - 10, end))
        uploader.push(over=False)
        assert rows(store) == [end]
    written.finish([])
    uploader.push(over=True)
    assert rows(store) == [30]
    assert list((tmp_path / "journal").iterdir()) == []


def test_rotated_files_leave_the_spool_in_order(store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that ended because it grew is uploaded to its end and deleted; the newest stays."""
    monkeypatch.setattr("tracklake.storage.journal.writer.ROTATE_AT", 500)
    written = journal(tmp_path / "journal")
    log(written, range(40))
    Uploader(store, tmp_path / "journal", written.session).push(over=False)
    assert len(store.list("journal")) > 1
    assert sum(rows(store)) == 40
    assert [path.name for path in (tmp_path / "journal").iterdir()] == [written.path.name]


def test_an_answer_that_was_lost_is_no_conflict(store, tmp_path: Path):
    """A put that landed although it answered an error is found again, and the upload goes on from it."""
    path = tmp_path / "a.tlj"
    path.write_bytes(b"one")
    store.replace("journal/a.tlj", b"one", tag=None)  # landed, and nobody told
    upload = Upload(store, path, "journal/a.tlj")
    assert upload.push() == 3
    path.write_bytes(b"onetwo")
    assert (upload.push(), store.read("journal/a.tlj")) == (6, b"onetwo")


def test_foreign_bytes_are_never_overwritten(store, tmp_path: Path):
    """An object that holds other bytes is told, and both stay as they are."""
    (tmp_path / "a.tlj").write_bytes(b"mine")
    store.replace("journal/a.tlj", b"theirs", tag=None)
    with pytest.raises(LakeError, match="holds other bytes"):
        Upload(store, tmp_path / "a.tlj", "journal/a.tlj").push()
    assert (store.read("journal/a.tlj"), (tmp_path / "a.tlj").read_bytes()) == (b"theirs", b"mine")


def test_a_killed_process_loses_nothing_once_its_machine_recovers(store, tmp_path: Path):
    """All rows that were appended before kill -9 are in the store after a recovery, and the spool is empty."""
    script = """
    import pathlib
    from tracklake.storage.journal.clock import Clock
    from tracklake.storage.journal.writer import Journal
    journal = Journal(pathlib.Path(sys.argv[1]), run_id="r", project="p", clock=Clock(), durability="write", header={})
    for step in range(57):
        journal.append_row(journal.clock.tick(), step, ("loss",), "d", [float(step)])
    sys.stdout.write(str(os.getpid())); sys.stdout.flush()
    os.kill(os.getpid(), 9)
    """
    (tmp_path / "journal").mkdir()
    with pytest.raises(AssertionError):  # it was killed
        output(script, tmp_path / "journal")
    (path,) = tmp_path.glob("journal/*.tlj")
    with path.open("ab") as file:
        file.write(b"torn")
    recovered = recover(store, tmp_path / "journal")
    assert (recovered.files, recovered.live, rows(store)) == (1, 0, [57])
    assert list(tmp_path.glob("journal/*.tlj")) == []


def test_a_recovery_leaves_live_files_alone(tmp_path: Path):
    """A journal that a process writes is its writer's to upload."""
    written = journal(tmp_path / "journal")
    log(written, range(3))
    script = """
    import pathlib
    from tracklake.storage.journal.upload import recover
    from tracklake.storage.object_store import ObjectStorage
    print(recover(ObjectStorage("memory:///lake"), pathlib.Path(sys.argv[1])).live)
    """
    assert output(script, tmp_path / "journal").split() == ["1"]
    assert written.path.exists()
