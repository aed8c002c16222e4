"""`lake.export`: files for tools that know nothing of a lake."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import made_once
import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import LakeError, RunNotFoundError

READ: dict[str, Any] = {
    "parquet": pl.read_parquet,
    "csv": pl.read_csv,
    "jsonl": partial(pl.read_ndjson, infer_schema_length=None),
}


@made_once.lake
def lake(folder: Path) -> None:
    """Two runs, one of them sealed, with numbers, a NaN, a text and a truth."""
    for run_id, loss in (("a", 1.0), ("b", float("nan"))):
        with tl.init("p", id=run_id, config={"lr": 0.1}, tags=["x", "y"], dir=folder) as run:
            run.log({"loss": loss, "note": "hi", "ok": True})
        if run_id == "a":
            tl.open(folder).refresh()


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_tables(lake: tl.Lake, tmp_path: Path, form: Any):
    """The three files hold runs, every statistic, and every point."""
    files = lake.export(tmp_path / "out", format=form)
    assert [file.name for file in files] == [f"{name}.{form}" for name in ("history", "runs", "summaries")]
    history, runs, summaries = (READ[form](file) for file in files)
    assert sorted(history.select("run_id", "metric", "text").rows()) == [
        ("a", "loss", None), ("a", "note", "hi"), ("a", "ok", "true"),
        ("b", "loss", None), ("b", "note", "hi"), ("b", "ok", "true"),
    ]  # fmt: skip
    assert runs.select("run_id", "config.lr").rows() == [("a", 0.1), ("b", 0.1)]
    assert summaries.filter(pl.col("stat") == "n_nan", pl.col("value") > 0)["run_id"].to_list() == ["b"]


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_exact_integers_stay_exact(tmp_path: Path, form: Any):
    """An integer that no double holds is there with all of its digits: as text beside its value, and in runs."""
    with tl.init(id="a", config={"big": 2**53 + 1}, dir=tmp_path / "lake") as run:
        run.log({"n": 2**53 + 1})
        run.log({"n": 3})
    history, runs, _ = (READ[form](file) for file in tl.open(tmp_path / "lake").export(tmp_path / "out", format=form))
    assert [None if text is None else int(text) for text in history["text"]] == [2**53 + 1, None]
    assert history["value"].to_list() == [float(2**53), 3.0]
    assert runs["config.big"].to_list() == [2**53 + 1]


def test_lists_are_text_in_csv(lake: tl.Lake, tmp_path: Path):
    """CSV holds the tags with commas between them, Parquet as a list."""
    assert pl.read_csv(lake.export(tmp_path / "csv", format="csv")[1])["tags"].to_list() == ["x,y", "x,y"]
    assert pl.read_parquet(lake.export(tmp_path / "out")[1])["tags"].to_list() == [["x", "y"]] * 2


def test_some_runs(lake: tl.Lake, tmp_path: Path):
    """`where` chooses the runs of all three files."""
    for file in lake.export(tmp_path / "out", where="run_id = 'b'"):
        assert pl.read_parquet(file)["run_id"].unique().to_list() == ["b"]


def test_one_run(lake: tl.Lake, tmp_path: Path):
    """One run is its rows and a JSON file with all else; numbers that are not finite are texts there."""
    rows, facts = lake.export(tmp_path / "b", run="b", format="jsonl")
    assert json.loads(rows.read_text()) == {
        "_step": 0, "loss": None, "loss.text": "NaN", "note": "hi", "ok": True,
        **{k: v for k, v in json.loads(rows.read_text()).items() if k in ("_timestamp", "_runtime")},
    }  # fmt: skip
    known = json.loads(facts.read_text())
    assert (known["run_id"], known["tags"], known["config"]) == ("b", ["x", "y"], {"lr": 0.1})
    assert (known["summary"]["loss"], known["summary"]["ok"]) == ("NaN", True)


def test_numbers_that_are_not_finite_are_named_beside_in_json(tmp_path: Path):
    """JSON has no NaN and no infinity: the number is null, as one that is None, and `value.text` says which it is."""
    with tl.init(id="a", dir=tmp_path / "lake") as run:
        for value in (1.5, float("nan"), float("inf"), -float("inf"), None):
            run.log({"loss": value, "acc": 1.0})
    history, _, summaries = tl.open(tmp_path / "lake").export(tmp_path / "out", format="jsonl")
    found = pl.read_ndjson(history).filter(metric="loss").sort("step")
    assert found.select("value", "value.text").rows() == [
        (1.5, None), (None, "NaN"), (None, "Infinity"), (None, "-Infinity"), (None, None),
    ]  # fmt: skip
    assert pl.read_ndjson(summaries).filter(metric="loss", stat="max")["value.text"].to_list() == ["Infinity"]
    rows, _ = tl.open(tmp_path / "lake").export(tmp_path / "one", run="a", format="jsonl")
    assert pl.read_ndjson(rows).columns == ["_step", "acc", "loss", "loss.text", "_timestamp", "_runtime"]


def test_a_folder_appears_whole_or_not_at_all(lake: tl.Lake, tmp_path: Path):
    """A folder that holds something is refused, and what fails leaves nothing behind."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(LakeError, match="is there already and not empty"):
        lake.export(tmp_path / "full")
    with pytest.raises(RunNotFoundError):
        lake.export(tmp_path / "none", run="c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "lake"]


def test_an_empty_lake(tmp_path: Path):
    """An empty lake is three empty tables with their columns."""
    files = tl.open(tmp_path / "lake", create=True).export(tmp_path / "out")
    assert [pl.read_parquet(file).height for file in files] == [0, 0, 0]
