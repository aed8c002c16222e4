"""Verification of parts of a file: the footer and the columns that are read, and nothing of the others."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.schema.tables import STATES
from tracklake.storage.table import file_parts, verified_files
from tracklake.storage.table.parquet_file import ROW_GROUP, ParquetFile
from tracklake.storage.table.verified_files import verified

if TYPE_CHECKING:
    from tracklake.storage.table.delta_actions import Partition


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, file_parts.Parts, tuple[int, int]]:
    """Write two columns in two row groups; return the file, its parts, its size and checksum."""
    path = tmp_path / "a.parquet"
    with ParquetFile(path, {"step": pl.Int64, "value": pl.Float64}) as file:
        steps = pl.Series(range(ROW_GROUP + 10))
        file.append(pl.DataFrame({"step": steps, "value": steps.cast(pl.Float64).sqrt()}))
    with path.open("rb") as opened:
        parts = file_parts.read(opened, size=file.digest[0], crc=file.digest[1])
    assert parts is not None
    return path, parts, file.digest


def test_chunks_of_columns_fill_the_row_groups(written):
    _, parts, _ = written
    chunks = sorted(chunk[:2] for column in parts.columns.values() for chunk in column)
    ends = [stop for _, stop in chunks]
    assert [start for start, _ in chunks] == [4, *ends[:-1]]
    assert [part.stop for part in parts.row_groups] == [ends[1], ends[3]]


def test_flip_is_in_the_chunk_of_its_column_alone(written):
    path, parts, _ = written
    data = bytearray(path.read_bytes())
    place = parts.columns["value"][1].start
    data[place] ^= 1
    path.write_bytes(data)
    with path.open("rb") as file:
        sound = {name: [chunk.is_sound(file) for chunk in column] for name, column in parts.columns.items()}
    assert sound == {"step": [True, True], "value": [True, False]}


def test_flip_of_any_byte_of_a_footer_is_noticed(written):
    path, parts, (size, crc) = written
    data = path.read_bytes()
    noticed = 0
    file = io.BytesIO(data)
    for place in range(parts.row_groups[-1].stop, size):
        file.getbuffer()[place] ^= 1
        noticed += file_parts.read(file, size=size, crc=crc) is None
        file.getbuffer()[place] ^= 1
    assert noticed == size - parts.row_groups[-1].stop


def test_metric_that_is_named_as_an_entry_of_the_footer_does_not_hide_it(tmp_path):
    names = {"tracklake.names": '[["tracklake.row_groups [1]"], ["tracklake.column_chunks [2]"]]'}
    with ParquetFile(tmp_path / "a.parquet", {"step": pl.Int64}, metadata=names) as file:
        file.append(pl.DataFrame({"step": [1]}))
    with (tmp_path / "a.parquet").open("rb") as opened:
        parts = file_parts.read(opened, size=file.digest[0], crc=file.digest[1])
    assert parts is not None
    assert list(parts.columns) == ["step"]


@pytest.fixture
def partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[tl.Lake, Partition]:
    """A lake of one partition, whose files are large enough for few of their columns to be read."""
    with tl.init("p", id="r", dir=tmp_path / "lake") as run:
        for step in range(20):
            run.log({"loss": 1 / (step + 1), "acc": step / 20})
    monkeypatch.setattr(verified_files, "_WHOLE", 0)
    lake = tl.open(tmp_path / "lake")
    lake.refresh()
    (part,) = lake._view.snapshot.version.partitions.values()
    return lake, part


def _flip(lake: tl.Lake, part: Partition, column: str) -> None:
    path = Path(lake.dir) / part.states
    with path.open("rb") as file:
        parts = file_parts.read(file, size=part.sizes[1], crc=part.crcs[1])
    assert parts is not None
    data = bytearray(path.read_bytes())
    data[parts.columns[column][0].stop - 1] ^= 1
    path.write_bytes(data)


def test_damage_of_a_column_costs_who_reads_it(partition):
    lake, part = partition
    _flip(lake, part, "max")
    verified(lake._storage, part, "states", columns=["metric", "min"])
    with pytest.raises(LakeError, match="is damaged: its checksum is not the one of its commit"):
        verified(lake._storage, part, "states", columns=["max"])
    with pytest.raises(LakeError, match="is damaged"):
        verified(lake._storage, part, "states")


def test_flip_in_any_column_of_states_is_told_or_not_read(partition):
    lake, part = partition
    path = Path(lake.dir) / part.states
    sound, told = path.read_bytes(), []
    for column in STATES:
        _flip(lake, part, column)
        with warnings.catch_warnings(record=True, action="always") as warned:
            assert tl.open(lake.dir).runs(columns=["summary.loss.max"]).rows() == [("r", 1.0)]
        told += [column for warning in warned if "computed from the points" in str(warning.message)]
        path.write_bytes(sound)
    assert told == ["run_id", "session", "metric", "max", "lo", "hi"]


def test_file_of_before_has_a_footer_that_is_verified_and_no_columns(partition, monkeypatch):
    """Who reads a column of it verifies the whole file."""
    lake, _ = partition
    complete, name = file_parts.metadata, "tracklake.row_groups"
    monkeypatch.setattr(file_parts, "metadata", lambda parts, names: {name: complete(parts, names)[name]})
    with tl.init("p", id="s", dir=lake.dir) as run:
        run.log({"loss": 0.5})
    lake.refresh()
    part = next(p for p in lake._view.snapshot.version.partitions.values() if p.n_points == 1)
    path = Path(lake.dir) / part.states
    with path.open("rb") as file:
        parts = file_parts.read(file, size=part.sizes[1], crc=part.crcs[1])
    assert parts is not None
    assert parts.columns == {}
    data = bytearray(path.read_bytes())
    data[parts.row_groups[0].start] ^= 1
    path.write_bytes(data)
    verified(lake._storage, part, "states", columns=[])
    with pytest.raises(LakeError, match="is damaged"):
        verified(lake._storage, part, "states", columns=["max"])
