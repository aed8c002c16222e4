"""A summary is a pure function of history, definitions and edits: held on generated lakes, against three other ways."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

import tracklake as tl
from tracklake.compute import points
from tracklake.errors import RunError
from tracklake.schema import statistics, values
from tracklake.schema.tables import STATES
from tracklake.storage.journal import clock, writer
from tracklake.storage.local import LocalStorage

QUERY = (Path(__file__).parents[2] / "queries" / "summaries_from_history.sql").read_text()
EXAMPLES = settings().max_examples // 4  # each is a lake that is asked about thirty questions
EXACT = ["count", "n_nan", "n_inf", "min", "argmin", "max", "argmax"]
ROUNDED = ["sum", "mean", "m2", "std"]
ENDS = [f"{end}_{name}" for end in ("first", "last") for name in ("step", "value", "ival", "text", "kind")]
RUNS = {"a": "p", "b": "q"}
METRICS = ["loss", "t.loss", "t", "loss.min", "_timestamp"]
AXIS = "t"
KEY = ["run_id", "metric", "step"]
RELATIVES = pl.DataFrame({"metric": ["loss.min", "loss", "t.loss", "t"], "other": ["loss", "loss.min", "t", "t.loss"]})

numbers = st.floats(-100, 100) | st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, 2.0])
others = st.booleans() | st.text(max_size=2) | st.none() | st.lists(st.integers(0, 9), max_size=2)
logged = numbers | numbers | numbers | st.integers(-(2**63), 2**63 - 1) | others
busy = st.fixed_dictionaries({"loss": logged}, optional=dict.fromkeys(["t.loss", "loss.min"], logged))
rows = busy | busy | st.dictionaries(st.sampled_from(METRICS), logged, max_size=2)
which = st.integers(0, 2)
said_of_a_metric = {
    "summary": st.lists(st.sampled_from(["min", "max", "mean", "last", "std", "sum", "count", "none"]), min_size=1),
    "hidden": st.booleans(),
    "overwrite": st.booleans(),
}
names = st.sampled_from([*METRICS, "*", "l*", "*loss*", "t.*"])
definitions = st.fixed_dictionaries({"name": names, "goal": st.just("max")}, optional=said_of_a_metric)
synced = st.fixed_dictionaries({"name": names, "step_metric": st.just(AXIS)}, optional=said_of_a_metric)
keys = st.sampled_from([*METRICS, "note"])
plain = st.tuples(st.just("log"), which, rows)
placed = st.tuples(st.just("log"), which, rows, st.integers(0, 4), st.sampled_from([None, True, False]))
statements = st.one_of(
    st.tuples(st.just("define"), which, definitions | synced),
    st.tuples(st.just("define_in_lake"), definitions, st.sampled_from([None, "p"])),
    st.tuples(st.just("edit"), which, keys, logged),
    st.tuples(st.just("edit_later"), st.sampled_from("ab"), keys, logged),
    st.tuples(st.just("finish"), which),
    st.just(("look",)),
)
programs = st.lists(
    st.one_of(
        st.lists(plain, min_size=3, max_size=6),
        st.lists(plain | placed, min_size=2, max_size=4),
        st.tuples(st.just("start"), st.sampled_from("aaab"), st.none() | st.integers(1, 4)).map(lambda op: [op]),
        st.tuples(statements).map(list),
        st.just([("refresh",)]),
    ),
    min_size=6,
    max_size=12,
).map(lambda parts: list(itertools.chain(*parts)))


@dataclass
class _World:
    """Runs programs against one lake, and keeps what a dict would hold of the points."""

    root: Path
    open: list[tl.Run] = field(default_factory=list)
    sessions: list[tuple[str, int, int | None]] = field(default_factory=list)
    """(run id, session, from_step) in order of their beginning."""
    points: list[tuple[str, int, str, int, values.Stored, int]] = field(default_factory=list)
    """(run id, session, metric, step, value, call) in the order in which they were said."""
    calls: int = 0

    @property
    def spent(self) -> Path:
        """Where the journals are kept that were sealed to their end, and so deleted."""
        return self.root.with_name("spent")

    def __post_init__(self) -> None:
        self.kept = tl.open(self.root, create=True)
        self.start("a")

    def session(self, index: int) -> tl.Run:
        if not self.open:
            self.start("a")
        return self.open[index % len(self.open)]

    def start(self, run_id: str, from_step: int | None = None) -> None:
        how = {"resume": "allow", "from_step": from_step} if self.has(run_id) else {}
        how |= {"reinit": "create_new"}
        quiet = {"metadata": False}  # which would be said in a moment of its own choice
        with contextlib.suppress(RunError):  # from a step beyond the end
            started = tl.init(RUNS[run_id], id=run_id, dir=self.root, config={"of": run_id}, settings=quiet, **how)
            self.open.append(started)
            self.sessions.append((run_id, started._session.journal.session, how.get("from_step")))

    def has(self, run_id: str) -> bool:
        return any(run_id == known for known, _, _ in self.sessions)

    def log(self, index: int, row: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        run = self.session(index)
        at = run.step if step is None else step
        stored = [(name, values.store(value, name=name)) for name, value in row.items()]
        self.calls += 1
        session = run._session.journal.session
        self.points += [(run.id, session, name, at, value, self.calls) for name, value in stored]
        run.log(row, step=step, commit=commit)
        if run._session._sealer:
            run._session._sealer.wait()

    def define(self, index: int, said: dict[str, Any]) -> None:
        self.session(index).define_metric(**said)

    def define_in_lake(self, said: dict[str, Any], project: str | None) -> None:
        self.kept.define_metric(**said, project=project)

    def edit(self, index: int, key: str, value: object) -> None:
        self.session(index).summary[key] = value

    def edit_later(self, run_id: str, key: str, value: object) -> None:
        if self.has(run_id):
            self.kept.run(run_id).summary[key] = value

    def finish(self, index: int) -> None:
        if self.open:
            self.open.pop(index % len(self.open)).finish()

    def look(self) -> None:
        assert_same(stored_in(self.kept), stored_in(tl.open(self.root)))

    def refresh(self) -> None:
        before = stored_in(self.kept)
        self.kept.refresh()
        assert_same(stored_in(self.kept), before)

    def run(self, program: list[tuple[Any, ...]]) -> None:
        for verb, *arguments in program:
            getattr(self, verb)(*arguments)

    def cutoffs(self) -> pl.DataFrame:
        """Give from where on each session was rewound: the least from_step of the later ones of its run."""
        found = [
            (run, session, min((f for r, _, f in self.sessions[i + 1 :] if r == run and f is not None), default=None))
            for i, (run, session, _) in enumerate(self.sessions)
        ]
        return pl.DataFrame(found, {"run_id": pl.String, "session": pl.Int64, "cutoff": pl.Int64}, orient="row")

    def counting(self) -> pl.DataFrame:
        """Give what a dict holds after all points that are not rewound are put into it in order."""
        cutoff = {session: limit for _, session, limit in self.cutoffs().iter_rows()}
        kept = (p for p in self.points if cutoff[p[1]] is None or p[3] < cutoff[p[1]])
        held = {(run, metric, step): (x.value, x.ival, x.text, x.kind) for run, _, metric, step, x, _ in kept}
        schema = {"run_id": pl.String, "metric": pl.String, "step": pl.Int64}
        schema |= {"value": pl.Float64, "ival": pl.Int64, "text": pl.String, "kind": pl.Int8}
        return pl.DataFrame([(*key, *held[key]) for key in sorted(held)], schema=schema, orient="row")

    def replacing(self) -> pl.DataFrame:
        """Give the (run_id, metric, step) where calls of one row name metrics above and under each other."""
        rows = {(run, metric, step, call) for run, _, metric, step, _, call in self.points}
        keys = {
            (run, metric, step)
            for (run, metric, step, call), (other_run, other, at, later) in itertools.product(rows, rows)
            if (run, step) == (other_run, at) and call != later and are_relatives(metric, other)
        }
        schema = {"run_id": pl.String, "metric": pl.String, "step": pl.Int64}
        return pl.DataFrame(sorted(keys), schema=schema, orient="row")

    def unsealed(self) -> tl.Lake:
        """Give a lake that holds the same journals and no partition."""
        other = self.root.with_name("unsealed")
        shutil.copytree(self.root / "journal", other / "journal")
        if self.spent.exists():
            shutil.copytree(self.spent, other / "journal", dirs_exist_ok=True)
        shutil.copy(self.root / "tracklake.json", other)
        return tl.open(other)


def are_relatives(one: str, other: str) -> bool:
    """Say whether one dotted name is above the other."""
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")


@contextlib.contextmanager
def world(folder: Path, *, seed: int = 0, rotate_at: int = 1 << 20, same: int = 1):
    """Give a world where time and session numbers are the same in every run of a program.

    Time goes on by a millisecond a look at the clock, or by a microsecond every `same` looks: sessions tie then.
    """
    ticks = (1_700_000_000_000_000_000 + (i // same) * (1_000_000 if same == 1 else 1_000) for i in itertools.count())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "time", SimpleNamespace(time_ns=lambda: next(ticks)))
        patch.setattr(writer, "secrets", SimpleNamespace(randbits=random.Random(seed).getrandbits))
        patch.setattr(writer, "ROTATE_AT", rotate_at)
        patch.setattr(LocalStorage, "delete", delete_but_keep_journals)
        made = _World(folder / "lake")
        try:
            yield made
        finally:
            for run in made.open:
                run.finish()
            shutil.rmtree(folder)


def delete_but_keep_journals(storage: LocalStorage, name: str) -> bool:
    """Delete a file as storage does, but for a journal, which is put aside."""
    file = storage.path(name)
    if not file.exists():
        return False
    if name.startswith("journal/"):
        aside = storage.root.with_name("spent")
        aside.mkdir(exist_ok=True)
        shutil.copy(file, aside)
    file.unlink()
    return True


def stored_in(lake: tl.Lake) -> dict[str, Any]:
    """Ask what all answers are made of: merged states, entries, points."""
    view = lake._view
    return {
        "states": view.snapshot.states(columns=[c for c in STATES if c not in ("project", "n_raw")]).filter(
            pl.col("n_points") > 0
        ),
        "entries": view.runs.summaries.entries().sort("run_id", "key"),
        "points": view.snapshot.points().collect().sort(points.ORDER),
        "history": lake.history(),
    }


def answers(lake: tl.Lake) -> dict[str, Any]:
    """Ask for the runs and their summaries too."""
    runs = lake.runs(columns=["project", "created_at", "runtime", "config.of"])
    trees = {run_id: lake.run(run_id).summary._json_dict for run_id in runs["run_id"]}
    return stored_in(lake) | {"runs": runs, "trees": trees}


def assert_same(got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare answers: what adds up within the promised tolerance, all else exactly."""
    for what, frame in expected.items():
        if what == "trees":
            scale = expected["points"].filter(pl.col("value").is_finite())["value"].abs().sum()
            assert_same_tree(got[what], frame, 1e-12 * scale)
            continue
        rounded = [c for c in frame.columns if c in ROUNDED]
        assert_frame_equal(got[what].drop(rounded), frame.drop(rounded), check_exact=True)
        if rounded:
            assert_close(got[what], frame, expected["points"])


def assert_same_tree(got: Any, expected: Any, tolerance: float, name: str = "") -> None:
    """Compare nested dicts, also the order of their keys."""
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key, value in expected.items():
            assert_same_tree(got[key], value, tolerance, key)
    elif isinstance(expected, float):
        allowed = tolerance if name in ROUNDED else 0.0
        assert got == pytest.approx(expected, rel=allowed and 1e-12, abs=allowed, nan_ok=True), name
    else:
        assert got == expected, name


def assert_close(got: pl.DataFrame, expected: pl.DataFrame, stored: pl.DataFrame) -> None:
    """Compare sums, means and deviations of each series to 1e-12 of its sum of absolute values (or of squares)."""
    size = stored.filter(pl.col("value").is_finite()).group_by("run_id", "metric").agg(pl.col("value").abs().sum())
    bound = pl.max_horizontal(pl.col("min").abs(), pl.col("max").abs(), "value").fill_null(0.0) * pl.col("n_points")
    scale = expected.join(size, on=["run_id", "metric"], how="left", maintain_order="left").select(bound).to_series()
    for name in set(ROUNDED) & set(expected.columns):
        off = (got[name] - expected[name]).abs()
        same = got[name].eq_missing(expected[name]) | (off <= 1e-12 * (scale * scale if name == "m2" else scale))
        assert same.fill_null(value=False).all(), (name, got.filter(~same), expected.filter(~same))


@pytest.fixture(scope="module")
def duck():
    with duckdb.connect() as connection:
        yield connection


@settings(max_examples=EXAMPLES)
@given(
    program=programs,
    rotate_at=st.sampled_from([900, 2_000, 1 << 20]),
    seed=st.integers(0, 3),
    same=st.sampled_from([1, 1, 5]),
)
def test_every_way_to_the_answers_agrees(program, rotate_at, seed, same, duck, tmp_path_factory):
    """Incremental equals from scratch equals SQL over the raw points equals a dict, for any program, cut anywhere."""
    with world(tmp_path_factory.mktemp("truth"), seed=seed, rotate_at=rotate_at, same=same) as made:
        made.run(program)
        scratch = made.unsealed()
        kept = answers(made.kept)
        assert_same(kept, stored_in(tl.open(made.root)))
        assert_same(kept, answers(scratch))
        raw = scratch._view.snapshot.points().collect().filter(pl.col("metric") != "_step")
        if same == 1:  # else a dict does not know which of two sessions spoke later
            assert_counts(made, points.resolve(raw, cutoffs=made.cutoffs()))
        assert_sql_agrees(duck, made, raw)


def assert_counts(made: _World, resolved: pl.DataFrame) -> None:
    """Hold the points that count against those of a dict, but for two things that logging adds.

    They are the step metric, which rows may be given, and the None with which a later call for a row replaces what an
    earlier one said under or above its names.
    """
    by_dict = made.counting()
    got = resolved.select(by_dict.columns)
    beside = got.select(KEY).rename({"metric": "other"}).join(RELATIVES, on="other")
    of_axis = beside.filter(pl.col("other") == AXIS)  # which a row may be given
    none = got.filter(pl.col("kind") == values.Kind.NULL).join(beside, on=KEY, how="semi")
    ours = pl.col("metric") != AXIS
    apart = pl.concat(
        [none.select(KEY), of_axis.select(KEY), made.replacing().select(KEY)]
    )  # tested by the sequences of test_semantics
    expected, found = (frame.filter(ours).join(apart, on=KEY, how="anti").sort(KEY) for frame in (by_dict, got))
    assert_frame_equal(found, expected, check_exact=True)


def assert_sql_agrees(duck: duckdb.DuckDBPyConnection, made: _World, raw: pl.DataFrame) -> None:
    """Hold what the lake has sealed and merged against the SQL over the points as they were logged."""
    duck.register("points", raw)
    duck.register("sessions", made.cutoffs())
    wanted = duck.sql(QUERY).pl().filter(pl.col("metric") != "_timestamp").sort("metric", "run_id")
    found = made.kept._view.snapshot.states(set(wanted["metric"]), columns=[c for c in STATES if c != "project"])
    numbers = {name: statistics.expression(name) for name in (*EXACT, "sum", "mean", "std")}
    got = found.select("run_id", "metric", "n_points", "lo", "hi", *ENDS, **numbers).filter(pl.col("n_points") > 0)
    wanted = wanted.cast(got.schema).select(got.columns)
    replaced = raw.filter(pl.col("kind") == values.Kind.REPLACED).select("run_id", "metric").unique()
    for name in ("lo", "hi"):  # the interval of steps may have those of replaced values in it
        is_plain = got.join(replaced, on=["run_id", "metric"], how="anti", maintain_order="left")
        also = wanted.join(replaced, on=["run_id", "metric"], how="anti", maintain_order="left")
        assert_series_equal(is_plain[name], also[name])
    got, wanted = got.drop("lo", "hi"), wanted.drop("lo", "hi")
    assert_frame_equal(got.drop("sum", "mean", "std"), wanted.drop("sum", "mean", "std"), check_exact=True)
    assert_close(got, wanted, raw)


@settings(max_examples=EXAMPLES // 2)
@given(
    data=st.data(), said=st.lists(definitions, min_size=1, max_size=3), history=st.lists(rows, min_size=1, max_size=4)
)
def test_definitions_count_the_same_wherever_they_are_said(data, said, history, tmp_path_factory):
    """In the same order among themselves, definitions give the same before, among and after the rows."""
    defining = [("define", 0, one) for one in said]
    logging = [("log", 0, row) for row in history]
    places = sorted(data.draw(st.lists(st.integers(0, len(history)), min_size=len(said), max_size=len(said))))
    found = []
    for cuts in (places, [0] * len(said), [len(history)] * len(said)):
        program = [(at, 0, op) for at, op in zip(cuts, defining, strict=True)]
        program += [(at, 1, op) for at, op in enumerate(logging)]
        with world(tmp_path_factory.mktemp("defined")) as made:
            made.run([op for _, _, op in sorted(program, key=lambda item: item[:2])])
            shown = made.kept.runs().drop("created_at", "runtime", strict=False)
            tree = made.kept.run("a").summary._json_dict
            found.append((shown, {k: v for k, v in tree.items() if k not in ("_timestamp", "_runtime")}))
    for shown, tree in found[1:]:
        assert_frame_equal(
            shown.select(c for c in shown.columns if "_timestamp" not in c),
            found[0][0].select(c for c in shown.columns if "_timestamp" not in c),
        )
        assert_same_tree(tree, found[0][1], 0.0)
