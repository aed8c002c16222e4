"""How many requests a question costs on an object store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from s3_server import S3Server
from store_proxy import StoreProxy

import tracklake as tl
from tracklake.storage.table import checkpoint

pytest.importorskip("obstore")
pytest.importorskip("moto.server", reason="moto[server], the emulator of S3, is not installed")

WARM, COLD = 2, 40
QUESTIONS: dict[str, Callable[[tl.Lake], object]] = {
    "runs": lambda lake: lake.runs(),
    "summaries": lambda lake: lake.summaries(["loss.min", "acc.max"]),
    "quantile": lambda lake: lake.summaries(["loss.p95"]),
    "history": lambda lake: lake.history("loss", runs="r7"),
    "thinned": lambda lake: lake.history(["loss", "acc"], downsample=10),
    "sql": lambda lake: lake.sql("SELECT count(*) FROM history"),
    "query": lambda lake: lake.query("leaderboard", metric="loss", goal="min"),
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProxy]:
    """A proxy before a store with a lake of 47 seals, compacted, 15 commits after its last checkpoint."""
    folder = tmp_path_factory.mktemp("requests")
    for i in range(checkpoint.EVERY * 3 - 2):
        with tl.init("p", id=f"r{i}", dir=folder / "lake", settings={"metadata": False}) as run:
            for step in range(20):
                run.log({"loss": 1 / (step + 1), "acc": step / 20})
        tl.open(folder / "lake").refresh()
    tl.open(folder / "lake").compact()
    with pytest.MonkeyPatch.context() as patch, S3Server() as server, StoreProxy(server.port) as proxy:
        for name, value in (server.environment | {"AWS_ENDPOINT_URL": proxy.url}).items():
            patch.setenv(name, value)
        patch.setenv("TRACKLAKE_CACHE", str(folder / "cache"))
        patch.setenv("TRACKLAKE_SPOOL", str(folder / "spool"))
        tl.open(folder / "lake").copy_to("s3://bucket/lake")
        yield proxy


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_warm_question_asks_what_is_new(proxy: StoreProxy, question: str):
    """Of a lake that was asked before, a question costs two requests: the journals, and the next commit."""
    lake = tl.open("s3://bucket/lake")
    QUESTIONS[question](lake)
    before = len(proxy.requests)
    QUESTIONS[question](lake)
    assert len(proxy.requests) - before == WARM, proxy.requests[before:]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_cold_question(proxy: StoreProxy, question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With an empty cache it costs the log since its checkpoint, and the files that it reads."""
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cold"))
    before = len(proxy.requests)
    QUESTIONS[question](tl.open("s3://bucket/lake"))
    assert len(proxy.requests) - before <= COLD, proxy.requests[before:]


@pytest.mark.usefixtures("proxy")
def test_a_cache_that_is_deleted_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A lake that is open answers although its cache was deleted under it."""
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "doomed"))
    lake = tl.open("s3://bucket/lake")
    before = lake.summaries(["loss.p95"])
    shutil.rmtree(tmp_path / "doomed")
    assert lake.summaries(["loss.p95", "acc.p5"])["loss.p95"].equals(before["loss.p95"])
