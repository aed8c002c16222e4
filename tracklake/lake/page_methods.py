"""What a lake shows in a browser, and reports; a part of `Lake`.

Page and reports stand on the lake and not the other way round, so they are called by their names when wanted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, Self

from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods

if TYPE_CHECKING:
    import os
    from pathlib import Path


class Page(Protocol):
    """The page as it is served, until it is closed; also a context manager."""

    url: str
    port: int

    def close(self) -> None:
        """Stop serving."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Report(Protocol):
    """A report as HTML, with what of it could not be resolved."""

    @property
    def title(self) -> str:
        """Its title."""
        ...

    @property
    def html(self) -> str:
        """All of it, in one document."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be resolved, and why."""
        ...

    def save(self, path: os.PathLike[str] | str) -> Path:
        """Write the HTML to a file, and return its path."""
        ...


@raised_again_by_methods
class PageMethods:
    """The page of a lake, and reports about it; a part of `Lake`."""

    def ui(self, *, port: int = 0) -> Page:
        """Serve the page of this lake to a browser of this machine; the result shows itself as its link.

        It stops with the process, or by `.close()`. `port` 0 takes any that is free; TracklakeError for one in use.

        >>> with example().ui() as page:
        ...     print(page)
        http://127.0.0.1:.../?token=...
        """
        return importlib.import_module("tracklake.ui").serve(self, port=port)  # type: ignore[no-any-return] # a Page

    def report(self, file: os.PathLike[str] | str, *, out: os.PathLike[str] | str | None = None) -> Report:
        """Resolve a report, Markdown that quotes this lake, to one HTML file; write it to `out` (.html, .pdf).

        `${run:summary.acc.max|.3f}` is a value of the run that the front matter names (`run:`, or `filter:` with
        `order:`), `${run:ID:config.lr}` one of any run. Fenced blocks ask: sql, query, plot and compare. What cannot
        be resolved is red, and listed in `.problems`. Raises ReportError for front matter that is none, and for a .pdf
        where no browser is there to print it.

        >>> from pathlib import Path
        >>> _ = Path("best.md").write_text("Reached ${run:fast:summary.acc.max|.1%}.")
        >>> example().report("best.md", out="best.html")
        Report('best', 0 unresolved)
        >>> "90.0%" in Path("best.html").read_text()
        True
        """
        path = arguments.path("file", file)
        render = importlib.import_module("tracklake.ui.reports").render
        report: Report = render(self, path.read_text(encoding="utf-8"), title=path.stem)
        if out is not None:
            report.save(out)
        return report
