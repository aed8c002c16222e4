"""Runs whose metric ended in NaN or infinity: counted, and told, wherever runs are judged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from pathlib import Path

LOSSES = {0.1: [0.5, 0.4, 0.3], 1.0: [0.4, 0.2, math.nan]}
TOLD = "4 of 6 runs of lr=1.0 ended in NaN; counted at their best before"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Two learning rates of six seeds; four of the higher one end in NaN, the other two at 0.3."""
    folder = tmp_path_factory.mktemp("diverged")
    for lr, losses in LOSSES.items():
        for seed in range(6):
            last = 0.3 if seed >= 4 else losses[-1]
            with tl.init("p", config={"lr": lr, "seed": seed}, dir=folder, durability="buffered") as run:
                for loss in (*losses[:-1], last):
                    run.log({"loss": loss + 0.001 * seed})
    return tl.open(folder)


@pytest.mark.parametrize(
    ("diverged", "counts", "told"),
    [
        ("count", (6, 0, 4), TOLD),
        ("exclude", (2, 0, 4), "4 of 6 runs of lr=1.0 ended in NaN; left out"),
        ("fail", (2, 4, 4), "4 of 6 runs of lr=1.0 ended in NaN; counted as failed"),
    ],
)
def test_compare_counts_them_and_says_so(lake: tl.Lake, diverged: str, counts: tuple[int, ...], told: str):
    """n, n_failed and n_diverged stand side by side, and a note says what becomes of the runs that diverged."""
    found = lake.compare("loss", by="lr", goal="min", diverged=diverged)
    assert found.table.filter(pl.col("config.lr") == 1.0).select("n", "n_failed", "n_diverged").row(0) == counts
    assert told in found.notes
    assert "diverged" in repr(found).splitlines()[1]


def test_a_best_value_counts_as_it_was_before(lake: tl.Lake):
    """The best of a run that diverged is its best before; its last value is none, and so it failed."""
    first = lake.compare("loss", by="lr", goal="min").table.row(0, named=True)
    assert (first["config.lr"], first["mean"]) == (1.0, pytest.approx(0.2025))
    last = lake.compare("loss", by="lr", goal="min", stat="last").table.filter(pl.col("config.lr") == 1.0)
    assert last.select("n", "n_failed", "n_diverged").row(0) == (2, 4, 4)


def test_a_sweep_counts_them(lake: tl.Lake):
    """The title, a note and the marginal of a sweep say how many diverged; "fail" makes them failed runs."""
    found = lake.sweep(metric="loss", goal="min")
    assert "12 runs, 0 failed, 4 diverged" in repr(found)
    assert "4 of 12 runs ended in NaN; counted at their best before" in repr(found)
    assert found.marginal("lr")["n_diverged"].to_list() == [0, 4]
    assert lake.sweep(metric="loss", goal="min", diverged="fail").marginal("lr")["n_failed"].to_list() == [0, 4]
    assert lake.sweep(metric="loss", goal="min", diverged="exclude").marginal("lr")["n"].to_list() == [6, 2]


@pytest.mark.parametrize(
    "draw",
    [
        lambda plot, sweep, _: plot.importance(sweep),
        lambda plot, sweep, _: plot.marginal(sweep, "lr"),
        lambda plot, sweep, _: plot.pareto(sweep, {"loss": "min", "loss.mean": "min"}),
        lambda plot, sweep, _: plot.parallel(sweep),
        lambda plot, _, comparison: plot.leaderboard(comparison),
    ],
    ids=["importance", "marginal", "pareto", "parallel", "leaderboard"],
)
@pytest.mark.parametrize(
    ("diverged", "becomes"),
    [("count", "counted at their best before"), ("exclude", "left out"), ("fail", "counted as failed")],
)
def test_pictures_count_them(lake: tl.Lake, draw: Any, diverged: Any, becomes: str):
    """Each picture of a sweep or comparison says how many runs diverged, and what becomes of them."""
    sweep = lake.sweep(metric="loss", goal="min", diverged=diverged)
    comparison = lake.compare("loss", by="lr", goal="min", diverged=diverged, draws=10)
    assert f"4 of 12 runs ended in NaN; {becomes}." in draw(lake.plot, sweep, comparison).notes


def test_infinity_is_divergence_too(tmp_path: Path):
    """A loss that ended in infinity has diverged, and the note says in what."""
    with tl.init("p", config={"lr": 1.0}, dir=tmp_path) as run:
        run.log({"loss": 1.0})
        run.log({"loss": math.inf})
    notes = tl.open(tmp_path).compare("loss", by="lr", goal="min").notes
    assert "1 of 1 run of lr=1.0 ended in infinity; counted at their best before" in notes


def test_an_unknown_word_is_refused(lake: tl.Lake):
    """diverged= takes three words, and the error lists them."""
    with pytest.raises(DefinitionError, match="diverged='drop'; accepted are 'count', 'exclude', 'fail'"):
        lake.compare("loss", by="lr", goal="min", diverged="drop")
