"""Tables as they lie about: what is no clean table is read as what it means, or refused with the way out."""

from __future__ import annotations

import gzip
import json

import polars as pl
import pyarrow as pa
import pytest

from tracklake.importers.readers import bytestream

CELLS = ["nan", "NaN", "NAN", "inf", "Inf", "Infinity", "-inf", "N/A", "NA", "null", "None", "#N/A", "-", "--", " 0.5 "]
VALUES = ["nan", "nan", "nan", "inf", "inf", "inf", "-inf"]


def imported(lake, path, data, **options):
    """Import a file that holds some bytes, compressed as its name says; return the report and (metric, step, value)."""
    packed = {".gz": gzip.compress, ".zst": lambda text: pa.compress(text, "zstd", asbytes=True)}
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(packed.get(path.suffix, bytes)(data if isinstance(data, bytes) else data.encode()))
    report = lake.import_from(path, **options)
    history = lake.history()
    columns = [name for name in ("metric", "step", "value", "text") if name in history.columns]
    return report, history.select(columns).rows()


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "log", "csv.gz", "tsv.zst"])
def test_every_spelling_of_a_cell(lake, tmp_path, ending):
    """What is nothing, not finite or between blanks is read the same in every text table."""
    separator = "\t" if "tsv" in ending else ","
    rows = "".join(f"{step}{separator}{cell}\n" for step, cell in enumerate(CELLS))
    _, points = imported(lake, tmp_path / f"x.{ending}", f"# by hand\n step {separator} x \n{rows}")
    assert [(step, str(value)) for _, step, value in points] == [*enumerate(VALUES), (14, "0.5")]


@pytest.mark.parametrize("ending", ["jsonl", "json", "jsonl.gz", "jsonl.zst"])
def test_every_number_that_python_writes_as_json(lake, tmp_path, ending):
    """NaN and the infinities, keys that come and go, null, nested objects, and a torn last line."""
    rows = [{"step": 1, "x": float("nan")}, {"step": 2, "x": float("inf"), "a": {"b": 3}}, {"step": 3, "x": None}]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 4, "x"'
    report, points = imported(lake, tmp_path / f"x.{ending}", text)
    assert [(metric, step, str(value)) for metric, step, value in points] == [
        ("a.b", 2, "3.0"), ("x", 1, "nan"), ("x", 2, "inf"),
    ]  # fmt: skip
    assert [one.reason for one in report.unread] == ["line 4 is torn; the table was read up to it"]


def test_an_array_of_objects(lake, tmp_path):
    """A JSON file that is one array of rows, over several lines, is a table too."""
    _, points = imported(lake, tmp_path / "x.json", '[\n {"step": 1, "x": 0.5},\n {"step": 2, "x": 0.25}\n]\n')
    assert points == [("x", 1, 0.5), ("x", 2, 0.25)]


def test_mixed_values_of_json_keep_their_kinds(lake, tmp_path):
    """A number beside a text and a list stays a number."""
    text = '{"step": 1, "x": 0.5}\n{"step": 2, "x": "oops"}\n{"step": 3, "x": [1, 2]}\n'
    _, points = imported(lake, tmp_path / "x.jsonl", text)
    assert points == [("x", 1, 0.5, None), ("x", 2, None, "oops"), ("x", 3, None, "[1, 2]")]


@pytest.mark.parametrize("cell", ["oops", "1_000", "50%"])
def test_a_text_among_numbers_is_told(lake, tmp_path, monkeypatch, cell):
    """A column of numbers that one cell makes text says which cell, also far behind the first rows."""
    monkeypatch.setattr(bytestream.chunks, "__defaults__", (60,))
    rows = "".join(f"{step},{step / 4}\n" for step in range(40))
    report, _ = imported(lake, tmp_path / "x.csv", f"step,x\n{rows}40,{cell}\n41,7\n42,8\n")
    told = f"the column 'x' is text, as row 41 holds {cell!r}, where most cells are numbers: mend it to have a metric"
    assert [remark.text for remark in report.remarks] == [told]


def test_quotes_behind_blanks(lake, tmp_path):
    """A header and cells with a blank before their quotes are what stands within the quotes."""
    text = 'step, "val acc" , note\n1, 0.5, "a, b"\n2, "0.25", c\n'
    _, points = imported(lake, tmp_path / "x.csv", text)
    assert points == [
        ("note", 1, None, "a, b"), ("note", 2, None, "c"), ("val acc", 1, 0.5, None), ("val acc", 2, 0.25, None),
    ]  # fmt: skip


@pytest.mark.parametrize("last", ["3,0.", "3,1e", "3,1e-", "3"])
def test_a_number_that_was_cut(lake, tmp_path, last):
    """A last line without its end whose number lacks digits is left out, and that is said."""
    report, points = imported(lake, tmp_path / "x.csv", f"step,x\n1,0.5\n2,0.25\n{last}")
    assert points == [("x", 1, 0.5), ("x", 2, 0.25)]
    assert [one.reason for one in report.unread] == ["the last line is torn; it was left out"]


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        ("step,x\n1,0.5\n".encode("utf-16"), {}, "it holds NUL bytes: it is no text, or UTF-16; save it as UTF-8"),
        (b"step,x\n1,0.5\n2,0.25,3\n", {}, "a row has more cells than the 2 of the header"),
        (b"step,x\n1,0.5\n2,oops\n", {"metrics": "x"}, "the metric 'x' is no number in row 2: 'oops'"),
        (b"step,x\n1,0.5\n1.5,0.25\n", {"restart": "last-wins"}, "row 2 has 1.5 in the step column 'step'"),
        (b"run,step,x\na,1,0.5\n,2,0.25\n", {}, "row 2 of the table has nothing in the column 'run'"),
        (b"run,step,x\na,1,0.5\na,0,0.25\n", {}, "row 2 of the table has step 0 after step 1 of the run 'a'"),
        (b"run,step,metric,value\na,1,m,1\na,0,m,2\n", {}, "step 0 after step 1 of the run 'a', of the metric 'm'"),
    ],
)
def test_what_is_refused_brings_nothing(lake, tmp_path, data, options, reason):
    """A table that cannot be what it should be is told with its row, and leaves no empty run behind."""
    report, points = imported(lake, tmp_path / "x.csv", data, **options)
    assert reason in report.unread[0].reason
    assert (points, report.runs, lake.runs().height) == ([], 0, 0)


def test_a_pattern_finds_the_logs_of_a_folder(lake, tmp_path):
    """With a pattern, logs that have such lines are text logs, and what else lies there comes in as ever."""
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a.log").write_text("start\nstep 1, loss 0.5\nstep 2, loss nan\n")
    (tmp_path / "all" / "notes.txt").write_text("nothing, here\n")
    (tmp_path / "all" / "b.csv").write_text("step,loss\n1,0.25\n")
    report = lake.import_from(tmp_path / "all", pattern=r"step (?P<step>\d+), loss (?P<loss>\S+)")
    assert sorted((one.format, one.points) for one in report.sources) == [("table", 1), ("text_log", 2)]
    assert [path.name for path in report.left_alone] == ["notes.txt"]


@pytest.mark.parametrize(("column", "cells"), [("timestamp", [1700000000, 1700000009]), ("elapsed", [0, 9])])
def test_runs_of_a_table_with_times(lake, tmp_path, column, cells):
    """The runs of a table with moments, or seconds since the start, last as long as these say."""
    rows = "".join(f"{run},{cell},{i}\n" for run in "ab" for i, cell in enumerate(cells))
    imported(lake, tmp_path / "x.csv", f"run,{column},step\n{rows}")
    assert lake.runs(columns=["runtime"])["runtime"].to_list() == [9.0, 9.0]


@pytest.mark.parametrize("form", ["run", "step"])
def test_rows_of_runs_in_any_order(lake, tmp_path, monkeypatch, form):
    """Rows by run or by step, in one piece or many, give the same runs, configs and summaries."""
    from tracklake.importers import contents
    from tracklake.importers.readers import bytestream

    rows = [(f"r{run}", step, run / 4, run + step / 8) for run in range(5) for step in range(40)]
    frame = pl.DataFrame(rows, schema=["run", "step", "lr", "x"], orient="row").sort(form, maintain_order=True)
    monkeypatch.setattr(bytestream.chunks, "__defaults__", (300,))
    monkeypatch.setattr(contents, "MAX_POINTS", 50)
    imported(lake, tmp_path / "x.csv", frame.write_csv())
    columns = ["config.lr", "summary.x", "summary.x.count", "summary.x.argmin", "runtime", "state"]
    assert lake.runs(columns=columns).sort("run_id").rows() == [
        (f"r{run}", run / 4, run + 39 / 8, 40, 0, None, "finished") for run in range(5)
    ]
    assert lake.check(full=True).ok
    assert lake.import_from(tmp_path / "x.csv", step="step").points == 0


def test_a_column_that_comes_late_in_json(lake, tmp_path, monkeypatch):
    """Rows of many runs whose keys come and go from piece to piece are one table."""
    from tracklake.importers.readers import bytestream

    monkeypatch.setattr(bytestream.chunks, "__defaults__", (40,))
    text = '{"run": "a", "step": 1, "x": 1}\n{"run": "b", "step": 1, "x": 0.5}\n{"run": "a", "step": 2, "y": "z"}\n'
    _, points = imported(lake, tmp_path / "x.jsonl", text)
    assert points == [("x", 1, 1.0, None), ("y", 2, None, "z"), ("x", 1, 0.5, None)]


def test_a_table_of_runs_that_grew(lake, tmp_path):
    """Of a table of many runs without any config come in the new rows and the new runs, once."""
    path = tmp_path / "x.csv"
    imported(lake, path, "run,step,x\na,1,0.5\na,2,0.5\nb,1,1.5\n")
    report, points = imported(lake, path, "run,step,x\na,1,0.5\na,2,0.5\na,3,0.25\nb,1,1.5\nc,1,3\n")
    assert (report.runs, report.points) == (2, 2)
    assert points == [("x", 1, 0.5), ("x", 2, 0.5), ("x", 3, 0.25), ("x", 1, 1.5), ("x", 1, 3.0)]
    assert lake.import_from(path, verify=True).points == 0


@pytest.mark.parametrize(("cell", "points", "config"), [("0.5", 4, {}), ("adam", 0, {"x": "adam"})])
def test_runs_in_which_nothing_changes(lake, tmp_path, cell, points, config):
    """Where no column ever changes numbers are metrics and texts config, and the runs are there."""
    rows = "".join(f"{run},{step},{cell}\n" for run in "ab" for step in (1, 2))
    report, _ = imported(lake, tmp_path / "x.csv", f"run,step,x\n{rows}")
    assert (report.runs, report.points, lake.run("b").config) == (2, points, config)


@pytest.mark.parametrize("header", ["run,step,x", "run,lr,loss"])
def test_what_the_lake_has_of_many_runs_is_read_at_once(lake, tmp_path, monkeypatch, header):
    """A table of many runs that grew costs one scan of the points that are there, not one a run."""
    from tracklake.storage.table.snapshot import Snapshot

    rows = "".join(f"r{run},1,{run / 4}\n" for run in range(20))
    imported(lake, tmp_path / "x.csv", f"{header}\n{rows}", step="step" if "step" in header else None)
    scans = []
    points = Snapshot.points
    monkeypatch.setattr(Snapshot, "points", lambda *args, **options: scans.append(1) or points(*args, **options))
    (tmp_path / "x.csv").write_text(f"{header}\n{rows}new,1,0.5\n")
    report = lake.import_from(tmp_path / "x.csv", step="step" if "step" in header else None)
    assert (report.runs, len(scans)) == (1, 1)


@pytest.mark.parametrize(
    ("data", "expected", "remark"),
    [
        ("step,x\n1,1.5\n# resumed\n2,2.5\n#\n", [1.5, 2.5], "2 lines with # between the rows were left out"),
        ("# v1\nstep,x\n1,1.5\n# a,b\n2,2.5\n", [1.5, 2.5], "one line with # between the rows was left out"),
        ("step;x\n1;1.234,5\n2;1.234\n3;12\n", [1234.5, 1234, 12], "the column 'x' sets thousands apart by '.'"),
        ('step,x\n1,"1,234.5"\n2,\n3,0.5\n', [1234.5, 0.5], "the column 'x' sets thousands apart by ','"),
        ("step;x\n1;1.234.567\n2;5\n", [1234567, 5], "the column 'x' sets thousands apart by '.'"),
        ("step;x\n1;1.234\n2;2,5\n", [1.234, 2.5], None),
        (" step     x\n    1   1.5\n   10   nan\n   11   2.5  \n", [1.5, "nan", 2.5], None),
        ("step x\r\n1 1.5\r\n# again\r\n2 2.5\r\n", [1.5, 2.5], "one line with # between the rows"),
        ("# made by hand\n# step x\n1.000e+00 1.5\n2.000e+00 2.5\n", [1.5, 2.5], None),
        ('step,x,note\n1,1.5,"a\n#b"\n2,2.5,c\n', [1.5, 2.5], None),
    ],
)
def test_lines_and_numbers_as_they_lie_about(lake, tmp_path, data, expected, remark):
    """Comments between rows, thousands, and cells apart by blanks are read as what they mean, and told."""
    report, _ = imported(lake, tmp_path / "x.csv", data)
    assert report.unread == []
    values = lake.history("x")["value"].to_list()
    assert [str(value) for value in values] == [str(float(value)) for value in expected]
    assert any(remark in one.text for one in report.remarks) if remark else report.remarks == []


def test_a_text_among_numbers_is_no_loss(lake, tmp_path):
    """A column that is text for one cell is told, whatever its name says, and counts as read."""
    report, _ = imported(lake, tmp_path / "x.csv", "step,torn\n1,0.5\n2,0.25\n3," + "oops" * 100 + "\n")
    (remark,) = report.remarks
    assert (report.unread, len(remark.text) < 200, "row 3" in remark.text) == ([], True, True)


def test_a_text_among_numbers_is_told_once(lake, tmp_path, monkeypatch):
    """Of a table that is read in pieces the first such cell of a column is told, not one of each piece."""
    monkeypatch.setattr(bytestream.chunks, "__defaults__", (64,))
    rows = "".join(f"{step},{'oops' if step % 20 == 3 else 0.5}\n" for step in range(100))
    report, _ = imported(lake, tmp_path / "x.csv", f"step,x\n{rows}")
    assert ["row 4 holds 'oops'" in one.text for one in report.remarks] == [True]


def test_a_table_in_latin_1(lake, tmp_path):
    """What is no UTF-8 is read as Windows-1252, headers and cells alike, and that is said."""
    report, points = imported(lake, tmp_path / "x.csv", "step,größe,art\n1,0.5,süß\n".encode("latin-1"))
    assert points == [("art", 1, None, "süß"), ("größe", 1, 0.5, None)]
    assert [one.text for one in report.remarks] == ["it is no UTF-8; it was read as Windows-1252, which holds Latin-1"]


def test_thousands_in_some_pieces_alone(lake, tmp_path, monkeypatch):
    """A sign that may be the decimal one in an earlier piece of a table, and sets thousands apart later, is refused."""
    from tracklake.importers.readers import bytestream

    monkeypatch.setattr(bytestream.chunks, "__defaults__", (20,))
    rows = "".join(f"{step};1.234\n" for step in range(9))
    report, points = imported(lake, tmp_path / "x.csv", f"step;x\n{rows}9;1.234,5\n10;1\n")
    assert points == []
    assert "sets thousands apart in some rows of the column 'x'" in report.unread[0].reason


def test_a_text_log_is_no_table_apart_by_blanks(lake, tmp_path):
    """Lines of words and numbers of one length are no table."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.log").write_text("step 1 loss 0.5\nstep 2 loss 0.25\n")
    assert lake.import_from(tmp_path / "in").runs == 0
