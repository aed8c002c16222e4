"""Generated sequences of all that can happen to a run: what is read of it is the same wherever and whenever it is read.

There is no record to compare with. What must hold: the live summary, that of the lake, and its mapping are one; sealing
changes nothing; columns of the table of runs are the entries of the summary; and the full check finds nothing.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracklake as tl

EXAMPLES = settings().max_examples // 3
NAMES = st.sampled_from(["a", "a.b", "a.b.c", "a.d", "x", "", ".x", "e"])
LOGGED_NAMES = st.sampled_from(["a", "a.b", "a.b.c", "a.d", "x", ".x", "e"])
NUMBERS = st.sampled_from([0.5, -2.5, 1e16, -1e16, 0.1, 1e308, math.nan, math.inf, -math.inf, 3, -7, 2**53 + 1])
VALUES = NUMBERS | st.sampled_from([True, False, "text", None])
ROWS = st.dictionaries(LOGGED_NAMES, VALUES, max_size=3)
KINDS = st.sets(
    st.sampled_from(["min", "max", "mean", "std", "sum", "count", "first", "last", "none", "median"]), min_size=1
)
STEPS = st.none() | st.integers(0, 6)
OPERATIONS = st.one_of(
    st.tuples(st.just("log"), ROWS, STEPS, st.sampled_from([None, True, False])),
    st.tuples(st.just("log"), ROWS, STEPS, st.sampled_from([None, True, False])),
    st.tuples(st.just("log elsewhere"), ROWS, STEPS),
    st.tuples(
        st.just("set"), LOGGED_NAMES, VALUES | st.dictionaries(st.sampled_from(["b", "b.c"]), NUMBERS, max_size=2)
    ),
    st.tuples(st.just("update"), st.dictionaries(LOGGED_NAMES, VALUES, max_size=3)),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("set elsewhere"), LOGGED_NAMES, VALUES),
    st.tuples(st.just("define"), LOGGED_NAMES | st.sampled_from(["*", "a*"]), KINDS),
    st.tuples(st.just("define step metric"), LOGGED_NAMES | st.just("*"), st.just("e")),
    st.tuples(st.just("lake define"), LOGGED_NAMES | st.just("*"), KINDS),
    st.tuples(st.just("read"), NAMES),
    st.just(("seal",)),
    st.just(("resume",)),
    st.tuples(st.just("rewind"), st.integers(0, 7)),
    st.tuples(st.just("fork"), st.integers(0, 7)),
)
OTHER = """
import json, sys, warnings
import tracklake as tl

warnings.simplefilter("ignore")
folder, run = None, None
for line in sys.stdin:
    what, *rest = json.loads(line)
    if what == "log":
        if run is None:
            run = tl.init("p", id="r", dir=rest[0], settings={"metadata": False})
        run.log(rest[1], step=rest[2])
    elif what == "set":
        tl.open(rest[0]).run("r").summary[rest[1]] = rest[2]
    elif run is not None:
        run = run.finish()
    print("done", flush=True)
"""


class Elsewhere:
    """Another process, which writes the same run."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, *what: object) -> None:
        """Let it do something, and wait until it is done."""
        assert self._child.stdin
        assert self._child.stdout
        print(json.dumps(what), file=self._child.stdin, flush=True)
        assert self._child.stdout.readline() == "done\n"

    def end(self) -> None:
        """Let it end."""
        self._child.communicate()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """Return another process, for all examples."""
    other = Elsewhere()
    yield other
    other.end()


def same(a: Any, b: Any, *, within: float = 0.0) -> bool:
    """Compare by type and value; NaN is NaN, and a float may be off by a rounding of its last bits."""
    if isinstance(a, dict) and isinstance(b, dict):
        limits = {"_timestamp": 1e-6}  # of seconds since 1970
        return a.keys() == b.keys() and all(same(a[key], b[key], within=limits.get(key, within)) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12, abs_tol=within)
    return type(a) is type(b) and a == b


def plain(entry: Any) -> Any:
    """Return an entry, or a part of a summary, as plain values."""
    if hasattr(entry, "items"):
        return {key: plain(value) for key, value in entry.items()}
    return entry


def start(folder: str, **more: Any) -> tl.Run:
    """Start the run, without anything that is written at any moment."""
    return tl.init("p", id=more.pop("id", "r"), dir=folder, settings={"metadata": False}, **more)


def perform(run: tl.Run, lake: tl.Lake, elsewhere: Elsewhere, operation: tuple[Any, ...]) -> tl.Run:
    """Do one thing to the run, here or elsewhere; return the run as it goes on."""
    match operation:
        case ("log elsewhere", row, step):
            elsewhere.do("log", lake.dir, row, step)
        case ("set elsewhere", name, value):
            elsewhere.do("set", lake.dir, name, value)
        case ("seal",):
            lake.refresh()
        case ("resume",):
            run.finish()
            return start(lake.dir, resume="must")
        case ("rewind", step):
            run.finish()
            elsewhere.do("finish")
            return start(lake.dir, resume="must", from_step=min(step, last_step(lake) + 1))
        case ("fork", step) if "fork" not in lake.runs()["run_id"]:
            with start(lake.dir, id="fork", fork_from=("r", step), reinit="create_new") as fork:
                fork.log({"a": 1.0})
                assert same(plain(fork.summary), plain(lake.run("fork").summary))
        case _:
            write(run, lake, operation)
    return run


def write(run: tl.Run, lake: tl.Lake, operation: tuple[Any, ...]) -> None:
    """Log, edit or define something."""
    match operation:
        case ("log", row, step, commit):
            run.log(row, step=step, commit=commit)
        case ("set", name, value):
            run.summary[name] = value
        case ("update", values):
            run.summary.update(values)
        case ("delete", name) if name in run.summary:
            del run.summary[name]
        case ("define", name, kinds):
            run.define_metric(name, summary=kinds)
        case ("define step metric", name, axis):
            run.define_metric(name, step_metric=axis)
        case ("lake define", name, kinds):
            lake.define_metric(name, summary=kinds)
        case ("read", name):
            assert same(plain(run.summary.get(name)), plain(lake.run("r").summary.get(name)))


def last_step(lake: tl.Lake) -> int:
    """Return the last step of the run, -1 if it has none."""
    steps = lake.run("r").history()["_step"]
    return -1 if steps.is_empty() else int(steps.max())  # type: ignore[arg-type]


def check_columns(lake: tl.Lake, run_id: str) -> None:
    """The columns of the table of runs hold the entries of the summary, by their full names."""
    entries = lake._view.runs.summaries.of_run(run_id)
    shown = {name: value for name, value in entries.items() if not isinstance(value, list)}
    wanted = {
        f"summary.{name}" + (f".{part}" if part else ""): cell
        for name, value in shown.items()
        for part, cell in (value.items() if isinstance(value, dict) else [("", value)])
    }
    row = lake.runs(runs=[run_id], columns=list(wanted)).row(0, named=True) if wanted else {}
    for column, cell in wanted.items():
        held = row.get(f"{column}.text") if row[column] is None else row[column]
        assert same(float(held), float(cell)) if is_number(held) and is_number(cell) else held == cell, column


def is_number(value: object) -> bool:
    return isinstance(value, int | float)


def check(run: tl.Run, lake: tl.Lake) -> None:
    """What holds at any moment."""
    live, stored = plain(run.summary), plain(lake.run("r").summary)
    assert same(live, stored), (live, stored)
    assert same(live, plain(dict(run.summary)))
    assert same(live, run.summary._json_dict)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=EXAMPLES)
@given(operations=st.lists(OPERATIONS, min_size=1, max_size=16), often=st.booleans())
def test_whatever_happens_the_answers_agree(elsewhere, operations, often):
    """Live, lake, mapping and columns agree, before and after sealing, and the full check finds nothing."""
    with TemporaryDirectory() as folder:
        run = start(folder)
        lake = tl.open(folder)
        for operation in operations:
            run = perform(run, lake, elsewhere, operation)
            if often:
                check(run, lake)
        check(run, lake)
        elsewhere.do("finish")
        run.finish()
        before = plain(tl.open(folder).run("r").summary)
        history = tl.open(folder).history().sort("metric", "step")
        assert same(plain(run.summary), before)
        lake.refresh()
        after = tl.open(folder)
        assert same(plain(after.run("r").summary), before)
        assert after.history().sort("metric", "step").equals(history)
        for run_id in after.runs()["run_id"]:
            check_columns(after, run_id)
        assert after.check(full=True).findings == []
