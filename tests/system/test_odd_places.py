"""A lake answers alike wherever it lies: paths are never patterns, and folders above it name no columns."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.display.labels import printable

ODD = [
    "sweep[1]", "value=7", "metric=loss", "seed=1/step=5", "run_id=x", "a b", "100%", "#1", "it's", '"quoted"', "~",
    "-dash", "été/naïve", "*", "?", "{a,b}", "**/x", "\udcff", "null", "new\nline",
]  # fmt: skip
ALL_IN_ONE = 'value=7/-it\'s a [1] {a,b} *? "100%" #1 ~été\n\udcff'
COMMANDS = """
describe
describe --json
runs --columns run_id,config.lr,summary.loss.min --order-by summary.loss.min
runs --where config.lr>0.3 --columns run_id --csv
show a
history loss --run a --csv
sql SELECT+run_id,sum(value)+AS+total+FROM+history+GROUP+BY+1+ORDER+BY+1
sql --file {folder}/question.sql --csv
query
query leaderboard metric=loss goal=min --csv
query mine --queries {folder}/queries --csv
compare loss --by lr --goal min
at-budget loss step=1 --goal min
time-to loss 0.3 --goal min
sweep analyze loss --goal min
watch --once --all
tag a best
runs --where list_contains(tags,'best') --columns run_id
define loss --summary min --goal min
alias error loss
derive double 2*loss
history double --csv
rename a first
move b --to other
delete b --yes
runs --columns run_id,project --csv
restore b
refresh
check --full
compact
vacuum --older-than 0 --dry-run
versions --csv
repair --dry-run
upload
import formats
import paths {folder}/events.csv
import table {folder}/table.csv --run-columns run --step step --metric acc
runs --columns run_id,summary.acc --order-by run_id --csv
export {folder}/parquet
export {folder}/csv --format csv
export {folder}/jsonl --format jsonl
report {folder}/report.md
report {folder}/report.md --out {folder}/out.html --check
copy {folder}/lake {folder}/copy
check --full --dir {folder}/copy
sweep create {folder}/sweep.yaml
sweep list
completion bash
describe --dir {folder}/nothing
sql --file {folder}/nothing.sql
sql COPY+runs+TO+'x'
"""
VARIES = re.compile(
    r"[0-9a-f]{8,}|\b[a-z0-9]{8}\b(?=\s|$|,)|\d{4}-\d\d-\d\d[ T][\d:.]*(?:\+00:00)?|\d\d:\d\d:\d\d|\b1\d{9,}\b"
    r"|\d+(?:\.\d+)? (?:seconds?|minutes?) ago|[\d.,]+ (?:kB|MB|bytes|s\b)"
)
"""Ids of sweeps, moments, ages and sizes."""


@pytest.mark.parametrize("name", ODD, ids=[ascii(name) for name in ODD])
def test_core_questions_in_an_odd_folder(tmp_path: Path, name: str):
    """Runs, histories, SQL, edits, checks and exports are the same in a folder of any name."""
    folder = tmp_path / name / "lake"
    for run_id, loss in (("a", 0.5), ("b", 0.25)):
        with tl.init("p", id=run_id, dir=folder, config={"lr": loss}) as run:
            run.log({"loss": loss}), run.log({"loss": loss / 2})
    lake = tl.open(folder)
    for _ in ("in journals", "sealed"):
        assert lake.runs(order_by="summary.loss.min", columns=["config.lr"]).rows() == [("b", 0.25), ("a", 0.5)]
        assert lake.history("loss", runs=["a"])["value"].to_list() == [0.5, 0.25]
        sums = lake.sql("SELECT run_id, sum(value), min(step) FROM history WHERE metric = 'loss' GROUP BY 1 ORDER BY 1")
        assert sums.rows() == [("a", 0.75, 0), ("b", 0.375, 0)]
        lake.refresh()
    lake.run("a").summary["note"] = "odd"
    assert lake.run("a").summary["note"] == "odd"
    assert lake.check(full=True).findings == []
    assert [path.name for path in (tmp_path / name).iterdir()] == ["lake"]


def fill(folder: Path) -> None:
    """Make two runs, of which one is sealed, and files of each kind that a command reads."""
    for run_id, loss in (("a", 0.5), ("b", 0.25)):
        with tl.init("p", id=run_id, dir=folder / "lake", config={"lr": loss}, settings={"metadata": False}) as run:
            run.log({"loss": loss}), run.log({"loss": loss / 2})
        tl.open(folder / "lake").refresh()
    (folder / "queries").mkdir()
    (folder / "queries" / "mine.sql").write_text("-- mine: runs\nSELECT count(*) AS n FROM runs")
    (folder / "question.sql").write_text("SELECT count(*) AS n FROM history")
    (folder / "events.csv").write_text("step,loss\n0,1\n1,0.5\n")
    (folder / "table.csv").write_text("run,step,acc\nx,0,0.5\nx,1,0.75\ny,0,0.25\n")
    (folder / "report.md").write_text("# Report\n\nReached ${run:first:summary.loss.min} of ${run:none:name}.\n")
    (folder / "sweep.yaml").write_text("program: train.py\nmethod: grid\nparameters:\n  lr:\n    values: [1, 2]\n")


def answers(lines: list[str], folder: Path, *, template: Path) -> list[tuple[str, object, str]]:
    """Run the commands in a folder on a copy of the template; return what each said, without the folder's name."""
    shutil.copytree(template, folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        return [(line, *said(line, folder)) for line in lines]
    finally:
        os.chdir(before)


def said(line: str, folder: Path) -> tuple[int, str]:
    words = [word.replace("+", " ").replace("{folder}", str(folder)) for word in line.split()]
    place = [] if "--dir" in words or words[0] == "copy" else ["--dir", str(folder / "lake")]
    result = CliRunner().invoke(cli.main, [*place, *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), (line, ascii(result.exception)[:500])
    text = result.output
    there = str(folder).replace("\udcff", "\ufffd")  # as what cannot be decoded is printed
    for name in (there, printable(str(folder)), repr(str(folder))[1:-1], shlex.quote(there)):
        text = text.replace(name, "FOLDER")
    unquoted = re.sub(r"""(["'])(FOLDER[^"'\n]*)\1""", r"\2", text)
    return result.exit_code, re.sub(" +", " ", VARIES.sub("~", unquoted))  # a column is as wide as what varies in it


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    fill(folder)
    return folder


LINES = COMMANDS.strip().splitlines()
WITH_FILES = [line for line in LINES if "{folder}" in line]
CASES = [
    pytest.param(ALL_IN_ONE, WITH_FILES, id="commands with files"),
    *(pytest.param(name, LINES, marks=pytest.mark.long, id=ascii(name)) for name in (ALL_IN_ONE, *ODD)),
]


@pytest.mark.parametrize(("name", "lines"), CASES)
def test_commands_in_an_odd_folder(tmp_path: Path, template: Path, name: str, lines: list[str]):
    """As in a folder with a plain name, and nothing is left elsewhere."""
    plain = answers(lines, tmp_path / "plain", template=template)
    assert answers(lines, tmp_path / name, template=template) == plain
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted(
        path.name for path in (tmp_path / "plain").iterdir()
    )
