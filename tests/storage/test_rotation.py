"""A run that grows: its journal goes on in another file, and what has ended is sealed aside while it logs."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.storage.journal import writer


def test_rotated_files_are_sealed_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run that grows ends its files and has them sealed while it goes on."""
    monkeypatch.setattr(writer, "ROTATE_AT", 50_000)
    run = tl.init("p", id="r", dir=tmp_path)
    for step in range(5_000):
        run.log({"a": float(step), "b": step})
    run._session._sealer.wait()
    assert run._session.journal.name.n >= 4
    assert len(list((tmp_path / "history").glob("*.parquet"))) >= 1
    assert tl.open(tmp_path).history("a")["value"].to_list() == [float(step) for step in range(5_000)]
    run.finish()
    assert tl.open(tmp_path).summaries(["a.count", "a.sum"]).rows() == [("r", 5_000, 12_497_500.0)]
    assert tl.open(tmp_path).check(full=True).findings == []


def test_many_sets_of_names_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run whose every row has other names forgets them with each file, so that its memory does not grow."""
    monkeypatch.setattr(writer, "ROTATE_AT", 20_000)
    run = tl.init("p", id="r", dir=tmp_path)
    for step in range(1_000):
        run.log({f"m{step % 97}": 1.0, f"n{step % 89}": 2.0})
    assert run._session.journal.name.n >= 3
    assert len(run._session.journal.file.key_sets) < 300
    assert len(run._rows._plans) < 300
    run.finish()
    assert tl.open(tmp_path).history().height == 2_000
    assert tl.open(tmp_path).check(full=True).findings == []


def test_sealing_trouble_never_stops_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever goes wrong while rotated files are sealed is a warning; the run goes on and ends well."""
    monkeypatch.setattr(writer, "ROTATE_AT", 20_000)
    with (
        pytest.warns(UserWarning, match="tracklake: sealing was put off: "),
        tl.init("p", id="r", dir=tmp_path) as run,
    ):
        (tmp_path / "history").write_text("no folder")
        for step in range(2_000):
            run.log({"a": float(step)})
    assert run._session._sealer is not None
    with pytest.raises(LakeError, match="_delta_log cannot be listed: Not a directory"):
        tl.open(tmp_path).runs()
    (tmp_path / "history").unlink()
    tl.open(tmp_path).refresh()
    assert tl.open(tmp_path).run("r").state == "finished"
    assert tl.open(tmp_path).history("a").height == 2_000
    assert tl.open(tmp_path).check(full=True).findings == []
