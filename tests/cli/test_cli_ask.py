"""The commands that ask: show, history, sql, query, describe, watch."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import processes
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result

import tracklake as tl
from tracklake import cli
from tracklake.cli import terminal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with two finished runs and one that runs."""
    folder = tmp_path_factory.mktemp("cli") / "lake"
    for run_id, losses in (("a", [3.0, 1.0, 2.0]), ("b", [5.0, float("nan"), 6.0])):
        config = {"lr": 0.1, "opt": {"name": "adam"}}
        with tl.init("p", id=run_id, group="g", config=config, tags=["x", "y"], dir=folder) as run:
            run.define_metric("loss", summary="min", goal="min")
            for loss in losses:
                run.log({"loss": loss, "note": "hi"})
    tl.open(folder).refresh()
    return str(folder)


def call(*arguments: str, folder: str, **options: object) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--dir", folder], **options)


def lines(*arguments: str, folder: str, **options: object) -> list[str]:
    result = call(*arguments, folder=folder, **options)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_show(folder: str):
    """`show` prints what a run is, its config and summary, and a curve of each metric."""
    found = [line for line in lines("show", "a", folder=folder) if not re.match("created_at|runtime", line)]
    assert found == [
        "run_id                 a", "project                p", "name                   a", "group                  g",
        "state                  finished", "tags                   x, y", "",
        "config", "  lr                   0.1", "  opt.name             adam", "",
        "summary", "  loss.min             1", "  note                 hi", "",
        "metrics", "  loss                        3 points  █▁▄", "  note                        3 points",
    ]  # fmt: skip


def test_show_json(folder: str):
    """`show --json` is one object, nested as config and summary are."""
    known = json.loads("\n".join(lines("show", "b", "--json", folder=folder)))
    assert known["config"] == {"lr": 0.1, "opt": {"name": "adam"}}
    assert (known["summary"]["loss"], known["tags"], known["state"]) == ({"min": 5.0}, ["x", "y"], "finished")


def test_show_of_an_unknown_run(folder: str):
    """A run that is not there is named with the nearest."""
    result = call("show", "aa", folder=folder)
    assert (result.exit_code, result.stderr) == (2, "Error: unknown run 'aa'; did you mean 'a'?\n")


def test_history(folder: str):
    """`history` prints points in order; it says when it does not show all."""
    asked = ["history", "loss", "--run", "a", "--csv"]
    assert [line.split(",")[2::2] for line in lines(*asked, folder=folder)] == [
        ["step", "value"], ["0", "3.0"], ["1", "1.0"], ["2", "2.0"],
    ]  # fmt: skip
    assert (
        lines("history", "loss", "--limit", "2", folder=folder)[-1] == "... more than 2 rows: --limit 0 shows them all"
    )


def test_history_wide_of_some_steps(folder: str):
    """`--wide` puts one metric a column, `--steps` takes both ends."""
    found = lines("history", "--wide", "--steps", "1:1", "--where", "run_id = 'a'", "--json", folder=folder)
    assert [{**json.loads(line), "time": None} for line in found] == [
        {"run_id": "a", "step": 1, "time": None, "loss": 1.0, "note": "hi"}
    ]
    assert len(lines("history", "loss", "--steps", ":1", "--csv", folder=folder)) == 5
    result = call("history", "--steps", "x:1", folder=folder)
    assert result.exit_code == 2
    assert "is no FIRST:LAST" in result.stderr


def test_sql(folder: str):
    """`sql` runs a text with its parameters; numbers, lists and texts are what they look like."""
    asked = ["sql", 'SELECT run_id, "summary.loss.min" AS low FROM runs WHERE run_id IN $runs OR 1 = $n ORDER BY 1']
    found = lines(*asked, "--param", 'runs=["a"]', "--param", "n=2", folder=folder)
    assert found == ["run_id  low", "a         1", "1 row"]
    assert lines("sql", "SELECT $x AS x", "--param", "x=a=b", "--csv", folder=folder) == ["x", "a=b"]


def test_sql_from_a_file(folder: str, tmp_path: Path):
    """`sql --file` reads the text from a file, or standard input."""
    (tmp_path / "q.sql").write_text("SELECT count(*) AS n FROM history")
    assert lines("sql", "--file", str(tmp_path / "q.sql"), "--json", folder=folder) == ['{"n":12}']
    assert lines("sql", "--file", "-", "--csv", folder=folder, input="SELECT 1 AS one") == ["one", "1"]
    assert call("sql", folder=folder).exit_code == 2


def test_sql_parquet(folder: str):
    """`--parquet` writes the bytes of a Parquet file."""
    result = call("sql", "SELECT run_id, step, value FROM history WHERE metric = 'loss'", "--parquet", folder=folder)
    assert pl.read_parquet(io.BytesIO(result.stdout_bytes)).shape == (6, 3)


def test_sql_explain(folder: str):
    """`EXPLAIN` prints the plan as it is drawn."""
    assert any("Scan" in line for line in lines("sql", "EXPLAIN SELECT run_id FROM runs", folder=folder))


def test_sql_refusal(folder: str):
    """A text that does more than read ends with exit code 2 and says the way out."""
    result = call("sql", "COPY runs TO 'x.csv'", folder=folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: COPY is refused: tracklake sql only reads")


def test_query_lists(folder: str):
    """`query` alone lists the queries with what they answer."""
    assert "recent                  Which runs were started last?" in lines("query", folder=folder)
    assert {"name", "answers", "parameters"} <= set(json.loads(lines("query", "--json", folder=folder)[0]))


def test_query_list_fits_the_terminal(folder: str, monkeypatch: pytest.MonkeyPatch):
    """What a query answers goes on under itself where a line has no room for it."""
    monkeypatch.setenv("COLUMNS", "70")
    found = lines("query", folder=folder)
    assert max(map(len, found)) <= 70
    at = next(i for i, line in enumerate(found) if line.startswith("sweep_marginals"))
    assert found[at : at + 2] == [
        "sweep_marginals         What does each value of each key of the config",
        "                        mean for a metric, whatever the other keys",
    ]


def test_sql_of_what_csv_and_json_cannot_hold(folder: str):
    """Lists, structs and bytes come as text: with commas, as JSON, and in hexadecimal digits."""
    text = "SELECT [1, 2] AS l, {'x': 'ä'} AS s, [{'x': 1}] AS n, 'x'::BLOB AS b, NULL::STRUCT(x INT) AS z"
    assert lines("sql", text, "--csv", folder=folder) == ["l,s,n,b,z", '"1,2","{""x"": ""ä""}","[{""x"": 1}]",78,']
    assert lines("sql", text, "--json", folder=folder) == ['{"l":[1,2],"s":{"x":"ä"},"n":[{"x":1}],"b":"78","z":null}']


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("form", [[], ["--json"], ["--parquet"]])
def test_a_full_disk_is_one_clear_line(folder: str, form: list[str]):
    """What cannot be written ends a command with exit code 2 and without a traceback."""
    program = [sys.executable, "-m", "tracklake.cli", "runs", "--dir", folder, *form]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "Error: No space left on device\n")


def test_query(folder: str, tmp_path: Path):
    """`query` takes params by name; what is a text to the query is one."""
    found = lines("query", "leaderboard", "metric=loss", "k=1", "--csv", folder=folder)
    assert found == ["rank,run_id,name,project,group,value,step", "1,a,a,p,g,1.0,1"]
    (tmp_path / "echo.sql").write_text("-- What?\n--\n-- Takes    x TEXT   a text\n\nselect $x || '!' as x")
    assert lines("query", "echo", "x=5", "--queries", str(tmp_path), "--csv", folder=folder) == ["x", "5!"]


def test_query_about(folder: str):
    """`query NAME --about` says what it takes and returns."""
    found = lines("query", "recent", "--about", folder=folder)
    assert found[:4] == ["Which runs were started last?", "", "Takes", "  k BIGINT = 20            this many"]
    assert "  runtime DOUBLE" in found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["leaderbord"], "unknown query 'leaderbord'; did you mean 'leaderboard'?"),
        (["recent", "5"], "'5' is no NAME=VALUE, such as k=5 or metric=val/acc"),
        (["recent", "k=five"], "k='five' is no BIGINT"),
    ],
)
def test_query_errors(folder: str, arguments: list[str], message: str):
    """What was wrong is told, and the exit code is 2."""
    result = call("query", *arguments, folder=folder)
    assert result.exit_code == 2
    assert message in result.stderr


def test_describe(folder: str):
    """`describe` shows runs by state, projects, metrics with their coverage, and what is not sealed."""
    found = lines("describe", folder=folder)
    assert found[0] == f"{folder}: 2 runs (2 finished), 12 points"
    assert found[1].startswith("version 1, 1 partition, ")
    assert found[1].endswith("; 0 points of 0 sessions are in journals")
    assert found[-3:] == [
        "metric  runs  points  first_step  last_step  defined",
        "loss       2       6           0          2  min, goal min",
        "note       2       6           0          2",
    ]


def test_describe_json(folder: str):
    """`describe --json` holds the same for a program."""
    known = json.loads(lines("describe", "--json", folder=folder)[0])
    assert (known["runs"], known["states"], known["points"]) == (2, {"finished": 2}, 12)
    assert known["metrics"][0] == {
        "metric": "loss", "runs": 2, "points": 6, "first_step": 0, "last_step": 2, "defined": "min, goal min",
    }  # fmt: skip


def test_watch(tmp_path: Path):
    """`watch` shows running runs with the last and best value and the curve of a metric; ended ones on request."""
    run = tl.init("p", id="alive", dir=tmp_path)
    with tl.init("p", id="over", dir=tmp_path, reinit="create_new") as other:
        other.log({"loss": 1.0})
    for loss in (4.0, 1.0, 2.0):
        run.log({"loss": loss})
    found = lines("watch", "loss", folder=str(tmp_path))
    run.finish()
    assert len(found) == 3
    assert found[1].split() == ["run", "step", "loss", "best", "curve", "silent"]
    assert found[2].split()[:5] == ["alive", "2", "2", "1", "█▁▃"]
    assert len(lines("watch", "--all", folder=str(tmp_path))) == 4


def test_watch_ends_where_its_output_is_no_terminal(folder: str, monkeypatch: pytest.MonkeyPatch):
    """Also where FORCE_COLOR, as on many servers that run tests, asks for colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    watched = processes.command("watch", "--all", "--dir", folder)
    assert (watched.returncode, watched.stdout.count("silent")) == (0, 1)


def test_watch_of_an_empty_lake(tmp_path: Path):
    """`watch` of a lake without runs says so."""
    tl.open(tmp_path, create=True)
    assert lines("watch", folder=str(tmp_path))[0].startswith("0 runs")


def test_no_colours_off_a_terminal(folder: str):
    """What goes into a pipe holds no terminal codes."""
    for command in (["describe"], ["runs"], ["watch", "--all"], ["query"]):
        assert "\x1b" not in "\n".join(lines(*command, folder=folder))


def test_parquet_is_not_for_a_terminal(folder: str, monkeypatch: pytest.MonkeyPatch):
    """`--parquet` on a terminal is refused with the way out."""
    monkeypatch.setattr(terminal.sys, "stdout", type("Terminal", (io.StringIO,), {"isatty": lambda _: True})())
    with pytest.raises(terminal.click.UsageError, match="send it to a file"):
        terminal.give(pl.DataFrame({"a": [1]}), form="parquet")
    assert folder


@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [
        (["show", "--dir", "LAKE"], "", ["a", "b"]),
        (["history", "--dir", "LAKE"], "l", ["loss"]),
        (["query"], "leader", ["leaderboard"]),
        (["show", "--dir", "/nowhere"], "", []),
    ],
)
def test_completion_knows_names(folder: str, words: list[str], begun: str, found: list[str]):
    """A shell completes ids of runs, metrics, and names of queries."""
    completing = BashComplete(cli.main, {}, "tracklake", "_TRACKLAKE_COMPLETE")
    words = [folder if word == "LAKE" else word for word in words]
    assert [item.value for item in completing.get_completions(words, begun)] == found
