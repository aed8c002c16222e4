"""What does not matter: the order of definitions, where sessions are cut; and what does: which word came last."""

from __future__ import annotations

import math
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import tracklake as tl

NAMES = ("a", "b/x", "b/y")
NUMBERS = st.sampled_from([1.0, 2.5, -3.0, math.nan, math.inf, 7])
ROWS = st.lists(st.dictionaries(st.sampled_from(NAMES), NUMBERS | st.sampled_from([None, "t"])), min_size=1, max_size=6)
DEFINITIONS = st.dictionaries(
    st.sampled_from(["a", "b/x", "b/*", "*"]),
    st.lists(st.sampled_from(["min", "max", "mean", "last", "first", "count", "sum", "std"]), min_size=1, max_size=3),
)
EDITS = st.tuples(st.sampled_from(["set", "delete", "log"]), st.sampled_from(["a", "b"]), st.integers(0, 9))


def entries(folder: str, run_id: str = "r") -> dict[str, Any]:
    """Return a run's summary without what every run has."""
    found = tl.open(folder).run(run_id).summary._json_dict
    return {key: value for key, value in found.items() if not key.startswith("_")}


def same(a: Any, b: Any) -> bool:
    """Compare entries: NaN is NaN, and sums may differ in their last bits."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
    return type(a) is type(b) and a == b


@settings(max_examples=settings().max_examples // 5)
@given(rows=ROWS, definitions=DEFINITIONS, order=st.randoms(use_true_random=False), at=st.integers(0, 6))
def test_when_and_in_which_order_metrics_are_defined_does_not_matter(rows, definitions, order, at):
    """Definitions of different names in any order, before, between or after the rows, give the same summary."""
    shuffled = list(definitions.items())
    order.shuffle(shuffled)
    with TemporaryDirectory() as folder:
        for run_id, said, moment in (("first", list(definitions.items()), 0), ("later", shuffled, min(at, len(rows)))):
            with tl.init("p", id=run_id, dir=folder) as run:
                for step, row in enumerate([*rows, None]):
                    for name, kinds in said if step == moment else ():
                        run.define_metric(name, summary=kinds)
                    if row is not None:
                        run.log(row)
        assert same(entries(folder, "first"), entries(folder, "later"))


@settings(max_examples=settings().max_examples // 5)
@given(rows=ROWS, definitions=DEFINITIONS, cuts=st.sets(st.integers(1, 5)), seal=st.booleans())
def test_where_sessions_are_cut_does_not_matter(rows, definitions, cuts, seal):
    """One session or several, sealed in between or not: history and summary are the same."""
    with TemporaryDirectory() as whole, TemporaryDirectory() as cut:
        for folder, places in ((whole, set()), (cut, cuts)):
            run = tl.init("p", id="r", dir=folder)
            for name, kinds in definitions.items():
                run.define_metric(name, summary=kinds)
            for step, row in enumerate(rows):
                if step in places:
                    run.finish()
                    if seal:
                        tl.open(folder).refresh()
                    run = tl.init("p", id="r", dir=folder, resume="must")
                run.log(row)
            run.finish()
        histories = [tl.open(folder).run("r").history().drop("_timestamp", "_runtime") for folder in (whole, cut)]
        assert histories[0].equals(histories[1])
        assert same(entries(whole), entries(cut))


class Model:
    """The entry of each key is what was said of it last: a value set, nothing once deleted, or the last row's."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.highest: dict[str, int] = {}

    def say(self, what: str, key: str, value: int) -> None:
        if what == "delete":
            self.entries.pop(key, None)
        elif what == "set":
            self.entries[key] = value
        else:
            self.highest[key] = max(value, self.highest.get(key, value))
            self.entries[key] = {"max": float(self.highest[key]), "last": value}


@settings(max_examples=settings().max_examples // 5)
@given(operations=st.lists(st.tuples(EDITS, st.booleans()), min_size=1, max_size=12))
def test_the_entry_is_what_was_said_last(operations):
    """Edits, deletions and rows in any order, from here and from elsewhere, over any number of sessions."""
    model = Model()
    with TemporaryDirectory() as folder:
        run = tl.init("p", id="r", dir=folder)
        run.define_metric("*", summary="max,last")
        for (what, key, value), elsewhere in operations:
            summary = tl.open(folder).run("r").summary if elsewhere else run.summary
            if what == "log" and elsewhere:
                run.finish()
                run = tl.init("p", id="r", dir=folder, resume="must")
            if what == "log":
                run.log({key: value})
            elif what == "set":
                summary[key] = value
            else:
                summary.pop(key, None)
            model.say(what, key, value)
            live = run.summary._json_dict
            assert {key: live[key] for key in live if not key.startswith("_")} == model.entries
        run.finish()
        assert entries(folder) == model.entries
