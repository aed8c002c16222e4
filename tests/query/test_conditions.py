"""One condition language: the same text gives the same runs in where=, in SQL and in a shell; errors are ours."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import QueryError, TracklakeError

NAIVE = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - what this is about


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Three runs r0, r1 and r2 with config lr, tags, a list in config, and a loss."""
    folder = tmp_path_factory.mktemp("conditions") / "lake"
    for i in range(3):
        config = {"lr": i / 10, "sizes": [64, i], "opt": {"name": "adam" if i else "sgd"}}
        with tl.init("p", id=f"r{i}", config=config, tags=["late", f"t{i}"] if i else [], dir=folder) as run:
            run.log({"val/loss": float(i)})
    return tl.open(folder)


def shell(lake: tl.Lake, *arguments: str) -> list[str]:
    result = CliRunner().invoke(cli.main, ["runs", *arguments, "--columns", "run_id", "--json", "--dir", lake.dir])
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["run_id"] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("text", "run_ids"),
    [
        ("created_at > '2024-01-01'", ["r0", "r1", "r2"]),
        ("created_at > now() - INTERVAL '1 day'", ["r0", "r1", "r2"]),
        ("created_at < TIMESTAMP '2024-01-01 12:00:00'", []),
        ("list_contains(tags, 'late')", ["r1", "r2"]),
        ("len(tags) = 2 AND 't1' IN tags", ["r1"]),
        ("regexp_matches(name, 'r[12]')", ["r1", "r2"]),
        ("name LIKE 'r_' AND NOT name ILIKE '%0'", ["r1", "r2"]),
        ("log(config.lr + 1) > 0.05", ["r2"]),
        ("config.opt.name = 'adam'", ["r1", "r2"]),
        ("opt.name = 'adam' AND lr < 0.15", ["r1"]),
        ('"val/loss" BETWEEN 1 AND 2', ["r1", "r2"]),
        ("\"val/loss.max\" = 2 OR state <> 'finished'", ["r2"]),
        ("CASE WHEN lr = 0 THEN true ELSE lr > 0.15 END", ["r0", "r2"]),
        ("lr IN (0.1, 0.2) -- and no more", ["r1", "r2"]),
        ("LR > 0.05 AND Config.LR < 0.15", ["r1"]),
        ('runtime >= 0 AND "group" IS NULL', ["r0", "r1", "r2"]),
        ("true", ["r0", "r1", "r2"]),
        ("NULL", []),
    ],
)
def test_the_same_text_gives_the_same_runs(lake: tl.Lake, text: str, run_ids: list[str]):
    """A condition is duckdb's SQL wherever it stands."""
    assert lake.runs(where=text, columns=["run_id"])["run_id"].to_list() == run_ids
    assert lake.sql(f"SELECT run_id FROM runs WHERE {text}\nORDER BY run_id")["run_id"].to_list() == run_ids
    assert sorted(shell(lake, "--where", text)) == run_ids
    assert lake.history("val/loss", where=text)["run_id"].to_list() == run_ids


@pytest.mark.parametrize(
    ("order", "run_ids"),
    [
        ("-lr", ["r2", "r1", "r0"]),
        ("lr DESC", ["r2", "r1", "r0"]),
        ("abs(lr - 0.1)", ["r1", "r0", "r2"]),
        ("abs(lr - 0.1) DESC", ["r0", "r2", "r1"]),
        ("-summary.val/loss.max", ["r2", "r1", "r0"]),
        ("len(tags)", ["r1", "r2", "r0"]),
    ],
)
def test_an_order_is_a_column_or_an_expression(lake: tl.Lake, order: str, run_ids: list[str]):
    """order_by= takes what ORDER BY does, and a sign before a name, in Python and in a shell."""
    assert lake.runs(order_by=order)["run_id"].to_list() == run_ids
    assert shell(lake, f"--order-by={order}") == run_ids


@pytest.mark.parametrize(
    ("moment", "run_ids"),
    [(NAIVE, ["r0", "r1", "r2"]), (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), ["r0", "r1", "r2"])],
)
def test_a_naive_time_is_utc(lake: tl.Lake, moment: dt.datetime, run_ids: list[str]):
    """A time without a zone in a polars expression means UTC, as everywhere."""
    assert lake.runs(where=pl.col("created_at") > moment)["run_id"].to_list() == run_ids
    between = pl.col("created_at").is_between(moment, NAIVE.replace(year=2100))
    assert lake.runs(where=between)["run_id"].to_list() == run_ids


@pytest.mark.parametrize(
    "text",
    [
        "lr > (SELECT max(lr) FROM runs)", "max(lr) > 0", "lr", "lr > 'x'", "lr >", "1) UNION SELECT (1",
        "lr > 0; SELECT 1", "nofunction(lr)", "lr > 0 GROUP BY lr", "unnest(tags) = 'late'", "",
    ],
)  # fmt: skip
def test_what_is_no_condition_is_an_error_of_ours(lake: tl.Lake, text: str):
    """A text that is not true or false of each run is refused by a QueryError that shows it, never by an engine's."""
    with pytest.raises(QueryError) as error:
        lake.runs(where=text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("expression", [pl.col("lr").str.len_chars() > 1, pl.col("lr"), pl.col("lr").sum()])
def test_an_expression_that_is_no_condition_is_an_error_of_ours(lake: tl.Lake, expression: pl.Expr):
    """So is an expression of polars."""
    with pytest.raises(TracklakeError, match="cannot be answered"):
        lake.runs(where=expression)


def test_an_expression_may_be_over_no_column(lake: tl.Lake):
    """A literal holds for every run or for none."""
    assert lake.runs(where=pl.lit(value=True)).height == 3
    assert lake.runs(where=pl.lit(value=False)).height == 0


@pytest.mark.parametrize(
    ("text", "run_ids"),
    [
        ("list_contains(config.sizes, 64)", ["b"]),
        ("64 IN sizes", ["b"]),
        ("sizes[1] = 16", ["a"]),
        ("len(sizes) = 2", ["b"]),
        ("list_sum(sizes) > 20", ["b"]),
        ("list_has_any(sizes, [16, 32])", ["a", "b"]),
        ("list_contains(words, 'x')", ["a"]),
        ("len(name) = 1", ["a", "b", "c"]),
    ],
)
def test_elements_of_lists_in_config(tmp_path: Path, text: str, run_ids: list[str]):
    """A list in config is a list to what asks for its elements, in conditions and in SQL alike."""
    for run_id, config in {
        "a": {"sizes": [16], "words": ["x"]},
        "b": {"sizes": [64, 32], "words": []},
        "c": {},
    }.items():
        tl.init(id=run_id, config=config, dir=tmp_path).finish()
    lake = tl.open(tmp_path)
    assert lake.runs(where=text)["run_id"].to_list() == run_ids
    assert lake.sql(f"SELECT run_id FROM runs WHERE {text} ORDER BY 1")["run_id"].to_list() == run_ids


def test_an_order_may_list_several(lake: tl.Lake):
    """A text of several terms is read as ORDER BY reads it."""
    by_two = lake.runs(order_by="greatest(lr, 0) DESC, run_id DESC")["run_id"].to_list()
    assert by_two == lake.sql("SELECT run_id FROM runs ORDER BY greatest(lr, 0) DESC, run_id DESC")["run_id"].to_list()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("regexp_like(name, 'x')", r"there is no function regexp_like\(\); did you mean"),
        ("len(lr) > 1", r"len\(\) does not take \(DOUBLE\)"),
        ("lr > 'x'", "the text 'x' is no DOUBLE"),
        ("sum(lr) > 1", "it looks at many rows at once; ask lake.sql"),
        ("lr > sum(lr) OVER ()", "it looks at many rows at once; ask lake.sql"),
    ],
)
def test_errors_of_conditions_are_in_our_words(lake: tl.Lake, text: str, message: str):
    """What an engine says is told in words of ours, without its own kinds of errors."""
    with pytest.raises(QueryError, match=message) as raised:
        lake.runs(where=text)
    assert "Error:" not in str(raised.value)
