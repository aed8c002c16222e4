"""A writer and a callback for Stable-Baselines3.

>>> from stable_baselines3 import A2C
>>> from stable_baselines3.common.logger import Logger
>>> from tracklake.integrations.sb3 import TracklakeWriter
>>> with tl.init("cartpole") as run:
...     model = A2C("MlpPolicy", "CartPole-v1", device="cpu")
...     model.set_logger(Logger(folder=None, output_formats=[TracklakeWriter()]))
...     _ = model.learn(1000, log_interval=100)
>>> tl.open().history("time/total_timesteps")["step"].to_list()  # steps are timesteps
[500, 1000]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from tracklake.tracking import start
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.tracking.run import Run


class TracklakeWriter(KVWriter):
    """Logs what Stable-Baselines3 logs at its timestep: one of the output formats of its Logger.

    The run is the current one, else it is started with the arguments of `tracklake.init`.
    """

    def __init__(self, project: str | None = None, **init: Any) -> None:
        self._run: Run = open_runs.current or start.init(project, **init)

    def write(self, key_values: Mapping[str, Any], key_excluded: Mapping[str, Any], step: int = 0) -> None:
        """Log a row; what is excluded for "tracklake" is left out."""
        row = {name: value for name, value in key_values.items() if "tracklake" not in (key_excluded.get(name) or ())}
        self._run.log(row, step=step, commit=True)

    def close(self) -> None:
        """Do nothing: the run ends with its `with` block, or the process."""


class WandbCallback(BaseCallback):
    """W&B's callback by its arguments: hyperparameters into the config, the model saved as a file of the run.

    Metrics come by `init(sync_tensorboard=True)`, as in W&B, or by TracklakeWriter.
    """

    def __init__(
        self,
        verbose: int = 0,
        model_save_path: str | None = None,
        model_save_freq: int = 0,
        gradient_save_freq: int = 0,
        log: str | None = "all",
    ) -> None:
        super().__init__(verbose)
        self._path = None if model_save_path is None else Path(model_save_path, "model.zip")
        self._every = model_save_freq
        self._gradients = gradient_save_freq, log

    def _init_callback(self) -> None:
        run = open_runs.current
        if run is None:
            return
        simple = {k: v for k, v in vars(self.model).items() if isinstance(v, bool | int | float | str)}
        run.config.setdefaults({"algo": type(self.model).__name__, **simple})
        every, log = self._gradients
        if every:
            run.watch(self.model.policy, log=log, log_freq=every)

    def _on_step(self) -> bool:
        if self._every and self._path is not None and self.n_calls % self._every == 0:
            self._save()
        return True

    def _on_training_end(self) -> None:
        if self._path is not None:
            self._save()

    def _save(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.model.save(self._path)
            if open_runs.current is not None:
                open_runs.current.save(self._path, policy="now")
