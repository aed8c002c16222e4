"""TensorBoard's event files: beside TensorBoard's own reader, and what is torn, damaged or taken up again."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import sample

from tracklake.importers.readers import event_records, tfrecord


def varint(number):
    """Return a number as a varint."""
    digits = []
    while number >= 128:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def field(number, data):
    """Return a field of bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def event(step, *, wall_time=7.0, value=b"", session=None):
    """Return an event as bytes."""
    data = bytes([0x09]) + struct.pack("<d", wall_time) + bytes([0x10]) + varint(step % 2**64)
    data += field(5, field(1, value)) if value else b""
    return data + (field(7, bytes([0x08, session])) if session is not None else b"")


def scalar(tag, number):
    """Return a plain scalar of a summary."""
    return field(1, tag.encode()) + bytes([0x15]) + struct.pack("<f", number)


def write(path, *events):
    """Write events as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(tfrecord.framed(event) for event in events))
    return path


def test_samples_as_literal_values(lake):
    """Ragged and repeated steps of three folders come in; repeated ones are kept as overwritten."""
    reports = [lake.import_from(sample(f"tensorboard/{name}")) for name in ("strict", "lax", "duplicate_steps")]
    assert [(one.runs, one.points, one.overwritten) for one in reports] == [(3, 300, 0), (3, 1080, 0), (3, 1260, 60)]
    assert lake.history("strict/foo", runs="run_1").height == 100


@pytest.mark.parametrize("folder", ["strict/run_1", "lax/run_2", "duplicate_steps/run_3", ""])
def test_as_tensorboard_reads_it(lake, folder):
    """TensorBoard's own accumulator and we have the same scalars, all of them, in the order of steps."""
    name = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(name, reason="the package tensorboard is not installed")
    path = sample(f"tensorboard/{folder}")
    theirs = accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0})
    theirs.Reload()
    lake.import_from(path if folder else next(path.glob("events*")))
    assert theirs.Tags()["scalars"]
    for tag in theirs.Tags()["scalars"]:
        ours = lake.history(tag, raw=True).sort("step", "time", maintain_order=True).select("step", "value").rows()
        assert sorted(ours) == sorted((one.step, one.value) for one in theirs.Scalars(tag))


def test_what_tensorboardx_writes(lake, tmp_path):
    """Scalars, hparams, text and add_scalars of the installed tensorboardX come in as one run."""
    tensorboardx = pytest.importorskip("tensorboardX", reason="the package tensorboardX is not installed")
    with tensorboardx.SummaryWriter(str(tmp_path / "runs" / "exp")) as writer:
        for step in range(20):
            writer.add_scalar("loss", 1 / (step + 1), step)
            writer.add_scalars("acc", {"train": step / 20, "val": step / 40}, step)
        writer.add_text("note", "hello", 3)
        writer.add_hparams({"lr": 0.5, "opt": "adam"}, {"final": 0.25})
    report = lake.import_from(tmp_path / "runs")
    assert report.runs == 1
    assert lake.run("exp").config == {"lr": 0.5, "opt": "adam"}
    assert lake.history("loss").height == 20
    assert lake.history("acc/val").select("step", "value").rows()[-1] == (19, pytest.approx(19 / 40))
    assert lake.history("note")["text"].to_list() == ["hello"]


def test_parts_are_one_run(lake, tmp_path):
    """The folders train and validation of Keras are parts of the run above them."""
    for part in ("train", "validation"):
        write(tmp_path / "logs" / part / "events.out.tfevents.1.a", event(1, value=scalar("epoch_loss", 0.5)))
    lake.import_from(tmp_path / "logs")
    assert lake.runs().height == 1
    assert lake.history("validation/epoch_loss").select("step", "value").rows() == [(1, 0.5)]


def test_tensors(lake, tmp_path):
    """A tensor of one element is a number, one of three columns a histogram, a text a text."""
    number = field(1, b"x") + field(8, bytes([0x08, 1]) + field(4, struct.pack("<f", 0.5)))
    shape = field(2, field(2, bytes([0x08, 2])) + field(2, bytes([0x08, 3])))
    histogram = field(1, b"h") + field(8, bytes([0x08, 2]) + shape + field(6, struct.pack("<6d", 0, 1, 5, 1, 2, 7)))
    text = field(1, b"t") + field(8, bytes([0x08, 7]) + field(8, b"hello"))
    write(tmp_path / "r" / "events.out.tfevents.1.a", *(event(1, value=value) for value in (number, histogram, text)))
    lake.import_from(tmp_path / "r")
    summary = lake.run("r").summary
    assert (summary["x"], summary["t"]) == (0.5, "hello")
    assert summary["h"] == {"_type": "histogram", "values": [5.0, 7.0], "bins": [0.0, 1.0, 2.0]}


def test_a_session_that_starts_again_takes_back(lake, tmp_path):
    """Where a session starts at a step, what was logged from there on counts no longer, and is kept."""
    events = [event(step, wall_time=10.0 + step, value=scalar("x", step)) for step in range(5)]
    events += [event(3, wall_time=20.0, session=1), event(3, wall_time=21.0, value=scalar("x", 30.0))]
    write(tmp_path / "r" / "events.out.tfevents.1.a", *events)
    lake.import_from(tmp_path / "r")
    assert lake.history("x").select("step", "value").rows() == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 30.0)]
    assert lake.history("x", raw=True).height == 6


def test_several_files_are_one_run(lake, tmp_path):
    """Files of one folder follow each other; the later value of a step counts."""
    first = [event(step, wall_time=1.0 + step, value=scalar("x", step)) for step in (0, 1)]
    second = [event(step, wall_time=9.0 + step, value=scalar("x", 5.0)) for step in (1, 2)]
    write(tmp_path / "r" / "events.out.tfevents.1.a", *first)
    write(tmp_path / "r" / "events.out.tfevents.2.a", *second)
    lake.import_from(tmp_path / "r")
    assert lake.history("x").select("step", "value").rows() == [(0, 0.0), (1, 5.0), (2, 5.0)]


def test_torn_and_damaged_files(lake, tmp_path):
    """Of a torn or damaged file comes in what stands before, and the rest is told."""
    path = write(tmp_path / "r" / "events.out.tfevents.1.a", *(event(s, value=scalar("x", s)) for s in range(100)))
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-5])
    assert lake.import_from(path).unread[0].reason == "torn: the last 34 bytes are no whole record"
    assert lake.history("x").height == 99
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    report = lake.import_from(path)
    assert "damaged at" in report.unread[0].reason


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-(2**63), 2**63 - 1), st.floats(width=32)), max_size=40))
def test_scalars_decoded_together_are_those_decoded_alone(rows):
    """Decoding many records at once gives what decoding each alone gives, whatever tags, steps and values."""
    data = [event(step, value=scalar(tag, number)) for tag, step, number in rows]
    starts = [sum(map(len, data[:i])) for i in range(len(data))]
    np = tfrecord.np
    block = tfrecord.Block(b"".join(data), np.array(starts, np.int64), np.array([len(d) for d in data], np.int64))
    together, others = event_records.scalars(block)
    rows_of = (zip(one.at, one.step, one.value, strict=True) for one in together)
    decoded = [(int(at), one.tag, int(s), v) for one, each in zip(together, rows_of, strict=True) for at, s, v in each]
    for at in others.tolist():
        alone = event_records.event(data[at], at)
        decoded += [(at, value.tag, alone.step, value.value) for value in alone.values]
    assert [(t, s) for _, t, s, _ in sorted(decoded, key=lambda row: row[0])] == [(t, s) for t, s, _ in rows]
    for (_, _, _, ours), (_, _, number) in zip(sorted(decoded, key=lambda row: row[0]), rows, strict=True):
        assert ours == number or (math.isnan(ours) and math.isnan(number))
