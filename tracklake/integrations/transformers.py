"""A callback for the Trainer of transformers.

>>> import torch
>>> from transformers import Trainer, TrainingArguments
>>> from tracklake.integrations.transformers import TracklakeCallback
>>> class Model(torch.nn.Linear):
...     def forward(self, x, labels):
...         return {"loss": ((super().forward(x) - labels) ** 2).mean()}
>>> data = [{"x": torch.ones(2), "labels": torch.ones(1)}] * 8
>>> arguments = TrainingArguments("out", max_steps=3, logging_steps=1, report_to=[], disable_tqdm=True, use_cpu=True)
>>> trainer = Trainer(Model(2, 1), arguments, train_dataset=data, callbacks=[TracklakeCallback("walk")])
>>> trainer.remove_callback(next(c for c in trainer.callback_handler.callbacks if "Printer" in type(c).__name__))
>>> _ = trainer.train()
>>> tl.run.finish()
>>> tl.open().history("train/loss")["x"].to_list()  # over train/global_step
[1.0, 2.0, 3.0]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from tracklake.tracking import start
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from tracklake.tracking.run import Run

STEP = "train/global_step"
SINGLE = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos")
"""What is reported once, at the end: entries of the summary, no metrics."""


class TracklakeCallback(TrainerCallback):
    """Logs what the Trainer reports as train/..., eval/... and test/... over train/global_step, and its arguments.

    Pass it as `callbacks=[TracklakeCallback(project)]`; `report_to` is for libraries that transformers knows. The run
    is the current one, else it is started with the arguments of `tracklake.init`; it stays open after `train`, since
    `evaluate` may follow, and ends with the process or by `tracklake.finish()`. Only the first process writes.
    """

    def __init__(self, project: str | None = None, **init: Any) -> None:
        self._init = {"project": project, **init}
        self._run: Run | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer's signature
        """Take the current run, or start one, and put the arguments and the model's config into its config."""
        if not state.is_world_process_zero:
            return
        run = self._begin()
        config = args.to_sanitized_dict() | ({"model": model.config.to_dict()} if hasattr(model, "config") else {})
        run.config.update(config, allow_val_change=True)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer's signature
        """Log a row, and what is reported once into the summary."""
        if not state.is_world_process_zero:
            return
        run = self._begin()
        row = {_name(key): value for key, value in (logs or {}).items() if key not in SINGLE}
        run.summary.update({f"train/{key}": value for key, value in (logs or {}).items() if key in SINGLE})
        if row:
            run.log({**row, STEP: state.global_step})

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer's signature
        """Put the metrics of a prediction into the summary."""
        if state.is_world_process_zero:
            self._begin().summary.update({_name(key): value for key, value in metrics.items()})

    def _begin(self) -> Run:
        current: Run | None = open_runs.current
        if current is not None and current is self._run:
            return current
        run = self._run = start.init(**self._init) if current is None else current
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        return run


def _name(key: str) -> str:
    """Return the metric of a name of the Trainer: eval_loss is eval/loss, loss is train/loss."""
    for prefix in ("eval", "test"):
        if key.startswith(f"{prefix}_"):
            return f"{prefix}/{key.removeprefix(f'{prefix}_')}"
    return f"train/{key}"
