"""Named views: addresses of the page under a name, kept as files in the lake's folder `views`."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake.errors import QueryError
from tracklake.ui.replies import json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.ui.parameters import Parameters
    from tracklake.ui.replies import Reply
    from tracklake.ui.sources import Source

FOLDER = "views"
LONGEST = 200
"""Characters of a name."""


def views(source: Source, _: Parameters) -> Reply:
    """Return the views of a lake by name; a file that is none is passed over.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> views(Source(example(), name="lake"), Parameters([])).body
    b'{"views":[]}'
    """
    folder = source.folder(FOLDER)
    read = [_read(path) for path in sorted(folder.glob("*.json"))] if folder else []
    return json_reply({"views": sorted((view for view in read if view), key=lambda view: view["name"])})


def _read(path: Path) -> dict[str, str] | None:
    try:
        view = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_view = isinstance(view, dict) and isinstance(view.get("name"), str) and _is_address(view.get("address"))
    return {"name": view["name"], "address": view["address"]} if is_view else None


def _is_address(address: Any) -> bool:
    """Tell whether this is an address of the page itself, and no way to another site or to a script."""
    return isinstance(address, str) and address.startswith("/") and not address.startswith(("//", "/\\"))


def keep(source: Source, body: Mapping[str, Any]) -> Reply:
    """Keep an address under a name, or with the address null take the view away.

    >>> from tracklake.ui.sources import Source
    >>> keep(Source(example(), name="lake"), {"name": "best", "address": "/runs?order=-summary.acc.max"}).body
    b'{"name":"best"}'
    """
    name, address = body.get("name"), body.get("address")
    folder = source.writable_folder(FOLDER)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST:
        raise QueryError(f"a view has a name of 1 to {LONGEST} characters; got {name!r}")
    path = Path(folder, hashlib.sha256(name.encode()).hexdigest()[:24] + ".json")
    if address is None:
        path.unlink(missing_ok=True)
    elif _is_address(address):
        write_whole(path, json.dumps({"name": name, "address": address}, ensure_ascii=False))
    else:
        raise QueryError(f"a view is an address of the page, such as /runs?q=adam; got {address!r}")
    return json_reply({"name": name})


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all.

    >>> write_whole(Path("notes/a.md"), "# A")
    >>> Path("notes/a.md").read_text()
    '# A'
    """
    path.parent.mkdir(exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)
