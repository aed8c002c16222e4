"""Media: pictures, sound, tables and documents that a run logs; kept by content, read by everyone's own reader."""

from __future__ import annotations

import json
import math
import re
import struct
import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracklake as tl
from tracklake.errors import UnstorableValueError


def logged(lake: Path, value: Any) -> tuple[dict[str, Any], bytes]:
    """Log one media value; return its entry as the lake has it, and the stored bytes."""
    with tl.init("p", id="r", dir=lake) as run:
        run.log({"value": value})
    entry = dict(tl.open(lake).run("r").summary["value"])
    return entry, (lake / entry["path"]).read_bytes()


def pixels(png: bytes) -> list[list[int]]:
    """Decode an unfiltered 8-bit PNG by its specification: the bytes of each row."""
    chunks, data, header = png[8:], b"", (0, 0)
    while chunks:
        (size,), kind = struct.unpack(">I", chunks[:4]), chunks[4:8]
        body, (crc,) = chunks[8 : 8 + size], struct.unpack(">I", chunks[8 + size : 12 + size])
        assert zlib.crc32(kind + body) == crc
        if kind == b"IHDR":
            header = struct.unpack(">II", body[:8])
        data += body if kind == b"IDAT" else b""
        chunks = chunks[12 + size :]
    raw = zlib.decompress(data)
    stride = len(raw) // header[1]
    rows = [raw[i * stride : (i + 1) * stride] for i in range(header[1])]
    assert {row[0] for row in rows} == {0}
    return [list(row[1:]) for row in rows]


def test_floats_from_0_to_1_are_scaled(tmp_path: Path):
    """A picture of floats from 0 to 1 is stored as PNG with intensities from 0 to 255."""
    entry, png = logged(tmp_path, tl.Image(np.array([[0.0, 0.5, 1.0]]), caption="ramp"))
    assert pixels(png) == [[0, 128, 255]]
    assert {key: entry[key] for key in ("_type", "format", "width", "height", "caption")} == {
        "_type": "image-file", "format": "png", "width": 3, "height": 1, "caption": "ramp",
    }  # fmt: skip


def test_bytes_stay_as_they_are(tmp_path: Path):
    """A picture of uint8 with three channels is stored without a change."""
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert pixels(logged(tmp_path, tl.Image(picture))[1]) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_nan_in_a_picture_is_black(tmp_path: Path):
    """A pixel that is NaN is 0, and does not change the scale of the others."""
    assert pixels(logged(tmp_path, tl.Image(np.array([[np.nan, 1.0]])))[1]) == [[0, 255]]


def test_a_sound_is_wav(tmp_path: Path):
    """Samples from -1 to 1 are stored as 16-bit WAV at their rate; what is beyond is clipped."""
    entry, _ = logged(tmp_path, tl.Audio(np.array([0.0, 1.0, -1.0, 2.0]), sample_rate=8000))
    with wave.open(str(tmp_path / entry["path"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert struct.unpack("<4h", file.readframes(4)) == (0, 32767, -32767, 32767)


def test_a_table_comes_back(tmp_path: Path):
    """Columns and mixed cells of a table are stored row by row, NaN and pictures among them."""
    table = tl.Table(columns=["label", "score", "picture"], data=[["cat", float("nan"), tl.Image([[0, 255]])]])
    entry, text = logged(tmp_path, table)
    stored = json.loads(text)
    assert (entry["_type"], entry["nrows"], entry["ncols"]) == ("table-file", 1, 3)
    assert stored["columns"] == ["label", "score", "picture"]
    label, score, _ = stored["data"][0]
    assert (label, math.isnan(score)) == ("cat", True)
    assert pixels((tmp_path / stored["data"][0][2]["path"]).read_bytes()) == [[0, 255]]


def test_a_document_is_stored_as_given(tmp_path: Path):
    """HTML is stored as it is: it is never run where it is shown, and never changed."""
    entry, data = logged(tmp_path, tl.Html("<b>ü</b>", inject=False))
    assert (entry["_type"], data.decode()) == ("html-file", "<b>ü</b>")


def test_equal_pictures_are_one_file(tmp_path: Path):
    """The same picture logged at a hundred steps is stored once, under the SHA-256 of its bytes."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        for _ in range(100):
            run.log({"picture": tl.Image([[0, 255]])})
    (file,) = (path for path in (tmp_path / "files").rglob("*") if path.is_file())
    entry = tl.open(tmp_path).run("r").summary["picture"]
    assert (entry["sha256"], entry["size"]) == (Path(file).name.split(".")[0], file.stat().st_size)


def test_the_history_names_each_picture(tmp_path: Path):
    """Each step's picture is found by its step."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        for level in (0, 255):
            run.log({"picture": tl.Image([[level]])})
    entries = [json.loads(text) for text in tl.open(tmp_path).history("picture")["text"]]
    assert [pixels((tmp_path / entry["path"]).read_bytes()) for entry in entries] == [[[0]], [[255]]]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: tl.Image("nothing.png"), "nothing.png"),
        (lambda: tl.Image(np.zeros((2, 2, 7))), "(2, 2, 7)"),
        (lambda: tl.Image(object()), "object"),
        (lambda: tl.Audio(np.zeros(4)), "rate"),
        (lambda: tl.Table(columns=["a"], data=[[1, 2]]), "2 cells"),
    ],
)
def test_what_is_no_media_is_refused_where_it_is_made(make: Any, named: str):
    """A value that cannot be stored is refused at once, with what it was and what is accepted."""
    with pytest.raises(UnstorableValueError, match=re.escape(named)):
        make()


def test_a_chart_is_a_table_and_how_it_is_drawn(tmp_path: Path):
    """A chart of W&B's plot keeps its table and the columns that it draws."""
    rows = [[0, 0.5], [1, 0.25]]
    entry, _ = logged(tmp_path, tl.plot.line(tl.Table(columns=["x", "loss"], data=rows), "x", "loss", title="walk"))
    table = json.loads((tmp_path / entry["path"]).read_text())
    assert (table["columns"], table["data"]) == (["x", "loss"], rows)
    assert (entry["chart"], entry["title"], dict(entry["fields"])) == ("line", "walk", {"x": "x", "y": "loss"})


def test_a_picture_that_cannot_be_written_does_not_stop_the_training(tmp_path: Path):
    """A picture file that vanished before it was logged is told with its path; rows before and after are kept."""
    picture = tmp_path / "gone.png"
    picture.write_bytes(b"x")
    image = tl.Image(str(picture))
    picture.unlink()
    with tl.init("p", id="r", dir=tmp_path / "lake") as run:
        run.log({"loss": 0.5})
        with pytest.warns(UserWarning, match=r"gone\.png.*left out"):
            run.log({"picture": image})
        run.log({"loss": 0.25})
    assert tl.open(tmp_path / "lake").history("loss")["value"].to_list() == [0.5, 0.25]
