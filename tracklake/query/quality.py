"""Quality: what is wrong with a run, told from its history: divergence, plateaus, gaps, noise."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.query.summaries import Summaries
from tracklake.storage.table import run_tasks

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklake.schema.definition_statement import Goal
    from tracklake.storage.table.snapshot_view import SnapshotView

PREFIX = "quality."
FLAGS: dict[str, pl.DataType | type[pl.DataType]] = {
    "n_nan": pl.Int64,
    "n_inf": pl.Int64,
    "diverged_at": pl.Int64,
    "gap_steps": pl.Int64,
    "duplicate_steps": pl.Int64,
    "noise": pl.Float64,
    "plateau_at": pl.Int64,
    "stalled": pl.Boolean,
    "still_improving_at_end": pl.Boolean,
}
"""The flags of a (run, metric), and their types."""
DIRECTED = ("plateau_at", "stalled", "still_improving_at_end")
"""Those that need to know which way is better."""
TOLERANCE = 0.01
"""What is left to gain at a plateau, as a share of all that the run gained."""
END = 0.1
"""The end of a run is this share of its steps."""
_GAP = 1.5
"""Two steps that lie so many usual strides apart have a gap between them."""
_MAD = 1.4826
"""From the median absolute deviation to the standard deviation of normal noise."""


class Quality:
    """Computes flags over one snapshot; what was computed of a metric is kept."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries
        self._snapshot = summaries.snapshot
        self._known: dict[tuple[str, Goal | None], pl.DataFrame] = {}

    def flags(self, metric: str, *, goal: Goal | None = None) -> pl.DataFrame:
        """Return one row a run that has numbers of the metric: run_id and all flags; without a goal some are null.

        >>> flags = Quality(example()._view.runs.summaries).flags("loss", goal="min")
        >>> flags.select("run_id", "n_nan", "diverged_at", "plateau_at").rows()
        [('fast', 0, None, 1), ('slow', 0, None, 2)]
        """
        goal = goal or self._summaries.goal(metric)
        if (metric, goal) not in self._known:
            flags = run_tasks.map_runs(self._snapshot, _flags_of_runs, metric, goal, metrics=[metric], runs=None)
            self._known[metric, goal] = flags.sort("run_id")
        return self._known[metric, goal]

    def column(self, name: str) -> pl.DataFrame:
        """Return run_id and the flag of a column `quality.<metric>.<flag>` or `quality.<flag>`.

        Without a metric it is over all of them: n_nan and n_inf are sums, diverged_at is the first of any, gap_steps
        and duplicate_steps are the most of any that runs logged; plateau_at is the last over the metrics that have a
        goal, stalled is true if all of them are, still_improving_at_end if any does; noise is that of the only one.
        What an alias repeats counts where the alias has a goal.

        >>> Quality(example()._view.runs.summaries).column("quality.loss.n_nan").rows()
        [('fast', 0), ('slow', 0)]
        """
        metric, flag = self.parse(name)
        if metric is not None:
            if flag in DIRECTED and self._summaries.goal(metric) is None:
                raise _no_goal(name, metric)
            return self.flags(metric).select("run_id", flag)
        parts = [flags.select("run_id", flag) for flags in self._meant(name, flag)]
        values = pl.concat([pl.DataFrame(schema={"run_id": pl.String, flag: FLAGS[flag]}), *parts])
        value = pl.col(flag)
        over = {"n_nan": value.sum(), "n_inf": value.sum(), "diverged_at": value.min(), "stalled": value.all(),
                "still_improving_at_end": value.any()}.get(flag, value.max())  # fmt: skip
        return values.group_by("run_id", maintain_order=True).agg(over)

    @cached_property
    def _of_logged(self) -> Quality:
        """The same over what runs logged alone."""
        logged = self._snapshot.logged
        return self if logged is self._snapshot else Quality(Summaries(logged))

    def parse(self, name: str) -> tuple[str | None, str]:
        """Return the metric (None for all) and the flag of a column; UnknownNameError, which names the nearest.

        >>> quality = Quality(example()._view.runs.summaries)
        >>> quality.parse("quality.loss.diverged_at"), quality.parse("quality.n_nan")
        (('loss', 'diverged_at'), (None, 'n_nan'))
        """
        metric, _, flag = name.removeprefix(PREFIX).rpartition(".")
        if flag not in FLAGS:
            raise UnknownNameError.nearest("quality flag", flag, FLAGS)
        if metric and metric not in self._snapshot.metrics:
            raise UnknownNameError.nearest("metric", metric, self._snapshot.metrics)
        return metric or None, flag

    def _meant(self, name: str, flag: str) -> list[pl.DataFrame]:
        """Return the flags of each metric that a flag without a metric is over."""
        every = [m for m in self._snapshot.metrics if not m.startswith("_")]
        directed = [m for m in every if self._summaries.goal(m)] if flag in (*DIRECTED, "noise") else []
        if flag in DIRECTED and not directed:
            raise _no_goal(name, "METRIC")
        logged = [m for m in self._snapshot.logged.metrics if not m.startswith("_")]
        if flag == "noise" and len(directed or logged) != 1:
            raise DefinitionError(f'{name} is of one metric: say which, as in "quality.{(every or ["loss"])[0]}.noise"')
        if directed:
            return [self.flags(m) for m in directed]
        # an expression has values of its own, which may not be finite; its steps are those of what it is made of
        derived = self._snapshot.derived
        expressions = derived.metrics - derived.aliases if flag in ("n_nan", "n_inf", "diverged_at") else ()
        flags = [self._of_logged.flags(m) for m in logged if m not in expressions]
        return flags + [self.flags(m) for m in every if m in expressions]


def _flags_of_runs(
    snapshot: SnapshotView, runs: Collection[str] | None, metric: str, goal: Goal | None
) -> pl.DataFrame:
    points = snapshot.resolved([metric], runs=runs).filter(pl.col("value").is_not_null())
    duplicates = _duplicates(snapshot.points([metric], runs=runs))
    flags = _flags(points, goal).join(duplicates, on="run_id", how="left", maintain_order="left")
    return flags.select("run_id", *(pl.col(f).cast(t) for f, t in FLAGS.items()))


def _duplicates(points: pl.LazyFrame) -> pl.DataFrame:
    """Return how many steps each run logged more than once (in late rows, resumed or rewound sessions)."""
    times = points.group_by("run_id", "step").agg(pl.len().alias("times"))
    return times.group_by("run_id").agg((pl.col("times") > 1).sum().alias("duplicate_steps")).collect()


def _no_goal(name: str, metric: str) -> DefinitionError:
    return DefinitionError(
        f'{name} needs to know which way is better: say lake.define_metric({metric!r}, goal="max") or "min"'
    )


def _flags(points: pl.DataFrame, goal: Goal | None) -> pl.DataFrame:
    """Return the flags of each run from its points that count, in order of step."""
    value, step = pl.col("value"), pl.col("step")
    last_finite = step.filter(value.is_finite()).max()
    stride = step.diff()
    missing = ((stride / stride.median()).round() - 1).filter(stride > _GAP * stride.median())
    flags = points.group_by("run_id", maintain_order=True).agg(
        value.is_nan().sum().alias("n_nan"),
        value.is_infinite().sum().alias("n_inf"),
        step.filter(last_finite.is_null() | (step > last_finite)).min().alias("diverged_at"),
        missing.sum().alias("gap_steps"),
    )
    rows = points.filter(value.is_finite()).select("run_id", "step", "value")
    noise = rows.group_by("run_id").agg(_noise().alias("noise"))
    directed = (
        _directed(rows, goal) if goal else pl.DataFrame(schema={"run_id": pl.String} | {f: FLAGS[f] for f in DIRECTED})
    )
    return flags.join(noise, on="run_id", how="left", maintain_order="left").join(directed, on="run_id", how="left")


def _noise() -> pl.Expr:
    """Return how much a curve jitters about its course, as a standard deviation; null for fewer than 5 points.

    The median absolute second difference, scaled for normal noise: the differences of a smooth curve vanish, those of
    independent noise have 6 times its variance. Source: Gasser, Sroka and Jennen-Steinmetz 1986, made robust.
    """
    # one product: polars divides a single number by a constant, and multiplies several by its reciprocal
    jitter = pl.col("value").diff().diff().abs().median() * (_MAD / 6**0.5)
    return pl.when(pl.len() >= 5).then(jitter)  # noqa: PLR2004 - three differences


def _directed(rows: pl.DataFrame, goal: Goal) -> pl.DataFrame:
    """Return when each run stopped improving: the best so far has come within the tolerance of its end."""
    so_far = pl.col("value").cum_max() if goal == "max" else pl.col("value").cum_min()
    curves = rows.with_columns(so_far.over("run_id").alias("so_far"))
    first, last, best = pl.col("step").first(), pl.col("step").last(), pl.col("so_far")
    gained = (best.last() - best.first()).abs()
    plateau = pl.col("step").filter((best.last() - best).abs() <= TOLERANCE * gained).first()
    return curves.group_by("run_id", maintain_order=True).agg(
        plateau.alias("plateau_at"),
        ((last > first) & (plateau - first <= (last - first) / 2)).alias("stalled"),
        ((gained > 0) & (plateau > last - END * (last - first))).alias("still_improving_at_end"),
    )
