"""Text from outside: names that hold control characters, and cells that a spreadsheet would run."""

from __future__ import annotations

from pathlib import Path

import made_once
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import TracklakeError

EVIL = "v\nal\x1b]0;title\x07/<b>"
COMMANDS = [
    ["runs"],
    ["describe"],
    ["show", "r1"],
    ["history", "r1"],
    ["sql", "SELECT * FROM runs"],
    ["versions"],
    ["tag", "r1", "x\x1b]0;t\x07"],
    ["define", EVIL, "--summary", "min"],
    ["query", "leaderboard", f"metric={EVIL}", "goal=max"],
    ["show", "nope\x1b]0;t\x07"],
    ["delete", "r1", "--yes"],
]


@made_once.lake
def lake(folder: Path) -> None:
    with tl.init("p\x1b[31m", id="r1", name="n\x1b]0;x\x07", tags=["t\x1b[2J"], notes="\x1b[2J", dir=folder) as run:
        for step in range(3):
            run.log({EVIL: float(step), "note": "=1+1|cmd", "=cmd|x": -1.0, "plain": "a=b"})
        run.config["k\x1b[1m"] = "v\x1b]0;v\x07"


def test_no_command_prints_a_control_character(lake: tl.Lake):
    """A name can neither set the title of a terminal nor clear it: its control characters are shown as signs."""
    for words in COMMANDS:
        output = CliRunner().invoke(cli.main, [*words, "--dir", lake.dir]).output
        assert [char for char in output if not char.isprintable() and char != "\n"] == [], words


def test_no_repr_has_a_control_character(lake: tl.Lake):
    """Likewise what a Lake, a run and a description show of themselves."""
    for text in (repr(lake), repr(lake.run("r1")), repr(lake.describe()), repr(lake.check())):
        assert [char for char in text if not char.isprintable() and char != "\n"] == []


def test_tables_of_hostile_names(tmp_path: Path):
    """As HTML, Markdown and LaTeX: no markup, link, control character or mark of direction, nor the end of a row."""
    names = ["[a](javascript:x)", "*b*<b>", "_c_ `d` ~~e~~\x1b]0;t\x07\u202e"]
    for i, name in enumerate(names):
        with tl.init("p", id=f"r{i}", config={"opt": name}, dir=tmp_path) as run:
            run.log({"acc": 1.0})
    found = tl.open(tmp_path).compare("acc", by="opt", goal="max")
    written = {"html": found._repr_html_(), "markdown": found.to_markdown(), "latex": found.to_latex()}
    for text in written.values():
        assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert "*b*&lt;b&gt;" in written["html"]
    assert r"\[a\](javascript:x)" in written["markdown"]
    assert r"\*b\*&lt;b>" in written["markdown"]
    assert r"\_c\_ \`d\` \~~e\~~␛\]0;t␇" in written["markdown"]
    assert "{}[a](javascript:x)" in written["latex"]
    assert "{}*b*$<$b$>$" in written["latex"]
    assert r"\_c\_ `d`" in written["latex"]


def test_cells_of_csv_that_a_spreadsheet_would_run(lake: tl.Lake, tmp_path: Path):
    """They, and such names of columns, get an apostrophe, unless it is asked for otherwise; numbers stay numbers."""
    lake.export(tmp_path / "safe", format="csv", run="r1")
    lake.export(tmp_path / "raw", format="csv", run="r1", escape_formulas=False)
    safe, raw = ((tmp_path / name / "history.csv").read_text() for name in ("safe", "raw"))
    assert "'=1+1|cmd" in safe
    assert "'=cmd|x" in safe.partition("\n0,")[0]
    assert ",-1.0" in safe
    assert "a=b" in safe
    assert "'=" not in raw
    assert "=1+1|cmd" in raw


@pytest.mark.parametrize(
    "act",
    [
        lambda lake: lake.sql("SELECT '\ud800'"),
        lambda lake: lake.runs(where="state = '\ud800'"),
        lambda lake: lake.derive("a", '"lo\ud800ss" * 2'),
        lambda lake: lake.sql("SELECT * FROM (" * 300 + "SELECT 1" + ")" * 300),
    ],
)
def test_texts_that_cannot_be_sql(lake: tl.Lake, act):
    """Half a surrogate pair and 300 nested queries are told in words of ours."""
    with pytest.raises(TracklakeError, match=r"half a surrogate pair|nested too deeply"):
        act(lake)


@pytest.mark.parametrize("ending", ["svg", "html", "png"])
def test_a_metric_with_a_newline_is_drawn(lake: tl.Lake, tmp_path: Path, ending: str):
    """And what is drawn of it holds no markup of its name."""
    path = lake.plot.curves(EVIL).save(tmp_path / f"x.{ending}")
    if ending != "png":
        assert "/<b>" not in path.read_text().partition("<script")[0]
