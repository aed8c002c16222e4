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
from tracklake.errors import DefinitionError, QueryError, UnknownNameError
from tracklake.query import conditions
from tracklake.query.column_names import IS_NAN, ColumnRef
from tracklake.query.derivations import EVERYWHERE, Derivation, Derivations, Scope, is_column, read
from tracklake.query.run_table import RunTable
from tracklake.query.summaries import Summaries
from tracklake.query.wrapped_snapshot import WrappedSnapshot
from tracklake.schema.tables import POINTS
from tracklake.schema.values import Kind
from tracklake.storage.table.snapshot_view import DerivedNames

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tracklake.query.column_names import ColumnNames
    from tracklake.storage.table.snapshot_view import SnapshotView

_ROW = ["run_id", "step"]


def over(snapshot: SnapshotView) -> SnapshotView:
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
            _warn(name, scope, "its expression cannot be read, needs itself, or is of another kind than that of a lake")
    return DerivedSnapshot(snapshot, usable) if usable else snapshot


def _warn(name: str, scope: Scope, reason: str) -> None:
    """Warn that a derivation gives nothing: one that fails must not take the rest of the lake with it."""
    back = f"lake.derive({name!r}, None{f', project={scope.project!r}' if scope.project else ''}) takes it back"
    warn(f"tracklake: {name!r} is derived, but has no values: {reason}; {back}")


class DerivedSnapshot(WrappedSnapshot):
    """A snapshot in which derivations are metrics; what is asked of all metrics at once is asked of the logged ones."""

    def __init__(self, logged: SnapshotView, derivations: Derivations) -> None:
        super().__init__(logged, logged.files, logged.statements)
        self.derivations = derivations
        self._computed: dict[tuple[str, frozenset[str] | None], pl.DataFrame] = {}
        self._values: dict[str, pl.DataFrame] = {}
        every = {name: scopes.values() for name, scopes in derivations.items()}
        metrics = frozenset(name for name, several in every.items() if any(d.is_of_steps for d in several))
        aliases = frozenset(name for name, several in every.items() if any(d.kind == "alias" for d in several))
        self.derived = DerivedNames(metrics, aliases, entries=frozenset(every) - metrics)

    @property
    def logged(self) -> SnapshotView:
        """What was logged alone.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.logged.metrics[-2:]
        ['acc', 'loss']
        """
        return self._inner

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs have logged or derive, sorted.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.metrics_of(["fast"])[-3:]
        ['acc', 'gap', 'loss']
        """
        logged = self.logged.metrics_of(runs)
        available = {*logged, *PSEUDO}
        return sorted({*logged, *(name for name in self.derived.metrics if self._needs(name) <= available)})

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return points as stored, and those of derived metrics as computed (schema POINTS), unsorted.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.points(["gap"], runs=["fast"]).collect()["value"].round(2).to_list()
        [-0.3, 0.65, 0.05]
        """
        if metrics is None or self.derived.metrics.isdisjoint(metrics):
            return self.logged.points(metrics, runs=runs)
        frames = [self.logged.points(metrics, runs=runs)]  # what was logged under these names is among them
        for name in self.derived.metrics.intersection(metrics):
            if name in self.derived.aliases:
                for alias, ids in self._scopes(name, runs):
                    frames.append(self.logged.points(alias.others, runs=ids).with_columns(pl.lit(name).alias("metric")))
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
        derived = self.derived.metrics.intersection(metrics)
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

    def pieces(self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None) -> pl.DataFrame:
        """Return the states as stored, and those of derived metrics as computed; an alias has those of its names.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> lake._view.snapshot.pieces(["gap"], ["run_id", "n"], None).rows()
        [('fast', 3), ('slow', 3)]
        """
        frames = [self.logged.pieces(metrics, columns, runs)]
        for name in self.derived.metrics.intersection(metrics or ()):
            if name in self.derived.aliases:
                for alias, ids in self._scopes(name, runs):
                    pieces = self.logged.pieces(alias.others, columns, ids)
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
        logged = self.logged.pieces([derivation.name], ["run_id"], runs)
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
            columns, inputs = inputs_of(derivation, self._table), rows.select("run_id")
            if columns.width > inputs.width:
                inputs = inputs.join(columns, on="run_id", how="left", maintain_order="left")
            inputs = inputs.with_columns(rows[f"={m}"].alias(m) for m in derivation.metrics)
            return applied(derivation, inputs, self._table.names)
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
            yield derivation, runs_in(scope, all_runs, scopes)["run_id"].to_list()

    def _needs(self, name: str) -> set[str]:
        """Return the logged metrics without which a derived one has no point; of an alias, none in particular."""
        if name in self.derived.aliases:
            return set()
        inputs = {metric for d in self.derivations[name].values() for metric in d.metrics}
        return {n for metric in inputs for n in (self._needs(metric) if metric in self.derived.metrics else {metric})}


def runs_in(scope: Scope, runs: pl.DataFrame, scopes: Collection[Scope]) -> pl.DataFrame:
    """Return those of the runs (project, and lake where there are several) for which one of several scopes holds.

    >>> runs = example()._view.runs.summaries.runs
    >>> runs_in(Scope("example"), runs, [Scope(), Scope("example")]).height
    2
    """
    runs = runs.filter(pl.col("lake") == scope.lake) if scope.lake else runs
    others = [other.project for other in scopes if other.lake == scope.lake]
    return runs.filter(pl.col("project") == scope.project if scope.project else ~pl.col("project").is_in(others))


def inputs_of(derivation: Derivation, table: RunTable) -> pl.DataFrame:
    """Return run_id and the columns that an expression names, of all runs; UnknownNameError if one is gone."""
    names = list(dict.fromkeys(["run_id", *(name for name in derivation.inputs if is_column(name))]))
    return table.select(wanted=names)


def applied(derivation: Derivation, inputs: pl.DataFrame, names: ColumnNames) -> pl.Series:
    """Return the values of an expression, a row of its inputs each; DefinitionError if they give none of its type.

    Its text means what it does in `lake.sql`, which sees null where NaN is; where NaN went in and null would come out,
    what is derived is NaN.
    """
    flags = {name: inputs[name].is_nan() for name in derivation.inputs if inputs[name].dtype.is_float()}
    built = inputs.with_columns(series.alias(name + IS_NAN) for name, series in flags.items())
    text = derivation.expression or ""
    try:
        values = conditions.computed(text, label=repr(text), names=_Inputs(names), build=lambda _: built)
    except QueryError as error:
        raise DefinitionError(str(error)) from error
    values = _without_texts(_typed(values, derivation), derivation, built, names)
    if not (flags and values.dtype.is_float()):
        return values
    from_nan = pl.any_horizontal(name + IS_NAN for name in flags)
    return built.select(pl.when(pl.lit(values).is_null() & from_nan).then(float("nan")).otherwise(values)).to_series()


def _without_texts(values: pl.Series, derivation: Derivation, built: pl.DataFrame, names: ColumnNames) -> pl.Series:
    """Return null where a mixed column that is read as a number holds another value, which is not absent."""
    numeric = {column.spelled for column in read(derivation.expression or "").columns if column.use == "other"}
    inputs = _Inputs(names)
    texts = [text for name in numeric if (text := inputs.text_part(name, built))]
    if not texts:
        return values
    return built.select(pl.when(~pl.any_horizontal(pl.col(texts).is_not_null())).then(values)).to_series()


def _typed(values: pl.Series, derivation: Derivation) -> pl.Series:
    """Return the values as they are stored; DefinitionError for a type that has no stored form."""
    takes = "a metric has numbers" if derivation.is_of_steps else "a value of a run is a number, truth, text or date"
    is_other = (values.dtype == pl.String or values.dtype.is_temporal()) and not derivation.is_of_steps
    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null) or is_other):
        raise DefinitionError(f"{derivation.expression!r} gives {values.dtype}; {takes}")
    if values.dtype == pl.Duration:  # in seconds like runtime; a date is stored like one that is logged, as text
        return values.dt.total_microseconds() / 1e6
    if values.dtype.is_integer():
        return values.cast(pl.Float64 if values.dtype in (pl.Int128, pl.UInt64) else pl.Int64)
    casts = {pl.Decimal: pl.Float64, pl.Float32: pl.Float64, pl.Time: pl.String, pl.Null: pl.Float64}
    return values.cast(casts.get(values.dtype.base_type(), values.dtype))


class _Inputs:
    """The names in an expression: a metric is itself, all else a column of the runs."""

    def __init__(self, names: ColumnNames) -> None:
        self._names = names

    def resolve(self, name: str, *, any_case: bool = False) -> ColumnRef:  # noqa: ARG002 - names were resolved before
        return self._names.resolve(name) if is_column(name) else ColumnRef(name)

    def text_part(self, name: str, built: pl.DataFrame) -> str | None:
        return self._names.text_part(name, built) if is_column(name) else None
