"""The formats that there are: the modules of `formats`, and those of other packages by the entry point."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Protocol, cast

from tracklake.errors import UnknownNameError
from tracklake.importers import formats

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Source, Yielded

ENTRY_POINT = "tracklake.importers"


class Format(Protocol):
    """What a module of `formats` offers: the whole protocol of an importer."""

    PRIORITY: int
    """Formats of a lower one are asked first; what they claim no other is offered."""

    def recognise(self, folder: Path, names: Collection[str]) -> Iterator[Source]:
        """Yield what of a folder's files, of these names, is of this format.

        >>> from pathlib import Path
        >>> list(load()["keras"].recognise(Path("."), []))
        []
        """

    def read(self, source: Source, options: ImportOptions) -> Iterator[Yielded]:
        """Yield run records, each followed by its points; and remarks. SourceError for what cannot be read.

        >>> from pathlib import Path
        >>> from tracklake.importers.readers.records import ImportOptions, Source
        >>> list(load()["table"].read(Source("table", Path("nowhere.csv")), ImportOptions()))
        Traceback (most recent call last):
        tracklake.errors.SourceError: there is no file nowhere.csv
        """


@cache
def load() -> dict[str, Format]:
    """Return all formats by their names, in the order in which they are asked.

    >>> list(load())[-1]
    'text_log'
    """
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    own = {name: importlib.import_module(f"{formats.__name__}.{name}") for name in names}
    others = {point.name: point.load() for point in importlib.metadata.entry_points(group=ENTRY_POINT)}
    every = cast("dict[str, Format]", {**own, **others})
    return dict(sorted(every.items(), key=lambda item: (item[1].PRIORITY, item[0])))


def find(name: str) -> Format:
    """Return the format of a name; UnknownNameError, which names the nearest, if there is none.

    >>> find("kears")
    Traceback (most recent call last):
    tracklake.errors.UnknownNameError: unknown format 'kears'; did you mean 'keras'?
    """
    every = load()
    if name not in every:
        raise UnknownNameError.nearest("format", name, every)
    return every[name]
