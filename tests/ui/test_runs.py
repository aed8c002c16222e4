"""The runs table over HTTP: windows, filters, groups, and the view as code."""

from __future__ import annotations

import csv
import io
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from processes import command

import tracklake as tl
from tracklake.ui import first_rows, run_rows, serve, sources
from tracklake.ui.parameters import Parameters
from tracklake.ui.replies import columns
from tracklake.ui.sources import Source


def values(answer, name: str) -> list:
    return next(column["values"] for column in answer["columns"] if column["name"] == name)


def test_a_window_of_sorted_runs(browser):
    """Sorting is over all runs, and a window is cut from it."""
    answer = browser.ask("runs", order="-summary.acc.max", col=["config.lr", "summary.acc.max"], offset=1, limit=2)
    assert (answer["total"], answer["run_ids"]) == (4, ["lr0.2-s0", "lr0.1-s1"])
    assert values(answer, "config.lr") == [0.2, 0.1]


def test_any_statistic_is_a_column(browser):
    """A statistic that nobody has defined can be asked for."""
    answer = browser.ask("runs", col="summary.acc.p50", where="config.seed = 0")
    assert values(answer, "summary.acc.p50") == pytest.approx([0.4, 0.3])


def test_search_looks_into_names_and_notes(lake, browser):
    """A search finds what stands in the notes of a run, whatever its case, and quotes mean nothing in it."""
    api = tl.Api(lake.dir).run("lr0.1-s1")
    api.notes = "it's the GOOD one"
    api.update()
    assert browser.ask("runs", q="it's the good")["run_ids"] == ["lr0.1-s1"]


def test_a_filter_that_is_wrong_is_told_with_the_nearest_name(browser):
    """The reply is 400 and says which column was meant."""
    answer = browser.raw("runs", where="config.lrr > 0.1")
    assert (answer.status, "did you mean 'config.lr'" in answer.json["error"]) == (400, True)


@pytest.mark.parametrize(
    "where",
    [
        "DROP TABLE runs",
        "1;2",
        "config.lr >",
        "x" * 5000,
        "\0",
        "lr > 'a",
        "run_id IN (SELECT content FROM read_text('/etc/hostname'))",
    ],
)
def test_no_filter_breaks_the_server(browser, where):
    """Whatever stands in a filter, the reply is an error that can be read."""
    answer = browser.raw("runs", where=where)
    assert answer.status == 400
    assert answer.json["error"]


def test_a_filter_that_takes_too_long_is_stopped(lake, enter, monkeypatch):
    """After the limit the filter is stopped, the page is told, and the table is there all the same."""
    monkeypatch.setattr(sources, "SQL_SECONDS", 0.2)
    with lake.ui() as server:
        browser = enter(server)
        answer = browser.raw("runs", where="list_sum(range(20000000 + length(name))) > 0")
        assert (answer.status, "took longer than" in answer.json["error"]) == (400, True)
        assert browser.ask("runs")["total"] == 4


def test_a_window_has_a_limit(browser):
    """Nobody gets more than 500 rows at once."""
    assert (
        "limit=501 is no integer from 0 to 500" in browser.raw("runs", where="config.lr > 0", limit=501).json["error"]
    )


def test_the_newest_run_stands_first(browser):
    """Unless the address says an order."""
    assert browser.ask("runs")["run_ids"] == ["lr0.2-s1", "lr0.2-s0", "lr0.1-s1", "lr0.1-s0"]
    assert browser.ask("runs", order="+created_at")["run_ids"] == ["lr0.1-s0", "lr0.1-s1", "lr0.2-s0", "lr0.2-s1"]


def test_the_first_rows_of_many_runs_are_those_of_the_table(lake, monkeypatch):
    """Of many runs the first window is read alone; it is the same as when all runs have been read."""
    monkeypatch.setattr(first_rows, "SAMPLE", 3)
    source = Source(lake, name="lake")
    first = [run_rows.window(source, Parameters([("offset", at), ("limit", "2")])) for at in ("0", "1")]
    assert source.is_cold
    run_rows.table(source, run_rows.read_question(source, Parameters([])))
    assert not source.is_cold
    assert first == [run_rows.window(source, Parameters([("offset", at), ("limit", "2")])) for at in ("0", "1")]


def test_only_differing_columns(browser):
    """Columns in which all runs are alike are left out."""
    answer = browser.ask("runs", col=["project", "config.lr", "summary.loss.min"], differ=1)
    assert [column["name"] for column in answer["columns"]] == ["config.lr"]


def test_archived_runs_are_left_out_until_wanted(lake, browser):
    """The tag archived hides a run; with archived=1 it is there."""
    lake.run("lr0.1-s0").tags = ["archived"]
    assert browser.ask("runs")["total"] == 3
    assert browser.ask("runs", archived=1)["total"] == 4


def test_groups_have_mean_spread_and_interval(browser):
    """Over the seeds of each lr: n, mean, sample std, and the t interval of the mean."""
    answer = browser.ask("groups", group="config.lr", col="summary.acc.max")
    (acc,) = answer["measures"]
    assert answer["n"] == [2, 2]
    assert acc["mean"] == pytest.approx([0.505, 0.605])
    assert acc["std"] == pytest.approx([0.00707107] * 2)
    assert acc["low"][0] == pytest.approx(0.505 - 12.7062 * 0.00707107 / 2**0.5, abs=1e-6)
    assert browser.ask("runs", where=answer["conditions"][1])["run_ids"] == ["lr0.2-s1", "lr0.2-s0"]


def test_the_columns_of_many_runs_are_chosen_by_a_sample(tmp_path: Path, enter):
    """What is the same in all is not shown, what most lack stands last, and a filter changes neither."""
    runs, lake = 1_200, tl.open(tmp_path, create=True)
    table = pl.DataFrame(
        {"id": [f"{i:04}" for i in range(runs)], "lr": [i % 3 for i in range(runs)], "same": "x", "step": 0}
    )
    rare = pl.Series("rare", [i if i % 5 == 0 else None for i in range(runs)])
    loss = pl.Series("loss", [i / runs for i in range(runs)])
    lake.import_table(
        table.with_columns(rare, loss),
        run_columns=["id"],
        step="step",
        config_columns=["lr", "same", "rare"],
        metrics={"loss": "loss"},
    )
    with serve(lake) as server:
        browser = enter(server)
        answers = [browser.ask("runs", **view) for view in ({}, {"where": "config.lr = 1"}, {"where": "loss < 0"})]
    for answer in answers:
        names = [column["name"] for column in answer["columns"]]
        assert (names[:2], names[-1]) == (["summary.loss", "config.lr"], "config.rare")
        assert "config.same" not in names
    assert [answer["total"] for answer in answers] == [1200, 400, 0]


def test_numbers_that_json_cannot_hold(tmp_path: Path, enter):
    """NaN, infinities and large integers come as strings, exact."""
    with tl.init(dir=tmp_path, id="a", config={"n": 2**60}) as run:
        run.summary.update({"x": float("nan"), "y": float("-inf")})
    with serve(tl.open(tmp_path)) as server:
        answer = enter(server).ask("runs", col=["config.n", "summary.x", "summary.y"])
        assert [values(answer, n) for n in ("config.n", "summary.x", "summary.y")] == [[str(2**60)], ["NaN"], ["-inf"]]


VIEWS = [
    {"col": ["config.lr", "summary.acc.max"], "order": "-summary.acc.max"},
    {"where": "config.lr > 0.15 AND state = 'finished'", "col": ["name", "config.lr"]},
    {"q": "s1", "project": "p", "order": ["config.lr", "-summary.loss.min"], "col": ["summary.loss.min"]},
    {"run": ["lr0.2-s0", "lr0.1-s0"], "col": ['config.we"ird, name', "tags"], "order": "+name"},
    {},
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_as_code_gives_the_same_rows(lake, browser, view):
    """The Python, the SQL and the shell command that are copied give the rows that the table shows."""
    with tl.init("p", id="late", config={'we"ird, name': 1, "lr": 0.3}, tags=["archived"], dir=lake.dir) as run:
        run.log({"acc": 0.5, "loss": 2.0})
    shown = browser.ask("runs", **view)["run_ids"]
    assert shown
    code = browser.ask("code", **view)
    scope: dict = {}
    exec(code["python"], scope)
    assert scope["rows"]["run_id"].to_list() == shown
    answer = lake.sql(code["sql"])
    assert answer["run_id"].to_list() == shown
    assert answer.columns == scope["rows"].columns
    words = shlex.split(code["shell"])
    done = command(*words[1:])
    done.check_returncode()
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["run_id"] for row in rows] == shown
    assert list(rows[0]) == answer.columns


def test_changes_are_counted(lake, browser):
    """The version is another one after a run has logged, and the same while nothing happens."""
    before = browser.ask("changes")["version"]
    assert browser.ask("changes", since=before) == {"version": before, "changed": False}
    with tl.init("p", id="new", dir=lake.dir) as run:
        run.log({"acc": 1.0})
    assert browser.ask("changes", since=before)["changed"]
    assert browser.ask("runs")["total"] == 5


def test_several_lakes(lake, tmp_path: Path, enter):
    """Each lake is asked by its name; one that is not there is told."""
    with tl.init(dir=tmp_path / "other", id="only") as run:
        run.log({"x": 1.0})
    with serve(lake, tl.open(tmp_path / "other")) as server:
        browser = enter(server)
        assert [entry["name"] for entry in browser.ask("lakes")["lakes"]] == ["lake", "other"]
        assert browser.ask("runs", lake="other")["run_ids"] == ["only"]
        assert "did you mean 'other'" in browser.raw("runs", lake="othr").json["error"]


def test_threads_ask_at_once(browser):
    """Many requests at once get the same answers as one by one."""
    expected = browser.ask("runs", order="-config.lr")["run_ids"]
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(browser.ask, "runs", order="-config.lr", offset=0, limit=4 + i % 2) for i in range(64)]
        assert {tuple(one.result()["run_ids"]) for one in asked} == {tuple(expected)}


def test_columns_of_frames():
    """Times are epoch milliseconds, lists are texts, anything else is shown as text."""
    frame = pl.DataFrame({"t": ["1970-01-01T00:00:01"], "l": [["a"]], "d": ["1970-01-02"]}).with_columns(
        pl.col("t").str.to_datetime(time_unit="us"), pl.col("d").str.to_date()
    )
    assert [c["values"] for c in columns(frame)] == [[1000], [["a"]], ["1970-01-02"]]


def test_a_lake_that_disappears_is_told(lake, browser, tmp_path: Path):
    """While the folder is away the reply says so; when it is back the page goes on."""
    Path(lake.dir).rename(tmp_path / "away")
    answer = browser.raw("changes")
    assert (answer.status, "is gone: is its disk there" in answer.json["error"]) == (400, True)
    (tmp_path / "away").rename(lake.dir)
    assert browser.ask("runs")["total"] == 4


def test_a_damaged_lake_is_told(lake, browser):
    """A file that is damaged is named with the way out, and what can be read is there."""
    lake.refresh()
    for path in Path(lake.dir, "history").glob("*.parquet"):
        path.write_bytes(b"x" * 100)
    header, _ = browser.raw("curves", metric="acc").blocks
    assert header["runs"] == []
    assert "is damaged" in browser.ask("schema")["lost"][0]
    assert browser.ask("runs", col="config.lr")["total"] == 4
