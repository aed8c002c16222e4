"""The rows of one session: what `log` is given becomes frames, at the step and in the row where it belongs."""

from __future__ import annotations

from struct import error as struct_error
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.compute.name_hiding import NameFamilies
from tracklake.compute.points import PSEUDO
from tracklake.errors import FileMissingError, UnstorableValueError
from tracklake.schema import values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import GONE, Kind, Stored
from tracklake.storage.journal import frame_format
from tracklake.tracking.artifacts.media import recognition
from tracklake.tracking.checked_row import INT64, CheckedRow
from tracklake.tracking.replaced_values import ReplacedValues

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tracklake.schema.definitions import Definitions
    from tracklake.storage.journal.frame_format import KeySet
    from tracklake.storage.journal.open_file import OpenFile
    from tracklake.storage.journal.writer import Journal
    from tracklake.tracking.read_your_writes import ReadYourWrites
    from tracklake.tracking.session import Session

_LETTERS = {kind: letter for letter, kind in frame_format.KIND_OF_LETTER.items()}


class _Plan(NamedTuple):
    """What to do with rows of the same keys and types: pack them as this key set, in the file that declares it."""

    names: list[str]
    types: list[type]
    key_set: KeySet
    file: OpenFile
    tracked: tuple[str, ...]
    """Step metrics among the keys, whose latest number later rows may need."""
    related: bool
    """Whether names above or under the keys were logged: an open row may have some."""


class RowWriter:
    """Turns log calls into frames of a journal: the current step, the open row, and the step metrics that rows lack.

    Rows whose keys and types were seen before are packed by a plan, which is one struct call; all others take the
    long way, where names are flattened, values checked and step metrics filled in. What is remembered of a row is
    remembered after it is written: whatever interrupts a call, a later row relies on nothing that is not in the file.
    """

    def __init__(
        self,
        session: Session,
        logged: ReadYourWrites,
        *,
        step: int,
        definitions: Definitions,
        contested: int = 0,
        names: Iterable[str] = (),
    ) -> None:
        """Start at a step; other sessions have logged `names`, and rows below `contested` may replace their values."""
        self.step = step
        self._session = session
        self._logged = logged
        self._definitions = definitions
        self._watch = ReplacedValues(session, logged, contested=contested)
        self._recovery = self._complete
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self._plans_file: OpenFile | None = None
        self._last_plan: _Plan | None = None
        self._latest: dict[str, Stored] = {}
        self._row: list[Iterable[str]] = []
        self._families = NameFamilies(names)

    def define(self, definitions: Definitions) -> None:
        """Take over the definitions in force: they name the step metrics.

        >>> from tracklake.schema.definition_statement import statement
        >>> from tracklake.schema.definitions import Definitions
        >>> with tl.init() as run:
        ...     run._rows.define(Definitions([statement("loss", step_metric="epoch")]))
        ...     run.log({"epoch": 3})
        ...     run.log({"loss": 0.5})  # lacks its step metric
        >>> tl.open().history("epoch")["value"].to_list()
        [3.0, 3.0]
        """
        self._definitions = definitions
        self.forget_plans()
        self._latest = {name: number for name, number in self._latest.items() if name in definitions.step_metrics}

    def forget_plans(self) -> None:
        """Take the long way with every row until its keys are known anew.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     before = len(run._rows._plans)
        ...     run._rows.forget_plans()
        ...     before, len(run._rows._plans)
        (1, 0)
        """
        self._plans = {}
        self._last_plan = None

    def log(self, data: Mapping[str, Any], step: int | None, *, commit: bool | None) -> None:
        """Append a row; see `Run.log`.

        >>> with tl.init() as run:
        ...     run._rows.log({"loss": 0.5}, 10, commit=True)
        ...     run._rows.step
        11
        """
        session = self._session
        journal = session.journal
        plan = self._plan_of(data)
        at = self.step if step is None else step
        if plan is None or journal is None or plan.file is not journal.file:
            self.write(self.checked(data, step, commit=commit))
            return
        is_checked_step = step is not None and (type(step) is not int or (step < self.step and self._watch.is_on))
        if is_checked_step or at < self._watch.contested or (plan.related and self._is_open(at)):
            self.write(self.checked(data, step, commit=commit))
            return
        try:
            frame = plan.key_set.row(journal.clock.tick(), at, data.values())  # type: ignore[arg-type]
        except struct_error:  # an int beyond int64
            self.write(self.checked(data, step, commit=commit))
            return
        commit = step is None if commit is None else commit
        names = plan.key_set.names
        file = journal.file
        n_pending = journal.pending.n_bytes
        session.turn.recovery = (self._recovery, at, names, commit, file, file.size, n_pending, None)  # see `_complete`
        journal.append(frame)
        for name in plan.tracked:
            self._latest[name] = values.store(data[name], name=name)
        if commit and at == self.step and not self._row:
            self.step = at + 1
        else:
            self._advance(at, names, commit=commit)

    def write(self, row: CheckedRow) -> None:
        """Append a row of which the keys or types are new, or that has values that do not go into a packed row.

        >>> with tl.init() as run:
        ...     run._rows.write(run._rows.checked({"a": 1}, 3, commit=False))
        >>> tl.open().history("a").select("step", "value").rows()
        [(3, 1.0)]
        """
        journal = self._session.open()
        at = self.step if row.step is None else row.step
        if at not in INT64:
            msg = f"the row after step {at - 1} would be beyond the range of a 64-bit integer"
            raise ValueError(msg)
        stored = self._synced(row.values, at)
        names = tuple(stored)
        if self._families.add(names):
            self.forget_plans()
        stored |= dict.fromkeys(self._masked(names, at), GONE)
        if self._watch.is_on and (at < self.step or at < self._watch.contested):
            self._watch.check(stored, at)
        journal.settle()
        position = (journal.file, journal.file.size, journal.pending.n_bytes)
        self._session.turn.recovery = (self._recovery, at, names, row.commit, *position, row)
        key_set = self._append(journal, at, stored or {"_step": Stored(Kind.INT, float(at), at, None)})
        self._advance(at, names, commit=row.commit)
        row.is_written = True
        if key_set is not None:
            self._remember(row, *key_set)

    def replay(self, rows: Iterable[tuple[int, dict[str, Stored]]]) -> None:
        """Append rows that another run logged, as they are.

        >>> with tl.init() as run:
        ...     run._rows.replay([(3, {"loss": values.store(0.5, name="loss")})])
        >>> tl.open().history("loss").select("step", "value").rows()
        [(3, 0.5)]
        """
        journal = self._session.open()
        for at, row in rows:
            self._families.add(row)
            self._append(journal, at, row)

    def checked(self, data: Mapping[str, Any], step: int | None, *, commit: bool | None) -> CheckedRow:
        """Return the stored form of a row; a value that has none is left out with a warning. Raises as `Run.log`.

        >>> with tl.init() as run:
        ...     list(run._rows.checked({"loss": 0.5, "a": {"b": 1}}, None, commit=None).values)
        ['loss', 'a.b']
        """
        row = CheckedRow(data, step, commit=commit, write=self.write)
        storage = self._session.storage
        for name, value in row.flat.items():
            try:
                row.values[name] = values.store(recognition.entry_of(value, lake=storage), name=name)
            except (UnstorableValueError, FileMissingError) as error:
                message = f"tracklake: {error}; this value is left out, the rest of the row is kept"
                self._session.warn_once(name, message)
        return row

    def _complete(
        self,
        at: int,
        names: Iterable[str],
        commit: bool,  # noqa: FBT001 - a recovery has positions only
        file: OpenFile,
        size: int,
        n_pending: int,
        row: CheckedRow | None,
    ) -> None:
        """Go on after a row that was cut: its step is over if it is in the file, or pending."""
        journal = self._session.journal
        if journal is None:
            return
        journal.settle()
        if journal.file is not file or file.size != size or journal.pending.n_bytes != n_pending:
            self._latest.clear()  # looked up again
            self._advance(at, names, commit=commit)
            if row is not None:
                row.is_written = True

    def _plan_of(self, data: Mapping[str, Any]) -> _Plan | None:
        """Return the plan for rows of these keys and types."""
        try:
            names, types = [*data], [*map(type, data.values())]
            plan = self._last_plan
            if plan is None or names != plan.names or types != plan.types:  # to hash them would take twice as long
                plan = self._last_plan = self._plans.get((*names, *types))
        except (AttributeError, TypeError):
            return None
        return plan

    def _advance(self, at: int, names: Iterable[str], *, commit: bool) -> None:
        """Move the current step, and remember what the open row holds."""
        if at < self.step:
            return
        if at > self.step:
            self._row.clear()
        if commit:
            self.step = at + 1
            self._row.clear()
        else:
            self.step = at
            self._row.append(names)

    def _append(self, journal: Journal, at: int, row: dict[str, Stored]) -> tuple[OpenFile, KeySet] | None:
        """Append a row: its numbers and bools packed, the rest as a statement. Return its key set if all is packed."""
        for axis in self._definitions.step_metrics.intersection(row):
            self._latest.pop(axis, None)  # what is no number now, or gone, may have been the latest number
        packed = {name: stored for name, stored in row.items() if stored.kind in _LETTERS and name != "_step"}
        unpacked = [(name, stored) for name, stored in row.items() if name not in packed]
        stamp = journal.clock.tick()
        more = frame_format.statement(stamp, StatementKind.ROW, unpacked, step=at) if unpacked else b""
        if not packed:
            journal.append(more)
            return None
        letters = "".join(_LETTERS[s.kind] for s in packed.values())
        numbers = [frame_format.plain(stored) for stored in packed.values()]
        declared = journal.append_row(stamp, at, tuple(packed), letters, numbers, more=more)
        axes = self._definitions.step_metrics
        self._latest |= {name: s for name, s in packed.items() if name in axes and s.kind != Kind.BOOL}
        return None if unpacked else declared

    def _synced(self, row: dict[str, Stored], at: int) -> dict[str, Stored]:
        """Add the latest numbers of the step metrics that the row's metrics need and it lacks, chains resolved."""
        if not self._definitions.step_metrics:
            return row
        synced = dict(row)
        waiting = list(row)
        while waiting:
            axis = self._axis(waiting.pop())
            if axis is None or axis in synced or self._holds(axis, at):
                continue
            synced[axis] = self._number(axis)
            waiting.append(axis)
        return synced

    def _axis(self, name: str) -> str | None:
        """Return the step metric that a row with this metric is to have."""
        definition = self._definitions.resolve(name)
        axis = definition.step_metric if definition is not None and definition.step_sync else None
        return None if axis in PSEUDO else axis

    def _lacks_an_axis(self, names: Collection[str]) -> bool:
        """Tell whether such rows need a step metric that they do not bring: this one's may have been logged before."""
        return bool(self._definitions.step_metrics) and not {None, *names}.issuperset(map(self._axis, names))

    def _number(self, axis: str) -> Stored:
        """Return the latest number of a step metric, also one that was logged before it was known to be one."""
        if axis not in self._latest:
            self._latest[axis] = self._logged.value(axis, None) or Stored(Kind.INT, 0.0, 0, None)
        return self._latest[axis]

    def _holds(self, name: str, at: int) -> bool:
        """Tell whether the row of a step that is not over has a value of this name."""
        if at < self.step:
            return self._logged.value(name, at) is not None
        return at == self.step and any(name in names for names in self._row)

    def _is_open(self, at: int) -> bool:
        """Tell whether the row of this step may hold something already."""
        return at < self.step or (at == self.step and bool(self._row))

    def _masked(self, names: Collection[str], at: int) -> Iterator[str]:
        """Yield the names above or under these that the open row holds: this call replaces them."""
        if not self._is_open(at):
            return
        for name in self._families.relatives(names):
            if name not in names and self._holds(name, at):
                yield name

    def _remember(self, row: CheckedRow, file: OpenFile, key_set: KeySet) -> None:
        """Let rows of these keys and types take the fast path, if they are packed just as they come."""
        names, types = row.keys, row.types
        letters = "".join(map(values.packed_as, types))
        if tuple(names) != key_set.names or letters != key_set.kinds or self._lacks_an_axis(names):
            return
        if self._plans_file is not file:
            self.forget_plans()
            self._plans_file = file
        axes = self._definitions.step_metrics
        tracked = tuple(n for n, kind in zip(names, key_set.kinds, strict=True) if n in axes and kind != "?")
        related = any(self._families.relatives(names))
        self._plans[*names, *types] = _Plan(names, types, key_set, file, tracked, related)
