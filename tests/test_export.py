"""`lake.export`: files for tools that know nothing of a lake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import LakeError, RunNotFoundError

READ: dict[str, Any] = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}


@pytest.fixture
def lake(tmp_path: Path) -> tl.Lake:
    """Two runs, one of them sealed, with numbers, a NaN, a text and a truth."""
    for run_id, loss in (("a", 1.0), ("b", float("nan"))):
        with tl.init("p", id=run_id, config={"lr": 0.1}, tags=["x", "y"], dir=tmp_path / "lake") as run:
            run.log({"loss": loss, "note": "hi", "ok": True})
        if run_id == "a":
            tl.open(tmp_path / "lake").refresh()
    return tl.open(tmp_path / "lake")


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_tables(lake: tl.Lake, tmp_path: Path, form: Any):
    """The three files hold runs, every statistic, and every point."""
    files = lake.export(tmp_path / "out", form=form)
    assert [file.name for file in files] == [f"{name}.{form}" for name in ("history", "runs", "summaries")]
    history, runs, summaries = (READ[form](file) for file in files)
    assert sorted(history.select("run_id", "metric", "text").rows()) == [
        ("a", "loss", None), ("a", "note", "hi"), ("a", "ok", "true"),
        ("b", "loss", None), ("b", "note", "hi"), ("b", "ok", "true"),
    ]  # fmt: skip
    assert runs.select("run_id", "config.lr").rows() == [("a", 0.1), ("b", 0.1)]
    n_nan = summaries.filter(pl.col("stat") == "n_nan").with_columns(pl.col("value").cast(pl.Float64))
    assert n_nan.filter(pl.col("value") > 0)["run_id"].to_list() == ["b"]


def test_lists_are_text_in_csv(lake: tl.Lake, tmp_path: Path):
    """CSV holds the tags with commas between them, Parquet as a list."""
    assert pl.read_csv(lake.export(tmp_path / "csv", form="csv")[1])["tags"].to_list() == ["x,y", "x,y"]
    assert pl.read_parquet(lake.export(tmp_path / "out")[1])["tags"].to_list() == [["x", "y"]] * 2


def test_some_runs(lake: tl.Lake, tmp_path: Path):
    """`where` chooses the runs of all three files."""
    for file in lake.export(tmp_path / "out", where="run_id = 'b'"):
        assert pl.read_parquet(file)["run_id"].unique().to_list() == ["b"]


def test_one_run(lake: tl.Lake, tmp_path: Path):
    """One run is its rows and a JSON file with all else; numbers that are not finite are texts there."""
    rows, facts = lake.export(tmp_path / "b", run="b", form="jsonl")
    assert json.loads(rows.read_text()) == {
        "_step": 0, "loss": "NaN", "note": "hi", "ok": True,
        **{k: v for k, v in json.loads(rows.read_text()).items() if k in ("_timestamp", "_runtime")},
    }  # fmt: skip
    known = json.loads(facts.read_text())
    assert (known["run_id"], known["tags"], known["config"]) == ("b", ["x", "y"], {"lr": 0.1})
    assert (known["summary"]["loss"], known["summary"]["ok"]) == ("NaN", True)


def test_numbers_that_are_not_finite_are_texts_in_json(tmp_path: Path):
    """JSON has no NaN and no infinity: they are texts that cast to numbers; null is null."""
    with tl.init(id="a", dir=tmp_path / "lake") as run:
        for value in (1.5, float("nan"), float("inf"), -float("inf"), None):
            run.log({"loss": value, "note": "\u2028"})
    history, _, _ = tl.open(tmp_path / "lake").export(tmp_path / "out", form="jsonl")
    rows = [json.loads(line) for line in history.read_text(encoding="utf-8").split("\n")[:-1]]
    loss = {row["step"]: row["value"] for row in rows if row["metric"] == "loss"}
    assert loss == {0: 1.5, 1: "NaN", 2: "Infinity", 3: "-Infinity", 4: None}
    assert {row["text"] for row in rows if row["metric"] == "note"} == {"\u2028"}


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
