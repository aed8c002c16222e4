"""The running summary: one run's summary point by point, held against the states of the same points."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklake.compute import states
from tracklake.compute.running_state import RunningState
from tracklake.schema import statistics
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind, store
from tracklake.tracking.running_summary import RunningSummary

STATISTICS = ("count", "n_nan", "n_inf", "sum", "mean", "std", "min", "max", "argmin", "argmax")
NUMBERS = st.floats(-1e3, 1e3) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])
LOGGED = NUMBERS | st.integers(-1000, 1000) | st.booleans() | st.text(max_size=2) | st.none()
CURVES = st.lists(st.tuples(st.integers(0, 2), LOGGED), min_size=1, max_size=30)


def running(*points: tuple[int, object]) -> RunningState:
    """Return a running state of (step, value); the stamps count up from 0."""
    made = RunningState("x", [])
    for stamp, (step, value) in enumerate(points):
        kept = store(value, name="x")
        plain = (
            kept.value if kept.kind == Kind.FLOAT else kept.ival if kept.kind in (Kind.INT, Kind.BOOL) else kept.text
        )
        made.add(step, stamp, kept.kind, plain)
    return made


def told(state: RunningState, *names: str) -> dict[str, object]:
    """Return statistics of a state by name."""
    counted = state.counted()
    return {name: counted.statistic(name) for name in names}


def about(value: float | None) -> object:
    """Return what equals a statistic but for its last bits."""
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)


def frame(points: list[tuple[int, object]]) -> pl.DataFrame:
    """Return the same points as a session has them."""
    rows = []
    for stamp, (step, value) in enumerate(points):
        kept = store(value, name="x")
        rows.append(("p", "r", "x", 1, step, stamp, kept.value, kept.ival, kept.text, kept.kind))
    return pl.DataFrame(rows, schema=POINTS, orient="row")


def climbing(curve: list[tuple[int, object]]) -> list[tuple[int, object]]:
    """Turn strides into steps; a stride of 0 says a step again."""
    steps, at = [], 0
    for stride, value in curve:
        at += stride
        steps.append((at, value))
    return steps


@given(CURVES)
def test_a_running_state_is_the_state_of_its_points(curve):
    """Whatever is logged, in order of steps, also several times at one: every statistic is that of the states."""
    points = climbing(curve)
    found = told(running(*points), *STATISTICS, "first", "last")
    state = states.of(frame(points))
    expected = state.select(**{name: statistics.expression(name) for name in STATISTICS}).row(0, named=True)
    for name in STATISTICS:
        assert found[name] == about(expected[name]), name
    for end in ("first", "last"):
        number, whole, text = state.select(f"{end}_{part}" for part in ("value", "ival", "text")).row(0)
        assert found[end] in (number, whole, text) or math.isnan(found[end])


@given(CURVES, CURVES)
def test_a_running_state_takes_in_a_state(before, after):
    """What is known of the points up to a step, and those that follow one by one, make the state of all."""
    first = climbing(before)
    rest = [(first[-1][0] + 1 + step, value) for step, value in climbing(after)]
    made = RunningState("x", [])
    made.absorb({**states.of(frame(first)).row(0, named=True), "ts": 0})
    for stamp, (step, value) in enumerate(rest, start=100):
        kept = store(value, name="x")
        made.add(step, stamp, kept.kind, next((v for v in kept[1:][::-1] if v is not None), None))
    expected = running(*first, *rest)
    found, wanted = told(made, *STATISTICS), told(expected, *STATISTICS)
    assert found == {name: about(value) for name, value in wanted.items()}
    assert not made.late


def test_the_ends_of_a_state_are_those_of_the_running_state():
    """Its first value counts if there was none before, its last one in any case; a state of None alone says nothing."""
    made = RunningState("x", [])
    for stamp, points in ((5, [(0, "adam"), (1, 2)]), (7, [(2, 0.5), (3, True), (4, None)]), (None, [(5, None)])):
        made.absorb({**states.of(frame(points)).row(0, named=True), "ts": stamp})
    assert (told(made, "first", "last"), made.last, made.ts) == ({"first": "adam", "last": True}, True, 7)


def test_a_state_that_begins_at_the_newest_step_replaces_its_point():
    """One that begins before it is late, and so is one at a step that is counted."""
    made = running((0, 1.0), (1, 5.0))
    made.absorb({**states.of(frame([(1, 2.0), (2, 3.0)])).row(0, named=True), "ts": 9})
    assert (told(made, "count", "sum", "max"), made.late) == ({"count": 3, "sum": 6.0, "max": 3.0}, False)
    made.absorb({**states.of(frame([(2, 4.0)])).row(0, named=True), "ts": 10})
    early = running((5, 1.0))
    early.absorb({**states.of(frame([(4, 4.0), (6, 1.0)])).row(0, named=True), "ts": 10})
    assert (made.late, early.late) == (True, True)


def test_the_stamp_of_a_running_state_never_goes_back():
    """The newest stamp counts, also where a later step was said sooner, in a point or in a state."""
    made = RunningState("x", [])
    found = []
    for step, stamp in ((0, 50), (1, 20), (2, 10)):
        made.add(step, stamp, Kind.FLOAT, 1.0)
        found.append(made.ts)
    made.absorb({**states.of(frame([(3, 1.0)])).row(0, named=True), "ts": 30})
    assert [*found, made.ts] == [50, 50, 50, 50]


def test_a_state_widens_the_extremes_on_both_sides():
    """Its least and greatest number count each by itself, after rows that nobody has asked about, from any step on."""
    summary = RunningSummary(session=1)
    made = summary.series("x")
    summary.take((-5, 1, {"x": (Kind.FLOAT, 0)}, (5.0,)))
    made.absorb({**states.of(frame([(3, 2.0), (4, 10.0)])).row(0, named=True), "ts": 9})
    assert told(made, "min", "argmin", "max", "argmax") == {"min": 2.0, "argmin": 3, "max": 10.0, "argmax": 4}
    assert (told(made, "count", "first"), made.late) == ({"count": 3, "first": 5.0}, False)


@pytest.mark.parametrize(("points", "late"), [([(1, 1.0), (1, 2.0)], False), ([(1, 1.0), (0, 2.0)], True)])
def test_a_point_before_the_newest_is_late(points, late):
    """The newest step may be said again; one before it spoils the state, also with None."""
    assert running(*points).late is late
    assert running(*points, (5, 1.0)).late is late
    assert running((1, 1.0), (0, None)).late


def test_rows_that_nobody_asks_about_do_not_pile_up():
    """They are looked at together every few hundred, and each series finds its own in them."""
    made = RunningSummary(session=1)
    a, b = made.series("a"), made.series("b")
    for step in range(10_000):
        columns = {"a": (Kind.FLOAT, 0)} if step % 2 else {"b": (Kind.INT, 1), "a": (Kind.FLOAT, 0)}
        made.take((step, step, columns, (1.0, 2)))
    assert len(made._rows) <= 256
    assert (told(a, "count", "sum"), told(b, "count", "sum")) == (
        {"count": 10_000, "sum": 10_000.0},
        {"count": 5_000, "sum": 10_000.0},
    )


def test_of_equal_extremes_the_earliest_step_counts():
    """Also where the one comes with a state of many points, and the other after it."""
    made = running((3, 1.0), (4, 1.0), (5, math.nan))
    assert told(made, "argmin", "argmax") == {"argmin": 3, "argmax": 3}
    made.absorb({**states.of(frame([(7, 1.0), (8, 0.5)])).row(0, named=True), "ts": 9})
    made.add(9, 9, Kind.FLOAT, 0.5)
    assert told(made, "argmin", "argmax", "n_nan") == {"argmin": 8, "argmax": 3, "n_nan": 1}


def test_asking_changes_nothing():
    """The newest point can still be replaced after statistics were asked for."""
    made = running((0, 1.0), (1, 5.0))
    assert told(made, "max") == {"max": 5.0}
    made.add(1, 9, Kind.FLOAT, 2.0)
    assert (told(made, "max", "count"), made.last) == ({"max": 2.0, "count": 2}, 2.0)


def test_none_is_no_value():
    """It replaces a value at its own step, and leaves the ones before as first, last and newest."""
    made = running((0, 1.0), (1, 2.0), (1, None), (2, None))
    assert (told(made, "first", "last", "count"), made.ts) == ({"first": 1.0, "last": 1.0, "count": 1}, 0)
    assert told(running((0, None)), "min", "sum", "last") == {"min": None, "sum": None, "last": None}


def logged(*said: tuple[str, float], at: int = 10) -> RunningSummary:
    """Return the running summary of one row of these names."""
    made = RunningSummary(session=1)
    for name, value in said:
        made.series(name).add(0, at, Kind.FLOAT, value)
    return made


def define(summary: RunningSummary, at: int, text: str, session: int = 1) -> None:
    summary.define(at, session, text)


def test_the_word_said_last_holds():
    """An edit over rows, rows over an edit, and nothing after an erasure."""
    made = logged(("a", 0.5))
    made.apply(20, "edit", "a", store(7, name="a"))
    assert made.entries() == {"a": 7}
    made.series("a").add(1, 30, Kind.FLOAT, 0.25)
    assert made.entries() == {"a": 0.25}
    made.apply(40, "erase", "a", store(None, name="a"))
    assert made.entries() == {}


def test_an_edit_said_earlier_does_not_come_back():
    """Statements are ordered by their stamps, not by when they are read."""
    made = RunningSummary(session=1)
    made.apply(20, "edit", "a", store("later", name="a"))
    made.apply(10, "edit", "a", store("sooner", name="a"))
    assert made.entries() == {"a": "later"}


def test_a_key_hides_those_above_and_under_it():
    """Of `a` and `a.b` the one written later stands, of one call both; others are not touched."""
    made = logged(("a", 1.0), ("a.b", 2.0), ("ab", 3.0))
    assert made.entries() == {"a": 1.0, "a.b": 2.0, "ab": 3.0}
    made.apply(20, "edit", "a", store(9, name="a"))
    assert made.entries() == {"a": 9, "ab": 3.0}
    made.apply(30, "edit", "a.b.c", store(8, name="a"))
    assert made.entries() == {"a.b.c": 8, "ab": 3.0}


def test_an_erasure_hides_what_is_under_its_key_but_not_what_is_above():
    """Erasing `a` takes `a.b` along; erasing `a.b` leaves `a`."""
    made = logged(("a.b", 2.0))
    made.apply(20, "erase", "a", store(None, name="a"))
    assert made.entries() == {}
    other = logged(("a", 1.0))
    other.apply(20, "erase", "a.b", store(None, name="a"))
    assert other.entries() == {"a": 1.0}


def test_definitions_of_two_sessions_fold_by_stamp():
    """The order is that of the stamps, and of one stamp that of the sessions, whichever is read first."""
    for order in ([0, 1, 2], [2, 1, 0]):
        made = logged(("a", 0.5))
        said = [(10, '{"name":"a","summary":["min"]}', 1), (20, '{"name":"a","summary":["none"]}', 1),
                (20, '{"name":"a","summary":["max"],"overwrite":true}', 2)]  # fmt: skip
        for i in order:
            define(made, *said[i])
        assert made.entries() == {"a": {"max": 0.5}}


def test_none_leaves_an_entry_out_but_not_an_edit():
    """A definition shapes what history shows; what was set by hand is shown as it is."""
    made = logged(("a", 0.5))
    define(made, 20, '{"name":"*","summary":["none"]}')
    assert made.entries() == {}
    made.apply(30, "edit", "a", store(1, name="a"))
    assert made.entries() == {"a": 1}


def test_best_has_its_step():
    """An entry of several kinds is a dict in a fixed order."""
    made = logged(("a", 0.5))
    made.series("a").add(3, 11, Kind.FLOAT, 0.25)
    define(made, 20, '{"name":"a","summary":["best","mean"],"goal":"min"}')
    assert made.entries("a") == {"a": {"mean": 0.375, "best": 0.25, "best_step": 3}}


def test_a_late_series_is_for_the_lake_to_tell():
    """The summary answers None for the family of a late series, and for all at once; others are told."""
    made = logged(("a.x", 1.0), ("b", 2.0))
    made.series("a.x").spoil()
    assert (made.entries("a"), made.entries("a.y"), made.entries()) == (None, None, None)
    assert made.entries("b") == {"b": 2.0}


def test_a_name_alone_is_answered_with_its_kin():
    """Asked for one name, those above and under it come too, and no others of the family."""
    made = logged(("t.a", 1.0), ("t.b", 2.0), ("t.b.c", 3.0))
    assert made.entries("t.a") == {"t.a": 1.0}
    assert made.entries("t.b") == {"t.b": 2.0, "t.b.c": 3.0}
    assert made.entries("t") == {"t.a": 1.0, "t.b": 2.0, "t.b.c": 3.0}
    assert made.entries("nothing") == {}
