"""An emulator of Google Cloud Storage with one bucket, for tests that speak real HTTP to a store.

It speaks the part of the XML API that a client of lakes uses, as its public reference describes it: objects are put,
read by ranges, listed by prefix and delimiter, and deleted; `x-goog-if-generation-match` is the condition of a put (0:
there must be none), a generation changes with each put, and what is refused is an `Error` in XML. No emulator that the
package registries have knows these conditions.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from store_server import StoreServer

TOKEN = "Xk3-never-written"
PAGE = 1000
"""Entries of one answer to a listing."""


class Stored(NamedTuple):
    """One object."""

    data: bytes
    generation: int
    time: float

    @property
    def e_tag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"'


class Buckets:
    """The objects of all buckets, by name."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.content: dict[str, dict[str, Stored]] = {}
        self.generation = time.time_ns() // 1000

    def put(self, bucket: str, name: str, data: bytes, wanted: str | None) -> Stored | None:
        """Put an object; None if its generation is not the one that is wanted."""
        with self.lock:
            present = self.content[bucket].get(name)
            if wanted is not None and int(wanted) != (present.generation if present else 0):
                return None
            self.generation += 1
            stored = self.content[bucket][name] = Stored(data, self.generation, time.time())
            return stored

    def listing(
        self, bucket: str, prefix: str, delimiter: str, after: str
    ) -> tuple[list[tuple[str, Stored]], set[str]]:
        """Return a page of the objects behind a name, and the folders among them."""
        with self.lock:
            objects = sorted(self.content[bucket].items())
        below = [item for item in objects if item[0].startswith(prefix) and item[0] > after]
        folders = {prefix + name[len(prefix) :].split(delimiter)[0] + delimiter for name, _ in below
                   if delimiter and delimiter in name[len(prefix) :]}  # fmt: skip
        direct = [item for item in below if not delimiter or delimiter not in item[0][len(prefix) :]]
        return direct, folders


BUCKETS = Buckets()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    page = PAGE

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bucket, name, _ = self._parts()
        if not name:  # the test makes its bucket
            BUCKETS.content.setdefault(bucket, {})
            return self._answer(200)
        if self._is_refused(bucket):
            return None
        stored = BUCKETS.put(bucket, name, body, self.headers.get("x-goog-if-generation-match"))
        if stored is None:
            return self._refuse(412, "PreconditionFailed", "A condition that was given does not hold.")
        return self._answer(200, headers=_headers(stored))

    def do_GET(self) -> None:
        bucket, name, query = self._parts()
        if self._is_refused(bucket):
            return None
        if not name:
            return self._list(bucket, query)
        stored = BUCKETS.content[bucket].get(name)
        if stored is None:
            return self._refuse(404, "NoSuchKey", "The specified key does not exist.")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if wanted is None:
            return self._answer(200, stored.data, _headers(stored))
        first, last = int(wanted[1]), min(int(wanted[2] or len(stored.data)), len(stored.data) - 1)
        if first >= len(stored.data):
            return self._refuse(416, "InvalidRange", "The requested range cannot be satisfied.")
        shown = {"Content-Range": f"bytes {first}-{last}/{len(stored.data)}"}
        return self._answer(206, stored.data[first : last + 1], _headers(stored) | shown)

    do_HEAD = do_GET  # noqa: N815 - a name of http.server

    def do_DELETE(self) -> None:
        bucket, name, _ = self._parts()
        if self._is_refused(bucket):
            return None
        with BUCKETS.lock:
            gone = BUCKETS.content[bucket].pop(name, None)
        return (
            self._refuse(404, "NoSuchKey", "The specified key does not exist.") if gone is None else self._answer(204)
        )

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _parts(self) -> tuple[str, str, dict[str, str]]:
        """Return bucket, name of the object, and query."""
        url = urlsplit(self.path)
        bucket, _, name = unquote(url.path).lstrip("/").partition("/")
        return bucket, name, {key: values[0] for key, values in parse_qs(url.query).items()}

    def _is_refused(self, bucket: str) -> bool:
        is_public = self.command in ("GET", "HEAD") and self.headers.get("Authorization") in (None, "Bearer ")
        if not is_public and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "AuthenticationRequired", "Authentication required.")
        elif bucket not in BUCKETS.content:
            self._refuse(404, "NoSuchBucket", "The specified bucket does not exist.")
        else:
            return False
        return True

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        after = query.get("continuation-token") or query.get("start-after") or ""
        objects, folders = BUCKETS.listing(bucket, query.get("prefix", ""), query.get("delimiter", ""), after)
        page = objects[: self.page]
        lines = [f"<IsTruncated>{str(len(objects) > self.page).lower()}</IsTruncated>"]
        if len(objects) > self.page:
            lines.append(f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>")
        for name, stored in page:
            changed = datetime.fromtimestamp(stored.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            lines.append(
                f"<Contents><Key>{escape(name)}</Key><Generation>{stored.generation}</Generation><MetaGeneration>1"
                f"</MetaGeneration><LastModified>{changed}</LastModified><ETag>{escape(stored.e_tag)}</ETag>"
                f"<Size>{len(stored.data)}</Size></Contents>"
            )
        lines += [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)]
        text = f"<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>{''.join(lines)}</ListBucketResult>"
        self._answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _refuse(self, status: int, code: str, message: str) -> None:
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self._answer(status, text.encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _headers(stored: Stored) -> dict[str, str]:
    return {
        "ETag": stored.e_tag,
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": "1",
        "Last-Modified": formatdate(stored.time, usegmt=True),
    }


class GCSServer(StoreServer):
    """A server process on a free port of the loopback address, for the time of a `with`."""

    def __init__(self, page: int = PAGE) -> None:
        self.page = page

    def command(self) -> list[str]:
        return [sys.executable, __file__, str(self.port), str(self.page)]

    def place(self, lake: str, *, container: str = "bucket") -> str:
        """Return the URL of a lake."""
        return f"gs://{container}/{lake}"

    @property
    def secret(self) -> str:
        """What must be written nowhere."""
        return TOKEN

    @property
    def options(self) -> dict[str, str]:
        """What tl.open takes as storage_options."""
        return {"base_url": self.url, "bearer_token": TOKEN}

    @property
    def anonymous(self) -> dict[str, str]:
        """Options of other libraries, whose versions know no token: the bucket is one that anybody may read."""
        empty = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        account = {"gcs_base_url": self.url, "disable_oauth": True, **empty}
        return {"google_service_account_key": json.dumps(account), "allow_http": "true"}

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        return {"GOOGLE_BASE_URL": self.url, "GOOGLE_BEARER_TOKEN": TOKEN}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Handler.page = int(sys.argv[2])
    _Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
