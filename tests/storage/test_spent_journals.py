"""What becomes of a journal that is sealed: it goes, once nobody can append to it and no reader waits for it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from processes import start

import tracklake as tl
from tracklake.storage.journal import host, writer
from tracklake.storage.journal.file_names import FileName
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import sealing
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.snapshot_reader import SnapshotReader
from tracklake.tracking.session import Session

HOUR = 3600


def silent(place: Path, seconds: float) -> None:
    """Let the last sign of life of all journals be so long ago."""
    for file in (place / "journal").iterdir():
        os.utime(file, (0, time.time() - seconds))


def left_after_sealing(place: Path, *, silence: float) -> list[int]:
    """Seal after so long a silence, and return the numbers of the journal files that are left."""
    silent(place, silence)
    tl.open(place).refresh()
    return sorted(FileName.parse(file.name).n for file in (place / "journal").iterdir())


def values(place: Path) -> list[float]:
    return tl.open(place).history("a", raw=True)["value"].to_list()


def test_a_finished_journal_goes_at_once(tmp_path: Path):
    """It goes in the call that seals it; a reader that had listed it lists again."""
    with tl.init(dir=tmp_path) as run:
        run.log({"a": 1.0})
    reader = SnapshotReader(LocalStorage(tmp_path))
    listed = reader.catalog.list_journals()
    assert left_after_sealing(tmp_path, silence=0) == []
    listings = iter([listed])
    reader.catalog.list_journals = lambda: next(listings, [])
    assert reader.snapshot().n_stored == 1
    assert values(tmp_path) == [1.0]


def test_a_journal_of_a_living_process_stays(tmp_path: Path):
    """However long a process is silent, what it says then is appended to the same file."""
    run = tl.init(dir=tmp_path)
    run.log({"a": 1.0})
    assert left_after_sealing(tmp_path, silence=48 * HOUR) == [0]
    run.log({"a": 2.0})
    assert values(tmp_path) == [1.0, 2.0]
    run.finish()


def test_a_journal_of_a_killed_process_goes(tmp_path: Path):
    """A lock that is free tells that nobody will append."""
    with start("run = tl.init(dir=sys.argv[1]); run.log({'a': 1.0}); os._exit(9)", tmp_path) as child:
        assert child.wait() == 9
    assert left_after_sealing(tmp_path, silence=0) == []
    assert values(tmp_path) == [1.0]


def test_a_journal_of_another_machine_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody knows here whether its writer lives, so that it is kept, while what it holds is sealed."""
    with start("run = tl.init(dir=sys.argv[1]); run.log({'a': 1.0}); os._exit(9)", tmp_path) as child:
        assert child.wait() == 9
    monkeypatch.setattr(host, "NODE", "boot@elsewhere")
    assert left_after_sealing(tmp_path, silence=48 * HOUR) == [0]
    assert values(tmp_path) == [1.0]


def test_a_journal_from_before_this_machine_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its writer died with the machine: it goes after a day's silence that is longer than the machine has run."""
    monkeypatch.setattr(host, "NODE", "before@" + host.NODE.partition("@")[2])
    script = """
    from tracklake.storage.journal import host
    host.NODE = sys.argv[2]
    tl.init(dir=sys.argv[1]).log({"a": 1.0})
    os._exit(9)
    """
    with start(script, tmp_path, host.NODE) as child:
        assert child.wait() == 9
    monkeypatch.undo()
    running = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert left_after_sealing(tmp_path, silence=23 * HOUR) == [0]
    assert left_after_sealing(tmp_path, silence=25 * HOUR + running) == []
    assert values(tmp_path) == [1.0]


def test_a_file_whose_session_went_on_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It goes, wherever it was written and though its last frame was lost: nobody appends to it."""
    monkeypatch.setattr(writer, "ROTATE_AT", 2_000)
    monkeypatch.setattr(Session, "_seal_in_background", lambda _: None)
    with tl.init("p", dir=tmp_path / "first") as run:
        while run._session.journal.name.n == 0:
            run.log({"a": 1.0})
        rows = run.step
    shutil.copytree(tmp_path / "first" / "journal", tmp_path / "second" / "journal")
    shutil.copy(tmp_path / "first" / "tracklake.json", tmp_path / "second")
    torn = min((tmp_path / "second" / "journal").iterdir())
    torn.chmod(0o644)
    os.truncate(torn, torn.stat().st_size - 1)
    monkeypatch.setattr(host, "NODE", "boot@elsewhere")
    assert left_after_sealing(tmp_path / "second", silence=0) == []
    assert values(tmp_path / "second") == [1.0] * rows


def test_what_is_not_sealed_is_not_deleted(tmp_path: Path):
    """A finishing process seals what is complete; what a killed one left stays as it is, however old."""
    with start("run = tl.init(dir=sys.argv[1]); run.log({'a': 1.0}); os._exit(9)", tmp_path) as child:
        assert child.wait() == 9
    with tl.init(dir=tmp_path) as run:
        run.log({"a": 2.0})
    silent(tmp_path, 48 * HOUR)
    sealed = sealing.seal(Catalog(LocalStorage(tmp_path)), live=False)
    assert (sealed.journals, sealed.points) == (1, 1)
    assert len(list((tmp_path / "journal").iterdir())) == 1
    assert sorted(values(tmp_path)) == [1.0, 2.0]


def test_a_torn_tail_is_not_sealed_again_and_again(tmp_path: Path):
    """Half a frame at the end of a journal is no news: the file is sealed once, and goes like any other."""
    with tl.init(dir=tmp_path) as run:
        run.log({"a": 1.0})
    (file,) = (tmp_path / "journal").iterdir()
    file.chmod(0o644)
    os.truncate(file, file.stat().st_size - 1)
    file.chmod(0o444)
    assert tl.open(tmp_path).refresh() == (1, 1, 1, [])
    assert tl.open(tmp_path).refresh() == (0, 0, 0, [])
    assert left_after_sealing(tmp_path, silence=0) == []


def test_a_journal_without_a_word(tmp_path: Path):
    """A file whose writer died before its first word may have one that lives: it is no run, and stays for a day."""
    lake = tl.open(tmp_path, create=True)
    (tmp_path / "journal").mkdir(exist_ok=True)
    (tmp_path / "journal" / str(FileName("r-0b5a2a4c1e", 255, 0))).touch()
    assert lake.runs().is_empty()
    assert left_after_sealing(tmp_path, silence=23 * HOUR) == [0]
    assert left_after_sealing(tmp_path, silence=25 * HOUR) == []
