"""The commands `ui` and `mcp`, as processes."""

from __future__ import annotations

import http.client
import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from processes import command

import tracklake as tl


def test_ui_prints_its_link_and_ends_by_ctrl_c(tmp_path: Path):
    """The link lets a browser in; Ctrl-C ends the server without a traceback."""
    tl.open(tmp_path / "lake", create=True)
    code = "import signal as s; s.signal(s.SIGINT, s.default_int_handler); from tracklake.cli import main; main()"
    program = [sys.executable, "-c", code, "ui", "--dir", str(tmp_path / "lake"), "--no-browser"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            link = urlsplit(process.stdout.readline().strip())  # type: ignore[union-attr] # it is a pipe
            connection = http.client.HTTPConnection(link.hostname or "", link.port, timeout=120)
            connection.request("GET", f"{link.path}?{link.query}")
            assert connection.getresponse().status == 303
            connection.close()
            process.send_signal(signal.SIGINT)
            printed, errors = process.communicate(timeout=120)
            assert (printed, errors.strip()) in (("", ""), ("", "Aborted!"))  # the latter where click meets it first
        finally:
            process.kill()


def test_ui_without_a_lake(tmp_path: Path):
    """One line says that there is none, and the exit code is 2."""
    done = command("ui", "--dir", tmp_path / "none", "--no-browser")
    assert (done.returncode, "there is no lake at" in done.stderr) == (2, True)


@pytest.mark.skipif(importlib.util.find_spec("mcp") is not None, reason="mcp is installed")
def test_mcp_without_the_extra(tmp_path: Path):
    """One line names the extra, and the exit code is 2."""
    tl.open(tmp_path / "lake", create=True)
    done = command("mcp", "--dir", tmp_path / "lake")
    assert (done.returncode, "tracklake[mcp]" in done.stderr) == (2, True)
