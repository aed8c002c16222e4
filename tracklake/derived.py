"""Derived metrics at read time: a snapshot in which derivations are metrics like any others.

Points of a derived metric are computed from the points of its inputs that count, at the steps where all have a number;
an alias has the points of all its names. Where a run has logged the name itself, what it logged holds. Nothing of it is
stored, so a derivation holds for runs of any age and costs the reading of its inputs when it is asked for.
"""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake import states
from tracklake.derivations import EVERYWHERE, Derivation, Derivations, is_column
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.points import PSEUDO
from tracklake.run_table import RunTable
from tracklake.schema import POINTS
from tracklake.snapshot import Snapshot
from tracklake.summaries import Summaries
from tracklake.values import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_ROW = ["run_id", "step"]


def over(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with what its lake derives; the same one if it derives nothing.

    >>> lake = example()
    >>> lake.derive("gap", "acc - loss")
    >>> over(lake._view.taken).metrics[-3:]
    ['acc', 'gap', 'loss']
    """
    found = Derivations.of(snapshot)
    usable = found.usable()
    for name in found:
        if found[name] != usable.get(name):
            _warn(name, "what the lake says of it cannot be read, or needs itself")
    return DerivedSnapshot(snapshot, usable) if usable else snapshot


def _warn(name: str, reason: str) -> None:
    """Warn that a derivation gives nothing: one that fails must not take the rest of the lake with it."""
    back = f"lake.derive({name!r}, None) takes it back"
    warnings.warn(f"tracklake: {name!r} is derived, but has no values: {reason}; {back}", stacklevel=3)


class DerivedSnapshot(Snapshot):
    """A snapshot in which derivations are metrics; what is asked of all metrics at once is asked of the logged ones."""

    def __init__(self, base: Snapshot, derivations: Derivations) -> None:
        # A snapshot is immutable, so the two share everything but what depends on the metrics there are.
        self.__dict__.update({name: value for name, value in vars(base).items() if name != "metrics"})
        self.derivations = derivations
        self._unclean = {}
        self._all_numbers = {}
        self._computed: dict[tuple[str, frozenset[str] | None], pl.DataFrame] = {}
        of_steps = {name for name, scopes in derivations.items() if any(d.is_of_steps for d in scopes.values())}
        self.virtual = frozenset(of_steps)
        self.made = {f"summary.{name}": self._made(name) for name in derivations if name not in of_steps}

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs have logged or derive, sorted.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.metrics_of(["fast"])[-3:]
        ['acc', 'gap', 'loss']
        """
        logged = super().metrics_of(runs)
        there = {*logged, *PSEUDO}
        return sorted({*logged, *(name for name in self.virtual if self._needs(name) <= there)})

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return points as stored, and those of derived metrics as computed (schema POINTS), unsorted.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.points(["gap"], runs=["fast"]).collect()["value"].round(2).to_list()
        [-0.3, 0.65, 0.05]
        """
        if metrics is None or self.virtual.isdisjoint(metrics):
            return super().points(metrics, runs=runs)
        found = [super().points(metrics, runs=runs)]  # what was logged under these names is among them
        for name in self.virtual.intersection(metrics):
            if self._is_alias(name):
                for alias, ids in self._scopes(name, runs):
                    found.append(super().points(alias.others, runs=ids).with_columns(pl.lit(name).alias("metric")))
            else:
                found.append(self._derived(name, runs).lazy())
        return pl.concat(found)

    def resolved(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.DataFrame:
        """Return the points that count, sorted by run, metric and step; see `Snapshot.resolved`.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.resolved(["gap"], runs=["slow"])["value"].round(2).to_list()
        [-1.6, -0.5, 0.1]
        """
        derived = self.virtual.intersection(metrics or ())
        rest = [name for name in metrics or () if name not in derived]
        if not derived or not set(rest).intersection(PSEUDO):
            return super().resolved(metrics, runs=runs)
        found = [super().resolved(derived, runs=runs), super().resolved(rest, runs=runs)]
        return pl.concat(found).sort("run_id", "metric", "step")

    def comes_in_order(self, runs: Collection[str] | None) -> bool:  # noqa: ARG002 - computed points stand after others
        """Tell that points come in no order.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> _ = lake.refresh()
        >>> lake._view.snapshot.comes_in_order(None)
        False
        """
        return False

    def _pieces(
        self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None
    ) -> pl.DataFrame:
        found = [super()._pieces(metrics, columns, runs)]
        for name in self.virtual.intersection(metrics or ()):
            if self._is_alias(name):
                for alias, ids in self._scopes(name, runs):
                    pieces = super()._pieces(alias.others, columns, ids)
                    found.append(pieces.with_columns(pl.lit(name).alias("metric")) if "metric" in columns else pieces)
            else:
                found.append(states.of(self._derived(name, runs)).select(columns))
        return pl.concat(found)

    def _derived(self, name: str, runs: Collection[str] | None) -> pl.DataFrame:
        """Return the points of an expression (schema POINTS), but for runs that have logged its name."""
        key = (name, None if runs is None else frozenset(runs))
        if key not in self._computed:
            parts = [self._compute(derivation, ids) for derivation, ids in self._scopes(name, runs)]
            self._computed[key] = pl.concat([pl.DataFrame(schema=POINTS), *parts]).sort("run_id", "step")
        return self._computed[key]

    def _compute(self, derivation: Derivation, runs: Collection[str] | None) -> pl.DataFrame:
        logged = super()._pieces([derivation.name], ["run_id"], runs)
        rows = self._rows(derivation, runs).join(logged, on="run_id", how="anti")
        found = rows.with_columns(derivation.expr.cast(pl.Float64).alias("value")).filter(pl.col("value").is_not_null())
        facts = {
            "project": "",
            "metric": derivation.name,
            "session": 0,
            "kind": int(Kind.FLOAT),
            "ival": None,
            "text": None,
        }
        return found.with_columns(pl.lit(v, POINTS[c]).alias(c) for c, v in facts.items()).select(list(POINTS))

    def _rows(self, derivation: Derivation, runs: Collection[str] | None) -> pl.DataFrame:
        """Return run_id, step, ts, and a column an input, where every metric among the inputs has a number."""
        found = self.resolved(derivation.metrics, runs=runs).filter(pl.col("value").is_not_null())
        rows = found.group_by(_ROW).agg(pl.col("ts").max(), pl.len().alias("n"))
        rows = rows.filter(pl.col("n") == len(derivation.metrics)).drop("n")
        parts = found.partition_by("metric", as_dict=True)
        for metric in derivation.metrics:
            mine = parts.get((metric,), found.clear()).select(*_ROW, pl.col("value").alias(metric))
            rows = rows.join(mine, on=_ROW, maintain_order="left")
        columns = [name for name in derivation.inputs if is_column(name)]
        if columns:
            known = self._table.select(runs=rows["run_id"].unique().to_list(), wanted=["run_id", *columns])
            rows = rows.join(known.select("run_id", *columns), on="run_id", maintain_order="left")
        return rows

    @cached_property
    def _table(self) -> RunTable:
        return RunTable(Summaries(self))

    def _scopes(self, name: str, runs: Collection[str] | None) -> Iterator[tuple[Derivation, Collection[str] | None]]:
        """Yield each derivation of a name with the runs for which it holds (None: all)."""
        scopes = self.derivations[name]
        if set(scopes) == {EVERYWHERE}:
            yield scopes[EVERYWHERE], runs
            return
        known = self._table.summaries.runs
        if runs is not None:
            known = known.filter(pl.col("run_id").is_in(list(runs)))
        for scope, derivation in scopes.items():
            mine = pl.col("project") == scope if scope else ~pl.col("project").is_in(list(scopes))
            yield derivation, known.filter(mine)["run_id"].to_list()

    def _made(self, name: str) -> pl.Expr:
        """Return a value of a run as one expression over the columns of the runs."""
        scopes = self.derivations[name]
        found = scopes[EVERYWHERE].expr if EVERYWHERE in scopes else pl.lit(None)
        for scope, derivation in scopes.items():
            if scope:
                found = pl.when(pl.col("project") == scope).then(derivation.expr).otherwise(found)
        return found

    def _needs(self, name: str) -> set[str]:
        """Return the logged metrics without which a derived one has no point; of an alias, none in particular."""
        if self._is_alias(name):
            return set()
        inputs = {metric for d in self.derivations[name].values() for metric in d.metrics}
        return {n for metric in inputs for n in (self._needs(metric) if metric in self.virtual else {metric})}

    def _is_alias(self, name: str) -> bool:
        return any(d.kind == "alias" for d in self.derivations[name].values())


def check(derivation: Derivation, *, project: str | None, table: RunTable) -> None:
    """Raise DefinitionError or UnknownNameError, which names the nearest, for a derivation that cannot be.

    Its inputs must be there, it must not need itself, and its name must not be that of a metric which runs log.

    >>> check(Derivation("gap", "acc - los"), project=None, table=example()._view.runs)
    Traceback (most recent call last):
    tracklake.errors.UnknownNameError: unknown metric 'los'...
    """
    name, snapshot = derivation.name, table.snapshot
    before = Derivations.of(snapshot)
    if not name or name.startswith("_") or is_column(name):
        raise DefinitionError(
            f"{name!r} cannot be the name of a derived metric; it is a name like that of a metric: 'gap'"
        )
    if derivation.expression is None and not derivation.others:
        if name not in before:
            raise UnknownNameError.nearest("derived metric", name, before)
        return
    usable = before.usable()
    for other in usable.get(name, {}).values():
        if (other.kind, other.is_of_steps) != (derivation.kind, derivation.is_of_steps):
            raise DefinitionError(
                f"{name!r} is {other.kind} as {other.expression or other.others!r}: take that back first"
            )
    logged = Snapshot.metrics_of(snapshot, None)
    if derivation.kind == "alias":
        _check_others(derivation, before, {*logged}.difference(PSEUDO))
        return
    if name in logged:
        raise DefinitionError(f"{name!r} is a metric that runs log; give what is derived another name")
    _check_inputs(derivation, table)
    usable.with_one(project or EVERYWHERE, derivation)


def _check_others(derivation: Derivation, before: Derivations, logged: Collection[str]) -> None:
    for other in derivation.others:
        if not isinstance(other, str):
            raise DefinitionError(f"an alias takes names one by one, alias('loss', 'train/loss'), not {other!r}")
        if other == derivation.name:
            raise DefinitionError(f"{other!r} would need itself")
        if other in before:
            raise DefinitionError(f"{other!r} is derived itself; an alias names metrics that runs log")
        if other not in logged:
            raise UnknownNameError.nearest("metric", other, logged)


def _check_inputs(derivation: Derivation, table: RunTable) -> None:
    known = {*table.snapshot.metrics, *PSEUDO}
    for needed in derivation.inputs:
        if needed == derivation.name:
            raise DefinitionError(f"{needed!r} would need itself")
        if is_column(needed):
            table.names.parse(needed)
        elif needed not in known:
            raise UnknownNameError.nearest("metric", needed, known)
    if derivation.is_of_steps:
        _check_type(derivation, table)


def _check_type(derivation: Derivation, table: RunTable) -> None:
    """Raise DefinitionError if the expression gives no number for numbers."""
    columns = [name for name in derivation.inputs if is_column(name)]
    sample = table.select(wanted=["run_id", *columns], limit=0)
    numbers = dict.fromkeys(derivation.metrics, pl.Float64)
    try:
        found = pl.DataFrame(schema={**sample.schema, **numbers}).select(derivation.expr).dtypes[0]
    except pl.exceptions.PolarsError as error:
        raise DefinitionError(f"{derivation.expression!r} cannot be computed: {error}") from error
    if not (found.is_numeric() or found == pl.Boolean):
        raise DefinitionError(f"{derivation.expression!r} gives {found}; a metric has numbers")
