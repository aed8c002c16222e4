"""The arguments of `init`, filled from W&B's settings, its environment variables, and the trial of a sweep."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common import arguments, documents
from tracklake.common.warnings import warn, warn_once
from tracklake.errors import RunError
from tracklake.schema import nesting
from tracklake.tracking.settings import MEANT, QUIETING, SWITCHES

if TYPE_CHECKING:
    from tracklake.tracking.trial import Trial

ENVIRONMENT = {
    "WANDB_ENTITY": "entity",
    "WANDB_JOB_TYPE": "job_type",
    "WANDB_MODE": "mode",
    "WANDB_NAME": "name",
    "WANDB_NOTES": "notes",
    "WANDB_PROJECT": "project",
    "WANDB_RESUME": "resume",
    "WANDB_RUN_GROUP": "group",
    "WANDB_RUN_ID": "id",
    "WANDB_RUN_NAME": "name",
    "WANDB_SAVE_CODE": "save_code",
    "WANDB_TAGS": "tags",
}
"""W&B's environment variables, and the arguments that they stand for where none is given."""
HARMLESS = {
    "WANDB_AGENT_MAX_INITIAL_FAILURES",
    "WANDB_API_KEY",
    "WANDB_CONSOLE",
    "WANDB_DISABLED",  # transformers reads it itself
    "WANDB_DISABLE_GIT",
    "WANDB_HTTP_TIMEOUT",
    "WANDB_INIT_TIMEOUT",
    "WANDB_LOG_MODEL",  # transformers
    "WANDB_QUIET",
    "WANDB_SERVICE_WAIT",
    "WANDB_SILENT",
    "WANDB_START_METHOD",
    "WANDB_SWEEP_ID",
    "WANDB_WATCH",  # transformers
    "WANDB__SERVICE_WAIT",
}
"""Variables that need no word: nothing here waits, prints or asks for a key, or a library reads them itself."""


class InitArguments(NamedTuple):
    """What `init` was called with, after everything that may stand for an argument has been looked at."""

    project: Any = None
    config: Any = None
    name: Any = None
    group: Any = None
    job_type: Any = None
    tags: Any = None
    notes: Any = None
    id: Any = None
    entity: Any = None
    resume: Any = None
    from_step: Any = None
    fork_from: Any = None
    mode: Any = None
    reinit: Any = None
    save_code: Any = None
    sync_tensorboard: Any = None
    resume_from: Any = None

    def filled(self, others: Mapping[str, Any]) -> InitArguments:
        """Return them with those that are None or empty taken from others.

        >>> InitArguments(project="p").filled({"project": "q", "name": "n"})[:3]
        ('p', None, 'n')
        """
        lacking = {k: v for k, v in others.items() if v is not None and getattr(self, k) in (None, "", ())}
        return self._replace(**lacking)


def resolve(call: InitArguments, *, settings: object) -> InitArguments:
    """Fill what is not given from W&B's settings and environment variables, and read `resume_from` and `mode`.

    Raises RunError, TypeError.

    >>> resolve(InitArguments(resume_from="r1?_step=20"), settings={"run_name": "again"})[2:11:8]
    ('again', 20)
    """
    if not isinstance(settings, Mapping | None):
        raise arguments.refused("settings", "a mapping such as {'metadata': False}", settings)
    by_settings = {MEANT[key]: value for key, value in (settings or {}).items() if key in MEANT}
    _tell_unmeant(f"settings={{'{key}': ...}}" for key in settings or () if key not in {*MEANT, *SWITCHES, *QUIETING})
    resolved = call.filled(by_settings).filled(_of_environment())
    if resolved.mode == "dryrun":  # W&B's older word
        resolved = resolved._replace(mode="offline")
    if resolved.resume_from is None:
        return resolved
    run_id, step = _fork_point(resolved.resume_from)
    if resolved.id not in (None, run_id) or resolved.from_step is not None or resolved.fork_from is not None:
        raise RunError(
            f"resume_from={resolved.resume_from!r} says which run and step: leave out id, from_step, fork_from"
        )
    return resolved._replace(id=run_id, from_step=step)


def notes_surroundings(settings: Mapping[str, object] | None) -> bool:
    """Tell whether host, command line and git are to be noted.

    >>> notes_surroundings({"metadata": False}), notes_surroundings({"console": "off"})
    (False, True)
    """
    return all(bool((settings or {}).get(name, on)) is on for name, on in SWITCHES.items())


def announce(run_id: str, lake: str, settings: Mapping[str, object] | None) -> None:
    """Say once on standard error where a run goes; not with `settings={"quiet": True}` or TRACKLAKE_QUIET.

    >>> announce("r1", "lake", {"quiet": True})
    """
    is_quiet = any((settings or {}).get(name) for name in QUIETING)
    if not is_quiet and os.environ.get("TRACKLAKE_QUIET", "0") in ("", "0"):
        place = lake if "/" in lake or lake.startswith(".") else f"./{lake}"
        print(f"tracklake: run {run_id} -> {place}", file=sys.stderr)  # noqa: T201 - it is a message


def read_config(config: object, *, include: object = None, exclude: object = None) -> dict[str, Any]:
    """Return the config as a dict, of a file where its path is given, without the keys that are not wanted.

    A file may hold W&B's form {"lr": {"value": 0.1, "desc": ...}}. Raises ConfigError, FileMissingError, RunError.

    >>> read_config({"lr": 0.1, "secret": 1}, exclude=["secret"])
    {'lr': 0.1}
    """
    if isinstance(config, str | os.PathLike):
        content = documents.read_mapping(config)
        config = {k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in content.items()}
    values = nesting.as_mapping(config)
    if include is not None and exclude is not None:
        raise RunError("config_include_keys and config_exclude_keys: give one of the two")
    if include is not None:
        wanted = arguments.texts("config_include_keys", include)
        return {key: value for key, value in values.items() if key in wanted}
    unwanted = () if exclude is None else arguments.texts("config_exclude_keys", exclude)
    return {key: value for key, value in values.items() if key not in unwanted}


def of_trial(resolved: InitArguments, trial: Trial) -> InitArguments:
    """Return the arguments for a trial of a sweep, which decides on project and id: others are ignored with a warning.

    >>> from tracklake.tracking.trial import Trial
    >>> of_trial(InitArguments(name="n"), Trial("lake", "s1", "s1-0", "p", {}))[:3]
    ('p', None, 'n')
    """
    for word, value in (("project", trial.project), ("id", trial.run_id)):
        if getattr(resolved, word) not in (None, "", value):
            warn(f"tracklake: {word}={getattr(resolved, word)!r} is ignored: sweep {trial.sweep_id} says {value!r}")
    return resolved._replace(project=trial.project, id=trial.run_id, resume="allow", fork_from=None, from_step=None)


def tell_ignored(**values: object) -> None:
    """Warn once of arguments that mean nothing offline, if they were given.

    >>> tell_ignored(force=None)
    """
    _tell_unmeant(f"{name}=" for name, value in values.items() if value is not None)


def _tell_unmeant(names: Any) -> None:
    for name in names:
        warn_once(f"init {name}", f"tracklake: {name} of init is accepted and means nothing: there is no server")


def _of_environment() -> dict[str, Any]:
    """Return the arguments that W&B's variables stand for, and tell of those that cannot be honoured."""
    variables = {name: text for name in os.environ if name.startswith("WANDB_") and (text := os.environ.get(name))}
    if unhonoured := sorted(set(variables) - set(ENVIRONMENT) - HARMLESS):
        hint = "; the lake is where TRACKLAKE_DIR says" if "WANDB_DIR" in unhonoured else ""
        warn_once(f"{unhonoured}", f"tracklake: {', '.join(unhonoured)} of the environment mean nothing here{hint}")
    values: dict[str, Any] = {ENVIRONMENT[name]: text for name, text in variables.items() if name in ENVIRONMENT}
    if "save_code" in values:
        values["save_code"] = values["save_code"].lower() in ("1", "true", "yes")
    if "tags" in values:
        values["tags"] = [tag.strip() for tag in values["tags"].split(",") if tag.strip()]
    return values


def _fork_point(text: object) -> tuple[str, int]:
    """Read "run_id?_step=20"."""
    run_id, question, step = str(text).partition("?_step=")
    if not (run_id and question and step.isdecimal()):
        raise RunError(f"resume_from={text!r}; accepted is 'run_id?_step=20'")
    return run_id, int(step)
