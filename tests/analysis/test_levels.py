"""None, absent keys, booleans, numbers and words are values of a setting like others, and told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import tracklake as tl
from tracklake.analysis import grids, parameters
from tracklake.analysis.importance import METHODS, top_share
from tracklake.analysis.stats import ped_anova
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ABSENT = object()


def lake_of(folder: Path, key: str, runs: Iterable[tuple[Any, float]]) -> tl.Lake:
    """Log one value of "acc" for each value of one key, which `ABSENT` leaves out."""
    for i, (value, acc) in enumerate(runs):
        config = {"seed": i} if value is ABSENT else {key: value, "seed": i}
        with tl.init("p", id=f"r{i:02}", config=config, dir=folder, durability="buffered") as run:
            run.log({"acc": acc})
    return tl.open(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """class_weight is "balanced" or None, None better by 0.3, in 20 runs each."""
    runs = [(w, (0.9 if w is None else 0.6) + 0.001 * i) for i in range(20) for w in ("balanced", None)]
    return lake_of(tmp_path_factory.mktemp("weights"), "class_weight", runs)


def test_none_is_a_choice_of_the_marginal(weights: tl.Lake):
    """Both choices have a row, with the difference between them."""
    found = weights.sweep(metric="acc", goal="max").marginal("class_weight")
    assert found["choice"].to_list() == ["balanced", "null"]
    assert found["mean"].to_list() == pytest.approx([0.6095, 0.9095])


@pytest.mark.parametrize("method", METHODS)
def test_none_is_a_choice_of_every_importance(weights: tl.Lake, method: Any):
    """A parameter whose choices are a word and None mattered, by every method."""
    found = weights.sweep(metric="acc", goal="max").importance(method=method, draws=2)
    assert found.row(0, named=True)["name"] == "config.class_weight"
    assert found["importance"][0] > 0.01


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """drop is None, absent, "auto", "null", True or one of three numbers, five runs of each."""
    values = (None, ABSENT, "auto", "null", True, 0.1, 0.2, 0.3)
    runs = [(v, 0.1 * i + 0.001 * k) for k in range(5) for i, v in enumerate(values)]
    return lake_of(tmp_path_factory.mktemp("mixed"), "drop", runs)


def test_every_kind_is_a_row_of_the_marginal(mixed: tl.Lake):
    """Numbers keep their order; after them come the words, quoted where they would read like another, None, absent."""
    found = mixed.sweep(metric="acc", goal="max").marginal("drop")
    assert found["value"].to_list() == [0.1, 0.2, 0.3, None, None, None, None, None]
    assert found["choice"].to_list() == [None, None, None, "auto", "'null'", "null", "true", "(absent)"]
    assert found["n"].to_list() == [5] * 8
    assert found["mean"].to_list() == pytest.approx([0.502, 0.602, 0.702, 0.202, 0.302, 0.002, 0.402, 0.102])


def test_every_kind_is_a_place_on_a_parallel_axis(mixed: tl.Lake):
    """Numbers share the upper part of the axis, the other values stand at its foot, each with its label."""
    found = mixed.sweep(metric="acc", goal="max").parallel()
    at = found.lines.sort("run_id")["config.drop"].head(8).round(6).to_list()
    assert at == [0.2, 0.4, 0.0, 0.1, 0.3, 0.5, 0.75, 1.0]
    axis = found.axes.row(0, named=True)
    assert axis["labels"][:5] == ["auto", "'null'", "null", "true", "(absent)"]


def test_every_kind_is_a_group(mixed: tl.Lake):
    """A comparison has a group for each, with labels that differ, and each is found by its own value."""
    found = mixed.compare("acc", by="drop", goal="max", draws=10)
    lines = repr(found).splitlines()[2:10]
    assert sorted(line.split()[0] for line in lines) == sorted(
        ["null", "(absent)", "'auto'", "'null'", "true", "0.1", "0.2", "0.3"]
    )
    is_baseline = pl.col("verdict") == "baseline"
    means = {
        key: found.against({"drop": key}).table.filter(is_baseline)["mean"][0] for key in (None, "null", "(absent)")
    }
    assert means == pytest.approx({None: 0.002, "null": 0.302, "(absent)": 0.102})


def test_absent_is_no_value_where_another_parameter_tells_it():
    """momentum is there for sgd alone: it has no level of its own, and says under which condition it is there."""
    rows = pl.DataFrame({"opt": ["sgd", "sgd", "adam"], "momentum": [0.8, 0.9, None]})
    momentum = parameters.varied(rows, ["opt", "momentum"])[1]
    assert (momentum.levels, momentum.when, momentum.active.tolist()) == ((), "opt is 'sgd'", [True, True, False])


@pytest.mark.parametrize("unit", [1, 10, 0.1, 1000])
def test_ped_anova_does_not_depend_on_the_unit(unit: float):
    """Ten values in steps of one unit, the best 52 all at the first: the divergence is the same in any unit."""
    counts = [320, 43, 7, 6, 9, 12, 24, 36, 35, 25]
    values = np.repeat(np.arange(1, 11), counts) * unit
    top = np.arange(len(values)) < 52
    (parameter,) = parameters.varied(pl.DataFrame({"x": values}), ["x"])
    assert ped_anova.importance([grids.gridded(parameter)], top)[0] == pytest.approx(0.01356, abs=5e-6)


def test_permutation_without_draws_is_refused(weights: tl.Lake):
    """draws=0 would be importance 0 for everything: refused, with what is accepted."""
    with pytest.raises(DefinitionError, match="draws=0; it is a whole number, at least 1"):
        weights.sweep(metric="acc", goal="max").importance(method="permutation", draws=0)


def test_the_best_are_ten_runs_at_least():
    """A tenth of 30 runs would be three: the share is chosen by the number of runs, up to a half."""
    assert [round(top_share(n), 3) for n in (5, 30, 100, 5000)] == [0.5, 0.333, 0.1, 0.1]


def test_ped_anova_where_no_best_run_has_a_number():
    """The best three of seven have a word, the others a number each: much as where all numbers are one choice."""
    cells, top = np.array([0, 1, 2, 3, 4, 4, 4]), np.array([False] * 4 + [True] * 3)
    scale = ped_anova.Gridded(cells, 4, ordered=True, levels=1)
    words = ped_anova.Gridded(np.where(cells == 4, 1, 0), 2, ordered=False)
    assert ped_anova.importance([scale, words], top).tolist() == pytest.approx([0.037552, 0.037404], abs=5e-7)


def test_a_list_is_a_baseline(tmp_path: Path):
    """A setting that is a list is named as baseline by itself, or by its column."""
    lake = lake_of(tmp_path, "layers", [([64, 64], 0.2), ([128], 0.1)] * 3)
    for baseline in ([64, 64], {"layers": [64, 64]}):
        comparison = lake.compare("acc", by="layers", goal="max", baseline=baseline, draws=10)
        assert comparison.table.select("config.layers", "verdict").row(0) == ("[64, 64]", "baseline")


def test_a_list_is_the_baseline_of_a_race(tmp_path: Path):
    """time_to takes one too: the other group has the p value."""
    lake = lake_of(tmp_path, "layers", [([64, 64], 0.2), ([128], 0.1)] * 4)
    race = lake.time_to("acc", 0.15, goal="max", by="layers", baseline=[128])
    assert race.table.select("config.layers", pl.col("p").is_null()).rows() == [("[64, 64]", False), ("[128]", True)]


def test_a_leaderboard_tells_labels_apart(tmp_path: Path):
    """Groups whose labels would be equal have the quotes, or the point, that tell them apart."""
    values = (None, "null", True, "true", 1, 1.0, "1")
    lake = lake_of(tmp_path, "drop", [(value, 0.7 - 0.1 * i) for i, value in enumerate(values)])
    comparison = lake.compare("acc", by="drop", goal="max", draws=10)
    assert lake.plot.leaderboard(comparison).data["group"].str.strip_suffix(" (1 run)").to_list() == [
        "null", "'null'", "true", "'true'", "1", "1.0", "'1'",
    ]  # fmt: skip
