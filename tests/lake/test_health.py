"""`lake.check()`: every kind of damage, and the words that tell it."""

from __future__ import annotations

import json
import os
import time
import zlib
from pathlib import Path

import made_once
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import LakeError
from tracklake.storage.journal import frame_format


@made_once.lake
def lake(folder: Path) -> None:
    """A lake of two runs, one of them sealed, with an array."""
    for run_id in ("sealed", "live"):
        with tl.init("p", id=run_id, config={"lr": 0.1}, dir=folder) as run:
            for step in range(5):
                run.log({"a": 0.1 * step, "note": "x"})
            run.summary["weights"] = np.arange(100.0)
        if run_id == "sealed":
            tl.open(folder).refresh()


def file(lake: tl.Lake, folder: str) -> Path:
    (found,) = (path for path in Path(lake.dir, folder).iterdir() if path.is_file())
    return found


def flip(path: Path, at: int) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def commit_of(lake: tl.Lake, number: int) -> Path:
    return Path(lake.dir, f"history/_delta_log/{number:020d}.json")


def part(lake: tl.Lake, folder: str) -> str:
    return f"{folder}/{file(lake, folder).name}"


def test_sound_lake(lake: tl.Lake):
    """Of a sound lake it tells what was looked at."""
    assert str(lake.check(full=True)).splitlines() == [
        "checked the log: version 1, 1 partition",
        "checked the checksums of 3 partition files",
        "checked the states of 5 series against their points",
        "checked every frame of 1 journal file",
        "checked the content of 1 file in files/",
        "all is sound",
    ]
    assert lake.check().checked[2] == "the states of 5 series against their points (a sample)"


def test_empty_lake(tmp_path: Path):
    """A lake in which nothing was logged is sound."""
    assert tl.open(tmp_path, create=True).check(full=True).ok


@pytest.mark.parametrize("folder", ["history", "states", "runs"])
def test_damaged_partition_file(lake: tl.Lake, folder: str):
    """One flipped bit in any of the three files is found by its checksum."""
    flip(file(lake, folder), 100)
    assert lake.check().findings == [
        f"{part(lake, folder)} is damaged: its checksum is not the one it was committed with"
    ]


@pytest.mark.parametrize("folder", ["history", "states", "runs"])
def test_missing_partition_file(lake: tl.Lake, folder: str):
    """A file that the log names and that is not there is told."""
    name = part(lake, folder)
    file(lake, folder).unlink()
    assert lake.check().findings == [f"{name}: No such file or directory; the log says that it belongs to the lake"]


def rewrite_states(lake: tl.Lake, change: pl.Expr) -> None:
    """Change the states and make the commit's checksum fit them."""
    rewrite(lake, "states", pl.read_parquet(file(lake, "states")).with_columns(change))


def rewrite(lake: tl.Lake, sibling: str, rows: pl.DataFrame) -> None:
    """Write other rows into a file of the partition, and make the commit's checksum fit them."""
    path, place = file(lake, sibling), ["history", "states", "runs"].index(sibling)
    rows.write_parquet(path)
    lines = [json.loads(line) for line in commit_of(lake, 1).read_text().splitlines()]
    del lines[0]["commitInfo"]["tracklake"]["crc32"]
    (add,) = (line["add"] for line in lines if "add" in line)
    for tag, value in (("tracklake.crcs", zlib.crc32(path.read_bytes())), ("tracklake.sizes", path.stat().st_size)):
        add["tags"][tag] = json.dumps([x if i != place else value for i, x in enumerate(json.loads(add["tags"][tag]))])
    commit_of(lake, 1).write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "change",
    [
        (pl.col("n") + 1).alias("n"),
        (pl.col("mean") * (1 + 1e-6)).alias("mean"),
        (pl.col("last_step") + 1).alias("last_step"),
        pl.lit("y").alias("last_text"),
    ],
    ids=["n", "mean", "last_step", "last_text"],
)
@pytest.mark.parametrize("full", [False, True])
def test_states_that_are_not_those_of_the_points(lake: tl.Lake, change: pl.Expr, full: bool):
    """A state that differs from its points is told by run and metric, though every checksum fits."""
    name = change.meta.output_name()
    rewrite_states(lake, pl.when(pl.col("metric") == "a").then(change).otherwise(pl.col(name)).alias(name))
    found = lake.check(full=full).findings
    assert found == [f"{part(lake, 'states')}: the state of 'a' of run 'sealed' is not that of its points"]


def test_state_that_is_missing(lake: tl.Lake):
    """A series without a state is found by the full check."""
    path = file(lake, "states")
    rewrite_states(lake, pl.when(pl.col("metric") == "a").then(pl.lit("b")).otherwise(pl.col("metric")).alias("metric"))
    assert path.exists()
    assert lake.check(full=True).findings == [
        f"{part(lake, 'states')}: the state of 'a' of run 'sealed' is not that of its points",
        f"{part(lake, 'states')}: the state of 'b' of run 'sealed' is not that of its points",
    ]


def test_states_that_are_no_parquet(lake: tl.Lake):
    """A states file that fits its checksum and is no Parquet is told, not raised."""
    rewrite_states(lake, pl.col("n"))
    file(lake, "states").write_bytes(bytes(file(lake, "states").stat().st_size))
    lines = commit_of(lake, 1).read_text()
    old = json.loads(json.loads(lines.splitlines()[-1])["add"]["tags"]["tracklake.crcs"])[1]
    commit_of(lake, 1).write_text(lines.replace(str(old), str(zlib.crc32(file(lake, "states").read_bytes()))))
    (finding,) = lake.check().findings
    assert finding.startswith(f"partition {file(lake, 'states').stem[5:]}: a partition cannot be read: parquet: ")


@pytest.mark.parametrize("change", ["text for numbers", "narrow steps", "no values"])
def test_history_of_other_columns(lake: tl.Lake, change: str):
    """A history file that fits its checksum and has other columns than points have is told, not raised, nor cast."""
    points = pl.read_parquet(file(lake, "history"))
    changed = {
        "text for numbers": points.with_columns(pl.lit("x").alias("value")),
        "narrow steps": points.with_columns(pl.col("step").cast(pl.Int32)),
        "no values": points.drop("value"),
    }
    rewrite(lake, "history", changed[change])
    (finding,) = lake.check(full=True).findings
    assert finding.startswith(f"partition {file(lake, 'history').stem[5:]}: a partition cannot be read: ")


def test_damaged_journal(lake: tl.Lake):
    """A damaged frame is told with file and byte."""
    journal = file(lake, "journal")
    header = int.from_bytes(journal.read_bytes()[4:8], "little") + frame_format.PREFIX_SIZE + frame_format.CRC_SIZE
    flip(journal, 2 * header + 40)
    assert lake.check().findings == [
        f"journal/{journal.name}: damaged at byte {2 * header}: the frame's checksum does not match"
    ]


def test_journal_that_was_deleted(lake: tl.Lake):
    """A file of a session that was deleted before it was sealed leaves a gap that is told."""
    journal = file(lake, "journal")
    later = journal.with_name(journal.name.replace(".0.tlj", ".1.tlj"))
    journal.rename(later)
    found = lake.check().findings
    assert found[0] == f"journal/{journal.name} is missing: it was deleted before it was sealed"
    assert "renamed or copied" in found[1]


def test_journal_that_was_cut(lake: tl.Lake):
    """A journal that is shorter than what was sealed of it is told."""
    lake.refresh()
    run = tl.init("p", dir=lake.dir, settings={"metadata": False})  # which would be noted a moment later
    lake.refresh()
    journal = run._session.journal.path
    size = journal.stat().st_size
    os.truncate(journal, 10)
    assert lake.check().findings == [f"journal/{journal.name} was cut: it has 10 bytes, but {size:,} are sealed"]
    run.finish()


def test_stranger_among_the_journals(lake: tl.Lake):
    """A file that is no journal is told: nothing reads it."""
    Path(lake.dir, "journal/notes.txt").write_text("x")
    assert lake.check().findings == ["journal/notes.txt is no journal; nothing reads it"]


@pytest.mark.parametrize(("hours", "told"), [(1, False), (25, True)])
def test_orphan(lake: tl.Lake, hours: int, told: bool):
    """A partition file without a commit is told once it is too old to belong to a seal under way."""
    orphan = Path(lake.dir, "states/part-0123.parquet")
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, time.time() - hours * 3600))
    words = ["states/part-0123.parquet belongs to no commit: a seal or merge died before it; vacuum deletes it"]
    assert lake.check().findings == (words if told else [])


def test_damaged_commit(lake: tl.Lake):
    """A commit that cannot be read is told with its file; journals are looked at all the same."""
    commit_of(lake, 1).write_text('{"commitInfo": {"timest')
    Path(lake.dir, "journal/notes.txt").write_text("x")
    log, stranger = lake.check().findings
    assert log.startswith(f"{commit_of(lake, 1)} is damaged or no commit of a lake: ")
    assert stranger == "journal/notes.txt is no journal; nothing reads it"


def test_missing_commit(lake: tl.Lake):
    """A number that is missing in the log is told, and reading refuses rather than give half of the lake."""
    lake.refresh()
    commit_of(lake, 1).unlink()
    words = (
        f"{commit_of(lake, 1)} is missing, though version 2 is there: "
        "what was sealed since version 0 cannot be read. Restore the file from a copy, or let `tracklake repair` make "
        "it anew"
    )
    assert lake.check().findings == [words]
    with pytest.raises(LakeError, match="is missing, though version 2 is there"):
        tl.open(lake.dir).runs()


def test_damaged_array(lake: tl.Lake):
    """A file of files/ whose content is not what its name says is found by the full check."""
    binary = file(lake, "files")
    flip(binary, 200)
    assert lake.check().findings == []
    assert lake.check(full=True).findings == [f"files/{binary.name} is damaged: its content is not what its name says"]


def test_newer_format(lake: tl.Lake):
    """A lake of a newer format is refused, with the way out; check says no more than that."""
    marker = Path(lake.dir, "tracklake.json")
    marker.write_text(json.dumps({"format": 3, "id": "a"}))
    words = f"the lake at {lake.dir} has format 3; this version of tracklake knows 2. Upgrade: pip install -U tracklake"
    with pytest.raises(LakeError) as raised:
        tl.open(lake.dir)
    assert str(raised.value) == words
    assert (lake.check().checked, lake.check().findings) == ([], [words])


def test_older_format(lake: tl.Lake):
    """A lake of a format before the first release is refused, with the way out."""
    marker = Path(lake.dir, "tracklake.json")
    marker.write_text(json.dumps({"format": 1, "id": "a"}))
    with pytest.raises(LakeError, match=r"has format 1, older than the first release.*Export it with the version"):
        tl.open(lake.dir)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"format": "x", "id": "y"}', "\0\0\0", "[" * 90_000, '{"format": 2, "id": "a", "crc32": "0"}']
    + [f'{{"format": {number}, "id": "a"}}' for number in ("0", "-1", "1.5", "2.0", "true", "null")],
)
def test_damaged_marker(lake: tl.Lake, content: str):
    """A damaged tracklake.json is told by name."""
    marker = Path(lake.dir, "tracklake.json")
    marker.write_text(content)
    (finding,) = lake.check().findings
    assert finding.startswith(f"{marker} is damaged (")
    assert finding.endswith("); it should hold the format and the id of the lake")


def test_exit_code_and_words_of_the_command(lake: tl.Lake):
    """`tracklake check` ends with 1 if something is wrong, and says what."""
    assert CliRunner().invoke(cli.main, ["check", "--dir", lake.dir]).exit_code == 0
    name = part(lake, "runs")
    file(lake, "runs").unlink()
    result = CliRunner().invoke(cli.main, ["check", "--full", "--dir", lake.dir])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-2:] == [
        f"WRONG   {name}: No such file or directory; the log says that it belongs to the lake",
        "1 found wrong: `tracklake repair --dry-run` tells what of it can be mended",
    ]


@pytest.mark.parametrize("folder", ["history", "states", "runs"])
def test_reading_a_damaged_partition(lake: tl.Lake, folder: str):
    """A reader that meets a file it cannot read answers without what it holds, with a warning that points to check."""
    path = file(lake, folder)
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    with pytest.warns(UserWarning, match=r"is damaged: .*`tracklake check`"):
        tl.open(lake.dir).history()
    path.unlink()
    with pytest.warns(UserWarning, match=r"is gone. `tracklake check` tells what is wrong"):
        tl.open(lake.dir).history()


def test_damaged_partition_does_not_stop_a_training(lake: tl.Lake):
    """A run in a lake whose partitions are damaged logs and ends well, with a warning of what it could not read."""
    file(lake, "runs").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"is damaged: .* What it says of .* the lake, is lost"):
        run = tl.init("p", dir=lake.dir)
    with run:
        run.log({"a": 1.0})
    assert len(list(Path(lake.dir, "journal").iterdir())) == 2


def test_damaged_system_stream(tmp_path: Path):
    """The streams of system metrics are journals too: damage in one is told with file and byte."""
    with tl.init("p", dir=tmp_path / "lake", system_metrics=True) as run:
        run.log({"a": 1.0})
    lake = tl.open(tmp_path / "lake")
    assert lake.check().ok
    stream = file(lake, "system")
    flip(stream, 20)
    assert lake.check().findings == [f"system/{stream.name}: damaged at byte 0: the frame's checksum does not match"]
