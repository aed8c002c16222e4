from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tracklake.compute import points
from tracklake.schema.tables import POINTS


def frame(*rows: tuple[str, str, int, int, int, float]) -> pl.DataFrame:
    """Make float points of (run_id, metric, session, step, ts, value)."""
    full = [("p", run, metric, session, step, ts, x, None, None, 0) for run, metric, session, step, ts, x in rows]
    return pl.DataFrame(full, schema=POINTS, orient="row")


def test_sort_orders_by_run_metric_step_stamp_session():
    """Points are ordered by (project, run_id, metric, step, ts, session)."""
    a, b = ("a", "x", 2, 1, 10, 0.1), ("a", "x", 1, 1, 11, 0.2)
    c, d, e = ("a", "x", 2, 1, 11, 0.3), ("a", "y", 1, 0, 1, 0.4), ("b", "x", 1, -1, 1, 0.5)
    assert_frame_equal(points.sort(frame(e, c, d, b, a)), frame(a, b, c, d, e))


def test_sort_keeps_equal_points_as_they_stand():
    """Points with equal keys stay in file order."""
    tied = frame(("b", "x", 1, 1, 5, 2.0), ("b", "x", 1, 1, 5, 1.0), ("a", "x", 1, 1, 5, 0.0))
    assert points.sort(tied)["value"].to_list() == [0.0, 2.0, 1.0]
    many = frame(*(("a", "x", 1, i % 2, 5, float(i)) for i in range(2_000)))
    assert points.sort(many)["value"].to_list() == [*map(float, range(0, 2_000, 2)), *map(float, range(1, 2_000, 2))]


def test_sort_returns_sorted_points_untouched():
    """A sorted frame is handed back, not copied."""
    ordered = frame(("a", "x", 1, 1, 5, 2.0), ("a", "x", 1, 2, 5, 1.0))
    assert points.sort(ordered) is ordered


def test_resolve_keeps_the_latest_stamp_of_a_step():
    """Of several points of one (run, metric, step) the largest ts counts, whatever the session or file order."""
    raw = frame(
        ("a", "x", 2, 1, 10, 0.1), ("a", "x", 1, 1, 12, 0.2), ("a", "x", 3, 1, 11, 0.3), ("a", "y", 1, 1, 1, 0.4)
    )
    assert points.resolve(raw)["value"].to_list() == [0.2, 0.4]


def test_resolve_breaks_equal_stamps_by_session_then_by_file_order():
    """Equal stamps are decided by the larger session, equal sessions by the later row."""
    raw = frame(("a", "x", 2, 1, 10, 0.1), ("a", "x", 1, 1, 10, 0.2), ("a", "x", 2, 1, 10, 0.3))
    assert points.resolve(raw)["value"].to_list() == [0.3]


def test_resolve_keeps_equal_steps_of_neighbouring_runs_apart():
    """Two runs with the same metric and step keep both points."""
    raw = frame(("a", "x", 1, 1, 10, 0.1), ("b", "x", 1, 1, 10, 0.2))
    assert points.resolve(raw)["value"].to_list() == [0.1, 0.2]


def test_resolve_drops_points_at_or_past_the_cutoff_of_their_session():
    """A masked point does not count even if it is the latest, and other sessions and runs are left alone."""
    raw = frame(
        ("a", "x", 1, 4, 10, 0.1),
        ("a", "x", 1, 5, 99, 0.2),
        ("a", "x", 1, 6, 11, 0.3),
        ("a", "x", 2, 5, 12, 0.4),
        ("b", "x", 1, 5, 13, 0.5),
    )
    cutoffs = pl.DataFrame({"run_id": ["a", "a"], "session": [1, 2], "cutoff": [5, None]})
    assert points.resolve(raw, cutoffs=cutoffs)["value"].to_list() == [0.1, 0.4, 0.5]


def test_resolve_takes_the_lowest_of_several_cutoffs():
    """Two rewinds of one session mask from the lower step."""
    raw = frame(*(("a", "x", 1, step, step, 0.0) for step in range(5)))
    cutoffs = pl.DataFrame({"run_id": ["a", "a"], "session": [1, 1], "cutoff": [4, 2]})
    assert points.resolve(raw, cutoffs=cutoffs)["step"].to_list() == [0, 1]


def test_resolve_of_nothing_is_nothing():
    """No points resolve to no points, with and without cutoffs."""
    cutoffs = pl.DataFrame({"run_id": ["a"], "session": [1], "cutoff": [4]})
    assert points.resolve(frame()).schema == pl.Schema(POINTS)
    assert points.resolve(frame(), cutoffs=cutoffs).is_empty()


rows = st.tuples(
    st.sampled_from("ab"), st.sampled_from("xy"), st.integers(1, 2), st.integers(0, 3), st.integers(0, 3), st.floats()
)


@settings(max_examples=50, deadline=None)
@given(raw=st.lists(rows), cut=st.none() | st.integers(0, 4))
def test_resolve_agrees_with_a_dict_filled_in_stamp_order(raw, cut):
    """What counts is what a dict keyed by (run, metric, step) holds after all is said in order of (ts, session)."""
    expected = {}
    for run, metric, session, step, ts, x in sorted(raw, key=lambda r: (r[4], r[2])):
        if run == "b" or session == 2 or cut is None or step < cut:
            expected[run, metric, step] = (run, metric, session, step, ts, x)
    cutoffs = pl.DataFrame({"run_id": ["a"], "session": [1], "cutoff": [cut]}, schema_overrides={"cutoff": pl.Int64})
    got = points.resolve(frame(*raw), cutoffs=cutoffs)
    assert_frame_equal(got, frame(*(expected[key] for key in sorted(expected))), check_exact=True)


ROWS = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(1, 2), st.integers(0, 3))


@given(st.lists(ROWS, min_size=1, max_size=40), st.sampled_from([1, 4, 1_000]), st.sampled_from([1, 2, 3, 1_000]))
@settings(deadline=None)
def test_series_begin_where_run_or_metric_changes(rows: list[tuple[str, str, int, int]], few: int, block: int):
    """Whatever their steps are: one of each, ascending into the next series, or one logged again and again."""
    ordered = points.sort(frame(*((run, metric, session, step, 0, 0.0) for run, metric, session, step in rows)))
    names = ordered.select("run_id", "metric").rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "_FEW_ROWS", few)
        patch.setattr(points, "_BLOCK", block)
        starts = points.series_starts(ordered)
    assert starts.series.tolist() == [i for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
    assert starts.run.tolist() == [i for i, (run, _) in enumerate(names) if i == 0 or run != names[i - 1][0]]
    of_step = ordered.select("run_id", "metric", "step")
    assert starts.ascend is not bool(of_step.is_duplicated().any())
    assert starts.one_session is all(len(set(g["session"])) == 1 for _, g in ordered.group_by("run_id"))
