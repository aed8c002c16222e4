"""Reports for the page: the Markdown files in the lake's folder `reports`, shown, edited with a preview, saved."""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from tracklake.errors import QueryError, ReportError, UnknownNameError
from tracklake.ui import replies
from tracklake.ui.reports import render
from tracklake.ui.views import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracklake.ui.parameters import Parameters
    from tracklake.ui.replies import Reply
    from tracklake.ui.reports import Report
    from tracklake.ui.sources import Source

FOLDER = "reports"
SUFFIX = ".md"
PREVIEWS = 8
"""Previews kept, the oldest given up first."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups; frame-ancestors 'self'"
_NAME = re.compile(r"\w[\w .+-]{0,99}")
_previews: OrderedDict[str, str] = OrderedDict()


def reports(source: Source, _: Parameters) -> Reply:
    """Return the names of a lake's reports, and the folder they lie in.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> reports(Source(example(), name="lake"), Parameters([])).body[:14]
    b'{"reports":[],'
    """
    folder = source.folder(FOLDER)
    paths = [] if folder is None else folder.glob(f"*{SUFFIX}")
    names = sorted(path.stem for path in paths if _NAME.fullmatch(path.stem))
    return replies.json_reply({"reports": names, "folder": None if folder is None else str(folder)})


def report(source: Source, parameters: Parameters) -> Reply:
    """Return a report as it is written (form absent), resolved to show in a frame (page), or as a file to keep (html).

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> source = Source(example(), name="lake")
    >>> save(source, {"name": "first", "text": "# ${run:fast:name}"}).status
    200
    >>> report(source, Parameters([("name", "first"), ("form", "page")])).content_type
    'text/html; charset=utf-8'
    """
    name, form = parameters.needed("name"), parameters.text("form")
    folder = source.folder(FOLDER)
    path = None if folder is None else _path(folder, name)
    if path is None or not path.exists():
        raise UnknownNameError.nearest("report", name, [p.stem for p in folder.glob(f"*{SUFFIX}")] if folder else [])
    text = path.read_text(encoding="utf-8")
    if form is None:
        return replies.json_reply({"name": name, "text": text})
    resolved: Report = source.cached(("report", name, text), lambda: _resolved(source, text, name))
    if form == "html":
        return replies.download(resolved.html.encode(), name=f"{name}.html", content_type="text/html; charset=utf-8")
    return _framed(resolved.html)


def preview(source: Source, body: Mapping[str, Any]) -> Reply:
    """Resolve a text that is not saved: its problems, and the key under which a frame gets its page.

    >>> from tracklake.ui.sources import Source
    >>> preview(Source(example(), name="lake"), {"text": "${run:none:name}"}).body[:32]
    b'{"problems":["${run:none:name}: '
    """
    text = _text(body)
    try:
        resolved = _resolved(source, text, "Preview")
    except ReportError as error:
        return replies.json_reply({"problems": [str(error)], "key": None})
    key = secrets.token_urlsafe(12)
    _previews[key] = resolved.html
    while len(_previews) > PREVIEWS:
        _previews.popitem(last=False)
    return replies.json_reply({"problems": resolved.problems, "key": key})


def preview_page(_: Source, parameters: Parameters) -> Reply:
    """Return a page that was previewed, for a frame.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> preview_page(Source(example(), name="lake"), Parameters([("key", "x")]))
    Traceback (most recent call last):
    tracklake.errors.QueryError: this preview is gone: ask for it again
    """
    html = _previews.get(parameters.needed("key"))
    if html is None:
        raise QueryError("this preview is gone: ask for it again")
    return _framed(html)


def save(source: Source, body: Mapping[str, Any]) -> Reply:
    """Save a report under a name; with the text null take it away.

    >>> from tracklake.ui.sources import Source
    >>> save(Source(example(), name="lake"), {"name": "../x", "text": ""})
    Traceback (most recent call last):
    tracklake.errors.QueryError: '../x' is no name of a report: letters, digits, blanks and . + - _, up to 100
    """
    path = _path(source.writable_folder(FOLDER), body.get("name"))
    if body.get("text") is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, _text(body))
    return replies.json_reply({"name": path.stem})


def _path(folder: Path, name: Any) -> Path:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise QueryError(f"{name!r} is no name of a report: letters, digits, blanks and . + - _, up to 100")
    return folder / f"{name}{SUFFIX}"


def _text(body: Mapping[str, Any]) -> str:
    text = body.get("text")
    if not isinstance(text, str):
        raise QueryError(f"text is a text; got {text!r}")
    return text


def _resolved(source: Source, text: str, name: str) -> Report:
    with source.asking() as lake:
        return render(lake, text, title=name)


def _framed(html: str) -> Reply:
    headers = {"Content-Security-Policy": POLICY}
    return replies.Reply(html.encode(), "text/html; charset=utf-8", headers=headers)
