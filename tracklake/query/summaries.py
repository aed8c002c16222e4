"""Summaries: states projected by metric definitions, and overlaid with what was set by hand.

An entry is what a summary holds under one key. It is what was said of that key last, in the order of the statements:
the view over history, if rows with the key came last, or the edit. Names above and under a key are hidden as
compute/name_hiding has it.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.compute import name_hiding, rewinds
from tracklake.query import definitions_in_force
from tracklake.schema import naming, statistics, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import STORED
from tracklake.storage.table import run_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tracklake.query.definitions_in_force import Defined
    from tracklake.schema.definition_statement import Goal
    from tracklake.schema.definitions import MetricDefinition
    from tracklake.storage.table.snapshot_view import SnapshotView

LAST = tuple(f"last_{name}" for name in STORED)
_EVENT = ["run_id", "key", "ts", "session", "op", *STORED]
_NUMBER = "= "
"""Before the name of a statistic that is computed beside the columns of states."""


class Summaries:
    """The view over one snapshot: definitions, entries, statistics."""

    def __init__(self, snapshot: SnapshotView) -> None:
        self.snapshot = snapshot
        self._earlier_runs: pl.DataFrame | None = None
        """Of those that were not touched since."""
        self._touched: frozenset[str] = frozenset()

    def carry_over(self, earlier: Summaries, *, touched: frozenset[str]) -> None:
        """Take over the rows of `runs` that an earlier snapshot had and nothing has touched since.

        >>> view = example()._view
        >>> summaries, earlier = Summaries(view.logged), view.runs.summaries
        >>> summaries.carry_over(earlier, touched=frozenset(["fast"]))
        >>> summaries.runs.equals(earlier.runs)
        True
        """
        self._touched = touched
        self._earlier_runs = earlier.runs.filter(~pl.col("run_id").is_in(list(touched)))

    @cached_property
    def defined(self) -> Defined:
        """The definitions of every run: its own and the lake's, in the order of their stamps.

        >>> lake = example()
        >>> lake.define_metric("loss", summary="min")
        >>> lake._view.runs.summaries.defined.groups.rows()  # both runs have the same
        [('slow', 0), ('fast', 0)]
        """
        return definitions_in_force.of_runs(self.snapshot, self.runs)

    @cached_property
    def runs(self) -> pl.DataFrame:
        """run_id, project and created_at of every run, the oldest first; where there are several lakes, its lake.

        >>> example()._view.runs.summaries.runs["run_id"].to_list()
        ['slow', 'fast']
        """
        if self._earlier_runs is None:
            return _in_order_of_creation(self._runs_of(self.snapshot.sessions))
        fresh = self._runs_of(self.snapshot.sessions_of(self._touched))
        runs, self._earlier_runs = pl.concat([self._earlier_runs, fresh]), None
        return _in_order_of_creation(runs)

    def _runs_of(self, sessions: pl.DataFrame) -> pl.DataFrame:
        sessions = sessions.filter(pl.col("run_id") != LAKE_RUN)
        if sessions["run_id"].is_unique().all():
            runs = sessions.select("run_id", "project", pl.col("start").alias("created_at"))
        else:
            grouped = sessions.group_by("run_id", maintain_order=True)
            runs = grouped.agg(pl.col("project").first(), pl.col("start").min().alias("created_at"))
        if lakes := self.snapshot.lake_of_run:
            runs = runs.with_columns(pl.col("run_id").replace_strict(lakes, return_dtype=pl.String).alias("lake"))
        return runs

    @cached_property
    def edits(self) -> pl.DataFrame:
        """All that was set or erased by hand and is not masked by a rewind: run_id, key, ts, session, op, stored.

        >>> lake = example()
        >>> lake.run("fast").summary["note"] = "rerun"
        >>> lake._view.runs.summaries.edits.select("run_id", "key", "op", "text").rows()
        [('fast', 'note', 'edit', 'rerun')]
        """
        statements = self.snapshot.statements_of(StatementKind.EDIT, StatementKind.ERASE)
        statements = statements.filter(pl.col("run_id") != LAKE_RUN)
        return rewinds.unmasked_statements(statements, self.snapshot.cutoffs).select(_EVENT)

    @cached_property
    def entry_keys(self) -> list[str]:
        """Every key that a summary of this lake may hold: metrics, derived values of runs, and keys set by hand.

        >>> lake = example()
        >>> lake.run("fast").summary["note"] = "rerun"
        >>> [key for key in lake._view.runs.summaries.entry_keys if not key.startswith("_")]
        ['acc', 'loss', 'note']
        """
        return sorted(
            {
                *self.snapshot.metrics,
                *self.snapshot.derived.entries,
                *self.edits.filter(pl.col("op") == StatementKind.EDIT)["key"],
            }
        )

    @cached_property
    def value_keys(self) -> frozenset[str]:
        """The keys that are one value a run, without a history: those set by hand, and derived values of runs.

        >>> lake = example()
        >>> lake.run("fast").summary["note"] = "rerun"
        >>> lake._view.runs.summaries.value_keys
        frozenset({'note'})
        """
        return frozenset(self.entry_keys).difference(self.snapshot.metrics)

    def definition(self, metric: str) -> dict[int, MetricDefinition | None]:
        """Return the definition that serves a metric in each group of runs.

        >>> lake = example()
        >>> lake.define_metric("*", summary="mean")
        >>> lake._view.runs.summaries.definition("loss")[0].kinds
        ('mean',)
        """
        return {i: definitions.resolve(metric) for i, definitions in enumerate(self.defined.sets)}

    def goal(self, metric: str) -> Goal | None:
        """Return which way a metric is better, if its definitions agree on one.

        >>> lake = example()
        >>> lake.define_metric("a*", goal="max")
        >>> lake._view.runs.summaries.goal("acc"), lake._view.runs.summaries.goal("loss")
        ('max', None)
        """
        goals = self.goals(metric)
        return goals.pop() if len(goals) == 1 else None

    def goals(self, metric: str) -> set[Goal]:
        """Return the goals that definitions give a metric: none, one, or both where runs define it differently.

        >>> lake = example()
        >>> lake.define_metric("loss", goal="min")
        >>> lake._view.runs.summaries.goals("loss")
        {'min'}
        """
        return {d.goal for d in self.definition(metric).values() if d is not None and d.goal}

    def entries(self, wanted: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.DataFrame:
        """Return the entries that stand: run_id, key, op (view, edit, made), and what is stored (of a view the last).

        Definitions are not looked at: a view of a metric whose definition says none is here as well. What is derived
        as a value of the run (made) stands where the run has logged nothing under its key, and set nothing by hand
        that stands.

        >>> example()._view.runs.summaries.entries(["loss"]).select("run_id", "op", "value").sort("run_id").rows()
        [('fast', 'view', 0.75), ('slow', 'view', 0.5)]
        """
        wanted = self.entry_keys if wanted is None else wanted
        edits = _of_runs(self.edits, runs)
        logged = set(self.snapshot.metrics)
        keys = logged.union(edits["key"].unique())
        related = name_hiding.with_relatives(wanted, keys)
        derived = self.snapshot.derived.entries.intersection(wanted)
        if derived:  # whether what is above or under one stands depends on what is above and under that
            related = name_hiding.with_relatives(related, keys)
        views = self._views([key for key in related if key in logged], runs)
        if edits.is_empty() and not derived and set(related) == set(wanted) and not name_hiding.related_pairs(wanted):
            return views
        edits = edits.filter(pl.col("key").is_in(list(related)))
        events = pl.concat([views, edits]).sort("ts", maintain_order=True)
        last = events.unique(["run_id", "key"], keep="last", maintain_order=True)
        standing = name_hiding.unhidden(last.filter(pl.col("op") != StatementKind.ERASE), events)
        selected = standing.filter(pl.col("key").is_in(list(wanted)))
        by_hand = standing.filter(pl.col("op") == StatementKind.EDIT)
        standing_or_logged = pl.concat([views, by_hand])  # what was logged counts, deleted or not
        computed = [self._made(key, standing_or_logged, runs) for key in sorted(derived)]
        return pl.concat([selected, *computed], how="diagonal") if computed else selected

    def _made(self, key: str, statements: pl.DataFrame, runs: Collection[str] | None) -> pl.DataFrame:
        """Return the computed entry of the runs that have said nothing under its key, nor above or under it."""
        own = statements.filter(pl.col("key").is_in(name_hiding.with_relatives([key], set(statements["key"].unique()))))
        computed = _of_runs(self.snapshot.computed(key), runs).join(own, on="run_id", how="anti", maintain_order="left")
        return computed.with_columns(pl.lit(key).alias("key"), pl.lit("made").alias("op"))

    def _views(self, metrics: Collection[str], runs: Collection[str] | None) -> pl.DataFrame:
        """Return the last value of each metric as an event, stamped with what was logged of it last."""
        states_of_metrics = self.snapshot.states(metrics, columns=[*LAST, "last_step", "ts"], runs=runs)
        if states_of_metrics["last_kind"].null_count():  # else a filter would copy all of them
            states_of_metrics = states_of_metrics.filter(pl.col("last_kind").is_not_null())
        shaped = states_of_metrics.select(
            "run_id",
            pl.col("metric").alias("key"),
            "ts",
            "session",
            pl.lit("view").alias("op"),
            *(pl.col(f"last_{name}").alias(name) for name in STORED),
        )
        return shaped.select(_EVENT)

    def of_run(self, run_id: str) -> dict[str, Any]:
        """Return the summary of one run, name by name, as its definitions shape it; of those none is above another.

        >>> example()._view.runs.summaries.of_run("fast")["loss"]
        0.75
        """
        return self.of_runs([run_id])[run_id]

    def of_runs(self, run_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the summaries of many runs at once, each as `of_run` does.

        >>> found = example()._view.runs.summaries.of_runs(["fast", "slow"])
        >>> found["fast"]["acc"], found["slow"]["acc"]
        (0.8, 0.6)
        """
        entries_frame = self.entries(runs=run_ids).sort("key")
        groups = self.defined.groups
        sets = dict(groups.filter(pl.col("run_id").is_in(list(run_ids))).iter_rows())
        views = entries_frame.filter(pl.col("op") == "view").select("run_id", "key").rows()
        defined = {(run_id, m): self.defined.sets[sets[run_id]].resolve(m) for run_id, m in views}
        shaped = {series: d for series, d in defined.items() if d is not None and (d.none or d.kinds)}
        numbers = self._statistics_of(shaped)
        entries: dict[str, dict[str, Any]] = {run_id: {} for run_id in run_ids}
        for run_id, key, op, *stored in entries_frame.select("run_id", "key", "op", *STORED).iter_rows():
            if op == StatementKind.EDIT or (run_id, key) not in shaped:
                entries[run_id][key] = values.restore(*stored)
            elif numbers.get((run_id, key)) is not None:
                entries[run_id][key] = numbers[run_id, key]
            elif shows_last(shaped[run_id, key]):
                entries[run_id][key] = values.restore(*stored)
        return entries

    def without_number(self, metrics: Collection[str]) -> pl.DataFrame:
        """Return the series (run_id, metric) of these that have values but no number.

        >>> lake = example()
        >>> with tl.init("example", id="noted", dir=lake.dir) as run:
        ...     run.log({"note": "x", "loss": 1.0})
        >>> lake._view.runs.summaries.without_number(["loss", "note"]).rows()
        [('noted', 'note')]
        """
        columns = [*statistics.columns("count"), "last_kind", "last_step"]
        merged = self.snapshot.states(metrics, columns=columns)
        has_none = (statistics.expression("count") == 0) & pl.col("last_kind").is_not_null()
        return merged.filter(has_none).select("run_id", "metric")

    def replaced_wholly(self, metrics: Collection[str], *, runs: Collection[str] | None) -> set[str]:
        """Return those of the metrics of which no point counts: later calls of their rows wrote above or under them.

        >>> lake = example()
        >>> with tl.init("example", id="twice", dir=lake.dir) as run:
        ...     run.log({"n": 1.0}, commit=False)
        ...     run.log({"n.p": 2.0})
        >>> lake._view.runs.summaries.replaced_wholly(["loss", "n", "n.p"], runs=None)
        {'n'}
        """
        related = {name for pair in name_hiding.related_pairs(metrics) for name in pair}
        if not related:
            return set()
        merged = self.snapshot.states(sorted(related), columns=["n_points"], runs=runs)
        return related - set(merged.filter(pl.col("n_points") > 0)["metric"])

    def from_points(
        self, metrics: Collection[str], stats: Iterable[str], *, runs: Collection[str] | None
    ) -> pl.DataFrame:
        """Return statistics that states do not hold, from the points: run_id, metric, a Float64 column a statistic.

        >>> example()._view.runs.summaries.from_points(["loss"], ["median"], runs=["fast"]).rows()
        [('fast', 'loss', 0.75)]
        """
        arguments = (list(metrics), sorted(stats))
        return run_tasks.map_runs(self.snapshot, _statistics_of_points, *arguments, metrics=metrics, runs=runs)

    def _statistics_of(
        self, defined: dict[tuple[str, str], MetricDefinition]
    ) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Return the entry of each defined (run, metric): a dict of the kinds asked for, or None."""
        wanted = {series: d for series, d in defined.items() if not d.none}
        if not wanted:
            return {}
        kinds = {name for d in wanted.values() for _, name in parts(d)} - {"first", "last"}
        of_points = {kind for kind in kinds if statistics.needs_points(kind)}
        kinds -= of_points
        columns = {c for kind in kinds for c in statistics.columns(kind)}
        ends = [f"{end}_{name}" for end in ("first", "last") for name in ("step", *STORED)]
        runs, metrics = {run_id for run_id, _ in wanted}, {metric for _, metric in wanted}
        merged = self.snapshot.states(metrics, columns=[*columns, *ends], runs=runs)
        table = merged.with_columns(*(statistics.expression(kind).alias(_NUMBER + kind) for kind in sorted(kinds)))
        if of_points:
            ranked = {m for (_, m), d in wanted.items() if not of_points.isdisjoint(d.kinds)}
            computed = self.from_points(ranked, of_points, runs=runs)
            computed = computed.rename({kind: _NUMBER + kind for kind in of_points})
            table = table.join(computed, on=["run_id", "metric"], how="left")
        rows = (((row["run_id"], row["metric"]), row) for row in table.iter_rows(named=True))
        return {series: shape(wanted[series], _statistics(row).__getitem__) for series, row in rows if series in wanted}


def _statistics_of_points(
    snapshot: SnapshotView, runs: Collection[str] | None, metrics: list[str], stats: list[str]
) -> pl.DataFrame:
    points = snapshot.resolved(metrics, runs=runs)
    numbers = points.filter(pl.col("value").is_not_nan())  # null, which is no number, is left out as well
    aggregates = [statistics.from_points(stat).alias(stat) for stat in stats]
    return numbers.group_by("run_id", "metric").agg(aggregates)


@lru_cache
def parts(definition: MetricDefinition) -> tuple[tuple[str, str], ...]:
    """Return the parts of the entry of a defined metric, and the statistic that each of them shows.

    >>> from tracklake.schema.definitions import MetricDefinition
    >>> parts(MetricDefinition("loss", summary=frozenset({"best", "last"}), goal="min"))
    (('best', 'min'), ('best_step', 'argmin'), ('last', 'last'))
    """
    return tuple((part, statistics.of_goal(part, definition.goal)) for part in definition.parts)


def shows_last(definition: MetricDefinition) -> bool:
    """Return whether a metric that has none of the statistics asked for shows its plain last value: under a glob.

    So `define_metric("*", summary="min")` leaves strings and histograms as they are.

    >>> from tracklake.schema.definitions import MetricDefinition
    >>> shows_last(MetricDefinition("*", summary=frozenset({"min"}))), shows_last(MetricDefinition("loss", none=True))
    (True, False)
    """
    return not definition.none and naming.is_glob(definition.name)


def _statistics(row: dict[str, Any]) -> dict[str, Any]:
    """Return the statistics that a row of states holds, by name."""
    numbers = {name.removeprefix(_NUMBER): value for name, value in row.items() if name.startswith(_NUMBER)}
    for end in ("first", "last"):
        numbers[end] = values.restore(*(row[f"{end}_{name}"] for name in STORED))
    return numbers


def shape(definition: MetricDefinition, statistic: Callable[[str], Any]) -> dict[str, Any] | None:
    """Return the entry of a defined metric: the statistics asked for; None where there is none of them.

    >>> from tracklake.schema.definitions import MetricDefinition
    >>> shape(MetricDefinition("loss", summary=frozenset({"best"}), goal="min"), {"min": 0.5, "argmin": 7}.get)
    {'best': 0.5, 'best_step': 7}
    """
    items = ((part, statistic(name)) for part, name in parts(definition))
    return {part: value for part, value in items if value is not None} or None


def _in_order_of_creation(runs: pl.DataFrame) -> pl.DataFrame:
    """Sort runs by created_at and run_id, if they are not: those that came since stand at the end anyway."""
    created = runs["created_at"]
    is_ordered = (created.head(-1) < created.slice(1)).all()
    return runs if is_ordered else runs.sort("created_at", "run_id")


def _of_runs(frame: pl.DataFrame, runs: Collection[str] | None) -> pl.DataFrame:
    return frame if runs is None else frame.filter(pl.col("run_id").is_in(list(runs)))
