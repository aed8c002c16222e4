"""Scripts in the shape of W&B's documents on summaries, sweeps, Lightning and Keras run, and give what is said there.

Those of summaries and sweeps run twice: as they stand, with the stand-in in place of wandb, and with their import line
changed alone. `test_wandb_snippets.py` has more of summaries, with the import line changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import processes
import pytest
from wrapping import ROOT, needs, only_run, wrapped

import tracklake as tl

BEST_SO_FAR = """
    import wandb
    with wandb.init(config={"epochs": 4}) as run:
        best_accuracy = 0
        for epoch in range(1, run.config.epochs + 1):
            test_accuracy = [0, 0.5, 0.8, 0.7, 0.6][epoch]
            run.log({"test_accuracy": test_accuracy})
            if test_accuracy > best_accuracy:
                run.summary["best_accuracy"] = test_accuracy
                best_accuracy = test_accuracy
    api = wandb.Api()
    ended = api.run(f"me/uncategorized/{run.id}")
    ended.summary["reviewed"] = True
    ended.summary.update()
    summary = api.run(f"me/uncategorized/{run.id}").summary
    print(summary["best_accuracy"], summary["test_accuracy"], summary["reviewed"])
"""
DEFINED = """
    import wandb
    wandb.init()
    wandb.define_metric("loss", summary="min")
    wandb.define_metric("loss", summary="max")
    wandb.define_metric("acc", summary="best", objective="maximize")
    wandb.define_metric("epoch", hidden=True)
    wandb.define_metric("validation/*", step_metric="epoch")
    for i in range(4):
        wandb.log({"loss": abs(i - 2), "acc": i % 3, "epoch": 2 * i, "validation/loss": 1 / (i + 1)})
    run_id = wandb.run.id
    wandb.finish()
    summary = wandb.Api().run(run_id).summary
    print(summary["loss"], summary["acc"]["best"], summary["validation/loss"])
"""
WALKTHROUGH = """
    import wandb
    wandb.login()

    def objective(config):
        return config.x**3 + config.y

    def main():
        with wandb.init(project="my-first-sweep") as run:
            run.log({"score": objective(run.config)})

    sweep_configuration = {
        "method": "random",
        "metric": {"goal": "minimize", "name": "score"},
        "parameters": {"x": {"max": 0.1, "min": 0.01}, "y": {"values": [1, 3, 7]}},
    }
    sweep_id = wandb.sweep(sweep=sweep_configuration, project="my-first-sweep")
    wandb.agent(sweep_id, function=main, count=10)
    sweep = wandb.Api().sweep(f"me/my-first-sweep/{sweep_id}")
    scores = sorted(run.summary["score"] for run in sweep.runs)
    print(len(scores), sweep.best_run().summary["score"] == scores[0], {run.state for run in sweep.runs})
"""
OWN_CODE = """
    import wandb
    import numpy as np

    sweep_configuration = {
        "method": "bayes",
        "name": "sweep",
        "metric": {"goal": "maximize", "name": "val_acc"},
        "parameters": {
            "batch_size": {"values": [16, 32, 64]},
            "epochs": {"values": [5, 10, 15]},
            "lr": {"max": 0.1, "min": 0.0001},
        },
    }
    sweep_id = wandb.sweep(sweep=sweep_configuration, project="my-first-sweep")

    def main():
        run = wandb.init()
        lr, bs, epochs = wandb.config.lr, wandb.config.batch_size, wandb.config.epochs
        for epoch in np.arange(1, epochs):
            wandb.log({"epoch": epoch, "val_acc": 1 - lr - 1 / epoch, "val_loss": bs / epoch})

    wandb.agent(sweep_id, function=main, count=4)
    runs = wandb.Api().runs("me/my-first-sweep")
    print([run.summary["epoch"] == run.config["epochs"] - 1 for run in runs], {run.state for run in runs})
"""
DISTRIBUTIONS = """
    import wandb

    sweep_config = {"method": "random"}
    sweep_config["metric"] = {"name": "loss", "goal": "minimize"}
    parameters_dict = {
        "optimizer": {"values": ["adam", "sgd"]},
        "fc_layer_size": {"values": [128, 256, 512]},
        "dropout": {"values": [0.3, 0.4, 0.5]},
    }
    sweep_config["parameters"] = parameters_dict
    parameters_dict.update({"epochs": {"value": 1}})
    parameters_dict.update(
        {
            "learning_rate": {"distribution": "uniform", "min": 0, "max": 0.1},
            "batch_size": {"distribution": "q_log_uniform_values", "q": 8, "min": 32, "max": 256},
        }
    )

    def train(config=None):
        with wandb.init(config=config):
            config = wandb.config
            for epoch in range(config.epochs):
                wandb.log({"loss": config.learning_rate, "epoch": epoch})
            assert config.batch_size % 8 == 0 and 32 <= config.batch_size <= 256

    sweep_id = wandb.sweep(sweep_config, project="pytorch-sweeps-demo")
    wandb.agent(sweep_id, train, count=5)
    sweep = wandb.Api().sweep(sweep_id)
    print(len(sweep.runs), sweep.state, {run.state for run in sweep.runs})
"""
NESTED = """
    import wandb

    def main():
        run = wandb.init(config={"other": 2, "nested_param": {"learning_rate": 9}})
        run.log({"loss": run.config.nested_param["learning_rate"]})
        print(run.config.nested_param, run.config.other, run.config.top_level_param)
        run.finish()

    sweep_configuration = {
        "method": "grid",
        "parameters": {
            "top_level_param": {"value": 0},
            "nested_param": {
                "parameters": {
                    "learning_rate": {"value": 0.01},
                    "double_nested_param": {"parameters": {"x": {"value": 0.9}, "y": {"values": [0.7, 0.8]}}},
                }
            },
        },
    }
    wandb.agent(wandb.sweep(sweep=sweep_configuration, project="nested"), function=main, count=4)
"""
EARLY = """
    import wandb

    def main():
        run = wandb.init()
        for epoch in range(1, 28):
            run.log({"val_loss": run.config.learn_rate + 1 / epoch})

    config = {
        "method": "grid",
        "metric": {"goal": "minimize", "name": "val_loss"},
        "parameters": {"learn_rate": {"values": [0.001, 0.003, 0.01, 0.03]}, "epochs": {"value": 27}},
        "early_terminate": {"type": "hyperband", "s": 2, "eta": 3, "max_iter": 27},
    }
    sweep_id = wandb.sweep(config, project="early")
    wandb.agent(sweep_id, function=main)
    runs = wandb.Api().sweep(f"me/early/{sweep_id}").runs
    print([len(run.history()) for run in runs], {run.state for run in runs})
"""
KINDS = """
    import wandb
    import numpy as np

    with wandb.init(project="kinds") as run:
        kinds = {"loss": "min", "acc": "max", "speed": "mean", "lr": "last", "warmup": "first"}
        for name, kind in kinds.items():
            run.define_metric(name=name, summary=kind)
        run.define_metric("quiet", summary="none")
        for i in range(3):
            run.log({**dict.fromkeys(kinds, i), "quiet": i})
        run.summary.update({"extra": 1, "nested": {"a": 2}})
        wandb.summary["by_module"] = 5
    recorded = wandb.Api().run(f"me/kinds/{run.id}")
    recorded.summary["tensor"] = np.arange(1000.0)
    recorded.summary.update()
    summary = wandb.Api().run(f"me/kinds/{run.id}").summary
    print([summary[name][kind] for name, kind in kinds.items()], summary.get("quiet"), summary["extra"])
    print(summary["nested"]["a"], summary["by_module"], summary["tensor"]["max"])
"""
AXES = """
    import wandb
    with wandb.init(project="axes") as run:
        run.define_metric("custom_step")
        run.define_metric("validation_loss", step_metric="custom_step")
        run.define_metric("train/step")
        run.define_metric("train/*", step_metric="train/step")
        for i in range(4):
            row = {"train_loss": 1 / (i + 1), "custom_step": i**2, "validation_loss": 1 / (i + 1)}
            run.log({**row, "train/step": 2**i, "train/loss": 1 / (i + 1)})
    import tracklake
    print([tracklake.open().history(name)["x"].to_list() for name in ("validation_loss", "train/loss")])
"""
BY_PATH = """
    import wandb
    configuration = {
        "name": "my sweep",
        "method": "random",
        "metric": {"name": "val.loss", "goal": "minimize"},
        "parameters": {"lr": {"min": 0.0001, "max": 0.1}, "opt": {"parameters": {"mom": {"values": [0.1, 0.9]}}}},
    }
    sweep_id = wandb.sweep(sweep=configuration, entity="me", project="proj")

    def main():
        run = wandb.init(project="another", config={"lr": 5, "epochs": 2})
        assert dict(wandb.config)["opt"]["mom"] in (0.1, 0.9) and wandb.config.epochs == 2
        run.log({"val": {"loss": wandb.config["lr"]}})

    wandb.agent(sweep_id=f"me/proj/{sweep_id}", function=main, count=2)
    wandb.agent(sweep_id, main, project="proj", entity="me", count=1)
    sweep = wandb.Api().sweep(f"me/proj/{sweep_id}")
    best = sweep.best_run()
    print(len(sweep.runs), best.config["lr"] == min(run.config["lr"] for run in sweep.runs), best.config["lr"] < 0.1)
    print(sweep.name, sweep.config["method"], sweep.state, sweep.order, sweep.url.endswith(sweep.id))
"""
SCRIPTS = {
    "summary, the best so far": (BEST_SO_FAR, "0.8 0.6 True"),
    "summary, define_metric": (DEFINED, "{'min': 0.0, 'max': 2.0} 2.0 0.25"),
    "sweeps, walkthrough": (WALKTHROUGH, "10 True {'finished'}"),
    "sweeps, add to your code": (OWN_CODE, "[True, True, True, True] {'finished'}"),
    "sweeps, distributions": (DISTRIBUTIONS, "5 RUNNING {'finished'}"),
    "sweeps, nested parameters": (
        NESTED,
        "\n".join(f"{{'learning_rate': 0.01, 'double_nested_param': {{'x': 0.9, 'y': {y}}}}} 2 0" for y in (0.7, 0.8)),
    ),
    "sweeps, hyperband": (EARLY, "[27, 3, 3, 3] {'finished'}"),
}
MORE = {
    "summary, all kinds, and of an ended run": (KINDS, "[0.0, 2.0, 1.0, 2, 0] None 1\n2 5 999.0"),
    "axes of one's own": (AXES, "[[0.0, 1.0, 4.0, 9.0], [1.0, 2.0, 4.0, 8.0]]"),
    "sweeps, agents by path": (BY_PATH, "3 True True\nmy sweep random RUNNING +summary_metrics.val.loss True"),
}
WAYS = {
    "the import changed": lambda code: code.replace("import wandb", "import tracklake as wandb", 1),
    "the stand-in": lambda code: (
        f"from tracklake.integrations.wandb_standin import launcher\nlauncher.load_ipython_extension()\n{code}"
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [*SCRIPTS, *(pytest.param(name, marks=pytest.mark.long) for name in MORE)])
def test_a_script_of_the_documents(name: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It prints what W&B's documents lead one to expect."""
    if name == "sweeps, add to your code":
        needs("optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    code, expected = (SCRIPTS | MORE)[name]
    assert processes.output(WAYS[way](textwrap.dedent(code))) == expected


@pytest.mark.long
def test_the_command_line_of_the_documents(tmp_path: Path):
    """`wandb sweep --project`, `wandb agent --count` with an argparse script, `--pause` and `--resume`."""
    train = """
        import argparse, wandb
        parser = argparse.ArgumentParser()
        parser.add_argument("--batch_size", type=int, default=8)
        parser.add_argument("--lr", type=float, default=0.1)
        with wandb.init(config=parser.parse_args()) as run:
            run.log({"val_acc": 1 - run.config.lr})
    """
    config = """
        program: train.py
        method: random
        name: sweep
        metric: {goal: maximize, name: val_acc}
        parameters:
          batch_size: {values: [16, 32, 64]}
          lr: {min: 0.0001, max: 0.1}
    """
    script = """
        set -e
        NUM=2
        ID=$(wandb sweep --project sweep-demo-cli config.yaml)
        wandb sweep --pause me/sweep-demo-cli/$ID
        wandb sweep --resume me/sweep-demo-cli/$ID
        wandb agent --count $NUM me/sweep-demo-cli/$ID
        wandb sweep --stop me/sweep-demo-cli/$ID
        wandb agent --forward-signals -e me -p sweep-demo-cli $ID
    """
    for name, text in {"train.py": train, "config.yaml": config, "go.sh": script}.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    words = [sys.executable, "-m", "tracklake.cli", "wrap", "--dir", "lake", "sh", "go.sh"]
    done = subprocess.run(
        words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lake = tl.open(tmp_path / "lake")
    assert lake.runs(columns=["project", "state"]).drop("run_id").rows() == [("sweep-demo-cli", "finished")] * 2


LIT = """
    import numpy as np, torch, wandb
    from pathlib import Path
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint
    from lightning.pytorch.loggers import WandbLogger

    class LitModule(LightningModule):
        def __init__(self, n_classes=2, n_layer_1=4, lr=1e-2):
            super().__init__()
            self.layer_1 = torch.nn.Linear(3, n_layer_1)
            self.layer_2 = torch.nn.Linear(n_layer_1, n_classes)
            self.loss, self.lr = torch.nn.CrossEntropyLoss(), lr
            self.save_hyperparameters()

        def forward(self, x):
            return self.layer_2(torch.relu(self.layer_1(x)))

        def training_step(self, batch, batch_idx):
            _, loss, acc = self._get_preds_loss_accuracy(batch)
            self.log("train_loss", loss)
            self.log("train_accuracy", acc)
            return loss

        def validation_step(self, batch, batch_idx):
            if self.trainer.global_step == 0:
                wandb.define_metric("val_accuracy", summary="max")
            preds, loss, acc = self._get_preds_loss_accuracy(batch)
            self.log("val_loss", loss)
            self.log("val_accuracy", acc)
            return preds

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=self.lr)

        def _get_preds_loss_accuracy(self, batch):
            x, y = batch
            logits = self(x)
            preds = torch.argmax(logits, dim=1)
            return preds, self.loss(logits, y), (preds == y).float().mean()

    class LogPredictionSamples(Callback):
        def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == 0:
                x, y = batch
                data = [[wandb.Image(np.zeros((4, 4))), int(a), int(b)] for a, b in zip(y, outputs)]
                wandb_logger.log_table(key="sample_table", columns=["image", "truth", "prediction"], data=data)

    x = torch.randn(32, 3)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long()), batch_size=8)
    wandb_logger = WandbLogger(project="MNIST", log_model="all")
    wandb_logger.experiment.config["key"] = 1
    wandb_logger.experiment.config.update({"key1": 2, "key2": 3})
    wandb_logger.watch(model := LitModule(), log="all", log_freq=1)
    checkpoint_callback = ModelCheckpoint(monitor="val_accuracy", mode="max")
    trainer = Trainer(
        logger=wandb_logger, callbacks=[LogPredictionSamples(), checkpoint_callback], max_epochs=2,
        log_every_n_steps=1, accelerator="cpu", enable_progress_bar=False,
    )
    trainer.fit(model, data, data)
    wandb_logger.experiment.unwatch(model)
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    wandb_logger.log_image(key="samples", images=[image, image], caption=["tree", "person"])
    columns = ["input", "label", "prediction"]
    wandb_logger.log_text(key="texts", columns=columns, data=[["cheese", "english", "english"]])
    wandb.log({"accuracy": 0.99, "trainer/global_step": 8})
    run_id = wandb_logger.experiment.id
    wandb.finish()

    with wandb.init(project="MNIST", id="reader") as run:
        artifact = run.use_artifact(f"me/MNIST/model-{run_id}:best", type="model")
        LitModule.load_from_checkpoint(Path(artifact.download()) / "model.ckpt")
"""


def test_lightning_of_the_documents(tmp_path: Path):
    """Checkpoints by alias, samples as pictures and tables, the maximum in the summary, further config."""
    needs("lightning")
    lake = wrapped(LIT, tmp_path)
    (run,) = (lake.run(run_id) for run_id in lake.runs(columns=["run_id"])["run_id"] if run_id != "reader")
    assert [run.config[key] for key in ("n_layer_1", "lr", "key", "key1", "key2")] == [4, 0.01, 1, 2, 3]
    assert run.summary["val_accuracy"]["max"] == lake.history("val_accuracy")["value"].max()
    assert lake.history("train_loss")["x"].to_list() == list(range(8))
    assert lake.history("accuracy")["x"].to_list() == [8]
    kinds = [run.summary[name]["_type"] for name in ("samples", "texts", "sample_table")]
    assert kinds == ["images/separated", "table-file", "table-file"]
    assert [artifact.name for artifact in tl.Api(lake.dir).run("MNIST/reader").used_artifacts()] != []


def test_fabric_of_the_documents(tmp_path: Path):
    """`wandb.integration.lightning.fabric` has a logger for Fabric."""
    needs("lightning")
    code = """
        import lightning as L
        import wandb
        from wandb.integration.lightning.fabric import WandbLogger
        wandb_logger = WandbLogger(project="walk", log_model="all")
        wandb_logger.log_hyperparams({"hyperparameter_1": 1})
        fabric = L.Fabric(accelerator="cpu", loggers=[wandb_logger])
        fabric.launch()
        wandb_logger.experiment.define_metric("val_accuracy", summary="max")
        for value in (0.5, 0.9, 0.7):
            fabric.log_dict({"val_accuracy": value})
    """
    run = only_run(wrapped(code, tmp_path))
    assert (run.config, run.summary["val_accuracy"], run.state) == ({"hyperparameter_1": 1}, {"max": 0.9}, "finished")


KERAS = """
    import keras, numpy as np, wandb
    from wandb.integration.keras import WandbCallback, WandbEvalCallback, WandbMetricsLogger, WandbModelCheckpoint

    def build():
        model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
        return model

    class WandbClfEvalCallback(WandbEvalCallback):
        def __init__(self, validation_data, data_table_columns, pred_table_columns):
            super().__init__(data_table_columns, pred_table_columns)
            self.x, self.y = validation_data

        def add_ground_truth(self, logs=None):
            for idx, (image, label) in enumerate(zip(self.x, self.y)):
                self.data_table.add_data(idx, wandb.Image(image), label)

        def add_model_predictions(self, epoch, logs=None):
            preds = np.argmax(self.model.predict(self.x, verbose=0), axis=-1)
            for idx in self.data_table_ref.get_index():
                row = self.data_table_ref.data[idx]
                self.pred_table.add_data(epoch, row[0], row[1], row[2], preds[idx])

    x, y = np.random.default_rng(0).random((8, 4, 4, 1)), np.arange(8) % 2
    wandb.init(project="walk", id="new", config={"bs": 12})
    build().fit(
        x, y, epochs=2, batch_size=4, verbose=0, validation_data=(x, y),
        callbacks=[
            WandbMetricsLogger(log_freq=1),
            WandbModelCheckpoint("models/model.keras", monitor="val_loss", save_best_only=True),
            WandbClfEvalCallback((x, y), ["idx", "image", "label"], ["epoch", "idx", "image", "label", "pred"]),
        ],
    )
    wandb.finish()
    with wandb.init(project="walk", id="legacy", config={"hyper": "parameter"}):
        callback = WandbCallback(monitor="val_loss", save_model=False, log_weights=True, labels=["a", "b"])
        build().fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[callback])
"""


def test_keras_of_the_documents(tmp_path: Path):
    """Metrics of epochs and batches on axes of their own, checkpoints, tables of predictions; the older callback."""
    needs("keras")
    lake = wrapped(KERAS, tmp_path)
    new, legacy = lake.run("new"), lake.run("legacy")
    assert lake.history("epoch/val_accuracy", runs="new")["x"].to_list() == [0, 1]
    assert lake.history("batch/loss", runs="new")["x"].to_list() == [0, 1, 2, 3]
    assert [table["nrows"] for table in (new.summary["val"], new.summary["eval_data"])] == [8, 8]
    assert {artifact.type for artifact in tl.Api(lake.dir).run("walk/new").logged_artifacts()} >= {"model"}
    assert lake.history("val_loss", runs="legacy")["step"].to_list() == [0, 1]
    losses = lake.history("val_loss", runs="legacy")["value"]
    assert (legacy.summary["best_val_loss"], legacy.summary["best_epoch"]) == (losses.min(), losses.arg_min())
    assert (new.config["bs"], legacy.config["hyper"], new.state, legacy.state) == (
        12,
        "parameter",
        "finished",
        "finished",
    )
