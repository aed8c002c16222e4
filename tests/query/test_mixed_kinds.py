"""Columns of mixed kinds: a value is never taken for absent, and groups are told apart by exact values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import QueryError

DROPS = {"none": None, "half": 0.5, "auto": "auto", "true": True, "word": "null", "tenth": 0.1}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Runs whose config.drop is None, a number, a text, True, the text null, and one without it."""
    folder = tmp_path_factory.mktemp("mixed") / "lake"
    for i, (run_id, drop) in enumerate(DROPS.items()):
        with tl.init("p", id=run_id, config={"drop": drop, "lr": 0.1}, dir=folder) as run:
            run.log({"acc": i / 10})
    with tl.init("p", id="absent", config={"lr": 0.1}, dir=folder) as run:
        run.log({"acc": 0.9})
    return tl.open(folder)


def where(lake: tl.Lake, condition: str | pl.Expr) -> list[str]:
    return sorted(lake.runs(where=condition, columns=["run_id"])["run_id"])


def sql(lake: tl.Lake, condition: str) -> list[str]:
    return sorted(lake.sql(f"SELECT run_id FROM runs WHERE {condition}")["run_id"])


@pytest.mark.parametrize("ask", [where, sql])
@pytest.mark.parametrize(
    ("condition", "run_ids"),
    [
        ('"config.drop" IS NULL', ["absent", "none"]),
        ('"config.drop" IS NOT NULL', ["auto", "half", "tenth", "true", "word"]),
        ("drop IS NULL", ["absent", "none"]),
        ('"config.drop" > 0.2', ["half"]),
        ('"config.drop" = 0.1', ["tenth"]),
        ("\"config.drop\" = 'auto'", ["auto"]),
        ('"config.drop" IN (0.1, 0.5)', ["half", "tenth"]),
        ("\"config.drop.text\" = 'null'", ["word"]),
        ('coalesce("config.drop", 1) = 1 AND "config.drop.text" IS NULL', ["absent", "none"]),
    ],
)
def test_a_value_is_not_taken_for_absent(
    lake: tl.Lake, ask: Callable[[tl.Lake, str], list[str]], condition: str, run_ids: list[str]
):
    """Only None and what was never set are null, in Python and in SQL."""
    assert ask(lake, condition) == run_ids


@pytest.mark.parametrize(
    "condition",
    ['coalesce("config.drop", 0.1) = 0.1', '"config.drop" <> 0.1', 'NOT "config.drop" = 0.1', "ifnull(drop, 1) = 1"],
)
def test_what_would_take_it_for_absent_is_refused(lake: tl.Lake, condition: str):
    """A condition in which a text would count as null is refused with the name of the column that has it."""
    for ask in (where, sql):
        with pytest.raises(QueryError, match=r'"config.drop" has values of several kinds.*name "config.drop.text"'):
            ask(lake, condition)


@pytest.mark.parametrize(
    "condition",
    [
        pl.coalesce("config.drop", 0.1) == 0.1,
        pl.col("config.drop").fill_null(0.1) == 0.1,
        pl.col("config.drop") != 0.1,
        pl.when(pl.col("config.drop").is_null()).then(0).otherwise("config.drop") == 0,
    ],
    ids=str,
)
def test_expressions_that_would_take_it_for_absent_are_refused(lake: tl.Lake, condition: pl.Expr):
    """So is an expression of polars."""
    with pytest.raises(QueryError, match=r'"config.drop" has values of several kinds'):
        where(lake, condition)
    assert where(lake, pl.col("config.drop").fill_null(0.1) * (pl.col("config.drop.text") == "x") > 0) == []


def test_grouping_a_mixed_column_names_its_texts_too(lake: tl.Lake):
    """GROUP BY would lump texts with null; with the column of texts beside it the groups are apart."""
    with pytest.raises(QueryError, match=r'"config.drop" has values of several kinds'):
        lake.sql('SELECT "config.drop", count(*) FROM runs GROUP BY 1')
    rows = lake.sql('SELECT "config.drop", "config.drop.text", count(*) FROM runs GROUP BY ALL').rows()
    assert sorted(rows, key=str) == [
        (0.1, None, 1), (0.5, None, 1), (None, "auto", 1), (None, "null", 1), (None, "true", 1), (None, None, 2),
    ]  # fmt: skip


def test_expressions_of_polars_ask_for_null(lake: tl.Lake):
    """is_null() of a mixed column is true where nothing was set, and of no text."""
    assert where(lake, pl.col("config.drop").is_null()) == ["absent", "none"]
    assert where(lake, pl.col("config.drop").is_not_null() & (pl.col("lr") > 0)) == [
        "auto", "half", "tenth", "true", "word",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "run_ids"),
    [
        ({"config.drop": None}, ["absent", "none"]),
        ({"config.drop": True}, ["true"]),
        ({"config.drop": "auto"}, ["auto"]),
        ({"config.drop": {"$in": [0.5, "null"]}}, ["half", "word"]),
    ],
)
def test_filters_of_the_api_tell_kinds_apart(lake: tl.Lake, filters: dict[str, object], run_ids: list[str]):
    """W&B's filters compare a value with those of its own kind alone."""
    assert sorted(run.id for run in tl.Api(lake.dir).runs("p", filters)) == run_ids


def test_named_queries_have_a_level_for_every_value(lake: tl.Lake):
    """None, a number, a text, True and the text null are levels of their own; a run without the key has no level."""
    rows = lake.query("compare_groups", metric="acc", goal="max", by="drop").select("label", "runs").rows()
    assert sorted(rows, key=str) == [
        ("'null'", 1), ("0.1", 1), ("0.5", 1), ("auto", 1), ("null", 1), ("true", 1), (None, 1),
    ]  # fmt: skip


def test_none_is_a_setting_of_a_sweep(tmp_path: Path):
    """A value of None is compared like the others, and its key is in the query of marginals."""
    for i, weight in enumerate(["balanced", None] * 3):
        with tl.init("p", id=f"r{i}", config={"class_weight": weight, "seed": i // 2}, dir=tmp_path) as run:
            run.log({"acc": 0.9 if weight is None else 0.6})
    rows = tl.open(tmp_path).query("sweep_marginals", metric="acc", goal="max").select("key", "setting", "mean", "runs")
    assert ("class_weight", "null", 0.9, 3) in [(k, s, round(m, 6), n) for k, s, m, n in rows.rows()]
