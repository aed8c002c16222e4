"""The command of a trial, with W&B's macros."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from tracklake.errors import SweepError
from tracklake.schema import naming
from tracklake.sweeping import space

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracklake.sweeping.config import SweepConfig
    from tracklake.sweeping.space import Point

_DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
_VARIABLE = re.compile(r"\$\{envvar:([^}]+)\}")


def of_trial(config: SweepConfig, point: Point, *, folder: Path) -> list[str]:
    """Return the command that tries a point: `command` of the config, else the interpreter, program and arguments.

    `folder` is where the file of ${args_json_file} is written. Raises SweepError without a program, and for a macro
    that is none.

    >>> from tracklake.sweeping.config import SweepConfig
    >>> config = SweepConfig({"program": "train.py", "parameters": {"lr": {"value": 0.1}}})
    >>> of_trial(config, {"lr": 0.1}, folder=None)[2:]
    ['train.py', '--lr=0.1']
    """
    words = config.content.get("command") or _DEFAULT
    program = config.content.get("program")
    if program is None and "${program}" in words:
        raise SweepError("the sweep names no program: say program: train.py, or give tracklake.agent a function")
    command: list[str] = []
    for word in map(str, words):
        command += _expanded(word, program, point, folder)
    return command


def _expanded(word: str, program: str | None, point: Point, folder: Path) -> list[str]:
    if word == "${env}":
        return [] if sys.platform == "win32" else ["/usr/bin/env"]
    if word == "${interpreter}":
        return [sys.executable]
    if word == "${program}":
        return [str(program)]
    if word == "${args_json_file}":
        path = folder / "args.json"
        path.write_text(json.dumps(space.nest(point)), encoding="utf-8")
        return [str(path)]
    if word.startswith("${args"):
        if word not in _ARGUMENTS:
            raise SweepError.nearest("macro of command:", word, [*_ARGUMENTS, "${args_json_file}"])
        return _ARGUMENTS[word](point)
    return [_VARIABLE.sub(lambda match: os.environ.get(match[1], ""), word)]


def _flat(name: str) -> str:
    """Return a parameter's name as a command has it: its own dots are like those between nested ones."""
    return ".".join(naming.split(name))


def _each(form: str) -> Callable[[Point], list[str]]:
    return lambda point: [form.format(_flat(name), value) for name, value in point.items()]


def _pairs(point: Point) -> list[str]:
    return [word for name, value in point.items() for word in (f"--{_flat(name)}", str(value))]


def _flags(point: Point) -> list[str]:
    return [word for name, value in point.items() for word in _flag(_flat(name), value)]


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    return [f"--{name}={value}"]


_ARGUMENTS: dict[str, Callable[[Point], list[str]]] = {
    "${args}": _each("--{}={}"),
    "${args_no_equals}": _pairs,
    "${args_no_hyphens}": _each("{}={}"),
    "${args_no_boolean_flags}": _flags,
    "${args_json}": lambda point: [json.dumps(space.nest(point))],
    "${args_append_hydra}": _each("+{}={}"),
    "${args_override_hydra}": _each("++{}={}"),
}
"""How a macro writes the values."""
