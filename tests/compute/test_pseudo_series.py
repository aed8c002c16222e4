"""The series that every run has without logging them: one point at every step of a session, and their times."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tracklake.compute import points, pseudo_series
from tracklake.schema.tables import POINTS, STAMP


def frame(*rows: tuple[str, str, int, int, int, float]) -> pl.DataFrame:
    """Make float points of (run_id, metric, session, step, ts, value)."""
    full = [("p", run, metric, session, step, ts, x, None, None, 0) for run, metric, session, step, ts, x in rows]
    return pl.DataFrame(full, schema=POINTS, orient="row")


def sessions(run_id: str, start: int, base: float) -> pl.DataFrame:
    columns = {"run_id": [run_id], "session": [1], "start": [start], "runtime_base": [base]}
    return pl.DataFrame(columns, schema_overrides={"start": STAMP})


def test_pseudo_series_have_a_point_at_every_step_of_the_session():
    """`_step`, `_timestamp` and `_runtime` take the step's largest stamp; the runtime goes on from its base."""
    raw = frame(("a", "x", 1, 0, 2_000_000, 0.1), ("a", "x", 1, 3, 3_000_000, 0.2), ("a", "y", 1, 3, 4_500_000, 0.3))
    made = pseudo_series.with_pseudo(raw, sessions=sessions("a", 1_500_000, 10.0))
    assert made.select("metric", "step", "value", "ival", "kind").rows() == [
        ("_runtime", 0, 10.5, None, 0),
        ("_runtime", 3, 13.0, None, 0),
        ("_step", 0, 0.0, 0, 1),
        ("_step", 3, 3.0, 3, 1),
        ("_timestamp", 0, 2.0, None, 0),
        ("_timestamp", 3, 4.5, None, 0),
        ("x", 0, 0.1, None, 0),
        ("x", 3, 0.2, None, 0),
        ("y", 3, 0.3, None, 0),
    ]
    assert made["ts"][3] == datetime(1970, 1, 1, 0, 0, 4, 500_000, tzinfo=UTC)
    assert made.schema == pl.Schema(POINTS)


def test_pseudo_points_replace_the_markers_of_empty_rows():
    """A step with nothing but a marker has its pseudo points, and the marker itself is gone."""
    made = pseudo_series.with_pseudo(frame(("a", "_step", 1, 7, 2_000_000, 99.0)))
    assert made.select("metric", "step", "value").rows() == [("_step", 7, 7.0), ("_timestamp", 7, 2.0)]


def test_a_logged_timestamp_stands_in_place_of_ours():
    """Only the steps at which the user logged no `_timestamp` get one."""
    raw = frame(
        ("a", "_timestamp", 1, 0, 2_000_000, 0.5), ("a", "x", 1, 0, 3_000_000, 1.0), ("a", "x", 1, 1, 4_000_000, 1.0)
    )
    made = pseudo_series.with_pseudo(raw).filter(pl.col("metric") == "_timestamp")
    assert made.select("step", "value").rows() == [(0, 0.5), (1, 4.0)]


def test_a_session_without_a_start_has_no_runtime():
    """Sessions that the sessions frame lacks get no `_runtime`, but the other two."""
    made = pseudo_series.with_pseudo(frame(("a", "x", 2, 0, 1, 0.0)), sessions=sessions("a", 0, 0.0))
    assert made["metric"].to_list() == ["_step", "_timestamp", "x"]


def test_a_session_without_a_start_has_times_beside_one_that_has_none():
    """What another run is does not matter: an imported one without time has neither."""
    untimed = sessions("b", 0, 0.0).with_columns(runtime_base=pl.lit(None, dtype=pl.Float64))
    made = pseudo_series.pseudo(frame(("a", "x", 1, 0, 1, 0.0), ("b", "x", 1, 0, 1, 0.0)), sessions=untimed)
    assert sorted(made.select("run_id", "metric").rows()) == [("a", "_step"), ("a", "_timestamp"), ("b", "_step")]


def test_pseudo_points_of_unsorted_runs_come_once():
    """Runs and steps in any order give one pseudo point a (run, session, step), sorted."""
    raw = frame(("b", "x", 1, 0, 5, 0.0), ("a", "x", 1, 1, 5, 0.0), ("b", "y", 1, 0, 6, 0.0), ("a", "x", 1, 0, 4, 0.0))
    made = pseudo_series.with_pseudo(raw).filter(pl.col("metric") == "_step")
    assert made.select("run_id", "step").rows() == [("a", 0), ("a", 1), ("b", 0)]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([(1, 0, 10), (1, 1, 11)], [(1, 1, 11), (1, 2, 12)], [(1, 0, 10), (1, 1, 11), (1, 2, 12)]),
        ([(1, 0, 10), (1, 1, 11)], [(1, 0, 20), (1, 1, 11)], [(1, 0, 20), (1, 1, 11)]),
        ([(1, 0, 10), (1, 1, 11)], [(2, 0, 10), (2, 1, 11)], [(1, 0, 10), (1, 1, 11), (2, 0, 10), (2, 1, 11)]),
        ([(1, 0, 10), (1, 0, 15)], [(1, 0, 10), (1, 0, 15)], [(1, 0, 15)]),
        ([(1, 0, 10), (1, 0, 15)], [], [(1, 0, 15)]),
    ],
    ids=["other steps", "other stamps", "other sessions", "a step said twice", "a step said twice by the only one"],
)
def test_pseudo_points_look_at_every_series(x, y, expected):
    """Series as long as each other need not have the same rows: each (session, step, ts) is looked at."""
    raw = frame(*(("a", name, *row, 0.0) for name, rows in (("x", x), ("y", y)) for row in rows))
    made = pseudo_series.with_pseudo(raw).filter(pl.col("metric") == "_step")
    found = made.select("session", "step", pl.col("ts").dt.epoch("us"))
    assert sorted(found.rows()) == expected


def test_pseudo_of_nothing_is_nothing():
    """No points have no pseudo points."""
    assert pseudo_series.with_pseudo(frame(), sessions=sessions("a", 0, 0.0)).is_empty()


def test_seconds_are_the_nearest_doubles():
    """885 microseconds are 0.000885 s, not 0.0008849999999999999 s."""
    made = pseudo_series.pseudo(frame(("a", "x", 1, 0, 885, 1.0)), sessions=sessions("a", 0, 0.0))
    assert made.filter(pl.col("metric") == "_runtime")["value"].to_list() == [0.000885]


SERIES = st.dictionaries(
    st.sampled_from(["a/x", "a/y", "a/z", "b/x", "b/y"]),
    st.dictionaries(st.integers(-2, 3), st.tuples(st.integers(1, 2), st.integers(0, 1)), min_size=1),
)


@given(series=SERIES, long=st.sampled_from([1, 1_000]))
def test_pseudo_points_are_those_of_all_series_of_a_run(series: dict[str, dict[int, tuple[int, int]]], long: int):
    """Whichever series is the longest, and whether it has the steps of all others: each row of a session once."""
    raw = frame(
        *(
            (name[0], name[2], session, step, ts, 0.0)
            for name, rows in series.items()
            for step, (session, ts) in rows.items()
        )
    )
    expected: dict[tuple[str, int, int], int] = {}
    for run_id, session, step, ts in raw.select("run_id", "session", "step", pl.col("ts").dt.epoch("us")).iter_rows():
        expected[run_id, session, step] = max(ts, expected.get((run_id, session, step), ts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pseudo_series, "_LONG", long)
        steps = pseudo_series.with_pseudo(raw).filter(pl.col("metric") == "_step")
    stamps = steps.select("run_id", "session", "step", pl.col("ts").dt.epoch("us"))
    assert sorted(stamps.rows()) == sorted((*row, ts) for row, ts in expected.items())


@pytest.mark.parametrize("long", [1, 1_000])
@pytest.mark.parametrize("late", [(0,), (1,), (2,), (3,), (4,), (5,), (6,), (7,), (4, 6), (5, 7)])
def test_a_stamp_of_any_series_counts(monkeypatch: pytest.MonkeyPatch, long: int, late: tuple[int, ...]):
    """Of some that were logged later than all others, wherever they stand among those of one length."""
    monkeypatch.setattr(pseudo_series, "_LONG", long)
    names = ["v", "w", "x", "z"]  # and between w and x a shorter one
    raw = [("a", name, 1, step, 5, 0.0) for name in names for step in (0, 1)]
    for row in late:
        raw[row] = (*raw[row][:4], 9, 0.0)
    steps = pseudo_series.pseudo(frame(*raw[:4], ("a", "ww", 1, 0, 5, 0.0), *raw[4:])).filter(metric="_step")
    assert steps["ts"].dt.epoch("us").to_list() == ([5, 9] if late[0] % 2 else [9, 5])


SAID = st.lists(st.tuples(st.sampled_from("xy"), st.integers(1, 3), st.integers(0, 4), st.integers(0, 9)), min_size=1)


@given(said=SAID)
def test_times_of_a_run_are_those_of_its_pseudo_series(said: list[tuple[str, int, int, int]]):
    """One row a step, with what `_timestamp` and `_runtime` come to there, however many sessions spoke of it."""
    begun = pl.DataFrame(
        {"run_id": "a", "session": [1, 2, 3], "start": [0, 1, 2], "runtime_base": [0.0, 60.0, 3.0]},
        schema_overrides={"start": STAMP},
    )
    logged = points.resolve(frame(*(("a", metric, session, step, ts, 0.0) for metric, session, step, ts in said)))
    series = points.resolve(pseudo_series.with_pseudo(logged, sessions=begun)).filter(
        pl.col("metric").is_in(points.PSEUDO)
    )
    wide = series.pivot("metric", index="step", values="value")
    assert_frame_equal(
        pseudo_series.times(logged, sessions=begun), wide.select("step", "_timestamp", "_runtime"), check_exact=True
    )
