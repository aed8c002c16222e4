"""'Copy this view': the Python, the SQL and the shell command of every page with rows give the very same rows."""

from __future__ import annotations

import csv
import io
import math
import re
import shlex
from typing import Any, NamedTuple

import polars as pl
import pytest
from processes import command

import tracklake as tl


class Copied(NamedTuple):
    """What the three texts of a view give."""

    python: dict[str, Any]
    sql: pl.DataFrame
    shell: list[dict[str, str]]

    @property
    def rows(self) -> pl.DataFrame:
        """The rows that the Python makes."""
        return self.python["rows"]


@pytest.fixture
def copied(lake, browser):
    """Copies a view, and runs all three texts."""
    with tl.init("p", id="late", config={"lr": 0.3, "seed": 0}, tags=["archived"], dir=lake.dir) as run:
        run.log({"acc": 0.5, "loss": 2.0})
    with tl.init("p", id="failed", config={"lr": 0.1, "seed": 7}, dir=lake.dir) as run:
        run.log({"acc": 0.3, "loss": float("nan")})
        run.finish(exit_code=1)

    def run_texts(**view: Any) -> Copied:
        code = browser.ask("code", **view)
        scope: dict[str, Any] = {}
        exec(code["python"], scope)
        words = shlex.split(code["shell"])
        done = command(*words[1:])
        done.check_returncode()
        return Copied(scope, lake.sql(code["sql"]), list(csv.DictReader(io.StringIO(done.stdout))))

    return run_texts


def same(frame: pl.DataFrame, rows: list[dict[str, str]]) -> bool:
    """Say whether rows of CSV are those of a frame."""
    texts = list(csv.DictReader(io.StringIO(frame.write_csv())))
    return [list(map(plain, row.values())) for row in texts] == [list(map(plain, row.values())) for row in rows]


def plain(text: str) -> Any:
    """Read a number as a number; times are compared to the second."""
    try:
        return "" if math.isnan(float(text)) else round(float(text), 9)
    except ValueError:
        return re.sub(r"(\d\d:\d\d:\d\d).*", r"\1", text.replace("T", " "))


GROUPS = {"group": "config.lr", "col": ["summary.acc.max", "summary.loss.min", "config.seed"]}


@pytest.mark.parametrize("view", [{}, {"where": "config.seed < 5"}, {"order": "-summary.acc.max", "project": "p"}])
def test_groups(copied, browser, view):
    """The groups in their order, with n, mean and std of each number."""
    shown = browser.ask("groups", **GROUPS, **view)
    found = copied(view="groups", **GROUPS, **view)
    assert found.sql["config.lr"].to_list() == shown["keys"][0]["values"]
    assert found.sql["runs"].to_list() == shown["n"]
    for measure in shown["measures"]:
        for label in ("mean", "std", "min", "max"):
            assert found.sql[f"{measure['name']}.{label}"].to_list() == pytest.approx(measure[label], nan_ok=True)
    assert found.rows.equals(found.sql)
    assert same(found.sql, found.shell)


@pytest.mark.parametrize(
    "view",
    [
        {"metric": "acc"},
        {"metric": "loss"},
        {"metric": "loss", "where": "config.lr > 0.15"},
        {"metric": "acc", "x": "loss"},
    ],
)
def test_points_of_a_chart(copied, browser, view):
    """The points of the runs that the chart draws, by step or with another metric as x."""
    header, _ = browser.raw("curves", **view).blocks
    found = copied(view="curves", **view)
    assert set(header["runs"]) <= set(found.rows["run_id"])
    columns = ["run_id", "step", "value", *(["x"] if "x" in view else [])]
    logged = found.rows.select(columns).fill_nan(None)  # SQL has null where NaN was logged
    assert found.sql.select(columns).equals(logged)
    assert len(found.shell) == found.rows.height


def test_points_of_a_cloud(copied, browser):
    """Scatter and parallel axes are of the rows of the table with these columns."""
    header, arrays = browser.raw("values", col=["config.lr", "summary.acc.max"]).blocks
    found = copied(col=["config.lr", "summary.acc.max"])
    assert found.rows["run_id"].to_list() == header["run_ids"]
    assert found.rows["summary.acc.max"].to_list() == list(arrays[1])
    assert found.sql.equals(found.rows)
    assert same(found.sql, found.shell)


@pytest.mark.parametrize(
    "view", [{}, {"by": ["lr", "seed"], "failed": "include"}, {"baseline": "0.2", "center": "median", "project": "p"}]
)
def test_a_comparison(copied, browser, view):
    """The table as shown, in Python and in a shell; the SQL gives the runs behind it with their values."""
    view = {"metric": "acc", "by": "lr", "goal": "max"} | view
    shown = browser.ask("compare", **view)
    found = copied(view="compare", **view)
    assert [str(value) for value in found.rows.to_series(0)] == shown["columns"][0]["cells"]
    assert same(found.rows, found.shell)
    behind = found.python["runs"]
    assert found.sql["run_id"].to_list() == behind["run_id"].to_list()
    assert found.sql["value"].to_list() == behind["value"].to_list()


def test_a_sweep(copied, browser):
    """The best runs, in all three."""
    view = {"metric": "acc", "goal": "max"}
    shown = browser.ask("sweep", part="best", **view)
    found = copied(view="sweep", **view)
    ids = next(column["values"] for column in shown["table"] if column["name"] == "run_id")
    assert found.rows["run_id"].to_list() == ids
    assert found.sql["run_id"].to_list() == ids
    assert found.sql["value"].to_list() == found.rows["value"].to_list()
    assert [row["run_id"] for row in found.shell] == ids


@pytest.mark.parametrize(
    "view",
    [
        {"sql": "SELECT run_id, 'it''s' AS x\nFROM runs ORDER BY 1"},
        {"name": "leaderboard", "p.metric": "acc", "p.goal": "max", "p.k": "3"},
        {"name": "recent"},
    ],
)
def test_an_answer(copied, browser, view):
    """A text is itself; a named query has its parameters in each of the three."""
    shown = browser.ask("ask", **view)
    found = copied(view="ask", **view)
    assert found.rows["run_id"].to_list() == next(c["values"] for c in shown["columns"] if c["name"] == "run_id")
    assert found.sql.equals(found.rows)
    assert same(found.sql, found.shell)


def test_a_view_that_is_none(browser):
    """The nearest is named."""
    assert "did you mean 'groups'" in browser.raw("code", view="group").json["error"]
