"""Child processes of the tests: each runs a short script against this checkout's tracklake."""

from __future__ import annotations

import subprocess
import sys
import textwrap

IMPORTS = "import os, signal, sys, time\nimport tracklake as tl\n"


def start(script: str, *arguments: object, **options) -> subprocess.Popen:
    """Start a script that finds its arguments in sys.argv[1:]; what it prints is read through .stdout."""
    command = [sys.executable, "-c", IMPORTS + textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def output(script: str, *arguments: object, code: int = 0) -> str:
    """Run a script to its end, which must come with this exit code, and return what it printed."""
    child = start(script, *arguments, stderr=subprocess.PIPE)
    printed, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    return printed.strip()
