"""The rows of one session: what `log` is given becomes frames, at the step and in the row where it belongs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from operator import index
from struct import error as struct_error
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.compute.points import PSEUDO
from tracklake.errors import FileMissingError, UnstorableValueError
from tracklake.media import recognition
from tracklake.schema import naming, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import Kind, Stored
from tracklake.storage.journal import frame_format

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from tracklake.schema.definitions import Definitions
    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.writer import Journal

_LETTERS = {kind: letter for letter, kind in frame_format.KINDS.items()}
_DISCARDED = ("_step", "_runtime")
_INT64 = range(-(1 << 63), 1 << 63)
_NOTHING = Stored(Kind.NULL, None, None, None)


class _Plan(NamedTuple):
    """What to do with rows of the same keys and types: pack them as this key set."""

    names: list[str]
    types: list[type]
    key_set: frame_format.KeySet
    tracked: tuple[str, ...]
    """Step metrics among the keys, whose latest number later rows may need."""
    related: bool
    """Whether names above or under the keys were logged: an open row may have some."""


class RowLog:
    """Turns log calls into frames of a journal: the current step, the open row, and the step metrics that rows lack.

    Rows whose keys and types were seen before are packed by a plan, which is one struct call; all others take the
    long way, where names are flattened, values checked and step metrics filled in.
    """

    def __init__(
        self,
        *,
        step: int,
        definitions: Definitions,
        journal: Callable[[], Journal],
        logged: Callable[[str, int | None], Stored | None],
        warn: Callable[[str, str], None],
        lake: Storage,
    ) -> None:
        """Start at a step.

        `journal` gives the journal, or raises if the run takes no more; `logged(metric, step)` looks up in the lake
        what was logged at a step, or with None the latest number; `warn(key, message)` warns once a key. `lake` is
        where the bytes of media go.
        """
        self.step = step
        self._definitions = definitions
        self._journal = journal
        self._logged = logged
        self._warn = warn
        self._lake = lake
        self._current: Journal | None = None
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self._last_plan: _Plan | None = None
        self._latest: dict[str, Stored] = {}
        self._row: list[Iterable[str]] = []
        self._families = _Families()

    def begin(self, journal: Journal) -> None:
        """Go on in a journal.

        >>> with tl.init() as run:
        ...     run._rows.end()
        ...     run._rows.begin(run._session.journal)
        ...     run.log({"loss": 0.5})
        >>> run.summary["loss"]
        0.5
        """
        self._current = journal
        self.forget()

    def forget(self) -> None:
        """Forget the key sets, which the journal has to declare anew.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     before = len(run._rows._plans)
        ...     run._rows.forget()
        ...     before, len(run._rows._plans)
        (1, 0)
        """
        self._plans.clear()
        self._last_plan = None

    def end(self) -> None:
        """Write no more to the journal; it is asked for again with the next row.

        >>> with tl.init() as run:
        ...     run._rows.end()
        ...     run.log({"loss": 0.5})  # asks for the journal
        >>> run.summary["loss"]
        0.5
        """
        self._current = None
        self.forget()

    def define(self, definitions: Definitions) -> None:
        """Take over the definitions in force: they name the step metrics.

        >>> from tracklake.schema.definitions import Definitions, statement
        >>> with tl.init() as run:
        ...     run._rows.define(Definitions([statement("loss", step_metric="epoch")]))
        ...     run.log({"epoch": 3})
        ...     run.log({"loss": 0.5})  # lacks its step metric
        >>> tl.open().history("epoch")["value"].to_list()
        [3.0, 3.0]
        """
        self._definitions = definitions
        self.forget()
        self._latest = {name: number for name, number in self._latest.items() if name in definitions.step_metrics}

    def log(self, data: Mapping[str, Any], step: int | None, *, commit: bool | None) -> None:
        """Append a row; see `Run.log`.

        >>> with tl.init() as run:
        ...     run._rows.log({"loss": 0.5}, 10, commit=True)
        ...     run._rows.step
        11
        """
        plan = self._plan_of(data)
        at = self.step if step is None else step
        if plan is None or self._current is None or type(at) is not int or (plan.related and self._is_open(at)):
            self._log_slowly(data, checked_step(step), commit=commit)
            return
        try:
            frame = plan.key_set.row(self._current.clock.tick(), at, data.values())  # type: ignore[arg-type]
        except struct_error:  # an int beyond int64
            self._log_slowly(data, checked_step(step), commit=commit)
            return
        self._current.append(frame)
        for name in plan.tracked:
            self._latest[name] = values.store(data[name], name=name)
        self._advance(at, plan.key_set.names, commit=step is None if commit is None else commit)

    def replay(self, rows: Iterable[tuple[int, dict[str, Stored]]]) -> None:
        """Append rows that another run logged, as they are.

        >>> with tl.init() as run:
        ...     run._rows.replay([(3, {"loss": values.store(0.5, name="loss")})])
        >>> tl.open().history("loss").select("step", "value").rows()
        [(3, 0.5)]
        """
        journal = self._journal()
        for at, row in rows:
            self._append(journal, at, row)

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

    def _log_slowly(self, data: Mapping[str, Any], step: int | None, *, commit: bool | None) -> None:
        """Log a row of which the keys or types are new, or that has values that do not go into a packed row."""
        journal = self._journal()
        if not isinstance(data, Mapping):
            msg = f"log takes a mapping of names to values, not {type(data).__name__}: run.log({{'loss': 0.5}})"
            raise TypeError(msg)
        at = self.step if step is None else step
        if at not in _INT64:
            msg = f"the row after step {at - 1} would be beyond the range of a 64-bit integer"
            raise ValueError(msg)
        flat = {_clean(name): value for name, value in naming.flatten(data).items() if name not in _DISCARDED}
        if self._families.meet(flat):
            self.forget()
        row = self._synced(self._stored(flat), at)
        row |= dict.fromkeys(self._replaced(flat, at), _NOTHING)
        key_set = self._append(journal, at, row or {"_step": Stored(Kind.INT, float(at), at, None)})
        if key_set is not None and len(row) == len(flat) == len(data):
            self._remember(data, key_set)
        self._advance(at, flat, commit=step is None if commit is None else commit)

    def _append(self, journal: Journal, at: int, row: dict[str, Stored]) -> frame_format.KeySet | None:
        """Append a row: its numbers and bools packed, the rest as a statement. Return its key set if all is packed.

        None as well where the file with the declaration has just ended.
        """
        packed = {name: stored for name, stored in row.items() if stored.kind in _LETTERS and name != "_step"}
        odd = [(name, stored) for name, stored in row.items() if name not in packed]
        stamp = journal.clock.tick()
        frames = []
        key_set = None
        if packed:
            letters = "".join(_LETTERS[s.kind] for s in packed.values())
            key_set, declaration = journal.declare(tuple(packed), letters)
            frames.append(
                declaration + key_set.row(stamp, at, [frame_format.plain(stored) for stored in packed.values()])
            )
        if odd:
            frames.append(frame_format.statement(stamp, StatementKind.ROW, odd, step=at))
        journal.append(b"".join(frames))
        axes = self._definitions.step_metrics
        self._latest |= {name: s for name, s in packed.items() if name in axes and s.kind != Kind.BOOL}
        # the append may have ended the file: then no row of the next one may count on what this one declared
        return None if odd or key_set is None or not journal.declares(key_set) else key_set

    def _stored(self, flat: Mapping[str, Any]) -> dict[str, Stored]:
        row = {}
        for name, value in flat.items():
            try:
                row[name] = values.store(recognition.entry_of(value, lake=self._lake), name=name)
            except (UnstorableValueError, FileMissingError) as error:
                self._warn(name, f"tracklake: {error}; this value is left out, the rest of the row is kept")
        return row

    def _synced(self, row: dict[str, Stored], at: int) -> dict[str, Stored]:
        """Add the latest numbers of the step metrics that the row's metrics need and it lacks, chains resolved."""
        if not self._definitions.step_metrics:
            return row
        found = dict(row)
        waiting = list(row)
        while waiting:
            axis = self._axis(waiting.pop())
            if axis is None or axis in found or self._holds(axis, at):
                continue
            found[axis] = self._number(axis)
            waiting.append(axis)
        return found

    def _axis(self, name: str) -> str | None:
        """Return the step metric that a row with this metric is to have."""
        definition = self._definitions.resolve(name)
        axis = definition.step_metric if definition is not None and definition.step_sync else None
        return None if axis in PSEUDO else axis

    def _lacks_an_axis(self, names: Collection[str]) -> bool:
        """Tell whether such rows need a step metric that they do not bring: this one's may have been said before."""
        return bool(self._definitions.step_metrics) and not {None, *names}.issuperset(map(self._axis, names))

    def _number(self, axis: str) -> Stored:
        """Return the latest number of a step metric, also one that was logged before it was known to be one."""
        if axis not in self._latest:
            self._latest[axis] = self._logged(axis, None) or Stored(Kind.INT, 0.0, 0, None)
        return self._latest[axis]

    def _holds(self, name: str, at: int) -> bool:
        """Tell whether the row of a step that is not over has a value of this name."""
        if at < self.step:
            return self._logged(name, at) is not None
        return at == self.step and any(name in names for names in self._row)

    def _is_open(self, at: int) -> bool:
        """Tell whether the row of this step may hold something already."""
        return at < self.step or (at == self.step and bool(self._row))

    def _replaced(self, flat: Mapping[str, Any], at: int) -> Iterator[str]:
        """Yield what earlier calls for the row said above or under the names of this one: it is replaced by them."""
        if not self._is_open(at):
            return
        for name in self._families.relatives(flat):
            if name not in flat and self._holds(name, at):
                yield name

    def _remember(self, data: Mapping[str, Any], key_set: frame_format.KeySet) -> None:
        """Let rows of these keys and types take the fast path, if they are packed just as they come."""
        letters = "".join(values.packed_as(type(value)) for value in data.values())
        plain = letters == key_set.kinds and tuple(data) == key_set.names and type(data) is dict
        if plain and not self._lacks_an_axis(data):
            axes = self._definitions.step_metrics
            tracked = tuple(n for n, kind in zip(data, key_set.kinds, strict=True) if n in axes and kind != "?")
            related = any(self._families.relatives(data))
            names, types = [*data], [*map(type, data.values())]
            self._plans[*names, *types] = _Plan(names, types, key_set, tracked, related)


class _Families:
    """The names of a session that stand above or under each other, such as `a` and `a.b`."""

    def __init__(self) -> None:
        self._met: set[str] = set()
        self._under: dict[str, list[str]] = defaultdict(list)

    def meet(self, names: Iterable[str]) -> bool:
        """Take in the names of a row; tell whether a new one of them has relatives."""
        new = [name for name in names if name not in self._met]
        self._met.update(new)
        for name in new:
            for parent in naming.parents(name):
                self._under[parent].append(name)
        return any(self.relatives(new))

    def relatives(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the names met above and under these."""
        for name in names:
            yield from (parent for parent in naming.parents(name) if parent in self._met)
            yield from self._under.get(name, ())


def checked_step(step: object, name: str = "step") -> int | None:
    """Return a step as an int; numpy ints pass. TypeError for bool, float and str, ValueError beyond 64 bits.

    >>> checked_step(3), checked_step(None)
    (3, None)
    >>> checked_step(1.0)
    Traceback (most recent call last):
    TypeError: step must be an int, not float 1.0
    """
    if step is None:
        return None
    if isinstance(step, bool) or type(step).__name__ in ("bool", "bool_"):  # older numpy lets its bools be an index
        msg = f"{name} must be an int, not {step!r}"
        raise TypeError(msg)
    try:
        number = index(step)  # type: ignore[arg-type] # that is what is checked here
    except TypeError:
        msg = f"{name} must be an int, not {type(step).__name__} {step!r}"
        raise TypeError(msg) from None
    if number not in _INT64:
        msg = f"{name} {number} is beyond the range of a 64-bit integer"
        raise ValueError(msg)
    return number


def _clean(name: str) -> str:
    """Replace what is no text (lone surrogates) in a name."""
    return name.encode("utf-8", "replace").decode()
