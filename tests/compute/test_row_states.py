"""States of rows are those of their points, bit for bit; rows of another form are not taken for plain ones."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from tracklake.compute import row_states, states
from tracklake.compute.row_states import SessionRows
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind

NAMES = ("acc", "flag", "loss", "n")
KINDS = (Kind.FLOAT, Kind.BOOL, Kind.FLOAT, Kind.INT)
SPECIAL = [math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0, -0.0, 1e-320]


def rows_of(seed: int) -> SessionRows:
    """Rows of one run with numbers of all sorts."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    loss = rng.choice([*SPECIAL, *rng.normal(size=8)], n) if seed % 2 else np.full(n, math.nan)
    columns = [rng.normal(size=n).view(np.int64), rng.integers(0, 2, n), loss.view(np.int64)]
    values = np.stack([*columns, rng.integers(-(1 << 60), 1 << 60, n)], axis=1)
    steps = np.cumsum(rng.integers(1, 9, n))
    stamps = 1_700_000_000_000_000 + np.cumsum(rng.integers(0, 999, n))
    return SessionRows("p", f"r{seed}", seed, int(stamps[0]) - 5, 1.5, NAMES, KINDS, stamps, steps, values)


def points_of(rows: SessionRows) -> pl.DataFrame:
    """Every value as a point."""
    frames = []
    for j, (name, kind) in enumerate(zip(rows.names, rows.kinds, strict=True)):
        raw = np.ascontiguousarray(rows.values[:, j])
        value, ival = (raw.view(np.float64), None) if kind == Kind.FLOAT else (raw.astype(np.float64), raw)
        owner = {"project": rows.project, "run_id": rows.run_id, "metric": name, "session": rows.session}
        data = {"step": rows.steps, "ts": rows.stamps, "value": value, "ival": ival, "text": None, "kind": int(kind)}
        frames.append(pl.DataFrame(owner | data))
    return pl.concat([frame.select(pl.col(n).cast(t) for n, t in POINTS.items()) for frame in frames])


def test_states_of_rows_are_those_of_their_points():
    """Counts, exact sums, extremes, ends and times of eighty runs, of all kinds of numbers."""
    several = [rows_of(seed) for seed in range(80)]
    several.sort(key=lambda rows: rows.run_id)
    sessions = pl.DataFrame(
        {"run_id": [r.run_id for r in several], "session": [r.session for r in several]}
        | {"start": [r.start for r in several], "runtime_base": 1.5}
    ).with_columns(pl.col("start").cast(POINTS["ts"]))
    expected = states.of_rows(pl.concat(map(points_of, several)), sessions=sessions)
    found = row_states.of_rows(several)
    assert found.sort("metric", "run_id", "session").equals(expected)
    assert found.height == 80 * 7
    assert found["session"].to_list() == [rows.session for rows in several for _ in range(7)]
    assert found["metric"].head(7).is_sorted()


@pytest.mark.parametrize(
    ("change", "is_plain"),
    [({}, True), ({"steps": [1, 1, 2]}, False), ({"steps": [2, 1, 3]}, False), ({"names": ("_timestamp",)}, False)],
)
def test_rows_are_plain_where_each_has_a_step_of_its_own(change, is_plain):
    """A step that comes twice, or back, and a series that every run has need points."""
    steps = np.array(change.get("steps", [1, 2, 3]))
    rows = SessionRows("p", "a", 1, 0, 0.0, change.get("names", ("x",)), (Kind.FLOAT,), steps, steps, steps[:, None])
    assert rows.is_plain == is_plain
