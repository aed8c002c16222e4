"""An emulator of Azure's blob storage (azurite) with one container, for tests that speak real HTTP to a store."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from email.utils import formatdate
from typing import Self

COMMAND = "azurite-blob"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account of every azurite, as its documentation has it."""


def is_installed() -> bool:
    return shutil.which(COMMAND) is not None


class AzureServer:
    """A server process on a free port of the loopback address, for the time of a `with`."""

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = tempfile.mkdtemp(prefix="azurite-")
        flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", self.folder]
        command = [shutil.which(COMMAND), *flags, "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                self._make_container("container")
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return self
        raise RuntimeError("azurite does not answer")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_container(self, name: str) -> None:
        """Send the one signed request that the library has no call for."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
        lines = [f"{key}:{value}" for key, value in sorted(headers.items())]
        path = f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        signed = "\n".join(["PUT", *[""] * 11, *lines, path])
        digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        url = f"{self.options['endpoint']}/{name}?restype=container"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=5)

    def place(self, lake: str, *, container: str = "container") -> str:
        """Return the URL of a lake."""
        return f"az://{container}/{lake}"

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        names = ("AZURE_STORAGE_ENDPOINT", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY")
        return dict(zip(names, self.options.values(), strict=True)) | {"AZURE_ALLOW_HTTP": "true"}

    @property
    def secret(self) -> str:
        """What must be written nowhere."""
        return KEY

    @property
    def options(self) -> dict[str, str]:
        """What tl.open takes as storage_options."""
        endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        return {"endpoint": endpoint, "account_name": ACCOUNT, "account_key": KEY}
