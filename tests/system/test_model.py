"""Generated sequences against a model: the rules of rows, names, values, definitions and edits, read literally.

The model keeps every point and edit that was ever made, and computes each answer from all of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracklake as tl
from tracklake.schema import values
from tracklake.schema.definition_statement import Statement, statement
from tracklake.schema.definitions import Definitions, MetricDefinition

NAMES = st.sampled_from(["a", "a.b", "x", ".x", "e"])
VALUES = st.sampled_from([0.5, 1e16, -1e16, math.nan, math.inf, 3, True, "text", "text", None, None])
KINDS = st.sampled_from([{"min"}, {"max", "mean"}, {"sum", "median"}, {"last"}, {"first", "count"}, {"none"}])
DEFINED = st.sampled_from(["*", "*", "a*", "a", "a.b", "x", "e"])
COMMITS = st.sampled_from([None, None, True, False])
OPERATIONS = st.one_of(
    st.tuples(st.just("log"), st.dictionaries(NAMES, VALUES, max_size=3), st.none() | st.integers(0, 4), COMMITS),
    st.tuples(st.just("log"), st.dictionaries(NAMES, VALUES, max_size=3), st.none() | st.integers(0, 4), COMMITS),
    st.tuples(st.just("edit"), st.dictionaries(NAMES, VALUES, min_size=1, max_size=2)),
    st.tuples(st.just("edit elsewhere"), st.dictionaries(NAMES, VALUES, min_size=1, max_size=2)),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("define"), DEFINED, KINDS),
    st.tuples(st.just("lake define"), DEFINED, KINDS),
    st.tuples(st.just("step metric"), st.sampled_from(["a", "x"]), st.just("e")),
    st.just(("resume",)),
    st.tuples(st.just("rewind"), st.integers(0, 5)),
)
GONE = object()


class Point(NamedTuple):
    """One value that was logged; GONE where a relative of the name replaced it."""

    session: int
    at: int
    step: int
    name: str
    value: Any


class Edit(NamedTuple):
    """One entry that was set, or erased (None)."""

    session: int
    at: int
    name: str
    value: Any


def is_under(name: str, above: str) -> bool:
    return name.startswith(f"{above}.")


def are_related(a: str, b: str) -> bool:
    return is_under(a, b) or is_under(b, a)


@dataclass
class Model:
    """What was said of one run, in order."""

    points: list[Point] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    session: int = 0
    at: int = 0
    step: int = 0
    rows: set[int] = field(default_factory=set)
    """The steps of all rows, empty ones as well: `finish` commits what is pending."""

    def resolved(self) -> dict[str, dict[int, Point]]:
        """Return the points that count, by name and step."""
        latest: dict[str, dict[int, Point]] = {}
        for point in self.points:
            latest.setdefault(point.name, {})[point.step] = point
        counting = {name: {s: p for s, p in steps.items() if p.value is not GONE} for name, steps in latest.items()}
        return {name: dict(sorted(steps.items())) for name, steps in counting.items() if steps}

    def log(self, row: dict[str, Any], step: int | None, commit: bool | None) -> None:
        """Rules 2, 3, 9 and 21."""
        self.at += 1
        at_step = self.step if step is None else step
        self.rows.add(at_step)
        there = {name: steps[at_step] for name, steps in self.resolved().items() if at_step in steps}
        row = self.filled(row, set(there))
        gone = [name for name in there if name not in row and any(are_related(name, new) for new in row)]
        self.points += [Point(self.session, self.at, at_step, name, value) for name, value in row.items()]
        self.points += [Point(self.session, self.at, at_step, name, GONE) for name in gone]
        if at_step >= self.step:
            self.step = at_step + (commit if commit is not None else step is None)

    def filled(self, row: dict[str, Any], there: set[str]) -> dict[str, Any]:
        """Return the row with the latest numbers of the step metrics that it lacks."""
        row, waiting = dict(row), list(row)
        while waiting:
            definition = Definitions(self.statements).resolve(waiting.pop())
            axis = definition.step_metric if definition else None
            if axis and axis not in row and axis not in there:
                logged = [p for p in self.resolved().get(axis, {}).values() if type(p.value) in (int, float)]
                row[axis] = max(logged, key=lambda p: p.at).value if logged else 0
                waiting.append(axis)
        return row

    def edit(self, entries: dict[str, Any]) -> None:
        """Rules 24 to 26; what stands above a name as a dict is taken apart, so that siblings stay."""
        self.at += 1
        shown = self.entries()
        apart = [(above, shown[above]) for name in entries for above in shown if is_under(name, above)]
        parts = {f"{above}.{part}": v for above, entry in apart if isinstance(entry, dict) for part, v in entry.items()}
        self.edits += [Edit(self.session, self.at, name, value) for name, value in {**parts}.items()]
        self.edits += [Edit(self.session, self.at, name, value) for name, value in entries.items()]

    def rewind(self, step: int) -> None:
        """Rule 29: what the sessions so far logged from the step on, and all that they edited, is gone."""
        self.points = [point for point in self.points if point.step < step]
        self.rows = {row for row in self.rows if row < step}
        self.edits = []
        self.step = step

    def entries(self) -> dict[str, Any]:
        """Return the summary by full name."""
        return dict(self._entries())

    def _entries(self) -> Iterator[tuple[str, Any]]:
        resolved = self.resolved()
        logged = {name: [p for p in steps.values() if p.value is not None] for name, steps in resolved.items()}
        written = {name: max(p.at for p in points) for name, points in logged.items() if points}
        by_hand = {edit.name: edit for edit in self.edits}
        definitions = Definitions(self.statements)
        for name in sorted({*written, *by_hand}):
            edit = by_hand.get(name)
            at = max(written.get(name, -1), edit.at if edit else -1)
            hidden = any(
                self._hides(other, name, at, written.get(other, -1)) for other in {*written, *by_hand} - {name}
            )
            if hidden:
                continue
            if edit is None or written.get(name, -1) >= edit.at:
                entry = shaped(definitions.resolve(name), logged[name])
            else:
                entry = edit.value
            if entry is not None:
                yield name, entry

    def _hides(self, other: str, name: str, at: int, written: int) -> bool:
        """Say whether another name hides an entry: one above written or erased later, or one under it written later."""
        acts = [edit for edit in self.edits if edit.name == other]
        later = [written, *(edit.at for edit in acts if edit.value is not None)]
        if is_under(name, other):
            later += [edit.at for edit in acts]
        return are_related(name, other) and max(later) > at


def shaped(definition: MetricDefinition | None, points: list[Point]) -> Any:
    """Return the entry of a series as its definition shapes it; rules 14 to 16 and 22."""
    if definition is None or not (definition.none or definition.kinds):
        return points[-1].value
    if definition.none:
        return None
    numbers = [float(p.value) for p in points if isinstance(p.value, int | float) and not math.isnan(p.value)]
    found: dict[str, Any] = {"count": len(numbers), "first": points[0].value, "last": points[-1].value}
    if numbers:
        total = math.fsum(numbers) if all(map(math.isfinite, numbers)) else sum(numbers)
        found |= {"min": min(numbers), "max": max(numbers), "sum": total, "mean": total / len(numbers)}
        found["median"] = statistics.median(numbers)
    entry = {kind: found[kind] for kind in definition.kinds if kind in found}
    return entry or (points[-1].value if "*" in definition.name else None)


def same(a: Any, b: Any) -> bool:
    """Compare by type and value; NaN is NaN, and a sum may be off by a rounding of the largest number."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12)
    return type(a) is type(b) and a == b


def perform(run: tl.Run, lake: tl.Lake, model: Model, operation: tuple[Any, ...]) -> tl.Run:
    """Do one thing to the run and to the model; return the run as it goes on."""
    match operation:
        case ("log", row, step, commit):
            run.log(row, step=step, commit=commit)
            model.log(row, step, commit)
        case ("edit", entries):
            model.edit(entries)
            run.summary.update(entries)
        case ("edit elsewhere", entries):
            model.edit(entries)
            lake.run("r").summary.update(entries)
        case ("delete", name) if name in model.entries():
            model.edit({name: None})
            del run.summary[name]
        case ("define" | "lake define", name, kinds):
            model.statements.append(statement(name, summary=kinds))
            (run if operation[0] == "define" else lake).define_metric(name, summary=kinds)
        case ("step metric", name, axis) if name != axis:
            model.statements.append(statement(name, step_metric=axis))
            run.define_metric(name, step_metric=axis)
        case ("resume" | "rewind", *step):
            return go_on(run, lake, model, *step)
    return run


def go_on(run: tl.Run, lake: tl.Lake, model: Model, step: int | None = None) -> tl.Run:
    """End the session and begin another one, from a step if one is given."""
    run.finish()
    model.session += 1
    model.step = 1 + max(model.rows, default=-1)
    if step is not None:
        step = min(step, model.step)
        model.rewind(step)
    return tl.init("p", id="r", dir=lake.dir, resume="must", from_step=step, settings={"metadata": False})


def rows(lake: tl.Lake) -> dict[str, dict[int, Any]]:
    """Return the history by name and step."""
    found: dict[str, dict[int, Any]] = {}
    points = lake.scan_history(runs="r").select("step", "metric", *values.STORED).sort("step").collect()
    for step, name, *stored in points.iter_rows():
        found.setdefault(name, {})[step] = values.restore(*stored)
    return found


def without_times(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if name not in ("_step", "_timestamp", "_runtime")}


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=settings().max_examples * 5 // 4)
@given(operations=st.lists(OPERATIONS, min_size=1, max_size=14))
def test_summary_and_history_are_those_of_the_model(operations):
    """After everything, the live summary, the lake's, and the history are what the rules say."""
    with TemporaryDirectory() as folder:
        run = tl.init("p", id="r", dir=folder, settings={"metadata": False})
        lake, model = tl.open(folder), Model()
        for operation in operations:
            run = perform(run, lake, model, operation)
            live = without_times(run._logged.entries(None))
            assert same(live, model.entries()), (live, model.entries())
        stored = without_times(lake._view.runs.summaries.of_run("r"))
        assert same(stored, model.entries())
        wanted = {name: {s: p.value for s, p in steps.items()} for name, steps in model.resolved().items()}
        assert same(rows(lake), wanted)
        run.finish()
