"""Reports: references, blocks, front matter, the file, and the command."""

from __future__ import annotations

from pathlib import Path

import made_once
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.ui.reports import pdf, render

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028 [x](javascript:alert(1)) `*|"


@made_once.lake
def lake(folder: Path) -> None:
    """Two runs: best_accuracy 0.75 and 0.875, one of them with hostile values everywhere."""
    with tl.init("p", id="first", config={"lr": 0.001}, dir=folder) as run:
        run.log({"acc": 0.75, "loss": 1.0})
        run.summary["best_accuracy"] = 0.75
    with tl.init("p", id="second", name=HOSTILE, config={"lr": 0.01, "h": HOSTILE}, dir=folder) as run:
        run.log({"acc": 0.5, "loss": 0.5})
        run.log({"acc": 0.875})
        run.summary["best_accuracy"] = 0.875
        run.notes = HOSTILE


REFERENCES = [
    ("${run:summary.best_accuracy}", "0.75"),
    ("${run:summary.best_accuracy|.1%}", "75.0%"),
    ("${run:second:summary.acc.max|.2f}", "0.88"),
    ("${run:second:config.lr|.2e}", "1.00e-02"),
    ("${run:name}", "first"),
    ("${run:second:summary.acc.argmax}", "1"),
]


@pytest.mark.parametrize(("text", "value"), REFERENCES)
def test_a_value_is_quoted(lake, text, value):
    """A value of the report's run, or of any run, in the form that is wanted."""
    report = render(lake, f"---\nrun: first\n---\nIt is {text}.")
    assert report.problems == ()
    assert f">{value}</span>." in report.html


UNRESOLVED = [
    ("${run:summary.best_acuracy}", "did you mean 'summary.best_accuracy'"),
    ("${run:third:name}", "unknown run 'third'"),
    ("${run:notes}", "run 'first' has no notes"),
    ("${run:name|.2f}", "the form '.2f' is of numbers"),
    ("${run:config.lr|999999.3f}", "is no form of a number"),
    ("${run:lr}", "names no value"),
    ("${run:}", "names no value"),
]


@pytest.mark.parametrize(("text", "why"), UNRESOLVED)
def test_what_cannot_be_resolved_is_red_and_told(lake, text, why):
    """The reference stands in the file as it is written, and the reason in the list."""
    report = render(lake, f"---\nrun: first\n---\nIt is {text}.")
    assert why in report.problems[0]
    assert 'class="problem"' in report.html


def test_references_stand_in_tables_headings_and_code(lake):
    """The bar of a form does not cut a cell of a table, and a name with marks of Markdown stays what it is."""
    report = render(
        lake, "# ${run:first:name}\n\n|a|b|\n|-|-|\n|${run:first:config.lr|.0e}|`${run:second:config.lr}`|\n"
    )
    assert ">1e-03</span></td>" in report.html
    assert ">0.01</span></code></td>" in report.html
    assert "<h1><span" in report.html


def test_a_filter_chooses_the_run_and_the_blocks(lake):
    """Of the runs of a filter the first by the order is quoted, and blocks ask of these runs."""
    text = "---\ntitle: Best\nfilter: config.lr > 0\norder: -summary.acc.max\n---\n${run:run_id} ${run:summary.acc.max}"
    report = render(lake, text)
    assert (report.title, report.problems) == ("Best", ())
    assert ">second</span>" in report.html
    with pytest.raises(tl.TracklakeError, match="no run meets the report's filter"):
        render(lake, "---\nfilter: config.lr > 5\n---\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("---\nrun: a", "no --- at its end"),
        ("---\nnonsense\n---", "line 2"),
        ("---\nfilte: x\n---", "did you mean 'filter'"),
    ],
)
def test_front_matter_that_is_none_is_refused(lake, text, why):
    """The error names the line and the nearest field."""
    with pytest.raises(tl.TracklakeError, match=why):
        render(lake, text)


BLOCKS = [
    (
        "sql",
        'SELECT run_id, "summary.acc.max" AS best FROM runs ORDER BY 1',
        '<td>first</td><td class="number">0.75</td>',
    ),
    ("query", 'leaderboard(metric="acc", goal="max")', "<td>second</td>"),
    ("compare", '"acc", by="lr", goal="max"', "baseline"),
    ("plot", 'curves("acc", by="lr")', "data:image/svg+xml;base64,"),
    ("plot", 'curves("acc", by="group")', "data:image/svg+xml;base64,"),
    ("plot", 'leaderboard("acc", by="lr", goal="max")', "data:image/svg+xml;base64,"),
    ("plot", 'importance(metric="acc", goal="max")', "data:image/svg+xml;base64,"),
    ("plot", 'marginal("lr", metric="acc", goal="max")', "data:image/svg+xml;base64,"),
    ("plot", 'scatter("lr", "acc.max")', "data:image/svg+xml;base64,"),
    ("plot", 'ecdf("acc.max")', "data:image/svg+xml;base64,"),
    ("plot", 'parallel(["lr"], metric="acc.max")', "data:image/svg+xml;base64,"),
    ("plot", 'heatmap("lr", "group", "acc.max")', "data:image/svg+xml;base64,"),
    ("plot", 'pareto({"acc": "max", "loss": "min"}, metric="acc", goal="max")', "data:image/svg+xml;base64,"),
    ("plot", 'leaderboard("acc", by="lr", goal="max", limit=1)', "data:image/svg+xml;base64,"),
    ("plot", 'marginal("lr", metric="acc", goal="max", failed="include", project="p")', "data:image/svg+xml;base64,"),
]


@pytest.mark.parametrize(("kind", "text", "part"), BLOCKS)
def test_blocks_ask_the_lake(lake, kind, text, part):
    """Each kind of block gives a table or a picture, with its caption below."""
    report = render(lake, f"```{kind} What *it* shows\n{text}\n```")
    assert report.problems == ()
    assert part in report.html
    assert "<figcaption>What *it* shows</figcaption>" in report.html


def test_every_plot_of_a_lake_is_a_block(lake):
    """What `lake.plot` draws, a report draws, and each is among the blocks above."""
    plots = {name for name in dir(lake.plot) if not name.startswith("_")}
    assert plots == {text.partition("(")[0] for kind, text, _ in BLOCKS if kind == "plot"}


WRONG_BLOCKS = [
    ("sql", "DROP TABLE runs", "sql:"),
    ("plot", 'curve("acc")', "did you mean 'curves'"),
    ("plot", "curves(__import__('os'))", "no plain value"),
    ("plot", "curves('acc', nonsense=1)", "nonsense"),
    ("plot", "lake.plot", "not written as name"),
    ("compare", "'acc'", "by"),
    ("query", "leaderboard('acc')", "written with their names"),
]


@pytest.mark.parametrize(("kind", "text", "why"), WRONG_BLOCKS)
def test_a_block_that_is_wrong_is_told_with_its_line(lake, kind, text, why):
    """The rest of the report is there all the same."""
    report = render(lake, f"before\n\n```{kind}\n{text}\n```\n\nafter")
    assert report.problems[0].startswith("line 3: ")
    assert why in report.problems[0]
    assert "<p>after</p>" in report.html


def test_hostile_values_are_text(lake):
    """Whatever a run is called, in text, code, tables, captions and pictures: nothing becomes markup."""
    text = f"${{run:second:name}} `${{run:second:config.h}}`\n\n{HOSTILE}\n\n"
    text += '```sql ${run:second:name}\nSELECT name, notes, "config.h" AS "<script>" FROM runs\n```\n'
    text += (
        '```compare\n"acc", by="h", goal="max"\n```\n\n```plot\ncurves("acc", by="h")\n```\n\n```py\n<script>\n```\n'
    )
    html = render(lake, text).html
    assert "<script" not in html
    assert "<img src=x" not in html
    assert 'href="javascript' not in html
    assert "Content-Security-Policy\" content=\"default-src 'none'" in html


def test_a_file_needs_nothing_else(lake, tmp_path: Path):
    """The file names no address that a browser would ask, and says which lake, version and day it is of."""
    (tmp_path / "r.md").write_text('# R\n\n```plot\ncurves("acc")\n```\n')
    report = lake.report(tmp_path / "r.md", out=tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert html == report.html
    assert not [word for word in ("http://", "https://", 'src="/', "<link") if word in html]
    assert f"{lake.dir} (2 runs, not sealed yet), tracklake {tl.__version__}" in html


def test_the_command_checks(lake, tmp_path: Path):
    """`--check` ends with 1 and the reason where anything is unresolved, and writes nothing; else it ends with 0."""
    path = tmp_path / "r.md"
    path.write_text("${run:first:config.lrr}")
    bad = CliRunner().invoke(cli.main, ["report", str(path), "--dir", lake.dir, "--check"])
    assert (bad.exit_code, "did you mean 'config.lr'" in bad.stderr, path.with_suffix(".html").exists()) == (
        1,
        True,
        False,
    )
    path.write_text("${run:first:config.lr}")
    good = CliRunner().invoke(
        cli.main, ["report", str(path), "--dir", lake.dir, "--check", "--out", str(tmp_path / "o.html")]
    )
    assert (good.exit_code, (tmp_path / "o.html").exists()) == (0, True)


@pytest.mark.skipif(pdf.browser() is None, reason="no browser is on the PATH")
def test_a_report_is_printed(lake, tmp_path: Path):
    """`--pdf` gives a PDF."""
    (tmp_path / "r.md").write_text('# R\n\n```plot\ncurves("acc")\n```\n')
    done = CliRunner().invoke(cli.main, ["report", str(tmp_path / "r.md"), "--dir", lake.dir, "--pdf"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / "r.pdf").read_bytes()[:5] == b"%PDF-"


def test_a_pdf_has_the_name_of_one(lake, tmp_path: Path):
    """A file of another name is refused before anything is asked, and nothing is written."""
    (tmp_path / "r.md").write_text("# R\n")
    words = ["report", str(tmp_path / "r.md"), "--dir", lake.dir, "--pdf", "--out", str(tmp_path / "r.html")]
    done = CliRunner().invoke(cli.main, words)
    assert (done.exit_code, "--pdf prints a .pdf" in done.stderr) == (2, True)
    assert not (tmp_path / "r.html").exists()


@pytest.mark.skipif(pdf.browser() is None, reason="no browser is on the PATH")
def test_a_report_is_printed_from_python(lake, tmp_path: Path):
    """The suffix says what is written, as of pictures."""
    (tmp_path / "r.md").write_text("# R\n")
    lake.report(tmp_path / "r.md", out=tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes()[:5] == b"%PDF-"


def test_no_browser_is_told(lake, tmp_path: Path, monkeypatch):
    """Without a browser the error says which would do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tl.TracklakeError, match="chromium"):
        render(lake, "x").save(tmp_path / "x.pdf")
