"""Comparisons and sweeps for the page: the answers of `lake.compare` and `lake.sweep` as tables, and their pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tracklake.common.arguments import check_word
from tracklake.errors import QueryError, UnknownNameError
from tracklake.ui import group_labels, replies, run_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tracklake.analysis.comparison import Comparison
    from tracklake.analysis.sweep import Sweep
    from tracklake.display.tables import Sheet, Tabulated
    from tracklake.lake.lake import Lake
    from tracklake.plots.figure import Plot
    from tracklake.ui.parameters import Parameters
    from tracklake.ui.replies import Reply
    from tracklake.ui.sources import Source

RuleName = Literal["asha", "hyperband", "median"]
"""The rules of early stopping that `Sweep.replay` knows by name."""
BEST = 10
"""Runs that a sweep shows as its best."""
ROWS = 60
"""Rows of a table of results."""
_WORDS = ("goal", "stat", "center", "unit", "test", "failed")
"""Arguments of `lake.compare` that are words; of these `lake.sweep` takes goal, stat and failed."""


def sheet(of: Tabulated) -> dict[str, Any]:
    """Return what a result shows of itself: title, columns with their cells, rows that stand out, notes.

    >>> result = sheet(example().compare("acc", by="lr", goal="max"))
    >>> result["columns"][0], result["bold"]
    ({'name': 'lr', 'right': True, 'cells': ['0.1', '0.01']}, [0])
    """
    content: Sheet = of._sheet()  # noqa: SLF001 - as text and notebooks show it
    columns = [{"name": c.heading, "right": c.right, "cells": c.cells[:ROWS]} for c in content.columns]
    return {"title": content.title, "columns": columns, "bold": sorted(content.bold), "notes": list(content.notes)}


def compare(source: Source, parameters: Parameters) -> Reply:
    """Return a comparison of groups; parameters as those of `lake.compare`, baseline as a text of the group's keys.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> question = Parameters([("metric", "acc"), ("by", "lr"), ("goal", "max")])
    >>> compare(Source(example(), name="lake"), question).status
    200
    """
    result = comparison(source, compare_arguments(source, parameters))
    return replies.json_reply(sheet(result) | {"markdown": result.to_markdown(), "latex": result.to_latex()})


def compare_arguments(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return the arguments of `lake.compare` that an address says.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> compare_arguments(Source(example(), name="lake"), Parameters([("metric", "acc"), ("by", "lr")]))
    {'metric': 'acc', 'by': 'lr'}
    """
    by = parameters.texts("by")
    if not by:
        raise QueryError("choose what makes the groups: by=...")
    arguments: dict[str, Any] = {"metric": parameters.needed("metric"), "by": by if len(by) > 1 else by[0]}
    arguments |= {name: texts for name in ("over", "task") if (texts := parameters.texts(name))}
    arguments |= {name: word for name in _WORDS if (word := parameters.text(name))}
    if parameters.text("baseline"):
        arguments["baseline"] = _baseline(source, by, parameters.needed("baseline"))
    return arguments | _chosen(source, parameters)


def _chosen(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return the arguments that choose runs."""
    question = run_rows.read_question(source, parameters, columns=("name",))
    project = [f"project = '{question.project.replace(chr(39), 2 * chr(39))}'"] if question.project else []
    conditions = [*project, *([f"({question.where})"] if question.where else [])]
    return {"where": " AND ".join(conditions)} if conditions else {}


def _baseline(source: Source, by: list[str], text: str) -> Any:
    """Return the value of a group by its text, among those that there are."""
    with source.reading() as lake:
        frame = lake.runs(columns=[_full(lake, name) for name in by])
    rows = frame.drop("run_id", strict=False).unique().rows()
    result = next((row for row in rows if group_labels.label(row) == text), None)
    if result is None:
        raise UnknownNameError.nearest("group", text, map(group_labels.label, rows))
    return dict(zip(by, result, strict=True)) if len(by) > 1 else result[0]


def _full(lake: Lake, name: str) -> str:
    names = lake._view.runs.names  # noqa: SLF001 - which columns there are
    return name if names.find(name) else f"config.{name}"


def comparison(source: Source, arguments: dict[str, Any]) -> Comparison:
    """Return a comparison, from the cache if nothing has changed.

    >>> from tracklake.ui.sources import Source
    >>> len(comparison(Source(example(), name="lake"), {"metric": "acc", "by": "lr", "goal": "max"}))
    2
    """

    def ask() -> Comparison:
        with source.asking() as lake:
            return lake.compare(**arguments)

    return source.cached(("compare", repr(arguments)), ask)  # type: ignore[no-any-return]


def sweep_arguments(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return the arguments of `lake.sweep` that an address says.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> sweep_arguments(Source(example(), name="lake"), Parameters([("metric", "acc"), ("goal", "max")]))
    {'metric': 'acc', 'goal': 'max'}
    """
    arguments: dict[str, Any] = {"metric": parameters.needed("metric")}
    arguments |= {name: word for name in ("goal", "stat", "failed") if (word := parameters.text(name))}
    if parameters.texts("param"):
        arguments["params"] = parameters.texts("param")
    return arguments | _chosen(source, parameters)


def sweep_of(source: Source, parameters: Parameters) -> Sweep:
    """Return the sweep that an address asks for, from the cache if nothing has changed.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> asked = Parameters([("metric", "acc"), ("goal", "max")])
    >>> sweep_of(Source(example(), name="lake"), asked).parameters["name"].to_list()
    ['config.lr']
    """
    arguments = sweep_arguments(source, parameters)

    def ask() -> Sweep:
        with source.asking() as lake:
            return lake.sweep(**arguments)

    return source.cached(("sweep", repr(arguments)), ask)  # type: ignore[no-any-return]


def sweep(source: Source, parameters: Parameters) -> Reply:
    """Return a part of what a sweep says: overview, best, importance, interactions, stability, luck or replay.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> question = Parameters([("metric", "acc"), ("goal", "max"), ("part", "best")])
    >>> b'"rows":2' in sweep(Source(example(), name="lake"), question).body
    True
    """
    name = parameters.text("part") or "overview"
    if name not in _PARTS:
        raise UnknownNameError.nearest("part of a sweep", name, _PARTS)
    result = sweep_of(source, parameters)

    def read() -> dict[str, Any]:
        with source.asking():
            return _PARTS[name](result, parameters)

    key = ("sweep part", name, parameters.text("rule"), id(result))
    return replies.json_reply(source.cached(key, read))


def _table(frame: pl.DataFrame) -> dict[str, Any]:
    return {"table": replies.columns(frame.head(ROWS)), "rows": frame.height}


def _rule(parameters: Parameters) -> RuleName:
    rule = parameters.text("rule") or "median"
    check_word("rule", rule, RuleName)
    return rule  # type: ignore[return-value] # just checked


_PARTS: dict[str, Callable[[Sweep, Parameters], dict[str, Any]]] = {
    "overview": lambda result, _: sheet(result) | {"parameters": result.parameters["name"].to_list()},
    "best": lambda result, _: _table(result.best(BEST)),
    "importance": lambda result, _: _table(result.importance()),
    "interactions": lambda result, _: _table(result.interactions()),
    "stability": lambda result, _: _table(result.rank_stability()),
    "luck": lambda result, _: {"text": str(result.luck())},
    "replay": lambda result, parameters: sheet(result.replay(_rule(parameters))),
}


def picture(source: Source, parameters: Parameters) -> Reply:
    """Return a picture of `lake.plot` as SVG: kind is leaderboard, importance, marginal or parallel.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> question = Parameters([("kind", "leaderboard"), ("metric", "acc"), ("by", "lr"), ("goal", "max")])
    >>> picture(Source(example(), name="lake"), question).body[:4]
    b'<svg'
    """
    kind = parameters.needed("kind")
    if kind not in _PICTURES:
        raise UnknownNameError.nearest("picture", kind, _PICTURES)
    draw = _PICTURES[kind]

    def make() -> str:
        subject = comparison(source, compare_arguments(source, parameters)) if kind == "leaderboard" else None
        swept = sweep_of(source, parameters) if subject is None else None
        with source.asking() as lake:
            return svg(draw(lake, subject or swept, parameters))

    return replies.picture(source.cached(("picture", repr(parameters)), make))


_PICTURES: dict[str, Callable[[Lake, Any, Parameters], Plot]] = {
    "leaderboard": lambda lake, result, _: lake.plot.leaderboard(result),
    "importance": lambda lake, result, _: lake.plot.importance(result),
    "marginal": lambda lake, result, parameters: lake.plot.marginal(result, parameters.needed("parameter")),
    "parallel": lambda lake, result, _: lake.plot.parallel(result),
}


def svg(plot: Plot) -> str:
    """Return a plot as the text of an SVG.

    >>> svg(example().plot.scatter("lr", "loss.min"))[:4]
    '<svg'
    """
    with tempfile.TemporaryDirectory() as folder:
        return plot.save(Path(folder) / "plot.svg").read_text(encoding="utf-8")
