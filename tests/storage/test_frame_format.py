"""The frame: what is packed comes back as it was, and what is no frame is told apart from one."""

from __future__ import annotations

import json
import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklake.schema.values import Kind, Stored, store
from tracklake.storage.journal import frame_format

WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)
LOGGED = st.one_of(st.floats(allow_nan=False), WHOLE, st.booleans(), st.text(), st.none(), st.lists(st.integers(0, 9)))


def body_of(frame: bytes) -> bytes:
    return frame[frame_format.PREFIX_SIZE : -frame_format.CRC_SIZE]


def body(content: object, stamp: int = 7) -> bytes:
    """Return a statement's body with any JSON in it, as a later version might write."""
    return struct.pack("<q", stamp) + json.dumps(content).encode()


def test_layout_of_a_frame():
    """Magic, kind, length and their crc; the body; a crc of all: the layout of files that are there for years."""
    frame = frame_format.statement(5, "beat")
    assert frame[:8] == b"TLJ\x03" + struct.pack("<I", 8 + len(b'{"op":"beat"}'))
    assert frame[8:12] == struct.pack("<I", crc32(frame[:8]))
    assert body_of(frame) == struct.pack("<q", 5) + b'{"op":"beat"}'
    assert frame[-4:] == struct.pack("<I", crc32(frame[:-4]))
    assert crc32(frame) == frame_format.RESIDUE


def test_layout_of_a_row():
    """Stamp, step, key set, and eight bytes a value: floats, whole numbers, and bools as whole numbers."""
    frame = frame_format.KeySet(3, ("a", "b", "c"), "dq?").row(9, -2, [0.5, 1 << 40, True])
    assert frame[:12] == frame_format.prefix(frame_format.ROW, 44)
    assert struct.unpack("<qqIdqq", body_of(frame)) == (9, -2, 3, 0.5, 1 << 40, 1)


@given(kind=st.integers(0, 255), length=st.integers(0, (1 << 32) - 1))
def test_a_prefix_comes_back(kind, length):
    """Any kind and length, also those that this version does not know."""
    assert frame_format.parse_prefix(frame_format.prefix(kind, length)) == (kind, length)


@given(at=st.integers(0, 11), bit=st.integers(0, 7))
def test_a_prefix_with_a_flipped_bit_is_none(at, bit):
    """Wherever it is flipped, in the magic, the kind, the length or the crc."""
    damaged = bytearray(frame_format.prefix(frame_format.ROW, 44))
    damaged[at] ^= 1 << bit
    assert frame_format.parse_prefix(bytes(damaged)) is None


def test_a_prefix_of_another_format_is_none():
    """Twelve bytes with a fitting crc are no prefix without the magic, nor is a part of one."""
    head = b"XYZ" + frame_format.prefix(frame_format.ROW, 44)[3:8]
    assert frame_format.parse_prefix(head + struct.pack("<I", crc32(head))) is None
    assert frame_format.parse_prefix(frame_format.prefix(frame_format.ROW, 44)[:11]) is None


@given(items=st.lists(st.tuples(st.text(), LOGGED)), stamp=WHOLE)
def test_a_statement_comes_back(items, stamp):
    """Values of every kind are read as they were stored, in their order."""
    stored = [(key, store(value, name=key)) for key, value in items]
    frame = frame_format.statement(stamp, "edit", stored, step=4)
    found = frame_format.parse_statement(body_of(frame))
    assert (found.stamp, found.op, found.items) == (stamp, "edit", stored)
    assert found.content["step"] == 4


def test_half_a_surrogate_pair_is_replaced():
    """A text that no file can hold does not keep the statement out of the journal."""
    frame = frame_format.statement(5, "config", [("\ud800key", Stored(Kind.INT, 1.0, 1, None))])
    assert frame_format.parse_statement(body_of(frame)).items[0][0] == "?key"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"1234567",
        body([]),
        body({}),
        body({"op": 1}),
        body({"op": "edit", "items": {}}),
        body({"op": "edit", "items": [1]}),
        body({"op": "edit", "items": [["a", 0]]}),
        body({"op": "edit", "items": [["a", 0, 1.0, 2]]}),
        body({"op": "edit", "items": [[1, 0, 1.0]]}),
        body({"op": "edit", "items": [["\ud800", 0, 1.0]]}),
        body({"op": "edit", "items": [["a", 99, 1.0]]}),
        struct.pack("<q", 7) + b"{",
    ],
)
def test_a_statement_of_an_unknown_form_is_refused(damaged):
    """Whatever is wrong in it, it is a ValueError: the reader tells it as damage and reads on."""
    with pytest.raises(ValueError):
        frame_format.parse_statement(damaged)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.FLOAT, "1"),
        (Kind.FLOAT, True),
        (Kind.FLOAT, None),
        (Kind.INT, 1.0),
        (Kind.INT, True),
        (Kind.INT, 1 << 63),
        (Kind.BOOL, 2),
        (Kind.BOOL, "true"),
        (Kind.TEXT, 1),
        (Kind.TEXT, "\udfff"),
        (Kind.JSON, None),
        (Kind.NULL, 0),
        (6, 1),
        (-1, None),
    ],
)
def test_a_value_that_does_not_fit_its_kind_is_refused(kind, value):
    """A file from elsewhere cannot bring in what no run could have logged."""
    with pytest.raises(ValueError):
        frame_format.stored(kind, value)


def test_the_ends_of_64_bits():
    """The least and the greatest whole number fit, those beyond them do not."""
    ends = [-(1 << 63) - 1, -(1 << 63), (1 << 63) - 1, 1 << 63]
    assert [frame_format.is_int64(whole) for whole in ends] == [False, True, True, False]


def test_an_int_may_stand_for_a_float():
    """JSON has one kind of number: 1 is read as 1.0 where a float is said."""
    assert frame_format.stored(Kind.FLOAT, 1) == Stored(Kind.FLOAT, 1.0, None, None)


@given(names=st.lists(st.text(), unique=True), number=st.integers(0, 1 << 31), data=st.data())
def test_a_declaration_comes_back(names, number, data):
    """It stands there twice, and gives the key set that packs the same rows."""
    kinds = data.draw(st.text("dq?", min_size=len(names), max_size=len(names)))
    declared = frame_format.KeySet(number, tuple(names), kinds)
    frames = declared.declaration()
    half = len(frames) // 2
    assert frames[:half] == frames[half:]
    found = frame_format.KeySet.parse(body_of(frames[:half]))
    assert (found.id, found.names, found.kinds) == (number, tuple(names), kinds)
    assert found.row(1, 2, [1] * len(names)) == declared.row(1, 2, [1] * len(names))


@pytest.mark.parametrize(
    "declared",
    [{}, [], [0, ["a"]], [0, ["a"], "d", 1], ["0", ["a"], "d"], [True, ["a"], "d"], [0, "a", "d"], [0, ["a"], ["d"]],
     [0, ["a"], "dd"], [0, ["a"], "s"], [0, [1], "d"], [0, ["\ud800"], "d"], [1 << 63, ["a"], "d"]],
)  # fmt: skip
def test_a_declaration_of_an_unknown_form_is_refused(declared):
    """It is no [id, names, kinds] with a kind a name."""
    with pytest.raises(ValueError):
        frame_format.KeySet.parse(json.dumps(declared).encode())


@pytest.mark.parametrize("damaged", [[], [0], [1], [7], [299], [3, 4], [100, 200]])
def test_damage_among_many_rows_is_where_it_is(damaged):
    """The checksums of three hundred rows are held against at once, and yet each damaged row is told by itself."""
    key_set = frame_format.KeySet(0, ("loss", "epoch"), "dq")
    rows = [bytearray(key_set.row(i, i, [i / 3, i])) for i in range(300)]
    for i in damaged:
        rows[i][30] ^= 1 << i % 8
    size = len(rows[0])
    looked_at = list(frame_format.iter_frames(b"".join(rows)))
    damage = [frame.start // size for frame in looked_at if isinstance(frame, frame_format.Damage)]
    sound = [at // size for frame in looked_at if isinstance(frame, frame_format.FrameRun) for at in frame.offsets]
    assert (damage, sound) == (damaged, [i for i in range(300) if i not in damaged])
