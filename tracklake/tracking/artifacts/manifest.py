"""What a version holds, as it is stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from tracklake.errors import ArtifactError, LakeError
from tracklake.storage import checked_json


class Entry(NamedTuple):
    """One file of an artifact: by content in the lake, or a reference to a place outside."""

    path: str
    """Below the root of the lake; empty for a reference."""
    sha256: str
    size: int
    reference: str = ""
    type_name: str = ""
    """`_type` of a media value that was added, such as "table-file"."""


class Manifest(NamedTuple):
    """One version of an artifact."""

    name: str
    type: str
    project: str
    version: int
    entries: dict[str, Entry]
    metadata: dict[str, Any]
    description: str | None = None
    run_id: str | None = None
    """The run that logged it."""
    created_at: str = ""
    """UTC, ISO 8601."""

    @property
    def digest(self) -> str:
        """The SHA-256 over names and contents of its files, in hexadecimal.

        >>> first = Manifest("data", "dataset", "p", 0, {"a": Entry("files/ab", "ab", 1)}, {})
        >>> first.digest == first._replace(version=1).digest
        True
        """
        content = sorted((name, entry.sha256 or entry.reference) for name, entry in self.entries.items())
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def size(self) -> int:
        """The bytes of its files.

        >>> Manifest("data", "dataset", "p", 0, {"a": Entry("files/ab", "ab", 7)}, {}).size
        7
        """
        return sum(entry.size for entry in self.entries.values())

    def to_json(self) -> bytes:
        """Return it as stored.

        >>> manifest = Manifest("data", "dataset", "p", 0, {"a": Entry("files/ab", "ab", 7)}, {"rows": 3})
        >>> Manifest.from_json(manifest.to_json()) == manifest
        True
        """
        entries = {name: entry._asdict() for name, entry in self.entries.items()}
        return checked_json.dumps({**self._asdict(), "entries": entries})

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read a stored one; ArtifactError where it is damaged or names a file outside. See `to_json` for an example.

        >>> Manifest.from_json(b"{")
        Traceback (most recent call last):
        tracklake.errors.ArtifactError: this is no manifest: ...
        """
        try:
            content = checked_json.loads(text)
            entries = {check_file_name(name): Entry(**entry) for name, entry in content["entries"].items()}
            return cls(**{**content, "entries": entries})
        except ArtifactError:
            raise
        except (LakeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArtifactError(f"this is no manifest: {error}") from error


def check_file_name(name: str) -> str:
    """Return the name of a file in an artifact; ArtifactError for one that leads out of the folder of a download.

    >>> check_file_name("../weights")
    Traceback (most recent call last):
    tracklake.errors.ArtifactError: '../weights' is no name of a file in an artifact; names are relative, without '..'
    """
    if name.startswith("/") or ".." in name.split("/") or not name:
        raise ArtifactError(f"{name!r} is no name of a file in an artifact; names are relative, without '..'")
    return name
