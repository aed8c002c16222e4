"""The files of queries/, `lake.query` and `lake.queries`."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlglot

import tracklake as tl
from tracklake.errors import DefinitionError, QueryError, UnknownNameError
from tracklake.sql import named_queries

NAN, INF = float("nan"), float("inf")
CURVES = {  # group, lr, seed, loss
    "a1": ("small", 0.1, 1, [4.0, 2.0, 3.0]),
    "a2": ("small", 0.1, 2, [4.0, 1.0, 5.0]),
    "b1": ("large", 0.2, 1, [8.0, 6.0, NAN, INF]),
    "b2": ("large", 0.2, 2, [9.0, 0.5, 0.75, 0.7]),
}
TYPES = {"TEXT": pl.String, "BIGINT": pl.Int64, "DOUBLE": pl.Float64, "BOOLEAN": pl.Boolean}
QUERIES = named_queries.find()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Four runs of two groups and two seeds, with a loss and an accuracy; half of them sealed."""
    folder = tmp_path_factory.mktemp("queries") / "lake"
    for run_id, (group, lr, seed, losses) in CURVES.items():
        with tl.init("p", id=run_id, group=group, config={"lr": lr, "seed": seed}, dir=folder) as run:
            for step, loss in enumerate(losses):
                run.log({"loss": loss, "acc": 1 / (1 + step), "note": f"s{step}"})
        if run_id == "a2":
            tl.open(folder).refresh()
    return tl.open(folder)


def rows(found: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return found.select(columns).rows()


def test_each_query_says_what_it_is():
    """Every file has a question, parameters with types, columns, and dialects."""
    assert {
        "leaderboard", "best_rows", "seed_spread", "compare_groups", "learning_curve", "time_to_threshold", "at_budget",
        "sweep_marginals", "pareto", "stalled_runs", "diverged_runs", "run_diff", "recent", "throughput",
        "summaries_from_history",
    } <= set(QUERIES)  # fmt: skip
    for query in QUERIES.values():
        assert query.answers.endswith("?") or query.name == "summaries_from_history", query.name
        assert query.returns
        assert query.dialects[0] == "duckdb"
        assert all(parameter.about for parameter in query.parameters.values()), query.name


ASKED: dict[str, dict[str, Any]] = {
    **{name: {"metric": "loss", "goal": "min"} for name in QUERIES if "metric" in QUERIES[name].parameters},
    "learning_curve": {"metric": "loss"},
    "time_to_threshold": {"metric": "loss", "goal": "min", "threshold": 1.0},
    "pareto": {"a": "loss", "goal_a": "min", "b": "acc", "goal_b": "max"},
    "diverged_runs": {},
    "run_diff": {"a": "a1", "b": "b1"},
}


@pytest.mark.parametrize("name", sorted(set(QUERIES) - {"summaries_from_history"}))
def test_each_query_returns_what_it_says(lake: tl.Lake, name: str):
    """The columns and their types are those of the head."""
    found = lake.query(name, **ASKED.get(name, {}))
    said = dict(column.split(" ") for column in QUERIES[name].returns.split(", "))
    assert found.columns == list(said)
    assert found.schema == {n: TYPES.get(t, pl.Datetime("us", "UTC")) for n, t in said.items()}
    assert not found.is_empty() or name == "stalled_runs"


def test_leaderboard(lake: tl.Lake):
    """The best runs come first, with the step of their best; a NaN does not count."""
    found = lake.query("leaderboard", metric="loss", goal="min", k=3)
    assert rows(found, "rank", "run_id", "name", "project", "group", "value", "step") == [
        (1, "b2", "b2", "p", "large", 0.5, 1.0),
        (2, "a2", "a2", "p", "small", 1.0, 1.0),
        (3, "a1", "a1", "p", "small", 2.0, 1.0),
    ]  # fmt: skip
    found = lake.query("leaderboard", metric="acc", goal="max", stat="last", project="p")
    assert rows(found, "rank", "run_id", "value", "step") == [
        (1, "a1", 1 / 3, None), (1, "a2", 1 / 3, None), (3, "b1", 0.25, None), (3, "b2", 0.25, None),
    ]  # fmt: skip


def test_best_rows(lake: tl.Lake):
    """Every metric is given as it was at the run's own best step."""
    found = lake.query("best_rows", metric="loss", goal="min").filter(pl.col("run_id").is_in(["a2", "b1"]))
    assert found.rows() == [
        ("a2", 1, "acc", 0.5, None), ("a2", 1, "loss", 1.0, None), ("a2", 1, "note", None, "s1"),
        ("b1", 1, "acc", 0.5, None), ("b1", 1, "loss", 6.0, None), ("b1", 1, "note", None, "s1"),
    ]  # fmt: skip


def test_seed_spread(lake: tl.Lake):
    """Runs that differ in their seed alone are one row."""
    assert lake.query("seed_spread", metric="loss", goal="min").rows() == [
        ("lr=0.1", 2, 1.5, pytest.approx(0.5**0.5), 1.0, 2.0),
        ("lr=0.2", 2, 3.25, pytest.approx(5.5 / 2**0.5), 0.5, 6.0),
    ]
    found = lake.query("seed_spread", metric="loss", goal="min", seed="lr")
    assert rows(found, "config", "mean") == [("seed=2", 0.75), ("seed=1", 4.0)]


def test_compare_groups(lake: tl.Lake):
    """Groups, or the values of a key of the config, are compared by their means."""
    found = lake.query("compare_groups", metric="loss", goal="min")
    assert rows(found, "label", "runs", "mean", "median", "best", "behind") == [
        ("small", 2, 1.5, 1.5, 1.0, 0.0), ("large", 2, 3.25, 3.25, 0.5, 1.75),
    ]  # fmt: skip
    found = lake.query("compare_groups", metric="acc", goal="max", stat="min", by="lr")
    assert rows(found, "label", "mean", "behind") == [("0.1", 1 / 3, 0.0), ("0.2", 0.25, pytest.approx(1 / 12))]


def test_learning_curve(lake: tl.Lake):
    """Each group has its mean and quantiles at every step; a run counts from its first to its last point."""
    found = lake.query("learning_curve", metric="loss", group="large")
    assert rows(found, "label", "step", "runs", "mean", "median") == [
        ("large", 0, 2, 8.5, 8.5), ("large", 1, 2, 3.25, 3.25), ("large", 2, 1, 0.75, 0.75), ("large", 3, 1, 0.7, 0.7),
    ]  # fmt: skip
    found = lake.query("learning_curve", metric="loss", every=2)
    assert rows(found, "label", "step", "runs", "mean", "p10") == [
        ("large", 0, 2, 3.25, pytest.approx(1.05)), ("large", 2, 1, 0.7, 0.7),
        ("small", 0, 2, 1.5, pytest.approx(1.1)), ("small", 2, 2, 4.0, pytest.approx(3.2)),
    ]  # fmt: skip


def test_learning_curve_aligns_runs_that_log_at_other_steps(tmp_path: Path):
    """Between two of its points a run counts with the earlier."""
    for run_id, steps in (("a", [0, 4]), ("b", [1, 3])):
        with tl.init("p", id=run_id, dir=tmp_path) as run:
            for step in steps:
                run.log({"loss": float(step)}, step=step)
    found = tl.open(tmp_path).query("learning_curve", metric="loss")
    assert rows(found, "step", "runs", "mean") == [(0, 1, 0.0), (1, 2, 0.5), (3, 2, 1.5), (4, 1, 4.0)]


def test_time_to_threshold(lake: tl.Lake):
    """Runs that reached the threshold come first, with the step; the others are told with their last step."""
    found = lake.query("time_to_threshold", metric="loss", goal="min", threshold=1.0)
    assert rows(found, "run_id", "reached", "step") == [
        ("a2", True, 1), ("b2", True, 1), ("a1", False, 2), ("b1", False, 3),
    ]  # fmt: skip
    assert found["seconds"].is_between(0, 5).all()


def test_at_budget(lake: tl.Lake):
    """The best value within so many steps or seconds, and where it was."""
    found = lake.query("at_budget", metric="loss", goal="min", steps=0)
    assert rows(found, "run_id", "value", "step", "spent") == [
        ("a1", 4.0, 0, 0), ("a2", 4.0, 0, 0), ("b1", 8.0, 0, 0), ("b2", 9.0, 0, 0),
    ]  # fmt: skip
    found = lake.query("at_budget", metric="loss", goal="min", seconds=1000, project="p")
    assert rows(found, "run_id", "value", "step", "spent")[0] == ("b2", 0.5, 1, 3)
    assert lake.query("at_budget", metric="loss", goal="min", seconds=-1.0).is_empty()


def test_sweep_marginals(lake: tl.Lake):
    """The key whose settings lie farthest apart comes first."""
    found = lake.query("sweep_marginals", metric="loss", goal="min")
    assert rows(found, "key", "setting", "runs", "mean", "best", "spread") == [
        ("seed", "1", 2, 4.0, 2.0, 3.25), ("seed", "2", 2, 0.75, 0.5, 3.25),
        ("lr", "0.1", 2, 1.5, 1.0, 1.75), ("lr", "0.2", 2, 3.25, 0.5, 1.75),
    ]  # fmt: skip


def test_pareto(tmp_path: Path):
    """A run stays if no other is at least as good in both metrics and better in one."""
    points = {"best_a": (9, 1), "even": (5, 5), "worse": (4, 5), "twin": (5, 5), "best_b": (1, 9), "below": (1, 8)}
    for run_id, (a, b) in points.items():
        with tl.init("p", id=run_id, dir=tmp_path) as run:
            run.log({"a": a, "b": -b})
    found = tl.open(tmp_path).query("pareto", a="a", b="b", goal_a="max", goal_b="min")
    assert rows(found, "run_id", "a", "b") == [
        ("best_a", 9.0, -1.0), ("even", 5.0, -5.0), ("twin", 5.0, -5.0), ("best_b", 1.0, -9.0),
    ]  # fmt: skip


def test_stalled_runs(lake: tl.Lake):
    """Runs whose best is long ago, the longest wait first."""
    found = lake.query("stalled_runs", metric="loss", goal="min", patience=2)
    assert rows(found, "run_id", "state", "best", "best_step", "last_step", "since") == [
        ("b1", "finished", 6.0, 1, 3, 2), ("b2", "finished", 0.5, 1, 3, 2),
    ]  # fmt: skip
    assert lake.query("stalled_runs", metric="loss", goal="min", patience=2, state="running").is_empty()


def test_diverged_runs(lake: tl.Lake):
    """Runs with NaN or infinities, and the first step with one."""
    found = lake.query("diverged_runs")
    assert rows(found, "run_id", "metric", "n_nan", "n_inf", "first_step") == [("b1", "loss", 1, 1, 2)]
    assert lake.query("diverged_runs", metric="acc").is_empty()


def test_run_diff(lake: tl.Lake):
    """What differs in config and last values; what is equal is left out."""
    assert lake.query("run_diff", a="a1", b="a2").rows() == [
        ("config", "seed", "1", "2", 1.0), ("summary", "loss", "3", "5", 2.0),
    ]  # fmt: skip
    assert lake.query("run_diff", a="a1", b="a1").is_empty()


def test_recent(lake: tl.Lake):
    """The runs that were started last."""
    found = lake.query("recent", k=2)
    assert rows(found, "run_id", "group", "state") == [("b2", "large", "finished"), ("b1", "large", "finished")]
    assert found["created_at"][0] > dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert lake.query("recent", state="running").is_empty()


def test_throughput(lake: tl.Lake):
    """Rows and steps of each run, and how many a second."""
    found = lake.query("throughput").sort("run_id")
    assert rows(found, "run_id", "rows", "steps") == [("a1", 3, 2), ("a2", 3, 2), ("b1", 4, 3), ("b2", 4, 3)]
    assert (found["rows_per_second"] * found["seconds"]).to_list() == pytest.approx([2, 2, 3, 3])


def test_summaries_from_history(lake: tl.Lake):
    """The definition of every summary, straight from the points, agrees with the summaries."""
    found = lake.query("summaries_from_history").filter(pl.col("metric") == "loss").sort("run_id")
    assert rows(found, "run_id", "count", "n_nan", "n_inf", "min", "argmin") == [
        ("a1", 3, 0, 0, 2.0, 1), ("a2", 3, 0, 0, 1.0, 1), ("b1", 3, 1, 1, 6.0, 1), ("b2", 4, 0, 0, 0.5, 1),
    ]  # fmt: skip
    stored = lake.summaries(["loss.mean", "loss.std"]).sort("run_id")
    assert found["mean"].to_list() == pytest.approx(stored["loss.mean"].to_list())


def test_the_goal_is_that_of_the_definition(tmp_path: Path):
    """Without goal= the goal that the metric's definition names is taken; without either the error says so."""
    with tl.init("p", id="a", dir=tmp_path) as run:
        run.log({"loss": 1.0})
    lake = tl.open(tmp_path)
    with pytest.raises(
        DefinitionError, match="'leaderboard' needs goal='min' or 'max' for 'loss': no definition names one"
    ):
        lake.query("leaderboard", metric="loss")
    lake.define_metric("loss", goal="min")
    assert lake.query("leaderboard", metric="loss")["value"].item() == 1.0


def test_a_goal_is_said_in_the_words_of_all_calls(lake: tl.Lake):
    """A query takes minimize and maximize for min and max, as comparisons do."""
    for word, goal in {"minimize": "min", "maximize": "max"}.items():
        assert lake.query("leaderboard", metric="loss", goal=word).equals(
            lake.query("leaderboard", metric="loss", goal=goal)
        )


def test_queries_about_derived_values_of_runs(tmp_path: Path):
    """Such a value is named where the statistic of this very metric is "entry", or where a query takes an ENTRY."""
    with tl.init("p", id="a", config={"k": 2}, dir=tmp_path / "lake") as run:
        run.log({"loss": 1.0, "entry": 5.0})
    select = "select value from summaries where stat = 'entry' and metric = $key"
    (tmp_path / "entries.sql").write_text(f"-- Which?\n--\n-- Takes    key ENTRY  it\n\n{select}")
    (tmp_path / "tricky.sql").write_text(
        "-- Which?\n--\n-- Takes    metric METRIC  it\n--          note TEXT = 'entry' it\n\n"
        "select value from history where metric = $metric and 'entry' = $note"
    )
    lake = tl.open(tmp_path / "lake", queries=[tmp_path])
    lake.derive("cost", '"config.k" * 3')
    assert lake.query("entries", key="cost").item() == 6.0
    both = {"a": "cost", "b": "entry", "goal_a": "min", "goal_b": "max"}
    assert lake.query("pareto", **both, stat_a="entry").rows() == [("a", "a", 6.0, 5.0)]
    with pytest.raises(UnknownNameError, match=r'\'cost\' is derived as one value a run.* Here: stat_a="entry"'):
        lake.query("pareto", **both, stat_a="max")
    assert lake.query("pareto", **both).rows() == [("a", "a", 6.0, 5.0)]
    with pytest.raises(UnknownNameError, match="'cost' is derived as one value a run"):
        lake.query("tricky", metric="cost")


@pytest.mark.parametrize(
    ("name", "params", "error", "message"),
    [
        ("leaderbord", {}, UnknownNameError, "unknown query 'leaderbord'; did you mean 'leaderboard'?"),
        ("leaderboard", {}, QueryError, "the query 'leaderboard' needs metric METRIC: the metric"),
        ("leaderboard", {"metric": "los"}, UnknownNameError, "unknown metric 'los'; did you mean 'loss'?"),
        ("leaderboard", {"metric": "loss", "goal": "low"}, QueryError, "goal='low'; accepted are 'min', 'max', "),
        ("leaderboard", {"metric": "loss", "stat": "top"}, UnknownNameError, "unknown statistic 'top'"),
        ("leaderboard", {"metric": "loss", "k": "3"}, QueryError, "k='3' is no BIGINT; it takes k BIGINT = 20"),
        ("leaderboard", {"metric": "loss", "k": True}, QueryError, "k=True is no BIGINT"),
        ("recent", {"projct": "p"}, QueryError, "no parameter 'projct'; its parameters: k BIGINT = 20, state TEXT"),
        ("recent", {"project": "q"}, UnknownNameError, "unknown project 'q'"),
        ("run_diff", {"a": "a1", "b": "b3"}, UnknownNameError, "unknown run 'b3'; did you mean 'b2' or 'b1'"),
    ],
)
def test_wrong_parameters_are_explained(
    lake: tl.Lake, name: str, params: dict[str, Any], error: type[Exception], message: str
):
    """An error names the parameter, what was given and what is accepted."""
    with pytest.raises(error) as told:
        lake.query(name, **params)
    assert message in str(told.value)


def test_own_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of one's own is found by queries= and $TRACKLAKE_QUERIES; a file of the same name takes the place."""
    mine, ours = tmp_path / "mine", tmp_path / "ours"
    for folder in (mine, ours):
        folder.mkdir()
    (mine / "count.sql").write_text("-- How many runs are there?\nselect count(*) as n from runs")
    (mine / "recent.sql").write_text("-- Mine?\n--\n-- Takes    lowest DOUBLE = -1.5  x\n\nselect $lowest as mine")
    (ours / "count.sql").write_text("select 'ours' as n")
    monkeypatch.setenv("TRACKLAKE_QUERIES", str(ours))
    lake = tl.open(tmp_path / "lake", create=True, queries=[mine])
    assert lake.query("count").item() == 0
    assert lake.query("recent").item() == -1.5
    listed = lake.queries()
    assert listed.filter(pl.col("name") == "count").row(0)[:2] == ("count", "How many runs are there?")
    assert "leaderboard" in listed["name"]
    assert tl.open(tmp_path / "lake").query("count").item() == "ours"
    with pytest.raises(QueryError, match="there is no folder"):
        tl.open(tmp_path / "lake", queries=[tmp_path / "nowhere"]).queries()


def test_own_queries_can_only_read(tmp_path: Path):
    """A named query is as safe as any text."""
    (tmp_path / "bad.sql").write_text("copy runs to 'x.csv'")
    with pytest.raises(QueryError, match="COPY is refused"):
        tl.open(tmp_path / "lake", create=True, queries=[tmp_path]).query("bad")


def test_a_parameter_that_cannot_be_read_is_told(tmp_path: Path):
    """A head that does not say its parameters as it should names the file and the line."""
    (tmp_path / "odd.sql").write_text("-- Odd?\n--\n-- Takes    some thing\n\nselect 1")
    with pytest.raises(QueryError, match=r"odd\.sql: 'some thing' is no parameter; write `name TYPE = default"):
        tl.open(tmp_path / "lake", create=True, queries=[tmp_path]).query("odd")


@pytest.mark.parametrize("name", [n for n, query in QUERIES.items() if "spark" in query.dialects])
def test_spark_is_claimed_where_the_text_translates(name: str):
    """A query that claims Spark translates whole, and Spark's dialect reads the translation."""
    (text,) = sqlglot.transpile(
        QUERIES[name].text, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    tree = sqlglot.parse_one(text, read="spark")
    assert [str(unknown) for unknown in tree.find_all(sqlglot.exp.Anonymous)] == []
    assert set(QUERIES[name].parameters) == {marker.name for marker in tree.find_all(sqlglot.exp.Placeholder)}


def test_the_wheel_carries_the_queries(tmp_path: Path):
    """A wheel, installed in a fresh environment, answers a named query in Python and as a command."""
    root = Path(__file__).parents[2]
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("tracklake-*.whl")
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", programs / "python", *install], check=True)
    (packages,) = place.glob("[Ll]ib/**/site-packages")
    # what tracklake depends on is not installed again, and a plain path brings no editable install with it
    (packages / "dependencies.pth").write_text(str(Path(pl.__file__).parents[1]))
    script = """
import tracklake as tl
with tl.init("p", id="a", dir="lake") as run:
    run.log({"loss": 1.0})
print(tl.open("lake").query("leaderboard", metric="loss", goal="min")["run_id"].item(), tl.__file__)
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    asked = ([programs / "python", "-c", script], [programs / "tracklake", "query", "recent", "--csv"])
    told = [
        subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
        for line in asked
    ]
    assert told[0].split() == ["a", str(packages / "tracklake" / "__init__.py")]
    assert told[1].splitlines()[1].startswith("a,")
    shutil.rmtree(place)
