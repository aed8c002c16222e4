"""A page over a real lake, and a client that speaks HTTP to it as a browser would."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import made_once
import numpy as np
import pytest

import tracklake as tl
from tracklake.ui import Server, serve


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def blocks(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """The header and the arrays of an answer in blocks."""
        (length,) = struct.unpack_from("<I", self.body)
        header = json.loads(self.body[4 : 4 + length])
        at, arrays = -(-(4 + length) // 8) * 8, []
        for dtype, n in header["arrays"]:
            array = np.frombuffer(self.body, f"<{dtype}", n, at)
            at += -(-array.nbytes // 8) * 8
            arrays.append(array)
        return header, arrays


class Browser:
    """Comes in by the link, keeps its cookie, and asks."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = server.port
        self.cookie = ""
        link = urlsplit(server.url)
        self.cookie = self.get(f"{link.path}?{link.query}").headers["set-cookie"].split(";")[0]

    def send(
        self, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        connection.request(method, target, body, cookie | (headers or {}))
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        return answer

    def get(self, target: str, **headers: str) -> Answer:
        return self.send("GET", target, headers=headers)

    def ask(self, question: str, **parameters: Any) -> Any:
        """Ask the API and return what it says; an answer that is none fails the test."""
        answer = self.raw(question, **parameters)
        assert answer.status == 200, answer.body
        return answer.json

    def raw(self, question: str, **parameters: Any) -> Answer:
        return self.get(f"/api/{quote(question)}?{urlencode(parameters, doseq=True)}")

    def change(self, what: str, value: dict[str, Any], **headers: str) -> Answer:
        origin = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        return self.send("POST", f"/api/{what}", headers=origin | headers, body=json.dumps(value).encode())


@made_once.lake
def lake(folder: Path) -> None:
    """Four runs: lr 0.1 and 0.2, two seeds each; acc and loss over five steps."""
    for lr in (0.1, 0.2):
        for seed in (0, 1):
            run = tl.init("p", id=f"lr{lr}-s{seed}", config={"lr": lr, "seed": seed}, dir=folder)
            for step in range(5):
                run.log({"acc": lr + seed / 100 + step / 10, "loss": 1 / (1 + step)})
            run.finish()


@pytest.fixture
def server(lake: tl.Lake) -> Iterator[Server]:
    with serve(lake) as server:
        yield server


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


@pytest.fixture
def enter() -> type[Browser]:
    """Comes into any server by its link."""
    return Browser
