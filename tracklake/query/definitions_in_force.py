"""Definitions in force: those of each run and of the lake, merged in the order of their stamps."""

from __future__ import annotations

import heapq
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.schema.definition_statement import readable
from tracklake.schema.definitions import Definitions
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN

if TYPE_CHECKING:
    from tracklake.storage.table.snapshot_view import SnapshotView

_STAMPED = (pl.col("ts").to_physical(), "session", "text")
_Stamped = tuple[int, int, str]
"""When a definition was made (microseconds), by which session, and its text."""
_Scope = tuple[str, str]
"""A lake ("" where only one is read) and a project ("" for all)."""


class Defined(NamedTuple):
    """The definitions in force: runs that share them share one object. groups: run_id, group (index into sets)."""

    groups: pl.DataFrame
    sets: list[Definitions]

    def of_run(self, run_id: str) -> Definitions:
        """Return the definitions of one run.

        >>> lake = example()
        >>> lake.define_metric("loss", summary="min")
        >>> lake._view.runs.summaries.defined.of_run("fast")["loss"].kinds
        ('min',)
        """
        group = self.groups.filter(pl.col("run_id") == run_id)
        return self.sets[group["group"][0]] if group.height else Definitions([])


def of_runs(snapshot: SnapshotView, runs: pl.DataFrame) -> Defined:
    """Return the definitions of runs (run_id, project): their own and the lake's.

    >>> lake = example()
    >>> lake.define_metric("loss", summary="min")
    >>> view = lake._view.runs
    >>> of_runs(view.snapshot, view.summaries.runs).groups.rows()  # both runs have the same
    [('slow', 0), ('fast', 0)]
    """
    statements = snapshot.statements_of(StatementKind.DEFINE)
    by_scope = _lake_definitions(snapshot)
    own = _definitions_by_run(statements.filter(pl.col("run_id") != LAKE_RUN))
    scope = ["lake", "project"] if "lake" in runs.columns else ["project"]
    defines = runs["run_id"].is_in(list(own))
    groups: dict[tuple[str, ...], int] = {}
    scopes = runs.filter(~defines).select(scope).unique(maintain_order=True)
    frames = [(scopes, scope), (runs.filter(defines).select("run_id", *scope), ["run_id"])]
    placed = []
    for frame, by in frames:  # runs that define nothing themselves differ by their scope alone
        numbers = []
        for row in frame.iter_rows(named=True):
            of_lake = _in_scope(by_scope, row.get("lake", ""), row["project"])
            texts = _in_order(of_lake, own.get(row.get("run_id", ""), []))
            numbers.append(groups.setdefault(texts, len(groups)))
        placed.append((frame.select(by).with_columns(pl.Series("group", numbers, dtype=pl.UInt32)), by))
    of_scope, of_run = (runs.join(frame, on=by, how="left", maintain_order="left")["group"] for frame, by in placed)
    sets = [Definitions(readable(texts)) for texts in groups]
    return Defined(runs.select("run_id", pl.select(pl.coalesce(of_run, of_scope)).to_series().alias("group")), sets)


def of_lake(snapshot: SnapshotView, project: str) -> Definitions:
    """Return what the lake itself defines for a project; "" is what it defines for all.

    >>> lake = example()
    >>> lake.define_metric("loss", goal="min")
    >>> of_lake(lake._view.runs.snapshot, "example")["loss"].goal
    'min'
    """
    texts = _in_order(_in_scope(_lake_definitions(snapshot), "", project), [])
    return Definitions(readable(texts))


def _lake_definitions(snapshot: SnapshotView) -> dict[_Scope, list[_Stamped]]:
    """Return the lakes' own definitions by scope; those for one project include those for all."""
    statements = snapshot.statements_of_lakes(StatementKind.DEFINE).select("lake", "scope", *_STAMPED)
    rows = [((lake, project), stamped) for lake, project, *stamped in statements.iter_rows()]
    return {
        (lake, project): [tuple(row) for (of, where), row in rows if of == lake and where in ("", project)]
        for lake, project in {*dict(rows), *((lake, "") for (lake, _), _ in rows)}
    }


def _in_scope(by_scope: dict[_Scope, list[_Stamped]], lake: str, project: str) -> list[_Stamped]:
    return by_scope.get((lake, project), by_scope.get((lake, ""), []))


def _definitions_by_run(statements: pl.DataFrame) -> dict[str, list[_Stamped]]:
    """Return the definitions that each run made itself, in their order."""
    by_run: dict[str, list[_Stamped]] = {}
    for run_id, ts, session, text in statements.select("run_id", *_STAMPED).iter_rows():
        by_run.setdefault(run_id, []).append((ts, session, text))
    return by_run


def _in_order(of_lake: list[_Stamped], own: list[_Stamped]) -> tuple[str, ...]:
    """Return the texts of both lists of definitions in the order of their stamps."""
    ordered = heapq.merge(of_lake, own, key=itemgetter(0, 1)) if of_lake else own
    return tuple(text for _, _, text in ordered)
