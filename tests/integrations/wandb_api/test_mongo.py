"""W&B's filters: which runs each of them keeps, over a frame of every kind of column."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import QueryError, UnknownNameError
from tracklake.integrations.wandb_api import mongo_filters

DAYS = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
RUNS = pl.DataFrame(
    {
        "run_id": ["a", "b", "c", "d"],
        "state": ["finished", "failed", "finished", "running"],
        "tags": [["x", "y"], ["y"], [], None],
        "created_at": DAYS,
        "config.lr": [0.1, 0.2, float("nan"), None],
        "config.depth": [1, 2, 3, None],
        "config.amp": [True, False, None, True],
        "config.opt": ["adam", "sgd", "Adam W", None],
        "config.size": [64.0, None, None, None],
        "config.size.text": [None, "small", "64", None],
        "config.list": ["[1, 2]", None, None, None],
    },
    schema_overrides={"created_at": pl.Datetime("us", "UTC")},
)


def kept(filters: dict) -> str:
    """Return the ids of the runs that a filter keeps, as one text."""
    return "".join(RUNS.filter(mongo_filters.expression(filters, RUNS.schema))["run_id"])


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, "abcd"),
        ({"state": "finished"}, "ac"),
        ({"state": "finished", "config.depth": 3}, "c"),
        ({"config.lr": 0.1}, "a"),
        ({"config.lr": float("nan")}, "c"),
        ({"config.depth": float("nan")}, ""),
        ({"config.depth": 2.0}, "b"),
        ({"config.lr": None}, "d"),
        ({"config.never": None}, "abcd"),
        ({"config.never": 1}, ""),
        ({"tags": "y"}, "ab"),
        ({"tags": 1}, ""),
        ({"config.list": [1, 2]}, "a"),
        ({"config.depth": [1, 2]}, ""),
    ],
)
def test_a_value_is_equality(filters, ids):
    """All fields of a filter hold; of tags one is enough; NaN is NaN; a column that is not there is null."""
    assert kept(filters) == ids


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"config.amp": True}, "ad"),
        ({"config.amp": 1}, ""),
        ({"config.depth": True}, ""),
        ({"config.depth": "1"}, ""),
        ({"config.opt": 1}, ""),
        ({"config.size": 64}, "a"),
        ({"config.size": "64"}, "c"),
        ({"config.size": "small"}, "b"),
        ({"config.opt": {"$gt": 1}}, ""),
        ({"config.depth": {"$lt": "z"}}, ""),
        ({"config.amp": {"$gte": 0}}, ""),
    ],
)
def test_kinds_do_not_mix(filters, ids):
    """A bool is no number, a number no text, and of a column of both kinds each is found by its own."""
    assert kept(filters) == ids


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"$gt": 1}, "bc"),
        ({"$gte": 2}, "bc"),
        ({"$lt": 2}, "a"),
        ({"$lte": 2}, "ab"),
        ({"$gt": 1, "$lt": 3}, "b"),
        ({"$eq": 2}, "b"),
        ({"$ne": 2}, "acd"),
        ({"$in": [1, 3, "x"]}, "ac"),
        ({"$nin": [1, 3]}, "bd"),
        ({"$in": []}, ""),
        ({"$exists": True}, "abc"),
        ({"$exists": False}, "d"),
        ({"$not": {"$gt": 1}}, "ad"),
    ],
)
def test_operators(condition, ids):
    """Several in one dict all hold; a run without a value is neither greater nor less, and is what is not equal."""
    assert kept({"config.depth": condition}) == ids


def test_nan_is_neither_greater_nor_less():
    """A run whose number is NaN is in no range."""
    assert kept({"config.lr": {"$gt": 0}}) + kept({"config.lr": {"$lte": 9}}) == "abab"


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"$or": [{"state": "failed"}, {"config.depth": 1}]}, "ab"),
        ({"$and": [{"state": "finished"}, {"config.depth": 1}]}, "a"),
        ({"$nor": [{"state": "failed"}, {"config.depth": 1}]}, "cd"),
        ({"$not": {"state": "finished"}}, "bd"),
        ({"$or": []}, ""),
        ({"$and": []}, "abcd"),
        ({"$or": [{"$and": [{"tags": "y"}, {"config.amp": True}]}, {"state": "running"}]}, "ad"),
    ],
)
def test_logic(filters, ids):
    """and, or, nor and not, nested; of nothing one is never true, and all are."""
    assert kept(filters) == ids


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"config.opt": {"$regex": "^adam"}}, "a"),
        ({"config.opt": {"$regex": "^adam", "$options": "i"}}, "ac"),
        ({"config.opt": re.compile("W$")}, "c"),
        ({"tags": {"$regex": "^x"}}, "a"),
        ({"config.depth": {"$regex": "1"}}, ""),
        ({"config.size": {"$regex": "6"}}, "c"),
        ({"tags": {"$in": ["x", "z", 1]}}, "a"),
        ({"config.size": {"$in": ["small", 64]}}, "ab"),
    ],
)
def test_texts(filters, ids):
    """A pattern is found anywhere in a text, with W&B's options; of tags one is enough; numbers have no texts."""
    assert kept(filters) == ids


@pytest.mark.parametrize("moment", ["2026-01-02", "2026-01-02T01:00+01:00", DAYS[1], datetime(2026, 1, 2)])  # noqa: DTZ001
def test_times(moment):
    """Texts and datetimes are times; without a zone they are UTC."""
    assert kept({"createdAt": {"$gt": moment}}) == "cd"
    assert kept({"created_at": moment}) == "b"
    assert kept({"created_at": {"$in": [moment]}}) == "b"


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ([("state", "failed")], QueryError, "a filter is a dict such as"),
        ({"$or": {"state": "failed"}}, QueryError, r"\$or takes a list of filters"),
        ({"state": {"$in": "failed"}}, QueryError, r"\$in takes a list of values, not 'failed'"),
        ({"state": {"$regex": 1}}, QueryError, r"\$regex takes a text, not 1"),
        ({"state": {"$regex": "("}}, QueryError, "'\\(' is no regular expression"),
        ({"created_at": {"$gt": "soon"}}, QueryError, "'soon' is no time; accepted are"),
        ({"created_at": {"$gt": 5j}}, QueryError, "5j is no time"),
        ({"stat": "failed"}, UnknownNameError, "stat.*state"),
        ({"sumary.loss": 1}, UnknownNameError, "sumary.loss"),
        ({"config": 1}, UnknownNameError, "'config'"),
        ({"state": {"$gr": 1}}, UnknownNameError, r"\$gr.*\$gt"),
    ],
)
def test_what_cannot_be_asked(filters, error, message):
    """The error says what was given, and what is accepted or nearest."""
    with pytest.raises(error, match=message):
        kept(filters)


def test_columns_of_a_filter():
    """Those that it looks at, however deep; of config also the one that W&B's raw form calls `.value`."""
    filters = {"$or": [{"config.lr.value": 1}, {"$not": {"summary_metrics.acc": 1}}], "jobType": "eval"}
    assert mongo_filters.columns(filters) == {"config.lr.value", "config.lr", "summary.acc", "job_type"}
    assert mongo_filters.columns({"$nor": [{"displayName": "a"}], "duration": {"$gt": 1}}) == {"name", "runtime"}
    assert kept({"config.depth.value": 1}) == "a"


def test_a_dict_without_operators_is_a_value():
    """An empty dict, and one with other keys, are compared as the JSON that config holds."""
    assert kept({"config.opt": {}}) + kept({"config.opt": {"a": 1}}) == ""
    frame = pl.DataFrame({"config.m": ['{"a": 1}', "{}", '["é"]']})
    wanted = ({"a": 1}, {}, ["é"], ["e"])
    found = [frame.filter(mongo_filters.expression({"config.m": value}, frame.schema)).height for value in wanted]
    assert found == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("filters", "run_ids"),
    [
        ({"config.sizes.1": 32}, ["b"]),
        ({"config.sizes.0": {"$gt": 20}}, ["b"]),
        ({"config.sizes.value.0": 16}, ["a"]),
        ({"config.layers.0.name": "fc"}, ["a"]),
        ({"config.layers.name": "conv"}, ["a", "b"]),
        ({"config.layers.1": {"$exists": True}}, ["a"]),
        ({"config.layers.0.bias": True}, ["b"]),
        ({"config.sizes.7": None}, ["a", "b"]),
    ],
)
def test_a_path_leads_into_lists(tmp_path: Path, filters: dict[str, Any], run_ids: list[str]):
    """A number in a path is a place in a list, and a key of what a list holds is that of each element."""
    layers = {"a": [{"name": "fc"}, {"name": "conv"}], "b": [{"name": "conv", "bias": True}]}
    for run_id, sizes in {"a": [16], "b": [64, 32]}.items():
        tl.init("p", id=run_id, config={"sizes": sizes, "layers": layers[run_id]}, dir=tmp_path).finish()
    assert [run.id for run in tl.Api(tmp_path).runs("p", filters)] == run_ids
