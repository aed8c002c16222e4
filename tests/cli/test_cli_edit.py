"""The commands that edit metadata and maintain a lake: define, tag, export, completion."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

import tracklake as tl
from tracklake import cli


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A lake with one run."""
    with tl.init("p", id="a", dir=tmp_path / "lake") as run:
        run.log({"loss": 2.0})
        run.log({"loss": 1.0})
    return str(tmp_path / "lake")


def call(*arguments: str, folder: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--dir", folder])


def test_define(folder: str):
    """`define` holds for runs that are over."""
    assert call("define", "l*", "--summary", "min,max", "--goal", "min", folder=folder).exit_code == 0
    assert tl.open(folder).run("a").summary["loss"] == {"min": 1.0, "max": 2.0}
    assert call("define", "l*", "--hidden", "--project", "p", folder=folder).exit_code == 0
    assert [c for c in tl.open(folder).runs().columns if "loss" in c] == []


def test_define_errors(folder: str):
    """A summary that cannot be is refused with what is accepted."""
    result = call("define", "loss", "--summary", "mode", folder=folder)
    assert result.exit_code == 2
    assert "accepted: one or more of min, max" in result.stderr


def test_tag(folder: str):
    """`tag` adds and removes, each tag once, and tells what is there."""
    assert call("tag", "a", "x", "y", "x", folder=folder).stdout == "x, y\n"
    assert call("tag", "a", "z", "--remove", "x", folder=folder).stdout == "y, z\n"
    assert tl.open(folder).run("a").tags == ["y", "z"]
    assert call("tag", "a", "--remove", "y", "--remove", "z", folder=folder).stdout == "no tags\n"


def test_export(folder: str, tmp_path: Path):
    """`export` names the files that it has written."""
    result = call("export", str(tmp_path / "out"), "--format", "csv", folder=folder)
    assert [Path(line).name for line in result.stdout.splitlines()] == ["history.csv", "runs.csv", "summaries.csv"]
    assert pl.read_csv(tmp_path / "out/history.csv")["value"].to_list() == [2.0, 1.0]
    assert call("export", str(tmp_path / "out"), folder=folder).exit_code == 2


def test_export_run(folder: str, tmp_path: Path):
    """`export --run` writes one run as a folder."""
    assert call("export", str(tmp_path / "a"), "--run", "a", "--format", "jsonl", folder=folder).exit_code == 0
    assert json.loads((tmp_path / "a/run.json").read_text())["summary"]["loss"] == 1.0
    assert len((tmp_path / "a/history.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str):
    """`completion` prints the script of a shell."""
    script = CliRunner().invoke(cli.main, ["completion", shell]).stdout
    assert f"_TRACKLAKE_COMPLETE={shell}_complete" in script


def test_dir_is_taken_before_the_command_too(folder: str, monkeypatch: pytest.MonkeyPatch):
    """Before it or after it; after it wins; both win over $TRACKLAKE_DIR."""
    monkeypatch.setenv("TRACKLAKE_DIR", "nowhere")
    before = CliRunner().invoke(cli.main, ["--dir", folder, "describe"])
    both = CliRunner().invoke(cli.main, ["--dir", "nowhere", "describe", "--dir", folder])
    neither = CliRunner().invoke(cli.main, ["describe"])
    assert (before.exit_code, before.output) == (0, both.output)
    assert (neither.exit_code, "there is no lake at nowhere" in neither.stderr) == (2, True)


def test_errors_speak_shell(folder: str):
    """What the library says in Python is said with options and commands."""
    result = call("sweep", "loss", folder=folder)
    assert result.exit_code == 2
    assert "--goal min" in result.stderr
    assert "goal=" not in result.stderr
