from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING

import pytest
from processes import output

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.schema.values import Kind, Stored
from tracklake.storage.journal import writer
from tracklake.storage.journal.clock import Clock
from tracklake.storage.journal.file_names import FileName, lock_of
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.journal.writer import Journal

if TYPE_CHECKING:
    from pathlib import Path

END = [("state", Stored(Kind.TEXT, None, None, "finished"))]


def begin(folder: Path, durability: str = "write") -> Journal:
    folder.mkdir(exist_ok=True)
    return Journal(folder, run_id="Run 1", project="p", clock=Clock(), durability=durability, header={"pid": 1})


def put(journal_: Journal, step: int, **values: float) -> None:
    journal_.append_row(journal_.clock.tick(), step, tuple(values), "d" * len(values), list(values.values()))


def steps(folder: Path) -> dict[int, list[int]]:
    """The steps of the rows in each file of a folder, by the file's number; every file is read alone, and is sound."""
    found = {}
    for file in folder.iterdir():
        tail = JournalReader(file).read()
        assert tail.faults == []
        found[FileName.parse(file.name).n] = sorted(step for block in tail.blocks for step in block.steps.tolist())
    return dict(sorted(found.items()))


@pytest.mark.parametrize(
    "name",
    [
        "run.tlj",
        "run.00000000000000ff.0.txt",
        "run.ff.0.tlj",
        "run.-0000000000000ff.0.tlj",
        "run.ffffffffffffffff.0.tlj",
        "run.00000000000000ff.-1.tlj",
        "run.00000000000000ff.1_0.tlj",
        "run.00000000000000ff.99999999999.tlj",
        ".00000000000000ff.0.tlj",
        "run.00000000000000ff.0.tlj.tmp",
    ],
)
def test_name_that_is_no_journals(name: str):
    """A file whose name is not of the form run.session.n.tlj is no journal."""
    assert FileName.parse(name) is None


def test_name_tells_run_session_and_number():
    """A journal's name holds the safe form of the run id, the session and the file's number."""
    name = FileName("run-1_a.b", (1 << 63) - 1, 12)
    assert str(name) == "run-1_a.b.7fffffffffffffff.12.tlj"
    assert FileName.parse(str(name)) == name


@pytest.mark.parametrize("durability", ["write", "fsync"])
def test_append_has_written_when_it_returns(tmp_path: Path, durability: str):
    """When append returns, another reader of the file sees the row."""
    writing = begin(tmp_path, durability)
    for step in range(3):
        put(writing, step, a=1.0)
        assert steps(tmp_path) == {0: list(range(step + 1))}


def test_buffered_writes_when_told_or_when_much_has_gathered(tmp_path: Path):
    """A buffered journal writes on flush, at 64 KiB, and at its end."""
    writing = begin(tmp_path, "buffered")
    put(writing, 0, a=1.0)
    assert steps(tmp_path) == {0: []}
    writing.flush()
    assert steps(tmp_path) == {0: [0]}
    for step in range(1, 2_000):
        put(writing, step, a=1.0)
    assert len(steps(tmp_path)[0]) > 1_000
    assert writing.unsaved == 0
    writing.finish(END)
    assert steps(tmp_path) == {0: list(range(2_000))}


def test_complete_file_has_no_write_bit(tmp_path: Path):
    """A file that ends with finish may be told from one that is written by its mode alone."""
    writing = begin(tmp_path)
    assert writing.path.stat().st_mode & stat.S_IWUSR
    writing.finish(END)
    assert stat.S_IMODE(writing.path.stat().st_mode) == 0o444


def test_lock_tells_life(tmp_path: Path):
    """The lock is held as long as the journal is open."""
    writing = begin(tmp_path)
    assert lock_of(writing.path) == "held"
    writing.finish(END)
    assert lock_of(writing.path) == "free"


@pytest.mark.parametrize("durability", ["write", "fsync", "buffered"])
def test_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: str):
    """A file that has grown ends, and the next can be read alone; no row is lost or doubled."""
    monkeypatch.setattr(writer, "ROTATE_AT", 5_000)
    monkeypatch.setattr(writer, "BUFFER_AT", 700)
    writing = begin(tmp_path, durability)
    for step in range(500):
        put(writing, step, **({"a": 1.0, "b": 2.0} if step % 3 else {"a": 1.0}))
    writing.finish(END)
    files = steps(tmp_path)
    assert list(files) == list(range(len(files)))
    assert len(files) >= 4
    assert [step for rows in files.values() for step in rows] == list(range(500))
    ends = [JournalReader(path) for path in sorted(tmp_path.iterdir())]
    assert {reader.read() and reader.closed for reader in ends} == {"rotate", "finish"}
    assert all(reader.header["n"] == FileName.parse(reader.path.name).n for reader in ends)


def test_folder_that_is_gone(tmp_path: Path):
    """A journal that cannot begin names the folder and the reason."""
    with pytest.raises(LakeError, match=r"cannot begin a journal in .*/gone: No such file or directory; give a lake"):
        Journal(tmp_path / "gone", run_id="r", project="p", clock=Clock(), durability="write", header={})


def test_write_error_that_is_no_full_disk(tmp_path: Path):
    """An error of the disk raises, names the file, and says that the row is not saved; the next row is."""
    writing = begin(tmp_path)
    put(writing, 0, a=1.0)
    good, writing.file._file = writing.file._file, io.FileIO(os.dup(os.open(writing.path, os.O_RDONLY)), "w")
    with pytest.raises(LakeError, match=r"cannot write .*tlj: Bad file descriptor. The row is not saved."):
        put(writing, 1, a=1.0, b=2.0)
    writing.file._file = good
    put(writing, 2, a=1.0, b=2.0)
    assert steps(tmp_path) == {0: [0, 2]}


def test_two_million_points(tmp_path: Path):
    """A long run is sealed as it goes: its memory stays small, and every point is read back."""
    script = """
    import resource
    names = [f"m{i:02}" for i in range(100)]
    with tl.init("p", id="r", dir=sys.argv[1]) as run:
        for step in range(20_000):
            run.log({name: step + i / 128 for i, name in enumerate(names)})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
    """
    megabytes = int(output(script, tmp_path))
    assert megabytes < 700
    lake = tl.open(tmp_path)
    assert len(list((tmp_path / "history").glob("*.parquet"))) >= 1  # while it went on
    asked = [f"m{i:02}.{stat}" for i in (0, 64, 99) for stat in ("count", "min", "max", "sum")]
    expected = [(20_000, i / 128, 19_999 + i / 128, 199_990_000 + 20_000 * i / 128) for i in (0, 64, 99)]
    assert lake.summaries(asked).row(0)[1:] == pytest.approx([x for numbers in expected for x in numbers], rel=1e-12)
    assert lake.history("m64")["value"].to_list() == [step + 0.5 for step in range(20_000)]


def test_key_set_declared_by_the_row_that_ends_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A row that declares its key set and ends the file with it loses none of the rows after it."""
    monkeypatch.setattr(writer, "ROTATE_AT", 1)
    with tl.init("p", id="r", dir=tmp_path, settings={"metadata": False}) as run:
        for step in range(6):
            run.log({"a": float(step)})
    assert tl.open(tmp_path).history("a")["value"].to_list() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert tl.open(tmp_path).check().findings == []
