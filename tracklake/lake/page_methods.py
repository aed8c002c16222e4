"""What a lake shows in a browser; a part of `Lake`.

The page stands on the lake and not the other way round, so it is called by its name when it is wanted.
"""

from __future__ import annotations

import importlib
from typing import Protocol, Self


class Page(Protocol):
    """The page as it is served, until it is closed; also a context manager."""

    url: str
    port: int

    def close(self) -> None:
        """Stop serving."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class PageMethods:
    """The page of a lake; a part of `Lake`."""

    def ui(self, *, port: int = 0) -> Page:
        """Serve the page of this lake to a browser of this machine; the result shows itself as its link.

        It stops with the process, or by `.close()`. `port` 0 takes any that is free; TracklakeError for one in use.

        >>> with example().ui() as page:
        ...     print(page)
        http://127.0.0.1:.../?token=...
        """
        return importlib.import_module("tracklake.ui").serve(self, port=port)  # type: ignore[no-any-return] # a Page
