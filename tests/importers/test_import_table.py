"""lake.import_table and `tracklake import table`: tables of other tools as finished runs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from processes import command

import tracklake as tl
from tracklake.errors import RunError, SourceError, UnknownNameError
from tracklake.importers import contents
from tracklake.importers.readers.run_ids import run_ids
from tracklake.schema import naming, run_fields

CURVES = pl.DataFrame(
    {
        "model": ["svc", "svc", "tree", "svc", "tree"],
        "seed": [0, 0, 0, 1, 0],
        "lr": [0.1, 0.1, None, 0.2, None],
        "epoch": [1, 2, 1, 1, 2],
        "loss": [0.5, 0.25, 0.75, 1.0, float("nan")],
        "note": [None, "best", None, None, None],
    }
)
ASKED = {"run_columns": ["model", "seed"], "step": "epoch", "metrics": {"val/loss": "loss"}}


def test_rows_become_finished_runs(lake):
    """Each distinct value of the run columns is a finished run with typed config, in the order of the table."""
    done = lake.import_table(CURVES, **ASKED, config_columns=["model", "seed", "lr"], project="curves")
    columns = ["run_id", "project", "state", "config.model", "config.seed", "config.lr", "summary.val/loss.min"]
    assert done == (3, 5, 1)
    assert lake.runs(columns=columns).rows() == [
        ("model=svc,seed=0", "curves", "finished", "svc", 0, 0.1, 0.25),
        ("model=tree,seed=0", "curves", "finished", "tree", 0, None, 0.75),
        ("model=svc,seed=1", "curves", "finished", "svc", 1, 0.2, 1.0),
    ]


def test_points_are_the_rows(lake):
    """Every value that is there is a point; NaN is one too, and nothing else is."""
    lake.import_table(CURVES, **ASKED | {"metrics": {"val/loss": "loss", "note": "note"}})
    history = lake.history(["val/loss", "note"]).select("run_id", "metric", "step", "value", "text")
    assert [row for row in history.rows() if row[3] == row[3]] == [
        ("model=svc,seed=0", "note", 2, None, "best"),
        ("model=svc,seed=0", "val/loss", 1, 0.5, None),
        ("model=svc,seed=0", "val/loss", 2, 0.25, None),
        ("model=svc,seed=1", "val/loss", 1, 1.0, None),
        ("model=tree,seed=0", "val/loss", 1, 0.75, None),
    ]
    assert lake.summaries("val/loss.n_nan")["val/loss.n_nan"].to_list() == [0, 1, 0]


def test_last_value_of_a_repeated_step_wins(lake):
    """Rows of one run and step are one row: of each metric the last value that is there counts."""
    rows = [("a", 1, 0.5, 3), ("b", 1, 9.0, 9), ("a", 1, None, 4), ("a", 0, 0.1, None), ("a", 1, 0.7, None)]
    table = pl.DataFrame(rows, schema=["run", "step", "x", "n"], orient="row")
    named = {"run_columns": ["run"], "step": "step", "metrics": {"x": "x", "n": "n"}}
    lake.import_table(table, **named, restart="last-wins")
    assert lake.history(runs="a", shape="wide").select("step", "x", "n").rows() == [(0, 0.1, None), (1, 0.7, 4)]
    assert lake.history(raw=True).height == 7


RESTARTED = pl.DataFrame(
    [("a", 0, 1.0), ("b", 0, 9.0), ("a", 1, 0.5), ("b", 1, 8.0), ("a", 0, 0.75), ("a", 1, 0.25), ("a", 2, 0.125)],
    schema=["run", "step", "x"],
    orient="row",
)


def test_a_falling_step_stops_the_import(lake):
    """A step below that before it in the same run is an error with the row, and nothing comes in."""
    expected = "row 5 of the table has step 0 after step 1 of the run 'a'.*restart='new-run'"
    with pytest.raises(SourceError, match=expected):
        lake.import_table(RESTARTED, run_columns="run", step="step", metrics={"x": "x"})
    assert set(lake.runs()["run_id"]) == set()


@pytest.mark.parametrize(
    ("restart", "curves"),
    [
        ("new-run", {"a": [(0, 1.0), (1, 0.5)], "a-restart1": [(0, 0.75), (1, 0.25), (2, 0.125)]}),
        ("continue", {"a": [(0, 1.0), (1, 0.5), (2, 0.75), (3, 0.25), (4, 0.125)]}),
        ("last-wins", {"a": [(0, 0.75), (1, 0.25), (2, 0.125)]}),
    ],
)
def test_what_a_falling_step_means(lake, restart, curves):
    """With `restart` what follows is a run of its own, goes on, or replaces; runs without one stay as they are."""
    named = {"run_columns": "run", "step": "step", "metrics": {"x": "x"}, "restart": restart}
    lake.import_table(RESTARTED, **named)
    history = lake.history("x").select("run_id", "step", "value")
    found = {run_id: history.filter(run_id=run_id).select("step", "value").rows() for run_id in lake.runs()["run_id"]}
    assert found == {**curves, "b": [(0, 9.0), (1, 8.0)]}
    assert lake.import_table(RESTARTED, run_columns="run", step="step", metrics={"x": "x"}, restart=restart)[:2] == (
        0,
        0,
    )


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_files_say_the_same(lake, tmp_path, ending):
    """A table reads the same from CSV, TSV, Parquet and JSONL."""
    write = {
        "csv": CURVES.write_csv,
        "tsv": lambda path: CURVES.write_csv(path, separator="\t"),
        "parquet": CURVES.write_parquet,
        "jsonl": CURVES.with_columns(pl.col("loss").fill_nan(7.0)).write_ndjson,  # JSON has no NaN
    }
    write[ending](tmp_path / f"curves.{ending}")
    lake.import_table(tmp_path / f"curves.{ending}", **ASKED)
    values = lake.history("val/loss")["value"].to_list()
    assert values[:4] == [0.5, 0.25, 1.0, 0.75]
    assert len(values) == 5


@pytest.mark.parametrize("form", [CURVES.lazy(), CURVES.to_arrow(), CURVES.to_pandas()])
def test_frames_say_the_same(lake, form):
    """LazyFrames, arrow tables and pandas frames are tables; in pandas NaN is nothing."""
    lake.import_table(form, **ASKED)
    values = lake.history("val/loss")["value"].drop_nans().to_list()
    assert values == [0.5, 0.25, 1.0, 0.75]


def test_column_that_begins_with_blanks_is_numeric(lake, tmp_path):
    """A CSV column is a number also where its first value comes after thousands of blanks."""
    rows = "".join(f"a,{i},{i},\n" for i in range(10_500)) + "a,10500,,0.5\n"
    (tmp_path / "sparse.csv").write_text("run,step,train,val\n" + rows)
    lake.import_table(
        tmp_path / "sparse.csv", run_columns=["run"], step="step", metrics={"val": "val", "train": "train"}
    )
    assert lake.history("val").select("step", "value").rows() == [(10_500, 0.5)]


def test_types_that_change_late_in_a_file(lake, tmp_path):
    """A CSV column whose integers become fractions after thousands of rows is read as numbers."""
    rows = "".join(f"a,{i},{i}\n" for i in range(10_500)) + "a,10500,0.5\n"
    (tmp_path / "late.csv").write_text("run,step,x\n" + rows)
    lake.import_table(tmp_path / "late.csv", run_columns=["run"], step="step", metrics={"x": "x"})
    assert lake.history("x")["value"].sum() == sum(range(10_500)) + 0.5


def test_values_keep_their_kind(lake):
    """Integers stay exact, bools bools, text text, dates ISO text, lists JSON; what exceeds int64 is a float."""
    table = pl.DataFrame(
        {
            "run": ["a"],
            "step": [1.0],
            "int": [2**53 + 1],
            "bool": [True],
            "day": [date(2026, 11, 22)],
            "list": [[1, 2]],
            "huge": pl.Series([2**63], dtype=pl.UInt64),
        }
    )
    names = ["int", "bool", "day", "list", "huge"]
    lake.import_table(table, run_columns=["run"], step="step", metrics={name: name for name in names})
    assert lake.run("a").summary.items() >= {
        ("int", 2**53 + 1),
        ("bool", True),
        ("day", "2026-11-22"),
        ("huge", 2.0**63),
    }
    assert lake.run("a").summary["list"] == [1, 2]


@pytest.mark.parametrize(("most", "partitions"), [(30, 9), (12, 19)])
def test_several_partitions_answer_as_one(most, partitions, tmp_path, monkeypatch):
    """A table too big for one partition is cut, between runs where they fit, and answers the same."""
    table = pl.DataFrame({"run": [f"r{i // 10}" for i in range(95)], "step": [i % 10 for i in range(95)]})
    table = table.with_columns(x=pl.arange(95) / 7, y=pl.arange(95) % 3)
    layout = {"run_columns": ["run"], "step": "step", "metrics": {"x": "x", "y": "y"}}
    uncut, cut = (tl.open(tmp_path / name, create=True) for name in ("whole", "cut"))
    assert uncut.import_table(table, **layout) == (10, 190, 1)
    monkeypatch.setattr(contents, "MAX_POINTS", most)
    assert cut.import_table(table, **layout) == (10, 190, partitions)
    shown = ["run_id", "state", "config.run", "summary.*.mean", "summary.*.argmax", "summary.*.std"]
    assert_frame_equal(cut.runs(columns=shown), uncut.runs(columns=shown))
    assert_frame_equal(cut.history().drop("time"), uncut.history().drop("time"))
    assert cut.check(full=True).ok


def test_imported_run_can_be_resumed(lake):
    """An imported run is a run: it goes on after its last step."""
    lake.import_table(CURVES, **ASKED)
    with tl.init(id="model=svc,seed=1", resume="allow", dir=lake.dir) as run:
        run.log({"val/loss": 0.125})
    assert lake.history("val/loss", runs="model=svc,seed=1").select("step", "value").rows() == [(1, 1.0), (2, 0.125)]


def test_the_same_table_twice_adds_nothing(lake):
    """The second import of a table brings in nothing, and the summaries stay."""
    lake.import_table(CURVES, **ASKED)
    before = lake.runs(columns=["created_at", "summary.*.count"])
    assert lake.import_table(CURVES, **ASKED) == (0, 0, 0)
    assert_frame_equal(lake.runs(columns=["created_at", "summary.*.count"]), before)


def test_a_table_that_grew_adds_what_is_new(lake):
    """Rows that the lake has are left out; the new ones join their runs."""
    lake.import_table(CURVES.head(3), **ASKED)
    assert lake.import_table(CURVES, **ASKED)[:2] == (2, 2)
    assert lake.runs()["run_id"].to_list() == ["model=svc,seed=0", "model=tree,seed=0", "model=svc,seed=1"]
    assert lake.summaries("val/loss.count")["val/loss.count"].to_list() == [2, 1, 1]


def test_ids_are_unique_by_source(lake):
    """Tables of two projects with the ids 0 and 1, and a logged run of such an id, are five runs."""
    with tl.init(id="1", dir=lake.dir) as run:
        run.log({"x": 1})
    table = pl.DataFrame({"run": [0, 1], "step": [0, 0], "x": [0.5, 0.25]})
    for project in ("a", "b"):
        assert lake.import_table(table, run_columns=["run"], step="step", metrics={"x": "x"}, project=project)[0] == 2
    runs = lake.runs(columns=["project", "run_id"]).sort("project", "run_id")["run_id"].to_list()
    assert [run_id.split("-")[0] for run_id in runs] == ["0", "1", "0", "1", "1"]
    assert len(set(runs)) == 5


def test_table_without_time_has_no_runtime(lake):
    """Where the source has no time, runtime and _runtime are null, and so is the time budget."""
    lake.import_table(CURVES, **ASKED)
    assert lake.runs(columns=["runtime"])["runtime"].to_list() == [None, None, None]
    history = lake.run("model=svc,seed=0").history()
    assert history.select("_step", "_runtime", "_timestamp").rows() == [(1, None, None), (2, None, None)]
    assert "_runtime" not in lake.run("model=svc,seed=0").summary
    reached = lake.at_budget({"time": 10}, metric="val/loss", goal="min")
    assert reached.select("value", "reached").rows() == [(None, False)] * 3


@pytest.mark.parametrize(
    ("change", "layout", "error", "message"),
    [
        ({}, {"step": "epcoh"}, UnknownNameError, "unknown column 'epcoh'; did you mean 'epoch'?"),
        ({}, {"metrics": {"a": "lss"}}, UnknownNameError, "unknown column 'lss'; did you mean 'loss'?"),
        ({}, {"run_columns": []}, SourceError, r"run_columns=\[\]"),
        ({}, {"metrics": {}}, SourceError, r"metrics=\{\}"),
        ({}, {"metrics": {"_step": "loss"}}, SourceError, "not one of _step, _runtime"),
        ({}, {"project": ""}, RunError, "the project name '' is empty"),
        ({}, {"config_columns": ["lr", "note"]}, SourceError, "'note' changes within the run 'model=svc,seed=0': row "),
        ({"epoch": [1, 2, 1, None, None]}, {}, SourceError, r"row 4 .* .and 1 more. has nothing in .*'epoch'"),
        ({"seed": [0, 0, None, 1, 0]}, {}, SourceError, "row 3 of the table has nothing in the column 'seed'"),
        ({"epoch": [1.0, 2.5, 1.0, 1.0, 2.0]}, {}, SourceError, r"row 2 of the table has a step .* \[2.5\] in 'epoch'"),
        ({"epoch": [1.0, 2.0, 1.0, 1.0, 1e300]}, {}, SourceError, "row 5 of the table has a step that is no 64-bit"),
        ({"epoch": list("12112")}, {}, SourceError, "the step column 'epoch' holds String"),
        ({"epoch": [True] * 5}, {}, SourceError, "the step column 'epoch' holds Boolean"),
        ({"model": [[1]] * 5}, {}, SourceError, "the run column 'model' holds List"),
    ],
)
def test_what_is_no_such_table_is_refused(lake, change, layout, error, message):
    """What cannot be imported is refused, naming the row or the column, and nothing comes in."""
    table = CURVES.with_columns(pl.Series(name, column) for name, column in change.items())
    with pytest.raises(error, match=message):
        lake.import_table(table, **ASKED | layout)
    assert lake.runs().is_empty()


def test_empty_table_is_refused(lake):
    """A table of no rows is refused."""
    with pytest.raises(SourceError, match=r"the table polars.DataFrame has no rows"):
        lake.import_table(CURVES.clear(), **ASKED)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "there is no file"),
        ("curves.xlsx", b"x", "has the ending '.xlsx'; accepted are .csv, .tsv, .txt, .log, .jsonl"),
        ("broken.parquet", b"no parquet", "cannot be read as Parquet"),
        ("broken.jsonl", b"{'a'", "line 1 is no JSON object"),
        ("empty.csv", b"", "it has no header"),
    ],
)
def test_files_that_cannot_be_read_are_refused(lake, tmp_path, name, content, message):
    """A file that is missing, broken or of another form is refused by its name."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        lake.import_table(tmp_path / name, **ASKED)


def test_something_else_is_refused(lake):
    """What is neither a path nor a frame is refused."""
    with pytest.raises(SourceError, match="got list"):
        lake.import_table([{"a": 1}], **ASKED)


def test_ids_that_file_names_cannot_hold():
    """Ids with slashes, of too great a length, or equal but for case get a hash of their values."""
    ids = run_ids(pl.DataFrame({"m": ["a/b", "x" * 200, "Svc", "svc", ".dot", "fine"]})).to_list()
    assert ids[0] == "a_b-15d9d1b25a"
    assert [len(i) for i in ids] == [14, 128, 14, 14, 14, 4]
    assert len({i.casefold() for i in ids}) == 6


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.text(max_size=150), st.integers(0, 3)), min_size=1, max_size=8, unique=True))
def test_every_id_can_be_one(values):
    """Whatever the values, each run gets an id of its own that a lake takes."""
    encodable = [(text.encode("utf-8", "replace").decode(), n) for text, n in values]
    rows = list(dict.fromkeys(encodable))
    for frame in (pl.DataFrame(rows, schema=["a", "b"], orient="row"), pl.DataFrame({"a": list(dict(rows))})):
        ids = run_ids(frame)
        assert [run_fields.check_run_id(i) for i in ids] == ids.to_list()
        assert len({naming.safe_name(i) for i in ids}) == len(ids)


def test_pandas_index_is_no_column(lake):
    """A pandas frame is its columns; the index is not asked."""
    table = pd.DataFrame({"run": ["a"], "step": [3], "x": [1.5]}, index=[7])
    lake.import_table(table, run_columns=["run"], step="step", metrics={"x": "x"})
    assert lake.history("x").select("step", "value").rows() == [(3, 1.5)]


def test_command_imports_a_file(tmp_path):
    """`tracklake import table` makes the lake if need be, and says what came in."""
    CURVES.write_csv(tmp_path / "curves.csv")
    words = ["import", "table", "curves.csv", "--run-columns", "model, seed", "--config-columns", "lr"]
    words += ["--step", "epoch", "--metric", "val/loss=loss", "--metric", "note"]
    done = command(*words, folder=tmp_path)
    done.check_returncode()
    assert done.stdout == "lake: 3 runs with 6 points are in the lake now\n"
    assert done.stderr == ""
    assert tl.open(tmp_path / "lake").runs(columns=["config.*"]).to_series(1).to_list() == [0.1, None, 0.2]


def test_command_refuses_in_one_line(tmp_path):
    """What the table has not is told in one line, with exit code 2."""
    CURVES.write_csv(tmp_path / "curves.csv")
    words = ["import", "table", "curves.csv", "--run-columns", "modle", "--step", "epoch", "--metric", "loss"]
    done = command(*words, folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "Error: unknown column 'modle'; did you mean 'model'?\n")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_path_of_a_table_is_no_pattern(tmp_path: Path, ending: str):
    """A table in a folder called `sweep[1]`, below one called `seed=3`, is that file and has its own columns alone."""
    folder = tmp_path / "seed=3" / "sweep[1]"
    folder.mkdir(parents=True)
    frame = pl.DataFrame({"run": ["a", "a"], "epoch": [0, 1], "loss": [0.5, 0.25]})
    write = {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[ending]
    write(folder / f"curves.{ending}")
    lake = tl.open(tmp_path / "lake", create=True)
    lake.import_table(folder / f"curves.{ending}", run_columns="run", step="epoch", metrics={"loss": "loss"})
    assert lake.history("loss")["value"].to_list() == [0.5, 0.25]
