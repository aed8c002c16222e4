"""The machine, as far as the life of its processes is concerned."""

from __future__ import annotations

import socket
from pathlib import Path


def _node() -> str:
    """Return a name for the running kernel: file locks tell the truth among processes that share it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


NODE = _node()
