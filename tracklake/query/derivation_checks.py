"""Whether a derivation can be: its inputs are there, it needs not itself, and its name means nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from tracklake.compute.points import PSEUDO
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.query.derivations import Derivation, Derivations, Scope, is_column, resolved
from tracklake.query.derived_snapshot import applied, inputs_of
from tracklake.schema import naming, statistics

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklake.query.run_table import RunTable


def checked(derivation: Derivation, *, project: str | None, table: RunTable) -> Derivation:
    """Return a derivation with the full names of its inputs; DefinitionError or UnknownNameError if it cannot be.

    Its inputs must be there, it must not need itself, and its name must not be that of a metric which runs log.

    >>> checked(Derivation("gap", "acc - los"), project=None, table=example()._view.runs)
    Traceback (most recent call last):
    tracklake.errors.UnknownNameError: unknown metric 'los'...
    """
    name, snapshot = derivation.name, table.snapshot
    before = Derivations.of(snapshot)
    if derivation.expression is None and not derivation.others:
        _check_taking_back(name, project, before)
        return derivation
    if not name or name.startswith("_") or is_column(name):
        raise DefinitionError(f"{name!r} cannot be the name of a derived metric; give one like that of a metric: 'gap'")
    if derivation.expression is not None:
        metrics = {*snapshot.metrics, *PSEUDO, name}
        derivation = replace(derivation, expression=resolved(derivation.expression, metrics=metrics, names=table.names))
    usable = before.usable()
    for other in usable.get(name, {}).values():
        if not other.is_like(derivation):
            raise DefinitionError(
                f"{name!r} is {other.kind} as {other.expression or other.others!r}: take that back first"
            )
    logged = snapshot.logged.metrics
    if derivation.kind == "alias":
        _check_others(derivation, before, {*logged}.difference(PSEUDO))
        if name not in logged:
            _check_place(derivation, table)
        return derivation
    if name in logged:
        raise DefinitionError(f"{name!r} is a metric that runs log; give what is derived another name")
    _check_place(derivation, table)
    _check_inputs(derivation, table)
    usable.with_one(Scope(project or ""), derivation)
    return derivation


def _check_taking_back(name: str, project: str | None, before: Derivations) -> None:
    if name not in before:
        raise UnknownNameError.nearest("derived metric", name, before)
    scopes = before[name]
    if Scope(project or "") not in scopes:
        stated = " and ".join(str(scope) for scope in sorted(scopes))
        raise DefinitionError(f"{name!r} is said for {stated}, not for {project or 'all projects'}: take that back")


def _check_others(derivation: Derivation, before: Derivations, logged: Collection[str]) -> None:
    for other in derivation.others:
        if other == derivation.name:
            raise DefinitionError(f"{other!r} would need itself")
        if other in before:
            raise DefinitionError(f"{other!r} is derived itself; an alias names metrics that runs log")
        if other not in logged:
            raise UnknownNameError.nearest("metric", other, logged)


def _check_inputs(derivation: Derivation, table: RunTable) -> None:
    metrics = {*table.snapshot.metrics, *PSEUDO}
    for needed in derivation.inputs:
        if needed == derivation.name:
            raise DefinitionError(f"{needed!r} would need itself")
        if is_column(needed):
            table.names.resolve(needed)
        elif needed not in metrics:
            raise UnknownNameError.nearest("metric", needed, metrics)
    columns = inputs_of(derivation, table)
    if derivation.is_of_steps:
        columns = pl.DataFrame(schema={**columns.schema, **dict.fromkeys(derivation.metrics, pl.Float64)})
    applied(derivation, columns, table.names)


def _check_place(derivation: Derivation, table: RunTable) -> None:
    """Raise DefinitionError for a name that means a statistic, or whose entry would hide another or be hidden."""
    name = derivation.name
    statistic = statistics.split_statistic(name)
    if statistic is not None and statistic.metric in table.snapshot.metrics:
        raise DefinitionError(f"{name!r} is a statistic of {statistic.metric!r}; give what is derived another name")
    others = _standing(table)
    if derivation.is_of_steps:  # above what runs log it hides nothing
        others = [other for other in others if other in table.snapshot.derived.entries or other in naming.parents(name)]
    for other in others:
        if name in naming.parents(other) or other in naming.parents(name):
            clash = f"{name!r} and {other!r} cannot both be entries of a summary, one under the other"
            raise DefinitionError(f"{clash}; give what is derived another name")


def _standing(table: RunTable) -> list[str]:
    """Return the keys of summaries but those that were set by hand and deleted since."""
    computed = {*table.snapshot.metrics, *table.snapshot.derived.entries}
    by_hand = table.summaries.entries([key for key in table.summaries.entry_keys if key not in computed])
    return sorted({*computed, *by_hand["key"]})
