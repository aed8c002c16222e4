"""An emulator of S3 (moto's server) with one bucket, for tests that speak real HTTP to a store."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Self


class S3Server:
    """A server process on a free port of the loopback address, for the time of a `with`."""

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(urllib.request.Request(f"{self.url}/bucket", method="PUT"), timeout=5)
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return self
        raise RuntimeError("moto's server does not answer")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def place(self, lake: str, *, container: str = "bucket") -> str:
        """Return the URL of a lake."""
        return f"s3://{container}/{lake}"

    @property
    def secret(self) -> str:
        """What must be written nowhere."""
        return self.options["secret_access_key"]

    @property
    def options(self) -> dict[str, str]:
        """What tl.open takes as storage_options."""
        return {
            "endpoint": self.url,
            "access_key_id": "key",
            "secret_access_key": "Zq7-never-written",
            "region": "us-east-1",
        }

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        return dict(zip(names, self.options.values(), strict=True))
