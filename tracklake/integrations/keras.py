"""Callbacks for Keras, with any backend.

>>> import keras, numpy as np
>>> from tracklake.integrations.keras import TracklakeCallback
>>> model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
>>> model.compile(loss="mse", optimizer="sgd")
>>> x, y = np.zeros((8, 2)), np.zeros((8, 1))
>>> with tl.init("walk") as run:
...     _ = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[TracklakeCallback()])
>>> tl.open().history("val_loss")["step"].to_list()
[0, 1]
>>> run.summary["best_epoch"]
0
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras.callbacks import Callback, ModelCheckpoint

from tracklake.tracking import start
from tracklake.tracking.artifacts.media.tables import Table
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.tracking.run import Run


def _run_of(init: Mapping[str, Any]) -> Run:
    return open_runs.current or start.init(**init)


def _numbers(logs: Mapping[str, Any] | None) -> dict[str, float]:
    return {name: float(value) for name, value in (logs or {}).items()}


class TracklakeCallback(Callback):
    """Logs what `fit` reports of each epoch, and keeps the best epoch in the summary.

    The metrics have Keras' names (loss, val_loss, ...) with `epoch` beside them. `monitor` is the metric whose best
    value and epoch go into the summary as best_<monitor> and best_epoch; `mode` is "min", "max" or "auto": max for
    names with acc, auc or f1 in them. Without a current run one is started with the arguments of `tracklake.init`.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", **init: Any) -> None:
        super().__init__()
        self._monitor = monitor
        rises = mode == "max" or (mode == "auto" and any(word in monitor for word in ("acc", "auc", "f1")))
        self._sign = 1.0 if rises else -1.0
        self._best = -math.inf
        self._init = init

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        """Take the current run, or start one, and note how long the training is to be."""
        run = self._run = _run_of(self._init)
        params = {name: value for name, value in (self.params or {}).items() if name in ("epochs", "steps")}
        run.config.update({"fit": params}, allow_val_change=True)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of an epoch."""
        row = _numbers(logs)
        self._run.log({"epoch": epoch, **row})
        value = row.get(self._monitor, math.nan)
        if self._sign * value > self._best:
            self._best = self._sign * value
            self._run.summary.update({f"best_{self._monitor}": value, "best_epoch": epoch})


class WandbCallback(TracklakeCallback):
    """W&B's older callback by its arguments; those for pictures, graphs and gradients mean nothing.

    `save_model=True` logs the model as an artifact when the training ends.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", save_model: bool = False, **_: Any) -> None:  # noqa: FBT001, FBT002 - as W&B
        super().__init__(monitor, mode)
        self._save_model = save_model

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        """Log the model, if that is wanted."""
        if self._save_model:
            path = Path(self._run.dir, "model.keras")
            self.model.save(path)
            self._run.log_model(path, name=f"model-{self._run.id}")


class WandbMetricsLogger(Callback):
    """W&B's callback of metrics: `epoch/...` over epoch/epoch, or with `log_freq` `batch/...` over batch/batch_step."""

    def __init__(self, log_freq: str | int = "epoch", initial_global_step: int = 0) -> None:
        super().__init__()
        self._run = _run_of({})
        self._every = {"epoch": 0, "batch": 1}.get(log_freq, log_freq) if isinstance(log_freq, str) else log_freq
        self._step = initial_global_step
        self._run.define_metric("epoch/epoch")
        self._run.define_metric("epoch/*", step_metric="epoch/epoch")
        if self._every:
            self._run.define_metric("batch/batch_step")
            self._run.define_metric("batch/*", step_metric="batch/batch_step")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of an epoch, and the learning rate."""
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        row = {f"epoch/{name}": value for name, value in _numbers(logs).items()}
        if rate is not None and not callable(rate):
            row["epoch/learning_rate"] = float(rate)
        self._run.log({**row, "epoch/epoch": epoch})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of a batch, every so many."""
        if self._every and batch % int(self._every) == 0:
            row = {f"batch/{name}": value for name, value in _numbers(logs).items()}
            self._run.log({**row, "batch/batch_step": self._step})
            self._step += int(self._every)


class WandbModelCheckpoint(ModelCheckpoint):
    """Keras' ModelCheckpoint, whose files are logged as versions of an artifact of type "model"."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save as Keras does, and log what was saved."""
        super().on_train_batch_end(batch, logs)
        if self.save_freq != "epoch":
            self._log_saved()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save as Keras does, and log what was saved."""
        super().on_epoch_end(epoch, logs)
        if self.save_freq == "epoch":
            self._log_saved()

    def _log_saved(self) -> None:
        pattern = Path(self.filepath)
        saved = [pattern] if pattern.exists() else sorted(pattern.parent.glob(f"*{pattern.suffix}"))
        if saved:
            run = _run_of({})
            newest = max(saved, key=lambda path: path.stat().st_mtime)
            run.log_model(newest, name=f"run-{run.id}-model", aliases=["latest"])


class WandbEvalCallback(Callback):
    """W&B's callback of predictions: subclasses fill tables by `add_ground_truth` and `add_model_predictions`."""

    def __init__(self, data_table_columns: list[str], pred_table_columns: list[str]) -> None:
        super().__init__()
        self.data_table = Table(columns=data_table_columns)
        self.pred_table = Table(columns=pred_table_columns)
        self._pred_columns = pred_table_columns

    def add_ground_truth(self, logs: Any = None) -> None:
        """Fill `data_table`."""
        raise NotImplementedError

    def add_model_predictions(self, epoch: int, logs: Any = None) -> None:
        """Fill `pred_table`."""
        raise NotImplementedError

    def on_train_begin(self, logs: Any = None) -> None:
        """Fill and log the table of the data."""
        self.add_ground_truth(logs)
        self.log_data_table()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Fill and log the table of predictions of an epoch."""
        self.pred_table = Table(columns=self._pred_columns)
        self.add_model_predictions(epoch, logs)
        self.log_pred_table()

    @property
    def data_table_ref(self) -> Table:
        """The table of the data."""
        return self.data_table

    def log_data_table(self, name: str = "val", **_: Any) -> None:
        """Log the table of the data."""
        _run_of({}).summary[name] = self.data_table

    def log_pred_table(self, table_name: str = "eval_data", **_: Any) -> None:
        """Log the table of predictions."""
        _run_of({}).log({table_name: self.pred_table})
