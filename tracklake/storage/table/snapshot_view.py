"""What is asked of a snapshot: the points that count and merged states, over stored points and pieces of states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import polars as pl

from tracklake.common.task_engine import LOCAL
from tracklake.compute import points, pseudo_series, rewinds, scans, states
from tracklake.compute.points import PSEUDO
from tracklake.compute.scans import READ_ALL
from tracklake.errors import LakeError
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.storage.journal import statements
from tracklake.storage.table import partitions, run_tasks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from tracklake.common.task_engine import TaskEngine
    from tracklake.storage.table.delta_log import Version
    from tracklake.storage.table.statement_log import StatementLog

NO_LAKES: Mapping[str, str] = {}
_PIECE = ["run_id", "metric", "session", "lo", "hi"]
_SERIES = ["run_id", "metric"]
_NUMBERS = ["n", "n_nan", "n_pos_inf", "n_neg_inf"]
_COUNTED = [*_PIECE, "n_raw", "n_points", "n_bool", *_NUMBERS]


class DerivedNames(NamedTuple):
    """The names that are computed when they are read."""

    metrics: frozenset[str] = frozenset()
    """Metrics; they are shown where they are named or defined."""
    aliases: frozenset[str] = frozenset()
    """Those of them that only repeat the points of others."""
    entries: frozenset[str] = frozenset()
    """Entries of summaries, one value a run."""


class SnapshotView(ABC):
    """What a reader sees: immutable, so everything derived from it is computed once.

    A kind of snapshot gives what is stored (`points`, `pieces`, ...); the rest follows from that here.
    """

    derived = DerivedNames()
    lake_of_run: Mapping[str, str] = NO_LAKES
    """The lake of each run, where several are read as one; else empty."""
    deleted: frozenset[str] = frozenset()
    """Runs that are deleted: nothing of them is in `files`, `statements`, `points` or `pieces`."""

    engine: TaskEngine = LOCAL
    """What heavy reading runs on."""

    def __init__(self, version: Version, files: pl.DataFrame, statements: StatementLog) -> None:
        self.version = version
        self.files = files
        self.statements = statements
        self._unresolved: dict[str, pl.DataFrame] = {}
        self._all_numbers: dict[str, bool] = {}
        self._n_raw: dict[str, pl.DataFrame] = {}

    @property
    def logged(self) -> SnapshotView:
        """What was logged alone, of a snapshot with derived names."""
        return self

    @property
    def left_out(self) -> Sequence[str]:
        """What is left out because files cannot be read, a sentence each.

        >>> example()._view.snapshot.left_out
        []
        """
        return []

    def whole(self, reason: str) -> Self:
        """Return it; LakeError, which begins with a reason, if something is left out of it.

        >>> lake = example()
        >>> lake._view.logged.whole("this copies all") is lake._view.logged
        True
        """
        if self.left_out:
            raise LakeError(f"{reason}: {'; '.join(text.removeprefix('tracklake: ') for text in self.left_out)}")
        return self

    @property
    @abstractmethod
    def n_stored(self) -> int:
        """How many points are stored, those that were overwritten or masked included."""

    @property
    @abstractmethod
    def alive(self) -> pl.DataFrame:
        """run_id, session of the sessions whose process shows life."""

    @property
    @abstractmethod
    def live_points(self) -> pl.DataFrame:
        """The points that are not in committed files yet, as logged (schema POINTS)."""

    @abstractmethod
    def history_files(self, *, runs: Collection[str] | None = None) -> list[Path]:
        """Return the paths of the committed files of points that hold something of these runs."""

    @abstractmethod
    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs (None: any) have, sorted."""

    @abstractmethod
    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return the points as stored, overwritten and masked ones too (schema POINTS), unsorted."""

    @abstractmethod
    def pieces(self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None) -> pl.DataFrame:
        """Return the states of each (run_id, metric) as stored, one a session and partition, not merged."""

    @abstractmethod
    def comes_in_order(self, runs: Collection[str] | None) -> bool:
        """Tell whether `points` gives these runs in order of run, metric and step, as far as is known ahead."""

    def excerpts(self, runs: Collection[str] | None) -> list[tuple[SnapshotView, list[str]]]:  # noqa: ARG002
        """Return these runs (None: all) in parts that tasks can read elsewhere; none where they are not to be cut.

        >>> example()._view.logged.excerpts(None)  # threads of this process read all at once
        []
        """
        return []

    def touched_since(self, earlier: SnapshotView) -> frozenset[str] | None:  # noqa: ARG002
        """Return the runs of which this and an earlier snapshot may say different things; None if that is not known.

        >>> lake = example()
        >>> earlier = lake._view.logged
        >>> _ = lake.refresh()
        >>> sorted(lake._view.logged.touched_since(earlier))
        ['fast', 'slow']
        """
        return None

    def computed(self, key: str) -> pl.DataFrame:
        """Return a derived entry of the runs that have one: run_id and the stored value."""
        raise NotImplementedError(key)

    @cached_property
    def sessions(self) -> pl.DataFrame:
        """One row a session: project, run_id, session, start, last.

        >>> example()._view.snapshot.sessions.select("run_id", "project").rows()
        [('slow', 'example'), ('fast', 'example')]
        """
        return _sessions_of(self.files)

    def sessions_of(self, runs: Collection[str]) -> pl.DataFrame:
        """Return the same of some runs.

        >>> example()._view.snapshot.sessions_of(["slow"])["run_id"].to_list()
        ['slow']
        """
        return _sessions_of(self.files.filter(pl.col("run_id").is_in(list(runs))))

    @cached_property
    def disputed(self) -> list[str]:
        """The runs whose sessions disagree on the project."""
        projects = self.files.select("run_id", "project").unique()
        return projects.filter(pl.col("run_id").is_duplicated())["run_id"].unique().to_list()

    @cached_property
    def cutoffs(self) -> pl.DataFrame:
        """Sessions that a later one has rewound: run_id, session, cutoff (steps from there on are masked).

        >>> lake = example()
        >>> with tl.init("example", id="slow", resume="must", from_step=1, dir=lake.dir) as run:
        ...     run.log({"loss": 0.1})
        >>> lake._view.snapshot.cutoffs.select("run_id", "cutoff").rows()
        [('slow', 1)]
        >>> lake.history("loss", runs="slow")["value"].to_list()
        [2.0, 0.1]
        """
        return rewinds.cutoffs(self.files, self.statements.of(StatementKind.SESSION, keys=["from_step"]))

    def statements_of(
        self, *kinds: StatementKind, run_id: str | None = None, keys: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Return the statements of these kinds (and keys), of all runs or of one, in the order of their stamps.

        >>> example()._view.snapshot.statements_of(StatementKind.CONFIG, run_id="slow").select("key", "value").rows()
        [('lr', 0.01)]
        """
        return self.statements.in_order(*kinds, keys=keys, runs=None if run_id is None else [run_id])

    def statements_of_lakes(self, *kinds: StatementKind) -> pl.DataFrame:
        """Return what the lake says itself in statements of these kinds, in order: STATEMENTS, scope, lake.

        `scope` is the project for which it holds, "" for all; `lake` is "" unless several lakes are read as one.

        >>> lake = example()
        >>> lake.define_metric("loss", goal="min")
        >>> lake._view.snapshot.statements_of_lakes(StatementKind.DEFINE).select("key", "scope", "lake").rows()
        [('loss', '', '')]
        """
        scopes = self.sessions_of([LAKE_RUN]).select("session", pl.col("project").alias("scope"))
        own = self.statements_of(*kinds, run_id=LAKE_RUN)
        return own.join(scopes, on="session", how="left", maintain_order="left").with_columns(lake=pl.lit(""))

    @property
    def derives(self) -> bool:
        """Whether the lake says that something is to be derived.

        >>> example()._view.logged.derives
        False
        """
        return self.statements_of_lakes(StatementKind.DERIVE, StatementKind.ALIAS).height > 0

    def facts(self, key: str) -> pl.DataFrame:
        """Return the statements of sessions about themselves under one key, one row a session (schema STATEMENTS).

        >>> sorted(example()._view.snapshot.facts("pid")["run_id"])
        ['fast', 'slow']
        """
        facts = self.statements.of(StatementKind.SESSION, keys=[key])
        return facts if facts.is_empty() else facts.unique(["run_id", "session"], keep="last", maintain_order=True)

    @cached_property
    def metrics(self) -> list[str]:
        """The names of all metrics that have a value, the pseudo series too, sorted; not those of lake-level sessions.

        >>> example()._view.snapshot.metrics
        ['_runtime', '_step', '_timestamp', 'acc', 'loss']
        """
        return self.metrics_of(None)

    def states(
        self,
        metrics: Collection[str] | None = None,
        *,
        columns: Iterable[str] = (),
        runs: Collection[str] | None = None,
    ) -> pl.DataFrame:
        """Return one merged state a (run_id, metric), with the columns asked for.

        Pieces merge without looking at a point where their step intervals are disjoint; where they are not, or where
        a rewind cuts inside one, that series alone is computed again from its points.

        >>> found = example()._view.snapshot.states(["loss"], columns=["n", "min", "min_step"])
        >>> found.select("run_id", "n", "min", "min_step", "lo", "hi").rows()
        [('fast', 3, 0.25, 1, 0, 2), ('slow', 3, 0.5, 2, 0, 2)]
        """
        needed = list(dict.fromkeys([*_PIECE, *states.with_what_merges(columns)]))
        pieces = self.pieces(metrics, needed, runs)
        pieces, cut_inside = rewinds.unmasked_states(states.sort(pieces), self.cutoffs)  # once, for all that follows
        unmergeable = pl.concat([states.overlapping(pieces, in_order=True), cut_inside])
        if unmergeable.is_empty():
            return states.merge(pieces, in_order=True)
        unmergeable = unmergeable.unique()
        mergeable = pieces.join(unmergeable, on=["run_id", "metric"], how="anti")
        series, affected = unmergeable["metric"].unique().to_list(), unmergeable["run_id"].unique().to_list()
        recomputed = run_tasks.map_runs(self, _states_of_series, unmergeable, metrics=series, runs=affected)
        return states.merge(pl.concat([mergeable, recomputed.select(needed)]))

    def of_run(self, run_id: str) -> pl.DataFrame:
        """Return the points of one run that count (schema POINTS), sorted by metric and step, markers among them.

        Raises LakeError where there are none because a file cannot be read.

        >>> example()._view.snapshot.of_run("fast").filter(metric="loss")["value"].to_list()
        [1.0, 0.25, 0.75]
        """
        counting = self._counting(self.points(runs=[run_id]))
        if counting.is_empty():
            self.whole(f"run {run_id!r} has no history in what can be read")
        return counting

    def resolved(self, metrics: Collection[str], *, runs: Collection[str] | None = None) -> pl.DataFrame:
        """Return the points that count, sorted by run, metric and step; the pseudo series where they are named.

        >>> example()._view.snapshot.resolved(["loss"], runs=["fast"]).select("step", "value").rows()
        [(0, 1.0), (1, 0.25), (2, 0.75)]
        """
        if not set(metrics).intersection(PSEUDO):
            return self._counting(self.points(metrics, runs=runs))
        every = pseudo_series.with_pseudo(self._counting(self.points(runs=runs)), sessions=self.starts)
        return points.resolve(every.filter(pl.col("metric").is_in(list(metrics))))

    def _counting(self, stored: pl.LazyFrame) -> pl.DataFrame:
        """Return the points that count of those stored, sorted by run, metric and step; all of one project."""
        collected = scans.collect(stored)
        # sessions that disagree on the project are one run all the same, and the project comes first in points.ORDER
        one = pl.Series("project", [""]).new_from_index(0, collected.height)
        return points.resolve(
            collected.replace_column(collected.get_column_index("project"), one), cutoffs=self.cutoffs
        )

    def series_to_resolve(self, metrics: Collection[str], *, runs: Collection[str] | None) -> pl.DataFrame:
        """Return the series (run_id, metric) whose stored points are not just those that count, in order.

        Points were overwritten or masked, or two sessions speak of the same steps: a history resolves them.

        >>> example()._view.snapshot.series_to_resolve(["loss"], runs=None).rows()  # nothing was logged twice
        []
        """
        if not self._look_at(metrics, runs):
            return self._unresolved_series(self.pieces(metrics, _COUNTED, runs))
        frames = [self._unresolved[metric] for metric in metrics if self._unresolved[metric].height]
        series = pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(_SERIES, pl.String))
        return series if runs is None or series.is_empty() else series.filter(pl.col("run_id").is_in(list(runs)))

    def are_numbers(self, metrics: Collection[str], *, runs: Collection[str] | None) -> bool:
        """Tell whether all points of these metrics are known to be numbers: no bool, no text and no None.

        Where it would take longer to find out of all runs than to read the points of these `runs`, it is not known.

        >>> example()._view.snapshot.are_numbers(["loss", "acc"], runs=None)
        True
        """
        return self._look_at(metrics, runs) and all(self._all_numbers[metric] for metric in metrics)

    def most_points(self, metrics: Collection[str], *, runs: Collection[str] | None) -> int | None:
        """Return how many points of these metrics there are, those that do not count included; None if not known.

        >>> example()._view.snapshot.most_points(["loss", "acc"], runs=["fast"])
        6
        """
        if not self._look_at(metrics, runs):
            return None
        counts = [self._n_raw[metric] for metric in metrics]
        if runs is not None:
            counts = [frame.filter(pl.col("run_id").is_in(list(runs))) for frame in counts]
        return sum(int(frame["n_raw"].sum()) for frame in counts)

    def _look_at(self, metrics: Collection[str], runs: Collection[str] | None) -> bool:
        """Learn from the states of these metrics, once, what `series_to_resolve` and `are_numbers` tell.

        Not if the states of all runs are far more than those of the runs asked for: then return False.
        """
        missing = [metric for metric in metrics if metric not in self._unresolved]
        if missing and runs is not None and self.sessions.height * len(missing) > READ_ALL:
            return False
        if missing:
            pieces = self.pieces(missing, _COUNTED, None)
            unresolved = self._unresolved_series(pieces)
            counts = pieces.select("run_id", "metric", "n_raw")
            no_number = (pl.col("n_points") != pl.sum_horizontal(_NUMBERS)) | (pl.col("n_bool") > 0)
            other = set(pieces.filter(no_number)["metric"]).union(PSEUDO)
            self._n_raw |= {metric: counts.filter(pl.col("metric") == metric) for metric in missing}
            self._all_numbers |= {metric: metric not in other for metric in missing}
            # the last: what is looked for first is there only when the others are, for threads and after an interrupt
            self._unresolved |= {metric: unresolved.filter(pl.col("metric") == metric) for metric in missing}
        return True

    def _unresolved_series(self, pieces: pl.DataFrame) -> pl.DataFrame:
        """Return the series of which two sessions speak of the same steps, or points were overwritten or masked."""
        overwritten = pieces.filter(pl.col("n_raw") != pl.col("n_points")).select(_SERIES)
        masked = rewinds.touched_series(pieces, self.cutoffs)
        return pl.concat([states.overlapping(pieces), overwritten, masked]).unique()

    def resolved_series(self, series: pl.DataFrame) -> pl.DataFrame:
        """Return the points that count of these (run_id, metric).

        >>> series = pl.DataFrame({"run_id": ["fast"], "metric": ["loss"]})
        >>> example()._view.snapshot.resolved_series(series)["value"].to_list()
        [1.0, 0.25, 0.75]
        """
        counting = self.resolved(series["metric"].unique().to_list(), runs=series["run_id"].unique().to_list())
        return counting.join(series, on=["run_id", "metric"], how="semi", maintain_order="left")

    @cached_property
    def untimed(self) -> list[int]:
        """The sessions of which it is not known when their rows were logged: imports of sources without times.

        >>> example()._view.snapshot.untimed
        []
        """
        return pl.concat([self.facts(key)["session"] for key in partitions.UNTIMED]).unique().to_list()

    @cached_property
    def starts(self) -> pl.DataFrame:
        """Return run_id, session, start and runtime_base of every session.

        >>> example()._view.snapshot.starts["runtime_base"].to_list()
        [0.0, 0.0]
        """
        facts = self.statements.of(StatementKind.SESSION, keys=["runtime_base", *partitions.UNTIMED])
        return partitions.session_starts(statements.SessionRecords(self.files, facts))


def _states_of_series(snapshot: SnapshotView, runs: Collection[str], series: pl.DataFrame) -> pl.DataFrame:
    """Return the states of some series, computed from their points."""
    own = series.filter(pl.col("run_id").is_in(list(runs)))
    return states.of(snapshot.resolved_series(own), by_session=False)


def _sessions_of(files: pl.DataFrame) -> pl.DataFrame:
    """Return one row a session, in the order in which they began."""
    names = ["run_id", "session", "project", "start", "last"]
    if not files["session"].is_unique().all():  # else each has one file
        aggregates = (pl.col("project").first(), pl.col("start").min(), pl.col("last").max())
        files = files.group_by(["run_id", "session"], maintain_order=True).agg(*aggregates)
    rows = files.select(names).sort("start")  # by one number it takes a third of the time
    start = rows["start"]
    return rows if (start.head(-1) < start.slice(1)).all() else rows.sort("start", "session")
