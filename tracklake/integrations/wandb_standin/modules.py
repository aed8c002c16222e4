"""The module tree of wandb, each module made of names that are resolved when they are looked at."""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import sys
import types
from typing import Any

from tracklake.integrations.wandb_standin import names, shims

VERSION = "0.31.0"
"""The version of wandb whose names these are."""
_RUN = "tracklake.tracking.run:Run"
_SHIMS = "tracklake.integrations.wandb_standin.shims"
_ERRORS = "tracklake.errors"
_KERAS = "tracklake.integrations.keras"
_MEDIA_NAMES = {
    name: names.MODULE[name].target
    for name in ("Audio", "Classes", "Graph", "Histogram", "Html", "Image", "Molecule", "Object3D", "Plotly", "Table")
} | {"Video": names.MODULE["Video"].target, "WBValue": "tracklake.tracking.artifacts.media.media:Media"}
_KERAS_NAMES = {
    name: f"{_KERAS}:{name}"
    for name in ("WandbCallback", "WandbEvalCallback", "WandbMetricsLogger", "WandbModelCheckpoint")
}
_CHARTS = ("bar", "confusion_matrix", "histogram", "line", "line_series", "pr_curve", "roc_curve", "scatter")
_API = {
    "Api": "tracklake.integrations.wandb_api.api:Api",
    "Run": "tracklake.integrations.wandb_api.run:ApiRun",
    "Runs": "tracklake.integrations.wandb_api.api:ApiRuns",
    "Sweep": "tracklake.integrations.wandb_api.sweep:ApiSweep",
}
_XGBOOST = {"WandbCallback": "tracklake.integrations.xgboost:TracklakeCallback"}
_LIGHTGBM = {
    "log_summary": "tracklake.integrations.lightgbm:log_summary",
    "wandb_callback": "tracklake.integrations.lightgbm:TracklakeCallback",
}
_SKLEARN = {
    name: f"tracklake.integrations.sklearn:{name}"
    for name in ("plot_classifier", "plot_confusion_matrix", "plot_precision_recall", "plot_regressor", "plot_roc")
}
_ERROR_NAMES = {
    "AuthenticationError": f"{_ERRORS}:TracklakeError",
    "CommError": f"{_ERRORS}:TracklakeError",
    "Error": f"{_ERRORS}:TracklakeError",
    "UnsupportedError": f"{_ERRORS}:TracklakeError",
    "UsageError": f"{_ERRORS}:TracklakeError",
    "WandbCoreNotAvailableError": f"{_ERRORS}:TracklakeError",
}

TREE: dict[str, dict[str, str]] = {
    "agents": {"agent": "tracklake.sweeping.launching.agent:agent"},
    "analytics": {},
    "annotations": {},
    "api": {"api_key": f"{_SHIMS}:API_KEY", "settings": f"{_SHIMS}:settings"},
    "apis": _API,
    "apis.public": _API,
    "catboost": {},
    "data_types": _MEDIA_NAMES,
    "env": {
        name: f"{_SHIMS}:{name}" for name in ("get_entity", "get_project", "is_offline", "set_entity", "set_project")
    },
    "errors": _ERROR_NAMES,
    "errors.errors": _ERROR_NAMES,
    "gym": {"monitor": f"{_SHIMS}:monitor"},
    "helper": {"parse_config": f"{_SHIMS}:parse_config"},
    "integration": {},
    "integration.keras": _KERAS_NAMES,
    "integration.lightgbm": _LIGHTGBM,
    "integration.lightning": {},
    "integration.lightning.fabric": {"WandbLogger": "tracklake.integrations.lightning:WandbLogger"},
    "integration.sb3": {"WandbCallback": "tracklake.integrations.sb3:WandbCallback"},
    "integration.sklearn": _SKLEARN,
    "integration.tensorboard": {"patch": f"{_SHIMS}:patch_tensorboard"},
    "integration.xgboost": _XGBOOST,
    "jupyter": {},
    "keras": _KERAS_NAMES,
    "lightgbm": _LIGHTGBM,
    "plot": {
        name: f"tracklake.tracking.artifacts.media.charts:{name}"
        for name in (*_CHARTS, "CustomChart", "plot_table", "visualize")
    },
    "profiler": {},
    "proto": {},
    "sacred": {},
    "sdk": {
        "Config": "tracklake.tracking.run_config:Config",
        "Run": _RUN,
        "Settings": "tracklake.tracking.settings:Settings",
        "init": "tracklake.integrations.wandb_standin.start:init",
    },
    "sdk.artifacts": {},
    "sdk.artifacts.artifact": {"Artifact": "tracklake.tracking.artifacts.artifact:Artifact"},
    "sdk.data_types": {},
    "sdk.data_types.base_types": {},
    "sdk.data_types.base_types.media": {"Media": "tracklake.tracking.artifacts.media.media:Media"},
    "sdk.data_types.base_types.wb_value": {"WBValue": "tracklake.tracking.artifacts.media.media:Media"},
    "sdk.data_types.image": {"Image": "tracklake.tracking.artifacts.media.image:Image"},
    "sdk.data_types.table": {"Table": "tracklake.tracking.artifacts.media.tables:Table"},
    "sdk.data_types.video": {"Video": "tracklake.tracking.artifacts.media.sound:Video"},
    "sdk.lib": {"RunDisabled": f"{_SHIMS}:RunDisabled"},
    "sdk.lib.config_util": {"ConfigError": f"{_ERRORS}:ConfigError"},
    "sdk.lib.disabled": {"RunDisabled": f"{_SHIMS}:RunDisabled"},
    "sdk.lib.paths": {"StrPath": f"{_SHIMS}:StrPath"},
    "sdk.lib.runid": {"generate_id": f"{_SHIMS}:generate_id"},
    "sdk.lib.telemetry": {"context": f"{_SHIMS}:telemetry_context"},
    "sdk.wandb_config": {"Config": "tracklake.tracking.run_config:Config"},
    "sdk.wandb_run": {"Run": _RUN},
    "sdk.wandb_settings": {"Settings": "tracklake.tracking.settings:Settings"},
    "sdk.wandb_summary": {"Summary": "tracklake.tracking.run_mappings:Summary"},
    "sklearn": _SKLEARN,
    "tensorboard": {"patch": f"{_SHIMS}:patch_tensorboard"},
    "tensorflow": {},
    "trigger": {},
    "util": {name: f"{_SHIMS}:{name}" for name in shims.UTIL},
    "wandb_run": {"Run": _RUN},
    "wandb_torch": {},
    "xgboost": _XGBOOST,
}
"""The modules below `wandb`: their names, and where each is."""


@functools.cache
def module(path: str) -> types.ModuleType:
    """Return the module `wandb.<path>`, or `wandb` itself for an empty path; always the same one.

    >>> module("sdk.wandb_run").Run.__name__, module("plot").bar.__name__, module("").__version__
    ('Run', 'bar', '0.31.0')
    """
    full = f"wandb.{path}" if path else "wandb"
    root = types.ModuleType(full, f"Stands for {full} of wandb {VERSION}: its names over a tracklake lake.")
    root.__spec__ = importlib.machinery.ModuleSpec(full, None, is_package=True)
    root.__path__ = []
    root.__dict__.update(__getattr__=functools.partial(_attribute, path), __dir__=functools.partial(_names, path))
    if not path:
        root.__dict__.update(__version__=VERSION, __all__=sorted(names.MODULE))
    return root


def install(package: types.ModuleType) -> None:
    """Make a package that is being imported as `wandb` the root of the tree: `import wandb.sdk` works from then on.

    >>> package = types.ModuleType("wandb")
    >>> install(package)
    >>> import wandb.sdk.wandb_run
    >>> wandb.sdk.wandb_run.Run is tl.Run, package.Image.__name__
    (True, 'Image')
    >>> for name in [name for name in sys.modules if name.split(".")[0] == "wandb"]:
    ...     del sys.modules[name]
    """
    package.__dict__.update(
        {k: v for k, v in vars(module("")).items() if k not in ("__name__", "__spec__", "__path__")}
    )
    sys.modules["wandb"] = package
    for path in TREE:
        sys.modules[f"wandb.{path}"] = module(path)


def _attribute(path: str, name: str) -> Any:
    if not path:
        return _root_attribute(name)
    target = TREE[path].get(name)
    if target is not None:
        place, _, attribute = target.partition(":")
        return getattr(importlib.import_module(place), attribute)
    if f"{path}.{name}" in TREE:
        return module(f"{path}.{name}")
    entry = names.MODULE.get(path)
    way_out = entry.note if entry is not None and entry.how == "refused" else ""
    known = ", ".join(_names(path)) or "none"
    raise AttributeError(f"wandb.{path} of the stand-in has no {name!r}; {way_out or f'names there: {known}'}")


def _root_attribute(name: str) -> Any:
    if name == "init":
        return module("sdk").init
    if name == "_attach":  # Lightning asks for it in the processes that it spawns
        return names.resolve("attach")
    if name in TREE and name not in names.MODULE:
        return module(name)
    return names.resolve(name)


def _names(path: str) -> list[str]:
    if not path:
        return sorted({*names.MODULE, *(p for p in TREE if "." not in p)})
    below = {p.removeprefix(f"{path}.").split(".")[0] for p in TREE if p.startswith(f"{path}.")}
    return sorted({*TREE[path], *below})
