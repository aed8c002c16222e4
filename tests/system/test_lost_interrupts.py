"""What a signal handler raises is never lost in a native library: a read answers rightly, or raises just that."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import operator
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from interrupter import Interrupter
from processes import start

import tracklake as tl

literals = importlib.import_module("polars.functions.lit")  # its name is that of a function too


class OddError(Exception):
    """One that cannot be made without arguments."""

    def __init__(self, one: str, two: int) -> None:
        super().__init__(one, two)


def odd(*_: object) -> None:
    raise OddError("odd", 2)


class Handler:
    """Handlers that are no functions."""

    def __call__(self, *_: object) -> None:
        raise OddError("odd", 2)

    def method(self, *_: object) -> None:
        raise OddError("odd", 2)


HANDLERS = {
    "ctrl-c": (signal.default_int_handler, KeyboardInterrupt),
    "function": (odd, OddError),
    "partial": (partial(odd, "given"), OddError),
    "object": (Handler(), OddError),
    "method": (Handler().method, OddError),
}


@pytest.fixture
def lake(tmp_path: Path) -> tl.Lake:
    """A lake with a run that is sealed and one that is not."""
    with tl.init("p", id="sealed", config={"lr": 0.1}, dir=tmp_path, settings={"metadata": False}) as run:
        run.log({"i": 1.0})
    tl.open(tmp_path).refresh()
    with tl.init("p", id="late", config={"lr": 0.2}, dir=tmp_path, settings={"metadata": False}) as run:
        run.log({"i": 2.0, "text": "x"})
    return tl.open(tmp_path)


@pytest.fixture
def handle() -> Iterator[Callable[[Any], None]]:
    before = signal.getsignal(signal.SIGUSR2)
    yield partial(signal.signal, signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, before)


class Tripping:
    """Native calls, one of which begins with a signal that is due: no line of Python lies between."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        self.begun = partial(ctypes.pythonapi.PyErr_SetInterruptEx, int(signal.SIGUSR2))
        monkeypatch.setattr(literals, "plr", SimpleNamespace(lit=partial(self.call, literals.plr.lit)))

    def call(self, native: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        self.left -= isinstance(args[0], str)
        first = self.begun if self.left == 0 and isinstance(args[0], str) else bool
        return list(map(operator.call, [first, partial(native, *args, **kwargs)]))[1]


def answers(lake: tl.Lake) -> list[object]:
    return [
        lake.history("i").select("run_id", "value").rows(),
        lake.runs(columns=["run_id", "summary.i"], order_by="run_id", where="config.lr > 0.15").rows(),
        lake.summaries(["i.median"]).sort("run_id").rows(),
        lake.run("late").config,
    ]


EXPECTED = [[("late", 2.0), ("sealed", 1.0)], [("late", 2.0)], [("late", 2.0), ("sealed", 1.0)], {"lr": 0.2}]


@pytest.mark.parametrize("name", HANDLERS)
def test_what_polars_loses_is_raised(lake: tl.Lake, handle, monkeypatch: pytest.MonkeyPatch, name: str):
    """At each text that polars takes for an expression: the very exception comes out, and the next answer is right."""
    handler, error = HANDLERS[name]
    handle(handler)
    at, is_over = 1, False
    assert answers(lake) == EXPECTED
    while not is_over:
        tripping = Tripping(monkeypatch, at)
        try:
            found = answers(tl.open(lake.dir))
        except error:
            assert tripping.left <= 0
        else:
            assert tripping.left > 0, f"text {at}: nothing was raised, and the answer is {found}"
        monkeypatch.undo()
        is_over = tripping.left > 0
        at += 3 if name == "ctrl-c" else 20
    assert answers(lake) == EXPECTED
    assert at > 10


RESULTS: dict[str, Callable[[tl.Lake], object]] = {
    "sweep": lambda lake: lake.sweep(metric="acc", goal="max"),
    "comparison": lambda lake: lake.compare("acc", by="lr", goal="max"),
    "plot": lambda lake: lake.plot.curves("acc", by="lr"),
    "run": lambda lake: lake.run("r3"),
}
ASKED: dict[str, Callable[[Any], object]] = {
    "sweep": lambda sweep: [sweep.best(2).rows(), sweep.losses.tolist(), sweep.importance(draws=2).rows(), repr(sweep)],
    "comparison": lambda comparison: [comparison.runs.rows(), comparison.to_markdown(), comparison._repr_html_()],
    "plot": lambda plot: [plot.spec["title"], plot.save("acc.svg").read_text()],
    "run": lambda run: [run.summary["acc"], dict(run.summary), run.config],
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """A lake of eight runs, each with another setting or seed."""
    folder = tmp_path_factory.mktemp("sweep")
    for i in range(8):
        with tl.init("p", id=f"r{i}", config={"lr": 0.1 * (i // 2), "depth": i % 4}, dir=folder) as run:
            run.log({"acc": i / 8}), run.log({"acc": i / 4})
    return tl.open(folder)


@pytest.mark.parametrize("name", RESULTS)
def test_what_polars_loses_is_raised_by_results(sweep: tl.Lake, handle, monkeypatch, tmp_path: Path, name: str):
    """At texts of questions to a sweep, comparison, plot and run: the exception comes out; the next answer is right."""
    handle(odd)
    monkeypatch.chdir(tmp_path)
    calm, at, is_over = ASKED[name](RESULTS[name](sweep)), 1, False
    while not is_over:
        result = RESULTS[name](sweep)
        with pytest.MonkeyPatch.context() as patch:
            tripping = Tripping(patch, at)
            try:
                assert ASKED[name](result) == calm
            except OddError:
                assert tripping.left <= 0
            else:
                assert tripping.left > 0, f"text {at}: nothing was raised"
        assert ASKED[name](result) == calm
        is_over = tripping.left > 0
        at += 1 + at // 3
    assert at > 1


def test_polars_loses_what_a_handler_raises(handle, monkeypatch: pytest.MonkeyPatch):
    """Why all this: without it the literal is another text, and nothing is raised."""
    handle(odd)
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_type))
    Tripping(monkeypatch, 1)
    assert pl.select(pl.lit("loss")).item() != "loss"
    assert reported == [OddError]


STORM = """
import faulthandler


def interrupt(signum, frame):
    global left
    if left > 0:
        left -= 1
        raise KeyboardInterrupt


QUESTIONS = [
    lambda lake: lake.history("i", raw=True),
    lambda lake: lake.history(["i", "acc"], shape="wide"),
    lambda lake: lake.runs(columns=["run_id", "config.lr", "summary.i", "tags"], order_by="run_id"),
    lambda lake: lake.runs(where="config.lr > 0.1", columns=["run_id", "summary.i.max"], order_by="run_id"),
    lambda lake: lake.summaries(["i.max", "acc.median"]),
    lambda lake: lake.sql("SELECT run_id, max(value) AS m FROM history GROUP BY 1 ORDER BY 1"),
    lambda lake: lake.sql('SELECT run_id, "summary.i.max" AS m, "config.lr" FROM runs ORDER BY 1'),
    lambda lake: lake.run("r1").config,
]


def rows(answer):
    return answer if isinstance(answer, dict) else sorted(answer.drop("time", strict=False).rows(), key=str)


left, interrupted, right = 0, 0, 0
kept = tl.open(sys.argv[1])
expected = [rows(question(kept)) for question in QUESTIONS]
signal.signal(signal.SIGINT, interrupt)
print("ready", flush=True)
while interrupted < int(sys.argv[2]):
    faulthandler.dump_traceback_later(100, exit=True)  # where it hangs, and an end
    for number, question in enumerate(QUESTIONS):
        found = None
        try:
            try:
                left = 2
                found = question(kept if interrupted % 2 else tl.open(sys.argv[1]))
            except KeyboardInterrupt:
                interrupted += 1
            left = 0
        except KeyboardInterrupt:
            interrupted += 1
        left = 0
        if found is not None:
            assert rows(found) == expected[number], (number, found)
        assert rows(question(kept)) == expected[number], number
print("right", flush=True)
"""


@pytest.mark.parametrize("interrupts", [20, pytest.param(6000, marks=pytest.mark.long)])
def test_a_storm_of_double_interrupts(tmp_path: Path, interrupts: int):
    """Each read that is interrupted twice at once answers rightly or is KeyboardInterrupt, then the next."""
    for number in range(3):
        with tl.init("p", id=f"r{number}", config={"lr": number / 10}, dir=tmp_path) as run:
            for step in range(50):
                run.log({"i": float(step), "acc": step / 2, "text": "x" * (step % 5)})
        if number == 1:
            tl.open(tmp_path).refresh()
    pauses = random.Random(interrupts)
    child = start(STORM, tmp_path, interrupts)
    assert child.stdout.readline().strip() == "ready", child.stderr.read()
    while child.poll() is None:
        child.send_signal(signal.SIGINT)
        time.sleep(pauses.choice([0, 1e-5, 1e-4]))
        child.send_signal(signal.SIGINT)
        time.sleep(pauses.random() * 0.02)
    assert child.stdout.read().split() == ["right"], child.stderr.read()


def time_out(*_: object) -> None:
    raise TimeoutError


@pytest.mark.parametrize("apart", [211, pytest.param(3, marks=pytest.mark.long)])
def test_an_alarm_is_no_file_that_cannot_be_read(lake: tl.Lake, handle, apart: int):
    """TimeoutError, an OSError, at whichever line: it comes out, and no run is left out as one that cannot be read."""
    handle(time_out)
    at, is_over = 1, False
    while not is_over:
        interrupter = Interrupter(at, partial(signal.raise_signal, signal.SIGUSR2))
        found = None
        with contextlib.suppress(TimeoutError), interrupter:
            found = answers(tl.open(lake.dir))
        is_over = interrupter.left > 0
        assert found == (EXPECTED if is_over else None), at
        at += apart
    assert at > 10 * apart


def test_ctrl_c_that_a_library_dropped_ends_a_long_query(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """What was dropped before the query began is raised while it goes on, not once it ends."""
    engine = importlib.import_module("tracklake.sql.engine")
    rows_of = engine.results.rows_of

    def dropping(*question: Any) -> pl.DataFrame:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return rows_of(*question)

    monkeypatch.setattr(engine.results, "rows_of", dropping)
    with pytest.raises(KeyboardInterrupt):
        lake.sql("SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE hash(a.range + b.range) % 7 = 3")
