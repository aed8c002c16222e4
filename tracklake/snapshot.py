"""A snapshot: what one reader sees of the lake at one moment, committed and live data alike."""

from __future__ import annotations

import itertools
import threading
import time
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake import host, journal, partitions, points, sealing, statements, states
from tracklake.catalog import Catalog, Mark, held, holding
from tracklake.points import PSEUDO
from tracklake.schema import LAKE_RUN, POINTS, STATES
from tracklake.tail import TailReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tracklake.catalog import JournalFile
    from tracklake.delta_log import Version
    from tracklake.statements import Said
    from tracklake.storage import Storage
    from tracklake.tail import Fault

HEARTBEAT_LIMIT = 300.0
"""Seconds without a sign of life after which a session elsewhere is taken for crashed."""
_PIECE = ["run_id", "metric", "session", "lo", "hi"]
_SERIES = ["run_id", "metric"]
_NUMBERS = ["n", "n_nan", "n_pos_inf", "n_neg_inf"]
_LISTINGS = 20
FRAMES = 32
"""So many frames of live points stay apart."""
READ_ALL = 1_000_000
"""States that are read for all runs even if only some runs are asked for: those of one metric lie together."""


class Live:
    """The unsealed part of one journal file, read forward as it grows."""

    def __init__(self, catalog: Catalog, file: JournalFile, mark: Mark, *, until: int | None = None) -> None:
        self.file = file
        self.mark = mark
        self.points: list[pl.DataFrame] = []
        self.states: list[pl.DataFrame] = []
        self.said: list[Said] = []
        self.faults: dict[int, Fault] = {}
        self._catalog = catalog
        self._header: dict[str, Any] = {}
        self._until = until
        self._reader = TailReader(catalog.storage.path(f"{journal.FOLDER}/{file.entry.name}"))
        if mark.through:
            self._reader.read(through=mark.through)

    def read(self) -> statements.Part | None:
        """Read what was appended; None if that was nothing."""
        tail = self._reader.read(through=self._until)
        self.faults |= {fault.offset: fault for fault in tail.faults}
        if self._reader.is_empty or (not tail and self.said):
            return None
        self._header = self._header or self._reader.header or sealing.fallback_header(self._catalog, self.file)
        closed = self._reader.closed is not None
        return statements.Part(self._header, self.file.name.n, tail, self._reader.offset, closed)

    def take(self, new: Taken) -> None:
        """Take over what was read."""
        self._take_said(new.said)
        if not new.points.is_empty():
            self._take_points(new)

    def _take_said(self, said: Said) -> None:
        """Keep one row of the file, and the facts of its header once."""
        if self.said:
            more = said.statements.filter(pl.col("said") != "session")
            before = self.said[0].statements
            said = statements.Said(said.files, pl.concat([before, more]) if more.height else before)
        self.said = [said]

    def _take_points(self, new: Taken) -> None:
        """Put new points to those before that are no more than they: few frames, and each point is moved seldom."""
        found, made = new.points, new.states
        if self.points and self.points[-1].height <= found.height:
            while self.points and self.points[-1].height <= found.height:
                found = points.sort(pl.concat([self.points.pop(), found]))
                self.states.pop()
            made = states.of_rows(found, sessions=partitions.session_starts(self.said[0]))
        self.points.append(found)
        self.states.append(made)


class Taken(NamedTuple):
    """What one journal file says anew."""

    said: Said
    points: pl.DataFrame
    states: pl.DataFrame


def _taken(parts: Sequence[statements.Part]) -> Iterator[Taken]:
    """Yield what each part says, each of another session; of many at the price of few calls into polars."""
    said, found = statements.of_parts(parts), sealing.points_of(parts)
    made = states.of_rows(found, sessions=partitions.session_starts(said))
    if len(parts) == 1:
        yield Taken(said, found, made)
        return
    cut = [{part["session"][0]: part for part in frame.partition_by("session")} for frame in (*said, found, made)]
    for part in parts:
        files, lines, mine, of_mine = (
            by_session.get(part.header["session"], frame.clear())
            for by_session, frame in zip(cut, (*said, found, made), strict=True)
        )
        yield Taken(statements.Said(files, lines), mine, of_mine)


class SnapshotReader:
    """Takes snapshots of one lake, or of one run alone (`only`), each at the cost of what is new since the last.

    `until` names journal files, by (session, n), of which no more than so many bytes are read.
    """

    def __init__(
        self, storage: Storage, *, only: str | None = None, until: dict[tuple[int, int], int] | None = None
    ) -> None:
        self.catalog = Catalog(storage, only=only)
        self._until = until or {}
        self._live: dict[tuple[int, int], Live] = {}
        self._snapshot: Snapshot | None = None
        self._seen: tuple[list[JournalFile], int] = ([], -1)
        self._changed = False
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; the same object again if nothing has changed.

        The journals are listed first and the log is read after, so that what leaves the one is in the other. A gap in
        a session's files, or one that is gone when opened, means that the listing is too old: list again.
        """
        with self._lock:
            return self._newest()

    def _newest(self) -> Snapshot:
        for attempt in range(_LISTINGS):
            files = self.catalog.list_journals()
            version = self.catalog.refresh()
            if self._snapshot is not None and not self._changed and (files, version.number) == self._seen:
                return self._snapshot
            marks = self.catalog.marks(files)
            is_last = attempt == _LISTINGS - 1
            if self._read_live(files, marks) or (_has_gap(files, marks) and not is_last):
                time.sleep(attempt * 0.001)
                continue
            self._seen = (files, version.number)
            break
        if self._snapshot is None or self._changed or version.number != self._snapshot.version.number:
            self._snapshot = Snapshot(self.catalog, version, list(self._live.values()))
            self._changed = False
        return self._snapshot

    def _read_live(self, files: Sequence[JournalFile], marks: dict[tuple[int, int], Mark]) -> bool:
        """Read on in every journal that is not sealed to its end; tell whether one was gone."""
        is_gone = False
        live: dict[tuple[int, int], Live] = {}
        fresh: dict[int, list[tuple[Live, statements.Part]]] = {}
        for file in files:
            mark = marks.get(file.key, Mark())
            if mark.complete:
                continue
            known = self._live.get(file.key)
            is_new = known is None or known.mark != mark
            try:
                if known is None or is_new:
                    known = Live(self.catalog, file, mark, until=self._until.get(file.key))
                if is_new or known.file.entry.size != file.entry.size:
                    part = known.read()
                    if part is not None:
                        fresh.setdefault(file.name.n, []).append((known, part))
            except FileNotFoundError:
                is_gone = True
                continue
            known.file = file
            live[file.key] = known
        for read in fresh.values():  # a session has one file of each number
            for (known, _), new in zip(read, _taken([part for _, part in read]), strict=True):
                known.take(new)
        self._changed |= bool(fresh) or live.keys() != self._live.keys()
        self._live = live
        return is_gone


def _has_gap(files: Sequence[JournalFile], marks: dict[tuple[int, int], Mark]) -> bool:
    """Tell whether a session lacks a file before one that is there and not even its end is sealed."""
    present = {file.key for file in files}
    before = {(file.name.session, file.name.n - 1) for file in files if file.name.n and file.key not in marks}
    return bool({key for key in before - present if key not in marks})


class Snapshot:
    """What a reader sees: immutable, so everything derived from it is computed once."""

    virtual: frozenset[str] = frozenset()
    """Metrics that are computed at read; they are shown where they are named or defined."""
    made: Mapping[str, pl.Expr] = MappingProxyType({})
    """Columns of runs that are computed from others of the same run, by their names."""

    def __init__(self, catalog: Catalog, version: Version, live: Sequence[Live]) -> None:
        self.version = version
        self._storage = catalog.storage
        self._held = held(catalog.parts)
        self._live_files = [item.file for item in live]
        self._live_points = _few([frame for item in live for frame in item.points])
        self._live_states = _few([frame for item in live for frame in item.states])
        self.faults = [fault for item in live for fault in item.faults.values()]
        said = statements.concat([catalog.said, *(s for item in live for s in item.said)])
        self.files = said.files
        self.statements = said.statements
        self._unclean: dict[str, pl.DataFrame] = {}
        self._all_numbers: dict[str, bool] = {}

    @cached_property
    def n_stored(self) -> int:
        """How many points are stored, those that were overwritten or masked included."""
        sealed = sum(partition.n_points for partition in self.version.partitions.values())
        return sealed + sum(frame.height for frame in self._live_points)

    @cached_property
    def sessions(self) -> pl.DataFrame:
        """One row a session: project, run_id, session, start, last."""
        grouped = self.files.group_by(["run_id", "session"], maintain_order=True)
        return grouped.agg(pl.col("project").first(), pl.col("start").min(), pl.col("last").max()).sort(
            "start", "session"
        )

    @cached_property
    def disputed(self) -> list[str]:
        """The runs whose sessions disagree on the project."""
        said = self.files.select("run_id", "project").unique()
        return said.filter(pl.col("run_id").is_duplicated())["run_id"].unique().to_list()

    @cached_property
    def cutoffs(self) -> pl.DataFrame:
        """Sessions that a later one has rewound: run_id, session, cutoff (steps from there on are masked)."""
        rewinds = self.facts("from_step").select(
            "run_id", pl.col("ival").alias("cutoff"), pl.col("session").alias("by")
        )
        begun = self.sessions.select("run_id", "session", "start")
        rewinds = rewinds.join(begun.rename({"session": "by", "start": "since"}), on=["run_id", "by"])
        masked = begun.join(rewinds, on="run_id").filter(
            (pl.col("start") < pl.col("since"))
            | ((pl.col("start") == pl.col("since")) & (pl.col("session") < pl.col("by")))
        )
        return masked.group_by(["run_id", "session"]).agg(pl.col("cutoff").min())

    def facts(self, key: str) -> pl.DataFrame:
        """Return the statements of sessions about themselves under one key, one row a session."""
        found = self.statements.filter((pl.col("said") == "session") & (pl.col("key") == key))
        return found.unique(["run_id", "session"], keep="last", maintain_order=True)

    @property
    def alive(self) -> pl.DataFrame:
        """run_id, session of the sessions whose process shows life: its lock is held here, or it beats elsewhere."""
        nodes = dict(self.facts("node").select("session", "text").iter_rows())
        newest = {file.name.session: file for file in sorted(self._live_files, key=lambda f: f.key)}
        living = [session for session, file in newest.items() if self._shows_life(file, nodes.get(session))]
        return self.sessions.filter(pl.col("session").is_in(living)).select("run_id", "session")

    def _shows_life(self, file: JournalFile, node: str | None) -> bool:
        path = self._storage.path(f"{journal.FOLDER}/{file.entry.name}")
        if not file.entry.writable:
            return False
        try:
            lock = journal.lock_of(path) if node == host.NODE else "unknown"
            if lock != "unknown":
                return lock == "held"
            return time.time() - path.stat().st_mtime < HEARTBEAT_LIMIT
        except FileNotFoundError:
            return False

    @cached_property
    def metrics(self) -> list[str]:
        """The names of all metrics that have a value, sorted; not those of lake-level sessions."""
        return self.metrics_of(None)

    def metrics_of(self, runs: Collection[str] | None) -> list[str]:
        """Return the names of the metrics that these runs (None: any) have logged, sorted."""
        frames = [self._scan_states(runs), *(frame.lazy() for frame in self._live_states)]
        found = partitions.collect_all([_only(frame, None, runs).select("metric").unique() for frame in frames])
        return sorted(set(pl.concat(found)["metric"]))

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
        """
        wanted = list(dict.fromkeys([*_PIECE, *columns]))
        pieces = self._pieces(metrics, wanted, runs)
        pieces, cut = self._mask(states.sort(pieces))  # once, for all that follows
        broken = pl.concat([states.overlapping(pieces), cut]).unique()
        if broken.is_empty():
            return states.merge(pieces)
        whole = pieces.join(broken, on=["run_id", "metric"], how="anti")
        again = self._recompute(broken).select(wanted)
        return states.merge(pl.concat([whole, again]))

    def points(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.LazyFrame:
        """Return the points as stored, overwritten and masked ones too (schema POINTS), unsorted."""
        files = self.history_files(runs=runs)
        frames = [pl.scan_parquet(files, schema=POINTS)] if files else []
        frames += [frame.lazy() for frame in self._live_points]
        found = pl.concat(frames) if frames else pl.LazyFrame(schema=POINTS)
        return _only(found, metrics, runs)

    def history_files(self, *, runs: Collection[str] | None = None) -> list[str]:
        """Return the paths of the committed files of points that hold something of these runs."""
        return [self._path(self.version.partitions[h.partition].history) for h in holding(self._held, runs)]

    @cached_property
    def live_points(self) -> pl.DataFrame:
        """The points that are not in those files yet, as logged (schema POINTS)."""
        return pl.concat([pl.DataFrame(schema=POINTS), *self._live_points])

    def of_run(self, run_id: str) -> pl.DataFrame:
        """Return the points of one run that count, and its pseudo series; each in order, the series in none."""
        found = self.points(runs=[run_id]).with_columns(pl.lit("").alias("project"))
        rows = points.resolve(partitions.collect(found), cutoffs=self.cutoffs)
        made = points.pseudo(rows, sessions=self.starts.filter(pl.col("run_id") == run_id))
        return pl.concat([rows.filter(~pl.col("metric").is_in(PSEUDO)), points.resolve(made)])

    def resolved(self, metrics: Collection[str] | None = None, *, runs: Collection[str] | None = None) -> pl.DataFrame:
        """Return the points that count, sorted by run, metric and step; the pseudo series where they are named."""
        # sessions that disagree on the project are one run all the same, and the project comes first in points.ORDER
        one = pl.lit("").alias("project")
        if metrics is None or not set(metrics).intersection(PSEUDO):
            found = self.points(metrics, runs=runs).filter(pl.col("metric") != "_step").with_columns(one)
            return points.resolve(partitions.collect(found), cutoffs=self.cutoffs)
        found = self.points(runs=runs).with_columns(one)
        rows = points.resolve(partitions.collect(found), cutoffs=self.cutoffs)
        whole = points.with_pseudo(rows, sessions=self.starts)
        return points.resolve(whole.filter(pl.col("metric").is_in(list(metrics))))

    def unclean(self, metrics: Collection[str], *, runs: Collection[str] | None) -> pl.DataFrame:
        """Return the series (run_id, metric) of which some stored points do not count: overwritten or masked."""
        missing = [metric for metric in metrics if metric not in self._unclean]
        if missing and runs is not None and self.sessions.height * len(missing) > READ_ALL:
            return self._find_unclean(metrics, runs)
        if missing:
            found = self._find_unclean(missing, None)
            self._unclean |= {metric: found.filter(pl.col("metric") == metric) for metric in missing}
        known = [self._unclean[metric] for metric in metrics if self._unclean[metric].height]
        found = pl.concat(known) if known else pl.DataFrame(schema=dict.fromkeys(_SERIES, pl.String))
        return found if runs is None or found.is_empty() else found.filter(pl.col("run_id").is_in(list(runs)))

    def _find_unclean(self, metrics: Collection[str], runs: Collection[str] | None) -> pl.DataFrame:
        pieces = self._pieces(metrics, [*_PIECE, "n_raw", "n_points"], runs)
        twice = pieces.filter(pl.col("n_raw") != pl.col("n_points")).select("run_id", "metric")
        masked = pieces.join(self.cutoffs, on=["run_id", "session"]).filter(pl.col("hi") >= pl.col("cutoff"))
        return pl.concat([states.overlapping(pieces), twice, masked.select(_SERIES)]).unique()

    def are_numbers(self, metrics: Collection[str]) -> bool:
        """Tell whether all points of these metrics that may count are numbers: no bool, no text and no None."""
        missing = [metric for metric in metrics if metric not in self._all_numbers]
        if missing:
            counted = self._pieces(missing, ["metric", "n_points", *_NUMBERS], None)
            other = counted.filter(pl.col("n_points") != pl.sum_horizontal(_NUMBERS))["metric"].unique()
            self._all_numbers |= {metric: metric not in PSEUDO and metric not in other for metric in missing}
        return all(self._all_numbers[metric] for metric in metrics)

    @property
    def n_points(self) -> int:
        """How many points are stored, overwritten and masked ones too."""
        return sum(p.n_points for p in self.version.partitions.values()) + sum(f.height for f in self._live_points)

    def comes_in_order(self, runs: Collection[str] | None) -> bool:
        """Tell whether `points` gives these runs in order of run, metric and step, as far as is known without looking.

        So it is where nothing is live, all belongs to one project, and no two partitions share a stretch of run ids.
        """
        apart = all(a.last < b.first for a, b in itertools.pairwise(holding(self._held, runs)))
        projects = self.files.filter(pl.col("run_id") != LAKE_RUN)["project"].n_unique()
        return apart and projects <= 1 and not self._live_points

    def resolved_series(self, series: pl.DataFrame) -> pl.DataFrame:
        """Return the points that count of these (run_id, metric)."""
        found = self.resolved(series["metric"].unique().to_list(), runs=series["run_id"].unique().to_list())
        return found.join(series, on=["run_id", "metric"], how="semi", maintain_order="left")

    @cached_property
    def starts(self) -> pl.DataFrame:
        """Return run_id, session, start and runtime_base of every session."""
        return partitions.session_starts(statements.Said(self.files, self.statements))

    def _path(self, name: str) -> str:
        return str(self._storage.path(name))

    def _scan_states(self, runs: Collection[str] | None) -> pl.LazyFrame:
        files = [self._path(self.version.partitions[h.partition].states) for h in holding(self._held, runs)]
        return pl.scan_parquet(files, schema=STATES) if files else pl.LazyFrame(schema=STATES)

    def _pieces(
        self, metrics: Collection[str] | None, columns: list[str], runs: Collection[str] | None
    ) -> pl.DataFrame:
        frames = [self._scan_states(runs), *(frame.lazy() for frame in self._live_states)]
        lazy = [_only(frame, metrics, runs).select(columns) for frame in frames]
        return pl.concat(partitions.collect_all(lazy))

    def _mask(self, pieces: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Drop the pieces that rewinds mask whole; return the rest and the series that one cuts inside."""
        cut = pieces.select("run_id", "metric").clear()
        if self.cutoffs.is_empty() or pieces.is_empty():
            return pieces, cut
        marked = pieces.join(self.cutoffs, on=["run_id", "session"], how="left", maintain_order="left")
        kept = marked.filter(pl.col("cutoff").is_null() | (pl.col("lo") < pl.col("cutoff")))
        cut = kept.filter(pl.col("hi") >= pl.col("cutoff")).select("run_id", "metric").unique()
        return kept.drop("cutoff"), cut

    def _recompute(self, series: pl.DataFrame) -> pl.DataFrame:
        """Compute the states of these (run_id, metric) from their points."""
        return states.of(self.resolved_series(series), by_session=False)


def _few(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Put many frames into one: each costs a call into polars whenever it is looked at."""
    if len(frames) <= FRAMES:
        return frames
    return [pl.concat(frames, rechunk=sum(frame.height for frame in frames) <= READ_ALL)]


def _only(frame: pl.LazyFrame, metrics: Collection[str] | None, runs: Collection[str] | None) -> pl.LazyFrame:
    """Keep the named metrics and runs."""
    for column, wanted in (("metric", metrics), ("run_id", runs)):
        if wanted:
            least, most = min(wanted), max(wanted)
            frame = frame.filter(pl.col(column).is_between(pl.lit(least), pl.lit(most)))  # this prunes row groups ...
            if least != most:  # ... and is_in keeps polars from pruning, unless it is hidden
                is_one = pl.col(column).is_in(list(wanted))
                frame = frame.filter(pl.when(is_one).then(pl.lit(value=True)).otherwise(pl.lit(value=False)))
        elif wanted is not None:
            frame = frame.filter(pl.lit(value=False))
    return frame
