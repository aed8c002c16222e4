"""Rewinds: the forms of points, states and edits against the rule for one point."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tracklake.compute import rewinds

SESSIONS = st.integers(1, 3)
POINTS = st.lists(st.tuples(st.sampled_from("ab"), SESSIONS, st.integers(-2, 6)), max_size=30)
CUTOFFS = st.dictionaries(st.tuples(st.sampled_from("ab"), SESSIONS), st.integers(-2, 6), max_size=4)


def cutoff_frame(cutoffs: dict[tuple[str, int], int]) -> pl.DataFrame:
    """Return cutoffs as a frame."""
    rows = [(*session, step) for session, step in cutoffs.items()]
    return pl.DataFrame(rows, schema={"run_id": pl.String, "session": pl.Int64, "cutoff": pl.Int64}, orient="row")


@given(POINTS, CUTOFFS)
def test_frames_mask_as_the_rule_does(points, cutoffs):
    """Points in any order; of states those that keep a point, and the series that lose some but not all."""
    left = [p for p in points if not rewinds.is_masked(p[2], cutoffs.get(p[:2]))]
    frame = pl.DataFrame(points, schema={"run_id": pl.String, "session": pl.Int64, "step": pl.Int64}, orient="row")
    limits = cutoff_frame(cutoffs)
    assert rewinds.unmasked_points(frame, limits).rows() == left
    steps = {"lo": pl.col("step").min(), "hi": pl.col("step").max()}
    states = frame.group_by("run_id", "session", maintain_order=True).agg(**steps)
    states = states.with_columns(pl.format("m{}", "session").alias("metric"))
    whole, cut = rewinds.unmasked_states(states, limits)
    sessions = {p[:2]: None for p in points}
    assert whole.select("run_id", "session").rows() == [s for s in sessions if any(s == p[:2] for p in left)]
    some = {p[:2] for p in left} & {p[:2] for p in points if p not in left}
    assert set(cut.rows()) == {(run, f"m{session}") for run, session in some}
    touched = {(run, f"m{session}") for run, session, _ in points if (run, session, _) not in left}
    assert set(rewinds.touched_series(states, limits).rows()) == touched
    kept = rewinds.unmasked_statements(frame, limits).select("run_id", "session").rows()
    assert kept == [p[:2] for p in points if p[:2] not in cutoffs]


def test_a_session_masks_those_that_began_before():
    """Of several rewinds the lowest step counts; of sessions that began at once the one with the larger id is later."""
    files = pl.DataFrame({"run_id": "a", "session": [1, 2, 3, 4], "start": [10, 20, 20, 30]})
    said = pl.DataFrame({"run_id": "a", "session": [3, 4], "op": "session", "key": "from_step", "ival": [2, 7]})
    assert sorted(rewinds.cutoffs(files, said).rows()) == [("a", 1, 2), ("a", 2, 2), ("a", 3, 7)]
