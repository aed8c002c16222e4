"""A tracker for Accelerate.

>>> from accelerate import Accelerator
>>> from tracklake.integrations.accelerate import TracklakeTracker
>>> accelerator = Accelerator(cpu=True, log_with=TracklakeTracker("walk"))
>>> accelerator.init_trackers("walk", config={"lr": 0.1})
>>> accelerator.log({"loss": 0.5}, step=10)
>>> accelerator.get_tracker("tracklake", unwrap=True).id == tl.run.id
True
>>> accelerator.end_training()
>>> tl.open().runs(columns=["config.lr", "summary.loss", "state"]).select("config.lr", "summary.loss", "state").rows()
[(0.1, 0.5, 'finished')]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelerate.tracking import GeneralTracker, on_main_process

from tracklake.tracking import start
from tracklake.tracking.artifacts.media.image import Image
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.tracking.run import Run


class TracklakeTracker(GeneralTracker):
    """Logs what `accelerator.log` gets; pass it as `log_with`. Only the main process writes.

    The run is the current one, else it is started with the arguments of `tracklake.init`; `end_training` ends it.
    """

    name = "tracklake"
    requires_logging_directory = False
    main_process_only = True

    @on_main_process
    def __init__(self, project: str | None = None, **init: Any) -> None:
        super().__init__()
        self.run_name = project
        self._init = {"project": project, **init}
        self._run: Run = open_runs.current or start.init(**self._init)

    @on_main_process
    def start(self) -> None:
        """Do nothing: the run began with the tracker."""

    @property
    def tracker(self) -> Run:
        """The run."""
        return self._run

    @on_main_process
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Put the values into the config."""
        self._run.config.update(dict(values), allow_val_change=True)

    @on_main_process
    def log(self, values: Mapping[str, Any], step: int | None = None, **_: Any) -> None:
        """Log a row."""
        self._run.log(values, step=step)

    @on_main_process
    def log_images(self, values: Mapping[str, Any], step: int | None = None, **_: Any) -> None:
        """Log lists of pictures."""
        self._run.log({key: [Image(image) for image in images] for key, images in values.items()}, step=step)

    @on_main_process
    def finish(self) -> None:
        """End the run."""
        self._run.finish()
