"""The files of the page: modules, styles and the one document that holds them, read once from the package."""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path

from tracklake.ui.replies import Reply, error_reply

FOLDER = Path(__file__).with_name("static")
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}


@cache
def names() -> frozenset[str]:
    """Return the names of all files, relative to the folder.

    >>> "index.html" in names() and "vendor/lit-html.js" in names()
    True
    """
    return frozenset(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in TYPES)


def file(name: str) -> Reply:
    """Return a file by its name; anything that is not in the list is not found, so no path leads out of the folder.

    >>> file("style.css").content_type, file("../server.py").status
    ('text/css; charset=utf-8', 404)
    """
    if name not in names():
        return error_reply(f"there is no file {name}", status=404)
    path = FOLDER / name
    return Reply(path.read_bytes(), TYPES[path.suffix], headers={"Cache-Control": "no-cache"})


def page() -> Reply:
    """Return the document of every page; what it shows is in its address.

    >>> page().body[:15]
    b'<!doctype html>'
    """
    return Reply((FOLDER / "index.html").read_bytes(), TYPES[".html"])


def refused_page(reason: str) -> bytes:
    """Return a page of one sentence, for a browser that did not come in by the link.

    >>> b"&lt;b&gt;" in refused_page("<b>")
    True
    """
    return f"<!doctype html><title>tracklake</title><p>{html.escape(reason)}</p>".encode()
