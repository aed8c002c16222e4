"""Artifacts: named, versioned sets of files by content.

A version is one manifest, `artifacts/<project>/<name>/v<number>.json`, put there if it is absent, so that two writers
never make one number; its files lie under the lake's `files/` by their SHA-256. Aliases are a log of their own beside
the versions.

- `artifact`: an artifact as a script sees it: files are added, it is logged, found, and downloaded.
- `artifact_file`: one file of an artifact: of a version that was logged, and as an entry of its manifest.
- `artifact_version`: what a version says of itself: its name, aliases and size, the run that logged it, its users.
- `manifest`: what a version holds, as it is stored.
- `repository`: the versions of the artifacts of a lake: log, find, alias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.tracking.artifacts import artifact, repository

__all__ = ["artifact", "repository"]
__getattr__ = late_modules.of(__name__)
