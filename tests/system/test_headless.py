"""Journals whose header is damaged, in both places where it stands: their rows find their run all the same."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.schema import naming


def log(place: Path, run_id: str = "Run 1", project: str = "my project", **more: object) -> Path:
    """Log one row in a session of its own, and return its journal."""
    with tl.init(project, id=run_id, dir=place, **more) as run:
        run.log({"a": 1.0})
    return run._session.journal.path


def behead(file: Path) -> None:
    """Damage both headers of a journal file."""
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[4:8], "little") + 16
    for at in (20, size + 20):
        data[at] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("sealed", [False, True])
def test_the_run_is_known_by_its_other_sessions(tmp_path: Path, sealed: bool):
    """The rows find their run by another of its sessions, in a journal or sealed long ago, and not by other runs."""
    older = log(tmp_path)
    aside = older.rename(tmp_path / "aside")
    later = [log(tmp_path, resume="allow"), log(tmp_path, run_id="A", project="other"), log(tmp_path, run_id="Z")]
    if sealed:
        tl.open(tmp_path).refresh()
        for journal in later:
            journal.unlink(missing_ok=True)
    behead(aside.rename(older))
    lake = tl.open(tmp_path)
    assert lake.runs("my project", columns=["project"], runs="Run 1").height == 1
    assert lake.history("a", runs="Run 1", raw=True)["step"].to_list() == [0, 0]
    lake.refresh()
    assert tl.open(tmp_path).history("a", runs="Run 1", raw=True)["step"].to_list() == [0, 0]


def test_the_rest_of_a_session(tmp_path: Path):
    """What a session says after its header was damaged goes where its sealed rows went."""
    run = tl.init("my project", id="Run 1", dir=tmp_path)
    run.log({"a": 1.0})
    lake = tl.open(tmp_path)
    lake.refresh()
    behead(run._session.journal.path)
    run.log({"a": 2.0})
    run.finish()
    lake.refresh()
    assert tl.open(tmp_path).history("a").select("run_id", "value").rows() == [("Run 1", 1.0), ("Run 1", 2.0)]
    assert tl.open(tmp_path).runs("my project", columns=["state"]).rows() == [("Run 1", "finished")]


def test_nothing_else_knows_the_run(tmp_path: Path):
    """Where nothing else knows the run, its rows are kept under the name that the file has, since it was written."""
    file = log(tmp_path)
    behead(file)
    os.utime(file, (0, 1_700_000_000.25))
    run = (naming.safe_name("Run 1"), "uncategorized", datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC))
    lake = tl.open(tmp_path)
    assert lake.runs(columns=["project", "created_at"]).rows() == [run]
    lake.refresh()
    assert tl.open(tmp_path).runs(columns=["project", "created_at"]).rows() == [run]
    assert tl.open(tmp_path).history("a").select("run_id", "value").rows() == [(naming.safe_name("Run 1"), 1.0)]
