"""`tracklake repair`: what of a damaged lake can be had is had, what is lost is told by run and metric."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import made_once
import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import LakeError
from tracklake.storage.table import parquet_file

RUNS = ["a", "b", "c", "d"]


@made_once.lake
def lake(folder: Path) -> None:
    """Four sealed runs in as many partitions, each a commit."""
    for i, run_id in enumerate(RUNS):
        with tl.init("p", id=run_id, config={"lr": i}, dir=folder, settings={"metadata": False}) as run:
            for step in range(3):
                run.log({"loss": 10.0 * i + step, "note": f"{run_id}{step}"})
            run.summary["best"] = i
        tl.open(folder).refresh()


def answers(lake: tl.Lake) -> list[list[tuple[object, ...]]]:
    lake = tl.open(lake.dir)
    columns = ["run_id", "config.lr", "summary.best", "summary.loss.min", "state"]
    history = lake.history(["loss", "note"]).select("run_id", "metric", "step", "value", "text")
    return [lake.runs(columns=columns, order_by="run_id").rows(), history.rows()]


def commit_of(lake: tl.Lake, number: int) -> Path:
    return Path(lake.dir, f"history/_delta_log/{number:020d}.json")


def part(lake: tl.Lake, folder: str, number: int) -> Path:
    """The file of the partition that a commit added."""
    name = Path(commit_of(lake, number).read_text().split('"add":{"path":"')[1].split('"')[0]).name
    return Path(lake.dir, folder, name)


def flip(path: Path, at: int = 100) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def mend(lake: tl.Lake) -> tuple[list[str], list[str]]:
    """Repair, after a dry run that says the same; check finds nothing any more."""
    before = sorted(str(path) for path in Path(lake.dir).rglob("*"))
    tells = tl.open(lake.dir).repair(dry_run=True)
    assert sorted(str(path) for path in Path(lake.dir).rglob("*")) == before
    repaired = tl.open(lake.dir).repair()
    assert repaired.done[: len(tells.done)] == tells.done
    assert tl.open(lake.dir).check(full=True).findings == []
    assert str(tl.open(lake.dir).repair()) == "there is nothing to repair"
    return repaired.done, repaired.lost


def test_a_sound_lake(lake: tl.Lake):
    """There is nothing to do, and nothing is written."""
    expected = answers(lake)
    assert str(lake.repair()) == "there is nothing to repair"
    assert answers(lake) == expected


@pytest.mark.parametrize("numbers", [[4], [2], [1, 3], [1, 2, 3, 4], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("damage", ["gone", "flipped", "cut"])
def test_commits_that_are_lost(lake: tl.Lake, numbers: list[int], damage: str):
    """The newest, one in the middle, or the whole log: check tells, and repair gives every answer back."""
    expected = answers(lake)
    for number in numbers:
        path = commit_of(lake, number)
        if damage == "gone":
            path.unlink()
        else:
            flip(path, 40) if damage == "flipped" else os.truncate(path, path.stat().st_size // 2)
    assert not tl.open(lake.dir).check().ok
    if damage != "gone" or numbers not in ([4], [1, 2, 3, 4]):  # that newer ones were there is known to check alone
        with pytest.raises(LakeError, match=r"is missing|is damaged|is gone"):
            tl.open(lake.dir).runs()
    assert mend(lake)[1] == []
    assert answers(lake) == expected
    with tl.init("p", id="e", dir=lake.dir) as run:
        run.log({"loss": 1.0})
    tl.open(lake.dir).refresh()
    assert tl.open(lake.dir).runs()["run_id"].len() == 5


def test_the_whole_log_of_a_merged_lake(lake: tl.Lake):
    """The files of partitions that were merged lie beside the merged one: each row counts once."""
    expected = answers(lake)
    lake.compact()
    shutil.rmtree(commit_of(lake, 0).parent)
    assert "is gone, though 5 partitions are there" in tl.open(lake.dir).check().findings[0]
    mend(lake)
    assert answers(lake) == expected
    assert tl.open(lake.dir).history(["loss"], raw=True).height == 12


def test_vacuum_deletes_nothing_that_a_lost_commit_named(lake: tl.Lake):
    """Though it looks as an orphan does, for a week and longer."""
    expected = answers(lake)
    commit_of(lake, 4).unlink()
    for path in Path(lake.dir).rglob("part-*"):
        os.utime(path, (0, time.time() - 30 * 86_400))
    assert tl.open(lake.dir).vacuum().files == 0
    mend(lake)
    assert answers(lake) == expected


@pytest.mark.parametrize("damage", ["gone", "flipped"])
def test_states_are_rebuilt_from_points(lake: tl.Lake, damage: str):
    """Nothing is lost."""
    expected = answers(lake)
    path = part(lake, "states", 2)
    path.unlink() if damage == "gone" else flip(path)
    done, lost = mend(lake)
    assert done == [f"partition {path.stem[5:]}: the states are computed from the points"]
    assert lost == []
    assert answers(lake) == expected


def test_points_that_are_damaged(lake: tl.Lake):
    """The partition is set aside: run and metrics are named, all else of the run stays, and so do other runs."""
    runs, history = answers(lake)
    flip(part(lake, "history", 2))
    done, lost = mend(lake)
    assert done == [f"partition {part(lake, 'history', 2).stem[5:]}: it is set aside"]
    assert lost == ["run 'b': 6 points of 'loss', 'note'"]
    repaired_runs, repaired_history = answers(lake)
    assert repaired_history == [row for row in history if row[0] != "b"]
    assert [row[:3] for row in repaired_runs] == [row[:3] for row in runs]
    assert result_of(lake, "--dry-run").output == "there is nothing to repair\n"


def test_points_that_are_damaged_in_part(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """The row groups that are what was committed are kept; what the others held is told by run and metric."""
    monkeypatch.setattr(parquet_file, "ROW_GROUP", 4)
    lake.compact()
    for commit in range(1, 5):
        for folder in ("history", "states", "runs"):
            part(lake, folder, commit).unlink()
    history = answers(lake)[1]
    path = part(lake, "history", 5)
    with pq.ParquetFile(path) as file:
        assert file.metadata.num_row_groups == 6
        offsets = [file.metadata.row_group(n).column(0).dictionary_page_offset for n in range(6)]
    flip(path, offsets[2] + 30)
    flip(path, offsets[5] + 30)
    done, lost = mend(lake)
    assert done == [f"partition {path.stem[5:]}: the points of 4 of its 6 row groups are kept"]
    assert lost == ["run 'b': 4 points of 'loss', 'note'", "run 'd': 4 points of 'loss', 'note'"]
    kept = [row for n in (0, 1, 3, 4) for row in history[4 * n : 4 * n + 4]]
    assert answers(lake)[1] == kept


@pytest.mark.parametrize("at", [-20, -60, 3])
def test_points_whose_footer_is_damaged(lake: tl.Lake, at: int):
    """Nothing of them can be vouched for: they are set aside."""
    flip(part(lake, "history", 2), at)
    assert mend(lake)[1] == ["run 'b': 6 points of 'loss', 'note'"]


def test_points_that_were_merged(lake: tl.Lake):
    """As long as the partitions from which a damaged one was merged are there, nothing is lost."""
    expected = answers(lake)
    lake.compact()
    flip(part(lake, "history", 5))
    done, lost = mend(lake)
    name = part(lake, "history", 5).stem[5:]
    assert (done, lost) == ([f"partition {name}: the 4 partitions it was merged from return"], [])
    assert answers(lake) == expected


def test_records_that_are_damaged(lake: tl.Lake):
    """Without the runs file the points stay under their run; what is lost is told."""
    history = answers(lake)[1]
    part(lake, "runs", 3).write_bytes(b"")
    _, lost = mend(lake)
    assert lost == ["run 'c': its config, tags, definitions, edits and state, as far as this partition held them"]
    assert answers(lake)[1] == history
    assert tl.open(lake.dir).runs(columns=["run_id"])["run_id"].sort().to_list() == RUNS


def test_a_partition_of_which_nothing_is_left(lake: tl.Lake):
    """Two files are damaged and one is gone: the others are read, and the loss is told by number."""
    part(lake, "history", 1).unlink()
    flip(part(lake, "states", 1))
    flip(part(lake, "runs", 1))
    name = part(lake, "history", 1).stem[5:]
    assert mend(lake)[1] == [f"partition {name}: 6 points; none of its files tells of which runs"]
    assert tl.open(lake.dir).history("loss")["run_id"].unique().sort().to_list() == ["b", "c", "d"]


@pytest.mark.filterwarnings("ignore:tracklake. .* is damaged at byte")
def test_a_damaged_journal_is_sealed_as_far_as_it_can_be_read(lake: tl.Lake):
    """Its sound frames are taken, the file goes to the folder `damaged`, and what is missing is told with its place."""
    with tl.init("p", id="e", dir=lake.dir, settings={"metadata": False}) as run:
        for step in range(5):
            run.log({"loss": float(step)})
    (journal,) = Path(lake.dir, "journal").iterdir()
    flip(journal, journal.stat().st_size // 2)
    journal.chmod(0o444)
    done, lost = mend(lake)
    assert done == [f"journal {journal.name}, which is damaged: its sound frames are sealed"]
    assert len(lost) == 1
    assert lost[0].startswith(f"journal {journal.name}: at byte ")
    assert [path.name for path in Path(lake.dir, "damaged/journal").iterdir()] == [journal.name]
    assert tl.open(lake.dir).history("loss", runs="e").height >= 3


def result_of(lake: tl.Lake, *options: str):
    return CliRunner().invoke(cli.main, ["repair", "--dir", lake.dir, *options])


def test_the_command(lake: tl.Lake):
    """It says what it would do, does it, and ends with 1 where something is lost."""
    flip(part(lake, "history", 2))
    dry = result_of(lake, "--dry-run")
    assert (dry.exit_code, dry.output.splitlines()[0][:22]) == (1, "would repair partition")
    assert result_of(lake).output.splitlines()[1] == "LOST     run 'b': 6 points of 'loss', 'note'"
    assert CliRunner().invoke(cli.main, ["check", "--dir", lake.dir]).exit_code == 0


def test_what_a_newer_version_wrote_is_not_touched(lake: tl.Lake):
    """A lake of a newer format is refused."""
    Path(lake.dir, "tracklake.json").write_text('{"format": 9, "id": "a"}')
    with pytest.raises(LakeError, match="has format 9"):
        lake.repair()


@pytest.mark.parametrize("content", ["", '{"format": 2}', '{"format": 2, "id": "a", "crc32": "00000000"}'])
def test_the_mark_of_a_lake(lake: tl.Lake, content: str):
    """A damaged tracklake.json is set aside, and the lake gets a new id; a folder that is none does not become one."""
    expected = answers(lake)
    Path(lake.dir, "tracklake.json").write_text(content)
    result = result_of(lake)
    assert result.output == "repaired tracklake.json, which is damaged: the lake gets a new id\nnothing is lost\n"
    assert answers(lake) == expected
    other = Path(lake.dir).with_name("other")
    other.mkdir()
    assert CliRunner().invoke(cli.main, ["repair", "--dir", str(other)]).exit_code == 2
    assert list(other.iterdir()) == []


def test_damaged_checkpoint(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """One that is damaged is set aside: the commits say the same."""
    monkeypatch.setattr("tracklake.storage.table.checkpoint.EVERY", 5)
    with tl.init("p", id="e", dir=lake.dir) as run:
        run.log({"loss": 1.0})
    lake.refresh()
    expected = answers(lake)
    (path,) = Path(lake.dir, "history/_delta_log").glob("*.parquet")
    flip(path)
    assert mend(lake) == (["checkpoint 5 of the log, which is damaged: the commits say the same"], [])
    assert answers(lake) == expected
    assert pl.scan_delta(str(Path(lake.dir, "history"))).collect().height > 0


def test_damaged_checkpoint_whose_commits_are_gone(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """As after another Delta writer has cleaned the log: what it said is found in the files of the partitions."""
    monkeypatch.setattr("tracklake.storage.table.checkpoint.EVERY", 5)
    with tl.init("p", id="e", dir=lake.dir) as run:
        run.log({"loss": 1.0})
    lake.refresh()
    expected = answers(lake)
    for number in range(4):
        commit_of(lake, number).unlink()
    (path,) = Path(lake.dir, "history/_delta_log").glob("*.parquet")
    flip(path)
    reason = "commits before it are gone, and it is made anew of the files"
    repaired = lake.repair()
    assert repaired.done[0] == f"checkpoint 5 of the log, which is damaged: {reason}"
    assert (repaired.lost, answers(lake)) == ([], expected)
    assert tl.open(lake.dir).check(full=True).findings == []
