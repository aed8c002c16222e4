"""Child processes of the tests: real ones, forked from a process that has imported everything and done nothing.

A fresh interpreter would take most of a second for its imports, and there are many.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import Self

PATIENCE = 120.0
"""Seconds that a child may take: one that waits for a lock which a fork has left taken waits for ever."""
NURSERY = """
import ctypes, json, os, signal, socket, sys, time
import duckdb, polars, pyarrow.parquet
import tracklake as tl

sys.path.insert(0, sys.argv[2])
import quick_disk
sys.path.pop(0)
quick_disk.use_quick_disk()
[getattr(tl, name) for name in tl.__all__]   # they load when they are first used
line, running = socket.socket(fileno=int(sys.argv[1])), set()
while True:
    message, ends, _, _ = socket.recv_fds(line, 1 << 18, 2)
    if not message:   # the tests are over, or were killed: what they have started ends with them
        [os.killpg(pid, signal.SIGKILL) for pid in running]
        os._exit(0)
    request = json.loads(message)
    if "poll" in request:
        pid, status = os.waitpid(request["poll"], os.WNOHANG)
        running.discard(pid)
        line.send(json.dumps(os.waitstatus_to_exitcode(status) if pid else None).encode())
        continue
    child = os.fork()
    if child == 0:
        break
    os.setpgid(child, child)   # it may fork in turn: all of them can be killed together
    running.add(child)
    line.send(json.dumps(child).encode())
    [os.close(end) for end in ends]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)   # PR_SET_PDEATHSIG: it ends with this process, also a killed one
line.close()
[os.dup2(end, 1 + i) for i, end in enumerate(ends)] and [os.close(end) for end in ends]
os.chdir(request["folder"])
os.environ.clear()
os.environ.update(request["environment"])
sys.argv = ["script", *request["arguments"]]
exec(request["script"])
"""


@functools.cache
def nursery() -> socket.socket:
    """The line to the process that forks: it answers a script with a process id, and a process id with an exit code."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-c", NURSERY, str(there.fileno()), str(Path(__file__).parent)]
    subprocess.Popen(command, pass_fds=[there.fileno()])
    there.close()
    return here


class Child:
    """A running script, used like a subprocess.Popen; leaving its context kills it and all that it has started."""

    def __init__(self, script: str, *arguments: object, folder: Path | None = None) -> None:
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        request = {
            "script": textwrap.dedent(script),
            "arguments": [str(argument) for argument in arguments],
            "environment": dict(os.environ),
            "folder": str(folder or Path.cwd()),
        }
        socket.send_fds(nursery(), [json.dumps(request).encode()], [out_end, err_end])
        os.close(out_end), os.close(err_end)
        self.pid: int = json.loads(nursery().recv(100))
        self.stdout, self.stderr = os.fdopen(out), os.fdopen(err)
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.poll() is None:  # its id is its own until it is waited for
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            nursery().send(json.dumps({"poll": self.pid}).encode())
            self.returncode = json.loads(nursery().recv(100))
        return self.returncode

    def wait(self) -> int:
        """Return the exit code when there is one."""
        deadline = time.monotonic() + PATIENCE
        while self.poll() is None:
            assert time.monotonic() < deadline, "the child does not end"
            time.sleep(0.005)
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, as kill -9 does."""
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        """Return all that it printed, and its errors, when it has ended; where it waits for ever it is killed."""
        killing = threading.Timer(PATIENCE, os.killpg, (self.pid, signal.SIGKILL))
        killing.start()
        with self.stdout, self.stderr:
            printed = self.stdout.read(), self.stderr.read()
        killing.cancel()
        self.wait()
        return printed


def start(script: str, *arguments: object, folder: Path | None = None) -> Child:
    """Start a script that finds os, signal, sys, time and tracklake as tl, and its arguments in sys.argv[1:]."""
    return Child(script, *arguments, folder=folder)


def at_once(script: str, *arguments: object, number: int) -> list[str]:
    """Run so many copies of a script side by side, each with its number as last argument; return what each printed."""
    children = [start(script, *arguments, i) for i in range(number)]
    printed = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0] * number, printed
    return [said.strip() for said, _ in printed]


def output(script: str, *arguments: object, code: int = 0) -> str:
    """Run a script to its end, which must come with this exit code, and return what it printed."""
    child = start(script, *arguments)
    printed, errors = child.communicate()
    assert child.returncode == code, errors
    return printed.strip()


def command(*words: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `tracklake` with these words in a process of its own, and return what became of it."""
    child = start("import tracklake.cli; tracklake.cli.main(sys.argv[1:], 'tracklake')", *words, folder=folder)
    printed, errors = child.communicate()
    return subprocess.CompletedProcess(words, child.returncode, printed, errors)


def open_to_others(folder: Path) -> None:
    """Let other users read what lies in a folder of pytest: it keeps those between it and the temporary folder shut."""
    above = Path(tempfile.gettempdir()).resolve()
    for path in (folder, *folder.parents):
        if path.resolve() == above or above not in path.resolve().parents:
            return
        path.chmod(path.stat().st_mode | 0o055)
