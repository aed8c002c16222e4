"""Where a file lies, as what tells runs apart: ids, projects and config from the parts of paths."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.errors import SourceError
from tracklake.importers.readers.records import UNCATEGORIZED, RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions

SHARED_NAMES = {"metrics", "results", "result", "progress", "training", "train", "log", "logs", "history",
                "trainer_state", "monitor", "output", "summary", "catboost_info", "dvclive"}  # fmt: skip
"""Names of files and folders that many runs share."""
_FIELD = re.compile(r"\{(\w+)\}")


class Place(NamedTuple):
    """What a path says of a run."""

    identity: str
    run_id: str
    project: str
    config: dict[str, Any]
    longer_id: str = ""
    """All parts of the path: for the one of several that ask for the same id."""


def place_of(path: Path, options: ImportOptions, *, kind: str, file: Path | None = None) -> Place:
    """Return what the path of a run, a file or a folder, says of it: by the caller's pattern, else by its parts.

    `file` is the file to match with the pattern, if that is not the path.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> options = ImportOptions(root=Path("out"), path="{model}/seed{seed}/*.csv")
    >>> place_of(Path("out/svc/seed3/metrics.csv"), options, kind="csv").config
    {'model': 'svc', 'seed': 3}
    >>> place_of(Path("out/svc/seed3/metrics.csv"), ImportOptions(root=Path("out")), kind="csv").run_id
    'svc-seed3'
    """
    root = options.root if options.root.is_dir() else options.root.parent
    project = options.project or (root.resolve().name if options.root.is_dir() else "") or UNCATEGORIZED
    if options.path is not None:
        values = _matched(file or path, options.path)
        run_id = ",".join(f"{name}={value}" for name, value in values.items())
        return Place(f"path:{project}:{run_id}", run_id, project, values)
    run_id, longer_id = _names(path, options.root)
    return Place(f"{kind}:{path.resolve()}", run_id, project, {}, longer_id)


def record_at(path: Path, options: ImportOptions, *, kind: str, file: Path | None = None) -> RunRecord:
    """Return a record of the run at a path; its session is that of the file.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> record_at(Path("svc.csv"), ImportOptions(), kind="csv").run_id
    'svc'
    """
    place = place_of(path, options, kind=kind, file=file)
    session = str((file or path).resolve())
    return RunRecord(
        place.identity,
        run_id=place.run_id,
        longer_id=place.longer_id,
        project=place.project,
        session=session,
        config=place.config,
    )


def _names(path: Path, root: Path) -> tuple[str, str]:
    """Return the parts of a path below the root, without what many runs share, else what is nearest; and all.

    A folder named train beside one named val says which of two it is, a file of that name nothing.
    """
    inside = path != root and path.is_relative_to(root)
    parts = list(path.relative_to(root).parts if inside else path.absolute().parts[-1:])
    folders, last = parts[:-1], _without_endings(parts[-1]) if parts else ""
    is_file = bool(parts) and last != parts[-1]
    parts = [*folders, *([last] if last else [])]
    telling = [part == "train" and not (is_file and i == len(folders)) for i, part in enumerate(parts)]
    some = [part for part, tells in zip(parts, telling, strict=True) if tells or part.casefold() not in SHARED_NAMES]
    near = [*reversed(path.absolute().parts[:-1])]
    fallback = next((part for part in near if part.casefold() not in SHARED_NAMES), "run")
    return ("-".join(some[-4:]), "-".join(parts)) if some else (fallback, "-".join([fallback, *parts]))


def _without_endings(name: str) -> str:
    return re.sub(r"(\.monitor)?\.(csv|tsv|txt|log|jsonl?|ndjson|parquet)(\.gz|\.zst)?$", "", name)


def _matched(path: Path, pattern: str) -> dict[str, Any]:
    """Return the named parts of a path; SourceError where the pattern does not fit its end."""
    fields = _FIELD.findall(pattern)
    if not fields or len(set(fields)) < len(fields):
        raise SourceError(f"path={pattern!r} names no parts, or one twice; say '{{model}}/seed{{seed}}/metrics.csv'")
    pieces = [re.escape(piece).replace(r"\*", "[^/]*") for piece in _FIELD.split(pattern)[::2]]
    regex = "".join(f"{piece}(?P<{name}>[^/]+?)" for piece, name in zip(pieces, fields, strict=False)) + pieces[-1]
    match = re.search(f"(?:^|/){regex}$", path.as_posix())
    if match is None:
        raise SourceError(f"{path} does not end as path={pattern!r} says")
    return {name: _scalar(value) for name, value in match.groupdict().items()}


def _scalar(text: str) -> Any:
    """Return a number for what is written as one, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text
