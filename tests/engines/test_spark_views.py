"""A lake's views on Spark, and the named queries that claim it: executed there, they give the rows of duckdb."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlglot
from polars.testing import assert_frame_equal
from s3_server import S3Server

import tracklake as tl
from tracklake.engines.spark import register
from tracklake.sql.named_queries import find

sql = pytest.importorskip("pyspark.sql", reason="the package pyspark is not installed")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)
QUERIES = find()
PARAMETERS: dict[str, dict[str, Any]] = {
    "leaderboard": {"metric": "loss", "goal": "min", "stat": None, "project": None, "k": 20},
    "best_rows": {"metric": "loss", "goal": "min", "project": "p0"},
    "time_to_threshold": {"metric": "loss", "goal": "min", "threshold": 0.5, "project": None},
    "at_budget": {"metric": "acc", "goal": "max", "steps": 20, "seconds": 1e6, "project": None},
    "pareto": {"a": "loss", "goal_a": "min", "b": "acc", "goal_b": "max", "stat_a": None, "stat_b": None,
               "project": None},
    "stalled_runs": {"metric": "loss", "goal": "min", "patience": 1, "state": None, "project": None},
    "diverged_runs": {"metric": None, "project": None},
    "recent": {"k": 3, "state": "finished", "project": None},
    "throughput": {"project": None},
    "summaries_from_history": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two seals, a rewound run, values of every kind, an edit, a derivation, a deleted run, a live rest."""
    place = tmp_path_factory.mktemp("spark") / "lake"
    for i in range(4):
        with tl.init(f"p{i % 2}", id=f"run{i}", dir=place, config={"lr": 0.1 * i, "opt": "adam"}) as run:
            for step in range(40):
                run.log({"loss": (step * 37 % 11) / (i + 1), "acc": step / 40, "ok": step % 2 == 0, "note": f"s{step}"})
            run.log({"loss": float("nan") if i else 1.0, "acc": float("inf") if i == 2 else 0.5})
            run.log({"big": 9007199254740992.0 + 2 * i})
            run.log({"big": 9007199254741012.0})
        if i % 2:
            tl.open(place).refresh()
    with tl.init("p0", id="run0", dir=place, resume="must", from_step=30) as run:
        run.log({"loss": 0.01, "acc": 0.9})
    lake = tl.open(place)
    lake.run("run1").summary["loss"] = 7.0
    lake.define_metric("loss", summary="min", goal="min")
    lake.derive("gap", "acc - loss")
    lake.delete("run3")
    return place


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", str(Path(tl.__file__).parents[1]))
        builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", 2)
        session = builder.getOrCreate()
        yield session
        session.stop()


def rows(session: Any, text: str, parameters: dict[str, Any] | None = None) -> pl.DataFrame:
    """Return the rows of a text of Spark's."""
    frame = pl.from_arrow(session.sql(text, args=parameters or None).toArrow())
    assert isinstance(frame, pl.DataFrame)
    return frame


def alike(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with one type for integers, sorted by all that can be sorted."""
    integers = pl.selectors.integer().cast(pl.Int64)
    return frame.with_columns(integers, pl.selectors.float().cast(pl.Float64)).sort(pl.selectors.string(), *(
        [] if "step" not in frame.columns else ["step"]
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["runs", "summaries", "history", "points", "config", "definitions", "sessions"])
def test_views_have_the_same_rows(place: Path, session: Any, name: str):
    """Each view has on Spark the columns and rows that it has in `lake.sql`."""
    register(session, place)
    here = tl.open(place).sql(f"SELECT * FROM {name}")
    there = rows(session, f"SELECT * FROM {name}")
    assert there.height == here.height > 0
    columns = [column for column in here.columns if column != "tags"]
    order = [c for c in ("run_id", "session", "metric", "stat", "key", "name", "step", "ts") if c in columns]
    frames = [alike(frame.select(columns)).sort(order) for frame in (there, here)]
    assert_frame_equal(*frames, check_dtypes=False, check_exact=True)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_queries_give_the_same_rows(place: Path, session: Any, name: str):
    """A query that claims Spark is executed there, and gives the same rows."""
    query = QUERIES[name]
    register(session, place)
    text = query.text
    if name == "summaries_from_history":
        lake = tl.open(place)
        here = lake.query(name)
    else:
        here = tl.open(place).query(name, **PARAMETERS[name])
    (translated,) = sqlglot.transpile(text, read="duckdb", write="spark")
    there = rows(session, translated, PARAMETERS[name])
    assert there.columns == here.columns
    rounded = {"sum", "mean", "std", "median"}
    exact = [column for column in here.columns if column not in rounded]
    frames = [alike(frame) for frame in (there, here)]
    assert_frame_equal(*(frame.select(exact) for frame in frames), check_dtypes=False, check_exact=True)
    if name == "summaries_from_history":
        close = [frame.select(sorted(rounded)).fill_nan(None) for frame in frames]  # here computed NaN is null
        assert_frame_equal(*close, check_dtypes=False, rel_tol=1e-12)
        assert here.height > 10


def test_every_query_that_claims_spark_is_executed():
    """None that claims Spark is left out above."""
    assert sorted(PARAMETERS) == sorted(name for name, query in QUERIES.items() if "spark" in query.dialects)


def test_a_store_is_read_by_tasks(place: Path, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a lake on an object store Spark's workers read the files by its URL."""
    pytest.importorskip("moto.server", reason="moto[server], the emulator of S3, is not installed")
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cache"))
    with S3Server() as server:
        tl.open(place).copy_to("s3://bucket/lake", storage_options=server.options)
        register(session, "s3://bucket/lake", storage_options=server.options)
        text = "SELECT count(*) AS n, sum(step) AS steps FROM points WHERE metric = 'acc'"
        here = tl.open("s3://bucket/lake", storage_options=server.options).sql(text)
        assert rows(session, text).rows() == here.rows()
