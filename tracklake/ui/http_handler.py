"""One connection: requests are read within limits, held against the guard, answered by the application, written."""

from __future__ import annotations

import io
import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from tracklake.errors import RunNotFoundError, TracklakeError
from tracklake.ui import static_files
from tracklake.ui.deadlines import DeadlineReader
from tracklake.ui.guard import HEADERS, Refusal
from tracklake.ui.parameters import Parameters
from tracklake.ui.replies import Reply, error_reply

if TYPE_CHECKING:
    from tracklake.ui.application import Application
    from tracklake.ui.guard import Guard

IDLE_SECONDS = 20.0
"""How long a connection may wait for its next request, headers included."""
BODY_SECONDS = 10.0
WRITE_SECONDS = 20.0
LINK_NEEDED = "open the link that `tracklake ui` or lake.ui() printed: it lets this browser in"


class Serving(Protocol):
    """What a connection needs of its server."""

    guard: Guard
    application: Application


class HttpHandler(BaseHTTPRequestHandler):
    """Serves one connection of a browser.

    >>> HttpHandler.protocol_version
    'HTTP/1.1'
    """

    protocol_version = "HTTP/1.1"
    server_version = "tracklake"
    sys_version = ""
    disable_nagle_algorithm = True
    server: Serving  # type: ignore[assignment] # the base says less

    def setup(self) -> None:
        """Read through a deadline.

        >>> HttpHandler.setup.__name__
        'setup'
        """
        super().setup()
        self._reader = DeadlineReader(self.connection)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Serve one request, of which the headers must be here in time.

        >>> HttpHandler.handle_one_request.__name__
        'handle_one_request'
        """
        self._reader.allow(IDLE_SECONDS)
        try:
            super().handle_one_request()
        except OSError:  # the client went away, or took too long
            self.close_connection = True

    def _answer(self) -> None:
        try:
            reply = self._reply()
        except Refusal as refusal:
            self.close_connection = True  # what is left of the request is not read
            reply = error_reply(str(refusal), status=refusal.status)
        self._write(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _answer  # noqa: N815 - names of the base

    def _reply(self) -> Reply:
        guard = self.server.guard
        guard.check_request(self.command, self.path, self.headers)
        address = urlsplit(self.path)
        query = parse_qsl(address.query, keep_blank_values=True)
        if self.command == "GET" and address.path == "/" and any(name == "token" for name, _ in query):
            return self._let_in(query)
        if not guard.has_cookie(self.headers):
            return self._unknown_browser(address.path)
        if self.command != "POST":
            return self._served(address.path, Parameters(query), None)
        guard.check_origin(self.headers)
        return self._served(address.path, Parameters(query), self._body())

    def _let_in(self, query: list[tuple[str, str]]) -> Reply:
        """Change the token of the link for a cookie, and lead to the same page without it."""
        tokens = [value for name, value in query if name == "token"]
        if len(tokens) != 1 or not self.server.guard.is_token(tokens[0]):
            raise Refusal(403, f"the token of this link is not this server's; {LINK_NEEDED}")
        remaining = urlencode([pair for pair in query if pair[0] != "token"])
        location = "/runs" + (f"?{remaining}" if remaining else "")
        return Reply(b"", status=303, headers={"Location": location, "Set-Cookie": self.server.guard.cookie()})

    def _unknown_browser(self, path: str) -> Reply:
        """Refuse, or where the browser only held its cookie back (a link on another site) let it come again."""
        if self.headers.get("Sec-Fetch-Site") == "cross-site" and self.headers.get("Sec-Fetch-Mode") == "navigate":
            again = b"<!doctype html><meta http-equiv=refresh content=0><title>tracklake</title>"
            return Reply(again, "text/html; charset=utf-8")
        if path.startswith(("/api/", "/static/")):
            raise Refusal(403, LINK_NEEDED)
        return Reply(static_files.refused_page(LINK_NEEDED), "text/html; charset=utf-8", status=403)

    def _body(self) -> dict[str, Any]:
        length = self.server.guard.body_length(self.headers)
        self._reader.allow(BODY_SECONDS)
        try:
            body = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"the body is no JSON: {error}") from error
        if not isinstance(body, dict):
            raise Refusal(400, "the body is a JSON object")
        return body

    def _served(self, path: str, parameters: Parameters, body: dict[str, Any] | None) -> Reply:
        try:
            return self.server.application.answer(path, parameters, body)
        except RunNotFoundError as error:
            return error_reply(str(error), status=404)
        except (TracklakeError, TypeError) as error:
            if isinstance(error, TypeError) and not _is_of_the_door(error):
                return self._failed(error)
            return error_reply(str(error))
        except OSError as error:
            return error_reply(f"the lake cannot be read: {error}", status=503)
        except Exception as error:  # noqa: BLE001 - one request that fails must not take the page down
            return self._failed(error)

    def _failed(self, error: Exception) -> Reply:
        traceback.print_exception(error, file=sys.stderr)
        return error_reply(f"this should not happen: {type(error).__name__}: {error}", status=500)

    def _write(self, reply: Reply) -> None:
        self.connection.settimeout(WRITE_SECONDS)
        self.send_response(reply.status)
        for name, value in {**HEADERS, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request at all as everything else is answered.

        >>> HttpHandler.send_error.__name__  # tests/ui/test_safety.py sends nonsense
        'send_error'
        """
        self.close_connection = True
        self._write(error_reply(explain or message or f"status {code}", status=code))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
        """Say nothing: a terminal is for the link.

        >>> HttpHandler.log_message.__name__
        'log_message'
        """


def _is_of_the_door(error: TypeError) -> bool:
    """Tell whether an argument was refused (raised in tracklake itself) rather than something being broken inside."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "tracklake" in frames[-1].filename
