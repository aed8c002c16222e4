from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import tracklake as tl
from tracklake.schema.values import Kind, Stored
from tracklake.storage.journal import frame_format
from tracklake.storage.journal.clock import Clock
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.journal.writer import Journal

if TYPE_CHECKING:
    from pathlib import Path

SOUND = {
    ("a", 0): 0.5,
    ("b", 0): 1,
    ("note", 0): "first",
    ("a", 1): 1.5,
    ("b", 1): 2,
    ("a", 2): 2.5,
    ("c", 3): True,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The journal of a finished run of four rows, a config and an edit: 12 frames."""
    with tl.init("p", id="run", config={"lr": 0.1}, dir=tmp_path, settings={"metadata": False}) as run:
        run.log({"a": 0.5, "b": 1, "note": "first"})
        run.log({"a": 1.5, "b": 2})
        run.log({"a": 2.5})
        run.log({"c": True})
        run.summary["mark"] = "good"
    (found,) = (tmp_path / "journal").iterdir()
    found.chmod(0o644)
    return found


def frames(data: bytes) -> list[tuple[int, int]]:
    """The bounds of the frames of a sound file."""
    bounds, at = [], 0
    while at < len(data):
        _, length = frame_format.parse_prefix(data[at : at + frame_format.PREFIX_SIZE])
        bounds.append((at, at + frame_format.PREFIX_SIZE + length + frame_format.CRC_SIZE))
        at = bounds[-1][1]
    return bounds


def read(path: Path, data: bytes):
    """What a file of these bytes holds: points, statements, faults, and up to where it was read."""
    path.write_bytes(data)
    reader = JournalReader(path)
    tail = reader.read()
    points = {}
    for block in tail.blocks:
        for j, (name, kind) in enumerate(zip(block.names, block.kinds, strict=True)):
            raw = block.values[:, j].copy()
            numbers = raw.view("<f8") if kind == "d" else raw.astype(int if kind == "q" else bool)
            points |= {(name, step): x for step, x in zip(block.steps.tolist(), numbers.tolist(), strict=True)}
    points |= {(p.metric, p.step): p.stored.text for p in tail.unpacked}
    return points, [(item.op, item.key) for item in tail.items], tail.faults, reader


def journal_of(folder: Path) -> Journal:
    folder.mkdir(exist_ok=True)
    return Journal(folder, run_id="r", project="p", clock=Clock(), durability="write", header={})


def test_whole_file(file: Path):
    """A sound file gives all that was said, and no fault."""
    points, said, faults, reader = read(file, file.read_bytes())
    assert points == SOUND
    assert said == [("config", "lr"), ("edit", "mark"), ("finish", "state"), ("finish", "exit_code")]
    assert faults == []
    assert reader.header["run"] == "run"
    assert reader.closed == "finish"


def test_cut_at_every_byte(file: Path):
    """A file cut anywhere gives exactly its whole frames; a torn tail is no fault."""
    data = file.read_bytes()
    bounds = frames(data)
    for size in range(len(data)):
        points, _, faults, reader = read(file, data[:size])
        whole = [end for _, end in bounds if end <= size]
        assert faults == []
        assert reader.offset == max(whole, default=0)
        assert points.items() <= SOUND.items()
    assert len(read(file, data[: bounds[-1][0]])[0]) == len(SOUND)


def test_rows_before_a_cut_are_all_there(file: Path):
    """What stands before the cut is read, value by value."""
    data = file.read_bytes()
    rows = [i for i, (at, _) in enumerate(frames(data)) if data[at + 3] == frame_format.ROW]
    assert [len(read(file, data[: frames(data)[i][1]])[0]) for i in rows] == [2, 5, 6, 7]


def test_every_flipped_byte_is_told(file: Path):
    """A byte that changed is told with the file and the frame's offset, and costs at most the frame that it is in."""
    data = bytearray(file.read_bytes())
    bounds = frames(bytes(data))
    for begin, end in bounds:
        lost = points_in(bytes(data[begin:end]))
        for position in range(begin, end):
            data[position] ^= 0xFF
            points, _, faults, reader = read(file, bytes(data))
            data[position] ^= 0xFF
            assert [(f.file, f.offset) for f in faults] == [(file.name, begin)]
            assert len(points) == len(SOUND) - lost
            assert points.items() <= SOUND.items()
            assert reader.header["run"] == "run"


def points_in(frame: bytes) -> int:
    """How many points a frame holds that no other frame repeats."""
    if frame[3] == frame_format.ROW:
        return (len(frame) - frame_format.PREFIX_SIZE - frame_format.CRC_SIZE - frame_format.ROW_HEAD) // 8
    return int(frame[3] == frame_format.STATEMENT and b'"op":"row"' in frame)


def test_every_flipped_bit_is_told(tmp_path: Path):
    """In a small file each single bit is tried."""
    journal = journal_of(tmp_path / "journal")
    key_set = frame_format.KeySet(0, ("x",), "d")
    declaration = key_set.declaration()
    journal.append(declaration + key_set.row(1, 0, [0.5]) + key_set.row(2, 1, [1.5]))
    data = bytearray(journal.path.read_bytes())
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        points, _, faults, _ = read(journal.path, bytes(data))
        data[bit // 8] ^= 1 << bit % 8
        assert len(faults) == 1
        assert points.items() <= {("x", 0): 0.5, ("x", 1): 1.5}.items()
        assert len(points) >= 1


def test_words_of_a_fault(file: Path):
    """A fault names the file, the byte and what is wrong there."""
    data = bytearray(file.read_bytes())
    begin, end = frames(bytes(data))[-1]
    data[end - 1] ^= 1
    assert (
        str(read(file, bytes(data))[2][0])
        == f"{file.name}: damaged at byte {begin}: the frame's checksum does not match"
    )


def test_names_that_are_lost(file: Path):
    """Where both declarations of a row's names are damaged, the rows that lack them are counted."""
    data = bytearray(file.read_bytes())
    declared = [begin for begin, _ in frames(bytes(data)) if data[begin + 3] == frame_format.KEYSET][:2]
    for begin in declared:
        data[begin + 15] ^= 1
    points, _, faults, _ = read(file, bytes(data))
    assert points == {("note", 0): "first", ("a", 2): 2.5, ("c", 3): True}
    assert faults[-1].reason == (
        "from here on 2 rows cannot be read: the declaration of their names (key set 0) is damaged"
    )


def closed(kind: int, body: bytes) -> bytes:
    return frame_format.with_checksum(frame_format.prefix(kind, len(body)) + body)


STRANGE = {
    "a kind of frame of a later version": closed(9, b"whatever"),
    "a statement without a stamp": closed(frame_format.STATEMENT, b"{}"),
    "no JSON": closed(frame_format.STATEMENT, bytes(8) + b"{"),
    "no UTF-8": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"\xff"}'),
    "nested too deep": closed(frame_format.STATEMENT, bytes(8) + b"[" * 100_000),
    "a list": closed(frame_format.STATEMENT, bytes(8) + b"[1]"),
    "no said": closed(frame_format.STATEMENT, bytes(8) + b"{}"),
    "items of another form": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"config","items":[["a"]]}'),
    "items that are a number": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"config","items":7}'),
    "a key that is no text": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"config","items":[[1,0,1.0]]}'),
    "half a surrogate pair": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"config","items":[["\\ud800",0,1.0]]}'),
    "a kind of value of a later version": closed(
        frame_format.STATEMENT, bytes(8) + b'{"op":"config","items":[["a",99,1]]}'
    ),
    "a text for a number": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"config","items":[["a",0,"x"]]}'),
    "an int beyond 64 bits": closed(
        frame_format.STATEMENT, bytes(8) + b'{"op":"row","step":1,"items":[["a",1,9223372036854775808]]}'
    ),
    "a row without a step": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"row","items":[["a",3,"x"]]}'),
    "a header without a run": closed(frame_format.STATEMENT, bytes(8) + b'{"op":"header","session":1}'),
    "names of a later version": closed(frame_format.KEYSET, b'[7,["a"],"z"]'),
    "names that do not fit": closed(frame_format.KEYSET, b'[7,["a"],"dd"]'),
    "names that are a number": closed(frame_format.KEYSET, b"[7,5,5]"),
    "names that are no list": closed(frame_format.KEYSET, b"{}"),
    "a row too short": closed(frame_format.ROW, bytes(19)),
    "a row of broken width": closed(frame_format.ROW, bytes(21)),
    "a row of other width than its names": frame_format.KeySet(0, ("x", "y"), "dd").row(5, 5, [1.0, 2.0]),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_sound_frame_of_unknown_form(tmp_path: Path, strange: str):
    """A frame that checks and cannot be understood is told, and the rest of the file is read."""
    journal = journal_of(tmp_path / "journal")
    key_set = frame_format.KeySet(0, ("x",), "d")
    declaration = key_set.declaration()
    journal.append(declaration + key_set.row(1, 0, [0.5]))
    size = journal.path.stat().st_size
    journal.append(STRANGE[strange])
    journal.append(key_set.row(2, 1, [1.5]))
    points, said, faults, _ = read(journal.path, journal.path.read_bytes())
    assert points == {("x", 0): 0.5, ("x", 1): 1.5}
    assert said == []
    assert [fault.offset for fault in faults] == [size]


def test_statement_of_a_later_version(tmp_path: Path):
    """A statement of a kind that is not known yet is passed on as it is: it may mean something to others."""
    journal = journal_of(tmp_path / "journal")
    journal.append_statement("omen", [("k", Stored(Kind.TEXT, None, None, "v"))], novelty={"deep": [1]})
    _, said, faults, _ = read(journal.path, journal.path.read_bytes())
    assert (said, faults) == ([("omen", "k")], [])


def test_lake_with_a_strange_journal_is_readable(tmp_path: Path):
    """Whatever stands in a journal, the lake answers, and check tells of it."""
    with tl.init("p", id="good", dir=tmp_path) as run:
        run.log({"x": 1.0})
    journal = journal_of(tmp_path / "journal")
    for frame in STRANGE.values():
        journal.append(frame)
    lake = tl.open(tmp_path)
    assert lake.summaries("x", runs="good")["x"].item() == 1.0
    assert len(lake.check().findings) == len(STRANGE)
    lake.refresh()
    assert set(lake.runs()["run_id"]) == {"good", "r"}


def test_reads_on_where_it_stopped(tmp_path: Path):
    """A reader takes only what was appended since, also where the last look met half a frame."""
    journal = journal_of(tmp_path / "journal")
    key_set = frame_format.KeySet(0, ("x",), "d")
    declaration = key_set.declaration()
    journal.append(declaration + key_set.row(1, 0, [0.5]))
    reader = JournalReader(journal.path)
    assert reader.read().n_points == 1
    row = key_set.row(2, 1, [1.5])
    with journal.path.open("ab") as file:
        file.write(row[:20])
        file.flush()
        assert reader.read().n_points == 0
        file.write(row[20:])
    assert [block.steps.tolist() for block in reader.read().blocks] == [[1]]


def test_reads_no_further_than_told(tmp_path: Path):
    """The bound is a byte of the file, on the second look as on the first, and one behind the reader reads nothing."""
    journal = journal_of(tmp_path / "journal")
    key_set = frame_format.KeySet(0, ("x",), "d")
    declaration = key_set.declaration()
    journal.append(declaration)
    ends = []
    for step in range(4):
        journal.append(key_set.row(step, step, [0.5]))
        ends.append(journal.size)
    reader = JournalReader(journal.path)
    assert [reader.read(through=end).n_points for end in (ends[0], ends[1], ends[0], ends[3])] == [1, 1, 0, 2]


def test_items_of_one_statement_share_its_stamp(tmp_path: Path):
    """What was given in one call was given at once; the stamp is that of the tail, too."""
    journal = journal_of(tmp_path / "journal")
    first = journal.append_statement("edit", [(key, Stored(Kind.TEXT, None, None, "v")) for key in "abc"])
    tail = JournalReader(journal.path).read()
    assert [(item.key, item.stamp - first) for item in tail.items] == [("a", 0), ("b", 0), ("c", 0)]
    assert tail.last == first


def test_bytes_that_only_begin_like_a_frame_are_passed_over(tmp_path: Path):
    """In a damaged stretch the mark of a frame may stand by chance: reading goes on at the next real one."""
    journal = journal_of(tmp_path / "journal")
    key_set = frame_format.KeySet(0, ("x",), "d")
    declaration = key_set.declaration()
    journal.append(declaration)
    size = journal.size
    journal.append(b"?" + frame_format.MAGIC + b"??" + frame_format.MAGIC + b"?")
    journal.append(key_set.row(2, 1, [1.5]))
    points, _, faults, _ = read(journal.path, journal.path.read_bytes())
    assert (points, [fault.offset for fault in faults]) == ({("x", 1): 1.5}, [size])


def test_renamed_file(file: Path):
    """A file under the name of another session is told; its rows are kept under the name that it has."""
    other = file.with_name(file.name.replace(file.name.split(".")[1], "00000000000000ff"))
    data = file.read_bytes()
    file.unlink()
    points, _, faults, reader = read(other, data)
    assert points == SOUND
    assert reader.header == {}
    assert "renamed or copied" in faults[0].reason


def test_header_is_json(file: Path):
    """The header is plain JSON, so that a file can be understood without tracklake."""
    begin, end = frames(file.read_bytes())[0]
    header = json.loads(file.read_bytes()[begin + frame_format.PREFIX_SIZE + 8 : end - frame_format.CRC_SIZE])
    assert (header["op"], header["run"], header["project"], header["n"], header["format"]) == (
        "header",
        "run",
        "p",
        0,
        2,
    )


def test_many_key_sets_keep_their_rows(tmp_path: Path):
    """A journal in which rows bring new names is decoded at once: every row with its own names, in order."""
    with tl.init("p", id="r", dir=tmp_path, settings={"metadata": False}) as run:
        for i in range(3_000):
            run.log({f"n{i % 1_000}": float(i)})
    history = tl.open(tmp_path).history()
    assert history["value"].to_list() == [float(i + 1_000 * k) for i in sorted(range(1_000), key=str) for k in range(3)]
