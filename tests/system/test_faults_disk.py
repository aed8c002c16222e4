"""Promise 1, second half: a full disk; and promise 6: a lake that cannot be written."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import open_to_others, output

import tracklake as tl
from tracklake.errors import CommitError, LakeError, TracklakeError, UnsavedRowsError
from tracklake.storage import atomic_files
from tracklake.storage.journal import writer


@pytest.fixture
def disk(tmp_path: Path):
    """A disk of one megabyte of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"only root can mount a small disk: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Fill the disk but for about this many bytes, and return the file that does."""
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    if leave:
        os.truncate(ballast, ballast.stat().st_size - leave)
    return ballast


def steps(disk: Path, run_id: str = "r") -> list[int]:
    return tl.open(disk / "lake").history("a", runs=run_id)["step"].to_list()


@pytest.mark.parametrize("durability", ["write", "fsync", "buffered"])
def test_full_disk(disk: Path, durability: str, recwarn: pytest.WarningsRecorder):
    """On a full disk `log` warns once and keeps the rows; they are written as soon as there is room."""
    run = tl.init("p", id="r", dir=disk / "lake", durability=durability)
    run.log({"a": 0.0})
    run._session.journal.flush()
    ballast = fill(disk)
    for step in range(1, 3_001):
        run.log({"a": float(step)})
    if durability == "buffered":
        run._session.journal.flush()
    told = [str(w.message).split(" for ")[0] for w in recwarn if w.category is UserWarning]
    assert told == ["tracklake: no room on the disk"]
    known = steps(disk)  # the page that was begun had room for some
    assert known == list(range(len(known)))
    assert run.unsaved == 3_001 - len(known)
    ballast.unlink()
    run.log({"a": 3_001.0})
    run._session.journal.flush()
    assert run.unsaved == 0
    run.finish()
    assert steps(disk) == list(range(3_002))
    assert tl.open(disk / "lake").run("r").state == "finished"
    assert tl.open(disk / "lake").check(full=True).findings == []


def test_bound_of_what_is_held(disk: Path, monkeypatch: pytest.MonkeyPatch):
    """When the bound is reached log raises, and the row it raised for is the only one that is not there later."""
    monkeypatch.setattr(writer, "PENDING_LIMIT", 20_000)
    run = tl.init("p", id="r", dir=disk / "lake")
    ballast = fill(disk)
    with pytest.warns(UserWarning, match="no room"), pytest.raises(UnsavedRowsError, match="Make room there and log"):
        for _ in range(10_000):
            run.log({"a": 1.0})
    reached = run.step
    ballast.unlink()
    run.log({"a": 1.0, "b": 2.0})
    run.finish()
    assert steps(disk) == list(range(reached + 1))
    assert tl.open(disk / "lake").history("b")["step"].to_list() == [reached]


def test_names_met_when_the_bound_was_reached(disk: Path, monkeypatch: pytest.MonkeyPatch):
    """A row of new names that was refused does not harm the rows of the same names that come later."""
    monkeypatch.setattr(writer, "PENDING_LIMIT", 300)
    run = tl.init("p", id="r", dir=disk / "lake")
    ballast = fill(disk)
    with pytest.warns(UserWarning, match="no room"), pytest.raises(UnsavedRowsError):
        for i in range(10_000):
            run.log({f"m{i}": 1.0})
    refused = f"m{run.step}"
    ballast.unlink()
    run.log({refused: 2.0})
    run.log({refused: 3.0})
    run.finish()
    assert tl.open(disk / "lake").history(refused)["value"].to_list() == [2.0, 3.0]
    assert tl.open(disk / "lake").check(full=True).findings == []


def test_finish_on_a_full_disk(disk: Path):
    """finish raises while rows wait for room; called again when there is some, it finishes."""
    run = tl.init("p", id="r", dir=disk / "lake")
    ballast = fill(disk)
    with pytest.warns(UserWarning, match="no room"):
        for _ in range(500):
            run.log({"a": 1.0})
    with pytest.raises(UnsavedRowsError, match=f"{run.unsaved} rows and the end of the run"):
        run.finish()
    assert tl.open(disk / "lake").run("r").state == "running"
    ballast.unlink()
    run.finish()
    assert (steps(disk), tl.open(disk / "lake").run("r").state) == (list(range(500)), "finished")


def test_process_that_ends_on_a_full_disk(disk: Path):
    """What no room was found for is told when the process ends, and nothing old is damaged."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1] + "/lake")
    for _ in range(100):
        run.log({"a": 1.0})
    try:
        with open(sys.argv[1] + "/ballast", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    import warnings
    warnings.showwarning = lambda message, *_: print(message)
    for _ in range(1000):
        run.log({"a": 1.0})
    """
    first, last = output(script, disk).splitlines()
    assert first.startswith("tracklake: no room on the disk for ")
    assert last.startswith("tracklake: run r could not be finished: the disk is full: ")
    known = steps(disk)
    assert known == list(range(len(known)))
    assert len(known) >= 100
    (disk / "ballast").unlink()
    tl.open(disk / "lake").refresh()
    assert (steps(disk), tl.open(disk / "lake").check(full=True).findings) == (known, [])


def test_init_on_a_full_disk(disk: Path):
    """A run that cannot begin says so, and leaves nothing."""
    tl.open(disk / "lake", create=True)
    ballast = fill(disk)
    with pytest.raises(LakeError, match=r"cannot begin a journal in .*: No space left on device; make room there"):
        tl.init("p", id="r", dir=disk / "lake")
    with pytest.raises(LakeError, match=r"cannot make a lake at .*: No space left on device"):
        tl.init("p", id="r", dir=disk / "other")
    ballast.unlink()
    assert list((disk / "lake/journal").iterdir()) == []
    assert tl.open(disk / "lake").runs().is_empty()


def test_no_room_to_seal(disk: Path):
    """Sealing that finds no room leaves neither half a partition nor a hole: the journal is read on."""
    with tl.init("p", id="r", dir=disk / "lake") as run:
        for step in range(2_000):
            run.log({"a": step / 7})
    ballast = fill(disk, leave=8_192)
    lake = tl.open(disk / "lake")
    with pytest.raises(LakeError, match=r"cannot seal in .*/lake: .*No space left"):
        lake.refresh()
    assert list((disk / "lake/history").glob("*.parquet")) == []
    assert steps(disk) == list(range(2_000))
    ballast.unlink()
    assert lake.refresh().points == 2_000
    assert (steps(disk), lake.check(full=True).findings) == (list(range(2_000)), [])


def test_rotation_without_room(disk: Path, monkeypatch: pytest.MonkeyPatch):
    """Where there is no room for another file the journal goes on in the one it has, or holds its rows."""
    monkeypatch.setattr(writer, "ROTATE_AT", 20_000)
    with tl.init("p", id="r", dir=disk / "lake") as run:
        for _ in range(200):
            run.log({"a": 1.0})
        ballast = fill(disk)
        with pytest.warns(UserWarning, match="no room"):
            for _ in range(1_500):
                run.log({"a": 1.0})
        ballast.unlink()
        for _ in range(1_500):
            run.log({"a": 1.0})
    assert steps(disk) == list(range(3_200))
    assert run._session.journal.name.n >= 2
    assert tl.open(disk / "lake").check(full=True).findings == []


def tree(place: Path) -> dict[str, tuple[int, int]]:
    return {str(p.relative_to(place)): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(place.rglob("*"))}


@pytest.fixture
def lake_to_read(tmp_path: Path) -> Path:
    """A lake with sealed and live data, of which others than its owner may read all."""
    with tl.init("p", id="sealed", config={"lr": 0.1}, dir=tmp_path / "lake") as run:
        run.log({"a": 1.0})
    tl.open(tmp_path / "lake").refresh()
    with tl.init("p", id="live", dir=tmp_path / "lake") as run:
        run.log({"a": 2.0})
    open_to_others(tmp_path)
    return tmp_path / "lake"


READ = """
lake = tl.open(sys.argv[1])
assert lake.runs(where="state = 'finished'").height == 2
assert lake.summaries(["a.max", "a.p50"])["a.max"].to_list() == [1.0, 2.0]
assert lake.history()["value"].to_list() == [2.0, 1.0]
assert lake.at_best("a", goal="min").height == 2
assert lake.scan_history("a").collect().height == 2
assert lake.run("live").summary["a"] == 2.0 and lake.run("live").history().height == 1
assert lake.run("live").state == "finished"
assert lake.check(full=True).ok
"""


def test_reading_writes_nothing(lake_to_read: Path):
    """Reading leaves every file and folder as it was."""
    before = tree(lake_to_read)
    output(READ, lake_to_read)
    assert tree(lake_to_read) == before


WITHOUT_RIGHTS = """
import pyarrow.parquet   # the interpreter's files may be root's own
os.setgid(65534), os.setuid(65534)
"""


def test_reader_without_the_right_to_write(lake_to_read: Path):
    """Who may only read the files reads all; who tries to write is told what is missing."""
    if os.getuid() != 0:
        pytest.skip("only root can give its rights away")
    if not all(folder.stat().st_mode & 0o001 for folder in Path(tl.__file__).parents):
        pytest.skip("others may not read the code itself where it lies")
    before = tree(lake_to_read)
    words = """
for act in (lambda: tl.init("p", dir=sys.argv[1]), lambda: tl.open(sys.argv[1] + "/new", create=True),
            lambda: tl.open(sys.argv[1]).define_metric("a", summary="max"), lambda: tl.open(sys.argv[1]).refresh()):
    try:
        act()
    except (tl.TracklakeError, OSError) as error:
        print(type(error).__name__, str(error).replace(sys.argv[1], "LAKE"))
"""
    printed = output(WITHOUT_RIGHTS + READ + words, lake_to_read)
    unwritable = "LakeError cannot begin a journal in LAKE/journal: Permission denied; give a lake that can be written"
    assert printed.splitlines() == [
        f"{unwritable}, or another dir=",
        "LakeError cannot make a lake at LAKE/new: Permission denied. Give a folder that can be written.",
        f"{unwritable}, or another dir=",
        "LakeError cannot seal in LAKE: Permission denied. Reading works without; what is logged stays in journals.",
    ]
    assert tree(lake_to_read) == before


def test_read_only_disk(disk: Path):
    """A lake on a disk that was mounted read-only is read; a run in it is refused."""
    with tl.init("p", id="r", dir=disk / "lake") as run:
        run.log({"a": 1.0})
    tl.open(disk / "lake").refresh()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert steps(disk) == [0]
    assert tl.open(disk / "lake").check(full=True).ok
    with pytest.raises(
        LakeError, match=r"cannot begin a journal in .*: Read-only file system; give a lake that can be"
    ):
        tl.init("p", dir=disk / "lake")
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def error_of(act: Callable[[], object]) -> str:
    """What an act raises of ours; nothing where it succeeds."""
    try:
        act()
    except TracklakeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("act", ["refresh", "compact"])
def test_no_room_to_commit(disk: Path, act: str):
    """Where a partition finds room and its commit does not, nothing of it is left, and the error says so."""
    for run_id in ("a", "b"):
        with tl.init("p", id=run_id, dir=disk / "lake", settings={"metadata": False}) as run:
            run.log({"a": 1.0})
        if act == "compact" or run_id == "a":
            tl.open(disk / "lake").refresh()
    lake = tl.open(disk / "lake")
    before = sorted(path.name for path in (disk / "lake").rglob("part-*"))
    errors = []
    for leave in range(0, 60_000, 2_048):
        ballast = fill(disk, leave=leave)
        errors.append(error_of(getattr(lake, act)))
        ballast.unlink()
        if not errors[-1]:
            break
        assert "No space left" in errors[-1]
        assert sorted(path.name for path in (disk / "lake").rglob("part-*")) == before
        assert [path.name for path in (disk / "lake").rglob(".*")] == []
    assert len(errors) > 1
    if act == "refresh":  # a small disk counts its room by processor: that of a merge may end before its commit or not
        assert [error for error in errors if error.startswith("cannot commit to")], errors
    assert tl.open(disk / "lake").history("a").height == 2
    assert tl.open(disk / "lake").check(full=True).findings == []


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A lake can be made and logged into where nothing can be published atomically; sealing says that it cannot."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(atomic_files, "_rename_exclusively", refuse)
    with tl.init("p", id="r", dir=tmp_path / "lake") as run:
        run.log({"a": 1.0})
    lake = tl.open(tmp_path / "lake")
    assert lake.history("a")["value"].to_list() == [1.0]
    with pytest.raises(CommitError, match="sealing is not possible here; logging is"):
        lake.refresh()
    assert list((tmp_path / "lake").rglob("part-*")) == []
    assert lake.check().ok


def test_a_disabled_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its folder goes at the end of the process."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    script = """
    with tl.init("p", mode="disabled") as run:
        run.log({"a": 1.0})
        print(run.summary["a"], len(os.listdir(os.environ["TMPDIR"])))
    sys.exit()
    """
    assert output(script).split()[-2:] == ["1.0", "1"]
    assert list(tmp_path.iterdir()) == []


def test_the_size_allowed_for_a_file_is_told_as_such(tmp_path: Path):
    """With `ulimit -f` reached the words are not those of a full disk, and the journal goes on in another file."""
    script = """
    import resource
    run = tl.init("p", id="r", dir=sys.argv[1], settings={"metadata": False})
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    import warnings
    with warnings.catch_warnings(record=True, action="always") as warned:
        run.log({"text": "x" * 30_000})
        print([str(w.message) for w in warned])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    run.finish()
    """
    assert "the size allowed for a file (ulimit -f) is reached" in output(script, tmp_path / "lake")
    assert tl.open(tmp_path / "lake").history("text").height == 1


def test_files_that_have_no_room_are_told_and_leave_nothing(tmp_path: Path):
    """An artifact, a picture and a download beyond `ulimit -f`: what and where, the way out, and no part of a file."""
    script = """
    import resource
    from pathlib import Path
    folder = Path(sys.argv[1])
    (folder / "blob").write_bytes(bytes(30_000))
    artifact = tl.Artifact("a", "data")
    artifact.add_file(folder / "blob")
    run = tl.init("p", id="r", dir=folder / "lake", settings={"metadata": False})
    kept = run.log_artifact(artifact)
    (folder / "blob").write_bytes(bytes(40_000))
    bigger = tl.Artifact("b", "data")
    bigger.add_file(folder / "blob")
    picture = tl.Image(__import__("numpy").random.default_rng(0).integers(0, 255, (200, 200, 3)).astype("uint8"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    for act in (
        lambda: run.log_artifact(bigger),
        lambda: run.log({"picture": picture}),
        lambda: kept.download(folder / "copy"),
    ):
        try:
            act()
        except tl.TracklakeError as error:
            print(error)
    run.log({"loss": 1.0})
    run.finish()
    """
    lines = output(script, tmp_path).splitlines()
    way_out = "File too large; let this process write files of that size (ulimit -f)"
    stored = f"cannot store a file in {tmp_path / 'lake'}: {way_out}"
    assert lines == [stored, stored, f"cannot write {tmp_path / 'copy' / 'blob'}: {way_out}"]
    assert list((tmp_path / "copy").iterdir()) == []
    assert len(list((tmp_path / "lake" / "files").iterdir())) == 1
    assert tl.open(tmp_path / "lake").history("loss").height == 1
