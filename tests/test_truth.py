"""A summary is a pure function of (history, definitions, edits): held on generated lakes, against three other ways."""

from __future__ import annotations

import itertools
import math
import random
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import tracklake as tl
from tracklake import clock, journal, points, states, values
from tracklake.schema import POINTS, STATES
from tracklake.snapshot import PSEUDO

QUERY = (Path(__file__).parent.parent / "queries" / "summaries_from_history.sql").read_text()
EXACT = ["count", "n_nan", "n_inf", "min", "argmin", "max", "argmax"]
ROUNDED = ["sum", "mean", "m2", "std"]
ENDS = [f"{end}_{name}" for end in ("first", "last") for name in ("step", "value", "ival", "text", "kind")]
RUNS = {"a": "p", "b": "q"}
METRICS = ["loss", "acc", "loss.min", "t", "t.loss", "t.loss.ce", "_timestamp"]

numbers = st.floats(-100, 100) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 2.0])
logged = st.one_of(
    numbers,
    numbers,
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(max_size=2),
    st.none(),
    st.lists(st.integers(0, 9), max_size=2),
)
rows = st.dictionaries(st.sampled_from(METRICS), logged, max_size=3)
which = st.integers(0, 3)
kinds = st.lists(st.sampled_from(["min", "max", "mean", "last", "first", "std", "sum", "count", "none"]), min_size=1)
definitions = st.fixed_dictionaries(
    {"name": st.sampled_from([*METRICS, "*", "l*", "*loss*", "t.*"])},
    optional={
        "summary": kinds | st.just("best,last"),
        "hidden": st.booleans(),
        "step_metric": st.just("acc"),
        "overwrite": st.booleans(),
    },
).map(lambda said: said | {"goal": "max"})
operations = st.one_of(
    st.tuples(st.just("log"), which, rows, st.none() | st.integers(0, 6), st.sampled_from([None, True, False])),
    st.tuples(st.just("log"), which, rows, st.none(), st.none()),
    st.tuples(st.just("define"), which, definitions),
    st.tuples(st.just("define_in_lake"), definitions, st.sampled_from([None, "p"])),
    st.tuples(st.just("edit"), which, st.sampled_from([*METRICS, "note"]), logged),
    st.tuples(st.just("edit_later"), st.sampled_from(sorted(RUNS)), st.sampled_from([*METRICS, "note"]), logged),
    st.tuples(st.just("finish"), which),
    st.tuples(st.just("look")),
)
programs = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from("ab"), st.none() | st.integers(0, 6)).map(lambda s: [s]),
        st.tuples(operations, operations).map(list),
        st.just([("refresh",)]),
    ),
    min_size=1,
    max_size=9,
).map(lambda parts: list(itertools.chain(*parts)))


@dataclass
class World:
    """Runs programs against one lake, and keeps what a dict would hold of the points."""

    root: Path
    open: list[tl.Run] = field(default_factory=list)
    sessions: list[tuple[str, int, int | None]] = field(default_factory=list)
    """(run id, session, from_step) in order of their beginning."""
    points: list[tuple[str, int, str, int, values.Stored]] = field(default_factory=list)
    """(run id, session, metric, step, value) in the order in which they were said."""

    def __post_init__(self) -> None:
        self.kept = tl.open(self.root, create=True)

    def session(self, index: int) -> tl.Run:
        if not self.open:
            self.start("a", None)
        return self.open[index % len(self.open)]

    def start(self, run_id: str, from_step: int | None) -> None:
        known = any(run_id == r for r, _, _ in self.sessions)
        how = {"resume": "allow", "from_step": from_step} if known else {}
        run = tl.init(RUNS[run_id], id=run_id, dir=self.root, config={"of": run_id}, **how)
        self.open.append(run)
        self.sessions.append((run_id, run._journal.session, how.get("from_step")))

    def log(self, index: int, row: dict[str, Any], step: int | None, commit: bool | None) -> None:
        run = self.session(index)
        at = run.step if step is None else step
        flat = run._synced({name: values.store(value, name=name) for name, value in row.items()}, at)
        self.points += [(run.id, run._journal.session, name, at, stored) for name, stored in flat.items()]
        run.log(row, step=step, commit=commit)
        if run._sealer:
            run._sealer.join()

    def define(self, index: int, said: dict[str, Any]) -> None:
        self.session(index).define_metric(**said)

    def define_in_lake(self, said: dict[str, Any], project: str | None) -> None:
        self.kept.define_metric(**said, project=project)

    def edit(self, index: int, key: str, value: object) -> None:
        self.session(index).summary[key] = value

    def edit_later(self, run_id: str, key: str, value: object) -> None:
        if any(run_id == r for r, _, _ in self.sessions):
            self.kept.run(run_id).summary[key] = value

    def finish(self, index: int) -> None:
        if self.open:
            self.open.pop(index % len(self.open)).finish()

    def look(self) -> None:
        assert_same(states_of(self.kept), states_of(tl.open(self.root)))

    def refresh(self) -> None:
        before = states_of(self.kept)
        self.kept.refresh()
        assert_same(states_of(self.kept), before)

    def end(self) -> None:
        for run in self.open:
            run.finish()

    def cutoffs(self) -> pl.DataFrame:
        """Give from where on each session was rewound: the least from_step of the later ones of its run."""
        found = [
            (run, session, min((f for r, _, f in self.sessions[i + 1 :] if r == run and f is not None), default=None))
            for i, (run, session, _) in enumerate(self.sessions)
        ]
        return pl.DataFrame(found, {"run_id": pl.String, "session": pl.Int64, "cutoff": pl.Int64}, orient="row")

    def counting(self) -> dict[tuple[str, str, int], values.Stored]:
        """Give what a dict holds after all points that are not rewound are put into it in order."""
        cutoff = {session: limit for _, session, limit in self.cutoffs().iter_rows()}
        kept = (p for p in self.points if cutoff[p[1]] is None or p[3] < cutoff[p[1]])
        return {(run, metric, step): stored for run, _, metric, step, stored in kept}

    def unsealed(self) -> tl.Lake:
        """Give a lake that holds the same journals and no partition."""
        other = self.root.with_name(self.root.name + "-unsealed")
        shutil.copytree(self.root / "journal", other / "journal")
        shutil.copy(self.root / "tracklake.json", other)
        return tl.open(other)


def states_of(lake: tl.Lake) -> dict[str, Any]:
    """Ask what everything else is made of: merged states, entries, points."""
    view = lake._view
    return {
        "states": view.snapshot.states(columns=[c for c in STATES if c not in ("project", "n_raw")]),
        "entries": view.runs.summaries.entries().sort("run_id", "key"),
        "points": view.snapshot.points().collect().sort(points.ORDER),
        "history": lake.history(),
    }


def answers(lake: tl.Lake) -> dict[str, Any]:
    """Ask what a user asks."""
    runs = lake.runs().drop("state")
    trees = {run_id: lake.run(run_id).summary._json_dict for run_id in runs["run_id"]}
    return states_of(lake) | {"runs": runs, "trees": trees}


def assert_same(got: Any, expected: Any, path: str = "") -> None:
    """Compare answers: numbers that add up to 1e-12 of the largest there are, all else exactly."""
    if isinstance(expected, dict):
        assert list(got) == list(expected), path
        for key, value in expected.items():
            assert_same(got[key], value, f"{path}.{key}")
    elif isinstance(expected, pl.DataFrame):
        rounded = [c for c in expected.columns if c.rsplit(".", 1)[-1] in ROUNDED]
        assert_frame_equal(got.drop(rounded), expected.drop(rounded), check_exact=True)
        assert_frame_equal(got.select(rounded), expected.select(rounded), rel_tol=1e-12, abs_tol=1e-10)
    elif isinstance(expected, float) and path.rsplit(".", 1)[-1] in ROUNDED:
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-10, nan_ok=True), path
    else:
        assert got == expected or (math.isnan(got) and math.isnan(expected)), path


@pytest.fixture(scope="module")
def duck():
    with duckdb.connect() as connection:
        yield connection


@given(
    program=programs,
    rotate_at=st.sampled_from([600, 1_500, 1 << 20]),
    seed=st.integers(0, 3),
)
def test_every_way_to_the_answers_agrees(program, rotate_at, seed, duck, tmp_path_factory):
    """Incremental equals from scratch equals SQL over the raw points equals a dict, for any program, cut anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        ticks = itertools.count(1_700_000_000_000_000_000, 1_000_000)
        patch.setattr(clock, "time", SimpleNamespace(time_ns=lambda: next(ticks)))
        patch.setattr(journal, "secrets", SimpleNamespace(randbits=random.Random(seed).getrandbits))
        patch.setattr(journal, "ROTATE_AT", rotate_at)
        world = World(tmp_path_factory.mktemp("truth") / "lake")
        try:
            for verb, *given in program:
                getattr(world, verb)(*given)
            check(world, duck)
        finally:
            world.end()
            shutil.rmtree(world.root.parent)


def check(world: World, duck: duckdb.DuckDBPyConnection) -> None:
    """Compare the kept lake with a fresh one, with one that has no partitions, with SQL, and with a dict."""
    kept = answers(world.kept)
    assert_same(states_of(tl.open(world.root)), {k: kept[k] for k in ("states", "entries", "points", "history")})
    scratch = world.unsealed()
    assert_same(kept, answers(scratch))
    raw = scratch._view.snapshot.points().collect()
    resolved = points.resolve(raw.filter(pl.col("metric") != "_step"), cutoffs=world.cutoffs())
    columns = {"value": pl.Float64, "ival": pl.Int64, "text": pl.String, "kind": pl.Int8}
    said = [(*key, *(getattr(stored, c) for c in columns)) for key, stored in sorted(world.counting().items())]
    schema = {"run_id": pl.String, "metric": pl.String, "step": pl.Int64, **columns}
    expected = pl.DataFrame(said, schema=schema, orient="row")
    assert_frame_equal(resolved.select(list(schema)).sort("run_id", "metric", "step"), expected, check_exact=True)
    made = world.kept._view.snapshot.states(
        sorted(set(resolved["metric"]) - {"_timestamp"}), columns=[c for c in STATES if c != "project"]
    )
    numbers = {name: states.expression(name) for name in (*EXACT, "sum", "mean", "std")}
    got = made.select("run_id", "metric", "n_points", "lo", "hi", *ENDS, **numbers)
    duck.register("points", raw)
    duck.register("sessions", world.cutoffs())
    wanted = duck.sql(QUERY).pl().filter(pl.col("metric") != "_timestamp").sort("metric", "run_id")
    assert_same(got, wanted.cast(got.schema).select(got.columns))
