"""Columns and types of the stored tables: points, states, statements, sessions."""

from __future__ import annotations

import polars as pl

FORMAT_VERSION = 2
LAKE_RUN = "_lake"
"""The reserved run whose sessions hold lake-level statements."""

STAMP = pl.Datetime("us", "UTC")

POINTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "project": pl.String,
    "run_id": pl.String,
    "metric": pl.String,
    "session": pl.Int64,
    "step": pl.Int64,
    "ts": STAMP,
    "value": pl.Float64,  # every number (NaN, infinities, 0 and 1 of a boolean): not null <=> it counts
    "ival": pl.Int64,  # the exact integer; 0 and 1 of a bool
    "text": pl.String,  # strings and JSON
    "kind": pl.Int8,  # values.Kind
}
"""One row a point. Sorted (project, run_id, metric, step, ts, session)."""

STATES: dict[str, pl.DataType | type[pl.DataType]] = {
    "project": pl.String,
    "run_id": pl.String,
    "session": pl.Int64,
    "metric": pl.String,
    "n_raw": pl.Int64,  # points as stored, overwritten ones too
    "n_points": pl.Int64,  # points that count: one a step
    "n": pl.Int64,  # finite numbers, booleans as 0 and 1 among them
    "n_bool": pl.Int64,  # of these, the booleans
    "n_nan": pl.Int64,
    "n_pos_inf": pl.Int64,
    "n_neg_inf": pl.Int64,
    "sum": pl.Float64,  # of the finite numbers, 0.0 if there are none; infinite beyond 1e308
    "sum_low": pl.Float64,  # what rounding took from it; see compute/exact_sums
    "mean": pl.Float64,  # of the finite numbers, always finite, 0.0 if there are none
    "m2": pl.Float64,  # sum of squared differences from the mean, likewise
    "min": pl.Float64,  # infinities count, NaN does not; null if there is no number
    "min_step": pl.Int64,  # the earliest step with that value
    "max": pl.Float64,
    "max_step": pl.Int64,
    "first_step": pl.Int64,  # of a value of any kind but None; null if there is none
    "first_value": pl.Float64,
    "first_ival": pl.Int64,
    "first_text": pl.String,
    "first_kind": pl.Int8,
    "last_step": pl.Int64,
    "last_value": pl.Float64,
    "last_ival": pl.Int64,
    "last_text": pl.String,
    "last_kind": pl.Int8,
    "lo": pl.Int64,  # the step interval, points of any kind
    "hi": pl.Int64,
    "ts": STAMP,  # the largest stamp of a value of any kind but None; null if there is none
}
"""One row a (run, session, metric) of one partition. Sorted (metric, run_id, session)."""

STATEMENT: dict[str, pl.DataType | type[pl.DataType]] = {
    "ts": STAMP,
    "op": pl.String,  # statement_kind.StatementKind
    "key": pl.String,
    "value": pl.Float64,
    "ival": pl.Int64,
    "text": pl.String,
    "kind": pl.Int8,
}
"""One stamped statement of a session, other than a row."""

SESSIONS: dict[str, pl.DataType | type[pl.DataType]] = {
    "op": pl.String,  # statement_kind.StatementKind; "header" in the row of a journal file
    "key": pl.String,  # "" in the row of a journal file
    "run_id": pl.String,
    "session": pl.Int64,
    "n": pl.Int32,  # number of the journal file within the session
    "place": pl.Int64,  # of a statement among all of the partition, in order of run, session, file and statement
    **{name: dtype for name, dtype in STATEMENT.items() if name not in ("op", "key")},
    "project": pl.String,  # from here on the row of a journal file; null in that of a statement
    "sealed_through": pl.Int64,  # bytes of that file that this partition and those before it hold
    "complete": pl.Boolean,  # sealed to its end, and its end is a rotate or finish statement
    "start": STAMP,  # when the session began
    "last": STAMP,  # largest stamp seen in this part
}
"""One row a (run, session, journal file) of one partition, and one a statement. Sorted (op, key, run_id, session, n).

So the values of one config path lie side by side, and are read without the others."""
