"""The application: which address is answered by which function."""

from __future__ import annotations

import _thread
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tracklake._version import VERSION
from tracklake.errors import LakeError, QueryError, TracklakeError, UnknownNameError
from tracklake.ui import (
    analysis_pages,
    code_pages,
    curves,
    group_labels,
    media_pages,
    query_pages,
    report_pages,
    run_details,
    run_rows,
    static_files,
    views,
    vocabulary,
)
from tracklake.ui.edits import EDITS
from tracklake.ui.parameters import Parameters
from tracklake.ui.replies import error_reply, json_reply
from tracklake.ui.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracklake.lake.lake import Lake
    from tracklake.ui.replies import Reply

PAGES = ("runs", "run", "charts", "scatter", "parallel", "compare", "sweep", "reports", "queries")
"""The first parts of the addresses that show a page."""

HEAD_START_SECONDS = 1.5
"""How long the first page has a lake of many runs to itself before the columns of all runs are read."""


class Application:
    """The page over one lake or several.

    >>> from tracklake.ui.parameters import Parameters
    >>> Application([example()]).answer("/runs", Parameters([]), None).content_type
    'text/html; charset=utf-8'
    """

    def __init__(self, lakes: Sequence[Lake]) -> None:
        if not lakes:
            raise LakeError("the page shows one lake or several, and none was given")
        self.sources = {name: Source(lake, name=name) for name, lake in _named(lakes).items()}
        self.closing = threading.Event()

    def answer(self, path: str, parameters: Parameters, body: dict[str, Any] | None) -> Reply:
        """Answer one request that has passed the guard; `body` is that of a POST.

        >>> from tracklake.ui.parameters import Parameters
        >>> Application([example()]).answer("/api/nothing", Parameters([]), None).status
        404
        """
        first, _, below = path.removeprefix("/").partition("/")
        if first == "static":
            return static_files.file(below)
        if first != "api":
            return static_files.page()._replace(
                status=200 if first in ("", *PAGES) else 404
            )  # it says itself what is wrong
        if body is not None:
            change = CHANGES.get(below)
            return change(self._source(parameters), body) if change else error_reply(f"no change {below}", status=404)
        if below == "lakes":
            return json_reply(self._lakes())
        route = QUESTIONS.get(below)
        return route(self._source(parameters), parameters) if route else error_reply(f"no question {below}", status=404)

    def warm(self) -> threading.Thread:
        """Read the runs in the background: first the rows of the first page, then, once it has them, all columns.

        >>> Application([example()]).warm().join()
        """
        thread = threading.Thread(target=self._read_once, name="tracklake-ui-warm", daemon=True)
        thread.start()
        return thread

    def _read_once(self) -> None:
        try:
            for source in self.sources.values():
                with suppress(TracklakeError, OSError):  # the page tells what is wrong
                    run_rows.window(source, Parameters([]))
            for source in self.sources.values():
                if source.is_cold and not self.closing.wait(HEAD_START_SECONDS):
                    with suppress(TracklakeError, OSError):  # likewise
                        run_rows.table(source, run_rows.read_question(source, Parameters([])))
        except KeyboardInterrupt:  # polars raises it in the thread that asks; it is meant for the main one
            _thread.interrupt_main()

    def _source(self, parameters: Parameters) -> Source:
        name = parameters.text("lake") or next(iter(self.sources))
        if name not in self.sources:
            raise UnknownNameError.nearest("lake", name, self.sources)
        return self.sources[name]

    def _lakes(self) -> dict[str, Any]:
        lakes = [
            {"name": s.name, "dir": s.dir, "read_only": s.is_read_only, "keeps": s.folder("views") is not None}
            for s in self.sources.values()
        ]
        return {"tracklake": VERSION, "lakes": lakes}


def _named(lakes: Sequence[Lake]) -> dict[str, Lake]:
    """Name each lake by the last part of its folder, and by all of it where two are called the same."""
    short = [" + ".join(_end(place) for place in lake.dir.split(",")) for lake in lakes]
    return {lake.dir if short.count(name) > 1 else name: lake for lake, name in zip(lakes, short, strict=True)}


def _end(place: str) -> str:
    return place.rstrip("/").rpartition("/")[2] or place


def _changes(source: Source, parameters: Parameters) -> Reply:
    version = source.version()
    return json_reply({"version": version, "changed": version != parameters.text("since")})


def _runs(source: Source, parameters: Parameters) -> Reply:
    return json_reply(run_rows.window(source, parameters))


def _groups(source: Source, parameters: Parameters) -> Reply:
    if not parameters.texts("group"):
        raise QueryError("the address lacks group=...: the columns that runs are grouped by")
    return json_reply(run_rows.groups(source, parameters))


QUESTIONS: dict[str, Callable[[Source, Parameters], Reply]] = {
    "changes": _changes,
    "runs": _runs,
    "groups": _groups,
    "labels": lambda source, parameters: json_reply(group_labels.labels(source, parameters)),
    "schema": lambda source, _: json_reply(vocabulary.schema(source)),
    "code": code_pages.code,
    "run": lambda source, parameters: json_reply(run_details.details(source, parameters)),
    "quality": lambda source, parameters: json_reply(run_details.quality(source, parameters)),
    "curves": curves.chart,
    "bands": lambda source, parameters: json_reply(curves.bands(source, parameters)),
    "values": curves.values,
    "compare": analysis_pages.compare,
    "sweep": analysis_pages.sweep,
    "picture": analysis_pages.picture,
    "queries": query_pages.queries,
    "ask": query_pages.ask,
    "array": query_pages.array,
    "file": query_pages.file,
    "media": media_pages.media,
    "views": views.views,
    "reports": report_pages.reports,
    "report": report_pages.report,
    "preview_page": report_pages.preview_page,
}
CHANGES = {**EDITS, "view": views.keep, "report": report_pages.save, "preview": report_pages.preview}
