"""Comparisons, sweeps, pictures, queries and views over HTTP."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest

import tracklake as tl
from tracklake.schema import statistics
from tracklake.ui import sources


def test_a_comparison_in_words_and_cells(lake, browser):
    """The table is that of `lake.compare`."""
    found = browser.ask("compare", metric="acc", by="config.lr", goal="max", where="config.seed < 2")
    assert found["columns"][0] == {"name": "lr", "right": True, "cells": ["0.2", "0.1"]}
    assert lake.compare("acc", by="config.lr", goal="max", where="config.seed < 2").to_markdown() == found["markdown"]


def test_a_named_baseline(browser):
    """A group is named by its label, and one that is not there by its nearest."""
    found = browser.ask("compare", metric="acc", by="config.lr", goal="max", baseline="0.1")
    assert "baseline lr=0.1" in found["title"]
    answer = browser.raw("compare", metric="acc", by="config.lr", goal="max", baseline="0.3")
    assert (answer.status, "unknown group '0.3'" in answer.json["error"]) == (400, True)


def test_a_comparison_of_nothing_known(browser):
    """An unknown metric is told with the nearest name."""
    assert "did you mean 'acc'" in browser.raw("compare", metric="ac", by="config.lr").json["error"]


@pytest.mark.parametrize("part", ["overview", "best", "importance", "stability", "luck", "replay"])
def test_the_parts_of_a_sweep(browser, part):
    """Each part is an answer, or says why there is none."""
    answer = browser.raw("sweep", metric="acc", goal="max", part=part)
    assert answer.status in (200, 400)
    assert set(answer.json) & {"columns", "table", "text", "error"}


def test_unknown_part_rule_and_picture(browser):
    """What is not there is told with what there is."""
    assert "unknown part of a sweep" in browser.raw("sweep", metric="acc", goal="max", part="x").json["error"]
    assert "median" in browser.raw("sweep", metric="acc", goal="max", part="replay", rule="x").json["error"]
    assert "unknown picture" in browser.raw("picture", kind="x").json["error"]


def test_a_picture_can_run_no_script(browser):
    """An SVG comes with a policy under which it can do nothing, even opened by itself."""
    answer = browser.raw("picture", kind="leaderboard", metric="acc", by="config.lr", goal="max")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].endswith("sandbox")
    assert b"<svg" in answer.body
    assert b"<script" not in answer.body


def test_sql_as_a_table_and_as_files(browser):
    """The answer of a text, and the same as CSV, JSON and Parquet to keep."""
    text = (
        'SELECT run_id, "summary.acc.max" AS best, ["seed"] AS nested FROM (SELECT *, 1 AS seed FROM runs) ORDER BY 1'
    )
    found = browser.ask("ask", sql=text)
    assert found["rows"] == 4
    csv = browser.raw("ask", sql=text, form="csv")
    assert csv.headers["content-disposition"] == "attachment; filename*=UTF-8''answer.csv"
    assert csv.body.decode().splitlines()[1] == "lr0.1-s0,0.5,[1]"
    assert len(json.loads(browser.raw("ask", sql=text, form="json").body)) == 4
    assert pl.read_parquet(io.BytesIO(browser.raw("ask", sql=text, form="parquet").body)).height == 4


@pytest.mark.parametrize("text", ["DELETE FROM runs", "COPY runs TO 'x.csv'", "SELECT * FROM read_csv('/etc/passwd')"])
def test_sql_can_only_read(browser, text):
    """What writes, or reads files, is refused."""
    assert browser.raw("ask", sql=text).status == 400


def test_sql_that_takes_too_long_is_stopped(lake, enter, monkeypatch):
    """After the limit the text is stopped, the page is told, and the next question is answered."""
    monkeypatch.setattr(sources, "SQL_SECONDS", 0.2)
    with lake.ui() as server:
        browser = enter(server)
        answer = browser.raw(
            "ask", sql="SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11"
        )
        assert (answer.status, "took longer than" in answer.json["error"]) == (400, True)
        sandbox = server.application.sources["lake"]._questions.lake._engine._sandbox
        monkeypatch.setattr(sandbox, "limits", sandbox.limits._replace(seconds=600))  # for a machine that is busy
        assert browser.ask("ask", sql="SELECT 1 AS one")["columns"][0]["values"] == [1]


def test_named_queries_with_typed_parameters(browser):
    """A number is a number, a text a text; what is none is told."""
    listed = {query["name"]: query for query in browser.ask("queries")["queries"]}
    assert listed["leaderboard"]["parameters"][0]["name"] == "metric"
    found = browser.ask("ask", name="leaderboard", **{"p.metric": "acc", "p.goal": "max", "p.k": 2})
    assert found["rows"] == 2
    answer = browser.raw("ask", name="leaderboard", **{"p.metric": "acc", "p.k": "two"})
    assert "k='two' is no number" in answer.json["error"]


def test_an_array_comes_as_a_file(lake, browser):
    """An array of a summary is a .npy file to keep."""
    lake.run("lr0.1-s0").summary["weights"] = np.arange(64.0)
    answer = browser.raw("array", id="lr0.1-s0", key="weights")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert np.load(io.BytesIO(answer.body)).tolist() == list(range(64))


def test_views_are_kept_with_the_lake(lake, browser, enter):
    """A view is there for whoever opens the lake, until it is taken away."""
    assert browser.change("view", {"name": "best <b>", "address": "/runs?order=-summary.acc.max"}).status == 200
    with tl.open(lake.dir).ui() as server:
        views = enter(server).ask("views")["views"]
        assert views == [{"name": "best <b>", "address": "/runs?order=-summary.acc.max"}]
    assert browser.change("view", {"name": "best <b>", "address": None}).status == 200
    assert browser.ask("views")["views"] == []


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//evil.example/", "/\\evil.example", "https://evil.example", 3]
)
def test_a_view_leads_nowhere_else(browser, address):
    """An address that is none of the page is refused."""
    assert browser.change("view", {"name": "x", "address": address}).status == 400


def test_the_page_offers_every_summary_kind(browser):
    """A metric can be defined in the page by each kind that a definition takes, and by none."""
    assert browser.ask("schema")["kinds"] == [*statistics.SUMMARY_KINDS, "none"]
