"""The command `tracklake`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import polars as pl
import pytest
from click.testing import CliRunner, Result

import tracklake as tl
from tracklake import cli
from tracklake.cli import terminal


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A lake with three runs: lr 0.1, 0.2, 0.3 reaching acc 0.7, 0.9, 0.8."""
    directory = str(tmp_path / "lake")
    for lr, acc in [(0.1, 0.7), (0.2, 0.9), (0.3, 0.8)]:
        with tl.init(project="p", id=f"run-{lr}", config={"lr": lr}, dir=directory) as run:
            run.log({"acc": acc})
            run.log({"acc": 0.5})
    return directory


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def lines(*arguments: str) -> list[str]:
    result = call(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_help_teaches(name: str):
    """Every command has help with an example, every option says what it does, and no line is too wide."""
    text = call(name, "--help").stdout
    assert "Example" in text
    assert f"tracklake {name}" in text
    assert all(p.help for p in cli.main.commands[name].params if isinstance(p, click.Option))
    assert max(map(len, text.splitlines())) <= 100


def test_version():
    """The installed command tells its version."""
    command = Path(sys.executable).with_name("tracklake")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "tracklake, version 0.1.0\n"


def test_runs_table(place: str):
    """`runs` prints the columns asked for, best first, numbers to the right."""
    asked = ["--columns", "run_id,config.lr,summary.acc.max", "--order-by=-summary.acc.max", "--limit", "2"]
    assert lines("runs", "--dir", place, *asked) == [
        "run_id    lr  acc.max",
        "run-0.2  0.2      0.9",
        "run-0.3  0.3      0.8",
        "2 rows",
        "... more than 2 rows: --limit 0 shows them all",
    ]


def test_runs_without_a_question(place: str, monkeypatch: pytest.MonkeyPatch):
    """`runs` alone shows the newest first, what varies over them before the rest, as much as there is room for."""
    monkeypatch.setenv("COLUMNS", "50")
    head, *rows, count = lines("runs", "--dir", place)
    assert head == "run_id    lr  created_at         runtime"
    assert rows[0].startswith("run-0.3  0.3  ")
    assert count.startswith("3 rows; no room for 3 columns: project, st")


def test_what_is_named_is_always_shown(place: str, monkeypatch: pytest.MonkeyPatch):
    """Columns that were asked for, and the one that is sorted by, are there however narrow the terminal is."""
    monkeypatch.setenv("COLUMNS", "24")
    asked = ["--columns", "state,summary.acc.max,project", "--order-by=-lr", "--limit", "1"]
    assert lines("runs", "--dir", place, *asked)[:2] == [
        "run_id   state     acc.max  project   lr",
        "run-0.3  finished      0.8  p        0.3",
    ]
    head = lines("runs", "--dir", place, "--order-by=-summary.acc.max")[0]
    assert head == "run_id   acc.max   lr"


def test_states_and_projects_that_vary_are_shown(place: str, monkeypatch: pytest.MonkeyPatch):
    """A run that failed is seen to have failed, also where many columns vary."""
    with pytest.raises(ZeroDivisionError), tl.init(project="q", id="x", config={"lr": 0.9}, dir=place):
        1 / 0  # noqa: B018 - it fails
    monkeypatch.setenv("COLUMNS", "50")
    assert lines("runs", "--dir", place)[:2] == [
        "run_id   project  state      lr  acc",
        "x        q        failed    0.9",
    ]


def test_runs_of_an_empty_lake(tmp_path: Path):
    """`runs` of a lake without runs says that there are none."""
    tl.open(tmp_path, create=True)
    assert lines("runs", "--dir", str(tmp_path))[-1] == "0 rows"


def test_runs_where(place: str):
    """`runs --where` takes SQL over config and summary."""
    found = lines(
        "runs", "--dir", place, "--where", '"config.lr" > 0.15', "--columns", "run_id", "--csv", "--order-by", "run_id"
    )
    assert found == ["run_id", "run-0.2", "run-0.3"]


def test_runs_json(place: str):
    """`runs --json` prints an object a line, numbers as numbers."""
    found = lines("runs", "--dir", place, "--columns", "run_id,summary.acc.max", "--json", "--order-by", "run_id")
    assert [json.loads(line) for line in found] == [
        {"run_id": "run-0.1", "summary.acc.max": 0.7},
        {"run_id": "run-0.2", "summary.acc.max": 0.9},
        {"run_id": "run-0.3", "summary.acc.max": 0.8},
    ]


def test_runs_csv_holds_every_default_column(place: str):
    """`runs --csv` writes all columns, lists of tags among them."""
    head, *rows = lines("runs", "--dir", place, "--csv")
    assert {"run_id", "project", "tags", "config.lr"} <= set(head.split(","))
    assert len(rows) == 3


def test_directory_from_the_environment(place: str, monkeypatch: pytest.MonkeyPatch):
    """Without --dir the lake is $TRACKLAKE_DIR."""
    monkeypatch.setenv("TRACKLAKE_DIR", place)
    assert len(lines("runs", "--csv")) == 4


def test_table_fits_the_width():
    """A table names the columns it has no room for, cuts long cells, and keeps line ends out."""
    frame = pl.DataFrame({"a": ["x\ny", "z" * 50], "b": [1.0, float("nan")], "c": [None, ["t", "u"]]})
    assert terminal.table(frame, width=38) == [
        "a                                   b",
        "x y                                 1",
        "z" * 31 + "…  nan",
        "2 rows; no room for 1 column: c",
    ]


def test_table_of_wide_characters():
    """A character that a terminal draws in two columns counts as two."""
    frame = pl.DataFrame({"損失": ["損" * 20, "e\u0301"], "b": [1, 2]})
    assert terminal.table(frame, width=36) == [
        "損失                             b",
        "損損損損損損損損損損損損損損損…  1",
        "e\u0301                                2",
        "2 rows",
    ]


def test_check_of_a_sound_lake(place: str):
    """`check` of a sound lake exits with 0, and tells what it looked at."""
    assert lines("check", "--full", "--dir", place)[-1] == "all is sound"


def test_refresh(place: str):
    """`refresh` seals what was logged, once."""
    assert lines("refresh", "--dir", place) == [f"{place}: 6 points of 3 journal files are Parquet now"]
    assert lines("refresh", "--dir", place) == [f"{place}: nothing new to seal"]


def test_check_of_a_damaged_lake(place: str):
    """`check` of a lake with a flipped byte names the file and exits with 1."""
    lines("refresh", "--dir", place)
    part = next(Path(place).glob("history/*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 0xFF
    part.write_bytes(data)
    result = call("check", "--full", "--dir", place)
    assert result.exit_code == 1
    assert part.name in result.stdout


@pytest.mark.parametrize("command", ["runs", "check", "refresh"])
def test_a_missing_lake_is_one_clear_line(command: str, tmp_path: Path):
    """An error raised on purpose is one line on stderr and exit code 2, without a traceback."""
    result = call(command, "--dir", str(tmp_path / "nowhere"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert "nowhere" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_column_is_one_clear_line(place: str):
    """A column that is not there is named with the nearest that is."""
    result = call("runs", "--dir", place, "--columns", "config.lrr")
    assert result.exit_code == 2
    assert "did you mean 'config.lr'" in result.stderr
