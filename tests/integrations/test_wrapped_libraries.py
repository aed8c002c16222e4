"""Libraries that log to W&B log into the lake under `tracklake wrap`, without a line changed.

Each trains for seconds on the CPU with the real library, where it is installed: in the second environment of .ci/run.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from wrapping import needs, only_run, wrapped

import tracklake as tl
from tracklake.integrations.wandb_standin import launcher


def test_a_plain_script(tmp_path: Path):
    """Metadata, version, submodules, folder of the run, media, a second init, and the executable."""
    code = """
        import importlib.metadata, os, subprocess
        import wandb, wandb.sdk.wandb_run
        assert importlib.metadata.version("wandb") == wandb.__version__ == "0.31.0"
        os.makedirs("elsewhere"); os.chdir("elsewhere")
        run = wandb.init(entity="me", project="walk", dir=".", config={"lr": 0.1}, anonymous="allow")
        assert wandb.init(project="other") is run and isinstance(run, wandb.sdk.wandb_run.Run)
        open(os.path.join(wandb.run.dir, "notes.txt"), "w").write("hello")
        wandb.log({"loss": 0.5, "page": wandb.Html("<b>done</b>")})
        assert subprocess.run(["wandb", "login"]).returncode == 0
        wandb.finish()
    """
    run = only_run(wrapped(code, tmp_path))
    assert (run.project, run.config, run.files, run.state) == ("walk", {"lr": 0.1}, ["notes.txt"], "finished")
    assert run.summary["page"]["_type"] == "html-file"


def test_an_ended_id_begins_anew(tmp_path: Path):
    """An id that has ended, without resume, begins anew, as in W&B: Ray restarts a trial so."""
    code = """
        import wandb
        for losses in ([3.0, 2.0, 1.0], [0.5]):
            run = wandb.init(project="walk", id="same")
            for loss in losses:
                run.log({"loss": loss})
            run.finish()
    """
    assert wrapped(code, tmp_path).history("loss")["value"].to_list() == [0.5]


def test_environment_variables(tmp_path: Path):
    """W&B's variables stand for arguments that are not given."""
    variables = {"WANDB_PROJECT": "p", "WANDB_NAME": "n", "WANDB_RUN_ID": "i", "WANDB_TAGS": "a,b", "WANDB_NOTES": "x"}
    variables["WANDB_SAVE_CODE"] = "true"
    run = only_run(wrapped("import wandb; wandb.init().log({'a': 1})", tmp_path, **variables))
    assert (run.id, run.project, run.name, run.tags, run.facts["notes"]) == ("i", "p", "n", ["a", "b"], "x")
    assert run.files == ["train.py"]


def test_lightning(tmp_path: Path):
    """WandbLogger logs metrics over trainer/global_step, hyperparameters, and a run that ends finished."""
    needs("lightning")
    code = """
        import wandb
        from lightning.pytorch import Trainer
        from lightning.pytorch.demos.boring_classes import BoringModel
        from lightning.pytorch.loggers import WandbLogger

        class Model(BoringModel):
            def __init__(self):
                super().__init__()
                self.save_hyperparameters({"lr": 0.1})
            def training_step(self, batch, batch_idx):
                loss = self.step(batch)
                self.log("train/loss", loss)
                reported.append(loss.item())
                return loss

        reported = []
        logger = WandbLogger(project="walk")
        logger.watch(model := Model(), log="all", log_freq=2)
        Trainer(max_steps=4, logger=logger, log_every_n_steps=1, accelerator="cpu").fit(model)
        logger.experiment.summary.update({"best": 0.9, "reported": reported})
    """
    lake = wrapped(code, tmp_path)
    run, losses = only_run(lake), lake.history("train/loss")
    assert (losses["x"].to_list(), losses["value"].to_list()) == ([0, 1, 2, 3], run.summary["reported"])
    assert (run.config["lr"], run.summary["best"], run.state, run.project) == (0.1, 0.9, "finished", "walk")
    assert "gradients/layer.weight" in run.metrics


HF = """
    import torch
    from transformers import Trainer, TrainingArguments

    class Model(torch.nn.Linear):
        def forward(self, x, labels):
            return {"loss": ((super().forward(x) - labels) ** 2).mean()}

    data = [{"x": torch.ones(2), "labels": torch.ones(1)}] * 8
    arguments = TrainingArguments("out", max_steps=3, logging_steps=1, report_to="wandb", run_name="hf", use_cpu=True)
"""


def test_transformers(tmp_path: Path):
    """report_to="wandb" logs over train/global_step, its arguments and its run name."""
    needs("transformers")
    code = """
    trainer = Trainer(Model(2, 1), arguments, train_dataset=data)
    trainer.train()
    import wandb
    wandb.run.summary["reported"] = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    """
    lake = wrapped(HF + code, tmp_path)
    run, losses = only_run(lake), lake.history("train/loss")
    assert (losses["x"].to_list(), losses["value"].to_list()) == ([1, 2, 3], run.summary["reported"])
    assert (run.name, run.config["logging_steps"], run.state) == ("hf", 1, "finished")


def test_transformers_search(tmp_path: Path):
    """hyperparameter_search(backend="wandb") runs a sweep of ours: a run a trial, its learning rate locked."""
    needs("transformers")
    code = """
    trainer = Trainer(model_init=lambda: Model(2, 1), args=arguments, train_dataset=data, eval_dataset=data)
    space = lambda trial: {
        "method": "random", "metric": {"name": "objective", "goal": "minimize"},
        "parameters": {"learning_rate": {"distribution": "uniform", "min": 1e-4, "max": 1e-2}},
    }
    trainer.hyperparameter_search(backend="wandb", hp_space=space, n_trials=2, direction="minimize")
    """
    lake = wrapped(HF + code, tmp_path)
    runs = lake.runs(columns=["run_id", "config.learning_rate", "state"])
    (sweep_id,) = lake.sweeps
    assert sorted(runs["run_id"]) == [f"{sweep_id}-0", f"{sweep_id}-1"]
    assert (runs["config.learning_rate"].n_unique(), set(runs["state"])) == (2, {"finished"})
    assert lake.history("train/loss")["x"].to_list() == [1, 2, 3, 1, 2, 3]


def test_accelerate(tmp_path: Path):
    """log_with="wandb" logs config and metrics at their steps."""
    needs("accelerate")
    code = """
        from accelerate import Accelerator
        accelerator = Accelerator(cpu=True, log_with="wandb")
        accelerator.init_trackers("walk", config={"lr": 0.1})
        accelerator.log({"loss": 0.5}, step=10)
        accelerator.end_training()
    """
    lake = wrapped(code, tmp_path)
    assert lake.history("loss").select("step", "value").rows() == [(10, 0.5)]
    run = only_run(lake)
    assert (run.config, run.project, run.state) == ({"lr": 0.1}, "walk", "finished")


def test_keras(tmp_path: Path):
    """W&B's callbacks for Keras, ours under the same names."""
    needs("keras")
    code = """
        import keras, numpy as np, wandb
        from wandb.integration.keras import WandbMetricsLogger, WandbModelCheckpoint
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
        model.compile(loss="mse", optimizer="sgd")
        wandb.init(project="walk", config={"bs": 8})
        callbacks = [WandbMetricsLogger(), WandbModelCheckpoint("model.keras")]
        fit = model.fit(np.ones((8, 2)), np.zeros((8, 1)), epochs=2, verbose=0, callbacks=callbacks)
        wandb.run.summary["reported"] = fit.history["loss"]
        wandb.finish()
    """
    lake = wrapped(code, tmp_path)
    losses = lake.history("epoch/loss")
    assert (losses["x"].to_list(), losses["value"].to_list()) == ([0, 1], only_run(lake).summary["reported"])
    assert (only_run(lake).config, only_run(lake).state) == ({"bs": 8}, "finished")
    artifact = tl.Api(lake.dir).run(only_run(lake).id).logged_artifacts()[0]
    assert (artifact.type, [file.name for file in artifact.files()]) == ("model", ["model.keras"])


def test_xgboost_and_lightgbm(tmp_path: Path):
    """W&B's callbacks for boosted trees, ours under the same names."""
    needs("xgboost")
    needs("lightgbm")
    code = """
        import lightgbm, numpy as np, wandb, xgboost
        from wandb.integration.lightgbm import log_summary, wandb_callback
        from wandb.integration.xgboost import WandbCallback
        x, y = np.arange(80.0).reshape(40, 2), np.arange(40.0)
        with wandb.init(project="walk", id="xgb") as run:
            data, reported = xgboost.DMatrix(x, y), {}
            options = {"evals": [(data, "train")], "evals_result": reported}
            xgboost.train({}, data, 3, callbacks=[WandbCallback(log_model=True)], **options)
            run.summary["reported"] = reported["train"]["rmse"]
        with wandb.init(project="walk", id="lgb"):
            data = lightgbm.Dataset(x, y)
            params = {"min_data_in_leaf": 2, "metric": "l2"}
            log_summary(lightgbm.train(params, data, 3, [data], ["train"], callbacks=[wandb_callback()]))
    """
    lake = wrapped(code, tmp_path)
    assert lake.history("train-rmse")["step"].to_list() == lake.history("train_l2")["step"].to_list() == [0, 1, 2]
    xgb, lgb = lake.run("xgb"), lake.run("lgb")
    assert lake.history("train-rmse")["value"].to_list() == xgb.summary["reported"]
    assert lake.history("train_l2")["value"][-1] == lgb.summary["best_score"]["train"]["l2"]
    assert xgb.config["learner"]["generic_param"]["device"] == "cpu"
    assert (lgb.config["min_data_in_leaf"], xgb.state, lgb.state) == (2, "finished", "finished")
    assert tl.Api(lake.dir).run("walk/xgb").logged_artifacts()[0].name == "xgb_model:v0"


def test_lightning_in_spawned_processes(tmp_path: Path):
    """ddp_spawn: the main process of two logs, over trainer/global_step."""
    needs("lightning")
    code = """
        from lightning.pytorch import Trainer
        from lightning.pytorch.demos.boring_classes import BoringModel
        from lightning.pytorch.loggers import WandbLogger

        class Model(BoringModel):
            def training_step(self, batch, batch_idx):
                loss = self.step(batch)
                self.log("train/loss", loss)
                return loss

        if __name__ == "__main__":
            options = {"accelerator": "cpu", "devices": 2, "strategy": "ddp_spawn", "enable_progress_bar": False}
            logger = WandbLogger(project="walk")
            Trainer(max_steps=2, logger=logger, log_every_n_steps=1, **options).fit(Model())
    """
    lake = wrapped(code, tmp_path)
    assert lake.history("train/loss")["x"].to_list() == [0, 1]
    assert (only_run(lake).project, only_run(lake).state) == ("walk", "finished")


def test_stable_baselines(tmp_path: Path):
    """sync_tensorboard=True and W&B's callback: metrics with their global step, hyperparameters."""
    needs("stable_baselines3")
    code = """
        import wandb
        from stable_baselines3 import A2C
        from wandb.integration.sb3 import WandbCallback
        run = wandb.init(project="cartpole", sync_tensorboard=True, monitor_gym=True, save_code=True)
        model = A2C("MlpPolicy", "CartPole-v1", device="cpu", tensorboard_log=f"runs/{run.id}")
        model.learn(1000, log_interval=100, callback=WandbCallback(model_save_path="models"))
        run.finish()
    """
    lake = wrapped(code, tmp_path)
    run = only_run(lake)
    assert lake.history("global_step")["value"].max() == 1000
    assert ("train/policy_loss" in run.metrics, run.config["algo"], run.files) == (
        True,
        "A2C",
        ["model.zip", "train.py"],
    )
    assert run.state == "finished"


def test_ray_callback(tmp_path: Path):
    """Ray's own callback: a run a trial with its config, rows at training_iteration, checkpoints as artifacts."""
    needs("ray")
    code = """
        import os, tempfile
        from ray import tune
        from ray.air.integrations.wandb import WandbLoggerCallback

        def train(config):
            for i in range(3):
                if config["lr"] > 0.15 and i == 2:
                    raise ValueError("diverged")
                with tempfile.TemporaryDirectory() as folder:
                    open(os.path.join(folder, "model.txt"), "w").write("weights")
                    tune.report({"loss": config["lr"] / (i + 1)}, checkpoint=tune.Checkpoint.from_directory(folder))

        callback = WandbLoggerCallback(project="walk", group="g", log_config=True, upload_checkpoints=True)
        run_config = tune.RunConfig(callbacks=[callback], storage_path=os.path.abspath("results"))
        tune.Tuner(train, param_space={"lr": tune.grid_search([0.1, 0.2])}, run_config=run_config).fit()
    """
    lake = wrapped(code, tmp_path)
    runs = lake.runs(columns=["config.lr", "project", "group", "state"], order_by="config.lr").drop("run_id")
    assert runs.rows() == [(0.1, "walk", "g", "finished"), (0.2, "walk", "g", "finished")]  # as Ray ends them
    finished, failed = lake.runs(order_by="config.lr")["run_id"]
    steps = lake.history("loss", runs=[finished]).select("step", "value").rows()
    assert steps == [(1, 0.1), (2, 0.05), (3, pytest.approx(0.1 / 3))]
    assert lake.history("loss", runs=[failed])["step"].to_list() == [1, 2]
    assert "lr=0.1000" in lake.run(finished).config["trial_log_path"]
    artifact = tl.Api(lake.dir).run(finished).logged_artifacts()[0]
    assert (artifact.type, [file.name for file in artifact.files()]) == ("model", ["model.txt"])


def test_ray_setup(tmp_path: Path):
    """setup_wandb in a training function: its trial's id, config and rows; no key is asked for."""
    needs("ray")
    code = """
        import os
        from ray import tune
        from ray.air.integrations.wandb import setup_wandb

        def train(config):
            run = setup_wandb(config, project="walk", group="g")
            for i in range(2):
                run.log({"loss": config["lr"] / (i + 1)})
                tune.report({"loss": config["lr"]})
            run.finish()

        run_config = tune.RunConfig(storage_path=os.path.abspath("results"))
        results = tune.Tuner(train, param_space={"lr": tune.grid_search([0.1, 0.2])}, run_config=run_config).fit()
        print(*[result.error for result in results])
    """
    lake = wrapped(code, tmp_path)
    runs = lake.runs(columns=["config.lr", "project", "group", "state"], order_by="config.lr").drop("run_id")
    assert runs.rows() == [(0.1, "walk", "g", "finished"), (0.2, "walk", "g", "finished")]
    assert sorted(lake.history("loss").select("step", "value").rows()) == [(0, 0.1), (0, 0.2), (1, 0.05), (1, 0.1)]


def test_ultralytics(tmp_path: Path):
    """A YOLO of a few thousand weights: losses and scores over epoch, arguments, pictures, the best model."""
    needs("ultralytics")
    code = """
        import os, pathlib
        import numpy as np, yaml
        from PIL import Image
        del os.environ["PYTEST_CURRENT_TEST"]  # ultralytics logs nowhere under pytest
        from ultralytics import YOLO, settings

        settings.update({"wandb": True, "datasets_dir": str(pathlib.Path("data").resolve())})
        generator = np.random.default_rng(0)
        for part in ("train", "val"):
            for kind in ("images", "labels"):
                pathlib.Path("data", kind, part).mkdir(parents=True)
            for i in range(4):
                pixels = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(f"data/images/{part}/{i}.png")
                pathlib.Path(f"data/labels/{part}/{i}.txt").write_text("0 0.5 0.5 0.4 0.4")
        about = {"path": str(pathlib.Path("data").resolve()), "train": "images/train", "val": "images/val"}
        pathlib.Path("data.yaml").write_text(yaml.safe_dump(about | {"names": {0: "thing"}}))
        model = YOLO("yolov8n.yaml")
        options = {"imgsz": 32, "batch": 2, "workers": 0, "device": "cpu", "amp": False, "plots": True}
        model.train(data="data.yaml", epochs=2, project="walk", name="yolo", **options)
    """
    run = only_run(lake := wrapped(code, tmp_path, YOLO_CONFIG_DIR=str(tmp_path), YOLO_OFFLINE="true"))
    assert (run.project, run.name, run.state, run.config["epochs"], run.config["imgsz"]) == (
        "walk",
        "yolo",
        "finished",
        2,
        32,
    )
    assert lake.history("train/box_loss")["x"].to_list() == [1, 2]


def test_optuna_callback(tmp_path: Path):
    """WeightsAndBiasesCallback: a row a trial with its values, parameters in the config; or a run a trial."""
    needs("optuna_integration")
    code = """
        import optuna
        from optuna_integration.wandb import WeightsAndBiasesCallback

        def objective(trial):
            return trial.suggest_float("x", -1, 1) ** 2

        for several in (False, True):
            kwargs = {"project": "several" if several else "one"}
            callback = WeightsAndBiasesCallback(metric_name="loss", wandb_kwargs=kwargs, as_multirun=several)
            optuna.create_study().optimize(objective, n_trials=3, callbacks=[callback])
            import wandb
            wandb.finish()
    """
    lake = wrapped(code, tmp_path)
    one = lake.runs(project="one", columns=["run_id"])["run_id"]
    assert lake.history("loss", runs=list(one))["step"].to_list() == [0, 1, 2]
    several = lake.runs(project="several", columns=["config.x", "summary.loss", "state"]).drop("run_id").rows()
    assert [(x * x == loss, state) for x, loss, state in several] == [(True, "finished")] * 3


def test_a_missing_command_is_told(tmp_path: Path):
    """A command that is not there is an error of the system, not of the lake."""
    with pytest.raises(FileNotFoundError):
        launcher.wrap(["no-such-command"], lake=tmp_path / "lake")
