"""A proxy before an emulator of an object store: it counts requests, and has faults of a network or a store."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Fault = Callable[[str, str, int], str | None]
"""What happens to a request, by its method, path and number: None (nothing), an answer's code, "landed" or "cut"."""
ANSWERS = {
    "403": (403, "ExpiredToken", "The provided token has expired."),
    "404": (404, "NoSuchBucket", "The specified bucket does not exist"),
    "409": (409, "ConditionalRequestConflict", "A conflicting conditional operation is in progress"),
    "503": (503, "SlowDown", "Please reduce your request rate."),
    "500": (500, "InternalError", "We encountered an internal error."),
}


def no_fault(method: str, path: str, number: int) -> None:
    """Hand every request on."""


class StoreProxy:
    """A server on a free port of the loopback address that hands requests on to another one, for the time of a `with`.

    `fault` may be set at any time; `requests` lists method and path of all that came.
    """

    def __init__(self, port: int) -> None:
        self.behind = port
        self.fault: Fault = no_fault
        self.requests: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                proxy.answer(self)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self._lock:
            self.requests.append((request.command, request.path))
            number = len(self.requests)
        fault = self.fault(request.command, request.path, number)
        if fault == "cut":
            request.close_connection = True
            return
        if fault in ANSWERS:
            self._refuse(request, *ANSWERS[fault])
            return
        back = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=60)
        back.request(request.command, request.path, body or None, dict(request.headers))
        with back.getresponse() as response:
            content = response.read()
            if fault == "landed":  # it was done, and nobody hears of it
                self._refuse(request, *ANSWERS["500"])
                return
            request.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date", "server", "content-length"):
                    request.send_header(name, value)
            size = response.getheader("Content-Length") if request.command == "HEAD" else None
            request.send_header("Content-Length", size or str(len(content)))
            request.end_headers()
            request.wfile.write(content)
        back.close()

    @staticmethod
    def _refuse(request: BaseHTTPRequestHandler, status: int, code: str, message: str) -> None:
        content = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/xml")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)
