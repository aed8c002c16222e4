"""The views that SQL sees beside runs and summaries: history, points, config, definitions, sessions of a snapshot.

Each is built with no more than a text asks of it: the rows of the runs and metrics to which its conditions restrict it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.compute import scans, typed_columns
from tracklake.compute.points import PSEUDO
from tracklake.query.column_names import BASE
from tracklake.query.derivations import Derivations
from tracklake.query.derived_snapshot import runs_in
from tracklake.schema import values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tracklake.query.run_table import RunTable
    from tracklake.query.sandbox.pushdown import Allowed

Schema = dict[str, pl.DataType | type[pl.DataType]]

COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": BASE,
    "summaries": ("run_id", "project", "metric", "stat", "value", "text", "is_nan"),
    "history": ("run_id", "project", "metric", "step", "time", "value", "text", "is_nan"),
    "config": ("run_id", "project", "key", "value", "text", "is_nan", "label"),
    "definitions": (
        "project", "name", "kind", "summary", "goal", "step_metric", "step_sync", "hidden",
        "expression", "description", "unit", "runs",
    ),
    "sessions": ("run_id", "project", "session", "start", "last", "node", "pid", "state", "exit_code", "cutoff"),
    "points": tuple(POINTS),
}  # fmt: skip
"""The columns of each view; runs has those of config and summary beside. `value` is null where `is_nan` is true."""
NULL_FOR_NAN = frozenset(("summaries", "history", "config"))
"""The views whose `value` is null where NaN was logged; `points` has what is stored, as it is."""
PREFIX = "tracklake_"
"""How the names of the tables of which views are made begin."""
STREAMED = 5_000_000
"""A lake of more points than these hands them over in batches; of fewer, all at once, which takes half of the time."""
SERIES: Schema = {"run_id": pl.String, "metric": pl.String}


class Part(NamedTuple):
    """A table of polars that a view is made of; it is made when it is read, or handed over in batches (LazyFrame)."""

    name: str
    schema: Schema
    make: Callable[[], pl.DataFrame | pl.LazyFrame]


class View(NamedTuple):
    """A view: the tables that it needs under their names, and its SQL over them ("" if it is the one table itself)."""

    name: str
    parts: Sequence[Part]
    sql: str = ""


class Limits:
    """The runs, metrics, statistics and columns that a text can see of a view; None for all."""

    def __init__(self, table: RunTable, allowed: Allowed, *, columns: Collection[str] | None = None) -> None:
        self.columns = columns
        self.metrics = allowed.get("metric")
        self.stats = allowed.get("stat")
        self.runs: list[str] | None = None
        if "run_id" in allowed or "project" in allowed:
            runs = table.summaries.runs
            for column in ("run_id", "project"):
                if column in allowed:
                    runs = runs.filter(pl.col(column).is_in(list(allowed[column])))
            self.runs = runs["run_id"].to_list()


# Points


def history(table: RunTable, limits: Limits) -> View:
    """Return the points that count: as they are stored, but for the series that must be resolved.

    The series that every run has without logging them are among them where a text names them.

    >>> table = example()._view.runs
    >>> view = history(table, Limits(table, {"metric": frozenset({"loss"})}, columns=["value"]))
    >>> view.parts[0].make()["value"].sum()
    5.5
    """
    columns = [name for name in COLUMNS["history"] if limits.columns is None or name in limits.columns] or ["run_id"]
    schema = {name: _HISTORY[name] for name in columns}
    part = Part("history", schema, lambda: _handed(table, _that_count(table, limits).select(columns)))
    return View("history", [part])


_HISTORY: Schema = {
    **{name: POINTS[name] for name in ("run_id", "project", "metric", "step", "value", "text")},
    "time": POINTS["ts"],
    "is_nan": pl.Boolean,
}


def _that_count(table: RunTable, limits: Limits) -> pl.LazyFrame:
    metrics, pseudo = None, []
    if limits.metrics is not None:
        metrics = sorted(limits.metrics.intersection(table.snapshot.metrics).difference(PSEUDO))
        pseudo = sorted(limits.metrics.intersection(PSEUDO))
    series = _unresolved(table, metrics, limits.runs)
    stored = table.snapshot.logged.points(metrics, runs=limits.runs).filter(~pl.col("metric").is_in(PSEUDO))
    if series.height:
        stored = stored.join(series.lazy(), on=list(SERIES), how="anti")
    both = pl.concat([stored, _resolved(table, series, pseudo, limits.runs).lazy()])
    value = pl.col("value")
    return both.with_columns(
        pl.when(~pl.col("session").is_in(table.snapshot.untimed)).then("ts").alias("time"),
        value.fill_nan(None),
        typed_columns.in_words(),
        value.is_nan().fill_null(value=False).alias("is_nan"),
    )


def _handed(table: RunTable, frame: pl.LazyFrame) -> pl.DataFrame | pl.LazyFrame:
    return scans.collect(frame) if table.snapshot.n_stored <= STREAMED else frame


def points(table: RunTable, limits: Limits) -> View:
    """Return the points as they are stored, overwritten and masked ones too.

    >>> table = example()._view.runs
    >>> [part.make().height for part in points(table, Limits(table, {"run_id": frozenset({"fast"})})).parts]
    [6]
    """
    columns = [name for name in COLUMNS["points"] if limits.columns is None or name in limits.columns] or ["run_id"]
    metrics = None if limits.metrics is None else list(limits.metrics)
    stored = table.snapshot.logged.points(metrics, runs=limits.runs).select(columns)
    return View("points", [Part("points", {name: POINTS[name] for name in columns}, lambda: _handed(table, stored))])


class Apart(NamedTuple):
    """What a reader of the stored points has to replace to see the history."""

    series: pl.DataFrame
    """run_id and metric of the series to leave out ..."""
    points: pl.DataFrame
    """... and what counts of them instead (schema POINTS)."""


def apart_from_stored(table: RunTable) -> Apart:
    """Return the series that are not in the history as they are stored, and their points that count.

    >>> apart_from_stored(example()._view.runs).series.height
    0
    """
    series = _unresolved(table, None, None)
    return Apart(series, _resolved(table, series, [], None))


def _unresolved(table: RunTable, metrics: Collection[str] | None, runs: Collection[str] | None) -> pl.DataFrame:
    """Return the series (run_id, metric) of which the stored points are not just those that count, or not all."""
    snapshot = table.snapshot
    series = [snapshot.series_to_resolve(snapshot.metrics if metrics is None else metrics, runs=runs)]
    if snapshot.disputed:  # the project of a run is what its first session said
        disputed = pl.col("run_id").is_in(snapshot.disputed)
        series.append(snapshot.states(metrics, runs=runs).filter(disputed).select(list(SERIES)))
    virtual = snapshot.derived.metrics if metrics is None else snapshot.derived.metrics.intersection(metrics)
    if virtual:
        series.append(snapshot.states(sorted(virtual), runs=runs).select(list(SERIES)))
    return pl.concat(series).filter(~pl.col("metric").is_in(PSEUDO)).unique()


def _resolved(
    table: RunTable, series: pl.DataFrame, pseudo: Sequence[str], runs: Collection[str] | None
) -> pl.DataFrame:
    frames = [] if series.is_empty() else [table.snapshot.resolved_series(series)]
    frames += [table.snapshot.resolved(pseudo, runs=runs)] if pseudo else []
    if not frames:
        return pl.DataFrame(schema=POINTS)
    projects = table.summaries.runs.select("run_id", "project")
    return pl.concat(frames).drop("project").join(projects, on="run_id").select(list(POINTS))


# What is said rather than logged


def config(table: RunTable) -> pl.DataFrame:
    """Return the config of every run, one row a (run, key); None is a value, with neither number nor text.

    `label` tells all values apart, whatever their kinds.

    >>> config(example()._view.runs).rows()
    [('fast', 'example', 'lr', 0.1, None, False, '0.1'), ('slow', 'example', 'lr', 0.01, None, False, '0.01')]
    """
    key = pl.col("column").str.strip_prefix("config.").alias("key")
    stored = ["kind", "value", "ival", "text"]
    distinct = table.config.every.select(stored).unique()
    labels = pl.Series("label", [_label(values.restore(*row)) for row in distinct.iter_rows()], dtype=pl.String)
    labelled = table.config.every.join(distinct.with_columns(labels), on=stored, nulls_equal=True)
    rows = labelled.select(
        "run_id",
        key,
        pl.when(pl.col("kind") != Kind.BOOL).then("value").fill_nan(None),
        typed_columns.in_words(),
        pl.col("value").is_nan().fill_null(value=False).alias("is_nan"),
        "label",
    )
    runs = table.summaries.runs.select("run_id", "project")
    return rows.join(runs, on="run_id", maintain_order="left").select(COLUMNS["config"]).sort("run_id", "key")


def _label(value: Any) -> str:
    """Return a value of config as text: no two values have the same."""
    if isinstance(value, str):
        return repr(value) if _is_like_another(value) else value
    if isinstance(value, float):
        return repr(value + 0.0)  # -0.0 is 0.0
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _is_like_another(text: str) -> bool:
    """Say whether a text reads like a value that is no text, or like a text in quotes."""
    try:
        json.loads(text)
    except ValueError:
        return text[:1] in ("'", '"') or text.strip().lower() in ("nan", "inf", "-inf")
    return True


def definitions(table: RunTable) -> pl.DataFrame:
    """Return the definitions in force, each with the number of runs for which it is.

    >>> lake = example()
    >>> lake.define_metric("loss", summary="min", goal="min")
    >>> definitions(lake._view.runs).select("name", "summary", "goal", "runs").rows()
    [('loss', 'min', 'min', 2)]
    """
    defined = table.summaries.defined
    runs = defined.groups.join(table.summaries.runs.select("run_id", "project"), on="run_id")
    counted = runs.group_by("project", "group").agg(pl.len().alias("runs"))
    rows = [
        (project, d.name, "definition", "none" if d.none else ",".join(d.kinds) or None, d.goal,
         d.step_metric, d.step_sync, d.hidden, n)
        for project, group, n in counted.iter_rows()
        for d in defined.sets[group].values()
    ]  # fmt: skip
    columns = [name for name in COLUMNS["definitions"] if name not in ("expression", "description", "unit")]
    flags = {"step_sync": pl.Boolean, "hidden": pl.Boolean, "runs": pl.Int64}
    counts = pl.DataFrame(rows, schema={name: flags.get(name, pl.String) for name in columns}, orient="row")
    counts = counts.group_by([name for name in columns if name != "runs"]).agg(pl.col("runs").sum())
    both = pl.concat([counts, derivations(table)], how="diagonal")
    return both.select(COLUMNS["definitions"]).sort("project", "name", "kind", "runs")


def derivations(table: RunTable) -> pl.DataFrame:
    """Return what is derived, with the number of runs for which it holds.

    >>> lake = example()
    >>> lake.derive("gap", "acc - loss")
    >>> derivations(lake._view.runs).select("name", "kind", "expression", "runs").rows()
    [('gap', 'derived', 'acc - loss', 2)]
    """
    columns = ("project", "name", "kind", "expression", "description", "unit")
    rows = []
    for name, scopes in Derivations.of(table.snapshot).items():
        for scope, derivation in scopes.items():
            expression = derivation.expression or ", ".join(derivation.others)
            n_runs = runs_in(scope, table.summaries.runs, scopes).height
            about = (derivation.kind, expression, derivation.description, derivation.unit, n_runs)
            rows.append((scope.project or None, name, *about))
    return pl.DataFrame(rows, schema={**dict.fromkeys(columns, pl.String), "runs": pl.Int64}, orient="row")


def sessions(table: RunTable) -> pl.DataFrame:
    """Return the sessions of every run: their process, their end, and from which step on a rewind took them back.

    >>> sessions(example()._view.runs).select("run_id", "state", "exit_code", "cutoff").rows()
    [('slow', 'finished', 0, None), ('fast', 'finished', 0, None)]
    """
    snapshot = table.snapshot
    table_of_sessions = snapshot.sessions.join(
        table.summaries.runs.select("run_id"), on="run_id", how="semi", maintain_order="left"
    )
    facts = {"node": snapshot.facts("node"), "pid": snapshot.facts("pid")}
    ended = snapshot.statements_of(StatementKind.FINISH)
    facts |= {key: ended.filter(pl.col("key") == key) for key in ("state", "exit_code")}
    for key, statements in facts.items():
        value = pl.col("ival" if key in ("pid", "exit_code") else "text").alias(key)
        table_of_sessions = table_of_sessions.join(
            statements.select("session", value), on="session", how="left", maintain_order="left"
        )
    cutoffs = snapshot.cutoffs.select("session", "cutoff")
    return table_of_sessions.join(cutoffs, on="session", how="left", maintain_order="left").select(COLUMNS["sessions"])
