"""DVCLive, Neptune's exporter, Aim and the CSV of W&B's export button."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest


def test_dvclive(lake, tmp_path):
    """A table a metric, the summary of metrics.json, the config of params.yaml."""
    folder = tmp_path / "exp1" / "dvclive"
    (folder / "plots" / "metrics" / "train").mkdir(parents=True)
    (folder / "plots" / "metrics" / "train" / "loss.tsv").write_text("step\tloss\n0\t0.5\n1\t0.25\n")
    (folder / "metrics.json").write_text('{"train": {"loss": 0.25}, "best": 3, "step": 1}')
    (folder / "params.yaml").write_text("lr: 0.1\n")
    report = lake.import_from(tmp_path)
    assert (report.runs, report.points, report.left_alone) == (1, 2, [])
    (run,) = lake.runs()["run_id"]
    assert lake.history("train/loss").select("step", "value").rows() == [(0, 0.5), (1, 0.25)]
    assert (lake.run(run).config, lake.run(run).summary["best"]) == ({"lr": 0.1}, 3)


def test_neptune_exporter(lake, tmp_path):
    """Parameters are config, other attributes summary, series history with its times."""
    when = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        ("ws/digits", "DIG-1", "parameters/lr", "float", None, None, 0.1, None),
        ("ws/digits", "DIG-1", "sys/name", "string", None, None, None, "first"),
        ("ws/digits", "DIG-1", "final/acc", "float", None, None, 0.75, None),
        ("ws/digits", "DIG-1", "train/loss", "float_series", 1.0, when, 0.5, None),
        ("ws/digits", "DIG-1", "train/loss", "float_series", 2.0, when, 0.25, None),
    ]
    names = ["project_id", "run_id", "attribute_path", "attribute_type", "step", "timestamp", "float_value"]
    pl.DataFrame(rows, schema=[*names, "string_value"], orient="row").write_parquet(tmp_path / "DIG-1_part_0.parquet")
    report = lake.import_from(tmp_path)
    assert [(one.format, one.points) for one in report.sources] == [("neptune", 2)]
    columns = ["project", "name", "config.lr", "summary.final/acc", "summary.train/loss"]
    assert lake.runs(columns=columns).rows() == [("DIG-1", "digits", "first", 0.1, 0.75, 0.25)]


@pytest.mark.parametrize(("run_of", "held"), [("aaaabbbb", 8), ("abababab", 8), ("abababab", 3), ("aabaaaba", 7)])
def test_neptune_exporter_comes_in_pieces(lake, tmp_path, monkeypatch, run_of, held):
    """Runs that follow each other or alternate come in whole, whatever is read or held at once."""
    from tracklake.importers.formats import neptune
    from tracklake.importers.readers import table_files

    monkeypatch.setattr(table_files, "CELLS", 14)  # two rows
    monkeypatch.setattr(neptune, "_HELD", held)
    rows = [("p", run, "x", "float_series", float(step), 0.5 * step, None) for step, run in enumerate(run_of)]
    rows.append(("p", run_of[-1], "sys/name", "string", None, None, "last"))
    names = ["project_id", "run_id", "attribute_path", "attribute_type", "step", "float_value", "string_value"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(tmp_path / "p.parquet")
    report = lake.import_from(tmp_path)
    assert (report.runs, report.points) == (2, 8)
    history = lake.history("x").sort("step")
    assert history.select("run_id", "value").rows() == [(run, 0.5 * step) for step, run in enumerate(run_of)]
    assert lake.run(run_of[-1]).name == "last"


def test_export_button_of_wandb(lake, tmp_path):
    """Each run of the chart is a run; bounds of buckets are no points."""
    header = '"Step","a - loss","a - loss__MIN","a - loss__MAX","b - c - loss","b - c - loss__MIN","b - c - loss__MAX"'
    (tmp_path / "e.csv").write_text(f'{header}\n"0","0.5","0.5","0.5","","",""\n"1","0.25","0.2","0.3","1.5","1","2"\n')
    report = lake.import_from(tmp_path / "e.csv")
    assert (report.runs, report.points) == (2, 3)
    assert lake.history("loss").rows()[2][:3] == ("b - c", "loss", 1)


def test_export_button_of_wandb_comes_in_pieces(lake, tmp_path, monkeypatch):
    """A chart is read piece by piece, each value as the type that its run has; a grown one brings what is new."""
    from tracklake.importers.readers import bytestream

    monkeypatch.setattr(bytestream.chunks, "__defaults__", (60,))
    rows = "".join(f"{step},{step / 4 + 0.1},{step}\n" for step in range(50))
    path = tmp_path / "e.csv"
    path.write_text(f"Step,b - loss,a/c - loss\n{rows}")
    report = lake.import_from(path)
    assert (report.runs, report.points) == (2, 100)
    assert lake.history("loss")["value"].to_list() == [*range(50), *(step / 4 + 0.1 for step in range(50))]
    assert lake.check(full=True).ok
    path.write_text(f"Step,b - loss,a/c - loss\n{rows}50,1.5,\n")
    assert lake.import_from(path).points == 1
    path.write_text(f"Step,b - loss,a/c - loss\n{rows}49,1.5,\n3,1,1\n")
    assert "row 52 has Step 3 after 49" in lake.import_from(path).unread[0].reason


def test_aim_repository(lake, tmp_path):
    """A repository that the installed aim writes comes in, contexts in the names of metrics."""
    aim = pytest.importorskip("aim", reason="the package aim is not installed")
    run = aim.Run(repo=str(tmp_path), experiment="digits", system_tracking_interval=None, capture_terminal_logs=False)
    run["hparams"] = {"lr": 0.5}
    for step in range(10):
        run.track(1 / (step + 1), name="loss", step=step, context={"subset": "val"})
    run.close()
    report = lake.import_from(tmp_path)
    assert [one.format for one in report.sources if one.points] == ["aim"]
    assert lake.history("loss[subset=val]")["value"].to_list() == [1 / (step + 1) for step in range(10)]
    assert lake.runs(columns=["project", "config.lr"]).rows() == [(run.hash, "digits", 0.5)]


def test_what_dvclive_writes_now(lake, tmp_path):
    """Metrics, parameters and values that are logged once come in as the installed dvclive has them."""
    dvclive = pytest.importorskip("dvclive", reason="the package dvclive is not installed")
    with dvclive.Live(dir=str(tmp_path / "exp" / "dvclive"), save_dvc_exp=False, dvcyaml=None) as live:
        live.log_params({"lr": 0.1, "net": {"depth": 2}})
        for step in range(15):
            live.log_metric("train/loss", 1 / (step + 1))
            live.log_metric("acc", float("nan") if step == 3 else step / 15)
            live.next_step()
        live.log_metric("test_acc", 0.9, plot=False)
    report = lake.import_from(tmp_path)
    assert (report.runs, report.points, report.unread) == (1, 30, [])
    run = lake.run("exp")
    assert run.config == {"lr": 0.1, "net": {"depth": 2}}
    assert (run.summary["test_acc"], run.summary["acc"]) == (0.9, 14 / 15)
    assert lake.history("train/loss")["value"].to_list() == [1 / (step + 1) for step in range(15)]


TRACKIO = """
import trackio
for seed in range(2):
    trackio.init(project="digits", name=f"seed{seed}", config={"lr": 0.1, "net": {"depth": seed}})
    for step in range(12):
        trackio.log({"loss": 1 / (step + 1), "acc": float("inf") if step == 3 else step / 12})
    trackio.finish()
"""


def test_what_trackio_writes_now(lake, tmp_path):
    """Runs, configs and points come in as the installed trackio has them."""
    pytest.importorskip("trackio", reason="the package trackio is not installed")
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", TRACKIO], check=True, capture_output=True, env=environment)
    report = lake.import_from(tmp_path)
    assert (report.runs, report.points, report.unread) == (2, 48, [])
    assert lake.runs(columns=["name", "config.net.depth"]).select("name", "config.net.depth").rows() == [
        ("seed0", 0),
        ("seed1", 1),
    ]
    assert (
        lake.summaries(["loss.last", "acc.max"]).select("loss.last", "acc.max").rows() == [(1 / 12, float("inf"))] * 2
    )
