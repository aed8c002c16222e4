"""Recognition: which files of a path are of which format, and which are left alone."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tracklake.errors import SourceError
from tracklake.importers import registry
from tracklake.importers.formats import text_log
from tracklake.importers.readers import bytestream, config_files, sqlite
from tracklake.importers.readers.bytestream import suffix_of
from tracklake.importers.readers.records import Source
from tracklake.importers.readers.table_files import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

SKIPPED = {"__pycache__", "node_modules", "site-packages", "venv", "env"}
"""Folders that hold no runs."""
_LAKE = "tracklake.json"
_MOST_FILES = 1_000_000


class Recognised(NamedTuple):
    """What was recognised below some paths, and the files that were left alone."""

    sources: list[Source]
    left_alone: list[Path]
    damaged: list[tuple[Path, str]]
    """Databases that cannot be opened, and why."""


def expand(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the paths, patterns among them expanded. SourceError for one that is not there.

    >>> _ = Path("a.csv").write_text("step,loss"), Path("b.csv").write_text("step,loss")
    >>> [path.name for path in expand(["*.csv"])]
    ['a.csv', 'b.csv']
    """
    expanded = []
    for path in paths:
        text = os.fspath(path)
        matches = [text] if Path(text).exists() else []
        if not matches and glob.has_magic(text):
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not matches:
            raise SourceError(f"there is no {text}")
        if odd := [match for match in matches if not Path(match).is_file() and not Path(match).is_dir()]:
            raise SourceError(f"{odd[0]} is a pipe or a device; write what comes of it to a file, which is read twice")
        expanded += [Path(match) for match in matches]
    return expanded


def recognise(path: Path, *, only: str | None = None, pattern: str | None = None) -> Recognised:
    r"""Return the sources of a file, or of a folder and all below it, each asked of the formats in their order.

    With `only` no other format is asked, and a single file is taken for one of it whatever it looks like. A file that
    is named itself is a table if nothing else knows it. With a `pattern` logs of which it fits a line are text logs,
    before any other format is asked. Hidden folders, virtual environments and lakes are left out,
    and links to folders are not followed.

    >>> Path("out").mkdir()
    >>> _ = Path("out/training.log").write_text("epoch,loss\n0,1.5\n"), Path("out/notes.md").write_text("hello")
    >>> recognised = recognise(Path("out"))
    >>> [source.format for source in recognised.sources], [path.name for path in recognised.left_alone]
    (['keras'], ['notes.md'])
    """
    if not path.is_dir():
        return _of_file(path, only, pattern)
    sources: list[Source] = []
    left_alone: list[Path] = []
    claimed: set[Path] = set()
    for folder, names in _folders(path):
        free = [name for name in names if folder / name not in claimed and (folder / name).is_file()]  # no pipe
        for source in _asked(folder, free, only, pattern):
            sources.append(source)
            claimed.update(source.files)
        left_alone += [folder / name for name in names if folder / name not in claimed]
    inner = {file for source in sources for file in source.files}
    inner |= {file.parent / name for file in inner for name in config_files.BESIDE}  # which their runs may take
    return _with_damaged(sources, [file for file in left_alone if file not in inner])


def _with_damaged(sources: list[Source], left_alone: list[Path]) -> Recognised:
    """Tell the files that no format knows because they are damaged from those that are something else."""
    files = [path for path in left_alone if path.is_file()]
    damaged = [(path, why) for path in files if (why := bytestream.damage(path)) is not None]
    for path in files:
        if path.suffix.lower() in sqlite.SUFFIXES and sqlite.is_database(path):
            try:
                with sqlite.opened(path):
                    pass
            except SourceError as error:
                damaged.append((path, str(error)))
    names = {path for path, _ in damaged}
    return Recognised(sources, [path for path in left_alone if path not in names], damaged)


def _of_file(path: Path, only: str | None, pattern: str | None) -> Recognised:
    sources = list(_asked(path.parent, [path.name], only, pattern))
    if not sources and (only or suffix_of(path) in SUFFIXES):
        registry.find(only or "table")
        sources = [Source(only or "table", path)]
    return _with_damaged(sources, [] if sources else [path])


def _asked(folder: Path, names: Collection[str], only: str | None, pattern: str | None) -> Iterator[Source]:
    """Yield what the formats recognise of a folder's files; what one has claimed no other is offered."""
    logs = text_log.fitting(folder, names, pattern) if pattern is not None and only in (None, "text_log") else []
    yield from (Source("text_log", folder / name) for name in logs)
    unclaimed = [name for name in names if name not in logs]
    formats = registry.load() if only is None else {only: registry.find(only)}
    for one in formats.values():
        for source in one.recognise(folder, unclaimed):
            yield source
            claimed = {file.name for file in source.files if file.parent == folder}
            unclaimed = [name for name in unclaimed if name not in claimed]


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder below a root with the names of its files, both in order."""
    n_files = 0
    for folder, folders, names in os.walk(root):
        if _LAKE in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED)
        n_files += len(names)
        if n_files > _MOST_FILES:
            raise SourceError(f"{root} holds more than {_MOST_FILES:,} files; import its folders one by one")
        yield Path(folder), sorted(names)
