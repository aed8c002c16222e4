"""The clock by which an object store stamps its objects, which need not agree with that of this machine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from tracklake.common import interrupts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PLAUSIBLE = 240.0
"""Seconds of age up to which nobody is taken for silent, whatever the clocks say."""
_JUMP = 60.0
"""Seconds by which the clock of this machine may be set before the store's is asked anew."""
_TIMEOUT = 5.0
_RESOLUTION = 2.0
"""Seconds: a date has whole ones, and the answer takes its time."""


class StoreClock:
    """Times of a store by the clock of this machine.

    The store's is asked for (any answer to an HTTP request has a date) once a time does not look like that of the last
    few minutes; where it cannot be had, the clocks are taken to agree.

    >>> clock = StoreClock(None)
    >>> clock.local([1e9])
    [1000000000.0]
    """

    def __init__(self, endpoint: str | None) -> None:
        """`endpoint`: the URL of the store's server; None where it has no clock of its own."""
        self._endpoint = endpoint
        self._ahead = 0.0
        self._asked_at: float | None = None
        """By the clock of this machine less one that nobody sets."""

    def local(self, times: Iterable[float]) -> list[float]:
        """Return times of the store (seconds since the epoch) as the clock of this machine would have shown them.

        >>> StoreClock("http://127.0.0.1:9").local([])
        []
        """
        stamps, now = list(times), time.time()
        if self._endpoint is not None and any(not 0 <= now - stamp < _PLAUSIBLE for stamp in stamps):
            set_by = now - time.monotonic()
            if self._asked_at is None or abs(set_by - self._asked_at) > _JUMP:
                self._ahead, self._asked_at = seconds_ahead(self._endpoint), set_by
        return [stamp + self._ahead for stamp in stamps]


def seconds_ahead(endpoint: str) -> float:
    """Return by how many seconds the clock of this machine is ahead of a server's; 0 where they agree, or it is mute.

    >>> seconds_ahead("http://127.0.0.1:9")  # nobody answers there
    0.0
    """
    import urllib.error
    import urllib.request
    from email.utils import parsedate_to_datetime

    try:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - http or https, by `endpoint_of`
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            date = answer.headers["Date"]
    except urllib.error.HTTPError as error:  # without a signature it is refused, and dated all the same
        date = error.headers["Date"]
    except (OSError, ValueError) as error:
        interrupts.let_through(error)
        return 0.0
    try:
        ahead = time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return 0.0
    return ahead if abs(ahead) > _RESOLUTION else 0.0


def endpoint_of(scheme: str, options: Mapping[str, Any]) -> str | None:
    """Return the URL of the server behind a scheme, by the options of a connection and the environment.

    >>> endpoint_of("s3", {}), endpoint_of("gs", {}), endpoint_of("memory", {})
    ('https://s3.amazonaws.com', 'https://storage.googleapis.com', None)
    """
    if scheme.startswith("s3"):
        return _first(options, ("endpoint", "endpoint_url", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")) or _S3
    if scheme == "gs":
        return _first(options, ("base_url", "GOOGLE_BASE_URL")) or _GOOGLE
    if scheme.startswith("a"):
        account = _first(options, ("account_name", "AZURE_STORAGE_ACCOUNT_NAME"))
        endpoint = _first(options, ("endpoint", "AZURE_STORAGE_ENDPOINT"))
        return endpoint or (f"https://{account}.blob.core.windows.net" if account else None)
    return None


_S3, _GOOGLE = "https://s3.amazonaws.com", "https://storage.googleapis.com"


def _first(options: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Return the first of some settings that is a URL or a name."""
    lowered = {key.lower(): value for key, value in options.items()}
    values = (lowered.get(name.lower()) or os.environ.get(name) for name in names)
    return next((str(value) for value in values if value), None)
