"""The disk of the tests: what the operating system has taken counts as written, since no test cuts the power."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes of memory that must be free: the whole suite writes some 250 MB."""


def use_quick_disk() -> None:
    """Let `os.fsync` return at once in this process: a suite that seals ten thousand times waits for the disk else."""
    os.fsync = _fsync


def use_memory() -> None:
    """Make temporary folders of this process and its children in memory, where there is room: a file costs a fifth."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None  # it is looked up again


def _fsync(file: int | IO[bytes]) -> None:
    """Refuse what is no open file, as the real one does."""
    os.fstat(file if isinstance(file, int) else file.fileno())
