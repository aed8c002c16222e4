"""One run: its fields, config, metrics, quality and edits, and where each entry of its summary comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.compute.points import PSEUDO
from tracklake.errors import QueryError
from tracklake.schema import statistics
from tracklake.schema.statement_kind import StatementKind
from tracklake.ui import media_pages, replies
from tracklake.ui.markdown_tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklake.lake.lake import Lake
    from tracklake.lake.recorded_run import RecordedRun
    from tracklake.ui.parameters import Parameters
    from tracklake.ui.sources import Source

METRICS = 2_000
"""Metrics of a run that are listed."""
JUDGED = 8
"""Metrics of which the quality is looked at: those with a goal first."""
_STATISTICS = tuple(name for name, spec in statistics.REGISTRY.items() if spec.expression is not None)
"""The numbers that states hold of a metric."""
_STEP_OF = dict(zip(statistics.spec("best").by_goal or (), statistics.spec("best_step").by_goal or (), strict=True))
_EDITS = (
    StatementKind.EDIT,
    StatementKind.ERASE,
    StatementKind.FIELD,
    StatementKind.TAG,
    StatementKind.UNTAG,
    StatementKind.CONFIG,
    StatementKind.UNSET,
)


def details(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return all of a run but its history, and with `diff` what another run has in its place.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> found = details(Source(example(), name="lake"), Parameters([("id", "fast")]))
    >>> found["config"], found["summary"][1]
    ([['lr', 0.1]], {'key': 'loss', 'value': 0.75, 'origin': 'last value, at step 2'})
    """
    run_id, other = parameters.needed("id"), parameters.text("diff")
    with source.reading() as lake:
        run = lake.run(run_id)
        facts = dict(run.facts)
        metrics = _metrics(lake, run)
        summary = run.summary._json_dict  # noqa: SLF001 - the nested dict by W&B's name
        edits = _edits(lake, run_id)
        return {
            "id": run_id,
            "facts": _json(facts | {"created_at": facts["created_at"].timestamp() * 1000}),
            "notes": tree(facts["notes"] or ""),
            "parent": run.parent,
            "config": [list(leaf) for leaf in _leaves(run.config)],
            "summary": _entries(summary, metrics, edits, _definitions(lake, run)),
            "metadata": [list(leaf) for leaf in _leaves(run.metadata)],
            "metrics": replies.columns(metrics.head(METRICS)),
            "n_metrics": metrics.height,
            "files": run.files,
            "media": media_pages.listed(lake, run),
            "system": _system(lake, run_id),
            "edits": edits,
            "diff": _diff(lake, run, other) if other else None,
        }


def _metrics(lake: Lake, run: RecordedRun) -> pl.DataFrame:
    """Return a row a metric: last, its step, and every statistic that states hold as a number."""
    names = [name for name in run.metrics if not name.startswith("_")]
    needed = {"hi", "last_value", *(column for stat in _STATISTICS for column in statistics.columns(stat))}
    states = lake._view.runs.snapshot.states(names, columns=sorted(needed), runs=[run.id])  # noqa: SLF001 - the page is another face
    shown = [statistics.expression(stat).cast(pl.Float64).alias(stat) for stat in _STATISTICS]
    last = [pl.col("last_value").alias("last"), pl.col("hi").alias("last_step")]
    rows = pl.DataFrame({"metric": names}, schema={"metric": pl.String}).join(
        states.select("metric", *last, *shown), on="metric", maintain_order="left"
    )
    return rows.filter(pl.any_horizontal(pl.col("count", "n_nan", "n_inf") > 0) | pl.col("last").is_not_null())


def _definitions(lake: Lake, run: RecordedRun) -> dict[str, tuple[str, str | None]]:
    """Return what the definitions of a run's metrics ask for, in words, and which way is better."""
    summaries = lake._view.runs.summaries  # noqa: SLF001 - the page is another face of the lake
    words: dict[str, tuple[str, str | None]] = {}
    for name in run.metrics[:METRICS]:
        definition = next((d for d in summaries.definition(name).values() if d is not None), None)
        if definition is not None:
            goal = f", goal {definition.goal}" if definition.goal else ""
            text = f"defined as {definition.name}: {', '.join(definition.kinds) or 'value'}{goal}"
            words[name] = (text, definition.goal)
    return words


def _entries(
    summary: Mapping[str, Any],
    metrics: pl.DataFrame,
    edits: list[dict[str, Any]],
    definitions: Mapping[str, tuple[str, str | None]],
) -> list[dict[str, Any]]:
    by_hand = {edit["key"]: edit for edit in edits if edit["op"] == StatementKind.EDIT}
    rows = {row["metric"]: row for row in metrics.iter_rows(named=True)}
    entries = []
    for key, value in _leaves(summary):
        if key in PSEUDO:
            continue
        metric, stat = (key, "") if key in rows else (key.rpartition(".")[0], key.rpartition(".")[2])
        text, goal = definitions.get(metric, ("", None))
        entry = {"key": key, "value": value, "origin": _origin(rows.get(metric), stat, text, goal)}
        edit = by_hand.get(key) or by_hand.get(metric)
        if edit is not None and metric not in rows:
            entry["origin"] = "set by hand" + (f" on host {edit['host'][:8]}" if edit["host"] else "")
            entry["time"] = edit["time"]
        entries.append(entry)
    return entries


def _origin(row: Mapping[str, Any] | None, stat: str, definition: str, goal: str | None) -> str:
    if row is None:
        return "set by hand"
    step = row.get(_STEP_OF.get(goal if stat == "best" and goal else stat, ""))
    if stat in ("", "last"):
        place = f"last value, at step {row['last_step']}"
    elif stat == "best_step":
        place = "step of the best value"
    else:
        count = "" if row["count"] is None else f" of {row['count']:.0f} values"
        place = f"{stat}{count}" + ("" if step is None else f", at step {step:.0f}")
    return f"{place}; {definition}" if definition else place


def _edits(lake: Lake, run_id: str) -> list[dict[str, Any]]:
    """Return what was changed after the run by sessions that only edit, the newest first: when, on which host, what."""
    snapshot = lake._view.runs.snapshot  # noqa: SLF001 - the page is another face of the lake
    sessions = snapshot.facts("edits_only").filter(pl.col("run_id") == run_id)["session"]
    statements = snapshot.statements_of(*_EDITS).filter(pl.col("run_id") == run_id)
    hosts = {
        row["session"]: row["text"] for row in snapshot.facts("node").iter_rows(named=True) if row["run_id"] == run_id
    }
    late = set(sessions.to_list())
    rows = statements.sort("ts", descending=True).iter_rows(named=True)
    return [
        {"key": row["key"], "op": str(row["op"]), "value": _shown(row), "time": row["ts"].timestamp() * 1000,
         "host": hosts.get(row["session"]) or "", "late": row["session"] in late}
        for row in rows
        if row["session"] in late or row["op"] in (StatementKind.EDIT, StatementKind.ERASE)
    ]  # fmt: skip


def _shown(row: Mapping[str, Any]) -> Any:
    values = (row["text"], row["ival"], row["value"])
    return _json(next((value for value in values if value is not None), None))


def _system(lake: Lake, run_id: str) -> list[str]:
    return sorted(lake.history(runs=run_id, stream="system")["metric"].unique())


def _diff(lake: Lake, run: RecordedRun, other: str) -> list[dict[str, Any]]:
    """Return the config and summary values in which two runs differ."""
    that = lake.run(other)
    rows: list[dict[str, Any]] = []
    for kind in ("config", "summary"):
        these, those = (dict(_leaves(_mapping(one, kind))) for one in (run, that))
        keys = sorted(key for key in {*these, *those} if key not in PSEUDO and these.get(key) != those.get(key))
        rows += [{"kind": kind, "key": key, "this": these.get(key), "that": those.get(key)} for key in keys]
    return rows


def _mapping(run: RecordedRun, kind: str) -> Mapping[str, Any]:
    return run.config if kind == "config" else run.summary._json_dict  # noqa: SLF001 - W&B's own name


def quality(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return what is wrong with the run's most telling metrics: see `lake.quality`.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> quality(Source(example(), name="lake"), Parameters([("id", "fast")]))["metrics"]
    ['acc', 'loss']
    """
    run_id = parameters.needed("id")
    with source.reading() as lake:
        summaries = lake._view.runs.summaries  # noqa: SLF001 - the page is another face of the lake
        metrics = sorted(lake.run(run_id).metrics, key=lambda name: (summaries.goal(name) is None, name))[:JUDGED]
        frames = []
        for name in metrics:
            try:
                frames.append(lake.quality(name, runs=run_id).drop("run_id"))
            except QueryError:  # of values that are no numbers there is no quality
                frames.append(pl.DataFrame({"n_nan": [None]}))
    rows = [frame.row(0, named=True) if frame.height else {} for frame in frames]
    return {"metrics": metrics, "flags": [_json(row) for row in rows]}


def _leaves(nested: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a nested mapping with their dotted names; what is no mapping is a value."""
    for key, value in nested.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value and "_type" not in value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, _json(value)


def _json(value: Any) -> Any:
    """Return a value as JSON can hold it exactly: numbers beyond it are strings."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return replies.columns(pl.DataFrame({"x": [value]}))[0]["values"][0]
    if isinstance(value, int):
        return value if abs(value) <= replies.SAFE_INTEGER else str(value)
    return str(value)
