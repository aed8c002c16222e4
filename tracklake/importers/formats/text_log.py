r"""Text logs, read by a pattern of the caller: `step (?P<step>\d+).*loss (?P<loss>[\d.]+)`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from tracklake.errors import SourceError
from tracklake.importers.readers import bytestream, cells
from tracklake.importers.readers.run_files import read_run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Source, Yielded

PRIORITY = 95
SUFFIXES = (".log", ".txt", ".out", ".err")
_HEAD = 1 << 20
"""Bytes of a log in which a line must fit for it to be taken for one."""
_GLANCE = 16 << 10
"""Bytes that show what a log looks like."""
_LOSS = re.compile(r"(?i)\b(step|iter|iteration|epoch)\W{0,3}\d+\b.*\bloss\W{0,3}[\d.]")
_LONGEST_LINE = 64 << 10
"""Characters of a line that the pattern looks at."""


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:  # noqa: ARG001 - the protocol
    """Yield nothing: without a pattern a log is only text.

    >>> from pathlib import Path
    >>> list(recognise(Path(), ["train.log"]))
    []
    """
    yield from ()


def fitting(folder: Path, names: Collection[str], pattern: str) -> list[str]:
    r"""Return the logs of a folder that have a line which the pattern fits, near their beginning.

    >>> from pathlib import Path
    >>> _ = Path("a.log").write_text("loading\nstep 1: loss 0.5\n"), Path("b.log").write_text("step,loss\n")
    >>> fitting(Path(), ["a.log", "b.log", "a.csv"], r"step (?P<step>\d+): loss")
    ['a.log']
    """
    regex = _compiled(pattern)
    logs = [name for name in names if bytestream.suffix_of(folder / name) in SUFFIXES]
    return [name for name in logs if any(map(regex.search, _first_lines(folder / name)))]


def looks_like_one(path: Path) -> bool:
    r"""Tell whether several of the first lines of a text name a step and a loss.

    >>> from pathlib import Path
    >>> _ = Path("a.log").write_text("loading\nstep 1: loss 0.5\nstep 2: loss 0.25\n"), Path("b.log").write_text("a")
    >>> looks_like_one(Path("a.log")), looks_like_one(Path("b.log"))
    (True, False)
    """
    is_text = bytestream.suffix_of(path) in SUFFIXES and path.is_file()
    lines = _first_lines(path, size=_GLANCE) if is_text else []
    return sum(_LOSS.search(line) is not None for line in lines) > 1


def _first_lines(path: Path, size: int = _HEAD) -> list[str]:
    lines = bytestream.head(path, size).decode("utf-8", "replace").split("\n")
    return [line[:_LONGEST_LINE] for line in lines]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise SourceError(f"pattern={pattern!r} is no regular expression: {error}") from None
    if not regex.groupindex:
        raise SourceError(f"pattern={pattern!r} names no groups; say 'step (?P<step>\\d+).*loss (?P<loss>\\S+)'")
    return regex


class TextLog:
    r"""The lines of a log that a pattern fits, as rows of its named groups.

    >>> from pathlib import Path
    >>> _ = Path("a.log").write_text("loading\nstep 1: loss 0.5\nstep 2: loss nan\n")
    >>> [frame.rows() for frame in TextLog(Path("a.log"), r"step (?P<step>\d+): loss (?P<loss>\S+)").frames()]
    [[(1, 0.5), (2, nan)]]
    """

    def __init__(self, path: Path, pattern: str) -> None:
        self.path = path
        self.remarks: dict[str, bool] = {}
        self._regex = _compiled(pattern)

    def frames(self) -> Iterator[pl.DataFrame]:
        r"""Yield the rows. Raises SourceError where no line fits.

        >>> from pathlib import Path
        >>> _ = Path("a.log").write_text("loss 0.5")
        >>> next(TextLog(Path("a.log"), r"loss (?P<loss>\S+)").frames()).rows()
        [(0.5,)]
        """
        n_rows = 0
        for chunk in bytestream.chunks(self.path):
            lines = chunk.decode("utf-8", "replace").splitlines()
            matches = filter(None, (self._regex.search(line[:_LONGEST_LINE]) for line in lines))
            rows = [match.groups() for match in matches]
            names = [name for name, _ in sorted(self._regex.groupindex.items(), key=lambda item: item[1])]
            picked = [tuple(row[self._regex.groupindex[name] - 1] for name in names) for row in rows]
            frame = pl.DataFrame(picked, schema=dict.fromkeys(names, pl.String), orient="row")
            n_rows += frame.height
            yield pl.DataFrame([cells.typed(column)[0] for column in frame])
        if not n_rows:
            raise SourceError(f"{self.path}: no line fits the pattern {self._regex.pattern!r}")


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run. Raises SourceError without a pattern.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions, Source
    >>> _ = Path("a.log").write_text("hello\nstep 1: loss 0.5\n")
    >>> options = ImportOptions(pattern=r"step (?P<step>\d+): loss (?P<loss>\S+)")
    >>> list(read(Source("text_log", Path("a.log")), options))[1].frame["metric"][0]
    'loss'
    """
    if options.pattern is None:
        raise SourceError(
            f"{source.path} is a text log: say pattern=r'step (?P<step>\\d+).*loss (?P<loss>\\S+)' (--pattern)"
        )
    table = TextLog(source.path, options.pattern)
    return read_run(source.path, options, kind="text_log", table=table)
