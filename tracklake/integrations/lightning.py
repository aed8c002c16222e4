"""A logger for Lightning's Trainer.

>>> from lightning.pytorch import Trainer
>>> from lightning.pytorch.demos.boring_classes import BoringModel
>>> from tracklake.integrations.lightning import TracklakeLogger
>>> logger = TracklakeLogger("walk", config={"depth": 3})
>>> trainer = Trainer(
...     max_steps=4, logger=logger, log_every_n_steps=1, enable_progress_bar=False, enable_checkpointing=False,
...     enable_model_summary=False, accelerator="cpu",
... )
>>> class Model(BoringModel):
...     def training_step(self, batch, batch_idx):
...         loss = self.step(batch)
...         self.log("train/loss", loss)
...         return loss
>>> trainer.fit(Model())
>>> logger.experiment.summary["best_val_accuracy"] = 0.9  # a run as `init` gives it
>>> logger.experiment.finish()
>>> tl.open().history("train/loss")["x"].to_list()  # over trainer/global_step
[0.0, 1.0, 2.0, 3.0]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.fabric.utilities.logger import _convert_params
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from tracklake.tracking import start
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from tracklake.tracking.run import Run

__all__ = ["TracklakeLogger", "WandbLogger"]  # the latter for `wandb.integration.lightning.fabric`
STEP = "trainer/global_step"
"""The metric over which all others are drawn."""


class TracklakeLogger(Logger):
    """Logs metrics over `trainer/global_step`, and hyperparameters into the config.

    The run is the current one, else it is started with the project and the other arguments of `tracklake.init`; only
    the process of rank 0 writes. It stays open after `fit`, since `test` may follow: it ends with the process,
    or by `logger.experiment.finish()`; an exception in the trainer makes it failed. `log_model=True` logs the best
    checkpoint as an artifact, "all" each one.
    """

    LOGGER_JOIN_CHAR = "-"

    def __init__(
        self,
        project: str | None = None,
        *,
        save_dir: str = ".",
        log_model: bool | str = False,
        prefix: str = "",
        **init: Any,
    ) -> None:
        super().__init__()
        self._init = {"project": project, **init}
        self._save_dir = save_dir
        self._log_model = log_model
        self._prefix = prefix
        self._run: Run | None = None
        self._checkpoints: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open run to this process; another one joins it by its id."""
        state = dict(self.__dict__)
        if self._run is not None:
            state["_init"] = {**self._init, "id": self._run.id, "resume": "allow"}
        return state | {"_run": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The run."""
        if self._run is None:
            self._run = open_runs.current or start.init(**self._init)
            self._run.define_metric(STEP)
            self._run.define_metric("*", step_metric=STEP, step_sync=True)
        return self._run

    @property
    def name(self) -> str | None:
        """The project."""
        return self._run.project if self._run else self._init["project"]

    @property
    def version(self) -> str | None:
        """The id of the run."""
        return self._run.id if self._run else self._init.get("id")

    @property
    def save_dir(self) -> str:
        """The folder below which checkpoints are written."""
        return self._save_dir

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row."""
        row = {f"{self._prefix}{'-' if self._prefix else ''}{name}": value for name, value in metrics.items()}
        self.experiment.log({**row, **({} if step is None else {STEP: step})})

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Put hyperparameters into the config."""
        self.experiment.config.update(_convert_params(params), allow_val_change=True)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Log each checkpoint, if all are to be."""
        if self._log_model == "all":
            self._log_checkpoints(checkpoint_callback)
        elif self._log_model:
            self._callback = checkpoint_callback

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Log the best checkpoint, and end the run if the trainer failed."""
        callback = getattr(self, "_callback", None)
        if callback is not None:
            self._log_checkpoints(callback)
        if status == "failed" and self._run is not None:
            self._run.finish(exit_code=1)

    @rank_zero_only
    def _log_checkpoints(self, callback: Any) -> None:
        for path in {callback.best_model_path, callback.last_model_path} - {"", *self._checkpoints}:
            aliases = ["best"] if path == callback.best_model_path else ["last"]
            self.experiment.log_model(path, name=f"model-{self.version}", aliases=aliases)
            self._checkpoints.add(path)
