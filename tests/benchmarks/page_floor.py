"""The floor of the page: the least page that shows the same rows and curves, of bytes that are ready beforehand.

It has no filter, no live data, no selection, no keys and no address; a grid of 30 lines, and uPlot as it comes.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import tracklake

STATIC = Path(tracklake.__file__).parent / "ui" / "static"
HERE = Path(__file__).parent


class Floor:
    """Serves both pages, and the bytes that they ask for, on a free port, for the time of a `with`."""

    def __init__(self, *, total: int, rows: bytes, curves: bytes) -> None:
        bodies = {
            "/grid": ((HERE / "floor_grid.html").read_bytes().replace(b"TOTAL", str(total).encode()), "text/html"),
            "/chart": ((HERE / "floor_chart.html").read_bytes(), "text/html"),
            "/rows": (rows, "application/json"),
            "/curves": (curves, "application/octet-stream"),
            "/uplot": ((STATIC / "vendor" / "uPlot.iife.min.js").read_bytes(), "text/javascript"),
        }

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                body, kind = bodies.get(self.path, (b"", "text/plain"))
                self.send_response(200 if self.path in bodies else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
