"""Small documents of settings: JSON, and YAML where its library is installed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tracklake.errors import ConfigError, FileMissingError


def read_mapping(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the mapping that a JSON or YAML file holds. Raises FileMissingError, ConfigError.

    >>> _ = Path("config.json").write_text('{"lr": 0.1}')
    >>> read_mapping("config.json")
    {'lr': 0.1}
    """
    file = Path(path)
    if not file.is_file():
        raise FileMissingError(f"there is no file {os.fspath(path)!r}")
    text = file.read_text(encoding="utf-8")
    content = json.loads(text) if file.suffix == ".json" else _yaml(text, file)
    if not isinstance(content, dict):
        raise ConfigError(f"{os.fspath(path)} holds a {type(content).__name__}; a mapping of names to values is meant")
    return content


def _yaml(text: str, file: Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            f"reading {file} needs PyYAML: pip install 'tracklake[sweeps]', or write it as JSON ({file.stem}.json)"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is no YAML: {error}") from error
