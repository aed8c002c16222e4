"""The spool: the local folder from which this machine's journals of a lake on an object store are uploaded.

Below $TRACKLAKE_SPOOL, else the user's state folder, each lake has a folder of its own, with its URL in a file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_URL_FILE = "url"


def spool_root() -> Path:
    """Return the folder of all spools of this machine's user.

    >>> spool_root().is_absolute()
    True
    """
    folder = os.environ.get("TRACKLAKE_SPOOL")
    if folder:
        return Path(folder).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tracklake" / "spool"


def spool_of(url: str) -> Path:
    """Return the spool of a lake; it need not be there.

    >>> os.environ["TRACKLAKE_SPOOL"] = "spool"
    >>> spool_of("s3://bucket/lake").parent.name
    'spool'
    >>> del os.environ["TRACKLAKE_SPOOL"]
    """
    return spool_root() / hashlib.sha256(url.encode()).hexdigest()[:16]


def make(url: str, folder: str) -> Path:
    """Return a folder of the spool of a lake, made if it is not there.

    >>> os.environ["TRACKLAKE_SPOOL"] = "spool"
    >>> make("s3://bucket/lake", "journal").is_dir(), list(spools())
    (True, ['s3://bucket/lake'])
    >>> del os.environ["TRACKLAKE_SPOOL"]
    """
    spool = spool_of(url)
    (spool / folder).mkdir(parents=True, exist_ok=True)
    (spool / _URL_FILE).write_text(url, encoding="utf-8")
    return spool / folder


def spools() -> dict[str, Path]:
    """Return the spools that are there, by the URL of their lake.

    >>> os.environ["TRACKLAKE_SPOOL"] = "nowhere"
    >>> spools()
    {}
    >>> del os.environ["TRACKLAKE_SPOOL"]
    """
    files = sorted(spool_root().glob(f"*/{_URL_FILE}"))
    return {file.read_text(encoding="utf-8"): file.parent for file in files}
