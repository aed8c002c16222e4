"""Damaged and hostile files: never a hang, never unbounded memory, always the rows so far and a clear error."""

from __future__ import annotations

import json
import os
import random
import resource
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import command, output
from samples import sample

import tracklake as tl
from tracklake.errors import SourceError
from tracklake.importers import registry
from tracklake.importers.readers import config_files
from tracklake.importers.readers.records import ImportOptions, Points, Source

SAMPLES = {
    "wandb": "wandb/rich.wandb",
    "tensorboard": "tensorboard/lax/run_1/events.out.tfevents.1622543341.host.86862.3",
    "mlflow": "mlflow/mlflow-3.17.db",
    "optuna": "optuna/optuna_3.2.0.a.db",
    "trackio": "trackio/digits-0.43.db",
    "table": "wandb/history.parquet",
    "stable_baselines": "monitor/dqn_CartPole-v1_1_0.monitor.csv",
}
ROUNDS = 60


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Return data with a piece flipped, cut, doubled, overwritten or filled."""
    at = dice.randrange(len(data))
    size = min(dice.choice([1, 4, 64, 4096]), len(data) - at)
    kind = dice.randrange(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at : at + size] * 2 + data[at + size :]
    filling = dice.randbytes(size) if kind == 3 else b"\xff" * size
    return data[:at] + filling + data[at + size :]


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_files_end_in_rows_and_a_clear_error(tmp_path, name):
    """Whatever is damaged, a reader gives rows, or a SourceError, in little time and memory; the lake stays sound."""
    complete = sample(SAMPLES[name]).read_bytes()
    dice = random.Random(name)
    path = tmp_path / Path(SAMPLES[name]).name
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    for _ in range(ROUNDS):
        path.write_bytes(damaged(complete, dice))
        try:
            for item in registry.find(name).read(Source(name, path), ImportOptions()):
                assert not isinstance(item, Points) or set(item.frame.columns) >= {"metric", "step", "value"}
        except (SourceError, OSError) as error:
            assert str(error)  # noqa: PT017 - either is right
    assert time.process_time() - began < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


@pytest.mark.parametrize("name", ["wandb", "tensorboard", "mlflow"])
def test_an_import_of_damaged_files_leaves_a_sound_lake(tmp_path, name):
    """What comes of damaged files is a lake that checks, however they are damaged."""
    complete = sample(SAMPLES[name]).read_bytes()
    dice = random.Random(name)
    for number in range(8):
        folder = tmp_path / "in" / f"r{number}"
        folder.mkdir(parents=True)
        (folder / Path(SAMPLES[name]).name).write_bytes(damaged(complete, dice))
    lake = tl.open(tmp_path / "lake", create=True)
    lake.import_from(tmp_path / "in")
    assert lake.check(full=True).ok


def test_a_hostile_yaml_makes_no_object(tmp_path):
    """A tag of YAML runs nothing, and aliases do not make a short text large."""
    (tmp_path / "config.yaml").write_text("!!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(SourceError, match="holds no mapping"):
        config_files.read_config(tmp_path / "config.yaml")
    assert not Path("pwned").exists()
    levels = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    (tmp_path / "bomb.yaml").write_text(f"a0: &a0 [lol]\n{levels}")
    with pytest.raises(SourceError, match="aliases"):
        config_files.read_config(tmp_path / "bomb.yaml")


def test_paths_in_names_stay_in_the_lake(lake, tmp_path):
    """Ids with parts of paths are made safe; nothing is written outside of the lake."""
    (tmp_path / "in").mkdir()
    rows = pl.DataFrame({"run": ["../../evil", "/etc/x", "_lake"], "step": [1, 1, 1], "x": [0.5, 0.25, 1.0]})
    rows.vstack(rows.with_columns(step=pl.lit(2, pl.Int64))).write_csv(tmp_path / "in" / "t.csv")
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    assert lake.import_from(tmp_path / "in").runs == 3
    assert sorted(lake.runs()["run_id"]) == ["_.._evil-18b6846e06", "_etc_x-6d31dc9f02", "_lake-a1c97a0a25"]
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before


def test_deep_and_wide_json_is_bounded(lake, tmp_path):
    """A line nested without end, and a number without end, are told as what they are."""
    (tmp_path / "a.jsonl").write_text('{"step": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"step": 1, "x": 1}) + "\n" + '{"step": 2, "x": ' + "9" * 5000 + "}\n")
    report = lake.import_from([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert len(report.unread) >= 1


@pytest.mark.parametrize("columns", [{"lossX": [0.5]}, {"m": [{"lossX": 0.5}]}, {"m": [[{"lossX": 0.5}]]}])
def test_a_column_whose_name_is_no_text(lake, tmp_path, capfd, columns):
    """A Parquet file with a name, of a column or within one, that is no UTF-8 is refused before polars sees it."""
    pq.write_table(pa.table({"step": [1], **columns}), tmp_path / "x.parquet", compression=None)
    data = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(data.replace(b"lossX", b"loss\xff"))
    (unread,) = lake.import_from(tmp_path / "x.parquet").unread
    assert "the name of a column is no UTF-8" in unread.reason
    assert "panicked" not in capfd.readouterr().err


BOMB = """
import resource, sys
import tracklake as tl
report = tl.open(sys.argv[2], create=True).import_from(sys.argv[1])
print(report.unread[0].reason, report.runs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, sep="|")
"""


@pytest.mark.long
@pytest.mark.parametrize("line", [b"1,0.5\n", b"0"])
@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_bomb_takes_no_more_than_a_batch(tmp_path, compression, line):
    """A small file that unpacks to a thousand times as much is told, brings nothing, and takes less than 900 MB."""
    path = tmp_path / f"x.csv.{'zst' if compression == 'zstd' else 'gz'}"
    with pa.CompressedOutputStream(str(path), compression) as stream:
        stream.write(b"step,x\n")
        for _ in range(1024):
            stream.write(line * ((1 << 20) // len(line)))
    assert path.stat().st_size < 3 << 20
    reason, runs, megabytes = output(BOMB, path, tmp_path / "lake").split("|")
    assert "times larger when decompressed" in reason or "a line of more than 16 MB" in reason
    assert (runs, int(megabytes) < 900) == ("0", True)


BOMBS = {
    "text": lambda: pa.DictionaryArray.from_arrays(np.zeros(200_000, dtype=np.int32), ["x" * (1 << 20)]),
    "page": lambda: pa.array(["0" * (120 << 20)]),
    "list": lambda: pa.LargeListArray.from_arrays(pa.array([0, 20_000_000]), pa.array(np.zeros(20_000_000))),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_parquet_file_of_few_bytes_that_mean_very_many(lake, tmp_path, kind):
    """A text, a page or a list that stands for a thousand times as much is told, and brings nothing."""
    column = BOMBS[kind]()
    pq.write_table(pa.table({"x": column}), tmp_path / "x.parquet", compression="zstd", write_statistics=False)
    assert (tmp_path / "x.parquet").stat().st_size < 300_000
    report = lake.import_from(tmp_path / "x.parquet")
    assert "gets over 300 times larger when decoded; it is not read on" in report.unread[0].reason
    assert (report.runs, lake.runs().height) == (0, 0)


def test_a_zip_is_left_alone(lake, tmp_path):
    """An archive is no source: it is left alone, whatever it would become."""
    with zipfile.ZipFile(tmp_path / "runs.zip", "w") as archive:
        archive.writestr("x.csv", "step,loss\n1,0.5\n")
    report = lake.import_from(tmp_path / "runs.zip")
    assert (report.runs, [path.name for path in report.left_alone]) == (0, ["runs.zip"])


def test_pipes_and_devices_are_left_alone(tmp_path):
    """What never ends, or waits for a writer, is not opened in a folder, and refused where it is named."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("metrics.csv", "mlflow.db", "x.parquet", "events.out.tfevents.1.host"):
        os.mkfifo(folder / name)
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "gone.csv").symlink_to("nowhere.csv")
    (folder / "a.csv").write_text("step,loss\n1,0.5\n")
    done = command("import", "in", folder=tmp_path)
    assert "left alone: 6 files" in done.stdout
    assert "1 run with 1 point came in" in done.stdout
    done = command("import", "in/metrics.csv", folder=tmp_path)
    assert "in/metrics.csv is a pipe or a device; write what comes of it to a file" in done.stderr


def test_a_link_in_a_circle_ends(tmp_path):
    """A folder that links to itself is walked once."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "x.csv").write_text("step,loss\n1,0.5\n")
    done = command("import", "in", folder=tmp_path)
    assert "1 run with 1 point came in" in done.stdout
