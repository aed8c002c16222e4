"""Derived metrics at read time: a snapshot in which derivations are metrics like any others.

Points of a derived metric are computed from the points of its inputs that count, at the steps where all have a number;
an alias has the points of all its names; a derived value of the runs is an entry of their summaries. Where a run has
logged the name itself, or set the entry by hand, what it said holds. Nothing of it is stored, so a derivation holds for
runs of any age and costs the reading of its inputs when it is asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake.common.warnings import warn
from tracklake.compute import states, typed_columns
from tracklake.compute.points import PSEUDO
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.query.derivations import EVERYWHERE, Derivation, Derivations, is_column
from tracklake.query.run_table import RunTable
from tracklake.query.summaries import Summaries
from tracklake.schema import naming, statistics
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind
from tracklake.storage.table.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_ROW = ["run_id", "step"]


def over(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with what its lake derives; the same one if it derives nothing.

    >>> lake = example()
    >>> lake.derive("gap", "acc - loss")
    >>> over(lake._view.logged).metrics[-3:]
    ['acc', 'gap', 'loss']
    """
    derivations = Derivations.of(snapshot)
    usable = derivations.usable()
    for name, scopes in derivations.items():
        for scope in scopes.keys() - usable.get(name, {}).keys():
            _warn(name, scope, "its expression cannot be read, or needs itself")
    return DerivedSnapshot(snapshot, usable) if usable else snapshot


def _warn(name: str, scope: str, reason: str) -> None:
    """Warn that a derivation gives nothing: one that fails must not take the rest of the lake with it."""
    back = f"lake.derive({name!r}, None{f', project={scope!r}' if scope else ''}) takes it back"
    warn(f"tracklake: {name!r} is derived, but has no values: {reason}; {back}")


class DerivedSnapshot(Snapshot):
    """A snapshot in which derivations are metrics; what is asked of all metrics at once is asked of the logged ones."""

    def __init__(self, base: Snapshot, derivations: Derivations) -> None:
        # A snapshot is immutable, so the two share everything but what depends on the metrics there are.
        self.__dict__.update({name: value for name, value in vars(base).items() if name != "metrics"})
        self.base = base
        self.derivations = derivations
        self._unresolved = {}
        self._all_numbers = {}
        self._computed: dict[tuple[str, frozenset[str] | None], pl.DataFrame] = {}
        of_steps = {name for name, scopes in derivations.items() if any(d.is_of_steps for d in scopes.values())}
        self.virtual = frozenset(of_steps)
        self.aliases = frozenset(
            n for n, scopes in derivations.items() if any(d.kind == "alias" for d in scopes.values())
        )
        self.made = frozenset(derivations).difference(of_steps)
        self._values: dict[str, pl.DataFrame] = {}

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs have logged or derive, sorted.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.metrics_of(["fast"])[-3:]
        ['acc', 'gap', 'loss']
        """
        logged = super().metrics_of(runs)
        available = {*logged, *PSEUDO}
        return sorted({*logged, *(name for name in self.virtual if self._needs(name) <= available)})

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return points as stored, and those of derived metrics as computed (schema POINTS), unsorted.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.points(["gap"], runs=["fast"]).collect()["value"].round(2).to_list()
        [-0.3, 0.65, 0.05]
        """
        if metrics is None or self.virtual.isdisjoint(metrics):
            return super().points(metrics, runs=runs)
        frames = [super().points(metrics, runs=runs)]  # what was logged under these names is among them
        for name in self.virtual.intersection(metrics):
            if name in self.aliases:
                for alias, ids in self._scopes(name, runs):
                    frames.append(super().points(alias.others, runs=ids).with_columns(pl.lit(name).alias("metric")))
            else:
                frames.append(self._derived(name, runs).lazy())
        return pl.concat(frames)

    def resolved(self, metrics: Collection[str], *, runs: Collection[str] | None = None) -> pl.DataFrame:
        """Return the points that count, sorted by run, metric and step; see `Snapshot.resolved`.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.resolved(["gap"], runs=["slow"])["value"].round(2).to_list()
        [-1.6, -0.5, 0.1]
        """
        derived = self.virtual.intersection(metrics)
        logged = [name for name in metrics if name not in derived]
        if not derived or not set(logged).intersection(PSEUDO):
            return super().resolved(metrics, runs=runs)
        frames = [super().resolved(derived, runs=runs), super().resolved(logged, runs=runs)]
        return pl.concat(frames).sort("run_id", "metric", "step")

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
        frames = [super()._pieces(metrics, columns, runs)]
        for name in self.virtual.intersection(metrics or ()):
            if name in self.aliases:
                for alias, ids in self._scopes(name, runs):
                    pieces = super()._pieces(alias.others, columns, ids)
                    frames.append(pieces.with_columns(pl.lit(name).alias("metric")) if "metric" in columns else pieces)
            else:
                frames.append(states.of(self._derived(name, runs)).select(columns))
        return pl.concat(frames)

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
        points = rows.with_columns(self._evaluated(derivation, rows).cast(pl.Float64).alias("value"))
        facts = {
            "project": "",
            "metric": derivation.name,
            "session": 0,
            "kind": int(Kind.FLOAT),
            "ival": None,
            "text": None,
        }
        points = points.with_columns(pl.lit(v, POINTS[c]).alias(c) for c, v in facts.items()).select(list(POINTS))
        return points.filter(pl.col("value").is_not_null())

    def _rows(self, derivation: Derivation, runs: Collection[str] | None) -> pl.DataFrame:
        """Return run_id, step, ts, and a column "=metric" of each, where every metric among the inputs has a number."""
        points = self.resolved(derivation.metrics, runs=runs).filter(pl.col("value").is_not_null())
        rows = points.group_by(_ROW).agg(pl.col("ts").max(), pl.len().alias("n"))
        rows = rows.filter(pl.col("n") == len(derivation.metrics)).drop("n")
        parts = points.partition_by("metric", as_dict=True)
        for metric in derivation.metrics:
            column = parts.get((metric,), points.clear()).select(*_ROW, pl.col("value").alias(f"={metric}"))
            rows = rows.join(column, on=_ROW, maintain_order="left")
        return rows

    def computed(self, key: str) -> pl.DataFrame:
        """Return a derived value of the runs, of those that have one: run_id and the stored value.

        >>> lake = example()
        >>> lake.derive("worth", '"summary.acc.max" / "config.lr"')
        >>> lake._view.snapshot.computed("worth").select("run_id", pl.col("value").round(6)).rows()
        [('slow', 60.0), ('fast', 9.0)]
        """
        if key not in self._values:
            parts = []
            for derivation, ids in self._scopes(key, None):
                run_ids = self._table.summaries.runs.select("run_id")
                rows = run_ids if ids is None else run_ids.filter(pl.col("run_id").is_in(list(ids)))
                parts.append(rows.hstack(typed_columns.stored(self._evaluated(derivation, rows))))
            self._values[key] = pl.concat(parts).filter(pl.col("kind") != Kind.NULL)
        return self._values[key]

    def _evaluated(self, derivation: Derivation, rows: pl.DataFrame) -> pl.Series:
        """Return the values of an expression beside rows (run_id, and those of its metrics); null if it has none.

        The columns that it names are those of the table of all runs, whichever are asked for: their types, and so the
        values, depend on it. A column that has become text since makes this derivation void, and nothing else.
        """
        try:
            columns, inputs = _inputs(derivation, self._table), rows.select("run_id")
            if columns.width > inputs.width:
                inputs = inputs.join(columns, on="run_id", how="left", maintain_order="left")
            return _applied(derivation, inputs.with_columns(rows[f"={m}"].alias(m) for m in derivation.metrics))
        except (DefinitionError, UnknownNameError) as error:
            (scope,) = (scope for scope, d in self.derivations[derivation.name].items() if d is derivation)
            _warn(derivation.name, scope, str(error))
            return pl.Series([None], dtype=pl.Float64).new_from_index(0, rows.height)

    @cached_property
    def _table(self) -> RunTable:
        return RunTable(Summaries(self))

    def _scopes(self, name: str, runs: Collection[str] | None) -> Iterator[tuple[Derivation, Collection[str] | None]]:
        """Yield each derivation of a name with the runs for which it holds (None: all)."""
        scopes = self.derivations[name]
        if set(scopes) == {EVERYWHERE}:
            yield scopes[EVERYWHERE], runs
            return
        all_runs = self._table.summaries.runs
        if runs is not None:
            all_runs = all_runs.filter(pl.col("run_id").is_in(list(runs)))
        for scope, derivation in scopes.items():
            in_scope = pl.col("project") == scope if scope else ~pl.col("project").is_in(list(scopes))
            yield derivation, all_runs.filter(in_scope)["run_id"].to_list()

    def _needs(self, name: str) -> set[str]:
        """Return the logged metrics without which a derived one has no point; of an alias, none in particular."""
        if name in self.aliases:
            return set()
        inputs = {metric for d in self.derivations[name].values() for metric in d.metrics}
        return {n for metric in inputs for n in (self._needs(metric) if metric in self.virtual else {metric})}


def check(derivation: Derivation, *, project: str | None, table: RunTable) -> None:
    """Raise DefinitionError or UnknownNameError, which names the nearest, for a derivation that cannot be.

    Its inputs must be there, it must not need itself, and its name must not be that of a metric which runs log.

    >>> check(Derivation("gap", "acc - los"), project=None, table=example()._view.runs)
    Traceback (most recent call last):
    tracklake.errors.UnknownNameError: unknown metric 'los'...
    """
    name, snapshot = derivation.name, table.snapshot
    before = Derivations.of(snapshot)
    if derivation.expression is None and not derivation.others:
        _check_taking_back(name, project, before)
        return
    if not name or name.startswith("_") or is_column(name):
        raise DefinitionError(f"{name!r} cannot be the name of a derived metric; give one like that of a metric: 'gap'")
    usable = before.usable()
    for other in usable.get(name, {}).values():
        if (other.kind, other.is_of_steps) != (derivation.kind, derivation.is_of_steps):
            raise DefinitionError(
                f"{name!r} is {other.kind} as {other.expression or other.others!r}: take that back first"
            )
    logged = Snapshot.metrics_of(snapshot, None)
    if derivation.kind == "alias":
        _check_others(derivation, before, {*logged}.difference(PSEUDO))
        if name not in logged:
            _check_place(derivation, table)
        return
    if name in logged:
        raise DefinitionError(f"{name!r} is a metric that runs log; give what is derived another name")
    _check_place(derivation, table)
    _check_inputs(derivation, table)
    usable.with_one(project or EVERYWHERE, derivation)


def _check_taking_back(name: str, project: str | None, before: Derivations) -> None:
    if name not in before:
        raise UnknownNameError.nearest("derived metric", name, before)
    scopes = before[name]
    if (project or EVERYWHERE) not in scopes:
        stated = " and ".join(f"project={scope!r}" if scope else "all projects" for scope in sorted(scopes))
        raise DefinitionError(f"{name!r} is said for {stated}, not for {project or 'all projects'}: take that back")


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
    metrics = {*table.snapshot.metrics, *PSEUDO}
    for needed in derivation.inputs:
        if needed == derivation.name:
            raise DefinitionError(f"{needed!r} would need itself")
        if is_column(needed):
            table.names.parse(needed)
        elif needed not in metrics:
            raise UnknownNameError.nearest("metric", needed, metrics)
    columns = _inputs(derivation, table)
    if derivation.is_of_steps:
        columns = pl.DataFrame(schema={**columns.schema, **dict.fromkeys(derivation.metrics, pl.Float64)})
    _applied(derivation, columns)


def _check_place(derivation: Derivation, table: RunTable) -> None:
    """Raise DefinitionError for a name that means a statistic, or whose entry would hide another or be hidden."""
    name = derivation.name
    statistic = statistics.split_statistic(name)
    if statistic is not None and statistic.metric in table.snapshot.metrics:
        raise DefinitionError(f"{name!r} is a statistic of {statistic.metric!r}; give what is derived another name")
    others = _standing(table)
    if derivation.is_of_steps:  # above what runs log it hides nothing
        others = [other for other in others if other in table.snapshot.made or other in naming.parents(name)]
    for other in others:
        if name in naming.parents(other) or other in naming.parents(name):
            clash = f"{name!r} and {other!r} cannot both be entries of a summary, one under the other"
            raise DefinitionError(f"{clash}; give what is derived another name")


def _standing(table: RunTable) -> list[str]:
    """Return the keys of summaries but those that were set by hand and deleted since."""
    computed = {*table.snapshot.metrics, *table.snapshot.made}
    by_hand = table.summaries.entries([key for key in table.summaries.entry_keys if key not in computed])
    return sorted({*computed, *by_hand["key"]})


def _inputs(derivation: Derivation, table: RunTable) -> pl.DataFrame:
    """Return run_id and the columns that an expression names, of all runs; UnknownNameError if one is gone."""
    names = list(dict.fromkeys(["run_id", *(name for name in derivation.inputs if is_column(name))]))
    return table.select(wanted=names).select(names)


def _applied(derivation: Derivation, given: pl.DataFrame) -> pl.Series:
    """Return the values of an expression, a row of its inputs each; DefinitionError if they give none of its type."""
    try:
        values = given.select(derivation.expr.alias(derivation.name)).to_series()
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DefinitionError(f"{derivation.expression!r} cannot be computed: {reason}") from error
    takes = "a metric has numbers" if derivation.is_of_steps else "a value of a run is a number, truth, text or date"
    is_other = (values.dtype == pl.String or values.dtype.is_temporal()) and not derivation.is_of_steps
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean or is_other):
        raise DefinitionError(f"{derivation.expression!r} gives {values.dtype}; {takes}")
    if values.dtype == pl.Duration:  # in seconds like runtime; a date is stored like one that is logged, as text
        return values.dt.total_microseconds() / 1e6
    casts = {pl.Decimal: pl.Float64, pl.Time: pl.String}
    return values.cast(casts.get(values.dtype.base_type(), values.dtype))
