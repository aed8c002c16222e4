"""Small things of W&B's inner modules that other libraries touch."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tracklake.common.warnings import warn_once
from tracklake.schema import values
from tracklake.tracking import tensorboard_sync
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

API_KEY = "offline"
"""Libraries ask whether there is a key before they log."""
StrPath = str | os.PathLike[str]
UTIL = ("generate_id", "is_numpy_array", "json_dumps_safer", "make_artifact_name_safe", "to_forward_slash_path")
"""The functions of `wandb.util` that are here."""


class RunDisabled:
    """W&B's older stand-in for a run; a disabled run is an ordinary Run here, so nothing is one of these."""


def generate_id(length: int = 8) -> str:
    """Return a random id of lower-case letters and digits.

    >>> len(generate_id())
    8
    """
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(length))


def is_numpy_array(value: object) -> bool:
    """Tell whether a value is an array of numpy.

    >>> is_numpy_array([1])
    False
    """
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def json_dumps_safer(value: Any, **options: Any) -> str:
    """Return a value as JSON, raising TypeError for what cannot be stored.

    >>> json_dumps_safer({"a": [1, 2.5]})
    '{"a": [1, 2.5]}'
    """
    return json.dumps(values.restore(*values.store(value, name="value")), **options)


def make_artifact_name_safe(name: str) -> str:
    """Return a name with what an artifact's name must not have replaced by underscores.

    >>> make_artifact_name_safe("model of run 1")
    'model_of_run_1'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:128]


def to_forward_slash_path(path: str) -> str:
    """Return a path with slashes.

    >>> to_forward_slash_path("a/b")
    'a/b'
    """
    return path.replace(os.sep, "/")


@contextlib.contextmanager
def telemetry_context(**_: object) -> Iterator[SimpleNamespace]:
    """Give something whose attributes may be set; nothing is sent anywhere.

    >>> with telemetry_context() as telemetry:
    ...     telemetry.feature.keras = True
    """
    yield SimpleNamespace(feature=SimpleNamespace(), imports=SimpleNamespace())


def parse_config(params: Any, exclude: Any = None, include: Any = None) -> dict[str, Any]:
    """Return the config of which only some keys are wanted.

    >>> parse_config({"lr": 0.1, "secret": 1}, exclude=["secret"])
    {'lr': 0.1}
    """
    chosen = dict(params).items()
    return {k: v for k, v in chosen if (not include or k in include) and (not exclude or k not in exclude)}


def set_project(value: str, env: Any = None) -> None:
    """Set the project of runs that begin later.

    >>> set_project("digits"), get_project(), os.environ.pop("WANDB_PROJECT")
    (None, 'digits', 'digits')
    """
    (os.environ if env is None else env)["WANDB_PROJECT"] = str(value)


def get_project(default: str | None = None, env: Any = None) -> str | None:
    """Return the project that the environment names.

    >>> get_project("none")
    'none'
    """
    return (os.environ if env is None else env).get("WANDB_PROJECT", default)


def set_entity(value: str, env: Any = None) -> None:
    """Set the entity of runs that begin later; it means nothing.

    >>> set_entity("me"), get_entity(), os.environ.pop("WANDB_ENTITY")
    (None, 'me', 'me')
    """
    (os.environ if env is None else env)["WANDB_ENTITY"] = str(value)


def get_entity(default: str | None = None, env: Any = None) -> str | None:
    """Return the entity that the environment names.

    >>> get_entity("none")
    'none'
    """
    return (os.environ if env is None else env).get("WANDB_ENTITY", default)


def is_offline(env: Any = None) -> bool:
    """Return True: there is no server.

    >>> is_offline()
    True
    """
    del env
    return True


def settings(*_: object) -> dict[str, str]:
    """Return the settings of the account, of which there are none.

    >>> settings()
    {}
    """
    return {}


def monitor(*_: object) -> None:
    """Do nothing but say so once: the videos of an environment are logged as wandb.Video.

    >>> monitor()
    """
    warn_once("gym.monitor", "tracklake: wandb.gym.monitor() records nothing: log the videos as wandb.Video")


def patch_tensorboard(**_: object) -> None:
    """Log the scalars that a SummaryWriter writes in the run that is current then.

    >>> patch_tensorboard(root_logdir="logs")
    """
    tensorboard_sync.sync(_log)


def _log(tag: str, value: object, step: int | None) -> None:
    if open_runs.current is not None:
        open_runs.current.log({tag: value, **({} if step is None else {"global_step": step})})
