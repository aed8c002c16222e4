"""The server: HTTP on the loopback address, a thread a connection, and no more of them than a page needs."""

from __future__ import annotations

import _thread
import atexit
import selectors
import socket
import threading
import time
import webbrowser
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from tracklake.errors import TracklakeError
from tracklake.ui.guard import Guard
from tracklake.ui.http_handler import HttpHandler

if TYPE_CHECKING:
    from tracklake.ui.application import Application

CONNECTIONS = 48
"""Connections at once: eight tabs of six each."""
CLOSE_SECONDS = 5.0
"""How long closing waits for what is being answered."""
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server(ThreadingHTTPServer):
    """Serves an application on 127.0.0.1 until it is closed; `url` is the link that lets a browser in.

    It is also a context manager. Raises TracklakeError where the port is taken.

    >>> from tracklake.ui.application import Application
    >>> with Server(Application([example()])) as server:
    ...     server.url.startswith(f"http://127.0.0.1:{server.port}/?token=")
    True
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    timeout = 0.0  # of `handle_request`: it is called when somebody waits
    allow_reuse_address = True

    def __init__(self, application: Application, *, port: int = 0) -> None:
        try:
            super().__init__(("127.0.0.1", port), HttpHandler)
        except OSError as error:
            raise TracklakeError(
                f"port {port} of 127.0.0.1 is not to be had ({error.strerror}): give another, or 0 for any"
            ) from error
        self.application = application
        self.port: int = self.server_address[1]
        self.guard = Guard(self.port)
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._open: set[Any] = set()
        self._waking, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="tracklake-ui", daemon=True)
        self._thread.start()
        self._warming = application.warm()
        atexit.register(self.close)  # a thread that is inside native code while Python ends would abort the process

    @property
    def url(self) -> str:
        """The link to open; it holds the token.

        >>> from tracklake.ui.application import Application
        >>> with Server(Application([example()])) as server:
        ...     len(server.url) > 60
        True
        """
        return f"http://127.0.0.1:{self.port}/?token={self.guard.token}"

    def _accept(self) -> None:
        """Accept connections until `close` wakes it: one that looked now and then would let a close wait."""
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(self._waking, selectors.EVENT_READ)
            while not self.application.closing.is_set():
                selector.select()
                self.handle_request()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Give a connection a thread, or where there are too many send it away.

        >>> Server.process_request.__name__  # tests/ui/test_server.py opens too many
        'process_request'
        """
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            if not isinstance(request, tuple):
                request.setblocking(False)
                request.send(BUSY)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection.

        >>> Server.process_request_thread.__name__
        'process_request_thread'
        """
        self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        except KeyboardInterrupt:  # polars raises it in the thread that asks; it is meant for the main one
            _thread.interrupt_main()
        finally:
            self._open.discard(request)
            self._room.release()

    def close(self) -> None:
        """Stop, end what connections there are, and give the port back.

        >>> from tracklake.ui.application import Application
        >>> Server(Application([example()])).close()
        """
        atexit.unregister(self.close)
        self.application.closing.set()
        self._waker.close()
        self._thread.join()
        self._waking.close()
        self.server_close()
        for connection in tuple(self._open):
            with suppress(OSError):  # it may just have ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        self._warming.join(CLOSE_SECONDS)
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._open and time.monotonic() < deadline:
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_browser(self) -> None:
        """Open the link in the user's browser, if there is one.

        >>> Server.open_browser.__name__  # would open one
        'open_browser'
        """
        webbrowser.open(self.url)

    def __repr__(self) -> str:
        """Return the link, as `lake.ui()` shows it."""
        return self.url
