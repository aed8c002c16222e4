"""W&B's settings, as far as they mean something here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MEANT = {
    "entity": "entity",
    "fork_from": "fork_from",
    "mode": "mode",
    "project": "project",
    "reinit": "reinit",
    "resume": "resume",
    "resume_from": "resume_from",
    "run_group": "group",
    "run_id": "id",
    "run_job_type": "job_type",
    "run_name": "name",
    "run_notes": "notes",
    "run_tags": "tags",
    "save_code": "save_code",
    "sync_tensorboard": "sync_tensorboard",
}
"""Settings of W&B that are arguments of `init` here."""
SWITCHES = {"metadata": True, "x_disable_meta": False, "disable_git": False, "x_disable_machine_info": False}
"""Settings that decide whether the surroundings are noted: the value with which they are."""
QUIETING = ("quiet", "silent")
"""Settings with which a run does not say where it goes."""


class Settings(Mapping[str, Any]):
    """Settings of `init` by name, as item or attribute; those of MEANT, SWITCHES and QUIETING mean something.

    >>> settings = Settings(run_name="baseline", console="off")
    >>> settings.run_name, settings["console"], settings.unset
    ('baseline', 'off', None)
    """

    def __init__(self, *mappings: Mapping[str, Any], **values: Any) -> None:
        self.__dict__.update({key: value for mapping in (*mappings, values) for key, value in mapping.items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{key}={value!r}' for key, value in self.items())})"
