"""Configs that lie beside a run's files: YAML and JSON, read without executing anything."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

from tracklake.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LARGEST = 8 << 20
"""Bytes of a config file, beyond which it is none."""
BESIDE = (".hydra/config.yaml", "hparams.yaml", "args.yaml", "params.yaml", "config.yaml", "config.yml", "params.json",
          "config.json", "args.json", "hparams.json")  # fmt: skip
"""Where tools leave the config of a run, the most certain first."""


def read_config(path: Path) -> dict[str, Any]:
    """Return what a YAML or JSON file holds, if that is a mapping; SourceError if it is not, or cannot be read.

    >>> from pathlib import Path
    >>> _ = Path("config.json").write_text('{"lr": 0.1}')
    >>> read_config(Path("config.json"))
    {'lr': 0.1}
    """
    if path.stat().st_size > LARGEST:
        raise SourceError(f"{path} is larger than {LARGEST >> 20} MB: it is no config")
    text = path.read_text(encoding="utf-8", errors="replace")
    value = _json(path, text) if path.suffix.lower() == ".json" else _yaml(path, text)
    if not isinstance(value, dict):
        raise SourceError(f"{path} holds no mapping, so it is no config")
    return {str(key): below for key, below in value.items()}


def find_beside(folder: Path, names: Iterable[str] = BESIDE) -> Path | None:
    """Return the first of the config files that a folder has, or None.

    >>> from pathlib import Path
    >>> _ = Path("args.yaml").write_text("lr: 0.1")
    >>> find_beside(Path())
    PosixPath('args.yaml')
    """
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON: {error}") from None


def _yaml(path: Path, text: str) -> Any:
    if importlib.util.find_spec("yaml") is None:
        raise SourceError(f"{path} needs the package pyyaml: pip install 'tracklake[importers]'")
    import yaml

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise SourceError(f"{path} is no YAML that is safe to read: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise SourceError(f"{path} is nested too deeply") from None


def _loader() -> Any:
    """Return YAML's safe loader, which also takes Python tuples as lists and leaves other tags as their text."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc] # yaml carries no types
        """Safe: no tag makes an object."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            """Refuse aliases of collections, by which a short text can grow without bound."""
            if self.check_event(yaml.AliasEvent):
                self._n_aliases = getattr(self, "_n_aliases", 0) + 1
                if self._n_aliases > _MAX_SHARED:
                    raise yaml.YAMLError(f"it has more than {_MAX_SHARED} aliases")
            return super().compose_node(parent, index)

    def as_list(loader: Any, node: Any) -> Any:
        return loader.construct_sequence(node, deep=True)

    def as_text(loader: Any, suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node) or suffix

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", as_list)
    Loader.add_multi_constructor("", as_text)
    return Loader


_MAX_SHARED = 20
"""Aliases of one file: each may double what a config holds."""
