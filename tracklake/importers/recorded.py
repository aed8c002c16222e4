"""What a lake already holds of a source: which runs are its own, and what of them is new."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import polars as pl

from tracklake.schema import run_fields
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import STORED, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklake.importers.readers.records import RunRecord, Runs
    from tracklake.importers.statements import SourceStatement
    from tracklake.storage.table.snapshot import Snapshot
    from tracklake.storage.table.statement_log import StatementLog

SAMPLE_KEY = ["metric", "step", *STORED]
_SUFFIX = 8
"""Hex digits that tell apart runs of several sources that ask for one id."""


def session_of(identity: str, session: str = "") -> int:
    """Return the session number of a session of a source: always the same one, 63 bits.

    >>> session_of("mlflow:3f2a") == session_of("mlflow:3f2a"), session_of("a") == session_of("b")
    (True, False)
    """
    digest = hashlib.sha256(f"{identity}\0{session}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def clean_run_id(text: str) -> str:
    """Return a text as a run id can be: what it cannot hold becomes "_", and a long one is cut.

    >>> clean_run_id("svc/seed 0"), clean_run_id("..")
    ('svc_seed 0', '_')
    """
    allowed = "".join(char if char.isprintable() and char not in "/\\" else "_" for char in text)
    cut = allowed.strip().lstrip(".").strip()[: run_fields.LONGEST_RUN_ID - _SUFFIX - 1].strip() or "_"
    return f"{cut}_" if cut.casefold() == LAKE_RUN else cut


class RecordedSources:
    """The runs of a snapshot by where they come from.

    >>> recorded = RecordedSources(example()._view.snapshot)
    >>> recorded.next_file(session_of("csv:a"))
    0
    """

    def __init__(self, snapshot: Snapshot, sealed: StatementLog | None = None) -> None:
        """Look at a snapshot; `sealed` are all statements of partitions, those of deleted runs too."""
        self._snapshot = snapshot
        self._deleted: dict[str, str] = {}
        if sealed is not None and snapshot.deleted:
            of_deleted = sealed.restricted(pl.col("run_id").is_in(list(snapshot.deleted)))
            sources = of_deleted.of(StatementKind.SESSION, keys=["source"])
            self._deleted = dict(sources.select("text", "run_id").iter_rows())
        sources = snapshot.facts("source")
        self._by_identity: dict[str, str] = dict(sources.select("text", "run_id").iter_rows())
        self._taken = {run_id.casefold() for run_id in [*snapshot.files["run_id"].unique(), *snapshot.deleted]}
        files = snapshot.files.group_by("session").agg(pl.col("n").max(), pl.col("last").dt.epoch("us").max())
        self._files: dict[int, tuple[int, int]] = {session: (n + 1, last) for session, n, last in files.iter_rows()}
        self._states = set(snapshot.facts("source_state")["text"])
        begun = snapshot.sessions.select("run_id", "session", pl.col("start").dt.epoch("us")).rows()
        self._last_sessions: dict[str, int] = {run_id: session for run_id, session, _ in begun}
        self._starts: dict[int, int] = {session: start for _, session, start in begun}
        self._samples: dict[int, pl.DataFrame] = {}
        self._statements: dict[int, dict[tuple[str, str], Stored]] = {}

    def run_id(self, record: RunRecord) -> str:
        """Return the id of the record's run in the lake: the one that it has, or one that no other run has.

        >>> from tracklake.importers.readers.records import RunRecord
        >>> recorded = RecordedSources(example()._view.snapshot)
        >>> recorded.run_id(RunRecord("csv:a", run_id="new")), recorded.run_id(RunRecord("csv:b", run_id="FAST"))
        ('new', 'FAST-73ef106e')
        """
        recorded_id = self._by_identity.get(record.identity)
        if recorded_id is not None:
            return recorded_id
        longer = clean_run_id(record.longer_id) if record.longer_id else ""
        run_id = self.free_id(clean_run_id(record.run_id), longer=longer, of=record.identity)
        self._by_identity[record.identity] = run_id
        return run_id

    def deleted_run(self, record: RunRecord) -> str | None:
        """Return the id of the record's run if it is deleted in the lake.

        >>> from tracklake.importers.readers.records import RunRecord
        >>> RecordedSources(example()._view.snapshot).deleted_run(RunRecord("csv:a", run_id="a"))
        """
        return self._deleted.get(record.identity)

    def is_free(self, runs: Runs) -> bool:
        """Tell whether the lake has, and has had, none of these runs, and no other of such an id in any case.

        >>> from tracklake.common.lazy_numpy import np
        >>> from tracklake.importers.readers.records import Runs
        >>> at, ids, sources = np.array([1]), pl.Series(["FAST"]), pl.Series(["csv:a"])
        >>> runs = Runs("p", ids, sources, "x.csv", at, at, pl.DataFrame())
        >>> RecordedSources(example()._view.snapshot).is_free(runs)
        False
        """
        has_source = any(identity in self._by_identity or identity in self._deleted for identity in runs.identities)
        return not has_source and not any(run_id.casefold() in self._taken for run_id in runs.ids)

    def take(self, runs: Runs) -> None:
        """Count runs as those of their sources from now on.

        >>> from tracklake.common.lazy_numpy import np
        >>> from tracklake.importers.readers.records import Runs
        >>> recorded = RecordedSources(example()._view.snapshot)
        >>> at, ids, sources = np.array([1]), pl.Series(["new"]), pl.Series(["csv:a"])
        >>> recorded.take(runs := Runs("p", ids, sources, "x.csv", at, at, pl.DataFrame()))
        >>> recorded.is_free(runs)
        False
        """
        self._by_identity |= dict(zip(runs.identities, runs.ids, strict=True))
        self._taken |= {run_id.casefold() for run_id in runs.ids}

    def free_id(self, run_id: str, *, of: str, longer: str = "") -> str:
        """Return an id that no other run has: the one asked for, else the longer, else a suffix that follows from `of`.

        >>> RecordedSources(example()._view.snapshot).free_id("slow", of="7")
        'slow-7902699b'
        """
        if longer and run_id.casefold() in self._taken:
            run_id = longer
        if run_id.casefold() in self._taken:
            run_id = f"{run_id}-{hashlib.sha256(os.fsencode(of)).hexdigest()[:_SUFFIX]}"
        self._taken.add(run_id.casefold())
        return run_id

    def next_file(self, session: int) -> int:
        """Return the number of the next file of a session: 0 if the lake has nothing of it.

        >>> RecordedSources(example()._view.snapshot).next_file(7)
        0
        """
        return self._files.get(session, (0, 0))[0]

    def last_session(self, record: RunRecord) -> int | None:
        """Return the session of the record's run in the lake that began last; None if the lake has no such run.

        >>> from tracklake.importers.readers.records import RunRecord
        >>> RecordedSources(example()._view.snapshot).last_session(RunRecord("csv:a", run_id="a"))
        """
        run_id = self._by_identity.get(record.identity)
        return None if run_id is None else self._last_sessions.get(run_id)

    def start_of(self, session: int) -> int:
        """Return when a session began, in microseconds since the epoch.

        >>> snapshot = example()._view.snapshot
        >>> RecordedSources(snapshot).start_of(snapshot.sessions["session"][0]) > 0
        True
        """
        return self._starts[session]

    def last_stamp(self, session: int) -> int | None:
        """Return the largest stamp of a session, in microseconds; None if the lake has nothing of it.

        >>> RecordedSources(example()._view.snapshot).last_stamp(7)
        """
        return self._files[session][1] if session in self._files else None

    def has_state(self, state: str) -> bool:
        """Tell whether a source in just this state was imported before.

        >>> RecordedSources(example()._view.snapshot).has_state("a.csv 120 7")
        False
        """
        return state in self._states

    def read_ahead(self, sessions: Iterable[int]) -> None:
        """Read what the lake has of several sessions by one scan, in place of what was read ahead before.

        >>> RecordedSources(example()._view.snapshot).read_ahead([7])
        """
        self._samples, self._statements = {}, {}
        self._read(sessions)

    def _read(self, sessions: Iterable[int]) -> None:
        own_sessions = [session for session in sessions if session in self._files]
        if not own_sessions:
            return
        of_sessions = pl.col("session").is_in(own_sessions)
        runs = self._snapshot.files.filter(of_sessions)["run_id"].unique().to_list()
        points = self._snapshot.points(runs=runs).filter(of_sessions).select("session", *SAMPLE_KEY).collect()
        parts = points.partition_by("session", as_dict=True, include_key=False)
        self._samples |= {session: parts.get((session,), points[:0, 1:]) for session in own_sessions}
        self._statements |= {session: {} for session in own_sessions}
        ordered = self._snapshot.statements.in_order(runs=runs).filter(of_sessions)
        for session, op, key, *stored in ordered.select("session", "op", "key", *STORED).iter_rows():
            self._statements[session][op, key] = Stored(*stored)

    def samples(self, session: int) -> pl.DataFrame:
        """Return the points that the lake has of a session, as far as they tell points apart.

        >>> RecordedSources(example()._view.snapshot).samples(7).height
        0
        """
        if session not in self._samples:
            self._read([session])
        return self._samples.pop(session, pl.DataFrame())

    def statements(self, session: int) -> dict[tuple[str, str], Stored]:
        """Return what a session has said last, by kind of statement and key.

        >>> RecordedSources(example()._view.snapshot).statements(7)
        {}
        """
        if session not in self._statements:
            self._read([session])
        return self._statements.pop(session, {})


def new_samples(frame: pl.DataFrame, present: pl.DataFrame) -> pl.DataFrame:
    """Return the points that are not present, in their order; equal is what has the same metric, step and value.

    >>> frame = pl.DataFrame({"metric": ["a", "a"], "step": [0, 1], "value": [1.0, float("nan")]})
    >>> frame = frame.with_columns(ival=pl.lit(None, pl.Int64), text=pl.lit(None, pl.String), kind=0)
    >>> new_samples(frame, frame.head(1)).height, new_samples(frame, frame).height
    (1, 0)
    """
    if present.is_empty():
        return frame
    return frame.join(present, on=SAMPLE_KEY, how="anti", nulls_equal=True, maintain_order="left")


def new_statements(
    statements: Iterable[SourceStatement], present: dict[tuple[str, str], Stored]
) -> list[SourceStatement]:
    """Return the statements that say something new.

    >>> from tracklake.importers.statements import SourceStatement
    >>> from tracklake.schema.statement_kind import StatementKind
    >>> from tracklake.schema.values import store
    >>> lr = SourceStatement(StatementKind.CONFIG, "lr", store(0.1, name="lr"))
    >>> new_statements([lr], {}) == [lr], new_statements([lr], {("config", "lr"): lr.stored})
    (True, [])
    """
    return [one for one in statements if not _same(present.get((one.op, one.key)), one.stored)]


def _same(before: Stored | None, now: Stored) -> bool:
    if before is None:
        return False
    return before == now or (repr(before) == repr(now))  # NaN equals nothing, but reads the same
