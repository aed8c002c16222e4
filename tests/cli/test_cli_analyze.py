"""The commands of statistical analysis: compare, sweep, at-budget, time-to."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

import tracklake as tl
from tracklake import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three learning rates of three seeds each, three steps a run; 0.3 is best by far."""
    folder = tmp_path_factory.mktemp("analyze") / "lake"
    for lr in (0.1, 0.2, 0.3):
        for seed in range(3):
            with tl.init("p", id=f"lr{lr}-s{seed}", config={"lr": lr, "seed": seed}, dir=folder) as run:
                for step in range(3):
                    run.log({"acc": lr * (step + 1) + seed / 100})
    tl.open(folder).refresh()
    return str(folder)


def call(*arguments: str, folder: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--dir", folder])


def rows(*arguments: str, folder: str) -> list[dict[str, object]]:
    result = call(*arguments, "--json", folder=folder)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_compare_prints_what_the_library_prints(folder: str, monkeypatch: pytest.MonkeyPatch):
    """`compare` prints the comparison, as text, Markdown and LaTeX."""
    found = tl.open(folder).compare("acc", by="lr", over="seed", goal="max", baseline=0.1)
    asked = ("compare", "acc", "--by", "lr", "--over", "seed", "--goal", "max", "--baseline", "0.1")
    monkeypatch.setenv("COLUMNS", "200")
    assert call(*asked, folder=folder).stdout == f"{found.to_text(width=200)}\n"
    assert call(*asked, "--markdown", folder=folder).stdout == f"{found.to_markdown()}\n"
    assert call(*asked, "--latex", folder=folder).stdout == f"{found.to_latex()}\n"


def test_compare_fits_the_terminal(folder: str, monkeypatch: pytest.MonkeyPatch):
    """A narrow terminal is told how to see the columns and rows that have no room; a wide one has all columns."""
    asked = ("compare", "acc", "--by", "lr", "--over", "seed", "--goal", "max", "--limit", "1")
    monkeypatch.setenv("COLUMNS", "60")
    narrow = call(*asked, folder=folder).stdout
    assert max(map(len, narrow.splitlines())) <= 60
    told = " ".join(narrow.split())
    assert "(2 more rows with --limit 0; 5 more columns in a wider terminal, or with --csv or --json)" in told
    monkeypatch.setenv("COLUMNS", "200")
    assert "p (Holm)" in call(*asked, folder=folder).stdout


def test_compare_for_programs(folder: str):
    """`compare --json` has all columns, one row a group, the best first."""
    found = rows("compare", "acc.last", "--by", "lr", "--goal", "max", "--where", "config.lr > 0.1", folder=folder)
    assert [(row["config.lr"], row["n"], round(row["mean"], 6)) for row in found] == [(0.3, 3, 0.91), (0.2, 3, 0.61)]


def test_sweep(folder: str):
    """`sweep` shows the sweep and what mattered; --best and --marginal show these instead."""
    text = call("sweep", "acc", "--goal", "max", "--params", "lr", folder=folder).stdout
    assert text.startswith("acc (higher is better): 9 runs, 0 failed, 1 parameter varies\n")
    assert "config.lr" in text.splitlines()[-2]
    best = rows("sweep", "acc", "--goal", "max", "--best", "2", folder=folder)
    assert [row["run_id"] for row in best] == ["lr0.3-s2", "lr0.3-s1"]
    marginal = rows("sweep", "acc", "--goal", "max", "--marginal", "lr", folder=folder)
    assert [(row["value"], row["n"]) for row in marginal] == [(0.1, 3), (0.2, 3), (0.3, 3)]


def test_sweep_in_a_narrow_terminal(folder: str, monkeypatch: pytest.MonkeyPatch):
    """The columns of the sweep itself are told to be in a wider terminal: --csv and --json give what mattered."""
    monkeypatch.setenv("COLUMNS", "40")
    text = call("sweep", "acc", "--goal", "max", "--params", "lr", folder=folder).stdout
    assert " in a wider terminal)\n" in text


def test_at_budget(folder: str):
    """`at-budget` shows each run's last and best value within all of the budgets."""
    found = rows("at-budget", "acc", "step=1", "time=2h", "--goal", "max", "--where", "config.seed = 0", folder=folder)
    assert sorted((row["run_id"], row["best"], row["best_step"]) for row in found) == [
        ("lr0.1-s0", 0.2, 1), ("lr0.2-s0", 0.4, 1), ("lr0.3-s0", 0.6, 1),
    ]  # fmt: skip


def test_time_to(folder: str):
    """`time-to` counts runs that never reach it."""
    found = rows("time-to", "acc", "0.6", "--goal", "max", "--by", "lr", folder=folder)
    assert [(row["config.lr"], row["n_reached"], row["median"]) for row in found] == [
        (0.3, 3, 1.0), (0.2, 3, 2.0), (0.1, 0, None),
    ]  # fmt: skip
    text = call("time-to", "acc", "0.6", "--goal", "max", folder=folder).stdout
    assert text == f"{tl.open(folder).time_to('acc', 0.6, goal='max')!r}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "ac", "--by", "lr"], "unknown metric 'ac'; did you mean 'acc'?"),
        (["compare", "acc", "--by", "lr"], "which way is 'acc' better?"),
        (["compare", "acc"], "Missing option '--by'"),
        (["sweep", "acc", "--best", "1", "--marginal", "lr"], "give --best or --marginal; one of the two"),
        (["at-budget", "acc", "step"], "'step' is no NAME=VALUE"),
        (["at-budget", "acc", "time=soon", "--goal", "max"], "'soon' is no amount"),
        (["time-to", "acc", "high"], "'high' is not a valid float"),
    ],
)
def test_errors_are_one_clear_line(folder: str, arguments: list[str], message: str):
    """What cannot be answered is told, with exit code 2."""
    result = call(*arguments, folder=folder)
    assert result.exit_code == 2
    assert message in result.stderr


def test_parquet_and_csv(folder: str, tmp_path: Path):
    """The table goes to other programs in each form."""
    text = call("compare", "acc", "--by", "lr", "--goal", "max", "--csv", folder=folder).stdout
    assert text.startswith("config.lr,n,n_runs,n_failed,n_diverged,n_tasks,mean,")
    out = tmp_path / "x.parquet"
    out.write_bytes(call("at-budget", "acc", "step=1", "--goal", "max", "--parquet", folder=folder).stdout_bytes)
    assert pl.read_parquet(out).height == 9
