"""tracklake: a columnar analytics layer over Parquet history, for everyone who compares machine-learning runs.

Training code logs (`init`, `log`, `define_metric`); a lake answers (`open`): summaries, histories, best rows of all
runs as DataFrames. Offline, embedded, no server, no account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake._version import VERSION as _VERSION
from tracklake.common import late_modules as _late_modules
from tracklake.errors import TracklakeError
from tracklake.tracking import trial as _trial
from tracklake.tracking.open_runs import open_runs as _open_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.tracking.run import Definition, Run
    from tracklake.tracking.run_config import Config
    from tracklake.tracking.run_mappings import Summary

    run: Run | None
    config: Config
    summary: Summary

    # what `__getattr__` gives: loaded when it is first used
    from tracklake.integrations.wandb_api.api import Api
    from tracklake.integrations.wandb_standin.offline import AlertLevel
    from tracklake.lake.lake import Lake
    from tracklake.lake.opening import open  # noqa: A004 - tl.open is the public name
    from tracklake.schema.histogram import Histogram
    from tracklake.sweeping.launching.agent import agent
    from tracklake.sweeping.launching.create import sweep
    from tracklake.tracking.artifacts.artifact import Artifact
    from tracklake.tracking.artifacts.media.charts import plot_table
    from tracklake.tracking.artifacts.media.documents import Html, Molecule, Object3D, Plotly
    from tracklake.tracking.artifacts.media.image import Image
    from tracklake.tracking.artifacts.media.sound import Audio, Video
    from tracklake.tracking.artifacts.media.tables import Table
    from tracklake.tracking.settings import Settings
    from tracklake.tracking.start import init

    alert: Any
    log_artifact: Any
    log_model: Any
    restore: Any
    save: Any
    unwatch: Any
    use_artifact: Any
    use_model: Any
    watch: Any

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "Audio",
    "Histogram",
    "Html",
    "Image",
    "Lake",
    "Molecule",
    "Object3D",
    "Plotly",
    "Run",
    "Settings",
    "Table",
    "TracklakeError",
    "Video",
    "agent",
    "alert",
    "config",
    "define_metric",
    "finish",
    "init",
    "log",
    "log_artifact",
    "log_model",
    "login",
    "open",
    "plot_table",
    "restore",
    "run",
    "save",
    "summary",
    "sweep",
    "unwatch",
    "use_artifact",
    "use_model",
    "watch",
]
__version__ = _VERSION
_LENT = frozenset(
    ("analysis", "display", "engines", "importers", "lake", "plots", "query", "sql", "storage", "sweeping", "tracking")
)
"""Packages that lend their modules: `from tracklake import display` is how our own modules name them."""


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:  # noqa: FBT001 - as W&B
    """Log a row of the current run; see `Run.log`.

    >>> with tl.init("walk", id="w1") as run:
    ...     log({"loss": 0.5, "val": {"acc": 0.9}})
    >>> run.summary["loss"], run.summary["val.acc"]
    (0.5, 0.9)
    """
    _current().log(data, step=step, commit=commit)


def define_metric(name: str, *args: Any, **kwargs: Any) -> Definition:
    """Define a metric of the current run; see `Run.define_metric`.

    >>> with tl.init("walk", id="w1") as run:
    ...     define_metric("loss", summary="min,mean").name
    ...     log({"loss": 0.5}), log({"loss": 1.0})
    'loss'
    (None, None)
    >>> run.summary["loss"]
    {'min': 0.5, 'mean': 0.75}
    """
    return _current().define_metric(name, *args, **kwargs)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:  # noqa: FBT001 - as W&B
    """Finish the current run, if there is one; see `Run.finish`.

    >>> _ = tl.init("walk", id="w1")
    >>> finish(exit_code=1)
    >>> tl.open("lake").run("w1").state
    'failed'
    """
    if _open_runs.current is not None:
        _open_runs.current.finish(exit_code=exit_code, quiet=quiet)


def login(*_: object, **__: object) -> bool:
    """Do nothing and return True: there is no account. Here for scripts written for W&B.

    >>> login(key="unused")
    True
    """
    return True


class _BeforeInit:
    """The config and the summary before there is a run: any use says so, a mere look at the module does not."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_current(), name)

    def __getitem__(self, key: str) -> Any:
        _current()

    def __setitem__(self, key: str, value: object) -> None:
        _current()


def _current() -> Run:
    current: Run | None = _open_runs.current
    if current is None:
        msg = "there is no current run: call tracklake.init() first"
        raise TracklakeError(msg)
    return current


def _begin_trial(run: Run, trial: _trial.Trial) -> None:
    """Take back the mark of an attempt before, and attach early stopping; only then is what sweeps need loaded."""
    from tracklake.sweeping.launching import early_stopping
    from tracklake.tracking.run_conveniences import PREEMPTING

    if trial.attempt:
        run.note(PREEMPTING, value=False)
    early_stopping.attach(run, trial)


_trial.current.on_begin = _begin_trial


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Load a part when it is first used: a reader needs nothing of the writing side, a training script no reader."""
    if name == "run":
        return _open_runs.current
    if name in ("config", "summary"):
        return _BeforeInit() if _open_runs.current is None else getattr(_current(), name)
    if name in _LENT:
        return _late_modules.of(__name__)(name)
    if name in ("Lake", "open"):
        return getattr(_late_modules.load("tracklake.lake.opening"), name)
    names = _late_modules.load("tracklake.integrations.wandb_standin.names")
    return names.notebook() if name == "load_ipython_extension" else names.resolve(name)
