"""The lake as tools for a model: within limits, and over the real protocol where the package `mcp` is installed."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import made_once
import pytest

import tracklake as tl
from tracklake.ui.mcp_server import answers
from tracklake.ui.mcp_server.answers import Answers


@made_once.lake
def lake(folder: Path) -> None:
    """Three runs of 100 steps."""
    for lr in (0.1, 0.2, 0.3):
        with tl.init("p", id=f"lr{lr}", config={"lr": lr}, dir=folder) as run:
            for step in range(100):
                run.log({"acc": lr + step / 1000})


def test_it_says_what_there_is(lake):
    """Runs by state, metrics and columns, in words."""
    text = Answers(lake).describe()
    assert text.startswith("3 runs (3 finished), 300 points")
    assert "config.lr" in text


def test_rows_are_limited(lake):
    """What is left out is told; more than the most is refused with the way out."""
    assert Answers(lake).sql("SELECT step FROM history ORDER BY 1", 2).splitlines() == [
        "step",
        "0",
        "0",
        "(the first 2 of 300 rows)",
    ]
    with pytest.raises(tl.TracklakeError, match="filter, group or aggregate"):
        Answers(lake).sql("SELECT 1", 501)


def test_characters_are_limited(lake):
    """A long answer is cut at the end of a line."""
    text = Answers(lake).sql("SELECT repeat('x', 1000) AS long FROM range(100)", 100)
    assert len(text) < answers.CHARACTERS + 200
    assert "characters are too many" in text


def test_a_curve_is_thinned(lake):
    """Of 100 points about ten are left, the first and last among them."""
    lines = Answers(lake).history(["acc"], ["lr0.1"], 10).splitlines()
    assert len(lines) <= 14
    assert (lines[1], lines[-1]) == ("lr0.1,acc,0,0.1", "lr0.1,acc,99,0.199")
    with pytest.raises(tl.TracklakeError, match="too much to read"):
        Answers(lake).history([], [], None)


def test_it_can_only_read(lake):
    """What writes is refused."""
    with pytest.raises(tl.TracklakeError):
        Answers(lake).sql("DELETE FROM runs")


def test_sql_is_stopped_in_time(lake, monkeypatch):
    """A text that would run for ever ends with an error."""
    monkeypatch.setattr(answers, "SQL_SECONDS", 0.2)
    with pytest.raises(tl.TracklakeError, match="took longer"):
        Answers(lake).sql("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11")


@pytest.mark.skipif(importlib.util.find_spec("mcp") is not None, reason="mcp is installed")
def test_without_the_extra_it_says_so(lake):
    """The error names the extra."""
    with pytest.raises(tl.TracklakeError, match=r"tracklake\[mcp\]"):
        tl.ui.mcp_server.server.build(lake)


@pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="needs the extra mcp")
def test_a_client_asks_over_standard_input_and_output(lake):
    """A client starts the command, lists the tools, asks each, and is told what is wrong."""
    from mcp import Client, StdioServerParameters

    async def talk():
        command = StdioServerParameters(
            command=sys.executable,
            args=["-m", "tracklake.cli", "mcp", "--dir", lake.dir],
            env={"PYTHONPATH": str(Path(tl.__file__).parents[1])},
        )
        async with Client(command) as client:
            tools = sorted(tool.name for tool in (await client.list_tools()).tools)
            runs = await client.call_tool("runs", {"columns": ["config.lr"], "order_by": "-config.lr"})
            wrong = await client.call_tool("runs", {"where": "config.lrr > 1"})
            compared = await client.call_tool("compare", {"metric": "acc", "by": ["lr"], "goal": "max"})
            picture = await client.call_tool("plot", {"call": 'curves("acc")'})
        return tools, runs, wrong, compared, picture

    tools, runs, wrong, compared, picture = asyncio.run(talk())
    assert tools == ["compare", "describe", "history", "plot", "runs", "sql"]
    assert runs.content[0].text.splitlines() == ["run_id,config.lr", "lr0.3,0.3", "lr0.2,0.2", "lr0.1,0.1"]
    assert wrong.is_error
    assert "did you mean 'config.lr'" in wrong.content[0].text
    assert "higher is better" in compared.content[0].text
    assert picture.content[0].mime_type == "image/png"
