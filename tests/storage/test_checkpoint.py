"""Checkpoints of the log: replay is short, Delta's readers understand them, and Delta's own are understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import LakeError
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import checkpoint
from tracklake.storage.table.delta_log import DeltaLog

if TYPE_CHECKING:
    from pathlib import Path

RUNS = [f"r{i}" for i in range(7)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake of seven sealed runs, each a commit, with a checkpoint each third."""
    monkeypatch.setattr(checkpoint, "EVERY", 3)
    lake = tl.open(tmp_path, create=True)
    for run_id in RUNS:
        with tl.init("p", id=run_id, dir=tmp_path) as run:
            run.log({"a": 1.0})
        lake.refresh()
    return tmp_path


def log_files(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "history/_delta_log").iterdir())


def forget(place: Path, *numbers: int) -> None:
    for number in numbers:
        (place / f"history/_delta_log/{number:020d}.json").unlink()


def ids(place: Path) -> list[str]:
    return tl.open(place).runs(order_by="run_id")["run_id"].to_list()


def test_each_so_many_commits(place: Path):
    """The committer writes one, and says the same as the commits before it."""
    names = [name for name in log_files(place) if name.endswith(".checkpoint.parquet")]
    assert names == [f"{number:020d}.checkpoint.parquet" for number in (3, 6)]
    assert checkpoint.read(LocalStorage(place), 6) == DeltaLog(LocalStorage(place)).read(at=6).partitions


def test_the_commits_before_it_are_not_needed(place: Path):
    """A lake whose old commits were cleaned away has all of its runs, and says which versions are gone."""
    forget(place, *range(6))
    assert ids(place) == RUNS
    assert tl.open(place).check(full=True).findings == []
    with tl.init("p", id="r7", dir=place) as run:
        run.log({"a": 1.0})
    assert tl.open(place).refresh().journals == 1
    assert ids(place) == [*RUNS, "r7"]
    with pytest.raises(LakeError, match="has no version 2"):
        tl.open(place).at(2)


def test_readers_of_delta(place: Path):
    """Polars and deltalake read the table from our checkpoint alone."""
    forget(place, *range(6))
    assert pl.scan_delta(str(place / "history")).collect().height == 7


def test_the_checkpoint_of_deltalake(place: Path):
    """One that the package deltalake has written holds the tags, and is enough where it cleaned the commits away."""
    deltalake = pytest.importorskip("deltalake")
    deltalake.DeltaTable(str(place / "history")).create_checkpoint()
    for number in (3, 6):
        (place / checkpoint.path_of(number)).unlink()
    assert DeltaLog(LocalStorage(place)).read().number == 7  # from the commits: nothing verifies a foreign checkpoint
    forget(place, *range(8))
    assert ids(place) == RUNS


def test_a_damaged_checkpoint(place: Path):
    """An older one, or the commits themselves, say the same; where neither is left it is told."""
    (place / checkpoint.path_of(6)).write_bytes(b"PAR1")
    assert ids(place) == RUNS
    (place / checkpoint.path_of(3)).write_bytes(b"PAR1")
    assert ids(place) == RUNS
    forget(place, 0)
    with pytest.raises(LakeError, match=r"checkpoint\.parquet is damaged: its checksum"):
        ids(place)


def test_a_missing_commit_is_not_written_anew(place: Path):
    """A sealer that is open while a commit is lost says so, rather than take its number."""
    lake = tl.open(place)
    catalog = lake._reader.catalog
    version = catalog.log.read(at=4)
    forget(place, 5)
    with pytest.raises(LakeError, match=r"0005\.json is missing, though version 7 is there"):
        catalog.log.commit(base=version, operation="SEAL", still_valid=lambda _: True)
