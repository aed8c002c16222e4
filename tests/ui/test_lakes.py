"""The page over several lakes that are read as one, and over a lake on an object store."""

from __future__ import annotations

import csv
import importlib.util
import io
import shlex
from pathlib import Path
from typing import Any

import pytest
from processes import command
from s3_server import S3Server

import tracklake as tl
from tracklake.ui import serve


@pytest.fixture
def several(lake, tmp_path: Path) -> tl.Lake:
    with tl.init("q", id="only", config={"lr": 0.5}, dir=tmp_path / "other") as run:
        run.log({"acc": 1.0, "loss": 0.1})
        run.log({"acc": 2.0, "loss": 0.1})
    return tl.open([lake.dir, tmp_path / "other"])


def test_several_lakes_as_one(several, enter):
    """Every page shows the runs of all, and each is edited where it lies."""
    with serve(several) as server:
        browser = enter(server)
        assert [entry["name"] for entry in browser.ask("lakes")["lakes"]] == ["lake + other"]
        rows = browser.ask("runs", order="-summary.acc.max", col=["lake", "config.lr"])
        assert (rows["total"], rows["run_ids"][0], rows["columns"][0]["values"][0]) == (5, "only", "other")
        assert browser.raw("curves", metric="acc").blocks[0]["n_runs"] == 5
        assert browser.ask("compare", metric="acc", by="lr", goal="max")["columns"][0]["cells"][0] == "0.5"
        assert browser.change("edit", {"runs": ["only"], "fields": {"notes": "best"}}).status == 200
        assert browser.ask("run", id="only")["facts"]["notes"] == "best"
        assert tl.open(several.dir.split(",")[1]).run("only").facts["notes"] == "best"


VIEWS = [
    {"view": "runs", "where": "config.lr > 0.1", "order": "-summary.acc", "col": ["lake", "summary.acc.best"]},
    {"view": "groups", "group": "lake", "col": "summary.acc.max"},
    {"view": "curves", "metric": "acc"},
    {"view": "ask", "sql": "SELECT run_id, lake FROM runs ORDER BY ALL"},
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_several_lakes_is_copied(several, enter, view):
    """Python, SQL and the shell command open all of them, by their own definitions, and give the same rows."""
    for folder in several.dir.split(","):
        tl.open(folder).define_metric("acc", summary="best", goal="max")
    with serve(several) as server:
        code = enter(server).ask("code", **view)
    scope: dict[str, Any] = {}
    exec(code["python"], scope)
    rows = scope["rows"].rows()
    assert rows
    assert several.sql(code["sql"]).rows() == rows
    done = command(*shlex.split(code["shell"])[1:])
    done.check_returncode()
    told = list(csv.reader(io.StringIO(done.stdout)))
    assert told[0] == scope["rows"].columns
    assert [row[0] for row in told[1:]] == [str(row[0]) for row in rows]


def test_what_needs_one_lake_says_so(several, enter):
    """A definition, a deletion, a view and a report are of one lake."""
    with serve(several) as server:
        browser = enter(server)
        for what, body in {
            "define": {"metric": "acc", "goal": "max"},
            "delete": {"runs": ["only"]},
            "view": {"name": "a", "address": "/runs"},
            "report": {"name": "a", "text": "# a"},
        }.items():
            answer = browser.change(what, body)
            assert (answer.status, "one" in answer.json["error"]) == (400, True)
        assert browser.ask("views") == {"views": []}
        assert browser.ask("reports") == {"reports": [], "folder": None}


@pytest.mark.skipif(
    importlib.util.find_spec("moto") is None or importlib.util.find_spec("obstore") is None,
    reason="needs obstore, and moto, the emulator of S3",
)
def test_a_lake_on_an_object_store(tmp_path: Path, enter, monkeypatch):
    """Its runs, curves and files are shown; what an edit says is there at once."""
    monkeypatch.setenv("TRACKLAKE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cache"))
    with S3Server() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        with tl.init("p", id="r", config={"lr": 0.1}, dir="s3://bucket/lake") as run:
            for step in range(5):
                run.log({"acc": step / 10})
        lake = tl.open("s3://bucket/lake", storage_options=store.options)
        lake.refresh()
        with serve(lake) as server:
            browser = enter(server)
            assert browser.ask("runs", col="config.lr")["columns"][0]["values"] == [0.1]
            assert browser.raw("curves", metric="acc").blocks[0]["points"] == [5]
            assert browser.ask("lakes")["lakes"][0]["keeps"] is False
            assert browser.change("edit", {"runs": ["r"], "add_tags": ["kept"]}).status == 200
            assert browser.ask("run", id="r")["facts"]["tags"] == ["kept"]
