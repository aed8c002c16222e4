"""A SummaryWriter with the calls of torch's, and no event files; torch itself is not needed.

>>> from tracklake.integrations.pytorch import SummaryWriter
>>> with SummaryWriter("walk") as writer:
...     for step in range(3):
...         writer.add_scalar("loss/train", 1 / (step + 1), step)
...         writer.add_scalars("acc", {"train": 0.5, "val": 0.4}, step)
...     writer.add_hparams({"lr": 0.1}, {"hparam/acc": 0.4})
>>> lake = tl.open()
>>> lake.history("loss/train")["step"].to_list(), lake.runs(columns=["config.lr", "summary.acc.val"]).rows()[0][-2:]
([0, 1, 2], (0.1, 0.4))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tracklake.common.warnings import warn_once
from tracklake.schema.histogram import Histogram
from tracklake.tracking import start
from tracklake.tracking.artifacts.media.documents import Html
from tracklake.tracking.artifacts.media.image import Image
from tracklake.tracking.artifacts.media.sound import Audio, Video
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.tracking.run import Run


class SummaryWriter:
    """Logs at `global_step` what is added; a step below the last one is kept as well.

    The run is the current one, which is left open, else it is started in the project and ends with `close`.
    """

    def __init__(self, project: str | None = None, **init: Any) -> None:
        self._own = open_runs.current is None
        self.run: Run = open_runs.current or start.init(project, **init)

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Log a number."""
        self._log({tag: scalar_value}, global_step)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: int | None = None, *_: Any
    ) -> None:
        """Log several numbers as <main_tag>.<tag>."""
        self._log({main_tag: dict(tag_scalar_dict)}, global_step)

    def add_histogram(self, tag: str, values: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Log the histogram of an array or tensor."""
        self._log({tag: Histogram(values.detach().cpu().numpy() if hasattr(values, "detach") else values)}, global_step)

    def add_image(
        self, tag: str, img_tensor: Any, global_step: int | None = None, *_: Any, dataformats: str = "CHW", **__: Any
    ) -> None:
        """Log a picture, channels first unless `dataformats` says otherwise."""
        self._log({tag: Image(_channels_last(img_tensor, dataformats))}, global_step)

    def add_figure(self, tag: str, figure: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Log a matplotlib figure, or several."""
        figures = figure if isinstance(figure, list) else [figure]
        self._log({tag: [Image(one) for one in figures] if len(figures) > 1 else Image(figures[0])}, global_step)

    def add_video(self, tag: str, vid_tensor: Any, global_step: int | None = None, fps: int = 4, *_: Any) -> None:
        """Log films, an array (batch, time, channels, height, width)."""
        self._log({tag: Video(vid_tensor, fps=fps)}, global_step)

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: int | None = None, sample_rate: int = 44100, *_: Any
    ) -> None:
        """Log a sound, an array of samples from -1 to 1."""
        samples = snd_tensor.reshape(-1) if hasattr(snd_tensor, "reshape") else snd_tensor
        self._log({tag: Audio(samples, sample_rate=sample_rate)}, global_step)

    def add_text(self, tag: str, text_string: str, global_step: int | None = None, *_: Any) -> None:
        """Log a text."""
        self._log({tag: text_string}, global_step)

    def add_html(self, tag: str, text: str, global_step: int | None = None) -> None:
        """Log a page; torch's writer has no such call."""
        self._log({tag: Html(text, data_is_not_path=True)}, global_step)

    def add_hparams(self, hparam_dict: Mapping[str, Any], metric_dict: Mapping[str, Any], *_: Any, **__: Any) -> None:
        """Put hyperparameters into the config and their metrics into the summary."""
        self.run.config.update(dict(hparam_dict), allow_val_change=True)
        self.run.summary.update(dict(metric_dict))

    def add_graph(self, *_: Any, **__: Any) -> None:
        """Do nothing: graphs of models are not drawn."""
        warn_once("add_graph", "tracklake: add_graph means nothing: graphs of models are not drawn")

    add_embedding = add_mesh = add_graph

    def flush(self) -> None:
        """Do nothing: what was added is safe."""

    def close(self) -> None:
        """End the run, if the writer started it."""
        if self._own:
            self.run.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _log(self, row: Mapping[str, Any], step: int | None) -> None:
        self.run.log(row, step=step)


def _channels_last(picture: Any, dataformats: str) -> Any:
    import numpy as np

    array = np.asarray(picture.detach().cpu() if hasattr(picture, "detach") else picture)
    return array.transpose([dataformats.index(axis) for axis in "HWC" if axis in dataformats])
