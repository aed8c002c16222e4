"""An emulator of Azure's blob storage (azurite) with one container, for tests that speak real HTTP to a store."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import tempfile
import urllib.error
import urllib.request
from email.utils import formatdate

from store_server import StoreServer

COMMAND = "azurite-blob"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account of every azurite, as its documentation has it."""


def is_installed() -> bool:
    return shutil.which(COMMAND) is not None


class AzureServer(StoreServer):
    """A server process on a free port of the loopback address, for the time of a `with`."""

    def command(self) -> list[str]:
        self.folder = tempfile.mkdtemp(prefix="azurite-")
        flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", self.folder]
        return [COMMAND, *flags, "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_bucket(self) -> None:
        self._make_container("container")

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
