"""W&B files: of every age, whole, killed, torn and damaged; against values that wandb itself wrote."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from samples import sample

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
