"""A lake on an object store: logged, read, edited, sealed, recovered and copied over HTTP, to three emulators."""

from __future__ import annotations

import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import azure_server
import polars as pl
import pytest
from azure_server import AzureServer
from gcs_server import GCSServer
from processes import at_once, output, start
from s3_server import S3Server

import tracklake as tl
from tracklake.cli import main
from tracklake.errors import LakeError
from tracklake.storage.journal import upload
from tracklake.ui import serve

pytest.importorskip("obstore")
pytest.importorskip("moto.server", reason="moto[server], the emulator of S3, is not installed")
Server = S3Server | AzureServer | GCSServer
SERVERS: dict[str, type[Server]] = {"s3": S3Server, "azure": AzureServer, "google": GCSServer}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "azure" and not azure_server.is_installed():
        pytest.skip("azurite-blob, the emulator of Azure, is not on the path (npm install azurite)")
    with SERVERS[request.param]() as running:
        yield running


@pytest.fixture
def url(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lake's place in the bucket, with credentials in the environment and a machine's own cache and spool."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    use_machine("one", tmp_path, monkeypatch)
    return server.place(tmp_path.name)


def use_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / name / "cache"))
    monkeypatch.setenv("TRACKLAKE_SPOOL", str(tmp_path / name / "spool"))


def spooled(tmp_path: Path, machine: str = "one") -> list[str]:
    return [path.name for path in (tmp_path / machine / "spool").rglob("*.tlj")]


def log(url: str, run_id: str, losses: list[float]) -> None:
    with tl.init("p", id=run_id, dir=url, config={"lr": 0.1}, settings={"metadata": False}) as run:
        for loss in losses:
            run.log({"loss": loss})


def test_every_call_works_there(url: str, tmp_path: Path):
    """Log, read, resume, edit, seal, ask in SQL and check: the answers are those of a local lake."""
    log(url, "a", [0.5, 0.25])
    lake = tl.open(url)
    assert lake.runs(columns=["config.lr", "summary.loss.min"]).rows() == [("a", 0.1, 0.25)]
    with tl.init("p", id="a", dir=url, resume="must") as run:
        run.log({"loss": 0.125})
    lake.run("a").summary["note"] = "resumed"
    assert lake.run("a").summary["note"] == "resumed"
    assert lake.refresh().points == 3
    assert lake.history("loss")["value"].to_list() == [0.5, 0.25, 0.125]
    assert lake.sql("SELECT count(*), min(value) FROM history WHERE metric = 'loss'").rows() == [(3, 0.125)]
    assert lake.check(full=True).findings == []
    assert spooled(tmp_path) == []


def test_a_run_is_read_elsewhere_while_it_logs(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another machine sees the rows of the last upload, and all of them when the run has ended."""
    monkeypatch.setattr(upload, "INTERVAL", 0.1)
    with tl.init("p", id="live", dir=url) as run:
        for step in range(50):
            run.log({"loss": 1 / (step + 1)})
        use_machine("two", tmp_path, monkeypatch)
        lake = tl.open(url)
        deadline = time.monotonic() + 120
        while "live" not in lake.runs()["run_id"] or lake.history("loss").height < 50:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert lake.run("live").state == "finished"


def test_a_killed_run_comes_over_with_the_next_one(url: str, tmp_path: Path):
    """What a process had logged when it was killed is uploaded by the next run of its machine."""
    script = """
    run = tl.init("p", id="killed", dir=sys.argv[1], settings={"metadata": False})
    for step in range(100):
        run.log({"loss": float(step)})
    os.kill(os.getpid(), 9)
    """
    start(script, url).wait()
    assert len(spooled(tmp_path)) == 1
    log(url, "next", [1.0])
    assert spooled(tmp_path) == []
    assert tl.open(url).history("loss", runs=["killed"]).height == 100


def test_training_goes_on_while_the_store_is_away(
    url: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """While the store does not answer, log takes no longer and loses nothing; all is uploaded afterwards."""
    monkeypatch.setattr(upload, "INTERVAL", 0.1)
    with tl.init("p", id="cut off", dir=url) as run:
        run.log({"loss": 0.0})
        os.kill(server.process.pid, signal.SIGSTOP)
        waking = threading.Timer(60, os.kill, (server.process.pid, signal.SIGCONT))  # who waits for it waits so long
        waking.start()
        for step in range(1, 1000):
            run.log({"loss": float(step)})
        assert waking.is_alive()
        waking.cancel()
        os.kill(server.process.pid, signal.SIGCONT)
    assert spooled(tmp_path) == []
    assert tl.open(url).history("loss").height == 1000


def test_several_processes_write_and_seal_at_once(url: str):
    """Four processes log and seal on one store: every row is there once."""
    script = """
    for i in range(3):
        with tl.init("p", id=f"{sys.argv[2]}-{i}", dir=sys.argv[1], settings={"metadata": False}) as run:
            for step in range(20):
                run.log({"loss": float(step)})
        tl.open(sys.argv[1]).refresh()
    """
    at_once(script, url, number=4)
    lake = tl.open(url)
    assert lake.summaries(["loss.count", "loss.sum"]).drop("run_id").unique().rows() == [(20, 190.0)]
    assert lake.runs().height == 12
    assert lake.check(full=True).findings == []


def test_copies_there_and_back(url: str, tmp_path: Path):
    """A local lake is copied to the store, grows, is copied again, and comes back the same."""
    local = tmp_path / "lake"
    for run_id in ("a", "b"):
        log(str(local), run_id, [0.5, 0.25])
        tl.open(local).refresh()
        tl.open(local).copy_to(url)
    assert tl.open(local).copy_to(url).files == 0
    tl.open(url).copy_to(tmp_path / "back")
    for place in (url, tmp_path / "back"):
        assert tl.open(place).history("loss").equals(tl.open(local).history("loss"))
    log(str(tmp_path / "other"), "c", [1.0])
    with pytest.raises(LakeError, match="another lake"):
        tl.open(tmp_path / "other").copy_to(url)


def test_no_secret_is_written(url: str, server: Server, tmp_path: Path):
    """Credentials stand neither in the lake nor in the spool or the cache."""
    log(url, "a", [0.5])
    lake = tl.open(url, storage_options=server.options)
    lake.refresh()
    lake.copy_to(tmp_path / "copy")
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or server.secret.encode() not in path.read_bytes()


def test_a_bucket_that_is_not_there(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A missing bucket is told with its URL, by init and by open, before anything is written."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    use_machine("one", tmp_path, monkeypatch)
    nowhere = server.place("lake", container="nowhere")
    for act in (lambda: tl.open(nowhere), lambda: tl.init("p", dir=nowhere)):
        with pytest.raises(LakeError, match=nowhere):
            act()
    assert spooled(tmp_path) == []


def test_a_command_reads_a_store(url: str):
    """The shell takes a URL wherever it takes a folder."""
    log(url, "a", [0.5])
    script = """
    from tracklake.cli import main
    main(["runs", "--dir", sys.argv[1], "--columns", "run_id,summary.loss", "--csv"], standalone_mode=False)
    """
    assert output(script, url).split() == ["run_id,summary.loss", "a,0.5"]


def test_foreign_readers_read_the_history_there(url: str, server: Server):
    """deltalake and polars read the Delta table of history/ from the store."""
    deltalake = pytest.importorskip("deltalake")
    log(url, "a", [0.5, 0.25])
    tl.open(url).refresh()
    log(url, "b", [0.125])
    tl.open(url).refresh()
    options = server.environment | {"AWS_ALLOW_HTTP": "true"}
    options = server.anonymous if isinstance(server, GCSServer) else options
    table = deltalake.DeltaTable(f"{url}/history", storage_options=options)
    wanted = [("a", 0.25), ("a", 0.5), ("b", 0.125)]
    arrow = pl.from_arrow(table.to_pyarrow_table(columns=["run_id", "value"]))
    assert sorted(arrow.rows()) == wanted
    scanned = pl.scan_delta(f"{url}/history", storage_options=options).select("run_id", "value").collect()
    assert sorted(scanned.rows()) == wanted


COMMANDS: dict[str, list[str]] = {
    "check": ["check", "--full"],
    "compact": ["compact"],
    "describe": ["describe"],
    "history": ["history", "loss", "--csv"],
    "import": ["import", "curves.csv", "--step", "step"],
    "refresh": ["refresh"],
    "sql": ["sql", "SELECT count(*) FROM history", "--csv"],
    "vacuum": ["vacuum", "--dry-run"],
    "versions": ["versions"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_work_there(url: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Commands that read, keep and fill a lake take its URL."""
    monkeypatch.chdir(tmp_path)
    Path("curves.csv").write_text("step,loss\n0,1.0\n1,0.5\n")
    log(url, "a", [0.5, 0.25])
    tl.open(url).refresh()
    main([*COMMANDS[command], "--dir", url], standalone_mode=False)
    assert tl.open(url).history("loss").height == (4 if command == "import" else 2)


def test_the_page_shows_a_lake_there(url: str):
    """The page answers over a store."""
    log(url, "a", [0.5])
    with serve(tl.open(url)) as page:
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.open(page.url, timeout=120).close()
        with browser.open(f"http://127.0.0.1:{page.port}/api/runs", timeout=120) as answer:
            assert b'"a"' in answer.read()
