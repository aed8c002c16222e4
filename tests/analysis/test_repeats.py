"""Seeds: which runs are one, which are pairs, and what so many of them can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import scipy.stats

import tracklake as tl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def lake_of(folder: Path, runs: Iterable[tuple[dict[str, Any], float]]) -> tl.Lake:
    """Log one value of "acc" for each config."""
    for config, value in runs:
        with tl.init("p", config=config, dir=folder, durability="buffered") as run:
            run.log({"acc": value})
    return tl.open(folder)


def row(found: Any, lr: float) -> dict[str, Any]:
    return found.table.row(by_predicate=pl.col("config.lr") == lr, named=True)


def test_a_seed_run_again_counts_once(tmp_path: Path):
    """Three seeds, each run twice with the same config, are three observations: the mean of their runs."""
    values = {0.1: [0.9, 0.8, 0.7], 0.2: [0.6, 0.5, 0.5]}
    runs = [({"lr": lr, "seed": s}, v) for lr, vs in values.items() for s, v in enumerate(vs) for _ in range(2)]
    found = lake_of(tmp_path, runs).compare("acc", by="lr", goal="max", baseline=0.1)
    assert found.table.select("n", "n_runs", "n_pairs").rows() == [(3, 6, None), (3, 6, 3)]
    assert row(found, 0.2)["p"] == pytest.approx(scipy.stats.ttest_rel(values[0.2], values[0.1]).pvalue)
    told = "6 runs of 12 do a seed again, with the same config: averaged within the seed, which n counts"
    assert told in found.notes


def test_a_seed_run_again_is_averaged(tmp_path: Path):
    """Of a seed whose two runs differ, the mean counts."""
    runs = [({"lr": 0.1, "seed": 0}, 0.8), ({"lr": 0.1, "seed": 0}, 0.6), ({"lr": 0.1, "seed": 1}, 0.9)]
    only = lake_of(tmp_path, runs).compare("acc", by="lr", goal="max").table.row(0, named=True)
    assert (only["n"], only["mean"], only["best"]) == (2, pytest.approx(0.8), 0.9)


@pytest.mark.parametrize("more", [[{"depth": 1}, {"depth": 2}], [{"depth": 1}, {"depth": 1.0}], [{"depth": 1}, {}]])
def test_other_settings_are_no_repeat(tmp_path: Path, more: list[dict[str, Any]]):
    """Runs of one seed that differ in their config, be it in the type of a value, are two observations."""
    runs = [({"lr": 0.1, "seed": s, **config}, 0.5) for s in range(3) for config in more]
    assert lake_of(tmp_path, runs).compare("acc", by="lr", goal="max").table["n"].to_list() == [6]


def test_an_output_folder_is_no_setting(tmp_path: Path):
    """A text that differs in every run does not make repeats differ."""
    runs = [({"lr": 0.1, "seed": i % 6, "out": f"run-{i}"}, 0.5) for i in range(12)]
    assert lake_of(tmp_path, runs).compare("acc", by="lr", goal="max").table["n"].to_list() == [6]


def test_three_seeds_against_two_are_no_pairs(tmp_path: Path):
    """The difference is that of the means beside it where matching would leave out a third of a group."""
    runs = [({"lr": 0.1, "seed": s}, v) for s, v in enumerate([0.61, 0.62, 0.81])]
    runs += [({"lr": 0.2, "seed": s}, v) for s, v in enumerate([0.59, 0.61])]
    second = row(lake_of(tmp_path, runs).compare("acc", by="lr", goal="max", baseline=0.1), 0.2)
    assert (second["n_pairs"], second["why"]) == (0, "only 2 of 2 and 2 of 3 match by seed")
    assert second["difference"] == pytest.approx(0.60 - 0.68)


def test_a_paired_difference_shows_its_pairs(tmp_path: Path):
    """Where matching leaves a run out, the table has the number of pairs and both means over them."""
    runs = [({"lr": 0.1, "seed": s}, v) for s, v in enumerate([0.5, 0.6, 0.7, 0.8, 2.0])]
    runs += [({"lr": 0.2, "seed": s}, v) for s, v in enumerate([0.4, 0.5, 0.65, 0.7])]
    found = lake_of(tmp_path, runs).compare("acc", by="lr", goal="max", baseline=0.1)
    second = row(found, 0.2)
    assert (second["n_pairs"], second["why"]) == (4, "4 of 4 and 4 of 5 match by seed")
    sides = (second["compared"], second["compared_baseline"])
    assert sides == pytest.approx((0.5625, 0.65))
    assert second["difference"] == pytest.approx(sides[0] - sides[1])
    headings = found.to_text(width=200).splitlines()[1].split()
    assert headings[headings.index("pairs") :][:4] == ["pairs", "compared", "with", "difference"]
    assert any(note.startswith("pairs leave out runs in 1 group") for note in found.notes)


def test_pairs_are_not_told_apart_where_all_are_there(tmp_path: Path):
    """Where every run has its pair, the columns about the pairs say nothing new and are not shown."""
    runs = [({"lr": lr, "seed": s}, lr + s / 10) for lr in (0.1, 0.2) for s in range(4)]
    assert "compared" not in lake_of(tmp_path, runs).compare("acc", by="lr", goal="max").to_text(width=200)


def test_three_equal_differences_cannot_say_anything(tmp_path: Path):
    """Three pairs with the same difference have p = 0.25 at the least: too few runs, not "no difference shown"."""
    runs = [({"lr": lr, "seed": s}, v + s / 10) for lr, v in ((0.1, 1.04), (0.2, 0.38)) for s in range(3)]
    second = row(lake_of(tmp_path, runs).compare("acc", by="lr", goal="max", baseline=0.1), 0.2)
    assert (second["p"], second["verdict"]) == (0.25, "too few runs")
    assert second["warning"] == "3 pairs that differ cannot go below p = 0.25"


def test_a_correction_can_put_a_verdict_out_of_reach(tmp_path: Path):
    """Six pairs reach p = 0.031, which three comparisons make 0.094: none of the three could be told."""
    worse = {"b": 0.1, "c": 0.2, "d": 0.3}
    runs = [({"lr": k, "seed": s}, s / 10 - v) for k, v in {"a": 0.0, **worse}.items() for s in range(6)]
    found = lake_of(tmp_path, runs).compare("acc", by="lr", goal="max", baseline="a", test="rank")
    assert found.table["verdict"].to_list() == ["baseline", *["too few runs"] * 3]
    assert found.table["warning"][1] == "6 pairs that differ cannot go below p = 0.031 before the correction"


def test_improvement_is_within_tasks(tmp_path: Path):
    """With tasks as units, P(better) is the mean over the tasks of the probability within each."""
    a, b = {0: [1.0, 2.0], 1: [10.0, 20.0]}, {0: [1.5, 0.5], 1: [30.0, 40.0]}
    runs = [({"lr": lr, "data": d, "seed": s}, v) for lr, side in ((0.1, a), (0.2, b))
            for d, vs in side.items() for s, v in enumerate(vs)]  # fmt: skip
    found = lake_of(tmp_path, runs).compare("acc", by="lr", task="data", unit="task", goal="max", baseline=0.1)
    assert row(found, 0.2)["p_improvement"] == pytest.approx((0.25 + 1.0) / 2)


def test_a_chosen_baseline_says_among_which_it_is_best(tmp_path: Path):
    """Where the first row has a single run, the note names the groups that the baseline was chosen from."""
    runs = [({"lr": 9.0, "seed": 0}, 2.0)]
    runs += [({"lr": lr, "seed": s}, lr + s / 100) for lr in (0.1, 0.2) for s in range(3)]
    found = lake_of(tmp_path, runs).compare("acc", by="lr", goal="max")
    assert found.baseline == {"config.lr": 0.2}
    assert found.notes[0].startswith("the baseline is the best of the 2 groups with repeats, of 3, and")


def test_few_runs_on_each_task_are_said_so(tmp_path: Path):
    """Eighteen runs are few where they are three on each of six tasks; the note and the warning say it."""
    runs = [({"lr": 0.1, "data": d, "seed": s}, d + s / 10) for d in range(6) for s in range(3)]
    found = lake_of(tmp_path, runs).compare("acc", by="lr", over=["data", "seed"], goal="max")
    assert found.table["warning"][0].startswith("18 runs on 6 tasks: such an interval holds the truth in at most")
    assert found.notes[-1].startswith("1 group of too few runs on each task for a sound interval")


def test_a_seed_run_again_is_one_everywhere(tmp_path: Path):
    """So it is for the winner's curse, for ranks and for survival, which would be too sure otherwise."""
    values = {0.1: [0.9, 0.8, 0.7], 0.2: [0.6, 0.5, 0.5]}
    once = [({"lr": lr, "seed": s}, v) for lr, vs in values.items() for s, v in enumerate(vs)]
    single, double = lake_of(tmp_path / "1", once), lake_of(tmp_path / "2", [run for run in once for _ in range(2)])
    for ask in (
        lambda lake: str(lake.sweep(metric="acc", goal="max").luck()),
        lambda lake: lake.sweep(metric="acc", goal="max").rank_stability().rows(),
        lambda lake: lake.time_to("acc", 0.65, goal="max", by="lr").table.rows(),
        lambda lake: lake.time_to("acc", 0.65, goal="max", by="lr").p,
    ):
        assert ask(double) == ask(single)
    assert "- 6 runs of 12 do a seed again" in str(double.time_to("acc", 0.65, goal="max", by="lr"))


def test_a_note_says_why_no_test_could_find_anything(tmp_path: Path):
    """Three pairs with one difference: no verdict, and the reason in words."""
    runs = [({"lr": lr, "seed": s}, lr + s / 8) for lr in (0.25, 1.0) for s in range(3)]
    found = lake_of(tmp_path, runs).compare("acc", by="lr", goal="max")
    assert found.table["verdict"].to_list() == ["baseline", "too few runs"]
    assert "1 group without a verdict: 3 pairs that differ cannot go below p = 0.25" in found.notes
