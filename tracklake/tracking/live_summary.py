"""The summary of a run while its own process writes it, read at the cost of the rows since the last read.

`if acc > run.summary.get("best", 0)` stands in training loops, so a read may not cost what a snapshot costs. What
stands elsewhere (other sessions of the run, sealed parts of this one, the lake's definitions) is taken from a snapshot
once. After that this session's journal is read on, frame by frame, and applied to a running summary; `log` keeps
nothing for it. Where that would not be exact (after a late row of a series, while somebody else writes the run) the
caller has to ask the lake. Tests hold both ways to the same answer.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.compute import pseudo_series, states
from tracklake.compute.points import PSEUDO
from tracklake.query.summaries import Summaries
from tracklake.schema import naming, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN, STATES
from tracklake.schema.values import STORED, Kind
from tracklake.storage.journal import frame_format, row_decoding
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.layout import JOURNAL_FOLDER
from tracklake.storage.table.catalog import NOTHING, Catalog
from tracklake.storage.table.snapshot_reader import SnapshotReader
from tracklake.tracking.distant_writers import marks_of
from tracklake.tracking.running_summary import RunningSummary

if TYPE_CHECKING:
    import struct
    from pathlib import Path

    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.writer import Journal
    from tracklake.storage.table.snapshot import Snapshot
    from tracklake.tracking.distant_writers import Marks

_BULK, _BULK_A_SERIES = 1 << 16, 1 << 10
"""Bytes from which on numpy reads a journal faster than a loop does: its price is one for each series."""
_REST = 1 << 20
"""Bytes of a file that ended that are still read frame by frame."""
_SETTLED = 0.1
"""Seconds after which a folder that changes again gets another modification time."""
_CHANGED = object()
"""What no signature equals: not even that of a lake whose journals are sealed and deleted again."""
_STALE = 300.0
"""Seconds after which others are looked at anew: a session may have come, been sealed, and its journal deleted."""
_FLOAT, _INT = int(Kind.FLOAT), int(Kind.INT)
_PSEUDO_KINDS = (("_step", _INT), ("_timestamp", _FLOAT), ("_runtime", _FLOAT))
_MICROSECONDS = 1e6


class LiveSummary:
    """The entries of one run's summary, kept up with the journal that this process writes of it."""

    def __init__(self, storage: Storage, run_id: str, project: str, journal: Journal) -> None:
        self._storage = storage
        self._run_id = run_id
        self._project = project
        self._journal = journal
        self._other_writers = _OtherWriters(storage, run_id, journal.session)
        self._seen: object = None
        self._tried: object = None
        self._asked = 0.0
        self._marks: Marks = ()
        """How far others' sessions had come when what they said was taken over."""
        self._heard: Marks | None = None
        self._follower: _JournalFollower | None = None

    @property
    def is_following(self) -> bool:
        """Whether a journal is being read on, which asks nobody.

        >>> with tl.init("walk", id="r1") as run:
        ...     LiveSummary(run._session.storage, "r1", "walk", run._session.journal).is_following
        False
        """
        return self._follower is not None

    def entries(self, name: str | None = None, *, elsewhere: Marks | None = None) -> dict[str, Any] | None:
        """Return the entries of the summary by full name: all, or those at, above and under one name.

        None: they cannot be told from here, the lake has to be asked. `elsewhere` is what has been heard of writers
        whose journals do not lie in this folder; where it changes, all is read anew.

        >>> with tl.init("walk", id="r1") as run:
        ...     live = LiveSummary(run._session.storage, "r1", "walk", run._session.journal)
        ...     run.log({"loss": 0.5})
        ...     live.entries("loss")
        ...     live.close()
        {'loss': 0.5}
        """
        now = time.monotonic()
        if now - self._asked > _STALE:
            self.close()
        self._asked = now
        self._hear(elsewhere)
        seen = self._other_writers.signature()
        if seen != self._seen and self._seen is not None and seen != self._tried:
            self._tried, self._seen = seen, _CHANGED  # somebody writes; once two reads have found the same, start anew
            return None
        if seen != self._seen or not self._has_gone_on():
            self.close()
            self._follower = self._start()
            self._seen = seen
        if self._follower is None:
            return None
        self._follower.read_on(self._journal.size)
        return self._follower.running.entries(name)

    def close(self) -> None:
        """Let go of the journal; what follows is read anew.

        >>> with tl.init("walk", id="r1") as run:
        ...     live = LiveSummary(run._session.storage, "r1", "walk", run._session.journal)
        ...     run.log({"loss": 0.5})
        ...     live.close()
        ...     live.entries("loss"), live.close()
        ({'loss': 0.5}, None)
        """
        if self._follower is not None:
            self._follower.close()
        self._follower = self._seen = None

    def _hear(self, elsewhere: Marks | None) -> None:
        """Begin anew if others have said more elsewhere than what was taken over."""
        if elsewhere is not None and elsewhere is not self._heard:
            self._heard = elsewhere
            if elsewhere != self._marks:
                self.close()

    def _has_gone_on(self) -> bool:
        """Go over to the file that is written now; False if what lies between cannot be read here any more."""
        follower, journal = self._follower, self._journal
        return follower is None or follower.name is journal.name or follower.go_over(journal)

    def _start(self) -> _JournalFollower | None:
        """Take over what was said elsewhere, to read this journal from where that ends.

        None if the lake says what only a snapshot knows to apply.
        """
        file = self._journal.name
        with self._journal.path.open("rb") as opened:
            header = frame_format.frame_size(opened.read(frame_format.PREFIX_SIZE))
        snapshot = SnapshotReader(self._storage, only=self._run_id, until={(file.session, file.n): header}).snapshot()
        others = [kind for kind in StatementKind if kind != StatementKind.SESSION]
        by_lake = snapshot.statements.of(*others).filter(pl.col("run_id") == LAKE_RUN)
        understood = [
            StatementKind.DEFINE,
            StatementKind.DERIVE,
            StatementKind.ALIAS,
            StatementKind.DELETE,
            StatementKind.RESTORE,
            StatementKind.MOVE,
            StatementKind.RENAME_PROJECT,
        ]  # the last four are of other runs, and a snapshot has applied them
        if not by_lake["op"].is_in(understood).all():
            return None
        self._marks = marks_of(snapshot, besides=file.session)
        own = snapshot.files.filter((pl.col("session") == file.session) & (pl.col("n") == file.n))
        running = self._running_summary(snapshot)
        return _JournalFollower(self._journal, int(own["sealed_through"].max()), snapshot.starts, running)  # type: ignore[arg-type]

    def _running_summary(self, snapshot: Snapshot) -> RunningSummary:
        """Return what a snapshot says of the run."""
        running = RunningSummary(session=self._journal.session)
        logged_states = snapshot.states(columns=list(STATES), runs=[self._run_id])
        for state in _in_microseconds(logged_states).iter_rows(named=True):
            running.series(state["metric"]).absorb(state)
        edits = Summaries(snapshot).edits.filter(pl.col("run_id") == self._run_id)
        for stamp, op, key, *stored in _in_microseconds(edits).select("ts", "op", "key", *STORED).iter_rows():
            running.apply(stamp, op, key, values.Stored(*stored))
        project = dict(snapshot.sessions.select("session", "project").iter_rows())
        defined = snapshot.statements_of(StatementKind.DEFINE)
        defined = defined.filter(pl.col("run_id").is_in([self._run_id, LAKE_RUN]))
        for stamp, run_id, session, text in (
            _in_microseconds(defined).select("ts", "run_id", "session", "text").iter_rows()
        ):
            if run_id == self._run_id or project[session] in ("", self._project):
                running.define(stamp, session, text)
        return running


class _JournalFollower:
    """One open journal, read on applied to a running summary."""

    def __init__(self, journal: Journal, start: int, starts: pl.DataFrame, running: RunningSummary) -> None:
        """Begin behind `start` bytes; `starts` tells when sessions began and how long those before had run."""
        self.name = journal.name
        self.running = running
        self._session = journal.session
        self._starts = starts
        own_start = _in_microseconds(starts.filter(pl.col("session") == journal.session))
        ((self._began, self._ran),) = own_start.select("start", "runtime_base").iter_rows()
        self._file = journal.path.open("rb", buffering=0)
        self._begin(journal.path, start)
        for name in PSEUDO:
            running.series(name)

    def _begin(self, path: Path, start: int) -> None:
        """Begin behind `start` bytes of the file that was opened."""
        self._tail = JournalReader(path)
        self._tail.read(through=start)
        self._layouts: dict[int, tuple[struct.Struct, dict[str, tuple[int, int]]]] = {}
        """By key set: how the values of a row lie there, and the kind and place of each."""

    def go_over(self, journal: Journal) -> bool:
        """Read to the end of this file, and of those that follow it up to the one that is written now.

        False if one of them is gone, or much of this one is left: then it is better to begin anew.
        """
        for n in range(self.name.n + 1, journal.name.n + 1):
            end = self._file.seek(0, os.SEEK_END)
            if end - self._tail.offset > _REST:
                return False
            self._read_frames(end)
            path = journal.path.with_name(str(journal.name._replace(n=n)))
            try:
                following = path.open("rb", buffering=0)
            except FileNotFoundError:
                return False
            self._file.close()
            self._file = following
            self._begin(path, frame_format.frame_size(following.read(frame_format.PREFIX_SIZE)))
        self.name = journal.name
        return True

    def read_on(self, size: int) -> None:
        """Take in the frames up to this size of the file."""
        start = self._tail.offset
        if size - start > _BULK + _BULK_A_SERIES * len(self.running):
            self._read_many()
        elif size > start:
            self._read_frames(size)

    def _read_frames(self, size: int) -> None:
        self._file.seek(self._tail.offset)
        self._read(self._file.read(size - self._tail.offset))
        self._tail.offset = size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, data: bytes) -> None:
        """Take in frames one by one."""
        for frame in frame_format.iter_frames(data):
            if isinstance(frame, frame_format.Damage):
                continue
            if frame.kind == frame_format.ROW:
                self._read_rows(data, frame)
                continue
            body = frame_format.body_of(data, frame.start, frame.size)
            if frame.kind == frame_format.STATEMENT:
                self._apply(frame_format.parse_statement(body))
            else:
                declared = frame_format.KeySet.parse(body)
                self._tail.key_sets[declared.id] = declared

    def _read_rows(self, data: bytes, rows: frame_format.FrameRun) -> None:
        for offset in rows.offsets:
            body = offset + frame_format.PREFIX_SIZE
            stamp, step, number = frame_format.ROW_FIELDS.unpack_from(data, body)
            layout, columns = self._layouts.get(number) or self._lay_out(number)
            self._add_row(step, stamp, columns, layout.unpack_from(data, body + frame_format.ROW_HEAD))

    def _add_row(self, step: int, stamp: int, columns: dict[str, tuple[int, int]], values_: tuple[Any, ...]) -> None:
        """Take in a row, and what every row has without logging it, as `pseudo_series.pseudo` makes it."""
        runtime = (stamp - self._began) / _MICROSECONDS + self._ran
        self.running.take((step, stamp, columns, (*values_, step, stamp / _MICROSECONDS, runtime)))

    def _apply(self, statement: frame_format.Statement) -> None:
        stamp, op, items, content = statement
        if op == StatementKind.ROW:
            logged = [(name, stored) for name, stored in items if name != "_step"]  # the marker of an empty row
            columns = self._columns([(name, stored.kind) for name, stored in logged])
            self._add_row(content["step"], stamp, columns, tuple(frame_format.plain(stored) for _, stored in logged))
            return
        for key, stored in items:
            self.running.apply(stamp, op, key, stored)

    def _lay_out(self, number: int) -> tuple[struct.Struct, dict[str, tuple[int, int]]]:
        key_set = self._tail.key_sets[number]
        kinds = [frame_format.KIND_OF_LETTER[letter] for letter in key_set.kinds]
        columns = self._columns(list(zip(key_set.names, kinds, strict=True)))
        row_layout = self._layouts[number] = key_set.values, columns
        return row_layout

    def _columns(self, logged: list[tuple[str, int]]) -> dict[str, tuple[int, int]]:
        """Return the kind and place of each value of a row of these names and kinds, and make their series."""
        for name, _ in logged:
            self.running.series(name)
            if name == "_timestamp":
                self.running.series(name).spoil()
        return {name: (kind, i) for i, (name, kind) in enumerate([*logged, *_PSEUDO_KINDS])}

    def _read_many(self) -> None:
        """Count states of many rows, made by numpy; the rows of the highest step one by one: they may go on."""
        tail = self._tail.read()
        header = self._tail.header
        logged = row_decoding.points_of([row_decoding.Source(tail, header["project"], header["run"], self._session)])
        if "_timestamp" in logged["metric"]:
            self.running.series("_timestamp").spoil()
        logged_points = pseudo_series.with_pseudo(logged, sessions=self._starts)
        top = pl.col("step") == pl.col("step").max()
        for state in _in_microseconds(states.of(logged_points.filter(~top))).iter_rows(named=True):
            self.running.series(state["metric"]).absorb(state)
        newest = _in_microseconds(logged_points.filter(top).sort("ts", maintain_order=True))
        for metric, step, stamp, *stored in newest.select("metric", "step", "ts", *STORED).iter_rows():
            self.running.series(metric).add(step, stamp, stored[0], frame_format.plain(values.Stored(*stored)))
        for item in tail.items:
            self.running.apply(item.stamp, item.op, item.key, item.stored)


class _OtherWriters:
    """Whether anybody else has written a run or the lake: journals, their sizes, and how far others are sealed."""

    def __init__(self, storage: Storage, run_id: str, session: int) -> None:
        self._folder = str(storage.journal_folder(JOURNAL_FOLDER))
        self._is_here = not isinstance(storage.root, str)
        """Whether the lake is a folder: of another one only this machine's journals lie here."""
        self._catalog = Catalog(storage, only=run_id, statements=False)
        self._session = session
        self._whose = tuple(f"{naming.safe_name(run)}." for run in (run_id, LAKE_RUN))
        self._own = f".{session:016x}."
        self._changed = self._listed = 0.0
        self._mtime = -1
        self._names: tuple[str, ...] = ()
        self._sealed: tuple[object, ...] = ()
        self._open: list[str] = []
        """Journals that may grow."""

    def signature(self) -> tuple[object, ...]:
        """Return what is the same as long as nobody else says anything."""
        now = time.monotonic()
        mtime = os.stat(self._folder).st_mtime_ns  # noqa: PTH116 - three times as fast as a Path's
        if mtime != self._mtime:
            self._mtime, self._changed = mtime, now
        if self._listed < self._changed + _SETTLED:  # that it changed again may not show
            self._list()
            self._listed = now
        return (self._names, self._sealed, *map(_size, self._open))

    def _list(self) -> None:
        names = [
            name
            for name in os.listdir(self._folder)  # noqa: PTH208 - no Path a name
            if name.startswith(self._whose) and self._own not in name
        ]
        self._names = tuple(sorted(names))
        if (
            self._is_here and self._catalog.refresh() is not NOTHING
        ):  # what came and was sealed since the last look has no journal now
            files = self._catalog.files.filter(pl.col("session") != self._session)
            self._sealed = tuple(files.select("session", "n", "sealed_through").sort("session", "n").iter_rows())
        paths = [f"{self._folder}/{name}" for name in self._names]
        self._open = [path for path in paths if _may_grow(path)]


def _may_grow(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IWUSR)  # noqa: PTH116
    except FileNotFoundError:
        return False


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except FileNotFoundError:
        return -1


def _in_microseconds(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its stamps as integers."""
    return frame.with_columns(pl.col(pl.Datetime).dt.epoch("us"))
