"""NaN satisfies no comparison, wins no order and is no extreme, on every surface alike; one can ask for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Runs whose accuracy ended at .96, .93, NaN, NaN and infinity; the third has NaN in its config too."""
    folder = tmp_path_factory.mktemp("nan") / "lake"
    for run_id, last in {"a": 0.96, "b": 0.93, "c": NAN, "d": NAN, "e": INF}.items():
        config = {"scale": NAN if run_id == "c" else last}
        with tl.init("p", id=run_id, config=config, dir=folder) as run:
            run.log({"acc": 0.5})
            run.log({"acc": last})
    tl.open(folder).refresh()
    return tl.open(folder)


def shell(lake: tl.Lake, *arguments: str) -> list[str]:
    result = CliRunner().invoke(cli.main, ["runs", *arguments, "--columns", "run_id", "--json", "--dir", lake.dir])
    assert result.exit_code == 0, result.output
    return sorted(json.loads(line)["run_id"] for line in result.stdout.splitlines())


def where(lake: tl.Lake, condition: str | pl.Expr) -> list[str]:
    return sorted(lake.runs(where=condition, columns=["run_id"])["run_id"])


SURFACES: dict[str, Callable[[tl.Lake, str], list[str]]] = {
    "where=": where,
    "SQL": lambda lake, text: sorted(lake.sql(f"SELECT run_id FROM runs WHERE {text}")["run_id"]),
    "shell": lambda lake, text: shell(lake, "--where", text),
}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    ("text", "run_ids"),
    [
        ('"summary.acc.last" > 0.9', ["a", "b", "e"]),
        ('"summary.acc.last" >= 0.95', ["a", "e"]),
        ('"summary.acc.last" < 0.95', ["b"]),
        ('"summary.acc.last" <> 0.96', ["b", "e"]),
        ('NOT "summary.acc.last" < 0.95', ["a", "e"]),
        ('"summary.acc" BETWEEN 0.9 AND 2', ["a", "b"]),
        ('"config.scale" > 0.95', ["a", "e"]),
        ('isnan("summary.acc.last")', ["c", "d"]),
        ('is_nan("summary.acc.last") OR "config.scale" = 0.93', ["b", "c", "d"]),
        ('NOT isfinite("summary.acc.last")', ["c", "d", "e"]),
        ('isinf("summary.acc.last")', ["e"]),
        ('"summary.acc.n_nan" > 0', ["c", "d"]),
        ('"summary.acc.last.is_nan"', ["c", "d"]),
        ('"acc.last" > 0.95', ["a", "e"]),
    ],
)
def test_no_comparison_holds_for_nan(lake: tl.Lake, surface: str, text: str, run_ids: list[str]):
    """A condition means the same in Python, in SQL and in a shell, and NaN meets none that does not ask for it."""
    assert SURFACES[surface](lake, text) == run_ids


@pytest.mark.parametrize(
    ("expression", "run_ids"),
    [
        (pl.col("summary.acc.last") > 0.9, ["a", "b", "e"]),
        (pl.col("summary.acc.last") != 0.96, ["b", "e"]),
        (pl.col("config.scale") >= 0.95, ["a", "e"]),
        (pl.col("summary.acc.last").is_nan(), ["c", "d"]),
        (pl.col("summary.acc.last").is_not_nan(), ["a", "b", "e"]),
        (~pl.col("summary.acc.last").is_finite(), ["c", "d", "e"]),
        (pl.col("summary.acc.last").is_infinite(), ["e"]),
    ],
)
def test_expressions_of_polars_see_no_nan(lake: tl.Lake, expression: pl.Expr, run_ids: list[str]):
    """Neither does it meet a polars expression, but for those that ask for it."""
    assert where(lake, expression) == run_ids


def test_nan_wins_no_order(lake: tl.Lake):
    """The best come first, and what is NaN comes last, whichever way one sorts, in every surface."""
    for order in ("-summary.acc.last", "summary.acc.last"):
        assert set(lake.runs(order_by=order)["run_id"][-2:]) == {"c", "d"}
    ranked = lake.sql('SELECT run_id, "summary.acc.last" AS x FROM runs ORDER BY x DESC LIMIT 2').rows()
    assert ranked == [("e", INF), ("a", 0.96)]
    api = tl.Api(lake.dir).runs("p", order="-summary_metrics.acc")
    assert [run.id for run in api][:3] == ["e", "a", "b"]


def test_nan_is_no_extreme_and_poisons_no_aggregate(lake: tl.Lake):
    """Aggregates over runs, summaries and history leave NaN out; a column says where it was."""
    finite = 'WHERE "summary.acc.last" < 2'
    assert lake.sql(f'SELECT max("summary.acc.last"), count(*) FROM runs {finite}').row(0) == (0.96, 2)
    assert lake.sql("SELECT avg(\"summary.acc.last\") FROM runs WHERE run_id <> 'e'").item() == pytest.approx(0.945)
    counts = "SELECT max(value), count(value), count(*) FILTER (is_nan) FROM"
    assert lake.sql(f"{counts} history WHERE metric = 'acc' AND run_id <> 'e'").row(0) == (0.96, 6, 2)
    last = f"{counts} summaries WHERE metric = 'acc' AND stat = 'last' AND run_id <> 'e'"
    assert lake.sql(last).row(0) == (0.96, 2, 2)
    assert lake.sql(f"{counts} config WHERE run_id <> 'e'").row(0) == (0.96, 2, 2)


def test_nan_meets_no_filter_of_the_api(lake: tl.Lake):
    """W&B's filters compare numbers alone; one can ask for NaN by its value."""
    api = tl.Api(lake.dir)
    over = api.runs("p", {"summary_metrics.acc": {"$gt": 0.9}})
    assert sorted(run.id for run in over) == ["a", "b", "e"]
    assert sorted(run.id for run in api.runs("p", {"summary_metrics.acc": NAN})) == ["c", "d"]


def test_named_queries_rank_no_nan(lake: tl.Lake):
    """A leaderboard by the last value has the runs that have one."""
    rows = lake.query("leaderboard", metric="acc", goal="max", stat="last")
    assert rows["run_id"].to_list() == ["e", "a", "b"]
    diverged = lake.query("diverged_runs", metric="acc").select("run_id", "n_nan", "n_inf", "first_step")
    assert diverged.rows() == [("c", 1, 0, 1), ("d", 1, 0, 1), ("e", 0, 1, 1)]


def test_frames_keep_what_was_logged(lake: tl.Lake):
    """Tables and histories have NaN where it was logged: a condition leaves it out, nothing else does."""
    assert str(lake.runs(columns=["summary.acc.last"])["summary.acc.last"].to_list()) == "[0.96, 0.93, nan, nan, inf]"
    assert str(lake.history("acc", runs="c")["value"].to_list()) == "[0.5, nan]"


def test_generated_conditions_agree(tmp_path: Path):
    """`where=`, lake.sql and polars give the same runs for the same comparison, over values of every kind of number."""
    values = [1.0, -1.0, 0.0, NAN, INF, -INF, 1e300]
    for i, value in enumerate(values):
        with tl.init("p", id=f"r{i}", config={"x": value}, dir=tmp_path) as run:
            run.log({"m": value})
    lake = tl.open(tmp_path)
    for bound in (-1.0, 0.0, 1.0):
        for name, sign in (("<", "lt"), ("<=", "le"), (">", "gt"), (">=", "ge"), ("=", "eq"), ("<>", "ne")):
            for column in ("config.x", "summary.m", "summary.m.last"):
                expected = where(lake, getattr(pl.col(column), sign)(bound))
                text = f'"{column}" {name} {bound}'
                assert SURFACES["SQL"](lake, text) == where(lake, text) == expected
                assert "r3" not in expected


@pytest.mark.parametrize(
    ("text", "expression", "run_ids"),
    [
        ("sqrt(-scale) > 0", (-pl.col("scale")).sqrt() > 0, []),
        ("ln(-scale) != 1", (-pl.col("scale")).log() != 1, []),
        ("acc - acc < 1", pl.col("acc") - pl.col("acc") < 1, ["a", "b"]),
        ("(acc - acc) BETWEEN 0 AND 1", (pl.col("acc") - pl.col("acc")).is_between(0, 1), ["a", "b"]),
        ("isnan(acc - acc)", (pl.col("acc") - pl.col("acc")).is_nan(), ["c", "d", "e"]),
        ("acc * 0 / 0 = acc", pl.col("acc") * 0 / 0 == pl.col("acc"), []),
    ],
)
def test_nan_that_a_condition_computes_meets_no_comparison(
    lake: tl.Lake, text: str, expression: pl.Expr, run_ids: list[str]
):
    """NaN that is made by arithmetic is as that which was logged: in SQL, in conditions and in polars expressions."""
    assert where(lake, text) == where(lake, expression) == run_ids
    assert lake.sql(f"SELECT run_id FROM runs WHERE {text} ORDER BY 1")["run_id"].to_list() == run_ids


def test_nan_that_sql_computes_wins_no_order_and_poisons_nothing(lake: tl.Lake):
    """Infinity less infinity is null in orders, extremes, windows and results; columns keep their names."""
    found = lake.sql("SELECT run_id, acc - acc FROM runs WHERE acc IS NOT NULL ORDER BY acc - acc DESC, run_id")
    assert found.rows() == [("a", 0.0), ("b", 0.0), ("e", None)]
    assert found.columns == ["run_id", "(acc - acc)"]
    assert lake.sql("SELECT max(acc - acc), avg(acc - acc), stddev(acc) FROM runs").row(0) == (0.0, 0.0, None)
    assert (
        lake.sql("SELECT run_id FROM runs QUALIFY row_number() OVER (ORDER BY acc - acc DESC, run_id) = 1").item()
        == "a"
    )
