"""The lake as tools for a model: read-only, over standard input and output, with answers small enough to be read.

- `answers`: what each tool answers: text within limits, or a picture.
- `server`: the tools as the package `mcp` (an extra) serves them.
"""

from __future__ import annotations

from tracklake.ui.mcp_server.server import serve

__all__ = ["serve"]
