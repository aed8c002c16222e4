"""Two machines with a mount each of one folder: sshfs, whose names and sizes may be twenty seconds old."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from processes import start

import tracklake as tl

SERVER = Path("/usr/lib/openssh/sftp-server")
RUNS, ROWS = 15, 60
SCRIPT = """
    from tracklake.storage.journal import host
    host.NODE = "kernel@machine " + sys.argv[1]  # nobody asks for locks of another machine
    place, lake, before = sys.argv[2], None, {}
    for i in range(int(sys.argv[3])):
        with tl.init("p", id=f"{sys.argv[1]}{i}", dir=place, durability="fsync", settings={"metadata": False}) as run:
            for step in range(int(sys.argv[4])):
                run.log({"loss": float(step)})
                if step % 20 == 0:
                    lake = lake or tl.open(place)
                    rows = lake.history("loss")
                    assert not rows.select("run_id", "step").is_duplicated().any()
                    counts = dict(rows.group_by("run_id").len().iter_rows())
                    assert all(counts[name] >= count for name, count in before.items())
                    assert "crashed" not in lake.runs(columns=["state"])["state"]
                    before = counts
        if i % 3 == 2:
            lake.refresh()
        if i % 9 == 8:
            lake.compact()
"""


@contextmanager
def mounted(folder: Path, point: Path) -> Iterator[Path]:
    """Mount a folder by sshfs, over a pipe to its server."""
    point.mkdir()
    ours, theirs = socket.socketpair()
    options = "passive,dcache_timeout=20,dcache_stat_timeout=20"
    with ours, theirs:
        server = subprocess.Popen([SERVER], stdin=ours, stdout=ours)
        client = subprocess.Popen(["sshfs", f":{folder}", point, "-f", "-o", options], stdin=theirs, stdout=theirs)
    try:
        while not point.is_mount():
            assert client.poll() is None
            time.sleep(0.05)
        yield point
    finally:
        subprocess.run(["umount", "-l", point], check=False)
        client.wait(30)
        server.wait(30)


@pytest.mark.long
def test_two_machines_share_a_folder_whose_listings_are_old(tmp_path: Path):
    """They log, read, seal and compact: every row is there once, none goes away again, and nobody seems crashed."""
    if not (shutil.which("sshfs") and SERVER.exists()):
        pytest.skip("sshfs is not installed")
    (tmp_path / "store").mkdir()
    with ExitStack() as stack:
        places = [stack.enter_context(mounted(tmp_path / "store", tmp_path / name)) / "lake" for name in "ab"]
        writers = [start(SCRIPT, name, place, RUNS, ROWS) for name, place in zip("ab", places, strict=True)]
        assert [writer.wait() for writer in writers] == [0, 0]
    lake = tl.open(tmp_path / "store" / "lake")
    assert set(lake.summaries(["loss.count", "loss.sum"]).drop("run_id").rows()) == {(ROWS, sum(range(ROWS)))}
    assert lake.runs().height == 2 * RUNS
    assert lake.check(full=True).findings == []
