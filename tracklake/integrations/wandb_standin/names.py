"""Every public name of wandb 0.31, and what it does here."""

from __future__ import annotations

import importlib
from typing import Any, Literal, NamedTuple

from tracklake.errors import TracklakeError
from tracklake.integrations.wandb_standin import current_run, offline
from tracklake.tracking.open_runs import open_runs

How = Literal["same", "better", "stored only", "ignored", "refused"]
"""As W&B; as W&B and more; kept but not drawn; accepted with one warning; an error that names the way out."""


class Name(NamedTuple):
    """One name of the module `wandb`: what it does, where it is, and what is to be said of it."""

    how: How
    target: str
    """`module:name` of what it is; `run.name` for a method of the current run; `module` alone for a module."""
    note: str = ""


_MEDIA = "tracklake.tracking.artifacts.media"
_OFFLINE = "tracklake.integrations.wandb_standin.offline"

MODULE = {
    "AlertLevel": Name("same", f"{_OFFLINE}:AlertLevel"),
    "Api": Name("better", "tracklake.integrations.wandb_api.api:Api", "complete histories, no sampling"),
    "Artifact": Name("same", "tracklake.tracking.artifacts.artifact:Artifact", "stored by content in the lake"),
    "ArtifactTTL": Name("ignored", f"{_OFFLINE}:ArtifactTTL", "artifacts do not expire"),
    "Audio": Name("same", f"{_MEDIA}.sound:Audio"),
    "Classes": Name("stored only", f"{_MEDIA}.documents:Classes"),
    "CommError": Name("same", "tracklake.errors:TracklakeError"),
    "Config": Name("same", "tracklake.tracking.run_config:Config"),
    "Error": Name("same", "tracklake.errors:TracklakeError"),
    "EvalTable": Name("stored only", f"{_MEDIA}.tables:Table", "a Table"),
    "Graph": Name("stored only", f"{_MEDIA}.documents:Graph"),
    "Histogram": Name("better", "tracklake.schema.histogram:Histogram", "what is not finite is counted apart"),
    "Html": Name("same", f"{_MEDIA}.documents:Html"),
    "Image": Name("same", f"{_MEDIA}.image:Image"),
    "JoinedTable": Name("refused", "", "join the frames of two tables: table.get_dataframe().merge(...)"),
    "Molecule": Name("stored only", f"{_MEDIA}.documents:Molecule"),
    "Object3D": Name("stored only", f"{_MEDIA}.documents:Object3D"),
    "Plotly": Name("same", f"{_MEDIA}.documents:Plotly"),
    "Run": Name("better", "tracklake.tracking.run:Run", "see the table of its names"),
    "Settings": Name("same", "tracklake.tracking.settings:Settings", "those that mean nothing here are told once"),
    "Table": Name("same", f"{_MEDIA}.tables:Table", "types of columns are not checked"),
    "UsageError": Name("same", "tracklake.errors:TracklakeError"),
    "Video": Name("same", f"{_MEDIA}.sound:Video", "arrays are stored as GIF"),
    "agent": Name("better", "tracklake.sweeping.launching.agent:agent", "the lake is the only store"),
    "agents": Name("same", "module agents"),
    "alert": Name("same", "run.alert", "a warning, and a note in the run's metadata"),
    "analytics": Name("ignored", "module analytics", "nothing is sent anywhere"),
    "annotations": Name("ignored", "module annotations"),
    "api": Name("ignored", "module api", "there is no account; `api_key` is None"),
    "apis": Name("same", "module apis"),
    "attach": Name("same", f"{_OFFLINE}:attach"),
    "box3d": Name("stored only", f"{_MEDIA}.documents:box3d"),
    "catboost": Name("refused", "module catboost", "log what catboost's get_evals_result() gives"),
    "config": Name("same", "current config"),
    "controller": Name("refused", "", "tracklake.agent chooses trials itself, from the lake"),
    "data_types": Name("same", "module data_types"),
    "define_metric": Name("better", "run.define_metric", "any time, for earlier points as well"),
    "ensure_configured": Name("same", f"{_OFFLINE}:quiet"),
    "env": Name("same", "module env"),
    "errors": Name("same", "module errors"),
    "finish": Name("same", "tracklake:finish"),
    "gym": Name("ignored", "module gym", "log the videos of an environment as wandb.Video"),
    "helper": Name("same", "module helper"),
    "init": Name("better", "tracklake.tracking.start:init", "see README; under the wrapper exactly as W&B's"),
    "integration": Name("same", "module integration"),
    "join": Name("same", "tracklake:finish", "W&B's older name of finish"),
    "jupyter": Name("ignored", "module jupyter"),
    "keras": Name("same", "module keras", "callbacks of our own, for any backend"),
    "lightgbm": Name("same", "module lightgbm"),
    "link_model": Name("same", "run.link_model"),
    "log": Name("better", "run.log", "late rows are kept; the row is safe when log returns"),
    "log_artifact": Name("same", "run.log_artifact"),
    "log_model": Name("same", "run.log_model"),
    "login": Name("same", "tracklake:login", "does nothing"),
    "mark_preempting": Name("same", "run.mark_preempting", "another agent of the sweep goes on with the run"),
    "patched": Name("ignored", "", "an empty mapping"),
    "pin_config_keys": Name("ignored", f"{_OFFLINE}:quiet"),
    "plot": Name("stored only", "module plot", "tables with what is drawn how"),
    "plot_table": Name("stored only", f"{_MEDIA}.charts:plot_table"),
    "profiler": Name("refused", "module profiler", "torch.profiler writes traces: run.save them"),
    "proto": Name("ignored", "module proto"),
    "require": Name("same", f"{_OFFLINE}:quiet", "nothing is to be required"),
    "restore": Name("same", "run.restore", "files of this run; others: lake.run(id).file(name)"),
    "run": Name("same", "current run"),
    "sacred": Name("refused", "module sacred", "log in the capture functions: tracklake.log"),
    "sagemaker_auth": Name("ignored", f"{_OFFLINE}:quiet"),
    "save": Name("same", "run.save", "by content, now and once more at the end"),
    "sdk": Name("same", "module sdk"),
    "setup": Name("same", f"{_OFFLINE}:quiet", "nothing is to be set up"),
    "sklearn": Name("stored only", "module sklearn", "charts and scores of estimators"),
    "summary": Name("better", "current summary"),
    "sweep": Name("better", "tracklake.sweeping.launching.create:sweep", "a method is chosen where none is named"),
    "teardown": Name("same", f"{_OFFLINE}:quiet", "nothing is to be torn down"),
    "tensorboard": Name("same", "module tensorboard", "patch() is init(sync_tensorboard=True)"),
    "tensorflow": Name("refused", "module tensorflow", "log in a Keras callback, or the loop"),
    "termerror": Name("same", f"{_OFFLINE}:termerror"),
    "termlog": Name("same", f"{_OFFLINE}:termlog"),
    "termsetup": Name("ignored", f"{_OFFLINE}:quiet"),
    "termwarn": Name("same", f"{_OFFLINE}:termwarn"),
    "trigger": Name("ignored", "module trigger"),
    "unwatch": Name("same", "run.unwatch"),
    "use_artifact": Name("same", "run.use_artifact"),
    "use_model": Name("same", "run.use_model"),
    "util": Name("same", "module util"),
    "visualize": Name("stored only", f"{_MEDIA}.charts:visualize"),
    "wandb": Name("same", "module ", "the module itself"),
    "wandb_agent": Name("same", "module agents"),
    "wandb_lib": Name("same", "module sdk.lib"),
    "wandb_sdk": Name("same", "module sdk"),
    "wandb_torch": Name("ignored", "module wandb_torch", "watch is a method of the run"),
    "watch": Name("same", "run.watch", "histograms of gradients and parameters; no graph"),
    "xgboost": Name("same", "module xgboost"),
}
"""The names of the module `wandb`."""


def resolve(name: str) -> Any:
    """Return what a name of the module is. Raises AttributeError for one that wandb 0.31 has not either.

    >>> resolve("Image").__name__, resolve("watch").__name__
    ('Image', 'watch')
    >>> resolve("controller")()
    Traceback (most recent call last):
    tracklake.errors.TracklakeError: wandb.controller needs what tracklake does not have; tracklake.agent chooses ...
    """
    if name not in MODULE:
        raise AttributeError(f"module 'tracklake' has no attribute {name!r}")
    how, target, note = MODULE[name]
    if target.startswith("module "):
        modules = importlib.import_module("tracklake.integrations.wandb_standin.modules")
        return modules.module(target.removeprefix("module ").strip())
    if target.startswith("run."):
        return current_run.function(target.removeprefix("run."))
    if target.startswith("current "):
        run = open_runs.current
        return run if name == "run" else getattr(current_run.current(), name)
    if how == "refused":
        return offline.refused(name, note)
    if how == "ignored" and target == f"{_OFFLINE}:quiet":
        return offline.ignored(name)
    place, _, attribute = target.partition(":")
    return getattr(importlib.import_module(place), attribute) if target else {}


RUN: dict[str, tuple[How, str]] = {
    "alert": ("same", "a warning, and a note in the run's metadata"),
    "config": ("same", ""),
    "config_static": ("same", ""),
    "define_metric": ("better", "any time, for earlier points as well"),
    "dir": ("same", "its files are stored by content when the run ends"),
    "disabled": ("same", ""),
    "display": ("ignored", "`lake.ui()` shows runs"),
    "entity": ("same", "what was given; there are no accounts"),
    "finish": ("same", ""),
    "finish_artifact": ("same", "as log_artifact"),
    "group": ("same", ""),
    "id": ("same", ""),
    "job_type": ("same", ""),
    "link_artifact": ("same", "a version of another name"),
    "link_model": ("same", ""),
    "log": ("better", "late rows are kept; the row is safe when log returns"),
    "log_artifact": ("same", ""),
    "log_code": ("same", ""),
    "log_model": ("same", ""),
    "mark_preempting": ("same", ""),
    "name": ("same", ""),
    "notes": ("same", ""),
    "offline": ("same", "always True"),
    "path": ("same", ""),
    "pin_config_keys": ("ignored", ""),
    "project": ("same", ""),
    "project_url": ("same", "where the lake lies"),
    "restore": ("same", ""),
    "resumed": ("same", ""),
    "save": ("same", ""),
    "settings": ("same", ""),
    "start_time": ("same", ""),
    "starting_step": ("same", ""),
    "status": ("same", "nothing waits to be uploaded"),
    "step": ("same", ""),
    "sweep_id": ("same", ""),
    "sweep_url": ("same", "where the lake lies"),
    "sync_dir": ("same", "the folder of the lake"),
    "tags": ("same", ""),
    "to_html": ("same", "a link to the lake"),
    "unwatch": ("same", ""),
    "upsert_artifact": ("same", "as log_artifact"),
    "url": ("same", ""),
    "use_artifact": ("same", ""),
    "use_model": ("same", ""),
    "watch": ("same", "no graph"),
    "write_logs": ("ignored", "the console is not captured"),
}
"""The names of W&B's Run, and what they do here."""


API = (
    "artifact",
    "artifact_exists",
    "artifact_versions",
    "artifacts",
    "default_entity",
    "flush",
    "project",
    "projects",
    "run",
    "runs",
    "sweep",
    "viewer",
)
"""The names of W&B's Api that are here."""
API_RUN = (
    "beta_scan_history",
    "config",
    "console_logs",
    "delete",
    "display",
    "download_history_exports",
    "entity",
    "file",
    "files",
    "history",
    "id",
    "json_config",
    "lastHistoryStep",
    "load",
    "load_full_data",
    "logged_artifacts",
    "log_artifact",
    "metadata",
    "name",
    "path",
    "rawconfig",
    "save",
    "scan_history",
    "state",
    "stop",
    "storage_id",
    "summary",
    "summary_metrics",
    "sweep",
    "sweep_name",
    "system_metrics",
    "tags",
    "to_html",
    "update",
    "update_state",
    "upload_file",
    "url",
    "use_artifact",
    "used_artifacts",
    "username",
    "wait_until_finished",
)
"""The names of a run of W&B's Api that are here, refused ones among them."""


def notebook() -> Any:
    """Return what `%load_ext tracklake` calls: it makes `import wandb` give the stand-in.

    >>> notebook().__name__
    'load_ipython_extension'
    """
    return importlib.import_module("tracklake.integrations.wandb_standin.launcher").load_ipython_extension


def check(names: dict[str, Name]) -> None:
    """Raise TracklakeError where a name leads nowhere; the test of the page calls it.

    >>> check({"Image": MODULE["Image"]})
    """
    for name, entry in names.items():
        if not entry.target.startswith("current ") and resolve(name) is None:
            raise TracklakeError(f"{name} leads nowhere")
