"""One session of an imported run while its points come in: what of it is new, stamped, ready for a partition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.importers import statements
from tracklake.importers.pending import Pending
from tracklake.importers.recorded import new_samples, new_statements, session_of
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import STAMP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklake.importers.readers.records import RunRecord
    from tracklake.importers.recorded import RecordedSources
    from tracklake.importers.statements import SourceStatement

_OPENING_OF_EACH_FILE = {"untimed", "untimed_rows", "runtime_base"}
"""Facts that the states of a partition need: each of its files repeats them."""


_EVERY_STEP = -(2**63) + 1
"""A rewind to here takes back everything."""


class OpenSession:
    """Takes batches of points, drops what the lake has, and stamps the rest.

    >>> from tracklake.importers.readers.records import RunRecord, columns
    >>> from tracklake.importers.recorded import RecordedSources
    >>> session = OpenSession(RunRecord("csv:a", run_id="a", start=7), {}, RecordedSources(example()._view.snapshot))
    >>> session.add(columns({"loss": pl.Series([0.5])}, step=pl.Series([1])))
    1
    >>> session.pending[0].select("metric", "step", "value").rows()
    [('loss', 1, 0.5)]
    """

    def __init__(
        self, record: RunRecord, facts: Mapping[str, Any], recorded: RecordedSources, *, replaces: int | None = None
    ) -> None:
        """Begin; `replaces` is the last session of the run in the lake, all of whose points count no longer."""
        self.record = record
        self.session = session_of(record.identity, record.session)
        if replaces is not None:
            self.session = session_of(record.identity, f"{record.session}#replaces {replaces}")
            facts = {**facts, "from_step": _EVERY_STEP}
            after = recorded.start_of(replaces) + 1
            record.start = after if record.start is None else max(record.start, after)
        self.run_id = recorded.run_id(record)
        self.points = 0
        """New ones."""
        self.pending: list[pl.DataFrame] = []
        """New points that no partition has yet (schema SAMPLES)."""
        self._facts = facts
        self._n = recorded.next_file(self.session)
        self._through = recorded.last_stamp(self.session)
        is_known = self._n > 0
        self._present = recorded.samples(self.session) if is_known else pl.DataFrame()
        self._statements = recorded.statements(self.session) if is_known else {}
        self._start: int | None = record.start
        self._last: int | None = None
        self._n_turns = 0
        """Files of this import so far."""

    def add(self, frame: pl.DataFrame) -> int:
        """Take in a batch (schema SAMPLES) and return how many of its points are new.

        >>> from tracklake.importers.readers.records import RunRecord, columns
        >>> from tracklake.importers.recorded import RecordedSources
        >>> recorded = RecordedSources(example()._view.snapshot)
        >>> session = OpenSession(RunRecord("csv:a", run_id="a", start=7), {}, recorded)
        >>> session.add(columns({"loss": pl.Series([0.5, None])}, step=pl.Series([1, 2])))
        1
        """
        fresh = new_samples(self._stamped(frame), self._present)
        if fresh.height:
            self.pending.append(fresh)
            self.points += fresh.height
        return fresh.height

    @property
    def _has_times(self) -> bool:
        return self.record.is_timed and self.record.rows_are_timed

    def reopen(self, record: RunRecord, present: pl.DataFrame) -> None:
        """Go on with a record of the same session; `present` are the points that it has given so far.

        >>> from tracklake.importers.readers.records import RunRecord, columns
        >>> from tracklake.importers.recorded import RecordedSources
        >>> recorded = RecordedSources(example()._view.snapshot)
        >>> session = OpenSession(RunRecord("csv:a", run_id="a", start=7), {}, recorded)
        >>> loss = columns({"loss": pl.Series([0.5])}, step=pl.Series([1]))
        >>> session.reopen(session.record, loss.drop("ts")), session.add(loss)
        (None, 0)
        """
        self.record = record
        self._present = pl.concat([frame for frame in (self._present, present) if frame.width])

    def _stamped(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Fill in stamps that the source does not give; the session spans all of them.

        Rows without time share one stamp a file and import, so that what comes later is later, and cost no room.
        """
        if self._start is None:
            first = frame["ts"].min() if self._has_times else None
            self._start = time.time_ns() // 1000 if first is None else _microseconds(first)
        stamp = max(self._start, 0 if self._through is None else self._through + 1) + self._n_turns
        if not self._has_times:
            self._last = max(self._last or stamp, stamp)
            return frame.with_columns(pl.lit(stamp).cast(STAMP).alias("ts"))
        if frame["ts"].null_count():
            counted = (pl.int_range(frame.height, eager=True) + stamp).cast(STAMP)
            frame = frame.with_columns(pl.col("ts").fill_null(strategy="forward").fill_null(counted))
        if frame.height:
            self._start = min(self._start, _microseconds(frame["ts"].min()))
            self._last = max(self._last or self._start, _microseconds(frame["ts"].max()))
        return frame

    def file_row(self, *, is_over: bool) -> tuple[object, ...]:
        """Return the row of the file that comes next (schema FILES).

        >>> from tracklake.importers.readers.records import RunRecord, columns
        >>> from tracklake.importers.recorded import RecordedSources
        >>> recorded = RecordedSources(example()._view.snapshot)
        >>> session = OpenSession(RunRecord("csv:a", run_id="a", start=7), {}, recorded)
        >>> session.file_row(is_over=True)[3:]
        (0, 0, True, 7, 7)
        """
        start = self._start if self._start is not None else time.time_ns() // 1000
        return (
            self.record.project,
            self.run_id,
            self.session,
            self._n,
            0,
            is_over,
            start,
            self._end(start, is_over=is_over),
        )

    def statement_rows(self, *, is_over: bool) -> list[tuple[object, ...]]:
        """Return what the file that comes next says that is new (schema STATEMENTS).

        >>> from tracklake.importers.readers.records import RunRecord, columns
        >>> from tracklake.importers.recorded import RecordedSources
        >>> recorded = RecordedSources(example()._view.snapshot)
        >>> session = OpenSession(RunRecord("csv:a", run_id="a", start=7), {}, recorded)
        >>> [(str(row[4]), row[5]) for row in session.statement_rows(is_over=True)]
        [('finish', 'state'), ('finish', 'exit_code')]
        """
        start = self._start if self._start is not None else time.time_ns() // 1000
        after = 0 if self._through is None else self._through + 1
        opening = list(statements.opening(self.record, self._facts))
        repeated = [one for one in opening if one.op == StatementKind.SESSION and one.key in _OPENING_OF_EACH_FILE]
        if not is_over:
            return self._rows(repeated, start)
        closing = new_statements(statements.closing(self.record), self._statements)
        fresh = [one for one in new_statements(opening, self._statements) if one not in repeated]
        if not self.pending and not closing and not any(one.op != StatementKind.SESSION for one in fresh):
            return []
        self._statements |= {(one.op, one.key): one.stored for one in (*fresh, *closing)}
        end = self._end(start, is_over=True)
        return [
            *self._rows(repeated, start),
            *self._rows(fresh, max(start, after)),
            *self._rows(closing, max(end, after)),
        ]

    def turn_over(self) -> Pending:
        """Go on with the next file, and return what was pending: it goes into a partition.

        >>> from tracklake.importers.readers.records import RunRecord, columns
        >>> from tracklake.importers.recorded import RecordedSources
        >>> recorded = RecordedSources(example()._view.snapshot)
        >>> session = OpenSession(RunRecord("csv:a", run_id="a", start=7), {}, recorded)
        >>> session.turn_over().n_points
        0
        >>> session.file_row(is_over=True)[3]
        1
        """
        pending = Pending(self.record.project, self.run_id, self.session, self.pending)
        self.pending = []
        self._n += 1
        self._n_turns += 1
        return pending

    def _end(self, start: int, *, is_over: bool) -> int:
        stamps = [start, self._last or start, self._through or start]
        return max([*stamps, self.record.end] if is_over and self.record.end is not None else stamps)

    def _rows(self, rows: list[SourceStatement], stamp: int) -> list[tuple[object, ...]]:
        return [(self.run_id, self.session, self._n, stamp, *_columns(one)) for one in rows]


def _columns(one: SourceStatement) -> Iterator[object]:
    yield from (
        one.op,
        one.key,
        one.stored.value,
        one.stored.ival,
        one.stored.text,
        one.stored.kind,
    )


def _microseconds(moment: Any) -> int:
    return int(pl.Series([moment]).dt.epoch("us")[0])
