"""What one run's summary is made of, in memory: states of series, edits, definitions; and the entries they make.

The scalar twin of `summaries`, for the run that is being written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.compute import name_hiding
from tracklake.compute.name_hiding import NameFamilies, Stamps
from tracklake.compute.running_state import RunningState
from tracklake.query.summaries import shape, shows_last
from tracklake.schema import naming, statistics, values
from tracklake.schema.definition_statement import readable
from tracklake.schema.definitions import Definitions
from tracklake.schema.statement_kind import StatementKind

if TYPE_CHECKING:
    from tracklake.compute.running_state import Row
    from tracklake.schema.definition_statement import Statement
    from tracklake.schema.values import Stored

_ABSENT = object()
_AT_MOST = 256
"""Rows that wait for somebody to ask for what they say."""


class _Event(NamedTuple):
    """What was said of a key by hand last: when, the value (None: erased), and when it had one last (-1: never)."""

    at: int
    stored: Stored | None
    written: int


class RunningSummary:
    """The series, edits and definitions of one run.

    >>> running = RunningSummary(session=1)
    >>> running.series("loss").add(0, 10, values.Kind.FLOAT, 0.5)
    >>> running.apply(20, "edit", "best", values.store(7, name="best"))
    >>> running.entries()
    {'best': 7, 'loss': 0.5}
    """

    def __init__(self, *, session: int) -> None:
        """Begin empty; `apply` takes the statements of this session."""
        self._session = session
        self._rows: list[Row] = []
        self._series: dict[str, RunningState] = {}
        self._events: dict[str, _Event] = {}
        self._names = NameFamilies()
        self._statements: list[tuple[int, int, Statement]] = []
        self._definitions = Definitions()
        self._ranked = False
        """Whether some definition asks for a statistic that only points have."""

    def __len__(self) -> int:
        """How many series there are."""
        return len(self._series)

    def series(self, name: str) -> RunningState:
        """Return the running state of a series, a new one if there is none yet.

        >>> running = RunningSummary(session=1)
        >>> running.series("loss") is running.series("loss")
        True
        """
        state = self._series.get(name)
        if state is None:
            state = self._series[name] = RunningState(name, self._rows)
            self._names.add([name])
        return state

    def take(self, row: Row) -> None:
        """Take in a row; its series have to be known.

        >>> running = RunningSummary(session=1)
        >>> _ = running.series("loss")
        >>> running.take((0, 10, {"loss": (values.Kind.FLOAT, 0)}, (0.5,)))
        >>> running.entries()
        {'loss': 0.5}
        """
        self._rows.append(row)
        if len(self._rows) == _AT_MOST:
            for state in self._series.values():
                state.settle()
            self._rows.clear()

    def apply(self, stamp: int, op: str, key: str, stored: Stored) -> None:
        """Take in a statement: edit, erase or define; others do not matter here.

        >>> running = RunningSummary(session=1)
        >>> running.apply(10, "edit", "note", values.store("a", name="note"))
        >>> running.apply(5, "edit", "note", values.store("said before", name="note"))
        >>> running.entries()
        {'note': 'a'}
        """
        if op == StatementKind.DEFINE:
            self.define(stamp, self._session, stored.text or "")
        elif op in (StatementKind.EDIT, StatementKind.ERASE):
            self._names.add([key])
            before = self._events.get(key)
            written = before.written if before else -1
            written = max(written, stamp) if op == StatementKind.EDIT else written
            if before is None or stamp >= before.at:
                self._events[key] = _Event(stamp, stored if op == StatementKind.EDIT else None, written)
            else:
                self._events[key] = before._replace(written=written)

    def define(self, stamp: int, session: int, text: str) -> None:
        """Take in a definition that was said in any session, of the run or the lake.

        >>> running = RunningSummary(session=1)
        >>> running.series("loss").add(0, 10, values.Kind.FLOAT, 0.5)
        >>> running.define(20, 7, '{"name":"loss","summary":["min"]}')
        >>> running.entries()
        {'loss': {'min': 0.5}}
        """
        self._statements.extend((stamp, session, statement) for statement in readable([text]))
        self._statements.sort(key=lambda item: item[:2])
        self._definitions = Definitions(statement for _, _, statement in self._statements)
        kinds = {kind for definition in self._definitions.values() for kind in definition.kinds}
        self._ranked = any(map(statistics.needs_points, kinds))

    def entries(self, name: str | None = None) -> dict[str, Any] | None:
        """Return the entries by full name: all, or those at, above and under one.

        None where only the points have them: a series is late, or its definition asks for a statistic that no running
        state holds.

        >>> running = RunningSummary(session=1)
        >>> for name in ("train", "train.loss", "lr"):
        ...     running.series(name).add(0, 10, values.Kind.FLOAT, 0.5)
        >>> running.entries("lr"), running.entries("train")
        ({'lr': 0.5}, {'train': 0.5, 'train.loss': 0.5})
        """
        names = self._names
        wanted = [*names] if name is None else [*naming.parents(name), name, *names.under(name)]
        related = wanted if name is None else [*wanted, *names.relatives(wanted)]
        states = self._series
        for member in related:
            if member in states and (states[member].late or self._needs_points(member)):
                return None
        entries = {}
        for key in sorted(wanted):
            entry = self._shown(key)
            if entry is not _ABSENT:
                entries[key] = entry
        return entries

    def _needs_points(self, name: str) -> bool:
        if not self._ranked:
            return False
        definition = self._definitions.resolve(name)
        return definition is not None and any(map(statistics.needs_points, definition.kinds))

    def _shown(self, name: str) -> Any:
        """Return the entry of just this name, as `Summaries.of_run` has it."""
        event, state = self._events.get(name), self._series.get(name)
        ts = None if state is None else state.ts
        if event is not None and (ts is None or event.at > ts):
            if event.stored is None or self._is_hidden(name, event.at):
                return _ABSENT
            return values.restore(*event.stored)
        if state is None or ts is None or self._is_hidden(name, ts):
            return _ABSENT
        return self._view(name, state)

    def _view(self, name: str, state: RunningState) -> Any:
        """Return the entry of a series as its definition shapes it."""
        definition = self._definitions.resolve(name)
        if definition is None or not (definition.none or definition.kinds):
            return state.last
        entry = None if definition.none else shape(definition, state.counted().statistic)
        if entry is None:
            return state.last if shows_last(definition) else _ABSENT
        return entry

    def _is_hidden(self, name: str, at: int) -> bool:
        relatives = list(self._names.relatives([name]))
        return bool(relatives) and name_hiding.is_hidden(
            name, at, {relative: self._stamps(relative) for relative in relatives}, self._names
        )

    def _stamps(self, name: str) -> Stamps:
        """Return when a name was written last, by hand or by a row, and erased last."""
        event, state = self._events.get(name), self._series.get(name)
        logged = -1 if state is None or state.ts is None else state.ts
        if event is None:
            return Stamps(logged, -1)
        return Stamps(max(logged, event.written), event.at if event.stored is None else -1)
