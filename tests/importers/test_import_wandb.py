"""W&B files: of every age, whole, killed, torn and damaged; against values that wandb itself wrote."""

from __future__ import annotations

import shutil
import subprocess
import sys

import polars as pl
import pytest
from samples import sample

from tracklake.importers.readers.wandb_history import History

SCRIPT = """
import math, wandb
about = {"name": "first", "group": "g", "tags": ["a"], "notes": "n"}
run = wandb.init(project="p", id="live1", config={"lr": 0.1, "net": {"d": 2}}, **about)
run.define_metric("acc", summary="max,min")
for i in range(30):
    run.log({"loss": 1 / (i + 1), "acc": i / 30, "n": i, "nest": {"a": i}, "text": f"t{i}"})
run.summary["by_hand"] = 7
run.finish()
"""


def test_rich_file(lake):
    """Config, definitions, steps, nested values, edits and exit of a whole file; the summary is the one in it."""
    report = lake.import_from(sample("wandb/rich.wandb"), verify=True)
    assert (report.runs, report.unread, report.differences) == (1, [], [])
    run = lake.run("richrun1")
    assert (run.project, run.state, run.config["net"]) == ("asset", "finished", {"layers": [1, 2], "act": "relu"})
    assert run.summary["best"] == {"x": 1}
    assert run.summary["acc"] == {"max": 0.975, "mean": 0.4875, "last": 0.975, "first": 0.0}
    assert run.history(["n", "f.dot", "nest.a.b"]).row(39)[1:4] == (39, 39, 39)
    assert lake.runs(columns=["runtime"]).row(0)[1] == pytest.approx(0.814952)


def test_old_file(lake):
    """A file of 2021 holds system metrics and one final summary."""
    lake.import_from(sample("wandb/run-g9dvvkua.wandb"))
    assert lake.runs(columns=["project", "state"]).rows() == [("g9dvvkua", "code-toad", "finished")]
    assert lake.history("proc.memory.rssMB", stream="system")["value"].to_list() == [277.58]


@pytest.mark.parametrize(
    ("name", "rows", "state", "reason"),
    [
        ("big-records", 12, "failed", None),
        ("truncated-mid-record", 3, "crashed", "torn: the last 16,074 bytes are no whole record"),
        ("corrupt-byte", 11, "failed", "damaged: 46,133 bytes at 37,779 could not be read"),
        ("killed-truncated", 2040, "crashed", None),
    ],
)
def test_damage_costs_what_is_damaged(lake, name, rows, state, reason):
    """Of a killed, torn or damaged file comes in what can be had, and how much was lost is told."""
    report = lake.import_from(sample(f"wandb/{name}.wandb"))
    assert [one.reason for one in report.unread] == ([reason] if reason else [])
    (run,) = lake.runs()["run_id"]
    assert (lake.run(run).history().height, lake.run(run).state) == (rows, state)


def test_a_file_that_grows(lake, tmp_path):
    """A file that is still written adds its new rows, whole ones only, and finishes when it says so."""
    complete = sample("wandb/big-records.wandb").read_bytes()
    path = tmp_path / "run-a.wandb"
    heights = []
    for size in (40_000, 40_000, 300_000, len(complete)):
        path.write_bytes(complete[:size])
        lake.import_from(path)
        heights.append((lake.run("bigrecs1").history().height, lake.run("bigrecs1").state))
    assert heights[-1] == (12, "failed")
    assert [height for height, _ in heights] == sorted(height for height, _ in heights)
    assert lake.history(raw=True).height == 24


def test_the_damaged_and_the_whole_are_one_run(lake, tmp_path):
    """Copies of one file, damaged and whole, in one import are one run with every row once."""
    for name in ("corrupt-byte", "big-records", "truncated-mid-record"):
        shutil.copy(sample(f"wandb/{name}.wandb"), tmp_path / f"{name}.wandb")
    report = lake.import_from(tmp_path)
    assert report.runs == 1
    assert lake.history(raw=True).height == 24


def test_what_wandb_writes_now(lake, tmp_path):
    """A run that the installed wandb writes offline comes in with all that it holds."""
    pytest.importorskip("wandb.sdk", reason="the package wandb is not installed")
    environment = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, check=True, capture_output=True)
    report = lake.import_from(tmp_path / "wandb", verify=True)
    assert (report.runs, report.differences, report.unread) == (1, [], [])
    run = lake.run("live1")
    facts = run.facts
    assert [facts[name] for name in ("name", "group", "tags", "notes")] == ["first", "g", ["a"], "n"]
    assert (run.config, run.summary["by_hand"]) == ({"lr": 0.1, "net": {"d": 2}}, 7)
    assert run.history(["loss"])["loss"].to_list() == [1 / (i + 1) for i in range(30)]
    assert run.summary["acc"] == {"min": 0.0, "max": 29 / 30}


def test_no_wandb_file_is_refused(lake, tmp_path):
    """A file that only bears the name is told as such, and nothing comes of it."""
    (tmp_path / "run-x.wandb").write_bytes(b"hello")
    report = lake.import_from(tmp_path)
    assert "does not begin with ':W&B'" in report.unread[0].reason
    assert lake.runs().height == 0


def item(*keys, value):
    """Return an item of a record: nested keys, and a value as JSON."""
    named = b"".join(b"\x12" + bytes([len(key)]) + key.encode() for key in keys)
    body = named + b"\x82\x01" + bytes([len(value)]) + value.encode()
    return b"\x0a" + bytes([len(body)]) + body


ROWS = [
    (item("_step", value="0"), item("_timestamp", value="10.5"), item("loss", value="1"), item("note", value='"a"')),
    (item("_step", value="1"), item("_timestamp", value="11.5"), item("loss", value="0.5"), item("a", "b", value="2")),
    (item("_step", value="2"), item("loss", value="NaN"), item("ok", value="true")),
    (
        item("_step", value="3"),
        item("_timestamp", value="12.5"),
        item("list", value="[1, 2]"),
        item("loss", value="-1e3"),
    ),
    (item("_step", value="4"), item("_timestamp", value="13.5"), b"\x12\x02\x08\x04"),
    (item("_timestamp", value="14.5"), item("big", value="123456789012345678901"), b"\x12\x02\x08\x12"),
    (item("_timestamp", value="15.5"), item("loss", value="Infinity")),
]


@pytest.mark.parametrize("together", [True, False])
def test_rows_say_the_same_one_by_one_and_together(together):
    """Plain rows, which are decoded many at a time, and those that are not give the same points."""
    history = History([])
    frames = []
    for row in ROWS:
        history.add(b"".join(row))
        if not together:
            frames.append(history.take(start=7))
    frames.append(history.take(start=7))
    points = (
        pl.concat(frames).sort("metric", "step").select("metric", "step", pl.col("ts").dt.epoch("us"), "value", "text")
    )
    assert [repr(row) for row in points.rows()] == [
        "('_step', 4, 13500000, 4.0, None)",
        "('a.b', 1, 11500000, 2.0, None)",
        "('big', 18, 14500000, 1.2345678901234568e+20, None)",
        "('list', 3, 12500000, None, '[1, 2]')",
        "('loss', 0, 10500000, 1.0, None)",
        "('loss', 1, 11500000, 0.5, None)",
        "('loss', 2, 11500000, nan, None)",
        "('loss', 3, 12500000, -1000.0, None)",
        "('loss', 19, 15500000, inf, None)",
        "('note', 0, 10500000, None, 'a')",
        "('ok', 2, 11500000, 1.0, None)",
    ]
