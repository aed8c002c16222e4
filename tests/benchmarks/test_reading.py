"""The questions to large lakes and to live runs: at a thousandth of the size they give what their floors give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import large_lake
import live_runs
import polars as pl
import pytest
import reading

import tracklake as tl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of 100 runs in several partitions, and one that is wide."""
    place = tmp_path_factory.mktemp("reading") / "lake"
    large_lake.generate(place, large_lake.shapes(0.001))
    return place


@pytest.mark.parametrize("question", reading.QUESTIONS, ids=lambda question: question.name)
def test_a_question_gives_what_its_floor_gives(place: Path, question: reading.Question):
    """Row by row; the floor leaves out what it knows to be none, such as runs without the metric."""
    pytest.importorskip("duckdb")
    ours, floor = question.ours(tl.open(place)), question.floor(place)
    rows = [list(frame.rows() if isinstance(frame, pl.DataFrame) else frame) for frame in (ours, floor)]
    if question.floor is reading._streamed_by_hand:
        assert rows[0][0] == pytest.approx(rows[1][0])
        return
    drop = 2 if question.floor is reading._hundred_by_hand else 0  # the metric and the time stand elsewhere
    if drop:
        rows = [[(row[0], row[-1]) for row in several] for several in rows]
    elif question.floor is reading._top_by_hand:
        rows[1] = [(run_id, value) for run_id, _, value in rows[1]]
    elif question.floor is reading._wide_by_hand:
        rows = [sorted(tuple(sorted(str(cell) for cell in row)) for row in several) for several in rows]
        rows[0] = [row for row in rows[0] if "None" not in row]
    assert sorted(rows[0], key=str) == sorted(rows[1], key=str)


def test_a_new_run_in_a_linked_copy_leaves_the_lake_as_it_was(place: Path, tmp_path: Path):
    """It is in the copy alone."""
    copy = reading.linked(place, tmp_path)
    reading.log_a_run(copy)
    assert [tl.open(lake).runs(columns=[]).height for lake in (place, copy)] == [101, 102]


def test_live_runs_are_seen_as_they_grow(tmp_path: Path):
    """After three rounds of growth the last rows of sixty runs are those of the rounds."""
    live = live_runs.look(tmp_path, runs=100, rows=3)
    table = live.table.sort("run_id")
    assert table["summary.m/00"].to_list() == [0.1] * 60 + [2.1] * 40
    assert set(table["state"]) <= {"running", "crashed"}
