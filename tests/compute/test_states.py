from __future__ import annotations

import math
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tracklake.compute import points, states
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.schema import statistics
from tracklake.schema.tables import POINTS, STATES

QUERY = (Path(__file__).parents[2] / "queries" / "summaries_from_history.sql").read_text()
FLOAT, INT, BOOL, TEXT, NULL = 0, 1, 2, 3, 5
INF, NAN = math.inf, math.nan
STATISTICS = ["count", "n_nan", "n_inf", "sum", "mean", "std", "min", "argmin", "max", "argmax"]
ENDS = [f"{end}_{name}" for end in ("first", "last") for name in ("step", "value", "ival", "text", "kind")]
ROUNDED = ("sum", "mean", "std")


def stored(said):
    """Give value, ival, text and kind of what was logged."""
    match said:
        case None:
            return None, None, None, NULL
        case bool():
            return None, int(said), None, BOOL
        case int():
            return float(said), said, None, INT
        case float():
            return said, None, None, FLOAT
    return None, None, said, TEXT


def series(said: dict[int, object], *, metric="x", run="a", session=1, ts=0):
    """Make points of {step: what was logged}, stamped ts + step."""
    rows = [("p", run, metric, session, step, ts + step, *stored(said[step])) for step in said]
    return pl.DataFrame(rows, schema=POINTS, orient="row")


def of(*values):
    """Give the one state of values logged at steps 0, 1, ... as a dict."""
    return states.of(series(dict(enumerate(values)))).row(0, named=True)


def stat(name, *values, goal=None):
    return states.of(series(dict(enumerate(values)))).select(statistics.expression(name, goal=goal)).item()


def test_a_state_of_plain_numbers():
    """A state holds the counts, moments, extremes, ends, interval and stamp of its points."""
    state = of(3.0, 1.0, 2.0, 6.0)
    assert [state[k] for k in ("n_raw", "n_points", "n", "n_nan", "n_pos_inf", "n_neg_inf")] == [4, 4, 4, 0, 0, 0]
    assert [state[k] for k in ("sum", "mean", "m2")] == [12.0, 3.0, 14.0]
    assert [state[k] for k in ("min", "min_step", "max", "max_step")] == [1.0, 1, 6.0, 3]
    assert [state[k] for k in ENDS] == [0, 3.0, None, None, FLOAT, 3, 6.0, None, None, FLOAT]
    assert (state["lo"], state["hi"], state["ts"].microsecond) == (0, 3, 3)


def test_nan_is_counted_apart_and_poisons_nothing():
    """NaN is in n_nan and may be first or last, and no aggregate sees it."""
    state = of(NAN, 1.0, 2.0, NAN)
    assert [state[k] for k in ("n", "n_nan", "sum", "min", "min_step", "max", "max_step")] == [
        2,
        2,
        3.0,
        1.0,
        1,
        2.0,
        2,
    ]
    assert math.isnan(state["first_value"])
    assert state["last_step"] == 3


def test_infinities_are_extremes_but_not_in_the_moments():
    """Extremes see infinities; sum, mean and m2 are of the finite numbers."""
    state = of(1.0, INF, 3.0, -INF, INF)
    assert [state[k] for k in ("n", "n_pos_inf", "n_neg_inf", "sum", "mean", "m2")] == [2, 2, 1, 4.0, 2.0, 2.0]
    assert [state[k] for k in ("min", "min_step", "max", "max_step")] == [-INF, 3, INF, 1]


def test_a_series_without_numbers_has_no_extremes():
    """Text, bool and None count as points, not as numbers; NaN alone gives no extreme either."""
    state = of(None, "low", True, None)
    assert [state[k] for k in ("n_points", "n", "n_nan", "sum", "mean", "m2")] == [4, 0, 0, 0.0, 0.0, 0.0]
    assert [state[k] for k in ("min", "min_step", "max", "max_step")] == [None] * 4
    assert [state[k] for k in ENDS] == [1, None, None, "low", TEXT, 2, None, 1, None, BOOL]
    assert (state["lo"], state["hi"]) == (0, 3)
    assert of(NAN)["max_step"] is None


def test_nothing_but_none_has_no_first_and_last():
    """A series of None has an interval and no first or last."""
    state = of(None, None)
    assert [state[k] for k in ENDS] == [None] * 10
    assert (state["lo"], state["hi"], state["n_points"]) == (0, 1, 2)


def test_the_stamp_is_that_of_the_newest_value():
    """None is said, but it is no value: it does not make a series newer, nor does a piece of nothing but None."""
    assert of(1.0, 2.0, None)["ts"].microsecond == 1
    assert of(None, None)["ts"] is None
    pieces = pl.concat([states.of(series({0: 1.0})), states.of(series({1: None}))])
    assert states.merge(pieces)["ts"][0].microsecond == 0


def test_ties_go_to_the_earliest_step():
    """Of equal extremes the earliest step counts, and of 0.0 and -0.0 the earlier value."""
    state = of(2.0, 1.0, 2.0, 1.0)
    assert (state["min_step"], state["max_step"]) == (1, 0)
    state = of(-0.0, 0.0)
    assert [math.copysign(1, state[k]) for k in ("min", "max")] == [-1, -1]
    assert (state["min_step"], state["max_step"]) == (0, 0)


def test_integers_aggregate_as_doubles_and_stay_exact_at_the_ends():
    """An int of 64 bits is exact in first and last, a double in min and max."""
    state = of(2**63 - 1, -(2**63))
    assert (state["first_ival"], state["last_ival"]) == (2**63 - 1, -(2**63))
    assert (state["max"], state["min"]) == (2.0**63, -(2.0**63))


def test_only_the_last_point_of_a_step_counts():
    """Within a session an overwritten point is in n_raw and nowhere else."""
    raw = points.sort(pl.concat([series({0: 9.0, 1: 1.0}), series({0: 2.0}, ts=100)]))
    state = states.of(raw).row(0, named=True)
    assert [state[k] for k in ("n_raw", "n_points", "n", "sum", "max", "first_value")] == [3, 2, 2, 3.0, 2.0, 2.0]


def test_each_run_session_and_metric_has_its_own_state():
    """Mixed points, even interleaved sessions, give one row a (run, session, metric), in STATES order."""
    parts = [series({0: 1.0, 2: 2.0}, session=2), series({1: 5.0, 3: 7.0}, session=1)]
    parts += [series({0: 3.0}, metric="w", run="b"), series({0: 4.0}, run="B", session=1)]
    made = states.of(points.sort(pl.concat(parts)))
    assert made.select("metric", "run_id", "session", "n", "sum", "lo", "hi").rows() == [
        ("w", "b", 1, 1, 3.0, 0, 0),
        ("x", "B", 1, 1, 4.0, 0, 0),
        ("x", "a", 1, 2, 12.0, 1, 3),
        ("x", "a", 2, 2, 3.0, 0, 2),
    ]
    assert made.schema == pl.Schema(STATES)


@pytest.mark.parametrize(("spoke", "expected"), [((1, 2), [(1, 0, 0), (2, 1, 1)]), ((1, 2, 1), [(1, 0, 2), (2, 1, 1)])])
def test_sessions_of_one_series_have_a_state_each(spoke, expected):
    """One after the other or in turns, and however near their numbers are."""
    made = states.of(pl.concat(series({step: 1.0}, session=session) for step, session in enumerate(spoke)))
    assert made.select("session", "lo", "hi").rows() == expected


def test_no_points_have_no_states():
    """Empty frames go through every function."""
    empty = states.of(pl.DataFrame(schema=POINTS))
    assert empty.schema == pl.Schema(STATES)
    assert states.merge(empty).is_empty()
    assert states.overlapping(empty).is_empty()


def test_a_long_sum_is_exact_to_a_trillionth():
    """A million points sum as exactly as math.fsum does, to 1e-12."""
    x = np.random.default_rng(0).lognormal(size=1_000_000)
    frame = series({0: 0.0}).drop("step", "value")
    frame = frame.join(pl.DataFrame({"step": np.arange(x.size), "value": x}), how="cross").select(POINTS.keys())
    assert states.of(frame)["sum"][0] == pytest.approx(math.fsum(x), rel=1e-12)


def test_merge_joins_disjoint_pieces_of_any_order():
    """The merged row is the state of the whole, and its session is that of the last piece."""
    pieces = pl.concat(
        [states.of(series({5: 7.0, 6: "end"}, session=2)), states.of(series({0: 1.0, 1: 4.0}, session=3))]
    )
    merged = states.merge(pieces)
    whole = states.of(series({0: 1.0, 1: 4.0, 5: 7.0, 6: "end"}, session=2))
    assert_frame_equal(merged, whole, rel_tol=1e-12)


def test_a_merged_state_is_of_the_session_that_spoke_last():
    """Late rows make a series newer, though the last step is of another session."""
    pieces = pl.concat([states.of(series({5: 7.0}, session=2)), states.of(series({0: 1.0}, session=1, ts=100))])
    assert states.merge(pieces).select("session", "last_step", pl.col("ts").dt.epoch("us")).rows() == [(1, 5, 100)]


def test_merge_passes_over_pieces_that_say_only_none():
    """The ends come from the outermost pieces that have a value at all."""
    pieces = pl.concat(states.of(series({step: said})) for step, said in enumerate([None, "b", 2, None]))
    merged = states.merge(pieces).row(0, named=True)
    assert [merged[k] for k in ENDS] == [1, None, None, "b", TEXT, 2, 2.0, 2, None, INT]
    assert (merged["lo"], merged["hi"]) == (0, 3)


@pytest.mark.parametrize(("said", "mean"), [(["b", 2.0], 2.0), (["b", None], 0.0)])
def test_merge_of_one_number_and_of_none(said, mean):
    """The mean of pieces is what it is of the whole."""
    pieces = pl.concat(states.of(series({step: x})) for step, x in enumerate(said))
    assert (
        states.merge(pieces)["mean"].to_list() == states.of(series(dict(enumerate(said))))["mean"].to_list() == [mean]
    )


def test_merge_keeps_series_apart():
    """Equal metrics of two runs and two metrics of one run are not merged; the result is sorted by (metric, run_id)."""
    pieces = [series({0: 1.0}, run="b"), series({0: 2.0}), series({1: 3.0}), series({0: 4.0}, metric="w")]
    merged = states.merge(pl.concat(states.of(piece) for piece in pieces))
    assert merged.select("metric", "run_id", "n", "max").rows() == [
        ("w", "a", 1, 4.0),
        ("x", "a", 2, 3.0),
        ("x", "b", 1, 1.0),
    ]


@pytest.mark.parametrize("name", [*STATISTICS, "best", "best_step", "first", "last"])
def test_merge_needs_only_the_columns_of_the_statistic(name):
    """Pruned to what columns() names, the states merge to the same."""
    pieces = pl.concat([states.of(series({3: 7.0, 4: "end"}, session=2)), states.of(series({0: NAN, 1: 4.0}))])
    some = ["run_id", "metric", "session", "lo", "hi", *statistics.columns(name)]
    assert_frame_equal(states.merge(pieces.select(some)), states.merge(pieces).select(some))


def test_overlapping_names_the_series_whose_intervals_touch():
    """Once each: a common step is an overlap, also inside a longer interval; neighbours and other runs are none."""
    rows = [("a", 0, 9), ("a", 3, 4), ("a", 4, 5), ("b", 0, 4), ("b", 5, 9), ("c", 4, 6), ("c", 0, 4), ("d", 2, 3)]
    frame = pl.DataFrame(rows, schema=["run_id", "lo", "hi"], orient="row").with_columns(metric=pl.lit("x"))
    assert states.overlapping(frame).rows() == [("a", "x"), ("c", "x")]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("count", (1.0, INF, NAN, "a", None, 2), 3),
        ("n_nan", (1.0, NAN), 1),
        ("n_inf", (INF, -INF, 1.0), 2),
        ("sum", (1.0, 2), 3.0),
        ("sum", (1.0, INF), INF),
        ("sum", ("a", NAN), None),
        ("mean", (1.0, INF, 2.0), INF),
        ("mean", (1.0, -INF), -INF),
        ("mean", (None,), None),
        ("std", (1.0, 3.0), math.sqrt(2)),
        ("std", (1.0, 2.0, 3.0), 1.0),
        ("std", (1.0, NAN), None),
        ("std", (INF,), None),
        ("min", (1.0, -INF), -INF),
        ("argmin", (2.0, 1.0, 1.0), 1),
        ("argmax", (INF, 1.0, INF), 0),
        ("max", ("a",), None),
    ],
)
def test_a_statistic_of_logged_values(name, values, expected):
    """Infinities count as the numbers they are, NaN and other kinds do not; without numbers there is no value."""
    assert stat(name, *values) == expected


def test_statistics_that_ieee_leaves_undefined_are_nan():
    """There is no sum of inf and -inf, and with any infinity there is no deviation."""
    assert math.isnan(stat("sum", INF, -INF))
    assert math.isnan(stat("mean", INF, -INF, 1.0))
    assert math.isnan(stat("std", INF, 1.0, 3.0))


def test_best_follows_the_goal():
    """The best is the min or the max, at its step, as the goal says."""
    assert [stat(name, 3.0, 1.0, 5.0, goal="min") for name in ("best", "best_step")] == [1.0, 1]
    assert [stat(name, 3.0, 1.0, 5.0, goal="max") for name in ("best", "best_step")] == [5.0, 2]
    with pytest.raises(DefinitionError, match="best needs a goal, 'min' or 'max', not None"):
        statistics.expression("best")


def test_first_and_last_are_columns():
    """A value of any kind is no expression, and the error names the columns to read."""
    with pytest.raises(
        UnknownNameError, match="read the columns last_step, last_kind, last_value, last_ival, last_text"
    ):
        statistics.expression("last")


def test_sums_beyond_the_doubles_are_infinite_without_a_warning():
    """Finite values whose sum overflows give inf, at once and merged."""
    assert of(1e308, 1e308)["sum"] == INF
    assert states.merge(pl.concat([states.of(series({0: 1e308})), states.of(series({1: 1e308}))]))["sum"][0] == INF


def test_a_missing_state_has_no_statistics():
    """Over nulls, as a left join leaves them, every statistic is null."""
    missing = pl.DataFrame({name: [None] for name in STATES}, schema=STATES)
    assert missing.select(statistics.expression(name).alias(name) for name in STATISTICS).row(0) == (None,) * len(
        STATISTICS
    )


@pytest.mark.parametrize("ask", [statistics.columns, statistics.expression])
def test_an_unknown_statistic_names_the_nearest(ask):
    """A misspelt statistic raises an error with the nearest one."""
    with pytest.raises(UnknownNameError, match="unknown statistic 'mena'; did you mean 'mean'"):
        ask("mena")


# Against independent answers, on generated histories.

floats = st.floats(-1e100, 1e100) | st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1.0, 2.0])
logged = st.one_of(floats, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.text(max_size=3), st.none())


def assert_alike(got: pl.DataFrame, expected: pl.DataFrame, raw: pl.DataFrame, *, rounded) -> None:
    """Compare exactly, but for rounded columns to 1e-12 of the largest sums that can stand behind them."""
    exact = [name for name in expected.columns if name not in rounded]
    assert_frame_equal(got.select(exact), expected.select(exact), check_exact=True)
    finite = raw["value"].abs().filter(raw["value"].is_finite())
    for name, power in rounded.items():
        scale = max(float((finite**power).sum()), 1e-300)
        assert_frame_equal(got.select(name), expected.select(name), rel_tol=0, abs_tol=1e-12 * scale)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), said=st.dictionaries(st.integers(-20, 20), logged, min_size=1))
def test_pieces_merge_to_the_state_of_the_whole(data, said):
    """Cut anywhere, in any order and nested in any way, the pieces of a series merge to the state of the whole."""
    whole = points.sort(series(said))
    cuts = sorted(data.draw(st.sets(st.integers(1, whole.height)), label="cuts") - {whole.height})
    pieces = [states.of(whole[i:j]) for i, j in zip([0, *cuts], [*cuts, whole.height], strict=True)]
    half = data.draw(st.integers(0, len(pieces)), label="half")
    nested = [states.merge(pl.concat(part)) for part in (pieces[:half], pieces[half:]) if part]
    expected, rounded = states.of(whole), {"sum": 1, "sum_low": 1, "mean": 1, "m2": 2}
    shuffled = data.draw(st.permutations(pieces))
    assert states.overlapping(pl.concat(shuffled)).is_empty()
    assert_alike(states.merge(pl.concat(shuffled)), expected, whole, rounded=rounded)
    assert_alike(states.merge(pl.concat(nested)), expected, whole, rounded=rounded)


keys = st.tuples(st.sampled_from(["x", "y", "_step"]), st.integers(1, 2), st.integers(-2, 5), st.integers(0, 9))


@pytest.fixture(scope="module")
def duck():
    with duckdb.connect() as connection:
        yield connection


@settings(max_examples=50, deadline=None)
@given(said=st.dictionaries(keys, logged), cuts=st.tuples(*[st.none() | st.integers(-2, 6)] * 2))
def test_states_of_what_counts_agree_with_the_sql_over_raw_points(duck, said, cuts):
    """The SQL over raw points, overwritten and masked ones still in, gives every statistic that states give."""
    rows = [("p", "a", metric, session, step, ts, *stored(x)) for (metric, session, step, ts), x in said.items()]
    raw = pl.DataFrame(rows, schema=POINTS, orient="row")
    cutoffs = pl.DataFrame(
        {"run_id": ["a", "a"], "session": [1, 2], "cutoff": cuts}, schema_overrides={"cutoff": pl.Int64}
    )
    duck.register("points", raw)
    duck.register("sessions", cutoffs)
    expected = duck.sql(QUERY).pl().sort("metric")
    counting = points.resolve(raw.filter(pl.col("metric") != "_step"), cutoffs=cutoffs)
    made = states.of(counting.with_columns(session=pl.lit(1, pl.Int64)))
    names = {name: statistics.expression(name) for name in STATISTICS}
    got = made.select("run_id", "metric", "n_points", **names).hstack(made.select(*ENDS, "lo", "hi"))
    for metric, part in counting.group_by("metric"):
        one = pl.col("metric") == metric[0]
        wanted = expected.filter(one).cast(got.schema)
        assert_alike(got.filter(one), wanted.select(got.columns), part, rounded=dict.fromkeys(ROUNDED, 1))
    assert expected["metric"].to_list() == got["metric"].to_list()


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        (["n", "sum"], "sum of states cannot be merged without sum_low, mean"),
        (["sum", "sum_low", "mean"], "without n"),
        (["n", "m2"], "m2 of states cannot be merged without sum, sum_low, mean"),
        (["max_step"], "max_step of states cannot be merged without max"),
    ],
)
def test_a_column_is_not_merged_without_what_it_follows_from(columns, missing):
    """Else the sum of the first part would be taken for that of all."""
    made = pl.concat([states.of(series({step: 1.5 * step}, session=step)) for step in (1, 2)])
    with pytest.raises(ValueError, match=missing):
        states.merge(made.select("run_id", "metric", "session", "lo", "hi", *columns))
