"""The guard: who may ask this server for something. Every rule is one check, and every check has a test.

Other users of the machine reach the loopback address, other sites reach it through the user's browser, and a name
server may point any name at it. So: the exact Host, a secret cookie that only the printed link gives, the exact Origin
of whatever changes something, and limits on what is read.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

BODY_LIMIT = 1_000_000
"""Bytes of a request's body."""
TARGET_LIMIT = 60_000
"""Characters of an address."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every reply carries."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of ours
    """A request that is not served: the status and one sentence that says why and what to do."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """The rules of one server, with its two secrets: the token of the link and the value of the cookie.

    >>> guard = Guard(8765)
    >>> guard.cookie_name, len(guard.token) >= 32
    ('tracklake_8765', True)
    """

    def __init__(self, port: int) -> None:
        self.cookie_name = f"tracklake_{port}"  # cookies do not tell ports apart, so their names do
        self.token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")

    def check_request(self, method: str, target: str, headers: Message) -> None:
        """Refuse what no client of ours sends: another Host, an encoded or endless body, an endless address.

        >>> from email.message import Message
        >>> Guard(80).check_request("GET", "/", Message())
        Traceback (most recent call last):
        tracklake.ui.guard.Refusal: this server answers to 127.0.0.1:80 only, not to None; open the printed link
        """
        hosts = headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            names = " and ".join(hosts) or None
            raise Refusal(421, f"this server answers to {self._hosts[0]} only, not to {names}; open the printed link")
        if len(target) > TARGET_LIMIT:
            raise Refusal(414, f"an address has at most {TARGET_LIMIT:,} characters; choose runs by a filter instead")
        if headers.get("Transfer-Encoding") is not None:
            raise Refusal(501, "bodies are sent with a Content-Length, without Transfer-Encoding")
        if method not in ("GET", "HEAD", "POST"):
            raise Refusal(405, f"{method} is not served; GET asks and POST changes")

    def body_length(self, headers: Message) -> int:
        """Return how many bytes of body a POST has; refuse what is not said, too long, or no JSON.

        >>> from email.message import Message
        >>> headers = Message()
        >>> headers["Content-Length"], headers["Content-Type"] = "12", "application/json"
        >>> Guard(80).body_length(headers)
        12
        """
        lengths = headers.get_all("Content-Length") or []
        if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise Refusal(411, "a POST says its Content-Length")
        if int(lengths[0]) > BODY_LIMIT:
            raise Refusal(413, f"a body has at most {BODY_LIMIT:,} bytes")
        if headers.get_content_type() != "application/json":
            raise Refusal(415, "a POST is application/json")
        return int(lengths[0])

    def check_origin(self, headers: Message) -> None:
        """Refuse a change that another site asks for.

        >>> from email.message import Message
        >>> Guard(80).check_origin(Message())
        Traceback (most recent call last):
        tracklake.ui.guard.Refusal: a change comes from the page itself (Origin http://127.0.0.1:80), not from None
        """
        allowed = [f"http://{headers.get('Host')}"] if headers.get("Host") in self._hosts else []
        if headers.get_all("Origin") != allowed or not allowed:
            own = f"http://{self._hosts[0]}"
            raise Refusal(403, f"a change comes from the page itself (Origin {own}), not from {headers.get('Origin')}")

    def is_token(self, token: str) -> bool:
        """Tell whether this is the token of the printed link.

        >>> guard = Guard(80)
        >>> guard.is_token(guard.token), guard.is_token("")
        (True, False)
        """
        return hmac.compare_digest(token.encode(), self.token.encode())

    def has_cookie(self, headers: Message) -> bool:
        """Tell whether the browser came in by the link.

        >>> from email.message import Message
        >>> Guard(80).has_cookie(Message())
        False
        """
        try:
            cookies = SimpleCookie(headers.get("Cookie", ""))
        except CookieError:
            return False
        cookie = cookies.get(self.cookie_name)
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._session.encode())

    def cookie(self) -> str:
        """Return the header that lets a browser in.

        >>> Guard(80).cookie().split("; ")[1:]
        ['Path=/', 'HttpOnly', 'SameSite=Strict']
        """
        return f"{self.cookie_name}={self._session}; Path=/; HttpOnly; SameSite=Strict"
