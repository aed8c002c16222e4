"""A server of objects as a process of its own, on a free port of the loopback address."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import Self

PATIENCE = 120.0
"""Seconds until the server must answer."""


class StoreServer:
    """The server of a subclass, for the time of a `with`, with one bucket."""

    port: int

    def __enter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE
        self._begin()
        while True:
            try:
                self.make_bucket()
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline:
                    self.process.kill()
                    raise
                time.sleep(0.05)
            else:
                if self.process.poll() is None:
                    return self
            if self.process.poll() is not None:  # another process has taken the port meanwhile, and may have answered
                self._begin()

    def _begin(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)

    def command(self) -> list[str]:
        """Return the words that start the server."""
        raise NotImplementedError

    def make_bucket(self) -> None:
        """Make the bucket; URLError or OSError while nobody answers."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/bucket", method="PUT"), timeout=5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"
