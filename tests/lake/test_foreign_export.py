"""Export in the forms of other tools, read back by their own readers and by our importers."""

from __future__ import annotations

import json
import math

import pytest

import tracklake as tl

LOSSES = [2.0, 1 / 3, math.inf, 0.1]


@pytest.fixture
def lake(tmp_path):
    """A lake of one run with config, notes, an integer beyond 2**53 and an infinity."""
    config = {"net": {"lr": 0.1}, "opt": "adam"}
    with tl.init("digits", id="a", name="first", config=config, dir=tmp_path / "lake") as run:
        for step, loss in enumerate(LOSSES):
            run.log({"val/loss": loss, "n": 2**53 + step})
    return tl.open(tmp_path / "lake")


@pytest.mark.parametrize("form", ["mlflow", "tensorboard"])
def test_round_trip_through_our_importers(lake, tmp_path, form):
    """What is exported and imported again has the same points."""
    lake.export(tmp_path / "out", format=form)
    again = tl.open(tmp_path / "again", create=True)
    assert again.import_from(tmp_path / "out").runs == 1
    assert again.history("val/loss")["value"].to_list() == LOSSES
    assert again.history("val/loss")["step"].to_list() == [0, 1, 2, 3]


def test_mlflow_reads_its_store(lake, tmp_path, monkeypatch):
    """MLflow's own client reads the file store: the run, its parameters, its metrics."""
    mlflow = pytest.importorskip("mlflow.tracking", reason="the package mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    lake.export(tmp_path / "mlruns", format="mlflow")
    client = mlflow.MlflowClient((tmp_path / "mlruns").as_uri())
    (experiment,) = [one for one in client.search_experiments() if one.name == "digits"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params == {"net.lr": "0.1", "opt": "adam"}
    assert [m.value for m in client.get_metric_history(run.info.run_id, "val/loss")] == LOSSES


def test_tensorboard_reads_its_events(lake, tmp_path):
    """TensorBoard's own reader has the same steps and values, to the last digit."""
    name = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(name, reason="the package tensorboard is not installed")
    tensors = pytest.importorskip("tensorboard.util.tensor_util")
    lake.export(tmp_path / "out", format="tensorboard")
    (file,) = (tmp_path / "out").rglob("*tfevents*")
    events = accumulator.EventAccumulator(str(file), size_guidance={"tensors": 0})
    events.Reload()
    values = [(one.step, tensors.make_ndarray(one.tensor_proto).item()) for one in events.Tensors("val/loss")]
    assert values == list(enumerate(LOSSES))


def test_json_in_the_shape_of_wandb(lake, tmp_path):
    """Config, summary and rows are as W&B keeps them; integers are exact."""
    lake.export(tmp_path / "out", format="wandb", run="a")
    (folder,) = (tmp_path / "out").glob("*/*")
    rows = [json.loads(line) for line in (folder / "wandb-history.jsonl").read_text().splitlines()]
    assert [row["n"] for row in rows] == [2**53, 2**53 + 1, 2**53 + 2, 2**53 + 3]
    assert json.loads((folder / "config.json").read_text()) == {"net": {"lr": 0.1}, "opt": "adam"}
    assert json.loads((folder / "wandb-summary.json").read_text())["val/loss"] == 0.1


def test_names_stay_in_the_folder(tmp_path):
    """Names of metrics and params that lead out of a folder are made safe."""
    with tl.init("..", id="r", config={"../x": 1}, dir=tmp_path / "lake") as run:
        run.log({"../../evil": 1.0, "/abs": 2.0})
    tl.open(tmp_path / "lake").export(tmp_path / "deep" / "out", format="mlflow")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "lake"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
