"""What stores and networks do to a lake on an object store: nothing is lost, and nothing counted twice."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import output, start
from s3_server import S3Server
from store_proxy import StoreProxy, no_fault

import tracklake as tl
from tracklake.storage.journal import upload
from tracklake.storage.object_store import ObjectStorage
from tracklake.tracking import distant_writers
from tracklake.tracking.live_summary import LiveSummary

pytest.importorskip("obstore")
pytest.importorskip("moto.server", reason="moto[server], the emulator of S3, is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture
def proxy(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreProxy]:
    """A proxy before the store, to which the environment points; cache and spool are those of a machine "one"."""
    with StoreProxy(server.port) as proxy:
        for name, value in (server.environment | {"AWS_ENDPOINT_URL": proxy.url}).items():
            monkeypatch.setenv(name, value)
        use_machine("one", tmp_path, monkeypatch)
        yield proxy


@pytest.fixture
def url(proxy: StoreProxy, tmp_path: Path) -> str:
    assert proxy.port
    return f"s3://bucket/{tmp_path.name}"


def use_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / name / "cache"))
    monkeypatch.setenv("TRACKLAKE_SPOOL", str(tmp_path / name / "spool"))


def log(url: str, run_id: str, rows: int) -> None:
    with tl.init("p", id=run_id, dir=url, settings={"metadata": False}) as run:
        for step in range(rows):
            run.log({"loss": float(step)})


def counts(place: str | Path) -> dict[str, int]:
    """Return the number of rows of each run; each row must be there once."""
    lake = tl.open(place)
    if not lake.runs().height:
        return {}
    rows = lake.history("loss")
    assert rows.select("run_id", "step").is_duplicated().sum() == 0
    return dict(rows.group_by("run_id").len().iter_rows())


def write(url: str) -> None:
    """Log three runs, seal and compact."""
    for run_id in "abc":
        log(url, run_id, 50)
        tl.open(url).refresh()
    tl.open(url).compact()


EVERY_THIRD_PUT = {
    "conflicts with nobody": "409",
    "lands and answers an error": "landed",
    "throttles": "503",
    "cuts the line": "cut",
}


@pytest.mark.parametrize("fault", EVERY_THIRD_PUT)
def test_a_store_that_fails_each_third_put(proxy: StoreProxy, url: str, fault: str):
    """A put that is refused, or lands unheard, is made again or found to have landed; all rows are there once."""
    puts = []

    def fails(method: str, _: str, number: int) -> str | None:
        if method != "PUT":
            return None
        puts.append(number)
        return EVERY_THIRD_PUT[fault] if len(puts) % 3 == 0 else None

    proxy.fault = fails
    write(url)
    proxy.fault = no_fault
    assert len(puts) > 9
    assert counts(url) == {"a": 50, "b": 50, "c": 50}
    assert tl.open(url).check(full=True).findings == []


def test_a_store_that_throttles_everything_now_and_then(proxy: StoreProxy, url: str):
    """Reads, listings and deletions that answer 503 are made again."""
    proxy.fault = lambda _method, _path, number: "503" if number % 4 == 0 else None
    write(url)
    assert counts(url) == {"a": 50, "b": 50, "c": 50}


def test_what_was_put_is_listed_at_once(url: str):
    """Another client lists and reads what a put has returned for: the guarantee of the stores that the log needs."""
    ours, theirs = ObjectStorage(url), ObjectStorage(url)

    def put(i: int) -> bool:
        ours.put_if_absent(f"history/{i:03}", b"x")
        return f"{i:03}" in {entry.name for entry in theirs.list("history")}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(put, range(64)))


class Gate:
    """A store that takes every request and answers none, until it is opened or five minutes are over."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.has_waited_in_vain = False
        self.asked = threading.Event()

    def fault(self, *_: object) -> str | None:
        self.asked.set()
        if not self.opened.wait(300):
            self.has_waited_in_vain = True
        return "403" if not self.opened.is_set() else None


def test_no_call_waits_for_a_store_that_is_away(proxy: StoreProxy, url: str, monkeypatch: pytest.MonkeyPatch):
    """Rows, late rows, rotations, the summary and signs of life go on while the store answers nothing at all."""
    monkeypatch.setattr(upload, "INTERVAL", 0.0)
    monkeypatch.setattr(upload, "PATIENCE", 0.0)
    monkeypatch.setattr(distant_writers, "INTERVAL", 0.0)
    monkeypatch.setattr(upload, "ROTATE_AT", 4_000)
    gate = Gate()
    with pytest.warns(UserWarning, match="replaces it"), tl.init("p", id="a", dir=url) as run:
        run.define_metric("loss", step_metric="epoch")
        run.log({"loss": 0.0})
        assert run.summary["loss"] == 0.0
        proxy.fault = gate.fault
        run.keep_alive(beat=True)
        assert gate.asked.wait(30)
        for step in range(1, 1000):
            run.log({"loss": float(step)})
            assert run.summary["loss"] == float(step)
            if step % 100 == 0:
                run.keep_alive(beat=True)
        run.log({"loss": 0.5}, step=7)
        assert not gate.has_waited_in_vain
        gate.opened.set()
        proxy.fault = no_fault
    assert counts(url) == {"a": 1000}
    assert tl.open(url).history("loss")["value"].to_list()[7] == 0.5
    assert tl.open(url).check(full=True).findings == []


def test_an_hour_without_a_store(proxy: StoreProxy, url: str, monkeypatch: pytest.MonkeyPatch):
    """An upload is tried each ten seconds, one warning is given, memory does not grow, and all rows come over."""
    clock = [0.0]
    monkeypatch.setattr(upload, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(upload, "ROTATE_AT", 16_000)
    rows, seconds = 2, 3600
    with warnings.catch_warnings(record=True) as warned, tl.init("p", id="a", dir=url) as run:
        warnings.simplefilter("always")
        proxy.fault = lambda *_: "403"
        before = len(proxy.requests)
        sizes = []
        tracemalloc.start()
        for second in range(seconds):
            for _ in range(rows):
                run.log({f"m{i}": float(second) for i in range(5)} | {"loss": 0.5})
            clock[0] += 1
            run.keep_alive(beat=second % 60 == 59)
            if second % 10 == 0:
                wait_for_uploads(run)
            if second % 600 == 599:
                gc.collect()  # what an attempt that failed leaves is not what grows
                sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        attempts = [path for method, path in proxy.requests[before:] if method == "PUT"]
        proxy.fault = no_fault
    assert 355 <= len(attempts) <= 361
    (told,) = (str(warning.message) for warning in warned if warning.category is UserWarning)
    assert "what is logged meanwhile is safe in" in told
    assert max(sizes) - sizes[0] < 1 << 18  # of 0.7 MB that were logged meanwhile
    assert counts(url) == {"a": rows * seconds}


def wait_for_uploads(run: tl.Run) -> None:
    threads = [uploader._thread for uploader in run._session._uploaders]
    assert all(thread is None or thread.wait(100) for thread in threads)
    if run._distant is not None:
        run._distant.wait()


def test_what_another_machine_says_reaches_a_live_run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its edits and the lake's definitions are in the summary of a run that is being written, from the next look on."""
    script = """
    lake = tl.open(sys.argv[1])
    lake.run("a").summary["note"] = "from elsewhere"
    lake.define_metric("loss", summary="min")
    """
    monkeypatch.setattr(upload, "INTERVAL", 0.0)
    monkeypatch.setattr(distant_writers, "INTERVAL", 0.0)
    with tl.init("p", id="a", dir=url) as run:
        run.log({"loss": 1.0}), run.log({"loss": 2.0})
        assert run.summary["loss"] == 2.0
        run.keep_alive(beat=False)
        wait_for_uploads(run)
        with pytest.MonkeyPatch.context() as patch:
            use_machine("two", tmp_path, patch)
            output(script, url)
        run.keep_alive(beat=True)
        wait_for_uploads(run)
        assert dict(run.summary)["note"] == "from elsewhere"
        run.log({"loss": 3.0})
        assert run.summary["loss"] == {"min": 1.0}


def test_a_look_that_finds_nothing_new_costs_no_reading(url: str, monkeypatch: pytest.MonkeyPatch):
    """The summary of a run goes on from where it was, though it was looked whether others had said anything."""
    monkeypatch.setattr(distant_writers, "INTERVAL", 0.0)
    begin, begun = LiveSummary._start, []
    monkeypatch.setattr(LiveSummary, "_start", lambda live: begun.append(live) or begin(live))
    log(url, "a", 3)
    with tl.init("p", id="a", dir=url, resume="must", settings={"metadata": False}) as run:
        for step in range(3, 9):
            run.log({"loss": float(step)})
            assert run.summary["loss"] == float(step)
            run.keep_alive(beat=True)
            wait_for_uploads(run)
    assert len(begun) == 1
    assert counts(url) == {"a": 9}


def test_credentials_that_expire_in_mid_run(proxy: StoreProxy, url: str, monkeypatch: pytest.MonkeyPatch):
    """Training goes on with one warning; with fresh credentials all is uploaded."""
    monkeypatch.setattr(upload, "INTERVAL", 0.1)
    with warnings.catch_warnings(record=True) as told, tl.init("p", id="a", dir=url) as run:
        warnings.simplefilter("always")
        run.log({"loss": 0.0})
        proxy.fault = lambda *_: "403"
        deadline = time.monotonic() + 120
        step = 0
        while step < 200 or (not told and time.monotonic() < deadline):
            step += 1
            run.log({"loss": float(step)})
            time.sleep(0.005)
        proxy.fault = no_fault
    (said,) = (str(warning.message) for warning in told if warning.category is UserWarning)
    assert "access" in said
    assert counts(url) == {"a": step + 1}


def test_credentials_that_stay_expired(proxy: StoreProxy, url: str, tmp_path: Path):
    """A run that ends without access warns where its rows are, and `tracklake upload` brings them over."""
    log(url, "first", 1)
    with pytest.warns(UserWarning, match="tracklake upload"), tl.init("p", id="a", dir=url) as run:
        for step in range(30):
            run.log({"loss": float(step)})
        proxy.fault = lambda *_: "403"
    assert len(list((tmp_path / "one" / "spool").rglob("*.tlj"))) == 1
    proxy.fault = no_fault
    script = """
    from tracklake.cli import main
    main(["upload"], standalone_mode=False)
    """
    output(script)
    assert list((tmp_path / "one" / "spool").rglob("*.tlj")) == []
    assert counts(url) == {"first": 1, "a": 30}


def test_a_copy_that_was_interrupted(proxy: StoreProxy, url: str, tmp_path: Path):
    """A half-uploaded copy is a whole lake of fewer commits, or none yet; the next copy goes on from there."""
    local = tmp_path / "lake"
    for run_id in "abc":
        log(str(local), run_id, 20)
        tl.open(local).refresh()
    for allowed in range(1, 16, 2):
        puts = []

        def stops(method: str, _: str, number: int, puts: list[int] = puts, allowed: int = allowed) -> str | None:
            puts.extend([number] if method == "PUT" else [])
            return "403" if len(puts) > allowed else None

        proxy.fault = stops
        try:
            copied = tl.open(local).copy_to(url)
        except OSError:
            copied = None
        proxy.fault = no_fault
        partial = counts(url)
        assert set(partial.values()) <= {20}
        if copied is not None:
            break
    assert counts(url) == counts(local) == {"a": 20, "b": 20, "c": 20}
    assert tl.open(url).check(full=True).findings == []


@pytest.mark.parametrize("locked", [True, False])
def test_two_machines_recover_one_spool(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, locked: bool):
    """Two recoverers of one spool, also where its file system has no locks, upload each row once."""
    script = """
    from pathlib import Path
    for i in range(5):
        if os.fork() == 0:
            run = tl.init("p", id=f"killed-{i}", dir=sys.argv[1], settings={"metadata": False})
            for step in range(40):
                run.log({"loss": float(step)})
            while len(list(Path(os.environ["TRACKLAKE_SPOOL"]).rglob("*.tlj"))) < 5:  # the next one would recover it
                time.sleep(0.01)
            os.kill(os.getpid(), 9)
    for i in range(5):
        os.wait()
    """
    start(script, url).wait()
    assert len(list((tmp_path / "one" / "spool").rglob("*.tlj"))) == 5
    if not locked:
        monkeypatch.setattr(upload, "_lock", lambda _: True)
    barrier = threading.Barrier(2)

    def recover(_: int) -> None:
        barrier.wait()
        upload.recover_spool(ObjectStorage(url))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(recover, range(2)))
    assert list((tmp_path / "one" / "spool").rglob("*.tlj")) == []
    assert counts(url) == {f"killed-{i}": 40 for i in range(5)}


def test_clocks_that_are_an_hour_off(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Machines an hour ahead and behind log, resume, seal and read one lake: the last resume is the last word."""
    script = """
    import time
    real, offset = time.time, float(sys.argv[2])
    time.time = lambda: real() + offset
    time.time_ns = lambda: int((real() + offset) * 1e9)
    with tl.init("p", id="a", dir=sys.argv[1], resume="allow", settings={"metadata": False}) as run:
        for _ in range(10):
            run.log({"loss": offset})
        run.summary["from"] = offset
    with tl.init("p", id=f"own {offset:+.0f}", dir=sys.argv[1], settings={"metadata": False}) as run:
        for step in range(10):
            run.log({"loss": float(step)})
    tl.open(sys.argv[1]).refresh()
    """
    for machine, offset in (("ahead", 3600), ("behind", -3600), ("right", 0)):
        use_machine(machine, tmp_path, monkeypatch)
        output(script, url, offset)
    assert counts(url) == {"a": 30, "own +3600": 10, "own -3600": 10, "own +0": 10}
    lake = tl.open(url)
    assert lake.history("loss", runs="a")["value"].to_list() == [3600.0] * 10 + [-3600.0] * 10 + [0.0] * 10
    assert lake.run("a").summary["from"] == 0
    assert set(lake.runs()["state"]) == {"finished"}


@pytest.mark.parametrize("offset", [3600, -3600])
def test_a_reader_whose_clock_is_an_hour_off(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int):
    """Who lives is judged by the clock of the store: a run that is being written runs for every reader."""
    script = """
    import time
    real = time.time
    time.time = lambda: real() + float(sys.argv[2])
    print(tl.open(sys.argv[1]).run("a").state)
    """
    monkeypatch.setattr(upload, "INTERVAL", 0.0)
    with tl.init("p", id="a", dir=url) as run:
        run.log({"loss": 1.0})
        run.keep_alive(beat=False)
        wait_for_uploads(run)
        with pytest.MonkeyPatch.context() as patch:
            use_machine("two", tmp_path, patch)
            assert output(script, url, offset).split() == ["running"]


def test_a_bucket_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Logging goes on, the end says where the rows are, and a bucket of that name gets them."""
    monkeypatch.setattr(upload, "INTERVAL", 0.1)
    with S3Server() as server, StoreProxy(server.port) as proxy:
        for name, value in (server.environment | {"AWS_ENDPOINT_URL": proxy.url}).items():
            monkeypatch.setenv(name, value)
        use_machine("one", tmp_path, monkeypatch)
        with pytest.warns(UserWarning, match="tracklake upload"), tl.init("p", id="a", dir="s3://bucket/lake") as run:
            run.log({"loss": 0.0})
            with S3Server() as fresh:
                proxy.behind = fresh.port
                proxy.fault = lambda *_: "404"
                for step in range(1, 100):
                    run.log({"loss": float(step)})
        with S3Server() as fresh:
            proxy.behind, proxy.fault = fresh.port, no_fault
            lake = tl.open("s3://bucket/lake", create=True)
            upload.recover_spool(lake._storage)
            assert counts("s3://bucket/lake") == {"a": 100}
