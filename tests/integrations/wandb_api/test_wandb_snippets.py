"""W&B's documentation on summaries as it is written there, with one line changed: `import tracklake as wandb`."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import pytest

import tracklake as wandb


@pytest.fixture(autouse=True)
def _in_a_fresh_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The scripts name no folder: their lake is ./lake."""
    monkeypatch.chdir(tmp_path)
    yield
    while wandb.run is not None:
        wandb.finish()


def stored(run_id: str) -> dict:
    return wandb.open().run(run_id).summary._json_dict


def test_argparse_config_in_a_with_block():
    """`with wandb.init(project=..., config=args) as run`, and config by attribute and item."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args([])

    with wandb.init(project="config-example", config=args) as run:
        best_accuracy = 0
        for epoch in range(1, run.config["epochs"] + 1):
            test_accuracy = 1 - run.config.lr / epoch
            run.log({"epoch": epoch, "test_accuracy": test_accuracy})
            if test_accuracy > best_accuracy:
                run.summary["best_accuracy"] = test_accuracy
                best_accuracy = test_accuracy
    assert stored(run.id)["best_accuracy"] == 1 - 0.1 / 3


def test_init_without_with():
    """The current run: wandb.log, wandb.config, wandb.summary, wandb.run."""
    wandb.init(project="basic", config={"learning_rate": 0.02, "architecture": "CNN"})
    wandb.config.epochs = 5
    wandb.config.update({"batch_size": 4})
    for epoch in range(wandb.config.epochs):
        wandb.log({"acc": 1 - 2**-epoch, "loss": 2**-epoch})
    wandb.summary["best_accuracy"] = 0.9
    wandb.run.summary["state"] = "done"
    run_id = wandb.run.id
    wandb.finish()
    assert wandb.run is None
    assert [stored(run_id)[key] for key in ("loss", "best_accuracy", "state")] == [2**-4, 0.9, "done"]
    assert wandb.open().run(run_id).config["batch_size"] == 4


def test_plain_init():
    """`wandb.init()` alone is enough."""
    wandb.init()
    wandb.log({"a": 1})
    assert wandb.run.project == "uncategorized"


def test_define_metric_min_and_max():
    """Two calls for one metric merge, as in "Customize summary metrics"."""
    random.seed(1)
    with wandb.init() as run:
        run.define_metric("loss", summary="min")
        run.define_metric("loss", summary="max")
        run.define_metric("acc", summary="mean")
        logged = []
        for i in range(10):
            log_dict = {"loss": random.uniform(0, 1 / (i + 1)), "acc": i / 10}
            run.log(log_dict)
            logged.append(log_dict["loss"])
    summary = stored(run.id)
    assert summary["loss"] == {"min": min(logged), "max": max(logged)}
    assert summary["acc"]["mean"] == pytest.approx(0.45)


def test_best_with_an_objective():
    """summary="best", objective="maximize", as the documentation has it."""
    with wandb.init() as run:
        run.define_metric("val_accuracy", summary="best", objective="maximize")
        for accuracy in (0.5, 0.8, 0.7):
            run.log({"val_accuracy": accuracy})
        assert run.summary["val_accuracy"]["best"] == 0.8
    assert stored(run.id)["val_accuracy"] == {"best": 0.8, "best_step": 1}


def test_custom_x_axes():
    """step_metric, with a glob as well."""
    with wandb.init() as run:
        run.define_metric("custom_step")
        run.define_metric("validation_loss", step_metric="custom_step")
        run.define_metric("train/*", step_metric="custom_step")
        for i in range(10):
            run.log({"train/loss": 1 / (i + 1), "custom_step": i**2, "validation_loss": 1 / (i + 1)})
    history = wandb.open().history("train/loss")
    assert history["x"].to_list() == [float(i**2) for i in range(10)]


def test_early_stopping():
    """The best so far is kept in the summary and read from it."""
    losses = [1.0, 0.8, 0.9, 0.95, 0.99, 0.5]
    patience = 3
    with wandb.init(project="early-stopping", config={"patience": patience}) as run:
        for epoch, val_loss in enumerate(losses):
            run.log({"val_loss": val_loss, "epoch": epoch})
            if val_loss < run.summary.get("best_val_loss", float("inf")):
                run.summary["best_val_loss"] = val_loss
                run.summary["best_epoch"] = epoch
                patience_left = patience
            else:
                patience_left -= 1
            if patience_left == 0:
                run.summary["stopped_epoch"] = epoch
                run.summary.update({"early_stopped": True, "stop_reason": "no improvement"})
                break
    summary = stored(run.id)
    assert (summary["best_val_loss"], summary["best_epoch"], summary["stopped_epoch"]) == (0.8, 1, 4)
    assert summary["early_stopped"] is True


def test_a_b_results():
    """A dict of results with numpy's bools and ints among them."""
    a, b = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.9])
    with wandb.init(project="ab-test") as run:
        run.summary.update(
            {
                "variant_a/mean": a.mean(),
                "variant_b/mean": b.mean(),
                "winner": "B" if b.mean() > a.mean() else "A",
                "significant": b.mean() - a.mean() > 0.1,
                "n": np.int64(len(a)),
                "argmax": b.argmax(),
            }
        )
    summary = stored(run.id)
    assert (summary["winner"], summary["significant"], summary["n"], summary["argmax"]) == ("B", True, 3, 2)
    assert type(summary["significant"]) is bool


def test_composite_score():
    """Scores made of other entries."""
    with wandb.init() as run:
        run.log({"accuracy": 0.9, "latency": 20.0})
        score = run.summary.get("accuracy", 0) * 0.7 + (1 / run.summary.get("latency", 1)) * 0.3
        run.summary["composite_score"] = score
        missing = run.summary.get("memory", 0)
    assert (stored(run.id)["composite_score"], missing) == (pytest.approx(0.645), 0)


def test_summary_kinds_of_all_metrics(capsys: pytest.CaptureFixture[str]):
    """Looking at what was defined, and at the summary as a dict."""
    with wandb.init() as run:
        run.define_metric("loss", summary="min")
        run.define_metric("epoch")
        run.log({"loss": 1.5, "epoch": 0})
        for m in run._metrics:
            print(m, run._metrics[m].get("summary", "last"))
        print(run.summary._json_dict["loss"])
    assert capsys.readouterr().out.splitlines() == ["loss min", "epoch last", "{'min': 1.5}"]


def test_arrays_in_the_summary():
    """The whole array is kept, beside its statistics."""
    weights = np.random.default_rng(0).normal(size=1000)
    with wandb.init() as run:
        run.summary["final_weights"] = weights
    summary = wandb.open().run(run.id).summary
    assert summary["final_weights"]["mean"] == pytest.approx(weights.mean())
    assert summary["final_weights"]["_type"] == "numpy.ndarray"
    assert (summary.array("final_weights") == weights).all()


def test_torch_tensors():
    """Tensors in rows are numbers, in the summary they are kept; those that need a gradient too."""
    torch = pytest.importorskip("torch")
    with wandb.init(config={"device": torch.device("cpu"), "dtype": torch.float16}) as run:
        loss = torch.tensor(0.5, requires_grad=True)
        run.log({"loss": loss, "acc": torch.tensor([0.75]), "bf16": torch.tensor(1.5, dtype=torch.bfloat16)})
        run.summary["embedding"] = torch.arange(64, dtype=torch.float32, requires_grad=True)
        assert run.config.as_dict() == {"device": "cpu", "dtype": "torch.float16"}
    summary = wandb.open().run(run.id).summary
    assert (summary["loss"], summary["acc"], summary["bf16"]) == (0.5, 0.75, 1.5)
    assert (summary["embedding"]["_type"], summary["embedding"]["max"]) == ("torch.Tensor", 63)
    assert summary.array("embedding").shape == (64,)


def test_attributes_of_a_run():
    """id, name, project, group, tags, notes, config, step, url."""
    about = {"project": "attributes", "name": "baseline", "group": "exp-1", "tags": ["baseline", "paper1"]}
    with wandb.init(**about, notes="My first experiment", job_type="train", entity="my-team") as run:
        run.tags += ("finished",)
        run.notes = "changed"
        run.log({"a": 1})
        shown = [run.name, run.project, run.group, run.notes, run.job_type, run.entity, run.step]
        assert shown == ["baseline", "attributes", "exp-1", "changed", "train", "my-team", 1]
        assert run.tags == ("baseline", "paper1", "finished")
        assert (run.url.startswith("file://"), run.url.endswith(run.id)) == (True, True)
    assert wandb.Api().run(run.path).tags == ["baseline", "paper1", "finished"]


def test_update_a_finished_run():
    """The Api edits a run that has ended."""
    with wandb.init(project="my_project") as run:
        run.log({"accuracy": 0.5})

    api = wandb.Api()
    run = api.run(f"username/my_project/{run.id}")
    run.summary["tensor"] = np.random.default_rng(0).random(1000)
    run.summary["accuracy"] = 0.97
    run.summary.update()
    assert stored(run.id)["accuracy"] == 0.97


def test_compare_runs_by_their_summaries():
    """Lists over api.runs become a frame."""
    pd = pytest.importorskip("pandas")
    for lr in (0.1, 0.01):
        with wandb.init(project="compare", name=f"lr-{lr}", config={"lr": lr}) as run:
            run.log({"accuracy": 1 - lr})

    api = wandb.Api()
    runs = api.runs("me/compare")
    summary_list, config_list, name_list = [], [], []
    for run in runs:
        summary_list.append(run.summary._json_dict)
        config_list.append({k: v for k, v in run.config.items() if not k.startswith("_")})
        name_list.append(run.name)
    runs_df = pd.DataFrame({"summary": summary_list, "config": config_list, "name": name_list})
    found = runs_df[runs_df["name"] == "lr-0.1"].summary.reset_index(drop=True).to_dict()
    assert found[0]["accuracy"] == 0.9
    runs_df.to_csv("project.csv")


def test_resume_a_run():
    """An id and resume go on with a run."""
    with wandb.init(project="resume", id="my-run") as run:
        run.log({"loss": 1.0})
    run = wandb.init(project="resume", id="my-run", resume="must")
    run.log({"loss": 0.5})
    run.finish()
    assert wandb.open().history("loss")["step"].to_list() == [0, 1]


def test_log_steps_and_commits():
    """Values of one step over several calls."""
    with wandb.init() as run:
        run.log({"loss": 0.2}, commit=False)
        run.log({"accuracy": 0.8})
        run.log({"loss": 0.1, "accuracy": 0.9}, step=5)
    history = wandb.open().run(run.id).history()
    assert history.select("_step", "loss", "accuracy").rows() == [(0, 0.2, 0.8), (5, 0.1, 0.9)]


def test_login_and_modes():
    """What means nothing here is accepted; a disabled run leaves nothing behind."""
    assert wandb.login() is True
    run = wandb.init(project="p", mode="disabled", settings={"console": "off"})
    run.log({"a": 1})
    assert run.summary["a"] == 1
    run.finish()
    assert not Path("lake").exists()
