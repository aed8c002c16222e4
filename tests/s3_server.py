"""An emulator of S3 (moto's server) with one bucket, for tests that speak real HTTP to a store."""

from __future__ import annotations

import sys

from store_server import StoreServer


class S3Server(StoreServer):
    """A server process on a free port of the loopback address, for the time of a `with`."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

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
